/* SPDX-License-Identifier: Apache-2.0 */
#include "codegen/llvm_far_parts.h"

#include "analysis/ir.h"
#include "codegen/llvm_build.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdint.h>
#include <stdlib.h>

static void redirect(const cira_far_loom_t *w, MlirBlock header,
                     MlirBlock choice) {
  MlirBlock at = mlirRegionGetFirstBlock(w->b.region);
  for (; !mlirBlockIsNull(at); at = mlirBlockGetNextInRegion(at)) {
    MlirOperation end = cira__terminator(at);
    for (intptr_t i = 0;
         !cira__far_is_inside(w->plan, at) && !mlirOperationIsNull(end) &&
         i < mlirOperationGetNumSuccessors(end);
         i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(end, i), header)) {
        mlirOperationSetSuccessor(end, i, choice);
      }
    }
  }
}

static void load_view(cira_far_loom_t *w) {
  cira_llvm_build_t *b = &w->b;
  MlirValue view = w->view;
  w->base = cira_llvm_load(b, w->i64, view);
  w->pages = cira_llvm_load(b, w->i64, cira_llvm_offset(b, view, view_pages));
  w->words = cira_llvm_load(b, w->ptr, cira_llvm_offset(b, view, view_words));
  w->delta = cira_llvm_load(b, w->i64, cira_llvm_offset(b, view, view_delta));
  w->mask = cira_llvm_load(b, w->i32, cira_llvm_offset(b, view, view_mask));
  w->match = cira_llvm_load(b, w->i32, cira_llvm_offset(b, view, view_match));
  w->seen = cira_llvm_load(b, w->ptr, cira_llvm_offset(b, view, view_seen));
  w->seen_mask =
      cira_llvm_load(b, w->i64, cira_llvm_offset(b, view, view_seen_mask));
  w->zero = cira__far_number(w, 0);
}

/* A way out of the old nest to `target`: tells the end if the loop is timed. */
static MlirBlock add_old_exit(cira_far_loom_t *w, MlirBlock target) {
  cira_llvm_build_t *b = &w->b;
  intptr_t count = mlirBlockGetNumArguments(target);
  MlirValue *values =
      cira__far_checked(calloc((size_t)count + 1, sizeof *values));
  MlirBlock block = cira__far_block_like(w, target, values);
  MlirBlock tell = cira_llvm_block(b);
  b->at = block;
  MlirValue timed =
      cira_llvm_load(b, w->i64, cira_llvm_offset(b, w->view, view_timed));
  cira_llvm_cond_br(
      b, cira_llvm_compare(b, cira_llvm_ne, timed, cira__far_number(w, 0)),
      tell, 0, NULL, target, count, values);
  b->at = tell;
  cira__far_call(w, "cira_loop_end", 1, &w->view, (MlirType){NULL});
  cira_llvm_br(b, target, count, values);
  free(values);
  return block;
}

/* count_inner, in the old nest. */
static void count_old(cira_far_loom_t *w, MlirBlock block) {
  MlirOperation op = mlirBlockGetFirstOperation(block);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    if (cira__far_is_counted(w, op)) {
      cira_lb_t b = cira_lb_before(op);
      MlirValue place = cira_lb_offset(&b, w->view, view_left);
      MlirValue left = cira_lb_load(&b, place, w->i64, 8);
      MlirValue again = mlirOperationGetOperand(op, 1);
      cira_lb_store(&b, cira_lb_binary(&b, "llvm.sub", left, again), place);
    }
  }
}

/* The old nest tells when it ends, and counts. */
void cira__far_change_old(cira_far_loom_t *w) {
  const cira_far_plan_t *plan = w->plan;
  MlirBlock header = plan->blocks[0];
  for (int i = 0; i < plan->block_count; i++) {
    MlirOperation end = cira__terminator(plan->blocks[i]);
    count_old(w, plan->blocks[i]);
    for (intptr_t k = 0; k < mlirOperationGetNumSuccessors(end); k++) {
      MlirBlock to = mlirOperationGetSuccessor(end, k);
      if (!cira__far_is_inside(plan, to)) {
        mlirOperationSetSuccessor(end, k, add_old_exit(w, to));
      } else if (plan->deals && mlirBlockEqual(to, header)) {
        mlirOperationSetSuccessor(end, k, cira__far_add_tick(w, header));
      }
    }
  }
}

/* Where a new version begins. */
static MlirBlock add_beginning(cira_far_loom_t *w, MlirBlock into,
                               intptr_t count, const MlirValue *values) {
  MlirBlock at = w->b.at, begin = cira_llvm_block(&w->b);
  w->b.at = begin;
  load_view(w);
  cira_llvm_br(&w->b, into, count, values);
  w->b.at = at;
  return begin;
}

void cira__far_add_choice(cira_far_loom_t *w, MlirBlock header, MlirBlock into,
                          cira_far_loom_t *near, MlirBlock near_into) {
  cira_llvm_build_t *b = &w->b;
  MlirValue values[operands_max];
  intptr_t count = mlirBlockGetNumArguments(header);
  w->choice = cira__far_block_like(w, header, values);
  MlirBlock ask = cira_llvm_block(b);
  redirect(w, header, w->choice);
  b->at = w->choice;
  cira_llvm_store(b, cira__far_number(w, 0),
                  cira_llvm_offset(b, w->view, view_timed));
  cira_llvm_store(b, cira__far_number(w, INT64_MAX),
                  cira_llvm_offset(b, w->view, view_left));
  MlirNamedAttribute name = cira_llvm_attr(
      b, "global_name",
      mlirFlatSymbolRefAttrGet(b->ctx, cira__str("cira_loop_begin")));
  MlirValue function = mlirOperationGetResult(
      cira_llvm_op(b, "llvm.mlir.addressof", 0, NULL, w->ptr, 1, &name), 0);
  cira_llvm_cond_br(
      b,
      cira_llvm_compare(b, cira_llvm_ne, function, cira_llvm_zero(b, w->ptr)),
      ask, 0, NULL, header, count, values);
  b->at = ask;
  MlirValue work = mlirValueIsNull(w->plan->again)
                       ? cira__far_number(w, 0)
                       : cira_llvm_binary(b, "llvm.add", w->plan->again,
                                          cira__far_number(w, 1));
  cira_llvm_store(b, work, cira_llvm_offset(b, w->view, view_work));
  if (near) {
    int64_t flags = timed_near | (w->plan->deals ? timed_deals : 0);
    cira_llvm_store(b, cira__far_number(w, flags),
                    cira_llvm_offset(b, w->view, view_timed));
  }
  MlirValue answer = cira__far_call(w, "cira_loop_begin", 1, &w->view, w->i32);
  if (near) {
    MlirBlock other = cira_llvm_block(b);
    near->choice = w->choice;
    cira_llvm_cond_br(
        b,
        cira_llvm_compare(b, cira_llvm_eq, answer,
                          cira_llvm_constant(b, w->i32, answer_near)),
        add_beginning(near, near_into, count, values), 0, NULL, other, 0, NULL);
    b->at = other;
  }
  cira_llvm_cond_br(b,
                    cira_llvm_compare(b, cira_llvm_ne, answer,
                                      cira_llvm_constant(b, w->i32, 0)),
                    add_beginning(w, into, count, values), 0, NULL, header,
                    count, values);
}
