/* SPDX-License-Identifier: Apache-2.0
 * Calls of what chooses, while the program runs, between a loop as it was and
 * as a pass changed it (runtime/cc/choice.h), for passes over functions that
 * came from C. The pass keeps both versions, which can both be entered in front
 * of any iteration, and builds
 *
 *   plain(left)                  where the loop is entered: may a third, plain
 *                                version run from its beginning to its end?
 *   word = enter(left)           if not
 *   go:   begin the version that `changed` says, with `budget` iterations
 *   loop: budget -= 1 for each iteration that begins anew;
 *         at 0: word = next(left), go
 *   leave(unused)                on each way out of the loop
 *
 * `left` is the number of iterations to come (cira_choice_unknown: nobody
 * knows); `unused` what remains of the budget, null if `left` was known. It is
 * negative if more were done than the budget had.
 * In MLIR these are calls of functions that are only declared; the plug-in puts
 * them in. New ops go to the end of a block of the builder, `at`. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_CHOICE_H
#define CIRA_COMPILER_CODEGEN_LLVM_CHOICE_H

#include "codegen/llvm_emit.h"

enum { cira_choice_unknown = -1 };

typedef struct cira_choice {
  MlirOperation function;
  MlirValue period;
  int64_t least, unit;
  /* May be set after making, at most 2^24: ticks (cycles, about) that an
   * iteration of the changed loop takes at the very least. Where the old one is
   * faster, the changed one is not even tried. */
  int64_t floor_ticks;
  char site[32]; /* its name */
} cira_choice_t;

/* A new site in the function. Executions of fewer iterations than `least` take
 * the old loop at once; `unit` iterations of the changed one are a fair sample
 * (1 if it is one from the first on). */
cira_choice_t cira_choice_make(MlirOperation function, int64_t least,
                               int64_t unit);

/* Ends the block: executions of `left` iterations to come (an i64; null: nobody
 * knows) that may be of the loop as clang would have it go to `plain`, where
 * nothing is counted; the others to where cira_choice_enter is. Both blocks
 * have these arguments. The plug-in makes a function of all that only `others`
 * leads to, so that it costs the plain loop no register. */
void cira_choice_plain(const cira_choice_t *c, cira_llvm_build_t *b,
                       MlirValue left, MlirBlock plain, MlirBlock others,
                       intptr_t count, const MlirValue *arguments);

/* `left` is an i64; so is the word that comes back. */
MlirValue cira_choice_enter(const cira_choice_t *c, cira_llvm_build_t *b,
                            MlirValue left);
MlirValue cira_choice_next(const cira_choice_t *c, cira_llvm_build_t *b,
                           MlirValue left);
void cira_choice_leave(const cira_choice_t *c, cira_llvm_build_t *b,
                       MlirValue unused);

/* In front of cira_choice_next: so many iterations more than `budget` were
 * done, since the loop looks at it only now and then. */
void cira_choice_more(const cira_choice_t *c, cira_llvm_build_t *b,
                      MlirValue more);

/* What the word says: is it the changed loop's turn (i1)? For how many
 * iterations, at least 1 (i64)? */
MlirValue cira_choice_changed(cira_llvm_build_t *b, MlirValue word);
MlirValue cira_choice_budget(cira_llvm_build_t *b, MlirValue word);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_CHOICE_H */
