/* SPDX-License-Identifier: Apache-2.0
 * The blocks of one loop of an llvm.func, with the loops inside, as a graph:
 * in an order in which what is computed comes before what uses it, with
 * dominance, and with what each edge hands to the block it leads to.
 * A view: worthless once the loop's blocks change. Pure functions of the IR. */
#ifndef CIRA_COMPILER_ANALYSIS_LLVM_NEST_H
#define CIRA_COMPILER_ANALYSIS_LLVM_NEST_H

#include "analysis/llvm_loop.h"

enum { cira_nest_blocks_max = 128 };

typedef struct cira_nest {
  const cira_llvm_loops_t *loops;
  int64_t loop;
  /* [0] is the header; a block comes behind all that dominate it. */
  MlirBlock blocks[cira_nest_blocks_max];
  int count;
  int latch;      /* the block that ends an iteration */
  MlirBlock exit; /* where the loop leads to from there */
  uint64_t dominators[cira_nest_blocks_max][cira_nest_blocks_max / 64];
} cira_nest_t;

/* The blocks of loop `number`, which has a header and leaves by its latch
 * alone. NULL, or why they cannot be listed. */
const char *cira_nest_get(const cira_llvm_loops_t *loops, int64_t number,
                          cira_nest_t *out_nest);

/* Number of the block; -1: it is outside. */
int cira_nest_index(const cira_nest_t *nest, MlirBlock block);

/* Does every way to block `b` lead through block `a`? */
bool cira_nest_dominates(const cira_nest_t *nest, int a, int b);

/* Has `a` always been done, in the same iteration, when `b` is? */
bool cira_nest_before(const cira_nest_t *nest, MlirOperation a,
                      MlirOperation b);

/* Is the value computed in the loop, or an argument of a block there? */
bool cira_nest_has(const cira_nest_t *nest, MlirValue value);

/* The block in which the value comes to be. */
MlirBlock cira__block_of(MlirValue value);

/* What the op at the end of a block hands to argument `index` of successor
 * `way`; null if it hands nothing there. For llvm.br, llvm.cond_br and
 * llvm.switch. */
MlirValue cira__edge_value(MlirOperation op, intptr_t way, intptr_t index);

/* The index of the operand that cira__edge_value returns; -1: none. */
intptr_t cira__edge_operand(MlirOperation op, intptr_t way, intptr_t index);

#endif /* CIRA_COMPILER_ANALYSIS_LLVM_NEST_H */
