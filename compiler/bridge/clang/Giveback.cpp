// SPDX-License-Identifier: Apache-2.0
// A function that MLIR exported goes into its old place. Every instruction
// with a tag is made anew as a copy of the original, with the operands as MLIR
// wired them; instructions without one are those that passes made. The new
// body grows in a function of its own and is verified before the old one goes.
#include "Plugin.h"

#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/DebugProgramInstruction.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace llvm;

namespace cira {

namespace {

class Rebuild {
public:
  Rebuild(Route &R, Function &from) : R(R), from(from) {}
  ~Rebuild() {
    if (body) {
      body->deleteBody();
      body->eraseFromParent();
    }
  }

  bool run(std::string &why);

private:
  void mapCarried();
  Instruction *originalOf(const Instruction &I);
  Instruction *remade(Instruction &I);
  Instruction *remadeFrom(Instruction &I, Instruction &original);
  Instruction *duplicate(Instruction &I);
  Instruction *remadeCall(CallBase &I, CallBase &original);
  bool sameShape(const Instruction &I, const Instruction &original);
  void mapNames();
  void matchPhis(BasicBlock &B, const Instruction &original);
  void matchPlainPhis(BasicBlock &B, const Instruction &original);
  bool wire(Instruction &I, std::string &why);
  Value *mapped(Value *V);
  Value *fromOriginal(Value *V, bool plain = false);
  void restoreBundles(CallBase &C, const CallBase &original);
  void restoreRecords(Instruction &I, const Instruction &original);
  void locateNew();
  void swap();

  Route &R;
  Function &from;
  Function *body = nullptr; // in the module of R.F
  ValueToValueMapTy map;    // of `from` -> of `body` or of the module
  DenseMap<const Value *, Value *> ofOriginal;            // of R.F -> of `body`
  DenseMap<const Instruction *, Instruction *> originals; // of `body` -> of R.F
  DenseSet<const Instruction *> claimed;
  DenseSet<const Instruction *> duplicates; // in `body`
  // The copies of whole loops that nothing has changed.
  DenseMap<const Value *, Value *> plainOf; // of R.F -> of `body`
  DenseMap<const Instruction *, const Instruction *> plains; // the other way
  std::string wrong;
};

} // namespace

static unsigned tagAt(const Instruction &I, unsigned &column) {
  const DebugLoc &loc = I.getDebugLoc();
  column = loc ? loc.getCol() : 0;
  return loc ? loc.getLine() : 0;
}

/// Could `I` be `original` after MLIR? The callee of a call is not compared:
/// it may be a stand-in.
bool Rebuild::sameShape(const Instruction &I, const Instruction &original) {
  if (I.getOpcode() != original.getOpcode() ||
      I.getType() != original.getType()) {
    return false;
  }
  if (auto *call = dyn_cast<CallBase>(&original)) {
    auto kept = count_if(call->args(), [](const Use &A) {
      return !A->getType()->isMetadataTy();
    });
    // MLIR 19 appends what it hands to the blocks behind an invoke.
    auto size = static_cast<size_t>(kept);
    return isa<InvokeInst>(I) ? cast<CallBase>(I).arg_size() >= size
                              : cast<CallBase>(I).arg_size() == size;
  }
  if (I.getNumOperands() != original.getNumOperands()) {
    return false;
  }
  for (unsigned i = 0; i < I.getNumOperands(); i++) {
    if (I.getOperand(i)->getType() != original.getOperand(i)->getType()) {
      return false;
    }
  }
  return true;
}

/// The instruction of R.F that `I` is; null for one that a pass made.
Instruction *Rebuild::originalOf(const Instruction &I) {
  unsigned column;
  unsigned tag = tagAt(I, column);
  if (column != TagColumn || tag == 0 || tag > R.byTag.size()) {
    return nullptr;
  }
  Instruction *original = R.byTag[tag - 1];
  if (isa<PHINode>(original) || !sameShape(I, *original) ||
      !claimed.insert(original).second) {
    return nullptr;
  }
  return original;
}

/// A copy of the original call with the operands of `I`. A stand-in gives way
/// to what it stands for.
Instruction *Rebuild::remadeCall(CallBase &I, CallBase &original) {
  auto *copy = cast<CallBase>(original.clone());
  unsigned next = 0;
  for (unsigned i = 0; i < copy->arg_size(); i++) {
    if (!original.getArgOperand(i)->getType()->isMetadataTy()) {
      copy->setArgOperand(i, I.getArgOperand(next++));
    }
  }
  if (!original.isInlineAsm() && !isa<IntrinsicInst>(original)) {
    copy->setCalledOperand(I.getCalledOperand());
  }
  if (auto *inv = dyn_cast<InvokeInst>(copy)) {
    inv->setNormalDest(cast<InvokeInst>(I).getNormalDest());
    inv->setUnwindDest(cast<InvokeInst>(I).getUnwindDest());
  }
  return copy;
}

/// A copy of the original with the operands of `I`.
Instruction *Rebuild::remadeFrom(Instruction &I, Instruction &original) {
  Instruction *copy;
  if (auto *call = dyn_cast<CallBase>(&original)) {
    copy = remadeCall(cast<CallBase>(I), *call);
  } else {
    copy = original.clone();
    for (unsigned i = 0; i < I.getNumOperands(); i++) {
      copy->setOperand(i, I.getOperand(i));
    }
  }
  if (R.weakened.contains(&original)) {
    copy->dropPoisonGeneratingFlags();
  }
  return copy;
}

/// One more copy of an original, that a pass asked for; null if `I` is none.
/// What the original says about its neighbours in the same iteration holds for
/// a copy only if all of the loop was copied.
Instruction *Rebuild::duplicate(Instruction &I) {
  unsigned column;
  unsigned tag = tagAt(I, column);
  bool plain = column == PlainColumn;
  if ((column != CopyColumn && !plain) || tag == 0 || tag > R.byTag.size()) {
    return nullptr;
  }
  Instruction &original = *R.byTag[tag - 1];
  auto *call = dyn_cast<CallBase>(&original);
  if (isa<PHINode>(original) || !sameShape(I, original) ||
      (call && call->hasOperandBundles())) {
    return nullptr;
  }
  Instruction *copy = remadeFrom(I, original);
  copy->setMetadata(LLVMContext::MD_DIAssignID, nullptr);
  for (unsigned kind : {LLVMContext::MD_alias_scope, LLVMContext::MD_noalias,
                        LLVMContext::MD_access_group, LLVMContext::MD_loop,
                        LLVMContext::MD_mem_parallel_loop_access}) {
    if (!plain) {
      copy->setMetadata(kind, nullptr);
    }
  }
  if (plain && plainOf.try_emplace(&original, copy).second) {
    plains[copy] = &original;
  }
  duplicates.insert(copy);
  return copy;
}

Instruction *Rebuild::remade(Instruction &I) {
  if (Instruction *copy = duplicate(I)) {
    return copy;
  }
  Instruction *original = originalOf(I);
  Instruction *copy;
  if (!original) {
    copy = I.clone();
    copy->dropUnknownNonDebugMetadata(
        {LLVMContext::MD_prof, LLVMContext::MD_loop});
    copy->dropPoisonGeneratingFlags();
    copy->setDebugLoc(DebugLoc());
    return copy;
  }
  copy = remadeFrom(I, *original);
  copy->setName(original->getName());
  ofOriginal[original] = copy;
  originals[copy] = original;
  return copy;
}

/// The k-th PHI of a block is the k-th of the original block: passes add new
/// ones behind.
void Rebuild::matchPhis(BasicBlock &B, const Instruction &terminator) {
  auto *original = const_cast<BasicBlock *>(terminator.getParent());
  ofOriginal[original] = map[&B];
  cast<BasicBlock>(map[&B])->setName(original->getName());
  auto phi = B.phis().begin();
  for (PHINode &old : original->phis()) {
    if (phi == B.phis().end() || phi->getType() != old.getType()) {
      return;
    }
    auto *copy = cast<PHINode>(map[&*phi]);
    copy->copyMetadata(old);
    copy->copyIRFlags(&old);
    copy->setDebugLoc(old.getDebugLoc());
    copy->setName(old.getName());
    ofOriginal[&old] = copy;
    originals[copy] = &old;
    ++phi;
  }
}

/// The same for a block of a plain copy, which is as the original was.
void Rebuild::matchPlainPhis(BasicBlock &B, const Instruction &terminator) {
  auto phi = B.phis().begin();
  for (const PHINode &old : terminator.getParent()->phis()) {
    if (phi == B.phis().end() || phi->getType() != old.getType()) {
      return;
    }
    auto *copy = cast<PHINode>(map[&*phi]);
    copy->copyMetadata(old);
    copy->copyIRFlags(&old);
    copy->setDebugLoc(old.getDebugLoc());
    plainOf.try_emplace(&old, copy);
    plains[copy] = &old;
    ++phi;
  }
}

/// The function of libcira-cc.a (runtime/cc/cc.h) that loops over lists call:
/// a weak definition that says "nothing", so that every object links anywhere;
/// the archive has the real one.
static Function *jumpStep(Module &M, FunctionType *type) {
  LLVMContext &C = M.getContext();
  Triple triple(M.getTargetTriple());
  auto *step =
      Function::Create(type, GlobalValue::WeakAnyLinkage, "cira_jump_step", M);
  step->setVisibility(GlobalValue::HiddenVisibility);
  step->setDSOLocal(true);
  if (triple.supportsCOMDAT()) {
    step->setComdat(M.getOrInsertComdat(step->getName()));
  }
  if (triple.getArch() == Triple::x86_64 || triple.isAArch64()) {
    step->setCallingConv(CallingConv::PreserveMost);
  }
  // It touches nothing that the program sees; the caller may rely on it.
  step->setMemoryEffects(MemoryEffects::inaccessibleMemOnly());
  for (auto kind : {Attribute::NoUnwind, Attribute::WillReturn,
                    Attribute::NoFree, Attribute::Cold, Attribute::NoInline}) {
    step->addFnAttr(kind);
  }
  ReturnInst::Create(C, ConstantInt::get(type->getReturnType(), UINT32_MAX),
                     BasicBlock::Create(C, "", step));
  // What brings the archive in, if the link has it: linkers take a definition
  // from an archive where they have a common symbol, as they do not for a weak
  // one.
  if (!M.getNamedValue("cira_cc_jump")) {
    auto *byte = Type::getInt8Ty(C);
    auto *wish = new GlobalVariable(M, byte, false, GlobalValue::CommonLinkage,
                                    ConstantInt::get(byte, 0), "cira_cc_jump");
    wish->setVisibility(GlobalValue::HiddenVisibility);
    wish->setDSOLocal(true);
    appendToUsed(M, {wish});
  }
  return step;
}

/// A function of cira/loop.h: weak, so that it is null in a program that has no
/// far memory. `end` and `walk` order what loops do at home; the others touch
/// what they are given and what no program sees.
static Function *loopFunction(Module &M, const Function &declared) {
  auto *own =
      Function::Create(declared.getFunctionType(),
                       GlobalValue::ExternalWeakLinkage, declared.getName(), M);
  for (auto kind :
       {Attribute::NoUnwind, Attribute::WillReturn, Attribute::NoFree}) {
    own->addFnAttr(kind);
  }
  if (declared.getName() == "cira_loop_begin" ||
      declared.getName() == "cira_loop_put") {
    own->setMemoryEffects(MemoryEffects::inaccessibleOrArgMemOnly());
    own->addParamAttr(0, Attribute::NoCapture);
  }
  if (declared.getName() ==
      "cira_loop_end") { // so the loop's counts are its own
    own->addParamAttr(0, Attribute::NoCapture);
    own->addParamAttr(0, Attribute::ReadOnly);
  }
  return own;
}

/// Names of the library that passes may use.
void Rebuild::mapCarried() {
  Module &M = *R.F.getParent();
  if (Function *step = from.getParent()->getFunction("cira_jump_step")) {
    Function *own = M.getFunction("cira_jump_step");
    map[step] = own ? own : jumpStep(M, step->getFunctionType());
  }
  for (Function &declared : *from.getParent()) {
    if (declared.getName().starts_with("cira_loop_")) {
      Function *own = M.getFunction(declared.getName());
      map[&declared] = own ? own : loopFunction(M, declared);
    }
    if (isChoice(declared.getName())) {
      Function *own = M.getFunction(declared.getName());
      if (!own && addChoice(M)) {
        own = M.getFunction(declared.getName());
      }
      if (own) {
        map[&declared] = own;
      }
    }
  }
  for (GlobalVariable &declared : from.getParent()->globals()) {
    if (declared.getName().starts_with("cira.choice")) {
      map[&declared] = makeSite(M);
    }
  }
}

/// Stand-ins map to what they stand for.
void Rebuild::mapNames() {
  Module &E = *from.getParent();
  mapCarried();
  for (auto &entry : R.standIns) {
    GlobalValue *stand = E.getNamedValue(entry.getKey());
    if (stand && !isa<InlineAsm>(entry.getValue())) {
      map[stand] = entry.getValue();
    }
  }
  for (Function &declared : E) {
    if (declared.isIntrinsic() && !map.count(&declared)) {
      map[&declared] = R.F.getParent()
                           ->getOrInsertFunction(declared.getName(),
                                                 declared.getFunctionType(),
                                                 declared.getAttributes())
                           .getCallee();
    }
  }
}

/// Finds what a constant names that has no counterpart: MLIR, or a pass,
/// declared it.
static const GlobalValue *
strangerIn(const Value *V, const ValueToValueMapTy &map, const Module &module) {
  if (auto *G = dyn_cast<GlobalValue>(V)) {
    return map.count(G) || G->getParent() == &module ? nullptr : G;
  }
  if (auto *C = dyn_cast<Constant>(V)) {
    for (const Value *part : C->operand_values()) {
      if (const GlobalValue *found = strangerIn(part, map, module)) {
        return found;
      }
    }
  }
  return nullptr;
}

Value *Rebuild::mapped(Value *V) {
  if (isa<MetadataAsValue>(V) || isa<InlineAsm>(V)) {
    return V;
  }
  if (auto *C = dyn_cast<Constant>(V)) {
    const GlobalValue *stranger = strangerIn(C, map, *R.F.getParent());
    if (stranger) {
      wrong =
          ("a name of no function or variable: " + stranger->getName()).str();
      return V;
    }
    auto *G = dyn_cast<GlobalValue>(V);
    return G && !map.count(G) ? V : MapValue(V, map);
  }
  auto found = map.find(V);
  if (found == map.end()) {
    wrong = "a value that is not there";
    return V;
  }
  return found->second;
}

bool Rebuild::wire(Instruction &I, std::string &why) {
  for (Use &U : I.operands()) {
    U.set(mapped(U.get()));
  }
  if (auto *phi = dyn_cast<PHINode>(&I)) {
    for (unsigned i = 0; i < phi->getNumIncomingValues(); i++) {
      phi->setIncomingBlock(i, cast<BasicBlock>(map[phi->getIncomingBlock(i)]));
    }
  }
  auto *call = dyn_cast<CallInst>(&I);
  Function *callee = call ? call->getCalledFunction() : nullptr;
  if (callee &&
      (callee->getName() == "cira_jump_step" || isChoice(callee->getName()))) {
    call->setCallingConv(callee->getCallingConv());
    if (!isChoice(callee->getName())) {
      fixJump(*call);
    }
  }
  if (!wrong.empty()) {
    why = wrong;
  }
  return wrong.empty();
}

/// What a value of R.F is in the body; null if it is not there any more.
Value *Rebuild::fromOriginal(Value *V, bool plain) {
  if (isa<Constant>(V) || isa<MetadataAsValue>(V) || isa<InlineAsm>(V)) {
    return V;
  }
  Value *copy = plain ? plainOf.lookup(V) : nullptr;
  return copy ? copy : ofOriginal.lookup(V);
}

/// An assumption's bundles still name values of R.F. One that is gone makes
/// the whole assumption say nothing.
void Rebuild::restoreBundles(CallBase &C, const CallBase &original) {
  for (unsigned i = 0; i < C.getNumOperandBundles(); i++) {
    OperandBundleUse bundle = C.getOperandBundleAt(i);
    for (const Use &U : bundle.Inputs) {
      Value *V = fromOriginal(original.getOperand(U.getOperandNo()));
      const_cast<Use &>(U).set(V ? V : PoisonValue::get(U->getType()));
      if (!V) {
        wrong = "an assumption about a value that is gone";
      }
    }
  }
}

/// Variables of the debugger: they name values too.
void Rebuild::restoreRecords(Instruction &I, const Instruction &original) {
  if (!original.hasDbgRecords() || !I.getParent()->IsNewDbgInfoFormat) {
    return;
  }
  bool plain = plains.count(&I);
  I.cloneDebugInfoFrom(&original);
  for (DbgVariableRecord &record : filterDbgVars(I.getDbgRecordRange())) {
    SmallVector<Value *> values(record.location_ops());
    for (Value *V : values) {
      Value *now = fromOriginal(V, plain);
      if (!now) {
        record.setKillLocation();
        break;
      }
      record.replaceVariableLocationOp(V, now, true);
    }
    if (record.isDbgAssign() && record.getAddress()) {
      Value *now = fromOriginal(record.getAddress(), plain);
      if (now) {
        record.setAddress(now);
      } else {
        record.setKillAddress();
      }
    }
  }
}

/// A new instruction belongs to the line of the next original one, in its
/// block or in the one it leads to.
void Rebuild::locateNew() {
  for (BasicBlock &B : *body) {
    DebugLoc loc;
    if (BasicBlock *next = B.getTerminator()->getNumSuccessors()
                               ? B.getTerminator()->getSuccessor(
                                     B.getTerminator()->getNumSuccessors() - 1)
                               : nullptr) {
      for (Instruction &I : *next) {
        if ((originals.count(&I) || duplicates.count(&I)) && I.getDebugLoc()) {
          loc = I.getDebugLoc();
          break;
        }
      }
    }
    for (Instruction &I : reverse(B)) {
      if (originals.count(&I) || duplicates.count(&I)) {
        loc = I.getDebugLoc();
      } else if (!isa<PHINode>(I)) {
        I.setDebugLoc(loc);
      }
    }
  }
}

void Rebuild::swap() {
  Function &F = R.F;
  for (BasicBlock &B : F) {
    B.dropAllReferences();
  }
  while (!F.empty()) {
    F.back().eraseFromParent();
  }
  F.splice(F.begin(), body);
  for (auto [now, old] : zip(body->args(), F.args())) {
    now.replaceAllUsesWith(&old);
  }
}

bool Rebuild::run(std::string &why) {
  Function &F = R.F;
  body = Function::Create(F.getFunctionType(), GlobalValue::InternalLinkage,
                          F.getAddressSpace(), "cira.body", F.getParent());
  body->copyAttributesFrom(&F);
  body->setLinkage(GlobalValue::InternalLinkage);
  body->setComdat(nullptr);
  body->setIsNewDbgInfoFormat(F.IsNewDbgInfoFormat);
  mapNames();
  for (auto [theirs, ours] : zip(from.args(), body->args())) {
    map[&theirs] = &ours;
  }
  for (auto [old, ours] : zip(F.args(), body->args())) {
    ofOriginal[&old] = &ours;
  }
  for (BasicBlock &B : from) {
    map[&B] = BasicBlock::Create(F.getContext(), "", body);
  }
  for (BasicBlock &B : from) {
    auto *block = cast<BasicBlock>(map[&B]);
    for (Instruction &I : B) {
      Instruction *copy = remade(I);
      copy->insertInto(block, block->end());
      map[&I] = copy;
    }
  }
  for (BasicBlock &B : from) {
    auto found = originals.find(cast<Instruction>(map[B.getTerminator()]));
    auto plain = plains.find(cast<Instruction>(map[B.getTerminator()]));
    if (found != originals.end()) {
      matchPhis(B, *found->second);
    } else if (plain != plains.end()) {
      matchPlainPhis(B, *plain->second);
    }
  }
  for (BasicBlock &B : *body) {
    for (Instruction &I : B) {
      Instruction *original = originals.lookup(&I);
      auto *call = dyn_cast<CallBase>(&I);
      if (original && call && call->hasOperandBundles()) {
        restoreBundles(*call, *cast<CallBase>(original));
        for (Use &U : call->args()) {
          U.set(mapped(U.get()));
        }
        call->setCalledOperand(mapped(call->getCalledOperand()));
      } else if (!wire(I, why)) {
        return false;
      }
    }
  }
  if (!wrong.empty()) {
    why = wrong;
    return false;
  }
  for (auto &[copy, original] : originals) {
    restoreRecords(const_cast<Instruction &>(*copy), *original);
  }
  for (auto &[copy, original] : plains) {
    restoreRecords(const_cast<Instruction &>(*copy), *original);
  }
  locateNew();
  DenseMap<DIAssignID *, DIAssignID *> ids; // one body may not share another's
  for (BasicBlock &B : *body) {
    for (Instruction &I : B) {
      at::remapAssignID(ids, I);
    }
  }
  raw_string_ostream stream(why);
  if (verifyFunction(*body, &stream)) {
    return false;
  }
  swap();
  return true;
}

bool giveBack(Route &R, Function &from, std::string &why) {
  return Rebuild(R, from).run(why);
}

} // namespace cira
