/* SPDX-License-Identifier: Apache-2.0
 *
 * cira-jit: compiles an MLIR file with the cira dialect and runs it in this
 * process. cira-run calls it for files that end in .mlir; see jit.h for the
 * steps.
 * Threads: one, until the program runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cira-jit/jit.h"

static void write_part(MlirStringRef part, void *file) {
  fwrite(part.data, 1, part.length, file);
}

static int write_mlir(const jit_options_t *o, MlirOperation module) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *file = open_memstream(&text, &bytes);
  if (file == NULL) {
    fputs("cira-jit: out of memory\n", stderr);
    return JIT_EXIT_SELF;
  }
  mlirOperationPrint(module, write_part, file);
  fputc('\n', file);
  int status = JIT_EXIT_SELF;
  if (fclose(file) != 0) {
    fputs("cira-jit: out of memory\n", stderr);
  } else {
    status = jit_write_bytes(o, text, bytes);
  }
  free(text);
  return status;
}

static int to_machine(const jit_options_t *o, MlirOperation module,
                      const jit_entry_t *entry, uint64_t start_ns) {
  LLVMTargetMachineRef target = jit_target_machine(o);
  if (target == NULL) {
    return JIT_EXIT_SELF;
  }
  LLVMModuleRef llvm = jit_compile_llvm(module, jit_context(), target);
  if (llvm == NULL) {
    return JIT_EXIT_INPUT;
  }
  bool runs = o->emit == JIT_EMIT_NONE;
  if ((runs && !jit_entry_wrap(llvm, o->entry, entry)) ||
      !jit_optimise(o, llvm, target)) {
    LLVMDisposeModule(llvm);
    return JIT_EXIT_INPUT;
  }
  int status =
      runs ? jit_execute(o, llvm, entry, start_ns) : jit_write(o, llvm, target);
  LLVMDisposeTargetMachine(target);
  return status;
}

int main(int argc, char **argv) {
  uint64_t start_ns = jit_now_ns();
  jit_options_t o;
  MlirContext ctx;
  MlirOperation module;
  jit_entry_t entry = {0};
  jit_options_parse(argc, argv, &o);
  if (!jit_compile_mlir(&o, &ctx, &module, &entry)) {
    return JIT_EXIT_INPUT; /* the process ends: nothing is freed */
  }
  if (o.emit == JIT_EMIT_MLIR) {
    return write_mlir(&o, module);
  }
  return to_machine(&o, module, &entry, start_ns);
}
