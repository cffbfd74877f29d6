/* SPDX-License-Identifier: Apache-2.0 */
#include "codegen/llvm_build.h"

#include "analysis/ir.h"
#include "analysis/llvm_loop.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>

enum { parts_max = 16 };

cira_lb_t cira_lb_at_end(MlirBlock block, int64_t loop) {
  MlirOperation parent = mlirBlockGetParentOperation(block);
  return (cira_lb_t){
      .ctx = mlirOperationGetContext(parent), .block = block, .loop = loop};
}

cira_lb_t cira_lb_before(MlirOperation op) {
  return (cira_lb_t){.ctx = mlirOperationGetContext(op),
                     .block = mlirOperationGetBlock(op),
                     .before = op,
                     .loop = -1};
}

MlirType cira_lb_i64(const cira_lb_t *b) {
  return mlirIntegerTypeGet(b->ctx, 64);
}

static MlirNamedAttribute named(const cira_lb_t *b, const char *name,
                                MlirAttribute value) {
  return (MlirNamedAttribute){mlirIdentifierGet(b->ctx, cira__str(name)),
                              value};
}

static MlirAttribute number_attr(const cira_lb_t *b, unsigned bits,
                                 int64_t value) {
  return mlirIntegerAttrGet(mlirIntegerTypeGet(b->ctx, bits), value);
}

static void put(cira_lb_t *b, MlirOperation op) {
  if (mlirOperationIsNull(b->before)) {
    mlirBlockAppendOwnedOperation(b->block, op);
  } else {
    mlirBlockInsertOwnedOperationBefore(b->block, b->before, op);
  }
}

static MlirOperation build(cira_lb_t *b, const char *name, intptr_t count,
                           const MlirValue *operands, MlirType result,
                           intptr_t attr_count,
                           const MlirNamedAttribute *attrs) {
  MlirOperationState state =
      mlirOperationStateGet(cira__str(name), mlirLocationUnknownGet(b->ctx));
  mlirOperationStateAddOperands(&state, count, operands);
  if (!mlirTypeIsNull(result)) {
    mlirOperationStateAddResults(&state, 1, &result);
  }
  mlirOperationStateAddAttributes(&state, attr_count, attrs);
  MlirOperation op = mlirOperationCreate(&state);
  put(b, op);
  return op;
}

static MlirValue result_of(MlirOperation op) {
  return mlirOperationGetResult(op, 0);
}

MlirValue cira_lb_constant(cira_lb_t *b, MlirType type, int64_t number) {
  MlirNamedAttribute value =
      named(b, "value", mlirIntegerAttrGet(type, number));
  return result_of(build(b, "llvm.mlir.constant", 0, NULL, type, 1, &value));
}

MlirValue cira_lb_null(cira_lb_t *b, MlirType pointer) {
  return result_of(build(b, "llvm.mlir.zero", 0, NULL, pointer, 0, NULL));
}

MlirValue cira_lb_binary(cira_lb_t *b, const char *name, MlirValue lhs,
                         MlirValue rhs) {
  MlirValue both[] = {lhs, rhs};
  return result_of(build(b, name, 2, both, mlirValueGetType(lhs), 0, NULL));
}

MlirValue cira_lb_cast(cira_lb_t *b, const char *name, MlirValue value,
                       MlirType type) {
  return result_of(build(b, name, 1, &value, type, 0, NULL));
}

MlirValue cira_lb_icmp(cira_lb_t *b, int64_t predicate, MlirValue lhs,
                       MlirValue rhs) {
  MlirValue both[] = {lhs, rhs};
  MlirNamedAttribute how = named(b, "predicate", number_attr(b, 64, predicate));
  return result_of(
      build(b, "llvm.icmp", 2, both, mlirIntegerTypeGet(b->ctx, 1), 1, &how));
}

MlirValue cira_lb_select(cira_lb_t *b, MlirValue condition, MlirValue yes,
                         MlirValue no) {
  MlirValue all[] = {condition, yes, no};
  return result_of(
      build(b, "llvm.select", 3, all, mlirValueGetType(yes), 0, NULL));
}

MlirValue cira_lb_freeze(cira_lb_t *b, MlirValue value) {
  return result_of(
      build(b, "llvm.freeze", 1, &value, mlirValueGetType(value), 0, NULL));
}

static MlirValue element(cira_lb_t *b, MlirValue pointer, int32_t constant,
                         intptr_t count, const MlirValue *operands) {
  MlirNamedAttribute attrs[] = {
      named(b, "rawConstantIndices",
            mlirDenseI32ArrayGet(b->ctx, 1, &constant)),
      named(b, "elem_type", mlirTypeAttrGet(mlirIntegerTypeGet(b->ctx, 8)))};
  return result_of(build(b, "llvm.getelementptr", count, operands,
                         mlirValueGetType(pointer), 2, attrs));
}

MlirValue cira_lb_offset_by(cira_lb_t *b, MlirValue pointer, MlirValue bytes) {
  MlirValue both[] = {pointer, bytes};
  return element(b, pointer, INT32_MIN /* an operand */, 2, both);
}

MlirValue cira_lb_offset(cira_lb_t *b, MlirValue pointer, int64_t bytes) {
  if (bytes <= INT32_MIN || bytes > INT32_MAX) {
    return cira_lb_offset_by(b, pointer,
                             cira_lb_constant(b, cira_lb_i64(b), bytes));
  }
  return element(b, pointer, (int32_t)bytes, 1, &pointer);
}

MlirValue cira_lb_load(cira_lb_t *b, MlirValue address, MlirType type,
                       int64_t alignment) {
  MlirNamedAttribute attr =
      named(b, "alignment", number_attr(b, 64, alignment));
  return result_of(
      build(b, "llvm.load", 1, &address, type, alignment != 0, &attr));
}

void cira_lb_store(cira_lb_t *b, MlirValue value, MlirValue address) {
  MlirValue both[] = {value, address};
  build(b, "llvm.store", 2, both, (MlirType){NULL}, 0, NULL);
}

void cira_lb_prefetch(cira_lb_t *b, MlirValue address, bool written,
                      int64_t hint) {
  MlirNamedAttribute attrs[] = {named(b, "rw", number_attr(b, 32, written)),
                                named(b, "hint", number_attr(b, 32, hint)),
                                named(b, "cache", number_attr(b, 32, 1))};
  build(b, "llvm.intr.prefetch", 1, &address, (MlirType){NULL}, 3, attrs);
}

MlirValue cira_lb_variable(MlirOperation function, MlirType type) {
  MlirBlock first =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(function, 0));
  cira_lb_t b = cira_lb_before(mlirBlockGetFirstOperation(first));
  MlirValue one = cira_lb_constant(&b, cira_lb_i64(&b), 1);
  MlirNamedAttribute attr = named(&b, "elem_type", mlirTypeAttrGet(type));
  MlirType pointer =
      mlirTypeParseGet(b.ctx, mlirStringRefCreateFromCString("!llvm.ptr"));
  return result_of(build(&b, "llvm.alloca", 1, &one, pointer, 1, &attr));
}

static bool is_promise(MlirStringRef name) {
  return mlirStringRefEqual(name, cira__str("cira.facts")) ||
         mlirStringRefEqual(name, cira__str("inbounds")) ||
         mlirStringRefEqual(name, cira__str("overflowFlags")) ||
         mlirStringRefEqual(name, cira__str("nonNeg"));
}

MlirValue cira_lb_copy(cira_lb_t *b, MlirOperation op,
                       const MlirValue *operands) {
  MlirNamedAttribute attrs[parts_max];
  intptr_t count = 0;
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(op); i++) {
    MlirNamedAttribute attr = mlirOperationGetAttribute(op, i);
    if (count < parts_max && !is_promise(mlirIdentifierStr(attr.name))) {
      attrs[count++] = attr;
    }
  }
  MlirStringRef name = mlirIdentifierStr(mlirOperationGetName(op));
  char text[64];
  snprintf(text, sizeof text, "%.*s", (int)name.length, name.data);
  return result_of(build(b, text, mlirOperationGetNumOperands(op), operands,
                         mlirValueGetType(mlirOperationGetResult(op, 0)), count,
                         attrs));
}

/* ---- blocks ---------------------------------------------------------------
 */

static MlirAttribute block_facts(const cira_lb_t *b) {
  MlirNamedAttribute entries[] = {named(b, "loop", number_attr(b, 64, b->loop)),
                                  named(b, "percent", number_attr(b, 64, 100))};
  return mlirDictionaryAttrGet(b->ctx, 2, entries);
}

static void end(cira_lb_t *b, const char *name, intptr_t count,
                const MlirValue *operands, intptr_t attr_count,
                const MlirNamedAttribute *attrs, intptr_t successors,
                const MlirBlock *to) {
  MlirOperationState state =
      mlirOperationStateGet(cira__str(name), mlirLocationUnknownGet(b->ctx));
  mlirOperationStateAddOperands(&state, count, operands);
  mlirOperationStateAddAttributes(&state, attr_count, attrs);
  mlirOperationStateAddSuccessors(&state, successors, to);
  MlirOperation op = mlirOperationCreate(&state);
  if (b->loop >= 0) {
    cira__attr_set(op, "cira.facts", block_facts(b));
  }
  mlirBlockAppendOwnedOperation(b->block, op);
}

void cira_lb_br(cira_lb_t *b, MlirBlock to, intptr_t count,
                const MlirValue *args) {
  end(b, "llvm.br", count, args, 0, NULL, 1, &to);
}

void cira_lb_cond_br(cira_lb_t *b, MlirValue condition, MlirBlock yes,
                     MlirBlock no) {
  MlirBlock ways[] = {yes, no};
  int32_t sizes[] = {1, 0, 0};
  MlirNamedAttribute segments =
      named(b, "operandSegmentSizes", mlirDenseI32ArrayGet(b->ctx, 3, sizes));
  end(b, "llvm.cond_br", 1, &condition, 1, &segments, 2, ways);
}

MlirBlock cira_lb_block(MlirBlock next, MlirContext ctx, MlirType type) {
  MlirLocation loc = mlirLocationUnknownGet(ctx);
  bool none = mlirTypeIsNull(type);
  MlirBlock block =
      mlirBlockCreate(none ? 0 : 1, none ? NULL : &type, none ? NULL : &loc);
  mlirRegionInsertOwnedBlockBefore(mlirBlockGetParentRegion(next), next, block);
  return block;
}

MlirBlock cira_lb_split(MlirOperation at) {
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

/* The dictionary without the entry `name`. */
static MlirAttribute without(MlirContext ctx, MlirAttribute facts,
                             const char *name) {
  MlirNamedAttribute entries[parts_max];
  intptr_t count = 0;
  for (intptr_t i = 0; i < mlirDictionaryAttrGetNumElements(facts); i++) {
    MlirNamedAttribute entry = mlirDictionaryAttrGetElement(facts, i);
    if (count < parts_max &&
        !mlirStringRefEqual(mlirIdentifierStr(entry.name), cira__str(name))) {
      entries[count++] = entry;
    }
  }
  return mlirDictionaryAttrGet(ctx, count, entries);
}

void cira_lb_end_split(MlirBlock first, MlirBlock rest) {
  MlirOperation start = cira__terminator(first), last = cira__terminator(rest);
  MlirContext ctx = mlirOperationGetContext(last);
  MlirAttribute facts = cira__attr_get(last, "cira.facts");
  if (mlirAttributeIsNull(facts)) {
    return;
  }
  cira__attr_set(start, "cira.facts", without(ctx, facts, "latch"));
  cira__attr_set(last, "cira.facts", without(ctx, facts, "steps"));
}
