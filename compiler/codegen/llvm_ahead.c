/* SPDX-License-Identifier: Apache-2.0
 * Reading order: values ahead, rows, stages. */
#include "codegen/llvm_ahead.h"

#include "analysis/ir.h"
#include "codegen/llvm_ahead_parts.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <string.h>

typedef cira_ahead_emitter_t emitter_t;
typedef cira_ahead_vars_t base_vars_t;

enum { sample_every = 4, sample_walk_every = 64 };

/* ---- values ahead ---------------------------------------------------------
 */

static MlirValue emit(emitter_t *e, int number);

static int source_base(const emitter_t *e) {
  for (int i = 0; i < e->a->value_count; i++) {
    if (e->a->values[i].needed && e->a->values[i].kind == cira_ahead_source) {
      return e->a->values[i].base;
    }
  }
  return -1;
}

/* All operands of what is computed ahead are values too. */
static int number_of(const emitter_t *e, MlirValue value) {
  int i = 0;
  while (i < e->a->value_count &&
         !mlirValueEqual(e->a->values[i].value, value)) {
    i++;
  }
  return i;
}

/* Goes on only if the condition holds. */
static void go_on_if(emitter_t *e, MlirValue condition) {
  MlirBlock next = cira_lb_block(e->rest, e->b.ctx, (MlirType){NULL});
  cira_lb_cond_br(&e->b, condition, next, e->rest);
  e->b.block = next;
}

/* Does it lie in the page of the access of this iteration? */
static MlirValue is_in_page(emitter_t *e, const cira_ahead_value_t *v,
                            MlirValue address, int64_t size) {
  cira_lb_t *b = &e->b;
  MlirType i64 = cira_lb_i64(b);
  MlirValue own =
      cira_lb_cast(b, "llvm.ptrtoint", mlirOperationGetOperand(v->op, 0), i64);
  MlirValue far = address;
  if (cira_ahead_stride(v->op) >= 0) {
    far = cira_lb_binary(b, "llvm.add", address,
                         cira_lb_constant(b, i64, size - 1));
  }
  MlirValue apart = cira_lb_binary(b, "llvm.xor", far, own);
  if (!cira_ahead_stride(v->op)) { /* forth or back: nobody knows */
    apart = cira_lb_binary(b, "llvm.or", apart,
                           cira_lb_binary(b, "llvm.xor", address, own));
  }
  return cira_lb_icmp(b, cira_lb_ult, apart,
                      cira_lb_constant(b, i64, e->plan->page_bytes));
}

static MlirValue emit_load(emitter_t *e, const cira_ahead_value_t *v) {
  cira_lb_t *b = &e->b;
  MlirValue address = mlirOperationGetOperand(v->op, 0);
  MlirType type = mlirValueGetType(v->value);
  int64_t size = cira_ahead_size(type);
  int64_t stride = cira_ahead_stride(v->op);
  if (v->kind == cira_ahead_source && stride && !e->a->in_front) {
    address = cira_lb_offset(b, address, stride * e->distance);
  } else {
    address = emit(e, number_of(e, address));
  }
  address = cira_lb_freeze(b, address);
  MlirValue at = cira_lb_cast(b, "llvm.ptrtoint", address, cira_lb_i64(b));
  const base_vars_t *vars = v->base >= 0 ? &e->bases[v->base] : NULL;
  MlirValue good = {NULL};
  if (e->checked[v - e->a->values] ||
      (v->kind == cira_ahead_source && !mlirOperationIsNull(e->plan->last))) {
    vars = NULL; /* found out for the whole row */
  } else if (v->kind == cira_ahead_source &&
             !mlirOperationIsNull(e->plan->row_end)) {
    vars = NULL; /* the loop reads there itself */
    good =
        cira_lb_icmp(b, stride > 0 ? cira_lb_ule : cira_lb_uge, at,
                     cira_lb_cast(b, "llvm.ptrtoint",
                                  mlirOperationGetOperand(e->plan->row_end, 1),
                                  cira_lb_i64(b)));
  } else if (v->kind == cira_ahead_source && !e->a->in_front) {
    good = is_in_page(e, v, at, size);
  }
  if (vars && !mlirValueIsNull(vars->lo)) {
    MlirValue between = cira__ahead_is_between(e, vars, at, size);
    good = mlirValueIsNull(good) ? between
                                 : cira_lb_binary(b, "llvm.or", good, between);
  }
  if (!mlirValueIsNull(good)) {
    go_on_if(e, good);
  }
  return cira_lb_freeze(b, cira_lb_load(b, address, type, 1));
}

/* value + number * step */
static MlirValue moved(emitter_t *e, MlirValue value, int64_t step,
                       MlirValue number) {
  cira_lb_t *b = &e->b;
  MlirType i64 = cira_lb_i64(b), type = mlirValueGetType(value);
  MlirValue by =
      cira_lb_binary(b, "llvm.mul", number, cira_lb_constant(b, i64, step));
  if (ciraTypeIsALLVMPointer(type)) {
    return cira_lb_offset_by(b, value, by);
  }
  if (mlirIntegerTypeGetWidth(type) < 64) {
    by = cira_lb_cast(b, "llvm.trunc", by, type);
  } else if (mlirIntegerTypeGetWidth(type) > 64) {
    by = cira_lb_cast(b, "llvm.sext", by, type);
  }
  return cira_lb_binary(b, "llvm.add", value, by);
}

/* A counter, `distance` iterations ahead. */
static MlirValue emit_counter(emitter_t *e, const cira_ahead_value_t *v) {
  cira_lb_t *b = &e->b;
  MlirValue distance = cira_lb_constant(b, cira_lb_i64(b), e->distance);
  if (mlirOperationIsNull(v->op)) {
    return moved(e, v->value, v->step, distance);
  }
  MlirValue by = mlirOperationGetOperand(v->op, 1);
  MlirValue operands[] = {v->value,
                          cira_lb_binary(b, "llvm.mul", by, distance)};
  return cira_lb_copy(b, v->op, operands);
}

static MlirValue emit_op(emitter_t *e, const cira_ahead_value_t *v) {
  MlirValue operands[8];
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(v->op); i++) {
    operands[i] = emit(e, number_of(e, mlirOperationGetOperand(v->op, i)));
  }
  return cira_lb_copy(&e->b, v->op, operands);
}

/* The value, `distance` iterations ahead, and in the row's entry at hand while
 * scanning. */
static MlirValue emit(emitter_t *e, int number) {
  const cira_ahead_value_t *v = &e->a->values[number];
  if (!mlirValueIsNull(e->made[number])) {
    return e->made[number];
  }
  MlirValue made = v->value;
  switch (v->kind) {
  case cira_ahead_fixed:
    break;
  case cira_ahead_counter:
    made = emit_counter(e, v);
    break;
  case cira_ahead_last:
    made = cira__ahead_var(&e->b, e->bases[v->base].pointer,
                           mlirValueGetType(v->value));
    break;
  case cira_ahead_same:
    made = emit(e, v->alias);
    break;
  case cira_ahead_scanned:
    made = emit(e, v->alias);
    made = e->scanning ? moved(e, made, v->step, e->entry) : made;
    break;
  case cira_ahead_source:
  case cira_ahead_load:
    made = emit_load(e, v);
    break;
  case cira_ahead_op:
    made = emit_op(e, v);
    break;
  }
  e->made[number] = made;
  return made;
}

/* ---- rows -----------------------------------------------------------------
 */

/* All that does not change within the row, so that it stands in front. */
static void emit_outside(emitter_t *e, int number) {
  const cira_ahead_value_t *v = &e->a->values[number];
  if (!v->scan) {
    emit(e, number);
    return;
  }
  if (v->alias >= 0) {
    emit_outside(e, v->alias);
    return;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(v->op); i++) {
    emit_outside(e, number_of(e, mlirOperationGetOperand(v->op, i)));
  }
}

static void clear_scanned(emitter_t *e) {
  for (int i = 0; i < e->a->value_count; i++) {
    if (e->a->values[i].scan) {
      e->made[i] = (MlirValue){NULL};
    }
  }
}

/* How many entries of the row ahead are looked at. */
static MlirValue row_length(emitter_t *e) {
  cira_lb_t *b = &e->b;
  MlirType i64 = cira_lb_i64(b);
  if (e->a->scan_to < 0) {
    return cira_lb_constant(b, i64, e->plan->row_guess);
  }
  MlirValue from = emit(e, e->a->scan_from), to = emit(e, e->a->scan_to);
  int64_t step = e->a->scan_step;
  if (ciraTypeIsALLVMPointer(mlirValueGetType(from))) {
    from = cira_lb_cast(b, "llvm.ptrtoint", from, i64);
    to = cira_lb_cast(b, "llvm.ptrtoint", to, i64);
  }
  MlirType type = mlirValueGetType(from);
  MlirValue length =
      cira_lb_freeze(b, step > 0 ? cira_lb_binary(b, "llvm.sub", to, from)
                                 : cira_lb_binary(b, "llvm.sub", from, to));
  int64_t size = step > 0 ? step : -step;
  if (size != 1) {
    length =
        cira_lb_binary(b, "llvm.udiv", length, cira_lb_constant(b, type, size));
  }
  if (mlirIntegerTypeGetWidth(type) < 64) {
    length = cira_lb_cast(b, "llvm.zext", length, i64);
  } else if (mlirIntegerTypeGetWidth(type) > 64) {
    length = cira_lb_cast(b, "llvm.trunc", length, i64);
  }
  MlirValue most = cira_lb_constant(b, i64, e->plan->row_max);
  return cira__ahead_min_max(b, cira_lb_ult, length, most);
}

static void prefetch_target(emitter_t *e, const cira_ahead_target_t *t) {
  MlirValue address = emit(e, t->address);
  cira_lb_prefetch(&e->b, address, t->written, 2);
  if (!t->row_start) {
    return;
  }
  int64_t stride = cira_ahead_stride(t->access);
  int64_t line = stride < 0 ? -e->plan->line_bytes : e->plan->line_bytes;
  int64_t lines = 2 * e->plan->row_guess * stride / line;
  for (int64_t i = 1; i < lines && i < 4; i++) {
    cira_lb_prefetch(&e->b, cira_lb_offset(&e->b, address, i * line),
                     t->written, 2);
  }
}

static bool is_scanned(const cira_ahead_t *a, const cira_ahead_target_t *t) {
  return t->loop == a->scan && !t->row_start && a->values[t->address].scan;
}

/* Does the value change from entry to entry without anything being read? */
static bool is_walk(const emitter_t *e, int number) {
  const cira_ahead_value_t *v = &e->a->values[number];
  if (!v->scan) {
    return true;
  }
  if (v->kind == cira_ahead_scanned) {
    return !e->a->values[v->alias].scan;
  }
  bool good = v->kind == cira_ahead_op;
  for (intptr_t i = 0; good && i < mlirOperationGetNumOperands(v->op); i++) {
    good = is_walk(e, number_of(e, mlirOperationGetOperand(v->op, i)));
  }
  return good || (v->kind == cira_ahead_same && is_walk(e, v->alias));
}

/* Where the load reads in that entry of the row. */
static MlirValue place_in_row(emitter_t *e, const cira_ahead_value_t *v,
                              MlirValue entry) {
  e->scanning = true;
  e->entry = entry;
  MlirValue address = emit(e, number_of(e, mlirOperationGetOperand(v->op, 0)));
  e->scanning = false;
  clear_scanned(e);
  cira_lb_t *b = &e->b;
  return cira_lb_cast(b, "llvm.ptrtoint", cira_lb_freeze(b, address),
                      cira_lb_i64(b));
}

/* Goes on if the load can be done in all entries of the row: in the first and
 * in the last one, and these are as far from each other as they should be, so
 * that no index has begun again at 0 in between. */
static void check_row(emitter_t *e, const cira_ahead_value_t *v,
                      MlirValue length) {
  cira_lb_t *b = &e->b;
  MlirType i64 = cira_lb_i64(b);
  const base_vars_t *vars = &e->bases[v->base];
  int64_t size = cira_ahead_size(mlirValueGetType(v->value));
  MlirValue number =
      cira_lb_binary(b, "llvm.sub", length, cira_lb_constant(b, i64, 1));
  MlirValue first = place_in_row(e, v, cira_lb_constant(b, i64, 0));
  MlirValue last = place_in_row(e, v, number);
  MlirValue apart =
      cira_lb_binary(b, "llvm.mul", number,
                     cira_lb_constant(b, i64, cira_ahead_stride(v->op)));
  MlirValue straight = cira_lb_icmp(
      b, cira_lb_eq, cira_lb_binary(b, "llvm.sub", last, first), apart);
  MlirValue both = cira_lb_binary(b, "llvm.and",
                                  cira__ahead_is_between(e, vars, first, size),
                                  cira__ahead_is_between(e, vars, last, size));
  go_on_if(e, cira_lb_binary(b, "llvm.and", both, straight));
  e->checked[v - e->a->values] = true;
}

/* All loads of the row ahead that lead to the value and walk through an array:
 * a test in each entry would cost more than the load. */
static void check_loads(emitter_t *e, int number, MlirValue length) {
  const cira_ahead_value_t *v = &e->a->values[number];
  if (!v->scan || v->kind == cira_ahead_scanned) {
    return;
  }
  if (v->alias >= 0) {
    check_loads(e, v->alias, length);
    return;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(v->op); i++) {
    check_loads(e, number_of(e, mlirOperationGetOperand(v->op, i)), length);
  }
  if (v->kind == cira_ahead_load && !e->checked[number] && v->base >= 0 &&
      !mlirValueIsNull(e->bases[v->base].lo) && cira_ahead_stride(v->op) &&
      is_walk(e, number_of(e, mlirOperationGetOperand(v->op, 0)))) {
    check_row(e, v, length);
  }
}

/* A loop over the entries of the row ahead. */
static void emit_row(emitter_t *e, int64_t level) {
  cira_lb_t *b = &e->b;
  MlirType i64 = cira_lb_i64(b);
  MlirValue length = row_length(e);
  for (int i = 0; i < e->a->target_count; i++) {
    const cira_ahead_target_t *t = &e->a->targets[i];
    if (t->level == level && is_scanned(e->a, t)) {
      emit_outside(e, t->address);
    }
  }
  clear_scanned(e);
  for (int i = 0; i < e->a->target_count; i++) {
    const cira_ahead_target_t *t = &e->a->targets[i];
    if (t->level == level && is_scanned(e->a, t)) {
      check_loads(e, t->address, length);
    }
  }
  MlirBlock head = cira_lb_block(e->rest, b->ctx, i64);
  MlirValue zero = cira_lb_constant(b, i64, 0);
  cira_lb_br(b, head, 1, &zero);
  b->block = head;
  e->entry = mlirBlockGetArgument(head, 0);
  go_on_if(e, cira_lb_icmp(b, cira_lb_ult, e->entry, length));
  e->scanning = true;
  for (int i = 0; i < e->a->target_count; i++) {
    const cira_ahead_target_t *t = &e->a->targets[i];
    if (t->level == level && is_scanned(e->a, t)) {
      prefetch_target(e, t);
    }
  }
  e->scanning = false;
  clear_scanned(e);
  MlirValue next =
      cira_lb_binary(b, "llvm.add", e->entry, cira_lb_constant(b, i64, 1));
  cira_lb_br(b, head, 1, &next);
}

/* ---- stages ---------------------------------------------------------------
 */

/* All targets that as many loads lead to. Ends in the block `rest`. */
static void emit_stage(emitter_t *e, int64_t level) {
  bool any = false, rows = false;
  for (int i = 0; i < e->a->target_count; i++) {
    any |= e->a->targets[i].level == level;
    rows |=
        e->a->targets[i].level == level && is_scanned(e->a, &e->a->targets[i]);
  }
  if (!any) {
    return;
  }
  memset(e->made, 0, sizeof e->made);
  memset(e->checked, 0, sizeof e->checked);
  e->distance =
      (cira__ahead_highest_level(e->a) - level + 1) * e->plan->distance;
  MlirBlock outer = e->rest;
  e->rest = cira_lb_block(outer, e->b.ctx, (MlirType){NULL});
  if (e->plan->within_row && mlirOperationIsNull(e->plan->row_end)) {
    MlirValue at = emit(e, e->a->scan_from), end = emit(e, e->a->scan_to);
    go_on_if(
        e, cira_lb_icmp(&e->b, e->a->scan_step > 0 ? cira_lb_ult : cira_lb_ugt,
                        cira_lb_freeze(&e->b, at), cira_lb_freeze(&e->b, end)));
  }
  for (int i = 0; i < e->a->target_count; i++) {
    const cira_ahead_target_t *t = &e->a->targets[i];
    if (t->level == level && !is_scanned(e->a, t)) {
      prefetch_target(e, t);
    }
  }
  if (rows) {
    emit_row(e, level);
  } else {
    cira_lb_br(&e->b, e->rest, 0, NULL);
  }
  e->b.block = e->rest;
  e->rest = outer;
}

/* Is the row longer than what was looked at from the queue? */
static MlirValue is_long_row(emitter_t *e, cira_lb_t *b) {
  MlirValue from = e->a->row_first, to = e->a->values[e->a->scan_to].value;
  if (ciraTypeIsALLVMPointer(mlirValueGetType(from))) {
    from = cira_lb_cast(b, "llvm.ptrtoint", from, cira_lb_i64(b));
    to = cira_lb_cast(b, "llvm.ptrtoint", to, cira_lb_i64(b));
  }
  int64_t step = e->a->scan_step;
  MlirValue length =
      cira_lb_freeze(b, step > 0 ? cira_lb_binary(b, "llvm.sub", to, from)
                                 : cira_lb_binary(b, "llvm.sub", from, to));
  MlirValue most =
      cira_lb_constant(b, mlirValueGetType(length),
                       e->plan->distance * (step > 0 ? step : -step));
  return cira_lb_icmp(b, cira_lb_ugt, length, most);
}

/* Do all entries of the row, and those that lie `distance` behind
 * them, lie where memory is? */
static MlirValue is_row_there(emitter_t *e, cira_lb_t *b) {
  MlirType i64 = cira_lb_i64(b);
  MlirOperation load = e->a->anchor;
  int64_t stride = cira_ahead_stride(load);
  int64_t size =
      cira_ahead_size(mlirValueGetType(mlirOperationGetResult(load, 0)));
  MlirValue last = cira_lb_cast(b, "llvm.ptrtoint",
                                mlirOperationGetOperand(e->plan->last, 1), i64);
  MlirValue whole =
      cira_lb_binary(b, "llvm.mul", mlirOperationGetOperand(e->plan->last, 2),
                     cira_lb_constant(b, i64, stride));
  MlirValue first = cira_lb_binary(b, "llvm.sub", last, whole);
  MlirValue end =
      cira_lb_binary(b, "llvm.add", last,
                     cira_lb_constant(b, i64,
                                      stride * e->plan->distance *
                                              cira__ahead_highest_level(e->a) +
                                          (stride > 0 ? size - 1 : 0)));
  first = cira_lb_freeze(b, first);
  end = cira_lb_freeze(b, end);
  MlirValue there =
      cira_lb_icmp(b, cira_lb_ult, cira_lb_binary(b, "llvm.xor", first, end),
                   cira_lb_constant(b, i64, e->plan->page_bytes));
  int base = source_base(e);
  if (base >= 0 && !mlirValueIsNull(e->bases[base].lo)) {
    const base_vars_t *vars = &e->bases[base];
    MlirValue top =
        cira_lb_binary(b, "llvm.add", cira__ahead_var(b, vars->hi, i64),
                       cira_lb_constant(b, i64, e->plan->page_bytes - size));
    MlirValue low = stride > 0 ? first : end, high = stride > 0 ? end : first;
    MlirValue between = cira_lb_binary(
        b, "llvm.and",
        cira_lb_icmp(b, cira_lb_uge, low, cira__ahead_var(b, vars->lo, i64)),
        cira_lb_icmp(b, cira_lb_ule, high, top));
    there = cira_lb_binary(b, "llvm.or", there, between);
  }
  return there;
}

/* In front of a row: whether to look ahead in it, as a variable. The same for
 * the whole row, so LLVM makes two loops of it. */
static MlirValue add_row_test(emitter_t *e) {
  const cira_ahead_plan_t *plan = e->plan;
  MlirOperation at = plan->within_row ? e->a->entering
                                      : mlirOperationGetNextInBlock(plan->last);
  MlirType i1 = mlirIntegerTypeGet(mlirOperationGetContext(at), 1);
  MlirValue result = cira_lb_variable(e->function, i1);
  cira_lb_t b = cira_lb_before(at);
  cira_lb_store(&b, cira_lb_constant(&b, i1, 0), result);
  MlirBlock first = mlirOperationGetBlock(at);
  MlirBlock rest = cira_lb_split(at);
  b = cira_lb_at_end(first, e->a->loops->items[e->a->level].parent);
  MlirBlock inside = cira_lb_block(rest, b.ctx, (MlirType){NULL});
  MlirValue on =
      cira__ahead_var(&b, plan->host ? plan->host->on : plan->on, i1);
  cira_lb_cond_br(&b, on, inside, rest);
  b.block = inside;
  MlirValue good = plan->within_row ? is_long_row(e, &b) : is_row_there(e, &b);
  cira_lb_store(&b, good, result);
  cira_lb_br(&b, rest, 0, NULL);
  cira_lb_end_split(first, rest);
  return result;
}

/* One iteration in so many brings the limits up to date: it costs a dozen
 * operations, and they soon span nearly everything; where the sources are
 * walked through, they are in one page for long. By a counter of the loop;
 * null: none will do. */
static MlirValue is_sampled(emitter_t *e, cira_lb_t *b, int64_t loop) {
  const cira_llvm_loops_t *loops = e->a->loops;
  MlirBlock header = loops->items[loop].header;
  MlirType i64 = cira_lb_i64(b);
  int64_t every = e->a->in_front ? sample_walk_every : sample_every;
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(header); i++) {
    int64_t step = cira_llvm_loop_step(loops, loop, i);
    MlirValue counter = mlirBlockGetArgument(header, i);
    MlirType type = mlirValueGetType(counter);
    step = step < 0 ? -step : step;
    bool pointer = ciraTypeIsALLVMPointer(type);
    if (!step || (step & (step - 1)) || step > 4096 ||
        (!pointer &&
         (!mlirTypeIsAInteger(type) || mlirIntegerTypeGetWidth(type) < 32))) {
      continue;
    }
    if (pointer) {
      counter = cira_lb_cast(b, "llvm.ptrtoint", counter, i64);
      type = i64;
    }
    MlirValue low = cira_lb_binary(b, "llvm.and", cira_lb_freeze(b, counter),
                                   cira_lb_constant(b, type, every * step - 1));
    return cira_lb_icmp(b, cira_lb_ult, low, cira_lb_constant(b, type, step));
  }
  return (MlirValue){NULL};
}

/* Splits in front of `at`: the limits are brought up to date there, now and
 * then. The builder is left in a new block before `at`. */
static void add_fold(emitter_t *e, MlirOperation at, int64_t loop,
                     MlirValue trips) {
  MlirBlock first = mlirOperationGetBlock(at);
  MlirBlock rest = cira_lb_split(at);
  e->b = cira_lb_at_end(first, loop);
  MlirValue sampled = e->plan->always || e->plan->on_bytes
                          ? is_sampled(e, &e->b, loop)
                          : (MlirValue){NULL};
  if (!mlirValueIsNull(sampled)) {
    MlirBlock inside = cira_lb_block(rest, e->b.ctx, (MlirType){NULL});
    cira_lb_cond_br(&e->b, sampled, inside, rest);
    e->b.block = inside;
  }
  cira_lb_store(&e->b, cira__ahead_fold(e, &e->b, trips), e->plan->on);
  cira_lb_br(&e->b, rest, 0, NULL);
  cira_lb_end_split(first, rest);
}

/* In front of which op the stages come. */
static MlirOperation place_of_stages(const emitter_t *e) {
  return e->a->in_front ? mlirBlockGetFirstOperation(
                              e->a->loops->items[e->a->level].header)
                        : mlirOperationGetNextInBlock(e->a->anchor);
}

static void emit_stages(emitter_t *e, MlirValue trips) {
  cira_ahead_plan_t *plan = e->plan;
  MlirOperation anchor = place_of_stages(e);
  if (!plan->host && mlirOperationIsNull(plan->fold)) {
    add_fold(e, anchor, e->a->level, trips);
  }
  bool of_row = plan->within_row || !mlirOperationIsNull(plan->last);
  MlirValue on = of_row ? add_row_test(e) : plan->on;
  MlirBlock first = mlirOperationGetBlock(anchor);
  e->rest = cira_lb_split(anchor);
  e->b = cira_lb_at_end(first, e->a->level);
  go_on_if(e, cira__ahead_var(&e->b, on, mlirIntegerTypeGet(e->b.ctx, 1)));
  cira_lb_end_split(first, e->rest);
  for (int64_t level = 1; level <= cira__ahead_highest_level(e->a); level++) {
    emit_stage(e, level);
  }
  cira_lb_br(&e->b, e->rest, 0, NULL);
}

/* Iterations are counted from when the loop is entered. */
static MlirValue add_counter(emitter_t *e) {
  MlirValue trips = cira_lb_variable(
      e->function,
      mlirIntegerTypeGet(mlirOperationGetContext(e->function), 64));
  int64_t parent = e->a->loops->items[e->a->level].parent;
  cira_lb_t b = cira_lb_before(
      parent < 0
          ? mlirOperationGetNextInBlock(cira__def(trips))
          : mlirBlockGetFirstOperation(e->a->loops->items[parent].header));
  cira_lb_store(
      &b,
      cira_lb_constant(
          &b, mlirIntegerTypeGet(mlirOperationGetContext(e->function), 64), 0),
      trips);
  return trips;
}

void cira_ahead_insert(cira_ahead_plan_t *plan) {
  emitter_t e = {
      .plan = plan, .a = plan->ahead, .function = plan->ahead->loops->function};
  if (!plan->host) {
    cira__ahead_watch(&e);
    MlirType i1 = mlirIntegerTypeGet(mlirOperationGetContext(e.function), 1);
    plan->on = cira_lb_variable(e.function, i1);
    cira_lb_t start =
        cira_lb_before(mlirOperationGetNextInBlock(cira__def(plan->on)));
    cira_lb_store(&start, cira_lb_constant(&start, i1, plan->always), plan->on);
  }
  MlirValue trips = plan->always || plan->on_bytes || plan->host
                        ? (MlirValue){NULL}
                        : add_counter(&e);
  if (!plan->host && !mlirOperationIsNull(plan->fold)) {
    add_fold(&e, plan->fold, e.a->loops->items[e.a->level].parent, trips);
  }
  emit_stages(&e, trips);
}
