/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/access.h"

#include "analysis/ir.h"
#include "analysis/layout.h"
#include "mlir-c/AffineMap.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>

/* Of a chain of index arithmetic or casts. Arithmetic branches, so the depth
 * bounds the work at 2^12 steps per access. */
enum { max_depth = 12 };

/* ---- Parts of an access --------------------------------------------------
 */

static bool get_memref(MlirOperation op, bool store, cira_access_t *access) {
  intptr_t base = store ? 1 : 0;
  access->is_store = store;
  access->base = mlirOperationGetOperand(op, base);
  access->first_index = base + 1;
  access->index_count = mlirOperationGetNumOperands(op) - base - 1;
  return true;
}

static bool get_handle(MlirOperation op, bool store, cira_access_t *access) {
  get_memref(op, store, access);
  MlirAttribute constant =
      mlirOperationGetAttributeByName(op, cira__str("static_index"));
  access->has_constant_index = !mlirAttributeIsNull(constant);
  if (access->has_constant_index) {
    access->constant_index = mlirIntegerAttrGetValueInt(constant);
  }
  return true;
}

bool cira_access_get(MlirOperation op, cira_access_t *out_access) {
  cira_access_t access = {.op = op};
  bool known = (ciraOperationHasName(op, "memref.load") &&
                get_memref(op, false, &access)) ||
               (ciraOperationHasName(op, "memref.store") &&
                get_memref(op, true, &access)) ||
               ((ciraOperationHasName(op, "cira.load") ||
                 ciraOperationHasName(op, "cira.load_async")) &&
                get_handle(op, false, &access)) ||
               ((ciraOperationHasName(op, "cira.store") ||
                 ciraOperationHasName(op, "cira.store_async")) &&
                get_handle(op, true, &access));
  if (known) {
    *out_access = access;
  }
  return known;
}

/* The type an access moves. */
static MlirType moved_type(const cira_access_t *access) {
  if (access->is_store) {
    return mlirValueGetType(mlirOperationGetOperand(access->op, 0));
  }
  MlirType type = mlirValueGetType(mlirOperationGetResult(access->op, 0));
  return ciraTypeIsAFuture(type) ? ciraFutureTypeGetValueType(type) : type;
}

/* ---- Linear forms ----------------------------------------------------------
 * A value is linear if it grows by the same amount in every iteration. */

typedef struct linear {
  int64_t step;    /* growth per iteration */
  const char *why; /* NULL: it is linear; else why it is not */
} linear_t;

static linear_t linear_of(const cira_loop_t *loop, MlirValue value, int depth);

static linear_t not_linear(const char *why) {
  return (linear_t){0, why};
}

/* The counter of a for or parallel grows by its step. */
static linear_t linear_of_counter(const cira_loop_t *loop) {
  int64_t step;
  return ciraValueGetConstant(loop->step, &step)
             ? (linear_t){step, NULL}
             : not_linear("stride unknown: the loop's step is not a constant");
}

/* A carried value that becomes itself plus a constant. */
static linear_t linear_of_carried(const cira_loop_t *loop, intptr_t carried,
                                  int depth) {
  MlirOperation add;
  MlirValue next = cira_loop_next(loop, carried);
  if (!cira__def_is(next, "arith.addi", &add)) {
    return not_linear("the index is carried from one iteration to the next");
  }
  for (intptr_t side = 0; side < 2; side++) {
    int64_t step;
    if (cira_loop_carried(loop, mlirOperationGetOperand(add, side)) ==
            carried &&
        ciraValueGetConstant(mlirOperationGetOperand(add, 1 - side), &step)) {
      return (linear_t){step, NULL};
    }
  }
  (void)depth;
  return not_linear("the index is carried and does not grow by a constant");
}

static bool is_conversion(MlirOperation op) {
  return ciraOperationHasName(op, "arith.index_cast") ||
         ciraOperationHasName(op, "arith.index_castui") ||
         ciraOperationHasName(op, "arith.extsi") ||
         ciraOperationHasName(op, "arith.extui") ||
         ciraOperationHasName(op, "arith.trunci");
}

static linear_t linear_of_sum(const cira_loop_t *loop, MlirOperation op,
                              bool minus, int depth) {
  linear_t a = linear_of(loop, mlirOperationGetOperand(op, 0), depth + 1);
  linear_t b = linear_of(loop, mlirOperationGetOperand(op, 1), depth + 1);
  int64_t step;
  if (a.why || b.why) {
    return a.why ? a : b;
  }
  bool overflow = minus ? __builtin_sub_overflow(a.step, b.step, &step)
                        : __builtin_add_overflow(a.step, b.step, &step);
  return overflow ? not_linear("the stride overflows") : (linear_t){step, NULL};
}

static linear_t linear_of_product(const cira_loop_t *loop, MlirOperation op,
                                  int depth) {
  for (intptr_t side = 0; side < 2; side++) {
    int64_t factor, step;
    linear_t other =
        linear_of(loop, mlirOperationGetOperand(op, side), depth + 1);
    if (!other.why &&
        ciraValueGetConstant(mlirOperationGetOperand(op, 1 - side), &factor) &&
        !__builtin_mul_overflow(other.step, factor, &step)) {
      return (linear_t){step, NULL};
    }
  }
  return not_linear("stride unknown: the index is a product of variables");
}

/* A pure op on values that stay gives a value that stays. */
static bool stays(const cira_loop_t *loop, MlirOperation op, int depth) {
  if (!ciraOperationIsPure(op) || mlirOperationGetNumRegions(op) != 0) {
    return false;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    linear_t part = linear_of(loop, mlirOperationGetOperand(op, i), depth + 1);
    if (part.why || part.step != 0) {
      return false;
    }
  }
  return true;
}

static linear_t linear_of(const cira_loop_t *loop, MlirValue value, int depth) {
  if (!cira_loop_contains(loop, value)) {
    return (linear_t){0, NULL};
  }
  if (depth > max_depth) {
    return not_linear("the index is computed in too many steps");
  }
  if (loop->kind != CIRA_LOOP_WHILE && mlirValueEqual(value, loop->counter)) {
    return linear_of_counter(loop);
  }
  MlirOperation op = cira__def(value);
  if (mlirOperationIsNull(op)) {
    intptr_t carried = cira_loop_carried(loop, value);
    if (carried >= 0) {
      return linear_of_carried(loop, carried, depth);
    }
    /* The slower counters of a parallel stay while the last one runs. */
    return loop->kind == CIRA_LOOP_PARALLEL
               ? (linear_t){0, NULL}
               : not_linear("the index is a block argument");
  }
  if (is_conversion(op)) {
    return linear_of(loop, mlirOperationGetOperand(op, 0), depth + 1);
  }
  if (ciraOperationHasName(op, "arith.addi")) {
    return linear_of_sum(loop, op, false, depth);
  }
  if (ciraOperationHasName(op, "arith.subi")) {
    return linear_of_sum(loop, op, true, depth);
  }
  if (ciraOperationHasName(op, "arith.muli")) {
    return linear_of_product(loop, op, depth);
  }
  return stays(loop, op, depth)
             ? (linear_t){0, NULL}
             : not_linear("the index is not linear in the loop counter");
}

/* ---- Addresses -------------------------------------------------------------
 */

/* Follows casts and handle arithmetic to the value the address starts from;
 * adds up the growth per iteration in bytes. */
static MlirValue root_of(const cira_loop_t *loop, MlirValue base,
                         linear_t *bytes) {
  for (int depth = 0; depth < max_depth; depth++) {
    MlirOperation op = cira__def(base);
    if (mlirOperationIsNull(op) || !cira_loop_contains(loop, base)) {
      return base;
    }
    if (ciraOperationHasName(op, "cira.handle_offset") &&
        mlirOperationGetNumOperands(op) == 2) {
      int64_t size, align, step;
      linear_t index = linear_of(loop, mlirOperationGetOperand(op, 1), 0);
      if (index.why) {
        *bytes = index;
      } else if (cira_layout_size(
                     ciraHandleTypeGetElementType(mlirValueGetType(base)),
                     &size, &align) &&
                 !__builtin_mul_overflow(index.step, size, &step)) {
        bytes->step += step;
      } else {
        *bytes = not_linear("the size of an element is not known");
      }
    } else if (!ciraOperationHasName(op, "cira.handle_offset") &&
               !ciraOperationHasName(op, "cira.handle_field") &&
               !ciraOperationHasName(op, "cira.handle_cast") &&
               !ciraOperationHasName(op, "cira.handle_view") &&
               !ciraOperationHasName(op, "cira.remote_cast") &&
               !ciraOperationHasName(op, "memref.cast")) {
      return base;
    }
    base = mlirOperationGetOperand(op, 0);
  }
  return base;
}

static bool row_major(MlirType memref) {
  MlirAttribute layout = mlirMemRefTypeGetLayout(memref);
  return mlirAttributeIsAAffineMap(layout) &&
         mlirAffineMapIsIdentity(mlirAffineMapAttrGetValue(layout));
}

/* Growth per iteration of the indices of a memref access, bytes. */
static linear_t indices_of_memref(const cira_loop_t *loop,
                                  const cira_access_t *access,
                                  int64_t element_bytes) {
  MlirType type = mlirValueGetType(access->base);
  int64_t unit = element_bytes, step = 0;
  for (intptr_t dim = access->index_count - 1; dim >= 0; dim--) {
    linear_t index = linear_of(
        loop, mlirOperationGetOperand(access->op, access->first_index + dim),
        0);
    if (index.why) {
      return index;
    }
    if (index.step != 0 && (unit == 0 || !row_major(type))) {
      return not_linear(unit == 0 ? "stride unknown: an inner size of the "
                                    "memref is not a constant"
                                  : "stride unknown: the memref is not "
                                    "row-major");
    }
    int64_t part;
    if (__builtin_mul_overflow(index.step, unit, &part) ||
        __builtin_add_overflow(step, part, &step)) {
      return not_linear("the stride overflows");
    }
    int64_t size = mlirShapedTypeGetDimSize(type, dim);
    if (mlirShapedTypeIsDynamicDim(type, dim) ||
        __builtin_mul_overflow(unit, size, &unit)) {
      unit = 0; /* sizes further out are not known */
    }
  }
  return (linear_t){step, NULL};
}

/* The same for the one variable index of a cira access. */
static linear_t index_of_handle(const cira_loop_t *loop,
                                const cira_access_t *access,
                                int64_t element_bytes) {
  if (access->index_count == 0) {
    return (linear_t){0, NULL};
  }
  linear_t index = linear_of(
      loop, mlirOperationGetOperand(access->op, access->first_index), 0);
  int64_t step;
  if (!index.why && __builtin_mul_overflow(index.step, element_bytes, &step)) {
    return not_linear("the stride overflows");
  }
  return index.why ? index : (linear_t){step, NULL};
}

/* ---- Patterns --------------------------------------------------------------
 */

static void set(cira_access_class_t *out, CiraPattern pattern,
                const char *reason) {
  out->pattern = pattern;
  snprintf(out->reason, sizeof out->reason, "%s", reason);
}

/* The load inside the loop that a value comes from, through conversions,
 * arithmetic with values that stay, and awaits. Null if there is none. */
static MlirOperation load_behind(const cira_loop_t *loop, MlirValue value,
                                 int depth) {
  MlirOperation op = cira__def(value);
  cira_access_t access;
  if (mlirOperationIsNull(op) || !cira_loop_contains(loop, value) ||
      depth > max_depth) {
    return (MlirOperation){NULL};
  }
  if (cira_access_get(op, &access) && !access.is_store) {
    return op;
  }
  if (ciraOperationHasName(op, "cira.await") ||
      ciraOperationHasName(op, "cira.extract") ||
      ciraOperationGetEffects(op) == 0) {
    for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
      MlirOperation found =
          load_behind(loop, mlirOperationGetOperand(op, i), depth + 1);
      if (!mlirOperationIsNull(found)) {
        return found;
      }
    }
  }
  return (MlirOperation){NULL};
}

/* Through an await or an extract to the load and the field that it took. */
static bool link_load(MlirValue next, MlirOperation *out_load,
                      int64_t *out_offset) {
  int64_t field = -1;
  MlirOperation op;
  MlirType container = {NULL};
  if (cira__def_is(next, "cira.handle_cast", &op)) {
    next = mlirOperationGetOperand(op, 0);
  }
  if (cira__def_is(next, "cira.extract", &op)) {
    MlirAttribute index =
        mlirOperationGetAttributeByName(op, cira__str("static_index"));
    next = mlirOperationGetOperand(op, 0);
    if (mlirAttributeIsNull(index)) {
      return false;
    }
    field = mlirIntegerAttrGetValueInt(index);
    container = mlirValueGetType(next);
  }
  if (cira__def_is(next, "cira.await", &op)) {
    next = mlirOperationGetOperand(op, 0);
  }
  cira_access_t access;
  op = cira__def(next);
  if (mlirOperationIsNull(op) || !cira_access_get(op, &access) ||
      access.is_store || !ciraTypeIsAHandle(mlirValueGetType(access.base)) ||
      access.index_count != 0) {
    return false;
  }
  if (access.has_constant_index && field >= 0) {
    return false; /* a field of a field: no node layout to give */
  }
  if (access.has_constant_index) {
    field = access.constant_index;
    container = ciraHandleTypeGetElementType(mlirValueGetType(access.base));
  }
  MlirType type;
  *out_load = op;
  *out_offset = 0;
  return field < 0 || cira_layout_field(container, field, out_offset, &type);
}

/* The root is carried: a pointer that walks, or one that is followed. */
static void classify_carried(const cira_loop_t *loop, intptr_t carried,
                             cira_access_class_t *out) {
  MlirValue next = cira_loop_next(loop, carried);
  MlirOperation op;
  int64_t size, align, count;
  if (cira__def_is(next, "cira.handle_offset", &op) &&
      cira_loop_carried(loop, mlirOperationGetOperand(op, 0)) == carried &&
      cira_layout_size(ciraHandleTypeGetElementType(mlirValueGetType(next)),
                       &size, &align)) {
    MlirAttribute index =
        mlirOperationGetAttributeByName(op, cira__str("static_index"));
    bool constant =
        mlirAttributeIsNull(index)
            ? ciraValueGetConstant(mlirOperationGetOperand(op, 1), &count)
            : (count = mlirIntegerAttrGetValueInt(index), true);
    if (constant && count != 0 &&
        !__builtin_mul_overflow(size, count, &out->stride_bytes)) {
      set(out, CiraPatternStrided, "the pointer moves by a constant");
      return;
    }
    set(out, CiraPatternNone,
        "stride unknown: the pointer moves by a variable");
    return;
  }
  cira_access_t link;
  if (link_load(next, &op, &out->offset_bytes) && cira_access_get(op, &link) &&
      cira_loop_contains(loop, mlirOperationGetResult(op, 0))) {
    linear_t still = {0, NULL};
    if (cira_loop_carried(loop, root_of(loop, link.base, &still)) == carried) {
      out->carried = carried;
      out->source = op;
      set(out, CiraPatternLinked, "the next address is read from the node");
      return;
    }
  }
  set(out, CiraPatternNone,
      "the pointer is carried, but not read from the node it points to");
}

/* The address hangs on a load in the loop: indexed if that one is strided. */
static void classify_behind(const cira_loop_t *loop, MlirOperation load,
                            int depth, cira_access_class_t *out);

static void classify_in(const cira_access_t *access, const cira_loop_t *loop,
                        int depth, cira_access_class_t *out);

static void classify_behind(const cira_loop_t *loop, MlirOperation load,
                            int depth, cira_access_class_t *out) {
  cira_access_t access;
  cira_access_class_t inner = {0};
  cira_access_get(load, &access);
  if (depth < 2) {
    classify_in(&access, loop, depth + 1, &inner);
  }
  if (inner.pattern == CiraPatternStrided ||
      inner.pattern == CiraPatternFrontier) {
    out->stride_bytes = inner.stride_bytes;
    out->source = load;
    set(out, CiraPatternIndexed,
        "the address depends on a value that is read with a stride");
  } else if (inner.pattern == CiraPatternLinked) {
    set(out, CiraPatternNone, "the address is read from a linked node");
  } else if (inner.pattern == CiraPatternIndexed) {
    set(out, CiraPatternNone, "the address is two indirections away");
  } else {
    set(out, CiraPatternNone,
        "the address depends on a load that has no pattern itself");
  }
}

/* Is the run from `lower` on the row of a vertex that an outer loop reads out
 * of a list? Writes the load of the vertex. */
static bool is_row(const cira_loop_t *loop, MlirOperation *out_vertex) {
  cira_loop_t outer;
  if (loop->kind != CIRA_LOOP_FOR || !cira_loop_around(loop->op, &outer)) {
    return false;
  }
  cira_access_t row;
  MlirOperation load = load_behind(&outer, loop->lower, 0);
  if (mlirOperationIsNull(load) || !cira_access_get(load, &row) ||
      row.index_count == 0) {
    return false;
  }
  MlirOperation vertex =
      load_behind(&outer, mlirOperationGetOperand(row.op, row.first_index), 0);
  cira_access_t list;
  cira_access_class_t pattern = {0};
  if (mlirOperationIsNull(vertex) || !cira_access_get(vertex, &list)) {
    return false;
  }
  classify_in(&list, &outer, 1, &pattern);
  *out_vertex = vertex;
  return pattern.pattern == CiraPatternStrided;
}

static void classify_linear(const cira_loop_t *loop, int64_t stride,
                            cira_access_class_t *out) {
  MlirOperation vertex;
  out->stride_bytes = stride;
  if (stride == 0) {
    set(out, CiraPatternNone, "the address stays the same in the loop");
  } else if (is_row(loop, &vertex)) {
    out->source = vertex;
    set(out, CiraPatternFrontier,
        "the run is the row of a vertex read from a list");
  } else {
    set(out, CiraPatternStrided, "the address is linear in the loop counter");
  }
}

/* No linear form: is it an index that the loop itself reads? */
static void classify_index(const cira_access_t *access, const cira_loop_t *loop,
                           const char *why, int depth,
                           cira_access_class_t *out) {
  for (intptr_t i = 0; i < access->index_count; i++) {
    MlirOperation load = load_behind(
        loop, mlirOperationGetOperand(access->op, access->first_index + i), 0);
    if (!mlirOperationIsNull(load)) {
      classify_behind(loop, load, depth, out);
      return;
    }
  }
  set(out, CiraPatternNone, why);
}

static void classify_in(const cira_access_t *access, const cira_loop_t *loop,
                        int depth, cira_access_class_t *out) {
  int64_t align;
  *out = (cira_access_class_t){.carried = -1};
  if (!cira_layout_size(moved_type(access), &out->element_bytes, &align)) {
    set(out, CiraPatternNone, "the size of an element is not known");
    return;
  }
  linear_t bytes = {0, NULL};
  MlirValue root = root_of(loop, access->base, &bytes);
  if (cira_loop_contains(loop, root)) {
    intptr_t carried = cira_loop_carried(loop, root);
    MlirOperation load = load_behind(loop, root, 0);
    if (carried >= 0) {
      classify_carried(loop, carried, out);
    } else if (!mlirOperationIsNull(load)) {
      classify_behind(loop, load, depth, out);
    } else {
      set(out, CiraPatternNone, "the base is made anew in each iteration");
    }
    return;
  }
  if (!bytes.why) {
    linear_t index = ciraTypeIsAHandle(mlirValueGetType(access->base))
                         ? index_of_handle(loop, access, out->element_bytes)
                         : indices_of_memref(loop, access, out->element_bytes);
    if (index.why) {
      classify_index(access, loop, index.why, depth, out);
      return;
    }
    bytes.step += index.step;
    classify_linear(loop, bytes.step, out);
    return;
  }
  MlirOperation load = load_behind(loop, access->base, 0);
  if (mlirOperationIsNull(load)) {
    set(out, CiraPatternNone, bytes.why);
  } else {
    classify_behind(loop, load, depth, out);
  }
}

void cira_access_classify(const cira_access_t *access, const cira_loop_t *loop,
                          cira_access_class_t *out_class) {
  classify_in(access, loop, 0, out_class);
}

/* ---- Tiers -----------------------------------------------------------------
 */

bool cira_access_tier(MlirValue base, CiraTier *out_tier) {
  for (int depth = 0; depth < max_depth; depth++) {
    if (ciraTypeIsARemoteMemRef(mlirValueGetType(base))) {
      *out_tier = ciraRemoteMemRefTypeGetTier(mlirValueGetType(base));
      return true;
    }
    MlirOperation op = cira__def(base);
    if (mlirOperationIsNull(op)) {
      return false;
    }
    if (ciraOperationHasName(op, "cira.alloc")) {
      MlirAttribute tier =
          mlirOperationGetAttributeByName(op, cira__str("tier"));
      if (mlirAttributeIsNull(tier)) {
        return false;
      }
      *out_tier = ciraTierAttrGetValue(tier);
      return true;
    }
    if (!ciraOperationHasName(op, "cira.handle_offset") &&
        !ciraOperationHasName(op, "cira.handle_field") &&
        !ciraOperationHasName(op, "cira.handle_cast") &&
        !ciraOperationHasName(op, "cira.handle_view") &&
        !ciraOperationHasName(op, "cira.remote_cast") &&
        !ciraOperationHasName(op, "memref.cast")) {
      return false;
    }
    base = mlirOperationGetOperand(op, 0);
  }
  return false;
}
