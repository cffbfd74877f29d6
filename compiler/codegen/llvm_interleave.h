/* SPDX-License-Identifier: Apache-2.0
 * Builds what analysis/llvm_interleave.h has planned: a second version of the
 * loop, that has up to `width` iterations under way, with a ring of `ring`
 * slots by number of the iteration. Until all iterations of the period are
 * retired:
 *
 *   begin:  as many as there is room for: the first step of each
 *   round:  for each iteration that goes on: one step behind its wait. A step
 *           ends at a wait (ask for the lines, stay among those that go on) or
 *           where the late part begins.
 *   retire: while the oldest iteration has come to its late part: that.
 *
 * So late parts are done in order, and an iteration that ends makes room for
 * another. The old loop stays, and which of the two it is, is chosen while the
 * program runs (llvm_choice.h); for fewer than `least` iterations it is the old
 * one. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_H
#define CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_H

#include "analysis/llvm_interleave.h"

typedef struct cira_il_shape {
  int64_t width; /* iterations that go on at a time */
  int64_t ring;  /* begun and not retired; a power of two, not below width */
  int64_t least; /* iterations */
  int64_t floor_ticks; /* see llvm_choice.h */
  int64_t line_bytes;  /* of a cache line */
} cira_il_shape_t;

/* The op that gives the iterations after the first of loop `number`; null if
 * nobody knows. */
MlirOperation cira_il_count(const cira_llvm_loops_t *loops, int64_t number);

/* Builds the second version; `count` is what cira_il_count has returned. */
void cira_il_build(cira_il_plan_t *plan, MlirOperation count,
                   const cira_il_shape_t *shape);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_H */
