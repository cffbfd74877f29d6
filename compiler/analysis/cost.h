/* SPDX-License-Identifier: Apache-2.0
 * The cost model: times of loops and gains of decisions, all from the figures
 * of #cira.machine. Estimates, in nanoseconds; every user prints the figures
 * it decided by. Pure functions. */
#ifndef CIRA_COMPILER_ANALYSIS_COST_H
#define CIRA_COMPILER_ANALYSIS_COST_H

#include "analysis/loop.h"
#include "cira-c/IR.h"

#include <stdint.h>

/* The figures of the machine model in force at `op`. */
CiraMachine cira_cost_machine(MlirOperation op);

/* Lines that a core has under way at most, however it is asked for them; at
 * least as many as by plain loads. */
int64_t cira_cost_prefetches(const CiraMachine *machine);

/* Operations that one iteration of a loop executes, if no access waits. An
 * inner loop counts as often as it runs, once if that is not known. At least
 * 1, at most 2^40. */
int64_t cira_cost_iteration_ops(const cira_loop_t *loop);

/* Operations in `op` with all that is inside it; see above. */
int64_t cira_cost_ops(MlirOperation op);

/* How often a loop runs: true if that is a constant. */
bool cira_cost_trip_count(const cira_loop_t *loop, int64_t *out_count);

/* a / b rounded up, for a >= 0, b > 0. */
static inline int64_t cira_cost_ceil(int64_t a, int64_t b) {
  return a / b + (a % b != 0);
}

static inline int64_t cira_cost_min(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static inline int64_t cira_cost_max(int64_t a, int64_t b) {
  return a > b ? a : b;
}

#endif /* CIRA_COMPILER_ANALYSIS_COST_H */
