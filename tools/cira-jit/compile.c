/* SPDX-License-Identifier: Apache-2.0
 *
 * compile: the file -> checked MLIR -> LLVM dialect -> LLVM IR, optimised for
 * this machine. Diagnostics go to standard error with the line they are about.
 */
#include "cira-c/Dialect.h"
#include "cira-c/Passes.h"
#include "cira-c/Source.h"

#include <errno.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <mlir-c/BuiltinAttributes.h>
#include <mlir-c/Pass.h>
#include <mlir-c/RegisterEverything.h>
#include <mlir-c/Target/LLVMIR.h>
#include <stdlib.h>
#include <string.h>

#include "cira-jit/jit.h"

static MlirStringRef str(const char *text) {
  return mlirStringRefCreateFromCString(text);
}

/* ---- MLIR -----------------------------------------------------------------
 */

static MlirContext make_context(void) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  mlirRegisterAllDialects(registry);
  mlirDialectHandleInsertDialect(mlirGetDialectHandle__cira__(), registry);
  MlirContext ctx = mlirContextCreateWithRegistry(registry, false);
  mlirDialectRegistryDestroy(registry);
  mlirRegisterAllPasses();
  ciraRegisterPasses();
  ciraContextRegisterLLVMTranslation(ctx);
  return ctx;
}

/* Makes the model in the file that of modules without one. */
static bool use_machine(const char *path, MlirContext ctx) {
  static char text[65536]; /* far more than all fields need */
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    fprintf(stderr, "cira-jit: cannot open machine model %s: %s\n", path,
            strerror(errno));
    return false;
  }
  size_t length = fread(text, 1, sizeof text, file);
  fclose(file);
  mlirDialectHandleLoadDialect(mlirGetDialectHandle__cira__(), ctx);
  MlirAttribute machine =
      ciraMachineAttrParseJSON(mlirLocationFileLineColGet(ctx, str(path), 1, 1),
                               mlirStringRefCreate(text, length));
  if (mlirAttributeIsNull(machine)) {
    fprintf(stderr, "cira-jit: machine model %s is not used\n", path);
    return false;
  }
  ciraMachineAttrSetDefault(machine);
  return true;
}

static void print_message(MlirStringRef part, void *file) {
  fwrite(part.data, 1, part.length, file);
}

/* The stages before the lowering, then the lowering itself. */
static bool run_pipeline(const char *stages, MlirContext ctx,
                         MlirOperation module) {
  MlirPassManager manager = mlirPassManagerCreate(ctx);
  MlirOpPassManager op_manager = mlirPassManagerGetAsOpPassManager(manager);
  const char *parts[] = {stages, "cira-to-llvm"};
  bool good = true;
  for (int i = 0; i < 2 && good; i++) {
    if (parts[i][0] == '\0') {
      continue;
    }
    good = mlirLogicalResultIsSuccess(mlirOpPassManagerAddPipeline(
        op_manager, str(parts[i]), print_message, stderr));
    if (!good) {
      fprintf(stderr,
              "\ncira-jit: --pipeline=%s is no list of passes; see "
              "cira-opt --help\n",
              parts[i]);
    }
  }
  good = good &&
         mlirLogicalResultIsSuccess(mlirPassManagerRunOnOp(manager, module));
  mlirPassManagerDestroy(manager);
  return good;
}

bool jit_compile_mlir(const jit_options_t *o, MlirContext *out_context,
                      MlirOperation *out_module, jit_entry_t *out_entry) {
  MlirContext ctx = make_context();
  if (o->machine != NULL && !use_machine(o->machine, ctx)) {
    return false;
  }
  CiraSource source = ciraSourceOpen(ctx, str(o->file), o->remarks);
  if (source.ptr == NULL) {
    fprintf(stderr, "cira-jit: %s cannot be read; check the path\n", o->file);
    return false;
  }
  MlirOperation module = ciraSourceParse(source);
  bool good = !mlirOperationIsNull(module);
  if (good && o->check) {
    mlirOperationSetDiscardableAttributeByName(module, str("cira.checked"),
                                               mlirUnitAttrGet(ctx));
  }
  if (good && o->emit == JIT_EMIT_NONE) {
    good = jit_entry_find(module, o->entry, out_entry);
  }
  good = good &&
         run_pipeline(o->pipeline ? o->pipeline : "cira-default", ctx, module);
  ciraSourceClose(source);
  *out_context = ctx;
  *out_module = module;
  return good;
}

/* ---- LLVM -----------------------------------------------------------------
 */

LLVMTargetMachineRef jit_target_machine(const jit_options_t *o) {
  static const LLVMCodeGenOptLevel levels[] = {
      LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelDefault,
      LLVMCodeGenLevelAggressive};
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
  LLVMInitializeNativeAsmParser();
  char *triple = LLVMGetDefaultTargetTriple();
  char *cpu = LLVMGetHostCPUName();
  char *features = LLVMGetHostCPUFeatures();
  char *error = NULL;
  LLVMTargetRef target;
  LLVMTargetMachineRef machine = NULL;
  if (LLVMGetTargetFromTriple(triple, &target, &error) != 0) {
    fprintf(stderr, "cira-jit: LLVM cannot compile for %s: %s\n", triple,
            error);
    LLVMDisposeMessage(error);
  } else {
    machine = LLVMCreateTargetMachine(target, triple, cpu, features,
                                      levels[o->opt_level], LLVMRelocPIC,
                                      LLVMCodeModelDefault);
  }
  LLVMDisposeMessage(features);
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(triple);
  return machine;
}

LLVMModuleRef jit_compile_llvm(MlirOperation module, LLVMContextRef context,
                               LLVMTargetMachineRef target) {
  LLVMModuleRef made = mlirTranslateModuleToLLVMIR(module, context);
  char *error = NULL;
  if (made == NULL) {
    fputs("cira-jit: the LLVM dialect could not be translated to LLVM IR; see "
          "the message above, and --emit=mlir\n",
          stderr);
    return NULL;
  }
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(target);
  LLVMSetModuleDataLayout(made, layout);
  LLVMDisposeTargetData(layout);
  char *triple = LLVMGetTargetMachineTriple(target);
  LLVMSetTarget(made, triple);
  LLVMDisposeMessage(triple);
  if (LLVMVerifyModule(made, LLVMReturnStatusAction, &error) != 0) {
    fprintf(stderr, "cira-jit: invalid LLVM IR: %s", error);
    LLVMDisposeMessage(error);
    LLVMDisposeModule(made);
    return NULL;
  }
  LLVMDisposeMessage(error);
  return made;
}

bool jit_optimise(const jit_options_t *o, LLVMModuleRef module,
                  LLVMTargetMachineRef target) {
  /* What nothing calls is dropped at O0 as well: it may call what is nowhere.
   */
  static const char *const pipelines[] = {
      "default<O0>,globaldce", "default<O1>", "default<O2>", "default<O3>"};
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMPassBuilderOptionsSetLoopVectorization(options, o->opt_level > 1);
  LLVMPassBuilderOptionsSetSLPVectorization(options, o->opt_level > 1);
  LLVMErrorRef error =
      LLVMRunPasses(module, pipelines[o->opt_level], target, options);
  LLVMDisposePassBuilderOptions(options);
  if (error != LLVMErrorSuccess) {
    char *text = LLVMGetErrorMessage(error);
    fprintf(stderr, "cira-jit: LLVM's passes failed: %s\n", text);
    LLVMDisposeErrorMessage(text);
    return false;
  }
  return true;
}
