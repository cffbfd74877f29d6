/* SPDX-License-Identifier: Apache-2.0
 * Reading order: a sample, the decision, periods. */
#include "cc/choice.h"

#include <stdbool.h>

/* The unit test has a clock of its own. */
#ifdef CIRA_CHOICE_TICKS
uint64_t CIRA_CHOICE_TICKS(void);
#else
#define CIRA_CHOICE_TICKS() __builtin_readcyclecounter()
#endif

#define COLD __attribute__((cold, noinline))
#define INLINE __attribute__((always_inline))

typedef cira__choice_stripe_t stripe_t;

enum {
  line_log2 = 6,
  /* Stacks of threads lie at least so far apart. */
  stack_log2 = 16,
  stripe_bits = 4,
  old_iterations = 128, /* of a sample, unless they take long */
  changed_iterations_min = 2,
  probe_iterations = 16,
  rounds = 3,  /* samples of each version */
  margin = 16, /* it must be faster by so much of a part */
  /* A sample's ticks: there is nothing to see in less than 16 x time_min, and
   * iterations of so many need fewer of them. */
  time_min = 16,
  iterations_max = 1 << 16,
  rate_max = 1 << 28,
  old_ticks = 1 << 15,
  changed_ticks = 1 << 16,
  /* Where a sample is longer than this, the changed loop does much for
   * iterations to come: the old loop behind it is faster by that for a while,
   * and what it does itself is of no use before. So its samples have to be as
   * long, and as much runs in front of each one without being timed. */
  unit_short = 1 << 10,
  unit_ticks = 1 << 18,
  slower_max = 1,
  probe_ticks = 1 << 14,
  long_ticks = 1 << 16, /* of an iteration: one sample says enough */
  /* Before anything is tried: what runs no longer should not pay for it, and
   * the core has learned what it can learn about the old loop. */
  warm_iterations = 1 << 14,
  warm_ticks = 1 << 21,
  length_min = 1 << 16,
  length_max = 1 << 20,
  length_bound = 1 << 26,
  period_least = 16,
  period_ticks = 1 << 26, /* of the first long period, about */
  loss_parts = 128,       /* samples may cost this part of a period */
  /* Plain executions of about so many iterations go by without a look at the
   * clock; they may go on for the time of so many long periods. */
  doubt_iterations = 1 << 14, /* until samples are taken for the second time */
  plain_iterations = 1 << 16,
  plain_executions = 16, /* at most: the next ones may be much longer */
  plain_periods = 16,
  plain_ticks = 1 << 28, /* at most */
  size_weight = 16,      /* of the executions before */
  until_log2 = 12
};
_Static_assert(1 << stripe_bits == cira__choice_stripes, "");
_Static_assert(1 << line_log2 == sizeof(stripe_t), "");

static uint32_t get(const uint32_t *field) {
  return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static void set(uint32_t *field, uint32_t value) {
  __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static uint32_t min(uint32_t x, uint32_t y) {
  return x < y ? x : y;
}

static uint32_t max(uint32_t x, uint32_t y) {
  return x > y ? x : y;
}

/* ---- a sample -------------------------------------------------------------
 */

/* Iterations so long that each one is a sample. */
static bool is_long(const stripe_t *s) {
  return get(&s->guess) >= 16u * long_ticks;
}

/* 16th of ticks per iteration; where iterations are long, in 16 ticks. */
static uint32_t rate_of(const stripe_t *s, uint32_t time, uint32_t iterations) {
  uint32_t whole = time / iterations;
  if (is_long(s)) {
    return whole;
  }
  if (whole >= rate_max >> 8 || iterations >= 1u << 24) {
    return rate_max;
  }
  return (whole << 8) + (time % iterations << 8) / iterations;
}

/* Iterations of the sample that comes next. */
static uint32_t size_of(const stripe_t *s, uint32_t stage, uint32_t unit) {
  uint32_t guess = get(&s->guess);
  if (!guess) {
    return 1;
  }
  if (unit > unit_short) {
    return max(changed_iterations_min, min(unit, 16u * unit_ticks / guess));
  }
  return stage % 2 ? max(changed_iterations_min,
                         min(unit, 16u * changed_ticks / guess))
                   : max(1, min(old_iterations, 16u * old_ticks / guess));
}

/* Iterations in front of a sample that are not timed. */
static uint32_t lead_of(const stripe_t *s, uint32_t unit, uint32_t size) {
  return unit > unit_short && get(&s->guess) && !is_long(s) ? size : 0;
}

/* A period without samples begins; plain executions may go on for the time of
 * so many of it. */
static void set_quick(stripe_t *s, uint32_t iterations, uint32_t periods) {
  uint64_t ticks = (uint64_t)iterations * get(&s->guess) * periods / 16;
  uint64_t until =
      CIRA_CHOICE_TICKS() + (ticks < plain_ticks ? ticks : plain_ticks);
  set(&s->until, (uint32_t)(until >> until_log2));
  set(&s->quick, iterations);
}

/* The next long period, of this version. */
static void begin_long(stripe_t *s, uint32_t changed, uint32_t length,
                       uint32_t quick) {
  for (int i = 0; i < 2; i++) {
    set(&s->sum[i], 0);
    set(&s->worst[i], 0);
  }
  set(&s->length, length);
  set(&s->changed, changed);
  set(&s->stage, 0);
  set_quick(s, quick, get(&s->doubt) ? 1 : plain_periods);
}

static uint32_t next_length(const stripe_t *s, uint32_t changed) {
  uint32_t length = get(&s->length);
  return length && changed == get(&s->changed) ? min(2 * length, length_max)
                                               : length_min;
}

static void decide(stripe_t *s, uint32_t unit);

static void add_sample(stripe_t *s, uint32_t stage, uint32_t unit,
                       uint32_t floor) {
  uint32_t rate = rate_of(s, get(&s->time), max(1, get(&s->done)));
  uint32_t version = stage % 2;
  if (stage == 0 && !is_long(s) && rate < floor) {
    set(&s->need, 0);
    set(&s->guess, max(1, rate));
    uint32_t length = next_length(s, 0);
    set(&s->doubt, 0);
    begin_long(s, 0, length, length);
    return;
  }
  set(&s->sum[version], get(&s->sum[version]) + rate);
  set(&s->worst[version], max(get(&s->worst[version]), rate));
  set(&s->need, 0);
  set(&s->stage, stage + 1);
  if (stage + 1 >= (is_long(s) ? 2 : 2 * rounds)) {
    decide(s, unit);
  }
}

/* The first iterations say how long samples should be. */
static void end_probe(stripe_t *s, uint32_t unit, uint32_t floor) {
  uint32_t time = get(&s->time), done = max(1, get(&s->done));
  if (time < probe_ticks / 16 && done < probe_iterations) {
    set(&s->need, probe_iterations);
    return;
  }
  set(&s->guess, max(1, rate_of(s, time, done)));
  set(&s->need, 0);
  if (is_long(s)) {
    add_sample(s, 0, unit, floor); /* one more would take too long */
  } else {
    set_quick(
        s, max(1, min(warm_iterations, 16u * warm_ticks / get(&s->guess))), 1);
  }
}

/* The period that is timed has ended. */
static void add_time(cira__choice_period_t *p) {
  stripe_t *s = p->stripe;
  uint32_t unit = p->unit, floor = p->floor;
  uint64_t time = (CIRA_CHOICE_TICKS() - p->start + 8) >> 4;
  p->start = 0;
  if (p->stage != get(&s->stage) || !get(&s->need)) {
    return; /* another thread has been faster */
  }
  time += get(&s->time);
  set(&s->time, time > UINT32_MAX ? UINT32_MAX : (uint32_t)time);
  set(&s->done, get(&s->done) + p->given);
  uint32_t done = get(&s->done);
  if (done < get(&s->need)) {
    return;
  }
  if (!get(&s->guess)) {
    end_probe(s, unit, floor);
  } else if (get(&s->time) < time_min && done < iterations_max) {
    set(&s->need, 2 * done);
  } else {
    add_sample(s, p->stage, unit, floor);
  }
}

/* ---- the decision ---------------------------------------------------------
 */

/* The long period of the version that is faster: so long that the samples of
 * the slower one cost little of it. */
static uint32_t length_of(const stripe_t *s, uint32_t length, uint32_t slow,
                          uint32_t fast, uint32_t sampled, uint32_t unit) {
  uint32_t guess = max(1, get(&s->guess));
  uint32_t by_time = min(length_max, 16u * (period_ticks / guess));
  while (slow >= rate_max) {
    slow /= 2;
    fast /= 2;
  }
  fast = max(1, fast);
  /* A long sample that seems much slower was disturbed, or all iterations were
   * unlike the others: that must not keep the loop for long. */
  uint32_t loss_max = unit > unit_short ? 16 * slower_max : 1 << 12;
  uint32_t loss =
      min(loss_max,
          (slow - fast) / fast < 1 << 8 ? 16 * (slow - fast) / fast : 1 << 12);
  uint32_t least = min(length_bound, sampled * (loss_parts / 16) * loss);
  by_time = max(period_least, by_time * (length / length_min));
  return max(least, min(length, by_time));
}

static void decide(stripe_t *s, uint32_t unit) {
  bool one = is_long(s);
  uint32_t count = one ? 1 : rounds;
  /* Without the worst of each: something else may have had the core. */
  uint32_t old = get(&s->sum[0]) - (one ? 0 : get(&s->worst[0]));
  uint32_t changed = get(&s->sum[1]) - (one ? 0 : get(&s->worst[1]));
  bool better = changed < old && (old - changed) > changed / margin;
  bool before = get(&s->changed);
  uint32_t length = next_length(s, better);
  uint32_t size = size_of(s, better ? 0 : 1, unit);
  uint32_t quick = length_of(s, length, max(old, changed), min(old, changed),
                             count * (size + lead_of(s, unit, size)), unit);
  uint32_t guess =
      one ? (old >= rate_max >> 8 ? rate_max : old << 8) : old / (rounds - 1);
  set(&s->guess, max(1, guess));
  /* Rows differ, so samples of the same loop do. What was decided for the old
   * loop must be wrong twice. */
  bool doubt = better && !one && !before && get(&s->length) && !get(&s->doubt);
  set(&s->doubt, doubt);
  if (doubt) {
    begin_long(s, 0, get(&s->length), min(quick, doubt_iterations));
  } else {
    begin_long(s, better, length, quick);
  }
}

/* ---- periods --------------------------------------------------------------
 */

static uint64_t answer(uint32_t changed, uint32_t given) {
  return (uint64_t)(changed & 1) << 32 | given;
}

/* For tests. */
static uint64_t fixed(cira__choice_site_t *site, cira__choice_period_t *p,
                      uint64_t left) {
  stripe_t *s = p->stripe;
  if (site->fixed != cira__choice_fixed_alternate) {
    return answer(site->fixed == cira__choice_fixed_changed,
                  left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
  }
  uint32_t turn = get(&s->done) * 1664525u + 1013904223u;
  set(&s->done, turn);
  uint32_t given = 1 + (turn >> 28 & 7);
  return answer(turn >> 16, left < given ? (uint32_t)left : given);
}

COLD CIRA_CC_CALL uint64_t cira_choice1_next(cira__choice_site_t *site,
                                             cira__choice_period_t *p,
                                             uint64_t left) {
  stripe_t *s = p->stripe;
  p->run += p->given;
  if (p->start) {
    add_time(p);
  }
  if (site->fixed) {
    return fixed(site, p, left);
  }
  uint32_t quick = get(&s->quick);
  if (quick) {
    p->given = left < quick ? (uint32_t)left : quick;
    set(&s->quick, quick - p->given);
    return answer(get(&s->changed), p->given);
  }
  p->stage = get(&s->stage);
  if (!get(&s->need)) {
    uint32_t size = size_of(s, p->stage, p->unit);
    uint32_t lead = lead_of(s, p->unit, size);
    set(&s->time, 0);
    set(&s->done, 0);
    set(&s->need, size);
    if (lead) {
      lead = left < lead ? (uint32_t)left : lead;
      p->given = 0; /* nothing of it comes back: it belongs to no long period */
      p->run += lead;
      return answer(p->stage, lead);
    }
  }
  uint32_t need = get(&s->need), done = get(&s->done);
  p->start = CIRA_CHOICE_TICKS();
  if (!p->start) { /* no clock: nothing can be learned */
    p->given = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
    return answer(0, p->given);
  }
  p->given = left <= need ? (uint32_t)left : need > done ? need - done : 1;
  return answer(p->stage, p->given);
}

INLINE void cira_choice1_more(cira__choice_site_t *site,
                              cira__choice_period_t *p, uint64_t more) {
  (void)site;
  p->given += more < 1u << 30 ? (uint32_t)more : 1u << 30;
}

COLD CIRA_CC_CALL void cira_choice1_end(cira__choice_site_t *site,
                                        cira__choice_period_t *p,
                                        uint64_t unused) {
  if (site->fixed) {
    return;
  }
  if ((int64_t)unused < 0) {
    cira_choice1_more(site, p, 0 - unused);
  } else {
    p->given -= unused < p->given ? (uint32_t)unused : p->given;
  }
  add_time(p);
}

/* The thread's. */
INLINE static stripe_t *stripe_of(cira__choice_site_t *site,
                                  const cira__choice_period_t *p) {
  uint32_t stack = (uint32_t)((uintptr_t)p >> stack_log2);
  return &site->stripes[stack * 0x9e3779b1u >> (32 - stripe_bits)];
}

INLINE uint64_t cira_choice1_enter(cira__choice_site_t *site,
                                   cira__choice_period_t *p, uint64_t left,
                                   uint64_t least, uint32_t unit,
                                   uint32_t floor) {
  p->start = 0;
  p->open = left == UINT64_MAX;
  if (left < least) {
    return left;
  }
  stripe_t *s = stripe_of(site, p);
  uint32_t quick = get(&s->quick);
  if (left <= quick) {
    set(&s->quick, quick - (uint32_t)left);
    return answer(get(&s->changed), (uint32_t)left);
  }
  p->stripe = s;
  p->unit = unit;
  p->floor = floor;
  p->given = 0;
  p->run = 0;
  if (left == UINT64_MAX && quick) { /* what is left of it comes back */
    p->given = quick;
    set(&s->quick, 0);
    return answer(get(&s->changed), quick);
  }
  return cira_choice1_next(site, p, left);
}

/* How long executions are, where nobody knows when they begin. */
static void note_size(const cira__choice_period_t *p, uint64_t unused) {
  stripe_t *s = p->stripe;
  uint64_t run = p->run + p->given - unused;
  uint32_t last =
      run < length_bound ? max(size_weight, (uint32_t)run) : length_bound;
  uint32_t size = get(&s->size);
  set(&s->size, size ? size - size / size_weight + last / size_weight : last);
}

INLINE void cira_choice1_leave(cira__choice_site_t *site,
                               cira__choice_period_t *p, uint64_t unused) {
  if (p->open) {
    note_size(p, unused);
  }
  if (p->start) {
    cira_choice1_end(site, p, unused);
  } else if ((int64_t)unused > 0) {
    stripe_t *s = p->stripe;
    uint32_t rest = unused < p->given ? (uint32_t)unused : p->given;
    set(&s->quick, min(length_bound, get(&s->quick) + rest));
  }
}

/* ---- the plain loop -------------------------------------------------------
 */

/* Where nobody knows how long executions are, plain ones go on for some time;
 * otherwise, until they have used up the period. */
COLD CIRA_CC_CALL bool cira_choice1_rest(cira__choice_site_t *site,
                                         cira__choice_period_t *p,
                                         uint64_t left) {
  stripe_t *s = stripe_of(site, p);
  uint32_t quick = get(&s->quick), size = get(&s->size);
  bool open = left == UINT64_MAX;
  if (site->fixed || !quick || get(&s->changed) || (open && !size)) {
    return site->fixed == cira__choice_fixed_old;
  }
  if (!open) {
    /* One execution as a whole, rather than some of it by a loop that counts.
     */
    if (left > (uint64_t)quick * (get(&s->doubt) ? 1 : plain_periods)) {
      return false;
    }
    quick -= min(quick, (uint32_t)left);
    uint32_t more = min(quick, plain_iterations);
    set(&s->plain, more);
    set(&s->quick, quick - more);
    return true;
  }
  uint64_t now = CIRA_CHOICE_TICKS();
  if ((int32_t)((uint32_t)(now >> until_log2) - get(&s->until)) > 0) {
    /* Samples begin anywhere in it: the first iterations may be unlike others.
     */
    set(&s->quick, (uint32_t)now * 0x9e3779b1u % size);
    return false;
  }
  set(&s->plain,
      get(&s->doubt) ? 0 : min(plain_executions, plain_iterations / size));
  return true;
}

INLINE bool cira_choice1_plain(cira__choice_site_t *site,
                               cira__choice_period_t *p, uint64_t left,
                               uint64_t least) {
  if (left < least) {
    return true;
  }
  /* Anew each time: kept in a register, it would be one less for the loop. */
  __asm__ volatile("" : "+r"(p));
  stripe_t *s = stripe_of(site, p);
  uint32_t plain = get(&s->plain);
  if (left <= plain) {
    set(&s->plain, plain - (uint32_t)left);
    return true;
  }
  return cira_choice1_rest(site, p, left);
}

INLINE bool cira_choice1_open(cira__choice_site_t *site,
                              cira__choice_period_t *p) {
  __asm__ volatile("" : "+r"(p));
  stripe_t *s = stripe_of(site, p);
  uint32_t plain = get(&s->plain);
  if (plain) {
    set(&s->plain, plain - 1);
    return true;
  }
  return cira_choice1_rest(site, p, UINT64_MAX);
}
