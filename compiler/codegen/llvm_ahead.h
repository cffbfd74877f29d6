/* SPDX-License-Identifier: Apache-2.0
 * Puts the looking ahead into a function: what analysis/llvm_ahead.h has found
 * becomes, behind the last of the sources in each iteration,
 *
 *   if (on)                           the loop touches more than a cache holds
 *     for each stage                  the farthest first
 *       read what leads there, each load only if it is known to be there
 *       prefetch the lines that the program will want then
 *
 * The invariant: a load ahead is done only where memory is. It is, in the page
 * of an access that the iteration itself does; and between the lowest and the
 * highest page that the program has touched through one base, since a pointer
 * into an object stays in it (inbounds). These two, lo and hi, are kept for
 * each base in variables of the function and forgotten before whatever might
 * free memory or wait for another thread. So it does not matter what is read
 * ahead: a wrong value is the address of a prefetch, which never faults.
 * Variables are llvm.alloca; mem2reg makes values of them.
 * Threading: as the IR. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_AHEAD_H
#define CIRA_COMPILER_CODEGEN_LLVM_AHEAD_H

#include "analysis/llvm_ahead.h"

/* How one loop looks ahead. */
typedef struct cira_ahead_plan {
  cira_ahead_t *ahead;
  int64_t distance;      /* iterations from one stage to the next */
  int64_t row_max;       /* entries of a row ahead that are looked at */
  int64_t row_guess;     /* as many, where nothing says how long a row is */
  int64_t line_bytes;    /* of the machine */
  int64_t page_bytes;    /* its smallest page */
  bool always;           /* on: the loop as it was is beside this one; or */
  int64_t on_bytes;      /* on, once so much has been touched; 0: */
  int64_t on_trips;      /* on, after so many iterations */
  bool within_row;       /* nothing is looked at behind the end of the row */
  MlirOperation row_end; /* then: the call of cira.last for the only source, if
                            the loop reads the whole row; or null */
  MlirOperation
      fold; /* where lo and hi are brought up to date: the beginning of
               the header of the loop around; null: at the source */
  MlirOperation last; /* the call of cira.last for the only source, in front of
                         the row that the loop goes through: all rows lie behind
                         one another. Null: they do not */
  struct cira_ahead_plan *host; /* its `on` is taken; null: none */
  MlirValue on;                 /* written: the variable */
} cira_ahead_plan_t;

/* Inserts it. `plan->ahead` must be finished, of this function, and no plan
 * may have been inserted twice. A host comes before its guests. */
void cira_ahead_insert(cira_ahead_plan_t *plan);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_AHEAD_H */
