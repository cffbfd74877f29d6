/* SPDX-License-Identifier: Apache-2.0
 * Puts the prefetches of cira-llvm-prefetch into a loop of an llvm.func: in
 * front of the anchor
 *
 *   if (the loop is long)                         not where it has a twin
 *     if (anchor's address + distance <= last one)    only if there is an index
 *       prefetch(address of the iteration ahead)
 *
 * or, where behind the last iteration comes the first of the next execution,
 * the address of that one. An address that follows from iteration to iteration
 * (a generator of random numbers) is known ahead by a second copy of what it
 * follows from, which is `distance` iterations in front of the loop's own:
 * where the loop is entered, it is moved on by as many, then by one in each
 * iteration. Invariant: a load ahead is one that the loop itself does, by the
 * test, and by the slice's guards. New ops have no location: the plug-in knows
 * by it that they are new. Threading: as the IR. */
#ifndef CIRA_COMPILER_CODEGEN_LLVM_FETCH_H
#define CIRA_COMPILER_CODEGEN_LLVM_FETCH_H

#include "analysis/llvm_slice.h"

/* A loop with recurrences may have so many arguments at its header. */
enum { cira_fetch_arguments_max = 64 };

/* One object that an iteration touches, by one or more accesses. */
typedef struct cira_fetch {
  MlirOperation access; /* the first one */
  MlirValue address;
  int64_t loop;
  bool written;
  bool branchy; /* a branch depends on what is loaded */
  cira_slice_t slice;
  MlirOperation front;  /* the call in front of the loop that gives the last
                           address of the anchor, or only: */
  MlirValue times;      /* iterations after the first, of the loop that may be
                           chosen; null: not known */
  int64_t chosen;       /* that loop: `loop`, or the one around it if: */
  int64_t turns;        /* the loop has so many iterations, always the same, and
                           begins anew behind them; 0: it does not */
  MlirOperation anchor; /* in front of which the prefetch goes */
  int stagger;          /* prefetches that need this one's line */
  int64_t distance;     /* 0: left alone */
  int64_t trips_min;    /* in shorter loops it does nothing; 0: in all */
  bool done;
} cira_fetch_t;

/* In front of the loop: does it run long enough for the item (i1)? */
MlirValue cira_fetch_is_long(const cira_fetch_t *item);

/* Inserts the prefetches of all items that have a distance, of loops of one
 * function; `loops` is worthless afterwards. True: there are some. */
bool cira_fetch_insert(const cira_llvm_loops_t *loops, cira_fetch_t *items,
                       int count);

#endif /* CIRA_COMPILER_CODEGEN_LLVM_FETCH_H */
