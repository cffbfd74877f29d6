/* SPDX-License-Identifier: Apache-2.0
 * What the parts of llvm_interleave.c share: the new loop while it is built.
 * Private to them. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_WEAVE_H
#define CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_WEAVE_H

#include "codegen/llvm_choice.h"
#include "codegen/llvm_copies.h"
#include "codegen/llvm_interleave.h"

enum {
  cira__weave_operands_max = 64,
  cira__weave_fixed = 4 /* arguments of blocks, besides the loop's */
};

/* A value of the late part, and what it is in the new one. */
typedef struct cira__weave_pair {
  MlirValue from, to;
} cira__weave_pair_t;

typedef struct cira__weave {
  cira_il_plan_t *plan;
  const cira_il_shape_t *shape;
  cira_llvm_build_t b;
  MlirValue slots;  /* a ring of slots, by number of the iteration */
  MlirValue active; /* width pointers to slots of those that go on */

  cira_choice_t choice;
  cira_copies_t plain;
  /* ^go(arguments..., left, word): a period of either version. */
  MlirBlock go;
  MlirValue go_left, go_budget;
  /* ^again(arguments..., left): the next period. */
  MlirBlock again;
  /* ^changed(arguments..., left, budget): a period of the changed loop. */
  MlirBlock changed;
  MlirValue left, total; /* iterations: left, of this period */
  /* ^top(arguments..., retired, begun, kept, advanced...): some are begun. */
  MlirBlock top;
  MlirValue limit;     /* begun after that */
  MlirValue limit_now; /* the same, behind the round */
  MlirValue kept_now;  /* those that go on, behind the round */
  /* ^start(k, kept, advanced...): iteration k begins; kept go on. */
  MlirBlock start;
  /* ^turn(k, kept, count): a step of entry k of `active`; kept of those that
   * have had theirs go on. */
  MlirBlock turn;
  MlirValue k, kept, count;
  bool starting; /* what is built are first steps */
  MlirValue advanced[cira_il_args_max];
  MlirValue next[cira_il_args_max]; /* of the iteration after */
  MlirValue slot;
  /* ^retire(retired, arguments...): the late part of the oldest, if its early
   * part is done. */
  MlirBlock retire, late;
  MlirValue late_slot;

  /* By value of the plan: its copy; what it is in the piece at work. */
  MlirValue copy[cira_il_values_max];
  MlirValue here[cira_il_values_max];
  int here_piece[cira_il_values_max];
  bool reached[cira_il_pieces_max]; /* by the steps that are built */
  MlirBlock piece[cira_il_pieces_max];
  MlirBlock done[cira_il_entries_max]; /* by edge to the late part */

  cira__weave_pair_t *pairs; /* of the late part */
  int pair_count, pair_room;
  MlirBlock late_blocks[cira_nest_blocks_max];
} cira__weave_t;

/* llvm_interleave_steps.c */

/* The blocks of steps that begin with one of `count` pieces. */
void cira__il_build_steps(cira__weave_t *w, int count, const int *roots);
/* A copy of `op` at the end of the block, on these values. */
MlirOperation cira__il_add_copy(cira__weave_t *w, MlirOperation op,
                                const MlirValue *operands);
void cira__il_drop_facts(MlirOperation op);
MlirValue cira__il_slot_at(cira__weave_t *w, MlirValue slot, int64_t offset);
/* Combines what a sum had before with what an iteration adds. */
MlirValue cira__il_combine(cira__weave_t *w, int argument, MlirValue before,
                           MlirValue added);
/* How the slot goes on: behind this wait; with the late part, by way of entry
 * code - waits. */
void cira__il_keep_code(cira__weave_t *w, int code);
/* With one kind of wait, an iteration that ends makes room for the last of
 * those that go on: the least to do. With several they keep their order, so
 * that those behind the same wait are neighbours: whoever guesses the next
 * one's wait by the last one's is right. */
bool cira__il_is_ordered(const cira__weave_t *w);
/* Arguments like those of `like`. */
void cira__il_add_arguments(cira__weave_t *w, MlirBlock block, MlirBlock like);

/* llvm_interleave.c */

/* Branches by the code in the slot to one of `count` blocks, whose codes begin
 * at `code_min`. */
void cira__il_choose(cira__weave_t *w, MlirValue slot, int code_min, int count,
                     MlirBlock *blocks);
/* The slot of iteration `number` of the period. */
MlirValue cira__il_slot_of(cira__weave_t *w, MlirValue number);

/* Appends the arguments that go ahead of the late part; returns the new count.
 */
intptr_t cira__il_with_advanced(const cira__weave_t *w, const MlirValue *from,
                                MlirValue *values, intptr_t count);

/* llvm_interleave_late.c: ^retire and what follows. */
void cira__il_build_late(cira__weave_t *w);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_INTERLEAVE_WEAVE_H */
