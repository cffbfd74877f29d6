/* SPDX-License-Identifier: Apache-2.0
 *
 * What a running task can do: stop, park, be unparked, end, wait for others and
 * for time. The scheduler's side is in sched.c, descriptors in fd.c.
 * A park is decided on the worker's stack, after the task's registers are
 * saved: only then can another thread make it ready.
 */
#include "coroutine/internal.h"

#define OF_PARKER(p)                                                           \
  ((cira_coro_t *)(void *)((uint8_t *)(p) - offsetof(cira_coro_t, parker)))

cira_coro_t *cira__task_now(void) {
  cira_coro_t *co = cira__coro_thread()->current;
  while (co && !co->is_task) {
    co = co->outer;
  }
  return co;
}

/* ---- stopping and parking ----------------------------------------------- */

/* Never inlined into what uses the thread's variables afterwards. */
__attribute__((noinline)) void cira__task_stop(cira_coro_t *co,
                                               cira__after_t after) {
  cira__coro_thread_t *t = cira__coro_thread();
  cira_coro_t *leaf = co->leaf = t->current;
  if (CIRA_UNLIKELY(leaf->canary)) {
    cira__coro_check_canary(leaf);
  }
  cira_coro_t *next = cira__worker_pass(t, co, after);
  if (next == NULL) {
    (void)cira__context_switch(&leaf->ctx, &t->root, CIRA_PENDING, false);
  } else if (next != co) {
    cira__context_pass(&leaf->ctx, &next->leaf->ctx);
  }
}

static cira_status_t task_park(cira_parker_t *parker, uint64_t deadline_ns) {
  cira_coro_t *co = OF_PARKER(parker);
  /* pairs with: the release store in cira_task_cancel */
  if (atomic_load_explicit(&co->cancelled, memory_order_acquire)) {
    return CIRA_E_CANCELLED;
  }
  uint32_t one = 1;
  /* pairs with: the release swap in task_unpark */
  if (atomic_compare_exchange_strong_explicit(
          &co->token, &one, 0, memory_order_acquire, memory_order_relaxed)) {
    return CIRA_OK;
  }
  co->wake_ns = cira__min_u64(deadline_ns, co->deadline_ns);
  co->timed_out = false;
  if (co->wake_ns != CIRA_FOREVER && cira__now_ns() >= co->wake_ns) {
    /* others must have their turn even if all deadlines are over */
    cira__task_stop(co, CIRA__AFTER_YIELD);
    return CIRA_E_DEADLINE;
  }
  cira__task_stop(co, CIRA__AFTER_PARK);
  if (atomic_load_explicit(&co->cancelled, memory_order_acquire)) {
    return CIRA_E_CANCELLED;
  }
  return co->timed_out ? CIRA_E_DEADLINE : CIRA_OK;
}

static void task_unpark(cira_parker_t *parker) {
  cira_coro_t *co = OF_PARKER(parker);
  uint32_t token = atomic_load_explicit(&co->token, memory_order_relaxed);
  for (;;) {
    if (token == 1) {
      /* Already unparked and not yet back; what we wrote must be visible to it
       * all the same, so this is a swap too. pairs with: task_park */
      if (atomic_compare_exchange_weak_explicit(&co->token, &token, 1,
                                                memory_order_acq_rel,
                                                memory_order_relaxed)) {
        return;
      }
      continue;
    }
    uint32_t next = token == 2 ? 0 : 1;
    /* pairs with: the acquire swaps in task_park and in sched.c's task_settle
     */
    if (atomic_compare_exchange_weak_explicit(&co->token, &token, next,
                                              memory_order_acq_rel,
                                              memory_order_relaxed)) {
      break;
    }
  }
  if (token == 2) {
    cira__worker_send(co->worker, co);
  }
}

static void task_yield(cira_parker_t *parker) {
  cira_coro_t *co = OF_PARKER(parker);
  cira__coro_thread_t *t = cira__coro_thread();
  if (CIRA_LIKELY(t->current == co && !co->canary)) {
    cira__task_yield(t, co);
  } else {
    cira_coro_yield();
  }
}

static cira_status_t task_wait_fd(cira_parker_t *parker, int fd,
                                  uint32_t events, uint64_t deadline_ns) {
  (void)parker;
  return cira_coro_wait_fd(fd, events, deadline_ns, NULL);
}

void cira__task_init(cira_coro_t *co, cira_sched_t *sched) {
  co->is_task = true;
  co->outer = NULL;
  co->sched = sched;
  co->leaf = co;
  co->parker = (cira_parker_t){.park = task_park,
                               .unpark = task_unpark,
                               .is_task = 1,
                               .yield = task_yield,
                               .wait_fd = task_wait_fd};
  atomic_store_explicit(&co->token, 0, memory_order_relaxed);
  atomic_store_explicit(&co->cancelled, 0, memory_order_relaxed);
  atomic_store_explicit(&co->joining, 0, memory_order_relaxed);
  co->heap_slot = NULL;
  co->done = (cira_waitable_t){0};
}

/* ---- handles ------------------------------------------------------------ */

cira_task_t cira_task_self(void) {
  cira_coro_t *co = cira__task_now();
  return (cira_task_t){.coro = co, .id = co ? co->id : 0};
}

bool cira_task_cancelled(void) {
  cira_coro_t *co = cira__task_now();
  return co && atomic_load_explicit(&co->cancelled, memory_order_acquire) != 0;
}

static cira_status_t handle_check(cira_task_t task, const char *call) {
  if (!task.coro) {
    return cira__fail(CIRA_E_INVALID, "task_%s: the handle is NULL", call);
  }
  if (task.coro->magic != CIRA__CORO_MAGIC) {
    return cira__fail(CIRA_E_INVALID, "task_%s: %p is no task", call,
                      (void *)task.coro);
  }
  /* relaxed: see retire in pool.c */
  if (__atomic_load_n(&task.coro->id, __ATOMIC_RELAXED) != task.id) {
    return cira__fail(CIRA_E_CLOSED,
                      "task_%s: the task has been joined or freed itself",
                      call);
  }
  return CIRA_OK;
}

cira_status_t cira_task_cancel(cira_task_t task) {
  cira_status_t status = handle_check(task, "cancel");
  if (status == CIRA_OK) {
    /* pairs with: the acquire loads in task_park */
    atomic_store_explicit(&task.coro->cancelled, 1, memory_order_release);
    task_unpark(&task.coro->parker);
  }
  return status;
}

/* Gives a stack back from whatever thread this is. */
static void task_free(cira_coro_t *co) {
  cira__worker_t *w = cira__coro_thread()->worker;
  if (w && co->pool == &w->pool) {
    cira__stacks_give(co);
  } else {
    cira__stacks_give_remote(co);
  }
}

cira_status_t cira_task_join(cira_task_t task, uint64_t deadline_ns,
                             int64_t *out_result) {
  cira_status_t status = handle_check(task, "join");
  if (status != CIRA_OK) {
    return status;
  }
  cira_coro_t *co = task.coro;
  if (co->detached) {
    return cira__fail(CIRA_E_CLOSED, "task_join: the task is detached");
  }
  if (co == cira__task_now() ||
      atomic_exchange_explicit(&co->joining, 1, memory_order_acquire)) {
    return cira__fail(CIRA_E_BUSY, "task_join: somebody else joins it, or it "
                                   "is the caller");
  }
  status = cira_waitable_wait(&co->done, deadline_ns);
  if (status != CIRA_OK) {
    /* pairs with: the acquire exchange above, of the next joiner */
    atomic_store_explicit(&co->joining, 0, memory_order_release);
    return status;
  }
  if (out_result) {
    *out_result = co->result;
  }
  task_free(co);
  return CIRA_OK;
}

void cira__task_end(cira_coro_t *co) {
  co->state = CIRA__CORO_ENDED;
  if (co->detached) {
    task_free(co);
  } else {
    (void)cira_waitable_set(&co->done); /* the joiner frees it */
  }
}

/* ---- time --------------------------------------------------------------- */

cira_status_t cira_coro_sleep_until(uint64_t point_ns) {
  cira_parker_t *parker = cira_parker_self();
  while (cira__now_ns() < point_ns) {
    cira_status_t status = parker->park(parker, point_ns);
    if (status == CIRA_E_CANCELLED ||
        (status == CIRA_E_DEADLINE && cira__now_ns() < point_ns)) {
      return status;
    }
  }
  return CIRA_OK;
}
