/* SPDX-License-Identifier: Apache-2.0
 *
 * mlir: see mlir.h.
 */
#include "cira-run/mlir.h"

#include <stdlib.h>
#include <string.h>

bool run_mlir_add(run_mlir_t *m, const char *option, const char *value) {
  size_t needed = value == NULL ? 1 : 2;
  if (m->count + needed > RUN_MLIR_OPTIONS_MAX) {
    return false;
  }
  m->words[m->count++] = option;
  if (value != NULL) {
    m->words[m->count++] = value;
  }
  return true;
}

bool run_mlir_is(const char *name) {
  size_t length = strlen(name);
  return length > 5 && strcmp(name + length - 5, ".mlir") == 0;
}

char **run_mlir_argv(const run_mlir_t *m, char **rest, size_t rest_count) {
  char **argv = calloc(m->count + rest_count + 2, sizeof *argv);
  if (argv == NULL) {
    return NULL;
  }
  size_t at = 0;
  argv[at++] = (char *)"cira-jit";
  for (size_t i = 0; i < m->count; i++) {
    argv[at++] = (char *)m->words[i];
  }
  memcpy(argv + at, rest, rest_count * sizeof *argv);
  return argv;
}
