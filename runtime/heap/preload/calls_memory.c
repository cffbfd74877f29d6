/* SPDX-License-Identifier: Apache-2.0
 *
 * calls_memory: calls on mappings, given addresses of the far range. The range
 * belongs to the pager; what a program means by a call is done through the
 * space where that exists, and refused with a documented errno where not
 * (docs/unhandled-calls.md). The pager's own calls pass.
 * Threads: any.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap/preload/shim.h"

#define CALLER __builtin_return_address(0)

/* True for a program's call on far memory. */
#define FOREIGN(p) (shim_far(p) && !shim_is_own_code(CALLER))

static bool page_aligned(const void *p) {
  return (uint64_t)(uintptr_t)p % CIRA_PAGE_BYTES == 0;
}

static int refuse(int error) {
  errno = error;
  return -1;
}

static int advise_far(void *p, size_t bytes, int advice) {
  bytes = cira__align_up(bytes, CIRA_PAGE_BYTES);
  if (!page_aligned(p) ||
      !cira__range_ok((uint64_t)(uintptr_t)p, bytes, cira__space_hi)) {
    return refuse(EINVAL);
  }
  switch (advice) {
  case MADV_DONTNEED: /* reads as zero afterwards */
  case MADV_FREE:     /* may read as zero afterwards */
    cira_space_discard(cira__space, p, bytes);
    return 0;
  case MADV_WILLNEED:
  case MADV_POPULATE_READ:
  case MADV_POPULATE_WRITE:
    cira_space_prefetch(cira__space, p, bytes);
    return 0;
  case MADV_COLD:
  case MADV_PAGEOUT:
    cira_space_evict_hint(cira__space, p, bytes);
    return 0;
  case MADV_NORMAL:
  case MADV_RANDOM:
  case MADV_SEQUENTIAL:
  case MADV_HUGEPAGE:
  case MADV_NOHUGEPAGE:
  case MADV_MERGEABLE:
  case MADV_UNMERGEABLE:
  case MADV_DONTDUMP:
  case MADV_DODUMP:
    return 0; /* advice that changes no result */
  default:
    return refuse(EINVAL);
  }
}

SHIM_SLOT(madvise);
SHIM_EXPORT int madvise(void *p, size_t bytes, int advice) {
  return FOREIGN(p) ? advise_far(p, bytes, advice)
                    : REAL(madvise)(p, bytes, advice);
}

SHIM_SLOT(posix_madvise);
SHIM_EXPORT int posix_madvise(void *p, size_t bytes, int advice) {
  if (!FOREIGN(p)) {
    return REAL(posix_madvise)(p, bytes, advice);
  }
  if (advice == POSIX_MADV_DONTNEED) { /* here content is kept */
    cira_space_evict_hint(cira__space, p, bytes);
  } else if (advice == POSIX_MADV_WILLNEED) {
    cira_space_prefetch(cira__space, p, bytes);
  }
  return 0;
}

SHIM_SLOT(mprotect);
SHIM_EXPORT int mprotect(void *p, size_t bytes, int protection) {
  if (!FOREIGN(p)) {
    return REAL(mprotect)(p, bytes, protection);
  }
  if (protection == (PROT_READ | PROT_WRITE)) {
    return 0; /* it is */
  }
  CIRA_LOG(CIRA_LOG_WARN,
           "mprotect(%p): far memory is readable and writable and nothing "
           "else; refused with EACCES (docs/unhandled-calls.md)",
           p);
  return refuse(EACCES);
}

SHIM_SLOT(pkey_mprotect);
SHIM_EXPORT int pkey_mprotect(void *p, size_t bytes, int protection, int key) {
  return FOREIGN(p) ? refuse(EACCES)
                    : REAL(pkey_mprotect)(p, bytes, protection, key);
}

SHIM_SLOT(munmap);
SHIM_EXPORT int munmap(void *p, size_t bytes) {
  return FOREIGN(p) ? refuse(EINVAL) : REAL(munmap)(p, bytes);
}

#define MMAP(name, offset_t)                                                   \
  SHIM_SLOT(name);                                                             \
  SHIM_EXPORT void *name(void *p, size_t bytes, int protection, int flags,     \
                         int fd, offset_t offset) {                            \
    if (FOREIGN(p) && (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {      \
      errno = (flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE ? EEXIST    \
                                                                   : EINVAL;   \
      return MAP_FAILED;                                                       \
    }                                                                          \
    return REAL(name)(p, bytes, protection, flags, fd, offset);                \
  }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

SHIM_SLOT(mremap);
SHIM_EXPORT void *mremap(void *p, size_t bytes, size_t new_bytes, int flags,
                         ...) {
  va_list ap;
  va_start(ap, flags);
  void *to = (flags & MREMAP_FIXED) ? va_arg(ap, void *) : NULL;
  va_end(ap);
  if (FOREIGN(p) || FOREIGN(to)) {
    errno = EINVAL;
    return MAP_FAILED;
  }
  return REAL(mremap)(p, bytes, new_bytes, flags, to);
}

SHIM_SLOT(msync);
SHIM_EXPORT int msync(void *p, size_t bytes, int flags) {
  return FOREIGN(p) ? 0 : REAL(msync)(p, bytes, flags);
}

/* Locked pages could never be evicted, and the kernel would fill the range. */
SHIM_SLOT(mlock);
SHIM_EXPORT int mlock(const void *p, size_t bytes) {
  return FOREIGN(p) ? refuse(ENOMEM) : REAL(mlock)(p, bytes);
}

SHIM_SLOT(mlock2);
SHIM_EXPORT int mlock2(const void *p, size_t bytes, unsigned flags) {
  return FOREIGN(p) ? refuse(ENOMEM) : REAL(mlock2)(p, bytes, flags);
}

SHIM_SLOT(munlock);
SHIM_EXPORT int munlock(const void *p, size_t bytes) {
  return FOREIGN(p) ? 0 : REAL(munlock)(p, bytes);
}

SHIM_SLOT(mlockall);
SHIM_EXPORT int mlockall(int flags) {
  return cira__space != NULL ? refuse(ENOMEM) : REAL(mlockall)(flags);
}

WRAP(int, mincore, (void *p, size_t bytes, unsigned char *out), (p, bytes, out),
     OUT(out, cira__align_up(bytes, CIRA_PAGE_BYTES) / CIRA_PAGE_BYTES))
