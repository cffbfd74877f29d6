// SPDX-License-Identifier: Apache-2.0
// What ops do besides being checked: their syntax where TableGen cannot say
// it, folding, canonicalisation and interface methods. The checks are in
// Verify.cpp.
#include "Cira.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace cira;

//===-- Syntax ------------------------------------------------------------===//

// `[3]`, `[%i]` or nothing.
static ParseResult
parseHandleIndex(OpAsmParser &parser,
                 std::optional<OpAsmParser::UnresolvedOperand> &index,
                 IntegerAttr &staticIndex) {
  if (failed(parser.parseOptionalLSquare())) {
    return success();
  }
  int64_t number;
  OptionalParseResult isNumber = parser.parseOptionalInteger(number);
  if (isNumber.has_value()) {
    if (failed(*isNumber)) {
      return failure();
    }
    staticIndex = parser.getBuilder().getI64IntegerAttr(number);
  } else {
    index.emplace();
    if (parser.parseOperand(*index)) {
      return failure();
    }
  }
  return parser.parseRSquare();
}

static void printHandleIndex(OpAsmPrinter &printer, Operation *, Value index,
                             IntegerAttr staticIndex) {
  if (index) {
    printer << '[' << index << ']';
  } else if (staticIndex) {
    printer << '[' << staticIndex.getInt() << ']';
  }
}

// `(far)`
static ParseResult parseTier(OpAsmParser &parser, TierAttr &tier) {
  StringRef word;
  SMLoc loc;
  if (parser.parseLParen() ||
      (loc = parser.getCurrentLocation(), parser.parseKeyword(&word))) {
    return failure();
  }
  std::optional<Tier> value = symbolizeTier(word);
  if (!value) {
    return parser.emitError(loc)
           << "unknown tier " << word << "; use local, cxl, remote_cxl or far";
  }
  tier = TierAttr::get(parser.getContext(), *value);
  return parser.parseRParen();
}

static void printTier(OpAsmPrinter &printer, Operation *, TierAttr tier) {
  printer << '(' << stringifyTier(tier.getValue()) << ')';
}

//===-- Folding -----------------------------------------------------------===//

// Turns a constant index operand into the static index; true if it did.
template <typename Op> static bool foldIndex(Op op, Attribute index) {
  auto number = dyn_cast_or_null<IntegerAttr>(index);
  if (!number || number.getValue().getSignificantBits() > 64) {
    return false;
  }
  op.setStaticIndex(number.getValue().getSExtValue());
  op.getIndexMutable().clear();
  return true;
}

OpFoldResult LoadOp::fold(FoldAdaptor adaptor) {
  return foldIndex(*this, adaptor.getIndex()) ? getValue() : OpFoldResult();
}

OpFoldResult LoadAsyncOp::fold(FoldAdaptor adaptor) {
  return foldIndex(*this, adaptor.getIndex()) ? getFuture() : OpFoldResult();
}

LogicalResult StoreOp::fold(FoldAdaptor adaptor,
                            SmallVectorImpl<OpFoldResult> &) {
  return success(foldIndex(*this, adaptor.getIndex()));
}

LogicalResult StoreAsyncOp::fold(FoldAdaptor adaptor,
                                 SmallVectorImpl<OpFoldResult> &) {
  return success(foldIndex(*this, adaptor.getIndex()));
}

OpFoldResult ExtractOp::fold(FoldAdaptor adaptor) {
  return foldIndex(*this, adaptor.getIndex()) ? getPart() : OpFoldResult();
}

OpFoldResult HandleFieldOp::fold(FoldAdaptor adaptor) {
  return foldIndex(*this, adaptor.getIndex()) ? getField() : OpFoldResult();
}

OpFoldResult HandleOffsetOp::fold(FoldAdaptor adaptor) {
  if (foldIndex(*this, adaptor.getIndex())) {
    return getResult();
  }
  if (!getStaticIndex()) {
    return {};
  }
  if (*getStaticIndex() == 0) {
    return getHandle();
  }
  auto inner = getHandle().getDefiningOp<HandleOffsetOp>();
  int64_t a = inner && inner.getStaticIndex() ? *inner.getStaticIndex() : 0;
  int64_t b = *getStaticIndex(), sum;
  if (a == 0 || llvm::AddOverflow(a, b, sum)) {
    return {};
  }
  setStaticIndex(sum);
  getHandleMutable().assign(inner.getHandle());
  return getResult();
}

OpFoldResult HandleNullOp::fold(FoldAdaptor) {
  return UnitAttr::get(getContext());
}

OpFoldResult HandleIsNullOp::fold(FoldAdaptor adaptor) {
  return isa_and_nonnull<UnitAttr>(adaptor.getHandle())
             ? BoolAttr::get(getContext(), true)
             : OpFoldResult();
}

// A cast to its own type is nothing; a cast and its inverse cancel.
template <typename Op> static OpFoldResult foldCast(Op op) {
  if (op.getSource().getType() == op.getResult().getType()) {
    return op.getSource();
  }
  auto inner = op.getSource().template getDefiningOp<Op>();
  if (inner && inner.getSource().getType() == op.getResult().getType()) {
    return inner.getSource();
  }
  return {};
}

OpFoldResult HandleCastOp::fold(FoldAdaptor) {
  return foldCast(*this);
}

OpFoldResult RemoteCastOp::fold(FoldAdaptor) {
  return foldCast(*this);
}

// A load that is awaited at once is a plain load; a load that is awaited only
// to be thrown away is none.
LogicalResult AwaitOp::canonicalize(AwaitOp op, PatternRewriter &rewriter) {
  auto load = op.getFuture().getDefiningOp<LoadAsyncOp>();
  if (!load || !op.getFuture().hasOneUse()) {
    return failure();
  }
  if (op.getValue().use_empty()) {
    rewriter.eraseOp(op);
    rewriter.eraseOp(load);
    return success();
  }
  if (load->getNextNode() != op) {
    return failure();
  }
  rewriter.replaceOpWithNewOp<LoadOp>(op, op.getValue().getType(),
                                      load.getHandle(), load.getIndex(),
                                      load.getStaticIndexAttr());
  rewriter.eraseOp(load);
  return success();
}

//===-- Interfaces --------------------------------------------------------===//

OperandRange OffloadOp::getEntrySuccessorOperands(RegionBranchPoint) {
  return getInputs();
}

void OffloadOp::getSuccessorRegions(RegionBranchPoint point,
                                    SmallVectorImpl<RegionSuccessor> &regions) {
  if (point.isParent()) {
    regions.emplace_back(&getBody(), getBody().getArguments());
  } else {
    regions.emplace_back(getResults());
  }
}

llvm::FailureOr<unsigned> LoadNodeOp::getFieldIndex() {
  auto edge = dyn_cast<LLVM::LLVMStructType>(
      cast<HandleType>(getEdge().getType()).getElementType());
  auto module = (*this)->getParentOfType<ModuleOp>();
  if (!edge || !edge.isIdentified() || !module) {
    return failure();
  }
  auto table = module->getAttrOfType<DictionaryAttr>("cira.fields");
  auto names = table ? table.getAs<ArrayAttr>(edge.getName()) : ArrayAttr();
  for (auto [i, name] :
       llvm::enumerate(names ? names.getValue() : ArrayRef<Attribute>())) {
    if (name == getFieldAttr() && i < edge.getBody().size()) {
      return static_cast<unsigned>(i);
    }
  }
  return failure();
}

#define GET_OP_CLASSES
#include "CiraOps.cpp.inc"
