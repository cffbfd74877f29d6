/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: the pager takes SIGBUS (or SIGSEGV) for itself, and the program must
 * not notice. Its own action for that signal is kept here and carried out for
 * faults that the pager declines and for signals that somebody sent.
 *
 * A thread that has the pager's signal blocked would be killed by its next far
 * access. So the real mask never contains it: where a program's mask says "the
 * pager's signal", the kernel's mask says SHIM_PROXY (the last real-time
 * signal) instead. The kernel then saves and restores the virtual state with
 * every handler frame, sigsetjmp, context and exec, without our help. A signal
 * that arrives while virtually blocked is sent on as SHIM_PROXY, which stays
 * pending in the kernel until the program unblocks.
 *
 * Handlers run on the alternate stack that every thread has from us: the kernel
 * cannot push a frame onto a far page that is not here. The program's own
 * alternate stack is virtual. CIRA_ONSTACK=off leaves handlers where the
 * program wants them, for programs that switch stacks inside handlers.
 *
 * Threads: any. Signal-safe where the C library is.
 */
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "heap/preload/shim.h"

#define SHIM_PROXY 64 /* SIGRTMAX, which programs are told is one less */
#define SA_RESTORER_BIT                                                        \
  0x04000000 /* the C library sets it in all it stores                         \
              */
#define KERNEL_BIT(signo) (UINT64_C(1) << ((signo) - 1))

int shim_signal;

SHIM_SLOT(sigaction);
SHIM_SLOT(pthread_sigmask);

static cira_lock_t program_lock;
static struct sigaction program_action; /* the program's, for shim_signal */
static _Atomic uint64_t onstack_forced; /* signals whose SA_ONSTACK is ours */
static _Atomic uint64_t interrupts;     /* signals given to siginterrupt(1) */

static __thread uint64_t alt_lo, alt_bytes; /* the real alternate stack */
static __thread stack_t alt_program;        /* the program's view */
static __thread bool alt_program_set;

/* ---- masks -------------------------------------------------------------- */

void shim_mask_to_kernel(sigset_t *real, const sigset_t *program) {
  *real = *program;
  if (shim_signal == 0) {
    return;
  }
  if (sigismember(real, shim_signal) == 1) {
    sigdelset(real, shim_signal);
    sigaddset(real, SHIM_PROXY);
  } else {
    sigdelset(real, SHIM_PROXY);
  }
}

void shim_mask_to_program(sigset_t *mask) {
  if (shim_signal == 0) {
    return;
  }
  if (sigismember(mask, SHIM_PROXY) == 1) {
    sigdelset(mask, SHIM_PROXY);
    sigaddset(mask, shim_signal);
  } else {
    sigdelset(mask, shim_signal);
  }
}

static void kernel_mask_set(uint64_t mask) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, SHIM_KERNEL_SET_BYTES);
}

/* ---- delivery ----------------------------------------------------------- */

/* Ends the process as the kernel would have: with this signal, its default
 * action (a core dump at the faulting instruction) and its siginfo. */
static void die_by_signal(int signo, siginfo_t *info) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  REAL(sigaction)(signo, &standard, NULL);
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signo, info) != 0) {
    syscall(SYS_tgkill, getpid(), gettid(), signo);
  }
  /* Pending now; taken when the handler returns to the interrupted code. */
}

/* In a forked child: a thread of the parent may have had the lock. */
void shim_signals_child(void) {
  memset(&program_lock, 0, sizeof program_lock);
}

static struct sigaction program_action_take(void) {
  uint64_t blocked = cira__signals_block();
  cira__lock(&program_lock);
  struct sigaction a = program_action;
  if ((a.sa_flags & (int)SA_RESETHAND) != 0 && a.sa_handler != SIG_DFL &&
      a.sa_handler != SIG_IGN) {
    program_action.sa_handler = SIG_DFL;
  }
  cira__unlock(&program_lock);
  cira__signals_restore(blocked);
  return a;
}

static void program_handler_run(const struct sigaction *a, int signo,
                                siginfo_t *info, ucontext_t *uc) {
  uint64_t mask = 0;
  uint64_t add = 0;
  sigset_t extra;
  memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
  shim_mask_to_kernel(&extra, &a->sa_mask);
  memcpy(&add, &extra, sizeof(add));
  mask |= add;
  if ((a->sa_flags & SA_NODEFER) == 0) {
    mask |= KERNEL_BIT(SHIM_PROXY);
  }
  kernel_mask_set(mask);
  if (a->sa_flags & SA_SIGINFO) {
    a->sa_sigaction(signo, info, uc);
  } else {
    a->sa_handler(signo);
  }
}

/* A fault that is not ours, or a signal that somebody sent. */
static void program_deliver(int signo, siginfo_t *info, ucontext_t *uc) {
  uint64_t mask;
  memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
  bool sent = info->si_code <= 0;
  bool blocked = (mask & KERNEL_BIT(SHIM_PROXY)) != 0;
  if (sent && blocked) {
    if (info->si_code == SI_TKILL) {
      syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SHIM_PROXY, info);
    } else {
      syscall(SYS_rt_sigqueueinfo, getpid(), SHIM_PROXY, info);
    }
    return;
  }
  struct sigaction a = program_action_take();
  if (sent && a.sa_handler == SIG_IGN) {
    return;
  }
  /* The kernel kills for a fault whose signal is blocked or ignored. */
  if (a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN || blocked) {
    die_by_signal(signo, info);
    return;
  }
  program_handler_run(&a, signo, info, uc);
}

static void on_fault(int signo, siginfo_t *info, void *uc) {
  int saved = errno;
  if (info->si_code <= 0 || !cira_space_fault(cira__space, signo, info, uc)) {
    errno = saved;
    program_deliver(signo, info, uc);
  }
  errno = saved;
}

/* The pager's signal, kept back until the program unblocked it. */
static void on_proxy(int signo, siginfo_t *info, void *uc) {
  int saved = errno;
  (void)signo;
  info->si_signo = shim_signal;
  program_deliver(shim_signal, info, uc);
  errno = saved;
}

/* ---- alternate stacks --------------------------------------------------- */

void shim_altstack_install(void *base, uint64_t bytes) {
  stack_t ss = {.ss_sp = base, .ss_size = bytes};
  if (syscall(SYS_sigaltstack, &ss, NULL) == 0) {
    alt_lo = (uint64_t)(uintptr_t)base;
    alt_bytes = bytes;
  }
}

bool shim_on_altstack(const void *p) {
  return (uint64_t)(uintptr_t)p - alt_lo < alt_bytes;
}

/* A program that asks for a larger stack than ours expects to use it. */
static bool altstack_enlarge(uint64_t bytes) {
  bytes = cira__align_up(bytes, CIRA_PAGE_BYTES) + CIRA_PAGE_BYTES;
  char *map = shim_near_map(bytes);
  if (map == NULL) {
    return false;
  }
  mprotect(map, CIRA_PAGE_BYTES, PROT_NONE);
  /* The former one stays mapped: it belongs to the thread's record. */
  shim_altstack_install(map + CIRA_PAGE_BYTES, bytes - CIRA_PAGE_BYTES);
  return true;
}

SHIM_SLOT(sigaltstack);
SHIM_EXPORT int sigaltstack(const stack_t *restrict ss, stack_t *restrict old) {
  if (alt_bytes == 0) { /* a thread that we do not know */
    return REAL(sigaltstack)(ss, old);
  }
  bool inside = alt_program_set && shim_on_altstack(__builtin_frame_address(0));
  stack_t was = alt_program;
  if (!alt_program_set) {
    was = (stack_t){.ss_flags = SS_DISABLE};
  } else if (inside) {
    was.ss_flags |= SS_ONSTACK;
  }
  if (ss != NULL) {
    if (inside) {
      errno = EPERM;
      return -1;
    }
    int mode = ss->ss_flags & ~(int)(1u << 31); /* SS_AUTODISARM */
    if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK) {
      errno = EINVAL;
      return -1;
    }
    if (mode != SS_DISABLE && ss->ss_size < 2048) {
      errno = ENOMEM;
      return -1;
    }
    if (mode != SS_DISABLE && ss->ss_size > alt_bytes &&
        !shim_on_altstack(__builtin_frame_address(0)) &&
        !altstack_enlarge(ss->ss_size)) {
      errno = ENOMEM;
      return -1;
    }
    alt_program = *ss;
    alt_program.ss_flags &= ~SS_ONSTACK;
    alt_program_set = mode != SS_DISABLE;
  }
  if (old != NULL) {
    *old = was;
  }
  return 0;
}

/* ---- sigaction and its relatives ---------------------------------------- */

static void program_action_exchange(const struct sigaction *fresh,
                                    struct sigaction *was) {
  uint64_t blocked = cira__signals_block();
  cira__lock(&program_lock);
  *was = program_action;
  if (fresh != NULL) {
    program_action = *fresh;
  }
  cira__unlock(&program_lock);
  cira__signals_restore(blocked);
}

static void program_action_swap(const struct sigaction *act,
                                struct sigaction *old) {
  struct sigaction fresh = {0};
  struct sigaction was;
  if (act != NULL) {
    fresh = *act; /* may fault: before the lock */
    fresh.sa_flags |= SA_RESTORER_BIT;
  }
  /* The two variables are on this stack, which may be far. */
  SHIM_GUARD_STACK();
  shim_near_call((void *)(uintptr_t)program_action_exchange,
                 SHIM_WORD(act != NULL ? &fresh : NULL), SHIM_WORD(&was), 0, 0);
  if (old != NULL) {
    *old = was;
  }
}

static bool catches(const struct sigaction *a) {
  return a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN;
}

static int other_action_swap(int signo, const struct sigaction *act,
                             struct sigaction *old) {
  struct sigaction mine;
  struct sigaction was;
  bool force = false;
  if (act != NULL) {
    mine = *act;
    shim_mask_to_kernel(&mine.sa_mask, &act->sa_mask);
    force = shim_onstack && catches(act) && (act->sa_flags & SA_ONSTACK) == 0;
    if (force) {
      mine.sa_flags |= SA_ONSTACK;
    }
  }
  SHIM_GUARD_STACK();
  int result = REAL(sigaction)(signo, act != NULL ? &mine : NULL, &was);
  if (result != 0) {
    return result;
  }
  uint64_t bit = KERNEL_BIT(signo);
  uint64_t forced = onstack_forced;
  if (act != NULL) {
    forced = force ? atomic_fetch_or(&onstack_forced, bit)
                   : atomic_fetch_and(&onstack_forced, ~bit);
  }
  if (old != NULL) {
    if ((forced & bit) != 0) {
      was.sa_flags &= ~SA_ONSTACK;
    }
    shim_mask_to_program(&was.sa_mask);
    *old = was;
  }
  return 0;
}

SHIM_EXPORT int sigaction(int signo, const struct sigaction *restrict act,
                          struct sigaction *restrict old) {
  if (cira__space == NULL || signo <= 0 || signo > SHIM_PROXY) {
    return REAL(sigaction)(signo, act, old);
  }
  if (signo == shim_signal) {
    program_action_swap(act, old);
    return 0;
  }
  if (signo == SHIM_PROXY && shim_signal != 0) {
    errno = EINVAL;
    return -1;
  }
  return other_action_swap(signo, act, old);
}

int __sigaction(int signo, const struct sigaction *act, struct sigaction *old);
SHIM_EXPORT int __sigaction(int signo, const struct sigaction *act,
                            struct sigaction *old) {
  return sigaction(signo, act, old);
}

int __libc_current_sigrtmax(void);
SHIM_SLOT(__libc_current_sigrtmax);
SHIM_EXPORT int __libc_current_sigrtmax(void) {
  int max = REAL(__libc_current_sigrtmax)();
  return max >= SHIM_PROXY ? SHIM_PROXY - 1 : max;
}

static sighandler_t handler_swap(int signo, sighandler_t handler, int flags) {
  struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
  struct sigaction old;
  if (handler == SIG_ERR || signo < 1 || signo >= NSIG) {
    errno = EINVAL;
    return SIG_ERR;
  }
  sigemptyset(&act.sa_mask);
  if ((flags & SA_NODEFER) == 0) {
    sigaddset(&act.sa_mask, signo);
  }
  return sigaction(signo, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static sighandler_t signal_bsd(int signo, sighandler_t handler) {
  bool interrupt = signo >= 1 && signo <= SHIM_PROXY &&
                   (interrupts & KERNEL_BIT(signo)) != 0;
  return handler_swap(signo, handler, interrupt ? 0 : SA_RESTART);
}

SHIM_EXPORT sighandler_t signal(int signo, sighandler_t handler) {
  return signal_bsd(signo, handler);
}

sighandler_t bsd_signal(int signo, sighandler_t handler);
SHIM_EXPORT sighandler_t bsd_signal(int signo, sighandler_t handler) {
  return signal_bsd(signo, handler);
}

SHIM_EXPORT sighandler_t ssignal(int signo, sighandler_t handler) {
  return signal_bsd(signo, handler);
}

SHIM_EXPORT sighandler_t sysv_signal(int signo, sighandler_t handler) {
  return handler_swap(signo, handler, (int)SA_RESETHAND | SA_NODEFER);
}

SHIM_EXPORT sighandler_t __sysv_signal(int signo, sighandler_t handler) {
  return handler_swap(signo, handler, (int)SA_RESETHAND | SA_NODEFER);
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
SHIM_EXPORT int siginterrupt(int signo, int interrupt) {
  struct sigaction act;
  if (sigaction(signo, NULL, &act) != 0) {
    return -1;
  }
  if (interrupt) {
    atomic_fetch_or(&interrupts, KERNEL_BIT(signo));
    act.sa_flags &= ~SA_RESTART;
  } else {
    atomic_fetch_and(&interrupts, ~KERNEL_BIT(signo));
    act.sa_flags |= SA_RESTART;
  }
  return sigaction(signo, &act, NULL);
}

static int mask_one(int how, int signo) {
  sigset_t set;
  sigemptyset(&set);
  return sigaddset(&set, signo) != 0 ? -1 : sigprocmask(how, &set, NULL);
}

SHIM_EXPORT int sighold(int signo) {
  return mask_one(SIG_BLOCK, signo);
}

SHIM_EXPORT int sigrelse(int signo) {
  return mask_one(SIG_UNBLOCK, signo);
}

SHIM_EXPORT int sigignore(int signo) {
  return handler_swap(signo, SIG_IGN, SA_NODEFER) == SIG_ERR ? -1 : 0;
}

SHIM_EXPORT sighandler_t sigset(int signo, sighandler_t handler) {
  sigset_t set;
  sigset_t was;
  struct sigaction old;
  sigemptyset(&set);
  if (sigaddset(&set, signo) != 0) {
    return SIG_ERR;
  }
  if (handler == SIG_HOLD) {
    if (sigprocmask(SIG_BLOCK, &set, &was) != 0 ||
        sigaction(signo, NULL, &old) != 0) {
      return SIG_ERR;
    }
    return sigismember(&was, signo) ? SIG_HOLD : old.sa_handler;
  }
  sighandler_t before = handler_swap(signo, handler, SA_NODEFER);
  if (before == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, &was) != 0) {
    return SIG_ERR;
  }
  return sigismember(&was, signo) ? SIG_HOLD : before;
}

/* ---- masks of the thread ------------------------------------------------ */

static int mask_change(int how, const sigset_t *set, sigset_t *old) {
  sigset_t mine;
  sigset_t was;
  if (set != NULL) {
    shim_mask_to_kernel(&mine, set);
  }
  SHIM_GUARD_STACK();
  int error = REAL(pthread_sigmask)(how, set != NULL ? &mine : NULL, &was);
  if (error == 0 && old != NULL) {
    shim_mask_to_program(&was);
    *old = was;
  }
  return error;
}

SHIM_EXPORT int pthread_sigmask(int how, const sigset_t *restrict set,
                                sigset_t *restrict old) {
  return mask_change(how, set, old);
}

SHIM_EXPORT int sigprocmask(int how, const sigset_t *restrict set,
                            sigset_t *restrict old) {
  int error = mask_change(how, set, old);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return 0;
}

static void mask_from_int(sigset_t *set, int mask) {
  uint64_t bits = (uint32_t)mask;
  sigemptyset(set);
  memcpy(set, &bits, sizeof(bits));
}

static int mask_int_change(int how, int mask, bool change) {
  sigset_t set;
  sigset_t old;
  uint32_t bits = 0;
  mask_from_int(&set, mask);
  if (sigprocmask(how, change ? &set : NULL, &old) != 0) {
    return -1;
  }
  memcpy(&bits, &old, sizeof(bits));
  return (int)bits;
}

SHIM_EXPORT int sigblock(int mask) {
  return mask_int_change(SIG_BLOCK, mask, true);
}

SHIM_EXPORT int sigsetmask(int mask) {
  return mask_int_change(SIG_SETMASK, mask, true);
}

SHIM_EXPORT int siggetmask(void) {
  return mask_int_change(SIG_BLOCK, 0, false);
}
#pragma clang diagnostic pop

SHIM_SLOT(sigpending);
SHIM_EXPORT int sigpending(sigset_t *set) {
  sigset_t mine;
  SHIM_GUARD_STACK();
  int result = REAL(sigpending)(&mine);
  if (result == 0) {
    shim_mask_to_program(&mine);
    *set = mine;
  }
  return result;
}

SHIM_SLOT(sigsuspend);
SHIM_EXPORT int sigsuspend(const sigset_t *set) {
  sigset_t mine;
  shim_mask_to_kernel(&mine, set);
  SHIM_GUARD_STACK();
  int result = REAL(sigsuspend)(&mine);
  return result;
}

/* The header maps sigpause to the X/Open form; BSD's takes a mask. */
int shim__xpg_sigpause(int signo) __asm__("__xpg_sigpause");
SHIM_EXPORT int shim__xpg_sigpause(int signo) {
  sigset_t set;
  if (sigprocmask(SIG_BLOCK, NULL, &set) != 0 || sigdelset(&set, signo) != 0) {
    return -1;
  }
  return sigsuspend(&set);
}

int shim__bsd_sigpause(int mask) __asm__("sigpause");
SHIM_EXPORT int shim__bsd_sigpause(int mask) {
  sigset_t set;
  mask_from_int(&set, mask);
  return sigsuspend(&set);
}

/* ---- waiting for signals ------------------------------------------------ */

SHIM_SLOT(sigtimedwait);

static int wait_signal(const sigset_t *set, siginfo_t *info,
                       const struct timespec *timeout) {
  sigset_t mine;
  siginfo_t got;
  struct timespec limit = {0};
  shim_mask_to_kernel(&mine, set);
  bool ours = shim_signal != 0 && sigismember(&mine, SHIM_PROXY) == 1;
  if (timeout != NULL) {
    limit = *timeout;
  }
  SHIM_GUARD_STACK();
  int signo = REAL(sigtimedwait)(&mine, &got, timeout != NULL ? &limit : NULL);
  if (signo < 0 && errno == EINTR && ours) {
    /* Perhaps by our own handler, which sent the signal on to the set. */
    struct timespec now = {0};
    signo = REAL(sigtimedwait)(&mine, &got, &now);
    if (signo < 0) {
      errno = EINTR;
    }
  }
  if (signo < 0) {
    return signo;
  }
  if (ours && signo == SHIM_PROXY) {
    signo = shim_signal;
    got.si_signo = signo;
  }
  if (info != NULL) {
    *info = got;
  }
  return signo;
}

SHIM_EXPORT int sigtimedwait(const sigset_t *restrict set,
                             siginfo_t *restrict info,
                             const struct timespec *restrict timeout) {
  return wait_signal(set, info, timeout);
}

SHIM_EXPORT int sigwaitinfo(const sigset_t *restrict set,
                            siginfo_t *restrict info) {
  return wait_signal(set, info, NULL);
}

SHIM_EXPORT int sigwait(const sigset_t *restrict set, int *restrict out) {
  int saved = errno;
  int signo;
  do {
    signo = wait_signal(set, NULL, NULL);
  } while (signo < 0 && errno == EINTR);
  int error = signo < 0 ? errno : 0;
  errno = saved;
  if (error == 0) {
    *out = signo;
  }
  return error;
}

SHIM_SLOT(signalfd);
SHIM_EXPORT int signalfd(int fd, const sigset_t *mask, int flags) {
  sigset_t mine;
  shim_mask_to_kernel(&mine, mask);
  SHIM_GUARD_STACK();
  int result = REAL(signalfd)(fd, &mine, flags);
  return result;
}

/* ---- calls that take a mask --------------------------------------------- */

static const sigset_t *mask_or_null(sigset_t *mine, const sigset_t *mask) {
  if (mask == NULL) {
    return NULL;
  }
  shim_mask_to_kernel(mine, mask);
  return mine;
}

SHIM_SLOT(ppoll);
SHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count,
                      const struct timespec *timeout, const sigset_t *mask) {
  sigset_t mine;
  struct timespec limit;
  const sigset_t *real_mask = mask_or_null(&mine, mask);
  if (timeout != NULL) {
    limit = *timeout;
  }
  shim_area_t areas[] = {INOUT(fds, count * sizeof(*fds))};
  SHIM_GUARD(areas);
  int result = REAL(ppoll)(fds, count, timeout ? &limit : NULL, real_mask);
  return result;
}

SHIM_SLOT(pselect);
SHIM_EXPORT int pselect(int n, fd_set *restrict r, fd_set *restrict w,
                        fd_set *restrict e,
                        const struct timespec *restrict timeout,
                        const sigset_t *restrict mask) {
  sigset_t mine;
  struct timespec limit;
  const sigset_t *real_mask = mask_or_null(&mine, mask);
  if (timeout != NULL) {
    limit = *timeout;
  }
  uint64_t bytes = n > 0 ? ((uint64_t)n + 63) / 64 * 8 : 0;
  shim_area_t areas[] = {INOUT(r, bytes), INOUT(w, bytes), INOUT(e, bytes)};
  SHIM_GUARD(areas);
  int result = REAL(pselect)(n, r, w, e, timeout ? &limit : NULL, real_mask);
  return result;
}

SHIM_SLOT(epoll_pwait);
SHIM_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count,
                            int timeout, const sigset_t *mask) {
  sigset_t mine;
  const sigset_t *real_mask = mask_or_null(&mine, mask);
  shim_area_t areas[] = {
      OUT(events, count > 0 ? (uint64_t)count * sizeof(*events) : 0)};
  SHIM_GUARD(areas);
  int result = REAL(epoll_pwait)(fd, events, count, timeout, real_mask);
  return result;
}

SHIM_SLOT(epoll_pwait2);
SHIM_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int count,
                             const struct timespec *timeout,
                             const sigset_t *mask) {
  sigset_t mine;
  struct timespec limit;
  const sigset_t *real_mask = mask_or_null(&mine, mask);
  if (timeout != NULL) {
    limit = *timeout;
  }
  shim_area_t areas[] = {
      OUT(events, count > 0 ? (uint64_t)count * sizeof(*events) : 0)};
  SHIM_GUARD(areas);
  int result =
      REAL(epoll_pwait2)(fd, events, count, timeout ? &limit : NULL, real_mask);
  return result;
}

SHIM_SLOT(posix_spawnattr_setsigmask);
SHIM_EXPORT int posix_spawnattr_setsigmask(posix_spawnattr_t *restrict attr,
                                           const sigset_t *restrict mask) {
  sigset_t mine;
  shim_mask_to_kernel(&mine, mask);
  return REAL(posix_spawnattr_setsigmask)(attr, &mine);
}

SHIM_SLOT(posix_spawnattr_getsigmask);
SHIM_EXPORT int
posix_spawnattr_getsigmask(const posix_spawnattr_t *restrict attr,
                           sigset_t *restrict mask) {
  int result = REAL(posix_spawnattr_getsigmask)(attr, mask);
  shim_mask_to_program(mask);
  return result;
}

SHIM_SLOT(pthread_attr_setsigmask_np);
SHIM_EXPORT int pthread_attr_setsigmask_np(pthread_attr_t *attr,
                                           const sigset_t *mask) {
  sigset_t mine;
  return REAL(pthread_attr_setsigmask_np)(
      attr, (sigset_t *)(uintptr_t)mask_or_null(&mine, mask));
}

SHIM_SLOT(pthread_attr_getsigmask_np);
SHIM_EXPORT int pthread_attr_getsigmask_np(const pthread_attr_t *attr,
                                           sigset_t *mask) {
  int result = REAL(pthread_attr_getsigmask_np)(attr, mask);
  if (result == 0) {
    shim_mask_to_program(mask);
  }
  return result;
}

/* ---- start -------------------------------------------------------------- */

/* What was blocked or ignored when the program was started stays so. */
static void inherit(void) {
  uint64_t mask = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &mask, SHIM_KERNEL_SET_BYTES);
  if ((mask & KERNEL_BIT(shim_signal)) != 0) {
    mask &= ~KERNEL_BIT(shim_signal);
    mask |= KERNEL_BIT(SHIM_PROXY);
    kernel_mask_set(mask);
  }
}

void shim_signals_init(void) {
  shim_signal = cira_space_signal(cira__space);
  if (shim_signal == 0) {
    return;
  }
  struct sigaction act = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
  sigfillset(&act.sa_mask);
  act.sa_sigaction = on_fault;
  REAL(sigaction)(shim_signal, &act, &program_action);
  act.sa_sigaction = on_proxy;
  sigdelset(&act.sa_mask, shim_signal);
  REAL(sigaction)(SHIM_PROXY, &act, NULL);
  inherit();
}
