/* SPDX-License-Identifier: Apache-2.0
 * cira-coalesce: neighbouring load_async become one vectored request. A run is
 * a sequence of load_async in one block with only ops between them that touch
 * no memory and use no future of the run. The batch takes the place of the
 * last one, so that all handles are there. */
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"

static const char pass_name[] = "cira-coalesce";
enum { run_max = 64 };

typedef struct run {
  MlirOperation loads[run_max];
  intptr_t count;
} run_t;

/* Does `op`, or anything inside it, use a future of the run? */
static bool uses_run(MlirOperation op, const run_t *run) {
  for (intptr_t i = 0; i < run->count; i++) {
    MlirOpOperand use =
        mlirValueGetFirstUse(mlirOperationGetResult(run->loads[i], 0));
    for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
      if (ciraOperationIsAncestor(op, mlirOpOperandGetOwner(use))) {
        return true;
      }
    }
  }
  return false;
}

/* The handle of just the bytes that a load reads: its own handle, or an
 * offset or field of it. */
static MlirValue exact_handle(MlirOperation load, MlirOperation before) {
  MlirValue handle = mlirOperationGetOperand(load, 0);
  MlirType type = mlirValueGetType(handle);
  MlirType value = ciraFutureTypeGetValueType(
      mlirValueGetType(mlirOperationGetResult(load, 0)));
  MlirAttribute index =
      mlirOperationGetAttributeByName(load, cira__str("static_index"));
  intptr_t operands = mlirOperationGetNumOperands(load);
  MlirType wanted = ciraHandleTypeGet(value);
  if (mlirAttributeIsNull(index) && operands == 1) {
    return handle;
  }
  /* A part has another type than the whole, unless the load indexes an array
   * of T by T. */
  MlirType element = ciraHandleTypeGetElementType(type);
  bool part = !mlirTypeEqual(element, value);
  cira_op_spec_t spec = {
      .name = part ? "cira.handle_field" : "cira.handle_offset",
      .loc = mlirOperationGetLocation(load),
      .operand_count = operands,
      .operands = {handle,
                   operands > 1 ? mlirOperationGetOperand(load, 1) : handle},
      .result_count = 1,
      .results = {part ? wanted : type}};
  if (!mlirAttributeIsNull(index)) {
    spec.attr_count = 1;
    spec.attrs[0] =
        mlirNamedAttributeGet(mlirIdentifierGet(mlirOperationGetContext(load),
                                                cira__str("static_index")),
                              index);
  }
  return mlirOperationGetResult(cira__build(&spec, before), 0);
}

static void make_batch(run_t *run) {
  MlirOperation last = run->loads[run->count - 1];
  MlirValue handles[run_max];
  MlirType types[run_max];
  for (intptr_t i = 0; i < run->count; i++) {
    handles[i] = exact_handle(run->loads[i], last);
    types[i] = mlirValueGetType(mlirOperationGetResult(run->loads[i], 0));
  }
  MlirOperationState state = mlirOperationStateGet(
      cira__str("cira.load_async_batch"), mlirOperationGetLocation(last));
  mlirOperationStateAddOperands(&state, run->count, handles);
  mlirOperationStateAddResults(&state, run->count, types);
  MlirOperation batch = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(last), last, batch);
  CiraMachine machine = cira_cost_machine(last);
  cira__remark(batch, pass_name,
               "%ld loads in one request; saves %ld ns (%ld x %ld ns to hand "
               "over)",
               (long)run->count, (long)((run->count - 1) * machine.sync_ns),
               (long)(run->count - 1), (long)machine.sync_ns);
  for (intptr_t i = 0; i < run->count; i++) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(run->loads[i], 0),
                                  mlirOperationGetResult(batch, i));
    mlirOperationDestroy(run->loads[i]);
  }
}

static void finish(run_t *run, const char *why) {
  if (run->count > 1) {
    make_batch(run);
  } else if (run->count == 1) {
    cira__remark(run->loads[0], pass_name, "missed: no neighbour: %s", why);
  }
  run->count = 0;
}

static void coalesce_block(MlirBlock block) {
  run_t run = {.count = 0};
  MlirOperation op = mlirBlockGetFirstOperation(block);
  while (!mlirOperationIsNull(op)) {
    MlirOperation next = mlirOperationGetNextInBlock(op);
    if (uses_run(op, &run)) {
      finish(&run, "the future is used before the next load");
    }
    if (ciraOperationHasName(op, "cira.load_async")) {
      run.loads[run.count++] = op;
      if (run.count == run_max) {
        finish(&run, "");
      }
    } else if (ciraOperationGetEffects(op) != 0) {
      finish(&run, "an op in between touches memory or waits");
    }
    op = next;
  }
  finish(&run, "no other load follows");
}

static MlirWalkResult visit(MlirOperation op, void *unused) {
  (void)unused;
  for (intptr_t r = 0; r < mlirOperationGetNumRegions(op); r++) {
    MlirBlock block = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, r));
    for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
      coalesce_block(block);
    }
  }
  return MlirWalkResultAdvance;
}

bool cira__run_CiraCoalesce(MlirOperation op) {
  mlirOperationWalk(op, visit, NULL, MlirWalkPreOrder);
  return true;
}
