/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/llvm_nest.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"

#include <string.h>

enum { words = cira_nest_blocks_max / 64 };

MlirBlock cira__block_of(MlirValue value) {
  MlirOperation op = cira__def(value);
  return mlirOperationIsNull(op) ? mlirBlockArgumentGetOwner(value)
                                 : mlirOperationGetBlock(op);
}

/* ---- edges ----------------------------------------------------------------
 */

static intptr_t sum_of(MlirAttribute numbers, intptr_t count) {
  intptr_t sum = 0;
  for (intptr_t i = 0; i < count; i++) {
    sum += mlirDenseI32ArrayGetElement(numbers, i);
  }
  return sum;
}

intptr_t cira__edge_operand(MlirOperation op, intptr_t way, intptr_t index) {
  intptr_t first = 0;
  if (ciraOperationHasName(op, "llvm.cond_br") ||
      ciraOperationHasName(op, "llvm.switch")) {
    MlirAttribute sizes =
        mlirOperationGetAttributeByName(op, cira__str("operandSegmentSizes"));
    first = 1 + (way ? mlirDenseI32ArrayGetElement(sizes, 1) : 0);
    if (way > 1) {
      first += sum_of(mlirOperationGetAttributeByName(
                          op, cira__str("case_operand_segments")),
                      way - 1);
    }
  } else if (!ciraOperationHasName(op, "llvm.br")) {
    return -1;
  }
  return first + index;
}

MlirValue cira__edge_value(MlirOperation op, intptr_t way, intptr_t index) {
  intptr_t at = cira__edge_operand(op, way, index);
  return at < 0 || at >= mlirOperationGetNumOperands(op)
             ? (MlirValue){NULL}
             : mlirOperationGetOperand(op, at);
}

/* ---- blocks ---------------------------------------------------------------
 */

int cira_nest_index(const cira_nest_t *nest, MlirBlock block) {
  for (int i = 0; i < nest->count; i++) {
    if (nest->blocks[i].ptr == block.ptr) {
      return i;
    }
  }
  return -1;
}

bool cira_nest_has(const cira_nest_t *nest, MlirValue value) {
  return cira_nest_index(nest, cira__block_of(value)) >= 0;
}

/* Puts the blocks reached from `block` in front of the list's end, each behind
 * what it leads to: the list grows downwards, from the end of the array. */
typedef struct order {
  cira_nest_t *nest;
  MlirBlock seen[cira_nest_blocks_max];
  int seen_count;
  int free; /* entries of nest->blocks in front of which it is filled */
} order_t;

static bool visit_block(order_t *o, MlirBlock block) {
  for (int i = 0; i < o->seen_count; i++) {
    if (o->seen[i].ptr == block.ptr) {
      return true;
    }
  }
  if (o->seen_count == cira_nest_blocks_max) {
    return false;
  }
  o->seen[o->seen_count++] = block;
  MlirOperation end = cira__terminator(block);
  for (intptr_t i = mlirOperationGetNumSuccessors(end) - 1; i >= 0; i--) {
    MlirBlock next = mlirOperationGetSuccessor(end, i);
    if (cira_llvm_loop_contains(o->nest->loops, o->nest->loop, next) &&
        !visit_block(o, next)) {
      return false;
    }
  }
  o->nest->blocks[--o->free] = block;
  return true;
}

static void set_dominators(cira_nest_t *nest) {
  memset(nest->dominators, 0xff, sizeof nest->dominators);
  memset(nest->dominators[0], 0, sizeof nest->dominators[0]);
  nest->dominators[0][0] = 1;
  for (bool changed = true; changed;) {
    changed = false;
    for (int b = 0; b < nest->count; b++) {
      MlirOperation end = cira__terminator(nest->blocks[b]);
      for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
        int to = cira_nest_index(nest, mlirOperationGetSuccessor(end, i));
        for (int w = 0; to > 0 && w < words; w++) {
          uint64_t self = w == to / 64 ? UINT64_C(1) << (to % 64) : 0;
          uint64_t both =
              nest->dominators[to][w] & (nest->dominators[b][w] | self);
          changed |= both != nest->dominators[to][w];
          nest->dominators[to][w] = both;
        }
      }
    }
  }
}

bool cira_nest_dominates(const cira_nest_t *nest, int a, int b) {
  return nest->dominators[b][a / 64] >> (a % 64) & 1;
}

bool cira_nest_before(const cira_nest_t *nest, MlirOperation a,
                      MlirOperation b) {
  MlirBlock x = mlirOperationGetBlock(a), y = mlirOperationGetBlock(b);
  return mlirBlockEqual(x, y)
             ? ciraOperationPrecedes(a, b)
             : cira_nest_dominates(nest, cira_nest_index(nest, x),
                                   cira_nest_index(nest, y));
}

const char *cira_nest_get(const cira_llvm_loops_t *loops, int64_t number,
                          cira_nest_t *out_nest) {
  *out_nest = (cira_nest_t){.loops = loops, .loop = number, .latch = -1};
  order_t order = {.nest = out_nest, .free = cira_nest_blocks_max};
  MlirBlock header = loops->items[number].header;
  if (mlirBlockIsNull(header)) {
    return "the loop has no single beginning";
  }
  if (!visit_block(&order, header)) {
    return "the loop has too many branches";
  }
  out_nest->count = cira_nest_blocks_max - order.free;
  memmove(out_nest->blocks, out_nest->blocks + order.free,
          (size_t)out_nest->count * sizeof *out_nest->blocks);
  int leaves = -1;
  for (int b = 0; b < out_nest->count; b++) {
    MlirOperation end = cira__terminator(out_nest->blocks[b]);
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
      MlirBlock to = mlirOperationGetSuccessor(end, i);
      if (mlirBlockEqual(to, header)) {
        if (out_nest->latch >= 0 && out_nest->latch != b) {
          return "the loop ends its iterations in several places";
        }
        out_nest->latch = b;
      } else if (cira_nest_index(out_nest, to) < 0) {
        if (leaves >= 0) {
          return "the loop has several exits";
        }
        leaves = b;
        out_nest->exit = to;
      }
    }
  }
  if (out_nest->latch < 0 || leaves != out_nest->latch) {
    return "the loop does not end where its iterations do";
  }
  set_dominators(out_nest);
  return NULL;
}
