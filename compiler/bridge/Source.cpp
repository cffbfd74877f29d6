// SPDX-License-Identifier: Apache-2.0
// The other side of include/cira-c/Source.h. Linked only into tools.
#include "cira-c/Source.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

namespace {
struct Printer : public SourceMgrDiagnosticHandler {
  Printer(llvm::SourceMgr &lines, MLIRContext *context, bool remarks)
      : SourceMgrDiagnosticHandler(lines, context) {
    setHandler([this, remarks](Diagnostic &diagnostic) {
      if (remarks || diagnostic.getSeverity() != DiagnosticSeverity::Remark) {
        emitDiagnostic(diagnostic);
      }
    });
  }
};

struct Source {
  MLIRContext *context;
  llvm::SourceMgr lines;
  std::unique_ptr<Printer> printer;
};
} // namespace

CiraSource ciraSourceOpen(MlirContext ctx, MlirStringRef path, bool remarks) {
  auto file = openInputFile(unwrap(path));
  if (!file) {
    return {nullptr};
  }
  auto *source = new Source{unwrap(ctx), {}, nullptr};
  source->lines.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  source->printer =
      std::make_unique<Printer>(source->lines, source->context, remarks);
  return {source};
}

MlirOperation ciraSourceParse(CiraSource wrapped) {
  auto *source = static_cast<Source *>(wrapped.ptr);
  auto module = parseSourceFile<ModuleOp>(source->lines, source->context);
  return wrap(module ? module.release().getOperation() : nullptr);
}

void ciraSourceClose(CiraSource source) {
  delete static_cast<Source *>(source.ptr);
}

void ciraContextRegisterLLVMTranslation(MlirContext ctx) {
  registerBuiltinDialectTranslation(*unwrap(ctx));
  registerLLVMDialectTranslation(*unwrap(ctx));
}
