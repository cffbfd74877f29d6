/* SPDX-License-Identifier: Apache-2.0
 * The three structured loops seen alike: what counts, what is carried from
 * one iteration to the next, what stays. A cira_loop_t is a view of the op
 * and is worthless once the op is changed. */
#ifndef CIRA_COMPILER_ANALYSIS_LOOP_H
#define CIRA_COMPILER_ANALYSIS_LOOP_H

#include "cira-c/IR.h"

#include <stdint.h>

typedef enum cira_loop_kind {
  CIRA_LOOP_FOR,
  CIRA_LOOP_PARALLEL,
  CIRA_LOOP_WHILE
} cira_loop_kind_t;

typedef struct cira_loop {
  MlirOperation op;
  cira_loop_kind_t kind;
  MlirBlock body;    /* of a while: its `do` part */
  MlirValue counter; /* of several: the last, which runs fastest; while: null */
  MlirValue lower, upper, step; /* null for a while */
  intptr_t carried_count;
} cira_loop_t;

/* Is `op` an scf.for, scf.parallel or scf.while? Writes the view then. */
bool cira_loop_get(MlirOperation op, cira_loop_t *out_loop);

/* The innermost loop around `op`, not `op` itself; false if there is none. */
bool cira_loop_around(MlirOperation op, cira_loop_t *out_loop);

/* Is the value made inside the loop (or one of its block arguments)? */
bool cira_loop_contains(const cira_loop_t *loop, MlirValue value);

/* Which carried value is it, seen from inside? -1: none. */
intptr_t cira_loop_carried(const cira_loop_t *loop, MlirValue value);

/* What the carried value is in the next iteration, and in the first. */
MlirValue cira_loop_next(const cira_loop_t *loop, intptr_t carried);
MlirValue cira_loop_first(const cira_loop_t *loop, intptr_t carried);

#endif /* CIRA_COMPILER_ANALYSIS_LOOP_H */
