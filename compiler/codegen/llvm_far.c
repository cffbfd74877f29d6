/* SPDX-License-Identifier: Apache-2.0 */
#include "codegen/llvm_far.h"

#include "analysis/ir.h"
#include "codegen/llvm_far_parts.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- the map --------------------------------------------------------------
 */

static cira_far_entry_t *slot_of(const cira_far_loom_t *w, const void *from) {
  size_t at = (size_t)(((uintptr_t)from >> 4) * UINT64_C(0x9E3779B97F4A7C15));
  while (w->map[at & (w->map_size - 1)].from &&
         w->map[at & (w->map_size - 1)].from != from) {
    at++;
  }
  return &w->map[at & (w->map_size - 1)];
}

void *cira__far_checked(void *memory) {
  if (!memory) {
    abort(); /* as LLVM does when memory is out */
  }
  return memory;
}

static void map_grow(cira_far_loom_t *w) {
  cira_far_entry_t *old = w->map;
  size_t size = w->map_size;
  w->map_size = size ? 2 * size : 1024;
  w->map = cira__far_checked(calloc(w->map_size, sizeof *w->map));
  for (size_t i = 0; i < size; i++) {
    if (old[i].from) {
      *slot_of(w, old[i].from) = old[i];
    }
  }
  free(old);
}

static void map_set(cira_far_loom_t *w, const void *from, const void *to) {
  if (2 * w->map_used >= w->map_size) {
    map_grow(w);
  }
  cira_far_entry_t *slot = slot_of(w, from);
  w->map_used += !slot->from;
  *slot = (cira_far_entry_t){from, to};
}

static void set_value(cira_far_loom_t *w, MlirValue from, MlirValue to) {
  map_set(w, from.ptr, to.ptr);
}

/* What does not change in the nest is what it is. */
static MlirValue now(const cira_far_loom_t *w, MlirValue value) {
  const cira_far_entry_t *slot = slot_of(w, value.ptr);
  return slot->from ? (MlirValue){slot->to} : value;
}

static MlirBlock block_now(const cira_far_loom_t *w, MlirBlock block) {
  const cira_far_entry_t *slot = slot_of(w, block.ptr);
  return slot->from ? (MlirBlock){(void *)(uintptr_t)slot->to}
                    : (MlirBlock){NULL};
}

bool cira__far_is_inside(const cira_far_plan_t *plan, MlirBlock block) {
  for (int i = 0; i < plan->block_count; i++) {
    if (mlirBlockEqual(plan->blocks[i], block)) {
      return true;
    }
  }
  return false;
}

int cira_far_find(const cira_far_plan_t *plan, MlirOperation op) {
  for (int i = 0; i < plan->access_count; i++) {
    if (mlirOperationEqual(plan->accesses[i].op, op)) {
      return i;
    }
  }
  return -1;
}

/* The innermost loop around the block; -1: none. A block without facts leads to
 * the loop in front of which it was put. */
static int64_t loop_around(const cira_llvm_loops_t *loops, MlirBlock block) {
  for (int depth = 0; depth < depth_max; depth++) {
    MlirOperation end = cira__terminator(block);
    if (!mlirAttributeIsNull(cira__attr_get(end, "cira.facts")) ||
        mlirOperationGetNumSuccessors(end) != 1) {
      return cira_llvm_block_loop(block);
    }
    block = mlirOperationGetSuccessor(end, 0);
    int64_t number = cira_llvm_block_loop(block);
    if (number >= 0) {
      const cira_llvm_loop_t *loop = &loops->items[number];
      return mlirBlockEqual(loop->header, block) ? loop->parent : number;
    }
  }
  return -1;
}

bool cira_far_contains(const cira_llvm_loops_t *loops, int64_t number,
                       MlirBlock block) {
  int64_t at = loop_around(loops, block);
  while (at >= 0 && at != number) {
    at = loops->items[at].parent;
  }
  return at == number;
}

static bool calls(MlirOperation op, const char *name) {
  MlirAttribute callee =
      ciraOperationHasName(op, "llvm.call")
          ? mlirOperationGetAttributeByName(op, cira__str("callee"))
          : mlirAttributeGetNull();
  return !mlirAttributeIsNull(callee) &&
         mlirStringRefEqual(mlirFlatSymbolRefAttrGetValue(callee),
                            cira__str(name));
}

bool cira_far_is_count(MlirOperation op) {
  return calls(op, "cira.count");
}

bool cira_far_is_marker(MlirOperation op) {
  return cira_far_is_count(op) || calls(op, "cira.first") ||
         calls(op, "cira.last");
}

/* ---- pieces ---------------------------------------------------------------
 */

MlirValue cira__far_number(cira_far_loom_t *w, int64_t value) {
  return cira_llvm_constant(&w->b, w->i64, value);
}

MlirValue cira__far_call(cira_far_loom_t *w, const char *name, intptr_t count,
                         const MlirValue *arguments, MlirType result) {
  MlirNamedAttribute callee = cira_llvm_attr(
      &w->b, "callee", mlirFlatSymbolRefAttrGet(w->b.ctx, cira__str(name)));
  MlirOperation op =
      cira_llvm_op(&w->b, "llvm.call", count, arguments, result, 1, &callee);
  return mlirTypeIsNull(result) ? (MlirValue){NULL}
                                : mlirOperationGetResult(op, 0);
}

static MlirValue cast(cira_far_loom_t *w, const char *name, MlirValue value,
                      MlirType type) {
  return mlirOperationGetResult(
      cira_llvm_op(&w->b, name, 1, &value, type, 0, NULL), 0);
}

static void add_arguments(cira_far_loom_t *w, MlirBlock block, MlirBlock like) {
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(like); i++) {
    mlirBlockAddArgument(block, mlirValueGetType(mlirBlockGetArgument(like, i)),
                         w->b.loc);
  }
}

/* A block with the arguments of another, as a branch's operands, too. */
MlirBlock cira__far_block_like(cira_far_loom_t *w, MlirBlock like,
                               MlirValue *out_values) {
  MlirBlock block = cira_llvm_block(&w->b);
  add_arguments(w, block, like);
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(like); i++) {
    out_values[i] = mlirBlockGetArgument(block, i);
  }
  return block;
}

static void map_arguments(cira_far_loom_t *w, MlirBlock from, MlirBlock to) {
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(from); i++) {
    set_value(w, mlirBlockGetArgument(from, i), mlirBlockGetArgument(to, i));
  }
}

/* ---- one access -----------------------------------------------------------
 */

/* Is the page of the address at home (i1)? What lies behind the far range has
 * a word, too, of a page that is never there. */
static MlirValue is_home(cira_far_loom_t *w, MlirValue address,
                         MlirValue *out_page) {
  cira_llvm_build_t *b = &w->b;
  MlirValue offset = cira_llvm_binary(
      b, "llvm.sub", cast(w, "llvm.ptrtoint", address, w->i64), w->base);
  MlirValue page =
      cira_llvm_binary(b, "llvm.lshr", offset, cira__far_number(w, page_log2));
  MlirValue at = cira_llvm_binary(b, "llvm.intr.umin", page, w->pages);
  MlirValue place = cira_llvm_element(b, w->words, at, 4);
  *out_page = at;
  MlirNamedAttribute attrs[] = {
      cira_llvm_attr(b, "alignment", mlirIntegerAttrGet(w->i64, 4)),
      cira_llvm_attr(b, "ordering", mlirIntegerAttrGet(w->i64, order_acquire))};
  MlirValue word = mlirOperationGetResult(
      cira_llvm_op(b, "llvm.load", 1, &place, w->i32, 2, attrs), 0);
  MlirValue masked = cira_llvm_binary(b, "llvm.and", word, w->mask);
  return cira_llvm_compare(b, cira_llvm_eq, masked, w->match);
}

/* Adds to a field of the view; returns the sum. */
static MlirValue add_to(cira_far_loom_t *w, int64_t field, MlirValue more) {
  cira_llvm_build_t *b = &w->b;
  MlirValue place = cira_llvm_offset(b, w->view, field);
  MlirValue sum =
      cira_llvm_binary(b, "llvm.add", cira_llvm_load(b, w->i64, place), more);
  cira_llvm_store(b, sum, place);
  return sum;
}

/* Counts a page that is away, unless it was looked at a short while ago: what a
 * fault would have brought. Returns whether it was (i1). */
static MlirValue count_away(cira_far_loom_t *w, MlirValue page) {
  cira_llvm_build_t *b = &w->b;
  MlirValue number_of = cast(w, "llvm.trunc", page, w->i32);
  MlirValue at = cira_llvm_binary(b, "llvm.and", page, w->seen_mask);
  MlirValue place = cira_llvm_element(b, w->seen, at, 4);
  MlirValue before = cira_llvm_load(b, w->i32, place);
  cira_llvm_store(b, number_of, place);
  MlirValue again = cira_llvm_compare(b, cira_llvm_eq, before, number_of);
  add_to(w, view_away,
         cira_llvm_select(b, again, w->zero, cira__far_number(w, 1)));
  return again;
}

/* One in so many of the accesses that came back to a page bring it here. */
static MlirValue is_to_stay(cira_far_loom_t *w, MlirValue again) {
  cira_llvm_build_t *b = &w->b;
  MlirValue count = add_to(w, view_again, cast(w, "llvm.zext", again, w->i64));
  MlirValue part = cira_llvm_binary(b, "llvm.and", count,
                                    cira__far_number(w, accesses_to_stay - 1));
  MlirValue due = cira_llvm_compare(b, cira_llvm_eq, part, w->zero);
  return cira_llvm_select(b, again, due, again);
}

static MlirValue moved(cira_far_loom_t *w, MlirValue address, MlirValue by) {
  return cira_llvm_element(&w->b, address, by, 1);
}

static MlirOperation add_clone(cira_far_loom_t *w, MlirOperation op) {
  MlirOperation copy = mlirOperationClone(op);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    mlirOperationSetOperand(copy, i, now(w, mlirOperationGetOperand(op, i)));
  }
  cira__attr_drop(copy, "cira.facts");
  ciraOperationMarkCopy(copy);
  mlirBlockAppendOwnedOperation(w->b.at, copy);
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
    set_value(w, mlirOperationGetResult(op, i),
              mlirOperationGetResult(copy, i));
  }
  return copy;
}

/* The bits of a value as an i64. */
static MlirValue bits_of(cira_far_loom_t *w, MlirValue value, int64_t bytes) {
  MlirType type = mlirValueGetType(value);
  if (ciraTypeIsALLVMPointer(type)) {
    return cast(w, "llvm.ptrtoint", value, w->i64);
  }
  if (!mlirTypeIsAInteger(type)) {
    value = cast(w, "llvm.bitcast", value,
                 cira_llvm_int(&w->b, (unsigned)(8 * bytes)));
    type = mlirValueGetType(value);
  }
  return mlirTypeEqual(type, w->i64) ? value
                                     : cast(w, "llvm.zext", value, w->i64);
}

static void add_put(cira_far_loom_t *w, const cira_far_access_t *a) {
  cira_llvm_build_t *b = &w->b;
  MlirValue address = now(w, a->address), page;
  MlirBlock away = cira_llvm_block(b), here = cira_llvm_block(b),
            rest = cira_llvm_block(b);
  cira_llvm_cond_br(b, is_home(w, address, &page), away, 0, NULL, here, 0,
                    NULL);
  b->at = away;
  count_away(w, page);
  MlirValue arguments[] = {
      address, bits_of(w, now(w, mlirOperationGetOperand(a->op, 0)), a->bytes),
      cira_llvm_constant(b, w->i32, a->bytes)};
  cira__far_call(w, "cira_loop_put", 3, arguments, (MlirType){NULL});
  cira_llvm_br(b, rest, 0, NULL);
  b->at = here;
  add_clone(w, a->op);
  cira_llvm_br(b, rest, 0, NULL);
  b->at = rest;
}

/* Where the address can be read. By a branch: where all is here, it is foreseen
 * and the load does not wait for the word. */
static MlirValue look_up(cira_far_loom_t *w, MlirValue address, bool strided) {
  cira_llvm_build_t *b = &w->b;
  MlirBlock away = cira_llvm_block(b), rest = cira_llvm_block(b);
  MlirValue found = mlirBlockAddArgument(rest, w->ptr, b->loc);
  MlirValue page;
  cira_llvm_cond_br(b, is_home(w, address, &page), away, 0, NULL, rest, 1,
                    &address);
  b->at = away;
  MlirValue again = count_away(w, page), delta = w->delta;
  if (!strided) { /* what a walk comes back to is the same element's neighbour
                   */
    delta = cira_llvm_select(b, is_to_stay(w, again), w->zero, delta);
  }
  MlirValue to = moved(w, address, delta);
  cira_llvm_br(b, rest, 1, &to);
  b->at = rest;
  return found;
}

/* A store that meets what a guarded walk reads at home: the rest of the block
 * is read under its own addresses. */
static void add_guards(cira_far_loom_t *w, const cira_far_access_t *a) {
  cira_llvm_build_t *b = &w->b;
  for (int i = 0; w->inner && i < w->inner->walk_count; i++) {
    if (!w->inner->walks[i].guarded) {
      continue;
    }
    MlirValue at = cast(w, "llvm.ptrtoint", now(w, a->address), w->i64);
    MlirValue within = cira_llvm_compare(
        b, cira_llvm_ult, cira_llvm_binary(b, "llvm.sub", at, w->low[i]),
        w->span[i]);
    MlirBlock hit = cira_llvm_block(b), rest = cira_llvm_block(b);
    cira_llvm_cond_br(b, within, hit, 0, NULL, rest, 0, NULL);
    b->at = hit;
    cira_llvm_store(b, w->zero, w->delta_at[i]);
    cira_llvm_br(b, rest, 0, NULL);
    b->at = rest;
  }
}

static MlirValue delta_of(cira_far_loom_t *w, int walk) {
  return w->inner->walks[walk].guarded
             ? cira_llvm_load(&w->b, w->i64, w->delta_at[walk])
             : w->deltas[walk];
}

static void add_access(cira_far_loom_t *w, const cira_far_access_t *a) {
  bool walks = w->inner && a->inner == w->inner_index && a->walk >= 0;
  intptr_t operand = a->written ? 1 : 0;
  if (a->written && !walks) {
    add_guards(w, a);
  }
  if (!walks && (a->way == cira_far_plain || (w->near && !a->strided))) {
    add_clone(w, a->op);
    return;
  }
  if (!walks && a->written) {
    add_put(w, a);
    return;
  }
  MlirValue address = now(w, a->address);
  MlirValue to = walks ? moved(w, address, delta_of(w, a->walk))
                       : look_up(w, address, a->strided);
  mlirOperationSetOperand(add_clone(w, a->op), operand, to);
}

/* ---- blocks ---------------------------------------------------------------
 */

/* A way out of the nest: what ends there, and on to `target`. */
static MlirBlock add_exit(cira_far_loom_t *w, MlirBlock target) {
  MlirBlock at = w->b.at;
  intptr_t count = mlirBlockGetNumArguments(target);
  MlirValue *values =
      cira__far_checked(calloc((size_t)count + 1, sizeof *values));
  MlirBlock block = cira__far_block_like(w, target, values);
  w->b.at = block;
  cira__far_call(w, "cira_loop_end", 1, &w->view, (MlirType){NULL});
  cira_llvm_br(&w->b, target, count, values);
  w->b.at = at;
  free(values);
  return block;
}

/* Counts iterations of the nest, down: returns what remains. */
static MlirValue count_down(cira_far_loom_t *w, MlirValue by) {
  cira_llvm_build_t *b = &w->b;
  MlirValue place = cira_llvm_offset(b, w->view, view_left);
  MlirValue left =
      cira_llvm_binary(b, "llvm.sub", cira_llvm_load(b, w->i64, place), by);
  cira_llvm_store(b, left, place);
  return left;
}

/* In front of the next iteration of the nest, in the version that has `header`:
 * counts it, and begins anew if it was the last one dealt out. */
MlirBlock cira__far_add_tick(cira_far_loom_t *w, MlirBlock header) {
  MlirBlock at = w->b.at;
  MlirValue values[operands_max];
  intptr_t count = mlirBlockGetNumArguments(header);
  MlirBlock block = cira__far_block_like(w, header, values);
  MlirBlock anew = cira_llvm_block(&w->b);
  cira_llvm_build_t *b = &w->b;
  b->at = block;
  MlirValue left = count_down(w, cira__far_number(w, 1));
  cira_llvm_cond_br(
      b, cira_llvm_compare(b, cira_llvm_sgt, left, cira__far_number(w, 0)),
      header, count, values, anew, 0, NULL);
  b->at = anew;
  cira__far_call(w, "cira_loop_end", 1, &w->view, (MlirType){NULL});
  cira_llvm_br(b, w->choice, count, values);
  b->at = at;
  return block;
}

/* The loop in blocks that has this header; -1: none. */
static int inner_of(const cira_far_plan_t *plan, MlirBlock header) {
  for (int i = 0; i < plan->inner_count; i++) {
    if (mlirBlockEqual(plan->inner[i].header, header)) {
      return i;
    }
  }
  return -1;
}

/* Where a branch from `from` to `to` leads now; `entries`: the blocks in front
 * of loops in blocks. */
static MlirBlock target_of(cira_far_loom_t *w, MlirBlock from, MlirBlock to,
                           const MlirBlock *entries) {
  if (!cira__far_is_inside(w->plan, to)) {
    return add_exit(w, to);
  }
  if (w->plan->deals && mlirBlockEqual(to, w->plan->blocks[0])) {
    return cira__far_add_tick(w, block_now(w, to));
  }
  int inner = inner_of(w->plan, to);
  if (inner >= 0 && !w->inner &&
      !cira_far_contains(w->plan->loops, w->plan->inner[inner].loop, from)) {
    return entries[inner];
  }
  return block_now(w, to);
}

/* Does the op say how often a loop inside goes on? That counts, too: rows are
 * not alike. */
bool cira__far_is_counted(const cira_far_loom_t *w, MlirOperation op) {
  int64_t of;
  return w->plan->deals && cira_far_is_count(op) &&
         ciraValueGetConstant(mlirOperationGetOperand(op, 0), &of) &&
         of != w->plan->loop;
}

static void count_inner(cira_far_loom_t *w, MlirOperation op) {
  if (cira__far_is_counted(w, op)) {
    count_down(w, now(w, mlirOperationGetOperand(op, 1)));
  }
}

static void fill_block(cira_far_loom_t *w, MlirBlock block,
                       const MlirBlock *entries) {
  w->b.at = block_now(w, block);
  MlirOperation op = mlirBlockGetFirstOperation(block);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    int access = cira_far_find(w->plan, op);
    if (cira_far_is_marker(op) || cira__fact_has(op, "nothing")) {
      count_inner(w, op);
      continue;
    }
    if (access >= 0) {
      add_access(w, &w->plan->accesses[access]);
      continue;
    }
    if (mlirOperationGetNumSuccessors(op) && w->inner &&
        mlirBlockEqual(block, w->inner->latch)) {
      return; /* its end is another */
    }
    MlirOperation copy = add_clone(w, op);
    for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(op); i++) {
      mlirOperationSetSuccessor(
          copy, i,
          target_of(w, block, mlirOperationGetSuccessor(op, i), entries));
    }
  }
}

/* ---- loops in blocks ------------------------------------------------------
 */

/* What the end of the old latch hands to its successor `way`. */
static intptr_t handed(const cira_far_loom_t *w, MlirOperation end,
                       intptr_t way, MlirValue *out_values) {
  MlirAttribute sizes =
      mlirOperationGetAttributeByName(end, cira__str("operandSegmentSizes"));
  intptr_t first = 1 + (way ? mlirDenseI32ArrayGetElement(sizes, 1) : 0);
  intptr_t count = mlirDenseI32ArrayGetElement(sizes, 1 + way);
  for (intptr_t i = 0; i < count; i++) {
    out_values[i] = now(w, mlirOperationGetOperand(end, first + i));
  }
  return count;
}

static void add_walks(cira_far_loom_t *w, MlirValue walks) {
  cira_llvm_build_t *b = &w->b;
  for (int i = 0; i < w->inner->walk_count; i++) {
    const cira_far_walk_t *walk = &w->inner->walks[i];
    MlirValue at = cira_llvm_offset(b, walks, (int64_t)i * walk_bytes);
    cira_llvm_store(b, cast(w, "llvm.ptrtoint", now(w, walk->first), w->i64),
                    at);
    cira_llvm_store(b, cira__far_number(w, walk->stride),
                    cira_llvm_offset(b, at, walk_stride));
    int64_t flags =
        (walk->written ? walk_writes : 0) | (walk->passed ? walk_passes : 0);
    cira_llvm_store(b, cira__far_number(w, walk->bytes | flags << 32),
                    cira_llvm_offset(b, at, walk_element));
  }
}

/* ^block(arguments, left): the next block's size, what is left behind it, and
 * the deltas, to out; w->b.at is the block. */
static void add_block_begin(cira_far_loom_t *w, MlirValue walks, MlirValue left,
                            MlirValue *out) {
  cira_llvm_build_t *b = &w->b;
  MlirValue arguments[] = {
      walks, cira_llvm_constant(b, w->i32, w->inner->walk_count), left};
  for (int i = 0; i < w->inner->walk_count; i++) {
    if (w->inner->walks[i].guarded) {
      MlirValue at = cira_llvm_offset(b, walks, (int64_t)i * walk_bytes);
      cira_llvm_store(b, cira_llvm_load(b, w->i64, at), w->low_at[i]);
    }
  }
  out[0] = cira__far_call(w, "cira_loop_walk", 3, arguments, w->i64);
  out[1] = cira_llvm_binary(b, "llvm.sub", left, out[0]);
  for (int i = 0; i < w->inner->walk_count; i++) {
    out[2 + i] = cira_llvm_load(
        b, w->i64,
        cira_llvm_offset(b, walks, (int64_t)i * walk_bytes + walk_delta));
  }
}

/* Does the loop write what it walks? Otherwise nothing is lent to it. */
static bool writes(const cira_far_inner_t *inner) {
  bool any = false;
  for (int i = 0; i < inner->walk_count; i++) {
    any |= inner->walks[i].written;
  }
  return any;
}

/* Do first + bytes and first lie in one page, for each walk (i1)? */
static MlirValue in_one_page(cira_far_loom_t *w, MlirValue again) {
  cira_llvm_build_t *b = &w->b;
  MlirValue apart = w->zero;
  for (int i = 0; i < w->inner->walk_count; i++) {
    const cira_far_walk_t *walk = &w->inner->walks[i];
    if (walk->passed) {
      continue;
    }
    MlirValue first = cast(w, "llvm.ptrtoint", now(w, walk->first), w->i64);
    MlirValue bytes = cira_llvm_binary(b, "llvm.mul", again,
                                       cira__far_number(w, walk->stride));
    MlirValue last = cira_llvm_binary(b, "llvm.add", first, bytes);
    apart = cira_llvm_binary(b, "llvm.or", apart,
                             cira_llvm_binary(b, "llvm.xor", first, last));
  }
  return cira_llvm_compare(b, cira_llvm_ult, apart,
                           cira__far_number(w, INT64_C(1) << page_log2));
}

/* In front of a loop too short for blocks: if each array lies in one page, that
 * is looked up once, and `run` follows with all iterations; else `otherwise`.
 * Builds at the end of w->b.at. `values`: the header's arguments. */
static void add_row(cira_far_loom_t *w, MlirValue again, MlirBlock run,
                    MlirBlock otherwise, intptr_t count, MlirValue *values) {
  cira_llvm_build_t *b = &w->b;
  MlirBlock look = cira_llvm_block(b), noting = cira_llvm_block(b);
  MlirValue pages[row_walks_max];
  MlirValue fits = in_one_page(w, again);
  MlirValue enough = cira_llvm_compare(b, cira_llvm_uge, again,
                                       cira__far_number(w, row_least - 1));
  cira_llvm_cond_br(b, cira_llvm_binary(b, "llvm.and", fits, enough), look, 0,
                    NULL, otherwise, count, values);
  b->at = look;
  MlirValue away = {NULL};
  values[count] =
      cira_llvm_binary(b, "llvm.add", again, cira__far_number(w, 1));
  values[count + 1] = w->zero;
  for (int i = 0; i < w->inner->walk_count; i++) {
    const cira_far_walk_t *walk = &w->inner->walks[i];
    values[count + 2 + i] = w->zero;
    if (walk->passed) {
      continue;
    }
    MlirValue first = now(w, walk->first), home = is_home(w, first, &pages[i]);
    values[count + 2 + i] = cira_llvm_select(b, home, w->delta, w->zero);
    away = mlirValueIsNull(away) ? home
                                 : cira_llvm_binary(b, "llvm.or", away, home);
    if (walk->guarded) {
      cira_llvm_store(b, cast(w, "llvm.ptrtoint", first, w->i64), w->low_at[i]);
    }
  }
  intptr_t all = count + 2 + w->inner->walk_count;
  cira_llvm_cond_br(b, away, noting, 0, NULL, run, all, values);
  b->at = noting;
  for (int i = 0; i < w->inner->walk_count; i++) {
    if (!w->inner->walks[i].passed) {
      count_away(w, pages[i]);
    }
  }
  cira_llvm_br(b, run, all, values);
}

/* The end of an iteration: the next of the block, the next block, or out. */
static void add_ends(cira_far_loom_t *w, MlirBlock top, MlirBlock header,
                     MlirValue counter, MlirValue later,
                     const MlirBlock *entries) {
  cira_llvm_build_t *b = &w->b;
  MlirOperation end = cira__terminator(w->inner->latch);
  bool first =
      mlirBlockEqual(mlirOperationGetSuccessor(end, 0), w->inner->header);
  MlirBlock out = mlirOperationGetSuccessor(end, first ? 1 : 0);
  MlirValue next[operands_max + 1], leave[operands_max];
  intptr_t count = handed(w, end, first ? 0 : 1, next);
  intptr_t leaves = handed(w, end, first ? 1 : 0, leave);
  MlirBlock more = cira_llvm_block(b), done = cira_llvm_block(b);
  next[count] =
      cira_llvm_binary(b, "llvm.sub", counter, cira__far_number(w, 1));
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ne, next[count], w->zero),
                    header, count + 1, next, more, 0, NULL);
  b->at = more;
  next[count] = later;
  cira_llvm_cond_br(b, cira_llvm_compare(b, cira_llvm_ne, later, w->zero), top,
                    count + 1, next, done, 0, NULL);
  b->at = done;
  if (writes(w->inner)) {
    cira__far_call(w, "cira_loop_walk_end", 0, NULL, (MlirType){NULL});
  }
  int next_inner = inner_of(w->plan, out);
  MlirBlock to = !cira__far_is_inside(w->plan, out) ? add_exit(w, out)
                 : next_inner >= 0                  ? entries[next_inner]
                                                    : block_now(w, out);
  cira_llvm_br(b, to, leaves, leave);
}

static bool is_of_inner(const cira_far_loom_t *w, MlirBlock block) {
  return cira_far_contains(w->plan->loops, w->inner->loop, block);
}

/* How many arrays are looked up for a row. */
static int row_walks(const cira_far_inner_t *inner) {
  int count = 0;
  for (int i = 0; i < inner->walk_count; i++) {
    count += !inner->walks[i].passed;
  }
  return count;
}

/* What stores must not meet in a block of `iterations`. */
static void begin_guards(cira_far_loom_t *w, MlirValue iterations) {
  cira_llvm_build_t *b = &w->b;
  for (int i = 0; i < w->inner->walk_count; i++) {
    const cira_far_walk_t *walk = &w->inner->walks[i];
    if (!walk->guarded) {
      continue;
    }
    cira_llvm_store(b, w->deltas[i], w->delta_at[i]);
    MlirValue first = cira_llvm_load(b, w->i64, w->low_at[i]);
    MlirValue bytes = cira_llvm_binary(b, "llvm.mul", iterations,
                                       cira__far_number(w, walk->stride));
    w->low[i] = cira_llvm_binary(b, "llvm.sub", first,
                                 cira__far_number(w, store_bytes_max - 1));
    w->span[i] = cira_llvm_binary(
        b, "llvm.add", bytes,
        cira__far_number(w, store_bytes_max - 1 + walk->bytes));
  }
}

/* ^run(arguments, iterations, those of later blocks, the arrays' deltas) */
static MlirBlock add_run(cira_far_loom_t *w, const cira_far_inner_t *inner) {
  MlirBlock run = cira_llvm_block(&w->b);
  add_arguments(w, run, inner->header);
  for (int i = 0; i < 2 + inner->walk_count; i++) {
    mlirBlockAddArgument(run, w->i64, w->b.loc);
  }
  return run;
}

static void build_inner(cira_far_loom_t *w, int index, const MlirBlock *entries,
                        int64_t iterations_min, MlirValue walks) {
  cira_llvm_build_t *b = &w->b;
  const cira_far_inner_t *inner = &w->plan->inner[index];
  MlirBlock entry = entries[index];
  MlirValue values[operands_max + 2 + cira_far_walks_max];
  intptr_t count = mlirBlockGetNumArguments(inner->header);
  for (intptr_t i = 0; i < count; i++) {
    values[i] = mlirBlockGetArgument(entry, i);
  }
  w->inner = inner;
  w->inner_index = index;
  /* the choice */
  MlirBlock start = cira_llvm_block(b), run = add_run(w, inner);
  MlirBlock row = cira_llvm_block(b), each = block_now(w, inner->header);
  b->at = entry;
  MlirValue again = now(w, inner->again);
  cira_llvm_cond_br(b,
                    cira_llvm_compare(b, cira_llvm_uge, again,
                                      cira__far_number(w, iterations_min - 1)),
                    start, 0, NULL, row, 0, NULL);
  b->at = row;
  if (writes(inner) || row_walks(inner) > row_walks_max ||
      row_walks(inner) == 0) {
    cira_llvm_br(b, each, count, values);
  } else {
    add_row(w, again, run, each, count, values);
  }
  /* before the first block */
  MlirBlock top = cira_llvm_block(b);
  add_arguments(w, top, inner->header);
  MlirValue left = mlirBlockAddArgument(top, w->i64, b->loc);
  b->at = start;
  add_walks(w, walks);
  values[count] =
      cira_llvm_binary(b, "llvm.add", again, cira__far_number(w, 1));
  cira_llvm_br(b, top, count + 1, values);
  /* a block */
  for (int i = 0; i < w->plan->block_count; i++) {
    MlirBlock old = w->plan->blocks[i];
    if (is_of_inner(w, old) && !mlirBlockEqual(old, inner->header)) {
      MlirBlock copy = cira__far_block_like(w, old, values);
      map_arguments(w, old, copy);
      map_set(w, old.ptr, copy.ptr);
    }
  }
  MlirBlock header = cira_llvm_block(b);
  add_arguments(w, header, inner->header);
  MlirValue counter = mlirBlockAddArgument(header, w->i64, b->loc);
  b->at = top;
  for (intptr_t i = 0; i < count; i++) {
    values[i] = mlirBlockGetArgument(top, i);
  }
  add_block_begin(w, walks, left, &values[count]);
  cira_llvm_br(b, run, count + 2 + inner->walk_count, values);
  b->at = run;
  for (intptr_t i = 0; i < count + 2 + inner->walk_count; i++) {
    values[i] = mlirBlockGetArgument(run, i);
  }
  MlirValue later = values[count + 1];
  for (int i = 0; i < inner->walk_count; i++) {
    w->deltas[i] = values[count + 2 + i];
  }
  begin_guards(w, values[count]);
  cira_llvm_br(b, header, count + 1, values);
  map_arguments(w, inner->header, header);
  map_set(w, inner->header.ptr, header.ptr);
  MlirBlock latch = {NULL};
  for (int i = 0; i < w->plan->block_count; i++) {
    MlirBlock old = w->plan->blocks[i];
    if (is_of_inner(w, old)) {
      fill_block(w, old, NULL);
      latch = mlirBlockEqual(old, inner->latch) ? b->at : latch;
    }
  }
  b->at = latch;
  add_ends(w, top, header, counter, later, entries);
  w->inner = NULL;
}

/* ---- all of it -------------------------------------------------------------
 */

/* Declares what the new loops call; the plug-in knows the names. */
static void declare(const cira_far_loom_t *w) {
  static const char *const text[] = {
      "llvm.func extern_weak @cira_loop_begin(!llvm.ptr) -> i32",
      "llvm.func extern_weak @cira_loop_end(!llvm.ptr)",
      "llvm.func extern_weak @cira_loop_put(!llvm.ptr, i64, i32)",
      "llvm.func extern_weak @cira_loop_walk(!llvm.ptr, i32, i64) -> i64",
      "llvm.func extern_weak @cira_loop_walk_end()"};
  MlirOperation module =
      mlirOperationGetParentOperation(w->plan->loops->function);
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0));
  MlirOperation op = mlirBlockGetFirstOperation(body);
  for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    MlirAttribute name =
        mlirOperationGetAttributeByName(op, cira__str("sym_name"));
    if (!mlirAttributeIsNull(name) &&
        mlirStringRefEqual(mlirStringAttrGetValue(name),
                           cira__str("cira_loop_begin"))) {
      return;
    }
  }
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    mlirBlockInsertOwnedOperation(
        body, 0,
        mlirOperationCreateParse(w->b.ctx, cira__str(text[i]),
                                 cira__str("cira-llvm-far")));
  }
}

/* A version of the nest, with its blocks. */
typedef struct {
  cira_far_loom_t w;
  MlirBlock entries[cira_far_inner_max];
  MlirBlock first;
} version_t;

static cira_far_loom_t begin_loom(const cira_far_plan_t *plan) {
  cira_far_loom_t w = {.plan = plan,
                       .b = cira_llvm_build_in(plan->loops->function)};
  w.i64 = cira_llvm_int(&w.b, 64);
  w.i32 = cira_llvm_int(&w.b, 32);
  w.i1 = cira_llvm_int(&w.b, 1);
  w.ptr = cira_llvm_ptr(&w.b);
  return w;
}

/* Room in the function's frame, for all versions. */
static void make_room(cira_far_loom_t *w) {
  const cira_far_plan_t *plan = w->plan;
  w->view = cira_llvm_room(&w->b, view_bytes);
  if (plan->inner_count) {
    w->walks = cira_llvm_room(&w->b, (int64_t)cira_far_walks_max * walk_bytes);
  }
  for (int i = 0; i < plan->inner_count; i++) {
    for (int k = 0; k < plan->inner[i].walk_count; k++) {
      if (plan->inner[i].walks[k].guarded && mlirValueIsNull(w->low_at[k])) {
        w->low_at[k] = cira_llvm_room(&w->b, 8);
        w->delta_at[k] = cira_llvm_room(&w->b, 8);
      }
    }
  }
}

/* The blocks of a version, empty. */
static void version_begin(version_t *v) {
  cira_far_loom_t *w = &v->w;
  const cira_far_plan_t *plan = w->plan;
  MlirValue values[operands_max];
  map_grow(w);
  for (int i = 0; i < plan->block_count; i++) {
    MlirBlock copy = cira_llvm_block(&w->b);
    add_arguments(w, copy, plan->blocks[i]);
    map_set(w, plan->blocks[i].ptr, copy.ptr);
    map_arguments(w, plan->blocks[i], copy);
  }
  for (int i = 0; i < plan->inner_count; i++) {
    v->entries[i] = cira__far_block_like(w, plan->inner[i].header, values);
  }
  int whole = inner_of(plan, plan->blocks[0]);
  v->first = whole < 0 ? block_now(w, plan->blocks[0]) : v->entries[whole];
}

static void version_fill(version_t *v, int64_t iterations_min) {
  const cira_far_plan_t *plan = v->w.plan;
  for (int i = 0; i < plan->block_count; i++) {
    fill_block(&v->w, plan->blocks[i], v->entries);
  }
  for (int i = 0; i < plan->inner_count; i++) {
    build_inner(&v->w, i, v->entries, iterations_min, v->w.walks);
  }
  free(v->w.map);
}

void cira_far_build(const cira_far_plan_t *plan, int64_t iterations_min) {
  version_t *v = cira__far_checked(calloc(2, sizeof *v));
  v[0].w = begin_loom(plan);
  declare(&v[0].w);
  make_room(&v[0].w);
  v[1].w = v[0].w;
  v[1].w.near = true;
  version_begin(&v[0]);
  if (plan->near) {
    version_begin(&v[1]);
  }
  cira__far_add_choice(&v[0].w, plan->blocks[0], v[0].first,
                       plan->near ? &v[1].w : NULL, v[1].first);
  version_fill(&v[0], iterations_min);
  if (plan->near) {
    version_fill(&v[1], iterations_min);
  }
  cira__far_change_old(&v[0].w);
  free(v);
}
