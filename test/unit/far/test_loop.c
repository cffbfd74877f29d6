/* SPDX-License-Identifier: Apache-2.0
 *
 * cira/loop.h, called as compiled loops call it: what is read and written where
 * it is, is what plain accesses see, and nothing of it takes local memory.
 */
#include "cira/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cira/far.h"
#include "space/loop_turn.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CIRA_TSAN 1
#endif
#endif

#define MIB (UINT64_C(1) << 20)
#define N (4 * MIB / 8) /* words of an array; the cache has 1 MiB */

static uint64_t *a, *b;

static void start(const char *url) {
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = url;
  opt.local_bytes = MIB;
  opt.far_bytes = 1u << 30;
  if (cira_far_start(&opt) != CIRA_OK) {
    fail_msg("%s", cira_status_detail());
  }
}

/* Two arrays, of which at most a part is here. In each test: cmocka takes the
 * signals of faults before it. */
static void setup(void) {
  start("host:");
  a = cira_far_alloc(N * 8, 4096);
  b = cira_far_alloc(N * 8, 0);
  for (uint64_t i = 0; i < N; i++) {
    a[i] = i;
    b[i] = i * 3 + 1;
  }
}

static uint64_t faults(void) {
  cira_far_stats_t s = {.size = sizeof s};
  assert_int_equal(cira_far_stats(&s), CIRA_OK);
  assert_true(s.resident_pages + s.native_pages <= s.local_bytes / 4096);
  return s.faults;
}

/* As a compiled loop does. */
static bool is_away(const cira_loop_view_t *v, const void *p) {
  uint64_t page = ((uint64_t)(uintptr_t)p - v->base) / 4096;
  uint32_t word = __atomic_load_n(&v->words[page < v->pages ? page : v->pages],
                                  __ATOMIC_ACQUIRE);
  return (word & v->mask) == v->match;
}

static uint64_t load(const cira_loop_view_t *v, const uint64_t *p) {
  uint64_t by = is_away(v, p) ? v->delta : 0;
  return *(const uint64_t *)((uintptr_t)p + by);
}

static void test_view(void **state) {
  (void)state;
  setup();
  uint64_t here = 5, away = 0, before = faults();
  cira_loop_view_t v = {.work = 0};
  assert_int_equal(cira_loop_begin(&v), 1);
  for (uint64_t i = 0; i < N; i += 37) {
    away += is_away(&v, &b[i]);
    assert_int_equal(load(&v, &b[i]), i * 3 + 1);
  }
  assert_int_equal(load(&v, &here), 5); /* not far */
  cira_loop_end(&v);
  assert_true(away > 0);
  assert_true(faults() - before < 8);
  cira_far_stop();
}

static void test_put(void **state) {
  (void)state;
  setup();
  cira_loop_view_t v = {.work = 0};
  uint64_t near = 0;
  assert_int_equal(cira_loop_begin(&v), 1);
  for (uint64_t i = 0; i < N; i += 101) {
    cira_loop_put(&a[i], ~i, 8);
    cira_loop_put((uint8_t *)&b[i] + 1, 0x1234, 1);
    cira_loop_put((uint16_t *)&b[i] + 1, 0x56789, 2);
    cira_loop_put((uint32_t *)&b[i] + 1, 0xabcdef0123, 4);
  }
  cira_loop_put(&near, 7, 8);
  cira_loop_end(&v);
  assert_int_equal(near, 7);
  for (uint64_t i = 0; i < N; i += 101) {
    uint64_t old = (i * 3 + 1) & 0xff;
    assert_int_equal(a[i], ~i);
    assert_int_equal(b[i], UINT64_C(0xcdef012367893400) | old);
  }
  cira_far_stop();
}

/* One run of `for (i = 0; i < n; i++) to[i * step] = from[i] * 5 + 2`. */
static void pass(uint64_t *to, const uint64_t *from, int64_t step, uint64_t n) {
  cira_loop_view_t v = {.work = 0};
  cira__loops_forget(); /* what runs first looks up */
  if (cira_loop_begin(&v) == 0) {
    fail_msg("plain");
  }
  cira_loop_walk_t w[2] = {{.at = (uintptr_t)to,
                            .stride = 8 * step,
                            .bytes = 8,
                            .flags = CIRA_LOOP_WRITES},
                           {.at = (uintptr_t)from, .stride = 8, .bytes = 8}};
  for (uint64_t i = 0; i < n;) {
    uint64_t k = cira_loop_walk(w, 2, n - i);
    assert_true(k > 0 && k <= n - i);
    for (uint64_t end = i + k; i < end; i++) {
      uint64_t *out = to + (int64_t)i * step;
      *(uint64_t *)((uintptr_t)out + w[0].delta) =
          *(const uint64_t *)((uintptr_t)(from + i) + w[1].delta) * 5 + 2;
    }
  }
  cira_loop_walk_end();
  cira_loop_end(&v);
}

static void check_pass(uint64_t to, uint64_t from, int64_t step, uint64_t n) {
  uint64_t *want = malloc(N * 8);
  memcpy(want, a, N * 8);
  for (uint64_t i = 0; i < n; i++) {
    *(want + to + (int64_t)i * step) = want[from + i] * 5 + 2;
  }
  pass(a + to, a + from, step, n);
  assert_memory_equal(a, want, N * 8);
  free(want);
}

static void test_walk(void **state) {
  (void)state;
  setup();
  uint64_t before = faults();
  pass(a, b, 1, N);
  assert_true(faults() - before < N * 8 / 4096);
  for (uint64_t i = 0; i < N; i++) {
    assert_int_equal(a[i], (i * 3 + 1) * 5 + 2);
  }
  cira_far_stop();
}

/* Arrays that overlap, that go down, that begin and end within pages, in steps:
 * always what the plain loop gives. */
static void test_walk_shapes(void **state) {
  (void)state;
  setup();
  check_pass(0, 0, 1, N);
  check_pass(3, 0, 1, N - 3);
  check_pass(0, 3, 1, N - 3);
  check_pass(700, 5, 1, N / 2);
  check_pass(5, 700, 1, N / 2);
  check_pass(N - 1, 0, -1, N);
  check_pass(N / 2 + 77, 1, -1, N / 3);
  check_pass(1, N / 2, 7, N / 15);
  check_pass(N - 1, 13, -61, N / 64);
  check_pass(9, 9, 1, 1);
  cira_far_stop();
}

static void test_walk_near(void **state) {
  (void)state;
  setup();
  uint64_t near[600];
  pass(near, b + 17, 1, 600);
  for (uint64_t i = 0; i < 600; i++) {
    assert_int_equal(near[i], ((i + 17) * 3 + 1) * 5 + 2);
  }
  pass(b + 17, near, 1, 600);
  assert_int_equal(b[17 + 599], near[599] * 5 + 2);
  assert_int_equal(b[17 + 600], (17 + 600) * 3 + 1);
  cira_far_stop();
}

static uint64_t passed(void) {
  cira_far_stats_t s = {.size = sizeof s};
  assert_int_equal(cira_far_stats(&s), CIRA_OK);
  return s.pages_passed;
}

/* An array that is passed through under its own addresses comes by blocks, goes
 * behind the loop, and leaves what is used beside it. */
static void check_stream(int64_t step) {
  enum { hot = 64 };
  cira_loop_view_t v = {.work = 0};
  uint64_t *at = step > 0 ? a : a + N - 1, sum = 0, missed = 0;
  cira_loop_walk_t w = {.at = (uintptr_t)at,
                        .stride = 8 * step,
                        .bytes = 8,
                        .flags = CIRA_LOOP_PASSES};
  cira__loops_forget();
  assert_int_equal(cira_loop_begin(&v), 1);
  uint64_t before = faults(), went = passed();
  for (uint64_t i = 0; i < N;) {
    uint64_t k = cira_loop_walk(&w, 1, N - i), look;
    assert_int_equal(w.delta, 0);
    for (uint64_t end = i + k; i < end; i++) {
      sum += at[(int64_t)i * step]++;
    }
    look = faults();
    for (uint64_t page = 0; page < hot; page++) {
      sum += b[page * 27 % hot * 512] * 0;
    }
    missed += faults() - look;
  }
  cira_loop_walk_end();
  cira_loop_end(&v);
  assert_true(sum >= N * (N - 1) / 2);
  assert_true(missed < 2 * hot);
  assert_true(faults() - before - missed < N * 8 / 4096 / 8);
  assert_true(passed() - went > N * 8 / 4096 / 2);
}

static void test_stream(void **state) {
  (void)state;
  setup();
  check_stream(1);
  check_stream(-1);
  for (uint64_t i = 0; i < N; i++) {
    assert_int_equal(a[i], i + 2);
  }
  cira_far_stop();
}

/* Two threads write what meets in the middle of pages. */
static void *half(void *argument) {
  uint64_t from = *(const uint64_t *)argument;
  for (int round = 0; round < 3; round++) {
    pass(a + from, b + from, 1, N / 2);
    pass(b + from, a + from, 1, N / 2);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  setup();
  uint64_t from[2] = {0, N / 2};
  pthread_t t[2];
  a[0] = 1;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&t[i], NULL, half, &from[i]), 0);
  }
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_join(t[i], NULL), 0);
  }
  for (uint64_t i = 0; i < N; i += 11) {
    uint64_t value = i * 3 + 1;
    for (int round = 0; round < 6; round++) {
      value = value * 5 + 2;
    }
    assert_int_equal(b[i], value);
  }
  cira_far_stop();
}

#ifndef CIRA_TSAN /* its deadlock detector gives up in forks */
/* After a fork parent and child write, and neither sees the other's. */
static void test_fork(void **state) {
  (void)state;
  setup();
  pid_t child = fork();
  assert_true(child >= 0);
  pass(a, b, 1, N);
  cira_loop_put(&b[1000], child == 0 ? 1 : 2, 8);
  bool right = b[1000] == (child == 0 ? 1u : 2u);
  for (uint64_t i = 0; i < N; i++) {
    right &= a[i] == (i * 3 + 1) * 5 + 2;
  }
  if (child == 0) {
    _exit(right ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_true(right);
  cira_far_stop();
}

#endif

/* What a plain loop is told: whether to say when it ends. */
static void test_timed(void **state) {
  (void)state;
  setup();
  uint64_t far = 0, plain = 0;
  for (uint64_t i = 0; i < 3000; i++) {
    cira_loop_view_t v = {.work = 2000};
    bool finds = cira_loop_begin(&v);
    assert_true(v.left > 0 && v.timed <= 1 && (!finds || v.timed == 1));
    for (uint64_t k = 0; k < 2000; k++) {
      v.away += finds && load(&v, &a[N - 1 - k % 64]) == 0;
    }
    if (v.timed != 0) {
      cira_loop_end(&v);
    }
    far += finds;
    plain += !finds && v.timed != 0;
  }
  assert_true(far > 0 && far + plain <= 3000);
  cira_far_stop();
}

static void test_without(void **state) {
  (void)state;
  cira_loop_view_t v = {.work = 0};
  uint64_t x = 1;
  cira_loop_walk_t w = {.at = (uintptr_t)&x, .stride = 8, .bytes = 8};
  assert_int_equal(cira_loop_begin(&v), 0);
  cira_loop_put(&x, 9, 8);
  assert_int_equal(x, 9);
  assert_int_equal(cira_loop_walk(&w, 1, 12), 12);
  cira_loop_walk_end();
  start("host:"); /* all of it is here */
  assert_int_equal(cira_loop_begin(&v), 0);
  cira_far_stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_view),      cmocka_unit_test(test_put),
      cmocka_unit_test(test_walk),      cmocka_unit_test(test_walk_shapes),
      cmocka_unit_test(test_walk_near), cmocka_unit_test(test_stream),
      cmocka_unit_test(test_threads),
#ifndef CIRA_TSAN
      cmocka_unit_test(test_fork),
#endif
      cmocka_unit_test(test_timed),     cmocka_unit_test(test_without),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
