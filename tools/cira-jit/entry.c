/* SPDX-License-Identifier: Apache-2.0
 *
 * entry: the function that is run. Its types are read from MLIR, where they
 * have their own names; a wrapper in LLVM IR moves arguments and results
 * between it and arrays of 8-byte places.
 */
#include <errno.h>
#include <inttypes.h>
#include <mlir-c/BuiltinAttributes.h>
#include <mlir-c/BuiltinTypes.h>
#include <stdlib.h>
#include <string.h>

#include "cira-jit/jit.h"

static MlirStringRef str(const char *text) {
  return mlirStringRefCreateFromCString(text);
}

static void print_part(MlirStringRef part, void *file) {
  fwrite(part.data, 1, part.length, file);
}

/* ---- types ----------------------------------------------------------------
 */

static bool read_type(MlirType type, const char *name, const char *what,
                      long number, jit_value_t *out) {
  if (mlirTypeIsAIndex(type)) {
    *out = (jit_value_t){.bits = 64};
    return true;
  }
  if (mlirTypeIsAInteger(type) && mlirIntegerTypeGetWidth(type) <= 64) {
    *out = (jit_value_t){.bits = mlirIntegerTypeGetWidth(type)};
    return true;
  }
  if (mlirTypeIsAF16(type) || mlirTypeIsABF16(type) || mlirTypeIsAF32(type) ||
      mlirTypeIsAF64(type)) {
    *out = (jit_value_t){.is_float = true,
                         .bits = mlirTypeIsAF64(type)   ? 64
                                 : mlirTypeIsAF32(type) ? 32
                                                        : 16};
    return true;
  }
  fprintf(stderr, "cira-jit: %s %ld of @%s is ", what, number, name);
  mlirTypePrint(type, print_part, stderr);
  fputs("; only integers of up to 64 bits, index and floats can be given on "
        "the command line or printed: write a function around it that makes "
        "and reads the rest, and name it with --entry\n",
        stderr);
  return false;
}

static void list_functions(MlirOperation module) {
  MlirOperation op = mlirBlockGetFirstOperation(
      mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0)));
  const char *before = " it has";
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    MlirAttribute name = mlirOperationGetAttributeByName(op, str("sym_name"));
    if (mlirAttributeIsNull(name) || mlirOperationGetNumRegions(op) == 0 ||
        mlirBlockIsNull(
            mlirRegionGetFirstBlock(mlirOperationGetRegion(op, 0)))) {
      continue;
    }
    MlirStringRef text = mlirStringAttrGetValue(name);
    fprintf(stderr, "%s @%.*s", before, (int)text.length, text.data);
    before = ",";
  }
  if (before[0] == ' ') {
    fputs(" it has none", stderr);
  }
}

/* The function's type as MLIR's or LLVM's dialect has it. */
static bool read_function(MlirOperation function, const char *name,
                          jit_entry_t *out) {
  MlirAttribute attr =
      mlirOperationGetAttributeByName(function, str("function_type"));
  MlirType type =
      mlirAttributeIsNull(attr) ? (MlirType){NULL} : mlirTypeAttrGetValue(attr);
  if (mlirTypeIsNull(type) || !mlirTypeIsAFunction(type)) {
    fprintf(stderr, "cira-jit: @%s is no func.func; name one with --entry\n",
            name);
    return false;
  }
  intptr_t arguments = mlirFunctionTypeGetNumInputs(type);
  intptr_t results = mlirFunctionTypeGetNumResults(type);
  if (arguments > JIT_VALUES_MAX || results > JIT_VALUES_MAX) {
    fprintf(stderr,
            "cira-jit: @%s has more than %d arguments or results; "
            "name a smaller function with --entry\n",
            name, JIT_VALUES_MAX);
    return false;
  }
  *out = (jit_entry_t){.argument_count = (int)arguments,
                       .result_count = (int)results};
  for (intptr_t i = 0; i < arguments; i++) {
    if (!read_type(mlirFunctionTypeGetInput(type, i), name, "argument", i + 1,
                   &out->arguments[i])) {
      return false;
    }
  }
  for (intptr_t i = 0; i < results; i++) {
    if (!read_type(mlirFunctionTypeGetResult(type, i), name, "result", i + 1,
                   &out->results[i])) {
      return false;
    }
  }
  return true;
}

bool jit_entry_find(MlirOperation module, const char *name, jit_entry_t *out) {
  MlirSymbolTable table = mlirSymbolTableCreate(module);
  MlirOperation function = mlirSymbolTableLookup(table, str(name));
  mlirSymbolTableDestroy(table);
  if (mlirOperationIsNull(function) ||
      mlirOperationGetNumRegions(function) == 0 ||
      mlirBlockIsNull(
          mlirRegionGetFirstBlock(mlirOperationGetRegion(function, 0)))) {
    fprintf(stderr,
            "cira-jit: the file has no function @%s with a body; name one with "
            "--entry:",
            name);
    list_functions(module);
    fputc('\n', stderr);
    return false;
  }
  return read_function(function, name, out);
}

/* ---- the wrapper ----------------------------------------------------------
 */

static LLVMValueRef place(LLVMBuilderRef b, LLVMValueRef array, int i) {
  LLVMTypeRef i64 =
      LLVMInt64TypeInContext(LLVMGetTypeContext(LLVMTypeOf(array)));
  LLVMValueRef at = LLVMConstInt(i64, (unsigned)i, false);
  return LLVMBuildGEP2(b, i64, array, &at, 1, "");
}

static LLVMValueRef load_argument(LLVMBuilderRef b, LLVMValueRef array, int i,
                                  LLVMTypeRef type, const jit_value_t *value) {
  LLVMContextRef ctx = LLVMGetTypeContext(type);
  LLVMValueRef at = place(b, array, i);
  if (value->is_float) {
    LLVMValueRef real = LLVMBuildLoad2(b, LLVMDoubleTypeInContext(ctx), at, "");
    return value->bits == 64 ? real : LLVMBuildFPTrunc(b, real, type, "");
  }
  LLVMValueRef integer = LLVMBuildLoad2(b, LLVMInt64TypeInContext(ctx), at, "");
  return value->bits == 64 ? integer : LLVMBuildTrunc(b, integer, type, "");
}

static void store_result(LLVMBuilderRef b, LLVMValueRef array, int i,
                         LLVMValueRef result, const jit_value_t *value) {
  LLVMContextRef ctx = LLVMGetTypeContext(LLVMTypeOf(result));
  if (value->is_float) {
    if (value->bits != 64) {
      result = LLVMBuildFPExt(b, result, LLVMDoubleTypeInContext(ctx), "");
    }
  } else if (value->bits != 64) { /* true is 1, not -1 */
    result = value->bits == 1
                 ? LLVMBuildZExt(b, result, LLVMInt64TypeInContext(ctx), "")
                 : LLVMBuildSExt(b, result, LLVMInt64TypeInContext(ctx), "");
  }
  LLVMBuildStore(b, result, place(b, array, i));
}

bool jit_entry_wrap(LLVMModuleRef module, const char *name,
                    const jit_entry_t *entry) {
  LLVMContextRef ctx = LLVMGetModuleContext(module);
  LLVMValueRef function = LLVMGetNamedFunction(module, name);
  LLVMTypeRef type = LLVMGlobalGetValueType(function);
  if (LLVMCountParamTypes(type) != (unsigned)entry->argument_count) {
    fprintf(stderr,
            "cira-jit: a pass changed the arguments of @%s; leave "
            "that pass out of --pipeline\n",
            name);
    return false;
  }
  LLVMTypeRef pointers[2] = {LLVMPointerTypeInContext(ctx, 0),
                             LLVMPointerTypeInContext(ctx, 0)};
  LLVMValueRef wrapper = LLVMAddFunction(
      module, JIT_ENTRY_WRAPPER,
      LLVMFunctionType(LLVMVoidTypeInContext(ctx), pointers, 2, false));
  LLVMBuilderRef b = LLVMCreateBuilderInContext(ctx);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(ctx, wrapper, ""));
  LLVMTypeRef types[JIT_VALUES_MAX];
  LLVMValueRef arguments[JIT_VALUES_MAX];
  LLVMGetParamTypes(type, types);
  for (int i = 0; i < entry->argument_count; i++) {
    arguments[i] = load_argument(b, LLVMGetParam(wrapper, 0), i, types[i],
                                 &entry->arguments[i]);
  }
  LLVMValueRef result = LLVMBuildCall2(b, type, function, arguments,
                                       (unsigned)entry->argument_count, "");
  for (int i = 0; i < entry->result_count; i++) {
    LLVMValueRef part = entry->result_count == 1
                            ? result
                            : LLVMBuildExtractValue(b, result, (unsigned)i, "");
    store_result(b, LLVMGetParam(wrapper, 1), i, part, &entry->results[i]);
  }
  LLVMBuildRetVoid(b);
  LLVMDisposeBuilder(b);
  for (LLVMValueRef f = LLVMGetFirstFunction(module); f;
       f = LLVMGetNextFunction(f)) {
    if (!LLVMIsDeclaration(f) && f != wrapper) {
      LLVMSetLinkage(f, LLVMInternalLinkage);
    }
  }
  return true;
}

/* ---- values ---------------------------------------------------------------
 */

/* Fits `bits` bits, read as signed or as unsigned? */
static bool fits(int64_t n, unsigned bits) {
  if (bits == 64) {
    return true;
  }
  int64_t least = -(INT64_C(1) << (bits - 1));
  return n >= least && n < (INT64_C(1) << bits);
}

static bool read_value(const char *text, const jit_value_t *value, int number,
                       jit_slot_t *out) {
  char *end;
  errno = 0;
  if (value->is_float) {
    out->real = strtod(text, &end);
  } else {
    out->integer = text[0] == '-' ? strtoll(text, &end, 0)
                                  : (int64_t)strtoull(text, &end, 0);
  }
  bool bad = end == text || *end != '\0';
  if (!bad && errno != ERANGE &&
      (value->is_float || fits(out->integer, value->bits))) {
    return true;
  }
  fprintf(stderr,
          "cira-jit: argument %d, \"%s\", is no %s of %u bits; correct it\n",
          number, text, value->is_float ? "float" : "integer", value->bits);
  return false;
}

bool jit_entry_read(const jit_options_t *o, const jit_entry_t *entry,
                    jit_slot_t *out_arguments) {
  if (o->argument_count != entry->argument_count) {
    fprintf(stderr,
            "cira-jit: @%s takes %d argument%s, %d given; put them behind the "
            "file\n",
            o->entry, entry->argument_count,
            entry->argument_count == 1 ? "" : "s", o->argument_count);
    return false;
  }
  for (int i = 0; i < entry->argument_count; i++) {
    if (!read_value(o->arguments[i], &entry->arguments[i], i + 1,
                    &out_arguments[i])) {
      return false;
    }
  }
  return true;
}

void jit_entry_print(const jit_entry_t *entry, const jit_slot_t *results) {
  for (int i = 0; i < entry->result_count; i++) {
    if (!entry->results[i].is_float) {
      printf("%" PRId64 "\n", results[i].integer);
    } else {
      printf("%.*g\n", entry->results[i].bits == 64 ? 17 : 9, results[i].real);
    }
  }
}
