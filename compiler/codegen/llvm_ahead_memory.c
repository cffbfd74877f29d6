/* SPDX-License-Identifier: Apache-2.0
 * What a function that looks ahead knows of memory: the highest and the lowest
 * page that it has accessed through each base; see codegen/llvm_ahead.h.
 * Reading order: which bases, the variables, keeping them, asking them. */
#include "codegen/llvm_ahead_parts.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

static MlirType i64_of(const cira_ahead_emitter_t *e) {
  return mlirIntegerTypeGet(mlirOperationGetContext(e->function), 64);
}

static MlirType pointer_of(const cira_ahead_emitter_t *e) {
  return mlirTypeParseGet(mlirOperationGetContext(e->function),
                          cira__str("!llvm.ptr"));
}

int64_t cira__ahead_highest_level(const cira_ahead_t *a) {
  int64_t level = 0;
  for (int i = 0; i < a->target_count; i++) {
    level = a->targets[i].level > level ? a->targets[i].level : level;
  }
  return level;
}

/* A source far ahead in a wide array leaves the page too often. */
static bool is_wide(const cira_ahead_emitter_t *e,
                    const cira_ahead_value_t *v) {
  int64_t stages = cira__ahead_highest_level(e->a);
  int64_t stride = cira_ahead_stride(v->op);
  int64_t reach = stages * e->plan->distance * (stride < 0 ? -stride : stride);
  return reach > e->plan->page_bytes / 16;
}

/* Rows that lie behind one another are read by the core itself well ahead: it
 * is what they name that may be too much for the cache. */
static bool is_counted(const cira_ahead_emitter_t *e, int base) {
  bool all = mlirOperationIsNull(e->plan->last);
  for (int i = 0; !all && i < e->a->target_count; i++) {
    all = e->a->targets[i].base == base;
  }
  return all;
}

static void choose_bases(cira_ahead_emitter_t *e) {
  bool folds = !mlirOperationIsNull(e->plan->fold);
  for (int i = 0; i < e->a->value_count; i++) {
    const cira_ahead_value_t *v = &e->a->values[i];
    if (v->base >= 0 && v->needed &&
        (v->kind != cira_ahead_source || folds || e->a->in_front ||
         is_wide(e, v))) {
      e->bases[v->base].used = true;
    }
  }
  for (int i = 0; folds && i < e->a->target_count; i++) {
    if (e->a->targets[i].base >= 0) {
      e->bases[e->a->targets[i].base].used = true;
    }
  }
}

/* A base that is the same in the whole function needs no watching. */
static bool is_constant_base(const cira_ahead_emitter_t *e, int base) {
  MlirValue pointer = e->a->bases[base].pointer;
  if (mlirValueIsNull(pointer)) {
    return false;
  }
  MlirOperation op = cira__def(pointer);
  return cira_llvm_block_loop(mlirOperationIsNull(op)
                                  ? mlirBlockArgumentGetOwner(pointer)
                                  : mlirOperationGetBlock(op)) < 0;
}

static MlirOperation first_op(const cira_ahead_emitter_t *e) {
  return mlirBlockGetFirstOperation(
      mlirRegionGetFirstBlock(mlirOperationGetRegion(e->function, 0)));
}

static void forget(cira_lb_t *b, const cira_ahead_vars_t *vars) {
  if (!mlirValueIsNull(vars->lo)) {
    MlirType i64 = cira_lb_i64(b);
    MlirValue zero = cira_lb_constant(b, i64, 0);
    cira_lb_store(b, cira_lb_constant(b, i64, -1), vars->lo);
    cira_lb_store(b, zero, vars->hi);
    cira_lb_store(b, zero, vars->seen);
  }
}

/* The variables, and their values when the function begins. */
static void add_variables(cira_ahead_emitter_t *e) {
  MlirOperation start = first_op(e);
  for (int i = 0; i < e->a->base_count; i++) {
    cira_ahead_vars_t *vars = &e->bases[i];
    const cira_ahead_base_t *base = &e->a->bases[i];
    if (!vars->used) {
      continue;
    }
    cira_lb_t b = cira_lb_before(start);
    if (!base->is_pointer) {
      MlirOperation read = {NULL};
      for (int k = 0; k < e->a->value_count; k++) {
        if (e->a->values[k].kind == cira_ahead_last &&
            e->a->values[k].base == i) {
          read = e->a->values[k].op;
        }
      }
      MlirType type = mlirValueGetType(mlirOperationGetResult(read, 0));
      vars->pointer = cira_lb_variable(e->function, type);
      cira_lb_store(&b, cira_lb_null(&b, type), vars->pointer);
      continue;
    }
    vars->lo = cira_lb_variable(e->function, i64_of(e));
    vars->hi = cira_lb_variable(e->function, i64_of(e));
    vars->seen = cira_lb_variable(e->function, i64_of(e));
    vars->from = cira_lb_variable(e->function, pointer_of(e));
    vars->pointer = cira_lb_variable(e->function, pointer_of(e));
    forget(&b, vars);
    MlirValue null = cira_lb_null(&b, pointer_of(e));
    cira_lb_store(&b, null, vars->from);
    cira_lb_store(&b, null, vars->pointer);
  }
}

static cira_lb_t behind(MlirOperation op) {
  return cira_lb_before(mlirOperationGetNextInBlock(op));
}

static void record_witnesses(cira_ahead_emitter_t *e) {
  for (int i = 0; i < e->a->witness_count; i++) {
    const cira_ahead_witness_t *w = &e->a->witnesses[i];
    const cira_ahead_vars_t *vars = &e->bases[w->base];
    if (!vars->used || mlirValueIsNull(vars->seen)) {
      continue;
    }
    cira_lb_t b = behind(w->access);
    cira_lb_store(
        &b, cira_lb_cast(&b, "llvm.ptrtoint", w->address, cira_lb_i64(&b)),
        vars->seen);
    if (!is_constant_base(e, w->base)) {
      cira_lb_store(&b, w->pointer, vars->from);
    }
  }
  for (int i = 0; i < e->a->value_count; i++) {
    const cira_ahead_value_t *v = &e->a->values[i];
    if (v->kind == cira_ahead_last && !e->a->bases[v->base].is_pointer) {
      cira_lb_t b = behind(v->op);
      cira_lb_store(&b, v->value, e->bases[v->base].pointer);
    }
  }
}

/* In front of everything that might free memory or let others do so. */
static void forget_where_needed(cira_ahead_emitter_t *e) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(e->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      if (!cira__fact_has(op, "stops")) {
        continue;
      }
      for (int i = 0; i < e->a->base_count; i++) {
        cira_lb_t b = cira_lb_before(op);
        forget(&b, &e->bases[i]);
      }
    }
  }
}

MlirValue cira__ahead_var(cira_lb_t *b, MlirValue variable, MlirType type) {
  return cira_lb_load(b, variable, type, 0);
}

MlirValue cira__ahead_min_max(cira_lb_t *b, int64_t predicate, MlirValue x,
                              MlirValue y) {
  return cira_lb_select(b, cira_lb_icmp(b, predicate, x, y), x, y);
}

/* Brings lo and hi of a base up to date by the access seen last. */
static void fold_base(cira_ahead_emitter_t *e, cira_lb_t *b, int number) {
  const cira_ahead_vars_t *vars = &e->bases[number];
  MlirType i64 = cira_lb_i64(b);
  MlirValue zero = cira_lb_constant(b, i64, 0);
  MlirValue seen = cira__ahead_var(b, vars->seen, i64);
  MlirValue lo = cira__ahead_var(b, vars->lo, i64),
            hi = cira__ahead_var(b, vars->hi, i64);
  MlirValue any = cira_lb_icmp(b, cira_lb_ne, seen, zero);
  MlirValue page = cira_lb_binary(
      b, "llvm.and", seen, cira_lb_constant(b, i64, -e->plan->page_bytes));
  if (!is_constant_base(e, number)) {
    MlirValue from = cira__ahead_var(b, vars->from, pointer_of(e));
    MlirValue old = cira__ahead_var(b, vars->pointer, pointer_of(e));
    MlirValue same = cira_lb_icmp(b, cira_lb_eq, from, old);
    lo = cira_lb_select(b, same, lo, cira_lb_constant(b, i64, -1));
    hi = cira_lb_select(b, same, hi, zero);
    cira_lb_store(b, from, vars->pointer);
  }
  MlirValue low = cira__ahead_min_max(b, cira_lb_ult, page, lo);
  MlirValue high = cira__ahead_min_max(b, cira_lb_ugt, page, hi);
  cira_lb_store(b, cira_lb_select(b, any, low, lo), vars->lo);
  cira_lb_store(b, cira_lb_select(b, any, high, hi), vars->hi);
  cira_lb_store(b, zero, vars->seen);
}

/* Has the loop touched enough, or run long enough, to look ahead? */
static MlirValue is_on(cira_ahead_emitter_t *e, cira_lb_t *b, MlirValue trips) {
  MlirType i64 = cira_lb_i64(b);
  if (e->plan->always) {
    return cira_lb_constant(b, mlirIntegerTypeGet(b->ctx, 1), 1);
  }
  if (!e->plan->on_bytes) {
    MlirValue next =
        cira_lb_binary(b, "llvm.add", cira__ahead_var(b, trips, i64),
                       cira_lb_constant(b, i64, 1));
    cira_lb_store(b, next, trips);
    return cira_lb_icmp(b, cira_lb_uge, next,
                        cira_lb_constant(b, i64, e->plan->on_trips));
  }
  MlirValue sum = cira_lb_constant(b, i64, 0);
  for (int i = 0; i < e->a->base_count; i++) {
    if (!mlirValueIsNull(e->bases[i].lo) && is_counted(e, i)) {
      MlirValue touched =
          cira_lb_binary(b, "llvm.sub", cira__ahead_var(b, e->bases[i].hi, i64),
                         cira__ahead_var(b, e->bases[i].lo, i64));
      sum = cira_lb_binary(b, "llvm.add", sum, touched);
    }
  }
  return cira_lb_icmp(b, cira_lb_uge, sum,
                      cira_lb_constant(b, i64, e->plan->on_bytes));
}

MlirValue cira__ahead_fold(cira_ahead_emitter_t *e, cira_lb_t *b,
                           MlirValue trips) {
  for (int i = 0; i < e->a->base_count; i++) {
    if (!mlirValueIsNull(e->bases[i].lo)) {
      fold_base(e, b, i);
    }
  }
  return is_on(e, b, trips);
}
MlirValue cira__ahead_is_between(cira_ahead_emitter_t *e,
                                 const cira_ahead_vars_t *vars,
                                 MlirValue address, int64_t size) {
  cira_lb_t *b = &e->b;
  MlirType i64 = cira_lb_i64(b);
  MlirValue end =
      cira_lb_binary(b, "llvm.add", cira__ahead_var(b, vars->hi, i64),
                     cira_lb_constant(b, i64, e->plan->page_bytes - size));
  return cira_lb_binary(
      b, "llvm.and",
      cira_lb_icmp(b, cira_lb_uge, address, cira__ahead_var(b, vars->lo, i64)),
      cira_lb_icmp(b, cira_lb_ule, address, end));
}

void cira__ahead_watch(cira_ahead_emitter_t *e) {
  choose_bases(e);
  add_variables(e);
  record_witnesses(e);
  forget_where_needed(e);
}
