/* SPDX-License-Identifier: Apache-2.0
 * cira-opt: reads MLIR with the cira dialect, runs passes, prints it. All
 * options are those of mlir-opt (--split-input-file, --verify-diagnostics,
 * --pass-pipeline, one flag per pass), and two of ours:
 *   --print-pipeline[=NAME]   prints the stages of the named pipelines, or of
 *                             the one named, and ends.
 *   --cira-machine=FILE       the machine model of modules without one, JSON.
 * Single thread of its own; MLIR runs passes in parallel below. */
#include "cira-c/Dialect.h"
#include "cira-c/Passes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char option[] = "--print-pipeline";
static const char machine_option[] = "--cira-machine=";

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

/* Reads the machine model in `path` and makes it the default; false and a
 * message if that cannot be done. */
static bool use_machine(const char *path) {
  static char text[65536]; /* far more than all fields need */
  FILE *file = fopen(path, "r");
  if (!file) {
    fprintf(stderr, "cira-opt: cannot open machine model %s: %s\n", path,
            strerror(errno));
    return false;
  }
  size_t length = fread(text, 1, sizeof text, file);
  fclose(file);
  MlirContext ctx = mlirContextCreate();
  mlirDialectHandleLoadDialect(mlirGetDialectHandle__cira__(), ctx);
  MlirLocation loc = mlirLocationFileLineColGet(
      ctx, mlirStringRefCreateFromCString(path), 1, 1);
  MlirAttribute machine =
      ciraMachineAttrParseJSON(loc, mlirStringRefCreate(text, length));
  bool good = !mlirAttributeIsNull(machine);
  if (good) {
    ciraMachineAttrSetDefault(machine);
  } else {
    fprintf(stderr, "cira-opt: machine model %s is not used\n", path);
  }
  mlirContextDestroy(ctx);
  return good;
}

/* mlir-opt's help does not know ours. */
static void print_own_help(void) {
  printf("cira-opt [OPTIONS] [FILE]: checks and optimises MLIR with the cira "
         "dialect.\n"
         "  %s[=NAME]  prints the stages of the named pipelines, or of one\n"
         "  %sFILE   the machine model of modules without one (JSON)\n"
         "Everything else is as in mlir-opt:\n\n",
         option, machine_option);
  fflush(stdout);
}

int main(int argc, char **argv) {
  int kept = 1;
  for (int i = 1; i < argc; i++) {
    const char *arg = argv[i];
    if (strncmp(arg, machine_option, sizeof machine_option - 1) == 0) {
      if (!use_machine(arg + sizeof machine_option - 1)) {
        return 1;
      }
      continue;
    }
    if (strcmp(arg, "--help") == 0) {
      print_own_help();
    }
    if (strncmp(arg, option, sizeof option - 1) == 0) {
      const char *rest = arg + sizeof option - 1;
      if (*rest == '\0' || *rest == '=') {
        return print_pipelines(*rest ? rest + 1 : rest);
      }
    }
    argv[kept++] = argv[i];
  }
  argv[kept] = NULL;
  return ciraOptMain(kept, argv);
}
