/* SPDX-License-Identifier: Apache-2.0
 * Loads, stores and futures. A plain load or store is one of LLVM's: a missing
 * page faults and comes. An asynchronous one looks first whether the page is
 * here, inlined, and calls the runtime only if it is not; with cira.checked it
 * always calls, and the runtime sees every mistake. */
#include "codegen/array.h"
#include "codegen/lower.h"

#include "analysis/ir.h"
#include "analysis/layout.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

/* ---- addresses ------------------------------------------------------------
 */

static bool static_index(MlirOperation op, int64_t *out_index) {
  MlirAttribute index =
      mlirOperationGetAttributeByName(op, cira__str("static_index"));
  if (mlirAttributeIsNull(index)) {
    return false;
  }
  *out_index = mlirIntegerAttrGetValueInt(index);
  return true;
}

/* The type whose size one step of an index is; the whole T where it is no
 * container, or where whole elements are counted. */
static MlirType step_type(MlirType element, bool whole) {
  uint64_t count;
  MlirType part;
  if (whole) {
    return element;
  }
  if (ciraTypeIsALLVMArray(element, &count, &part)) {
    return part;
  }
  return mlirTypeIsAVector(element) ? mlirShapedTypeGetElementType(element)
                                    : element;
}

bool cira_lower_address(cira_emit_t *e, MlirOperation op, intptr_t handle,
                        MlirValue *out_address) {
  MlirValue base = cira_emit_operand(e, op, handle);
  MlirType element = ciraHandleTypeGetElementType(
      mlirValueGetType(mlirOperationGetOperand(op, handle)));
  bool whole = ciraOperationHasName(op, "cira.handle_offset");
  bool dynamic = mlirOperationGetNumOperands(op) > handle + 1;
  int64_t number = 0, offset, size;
  if (!static_index(op, &number) && !dynamic) {
    *out_address = base;
    return true;
  }
  if (mlirTypeIsALLVMStructType(element) && !whole) {
    MlirType field;
    if (!cira_layout_field(element, number, &offset, &field)) {
      return cira_emit_error(op,
                             "cannot be lowered: field %ld has no known "
                             "place; give the struct a body",
                             (long)number);
    }
    *out_address = cira_emit_add_const(e, base, offset);
    return true;
  }
  if (!cira_emit_size(e, op, step_type(element, whole), &size)) {
    return false;
  }
  if (!dynamic) {
    if (__builtin_mul_overflow(number, size, &offset)) {
      return cira_emit_error(op,
                             "cannot be lowered: element %ld lies outside "
                             "of the address space; use a smaller index",
                             (long)number);
    }
    *out_address = cira_emit_add_const(e, base, offset);
    return true;
  }
  MlirValue index = cira_emit_operand(e, op, handle + 1);
  *out_address = cira_emit_add(e, base, cira_emit_scale(e, index, size));
  return true;
}

/* ---- now ------------------------------------------------------------------
 */

bool cira_lower_load(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type =
      cira_emit_type(e, op, mlirValueGetType(mlirOperationGetResult(op, 0)));
  int64_t bytes;
  MlirValue address;
  if (mlirTypeIsNull(type) || !cira_emit_size(e, op, type, &bytes) ||
      !cira_lower_address(e, op, 0, &address)) {
    return false;
  }
  cira_emit_result(e, op, 0, cira_emit_load(e, address, type, 0));
  return true;
}

bool cira_lower_store(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirValue value = cira_emit_operand(e, op, 0);
  int64_t bytes;
  MlirValue address;
  if (!cira_emit_size(e, op, mlirValueGetType(value), &bytes) ||
      !cira_lower_address(e, op, 1, &address)) {
    return false;
  }
  cira_emit_store(e, value, address, mlirValueGetType(value), 0);
  return true;
}

/* ---- later ----------------------------------------------------------------
 */

MlirValue cira_lower_future(cira_emit_t *e, MlirType type, MlirValue address,
                            MlirValue ticket, MlirValue value) {
  MlirValue future = cira_emit_undef(e, type);
  if (!mlirValueIsNull(address)) {
    future = cira_emit_insert(e, future, address, cira_future_address);
  }
  future = cira_emit_insert(e, future, ticket, cira_future_ticket);
  return mlirValueIsNull(value)
             ? future
             : cira_emit_insert(e, future, value, cira_future_value);
}

static MlirType future_value(MlirOperation op, intptr_t result) {
  return ciraFutureTypeGetValueType(
      mlirValueGetType(mlirOperationGetResult(op, result)));
}

static bool is_unused(MlirValue value) {
  return mlirOpOperandIsNull(mlirValueGetFirstUse(value));
}

/* Of an address and a size: the ticket. */
static MlirValue build_begin(cira_emit_t *e, const MlirValue *arguments) {
  cira_if_t here = cira_emit_if(e, cira_emit_is_here(e, arguments[0]));
  cira_emit_prefetch(e, arguments[0], 1);
  MlirValue none = cira_emit_i64(e, cira_ticket_load);
  cira_emit_else(e, &here, 1, &none);
  MlirValue ticket = cira_emit_call(e, CIRA_FN_cira_abi_load_begin, arguments);
  cira_emit_end(e, &here, 1, &ticket, &ticket);
  return ticket;
}

/* The ticket of one load. */
static MlirValue begin_load(cira_emit_t *e, MlirValue address, int64_t bytes) {
  static const cira_inline_t begin = {"cira_inline_load_begin", 'l', "pl",
                                      build_begin};
  MlirValue arguments[2] = {address, cira_emit_i64(e, bytes)};
  return e->checked ? cira_emit_call(e, CIRA_FN_cira_abi_load_begin, arguments)
                    : cira_emit_inline(e, &begin, arguments);
}

bool cira_lower_load_async(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirValue result = mlirOperationGetResult(op, 0);
  MlirType type = cira_emit_type(e, op, mlirValueGetType(result));
  int64_t bytes;
  MlirValue address;
  if (mlirTypeIsNull(type) ||
      !cira_emit_size(e, op, future_value(op, 0), &bytes) ||
      !cira_lower_address(e, op, 0, &address)) {
    return false;
  }
  if (!is_unused(result)) {
    MlirValue ticket = begin_load(e, address, bytes);
    cira_emit_result(
        e, op, 0,
        cira_lower_future(e, type, address, ticket, (MlirValue){NULL}));
  }
  return true;
}

/* One call for the addresses: three tables on the stack, 8 bytes an entry. */
static void begin_batch(cira_emit_t *e, intptr_t count,
                        const MlirValue *addresses, const int64_t *sizes,
                        MlirValue *out_tickets) {
  MlirValue table = cira_emit_scratch(e, 24 * (int64_t)count);
  MlirValue size_table = cira_emit_add_const(e, table, 8 * (int64_t)count);
  MlirValue ticket_table = cira_emit_add_const(e, table, 16 * (int64_t)count);
  for (intptr_t i = 0; i < count; i++) {
    cira_emit_store(e, addresses[i], cira_emit_add_const(e, table, 8 * i),
                    e->ptr, 0);
    cira_emit_store(e, cira_emit_i64(e, sizes[i]),
                    cira_emit_add_const(e, size_table, 8 * i), e->i64, 0);
  }
  MlirValue arguments[4] = {table, size_table, cira_emit_i64(e, count),
                            ticket_table};
  cira_emit_call(e, CIRA_FN_cira_abi_load_begin_batch, arguments);
  for (intptr_t i = 0; i < count; i++) {
    out_tickets[i] = cira_emit_load(
        e, cira_emit_add_const(e, ticket_table, 8 * i), e->i64, 0);
  }
}

bool cira_lower_load_async_batch(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  intptr_t count = mlirOperationGetNumResults(op);
  MlirValue addresses[cira_emit_operands_max];
  MlirValue tickets[cira_emit_operands_max];
  int64_t sizes[cira_emit_operands_max];
  if (count > cira_emit_operands_max) {
    return cira_emit_error(op,
                           "cannot be lowered with %ld handles; split it "
                           "into batches of at most %d",
                           (long)count, cira_emit_operands_max);
  }
  for (intptr_t i = 0; i < count; i++) {
    if (!cira_emit_size(e, op, future_value(op, i), &sizes[i])) {
      return false;
    }
    addresses[i] = cira_emit_operand(e, op, i);
  }
  if (e->checked) {
    begin_batch(e, count, addresses, sizes, tickets);
  } else {
    MlirValue all = cira_emit_int(e, e->i1, 1);
    for (intptr_t i = 0; i < count; i++) {
      all = cira_emit_binary(e, "llvm.and", all,
                             cira_emit_is_here(e, addresses[i]));
    }
    cira_if_t here = cira_emit_if(e, all);
    for (intptr_t i = 0; i < count; i++) {
      cira_emit_prefetch(e, addresses[i], 1);
      tickets[i] = cira_emit_i64(e, cira_ticket_load);
    }
    cira_emit_else(e, &here, count, tickets);
    begin_batch(e, count, addresses, sizes, tickets);
    cira_emit_end(e, &here, count, tickets, tickets);
  }
  for (intptr_t i = 0; i < count; i++) {
    MlirType type =
        cira_emit_type(e, op, mlirValueGetType(mlirOperationGetResult(op, i)));
    cira_emit_result(e, op, i,
                     cira_lower_future(e, type, addresses[i], tickets[i],
                                       (MlirValue){NULL}));
  }
  return true;
}

bool cira_lower_await(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type =
      cira_emit_type(e, op, mlirValueGetType(mlirOperationGetResult(op, 0)));
  int64_t bytes;
  if (mlirTypeIsNull(type) || !cira_emit_size(e, op, type, &bytes)) {
    return false;
  }
  MlirValue future = cira_emit_operand(e, op, 0);
  MlirValue ticket = cira_emit_extract(e, future, cira_future_ticket, e->i64);
  MlirValue value;
  cira_if_t load =
      cira_emit_if(e, cira_emit_compare(e, CIRA_CMP_EQ, ticket,
                                        cira_emit_i64(e, cira_ticket_load)));
  value = cira_emit_load(
      e, cira_emit_extract(e, future, cira_future_address, e->ptr), type, 0);
  cira_emit_else(e, &load, 1, &value);
  cira_if_t known =
      cira_emit_if(e, cira_emit_compare(e, CIRA_CMP_EQ, ticket,
                                        cira_emit_i64(e, cira_ticket_value)));
  value = cira_emit_extract(e, future, cira_future_value, type);
  cira_emit_else(e, &known, 1, &value);
  MlirValue arguments[2] = {ticket, cira_emit_scratch(e, bytes)};
  cira_emit_call(e, CIRA_FN_cira_abi_load_end, arguments);
  value = cira_emit_load(e, arguments[1], type, 0);
  cira_emit_end(e, &known, 1, &value, &value);
  cira_emit_end(e, &load, 1, &value, &value);
  cira_emit_result(e, op, 0, value);
  return true;
}

/* Spills the value and hands it over; the token, if it is asked for. */
static MlirValue begin_store(cira_emit_t *e, MlirValue value, MlirValue address,
                             int64_t bytes, bool token) {
  MlirValue slot = cira_emit_scratch(e, bytes);
  cira_emit_store(e, value, slot, mlirValueGetType(value), 0);
  MlirValue arguments[3] = {address, slot, cira_emit_i64(e, bytes)};
  return cira_emit_call(e,
                        token ? CIRA_FN_cira_abi_store_begin_token
                              : CIRA_FN_cira_abi_store_begin,
                        arguments);
}

bool cira_lower_store_async(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirValue value = cira_emit_operand(e, op, 0);
  MlirType type = mlirValueGetType(value);
  int64_t bytes;
  MlirValue address;
  if (!cira_emit_size(e, op, type, &bytes) ||
      !cira_lower_address(e, op, 1, &address)) {
    return false;
  }
  if (mlirOperationGetNumResults(op) > 0) {
    cira_emit_result(e, op, 0, begin_store(e, value, address, bytes, true));
    return true;
  }
  if (e->checked) {
    begin_store(e, value, address, bytes, false);
    return true;
  }
  cira_if_t here = cira_emit_if(e, cira_emit_is_here(e, address));
  cira_emit_store(e, value, address, type, 0);
  cira_emit_else(e, &here, 0, NULL);
  begin_store(e, value, address, bytes, false);
  cira_emit_end(e, &here, 0, NULL, NULL);
  return true;
}

/* ---- values and handles ---------------------------------------------------
 */

/* An element of an array value whose number is not known: through the stack. */
static MlirValue spilled_element(cira_emit_t *e, MlirValue whole, int64_t bytes,
                                 MlirValue index, MlirType part,
                                 int64_t part_bytes) {
  MlirValue slot = cira_emit_scratch(e, bytes);
  cira_emit_store(e, whole, slot, mlirValueGetType(whole), 0);
  return cira_emit_load(
      e, cira_emit_add(e, slot, cira_emit_scale(e, index, part_bytes)), part,
      0);
}

bool cira_lower_extract(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirValue whole = cira_emit_operand(e, op, 0);
  MlirType part =
      cira_emit_type(e, op, mlirValueGetType(mlirOperationGetResult(op, 0)));
  int64_t number = 0, bytes, part_bytes;
  bool constant = static_index(op, &number);
  if (mlirTypeIsNull(part)) {
    return false;
  }
  if (mlirTypeIsAVector(mlirValueGetType(whole))) {
    MlirValue both[2] = {whole, constant ? cira_emit_i64(e, number)
                                         : cira_emit_operand(e, op, 1)};
    MlirOperation made =
        cira_emit_op(e, "llvm.extractelement", 2, both, 1, &part, 0, NULL, 0);
    cira_emit_result(e, op, 0, mlirOperationGetResult(made, 0));
    return true;
  }
  if (constant) {
    cira_emit_result(e, op, 0, cira_emit_extract(e, whole, number, part));
    return true;
  }
  if (!cira_emit_size(e, op, mlirValueGetType(whole), &bytes) ||
      !cira_emit_size(e, op, part, &part_bytes)) {
    return false;
  }
  cira_emit_result(e, op, 0,
                   spilled_element(e, whole, bytes, cira_emit_operand(e, op, 1),
                                   part, part_bytes));
  return true;
}

bool cira_lower_handle_null(cira_lowering_t *l, MlirOperation op) {
  cira_emit_result(&l->e, op, 0, cira_emit_null(&l->e));
  return true;
}

bool cira_lower_handle_is_null(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirValue handle = cira_emit_operand(e, op, 0);
  cira_emit_result(
      e, op, 0, cira_emit_compare(e, CIRA_CMP_EQ, handle, cira_emit_null(e)));
  return true;
}

/* handle_offset and handle_field. */
bool cira_lower_handle_part(cira_lowering_t *l, MlirOperation op) {
  MlirValue address;
  if (!cira_lower_address(&l->e, op, 0, &address)) {
    return false;
  }
  cira_emit_result(&l->e, op, 0, address);
  return true;
}

bool cira_lower_handle_cast(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType from = mlirValueGetType(mlirOperationGetOperand(op, 0));
  if (ciraTypeIsAHandle(from) || ciraTypeIsALLVMPointer(from)) {
    cira_emit_result(e, op, 0, cira_emit_operand(e, op, 0));
    return true;
  }
  cira_array_t array;
  if (!cira_array_get(e, op, 0, &array)) {
    return false;
  }
  cira_emit_result(e, op, 0, array.base);
  return true;
}

bool cira_lower_handle_view(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type =
      cira_emit_type(e, op, mlirValueGetType(mlirOperationGetResult(op, 0)));
  if (mlirTypeIsNull(type)) {
    return false;
  }
  MlirValue base = cira_emit_operand(e, op, 0);
  MlirValue count = cira_emit_operand(e, op, 1);
  MlirValue one = cira_emit_i64(e, 1);
  cira_emit_result(e, op, 0,
                   cira_array_describe(e, type, base, base, 1, &count, &one));
  return true;
}

bool cira_lower_remote_cast(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type =
      cira_emit_type(e, op, mlirValueGetType(mlirOperationGetResult(op, 0)));
  if (mlirTypeIsNull(type)) {
    return false;
  }
  cira_emit_result(e, op, 0, cira_emit_operand(e, op, 0));
  return true;
}

/* ---- hints ----------------------------------------------------------------
 */

bool cira_lower_prefetch_indirect(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType element = ciraHandleTypeGetElementType(
      mlirValueGetType(mlirOperationGetOperand(op, 0)));
  MlirValue offset = cira_emit_operand(e, op, 1);
  int64_t bytes, align;
  MlirValue node;
  if (ciraTypeIsAHandle(element) &&
      cira_layout_size(ciraHandleTypeGetElementType(element), &bytes, &align)) {
    node = cira_emit_i64(e, bytes);
  } else { /* up to and with the link is all that is known of a node */
    node = cira_emit_binary(e, "llvm.add", offset, cira_emit_i64(e, 8));
  }
  MlirValue arguments[4] = {cira_emit_operand(e, op, 0), offset,
                            cira_emit_operand(e, op, 2), node};
  cira_emit_call(e, CIRA_FN_cira_abi_prefetch_nodes, arguments);
  return true;
}

bool cira_lower_install_cacheline(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirValue address = cira_emit_operand(e, op, 0);
  MlirValue arguments[2] = {address, cira_emit_operand(e, op, 1)};
  int64_t level;
  if (!ciraValueGetConstant(mlirOperationGetOperand(op, 1), &level)) {
    cira_emit_call(e, CIRA_FN_cira_abi_install_line, arguments);
    return true;
  }
  cira_if_t here = cira_emit_if(e, cira_emit_is_here(e, address));
  cira_emit_prefetch(e, address, (int)level);
  cira_emit_else(e, &here, 0, NULL);
  cira_emit_call(e, CIRA_FN_cira_abi_install_line, arguments);
  cira_emit_end(e, &here, 0, NULL, NULL);
  return true;
}

bool cira_lower_evict_hint(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType element = ciraHandleTypeGetElementType(
      mlirValueGetType(mlirOperationGetOperand(op, 0)));
  int64_t bytes, align;
  if (!cira_layout_size(element, &bytes, &align)) {
    bytes = 1; /* what lies there is not known: its page */
  }
  MlirValue arguments[2] = {cira_emit_operand(e, op, 0),
                            cira_emit_i64(e, bytes)};
  cira_emit_call(e, CIRA_FN_cira_abi_evict, arguments);
  return true;
}
