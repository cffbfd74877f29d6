/* SPDX-License-Identifier: Apache-2.0
 * Keeps a loop of an llvm.func as it was beside the loop that a pass changes,
 * and lets time choose between the two (codegen/llvm_choice.h):
 *
 *   twin = cira_twin_make(loops, number)    copies the blocks
 *   ... the pass changes the loop ...
 *   cira_twin_join(twin, unit, rows)        both are entered through a choice
 *
 * (or, for a loop that is worth changing only if it is long, cira_twin_first).
 * The choice is made anew in front of an iteration once the period is used up.
 * Of a period, each iteration is one, and so is each of the loops inside where
 * that is asked for: rows of graphs are long and short. What the loops leave to
 * the code behind them goes through variables (codegen/llvm_copies.h).
 * Threading: as the IR. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_TWIN_H
#define CIRA_COMPILER_CODEGEN_LLVM_TWIN_H

#include "analysis/llvm_loop.h"

typedef struct cira_twin cira_twin_t;

/* Copies loop `number`, with those inside; twice if `plain`: joined, most of
 * its executions will then take a third loop, which counts nothing. `loops`
 * must outlive the twin. Returns NULL if the loop must stay the only one (what
 * the facts call `single`), is too large, or if there is no memory. */
cira_twin_t *cira_twin_make(const cira_llvm_loops_t *loops, int64_t number,
                            bool plain);

/* Puts the choice in front of both; `unit` iterations of the changed one are a
 * fair sample; those of loops inside count too if `rows`. Frees the twin. */
void cira_twin_join(cira_twin_t *twin, int64_t unit, bool rows);

/* Instead of a choice: whoever enters the loop goes to the changed one where
 * `changed`, an i1 known in front of it, says so, to the copy otherwise. Frees
 * the twin. */
void cira_twin_split(cira_twin_t *twin, MlirValue changed);

/* Instead of a choice: the copy is what runs whenever the loop is entered, for
 * at most `count` iterations. Then comes the block that this returns: it has
 * the arguments of the loop's header, and the caller ends it. To be called in
 * front of what changes the loop. LLVM is to do `unroll` iterations of the copy
 * at a time (a divisor of `count`, so that only the last of them counts; 1: as
 * it likes). Frees the twin. */
MlirBlock cira_twin_first(cira_twin_t *twin, int64_t count, int64_t unroll);

/* The same for a loop that is `bounded`: `times`, an i64 known in front of it,
 * is the number of iterations after the first. The loops count down what they
 * have been given instead of testing for their end, so that neither takes an
 * operation more. Executions of fewer iterations than `least` take the old loop
 * at once. */
void cira_twin_join_counted(cira_twin_t *twin, int64_t unit, MlirValue times,
                            int64_t least);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_TWIN_H */
