// SPDX-License-Identifier: Apache-2.0
// Huge pages for large heap blocks (-fcira=huge). Behind each call that may
// allocate a large block stands a test of its size; past the threshold, a cold
// function advises the kernel to back the block by huge pages:
// madvise(MADV_HUGEPAGE), which changes no byte and is refused where it cannot
// be had. Under cira-run the preload library takes the call, and the runtime
// decides by itself.
// C++, since LLVM's analyses and passes are. Nothing here goes through MLIR.
//
// The invariant: a program cannot tell but by its speed and its memory. errno
// stays; the function is emitted into each module (linkonce_odr, hidden) and
// names the C library weakly, so that no build needs anything of ours and one
// without a C library still links. It runs as the last of the optimisations: no
// other one sees it, and what they know of a block stays true.
// Threading: one module at a time, in clang's thread.
#include "Plugin.h"

#include "llvm/Analysis/OptimizationRemarkEmitter.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/Support/KnownBits.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

using namespace llvm;

namespace cira {

namespace {

/// A block of two huge pages (of 2 MiB) has one inside, wherever it begins.
constexpr uint64_t ThresholdBytes = UINT64_C(4) << 20;
constexpr int AdviceHugePage = 14; // MADV_HUGEPAGE, on all of Linux
constexpr const char *FunctionName = "cira_cc_huge";

/// How a call allocates; argument numbers, -1: none.
struct Allocation {
  CallBase *call;
  int size;
  int times = -1; // calloc: another factor
  int old = -1;   // realloc: the block that it may leave where it is
  int out = -1; // posix_memalign: where the address goes; the result is 0 then
};

} // namespace

/// Is it a call of a known allocation function, as the C library's or C++'s?
static bool describe(CallBase &C, const TargetLibraryInfo &TLI, Allocation &A) {
  LibFunc which;
  Function *callee = C.getCalledFunction();
  if (!callee || C.isMustTailCall() || C.hasFnAttr(Attribute::Naked)) {
    return false;
  }
  A = {&C, 0};
  // TLI does not know it; the name and type are reserved as the others' are.
  if (callee->getName() == "posix_memalign" && !C.isNoBuiltin() &&
      callee->isDeclaration() && callee->arg_size() == 3 &&
      C.getType()->isIntegerTy(32) && TLI.has(LibFunc_malloc)) {
    A.size = 2;
    A.out = 0;
    return true;
  }
  if (!TLI.getLibFunc(C, which) || !TLI.has(which)) {
    return false;
  }
  switch (which) {
  case LibFunc_malloc:
  case LibFunc_valloc:
  case LibFunc_Znwm:
  case LibFunc_Znam:
  case LibFunc_ZnwmRKSt9nothrow_t:
  case LibFunc_ZnamRKSt9nothrow_t:
  case LibFunc_ZnwmSt11align_val_t:
  case LibFunc_ZnamSt11align_val_t:
  case LibFunc_ZnwmSt11align_val_tRKSt9nothrow_t:
  case LibFunc_ZnamSt11align_val_tRKSt9nothrow_t:
    return true;
  case LibFunc_calloc:
    A.times = 1;
    return true;
  case LibFunc_realloc:
    A.old = 0;
    A.size = 1;
    return true;
  case LibFunc_aligned_alloc:
  case LibFunc_memalign:
    A.size = 1;
    return true;
  default:
    return false;
  }
}

/// Can the block be large at all?
static bool mayBeLarge(const Allocation &A, const DataLayout &DL) {
  auto most = [&](int argument) {
    return computeKnownBits(A.call->getArgOperand(argument), DL).getMaxValue();
  };
  APInt bytes = most(A.size);
  if (A.times >= 0) {
    bytes = bytes.umul_sat(most(A.times));
  }
  return bytes.uge(ThresholdBytes);
}

/// A function of the C library, which need not be there; null if the program
/// has something of its own under that name.
static Value *weakFunction(Module &M, StringRef name, FunctionType *type) {
  GlobalValue *known = M.getNamedValue(name);
  if (!known) {
    return Function::Create(type, GlobalValue::ExternalWeakLinkage, name, M);
  }
  return isa<Function>(known) && known->isDeclaration() ? known : nullptr;
}

/// Fills cira_cc_huge(block, bytes): advises on the pages of the block, if
/// there is one. All of its pages and no others: what malloc got from mmap then
/// stays one mapping, since mremap, and so realloc, takes only one. glibc's
/// bookkeeping reaches 8 bytes behind the block.
static void fillFunction(Function *F, FunctionCallee advise,
                         FunctionCallee errnoOf, FunctionCallee pageBytes) {
  LLVMContext &C = F->getContext();
  BasicBlock *entry = BasicBlock::Create(C, "entry", F);
  BasicBlock *tell = BasicBlock::Create(C, "tell", F);
  BasicBlock *out = BasicBlock::Create(C, "out", F);
  IRBuilder<> B(entry);
  Type *i64 = B.getInt64Ty(), *i32 = B.getInt32Ty();
  Value *null = ConstantPointerNull::get(B.getPtrTy());
  Value *good = B.CreateICmpNE(F->getArg(0), null);
  for (FunctionCallee needed : {advise, errnoOf, pageBytes}) {
    good = B.CreateAnd(good, B.CreateICmpNE(needed.getCallee(), null));
  }
  B.CreateCondBr(good, tell, out);
  B.SetInsertPoint(tell);
  Value *place = B.CreateCall(errnoOf);
  Value *kept = B.CreateLoad(i32, place);
  Value *page = B.CreateSExt(B.CreateCall(pageBytes), i64);
  Value *mask = B.CreateNeg(page);
  Value *block = B.CreatePtrToInt(F->getArg(0), i64);
  Value *behind = B.CreateAdd(B.CreateAdd(block, F->getArg(1)), B.getInt64(7));
  Value *first = B.CreateAnd(block, mask);
  Value *end = B.CreateAnd(B.CreateAdd(behind, page), mask);
  B.CreateCall(advise, {B.CreateIntToPtr(first, B.getPtrTy()),
                        B.CreateSub(end, first), B.getInt32(AdviceHugePage)});
  B.CreateStore(kept, place);
  B.CreateBr(out);
  B.SetInsertPoint(out);
  B.CreateRetVoid();
}

static Function *emitFunction(Module &M) {
  LLVMContext &C = M.getContext();
  Type *i64 = Type::getInt64Ty(C), *i32 = Type::getInt32Ty(C);
  PointerType *ptr = PointerType::get(C, 0);
  auto *adviseType = FunctionType::get(i32, {ptr, i64, i32}, false);
  auto *errnoType = FunctionType::get(ptr, false);
  auto *pageType = FunctionType::get(i32, false);
  Value *advise = weakFunction(M, "madvise", adviseType);
  Value *errnoOf = weakFunction(M, "__errno_location", errnoType);
  Value *pageBytes = weakFunction(M, "getpagesize", pageType);
  if (M.getNamedValue(FunctionName) || !advise || !errnoOf || !pageBytes) {
    return nullptr;
  }
  // With what the user's options say about all functions.
  Function *F = Function::createWithDefaultAttr(
      FunctionType::get(Type::getVoidTy(C), {ptr, i64}, false),
      GlobalValue::LinkOnceODRLinkage, /*AddrSpace=*/0, FunctionName, &M);
  F->setVisibility(GlobalValue::HiddenVisibility);
  F->setComdat(M.getOrInsertComdat(FunctionName));
  for (Attribute::AttrKind kind :
       {Attribute::Cold, Attribute::NoInline, Attribute::NoUnwind,
        Attribute::MinSize, Attribute::OptimizeForSize}) {
    F->addFnAttr(kind);
  }
  fillFunction(F, {adviseType, advise}, {errnoType, errnoOf},
               {pageType, pageBytes});
  return F;
}

/// The place behind the call, where its result is there and nothing else comes.
static Instruction *behind(CallBase &C) {
  auto *invoke = dyn_cast<InvokeInst>(&C);
  if (!invoke) {
    return C.getNextNode();
  }
  BasicBlock *normal = invoke->getNormalDest();
  if (!normal->getSinglePredecessor()) {
    normal = SplitEdge(invoke->getParent(), normal);
  }
  return &*normal->getFirstInsertionPt();
}

static void advise(const Allocation &A, Function *function) {
  CallBase &C = *A.call;
  IRBuilder<> B(&C);
  Type *i64 = B.getInt64Ty();
  Value *old =
      A.old < 0 ? nullptr : B.CreatePtrToInt(C.getArgOperand(A.old), i64);
  Instruction *at = behind(C);
  B.SetInsertPoint(at);
  B.SetCurrentDebugLocation(C.getDebugLoc());
  Value *bytes = C.getArgOperand(A.size);
  if (A.times >= 0) { // if it does not fit, there is no block
    bytes = B.CreateMul(bytes, C.getArgOperand(A.times));
  }
  Value *large = B.CreateICmpUGE(bytes, B.getInt64(ThresholdBytes));
  if (old) { // a block that grows in place keeps what was advised
    large = B.CreateAnd(large, B.CreateICmpNE(B.CreatePtrToInt(&C, i64), old));
  }
  if (A.out >= 0) {
    large = B.CreateAnd(large, B.CreateICmpEQ(&C, B.getInt32(0)));
  }
  if (!isa<Constant>(large)) {
    MDNode *rare = MDBuilder(C.getContext()).createUnlikelyBranchWeights();
    B.SetInsertPoint(SplitBlockAndInsertIfThen(large, at, false, rare));
    B.SetCurrentDebugLocation(C.getDebugLoc());
  }
  Value *block = A.out < 0 ? static_cast<Value *>(&C)
                           : B.CreateLoad(B.getPtrTy(), C.getArgOperand(A.out));
  B.CreateCall(function, {block, bytes})->setDoesNotThrow();
}

/// Sanitizers have allocators of their own, and know each access by heart.
static bool isWatched(const Function &F) {
  for (Attribute::AttrKind kind :
       {Attribute::SanitizeAddress, Attribute::SanitizeHWAddress,
        Attribute::SanitizeMemory, Attribute::SanitizeThread,
        Attribute::SanitizeMemTag}) {
    if (F.hasFnAttribute(kind)) {
      return true;
    }
  }
  return false;
}

bool adviseHugePages(Module &M, FunctionAnalysisManager &FAM) {
  Triple triple(M.getTargetTriple());
  const DataLayout &DL = M.getDataLayout();
  if (!triple.isOSLinux() || triple.isAndroid() || !triple.isArch64Bit() ||
      DL.getPointerSizeInBits() != 64) {
    return false;
  }
  SmallVector<Allocation> found;
  for (Function &F : M) {
    if (F.isDeclaration() || F.hasOptNone() || F.hasMinSize() || isWatched(F) ||
        F.hasFnAttribute(Attribute::Naked)) {
      continue;
    }
    auto &TLI = FAM.getResult<TargetLibraryAnalysis>(F);
    for (Instruction &I : instructions(F)) {
      Allocation A;
      auto *C = dyn_cast<CallBase>(&I);
      if (C && describe(*C, TLI, A) && mayBeLarge(A, DL)) {
        found.push_back(A);
      }
    }
  }
  Function *function = found.empty() ? nullptr : emitFunction(M);
  if (!function) {
    return false;
  }
  for (const Allocation &A : found) {
    Function &F = *A.call->getFunction();
    FAM.getResult<OptimizationRemarkEmitterAnalysis>(F).emit(
        OptimizationRemark("cira", "Huge", A.call)
        << "asks for huge pages if the block has "
        << std::to_string(ThresholdBytes >> 20) << " MiB or more");
    advise(A, function);
    FAM.invalidate(F, PreservedAnalyses::none());
  }
  return true;
}

} // namespace cira
