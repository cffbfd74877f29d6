/* SPDX-License-Identifier: Apache-2.0
 *
 * calls_net: sockets. Addresses and options are pinned (tables). Data of stream
 * sockets goes in pieces when it is large; a message of any other socket goes
 * at once. sendmsg and recvmsg with far pieces use one flat near buffer.
 * Threads: any; signal-safe; cancellation points.
 */
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "heap/preload/shim.h"

#define PIECE_BYTES (UINT64_C(1) << 20) /* 1 MiB of a stream at a time */
#define FLAT_BYTES (16u << 10)          /* of a message, on the stack */
#define ADDRESS_MAX 4096u

/* What a caller's length variable may make the kernel write. */
static uint64_t length_of(const socklen_t *n) {
  return n == NULL ? 0 : cira__min_u64(*n, 64u << 10);
}
#define LENGTH(n) INOUT(n, (n) ? sizeof(*(n)) : 0)

/* ---- addresses and options ---------------------------------------------- */

#define ADDR_IN(a, n) IN(a, cira__min_u64(n, ADDRESS_MAX))
WRAP(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n),
     ADDR_IN(a, n))
WRAP(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n),
     ADDR_IN(a, n))
WRAP(int, accept, (int fd, struct sockaddr *restrict a, socklen_t *restrict n),
     (fd, a, n), OUT(a, length_of(n)), LENGTH(n))
WRAP(int, accept4,
     (int fd, struct sockaddr *restrict a, socklen_t *restrict n, int flags),
     (fd, a, n, flags), OUT(a, length_of(n)), LENGTH(n))
WRAP(int, getsockname,
     (int fd, struct sockaddr *restrict a, socklen_t *restrict n), (fd, a, n),
     OUT(a, length_of(n)), LENGTH(n))
WRAP(int, getpeername,
     (int fd, struct sockaddr *restrict a, socklen_t *restrict n), (fd, a, n),
     OUT(a, length_of(n)), LENGTH(n))
WRAP(int, getsockopt,
     (int fd, int level, int option, void *restrict value,
      socklen_t *restrict n),
     (fd, level, option, value, n), INOUT(value, length_of(n)), LENGTH(n))
WRAP(int, setsockopt,
     (int fd, int level, int option, const void *value, socklen_t n),
     (fd, level, option, value, n), IN(value, cira__min_u64(n, 64u << 10)))
WRAP(int, socketpair, (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds), OUT(fds, 2 * sizeof(int)))

/* ---- data --------------------------------------------------------------- */

static bool is_stream(int fd) {
  int type = 0;
  int saved = errno;
  socklen_t n = sizeof(type);
  bool stream = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
                type == SOCK_STREAM;
  errno = saved;
  return stream;
}

SHIM_SLOT(sendto);
SHIM_SLOT(recvfrom);

static ssize_t send_piece(int fd, const void *buf, size_t n, int flags,
                          const struct sockaddr *a, socklen_t a_n) {
  shim_area_t areas[] = {IN(buf, n), ADDR_IN(a, a_n)};
  SHIM_GUARD(areas);
  ssize_t result = REAL(sendto)(fd, buf, n, flags, a, a_n);
  return result;
}

SHIM_EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags,
                           const struct sockaddr *a, socklen_t a_n) {
  if (CIRA_LIKELY(!(SHIM_FAR_2(buf, a) | SHIM_FAR_STACK()))) {
    return REAL(sendto)(fd, buf, n, flags, a, a_n);
  }
  if (n <= PIECE_BYTES || !is_stream(fd)) {
    return send_piece(fd, buf, n, flags, a, a_n);
  }
  uint64_t done = 0;
  while (done < n) {
    uint64_t piece = cira__min_u64(n - done, PIECE_BYTES);
    ssize_t r = send_piece(fd, (const char *)buf + done, piece, flags, a, a_n);
    if (r < 0) {
      return done > 0 ? (ssize_t)done : -1;
    }
    done += (uint64_t)r;
    if ((uint64_t)r < piece) {
      break;
    }
  }
  return (ssize_t)done;
}

SHIM_EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags) {
  return sendto(fd, buf, n, flags, NULL, 0);
}

static ssize_t recv_piece(int fd, void *buf, size_t n, int flags,
                          struct sockaddr *a, socklen_t *a_n) {
  shim_area_t areas[] = {OUT(buf, n), OUT(a, length_of(a_n)), LENGTH(a_n)};
  SHIM_GUARD(areas);
  ssize_t result = REAL(recvfrom)(fd, buf, n, flags, a, a_n);
  return result;
}

SHIM_EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags,
                             struct sockaddr *restrict a,
                             socklen_t *restrict a_n) {
  if (CIRA_LIKELY(!(SHIM_FAR_3(buf, a, a_n) | SHIM_FAR_STACK()))) {
    return REAL(recvfrom)(fd, buf, n, flags, a, a_n);
  }
  if (n <= PIECE_BYTES || !is_stream(fd)) {
    return recv_piece(fd, buf, n, flags, a, a_n);
  }
  uint64_t done = 0;
  do {
    uint64_t piece = cira__min_u64(n - done, PIECE_BYTES);
    ssize_t r = recv_piece(fd, (char *)buf + done, piece, flags, a, a_n);
    if (r < 0) {
      return done > 0 ? (ssize_t)done : -1;
    }
    done += (uint64_t)r;
    if ((uint64_t)r < piece) {
      break;
    }
  } while (done < n && (flags & MSG_WAITALL) != 0);
  return (ssize_t)done;
}

SHIM_EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags) {
  return recvfrom(fd, buf, n, flags, NULL, NULL);
}

void __chk_fail(void) __attribute__((noreturn));
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
                       struct sockaddr *a, socklen_t *a_n);
SHIM_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room,
                               int flags) {
  if (n > room) {
    __chk_fail();
  }
  return recv(fd, buf, n, flags);
}
SHIM_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room,
                                   int flags, struct sockaddr *a,
                                   socklen_t *a_n) {
  if (n > room) {
    __chk_fail();
  }
  return recvfrom(fd, buf, n, flags, a, a_n);
}

/* ---- messages ----------------------------------------------------------- */

SHIM_SLOT(sendmsg);
SHIM_SLOT(recvmsg);
SHIM_SLOT(sendmmsg);
SHIM_SLOT(recvmmsg);

static bool message_far(const struct msghdr *m) {
  if (cira__space == NULL || m == NULL) {
    return false;
  }
  if (shim_far(m) || SHIM_FAR_3(m->msg_name, m->msg_iov, m->msg_control)) {
    return true;
  }
  for (size_t i = 0; i < m->msg_iovlen && m->msg_iovlen <= 1024; i++) {
    if (shim_far(m->msg_iov[i].iov_base)) {
      return true;
    }
  }
  return false;
}

/* A message's pieces in one near place. */
typedef struct {
  struct iovec one;
  void *mapped;
  uint64_t bytes;
} flat_t;

static void flat_release(flat_t *f) {
  int saved = errno;
  shim_near_unmap(f->mapped, f->bytes);
  errno = saved;
}

/* Bytes of the pieces; false when the kernel would refuse them. */
static bool message_bytes(const struct msghdr *m, uint64_t *out) {
  *out = 0;
  if (m->msg_iovlen > 1024) {
    errno = EMSGSIZE;
    return false;
  }
  for (size_t i = 0; i < m->msg_iovlen; i++) {
    if (!cira__add_ok(*out, m->msg_iov[i].iov_len, out) || *out > INT64_MAX) {
      errno = EINVAL;
      return false;
    }
  }
  return true;
}

static bool flat_make(flat_t *f, char *stack, uint64_t bytes) {
  f->bytes = bytes;
  f->one = (struct iovec){stack, bytes};
  if (bytes > FLAT_BYTES || shim_far(stack)) {
    f->mapped = f->one.iov_base = shim_near_map(bytes + 1);
  }
  if (f->one.iov_base == NULL) {
    errno = ENOBUFS;
    return false;
  }
  return true;
}

/* Copies `bytes` bytes between the flat buffer and the pieces from `skip` on.
 */
static void flat_copy(const flat_t *f, const struct msghdr *m, uint64_t skip,
                      uint64_t bytes, bool to_flat) {
  char *flat = f->one.iov_base;
  for (size_t i = 0; i < m->msg_iovlen && bytes > 0; i++) {
    uint64_t n = m->msg_iov[i].iov_len;
    if (skip >= n) {
      skip -= n;
      continue;
    }
    char *piece = (char *)m->msg_iov[i].iov_base + skip;
    n = cira__min_u64(n - skip, bytes);
    skip = 0;
    if (to_flat) {
      memcpy(flat, piece, n);
    } else {
      memcpy(piece, flat, n);
    }
    flat += n;
    bytes -= n;
  }
}

static ssize_t sendmsg_far(int fd, const struct msghdr *message, int flags) {
  char stack[FLAT_BYTES];
  struct msghdr m = *message;
  uint64_t total;
  if (!message_bytes(&m, &total)) {
    return -1;
  }
  bool pieces = total > PIECE_BYTES && is_stream(fd);
  flat_t f __attribute__((cleanup(flat_release))) = {0};
  if (!flat_make(&f, stack, pieces ? PIECE_BYTES : total)) {
    return -1;
  }
  uint64_t done = 0;
  do {
    uint64_t n = cira__min_u64(total - done, f.bytes);
    flat_copy(&f, message, done, n, true);
    f.one.iov_len = n;
    m.msg_iov = &f.one;
    m.msg_iovlen = total > 0;
    shim_area_t areas[] = {IN(m.msg_name, m.msg_namelen),
                           IN(m.msg_control, m.msg_controllen)};
    SHIM_GUARD(areas);
    ssize_t r = REAL(sendmsg)(fd, &m, flags);
    if (r < 0) {
      return done > 0 ? (ssize_t)done : -1;
    }
    done += (uint64_t)r;
    m.msg_controllen = 0; /* goes with the first byte only */
    if ((uint64_t)r < n) {
      break;
    }
  } while (done < total);
  return (ssize_t)done;
}

SHIM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
  if (CIRA_LIKELY(!(message_far(m) | SHIM_FAR_STACK()))) {
    return REAL(sendmsg)(fd, m, flags);
  }
  return sendmsg_far(fd, m, flags);
}

static ssize_t recvmsg_far(int fd, struct msghdr *message, int flags) {
  char stack[FLAT_BYTES];
  struct msghdr m = *message;
  uint64_t total;
  if (!message_bytes(&m, &total)) {
    return -1;
  }
  if (total > PIECE_BYTES && is_stream(fd)) {
    total = PIECE_BYTES; /* the rest comes with the next call */
  }
  flat_t f __attribute__((cleanup(flat_release))) = {0};
  if (!flat_make(&f, stack, total)) {
    return -1;
  }
  m.msg_iov = &f.one;
  m.msg_iovlen = total > 0;
  ssize_t r;
  {
    shim_area_t areas[] = {OUT(m.msg_name, m.msg_namelen),
                           OUT(m.msg_control, m.msg_controllen)};
    SHIM_GUARD(areas);
    r = REAL(recvmsg)(fd, &m, flags);
  }
  if (r >= 0) {
    flat_copy(&f, message, 0, cira__min_u64((uint64_t)r, total), false);
    message->msg_namelen = m.msg_namelen;
    message->msg_controllen = m.msg_controllen;
    message->msg_flags = m.msg_flags;
  }
  return r;
}

SHIM_EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags) {
  if (CIRA_LIKELY(!(message_far(m) | SHIM_FAR_STACK()))) {
    return REAL(recvmsg)(fd, m, flags);
  }
  return recvmsg_far(fd, m, flags);
}

static bool messages_far(const struct mmsghdr *v, unsigned n) {
  bool far = shim_far(v);
  for (unsigned i = 0; !far && v != NULL && i < n && i < 1024; i++) {
    far = message_far(&v[i].msg_hdr);
  }
  return far;
}

SHIM_EXPORT int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags) {
  if (CIRA_LIKELY(!(messages_far(v, n) | SHIM_FAR_STACK()))) {
    return REAL(sendmmsg)(fd, v, n, flags);
  }
  unsigned done = 0;
  for (; done < n && done < 1024; done++) {
    ssize_t r = sendmsg(fd, &v[done].msg_hdr, flags);
    if (r < 0) {
      return done > 0 ? (int)done : -1;
    }
    v[done].msg_len = (unsigned)r;
  }
  return (int)done;
}

SHIM_EXPORT int recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags,
                         struct timespec *timeout) {
  if (CIRA_LIKELY(
          !(messages_far(v, n) | SHIM_FAR_1(timeout) | SHIM_FAR_STACK()))) {
    return REAL(recvmmsg)(fd, v, n, flags, timeout);
  }
  uint64_t limit_ns = UINT64_MAX;
  if (timeout != NULL) {
    limit_ns = cira__now_ns() + (uint64_t)timeout->tv_sec * 1000000000u +
               (uint64_t)timeout->tv_nsec;
  }
  int each = flags & ~MSG_WAITFORONE;
  unsigned done = 0;
  while (done < n && done < 1024) {
    ssize_t r = recvmsg(fd, &v[done].msg_hdr, each);
    if (r < 0) {
      return done > 0 ? (int)done : -1;
    }
    v[done++].msg_len = (unsigned)r;
    if ((flags & MSG_WAITFORONE) != 0) {
      each |= MSG_DONTWAIT;
    }
    if (cira__now_ns() >= limit_ns) {
      break; /* looked at after each message, as the kernel does */
    }
  }
  return (int)done;
}
