/* SPDX-License-Identifier: Apache-2.0 */
#include "space/loop_turn.h"

#include <stddef.h>

#include "base/base.h"

enum {
  PERIOD_NS = 200000, /* what is compared lasts so long at least */
  CALLS_NS = 100,     /* of a run, beside what is timed */
  LONG_NS = 50000,
  LEFT_FIRST = 256,
  PRICE = 4,       /* trials of plain take this part of the time at most */
  DOUBLINGS = 6,   /* of that, after trials that failed */
  AGAIN = 256,     /* periods of plain between trials of looking up */
  RESTS = 31,      /* runs in a row that are not timed, at most */
  IDLE_PART = 40,  /* less of the time than this part away is nothing */
  FAULTS_PART = 8, /* less of the time than this part for faults is nothing */
  MUCH_SLOWER = 2,
  TRIALS = 6 /* of looking up, and as many of plain */
};

/* Does it look up now? While that is tried, by chance: turns of a fixed order
 * might always meet the same part of what the loop does. */
static bool is_finding(const cira__loop_site_t *t) {
  bool heads = t->chance >> 31 != 0;
  return t->state == FAR_STAYS ||
         (t->state == FAR_TRIED &&
          (t->turns[0] == TRIALS || (heads && t->turns[1] < TRIALS)));
}

static void enter(cira__loop_site_t *t, loop_state_t state) {
  t->state = state;
  t->periods = t->runs = 0;
  t->ns = t->work = t->away_ns = t->wait_ns = t->bank_ns = 0;
  for (int i = 0; i < 2; i++) {
    t->turns[i] = 0;
    t->sum[i] = t->most[i] = 0;
  }
}

/* How many iterations remain of a period. */
static int64_t left_of(const cira__loop_site_t *t) {
  uint64_t rate = t->known[is_finding(t)];
  if (t->ns > 0) {
    rate = t->ns * 256 / t->work + 1;
  } else if (t->periods > 0) {
    rate = t->rates[(t->periods - 1) % CIRA__LOOP_RATES]; /* about */
  }
  uint64_t ns = PERIOD_NS - t->ns;
  return rate == 0 ? LEFT_FIRST : (int64_t)(ns * 256 / rate + 1);
}

cira__loop_turn_t cira__loop_turn(cira__loop_site_t *t, uintptr_t loop,
                                  bool near) {
  if (t->loop != loop) {
    *t = (cira__loop_site_t){.loop = loop,
                             .state = near ? PLAIN_STAYS : FAR_STAYS};
  }
  if (t->rests > 0) {
    t->rests--;
    return (cira__loop_turn_t){.timed = false};
  }
  return (cira__loop_turn_t){.timed = true,
                             .finds = is_finding(t),
                             .is_long = t->is_long,
                             .left = left_of(t)};
}

/* What a period takes as a rule: an interrupt, or the page that many others
 * followed, counts for nothing. 0: not known yet. */
static uint64_t typical(const cira__loop_site_t *t) {
  uint64_t least = UINT64_MAX, most = 0, sum = 0;
  if (t->periods < CIRA__LOOP_RATES) {
    return 0;
  }
  for (uint32_t i = 0; i < CIRA__LOOP_RATES; i++) {
    least = cira__min_u64(least, t->rates[i]);
    most = cira__max_u64(most, t->rates[i]);
    sum += t->rates[i];
  }
  return (sum - least - most) / (CIRA__LOOP_RATES - 2);
}

/* Is looking up worth it? Clearly, since plain gets better for a long while:
 * the pager learns its streams, which looking up in between disturbs. */
static bool is_worth(uint64_t found, uint64_t plain) {
  return found < plain - plain / 5;
}

static uint32_t doublings(uint32_t count) {
  return count < DOUBLINGS ? count : DOUBLINGS;
}

static void far_stays(cira__loop_site_t *t, const cira__loop_run_t *period) {
  uint64_t price = PRICE * cira__max_u64(period->trial_ns, period->away_ns);
  bool idle = period->away_ns * IDLE_PART < period->ns;
  t->known[1] = typical(t);
  if (t->known[1] != 0 &&
      (idle || t->bank_ns >= price << doublings(t->fails))) {
    enter(t, PLAIN_TRIED);
  }
}

static void plain_tried(cira__loop_site_t *t, uint64_t rate,
                        const cira__loop_run_t *period) {
  uint64_t now = typical(t);
  bool long_enough = t->bank_ns >= period->trial_ns;
  if (now != 0 && now < t->known[1] + t->known[1] / 8) {
    t->known[0] = now;
    t->holds = 0;
    enter(t, FAR_TRIED); /* perhaps the loop has less to do now, either way */
  } else if (long_enough && (now != 0 || rate > MUCH_SLOWER * t->known[1])) {
    t->fails++;
    enter(t, FAR_STAYS);
  }
}

/* Have faults taken so long that looking up would have been better, whatever it
 * costs? Not those that fill the local memory once. */
static bool is_drowned(const cira__loop_site_t *t, uint64_t trial_ns) {
  return t->wait_ns >= trial_ns / 2 && t->wait_ns * 2 > t->bank_ns;
}

static void plain_stays(cira__loop_site_t *t, const cira__loop_run_t *period) {
  uint64_t now = typical(t);
  bool slower = t->known[0] != 0 && now > t->known[0] + t->known[0] / 2;
  bool faults = t->wait_ns * FAULTS_PART >= t->bank_ns;
  if (t->known[1] == 0 && is_drowned(t, period->trial_ns)) {
    enter(t, FAR_STAYS);
    return;
  }
  t->known[0] = t->known[0] == 0 ? now : t->known[0];
  if (slower || t->bank_ns >= AGAIN * period->ns << doublings(t->holds)) {
    t->holds = slower ? 0 : t->holds + 1;
    t->known[0] = now;
    enter(t, faults ? FAR_TRIED : PLAIN_STAYS);
  }
}

/* Mixed, since what a loop does changes, too. */
static void far_tried(cira__loop_site_t *t, uint64_t rate) {
  bool finds = is_finding(t);
  t->turns[finds]++;
  t->sum[finds] += rate;
  t->most[finds] = cira__max_u64(t->most[finds], rate);
  t->chance = t->chance * 1664525u + 1013904223u;
  if (t->turns[0] + t->turns[1] < 2 * TRIALS) {
    return;
  }
  uint64_t plain = t->sum[0] - t->most[0], found = t->sum[1] - t->most[1];
  bool far = is_worth(found, plain);
  t->fails = !far ? 0 : t->fails + (plain > MUCH_SLOWER * found);
  enter(t, far ? FAR_STAYS : PLAIN_STAYS);
}

/* Short runs that stay plain need not all be timed. */
static uint32_t rests_after(const cira__loop_site_t *t, uint64_t ns) {
  uint64_t runs = PERIOD_NS / RESTS / (ns + 1);
  return t->state == PLAIN_STAYS ? (uint32_t)cira__min_u64(runs, RESTS) : 0;
}

void cira__loop_ran(cira__loop_site_t *t, bool finds, cira__loop_run_t run) {
  if (finds != is_finding(t)) {
    return; /* of another loop, which had the site before */
  }
  t->runs++;
  t->ns += run.ns + CALLS_NS;
  t->work += run.work > 0 ? run.work : 1;
  t->away_ns += run.away_ns;
  t->wait_ns += run.wait_ns;
  t->rests = run.cut ? 0 : rests_after(t, run.ns);
  if (t->ns < PERIOD_NS) {
    return;
  }
  cira__loop_run_t period = {.ns = t->ns,
                             .work = t->work,
                             .away_ns = t->away_ns,
                             .trial_ns = run.trial_ns};
  t->is_long = t->ns / t->runs >= LONG_NS;
  t->runs = 0;
  uint64_t rate = t->ns * 256 / t->work + 1;
  t->rates[t->periods++ % CIRA__LOOP_RATES] = rate;
  t->bank_ns += t->ns;
  t->ns = t->work = t->away_ns = 0;
  switch (t->state) {
  case FAR_STAYS:
    far_stays(t, &period);
    break;
  case PLAIN_TRIED:
    plain_tried(t, rate, &period);
    break;
  case PLAIN_STAYS:
    plain_stays(t, &period);
    break;
  default:
    far_tried(t, rate);
  }
}
