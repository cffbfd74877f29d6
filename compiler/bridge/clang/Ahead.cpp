// SPDX-License-Identifier: Apache-2.0
// Puts what loops will have done at their end in front of them, in the copy of
// the function that goes to MLIR: calls of cira.last, cira.first and cira.count
// with the values that the facts name (Facts.cpp), which scalar evolution
// computes. What is new here has no location, so that it has no number either.
#include "Plugin.h"

#include "llvm/Analysis/AssumptionCache.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/Analysis/ScalarEvolutionExpressions.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/Instructions.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"
#include "llvm/Transforms/Utils/LoopUtils.h"
#include "llvm/Transforms/Utils/ScalarEvolutionExpander.h"

using namespace llvm;

namespace cira {

namespace {

/// Computes values in front of loops of the copy.
class Ahead {
public:
  explicit Ahead(Route &R)
      : R(R), F(*R.copy), DT(F), LI(DT), AC(F),
        impl(Triple(R.F.getParent()->getTargetTriple())), TLI(impl, &R.F),
        SE(F, TLI, AC, DT, LI), expander(SE, R.M->getDataLayout(), "cira") {}

  void last(const Facts::Last &last);
  void first(const Facts::First &first);
  void count(const Facts::Count &count);
  void closeLoops();
  void untag();

private:
  Instruction *frontOf(Loop *L);
  Value *expand(const SCEV *what, Type *T, Instruction *before);
  void mark(const char *name, ArrayRef<Value *> values, Instruction *before);

  Route &R;
  Function &F;
  DominatorTree DT;
  LoopInfo LI;
  AssumptionCache AC;
  TargetLibraryInfoImpl impl;
  TargetLibraryInfo TLI;
  ScalarEvolution SE;
  SCEVExpander expander;
};

} // namespace

/// The end of the block in front of the loop; null if there is no such block.
Instruction *Ahead::frontOf(Loop *L) {
  if (L && !L->getLoopPreheader()) {
    InsertPreheaderForLoop(L, &DT, &LI, nullptr, false);
  }
  BasicBlock *front = L ? L->getLoopPreheader() : nullptr;
  return front ? front->getTerminator() : nullptr;
}

/// The value as code; null if it cannot be computed there.
Value *Ahead::expand(const SCEV *what, Type *T, Instruction *before) {
  return !isa<SCEVCouldNotCompute>(what) &&
                 expander.isSafeToExpandAt(what, before)
             ? expander.expandCodeFor(what, T, before)
             : nullptr;
}

void Ahead::mark(const char *name, ArrayRef<Value *> values,
                 Instruction *before) {
  SmallVector<Type *> types;
  for (Value *V : values) {
    types.push_back(V->getType());
  }
  auto *type = FunctionType::get(Type::getVoidTy(F.getContext()), types, false);
  CallInst::Create(R.M->getOrInsertFunction(name, type), values, "",
                   before->getIterator());
}

void Ahead::last(const Facts::Last &last) {
  auto *load = cast<LoadInst>(R.toCopy[last.load]);
  Loop *L = LI.getLoopFor(load->getParent());
  Instruction *before = frontOf(L);
  auto *rec =
      L ? dyn_cast<SCEVAddRecExpr>(SE.getSCEV(load->getPointerOperand()))
        : nullptr;
  if (!before || !rec || rec->getLoop() != L || !rec->isAffine() ||
      load->getPointerAddressSpace() != 0) {
    return;
  }
  Type *i64 = Type::getInt64Ty(F.getContext());
  const SCEV *count = SE.getBackedgeTakenCount(L);
  if (isa<SCEVCouldNotCompute>(count)) {
    return;
  }
  const SCEV *end = rec->evaluateAtIteration(count, SE);
  const SCEV *times = SE.getTruncateOrZeroExtend(count, i64);
  if (!expander.isSafeToExpandAt(end, before)) {
    return;
  }
  Value *again = expand(times, i64, before);
  if (again) {
    Value *address = expand(end, PointerType::get(F.getContext(), 0), before);
    mark("cira.last", {ConstantInt::get(i64, last.number), address, again},
         before);
  }
}

void Ahead::first(const Facts::First &first) {
  auto *access = cast<Instruction>(R.toCopy[first.access]);
  Value *pointer = getLoadStorePointerOperand(access);
  Loop *L = LI.getLoopFor(access->getParent());
  Instruction *before = frontOf(L);
  auto *rec = L ? dyn_cast<SCEVAddRecExpr>(SE.getSCEV(pointer)) : nullptr;
  if (!before || !rec || rec->getLoop() != L ||
      pointer->getType()->getPointerAddressSpace() != 0) {
    return;
  }
  Type *T = PointerType::get(F.getContext(), 0);
  if (Value *address = expand(rec->getStart(), T, before)) {
    Type *i64 = Type::getInt64Ty(F.getContext());
    mark("cira.first", {ConstantInt::get(i64, first.number), address}, before);
  }
}

void Ahead::count(const Facts::Count &count) {
  Loop *L = LI.getLoopFor(cast<BasicBlock>(R.toCopy[count.header]));
  Instruction *before = frontOf(L);
  const SCEV *times = before ? SE.getBackedgeTakenCount(L) : nullptr;
  if (!before || isa<SCEVCouldNotCompute>(times)) {
    return;
  }
  Type *i64 = Type::getInt64Ty(F.getContext());
  Value *again = expand(SE.getTruncateOrZeroExtend(times, i64), i64, before);
  if (again) {
    mark("cira.count", {ConstantInt::get(i64, count.number), again}, before);
  }
}

/// What a loop computes leaves it through a PHI only. New ones go behind those
/// that are there: Giveback.cpp counts on their order.
void Ahead::closeLoops() {
  SmallPtrSet<const PHINode *, 32> old;
  for (BasicBlock &B : F) {
    for (PHINode &phi : B.phis()) {
      old.insert(&phi);
    }
  }
  for (Loop *L : LI) {
    formLCSSARecursively(*L, DT, &LI, &SE);
  }
  for (BasicBlock &B : F) {
    SmallVector<PHINode *> added;
    for (PHINode &phi : B.phis()) {
      if (!old.contains(&phi)) {
        added.push_back(&phi);
      }
    }
    for (PHINode *phi : added) {
      phi->moveBefore(B, B.getFirstNonPHIIt());
    }
  }
}

/// What is new here has no tag.
void Ahead::untag() {
  SmallPtrSet<const Value *, 32> originals;
  for (const Instruction *I : R.byTag) {
    auto *copy = cast<Instruction>(R.toCopy[I]);
    originals.insert(copy);
    if (I->hasPoisonGeneratingFlags() && !copy->hasPoisonGeneratingFlags()) {
      R.weakened.insert(I);
    }
  }
  for (BasicBlock &B : F) {
    for (Instruction &I : B) {
      if (!originals.contains(&I)) {
        I.setDebugLoc(DebugLoc());
      }
    }
  }
}

void markAhead(Route &R, Facts &facts) {
  if (facts.lasts.empty() && !facts.closed) {
    return;
  }
  Ahead ahead(R);
  for (const Facts::Last &last : facts.lasts) {
    ahead.last(last);
  }
  for (const Facts::Count &count : facts.counts) {
    ahead.count(count);
  }
  for (const Facts::First &first : facts.firsts) {
    ahead.first(first);
  }
  if (facts.closed) {
    ahead.closeLoops();
  }
  ahead.untag();
}

} // namespace cira
