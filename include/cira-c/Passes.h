/* SPDX-License-Identifier: Apache-2.0
 * C API of the passes. Each pass of compiler/passes/Passes.td can be created
 * by its argument (its name on the command line) and added to a pass manager,
 * or all can be registered for textual pipelines.
 * Threading: register once, before pass managers are made. */
#ifndef CIRA_C_PASSES_H
#define CIRA_C_PASSES_H

#include "mlir-c/Pass.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the passes and the named pipelines known to textual pipelines
 * (mlirParsePassPipeline, mlir-opt). May be called again: does nothing. */
MLIR_CAPI_EXPORTED void ciraRegisterPasses(void);

/* A new pass, owned by the caller until it is added to a pass manager.
 *   argument   as in Passes.td, e.g. "cira-recognize".
 * Null pass (ptr is NULL) if there is none of this name. */
MLIR_CAPI_EXPORTED MlirPass ciraCreatePass(MlirStringRef argument);

/* Number of passes, and the name of the i-th (static string). */
MLIR_CAPI_EXPORTED intptr_t ciraGetNumPasses(void);
MLIR_CAPI_EXPORTED const char *ciraGetPassArgument(intptr_t index);

/* The stages of a named pipeline as mlir-opt text, e.g.
 * "cira-recognize,cira-prefetch-distance"; NULL if there is none of this
 * name. ciraGetPipelineName(i) is NULL past the last one. */
MLIR_CAPI_EXPORTED const char *ciraGetPipelineStages(const char *name);
MLIR_CAPI_EXPORTED const char *ciraGetPipelineName(intptr_t index);

/* mlir-opt's main with the cira dialect and passes registered besides MLIR's
 * own. Returns the exit code of the process. */
MLIR_CAPI_EXPORTED int ciraOptMain(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif /* CIRA_C_PASSES_H */
