/* SPDX-License-Identifier: Apache-2.0
 * Sums that pass through the early part (llvm_interleave.h). */
#include "analysis/llvm_interleave_parts.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stddef.h>

static const char *const commuting[] = {
    "llvm.add",       "llvm.and",       "llvm.or",
    "llvm.xor",       "llvm.mul",       "llvm.intr.smax",
    "llvm.intr.smin", "llvm.intr.umax", "llvm.intr.umin",
};

static bool is_commuting(MlirOperation op) {
  for (size_t i = 0; i < sizeof commuting / sizeof *commuting; i++) {
    if (ciraOperationHasName(op, commuting[i])) {
      return true;
    }
  }
  return false;
}

static bool same_name(MlirOperation a, MlirOperation b) {
  return mlirIdentifierEqual(mlirOperationGetName(a), mlirOperationGetName(b));
}

int cira__il_sum_of(cira_il_plan_t *p, MlirValue value) {
  cira_il_value_t *v = cira_il_find(p, value);
  return v ? v->sum : -1;
}

static void join(cira_il_plan_t *p, MlirValue value, int sum, bool *more) {
  cira_il_value_t *v = cira_il_find(p, value);
  if (v && v->sum < 0) {
    v->sum = sum;
    *more = true;
  }
}

/* Follows one use of a partial result; false: it is no sum. */
static bool follow_use(cira_il_plan_t *p, int sum, MlirOperation op,
                       intptr_t operand, bool *more) {
  if (is_commuting(op) ||
      (ciraOperationHasName(op, "llvm.sub") && operand == 0)) {
    bool add = ciraOperationHasName(op, "llvm.add") ||
               ciraOperationHasName(op, "llvm.sub");
    MlirOperation known = p->sum_op[sum];
    if (mlirOperationIsNull(known)) {
      p->sum_op[sum] = op;
    } else if (!same_name(known, op) &&
               !(add && (ciraOperationHasName(known, "llvm.add") ||
                         ciraOperationHasName(known, "llvm.sub")))) {
      return false;
    }
    join(p, mlirOperationGetResult(op, 0), sum, more);
    return true;
  }
  if (ciraOperationHasName(op, "llvm.select") && operand > 0) {
    join(p, mlirOperationGetResult(op, 0), sum, more);
    return true;
  }
  if (!cira__il_is_branch(op)) {
    return false;
  }
  bool handed = false;
  for (intptr_t way = 0; way < mlirOperationGetNumSuccessors(op); way++) {
    MlirBlock to = mlirOperationGetSuccessor(op, way);
    int at = cira_nest_index(&p->nest, to);
    for (intptr_t i = 0; i < mlirBlockGetNumArguments(to); i++) {
      if (cira__edge_operand(op, way, i) == operand) {
        handed = true;
        if (at > 0 && p->in_early[at]) {
          join(p, mlirBlockGetArgument(to, i), sum, more);
        }
      }
    }
  }
  return handed;
}

static bool follow_uses(cira_il_plan_t *p, int sum, MlirValue value,
                        bool *more) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    int at = cira_nest_index(&p->nest, mlirOperationGetBlock(op));
    if (at >= 0 && p->in_early[at] &&
        !follow_use(p, sum, op, (intptr_t)mlirOpOperandGetOperandNumber(use),
                    more)) {
      return false;
    }
  }
  return true;
}

/* Is everything that was called a partial result one, whichever way it came
 * to be? */
static bool all_sums(cira_il_plan_t *p, int sum, MlirValue value) {
  MlirOperation op = cira__def(value);
  if (mlirOperationIsNull(op)) {
    MlirBlock block = mlirBlockArgumentGetOwner(value);
    intptr_t index = mlirBlockArgumentGetArgNumber(value);
    for (int b = 0; b < p->nest.count; b++) {
      MlirOperation end = cira__terminator(p->nest.blocks[b]);
      for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
        if (mlirBlockEqual(mlirOperationGetSuccessor(end, i), block) &&
            cira__il_sum_of(p, cira__edge_value(end, i, index)) != sum) {
          return false;
        }
      }
    }
    return true;
  }
  bool select = ciraOperationHasName(op, "llvm.select");
  int first =
      cira__il_sum_of(p, mlirOperationGetOperand(op, select ? 1 : 0)) == sum;
  int second =
      cira__il_sum_of(p, mlirOperationGetOperand(op, select ? 2 : 1)) == sum;
  if (select) {
    return first && second &&
           cira__il_sum_of(p, mlirOperationGetOperand(op, 0)) != sum;
  }
  return first + second == 1;
}

/* Is the argument one that the early part only adds to? Marks what it becomes
 * there. */
static void find_sum(cira_il_plan_t *p, int sum) {
  MlirValue argument = mlirBlockGetArgument(p->nest.blocks[0], sum);
  MlirType type = mlirValueGetType(argument);
  bool good = mlirTypeIsAInteger(type) && cira_il_bytes(type);
  bool more = good;
  join(p, argument, sum, &more);
  while (more && good) {
    more = false;
    for (int i = 0; good && i < p->value_count; i++) {
      good = p->values[i].sum != sum ||
             follow_uses(p, sum, p->values[i].value, &more);
    }
  }
  for (int i = p->arg_count; good && i < p->value_count; i++) {
    good = p->values[i].sum != sum || all_sums(p, sum, p->values[i].value);
  }
  good = good && !mlirOperationIsNull(p->sum_op[sum]);
  for (int i = 0; !good && i < p->value_count; i++) {
    if (p->values[i].sum == sum) {
      p->values[i].sum = -1;
    }
  }
  if (!good) {
    p->sum_op[sum] = (MlirOperation){NULL};
  }
}

void cira__il_find_sums(cira_il_plan_t *p) {
  for (int i = 0; i < p->arg_count; i++) {
    if (!cira_llvm_loop_step(p->nest.loops, p->nest.loop, i)) {
      find_sum(p, i);
    }
  }
}
