/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>

bool cira__def_is(MlirValue value, const char *name, MlirOperation *out_op) {
  MlirOperation op = cira__def(value);
  if (mlirOperationIsNull(op) || !ciraOperationHasName(op, name)) {
    return false;
  }
  *out_op = op;
  return true;
}

void cira__remark(MlirOperation op, const char *pass, const char *format, ...) {
  char text[512];
  int used = snprintf(text, sizeof text, "%s: ", pass);
  va_list args;
  va_start(args, format);
  vsnprintf(text + used, sizeof text - (size_t)used, format, args);
  va_end(args);
  ciraEmitRemark(mlirOperationGetLocation(op), cira__str(text));
}

void cira__attr_set(MlirOperation op, const char *name, MlirAttribute value) {
  mlirOperationSetDiscardableAttributeByName(op, cira__str(name), value);
}

void cira__attr_drop(MlirOperation op, const char *name) {
  mlirOperationRemoveDiscardableAttributeByName(op, cira__str(name));
}

MlirAttribute cira__attr_get(MlirOperation op, const char *name) {
  return mlirOperationGetDiscardableAttributeByName(op, cira__str(name));
}

MlirOperation cira__build(const cira_op_spec_t *spec, MlirOperation before) {
  MlirOperationState state =
      mlirOperationStateGet(cira__str(spec->name), spec->loc);
  mlirOperationStateAddOperands(&state, spec->operand_count, spec->operands);
  mlirOperationStateAddResults(&state, spec->result_count, spec->results);
  mlirOperationStateAddAttributes(&state, spec->attr_count, spec->attrs);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before,
                                      op);
  return op;
}

MlirValue cira__build_index(MlirOperation before, int64_t number) {
  MlirContext ctx = mlirOperationGetContext(before);
  MlirType index = mlirIndexTypeGet(ctx);
  cira_op_spec_t spec = {.name = "arith.constant",
                         .loc = mlirOperationGetLocation(before),
                         .result_count = 1,
                         .results = {index},
                         .attr_count = 1,
                         .attrs = {{mlirIdentifierGet(ctx, cira__str("value")),
                                    mlirIntegerAttrGet(index, number)}}};
  return mlirOperationGetResult(cira__build(&spec, before), 0);
}

MlirValue cira__build_binary(MlirOperation before, const char *name,
                             MlirValue lhs, MlirValue rhs) {
  cira_op_spec_t spec = {.name = name,
                         .loc = mlirOperationGetLocation(before),
                         .operand_count = 2,
                         .operands = {lhs, rhs},
                         .result_count = 1,
                         .results = {mlirValueGetType(lhs)}};
  return mlirOperationGetResult(cira__build(&spec, before), 0);
}
