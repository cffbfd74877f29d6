/* SPDX-License-Identifier: Apache-2.0
 * Builds what analysis/llvm_interleave.h has planned: a second version of the
 * loop, that works in groups of `width` iterations.
 *
 *   group:  g = min(width, iterations left)
 *   rounds: for each iteration of the group that goes on: one step. A step of
 *           the first round begins the iteration; others go on behind the wait
 *           in the slot. A step ends at a wait (ask for the lines, stay among
 *           those that go on) or where the late part begins.
 *   late:   for each iteration of the group, in order: the late part.
 *
 * The old loop stays, for fewer than `least` iterations. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_H
#define CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_H

#include "analysis/llvm_interleave.h"

typedef struct cira_il_shape {
  int64_t width;
  int64_t least;      /* iterations */
  int64_t line_bytes; /* of a cache line */
} cira_il_shape_t;

/* The op that gives the iterations after the first of loop `number`; null if
 * nobody knows. */
MlirOperation cira_il_count(const cira_llvm_loops_t *loops, int64_t number);

/* Builds the second version; `count` is what cira_il_count has returned. */
void cira_il_build(cira_il_plan_t *plan, MlirOperation count,
                   const cira_il_shape_t *shape);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_H */
