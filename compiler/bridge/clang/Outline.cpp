// SPDX-License-Identifier: Apache-2.0
// Loops that are entered only where the plain one may not run become functions
// of their own (C++: LLVM offers the extraction of blocks in C++ alone).
#include "Plugin.h"

#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"
#include "llvm/Transforms/Utils/CodeExtractor.h"

using namespace llvm;

namespace cira {

/// Where the call's answer "not the plain one" leads to, and nothing else;
/// null: it is used otherwise.
static BasicBlock *entryOf(CallInst &call) {
  auto *branch =
      call.hasOneUse() ? dyn_cast<BranchInst>(*call.user_begin()) : nullptr;
  BasicBlock *entry =
      branch && branch->isConditional() ? branch->getSuccessor(1) : nullptr;
  return entry && entry->getSinglePredecessor() == branch->getParent()
             ? entry
             : nullptr;
}

/// Memory of the frame that only these blocks use goes along with them.
static SmallVector<AllocaInst *>
takeFrame(BasicBlock &entry, const SmallPtrSetImpl<BasicBlock *> &blocks) {
  SmallVector<AllocaInst *> taken;
  for (Instruction &I : entry.getParent()->getEntryBlock()) {
    auto *room = dyn_cast<AllocaInst>(&I);
    if (room && room->isStaticAlloca() && !room->use_empty() &&
        all_of(room->users(), [&](User *user) {
          auto *at = dyn_cast<Instruction>(user);
          return at && blocks.contains(at->getParent());
        })) {
      taken.push_back(room);
    }
  }
  for (AllocaInst *room : taken) {
    room->moveBefore(entry, entry.getFirstInsertionPt());
  }
  return taken;
}

/// Places at a fixed distance from what F has anyway are computed anew: handed
/// over, they would stay in registers beside that.
static void takePlaces(BasicBlock &entry, ArrayRef<BasicBlock *> blocks,
                       const SmallPtrSetImpl<BasicBlock *> &set) {
  MapVector<GetElementPtrInst *, SmallVector<Use *>> places;
  for (BasicBlock *B : blocks) {
    for (Instruction &I : *B) {
      for (Use &U : I.operands()) {
        auto *place = dyn_cast<GetElementPtrInst>(U.get());
        if (place && place->hasAllConstantIndices() && !isa<PHINode>(I) &&
            !set.contains(place->getParent())) {
          places[place].push_back(&U);
        }
      }
    }
  }
  for (auto &[place, uses] : places) {
    Instruction *copy = place->clone();
    copy->insertBefore(entry, entry.getFirstInsertionPt());
    for (Use *U : uses) {
      U->set(copy);
    }
  }
}

/// What is known of an argument of F is known of the new function's too.
static void carryKnowledge(const CallInst &call, Function &G) {
  for (unsigned i = 0; i < call.arg_size(); i++) {
    auto *argument = dyn_cast<Argument>(call.getArgOperand(i));
    for (auto kind : {Attribute::NonNull, Attribute::Alignment,
                      Attribute::Dereferenceable, Attribute::NoUndef}) {
      if (argument && argument->hasAttribute(kind)) {
        G.addParamAttr(i, argument->getAttribute(kind));
      }
    }
  }
}

static Function *outline(BasicBlock &entry) {
  Function &F = *entry.getParent();
  DominatorTree DT(F);
  SmallVector<BasicBlock *> blocks;
  DT.getDescendants(&entry, blocks);
  SmallPtrSet<BasicBlock *, 32> set(blocks.begin(), blocks.end());
  SmallVector<AllocaInst *> rooms = takeFrame(entry, set);
  takePlaces(entry, blocks, set);
  CodeExtractor extractor(blocks, &DT, false, nullptr, nullptr, nullptr, false,
                          /*AllowAlloca=*/true, nullptr, "cira");
  CodeExtractorAnalysisCache cache(F);
  Function *G =
      extractor.isEligible() ? extractor.extractCodeRegion(cache) : nullptr;
  BasicBlock &home = G ? G->getEntryBlock() : F.getEntryBlock();
  for (AllocaInst *room : rooms) {
    room->moveBefore(home, home.getFirstInsertionPt());
  }
  if (!G) {
    return nullptr;
  }
  auto *call = cast<CallInst>(*G->user_begin());
  G->addFnAttr(Attribute::NoInline);
  G->setComdat(F.getComdat());
  if (Function *next = F.getParent()->getFunction("cira_choice1_next")) {
    G->setCallingConv(next->getCallingConv()); // it keeps most registers
    call->setCallingConv(next->getCallingConv());
  }
  carryKnowledge(*call, *G);
  return G;
}

SmallVector<Function *> outlineChoices(Function &F) {
  SmallVector<Function *> made, pending{&F};
  while (!pending.empty()) {
    Function *at = pending.pop_back_val();
    EliminateUnreachableBlocks(*at);
    SmallVector<CallInst *> calls;
    for (Instruction &I : instructions(*at)) {
      auto *call = dyn_cast<CallInst>(&I);
      Function *callee = call ? call->getCalledFunction() : nullptr;
      if (callee && (callee->getName() == "cira_choice1_plain" ||
                     callee->getName() == "cira_choice1_open")) {
        calls.push_back(call);
      }
    }
    for (CallInst *call : calls) {
      BasicBlock *entry = call->getFunction() == at ? entryOf(*call) : nullptr;
      if (Function *G = entry ? outline(*entry) : nullptr) {
        made.push_back(G);
        pending.push_back(G);
      }
    }
  }
  return made;
}

} // namespace cira
