/* SPDX-License-Identifier: Apache-2.0
 * What can be reached by looking ahead in a loop of an llvm.func: from arrays
 * that the loop walks through (a queue, an index array, a row of a sparse
 * matrix) by chains of loads to accesses whose lines can be asked for early.
 * An access may be in the loop itself (`level`), or in a loop inside it
 * (`scan`), whose counter then begins at a value that was read ahead: a row.
 *
 * Nothing here proves that a load ahead is safe. Each one names its `base`, the
 * pointer that its address is computed from within one object; whoever does
 * the load finds out, when the program runs, whether the address lies between
 * others that the program itself has accessed through the same base
 * (codegen/llvm_ahead.h). So values may be guessed: a value that is one of
 * several by a condition is taken to be the first of them.
 * A view: worthless once blocks are split. Pure functions of the IR. */
#ifndef CIRA_COMPILER_ANALYSIS_LLVM_AHEAD_H
#define CIRA_COMPILER_ANALYSIS_LLVM_AHEAD_H

#include "analysis/llvm_loop.h"

enum {
  cira_ahead_values_max = 96,
  cira_ahead_targets_max = 16,
  cira_ahead_bases_max = 8,
  cira_ahead_witnesses_max = 24,
  cira_ahead_page = -1 /* as a base: only the page of the loop's own access */
};

typedef enum {
  cira_ahead_fixed,   /* does not change in the loop */
  cira_ahead_counter, /* grows by a constant each iteration */
  cira_ahead_last,    /* read anew from one place: what was read last */
  cira_ahead_same,    /* stands for `alias` */
  cira_ahead_scanned, /* counter of the loop inside; begins with `alias` */
  cira_ahead_source,  /* a load that walks through an array */
  cira_ahead_load,    /* another load */
  cira_ahead_op       /* computed */
} cira_ahead_kind_t;

typedef struct cira_ahead_value {
  MlirValue value;
  cira_ahead_kind_t kind;
  MlirOperation op; /* of the last four kinds, and of cira_ahead_last; of a
                       counter whose step only the program knows: the op that
                       adds it */
  int alias;        /* number of another value; -1 */
  int base;         /* of a load, and of cira_ahead_last; see above */
  int level;        /* loads in a row that lead to it */
  bool scan;        /* changes within the loop inside */
  bool needed;      /* has to be computed ahead */
  int64_t step;     /* of counters */
} cira_ahead_value_t;

/* A pointer into an object. */
typedef struct cira_ahead_base {
  MlirValue pointer; /* the same in the whole loop; or null, and then */
  MlirValue place;   /* the address that it is read from again and again */
  bool is_pointer;   /* otherwise a plain value at that place */
} cira_ahead_base_t;

/* An access of the program through a base. */
typedef struct cira_ahead_witness {
  MlirOperation access;
  MlirValue address;
  MlirValue pointer; /* the base as the address was computed from it */
  int base;
} cira_ahead_witness_t;

typedef struct cira_ahead_target {
  MlirOperation access;
  int address;     /* number of the value */
  int level;       /* loads that come before */
  int64_t percent; /* runs in 100 iterations of its own loop */
  int64_t loop;    /* that loop: level, or scan */
  bool row_start;  /* walks on from there: only the first lines are wanted */
  bool written, branchy;
  int base; /* of the access itself; -2: none that shows its size */
} cira_ahead_target_t;

typedef struct cira_ahead {
  const cira_llvm_loops_t *loops;
  int64_t level;
  int64_t scan; /* -1: none */
  cira_ahead_value_t values[cira_ahead_values_max];
  int value_count;
  cira_ahead_base_t bases[cira_ahead_bases_max];
  int base_count;
  cira_ahead_witness_t witnesses[cira_ahead_witnesses_max];
  int witness_count;
  cira_ahead_target_t targets[cira_ahead_targets_max];
  int target_count;
  MlirOperation anchor;   /* the last of the sources, in the loop `level` */
  bool in_front;          /* they are done now and then: the loop looks ahead
                             where its iterations begin */
  int scan_from, scan_to; /* values: a row's beginning and end; -1: none */
  int64_t scan_step;      /* its entries are so far from each other */
  MlirValue row_first;    /* without a loop inside: what the counter begins */
  MlirOperation entering; /* with, at this branch; null: not one alone */
  const char *why;        /* if the last access was refused */
  int depth;
} cira_ahead_t;

/* Prepares for accesses of loop `level` and of the loop `scan` inside it (-1:
 * none). */
void cira_ahead_init(cira_ahead_t *a, const cira_llvm_loops_t *loops,
                     int64_t level, int64_t scan);

/* Adds a load or store as a target, unless it belongs to an object that one
 * already has. False: `a->why`, and nothing is added. */
bool cira_ahead_add(cira_ahead_t *a, MlirOperation access);

/* When all targets are there: finds the anchor, the ends of the rows, and the
 * accesses that show which memory is there. False: `a->why`. */
bool cira_ahead_finish(cira_ahead_t *a);

/* Does a counter of the loop begin with what is read at a place that is no walk
 * through an array? Then one row does not lie behind the other. */
bool cira_ahead_is_scattered(const cira_llvm_loops_t *loops, int64_t loop);

/* Does an access of the loop show memory that can be reached through it? */
bool cira_ahead_is_witnessed(const cira_ahead_t *a, int base);

/* The bytes of a value in memory; 0: of another kind than integers, floats and
 * pointers. */
int64_t cira_ahead_size(MlirType type);

/* By how much the address of an access grows in each iteration of its own
 * loop, whatever its base is; 0: by nothing known. */
int64_t cira_ahead_stride(MlirOperation access);

#endif /* CIRA_COMPILER_ANALYSIS_LLVM_AHEAD_H */
