/* SPDX-License-Identifier: Apache-2.0
 * Reading order: bases, values, ends of rows, targets, witnesses. */
#include "analysis/llvm_ahead.h"

#include "analysis/ir.h"
#include "analysis/llvm_slice.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum {
  depth_max = 64,
  near_max = 64, /* bytes */
  /* A line that is written less often is asked for to be read. */
  written_percent_min = 50
};

static int fail(cira_ahead_t *a, const char *why) {
  a->why = why;
  return -1;
}

static bool in_loop(const cira_ahead_t *a, int64_t number, MlirValue value) {
  MlirOperation op = cira__def(value);
  MlirBlock block = mlirOperationIsNull(op) ? mlirBlockArgumentGetOwner(value)
                                            : mlirOperationGetBlock(op);
  return cira_llvm_loop_contains(a->loops, number, block);
}

int64_t cira_ahead_size(MlirType type) {
  if (ciraTypeIsALLVMPointer(type)) {
    return 8;
  }
  if (mlirTypeIsAInteger(type)) {
    unsigned bits = mlirIntegerTypeGetWidth(type);
    return bits > 64 ? 0 : bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
  }
  return mlirTypeIsAF64(type) ? 8 : mlirTypeIsAF32(type) ? 4 : 0;
}

int64_t cira_ahead_stride(MlirOperation access) {
  int64_t stride = 0;
  if (!cira__fact_number(access, "stride_bytes", &stride)) {
    cira__fact_number(access, "walk_bytes", &stride);
  }
  return stride;
}

static bool is_access(MlirOperation op, MlirValue *out_address) {
  bool store = ciraOperationHasName(op, "llvm.store");
  if (!store && !ciraOperationHasName(op, "llvm.load")) {
    return false;
  }
  *out_address = mlirOperationGetOperand(op, store ? 1 : 0);
  return true;
}

static MlirType access_type(MlirOperation op) {
  return mlirValueGetType(mlirOperationGetNumResults(op)
                              ? mlirOperationGetResult(op, 0)
                              : mlirOperationGetOperand(op, 0));
}

/* ---- branches -------------------------------------------------------------
 */

/* The operand of a branch that becomes argument `index` of its successor `way`;
 * null if this is no plain branch. */
static MlirValue passed(MlirOperation op, intptr_t way, intptr_t index) {
  intptr_t first = 0;
  if (ciraOperationHasName(op, "llvm.cond_br")) {
    MlirAttribute sizes =
        mlirOperationGetAttributeByName(op, cira__str("operandSegmentSizes"));
    first = 1 + (way ? mlirDenseI32ArrayGetElement(sizes, 1) : 0);
  } else if (!ciraOperationHasName(op, "llvm.br")) {
    return (MlirValue){NULL};
  }
  return mlirOperationGetOperand(op, first + index);
}

typedef struct edge_search {
  const cira_llvm_loops_t *loops;
  int64_t number;
  bool inside;
  int skip;
  MlirOperation branch; /* found; null: not yet */
  intptr_t way;
} edge_search_t;

static bool is_edge(void *context, MlirOperation branch, intptr_t way) {
  edge_search_t *e = context;
  if (cira_llvm_loop_contains(e->loops, e->number,
                              mlirOperationGetBlock(branch)) == e->inside &&
      e->skip-- == 0) {
    e->branch = branch;
    e->way = way;
  }
  return mlirOperationIsNull(e->branch);
}

/* The `skip`-th value that is handed to an argument, from blocks inside
 * (`inside`) or outside of loop `number`, and the branch that does it; null:
 * there are no more. */
static MlirValue incoming_at(const cira_llvm_loops_t *loops, MlirValue argument,
                             int64_t number, bool inside, int skip,
                             MlirOperation *out_branch) {
  edge_search_t e = {
      .loops = loops, .number = number, .inside = inside, .skip = skip};
  ciraBlockVisitPredecessors(mlirBlockArgumentGetOwner(argument), is_edge, &e);
  if (mlirOperationIsNull(e.branch)) {
    return (MlirValue){NULL};
  }
  *out_branch = e.branch;
  return passed(e.branch, e.way, mlirBlockArgumentGetArgNumber(argument));
}

static MlirValue incoming(const cira_ahead_t *a, MlirValue argument,
                          int64_t number, bool inside, int skip) {
  MlirOperation branch;
  return incoming_at(a->loops, argument, number, inside, skip, &branch);
}

static bool is_header_of(const cira_ahead_t *a, MlirValue value,
                         int64_t number) {
  return number >= 0 && mlirValueIsABlockArgument(value) &&
         mlirBlockEqual(mlirBlockArgumentGetOwner(value),
                        a->loops->items[number].header);
}

/* ---- bases ----------------------------------------------------------------
 */

/* The pointer from which an address is computed within one object, strictly:
 * inbounds all the way. Null: a step may lead out of the object. */
static MlirValue strict_root(const cira_ahead_t *a, MlirValue address) {
  for (int depth = 0; depth < depth_max; depth++) {
    MlirOperation op;
    if (!in_loop(a, a->level, address)) {
      return address;
    }
    if (cira__def_is(address, "llvm.getelementptr", &op)) {
      if (mlirAttributeIsNull(
              mlirOperationGetAttributeByName(op, cira__str("inbounds")))) {
        return (MlirValue){NULL};
      }
      address = mlirOperationGetOperand(op, 0);
      continue;
    }
    /* A pointer that a loop inside moves on: what it began with. */
    if (is_header_of(a, address, a->scan)) {
      MlirValue next = incoming(a, address, a->scan, true, 0);
      bool plain = !mlirValueIsNull(next) &&
                   cira__def_is(next, "llvm.getelementptr", &op) &&
                   !mlirAttributeIsNull(mlirOperationGetAttributeByName(
                       op, cira__str("inbounds"))) &&
                   mlirValueEqual(mlirOperationGetOperand(op, 0), address) &&
                   mlirValueIsNull(incoming(a, address, a->scan, true, 1)) &&
                   mlirValueIsNull(incoming(a, address, a->scan, false, 1));
      MlirValue first = incoming(a, address, a->scan, false, 0);
      if (!plain || mlirValueIsNull(first)) {
        return address;
      }
      address = first;
      continue;
    }
    return address;
  }
  return (MlirValue){NULL};
}

/* Is the value a load from a place that is the same in the whole loop? */
static bool is_reload(const cira_ahead_t *a, MlirValue value,
                      MlirValue *out_place) {
  MlirOperation op;
  if (!in_loop(a, a->level, value) || !cira__def_is(value, "llvm.load", &op)) {
    return false;
  }
  *out_place = mlirOperationGetOperand(op, 0);
  return !in_loop(a, a->level, *out_place);
}

static int find_base(const cira_ahead_t *a, MlirValue pointer,
                     MlirValue place) {
  for (int i = 0; i < a->base_count; i++) {
    const cira_ahead_base_t *base = &a->bases[i];
    bool fixed = !mlirValueIsNull(base->pointer);
    if (mlirValueIsNull(place) ? fixed && mlirValueEqual(base->pointer, pointer)
                               : !fixed && mlirValueEqual(base->place, place)) {
      return i;
    }
  }
  return -1;
}

static int add_base(cira_ahead_t *a, MlirValue pointer, MlirValue place,
                    bool is_pointer) {
  int found = find_base(a, pointer, place);
  if (found >= 0) {
    return found;
  }
  if (a->base_count == cira_ahead_bases_max) {
    return fail(a, "the addresses come from too many arrays");
  }
  bool fixed = mlirValueIsNull(place);
  a->bases[a->base_count] =
      (cira_ahead_base_t){.pointer = fixed ? pointer : (MlirValue){NULL},
                          .place = place,
                          .is_pointer = is_pointer};
  return a->base_count++;
}

static bool is_plain_pointer(MlirType type) {
  return ciraTypeIsALLVMPointer(type) &&
         mlirTypeEqual(type, mlirTypeParseGet(mlirTypeGetContext(type),
                                              cira__str("!llvm.ptr")));
}

/* ---- values ---------------------------------------------------------------
 */

static int visit(cira_ahead_t *a, MlirValue value);

static int find_value(const cira_ahead_t *a, MlirValue value) {
  for (int i = 0; i < a->value_count; i++) {
    if (mlirValueEqual(a->values[i].value, value)) {
      return i;
    }
  }
  return -1;
}

static int add_value(cira_ahead_t *a, cira_ahead_value_t value) {
  if (a->value_count == cira_ahead_values_max) {
    return fail(a, "the address takes too many operations");
  }
  a->values[a->value_count] = value;
  return a->value_count++;
}

/* The base of an address that is read ahead, through what its pointer stands
 * for; cira_ahead_page if it is a counter; -2 if there is none. */
static int base_of(cira_ahead_t *a, MlirValue address) {
  for (int depth = 0; depth < depth_max; depth++) {
    MlirOperation op;
    while (in_loop(a, a->level, address) &&
           cira__def_is(address, "llvm.getelementptr", &op)) {
      if (mlirAttributeIsNull(
              mlirOperationGetAttributeByName(op, cira__str("inbounds")))) {
        return -2;
      }
      address = mlirOperationGetOperand(op, 0);
    }
    int at = find_value(a, address);
    if (at < 0) {
      return -2;
    }
    const cira_ahead_value_t *v = &a->values[at];
    switch (v->kind) {
    case cira_ahead_fixed:
      return add_base(a, v->value, (MlirValue){NULL}, true);
    case cira_ahead_last:
      return v->base;
    case cira_ahead_counter:
      return cira_ahead_page;
    case cira_ahead_same:
    case cira_ahead_scanned:
      address = a->values[v->alias].value;
      break;
    default:
      return -2;
    }
  }
  return -2;
}

static int visit_load(cira_ahead_t *a, MlirValue value, MlirOperation op) {
  MlirValue place;
  if (mlirOperationGetNumOperands(op) != 1 || cira__fact_has(op, "special") ||
      !is_plain_pointer(mlirValueGetType(mlirOperationGetOperand(op, 0)))) {
    return fail(a, "the address is read from memory of a special kind");
  }
  if (is_reload(a, value, &place)) {
    int base =
        add_base(a, value, place, is_plain_pointer(mlirValueGetType(value)));
    return base < 0 ? -1
                    : add_value(a, (cira_ahead_value_t){.value = value,
                                                        .kind = cira_ahead_last,
                                                        .op = op,
                                                        .alias = -1,
                                                        .base = base});
  }
  int address = visit(a, mlirOperationGetOperand(op, 0));
  if (address < 0) {
    return -1;
  }
  if (!cira_ahead_size(mlirValueGetType(value))) {
    return fail(a, "the address is made of what is no number");
  }
  const cira_ahead_value_t from = a->values[address];
  bool source = from.level == 0 && !from.scan;
  if (source && cira__loop_of(op) != a->level) {
    return fail(a, "the address is read by a loop inside");
  }
  int base = base_of(a, mlirOperationGetOperand(op, 0));
  if (source && base < 0) {
    base = cira_ahead_page;
  }
  if (base < 0 && !source) {
    return fail(a, "the address is read through a pointer that is read itself");
  }
  return add_value(a, (cira_ahead_value_t){.value = value,
                                           .kind = source ? cira_ahead_source
                                                          : cira_ahead_load,
                                           .op = op,
                                           .alias = -1,
                                           .base = base,
                                           .level = from.level + 1,
                                           .scan = from.scan});
}

static int visit_alias(cira_ahead_t *a, MlirValue value, MlirValue stands_for,
                       int64_t step) {
  int alias = mlirValueIsNull(stands_for) ? -1 : visit(a, stands_for);
  if (alias < 0) {
    return fail(a, a->why ? a->why
                          : "the address is one of several, by a condition");
  }
  return add_value(a, (cira_ahead_value_t){
                          .value = value,
                          .kind = step ? cira_ahead_scanned : cira_ahead_same,
                          .alias = alias,
                          .base = -2,
                          .level = a->values[alias].level,
                          .scan = step != 0 || a->values[alias].scan,
                          .step = step});
}

/* The op that moves the value on by as much in each iteration, if only the
 * program knows by how much: value + amount, amount the same in the loop. */
static MlirOperation mover_of(const cira_ahead_t *a, MlirValue value) {
  MlirOperation op = {NULL}, none = {NULL};
  MlirValue next = incoming(a, value, a->level, true, 0);
  bool moves = !mlirValueIsNull(next) &&
               mlirValueIsNull(incoming(a, value, a->level, true, 1)) &&
               (cira__def_is(next, "llvm.getelementptr", &op) ||
                cira__def_is(next, "llvm.add", &op)) &&
               mlirOperationGetNumOperands(op) == 2 &&
               mlirValueEqual(mlirOperationGetOperand(op, 0), value);
  MlirValue by = moves ? mlirOperationGetOperand(op, 1) : value;
  return moves && mlirTypeIsAInteger(mlirValueGetType(by)) &&
                 mlirIntegerTypeGetWidth(mlirValueGetType(by)) == 64 &&
                 !in_loop(a, a->level, by)
             ? op
             : none;
}

static int visit_argument(cira_ahead_t *a, MlirValue value) {
  intptr_t index = mlirBlockArgumentGetArgNumber(value);
  a->why = NULL;
  if (is_header_of(a, value, a->level)) {
    int64_t step = cira_llvm_loop_step(a->loops, a->level, index);
    MlirOperation mover = step ? (MlirOperation){NULL} : mover_of(a, value);
    if (!step && mlirOperationIsNull(mover)) {
      return fail(a, "the address follows from the iteration before");
    }
    return add_value(a, (cira_ahead_value_t){.value = value,
                                             .kind = cira_ahead_counter,
                                             .op = mover,
                                             .alias = -1,
                                             .base = -2,
                                             .step = step});
  }
  if (is_header_of(a, value, a->scan)) {
    return visit_alias(a, value, incoming(a, value, a->scan, false, 0),
                       cira_llvm_loop_step(a->loops, a->scan, index));
  }
  int64_t number = cira_llvm_block_loop(mlirBlockArgumentGetOwner(value));
  if (number != a->level && number != a->scan) {
    return fail(a, "the address follows from a loop inside");
  }
  if (is_header_of(a, value, number)) {
    return fail(a, "the address follows from the iteration before");
  }
  return visit_alias(a, value, incoming(a, value, a->level, true, 0), 0);
}

static bool is_computed_ahead(MlirOperation op) {
  return ciraOperationIsPure(op) && mlirOperationGetNumResults(op) == 1 &&
         mlirOperationGetNumRegions(op) == 0 &&
         mlirOperationGetNumOperands(op) <= 8 &&
         !ciraOperationHasName(op, "llvm.udiv") &&
         !ciraOperationHasName(op, "llvm.sdiv") &&
         !ciraOperationHasName(op, "llvm.urem") &&
         !ciraOperationHasName(op, "llvm.srem");
}

static int visit_op(cira_ahead_t *a, MlirValue value, MlirOperation op) {
  cira_ahead_value_t made = {
      .value = value, .kind = cira_ahead_op, .op = op, .alias = -1, .base = -2};
  if (!is_computed_ahead(op)) {
    return fail(a, "the address is computed by what cannot be done ahead");
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    int part = visit(a, mlirOperationGetOperand(op, i));
    if (part < 0) {
      return -1;
    }
    if (a->values[part].level > made.level) {
      made.level = a->values[part].level;
    }
    made.scan |= a->values[part].scan;
  }
  return add_value(a, made);
}

/* The number of the value, with all that it is made of before it. */
static int visit(cira_ahead_t *a, MlirValue value) {
  int found = find_value(a, value);
  if (found >= 0) {
    return found;
  }
  if (!in_loop(a, a->level, value)) {
    return add_value(a, (cira_ahead_value_t){.value = value,
                                             .kind = cira_ahead_fixed,
                                             .alias = -1,
                                             .base = -2});
  }
  if (a->depth == depth_max) {
    return fail(a, "the address takes too many operations");
  }
  a->depth++;
  MlirOperation op = cira__def(value);
  int made = mlirOperationIsNull(op)                 ? visit_argument(a, value)
             : ciraOperationHasName(op, "llvm.load") ? visit_load(a, value, op)
                                                     : visit_op(a, value, op);
  a->depth--;
  return made;
}

/* ---- ends of rows ---------------------------------------------------------
 */

/* The loop whose iterations are the entries of a row. */
static int64_t row_loop(const cira_ahead_t *a) {
  return a->scan >= 0 ? a->scan : a->level;
}

/* The counter of that loop which the value is but for a constant; -1: none. */
static int counter_under(const cira_ahead_t *a, MlirValue value) {
  for (int depth = 0; depth < 8; depth++) {
    int at = find_value(a, value);
    if (at >= 0 && is_header_of(a, value, row_loop(a)) && a->values[at].step &&
        (a->values[at].kind == cira_ahead_scanned ||
         a->values[at].kind == cira_ahead_counter)) {
      return at;
    }
    MlirOperation op = cira__def(value);
    int64_t number;
    bool moved = !mlirOperationIsNull(op) &&
                 mlirOperationGetNumOperands(op) == 2 &&
                 (ciraOperationHasName(op, "llvm.add") ||
                  ciraOperationHasName(op, "llvm.getelementptr")) &&
                 ciraValueGetConstant(mlirOperationGetOperand(op, 1), &number);
    bool shifted = !mlirOperationIsNull(op) &&
                   mlirOperationGetNumOperands(op) == 1 &&
                   (ciraOperationHasName(op, "llvm.getelementptr") ||
                    ciraOperationHasName(op, "llvm.zext"));
    if (!moved && !shifted) {
      return -1;
    }
    value = mlirOperationGetOperand(op, 0);
  }
  return -1;
}

/* The comparison that ends the loop inside, if it compares a counter to what
 * is known ahead. */
static bool find_end(cira_ahead_t *a, MlirBlock block) {
  MlirOperation last = cira__terminator(block), compare;
  if (!ciraOperationHasName(last, "llvm.cond_br") ||
      cira_llvm_loop_contains(a->loops, row_loop(a),
                              mlirOperationGetSuccessor(last, 0)) ==
          cira_llvm_loop_contains(a->loops, row_loop(a),
                                  mlirOperationGetSuccessor(last, 1)) ||
      !cira__def_is(mlirOperationGetOperand(last, 0), "llvm.icmp", &compare)) {
    return false;
  }
  for (intptr_t side = 0; side < 2; side++) {
    int counter = counter_under(a, mlirOperationGetOperand(compare, side));
    if (counter < 0) {
      continue;
    }
    int count = a->value_count;
    int end = visit(a, mlirOperationGetOperand(compare, 1 - side));
    if (end >= 0 && !a->values[end].scan) {
      a->scan_from = a->scan >= 0 ? a->values[counter].alias : counter;
      a->scan_to = end;
      a->scan_step = a->values[counter].step;
      return true;
    }
    a->value_count = count;
  }
  return false;
}

/* Where the row that the loop itself goes through begins. */
static void find_first(cira_ahead_t *a) {
  MlirValue counter = a->values[a->scan_from].value;
  MlirOperation branch;
  MlirValue first = incoming_at(a->loops, counter, a->level, false, 0, &branch);
  if (!mlirValueIsNull(first) &&
      mlirValueIsNull(incoming(a, counter, a->level, false, 1))) {
    a->row_first = first;
    a->entering = branch;
  }
}

static void find_row(cira_ahead_t *a) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(a->loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    if (cira_llvm_block_loop(block) == row_loop(a) && find_end(a, block)) {
      if (a->scan < 0) {
        find_first(a);
      }
      return;
    }
  }
}

bool cira_ahead_is_scattered(const cira_llvm_loops_t *loops, int64_t loop) {
  MlirBlock header = loops->items[loop].header;
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(header); i++) {
    MlirOperation branch, load;
    MlirValue first = incoming_at(loops, mlirBlockGetArgument(header, i), loop,
                                  false, 0, &branch);
    if (cira_llvm_loop_step(loops, loop, i) && !mlirValueIsNull(first) &&
        cira__def_is(first, "llvm.load", &load) && cira__loop_of(load) >= 0 &&
        !cira_ahead_stride(load)) {
      return true;
    }
  }
  return false;
}

/* ---- targets --------------------------------------------------------------
 */

void cira_ahead_init(cira_ahead_t *a, const cira_llvm_loops_t *loops,
                     int64_t level, int64_t scan) {
  a->loops = loops;
  a->level = level;
  a->scan = scan;
  a->value_count = a->base_count = a->target_count = a->witness_count = 0;
  a->anchor = (MlirOperation){NULL};
  a->in_front = false;
  a->scan_from = a->scan_to = -1;
  a->scan_step = 0;
  a->row_first = (MlirValue){NULL};
  a->entering = (MlirOperation){NULL};
  a->why = NULL;
  a->depth = 0;
}

/* What an index is without conversions, and the constant added to it. */
static MlirValue index_root(MlirValue index, int64_t *out_added) {
  *out_added = 0;
  for (int depth = 0; depth < 8; depth++) {
    MlirOperation op = cira__def(index);
    int64_t number;
    if (mlirOperationIsNull(op)) {
      return index;
    }
    if (ciraOperationHasName(op, "llvm.add") &&
        ciraValueGetConstant(mlirOperationGetOperand(op, 1), &number)) {
      *out_added += number;
    } else if (!ciraOperationHasName(op, "llvm.zext") &&
               !ciraOperationHasName(op, "llvm.sext") &&
               !ciraOperationHasName(op, "llvm.trunc")) {
      return index;
    }
    index = mlirOperationGetOperand(op, 0);
  }
  return index;
}

/* Are these addresses of neighbouring elements, as row[u] and row[u + 1]? */
static bool are_near(MlirValue x, MlirValue y) {
  MlirOperation one, other;
  int64_t added, more;
  if (cira_slice_same_object(x, y)) {
    return true;
  }
  if (!cira__def_is(x, "llvm.getelementptr", &one) ||
      !cira__def_is(y, "llvm.getelementptr", &other) ||
      mlirOperationGetNumOperands(one) != 2 ||
      mlirOperationGetNumOperands(other) != 2 ||
      !mlirValueEqual(mlirOperationGetOperand(one, 0),
                      mlirOperationGetOperand(other, 0))) {
    return false;
  }
  MlirValue a = index_root(mlirOperationGetOperand(one, 1), &added);
  MlirValue b = index_root(mlirOperationGetOperand(other, 1), &more);
  int64_t apart = added - more;
  return mlirValueEqual(a, b) && apart * 8 < near_max && apart * 8 > -near_max;
}

static bool merge(cira_ahead_t *a, const cira_ahead_target_t *t,
                  MlirValue address) {
  for (int i = 0; i < a->target_count; i++) {
    cira_ahead_target_t *other = &a->targets[i];
    if (are_near(a->values[other->address].value, address)) {
      other->written |= t->written;
      other->branchy |= t->branchy;
      other->percent =
          t->percent > other->percent ? t->percent : other->percent;
      return true;
    }
  }
  return false;
}

bool cira_ahead_add(cira_ahead_t *a, MlirOperation access) {
  MlirValue address;
  int count = a->value_count, bases = a->base_count;
  a->why = "it is no access";
  if (!is_access(access, &address) ||
      !is_plain_pointer(mlirValueGetType(address))) {
    return false;
  }
  int64_t loop = cira__loop_of(access);
  int at = visit(a, address);
  if (at >= 0 && a->values[at].level == 0) {
    at = fail(a, "it is walked through by the hardware itself");
  }
  if (at < 0) {
    a->value_count = count;
    a->base_count = bases;
    return false;
  }
  cira_ahead_target_t t = {
      .access = access,
      .address = at,
      .level = a->values[at].level,
      .percent = cira_llvm_block_percent(mlirOperationGetBlock(access)),
      .loop = loop,
      .row_start = loop == a->scan && cira_ahead_stride(access) != 0,
      .written = mlirOperationGetNumResults(access) == 0};
  bool reads = !t.written;
  t.written &= t.percent >= written_percent_min;
  t.branchy = reads && cira_slice_feeds_branch(
                           a->loops, loop, mlirOperationGetResult(access, 0));
  if (merge(a, &t, address)) {
    return true;
  }
  if (a->target_count == cira_ahead_targets_max) {
    a->why = "there are too many accesses";
    return false;
  }
  a->targets[a->target_count++] = t;
  return true;
}

/* ---- the anchor and the witnesses -----------------------------------------
 */

static bool has_stop(const cira_ahead_t *a) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(a->loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    bool inside = cira_llvm_loop_contains(a->loops, a->level, block);
    for (; inside && !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      if (cira__fact_has(op, "stops")) {
        return true;
      }
    }
  }
  return false;
}

/* The last source in the order of the function. Those in other blocks have to
 * be done always, in front of it, and what they have read from must still be
 * there. */
static bool find_anchor(cira_ahead_t *a) {
  bool stops = has_stop(a);
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(a->loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      int at = mlirOperationGetNumResults(op) == 1
                   ? find_value(a, mlirOperationGetResult(op, 0))
                   : -1;
      if (at >= 0 && a->values[at].kind == cira_ahead_source) {
        bool before =
            mlirOperationIsNull(a->anchor) ||
            (!stops &&
             (mlirBlockEqual(mlirOperationGetBlock(a->anchor), block) ||
              cira__fact_has(a->anchor, "always")));
        if (!before) {
          return false;
        }
        a->anchor = op;
      }
    }
  }
  return !mlirOperationIsNull(a->anchor);
}

static void add_witness(cira_ahead_t *a, MlirOperation op) {
  MlirValue address, place;
  int64_t loop = cira__loop_of(op);
  if (!is_access(op, &address) ||
      !cira_llvm_loop_contains(a->loops, a->level, mlirOperationGetBlock(op)) ||
      (loop != a->level && loop != a->scan) ||
      !cira_ahead_size(access_type(op)) ||
      a->witness_count == cira_ahead_witnesses_max) {
    return;
  }
  MlirValue root = strict_root(a, address);
  if (mlirValueIsNull(root)) {
    return;
  }
  int base = is_reload(a, root, &place) ? find_base(a, (MlirValue){NULL}, place)
                                        : find_base(a, root, (MlirValue){NULL});
  for (int i = 0; i < a->witness_count; i++) {
    if (a->witnesses[i].base == base &&
        cira__loop_of(a->witnesses[i].access) == loop) {
      return; /* one of each loop shows enough */
    }
  }
  if (base >= 0) {
    a->witnesses[a->witness_count++] =
        (cira_ahead_witness_t){op, address, root, base};
  }
}

bool cira_ahead_is_witnessed(const cira_ahead_t *a, int base) {
  for (int i = 0; i < a->witness_count; i++) {
    if (a->witnesses[i].base == base) {
      return true;
    }
  }
  return false;
}

/* All that the value is made of. A source is its own address and a distance. */
static void need(cira_ahead_t *a, int number) {
  cira_ahead_value_t *v = &a->values[number];
  if (v->needed) {
    return;
  }
  v->needed = true;
  if (v->alias >= 0) {
    need(a, v->alias);
  }
  bool parts = v->kind == cira_ahead_op || v->kind == cira_ahead_load ||
               (v->kind == cira_ahead_source &&
                (a->in_front || !cira_ahead_stride(v->op)));
  for (intptr_t i = 0; parts && i < mlirOperationGetNumOperands(v->op); i++) {
    need(a, find_value(a, mlirOperationGetOperand(v->op, i)));
  }
}

/* Do the sources that the value is made of lie in memory that the loop shows?
 */
static bool is_shown(const cira_ahead_t *a, int number) {
  const cira_ahead_value_t *v = &a->values[number];
  if (v->kind == cira_ahead_source) {
    return cira_ahead_is_witnessed(a, v->base);
  }
  bool good = v->alias < 0 || is_shown(a, v->alias);
  bool parts = v->kind == cira_ahead_op || v->kind == cira_ahead_load;
  for (intptr_t i = 0; good && parts && i < mlirOperationGetNumOperands(v->op);
       i++) {
    good = is_shown(a, find_value(a, mlirOperationGetOperand(v->op, i)));
  }
  return good;
}

/* Rows that are left in their middle and entered now and then (those of a
 * vertex that has no parent yet): whether a later one will be entered has
 * nothing to do with this one. Where all that is read ahead lies in memory that
 * the loop shows, it can be read at any place. */
static bool is_in_front(const cira_ahead_t *a) {
  bool good = a->scan >= 0 && a->loops->items[a->scan].breaks &&
              !cira__fact_has(a->anchor, "always");
  for (int i = 0; good && i < a->target_count; i++) {
    const cira_ahead_target_t *t = &a->targets[i];
    good = (t->row_start || t->loop == a->level) && is_shown(a, t->address);
  }
  return good;
}

bool cira_ahead_finish(cira_ahead_t *a) {
  if (!find_anchor(a)) {
    a->why = "nothing that the loop walks through leads to it";
    return false;
  }
  find_row(a);
  for (int i = 0; i < a->target_count; i++) {
    a->targets[i].base = base_of(a, a->values[a->targets[i].address].value);
  }
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(a->loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      add_witness(a, op);
    }
  }
  a->in_front = is_in_front(a);
  for (int i = 0; i < a->target_count; i++) {
    need(a, a->targets[i].address);
  }
  if (a->scan_to >= 0 && !a->in_front) {
    need(a, a->scan_from);
    need(a, a->scan_to);
  }
  for (int i = 0; i < a->value_count; i++) {
    const cira_ahead_value_t *v = &a->values[i];
    if (v->kind == cira_ahead_load && v->needed &&
        !cira_ahead_is_witnessed(a, v->base)) {
      a->why = "nothing shows which memory may be read";
      return false;
    }
  }
  return true;
}
