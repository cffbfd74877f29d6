/* SPDX-License-Identifier: Apache-2.0
 * How the iterations of a loop with chains (llvm_chain.h) can be cut into
 * pieces, so that many of them are under way at a time:
 *
 *   early part  the blocks of an iteration up to the last wait: reads and
 *               arithmetic only. Cut in front of each wait; what lives across
 *               a cut, or is used behind the early part, is kept in a slot.
 *   late part   the rest, with all effects: done in the order of iterations.
 *   advance     what makes the next iteration's arguments without the late
 *               part.
 *   sums        arguments of the loop that the early part only adds to, by one
 *               commuting integer operation: it starts from the neutral
 *               element, and the late part adds what came out.
 *
 * Everything here is a question about the IR; codegen/llvm_interleave.c builds
 * the new loops. A plan is large: keep it on the heap. */
#ifndef CIRA_COMPILER_ANALYSIS_LLVM_INTERLEAVE_H
#define CIRA_COMPILER_ANALYSIS_LLVM_INTERLEAVE_H

#include "analysis/llvm_chain.h"

enum {
  cira_il_values_max = 768,
  cira_il_words = cira_il_values_max / 64,
  cira_il_pieces_max = cira_nest_blocks_max + cira_chain_waits_max,
  cira_il_args_max = 24,    /* of a block */
  cira_il_entries_max = 16, /* ways from the early to the late part */
  cira_il_ops_max = 128
};

/* A value of the early part. */
typedef struct cira_il_value {
  MlirValue value;
  int piece;     /* where it comes to be */
  bool early;    /* needed there */
  bool crosses;  /* lives across a cut */
  bool computed; /* crosses, but is computed anew from others that do */
  bool kept;     /* the late part uses it */
  int sum;       /* a partial result of this argument of the loop; -1 */
  int64_t slot;  /* offset in the slot; -1: not there */
} cira_il_value_t;

/* Ops of one block, without a wait inside. */
typedef struct cira_il_piece {
  int block;
  MlirOperation first, stop; /* stop: null at the end of the block */
  int wait;                  /* it begins behind this wait; -1: a block */
} cira_il_piece_t;

/* What an argument of a block of the late part is, on one way there. */
typedef struct cira_il_arg {
  enum {
    cira_il_late,  /* a value that the late part has or computes */
    cira_il_slot,  /* from the slot */
    cira_il_summed /* the argument `sum` of the loop, and the slot added */
  } kind;
  MlirValue value; /* late */
  int sum;
  int64_t slot;
} cira_il_arg_t;

typedef struct cira_il_entry {
  int block; /* of the nest: the first of the late part */
  int arg_count;
  cira_il_arg_t args[cira_il_args_max];
} cira_il_entry_t;

/* An edge from the early to the late part. */
typedef struct cira_il_edge {
  int block;
  intptr_t way;
  int entry;
} cira_il_edge_t;

typedef struct cira_il_plan {
  cira_nest_t nest;
  cira_chain_t chain;
  bool in_early[cira_nest_blocks_max]; /* by block of the nest */

  cira_il_value_t values[cira_il_values_max];
  int value_count;
  cira_il_piece_t pieces[cira_il_pieces_max];
  int piece_count;
  int resume[cira_chain_waits_max]; /* piece behind each wait */

  /* By argument of the loop's header. */
  int arg_count;
  bool advanced[cira_il_args_max];
  MlirOperation sum_op[cira_il_args_max]; /* one of its ops; null: no sum */
  MlirOperation advance[cira_il_ops_max]; /* each behind what it needs */
  int advance_count;

  MlirOperation late[cira_il_ops_max]; /* ops of early blocks done late */
  int late_count;

  cira_il_entry_t entries[cira_il_entries_max];
  int entry_count;
  cira_il_edge_t edges[cira_il_entries_max];
  int edge_count;

  int64_t code_slot; /* where the slot says how to go on (i32) */
  int64_t slot_bytes;
  char why[160];
} cira_il_plan_t;

/* Makes the plan for a loop. False: `out_plan->why` says what stands in the
 * way; empty: there is no chain in it. */
bool cira_il_plan_get(const cira_llvm_loops_t *loops, int64_t number,
                      int64_t cache_bytes, cira_il_plan_t *out_plan);

/* The value as one of the early part; NULL if it is none. */
cira_il_value_t *cira_il_find(cira_il_plan_t *plan, MlirValue value);

/* Number of the loop's argument that the value is; -1: none. */
int cira_il_argument(const cira_il_plan_t *plan, MlirValue value);

/* Bytes of a value in memory; 0: it cannot be kept there. */
int64_t cira_il_bytes(MlirType type);

/* Is the op pure, and without a trap: no division? */
bool cira_il_is_harmless(MlirOperation op);

/* Does the op do nothing that matters to a copy (markers, assumptions)? */
bool cira_il_is_nothing(MlirOperation op);

/* Number of the edge from block `block` of the nest by `way`; -1: it does not
 * lead from the early to the late part. */
int cira_il_edge_find(const cira_il_plan_t *plan, int block, intptr_t way);

/* Is what an edge between early blocks hands to argument `index` needed? */
bool cira_il_is_needed(cira_il_plan_t *plan, MlirBlock to, intptr_t index);

#endif /* CIRA_COMPILER_ANALYSIS_LLVM_INTERLEAVE_H */
