// SPDX-License-Identifier: Apache-2.0
// A function becomes a module of its own, in a form that MLIR 19 imports:
//   - everything global it names is a declaration under a name of ours
//     (aliases, ifuncs, unnamed globals and thread-local ones too);
//   - inline assembly, most intrinsics and their metadata operands are calls
//     of such declarations;
//   - identified structs are literal ones, attributes and metadata are gone;
//   - each instruction's tag is its line number.
// Giveback.cpp undoes all of it.
#include "Plugin.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/DIBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Operator.h"

using namespace llvm;

namespace cira {

Route::Route(Function &F) : F(F) {
  for (BasicBlock &B : F) {
    for (Instruction &I : B) {
      byTag.push_back(&I);
      tagOf[&I] = static_cast<unsigned>(byTag.size());
    }
  }
}

//===-- What cannot be taken out ------------------------------------------===//

/// Types of values that the way through MLIR keeps. An identified struct may
/// lie in memory, but not be a value.
static bool isGoodType(Type *T) {
  if (auto *S = dyn_cast<StructType>(T)) {
    return S->isLiteral() && all_of(S->elements(), isGoodType);
  }
  if (auto *A = dyn_cast<ArrayType>(T)) {
    return isGoodType(A->getElementType());
  }
  if (auto *V = dyn_cast<FixedVectorType>(T)) {
    return isGoodType(V->getElementType());
  }
  return T->isIntegerTy() || T->isFloatingPointTy() || T->isPointerTy() ||
         T->isVoidTy() || T->isLabelTy() || T->isMetadataTy();
}

static std::string whyNotOperands(const Instruction &I) {
  for (const Value *V : I.operand_values()) {
    if (isa<BlockAddress>(V)) {
      return "address of a label";
    }
    if (!isGoodType(V->getType())) {
      return "a value of a type that MLIR does not keep";
    }
  }
  return {};
}

static std::string whyNotCall(const CallBase &C) {
  if (isa<CallBrInst>(C)) {
    return "asm goto";
  }
  if (C.isInlineAsm() && isa<InvokeInst>(C)) {
    return "inline assembly that may throw";
  }
  if (C.hasOperandBundles() && !isa<AssumeInst>(C)) {
    return "a call with an operand bundle";
  }
  if (const Function *callee = C.getCalledFunction()) {
    switch (callee->getIntrinsicID()) {
    case Intrinsic::localescape:
    case Intrinsic::experimental_gc_statepoint:
      return "an intrinsic that is bound to its function";
    default:
      break;
    }
  }
  return {};
}

static std::string whyNot(const Instruction &I) {
  if (!isGoodType(I.getType())) {
    return "a value of a type that MLIR does not keep";
  }
  if (auto *C = dyn_cast<CallBase>(&I)) {
    std::string why = whyNotCall(*C);
    if (!why.empty()) {
      return why;
    }
  }
  if (isa<IndirectBrInst>(I)) {
    return "computed goto";
  }
  if (isa<FuncletPadInst>(I) || isa<CatchSwitchInst>(I) ||
      isa<CatchReturnInst>(I) || isa<CleanupReturnInst>(I)) {
    return "funclets";
  }
  if (isa<VAArgInst>(I)) {
    return "va_arg";
  }
  if (auto *L = dyn_cast<LandingPadInst>(&I)) {
    for (unsigned i = 0; i < L->getNumClauses(); i++) {
      if (L->isFilter(i)) {
        return "an exception specification";
      }
    }
  }
  return whyNotOperands(I);
}

std::string whyNot(const Function &F) {
  if (F.hasFnAttribute(Attribute::Naked) || F.hasOptNone()) {
    return "naked or without optimisation";
  }
  if (F.isPresplitCoroutine()) {
    return "a coroutine";
  }
  if (F.hasFnAttribute(Attribute::SanitizeThread) ||
      F.hasFnAttribute(Attribute::SanitizeMemory)) {
    return "a sanitizer that watches each load";
  }
  if (F.isConvergent() || F.hasGC() || F.hasPrefixData() ||
      F.hasPrologueData()) {
    return "a function of a special kind";
  }
  if (!isGoodType(F.getReturnType())) {
    return "a result of a type that MLIR does not keep";
  }
  for (const Argument &A : F.args()) {
    if (!isGoodType(A.getType()) || A.hasSwiftErrorAttr()) {
      return "an argument of a type that MLIR does not keep";
    }
  }
  if (!F.IsNewDbgInfoFormat && F.getSubprogram()) {
    return "debug information of the old form";
  }
  for (const BasicBlock &B : F) {
    if (B.hasAddressTaken()) {
      return "address of a label";
    }
    for (const Instruction &I : B) {
      std::string why = whyNot(I);
      if (!why.empty()) {
        return why;
      }
    }
  }
  return {};
}

//===-- The copy ----------------------------------------------------------===//

namespace {

/// Identified structs become literal ones: pointers are opaque, so a struct
/// never holds itself.
class Literal : public ValueMapTypeRemapper {
public:
  Type *remapType(Type *T) override {
    LLVMContext &C = T->getContext();
    if (auto *S = dyn_cast<StructType>(T)) {
      if (S->isOpaque()) {
        return Type::getInt8Ty(C);
      }
      SmallVector<Type *> parts;
      for (Type *part : S->elements()) {
        parts.push_back(remapType(part));
      }
      return StructType::get(C, parts, S->isPacked());
    }
    if (auto *A = dyn_cast<ArrayType>(T)) {
      return ArrayType::get(remapType(A->getElementType()),
                            A->getNumElements());
    }
    return T;
  }
};

/// Everything global gets a declaration of ours; a weak one, since nothing may
/// be concluded from it: it may be null, or the same as another.
class StandIns : public ValueMaterializer {
public:
  Route &R;
  explicit StandIns(Route &R) : R(R) {}

  std::string nameFor(Value *V) {
    std::string name = "cira.g" + std::to_string(R.standIns.size());
    R.standIns[name] = V;
    return name;
  }

  Value *materialize(Value *V) override {
    auto *G = dyn_cast<GlobalValue>(V);
    if (!G) {
      return nullptr;
    }
    if (auto *type = dyn_cast<FunctionType>(G->getValueType())) {
      return Function::Create(type, GlobalValue::ExternalWeakLinkage,
                              G->getAddressSpace(), nameFor(G), R.M.get());
    }
    return new GlobalVariable(
        *R.M, Type::getInt8Ty(R.M->getContext()), false,
        GlobalValue::ExternalWeakLinkage, nullptr, nameFor(G), nullptr,
        G->isThreadLocal() ? GlobalValue::GeneralDynamicTLSModel
                           : GlobalValue::NotThreadLocal,
        G->getAddressSpace());
  }
};

} // namespace

/// Intrinsics that passes want to see for what they are.
static bool isKept(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::smax:
  case Intrinsic::smin:
  case Intrinsic::umax:
  case Intrinsic::umin:
  case Intrinsic::abs:
  case Intrinsic::bswap:
  case Intrinsic::bitreverse:
  case Intrinsic::ctpop:
  case Intrinsic::ctlz:
  case Intrinsic::cttz:
  case Intrinsic::fshl:
  case Intrinsic::fshr:
    return true;
  default:
    return false;
  }
}

/// Is the call one of a stand-in for its callee?
static bool needsStandIn(const CallBase &C) {
  return C.isInlineAsm() ||
         (isa<IntrinsicInst>(C) && !isKept(C.getIntrinsicID()));
}

/// The copy of a call: of its callee, or of a stand-in without the metadata.
/// Attributes and bundles stay behind.
static Instruction *copyCall(CallBase &C, StandIns &standIns) {
  Module &M = *standIns.R.M;
  SmallVector<Value *> args;
  SmallVector<Type *> types;
  for (Value *A : C.args()) {
    if (!A->getType()->isMetadataTy()) {
      args.push_back(A);
      types.push_back(A->getType());
    }
  }
  FunctionType *type = C.getFunctionType();
  Value *callee = C.getCalledOperand();
  if (needsStandIn(C)) {
    type = FunctionType::get(C.getType(), types, false);
    callee = Function::Create(type, GlobalValue::ExternalLinkage,
                              standIns.nameFor(callee), &M);
    standIns.R.toCopy[callee] = callee;
  } else if (isa<IntrinsicInst>(C)) {
    Value *own = M.getOrInsertFunction(callee->getName(), type).getCallee();
    standIns.R.toCopy[callee] = own;
    standIns.R.toCopy[own] = own;
    callee = own;
  }
  if (auto *inv = dyn_cast<InvokeInst>(&C)) {
    return InvokeInst::Create(type, callee, inv->getNormalDest(),
                              inv->getUnwindDest(), args);
  }
  return CallInst::Create(type, callee, args);
}

static Instruction *copyOf(Instruction &I, StandIns &standIns) {
  if (auto *C = dyn_cast<CallBase>(&I)) {
    return copyCall(*C, standIns);
  }
  Instruction *copy = I.clone();
  SmallVector<std::pair<unsigned, MDNode *>> nodes;
  copy->getAllMetadata(nodes);
  for (auto &[kind, node] : nodes) {
    copy->setMetadata(kind, nullptr);
  }
  if (auto *A = dyn_cast<AllocaInst>(copy)) {
    A->setUsedWithInAlloca(false);
    A->setSwiftError(false);
  }
  return copy;
}

/// A subprogram to hang the tags on.
static DISubprogram *addScope(Module &M, Function &F) {
  DIBuilder builder(M);
  DIFile *file = builder.createFile("cira", "");
  builder.createCompileUnit(dwarf::DW_LANG_C, file, "cira", true, "", 0);
  DISubprogram *scope = builder.createFunction(
      file, "cira", "", file, 1,
      builder.createSubroutineType(builder.getOrCreateTypeArray({})), 1,
      DINode::FlagZero, DISubprogram::SPFlagDefinition);
  F.setSubprogram(scope);
  builder.finalize();
  M.addModuleFlag(Module::Warning, "Debug Info Version",
                  DEBUG_METADATA_VERSION);
  return scope;
}

/// The layout of data without what MLIR does not know (mangling, native
/// widths).
static std::string layoutOf(const Module &M) {
  std::string kept;
  for (StringRef part : split(M.getDataLayoutStr(), '-')) {
    if (!part.starts_with("m:") && !part.starts_with("n")) {
      kept += (kept.empty() ? "" : "-") + part.str();
    }
  }
  return kept;
}

void takeOut(Route &R) {
  LLVMContext &C = R.F.getContext();
  R.M = std::make_unique<Module>("cira", C);
  R.M->setDataLayout(layoutOf(*R.F.getParent()));
  R.M->setIsNewDbgInfoFormat(R.F.IsNewDbgInfoFormat);
  Literal literal;
  StandIns standIns(R);
  Function *copy = R.copy =
      Function::Create(R.F.getFunctionType(), GlobalValue::ExternalLinkage,
                       "cira.function", R.M.get());
  for (auto [from, to] : zip(R.F.args(), copy->args())) {
    R.toCopy[&from] = &to;
  }
  for (BasicBlock &B : R.F) {
    R.toCopy[&B] = BasicBlock::Create(C, "", copy);
  }
  for (Instruction *I : R.byTag) {
    auto *block = cast<BasicBlock>(R.toCopy[I->getParent()]);
    Instruction *to = copyOf(*I, standIns);
    to->insertInto(block, block->end());
    R.toCopy[I] = to;
  }
  DISubprogram *scope = addScope(*R.M, *copy);
  for (Instruction *I : R.byTag) {
    auto *to = cast<Instruction>(R.toCopy[I]);
    RemapInstruction(to, R.toCopy, RF_None, &literal, &standIns);
    to->setDebugLoc(DILocation::get(C, R.tagOf[I], TagColumn, scope));
  }
  if (R.F.hasPersonalityFn()) {
    copy->setPersonalityFn(MapValue(R.F.getPersonalityFn(), R.toCopy, RF_None,
                                    &literal, &standIns));
  }
}

} // namespace cira
