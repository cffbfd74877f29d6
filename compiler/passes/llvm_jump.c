/* SPDX-License-Identifier: Apache-2.0
 * cira-llvm-jump: a loop of an llvm.func that walks a list prefetches along a
 * table of the list's order, which the runtime (runtime/cc/jump.c) wrote during
 * an earlier walk. The loop has two modes, of which LLVM makes two loops: one
 * counts nodes and is nearly the old loop; one has a cursor into the table. In
 * front of both comes a copy of the old loop for the first nodes of a list,
 * which are all that most lists have.
 * What a cursor points to is always readable, so nothing here can go wrong
 * whatever happens to the list.
 * Reading order: what is a list, cost, insertion, the pass. */
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "analysis/llvm_loop.h"
#include "codegen/llvm_twin.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>

static const char pass_name[] = "cira-llvm-jump";

enum {
  /* As in runtime/cc/cc.h, which says what the loop has to do. */
  block_entries = 256,
  block_bytes = 8 * block_entries,
  distance_max = 240,
  /* Shorter lists are never looked at by the runtime. */
  trips_min = 2 * block_entries,
  issue_width = 4,
  /* Operations that the cursor adds to an iteration. */
  cursor_ops = 4,
  gain_min_percent = 10,
  /* As for prefetches of arrays: what touches less may stay in the cache. */
  cache_part = 4,
  lines_max = 3,
  operands_max = 64,
  /* Operations of a loop that a count in each iteration would slow down, and
   * of one so short that several iterations are to share a count. */
  small_ops = 64,
  unroll_ops = 32,
  unlikely_weight = 1,
  likely_weight = block_entries - 1,
  /* llvm.icmp's numbers. */
  equal = 0,
  unsigned_gt = 8
};

/* ---- what is a list -------------------------------------------------------
 */

typedef struct list {
  int64_t loop;
  MlirBlock header;
  MlirOperation latch; /* ends an iteration, by its successor `way` */
  intptr_t way;
  intptr_t argument;          /* the node */
  intptr_t arguments;         /* of the header */
  MlirOperation next;         /* the load of the next one */
  int64_t offsets[lines_max]; /* one for each line of a node that is used */
  int offset_count;
  int64_t distance, nodes_min;
} list_t;

/* The part of the operands of a branch that goes to successor `way`; false if
 * this is neither llvm.br nor llvm.cond_br. */
static bool passed(MlirOperation op, intptr_t way, intptr_t *out_first,
                   intptr_t *out_count) {
  if (ciraOperationHasName(op, "llvm.br")) {
    *out_first = 0;
    *out_count = mlirOperationGetNumOperands(op);
    return true;
  }
  if (!ciraOperationHasName(op, "llvm.cond_br")) {
    return false;
  }
  MlirAttribute sizes =
      mlirOperationGetAttributeByName(op, cira__str("operandSegmentSizes"));
  intptr_t taken = mlirDenseI32ArrayGetElement(sizes, 1);
  *out_first = way ? 1 + taken : 1;
  *out_count = way ? mlirOperationGetNumOperands(op) - 1 - taken : taken;
  return true;
}

/* The pointer without constant offsets on top; adds their bytes up as far as
 * they are in bytes. */
static MlirValue strip(MlirValue pointer, int64_t *bytes) {
  MlirOperation op;
  while (cira__def_is(pointer, "llvm.getelementptr", &op) &&
         mlirOperationGetNumOperands(op) == 1) {
    MlirAttribute type =
        mlirOperationGetAttributeByName(op, cira__str("elem_type"));
    MlirAttribute indices =
        mlirOperationGetAttributeByName(op, cira__str("rawConstantIndices"));
    if (mlirDenseArrayGetNumElements(indices) == 1 &&
        mlirTypeEqual(mlirTypeAttrGetValue(type),
                      mlirIntegerTypeGet(mlirOperationGetContext(op), 8))) {
      *bytes += mlirDenseI32ArrayGetElement(indices, 0);
    }
    pointer = mlirOperationGetOperand(op, 0);
  }
  return pointer;
}

/* The load of the next node, if that becomes the argument; null otherwise. */
static MlirOperation next_of(MlirBlock header, intptr_t argument,
                             MlirOperation latch, intptr_t way) {
  intptr_t first, count;
  int64_t bytes = 0;
  MlirOperation load, none = {NULL};
  MlirValue node = mlirBlockGetArgument(header, argument);
  if (!passed(latch, way, &first, &count) || argument >= count ||
      !ciraTypeIsALLVMPointer(mlirValueGetType(node))) {
    return none;
  }
  MlirValue next =
      strip(mlirOperationGetOperand(latch, first + argument), &bytes);
  return cira__def_is(next, "llvm.load", &load) &&
                 mlirValueEqual(strip(mlirOperationGetOperand(load, 0), &bytes),
                                node)
             ? load
             : none;
}

/* A field of the node is used: its line is asked for too. */
static void add_offset(list_t *list, int64_t bytes, int64_t line_bytes) {
  for (int i = 0; i < list->offset_count; i++) {
    int64_t away = bytes - list->offsets[i];
    if (away > -line_bytes && away < line_bytes) {
      return;
    }
  }
  if (list->offset_count < lines_max) {
    list->offsets[list->offset_count++] = bytes;
  }
}

static void add_offsets(list_t *list, const cira_llvm_loops_t *loops,
                        int64_t line_bytes) {
  MlirValue node = mlirBlockGetArgument(list->header, list->argument);
  int64_t bytes = 0;
  strip(mlirOperationGetOperand(list->next, 0), &bytes);
  add_offset(list, bytes, line_bytes);
  MlirBlock block = list->header;
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    if (!cira_llvm_loop_contains(loops, list->loop, block)) {
      continue;
    }
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      bool store = ciraOperationHasName(op, "llvm.store");
      bytes = 0;
      if ((store || ciraOperationHasName(op, "llvm.load")) &&
          mlirValueEqual(strip(mlirOperationGetOperand(op, store), &bytes),
                         node)) {
        add_offset(list, bytes, line_bytes);
      }
    }
  }
}

/* The block that ends an iteration of the loop, by its last op; the header
 * must be as the plug-in saw it. */
static MlirOperation latch_of(const cira_llvm_loops_t *loops, int64_t number,
                              intptr_t *out_way) {
  const cira_llvm_loop_t *loop = &loops->items[number];
  MlirOperation none = {NULL};
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  if (mlirBlockIsNull(loop->header) || mlirAttributeIsNull(loop->steps) ||
      !mlirAttributeIsADenseI64Array(loop->steps) ||
      mlirDenseArrayGetNumElements(loop->steps) !=
          mlirBlockGetNumArguments(loop->header)) {
    return none;
  }
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation last = cira__terminator(block);
    if (cira_llvm_block_loop(block) != number ||
        !cira__fact_has(last, "latch")) {
      continue;
    }
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(last); i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(last, i), loop->header)) {
        *out_way = i;
        return last;
      }
    }
  }
  return none;
}

/* Does loop `number` walk a list? */
static bool find_list(const cira_llvm_loops_t *loops, int64_t number,
                      list_t *out_list) {
  intptr_t way = 0;
  MlirOperation latch = latch_of(loops, number, &way);
  if (!loops->items[number].walks || loops->items[number].interleaved ||
      mlirOperationIsNull(latch)) {
    return false;
  }
  MlirBlock header = loops->items[number].header;
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(header); i++) {
    MlirOperation next = next_of(header, i, latch, way);
    if (!mlirOperationIsNull(next)) {
      *out_list = (list_t){.loop = number,
                           .header = header,
                           .latch = latch,
                           .way = way,
                           .argument = i,
                           .arguments = mlirBlockGetNumArguments(header),
                           .next = next};
      return true;
    }
  }
  return false;
}

/* Does the address change from one entry of the loop to the next: an element of
 * an array? */
static bool is_element(const cira_llvm_loops_t *loops, MlirValue address) {
  int64_t bytes = 0, number;
  MlirOperation op;
  address = strip(address, &bytes);
  if (mlirValueIsABlockArgument(address)) {
    MlirBlock owner = mlirBlockArgumentGetOwner(address);
    number = cira_llvm_block_loop(owner);
    return number >= 0 && mlirBlockEqual(owner, loops->items[number].header) &&
           cira_llvm_loop_step(loops, number,
                               mlirBlockArgumentGetArgNumber(address));
  }
  return cira__def_is(address, "llvm.getelementptr", &op) &&
         mlirOperationGetNumOperands(op) > 1;
}

/* Is the list one of those that an array has the heads of? Such lists are short
 * as a rule, and the core walks several of them at once: each operation more
 * costs it. */
static bool is_one_of_many(const cira_llvm_loops_t *loops, const list_t *list) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation last = cira__terminator(block), load;
    intptr_t first, count;
    int64_t bytes = 0;
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(last); i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(last, i), list->header) &&
          !cira_llvm_loop_contains(loops, list->loop, block) &&
          passed(last, i, &first, &count) &&
          cira__def_is(
              strip(mlirOperationGetOperand(last, first + list->argument),
                    &bytes),
              "llvm.load", &load) &&
          is_element(loops, mlirOperationGetOperand(load, 0))) {
        return true;
      }
    }
  }
  return false;
}

/* ---- cost -----------------------------------------------------------------
 * Picoseconds per node. As it is, a node is waited for alone. */

static bool decide(const cira_llvm_loops_t *loops, const CiraMachine *m,
                   list_t *list) {
  int64_t latency_ps = m->tier_latency_ns[CiraTierLocal] * 1000;
  int64_t op_ps = cira_cost_max(1, m->op_ns * 1000 / issue_width);
  int64_t ops = cira_llvm_loop_ops_percent(loops, list->loop) / 100;
  int64_t compute_ps = op_ps * cira_cost_min(ops, 1000000);
  int64_t floor_ps = list->offset_count * latency_ps / m->lines_in_flight;
  int64_t plain_ps = cira_cost_max(compute_ps, latency_ps);
  int64_t ahead_ps = cira_cost_max(
      1, cira_cost_max(floor_ps, compute_ps + cursor_ops * op_ps));
  int64_t trips = loops->items[list->loop].trips;
  if (trips && trips < trips_min) {
    cira__remark(list->next, pass_name,
                 "missed: the list has about %ld nodes, too few for a table",
                 (long)trips);
    return false;
  }
  if (plain_ps * 100 < ahead_ps * (100 + gain_min_percent)) {
    cira__remark(list->next, pass_name,
                 "missed: no gain: %.1f ns per node as it is, %.1f ns with a "
                 "table of its order",
                 (double)plain_ps / 1e3, (double)ahead_ps / 1e3);
    return false;
  }
  list->distance = cira_cost_min(
      distance_max,
      cira_cost_ceil(2 * latency_ps,
                     cira_cost_max(1, cira_cost_max(compute_ps, floor_ps))));
  list->nodes_min =
      m->llc_bytes / cache_part / m->line_bytes / list->offset_count;
  cira__remark(list->next, pass_name,
               "walked again, prefetched %ld nodes ahead along a table of its "
               "order, if it has %ld nodes or more: %.1f ns per node as it is, "
               "%.1f ns with it; latency %ld ns, %ld lines in flight, %.1f ns "
               "of computing",
               (long)list->distance, (long)list->nodes_min,
               (double)plain_ps / 1e3, (double)ahead_ps / 1e3,
               (long)m->tier_latency_ns[CiraTierLocal],
               (long)m->lines_in_flight, (double)compute_ps / 1e3);
  return true;
}

/* ---- insertion ------------------------------------------------------------
 *
 * first(...):                                a copy of the loop, for 256 nodes
 *   ... the loop as it was; to over(...) at its 256th end
 * over(...):
 *   goto outer(..., false, null, 1)
 *
 * and where there is no such copy, left is 256 from outside:
 *
 * outer(..., mode, cursor, left):            from outside: false, null, 256
 *   goto header(..., cursor, left)
 * header(..., cursor, left):
 *   ... the loop as it was; at its end, goto next(...)
 * next(...):                                 what the header would get
 *   if (mode) goto fast, else count
 * fast:
 *   prefetch(load cursor + offset), cursor += 8
 *   if (cursor is a multiple of a block) goto step, else header(...)
 * count:
 *   if (--left == 0) goto step, else header(...)
 * step:
 *   went = cira_jump_step(node, cursor, distance, nodes_min)
 *   goto outer(..., went >= 2^32, went, went)
 */

typedef struct builder {
  MlirContext ctx;
  MlirLocation loc;
  MlirBlock block; /* ops go to its end */
  MlirType ptr, i64, i32, i1;
} builder_t;

static MlirNamedAttribute named(const builder_t *b, const char *name,
                                MlirAttribute value) {
  return (MlirNamedAttribute){mlirIdentifierGet(b->ctx, cira__str(name)),
                              value};
}

static MlirNamedAttribute sizes(const builder_t *b, const char *name,
                                int32_t first, int32_t second, int32_t third) {
  int32_t all[] = {first, second, third};
  return named(b, name, mlirDenseI32ArrayGet(b->ctx, 3, all));
}

/* `result`: null type for none. */
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

static MlirValue value_of(builder_t *b, const char *name, intptr_t operands,
                          const MlirValue *values, MlirType result,
                          intptr_t attrs, const MlirNamedAttribute *attr) {
  return mlirOperationGetResult(
      append(b, name, operands, values, result, attrs, attr, 0, NULL), 0);
}

static MlirValue constant(builder_t *b, int64_t number) {
  MlirNamedAttribute attr =
      named(b, "value", mlirIntegerAttrGet(b->i64, number));
  return value_of(b, "llvm.mlir.constant", 0, NULL, b->i64, 1, &attr);
}

/* pointer + bytes */
static MlirValue offset(builder_t *b, MlirValue pointer, int64_t bytes) {
  int32_t index = (int32_t)bytes;
  MlirNamedAttribute attrs[] = {
      named(b, "rawConstantIndices", mlirDenseI32ArrayGet(b->ctx, 1, &index)),
      named(b, "elem_type", mlirTypeAttrGet(mlirIntegerTypeGet(b->ctx, 8)))};
  return bytes
             ? value_of(b, "llvm.getelementptr", 1, &pointer, b->ptr, 2, attrs)
             : pointer;
}

/* Into the second-level cache: on the way to the first one fewer lines can be
 * under way. */
static void add_prefetches(builder_t *b, const list_t *list, MlirValue node) {
  for (int i = 0; i < list->offset_count; i++) {
    MlirValue address = offset(b, node, list->offsets[i]);
    MlirNamedAttribute attrs[] = {
        named(b, "rw", mlirIntegerAttrGet(b->i32, 0)),
        named(b, "hint", mlirIntegerAttrGet(b->i32, 2)),
        named(b, "cache", mlirIntegerAttrGet(b->i32, 1))};
    append(b, "llvm.intr.prefetch", 1, &address, (MlirType){NULL}, 3, attrs, 0,
           NULL);
  }
}

static MlirValue compare(builder_t *b, int64_t how, MlirValue value,
                         int64_t number) {
  MlirValue both[] = {value, constant(b, number)};
  MlirNamedAttribute attr =
      named(b, "predicate", mlirIntegerAttrGet(b->i64, how));
  return value_of(b, "llvm.icmp", 2, both, b->i1, 1, &attr);
}

/* Is the cursor at the end of a block? */
static MlirValue is_at_end(builder_t *b, MlirValue cursor) {
  MlirValue mask[] = {value_of(b, "llvm.ptrtoint", 1, &cursor, b->i64, 0, NULL),
                      constant(b, block_bytes - 1)};
  return compare(b, equal, value_of(b, "llvm.and", 2, mask, b->i64, 0, NULL),
                 0);
}

/* A block with the header's arguments of old and `more` others, in front of
 * the header. */
static MlirBlock new_block(const builder_t *b, const list_t *list, bool same,
                           intptr_t more, const MlirType *types) {
  MlirBlock block = mlirBlockCreate(0, NULL, NULL);
  for (intptr_t i = 0; same && i < list->arguments; i++) {
    mlirBlockAddArgument(
        block, mlirValueGetType(mlirBlockGetArgument(list->header, i)), b->loc);
  }
  for (intptr_t i = 0; i < more; i++) {
    mlirBlockAddArgument(block, types[i], b->loc);
  }
  mlirRegionInsertOwnedBlockBefore(mlirBlockGetParentRegion(list->header),
                                   list->header, block);
  return block;
}

/* The same branch, with successor `way` replaced, to which `more` values more
 * are passed. */
static void redirect(MlirOperation op, intptr_t way, MlirBlock target,
                     intptr_t more, const MlirValue *values) {
  MlirValue operands[operands_max + 3];
  MlirNamedAttribute attrs[16];
  MlirBlock to[2];
  intptr_t first = 0, count = 0, total = 0, attr_count = 0;
  builder_t b = {.ctx = mlirOperationGetContext(op),
                 .loc = mlirOperationGetLocation(op),
                 .block = mlirOperationGetBlock(op)};
  bool two = ciraOperationHasName(op, "llvm.cond_br");
  passed(op, way, &first, &count);
  for (intptr_t i = 0; i <= mlirOperationGetNumOperands(op); i++) {
    for (intptr_t k = 0; i == first + count && k < more; k++) {
      operands[total++] = values[k];
    }
    if (i < mlirOperationGetNumOperands(op)) {
      operands[total++] = mlirOperationGetOperand(op, i);
    }
  }
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(op); i++) {
    MlirNamedAttribute attr = mlirOperationGetAttribute(op, i);
    if (attr_count < 15 &&
        !mlirStringRefEqual(mlirIdentifierStr(attr.name),
                            cira__str("operandSegmentSizes"))) {
      attrs[attr_count++] = attr;
    }
  }
  if (two) {
    intptr_t taken, other;
    passed(op, 0, &first, &taken);
    passed(op, 1, &first, &other);
    attrs[attr_count++] = sizes(&b, "operandSegmentSizes", 1,
                                (int32_t)(taken + (way == 0 ? more : 0)),
                                (int32_t)(other + (way == 1 ? more : 0)));
  }
  for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(op); i++) {
    to[i] = i == way ? target : mlirOperationGetSuccessor(op, i);
  }
  append(&b, two ? "llvm.cond_br" : "llvm.br", total, operands,
         (MlirType){NULL}, attr_count, attrs, two ? 2 : 1, to);
  mlirOperationDestroy(op);
}

/* Are all ways to the header branches that can be redirected, one of them from
 * the loop? */
static bool can_redirect(const cira_llvm_loops_t *loops, const list_t *list) {
  int inside = 0;
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation last = cira__terminator(block);
    intptr_t first, count;
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(last); i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(last, i), list->header)) {
        inside += cira_llvm_loop_contains(loops, list->loop, block);
        if (!passed(last, i, &first, &count) ||
            mlirOperationGetNumOperands(last) >= operands_max) {
          return false;
        }
      }
    }
  }
  return inside == 1;
}

/* Everything that leads to the header leads to `outer` instead. */
static void enter_by(const cira_llvm_loops_t *loops, const list_t *list,
                     builder_t *b, MlirBlock outer) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation last = cira__terminator(block);
    intptr_t ways = mlirOperationIsNull(last)
                        ? 0 /* one of ours, to be filled */
                        : mlirOperationGetNumSuccessors(last);
    for (intptr_t i = 0; i < ways; i++) {
      last = cira__terminator(block);
      if (!mlirBlockEqual(mlirOperationGetSuccessor(last, i), list->header)) {
        continue;
      }
      builder_t at = *b;
      at.block = block;
      mlirOperationRemoveFromParent(last);
      MlirNamedAttribute no = named(b, "value", mlirIntegerAttrGet(b->i1, 0));
      MlirValue start[] = {
          value_of(&at, "llvm.mlir.constant", 0, NULL, b->i1, 1, &no),
          value_of(&at, "llvm.mlir.zero", 0, NULL, b->ptr, 0, NULL),
          constant(&at, block_entries)};
      mlirBlockAppendOwnedOperation(block, last);
      redirect(last, i, outer, 3, start);
    }
  }
}

/* Ends `b->block`: at the end of a block of the table, or of the count, to
 * `step`; to the header otherwise. */
static void go_on(builder_t *b, const list_t *list, MlirBlock next,
                  MlirBlock step, MlirValue at_end, MlirValue cursor,
                  MlirValue left) {
  MlirValue values[operands_max + 4] = {at_end, cursor};
  intptr_t count = 2;
  for (intptr_t i = 0; i < list->arguments; i++) {
    values[count++] = mlirBlockGetArgument(next, i);
  }
  values[count++] = cursor;
  values[count++] = left;
  MlirBlock ways[] = {step, list->header};
  int32_t weights[] = {unlikely_weight, likely_weight};
  MlirNamedAttribute how[] = {
      sizes(b, "operandSegmentSizes", 1, 1, (int32_t)list->arguments + 2),
      named(b, "branch_weights", mlirDenseI32ArrayGet(b->ctx, 2, weights))};
  append(b, "llvm.cond_br", count, values, (MlirType){NULL}, 2, how, 2, ways);
}

/* The call, and back to the beginning with what it says. */
static void fill_step(builder_t *b, const list_t *list, MlirBlock next,
                      MlirBlock outer) {
  MlirValue values[operands_max + 4];
  intptr_t count = 0;
  MlirValue arguments[] = {mlirBlockGetArgument(next, list->argument),
                           mlirBlockGetArgument(b->block, 0),
                           constant(b, list->distance),
                           constant(b, list->nodes_min)};
  MlirNamedAttribute callee =
      named(b, "callee",
            mlirFlatSymbolRefAttrGet(b->ctx, cira__str("cira_jump_step")));
  MlirValue went = value_of(b, "llvm.call", 4, arguments, b->i64, 1, &callee);
  for (intptr_t i = 0; i < list->arguments; i++) {
    values[count++] = mlirBlockGetArgument(next, i);
  }
  values[count++] = compare(b, unsigned_gt, went, UINT32_MAX);
  values[count++] = value_of(b, "llvm.inttoptr", 1, &went, b->ptr, 0, NULL);
  values[count++] = went;
  append(b, "llvm.br", count, values, (MlirType){NULL}, 0, NULL, 1, &outer);
}

static void fill_outer(builder_t *b, const list_t *list) {
  MlirValue values[operands_max + 2];
  intptr_t count = 0;
  for (intptr_t i = 0; i < list->arguments; i++) {
    values[count++] = mlirBlockGetArgument(b->block, i);
  }
  values[count++] = mlirBlockGetArgument(b->block, list->arguments + 1);
  values[count++] = mlirBlockGetArgument(b->block, list->arguments + 2);
  append(b, "llvm.br", count, values, (MlirType){NULL}, 0, NULL, 1,
         &list->header);
}

/* A short list should not pay for long ones: its first nodes are walked by a
 * copy of the loop. Null: the loop is not so small that one more operation
 * matters, or cannot be copied. */
static cira_twin_t *copy_small(const cira_llvm_loops_t *loops,
                               const list_t *list, int64_t *out_unroll) {
  int64_t ops = cira_llvm_loop_ops_percent(loops, list->loop) / 100;
  for (int64_t i = 0; i < loops->count; i++) {
    if (loops->items[i].parent == list->loop) {
      return NULL;
    }
  }
  *out_unroll = 4 * ops <= unroll_ops ? 4 : 2 * ops <= unroll_ops ? 2 : 1;
  return ops <= small_ops ? cira_twin_make(loops, list->loop, false) : NULL;
}

/* From the copy into the loop: the first node there is the one that asks. */
static void fill_over(builder_t *b, const list_t *list, MlirBlock outer) {
  MlirValue values[operands_max + 3];
  intptr_t count = 0;
  for (; count < list->arguments; count++) {
    values[count] = mlirBlockGetArgument(b->block, count);
  }
  MlirNamedAttribute no = named(b, "value", mlirIntegerAttrGet(b->i1, 0));
  values[count++] = value_of(b, "llvm.mlir.constant", 0, NULL, b->i1, 1, &no);
  values[count++] = value_of(b, "llvm.mlir.zero", 0, NULL, b->ptr, 0, NULL);
  values[count++] = constant(b, 1);
  append(b, "llvm.br", count, values, (MlirType){NULL}, 0, NULL, 1, &outer);
}

static void insert(const cira_llvm_loops_t *loops, const list_t *list) {
  MlirContext ctx = mlirOperationGetContext(loops->function);
  builder_t b = {.ctx = ctx,
                 .loc = mlirLocationUnknownGet(ctx),
                 .i64 = mlirIntegerTypeGet(ctx, 64),
                 .i32 = mlirIntegerTypeGet(ctx, 32),
                 .i1 = mlirIntegerTypeGet(ctx, 1)};
  b.ptr = mlirValueGetType(mlirBlockGetArgument(list->header, list->argument));
  MlirType state[] = {b.i1, b.ptr, b.i64};
  int64_t unroll = 1;
  cira_twin_t *twin = copy_small(loops, list, &unroll);
  MlirBlock over =
      twin ? cira_twin_first(twin, block_entries, unroll) : (MlirBlock){NULL};
  MlirBlock outer = new_block(&b, list, true, 3, state);
  MlirBlock next = new_block(&b, list, true, 0, NULL);
  MlirBlock fast = new_block(&b, list, false, 0, NULL);
  MlirBlock counting = new_block(&b, list, false, 0, NULL);
  MlirBlock step = new_block(&b, list, false, 1, &b.ptr);
  redirect(list->latch, list->way, next, 0, NULL);
  if (twin) {
    b.block = over;
    fill_over(&b, list, outer);
  } else {
    enter_by(loops, list, &b, outer);
  }
  MlirValue cursor = mlirBlockAddArgument(list->header, b.ptr, b.loc);
  MlirValue left = mlirBlockAddArgument(list->header, b.i64, b.loc);
  b.block = outer;
  fill_outer(&b, list);
  b.block = next;
  MlirValue mode = mlirBlockGetArgument(outer, list->arguments);
  MlirBlock modes[] = {fast, counting};
  MlirNamedAttribute none = sizes(&b, "operandSegmentSizes", 1, 0, 0);
  append(&b, "llvm.cond_br", 1, &mode, (MlirType){NULL}, 1, &none, 2, modes);
  b.block = fast;
  MlirValue ahead = value_of(&b, "llvm.load", 1, &cursor, b.ptr, 0, NULL);
  add_prefetches(&b, list, ahead);
  MlirValue after = offset(&b, cursor, 8);
  go_on(&b, list, next, step, is_at_end(&b, after), after, left);
  b.block = counting;
  MlirValue minus[] = {left, constant(&b, -1)};
  MlirValue fewer = value_of(&b, "llvm.add", 2, minus, b.i64, 0, NULL);
  go_on(&b, list, next, step, compare(&b, equal, fewer, 0), cursor, fewer);
  b.block = step;
  fill_step(&b, list, next, outer);
}

/* ---- the pass -------------------------------------------------------------
 */

/* Declares what the loops call; the plug-in knows the name. */
static void declare(MlirOperation function) {
  static const char text[] =
      "llvm.func @cira_jump_step(!llvm.ptr, !llvm.ptr, i64, i64) -> i64";
  MlirOperation module = mlirOperationGetParentOperation(function);
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0));
  MlirOperation op = mlirBlockGetFirstOperation(body);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    MlirAttribute name =
        mlirOperationGetAttributeByName(op, cira__str("sym_name"));
    if (!mlirAttributeIsNull(name) &&
        mlirStringRefEqual(mlirStringAttrGetValue(name),
                           cira__str("cira_jump_step"))) {
      return;
    }
  }
  mlirBlockInsertOwnedOperation(
      body, 0,
      mlirOperationCreateParse(mlirOperationGetContext(function),
                               cira__str(text), cira__str(pass_name)));
}

static void mark_changed(MlirOperation function) {
  MlirContext ctx = mlirOperationGetContext(function);
  MlirAttribute facts = cira__attr_get(function, "cira.facts");
  MlirNamedAttribute entries[8];
  intptr_t count = 0;
  for (intptr_t i = 0; i < mlirDictionaryAttrGetNumElements(facts) && i < 7;
       i++) {
    entries[count++] = mlirDictionaryAttrGetElement(facts, i);
  }
  entries[count++] = (MlirNamedAttribute){
      mlirIdentifierGet(ctx, cira__str("changed")), mlirUnitAttrGet(ctx)};
  cira__attr_set(function, "cira.facts",
                 mlirDictionaryAttrGet(ctx, count, entries));
}

static void run_on(const cira_llvm_loops_t *loops) {
  CiraMachine machine = cira_cost_machine(loops->function);
  bool changed = false;
  for (int64_t i = 0; i < loops->count; i++) {
    list_t list;
    if (!find_list(loops, i, &list)) {
      continue;
    }
    add_offsets(&list, loops, machine.line_bytes);
    if (!can_redirect(loops, &list)) {
      cira__remark(list.next, pass_name,
                   "missed: something else than branches leads to the loop's "
                   "beginning");
    } else if (is_one_of_many(loops, &list)) {
      cira__remark(list.next, pass_name,
                   "missed: its head is an element of an array: one of many "
                   "lists, each too short for a table");
    } else if (decide(loops, &machine, &list)) {
      insert(loops, &list);
      changed = true;
    }
  }
  if (changed) {
    declare(loops->function);
    mark_changed(loops->function);
  }
}

static MlirWalkResult visit_function(MlirOperation op, void *user) {
  bool *good = user;
  cira_llvm_loops_t loops;
  if (!ciraOperationHasName(op, "llvm.func")) {
    return MlirWalkResultAdvance;
  }
  if (!cira_llvm_loops_get(op, &loops)) {
    *good = false;
    return MlirWalkResultInterrupt;
  }
  run_on(&loops);
  cira_llvm_loops_fini(&loops);
  return MlirWalkResultSkip;
}

bool cira__run_CiraLlvmJump(MlirOperation op) {
  bool good = true;
  mlirOperationWalk(op, visit_function, &good, MlirWalkPreOrder);
  return good;
}
