/* SPDX-License-Identifier: Apache-2.0
 * Lowering to the LLVM dialect: what MLIR 19 offers for it in C++ only. The
 * types of the dialect become
 *   handle, stream -> !llvm.ptr        token -> i64
 *   remote_memref  -> the struct that a memref of this rank becomes
 *   future<T>      -> !llvm.struct<(ptr, i64, T)>: address, ticket, value
 * and all others what MLIR makes of them.
 * Threading: as the IR they are given. */
#ifndef CIRA_C_LOWERING_H
#define CIRA_C_LOWERING_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CiraTypeConverter {
  void *ptr;
} CiraTypeConverter;

/* A converter for types of this context; ciraTypeConverterDestroy frees it. */
MLIR_CAPI_EXPORTED CiraTypeConverter ciraTypeConverterCreate(MlirContext ctx);
MLIR_CAPI_EXPORTED void ciraTypeConverterDestroy(CiraTypeConverter converter);

/* The LLVM type of a type; null type (ptr is NULL) if it has none. */
MLIR_CAPI_EXPORTED MlirType
ciraTypeConverterConvert(CiraTypeConverter converter, MlirType type);

/* Turns the arith, cf, complex, func, index, math, memref, ub and vector ops
 * inside `op` into the LLVM dialect, and all types with them. What it does not
 * know stays as it is, with casts around it. False: it failed, with a
 * diagnostic. */
MLIR_CAPI_EXPORTED bool ciraConvertToLLVM(MlirOperation op);

/* Number of the field that a cira.offload.load_node reads; -1 if its name is
 * not known (the verifier refuses that). */
MLIR_CAPI_EXPORTED intptr_t ciraLoadNodeGetFieldIndex(MlirOperation op);

/* Emits an error at `op`: "'name' op <text>". */
MLIR_CAPI_EXPORTED void ciraEmitOpError(MlirOperation op, MlirStringRef text);

#ifdef __cplusplus
}
#endif

#endif /* CIRA_C_LOWERING_H */
