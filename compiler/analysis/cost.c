/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/cost.h"

#include "analysis/ir.h"

static const int64_t most_ops = (int64_t)1 << 40;

CiraMachine cira_cost_machine(MlirOperation op) {
  CiraMachine machine;
  ciraMachineAttrGetFigures(ciraOperationGetMachine(op), &machine);
  return machine;
}

int64_t cira_cost_prefetches(const CiraMachine *m) {
  return cira_cost_max(m->lines_in_flight, m->prefetches_in_flight);
}

bool cira_cost_trip_count(const cira_loop_t *loop, int64_t *out_count) {
  int64_t lower, upper, step, span;
  if (loop->kind == CIRA_LOOP_WHILE ||
      !ciraValueGetConstant(loop->lower, &lower) ||
      !ciraValueGetConstant(loop->upper, &upper) ||
      !ciraValueGetConstant(loop->step, &step) || step < 1 ||
      __builtin_sub_overflow(upper, lower, &span)) {
    return false;
  }
  *out_count = span > 0 ? cira_cost_ceil(span, step) : 0;
  return true;
}

/* Terminators and constants cost nothing. */
static bool is_free(MlirOperation op) {
  int64_t number;
  return mlirOperationIsNull(mlirOperationGetNextInBlock(op)) ||
         (mlirOperationGetNumResults(op) == 1 &&
          ciraValueGetConstant(mlirOperationGetResult(op, 0), &number));
}

static int64_t clamped_product(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) || product > most_ops ? most_ops
                                                                      : product;
}

static int64_t ops_inside(MlirOperation op) {
  int64_t sum = 0;
  for (intptr_t r = 0; r < mlirOperationGetNumRegions(op); r++) {
    MlirBlock block = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, r));
    for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
      MlirOperation inner = mlirBlockGetFirstOperation(block);
      for (; !mlirOperationIsNull(inner);
           inner = mlirOperationGetNextInBlock(inner)) {
        sum = cira_cost_min(sum + cira_cost_ops(inner), most_ops);
      }
    }
  }
  return sum;
}

int64_t cira_cost_ops(MlirOperation op) {
  cira_loop_t loop;
  int64_t trips;
  int64_t inside = ops_inside(op);
  if (cira_loop_get(op, &loop) && cira_cost_trip_count(&loop, &trips)) {
    inside = clamped_product(inside, trips);
  }
  return cira_cost_min(inside + (is_free(op) ? 0 : 1), most_ops);
}

int64_t cira_cost_iteration_ops(const cira_loop_t *loop) {
  return cira_cost_max(1, ops_inside(loop->op));
}
