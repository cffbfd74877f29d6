/* SPDX-License-Identifier: Apache-2.0
 * Reading order: the early part, what is needed early, ways to the late part,
 * what the late part needs, the plan. */
#include "analysis/llvm_interleave_parts.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>
#include <string.h>

enum {
  recompute_depth = 4 /* ops in a row that are rather done again than kept */
};

bool cira__il_fail(cira_il_plan_t *p, const char *why) {
  snprintf(p->why, sizeof p->why, "%s", why);
  return false;
}

cira_il_value_t *cira_il_find(cira_il_plan_t *plan, MlirValue value) {
  for (int i = 0; i < plan->value_count; i++) {
    if (plan->values[i].value.ptr == value.ptr) {
      return &plan->values[i];
    }
  }
  return NULL;
}

int cira_il_argument(const cira_il_plan_t *plan, MlirValue value) {
  return mlirValueIsABlockArgument(value) &&
                 mlirBlockEqual(mlirBlockArgumentGetOwner(value),
                                plan->nest.blocks[0])
             ? (int)mlirBlockArgumentGetArgNumber(value)
             : -1;
}

int64_t cira_il_bytes(MlirType type) {
  if (mlirTypeIsAInteger(type)) {
    unsigned bits = mlirIntegerTypeGetWidth(type);
    return bits == 1 || bits == 8 ? 1
           : bits == 16           ? 2
           : bits == 32           ? 4
           : bits == 64           ? 8
                                  : 0;
  }
  return mlirTypeIsAF32(type)                                   ? 4
         : mlirTypeIsAF64(type) || ciraTypeIsALLVMPointer(type) ? 8
                                                                : 0;
}

static bool is_division(MlirOperation op) {
  return ciraOperationHasName(op, "llvm.udiv") ||
         ciraOperationHasName(op, "llvm.sdiv") ||
         ciraOperationHasName(op, "llvm.urem") ||
         ciraOperationHasName(op, "llvm.srem");
}

/* No effect, and one result that follows from the operands. */
static bool is_computing(MlirOperation op) {
  bool call = ciraOperationHasName(op, "llvm.call");
  return mlirOperationGetNumResults(op) == 1 &&
         mlirOperationGetNumRegions(op) == 0 &&
         (ciraOperationIsPure(op) || is_division(op) ||
          (call && cira__fact_has(op, "pure")));
}

bool cira_il_is_harmless(MlirOperation op) {
  return is_computing(op) && ciraOperationIsPure(op) && !is_division(op) &&
         !ciraOperationHasName(op, "llvm.freeze"); /* another value each time */
}

bool cira_il_is_nothing(MlirOperation op) {
  if (!ciraOperationHasName(op, "llvm.call")) {
    return false;
  }
  MlirAttribute callee =
      mlirOperationGetAttributeByName(op, cira__str("callee"));
  if (mlirAttributeIsNull(callee)) {
    return false;
  }
  MlirStringRef name = mlirFlatSymbolRefAttrGetValue(callee);
  return cira__fact_has(op, "nothing") ||
         mlirStringRefEqual(name, cira__str("cira.last")) ||
         mlirStringRefEqual(name, cira__str("cira.count"));
}

bool cira__il_is_branch(MlirOperation op) {
  return ciraOperationHasName(op, "llvm.br") ||
         ciraOperationHasName(op, "llvm.cond_br") ||
         ciraOperationHasName(op, "llvm.switch");
}

/* ---- the early part -------------------------------------------------------
 */

/* The blocks from which a wait in a chain is still reached in the same
 * iteration. Other waits count only there: what an iteration waits for behind
 * its chains, it does late. */
static bool find_early(cira_il_plan_t *p) {
  const cira_nest_t *n = &p->nest;
  cira_chain_t *c = &p->chain;
  int kept = 0;
  for (int i = 0; i < c->count; i++) {
    MlirBlock block = mlirOperationGetBlock(c->waits[i].load);
    p->in_early[cira_nest_index(n, block)] |= c->waits[i].chained;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (int b = 0; b < n->count; b++) {
      MlirOperation end = cira__terminator(n->blocks[b]);
      for (intptr_t i = 0;
           !p->in_early[b] && i < mlirOperationGetNumSuccessors(end); i++) {
        int to = cira_nest_index(n, mlirOperationGetSuccessor(end, i));
        if (to > 0 && p->in_early[to]) {
          p->in_early[b] = changed = true;
        }
      }
    }
  }
  for (int i = 0; i < c->count; i++) {
    MlirBlock block = mlirOperationGetBlock(c->waits[i].load);
    if (p->in_early[cira_nest_index(n, block)]) {
      c->waits[kept++] = c->waits[i];
    }
  }
  c->count = kept;
  return !p->in_early[n->latch] ||
         cira__il_fail(p, "the chain goes to the end of the iteration");
}

/* A load that may be done before what earlier iterations write. */
static bool check_load(cira_il_plan_t *p, MlirOperation op) {
  int64_t apart, number = 0;
  MlirAttribute ordering =
      mlirOperationGetAttributeByName(op, cira__str("ordering"));
  bool atomic = !mlirAttributeIsNull(ordering) &&
                mlirIntegerAttrGetValueInt(ordering) != 0;
  if (atomic || !cira__fact_number(op, "unwritten_in", &apart)) {
    return cira__il_fail(p, "the loop may write where the chain is read");
  }
  for (number = p->nest.loop; number >= 0 && number != apart;) {
    number = p->nest.loops->items[number].parent;
  }
  return number == apart ||
         cira__il_fail(p, "the loop may write where the chain is read");
}

static bool add_value(cira_il_plan_t *p, MlirValue value) {
  if (p->value_count == cira_il_values_max) {
    return cira__il_fail(p, "the way to the end of the chain is too long");
  }
  p->values[p->value_count++] =
      (cira_il_value_t){.value = value, .piece = -1, .sum = -1, .slot = -1};
  return true;
}

/* Effects are possible at the top of an iteration only: they are done late,
 * and always. */
static bool check_op(cira_il_plan_t *p, int block, MlirOperation op) {
  if (cira__il_is_branch(op) || is_computing(op) || cira_il_is_nothing(op)) {
    return true;
  }
  if (ciraOperationHasName(op, "llvm.load")) {
    return check_load(p, op);
  }
  return (block == 0 && !mlirOperationGetNumSuccessors(op) &&
          !mlirOperationGetNumRegions(op)) ||
         cira__il_fail(p,
                       "there is a write or a call in front of the end of the "
                       "chain");
}

static bool list_values(cira_il_plan_t *p) {
  for (int b = 0; b < p->nest.count; b++) {
    MlirBlock block = p->nest.blocks[b];
    if (!cira__il_is_branch(cira__terminator(block))) {
      return cira__il_fail(p, "a block ends in what cannot be copied");
    }
    if (mlirBlockGetNumArguments(block) > cira_il_args_max) {
      return cira__il_fail(
          p, "too many values change from iteration to iteration");
    }
    for (intptr_t i = 0; p->in_early[b] && i < mlirBlockGetNumArguments(block);
         i++) {
      if (!add_value(p, mlirBlockGetArgument(block, i))) {
        return false;
      }
    }
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; p->in_early[b] && !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      if (!check_op(p, b, op)) {
        return false;
      }
      for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
        if (!add_value(p, mlirOperationGetResult(op, i))) {
          return false;
        }
      }
    }
  }
  p->arg_count = (int)mlirBlockGetNumArguments(p->nest.blocks[0]);
  return true;
}

/* ---- what is needed early -------------------------------------------------
 */

static bool need(cira_il_plan_t *p, MlirValue value);

static bool advance_by(cira_il_plan_t *p, MlirValue value, int depth) {
  int argument = cira_il_argument(p, value);
  if (argument >= 0) {
    return need(p, value);
  }
  if (!cira_nest_has(&p->nest, value)) {
    return true;
  }
  MlirOperation op = cira__def(value);
  if (mlirOperationIsNull(op) || !cira_il_is_harmless(op) || depth == 0 ||
      p->advance_count == cira_il_ops_max) {
    return cira__il_fail(p,
                         "where a chain begins follows from what the iteration "
                         "before found");
  }
  for (int i = 0; i < p->advance_count; i++) {
    if (mlirOperationEqual(p->advance[i], op)) {
      return true;
    }
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    if (!advance_by(p, mlirOperationGetOperand(op, i), depth - 1)) {
      return false;
    }
  }
  p->advance[p->advance_count++] = op;
  return true;
}

/* What the latch hands to argument `index` of the header. */
static MlirValue next_value(const cira_il_plan_t *p, intptr_t index) {
  MlirOperation end = cira__terminator(p->nest.blocks[p->nest.latch]);
  bool second =
      !mlirBlockEqual(mlirOperationGetSuccessor(end, 0), p->nest.blocks[0]);
  return cira__edge_value(end, second, index);
}

static bool need_argument(cira_il_plan_t *p, int argument) {
  if (p->advanced[argument] || !mlirOperationIsNull(p->sum_op[argument])) {
    return true;
  }
  MlirValue value = mlirBlockGetArgument(p->nest.blocks[0], argument);
  MlirType type = mlirValueGetType(value);
  p->advanced[argument] = true;
  if (advance_by(p, next_value(p, argument), 32)) {
    return true;
  }
  return mlirTypeIsAF32(type) || mlirTypeIsAF64(type)
             ? cira__il_fail(
                   p, "a sum of floating point passes through the chain, and "
                      "its order may not change")
             : false;
}

static bool need_operands(cira_il_plan_t *p, MlirOperation op) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    if (!need(p, mlirOperationGetOperand(op, i))) {
      return false;
    }
  }
  return true;
}

/* What early blocks hand to an argument. */
static bool need_incoming(cira_il_plan_t *p, MlirBlock block, intptr_t index) {
  for (int b = 0; b < p->nest.count; b++) {
    MlirOperation end = cira__terminator(p->nest.blocks[b]);
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(end, i), block) &&
          !need(p, cira__edge_value(end, i, index))) {
        return false;
      }
    }
  }
  return true;
}

static bool need(cira_il_plan_t *p, MlirValue value) {
  cira_il_value_t *v = cira_il_find(p, value);
  if (!v || v->early) {
    return v || !cira_nest_has(&p->nest, value) ||
           cira__il_fail(p, "the early part uses what comes later");
  }
  v->early = true;
  MlirOperation op = cira__def(value);
  if (!mlirOperationIsNull(op)) {
    return need_operands(p, op);
  }
  int argument = cira_il_argument(p, value);
  return argument >= 0 ? need_argument(p, argument)
                       : need_incoming(p, mlirBlockArgumentGetOwner(value),
                                       mlirBlockArgumentGetArgNumber(value));
}

static bool need_ends(cira_il_plan_t *p) {
  for (int i = 0; i < p->chain.count; i++) {
    MlirOperation load = p->chain.waits[i].load;
    if (!need(p, mlirOperationGetResult(load, 0)) ||
        !need(p, p->chain.waits[i].object)) {
      return false;
    }
  }
  for (int i = 0; i < p->value_count; i++) {
    if (p->values[i].sum >= 0 && !need(p, p->values[i].value)) {
      return false;
    }
  }
  for (int b = 0; b < p->nest.count; b++) {
    MlirOperation end = cira__terminator(p->nest.blocks[b]);
    if (p->in_early[b] && mlirOperationGetNumSuccessors(end) > 1 &&
        !need(p, mlirOperationGetOperand(end, 0))) {
      return false;
    }
  }
  return true;
}

/* What is not needed early can be done late at the top of an iteration, or
 * anywhere if it is harmless; other reads are done early. */
static bool need_reads(cira_il_plan_t *p) {
  for (int b = 1; b < p->nest.count; b++) {
    MlirOperation op = mlirBlockGetFirstOperation(p->nest.blocks[b]);
    for (; p->in_early[b] && !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      if (mlirOperationGetNumResults(op) && !cira_il_is_harmless(op) &&
          !need(p, mlirOperationGetResult(op, 0))) {
        return false;
      }
    }
  }
  return true;
}

/* ---- ways to the late part ------------------------------------------------
 */

bool cira__il_is_early(cira_il_plan_t *p, MlirOperation op) {
  return mlirOperationGetNumResults(op) > 0 &&
         cira_il_find(p, mlirOperationGetResult(op, 0))->early;
}

/* Is it cheaper to compute the value again than to keep it: arithmetic on what
 * the late part has? */
static bool is_recomputed(cira_il_plan_t *p, MlirValue value, int depth) {
  if (cira_il_argument(p, value) >= 0 || !cira_nest_has(&p->nest, value)) {
    return true;
  }
  MlirOperation op = cira__def(value);
  if (depth == 0 || mlirOperationIsNull(op) || !cira_il_is_harmless(op) ||
      !cira_il_find(p, value) || cira__il_sum_of(p, value) >= 0) {
    return false;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    if (!is_recomputed(p, mlirOperationGetOperand(op, i), depth - 1)) {
      return false;
    }
  }
  return true;
}

/* A value that the late part can have without the slot. */
static bool is_late(cira_il_plan_t *p, MlirValue value) {
  MlirOperation op = cira__def(value);
  return is_recomputed(p, value, recompute_depth) ||
         (!mlirOperationIsNull(op) && !cira__il_is_early(p, op) &&
          mlirBlockEqual(mlirOperationGetBlock(op), p->nest.blocks[0]));
}

static cira_il_arg_t kind_of(cira_il_plan_t *p, MlirValue value) {
  int sum = cira__il_sum_of(p, value);
  if (sum >= 0) {
    return (cira_il_arg_t){
        .kind = cira_il_summed, .value = value, .sum = sum, .slot = -1};
  }
  return (cira_il_arg_t){.kind =
                             is_late(p, value) ? cira_il_late : cira_il_slot,
                         .value = value,
                         .sum = -1,
                         .slot = -1};
}

static bool same_entry(const cira_il_entry_t *a, const cira_il_entry_t *b) {
  if (a->block != b->block) {
    return false;
  }
  for (int i = 0; i < a->arg_count; i++) {
    if (a->args[i].kind != b->args[i].kind ||
        a->args[i].sum != b->args[i].sum ||
        (a->args[i].kind == cira_il_late &&
         !mlirValueEqual(a->args[i].value, b->args[i].value))) {
      return false;
    }
  }
  return true;
}

static bool add_edge(cira_il_plan_t *p, int block, intptr_t way, int to) {
  MlirOperation end = cira__terminator(p->nest.blocks[block]);
  cira_il_entry_t entry = {.block = to};
  entry.arg_count = (int)mlirBlockGetNumArguments(p->nest.blocks[to]);
  for (int i = 0; i < entry.arg_count; i++) {
    entry.args[i] = kind_of(p, cira__edge_value(end, way, i));
    if (entry.args[i].kind == cira_il_slot && !need(p, entry.args[i].value)) {
      return false;
    }
  }
  int found = 0;
  while (found < p->entry_count && !same_entry(&p->entries[found], &entry)) {
    found++;
  }
  if (found == cira_il_entries_max || p->edge_count == cira_il_entries_max) {
    return cira__il_fail(p, "the chain ends in too many ways");
  }
  if (found == p->entry_count) {
    p->entries[p->entry_count++] = entry;
  }
  p->edges[p->edge_count++] =
      (cira_il_edge_t){.block = block, .way = way, .entry = found};
  return true;
}

static bool find_edges(cira_il_plan_t *p) {
  for (int b = 0; b < p->nest.count; b++) {
    MlirOperation end = cira__terminator(p->nest.blocks[b]);
    for (intptr_t i = 0;
         p->in_early[b] && i < mlirOperationGetNumSuccessors(end); i++) {
      int to = cira_nest_index(&p->nest, mlirOperationGetSuccessor(end, i));
      if (to < 0) {
        return cira__il_fail(p, "the chain leaves the loop");
      }
      if (!p->in_early[to] && !add_edge(p, b, i, to)) {
        return false;
      }
    }
  }
  return true;
}

int cira_il_edge_find(const cira_il_plan_t *plan, int block, intptr_t way) {
  for (int i = 0; i < plan->edge_count; i++) {
    if (plan->edges[i].block == block && plan->edges[i].way == way) {
      return i;
    }
  }
  return -1;
}

/* ---- what the late part needs ---------------------------------------------
 */

static bool is_in_list(MlirOperation *list, int count, MlirOperation op) {
  for (int i = 0; i < count; i++) {
    if (mlirOperationEqual(list[i], op)) {
      return true;
    }
  }
  return false;
}

static bool need_late(cira_il_plan_t *p, MlirValue value);

static bool add_late(cira_il_plan_t *p, MlirOperation op) {
  if (is_in_list(p->late, p->late_count, op)) {
    return true;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    if (!need_late(p, mlirOperationGetOperand(op, i))) {
      return false;
    }
  }
  if (p->late_count == cira_il_ops_max) {
    return cira__il_fail(p, "the top of an iteration is too long");
  }
  p->late[p->late_count++] = op;
  return true;
}

static bool need_late(cira_il_plan_t *p, MlirValue value) {
  cira_il_value_t *v = cira_il_find(p, value);
  if (!v || cira_il_argument(p, value) >= 0) {
    return true; /* of the late part itself, or from outside */
  }
  MlirOperation op = cira__def(value);
  bool inside = cira_llvm_block_loop(cira__block_of(value)) != p->nest.loop;
  if (inside || v->sum >= 0) {
    return cira__il_fail(
        p, "what a loop inside computes is used in an unusual way");
  }
  if (!mlirOperationIsNull(op) &&
      (!v->early || is_recomputed(p, value, recompute_depth))) {
    return add_late(p, op);
  }
  v->kept = true;
  return need(p, value);
}

/* Effects and reads at the top of an iteration that are done late. */
static bool need_top(cira_il_plan_t *p) {
  MlirOperation op = mlirBlockGetFirstOperation(p->nest.blocks[0]);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    if (cira__il_is_branch(op) || cira_il_is_nothing(op) ||
        cira_il_is_harmless(op) || cira__il_is_early(p, op)) {
      continue;
    }
    bool writes = ciraOperationGetEffects(op) & ~(unsigned)CIRA_EFFECT_READ;
    if (writes && p->nest.loops->items[p->nest.loop].parallel) {
      return cira__il_fail(
          p, "there is a write in front of the chain, and only the "
             "program says that iterations are independent");
    }
    if (!add_late(p, op)) {
      return false;
    }
  }
  return true;
}

static bool find_late(cira_il_plan_t *p) {
  if (!need_top(p)) {
    return false;
  }
  for (int i = 0; i < p->entry_count; i++) {
    for (int k = 0; k < p->entries[i].arg_count; k++) {
      cira_il_arg_t *arg = &p->entries[i].args[k];
      if (arg->kind == cira_il_late && !need_late(p, arg->value)) {
        return false;
      }
    }
  }
  for (int b = 0; b < p->nest.count; b++) {
    MlirOperation op = mlirBlockGetFirstOperation(p->nest.blocks[b]);
    for (; !p->in_early[b] && !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      for (intptr_t i = 0;
           !cira_il_is_nothing(op) && i < mlirOperationGetNumOperands(op);
           i++) {
        if (!need_late(p, mlirOperationGetOperand(op, i))) {
          return false;
        }
      }
    }
  }
  return true;
}

/* ---- the plan ---------------------------------------------------------------
 */

/* What the loop computes may be used behind it as arguments of the block it
 * leads to only: there it comes from two loops. */
static bool check_exit(cira_il_plan_t *p, MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirBlock block = mlirOperationGetBlock(mlirOpOperandGetOwner(use));
    if (cira_nest_index(&p->nest, block) < 0) {
      return cira__il_fail(
          p, "what it computes is used in an unusual way behind it");
    }
  }
  return true;
}

static bool check_exits(cira_il_plan_t *p) {
  for (int b = 0; b < p->nest.count; b++) {
    MlirBlock block = p->nest.blocks[b];
    for (intptr_t i = 0; i < mlirBlockGetNumArguments(block); i++) {
      if (!check_exit(p, mlirBlockGetArgument(block, i))) {
        return false;
      }
    }
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
        if (!check_exit(p, mlirOperationGetResult(op, i))) {
          return false;
        }
      }
    }
  }
  return true;
}

bool cira_il_plan_get(const cira_llvm_loops_t *loops, int64_t number,
                      int64_t cache_bytes, cira_il_plan_t *out_plan) {
  cira_il_plan_t *p = out_plan;
  memset(p, 0, sizeof *p);
  const char *why = cira_nest_get(loops, number, &p->nest);
  if (why) {
    return cira__il_fail(p, why);
  }
  if (!cira_chain_get(&p->nest, cache_bytes, &p->chain)) {
    return p->chain.count < cira_chain_waits_max
               ? false
               : cira__il_fail(p, "an iteration waits for too many objects");
  }
  if (!find_early(p) || !list_values(p) || !check_exits(p)) {
    return false;
  }
  cira__il_find_sums(p);
  if (!need_ends(p) || !need_reads(p) || !find_edges(p)) {
    return false;
  }
  return find_late(p) && cira__il_lay_out(p);
}
