/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/llvm_slice.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"

enum { reach_max = 128 };

static const char follows[] = "the address follows from the iteration before";

/* ---- back from an address -------------------------------------------------
 */

static bool fail(cira_slice_t *slice, const char *why) {
  slice->why = why;
  return false;
}

static bool has(const MlirOperation *ops, int count, MlirOperation op) {
  for (int i = 0; i < count; i++) {
    if (mlirOperationEqual(ops[i], op)) {
      return true;
    }
  }
  return false;
}

static bool visit(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                  MlirValue value);
static bool visit_guarded(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                          MlirOperation op);

static bool visit_operands(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                           MlirOperation op) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    if (!visit(loops, slice, mlirOperationGetOperand(op, i))) {
      return false;
    }
  }
  if (slice->op_count == cira_slice_ops_max) {
    return fail(slice, "the address takes too many operations");
  }
  slice->ops[slice->op_count++] = op;
  return true;
}

static bool visit_load(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                       MlirOperation op) {
  int64_t number;
  if (cira__fact_number(op, "last", &number)) {
    if (slice->index_count == cira_slice_loads_max) {
      return fail(slice, "the address comes from too many arrays");
    }
    slice->index_loads[slice->index_count++] = op;
    return true;
  }
  if (!loops->items[slice->loop].bounded) {
    return fail(slice, NULL); /* the loop says why */
  }
  if (!cira__fact_has(op, "always")) {
    return fail(slice, "the address is read only under a condition");
  }
  if (!cira__fact_has(op, "unwritten")) {
    return fail(slice, "the loop may write where the address is read from");
  }
  if (cira__fact_number(op, "stride_bytes", &number)) {
    return fail(slice, "where the loop ends cannot be computed ahead");
  }
  if (slice->load_count == cira_slice_loads_max) {
    return fail(slice, "the address comes from too many loads");
  }
  slice->loads[slice->load_count++] = op;
  return visit_operands(loops, slice, op);
}

/* May the op be done for values that this iteration has not: no effect, no
 * trap? */
static bool is_computed_ahead(MlirOperation op) {
  return ciraOperationIsPure(op) && mlirOperationGetNumResults(op) == 1 &&
         mlirOperationGetNumRegions(op) == 0 &&
         !ciraOperationHasName(op, "llvm.udiv") &&
         !ciraOperationHasName(op, "llvm.sdiv") &&
         !ciraOperationHasName(op, "llvm.urem") &&
         !ciraOperationHasName(op, "llvm.srem");
}

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

typedef struct {
  const cira_llvm_loops_t *loops;
  int64_t number; /* of the loop from whose inside, or outside; -1: any block */
  bool inside;
  MlirOperation found; /* null: none yet, or several */
  intptr_t way;
  bool any;
} only_edge_t;

static bool is_edge(void *context, MlirOperation branch, intptr_t way) {
  only_edge_t *e = context;
  if (e->number >= 0 &&
      cira_llvm_loop_contains(e->loops, e->number,
                              mlirOperationGetBlock(branch)) != e->inside) {
    return true;
  }
  e->found = e->any ? (MlirOperation){NULL} : branch;
  e->way = way;
  bool several = e->any;
  e->any = true;
  return !several;
}

/* The only such edge to the block; null if there are several. */
static MlirOperation only_edge(only_edge_t e, MlirBlock to, intptr_t *out_way) {
  ciraBlockVisitPredecessors(to, is_edge, &e);
  *out_way = e.way;
  return e.found;
}

/* The only edge that leads to the header of loop `number` from blocks inside,
 * or from others; null if there are several. */
static MlirOperation edge_to(const cira_llvm_loops_t *loops, int64_t number,
                             bool inside, intptr_t *out_way) {
  only_edge_t e = {.loops = loops, .number = number, .inside = inside};
  return only_edge(e, loops->items[number].header, out_way);
}

static MlirValue handed(const cira_llvm_loops_t *loops, int64_t number,
                        MlirValue argument, bool inside) {
  intptr_t way;
  MlirOperation edge = edge_to(loops, number, inside, &way);
  return mlirOperationIsNull(edge)
             ? (MlirValue){NULL}
             : passed(edge, way, mlirBlockArgumentGetArgNumber(argument));
}

MlirValue cira_slice_next(const cira_llvm_loops_t *loops, int64_t number,
                          MlirValue argument) {
  return handed(loops, number, argument, true);
}

static bool visit_inner(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                        MlirValue value, int64_t number) {
  for (int i = 0; i < slice->inner_count; i++) {
    if (mlirValueEqual(slice->inner[i], value)) {
      return true;
    }
  }
  MlirValue entry = handed(loops, number, value, false);
  if (mlirValueIsNull(entry) || slice->inner_count == cira_slice_loads_max) {
    return fail(slice, "the address is one of several, by a condition");
  }
  slice->inner[slice->inner_count] = value;
  slice->entries[slice->inner_count++] = entry;
  return visit(loops, slice, entry);
}

static bool visit_recurrence(const cira_llvm_loops_t *loops,
                             cira_slice_t *slice, MlirValue value) {
  for (int i = 0; i < slice->recurrence_count; i++) {
    if (mlirValueEqual(slice->recurrences[i], value)) {
      return true;
    }
  }
  MlirValue next = handed(loops, slice->loop, value, true);
  if (mlirValueIsNull(next) ||
      slice->recurrence_count == cira_slice_recurrences_max) {
    return fail(slice, follows);
  }
  slice->recurrences[slice->recurrence_count] = value;
  slice->nexts[slice->recurrence_count++] = next;
  return visit(loops, slice, next) || fail(slice, follows);
}

static bool visit_argument(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                           MlirValue value) {
  MlirBlock owner = mlirBlockArgumentGetOwner(value);
  if (!mlirBlockEqual(owner, loops->items[slice->loop].header)) {
    int64_t number = cira_llvm_block_loop(owner);
    bool is_header = number >= 0 && number != slice->loop &&
                     loops->items[number].parent == slice->loop &&
                     mlirBlockEqual(owner, loops->items[number].header);
    return is_header
               ? visit_inner(loops, slice, value, number)
               : fail(slice, "the address is one of several, by a condition");
  }
  if (!cira_llvm_loop_step(loops, slice->loop,
                           mlirBlockArgumentGetArgNumber(value))) {
    return visit_recurrence(loops, slice, value);
  }
  slice->counter_count++;
  return true;
}

static bool visit(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                  MlirValue value) {
  MlirOperation op = cira__def(value);
  bool is_argument = mlirOperationIsNull(op);
  MlirBlock block = is_argument ? mlirBlockArgumentGetOwner(value)
                                : mlirOperationGetBlock(op);
  if (!cira_llvm_loop_contains(loops, slice->loop, block)) {
    return true;
  }
  if (is_argument) {
    return visit_argument(loops, slice, value);
  }
  if (has(slice->ops, slice->op_count, op) ||
      has(slice->index_loads, slice->index_count, op)) {
    return true;
  }
  if (ciraOperationHasName(op, "llvm.load")) {
    return cira_llvm_block_loop(block) == slice->loop
               ? visit_load(loops, slice, op)
               : visit_guarded(loops, slice, op);
  }
  if (!is_computed_ahead(op)) {
    return fail(slice, "the address is computed by what cannot be done ahead");
  }
  return visit_operands(loops, slice, op);
}

/* ---- a load of a loop inside ----------------------------------------------
 * The first iteration there does it, if there is one: if branches go there. */

/* The conditions under which the loop inside is entered, from its entry back to
 * the header of the loop of the slice, which every iteration goes through. */
static bool visit_guards(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                         int64_t inner) {
  intptr_t way = 0;
  MlirOperation edge = edge_to(loops, inner, false, &way);
  while (!mlirOperationIsNull(edge) && cira__loop_of(edge) == slice->loop) {
    if (ciraOperationHasName(edge, "llvm.cond_br")) {
      MlirValue condition = mlirOperationGetOperand(edge, 0);
      if (slice->guard_count == cira_slice_guards_max ||
          mlirBlockEqual(mlirOperationGetSuccessor(edge, 0),
                         mlirOperationGetSuccessor(edge, 1))) {
        break;
      }
      if (!visit(loops, slice, condition)) {
        return false;
      }
      slice->guards[slice->guard_count++] =
          (cira_slice_guard_t){.condition = condition, .holds = way == 0};
    } else if (!ciraOperationHasName(edge, "llvm.br")) {
      break;
    }
    MlirBlock block = mlirOperationGetBlock(edge);
    if (mlirBlockEqual(block, loops->items[slice->loop].header)) {
      return true;
    }
    edge = only_edge((only_edge_t){.number = -1}, block, &way);
  }
  return fail(slice, "the address is read only under conditions");
}

/* Its value may be old when it is read ahead, so nothing else is read there. */
static bool visit_guarded(const cira_llvm_loops_t *loops, cira_slice_t *slice,
                          MlirOperation op) {
  int64_t stride, inner = cira__loop_of(op);
  const cira_llvm_loop_t *loop = &loops->items[inner];
  bool first = mlirBlockEqual(mlirOperationGetBlock(op), loop->header) ||
               (!loop->breaks && cira__fact_has(op, "always"));
  if (loop->parent != slice->loop || !first ||
      !mlirOperationIsNull(slice->guarded) || cira__fact_has(op, "special") ||
      cira__fact_number(op, "stride_bytes", &stride)) {
    return fail(slice, "the address is read by a loop inside");
  }
  if (!loops->items[slice->loop].bounded) {
    return fail(slice, NULL); /* the loop says why */
  }
  if (slice->load_count == cira_slice_loads_max) {
    return fail(slice, "the address comes from too many loads");
  }
  slice->guarded = op;
  slice->loads[slice->load_count++] = op;
  return visit_guards(loops, slice, inner) && visit_operands(loops, slice, op);
}

bool cira_slice_get(const cira_llvm_loops_t *loops, int64_t number,
                    MlirValue address, cira_slice_t *out_slice) {
  *out_slice = (cira_slice_t){.loop = number};
  if (!visit(loops, out_slice, address)) {
    return false;
  }
  if (out_slice->recurrence_count &&
      (out_slice->index_count || out_slice->load_count ||
       out_slice->counter_count || out_slice->inner_count)) {
    return fail(out_slice, follows);
  }
  /* A load ahead is safe if its address is the one it will have then. */
  for (int i = 0; out_slice->load_count && i < out_slice->index_count; i++) {
    if (!cira__fact_has(out_slice->index_loads[i], "unwritten")) {
      return fail(out_slice,
                  "the loop may write where the address is read from");
    }
  }
  return true;
}

/* ---- forward to a branch --------------------------------------------------
 */

typedef struct reach {
  const cira_llvm_loops_t *loops;
  int64_t loop;
  MlirValue values[reach_max];
  int count;
} reach_t;

static void add(reach_t *reach, MlirValue value) {
  for (int i = 0; i < reach->count; i++) {
    if (mlirValueEqual(reach->values[i], value)) {
      return;
    }
  }
  if (reach->count < reach_max) {
    reach->values[reach->count++] = value;
  }
}

/* The argument of a successor that an operand of a branch becomes; the next
 * iteration is another matter. */
static void add_argument(reach_t *reach, MlirBlock to, intptr_t index) {
  if (!mlirBlockEqual(to, reach->loops->items[reach->loop].header) &&
      cira_llvm_loop_contains(reach->loops, reach->loop, to) &&
      index < mlirBlockGetNumArguments(to)) {
    add(reach, mlirBlockGetArgument(to, index));
  }
}

static bool follow_branch(reach_t *reach, MlirOperation op, intptr_t operand) {
  if (ciraOperationHasName(op, "llvm.br")) {
    add_argument(reach, mlirOperationGetSuccessor(op, 0), operand);
    return false;
  }
  if (operand == 0) {
    return true; /* llvm.cond_br, llvm.switch: what is decided by */
  }
  if (ciraOperationHasName(op, "llvm.cond_br")) {
    MlirAttribute sizes =
        mlirOperationGetAttributeByName(op, cira__str("operandSegmentSizes"));
    intptr_t taken = mlirDenseI32ArrayGetElement(sizes, 1);
    bool second = operand > taken;
    add_argument(reach, mlirOperationGetSuccessor(op, second),
                 operand - 1 - (second ? taken : 0));
  }
  return false;
}

static bool follow(reach_t *reach, MlirOperation op, intptr_t operand) {
  if (!cira_llvm_loop_contains(reach->loops, reach->loop,
                               mlirOperationGetBlock(op))) {
    return false;
  }
  if (ciraOperationHasName(op, "llvm.br") ||
      ciraOperationHasName(op, "llvm.cond_br") ||
      ciraOperationHasName(op, "llvm.switch")) {
    return follow_branch(reach, op, operand);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
    add(reach, mlirOperationGetResult(op, i));
  }
  return false;
}

bool cira_slice_feeds_branch(const cira_llvm_loops_t *loops, int64_t number,
                             MlirValue value) {
  reach_t reach = {.loops = loops, .loop = number};
  add(&reach, value);
  for (int i = 0; i < reach.count; i++) {
    MlirOpOperand use = mlirValueGetFirstUse(reach.values[i]);
    for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
      if (follow(&reach, mlirOpOperandGetOwner(use),
                 (intptr_t)mlirOpOperandGetOperandNumber(use))) {
        return true;
      }
    }
  }
  return false;
}

/* ---- the same object ------------------------------------------------------
 */

static bool is_constant(MlirValue value) {
  int64_t number;
  return ciraValueGetConstant(value, &number);
}

/* The address without constant offsets on top. */
static MlirValue root_of(MlirValue address) {
  MlirOperation op;
  while (cira__def_is(address, "llvm.getelementptr", &op)) {
    for (intptr_t i = 1; i < mlirOperationGetNumOperands(op); i++) {
      if (!is_constant(mlirOperationGetOperand(op, i))) {
        return address;
      }
    }
    address = mlirOperationGetOperand(op, 0);
  }
  return address;
}

bool cira_slice_same_object(MlirValue a, MlirValue b) {
  MlirOperation x, y;
  a = root_of(a);
  b = root_of(b);
  if (mlirValueEqual(a, b)) {
    return true;
  }
  if (!cira__def_is(a, "llvm.getelementptr", &x) ||
      !cira__def_is(b, "llvm.getelementptr", &y) ||
      mlirOperationGetNumOperands(x) != mlirOperationGetNumOperands(y) ||
      !mlirAttributeEqual(
          mlirOperationGetAttributeByName(x, cira__str("elem_type")),
          mlirOperationGetAttributeByName(y, cira__str("elem_type")))) {
    return false;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(x); i++) {
    MlirValue one = mlirOperationGetOperand(x, i);
    MlirValue other = mlirOperationGetOperand(y, i);
    if (!mlirValueEqual(one, other) &&
        (i == 0 || !is_constant(one) || !is_constant(other))) {
      return false;
    }
  }
  return true;
}
