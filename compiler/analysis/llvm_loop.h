/* SPDX-License-Identifier: Apache-2.0
 * Loops of an llvm.func, which are blocks and branches there: seen through the
 * attribute `cira.facts` that the clang plug-in attaches from LLVM's own
 * analyses (docs/how-loops-are-changed.md lists the facts). On the function:
 * the loops by number; on the last op of a block: the innermost loop around
 * it; on loads and stores: how their address goes on.
 * A cira_llvm_loops_t is a view: worthless once blocks are split.
 * Threading: as the IR. */
#ifndef CIRA_COMPILER_ANALYSIS_LLVM_LOOP_H
#define CIRA_COMPILER_ANALYSIS_LLVM_LOOP_H

#include "cira-c/IR.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct cira_llvm_loop {
  int64_t parent;   /* number of the loop around it; -1: none */
  int64_t trips;    /* iterations, exactly or by profile; 0: not known */
  int64_t percent;  /* entries per 100 iterations of the parent */
  bool varies;      /* runs differently often in each iteration of the parent */
  bool breaks;      /* can be left in its middle */
  bool walks;       /* follows a list: a value loaded from the last one */
  bool parallel;    /* the program says that its iterations are independent */
  bool interleaved; /* a pass has made another version, which runs mostly */
  MlirStringRef single; /* why it may not be copied; empty: it may */
  bool bounded;         /* memory that each iteration reads may be read ahead */
  MlirStringRef unbounded; /* why not, otherwise */
  MlirBlock header;
  MlirAttribute steps; /* of the header's arguments, per iteration; 0: none */
} cira_llvm_loop_t;

typedef struct cira_llvm_loops {
  MlirOperation function;
  cira_llvm_loop_t *items;
  int64_t count;
} cira_llvm_loops_t;

/* The loops of an llvm.func. False, with an error at the function, if its
 * facts contradict themselves. No facts: no loops. Freed by _fini. */
bool cira_llvm_loops_get(MlirOperation function, cira_llvm_loops_t *out_loops);
void cira_llvm_loops_fini(cira_llvm_loops_t *loops);

/* Number of the innermost loop around the block; -1: none. */
int64_t cira_llvm_block_loop(MlirBlock block);

/* How often the block runs in 100 iterations of that loop. */
int64_t cira_llvm_block_percent(MlirBlock block);

/* Is the block in loop `number`, or in one inside it? */
bool cira_llvm_loop_contains(const cira_llvm_loops_t *loops, int64_t number,
                             MlirBlock block);

/* By how much the `index`-th argument of the header grows each iteration; 0:
 * by nothing constant. Integers by their value, pointers by bytes. */
int64_t cira_llvm_loop_step(const cira_llvm_loops_t *loops, int64_t number,
                            intptr_t index);

/* Ops executed in 100 iterations, those of loops inside included. A loop
 * inside of which nobody knows how often it runs counts as running twice:
 * chains in hash tables and rows of sparse graphs are short. */
int64_t cira_llvm_loop_ops_percent(const cira_llvm_loops_t *loops,
                                   int64_t number);

/* How often a block of loop `number`, or of one inside, runs in 100 iterations
 * of that loop; a loop inside counts as above. */
int64_t cira_llvm_loop_runs_percent(const cira_llvm_loops_t *loops,
                                    int64_t number, MlirBlock block);

/* The call of cira.last for a load; null if there is none. */
MlirOperation cira_llvm_find_last(const cira_llvm_loops_t *loops,
                                  MlirOperation load);

/* The call of cira.count for loop `number`; null if there is none. */
MlirOperation cira_llvm_find_count(const cira_llvm_loops_t *loops,
                                   int64_t number);

/* An entry of `cira.facts`: a number, a unit, a text. */
bool cira__fact_number(MlirOperation op, const char *name, int64_t *out_number);
bool cira__fact_has(MlirOperation op, const char *name);

/* Adds a unit to the facts of an op; nothing if it is there already. */
void cira__fact_add(MlirOperation op, const char *name);

/* The block of the op, and the op at the end of it. */
MlirOperation cira__terminator(MlirBlock block);

/* The loop around the op's block; see cira_llvm_block_loop. */
static inline int64_t cira__loop_of(MlirOperation op) {
  return cira_llvm_block_loop(mlirOperationGetBlock(op));
}

#endif /* CIRA_COMPILER_ANALYSIS_LLVM_LOOP_H */
