/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of control.h.
 */
#include "space/control.h"

#define AHEAD_ENOUGH 32u   /* pages ahead from which an interval says much */
#define CALM_LONG 64u      /* intervals until a ceiling is forgotten */
#define UNUSED_PERCENT 50u /* of ahead, below: too much */
#define USED_PERCENT 85u   /* from there on it may be more */
#define STALL_PART 5u      /* waiting takes more than a fifth */
#define REFAULT_PART 4u    /* more than a quarter comes back */
#define PAYS_PERCENT 97u   /* of the cost before: a growth that pays */
#define COST_SCALE 16u     /* parts of a nanosecond for each page */

void cira_control_init(cira_control_t *c, uint32_t window, uint32_t min,
                       uint32_t max) {
  min = min ? min : 1;
  max = max < min ? min : max;
  window = window < min ? min : window > max ? max : window;
  *c = (cira_control_t){.window = window, .min = min, .max = max};
}

static void change(cira_control_t *c, uint32_t window) {
  c->window = window < c->min ? c->min : window > c->max ? c->max : window;
  c->calm = 0;
}

/* Waiting for each page that was of use. */
static uint64_t cost_of(const cira_control_input_t *in) {
  uint64_t demanded = in->fetched > in->ahead ? in->fetched - in->ahead : 0;
  uint64_t pages = in->used + demanded;
  uint64_t scaled;
  if (pages == 0 || !cira__mul_ok(in->stall_ns, COST_SCALE, &scaled)) {
    return UINT64_MAX;
  }
  return scaled / pages + 1;
}

static bool percent_below(uint64_t part, uint64_t whole, uint64_t percent) {
  /* counts of pages: far below 2^57 */
  return part * 100 < whole * percent;
}

/* A growth is on trial: did it pay? */
static bool trial_failed(cira_control_t *c, uint64_t cost) {
  uint64_t before = c->cost_before;
  c->cost_before = 0;
  return before != 0 && cost / PAYS_PERCENT >= before / 100;
}

cira_control_change_t cira_control_step(cira_control_t *c,
                                        const cira_control_input_t *in) {
  if (in->ahead < AHEAD_ENOUGH) {
    c->calm++;
    return CIRA_CONTROL_HOLD;
  }
  uint64_t cost = cost_of(in);
  if (trial_failed(c, cost)) {
    change(c, c->window / 2);
    c->ceiling = c->window;
    return CIRA_CONTROL_UNDO;
  }
  if (percent_below(in->used, in->ahead, UNUSED_PERCENT) &&
      c->window > c->min) {
    change(c, c->window / 2);
    return CIRA_CONTROL_UNUSED;
  }
  bool well_used = !percent_below(in->used, in->ahead, USED_PERCENT);
  if (!well_used && in->refaults > in->fetched / REFAULT_PART &&
      c->window > c->min) {
    change(c, c->window / 2);
    return CIRA_CONTROL_PRESSURE;
  }
  if (c->ceiling != 0 && c->calm >= CALM_LONG) {
    c->ceiling = 0;
  }
  uint32_t top = c->ceiling != 0 ? c->ceiling : c->max;
  if (well_used && c->window < top &&
      in->stall_ns > in->interval_ns / STALL_PART) {
    change(c, c->window > c->max / 2 ? c->max : c->window * 2);
    c->cost_before = cost;
    return CIRA_CONTROL_GROW;
  }
  c->calm++;
  return CIRA_CONTROL_HOLD;
}
