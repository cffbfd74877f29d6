/* SPDX-License-Identifier: Apache-2.0
 *
 * Which version of a loop runs next, for loops of which the test says how long
 * they take: the faster one in the end, at a bounded price on the way.
 */
#include "space/loop_turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"

#define TRIAL_NS UINT64_C(1000000)
#define LOOP 4711u

/* What an iteration takes; plain ones are `cold` for the first so many ns. */
typedef struct {
  double far, plain, cold;
  uint64_t cold_ns;
  double away_part; /* of what looking up takes, as faults */
  uint64_t whole;   /* iterations of a run that are not dealt out; or 0 */
  bool near;
} loop_t;

typedef struct {
  uint64_t ns[2], work[2], turns;
} sum_t;

/* Runs the loop until it has taken that long. */
static sum_t play(cira__loop_site_t *site, const loop_t *loop, uint64_t ns) {
  sum_t sum = {.turns = 0};
  uint64_t warmed = 0, noise = 1, next = 10000000;
  while (sum.ns[0] + sum.ns[1] < ns) {
    cira__loop_turn_t turn = cira__loop_turn(site, LOOP, loop->near);
    bool warm = warmed >= loop->cold_ns;
    double each = turn.finds ? loop->far : warm ? loop->plain : loop->cold;
    uint64_t work = loop->whole || !turn.timed ? 1000 : (uint64_t)turn.left;
    work = loop->whole ? loop->whole : cira__min_u64(work, 100000000);
    noise = noise * 6364136223846793005u + 1442695040888963407u;
    uint64_t took = (uint64_t)((double)work * each) + (noise >> 33) % 200;
    if (sum.ns[0] + sum.ns[1] + took > next) { /* another program's turn */
      took += 3000000;
      next += 5000000 + (noise >> 40);
    }
    warmed += turn.finds ? 0 : took;
    sum.ns[turn.finds] += took;
    sum.work[turn.finds] += work;
    sum.turns++;
    if (turn.timed) {
      cira__loop_run_t run = {.ns = took, .work = work, .trial_ns = TRIAL_NS};
      run.away_ns = turn.finds ? (uint64_t)((double)took * loop->away_part) : 0;
      run.cut = loop->whole == 0;
      run.wait_ns = turn.finds || each < 2 ? 0 : took; /* slow: by faults */
      cira__loop_ran(site, turn.finds, run);
    }
  }
  return sum;
}

/* The part of the work that was done by looking up, after a while. */
static double found_part(const loop_t *loop) {
  cira__loop_site_t site = {.loop = 0};
  play(&site, loop, 400000000);
  sum_t sum = play(&site, loop, 4000000000);
  return (double)sum.work[1] / (double)(sum.work[0] + sum.work[1]);
}

static void test_begins_far(void **state) {
  (void)state;
  cira__loop_site_t site = {.loop = 0};
  cira__loop_turn_t turn = cira__loop_turn(&site, LOOP, false);
  assert_true(turn.timed && turn.finds && turn.left > 0);
}

/* All fits once it has come. */
static void test_fits(void **state) {
  (void)state;
  loop_t loop = {
      .far = 3, .plain = 1, .cold = 9, .cold_ns = 900000, .away_part = 2};
  assert_true(found_part(&loop) < 0.05);
  loop.whole = 500000;
  assert_true(found_part(&loop) < 0.05);
  loop.whole = 40; /* short runs */
  assert_true(found_part(&loop) < 0.05);
}

/* It never fits: what trials cost is little, and ever less. */
static void test_never_fits(void **state) {
  (void)state;
  loop_t loop = {.far = 3, .plain = 60, .cold = 60, .away_part = 15};
  cira__loop_site_t site = {.loop = 0};
  play(&site, &loop, 400000000);
  sum_t sum = play(&site, &loop, 4000000000);
  assert_true(sum.ns[0] * 50 < sum.ns[1]);
}

/* Nothing is away: looking up is in the way, so plain is tried at once. */
static void test_all_here(void **state) {
  (void)state;
  loop_t loop = {.far = 1.3, .plain = 1, .cold = 1};
  cira__loop_site_t site = {.loop = 0};
  sum_t sum = play(&site, &loop, 100000000);
  assert_true(sum.ns[1] * 3 < sum.ns[0]);
}

/* What was faster gets slower. */
static void test_changes(void **state) {
  (void)state;
  loop_t loop = {.far = 2, .plain = 1, .cold = 1};
  cira__loop_site_t site = {.loop = 0};
  sum_t sum = play(&site, &loop, 400000000);
  assert_true(sum.work[0] > sum.work[1]);
  loop.plain = loop.cold = 20;
  loop.away_part = 9;
  play(&site, &loop, 100000000);
  sum = play(&site, &loop, 1000000000);
  assert_true(sum.work[1] > 9 * sum.work[0]);
}

/* What streams does not fault: that is where such a loop begins, and stays
 * unless the rest of it faults. */
static void test_near(void **state) {
  (void)state;
  loop_t loop = {
      .far = 0.5, .plain = 1, .cold = 9, .cold_ns = TRIAL_NS / 4, .near = true};
  cira__loop_site_t site = {.loop = 0};
  sum_t sum = play(&site, &loop, 400000000);
  assert_int_equal(sum.work[1], 0);
  loop.far = 3;
  loop.plain = loop.cold = 60;
  loop.away_part = 15;
  assert_true(found_part(&loop) > 0.9);
  cira__loop_site_t other = {.loop = 0};
  sum = play(&other, &loop, 10 * TRIAL_NS);
  assert_true(sum.ns[0] < 2 * TRIAL_NS);
}

/* Another loop that calls from a place with the same number begins anew. */
static void test_other(void **state) {
  (void)state;
  loop_t loop = {.far = 2, .plain = 1, .cold = 1};
  cira__loop_site_t site = {.loop = 0};
  play(&site, &loop, 400000000);
  cira__loop_turn_t turn = cira__loop_turn(&site, LOOP + 16, false);
  assert_true(turn.finds);
  cira__loop_ran(&site, false, (cira__loop_run_t){.ns = 1}); /* too late */
  assert_true(cira__loop_turn(&site, LOOP + 16, false).finds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_begins_far), cmocka_unit_test(test_fits),
      cmocka_unit_test(test_never_fits), cmocka_unit_test(test_all_here),
      cmocka_unit_test(test_changes),    cmocka_unit_test(test_other),
      cmocka_unit_test(test_near),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
