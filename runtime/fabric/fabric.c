/* SPDX-License-Identifier: Apache-2.0
 *
 * Front door of the fabric: picks the table for a URL, and the few functions
 * that are the same for every back end (wait, read, write, checks).
 */
#include "fabric/fabric.h"

#include "base/sys.h"
#include "fabric/internal.h"
#include "fabric/url.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define FD_FLOOR 600

void cira_fabric_options_default(cira_fabric_options_t *opt) {
  *opt = (cira_fabric_options_t){
      .size = sizeof(*opt),
      .inflight_max = CIRA__INFLIGHT_DEFAULT,
      .deadline_ns = 10000000000u, /* 10 s */
      .spin_ns = 50000,            /* 50 us */
  };
}

/* A zero field means that field's default; a shorter, older struct as well. */
static void options_fill(const cira_fabric_options_t *in,
                         cira_fabric_options_t *out) {
  cira_fabric_options_default(out);
  if (!in) {
    return;
  }
  cira_fabric_options_t given = {0};
  uint64_t have = in->size ? in->size : sizeof(given);
  memcpy(&given, in, cira__min_u64(have, sizeof(given)));
  if (given.inflight_max) {
    out->inflight_max = given.inflight_max;
  }
  if (given.deadline_ns) {
    out->deadline_ns = given.deadline_ns;
  }
  if (given.spin_ns) {
    out->spin_ns = given.spin_ns;
  }
  out->token_file = given.token_file;
}

static const cira_fabric_ops_t *ops_of(cira__url_kind_t kind) {
  switch (kind) {
  case CIRA__URL_HOST:
    return &cira__host_ops;
  case CIRA__URL_SHM:
    return &cira__shm_ops;
  case CIRA__URL_UNIX:
    return &cira__unix_ops;
  case CIRA__URL_TCP:
    return &cira__tcp_ops;
  case CIRA__URL_STRIPE:
    return &cira__stripe_ops;
  case CIRA__URL_TRACE:
    return &cira__trace_ops;
  case CIRA__URL_FAULT:
    return &cira__fault_ops;
  }
  return NULL;
}

/* Every slot of a table is filled, and it offers what its flags say. */
static bool ops_complete(const cira_fabric_ops_t *o) {
  return o->size == sizeof(*o) && o->scheme && o->connect && o->close &&
         o->region_open && o->region_attach && o->region_ticket &&
         o->region_refs && o->region_hold && o->region_close &&
         o->region_commit && o->region_map && o->post_read && o->post_write &&
         o->post_atomic && o->post_discard && o->poll && o->wait_fd;
}

cira_status_t cira_fabric_connect(const char *url,
                                  const cira_fabric_options_t *opt,
                                  cira_fabric_t **out) {
  cira__url_t parsed;
  cira_status_t status = cira__url_parse(url, url ? strlen(url) : 0, &parsed);
  if (status != CIRA_OK) {
    return status;
  }
  cira_fabric_options_t filled;
  options_fill(opt, &filled);
  if (filled.inflight_max > CIRA__INFLIGHT_MAX) {
    return cira__fail(CIRA_E_INVALID, "%s: inflight_max %u is more than %u",
                      url, filled.inflight_max, CIRA__INFLIGHT_MAX);
  }
  const cira_fabric_ops_t *ops = ops_of(parsed.kind);
  if (!ops || !ops_complete(ops)) {
    return cira__fail(CIRA_E_UNSUPPORTED, "%s: incomplete back end", url);
  }
  return ops->connect(url, &filled, out);
}

void cira_fabric_close(cira_fabric_t *f) {
  if (f) {
    f->ops->close(f);
  }
}

cira_status_t cira_fabric_url_check(const char *url) {
  cira__url_t parsed;
  return cira__url_parse(url, url ? strlen(url) : 0, &parsed);
}

cira_status_t cira_fabric_wait(cira_fabric_t *f, cira_fabric_op_t *op) {
  uint64_t start_ns = 0;
  while (op->status == CIRA_PENDING) {
    int32_t done = f->ops->poll(f);
    if (op->status != CIRA_PENDING) {
      break;
    }
    if (done < 0) { /* an op that nobody will complete any more */
      op->status = done;
      break;
    }
    uint64_t now_ns = cira__now_ns();
    if (!start_ns) {
      start_ns = now_ns;
    }
    int fd = -1;
    if (now_ns - start_ns >= f->opt.spin_ns) {
      fd = f->ops->wait_fd(f);
    }
    if (fd < 0) {
      cira__cpu_relax();
      continue;
    }
    uint64_t left_ns = op->deadline_ns > now_ns ? op->deadline_ns - now_ns : 0;
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    (void)cira__sys_poll(&pfd, 1, (int64_t)left_ns);
  }
  return op->status;
}

/* Room appears when replies come in; a peer that stays away ends in the
 * deadline of the ops before us. */
static cira_status_t room_wait(cira_fabric_t *f, uint64_t deadline_ns) {
  int32_t done = f->ops->poll(f);
  if (done < 0) {
    return done;
  }
  if (cira__now_ns() > deadline_ns) {
    return cira__fail(CIRA_E_DEADLINE,
                      "%s: no room for a request within the deadline", f->url);
  }
  cira__cpu_relax();
  return CIRA_OK;
}

cira_status_t cira_fabric_read(cira_fabric_t *f, cira_region_t region,
                               uint64_t offset, void *dst, uint64_t bytes) {
  uint8_t *to = dst;
  do {
    uint64_t n = cira__min_u64(bytes, CIRA_FABRIC_OP_MAX_BYTES);
    uint64_t deadline_ns = cira__now_ns() + f->opt.deadline_ns;
    cira_fabric_op_t op = {0};
    cira_status_t s;
    while ((s = f->ops->post_read(f, region, offset, to, n, deadline_ns,
                                  &op)) == CIRA_AGAIN) {
      cira_status_t room = room_wait(f, deadline_ns);
      if (room != CIRA_OK) {
        return room;
      }
    }
    s = s == CIRA_OK ? cira_fabric_wait(f, &op) : s;
    if (s != CIRA_OK) {
      return s;
    }
    to += n;
    offset += n;
    bytes -= n;
  } while (bytes);
  return CIRA_OK;
}

cira_status_t cira_fabric_write(cira_fabric_t *f, cira_region_t region,
                                uint64_t offset, const void *src,
                                uint64_t bytes) {
  const uint8_t *from = src;
  do {
    uint64_t n = cira__min_u64(bytes, CIRA_FABRIC_OP_MAX_BYTES);
    uint64_t deadline_ns = cira__now_ns() + f->opt.deadline_ns;
    cira_fabric_seg_t seg = {.offset = offset, .src = from, .bytes = n};
    cira_fabric_op_t op = {0};
    cira_status_t s;
    while ((s = f->ops->post_write(f, region, &seg, 1, deadline_ns, &op)) ==
           CIRA_AGAIN) {
      cira_status_t room = room_wait(f, deadline_ns);
      if (room != CIRA_OK) {
        return room;
      }
    }
    s = s == CIRA_OK ? cira_fabric_wait(f, &op) : s;
    if (s != CIRA_OK) {
      return s;
    }
    from += n;
    offset += n;
    bytes -= n;
  } while (bytes);
  return CIRA_OK;
}

/* ---- shared by the back ends -------------------------------------------- */

void *cira__pages_alloc(size_t bytes) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    cira__fail_errno(CIRA_E_NOMEM, errno, "no memory for %zu bytes", bytes);
    return NULL;
  }
  return at;
}

void cira__pages_free(void *at, size_t bytes) {
  if (at) {
    (void)munmap(at, bytes);
  }
}

int cira__fd_move_high(int fd) {
  int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);
  if (high < 0) { /* RLIMIT_NOFILE is small: stay where we are */
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
  }
  (void)cira__sys_close(fd);
  return high;
}

void cira__fabric_init(cira_fabric_t *f, const cira_fabric_ops_t *ops,
                       uint32_t flags, const char *url,
                       const cira_fabric_options_t *opt) {
  f->ops = ops;
  f->flags = flags;
  f->opt = *opt;
  f->opt.token_file = NULL; /* the caller's string is his again */
  cira__format(f->url, sizeof(f->url), "%s", url);
}

cira_status_t cira__range_check(const cira_fabric_t *f, const char *what,
                                uint64_t region_bytes, uint64_t offset,
                                uint64_t bytes) {
  if (CIRA_LIKELY(cira__range_ok(offset, bytes, region_bytes))) {
    return CIRA_OK;
  }
  return cira__fail(
      CIRA_E_RANGE, "%s: %s of %llu bytes at %llu leaves the region of %llu",
      f->url, what, (unsigned long long)bytes, (unsigned long long)offset,
      (unsigned long long)region_bytes);
}

cira_status_t cira__segs_check(const cira_fabric_t *f, uint64_t region_bytes,
                               const cira_fabric_seg_t *segs, uint32_t count,
                               uint64_t *out_bytes) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    cira_status_t s = cira__range_check(f, "write", region_bytes,
                                        segs[i].offset, segs[i].bytes);
    if (s != CIRA_OK) {
      return s;
    }
    sum += cira__min_u64(segs[i].bytes, CIRA_FABRIC_OP_MAX_BYTES + 1);
  }
  if (count > CIRA_FABRIC_SEG_MAX_COUNT || sum > CIRA_FABRIC_OP_MAX_BYTES) {
    return cira__fail(CIRA_E_RANGE,
                      "%s: a write of %llu bytes in %u pieces is too large; "
                      "split it at %u bytes or %u pieces",
                      f->url, (unsigned long long)sum, count,
                      CIRA_FABRIC_OP_MAX_BYTES, CIRA_FABRIC_SEG_MAX_COUNT);
  }
  *out_bytes = sum;
  return CIRA_OK;
}

cira_status_t cira__fail_region(const cira_fabric_t *f, cira_region_t region) {
  return cira__fail(CIRA_E_INVALID, "%s: %u is not an open region", f->url,
                    region);
}
