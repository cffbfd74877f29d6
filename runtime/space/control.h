/* SPDX-License-Identifier: Apache-2.0
 *
 * control: how far ahead to fetch. A pure function from what happened in an
 * interval to the next window; it knows no clock, no space and no globals, so
 * recorded runs replay it (test/unit/prefetch/traces). The pager keeps one for
 * its sequential windows, adaptive sites (cira/prefetch.h) one each.
 *
 * Rules, in this order:
 *   a growth that did not pay (3 % of the wait for each page) is undone, and
 * not tried again for a while; less than half of what was fetched ahead was
 * used: half the window; pages come back soon after they went, and not nearly
 * all of what was fetched ahead was used: half the window; nearly all of it was
 * used and waiting still takes a fifth of the time: twice the window.
 * Invariant: min <= window <= max.
 * Threads: caller-serialised.
 */
#ifndef CIRA_SPACE_CONTROL_H
#define CIRA_SPACE_CONTROL_H

#include "base/base.h"

/* What happened in an interval. */
typedef struct {
  uint64_t ahead;    /* pages fetched ahead */
  uint64_t used;     /* of what was fetched ahead: found in use */
  uint64_t fetched;  /* pages fetched, on demand and ahead */
  uint64_t refaults; /* of these: had gone a short while ago */
  uint64_t stall_ns; /* time spent waiting for pages */
  uint64_t interval_ns;
} cira_control_input_t;

typedef struct {
  uint32_t window, min, max; /* pages */
  uint32_t ceiling;          /* growing beyond it did not pay; 0: unknown */
  uint32_t calm;             /* intervals since the last change */
  uint64_t cost_before;      /* before a growth that is on trial; 0: none */
} cira_control_t;

typedef enum {
  CIRA_CONTROL_HOLD = 0,
  CIRA_CONTROL_GROW = 1,
  CIRA_CONTROL_UNUSED = 2,   /* shrunk */
  CIRA_CONTROL_PRESSURE = 3, /* shrunk */
  CIRA_CONTROL_UNDO = 4,
} cira_control_change_t;

void cira_control_init(cira_control_t *c, uint32_t window, uint32_t min,
                       uint32_t max);
/* Changes c->window; says why. */
cira_control_change_t cira_control_step(cira_control_t *c,
                                        const cira_control_input_t *in);

#endif
