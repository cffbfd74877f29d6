/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks: scheduling, joining, waiting for everything that can be waited for,
 * cancelling, deadlines, several threads, and bad input.
 */
#include "failing.h"

#include "base/base.h"
#include "cira/channel.h"
#include "cira/coro.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS 60000000000ull

int __real_epoll_create1(int);
int __wrap_epoll_create1(int);
int __wrap_epoll_create1(int flags) {
  return failing_now(FAILING_OTHER, EMFILE) ? -1 : __real_epoll_create1(flags);
}
int __real_eventfd(unsigned, int);
int __wrap_eventfd(unsigned, int);
int __wrap_eventfd(unsigned value, int flags) {
  return failing_now(FAILING_OTHER, EMFILE) ? -1 : __real_eventfd(value, flags);
}
/* A kernel without io_uring. */
static bool no_ring;
long __real_syscall(long, ...);
long __wrap_syscall(long, ...);
long __wrap_syscall(long number, ...) {
  va_list ap;
  long a[6];
  va_start(ap, number);
  for (int i = 0; i < 6; i++) {
    a[i] = va_arg(ap, long);
  }
  va_end(ap);
  if (no_ring && number == SYS_io_uring_setup) {
    errno = ENOSYS;
    return -1;
  }
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static uint32_t poller;
static cira_sched_t *sched_make(uint32_t threads) {
  cira_sched_options_t o = cira_sched_options_default();
  cira_sched_t *s;
  o.thread_count = threads;
  o.poller = poller;
  assert_int_equal(cira_sched_create(&o, &s), CIRA_OK);
  return s;
}

static void run_and_destroy(cira_sched_t *s) {
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  assert_int_equal(cira_sched_stats(s).live, 0);
  assert_int_equal(cira_sched_destroy(s), CIRA_OK);
}

/* ---- join --------------------------------------------------------------- */

typedef struct {
  cira_sched_t *s;
  int64_t n, result;
} fib_t;

static int64_t fib(void *argument) {
  fib_t *f = argument;
  if (f->n < 2) {
    return f->n;
  }
  fib_t a = {.s = f->s, .n = f->n - 1};
  fib_t b = {.s = f->s, .n = f->n - 2};
  cira_task_t ta;
  cira_task_t tb;
  int64_t ra = 0;
  int64_t rb = 0;
  if (cira_sched_spawn(f->s, fib, &a, 0, 0, &ta) != CIRA_OK ||
      cira_sched_spawn(f->s, fib, &b, 0, 0, &tb) != CIRA_OK) {
    return -1;
  }
  cira_coro_yield();
  if (cira_task_join(ta, CIRA_FOREVER, &ra) != CIRA_OK ||
      cira_task_join(tb, CIRA_FOREVER, &rb) != CIRA_OK) {
    return -1;
  }
  return ra + rb;
}

static void spawn_and_join(void **state) {
  (void)state;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    cira_sched_t *s = sched_make(threads);
    cira_task_t t;
    int64_t result = 0;
    fib_t f = {.s = s, .n = 13};
    assert_int_equal(cira_sched_spawn(s, fib, &f, 0, 0, &t), CIRA_OK);
    assert_int_equal(cira_task_join(t, CIRA_NO_WAIT, NULL), CIRA_E_DEADLINE);
    assert_int_equal(cira_sched_run(s), CIRA_OK);
    assert_int_equal(cira_task_join(t, CIRA_FOREVER, &result), CIRA_OK);
    assert_int_equal(result, 233);
    assert_int_equal(cira_task_join(t, CIRA_FOREVER, &result), CIRA_E_CLOSED);
    assert_int_equal(cira_task_cancel(t), CIRA_E_CLOSED);
    run_and_destroy(s);
  }
}

/* ---- channels between tasks, and between tasks and threads --------------- */

typedef struct {
  cira_channel_t *c;
  uint64_t count;
  _Atomic uint64_t *sum, *wrong;
} flow_t;

static int64_t sends(void *argument) {
  flow_t *f = argument;
  for (uint64_t i = 1; i <= f->count; i++) {
    if (cira_channel_send(f->c, &i, cira__now_ns() + PATIENCE_NS) != CIRA_OK) {
      atomic_fetch_add(f->wrong, 1);
    }
  }
  return 0;
}

static int64_t receives(void *argument) {
  flow_t *f = argument;
  uint64_t v;
  for (;;) {
    cira_status_t status =
        cira_channel_receive(f->c, &v, cira__now_ns() + PATIENCE_NS);
    if (status != CIRA_OK) {
      atomic_fetch_add(f->wrong, status != CIRA_E_CLOSED);
      return 0;
    }
    atomic_fetch_add(f->sum, v);
  }
}

static int64_t closes_after(void *argument) {
  struct {
    cira_task_t t[4];
    cira_channel_t *c;
  } *a = argument;
  for (uint32_t i = 0; i < 4; i++) {
    if (cira_task_join(a->t[i], CIRA_FOREVER, NULL) != CIRA_OK) {
      return 1;
    }
  }
  return cira_channel_close(a->c);
}

static void *thread_sends(void *argument) {
  (void)sends(argument);
  return NULL;
}

static void channels(void **state) {
  (void)state;
  for (uint32_t variant = 0; variant < 8; variant++) {
    uint32_t threads = variant & 1 ? 3 : 1;
    cira_channel_options_t o = cira_channel_options_default();
    cira_sched_t *s = sched_make(threads);
    _Atomic uint64_t sum = 0;
    _Atomic uint64_t wrong = 0;
    struct {
      cira_task_t t[4];
      cira_channel_t *c;
    } a;
    o.kind = CIRA_CHANNEL_MPMC;
    o.capacity_count = variant & 2 ? 1 : 8;
    o.flags = variant & 4 ? CIRA_CHANNEL_F_FENCED : 0;
    assert_int_equal(cira_channel_create(&o, &a.c), CIRA_OK);
    flow_t f = {.c = a.c, .count = 500, .sum = &sum, .wrong = &wrong};
    for (uint32_t i = 0; i < 4; i++) {
      assert_int_equal(cira_sched_spawn(s, sends, &f, 0, 0, &a.t[i]), CIRA_OK);
      assert_int_equal(
          cira_sched_spawn(s, receives, &f, CIRA_TASK_F_DETACHED, 0, NULL),
          CIRA_OK);
    }
    assert_int_equal(
        cira_sched_spawn(s, closes_after, &a, CIRA_TASK_F_DETACHED, 0, NULL),
        CIRA_OK);
    pthread_t outside;
    /* a thread sends too, before anybody may close */
    assert_int_equal(pthread_create(&outside, NULL, thread_sends, &f), 0);
    if (variant & 1) {
      /* and is done before: it needs the tasks to receive */
      f.count = 500;
    }
    cira_task_t none = {0};
    assert_int_equal(cira_task_join(none, 0, NULL), CIRA_E_INVALID);
    assert_int_equal(cira_sched_run(s), CIRA_OK);
    pthread_join(outside, NULL);
    /* the outside thread may meet the close: what it could not send is counted
     * as wrong, one for each */
    uint64_t v;
    while (cira_channel_try_receive(a.c, &v) == CIRA_OK) {
      atomic_fetch_add(&sum, v);
    }
    assert_true(atomic_load(&wrong) <= 500);
    assert_true(atomic_load(&sum) >= 4 * (500 * 501 / 2));
    assert_int_equal(cira_sched_destroy(s), CIRA_OK);
    cira_channel_destroy(a.c);
  }
}

/* ---- time, cancelling, deadlines ---------------------------------------- */

static uint32_t order[8];
static uint32_t ordered;

static int64_t sleeps(void *argument) {
  uint64_t ms = *(uint64_t *)argument;
  cira_status_t status = cira_coro_sleep_until(cira__now_ns() + ms * 1000000);
  order[ordered++] = (uint32_t)ms;
  return status;
}

static int64_t waits_for_ever(void *argument) {
  cira_status_t status = cira_waitable_wait(argument, CIRA_FOREVER);
  if (cira_task_cancelled() && status == CIRA_E_CANCELLED) {
    /* later waits end at once as well */
    return cira_coro_sleep_until(cira__now_ns() + PATIENCE_NS);
  }
  return status;
}

static int64_t cancels(void *argument) {
  (void)cira_coro_sleep_until(cira__now_ns() + 1000000);
  return cira_task_cancel(*(cira_task_t *)argument);
}

static void time_and_cancel(void **state) {
  (void)state;
  cira_sched_t *s = sched_make(1);
  cira_waitable_t never = {0};
  cira_task_t t[6];
  uint64_t ms[3] = {30, 10, 20};
  int64_t r = 1;
  ordered = 0;
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(cira_sched_spawn(s, sleeps, &ms[i], 0, 0, &t[i]), CIRA_OK);
  }
  assert_int_equal(cira_sched_spawn(s, waits_for_ever, &never, 0, 0, &t[3]),
                   CIRA_OK);
  assert_int_equal(cira_sched_spawn(s, cancels, &t[3], 0, 0, &t[4]), CIRA_OK);
  assert_int_equal(cira_sched_spawn(s, waits_for_ever, &never, 0,
                                    cira__now_ns() + 3000000, &t[5]),
                   CIRA_OK);
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  assert_int_equal(ordered, 3);
  assert_true(order[0] == 10 && order[1] == 20 && order[2] == 30);
  for (uint32_t i = 0; i < 6; i++) {
    assert_int_equal(cira_task_join(t[i], CIRA_NO_WAIT, &r), CIRA_OK);
    assert_int_equal(r, i == 3   ? CIRA_E_CANCELLED
                        : i == 5 ? CIRA_E_DEADLINE
                                 : CIRA_OK);
  }
  run_and_destroy(s);
}

/* Thousands of timers, in pseudo-random order, some cancelled. */
static int64_t sleeps_us(void *argument) {
  uint64_t us = (uint64_t)(uintptr_t)argument;
  uint64_t until = cira__now_ns() + us * 1000;
  cira_status_t status = cira_coro_sleep_until(until);
  return status == CIRA_OK && cira__now_ns() < until ? 99 : status;
}

static void many_timers(void **state) {
  (void)state;
  enum { N = 1000 };
  static cira_task_t t[N];
  cira_sched_t *s = sched_make(2);
  uint64_t x = 12345;
  for (uint32_t i = 0; i < N; i++) {
    x = x * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t us = i % 10 == 3 ? PATIENCE_NS / 1000 : (x >> 40) % 20000;
    assert_int_equal(
        cira_sched_spawn(s, sleeps_us, (void *)(uintptr_t)us, 0, 0, &t[i]),
        CIRA_OK);
  }
  for (uint32_t i = 3; i < N; i += 10) {
    assert_int_equal(cira_task_cancel(t[i]), CIRA_OK);
  }
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  for (uint32_t i = 0; i < N; i++) {
    int64_t r;
    assert_int_equal(cira_task_join(t[i], 0, &r), CIRA_OK);
    assert_int_equal(r, i % 10 == 3 ? CIRA_E_CANCELLED : CIRA_OK);
  }
  run_and_destroy(s);
}

/* ---- waitables set by a thread ------------------------------------------ */

typedef struct {
  cira_waitable_t w[200];
  _Atomic uint32_t started;
} ready_t;

static int64_t waits_all(void *argument) {
  ready_t *r = argument;
  atomic_fetch_add(&r->started, 1);
  for (uint32_t i = 0; i < CIRA_COUNT(r->w); i++) {
    if (cira_waitable_wait(&r->w[i], cira__now_ns() + PATIENCE_NS) != CIRA_OK) {
      return 1;
    }
  }
  return 0;
}

static void *sets_all(void *argument) {
  ready_t *r = argument;
  for (uint32_t i = 0; i < CIRA_COUNT(r->w); i++) {
    if (cira_waitable_set(&r->w[i]) != CIRA_OK) {
      abort();
    }
    if (i % 16 == 0) {
      usleep(100);
    }
  }
  return NULL;
}

static void waitables(void **state) {
  (void)state;
  static ready_t r;
  cira_sched_t *s = sched_make(2);
  cira_task_t t[3];
  pthread_t setter;
  int64_t result;
  memset(&r, 0, sizeof(r));
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(cira_sched_spawn(s, waits_all, &r, 0, 0, &t[i]), CIRA_OK);
  }
  pthread_create(&setter, NULL, sets_all, &r);
  assert_int_equal(waits_all(&r), 0); /* a thread waits as well */
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  pthread_join(setter, NULL);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(cira_task_join(t[i], CIRA_FOREVER, &result), CIRA_OK);
    assert_int_equal(result, 0);
  }
  assert_int_equal(cira_waitable_set(&r.w[0]), CIRA_E_BUSY);
  assert_int_equal(cira_waitable_set(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_waitable_wait(NULL, 0), CIRA_E_INVALID);
  cira_waitable_t never = {0};
  assert_int_equal(cira_waitable_wait(&never, 0), CIRA_E_DEADLINE);
  assert_int_equal(cira_waitable_wait(&never, cira__now_ns() + 1000000),
                   CIRA_E_DEADLINE);
  run_and_destroy(s);
}

/* ---- descriptors -------------------------------------------------------- */

typedef struct {
  int in, out, file;
  uint64_t passed;
} pipe_t;

static int64_t passes_on(void *argument) {
  pipe_t *p = argument;
  char byte;
  for (uint32_t i = 0; i < 100; i++) {
    uint32_t events = 0;
    if (cira_coro_wait_fd(p->in, POLLIN, cira__now_ns() + PATIENCE_NS,
                          &events) != CIRA_OK ||
        (events & POLLIN) == 0 || read(p->in, &byte, 1) != 1 ||
        write(p->out, &byte, 1) != 1) {
      return 1;
    }
    p->passed++;
  }
  return 0;
}

static int64_t waits_badly(void *argument) {
  pipe_t *p = argument;
  uint32_t events = 7;
  int64_t wrong = 0;
  wrong += cira_coro_wait_fd(-1, POLLIN, 0, &events) != CIRA_E_INVALID;
  wrong += cira_coro_wait_fd(p->in, 0x8000, 0, &events) != CIRA_E_INVALID;
  wrong += cira_coro_wait_fd(p->file, POLLIN, 0, &events) != CIRA_E_UNSUPPORTED;
  wrong += cira_coro_wait_fd(p->in, POLLIN, cira__now_ns() + 1000000,
                             &events) != CIRA_E_DEADLINE;
  return wrong + (events != 7);
}

static void descriptors_by(uint32_t by) {
  poller = by;
  for (uint32_t threads = 1; threads <= 2; threads++) {
    cira_sched_t *s = sched_make(threads);
    int ab[2];
    int ba[2];
    int idle[2];
    char byte = 'x';
    assert_true(pipe(ab) == 0 && pipe(ba) == 0 && pipe(idle) == 0);
    pipe_t p = {.in = ab[0], .out = ba[1]};
    pipe_t q = {.in = ba[0], .out = ab[1]};
    pipe_t bad = {.in = idle[0], .file = open("/proc/self/exe", O_RDONLY)};
    cira_task_t t[3];
    int64_t r;
    assert_int_equal(cira_sched_spawn(s, passes_on, &p, 0, 0, &t[0]), CIRA_OK);
    assert_int_equal(cira_sched_spawn(s, passes_on, &q, 0, 0, &t[1]), CIRA_OK);
    assert_int_equal(cira_sched_spawn(s, waits_badly, &bad, 0, 0, &t[2]),
                     CIRA_OK);
    assert_int_equal(write(ab[1], &byte, 1), 1);
    assert_int_equal(cira_sched_run(s), CIRA_OK);
    for (uint32_t i = 0; i < 3; i++) {
      assert_int_equal(cira_task_join(t[i], 0, &r), CIRA_OK);
      assert_int_equal(r, 0);
    }
    /* outside of tasks */
    uint32_t events = 0;
    assert_int_equal(cira_coro_wait_fd(ab[0], POLLIN, CIRA_FOREVER, &events),
                     CIRA_OK);
    assert_int_equal(events, POLLIN);
    assert_int_equal(cira_coro_wait_fd(idle[0], POLLIN, 0, &events),
                     CIRA_E_DEADLINE);
    assert_int_equal(cira_coro_wait_fd(-1, POLLIN, 0, &events), CIRA_E_INVALID);
    for (uint32_t i = 0; i < 2; i++) {
      (void)close(ab[i]);
      (void)close(ba[i]);
      (void)close(idle[i]);
    }
    (void)close(bad.file);
    run_and_destroy(s);
  }
  poller = CIRA_SCHED_BEST;
}

/* Waits that end by an event, a deadline or a cancel, many at once, while tasks
 * move between threads. */
typedef struct {
  int pipe[2];
  uint64_t deadline_ns;
  cira_task_t task;
} ending_t;

static int64_t waits_once(void *argument) {
  ending_t *e = argument;
  char byte;
  cira_status_t status =
      cira_coro_wait_fd(e->pipe[0], POLLIN, e->deadline_ns, NULL);
  if (status == CIRA_OK && read(e->pipe[0], &byte, 1) != 1) {
    return 99;
  }
  return status;
}

static int64_t ends_them(void *argument) {
  ending_t *e = argument;
  for (uint32_t i = 0; i < 60; i++) {
    if (i % 3 == 0 && write(e[i].pipe[1], "x", 1) != 1) {
      return 1;
    }
    if (i % 3 == 1 && cira_task_cancel(e[i].task) != CIRA_OK) {
      return 1;
    }
    cira_coro_yield();
  }
  return 0;
}

static void many_descriptors_by(uint32_t by) {
  static ending_t e[60];
  poller = by;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    cira_sched_t *s = sched_make(threads);
    cira_task_t ender;
    int64_t r;
    for (uint32_t i = 0; i < 60; i++) {
      assert_int_equal(pipe(e[i].pipe), 0);
      e[i].deadline_ns =
          i % 3 == 2 ? cira__now_ns() + 1000000 * (i % 7) : CIRA_FOREVER;
      assert_int_equal(cira_sched_spawn(s, waits_once, &e[i], 0, 0, &e[i].task),
                       CIRA_OK);
    }
    assert_int_equal(cira_sched_spawn(s, ends_them, e, 0, 0, &ender), CIRA_OK);
    assert_int_equal(cira_sched_run(s), CIRA_OK);
    for (uint32_t i = 0; i < 60; i++) {
      static const cira_status_t ends[] = {CIRA_OK, CIRA_E_CANCELLED,
                                           CIRA_E_DEADLINE};
      assert_int_equal(cira_task_join(e[i].task, 0, &r), CIRA_OK);
      assert_int_equal(r, ends[i % 3]);
      (void)close(e[i].pipe[0]);
      (void)close(e[i].pipe[1]);
    }
    assert_int_equal(cira_task_join(ender, 0, &r), CIRA_OK);
    assert_int_equal(r, 0);
    run_and_destroy(s);
  }
  poller = CIRA_SCHED_BEST;
}

static bool have_ring(void) {
  cira_sched_options_t o = cira_sched_options_default();
  cira_sched_t *s;
  o.poller = CIRA_SCHED_IO_URING;
  if (cira_sched_create(&o, &s) != CIRA_OK) {
    return false;
  }
  assert_string_equal(cira_sched_poller(s), "io_uring");
  assert_int_equal(cira_sched_destroy(s), CIRA_OK);
  return true;
}

static void descriptors(void **state) {
  (void)state;
  descriptors_by(CIRA_SCHED_EPOLL);
  many_descriptors_by(CIRA_SCHED_EPOLL);
  if (have_ring()) {
    descriptors_by(CIRA_SCHED_IO_URING);
    many_descriptors_by(CIRA_SCHED_IO_URING);
  }
}

/* Without io_uring the best is epoll, and asking for it is an error. */
static void no_io_uring(void **state) {
  (void)state;
  cira_sched_options_t o = cira_sched_options_default();
  cira_sched_t *s = NULL;
  no_ring = true;
  o.poller = CIRA_SCHED_IO_URING;
  assert_int_equal(cira_sched_create(&o, &s), CIRA_E_UNSUPPORTED);
  assert_non_null(strstr(cira_status_detail(), "io_uring"));
  assert_null(s);
  descriptors_by(CIRA_SCHED_BEST);
  o.poller = 9;
  assert_int_equal(cira_sched_create(&o, &s), CIRA_E_INVALID);
  s = sched_make(1);
  assert_string_equal(cira_sched_poller(s), "epoll");
  assert_string_equal(cira_sched_poller(NULL), "");
  run_and_destroy(s);
  no_ring = false;
}

/* ---- several threads ---------------------------------------------------- */

static int64_t works(void *argument) {
  _Atomic uint64_t *sum = argument;
  for (uint32_t i = 0; i < 20; i++) {
    uint64_t x = i + 1;
    for (uint32_t k = 0; k < 500; k++) {
      x = x * 6364136223846793005ull + 1;
      __asm__ volatile("" : "+r"(x));
    }
    atomic_fetch_add_explicit(sum, 1, memory_order_relaxed);
    cira_coro_yield();
  }
  return 0;
}

typedef struct {
  cira_sched_t *s;
  _Atomic uint64_t sum;
} spread_t;

static int64_t spreads(void *argument) {
  spread_t *p = argument;
  for (uint32_t i = 0; i < 200; i++) {
    if (cira_sched_spawn(p->s, works, &p->sum, CIRA_TASK_F_DETACHED, 0, NULL) !=
        CIRA_OK) {
      return 1;
    }
  }
  return 0;
}

static void stealing(void **state) {
  (void)state;
  for (uint32_t threads = 1; threads <= 4; threads++) {
    cira_sched_t *s = sched_make(threads);
    spread_t p = {.s = s};
    cira_task_t t;
    assert_int_equal(cira_sched_spawn(s, spreads, &p, 0, 0, &t), CIRA_OK);
    assert_int_equal(cira_sched_run(s), CIRA_OK);
    assert_int_equal(atomic_load(&p.sum), 4000);
    assert_int_equal(cira_task_join(t, 0, NULL), CIRA_OK);
    cira_sched_stats_t stats = cira_sched_stats(s);
    assert_true(stats.resumed >= 4000);
    assert_true(threads > 1 || stats.stolen == 0);
    run_and_destroy(s);
  }
}

/* ---- keep and stop, coroutines inside of tasks --------------------------- */

static int64_t stops(void *argument) {
  cira_sched_stop(argument);
  return 5;
}

static void *spawns_stop(void *argument) {
  usleep(2000);
  if (cira_sched_spawn(argument, stops, argument, CIRA_TASK_F_DETACHED, 0,
                       NULL) != CIRA_OK) {
    abort();
  }
  return NULL;
}

static void keep_and_stop(void **state) {
  (void)state;
  cira_sched_options_t o = cira_sched_options_default();
  cira_sched_t *s;
  pthread_t outside;
  o.keep = 1;
  o.thread_count = 2;
  assert_int_equal(cira_sched_create(&o, &s), CIRA_OK);
  for (uint32_t i = 0; i < 3; i++) {
    pthread_create(&outside, NULL, spawns_stop, s);
    assert_int_equal(cira_sched_run(s), CIRA_OK);
    pthread_join(outside, NULL);
  }
  assert_int_equal(cira_sched_destroy(s), CIRA_OK);
}

/* Who had a turn, in order. */
static struct {
  cira_sched_t *sched;
  uint8_t who[3000];
  uint32_t count, stop_at;
} turns;

static int64_t takes_turns(void *argument) {
  for (uint32_t i = 0; i < 500; i++) {
    turns.who[turns.count++] = (uint8_t)(uintptr_t)argument;
    if (turns.count == turns.stop_at) {
      cira_sched_stop(turns.sched);
    }
    if (i % 100 == 99 && cira_coro_sleep_until(0) != CIRA_OK) {
      return 1;
    }
    cira_coro_yield();
  }
  return 0;
}

/* Tasks of one thread have their turns one after the other, also when they
 * pass them on without the scheduler; a stop ends that at the next turn. */
static void turns_in_order(void **state) {
  (void)state;
  cira_sched_t *s;
  assert_int_equal(cira_sched_create(NULL, &s), CIRA_OK);
  turns.sched = s;
  turns.stop_at = 1001;
  for (uintptr_t i = 0; i < 6; i++) {
    assert_int_equal(cira_sched_spawn(s, takes_turns, (void *)i,
                                      CIRA_TASK_F_DETACHED, 0, NULL),
                     CIRA_OK);
  }
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  assert_int_equal(turns.count, 1001);
  assert_int_equal(cira_sched_stats(s).live, 6);
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  assert_int_equal(turns.count, 3000);
  for (uint32_t i = 0; i < turns.count; i++) {
    assert_int_equal(turns.who[i], i % 6);
  }
  assert_int_equal(cira_sched_stats(s).resumed, 6 * 501);
  assert_int_equal(cira_sched_destroy(s), CIRA_OK);
}

static void parks_inside(void *argument) {
  cira_status_t *status = argument;
  *status = cira_coro_sleep_until(cira__now_ns() + 1000000);
  cira_coro_yield();
  *status += cira_coro_sleep_until(cira__now_ns() + 1000000);
}

static int64_t resumes_by_hand(void *argument) {
  cira_coro_t *co;
  cira_status_t status = CIRA_E_SYSTEM;
  cira_task_t self = cira_task_self();
  int64_t wrong = self.coro == NULL;
  wrong += cira_coro_create(argument, parks_inside, &status, &co) != CIRA_OK;
  wrong += cira_coro_resume(co) != CIRA_PENDING || status != CIRA_OK;
  wrong += cira_coro_resume(self.coro) != CIRA_E_INVALID;
  wrong += cira_coro_resume(co) != CIRA_OK || status != CIRA_OK;
  wrong += cira_coro_destroy(co) != CIRA_OK;
  wrong += cira_task_join(self, 0, NULL) != CIRA_E_BUSY;
  return wrong;
}

static void by_hand_in_tasks(void **state) {
  (void)state;
  cira_sched_t *s = sched_make(1);
  cira_coro_pool_t *pool;
  cira_task_t t[3];
  int64_t r;
  assert_int_equal(cira_coro_pool_create(NULL, &pool), CIRA_OK);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(cira_sched_spawn(s, resumes_by_hand, pool, 0, 0, &t[i]),
                     CIRA_OK);
  }
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(cira_task_join(t[i], 0, &r), CIRA_OK);
    assert_int_equal(r, 0);
  }
  run_and_destroy(s);
  cira_coro_pool_destroy(pool);
}

static int64_t runs_inside(void *argument) {
  return cira_sched_run(argument) + cira_sched_destroy(argument);
}

static void bad_input(void **state) {
  (void)state;
  cira_sched_options_t o = cira_sched_options_default();
  cira_sched_t *s = NULL;
  cira_task_t t = {0};
  int64_t r;
  assert_int_equal(cira_sched_create(NULL, NULL), CIRA_E_INVALID);
  o.size = 1;
  assert_int_equal(cira_sched_create(&o, &s), CIRA_E_INVALID);
  o = cira_sched_options_default();
  o.thread_count = 1000;
  assert_int_equal(cira_sched_create(&o, &s), CIRA_E_RANGE);
  o = cira_sched_options_default();
  o.stacks.stack_bytes = 1;
  assert_int_equal(cira_sched_create(&o, &s), CIRA_E_RANGE);
  assert_null(s);
  assert_int_equal(cira_sched_run(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_sched_destroy(NULL), CIRA_OK);
  cira_sched_stop(NULL);
  assert_int_equal(cira_sched_create(NULL, &s), CIRA_OK);
  assert_int_equal(cira_sched_spawn(NULL, fib, NULL, 0, 0, &t), CIRA_E_INVALID);
  assert_int_equal(cira_sched_spawn(s, NULL, NULL, 0, 0, &t), CIRA_E_INVALID);
  assert_int_equal(cira_sched_spawn(s, fib, NULL, 8, 0, &t), CIRA_E_INVALID);
  assert_int_equal(cira_sched_spawn(s, fib, NULL, 0, 0, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_task_cancel(t), CIRA_E_INVALID);
  assert_int_equal(cira_sched_run(s), CIRA_OK); /* nothing to do */
  assert_int_equal(cira_sched_spawn(s, runs_inside, s, 0, 0, &t), CIRA_OK);
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  assert_int_equal(cira_task_join(t, 0, &r), CIRA_OK);
  assert_int_equal(r, 2 * CIRA_E_BUSY);
  assert_null(cira_task_self().coro);
  assert_false(cira_task_cancelled());
  run_and_destroy(s);
}

/* Two workers: whatever fails, nothing is left behind, and what is right
 * afterwards works. */
static void failing_calls(void **state) {
  (void)state;
  cira_sched_options_t o = cira_sched_options_default();
  cira_sched_t *s = NULL;
  o.thread_count = 2;
  o.poller = CIRA_SCHED_EPOLL;
  int n = 0;
  cira_status_t status;
  for (;; n++) {
    failing_begin(FAILING_MALLOC | FAILING_THREADS | FAILING_OTHER, n);
    status = cira_sched_create(&o, &s);
    assert_true(failing_end() == (status != CIRA_OK));
    if (status == CIRA_OK) {
      break;
    }
    assert_true(status == CIRA_E_NOMEM || status == CIRA_E_SYSTEM);
    assert_null(s);
  }
  assert_int_equal(n, 6); /* two of memory, two for each worker */
  cira_task_t t;
  spread_t p = {.s = s};
  int64_t result = 1;
  assert_int_equal(cira_sched_spawn(s, spreads, &p, 0, 0, &t), CIRA_OK);
  failing_begin(FAILING_THREADS, 0);
  assert_int_equal(cira_sched_run(s), CIRA_E_SYSTEM);
  assert_true(failing_end());
  assert_int_equal(cira_sched_run(s), CIRA_OK);
  assert_int_equal(cira_task_join(t, 0, &result), CIRA_OK);
  assert_int_equal(result, 0);
  assert_int_equal(atomic_load(&p.sum), 4000);
  run_and_destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(spawn_and_join),  cmocka_unit_test(channels),
      cmocka_unit_test(time_and_cancel), cmocka_unit_test(many_timers),
      cmocka_unit_test(waitables),       cmocka_unit_test(descriptors),
      cmocka_unit_test(stealing),        cmocka_unit_test(keep_and_stop),
      cmocka_unit_test(turns_in_order),  cmocka_unit_test(by_hand_in_tasks),
      cmocka_unit_test(bad_input),       cmocka_unit_test(failing_calls),
      cmocka_unit_test(no_io_uring),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
