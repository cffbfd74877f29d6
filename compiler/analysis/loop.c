/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/loop.h"

static MlirBlock block_of_region(MlirOperation op, intptr_t region) {
  return mlirRegionGetFirstBlock(mlirOperationGetRegion(op, region));
}

static void get_for(MlirOperation op, cira_loop_t *loop) {
  loop->kind = CIRA_LOOP_FOR;
  loop->body = block_of_region(op, 0);
  loop->counter = mlirBlockGetArgument(loop->body, 0);
  loop->lower = mlirOperationGetOperand(op, 0);
  loop->upper = mlirOperationGetOperand(op, 1);
  loop->step = mlirOperationGetOperand(op, 2);
  loop->carried_count = mlirOperationGetNumOperands(op) - 3;
}

static void get_parallel(MlirOperation op, cira_loop_t *loop) {
  loop->kind = CIRA_LOOP_PARALLEL;
  loop->body = block_of_region(op, 0);
  intptr_t n = mlirBlockGetNumArguments(loop->body);
  loop->counter = mlirBlockGetArgument(loop->body, n - 1);
  loop->lower = mlirOperationGetOperand(op, n - 1);
  loop->upper = mlirOperationGetOperand(op, 2 * n - 1);
  loop->step = mlirOperationGetOperand(op, 3 * n - 1);
}

static void get_while(MlirOperation op, cira_loop_t *loop) {
  loop->kind = CIRA_LOOP_WHILE;
  loop->body = block_of_region(op, 1);
  loop->carried_count = mlirOperationGetNumOperands(op);
}

bool cira_loop_get(MlirOperation op, cira_loop_t *out_loop) {
  cira_loop_t loop = {.op = op};
  if (ciraOperationHasName(op, "scf.for")) {
    get_for(op, &loop);
  } else if (ciraOperationHasName(op, "scf.parallel")) {
    get_parallel(op, &loop);
  } else if (ciraOperationHasName(op, "scf.while")) {
    get_while(op, &loop);
  } else {
    return false;
  }
  *out_loop = loop;
  return true;
}

bool cira_loop_around(MlirOperation op, cira_loop_t *out_loop) {
  for (op = mlirOperationGetParentOperation(op); !mlirOperationIsNull(op);
       op = mlirOperationGetParentOperation(op)) {
    if (cira_loop_get(op, out_loop)) {
      return true;
    }
  }
  return false;
}

bool cira_loop_contains(const cira_loop_t *loop, MlirValue value) {
  if (mlirValueIsAOpResult(value)) {
    MlirOperation op = mlirOpResultGetOwner(value);
    return !mlirOperationEqual(op, loop->op) &&
           ciraOperationIsAncestor(loop->op, op);
  }
  MlirOperation holder =
      mlirBlockGetParentOperation(mlirBlockArgumentGetOwner(value));
  return ciraOperationIsAncestor(loop->op, holder);
}

/* A `do` argument of a while is the `before` argument that its scf.condition
 * passes on, if it passes on one. */
static intptr_t carried_of_while(const cira_loop_t *loop, MlirValue value) {
  MlirBlock before = block_of_region(loop->op, 0);
  MlirBlock owner = mlirBlockArgumentGetOwner(value);
  intptr_t number = mlirBlockArgumentGetArgNumber(value);
  if (mlirBlockEqual(owner, before)) {
    return number;
  }
  if (!mlirBlockEqual(owner, loop->body)) {
    return -1;
  }
  MlirValue passed =
      mlirOperationGetOperand(mlirBlockGetTerminator(before), number + 1);
  return mlirValueIsABlockArgument(passed) &&
                 mlirBlockEqual(mlirBlockArgumentGetOwner(passed), before)
             ? mlirBlockArgumentGetArgNumber(passed)
             : -1;
}

intptr_t cira_loop_carried(const cira_loop_t *loop, MlirValue value) {
  if (!mlirValueIsABlockArgument(value)) {
    return -1;
  }
  if (loop->kind == CIRA_LOOP_WHILE) {
    return carried_of_while(loop, value);
  }
  if (loop->kind == CIRA_LOOP_PARALLEL ||
      !mlirBlockEqual(mlirBlockArgumentGetOwner(value), loop->body)) {
    return -1;
  }
  return mlirBlockArgumentGetArgNumber(value) - 1; /* 0 is the counter */
}

MlirValue cira_loop_next(const cira_loop_t *loop, intptr_t carried) {
  return mlirOperationGetOperand(mlirBlockGetTerminator(loop->body), carried);
}

MlirValue cira_loop_first(const cira_loop_t *loop, intptr_t carried) {
  return mlirOperationGetOperand(
      loop->op, loop->kind == CIRA_LOOP_FOR ? carried + 3 : carried);
}
