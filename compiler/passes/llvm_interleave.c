/* SPDX-License-Identifier: Apache-2.0
 * cira-llvm-interleave: loops of llvm.func whose iterations follow chains get
 * a second version that has many iterations under way. What is possible is
 * found by analysis/llvm_interleave.h; here is decided whether it gains, for
 * how many iterations, and how many at a time.
 * The formulas are explained in docs/how-loops-are-changed.md. */
#include "analysis/llvm_interleave.h"
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "codegen/llvm_interleave.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"

#include <stdlib.h>

static const char pass_name[] = "cira-llvm-interleave";

enum {
  /* Operations that a core begins in the time of one. */
  issue_width = 4,
  /* Operations of a step but for the loop's own: whose turn it is, what the
   * slot has, the prefetch; and of a value in the slot. */
  step_ops = 14,
  slot_ops = 2,
  /* Lines that are wanted at a time are so many times those in flight: some
   * iterations end early, and one has to come back to the first when its line
   * has arrived. */
  width_factor = 12,
  width_min = 16,
  /* So many are begun and not retired, since a long one holds up others. */
  ring_factor = 2,
  width_max = 256,
  /* All slots stay in a small part of the stack and of the first-level cache.
   */
  frame_bytes_max = 24576,
  gain_min_percent = 20,
  /* Fewer iterations than this are not worth the choice. */
  least = 16
};

typedef struct figures {
  int64_t waits_percent; /* waits in 100 iterations */
  int64_t lines_percent;
  int64_t compute_ps, plain_ps, with_ps;
  cira_il_shape_t shape;
} figures_t;

static int64_t power_of_two(int64_t least) {
  int64_t power = 1;
  while (power < least) {
    power *= 2;
  }
  return power;
}

static int64_t width_for(const CiraMachine *m, int64_t slot_bytes) {
  int64_t width =
      power_of_two(cira_cost_min(width_max, width_factor * m->lines_in_flight));
  width = cira_cost_min(width_max, cira_cost_max(width_min, width));
  while (width > width_min &&
         width * (ring_factor * slot_bytes + 8) > frame_bytes_max) {
    width /= 2;
  }
  return width;
}

/* Times per iteration. As it is, each line of a chain is waited for alone; in
 * front of chains, branches leave a core half of its own looking ahead. */
static figures_t figures_of(const cira_il_plan_t *plan, const CiraMachine *m) {
  const cira_llvm_loops_t *loops = plan->nest.loops;
  int64_t latency_ps = m->tier_latency_ns[CiraTierLocal] * 1000;
  int64_t op_ps = cira_cost_max(1, m->op_ns * 1000 / issue_width);
  int64_t slots = plan->slot_bytes / 8;
  int64_t waiting_ps = 0;
  figures_t f = {0};
  for (int i = 0; i < plan->chain.count; i++) {
    const cira_chain_wait_t *wait = &plan->chain.waits[i];
    int64_t offsets[cira_chain_lines_max];
    int64_t runs = cira_llvm_loop_runs_percent(
        loops, plan->nest.loop, mlirOperationGetBlock(wait->load));
    f.waits_percent += runs;
    f.lines_percent += runs * cira_chain_lines(wait, m->line_bytes, offsets);
    waiting_ps +=
        runs * latency_ps / 100 /
        (wait->chained ? 1 : cira_cost_max(1, m->lines_in_flight / 2));
  }
  int64_t ops = cira_llvm_loop_ops_percent(loops, plan->nest.loop) / 100;
  f.compute_ps = op_ps * cira_cost_min(ops, 1000000);
  f.plain_ps = cira_cost_max(f.compute_ps, waiting_ps);
  int64_t steps_ps =
      (f.waits_percent + 200) * (step_ops + slot_ops * slots) * op_ps / 100;
  f.with_ps =
      cira_cost_max(f.lines_percent * latency_ps / 100 / m->lines_in_flight,
                    f.compute_ps + steps_ps);
  /* Half of it, since cores differ. */
  f.shape.floor_ticks = (f.waits_percent + 200) *
                        (step_ops + slot_ops * slots) / 100 / issue_width / 2;
  f.shape.width = width_for(m, plan->slot_bytes);
  f.shape.ring = ring_factor * f.shape.width;
  f.shape.line_bytes = m->line_bytes;
  f.shape.least = least;
  return f;
}

/* Where remarks about a loop go: its first op that has a place. */
static MlirOperation place_of(const cira_llvm_loops_t *loops, int64_t number) {
  return mlirBlockIsNull(loops->items[number].header)
             ? loops->function
             : mlirBlockGetFirstOperation(loops->items[number].header);
}

static void missed(const cira_llvm_loops_t *loops, int64_t number,
                   MlirStringRef why) {
  cira__remark(place_of(loops, number), pass_name,
               "missed: iterations not interleaved: %.*s", (int)why.length,
               why.data);
}

/* Decides about a loop for which there is a plan, and builds. */
static bool decide(cira_il_plan_t *plan, const CiraMachine *m) {
  const cira_llvm_loops_t *loops = plan->nest.loops;
  int64_t number = plan->nest.loop;
  figures_t f = figures_of(plan, m);
  MlirOperation count = cira_il_count(loops, number);
  MlirOperation at = place_of(loops, number);
  int64_t trips = loops->items[number].trips;
  if (mlirOperationIsNull(count)) {
    missed(loops, number, cira__str("nobody knows how often the loop runs"));
  } else if (!ciraOperationHasName(
                 cira__terminator(plan->nest.blocks[plan->nest.latch]),
                 "llvm.cond_br")) {
    missed(loops, number, cira__str("its end is no choice between two ways"));
  } else if (trips && trips < f.shape.least) {
    cira__remark(at, pass_name,
                 "missed: iterations not interleaved: the loop runs %ld times, "
                 "and gains from %ld on",
                 (long)trips, (long)f.shape.least);
  } else if (f.plain_ps * 100 < f.with_ps * (100 + gain_min_percent)) {
    cira__remark(at, pass_name,
                 "missed: iterations not interleaved: no gain: %.1f ns per "
                 "iteration as it is, %.1f ns interleaved",
                 (double)f.plain_ps / 1e3, (double)f.with_ps / 1e3);
  } else {
    cira__remark(
        at, pass_name,
        "interleaved %ld iterations where that is faster: %d kinds of waits, "
        "%.1f ns per iteration as it is, %.1f ns interleaved; latency %ld ns, "
        "%ld lines in flight, %.1f ns of computing, %ld bytes kept for each",
        (long)f.shape.width, plan->chain.count, (double)f.plain_ps / 1e3,
        (double)f.with_ps / 1e3, (long)m->tier_latency_ns[CiraTierLocal],
        (long)m->lines_in_flight, (double)f.compute_ps / 1e3,
        (long)plan->slot_bytes);
    cira_il_build(plan, count, &f.shape);
    return true;
  }
  return false;
}

/* The facts of a loop that was interleaved: what stays of it runs only where
 * that would not gain. */
static MlirAttribute settled(MlirContext ctx, MlirAttribute loop) {
  MlirNamedAttribute entries[12];
  intptr_t count = 0;
  for (intptr_t i = 0; i < mlirDictionaryAttrGetNumElements(loop) && i < 11;
       i++) {
    entries[count++] = mlirDictionaryAttrGetElement(loop, i);
  }
  entries[count++] = (MlirNamedAttribute){
      mlirIdentifierGet(ctx, cira__str("interleaved")), mlirUnitAttrGet(ctx)};
  return mlirDictionaryAttrGet(ctx, count, entries);
}

static void mark_changed(const cira_llvm_loops_t *loops, const bool *done) {
  MlirContext ctx = mlirOperationGetContext(loops->function);
  MlirAttribute *items = calloc((size_t)loops->count, sizeof *items);
  MlirAttribute facts = cira__attr_get(loops->function, "cira.facts");
  MlirAttribute list =
      mlirDictionaryAttrGetElementByName(facts, cira__str("loops"));
  for (int64_t i = 0; items && i < loops->count; i++) {
    int64_t at = i;
    while (at >= 0 && !done[at]) {
      at = loops->items[at].parent;
    }
    items[i] = mlirArrayAttrGetElement(list, i);
    items[i] = at >= 0 ? settled(ctx, items[i]) : items[i];
  }
  MlirNamedAttribute entries[8];
  intptr_t count = 0;
  for (intptr_t i = 0; i < mlirDictionaryAttrGetNumElements(facts) && i < 7;
       i++) {
    MlirNamedAttribute entry = mlirDictionaryAttrGetElement(facts, i);
    if (items && mlirAttributeEqual(entry.attribute, list)) {
      entry.attribute = mlirArrayAttrGet(ctx, loops->count, items);
    }
    entries[count++] = entry;
  }
  entries[count++] = (MlirNamedAttribute){
      mlirIdentifierGet(ctx, cira__str("changed")), mlirUnitAttrGet(ctx)};
  cira__attr_set(loops->function, "cira.facts",
                 mlirDictionaryAttrGet(ctx, count, entries));
  free(items);
}

/* Has a loop inside been changed, or is there none inside? */
static bool is_settled(const cira_llvm_loops_t *loops, int64_t number,
                       const bool *done) {
  bool inner = false;
  for (int64_t i = number + 1; i < loops->count; i++) {
    int64_t at = i;
    while (at > number) {
      at = loops->items[at].parent;
    }
    if (at == number) {
      inner = true;
      if (done[i]) {
        return true;
      }
    }
  }
  return !inner;
}

/* Inner loops first: there are most iterations. */
static void run_on(const cira_llvm_loops_t *loops, const CiraMachine *m,
                   cira_il_plan_t *plan, bool *done) {
  bool changed = false;
  for (int64_t i = loops->count - 1; i >= 0; i--) {
    const cira_llvm_loop_t *loop = &loops->items[i];
    if (!loop->bounded || is_settled(loops, i, done)) {
      continue;
    }
    bool good = cira_il_plan_get(loops, i, m->llc_bytes, plan);
    if (good && loop->single.length) {
      missed(loops, i, loop->single);
    } else if (good) {
      done[i] = decide(plan, m);
      changed |= done[i];
    } else if (plan->why[0]) {
      missed(loops, i, cira__str(plan->why));
    }
  }
  if (changed) {
    mark_changed(loops, done);
  }
}

static MlirWalkResult visit_function(MlirOperation op, void *user) {
  bool *good = user;
  if (!ciraOperationHasName(op, "llvm.func")) {
    return MlirWalkResultAdvance;
  }
  cira_llvm_loops_t loops;
  CiraMachine machine = cira_cost_machine(op);
  if (!cira_llvm_loops_get(op, &loops)) {
    *good = false;
    return MlirWalkResultInterrupt;
  }
  cira_il_plan_t *plan = loops.count > 1 ? malloc(sizeof *plan) : NULL;
  bool *done = calloc((size_t)loops.count + 1, sizeof *done);
  if (plan && done) {
    run_on(&loops, &machine, plan, done);
  }
  free(done);
  free(plan);
  cira_llvm_loops_fini(&loops);
  return MlirWalkResultSkip;
}

bool cira__run_CiraLlvmInterleave(MlirOperation op) {
  bool good = true;
  mlirOperationWalk(op, visit_function, &good, MlirWalkPreOrder);
  return good;
}
