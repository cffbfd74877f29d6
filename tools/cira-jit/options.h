/* SPDX-License-Identifier: Apache-2.0
 * options: the command line of cira-jit. Options may stand before and after
 * the file, so that `cira-run FILE.mlir --entry f 3` reads naturally; what
 * looks like a number is an argument of the program even with a minus sign.
 * Threads: caller-serialised. */
#ifndef CIRA_JIT_OPTIONS_H
#define CIRA_JIT_OPTIONS_H

#include <stdbool.h>

typedef enum jit_emit {
  JIT_EMIT_NONE, /* run it */
  JIT_EMIT_MLIR, /* the LLVM dialect */
  JIT_EMIT_LLVM, /* LLVM IR, optimised */
  JIT_EMIT_ASM,
  JIT_EMIT_OBJ
} jit_emit_t;

typedef struct jit_options {
  const char *file;
  const char *entry;    /* "main" */
  const char *pipeline; /* stages before the lowering; NULL: cira-default */
  const char *machine;  /* file of the machine model; NULL: defaults */
  const char *output;   /* NULL: standard output */
  jit_emit_t emit;
  int opt_level;    /* 0 to 3 */
  int repeat_count; /* at least 1 */
  bool check, time, remarks;
  char **arguments; /* of the program; points into argv */
  int argument_count;
} jit_options_t;

/* Reads the command line. Prints help or version and exits where asked to; a
 * wrong option is one line on standard error and exit status 125. */
void jit_options_parse(int argc, char **argv, jit_options_t *out);

#endif
