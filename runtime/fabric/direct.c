/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain memory as far memory, see direct.h.
 */
#include "fabric/direct.h"

#include "base/sys.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

cira_region_t cira__direct_id(const cira__direct_t *d) {
  for (uint32_t i = 0; i < CIRA__REGIONS_MAX; i++) {
    if (!d->region[i].bytes) {
      return i + 1;
    }
  }
  cira__fail(CIRA_E_NOMEM, "%s: more than %u regions on one connection",
             d->base.url, CIRA__REGIONS_MAX);
  return 0;
}

static inline cira__direct_region_t *region_of(cira_fabric_t *f,
                                               cira_region_t id) {
  cira__direct_t *d = (cira__direct_t *)f;
  if (CIRA_UNLIKELY(id - 1 >= CIRA__REGIONS_MAX || !d->region[id - 1].at)) {
    return NULL;
  }
  return &d->region[id - 1];
}

cira__direct_region_t *cira__direct_region(cira_fabric_t *f, cira_region_t id) {
  cira__direct_region_t *r = region_of(f, id);
  if (!r) {
    cira__fail_region(f, id);
  }
  return r;
}

/* What every post checks first. */
static inline cira_status_t post_begin(cira_fabric_t *f, cira_region_t region,
                                       cira__direct_region_t **out) {
  cira__direct_t *d = (cira__direct_t *)f;
  if (CIRA_UNLIKELY(d->broken != CIRA_OK)) {
    return cira__fail(d->broken, "%s: the server is gone", f->url);
  }
  *out = region_of(f, region);
  return CIRA_LIKELY(*out != NULL) ? CIRA_OK : cira__fail_region(f, region);
}

static inline cira_status_t post_end(cira_fabric_t *f, cira_fabric_op_t *op) {
  ((cira__direct_t *)f)->completed++;
  cira__op_complete(op, CIRA_OK);
  return CIRA_OK;
}

cira_status_t cira__direct_map(cira_fabric_t *f, cira_region_t region,
                               uint8_t **out) {
  cira__direct_region_t *r = cira__direct_region(f, region);
  if (!r) {
    return CIRA_E_INVALID;
  }
  *out = r->at;
  return CIRA_OK;
}

cira_status_t cira__direct_read(cira_fabric_t *f, cira_region_t region,
                                uint64_t offset, void *dst, uint64_t bytes,
                                uint64_t deadline_ns, cira_fabric_op_t *op) {
  (void)deadline_ns;
  cira__direct_region_t *r;
  cira_status_t s = post_begin(f, region, &r);
  if (s == CIRA_OK) {
    s = cira__range_check(f, "read", r->bytes, offset, bytes);
  }
  if (CIRA_UNLIKELY(s == CIRA_OK && bytes > CIRA_FABRIC_OP_MAX_BYTES)) {
    s = cira__fail(CIRA_E_RANGE, "%s: a read of %llu bytes; split it at %u",
                   f->url, (unsigned long long)bytes, CIRA_FABRIC_OP_MAX_BYTES);
  }
  if (CIRA_UNLIKELY(s != CIRA_OK)) {
    return cira__op_refuse(op, s);
  }
  memcpy(dst, r->at + offset, bytes);
  return post_end(f, op);
}

cira_status_t cira__direct_write(cira_fabric_t *f, cira_region_t region,
                                 const cira_fabric_seg_t *segs,
                                 uint32_t seg_count, uint64_t deadline_ns,
                                 cira_fabric_op_t *op) {
  (void)deadline_ns;
  cira__direct_region_t *r;
  uint64_t sum;
  cira_status_t s = post_begin(f, region, &r);
  if (s == CIRA_OK) {
    s = cira__segs_check(f, r->bytes, segs, seg_count, &sum);
  }
  if (CIRA_UNLIKELY(s != CIRA_OK)) {
    return cira__op_refuse(op, s);
  }
  for (uint32_t i = 0; i < seg_count; i++) {
    if (segs[i].bytes == CIRA_LINE_BYTES) { /* one dirty line: no call */
      memcpy(r->at + segs[i].offset, segs[i].src, CIRA_LINE_BYTES);
    } else {
      memcpy(r->at + segs[i].offset, segs[i].src, segs[i].bytes);
    }
  }
  return post_end(f, op);
}

uint64_t cira__memory_atomic(void *at, cira_fabric_atomic_t kind,
                             uint64_t operand, uint64_t compare) {
  _Atomic uint64_t *word = at;
  switch (kind) {
  case CIRA_FABRIC_ADD:
    return atomic_fetch_add(word, operand);
  case CIRA_FABRIC_SWAP:
    return atomic_exchange(word, operand);
  case CIRA_FABRIC_CAS:
    atomic_compare_exchange_strong(word, &compare, operand);
    return compare; /* the old value, whether it matched or not */
  }
  return 0;
}

cira_status_t cira__direct_atomic(cira_fabric_t *f, cira_region_t region,
                                  cira_fabric_atomic_t kind, uint64_t offset,
                                  uint64_t operand, uint64_t compare,
                                  uint64_t deadline_ns, cira_fabric_op_t *op) {
  (void)deadline_ns;
  cira__direct_region_t *r;
  cira_status_t s = post_begin(f, region, &r);
  if (s == CIRA_OK) {
    s = cira__range_check(f, "atomic", r->bytes, offset, 8);
  }
  if (CIRA_UNLIKELY(s == CIRA_OK && (offset % 8 || kind > CIRA_FABRIC_CAS))) {
    s = cira__fail(CIRA_E_INVALID,
                   "%s: atomic of kind %u at %llu; offsets are multiples of 8",
                   f->url, (unsigned)kind, (unsigned long long)offset);
  }
  if (CIRA_UNLIKELY(s != CIRA_OK)) {
    return cira__op_refuse(op, s);
  }
  op->result = cira__memory_atomic(r->at + offset, kind, operand, compare);
  return post_end(f, op);
}

cira_status_t cira__memory_discard(uint8_t *base, uint64_t offset,
                                   uint64_t bytes) {
  uint64_t end = offset + bytes;
  uint64_t first = cira__align_up(offset, CIRA_PAGE_BYTES);
  uint64_t last = cira__align_down(end, CIRA_PAGE_BYTES);
  if (first >= last) {
    memset(base + offset, 0, bytes);
    return CIRA_OK;
  }
  memset(base + offset, 0, first - offset);
  memset(base + last, 0, end - last);
  long r = cira__sys_madvise(base + first, last - first, MADV_REMOVE);
  if (r < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, (int)-r,
                            "MADV_REMOVE of %llu bytes failed",
                            (unsigned long long)(last - first));
  }
  return CIRA_OK;
}

cira_status_t cira__direct_discard(cira_fabric_t *f, cira_region_t region,
                                   uint64_t offset, uint64_t bytes,
                                   uint64_t deadline_ns, cira_fabric_op_t *op) {
  (void)deadline_ns;
  cira__direct_region_t *r;
  cira_status_t s = post_begin(f, region, &r);
  if (s == CIRA_OK) {
    s = cira__range_check(f, "discard", r->bytes, offset, bytes);
  }
  if (s == CIRA_OK) {
    s = cira__memory_discard(r->at, offset, bytes);
  }
  return s == CIRA_OK ? post_end(f, op) : cira__op_refuse(op, s);
}

int cira__memory_create(uint64_t bytes) {
  if (bytes == 0 || bytes > (1ull << 46) /* 64 TiB */) {
    cira__fail(CIRA_E_INVALID, "a region of %llu bytes; 1 B to 64 TiB is right",
               (unsigned long long)bytes);
    return -1;
  }
  int fd = memfd_create("cira-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  uint64_t rounded = cira__align_up(bytes, CIRA_PAGE_BYTES);
  if (fd < 0 || ftruncate(fd, (off_t)rounded) < 0 ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    cira__fail_errno(CIRA_E_NOMEM, errno,
                     "cannot make a memory file of %llu bytes",
                     (unsigned long long)bytes);
    if (fd >= 0) {
      (void)cira__sys_close(fd);
    }
    return -1;
  }
  return fd;
}

uint8_t *cira__memory_map(int fd, uint64_t bytes) {
  void *at = mmap(NULL, cira__align_up(bytes, CIRA_PAGE_BYTES),
                  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (at == MAP_FAILED) {
    cira__fail_errno(CIRA_E_NOMEM, errno, "cannot map a region of %llu bytes",
                     (unsigned long long)bytes);
    return NULL;
  }
  return at;
}
