// SPDX-License-Identifier: Apache-2.0
// What LLVM's analyses know about the loops of a function, as facts that
// passes in C decide by. Nothing is decided here, except whether a function
// has an access that could be worth the way through MLIR at all.
//
// A loop is `bounded` if it leaves by its latch alone, after a number of
// iterations that is known before it begins, and if nothing in it can end it
// early, free memory or wait for another thread. Then memory that each
// iteration reads (`always`) may be read ahead, up to the last iteration.
#include "Plugin.h"

#include "llvm/Analysis/AliasAnalysis.h"
#include "llvm/Analysis/BlockFrequencyInfo.h"
#include "llvm/Analysis/CaptureTracking.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/MemoryBuiltins.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/Analysis/ScalarEvolutionExpressions.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/Transforms/Utils/LoopUtils.h"

using namespace llvm;

namespace cira {

namespace {

/// A step wider than this is not walked ahead: a page's worth.
constexpr int64_t MaxStrideBytes = 4096;
/// Values that meet at the end of an iteration.
constexpr unsigned MaxWays = 16;
/// A walk with wider steps has few elements in each page.
constexpr int64_t MaxWalkBytes = 512;
/// Loops larger than this are not looked at: the question whether something
/// writes to an address is asked for each instruction.
constexpr unsigned MaxLoopSize = 4000;

class Gather {
public:
  Gather(Route &R, FunctionAnalysisManager &FAM, bool far)
      : R(R), far(far), LI(FAM.getResult<LoopAnalysis>(R.F)),
        SE(FAM.getResult<ScalarEvolutionAnalysis>(R.F)),
        DT(FAM.getResult<DominatorTreeAnalysis>(R.F)),
        AA(FAM.getResult<AAManager>(R.F)),
        TLI(FAM.getResult<TargetLibraryAnalysis>(R.F)),
        BFI(FAM.getResult<BlockFrequencyAnalysis>(R.F)) {}

  Facts run();

private:
  void loop(Loop &L, int64_t parent);
  bool turns(const LoadInst &load, Loop &L);
  void walk(Instruction &I, const Loop &L, int64_t stride, FactList &list);
  void access(Instruction &I, Loop &L, bool bounded);
  std::string whyUnbounded(Loop &L);
  bool isRecurrence(PHINode &phi, const Loop &L);
  bool recurs(Value *V, const Loop &L);
  bool dependsOnIndex(Value *V, Loop &L);
  const std::vector<Instruction *> &writesOf(const Loop &L);
  bool isParallel(const Loop &L) {
    return L.isAnnotatedParallel() || R.sharedOut.contains(L.getHeader());
  }
  bool isPrivate(Value *variable, Value *pointer, Loop &L);
  bool isUntouched(LoadInst &load, Loop &L);
  void unwrittenIn(LoadInst &load, Loop &L);
  void call(CallBase &C);
  void countOf(const Loop &L);
  void chain(Loop &L, FactList &list);
  bool isLinked(const LoadInst &load, const Loop &L);
  bool hasChain(const Loop &L);
  int64_t extentBytes(Value *pointer, Loop &L);
  int64_t percent(const BasicBlock *B, const BasicBlock *of);
  std::optional<int64_t> walkBytes(Value *pointer, Loop &L);
  bool walks(Loop &L);
  std::optional<int64_t> strideBytes(Value *pointer, Loop &L);
  int64_t stepOf(PHINode &phi, Loop &L);

  Route &R;
  bool far;
  LoopInfo &LI;
  ScalarEvolution &SE;
  DominatorTree &DT;
  AAResults &AA;
  TargetLibraryInfo &TLI;
  BlockFrequencyInfo &BFI;
  Facts facts;
  DenseMap<const Loop *, int64_t> numbers;
  DenseMap<const Loop *, std::vector<Instruction *>> writes;
  DenseMap<const Loop *, bool> scoped; // has scopes of `restrict` inside
};

} // namespace

/// Might the instruction end the loop, free memory or wait for a thread?
static const char *whyStops(const Instruction &I) {
  if (!isGuaranteedToTransferExecutionToSuccessor(&I)) {
    return isa<CallBase>(I) ? "a call that may not return"
                            : "an instruction that may not end";
  }
  if (auto *C = dyn_cast<CallBase>(&I)) {
    bool quiet = C->onlyReadsMemory() || (C->hasFnAttr(Attribute::NoFree) &&
                                          C->hasFnAttr(Attribute::NoSync));
    return quiet ? nullptr : "a call that may free memory or wait";
  }
  if (I.isVolatile()) {
    return "a volatile access";
  }
  if (I.isAtomic() && !isa<FenceInst>(I)) {
    AtomicOrdering order = AtomicOrdering::SequentiallyConsistent;
    if (auto *L = dyn_cast<LoadInst>(&I)) {
      order = L->getOrdering();
    } else if (auto *S = dyn_cast<StoreInst>(&I)) {
      order = S->getOrdering();
    } else if (auto *A = dyn_cast<AtomicRMWInst>(&I)) {
      order = A->getOrdering();
    }
    return isStrongerThanMonotonic(order)
               ? "an atomic access that orders others"
               : nullptr;
  }
  return isa<FenceInst>(I) ? "a fence" : nullptr;
}

/// May the instruction free memory, or let another thread do so: 2; the same,
/// by allocating or freeing: 1; 0: no. What fills or copies memory does not; it
/// does with far memory, whose pages other functions may have to bring.
static int64_t stops(const Instruction &I, const TargetLibraryInfo &TLI,
                     bool far) {
  if (auto *C = dyn_cast<CallBase>(&I)) {
    bool quiet = C->onlyReadsMemory() || (C->hasFnAttr(Attribute::NoFree) &&
                                          C->hasFnAttr(Attribute::NoSync));
    if (auto *fill = dyn_cast<MemIntrinsic>(C)) {
      quiet |= !far && !fill->isVolatile(); // LLVM 19 does not call it nosync
    }
    bool heap = isAllocationFn(C, &TLI) || getFreedOperand(C, &TLI);
    return quiet ? 0 : heap ? 1 : 2;
  }
  const char *why = I.isVolatile() ? nullptr : whyStops(I);
  return why && (I.isAtomic() || isa<FenceInst>(I)) ? 2 : 0;
}

std::string Gather::whyUnbounded(Loop &L) {
  BasicBlock *latch = L.getLoopLatch();
  if (!L.getLoopPredecessor() || !latch) {
    return "the loop has several entries or ends";
  }
  if (L.getExitingBlock() != latch) {
    return "the loop can be left in its middle";
  }
  if (isa<SCEVCouldNotCompute>(SE.getBackedgeTakenCount(&L))) {
    return "it is not known beforehand how often the loop runs";
  }
  unsigned size = 0;
  for (BasicBlock *B : L.blocks()) {
    Loop *inner = LI.getLoopFor(B);
    if (inner != &L && inner->getHeader() == B && !isMustProgress(inner) &&
        !isFinite(R.F) &&
        isa<SCEVCouldNotCompute>(SE.getBackedgeTakenCount(inner))) {
      return "a loop inside may run forever";
    }
    for (Instruction &I : *B) {
      if (const char *why = whyStops(I)) {
        return std::string("there is ") + why + " in the loop";
      }
    }
    size += B->size();
  }
  return size > MaxLoopSize ? "the loop is too large" : "";
}

std::optional<int64_t> Gather::strideBytes(Value *pointer, Loop &L) {
  auto *rec = dyn_cast<SCEVAddRecExpr>(SE.getSCEV(pointer));
  if (!rec || rec->getLoop() != &L || !rec->isAffine()) {
    return std::nullopt;
  }
  auto *step = dyn_cast<SCEVConstant>(rec->getStepRecurrence(SE));
  if (!step || step->getAPInt().getSignificantBits() > 63) {
    return std::nullopt;
  }
  return step->getAPInt().getSExtValue();
}

/// By how much the value of the loop's header grows in each iteration; 0: by
/// nothing known. Each way through the loop may add it by an operation of its
/// own: scalar evolution does not look behind where they meet.
int64_t Gather::stepOf(PHINode &phi, Loop &L) {
  if (!SE.isSCEVable(phi.getType()) || !L.getLoopLatch()) {
    return 0;
  }
  if (std::optional<int64_t> step = strideBytes(&phi, L)) {
    return *step;
  }
  std::optional<int64_t> step;
  SmallSetVector<Value *, 8> values;
  values.insert(phi.getIncomingValueForBlock(L.getLoopLatch()));
  for (unsigned i = 0; i < values.size() && values.size() <= MaxWays; i++) {
    auto *join = dyn_cast<PHINode>(values[i]);
    if (join && join != &phi && LI.getLoopFor(join->getParent()) == &L) {
      values.insert(join->incoming_values().begin(),
                    join->incoming_values().end());
      continue;
    }
    auto *by = dyn_cast<SCEVConstant>(
        SE.getMinusSCEV(SE.getSCEV(values[i]), SE.getSCEV(&phi)));
    if (!by || by->getAPInt().getSignificantBits() > 63) {
      return 0;
    }
    int64_t grows = by->getAPInt().getSExtValue();
    if (grows != step.value_or(grows)) {
      return 0;
    }
    step = grows;
  }
  return values.size() <= MaxWays ? step.value_or(0) : 0;
}

/// Is the value, of the loop's header, computed from such values of the
/// iteration before and from nothing else that changes?
bool Gather::isRecurrence(PHINode &phi, const Loop &L) {
  SmallVector<Value *> work{&phi};
  SmallPtrSet<Value *, 16> seen;
  while (!work.empty()) {
    auto *I = dyn_cast<Instruction>(work.pop_back_val());
    if (!I || !L.contains(I) || !seen.insert(I).second) {
      continue;
    }
    if (seen.size() > 32) {
      return false;
    }
    if (isa<PHINode>(I) && I->getParent() == L.getHeader() &&
        L.getLoopLatch()) {
      work.push_back(
          cast<PHINode>(I)->getIncomingValueForBlock(L.getLoopLatch()));
    } else if (isa<BinaryOperator, CastInst, CmpInst, SelectInst>(I)) {
      append_range(work, I->operands());
    } else {
      return false;
    }
  }
  return true;
}

/// Does the address follow from a recurrence?
bool Gather::recurs(Value *V, const Loop &L) {
  SmallVector<Value *> work{V};
  SmallPtrSet<Value *, 16> seen;
  while (!work.empty() && seen.size() < 64) {
    auto *I = dyn_cast<Instruction>(work.pop_back_val());
    if (!I || !L.contains(I) || !seen.insert(I).second) {
      continue;
    }
    auto *phi = dyn_cast<PHINode>(I);
    if (!phi) {
      append_range(work, I->operands());
    } else if (phi->getParent() == L.getHeader() &&
               SE.isSCEVable(phi->getType()) &&
               !isa<SCEVAddRecExpr>(SE.getSCEV(phi)) && isRecurrence(*phi, L)) {
      return true;
    }
  }
  return false;
}

/// Is the value made from something that the loop reads with a stride, or
/// from its counters in a way that is no stride any more?
bool Gather::dependsOnIndex(Value *V, Loop &L) {
  SmallVector<Value *> work{V};
  SmallPtrSet<Value *, 16> seen;
  while (!work.empty() && seen.size() < 64) {
    auto *I = dyn_cast<Instruction>(work.pop_back_val());
    if (!I || !L.contains(I) || !seen.insert(I).second) {
      continue;
    }
    if (isa<PHINode>(I)) {
      if (I->getParent() == L.getHeader() && SE.isSCEVable(I->getType()) &&
          isa<SCEVAddRecExpr>(SE.getSCEV(I))) {
        return true;
      }
      continue;
    }
    if (auto *load = dyn_cast<LoadInst>(I)) {
      if (strideBytes(load->getPointerOperand(), L)) {
        return true;
      }
    }
    append_range(work, I->operands());
  }
  return false;
}

const std::vector<Instruction *> &Gather::writesOf(const Loop &L) {
  auto [found, isNew] = writes.try_emplace(&L);
  if (isNew) {
    for (BasicBlock *B : L.blocks()) {
      for (Instruction &I : *B) {
        if (isa<NoAliasScopeDeclInst>(I)) {
          scoped[&L] = true;
        } else if (I.mayWriteToMemory() && !isa<AssumeInst>(I)) {
          found->second.push_back(&I);
        }
      }
    }
  }
  return found->second;
}

/// Is the pointer read from memory, handed to the function or the address of
/// something global, so that it leads only to what others know?
static bool isFromElsewhere(Value *pointer) {
  SmallVector<Value *> work{pointer};
  SmallPtrSet<Value *, 16> seen;
  while (!work.empty()) {
    Value *V = getUnderlyingObject(work.pop_back_val(), /*MaxLookup=*/0);
    if (!seen.insert(V).second) {
      continue;
    }
    if (auto *phi = dyn_cast<PHINode>(V)) {
      append_range(work, phi->incoming_values());
    } else if (auto *choice = dyn_cast<SelectInst>(V)) {
      work.append({choice->getTrueValue(), choice->getFalseValue()});
    } else if (!isa<Argument, LoadInst, GlobalValue>(V) || seen.size() > 32) {
      return false;
    }
  }
  return true;
}

/// Is this a variable of the function that nobody else knows while L runs, so
/// that `pointer`, which comes from elsewhere, cannot lead to it?
bool Gather::isPrivate(Value *variable, Value *pointer, Loop &L) {
  const Value *object = getUnderlyingObject(variable);
  BasicBlock *latch = L.getLoopLatch();
  return isa<AllocaInst>(object) && latch && isFromElsewhere(pointer) &&
         !PointerMayBeCapturedBefore(object, /*ReturnCaptures=*/true,
                                     /*StoreCaptures=*/true,
                                     latch->getTerminator(), &DT,
                                     /*IncludeI=*/true,
                                     /*MaxUsesToExplore=*/0, &LI);
}

/// Does no iteration of L write where any iteration reads by this load? Scopes
/// of `restrict` inside L hold for one iteration only.
bool Gather::isUntouched(LoadInst &load, Loop &L) {
  const std::vector<Instruction *> &all = writesOf(L);
  BatchAAResults batch(AA);
  batch.enableCrossIterationMode();
  auto place = [&](Value *pointer, const Instruction &I) {
    AAMDNodes tags = I.getAAMetadata();
    if (scoped.lookup(&L)) {
      tags.Scope = tags.NoAlias = nullptr;
    }
    return MemoryLocation::getBeforeOrAfter(pointer, tags);
  };
  MemoryLocation where = place(load.getPointerOperand(), load);
  return none_of(all, [&](Instruction *I) {
    auto *store = dyn_cast<StoreInst>(I);
    if (store &&
        isPrivate(store->getPointerOperand(), load.getPointerOperand(), L)) {
      return false;
    }
    if (store) {
      return store->isUnordered()
                 ? batch.alias(place(store->getPointerOperand(), *store),
                               where) != AliasResult::NoAlias
                 : isModSet(AA.getModRefInfo(I, where));
    }
    return isModSet(batch.getModRefInfo(I, where));
  });
}

/// The outermost loop around the load in which nothing may write there.
void Gather::unwrittenIn(LoadInst &load, Loop &L) {
  const Loop *outermost = nullptr;
  for (Loop *at = &L; at && at->getNumBlocks() < MaxLoopSize;
       at = at->getParentLoop()) {
    if (!isParallel(*at) && !isUntouched(load, *at)) {
      break;
    }
    outermost = at;
  }
  if (outermost && load.isSimple()) {
    facts.at[R.tagOf[&load]].push_back(
        {.name = "unwritten_in", .number = numbers[outermost]});
  }
}

/// Calls that do nothing, or nothing but compute.
void Gather::call(CallBase &C) {
  auto *intrinsic = dyn_cast<IntrinsicInst>(&C);
  if (intrinsic && (isa<AssumeInst, NoAliasScopeDeclInst>(C) ||
                    intrinsic->getIntrinsicID() == Intrinsic::sideeffect)) {
    facts.at[R.tagOf[&C]].push_back({.name = "nothing", .unit = true});
  } else if (C.doesNotAccessMemory() && C.willReturn() && C.doesNotThrow()) {
    facts.at[R.tagOf[&C]].push_back({.name = "pure", .unit = true});
  }
}

/// Why there may be no second copy of what is in the loop; NULL: there may.
static const char *whySingle(const Loop &L) {
  if (L.getHeader()->getParent()->hasMinSize()) {
    return "the function is compiled for size";
  }
  for (BasicBlock *B : L.blocks()) {
    for (Instruction &I : *B) {
      auto *C = dyn_cast<CallBase>(&I);
      if (isa<AllocaInst>(I)) {
        return "it takes room on the stack in each iteration";
      }
      bool asks = C && C->getIntrinsicID() == Intrinsic::is_constant;
      if (C && !asks && (C->cannotDuplicate() || C->isConvergent())) {
        return "there is a call that must stay the only one";
      }
      if (I.isEHPad() || I.getType()->isTokenTy()) {
        return "exceptions are caught inside";
      }
    }
  }
  return nullptr;
}

/// Does the address follow from what L has found in the iteration before, by
/// more than a step?
bool Gather::isLinked(const LoadInst &load, const Loop &L) {
  SmallVector<const Value *> work{load.getPointerOperand()};
  SmallPtrSet<const Value *, 16> seen;
  while (!work.empty() && seen.size() < 64) {
    auto *I = dyn_cast<Instruction>(work.pop_back_val());
    if (!I || !L.contains(I) || !seen.insert(I).second) {
      continue;
    }
    if (!isa<PHINode>(I) || I->getParent() != L.getHeader()) {
      append_range(work, I->operand_values());
    } else if (SE.isSCEVable(I->getType()) &&
               !isa<SCEVAddRecExpr>(SE.getSCEV(const_cast<Instruction *>(I)))) {
      return true;
    }
  }
  return false;
}

/// Is there a loop inside that may follow a chain?
bool Gather::hasChain(const Loop &L) {
  for (BasicBlock *B : L.blocks()) {
    for (Loop *at = LI.getLoopFor(B); at != &L; at = at->getParentLoop()) {
      for (Instruction &I : *B) {
        auto *load = dyn_cast<LoadInst>(&I);
        if (load && isLinked(*load, *at)) {
          return true;
        }
      }
    }
  }
  return false;
}

/// How often it runs shall be known in front of the loop.
void Gather::countOf(const Loop &L) {
  if (none_of(facts.counts, [&](const Facts::Count &count) {
        return count.header == L.getHeader();
      })) {
    facts.counts.push_back({L.getHeader(), static_cast<unsigned>(numbers[&L])});
  }
}

/// What a loop with loops inside needs to be known for its iterations to be
/// interleaved.
void Gather::chain(Loop &L, FactList &list) {
  if (isParallel(L)) {
    list.push_back({.name = "parallel", .unit = true});
  }
  countOf(L);
  facts.worthwhile = true;
}

/// At most so many bytes can be touched through this address in one run of the
/// loop; 0: not known.
int64_t Gather::extentBytes(Value *pointer, Loop &L) {
  uint64_t size;
  ObjectSizeOpts options;
  const Value *object = getUnderlyingObject(pointer);
  const SCEV *base = SE.getPointerBase(SE.getSCEV(pointer));
  if (!L.isLoopInvariant(object) || !SE.isLoopInvariant(base, &L)) {
    return 0; /* another object each time */
  }
  const DataLayout &layout = R.F.getParent()->getDataLayout();
  if (getObjectSize(object, size, layout, &TLI, options) && size < INT64_MAX) {
    return static_cast<int64_t>(size);
  }
  const SCEV *at = SE.getSCEV(pointer);
  const SCEV *offset = SE.getMinusSCEV(at, base);
  if (isa<SCEVCouldNotCompute>(offset)) {
    return 0;
  }
  APInt reach = SE.getSignedRangeMax(offset) - SE.getSignedRangeMin(offset);
  bool known = !SE.getSignedRange(offset).isFullSet() && !reach.isNegative() &&
               reach.getActiveBits() < 48;
  return known ? static_cast<int64_t>(reach.getZExtValue()) + 1 : 0;
}

int64_t Gather::percent(const BasicBlock *B, const BasicBlock *of) {
  double base = static_cast<double>(BFI.getBlockFreq(of).getFrequency());
  double part = static_cast<double>(BFI.getBlockFreq(B).getFrequency());
  double ratio = base > 0 ? 100 * part / base : 100;
  return ratio < 1     ? 1
         : ratio > 1e8 ? 100000000
                       : static_cast<int64_t>(ratio + 0.5);
}

/// The same where the base is read anew in each iteration: how far it goes
/// through memory if that is always the same.
std::optional<int64_t> Gather::walkBytes(Value *pointer, Loop &L) {
  auto *sum = dyn_cast<SCEVAddExpr>(SE.getSCEV(pointer));
  const SCEVAddRecExpr *walk = nullptr;
  for (const SCEV *part : sum ? sum->operands() : ArrayRef<const SCEV *>()) {
    auto *rec = dyn_cast<SCEVAddRecExpr>(part);
    if (rec && rec->getLoop() == &L && rec->isAffine() && !walk) {
      walk = rec;
    } else if (!isa<SCEVConstant>(part) && !isa<SCEVUnknown>(part)) {
      return std::nullopt;
    } else if (auto *U = dyn_cast<SCEVUnknown>(part)) {
      auto *load = dyn_cast<LoadInst>(U->getValue());
      bool base = U->getType()->isPointerTy() &&
                  (!load || L.isLoopInvariant(load->getPointerOperand()));
      if (!base) {
        return std::nullopt;
      }
    }
  }
  auto *step =
      walk ? dyn_cast<SCEVConstant>(walk->getStepRecurrence(SE)) : nullptr;
  if (!step || step->getAPInt().getSignificantBits() > 63) {
    return std::nullopt;
  }
  return step->getAPInt().getSExtValue();
}

/// Does the loop pass through the same part of the array, which it changes,
/// each time that the loop around it enters it? Behind its last iteration then
/// comes its first, with other values.
bool Gather::turns(const LoadInst &load, Loop &L) {
  auto *at = dyn_cast<SCEVAddRecExpr>(
      SE.getSCEV(const_cast<Value *>(load.getOperand(0))));
  Loop *around = L.getParentLoop();
  if (!at || !around || !whyUnbounded(*around).empty() ||
      SE.getSmallConstantTripCount(&L) < 2 ||
      !SE.isLoopInvariant(at->getStart(), around)) {
    return false;
  }
  for (BasicBlock *B : L.blocks()) {
    for (Instruction &I : *B) {
      auto *store = dyn_cast<StoreInst>(&I);
      if (store && SE.getSCEV(store->getPointerOperand()) == at) {
        return true;
      }
    }
  }
  return false;
}

/// An access that passes through an array, whatever its conditions.
void Gather::walk(Instruction &I, const Loop &L, int64_t stride,
                  FactList &list) {
  if (L.isInnermost() && stride != 0 && std::abs(stride) <= MaxWalkBytes &&
      !I.isVolatile() && !I.isAtomic()) {
    auto number = static_cast<unsigned>(facts.firsts.size());
    list.push_back({.name = "walk", .number = number});
    facts.firsts.push_back({&I, number});
  }
}

void Gather::access(Instruction &I, Loop &L, bool bounded) {
  Value *pointer = getLoadStorePointerOperand(&I);
  bool simple = isa<LoadInst>(I)    ? cast<LoadInst>(I).isSimple()
                : isa<StoreInst>(I) ? cast<StoreInst>(I).isSimple()
                                    : true;
  if (!simple) {
    facts.at[R.tagOf[&I]].push_back({.name = "special", .unit = true});
  }
  if (auto *load = dyn_cast<LoadInst>(&I)) {
    unwrittenIn(*load, L);
  } else if (auto *C = dyn_cast<CallBase>(&I)) {
    call(*C);
  }
  if (!pointer) {
    return;
  }
  if (SE.isLoopInvariant(SE.getSCEV(pointer), &L)) {
    facts.at[R.tagOf[&I]].push_back({.name = "same", .unit = true});
    return;
  }
  FactList &list = facts.at[R.tagOf[&I]];
  BasicBlock *latch = L.getLoopLatch();
  bool always = latch && DT.dominates(I.getParent(), latch);
  std::optional<int64_t> stride = strideBytes(pointer, L);
  if (always) {
    list.push_back({.name = "always", .unit = true});
  }
  if (stride) {
    list.push_back({.name = "stride_bytes", .number = *stride});
    if (far && bounded) {
      walk(I, L, *stride, list);
    }
    auto *load = dyn_cast<LoadInst>(&I);
    if (bounded && always && load && load->isSimple() &&
        std::abs(*stride) <= MaxStrideBytes) {
      list.push_back(
          {.name = "last", .number = static_cast<int64_t>(facts.lasts.size())});
      facts.lasts.push_back({load, static_cast<unsigned>(facts.lasts.size())});
      if (turns(*load, L)) {
        list.push_back({.name = "turns", .unit = true});
        countOf(*L.getParentLoop());
      }
    }
  } else {
    bool recurrent = bounded && L.isInnermost() && recurs(pointer, L);
    bool indirect = recurrent || dependsOnIndex(pointer, L);
    if (recurrent) {
      countOf(L);
    }
    facts.worthwhile |= indirect;
    int64_t extent = indirect ? extentBytes(pointer, L) : 0;
    if (std::optional<int64_t> walk = walkBytes(pointer, L)) {
      list.push_back({.name = "walk_bytes", .number = *walk});
    }
    if (extent) {
      list.push_back({.name = "extent_bytes", .number = extent});
    }
  }
  auto *load = dyn_cast<LoadInst>(&I);
  if (bounded && load && load->isSimple() && isUntouched(*load, L)) {
    list.push_back({.name = "unwritten", .unit = true});
  }
}

/// Does the loop follow a list: is some value of an iteration what is loaded
/// from the one before?
bool Gather::walks(Loop &L) {
  const DataLayout &layout = R.F.getParent()->getDataLayout();
  if (!L.getLoopLatch() || layout.getPointerSize() != 8 || R.F.hasMinSize() ||
      R.F.hasFnAttribute(Attribute::SanitizeAddress) ||
      R.F.hasFnAttribute(Attribute::SanitizeHWAddress) ||
      R.F.hasFnAttribute(Attribute::SanitizeMemTag) ||
      R.F.hasFnAttribute("no-builtins")) {
    return false; // no library, or one that watches each load
  }
  for (PHINode &phi : L.getHeader()->phis()) {
    if (!phi.getType()->isPointerTy() ||
        phi.getType()->getPointerAddressSpace() != 0) {
      continue;
    }
    int64_t bytes;
    auto *load = dyn_cast<LoadInst>(GetPointerBaseWithConstantOffset(
        phi.getIncomingValueForBlock(L.getLoopLatch()), bytes, layout));
    if (load && !load->isVolatile() &&
        GetPointerBaseWithConstantOffset(load->getPointerOperand(), bytes,
                                         layout) == &phi) {
      return true;
    }
  }
  return false;
}

void Gather::loop(Loop &L, int64_t parent) {
  auto number = static_cast<int64_t>(facts.loops.size());
  facts.loops.emplace_back();
  numbers[&L] = number;
  BasicBlock *header = L.getHeader();
  std::string why = whyUnbounded(L);
  unsigned trips = SE.getSmallConstantTripCount(&L);
  if (!trips && L.getLoopLatch()) {
    trips = getLoopEstimatedTripCount(&L).value_or(0);
  }
  FactList list = {{.name = "parent", .number = parent},
                   {.name = "trips", .number = trips}};
  if (parent >= 0) {
    list.push_back({.name = "percent",
                    .number = percent(header, L.getParentLoop()->getHeader())});
  }
  const SCEV *count = SE.getBackedgeTakenCount(&L);
  if (parent >= 0 && !isa<SCEVCouldNotCompute>(count) &&
      !SE.isLoopInvariant(count, L.getParentLoop())) {
    list.push_back({.name = "varies", .unit = true});
  }
  if (!L.getLoopLatch() || L.getExitingBlock() != L.getLoopLatch()) {
    list.push_back({.name = "breaks", .unit = true});
  }
  if (why.empty()) {
    list.push_back({.name = "bounded", .unit = true});
  } else {
    list.push_back({.name = "unbounded", .text = why});
  }
  if (const char *single = whySingle(L)) {
    list.push_back({.name = "single", .text = single});
  }
  if (walks(L)) {
    list.push_back({.name = "walks", .unit = true});
    facts.walks = true;
  }
  bool chained = why.empty() && !L.isInnermost() && hasChain(L);
  if (chained || far) {
    if (const char *whyNot = whySingle(L)) {
      list.push_back({.name = "single", .text = whyNot});
    }
  }
  if (chained) {
    chain(L, list);
  }
  if (far && why.empty() && L.isInnermost()) {
    countOf(L);
  }
  facts.loops[static_cast<size_t>(number)] = list;
  for (BasicBlock *B : L.blocks()) {
    if (LI.getLoopFor(B) != &L) {
      continue;
    }
    FactList &end = facts.at[R.tagOf[B->getTerminator()]];
    end.push_back({.name = "loop", .number = number});
    end.push_back({.name = "percent", .number = percent(B, header)});
    if (B == L.getLoopLatch()) {
      end.push_back({.name = "latch", .unit = true});
    }
    if (B == header) {
      Fact steps = {.name = "steps", .isList = true};
      for (PHINode &phi : B->phis()) {
        steps.list.push_back(stepOf(phi, L));
      }
      end.push_back(steps);
    }
    for (Instruction &I : *B) {
      access(I, L, why.empty());
    }
  }
  for (Loop *inner : L) {
    loop(*inner, number);
  }
}

Facts Gather::run() {
  for (Loop *L : LI) {
    loop(*L, -1);
  }
  for (const Instruction *I : R.byTag) {
    if (int64_t how = facts.loops.empty() ? 0 : stops(*I, TLI, far)) {
      facts.at[R.tagOf[I]].push_back({.name = "stops", .number = how});
    }
  }
  facts.closed = far || !facts.counts.empty();
  facts.worthwhile |= far && !facts.loops.empty();
  facts.watched = R.F.hasFnAttribute(Attribute::SanitizeAddress) ||
                  R.F.hasFnAttribute(Attribute::SanitizeHWAddress) ||
                  R.F.hasFnAttribute(Attribute::SanitizeMemTag);
  return std::move(facts);
}

Facts gather(Route &R, FunctionAnalysisManager &FAM, bool far) {
  return Gather(R, FAM, far).run();
}

} // namespace cira
