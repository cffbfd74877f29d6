/* SPDX-License-Identifier: Apache-2.0
 * The parts of cira-jit, in the order in which main.c calls them:
 *   compile.c  the file -> MLIR -> LLVM dialect -> LLVM IR -> optimised
 *   entry.c    the entry function's types, its arguments and results
 *   execute.c  LLVM IR -> machine code in this process, or a file
 *   helpers.c  what a program may call besides the C library
 * Threads: one, until the program runs. */
#ifndef CIRA_JIT_JIT_H
#define CIRA_JIT_JIT_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <mlir-c/IR.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cira-jit/options.h"

#define JIT_EXIT_INPUT 1  /* the file or the arguments are wrong */
#define JIT_EXIT_SELF 125 /* cira-jit itself failed, as env(1) does it */

enum { JIT_VALUES_MAX = 32 };

/* An argument or result of the entry function. */
typedef struct jit_value {
  bool is_float;
  unsigned bits;
} jit_value_t;

typedef struct jit_entry {
  jit_value_t arguments[JIT_VALUES_MAX], results[JIT_VALUES_MAX];
  int argument_count, result_count;
} jit_entry_t;

/* One 8-byte place per argument or result: an integer or a double. */
typedef union jit_slot {
  int64_t integer;
  double real;
} jit_slot_t;

/* ---- compile.c ------------------------------------------------------------
 */

/* Reads, checks and lowers the file; the entry's types are read before the
 * lowering (not when something is emitted). False: said why. */
bool jit_compile_mlir(const jit_options_t *o, MlirContext *out_context,
                      MlirOperation *out_module, jit_entry_t *out_entry);

/* A description of this machine as LLVM's target; NULL: said why. */
LLVMTargetMachineRef jit_target_machine(const jit_options_t *o);

/* The module in LLVM IR, for that target. NULL: said why. */
LLVMModuleRef jit_compile_llvm(MlirOperation module, LLVMContextRef context,
                               LLVMTargetMachineRef target);

/* Runs LLVM's passes. False: said why. */
bool jit_optimise(const jit_options_t *o, LLVMModuleRef module,
                  LLVMTargetMachineRef target);

/* ---- entry.c --------------------------------------------------------------
 */

/* Finds the entry and its types. False: said why. */
bool jit_entry_find(MlirOperation module, const char *name, jit_entry_t *out);

/* Adds @cira_jit_entry(arguments, results) to the module, which calls the
 * entry, and hides every other function. False: said why. */
bool jit_entry_wrap(LLVMModuleRef module, const char *name,
                    const jit_entry_t *entry);
#define JIT_ENTRY_WRAPPER "cira_jit_entry"

/* Reads the program's arguments. False: said why. */
bool jit_entry_read(const jit_options_t *o, const jit_entry_t *entry,
                    jit_slot_t *out_arguments);
void jit_entry_print(const jit_entry_t *entry, const jit_slot_t *results);

/* ---- execute.c ------------------------------------------------------------
 */

/* Compiles the module (which it owns from here on) to machine code and runs
 * the entry. Returns the exit status. */
int jit_execute(const jit_options_t *o, LLVMModuleRef module,
                const jit_entry_t *entry, uint64_t start_ns);

/* Writes the module in the form of o->emit. Returns the exit status. */
int jit_write(const jit_options_t *o, LLVMModuleRef module,
              LLVMTargetMachineRef target);

/* Writes bytes to o->output, or to standard output. Returns the exit status. */
int jit_write_bytes(const jit_options_t *o, const char *data, size_t bytes);

/* The context whose modules jit_execute takes. */
LLVMContextRef jit_context(void);

/* ---- helpers.c ------------------------------------------------------------
 */

typedef struct jit_symbol {
  const char *name;
  void *address;
} jit_symbol_t;

/* Functions of cira-jit that compiled code may call; ends with a NULL name. */
extern const jit_symbol_t jit_helpers[];

uint64_t jit_now_ns(void);

#endif
