/* SPDX-License-Identifier: Apache-2.0
 * Calls of the runtime: cira/abi.def is read as text, so a function that is
 * added there can be called here at once. */
#include "codegen/emit.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

#include <string.h>

/* What inlined code reads; the numbers are pinned in cira/abi.h. */
enum {
  range_base = 0,
  range_bytes = 8,
  range_words = 16,
  range_chunk_state = 24,
  chunk_log2 = 21,
  chunk_native = 1,
  page_log2 = 12,
  page_state = 7,
  page_mapped = 3,
  arguments_max = 8
};

typedef struct abi_entry {
  const char *name;
  const char *result;
  const char *arguments; /* "(PTR p, I64 bytes)" */
  const char *effects;
} abi_entry_t;

static const abi_entry_t entries[CIRA_FN_COUNT] = {
#define CIRA_ABI(result, name, arguments, effects, meaning)                    \
  {#name, #result, #arguments, #effects},
#include "cira/abi.def"
#undef CIRA_ABI
};

/* Reads one of the four type words; the rest of the text in `*rest`. */
static MlirType read_type(cira_emit_t *e, const char *text, const char **rest) {
  static const char *const words[] = {"PTR", "I64", "I32", "VOID"};
  MlirType types[] = {e->ptr, e->i64, e->i32, mlirLLVMVoidTypeGet(e->ctx)};
  for (int i = 0; i < 4; i++) {
    size_t length = strlen(words[i]);
    if (strncmp(text, words[i], length) == 0) {
      *rest = text + length;
      return types[i];
    }
  }
  *rest = text;
  return (MlirType){NULL};
}

static intptr_t read_arguments(cira_emit_t *e, const abi_entry_t *entry,
                               MlirType *types) {
  intptr_t count = 0;
  const char *at = entry->arguments + 1;
  while (*at != ')' && *at != '\0' && count < arguments_max) {
    MlirType type = read_type(e, at, &at);
    if (mlirTypeIsNull(type) ||
        mlirTypeEqual(type, mlirLLVMVoidTypeGet(e->ctx))) {
      break;
    }
    types[count++] = type;
    at += strcspn(at, ",)");
    at += strspn(at, ", ");
  }
  return count;
}

/* What LLVM may assume. A hint reads the program's memory (the runtime looks
 * at it ahead of time) but is never dropped: it changes what the program
 * cannot see. */
static MlirAttribute memory_effects(cira_emit_t *e, const abi_entry_t *entry) {
  bool none = strcmp(entry->effects, "NONE") == 0;
  bool pointer = strstr(entry->arguments, "PTR") != NULL;
  const char *text;
  if (none && !pointer) {
    text = "#llvm.memory_effects<other = none, argMem = none, "
           "inaccessibleMem = readwrite>";
  } else if (none || strcmp(entry->effects, "READ") == 0) {
    text = "#llvm.memory_effects<other = read, argMem = readwrite, "
           "inaccessibleMem = readwrite>";
  } else {
    return (MlirAttribute){NULL};
  }
  return mlirAttributeParseGet(e->ctx, cira__str(text));
}

/* Called where inlined code found nothing: LLVM keeps it out of the way. */
static bool is_rare(cira_abi_function_t function) {
  return function == CIRA_FN_cira_abi_stream_refill ||
         function == CIRA_FN_cira_abi_stream_skip ||
         function == CIRA_FN_cira_abi_load_begin;
}

/* Has the module a symbol of this name? */
static bool is_there(cira_emit_t *e, const char *name) {
  MlirSymbolTable table = mlirSymbolTableCreate(e->module);
  bool found =
      !mlirOperationIsNull(mlirSymbolTableLookup(table, cira__str(name)));
  mlirSymbolTableDestroy(table);
  return found;
}

static MlirBlock module_body(cira_emit_t *e) {
  return mlirRegionGetFirstBlock(mlirOperationGetRegion(e->module, 0));
}

/* Builds a declaration at the start of the module. */
static void declare(cira_emit_t *e, const char *op, intptr_t attr_count,
                    const cira_emit_attr_t *attrs) {
  cira_emit_t there = *e;
  there.loc = mlirLocationUnknownGet(e->ctx);
  there.block = module_body(e);
  there.before = mlirBlockGetFirstOperation(there.block);
  cira_emit_op(&there, op, 0, NULL, 0, NULL, attr_count, attrs, 1);
}

static void declare_function(cira_emit_t *e, cira_abi_function_t function) {
  const abi_entry_t *entry = &entries[function];
  if (e->declared[function]) {
    return;
  }
  e->declared[function] = true;
  if (is_there(e, entry->name)) {
    return;
  }
  const char *rest;
  MlirType types[arguments_max];
  intptr_t count = read_arguments(e, entry, types);
  MlirType type = mlirLLVMFunctionTypeGet(read_type(e, entry->result, &rest),
                                          count, types, false);
  MlirAttribute memory = memory_effects(e, entry);
  MlirAttribute cold = mlirStringAttrGet(e->ctx, cira__str("cold"));
  cira_emit_attr_t attrs[6] = {
      {"sym_name", mlirStringAttrGet(e->ctx, cira__str(entry->name))},
      {"function_type", mlirTypeAttrGet(type)},
      {"linkage", mlirLLVMLinkageAttrGet(e->ctx, MlirLLVMLinkageExternal)},
      {"no_unwind", mlirUnitAttrGet(e->ctx)}};
  intptr_t attr_count = 4;
  if (!mlirAttributeIsNull(memory)) {
    attrs[attr_count++] = (cira_emit_attr_t){"memory", memory};
  }
  if (is_rare(function)) {
    attrs[attr_count++] =
        (cira_emit_attr_t){"passthrough", mlirArrayAttrGet(e->ctx, 1, &cold)};
  }
  declare(e, "llvm.func", attr_count, attrs);
}

MlirValue cira_emit_call(cira_emit_t *e, cira_abi_function_t function,
                         const MlirValue *arguments) {
  const abi_entry_t *entry = &entries[function];
  declare_function(e, function);
  const char *rest;
  MlirType types[arguments_max];
  intptr_t count = read_arguments(e, entry, types);
  MlirType result = read_type(e, entry->result, &rest);
  bool has_result = !mlirTypeEqual(result, mlirLLVMVoidTypeGet(e->ctx));
  cira_emit_attr_t callee = {
      "callee", mlirFlatSymbolRefAttrGet(e->ctx, cira__str(entry->name))};
  MlirOperation op = cira_emit_op(e, "llvm.call", count, arguments, has_result,
                                  &result, 1, &callee, 0);
  return has_result ? mlirOperationGetResult(op, 0) : (MlirValue){NULL};
}

/* ---- the table of pages ---------------------------------------------------
 */

static const char range_name[] = "cira_abi_range";

static MlirValue range_address(cira_emit_t *e) {
  if (!e->range_declared && !is_there(e, range_name)) {
    MlirType fields[] = {e->i64, e->i64, e->ptr, e->ptr};
    cira_emit_attr_t attrs[] = {
        {"sym_name", mlirStringAttrGet(e->ctx, cira__str(range_name))},
        {"global_type", mlirTypeAttrGet(mlirLLVMStructTypeLiteralGet(
                            e->ctx, 4, fields, false))},
        {"linkage", mlirLLVMLinkageAttrGet(e->ctx, MlirLLVMLinkageExternal)},
        /* written before the first compiled code runs, never again */
        {"constant", mlirUnitAttrGet(e->ctx)}};
    declare(e, "llvm.mlir.global", 4, attrs);
  }
  e->range_declared = true;
  cira_emit_attr_t name = {
      "global_name", mlirFlatSymbolRefAttrGet(e->ctx, cira__str(range_name))};
  return mlirOperationGetResult(
      cira_emit_op(e, "llvm.mlir.addressof", 0, NULL, 1, &e->ptr, 1, &name, 0),
      0);
}

static MlirValue range_field(cira_emit_t *e, MlirValue range, int64_t offset,
                             MlirType type) {
  return cira_emit_load(e, cira_emit_add_const(e, range, offset), type, 0);
}

static MlirValue build_is_here(cira_emit_t *e, const MlirValue *arguments) {
  MlirValue pointer = arguments[0];
  MlirValue range = range_address(e);
  MlirValue base = range_field(e, range, range_base, e->i64);
  MlirValue bytes = range_field(e, range, range_bytes, e->i64);
  MlirValue address = cira_emit_convert(e, "llvm.ptrtoint", pointer, e->i64);
  MlirValue offset = cira_emit_binary(e, "llvm.sub", address, base);
  cira_if_t far =
      cira_emit_if(e, cira_emit_compare(e, CIRA_CMP_ULT, offset, bytes));
  MlirValue chunk =
      cira_emit_binary(e, "llvm.lshr", offset, cira_emit_i64(e, chunk_log2));
  MlirValue chunks = range_field(e, range, range_chunk_state, e->ptr);
  MlirValue state =
      cira_emit_load(e, cira_emit_add(e, chunks, chunk), e->i8, 0);
  MlirValue native = cira_emit_compare(e, CIRA_CMP_EQ, state,
                                       cira_emit_int(e, e->i8, chunk_native));
  MlirValue page =
      cira_emit_binary(e, "llvm.lshr", offset, cira_emit_i64(e, page_log2));
  MlirValue words = range_field(e, range, range_words, e->ptr);
  MlirValue word = cira_emit_load(
      e, cira_emit_add(e, words, cira_emit_scale(e, page, 4)), e->i32, 0);
  MlirValue mapped = cira_emit_compare(
      e, CIRA_CMP_EQ,
      cira_emit_binary(e, "llvm.and", word, cira_emit_i32(e, page_state)),
      cira_emit_i32(e, page_mapped));
  MlirValue here = cira_emit_binary(e, "llvm.or", native, mapped);
  cira_emit_else(e, &far, 1, &here);
  MlirValue yes = cira_emit_int(e, e->i1, 1);
  MlirValue result;
  cira_emit_end(e, &far, 1, &yes, &result);
  return result;
}

MlirValue cira_emit_is_here(cira_emit_t *e, MlirValue pointer) {
  static const cira_inline_t is_here = {"cira_inline_is_here", 'b', "p",
                                        build_is_here};
  return cira_emit_inline(e, &is_here, &pointer);
}

/* ---- inlined functions ----------------------------------------------------
 */

static MlirType letter_type(cira_emit_t *e, char letter) {
  return letter == 'p'   ? e->ptr
         : letter == 'l' ? e->i64
         : letter == 'b' ? e->i1
                         : mlirLLVMVoidTypeGet(e->ctx);
}

/* llvm.func internal @name, with its body, at the end of the module. */
static void make_inline(cira_emit_t *e, const cira_inline_t *function,
                        intptr_t count, const MlirType *types) {
  MlirType type = mlirLLVMFunctionTypeGet(letter_type(e, function->result),
                                          count, types, false);
  cira_emit_attr_t attrs[] = {
      {"sym_name", mlirStringAttrGet(e->ctx, cira__str(function->name))},
      {"function_type", mlirTypeAttrGet(type)},
      {"linkage", mlirLLVMLinkageAttrGet(e->ctx, MlirLLVMLinkageInternal)},
      {"always_inline", mlirUnitAttrGet(e->ctx)},
      {"no_unwind", mlirUnitAttrGet(e->ctx)}};
  cira_emit_t in = *e;
  MlirLocation locs[arguments_max];
  in.loc = mlirLocationUnknownGet(e->ctx);
  in.block = module_body(e);
  in.before = (MlirOperation){NULL};
  in.function = cira_emit_op(&in, "llvm.func", 0, NULL, 0, NULL, 5, attrs, 1);
  memset(in.scratch, 0, sizeof in.scratch);
  MlirValue arguments[arguments_max];
  for (intptr_t i = 0; i < count; i++) {
    locs[i] = in.loc;
  }
  in.block = mlirBlockCreate(count, types, locs);
  mlirRegionAppendOwnedBlock(mlirOperationGetRegion(in.function, 0), in.block);
  for (intptr_t i = 0; i < count; i++) {
    arguments[i] = mlirBlockGetArgument(in.block, i);
  }
  MlirValue result = function->build(&in, arguments);
  cira_emit_op(&in, "llvm.return", function->result != 'v', &result, 0, NULL, 0,
               NULL, 0);
  /* What the body has declared stays declared. */
  memcpy(e->declared, in.declared, sizeof e->declared);
  memcpy(e->inlines, in.inlines, sizeof e->inlines);
  e->inline_count = in.inline_count;
  e->range_declared = in.range_declared;
}

MlirValue cira_emit_inline(cira_emit_t *e, const cira_inline_t *function,
                           const MlirValue *arguments) {
  MlirType types[arguments_max], result = letter_type(e, function->result);
  intptr_t count = (intptr_t)strlen(function->arguments);
  bool made = false;
  for (intptr_t i = 0; i < count; i++) {
    types[i] = letter_type(e, function->arguments[i]);
  }
  for (int i = 0; i < e->inline_count; i++) {
    made = made || e->inlines[i] == function;
  }
  if (!made) {
    e->inlines[e->inline_count++] = function;
    if (!is_there(e, function->name)) {
      make_inline(e, function, count, types);
    }
  }
  bool has_result = function->result != 'v';
  cira_emit_attr_t callee = {
      "callee", mlirFlatSymbolRefAttrGet(e->ctx, cira__str(function->name))};
  MlirOperation op = cira_emit_op(e, "llvm.call", count, arguments, has_result,
                                  &result, 1, &callee, 0);
  return has_result ? mlirOperationGetResult(op, 0) : (MlirValue){NULL};
}
