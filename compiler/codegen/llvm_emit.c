/* SPDX-License-Identifier: Apache-2.0 */
#include "codegen/llvm_emit.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

enum { stack_bytes = 16 /* as stacks are aligned: less needs more code */ };

cira_llvm_build_t cira_llvm_build_in(MlirOperation function) {
  MlirContext ctx = mlirOperationGetContext(function);
  return (cira_llvm_build_t){.ctx = ctx,
                             .loc = mlirLocationUnknownGet(ctx),
                             .region = mlirOperationGetRegion(function, 0)};
}

MlirBlock cira_llvm_block(cira_llvm_build_t *b) {
  MlirBlock block = mlirBlockCreate(0, NULL, NULL);
  mlirRegionAppendOwnedBlock(b->region, block);
  return block;
}

MlirNamedAttribute cira_llvm_attr(cira_llvm_build_t *b, const char *name,
                                  MlirAttribute value) {
  return (MlirNamedAttribute){mlirIdentifierGet(b->ctx, cira__str(name)),
                              value};
}

MlirOperation cira_llvm_op(cira_llvm_build_t *b, const char *name,
                           intptr_t operand_count, const MlirValue *operands,
                           MlirType result, intptr_t attr_count,
                           const MlirNamedAttribute *attrs) {
  MlirOperationState state = mlirOperationStateGet(cira__str(name), b->loc);
  mlirOperationStateAddOperands(&state, operand_count, operands);
  if (!mlirTypeIsNull(result)) {
    mlirOperationStateAddResults(&state, 1, &result);
  }
  mlirOperationStateAddAttributes(&state, attr_count, attrs);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockAppendOwnedOperation(b->at, op);
  return op;
}

MlirType cira_llvm_int(cira_llvm_build_t *b, unsigned bits) {
  return mlirIntegerTypeGet(b->ctx, bits);
}

MlirType cira_llvm_ptr(cira_llvm_build_t *b) {
  return mlirLLVMPointerTypeGet(b->ctx, 0);
}

static MlirValue value_of(MlirOperation op) {
  return mlirOperationGetResult(op, 0);
}

MlirValue cira_llvm_constant(cira_llvm_build_t *b, MlirType type,
                             int64_t number) {
  MlirNamedAttribute attr =
      cira_llvm_attr(b, "value", mlirIntegerAttrGet(type, number));
  return value_of(
      cira_llvm_op(b, "llvm.mlir.constant", 0, NULL, type, 1, &attr));
}

MlirValue cira_llvm_zero(cira_llvm_build_t *b, MlirType type) {
  return value_of(cira_llvm_op(b, "llvm.mlir.zero", 0, NULL, type, 0, NULL));
}

MlirValue cira_llvm_binary(cira_llvm_build_t *b, const char *name, MlirValue x,
                           MlirValue y) {
  MlirValue both[] = {x, y};
  return value_of(cira_llvm_op(b, name, 2, both, mlirValueGetType(x), 0, NULL));
}

MlirValue cira_llvm_compare(cira_llvm_build_t *b, int predicate, MlirValue x,
                            MlirValue y) {
  MlirValue both[] = {x, y};
  MlirNamedAttribute how = cira_llvm_attr(
      b, "predicate", mlirIntegerAttrGet(cira_llvm_int(b, 64), predicate));
  return value_of(
      cira_llvm_op(b, "llvm.icmp", 2, both, cira_llvm_int(b, 1), 1, &how));
}

MlirValue cira_llvm_select(cira_llvm_build_t *b, MlirValue condition,
                           MlirValue x, MlirValue y) {
  MlirValue all[] = {condition, x, y};
  return value_of(
      cira_llvm_op(b, "llvm.select", 3, all, mlirValueGetType(x), 0, NULL));
}

static MlirValue gep(cira_llvm_build_t *b, intptr_t count,
                     const MlirValue *operands, int32_t index,
                     MlirType element) {
  MlirNamedAttribute attrs[] = {
      cira_llvm_attr(b, "rawConstantIndices",
                     mlirDenseI32ArrayGet(b->ctx, 1, &index)),
      cira_llvm_attr(b, "elem_type", mlirTypeAttrGet(element))};
  return value_of(cira_llvm_op(b, "llvm.getelementptr", count, operands,
                               mlirValueGetType(operands[0]), 2, attrs));
}

MlirValue cira_llvm_offset(cira_llvm_build_t *b, MlirValue pointer,
                           int64_t bytes) {
  return bytes ? gep(b, 1, &pointer, (int32_t)bytes, cira_llvm_int(b, 8))
               : pointer;
}

MlirValue cira_llvm_element(cira_llvm_build_t *b, MlirValue pointer,
                            MlirValue index, int64_t bytes) {
  MlirValue both[] = {pointer, index};
  return gep(b, 2, both, INT32_MIN, cira_llvm_int(b, (unsigned)(8 * bytes)));
}

MlirValue cira_llvm_load(cira_llvm_build_t *b, MlirType type,
                         MlirValue address) {
  return value_of(cira_llvm_op(b, "llvm.load", 1, &address, type, 0, NULL));
}

void cira_llvm_store(cira_llvm_build_t *b, MlirValue value, MlirValue address) {
  MlirValue both[] = {value, address};
  cira_llvm_op(b, "llvm.store", 2, both, (MlirType){NULL}, 0, NULL);
}

void cira_llvm_prefetch(cira_llvm_build_t *b, MlirValue address) {
  MlirType i32 = cira_llvm_int(b, 32);
  MlirNamedAttribute attrs[] = {
      cira_llvm_attr(b, "rw", mlirIntegerAttrGet(i32, 0)),
      cira_llvm_attr(b, "hint", mlirIntegerAttrGet(i32, 2)),
      cira_llvm_attr(b, "cache", mlirIntegerAttrGet(i32, 1))};
  cira_llvm_op(b, "llvm.intr.prefetch", 1, &address, (MlirType){NULL}, 3,
               attrs);
}

MlirValue cira_llvm_room(cira_llvm_build_t *b, int64_t bytes) {
  MlirBlock entry = mlirRegionGetFirstBlock(b->region);
  MlirOperation first = mlirBlockGetFirstOperation(entry);
  MlirType i64 = cira_llvm_int(b, 64);
  cira_op_spec_t one = {
      .name = "llvm.mlir.constant",
      .loc = b->loc,
      .result_count = 1,
      .results = {i64},
      .attr_count = 1,
      .attrs = {cira_llvm_attr(b, "value", mlirIntegerAttrGet(i64, 1))}};
  MlirType array = mlirLLVMArrayTypeGet(cira_llvm_int(b, 8), (unsigned)bytes);
  cira_op_spec_t room = {
      .name = "llvm.alloca",
      .loc = b->loc,
      .operand_count = 1,
      .operands = {value_of(cira__build(&one, first))},
      .result_count = 1,
      .results = {cira_llvm_ptr(b)},
      .attr_count = 2,
      .attrs = {cira_llvm_attr(b, "elem_type", mlirTypeAttrGet(array)),
                cira_llvm_attr(b, "alignment",
                               mlirIntegerAttrGet(i64, stack_bytes))}};
  return value_of(cira__build(&room, first));
}

void cira_llvm_br(cira_llvm_build_t *b, MlirBlock to, intptr_t count,
                  const MlirValue *values) {
  MlirOperationState state =
      mlirOperationStateGet(cira__str("llvm.br"), b->loc);
  mlirOperationStateAddOperands(&state, count, values);
  mlirOperationStateAddSuccessors(&state, 1, &to);
  mlirBlockAppendOwnedOperation(b->at, mlirOperationCreate(&state));
}

void cira_llvm_cond_br(cira_llvm_build_t *b, MlirValue condition, MlirBlock yes,
                       intptr_t yes_count, const MlirValue *yes_values,
                       MlirBlock no, intptr_t no_count,
                       const MlirValue *no_values) {
  MlirOperationState state =
      mlirOperationStateGet(cira__str("llvm.cond_br"), b->loc);
  MlirBlock ways[] = {yes, no};
  int32_t sizes[] = {1, (int32_t)yes_count, (int32_t)no_count};
  MlirNamedAttribute segments = cira_llvm_attr(
      b, "operandSegmentSizes", mlirDenseI32ArrayGet(b->ctx, 3, sizes));
  mlirOperationStateAddOperands(&state, 1, &condition);
  mlirOperationStateAddOperands(&state, yes_count, yes_values);
  mlirOperationStateAddOperands(&state, no_count, no_values);
  mlirOperationStateAddSuccessors(&state, 2, ways);
  mlirOperationStateAddAttributes(&state, 1, &segments);
  mlirBlockAppendOwnedOperation(b->at, mlirOperationCreate(&state));
}
