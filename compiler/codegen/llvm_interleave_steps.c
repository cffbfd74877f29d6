/* SPDX-License-Identifier: Apache-2.0
 * The early part of an interleaved loop: steps from wait to wait.
 * Reading order: copies of ops, values, the end of a step, pieces. */
#include "codegen/llvm_interleave_weave.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>
#include <string.h>

/* ---- copies ---------------------------------------------------------------
 */

void cira__il_drop_facts(MlirOperation op) {
  cira__attr_drop(op, "cira.facts");
}

MlirOperation cira__il_add_copy(cira__weave_t *w, MlirOperation op,
                                const MlirValue *operands) {
  MlirOperation copy = mlirOperationClone(op);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(copy); i++) {
    mlirOperationSetOperand(copy, i, operands[i]);
  }
  cira__il_drop_facts(copy);
  ciraOperationMarkCopy(copy);
  mlirBlockAppendOwnedOperation(w->b.at, copy);
  return copy;
}

MlirValue cira__il_slot_at(cira__weave_t *w, MlirValue slot, int64_t offset) {
  return cira_llvm_offset(&w->b, slot, offset);
}

/* What a sum begins with in each iteration. */
static MlirValue neutral(cira__weave_t *w, int argument) {
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

MlirValue cira__il_combine(cira__weave_t *w, int argument, MlirValue before,
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

static MlirValue early_value(cira__weave_t *w, int piece, MlirValue value);

static MlirOperation copy_early(cira__weave_t *w, int piece, MlirOperation op) {
  MlirValue operands[cira__weave_operands_max];
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    operands[i] = early_value(w, piece, mlirOperationGetOperand(op, i));
  }
  cira_il_value_t *v = cira_il_find(w->plan, mlirOperationGetResult(op, 0));
  if (v->sum < 0) {
    return cira__il_add_copy(w, op, operands);
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
static MlirValue early_value(cira__weave_t *w, int piece, MlirValue value) {
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
                                   cira__il_slot_at(w, w->slot, v->slot));
    }
    w->here_piece[at] = piece + 1;
  }
  return w->here[at];
}

/* Keeps a value that has just come to be. */
static void keep(cira__weave_t *w, MlirValue value, MlirValue copy) {
  cira_il_value_t *v = cira_il_find(w->plan, value);
  w->copy[v - w->plan->values] = copy;
  if (v->slot >= 0) {
    cira_llvm_store(&w->b, copy, cira__il_slot_at(w, w->slot, v->slot));
  }
}

void cira__il_keep_code(cira__weave_t *w, int code) {
  cira_llvm_store(&w->b,
                  cira_llvm_constant(&w->b, cira_llvm_int(&w->b, 32), code),
                  cira__il_slot_at(w, w->slot, w->plan->code_slot));
}

bool cira__il_is_ordered(const cira__weave_t *w) {
  return w->plan->chain.count > 1;
}

/* Ends the first step of an iteration: the next one begins. */
static void end_first(cira__weave_t *w, bool goes_on) {
  MlirValue one = cira_llvm_constant(&w->b, cira_llvm_int(&w->b, 64), 1);
  MlirValue values[2 + cira_il_args_max] = {
      cira_llvm_binary(&w->b, "llvm.add", w->k, one),
      goes_on ? cira_llvm_binary(&w->b, "llvm.add", w->kept, one) : w->kept};
  cira_llvm_br(&w->b, w->start, cira__il_with_advanced(w, w->next, values, 2),
               values);
}

/* Ends a step of a round: the next one's turn. */
static void end_step(cira__weave_t *w, bool goes_on) {
  cira_llvm_build_t *b = &w->b;
  if (w->starting) {
    end_first(w, goes_on);
    return;
  }
  MlirValue one = cira_llvm_constant(b, cira_llvm_int(b, 64), 1);
  MlirValue values[] = {w->k, w->kept, w->count};
  if (goes_on || cira__il_is_ordered(w)) {
    values[0] = cira_llvm_binary(b, "llvm.add", w->k, one);
  }
  if (goes_on && cira__il_is_ordered(w)) {
    cira_llvm_store(b, w->slot, cira_llvm_element(b, w->active, w->kept, 8));
    values[1] = cira_llvm_binary(b, "llvm.add", w->kept, one);
  }
  if (!goes_on && !cira__il_is_ordered(w)) {
    values[2] = cira_llvm_binary(b, "llvm.sub", w->count, one);
    MlirValue last = cira_llvm_load(
        b, cira_llvm_ptr(b), cira_llvm_element(b, w->active, values[2], 8));
    cira_llvm_store(b, last, cira_llvm_element(b, w->active, w->k, 8));
  }
  cira_llvm_br(b, w->turn, 3, values);
}

static void wait_here(cira__weave_t *w, int piece, int wait) {
  const cira_chain_wait_t *what = &w->plan->chain.waits[wait];
  int64_t offsets[cira_chain_lines_max];
  int count = cira_chain_lines(what, w->shape->line_bytes, offsets);
  MlirValue object = early_value(w, piece, what->object);
  for (int i = 0; i < count; i++) {
    cira_llvm_prefetch(&w->b, cira_llvm_offset(&w->b, object, offsets[i]));
  }
  if (w->plan->chain.count > 1) {
    cira__il_keep_code(w, wait);
  }
  end_step(w, true);
}

/* What an edge hands over, if anybody wants it. */
static bool is_wanted(cira__weave_t *w, int block, intptr_t way, MlirBlock to,
                      intptr_t index) {
  int edge = cira_il_edge_find(w->plan, block, way);
  return edge < 0
             ? cira_il_is_needed(w->plan, to, index)
             : w->plan->entries[w->plan->edges[edge].entry].args[index].kind !=
                   cira_il_late;
}

static int piece_of(const cira__weave_t *w, int block) {
  int at = 0;
  while (w->plan->pieces[at].block != block) {
    at++;
  }
  return at;
}

static void copy_end(cira__weave_t *w, int piece, MlirOperation end) {
  int block = w->plan->pieces[piece].block;
  MlirValue operands[cira__weave_operands_max];
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
  MlirOperation copy = cira__il_add_copy(w, end, operands);
  for (intptr_t way = 0; way < mlirOperationGetNumSuccessors(end); way++) {
    int edge = cira_il_edge_find(w->plan, block, way);
    int to =
        cira_nest_index(&w->plan->nest, mlirOperationGetSuccessor(end, way));
    mlirOperationSetSuccessor(
        copy, way, edge < 0 ? w->piece[piece_of(w, to)] : w->done[edge]);
  }
}

void cira__il_add_arguments(cira__weave_t *w, MlirBlock block, MlirBlock like) {
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(like); i++) {
    mlirBlockAddArgument(block, mlirValueGetType(mlirBlockGetArgument(like, i)),
                         w->b.loc);
  }
}

static void begin_piece(cira__weave_t *w, int piece) {
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

static void build_piece(cira__weave_t *w, int piece) {
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
static void build_done(cira__weave_t *w, int edge) {
  const cira_il_entry_t *entry = &w->plan->entries[w->plan->edges[edge].entry];
  w->b.at = w->done[edge];
  cira__il_add_arguments(w, w->b.at, w->plan->nest.blocks[entry->block]);
  for (int i = 0; i < entry->arg_count; i++) {
    if (entry->args[i].kind != cira_il_late) {
      cira_llvm_store(&w->b, mlirBlockGetArgument(w->b.at, i),
                      cira__il_slot_at(w, w->slot, entry->args[i].slot));
    }
  }
  cira__il_keep_code(w, w->plan->chain.count + w->plan->edges[edge].entry);
  end_step(w, false);
}

/* Marks the pieces that a step may come to which begins with this one. */
static void reach(cira__weave_t *w, int piece) {
  const cira_il_piece_t *p = &w->plan->pieces[piece];
  if (w->reached[piece]) {
    return;
  }
  w->reached[piece] = true;
  MlirOperation end = cira__terminator(w->plan->nest.blocks[p->block]);
  for (intptr_t way = 0;
       mlirOperationIsNull(p->stop) && way < mlirOperationGetNumSuccessors(end);
       way++) {
    if (cira_il_edge_find(w->plan, p->block, way) < 0) {
      reach(w,
            piece_of(w, cira_nest_index(&w->plan->nest,
                                        mlirOperationGetSuccessor(end, way))));
    }
  }
}

/* The piece that has the end of the block. */
static int last_piece_of(const cira__weave_t *w, int block) {
  int at = piece_of(w, block);
  while (!mlirOperationIsNull(w->plan->pieces[at].stop)) {
    at++;
  }
  return at;
}

/* A block for the piece, with the arguments of the block that it begins. */
static void add_piece(cira__weave_t *w, int piece) {
  const cira_il_piece_t *p = &w->plan->pieces[piece];
  MlirBlock old = w->plan->nest.blocks[p->block];
  w->piece[piece] = cira_llvm_block(&w->b);
  if (p->wait >= 0 || p->block == 0) {
    return;
  }
  cira__il_add_arguments(w, w->piece[piece], old);
  for (intptr_t k = 0; k < mlirBlockGetNumArguments(old); k++) {
    MlirValue value = mlirBlockGetArgument(old, k);
    w->copy[cira_il_find(w->plan, value) - w->plan->values] =
        mlirBlockGetArgument(w->piece[piece], k);
  }
}

void cira__il_build_steps(cira__weave_t *w, int count, const int *roots) {
  const cira_il_plan_t *p = w->plan;
  memset(w->reached, 0, sizeof w->reached);
  memset(w->here_piece, 0, sizeof w->here_piece);
  for (int i = 0; i < count; i++) {
    reach(w, roots[i]);
  }
  for (int i = 0; i < p->edge_count; i++) {
    if (w->reached[last_piece_of(w, p->edges[i].block)]) {
      w->done[i] = cira_llvm_block(&w->b);
    }
  }
  for (int i = 0; i < p->piece_count; i++) {
    if (w->reached[i]) {
      add_piece(w, i);
    }
  }
  for (int i = 0; i < p->piece_count; i++) {
    if (w->reached[i]) {
      build_piece(w, i);
    }
  }
  for (int i = 0; i < p->edge_count; i++) {
    if (w->reached[last_piece_of(w, p->edges[i].block)]) {
      build_done(w, i);
    }
  }
}
