/* SPDX-License-Identifier: Apache-2.0
 *
 * mlir: what cira-run does with a file of MLIR text: cira-jit, which lies
 * beside it, compiles and runs it. Options of cira-jit may stand before the
 * file as well.
 * Threads: caller-serialised.
 */
#ifndef CIRA_RUN_MLIR_H
#define CIRA_RUN_MLIR_H

#include <stdbool.h>
#include <stddef.h>

#define RUN_MLIR_OPTIONS_MAX 32

/* Options of cira-jit that were given to cira-run, as its own argv words. */
typedef struct {
  const char *words[RUN_MLIR_OPTIONS_MAX];
  size_t count;
} run_mlir_t;

/* Remembers an option; `value` may be NULL. False when there are too many. */
bool run_mlir_add(run_mlir_t *m, const char *option, const char *value);

/* Does `name` end in .mlir? */
bool run_mlir_is(const char *name);

/* The command line of cira-jit: its options, then `rest` (the file and what
 * follows, ends with NULL). Lives until exit; NULL when out of memory. */
char **run_mlir_argv(const run_mlir_t *m, char **rest, size_t rest_count);

#endif
