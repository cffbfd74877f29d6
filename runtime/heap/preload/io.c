/* SPDX-License-Identifier: Apache-2.0
 *
 * io: reading and writing through descriptors. A buffer can be larger than what
 * may be pinned at once; then the transfer goes in windows, and looks to the
 * program like one call:
 *   - files and devices other than terminals go on until a window comes back
 *     short, writes to anything too;
 *   - pipes, terminals and stream sockets may return less, as they always may;
 *   - message sockets get the whole buffer, as a near copy.
 * An error after the first window is reported by the next call, as the kernel
 * does. All calls are one engine over vectors (transfer).
 * Threads: any; signal-safe; cancellation points.
 */
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "heap/preload/shim.h"

#define BATCH 16u /* vector elements per real call */

SHIM_SLOT(read);
SHIM_SLOT(write);
SHIM_SLOT(pread64);
SHIM_SLOT(pwrite64);
SHIM_SLOT(readv);
SHIM_SLOT(writev);
SHIM_SLOT(preadv64v2);
SHIM_SLOT(pwritev64v2);

typedef struct {
  int fd;
  bool writing;
  bool positioned; /* at `offset`, with `flags` */
  off64_t offset;
  int flags;
} transfer_t;

static ssize_t transfer_real(const transfer_t *t, const struct iovec *v,
                             int count, uint64_t done) {
  if (t->positioned) {
    off64_t at = t->offset == -1 ? -1 : t->offset + (off64_t)done;
    return t->writing ? REAL(pwritev64v2)(t->fd, v, count, at, t->flags)
                      : REAL(preadv64v2)(t->fd, v, count, at, t->flags);
  }
  if (count == 1) {
    return t->writing ? REAL(write)(t->fd, v->iov_base, v->iov_len)
                      : REAL(read)(t->fd, v->iov_base, v->iov_len);
  }
  return t->writing ? REAL(writev)(t->fd, v, count)
                    : REAL(readv)(t->fd, v, count);
}

typedef enum { KIND_STREAM, KIND_FILE, KIND_MESSAGES } kind_t;

static kind_t descriptor_kind(int fd) {
  struct stat st;
  int type = 0;
  socklen_t bytes = sizeof(type);
  int saved = errno;
  kind_t kind = KIND_STREAM;
  if (fstat(fd, &st) == 0) {
    if (S_ISSOCK(st.st_mode)) {
      if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 &&
          type != SOCK_STREAM) {
        kind = KIND_MESSAGES;
      }
    } else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ||
               (S_ISCHR(st.st_mode) && !isatty(fd))) {
      kind = KIND_FILE;
    }
  }
  errno = saved;
  return kind;
}

/* Where in a vector a transfer stands. */
typedef struct {
  const struct iovec *v;
  int count;
  int index;
  uint64_t within;
} place_t;

static void place_advance(place_t *p, uint64_t bytes) {
  while (p->index < p->count && bytes >= p->v[p->index].iov_len - p->within) {
    bytes -= p->v[p->index].iov_len - p->within;
    p->within = 0;
    p->index++;
  }
  p->within += bytes;
}

/* The pinned elements of one real call. */
typedef struct {
  struct iovec v[BATCH];
  uint64_t pinned[BATCH];
  int count;
  uint64_t bytes;
} window_t;

static void window_unpin(window_t *w) {
  int saved = errno;
  for (int i = 0; i < w->count; i++) {
    if (w->pinned[i] > 0) {
      shim_unpin(w->v[i].iov_base, w->pinned[i]);
    }
  }
  w->count = 0;
  errno = saved;
}

/* Pins from the place on, until the batch or the room for pins is full. */
static void window_pin(window_t *w, place_t p, bool writing) {
  uint32_t flags = writing ? CIRA_PIN_READ : CIRA_PIN_WRITE;
  w->count = 0;
  w->bytes = 0;
  while (p.index < p.count && w->count < (int)BATCH) {
    char *base = (char *)p.v[p.index].iov_base + p.within;
    uint64_t n = p.v[p.index].iov_len - p.within;
    uint64_t got = n;
    w->pinned[w->count] = 0;
    if (n > 0 && cira_space_contains(base)) {
      got = shim_pin(base, n, flags);
      w->pinned[w->count] = got;
    }
    w->v[w->count].iov_base = base;
    w->v[w->count].iov_len = got;
    w->count++;
    w->bytes += got;
    if (got < n) {
      break; /* the rest waits for the next window */
    }
    p.within = 0;
    p.index++;
  }
}

static uint64_t vector_bytes(const struct iovec *v, int count) {
  uint64_t bytes = 0;
  for (int i = 0; i < count; i++) {
    if (!cira__add_ok(bytes, v[i].iov_len, &bytes)) {
      return UINT64_MAX;
    }
  }
  return bytes;
}

static void vector_copy(const struct iovec *v, int count, char *flat,
                        uint64_t bytes, bool to_flat) {
  for (int i = 0; i < count && bytes > 0; i++) {
    uint64_t n = cira__min_u64(v[i].iov_len, bytes);
    if (to_flat) {
      memcpy(flat, v[i].iov_base, n);
    } else {
      memcpy(v[i].iov_base, flat, n);
    }
    flat += n;
    bytes -= n;
  }
}

/* One message: all of it at once, by way of a near copy. */
static ssize_t transfer_message(const transfer_t *t, const struct iovec *v,
                                int count, uint64_t bytes) {
  struct iovec one = {shim_near_map(bytes), bytes};
  if (one.iov_base == NULL) {
    errno = ENOMEM;
    return -1;
  }
  if (t->writing) {
    vector_copy(v, count, one.iov_base, bytes, true);
  }
  ssize_t n = transfer_real(t, &one, 1, 0);
  if (!t->writing && n > 0) {
    vector_copy(v, count, one.iov_base, (uint64_t)n, false);
  }
  int saved = errno;
  shim_near_unmap(one.iov_base, bytes);
  errno = saved;
  return n;
}

static void window_cleanup(window_t *w) {
  window_unpin(w);
}

CIRA_COLD static ssize_t transfer(const transfer_t *t, const struct iovec *v,
                                  int count) {
  place_t place = {v, count, 0, 0};
  uint64_t total = vector_bytes(v, count);
  uint64_t done = 0;
  kind_t kind = KIND_STREAM;
  if (total > INT64_MAX) {
    errno = EINVAL;
    return -1;
  }
  SHIM_GUARD_STACK();
  window_t w __attribute__((cleanup(window_cleanup)));
  w.count = 0;
  for (;;) {
    window_pin(&w, place, t->writing);
    if (done == 0 && w.bytes < total) {
      kind = descriptor_kind(t->fd);
      if (kind == KIND_MESSAGES) {
        window_unpin(&w);
        ssize_t n = transfer_message(t, v, count, total);
        return n;
      }
    }
    ssize_t n = transfer_real(t, w.v, w.count, done);
    window_unpin(&w);
    if (n < 0) {
      return done > 0 ? (ssize_t)done : -1;
    }
    done += (uint64_t)n;
    bool short_one = (uint64_t)n < w.bytes;
    if (short_one || done >= total || w.bytes == 0 ||
        (kind == KIND_STREAM && !t->writing)) {
      return (ssize_t)done;
    }
    place_advance(&place, (uint64_t)n);
  }
}

static bool vector_far(const struct iovec *v, int count) {
  if (shim_far(v)) {
    return true;
  }
  if (cira__space == NULL || v == NULL || count < 0 || count > IOV_MAX) {
    return false; /* the kernel will say what is wrong */
  }
  for (int i = 0; i < count; i++) {
    if (shim_far(v[i].iov_base)) {
      return true;
    }
  }
  return false;
}

static bool vector_count_ok(int count) {
  if (count < 0 || count > IOV_MAX) {
    errno = EINVAL;
    return false;
  }
  return true;
}

/* ---- read and write ----------------------------------------------------- */

SHIM_EXPORT ssize_t read(int fd, void *buf, size_t bytes) {
  if (CIRA_LIKELY(!(shim_far(buf) | SHIM_FAR_STACK()))) {
    return REAL(read)(fd, buf, bytes);
  }
  transfer_t t = {.fd = fd};
  struct iovec v = {buf, bytes};
  return transfer(&t, &v, 1);
}

SHIM_EXPORT ssize_t write(int fd, const void *buf, size_t bytes) {
  if (CIRA_LIKELY(!(shim_far(buf) | SHIM_FAR_STACK()))) {
    return REAL(write)(fd, buf, bytes);
  }
  transfer_t t = {.fd = fd, .writing = true};
  struct iovec v = {(void *)(uintptr_t)buf, bytes};
  return transfer(&t, &v, 1);
}

static bool offset_ok(off64_t offset) {
  if (offset < 0) {
    errno = EINVAL;
    return false;
  }
  return true;
}

SHIM_EXPORT ssize_t pread64(int fd, void *buf, size_t bytes, off64_t offset) {
  if (CIRA_LIKELY(!(shim_far(buf) | SHIM_FAR_STACK())) || offset < 0) {
    return REAL(pread64)(fd, buf, bytes, offset);
  }
  transfer_t t = {.fd = fd, .positioned = true, .offset = offset};
  struct iovec v = {buf, bytes};
  return transfer(&t, &v, 1);
}

SHIM_EXPORT ssize_t pread(int fd, void *buf, size_t bytes, off_t offset) {
  return pread64(fd, buf, bytes, offset);
}

SHIM_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t bytes,
                             off64_t offset) {
  if (CIRA_LIKELY(!(shim_far(buf) | SHIM_FAR_STACK())) || offset < 0) {
    return REAL(pwrite64)(fd, buf, bytes, offset);
  }
  transfer_t t = {
      .fd = fd, .writing = true, .positioned = true, .offset = offset};
  struct iovec v = {(void *)(uintptr_t)buf, bytes};
  return transfer(&t, &v, 1);
}

SHIM_EXPORT ssize_t pwrite(int fd, const void *buf, size_t bytes,
                           off_t offset) {
  return pwrite64(fd, buf, bytes, offset);
}

/* ---- vectors ------------------------------------------------------------ */

SHIM_EXPORT ssize_t readv(int fd, const struct iovec *v, int count) {
  if (CIRA_LIKELY(!(vector_far(v, count) | SHIM_FAR_STACK()))) {
    return REAL(readv)(fd, v, count);
  }
  transfer_t t = {.fd = fd};
  return vector_count_ok(count) ? transfer(&t, v, count) : -1;
}

SHIM_EXPORT ssize_t writev(int fd, const struct iovec *v, int count) {
  if (CIRA_LIKELY(!(vector_far(v, count) | SHIM_FAR_STACK()))) {
    return REAL(writev)(fd, v, count);
  }
  transfer_t t = {.fd = fd, .writing = true};
  return vector_count_ok(count) ? transfer(&t, v, count) : -1;
}

SHIM_EXPORT ssize_t preadv64v2(int fd, const struct iovec *v, int count,
                               off64_t offset, int flags) {
  if (CIRA_LIKELY(!(vector_far(v, count) | SHIM_FAR_STACK()))) {
    return REAL(preadv64v2)(fd, v, count, offset, flags);
  }
  transfer_t t = {
      .fd = fd, .positioned = true, .offset = offset, .flags = flags};
  return vector_count_ok(count) ? transfer(&t, v, count) : -1;
}

SHIM_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *v, int count,
                                off64_t offset, int flags) {
  if (CIRA_LIKELY(!(vector_far(v, count) | SHIM_FAR_STACK()))) {
    return REAL(pwritev64v2)(fd, v, count, offset, flags);
  }
  transfer_t t = {.fd = fd,
                  .writing = true,
                  .positioned = true,
                  .offset = offset,
                  .flags = flags};
  return vector_count_ok(count) ? transfer(&t, v, count) : -1;
}

SHIM_EXPORT ssize_t preadv2(int fd, const struct iovec *v, int count,
                            off_t offset, int flags) {
  return preadv64v2(fd, v, count, offset, flags);
}

SHIM_EXPORT ssize_t pwritev2(int fd, const struct iovec *v, int count,
                             off_t offset, int flags) {
  return pwritev64v2(fd, v, count, offset, flags);
}

SHIM_EXPORT ssize_t preadv64(int fd, const struct iovec *v, int count,
                             off64_t offset) {
  return offset_ok(offset) ? preadv64v2(fd, v, count, offset, 0) : -1;
}

SHIM_EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int count,
                              off64_t offset) {
  return offset_ok(offset) ? pwritev64v2(fd, v, count, offset, 0) : -1;
}

SHIM_EXPORT ssize_t preadv(int fd, const struct iovec *v, int count,
                           off_t offset) {
  return preadv64(fd, v, count, offset);
}

SHIM_EXPORT ssize_t pwritev(int fd, const struct iovec *v, int count,
                            off_t offset) {
  return pwritev64(fd, v, count, offset);
}

/* ---- the checked forms of fortified programs ---------------------------- */

void __chk_fail(void) __attribute__((noreturn));
ssize_t __read_chk(int fd, void *buf, size_t bytes, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t bytes, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t bytes, off64_t offset,
                      size_t room);

SHIM_EXPORT ssize_t __read_chk(int fd, void *buf, size_t bytes, size_t room) {
  if (bytes > room) {
    __chk_fail();
  }
  return read(fd, buf, bytes);
}

SHIM_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t bytes, off_t offset,
                                size_t room) {
  if (bytes > room) {
    __chk_fail();
  }
  return pread64(fd, buf, bytes, offset);
}

SHIM_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t bytes,
                                  off64_t offset, size_t room) {
  if (bytes > room) {
    __chk_fail();
  }
  return pread64(fd, buf, bytes, offset);
}
