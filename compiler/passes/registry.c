/* SPDX-License-Identifier: Apache-2.0
 * The passes as MLIR knows them, and the named pipelines. The table of passes
 * is generated from Passes.td; the pipelines are listed here, in order.
 * Threading: ciraRegisterPasses once, before the first pass manager. */
#include "cira-c/Passes.h"

#include "bridge/Bridge.h"
#include "passes/pass.h"

#include "mlir-c/Dialect/Arith.h"
#include "mlir-c/Dialect/Func.h"
#include "mlir-c/Dialect/LLVM.h"
#include "mlir-c/Dialect/SCF.h"

#include <stdlib.h>
#include <string.h>

typedef struct cira_pass_entry {
  const char *argument;
  const char *summary;
  cira_pass_run_t run;
} cira_pass_entry_t;

static const cira_pass_entry_t table[] = {
#define CIRA_PASS(name, argument, summary)                                     \
  {argument, summary, cira__run_##name},
#include "passes.def"
#undef CIRA_PASS
};
enum { pass_count = sizeof table / sizeof table[0] };

static const struct {
  const char *name;
  const char *description;
  const char *stages;
} pipelines[] = {
    {"cira-default", "what cira does to a module before it is lowered",
     "cira-check-tokens,cira-recognize,cira-prefetch-distance,cira-place,"
     "cira-prefetch-distance,"
     "cira-create-streams,cira-partition-offload,cira-convert-async,"
     "cira-coalesce"},
    {"cira-to-llvm", "from cira and MLIR's own dialects to LLVM's",
     /* MLIR's own first: there are fewest ops then */
     "expand-realloc,convert-vector-to-scf,memref-expand,"
     "expand-strided-metadata,lower-affine,arith-expand,convert-vector-to-llvm,"
     "cira-outline-offload,cira-lower-ops,convert-scf-to-cf,cira-finish-llvm,"
     "reconcile-unrealized-casts"},
};
enum { pipeline_count = sizeof pipelines / sizeof pipelines[0] };

static void pass_ignore(void *entry) {
  (void)entry;
}

static void pass_run(MlirOperation op, MlirExternalPass pass, void *entry) {
  const cira_pass_entry_t *self = entry;
  if (!self->run(op)) {
    mlirExternalPassSignalFailure(pass);
  }
}

/* Nothing to copy: an entry of the table is constant. */
static void *pass_clone(void *entry) {
  return entry;
}

static MlirPass pass_create(const void *entry) {
  const cira_pass_entry_t *self = entry;
  static char ids[pass_count][8] __attribute__((aligned(8)));
  MlirExternalPassCallbacks callbacks = {.construct = pass_ignore,
                                         .destruct = pass_ignore,
                                         .clone = pass_clone,
                                         .run = pass_run};
  /* All that some pass may build ops of. */
  MlirDialectHandle dialects[] = {
      mlirGetDialectHandle__cira__(), mlirGetDialectHandle__arith__(),
      mlirGetDialectHandle__func__(), mlirGetDialectHandle__llvm__(),
      mlirGetDialectHandle__scf__()};
  return mlirCreateExternalPass(
      mlirTypeIDCreate(ids[self - table]),
      mlirStringRefCreateFromCString(self->argument),
      mlirStringRefCreateFromCString(self->argument),
      mlirStringRefCreateFromCString(self->summary), mlirStringRefCreate("", 0),
      sizeof dialects / sizeof dialects[0], dialects, callbacks, (void *)entry);
}

void ciraRegisterPasses(void) {
  static bool done;
  if (done) {
    return;
  }
  done = true;
  for (size_t i = 0; i < pass_count; i++) {
    cira__pass_register(pass_create, &table[i]);
  }
  for (size_t i = 0; i < pipeline_count; i++) {
    cira__pipeline_register(pipelines[i].name, pipelines[i].description,
                            pipelines[i].stages);
  }
}

MlirPass ciraCreatePass(MlirStringRef argument) {
  for (size_t i = 0; i < pass_count; i++) {
    if (mlirStringRefEqual(argument,
                           mlirStringRefCreateFromCString(table[i].argument))) {
      return pass_create(&table[i]);
    }
  }
  return (MlirPass){NULL};
}

intptr_t ciraGetNumPasses(void) {
  return pass_count;
}

const char *ciraGetPassArgument(intptr_t index) {
  return index >= 0 && index < pass_count ? table[index].argument : NULL;
}

const char *ciraGetPipelineStages(const char *name) {
  for (size_t i = 0; i < pipeline_count; i++) {
    if (strcmp(name, pipelines[i].name) == 0) {
      return pipelines[i].stages;
    }
  }
  return NULL;
}

const char *ciraGetPipelineName(intptr_t index) {
  return index >= 0 && index < pipeline_count ? pipelines[index].name : NULL;
}
