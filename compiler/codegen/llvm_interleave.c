/* SPDX-License-Identifier: Apache-2.0
 * Reading order: the frame, copies of ops, the early part (steps), rounds, the
 * late part, the choice in front. */
#include "codegen/llvm_interleave.h"

#include "analysis/ir.h"
#include "codegen/llvm_emit.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>
#include <stdlib.h>

enum { turn_fixed = 4, operands_max = 64 };

/* A value of the late part, and what it is in the new one. */
typedef struct pair {
  MlirValue from, to;
} pair_t;

typedef struct weave {
  cira_il_plan_t *plan;
  const cira_il_shape_t *shape;
  cira_llvm_build_t b;
  MlirValue slots;  /* width slots */
  MlirValue active; /* width pointers to slots */

  /* ^group(arguments..., left): one group of iterations. */
  MlirBlock group;
  MlirValue left, size; /* iterations: left, of this group */
  /* ^turn(k, kept, count, first, advanced...): the k-th step of a round. */
  MlirBlock turn;
  MlirValue k, kept, count, first;
  MlirValue advanced[cira_il_args_max];
  MlirValue next[cira_il_args_max]; /* of the iteration after */
  MlirValue slot;
  /* ^late(j, arguments...): the late part of the j-th. */
  MlirBlock late;
  MlirValue late_slot;

  /* By value of the plan: its copy; what it is in the piece at work. */
  MlirValue copy[cira_il_values_max];
  MlirValue here[cira_il_values_max];
  int here_piece[cira_il_values_max];
  MlirBlock piece[cira_il_pieces_max];
  MlirBlock done[cira_il_entries_max]; /* by edge to the late part */

  pair_t *pairs; /* of the late part */
  int pair_count, pair_room;
  MlirBlock late_blocks[cira_nest_blocks_max];
} weave_t;

/* ---- copies ---------------------------------------------------------------
 */

static void drop_facts(MlirOperation op) {
  cira__attr_drop(op, "cira.facts");
}

/* A copy of `op` at the end of the block, on these values. */
static MlirOperation add_copy(weave_t *w, MlirOperation op,
                              const MlirValue *operands) {
  MlirOperation copy = mlirOperationClone(op);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(copy); i++) {
    mlirOperationSetOperand(copy, i, operands[i]);
  }
  drop_facts(copy);
  ciraOperationMarkCopy(copy);
  mlirBlockAppendOwnedOperation(w->b.at, copy);
  return copy;
}

static MlirValue slot_at(weave_t *w, MlirValue slot, int64_t offset) {
  return cira_llvm_offset(&w->b, slot, offset);
}

/* What a sum begins with in each iteration. */
static MlirValue neutral(weave_t *w, int argument) {
  MlirOperation op = w->plan->sum_op[argument];
  MlirType type =
      mlirValueGetType(mlirBlockGetArgument(w->plan->nest.blocks[0], argument));
  unsigned bits = mlirIntegerTypeGetWidth(type);
  int64_t sign = (int64_t)(UINT64_C(1) << (bits - 1));
  int64_t number = ciraOperationHasName(op, "llvm.mul")         ? 1
                   : ciraOperationHasName(op, "llvm.and")       ? -1
                   : ciraOperationHasName(op, "llvm.intr.umin") ? -1
                   : ciraOperationHasName(op, "llvm.intr.smax") ? sign
                   : ciraOperationHasName(op, "llvm.intr.smin") ? sign - 1
                                                                : 0;
  if (bits < 64) { /* as a number of this width with a sign */
    number = (int64_t)((uint64_t)number << (64 - bits)) >> (64 - bits);
  }
  return cira_llvm_constant(&w->b, type, number);
}

/* Combines what a sum had before with what an iteration adds. */
static MlirValue combine(weave_t *w, int argument, MlirValue before,
                         MlirValue added) {
  MlirOperation op = w->plan->sum_op[argument];
  char name[32];
  MlirStringRef text = mlirIdentifierStr(mlirOperationGetName(op));
  snprintf(name, sizeof name, "%.*s", (int)text.length, text.data);
  return cira_llvm_binary(
      &w->b, ciraOperationHasName(op, "llvm.sub") ? "llvm.add" : name, before,
      added);
}

/* ---- the early part -------------------------------------------------------
 */

static MlirValue early_value(weave_t *w, int piece, MlirValue value);

static MlirOperation copy_early(weave_t *w, int piece, MlirOperation op) {
  MlirValue operands[operands_max];
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    operands[i] = early_value(w, piece, mlirOperationGetOperand(op, i));
  }
  cira_il_value_t *v = cira_il_find(w->plan, mlirOperationGetResult(op, 0));
  if (v->sum < 0) {
    return add_copy(w, op, operands);
  }
  /* Summed in another order, it may overflow where the old one did not. */
  char name[32];
  MlirStringRef text = mlirIdentifierStr(mlirOperationGetName(op));
  snprintf(name, sizeof name, "%.*s", (int)text.length, text.data);
  return cira_llvm_op(&w->b, name, mlirOperationGetNumOperands(op), operands,
                      mlirValueGetType(mlirOperationGetResult(op, 0)), 0, NULL);
}

/* The value as the piece has it: computed there, loaded from the slot, or
 * computed anew from what is there. */
static MlirValue early_value(weave_t *w, int piece, MlirValue value) {
  cira_il_value_t *v = cira_il_find(w->plan, value);
  if (!v) {
    return value; /* from outside the loop */
  }
  int at = (int)(v - w->plan->values);
  int argument = cira_il_argument(w->plan, value);
  if (argument >= 0 && !mlirOperationIsNull(w->plan->sum_op[argument])) {
    return neutral(w, argument);
  }
  if (!v->early) {
    return cira_llvm_zero(&w->b, mlirValueGetType(value));
  }
  if (argument >= 0 && (!v->crosses || piece == v->piece)) {
    return w->advanced[argument];
  }
  if (!v->crosses || piece == v->piece) {
    return w->copy[at];
  }
  if (w->here_piece[at] != piece + 1) {
    if (v->computed) {
      MlirOperation copy = copy_early(w, piece, cira__def(value));
      w->here[at] = mlirOperationGetResult(copy, 0);
    } else {
      w->here[at] = cira_llvm_load(&w->b, mlirValueGetType(value),
                                   slot_at(w, w->slot, v->slot));
    }
    w->here_piece[at] = piece + 1;
  }
  return w->here[at];
}

/* Keeps a value that has just come to be. */
static void keep(weave_t *w, MlirValue value, MlirValue copy) {
  cira_il_value_t *v = cira_il_find(w->plan, value);
  w->copy[v - w->plan->values] = copy;
  if (v->slot >= 0) {
    cira_llvm_store(&w->b, copy, slot_at(w, w->slot, v->slot));
  }
}

static void keep_code(weave_t *w, int code) {
  if (w->plan->code_slot < w->plan->slot_bytes) {
    cira_llvm_store(&w->b,
                    cira_llvm_constant(&w->b, cira_llvm_int(&w->b, 32), code),
                    slot_at(w, w->slot, w->plan->code_slot));
  }
}

/* Ends a step: the next one's turn. */
static void end_step(weave_t *w, bool goes_on) {
  cira_llvm_build_t *b = &w->b;
  MlirType i64 = cira_llvm_int(b, 64);
  MlirValue values[turn_fixed + cira_il_args_max];
  intptr_t count = turn_fixed;
  MlirValue one = cira_llvm_constant(b, i64, 1);
  values[0] = cira_llvm_binary(b, "llvm.add", w->k, one);
  values[1] = goes_on ? cira_llvm_binary(b, "llvm.add", w->kept, one) : w->kept;
  values[2] = w->count;
  values[3] = w->first;
  for (int i = 0; i < w->plan->arg_count; i++) {
    if (w->plan->advanced[i]) {
      values[count++] = w->next[i];
    }
  }
  cira_llvm_br(b, w->turn, count, values);
}

static void wait_here(weave_t *w, int piece, int wait) {
  const cira_chain_wait_t *what = &w->plan->chain.waits[wait];
  int64_t offsets[cira_chain_lines_max];
  int count = cira_chain_lines(what, w->shape->line_bytes, offsets);
  MlirValue object = early_value(w, piece, what->object);
  for (int i = 0; i < count; i++) {
    cira_llvm_prefetch(&w->b, cira_llvm_offset(&w->b, object, offsets[i]));
  }
  if (w->plan->chain.count > 1) {
    keep_code(w, wait);
  }
  cira_llvm_store(&w->b, w->slot,
                  cira_llvm_element(&w->b, w->active, w->kept, 8));
  end_step(w, true);
}

/* What an edge hands over, if anybody wants it. */
static bool is_wanted(weave_t *w, int block, intptr_t way, MlirBlock to,
                      intptr_t index) {
  int edge = cira_il_edge_find(w->plan, block, way);
  return edge < 0
             ? cira_il_is_needed(w->plan, to, index)
             : w->plan->entries[w->plan->edges[edge].entry].args[index].kind !=
                   cira_il_late;
}

static int piece_of(const weave_t *w, int block) {
  int at = 0;
  while (w->plan->pieces[at].block != block) {
    at++;
  }
  return at;
}

static void copy_end(weave_t *w, int piece, MlirOperation end) {
  int block = w->plan->pieces[piece].block;
  MlirValue operands[operands_max];
  if (mlirOperationGetNumSuccessors(end) > 1) {
    operands[0] = early_value(w, piece, mlirOperationGetOperand(end, 0));
  }
  for (intptr_t way = 0; way < mlirOperationGetNumSuccessors(end); way++) {
    MlirBlock to = mlirOperationGetSuccessor(end, way);
    for (intptr_t i = 0; i < mlirBlockGetNumArguments(to); i++) {
      intptr_t at = cira__edge_operand(end, way, i);
      MlirValue value = mlirOperationGetOperand(end, at);
      operands[at] = is_wanted(w, block, way, to, i)
                         ? early_value(w, piece, value)
                         : cira_llvm_zero(&w->b, mlirValueGetType(value));
    }
  }
  MlirOperation copy = add_copy(w, end, operands);
  for (intptr_t way = 0; way < mlirOperationGetNumSuccessors(end); way++) {
    int edge = cira_il_edge_find(w->plan, block, way);
    int to =
        cira_nest_index(&w->plan->nest, mlirOperationGetSuccessor(end, way));
    mlirOperationSetSuccessor(
        copy, way, edge < 0 ? w->piece[piece_of(w, to)] : w->done[edge]);
  }
}

/* Arguments like those of `like`. */
static void add_arguments(weave_t *w, MlirBlock block, MlirBlock like) {
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(like); i++) {
    mlirBlockAddArgument(block, mlirValueGetType(mlirBlockGetArgument(like, i)),
                         w->b.loc);
  }
}

static void begin_piece(weave_t *w, int piece) {
  const cira_il_piece_t *p = &w->plan->pieces[piece];
  MlirBlock old = w->plan->nest.blocks[p->block];
  w->b.at = w->piece[piece];
  if (p->wait >= 0) {
    return;
  }
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(old); i++) {
    MlirValue value = mlirBlockGetArgument(old, i);
    cira_il_value_t *v = cira_il_find(w->plan, value);
    if (v->early && (p->block != 0 || w->plan->advanced[i])) {
      keep(w, value,
           p->block ? mlirBlockGetArgument(w->b.at, i) : w->advanced[i]);
    }
  }
}

static void build_piece(weave_t *w, int piece) {
  const cira_il_piece_t *p = &w->plan->pieces[piece];
  begin_piece(w, piece);
  MlirOperation op = p->first;
  for (; !mlirOperationIsNull(op) && !mlirOperationEqual(op, p->stop);
       op = mlirOperationGetNextInBlock(op)) {
    if (mlirOperationGetNumSuccessors(op)) {
      copy_end(w, piece, op);
    } else if (mlirOperationGetNumResults(op) &&
               cira_il_find(w->plan, mlirOperationGetResult(op, 0))->early) {
      MlirOperation copy = copy_early(w, piece, op);
      keep(w, mlirOperationGetResult(op, 0), mlirOperationGetResult(copy, 0));
    }
  }
  if (!mlirOperationIsNull(p->stop)) {
    wait_here(w, piece, w->plan->pieces[piece + 1].wait);
  }
}

/* Where the early part of an iteration ends: the slot keeps what the late part
 * takes over. */
static void build_done(weave_t *w, int edge) {
  const cira_il_entry_t *entry = &w->plan->entries[w->plan->edges[edge].entry];
  w->b.at = w->done[edge];
  add_arguments(w, w->b.at, w->plan->nest.blocks[entry->block]);
  for (int i = 0; i < entry->arg_count; i++) {
    if (entry->args[i].kind != cira_il_late) {
      cira_llvm_store(&w->b, mlirBlockGetArgument(w->b.at, i),
                      slot_at(w, w->slot, entry->args[i].slot));
    }
  }
  if (w->plan->entry_count > 1) {
    keep_code(w, w->plan->edges[edge].entry);
  }
  end_step(w, false);
}

static void build_steps(weave_t *w) {
  for (int i = 0; i < w->plan->edge_count; i++) {
    w->done[i] = cira_llvm_block(&w->b);
  }
  for (int i = 0; i < w->plan->piece_count; i++) {
    const cira_il_piece_t *p = &w->plan->pieces[i];
    w->piece[i] = cira_llvm_block(&w->b);
    if (p->wait < 0 && p->block) {
      add_arguments(w, w->piece[i], w->plan->nest.blocks[p->block]);
    }
    for (intptr_t k = 0;
         p->wait < 0 && p->block && k < mlirBlockGetNumArguments(w->piece[i]);
         k++) {
      MlirValue old = mlirBlockGetArgument(w->plan->nest.blocks[p->block], k);
      w->copy[cira_il_find(w->plan, old) - w->plan->values] =
          mlirBlockGetArgument(w->piece[i], k);
    }
  }
  for (int i = 0; i < w->plan->piece_count; i++) {
    build_piece(w, i);
  }
  for (int i = 0; i < w->plan->edge_count; i++) {
    build_done(w, i);
  }
}

/* ---- rounds ---------------------------------------------------------------
 */

/* Branches by the code in the slot to one of `count` new blocks, whose numbers
 * are the codes. */
static void choose(weave_t *w, MlirValue slot, int count, MlirBlock *blocks) {
  cira_llvm_build_t *b = &w->b;
  MlirType i32 = cira_llvm_int(b, 32);
  if (count == 1) {
    cira_llvm_br(b, blocks[0], 0, NULL);
    return;
  }
  MlirValue code = cira_llvm_load(b, i32, slot_at(w, slot, w->plan->code_slot));
  for (int i = 0; i + 1 < count; i++) {
    MlirBlock other = i + 2 < count ? cira_llvm_block(b) : blocks[i + 1];
    MlirValue is =
        cira_llvm_compare(b, cira_llvm_ne, code, cira_llvm_constant(b, i32, i));
    cira_llvm_cond_br(b, is, other, 0, NULL, blocks[i], 0, NULL);
    b->at = other;
  }
}

static MlirValue multiply(weave_t *w, MlirValue value, int64_t number) {
  MlirValue by = cira_llvm_constant(&w->b, mlirValueGetType(value), number);
  return cira_llvm_binary(&w->b, "llvm.mul", value, by);
}

static MlirValue slot_of(weave_t *w, MlirValue number) {
  return cira_llvm_element(&w->b, w->slots,
                           multiply(w, number, w->plan->slot_bytes), 1);
}

/* The arguments of the next iteration, from those of this one. */
static void build_advance(weave_t *w) {
  cira_il_plan_t *p = w->plan;
  MlirValue made[cira_il_ops_max];
  for (int i = 0; i < p->advance_count; i++) {
    MlirValue operands[operands_max];
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
    made[i] = mlirOperationGetResult(add_copy(w, op, operands), 0);
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

/* ^group: the first round; ^turn: a step, or the end of a round. */
static void build_rounds(weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  cira_il_plan_t *p = w->plan;
  MlirType i64 = cira_llvm_int(b, 64), i1 = cira_llvm_int(b, 1);
  MlirType types[] = {i64, i64, i64, i1};
  MlirValue values[turn_fixed + cira_il_args_max];
  MlirValue late[1 + cira_il_args_max];
  MlirBlock run = cira_llvm_block(b), ends = cira_llvm_block(b);
  MlirBlock resume = cira_llvm_block(b);
  intptr_t count = turn_fixed;

  b->at = w->group;
  MlirValue width = cira_llvm_constant(b, i64, w->shape->width);
  MlirValue zero = cira_llvm_constant(b, i64, 0);
  w->size = cira_llvm_binary(b, "llvm.intr.umin", w->left, width);
  values[0] = values[1] = zero;
  values[2] = w->size;
  values[3] = cira_llvm_constant(b, i1, 1);
  for (int i = 0; i < turn_fixed; i++) {
    mlirBlockAddArgument(w->turn, types[i], b->loc);
  }
  w->k = mlirBlockGetArgument(w->turn, 0);
  w->kept = mlirBlockGetArgument(w->turn, 1);
  w->count = mlirBlockGetArgument(w->turn, 2);
  w->first = mlirBlockGetArgument(w->turn, 3);
  for (int i = 0; i < p->arg_count; i++) {
    late[1 + i] = mlirBlockGetArgument(w->group, i);
    if (p->advanced[i]) {
      w->advanced[i] =
          mlirBlockAddArgument(w->turn, mlirValueGetType(late[1 + i]), b->loc);
      values[count++] = late[1 + i];
    }
  }
  cira_llvm_br(b, w->turn, count, values);

  b->at = w->turn;
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ult, w->k, w->count), run,
                    0, NULL, ends, 0, NULL);

  b->at = ends;
  values[0] = values[1] = cira_llvm_constant(b, i64, 0);
  values[2] = w->kept;
  values[3] = cira_llvm_constant(b, i1, 0);
  count = turn_fixed;
  for (int i = 0; i < p->arg_count; i++) {
    if (p->advanced[i]) {
      values[count++] = w->advanced[i];
    }
  }
  late[0] = values[0];
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ne, w->kept, values[0]),
                    w->turn, count, values, w->late, 1 + p->arg_count, late);

  b->at = run;
  MlirValue old = cira_llvm_load(b, cira_llvm_ptr(b),
                                 cira_llvm_element(b, w->active, w->k, 8));
  w->slot = cira_llvm_select(b, w->first, slot_of(w, w->k), old);
  build_advance(w);
  MlirBlock at = b->at;
  build_steps(w);
  b->at = at;
  cira_llvm_cond_br(b, w->first, w->piece[0], 0, NULL, resume, 0, NULL);
  b->at = resume;
  MlirBlock waits[cira_chain_waits_max];
  for (int i = 0; i < p->chain.count; i++) {
    waits[i] = w->piece[p->resume[i]];
  }
  choose(w, w->slot, p->chain.count, waits);
}

/* ---- the late part --------------------------------------------------------
 */

static bool set_late(weave_t *w, MlirValue from, MlirValue to) {
  if (w->pair_count == w->pair_room) {
    int room = w->pair_room ? 2 * w->pair_room : 256;
    pair_t *pairs = realloc(w->pairs, (size_t)room * sizeof *pairs);
    if (!pairs) {
      abort(); /* as LLVM does when memory is out */
    }
    w->pairs = pairs;
    w->pair_room = room;
  }
  w->pairs[w->pair_count++] = (pair_t){from, to};
  return true;
}

static MlirValue late_value(const weave_t *w, MlirValue value) {
  for (int i = w->pair_count - 1; i >= 0; i--) {
    if (w->pairs[i].from.ptr == value.ptr) {
      return w->pairs[i].to;
    }
  }
  return value;
}

static MlirOperation copy_late(weave_t *w, MlirOperation op) {
  intptr_t count = mlirOperationGetNumOperands(op);
  MlirOperation copy = mlirOperationClone(op);
  for (intptr_t i = 0; i < count; i++) {
    mlirOperationSetOperand(copy, i,
                            late_value(w, mlirOperationGetOperand(op, i)));
  }
  drop_facts(copy);
  ciraOperationMarkCopy(copy);
  mlirBlockAppendOwnedOperation(w->b.at, copy);
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
    set_late(w, mlirOperationGetResult(op, i), mlirOperationGetResult(copy, i));
  }
  return copy;
}

/* The way in: the arguments of the first block. */
static void build_entry(weave_t *w, const cira_il_entry_t *entry) {
  MlirValue values[cira_il_args_max];
  for (int i = 0; i < entry->arg_count; i++) {
    const cira_il_arg_t *arg = &entry->args[i];
    if (arg->kind == cira_il_late) {
      values[i] = late_value(w, arg->value);
      continue;
    }
    values[i] = cira_llvm_load(&w->b, mlirValueGetType(arg->value),
                               slot_at(w, w->late_slot, arg->slot));
    if (arg->kind == cira_il_summed) {
      MlirValue before = mlirBlockGetArgument(w->late, 1 + arg->sum);
      values[i] = combine(w, arg->sum, before, values[i]);
    }
  }
  cira_llvm_br(&w->b, w->late_blocks[entry->block], entry->arg_count, values);
}

/* ^late: what is kept, the top of the iteration, the choice of the way in. */
static void build_late_top(weave_t *w) {
  cira_il_plan_t *p = w->plan;
  MlirBlock ways[cira_il_entries_max];
  w->b.at = w->late;
  w->late_slot = slot_of(w, mlirBlockGetArgument(w->late, 0));
  for (int i = 0; i < p->arg_count; i++) {
    set_late(w, mlirBlockGetArgument(p->nest.blocks[0], i),
             mlirBlockGetArgument(w->late, 1 + i));
  }
  for (int i = 0; i < p->value_count; i++) {
    const cira_il_value_t *v = &p->values[i];
    if (v->kept) {
      set_late(w, v->value,
               cira_llvm_load(&w->b, mlirValueGetType(v->value),
                              slot_at(w, w->late_slot, v->slot)));
    }
  }
  for (int i = 0; i < p->late_count; i++) {
    copy_late(w, p->late[i]);
  }
  for (int i = 0; i < p->entry_count; i++) {
    ways[i] = cira_llvm_block(&w->b);
  }
  choose(w, w->late_slot, p->entry_count, ways);
  for (int i = 0; i < p->entry_count; i++) {
    w->b.at = ways[i];
    build_entry(w, &p->entries[i]);
  }
}

/* The end of an iteration: the next one of the group, or the next group. */
static MlirBlock build_late_end(weave_t *w) {
  cira_llvm_build_t *b = &w->b;
  int count = w->plan->arg_count;
  MlirBlock block = cira_llvm_block(b);
  MlirValue next[1 + cira_il_args_max], again[1 + cira_il_args_max];
  add_arguments(w, block, w->plan->nest.blocks[0]);
  b->at = block;
  next[0] = cira_llvm_binary(b, "llvm.add", mlirBlockGetArgument(w->late, 0),
                             cira_llvm_constant(b, cira_llvm_int(b, 64), 1));
  for (int i = 0; i < count; i++) {
    next[1 + i] = again[i] = mlirBlockGetArgument(block, i);
  }
  again[count] = cira_llvm_binary(b, "llvm.sub", w->left, w->size);
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ult, next[0], w->size),
                    w->late, 1 + count, next, w->group, 1 + count, again);
  return block;
}

static void build_late(weave_t *w) {
  cira_il_plan_t *p = w->plan;
  for (int i = 0; i < p->nest.count; i++) {
    if (!p->in_early[i]) {
      w->late_blocks[i] = cira_llvm_block(&w->b);
      add_arguments(w, w->late_blocks[i], p->nest.blocks[i]);
      for (intptr_t k = 0; k < mlirBlockGetNumArguments(p->nest.blocks[i]);
           k++) {
        set_late(w, mlirBlockGetArgument(p->nest.blocks[i], k),
                 mlirBlockGetArgument(w->late_blocks[i], k));
      }
    }
  }
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

/* ---- the choice in front --------------------------------------------------
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

void cira_il_build(cira_il_plan_t *plan, MlirOperation count,
                   const cira_il_shape_t *shape) {
  weave_t *w = calloc(1, sizeof *w);
  if (!w) {
    abort(); /* as LLVM does when memory is out */
  }
  w->plan = plan;
  w->shape = shape;
  w->b = cira_llvm_build_in(plan->nest.loops->function);
  cira_llvm_build_t *b = &w->b;
  w->slots = cira_llvm_room(b, shape->width * plan->slot_bytes);
  w->active = cira_llvm_room(b, shape->width * 8);
  MlirBlock header = plan->nest.blocks[0];
  MlirType i64 = cira_llvm_int(b, 64);
  MlirBlock choice = cira_llvm_block(b);
  add_arguments(w, choice, header);
  redirect(plan, b->region, choice);
  w->group = cira_llvm_block(b);
  w->turn = cira_llvm_block(b);
  w->late = cira_llvm_block(b);
  add_arguments(w, w->group, header);
  w->left = mlirBlockAddArgument(w->group, i64, b->loc);
  mlirBlockAddArgument(w->late, i64, b->loc);
  add_arguments(w, w->late, header);

  b->at = choice;
  MlirValue values[1 + cira_il_args_max];
  for (int i = 0; i < plan->arg_count; i++) {
    values[i] = mlirBlockGetArgument(choice, i);
  }
  MlirValue again = mlirOperationGetOperand(count, 1);
  MlirValue enough = cira_llvm_compare(
      b, cira_llvm_uge, again, cira_llvm_constant(b, i64, shape->least - 1));
  values[plan->arg_count] =
      cira_llvm_binary(b, "llvm.add", again, cira_llvm_constant(b, i64, 1));
  cira_llvm_cond_br(b, enough, w->group, plan->arg_count + 1, values, header,
                    plan->arg_count, values);
  build_rounds(w);
  build_late(w);
  free(w->pairs);
  free(w);
}
