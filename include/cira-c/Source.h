/* SPDX-License-Identifier: Apache-2.0
 * A file of MLIR text with its diagnostics: what MLIR 19's C API lacks is to
 * show the line that a message is about, and LLVM translation without every
 * dialect's. For tools that compile a file.
 * Threading: one thread per source. */
#ifndef CIRA_C_SOURCE_H
#define CIRA_C_SOURCE_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CiraSource {
  void *ptr;
} CiraSource;

/* Reads a file and from here on prints the context's diagnostics to standard
 * error, each with its line; remarks only if `remarks`. Null (ptr is NULL) if
 * the file cannot be read. */
MLIR_CAPI_EXPORTED CiraSource ciraSourceOpen(MlirContext ctx,
                                             MlirStringRef path, bool remarks);

/* The builtin.module that the file holds; null if it is not valid, with
 * diagnostics. */
MLIR_CAPI_EXPORTED MlirOperation ciraSourceParse(CiraSource source);

/* Stops printing. The module stays; it lives as long as the process. */
MLIR_CAPI_EXPORTED void ciraSourceClose(CiraSource source);

/* Lets the context translate the builtin and LLVM dialects to LLVM IR. */
MLIR_CAPI_EXPORTED void ciraContextRegisterLLVMTranslation(MlirContext ctx);

#ifdef __cplusplus
}
#endif

#endif /* CIRA_C_SOURCE_H */
