/* SPDX-License-Identifier: Apache-2.0
 *
 * Coroutines by hand: resume, yield, the end; and what the sanitizers are told.
 * resume and yield end in the switch as a tail call, so that the code between
 * two switches contains no `ret` whose prediction would be wrong.
 */
#include "coroutine/internal.h"

#include <pthread.h>
#include <string.h>

#ifdef CIRA__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CIRA__TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* initial-exec: one load, also in a shared library */
static _Thread_local
    __attribute__((tls_model("initial-exec"))) cira__coro_thread_t thread;

__attribute__((noinline)) cira__coro_thread_t *cira__coro_thread(void) {
  return &thread;
}

/* ---- switching ---------------------------------------------------------- */

#if defined(CIRA__ASAN) || defined(CIRA__TSAN)

static void root_describe(cira__context_t *c) {
#ifdef CIRA__ASAN
  if (!c->bottom) {
    pthread_attr_t attr;
    void *bottom = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
      (void)pthread_attr_getstack(&attr, &bottom, &bytes);
      (void)pthread_attr_destroy(&attr);
    }
    c->bottom = bottom;
    c->bytes = bytes;
  }
#endif
#ifdef CIRA__TSAN
  if (!c->fiber) {
    c->fiber = __tsan_get_current_fiber();
  }
#endif
}

int64_t cira__context_switch(cira__context_t *from, cira__context_t *to,
                             int64_t value, bool ends) {
  cira__coro_thread_t *t = cira__coro_thread();
  if (from == &t->root) {
    root_describe(from);
  }
  (void)ends;
#ifdef CIRA__ASAN
  __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->bottom,
                                 to->bytes);
#endif
#ifdef CIRA__TSAN
  __tsan_switch_to_fiber(to->fiber, 0);
#endif
  int64_t result = cira__switch(from, to, value);
#ifdef CIRA__ASAN
  __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
  return result;
}

#else

inline int64_t cira__context_switch(cira__context_t *from, cira__context_t *to,
                                    int64_t value, bool ends) {
  (void)ends;
  return cira__switch(from, to, value);
}

#endif

_Noreturn void cira__coro_main(cira_coro_t *co) {
#ifdef CIRA__ASAN
  __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
  if (co->is_task) {
    co->result = co->task_fn(co->argument);
    co->after = CIRA__AFTER_END;
  } else {
    co->fn(co->argument);
    co->state = CIRA__CORO_ENDED;
  }
  cira__coro_check_canary(co);
  /* asked for anew: it may be another thread's by now */
  cira__coro_thread_t *t = cira__coro_thread();
  t->current = co->outer;
  (void)cira__context_switch(&co->ctx, co->link, CIRA_OK, true);
  cira__die("coroutine %p was resumed after its end", (void *)co);
}

/* ---- by hand ------------------------------------------------------------ */

static CIRA_COLD cira_status_t resume_refuse(const cira_coro_t *co) {
  if (!co || co->magic != CIRA__CORO_MAGIC || co->is_task ||
      co->state == CIRA__CORO_FREE) {
    return cira__fail(CIRA_E_INVALID,
                      "coro_resume: %p is no coroutine, or a task",
                      (const void *)co);
  }
  if (co->state == CIRA__CORO_ENDED) {
    return cira__fail(CIRA_E_CLOSED, "coro_resume: the coroutine has ended");
  }
  return cira__fail(CIRA_E_BUSY, "coro_resume: the coroutine is running");
}

cira_status_t cira_coro_resume(cira_coro_t *co) {
  if (CIRA_UNLIKELY(!co || co->magic != CIRA__CORO_MAGIC ||
                    co->state != CIRA__CORO_STOPPED || co->is_task)) {
    return resume_refuse(co);
  }
  cira__coro_thread_t *t = &thread;
  cira__context_t *from = cira__context_now(t);
  co->state = CIRA__CORO_RUNNING;
  co->outer = t->current;
  co->link = from;
  t->current = co;
  return (cira_status_t)cira__context_switch(from, &co->ctx, CIRA_OK, false);
}

void cira_coro_yield(void) {
  cira__coro_thread_t *t = &thread;
  cira_coro_t *co = t->current;
  if (CIRA_UNLIKELY(!co)) {
    return;
  }
  if (CIRA_UNLIKELY(co->canary)) {
    cira__coro_check_canary(co);
  }
  if (co->is_task) {
    cira__task_yield(t, co);
    return;
  }
  co->state = CIRA__CORO_STOPPED;
  t->current = co->outer;
  (void)cira__context_switch(&co->ctx, co->link, CIRA_PENDING, false);
}

cira_coro_t *cira_coro_self(void) {
  return cira__coro_thread()->current;
}

cira_status_t cira_coro_create(cira_coro_pool_t *pool, cira_coro_fn_t fn,
                               void *argument, cira_coro_t **out) {
  cira_coro_t *co;
  if (CIRA_UNLIKELY(!pool || !fn || !out)) {
    return cira__fail(CIRA_E_INVALID,
                      "coro_create: the pool, function or output is NULL");
  }
  cira_status_t status = cira__stacks_take(pool, &co);
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return status;
  }
  co->fn = fn;
  co->argument = argument;
  co->is_task = false;
  *out = co;
  return CIRA_OK;
}

cira_status_t cira_coro_destroy(cira_coro_t *co) {
  if (!co) {
    return CIRA_OK;
  }
  if (co->magic != CIRA__CORO_MAGIC || co->state == CIRA__CORO_FREE ||
      co->is_task) {
    return cira__fail(CIRA_E_INVALID,
                      "coro_destroy: %p is no coroutine, or a task",
                      (void *)co);
  }
  if (co->state == CIRA__CORO_RUNNING) {
    return cira__fail(CIRA_E_BUSY, "coro_destroy: the coroutine is running");
  }
  cira__stacks_give(co);
  return CIRA_OK;
}
