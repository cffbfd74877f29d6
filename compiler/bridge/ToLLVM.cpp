// SPDX-License-Identifier: Apache-2.0
// The other side of include/cira-c/Lowering.h: MLIR's type converter with the
// types of the dialect, and MLIR's conversion patterns run with it. No op of
// the cira dialect is lowered here (codegen/ does that, in C).
#include "Cira.h"
#include "cira-c/Lowering.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ComplexToLLVM/ComplexToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/LoweringOptions.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace cira;

//===-- Types -------------------------------------------------------------===//

// The struct that MLIR makes of a memref of this rank.
static Type descriptorOf(RemoteMemRefType type) {
  MLIRContext *context = type.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context);
  Type number = IntegerType::get(context, 64);
  SmallVector<Type> fields = {pointer, pointer, number};
  if (!type.getShape().empty()) {
    fields.append(2, LLVM::LLVMArrayType::get(number, type.getShape().size()));
  }
  return LLVM::LLVMStructType::getLiteral(context, fields);
}

static void addTypes(LLVMTypeConverter &converter) {
  converter.addConversion([](HandleType type) -> Type {
    return LLVM::LLVMPointerType::get(type.getContext());
  });
  converter.addConversion([](StreamType type) -> Type {
    return LLVM::LLVMPointerType::get(type.getContext());
  });
  converter.addConversion([](TokenType type) -> Type {
    return IntegerType::get(type.getContext(), 64);
  });
  converter.addConversion(
      [](RemoteMemRefType type) -> Type { return descriptorOf(type); });
  converter.addConversion([&converter](FutureType type) -> std::optional<Type> {
    MLIRContext *context = type.getContext();
    Type value = converter.convertType(type.getValueType());
    if (!value) {
      return Type();
    }
    return LLVM::LLVMStructType::getLiteral(
        context, {LLVM::LLVMPointerType::get(context),
                  IntegerType::get(context, 64), value});
  });
}

static LowerToLLVMOptions optionsFor(MLIRContext *context) {
  LowerToLLVMOptions options(context);
  // An allocation that is left was refused by cira-lower-ops.
  options.allocLowering = LowerToLLVMOptions::AllocLowering::None;
  return options;
}

CiraTypeConverter ciraTypeConverterCreate(MlirContext ctx) {
  MLIRContext *context = unwrap(ctx);
  context->getOrLoadDialect<LLVM::LLVMDialect>();
  auto *converter = new LLVMTypeConverter(context, optionsFor(context));
  addTypes(*converter);
  return {converter};
}

void ciraTypeConverterDestroy(CiraTypeConverter converter) {
  delete static_cast<LLVMTypeConverter *>(converter.ptr);
}

MlirType ciraTypeConverterConvert(CiraTypeConverter converter, MlirType type) {
  return wrap(static_cast<LLVMTypeConverter *>(converter.ptr)
                  ->convertType(unwrap(type)));
}

//===-- Conversion --------------------------------------------------------===//

static void addPatterns(LLVMTypeConverter &converter,
                        RewritePatternSet &patterns) {
  populateFuncToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  cf::populateAssertToLLVMConversionPattern(converter, patterns);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  index::populateIndexToLLVMConversionPatterns(converter, patterns);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  populateComplexToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  populateMathToLibmConversionPatterns(patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns);
}

bool ciraConvertToLLVM(MlirOperation wrapped) {
  Operation *op = unwrap(wrapped);
  MLIRContext *context = op->getContext();
  LLVMTypeConverter converter(context, optionsFor(context));
  addTypes(converter);
  RewritePatternSet patterns(context);
  addPatterns(converter, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalOp<ModuleOp, UnrealizedConversionCastOp>();
  return succeeded(applyPartialConversion(op, target, std::move(patterns)));
}

//===-- Queries -----------------------------------------------------------===//

void ciraEmitOpError(MlirOperation op, MlirStringRef text) {
  unwrap(op)->emitOpError(unwrap(text));
}

intptr_t ciraLoadNodeGetFieldIndex(MlirOperation op) {
  auto index = cast<LoadNodeOp>(unwrap(op)).getFieldIndex();
  return succeeded(index) ? static_cast<intptr_t>(*index) : -1;
}
