/* SPDX-License-Identifier: Apache-2.0
 * Reading order: llvm_interleave_weave.h, llvm_interleave_steps.c (the early
 * part); here the rounds; llvm_interleave_late.c; here the choice. */
#include "codegen/llvm_interleave_weave.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { plain_ops_max = 1500 }; /* of the loop: the code grows by as much */

/* ---- rounds ---------------------------------------------------------------
 */

void cira__il_choose(cira__weave_t *w, MlirValue slot, int code_min, int count,
                     MlirBlock *blocks) {
  cira_llvm_build_t *b = &w->b;
  MlirType i32 = cira_llvm_int(b, 32);
  if (count == 1) {
    cira_llvm_br(b, blocks[0], 0, NULL);
    return;
  }
  MlirValue code =
      cira_llvm_load(b, i32, cira__il_slot_at(w, slot, w->plan->code_slot));
  for (int i = 0; i + 1 < count; i++) {
    MlirBlock other = i + 2 < count ? cira_llvm_block(b) : blocks[i + 1];
    MlirValue is = cira_llvm_compare(b, cira_llvm_ne, code,
                                     cira_llvm_constant(b, i32, code_min + i));
    cira_llvm_cond_br(b, is, other, 0, NULL, blocks[i], 0, NULL);
    b->at = other;
  }
}

static MlirValue multiply(cira__weave_t *w, MlirValue value, int64_t number) {
  MlirValue by = cira_llvm_constant(&w->b, mlirValueGetType(value), number);
  return cira_llvm_binary(&w->b, "llvm.mul", value, by);
}

MlirValue cira__il_slot_of(cira__weave_t *w, MlirValue number) {
  MlirValue mask =
      cira_llvm_constant(&w->b, cira_llvm_int(&w->b, 64), w->shape->ring - 1);
  MlirValue at = cira_llvm_binary(&w->b, "llvm.and", number, mask);
  return cira_llvm_element(&w->b, w->slots,
                           multiply(w, at, w->plan->slot_bytes), 1);
}

/* The arguments of the next iteration, from those of this one. */
static void build_advance(cira__weave_t *w) {
  cira_il_plan_t *p = w->plan;
  MlirValue made[cira_il_ops_max];
  for (int i = 0; i < p->advance_count; i++) {
    MlirValue operands[cira__weave_operands_max];
    MlirOperation op = p->advance[i];
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
      MlirValue value = mlirOperationGetOperand(op, k);
      int argument = cira_il_argument(p, value);
      operands[k] = argument >= 0 ? w->advanced[argument] : value;
      for (int j = 0; j < i; j++) {
        if (mlirValueEqual(mlirOperationGetResult(p->advance[j], 0), value)) {
          operands[k] = made[j];
        }
      }
    }
    made[i] = mlirOperationGetResult(cira__il_add_copy(w, op, operands), 0);
  }
  MlirOperation end = cira__terminator(p->nest.blocks[p->nest.latch]);
  bool second =
      !mlirBlockEqual(mlirOperationGetSuccessor(end, 0), p->nest.blocks[0]);
  for (int i = 0; i < p->arg_count; i++) {
    MlirValue value = cira__edge_value(end, second, i);
    int argument = cira_il_argument(p, value);
    w->next[i] = argument >= 0 ? w->advanced[argument] : value;
    for (int j = 0; j < p->advance_count; j++) {
      if (mlirValueEqual(mlirOperationGetResult(p->advance[j], 0), value)) {
        w->next[i] = made[j];
      }
    }
  }
}

static void add_int_arguments(cira__weave_t *w, MlirBlock block, int count) {
  for (int i = 0; i < count; i++) {
    mlirBlockAddArgument(block, cira_llvm_int(&w->b, 64), w->b.loc);
  }
}

intptr_t cira__il_with_advanced(const cira__weave_t *w, const MlirValue *from,
                                MlirValue *values, intptr_t count) {
  for (int i = 0; i < w->plan->arg_count; i++) {
    if (w->plan->advanced[i]) {
      values[count++] = from[i];
    }
  }
  return count;
}

/* What no step of a round needs is parked in memory meanwhile: LLVM would
 * rather spill what each step counts with. It lies behind `active`, where LLVM
 * cannot see that no step writes. Places: each argument, each of those that go
 * ahead, how many are retired, the limit. */
static int park_places(const cira__weave_t *w) {
  return 2 * w->plan->arg_count + 2;
}

static MlirValue park_at(cira__weave_t *w, int place) {
  return cira_llvm_offset(&w->b, w->active, 8 * (w->shape->width + place));
}

static bool is_parked(MlirValue value) {
  int64_t bytes = cira_il_bytes(mlirValueGetType(value));
  return bytes > 0 && bytes <= 8;
}

static void park(cira__weave_t *w, int place, MlirValue value) {
  if (is_parked(value)) {
    cira_llvm_store(&w->b, value, park_at(w, place));
  }
}

static MlirValue unpark(cira__weave_t *w, int place, MlirValue value) {
  return is_parked(value)
             ? cira_llvm_load(&w->b, mlirValueGetType(value), park_at(w, place))
             : value;
}

/* ^changed: a period begins. */
static void begin_period(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  int args = w->plan->arg_count;
  MlirValue values[cira__weave_fixed + 2 * cira_il_args_max];
  add_int_arguments(w, w->top, 3);
  b->at = w->changed;
  w->left = mlirBlockGetArgument(w->changed, args);
  w->total = cira_llvm_binary(b, "llvm.intr.umin", w->left,
                              mlirBlockGetArgument(w->changed, args + 1));
  for (int i = 0; i < args; i++) {
    values[i] = mlirBlockGetArgument(w->changed, i);
    if (w->plan->advanced[i]) {
      w->advanced[i] =
          mlirBlockAddArgument(w->top, mlirValueGetType(values[i]), b->loc);
    }
  }
  values[args] = values[args + 1] = values[args + 2] =
      cira_llvm_constant(b, cira_llvm_int(b, 64), 0);
  cira_llvm_br(b, w->top, cira__il_with_advanced(w, values, values, args + 3),
               values);
}

/* ^top: as many iterations begin as there is room for, in the ring and among
 * those that go on. */
static void begin_round(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  MlirType i64 = cira_llvm_int(b, 64);
  int args = w->plan->arg_count;
  MlirValue values[cira__weave_fixed + cira_il_args_max];
  b->at = w->top;
  MlirValue retired = mlirBlockGetArgument(w->top, args);
  MlirValue begun = mlirBlockGetArgument(w->top, args + 1);
  MlirValue kept = mlirBlockGetArgument(w->top, args + 2);
  MlirValue ring = cira_llvm_constant(b, i64, w->shape->ring);
  MlirValue width = cira_llvm_constant(b, i64, w->shape->width);
  ring = cira_llvm_binary(b, "llvm.add", retired, ring);
  width = cira_llvm_binary(b, "llvm.sub", width, kept);
  width = cira_llvm_binary(b, "llvm.add", begun, width);
  w->limit = cira_llvm_binary(
      b, "llvm.intr.umin",
      cira_llvm_binary(b, "llvm.intr.umin", ring, w->total), width);
  for (int i = 0; i < args; i++) {
    park(w, i, mlirBlockGetArgument(w->top, i));
  }
  park(w, 2 * args, retired);
  park(w, 2 * args + 1, w->limit);
  values[0] = begun;
  values[1] = kept;
  cira_llvm_br(b, w->start, cira__il_with_advanced(w, w->advanced, values, 2),
               values);
}

/* ^start: the first step of an iteration. */
static void build_starts(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  MlirBlock run = cira_llvm_block(b), ends = cira_llvm_block(b);
  MlirValue values[3];
  const int first = 0;
  int args = w->plan->arg_count;
  add_int_arguments(w, w->start, 2);
  w->starting = true;
  w->k = mlirBlockGetArgument(w->start, 0);
  w->kept = mlirBlockGetArgument(w->start, 1);
  for (int i = 0; i < args; i++) {
    if (w->plan->advanced[i]) {
      w->advanced[i] = mlirBlockAddArgument(
          w->start, mlirValueGetType(w->advanced[i]), b->loc);
    }
  }
  b->at = w->start;
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ult, w->k, w->limit), run,
                    0, NULL, ends, 0, NULL);
  b->at = run;
  w->slot = cira__il_slot_of(w, w->k);
  cira__il_keep_code(w, 0);
  cira_llvm_store(b, w->slot, cira_llvm_element(b, w->active, w->kept, 8));
  build_advance(w);
  cira__il_build_steps(w, 1, &first);
  b->at = run;
  cira_llvm_br(b, w->piece[0], 0, NULL);
  b->at = ends;
  for (int i = 0; i < args; i++) {
    if (w->plan->advanced[i]) {
      park(w, args + i, w->advanced[i]);
    }
  }
  values[0] = values[1] = cira_llvm_constant(b, cira_llvm_int(b, 64), 0);
  values[2] = w->kept;
  cira_llvm_br(b, w->turn, 3, values);
}

/* Behind a round: what was parked is taken back, for the late parts. */
static void end_round(cira__weave_t *w) {
  MlirValue late[1 + cira_il_args_max];
  int args = w->plan->arg_count;
  w->kept_now = cira__il_is_ordered(w) ? w->kept : w->count;
  late[0] = unpark(w, 2 * args, mlirBlockGetArgument(w->top, args));
  w->limit_now = unpark(w, 2 * args + 1, w->limit);
  for (int i = 0; i < args; i++) {
    late[1 + i] = unpark(w, i, mlirBlockGetArgument(w->top, i));
    if (w->plan->advanced[i]) {
      w->advanced[i] = unpark(w, args + i, w->advanced[i]);
    }
  }
  cira_llvm_br(&w->b, w->retire, 1 + args, late);
}

/* ^turn: a step behind a wait. */
static void build_turns(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  cira_il_plan_t *p = w->plan;
  MlirBlock run = cira_llvm_block(b), ends = cira_llvm_block(b);
  MlirBlock waits[cira_chain_waits_max];
  add_int_arguments(w, w->turn, 3);
  w->starting = false;
  w->k = mlirBlockGetArgument(w->turn, 0);
  w->kept = mlirBlockGetArgument(w->turn, 1);
  w->count = mlirBlockGetArgument(w->turn, 2);
  b->at = w->turn;
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ult, w->k, w->count), run,
                    0, NULL, ends, 0, NULL);
  b->at = run;
  w->slot = cira_llvm_load(b, cira_llvm_ptr(b),
                           cira_llvm_element(b, w->active, w->k, 8));
  cira__il_build_steps(w, p->chain.count, p->resume);
  for (int i = 0; i < p->chain.count; i++) {
    waits[i] = w->piece[p->resume[i]];
  }
  b->at = run;
  cira__il_choose(w, w->slot, 0, p->chain.count, waits);
  b->at = ends;
  end_round(w);
}

static void build_rounds(cira__weave_t *w) {
  begin_period(w);
  begin_round(w);
  build_starts(w);
  build_turns(w);
}

/* ---- the choice -----------------------------------------------------------
 */

MlirOperation cira_il_count(const cira_llvm_loops_t *loops, int64_t number) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      int64_t of;
      MlirAttribute callee =
          ciraOperationHasName(op, "llvm.call")
              ? mlirOperationGetAttributeByName(op, cira__str("callee"))
              : mlirAttributeGetNull();
      if (!mlirAttributeIsNull(callee) &&
          mlirStringRefEqual(mlirFlatSymbolRefAttrGetValue(callee),
                             cira__str("cira.count")) &&
          mlirOperationGetNumOperands(op) == 2 &&
          ciraValueGetConstant(mlirOperationGetOperand(op, 0), &of) &&
          of == number) {
        return op;
      }
    }
  }
  return (MlirOperation){NULL};
}

/* All ways into the loop lead to `block` instead. */
static void redirect(const cira_il_plan_t *p, MlirRegion region,
                     MlirBlock block) {
  MlirBlock at = mlirRegionGetFirstBlock(region);
  for (; !mlirBlockIsNull(at); at = mlirBlockGetNextInRegion(at)) {
    MlirOperation end = cira__terminator(at);
    for (intptr_t i = 0;
         cira_nest_index(&p->nest, at) < 0 && !mlirOperationIsNull(end) &&
         i < mlirOperationGetNumSuccessors(end);
         i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(end, i),
                         p->nest.blocks[0])) {
        mlirOperationSetSuccessor(end, i, block);
      }
    }
  }
}

/* ^choice(arguments...): the first period; ^again: the next one; ^go. */
static void build_periods(cira__weave_t *w, MlirBlock choice,
                          MlirOperation times) {
  cira_llvm_build_t *b = &w->b;
  MlirType i64 = cira_llvm_int(b, 64);
  MlirBlock header = w->plan->nest.blocks[0];
  int count = w->plan->arg_count;
  MlirValue values[2 + cira_il_args_max];
  for (int second = 0; second < 2; second++) {
    MlirBlock from = second ? w->again : choice;
    b->at = from;
    for (int i = 0; i < count; i++) {
      values[i] = mlirBlockGetArgument(from, i);
    }
    values[count] = second ? mlirBlockGetArgument(from, count)
                           : cira_llvm_binary(b, "llvm.add",
                                              mlirOperationGetOperand(times, 1),
                                              cira_llvm_constant(b, i64, 1));
    values[count + 1] = second
                            ? cira_choice_next(&w->choice, b, values[count])
                            : cira_choice_enter(&w->choice, b, values[count]);
    cira_llvm_br(b, w->go, count + 2, values);
  }
  b->at = w->go;
  for (int i = 0; i < count; i++) {
    values[i] = mlirBlockGetArgument(w->go, i);
  }
  MlirValue word = mlirBlockGetArgument(w->go, count + 1);
  MlirValue old[1 + cira_il_args_max];
  memcpy(old, values, sizeof old);
  values[count] = w->go_left = mlirBlockGetArgument(w->go, count);
  MlirValue changed = cira_choice_changed(b, word);
  values[count + 1] = old[count] = w->go_budget = cira_choice_budget(b, word);
  cira_llvm_cond_br(b, changed, w->changed, count + 2, values, header,
                    count + 1, old);
}

/* The old loop counts its iterations down to the end of the period, and by
 * nothing else: its last iteration is the last of a period too. */
static void count_old(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  const cira_nest_t *nest = &w->plan->nest;
  MlirBlock header = nest->blocks[0], latch = nest->blocks[nest->latch];
  MlirBlock tick = cira_llvm_block(b), used_up = cira_llvm_block(b);
  MlirType i64 = cira_llvm_int(b, 64);
  MlirOperation end = cira__terminator(latch);
  bool second = !mlirBlockEqual(mlirOperationGetSuccessor(end, 0), header);
  MlirBlock out = mlirOperationGetSuccessor(end, !second);
  int count = w->plan->arg_count;
  MlirValue next[1 + cira_il_args_max], again[1 + cira_il_args_max];
  MlirValue leave[cira__weave_operands_max];
  cira__il_add_arguments(w, tick, header);
  cira__il_add_arguments(w, used_up, out);
  MlirValue budget = mlirBlockAddArgument(header, i64, b->loc);
  for (int i = 0; i < count; i++) {
    next[i] = mlirBlockGetArgument(tick, i);
    again[i] = cira__edge_value(end, second, i);
  }
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(used_up); i++) {
    leave[i] = mlirBlockGetArgument(used_up, i);
  }

  mlirOperationRemoveFromParent(end);
  b->at = latch;
  MlirValue zero = cira_llvm_constant(b, i64, 0);
  next[count] =
      cira_llvm_binary(b, "llvm.sub", budget, cira_llvm_constant(b, i64, 1));
  MlirValue more = cira_llvm_compare(b, second ? cira_llvm_eq : cira_llvm_ne,
                                     next[count], zero);
  mlirOperationSetOperand(end, 0, more);
  mlirOperationSetSuccessor(end, second, tick);
  mlirOperationSetSuccessor(end, !second, used_up);
  mlirBlockAppendOwnedOperation(latch, end);
  b->at = tick;
  cira_llvm_br(b, header, count + 1, next);
  char facts[64]; /* it is part of the loop, for passes to come */
  snprintf(facts, sizeof facts, "{loop = %ld : i64, percent = 100 : i64}",
           (long)nest->loop);
  cira__attr_set(cira__terminator(tick), "cira.facts",
                 mlirAttributeParseGet(b->ctx, cira__str(facts)));
  b->at = used_up;
  again[count] = cira_llvm_binary(b, "llvm.sub", w->go_left, w->go_budget);
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ne, again[count], zero),
                    w->again, count + 1, again, out,
                    mlirBlockGetNumArguments(used_up), leave);
}

/* On the way out, a sample ends. */
static void leave_at_end(cira__weave_t *w) {
  const cira_nest_t *nest = &w->plan->nest;
  MlirOperation end = cira__terminator(nest->blocks[nest->latch]);
  for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
    MlirBlock to = mlirOperationGetSuccessor(end, i);
    if (cira_nest_index(nest, to) >= 0) {
      continue;
    }
    MlirValue values[cira__weave_operands_max];
    MlirBlock out = cira_llvm_block(&w->b);
    cira__il_add_arguments(w, out, to);
    mlirOperationSetSuccessor(end, i, out);
    w->b.at = out;
    cira_choice_leave(&w->choice, &w->b, (MlirValue){NULL});
    for (intptr_t k = 0; k < mlirBlockGetNumArguments(out); k++) {
      values[k] = mlirBlockGetArgument(out, k);
    }
    cira_llvm_br(&w->b, to, mlirBlockGetNumArguments(out), values);
  }
}

/* The loop as clang would have it, for executions that need no choice. */
static void copy_plain(cira__weave_t *w) {
  const cira_nest_t *nest = &w->plan->nest;
  cira_copies_make(&w->plain, &w->b, nest->blocks, nest->count, plain_ops_max,
                   true);
  for (size_t i = 0; i < w->plain.block_count; i++) {
    cira__attr_drop(cira__terminator(w->plain.blocks[i].to), "cira.facts");
  }
}

static bool is_outside(const void *user, MlirBlock block) {
  const cira__weave_t *w = user;
  return cira_nest_index(&w->plan->nest, block) < 0 &&
         !cira_copies_has(&w->plain, block);
}

/* In front of the choice: may the plain loop run? */
static void build_front(cira__weave_t *w, MlirBlock front, MlirBlock choice,
                        MlirOperation times) {
  cira_llvm_build_t *b = &w->b;
  MlirBlock header = w->plan->nest.blocks[0];
  MlirValue values[cira_il_args_max];
  for (int i = 0; i < w->plan->arg_count; i++) {
    values[i] = mlirBlockGetArgument(front, i);
  }
  b->at = front;
  MlirValue left =
      cira_llvm_binary(b, "llvm.add", mlirOperationGetOperand(times, 1),
                       cira_llvm_constant(b, cira_llvm_int(b, 64), 1));
  cira_choice_plain(&w->choice, b, left, cira_copies_of(&w->plain, header),
                    choice, w->plan->arg_count, values);
  cira_copies_carry(&w->plain, NULL, w->plan->nest.loops->function, is_outside,
                    w);
  cira_copies_fini(&w->plain);
}

/* The blocks between the pieces. */
static MlirBlock add_blocks(cira__weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  MlirBlock header = w->plan->nest.blocks[0];
  MlirBlock choice = cira_llvm_block(b);
  w->go = cira_llvm_block(b);
  w->again = cira_llvm_block(b);
  w->changed = cira_llvm_block(b);
  w->top = cira_llvm_block(b);
  w->start = cira_llvm_block(b);
  w->turn = cira_llvm_block(b);
  w->retire = cira_llvm_block(b);
  w->late = cira_llvm_block(b);
  add_int_arguments(w, w->retire, 1);
  MlirBlock all[] = {choice, w->go, w->again, w->changed, w->top, w->retire};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    cira__il_add_arguments(w, all[i], header);
  }
  add_int_arguments(w, w->go, 2);
  add_int_arguments(w, w->again, 1);
  add_int_arguments(w, w->changed, 2);
  return choice;
}

void cira_il_build(cira_il_plan_t *plan, MlirOperation count,
                   const cira_il_shape_t *shape) {
  cira__weave_t *w = calloc(1, sizeof *w);
  if (!w) {
    abort(); /* as LLVM does when memory is out */
  }
  w->plan = plan;
  w->shape = shape;
  w->b = cira_llvm_build_in(plan->nest.loops->function);
  w->slots = cira_llvm_room(&w->b, shape->ring * plan->slot_bytes);
  w->active = cira_llvm_room(&w->b, (shape->width + park_places(w)) * 8);
  w->choice = cira_choice_make(plan->nest.loops->function, shape->least,
                               2 * shape->ring);
  w->choice.floor_ticks = shape->floor_ticks;
  copy_plain(w);
  MlirBlock choice = add_blocks(w);
  MlirBlock front = choice;
  if (w->plain.block_count) {
    front = cira_llvm_block(&w->b);
    cira__il_add_arguments(w, front, plan->nest.blocks[0]);
  }
  redirect(plan, w->b.region, front);
  leave_at_end(w);
  build_rounds(w);
  cira__il_build_late(w);
  build_periods(w, choice, count);
  count_old(w);
  if (w->plain.block_count) {
    build_front(w, front, choice, count);
  }
  free(w->pairs);
  free(w);
}
