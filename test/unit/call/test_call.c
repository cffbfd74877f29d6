/* SPDX-License-Identifier: Apache-2.0
 *
 * Remote calls one at a time: life, values, errors, handles, bulk, deadlines,
 * cancellation, a callee that dies, bad input, failing allocation. Most tests
 * run with a thread and with a process.
 */
#include "functions.h"

#include "call/internal.h"
#include "failing.h"

/* ---- the n-th allocation fails ------------------------------------------ */

#define CALLS                                                                  \
  (FAILING_MEMORY | FAILING_THREADS | FAILING_FORKS | FAILING_F_MINE)

static void nth_failure(bool process) {
  cira_call_table_t *t = table_make();
  for (int n = 0;; n++) {
    cira_call_client_t *c = NULL;
    assert_in_range(n, 0, 20);
    failing_begin(CALLS, n);
    cira_status_t status = process ? cira_call_process(t, NULL, &c)
                                   : cira_call_thread(t, NULL, &c);
    bool enough = !failing_end();
    if (enough) {
      assert_int_equal(status, CIRA_OK);
      cira_call_destroy(c);
      break;
    }
    assert_true(status == CIRA_E_NOMEM || status == CIRA_E_SYSTEM);
    assert_null(c);
    assert_string_not_equal(cira_status_detail(), "");
  }
  cira_call_table_destroy(t);
  for (int n = 0; n < 2; n++) {
    failing_begin(CALLS, n);
    t = NULL;
    assert_int_equal(cira_call_table_create(&t), CIRA_E_NOMEM);
    assert_null(t);
    assert_true(failing_end());
  }
}

static void test_nth_failure(void **state) {
  (void)state;
  nth_failure(false);
  nth_failure(true);
}

/* ---- values ------------------------------------------------------------- */

static void values(bool process) {
  cira_call_table_t *t = table_make();
  cira_call_options_t o = cira_call_options_default();
  o.args_max = 100;
  o.result_max = 70;
  cira_call_client_t *c = start(t, &o, process);
  uint32_t echo = find(c, "echo");
  assert_int_equal(find(c, "echo"), echo);
  uint8_t in[100];
  uint8_t out[101];
  for (uint32_t n = 0; n <= 70; n++) {
    uint32_t got = 999;
    memset(in, (int)n + 1, sizeof(in));
    memset(out, 0xee, sizeof(out));
    assert_int_equal(
        cira_call_run(c, echo, in, n, out, 100, CIRA_FOREVER, &got), CIRA_OK);
    assert_int_equal(got, n);
    assert_memory_equal(out, in, n);
    assert_int_equal(out[n], 0xee);
  }
  /* a result with less room than it needs; nowhere to go at all */
  memset(out, 0xee, sizeof(out));
  assert_int_equal(cira_call_run(c, echo, in, 9, out, 8, CIRA_FOREVER, NULL),
                   CIRA_E_RANGE);
  assert_int_equal(out[0], 0xee);
  assert_int_equal(cira_call_run(c, echo, in, 9, NULL, 0, CIRA_FOREVER, NULL),
                   CIRA_OK);
  assert_int_equal(cira_call_run(c, find(c, "context"), NULL, 0, NULL, 0,
                                 CIRA_FOREVER, NULL),
                   CIRA_OK);
  cira_call_stats_t s = cira_call_stats(c);
  assert_int_equal(s.in_flight, 0);
  assert_int_equal(s.submitted, s.completed);
  assert_true(process ? s.pid != 0 : s.pid == 0);
  assert_int_equal(cira_call_close(c, CIRA_FOREVER), CIRA_OK);
  assert_int_equal(cira_call_close(c, CIRA_FOREVER), CIRA_OK);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

/* The ids of a place go around; 0 would be the id that nobody has. */
static void test_ids_go_around(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, false);
  uint32_t echo = find(c, "echo");
  for (uint32_t place = 0; place < 4; place++) {
    c->place[place].id = UINT32_MAX - 2 * CIRA_CALL_DEPTH_MAX + 1 + place;
  }
  for (uint64_t i = 0; i < 40; i++) {
    uint64_t out = 0;
    assert_int_equal(cira_call_run(c, echo, &i, 8, &out, 8, CIRA_FOREVER, NULL),
                     CIRA_OK);
    assert_int_equal(out, i);
  }
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void errors(bool process) {
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, process);
  uint32_t fail = find(c, "fail");
  static const struct {
    int32_t returned, reached;
  } cases[] = {{CIRA_E_QUOTA, CIRA_E_QUOTA},
               {CIRA_E_NOMEM, CIRA_E_NOMEM},
               {-32768, -32768},
               {-32769, CIRA_E_PROTOCOL},
               {1, CIRA_E_PROTOCOL},
               {0, CIRA_OK}};
  for (size_t i = 0; i < CIRA_COUNT(cases); i++) {
    uint64_t out = 77;
    assert_int_equal(cira_call_run(c, fail, &cases[i].returned, 4, &out, 8,
                                   CIRA_FOREVER, NULL),
                     cases[i].reached);
    assert_int_equal(out, 77);
    if (cases[i].reached == CIRA_E_QUOTA) {
      assert_non_null(strstr(cira_status_detail(), "no more pears"));
    } else if (cases[i].reached != CIRA_OK) {
      assert_null(strstr(cira_status_detail(), "pears"));
    }
  }
  uint64_t out = 77;
  assert_int_equal(
      cira_call_run(c, find(c, "liar"), NULL, 0, &out, 8, CIRA_FOREVER, NULL),
      CIRA_E_RANGE);
  uint32_t f = 55;
  assert_int_equal(cira_call_find(c, "nobody", CIRA_FOREVER, &f),
                   CIRA_E_INVALID);
  assert_non_null(strstr(cira_status_detail(), "nobody"));
  assert_int_equal(f, 55);
  assert_int_equal(cira_call_run(c, 1000, NULL, 0, NULL, 0, CIRA_FOREVER, NULL),
                   CIRA_E_INVALID);
  assert_int_equal(out, 77);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void handles(bool process) {
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, process);
  uint32_t sum = find(c, "sum");
  uint64_t out = 0;
  for (uint32_t i = 0; i < 64; i++) {
    shared->words[i] = i;
  }
  cira_call_far_t far = {.window = 3, .offset = 8, .bytes = 63 * 8};
  assert_int_equal(
      cira_call_run(c, sum, &far, sizeof(far), &out, 8, CIRA_FOREVER, NULL),
      CIRA_OK);
  assert_int_equal(out, 63 * 64 / 2);
  static const cira_call_far_t bad[] = {
      {.window = 3, .offset = 8, .bytes = 512},
      {.window = 3, .offset = 513},
      {.window = 3, .offset = UINT64_MAX, .bytes = 8},
      {.window = 2, .bytes = 8},
      {.window = 16, .bytes = 8},
      {.window = UINT32_MAX, .bytes = 8}};
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    assert_int_equal(cira_call_run(c, sum, &bad[i], sizeof(far), &out, 8,
                                   CIRA_FOREVER, NULL),
                     CIRA_E_RANGE);
  }
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void library(bool process) {
  cira_call_table_t *t = table_make();
  assert_int_equal(cira_call_table_load(t, UNIT_LIBRARY), CIRA_OK);
  assert_int_equal(cira_call_table_load(t, "/no/such/library.so"),
                   CIRA_E_INVALID);
  assert_non_null(strstr(cira_status_detail(), "/no/such/library.so"));
  cira_call_client_t *c = start(t, NULL, process);
  uint64_t n = 21;
  assert_int_equal(
      cira_call_run(c, find(c, "twice"), &n, 8, &n, 8, CIRA_FOREVER, NULL),
      CIRA_OK);
  assert_int_equal(n, 42);
  uint32_t f;
  uint64_t three[3] = {1, 2, 3};
  cira_call_many_t m = {.args = three,
                        .results = three,
                        .count = 3,
                        .args_bytes = 8,
                        .result_bytes = 8};
  assert_int_equal(cira_call_many(c, find(c, "thrice"), &m, NULL), CIRA_OK);
  assert_int_equal(three[2], 9);
  assert_int_equal(
      cira_call_run(c, find(c, "thrice"), &n, 8, &n, 8, CIRA_FOREVER, NULL),
      CIRA_OK);
  assert_int_equal(n, 126);
  assert_int_equal(cira_call_find(c, "fourfold", CIRA_FOREVER, &f),
                   CIRA_E_INVALID);
  assert_int_equal(cira_call_find(c, "../x y", CIRA_FOREVER, &f),
                   CIRA_E_INVALID);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

/* ---- in flight ---------------------------------------------------------- */

static void flow(bool process) {
  enum { DEPTH = 8 };
  cira_call_table_t *t = table_make();
  cira_call_options_t o = cira_call_options_default();
  o.depth = DEPTH;
  o.args_max = o.result_max = 8; /* several to a doorbell */
  cira_call_client_t *c = start(t, &o, process);
  uint32_t hold = find(c, "hold");
  uint32_t add1 = find(c, "add1");
  cira_call_t call[DEPTH] = {0};
  cira_call_t more = {0};
  uint64_t result[DEPTH];
  for (uint64_t i = 0; i < DEPTH; i++) {
    cira_call_request_t r = {.args = &i,
                             .args_bytes = 8,
                             .result = &result[i],
                             .result_max = 8,
                             .flags = CIRA_CALL_F_MORE};
    assert_int_equal(cira_call_submit(c, i == 0 ? hold : add1, &r, &call[i]),
                     CIRA_OK);
    assert_int_equal(cira_call_submit(c, add1, &r, &call[i]), CIRA_E_BUSY);
  }
  cira_call_request_t r = {.args = &result[0], .args_bytes = 8};
  assert_int_equal(cira_call_submit(c, add1, &r, &more), CIRA_AGAIN);
  r.wait_ns = in_ms(2);
  assert_int_equal(cira_call_submit(c, add1, &r, &more), CIRA_E_DEADLINE);
  assert_int_equal(cira_call_stats(c).in_flight, DEPTH);
  assert_int_equal(cira_call_wait(c, &call[3], in_ms(2)), CIRA_E_DEADLINE);
  assert_int_equal(call[3].status, CIRA_PENDING);
  atomic_store(&shared->gate, 1);
  r.wait_ns = CIRA_FOREVER;
  assert_int_equal(cira_call_submit(c, add1, &r, &more), CIRA_OK);
  for (uint64_t i = DEPTH; i-- > 0;) { /* in any order, also twice */
    assert_int_equal(cira_call_wait(c, &call[i], CIRA_FOREVER), CIRA_OK);
    assert_int_equal(cira_call_wait(c, &call[i], CIRA_NO_WAIT), CIRA_OK);
    assert_true(i == 0 || result[i] == i + 1);
  }
  assert_int_equal(cira_call_wait(c, &more, CIRA_FOREVER), CIRA_OK);
  assert_true(cira_call_stats(c).doorbells < cira_call_stats(c).submitted);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void deadlines(bool process) {
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, process);
  uint32_t deaf = find(c, "deaf");
  uint32_t count = find(c, "count");
  uint64_t out = 77;
  uint64_t n = 5;
  do { /* on a busy machine it may be overdue before it begins */
    uint64_t by = in_ms(3);
    assert_int_equal(cira_call_run(c, deaf, &n, 8, &out, 8, by, NULL),
                     CIRA_E_DEADLINE);
    assert_true(cira__now_ns() >= by);
  } while (atomic_load(&shared->held) == 0);
  uint64_t abandoned = cira_call_stats(c).abandoned;
  /* behind one that does not end: overdue before it can begin */
  assert_int_equal(cira_call_run(c, count, NULL, 0, &out, 8, in_ms(3), NULL),
                   CIRA_E_DEADLINE);
  assert_int_equal(
      cira_call_run(c, count, NULL, 0, &out, 8, CIRA_NO_WAIT, NULL),
      CIRA_E_DEADLINE);
  uint32_t f = 55;
  assert_int_equal(cira_call_find(c, "echo", in_ms(3), &f), CIRA_E_DEADLINE);
  assert_int_equal(cira_call_find(c, "sum", CIRA_FOREVER, &f), CIRA_E_BUSY);
  assert_int_equal(f, 55);
  assert_int_equal(cira_call_stats(c).abandoned, abandoned + 3);
  atomic_store(&shared->gate, 1);
  cira_call_t call = {0};
  cira_call_request_t r = {0};
  assert_int_equal(cira_call_submit(c, count, &r, &call), CIRA_OK);
  assert_int_equal(cira_call_wait(c, &call, CIRA_FOREVER), CIRA_OK);
  assert_int_equal(atomic_load(&shared->ran), 1); /* the overdue did not run */
  assert_int_equal(cira_call_stats(c).in_flight, 0);
  assert_int_equal(find(c, "sum"), find(c, "sum"));
  assert_int_equal(out, 77);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void cancels(bool process) {
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, process);
  uint32_t hold = find(c, "hold");
  uint32_t count = find(c, "count");
  cira_call_t running = {0};
  cira_call_t queued = {0};
  cira_call_request_t r = {0};
  assert_int_equal(cira_call_submit(c, hold, &r, &running), CIRA_OK);
  assert_int_equal(cira_call_submit(c, count, &r, &queued), CIRA_OK);
  while (atomic_load(&shared->held) == 0) {
    (void)sched_yield();
  }
  assert_int_equal(cira_call_cancel(c, &queued), CIRA_OK);
  assert_int_equal(cira_call_cancel(c, &running), CIRA_OK);
  assert_int_equal(cira_call_wait(c, &running, CIRA_FOREVER), CIRA_E_CANCELLED);
  assert_int_equal(cira_call_wait(c, &queued, CIRA_FOREVER), CIRA_E_CANCELLED);
  assert_int_equal(atomic_load(&shared->ran), 0);
  assert_int_equal(cira_call_cancel(c, &queued), CIRA_E_CLOSED);
  /* the same objects and places again */
  assert_int_equal(cira_call_submit(c, count, &r, &queued), CIRA_OK);
  assert_int_equal(cira_call_submit(c, count, &r, &running), CIRA_OK);
  assert_int_equal(cira_call_wait(c, &running, CIRA_FOREVER), CIRA_OK);
  assert_int_equal(cira_call_wait(c, &queued, CIRA_FOREVER), CIRA_OK);
  assert_int_equal(atomic_load(&shared->ran), 2);
  /* close: the running one is told, the queued one does not run */
  assert_int_equal(cira_call_submit(c, hold, &r, &running), CIRA_OK);
  assert_int_equal(cira_call_submit(c, count, &r, &queued), CIRA_OK);
  assert_int_equal(cira_call_close(c, CIRA_FOREVER), CIRA_OK);
  assert_int_equal(running.status, CIRA_E_CANCELLED);
  assert_int_equal(queued.status, CIRA_E_CANCELLED);
  assert_int_equal(atomic_load(&shared->ran), 2);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

static void closing_stuck(bool process) {
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, process);
  cira_call_t call = {0};
  cira_call_request_t r = {0};
  assert_int_equal(cira_call_submit(c, find(c, "deaf"), &r, &call), CIRA_OK);
  while (atomic_load(&shared->held) == 0) {
    (void)sched_yield();
  }
  assert_int_equal(cira_call_close(c, in_ms(3)),
                   process ? CIRA_OK : CIRA_E_DEADLINE);
  assert_int_equal(call.status, CIRA_E_CANCELLED);
  assert_int_equal(cira_call_poll(c, NULL), CIRA_E_CLOSED);
  atomic_store(&shared->gate, 1);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

/* ---- bulk --------------------------------------------------------------- */

static void bulk(bool process) {
  enum { N = 1000 };
  cira_call_table_t *t = table_make();
  cira_call_options_t o = cira_call_options_default();
  o.bulk_bytes = 512;
  o.depth = 4;
  cira_call_client_t *c = start(t, &o, process);
  uint32_t add1 = find(c, "add1");
  static uint64_t in[N];
  static uint64_t out[N];
  static const uint32_t batches[] = {0, 1, 2, 7, 1000};
  for (size_t i = 0; i < CIRA_COUNT(batches); i++) {
    for (uint32_t depth = 0; depth < 20; depth += 9) {
      uint64_t done = 0;
      for (uint32_t k = 0; k < N; k++) {
        in[k] = k * i;
        out[k] = 0;
      }
      cira_call_many_t m = {.args = in,
                            .results = out,
                            .count = N,
                            .args_bytes = 8,
                            .result_bytes = 8,
                            .batch = batches[i],
                            .depth = depth};
      assert_int_equal(cira_call_many(c, add1, &m, &done), CIRA_OK);
      assert_int_equal(done, N);
      for (uint32_t k = 0; k < N; k++) {
        assert_int_equal(out[k], k * i + 1);
      }
    }
  }
  /* the first that fails ends it */
  for (uint32_t k = 0; k < N; k++) {
    in[k] = k;
    out[k] = 7777;
  }
  uint64_t done = 0;
  cira_call_many_t m = {.args = in + 701,
                        .results = out,
                        .count = N - 701,
                        .args_bytes = 8,
                        .result_bytes = 8};
  assert_int_equal(cira_call_many(c, find(c, "odd"), &m, &done), CIRA_E_RANGE);
  assert_int_equal(done, 900 - 701);
  assert_int_equal(out[done - 1], 899);
  assert_int_equal(out[done], 7777);
  m.args = in;
  assert_int_equal(cira_call_many(c, find(c, "odd"), &m, &done), CIRA_OK);
  m.count = N;
  assert_int_equal(cira_call_many(c, find(c, "odd"), &m, &done), CIRA_E_RANGE);
  assert_int_equal(done, 700);
  assert_non_null(strstr(cira_status_detail(), "odd"));
  /* nothing, too much, and past its time */
  m.count = 0;
  assert_int_equal(cira_call_many(c, add1, &m, &done), CIRA_OK);
  m.count = 1;
  m.args_bytes = 480;
  assert_int_equal(cira_call_many(c, add1, &m, &done), CIRA_E_RANGE);
  m.args_bytes = UINT32_MAX;
  m.result_bytes = UINT32_MAX;
  assert_int_equal(cira_call_many(c, add1, &m, &done), CIRA_E_RANGE);
  cira_call_many_t late = {.count = N, .batch = 1, .deadline_ns = in_ms(3)};
  assert_int_equal(cira_call_many(c, find(c, "deaf"), &late, &done),
                   CIRA_E_DEADLINE);
  assert_int_equal(done, 0);
  atomic_store(&shared->gate, 1);
  assert_int_equal(cira_call_run(c, add1, in, 8, out, 8, CIRA_FOREVER, NULL),
                   CIRA_OK);
  assert_int_equal(cira_call_stats(c).in_flight, 0);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

/* Takes arrays; refuses the argument 500, lies about 600. */
static cira_status_t fn_array(cira_call_frame_t *f) {
  for (; f->done < f->count; f->done++) {
    uint64_t n = ((const uint64_t *)f->args)[f->done];
    if (n == 500 || n == 600) {
      f->done = n == 600 ? UINT32_MAX : f->done;
      return CIRA_E_QUOTA;
    }
    ((uint64_t *)f->result)[f->done] = n + 1;
  }
  f->result_bytes = 8;
  return CIRA_OK;
}

static void arrays(bool process) {
  enum { N = 1000 };
  cira_call_table_t *t = table_make();
  assert_int_equal(cira_call_table_add_array(t, "array", fn_array, NULL),
                   CIRA_OK);
  assert_int_equal(cira_call_table_add_array(t, "array", fn_array, NULL),
                   CIRA_E_INVALID);
  cira_call_client_t *c = start(t, NULL, process);
  uint32_t array = find(c, "array");
  static uint64_t in[N];
  static uint64_t out[N];
  uint64_t done = 0;
  for (uint32_t k = 0; k < N; k++) {
    in[k] = k;
    out[k] = 7777;
  }
  cira_call_many_t m = {.args = in,
                        .results = out,
                        .count = N,
                        .args_bytes = 8,
                        .result_bytes = 8,
                        .batch = 64};
  assert_int_equal(cira_call_many(c, array, &m, &done), CIRA_E_QUOTA);
  assert_int_equal(done, 500);
  assert_int_equal(out[499], 500);
  assert_int_equal(out[500], 7777);
  m.args = in + 600; /* says that more succeeded than there were */
  m.count = 1;
  assert_int_equal(cira_call_many(c, array, &m, &done), CIRA_E_QUOTA);
  assert_int_equal(done, 1);
  m.args = in + 601;
  m.count = N - 601;
  assert_int_equal(cira_call_many(c, array, &m, &done), CIRA_OK);
  assert_int_equal(done, N - 601);
  assert_int_equal(out[N - 602], N);
  m.args_bytes = 4; /* whose results are of another size than it writes */
  m.args = in;
  m.result_bytes = 16;
  m.count = 1;
  assert_int_equal(cira_call_many(c, array, &m, &done), CIRA_E_RANGE);
  assert_int_equal(done, 0);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

/* ---- bad input ---------------------------------------------------------- */

static void test_bad_input(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  char long_name[100];
  memset(long_name, 'x', sizeof(long_name) - 1);
  long_name[99] = 0;
  assert_int_equal(cira_call_table_create(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_table_add(NULL, "a", fn_echo, NULL),
                   CIRA_E_INVALID);
  assert_int_equal(cira_call_table_add(t, NULL, fn_echo, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_table_add(t, "", fn_echo, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_table_add(t, long_name, fn_echo, NULL),
                   CIRA_E_INVALID);
  assert_int_equal(cira_call_table_add(t, "a", NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_table_add(t, "echo", fn_echo, NULL),
                   CIRA_E_INVALID);
  assert_int_equal(cira_call_table_load(t, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_table_window(NULL, 0, t, 8), CIRA_E_INVALID);
  assert_int_equal(cira_call_table_window(t, 16, t, 8), CIRA_E_RANGE);
  assert_int_equal(cira_call_table_window(t, 0, t, UINT64_MAX), CIRA_E_RANGE);
  for (uint32_t i = 11; i < CIRA_CALL_FUNCTION_MAX; i++) {
    char name[20];
    (void)cira__format(name, sizeof(name), "f%u", i);
    assert_int_equal(cira_call_table_add(t, name, fn_echo, NULL), CIRA_OK);
  }
  assert_int_equal(cira_call_table_add(t, "one more", fn_echo, NULL),
                   CIRA_E_QUOTA);
  cira_call_client_t *c = NULL;
  cira_call_options_t o = cira_call_options_default();
  assert_int_equal(cira_call_thread(NULL, &o, &c), CIRA_E_INVALID);
  assert_int_equal(cira_call_thread(t, &o, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_process(NULL, &o, &c), CIRA_E_INVALID);
  o.flags = CIRA_CALL_F_SHARED;
  assert_int_equal(cira_call_thread(t, &o, &c), CIRA_E_UNSUPPORTED);
  o.flags = 8;
  assert_int_equal(cira_call_thread(t, &o, &c), CIRA_E_INVALID);
  o.flags = 0;
  o.depth = 3;
  assert_int_equal(cira_call_thread(t, &o, &c), CIRA_E_INVALID);
  o.depth = CIRA_CALL_DEPTH_MAX * 2;
  assert_int_equal(cira_call_thread(t, &o, &c), CIRA_E_RANGE);
  o.depth = 4;
  o.args_max = CIRA_CALL_BYTES_MAX + 1;
  assert_int_equal(cira_call_process(t, &o, &c), CIRA_E_RANGE);
  o.args_max = 8;
  o.size = 3;
  assert_int_equal(cira_call_thread(t, &o, &c), CIRA_E_INVALID);
  assert_null(c);
  cira_call_table_destroy(t);
  cira_call_table_destroy(NULL);
  cira_call_destroy(NULL);
}

static void test_bad_calls(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  cira_call_client_t *c = start(t, NULL, false);
  uint32_t echo = find(c, "echo");
  uint32_t f = 0;
  uint8_t big[49] = {0};
  cira_call_t call = {0};
  cira_call_request_t r = {.args_bytes = 8};
  char long_name[100];
  memset(long_name, 'x', sizeof(long_name) - 1);
  long_name[99] = 0;
  assert_int_equal(cira_call_submit(NULL, echo, &r, &call), CIRA_E_INVALID);
  assert_int_equal(cira_call_submit(c, echo, NULL, &call), CIRA_E_INVALID);
  assert_int_equal(cira_call_submit(c, echo, &r, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_submit(c, echo, &r, &call), CIRA_E_INVALID);
  r.args = big;
  r.flags = 2;
  assert_int_equal(cira_call_submit(c, echo, &r, &call), CIRA_E_INVALID);
  r.flags = 0;
  assert_int_equal(cira_call_submit(c, 0, &r, &call), CIRA_E_INVALID);
  assert_int_equal(cira_call_submit(c, 5000, &r, &call), CIRA_E_INVALID);
  r.result_max = 8;
  assert_int_equal(cira_call_submit(c, echo, &r, &call), CIRA_E_INVALID);
  r.result_max = 0;
  r.args_bytes = 49;
  assert_int_equal(cira_call_submit(c, echo, &r, &call), CIRA_E_RANGE);
  r.args_bytes = UINT32_MAX;
  assert_int_equal(cira_call_submit(c, echo, &r, &call), CIRA_E_RANGE);
  assert_int_equal(cira_call_wait(c, &call, 0), CIRA_E_INVALID);
  assert_int_equal(cira_call_wait(c, NULL, 0), CIRA_E_INVALID);
  assert_int_equal(cira_call_wait(NULL, &call, 0), CIRA_E_INVALID);
  assert_int_equal(cira_call_cancel(c, &call), CIRA_E_INVALID);
  assert_int_equal(cira_call_cancel(NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_find(c, NULL, 0, &f), CIRA_E_INVALID);
  assert_int_equal(cira_call_find(c, "", 0, &f), CIRA_E_INVALID);
  assert_int_equal(cira_call_find(c, long_name, 0, &f), CIRA_E_INVALID);
  assert_int_equal(cira_call_find(c, "echo", 0, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_many(c, echo, NULL, NULL), CIRA_E_INVALID);
  cira_call_many_t m = {.count = 1, .args_bytes = 8};
  assert_int_equal(cira_call_many(c, echo, &m, NULL), CIRA_E_INVALID);
  m.args = big;
  assert_int_equal(cira_call_many(c, 0, &m, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_poll(NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_flush(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_close(NULL, 0), CIRA_E_INVALID);
  assert_false(cira_call_cancelled(NULL));
  assert_int_equal(cira_call_resolve(NULL, NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_stats(NULL).submitted, 0);
  /* nothing of that has reached the callee */
  assert_int_equal(cira_call_stats(c).in_flight, 0);
  assert_int_equal(cira_call_close(c, CIRA_FOREVER), CIRA_OK);
  r.args_bytes = 8;
  assert_int_equal(cira_call_submit(c, echo, &r, &call), CIRA_E_CLOSED);
  assert_int_equal(cira_call_run(c, echo, big, 8, NULL, 0, 0, NULL),
                   CIRA_E_CLOSED);
  assert_int_equal(cira_call_find(c, "echo", 0, &f), CIRA_E_CLOSED);
  assert_int_equal(cira_call_many(c, echo, &m, NULL), CIRA_E_CLOSED);
  assert_int_equal(cira_call_flush(c), CIRA_E_CLOSED);
  assert_int_equal(cira_call_poll(c, NULL), CIRA_E_CLOSED);
  cira_call_destroy(c);
  cira_call_table_destroy(t);
}

/* ---- links by hand ------------------------------------------------------ */

typedef struct {
  void *memory;
  uint64_t bytes;
} link_t;

static link_t link_make(const cira_call_options_t *o) {
  link_t l;
  assert_int_equal(cira_call_link_bytes(o, &l.bytes), CIRA_OK);
  l.memory = mmap(NULL, l.bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(l.memory, MAP_FAILED);
  assert_int_equal(cira_call_link_init(l.memory, l.bytes, o), CIRA_OK);
  return l;
}

static void test_links(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  link_t l = link_make(NULL);
  uint8_t *at = l.memory;
  cira_call_client_t *c = NULL;
  cira_call_client_t *second = NULL;
  assert_int_equal(cira_call_link_bytes(NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_link_init(NULL, l.bytes, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_link_init(at + 8, l.bytes, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_link_init(at, l.bytes - 1, NULL), CIRA_E_RANGE);
  assert_int_equal(cira_call_attach(NULL, l.bytes, &c), CIRA_E_INVALID);
  assert_int_equal(cira_call_attach(at, l.bytes, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_call_attach(at, 100, &c), CIRA_E_RANGE);
  assert_int_equal(cira_call_attach(at, l.bytes - 1, &c), CIRA_E_RANGE);
  assert_int_equal(cira_call_serve(at, l.bytes, NULL, 0), CIRA_E_INVALID);
  assert_int_equal(cira_call_serve(NULL, l.bytes, t, 0), CIRA_E_INVALID);
  for (size_t i = 0; i < offsetof(cira__call_link_t, pad); i++) {
    at[i] ^= 0x40; /* a damaged header, whichever byte it is */
    assert_int_equal(cira_call_attach(at, l.bytes, &c), CIRA_E_PROTOCOL);
    assert_int_equal(cira_call_serve(at, l.bytes, t, 0), CIRA_E_PROTOCOL);
    at[i] ^= 0x40;
  }
  assert_int_equal(cira_call_attach(at, l.bytes, &c), CIRA_OK);
  assert_int_equal(cira_call_attach(at, l.bytes, &second), CIRA_E_BUSY);
  assert_null(second);
  uint32_t f = 0;
  assert_int_equal(cira_call_find(c, "echo", in_ms(2), &f), CIRA_E_DEADLINE);
  assert_int_equal(cira_call_serve(at, l.bytes, t, in_ms(3)), CIRA_E_DEADLINE);
  assert_int_equal(cira_call_serve(at, l.bytes, t, in_ms(3)), CIRA_E_BUSY);
  /* the callee has stopped */
  assert_int_equal(cira_call_poll(c, NULL), CIRA_E_DISCONNECTED);
  assert_int_equal(cira_call_find(c, "echo", in_ms(2), &f),
                   CIRA_E_DISCONNECTED);
  cira_call_destroy(c);
  (void)munmap(l.memory, l.bytes);
  cira_call_table_destroy(t);
}

/* A callee that sends what it should not. */
static void test_double_completion(void **state) {
  (void)state;
  static const struct {
    uint32_t id;
    int16_t status;
    uint16_t bytes;
  } bad[] = {{0, 0, 0},         /* of no submission */
             {4096 + 1, 0, 0},  /* of another place */
             {8192, 0, 0},      /* of a later time */
             {5, 0, 0},         /* of no place */
             {4096, 1, 0},      /* no status */
             {4096, 0, 40000}}; /* more than there is room for */
  for (size_t i = 0; i <= CIRA_COUNT(bad); i++) {
    cira_call_options_t o = cira_call_options_default();
    o.depth = 4;
    link_t l = link_make(&o);
    cira_call_client_t *c;
    cira__call_view_t v;
    cira_call_t call = {0};
    cira_call_request_t r = {0};
    uint8_t message[64] = {0};
    assert_int_equal(cira_call_attach(l.memory, l.bytes, &c), CIRA_OK);
    assert_int_equal(cira__call_view(l.memory, l.bytes, "test", &v), CIRA_OK);
    assert_int_equal(cira_call_submit(c, 1, &r, &call), CIRA_OK);
    assert_int_equal(call.id, 4096);
    if (i == CIRA_COUNT(bad)) { /* right once, then again */
      memcpy(message, &call.id, 4);
      assert_int_equal(cira_channel_try_send(v.completions, message), CIRA_OK);
      assert_int_equal(cira_call_wait(c, &call, CIRA_FOREVER), CIRA_OK);
    } else {
      memcpy(message, &bad[i], sizeof(bad[i]));
    }
    assert_int_equal(cira_channel_try_send(v.completions, message), CIRA_OK);
    assert_int_equal(cira_call_poll(c, NULL), CIRA_E_PROTOCOL);
    assert_int_equal(call.status,
                     i == CIRA_COUNT(bad) ? CIRA_OK : CIRA_E_PROTOCOL);
    assert_int_equal(cira_call_submit(c, 1, &r, &call), CIRA_E_PROTOCOL);
    cira_call_destroy(c);
    (void)munmap(l.memory, l.bytes);
  }
}

/* A caller that sends what it should not. */
static void test_bad_submission(void **state) {
  (void)state;
  static const cira__call_submission_t bad[] = {
      {.id = 4096 + 4, .function = 1}, /* no such place */
      {.id = 4096, .function = 1, .args_bytes = 49},
      {.id = 4096, .function = 1 | CIRA__CALL_F_BULK, .args_bytes = 16}};
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    cira_call_table_t *t = table_make();
    cira_call_options_t o = cira_call_options_default();
    o.depth = 4;
    link_t l = link_make(&o);
    cira__call_view_t v;
    uint8_t message[64] = {0};
    assert_int_equal(cira__call_view(l.memory, l.bytes, "test", &v), CIRA_OK);
    memcpy(message, &bad[i], sizeof(bad[i]));
    assert_int_equal(cira_channel_try_send(v.submissions, message), CIRA_OK);
    assert_int_equal(cira_call_serve(l.memory, l.bytes, t, CIRA_FOREVER),
                     CIRA_E_PROTOCOL);
    assert_int_equal(cira_channel_try_receive(v.completions, message),
                     CIRA_E_CLOSED);
    (void)munmap(l.memory, l.bytes);
    cira_call_table_destroy(t);
  }
  /* bulk that leaves its place is the call's failure */
  cira_call_table_t *t = table_make();
  link_t l = link_make(NULL);
  cira__call_view_t v;
  uint8_t message[64] = {0};
  cira__call_submission_t m = {
      .id = 4096, .function = 1 | CIRA__CALL_F_BULK, .args_bytes = 2};
  assert_int_equal(cira__call_view(l.memory, l.bytes, "test", &v), CIRA_OK);
  v.descriptor[2] = (cira__call_bulk_t){UINT32_MAX, UINT32_MAX, UINT32_MAX, 0};
  memcpy(message, &m, sizeof(m));
  assert_int_equal(cira_channel_try_send(v.submissions, message), CIRA_OK);
  assert_int_equal(cira_channel_close(v.submissions), CIRA_OK);
  assert_int_equal(cira_call_serve(l.memory, l.bytes, t, CIRA_FOREVER),
                   CIRA_OK);
  cira__call_completion_t done;
  assert_int_equal(cira_channel_try_receive(v.completions, message), CIRA_OK);
  memcpy(&done, message, sizeof(done));
  assert_int_equal(done.id, 4096);
  assert_int_equal(done.status, CIRA_E_PROTOCOL);
  (void)munmap(l.memory, l.bytes);
  cira_call_table_destroy(t);
}

#define BOTH(name)                                                             \
  static void test_##name(void **state) {                                      \
    (void)state;                                                               \
    name(false);                                                               \
    name(true);                                                                \
  }
BOTH(values)
BOTH(errors)
BOTH(handles)
BOTH(library)
BOTH(flow)
BOTH(deadlines)
BOTH(cancels)
BOTH(closing_stuck)
BOTH(bulk)
BOTH(arrays)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_ids_go_around),
      cmocka_unit_test(test_handles),
      cmocka_unit_test(test_library),
      cmocka_unit_test(test_flow),
      cmocka_unit_test(test_deadlines),
      cmocka_unit_test(test_cancels),
      cmocka_unit_test(test_closing_stuck),
      cmocka_unit_test(test_bulk),
      cmocka_unit_test(test_arrays),
      cmocka_unit_test(test_bad_input),
      cmocka_unit_test(test_bad_calls),
      cmocka_unit_test(test_links),
      cmocka_unit_test(test_double_completion),
      cmocka_unit_test(test_bad_submission),
      cmocka_unit_test(test_nth_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
