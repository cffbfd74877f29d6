// SPDX-License-Identifier: Apache-2.0
// Entry points that a stock mlir-opt-19 looks for:
//   mlir-opt-19 --load-dialect-plugin=cira-dialect.so
//               --load-pass-plugin=cira-dialect.so ...
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

#include "cira-c/Dialect.h"
#include "cira-c/Passes.h"
#include "mlir/CAPI/IR.h"
#include "mlir/IR/DialectRegistry.h"

static void registerDialect(mlir::DialectRegistry *registry) {
  mlirDialectHandleInsertDialect(mlirGetDialectHandle__cira__(),
                                 MlirDialectRegistry{registry});
  ciraRegisterPasses();
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "cira", "0.1", registerDialect};
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "cira", "0.1", ciraRegisterPasses};
}
