/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/llvm_chain.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <string.h>

enum {
  walk_max = 256,    /* values looked at per question */
  depth_max = 24,    /* ops between an argument and its next value */
  percent_min = 20,  /* what is read more rarely is not waited for */
  spread_max = 4096, /* bytes: a choice between offsets within one object */
  links_max = 32
};

/* ---- which arguments are links of a chain ---------------------------------
 * An argument of the header of a loop inside: its next value depends on what
 * is read through it (or through such an argument beside it), and it does not
 * just go on by a constant. */

typedef struct links {
  const cira_nest_t *nest;
  MlirValue values[links_max];
  int count;
} links_t;

static bool is_link(const links_t *l, MlirValue value) {
  for (int i = 0; i < l->count; i++) {
    if (mlirValueEqual(l->values[i], value)) {
      return true;
    }
  }
  return false;
}

static bool is_constant(MlirValue value) {
  int64_t number;
  return ciraValueGetConstant(value, &number);
}

static bool is_step(MlirOperation op) {
  if (!ciraOperationHasName(op, "llvm.add") &&
      !ciraOperationHasName(op, "llvm.sub") &&
      !ciraOperationHasName(op, "llvm.getelementptr")) {
    return false;
  }
  for (intptr_t i = 1; i < mlirOperationGetNumOperands(op); i++) {
    if (!is_constant(mlirOperationGetOperand(op, i))) {
      return false;
    }
  }
  return true;
}

static bool goes_on(const cira_nest_t *nest, MlirValue value,
                    MlirValue argument, int depth);

/* All that a block's argument may be, but for what comes from outside. */
static bool all_go_on(const cira_nest_t *nest, MlirValue value,
                      MlirValue argument, int depth) {
  MlirBlock block = mlirBlockArgumentGetOwner(value);
  intptr_t index = mlirBlockArgumentGetArgNumber(value);
  if (cira_nest_index(nest, block) <= 0) {
    return false;
  }
  for (int b = 0; b < nest->count; b++) {
    MlirOperation end = cira__terminator(nest->blocks[b]);
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
      MlirBlock to = mlirOperationGetSuccessor(end, i);
      if (mlirBlockEqual(to, block) &&
          !goes_on(nest, cira__edge_value(end, i, index), argument,
                   depth - 1)) {
        return false;
      }
    }
  }
  return true;
}

/* Is the value the argument, or a constant more, whichever way is taken? */
static bool goes_on(const cira_nest_t *nest, MlirValue value,
                    MlirValue argument, int depth) {
  if (mlirValueIsNull(value) || depth == 0) {
    return false;
  }
  if (mlirValueEqual(value, argument)) {
    return true;
  }
  MlirOperation op = cira__def(value);
  if (mlirOperationIsNull(op)) {
    return all_go_on(nest, value, argument, depth);
  }
  if (ciraOperationHasName(op, "llvm.select")) {
    return goes_on(nest, mlirOperationGetOperand(op, 1), argument, depth - 1) &&
           goes_on(nest, mlirOperationGetOperand(op, 2), argument, depth - 1);
  }
  return is_step(op) &&
         goes_on(nest, mlirOperationGetOperand(op, 0), argument, depth - 1);
}

/* Values that a value follows from, within one iteration of loop `number`, or
 * of the whole nest if that is -1. */
typedef struct sources {
  const cira_nest_t *nest;
  int64_t number;
  MlirValue values[walk_max];
  int count;
} sources_t;

static void add_source(sources_t *s, MlirValue value) {
  if (mlirValueIsNull(value) || s->count == walk_max ||
      !cira_llvm_loop_contains(s->nest->loops, s->number,
                               cira__block_of(value))) {
    return;
  }
  for (int i = 0; i < s->count; i++) {
    if (mlirValueEqual(s->values[i], value)) {
      return;
    }
  }
  s->values[s->count++] = value;
}

/* What a block's argument is, and what decides it. */
static void add_incoming(sources_t *s, MlirBlock block, intptr_t index) {
  int at = cira_nest_index(s->nest, block);
  for (int b = 0; b < s->nest->count; b++) {
    MlirOperation end = cira__terminator(s->nest->blocks[b]);
    bool leads = false;
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(end, i), block)) {
        add_source(s, cira__edge_value(end, i, index));
        leads = true;
      }
    }
    bool decides = leads || (b != at && cira_nest_dominates(s->nest, b, at));
    if (decides && mlirOperationGetNumSuccessors(end) > 1) {
      add_source(s, mlirOperationGetOperand(end, 0));
    }
  }
}

static void find_sources(sources_t *s) {
  MlirBlock header = s->nest->loops->items[s->number].header;
  for (int i = 0; i < s->count; i++) {
    MlirValue value = s->values[i];
    MlirOperation op = cira__def(value);
    if (mlirOperationIsNull(op)) {
      MlirBlock block = mlirBlockArgumentGetOwner(value);
      if (!mlirBlockEqual(block, header)) {
        add_incoming(s, block, mlirBlockArgumentGetArgNumber(value));
      }
      continue;
    }
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
      add_source(s, mlirOperationGetOperand(op, k));
    }
  }
}

/* Arguments of loop `number` that neither step by a constant nor go on by one:
 * what may be a link. */
static void add_suspects(links_t *l, int64_t number) {
  const cira_llvm_loop_t *loop = &l->nest->loops->items[number];
  intptr_t count = mlirBlockGetNumArguments(loop->header);
  for (intptr_t i = 0; i < count && l->count < links_max; i++) {
    MlirValue argument = mlirBlockGetArgument(loop->header, i);
    bool steps = cira_llvm_loop_step(l->nest->loops, number, i) != 0;
    for (int b = 1; b < l->nest->count && !steps; b++) {
      MlirOperation end = cira__terminator(l->nest->blocks[b]);
      if (!cira_llvm_loop_contains(l->nest->loops, number,
                                   l->nest->blocks[b])) {
        continue;
      }
      for (intptr_t k = 0; k < mlirOperationGetNumSuccessors(end); k++) {
        MlirBlock to = mlirOperationGetSuccessor(end, k);
        steps |=
            mlirBlockEqual(to, loop->header) &&
            goes_on(l->nest, cira__edge_value(end, k, i), argument, depth_max);
      }
    }
    if (!steps) {
      l->values[l->count++] = argument;
    }
  }
}

/* Does the next value of a suspect depend on what is read through one? */
static bool is_followed(const links_t *suspects, int64_t number,
                        MlirValue argument) {
  const cira_nest_t *nest = suspects->nest;
  MlirBlock header = nest->loops->items[number].header;
  intptr_t index = mlirBlockArgumentGetArgNumber(argument);
  sources_t next = {.nest = nest, .number = number};
  for (int b = 0; b < nest->count; b++) {
    MlirOperation end = cira__terminator(nest->blocks[b]);
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
      if (mlirBlockEqual(mlirOperationGetSuccessor(end, i), header) &&
          cira_llvm_loop_contains(nest->loops, number, nest->blocks[b])) {
        add_source(&next, cira__edge_value(end, i, index));
      }
    }
  }
  find_sources(&next);
  for (int i = 0; i < next.count; i++) {
    MlirOperation load;
    if (!cira__def_is(next.values[i], "llvm.load", &load)) {
      continue;
    }
    sources_t address = {.nest = nest, .number = number};
    add_source(&address, mlirOperationGetOperand(load, 0));
    find_sources(&address);
    for (int k = 0; k < address.count; k++) {
      if (is_link(suspects, address.values[k])) {
        return true;
      }
    }
  }
  return false;
}

static void find_links(const cira_nest_t *nest, links_t *out_links) {
  *out_links = (links_t){.nest = nest};
  for (int b = 1; b < nest->count; b++) {
    int64_t number = cira_llvm_block_loop(nest->blocks[b]);
    if (number == nest->loop ||
        !mlirBlockEqual(nest->loops->items[number].header, nest->blocks[b])) {
      continue;
    }
    links_t suspects = {.nest = nest};
    add_suspects(&suspects, number);
    for (int i = 0; i < suspects.count; i++) {
      if (is_followed(&suspects, number, suspects.values[i]) &&
          out_links->count < links_max) {
        out_links->values[out_links->count++] = suspects.values[i];
      }
    }
  }
}

/* ---- objects --------------------------------------------------------------
 */

static int64_t size_of(MlirType type) {
  uint64_t count;
  MlirType element;
  if (ciraTypeIsALLVMArray(type, &count, &element)) {
    return count < spread_max ? (int64_t)count * size_of(element) : 0;
  }
  if (mlirTypeIsAInteger(type)) {
    return ((int64_t)mlirIntegerTypeGetWidth(type) + 7) / 8;
  }
  return mlirTypeIsAF32(type)           ? 4
         : ciraTypeIsALLVMPointer(type) ? 8
         : mlirTypeIsAF64(type)         ? 8
                                        : 0;
}

/* Range of a value: of a constant, or of a choice between constants. */
static bool range_of(MlirValue value, int64_t *out_low, int64_t *out_high) {
  MlirOperation op;
  int64_t other;
  if (ciraValueGetConstant(value, out_low)) {
    *out_high = *out_low;
    return true;
  }
  if (!cira__def_is(value, "llvm.select", &op) ||
      !ciraValueGetConstant(mlirOperationGetOperand(op, 1), out_low) ||
      !ciraValueGetConstant(mlirOperationGetOperand(op, 2), &other)) {
    return false;
  }
  *out_high = *out_low > other ? *out_low : other;
  *out_low = *out_low < other ? *out_low : other;
  return true;
}

/* Index `at` of an llvm.getelementptr; false: it may be anything. */
static bool index_range(MlirOperation op, intptr_t at, int64_t *out_low,
                        int64_t *out_high) {
  MlirAttribute raw =
      mlirOperationGetAttributeByName(op, cira__str("rawConstantIndices"));
  if (at >= mlirDenseArrayGetNumElements(raw)) {
    return false;
  }
  intptr_t operand = 1;
  for (intptr_t i = 0; i < at; i++) {
    operand += mlirDenseI32ArrayGetElement(raw, i) == INT32_MIN;
  }
  int32_t constant = mlirDenseI32ArrayGetElement(raw, at);
  if (constant != INT32_MIN) {
    *out_low = *out_high = constant;
    return true;
  }
  return range_of(mlirOperationGetOperand(op, operand), out_low, out_high);
}

/* Takes one llvm.getelementptr off: what it adds, as a range of offsets. */
static bool peel(MlirOperation op, int64_t *low, int64_t *high) {
  MlirAttribute raw =
      mlirOperationGetAttributeByName(op, cira__str("rawConstantIndices"));
  MlirType type = mlirTypeAttrGetValue(
      mlirOperationGetAttributeByName(op, cira__str("elem_type")));
  intptr_t count = mlirDenseArrayGetNumElements(raw);
  int64_t least, most;
  uint64_t elements;
  MlirType element;
  if (!size_of(type) || !index_range(op, 0, &least, &most)) {
    return false;
  }
  *low += least * size_of(type);
  *high += most * size_of(type);
  for (intptr_t i = 1; i < count; i++) {
    if (!ciraTypeIsALLVMArray(type, &elements, &element)) {
      return false;
    }
    if (!index_range(op, i, &least, &most)) {
      least = 0;
      most = (int64_t)elements - 1;
    }
    *low += least * size_of(element);
    *high += most * size_of(element);
    type = element;
  }
  return true;
}

/* Takes constant offsets off an address; adds them to the range. */
static MlirValue peel_all(MlirValue address, int64_t *low, int64_t *high,
                          int depth) {
  MlirOperation op;
  while (cira__def_is(address, "llvm.getelementptr", &op)) {
    int64_t new_low = *low, new_high = *high;
    if (!peel(op, &new_low, &new_high) || new_low < -spread_max ||
        new_high > spread_max) {
      return address;
    }
    *low = new_low;
    *high = new_high;
    address = mlirOperationGetOperand(op, 0);
  }
  if (depth == 0 || !cira__def_is(address, "llvm.select", &op)) {
    return address;
  }
  /* One of two fields of the same object? */
  int64_t lows[] = {*low, *low}, highs[] = {*high, *high};
  MlirValue one =
      peel_all(mlirOperationGetOperand(op, 1), &lows[0], &highs[0], depth - 1);
  MlirValue other =
      peel_all(mlirOperationGetOperand(op, 2), &lows[1], &highs[1], depth - 1);
  if (!mlirValueEqual(one, other)) {
    return address;
  }
  *low = lows[0] < lows[1] ? lows[0] : lows[1];
  *high = highs[0] > highs[1] ? highs[0] : highs[1];
  return one;
}

/* The object that is read, and which of its bytes. */
static MlirValue object_of(MlirOperation load, int64_t *out_from,
                           int64_t *out_to) {
  int64_t size = size_of(mlirValueGetType(mlirOperationGetResult(load, 0)));
  int64_t low = 0, high = 0;
  MlirValue object = peel_all(mlirOperationGetOperand(load, 0), &low, &high, 3);
  *out_from = low;
  *out_to = high + (size ? size : 8);
  return object;
}

int cira_chain_lines(const cira_chain_wait_t *wait, int64_t line_bytes,
                     int64_t *out_offsets) {
  int count = 0;
  int64_t covered = INT64_MIN;
  for (int round = 0; round < wait->range_count; round++) {
    int next = -1; /* the first range that ends behind what is covered */
    for (int i = 0; i < wait->range_count; i++) {
      if (wait->to[i] > covered &&
          (next < 0 || wait->from[i] < wait->from[next])) {
        next = i;
      }
    }
    if (next < 0) {
      break;
    }
    int64_t at = wait->from[next] > covered ? wait->from[next] : covered;
    for (; at < wait->to[next] && count < cira_chain_lines_max;
         at += line_bytes) {
      out_offsets[count++] = at;
      covered = at + line_bytes;
    }
    if (at < wait->to[next]) {
      break; /* enough */
    }
  }
  return count;
}

/* ---- what is waited for ---------------------------------------------------
 */

/* Does the address follow from a link, or, outside of loops inside, from what
 * the iteration has read? */
static bool may_wait(const cira_nest_t *nest, const links_t *links,
                     MlirOperation load, int64_t cache_bytes, bool *chained) {
  int64_t number;
  if ((cira__fact_number(load, "extent_bytes", &number) &&
       number <= cache_bytes) ||
      cira_llvm_block_percent(mlirOperationGetBlock(load)) < percent_min) {
    return false;
  }
  sources_t from = {.nest = nest, .number = nest->loop};
  add_source(&from, mlirOperationGetOperand(load, 0));
  find_sources(&from);
  *chained = false;
  bool is_read = false;
  int64_t inner = cira__loop_of(load);
  for (int i = 0; i < from.count; i++) {
    MlirOperation op;
    bool around =
        inner != nest->loop &&
        cira_llvm_loop_contains(
            nest->loops, cira_llvm_block_loop(cira__block_of(from.values[i])),
            mlirOperationGetBlock(load));
    *chained |= around && is_link(links, from.values[i]);
    is_read |= cira__def_is(from.values[i], "llvm.load", &op);
  }
  if (*chained) {
    return true;
  }
  return inner == nest->loop && is_read &&
         !cira__fact_number(load, "stride_bytes", &number) &&
         !cira__fact_has(load, "same");
}

static void add_range(cira_chain_wait_t *wait, int64_t from, int64_t to) {
  for (int i = 0; i < wait->range_count; i++) {
    if (from <= wait->to[i] && wait->from[i] <= to) {
      wait->from[i] = wait->from[i] < from ? wait->from[i] : from;
      wait->to[i] = wait->to[i] > to ? wait->to[i] : to;
      return;
    }
  }
  if (wait->range_count < cira_chain_lines_max) {
    wait->from[wait->range_count] = from;
    wait->to[wait->range_count++] = to;
  }
}

static bool add_load(const cira_nest_t *nest, cira_chain_t *chain,
                     MlirOperation load, bool chained) {
  int64_t from, to;
  MlirValue object = object_of(load, &from, &to);
  for (int i = 0; i < chain->count; i++) {
    cira_chain_wait_t *wait = &chain->waits[i];
    if (mlirValueEqual(wait->object, object) &&
        cira_nest_before(nest, wait->load, load)) {
      add_range(wait, from, to);
      return true;
    }
  }
  if (chain->count == cira_chain_waits_max) {
    return false;
  }
  cira_chain_wait_t *wait = &chain->waits[chain->count++];
  *wait =
      (cira_chain_wait_t){.load = load, .object = object, .chained = chained};
  add_range(wait, from, to);
  chain->chained_count += chained;
  return true;
}

bool cira_chain_get(const cira_nest_t *nest, int64_t cache_bytes,
                    cira_chain_t *out_chain) {
  links_t links;
  out_chain->count = 0;
  out_chain->chained_count = 0;
  find_links(nest, &links);
  for (int b = 0; links.count && b < nest->count; b++) {
    MlirOperation op = mlirBlockGetFirstOperation(nest->blocks[b]);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      bool chained;
      if (ciraOperationHasName(op, "llvm.load") &&
          may_wait(nest, &links, op, cache_bytes, &chained) &&
          !add_load(nest, out_chain, op, chained)) {
        return false;
      }
    }
  }
  return out_chain->chained_count > 0;
}
