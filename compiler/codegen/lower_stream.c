/* SPDX-License-Identifier: Apache-2.0
 * Streams. Where all uses of a stream are in sight, compiled code keeps its
 * front (cira/abi.h) in a stack slot that LLVM turns into registers: a peek is
 * a test and a load, an advance a test and an addition. So the slot never
 * escapes: around a call of the runtime it is copied to another one and back.
 * Elsewhere, and with cira.checked, every step is a call.
 * Invariant: makers are lowered before all other ops, so that each use knows
 * its stream. */
#include "codegen/array.h"
#include "codegen/lower.h"

#include "analysis/ir.h"
#include "analysis/layout.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

#include <stdlib.h>

enum { /* offsets in cira_abi_front_t */
       front_data = 0,
       front_cur = 8,
       front_step = 16,
       front_left = 24,
       front_bytes = 32
};

/* ---- which streams are in sight -------------------------------------------
 */

static bool is_prefetch(MlirOperation op) {
  return ciraOperationHasName(op, "cira.prefetch_stream") ||
         ciraOperationHasName(op, "cira.prefetch_chain") ||
         ciraOperationHasName(op, "cira.prefetch_tiles") ||
         ciraOperationHasName(op, "cira.prefetch_adjacency");
}

static MlirOperation callee_of(cira_lowering_t *l, MlirOperation call) {
  if (!mlirOperationEqual(l->symbols_of, l->e.module)) {
    if (!mlirOperationIsNull(l->symbols_of)) {
      mlirSymbolTableDestroy(l->symbols);
    }
    l->symbols = mlirSymbolTableCreate(l->e.module);
    l->symbols_of = l->e.module;
  }
  MlirAttribute name =
      mlirOperationGetAttributeByName(call, cira__str("callee"));
  return mlirSymbolTableLookup(l->symbols, mlirFlatSymbolRefAttrGetValue(name));
}

/* A call from an offload region to a function that only asks ahead for the
 * stream: it does not move it. */
static bool only_prefetches(cira_lowering_t *l, MlirOperation call,
                            unsigned operand) {
  if (!ciraOperationHasName(call, "cira.call") ||
      !ciraOperationHasName(mlirOperationGetParentOperation(call),
                            "cira.offload")) {
    return false;
  }
  MlirOperation callee = callee_of(l, call);
  if (mlirOperationIsNull(callee) ||
      !ciraOperationHasName(callee, "func.func")) {
    return false;
  }
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(callee, 0));
  if (mlirBlockIsNull(body)) {
    return false;
  }
  MlirOpOperand use = mlirValueGetFirstUse(mlirBlockGetArgument(body, operand));
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    if (!is_prefetch(mlirOpOperandGetOwner(use))) {
      return false;
    }
  }
  return true;
}

typedef struct uses {
  bool in_sight; /* all of them */
  bool element;  /* peeked as what the array holds */
  bool target;   /* peeked as what the elements point to */
  MlirType list; /* what a list of neighbours holds; null: nobody looks */
  bool lists_differ;
} uses_t;

static void look_at_peek(MlirOperation peek, MlirType element, uses_t *uses) {
  MlirType value = ciraFutureTypeGetValueType(
      mlirValueGetType(mlirOperationGetResult(peek, 0)));
  bool same = mlirTypeIsNull(element) || mlirTypeEqual(value, element);
  uses->element = uses->element || same;
  uses->target = uses->target || !same;
}

static void look_at_list(MlirOperation peek, uses_t *uses) {
  MlirType list = ciraFutureTypeGetValueType(
      mlirValueGetType(mlirOperationGetResult(peek, 0)));
  MlirType element = mlirShapedTypeGetElementType(list);
  uses->lists_differ =
      uses->lists_differ ||
      (!mlirTypeIsNull(uses->list) && !mlirTypeEqual(uses->list, element));
  uses->list = element;
}

static uses_t look_at_uses(cira_lowering_t *l, MlirValue stream,
                           MlirType element) {
  uses_t uses = {.in_sight = true};
  MlirOpOperand use = mlirValueGetFirstUse(stream);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (ciraOperationHasName(user, "cira.peek_stream")) {
      look_at_peek(user, element, &uses);
    } else if (ciraOperationHasName(user, "cira.peek_adjacency")) {
      look_at_list(user, &uses);
    } else if (!is_prefetch(user) &&
               !ciraOperationHasName(user, "cira.advance_stream") &&
               !ciraOperationHasName(user, "cira.stream_release") &&
               !only_prefetches(l, user, mlirOpOperandGetOperandNumber(use))) {
      uses.in_sight = false;
    }
  }
  return uses;
}

/* ---- makers ---------------------------------------------------------------
 */

/* Records the stream under the value that its uses will see. */
static bool add_stream(cira_lowering_t *l, MlirOperation op,
                       cira_stream_t stream, MlirValue pointer) {
  cira_emit_t *e = &l->e;
  if (l->stream_count == l->stream_capacity) {
    intptr_t capacity = l->stream_capacity ? 2 * l->stream_capacity : 16;
    cira_stream_t *more =
        realloc(l->streams, (size_t)capacity * sizeof *l->streams);
    if (!more) {
      return cira_emit_error(op, "cannot be lowered: out of memory");
    }
    l->streams = more;
    l->stream_capacity = capacity;
  }
  MlirValue result = mlirOperationGetResult(op, 0);
  stream.value = cira_emit_cast(e, pointer, mlirValueGetType(result));
  if (!mlirValueIsNull(stream.front)) {
    MlirValue zero = cira_emit_i64(e, 0);
    for (int64_t at = 0; at < front_bytes; at += 8) {
      cira_emit_store(e, zero, cira_emit_add_const(e, stream.front, at), e->i64,
                      0);
    }
  }
  mlirValueReplaceAllUsesOfWith(result, stream.value);
  l->streams[l->stream_count++] = stream;
  return true;
}

static cira_stream_t new_stream(cira_lowering_t *l, MlirOperation op,
                                cira_stream_kind_t kind, MlirType element,
                                uses_t *out_uses) {
  cira_stream_t stream = {.kind = kind, .element = element};
  uses_t uses = look_at_uses(l, mlirOperationGetResult(op, 0), element);
  bool both = uses.element && uses.target;
  if (uses.in_sight && !both && !l->e.checked) {
    stream.front = cira_emit_slot(&l->e, front_bytes);
  }
  *out_uses = uses;
  return stream;
}

static bool create_strided(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_array_t array;
  uses_t uses;
  if (!cira_array_get(e, op, 0, &array)) {
    return false;
  }
  cira_stream_t stream =
      new_stream(l, op, CIRA_STREAM_STRIDED, array.element, &uses);
  int64_t target = 0, align;
  if (ciraTypeIsAHandle(array.element) &&
      (uses.target || !uses.element || !uses.in_sight)) {
    MlirType type = ciraTypeConverterConvert(
        e->types, ciraHandleTypeGetElementType(array.element));
    if (mlirTypeIsNull(type) || !cira_layout_size(type, &target, &align)) {
      target = 0; /* nothing to fetch: its size is not known */
    }
  }
  stream.is_pointer = target > 0;
  MlirValue arguments[6] = {
      array.base,
      cira_array_steps(e, &array, cira_emit_operand(e, op, 1)),
      cira_array_steps(e, &array, cira_emit_operand(e, op, 2)),
      cira_emit_operand(e, op, 3),
      cira_emit_i64(e, array.element_bytes),
      cira_emit_i64(e, target)};
  return add_stream(
      l, op, stream,
      cira_emit_call(e, CIRA_FN_cira_abi_stream_strided, arguments));
}

/* Bytes of an integer in an array of them; 0, with an error, if the runtime
 * has no such loads. */
static int64_t integer_bytes(MlirOperation op, MlirType type) {
  unsigned bits = mlirTypeIsAIndex(type) ? 64 : mlirIntegerTypeGetWidth(type);
  if (bits == 8 || bits == 16 || bits == 32 || bits == 64) {
    return bits / 8;
  }
  cira_emit_error(op,
                  "cannot be lowered: positions of %u bits; use 8, 16, 32 "
                  "or 64",
                  bits);
  return 0;
}

static bool need_row_major(MlirOperation op, const cira_array_t *array,
                           const char *what) {
  return array->row_major ||
         cira_emit_error(op,
                         "cannot be lowered: the layout of the %s is not "
                         "row-major; copy it, or take a stride instead",
                         what);
}

static bool create_indexed(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_array_t base, indices;
  uses_t uses;
  if (!cira_array_get(e, op, 0, &base) || !cira_array_get(e, op, 1, &indices) ||
      !need_row_major(op, &base, "array")) {
    return false;
  }
  int64_t index_bytes = integer_bytes(op, indices.element);
  if (index_bytes == 0) {
    return false;
  }
  cira_stream_t stream =
      new_stream(l, op, CIRA_STREAM_INDEXED, base.element, &uses);
  MlirValue arguments[7] = {
      base.base,
      cira_emit_i64(e, base.element_bytes),
      indices.base,
      cira_emit_i32(e, index_bytes),
      cira_array_steps(e, &indices, cira_emit_operand(e, op, 2)),
      cira_array_steps(e, &indices, cira_emit_operand(e, op, 3)),
      cira_emit_operand(e, op, 4)};
  return add_stream(
      l, op, stream,
      cira_emit_call(e, CIRA_FN_cira_abi_stream_indexed, arguments));
}

static bool create_chain(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType node = ciraHandleTypeGetElementType(
      mlirValueGetType(mlirOperationGetOperand(op, 0)));
  int64_t bytes;
  uses_t uses;
  if (!cira_emit_size(e, op, node, &bytes)) {
    return false;
  }
  cira_stream_t stream = new_stream(l, op, CIRA_STREAM_CHAIN, node, &uses);
  stream.link = cira_emit_operand(e, op, 1);
  MlirValue arguments[3] = {cira_emit_operand(e, op, 0), stream.link,
                            cira_emit_i64(e, bytes)};
  return add_stream(
      l, op, stream,
      cira_emit_call(e, CIRA_FN_cira_abi_stream_chain, arguments));
}

static bool create_tiled(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_array_t array;
  if (!cira_array_get(e, op, 0, &array)) {
    return false;
  }
  bool one_size = mlirOperationGetNumOperands(op) == 2;
  MlirValue tables[3]; /* sizes, strides, tiles */
  tables[0] = cira_emit_scratch(e, 24 * (int64_t)array.rank);
  tables[1] = cira_emit_add_const(e, tables[0], 8 * (int64_t)array.rank);
  tables[2] = cira_emit_add_const(e, tables[0], 16 * (int64_t)array.rank);
  for (intptr_t i = 0; i < array.rank; i++) {
    MlirValue entry[3] = {cira_array_size(e, &array, i),
                          cira_array_stride(e, &array, i),
                          cira_emit_operand(e, op, one_size ? 1 : 1 + i)};
    for (int t = 0; t < 3; t++) {
      cira_emit_store(e, entry[t], cira_emit_add_const(e, tables[t], 8 * i),
                      e->i64, 0);
    }
  }
  cira_stream_t stream = {.kind = CIRA_STREAM_TILED, .element = array.element};
  MlirValue arguments[6] = {array.base,
                            cira_emit_i64(e, array.element_bytes),
                            cira_emit_i64(e, array.rank),
                            tables[0],
                            tables[1],
                            tables[2]};
  return add_stream(
      l, op, stream,
      cira_emit_call(e, CIRA_FN_cira_abi_stream_tiled, arguments));
}

static bool create_frontier(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_array_t vertices;
  if (!cira_array_get(e, op, 1, &vertices) ||
      !need_row_major(op, &vertices, "frontier")) {
    return false;
  }
  uses_t uses =
      look_at_uses(l, mlirOperationGetResult(op, 0), (MlirType){NULL});
  if (uses.lists_differ) {
    return cira_emit_error(op, "cannot be lowered: its lists are peeked as "
                               "arrays of different integers; use the graph's "
                               "own type for all");
  }
  /* Neighbours are vertices: where nobody looks, as wide as the frontier's. */
  int64_t vertex_bytes = integer_bytes(op, vertices.element);
  int64_t neighbour_bytes =
      mlirTypeIsNull(uses.list) ? vertex_bytes : integer_bytes(op, uses.list);
  if (vertex_bytes == 0 || neighbour_bytes == 0) {
    return false;
  }
  bool counted = mlirOperationGetNumOperands(op) == 3;
  MlirValue arguments[5] = {cira_emit_operand(e, op, 0), vertices.base,
                            cira_emit_i32(e, vertex_bytes),
                            counted ? cira_emit_operand(e, op, 2)
                                    : cira_array_size(e, &vertices, 0),
                            cira_emit_i64(e, neighbour_bytes)};
  cira_stream_t stream = {.kind = CIRA_STREAM_FRONTIER};
  return add_stream(
      l, op, stream,
      cira_emit_call(e, CIRA_FN_cira_abi_stream_frontier, arguments));
}

bool cira_lower_stream_create(cira_lowering_t *l, MlirOperation op) {
  if (ciraOperationHasName(op, "cira.stream_create_strided")) {
    return create_strided(l, op);
  }
  if (ciraOperationHasName(op, "cira.stream_create_indexed")) {
    return create_indexed(l, op);
  }
  if (ciraOperationHasName(op, "cira.stream_create_indirect")) {
    return create_chain(l, op);
  }
  if (ciraOperationHasName(op, "cira.stream_create_tiled")) {
    return create_tiled(l, op);
  }
  return create_frontier(l, op);
}

/* ---- uses -----------------------------------------------------------------
 */

static cira_stream_t find_stream(cira_lowering_t *l, MlirOperation op) {
  MlirValue value = mlirOperationGetOperand(op, 0);
  for (intptr_t i = l->stream_count - 1; i >= 0; i--) {
    if (mlirValueEqual(l->streams[i].value, value)) {
      return l->streams[i];
    }
  }
  return (cira_stream_t){.kind = CIRA_STREAM_UNKNOWN};
}

static MlirValue read_front(cira_emit_t *e, MlirValue front, int64_t at,
                            MlirType type) {
  return cira_emit_load(e, cira_emit_add_const(e, front, at), type, 0);
}

static void write_front(cira_emit_t *e, MlirValue front, int64_t at,
                        MlirValue value) {
  cira_emit_store(e, value, cira_emit_add_const(e, front, at),
                  mlirValueGetType(value), 0);
}

/* Lets the runtime change the front: on a copy, so that its slot stays ours.
 * `next` is an argument of chain_next alone. */
static void call_with_front(cira_emit_t *e, MlirValue stream, MlirValue front,
                            cira_abi_function_t function, MlirValue next) {
  static const int64_t fields[] = {front_data, front_cur, front_step,
                                   front_left};
  MlirValue lent = cira_emit_scratch(e, front_bytes);
  for (int i = 0; i < 4; i++) {
    MlirType type = i < 2 ? e->ptr : e->i64;
    write_front(e, lent, fields[i], read_front(e, front, fields[i], type));
  }
  MlirValue arguments[3] = {stream, lent, next};
  cira_emit_call(e, function, arguments);
  for (int i = 0; i < 4; i++) {
    MlirType type = i < 2 ? e->ptr : e->i64;
    write_front(e, front, fields[i], read_front(e, lent, fields[i], type));
  }
}

static cira_if_t if_empty(cira_emit_t *e, MlirValue front) {
  return cira_emit_if(
      e, cira_emit_compare(e, CIRA_CMP_EQ,
                           read_front(e, front, front_left, e->i64),
                           cira_emit_i64(e, 0)));
}

/* Of a stream and its front: where the current element can be read. */
static MlirValue build_peek(cira_emit_t *e, const MlirValue *arguments) {
  cira_if_t empty = if_empty(e, arguments[1]);
  call_with_front(e, arguments[0], arguments[1], CIRA_FN_cira_abi_stream_refill,
                  (MlirValue){NULL});
  cira_emit_else(e, &empty, 0, NULL);
  cira_emit_end(e, &empty, 0, NULL, NULL);
  return read_front(e, arguments[1], front_data, e->ptr);
}

static void step(cira_emit_t *e, MlirValue front) {
  MlirValue by = read_front(e, front, front_step, e->i64);
  MlirValue data = read_front(e, front, front_data, e->ptr);
  write_front(e, front, front_data, cira_emit_add(e, data, by));
  MlirValue left = read_front(e, front, front_left, e->i64);
  write_front(e, front, front_left,
              cira_emit_binary(e, "llvm.sub", left, cira_emit_i64(e, 1)));
}

/* Of a stream and its front: one element on. */
static MlirValue build_advance(cira_emit_t *e, const MlirValue *arguments) {
  cira_if_t empty = if_empty(e, arguments[1]);
  call_with_front(e, arguments[0], arguments[1], CIRA_FN_cira_abi_stream_skip,
                  (MlirValue){NULL});
  cira_emit_else(e, &empty, 0, NULL);
  step(e, arguments[1]);
  cira_emit_end(e, &empty, 0, NULL, NULL);
  return (MlirValue){NULL};
}

/* Of a chain, its front and the offset of the link: one node on. Follows the
 * link if it leads where the last step led; the next node's place then does
 * not depend on the link, and its load need not wait. */
static MlirValue build_follow(cira_emit_t *e, const MlirValue *arguments) {
  MlirValue stream = arguments[0], front = arguments[1];
  cira_if_t empty = if_empty(e, front);
  call_with_front(e, stream, front, CIRA_FN_cira_abi_stream_skip,
                  (MlirValue){NULL});
  cira_emit_else(e, &empty, 0, NULL);
  MlirValue data = read_front(e, front, front_data, e->ptr);
  MlirValue next =
      cira_emit_load(e, cira_emit_add(e, data, arguments[2]), e->ptr, 0);
  MlirValue guess = cira_emit_add(e, read_front(e, front, front_cur, e->ptr),
                                  read_front(e, front, front_step, e->i64));
  MlirValue more = cira_emit_compare(e, CIRA_CMP_SGT,
                                     read_front(e, front, front_left, e->i64),
                                     cira_emit_i64(e, 1));
  MlirValue right = cira_emit_binary(
      e, "llvm.and", cira_emit_compare(e, CIRA_CMP_EQ, next, guess), more);
  cira_if_t guessed = cira_emit_if(e, right);
  write_front(e, front, front_cur, guess);
  step(e, front);
  cira_emit_else(e, &guessed, 0, NULL);
  call_with_front(e, stream, front, CIRA_FN_cira_abi_chain_next, next);
  cira_emit_end(e, &guessed, 0, NULL, NULL);
  cira_emit_end(e, &empty, 0, NULL, NULL);
  return (MlirValue){NULL};
}

static const cira_inline_t peek_inline = {"cira_inline_stream_peek", 'p', "pp",
                                          build_peek};
static const cira_inline_t advance_inline = {"cira_inline_stream_advance", 'v',
                                             "pp", build_advance};
static const cira_inline_t follow_inline = {"cira_inline_chain_advance", 'v',
                                            "ppl", build_follow};

/* Where the current element can be read. */
static MlirValue front_element(cira_emit_t *e, const cira_stream_t *s,
                               MlirValue stream) {
  MlirValue arguments[2] = {stream, s->front};
  MlirValue data = cira_emit_inline(e, &peek_inline, arguments);
  return s->is_pointer || s->kind == CIRA_STREAM_INDEXED
             ? cira_emit_load(e, data, e->ptr, 0)
             : data;
}

/* The value through the runtime, which keeps the front. A stream that comes
 * from elsewhere is asked for what its elements point to, unless a handle is
 * wanted: a stream of plain elements gives those. */
static MlirValue called_element(cira_emit_t *e, const cira_stream_t *s,
                                MlirValue stream, MlirType wanted,
                                MlirType type, int64_t bytes) {
  bool target = s->kind == CIRA_STREAM_UNKNOWN
                    ? !ciraTypeIsAHandle(wanted)
                    : s->is_pointer && !mlirTypeEqual(wanted, s->element);
  MlirValue slot = cira_emit_scratch(e, bytes);
  MlirValue arguments[4] = {stream, slot, cira_emit_i64(e, bytes),
                            cira_emit_i32(e, target)};
  cira_emit_call(e, CIRA_FN_cira_abi_stream_peek, arguments);
  return cira_emit_load(e, slot, type, 0);
}

/* An element that is a handle, and what it points to is wanted, of a stream
 * that gives only the handles. */
static bool is_one_step_short(const cira_stream_t *s, MlirType wanted) {
  return s->kind != CIRA_STREAM_UNKNOWN && !s->is_pointer &&
         !mlirTypeIsNull(s->element) && !mlirTypeEqual(wanted, s->element);
}

bool cira_lower_peek_stream(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_stream_t s = find_stream(l, op);
  MlirType future = mlirValueGetType(mlirOperationGetResult(op, 0));
  MlirType wanted = ciraFutureTypeGetValueType(future);
  MlirType lowered = cira_emit_type(e, op, future);
  int64_t bytes;
  if (mlirTypeIsNull(lowered) || !cira_emit_size(e, op, wanted, &bytes)) {
    return false;
  }
  MlirType type = cira_emit_type(e, op, wanted);
  bool short_step = is_one_step_short(&s, wanted);
  MlirType first = short_step ? e->ptr : type;
  MlirValue stream = cira_emit_operand(e, op, 0);
  MlirValue value;
  if (mlirValueIsNull(s.front)) {
    value = called_element(e, &s, stream, short_step ? s.element : wanted,
                           first, short_step ? 8 : bytes);
  } else {
    value = cira_emit_load(e, front_element(e, &s, stream), first, 0);
  }
  if (short_step) {
    value = cira_emit_load(e, value, type, 0);
  }
  cira_emit_result(e, op, 0,
                   cira_lower_future(e, lowered, (MlirValue){NULL},
                                     cira_emit_i64(e, cira_ticket_value),
                                     value));
  return true;
}

bool cira_lower_advance_stream(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_stream_t s = find_stream(l, op);
  MlirValue arguments[3] = {cira_emit_operand(e, op, 0), s.front, s.link};
  if (mlirValueIsNull(s.front)) {
    cira_emit_call(e, CIRA_FN_cira_abi_stream_advance, arguments);
  } else {
    cira_emit_inline(
        e, s.kind == CIRA_STREAM_CHAIN ? &follow_inline : &advance_inline,
        arguments);
  }
  return true;
}

/* An empty front: a use that follows asks the runtime, which refuses it. */
bool cira_lower_stream_release(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_stream_t s = find_stream(l, op);
  MlirValue stream = cira_emit_operand(e, op, 0);
  if (!mlirValueIsNull(s.front)) {
    write_front(e, s.front, front_left, cira_emit_i64(e, 0));
  }
  cira_emit_call(e, CIRA_FN_cira_abi_stream_release, &stream);
  return true;
}

bool cira_lower_peek_adjacency(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType future = mlirValueGetType(mlirOperationGetResult(op, 0));
  MlirType lowered = cira_emit_type(e, op, future);
  MlirType list = cira_emit_type(e, op, ciraFutureTypeGetValueType(future));
  if (mlirTypeIsNull(lowered) || mlirTypeIsNull(list)) {
    return false;
  }
  MlirValue slot = cira_emit_scratch(e, 8);
  MlirValue arguments[3] = {cira_emit_operand(e, op, 0),
                            cira_emit_operand(e, op, 1), slot};
  MlirValue base = cira_emit_call(e, CIRA_FN_cira_abi_adjacency, arguments);
  MlirValue count = cira_emit_load(e, slot, e->i64, 0);
  MlirValue one = cira_emit_i64(e, 1);
  cira_emit_result(e, op, 0,
                   cira_lower_future(e, lowered, (MlirValue){NULL},
                                     cira_emit_i64(e, cira_ticket_value),
                                     cira_array_describe(e, list, base, base, 1,
                                                         &count, &one)));
  return true;
}

/* prefetch_stream of a stream, prefetch_chain, _tiles, _adjacency. */
bool cira_lower_prefetch_ahead(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirValue arguments[2] = {cira_emit_operand(e, op, 0),
                            cira_emit_operand(e, op, 1)};
  cira_emit_call(e, CIRA_FN_cira_abi_stream_ahead, arguments);
  return true;
}

bool cira_lower_prefetch_stream(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  if (ciraTypeIsAStream(mlirValueGetType(mlirOperationGetOperand(op, 0)))) {
    return cira_lower_prefetch_ahead(l, op);
  }
  cira_array_t array;
  if (!cira_array_get(e, op, 0, &array)) {
    return false;
  }
  MlirValue stride = cira_emit_operand(e, op, 1);
  MlirValue arguments[4] = {
      array.base, cira_emit_scale(e, stride, array.element_bytes),
      cira_emit_operand(e, op, 2), cira_emit_i64(e, array.element_bytes)};
  cira_emit_call(e, CIRA_FN_cira_abi_prefetch_array, arguments);
  return true;
}
