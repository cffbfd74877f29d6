/* SPDX-License-Identifier: Apache-2.0
 * Builds what passes/llvm_far.c has planned: a second version of a loop (a
 * nest: with the loops inside), in which accesses find far bytes where they are
 * (include/cira/loop.h).
 *
 *   choice: cira_loop_begin is there, and answers 1? else the old nest
 *   nest:   as the old one, each access by its way (below)
 *   walk:   a third version of innermost loops that pass through arrays, for
 *           enough iterations: in blocks, each array at a distance of its own
 *   near:   the nest once more, where it has both: what is walked as above, all
 *           other accesses as they are (answer 2)
 *
 * The old nest stays but for its ways out, which call cira_loop_end where it is
 * timed; those of the new one always do. If a nest deals out its iterations,
 * each version counts them and begins anew, by the choice, after so many.
 * Threading: as the IR. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_FAR_H
#define CIRA_COMPILER_CODEGEN_LLVM_FAR_H

#include "analysis/llvm_loop.h"

enum {
  cira_far_blocks_max = 256,
  cira_far_accesses_max = 256,
  cira_far_inner_max = 32,
  cira_far_arguments_max = 62, /* of a block */
  cira_far_walks_max = 16      /* as CIRA_LOOP_WALKS_MAX */
};

typedef enum {
  cira_far_plain, /* as it is */
  cira_far_found, /* looked up, or put */
} cira_far_way_t;

typedef struct cira_far_access {
  MlirOperation op;
  MlirValue address;
  int64_t bytes;      /* 0: of another kind than integers, floats, pointers */
  cira_far_way_t way; /* in the nest */
  bool written;
  bool strided;
  int inner; /* in the walk of this loop; -1: none */
  int walk;  /* by this array; -1: by `way` */
} cira_far_access_t;

typedef struct cira_far_walk {
  MlirValue first; /* address in the first iteration */
  MlirValue address;
  int64_t stride, bytes;
  bool written;
  bool passed;  /* accessed under its own addresses */
  bool guarded; /* stores of the loop may meet it: each is looked at */
} cira_far_walk_t;

/* An innermost loop with a version in blocks. */
typedef struct cira_far_inner {
  int64_t loop;
  MlirBlock header, latch;
  MlirValue again; /* iterations after the first */
  cira_far_walk_t walks[cira_far_walks_max];
  int walk_count;
} cira_far_inner_t;

typedef struct cira_far_plan {
  const cira_llvm_loops_t *loops;
  int64_t loop;
  MlirBlock blocks[cira_far_blocks_max]; /* behind all that dominate them */
  int block_count;
  cira_far_access_t accesses[cira_far_accesses_max];
  int access_count;
  cira_far_inner_t inner[cira_far_inner_max];
  int inner_count;
  bool near;       /* there is a version in which only walks find pages */
  bool deals;      /* iterations of the nest are counted and dealt out */
  MlirValue again; /* otherwise: those after the first, if known; or null */
} cira_far_plan_t;

/* The number of the access that `op` is; -1: none. */
int cira_far_find(const cira_far_plan_t *plan, MlirOperation op);

/* Is the block in loop `number`, or in one inside it? Also for the blocks
 * without facts that the plug-in has put in front of loops. */
bool cira_far_contains(const cira_llvm_loops_t *loops, int64_t number,
                       MlirBlock block);

/* Is the op a call that only tells passes something? */
bool cira_far_is_marker(MlirOperation op);

/* Is it the one that says how often a loop goes on? */
bool cira_far_is_count(MlirOperation op);

/* Builds the versions; declares the functions of the runtime. */
void cira_far_build(const cira_far_plan_t *plan, int64_t iterations_min);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_FAR_H */
