/* SPDX-License-Identifier: Apache-2.0
 * cira-outline-offload: the region of each cira.offload becomes a function of
 * the values that it uses from outside, and one call of it stays. A device then
 * runs a function, and ops in a region may become several blocks. Constants
 * are not passed but made again inside. */
#include "analysis/ir.h"
#include "codegen/emit.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct offloads {
  MlirOperation *ops;
  intptr_t count, capacity;
  bool failed;
} offloads_t;

/* What a region uses from outside. */
typedef struct capture {
  MlirOperation offload;
  MlirValue values[cira_emit_operands_max];
  intptr_t count;
  bool too_many;
} capture_t;

static MlirWalkResult collect(MlirOperation op, void *data) {
  offloads_t *all = data;
  if (!ciraOperationHasName(op, "cira.offload")) {
    return MlirWalkResultAdvance;
  }
  if (all->count == all->capacity) {
    intptr_t capacity = all->capacity ? 2 * all->capacity : 16;
    MlirOperation *more =
        realloc(all->ops, (size_t)capacity * sizeof *all->ops);
    if (!more) {
      all->failed = !cira_emit_error(op, "cannot be outlined: out of memory");
      return MlirWalkResultInterrupt;
    }
    all->ops = more;
    all->capacity = capacity;
  }
  all->ops[all->count++] = op;
  return MlirWalkResultSkip;
}

static bool is_outside(MlirOperation offload, MlirValue value) {
  MlirOperation owner =
      mlirValueIsAOpResult(value)
          ? mlirOpResultGetOwner(value)
          : mlirBlockGetParentOperation(mlirBlockArgumentGetOwner(value));
  if (mlirValueIsAOpResult(value)) {
    return mlirOperationEqual(owner, offload) ||
           !ciraOperationIsAncestor(offload, owner);
  }
  return !ciraOperationIsAncestor(offload, owner);
}

static MlirWalkResult find_captured(MlirOperation op, void *data) {
  capture_t *capture = data;
  if (mlirOperationEqual(op, capture->offload)) {
    return MlirWalkResultAdvance;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    MlirValue value = mlirOperationGetOperand(op, i);
    bool known = !is_outside(capture->offload, value);
    for (intptr_t k = 0; k < capture->count && !known; k++) {
      known = mlirValueEqual(capture->values[k], value);
    }
    if (known) {
      continue;
    }
    if (capture->count == cira_emit_operands_max) {
      capture->too_many = true;
      return MlirWalkResultInterrupt;
    }
    capture->values[capture->count++] = value;
  }
  return MlirWalkResultAdvance;
}

typedef struct exchange {
  MlirValue from, to;
} exchange_t;

static MlirWalkResult exchange_operands(MlirOperation op, void *data) {
  const exchange_t *exchange = data;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    if (mlirValueEqual(mlirOperationGetOperand(op, i), exchange->from)) {
      mlirOperationSetOperand(op, i, exchange->to);
    }
  }
  return MlirWalkResultAdvance;
}

static void exchange_in_block(MlirBlock block, MlirValue from, MlirValue to) {
  exchange_t exchange = {from, to};
  MlirOperation op = mlirBlockGetFirstOperation(block);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    mlirOperationWalk(op, exchange_operands, &exchange, MlirWalkPreOrder);
  }
}

static bool is_constant(MlirValue value) {
  MlirOperation op;
  return cira__def_is(value, "arith.constant", &op) ||
         cira__def_is(value, "cira.handle_null", &op);
}

static bool is_outlined(MlirOperation offload) {
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(offload, 0));
  MlirOperation first = mlirBlockGetFirstOperation(body);
  return mlirBlockGetNumArguments(body) == 0 &&
         ciraOperationHasName(first, "cira.call") &&
         ciraOperationHasName(mlirOperationGetNextInBlock(first), "cira.yield");
}

/* func.func private @offload_N(inputs) -> results, at the end of `module`. */
static MlirOperation make_function(MlirOperation module, MlirOperation offload,
                                   MlirType type, char *out_name,
                                   size_t name_bytes) {
  MlirContext ctx = mlirOperationGetContext(offload);
  MlirSymbolTable table = mlirSymbolTableCreate(module);
  for (int n = 0;; n++) {
    snprintf(out_name, name_bytes, "offload_%d", n);
    if (mlirOperationIsNull(
            mlirSymbolTableLookup(table, cira__str(out_name)))) {
      break;
    }
  }
  mlirSymbolTableDestroy(table);
  const struct {
    const char *name;
    MlirAttribute value;
  } attrs[] = {
      {"sym_name", mlirStringAttrGet(ctx, cira__str(out_name))},
      {"function_type", mlirTypeAttrGet(type)},
      {"sym_visibility", mlirStringAttrGet(ctx, cira__str("private"))},
      {"llvm.linkage",
       mlirAttributeParseGet(ctx, cira__str("#llvm.linkage<internal>"))}};
  MlirNamedAttribute named[4];
  for (int i = 0; i < 4; i++) {
    named[i] = mlirNamedAttributeGet(
        mlirIdentifierGet(ctx, cira__str(attrs[i].name)), attrs[i].value);
  }
  MlirOperationState state = mlirOperationStateGet(
      cira__str("func.func"), mlirOperationGetLocation(offload));
  MlirRegion region = mlirRegionCreate();
  mlirOperationStateAddAttributes(&state, 4, named);
  mlirOperationStateAddOwnedRegions(&state, 1, &region);
  MlirOperation function = mlirOperationCreate(&state);
  mlirBlockAppendOwnedOperation(
      mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0)), function);
  return function;
}

/* cira.yield becomes func.return. */
static void end_function(MlirBlock body) {
  MlirOperation yield = mlirBlockGetTerminator(body);
  MlirOperationState state = mlirOperationStateGet(
      cira__str("func.return"), mlirOperationGetLocation(yield));
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(yield); i++) {
    MlirValue value = mlirOperationGetOperand(yield, i);
    mlirOperationStateAddOperands(&state, 1, &value);
  }
  mlirBlockInsertOwnedOperationBefore(body, yield, mlirOperationCreate(&state));
  mlirOperationDestroy(yield);
}

/* The offload again, without operands, around a call of `name`. */
static void replace(MlirOperation offload, const char *name, intptr_t count,
                    const MlirValue *arguments, intptr_t result_count,
                    const MlirType *results) {
  MlirContext ctx = mlirOperationGetContext(offload);
  MlirLocation loc = mlirOperationGetLocation(offload);
  MlirNamedAttribute callee =
      mlirNamedAttributeGet(mlirIdentifierGet(ctx, cira__str("callee")),
                            mlirFlatSymbolRefAttrGet(ctx, cira__str(name)));
  MlirOperationState state = mlirOperationStateGet(cira__str("cira.call"), loc);
  mlirOperationStateAddOperands(&state, count, arguments);
  mlirOperationStateAddResults(&state, result_count, results);
  mlirOperationStateAddAttributes(&state, 1, &callee);
  MlirOperation call = mlirOperationCreate(&state);
  MlirBlock body = mlirBlockCreate(0, NULL, NULL);
  mlirBlockAppendOwnedOperation(body, call);
  state = mlirOperationStateGet(cira__str("cira.yield"), loc);
  for (intptr_t i = 0; i < result_count; i++) {
    MlirValue value = mlirOperationGetResult(call, i);
    mlirOperationStateAddOperands(&state, 1, &value);
  }
  mlirBlockAppendOwnedOperation(body, mlirOperationCreate(&state));
  MlirRegion region = mlirRegionCreate();
  mlirRegionAppendOwnedBlock(region, body);
  state = mlirOperationStateGet(cira__str("cira.offload"), loc);
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(offload); i++) {
    MlirNamedAttribute attr = mlirOperationGetAttribute(offload, i);
    mlirOperationStateAddAttributes(&state, 1, &attr);
  }
  mlirOperationStateAddResults(&state, result_count, results);
  mlirOperationStateAddOwnedRegions(&state, 1, &region);
  MlirOperation made = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(offload), offload,
                                      made);
  for (intptr_t i = 0; i < result_count; i++) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(offload, i),
                                  mlirOperationGetResult(made, i));
  }
  mlirOperationDestroy(offload);
}

static void outline(MlirOperation module, MlirOperation offload,
                    capture_t *capture) {
  MlirContext ctx = mlirOperationGetContext(offload);
  MlirRegion region = mlirOperationGetRegion(offload, 0);
  MlirBlock body = mlirRegionGetFirstBlock(region);
  intptr_t inputs = mlirOperationGetNumOperands(offload);
  intptr_t result_count = mlirOperationGetNumResults(offload);
  MlirValue arguments[2 * cira_emit_operands_max];
  MlirType types[2 * cira_emit_operands_max], results[cira_emit_operands_max];
  intptr_t count = 0;
  for (; count < inputs; count++) {
    arguments[count] = mlirOperationGetOperand(offload, count);
    types[count] = mlirValueGetType(arguments[count]);
  }
  for (intptr_t i = 0; i < capture->count; i++) {
    MlirValue value = capture->values[i];
    if (is_constant(value)) {
      MlirOperation copy = mlirOperationClone(cira__def(value));
      mlirBlockInsertOwnedOperation(body, 0, copy);
      exchange_in_block(body, value, mlirOperationGetResult(copy, 0));
      continue;
    }
    arguments[count] = value;
    types[count] = mlirValueGetType(value);
    count++;
    exchange_in_block(body, value,
                      mlirBlockAddArgument(body, mlirValueGetType(value),
                                           mlirOperationGetLocation(offload)));
  }
  for (intptr_t i = 0; i < result_count; i++) {
    results[i] = mlirValueGetType(mlirOperationGetResult(offload, i));
  }
  char name[32];
  MlirOperation function = make_function(
      module, offload,
      mlirFunctionTypeGet(ctx, count, types, result_count, results), name,
      sizeof name);
  mlirRegionTakeBody(mlirOperationGetRegion(function, 0), region);
  end_function(body);
  replace(offload, name, count, arguments, result_count, results);
}

static bool outline_one(MlirOperation offload) {
  MlirOperation module = mlirOperationGetParentOperation(offload);
  while (!mlirOperationIsNull(module) &&
         !ciraOperationHasName(module, "builtin.module")) {
    module = mlirOperationGetParentOperation(module);
  }
  if (mlirOperationIsNull(module)) {
    return cira_emit_error(offload, "cannot be outlined: there is no module "
                                    "around it; put its function into one");
  }
  if (is_outlined(offload)) {
    return true;
  }
  capture_t capture = {.offload = offload};
  mlirOperationWalk(offload, find_captured, &capture, MlirWalkPreOrder);
  if (capture.too_many ||
      mlirOperationGetNumOperands(offload) > cira_emit_operands_max ||
      mlirOperationGetNumResults(offload) > cira_emit_operands_max) {
    return cira_emit_error(offload,
                           "cannot be outlined: it uses or gives more "
                           "than %d values; pass a struct",
                           cira_emit_operands_max);
  }
  outline(module, offload, &capture);
  return true;
}

bool cira__run_CiraOutlineOffload(MlirOperation op) {
  if (!ciraOperationHasName(op, "builtin.module")) {
    return cira_emit_error(op, "cira-outline-offload adds functions beside it; "
                               "run it on builtin.module");
  }
  offloads_t all = {0};
  mlirOperationWalk(op, collect, &all, MlirWalkPreOrder);
  for (intptr_t i = 0; i < all.count && !all.failed; i++) {
    all.failed = !outline_one(all.ops[i]);
  }
  free(all.ops);
  return !all.failed;
}
