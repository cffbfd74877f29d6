/* SPDX-License-Identifier: Apache-2.0
 * What a pass is, seen from C: one function that is given the op the pass is
 * anchored on. registry.c makes MLIR passes out of the table; a pass has no
 * state of its own between two runs and so may run on several functions in
 * parallel. */
#ifndef CIRA_COMPILER_PASSES_PASS_H
#define CIRA_COMPILER_PASSES_PASS_H

#include "cira-c/IR.h"

/* Runs over `op` and everything inside it. False: the pass failed and has
 * emitted a diagnostic that says why. */
typedef bool (*cira_pass_run_t)(MlirOperation op);

/* One per entry of Passes.td: cira__run_CiraRecognize and so on. */
#define CIRA_PASS(name, argument, summary) bool cira__run_##name(MlirOperation);
#include "passes.def"
#undef CIRA_PASS

#endif /* CIRA_COMPILER_PASSES_PASS_H */
