/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls without libc in between. The preload shim interposes libc's
 * wrappers (read, send, poll, sigprocmask, ...) to make far buffers present;
 * the runtime's own calls must not come back into it, must not set errno and
 * must work inside signal handlers. Every function returns the result, or the
 * negative errno.
 * Depends on nothing. Signal-safe, any thread.
 */
#ifndef CIRA_BASE_SYS_H
#define CIRA_BASE_SYS_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
static inline long cira__syscall6(long nr, long a, long b, long c, long d,
                                  long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
static inline long cira__syscall6(long nr, long a, long b, long c, long d,
                                  long e, long f) {
  register long x8 __asm__("x8") = nr;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
static inline long cira__syscall6(long nr, long a, long b, long c, long d,
                                  long e, long f) {
  register long a7 __asm__("a7") = nr;
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  register long a3 __asm__("a3") = d;
  register long a4 __asm__("a4") = e;
  register long a5 __asm__("a5") = f;
  __asm__ volatile("ecall"
                   : "+r"(a0)
                   : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                   : "memory");
  return a0;
}
#else
#error "cira: add the system call sequence of this processor"
#endif

#define CIRA__SYS(nr, a, b, c, d, e, f)                                        \
  cira__syscall6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e),  \
                 (long)(f))

static inline long cira__sys_read(int fd, void *buf, size_t bytes) {
  return CIRA__SYS(SYS_read, fd, buf, bytes, 0, 0, 0);
}
static inline long cira__sys_write(int fd, const void *buf, size_t bytes) {
  return CIRA__SYS(SYS_write, fd, buf, bytes, 0, 0, 0);
}
/* ThreadSanitizer follows descriptors through libc: what opens and closes them
 * has to go by there, or their numbers seem to be shared between threads. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CIRA__SYS_BY_LIBC 1
#endif
#endif
static inline long cira__sys_close(int fd) {
#ifdef CIRA__SYS_BY_LIBC
  return close(fd) < 0 ? -errno : 0;
#else
  return CIRA__SYS(SYS_close, fd, 0, 0, 0, 0, 0);
#endif
}
static inline long cira__sys_send(int fd, const void *buf, size_t bytes,
                                  int flags) {
  return CIRA__SYS(SYS_sendto, fd, buf, bytes, flags, 0, 0);
}
static inline long cira__sys_recv(int fd, void *buf, size_t bytes, int flags) {
  return CIRA__SYS(SYS_recvfrom, fd, buf, bytes, flags, 0, 0);
}
static inline long cira__sys_sendmsg(int fd, const struct msghdr *msg,
                                     int flags) {
  return CIRA__SYS(SYS_sendmsg, fd, msg, flags, 0, 0, 0);
}
static inline long cira__sys_recvmsg(int fd, struct msghdr *msg, int flags) {
#ifdef CIRA__SYS_BY_LIBC
  long n = recvmsg(fd, msg, flags);
  return n < 0 ? -errno : n;
#else
  return CIRA__SYS(SYS_recvmsg, fd, msg, flags, 0, 0, 0);
#endif
}
static inline long cira__sys_madvise(void *at, size_t bytes, int advice) {
  return CIRA__SYS(SYS_madvise, at, bytes, advice, 0, 0, 0);
}
/* ppoll without a signal mask; a negative timeout waits for ever. */
static inline long cira__sys_poll(struct pollfd *fds, unsigned count,
                                  int64_t timeout_ns) {
  struct timespec ts = {.tv_sec = timeout_ns / 1000000000,
                        .tv_nsec = timeout_ns % 1000000000};
  return CIRA__SYS(SYS_ppoll, fds, count, timeout_ns < 0 ? 0 : &ts, 0, 0, 0);
}
static inline long cira__sys_futex(_Atomic uint32_t *word, int op,
                                   uint32_t value) {
  return CIRA__SYS(SYS_futex, word, op, value, 0, 0, 0);
}
static inline long cira__sys_sigprocmask(int how, const uint64_t *set,
                                         uint64_t *old) {
  return CIRA__SYS(SYS_rt_sigprocmask, how, set, old, sizeof(*set), 0, 0);
}

#endif
