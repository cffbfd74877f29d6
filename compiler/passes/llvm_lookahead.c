/* SPDX-License-Identifier: Apache-2.0
 * cira-llvm-lookahead: in loops of llvm.func that follow a queue, visit the
 * rows of a sparse graph or matrix, or read an index array whose end nobody
 * knows beforehand, asks for lines some entries ahead. What loops that are
 * bounded read themselves is left to cira-llvm-prefetch, which runs next.
 * Three forms:
 *   queue  the rows begin where something read ahead says: the row's bounds,
 *          its entries, and what these name, each a stage later than the last
 *   rows   consecutive rows lie behind one another: look ahead in the array of
 *          entries, across the ends of rows
 *   walk   an index array in a loop that may end at any time
 * Reading order: forms, costs, the pass. docs/how-loops-are-changed.md has the
 * formulas. */
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "analysis/llvm_ahead.h"
#include "analysis/llvm_slice.h"
#include "codegen/llvm_ahead.h"
#include "codegen/llvm_twin.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>
#include <stdlib.h>

static const char pass_name[] = "cira-llvm-lookahead";

enum {
  plans_max = 16,
  issue_width = 4, /* operations begun at a time; see llvm_prefetch.c */
  /* Operations that a line asked for ahead adds: its place, a load and the
   * test of it, an address, the prefetch, the loop. */
  line_ops = 9,
  stage_ops = 8,    /* and each stage */
  witness_ops = 12, /* and keeping count of what has been touched */
  /* Entries of a row where nothing is known: graphs have 4 to 32. */
  row_guess = 8,
  row_left = 2, /* of one that is left in its middle */
  row_max = 64, /* entries of one row that are looked at in advance */
  gain_min_percent = 10,
  cache_part = 4,
  /* LLVM makes two loops of one that is no longer than this: one for long rows,
   * one for others. */
  split_ops_max = 16,
  distance_max = 1024,
  queue_distance_max = 32,
  queue_spread = 2, /* rows of a queue are long and short */
  percent_min = 25,
  row_percent_min = 51,  /* of a row's entries: 50 says that nobody knows */
  small_index_bits = 16, /* what so few bits choose from stays in the cache */
  /* Entries and iterations of a sample of the changed loop: what the first
   * ones name is asked for too late, so there must be many. */
  sample_entries = 8192
};

typedef struct work {
  cira_llvm_loops_t loops;
  CiraMachine machine;
  cira_ahead_plan_t plans[plans_max];
  int count;
  int64_t roots[plans_max]; /* the loops that have a twin */
  cira_twin_t *twins[plans_max];
  bool rows[plans_max]; /* count in the twin's periods */
  int twin_count;
  bool *taken; /* by loop: it belongs to a queue, so nothing less will do */
} work_t;

static bool is_access(MlirOperation op) {
  return ciraOperationHasName(op, "llvm.load") ||
         ciraOperationHasName(op, "llvm.store");
}

static MlirValue address_of(MlirOperation op) {
  return mlirOperationGetOperand(op, mlirOperationGetNumResults(op) ? 0 : 1);
}

/* ---- forms ----------------------------------------------------------------
 */

/* May something in the loop, done often, free memory or wait, and is no
 * allocation? */
static bool is_stopped(const work_t *w, int64_t loop) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(w->loops.function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    bool inside = cira_llvm_loop_contains(&w->loops, loop, block) &&
                  cira_llvm_block_percent(block) >= 10;
    for (; inside && !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      int64_t how;
      if (cira__fact_number(op, "stops", &how) && how > 1) {
        return true;
      }
    }
  }
  return false;
}

/* Adds what the loops do to memory as targets. */
static void add_accesses(const work_t *w, cira_ahead_t *a) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(w->loops.function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    int64_t loop = cira_llvm_block_loop(block);
    if (loop < 0 || (loop != a->level && loop != a->scan)) {
      continue;
    }
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      int64_t extent;
      bool walked = loop == a->level && cira_ahead_stride(op);
      bool small = cira__fact_number(op, "extent_bytes", &extent) &&
                   extent <= w->machine.llc_bytes / cache_part;
      if (is_access(op) && !walked && !small && !cira__fact_has(op, "ahead") &&
          !cira__fact_has(op, "special")) {
        cira_ahead_add(a, op);
      }
    }
  }
}

static void drop(cira_ahead_t *a, int at) {
  a->target_count--;
  for (int i = at; i < a->target_count; i++) {
    a->targets[i] = a->targets[i + 1];
  }
}

/* Is the value read at a place that is no walk through an array? */
static bool is_scattered(const cira_ahead_t *a, int number) {
  const cira_ahead_value_t *v = &a->values[number];
  if (v->alias >= 0) {
    return is_scattered(a, v->alias);
  }
  return v->level > 1 || (v->kind == cira_ahead_load && !v->scan);
}

/* Where a row begins: the values that its counters begin with. */
static bool rows_are_scattered(const cira_ahead_t *a) {
  for (int i = 0; i < a->value_count; i++) {
    if (a->values[i].kind == cira_ahead_scanned &&
        is_scattered(a, a->values[i].alias)) {
      return true;
    }
  }
  return false;
}

/* The pointer that the address is an element of; null: it is no element. */
static MlirValue array_of(MlirValue address) {
  MlirOperation op;
  return cira__def_is(address, "llvm.getelementptr", &op)
             ? mlirOperationGetOperand(op, 0)
             : (MlirValue){NULL};
}

/* Is it of the array that says where rows begin? Then the line is wanted again
 * as soon as the entry goes into the queue. */
static bool is_of_bounds(const cira_ahead_t *a, const cira_ahead_target_t *t) {
  MlirValue array = array_of(a->values[t->address].value);
  bool found = false;
  for (int i = 0; !mlirValueIsNull(array) && i < a->value_count; i++) {
    int first =
        a->values[i].kind == cira_ahead_scanned ? a->values[i].alias : -1;
    if (first >= 0 && a->values[first].kind == cira_ahead_load) {
      MlirValue of = array_of(mlirOperationGetOperand(a->values[first].op, 0));
      found |= !mlirValueIsNull(of) && mlirValueEqual(of, array);
    }
  }
  return found;
}

/* Keeps the targets that a queue leads to. */
static bool is_queue(const work_t *w, cira_ahead_t *a) {
  bool scattered = rows_are_scattered(a);
  bool breaks = w->loops.items[a->scan].breaks;
  bool rows = false;
  for (int i = a->target_count - 1; i >= 0; i--) {
    const cira_ahead_target_t *t = &a->targets[i];
    bool inside = t->loop == a->scan;
    bool keep = inside
                    ? a->values[t->address].scan &&
                          (scattered || (breaks && t->row_start)) &&
                          t->percent >= (is_of_bounds(a, t) ? percent_min
                                                            : row_percent_min)
                    : t->percent >= percent_min;
    if (keep) {
      rows |= inside;
    } else {
      drop(a, i);
    }
  }
  return rows;
}

/* Would cira-llvm-prefetch take care of it? */
static bool is_for_prefetch(const work_t *w, int64_t loop,
                            MlirOperation access) {
  cira_slice_t slice;
  const cira_llvm_loop_t *l = &w->loops.items[loop];
  return l->bounded && (!l->varies || l->trips) &&
         cira_slice_get(&w->loops, loop, address_of(access), &slice);
}

/* Indices of few bits choose from what stays in the cache. */
static bool is_small(const cira_ahead_t *a) {
  for (int i = 0; i < a->value_count; i++) {
    const cira_ahead_value_t *v = &a->values[i];
    MlirType type = mlirValueGetType(v->value);
    if (v->kind == cira_ahead_source &&
        (!mlirTypeIsAInteger(type) ||
         mlirIntegerTypeGetWidth(type) > small_index_bits)) {
      return false;
    }
  }
  return true;
}

static void keep_own(const work_t *w, cira_ahead_t *a) {
  for (int i = a->target_count - 1; i >= 0; i--) {
    const cira_ahead_target_t *t = &a->targets[i];
    if (t->percent < percent_min || is_for_prefetch(w, a->level, t->access)) {
      drop(a, i);
    }
  }
}

/* ---- costs ----------------------------------------------------------------
 * As in llvm_prefetch.c, per iteration of the loop that looks ahead. */

typedef struct cost {
  int64_t lines_percent; /* lines wanted in 100 iterations */
  int64_t compute_ps, plain_ps, ahead_ps;
  int64_t distance;
} cost_t;

static int64_t entries_of(const work_t *w, const cira_ahead_t *a) {
  int64_t trips = a->scan >= 0 ? w->loops.items[a->scan].trips : 1;
  return trips ? trips : a->in_front ? row_left : row_guess;
}

static cost_t cost_of(const work_t *w, const cira_ahead_t *a) {
  const CiraMachine *m = &w->machine;
  int64_t entries = entries_of(w, a), levels = 0;
  cost_t cost = {.lines_percent = 0};
  int64_t op_ps = cira_cost_max(1, m->op_ns * 1000 / issue_width);
  int64_t ops = cira_llvm_loop_ops_percent(&w->loops, a->level);
  if (a->scan >= 0 && !w->loops.items[a->scan].trips) {
    ops += (entries - 2) * cira_llvm_loop_ops_percent(&w->loops, a->scan);
  }
  for (int i = 0; i < a->target_count; i++) {
    const cira_ahead_target_t *t = &a->targets[i];
    bool scanned = t->loop == a->scan && !t->row_start;
    cost.lines_percent += scanned        ? t->percent * entries
                          : t->row_start ? 100
                                         : t->percent;
    levels = cira_cost_max(levels, t->level);
  }
  int64_t latency_ps = m->tier_latency_ns[CiraTierLocal] * 1000;
  int64_t lines = cira_cost_max(1, m->lines_in_flight);
  cost.compute_ps = op_ps * cira_cost_min(ops, 100000000) / 100;
  int64_t floor_ps =
      cost.lines_percent * latency_ps / cira_cost_prefetches(m) / 100;
  /* Half of what the core begins by itself is thrown away: where a row ends,
   * and which way a branch goes, it guesses wrong. */
  int64_t waiting_ps =
      cost.lines_percent * latency_ps / cira_cost_max(1, lines / 2) / 100;
  int64_t more =
      cost.lines_percent * line_ops / 100 + levels * stage_ops + witness_ops;
  /* Where a row is left depends on what is waited for: nothing is computed
   * meanwhile that is of use. */
  cost.plain_ps = a->in_front ? cost.compute_ps + waiting_ps
                              : cira_cost_max(cost.compute_ps, waiting_ps);
  cost.ahead_ps = cira_cost_max(cost.compute_ps + more * op_ps, floor_ps);
  cost.distance = cira_cost_ceil(
      2 * latency_ps,
      cira_cost_max(1, cira_cost_max(cost.compute_ps, floor_ps)));
  return cost;
}

static void say(const cira_ahead_plan_t *p, const cost_t *cost,
                const char *form, const CiraMachine *m) {
  int64_t highest = 0;
  for (int i = 0; i < p->ahead->target_count; i++) {
    highest = cira_cost_max(highest, p->ahead->targets[i].level);
  }
  for (int i = 0; i < p->ahead->target_count; i++) {
    const cira_ahead_target_t *t = &p->ahead->targets[i];
    int64_t distance = (highest - t->level + 1) * p->distance;
    char when[64] = "where that is faster";
    if (!p->always) {
      snprintf(when, sizeof when, "once %ld %s",
               (long)(p->on_bytes ? p->on_bytes : p->on_trips),
               p->on_bytes ? "bytes are in use" : "iterations are done");
    }
    cira__remark(
        t->access, pass_name,
        "looks %ld %s ahead, through %ld load%s, %s: %.1f ns per "
        "iteration as it is, %.1f ns with it; latency %ld ns, %ld lines in "
        "flight, %.1f ns of computing",
        (long)distance, form, (long)t->level, t->level > 1 ? "s" : "", when,
        (double)cost->plain_ps / 1e3, (double)cost->ahead_ps / 1e3,
        (long)m->tier_latency_ns[CiraTierLocal], (long)cira_cost_prefetches(m),
        (double)cost->compute_ps / 1e3);
    cira__fact_add(t->access, "ahead");
  }
}

/* ---- the pass -------------------------------------------------------------
 */

static cira_ahead_t *new_ahead(work_t *w, int64_t level, int64_t scan) {
  cira_ahead_t *a = w->count < plans_max ? calloc(1, sizeof *a) : NULL;
  if (a) {
    cira_ahead_init(a, &w->loops, level, scan);
  }
  return a;
}

/* Takes `a` as a plan if it gains; frees it otherwise. The distance is `spread`
 * times that of iterations which all take as long. */
static cira_ahead_plan_t *decide(work_t *w, cira_ahead_t *a, const char *form,
                                 int64_t spread, int64_t distance_most) {
  const CiraMachine *m = &w->machine;
  if (!a->target_count || !cira_ahead_finish(a)) {
    if (a->target_count && a->scan >= 0) {
      cira__remark(a->targets[0].access, pass_name, "missed: %s", a->why);
    }
    free(a);
    return NULL;
  }
  MlirOperation access = a->targets[0].access;
  cost_t cost = cost_of(w, a);
  const char *why = is_stopped(w, a->level)
                        ? "a call in the loop may free memory or wait"
                        : NULL;
  if (!why && cira__fact_has(w->loops.function, "watched")) {
    why = "a sanitizer watches what is read";
  }
  if (why) {
    cira__remark(access, pass_name, "missed: %s", why);
  } else if (cost.plain_ps * 100 < cost.ahead_ps * (100 + gain_min_percent)) {
    cira__remark(access, pass_name,
                 "missed: no gain by looking ahead in %s: %.1f ns per "
                 "iteration as it is, %.1f ns with it",
                 form, (double)cost.plain_ps / 1e3,
                 (double)cost.ahead_ps / 1e3);
    why = "no gain";
  }
  if (why) {
    free(a);
    return NULL;
  }
  cira_ahead_plan_t *p = &w->plans[w->count++];
  *p = (cira_ahead_plan_t){
      .ahead = a,
      .distance = cira_cost_min(spread * cost.distance, distance_most),
      .row_max = row_max,
      .row_guess = row_guess,
      .line_bytes = m->line_bytes,
      .page_bytes = 4096 /* the smallest of any processor that cira knows */};
  return p;
}

/* What says where the row ends that the loop goes through, from a known first
 * entry to a known last one, if its entries are all that is read ahead. */
static MlirOperation last_of_row(const work_t *w, const cira_ahead_t *a) {
  if (!w->loops.items[a->level].bounded) {
    return (MlirOperation){NULL};
  }
  for (int i = 0; i < a->value_count; i++) {
    const cira_ahead_value_t *v = &a->values[i];
    if (v->needed && v->kind == cira_ahead_source &&
        (!mlirOperationEqual(v->op, a->anchor) ||
         !cira__fact_has(v->op, "stride_bytes"))) {
      return (MlirOperation){NULL};
    }
  }
  return cira_llvm_find_last(&w->loops, a->anchor);
}

/* A long row goes on where its first entries were asked for. */
static void follow_row(work_t *w, cira_ahead_plan_t *host) {
  if (cira_llvm_loop_ops_percent(&w->loops, host->ahead->scan) >
      100 * split_ops_max) {
    return;
  }
  cira_ahead_t *a = new_ahead(w, host->ahead->scan, -1);
  if (!a) {
    return;
  }
  for (int i = 0; i < host->ahead->target_count; i++) {
    const cira_ahead_target_t *t = &host->ahead->targets[i];
    if (t->loop == host->ahead->scan && !t->row_start) {
      cira_ahead_add(a, t->access);
    }
  }
  bool good = a->target_count && cira_ahead_finish(a) &&
              !mlirOperationIsNull(a->entering) &&
              a->values[a->scan_to].kind == cira_ahead_fixed;
  for (int i = 0; good && i < a->value_count; i++) {
    const cira_ahead_value_t *v = &a->values[i];
    good = !v->needed ||
           (v->kind != cira_ahead_load && v->kind != cira_ahead_last &&
            (v->kind != cira_ahead_source || cira_ahead_stride(v->op)));
  }
  if (!good) {
    free(a);
    return;
  }
  cira_ahead_plan_t *p = &w->plans[w->count++];
  *p = *host;
  p->ahead = a;
  p->distance = row_max;
  p->within_row = true;
  p->row_end = last_of_row(w, a);
  p->host = host;
}

/* The loop as it was stays beside the one that is changed. Those of plans in
 * one another are one. Where `loop` is one around the loop of the plan, it is
 * because that may be short, and each execution pays for the choice. */
static void keep_old(work_t *w, cira_ahead_plan_t *p, int64_t loop) {
  for (int64_t at = loop; at >= 0; at = w->loops.items[at].parent) {
    for (int i = 0; i < w->twin_count; i++) {
      p->always |= w->roots[i] == at;
    }
  }
  bool around = false;
  for (int i = 0; i < w->twin_count; i++) {
    for (int64_t at = w->roots[i]; at >= 0; at = w->loops.items[at].parent) {
      around |= at == loop;
    }
  }
  if (p->always || around) {
    return;
  }
  cira_twin_t *twin = cira_twin_make(&w->loops, loop, true);
  if (twin) {
    w->roots[w->twin_count] = loop;
    w->rows[w->twin_count] = !p->ahead->in_front;
    w->twins[w->twin_count++] = twin;
    p->always = true;
  }
}

static void try_queue(work_t *w, int64_t loop) {
  int64_t parent = w->loops.items[loop].parent;
  cira_ahead_t *a = parent < 0 ? NULL : new_ahead(w, parent, loop);
  if (!a) {
    return;
  }
  add_accesses(w, a);
  if (!is_queue(w, a)) {
    free(a);
    return;
  }
  w->taken[parent] = w->taken[loop] = true;
  cira_ahead_plan_t *p =
      decide(w, a, "a queue", queue_spread, queue_distance_max);
  if (p) {
    cost_t cost = cost_of(w, a);
    p->on_bytes = w->machine.llc_bytes / cache_part;
    keep_old(w, p, a->level);
    say(p, &cost, "entries of a queue", &w->machine);
    follow_row(w, p);
  }
}

/* Do the accesses show how much memory they touch? */
static bool shows_size(const cira_ahead_t *a) {
  for (int i = 0; i < a->target_count; i++) {
    if (a->targets[i].base >= 0 &&
        cira_ahead_is_witnessed(a, a->targets[i].base)) {
      return true;
    }
  }
  return false;
}

static void try_own(work_t *w, int64_t loop) {
  const cira_llvm_loop_t *l = &w->loops.items[loop];
  /* A loop inside another that can be left in its middle mostly is, soon:
   * sorting partitions so, and looking through rows for one entry. */
  bool nested = l->parent >= 0 && (l->varies || l->breaks) && !l->trips;
  cira_ahead_t *a = mlirBlockIsNull(l->header) || w->taken[loop]
                        ? NULL
                        : new_ahead(w, loop, -1);
  if (!a) {
    return;
  }
  bool rows = nested && !l->breaks && !cira_ahead_is_scattered(&w->loops, loop);
  add_accesses(w, a);
  keep_own(w, a);
  if (!a->target_count || is_small(a) || (nested && !rows)) {
    if (a->target_count && l->parent >= 0 && l->breaks) {
      cira__remark(a->targets[0].access, pass_name,
                   "missed: the loop is inside another and can be left in its "
                   "middle, so that it is too short to look ahead in");
    }
    free(a);
    return;
  }
  for (int i = a->target_count - 1; rows && i >= 0; i--) {
    if (a->targets[i].level > 1) {
      drop(a, i); /* a test for each entry costs more than it gains */
    }
  }
  cira_ahead_plan_t *p =
      decide(w, a, rows ? "rows" : "a walk", 1, distance_max);
  if (!p) {
    return;
  }
  cost_t cost = cost_of(w, a);
  if (rows) {
    p->last = last_of_row(w, a);
    if (mlirOperationIsNull(p->last) || !shows_size(a)) {
      cira__remark(a->targets[0].access, pass_name,
                   "missed: where a row ends cannot be computed ahead");
      w->count--;
      free(a);
      return;
    }
    p->on_bytes = w->machine.llc_bytes / cache_part;
    p->fold = mlirBlockGetFirstOperation(w->loops.items[l->parent].header);
    keep_old(w, p, l->parent);
    say(p, &cost, "entries of rows", &w->machine);
  } else {
    p->on_trips =
        cira_cost_max(2 * p->distance, w->machine.llc_bytes / cache_part /
                                           w->machine.line_bytes);
    keep_old(w, p, l->parent >= 0 ? l->parent : loop);
    say(p, &cost, "iterations", &w->machine);
  }
}

static void run_on(work_t *w) {
  for (int64_t i = 0; i < w->loops.count; i++) {
    if (!mlirBlockIsNull(w->loops.items[i].header) &&
        !w->loops.items[i].interleaved) {
      try_queue(w, i);
    }
  }
  for (int64_t i = 0; i < w->loops.count; i++) {
    if (!w->loops.items[i].interleaved) {
      try_own(w, i);
    }
  }
  for (int i = 0; i < w->count; i++) {
    cira_ahead_insert(&w->plans[i]);
  }
  for (int i = 0; i < w->twin_count; i++) {
    cira_twin_join(w->twins[i], sample_entries, w->rows[i]);
  }
  for (int i = 0; i < w->count; i++) {
    free(w->plans[i].ahead);
  }
  if (w->count) {
    cira__fact_add(w->loops.function, "changed");
  }
}

static MlirWalkResult visit_function(MlirOperation op, void *user) {
  bool *good = user;
  if (!ciraOperationHasName(op, "llvm.func")) {
    return MlirWalkResultAdvance;
  }
  work_t w = {.machine = cira_cost_machine(op)};
  if (!cira_llvm_loops_get(op, &w.loops)) {
    *good = false;
    return MlirWalkResultInterrupt;
  }
  w.taken =
      w.loops.count ? calloc((size_t)w.loops.count, sizeof *w.taken) : NULL;
  if (w.taken) {
    run_on(&w);
  }
  free(w.taken);
  cira_llvm_loops_fini(&w.loops);
  return MlirWalkResultSkip;
}

bool cira__run_CiraLlvmLookahead(MlirOperation op) {
  bool good = true;
  mlirOperationWalk(op, visit_function, &good, MlirWalkPreOrder);
  return good;
}
