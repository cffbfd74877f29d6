// SPDX-License-Identifier: Apache-2.0
// mlir-opt's main, with the cira dialect and passes in it. Linked only into
// tools: the plug-in must not carry a second set of MLIR's dialects.
#include "cira-c/Dialect.h"
#include "cira-c/Passes.h"

#include "mlir/CAPI/IR.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int ciraOptMain(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  mlirDialectHandleInsertDialect(mlirGetDialectHandle__cira__(),
                                 MlirDialectRegistry{&registry});
  ciraRegisterPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "cira-opt: the cira dialect", registry));
}
