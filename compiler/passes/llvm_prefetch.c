/* SPDX-License-Identifier: Apache-2.0
 * cira-llvm-prefetch: in loops of llvm.func, asks for the lines of indirect
 * accesses (a[b[i]], a[f(b[i])]) some iterations before they are used. Works on
 * what cira.facts says; leaves loops alone whose waiting the core hides itself.
 * Reading order: candidates, the cost of a loop, insertion, the pass.
 * The formulas are explained in docs/how-loops-are-changed.md. */
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "analysis/llvm_loop.h"
#include "analysis/llvm_slice.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Diagnostics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char pass_name[] = "cira-llvm-prefetch";

enum {
  candidates_max = 256,
  distance_max = 4096,
  /* Operations that a core begins in the time of one: every core of the last
   * ten years begins four or more. */
  issue_width = 4,
  /* Operations that a prefetch adds: address, bound, load, address, prefetch
   * and a branch. */
  prefetch_ops = 6,
  /* Stores leave a core in order, and so wait for each other: about as many
   * lines are under way at a time. Measured 14-20 on two families of cores. */
  store_overlap = 16,
  /* A gain smaller than this is not worth the risk, percent. */
  gain_min_percent = 10,
  /* Values of one iteration ahead. */
  map_max = 4 * cira_slice_ops_max,
  /* A loop that touches less than this part of the last-level cache may find
   * there what it touched when it ran before. */
  cache_part = 4,
  /* llvm.icmp's numbers. */
  unsigned_le = 7,
  unsigned_ge = 9,
  /* What runs less often than in every fourth iteration is left alone. */
  percent_min = 25
};

/* ---- candidates -----------------------------------------------------------
 */

/* One object that an iteration touches, by one or more accesses. */
typedef struct candidate {
  MlirOperation access; /* the first one */
  MlirValue address;
  int64_t loop;
  bool written;
  bool branchy; /* a branch depends on what is loaded */
  cira_slice_t slice;
  MlirOperation bound;  /* the call that gives the last address of the anchor */
  MlirOperation anchor; /* in front of which the prefetch goes */
  int stagger;          /* prefetches that need this one's line */
  int64_t distance;     /* 0: left alone */
  int64_t trips_min;    /* in shorter loops it does nothing */
  bool done;
} candidate_t;

typedef struct work {
  cira_llvm_loops_t loops;
  candidate_t *items;
  int count;
  CiraMachine machine;
} work_t;

static void missed(MlirOperation op, const char *why) {
  cira__remark(op, pass_name, "missed: %s", why);
}

static bool is_access(MlirOperation op, MlirValue *out_address) {
  bool store = ciraOperationHasName(op, "llvm.store");
  if (!store && !ciraOperationHasName(op, "llvm.load")) {
    return false;
  }
  *out_address = mlirOperationGetOperand(op, store ? 1 : 0);
  return true;
}

/* Does `a` come before `b` in the function, by blocks and ops? Loads that
 * every iteration does stand in this order also as they are executed. */
static bool comes_before(const work_t *w, MlirOperation a, MlirOperation b) {
  MlirBlock x = mlirOperationGetBlock(a), y = mlirOperationGetBlock(b);
  if (mlirBlockEqual(x, y)) {
    return ciraOperationPrecedes(a, b);
  }
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(w->loops.function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    if (mlirBlockEqual(block, x) || mlirBlockEqual(block, y)) {
      return mlirBlockEqual(block, x);
    }
  }
  return false;
}

/* Where the prefetch goes, and what bounds the look ahead. */
static bool place(const work_t *w, candidate_t *c) {
  const cira_slice_t *s = &c->slice;
  c->anchor = mlirBlockGetFirstOperation(w->loops.items[c->loop].header);
  for (int i = 0; i < s->index_count; i++) {
    MlirOperation load = s->index_loads[i];
    if (i == 0 || comes_before(w, c->anchor, load)) {
      c->anchor = load;
    }
  }
  if (s->index_count == 0) {
    return s->load_count == 0;
  }
  c->bound = cira_llvm_find_last(&w->loops, c->anchor);
  return !mlirOperationIsNull(c->bound);
}

/* Why an access that is indirect cannot be asked for ahead; NULL: it can. */
static const char *why_not(const work_t *w, candidate_t *c, MlirOperation op) {
  static _Thread_local char text[160]; /* until the next call */
  const cira_llvm_loop_t *loop = &w->loops.items[c->loop];
  int64_t extent;
  if (mlirBlockIsNull(loop->header)) {
    return "the loop has no single beginning";
  }
  if (!cira_slice_get(&w->loops, c->loop, c->address, &c->slice)) {
    if (c->slice.why) {
      return c->slice.why;
    }
    snprintf(text, sizeof text, "%.*s", (int)loop->unbounded.length,
             loop->unbounded.data);
    return text;
  }
  if (c->slice.index_count == 0 && c->slice.counter_count == 0) {
    return "the address does not change in a known way";
  }
  if (loop->varies && !loop->trips) {
    return "the loop is a row of the loop around it, and too short to look "
           "ahead in";
  }
  if (!place(w, c)) {
    return "where the loop ends cannot be computed ahead";
  }
  if (c->slice.inner_count == 0 && cira__loop_of(op) != c->loop) {
    return "the address belongs to the loop inside";
  }
  if (cira_llvm_block_percent(mlirOperationGetBlock(op)) < percent_min) {
    return "it is done in few iterations only";
  }
  if (cira__fact_number(op, "extent_bytes", &extent) &&
      extent <= w->machine.llc_bytes) {
    snprintf(text, sizeof text,
             "it touches at most %ld bytes, which stay in the cache",
             (long)extent);
    return text;
  }
  return NULL;
}

/* Is there a candidate for the object already? Adds the access to it. */
static bool merge(work_t *w, const candidate_t *c) {
  for (int i = 0; i < w->count; i++) {
    candidate_t *other = &w->items[i];
    if (other->loop == c->loop &&
        cira_slice_same_object(other->address, c->address)) {
      other->written |= c->written;
      other->branchy |= c->branchy;
      return true;
    }
  }
  return false;
}

/* Adds an access as a candidate of loop `number`; false: `*why`. */
static bool add_candidate(work_t *w, MlirOperation op, int64_t number,
                          const char **why) {
  candidate_t c = {.access = op, .loop = number};
  is_access(op, &c.address);
  c.written = mlirOperationGetNumResults(op) == 0;
  c.branchy =
      !c.written &&
      cira_slice_feeds_branch(&w->loops, number, mlirOperationGetResult(op, 0));
  if (merge(w, &c)) {
    return true;
  }
  *why = why_not(w, &c, op);
  if (!*why && w->count < candidates_max) {
    w->items[w->count++] = c;
  }
  return !*why;
}

/* An access whose address follows from what the loop reads. In a loop inside
 * another, it may be the head of a chain that the outer one finds. */
static void consider(work_t *w, MlirOperation op) {
  MlirValue address;
  int64_t stride;
  int64_t number = cira__loop_of(op);
  const char *why, *unused;
  if (number < 0 || w->loops.items[number].interleaved ||
      !is_access(op, &address) ||
      mlirAttributeIsNull(cira__attr_get(op, "cira.facts")) ||
      cira__fact_has(op, "ahead") || cira__fact_has(op, "same") ||
      cira__fact_number(op, "stride_bytes", &stride)) {
    return; /* asked for, the same each time, or walked by the hardware */
  }
  int64_t parent = w->loops.items[number].parent;
  if (!add_candidate(w, op, number, &why) &&
      (parent < 0 || w->loops.items[parent].interleaved ||
       !add_candidate(w, op, parent, &unused))) {
    missed(op, why);
  }
}

/* ---- the cost of a loop ---------------------------------------------------
 * Picoseconds per iteration. A line costs latency / lines in flight where
 * enough of them are under way, and more where the core's own looking ahead
 * is broken. */

typedef struct cost {
  int64_t lines; /* lines asked for per iteration */
  int64_t compute_ps;
  int64_t plain_ps, ahead_ps;
  int64_t distance;
  int64_t trips_min;
} cost_t;

static int64_t own_overlap(const work_t *w, const candidate_t *c) {
  int64_t lines = w->machine.lines_in_flight;
  if (c->branchy) {
    lines = cira_cost_max(1, lines / 2); /* half of it is done in vain */
  }
  return c->written ? cira_cost_min(lines, store_overlap) : lines;
}

/* Whether the core hides what `c` waits for as well as anything can. */
static bool is_hidden(const work_t *w, const candidate_t *c) {
  return own_overlap(w, c) >= w->machine.lines_in_flight;
}

static cost_t cost_of(const work_t *w, int64_t loop) {
  const CiraMachine *m = &w->machine;
  int64_t latency_ps = m->tier_latency_ns[CiraTierLocal] * 1000;
  int64_t op_ps = cira_cost_max(1, m->op_ns * 1000 / issue_width);
  int64_t ops = cira_llvm_loop_ops_percent(&w->loops, loop) / 100;
  cost_t cost = {.compute_ps = op_ps * cira_cost_min(ops, 1000000)};
  int64_t waiting_ps = 0;
  for (int i = 0; i < w->count; i++) {
    if (w->items[i].loop == loop) {
      cost.lines++;
      waiting_ps += latency_ps / own_overlap(w, &w->items[i]);
    }
  }
  int64_t floor_ps = cost.lines * latency_ps / m->lines_in_flight;
  cost.plain_ps = cira_cost_max(cost.compute_ps, waiting_ps);
  cost.ahead_ps =
      cira_cost_max(cost.compute_ps + cost.lines * prefetch_ops * op_ps,
                    cira_cost_max(floor_ps, 1));
  /* Twice: with many lines under way, each takes about twice as long as one
   * that is alone. */
  cost.distance = cira_cost_min(
      distance_max, cira_cost_ceil(2 * latency_ps,
                                   cira_cost_max(cost.compute_ps,
                                                 cira_cost_max(floor_ps, 1))));
  cost.trips_min =
      m->llc_bytes / cache_part / m->line_bytes / cira_cost_max(1, cost.lines);
  return cost;
}

/* The accesses that another one's address is read through come a distance
 * earlier. */
static void stagger(work_t *w) {
  for (int round = 0; round < cira_slice_loads_max; round++) {
    for (int i = 0; i < w->count; i++) {
      const candidate_t *user = &w->items[i];
      for (int k = 0; k < user->slice.load_count; k++) {
        for (int j = 0; j < w->count; j++) {
          MlirValue from = mlirOperationGetOperand(user->slice.loads[k], 0);
          if (cira_slice_same_object(w->items[j].address, from) &&
              w->items[j].stagger <= user->stagger) {
            w->items[j].stagger = user->stagger + 1;
          }
        }
      }
    }
  }
}

/* Does any access wait for what only this one can bring? */
static bool is_needed(const work_t *w, const candidate_t *c) {
  return !is_hidden(w, c) || c->stagger > 0;
}

static void decide(work_t *w, int64_t loop) {
  cost_t cost = cost_of(w, loop);
  int64_t trips = w->loops.items[loop].trips;
  bool gains = cost.plain_ps * 100 >= cost.ahead_ps * (100 + gain_min_percent);
  for (int i = 0; i < w->count; i++) {
    candidate_t *c = &w->items[i];
    int64_t distance = cost.distance * (c->stagger + 1);
    if (c->loop != loop) {
      continue;
    }
    const char *kind = c->branchy   ? "a branch depends on it"
                       : c->written ? "it is written"
                                    : "another address is read through it";
    if (!is_needed(w, c)) {
      missed(c->access, "the core itself keeps as many of these lines under "
                        "way as it can");
    } else if (!gains) {
      cira__remark(c->access, pass_name,
                   "missed: no gain: %.1f ns per iteration as it is, %.1f ns "
                   "with a prefetch",
                   (double)cost.plain_ps / 1e3, (double)cost.ahead_ps / 1e3);
    } else if (trips && trips < cira_cost_max(2 * distance, cost.trips_min)) {
      cira__remark(c->access, pass_name,
                   "missed: the loop runs %ld times, too short to gain by a "
                   "distance of %ld and %ld cached lines",
                   (long)trips, (long)distance,
                   (long)(w->machine.llc_bytes / w->machine.line_bytes));
    } else if (!trips && mlirOperationIsNull(c->bound)) {
      missed(c->access, "nobody knows whether the loop runs long enough");
    } else {
      c->distance = distance;
      c->trips_min = cira_cost_max(2 * distance, cost.trips_min);
      cira__remark(c->access, pass_name,
                   "prefetched %ld iterations ahead (%s): %.1f ns per "
                   "iteration as it is, %.1f ns with it; latency %ld ns, %ld "
                   "lines in flight, %.1f ns of computing",
                   (long)distance, kind, (double)cost.plain_ps / 1e3,
                   (double)cost.ahead_ps / 1e3,
                   (long)w->machine.tier_latency_ns[CiraTierLocal],
                   (long)w->machine.lines_in_flight,
                   (double)cost.compute_ps / 1e3);
    }
  }
}

/* ---- insertion ------------------------------------------------------------
 * in front of the anchor:
 *   if (the loop is long)
 *     if (anchor's address + distance <= last one)
 *       prefetch(address of the iteration ahead)
 * New ops have no location: the plug-in knows by it that they are new. */

typedef struct builder {
  const work_t *work;
  MlirContext ctx;
  MlirLocation loc;
  MlirBlock block; /* ops go to its end */
  MlirValue from[map_max];
  MlirValue to[map_max];
  int map_count;
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

/* A counter of the loop, in the iteration ahead. */
static void add_counter(builder_t *b, const candidate_t *c, MlirValue counter) {
  int64_t step = cira_llvm_loop_step(&b->work->loops, c->loop,
                                     mlirBlockArgumentGetArgNumber(counter));
  MlirType type = mlirValueGetType(counter);
  if (ciraTypeIsALLVMPointer(type)) {
    set_ahead(b, counter, offset(b, counter, step * c->distance));
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
  MlirBlock header = b->work->loops.items[c->loop].header;
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

/* In front of the loop: does it run long enough? */
static MlirValue build_enough(builder_t *b, const candidate_t *c) {
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
      .operands = {mlirOperationGetOperand(c->bound, 2),
                   build_near(c->bound, least)},
      .result_count = 1,
      .results = {mlirIntegerTypeGet(b->ctx, 1)},
      .attr_count = 1,
      .attrs = {named(b, "predicate", mlirIntegerAttrGet(i64, unsigned_ge))}};
  return build_near(c->bound, compare);
}

/* Ends the block by a branch to a new one, which is returned, or to `rest`. */
static MlirBlock add_branch(builder_t *b, MlirValue condition, MlirBlock rest) {
  MlirBlock inside = mlirBlockCreate(0, NULL, NULL);
  mlirRegionInsertOwnedBlockBefore(mlirBlockGetParentRegion(rest), rest,
                                   inside);
  MlirBlock ways[] = {inside, rest};
  int32_t sizes[] = {1, 0, 0};
  MlirNamedAttribute segments =
      named(b, "operandSegmentSizes", mlirDenseI32ArrayGet(b->ctx, 3, sizes));
  append(b, "llvm.cond_br", 1, &condition, (MlirType){NULL}, 1, &segments, 2,
         ways);
  b->block = inside;
  return inside;
}

/* Goes on only if the loop is long and the iteration ahead exists. The first is
 * the same in all iterations: LLVM makes two loops of it, so that short ones
 * pay nothing. */
static void add_test(builder_t *b, const candidate_t *c, MlirBlock rest) {
  add_branch(b, build_enough(b, c), rest);
  MlirValue pointer = mlirOperationGetOperand(c->anchor, 0);
  int64_t stride = stride_of(c->anchor);
  set_ahead(b, pointer, offset(b, pointer, stride * c->distance));
  MlirValue both[] = {ahead(b, pointer), mlirOperationGetOperand(c->bound, 1)};
  MlirNamedAttribute how =
      named(b, "predicate",
            mlirIntegerAttrGet(mlirIntegerTypeGet(b->ctx, 64),
                               stride > 0 ? unsigned_le : unsigned_ge));
  MlirValue good = mlirOperationGetResult(append(b, "llvm.icmp", 2, both,
                                                 mlirIntegerTypeGet(b->ctx, 1),
                                                 1, &how, 0, NULL),
                                          0);
  add_branch(b, good, rest);
}

static void add_prefetch(builder_t *b, const candidate_t *c) {
  MlirType i32 = mlirIntegerTypeGet(b->ctx, 32);
  MlirValue address = ahead(b, entered(c, c->address));
  MlirNamedAttribute attrs[] = {
      named(b, "rw", mlirIntegerAttrGet(i32, c->written)),
      named(b, "hint", mlirIntegerAttrGet(i32, 3)),
      named(b, "cache", mlirIntegerAttrGet(i32, 1))};
  append(b, "llvm.intr.prefetch", 1, &address, (MlirType){NULL}, 3, attrs, 0,
         NULL);
}

static bool is_mapped(const builder_t *b, MlirValue value) {
  return !mlirValueEqual(ahead(b, value), value);
}

static void add_slice(builder_t *b, const candidate_t *c) {
  const cira_slice_t *s = &c->slice;
  for (int i = 0; i < s->index_count; i++) {
    MlirOperation load = s->index_loads[i];
    MlirValue pointer = mlirOperationGetOperand(load, 0);
    if (is_mapped(b, mlirOperationGetResult(load, 0))) {
      continue;
    }
    if (!is_mapped(b, pointer)) {
      set_ahead(b, pointer, offset(b, pointer, stride_of(load) * c->distance));
    }
    add_copy(b, c, load);
  }
  for (int i = 0; i < s->op_count; i++) {
    if (!is_mapped(b, mlirOperationGetResult(s->ops[i], 0))) {
      add_copy(b, c, s->ops[i]);
    }
  }
}

/* Can `c` share the test of `first`, if it needs one? A test for a longer
 * distance holds for a shorter one too. */
static bool joins(const candidate_t *first, const candidate_t *c) {
  return mlirOperationEqual(first->anchor, c->anchor) &&
         first->distance >= c->distance && first->loop == c->loop &&
         (first->slice.index_count || !c->slice.index_count);
}

static bool has_room(const builder_t *b, const candidate_t *c) {
  return b->map_count + c->slice.op_count + 3 * c->slice.index_count +
             2 * c->slice.counter_count <
         map_max;
}

/* Prefetches of the `at`-th candidate, and of those that go with it: those of
 * one distance share what is computed. */
static void insert(work_t *w, int at) {
  const candidate_t *first = &w->items[at];
  builder_t b = {.work = w,
                 .ctx = mlirOperationGetContext(first->anchor),
                 .block = mlirOperationGetBlock(first->anchor)};
  b.loc = mlirLocationUnknownGet(b.ctx);
  MlirBlock rest = split_before(first->anchor);
  if (first->slice.index_count) {
    add_test(&b, first, rest);
  }
  int64_t distance = first->distance;
  for (int64_t next; distance; distance = next) {
    next = 0;
    for (int i = 0; i < w->count; i++) {
      candidate_t *c = &w->items[i];
      if (!c->distance || c->done || !joins(first, c)) {
        continue;
      }
      if (c->distance == distance && has_room(&b, c)) {
        add_slice(&b, c);
        add_prefetch(&b, c);
        c->done = true;
      } else if (c->distance < distance) {
        next = cira_cost_max(next, c->distance);
      }
    }
    b.map_count = 0;
  }
  append(&b, "llvm.br", 0, NULL, (MlirType){NULL}, 0, NULL, 1, &rest);
}

/* The candidate that looks farthest ahead of those not done; -1: none. */
static int farthest(const work_t *w) {
  int found = -1;
  for (int i = 0; i < w->count; i++) {
    const candidate_t *c = &w->items[i];
    if (c->distance && !c->done &&
        (found < 0 || c->distance > w->items[found].distance)) {
      found = i;
    }
  }
  return found;
}

/* ---- the pass -------------------------------------------------------------
 */

static void run_on(work_t *w) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(w->loops.function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      consider(w, op);
    }
  }
  stagger(w);
  for (int64_t i = 0; i < w->loops.count; i++) {
    decide(w, i);
  }
  int next = farthest(w);
  bool changed = next >= 0;
  for (; next >= 0; next = farthest(w)) {
    insert(w, next);
    w->items[next].done = true;
  }
  if (changed) {
    cira__fact_add(w->loops.function, "changed");
  }
}

static MlirWalkResult visit_function(MlirOperation op, void *user) {
  bool *good = user;
  if (!ciraOperationHasName(op, "llvm.func")) {
    return MlirWalkResultAdvance;
  }
  work_t w = {.machine = cira_cost_machine(op)};
  if (!cira_llvm_loops_get(op, &w.loops)) {
    *good = false;
    return MlirWalkResultInterrupt;
  }
  w.items = w.loops.count ? calloc(candidates_max, sizeof *w.items) : NULL;
  if (w.items) {
    run_on(&w);
  }
  free(w.items);
  cira_llvm_loops_fini(&w.loops);
  return MlirWalkResultSkip;
}

bool cira__run_CiraLlvmPrefetch(MlirOperation op) {
  bool good = true;
  mlirOperationWalk(op, visit_function, &good, MlirWalkPreOrder);
  return good;
}
