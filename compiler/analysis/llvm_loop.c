/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/llvm_loop.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/Diagnostics.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  unknown_loop_percent = 200,
  percent_max = 100000000,
  facts_max = 16 /* of one op */
};

static MlirAttribute entry(MlirAttribute dictionary, const char *name) {
  return mlirAttributeIsNull(dictionary) ||
                 !mlirAttributeIsADictionary(dictionary)
             ? mlirAttributeGetNull()
             : mlirDictionaryAttrGetElementByName(dictionary, cira__str(name));
}

static bool number_in(MlirAttribute dictionary, const char *name,
                      int64_t *out_number) {
  MlirAttribute value = entry(dictionary, name);
  if (mlirAttributeIsNull(value) || !mlirAttributeIsAInteger(value)) {
    return false;
  }
  *out_number = mlirIntegerAttrGetValueInt(value);
  return true;
}

bool cira__fact_number(MlirOperation op, const char *name,
                       int64_t *out_number) {
  return number_in(cira__attr_get(op, "cira.facts"), name, out_number);
}

bool cira__fact_has(MlirOperation op, const char *name) {
  return !mlirAttributeIsNull(entry(cira__attr_get(op, "cira.facts"), name));
}

void cira__fact_add(MlirOperation op, const char *name) {
  MlirContext ctx = mlirOperationGetContext(op);
  MlirAttribute facts = cira__attr_get(op, "cira.facts");
  MlirNamedAttribute entries[facts_max];
  intptr_t count = 0;
  if (!mlirAttributeIsNull(entry(facts, name))) {
    return;
  }
  intptr_t old =
      mlirAttributeIsNull(facts) ? 0 : mlirDictionaryAttrGetNumElements(facts);
  for (intptr_t i = 0; i < old && count < facts_max - 1; i++) {
    entries[count++] = mlirDictionaryAttrGetElement(facts, i);
  }
  entries[count++] = (MlirNamedAttribute){
      mlirIdentifierGet(ctx, cira__str(name)), mlirUnitAttrGet(ctx)};
  cira__attr_set(op, "cira.facts", mlirDictionaryAttrGet(ctx, count, entries));
}

MlirOperation cira__terminator(MlirBlock block) {
  return mlirBlockGetTerminator(block);
}

int64_t cira_llvm_block_loop(MlirBlock block) {
  int64_t number = -1;
  MlirOperation last = cira__terminator(block);
  return !mlirOperationIsNull(last) &&
                 cira__fact_number(last, "loop", &number) && number >= 0
             ? number
             : -1;
}

int64_t cira_llvm_block_percent(MlirBlock block) {
  int64_t percent = 100;
  cira__fact_number(cira__terminator(block), "percent", &percent);
  return percent < 1 ? 1 : percent > percent_max ? percent_max : percent;
}

bool cira_llvm_loop_contains(const cira_llvm_loops_t *loops, int64_t number,
                             MlirBlock block) {
  int64_t at = cira_llvm_block_loop(block);
  while (at >= 0 && at != number) {
    at = loops->items[at].parent;
  }
  return at == number && number >= 0;
}

int64_t cira_llvm_loop_step(const cira_llvm_loops_t *loops, int64_t number,
                            intptr_t index) {
  MlirAttribute steps = loops->items[number].steps;
  return mlirAttributeIsNull(steps) || !mlirAttributeIsADenseI64Array(steps) ||
                 index >= mlirDenseArrayGetNumElements(steps)
             ? 0
             : mlirDenseI64ArrayGetElement(steps, index);
}

/* Constants, addresses of globals and the op that ends a block cost nothing
 * that counts. */
static int64_t ops_in(MlirBlock block) {
  int64_t count = 0;
  MlirOperation op = mlirBlockGetFirstOperation(block);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    count += !ciraOperationHasName(op, "llvm.mlir.constant") &&
             !ciraOperationHasName(op, "llvm.mlir.addressof") &&
             !ciraOperationHasName(op, "llvm.br");
  }
  return count;
}

/* Runs of a block of loop `at` in 100 iterations of loop `number`. */
static int64_t percent_within(const cira_llvm_loops_t *loops, int64_t number,
                              int64_t at, int64_t percent) {
  for (; at != number; at = loops->items[at].parent) {
    const cira_llvm_loop_t *loop = &loops->items[at];
    int64_t entered = loop->percent;
    if (!loop->trips && entered > unknown_loop_percent) {
      entered = unknown_loop_percent;
    }
    percent = percent * entered / 100;
    if (percent > percent_max) {
      return percent_max;
    }
  }
  return percent;
}

int64_t cira_llvm_loop_runs_percent(const cira_llvm_loops_t *loops,
                                    int64_t number, MlirBlock block) {
  return percent_within(loops, number, cira_llvm_block_loop(block),
                        cira_llvm_block_percent(block));
}

int64_t cira_llvm_loop_ops_percent(const cira_llvm_loops_t *loops,
                                   int64_t number) {
  int64_t sum = 0;
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    if (cira_llvm_loop_contains(loops, number, block)) {
      sum += ops_in(block) * cira_llvm_loop_runs_percent(loops, number, block);
    }
  }
  return sum < 100 ? 100 : sum;
}

static bool refuse(MlirOperation op, const char *what, int64_t number) {
  char text[160];
  snprintf(text, sizeof text,
           "cira.facts: %s %ld; loops are numbered from 0, outer ones first",
           what, (long)number);
  mlirEmitError(mlirOperationGetLocation(op), text);
  return false;
}

static bool read_loop(cira_llvm_loops_t *loops, int64_t number,
                      MlirAttribute facts) {
  cira_llvm_loop_t *loop = &loops->items[number];
  *loop = (cira_llvm_loop_t){.parent = -1, .percent = 100};
  number_in(facts, "parent", &loop->parent);
  number_in(facts, "trips", &loop->trips);
  number_in(facts, "percent", &loop->percent);
  loop->bounded = !mlirAttributeIsNull(entry(facts, "bounded"));
  loop->breaks = !mlirAttributeIsNull(entry(facts, "breaks"));
  loop->walks = !mlirAttributeIsNull(entry(facts, "walks"));
  loop->varies = !mlirAttributeIsNull(entry(facts, "varies"));
  loop->interleaved = !mlirAttributeIsNull(entry(facts, "interleaved"));
  loop->parallel = !mlirAttributeIsNull(entry(facts, "parallel"));
  MlirAttribute single = entry(facts, "single");
  if (!mlirAttributeIsNull(single) && mlirAttributeIsAString(single)) {
    loop->single = mlirStringAttrGetValue(single);
  }
  MlirAttribute why = entry(facts, "unbounded");
  loop->unbounded = !mlirAttributeIsNull(why) && mlirAttributeIsAString(why)
                        ? mlirStringAttrGetValue(why)
                        : cira__str("nothing says that it is bounded");
  if (loop->parent < -1 || loop->parent >= number) {
    return refuse(loops->function, "no such parent:", loop->parent);
  }
  return true;
}

/* Finds the headers: only theirs have steps. */
static bool read_blocks(cira_llvm_loops_t *loops) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation last = cira__terminator(block);
    int64_t number = cira_llvm_block_loop(block);
    if (number >= loops->count) {
      return refuse(last, "no such loop:", number);
    }
    MlirAttribute steps = entry(cira__attr_get(last, "cira.facts"), "steps");
    if (number >= 0 && !mlirAttributeIsNull(steps)) {
      loops->items[number].header = block;
      loops->items[number].steps = steps;
    }
  }
  return true;
}

bool cira_llvm_loops_get(MlirOperation function, cira_llvm_loops_t *out_loops) {
  *out_loops = (cira_llvm_loops_t){.function = function};
  MlirAttribute list = entry(cira__attr_get(function, "cira.facts"), "loops");
  if (!mlirAttributeIsNull(list) && mlirAttributeIsAArray(list)) {
    out_loops->count = mlirArrayAttrGetNumElements(list);
  }
  /* One more, so that none is no null. */
  out_loops->items =
      calloc((size_t)out_loops->count + 1, sizeof *out_loops->items);
  if (!out_loops->items) {
    return refuse(function, "no memory for loops:", out_loops->count);
  }
  bool good = true;
  for (int64_t i = 0; good && i < out_loops->count; i++) {
    good = read_loop(out_loops, i, mlirArrayAttrGetElement(list, i));
  }
  if (good && mlirBlockIsNull(mlirRegionGetFirstBlock(
                  mlirOperationGetRegion(function, 0)))) {
    out_loops->count = 0; /* a declaration */
  }
  if (!good || (out_loops->count && !read_blocks(out_loops))) {
    cira_llvm_loops_fini(out_loops);
    return false;
  }
  return true;
}

void cira_llvm_loops_fini(cira_llvm_loops_t *loops) {
  free(loops->items);
  loops->items = NULL;
  loops->count = 0;
}

/* The call of `name` whose first operand is that number. */
static MlirOperation find_marker(const cira_llvm_loops_t *loops,
                                 const char *name, int64_t wanted) {
  int64_t number;
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      MlirAttribute callee =
          ciraOperationHasName(op, "llvm.call")
              ? mlirOperationGetAttributeByName(op, cira__str("callee"))
              : mlirAttributeGetNull();
      if (!mlirAttributeIsNull(callee) &&
          mlirStringRefEqual(mlirFlatSymbolRefAttrGetValue(callee),
                             cira__str(name)) &&
          mlirOperationGetNumOperands(op) >= 2 &&
          ciraValueGetConstant(mlirOperationGetOperand(op, 0), &number) &&
          number == wanted) {
        return op;
      }
    }
  }
  return (MlirOperation){NULL};
}

MlirOperation cira_llvm_find_last(const cira_llvm_loops_t *loops,
                                  MlirOperation load) {
  int64_t wanted;
  MlirOperation found = {NULL};
  if (cira__fact_number(load, "last", &wanted)) {
    found = find_marker(loops, "cira.last", wanted);
  }
  return mlirOperationIsNull(found) || mlirOperationGetNumOperands(found) == 3
             ? found
             : (MlirOperation){NULL};
}

MlirOperation cira_llvm_find_count(const cira_llvm_loops_t *loops,
                                   int64_t number) {
  return find_marker(loops, "cira.count", number);
}
