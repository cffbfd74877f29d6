/* SPDX-License-Identifier: Apache-2.0
 *
 * execute: LLVM IR -> machine code in this process by ORC, with the functions
 * of cira/abi.def, those of helpers.c and the C library as what it may call.
 * The far heap is made after compiling: only the program's arrays live there.
 */
#include <errno.h>
#include <inttypes.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <stdlib.h>
#include <string.h>

#include "abi/runtime.h"
#include "base/base.h"
#include "cira-jit/jit.h"
#include "cira-jit/stats.h"

typedef void (*entry_fn_t)(const jit_slot_t *arguments, jit_slot_t *results);

static LLVMOrcThreadSafeContextRef safe_context;

LLVMContextRef jit_context(void) {
  if (safe_context == NULL) {
    safe_context = LLVMOrcCreateNewThreadSafeContext();
  }
  return LLVMOrcThreadSafeContextGetContext(safe_context);
}

/* Prints the error and frees it; true if there was one. */
static bool failed(LLVMErrorRef error, const char *what) {
  if (error == LLVMErrorSuccess) {
    return false;
  }
  char *text = LLVMGetErrorMessage(error);
  fprintf(stderr, "cira-jit: %s: %s\n", what, text);
  LLVMDisposeErrorMessage(text);
  return true;
}

/* What ORC says before it fails: which symbols are missing, for example. */
static void report(void *unused, LLVMErrorRef error) {
  (void)unused;
  failed(error, "linking");
}

/* ---- symbols --------------------------------------------------------------
 */

static LLVMOrcCSymbolMapPair pair(LLVMOrcLLJITRef jit, const char *name,
                                  void *address) {
  return (LLVMOrcCSymbolMapPair){
      .Name = LLVMOrcLLJITMangleAndIntern(jit, name),
      .Sym = {.Address = (LLVMOrcExecutorAddress)(uintptr_t)address,
              .Flags = {.GenericFlags = LLVMJITSymbolGenericFlagsExported}}};
}

static bool define_symbols(LLVMOrcLLJITRef jit) {
  LLVMOrcCSymbolMapPair pairs[128];
  size_t count = 0;
  for (const cira_abi_symbol_t *s = cira_abi_symbols(); s->name; s++) {
    if (count < CIRA_COUNT(pairs)) {
      pairs[count++] = pair(jit, s->name, s->address);
    }
  }
  for (const jit_symbol_t *s = jit_helpers; s->name; s++) {
    if (count < CIRA_COUNT(pairs)) {
      pairs[count++] = pair(jit, s->name, s->address);
    }
  }
  LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(jit);
  if (failed(LLVMOrcJITDylibDefine(lib, LLVMOrcAbsoluteSymbols(pairs, count)),
             "the program defines a function of the runtime itself; rename "
             "it")) {
    return false;
  }
  LLVMOrcDefinitionGeneratorRef process;
  if (failed(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                 &process, LLVMOrcLLJITGetGlobalPrefix(jit), NULL, NULL),
             "the C library cannot be reached")) {
    return false;
  }
  LLVMOrcJITDylibAddGenerator(lib, process);
  return true;
}

static entry_fn_t link_module(LLVMOrcLLJITRef jit, LLVMModuleRef module) {
  LLVMOrcThreadSafeModuleRef safe =
      LLVMOrcCreateNewThreadSafeModule(module, safe_context);
  if (failed(LLVMOrcLLJITAddLLVMIRModule(jit, LLVMOrcLLJITGetMainJITDylib(jit),
                                         safe),
             "the program cannot be compiled")) {
    LLVMOrcDisposeThreadSafeModule(safe);
    return NULL;
  }
  LLVMOrcExecutorAddress address;
  if (failed(LLVMOrcLLJITLookup(jit, &address, JIT_ENTRY_WRAPPER),
             "the program cannot be linked; define what it calls, or use "
             "functions of the C library")) {
    return NULL;
  }
  return (entry_fn_t)(uintptr_t)address;
}

/* ---- running --------------------------------------------------------------
 */

/* NULL where it is empty, too. */
static const char *variable(const char *name) {
  const char *text = getenv(name);
  return text != NULL && text[0] != '\0' ? text : NULL;
}

static cira_status_t read_mode(const char *text, cira_space_mode_t *out) {
  static const char *const names[] = {"auto", "sigbus", "thread", "sigsegv"};
  for (size_t i = 0; i < CIRA_COUNT(names); i++) {
    if (strcmp(text, names[i]) == 0) {
      *out = (cira_space_mode_t)i;
      return CIRA_OK;
    }
  }
  return cira__fail(CIRA_E_INVALID,
                    "CIRA_MODE \"%s\" is none of auto, sigbus, thread, sigsegv",
                    text);
}

static cira_status_t start_runtime(const jit_options_t *o) {
  cira_abi_process_t p;
  cira_abi_process_default(&p);
  p.far_url = variable("CIRA_FAR");
  p.token_file = variable("CIRA_TOKEN_FILE");
  p.checked = o->check;
  const struct {
    const char *name;
    cira_status_t (*parse)(const char *, const char *, uint64_t *);
    uint64_t *out;
  } numbers[] = {{"CIRA_LOCAL", cira__parse_size, &p.local_bytes},
                 {"CIRA_FAR_SIZE", cira__parse_size, &p.range_bytes},
                 {"CIRA_DEADLINE", cira__parse_duration, &p.deadline_ns}};
  cira_status_t status = CIRA_OK;
  for (size_t i = 0; i < CIRA_COUNT(numbers) && status == CIRA_OK; i++) {
    const char *text = variable(numbers[i].name);
    if (text != NULL) {
      status = numbers[i].parse(text, numbers[i].name, numbers[i].out);
    }
  }
  const char *mode = variable("CIRA_MODE");
  if (status == CIRA_OK && mode != NULL) {
    status = read_mode(mode, &p.mode);
  }
  return status == CIRA_OK ? cira_abi_process_start(&p) : status;
}

static int compare_times(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static void print_times(const jit_options_t *o, uint64_t compile_ns,
                        uint64_t *runs_ns) {
  size_t n = (size_t)o->repeat_count;
  fprintf(stderr,
          "{\"entry\": \"%s\", \"compile_ns\": %" PRIu64 ", \"runs_ns\": [",
          o->entry, compile_ns);
  for (size_t i = 0; i < n; i++) {
    fprintf(stderr, "%s%" PRIu64, i == 0 ? "" : ", ", runs_ns[i]);
  }
  qsort(runs_ns, n, sizeof runs_ns[0], compare_times);
  fprintf(stderr, "], \"min_ns\": %" PRIu64 ", \"median_ns\": %" PRIu64 "}\n",
          runs_ns[0], runs_ns[n / 2]);
}

static int run(const jit_options_t *o, const jit_entry_t *entry,
               entry_fn_t function, uint64_t compile_ns) {
  jit_slot_t arguments[JIT_VALUES_MAX], results[JIT_VALUES_MAX];
  uint64_t *runs_ns = calloc((size_t)o->repeat_count, sizeof *runs_ns);
  if (runs_ns == NULL) {
    fputs("cira-jit: out of memory; repeat less often\n", stderr);
    return JIT_EXIT_SELF;
  }
  if (!jit_entry_read(o, entry, arguments)) {
    free(runs_ns);
    return JIT_EXIT_INPUT;
  }
  if (start_runtime(o) != CIRA_OK) {
    fprintf(stderr, "cira-jit: %s\n", cira_status_detail());
    free(runs_ns);
    return JIT_EXIT_SELF;
  }
  jit_stats_open(cira_abi_process_space(), o->file);
  for (int i = 0; i < o->repeat_count; i++) {
    uint64_t start_ns = jit_now_ns();
    function(arguments, results);
    runs_ns[i] = jit_now_ns() - start_ns;
  }
  jit_entry_print(entry, results);
  int status = 0;
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr,
            "cira-jit: standard output cannot be written: %s; the results are "
            "lost\n",
            strerror(errno));
    status = JIT_EXIT_SELF;
  }
  if (o->time) {
    print_times(o, compile_ns, runs_ns);
  }
  free(runs_ns);
  jit_stats_close(cira_abi_process_space());
  cira_abi_process_stop();
  return status;
}

int jit_execute(const jit_options_t *o, LLVMModuleRef module,
                const jit_entry_t *entry, uint64_t start_ns) {
  LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
  LLVMTargetMachineRef target = jit_target_machine(o);
  LLVMOrcLLJITRef jit;
  if (target == NULL) {
    LLVMOrcDisposeLLJITBuilder(builder);
    LLVMDisposeModule(module);
    return JIT_EXIT_SELF;
  }
  LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
      builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(target));
  if (failed(LLVMOrcCreateLLJIT(&jit, builder),
             "no compiler for this machine")) {
    LLVMDisposeModule(module);
    return JIT_EXIT_SELF;
  }
  LLVMOrcExecutionSessionSetErrorReporter(LLVMOrcLLJITGetExecutionSession(jit),
                                          report, NULL);
  int status = JIT_EXIT_SELF;
  if (define_symbols(jit)) {
    entry_fn_t function = link_module(jit, module);
    status = function == NULL
                 ? JIT_EXIT_INPUT
                 : run(o, entry, function, jit_now_ns() - start_ns);
  }
  failed(LLVMOrcDisposeLLJIT(jit), "the compiler did not end cleanly");
  return status;
}

/* ---- files ----------------------------------------------------------------
 */

int jit_write_bytes(const jit_options_t *o, const char *data, size_t bytes) {
  const char *path = o->output != NULL ? o->output : "standard output";
  FILE *file = o->output != NULL ? fopen(o->output, "we") : stdout;
  bool good = file != NULL && fwrite(data, 1, bytes, file) == bytes &&
              fflush(file) == 0 && (file == stdout || fclose(file) == 0);
  if (!good) {
    fprintf(stderr, "cira-jit: %s cannot be written: %s\n", path,
            strerror(errno));
  }
  return good ? 0 : JIT_EXIT_SELF;
}

/* LLVM's own writers end the process when the disk is full, and empty a
 * standard output that others have written to: it writes to memory. */
int jit_write(const jit_options_t *o, LLVMModuleRef module,
              LLVMTargetMachineRef target) {
  char *error = NULL;
  LLVMMemoryBufferRef buffer;
  if (o->emit == JIT_EMIT_LLVM) {
    char *text = LLVMPrintModuleToString(module);
    int status = jit_write_bytes(o, text, strlen(text));
    LLVMDisposeMessage(text);
    return status;
  }
  if (LLVMTargetMachineEmitToMemoryBuffer(
          target, module,
          o->emit == JIT_EMIT_ASM ? LLVMAssemblyFile : LLVMObjectFile, &error,
          &buffer)) {
    fprintf(stderr, "cira-jit: LLVM cannot make %s: %s\n", o->file, error);
    LLVMDisposeMessage(error);
    return JIT_EXIT_SELF;
  }
  int status =
      jit_write_bytes(o, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
  LLVMDisposeMemoryBuffer(buffer);
  return status;
}
