/* SPDX-License-Identifier: Apache-2.0
 * cira-finish-llvm: types and all that is left become the LLVM dialect. The
 * conversion is MLIR's own (bridge/ToLLVM.cpp), with the types of the cira
 * dialect added; here is said what may not remain. */
#include "analysis/ir.h"
#include "cira-c/Lowering.h"
#include "codegen/emit.h"
#include "passes/pass.h"

#include <string.h>

static bool has_prefix(MlirOperation op, const char *prefix) {
  MlirStringRef name = mlirIdentifierStr(mlirOperationGetName(op));
  size_t length = strlen(prefix);
  return name.length > length && memcmp(name.data, prefix, length) == 0;
}

/* The first op that is left; one of the func dialect only if there is no
 * other: a function stays because of what is in it. */
static MlirWalkResult find_left(MlirOperation op, void *data) {
  MlirOperation *left = data;
  if (has_prefix(op, "llvm.") || has_prefix(op, "builtin.")) {
    return MlirWalkResultAdvance;
  }
  bool function = has_prefix(op, "func.");
  if (!function || mlirOperationIsNull(*left)) {
    *left = op;
  }
  return function ? MlirWalkResultAdvance : MlirWalkResultInterrupt;
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
  MlirOperation left = {NULL};
  if (!ciraConvertToLLVM(op)) {
    return false;
  }
  mlirOperationWalk(op, find_left, &left, MlirWalkPreOrder);
  if (!mlirOperationIsNull(left)) {
    return cira_emit_error(
        left, "cannot be lowered to LLVM: it stays after all conversions of "
              "cira-to-llvm; lower it to func, scf, cf, arith, math, memref, "
              "vector or cira ops first");
  }
  mlirOperationWalk(op, drop_notes, NULL, MlirWalkPreOrder);
  return true;
}
