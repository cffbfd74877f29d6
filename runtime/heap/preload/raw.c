/* SPDX-License-Identifier: Apache-2.0
 *
 * raw: system calls by number. Those that have a wrapper go through it; futex
 * and the like are pinned by what the kernel touches; of numbers not known here
 * each far argument is made present up to the end of its page.
 * Threads: any; signal-safe.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "heap/preload/shim.h"

SHIM_SLOT(syscall);

typedef struct {
  long number;
  long a[6];
} call_t;

static long call_real(const call_t *c) {
  return REAL(syscall)(c->number, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4],
                       c->a[5]);
}

static uint64_t rest_of_page(long p) {
  return CIRA_PAGE_BYTES - (uint64_t)p % CIRA_PAGE_BYTES;
}

/* futex(2): the words stay present while it waits; a bounce copy would be
 * another word, so the areas have their own variables. */
static long call_futex(call_t *c) {
  long word = c->a[0];
  long word2 = c->a[4];
  struct timespec limit;
  int command = (int)c->a[1] & FUTEX_CMD_MASK;
  bool timed = command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET ||
               command == FUTEX_LOCK_PI || command == FUTEX_WAIT_REQUEUE_PI;
  if (timed && shim_far((const void *)c->a[3])) {
    limit = *(const struct timespec *)c->a[3];
    c->a[3] = (long)(uintptr_t)&limit;
  }
  shim_area_t areas[] = {INOUT(word, sizeof(uint32_t)),
                         INOUT(word2, sizeof(uint32_t))};
  SHIM_GUARD(areas);
  long result = call_real(c);
  return result;
}

static long call_sigprocmask(call_t *c) {
  uint64_t mine = 0;
  sigset_t set;
  sigset_t old;
  sigemptyset(&set);
  if (c->a[3] != SHIM_KERNEL_SET_BYTES) {
    errno = EINVAL;
    return -1;
  }
  if (c->a[1] != 0) {
    memcpy(&set, (const void *)c->a[1], sizeof(mine));
  }
  int result = sigprocmask((int)c->a[0], c->a[1] != 0 ? &set : NULL, &old);
  if (result == 0 && c->a[2] != 0) {
    memcpy((void *)c->a[2], &old, sizeof(mine));
  }
  return result;
}

/* A plain fork, whichever way it is spelled. */
static bool is_fork(const call_t *c) {
  return c->number == SYS_fork ||
         (c->number == SYS_clone && c->a[1] == 0 &&
          (c->a[0] & ~0xffL &
           ~(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID |
             CLONE_PARENT_SETTID)) == 0 &&
          (c->a[0] & 0xff) == SIGCHLD && c->a[2] == 0 && c->a[3] == 0);
}

static long call_unknown(call_t *c) {
  shim_area_t areas[6];
  for (int i = 0; i < 6; i++) {
    shim_area_t area = INOUT(c->a[i], rest_of_page(c->a[i]));
    areas[i] = area;
  }
  SHIM_GUARD(areas);
  long result = call_real(c);
  return result;
}

#define P(i) ((void *)c->a[i])
#define N(i) ((size_t)c->a[i])
#define I(i) ((int)c->a[i])

/* Calls with a wrapper of their own; false when there is none. */
static bool call_wrapped(call_t *c, long *out) {
  switch (c->number) {
  case SYS_read:
    *out = read(I(0), P(1), N(2));
    return true;
  case SYS_write:
    *out = write(I(0), P(1), N(2));
    return true;
  case SYS_pread64:
    *out = pread64(I(0), P(1), N(2), c->a[3]);
    return true;
  case SYS_pwrite64:
    *out = pwrite64(I(0), P(1), N(2), c->a[3]);
    return true;
  case SYS_readv:
    *out = readv(I(0), P(1), I(2));
    return true;
  case SYS_writev:
    *out = writev(I(0), P(1), I(2));
    return true;
  case SYS_getrandom:
    *out = getrandom(P(0), N(1), (unsigned)I(2));
    return true;
  case SYS_openat:
    *out = openat(I(0), P(1), I(2), (mode_t)I(3));
    return true;
  case SYS_madvise:
    *out = madvise(P(0), N(1), I(2));
    return true;
  case SYS_execve:
    *out = execve(P(0), P(1), P(2));
    return true;
  case SYS_getdents64: {
    void *buf = P(1);
    shim_area_t areas[] = {OUT(buf, N(2))};
    SHIM_GUARD(areas);
    c->a[1] = (long)(uintptr_t)buf;
    *out = call_real(c);
    return true;
  }
  default:
    return false;
  }
}

CIRA_COLD static long call_far(call_t *c) {
  long result;
  if (c->number == SYS_futex) {
    return call_futex(c);
  }
  if (call_wrapped(c, &result)) {
    return result;
  }
  return call_unknown(c);
}

SHIM_EXPORT long syscall(long number, ...) {
  call_t c = {.number = number};
  va_list ap;
  va_start(ap, number);
  for (int i = 0; i < 6; i++) {
    c.a[i] = va_arg(ap, long);
  }
  va_end(ap);
  if (shim_is_own_code(__builtin_return_address(0))) {
    return call_real(&c);
  }
  switch (number) { /* not about pointers */
  case SYS_rt_sigprocmask:
    return call_sigprocmask(&c);
  case SYS_close:
    return close((int)c.a[0]);
  case SYS_exit_group:
    _exit((int)c.a[0]);
  default:
    break;
  }
  if (is_fork(&c)) {
    return _Fork();
  }
  if (CIRA_LIKELY(!(SHIM_FAR_6(c.a[0], c.a[1], c.a[2], c.a[3], c.a[4], c.a[5]) |
                    SHIM_FAR_STACK()))) {
    return call_real(&c);
  }
  return call_far(&c);
}
