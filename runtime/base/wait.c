/* SPDX-License-Identifier: Apache-2.0
 *
 * Parkers of threads, wait lists, waitables (contract: cira/wait.h).
 * Locks here are held for a few loads and stores and never across a system
 * call, so contenders spin and then give up their time slice.
 * A waiter's state goes 1 (on a list) -> 2 (taken, under the lock) -> 3 (the
 * waker will not touch it again); its owner leaves only at 0 or 3.
 */
#include "cira/wait.h"
#include "base/base.h"
#include "base/sys.h"

#include <linux/futex.h>
#include <sched.h>

#define SPINS 64

/* ---- parkers ------------------------------------------------------------ */

typedef struct {
  cira_parker_t parker;
  _Atomic uint32_t token; /* 0 none, 1 unparked, 2 asleep */
} thread_parker_t;

static cira_status_t thread_park(cira_parker_t *self, uint64_t deadline_ns) {
  thread_parker_t *t = (thread_parker_t *)self;
  uint32_t none = 0;
  /* pairs with: thread_unpark's exchange; acquire, what the waker wrote */
  if (!atomic_compare_exchange_strong_explicit(
          &t->token, &none, 2, memory_order_acquire, memory_order_acquire)) {
    atomic_store_explicit(&t->token, 0, memory_order_relaxed);
    return CIRA_OK;
  }
  struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                           .tv_nsec = (long)(deadline_ns % 1000000000u)};
  long result =
      CIRA__SYS(SYS_futex, &t->token, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 2,
                deadline_ns == CIRA_FOREVER ? NULL : &until, NULL,
                FUTEX_BITSET_MATCH_ANY);
  /* pairs with: thread_unpark's exchange */
  uint32_t token = atomic_exchange_explicit(&t->token, 0, memory_order_acquire);
  return result == -ETIMEDOUT && token != 1 ? CIRA_E_DEADLINE : CIRA_OK;
}

static void thread_unpark(cira_parker_t *self) {
  thread_parker_t *t = (thread_parker_t *)self;
  /* pairs with: thread_park; release, what the waker wrote */
  if (atomic_exchange_explicit(&t->token, 1, memory_order_release) == 2) {
    (void)cira__sys_futex(&t->token, FUTEX_WAKE_PRIVATE, 1);
  }
}

static _Thread_local thread_parker_t own = {
    .parker = {.park = thread_park, .unpark = thread_unpark}};
_Thread_local __attribute__((tls_model("initial-exec")))
cira_parker_t *cira__parker_now;

__attribute__((noinline)) cira_parker_t *cira_parker_self(void) {
  return cira__parker_now ? cira__parker_now : &own.parker;
}

__attribute__((noinline)) void cira_parker_set(cira_parker_t *parker) {
  cira__parker_now = parker;
}

/* ---- the two spin locks ------------------------------------------------- */

static void pause_or_yield(unsigned turn) {
  if (turn % SPINS == SPINS - 1) {
    (void)sched_yield();
  } else {
    cira__cpu_relax();
  }
}

static void list_lock(cira_waitlist_t *list) {
  /* pairs with: list_unlock */
  for (unsigned i = 0;
       __atomic_exchange_n(&list->lock, 1, __ATOMIC_ACQUIRE) != 0; i++) {
    pause_or_yield(i);
  }
}

static void list_unlock(cira_waitlist_t *list) {
  /* pairs with: list_lock */
  __atomic_store_n(&list->lock, 0, __ATOMIC_RELEASE);
}

/* Unparks those on a private chain linked by next, all in state 2. */
static uint32_t chain_unpark(cira_waiter_t *w) {
  uint32_t count = 0;
  while (w) {
    cira_waiter_t *next = w->next;
    w->parker->unpark(w->parker);
    /* pairs with: waiter_settle; the last access to *w */
    __atomic_store_n(&w->state, 3, __ATOMIC_RELEASE);
    w = next;
    count++;
  }
  return count;
}

static void waiter_settle(cira_waiter_t *w) {
  /* pairs with: chain_unpark */
  for (unsigned i = 0; __atomic_load_n(&w->state, __ATOMIC_ACQUIRE) != 3; i++) {
    pause_or_yield(i);
  }
  w->state = 0;
}

/* ---- wait list ---------------------------------------------------------- */

void cira_waitlist_add(cira_waitlist_t *list, cira_waiter_t *w) {
  list_lock(list);
  w->next = NULL;
  w->prev = list->last;
  __atomic_store_n(&w->state, 1, __ATOMIC_RELAXED);
  if (list->last) {
    list->last->next = w;
  } else {
    list->first = w;
  }
  list->last = w;
  /* relaxed: the fence that orders it before the waiter's next check of its
   * condition is the caller's */
  __atomic_store_n(&list->count, list->count + 1, __ATOMIC_RELAXED);
  list_unlock(list);
}

static void unlink_waiter(cira_waitlist_t *list, cira_waiter_t *w) {
  if (w->prev) {
    w->prev->next = w->next;
  } else {
    list->first = w->next;
  }
  if (w->next) {
    w->next->prev = w->prev;
  } else {
    list->last = w->prev;
  }
  __atomic_store_n(&list->count, list->count - 1, __ATOMIC_RELAXED);
}

bool cira_waitlist_remove(cira_waitlist_t *list, cira_waiter_t *w) {
  list_lock(list);
  bool there = __atomic_load_n(&w->state, __ATOMIC_RELAXED) == 1;
  if (there) {
    unlink_waiter(list, w);
    w->state = 0;
  }
  list_unlock(list);
  if (!there) {
    waiter_settle(w);
  }
  return !there;
}

uint32_t cira_waitlist_wake(cira_waitlist_t *list, uint32_t count) {
  cira_waiter_t *chain = NULL;
  cira_waiter_t **end = &chain;
  list_lock(list);
  while (count > 0 && list->first) {
    cira_waiter_t *w = list->first;
    unlink_waiter(list, w);
    w->next = NULL;
    __atomic_store_n(&w->state, 2, __ATOMIC_RELAXED);
    *end = w;
    end = &w->next;
    count--;
  }
  list_unlock(list);
  return chain_unpark(chain);
}

/* ---- waitable ----------------------------------------------------------- */

/* Returns false when it is ready (and not locked then). */
static bool waitable_lock(cira_waitable_t *w) {
  for (unsigned i = 0;; i++) {
    uint32_t word = 0;
    /* pairs with: waitable_unlock and cira_waitable_set */
    if (__atomic_compare_exchange_n(&w->word, &word, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_ACQUIRE)) {
      return true;
    }
    if (word == 2) {
      return false;
    }
    pause_or_yield(i);
  }
}

static void waitable_unlock(cira_waitable_t *w) {
  /* pairs with: waitable_lock */
  __atomic_store_n(&w->word, 0, __ATOMIC_RELEASE);
}

cira_status_t cira_waitable_set(cira_waitable_t *w) {
  if (!w) {
    return cira__fail(CIRA_E_INVALID, "waitable_set: the waitable is NULL");
  }
  if (!waitable_lock(w)) {
    return cira__fail(CIRA_E_BUSY, "waitable_set: it was set before");
  }
  cira_waiter_t *chain = w->first;
  w->first = NULL;
  for (cira_waiter_t *at = chain; at; at = at->next) {
    __atomic_store_n(&at->state, 2, __ATOMIC_RELAXED);
  }
  /* pairs with: cira_waitable_ready, waitable_lock; the last access to *w */
  __atomic_store_n(&w->word, 2, __ATOMIC_RELEASE);
  (void)chain_unpark(chain);
  return CIRA_OK;
}

bool cira_waitable_add(cira_waitable_t *w, cira_waiter_t *waiter) {
  if (!waitable_lock(w)) {
    return false;
  }
  waiter->prev = NULL;
  waiter->next = w->first;
  __atomic_store_n(&waiter->state, 1, __ATOMIC_RELAXED);
  if (w->first) {
    w->first->prev = waiter;
  }
  w->first = waiter;
  waitable_unlock(w);
  return true;
}

void cira_waitable_remove(cira_waitable_t *w, cira_waiter_t *waiter) {
  bool locked = waitable_lock(w);
  if (!locked || __atomic_load_n(&waiter->state, __ATOMIC_RELAXED) != 1) {
    if (locked) { /* it was set, and is used again already */
      waitable_unlock(w);
    }
    waiter_settle(waiter);
    return;
  }
  if (waiter->prev) {
    waiter->prev->next = waiter->next;
  } else {
    w->first = waiter->next;
  }
  if (waiter->next) {
    waiter->next->prev = waiter->prev;
  }
  waiter->state = 0;
  waitable_unlock(w);
}

cira_status_t cira_waitable_wait(cira_waitable_t *w, uint64_t deadline_ns) {
  if (!w) {
    return cira__fail(CIRA_E_INVALID, "waitable_wait: the waitable is NULL");
  }
  if (cira_waitable_ready(w)) {
    return CIRA_OK;
  }
  if (deadline_ns == CIRA_NO_WAIT) {
    return CIRA_E_DEADLINE;
  }
  cira_waiter_t waiter = {.parker = cira_parker_self()};
  if (!cira_waitable_add(w, &waiter)) {
    return CIRA_OK;
  }
  cira_status_t status = CIRA_OK;
  while (status == CIRA_OK && !cira_waitable_ready(w)) {
    status = waiter.parker->park(waiter.parker, deadline_ns);
  }
  cira_waitable_remove(w, &waiter);
  return status == CIRA_OK || cira_waitable_ready(w) ? CIRA_OK : status;
}
