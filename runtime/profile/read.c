/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a profile: every number of the file is checked before it is used.
 */
#include "profile/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static cira_status_t header_check(const cira_profile_header_t *h, uint64_t size,
                                  const char *name) {
  if (size < 8 || h->magic != CIRA_PROFILE_MAGIC) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s is no profile; cira-run --profile=FILE writes one",
                      name);
  }
  if (size < CIRA_PROFILE_HEADER_BYTES) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s is cut off: %llu bytes, and a profile has at least "
                      "%u; record it again",
                      name, (unsigned long long)size,
                      CIRA_PROFILE_HEADER_BYTES);
  }
  if (h->version != CIRA_PROFILE_VERSION) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s is a profile of version %u, and this reads version "
                      "%u; use the cira-prof that belongs to it",
                      name, h->version, CIRA_PROFILE_VERSION);
  }
  if (h->header_bytes != CIRA_PROFILE_HEADER_BYTES ||
      h->block_bytes != CIRA_PROFILE_BLOCK_BYTES ||
      memchr(h->command, '\0', sizeof h->command) == NULL ||
      memchr(h->sampling, '\0', sizeof h->sampling) == NULL) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s has a damaged header; record it again", name);
  }
  return CIRA_OK;
}

cira_status_t cira_profile_file_take(const void *bytes, uint64_t size,
                                     const char *name,
                                     cira_profile_file_t *out) {
  const cira_profile_header_t *h = bytes;
  cira_status_t status = header_check(h, size, name);
  if (status != CIRA_OK) {
    return status;
  }
  uint64_t blocks = atomic_load_explicit(&h->block_count, memory_order_relaxed);
  uint64_t body = size - CIRA_PROFILE_HEADER_BYTES;
  uint64_t whole = body / CIRA_PROFILE_BLOCK_BYTES;
  /* A process that was killed may have counted a block that it did not get;
   * the creator makes up for that at the end. */
  if (body % CIRA_PROFILE_BLOCK_BYTES != 0 ||
      (blocks > whole &&
       atomic_load_explicit(&h->complete, memory_order_relaxed) != 0)) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s is cut off: %llu of %llu blocks are there; copy it "
                      "again, or record it again",
                      name, (unsigned long long)whole,
                      (unsigned long long)blocks);
  }
  *out = (cira_profile_file_t){.bytes = bytes,
                               .size = size,
                               .header = h,
                               .blocks = cira__min_u64(blocks, whole)};
  return CIRA_OK;
}

cira_status_t cira_profile_file_open(const char *path,
                                     cira_profile_file_t *out) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) {
    cira_status_t status =
        cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be read", path);
    if (fd >= 0) {
      close(fd);
    }
    return status;
  }
  if (!S_ISREG(st.st_mode) || st.st_size < 8) {
    close(fd);
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s is no profile; cira-run --profile=FILE writes one",
                      path);
  }
  uint64_t size = (uint64_t)st.st_size;
  void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  int error = errno;
  close(fd);
  if (p == MAP_FAILED) {
    return cira__fail_errno(CIRA_E_SYSTEM, error, "%s cannot be mapped", path);
  }
  cira_status_t status = cira_profile_file_take(p, size, path, out);
  if (status != CIRA_OK) {
    munmap(p, size);
    return status;
  }
  out->mapped = p;
  return CIRA_OK;
}

void cira_profile_file_close(cira_profile_file_t *file) {
  if (file->mapped != NULL) {
    munmap(file->mapped, file->size);
  }
  *file = (cira_profile_file_t){0};
}

static uint32_t record_bytes(uint16_t kind) {
  switch (kind) {
  case CIRA_PROFILE_EVENTS:
    return sizeof(cira_profile_event_t);
  case CIRA_PROFILE_STREAMS:
    return sizeof(cira_profile_stream_t);
  case CIRA_PROFILE_SAMPLES:
    return sizeof(cira_profile_sample_t);
  case CIRA_PROFILE_CALLS:
    return sizeof(cira_profile_calls_t);
  default:
    return 1;
  }
}

cira_status_t cira_profile_file_block(const cira_profile_file_t *file,
                                      uint64_t i, cira_profile_view_t *out) {
  uint64_t at = CIRA_PROFILE_HEADER_BYTES + i * CIRA_PROFILE_BLOCK_BYTES;
  const cira_profile_block_t *b = (const void *)(file->bytes + at);
  if (b->magic == 0) {
    return CIRA_AGAIN;
  }
  /* pairs with: record_commit */
  uint32_t used = atomic_load_explicit(&b->used_bytes, memory_order_acquire);
  if (b->magic != CIRA_PROFILE_BLOCK_MAGIC || b->kind == CIRA_PROFILE_FREE ||
      b->kind >= CIRA_PROFILE_KINDS ||
      b->record_bytes != record_bytes(b->kind) ||
      used > CIRA_PROFILE_PAYLOAD_BYTES || used % b->record_bytes != 0 ||
      b->weight == 0 || b->weight > 1u << CIRA_PROFILE_WEIGHT_LOG2_MAX) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "block %llu (byte %llu of the profile) is damaged; "
                      "record it again",
                      (unsigned long long)i, (unsigned long long)at);
  }
  *out = (cira_profile_view_t){
      .kind = b->kind,
      .weight = b->weight,
      .pid = b->pid,
      .tid = b->tid,
      .start_ns = b->start_ns,
      .records = b + 1,
      .count = used / b->record_bytes,
  };
  return CIRA_OK;
}
