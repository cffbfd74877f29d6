/* SPDX-License-Identifier: Apache-2.0 */
#include "codegen/llvm_choice.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>

enum {
  period_bytes = 48, /* of cira__choice_period_t */
  changed_bit = 32,
  plain_weight = 1 << 16 /* how often the plain loop runs, for another */
};

static const char *const declarations[] = {
    ("llvm.func @cira_choice1_enter(!llvm.ptr, !llvm.ptr, i64, i64, i32, i32)"
     " -> i64"),
    "llvm.func @cira_choice1_plain(!llvm.ptr, !llvm.ptr, i64, i64)"
    " -> (i1 {llvm.zeroext})",
    "llvm.func @cira_choice1_open(!llvm.ptr, !llvm.ptr)"
    " -> (i1 {llvm.zeroext})",
    "llvm.func @cira_choice1_next(!llvm.ptr, !llvm.ptr, i64) -> i64",
    "llvm.func @cira_choice1_more(!llvm.ptr, !llvm.ptr, i64)",
    "llvm.func @cira_choice1_leave(!llvm.ptr, !llvm.ptr, i64)",
};

static MlirBlock module_body(MlirOperation function) {
  MlirOperation module = mlirOperationGetParentOperation(function);
  return mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0));
}

/* Is the name taken in the function's module? */
static bool has_symbol(MlirOperation function, const char *wanted) {
  MlirOperation op = mlirBlockGetFirstOperation(module_body(function));
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    MlirAttribute name =
        mlirOperationGetAttributeByName(op, cira__str("sym_name"));
    if (!mlirAttributeIsNull(name) &&
        mlirStringRefEqual(mlirStringAttrGetValue(name), cira__str(wanted))) {
      return true;
    }
  }
  return false;
}

static void declare(MlirOperation function, const char *text) {
  mlirBlockInsertOwnedOperation(
      module_body(function), 0,
      mlirOperationCreateParse(mlirOperationGetContext(function),
                               cira__str(text), cira__str("choice")));
}

cira_choice_t cira_choice_make(MlirOperation function, int64_t least,
                               int64_t unit) {
  cira_choice_t c = {.function = function, .least = least, .unit = unit};
  char text[96];
  int number = 0;
  do {
    snprintf(c.site, sizeof c.site, "cira.choice%d", number++);
  } while (has_symbol(function, c.site));
  if (!has_symbol(function, "cira_choice1_enter")) {
    for (size_t i = 0; i < sizeof declarations / sizeof *declarations; i++) {
      declare(function, declarations[i]);
    }
  }
  snprintf(text, sizeof text,
           "llvm.mlir.global external @%s() : !llvm.array<1088 x i8>", c.site);
  declare(function, text);
  cira_llvm_build_t b = cira_llvm_build_in(function);
  c.period = cira_llvm_room(&b, period_bytes);
  return c;
}

/* The call; null if there is no result. */
static MlirValue call(const cira_choice_t *c, cira_llvm_build_t *b,
                      const char *name, intptr_t count, MlirValue *values,
                      unsigned bits) {
  MlirNamedAttribute site = cira_llvm_attr(
      b, "global_name", mlirFlatSymbolRefAttrGet(b->ctx, cira__str(c->site)));
  MlirNamedAttribute callee = cira_llvm_attr(
      b, "callee", mlirFlatSymbolRefAttrGet(b->ctx, cira__str(name)));
  values[0] =
      mlirOperationGetResult(cira_llvm_op(b, "llvm.mlir.addressof", 0, NULL,
                                          cira_llvm_ptr(b), 1, &site),
                             0);
  values[1] = c->period;
  MlirOperation op = cira_llvm_op(
      b, "llvm.call", count, values,
      bits ? cira_llvm_int(b, bits) : (MlirType){NULL}, 1, &callee);
  return bits ? mlirOperationGetResult(op, 0) : (MlirValue){NULL};
}

MlirValue cira_choice_enter(const cira_choice_t *c, cira_llvm_build_t *b,
                            MlirValue left) {
  MlirValue values[] = {
      {NULL},
      {NULL},
      left,
      cira_llvm_constant(b, cira_llvm_int(b, 64), c->least),
      cira_llvm_constant(b, cira_llvm_int(b, 32), c->unit),
      cira_llvm_constant(b, cira_llvm_int(b, 32), 16 * c->floor_ticks),
  };
  return call(c, b, "cira_choice1_enter", 6, values, 64);
}

void cira_choice_plain(const cira_choice_t *c, cira_llvm_build_t *b,
                       MlirValue left, MlirBlock plain, MlirBlock others,
                       intptr_t count, const MlirValue *arguments) {
  MlirValue values[] = {
      {NULL},
      {NULL},
      left,
      {NULL},
  };
  bool open = mlirValueIsNull(left);
  if (!open) {
    values[3] = cira_llvm_constant(b, cira_llvm_int(b, 64), c->least);
  }
  MlirValue is = open ? call(c, b, "cira_choice1_open", 2, values, 1)
                      : call(c, b, "cira_choice1_plain", 4, values, 1);
  cira_llvm_cond_br(b, is, plain, count, arguments, others, count, arguments);
  int32_t weights[] = {plain_weight, 1};
  /* Not discardable: only then LLVM's branch has it. */
  mlirOperationSetAttributeByName(mlirBlockGetTerminator(b->at),
                                  cira__str("branch_weights"),
                                  mlirDenseI32ArrayGet(b->ctx, 2, weights));
}

MlirValue cira_choice_next(const cira_choice_t *c, cira_llvm_build_t *b,
                           MlirValue left) {
  MlirValue values[] = {{NULL}, {NULL}, left};
  return call(c, b, "cira_choice1_next", 3, values, 64);
}

void cira_choice_more(const cira_choice_t *c, cira_llvm_build_t *b,
                      MlirValue more) {
  MlirValue values[] = {{NULL}, {NULL}, more};
  call(c, b, "cira_choice1_more", 3, values, 0);
}

void cira_choice_leave(const cira_choice_t *c, cira_llvm_build_t *b,
                       MlirValue unused) {
  MlirValue none = mlirValueIsNull(unused)
                       ? cira_llvm_constant(b, cira_llvm_int(b, 64), 0)
                       : unused;
  MlirValue values[] = {{NULL}, {NULL}, none};
  call(c, b, "cira_choice1_leave", 3, values, 0);
}

MlirValue cira_choice_changed(cira_llvm_build_t *b, MlirValue word) {
  MlirType i64 = cira_llvm_int(b, 64);
  return cira_llvm_compare(
      b, cira_llvm_uge, word,
      cira_llvm_constant(b, i64, INT64_C(1) << changed_bit));
}

MlirValue cira_choice_budget(cira_llvm_build_t *b, MlirValue word) {
  MlirType i64 = cira_llvm_int(b, 64);
  return cira_llvm_binary(
      b, "llvm.and", word,
      cira_llvm_constant(b, i64, (INT64_C(1) << changed_bit) - 1));
}
