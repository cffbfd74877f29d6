/* SPDX-License-Identifier: Apache-2.0
 * Chains in a loop of an llvm.func: loads of loops inside whose addresses
 * follow from what was read before (lists, trees, binary search), and the
 * random loads that lead there (hash buckets). In front of each such object an
 * iteration may wait for memory; no core can begin the next line by itself.
 * Pure functions of the IR. */
#ifndef CIRA_COMPILER_ANALYSIS_LLVM_CHAIN_H
#define CIRA_COMPILER_ANALYSIS_LLVM_CHAIN_H

#include "analysis/llvm_nest.h"

enum { cira_chain_waits_max = 12, cira_chain_lines_max = 8 };

/* One object that an iteration may wait for, where it is first read. */
typedef struct cira_chain_wait {
  MlirOperation load; /* the first read of it */
  MlirValue object;   /* its address; all reads of it are constant offsets or
                         parts of an array inside */
  bool chained;       /* follows from what a loop inside has read */
  /* What is read of it, in bytes from `object` on. */
  int64_t from[cira_chain_lines_max], to[cira_chain_lines_max];
  int range_count;
} cira_chain_wait_t;

typedef struct cira_chain {
  cira_chain_wait_t waits[cira_chain_waits_max];
  int count;
  int chained_count;
} cira_chain_t;

/* Finds what an iteration of the loop waits for. What stays in a cache of
 * `cache_bytes` is left out, and so is what is read in few iterations only.
 * False: there is no chain, or there are too many objects. */
bool cira_chain_get(const cira_nest_t *nest, int64_t cache_bytes,
                    cira_chain_t *out_chain);

/* Offsets of the lines of `line_bytes` that hold what is read of an object, if
 * a line begins where the first read does. Returns their number, at most
 * cira_chain_lines_max. */
int cira_chain_lines(const cira_chain_wait_t *wait, int64_t line_bytes,
                     int64_t *out_offsets);

#endif /* CIRA_COMPILER_ANALYSIS_LLVM_CHAIN_H */
