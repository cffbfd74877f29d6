/* SPDX-License-Identifier: Apache-2.0
 * cira-finish-llvm: types and all that is left become the LLVM dialect. The
 * conversion is MLIR's own (bridge/ToLLVM.cpp), with the types of the cira
 * dialect added; here is said what may not remain. */
#include "analysis/ir.h"
#include "cira-c/Lowering.h"
#include "codegen/emit.h"
#include "passes/pass.h"

#include <string.h>

static bool is_done(MlirOperation op) {
  MlirStringRef name = mlirIdentifierStr(mlirOperationGetName(op));
  return (name.length > 5 && memcmp(name.data, "llvm.", 5) == 0) ||
         (name.length > 8 && memcmp(name.data, "builtin.", 8) == 0);
}

/* An op that nothing here can lower is an error, at the op itself. */
static MlirWalkResult check(MlirOperation op, void *failed) {
  if (!is_done(op)) {
    cira_emit_error(op, "cannot be lowered to LLVM: it stays after all "
                        "conversions of cira-to-llvm; lower it to func, scf, "
                        "cf, arith, math, memref, vector or cira ops first");
    *(bool *)failed = true;
    return MlirWalkResultInterrupt;
  }
  return MlirWalkResultAdvance;
}

/* What the passes noted on ops and the module means nothing any more. */
static MlirWalkResult drop_notes(MlirOperation op, void *unused) {
  (void)unused;
  for (intptr_t i = mlirOperationGetNumDiscardableAttributes(op) - 1; i >= 0;
       i--) {
    MlirStringRef name =
        mlirIdentifierStr(mlirOperationGetDiscardableAttribute(op, i).name);
    if (name.length > 5 && memcmp(name.data, "cira.", 5) == 0) {
      mlirOperationRemoveDiscardableAttributeByName(op, name);
    }
  }
  return MlirWalkResultAdvance;
}

bool cira__run_CiraFinishLlvm(MlirOperation op) {
  bool failed = false;
  if (!ciraConvertToLLVM(op)) {
    return false;
  }
  mlirOperationWalk(op, check, &failed, MlirWalkPostOrder);
  mlirOperationWalk(op, drop_notes, NULL, MlirWalkPreOrder);
  return !failed;
}
