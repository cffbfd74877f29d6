/* SPDX-License-Identifier: Apache-2.0
 * Building ops of the llvm dialect in functions that came from C: short forms
 * for what passes put in, and the splitting of blocks such that cira.facts
 * still describe them. New ops have no location: the plug-in knows by it that
 * they are new.
 * A builder writes to the end of `block`, or in front of `before` if that is
 * not null. Threading: as the IR. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_BUILD_H
#define CIRA_COMPILER_CODEGEN_LLVM_BUILD_H

#include "cira-c/IR.h"

#include <stdint.h>

typedef struct cira_lb {
  MlirContext ctx;
  MlirBlock block;
  MlirOperation before;
  int64_t loop; /* the number of the loop that new blocks belong to; -1: none */
} cira_lb_t;

/* llvm.icmp's numbers. */
enum {
  cira_lb_eq = 0,
  cira_lb_ne = 1,
  cira_lb_slt = 2,
  cira_lb_ult = 6,
  cira_lb_ule = 7,
  cira_lb_ugt = 8,
  cira_lb_uge = 9
};

cira_lb_t cira_lb_at_end(MlirBlock block, int64_t loop);
cira_lb_t cira_lb_before(MlirOperation op);

MlirType cira_lb_i64(const cira_lb_t *b);
MlirValue cira_lb_constant(cira_lb_t *b, MlirType type, int64_t number);
MlirValue cira_lb_null(cira_lb_t *b, MlirType pointer);
/* `name` is an op with two operands and a result of their type. */
MlirValue cira_lb_binary(cira_lb_t *b, const char *name, MlirValue lhs,
                         MlirValue rhs);
/* `name` is a conversion. */
MlirValue cira_lb_cast(cira_lb_t *b, const char *name, MlirValue value,
                       MlirType type);
MlirValue cira_lb_icmp(cira_lb_t *b, int64_t predicate, MlirValue lhs,
                       MlirValue rhs);
MlirValue cira_lb_select(cira_lb_t *b, MlirValue condition, MlirValue yes,
                         MlirValue no);
MlirValue cira_lb_freeze(cira_lb_t *b, MlirValue value);
/* pointer + bytes; nothing is promised about where that lies. */
MlirValue cira_lb_offset(cira_lb_t *b, MlirValue pointer, int64_t bytes);
MlirValue cira_lb_offset_by(cira_lb_t *b, MlirValue pointer, MlirValue bytes);
MlirValue cira_lb_load(cira_lb_t *b, MlirValue address, MlirType type,
                       int64_t alignment);
void cira_lb_store(cira_lb_t *b, MlirValue value, MlirValue address);
void cira_lb_prefetch(cira_lb_t *b, MlirValue address, bool written,
                      int64_t hint);
/* A variable of the function: an llvm.alloca in its first block. */
MlirValue cira_lb_variable(MlirOperation function, MlirType type);
/* A copy of an op with one result, with other operands and without promises
 * (inbounds, no overflow) or facts. */
MlirValue cira_lb_copy(cira_lb_t *b, MlirOperation op,
                       const MlirValue *operands);

/* Ends the block: these have facts of their own. */
void cira_lb_br(cira_lb_t *b, MlirBlock to, intptr_t count,
                const MlirValue *args);
void cira_lb_cond_br(cira_lb_t *b, MlirValue condition, MlirBlock yes,
                     MlirBlock no);
/* A new block in front of `next`; `type` may be null: no argument. */
MlirBlock cira_lb_block(MlirBlock next, MlirContext ctx, MlirType type);

/* Moves the ops from `at` on into a new block behind; returns it. The old block
 * is left without an end; whoever ends it calls cira_lb_end_split. */
MlirBlock cira_lb_split(MlirOperation at);
/* After the first half has got its end: moves the facts that belong there. */
void cira_lb_end_split(MlirBlock first, MlirBlock rest);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_BUILD_H */
