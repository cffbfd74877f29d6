/* SPDX-License-Identifier: Apache-2.0
 * How an address is made within one iteration of a loop of an llvm.func, back
 * to what can be known some iterations ahead: loads with a known stride
 * ("index loads"), the loop's counters, and what does not change in the loop.
 * Everything in between can then be computed for a later iteration.
 * Pure functions of the IR. */
#ifndef CIRA_COMPILER_ANALYSIS_LLVM_SLICE_H
#define CIRA_COMPILER_ANALYSIS_LLVM_SLICE_H

#include "analysis/llvm_loop.h"

enum {
  cira_slice_ops_max = 40,
  cira_slice_loads_max = 4,
  cira_slice_guards_max = 4,
  cira_slice_recurrences_max = 4
};

/* A condition under which the program comes to what is guarded. */
typedef struct cira_slice_guard {
  MlirValue condition;
  bool holds; /* or must not hold */
} cira_slice_guard_t;

typedef struct cira_slice {
  int64_t loop;
  MlirOperation ops[cira_slice_ops_max]; /* each after what it needs */
  int op_count;
  MlirOperation index_loads[cira_slice_loads_max]; /* not among `ops` */
  int index_count;
  MlirOperation loads[cira_slice_loads_max]; /* those among `ops` */
  int load_count;
  int counter_count; /* uses of arguments of the header */
  /* Arguments of loops inside, seen in their first iteration only. */
  MlirValue inner[cira_slice_loads_max];
  MlirValue entries[cira_slice_loads_max]; /* what they are there */
  int inner_count;
  /* Arguments of the header that are computed from those of the iteration
   * before, and from nothing else that changes; what they become next. With
   * them there are neither loads nor counters. */
  MlirValue recurrences[cira_slice_recurrences_max];
  MlirValue nexts[cira_slice_recurrences_max];
  int recurrence_count;
  /* A load of a loop inside, in its first iteration there; among `ops` and
   * `loads`, too. It may be done ahead only where the guards, which come before
   * it, are as they should be. Null: none. */
  MlirOperation guarded;
  cira_slice_guard_t guards[cira_slice_guards_max];
  int guard_count;
  const char *why; /* if there is no slice */
} cira_slice_t;

/* Takes `address`, used in loop `number` or in one inside it, apart. In a loop
 * inside, it is the address of the first iteration there: the head of a chain.
 * False: `out_slice->why` says what stands in the way; NULL: that the loop is
 * not bounded. */
bool cira_slice_get(const cira_llvm_loops_t *loops, int64_t number,
                    MlirValue address, cira_slice_t *out_slice);

/* What an argument of the header of loop `number` becomes behind an iteration;
 * null if several blocks lead there. */
MlirValue cira_slice_next(const cira_llvm_loops_t *loops, int64_t number,
                          MlirValue argument);

/* Does a branch in the loop depend on the value, directly or through other
 * values of the same iteration? */
bool cira_slice_feeds_branch(const cira_llvm_loops_t *loops, int64_t number,
                             MlirValue value);

/* Are these addresses of one object: the same but for constant offsets? */
bool cira_slice_same_object(MlirValue a, MlirValue b);

#endif /* CIRA_COMPILER_ANALYSIS_LLVM_SLICE_H */
