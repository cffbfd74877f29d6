/* SPDX-License-Identifier: Apache-2.0
 * What the C parts of the compiler ask of the bridge and nobody else needs:
 * registering a pass by name, which MLIR 19's C API cannot. */
#ifndef CIRA_COMPILER_BRIDGE_BRIDGE_H
#define CIRA_COMPILER_BRIDGE_BRIDGE_H

#include "mlir-c/Pass.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Registers a pass for textual pipelines; `create` gives a new one each time
 * it is asked. */
void cira__pass_register(MlirPass (*create)(const void *),
                         const void *user_data);

/* Registers `name` as a pipeline that stands for the text `stages`. */
void cira__pipeline_register(const char *name, const char *description,
                             const char *stages);

#ifdef __cplusplus
}
#endif

#endif /* CIRA_COMPILER_BRIDGE_BRIDGE_H */
