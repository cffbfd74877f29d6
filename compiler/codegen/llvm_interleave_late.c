/* SPDX-License-Identifier: Apache-2.0
 * The late part of an interleaved loop, in the order of iterations.
 * Reading order: values and copies, the way in, ^retire, blocks. */
#include "codegen/llvm_interleave_weave.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdlib.h>

/* ---- the late part --------------------------------------------------------
 */

static bool set_late(cira__weave_t *w, MlirValue from, MlirValue to) {
  if (w->pair_count == w->pair_room) {
    int room = w->pair_room ? 2 * w->pair_room : 256;
    cira__weave_pair_t *pairs = realloc(w->pairs, (size_t)room * sizeof *pairs);
    if (!pairs) {
      abort(); /* as LLVM does when memory is out */
    }
    w->pairs = pairs;
    w->pair_room = room;
  }
  w->pairs[w->pair_count++] = (cira__weave_pair_t){from, to};
  return true;
}

static MlirValue late_value(const cira__weave_t *w, MlirValue value) {
  for (int i = w->pair_count - 1; i >= 0; i--) {
    if (w->pairs[i].from.ptr == value.ptr) {
      return w->pairs[i].to;
    }
  }
  return value;
}

static MlirOperation copy_late(cira__weave_t *w, MlirOperation op) {
  intptr_t count = mlirOperationGetNumOperands(op);
  MlirOperation copy = mlirOperationClone(op);
  for (intptr_t i = 0; i < count; i++) {
    mlirOperationSetOperand(copy, i,
                            late_value(w, mlirOperationGetOperand(op, i)));
  }
  cira__il_drop_facts(copy);
  ciraOperationMarkCopy(copy);
  mlirBlockAppendOwnedOperation(w->b.at, copy);
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
    set_late(w, mlirOperationGetResult(op, i), mlirOperationGetResult(copy, i));
  }
  return copy;
}

/* The way in: the arguments of the first block. */
static void build_entry(cira__weave_t *w, const cira_il_entry_t *entry) {
  MlirValue values[cira_il_args_max];
  for (int i = 0; i < entry->arg_count; i++) {
    const cira_il_arg_t *arg = &entry->args[i];
    if (arg->kind == cira_il_late) {
      values[i] = late_value(w, arg->value);
      continue;
    }
    values[i] = cira_llvm_load(&w->b, mlirValueGetType(arg->value),
                               cira__il_slot_at(w, w->late_slot, arg->slot));
    if (arg->kind == cira_il_summed) {
      MlirValue before = mlirBlockGetArgument(w->retire, 1 + arg->sum);
      values[i] = cira__il_combine(w, arg->sum, before, values[i]);
    }
  }
  cira_llvm_br(&w->b, w->late_blocks[entry->block], entry->arg_count, values);
}

/* ^retire: is the oldest done? ^on: the next round, or the next period. */
static void build_retire(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  MlirType i32 = cira_llvm_int(b, 32);
  MlirBlock check = cira_llvm_block(b), on = cira_llvm_block(b);
  MlirBlock after = cira_llvm_block(b);
  MlirValue values[cira__weave_fixed + 2 * cira_il_args_max];
  int args = w->plan->arg_count;
  MlirValue retired = mlirBlockGetArgument(w->retire, 0);
  b->at = w->retire;
  cira_llvm_cond_br(b,
                    cira_llvm_compare(b, cira_llvm_ult, retired, w->limit_now),
                    check, 0, NULL, on, 0, NULL);
  b->at = check;
  w->late_slot = cira__il_slot_of(w, retired);
  MlirValue code = cira_llvm_load(
      b, i32, cira__il_slot_at(w, w->late_slot, w->plan->code_slot));
  MlirValue done = cira_llvm_compare(
      b, cira_llvm_uge, code, cira_llvm_constant(b, i32, w->plan->chain.count));
  cira_llvm_cond_br(b, done, w->late, 0, NULL, on, 0, NULL);
  b->at = on;
  for (int i = 0; i < args; i++) {
    values[i] = mlirBlockGetArgument(w->retire, 1 + i);
  }
  values[args] = retired;
  values[args + 1] = w->limit_now;
  values[args + 2] = w->kept_now;
  intptr_t count = cira__il_with_advanced(w, w->advanced, values, args + 3);
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ne, retired, w->total),
                    w->top, count, values, after, 0, NULL);
  b->at = after;
  values[args] = cira_llvm_binary(b, "llvm.sub", w->left, w->total);
  cira_llvm_br(b, w->again, args + 1, values);
}

/* ^late: what is kept, the top of the iteration, the choice of the way in. */
static void build_late_top(cira__weave_t *w) {
  cira_il_plan_t *p = w->plan;
  MlirBlock ways[cira_il_entries_max];
  w->b.at = w->late;
  for (int i = 0; i < p->arg_count; i++) {
    set_late(w, mlirBlockGetArgument(p->nest.blocks[0], i),
             mlirBlockGetArgument(w->retire, 1 + i));
  }
  for (int i = 0; i < p->value_count; i++) {
    const cira_il_value_t *v = &p->values[i];
    if (v->kept) {
      set_late(w, v->value,
               cira_llvm_load(&w->b, mlirValueGetType(v->value),
                              cira__il_slot_at(w, w->late_slot, v->slot)));
    }
  }
  for (int i = 0; i < p->late_count; i++) {
    copy_late(w, p->late[i]);
  }
  for (int i = 0; i < p->entry_count; i++) {
    ways[i] = cira_llvm_block(&w->b);
  }
  cira__il_choose(w, w->late_slot, p->chain.count, p->entry_count, ways);
  for (int i = 0; i < p->entry_count; i++) {
    w->b.at = ways[i];
    build_entry(w, &p->entries[i]);
  }
}

/* The end of an iteration: the next one. */
static MlirBlock build_late_end(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  int count = w->plan->arg_count;
  MlirBlock block = cira_llvm_block(b);
  MlirValue next[1 + cira_il_args_max];
  cira__il_add_arguments(w, block, w->plan->nest.blocks[0]);
  b->at = block;
  next[0] = cira_llvm_binary(b, "llvm.add", mlirBlockGetArgument(w->retire, 0),
                             cira_llvm_constant(b, cira_llvm_int(b, 64), 1));
  for (int i = 0; i < count; i++) {
    next[1 + i] = mlirBlockGetArgument(block, i);
  }
  cira_llvm_br(b, w->retire, 1 + count, next);
  return block;
}

void cira__il_build_late(cira__weave_t *w) {
  cira_il_plan_t *p = w->plan;
  for (int i = 0; i < p->nest.count; i++) {
    if (!p->in_early[i]) {
      w->late_blocks[i] = cira_llvm_block(&w->b);
      cira__il_add_arguments(w, w->late_blocks[i], p->nest.blocks[i]);
      for (intptr_t k = 0; k < mlirBlockGetNumArguments(p->nest.blocks[i]);
           k++) {
        set_late(w, mlirBlockGetArgument(p->nest.blocks[i], k),
                 mlirBlockGetArgument(w->late_blocks[i], k));
      }
    }
  }
  build_retire(w);
  build_late_top(w);
  MlirBlock end = build_late_end(w);
  for (int i = 0; i < p->nest.count; i++) {
    MlirOperation op = mlirBlockGetFirstOperation(p->nest.blocks[i]);
    w->b.at = w->late_blocks[i];
    for (; !p->in_early[i] && !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      MlirOperation copy =
          cira_il_is_nothing(op) ? (MlirOperation){NULL} : copy_late(w, op);
      for (intptr_t k = 0; k < mlirOperationGetNumSuccessors(op); k++) {
        int to = cira_nest_index(&p->nest, mlirOperationGetSuccessor(op, k));
        if (to >= 0) {
          mlirOperationSetSuccessor(copy, k,
                                    to == 0 ? end : w->late_blocks[to]);
        }
      }
    }
  }
}
