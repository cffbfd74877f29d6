/* SPDX-License-Identifier: Apache-2.0
 * The program's arrays seen alike: behind a handle, a memref or a
 * remote_memref. A memref is the struct of MLIR's own lowering: {allocated,
 * aligned, offset, sizes, strides}. Strides and sizes are in elements.
 * Threading: as the emitter. */
#ifndef CIRA_COMPILER_CODEGEN_ARRAY_H
#define CIRA_COMPILER_CODEGEN_ARRAY_H

#include "codegen/emit.h"

enum { cira_array_rank_max = 16 };

typedef struct cira_array {
  MlirType element; /* of the program, not of LLVM */
  int64_t element_bytes;
  MlirValue base;       /* of element 0 */
  MlirValue descriptor; /* null: a handle */
  intptr_t rank;        /* of a handle: 1 */
  bool row_major;       /* the last stride is 1, the others follow */
} cira_array_t;

/* Operand `i` of `op`. False, with an error, if its elements have no size or
 * its layout no strides. */
bool cira_array_get(cira_emit_t *e, MlirOperation op, intptr_t i,
                    cira_array_t *out_array);

/* The element type of such a type. */
MlirType cira_array_element(MlirType type);

/* Size or stride of dimension `i`, i64; only of an array with a descriptor. */
MlirValue cira_array_size(cira_emit_t *e, const cira_array_t *a, intptr_t i);
MlirValue cira_array_stride(cira_emit_t *e, const cira_array_t *a, intptr_t i);

/* `number` elements along a one-dimensional array, counted in steps of its
 * stride, as elements in memory. */
MlirValue cira_array_steps(cira_emit_t *e, const cira_array_t *a,
                           MlirValue number);

/* A descriptor of LLVM type `type` with offset 0. */
MlirValue cira_array_describe(cira_emit_t *e, MlirType type,
                              MlirValue allocated, MlirValue aligned,
                              intptr_t rank, const MlirValue *sizes,
                              const MlirValue *strides);

/* What was allocated, out of a descriptor. */
MlirValue cira_array_allocated(cira_emit_t *e, MlirValue descriptor);

#endif /* CIRA_COMPILER_CODEGEN_ARRAY_H */
