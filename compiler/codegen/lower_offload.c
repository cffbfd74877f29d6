/* SPDX-License-Identifier: Apache-2.0
 * Work on other threads, and order between them. An offload region that
 * cira-outline-offload has made a call becomes: its operands stored in a
 * record, and a small function ("thunk") that takes them out again, calls, and
 * stores the results; the runtime copies the record to where it runs the
 * thunk. Every field of a record lies at a multiple of 8 bytes. */
#include "codegen/array.h"
#include "codegen/lower.h"

#include "analysis/ir.h"
#include "analysis/layout.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { field_align_bytes = 8 };

/* ---- calls ----------------------------------------------------------------
 */

static MlirOperation find_symbol(cira_emit_t *e, MlirStringRef name) {
  MlirSymbolTable table = mlirSymbolTableCreate(e->module);
  MlirOperation found = mlirSymbolTableLookup(table, name);
  mlirSymbolTableDestroy(table);
  return found;
}

static MlirStringRef callee_name(MlirOperation call) {
  return mlirFlatSymbolRefAttrGetValue(
      mlirOperationGetAttributeByName(call, cira__str("callee")));
}

/* Calls `name` with these values, cast to what the function takes. */
static MlirOperation emit_call(cira_emit_t *e, MlirStringRef name,
                               intptr_t count, MlirValue *arguments,
                               intptr_t result_count, const MlirType *results) {
  MlirOperation callee = find_symbol(e, name);
  bool is_llvm = ciraOperationHasName(callee, "llvm.func");
  MlirType type = mlirTypeAttrGetValue(
      mlirOperationGetAttributeByName(callee, cira__str("function_type")));
  for (intptr_t i = 0; i < count && !is_llvm; i++) {
    MlirType wanted = mlirFunctionTypeGetInput(type, i);
    if (!mlirTypeEqual(mlirValueGetType(arguments[i]), wanted)) {
      MlirType lowered = ciraTypeConverterConvert(e->types, wanted);
      arguments[i] =
          cira_emit_cast(e, cira_emit_cast(e, arguments[i], lowered), wanted);
    }
  }
  cira_emit_attr_t attr = {"callee", mlirFlatSymbolRefAttrGet(e->ctx, name)};
  return cira_emit_op(e, is_llvm ? "llvm.call" : "func.call", count, arguments,
                      result_count, results, 1, &attr, 0);
}

bool cira_lower_call(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  intptr_t count = mlirOperationGetNumOperands(op);
  intptr_t result_count = mlirOperationGetNumResults(op);
  if (count > cira_emit_operands_max || result_count > cira_emit_operands_max) {
    return cira_emit_error(op,
                           "cannot be lowered with more than %d operands "
                           "or results; pass a struct",
                           cira_emit_operands_max);
  }
  MlirValue arguments[cira_emit_operands_max];
  MlirType results[cira_emit_operands_max];
  for (intptr_t i = 0; i < count; i++) {
    arguments[i] = mlirOperationGetOperand(op, i);
    if (ciraTypeIsAHandle(mlirValueGetType(arguments[i]))) {
      arguments[i] = cira_emit_operand(e, op, i);
    }
  }
  for (intptr_t i = 0; i < result_count; i++) {
    results[i] = mlirValueGetType(mlirOperationGetResult(op, i));
  }
  MlirOperation made =
      emit_call(e, callee_name(op), count, arguments, result_count, results);
  for (intptr_t i = 0; i < result_count; i++) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(op, i),
                                  mlirOperationGetResult(made, i));
  }
  return true;
}

/* ---- offload --------------------------------------------------------------
 */

typedef struct record {
  intptr_t count; /* operands of the call, then its results */
  intptr_t operand_count;
  MlirType types[2 * cira_emit_operands_max]; /* of the program */
  MlirType lowered[2 * cira_emit_operands_max];
  int64_t offsets[2 * cira_emit_operands_max];
  int64_t bytes;
} record_t;

static bool add_field(cira_emit_t *e, MlirOperation op, record_t *record,
                      MlirType type) {
  int64_t bytes;
  MlirType lowered = cira_emit_type(e, op, type);
  if (mlirTypeIsNull(lowered) || !cira_emit_size(e, op, lowered, &bytes)) {
    return false;
  }
  record->types[record->count] = type;
  record->lowered[record->count] = lowered;
  record->offsets[record->count++] = record->bytes;
  record->bytes +=
      (bytes + field_align_bytes - 1) / field_align_bytes * field_align_bytes;
  return true;
}

static bool make_record(cira_emit_t *e, MlirOperation op, MlirOperation call,
                        record_t *record) {
  *record = (record_t){0};
  intptr_t operands = mlirOperationGetNumOperands(call);
  intptr_t results = mlirOperationGetNumResults(call);
  if (operands > cira_emit_operands_max || results > cira_emit_operands_max) {
    return cira_emit_error(op,
                           "cannot be lowered: its region uses more than "
                           "%d values from outside; pass a struct",
                           cira_emit_operands_max);
  }
  for (intptr_t i = 0; i < operands; i++) {
    if (!add_field(e, op, record,
                   mlirValueGetType(mlirOperationGetOperand(call, i)))) {
      return false;
    }
  }
  record->operand_count = record->count;
  for (intptr_t i = 0; i < results; i++) {
    if (!add_field(e, op, record,
                   mlirValueGetType(mlirOperationGetResult(call, i)))) {
      return false;
    }
  }
  return true;
}

/* The call that is all there is in the region, or an error. */
static bool outlined_call(MlirOperation op, MlirOperation *out_call) {
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, 0));
  MlirOperation call = mlirBlockGetFirstOperation(body);
  if (!ciraOperationHasName(call, "cira.call") ||
      !ciraOperationHasName(mlirOperationGetNextInBlock(call), "cira.yield") ||
      mlirBlockGetNumArguments(body) != 0) {
    return cira_emit_error(op, "cannot be lowered as a region; run "
                               "cira-outline-offload first");
  }
  *out_call = call;
  return true;
}

/* The core that a device's name ends in: vortex_core_3, vortex_3; -1: any. */
static int64_t core_of(MlirOperation op) {
  MlirStringRef name = mlirFlatSymbolRefAttrGetValue(
      mlirOperationGetAttributeByName(op, cira__str("device")));
  MlirAttribute machine = ciraOperationGetMachine(op);
  for (intptr_t i = 0;; i++) {
    MlirStringRef device = ciraMachineAttrGetDevice(machine, i);
    if (device.length == 0) {
      break;
    }
    if (mlirStringRefEqual(device, name)) {
      return -1;
    }
  }
  size_t at = name.length;
  while (at > 0 && name.data[at - 1] >= '0' && name.data[at - 1] <= '9') {
    at--;
  }
  char digits[12] = "";
  size_t length = name.length - at < sizeof digits - 1 ? name.length - at
                                                       : sizeof digits - 1;
  memcpy(digits, name.data + at, length);
  return length > 0 ? strtol(digits, NULL, 10) & INT32_MAX : -1;
}

static MlirValue field_address(cira_emit_t *e, const record_t *record,
                               MlirValue base, intptr_t i) {
  return cira_emit_add_const(e, base, record->offsets[i]);
}

/* llvm.func internal @<callee>_thunk(record). One per call: two calls of one
 * function may have records of different types. */
static MlirAttribute make_thunk(cira_emit_t *e, MlirOperation call,
                                const record_t *record) {
  MlirStringRef callee = callee_name(call);
  char name[256];
  for (int n = 0;; n++) {
    snprintf(name, sizeof name, "%.*s_thunk_%d",
             (int)(callee.length < 200 ? callee.length : 200), callee.data, n);
    if (mlirOperationIsNull(find_symbol(e, cira__str(name)))) {
      break;
    }
  }
  MlirType type =
      mlirLLVMFunctionTypeGet(mlirLLVMVoidTypeGet(e->ctx), 1, &e->ptr, false);
  cira_emit_attr_t attrs[] = {
      {"sym_name", mlirStringAttrGet(e->ctx, cira__str(name))},
      {"function_type", mlirTypeAttrGet(type)},
      {"linkage", mlirLLVMLinkageAttrGet(e->ctx, MlirLLVMLinkageInternal)}};
  cira_emit_t in = *e;
  in.block = mlirRegionGetFirstBlock(mlirOperationGetRegion(e->module, 0));
  in.before = (MlirOperation){NULL};
  MlirOperation thunk =
      cira_emit_op(&in, "llvm.func", 0, NULL, 0, NULL, 3, attrs, 1);
  in.block = mlirBlockCreate(1, &e->ptr, &e->loc);
  mlirRegionAppendOwnedBlock(mlirOperationGetRegion(thunk, 0), in.block);
  MlirValue base = mlirBlockGetArgument(in.block, 0);
  MlirValue arguments[cira_emit_operands_max];
  for (intptr_t i = 0; i < record->operand_count; i++) {
    arguments[i] =
        cira_emit_cast(&in,
                       cira_emit_load(&in, field_address(&in, record, base, i),
                                      record->lowered[i], field_align_bytes),
                       record->types[i]);
  }
  intptr_t first = record->operand_count;
  MlirOperation made = emit_call(&in, callee, first, arguments,
                                 record->count - first, record->types + first);
  for (intptr_t i = first; i < record->count; i++) {
    MlirValue value = cira_emit_cast(
        &in, mlirOperationGetResult(made, i - first), record->lowered[i]);
    cira_emit_store(&in, value, field_address(&in, record, base, i),
                    record->lowered[i], field_align_bytes);
  }
  cira_emit_op(&in, "llvm.return", 0, NULL, 0, NULL, 0, NULL, 0);
  return mlirFlatSymbolRefAttrGet(e->ctx, cira__str(name));
}

bool cira_lower_offload(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirOperation call;
  record_t record;
  if (!outlined_call(op, &call) || !make_record(e, op, call, &record)) {
    return false;
  }
  cira_emit_attr_t thunk = {"global_name", make_thunk(e, call, &record)};
  MlirValue function = mlirOperationGetResult(
      cira_emit_op(e, "llvm.mlir.addressof", 0, NULL, 1, &e->ptr, 1, &thunk, 0),
      0);
  MlirValue base = cira_emit_scratch(e, record.bytes);
  for (intptr_t i = 0; i < record.operand_count; i++) {
    MlirValue value =
        cira_emit_cast(e, mlirOperationGetOperand(call, i), record.lowered[i]);
    cira_emit_store(e, value, field_address(e, &record, base, i),
                    record.lowered[i], field_align_bytes);
  }
  MlirValue arguments[4] = {cira_emit_i32(e, core_of(op)), function, base,
                            cira_emit_i64(e, record.bytes)};
  if (mlirOperationGetNumResults(op) == 0) {
    cira_emit_call(e, CIRA_FN_cira_abi_offload_begin, arguments);
    return true;
  }
  cira_emit_call(e, CIRA_FN_cira_abi_offload_call, arguments);
  MlirOperation yield = mlirOperationGetNextInBlock(call);
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
    MlirValue given = mlirOperationGetOperand(yield, i);
    if (!mlirValueIsAOpResult(given) ||
        !mlirOperationEqual(mlirOpResultGetOwner(given), call)) {
      mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(op, i), given);
      continue;
    }
    intptr_t at = record.operand_count + mlirOpResultGetResultNumber(given);
    cira_emit_result(e, op, i,
                     cira_emit_load(e, field_address(e, &record, base, at),
                                    record.lowered[at], field_align_bytes));
  }
  return true;
}

/* ---- order ----------------------------------------------------------------
 */

bool cira_lower_barrier(cira_lowering_t *l, MlirOperation op) {
  (void)op;
  cira_emit_call(&l->e, CIRA_FN_cira_abi_barrier, NULL);
  return true;
}

bool cira_lower_fence(cira_lowering_t *l, MlirOperation op) {
  (void)op;
  cira_emit_call(&l->e, CIRA_FN_cira_abi_fence, NULL);
  return true;
}

bool cira_lower_release(cira_lowering_t *l, MlirOperation op) {
  (void)op;
  cira_emit_call(&l->e, CIRA_FN_cira_abi_release, NULL);
  return true;
}

bool cira_lower_token_create(cira_lowering_t *l, MlirOperation op) {
  cira_emit_result(&l->e, op, 0,
                   cira_emit_call(&l->e, CIRA_FN_cira_abi_token_create, NULL));
  return true;
}

bool cira_lower_token_signal(cira_lowering_t *l, MlirOperation op) {
  MlirValue token = cira_emit_operand(&l->e, op, 0);
  cira_emit_call(&l->e, CIRA_FN_cira_abi_token_signal, &token);
  return true;
}

bool cira_lower_token_wait(cira_lowering_t *l, MlirOperation op) {
  MlirValue token = cira_emit_operand(&l->e, op, 0);
  cira_emit_call(&l->e, CIRA_FN_cira_abi_token_wait, &token);
  return true;
}

/* ---- edges and nodes ------------------------------------------------------
 */

/* Bytes from one edge of the array to the next, as an i64 value. */
static MlirValue edge_distance(cira_emit_t *e, const cira_array_t *edges) {
  return cira_array_steps(e, edges, cira_emit_i64(e, edges->element_bytes));
}

bool cira_lower_load_edge(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_array_t edges;
  if (!cira_array_get(e, op, 0, &edges)) {
    return false;
  }
  MlirValue arguments[5] = {
      edges.base, cira_emit_operand(e, op, 1), cira_array_size(e, &edges, 0),
      edge_distance(e, &edges), cira_emit_operand(e, op, 2)};
  cira_emit_result(e, op, 0,
                   cira_emit_call(e, CIRA_FN_cira_abi_load_edge, arguments));
  return true;
}

bool cira_lower_load_node(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType edge = ciraHandleTypeGetElementType(
      mlirValueGetType(mlirOperationGetOperand(op, 0)));
  MlirType node = ciraHandleTypeGetElementType(
      mlirValueGetType(mlirOperationGetResult(op, 0)));
  intptr_t field = ciraLoadNodeGetFieldIndex(op);
  int64_t edge_bytes, node_bytes, offset;
  MlirType part;
  if (!cira_emit_size(e, op, edge, &edge_bytes) ||
      !cira_emit_size(e, op, node, &node_bytes) ||
      !cira_layout_field(edge, field, &offset, &part)) {
    return false;
  }
  MlirValue arguments[5] = {
      cira_emit_operand(e, op, 0), cira_emit_i64(e, offset),
      cira_emit_i64(e, edge_bytes), cira_emit_i64(e, node_bytes),
      cira_emit_operand(e, op, 1)};
  cira_emit_result(e, op, 0,
                   cira_emit_call(e, CIRA_FN_cira_abi_load_node, arguments));
  return true;
}

bool cira_lower_get_paddr(cira_lowering_t *l, MlirOperation op) {
  cira_emit_result(&l->e, op, 0, cira_emit_operand(&l->e, op, 0));
  return true;
}

bool cira_lower_evict_edge(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  cira_array_t edges;
  if (!cira_array_get(e, op, 0, &edges)) {
    return false;
  }
  MlirValue offset = cira_emit_binary(
      e, "llvm.mul", cira_emit_operand(e, op, 1), edge_distance(e, &edges));
  MlirValue arguments[2] = {cira_emit_add(e, edges.base, offset),
                            cira_emit_i64(e, edges.element_bytes)};
  cira_emit_call(e, CIRA_FN_cira_abi_evict, arguments);
  return true;
}
