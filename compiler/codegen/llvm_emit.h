/* SPDX-License-Identifier: Apache-2.0
 * Building ops of the LLVM dialect one after the other at the end of a block,
 * for passes that add code to functions that came from C. New ops have no
 * location: the clang plug-in knows by it that they are new.
 * Threading: as the IR. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_EMIT_H
#define CIRA_COMPILER_CODEGEN_LLVM_EMIT_H

#include "cira-c/IR.h"

#include <stdint.h>

typedef struct cira_llvm_build {
  MlirContext ctx;
  MlirLocation loc;
  MlirRegion region; /* of the function */
  MlirBlock at;      /* ops go to its end */
} cira_llvm_build_t;

/* Numbers of llvm.icmp's predicates. */
enum {
  cira_llvm_eq = 0,
  cira_llvm_ne = 1,
  cira_llvm_sgt = 4,
  cira_llvm_ult = 6,
  cira_llvm_uge = 9
};

/* Builds at the end of the function's last block; set `at`. */
cira_llvm_build_t cira_llvm_build_in(MlirOperation function);

/* A new, empty block at the end of the function. */
MlirBlock cira_llvm_block(cira_llvm_build_t *b);

/* Any op without successors; `result` may be the null type. */
MlirOperation cira_llvm_op(cira_llvm_build_t *b, const char *name,
                           intptr_t operand_count, const MlirValue *operands,
                           MlirType result, intptr_t attr_count,
                           const MlirNamedAttribute *attrs);

MlirNamedAttribute cira_llvm_attr(cira_llvm_build_t *b, const char *name,
                                  MlirAttribute value);

/* i64, i32, i1, ptr */
MlirType cira_llvm_int(cira_llvm_build_t *b, unsigned bits);
MlirType cira_llvm_ptr(cira_llvm_build_t *b);

MlirValue cira_llvm_constant(cira_llvm_build_t *b, MlirType type,
                             int64_t number);
/* Zero, or null, of any type. */
MlirValue cira_llvm_zero(cira_llvm_build_t *b, MlirType type);

/* An op of this name on two values of one type, which the result has too. */
MlirValue cira_llvm_binary(cira_llvm_build_t *b, const char *name, MlirValue x,
                           MlirValue y);
MlirValue cira_llvm_compare(cira_llvm_build_t *b, int predicate, MlirValue x,
                            MlirValue y);
MlirValue cira_llvm_select(cira_llvm_build_t *b, MlirValue condition,
                           MlirValue x, MlirValue y);

/* pointer + bytes; pointer + index * (a power of two, at most 8) */
MlirValue cira_llvm_offset(cira_llvm_build_t *b, MlirValue pointer,
                           int64_t bytes);
MlirValue cira_llvm_element(cira_llvm_build_t *b, MlirValue pointer,
                            MlirValue index, int64_t bytes);

MlirValue cira_llvm_load(cira_llvm_build_t *b, MlirType type,
                         MlirValue address);
void cira_llvm_store(cira_llvm_build_t *b, MlirValue value, MlirValue address);

/* Asks for the line, to be read, as near as possible. */
void cira_llvm_prefetch(cira_llvm_build_t *b, MlirValue address);

/* Room for `bytes` in the function's frame, as aligned as stacks are. */
MlirValue cira_llvm_room(cira_llvm_build_t *b, int64_t bytes);

/* The ends of blocks. `values`: what each block's arguments become. */
void cira_llvm_br(cira_llvm_build_t *b, MlirBlock to, intptr_t count,
                  const MlirValue *values);
void cira_llvm_cond_br(cira_llvm_build_t *b, MlirValue condition, MlirBlock yes,
                       intptr_t yes_count, const MlirValue *yes_values,
                       MlirBlock no, intptr_t no_count,
                       const MlirValue *no_values);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_EMIT_H */
