/* SPDX-License-Identifier: Apache-2.0
 * What the parts of codegen/llvm_ahead.c share: the stages are there, and what
 * is known of memory, by variables of the function for each base, is in
 * llvm_ahead_memory.c. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_AHEAD_PARTS_H
#define CIRA_COMPILER_CODEGEN_LLVM_AHEAD_PARTS_H

#include "codegen/llvm_ahead.h"
#include "codegen/llvm_build.h"

/* The variables of a base. `seen` is the last address that was accessed, 0 if
 * none since the last look; `from` the pointer it was computed from. */
typedef struct cira_ahead_vars {
  MlirValue lo, hi, seen, from, pointer;
  bool used;
} cira_ahead_vars_t;

typedef struct cira_ahead_emitter {
  cira_ahead_plan_t *plan;
  cira_ahead_t *a;
  MlirOperation function;
  cira_ahead_vars_t bases[cira_ahead_bases_max];
  cira_lb_t b;
  MlirValue made[cira_ahead_values_max]; /* null: not yet */
  bool checked[cira_ahead_values_max];   /* loads: for the whole row */
  MlirBlock rest;                        /* where to go if a load cannot be */
  int64_t distance;                      /* of the stage */
  bool scanning;
  MlirValue entry; /* of the row, while scanning: its number */
} cira_ahead_emitter_t;

int64_t cira__ahead_highest_level(const cira_ahead_t *a);

/* What is read from a variable of the function. */
MlirValue cira__ahead_var(cira_lb_t *b, MlirValue variable, MlirType type);

/* The one of both for which the comparison holds. */
MlirValue cira__ahead_min_max(cira_lb_t *b, int64_t predicate, MlirValue x,
                              MlirValue y);

/* Makes the variables for the bases that need them, notes in them what the
 * program accesses, and forgets them in front of what may free memory. */
void cira__ahead_watch(cira_ahead_emitter_t *e);

/* Brings lo and hi of all bases up to date. Returns whether to look ahead from
 * now on; `trips` is the variable that counts iterations, if they decide. */
MlirValue cira__ahead_fold(cira_ahead_emitter_t *e, cira_lb_t *b,
                           MlirValue trips);

/* Does [address, address + size) lie between what has been accessed? */
MlirValue cira__ahead_is_between(cira_ahead_emitter_t *e,
                                 const cira_ahead_vars_t *vars,
                                 MlirValue address, int64_t size);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_AHEAD_PARTS_H */
