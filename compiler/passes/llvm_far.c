/* SPDX-License-Identifier: Apache-2.0
 * cira-llvm-far: gives loops of llvm.func a second version that finds far bytes
 * where they are (include/cira/loop.h), for processes with far memory. Works on
 * what cira.facts says; how the version looks is in codegen/llvm_far.h.
 * Reading order: accesses, loops in blocks, nests, the pass.
 * Explained in docs/how-loops-are-changed.md. */
#include "codegen/llvm_far.h"
#include "analysis/ir.h"
#include "analysis/llvm_ahead.h"
#include "analysis/llvm_loop.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"

#include <stdlib.h>
#include <string.h>

static const char pass_name[] = "cira-llvm-far";

enum {
  /* Beginning a block costs as much as looking up some hundred addresses. */
  iterations_min = 256,
  /* A loop of so few iterations, with none inside, is over too soon. */
  trips_min = 64,
  /* Each costs a comparison for each array that it might meet. */
  guarded_stores_max = 4,
  depth_max = 16
};

/* ---- accesses -------------------------------------------------------------
 */

/* Does the address lead to a variable of the function or of the program, which
 * are not in the heap? */
static bool is_near(MlirValue address) {
  for (int depth = 0; depth < depth_max; depth++) {
    MlirOperation op = cira__def(address);
    if (mlirOperationIsNull(op)) {
      return false;
    }
    if (!ciraOperationHasName(op, "llvm.getelementptr")) {
      return ciraOperationHasName(op, "llvm.alloca") ||
             ciraOperationHasName(op, "llvm.mlir.addressof");
    }
    address = mlirOperationGetOperand(op, 0);
  }
  return false;
}

/* The size of what is accessed if it lies in one page for sure; 0 otherwise. */
static int64_t size_of(MlirOperation op, MlirType type) {
  int64_t bytes = cira_ahead_size(type);
  MlirAttribute alignment =
      mlirOperationGetAttributeByName(op, cira__str("alignment"));
  bool aligned = !mlirAttributeIsNull(alignment) &&
                 mlirIntegerAttrGetValueInt(alignment) >= bytes;
  bool power = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  return aligned && power ? bytes : 0;
}

static bool add_access(cira_far_plan_t *plan, MlirOperation op) {
  bool store = ciraOperationHasName(op, "llvm.store");
  int64_t stride;
  if (!store && !ciraOperationHasName(op, "llvm.load")) {
    return true;
  }
  if (plan->access_count == cira_far_accesses_max) {
    return false;
  }
  cira_far_access_t a = {.op = op, .written = store, .inner = -1, .walk = -1};
  a.address = mlirOperationGetOperand(op, store ? 1 : 0);
  a.bytes =
      size_of(op, store ? mlirValueGetType(mlirOperationGetOperand(op, 0))
                        : mlirValueGetType(mlirOperationGetResult(op, 0)));
  a.strided =
      cira__fact_number(op, "stride_bytes", &stride) && llabs(stride) <= 512;
  bool page_by_page = store && a.strided; /* few faults: better as it is */
  bool able = a.bytes && !cira__fact_has(op, "special") &&
              !is_near(a.address) && !page_by_page;
  a.way = able ? cira_far_found : cira_far_plain;
  plan->accesses[plan->access_count++] = a;
  return true;
}

/* ---- loops in blocks ------------------------------------------------------
 */

/* The call of a marker with this number; null: there is none. */
static MlirOperation find_marker(const cira_llvm_loops_t *loops,
                                 const char *name, int64_t number) {
  MlirBlock block =
      mlirRegionGetFirstBlock(mlirOperationGetRegion(loops->function, 0));
  for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      int64_t of;
      if (cira_far_is_marker(op) &&
          mlirStringRefEqual(
              mlirFlatSymbolRefAttrGetValue(
                  mlirOperationGetAttributeByName(op, cira__str("callee"))),
              cira__str(name)) &&
          ciraValueGetConstant(mlirOperationGetOperand(op, 0), &of) &&
          of == number) {
        return op;
      }
    }
  }
  return (MlirOperation){NULL};
}

static bool is_harmless(MlirOperation op) {
  bool call = ciraOperationHasName(op, "llvm.call") ||
              ciraOperationHasName(op, "llvm.intr.memcpy") ||
              ciraOperationHasName(op, "llvm.intr.memset") ||
              ciraOperationHasName(op, "llvm.atomicrmw") ||
              ciraOperationHasName(op, "llvm.cmpxchg") ||
              ciraOperationHasName(op, "llvm.fence");
  return !call || cira_far_is_marker(op) || cira__fact_has(op, "nothing") ||
         cira__fact_has(op, "pure");
}

/* Is each access of the loop one that can walk, or of near memory? Then pages
 * may be lent to it. */
static bool all_walk(const cira_far_plan_t *plan, int64_t loop) {
  for (int i = 0; i < plan->block_count; i++) {
    if (!cira_far_contains(plan->loops, loop, plan->blocks[i])) {
      continue;
    }
    MlirOperation op = mlirBlockGetFirstOperation(plan->blocks[i]);
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      int at = cira_far_find(plan, op);
      if (at < 0
              ? !is_harmless(op)
              : !(plan->accesses[at].bytes && !cira__fact_has(op, "special") &&
                  cira__fact_has(op, "walk")) &&
                    !is_near(plan->accesses[at].address)) {
        return false;
      }
    }
  }
  return true;
}

/* Adds the array of an access to the loop's, unless it is there; -1: no room,
 * or nobody knows where it begins. */
static int walk_of(cira_far_inner_t *inner, const cira_far_access_t *a,
                   MlirValue first, bool passed, bool guarded) {
  int64_t stride = 0;
  cira__fact_number(a->op, "stride_bytes", &stride);
  for (int i = 0; i < inner->walk_count; i++) {
    cira_far_walk_t *w = &inner->walks[i];
    if (mlirValueEqual(w->address, a->address) && w->bytes == a->bytes &&
        w->passed == passed) {
      w->written |= a->written && !passed;
      w->guarded |= guarded;
      return i;
    }
  }
  if (guarded && stride < 0) {
    return -1;
  }
  if (inner->walk_count == cira_far_walks_max || stride == 0 ||
      stride % a->bytes != 0) {
    return -1;
  }
  inner->walks[inner->walk_count] =
      (cira_far_walk_t){.first = first,
                        .address = a->address,
                        .stride = stride,
                        .bytes = a->bytes,
                        .written = a->written && !passed,
                        .passed = passed,
                        .guarded = guarded};
  return inner->walk_count++;
}

/* Can each store of the loop be looked at before it is done? */
static bool stores_are_known(const cira_far_plan_t *plan, int64_t loop) {
  int stores = 0;
  for (int i = 0; i < plan->block_count; i++) {
    MlirOperation op = mlirBlockGetFirstOperation(plan->blocks[i]);
    for (; cira_far_contains(plan->loops, loop, plan->blocks[i]) &&
           !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      int at = cira_far_find(plan, op);
      const cira_far_access_t *a = at < 0 ? NULL : &plan->accesses[at];
      if (a ? a->written && (!a->bytes || cira__fact_has(op, "special"))
            : !is_harmless(op)) {
        return false;
      }
      stores += a && a->written;
    }
  }
  return stores <= guarded_stores_max;
}

/* Gives the accesses of the loop their walks; false: not all have one. */
static bool add_walks(cira_far_plan_t *plan, cira_far_inner_t *inner,
                      bool lends) {
  bool all = true, known = !lends && stores_are_known(plan, inner->loop);
  for (int i = 0; i < plan->access_count; i++) {
    cira_far_access_t *a = &plan->accesses[i];
    int64_t number, apart;
    if (cira__loop_of(a->op) != inner->loop || is_near(a->address)) {
      continue;
    }
    bool passed = !lends && a->written;
    bool guarded = !lends && !a->written &&
                   !cira__fact_number(a->op, "unwritten_in", &apart);
    MlirOperation marker = {NULL};
    if (passed && !cira__fact_has(a->op, "always")) {
      all = false; /* its pages may not be wanted at all */
      continue;
    }
    if ((!guarded || known) && a->bytes && !cira__fact_has(a->op, "special") &&
        cira__fact_number(a->op, "walk", &number)) {
      marker = find_marker(plan->loops, "cira.first", number);
    }
    int walk = -1;
    if (!mlirOperationIsNull(marker)) {
      walk = walk_of(inner, a, mlirOperationGetOperand(marker, 1), passed,
                     guarded);
    }
    if (walk >= 0 && !passed) {
      a->inner = plan->inner_count;
      a->walk = walk;
    }
    all &= walk >= 0;
  }
  return all;
}

static void forget_walks(cira_far_plan_t *plan, cira_far_inner_t *inner) {
  for (int i = 0; i < plan->access_count; i++) {
    if (plan->accesses[i].inner == plan->inner_count) {
      plan->accesses[i].inner = plan->accesses[i].walk = -1;
    }
  }
  inner->walk_count = 0;
}

static bool is_innermost(const cira_llvm_loops_t *loops, int64_t number) {
  for (int64_t i = 0; i < loops->count; i++) {
    if (loops->items[i].parent == number) {
      return false;
    }
  }
  return true;
}

/* The block that ends an iteration by a choice between the next and the end. */
static MlirBlock latch_of(const cira_far_plan_t *plan, int64_t loop) {
  for (int i = 0; i < plan->block_count; i++) {
    MlirOperation end = cira__terminator(plan->blocks[i]);
    if (cira_llvm_block_loop(plan->blocks[i]) == loop &&
        cira__fact_has(end, "latch") &&
        ciraOperationHasName(end, "llvm.cond_br")) {
      return plan->blocks[i];
    }
  }
  return (MlirBlock){NULL};
}

/* Does the loop allocate or free? What it frees, another may get while it is
 * walked. */
static bool allocates(const cira_far_plan_t *plan, int64_t loop) {
  for (int i = 0; i < plan->block_count; i++) {
    MlirOperation op = mlirBlockGetFirstOperation(plan->blocks[i]);
    for (; cira_far_contains(plan->loops, loop, plan->blocks[i]) &&
           !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      if (cira__fact_has(op, "stops")) {
        return true;
      }
    }
  }
  return false;
}

static void consider_inner(cira_far_plan_t *plan, int64_t number) {
  const cira_llvm_loop_t *loop = &plan->loops->items[number];
  cira_far_inner_t *inner = &plan->inner[plan->inner_count];
  MlirOperation count = {NULL};
  *inner = (cira_far_inner_t){
      .loop = number, .header = loop->header, .latch = latch_of(plan, number)};
  if (loop->bounded && is_innermost(plan->loops, number) &&
      !allocates(plan, number) &&
      (!loop->trips || loop->trips >= iterations_min)) {
    count = find_marker(plan->loops, "cira.count", number);
  }
  if (mlirOperationIsNull(count) || mlirBlockIsNull(inner->latch)) {
    return;
  }
  inner->again = mlirOperationGetOperand(count, 1);
  if (!all_walk(plan, number) || !add_walks(plan, inner, true)) {
    forget_walks(plan, inner);
    add_walks(plan, inner, false);
  }
  plan->inner_count += inner->walk_count > 0;
}

/* ---- nests ----------------------------------------------------------------
 */

/* Lists blocks of the nest such that each comes behind all that dominate it:
 * the list grows downwards from the end. */
static bool visit_block(cira_far_plan_t *plan, MlirBlock block, int *seen,
                        MlirBlock *all) {
  for (int i = 0; i < *seen; i++) {
    if (mlirBlockEqual(all[i], block)) {
      return true;
    }
  }
  if (*seen == cira_far_blocks_max) {
    return false;
  }
  all[(*seen)++] = block;
  MlirOperation end = cira__terminator(block);
  for (intptr_t i = mlirOperationGetNumSuccessors(end); i-- > 0;) {
    MlirBlock next = mlirOperationGetSuccessor(end, i);
    if (cira_far_contains(plan->loops, plan->loop, next) &&
        !visit_block(plan, next, seen, all)) {
      return false;
    }
  }
  plan->blocks[cira_far_blocks_max - ++plan->block_count] = block;
  return true;
}

/* Is what the op computes used in the nest only, but for what its branches hand
 * on? */
static bool is_kept_inside(const cira_far_plan_t *plan, MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirBlock block = mlirOperationGetBlock(mlirOpOperandGetOwner(use));
    if (!cira_far_contains(plan->loops, plan->loop, block)) {
      return false;
    }
  }
  return true;
}

/* NULL, or why the block cannot be copied. */
static const char *why_not_block(cira_far_plan_t *plan, MlirBlock block) {
  if (mlirBlockGetNumArguments(block) > cira_far_arguments_max) {
    return "too many values change in it";
  }
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(block); i++) {
    if (!is_kept_inside(plan, mlirBlockGetArgument(block, i))) {
      return "what it computes is used behind it";
    }
  }
  MlirOperation op = mlirBlockGetFirstOperation(block);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    int64_t stops;
    if (cira__fact_number(op, "stops", &stops) && stops > 1) {
      return "there is a call or fence that may free memory or wait";
    }
    if (mlirOperationGetNumSuccessors(op) &&
        !ciraOperationHasName(op, "llvm.br") &&
        !ciraOperationHasName(op, "llvm.cond_br") &&
        !ciraOperationHasName(op, "llvm.switch")) {
      return "something else than branches ends a block";
    }
    for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
      if (!is_kept_inside(plan, mlirOperationGetResult(op, i))) {
        return "what it computes is used behind it";
      }
    }
    if (!add_access(plan, op)) {
      return "it has too many accesses";
    }
  }
  return NULL;
}

/* Fills the plan of a nest; NULL, or why there is none. */
static const char *plan_nest(cira_far_plan_t *plan) {
  const cira_llvm_loop_t *loop = &plan->loops->items[plan->loop];
  MlirBlock all[cira_far_blocks_max];
  int seen = 0;
  if (mlirBlockIsNull(loop->header)) {
    return "the loop has no single beginning";
  }
  if (!visit_block(plan, loop->header, &seen, all)) {
    return "the loop has too many branches";
  }
  memmove(plan->blocks, plan->blocks + cira_far_blocks_max - plan->block_count,
          (size_t)plan->block_count * sizeof *plan->blocks);
  for (int i = 0; i < plan->block_count; i++) {
    const char *why = why_not_block(plan, plan->blocks[i]);
    if (why) {
      return why;
    }
  }
  return NULL;
}

static bool is_within(const cira_llvm_loops_t *loops, int64_t number,
                      int64_t outer) {
  while (number >= 0 && number != outer) {
    number = loops->items[number].parent;
  }
  return number == outer;
}

/* Why a loop without a plan need not have one; NULL: none. */
static const char *why_short(const cira_llvm_loops_t *loops, int64_t number) {
  const cira_llvm_loop_t *loop = &loops->items[number];
  return loop->trips && loop->trips < trips_min && is_innermost(loops, number)
             ? "it is over too soon"
             : NULL;
}

/* Iterations of a nest are dealt out, so that it may change its mind in the
 * middle: where others do not change the old nest, too. */
static void plan_deal(cira_far_plan_t *plan) {
  bool flat = is_innermost(plan->loops, plan->loop);
  MlirOperation count = flat
                            ? find_marker(plan->loops, "cira.count", plan->loop)
                            : (MlirOperation){NULL};
  plan->deals = !flat && cira__fact_has(plan->loops->function, "alone");
  if (!mlirOperationIsNull(count)) {
    plan->again = mlirOperationGetOperand(count, 1);
  }
}

/* Is there an access that is looked up wherever it is? */
static bool is_found_elsewhere(const cira_far_plan_t *plan) {
  for (int i = 0; i < plan->access_count; i++) {
    const cira_far_access_t *a = &plan->accesses[i];
    if (a->way == cira_far_found && !a->strided && a->walk < 0) {
      return true;
    }
  }
  return false;
}

/* Changes loop `number`; false if it stays, so that those inside may be changed
 * by themselves. */
static bool change(cira_far_plan_t *plan) {
  const cira_llvm_loops_t *loops = plan->loops;
  const cira_llvm_loop_t *loop = &loops->items[plan->loop];
  const char *why = loop->single.length ? "it may not be copied" : NULL;
  why = why ? why : why_short(loops, plan->loop);
  why = why ? why : plan_nest(plan);
  for (int64_t i = plan->loop; !why && i < loops->count; i++) {
    if (is_within(loops, i, plan->loop) &&
        plan->inner_count < cira_far_inner_max) {
      consider_inner(plan, i);
    }
  }
  int found = 0, walks = 0;
  for (int i = 0; i < plan->access_count; i++) {
    found +=
        plan->accesses[i].way == cira_far_found || plan->accesses[i].walk >= 0;
  }
  for (int i = 0; i < plan->inner_count; i++) {
    walks += plan->inner[i].walk_count;
  }
  MlirOperation at = mlirBlockIsNull(loop->header)
                         ? loops->function
                         : cira__terminator(loop->header);
  if (why || !found) {
    cira__remark(at, pass_name, "missed: no version for far memory: %s",
                 why ? why : "nothing in it may be far");
    return false;
  }
  plan_deal(plan);
  plan->near = walks && is_found_elsewhere(plan);
  cira__remark(at, pass_name,
               "a version for far memory: %d accesses find their pages, %d "
               "arrays are walked in blocks of pages",
               found, walks);
  cira_far_build(plan, iterations_min);
  return true;
}

/* ---- the pass -------------------------------------------------------------
 */

static bool is_in_changed(const cira_llvm_loops_t *loops, const bool *changed,
                          int64_t number) {
  while (number >= 0 && !changed[number]) {
    number = loops->items[number].parent;
  }
  return number >= 0;
}

static void run_on(const cira_llvm_loops_t *loops) {
  bool *changed = calloc((size_t)loops->count + 1, sizeof *changed);
  cira_far_plan_t *plan = malloc(sizeof *plan);
  bool any = false;
  if (!changed || !plan) {
    abort(); /* as LLVM does when memory is out */
  }
  for (int64_t i = 0; i < loops->count; i++) { /* outer ones come first */
    if (!is_in_changed(loops, changed, i)) {
      *plan = (cira_far_plan_t){.loops = loops, .loop = i};
      changed[i] = change(plan);
      any |= changed[i];
    }
  }
  if (any) {
    cira__fact_add(loops->function, "changed");
  }
  free(plan);
  free(changed);
}

static MlirWalkResult visit_function(MlirOperation op, void *user) {
  bool *good = user;
  cira_llvm_loops_t loops;
  if (!ciraOperationHasName(op, "llvm.func")) {
    return MlirWalkResultAdvance;
  }
  if (!cira_llvm_loops_get(op, &loops)) {
    *good = false;
    return MlirWalkResultInterrupt;
  }
  if (loops.count) {
    run_on(&loops);
  }
  cira_llvm_loops_fini(&loops);
  return MlirWalkResultSkip;
}

bool cira__run_CiraLlvmFar(MlirOperation op) {
  bool good = true;
  mlirOperationWalk(op, visit_function, &good, MlirWalkPreOrder);
  return good;
}
