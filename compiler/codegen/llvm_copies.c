/* SPDX-License-Identifier: Apache-2.0
 * Reading order: the copies, what leaves the loops. */
#include "codegen/llvm_copies.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"

#include <stdlib.h>

MlirBlock cira_copies_of(const cira_copies_t *c, MlirBlock block) {
  for (size_t i = 0; i < c->block_count; i++) {
    if (mlirBlockEqual(c->blocks[i].from, block)) {
      return c->blocks[i].to;
    }
  }
  return block;
}

bool cira_copies_has(const cira_copies_t *c, MlirBlock block) {
  for (size_t i = 0; i < c->block_count; i++) {
    if (mlirBlockEqual(c->blocks[i].to, block)) {
      return true;
    }
  }
  return false;
}

/* The values are in the order of the blocks, so that most are found soon. */
static MlirValue copy_of_value(const cira_copies_t *c, MlirValue value) {
  for (size_t i = c->value_count; i-- > 0;) {
    if (mlirValueEqual(c->values[i].from, value)) {
      return c->values[i].to;
    }
  }
  return value;
}

/* Calls that only say something about the loop that they stand in front of. */
static bool is_fact(MlirOperation op) {
  MlirAttribute callee =
      ciraOperationHasName(op, "llvm.call")
          ? mlirOperationGetAttributeByName(op, cira__str("callee"))
          : mlirAttributeGetNull();
  if (mlirAttributeIsNull(callee)) {
    return false;
  }
  MlirStringRef name = mlirFlatSymbolRefAttrGetValue(callee);
  return mlirStringRefEqual(name, cira__str("cira.last")) ||
         mlirStringRefEqual(name, cira__str("cira.count"));
}

/* Counts what has to be copied. False: that is too much, or cannot be. */
static bool measure(const MlirBlock *blocks, int count, size_t ops_max,
                    size_t *out_values) {
  size_t values = 0, ops = 0;
  for (int k = 0; k < count; k++) {
    MlirBlock block = blocks[k];
    if (mlirBlockGetNumArguments(block) > cira_copies_arguments_max) {
      return false;
    }
    values += (size_t)mlirBlockGetNumArguments(block);
    for (MlirOperation op = mlirBlockGetFirstOperation(block);
         !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      values += (size_t)mlirOperationGetNumResults(op);
      for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(op); i++) {
        if (mlirBlockGetNumArguments(mlirOperationGetSuccessor(op, i)) >
            cira_copies_arguments_max) {
          return false;
        }
      }
      if (++ops > ops_max || mlirOperationGetNumRegions(op) ||
          ciraOperationHasName(op, "llvm.invoke")) {
        return false;
      }
    }
  }
  *out_values = values;
  return true;
}

static void copy_block(cira_copies_t *c, cira_llvm_build_t *b, MlirBlock block,
                       bool plain) {
  MlirBlock copy = cira_llvm_block(b);
  c->blocks[c->block_count++] = (cira_copies_block_t){block, copy};
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(block); i++) {
    MlirValue from = mlirBlockGetArgument(block, i);
    MlirValue to = mlirBlockAddArgument(copy, mlirValueGetType(from), b->loc);
    c->values[c->value_count++] = (cira_copies_value_t){from, to};
  }
  for (MlirOperation op = mlirBlockGetFirstOperation(block);
       !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    if (is_fact(op)) {
      continue;
    }
    MlirOperation made = mlirOperationClone(op);
    if (plain) {
      ciraOperationMarkPlain(made);
    } else {
      ciraOperationMarkCopy(made);
    }
    mlirBlockAppendOwnedOperation(copy, made);
    for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
      c->values[c->value_count++] = (cira_copies_value_t){
          mlirOperationGetResult(op, i), mlirOperationGetResult(made, i)};
    }
  }
}

/* The copies use each other; blocks may come before those they use. */
static void connect(const cira_copies_t *c, MlirBlock copy) {
  for (MlirOperation op = mlirBlockGetFirstOperation(copy);
       !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
      mlirOperationSetOperand(op, i,
                              copy_of_value(c, mlirOperationGetOperand(op, i)));
    }
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(op); i++) {
      mlirOperationSetSuccessor(
          op, i, cira_copies_of(c, mlirOperationGetSuccessor(op, i)));
    }
  }
}

bool cira_copies_make(cira_copies_t *c, cira_llvm_build_t *b,
                      const MlirBlock *blocks, int count, size_t ops_max,
                      bool plain) {
  size_t values;
  *c = (cira_copies_t){0};
  if (!measure(blocks, count, ops_max, &values)) {
    return false;
  }
  c->blocks = calloc((size_t)count, sizeof *c->blocks);
  c->values = calloc(values ? values : 1, sizeof *c->values);
  if (!c->blocks || !c->values) {
    cira_copies_fini(c);
    return false;
  }
  for (int i = 0; i < count; i++) {
    copy_block(c, b, blocks[i], plain);
  }
  for (size_t i = 0; i < c->block_count; i++) {
    connect(c, c->blocks[i].to);
  }
  return true;
}

void cira_copies_fini(cira_copies_t *c) {
  free(c->blocks);
  free(c->values);
  *c = (cira_copies_t){0};
}

/* ---- what leaves the loops ------------------------------------------------
 */

/* Behind the value. */
static cira_lb_t behind(MlirValue value) {
  MlirOperation op = cira__def(value);
  return cira_lb_before(
      mlirOperationIsNull(op)
          ? mlirBlockGetFirstOperation(mlirBlockArgumentGetOwner(value))
          : mlirOperationGetNextInBlock(op));
}

/* The next use outside; null: none. */
static MlirOperation user_outside(MlirValue value,
                                  cira_copies_outside_t outside,
                                  const void *user, intptr_t *out_operand) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    if (outside(user, mlirOperationGetBlock(op))) {
      *out_operand = mlirOpOperandGetOperandNumber(use);
      return op;
    }
  }
  return (MlirOperation){NULL};
}

void cira_copies_carry(const cira_copies_t *one, const cira_copies_t *two,
                       MlirOperation function, cira_copies_outside_t outside,
                       const void *user) {
  for (size_t i = 0; i < one->value_count; i++) {
    MlirValue from = one->values[i].from;
    intptr_t operand;
    MlirOperation op = user_outside(from, outside, user, &operand);
    if (mlirOperationIsNull(op)) {
      continue;
    }
    MlirType type = mlirValueGetType(from);
    MlirValue room = cira_lb_variable(function, type);
    for (; !mlirOperationIsNull(op);
         op = user_outside(from, outside, user, &operand)) {
      cira_lb_t b = cira_lb_before(op);
      mlirOperationSetOperand(op, operand, cira_lb_load(&b, room, type, 0));
    }
    MlirValue values[] = {from, one->values[i].to,
                          two ? two->values[i].to : (MlirValue){NULL}};
    for (int k = 0; k < (two ? 3 : 2); k++) {
      cira_lb_t b = behind(values[k]);
      cira_lb_store(&b, values[k], room);
    }
  }
}
