/* SPDX-License-Identifier: Apache-2.0
 * cira-create-streams: gives a loop whose pattern is known a stream. Reads the
 * annotations of cira-recognize and cira-prefetch-distance.
 *
 *   before the loop   stream_create_*, prefetch_* by the page distance
 *   in the loop       advance_stream at the end; where the stream carries the
 *                     data (form "peek"), the load becomes peek and await
 *   after the loop    stream_release
 *
 * For a frontier "the loop" is the one over the vertices, around the one that
 * runs over a row.
 *
 * Data comes out of the stream only if nothing in the loop may write memory:
 * a stream may have read ahead. Otherwise, and for strided loops, whose loads
 * cost nothing once the pages are there, the stream is a hint and the loads
 * stay. Reading order: stream_loop, then the four stream_* it calls. */
#include "analysis/access.h"
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "analysis/layout.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

#include <stdlib.h>

static const char pass_name[] = "cira-create-streams";

typedef struct site {
  cira_loop_t loop;
  cira_access_t access; /* the one that gives the loop its pattern */
  cira_access_class_t class;
  MlirAttribute distance;
  MlirContext ctx;
  MlirLocation loc;
} site_t;

/* ---- Small builders --------------------------------------------------------
 */

static MlirOperation terminator(const site_t *s) {
  return mlirBlockGetTerminator(s->loop.body);
}

/* An op without results on the stream: advance, release, prefetch. */
static void build_on_stream(const site_t *s, const char *name, MlirValue stream,
                            MlirValue number, MlirOperation before) {
  cira_op_spec_t spec = {.name = name,
                         .loc = s->loc,
                         .operand_count = mlirValueIsNull(number) ? 1 : 2,
                         .operands = {stream, number}};
  cira__build(&spec, before);
}

/* Prefetch before the loop, advance in it, release after it. */
static void drive(const site_t *s, MlirValue stream, const char *prefetch) {
  MlirValue none = {NULL};
  MlirValue ahead =
      cira__build_index(s->loop.op, ciraDistanceAttrGetPages(s->distance));
  build_on_stream(s, prefetch, stream, ahead, s->loop.op);
  build_on_stream(s, "cira.advance_stream", stream, none, terminator(s));
  build_on_stream(s, "cira.stream_release", stream, none,
                  mlirOperationGetNextInBlock(s->loop.op));
}

/* Peeks the current element and waits for it, in front of `before`. */
static MlirValue build_peek(const site_t *s, MlirValue stream, MlirType element,
                            MlirOperation before) {
  cira_op_spec_t peek = {.name = "cira.peek_stream",
                         .loc = s->loc,
                         .operand_count = 1,
                         .operands = {stream},
                         .result_count = 1,
                         .results = {ciraFutureTypeGet(element)}};
  MlirOperation future = cira__build(&peek, before);
  cira_op_spec_t await = {.name = "cira.await",
                          .loc = s->loc,
                          .operand_count = 1,
                          .operands = {mlirOperationGetResult(future, 0)},
                          .result_count = 1,
                          .results = {element}};
  return mlirOperationGetResult(cira__build(&await, before), 0);
}

/* Replaces a load of an element, or of a part of it, by the peeked value. */
static void replace_load(const cira_access_t *load, MlirValue element) {
  MlirValue old = mlirOperationGetResult(load->op, 0);
  MlirValue value = element;
  if (load->has_constant_index) {
    MlirContext ctx = mlirOperationGetContext(load->op);
    cira_op_spec_t spec = {
        .name = "cira.extract",
        .loc = mlirOperationGetLocation(load->op),
        .operand_count = 1,
        .operands = {element},
        .result_count = 1,
        .results = {mlirValueGetType(old)},
        .attr_count = 1,
        .attrs = {mlirNamedAttributeGet(
            mlirIdentifierGet(ctx, cira__str("static_index")),
            mlirOperationGetAttributeByName(load->op,
                                            cira__str("static_index")))}};
    value = mlirOperationGetResult(cira__build(&spec, load->op), 0);
  }
  mlirValueReplaceAllUsesOfWith(old, value);
  mlirOperationDestroy(load->op);
}

/* The value of an index in the first iteration: its arithmetic once more, in
 * front of the loop. The analysis has seen that it is arithmetic. */
static MlirValue at_first(const site_t *s, MlirValue value) {
  if (!cira_loop_contains(&s->loop, value)) {
    return value;
  }
  if (s->loop.kind != CIRA_LOOP_WHILE &&
      mlirValueEqual(value, s->loop.counter)) {
    return s->loop.lower;
  }
  intptr_t carried = cira_loop_carried(&s->loop, value);
  if (carried >= 0) {
    return cira_loop_first(&s->loop, carried);
  }
  MlirOperation copy = mlirOperationClone(cira__def(value));
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(copy); i++) {
    mlirOperationSetOperand(copy, i,
                            at_first(s, mlirOperationGetOperand(copy, i)));
  }
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(s->loop.op),
                                      s->loop.op, copy);
  return mlirOperationGetResult(copy, mlirOpResultGetResultNumber(value));
}

/* max(0, (upper - lower) / step, rounded up): how often the loop runs. */
static MlirValue build_count(const site_t *s) {
  MlirOperation at = s->loop.op;
  MlirValue span =
      cira__build_binary(at, "arith.subi", s->loop.upper, s->loop.lower);
  MlirValue trips =
      cira__build_binary(at, "arith.ceildivsi", span, s->loop.step);
  return cira__build_binary(at, "arith.maxsi", trips, cira__build_index(at, 0));
}

/* ---- Conditions ------------------------------------------------------------
 */

static void missed(const site_t *s, const char *why) {
  cira__remark(s->loop.op, pass_name, "missed: %s", why);
}

/* May the stream carry the data? Only if nothing in the loop writes. */
static bool may_peek(const site_t *s) {
  return s->loop.kind != CIRA_LOOP_PARALLEL &&
         (ciraOperationGetEffects(s->loop.op) & CIRA_EFFECT_WRITE) == 0;
}

static bool has_stream(const site_t *s) {
  MlirOperation op = mlirBlockGetFirstOperation(s->loop.body);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    if (ciraOperationHasName(op, "cira.advance_stream")) {
      return true;
    }
  }
  return false;
}

/* Is `array` a handle, or a memref of rank 1, made outside of the loop? */
static bool is_plain_array(const site_t *s, MlirValue array) {
  MlirType type = mlirValueGetType(array);
  return !cira_loop_contains(&s->loop, array) &&
         (ciraTypeIsAHandle(type) ||
          (mlirTypeIsAMemRef(type) && mlirShapedTypeGetRank(type) == 1));
}

static MlirType element_of(MlirValue array) {
  MlirType type = mlirValueGetType(array);
  return ciraTypeIsAHandle(type) ? ciraHandleTypeGetElementType(type)
                                 : mlirShapedTypeGetElementType(type);
}

/* bytes / size of an element, if it is a whole number. */
static bool in_elements(int64_t bytes, MlirType element, int64_t *out_count) {
  int64_t size, align;
  if (!cira_layout_size(element, &size, &align) || size == 0 ||
      bytes % size != 0) {
    return false;
  }
  *out_count = bytes / size;
  return *out_count != 0;
}

/* A load of array[index] with one variable index in a loop that counts. */
static bool is_array_load(const site_t *s, const cira_access_t *load) {
  return s->loop.kind != CIRA_LOOP_WHILE && is_plain_array(s, load->base) &&
         load->index_count == 1;
}

static void taken(const site_t *s, const char *kind, bool peek) {
  CiraMachine m = cira_cost_machine(s->loop.op);
  long latency = (long)ciraDistanceAttrGetLatencyNs(s->distance);
  cira__remark(s->loop.op, pass_name,
               "%s stream, %s, %ld elements ahead; gain at most %ld ns per "
               "iteration (%ld - %ld)",
               kind, peek ? "carries the data" : "a hint",
               (long)ciraDistanceAttrGetPages(s->distance),
               latency - (long)m.llc_latency_ns, latency,
               (long)m.llc_latency_ns);
}

/* ---- Strided ---------------------------------------------------------------
 */

static MlirValue build_strided(const site_t *s, const cira_access_t *load,
                               int64_t stride) {
  MlirOperation at = s->loop.op;
  MlirValue index = mlirOperationGetOperand(load->op, load->first_index);
  cira_op_spec_t spec = {.name = "cira.stream_create_strided",
                         .loc = s->loc,
                         .operand_count = 4,
                         .operands = {load->base, at_first(s, index),
                                      cira__build_index(at, stride),
                                      build_count(s)},
                         .result_count = 1,
                         .results = {ciraStreamTypeGet(s->ctx)}};
  return mlirOperationGetResult(cira__build(&spec, at), 0);
}

static void stream_strided(site_t *s) {
  int64_t stride;
  if (!is_array_load(s, &s->access) ||
      !in_elements(s->class.stride_bytes, element_of(s->access.base),
                   &stride)) {
    missed(s, "a strided stream needs an array of rank 1 from outside of the "
              "loop and a loop that counts");
    return;
  }
  taken(s, "strided", false);
  drive(s, build_strided(s, &s->access, stride), "cira.prefetch_stream");
}

/* ---- Indexed ---------------------------------------------------------------
 */

/* The value itself, without conversions that keep its sign: a stream takes
 * positions as signed. */
static MlirValue unconverted(MlirValue value) {
  MlirOperation op;
  while (cira__def_is(value, "arith.index_cast", &op) ||
         cira__def_is(value, "arith.extsi", &op)) {
    value = mlirOperationGetOperand(op, 0);
  }
  return value;
}

/* ptrs[i], then a load through the pointer. */
static void stream_pointers(site_t *s, const cira_access_t *source,
                            int64_t stride) {
  MlirType pointee =
      ciraHandleTypeGetElementType(mlirValueGetType(s->access.base));
  bool whole = !s->access.has_constant_index && s->access.index_count == 0;
  int64_t offset;
  MlirType part;
  bool field =
      s->access.has_constant_index &&
      cira_layout_field(pointee, s->access.constant_index, &offset, &part);
  bool peek = may_peek(s) && (whole || field) && !s->access.is_store &&
              ciraOperationHasName(s->access.op, "cira.load");
  taken(s, "indexed", peek);
  MlirValue stream = build_strided(s, source, stride);
  drive(s, stream, "cira.prefetch_stream");
  if (peek) {
    replace_load(&s->access, build_peek(s, stream, pointee, s->access.op));
  }
}

/* a[b[i]] */
static void stream_gather(site_t *s, const cira_access_t *source,
                          int64_t stride) {
  MlirOperation at = s->loop.op;
  MlirValue index = mlirOperationGetOperand(source->op, source->first_index);
  bool peek = may_peek(s) && !s->access.is_store &&
              !ciraOperationHasName(s->access.op, "cira.load_async");
  taken(s, "indexed", peek);
  cira_op_spec_t spec = {
      .name = "cira.stream_create_indexed",
      .loc = s->loc,
      .operand_count = 5,
      .operands = {s->access.base, source->base, at_first(s, index),
                   cira__build_index(at, stride), build_count(s)},
      .result_count = 1,
      .results = {ciraStreamTypeGet(s->ctx)}};
  MlirValue stream = mlirOperationGetResult(cira__build(&spec, at), 0);
  drive(s, stream, "cira.prefetch_stream");
  if (peek) {
    MlirType element = element_of(s->access.base);
    replace_load(&s->access, build_peek(s, stream, element, s->access.op));
  }
}

static void stream_indexed(site_t *s) {
  cira_access_t source;
  int64_t stride;
  if (mlirOperationIsNull(s->class.source) ||
      !cira_access_get(s->class.source, &source) ||
      !is_array_load(s, &source) ||
      ciraOperationHasName(source.op, "cira.load_async") ||
      !in_elements(s->class.stride_bytes, element_of(source.base), &stride)) {
    missed(s, "the indices are not read from an array of rank 1 from outside "
              "of the loop, by a loop that counts");
    return;
  }
  MlirValue key = mlirOperationGetResult(source.op, 0);
  if (mlirValueEqual(s->access.base, key)) {
    stream_pointers(s, &source, stride);
  } else if (is_array_load(s, &s->access) &&
             (mlirTypeIsAInteger(mlirValueGetType(key)) ||
              mlirTypeIsAIndex(mlirValueGetType(key))) &&
             mlirValueEqual(unconverted(mlirOperationGetOperand(
                                s->access.op, s->access.first_index)),
                            key)) {
    stream_gather(s, &source, stride);
  } else {
    missed(s, "arithmetic between the index array and the access; a stream "
              "cannot repeat it");
  }
}

/* ---- Linked ----------------------------------------------------------------
 */

/* All loads of the present node become parts of the peeked one. */
typedef struct node_loads {
  const site_t *site;
  cira_access_t loads[64];
  intptr_t count;
} node_loads_t;

static MlirWalkResult collect_node_load(MlirOperation op, void *user) {
  node_loads_t *all = user;
  cira_access_t load;
  if (all->count < 64 && ciraOperationHasName(op, "cira.load") &&
      cira_access_get(op, &load) && load.index_count == 0 &&
      mlirBlockEqual(mlirValueIsABlockArgument(load.base)
                         ? mlirBlockArgumentGetOwner(load.base)
                         : (MlirBlock){NULL},
                     all->site->loop.body) &&
      cira_loop_carried(&all->site->loop, load.base) ==
          all->site->class.carried) {
    all->loads[all->count++] = load;
  }
  return MlirWalkResultAdvance;
}

static void stream_linked(site_t *s) {
  MlirValue head = cira_loop_first(&s->loop, s->class.carried);
  MlirType node = element_of(head);
  int64_t size, align;
  bool direct =
      mlirBlockEqual(mlirOperationGetBlock(s->class.source), s->loop.body);
  if (!direct ||
      !mlirTypeEqual(mlirValueGetType(s->access.base),
                     mlirValueGetType(head)) ||
      !cira_layout_size(node, &size, &align)) {
    missed(s, "the link is not read in every iteration, or from another type "
              "than the head's");
    return;
  }
  CiraMachine m = cira_cost_machine(s->loop.op);
  bool peek = may_peek(s) && size <= m.page_bytes &&
              ciraOperationHasName(s->class.source, "cira.load");
  taken(s, "linked", peek);
  MlirOperation at = s->loop.op;
  cira_op_spec_t spec = {
      .name = "cira.stream_create_indirect",
      .loc = s->loc,
      .operand_count = 2,
      .operands = {head, cira__build_index(at, s->class.offset_bytes)},
      .result_count = 1,
      .results = {ciraStreamTypeGet(s->ctx)}};
  MlirValue stream = mlirOperationGetResult(cira__build(&spec, at), 0);
  drive(s, stream, "cira.prefetch_chain");
  if (peek) {
    node_loads_t all = {.site = s};
    mlirOperationWalk(s->loop.op, collect_node_load, &all, MlirWalkPreOrder);
    MlirValue value =
        build_peek(s, stream, node, mlirBlockGetFirstOperation(s->loop.body));
    for (intptr_t i = 0; i < all.count; i++) {
      replace_load(&all.loads[i], value);
    }
  }
}

/* ---- Frontier --------------------------------------------------------------
 */

/* The loop of a site runs over the row of a vertex; `outer` is the loop over
 * the list of vertices. */
typedef struct rows {
  site_t outer;
  cira_access_t list; /* reads the vertex */
  MlirValue graph;
} rows_t;

/* Is `value` read by a load as it stands, but for conversions? */
static bool is_loaded(MlirValue value, cira_access_t *out_load) {
  MlirOperation op = cira__def(unconverted(value));
  return !mlirOperationIsNull(op) && cira_access_get(op, out_load) &&
         !out_load->is_store && !ciraOperationHasName(op, "cira.load_async");
}

/* {i64, pointer, pointer, ...}: vertices, row offsets, neighbours. */
static bool is_graph(MlirType type) {
  static const int64_t places[] = {0, 8, 16};
  int64_t offset;
  MlirType part;
  for (int64_t i = 0; i < 3; i++) {
    if (!cira_layout_field(type, i, &offset, &part) || offset != places[i] ||
        (i == 0
             ? !mlirTypeIsAInteger(part) || mlirIntegerTypeGetWidth(part) != 64
             : !ciraTypeIsALLVMPointer(part) && !ciraTypeIsAHandle(part))) {
      return false;
    }
  }
  return true;
}

/* The handle of the graph whose pointer number `field` leads to the array;
 * null if the array comes from somewhere else. */
static MlirValue graph_behind(MlirValue array, int64_t field) {
  MlirOperation op;
  cira_access_t load;
  while (cira__def_is(array, "cira.handle_view", &op) ||
         cira__def_is(array, "cira.handle_cast", &op) ||
         cira__def_is(array, "memref.cast", &op)) {
    array = mlirOperationGetOperand(op, 0);
  }
  bool found = cira__def_is(array, "cira.load", &op) &&
               cira_access_get(op, &load) && load.index_count == 0 &&
               load.has_constant_index && load.constant_index == field &&
               is_graph(element_of(load.base));
  return found ? load.base : (MlirValue){NULL};
}

/* Is it the load of rows[vertex + plus]? */
static bool is_row_bound(const rows_t *r, MlirValue bound, int64_t plus) {
  cira_access_t row;
  MlirOperation add;
  int64_t number;
  if (!is_loaded(bound, &row) || row.index_count != 1) {
    return false;
  }
  MlirValue graph = graph_behind(row.base, 1);
  int64_t size, align;
  if (mlirValueIsNull(graph) || !mlirValueEqual(graph, r->graph) ||
      !cira_layout_size(element_of(row.base), &size, &align) || size != 8) {
    return false;
  }
  MlirValue vertex =
      unconverted(mlirOperationGetOperand(row.op, row.first_index));
  if (plus != 0) {
    if (!cira__def_is(vertex, "arith.addi", &add) ||
        !ciraValueGetConstant(mlirOperationGetOperand(add, 1), &number) ||
        number != plus) {
      return false;
    }
    vertex = unconverted(mlirOperationGetOperand(add, 0));
  }
  return mlirValueEqual(vertex, mlirOperationGetResult(r->list.op, 0));
}

/* Is the loop over the vertices one that a frontier stream can follow: one
 * element of a list of integers in each iteration? */
static bool is_vertex_loop(const rows_t *r) {
  cira_access_class_t class;
  int64_t stride;
  const site_t *outer = &r->outer;
  if (!is_array_load(outer, &r->list) ||
      (outer->loop.kind == CIRA_LOOP_PARALLEL &&
       mlirBlockGetNumArguments(outer->loop.body) > 1)) {
    return false;
  }
  MlirType array = mlirValueGetType(r->list.base);
  MlirType element = element_of(r->list.base);
  cira_access_classify(&r->list, &outer->loop, &class);
  return class.pattern == CiraPatternStrided &&
         in_elements(class.stride_bytes, element, &stride) && stride == 1 &&
         (mlirTypeIsAInteger(element) || mlirTypeIsAIndex(element)) &&
         (!mlirTypeIsAMemRef(array) ||
          mlirAffineMapIsIdentity(mlirMemRefTypeGetAffineMap(array)));
}

/* Reads the site as rows of a graph; says why not. */
static bool get_rows(const site_t *s, rows_t *out) {
  rows_t r = {.outer = {.ctx = s->ctx, .loc = s->loc}};
  r.graph = s->access.index_count == 1 ? graph_behind(s->access.base, 2)
                                       : (MlirValue){NULL};
  if (mlirValueIsNull(r.graph)) {
    missed(s, "the neighbours are not the third field of a graph behind a "
              "handle (cira.stream_create_frontier)");
    return false;
  }
  if (!cira_loop_around(s->loop.op, &r.outer.loop) ||
      cira_loop_contains(&r.outer.loop, r.graph) ||
      !cira_access_get(s->class.source, &r.list) || !is_vertex_loop(&r)) {
    missed(s, "the vertices are not read one by one from an array of integers "
              "from outside of their loop");
    return false;
  }
  if (!is_row_bound(&r, s->loop.lower, 0)) {
    missed(s, "the run does not begin where the graph's row of the vertex "
              "does");
    return false;
  }
  r.outer.distance = cira__attr_get(r.outer.loop.op, "cira.distance");
  if (mlirAttributeIsNull(r.outer.distance)) {
    missed(s, "the loop over the vertices has no cira.distance; run "
              "cira-recognize and cira-prefetch-distance first");
    return false;
  }
  if (has_stream(&r.outer)) {
    missed(s, "the loop over the vertices has a stream already");
    return false;
  }
  *out = r;
  return true;
}

/* The list from the first vertex of the loop on. */
static MlirValue list_from(const rows_t *r, MlirValue first) {
  int64_t number;
  MlirOperation at = r->outer.loop.op;
  MlirValue list = r->list.base;
  if (ciraValueGetConstant(first, &number) && number == 0) {
    return list;
  }
  MlirType handle = ciraHandleTypeGet(element_of(list));
  if (!ciraTypeIsAHandle(mlirValueGetType(list))) {
    cira_op_spec_t cast = {.name = "cira.handle_cast",
                           .loc = r->outer.loc,
                           .operand_count = 1,
                           .operands = {list},
                           .result_count = 1,
                           .results = {handle}};
    list = mlirOperationGetResult(cira__build(&cast, at), 0);
  }
  cira_op_spec_t offset = {.name = "cira.handle_offset",
                           .loc = r->outer.loc,
                           .operand_count = 2,
                           .operands = {list, first},
                           .result_count = 1,
                           .results = {handle}};
  return mlirOperationGetResult(cira__build(&offset, at), 0);
}

/* The graph with the type of its neighbours: a plain pointer in the struct does
 * not say how large they are, which whoever fetches them has to know. */
static MlirValue typed_graph(const site_t *s, const rows_t *r) {
  int64_t offset;
  MlirType part;
  cira_layout_field(element_of(r->graph), 2, &offset, &part);
  if (ciraTypeIsAHandle(part)) {
    return r->graph;
  }
  MlirType number = mlirIntegerTypeGet(s->ctx, 64);
  MlirType parts[] = {number, ciraHandleTypeGet(number),
                      ciraHandleTypeGet(element_of(s->access.base))};
  cira_op_spec_t cast = {
      .name = "cira.handle_cast",
      .loc = r->outer.loc,
      .operand_count = 1,
      .operands = {r->graph},
      .result_count = 1,
      .results = {ciraHandleTypeGet(
          mlirLLVMStructTypeLiteralGet(s->ctx, 3, parts, false))}};
  return mlirOperationGetResult(cira__build(&cast, r->outer.loop.op), 0);
}

/* May the row come out of the stream: is the whole row run through one by one,
 * by plain loads, and nothing around it written? */
static bool may_peek_row(const site_t *s, const rows_t *r) {
  MlirType element = element_of(s->access.base);
  MlirValue index =
      mlirOperationGetOperand(s->access.op, s->access.first_index);
  return (ciraOperationGetEffects(r->outer.loop.op) & CIRA_EFFECT_WRITE) == 0 &&
         !s->access.is_store &&
         !ciraOperationHasName(s->access.op, "cira.load_async") &&
         (mlirTypeIsAInteger(element) || mlirTypeIsAIndex(element)) &&
         mlirTypeEqual(
             mlirValueGetType(mlirOperationGetResult(s->access.op, 0)),
             element) &&
         mlirValueEqual(index, s->loop.counter) &&
         is_row_bound(r, s->loop.upper, 1);
}

/* neighbours[j] becomes row[j - where the row begins]. */
static void peek_row(const site_t *s, const rows_t *r, MlirValue stream,
                     MlirValue first) {
  int64_t dynamic = mlirShapedTypeGetDynamicSize();
  MlirOperation at = s->loop.op;
  MlirType row_type = mlirMemRefTypeContiguousGet(
      element_of(s->access.base), 1, &dynamic, mlirAttributeGetNull());
  MlirValue index = mlirOperationGetOperand(r->list.op, r->list.first_index);
  cira_op_spec_t peek = {
      .name = "cira.peek_adjacency",
      .loc = s->loc,
      .operand_count = 2,
      .operands = {stream, cira__build_binary(at, "arith.subi", index, first)},
      .result_count = 1,
      .results = {ciraFutureTypeGet(row_type)}};
  cira_op_spec_t await = {
      .name = "cira.await",
      .loc = s->loc,
      .operand_count = 1,
      .operands = {mlirOperationGetResult(cira__build(&peek, at), 0)},
      .result_count = 1,
      .results = {row_type}};
  MlirValue row = mlirOperationGetResult(cira__build(&await, at), 0);
  MlirOperation old = s->access.op;
  cira_op_spec_t load = {
      .name = "memref.load",
      .loc = mlirOperationGetLocation(old),
      .operand_count = 2,
      .operands = {row, cira__build_binary(old, "arith.subi", s->loop.counter,
                                           s->loop.lower)},
      .result_count = 1,
      .results = {element_of(s->access.base)}};
  MlirOperation new = cira__build(&load, old);
  mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(old, 0),
                                mlirOperationGetResult(new, 0));
  mlirOperationDestroy(old);
}

static void stream_frontier(site_t *s) {
  rows_t r;
  if (!get_rows(s, &r)) {
    return;
  }
  bool peek = may_peek_row(s, &r);
  site_t told =
      *s; /* the remark stands at the row, with the vertices' figures */
  told.distance = r.outer.distance;
  taken(&told, "frontier", peek);
  MlirOperation at = r.outer.loop.op;
  MlirValue first = at_first(
      &r.outer, mlirOperationGetOperand(r.list.op, r.list.first_index));
  cira_op_spec_t spec = {.name = "cira.stream_create_frontier",
                         .loc = s->loc,
                         .operand_count = 3,
                         .operands = {typed_graph(s, &r), list_from(&r, first),
                                      build_count(&r.outer)},
                         .result_count = 1,
                         .results = {ciraStreamTypeGet(s->ctx)}};
  MlirValue stream = mlirOperationGetResult(cira__build(&spec, at), 0);
  drive(&r.outer, stream, "cira.prefetch_adjacency");
  if (peek) {
    peek_row(s, &r, stream, first);
  }
}

/* ---- Loops -----------------------------------------------------------------
 */

static MlirWalkResult find_access(MlirOperation op, void *user) {
  site_t *s = user;
  cira_loop_t around;
  MlirAttribute access = cira__attr_get(op, "cira.access");
  MlirAttribute wanted = cira__attr_get(s->loop.op, "cira.pattern");
  if (!mlirAttributeIsNull(access) && mlirAttributeEqual(access, wanted) &&
      cira_access_get(op, &s->access) && cira_loop_around(op, &around) &&
      mlirOperationEqual(around.op, s->loop.op)) {
    return MlirWalkResultInterrupt;
  }
  s->access.op = (MlirOperation){NULL};
  return MlirWalkResultAdvance;
}

/* Everything that speaks against a stream whatever its pattern. */
static bool prepare(site_t *s) {
  int64_t trips;
  s->distance = cira__attr_get(s->loop.op, "cira.distance");
  if (mlirAttributeIsNull(s->distance)) {
    missed(s, "the loop has no cira.distance; run cira-recognize and "
              "cira-prefetch-distance first");
    return false;
  }
  mlirOperationWalk(s->loop.op, find_access, s, MlirWalkPreOrder);
  if (has_stream(s)) {
    missed(s, "the loop has a stream already");
    return false;
  }
  if (mlirOperationIsNull(s->access.op)) {
    missed(s, "no access has the loop's pattern; run cira-recognize again");
    return false;
  }
  if (s->loop.kind == CIRA_LOOP_PARALLEL &&
      mlirBlockGetNumArguments(s->loop.body) > 1) {
    missed(s, "the loop counts in several dimensions at once");
    return false;
  }
  CiraMachine m = cira_cost_machine(s->loop.op);
  int64_t latency = ciraDistanceAttrGetLatencyNs(s->distance);
  if (cira_cost_trip_count(&s->loop, &trips) && trips < (1 << 20) &&
      latency < (int64_t)1 << 40 &&
      trips * (latency - m.llc_latency_ns) <= m.sync_ns) {
    cira__remark(s->loop.op, pass_name,
                 "missed: no gain: %ld iterations x (%ld - %ld) ns against %ld "
                 "ns to hand over",
                 (long)trips, (long)latency, (long)m.llc_latency_ns,
                 (long)m.sync_ns);
    return false;
  }
  cira_access_classify(&s->access, &s->loop, &s->class);
  return true;
}

static void stream_loop(MlirOperation op) {
  site_t s = {.ctx = mlirOperationGetContext(op),
              .loc = mlirOperationGetLocation(op)};
  MlirAttribute pattern = cira__attr_get(op, "cira.pattern");
  if (!cira_loop_get(op, &s.loop) ||
      (!mlirAttributeIsNull(pattern) &&
       ciraAccessAttrGetPattern(pattern) == CiraPatternNone) ||
      !prepare(&s)) {
    return;
  }
  switch (s.class.pattern) {
  case CiraPatternStrided:
    stream_strided(&s);
    return;
  case CiraPatternIndexed:
    stream_indexed(&s);
    return;
  case CiraPatternLinked:
    stream_linked(&s);
    return;
  case CiraPatternFrontier:
    stream_frontier(&s);
    return;
  case CiraPatternNone:
    missed(&s, "the code has changed since cira-recognize; run it again");
    return;
  }
}

/* The walk only collects: the loops are changed afterwards. */
typedef struct loop_list {
  MlirOperation *ops;
  size_t count, capacity;
} loop_list_t;

static MlirWalkResult collect_loop(MlirOperation op, void *user) {
  loop_list_t *list = user;
  cira_loop_t loop;
  if (!cira_loop_get(op, &loop)) {
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

bool cira__run_CiraCreateStreams(MlirOperation op) {
  loop_list_t list = {0};
  mlirOperationWalk(op, collect_loop, &list, MlirWalkPostOrder);
  for (size_t i = 0; i < list.count; i++) {
    stream_loop(list.ops[i]);
  }
  free(list.ops);
  return true;
}
