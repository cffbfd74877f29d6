/* SPDX-License-Identifier: Apache-2.0
 * Access patterns: how the address of a load or store goes on from one
 * iteration of the innermost loop around it to the next.
 *
 * An address is taken apart into a root (memref or handle), and a byte offset
 * that is linear in the loop counter where it can be. Reading order:
 * cira_access_get, then cira_access_classify, then the cases in access.c from
 * simple (strided) to composed (frontier). Pure functions of the IR. */
#ifndef CIRA_COMPILER_ANALYSIS_ACCESS_H
#define CIRA_COMPILER_ANALYSIS_ACCESS_H

#include "analysis/loop.h"
#include "cira-c/IR.h"

#include <stdint.h>

typedef struct cira_access {
  MlirOperation op;
  bool is_store;
  MlirValue base;         /* memref or handle */
  intptr_t first_index;   /* operand number of the first index */
  intptr_t index_count;   /* variable indices */
  int64_t constant_index; /* of a cira op, in elements or fields */
  bool has_constant_index;
} cira_access_t;

typedef struct cira_access_class {
  CiraPattern pattern;
  int64_t stride_bytes;
  int64_t offset_bytes;  /* of the link in a node (linked) */
  int64_t element_bytes; /* touched by the access */
  intptr_t carried;      /* which carried value is the node (linked) */
  MlirOperation source;  /* the load that gives the address (indexed,
                            frontier: the vertex), or null */
  char reason[160];
} cira_access_class_t;

/* Is `op` a load or store that this analysis knows: memref.load/store,
 * cira.load/store/load_async/store_async? Writes its parts then. */
bool cira_access_get(MlirOperation op, cira_access_t *out_access);

/* The pattern of an access within `loop`, the innermost one around it. Always
 * writes `*out_class`; a pattern of none has its reason. */
void cira_access_classify(const cira_access_t *access, const cira_loop_t *loop,
                          cira_access_class_t *out_class);

/* The tier in which the data behind a memref, handle or remote_memref lies;
 * false if the IR does not say. */
bool cira_access_tier(MlirValue base, CiraTier *out_tier);

#endif /* CIRA_COMPILER_ANALYSIS_ACCESS_H */
