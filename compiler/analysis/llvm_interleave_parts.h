/* SPDX-License-Identifier: Apache-2.0
 * What the parts of analysis/llvm_interleave.c share: the plan itself with its
 * early and late parts is there, sums are in llvm_interleave_sum.c, and what
 * lives across cuts, and where, is in llvm_interleave_live.c. */
#ifndef CIRA_COMPILER_ANALYSIS_LLVM_INTERLEAVE_PARTS_H
#define CIRA_COMPILER_ANALYSIS_LLVM_INTERLEAVE_PARTS_H

#include "analysis/llvm_interleave.h"

/* Notes why there is no plan; false. */
bool cira__il_fail(cira_il_plan_t *p, const char *why);

/* A branch whose edges cira__edge_value knows. */
bool cira__il_is_branch(MlirOperation op);

/* Is the op, of an early block, needed early? */
bool cira__il_is_early(cira_il_plan_t *p, MlirOperation op);

/* The argument of the loop that the value is a partial result of; -1: none. */
int cira__il_sum_of(cira_il_plan_t *p, MlirValue value);

/* Finds the arguments that the early part only adds to. */
void cira__il_find_sums(cira_il_plan_t *p);

/* Cuts the early part into pieces and gives what lives across cuts, and what
 * the late part takes over, room in the slot. */
bool cira__il_lay_out(cira_il_plan_t *p);

#endif /* CIRA_COMPILER_ANALYSIS_LLVM_INTERLEAVE_PARTS_H */
