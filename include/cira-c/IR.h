/* SPDX-License-Identifier: Apache-2.0
 * Questions about IR that MLIR 19 answers in C++ only: effects, remarks,
 * parts of LLVM types, the machine model in force. Passes in C are written on
 * this and on mlir-c/.
 * Threading: as MLIR's: one thread per function at a time. */
#ifndef CIRA_C_IR_H
#define CIRA_C_IR_H

#include "cira-c/Dialect.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an op, with all ops inside its regions, may do to memory. An op that
 * does not say may do everything. Bits of ciraOperationGetEffects. */
enum {
  CIRA_EFFECT_READ = 1,  /* reads memory */
  CIRA_EFFECT_WRITE = 2, /* writes memory */
  CIRA_EFFECT_OTHER = 4  /* touches a stream, token or cache, allocates,
                            frees, or does not say */
};

/* The CIRA_EFFECT_* bits of `op`; 0 for a pure op. Cost: linear in the ops
 * inside. */
MLIR_CAPI_EXPORTED unsigned ciraOperationGetEffects(MlirOperation op);

/* May the op run more often, earlier or not at all without anybody noticing?
 * (No effect on memory, and no undefined behaviour such as a division by
 * zero.) */
MLIR_CAPI_EXPORTED bool ciraOperationIsPure(MlirOperation op);

/* Does `first` come before `second`, or before a region around it, in one
 * block? Such a `first` has always run when `second` runs. */
MLIR_CAPI_EXPORTED bool ciraOperationPrecedes(MlirOperation first,
                                              MlirOperation second);

/* The op in front of `op` in its block; null (ptr is NULL) if it is the
 * first. */
MLIR_CAPI_EXPORTED MlirOperation ciraOperationGetPrevInBlock(MlirOperation op);

/* Calls `each` with the terminators that branch to `block`, and with which of
 * their successors, once for each such edge, until it says false. The order is
 * that in which the branches were made. Cost: linear in the edges. */
typedef bool (*CiraEdgeCallback)(void *context, MlirOperation terminator,
                                 intptr_t successor);
MLIR_CAPI_EXPORTED void ciraBlockVisitPredecessors(MlirBlock block,
                                                   CiraEdgeCallback each,
                                                   void *context);

/* Is `ancestor` `op` itself or a region-holding op around it? */
MLIR_CAPI_EXPORTED bool ciraOperationIsAncestor(MlirOperation ancestor,
                                                MlirOperation op);

/* The model in force at `op`: of the nearest module around it that carries
 * one, otherwise the default. */
MLIR_CAPI_EXPORTED MlirAttribute ciraOperationGetMachine(MlirOperation op);

/* Emits a remark at `loc`: a decision, taken or declined, with its figures. */
MLIR_CAPI_EXPORTED void ciraEmitRemark(MlirLocation loc, MlirStringRef text);

/* Is the op of this name? `name` is a NUL-terminated "dialect.op". */
MLIR_CAPI_EXPORTED bool ciraOperationHasName(MlirOperation op,
                                             const char *name);

/* The integer a value always has: true and `*out_number` if it is the result
 * of a constant op and fits. */
MLIR_CAPI_EXPORTED bool ciraValueGetConstant(MlirValue value,
                                             int64_t *out_number);

/* Says that `op` is a copy, on other values, of the op it was cloned from and
 * done only where that one would be: the clang plug-in then gives it all that
 * the original has (flags, metadata, attributes of calls). */
MLIR_CAPI_EXPORTED void ciraOperationMarkCopy(MlirOperation op);

/* The same for an op of a whole loop that was copied before anything was
 * changed: what the original says about its neighbours in the loop holds too.
 */
MLIR_CAPI_EXPORTED void ciraOperationMarkPlain(MlirOperation op);

/* Is it an !llvm.array, and what of? `out_count` and `out_element` are
 * written only if it is. */
MLIR_CAPI_EXPORTED bool ciraTypeIsALLVMArray(MlirType type, uint64_t *out_count,
                                             MlirType *out_element);

/* Is it an !llvm.ptr? */
MLIR_CAPI_EXPORTED bool ciraTypeIsALLVMPointer(MlirType type);

#ifdef __cplusplus
}
#endif

#endif /* CIRA_C_IR_H */
