/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting, for whoever waits: a thread or a coroutine. Code that has to wait
 * asks for the parker of the caller and parks it; whoever makes the condition
 * true unparks it. A thread's parker sleeps in a futex, a coroutine's parker
 * (cira/coro.h) runs other coroutines meanwhile, so the same blocking call
 * suits both.
 * A waitable is one thing that becomes true once ("the bytes are here"): a word
 * and a list of waiters. A wait list holds waiters of a condition that comes
 * and goes (a ring that is empty); it wakes as many as there is work for.
 * Invariant: a waiter that is taken off a list by a waker is always unparked,
 * and the waker's last access to it is the store that cira_waiter removal
 * waits for; so waiters may live on the stack of the one who waits.
 * Reading order: parker, waiter, wait list, waitable.
 */
#ifndef CIRA_WAIT_H
#define CIRA_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Deadlines are points of CLOCK_MONOTONIC in nanoseconds, or one of: */
#define CIRA_NO_WAIT UINT64_C(0)
#define CIRA_FOREVER UINT64_MAX

/* ---- parker ------------------------------------------------------------- */

typedef struct cira_parker cira_parker_t;
struct cira_parker {
  /* Returns when unpark was called since the last return (it may have been
   * before the call), or without a reason: callers check their condition and
   * park again. CIRA_OK; CIRA_E_DEADLINE; CIRA_E_CANCELLED for a coroutine that
   * was told to stop. Only the owner calls it. */
  cira_status_t (*park)(cira_parker_t *self, uint64_t deadline_ns);
  /* Lets park return, now or at its next call. Any thread. */
  void (*unpark)(cira_parker_t *self);
  uint32_t is_task; /* parking runs other work: spinning first is a waste */
  /* Tasks only, NULL for threads: lets others that are ready run; waits for a
   * descriptor as cira_coro_wait_fd does. Only the owner calls them. */
  void (*yield)(cira_parker_t *self);
  cira_status_t (*wait_fd)(cira_parker_t *self, int fd, uint32_t events,
                           uint64_t deadline_ns);
};

/* The parker of the caller: of the running coroutine, else of the thread.
 * Returns a pointer that is valid until the coroutine or thread ends.
 * Threads: any. Cost: a few nanoseconds. */
CIRA_API cira_parker_t *cira_parker_self(void);

/* Makes `parker` what cira_parker_self returns on this thread; NULL goes back
 * to the thread's own. For schedulers.
 * Threads: any, for itself. */
CIRA_API void cira_parker_set(cira_parker_t *parker);

/* ---- waiter and wait list ----------------------------------------------- */

/* One who waits, on one list. Zero it, set parker, keep it until removed. */
typedef struct cira_waiter {
  struct cira_waiter *next, *prev; /* guarded by the list's lock */
  cira_parker_t *parker;
  uint32_t state; /* 0 off, 1 on a list, 2 taken by a waker, 3 unparked */
} cira_waiter_t;

/* All zero is an empty list. */
typedef struct cira_waitlist {
  uint32_t lock;
  uint32_t count; /* of waiters; read without the lock by wakers */
  cira_waiter_t *first, *last;
} cira_waitlist_t;

/* Puts a waiter at the end of a list. The caller checks its condition again
 * after this, with a full fence in between, before it parks.
 * Threads: any. Cost: a lock, no system call. */
CIRA_API void cira_waitlist_add(cira_waitlist_t *list, cira_waiter_t *waiter);

/* Takes a waiter off a list, or waits (briefly) until the waker that has
 * already taken it is done with it. After that the waiter may be reused.
 * Returns true when a waker had chosen it: a caller that does not use what it
 *   was woken for wakes the next one.
 * Threads: the owner of the waiter. */
CIRA_API bool cira_waitlist_remove(cira_waitlist_t *list,
                                   cira_waiter_t *waiter);

/* Unparks the `count` who wait longest (UINT32_MAX: all).
 * Returns how many there were.
 * Threads: any. Cost: a lock, and an unpark each. */
CIRA_API uint32_t cira_waitlist_wake(cira_waitlist_t *list, uint32_t count);

/* ---- waitable ----------------------------------------------------------- */

/* Something that becomes ready once. All zero is "not ready". */
typedef struct cira_waitable {
  uint32_t word; /* 0 not ready, 1 not ready and locked, 2 ready */
  uint32_t reserved;
  cira_waiter_t *first; /* guarded by word */
} cira_waitable_t;

/* What was written before cira_waitable_set is visible after true.
 * Returns whether it is ready. NULL is never ready.
 * Threads: any. Cost: a load. */
static inline bool cira_waitable_ready(const cira_waitable_t *w) {
  /* pairs with: the release stores in cira_waitable_set */
  return w && __atomic_load_n(&w->word, __ATOMIC_ACQUIRE) == 2;
}

/* Makes it ready and unparks all who wait. Once it reads as ready the call
 * never touches it again, so it may be freed when all who wait have returned.
 * Returns CIRA_OK; CIRA_E_BUSY when it was ready before (a second completion is
 *   a mistake of the caller); CIRA_E_INVALID for NULL.
 * Threads: any. Cost: about 20 ns, and an unpark for each who waits. */
CIRA_API cira_status_t cira_waitable_set(cira_waitable_t *w);

/* Waits until it is ready.
 *   deadline_ns  CIRA_NO_WAIT, CIRA_FOREVER or a point in time.
 * Returns CIRA_OK; CIRA_E_DEADLINE; CIRA_E_CANCELLED in a coroutine that was
 *   told to stop; CIRA_E_INVALID for NULL.
 * Threads: any, any number of them. Cost when ready: a load. */
CIRA_API CIRA_MUST_USE cira_status_t cira_waitable_wait(cira_waitable_t *w,
                                                        uint64_t deadline_ns);

/* For those who wait for several things at once: puts a waiter on it.
 * Returns false, and leaves the waiter alone, when it is ready already.
 * Threads: any. */
CIRA_API bool cira_waitable_add(cira_waitable_t *w, cira_waiter_t *waiter);

/* Undoes cira_waitable_add, whether or not it has become ready meanwhile.
 * Threads: the owner of the waiter. */
CIRA_API void cira_waitable_remove(cira_waitable_t *w, cira_waiter_t *waiter);

#ifdef __cplusplus
}
#endif
#endif
