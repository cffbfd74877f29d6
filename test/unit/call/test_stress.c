/* SPDX-License-Identifier: Apache-2.0
 *
 * Remote calls under load: random mixes with a thread and with a process, tasks
 * that share a client, many clients at once, and killed peers at either end.
 */
#include "functions.h"

#include <pthread.h>

#if defined(__SANITIZE_THREAD__) || defined(CIRA_SANITIZED)
#define ROUNDS 3000u
#else
#define ROUNDS 60000u
#endif

static uint64_t next_random(uint64_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

/* ---- random mixes ------------------------------------------------------- */

enum { CALLS = 24 };

typedef struct {
  cira_call_t call[CALLS];
  uint64_t arg[CALLS], result[CALLS];
  bool busy[CALLS], may_fail[CALLS];
} mix_t;

/* The call has ended: its result is right, or there is a reason. */
static void settle(mix_t *m, uint32_t i) {
  cira_status_t status = m->call[i].status;
  m->busy[i] = false;
  if (status == CIRA_OK) {
    assert_int_equal(m->result[i], m->arg[i] + 1);
    assert_int_equal(m->call[i].result_bytes, 8);
  } else {
    assert_true(m->may_fail[i]);
    assert_true(status == CIRA_E_DEADLINE || status == CIRA_E_CANCELLED);
    assert_int_equal(m->result[i], 0);
  }
}

static void mix_step(cira_call_client_t *c, uint32_t add1, mix_t *m,
                     uint64_t random) {
  uint32_t i = (uint32_t)(random >> 8) % CALLS;
  if (m->busy[i] && m->call[i].status != CIRA_PENDING) {
    settle(m, i);
  } else if (m->busy[i] && random % 16 == 0) {
    m->may_fail[i] = true;
    (void)cira_call_cancel(c, &m->call[i]);
  } else if (m->busy[i]) {
    cira_status_t status =
        cira_call_wait(c, &m->call[i], random % 4 ? CIRA_FOREVER : 0);
    if (m->call[i].status == CIRA_PENDING) {
      assert_int_equal(status, CIRA_E_DEADLINE);
    }
  } else {
    cira_call_request_t r = {.args = &m->arg[i],
                             .args_bytes = 8,
                             .result = &m->result[i],
                             .result_max = 8,
                             .flags = random % 3 ? CIRA_CALL_F_MORE : 0};
    m->may_fail[i] = random % 32 == 1;
    if (m->may_fail[i]) {
      r.deadline_ns = cira__now_ns() + random % 20000;
    }
    m->arg[i] = random;
    m->result[i] = 0;
    cira_status_t status = cira_call_submit(c, add1, &r, &m->call[i]);
    assert_true(status == CIRA_OK || status == CIRA_AGAIN);
    m->busy[i] = status == CIRA_OK;
  }
}

static void mix(bool process, uint32_t wait, uint64_t seed) {
  static mix_t m;
  cira_call_table_t *t = table_make();
  cira_call_options_t o = cira_call_options_default();
  o.depth = 16;
  o.args_max = o.result_max = 8;
  o.wait = wait;
  cira_call_client_t *c = start(t, &o, process);
  uint32_t add1 = find(c, "add1");
  memset(&m, 0, sizeof(m));
  for (uint32_t i = 0; i < ROUNDS; i++) {
    mix_step(c, add1, &m, next_random(&seed));
    if (i % 512 == 0) { /* let the callee fall asleep */
      (void)usleep(100);
    }
  }
  for (uint32_t i = 0; i < CALLS; i++) {
    if (m.busy[i]) {
      (void)cira_call_wait(c, &m.call[i], CIRA_FOREVER);
      settle(&m, i);
    }
  }
  uint64_t n = 1;
  assert_int_equal(cira_call_run(c, add1, &n, 8, &n, 8, CIRA_FOREVER, NULL),
                   CIRA_OK);
  assert_int_equal(cira_call_stats(c).in_flight, 0);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void test_mix(void **state) {
  (void)state;
  for (uint32_t wait = 0; wait <= CIRA_CHANNEL_SLEEP; wait++) {
    mix(false, wait, 0x9e3779b97f4a7c15ull + wait);
    mix(true, wait, 0xbf58476d1ce4e5b9ull + wait);
  }
}

/* ---- tasks -------------------------------------------------------------- */

typedef struct {
  cira_call_client_t *client;
  uint32_t add1, number;
  uint64_t sum;
} worker_t;

static int64_t worker_main(void *argument) {
  worker_t *w = argument;
  for (uint64_t i = 0; i < 40; i++) {
    uint64_t n = w->number * 1000u + i;
    uint64_t out[16] = {0};
    uint64_t in[16];
    assert_int_equal(
        cira_call_run(w->client, w->add1, &n, 8, out, 8, CIRA_FOREVER, NULL),
        CIRA_OK);
    assert_int_equal(out[0], n + 1);
    for (uint64_t k = 0; k < 16; k++) {
      in[k] = n + k;
    }
    cira_call_many_t m = {.args = in,
                          .results = out,
                          .count = 16,
                          .args_bytes = 8,
                          .result_bytes = 8,
                          .batch = 3};
    if (i % 4 == 0) {
      assert_int_equal(cira_call_many(w->client, w->add1, &m, NULL), CIRA_OK);
      assert_int_equal(out[15], n + 16);
    }
    w->sum += out[0];
  }
  return 0;
}

static void tasks(bool process, uint32_t depth, uint32_t count) {
  cira_call_table_t *t = table_make();
  cira_call_options_t o = cira_call_options_default();
  cira_sched_t *sched;
  static worker_t w[64];
  o.depth = depth;
  cira_call_client_t *c = start(t, &o, process);
  uint32_t add1 = find(c, "add1");
  assert_int_equal(cira_sched_create(NULL, &sched), CIRA_OK);
  for (uint32_t i = 0; i < count; i++) {
    w[i] = (worker_t){.client = c, .add1 = add1, .number = i};
    assert_int_equal(cira_sched_spawn(sched, worker_main, &w[i],
                                      CIRA_TASK_F_DETACHED, 0, NULL),
                     CIRA_OK);
  }
  assert_int_equal(cira_sched_run(sched), CIRA_OK);
  for (uint64_t i = 0; i < count; i++) {
    assert_int_equal(w[i].sum, 40 * i * 1000 + 39 * 40 / 2 + 40);
  }
  assert_int_equal(cira_sched_destroy(sched), CIRA_OK);
  assert_int_equal(cira_call_stats(c).in_flight, 0);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void test_tasks(void **state) {
  (void)state;
  tasks(false, 4, 64); /* fewer places than tasks */
  tasks(false, 256, 64);
  tasks(true, 8, 16);
}

static int64_t waits_long(void *argument) {
  worker_t *w = argument;
  return cira_call_run(w->client, w->add1, NULL, 0, NULL, 0, CIRA_FOREVER,
                       NULL);
}

static int64_t cancels_others(void *argument) {
  cira_task_t *task = argument;
  while (atomic_load(&shared->held) == 0) {
    assert_int_equal(cira_coro_sleep_until(in_ms(1)), CIRA_OK);
  }
  assert_int_equal(cira_task_cancel(task[0]), CIRA_OK);
  assert_int_equal(cira_task_cancel(task[1]), CIRA_OK);
  return 0;
}

/* One of two waiting tasks drives; both are told to stop. */
static void test_task_cancel(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, false);
  worker_t w = {.client = c, .add1 = find(c, "hold")};
  cira_sched_t *sched;
  cira_task_t task[2];
  assert_int_equal(cira_sched_create(NULL, &sched), CIRA_OK);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(cira_sched_spawn(sched, waits_long, &w, 0, 0, &task[i]),
                     CIRA_OK);
  }
  assert_int_equal(cira_sched_spawn(sched, cancels_others, task,
                                    CIRA_TASK_F_DETACHED, 0, NULL),
                   CIRA_OK);
  assert_int_equal(cira_sched_run(sched), CIRA_OK);
  for (int i = 0; i < 2; i++) {
    int64_t result = 0;
    assert_int_equal(cira_task_join(task[i], CIRA_FOREVER, &result), CIRA_OK);
    assert_int_equal(result, CIRA_E_CANCELLED);
  }
  assert_int_equal(cira_sched_destroy(sched), CIRA_OK);
  uint32_t count = find(c, "count"); /* the client is as good as before */
  assert_int_equal(
      cira_call_run(c, count, NULL, 0, NULL, 0, CIRA_FOREVER, NULL), CIRA_OK);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

/* ---- many clients of one table ------------------------------------------ */

static cira_call_table_t *common;

static void *client_main(void *argument) {
  uint64_t *bad = argument;
  cira_call_client_t *c = start(common, NULL, false);
  for (uint32_t i = 0; i < 200; i++) {
    uint32_t function;
    uint64_t n = i;
    /* looked up in the library by several at once */
    if (cira_call_find(c, "twice", CIRA_FOREVER, &function) != CIRA_OK ||
        cira_call_run(c, function, &n, 8, &n, 8, CIRA_FOREVER, NULL) !=
            CIRA_OK ||
        n != 2u * i) {
      (*bad)++;
    }
  }
  cira_call_destroy(c);
  return NULL;
}

static void test_many_clients(void **state) {
  (void)state;
  pthread_t thread[4];
  uint64_t bad[4] = {0};
  common = table_make();
  assert_int_equal(cira_call_table_load(common, UNIT_LIBRARY), CIRA_OK);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(pthread_create(&thread[i], NULL, client_main, &bad[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    (void)pthread_join(thread[i], NULL);
    assert_int_equal(bad[i], 0);
  }
  cira_call_table_destroy(common);
}

/* ---- killed peers ------------------------------------------------------- */

static void test_callee_crashes(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, true);
  uint32_t add1 = find(c, "add1");
  uint32_t crash = find(c, "crash");
  cira_call_t call[3] = {0};
  uint64_t n = 1;
  uint64_t result[3] = {7, 7, 7};
  for (int i = 0; i < 3; i++) {
    cira_call_request_t r = {
        .args = &n, .args_bytes = 8, .result = &result[i], .result_max = 8};
    assert_int_equal(cira_call_submit(c, i == 1 ? crash : add1, &r, &call[i]),
                     CIRA_OK);
  }
  assert_int_equal(cira_call_wait(c, &call[2], CIRA_FOREVER),
                   CIRA_E_DISCONNECTED);
  assert_int_equal(call[0].status, CIRA_OK); /* what was done is not lost */
  assert_int_equal(result[0], 2);
  assert_int_equal(call[1].status, CIRA_E_DISCONNECTED);
  assert_int_equal(result[1] + result[2], 14);
  cira_call_request_t r = {0};
  assert_int_equal(cira_call_submit(c, add1, &r, &call[0]),
                   CIRA_E_DISCONNECTED);
  assert_int_equal(cira_call_poll(c, NULL), CIRA_E_DISCONNECTED);
  uint32_t f;
  assert_int_equal(cira_call_find(c, "echo", CIRA_FOREVER, &f),
                   CIRA_E_DISCONNECTED);
  cira_call_destroy(c);
  /* in bulk, and while a task waits */
  c = start(t, NULL, true);
  cira_call_many_t m = {.count = 100, .batch = 1};
  uint64_t done = 9;
  assert_int_equal(cira_call_many(c, find(c, "crash"), &m, &done),
                   CIRA_E_DISCONNECTED);
  assert_int_equal(done, 0);
  cira_call_destroy(c);
  c = start(t, NULL, true);
  worker_t w = {.client = c, .add1 = find(c, "crash")};
  cira_sched_t *sched;
  cira_task_t task[2];
  assert_int_equal(cira_sched_create(NULL, &sched), CIRA_OK);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(cira_sched_spawn(sched, waits_long, &w, 0, 0, &task[i]),
                     CIRA_OK);
  }
  assert_int_equal(cira_sched_run(sched), CIRA_OK);
  for (int i = 0; i < 2; i++) {
    int64_t status = 0;
    assert_int_equal(cira_task_join(task[i], CIRA_FOREVER, &status), CIRA_OK);
    assert_int_equal(status, CIRA_E_DISCONNECTED);
  }
  assert_int_equal(cira_sched_destroy(sched), CIRA_OK);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void test_callee_killed(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  for (uint32_t i = 0; i < 6; i++) {
    cira_call_client_t *c = start(t, NULL, true);
    uint32_t function = find(c, i % 2 ? "deaf" : "add1");
    uint64_t n = 1;
    uint64_t out = 7;
    cira_call_t call = {0};
    cira_call_request_t r = {.args = &n, .args_bytes = 8};
    if (i % 2) {
      assert_int_equal(cira_call_submit(c, function, &r, &call), CIRA_OK);
    }
    assert_int_equal(kill((pid_t)cira_call_stats(c).pid, SIGKILL), 0);
    cira_status_t status = CIRA_OK;
    for (uint32_t k = 0; status == CIRA_OK; k++) { /* it may still answer */
      assert_in_range(k, 0, 100000000);
      status = i % 2 ? cira_call_wait(c, &call, CIRA_FOREVER)
                     : cira_call_run(c, function, &n, 8, &out, 8, CIRA_FOREVER,
                                     NULL);
    }
    assert_int_equal(status, CIRA_E_DISCONNECTED);
    cira_call_destroy(c);
  }
  cira_call_table_destroy(t);
}

/* The caller's process dies while the callee, here, serves it. */
static void test_caller_killed(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  cira_call_options_t o = cira_call_options_default();
  uint64_t bytes;
  o.flags = CIRA_CALL_F_SHARED;
  assert_int_equal(cira_call_link_bytes(&o, &bytes), CIRA_OK);
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(memory, MAP_FAILED);
  assert_int_equal(cira_call_link_init(memory, bytes, &o), CIRA_OK);
  pid_t child = fork();
  if (child == 0) {
    cira_call_client_t *c;
    uint32_t count = 0;
    if (cira_call_attach(memory, bytes, &c) != CIRA_OK ||
        cira_call_find(c, "count", CIRA_FOREVER, &count) != CIRA_OK) {
      _exit(1);
    }
    for (int i = 0; i < 10; i++) {
      if (cira_call_run(c, count, NULL, 0, NULL, 0, CIRA_FOREVER, NULL)) {
        _exit(2);
      }
    }
    (void)raise(SIGKILL);
  }
  assert_int_equal(cira_call_serve(memory, bytes, t, CIRA_FOREVER),
                   CIRA_E_DISCONNECTED);
  assert_int_equal(atomic_load(&shared->ran), 10);
  int how;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFSIGNALED(how));
  (void)munmap(memory, bytes);
  cira_call_table_destroy(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mix),
      cmocka_unit_test(test_tasks),
      cmocka_unit_test(test_task_cancel),
      cmocka_unit_test(test_many_clients),
      cmocka_unit_test(test_callee_crashes),
      cmocka_unit_test(test_callee_killed),
      cmocka_unit_test(test_caller_killed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
