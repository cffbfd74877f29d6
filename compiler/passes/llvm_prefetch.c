/* SPDX-License-Identifier: Apache-2.0
 * cira-llvm-prefetch: in loops of llvm.func, asks for the lines of indirect
 * accesses (a[b[i]], a[f(b[i])]) some iterations before they are used. Works on
 * what cira.facts says; leaves loops alone whose waiting the core hides itself.
 * Lines that are written, and those that the core asks for itself where it has
 * more prefetches than loads under way, are another matter: whether asking for
 * them gains is found out when the program runs, with the loop as it was beside
 * the changed one.
 * Reading order: candidates, the cost of a loop, the pass.
 * The formulas are explained in docs/how-loops-are-changed.md. */
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "analysis/llvm_loop.h"
#include "analysis/llvm_slice.h"
#include "codegen/llvm_fetch.h"
#include "codegen/llvm_twin.h"
#include "passes/pass.h"

#include "mlir-c/Diagnostics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char pass_name[] = "cira-llvm-prefetch";

enum {
  candidates_max = 256,
  distance_max = 4096,
  /* Operations that a core begins in the time of one: every core of the last
   * ten years begins four or more. */
  issue_width = 4,
  /* Operations that a prefetch adds: address, bound, load, address, prefetch
   * and a branch. */
  prefetch_ops = 6,
  /* Stores leave a core in order, and so wait for each other: about as many
   * lines are under way at a time. Measured 14-20 on two families of cores. */
  store_overlap = 16,
  /* No core has more operations under way: where it asks for lines itself, only
   * what lies behind those is news. */
  window_ops = 512,
  /* A gain smaller than this is not worth the risk, percent. */
  gain_min_percent = 10,
  /* A loop that touches less than this part of the last-level cache may find
   * there what it touched when it ran before. */
  cache_part = 4,
  /* What runs less often than in every fourth iteration is left alone. */
  percent_min = 25,
  /* A second node is worth a prefetch where loops inside, so often run as it is
   * guessed, come to it as often as not. */
  second_percent_min = 150,
  /* Shorter executions are not chosen for: it costs about 2 ns. */
  timed_min = 512,
  /* Iterations of a sample of the changed loop: what the first ones touch was
   * not asked for. */
  sample_iterations = 4096
};

typedef cira_fetch_t candidate_t;

/* ---- candidates -----------------------------------------------------------
 */

typedef struct work {
  cira_llvm_loops_t loops;
  candidate_t *items;
  int count;
  cira_twin_t **twins; /* by loop: time decides between the two; or null */
  CiraMachine machine;
} work_t;

static void missed(MlirOperation op, const char *why) {
  cira__remark(op, pass_name, "missed: %s", why);
}

static bool is_access(MlirOperation op, MlirValue *out_address) {
  bool store = ciraOperationHasName(op, "llvm.store");
  if (!store && !ciraOperationHasName(op, "llvm.load")) {
    return false;
  }
  *out_address = mlirOperationGetOperand(op, store ? 1 : 0);
  return true;
}

/* Does `a` come before `b` in the function, by blocks and ops? Loads that
 * every iteration does stand in this order also as they are executed. */
static bool comes_before(const work_t *w, MlirOperation a, MlirOperation b) {
  MlirBlock x = mlirOperationGetBlock(a), y = mlirOperationGetBlock(b);
  if (mlirBlockEqual(x, y)) {
    return ciraOperationPrecedes(a, b);
  }
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(w->loops.function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    if (mlirBlockEqual(block, x) || mlirBlockEqual(block, y)) {
      return mlirBlockEqual(block, x);
    }
  }
  return false;
}

/* Is the value the same in each iteration of the loop around the candidate's,
 * or computed there from what the slice reads and counts? */
static bool is_steady(const work_t *w, const candidate_t *c, MlirValue value) {
  MlirOperation op = cira__def(value);
  MlirBlock block = mlirOperationIsNull(op) ? mlirBlockArgumentGetOwner(value)
                                            : mlirOperationGetBlock(op);
  int64_t around = w->loops.items[c->loop].parent, number;
  return cira_llvm_loop_contains(&w->loops, c->loop, block) ||
         !cira_llvm_loop_contains(&w->loops, around, block) ||
         ciraValueGetConstant(value, &number);
}

/* How often the loop runs each time, if it then begins anew with the array that
 * it has changed: what comes behind its last iteration is known, too. */
static int64_t turns_of(const work_t *w, const candidate_t *c) {
  const cira_slice_t *s = &c->slice;
  int64_t times;
  bool good =
      !s->load_count && !s->counter_count && !s->inner_count &&
      ciraValueGetConstant(mlirOperationGetOperand(c->front, 2), &times) &&
      times < distance_max;
  for (int i = 0; i < s->index_count; i++) {
    good &= cira__fact_has(s->index_loads[i], "turns");
  }
  for (int i = 0; i < s->op_count; i++) {
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(s->ops[i]); k++) {
      good = good && is_steady(w, c, mlirOperationGetOperand(s->ops[i], k));
    }
  }
  return good ? times + 1 : 0;
}

/* Where the prefetch goes, and what bounds the look ahead. */
static bool place(const work_t *w, candidate_t *c) {
  const cira_slice_t *s = &c->slice;
  c->anchor = mlirBlockGetFirstOperation(w->loops.items[c->loop].header);
  for (int i = 0; i < s->index_count; i++) {
    MlirOperation load = s->index_loads[i];
    if (i == 0 || comes_before(w, c->anchor, load)) {
      c->anchor = load;
    }
  }
  if (s->index_count == 0) {
    c->front = cira_llvm_find_count(&w->loops, c->loop);
    if (!mlirOperationIsNull(c->front)) {
      c->times = mlirOperationGetOperand(c->front, 1);
    }
    return s->load_count == 0 &&
           mlirBlockGetNumArguments(w->loops.items[c->loop].header) <=
               cira_fetch_arguments_max;
  }
  c->front = cira_llvm_find_last(&w->loops, c->anchor);
  if (mlirOperationIsNull(c->front)) {
    return false;
  }
  c->times = mlirOperationGetOperand(c->front, 2);
  int64_t around = w->loops.items[c->loop].parent;
  MlirOperation count = around < 0 ? (MlirOperation){NULL}
                                   : cira_llvm_find_count(&w->loops, around);
  if (!mlirOperationIsNull(count) && (c->turns = turns_of(w, c))) {
    c->chosen = around;
    c->times = mlirOperationGetOperand(count, 1);
  }
  return true;
}

/* Why an access that is indirect cannot be asked for ahead; NULL: it can. */
static const char *why_not(const work_t *w, candidate_t *c, MlirOperation op) {
  static _Thread_local char text[160]; /* until the next call */
  const cira_llvm_loop_t *loop = &w->loops.items[c->loop];
  int64_t extent;
  if (mlirBlockIsNull(loop->header)) {
    return "the loop has no single beginning";
  }
  if (!cira_slice_get(&w->loops, c->loop, c->address, &c->slice)) {
    if (c->slice.why) {
      return c->slice.why;
    }
    snprintf(text, sizeof text, "%.*s", (int)loop->unbounded.length,
             loop->unbounded.data);
    return text;
  }
  if (c->slice.index_count == 0 && c->slice.counter_count == 0 &&
      c->slice.recurrence_count == 0) {
    return "the address does not change in a known way";
  }
  if (loop->varies && !loop->trips) {
    return "the loop is a row of the loop around it, and too short to look "
           "ahead in";
  }
  if (!place(w, c)) {
    return "where the loop ends cannot be computed ahead";
  }
  if (c->slice.inner_count == 0 && cira__loop_of(op) != c->loop) {
    return "the address belongs to the loop inside";
  }
  if (cira_llvm_block_percent(mlirOperationGetBlock(op)) < percent_min) {
    return "it is done in few iterations only";
  }
  if (cira__fact_number(op, "extent_bytes", &extent) &&
      extent <= w->machine.llc_bytes) {
    snprintf(text, sizeof text,
             "it touches at most %ld bytes, which stay in the cache",
             (long)extent);
    return text;
  }
  return NULL;
}

/* Is there a candidate for the object already? Adds the access to it. */
static bool merge(work_t *w, const candidate_t *c) {
  for (int i = 0; i < w->count; i++) {
    candidate_t *other = &w->items[i];
    if (other->loop == c->loop &&
        cira_slice_same_object(other->address, c->address)) {
      other->written |= c->written;
      other->branchy |= c->branchy;
      return true;
    }
  }
  return false;
}

/* Adds an access as a candidate of loop `number`; false: `*why`. */
static bool add_candidate(work_t *w, MlirOperation op, int64_t number,
                          const char **why) {
  candidate_t c = {.access = op, .loop = number, .chosen = number};
  is_access(op, &c.address);
  c.written = mlirOperationGetNumResults(op) == 0;
  c.branchy =
      !c.written &&
      cira_slice_feeds_branch(&w->loops, number, mlirOperationGetResult(op, 0));
  if (merge(w, &c)) {
    return true;
  }
  *why = why_not(w, &c, op);
  if (!*why && w->count < candidates_max) {
    w->items[w->count++] = c;
  }
  return !*why;
}

/* The node behind the first one of a chain, which loop `number` walks along, by
 * what the first one says. */
static void add_second(work_t *w, MlirOperation op, int64_t number) {
  const cira_llvm_loop_t *loop = &w->loops.items[number];
  candidate_t c = {.access = op,
                   .loop = loop->parent,
                   .chosen = loop->parent,
                   .branchy = true};
  MlirOperation step;
  is_access(op, &c.address);
  while (cira__def_is(c.address, "llvm.getelementptr", &step) &&
         mlirOperationGetNumOperands(step) == 1) {
    c.address = mlirOperationGetOperand(step, 0);
  }
  if ((loop->trips && loop->trips < 2) ||
      !mlirValueIsABlockArgument(c.address) ||
      !mlirBlockEqual(mlirBlockArgumentGetOwner(c.address), loop->header) ||
      cira_llvm_loop_runs_percent(
          &w->loops, c.loop, mlirOperationGetBlock(op)) < second_percent_min) {
    return;
  }
  c.address = cira_slice_next(&w->loops, number, c.address);
  if (!mlirValueIsNull(c.address) && !merge(w, &c) && !why_not(w, &c, op) &&
      !mlirOperationIsNull(c.slice.guarded) && w->count < candidates_max) {
    w->items[w->count++] = c;
  }
}

/* An access whose address follows from what the loop reads. In a loop inside
 * another, it may be the head of a chain that the outer one finds. */
static void consider(work_t *w, MlirOperation op) {
  MlirValue address;
  int64_t stride;
  int64_t number = cira__loop_of(op);
  const char *why, *unused;
  if (number < 0 || !is_access(op, &address) ||
      mlirAttributeIsNull(cira__attr_get(op, "cira.facts")) ||
      cira__fact_has(op, "ahead") || cira__fact_has(op, "same") ||
      cira__fact_number(op, "stride_bytes", &stride)) {
    return; /* asked for, the same each time, or walked by the hardware */
  }
  int64_t parent = w->loops.items[number].parent;
  if (add_candidate(w, op, number, &why)) {
    return;
  }
  if (parent >= 0 && add_candidate(w, op, parent, &unused)) {
    add_second(w, op, number);
  } else {
    missed(op, why);
  }
}

/* ---- the cost of a loop ---------------------------------------------------
 * Picoseconds per iteration. A line costs latency / lines in flight where
 * enough of them are under way, and more where the core's own looking ahead
 * is broken, or has fewer of them under way than prefetches. */

typedef struct cost {
  int64_t lines; /* lines asked for per iteration */
  int64_t ops;
  int64_t compute_ps;
  int64_t plain_ps, ahead_ps;
  int64_t distance;
  int64_t trips_min;
} cost_t;

static int64_t own_overlap(const work_t *w, const candidate_t *c) {
  int64_t lines = w->machine.lines_in_flight;
  if (c->branchy) {
    lines = cira_cost_max(1, lines / 2); /* half of it is done in vain */
  }
  return c->written ? cira_cost_min(lines, store_overlap) : lines;
}

/* Whether the core hides what `c` waits for as well as anything can. */
static bool is_hidden(const work_t *w, const candidate_t *c) {
  return own_overlap(w, c) >= cira_cost_prefetches(&w->machine);
}

/* Whether the core begins as many of these loads by itself as it can. */
static bool is_overlapped(const candidate_t *c) {
  return !c->branchy && !c->written;
}

static cost_t cost_of(const work_t *w, int64_t loop) {
  const CiraMachine *m = &w->machine;
  int64_t latency_ps = m->tier_latency_ns[CiraTierLocal] * 1000;
  int64_t op_ps = cira_cost_max(1, m->op_ns * 1000 / issue_width);
  int64_t ops = cira_llvm_loop_ops_percent(&w->loops, loop) / 100;
  cost_t cost = {.ops = ops, .compute_ps = op_ps * cira_cost_min(ops, 1000000)};
  int64_t waiting_ps = 0;
  for (int i = 0; i < w->count; i++) {
    if (w->items[i].loop == loop) {
      cost.lines++;
      waiting_ps += latency_ps / own_overlap(w, &w->items[i]);
    }
  }
  int64_t floor_ps = cost.lines * latency_ps / cira_cost_prefetches(m);
  cost.plain_ps = cira_cost_max(cost.compute_ps, waiting_ps);
  cost.ahead_ps =
      cira_cost_max(cost.compute_ps + cost.lines * prefetch_ops * op_ps,
                    cira_cost_max(floor_ps, 1));
  /* Twice: with many lines under way, each takes about twice as long as one
   * that is alone. */
  cost.distance = cira_cost_min(
      distance_max, cira_cost_ceil(2 * latency_ps,
                                   cira_cost_max(cost.compute_ps,
                                                 cira_cost_max(floor_ps, 1))));
  cost.trips_min =
      m->llc_bytes / cache_part / m->line_bytes / cira_cost_max(1, cost.lines);
  return cost;
}

/* The accesses that another one's address is read through come a distance
 * earlier. */
static void stagger(work_t *w) {
  for (int round = 0; round < cira_slice_loads_max; round++) {
    for (int i = 0; i < w->count; i++) {
      const candidate_t *user = &w->items[i];
      for (int k = 0; k < user->slice.load_count; k++) {
        for (int j = 0; j < w->count; j++) {
          MlirValue from = mlirOperationGetOperand(user->slice.loads[k], 0);
          if (cira_slice_same_object(w->items[j].address, from) &&
              w->items[j].stagger <= user->stagger) {
            w->items[j].stagger = user->stagger + 1;
          }
        }
      }
    }
  }
}

/* Does any access wait for what only this one can bring? */
static bool is_needed(const work_t *w, const candidate_t *c) {
  return !is_hidden(w, c) || c->stagger > 0;
}

/* Is there a choice around the loop already? */
static bool is_chosen(const work_t *w, int64_t loop) {
  bool chosen = w->loops.items[loop].interleaved;
  for (; loop >= 0 && !chosen; loop = w->loops.items[loop].parent) {
    chosen = w->twins[loop] != NULL;
  }
  return chosen;
}

/* Is there one around a loop inside? */
static bool is_chosen_inside(const work_t *w, int64_t loop) {
  bool chosen = false;
  for (int64_t i = 0; i < w->loops.count && !chosen; i++) {
    int64_t at = w->twins[i] ? w->loops.items[i].parent : -1;
    while (at >= 0 && at != loop) {
      at = w->loops.items[at].parent;
    }
    chosen = at >= 0;
  }
  return chosen;
}

/* Written lines, and those that the core asks for itself in time, if fewer of
 * them: no figure says whether asking for them gains. The loop as it was stays
 * beside the changed one. */
static bool is_timed(work_t *w, candidate_t *c) {
  bool unsure =
      c->written || c->turns || (is_overlapped(c) && !is_hidden(w, c));
  if (!unsure || mlirValueIsNull(c->times) ||
      w->loops.items[c->loop].interleaved) {
    return false;
  }
  if (!is_chosen(w, c->loop) && !is_chosen_inside(w, c->chosen)) {
    w->twins[c->chosen] = cira_twin_make(&w->loops, c->chosen, true);
  }
  return is_chosen(w, c->loop);
}

/* Is something in the loop waited for that the core does not ask for itself? */
static bool has_waiting(const work_t *w, int64_t loop) {
  bool found = false;
  for (int i = 0; i < w->count && !found; i++) {
    found = w->items[i].loop == loop && !is_overlapped(&w->items[i]);
  }
  return found;
}

/* Why it is not asked for; NULL: it is. */
static const char *decide_one(work_t *w, candidate_t *c, const cost_t *cost) {
  static _Thread_local char text[160]; /* until the next call */
  int64_t own = is_needed(w, c) ? 0 : window_ops / cost->ops;
  int64_t distance =
      cira_cost_min((cost->distance + own) * (c->stagger + 1), distance_max);
  int64_t trips = w->loops.items[c->chosen].trips * cira_cost_max(1, c->turns);
  int64_t least = cira_cost_max(2 * distance, cost->trips_min);
  if (c->turns && distance >= c->turns) {
    return "the loop begins anew before anything can be asked for";
  }
  bool gains =
      cost->plain_ps * 100 >= cost->ahead_ps * (100 + gain_min_percent) &&
      is_needed(w, c);
  bool may_gain = c->written && cost->ahead_ps <= cost->plain_ps;
  if (!is_needed(w, c) && !c->written) {
    return "the core itself keeps as many of these lines under way as it can";
  }
  if (!gains && !may_gain) {
    snprintf(text, sizeof text,
             "no gain: %.1f ns per iteration as it is, %.1f ns with a prefetch",
             (double)cost->plain_ps / 1e3, (double)cost->ahead_ps / 1e3);
    return text;
  }
  bool timed = (!trips || trips >= cira_cost_max(2 * distance, timed_min)) &&
               is_timed(w, c);
  bool must_choose =
      !gains || c->turns || (is_overlapped(c) && !has_waiting(w, c->loop));
  if (!timed && must_choose && trips) {
    return "the loop is too short to choose from two of it";
  }
  if (!timed && must_choose) {
    return "the core itself may keep as many of these lines under way, and "
           "there cannot be two of the loop to choose from";
  }
  if (!timed && trips && trips < least) {
    snprintf(text, sizeof text,
             "the loop runs %ld times, too short to gain by a distance of %ld "
             "and %ld cached lines",
             (long)trips, (long)distance,
             (long)(w->machine.llc_bytes / w->machine.line_bytes));
    return text;
  }
  if (!trips && mlirOperationIsNull(c->front)) {
    return "nobody knows whether the loop runs long enough";
  }
  c->distance = distance;
  c->trips_min = timed ? 0 : least;
  return NULL;
}

static void decide(work_t *w, int64_t loop) {
  cost_t cost = cost_of(w, loop);
  for (int i = 0; i < w->count; i++) {
    candidate_t *c = &w->items[i];
    if (c->loop != loop) {
      continue;
    }
    const char *kind = c->branchy   ? "a branch depends on it"
                       : c->written ? "it is written"
                       : c->stagger
                           ? "another address is read through it"
                           : "more prefetches than loads can be under way";
    const char *why = decide_one(w, c, &cost);
    if (why) {
      missed(c->access, why);
      continue;
    }
    cira__remark(
        c->access, pass_name,
        "prefetched %ld iterations ahead%s (%s): %.1f ns per "
        "iteration as it is, %.1f ns with it; latency %ld ns, %ld "
        "lines in flight, %.1f ns of computing",
        (long)c->distance, is_chosen(w, loop) ? " where that is faster" : "",
        kind, (double)cost.plain_ps / 1e3, (double)cost.ahead_ps / 1e3,
        (long)w->machine.tier_latency_ns[CiraTierLocal],
        (long)cira_cost_prefetches(&w->machine), (double)cost.compute_ps / 1e3);
  }
}

/* A loop that is interleaved where that is faster has too much around it for
 * LLVM to make two of it: short ones must be as they were. */
static void split(work_t *w, int64_t loop) {
  candidate_t *longest = NULL;
  for (int i = 0; i < w->count; i++) {
    candidate_t *c = &w->items[i];
    if (c->loop == loop && c->distance && c->trips_min &&
        !mlirOperationIsNull(c->front) &&
        (!longest || c->trips_min > longest->trips_min)) {
      longest = c;
    }
  }
  cira_twin_t *twin = longest ? cira_twin_make(&w->loops, loop, false) : NULL;
  if (!twin) {
    return;
  }
  cira_twin_split(twin, cira_fetch_is_long(longest));
  for (int i = 0; i < w->count; i++) {
    if (w->items[i].loop == loop) {
      w->items[i].trips_min = 0;
    }
  }
}

/* Puts the choice around loops that have two versions. */
static void join(work_t *w, int64_t loop) {
  MlirValue times = {NULL};
  int64_t least = 1, unit = 1;
  for (int i = 0; i < w->count; i++) {
    candidate_t *c = &w->items[i];
    if (c->chosen == loop && c->distance && !mlirValueIsNull(c->times)) {
      int64_t each = cira_cost_max(1, c->turns);
      times = c->times;
      least = cira_cost_max(
          least,
          cira_cost_ceil(cira_cost_max(2 * c->distance, timed_min), each));
      unit = cira_cost_max(unit, sample_iterations / each);
      c->trips_min = 0; /* shorter ones are never changed */
    }
  }
  cira_twin_join_counted(w->twins[loop], unit, times, least);
}

/* ---- the pass -------------------------------------------------------------
 */

static void run_on(work_t *w) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(w->loops.function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      consider(w, op);
    }
  }
  stagger(w);
  for (int64_t i = 0; i < w->loops.count; i++) {
    decide(w, i);
  }
  for (int64_t i = 0; i < w->loops.count; i++) {
    if (w->twins[i]) {
      join(w, i);
    } else if (w->loops.items[i].interleaved) {
      split(w, i);
    }
  }
  if (cira_fetch_insert(&w->loops, w->items, w->count)) {
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
  w.items = w.loops.count ? calloc(candidates_max, sizeof *w.items) : NULL;
  w.twins = w.items ? calloc((size_t)w.loops.count, sizeof *w.twins) : NULL;
  if (w.twins) {
    run_on(&w);
  }
  free(w.twins);
  free(w.items);
  cira_llvm_loops_fini(&w.loops);
  return MlirWalkResultSkip;
}

bool cira__run_CiraLlvmPrefetch(MlirOperation op) {
  bool good = true;
  mlirOperationWalk(op, visit_function, &good, MlirWalkPreOrder);
  return good;
}
