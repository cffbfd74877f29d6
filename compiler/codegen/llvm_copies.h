/* SPDX-License-Identifier: Apache-2.0
 * Copies of the blocks of a loop, with what they compute, and what leaves the
 * loop and its copies: whichever of them ran, the code behind sees one value.
 * That goes through variables (llvm.alloca), of which mem2reg makes values.
 * Copies have no facts of loops: later passes leave them alone.
 * Threading: as the IR. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_COPIES_H
#define CIRA_COMPILER_CODEGEN_LLVM_COPIES_H

#include "codegen/llvm_build.h"
#include "codegen/llvm_emit.h"

enum { cira_copies_arguments_max = 64 };

typedef struct cira_copies_block {
  MlirBlock from, to;
} cira_copies_block_t;

typedef struct cira_copies_value {
  MlirValue from, to;
} cira_copies_value_t;

/* All zero: none. Blocks and values are in the order in which they were given,
 * so those of two copies of the same blocks have the same numbers. */
typedef struct cira_copies {
  cira_copies_block_t *blocks;
  size_t block_count;
  cira_copies_value_t *values;
  size_t value_count;
} cira_copies_t;

/* Whether a block belongs to none of the loops. */
typedef bool (*cira_copies_outside_t)(const void *user, MlirBlock block);

/* Copies the blocks to the end of the builder's region. `plain`: it will be
 * what clang itself would have, so it keeps all that is known of the original.
 * Returns false, with nothing made, if there are more ops than `ops_max`, or
 * some that cannot be two. */
bool cira_copies_make(cira_copies_t *c, cira_llvm_build_t *b,
                      const MlirBlock *blocks, int count, size_t ops_max,
                      bool plain);
void cira_copies_fini(cira_copies_t *c);

/* The copy of the block; the block itself if it has none. */
MlirBlock cira_copies_of(const cira_copies_t *c, MlirBlock block);
bool cira_copies_has(const cira_copies_t *c, MlirBlock block);

/* Values that the originals compute and blocks outside use come from whichever
 * of the originals and of the copies (one or two sets of the same blocks; the
 * second may be null) ran. */
void cira_copies_carry(const cira_copies_t *one, const cira_copies_t *two,
                       MlirOperation function, cira_copies_outside_t outside,
                       const void *user);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_COPIES_H */
