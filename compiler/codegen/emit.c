/* SPDX-License-Identifier: Apache-2.0 */
#include "codegen/emit.h"

#include "analysis/ir.h"
#include "analysis/layout.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

#include <stdio.h>
#include <string.h>

enum { array_by_element_max = 16, slot_align_bytes = 64 };

bool cira_emit_error(MlirOperation op, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  ciraEmitOpError(op, cira__str(text));
  return false;
}

/* ---- place --------------------------------------------------------------- */

void cira_emit_init(cira_emit_t *e, MlirOperation root) {
  MlirContext ctx = mlirOperationGetContext(root);
  *e = (cira_emit_t){.ctx = ctx,
                     .types = ciraTypeConverterCreate(ctx),
                     .ptr = mlirLLVMPointerTypeGet(ctx, 0),
                     .i1 = mlirIntegerTypeGet(ctx, 1),
                     .i8 = mlirIntegerTypeGet(ctx, 8),
                     .i32 = mlirIntegerTypeGet(ctx, 32),
                     .i64 = mlirIntegerTypeGet(ctx, 64),
                     .index = mlirIndexTypeGet(ctx)};
}

void cira_emit_fini(cira_emit_t *e) {
  ciraTypeConverterDestroy(e->types);
}

static void enter_module(cira_emit_t *e, MlirOperation module) {
  if (mlirOperationEqual(module, e->module)) {
    return;
  }
  e->module = module;
  e->range_declared = false;
  e->inline_count = 0;
  memset(e->declared, 0, sizeof e->declared);
  e->checked = false;
  for (MlirOperation op = module; !mlirOperationIsNull(op);
       op = mlirOperationGetParentOperation(op)) {
    e->checked =
        e->checked || !mlirAttributeIsNull(cira__attr_get(op, "cira.checked"));
  }
}

static bool is_function(MlirOperation op) {
  return ciraOperationHasName(op, "func.func") ||
         ciraOperationHasName(op, "llvm.func");
}

bool cira_emit_at(cira_emit_t *e, MlirOperation op) {
  MlirOperation function = mlirOperationGetParentOperation(op);
  while (!mlirOperationIsNull(function) && !is_function(function)) {
    function = mlirOperationGetParentOperation(function);
  }
  MlirOperation module = function;
  while (!mlirOperationIsNull(module) &&
         !ciraOperationHasName(module, "builtin.module")) {
    module = mlirOperationGetParentOperation(module);
  }
  if (mlirOperationIsNull(module)) {
    return cira_emit_error(op, "cannot be lowered outside of a function; put "
                               "it into a func.func of a module");
  }
  enter_module(e, module);
  if (!mlirOperationEqual(function, e->function)) {
    e->function = function;
    memset(e->scratch, 0, sizeof e->scratch);
  }
  e->loc = mlirOperationGetLocation(op);
  e->block = mlirOperationGetBlock(op);
  e->before = op;
  return true;
}

static void put(cira_emit_t *e, MlirOperation op) {
  if (mlirOperationIsNull(e->before)) {
    mlirBlockAppendOwnedOperation(e->block, op);
  } else {
    mlirBlockInsertOwnedOperationBefore(e->block, e->before, op);
  }
}

static MlirOperation make(cira_emit_t *e, const char *name,
                          intptr_t operand_count, const MlirValue *operands,
                          intptr_t result_count, const MlirType *results,
                          intptr_t attr_count, const cira_emit_attr_t *attrs,
                          intptr_t region_count) {
  MlirOperationState state = mlirOperationStateGet(cira__str(name), e->loc);
  mlirOperationStateAddOperands(&state, operand_count, operands);
  mlirOperationStateAddResults(&state, result_count, results);
  MlirNamedAttribute named[8];
  for (intptr_t i = 0; i < attr_count; i++) {
    named[i] = mlirNamedAttributeGet(
        mlirIdentifierGet(e->ctx, cira__str(attrs[i].name)), attrs[i].value);
  }
  mlirOperationStateAddAttributes(&state, attr_count, named);
  for (intptr_t i = 0; i < region_count; i++) {
    MlirRegion region = mlirRegionCreate();
    mlirOperationStateAddOwnedRegions(&state, 1, &region);
  }
  return mlirOperationCreate(&state);
}

MlirOperation cira_emit_op(cira_emit_t *e, const char *name,
                           intptr_t operand_count, const MlirValue *operands,
                           intptr_t result_count, const MlirType *results,
                           intptr_t attr_count, const cira_emit_attr_t *attrs,
                           intptr_t region_count) {
  MlirOperation op = make(e, name, operand_count, operands, result_count,
                          results, attr_count, attrs, region_count);
  put(e, op);
  return op;
}

/* One result, at most one attribute. */
static MlirValue value_op(cira_emit_t *e, const char *name,
                          intptr_t operand_count, const MlirValue *operands,
                          MlirType type, const char *attr,
                          MlirAttribute value) {
  cira_emit_attr_t attrs[1] = {{attr, value}};
  MlirOperation op = cira_emit_op(e, name, operand_count, operands, 1, &type,
                                  attr != NULL, attrs, 0);
  return mlirOperationGetResult(op, 0);
}

/* ---- types ----------------------------------------------------------------
 */

static void type_text(MlirStringRef part, void *text) {
  char *end = (char *)text + strlen(text);
  size_t room = 200 - (size_t)(end - (char *)text);
  size_t n = part.length < room ? part.length : room - 1;
  memcpy(end, part.data, n);
  end[n] = '\0';
}

MlirType cira_emit_type(cira_emit_t *e, MlirOperation op, MlirType type) {
  MlirType converted = ciraTypeConverterConvert(e->types, type);
  if (mlirTypeIsNull(converted)) {
    char text[256] = "";
    mlirTypePrint(type, type_text, text);
    cira_emit_error(op,
                    "cannot be lowered: %s has no form in LLVM; bufferize "
                    "tensors and use layouts with strides",
                    text);
  }
  return converted;
}

bool cira_emit_size(cira_emit_t *e, MlirOperation op, MlirType type,
                    int64_t *out_bytes) {
  int64_t align;
  MlirType converted = cira_emit_type(e, op, type);
  if (mlirTypeIsNull(converted)) {
    return false;
  }
  if (cira_layout_size(converted, out_bytes, &align)) {
    return true;
  }
  char text[256] = "";
  mlirTypePrint(type, type_text, text);
  return cira_emit_error(op,
                         "cannot be lowered: %s has no known size in memory; "
                         "give a struct its body, a vector a constant size",
                         text);
}

MlirValue cira_emit_cast(cira_emit_t *e, MlirValue value, MlirType type) {
  MlirOperation def;
  if (mlirTypeEqual(mlirValueGetType(value), type)) {
    return value;
  }
  if (cira__def_is(value, "builtin.unrealized_conversion_cast", &def) &&
      mlirOperationGetNumOperands(def) == 1 &&
      mlirTypeEqual(mlirValueGetType(mlirOperationGetOperand(def, 0)), type)) {
    return mlirOperationGetOperand(def, 0);
  }
  return value_op(e, "builtin.unrealized_conversion_cast", 1, &value, type,
                  NULL, (MlirAttribute){NULL});
}

MlirValue cira_emit_operand(cira_emit_t *e, MlirOperation op, intptr_t i) {
  MlirValue value = mlirOperationGetOperand(op, i);
  MlirType type = ciraTypeConverterConvert(e->types, mlirValueGetType(value));
  return mlirTypeIsNull(type) ? value : cira_emit_cast(e, value, type);
}

void cira_emit_result(cira_emit_t *e, MlirOperation op, intptr_t i,
                      MlirValue value) {
  MlirValue result = mlirOperationGetResult(op, i);
  mlirValueReplaceAllUsesOfWith(
      result, cira_emit_cast(e, value, mlirValueGetType(result)));
}

/* ---- values ---------------------------------------------------------------
 */

MlirValue cira_emit_int(cira_emit_t *e, MlirType type, int64_t number) {
  return value_op(e, "llvm.mlir.constant", 0, NULL, type, "value",
                  mlirIntegerAttrGet(type, number));
}

MlirValue cira_emit_i64(cira_emit_t *e, int64_t number) {
  return cira_emit_int(e, e->i64, number);
}

MlirValue cira_emit_i32(cira_emit_t *e, int64_t number) {
  return cira_emit_int(e, e->i32, number);
}

MlirValue cira_emit_undef(cira_emit_t *e, MlirType type) {
  return value_op(e, "llvm.mlir.undef", 0, NULL, type, NULL,
                  (MlirAttribute){NULL});
}

MlirValue cira_emit_null(cira_emit_t *e) {
  return value_op(e, "llvm.mlir.zero", 0, NULL, e->ptr, NULL,
                  (MlirAttribute){NULL});
}

MlirValue cira_emit_binary(cira_emit_t *e, const char *name, MlirValue a,
                           MlirValue b) {
  MlirValue both[2] = {a, b};
  return value_op(e, name, 2, both, mlirValueGetType(a), NULL,
                  (MlirAttribute){NULL});
}

MlirValue cira_emit_scale(cira_emit_t *e, MlirValue a, int64_t number) {
  return number == 1
             ? a
             : cira_emit_binary(e, "llvm.mul", a, cira_emit_i64(e, number));
}

MlirValue cira_emit_compare(cira_emit_t *e, cira_compare_t how, MlirValue a,
                            MlirValue b) {
  MlirValue both[2] = {a, b};
  return value_op(e, "llvm.icmp", 2, both, e->i1, "predicate",
                  mlirIntegerAttrGet(e->i64, how));
}

MlirValue cira_emit_convert(cira_emit_t *e, const char *name, MlirValue a,
                            MlirType to) {
  return value_op(e, name, 1, &a, to, NULL, (MlirAttribute){NULL});
}

MlirValue cira_emit_extract(cira_emit_t *e, MlirValue aggregate, int64_t at,
                            MlirType type) {
  return value_op(e, "llvm.extractvalue", 1, &aggregate, type, "position",
                  mlirDenseI64ArrayGet(e->ctx, 1, &at));
}

MlirValue cira_emit_insert(cira_emit_t *e, MlirValue aggregate, MlirValue part,
                           int64_t at) {
  MlirValue both[2] = {aggregate, part};
  return value_op(e, "llvm.insertvalue", 2, both, mlirValueGetType(aggregate),
                  "position", mlirDenseI64ArrayGet(e->ctx, 1, &at));
}

/* ---- memory ---------------------------------------------------------------
 */

MlirValue cira_emit_add(cira_emit_t *e, MlirValue pointer, MlirValue bytes) {
  MlirValue both[2] = {pointer, bytes};
  int32_t dynamic = INT32_MIN; /* llvm.getelementptr's mark for an operand */
  cira_emit_attr_t attrs[] = {
      {"rawConstantIndices", mlirDenseI32ArrayGet(e->ctx, 1, &dynamic)},
      {"elem_type", mlirTypeAttrGet(e->i8)}};
  return mlirOperationGetResult(
      cira_emit_op(e, "llvm.getelementptr", 2, both, 1, &e->ptr, 2, attrs, 0),
      0);
}

MlirValue cira_emit_add_const(cira_emit_t *e, MlirValue pointer,
                              int64_t bytes) {
  return bytes == 0 ? pointer
                    : cira_emit_add(e, pointer, cira_emit_i64(e, bytes));
}

/* How many parts a type is loaded in; 0: as a whole. */
static intptr_t part_count(MlirType type) {
  uint64_t count;
  MlirType element;
  if (mlirTypeIsALLVMStructType(type) && !mlirLLVMStructTypeIsOpaque(type)) {
    return mlirLLVMStructTypeGetNumElementTypes(type);
  }
  if (ciraTypeIsALLVMArray(type, &count, &element) &&
      count <= array_by_element_max) {
    return (intptr_t)count;
  }
  return 0;
}

/* An alignment that holds for a part of something less aligned. */
static MlirAttribute align_attr(cira_emit_t *e, int64_t align_bytes) {
  return mlirIntegerAttrGet(e->i64, align_bytes);
}

static int64_t align_of_part(MlirType container, int64_t align_bytes,
                             int64_t offset) {
  bool packed = mlirTypeIsALLVMStructType(container) &&
                mlirLLVMStructTypeIsPacked(container);
  int64_t align = packed && align_bytes == 0 ? 1 : align_bytes;
  while (align > 1 && offset % align != 0) {
    align /= 2;
  }
  return align;
}

MlirValue cira_emit_load(cira_emit_t *e, MlirValue pointer, MlirType type,
                         int64_t align_bytes) {
  intptr_t parts = part_count(type);
  if (parts == 0) {
    return value_op(
        e, "llvm.load", 1, &pointer, type, align_bytes ? "alignment" : NULL,
        align_bytes ? align_attr(e, align_bytes) : (MlirAttribute){NULL});
  }
  MlirValue whole = cira_emit_undef(e, type);
  for (intptr_t i = 0; i < parts; i++) {
    int64_t offset;
    MlirType part;
    if (!cira_layout_field(type, i, &offset, &part)) {
      continue; /* no size: refused before */
    }
    MlirValue value =
        cira_emit_load(e, cira_emit_add_const(e, pointer, offset), part,
                       align_of_part(type, align_bytes, offset));
    whole = cira_emit_insert(e, whole, value, i);
  }
  return whole;
}

void cira_emit_store(cira_emit_t *e, MlirValue value, MlirValue pointer,
                     MlirType type, int64_t align_bytes) {
  intptr_t parts = part_count(type);
  if (parts == 0) {
    MlirValue both[2] = {value, pointer};
    cira_emit_attr_t attr = {"alignment", align_attr(e, align_bytes)};
    cira_emit_op(e, "llvm.store", 2, both, 0, NULL, align_bytes != 0, &attr, 0);
    return;
  }
  for (intptr_t i = 0; i < parts; i++) {
    int64_t offset;
    MlirType part;
    if (cira_layout_field(type, i, &offset, &part)) {
      cira_emit_store(e, cira_emit_extract(e, value, i, part),
                      cira_emit_add_const(e, pointer, offset), part,
                      align_of_part(type, align_bytes, offset));
    }
  }
}

/* In front of everything else in the function. */
MlirValue cira_emit_slot(cira_emit_t *e, int64_t bytes) {
  MlirBlock first =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(e->function, 0));
  cira_emit_attr_t one = {"value", mlirIntegerAttrGet(e->i64, 1)};
  MlirOperation count =
      make(e, "llvm.mlir.constant", 0, NULL, 1, &e->i64, 1, &one, 0);
  MlirValue number = mlirOperationGetResult(count, 0);
  cira_emit_attr_t attrs[] = {
      {"elem_type", mlirTypeAttrGet(mlirLLVMArrayTypeGet(
                        e->i8, (unsigned)(bytes > 0 ? bytes : 1)))},
      {"alignment", align_attr(e, slot_align_bytes)}};
  MlirOperation slot =
      make(e, "llvm.alloca", 1, &number, 1, &e->ptr, 2, attrs, 0);
  mlirBlockInsertOwnedOperation(first, 0, slot);
  mlirBlockInsertOwnedOperation(first, 0, count);
  return mlirOperationGetResult(slot, 0);
}

MlirValue cira_emit_scratch(cira_emit_t *e, int64_t bytes) {
  int log2 = 4;
  while (log2 < cira_emit_scratch_classes - 1 && (int64_t)1 << log2 < bytes) {
    log2++;
  }
  if (mlirValueIsNull(e->scratch[log2])) {
    int64_t least = (int64_t)1 << log2;
    e->scratch[log2] = cira_emit_slot(e, least > bytes ? least : bytes);
  }
  return e->scratch[log2];
}

void cira_emit_prefetch(cira_emit_t *e, MlirValue pointer, int level) {
  cira_emit_attr_t attrs[] = {{"rw", mlirIntegerAttrGet(e->i32, 0)},
                              {"hint", mlirIntegerAttrGet(e->i32, 4 - level)},
                              {"cache", mlirIntegerAttrGet(e->i32, 1)}};
  cira_emit_op(e, "llvm.intr.prefetch", 1, &pointer, 0, NULL, 3, attrs, 0);
}

/* ---- branches -------------------------------------------------------------
 */

cira_if_t cira_emit_if(cira_emit_t *e, MlirValue condition) {
  cira_if_t f = {
      .condition = condition,
      .outer = e->block,
      .before = e->before,
      .arms = {mlirBlockCreate(0, NULL, NULL), mlirBlockCreate(0, NULL, NULL)}};
  e->block = f.arms[0];
  e->before = (MlirOperation){NULL};
  return f;
}

void cira_emit_else(cira_emit_t *e, cira_if_t *f, intptr_t count,
                    const MlirValue *values) {
  cira_emit_op(e, "scf.yield", count, values, 0, NULL, 0, NULL, 0);
  e->block = f->arms[1];
}

void cira_emit_end(cira_emit_t *e, cira_if_t *f, intptr_t count,
                   const MlirValue *values, MlirValue *out_results) {
  cira_emit_op(e, "scf.yield", count, values, 0, NULL, 0, NULL, 0);
  e->block = f->outer;
  e->before = f->before;
  MlirType types[cira_emit_operands_max];
  for (intptr_t i = 0; i < count; i++) {
    types[i] = mlirValueGetType(values[i]);
  }
  MlirOperation op =
      make(e, "scf.if", 1, &f->condition, count, types, 0, NULL, 2);
  for (intptr_t i = 0; i < 2; i++) {
    mlirRegionAppendOwnedBlock(mlirOperationGetRegion(op, i), f->arms[i]);
  }
  put(e, op);
  for (intptr_t i = 0; i < count; i++) {
    out_results[i] = mlirOperationGetResult(op, i);
  }
}
