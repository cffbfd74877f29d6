/* SPDX-License-Identifier: Apache-2.0
 * cira-opt: reads MLIR with the cira dialect, runs passes, prints it. All
 * options are those of mlir-opt (--split-input-file, --verify-diagnostics,
 * --pass-pipeline, one flag per pass), and one of ours:
 *   --print-pipeline[=NAME]   prints the stages of the named pipelines, or of
 *                             the one named, and ends.
 * Single thread of its own; MLIR runs passes in parallel below. */
#include "cira-c/Passes.h"

#include <stdio.h>
#include <string.h>

static const char option[] = "--print-pipeline";

static int print_pipelines(const char *only) {
  ciraRegisterPasses();
  if (*only) {
    const char *stages = ciraGetPipelineStages(only);
    if (!stages) {
      fprintf(stderr,
              "cira-opt: no pipeline is named %s; %s without a name lists "
              "them\n",
              only, option);
      return 1;
    }
    printf("%s: %s\n", only, stages);
    return 0;
  }
  const char *name;
  for (intptr_t i = 0; (name = ciraGetPipelineName(i)); i++) {
    printf("%s: %s\n", name, ciraGetPipelineStages(name));
  }
  return 0;
}

/* mlir-opt's help does not know ours. */
static void print_own_help(void) {
  printf("cira-opt [OPTIONS] [FILE]: checks and optimises MLIR with the cira "
         "dialect.\n"
         "  %s[=NAME]  prints the stages of the named pipelines, or of one\n"
         "Everything else is as in mlir-opt:\n\n",
         option);
  fflush(stdout);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) {
      print_own_help();
    }
    if (strncmp(argv[i], option, sizeof option - 1) != 0) {
      continue;
    }
    const char *rest = argv[i] + sizeof option - 1;
    if (*rest == '\0' || *rest == '=') {
      return print_pipelines(*rest ? rest + 1 : rest);
    }
  }
  return ciraOptMain(argc, argv);
}
