// SPDX-License-Identifier: Apache-2.0
// The bounds of the loops that `#pragma omp for` shares out. The runtime writes
// them to variables, whose addresses it is given; so clang reads the last one
// anew in each iteration, and nobody knows beforehand how often the loop runs.
// But the runtime does not keep the addresses: a bound is what was stored last.
#include "Plugin.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"

using namespace llvm;

namespace cira {

static bool isStaticInit(const User *U) {
  auto *C = dyn_cast<CallInst>(U);
  const Function *callee = C ? C->getCalledFunction() : nullptr;
  return callee && callee->getName().starts_with("__kmpc_for_static_init_");
}

namespace {

/// The uses of one variable.
struct Uses {
  SmallVector<LoadInst *> loads;
  SmallVector<StoreInst *> stores;
  const CallInst *init = nullptr;
};

} // namespace

/// False: it is used for something else too, or shared out more than once.
static bool usesOf(AllocaInst &variable, Uses &uses) {
  for (User *U : variable.users()) {
    auto *load = dyn_cast<LoadInst>(U);
    auto *store = dyn_cast<StoreInst>(U);
    auto *intrinsic = dyn_cast<IntrinsicInst>(U);
    if (load && load->isSimple()) {
      uses.loads.push_back(load);
    } else if (store && store->isSimple() &&
               store->getValueOperand() != &variable) {
      uses.stores.push_back(store);
    } else if (isStaticInit(U) && !uses.init) {
      uses.init = cast<CallInst>(U);
    } else if (!intrinsic || !intrinsic->isLifetimeStartOrEnd()) {
      return false;
    }
  }
  return uses.init;
}

/// The only store behind the runtime's call, if all others come before it.
static StoreInst *lastStore(const Uses &uses, DominatorTree &DT, LoopInfo &LI) {
  StoreInst *last = nullptr;
  if (LI.getLoopFor(uses.init->getParent())) {
    return nullptr;
  }
  for (StoreInst *store : uses.stores) {
    if (LI.getLoopFor(store->getParent())) {
      return nullptr;
    }
    if (!DT.dominates(uses.init, store)) {
      if (!DT.dominates(store, uses.init)) {
        return nullptr;
      }
    } else if (last) {
      return nullptr;
    } else {
      last = store;
    }
  }
  return last;
}

/// Pieces of the runtime's own choice (kmp_sch_static): with a number of
/// threads that the program cannot know, an iteration that needed another would
/// race.
constexpr int64_t PiecesOfItsOwn = 34;
/// Arguments of __kmpc_for_static_init_*.
constexpr unsigned ScheduleArgument = 2;
constexpr unsigned LowerArgument = 4;
constexpr unsigned UpperArgument = 5;

/// Is the value made from one that was read from the variable or stored there?
static bool comesFrom(Value *V, const Value *variable) {
  SmallVector<Value *> work{V};
  for (size_t i = 0; i < work.size() && work.size() < 48; i++) {
    auto *I = dyn_cast<Instruction>(work[i]);
    bool stored = any_of(work[i]->users(), [&](const User *U) {
      auto *store = dyn_cast<StoreInst>(U);
      return store && store->getPointerOperand() == variable;
    });
    auto *load = dyn_cast<LoadInst>(work[i]);
    if ((I && stored) || (load && load->getPointerOperand() == variable)) {
      return true;
    }
    if (I && !isa<PHINode>(I)) {
      append_range(work, I->operands());
    }
  }
  return false;
}

/// Finds the loop that is shared out: it begins with the lower bound and ends
/// by the upper one.
static void findHeader(const CallInst &init, const LoopInfo &LI,
                       SmallPtrSetImpl<const BasicBlock *> &headers) {
  auto *schedule = dyn_cast<ConstantInt>(init.getArgOperand(ScheduleArgument));
  if (!schedule || schedule->getSExtValue() != PiecesOfItsOwn ||
      LI.getLoopFor(init.getParent())) {
    return;
  }
  for (const Loop *L : LI) {
    const BasicBlock *latch = L->getLoopLatch();
    auto *end = latch ? dyn_cast<BranchInst>(latch->getTerminator()) : nullptr;
    BasicBlock *front = L->getLoopPredecessor();
    bool begins = front && any_of(L->getHeader()->phis(), [&](PHINode &phi) {
                    return comesFrom(phi.getIncomingValueForBlock(front),
                                     init.getArgOperand(LowerArgument));
                  });
    if (begins && end && end->isConditional() &&
        comesFrom(end->getCondition(), init.getArgOperand(UpperArgument))) {
      headers.insert(L->getHeader());
    }
  }
}

Bounds::Bounds(Function &F) {
  SmallVector<AllocaInst *> variables;
  for (Instruction &I : F.getEntryBlock()) {
    auto *variable = dyn_cast<AllocaInst>(&I);
    if (variable && any_of(variable->users(), isStaticInit)) {
      variables.push_back(variable);
    }
  }
  if (variables.empty()) {
    return;
  }
  DominatorTree DT(F);
  LoopInfo LI(DT);
  for (AllocaInst *variable : variables) {
    Uses uses;
    if (!usesOf(*variable, uses)) {
      continue;
    }
    StoreInst *store = lastStore(uses, DT, LI);
    if (uses.init->getArgOperand(LowerArgument) == variable) {
      findHeader(*uses.init, LI, headers);
    }
    for (LoadInst *load : uses.loads) {
      Value *bound = store ? store->getValueOperand() : nullptr;
      if (!bound || bound->getType() != load->getType() ||
          !LI.getLoopFor(load->getParent()) || !DT.dominates(store, load)) {
        continue;
      }
      // Not all at once: what the debugger knows stays with the load.
      for (Use &U : make_early_inc_range(load->uses())) {
        replaced.push_back({&U, load});
        U.set(bound);
      }
    }
  }
}

bool Bounds::changed() const {
  return !replaced.empty();
}

void Bounds::undo() {
  for (auto &[use, load] : reverse(replaced)) { // in the order it had
    use->set(load);
  }
  replaced.clear();
}

} // namespace cira
