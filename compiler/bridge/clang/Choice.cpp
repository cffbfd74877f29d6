// SPDX-License-Identifier: Apache-2.0
// Puts what chooses between two versions of a loop (runtime/cc/choice.c) into
// the module that is being compiled: its LLVM IR, which is part of the plug-in.
#include "Plugin.h"

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace llvm;

static const unsigned char bitcode[] = {
#include "choice.inc"
};

static constexpr const char prefix[] = "cira_choice1_";

// The numbers are those of runtime/cc/choice.h.
static cl::opt<int> fixedChoice(
    "cira-choice", cl::Hidden,
    cl::desc("for tests: 1: all loops as they were, 2: as changed, 3: by turns "
             "of a few iterations"));

static constexpr unsigned siteWords = 16 * 16, lineBytes = 64;

// As in runtime/cc/cc.h.
static constexpr unsigned jumpFixedShift = 8;

/// What the IR says of the machine and the way it was compiled for.
static void forget(Module &M) {
  while (!M.named_metadata_empty()) {
    M.eraseNamedMetadata(&*M.named_metadata_begin());
  }
  for (Function &F : M) {
    for (const char *name :
         {"target-cpu", "target-features", "tune-cpu", "frame-pointer",
          "min-legal-vector-width", "no-trapping-math", "probe-stack",
          "stack-protector-buffer-size"}) {
      F.removeFnAttr(name);
    }
    F.removeFnAttr(Attribute::UWTable);
  }
}

/// The clock of x86 is a counter that programs may read. That of AArch64 is its
/// timer, for which LLVM 19 has no intrinsic; the counter is not for programs.
/// Elsewhere there is none, and all loops stay as they were.
static void setClock(Module &M, const Triple &triple) {
  Function *cycles = M.getFunction("llvm.readcyclecounter");
  if (!cycles || triple.isX86()) {
    return;
  }
  for (User *user : make_early_inc_range(cycles->users())) {
    auto *call = cast<CallInst>(user);
    Value *now = ConstantInt::get(call->getType(), 0);
    if (triple.isAArch64()) {
      auto *type = FunctionType::get(call->getType(), false);
      now = CallInst::Create(
          type, InlineAsm::get(type, "mrs $0, cntvct_el0", "=r", true), "",
          call->getIterator());
    }
    call->replaceAllUsesWith(now);
    call->eraseFromParent();
  }
}

/// Calling conventions that all but these have not.
static void setConventions(Module &M, const Triple &triple) {
  if (triple.getArch() == Triple::x86_64 || triple.isAArch64()) {
    return;
  }
  for (Function &F : M) {
    F.setCallingConv(CallingConv::C);
    for (Instruction &I : instructions(F)) {
      if (auto *call = dyn_cast<CallBase>(&I)) {
        call->setCallingConv(CallingConv::C);
      }
    }
  }
}

namespace cira {

bool isChoice(StringRef name) {
  return name.starts_with("cira_choice");
}

bool addChoice(Module &M) {
  auto source = parseBitcodeFile(
      MemoryBufferRef(
          StringRef(reinterpret_cast<const char *>(bitcode), sizeof bitcode),
          "choice"),
      M.getContext());
  if (!source) {
    consumeError(source.takeError());
    return false;
  }
  Module &own = **source;
  Triple triple(M.getTargetTriple());
  own.setTargetTriple(M.getTargetTriple());
  own.setDataLayout(M.getDataLayout());
  own.setIsNewDbgInfoFormat(M.IsNewDbgInfoFormat);
  forget(own);
  setClock(own, triple);
  setConventions(own, triple);
  SmallVector<std::string> names;
  for (Function &F : own) {
    if (!F.isDeclaration()) {
      if (F.hasLocalLinkage()) {
        F.setName(prefix + F.getName());
      }
      F.setLinkage(GlobalValue::ExternalLinkage);
      names.push_back(F.getName().str());
    }
  }
  if (Linker::linkModules(M, std::move(*source))) {
    return false;
  }
  for (const std::string &name : names) {
    Function *F = M.getFunction(name);
    F->setLinkage(GlobalValue::LinkOnceODRLinkage);
    F->setVisibility(GlobalValue::HiddenVisibility);
    F->setDSOLocal(true);
    if (triple.supportsCOMDAT()) {
      F->setComdat(M.getOrInsertComdat(name));
    }
  }
  return true;
}

GlobalVariable *makeSite(Module &M) {
  LLVMContext &C = M.getContext();
  auto *word = Type::getInt32Ty(C);
  auto *stripes = ArrayType::get(word, siteWords);
  auto *type = StructType::get(C, {stripes, word});
  Constant *start = ConstantStruct::get(
      type, {ConstantAggregateZero::get(stripes),
             ConstantInt::get(word, static_cast<uint64_t>(fixedChoice))});
  auto *site = new GlobalVariable(M, type, false, GlobalValue::InternalLinkage,
                                  start, "cira.choice");
  site->setAlignment(Align(lineBytes));
  GlobalValue::SanitizerMetadata unwatched;
  unwatched.NoAddress = unwatched.NoHWAddress = true;
  site->setSanitizerMetadata(unwatched);
  return site;
}

void fixJump(CallInst &step) {
  if (auto *distance = dyn_cast<ConstantInt>(step.getArgOperand(2))) {
    step.setArgOperand(2,
                       ConstantInt::get(distance->getType(),
                                        distance->getZExtValue() |
                                            static_cast<uint64_t>(fixedChoice)
                                                << jumpFixedShift));
  }
}

void inlineChoice(Function &F) {
  SmallVector<CallBase *> calls;
  for (Instruction &I : instructions(F)) {
    auto *call = dyn_cast<CallBase>(&I);
    Function *callee = call ? call->getCalledFunction() : nullptr;
    if (callee && isChoice(callee->getName()) &&
        callee->hasFnAttribute(Attribute::AlwaysInline)) {
      calls.push_back(call);
    }
  }
  for (CallBase *call : calls) {
    InlineFunctionInfo info;
    InlineFunction(*call, info);
  }
}

} // namespace cira
