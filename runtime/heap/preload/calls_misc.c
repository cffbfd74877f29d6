/* SPDX-License-Identifier: Apache-2.0
 *
 * calls_misc: waiting, time, limits, processes, scheduling, descriptors and
 * System V and POSIX queues, as tables; see WRAP in shim.h. The descriptors of
 * the pager are kept from programs that close everything they find.
 * Threads: any; signal-safe where the C library is.
 */
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "heap/preload/shim.h"

#define OPT_IN(p) IN(p, (p) ? sizeof(*(p)) : 0)
#define OPT_OUT(p) OUT(p, (p) ? sizeof(*(p)) : 0)
#define OPT_INOUT(p) INOUT(p, (p) ? sizeof(*(p)) : 0)
#define COUNTED(n, p) ((n) > 0 ? (uint64_t)(n) * sizeof(*(p)) : 0)

/* ---- readiness ---------------------------------------------------------- */

#define FD_SET_BYTES(n) ((n) > 0 ? ((uint64_t)(n) + 63) / 64 * 8 : 0)
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout),
     INOUT(fds, n * sizeof(*fds)))
WRAP(int, select,
     (int n, fd_set *restrict r, fd_set *restrict w, fd_set *restrict e,
      struct timeval *restrict t),
     (n, r, w, e, t), INOUT(r, FD_SET_BYTES(n)), INOUT(w, FD_SET_BYTES(n)),
     INOUT(e, FD_SET_BYTES(n)), OPT_INOUT(t))
WRAP(int, epoll_ctl, (int fd, int op, int of, struct epoll_event *e),
     (fd, op, of, e), OPT_IN(e))
WRAP(int, epoll_wait, (int fd, struct epoll_event *e, int n, int timeout),
     (fd, e, n, timeout), OUT(e, COUNTED(n, e)))
WRAP(int, eventfd_read, (int fd, eventfd_t *value), (fd, value), OPT_OUT(value))

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t,
                const sigset_t *mask, size_t room);
void __chk_fail(void) __attribute__((noreturn));
SHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout,
                           size_t room) {
  if (room / sizeof(*fds) < n) {
    __chk_fail();
  }
  return poll(fds, n, timeout);
}
SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n,
                            const struct timespec *t, const sigset_t *mask,
                            size_t room) {
  if (room / sizeof(*fds) < n) {
    __chk_fail();
  }
  return ppoll(fds, n, t, mask);
}

/* ---- time --------------------------------------------------------------- */

/* Mostly answered without the kernel; for the clocks that are not, a near
 * variable is cheaper than a pin. */
SHIM_SLOT(clock_gettime);
SHIM_EXPORT int clock_gettime(clockid_t clock, struct timespec *t) {
  if (CIRA_LIKELY(!(shim_far(t) | SHIM_FAR_STACK()))) {
    return REAL(clock_gettime)(clock, t);
  }
  struct timespec now;
  SHIM_GUARD_STACK();
  int result = REAL(clock_gettime)(clock, &now);
  if (result == 0) {
    *t = now;
  }
  return result;
}

WRAP(int, clock_getres, (clockid_t clock, struct timespec *t), (clock, t),
     OPT_OUT(t))
WRAP(int, clock_settime, (clockid_t clock, const struct timespec *t),
     (clock, t), OPT_IN(t))
WRAP(int, nanosleep, (const struct timespec *t, struct timespec *left),
     (t, left), OPT_IN(t), OPT_OUT(left))
WRAP(int, clock_nanosleep,
     (clockid_t clock, int flags, const struct timespec *t,
      struct timespec *left),
     (clock, flags, t, left), OPT_IN(t), OPT_OUT(left))
WRAP(clock_t, times, (struct tms * t), (t), OPT_OUT(t))
WRAP(int, getitimer, (__itimer_which_t which, struct itimerval *t), (which, t),
     OPT_OUT(t))
WRAP(int, setitimer,
     (__itimer_which_t which, const struct itimerval *restrict t,
      struct itimerval *restrict old),
     (which, t, old), OPT_IN(t), OPT_OUT(old))
WRAP(int, timerfd_settime,
     (int fd, int flags, const struct itimerspec *t, struct itimerspec *old),
     (fd, flags, t, old), OPT_IN(t), OPT_OUT(old))
WRAP(int, timerfd_gettime, (int fd, struct itimerspec *t), (fd, t), OPT_OUT(t))
WRAP(int, timer_settime,
     (timer_t timer, int flags, const struct itimerspec *restrict t,
      struct itimerspec *restrict old),
     (timer, flags, t, old), OPT_IN(t), OPT_OUT(old))
WRAP(int, timer_gettime, (timer_t timer, struct itimerspec *t), (timer, t),
     OPT_OUT(t))

/* A thread of the C library will run the program's function: count it. */
SHIM_SLOT(timer_create);
SHIM_EXPORT int timer_create(clockid_t clock, struct sigevent *restrict event,
                             timer_t *restrict timer) {
  if (event != NULL && event->sigev_notify == SIGEV_THREAD) {
    shim_threads_count_hidden();
  }
  shim_area_t areas[] = {OPT_IN(event), OPT_OUT(timer)};
  SHIM_GUARD(areas);
  int result = REAL(timer_create)(clock, event, timer);
  return result;
}

/* ---- limits, names, identity -------------------------------------------- */

WRAP(int, getrusage, (__rusage_who_t who, struct rusage *u), (who, u),
     OPT_OUT(u))
WRAP(int, getrlimit, (__rlimit_resource_t what, struct rlimit *l), (what, l),
     OPT_OUT(l))
WRAP(int, getrlimit64, (__rlimit_resource_t what, struct rlimit64 *l),
     (what, l), OPT_OUT(l))
WRAP(int, setrlimit, (__rlimit_resource_t what, const struct rlimit *l),
     (what, l), OPT_IN(l))
WRAP(int, setrlimit64, (__rlimit_resource_t what, const struct rlimit64 *l),
     (what, l), OPT_IN(l))
WRAP(int, prlimit,
     (pid_t pid, enum __rlimit_resource what, const struct rlimit *l,
      struct rlimit *old),
     (pid, what, l, old), OPT_IN(l), OPT_OUT(old))
WRAP(int, prlimit64,
     (pid_t pid, enum __rlimit_resource what, const struct rlimit64 *l,
      struct rlimit64 *old),
     (pid, what, l, old), OPT_IN(l), OPT_OUT(old))
WRAP(int, uname, (struct utsname * u), (u), OPT_OUT(u))
WRAP(int, sysinfo, (struct sysinfo * s), (s), OPT_OUT(s))
WRAP(int, sethostname, (const char *name, size_t bytes), (name, bytes),
     IN(name, bytes))
WRAP(int, getgroups, (int n, gid_t *list), (n, list),
     OUT(list, COUNTED(n, list)))
WRAP(int, setgroups, (size_t n, const gid_t *list), (n, list),
     IN(list, n * sizeof(*list)))
WRAP(int, getresuid, (uid_t * r, uid_t *e, uid_t *s), (r, e, s), OPT_OUT(r),
     OPT_OUT(e), OPT_OUT(s))
WRAP(int, getresgid, (gid_t * r, gid_t *e, gid_t *s), (r, e, s), OPT_OUT(r),
     OPT_OUT(e), OPT_OUT(s))
WRAP(int, klogctl, (int type, char *buf, int n), (type, buf, n),
     OUT(buf, COUNTED(n, buf)))
WRAP(ssize_t, getrandom, (void *buf, size_t n, unsigned flags), (buf, n, flags),
     OUT(buf, n))
WRAP(int, getentropy, (void *buf, size_t n), (buf, n),
     OUT(buf, cira__min_u64(n, 256)))

SHIM_SLOT(prctl);
SHIM_EXPORT int prctl(int option, ...) {
  va_list ap;
  va_start(ap, option);
  unsigned long a = va_arg(ap, unsigned long);
  unsigned long b = va_arg(ap, unsigned long);
  unsigned long c = va_arg(ap, unsigned long);
  unsigned long d = va_arg(ap, unsigned long);
  va_end(ap);
  if (CIRA_LIKELY(!(SHIM_FAR_2(a, b) | SHIM_FAR_STACK()))) {
    return REAL(prctl)(option, a, b, c, d);
  }
  /* Names have 16 bytes, the other results at most 8. */
  shim_area_t areas[] = {INOUT(a, 16), INOUT(b, 8)};
  SHIM_GUARD(areas);
  int result = REAL(prctl)(option, a, b, c, d);
  return result;
}

/* ---- processes ---------------------------------------------------------- */

WRAP(pid_t, wait, (int *status), (status), OPT_OUT(status))
WRAP(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags),
     OPT_OUT(status))
WRAP(pid_t, wait3, (int *status, int flags, struct rusage *u),
     (status, flags, u), OPT_OUT(status), OPT_OUT(u))
WRAP(pid_t, wait4, (pid_t pid, int *status, int flags, struct rusage *u),
     (pid, status, flags, u), OPT_OUT(status), OPT_OUT(u))
WRAP(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int flags),
     (type, id, info, flags), OPT_OUT(info))

/* ---- scheduling --------------------------------------------------------- */

WRAP(int, sched_getaffinity, (pid_t pid, size_t n, cpu_set_t *set),
     (pid, n, set), OUT(set, n))
WRAP(int, sched_setaffinity, (pid_t pid, size_t n, const cpu_set_t *set),
     (pid, n, set), IN(set, n))
WRAP(int, pthread_getaffinity_np, (pthread_t t, size_t n, cpu_set_t *set),
     (t, n, set), OUT(set, n))
WRAP(int, pthread_setaffinity_np, (pthread_t t, size_t n, const cpu_set_t *set),
     (t, n, set), IN(set, n))
WRAP(int, sched_getparam, (pid_t pid, struct sched_param *p), (pid, p),
     OPT_OUT(p))
WRAP(int, sched_setparam, (pid_t pid, const struct sched_param *p), (pid, p),
     OPT_IN(p))
WRAP(int, sched_setscheduler,
     (pid_t pid, int policy, const struct sched_param *p), (pid, policy, p),
     OPT_IN(p))
WRAP(int, sched_rr_get_interval, (pid_t pid, struct timespec *t), (pid, t),
     OPT_OUT(t))
WRAP(int, pthread_setschedparam,
     (pthread_t t, int policy, const struct sched_param *p), (t, policy, p),
     OPT_IN(p))
WRAP(int, pthread_setname_np, (pthread_t t, const char *name), (t, name),
     STR(name))
WRAP(int, pthread_getname_np, (pthread_t t, char *name, size_t n), (t, name, n),
     OUT(name, n))

/* ---- moving data between descriptors ------------------------------------ */

WRAP(ssize_t, sendfile, (int out, int in, off_t *at, size_t n),
     (out, in, at, n), OPT_INOUT(at))
WRAP(ssize_t, sendfile64, (int out, int in, off64_t *at, size_t n),
     (out, in, at, n), OPT_INOUT(at))
WRAP(ssize_t, splice,
     (int in, off64_t *at_in, int out, off64_t *at_out, size_t n,
      unsigned flags),
     (in, at_in, out, at_out, n, flags), OPT_INOUT(at_in), OPT_INOUT(at_out))
WRAP(ssize_t, copy_file_range,
     (int in, off64_t *at_in, int out, off64_t *at_out, size_t n,
      unsigned flags),
     (in, at_in, out, at_out, n, flags), OPT_INOUT(at_in), OPT_INOUT(at_out))

/* ---- queues ------------------------------------------------------------- */

WRAP(int, semop, (int id, struct sembuf *op, size_t n), (id, op, n),
     IN(op, n * sizeof(*op)))
WRAP(int, semtimedop,
     (int id, struct sembuf *op, size_t n, const struct timespec *t),
     (id, op, n, t), IN(op, n * sizeof(*op)), OPT_IN(t))
WRAP(int, msgsnd, (int id, const void *m, size_t n, int flags),
     (id, m, n, flags), IN(m, n + sizeof(long)))
WRAP(ssize_t, msgrcv, (int id, void *m, size_t n, long type, int flags),
     (id, m, n, type, flags), OUT(m, n + sizeof(long)))
WRAP(int, msgctl, (int id, int command, struct msqid_ds *d), (id, command, d),
     OPT_INOUT(d))
WRAP(int, shmctl, (int id, int command, struct shmid_ds *d), (id, command, d),
     OPT_INOUT(d))
WRAP(int, mq_send, (mqd_t q, const char *m, size_t n, unsigned priority),
     (q, m, n, priority), IN(m, n))
WRAP(int, mq_timedsend,
     (mqd_t q, const char *m, size_t n, unsigned priority,
      const struct timespec *t),
     (q, m, n, priority, t), IN(m, n), OPT_IN(t))
WRAP(ssize_t, mq_receive, (mqd_t q, char *m, size_t n, unsigned *priority),
     (q, m, n, priority), OUT(m, n), OPT_OUT(priority))
WRAP(ssize_t, mq_timedreceive,
     (mqd_t q, char *restrict m, size_t n, unsigned *restrict priority,
      const struct timespec *restrict t),
     (q, m, n, priority, t), OUT(m, n), OPT_OUT(priority), OPT_IN(t))

/* ---- descriptors -------------------------------------------------------- */

WRAP(int, pipe, (int fds[2]), (fds), OUT(fds, 2 * sizeof(int)))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags),
     OUT(fds, 2 * sizeof(int)))

static bool refused_fd(int fd, const void *caller) {
  if (CIRA_UNLIKELY(shim_fd_is_ours(fd)) && !shim_is_own_code(caller)) {
    errno = EBADF; /* as if there were none, which is what it would get */
    return true;
  }
  return false;
}

SHIM_SLOT(close);
SHIM_EXPORT int close(int fd) {
  return refused_fd(fd, __builtin_return_address(0)) ? -1 : REAL(close)(fd);
}

SHIM_SLOT(dup2);
SHIM_EXPORT int dup2(int from, int to) {
  return refused_fd(to, __builtin_return_address(0)) ? -1
                                                     : REAL(dup2)(from, to);
}

SHIM_SLOT(dup3);
SHIM_EXPORT int dup3(int from, int to, int flags) {
  return refused_fd(to, __builtin_return_address(0))
             ? -1
             : REAL(dup3)(from, to, flags);
}

SHIM_SLOT(close_range);
SHIM_EXPORT int close_range(unsigned first, unsigned last, int flags) {
  /* In pieces around ours. */
  unsigned from = first;
  for (unsigned fd = 0; fd < 1024 && first <= last; fd++) {
    if (fd < from || fd > last || !shim_fd_is_ours((int)fd)) {
      continue;
    }
    if (fd > from && REAL(close_range)(from, fd - 1, flags) != 0) {
      return -1;
    }
    from = fd + 1;
  }
  if (from > last && from > first) {
    return 0;
  }
  return REAL(close_range)(from, last, flags);
}

SHIM_EXPORT void closefrom(int first) {
  close_range(first < 0 ? 0 : (unsigned)first, ~0u, 0);
}

static uint64_t fcntl_bytes(int command) {
  switch (command) {
  case F_GETLK:
  case F_SETLK:
  case F_SETLKW:
  case F_OFD_GETLK:
  case F_OFD_SETLK:
  case F_OFD_SETLKW:
    return sizeof(struct flock);
  case F_GETOWN_EX:
  case F_SETOWN_EX:
    return sizeof(struct f_owner_ex);
  case F_GET_RW_HINT:
  case F_SET_RW_HINT:
  case F_GET_FILE_RW_HINT:
  case F_SET_FILE_RW_HINT:
    return sizeof(uint64_t);
  default:
    return 0; /* not a pointer */
  }
}

#define FCNTL(name)                                                            \
  SHIM_SLOT(name);                                                             \
  SHIM_EXPORT int name(int fd, int command, ...) {                             \
    va_list ap;                                                                \
    va_start(ap, command);                                                     \
    void *argument = va_arg(ap, void *);                                       \
    va_end(ap);                                                                \
    if (CIRA_LIKELY(!(shim_far(argument) | SHIM_FAR_STACK()))) {               \
      return REAL(name)(fd, command, argument);                                \
    }                                                                          \
    shim_area_t areas[] = {INOUT(argument, fcntl_bytes(command))};             \
    SHIM_GUARD(areas);                                                         \
    int result = REAL(name)(fd, command, argument);                            \
    return result;                                                             \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

/* Requests from before sizes were part of the number. */
static uint64_t ioctl_bytes(unsigned long request, const void *argument) {
  uint64_t to_page_end =
      CIRA_PAGE_BYTES - (uint64_t)(uintptr_t)argument % CIRA_PAGE_BYTES;
  switch (request) {
  case TCGETS:
  case TCSETS:
  case TCSETSW:
  case TCSETSF:
    return sizeof(struct termios);
  case TIOCGWINSZ:
  case TIOCSWINSZ:
    return sizeof(struct winsize);
  case FIONREAD:
  case FIONBIO:
  case FIOASYNC:
  case TIOCOUTQ:
  case TIOCGPGRP:
  case TIOCSPGRP:
  case TIOCGSID:
  case TIOCMGET:
  case TIOCMSET:
    return sizeof(int);
  default:
    if (_IOC_DIR(request) != _IOC_NONE && _IOC_SIZE(request) != 0) {
      return _IOC_SIZE(request);
    }
    return cira__min_u64(to_page_end, 256); /* ifreq and its like: 40 bytes */
  }
}

SHIM_SLOT(ioctl);
SHIM_EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list ap;
  va_start(ap, request);
  void *argument = va_arg(ap, void *);
  va_end(ap);
  if (CIRA_LIKELY(!(shim_far(argument) | SHIM_FAR_STACK())) ||
      shim_is_own_code(__builtin_return_address(0))) {
    return REAL(ioctl)(fd, request, argument);
  }
  shim_area_t areas[] = {INOUT(argument, ioctl_bytes(request, argument))};
  SHIM_GUARD(areas);
  int result = REAL(ioctl)(fd, request, argument);
  return result;
}
