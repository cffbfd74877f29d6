// SPDX-License-Identifier: Apache-2.0
// What clang loads: the entry point, the options that cira-cc passes on, and
// the module pass that sends functions through MLIR. Remarks of the passes
// become clang's (-Rpass=cira, -Rpass-missed=cira) at the place of the
// instruction they speak of.
#include "Plugin.h"

#include "cira-c/Dialect.h"
#include "cira-c/Passes.h"

#include "mlir/CAPI/IR.h"
#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMIRToLLVMTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Target/LLVMIR/Import.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/OptimizationRemarkEmitter.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/PassPlugin.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/SimpleLoopUnswitch.h"
#include "llvm/Transforms/Utils/Mem2Reg.h"

using namespace llvm;

namespace {

cl::opt<std::string> passList("cira-passes", cl::Hidden,
                              cl::desc("which changes to make; none: all"));
cl::opt<std::string> machineFile("cira-machine", cl::Hidden,
                                 cl::desc("machine model, a JSON file"));
cl::opt<std::string> emitStage("cira-emit", cl::Hidden,
                               cl::desc("print mlir, cira or llvm"));
cl::opt<std::string> emitFile("cira-emit-file", cl::init("-"), cl::Hidden,
                              cl::desc("where cira-emit prints"));
cl::opt<std::string>
    route("cira-route", cl::init("worth"), cl::Hidden,
          cl::desc("functions to send through MLIR: worth, all (for tests)"));
cl::opt<std::string>
    failAt("cira-fail-at", cl::Hidden,
           cl::desc("for tests: import, pass, export, giveback or crash"));

/// A remark or error that was reported while a function was on its way.
struct Said {
  unsigned tag;
  bool remark;
  std::string text;
};

/// Tag of an op: the line of its location, under whatever wraps it.
unsigned tagOf(mlir::Location location) {
  unsigned tag = 0;
  location->walk([&](mlir::Location at) {
    if (auto file = dyn_cast<mlir::FileLineColLoc>(at)) {
      tag = file.getLine();
      return mlir::WalkResult::interrupt();
    }
    return mlir::WalkResult::advance();
  });
  return tag;
}

mlir::DictionaryAttr asAttribute(const cira::FactList &list,
                                 mlir::MLIRContext &context) {
  mlir::Builder builder(&context);
  mlir::NamedAttrList entries;
  for (const cira::Fact &fact : list) {
    mlir::Attribute value = builder.getI64IntegerAttr(fact.number);
    if (fact.unit) {
      value = builder.getUnitAttr();
    } else if (fact.isList) {
      value = builder.getDenseI64ArrayAttr(fact.list);
    } else if (!fact.text.empty()) {
      value = builder.getStringAttr(fact.text);
    }
    entries.set(fact.name, value);
  }
  return entries.getDictionary(&context);
}

class CiraPass : public PassInfoMixin<CiraPass> {
public:
  PreservedAnalyses run(Module &M, ModuleAnalysisManager &MAM);

private:
  bool prepare(Module &M);
  bool offer(Function &F, const cira::Bounds &bounds, StringRef stages,
             FunctionAnalysisManager &FAM);
  bool setMachine(Module &M);
  bool sendSafely(cira::Route &R, cira::Facts &facts,
                  OptimizationRemarkEmitter &ORE);
  void abandon();
  bool send(cira::Route &R, cira::Facts &facts, OptimizationRemarkEmitter &ORE);
  void attach(mlir::ModuleOp module, const cira::Facts &facts);
  void report(cira::Route &R, OptimizationRemarkEmitter &ORE);
  void missed(cira::Route &R, OptimizationRemarkEmitter &ORE,
              const std::string &why, bool internal);
  void emit(const cira::Route &R, StringRef stage,
            function_ref<void(raw_ostream &)> print);

  std::unique_ptr<mlir::MLIRContext> context;
  std::unique_ptr<mlir::PassManager> passes;
  mlir::Attribute machine;
  std::vector<Said> said;
  bool crashed = false; // nothing of MLIR's may be touched any more
};

} // namespace

//===-- Set-up ------------------------------------------------------------===//

bool CiraPass::setMachine(Module &M) {
  if (machineFile.empty()) {
    return true;
  }
  auto file = MemoryBuffer::getFile(machineFile);
  if (!file) {
    M.getContext().emitError("cira: cannot read machine model " + machineFile +
                             ": " + file.getError().message());
    return false;
  }
  StringRef text = (*file)->getBuffer();
  machine = unwrap(ciraMachineAttrParseJSON(
      wrap(mlir::Location(mlir::UnknownLoc::get(context.get()))),
      mlirStringRefCreate(text.data(), text.size())));
  if (!machine) {
    M.getContext().emitError("cira: " + machineFile + " is no machine model: " +
                             (said.empty() ? "" : said.front().text));
  }
  said.clear();
  return static_cast<bool>(machine);
}

/// What -fcira= can name, in the order in which it is done (the names are
/// also in driver/driver.c). "huge" is another: it has a pass of its own.
struct Change {
  const char *name;
  const char *pass;
};
static constexpr Change changes[] = {
    {"far", "cira-llvm-far"}, // what the others see are the loops of old
    {"interleave", "cira-llvm-interleave"},
    {"lookahead", "cira-llvm-lookahead"},
    {"prefetch", "cira-llvm-prefetch"},
    {"jump", "cira-llvm-jump"}, // after those that split blocks
};

/// Does -fcira= name it? An empty list names all but far.
static bool isWanted(StringRef list, StringRef name) {
  SmallVector<StringRef> wanted;
  list.split(wanted, ',', -1, /*KeepEmpty=*/false);
  return wanted.empty() ? name != "far" : is_contained(wanted, name);
}

/// The pipeline of the changes that were asked for.
static std::string pipelineOf(StringRef list) {
  std::string stages;
  for (const Change &change : changes) {
    if (isWanted(list, change.name)) {
      stages += (stages.empty() ? "" : ",") + std::string(change.pass);
    }
  }
  return stages;
}

bool CiraPass::prepare(Module &M) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::LLVM::LLVMDialect, mlir::DLTIDialect>();
  mlirDialectHandleInsertDialect(mlirGetDialectHandle__cira__(),
                                 wrap(&registry));
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerLLVMDialectImport(registry);
  context = std::make_unique<mlir::MLIRContext>(
      registry, mlir::MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  context->getDiagEngine().registerHandler([this](mlir::Diagnostic &diag) {
    bool remark = diag.getSeverity() == mlir::DiagnosticSeverity::Remark;
    said.push_back({tagOf(diag.getLocation()), remark, diag.str()});
    return mlir::success();
  });
  if (!setMachine(M)) {
    return false;
  }
  ciraRegisterPasses();
  passes = std::make_unique<mlir::PassManager>(context.get());
  passes->enableVerifier(false); // once, after the last
  std::string stages = pipelineOf(passList);
  return stages.empty() ||
         succeeded(mlir::parsePassPipeline(stages, *passes, errs()));
}

//===-- Telling the user --------------------------------------------------===//

/// The line of an instruction; of the next one that has a line, if LLVM has
/// merged it out of several.
static DebugLoc placeOf(const cira::Route &R, unsigned tag) {
  if (!tag || tag > R.byTag.size()) {
    return DebugLoc();
  }
  const Instruction *I = R.byTag[tag - 1];
  while (I && (!I->getDebugLoc() || !I->getDebugLoc().getLine())) {
    I = I->getNextNode();
  }
  return I ? I->getDebugLoc() : R.byTag[tag - 1]->getDebugLoc();
}

void CiraPass::report(cira::Route &R, OptimizationRemarkEmitter &ORE) {
  for (const Said &s : said) {
    const Instruction *at =
        s.tag && s.tag <= R.byTag.size() ? R.byTag[s.tag - 1] : nullptr;
    const BasicBlock *block = at ? at->getParent() : &R.F.getEntryBlock();
    if (!s.remark) {
      continue;
    }
    // "cira-llvm-prefetch: missed: why" and "cira-llvm-prefetch: what"
    StringRef text = StringRef(s.text).split(": ").second;
    if (text.consume_front("missed: ")) {
      ORE.emit(
          OptimizationRemarkMissed("cira", "Missed", placeOf(R, s.tag), block)
          << text);
    } else {
      ORE.emit(OptimizationRemark("cira", "Changed", placeOf(R, s.tag), block)
               << text);
    }
  }
}

/// The function stays as clang has it. An internal failure is said aloud too:
/// not as a diagnostic, which -Werror would turn into a broken build.
void CiraPass::missed(cira::Route &R, OptimizationRemarkEmitter &ORE,
                      const std::string &why, bool internal) {
  std::string text = "function left to clang: " + why;
  if (internal) {
    for (const Said &s : said) {
      text += s.remark ? "" : "; " + s.text;
    }
  }
  DebugLoc loc;
  if (DISubprogram *scope = R.F.getSubprogram()) {
    loc = DILocation::get(R.F.getContext(), scope->getLine(), 0, scope);
  }
  ORE.emit(
      OptimizationRemarkMissed("cira", "LeftToClang", loc, &R.F.getEntryBlock())
      << text);
}

/// A function through which cira broke: its IR goes to a file, and a warning
/// asks for a report.
static void askForReport(const cira::Route &R, const std::string &why) {
  SmallString<128> path;
  int fd;
  if (sys::fs::createTemporaryFile("cira-report", "ll", fd, path)) {
    path = "(no file could be written)";
  } else {
    raw_fd_ostream out(fd, true);
    out << "; cira: function " << R.F.getName() << ": " << why << "\n"
        << *R.F.getParent();
  }
  errs() << "cira: warning: " << R.F.getName()
         << " is compiled by clang alone after an internal failure; please "
            "report it with the file "
         << path << "\n";
}

void CiraPass::emit(const cira::Route &R, StringRef stage,
                    function_ref<void(raw_ostream &)> print) {
  if (emitStage != stage) {
    return;
  }
  std::error_code error;
  raw_fd_ostream out(emitFile, error,
                     emitFile == "-" ? sys::fs::OF_None : sys::fs::OF_Append);
  if (error) {
    R.F.getContext().emitError("cira: cannot write " + emitFile + ": " +
                               error.message());
    return;
  }
  out << (stage == "llvm" ? "; " : "// ") << R.F.getName() << "\n";
  print(out);
  out << "\n";
}

//===-- One function ------------------------------------------------------===//

void CiraPass::attach(mlir::ModuleOp module, const cira::Facts &facts) {
  mlir::Builder builder(context.get());
  if (machine) {
    module->setAttr("cira.machine", machine);
  }
  module.walk([&](mlir::Operation *op) {
    if (auto function = dyn_cast<mlir::LLVM::LLVMFuncOp>(op)) {
      SmallVector<mlir::Attribute> loops;
      for (const cira::FactList &list : facts.loops) {
        loops.push_back(asAttribute(list, *context));
      }
      if (!function.isExternal() && !loops.empty()) {
        mlir::NamedAttrList list;
        list.set("loops", builder.getArrayAttr(loops));
        if (facts.watched) {
          list.set("watched", builder.getUnitAttr());
        }
        if (facts.alone) {
          list.set("alone", builder.getUnitAttr());
        }
        op->setDiscardableAttr("cira.facts", list.getDictionary(&*context));
      }
      return;
    }
    auto found = facts.at.find(tagOf(op->getLoc()));
    bool own = isa<mlir::LLVM::LoadOp, mlir::LLVM::StoreOp, mlir::LLVM::CallOp,
                   mlir::LLVM::InvokeOp, mlir::LLVM::FenceOp,
                   mlir::LLVM::AtomicRMWOp, mlir::LLVM::AtomicCmpXchgOp>(op) ||
               op->hasTrait<mlir::OpTrait::IsTerminator>();
    if (own && found != facts.at.end() && !found->second.empty()) {
      op->setDiscardableAttr("cira.facts",
                             asAttribute(found->second, *context));
    }
  });
}

/// A pass that changes a function says so in its facts.
static bool isChanged(mlir::ModuleOp module) {
  auto function = module.lookupSymbol<mlir::LLVM::LLVMFuncOp>("cira.function");
  auto facts = function->getAttrOfType<mlir::DictionaryAttr>("cira.facts");
  return facts && facts.contains("changed");
}

/// The calls that markAhead put in.
static void eraseMarkers(mlir::ModuleOp module) {
  module.walk([](mlir::LLVM::CallOp call) {
    if (call.getCallee() == StringRef("cira.last") ||
        call.getCallee() == StringRef("cira.first") ||
        call.getCallee() == StringRef("cira.count")) {
      call.erase();
    }
  });
}

bool CiraPass::send(cira::Route &R, cira::Facts &facts,
                    OptimizationRemarkEmitter &ORE) {
  said.clear();
  cira::takeOut(R);
  cira::markAhead(R, facts);
  std::string why;
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::translateLLVMIRToModule(std::move(R.M), context.get(), false, true);
  if (!module || failAt == "import") {
    missed(R, ORE, why = "MLIR cannot import it", true);
    askForReport(R, why);
    return false;
  }
  attach(*module, facts);
  emit(R, "mlir", [&](raw_ostream &out) { module->print(out); });
  if (failAt == "crash") {
    std::abort();
  }
  if (failed(passes->run(*module)) || failed(mlir::verify(*module)) ||
      failAt == "pass") {
    missed(R, ORE, why = "a pass failed", true);
    askForReport(R, why);
    return false;
  }
  report(R, ORE);
  if (!isChanged(*module) && route != "all") {
    return false;
  }
  emit(R, "cira", [&](raw_ostream &out) { module->print(out); });
  eraseMarkers(*module);
  (*module)->removeAttr("cira.machine");
  // Not verified yet: invokes are wrong until they are made anew.
  std::unique_ptr<Module> exported = mlir::translateModuleToLLVMIR(
      *module, R.F.getContext(), "cira", /*disableVerification=*/true);
  Function *from = exported ? exported->getFunction("cira.function") : nullptr;
  if (!from || failAt == "export") {
    missed(R, ORE, why = "MLIR cannot export it", true);
    askForReport(R, why);
    return false;
  }
  if (failAt == "giveback" || !cira::giveBack(R, *from, why)) {
    missed(R, ORE, "it came back wrong: " + why, true);
    askForReport(R, why);
    return false;
  }
  emit(R, "llvm", [&](raw_ostream &out) { R.F.print(out); });
  return true;
}

/// After a crash: what the crash may have broken is neither used nor freed.
void CiraPass::abandon() {
  crashed = true;
  (void)passes.release();
  (void)context.release();
  machine = {};
}

/// Even a crash does not end the user's build: a function is changed only at
/// the very end, so that until then it can be left as it is.
bool CiraPass::sendSafely(cira::Route &R, cira::Facts &facts,
                          OptimizationRemarkEmitter &ORE) {
  bool changed = false;
  CrashRecoveryContext recovery;
  CrashRecoveryContext::Enable();
  if (recovery.RunSafely([&] { changed = send(R, facts, ORE); })) {
    return changed;
  }
  (void)R.M.release();
  abandon();
  if (Function *half = R.F.getParent()->getFunction("cira.body")) {
    half->deleteBody();
    half->eraseFromParent();
  }
  std::string why = "a crash";
  said.clear();
  missed(R, ORE, why, true);
  askForReport(R, why);
  return false;
}

/// Passes keep what they know in variables, and test in their loops whether
/// these are worth it. The first become values here, the test a choice between
/// two loops, since clang does so only earlier. What is seldom entered becomes
/// a function in between.
static void splitLoops(Function &F, FunctionAnalysisManager &FAM) {
  FunctionPassManager first;
  first.addPass(PromotePass());
  FAM.invalidate(F, first.run(F, FAM));
  SmallVector<Function *> functions = cira::outlineChoices(F);
  functions.push_back(&F);
  FunctionPassManager manager;
  manager.addPass(EarlyCSEPass());
  // What loops inside count (codegen/llvm_twin.c) is known before they begin.
  manager.addPass(createFunctionToLoopPassAdaptor(IndVarSimplifyPass()));
  manager.addPass(createFunctionToLoopPassAdaptor(
      SimpleLoopUnswitchPass(/*NonTrivial=*/true), /*UseMemorySSA=*/true));
  for (Function *G : functions) {
    FAM.invalidate(*G, PreservedAnalyses::none());
    cira::inlineChoice(*G);
    FAM.invalidate(*G, manager.run(*G, FAM));
  }
}

/// Sends the function through MLIR if that may be worth it; true: it changed.
bool CiraPass::offer(Function &F, const cira::Bounds &bounds, StringRef stages,
                     FunctionAnalysisManager &FAM) {
  cira::Route R(F);
  R.sharedOut.insert(bounds.sharedOut().begin(), bounds.sharedOut().end());
  cira::Facts facts = cira::gather(R, FAM, stages.contains("cira-llvm-far"));
  facts.alone = !stages.contains(',');
  bool jumps = stages.contains("cira-llvm-jump");
  if (!facts.worthwhile && !(facts.walks && jumps) && route != "all") {
    return false;
  }
  auto &ORE = FAM.getResult<OptimizationRemarkEmitterAnalysis>(F);
  std::string why = cira::whyNot(F);
  if (!why.empty()) {
    missed(R, ORE, why, false);
    return false;
  }
  if (!context && !prepare(*F.getParent())) {
    crashed = true; // it has been said
    return false;
  }
  return sendSafely(R, facts, ORE);
}

PreservedAnalyses CiraPass::run(Module &M, ModuleAnalysisManager &MAM) {
  auto &FAM = MAM.getResult<FunctionAnalysisManagerModuleProxy>(M).getManager();
  SmallVector<Function *> functions;
  for (Function &F : M) {
    if (!F.isDeclaration()) {
      functions.push_back(&F);
    }
  }
  const std::string stages = pipelineOf(passList);
  bool changed = false;
  if ((!machineFile.empty() && !prepare(M)) ||
      (stages.empty() && route != "all")) {
    return PreservedAnalyses::all();
  }
  for (Function *F : functions) {
    // Most functions have no loop: they need no analysis to be left alone.
    if (route != "all" && FAM.getResult<LoopAnalysis>(*F).empty()) {
      continue;
    }
    cira::Bounds bounds(*F);
    if (bounds.changed()) {
      FAM.invalidate(*F, PreservedAnalyses::none());
    }
    bool sent = offer(*F, bounds, stages, FAM);
    if (sent || bounds.changed()) {
      FAM.invalidate(*F, PreservedAnalyses::none());
    }
    if (!sent) {
      bounds.undo();
    }
    if (sent) {
      splitLoops(*F, FAM);
      changed = true;
    }
    if (crashed) {
      break;
    }
  }
  passes.reset();
  context.reset();
  return changed ? PreservedAnalyses::none() : PreservedAnalyses::all();
}

//===-- Entry -------------------------------------------------------------===//

namespace {

class FinitePass : public PassInfoMixin<FinitePass> {
public:
  PreservedAnalyses run(Module &M, ModuleAnalysisManager &) {
    cira::markFinite(M);
    return PreservedAnalyses::all();
  }
};

class HugePass : public PassInfoMixin<HugePass> {
public:
  PreservedAnalyses run(Module &M, ModuleAnalysisManager &MAM) {
    auto &proxy = MAM.getResult<FunctionAnalysisManagerModuleProxy>(M);
    return isWanted(passList, "huge") &&
                   cira::adviseHugePages(M, proxy.getManager())
               ? PreservedAnalyses::none()
               : PreservedAnalyses::all();
  }
};

} // namespace

static void hook(PassBuilder &builder) {
  builder.registerPipelineStartEPCallback(
      [](ModulePassManager &manager, OptimizationLevel level) {
        if (level != OptimizationLevel::O0) {
          manager.addPass(FinitePass());
        }
      });
  builder.registerOptimizerEarlyEPCallback(
      [](ModulePassManager &manager, OptimizationLevel level) {
        if (level != OptimizationLevel::O0) {
          manager.addPass(CiraPass());
        }
      });
  builder.registerOptimizerLastEPCallback(
      [](ModulePassManager &manager, OptimizationLevel level) {
        if (level != OptimizationLevel::O0) {
          manager.addPass(HugePass());
        }
      });
}

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo llvmGetPassPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "cira", "0.1", hook};
}
