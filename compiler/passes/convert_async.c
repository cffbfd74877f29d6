/* SPDX-License-Identifier: Apache-2.0
 * cira-convert-async: a cira.load becomes load_async, as early as its operands
 * and writes allow, and await, as late as its uses and writes allow. Two
 * forms: within a block (and into the branch of an scf.if that alone uses the
 * value), and across iterations: in an scf.for that writes nothing, an indexed
 * load is begun one iteration ahead (software pipelining).
 *
 * Both decide by gain = min(latency - hit, time that passes in between) -
 * cost of issue and await (two operations) - operations done twice; all in
 * remarks. Reading order: convert_in_block, then pipeline_loop. */
#include "analysis/access.h"
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdlib.h>

static const char pass_name[] = "cira-convert-async";
/* `window`: ops that a load moves at most, up and down; more would hide no
 * more, and cost time in long blocks. */
enum { pipelined_max = 8, chain_max = 16, window = 256 };

/* ---- Common ----------------------------------------------------------------
 */

static int64_t latency_ns(const CiraMachine *m, MlirOperation load) {
  CiraTier tier;
  bool known = cira_access_tier(mlirOperationGetOperand(load, 0), &tier);
  return m->tier_latency_ns[known ? tier : CiraTierFar];
}

/* A load_async with the operands and index of `load`, at `before`. */
static MlirValue build_load_async(MlirOperation load, MlirOperation before) {
  MlirContext ctx = mlirOperationGetContext(load);
  MlirAttribute index =
      mlirOperationGetAttributeByName(load, cira__str("static_index"));
  intptr_t operands = mlirOperationGetNumOperands(load);
  cira_op_spec_t spec = {
      .name = "cira.load_async",
      .loc = mlirOperationGetLocation(load),
      .operand_count = operands,
      .operands = {mlirOperationGetOperand(load, 0),
                   mlirOperationGetOperand(load, operands - 1)},
      .result_count = 1,
      .results = {ciraFutureTypeGet(
          mlirValueGetType(mlirOperationGetResult(load, 0)))}};
  if (!mlirAttributeIsNull(index)) {
    spec.attr_count = 1;
    spec.attrs[0] = mlirNamedAttributeGet(
        mlirIdentifierGet(ctx, cira__str("static_index")), index);
  }
  return mlirOperationGetResult(cira__build(&spec, before), 0);
}

static MlirValue build_await(MlirOperation load, MlirValue future,
                             MlirOperation before) {
  cira_op_spec_t spec = {
      .name = "cira.await",
      .loc = mlirOperationGetLocation(load),
      .operand_count = 1,
      .operands = {future},
      .result_count = 1,
      .results = {mlirValueGetType(mlirOperationGetResult(load, 0))}};
  return mlirOperationGetResult(cira__build(&spec, before), 0);
}

/* ---- Within a block --------------------------------------------------------
 */

/* May a load in flight not cross this op? Issue and await of other loads it
 * may cross; whatever writes, frees or synchronises it may not. */
static bool stops(MlirOperation op) {
  if (ciraOperationHasName(op, "cira.await") ||
      ciraOperationHasName(op, "cira.load_async") ||
      ciraOperationHasName(op, "cira.load_async_batch") ||
      ciraOperationHasName(op, "cira.peek_stream")) {
    return false;
  }
  return (ciraOperationGetEffects(op) &
          (CIRA_EFFECT_WRITE | CIRA_EFFECT_OTHER)) != 0;
}

static bool defines_operand(MlirOperation op, MlirOperation load) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(load); i++) {
    MlirOperation def = cira__def(mlirOperationGetOperand(load, i));
    if (!mlirOperationIsNull(def) && mlirOperationEqual(def, op)) {
      return true;
    }
  }
  return false;
}

/* The op in front of which the load may begin. */
static MlirOperation earliest(MlirOperation load) {
  MlirOperation best = load;
  for (int i = 0; i < window; i++) {
    MlirOperation op = ciraOperationGetPrevInBlock(best);
    if (mlirOperationIsNull(op) || defines_operand(op, load) || stops(op)) {
      break;
    }
    best = op;
  }
  return best;
}

/* Do all uses lie in `op`, or inside it? */
static bool holds_all_uses(MlirOperation op, MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    if (!ciraOperationIsAncestor(op, mlirOpOperandGetOwner(use))) {
      return false;
    }
  }
  return true;
}

static bool holds_a_use(MlirOperation op, MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    if (ciraOperationIsAncestor(op, mlirOpOperandGetOwner(use))) {
      return true;
    }
  }
  return false;
}

/* The block of the one region of an scf.if that holds all uses; null block if
 * there is none. */
static MlirBlock branch_with_all_uses(MlirOperation op, MlirValue value) {
  MlirBlock found = {NULL};
  if (!ciraOperationHasName(op, "scf.if") || !holds_all_uses(op, value)) {
    return found;
  }
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (mlirOperationEqual(user, op)) {
      return (MlirBlock){NULL}; /* the condition itself */
    }
    while (!mlirOperationEqual(mlirOperationGetParentOperation(user), op)) {
      user = mlirOperationGetParentOperation(user);
    }
    MlirBlock block = mlirOperationGetBlock(user);
    if (!mlirBlockIsNull(found) && !mlirBlockEqual(found, block)) {
      return (MlirBlock){NULL};
    }
    found = block;
  }
  return found;
}

/* The op in front of which the value must be there, from `op` on. */
static MlirOperation latest(MlirOperation op, MlirValue value) {
  for (int i = 0;
       i < window && !mlirOperationIsNull(mlirOperationGetNextInBlock(op));
       i++) {
    MlirBlock branch = branch_with_all_uses(op, value);
    if (!mlirBlockIsNull(branch)) {
      op = mlirBlockGetFirstOperation(branch);
      continue;
    }
    if (holds_a_use(op, value) || stops(op)) {
      break;
    }
    op = mlirOperationGetNextInBlock(op);
  }
  return op;
}

/* Nanoseconds that pass between `from` and `to` without the load itself. `to`
 * may lie in a branch inside one of the ops: what is there counts too. */
static int64_t time_between(const CiraMachine *m, MlirOperation from,
                            MlirOperation to, MlirOperation load) {
  int64_t sum = 0;
  for (MlirOperation op = from;
       !mlirOperationIsNull(op) && !ciraOperationIsAncestor(op, to);
       op = mlirOperationGetNextInBlock(op)) {
    if (mlirOperationEqual(op, load)) {
      continue;
    }
    int64_t ns;
    if (ciraOperationHasName(op, "cira.load")) {
      bool same = mlirValueEqual(mlirOperationGetOperand(op, 0),
                                 mlirOperationGetOperand(load, 0));
      ns = same ? m->llc_latency_ns : latency_ns(m, op);
    } else if (__builtin_mul_overflow(cira_cost_ops(op), m->op_ns, &ns)) {
      ns = (int64_t)1 << 40;
    }
    sum = cira_cost_min(sum + ns, (int64_t)1 << 40);
  }
  return sum;
}

static void convert_in_block(MlirOperation load) {
  CiraMachine m = cira_cost_machine(load);
  MlirValue value = mlirOperationGetResult(load, 0);
  if (mlirOpOperandIsNull(mlirValueGetFirstUse(value))) {
    return; /* dead: canonicalisation drops it */
  }
  MlirOperation from = earliest(load);
  MlirOperation to = latest(mlirOperationGetNextInBlock(load), value);
  int64_t wait = cira_cost_max(0, latency_ns(&m, load) - m.llc_latency_ns);
  int64_t hidden = cira_cost_min(wait, time_between(&m, from, to, load));
  int64_t cost = 2 * m.op_ns;
  if (hidden <= cost) {
    cira__remark(load, pass_name,
                 "missed: %ld ns of %ld could be hidden, issue and await cost "
                 "%ld ns",
                 (long)hidden, (long)wait, (long)cost);
    return;
  }
  cira__remark(load, pass_name, "hides %ld ns of %ld for %ld ns", (long)hidden,
               (long)wait, (long)cost);
  MlirValue future = build_load_async(load, from);
  mlirValueReplaceAllUsesOfWith(value, build_await(load, future, to));
  mlirOperationDestroy(load);
}

/* ---- Across iterations -----------------------------------------------------
 */

/* Can the address be computed for another iteration? It may depend on the
 * counter and on values from outside, through pure ops and loads. `*ops`
 * counts what is done twice. */
static bool can_repeat(const cira_loop_t *loop, MlirValue value, int depth,
                       int64_t *ops) {
  if (!cira_loop_contains(loop, value) ||
      mlirValueEqual(value, loop->counter)) {
    return true;
  }
  MlirOperation op = cira__def(value);
  if (mlirOperationIsNull(op) || depth > chain_max ||
      !mlirBlockEqual(mlirOperationGetBlock(op), loop->body) ||
      !(ciraOperationIsPure(op) || ciraOperationHasName(op, "memref.load") ||
        ciraOperationHasName(op, "cira.load")) ||
      mlirOperationGetNumRegions(op) != 0) {
    return false;
  }
  ++*ops;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    if (!can_repeat(loop, mlirOperationGetOperand(op, i), depth + 1, ops)) {
      return false;
    }
  }
  return *ops <= chain_max;
}

/* The value in the iteration of `counter`, computed at `before`. */
static MlirValue repeat(const cira_loop_t *loop, MlirValue value,
                        MlirValue counter, MlirOperation before) {
  if (!cira_loop_contains(loop, value)) {
    return value;
  }
  if (mlirValueEqual(value, loop->counter)) {
    return counter;
  }
  MlirOperation copy = mlirOperationClone(cira__def(value));
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(copy); i++) {
    mlirOperationSetOperand(
        copy, i,
        repeat(loop, mlirOperationGetOperand(copy, i), counter, before));
  }
  cira__attr_drop(copy, "cira.access");
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before,
                                      copy);
  return mlirOperationGetResult(copy, mlirOpResultGetResultNumber(value));
}

/* The load of another iteration, begun at `before`. */
static MlirValue begin(const cira_loop_t *loop, MlirOperation load,
                       MlirValue counter, MlirOperation before) {
  MlirOperation copy = mlirOperationClone(load);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(copy); i++) {
    mlirOperationSetOperand(
        copy, i,
        repeat(loop, mlirOperationGetOperand(copy, i), counter, before));
  }
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before,
                                      copy);
  MlirValue future = build_load_async(copy, copy);
  mlirOperationDestroy(copy);
  return future;
}

static MlirValue build_compare(MlirOperation before, MlirValue a, MlirValue b) {
  MlirContext ctx = mlirOperationGetContext(before);
  MlirType i64 = mlirIntegerTypeGet(ctx, 64);
  cira_op_spec_t spec = {
      .name = "arith.cmpi",
      .loc = mlirOperationGetLocation(before),
      .operand_count = 2,
      .operands = {a, b},
      .result_count = 1,
      .results = {mlirIntegerTypeGet(ctx, 1)},
      .attr_count = 1,
      .attrs = {mlirNamedAttributeGet(
          mlirIdentifierGet(ctx, cira__str("predicate")),
          mlirIntegerAttrGet(i64, 2 /* signed less than */))}};
  return mlirOperationGetResult(cira__build(&spec, before), 0);
}

/* The next iteration's counter, or this one's in the last iteration. */
static MlirValue build_next_counter(const cira_loop_t *loop,
                                    MlirOperation before) {
  MlirValue next =
      cira__build_binary(before, "arith.addi", loop->counter, loop->step);
  cira_op_spec_t spec = {.name = "arith.select",
                         .loc = mlirOperationGetLocation(before),
                         .operand_count = 3,
                         .operands = {build_compare(before, next, loop->upper),
                                      next, loop->counter},
                         .result_count = 1,
                         .results = {mlirValueGetType(next)}};
  return mlirOperationGetResult(cira__build(&spec, before), 0);
}

static MlirOperation build_yield(MlirLocation loc, MlirBlock block,
                                 intptr_t count, const MlirValue *values) {
  MlirOperationState state = mlirOperationStateGet(cira__str("scf.yield"), loc);
  mlirOperationStateAddOperands(&state, count, values);
  MlirOperation yield = mlirOperationCreate(&state);
  mlirBlockAppendOwnedOperation(block, yield);
  return yield;
}

/* An scf.if in front of `before` with the given branches' blocks. */
static MlirOperation build_if(MlirOperation before, MlirValue condition,
                              intptr_t result_count, const MlirType *results,
                              MlirBlock then_block, MlirBlock else_block) {
  MlirRegion regions[2] = {mlirRegionCreate(), mlirRegionCreate()};
  mlirRegionAppendOwnedBlock(regions[0], then_block);
  if (!mlirBlockIsNull(else_block)) {
    mlirRegionAppendOwnedBlock(regions[1], else_block);
  }
  MlirOperationState state = mlirOperationStateGet(
      cira__str("scf.if"), mlirOperationGetLocation(before));
  mlirOperationStateAddOperands(&state, 1, &condition);
  mlirOperationStateAddResults(&state, result_count, results);
  mlirOperationStateAddOwnedRegions(&state, 2, regions);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before,
                                      op);
  return op;
}

typedef struct pipelined {
  MlirOperation loads[pipelined_max];
  intptr_t count;
  int64_t repeated_ops;
} pipelined_t;

/* The same loop with one more carried value per load: its future. The body
 * moves over. Inserted at the end of `block`. */
static MlirOperation rebuild_loop(const cira_loop_t *loop, const pipelined_t *p,
                                  const MlirValue *futures, MlirBlock block) {
  MlirLocation loc = mlirOperationGetLocation(loop->op);
  MlirOperationState state = mlirOperationStateGet(cira__str("scf.for"), loc);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(loop->op); i++) {
    MlirValue operand = mlirOperationGetOperand(loop->op, i);
    mlirOperationStateAddOperands(&state, 1, &operand);
  }
  mlirOperationStateAddOperands(&state, p->count, futures);
  for (intptr_t i = 0; i < loop->carried_count; i++) {
    MlirType type = mlirValueGetType(mlirOperationGetResult(loop->op, i));
    mlirOperationStateAddResults(&state, 1, &type);
  }
  for (intptr_t i = 0; i < p->count; i++) {
    MlirType type = mlirValueGetType(futures[i]);
    mlirOperationStateAddResults(&state, 1, &type);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumDiscardableAttributes(loop->op);
       i++) {
    MlirNamedAttribute attr = mlirOperationGetDiscardableAttribute(loop->op, i);
    mlirOperationStateAddAttributes(&state, 1, &attr);
  }
  MlirRegion region = mlirRegionCreate();
  mlirRegionTakeBody(region, mlirOperationGetRegion(loop->op, 0));
  mlirOperationStateAddOwnedRegions(&state, 1, &region);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockAppendOwnedOperation(block, op);
  return op;
}

/* In the moved body: await this iteration's futures, begin the next ones, and
 * carry them on. */
static void fill_body(cira_loop_t *loop, const pipelined_t *p) {
  MlirLocation loc = mlirOperationGetLocation(loop->op);
  MlirOperation first = mlirBlockGetFirstOperation(loop->body);
  MlirValue next = build_next_counter(loop, first);
  MlirValue futures[pipelined_max];
  for (intptr_t i = 0; i < p->count; i++) {
    futures[i] = begin(loop, p->loads[i], next, first);
  }
  for (intptr_t i = 0; i < p->count; i++) {
    MlirValue now =
        mlirBlockAddArgument(loop->body, mlirValueGetType(futures[i]), loc);
    MlirOperation load = p->loads[i];
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(load, 0),
                                  build_await(load, now, load));
    mlirOperationDestroy(load);
  }
  MlirOperation yield = mlirBlockGetTerminator(loop->body);
  MlirOperationState state = mlirOperationStateGet(cira__str("scf.yield"), loc);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(yield); i++) {
    MlirValue value = mlirOperationGetOperand(yield, i);
    mlirOperationStateAddOperands(&state, 1, &value);
  }
  mlirOperationStateAddOperands(&state, p->count, futures);
  mlirOperationDestroy(yield);
  mlirBlockAppendOwnedOperation(loop->body, mlirOperationCreate(&state));
}

/* The futures that the last iteration began are of its own elements: awaited
 * and thrown away, so that their requests are given back. */
static void end_last(MlirOperation loop, intptr_t carried, intptr_t count,
                     MlirOperation before) {
  for (intptr_t i = carried; i < carried + count; i++) {
    MlirValue future = mlirOperationGetResult(loop, i);
    cira_op_spec_t spec = {
        .name = "cira.await",
        .loc = mlirOperationGetLocation(loop),
        .operand_count = 1,
        .operands = {future},
        .result_count = 1,
        .results = {ciraFutureTypeGetValueType(mlirValueGetType(future))}};
    cira__build(&spec, before);
  }
}

/* if lower < upper { begin the first loads; loop } else { initial values } */
static void pipeline(cira_loop_t *loop, const pipelined_t *p) {
  MlirOperation old = loop->op;
  MlirLocation loc = mlirOperationGetLocation(old);
  intptr_t carried = loop->carried_count;
  MlirBlock then_block = mlirBlockCreate(0, NULL, NULL);
  MlirBlock else_block = {NULL};
  MlirType *types = calloc((size_t)carried + 1, sizeof *types);
  MlirValue *values = calloc((size_t)carried + 1, sizeof *values);
  if (!types || !values) {
    abort(); /* as MLIR itself does */
  }
  for (intptr_t i = 0; i < carried; i++) {
    types[i] = mlirValueGetType(mlirOperationGetResult(old, i));
    values[i] = cira_loop_first(loop, i);
  }
  if (carried > 0) {
    else_block = mlirBlockCreate(0, NULL, NULL);
    build_yield(loc, else_block, carried, values);
  }
  MlirOperation yield = build_yield(loc, then_block, 0, NULL);
  MlirValue futures[pipelined_max];
  for (intptr_t i = 0; i < p->count; i++) {
    futures[i] = begin(loop, p->loads[i], loop->lower, yield);
  }
  mlirOperationDestroy(yield);
  MlirOperation op = rebuild_loop(loop, p, futures, then_block);
  loop->op = op;
  fill_body(loop, p);
  for (intptr_t i = 0; i < carried; i++) {
    values[i] = mlirOperationGetResult(op, i);
  }
  end_last(op, carried, p->count,
           build_yield(loc, then_block, carried, values));
  MlirValue any = build_compare(old, loop->lower, loop->upper);
  MlirOperation choice =
      build_if(old, any, carried, types, then_block, else_block);
  for (intptr_t i = 0; i < carried; i++) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(old, i),
                                  mlirOperationGetResult(choice, i));
  }
  mlirOperationDestroy(old);
  free(types);
  free(values);
}

/* The indexed loads directly in the body whose address can be repeated. */
static void find_pipelined(const cira_loop_t *loop, pipelined_t *p) {
  MlirOperation op = mlirBlockGetFirstOperation(loop->body);
  for (; !mlirOperationIsNull(op) && p->count < pipelined_max;
       op = mlirOperationGetNextInBlock(op)) {
    cira_access_t access;
    cira_access_class_t class;
    int64_t ops = 0;
    if (!ciraOperationHasName(op, "cira.load") ||
        !cira_access_get(op, &access)) {
      continue;
    }
    cira_access_classify(&access, loop, &class);
    bool repeatable = class.pattern == CiraPatternIndexed;
    for (intptr_t i = 0; repeatable && i < mlirOperationGetNumOperands(op);
         i++) {
      repeatable = can_repeat(loop, mlirOperationGetOperand(op, i), 0, &ops);
    }
    if (repeatable) {
      p->loads[p->count++] = op;
      p->repeated_ops += ops;
    }
  }
}

static void pipeline_loop(MlirOperation op) {
  cira_loop_t loop;
  pipelined_t p = {.count = 0};
  if (!cira_loop_get(op, &loop) || loop.kind != CIRA_LOOP_FOR ||
      !mlirTypeIsAIndex(mlirValueGetType(loop.counter))) {
    return;
  }
  find_pipelined(&loop, &p);
  if (p.count == 0) {
    return;
  }
  if (ciraOperationGetEffects(op) & (CIRA_EFFECT_WRITE | CIRA_EFFECT_OTHER)) {
    cira__remark(op, pass_name,
                 "missed: %ld indexed loads, but the loop writes memory or "
                 "synchronises",
                 (long)p.count);
    return;
  }
  CiraMachine m = cira_cost_machine(op);
  int64_t wait = 0, iteration_ns;
  for (intptr_t i = 0; i < p.count; i++) {
    wait += cira_cost_max(0, latency_ns(&m, p.loads[i]) - m.llc_latency_ns);
  }
  if (__builtin_mul_overflow(cira_cost_iteration_ops(&loop), m.op_ns,
                             &iteration_ns)) {
    iteration_ns = (int64_t)1 << 40;
  }
  /* Loads of one iteration also overlap one another. */
  int64_t hidden =
      cira_cost_min(wait, iteration_ns) + wait / p.count * (p.count - 1);
  int64_t cost = (2 * p.count + p.repeated_ops + 3) * m.op_ns;
  if (hidden <= cost) {
    cira__remark(op, pass_name,
                 "missed: one iteration ahead hides %ld ns of %ld and costs "
                 "%ld ns; a stream reaches further",
                 (long)hidden, (long)wait, (long)cost);
    return;
  }
  cira__remark(op, pass_name,
               "%ld indexed loads begun one iteration ahead: hides %ld ns of "
               "%ld for %ld ns",
               (long)p.count, (long)hidden, (long)wait, (long)cost);
  pipeline(&loop, &p);
}

/* ---- Walk ------------------------------------------------------------------
 * The walk only collects; ops are changed afterwards. */

typedef struct op_list {
  const char *name;
  MlirOperation *ops;
  size_t count, capacity;
} op_list_t;

static MlirWalkResult collect(MlirOperation op, void *user) {
  op_list_t *list = user;
  if (!ciraOperationHasName(op, list->name)) {
    return MlirWalkResultAdvance;
  }
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 16;
    MlirOperation *ops = realloc(list->ops, capacity * sizeof *ops);
    if (!ops) {
      abort(); /* as MLIR itself does */
    }
    list->ops = ops;
    list->capacity = capacity;
  }
  list->ops[list->count++] = op;
  return MlirWalkResultAdvance;
}

static void for_each(MlirOperation root, const char *name,
                     void (*change)(MlirOperation)) {
  op_list_t list = {.name = name};
  mlirOperationWalk(root, collect, &list, MlirWalkPostOrder);
  for (size_t i = 0; i < list.count; i++) {
    change(list.ops[i]);
  }
  free(list.ops);
}

bool cira__run_CiraConvertAsync(MlirOperation op) {
  for_each(op, "scf.for", pipeline_loop);
  for_each(op, "cira.load", convert_in_block);
  return true;
}
