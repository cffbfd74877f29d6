/* SPDX-License-Identifier: Apache-2.0
 * What the parts of codegen/llvm_far.c share: the choice in front of a nest,
 * and what the old nest does for it, are in llvm_far_choice.c. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_FAR_PARTS_H
#define CIRA_COMPILER_CODEGEN_LLVM_FAR_PARTS_H

#include "codegen/llvm_emit.h"
#include "codegen/llvm_far.h"

/* Layouts of cira/loop.h. */
enum {
  view_bytes = 120,
  view_pages = 8,
  view_words = 16,
  view_delta = 24,
  view_mask = 32,
  view_match = 36,
  view_away = 40,
  view_seen = 48,
  view_seen_mask = 56,
  view_again = 64,
  view_left = 72,
  view_work = 80,
  view_timed = 88,
  accesses_to_stay = 64,
  walk_bytes = 32,
  depth_max = 8,
  walk_stride = 8,
  walk_element = 16, /* bytes and flags, as one word */
  walk_delta = 24,
  walk_writes = 1, /* flags */
  walk_passes = 2,
  timed_near = 2, /* before: an answer of 2 is understood */
  timed_deals = 4,
  answer_near = 2,
  page_log2 = 12,
  store_bytes_max = 8,
  row_walks_max = 4, /* arrays of a row that are looked up once */
  row_least = 4,     /* iterations for which that is worth it */
  operands_max = cira_far_arguments_max + 1,
  order_acquire = 4 /* of LLVM's orderings */
};

typedef struct cira_far_entry {
  const void *from;
  const void *to;
} cira_far_entry_t;

typedef struct cira_far_loom {
  const cira_far_plan_t *plan;
  cira_llvm_build_t b;
  MlirType i64, i32, i1, ptr;
  /* What values and blocks of the old nest are in the new one. */
  cira_far_entry_t *map;
  size_t map_size; /* a power of two */
  size_t map_used;
  /* of the view */
  MlirValue view, seen, seen_mask, base, pages, words, delta, mask, match, zero;
  /* of the loop in blocks at work */
  const cira_far_inner_t *inner;
  int inner_index;
  MlirValue deltas[cira_far_walks_max];
  /* of guarded walks: where the delta is kept, what the block covers */
  MlirValue delta_at[cira_far_walks_max], low_at[cira_far_walks_max];
  MlirValue low[cira_far_walks_max], span[cira_far_walks_max];
  MlirValue walks;  /* room for the runtime's walks */
  bool near;        /* this version leaves alone what does not walk */
  MlirBlock choice; /* in front of all versions */
} cira_far_loom_t;

/* ---- in llvm_far.c --------------------------------------------------------
 */

bool cira__far_is_inside(const cira_far_plan_t *plan, MlirBlock block);
MlirValue cira__far_number(cira_far_loom_t *w, int64_t value);

/* The memory, or the end of the process, as LLVM does when memory is out. */
void *cira__far_checked(void *memory);

/* A call of a function of cira/loop.h; `result` may be the null type. */
MlirValue cira__far_call(cira_far_loom_t *w, const char *name, intptr_t count,
                         const MlirValue *arguments, MlirType result);

/* A block with the arguments of another, as a branch's operands, too. */
MlirBlock cira__far_block_like(cira_far_loom_t *w, MlirBlock like,
                               MlirValue *out_values);

/* In front of the next iteration of the nest, in the version that has `header`:
 * counts it, and begins anew if it was the last one dealt out. */
MlirBlock cira__far_add_tick(cira_far_loom_t *w, MlirBlock header);

/* Does the op say how often a loop inside goes on? That counts, too: rows are
 * not alike. */
bool cira__far_is_counted(const cira_far_loom_t *w, MlirOperation op);

/* ---- in llvm_far_choice.c -------------------------------------------------
 */

/* Builds the choice between the old nest and the new ones, which begin with
 * `into`; near: NULL if there is none. */
void cira__far_add_choice(cira_far_loom_t *w, MlirBlock header, MlirBlock into,
                          cira_far_loom_t *near, MlirBlock near_into);

/* The old nest tells when it ends, and counts. */
void cira__far_change_old(cira_far_loom_t *w);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_FAR_PARTS_H */
