/* SPDX-License-Identifier: Apache-2.0
 * The C API of the dialect and its passes, used as a C program would use it.
 * Each test has a context of its own. */
#include "cira-c/Dialect.h"
#include "cira-c/IR.h"
#include "cira-c/Lowering.h"
#include "cira-c/Passes.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/Dialect/Func.h"
#include "mlir-c/Dialect/LLVM.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static MlirStringRef str(const char *text) {
  return mlirStringRefCreateFromCString(text);
}

static int setup(void **state) {
  MlirContext *ctx = malloc(sizeof *ctx);
  if (!ctx) {
    return -1;
  }
  *ctx = mlirContextCreate();
  mlirDialectHandleLoadDialect(mlirGetDialectHandle__cira__(), *ctx);
  mlirDialectHandleLoadDialect(mlirGetDialectHandle__func__(), *ctx);
  *state = ctx;
  return 0;
}

static int teardown(void **state) {
  MlirContext *ctx = *state;
  mlirContextDestroy(*ctx);
  free(ctx);
  return 0;
}

/* What the context reported last, and how often. */
typedef struct heard {
  char text[512];
  int count;
} heard_t;

static void append(MlirStringRef part, void *user) {
  heard_t *heard = user;
  strncat(heard->text, part.data,
          part.length < sizeof heard->text - strlen(heard->text) - 1
              ? part.length
              : sizeof heard->text - strlen(heard->text) - 1);
}

static MlirLogicalResult hear(MlirDiagnostic diagnostic, void *user) {
  heard_t *heard = user;
  heard->text[0] = '\0';
  heard->count++;
  mlirDiagnosticPrint(diagnostic, append, heard);
  return mlirLogicalResultSuccess();
}

static void expect_type_text(MlirType type, const char *text) {
  heard_t printed = {.count = 0};
  mlirTypePrint(type, append, &printed);
  assert_string_equal(printed.text, text);
}

static void test_types(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  MlirType f32 = mlirF32TypeGet(ctx);
  MlirType handle = ciraHandleTypeGet(f32);
  assert_true(ciraTypeIsAHandle(handle));
  assert_false(ciraTypeIsAFuture(handle));
  assert_true(mlirTypeEqual(ciraHandleTypeGetElementType(handle), f32));
  expect_type_text(handle, "!cira.handle<f32>");

  MlirType future = ciraFutureTypeGet(handle);
  assert_true(ciraTypeIsAFuture(future));
  assert_true(mlirTypeEqual(ciraFutureTypeGetValueType(future), handle));
  expect_type_text(future, "!cira.future<!cira.handle<f32>>");

  assert_true(ciraTypeIsAStream(ciraStreamTypeGet(ctx)));
  assert_true(ciraTypeIsAToken(ciraTokenTypeGet(ctx)));
  assert_false(ciraTypeIsAStream(ciraTokenTypeGet(ctx)));
  expect_type_text(ciraTokenTypeGet(ctx), "!cira.token");
}

static void test_remote_memref(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  MlirType f32 = mlirF32TypeGet(ctx);
  int64_t shape[2] = {4, mlirShapedTypeGetDynamicSize()};
  MlirAttribute none = {NULL};
  MlirType type = ciraRemoteMemRefTypeGet(2, shape, f32, CiraTierFar, none);
  assert_true(ciraTypeIsARemoteMemRef(type));
  expect_type_text(type, "!cira.remote_memref<4x?xf32, far>");
  assert_int_equal(ciraRemoteMemRefTypeGetRank(type), 2);
  assert_int_equal(ciraRemoteMemRefTypeGetDimSize(type, 0), 4);
  assert_int_equal(ciraRemoteMemRefTypeGetDimSize(type, 1), shape[1]);
  assert_int_equal(ciraRemoteMemRefTypeGetTier(type), CiraTierFar);
  assert_true(mlirAttributeIsNull(ciraRemoteMemRefTypeGetLayout(type)));
  assert_true(mlirTypeEqual(ciraRemoteMemRefTypeGetElementType(type), f32));
  expect_type_text(ciraRemoteMemRefTypeGetMemRefType(type), "memref<4x?xf32>");

  MlirType edge = mlirTypeParseGet(
      ctx, str("!cira.remote_memref<8x!llvm.struct<(f32, ptr)>, cxl>"));
  assert_true(ciraTypeIsARemoteMemRef(edge));
  assert_true(mlirTypeIsNull(ciraRemoteMemRefTypeGetMemRefType(edge)));
}

static void test_refused_types(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  heard_t heard = {.count = 0};
  MlirDiagnosticHandlerID id =
      mlirContextAttachDiagnosticHandler(ctx, hear, &heard, NULL);
  MlirType stream = ciraStreamTypeGet(ctx);
  assert_true(mlirTypeIsNull(ciraHandleTypeGet(stream)));
  assert_non_null(strstr(heard.text, "cannot lie in memory"));
  assert_true(mlirTypeIsNull(ciraFutureTypeGet(stream)));
  int64_t size = -5;
  MlirAttribute none = {NULL};
  assert_true(mlirTypeIsNull(ciraRemoteMemRefTypeGet(
      1, &size, mlirF32TypeGet(ctx), CiraTierCxl, none)));
  assert_int_equal(heard.count, 3);
  mlirContextDetachDiagnosticHandler(ctx, id);
}

static void test_machine(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  CiraMachine m;
  MlirAttribute standard = ciraMachineAttrGetDefault(ctx);
  assert_true(ciraAttributeIsAMachine(standard));
  ciraMachineAttrGetFigures(standard, &m);
  /* The figures of the design notes. */
  assert_int_equal(m.tier_latency_ns[CiraTierLocal], 80);
  assert_int_equal(m.tier_latency_ns[CiraTierCxl], 200);
  assert_int_equal(m.tier_latency_ns[CiraTierRemoteCxl], 400);
  assert_int_equal(m.llc_latency_ns, 15);
  assert_int_equal(m.sync_ns, 50);
  assert_true(ciraMachineAttrHasDevice(standard, str("vortex_core_3")));
  assert_true(ciraMachineAttrHasDevice(standard, str("helper_0")));
  assert_false(ciraMachineAttrHasDevice(standard, str("vortex_core_")));
  assert_false(ciraMachineAttrHasDevice(standard, str("gpu")));
  assert_true(
      mlirStringRefEqual(ciraMachineAttrGetDevice(standard, 1), str("helper")));
  assert_int_equal(ciraMachineAttrGetDevice(standard, 2).length, 0);

  MlirAttribute none = {NULL};
  assert_true(mlirAttributeEqual(ciraMachineAttrGet(ctx, &m, none), standard));
  m.tier_latency_ns[CiraTierFar] = 2400;
  MlirAttribute name = mlirStringAttrGet(ctx, str("dpu"));
  MlirAttribute own =
      ciraMachineAttrGet(ctx, &m, mlirArrayAttrGet(ctx, 1, &name));
  CiraMachine again;
  ciraMachineAttrGetFigures(own, &again);
  assert_memory_equal(&m, &again, sizeof m);
  assert_true(ciraMachineAttrHasDevice(own, str("dpu_1")));
  assert_false(ciraMachineAttrHasDevice(own, str("vortex")));

  MlirAttribute read = ciraMachineAttrParseJSON(
      mlirLocationUnknownGet(ctx),
      str("{\"far_latency_ns\": 2400, \"devices\": [\"dpu\"]}"));
  assert_true(mlirAttributeEqual(read, own));
  ciraMachineAttrSetDefault(read);
  assert_true(mlirAttributeEqual(ciraMachineAttrGetDefault(ctx), own));
  ciraMachineAttrSetDefault(standard);

  heard_t heard = {.count = 0};
  MlirDiagnosticHandlerID id =
      mlirContextAttachDiagnosticHandler(ctx, hear, &heard, NULL);
  assert_true(mlirAttributeIsNull(ciraMachineAttrParseJSON(
      mlirLocationUnknownGet(ctx), str("{\"sync_ns\": true}"))));
  assert_non_null(strstr(heard.text, "no whole number for sync_ns"));
  m.page_bytes = 3000;
  assert_true(mlirAttributeIsNull(ciraMachineAttrGet(ctx, &m, none)));
  assert_non_null(strstr(heard.text, "powers of two"));
  mlirContextDetachDiagnosticHandler(ctx, id);
}

static void test_annotations(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  MlirAttribute tier = ciraTierAttrGet(ctx, CiraTierRemoteCxl);
  assert_true(ciraAttributeIsATier(tier));
  assert_int_equal(ciraTierAttrGetValue(tier), CiraTierRemoteCxl);

  MlirAttribute access =
      ciraAccessAttrGet(ctx, CiraPatternLinked, 0, 8, 4, str("why"));
  assert_true(ciraAttributeIsAAccess(access));
  assert_int_equal(ciraAccessAttrGetPattern(access), CiraPatternLinked);
  assert_int_equal(ciraAccessAttrGetStrideBytes(access), 0);
  assert_int_equal(ciraAccessAttrGetOffsetBytes(access), 8);
  assert_int_equal(ciraAccessAttrGetElementBytes(access), 4);
  assert_true(mlirStringRefEqual(ciraAccessAttrGetReason(access), str("why")));

  MlirAttribute distance = ciraDistanceAttrGet(ctx, 1, 2, 3, 4);
  assert_true(ciraAttributeIsADistance(distance));
  assert_int_equal(ciraDistanceAttrGetLines(distance), 1);
  assert_int_equal(ciraDistanceAttrGetPages(distance), 2);
  assert_int_equal(ciraDistanceAttrGetIterationNs(distance), 3);
  assert_int_equal(ciraDistanceAttrGetLatencyNs(distance), 4);

  heard_t heard = {.count = 0};
  MlirDiagnosticHandlerID id =
      mlirContextAttachDiagnosticHandler(ctx, hear, &heard, NULL);
  assert_true(mlirAttributeIsNull(
      ciraAccessAttrGet(ctx, CiraPatternStrided, 0, 0, 4, str("x"))));
  assert_true(mlirAttributeIsNull(ciraDistanceAttrGet(ctx, 0, 1, 1, 1)));
  assert_int_equal(heard.count, 2);
  mlirContextDetachDiagnosticHandler(ctx, id);
}

/* The ops of the one function in a module. */
static MlirOperation first_op(MlirModule module) {
  MlirOperation function =
      mlirBlockGetFirstOperation(mlirModuleGetBody(module));
  return mlirBlockGetFirstOperation(
      mlirRegionGetFirstBlock(mlirOperationGetRegion(function, 0)));
}

static void test_questions(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  MlirModule module = mlirModuleCreateParse(
      ctx, str("func.func @f(%h: !cira.handle<f32>, %p: !llvm.ptr) {\n"
               "  %c = arith.constant 42 : index\n"
               "  %v = cira.load %h : !cira.handle<f32> -> f32\n"
               "  cira.store %v, %h : f32, !cira.handle<f32>\n"
               "  cira.offload @vortex {\n"
               "    %w = cira.load %h : !cira.handle<f32> -> f32\n"
               "  }\n"
               "  cira.fence\n"
               "  return\n"
               "}\n"
               "module {}\n"));
  assert_false(mlirModuleIsNull(module));
  MlirOperation constant = first_op(module);
  MlirOperation load = mlirOperationGetNextInBlock(constant);
  MlirOperation store = mlirOperationGetNextInBlock(load);
  MlirOperation offload = mlirOperationGetNextInBlock(store);
  MlirOperation fence = mlirOperationGetNextInBlock(offload);
  MlirOperation inner = mlirBlockGetFirstOperation(
      mlirRegionGetFirstBlock(mlirOperationGetRegion(offload, 0)));

  assert_int_equal(ciraOperationGetEffects(constant), 0);
  assert_int_equal(ciraOperationGetEffects(load), CIRA_EFFECT_READ);
  assert_int_equal(ciraOperationGetEffects(store), CIRA_EFFECT_WRITE);
  assert_int_equal(ciraOperationGetEffects(offload), CIRA_EFFECT_READ);
  assert_int_equal(ciraOperationGetEffects(fence),
                   CIRA_EFFECT_READ | CIRA_EFFECT_WRITE | CIRA_EFFECT_OTHER);
  assert_true(ciraOperationIsPure(constant));
  assert_false(ciraOperationIsPure(load));

  assert_true(ciraOperationPrecedes(load, store));
  assert_false(ciraOperationPrecedes(store, load));
  assert_true(ciraOperationPrecedes(store, inner));
  assert_false(ciraOperationPrecedes(offload, inner));
  assert_false(ciraOperationPrecedes(fence, inner));
  assert_true(mlirOperationEqual(ciraOperationGetPrevInBlock(store), load));
  assert_true(mlirOperationIsNull(ciraOperationGetPrevInBlock(constant)));
  assert_true(ciraOperationIsAncestor(offload, inner));
  assert_true(ciraOperationHasName(load, "cira.load"));
  assert_false(ciraOperationHasName(load, "cira.load_async"));

  int64_t number = 0;
  assert_true(
      ciraValueGetConstant(mlirOperationGetResult(constant, 0), &number));
  assert_int_equal(number, 42);
  assert_false(ciraValueGetConstant(mlirOperationGetResult(load, 0), &number));
  MlirAttribute machine = ciraOperationGetMachine(load);
  assert_true(mlirAttributeEqual(machine, ciraMachineAttrGetDefault(ctx)));

  uint64_t count;
  MlirType element;
  assert_true(ciraTypeIsALLVMArray(
      mlirTypeParseGet(ctx, str("!llvm.array<4 x i32>")), &count, &element));
  assert_int_equal(count, 4);
  assert_false(ciraTypeIsALLVMArray(element, &count, &element));
  assert_true(ciraTypeIsALLVMPointer(mlirTypeParseGet(ctx, str("!llvm.ptr"))));
  mlirModuleDestroy(module);
}

static void test_passes(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  ciraRegisterPasses();
  ciraRegisterPasses(); /* the second call does nothing */
  assert_true(ciraGetNumPasses() > 0);
  for (intptr_t i = 0; i < ciraGetNumPasses(); i++) {
    MlirPass pass = ciraCreatePass(str(ciraGetPassArgument(i)));
    assert_non_null(pass.ptr);
    MlirPassManager manager = mlirPassManagerCreate(ctx);
    mlirPassManagerAddOwnedPass(manager, pass);
    mlirPassManagerDestroy(manager);
  }
  assert_null(ciraCreatePass(str("cira-nothing")).ptr);
  assert_null(ciraGetPassArgument(ciraGetNumPasses()));
  assert_null(ciraGetPassArgument(-1));
  assert_string_equal(ciraGetPipelineName(0), "cira-default");
  assert_null(ciraGetPipelineName(-1));
  assert_null(ciraGetPipelineStages("cira-nothing"));

  MlirModule module = mlirModuleCreateParse(
      ctx, str("func.func @f(%a: !cira.handle<f32>, %b: !cira.handle<f32>)\n"
               "    -> (f32, f32) {\n"
               "  %f = cira.load_async %a : !cira.handle<f32>\n"
               "      -> !cira.future<f32>\n"
               "  %g = cira.load_async %b : !cira.handle<f32>\n"
               "      -> !cira.future<f32>\n"
               "  %x = cira.await %f : !cira.future<f32> -> f32\n"
               "  %y = cira.await %g : !cira.future<f32> -> f32\n"
               "  return %x, %y : f32, f32\n"
               "}\n"));
  heard_t heard = {.count = 0};
  MlirDiagnosticHandlerID id =
      mlirContextAttachDiagnosticHandler(ctx, hear, &heard, NULL);
  MlirPassManager manager = mlirPassManagerCreate(ctx);
  mlirPassManagerAddOwnedPass(manager, ciraCreatePass(str("cira-coalesce")));
  assert_true(mlirLogicalResultIsSuccess(
      mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(module))));
  assert_true(ciraOperationHasName(first_op(module), "cira.load_async_batch"));
  assert_non_null(strstr(heard.text, "2 loads in one request"));

  MlirOpPassManager nested = mlirPassManagerGetAsOpPassManager(manager);
  heard_t errors = {.count = 0};
  assert_true(mlirLogicalResultIsSuccess(mlirOpPassManagerAddPipeline(
      nested, str("cira-default"), append, &errors)));
  assert_true(mlirLogicalResultIsSuccess(
      mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(module))));
  mlirPassManagerDestroy(manager);
  mlirContextDetachDiagnosticHandler(ctx, id);
  mlirModuleDestroy(module);
}

/* Types become LLVM's; an op that stays does not. */
static void test_lowering(void **state) {
  MlirContext ctx = *(MlirContext *)*state;
  CiraTypeConverter types = ciraTypeConverterCreate(ctx);
  MlirType f32 = mlirF32TypeGet(ctx);
  assert_true(ciraTypeIsALLVMPointer(
      ciraTypeConverterConvert(types, ciraHandleTypeGet(f32))));
  MlirType future = ciraTypeConverterConvert(types, ciraFutureTypeGet(f32));
  assert_true(mlirTypeIsALLVMStructType(future));
  assert_int_equal(mlirLLVMStructTypeGetNumElementTypes(future), 3);
  assert_true(
      mlirTypeEqual(ciraTypeConverterConvert(types, ciraTokenTypeGet(ctx)),
                    mlirIntegerTypeGet(ctx, 64)));
  ciraTypeConverterDestroy(types);

  ciraRegisterPasses();
  assert_non_null(
      strstr(ciraGetPipelineStages("cira-to-llvm"), "cira-lower-ops"));
  MlirModule module = mlirModuleCreateParse(
      ctx, str("func.func @f(%a: !cira.handle<f32>) -> f32 {\n"
               "  %x = cira.load %a : !cira.handle<f32> -> f32\n"
               "  return %x : f32\n"
               "}\n"));
  MlirPassManager manager = mlirPassManagerCreate(ctx);
  const char *const stages[] = {"cira-outline-offload", "cira-lower-ops",
                                "cira-finish-llvm"};
  for (int i = 0; i < 3; i++) {
    mlirPassManagerAddOwnedPass(manager, ciraCreatePass(str(stages[i])));
  }
  assert_true(mlirLogicalResultIsSuccess(
      mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(module))));
  mlirPassManagerDestroy(manager);
  MlirOperation function =
      mlirBlockGetFirstOperation(mlirModuleGetBody(module));
  assert_true(ciraOperationHasName(function, "llvm.func"));
  mlirModuleDestroy(module);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_types, setup, teardown),
      cmocka_unit_test_setup_teardown(test_remote_memref, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused_types, setup, teardown),
      cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
      cmocka_unit_test_setup_teardown(test_annotations, setup, teardown),
      cmocka_unit_test_setup_teardown(test_questions, setup, teardown),
      cmocka_unit_test_setup_teardown(test_passes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lowering, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
