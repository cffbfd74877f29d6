/* SPDX-License-Identifier: Apache-2.0
 *
 * fork: both processes keep a right view of the far memory. The pager is
 * quiesced by fork handlers of the C library, so fork, forkpty and daemon are
 * covered alike; _Fork and clone call the same steps. Their order matters:
 *
 *   before   program's handlers, jemalloc takes its locks, pager is quiesced
 *   after    jemalloc lets go, pager goes on or connects anew, program's
 *            handlers
 *
 * The pager must come last before the fork: a thread that holds a lock of
 * jemalloc may be waiting for the pager. And connecting allocates. Handlers run
 * in reverse order of their registration before the fork and in order after it,
 * so ours are put around the first of all, jemalloc's, when that passes through
 * __register_atfork below.
 *
 * When the pager refuses, the fork cannot be stopped any more at that point:
 * the child ends at once without having run anything, and the caller gets -1.
 * vfork is left alone: its child shares the memory and the pager.
 * Threads: any; the space lets one thread at a time between its two steps.
 */
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/heap.h"
#include "heap/preload/shim.h"

/* Of this thread's last prepare: the C library holds no lock while it calls
 * handlers, and _Fork calls none. */
static __thread cira_status_t fork_status;
static __thread bool fork_refused;

static void fork_prepare_near(void) {
  if (!shim_ready) {
    fork_status = CIRA_PENDING; /* nothing to keep right yet */
    return;
  }
  fork_status = cira_space_fork_prepare(cira__space);
  fork_refused = fork_status != CIRA_OK;
  if (fork_refused) {
    cira__log(CIRA_LOG_ERROR, "fork refused: %s (%s)", cira_status_detail(),
              cira_status_name(fork_status));
  }
}

static void fork_parent_near(void) {
  if (fork_status == CIRA_OK) {
    cira_space_fork_parent(cira__space, true);
  }
}

static void fork_child_near(void) {
  if (fork_status == CIRA_PENDING) {
    return;
  }
  if (fork_status != CIRA_OK) {
    _exit(CIRA_EXIT_FAR); /* was never meant to be */
  }
  shim_guards_forget(); /* the child's pager has no pins */
  shim_signals_child();
  shim_stdio_child();
  shim_fds_reserve_low();
  cira_status_t status = cira_space_fork_child(cira__space);
  if (status != CIRA_OK) {
    cira__die("a forked child cannot reach the far memory: %s (%s)",
              cira_status_detail(), cira_status_name(status));
  }
  if (cira_space_fork_finish(cira__space) != CIRA_OK) {
    cira__die("a forked child cannot page: %s", cira_status_detail());
  }
  shim_fds_adopt();
  shim_threads_child();
  shim_stats_child();
}

/* The steps, from whatever stack the program forks on. That stack is pinned by
 * the wrapper, for the C library's part of the fork. */
static void fork_prepare(void) {
  shim_near_call((void *)(uintptr_t)fork_prepare_near, 0, 0, 0, 0);
}
static void fork_parent(void) {
  shim_near_call((void *)(uintptr_t)fork_parent_near, 0, 0, 0, 0);
}
static void fork_child(void) {
  shim_near_call((void *)(uintptr_t)fork_child_near, 0, 0, 0, 0);
}

/* What pthread_atfork calls, in libraries and programs. */
int __register_atfork(void (*prepare)(void), void (*parent)(void),
                      void (*child)(void), void *dso);
SHIM_SLOT(__register_atfork);
SHIM_EXPORT int __register_atfork(void (*prepare)(void), void (*parent)(void),
                                  void (*child)(void), void *dso) {
  static _Atomic bool first = true;
  bool ours = atomic_exchange(&first, false);
  int error = 0;
  if (ours) {
    error = REAL(__register_atfork)(fork_prepare, NULL, NULL, NULL);
  }
  if (error == 0) {
    error = REAL(__register_atfork)(prepare, parent, child, dso);
  }
  if (ours && error == 0) {
    error = REAL(__register_atfork)(NULL, fork_parent, fork_child, NULL);
  }
  return error;
}

/* jemalloc has started by now, and with it our handlers were registered. */
void shim_fork_init(void) {
  void *p = malloc(1);
  free(p);
}

/* Turns the fork of a child that was refused into a failed fork. */
static pid_t fork_result(pid_t pid) {
  if (pid > 0 && fork_refused) {
    siginfo_t info;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR) {
    }
    errno = ENOMEM;
    pid = -1;
  }
  fork_refused = false;
  return pid;
}

/* In mode sigsegv the kernel does not copy far pages for the child: parent and
 * child would return from fork on one and the same stack. */
static bool stack_forbids_fork(void) {
  if (!SHIM_FAR_STACK() || shim_signal != SIGSEGV) {
    return false;
  }
  cira__log(CIRA_LOG_ERROR,
            "fork refused: the thread's stack is in far memory, which mode %s "
            "cannot duplicate; fork from a thread with an ordinary stack",
            cira_space_mode_name(cira__space));
  errno = ENOMEM;
  return true;
}

SHIM_SLOT(fork);
SHIM_EXPORT pid_t fork(void) {
  if (stack_forbids_fork()) {
    return -1;
  }
  SHIM_GUARD_STACK();
  pid_t pid = fork_result(REAL(fork)());
  return pid;
}

SHIM_SLOT(_Fork);
SHIM_EXPORT pid_t _Fork(void) {
  if (!shim_ready) {
    return REAL(_Fork)();
  }
  if (stack_forbids_fork()) {
    return -1;
  }
  fork_prepare();
  if (fork_refused) {
    fork_refused = false;
    errno = ENOMEM;
    return -1;
  }
  pid_t pid = REAL(_Fork)();
  if (pid == 0) {
    fork_child();
  } else {
    int saved = errno;
    cira_space_fork_parent(cira__space, pid > 0);
    errno = saved;
  }
  return pid;
}

SHIM_SLOT(daemon);
SHIM_EXPORT int daemon(int keep_directory, int keep_streams) {
  SHIM_GUARD_STACK();
  int result = REAL(daemon)(keep_directory, keep_streams);
  return result;
}

SHIM_SLOT(forkpty);
SHIM_EXPORT pid_t forkpty(int *amaster, char *name, const struct termios *term,
                          const struct winsize *size) {
  shim_area_t areas[] = {OUT(amaster, sizeof(int)),
                         IN(term, term ? sizeof(*term) : 0),
                         IN(size, size ? sizeof(*size) : 0)};
  SHIM_GUARD(areas);
  pid_t pid = fork_result(REAL(forkpty)(amaster, name, term, size));
  return pid;
}

/* ---- clone -------------------------------------------------------------- */

typedef struct {
  int (*run)(void *);
  void *argument;
} clone_start_t;

static int clone_child(void *p) {
  clone_start_t *start = p; /* our copy of the parent's memory */
  fork_child();
  return start->run(start->argument);
}

int clone(int (*run)(void *), void *stack, int flags, void *argument, ...);
SHIM_SLOT(clone);
SHIM_EXPORT int clone(int (*run)(void *), void *stack, int flags,
                      void *argument, ...) {
  va_list ap;
  va_start(ap, argument);
  pid_t *parent_tid = va_arg(ap, pid_t *);
  void *tls = va_arg(ap, void *);
  pid_t *child_tid = va_arg(ap, pid_t *);
  va_end(ap);
  if (!shim_ready) {
    return REAL(clone)(run, stack, flags, argument, parent_tid, tls, child_tid);
  }
  /* The first frame of the child is written by the C library on its stack;
   * the kernel stores the ids, and clears child_tid when the child ends: that
   * page stays pinned for good. */
  if (shim_far(child_tid)) {
    (void)shim_pin(child_tid, sizeof(pid_t), CIRA_PIN_WRITE);
  }
  pid_t *where = parent_tid;
  int pid;
  if ((flags & CLONE_VM) != 0) {
    if ((flags & CLONE_VFORK) == 0) {
      cira_space_thread_add(cira__space); /* we never learn of its end */
    }
    shim_area_t areas[] = {
        OUT(where, (flags & (CLONE_PARENT_SETTID | CLONE_PIDFD)) != 0
                       ? sizeof(pid_t)
                       : 0)};
    SHIM_GUARD(areas);
    pid = REAL(clone)(run, stack, flags, argument, where, tls, child_tid);
    return pid;
  }
  clone_start_t start = {run, argument};
  fork_prepare();
  if (fork_refused) {
    fork_refused = false;
    errno = ENOMEM;
    return -1;
  }
  pid = REAL(clone)(clone_child, stack, flags, &start, where, tls, child_tid);
  int saved = errno;
  cira_space_fork_parent(cira__space, pid > 0);
  errno = saved;
  return pid;
}

/* ---- the end ------------------------------------------------------------ */

SHIM_SLOT(_exit);
SHIM_EXPORT void _exit(int status) {
  shim_stats_exit(status);
  REAL(_exit)(status);
  __builtin_unreachable();
}

SHIM_SLOT(_Exit);
SHIM_EXPORT void _Exit(int status) {
  shim_stats_exit(status);
  REAL(_Exit)(status);
  __builtin_unreachable();
}
