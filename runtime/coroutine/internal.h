/* SPDX-License-Identifier: Apache-2.0
 *
 * A coroutine's control block lies at the top of its stack, in the page that
 * its first frames touch anyway. A stopped coroutine is a context: the stack
 * pointer under which the switch saved its registers.
 *
 *   base                                                base + stack_bytes
 *   | guard page | stack grows down  <- | cira_coro_t | colour | canary line |
 *
 * The colour (0-7 times 128 B, by the stack's number) spreads control blocks
 * over the sets of the first-level cache. The canary belongs to the stack
 * above, whose overflow would reach it first.
 *
 * A task's token decides who makes it ready: 0 it runs or is queued, 1 it was
 * unparked meanwhile, 2 it is parked. Only who changes 2 to 0 queues it.
 * Everything else of a task is touched only by the thread that runs it, or,
 * when it is parked, by its worker (the one it parked on). Reading order:
 * switch_*.S, coro.c, pool.c, task.c, sched.c, timer.c, ring.h, fd.c.
 */
#ifndef CIRA_COROUTINE_INTERNAL_H
#define CIRA_COROUTINE_INTERNAL_H

#include "base/base.h"
#include "cira/coro.h"
#include "coroutine/ring.h"

#include <pthread.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CIRA__ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CIRA__TSAN 1
#endif
#endif
#ifdef CIRA_CORO_UCONTEXT
#include <ucontext.h>
#endif

#define CIRA__CORO_MAGIC 0x6f726f6361726963ull /* "ciracoro" */

typedef struct cira__context {
  void *sp; /* offset 0: read by the unwinding rules of switch_*.S */
#ifdef CIRA_CORO_UCONTEXT
  ucontext_t ucontext;
  int64_t value; /* what its cira__switch returns */
#endif
#ifdef CIRA__ASAN
  void *fake_stack;
  const void *bottom;
  size_t bytes;
#endif
#ifdef CIRA__TSAN
  void *fiber;
#endif
} cira__context_t;

typedef struct cira__worker cira__worker_t;

typedef enum {
  CIRA__CORO_FREE = 0,
  CIRA__CORO_STOPPED = 1,
  CIRA__CORO_RUNNING = 2, /* or has resumed another one that runs */
  CIRA__CORO_ENDED = 3,
} cira__coro_state_t;

typedef enum {
  CIRA__AFTER_YIELD,
  CIRA__AFTER_PARK,
  CIRA__AFTER_END,
  CIRA__AFTER_NOTHING, /* it is done already: see cira__worker_pass */
} cira__after_t;

struct cira_coro {
  /* what a turn needs: one line */
  cira__context_t *link; /* offset 0: whom it stops in favour of */
  cira__context_t ctx;   /* offset 8 */
  cira_coro_t *outer;    /* the coroutine that resumed it, or NULL */
  cira_coro_t *next;     /* in a free list, run queue or inbox */
  cira_coro_t *leaf;     /* tasks: what to resume: itself, or one it resumed */
  uint64_t magic;
  uint32_t state;
  uint8_t after; /* cira__after_t */
  bool canary, is_task, timed_out, detached;

  /* tasks: waiting */
  cira_parker_t parker;
  cira_sched_t *sched;
  cira__worker_t *worker; /* the one it parked on */
  _Atomic uint32_t token, cancelled, joining;
  uint64_t deadline_ns;
  uint64_t wake_ns;          /* timer heap: key */
  cira_coro_t *heap_child;   /* first child */
  cira_coro_t *heap_sibling; /* next child of the same parent */
  cira_coro_t **heap_slot;   /* what points to it; NULL: not in the heap */

  /* begin and end */
  cira_coro_fn_t fn;
  void *argument;
  cira_coro_pool_t *pool;
  uint8_t *base;
  uint64_t id; /* raised when it is freed */
  cira_task_fn_t task_fn;
  int64_t result;
  cira_waitable_t done;
};

/* ---- switching ---------------------------------------------------------- */

/* Saves the callee-saved registers on this stack and its pointer in *from, and
 * goes on at `to`, whose own call returns `value`. */
int64_t cira__switch(cira__context_t *from, cira__context_t *to, int64_t value);
/* Makes `co->ctx` such that the first switch calls cira__coro_main(co) on the
 * stack that ends at `top` (16-byte aligned). */
void cira__switch_init(cira_coro_t *co, void *top);
_Noreturn void cira__coro_main(cira_coro_t *co);

/* ---- per thread --------------------------------------------------------- */

typedef struct {
  cira_coro_t *current; /* NULL: the thread's own stack */
  cira__worker_t *worker;
  cira__context_t root;
} cira__coro_thread_t;

/* Never inlined: a coroutine may come back on another thread. */
cira__coro_thread_t *cira__coro_thread(void);

/* Switches with the sanitizers told. */
int64_t cira__context_switch(cira__context_t *from, cira__context_t *to,
                             int64_t value, bool ends);
/* The same from one task to another, which returns to where that one stopped by
 * `ret`: tasks mostly stop at the same place, so the processor predicts that
 * return and those that follow it, which a jump would leave one off. */
#if defined(__x86_64__) && !defined(CIRA_CORO_UCONTEXT) &&                     \
    !defined(CIRA__ASAN) && !defined(CIRA__TSAN)
void cira__switch_alike(cira__context_t *from, cira__context_t *to);
static inline void cira__context_pass(cira__context_t *from,
                                      cira__context_t *to) {
  cira__switch_alike(from, to);
}
#else
static inline void cira__context_pass(cira__context_t *from,
                                      cira__context_t *to) {
  (void)cira__context_switch(from, to, CIRA_PENDING, false);
}
#endif
/* The context of what runs on this thread. */
static inline cira__context_t *cira__context_now(cira__coro_thread_t *t) {
  return t->current ? &t->current->ctx : &t->root;
}
/* Dies when the coroutine has run over the end of its stack. */
void cira__coro_check_canary(const cira_coro_t *co);

/* ---- pool --------------------------------------------------------------- */

struct cira_coro_pool {
  cira_coro_t *free;
  _Atomic(cira_coro_t *) freed; /* by other threads */
  uint8_t *carve, *carve_end;   /* of the newest slab */
  struct cira__slab *slabs;
  uint64_t stack_bytes, count, count_max;
  uint32_t guard;
  int32_t guard_maps;       /* of this pool, in the process's count */
  _Atomic int64_t used;     /* taken, less given by the taking thread */
  _Atomic int64_t returned; /* given by others */
};

cira_status_t cira__stacks_init(cira_coro_pool_t *pool,
                                const cira_coro_options_t *opt);
void cira__stacks_fini(cira_coro_pool_t *pool);
/* A stopped coroutine without function. */
cira_status_t cira__stacks_take(cira_coro_pool_t *pool, cira_coro_t **out);
/* By the thread that takes from the pool, or by another one. */
void cira__stacks_give(cira_coro_t *co);
void cira__stacks_give_remote(cira_coro_t *co);

/* ---- scheduler ---------------------------------------------------------- */

struct cira__worker {
  cira_sched_t *sched;
  cira_coro_t *head,
      *tail; /* ready tasks; guarded by lock if several threads */
  _Atomic uint32_t count;
  cira_lock_t lock;
  cira_coro_t *timers;  /* pairing heap */
  cira_coro_t *running; /* the task resumed last */
  cira_coro_pool_t pool;
  uint64_t tick;
  int epoll_fd, event_fd;
  cira__ring_t ring; /* in place of the epoll, where there is one */
  pthread_t thread;
  uint32_t index;
  _Atomic uint64_t resumed, stolen; /* written by this worker */
  /* written by others */
  _Alignas(128) _Atomic(cira_coro_t *) inbox;
  _Atomic uint32_t sleeping;
  _Atomic uint32_t fd_waiters;
};

struct cira_sched {
  cira__worker_t *workers;
  uint32_t worker_count;
  uint32_t keep, spin_ns;
  cira_lock_t shared_lock;
  cira_coro_pool_t shared_pool; /* of tasks spawned from outside; guarded */
  _Atomic uint32_t running, stop, idle, next_worker;
  _Atomic int64_t live;
};

void cira__task_init(cira_coro_t *co, cira_sched_t *sched);
void cira__task_end(cira_coro_t *co);
void cira__worker_push(cira__worker_t *w, cira_coro_t *co);
/* From any thread, for a task that is in no queue. */
void cira__worker_send(cira__worker_t *w, cira_coro_t *co);
void cira__sched_kick_all(cira_sched_t *sched);
/* Ends the turn of the task that runs (its leaf is set) and says which one is
 * to run now, without the worker in between; it may be the same. NULL: the
 * worker has to look. */
cira_coro_t *cira__worker_pass(cira__coro_thread_t *t, cira_coro_t *co,
                               cira__after_t after);
/* The task that runs on this thread, or NULL. It may have resumed a coroutine
 * by hand, which then is the current one. */
cira_coro_t *cira__task_now(void);
/* Stops the running task; back when it is resumed. */
void cira__task_stop(cira_coro_t *co, cira__after_t after);
/* Ends the turn of the task that runs, which is the current coroutine and stays
 * ready. */
void cira__task_yield(cira__coro_thread_t *t, cira_coro_t *co);
/* Events of the worker's descriptors: unparks tasks. */
void cira__worker_poll(cira__worker_t *w, int64_t timeout_ns);

/* ---- timers of a worker: by its thread only ---- */

void cira__timer_add(cira__worker_t *w, cira_coro_t *co);
void cira__timer_remove(cira__worker_t *w, cira_coro_t *co);

#endif
