/* SPDX-License-Identifier: Apache-2.0
 * The choice between two versions of a loop, with a clock of its own: loops are
 * run that take as long as a test says. */
#include <stdint.h>

uint64_t choice_test_now(void);
#define CIRA_CHOICE_TICKS choice_test_now
#include "cc/choice.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static _Thread_local uint64_t now;

uint64_t choice_test_now(void) {
  return now;
}

/* A loop whose iterations take so many ticks, old and changed. */
typedef struct loop {
  cira__choice_site_t *site;
  uint64_t ticks[2];
  uint64_t noise_each; /* every so many periods the core is somewhere else */
  uint32_t unit, floor;
  /* what came out */
  uint64_t done[2], periods, changes;
  uint64_t plain; /* executions that took the plain loop at once */
} loop_t;

static void run(loop_t *l, uint64_t iterations) {
  /* at the same address in all runs of a thread: what is learned hangs on it,
   * and frames of the address sanitizer move about */
  static _Thread_local cira__choice_period_t p;
  uint64_t left = iterations;
  uint64_t word = cira_choice1_enter(l->site, &p, left, 4, l->unit, l->floor);
  uint32_t last = 2;
  while (left) {
    uint32_t version = (uint32_t)(word >> 32);
    uint64_t given = word & UINT32_MAX;
    assert_true(given > 0 && version < 2);
    given = given < left ? given : left;
    now += given * l->ticks[version];
    l->periods++;
    if (l->noise_each && l->periods % l->noise_each == 0) {
      now += 100000;
    }
    l->done[version] += given;
    l->changes += version != last;
    last = version;
    left -= given;
    if (left) {
      word = cira_choice1_next(l->site, &p, left);
    }
  }
  cira_choice1_leave(l->site, &p, 0);
}

/* The time that it took, compared with the better version alone. */
static double cost(const loop_t *l) {
  uint64_t best = l->ticks[0] < l->ticks[1] ? l->ticks[0] : l->ticks[1];
  return (double)(l->done[0] * l->ticks[0] + l->done[1] * l->ticks[1]) /
         (double)((l->done[0] + l->done[1]) * best);
}

static loop_t make(uint64_t old, uint64_t changed) {
  loop_t l = {.ticks = {old, changed}, .unit = 256};
  l.site = calloc(1, sizeof *l.site);
  assert_non_null(l.site);
  now = 1;
  return l;
}

/* Whatever is faster is taken nearly always. */
static void test_faster(void **state) {
  static const uint64_t pairs[][2] = {{20, 60},       {60, 20},
                                      {500, 30},      {30, 500},
                                      {4, 13},        {100, 90},
                                      {7000, 900},    {900, 7000},
                                      {100000, 9000}, {1000000000, 100000000}};
  (void)state;
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    loop_t l = make(pairs[i][0], pairs[i][1]);
    run(&l, 50000000);
    assert_true(cost(&l) < 1.01);
    free(l.site);
  }
}

/* Executions of few iterations each are learned from together. */
static void test_short(void **state) {
  static const uint64_t lengths[] = {4, 7, 30, 100, 255, 300, 1000};
  (void)state;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    for (int better = 0; better < 2; better++) {
      loop_t l = make(better ? 90 : 30, better ? 30 : 90);
      while (l.done[0] + l.done[1] < 50000000) {
        run(&l, lengths[i]);
      }
      assert_true(cost(&l) < 1.01);
      free(l.site);
    }
  }
}

/* Fewer than what is worth a choice are the old loop. */
static void test_few(void **state) {
  (void)state;
  loop_t l = make(90, 30);
  for (int i = 0; i < 100000; i++) {
    run(&l, 3);
  }
  assert_int_equal(l.done[1], 0);
  free(l.site);
}

/* Where the old loop takes less than the changed one ever could, that is never
 * tried; where it takes more, it is. */
static void test_floor(void **state) {
  (void)state;
  loop_t l = make(9, 30);
  l.floor = 16 * 10;
  run(&l, 10000000);
  assert_int_equal(l.done[1], 0);
  l.ticks[0] = 90;
  run(&l, 10000000);
  assert_true(l.done[1] > 8000000);
  free(l.site);
}

/* What runs for less than it takes to find out stays as it was. */
static void test_warm(void **state) {
  (void)state;
  loop_t l = make(90, 30);
  run(&l, 10000);
  assert_int_equal(l.done[1], 0);
  free(l.site);
}

/* The first iteration of long ones says what to do with the few others. */
static void test_long(void **state) {
  (void)state;
  loop_t l = make(UINT64_C(3) << 30, UINT64_C(3) << 27);
  run(&l, 32);
  assert_int_equal(l.done[0], 1);
  free(l.site);
  l = make(UINT64_C(1) << 20, UINT64_C(3) << 20);
  run(&l, 32);
  assert_int_equal(l.done[1], 2);
  free(l.site);
}

/* The core is somewhere else during one of six samples: that changes nothing.
 */
static void test_noise(void **state) {
  (void)state;
  for (uint64_t each = 7; each < 30; each++) {
    loop_t l = make(20, 40);
    l.noise_each = each;
    run(&l, 20000000);
    assert_true(cost(&l) < 1.02);
    free(l.site);
  }
}

/* What is faster changes: soon the other version is taken. */
static void test_phases(void **state) {
  (void)state;
  loop_t l = make(20, 60);
  run(&l, 10000000);
  for (int phase = 0; phase < 6; phase++) {
    l.done[0] = l.done[1] = 0;
    l.ticks[0] = phase % 2 ? 20 : 400;
    l.ticks[1] = phase % 2 ? 60 : 50;
    run(&l, 20000000);
    assert_true(l.done[phase % 2 ? 0 : 1] > 18000000);
  }
  free(l.site);
}

/* What the changed loop asks for is of use only so many iterations later, even
 * if it is the old loop that comes there: samples must not show that. */
static void test_reach(void **state) {
  enum { reach = 3000, old = 10, changed = 7, served = 3, unserved = 14 };
  (void)state;
  loop_t l = make(0, 0);
  cira__choice_period_t p;
  uint64_t word = cira_choice1_enter(l.site, &p, UINT64_MAX, 0, 4096, l.floor);
  uint64_t asked_from = 0, asked_to = 0;
  for (uint64_t at = 0; at < 20000000;) {
    uint32_t version = (uint32_t)(word >> 32);
    uint64_t given = word & UINT32_MAX;
    assert_true(given > 0 && version < 2);
    if (version) {
      asked_from = at + reach <= asked_to ? asked_from : at + reach;
      asked_to = at + given + reach;
    }
    for (uint64_t end = at + given; at < end; at++) {
      bool is_served = at >= asked_from && at < asked_to;
      now += version ? (is_served ? changed : unserved)
                     : (is_served ? served : old);
    }
    l.done[version] += given;
    word = cira_choice1_next(l.site, &p, UINT64_MAX);
  }
  assert_true(l.done[1] > 18000000);
  free(l.site);
}

/* An execution of which nobody knows how long it is; what remains is given
 * back. */
static void run_unknown(loop_t *l, uint64_t left) {
  static _Thread_local cira__choice_period_t p;
  uint64_t word = cira_choice1_enter(l->site, &p, UINT64_MAX, 0, l->unit, 0);
  for (;;) {
    uint32_t version = (uint32_t)(word >> 32);
    uint64_t given = word & UINT32_MAX;
    uint64_t take = given < left ? given : left;
    now += take * l->ticks[version];
    l->done[version] += take;
    left -= take;
    if (!left) {
      cira_choice1_leave(l->site, &p, given - take);
      return;
    }
    word = cira_choice1_next(l->site, &p, UINT64_MAX);
  }
}

static void test_unknown(void **state) {
  (void)state;
  loop_t l = make(90, 30);
  for (int i = 0; i < 100000; i++) {
    run_unknown(&l, 100);
  }
  assert_true(cost(&l) < 1.02);
  free(l.site);
}

/* The same, by way of the plain loop. */
static void run_plain(loop_t *l, uint64_t iterations, bool known) {
  static _Thread_local cira__choice_period_t p;
  if (known ? cira_choice1_plain(l->site, &p, iterations, 4)
            : cira_choice1_open(l->site, &p)) {
    now += iterations * l->ticks[0];
    l->done[0] += iterations;
    l->plain++;
  } else if (known) {
    run(l, iterations);
  } else {
    run_unknown(l, iterations);
  }
}

/* Where the old loop is faster nearly all executions are plain, be they short,
 * long or both; and once it is not, hardly any, after some milliseconds. */
static void test_plain(void **state) {
  (void)state;
  static const uint64_t sizes[][2] = {
      {3, 3}, {100, 100}, {2, 5000}, {300000, 300000}};
  for (int i = 0; i < 8; i++) {
    const uint64_t *size = sizes[i / 2];
    loop_t l = make(30, 36);
    l.unit = i / 4 ? 4096 : 16;
    uint64_t count = 2 * 200000000 / (size[0] + size[1]);
    for (uint64_t k = 0; k < count; k++) {
      run_plain(&l, size[k % 2], i % 2);
    }
    assert_true(cost(&l) < 1.01);
    if (i <
        7) { /* long ones count down anyway instead of testing for the end */
      assert_true(l.plain > count * 19 / 20);
    }
    l.ticks[0] = 300;
    l.plain = l.done[0] = l.done[1] = 0;
    for (uint64_t k = 0; k < count; k++) {
      run_plain(&l, size[k % 2], i % 2);
    }
    if (size[0] > 4 || !(i % 2)) { /* shorter ones are never changed */
      assert_true(l.done[1] > 19 * l.done[0]);
    }
    free(l.site);
  }
}

/* Many short executions of unknown length, then long ones, as buckets of a
 * search are: what the short ones were like must not keep the long ones plain.
 */
static void test_plain_grows(void **state) {
  (void)state;
  loop_t l = make(1000, 500);
  l.unit = 4096;
  for (int i = 0; i < 40; i++) {
    run_plain(&l, 10, false);
  }
  for (int i = 0; i < 60; i++) {
    run_plain(&l, 50000, false);
  }
  assert_true(l.done[1] > 2 * l.done[0]);
  free(l.site);
}

/* Executions of fewer iterations than are worth a choice. */
static void test_plain_short(void **state) {
  (void)state;
  loop_t l = make(90, 30);
  for (int i = 0; i < 1000; i++) {
    run_plain(&l, 3, true);
  }
  assert_int_equal(l.plain, 1000);
  for (int i = 0; i < 16; i++) {
    assert_int_equal(l.site->stripes[i].stage, 0);
  }
  free(l.site);
}

/* A clock that stands still, or is none. */
static void test_no_clock(void **state) {
  (void)state;
  loop_t l = make(0, 0);
  now = 0;
  run(&l, 10000000);
  assert_int_equal(l.done[1], 0);
  now = 1;
  run(&l, 10000000);
  assert_int_equal(l.done[0] + l.done[1], 20000000);
  free(l.site);
}

static void test_fixed(void **state) {
  (void)state;
  loop_t l = make(90, 30);
  l.site->fixed = cira__choice_fixed_old;
  run(&l, 1000000);
  assert_int_equal(l.done[0], 1000000);
  l.site->fixed = cira__choice_fixed_changed;
  run(&l, 1000000);
  assert_int_equal(l.done[1], 1000000);
  l.site->fixed = cira__choice_fixed_alternate;
  l.changes = 0;
  run(&l, 1000000);
  assert_true(l.changes > 50000);
  run_plain(&l, 1000, false);
  assert_int_equal(l.plain, 0);
  l.site->fixed = cira__choice_fixed_old;
  run_plain(&l, 1000, false);
  assert_int_equal(l.plain, 1);
  assert_true(l.done[0] > 1300000 && l.done[1] > 1300000);
  free(l.site);
}

/* Threads that meet in a stripe: every answer is one that can be used. */
static void *run_in_thread(void *user) {
  loop_t l = make(60, 20);
  free(l.site);
  l.site = user;
  for (int i = 0; i < 20000; i++) {
    run(&l, 50 + (uint64_t)i % 1000);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  cira__choice_site_t *site = calloc(1, sizeof *site);
  assert_non_null(site);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, run_in_thread, site), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
  }
  free(site);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_faster),      cmocka_unit_test(test_short),
      cmocka_unit_test(test_few),         cmocka_unit_test(test_floor),
      cmocka_unit_test(test_warm),        cmocka_unit_test(test_long),
      cmocka_unit_test(test_noise),       cmocka_unit_test(test_phases),
      cmocka_unit_test(test_reach),       cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_no_clock),    cmocka_unit_test(test_fixed),
      cmocka_unit_test(test_threads),     cmocka_unit_test(test_plain),
      cmocka_unit_test(test_plain_grows), cmocka_unit_test(test_plain_short)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
