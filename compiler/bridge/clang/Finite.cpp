// SPDX-License-Identifier: Apache-2.0
// Which loops end. C++, and C for loops whose condition is no constant, let a
// compiler assume it; clang says so at each loop. Optimisations lose that where
// they merge or thread branches, and later nobody can tell such a loop from
// `for (;;)`. So it is noted before anything else has run: beside the module,
// not in it, which stays as clang has it.
// Threading: one module at a time, as clang compiles them.
#include "Plugin.h"

#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/CFG.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/CFG.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/Transforms/Utils/LoopUtils.h"

using namespace llvm;

namespace cira {

namespace {

struct Finite {
  std::string module; // its identifier
  StringSet<> names;  // of functions
};

Finite &finite() {
  static Finite known;
  return known;
}

} // namespace

/// Does clang say of each loop that it ends?
static bool allEnd(Function &F) {
  if (F.mustProgress()) {
    return true;
  }
  DominatorTree DT(F);
  LoopInfo LI(DT);
  for (Loop *L : LI.getLoopsInPreorder()) {
    if (!hasMustProgress(L)) {
      return false;
    }
  }
  // A cycle with two entries is no loop of LLVM's.
  ReversePostOrderTraversal<const Function *> order(&F);
  return !containsIrreducibleCFG<const BasicBlock *>(order, LI);
}

void markFinite(Module &M) {
  SmallPtrSet<const Function *, 16> unsure;
  for (Function &F : M) {
    if (!F.isDeclaration() && !allEnd(F)) {
      unsure.insert(&F);
    }
  }
  // What may be inlined counts too; who calls through a pointer may inline
  // anything.
  for (bool changed = !unsure.empty(); changed;) {
    changed = false;
    for (Function &F : M) {
      bool calls = false;
      for (BasicBlock &B : F) {
        for (Instruction &I : B) {
          auto *C = dyn_cast<CallBase>(&I);
          calls |= C && !C->isInlineAsm() &&
                   (!C->getCalledFunction() ||
                    unsure.contains(C->getCalledFunction()));
        }
      }
      changed |= calls && unsure.insert(&F).second;
    }
  }
  finite() = {M.getModuleIdentifier(), {}};
  for (Function &F : M) {
    if (!F.isDeclaration() && !unsure.contains(&F)) {
      finite().names.insert(F.getName());
    }
  }
}

bool isFinite(const Function &F) {
  return finite().module == F.getParent()->getModuleIdentifier() &&
         finite().names.contains(F.getName());
}

} // namespace cira
