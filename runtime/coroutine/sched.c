/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler: one worker per thread, each with a queue of ready tasks (first
 * in, first out), an inbox for tasks that other threads make ready, timers and
 * an io_uring or epoll for descriptors. With several workers the queues have a
 * lock, and an idle worker takes half of another one's queue. Nobody sleeps
 * past work: a worker sets `sleeping` and then looks at everything once more;
 * who adds work adds it first and then looks at `sleeping`. All four accesses
 * are sequentially consistent, so one of the two sees the other.
 */
#include "coroutine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORKERS_MAX 256u
#define TICK 64u /* resumptions between looks at inbox, timers, descriptors */

cira_sched_options_t cira_sched_options_default(void) {
  return (cira_sched_options_t){.size = sizeof(cira_sched_options_t),
                                .thread_count = 1,
                                .spin_ns = 2000,
                                .stacks = cira_coro_options_default()};
}

/* ---- queues ------------------------------------------------------------- */

static void queue_lock(cira__worker_t *w) {
  if (w->sched->worker_count > 1) {
    cira__lock(&w->lock);
  }
}

static void queue_unlock(cira__worker_t *w) {
  if (w->sched->worker_count > 1) {
    cira__unlock(&w->lock);
  }
}

static void kick(cira__worker_t *w) {
  /* pairs with: worker_sleep (sequentially consistent) */
  if (atomic_load(&w->sleeping) && atomic_exchange(&w->sleeping, 0)) {
    uint64_t one = 1;
    (void)!write(w->event_fd, &one, sizeof(one));
  }
}

void cira__sched_kick_all(cira_sched_t *sched) {
  for (uint32_t i = 0; i < sched->worker_count; i++) {
    kick(&sched->workers[i]);
  }
}

/* One idle worker may come and steal. */
static void kick_idle(cira_sched_t *sched, const cira__worker_t *busy) {
  for (uint32_t i = 1; i < sched->worker_count; i++) {
    cira__worker_t *w =
        &sched->workers[(busy->index + i) % sched->worker_count];
    if (atomic_load(&w->sleeping)) {
      kick(w);
      return;
    }
  }
}

/* By the worker's own thread. */
void cira__worker_push(cira__worker_t *w, cira_coro_t *co) {
  co->next = NULL;
  queue_lock(w);
  if (w->tail) {
    w->tail->next = co;
  } else {
    w->head = co;
  }
  w->tail = co;
  uint32_t count = atomic_load_explicit(&w->count, memory_order_relaxed) + 1;
  if (w->sched->worker_count == 1) {
    atomic_store_explicit(&w->count, count, memory_order_relaxed);
    return;
  }
  /* pairs with: work_anywhere (sequentially consistent) */
  atomic_store(&w->count, count);
  queue_unlock(w);
  if (atomic_load(&w->sched->idle) != 0) {
    kick_idle(w->sched, w);
  }
}

static cira_coro_t *queue_pop(cira__worker_t *w) {
  if (!atomic_load_explicit(&w->count, memory_order_relaxed)) {
    return NULL; /* relaxed: thieves only make it smaller */
  }
  queue_lock(w);
  cira_coro_t *co = w->head;
  if (co) {
    w->head = co->next;
    if (!w->head) {
      w->tail = NULL;
    }
    atomic_store_explicit(
        &w->count, atomic_load_explicit(&w->count, memory_order_relaxed) - 1,
        memory_order_relaxed);
  }
  queue_unlock(w);
  return co;
}

void cira__worker_send(cira__worker_t *w, cira_coro_t *co) {
  if (cira__coro_thread()->worker == w) {
    cira__timer_remove(w, co);
    cira__worker_push(w, co);
    return;
  }
  co->next = atomic_load_explicit(&w->inbox, memory_order_relaxed);
  /* pairs with: inbox_drain; sequentially consistent against `sleeping` */
  while (!atomic_compare_exchange_weak(&w->inbox, &co->next, co)) {
  }
  kick(w);
}

static bool inbox_drain(cira__worker_t *w) {
  if (!atomic_load_explicit(&w->inbox, memory_order_relaxed)) {
    return false;
  }
  /* pairs with: the swap in cira__worker_send */
  cira_coro_t *at =
      atomic_exchange_explicit(&w->inbox, NULL, memory_order_acquire);
  cira_coro_t *fifo = NULL;
  while (at) {
    cira_coro_t *next = at->next;
    at->next = fifo;
    fifo = at;
    at = next;
  }
  while (fifo) {
    cira_coro_t *next = fifo->next;
    cira__timer_remove(w, fifo);
    cira__worker_push(w, fifo);
    fifo = next;
  }
  return true;
}

/* Takes half of another worker's queue, at least one. */
static cira_coro_t *steal(cira__worker_t *w) {
  cira_sched_t *sched = w->sched;
  for (uint32_t i = 1; i < sched->worker_count; i++) {
    cira__worker_t *from =
        &sched->workers[(w->index + i) % sched->worker_count];
    if (!atomic_load_explicit(&from->count, memory_order_relaxed) ||
        !cira__trylock(&from->lock)) {
      continue;
    }
    uint32_t have = atomic_load_explicit(&from->count, memory_order_relaxed);
    uint32_t take = (have + 1) / 2;
    cira_coro_t *first = from->head;
    cira_coro_t *last = NULL;
    for (uint32_t k = 0; k < take; k++) {
      last = last ? last->next : first;
    }
    if (last) {
      from->head = last->next;
      from->tail = from->head ? from->tail : NULL;
      last->next = NULL;
      atomic_store_explicit(&from->count, have - take, memory_order_relaxed);
    }
    cira__unlock(&from->lock);
    if (!last) {
      continue;
    }
    (void)atomic_fetch_add_explicit(&w->stolen, take, memory_order_relaxed);
    for (cira_coro_t *co = first->next; co;) {
      cira_coro_t *next = co->next;
      cira__worker_push(w, co);
      co = next;
    }
    return first;
  }
  return NULL;
}

/* ---- timers ------------------------------------------------------------- */

static void timers_fire(cira__worker_t *w) {
  if (!w->timers) {
    return;
  }
  uint64_t now = cira__now_ns();
  while (w->timers && w->timers->wake_ns <= now) {
    cira_coro_t *co = w->timers;
    uint32_t parked = 2;
    cira__timer_remove(w, co);
    /* pairs with: task_unpark, of another thread; who wins queues it */
    if (atomic_compare_exchange_strong_explicit(&co->token, &parked, 0,
                                                memory_order_acquire,
                                                memory_order_relaxed)) {
      co->timed_out = true;
      cira__worker_push(w, co);
    }
  }
}

/* ---- running ------------------------------------------------------------ */

static void task_settle(cira__worker_t *w, cira_coro_t *co) {
  switch (co->after) {
  case CIRA__AFTER_YIELD:
    cira__worker_push(w, co);
    break;
  case CIRA__AFTER_PARK: {
    uint32_t none = 0;
    co->worker = w;
    if (co->wake_ns != CIRA_FOREVER) {
      cira__timer_add(w, co);
    }
    /* pairs with: task_unpark; release: whoever finds 2 finds the registers
     * saved and the timer set. After it the task is not ours any more. */
    if (!atomic_compare_exchange_strong_explicit(
            &co->token, &none, 2, memory_order_acq_rel, memory_order_acquire)) {
      atomic_store_explicit(&co->token, 0, memory_order_relaxed);
      cira__timer_remove(w, co);
      cira__worker_push(w, co);
    }
    break;
  }
  case CIRA__AFTER_END: {
    cira_sched_t *sched = w->sched;
    cira__task_end(co);
    if (atomic_fetch_sub(&sched->live, 1) == 1) {
      cira__sched_kick_all(sched);
    }
    break;
  }
  default:
    break;
  }
}

static inline void task_begin(cira__worker_t *w, cira__coro_thread_t *t,
                              cira_coro_t *co) {
  w->tick++;
  atomic_store_explicit(
      &w->resumed, atomic_load_explicit(&w->resumed, memory_order_relaxed) + 1,
      memory_order_relaxed);
  w->running = co;
  co->link = &t->root;
  t->current = co->leaf;
  co->state = CIRA__CORO_RUNNING;
  cira_parker_set(&co->parker);
}

static void task_resume(cira__worker_t *w, cira__coro_thread_t *t,
                        cira_coro_t *co) {
  task_begin(w, t, co);
  (void)cira__context_switch(&t->root, &co->leaf->ctx, CIRA_OK, false);
  cira_parker_set(NULL);
  task_settle(w, w->running);
}

/* A lone worker is the only one to resume its tasks, so what follows a stop may
 * come before it, and half of the switches are saved. With several workers
 * another one might resume the task before its registers are saved. */
cira_coro_t *cira__worker_pass(cira__coro_thread_t *t, cira_coro_t *co,
                               cira__after_t after) {
  cira__worker_t *w = t->worker;
  co->after = (uint8_t)after;
  t->current = NULL;
  if (w->sched->worker_count > 1) {
    return NULL;
  }
  task_settle(w, co);
  co->after = CIRA__AFTER_NOTHING;
  if ((w->tick + 1) % TICK == 0 || atomic_load(&w->sched->stop)) {
    return NULL;
  }
  cira_coro_t *next = queue_pop(w);
  if (next != NULL) {
    task_begin(w, t, next);
  }
  return next;
}

/* What cira__worker_pass does for a task that stays ready, in one piece: the
 * queue is not empty, so its length stays and its end needs no case. */
void cira__task_yield(cira__coro_thread_t *t, cira_coro_t *co) {
  cira__worker_t *w = t->worker;
  cira_coro_t *next;
  if (CIRA_UNLIKELY(
          w->sched->worker_count > 1 || /* others take from it, locked */
          (next = w->head) == NULL || (w->tick + 1) % TICK == 0 ||
          atomic_load_explicit(&w->sched->stop, memory_order_relaxed))) {
    cira__task_stop(co, CIRA__AFTER_YIELD);
    return;
  }
  co->leaf = co;
  co->next = NULL;
  w->tail->next = co;
  w->tail = co;
  w->head = next->next;
  __builtin_prefetch(w->head->ctx.sp); /* what the turn after this one needs */
  __builtin_prefetch(w->head->next);
  task_begin(w, t, next);
  cira__context_pass(&co->ctx, &next->leaf->ctx);
}

static bool finished(const cira_sched_t *s) {
  return atomic_load(&s->stop) || (!s->keep && atomic_load(&s->live) == 0);
}

static bool work_anywhere(cira__worker_t *w) {
  if (atomic_load(&w->inbox)) {
    return true;
  }
  for (uint32_t i = 0; i < w->sched->worker_count; i++) {
    if (atomic_load(&w->sched->workers[i].count)) {
      return true;
    }
  }
  return false;
}

/* Nothing to run: looks for a moment, then sleeps until a timer, a descriptor
 * or a kick. */
static void worker_idle(cira__worker_t *w) {
  cira_sched_t *sched = w->sched;
  if (sched->spin_ns) {
    uint64_t until = cira__now_ns() + sched->spin_ns;
    do {
      if (work_anywhere(w) || finished(sched)) {
        return;
      }
      cira__cpu_relax();
    } while (cira__now_ns() < until);
  }
  (void)atomic_fetch_add(&sched->idle, 1);
  atomic_store(&w->sleeping, 1);
  int64_t timeout = -1;
  if (w->timers) {
    uint64_t now = cira__now_ns();
    timeout =
        w->timers->wake_ns > now ? (int64_t)(w->timers->wake_ns - now) : 0;
  }
  bool stay = work_anywhere(w) || finished(sched);
  cira__worker_poll(w, stay ? 0 : timeout);
  atomic_store(&w->sleeping, 0);
  (void)atomic_fetch_sub(&sched->idle, 1);
}

static void worker_run(cira__worker_t *w) {
  cira__coro_thread_t *t = cira__coro_thread();
  t->worker = w;
  while (!finished(w->sched)) {
    if (w->tick % TICK == 0) {
      if (atomic_load_explicit(&w->fd_waiters, memory_order_relaxed)) {
        cira__worker_poll(w, 0);
      }
      (void)inbox_drain(w);
      timers_fire(w);
    }
    cira_coro_t *co = queue_pop(w);
    if (!co) {
      (void)inbox_drain(w);
      timers_fire(w);
      co = queue_pop(w);
    }
    if (!co) {
      co = steal(w);
    }
    if (co) {
      task_resume(w, t, co);
    } else {
      w->tick += TICK - w->tick % TICK;
      worker_idle(w);
    }
  }
  t->worker = NULL;
}

static void *worker_main(void *argument) {
  worker_run(argument);
  return NULL;
}

cira_status_t cira_sched_run(cira_sched_t *s) {
  if (!s) {
    return cira__fail(CIRA_E_INVALID, "sched_run: the scheduler is NULL");
  }
  if (cira_coro_self() || cira__coro_thread()->worker ||
      atomic_exchange(&s->running, 1)) {
    return cira__fail(CIRA_E_BUSY, "sched_run: it runs already, or this is "
                                   "inside a coroutine");
  }
  cira_status_t status = CIRA_OK;
  uint32_t started = 1;
  for (; started < s->worker_count && status == CIRA_OK; started++) {
    int error = pthread_create(&s->workers[started].thread, NULL, worker_main,
                               &s->workers[started]);
    if (error) {
      status = cira__fail_errno(CIRA_E_SYSTEM, error,
                                "sched_run: cannot start a thread");
      atomic_store(&s->stop, 1);
      break;
    }
  }
  worker_run(&s->workers[0]);
  cira__sched_kick_all(s);
  for (uint32_t i = 1; i < started; i++) {
    (void)pthread_join(s->workers[i].thread, NULL);
  }
  atomic_store(&s->stop, 0);
  atomic_store(&s->running, 0);
  return status;
}

void cira_sched_stop(cira_sched_t *s) {
  if (s) {
    atomic_store(&s->stop, 1);
    cira__sched_kick_all(s);
  }
}

/* ---- life --------------------------------------------------------------- */

static cira_status_t worker_init(cira_sched_t *s, cira__worker_t *w,
                                 uint32_t index,
                                 const cira_sched_options_t *o) {
  struct epoll_event own = {.events = EPOLLIN, .data.ptr = NULL};
  memset(w, 0, sizeof(*w));
  w->sched = s;
  w->index = index;
  cira_status_t status = cira__stacks_init(&w->pool, &o->stacks);
  if (status != CIRA_OK) {
    return status;
  }
  w->epoll_fd = -1;
  w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (w->event_fd < 0) {
    status = cira__fail_errno(CIRA_E_SYSTEM, errno, "sched_create: eventfd");
    goto err_stacks;
  }
  if (o->poller != CIRA_SCHED_EPOLL) {
    status = cira__ring_open(&w->ring, w->event_fd);
    if (status == CIRA_OK) {
      return CIRA_OK;
    }
    if (o->poller == CIRA_SCHED_IO_URING) {
      goto err_event;
    }
  }
  status = CIRA_OK;
  w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (w->epoll_fd >= 0 &&
      epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->event_fd, &own) == 0) {
    return CIRA_OK;
  }
  status = cira__fail_errno(CIRA_E_SYSTEM, errno, "sched_create: epoll");
  if (w->epoll_fd >= 0) {
    (void)close(w->epoll_fd);
  }
err_event:
  (void)close(w->event_fd);
err_stacks:
  cira__stacks_fini(&w->pool);
  return status;
}

static void workers_fini(cira_sched_t *s, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    cira__worker_t *w = &s->workers[i];
    cira__ring_close(&w->ring);
    (void)close(w->event_fd);
    if (w->epoll_fd >= 0) {
      (void)close(w->epoll_fd);
    }
    cira__stacks_fini(&w->pool);
  }
  free(s->workers);
}

cira_status_t cira_sched_create(const cira_sched_options_t *opt,
                                cira_sched_t **out) {
  cira_sched_options_t o = cira_sched_options_default();
  if (!out || (opt && opt->size != sizeof(*opt))) {
    return cira__fail(CIRA_E_INVALID,
                      "sched_create: out is NULL, or options of a foreign "
                      "size; begin with cira_sched_options_default");
  }
  if (opt) {
    o = *opt;
    o.thread_count = o.thread_count ? o.thread_count : 1;
  }
  if (o.poller > CIRA_SCHED_EPOLL) {
    return cira__fail(CIRA_E_INVALID, "sched_create: there is no poller %u",
                      o.poller);
  }
  if (o.thread_count > WORKERS_MAX) {
    return cira__fail(CIRA_E_RANGE, "sched_create: %u threads; at most %u",
                      o.thread_count, WORKERS_MAX);
  }
  cira_sched_t *s = calloc(1, sizeof(*s));
  if (!s) {
    return cira__fail(CIRA_E_NOMEM, "sched_create: no memory");
  }
  s->workers = aligned_alloc(_Alignof(cira__worker_t),
                             (size_t)o.thread_count * sizeof(cira__worker_t));
  cira_status_t status = CIRA_E_NOMEM;
  uint32_t made = 0;
  if (!s->workers) {
    (void)cira__fail(CIRA_E_NOMEM, "sched_create: no memory");
    goto err_free;
  }
  s->worker_count = o.thread_count;
  s->keep = o.keep;
  s->spin_ns = o.spin_ns;
  status = cira__stacks_init(&s->shared_pool, &o.stacks);
  if (status != CIRA_OK) {
    goto err_workers;
  }
  for (; made < o.thread_count; made++) {
    status = worker_init(s, &s->workers[made], made, &o);
    if (status != CIRA_OK) {
      goto err_workers;
    }
  }
  *out = s;
  return CIRA_OK;

err_workers:
  workers_fini(s, made);
err_free:
  free(s);
  return status;
}

cira_status_t cira_sched_destroy(cira_sched_t *s) {
  if (!s) {
    return CIRA_OK;
  }
  if (atomic_load(&s->running)) {
    return cira__fail(CIRA_E_BUSY, "sched_destroy: the scheduler runs");
  }
  workers_fini(s, s->worker_count);
  cira__stacks_fini(&s->shared_pool);
  free(s);
  return CIRA_OK;
}

const char *cira_sched_poller(const cira_sched_t *s) {
  for (uint32_t i = 0; s && i < s->worker_count; i++) {
    if (s->workers[i].ring.fd == 0) {
      return "epoll";
    }
  }
  return s ? "io_uring" : "";
}

cira_sched_stats_t cira_sched_stats(const cira_sched_t *s) {
  cira_sched_stats_t stats = {0};
  for (uint32_t i = 0; s && i < s->worker_count; i++) {
    stats.resumed +=
        atomic_load_explicit(&s->workers[i].resumed, memory_order_relaxed);
    stats.stolen +=
        atomic_load_explicit(&s->workers[i].stolen, memory_order_relaxed);
  }
  stats.live = s ? (uint64_t)atomic_load(&s->live) : 0;
  return stats;
}

/* ---- spawning ----------------------------------------------------------- */

cira_status_t cira_sched_spawn(cira_sched_t *s, cira_task_fn_t fn,
                               void *argument, uint32_t flags,
                               uint64_t deadline_ns, cira_task_t *out) {
  bool detached = (flags & CIRA_TASK_F_DETACHED) != 0;
  if (!s || !fn || (flags & ~CIRA_TASK_F_DETACHED) != 0 ||
      (!out && !detached)) {
    return cira__fail(CIRA_E_INVALID,
                      "sched_spawn: the scheduler, function or output is NULL, "
                      "or unknown flags %x",
                      flags);
  }
  cira__worker_t *w = cira__coro_thread()->worker;
  bool inside = w && w->sched == s;
  cira_coro_t *co;
  cira_status_t status;
  if (inside) {
    status = cira__stacks_take(&w->pool, &co);
  } else {
    cira__lock(&s->shared_lock);
    status = cira__stacks_take(&s->shared_pool, &co);
    cira__unlock(&s->shared_lock);
  }
  if (status != CIRA_OK) {
    return status;
  }
  cira__task_init(co, s);
  co->task_fn = fn;
  co->argument = argument;
  co->detached = detached;
  co->deadline_ns = deadline_ns ? deadline_ns : CIRA_FOREVER;
  if (out) {
    *out = (cira_task_t){.coro = co, .id = co->id};
  }
  (void)atomic_fetch_add(&s->live, 1);
  if (inside) {
    cira__worker_push(w, co);
  } else {
    uint32_t at =
        atomic_fetch_add_explicit(&s->next_worker, 1, memory_order_relaxed);
    cira__worker_send(&s->workers[at % s->worker_count], co);
  }
  return CIRA_OK;
}
