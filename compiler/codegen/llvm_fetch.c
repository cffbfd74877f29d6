/* SPDX-License-Identifier: Apache-2.0
 * Reading order: values ahead, recurrences, tests, prefetches, groups. */
#include "codegen/llvm_fetch.h"

#include "analysis/cost.h"
#include "analysis/ir.h"
#include "codegen/llvm_build.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>

typedef cira_fetch_t candidate_t;

enum {
  /* Values of one iteration ahead. */
  map_max = 4 * cira_slice_ops_max,
  recurrences_max = 8,
  /* llvm.icmp's numbers. */
  unsigned_le = 7,
  unsigned_ge = 9
};

/* ---- values ahead ---------------------------------------------------------
 */

/* A value that follows from the iteration before, where it is some iterations
 * ahead (a variable), and what it becomes next. */
typedef struct recurrence {
  MlirValue value, variable, next;
} recurrence_t;

typedef struct builder {
  const cira_llvm_loops_t *loops;
  MlirContext ctx;
  MlirLocation loc;
  MlirBlock block; /* ops go to its end */
  MlirValue from[map_max];
  MlirValue to[map_max];
  int map_count;
  recurrence_t recurrences[recurrences_max]; /* of the group at hand */
  int recurrence_count;
  MlirValue shift; /* iterations ahead (i64); null: the distance */
} builder_t;

static MlirNamedAttribute named(const builder_t *b, const char *name,
                                MlirAttribute value) {
  return (MlirNamedAttribute){mlirIdentifierGet(b->ctx, cira__str(name)),
                              value};
}

static MlirOperation append(builder_t *b, const char *name, intptr_t operands,
                            const MlirValue *values, MlirType result,
                            intptr_t attrs, const MlirNamedAttribute *attr,
                            intptr_t successors, const MlirBlock *to) {
  MlirOperationState state = mlirOperationStateGet(cira__str(name), b->loc);
  mlirOperationStateAddOperands(&state, operands, values);
  if (!mlirTypeIsNull(result)) {
    mlirOperationStateAddResults(&state, 1, &result);
  }
  mlirOperationStateAddAttributes(&state, attrs, attr);
  mlirOperationStateAddSuccessors(&state, successors, to);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockAppendOwnedOperation(b->block, op);
  return op;
}

static MlirValue constant(builder_t *b, MlirType type, int64_t number) {
  MlirNamedAttribute attr = named(b, "value", mlirIntegerAttrGet(type, number));
  return mlirOperationGetResult(
      append(b, "llvm.mlir.constant", 0, NULL, type, 1, &attr, 0, NULL), 0);
}

/* pointer + bytes */
static MlirValue offset(builder_t *b, MlirValue pointer, int64_t bytes) {
  int32_t index = (int32_t)bytes;
  MlirNamedAttribute attrs[] = {
      named(b, "rawConstantIndices", mlirDenseI32ArrayGet(b->ctx, 1, &index)),
      named(b, "elem_type", mlirTypeAttrGet(mlirIntegerTypeGet(b->ctx, 8)))};
  return mlirOperationGetResult(append(b, "llvm.getelementptr", 1, &pointer,
                                       mlirValueGetType(pointer), 2, attrs, 0,
                                       NULL),
                                0);
}

/* What a value is in the iteration ahead. */
static MlirValue ahead(const builder_t *b, MlirValue value) {
  for (int i = 0; i < b->map_count; i++) {
    if (mlirValueEqual(b->from[i], value)) {
      return b->to[i];
    }
  }
  return value; /* does not change in the loop */
}

static bool is_mapped(const builder_t *b, MlirValue value) {
  return !mlirValueEqual(ahead(b, value), value);
}

static void set_ahead(builder_t *b, MlirValue from, MlirValue to) {
  b->from[b->map_count] = from;
  b->to[b->map_count++] = to;
}

/* The value that stands for an argument of a loop inside: what it is first. */
static MlirValue entered(const candidate_t *c, MlirValue value) {
  for (int i = 0; i < c->slice.inner_count; i++) {
    if (mlirValueEqual(c->slice.inner[i], value)) {
      return c->slice.entries[i];
    }
  }
  return value;
}

/* pointer + stride * iterations ahead */
static MlirValue shifted(builder_t *b, const candidate_t *c, MlirValue pointer,
                         int64_t stride) {
  if (mlirValueIsNull(b->shift)) {
    return offset(b, pointer, stride * c->distance);
  }
  cira_lb_t lb = cira_lb_at_end(b->block, c->loop);
  return cira_lb_offset_by(
      &lb, pointer,
      cira_lb_binary(&lb, "llvm.mul", b->shift,
                     cira_lb_constant(&lb, cira_lb_i64(&lb), stride)));
}

/* A counter of the loop, in the iteration ahead. */
static void add_counter(builder_t *b, const candidate_t *c, MlirValue counter) {
  int64_t step = cira_llvm_loop_step(b->loops, c->loop,
                                     mlirBlockArgumentGetArgNumber(counter));
  MlirType type = mlirValueGetType(counter);
  if (ciraTypeIsALLVMPointer(type)) {
    set_ahead(b, counter, shifted(b, c, counter, step));
    return;
  }
  MlirValue both[] = {counter, constant(b, type, step * c->distance)};
  MlirOperation sum = append(b, "llvm.add", 2, both, type, 0, NULL, 0, NULL);
  set_ahead(b, counter, mlirOperationGetResult(sum, 0));
}

/* The same op on values of the iteration ahead. */
static void add_copy(builder_t *b, const candidate_t *c, MlirOperation op) {
  MlirValue operands[16];
  MlirNamedAttribute attrs[16];
  intptr_t count = mlirOperationGetNumOperands(op);
  intptr_t attr_count = 0;
  MlirBlock header = b->loops->items[c->loop].header;
  for (intptr_t i = 0; i < count && i < 16; i++) {
    MlirValue value = entered(c, mlirOperationGetOperand(op, i));
    if (mlirValueIsABlockArgument(value) &&
        mlirBlockEqual(mlirBlockArgumentGetOwner(value), header) &&
        mlirValueEqual(ahead(b, value), value)) {
      add_counter(b, c, value);
    }
    operands[i] = ahead(b, value);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(op); i++) {
    MlirNamedAttribute attr = mlirOperationGetAttribute(op, i);
    if (attr_count < 16 && !mlirStringRefEqual(mlirIdentifierStr(attr.name),
                                               cira__str("cira.facts"))) {
      attrs[attr_count++] = attr;
    }
  }
  MlirStringRef name = mlirIdentifierStr(mlirOperationGetName(op));
  char text[64];
  snprintf(text, sizeof text, "%.*s", (int)name.length, name.data);
  MlirValue result = mlirOperationGetResult(op, 0);
  MlirOperation copy =
      append(b, text, count, operands, mlirValueGetType(result), attr_count,
             attrs, 0, NULL);
  set_ahead(b, result, mlirOperationGetResult(copy, 0));
}

/* ---- recurrences ----------------------------------------------------------
 */

static MlirBlock new_block(MlirBlock next) {
  MlirBlock block = mlirBlockCreate(0, NULL, NULL);
  mlirRegionInsertOwnedBlockBefore(mlirBlockGetParentRegion(next), next, block);
  return block;
}

/* All that the slice computes from its recurrences. */
static void copy_all(builder_t *b, const candidate_t *c) {
  for (int i = 0; i < c->slice.op_count; i++) {
    add_copy(b, c, c->slice.ops[i]);
  }
}

/* A new block between the edges that enter the loop and its header: there, the
 * variables are moved on by `distance` iterations. */
static void add_start(const builder_t *own, const candidate_t *c,
                      const recurrence_t *all, int count) {
  const cira_llvm_loops_t *loops = own->loops;
  MlirBlock header = loops->items[c->loop].header;
  builder_t b = {.loops = loops, .ctx = own->ctx, .loc = own->loc};
  MlirBlock start = new_block(header), step = new_block(header),
            done = new_block(header);
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation end = cira__terminator(block);
    for (intptr_t i = 0; !mlirOperationIsNull(end) &&
                         !cira_llvm_loop_contains(loops, c->loop, block) &&
                         i < mlirOperationGetNumSuccessors(end);
         i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(end, i), header)) {
        mlirOperationSetSuccessor(end, i, start);
      }
    }
  }
  MlirValue values[cira_fetch_arguments_max];
  intptr_t args = mlirBlockGetNumArguments(header);
  cira_lb_t lb = cira_lb_at_end(start, loops->items[c->loop].parent);
  MlirType i64 = cira_lb_i64(&lb);
  for (intptr_t i = 0; i < args; i++) {
    MlirValue argument = mlirBlockGetArgument(header, i);
    values[i] = mlirBlockAddArgument(start, mlirValueGetType(argument), b.loc);
    for (int k = 0; k < count; k++) {
      if (mlirValueEqual(all[k].value, argument)) {
        cira_lb_store(&lb, values[i], all[k].variable);
      }
    }
  }
  MlirValue number = mlirBlockAddArgument(step, i64, b.loc);
  MlirValue zero = cira_lb_constant(&lb, i64, 0);
  cira_lb_br(&lb, step, 1, &zero);
  lb.block = b.block = step;
  for (int k = 0; k < count; k++) {
    set_ahead(
        &b, all[k].value,
        cira_lb_load(&lb, all[k].variable, mlirValueGetType(all[k].value), 0));
  }
  copy_all(&b, c);
  for (int k = 0; k < count; k++) {
    cira_lb_store(&lb, ahead(&b, all[k].next), all[k].variable);
  }
  MlirValue next =
      cira_lb_binary(&lb, "llvm.add", number, cira_lb_constant(&lb, i64, 1));
  MlirValue more = cira_lb_icmp(&lb, cira_lb_ult, next,
                                cira_lb_constant(&lb, i64, c->distance));
  MlirBlock ways[] = {step, done};
  int32_t sizes[] = {1, 1, 0};
  MlirValue operands[] = {more, next};
  MlirNamedAttribute segments =
      named(&b, "operandSegmentSizes", mlirDenseI32ArrayGet(b.ctx, 3, sizes));
  append(&b, "llvm.cond_br", 2, operands, (MlirType){NULL}, 1, &segments, 2,
         ways);
  lb.block = done;
  cira_lb_br(&lb, header, args, values);
}

/* What the slice's recurrences are ahead, in front of the anchor. */
static void add_recurrences(builder_t *b, const candidate_t *c) {
  const cira_slice_t *s = &c->slice;
  recurrence_t *all = b->recurrences + b->recurrence_count;
  bool known = true;
  for (int i = 0; i < s->recurrence_count; i++) {
    known &= is_mapped(b, s->recurrences[i]);
  }
  if (known) {
    return; /* or there are none */
  }
  cira_lb_t lb = cira_lb_at_end(b->block, c->loop);
  for (int i = 0; i < s->recurrence_count; i++) {
    MlirType type = mlirValueGetType(s->recurrences[i]);
    all[i] =
        (recurrence_t){.value = s->recurrences[i],
                       .variable = cira_lb_variable(b->loops->function, type),
                       .next = s->nexts[i]};
    set_ahead(b, all[i].value, cira_lb_load(&lb, all[i].variable, type, 0));
  }
  b->recurrence_count += s->recurrence_count;
  add_start(b, c, all, s->recurrence_count);
}

/* At the end of a group: the next iteration is one further. */
static void end_recurrences(builder_t *b) {
  cira_lb_t lb = cira_lb_at_end(b->block, -1);
  for (int i = 0; i < b->recurrence_count; i++) {
    const recurrence_t *r = &b->recurrences[i];
    cira_lb_store(&lb, ahead(b, r->next), r->variable);
  }
  b->recurrence_count = 0;
}

/* ---- tests ----------------------------------------------------------------
 */

/* Moves the ops from `at` on into a new block behind; returns it. */
static MlirBlock split_before(MlirOperation at) {
  MlirBlock block = mlirOperationGetBlock(at);
  MlirBlock rest = mlirBlockCreate(0, NULL, NULL);
  mlirRegionInsertOwnedBlockAfter(mlirBlockGetParentRegion(block), block, rest);
  while (!mlirOperationIsNull(at)) {
    MlirOperation next = mlirOperationGetNextInBlock(at);
    mlirOperationRemoveFromParent(at);
    mlirBlockAppendOwnedOperation(rest, at);
    at = next;
  }
  return rest;
}

static int64_t stride_of(MlirOperation load) {
  int64_t stride = 0;
  cira__fact_number(load, "stride_bytes", &stride);
  return stride;
}

/* An op in front of the end of the block of `near`. */
static MlirValue build_near(MlirOperation near, cira_op_spec_t spec) {
  spec.loc = mlirLocationUnknownGet(mlirOperationGetContext(near));
  MlirOperation end = cira__terminator(mlirOperationGetBlock(near));
  return mlirOperationGetResult(cira__build(&spec, end), 0);
}

MlirValue cira_fetch_is_long(const cira_fetch_t *c) {
  builder_t own = {.ctx = mlirOperationGetContext(c->front)}, *b = &own;
  MlirType i64 = mlirIntegerTypeGet(b->ctx, 64);
  cira_op_spec_t least = {
      .name = "llvm.mlir.constant",
      .result_count = 1,
      .results = {i64},
      .attr_count = 1,
      .attrs = {named(b, "value", mlirIntegerAttrGet(i64, c->trips_min))}};
  cira_op_spec_t compare = {
      .name = "llvm.icmp",
      .operand_count = 2,
      .operands = {c->times, build_near(c->front, least)},
      .result_count = 1,
      .results = {mlirIntegerTypeGet(b->ctx, 1)},
      .attr_count = 1,
      .attrs = {named(b, "predicate", mlirIntegerAttrGet(i64, unsigned_ge))}};
  return build_near(c->front, compare);
}

/* Ends the block by a branch to a new one, where the condition holds (or does
 * not), or to `rest`. */
static void add_branch(builder_t *b, MlirValue condition, bool holds,
                       MlirBlock rest) {
  MlirBlock inside = new_block(rest);
  MlirBlock ways[] = {holds ? inside : rest, holds ? rest : inside};
  int32_t sizes[] = {1, 0, 0};
  MlirNamedAttribute segments =
      named(b, "operandSegmentSizes", mlirDenseI32ArrayGet(b->ctx, 3, sizes));
  append(b, "llvm.cond_br", 1, &condition, (MlirType){NULL}, 1, &segments, 2,
         ways);
  b->block = inside;
}

/* Goes on only if the loop is long and the iteration ahead exists. The first is
 * the same in all iterations: LLVM makes two loops of it, so that short ones
 * pay nothing. */
static void add_test(builder_t *b, const candidate_t *c, MlirBlock rest) {
  if (c->trips_min && !mlirOperationIsNull(c->front)) {
    add_branch(b, cira_fetch_is_long(c), true, rest);
  }
  if (!c->slice.index_count) {
    return;
  }
  MlirValue pointer = mlirOperationGetOperand(c->anchor, 0);
  int64_t stride = stride_of(c->anchor);
  MlirValue at = offset(b, pointer, stride * c->distance);
  MlirValue both[] = {at, mlirOperationGetOperand(c->front, 1)};
  MlirNamedAttribute how =
      named(b, "predicate",
            mlirIntegerAttrGet(mlirIntegerTypeGet(b->ctx, 64),
                               stride > 0 ? unsigned_le : unsigned_ge));
  MlirValue good = mlirOperationGetResult(append(b, "llvm.icmp", 2, both,
                                                 mlirIntegerTypeGet(b->ctx, 1),
                                                 1, &how, 0, NULL),
                                          0);
  if (c->turns) {
    cira_lb_t lb = cira_lb_at_end(b->block, c->loop);
    MlirType i64 = cira_lb_i64(&lb);
    b->shift =
        cira_lb_select(&lb, good, cira_lb_constant(&lb, i64, c->distance),
                       cira_lb_constant(&lb, i64, c->distance - c->turns));
  } else {
    set_ahead(b, pointer, at);
    add_branch(b, good, true, rest);
  }
}

/* ---- prefetches -----------------------------------------------------------
 */

static void add_prefetch(builder_t *b, const candidate_t *c) {
  MlirType i32 = mlirIntegerTypeGet(b->ctx, 32);
  MlirValue address = ahead(b, entered(c, c->address));
  MlirNamedAttribute attrs[] = {
      named(b, "rw", mlirIntegerAttrGet(i32, c->written)),
      /* Into the second-level cache: more lines can be on their way there. */
      named(b, "hint", mlirIntegerAttrGet(i32, 2)),
      named(b, "cache", mlirIntegerAttrGet(i32, 1))};
  append(b, "llvm.intr.prefetch", 1, &address, (MlirType){NULL}, 3, attrs, 0,
         NULL);
}

static void add_guards(builder_t *b, const candidate_t *c, MlirBlock out) {
  for (int i = 0; i < c->slice.guard_count; i++) {
    const cira_slice_guard_t *guard = &c->slice.guards[i];
    add_branch(b, ahead(b, guard->condition), guard->holds, out);
  }
}

/* Where a guard is not as it should be, `out` is next. */
static void add_slice(builder_t *b, const candidate_t *c, MlirBlock out) {
  const cira_slice_t *s = &c->slice;
  add_recurrences(b, c);
  for (int i = 0; i < s->index_count; i++) {
    MlirOperation load = s->index_loads[i];
    MlirValue pointer = mlirOperationGetOperand(load, 0);
    if (is_mapped(b, mlirOperationGetResult(load, 0))) {
      continue;
    }
    if (!is_mapped(b, pointer)) {
      set_ahead(b, pointer, shifted(b, c, pointer, stride_of(load)));
    }
    add_copy(b, c, load);
  }
  for (int i = 0; i < s->op_count; i++) {
    if (mlirOperationEqual(s->ops[i], s->guarded)) {
      add_guards(b, c, out);
    }
    if (!is_mapped(b, mlirOperationGetResult(s->ops[i], 0))) {
      add_copy(b, c, s->ops[i]);
    }
  }
}

/* What is computed behind guards is not there for others. */
static void add_item(builder_t *b, const candidate_t *c, MlirBlock rest) {
  bool guarded = !mlirOperationIsNull(c->slice.guarded);
  MlirBlock out = guarded ? new_block(rest) : rest;
  int known = b->map_count;
  add_slice(b, c, out);
  add_prefetch(b, c);
  if (guarded) {
    append(b, "llvm.br", 0, NULL, (MlirType){NULL}, 0, NULL, 1, &out);
    b->block = out;
    b->map_count = known;
  }
}

/* ---- groups ---------------------------------------------------------------
 */

/* Can `c` share the test of `first`, if it needs one? A test for a longer
 * distance holds for a shorter one too, unless the loop begins anew. */
static bool joins(const candidate_t *first, const candidate_t *c) {
  return mlirOperationEqual(first->anchor, c->anchor) &&
         first->distance >= c->distance && first->loop == c->loop &&
         first->turns == c->turns &&
         (!c->turns || first->distance == c->distance) &&
         !first->slice.recurrence_count == !c->slice.recurrence_count &&
         (first->slice.index_count || !c->slice.index_count);
}

static bool has_room(const builder_t *b, const candidate_t *c) {
  return b->map_count + c->slice.op_count + 3 * c->slice.index_count +
                 2 * c->slice.counter_count + c->slice.recurrence_count <
             map_max &&
         b->recurrence_count + c->slice.recurrence_count <= recurrences_max;
}

/* Prefetches of the `at`-th candidate, and of those that go with it: those of
 * one distance share what is computed. */
static void insert(const cira_llvm_loops_t *loops, candidate_t *items,
                   int count, int at) {
  const candidate_t *first = &items[at];
  builder_t b = {.loops = loops,
                 .ctx = mlirOperationGetContext(first->anchor),
                 .block = mlirOperationGetBlock(first->anchor)};
  b.loc = mlirLocationUnknownGet(b.ctx);
  MlirBlock rest = split_before(first->anchor);
  add_test(&b, first, rest);
  int64_t distance = first->distance;
  for (int64_t next; distance; distance = next) {
    next = 0;
    for (int i = 0; i < count; i++) {
      candidate_t *c = &items[i];
      if (!c->distance || c->done || !joins(first, c)) {
        continue;
      }
      if (c->distance == distance && has_room(&b, c)) {
        add_item(&b, c, rest);
        c->done = true;
      } else if (c->distance < distance) {
        next = cira_cost_max(next, c->distance);
      }
    }
    end_recurrences(&b);
    b.map_count = 0;
  }
  append(&b, "llvm.br", 0, NULL, (MlirType){NULL}, 0, NULL, 1, &rest);
}

/* The candidate that looks farthest ahead of those not done; -1: none. */
static int farthest(const candidate_t *items, int count) {
  int found = -1;
  for (int i = 0; i < count; i++) {
    const candidate_t *c = &items[i];
    if (c->distance && !c->done &&
        (found < 0 || c->distance > items[found].distance)) {
      found = i;
    }
  }
  return found;
}

bool cira_fetch_insert(const cira_llvm_loops_t *loops, cira_fetch_t *items,
                       int count) {
  int next = farthest(items, count);
  bool changed = next >= 0;
  for (; next >= 0; next = farthest(items, count)) {
    insert(loops, items, count, next);
    items[next].done = true;
  }
  return changed;
}
