/* SPDX-License-Identifier: Apache-2.0
 * Reading order: the copy, what leaves the loops, periods. */
#include "codegen/llvm_twin.h"

#include "analysis/ir.h"
#include "codegen/llvm_build.h"
#include "codegen/llvm_choice.h"
#include "codegen/llvm_copies.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  ops_max = 1500,    /* of the loop: the code grows by as much */
  copies_max = 128,  /* blocks */
  blocks_max = 1024, /* after the pass: more than any adds to the others */
  arguments_max = cira_copies_arguments_max,
  watches_max = 8,
  again_weight = 4095, /* how often a period goes on, for each end */
  signed_gt = 4        /* llvm.icmp's number */
};

/* What ends an iteration of a loop inside, and its copy. */
typedef struct inner_end {
  MlirOperation end, copy;
} inner_end_t;

/* A loop right inside one of both: where its counter began and how far it has
 * come in this iteration (variables), and by how much it grows. */
typedef struct watch {
  MlirValue first, last;
  MlirType type;
  int64_t step;
} watch_t;

struct cira_twin {
  const cira_llvm_loops_t *loops;
  int64_t number;
  MlirBlock header, copy;
  MlirBlock inside[blocks_max]; /* of the loop */
  int inside_count;
  cira_copies_t old;   /* counts its iterations */
  cira_copies_t plain; /* runs from its beginning to its end; or none */
  inner_end_t ends[copies_max];
  int end_count;

  cira_llvm_build_t b;
  cira_choice_t choice;
  MlirValue budget; /* the variable: iterations left of the period */
  MlirValue rest;   /* the variable: those behind it; null: nobody knows */
  MlirValue times;  /* iterations after the first; null: nobody knows */
  watch_t watches[watches_max]; /* by turns: of the loop, of the copy */
  int watch_count;
};

/* ---- the copy -------------------------------------------------------------
 */

static MlirBlock first_block(const cira_twin_t *t) {
  return mlirRegionGetFirstBlock(mlirOperationGetRegion(t->loops->function, 0));
}

static bool is_inside(const cira_twin_t *t, MlirBlock block) {
  for (int i = 0; i < t->inside_count; i++) {
    if (mlirBlockEqual(t->inside[i], block)) {
      return true;
    }
  }
  return false;
}

/* Does the block lead to one of the loop: to the header only if `home`? */
static bool leads(const cira_twin_t *t, MlirBlock block, bool home) {
  MlirOperation end = cira__terminator(block);
  for (intptr_t i = 0;
       !mlirOperationIsNull(end) && i < mlirOperationGetNumSuccessors(end);
       i++) {
    MlirBlock to = mlirOperationGetSuccessor(end, i);
    if (mlirBlockEqual(to, t->header) ? home : !home && is_inside(t, to)) {
      return true;
    }
  }
  return false;
}

/* The blocks of the loop: those that lead to one that ends an iteration. Not
 * all have facts. False: too many. */
static bool find_blocks(cira_twin_t *t, int most) {
  t->inside_count = 0;
  t->inside[t->inside_count++] = t->header;
  for (bool first = true, more = true; more; first = false) {
    more = first;
    for (MlirBlock block = first_block(t); !mlirBlockIsNull(block);
         block = mlirBlockGetNextInRegion(block)) {
      bool add = first ? cira_llvm_loop_contains(t->loops, t->number, block) &&
                             leads(t, block, true)
                       : leads(t, block, false);
      if (!add || is_inside(t, block)) {
        continue;
      }
      if (t->inside_count == most) {
        return false;
      }
      t->inside[t->inside_count++] = block;
      more = true;
    }
  }
  return true;
}

static bool is_copy(const cira_twin_t *t, MlirBlock block) {
  return cira_copies_has(&t->old, block);
}

static MlirBlock copy_of_block(const cira_twin_t *t, MlirBlock block) {
  return cira_copies_of(&t->old, block);
}

static void destroy(cira_twin_t *t) {
  cira_copies_fini(&t->old);
  cira_copies_fini(&t->plain);
  free(t);
}

/* Where iterations of loops inside end; copies are no loops to the facts. */
static void note_ends(cira_twin_t *t) {
  for (size_t i = 0; i < t->old.block_count; i++) {
    MlirBlock block = t->old.blocks[i].from;
    MlirOperation copy = cira__terminator(t->old.blocks[i].to);
    if (cira_llvm_block_loop(block) != t->number &&
        cira__fact_has(cira__terminator(block), "latch")) {
      t->ends[t->end_count++] = (inner_end_t){cira__terminator(block), copy};
    }
  }
}

static void forget_loops(const cira_copies_t *c) {
  for (size_t i = 0; i < c->block_count; i++) {
    cira__attr_drop(cira__terminator(c->blocks[i].to), "cira.facts");
  }
}

cira_twin_t *cira_twin_make(const cira_llvm_loops_t *loops, int64_t number,
                            bool plain) {
  const cira_llvm_loop_t *loop = &loops->items[number];
  cira_twin_t *t = calloc(1, sizeof *t);
  if (!t) {
    return NULL;
  }
  t->loops = loops;
  t->number = number;
  t->header = loop->header;
  t->b = cira_llvm_build_in(loops->function);
  if (mlirBlockIsNull(loop->header) || loop->single.length ||
      mlirBlockEqual(loop->header, first_block(t)) ||
      !find_blocks(t, copies_max) ||
      !cira_copies_make(&t->old, &t->b, t->inside, t->inside_count, ops_max,
                        false)) {
    destroy(t);
    return NULL;
  }
  if (plain) {
    cira_copies_make(&t->plain, &t->b, t->inside, t->inside_count, ops_max,
                     true);
  }
  note_ends(t);
  forget_loops(&t->old);
  forget_loops(&t->plain);
  t->copy = copy_of_block(t, t->header);
  return t;
}

/* ---- what leaves the loops ------------------------------------------------
 */

static bool is_outside(const cira_twin_t *t, MlirBlock block) {
  return !is_inside(t, block) && !is_copy(t, block);
}

static bool is_outside_of(const void *user, MlirBlock block) {
  return is_outside(user, block);
}

static void carry_out(const cira_twin_t *t) {
  cira_copies_carry(&t->old, t->plain.block_count ? &t->plain : NULL,
                    t->loops->function, is_outside_of, t);
}

/* ---- periods --------------------------------------------------------------
 */

/* A new block with the arguments of `like`, and these as values. */
static MlirBlock block_like(cira_twin_t *t, MlirBlock like,
                            MlirValue *out_values) {
  MlirBlock block = cira_llvm_block(&t->b);
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(like); i++) {
    out_values[i] = mlirBlockAddArgument(
        block, mlirValueGetType(mlirBlockGetArgument(like, i)), t->b.loc);
  }
  return block;
}

/* All ways from the block to `from` lead to `to` instead. */
static void redirect(MlirBlock block, MlirBlock from, MlirBlock to) {
  MlirOperation end = cira__terminator(block);
  for (intptr_t i = 0;
       !mlirOperationIsNull(end) && i < mlirOperationGetNumSuccessors(end);
       i++) {
    if (mlirBlockEqual(mlirOperationGetSuccessor(end, i), from)) {
      mlirOperationSetSuccessor(end, i, to);
    }
  }
}

static void set_facts(MlirBlock block, const char *facts, int64_t loop) {
  char text[96];
  MlirOperation last = cira__terminator(block);
  snprintf(text, sizeof text, facts, (long)loop);
  cira__attr_set(
      last, "cira.facts",
      mlirAttributeParseGet(mlirOperationGetContext(last), cira__str(text)));
}

/* budget -= 1; returns what is left. */
static MlirValue count_down(cira_twin_t *t, cira_lb_t *b) {
  MlirType i64 = cira_lb_i64(b);
  MlirValue left =
      cira_lb_binary(b, "llvm.sub", cira_lb_load(b, t->budget, i64, 0),
                     cira_lb_constant(b, i64, 1));
  cira_lb_store(b, left, t->budget);
  return left;
}

/* What an op that ends an iteration hands to the header as its `argument`. */
static MlirValue handed(MlirOperation end, MlirBlock header,
                        intptr_t argument) {
  intptr_t first = 0;
  if (ciraOperationHasName(end, "llvm.cond_br")) {
    MlirAttribute sizes =
        mlirOperationGetAttributeByName(end, cira__str("operandSegmentSizes"));
    bool second = mlirBlockEqual(mlirOperationGetSuccessor(end, 1), header);
    first = 1 + (second ? mlirDenseI32ArrayGetElement(sizes, 1) : 0);
  } else if (!ciraOperationHasName(end, "llvm.br")) {
    return (MlirValue){NULL};
  }
  return mlirOperationGetOperand(end, first + argument);
}

/* The argument of the header that counts the iterations of loop `inside`; -1:
 * none. */
static intptr_t counter_of(const cira_twin_t *t, int64_t inside) {
  MlirBlock header = t->loops->items[inside].header;
  intptr_t args =
      mlirBlockIsNull(header) ? 0 : mlirBlockGetNumArguments(header);
  for (intptr_t i = 0; i < args; i++) {
    MlirType type = mlirValueGetType(mlirBlockGetArgument(header, i));
    if (cira_llvm_loop_step(t->loops, inside, i) &&
        (ciraTypeIsALLVMPointer(type) ||
         (mlirTypeIsAInteger(type) && mlirIntegerTypeGetWidth(type) <= 64))) {
      return i;
    }
  }
  return -1;
}

/* Where the loop inside begins, and how far it has come. Its counter is there
 * anyway: another one would cost an operation in each iteration. */
static MlirBlock watch(cira_twin_t *t, watch_t *w, MlirBlock header,
                       MlirOperation end, intptr_t counter) {
  MlirValue values[arguments_max], next = handed(end, header, counter);
  if (mlirValueIsNull(next)) {
    return (MlirBlock){NULL};
  }
  MlirType type = mlirValueGetType(next);
  w->type = type;
  w->first = cira_lb_variable(t->loops->function, type);
  w->last = cira_lb_variable(t->loops->function, type);
  cira_lb_t lb = cira_lb_before(end);
  cira_lb_store(&lb, next, w->last);
  MlirBlock in = block_like(t, header, values);
  for (MlirBlock block = first_block(t); !mlirBlockIsNull(block);
       block = mlirBlockGetNextInRegion(block)) {
    if (!mlirOperationEqual(cira__terminator(block), end)) {
      redirect(block, header, in);
    }
  }
  t->b.at = in;
  cira_llvm_store(&t->b, values[counter], w->first);
  cira_llvm_store(&t->b, values[counter], w->last);
  cira_llvm_br(&t->b, header, mlirBlockGetNumArguments(header), values);
  return in;
}

/* Iterations of the loops inside count too. */
static void count_inside(cira_twin_t *t) {
  for (int i = 0; i < t->end_count; i++) {
    const inner_end_t *pair = &t->ends[i];
    int64_t inside = cira__loop_of(pair->end);
    MlirBlock header = t->loops->items[inside].header, in = {NULL};
    intptr_t counter = counter_of(t, inside);
    watch_t *w = &t->watches[t->watch_count];
    if (counter >= 0 && t->watch_count < watches_max &&
        t->loops->items[inside].parent == t->number) {
      in = watch(t, &w[0], header, pair->end, counter);
    }
    if (!mlirBlockIsNull(in)) {
      set_facts(in, "{loop = %ld : i64, percent = 100 : i64}", t->number);
      watch(t, &w[1], copy_of_block(t, header), pair->copy, counter);
      w[0].step = w[1].step = cira_llvm_loop_step(t->loops, inside, counter);
      t->watch_count += 2;
      continue;
    }
    cira_lb_t from = cira_lb_before(pair->end);
    cira_lb_t to = cira_lb_before(pair->copy);
    count_down(t, &from);
    count_down(t, &to);
  }
}

/* Takes off what the loops inside have done in this iteration. */
static void take_off(cira_twin_t *t, cira_lb_t *b, const watch_t *w) {
  MlirType i64 = cira_lb_i64(b);
  MlirValue first = cira_lb_load(b, w->first, w->type, 0);
  MlirValue last = cira_lb_load(b, w->last, w->type, 0);
  if (ciraTypeIsALLVMPointer(w->type)) {
    first = cira_lb_cast(b, "llvm.ptrtoint", first, i64);
    last = cira_lb_cast(b, "llvm.ptrtoint", last, i64);
  }
  MlirValue done = cira_lb_binary(b, "llvm.sub", last, first);
  if (!mlirTypeEqual(mlirValueGetType(done), i64)) {
    done = cira_lb_cast(b, "llvm.sext", done, i64);
  }
  done =
      cira_lb_binary(b, "llvm.sdiv", done, cira_lb_constant(b, i64, w->step));
  cira_lb_store(
      b,
      cira_lb_binary(b, "llvm.sub", cira_lb_load(b, t->budget, i64, 0), done),
      t->budget);
}

/* As if the loop inside had not run. */
static void reset(cira_twin_t *t, cira_llvm_build_t *b, bool copies) {
  for (int i = copies; i < t->watch_count; i += 2) {
    const watch_t *w = &t->watches[i];
    MlirValue zero = cira_llvm_zero(b, w->type);
    cira_llvm_store(b, zero, w->first);
    cira_llvm_store(b, zero, w->last);
  }
}

/* Where the loop would begin its next iteration, it does so only if something
 * of the period is left. */
static void count(cira_twin_t *t, MlirBlock header, MlirBlock again,
                  bool copies) {
  MlirValue values[arguments_max];
  intptr_t args = mlirBlockGetNumArguments(header);
  MlirBlock tick = block_like(t, header, values);
  for (MlirBlock block = first_block(t); !mlirBlockIsNull(block);
       block = mlirBlockGetNextInRegion(block)) {
    bool own = copies ? is_copy(t, block) : is_inside(t, block);
    if (own) {
      redirect(block, header, tick);
    }
  }
  cira_lb_t lb = cira_lb_at_end(tick, -1);
  for (int i = copies; i < t->watch_count; i += 2) {
    take_off(t, &lb, &t->watches[i]);
  }
  MlirValue left = count_down(t, &lb);
  MlirValue more = cira_lb_icmp(&lb, signed_gt, left,
                                cira_lb_constant(&lb, cira_lb_i64(&lb), 0));
  t->b.at = tick;
  reset(t, &t->b, copies);
  cira_llvm_cond_br(&t->b, more, header, args, values, again, args, values);
  /* What the loop needs shall be in registers in it, not behind its ends. */
  int32_t weights[] = {again_weight, 1};
  cira__attr_set(cira__terminator(tick), "branch_weights",
                 mlirDenseI32ArrayGet(t->b.ctx, 2, weights));
  if (!copies) {
    set_facts(tick, "{loop = %ld : i64, percent = 100 : i64, latch}",
              t->number);
  }
}

/* Each way out of a loop ends the period. */
static void leave(cira_twin_t *t, MlirBlock block) {
  MlirOperation end = cira__terminator(block);
  for (intptr_t i = 0; i < mlirOperationGetNumSuccessors(end); i++) {
    MlirBlock to = mlirOperationGetSuccessor(end, i);
    MlirValue values[arguments_max];
    if (!is_outside(t, to)) {
      continue;
    }
    MlirBlock out = block_like(t, to, values);
    mlirOperationSetSuccessor(end, i, out);
    t->b.at = out;
    MlirType i64 = cira_llvm_int(&t->b, 64);
    cira_choice_leave(&t->choice, &t->b,
                      mlirValueIsNull(t->rest)
                          ? cira_llvm_load(&t->b, i64, t->budget)
                          : (MlirValue){NULL});
    cira_llvm_br(&t->b, to, mlirBlockGetNumArguments(to), values);
  }
}

/* ^enter(arguments...), ^again(...): the first period, the next one; both go to
 * one of the headers. */
static void build_period(cira_twin_t *t, MlirBlock at, MlirBlock go, bool first,
                         MlirValue *values) {
  cira_llvm_build_t *b = &t->b;
  MlirType i64 = cira_llvm_int(b, 64);
  intptr_t args = mlirBlockGetNumArguments(t->header);
  b->at = at;
  bool counted = !mlirValueIsNull(t->rest);
  MlirValue left = counted ? cira_llvm_load(b, i64, t->rest)
                           : cira_llvm_constant(b, i64, cira_choice_unknown);
  if (!first && !counted) {
    MlirValue budget = cira_llvm_load(b, i64, t->budget);
    cira_choice_more(
        &t->choice, b,
        cira_llvm_binary(b, "llvm.sub", cira_llvm_constant(b, i64, 0), budget));
  }
  values[args] = first ? cira_choice_enter(&t->choice, b, left)
                       : cira_choice_next(&t->choice, b, left);
  cira_llvm_br(b, go, args + 1, values);
}

static void build_go(cira_twin_t *t, MlirBlock go, MlirValue *values) {
  cira_llvm_build_t *b = &t->b;
  intptr_t args = mlirBlockGetNumArguments(t->header);
  MlirValue word = mlirBlockAddArgument(go, cira_llvm_int(b, 64), b->loc);
  b->at = go;
  MlirValue budget = cira_choice_budget(b, word);
  cira_llvm_store(b, budget, t->budget);
  if (!mlirValueIsNull(t->rest)) {
    MlirValue left = cira_llvm_load(b, cira_llvm_int(b, 64), t->rest);
    cira_llvm_store(b, cira_llvm_binary(b, "llvm.sub", left, budget), t->rest);
  }
  reset(t, b, false);
  reset(t, b, true);
  cira_llvm_cond_br(b, cira_choice_changed(b, word), t->header, args, values,
                    t->copy, args, values);
}

/* Of a counted loop: where its iterations end, it goes on as long as something
 * of the period is left; then the next one comes, or the loop's end. */
static void count_down_to(cira_twin_t *t, MlirBlock latch, MlirBlock header,
                          MlirBlock again) {
  MlirValue values[arguments_max], handed_on[arguments_max];
  MlirOperation end = cira__terminator(latch);
  intptr_t args = mlirBlockGetNumArguments(header);
  intptr_t home =
      mlirBlockEqual(mlirOperationGetSuccessor(end, 0), header) ? 0 : 1;
  for (intptr_t i = 0; i < args; i++) {
    handed_on[i] = handed(end, header, i);
  }
  MlirBlock out = mlirOperationGetSuccessor(end, 1 - home);
  MlirBlock over = block_like(t, out, values);
  mlirOperationSetSuccessor(end, 1 - home, over);
  cira_lb_t lb = cira_lb_before(end);
  MlirType i64 = cira_lb_i64(&lb);
  MlirValue left = count_down(t, &lb);
  mlirOperationSetOperand(end, 0,
                          cira_lb_icmp(&lb, home == 0 ? cira_lb_ne : cira_lb_eq,
                                       left, cira_lb_constant(&lb, i64, 0)));
  t->b.at = over;
  MlirValue none = cira_llvm_compare(
      &t->b, cira_llvm_eq,
      cira_llvm_load(&t->b, cira_llvm_int(&t->b, 64), t->rest),
      cira_llvm_constant(&t->b, cira_llvm_int(&t->b, 64), 0));
  cira_llvm_cond_br(&t->b, none, out, mlirBlockGetNumArguments(out), values,
                    again, args, handed_on);
  int64_t parent = t->loops->items[t->number].parent;
  if (parent >= 0) {
    set_facts(over, "{loop = %ld : i64, percent = 100 : i64}", parent);
  }
}

/* The block of the loop that ends its iterations; copies come behind. */
static MlirBlock latch_of(const cira_twin_t *t) {
  for (int i = 0; i < t->inside_count; i++) {
    MlirOperation end = cira__terminator(t->inside[i]);
    if (cira__loop_of(end) == t->number && cira__fact_has(end, "latch")) {
      return t->inside[i];
    }
  }
  return (MlirBlock){NULL};
}

static void leave_all(cira_twin_t *t) {
  for (MlirBlock block = first_block(t); !mlirBlockIsNull(block);
       block = mlirBlockGetNextInRegion(block)) {
    if (!is_outside(t, block)) {
      leave(t, block);
    }
  }
}

static void start_join(cira_twin_t *t, int64_t least, int64_t unit) {
  find_blocks(t, blocks_max);
  carry_out(t);
  t->choice = cira_choice_make(t->loops->function, least, unit);
  t->budget = cira_lb_variable(t->loops->function, cira_llvm_int(&t->b, 64));
}

/* A block that takes the place of the header for those who enter the loop. */
static MlirBlock make_entry(cira_twin_t *t, MlirValue *out_values) {
  MlirBlock enter = block_like(t, t->header, out_values);
  for (MlirBlock block = first_block(t); !mlirBlockIsNull(block);
       block = mlirBlockGetNextInRegion(block)) {
    if (is_outside(t, block)) {
      redirect(block, t->header, enter);
    }
  }
  t->b.at = enter;
  return enter;
}

static void end_entry(const cira_twin_t *t, MlirBlock enter) {
  int64_t parent = t->loops->items[t->number].parent;
  if (parent >= 0) {
    set_facts(enter, "{loop = %ld : i64, percent = 100 : i64}", parent);
  }
}

/* The blocks in front of the loops, and what comes into them. */
typedef struct periods {
  MlirBlock front; /* may the plain loop run? null: there is none */
  MlirBlock enter, go, again;
  MlirValue coming[arguments_max];
  MlirValue entering[arguments_max + 1], going[arguments_max + 1],
      next[arguments_max + 1];
} periods_t;

/* Whoever enters the loop comes to `enter`. */
static void make_periods(cira_twin_t *t, periods_t *p) {
  p->front = (MlirBlock){NULL};
  if (t->plain.block_count) {
    p->front = make_entry(t, p->coming);
    p->enter = block_like(t, t->header, p->entering);
  } else {
    p->enter = make_entry(t, p->entering);
  }
  p->go = block_like(t, t->header, p->going);
  p->again = block_like(t, t->header, p->next);
}

/* Most executions take the plain loop, without anything that counts. */
static void build_front(cira_twin_t *t, const periods_t *p) {
  intptr_t args = mlirBlockGetNumArguments(t->header);
  MlirType i64 = cira_llvm_int(&t->b, 64);
  t->b.at = p->front;
  MlirValue left = mlirValueIsNull(t->times)
                       ? (MlirValue){NULL}
                       : cira_llvm_binary(&t->b, "llvm.add", t->times,
                                          cira_llvm_constant(&t->b, i64, 1));
  cira_choice_plain(&t->choice, &t->b, left,
                    cira_copies_of(&t->plain, t->header), p->enter, args,
                    p->coming);
  end_entry(t, p->front);
}

static void build_periods(cira_twin_t *t, periods_t *p) {
  if (!mlirBlockIsNull(p->front)) {
    build_front(t, p);
  }
  build_go(t, p->go, p->going);
  build_period(t, p->enter, p->go, true, p->entering);
  build_period(t, p->again, p->go, false, p->next);
  int64_t parent = t->loops->items[t->number].parent;
  if (parent >= 0) {
    set_facts(p->enter, "{loop = %ld : i64, percent = 100 : i64}", parent);
    set_facts(p->go, "{loop = %ld : i64, percent = 100 : i64}", parent);
    set_facts(p->again, "{loop = %ld : i64, percent = 1 : i64}", parent);
  }
}

void cira_twin_join(cira_twin_t *t, int64_t unit, bool rows) {
  periods_t p;
  start_join(t, 1, unit);
  leave_all(t);
  if (rows) {
    count_inside(t); /* makes blocks that nobody would take for inside */
  }
  make_periods(t, &p);
  count(t, t->header, p.again, false);
  count(t, t->copy, p.again, true);
  build_periods(t, &p);
  destroy(t);
}

void cira_twin_join_counted(cira_twin_t *t, int64_t unit, MlirValue times,
                            int64_t least) {
  periods_t p;
  start_join(t, least, unit);
  t->times = times;
  t->rest = cira_lb_variable(t->loops->function, cira_llvm_int(&t->b, 64));
  leave_all(t);
  MlirBlock latch = latch_of(t);
  make_periods(t, &p);
  count_down_to(t, latch, t->header, p.again);
  count_down_to(t, copy_of_block(t, latch), t->copy, p.again);
  t->b.at = p.enter;
  MlirValue one = cira_llvm_constant(&t->b, cira_llvm_int(&t->b, 64), 1);
  cira_llvm_store(&t->b, cira_llvm_binary(&t->b, "llvm.add", times, one),
                  t->rest);
  build_periods(t, &p);
  destroy(t);
}

void cira_twin_split(cira_twin_t *t, MlirValue changed) {
  MlirValue values[arguments_max];
  intptr_t args = mlirBlockGetNumArguments(t->header);
  carry_out(t);
  MlirBlock enter = make_entry(t, values);
  cira_llvm_cond_br(&t->b, changed, t->header, args, values, t->copy, args,
                    values);
  end_entry(t, enter);
  destroy(t);
}

/* Where the copy would begin its next iteration, `left` goes down by one; at
 * zero it goes on in front of `over`. */
static void count_first(cira_twin_t *t, MlirBlock over, int64_t unroll) {
  MlirValue values[arguments_max];
  char text[96];
  intptr_t args = mlirBlockGetNumArguments(t->header);
  MlirBlock tick = block_like(t, t->copy, values);
  for (size_t i = 0; i < t->old.block_count; i++) {
    redirect(t->old.blocks[i].to, t->copy, tick);
  }
  cira_lb_t lb = cira_lb_at_end(tick, -1);
  MlirValue left = count_down(t, &lb);
  MlirValue more = cira_lb_icmp(&lb, cira_lb_ne, left,
                                cira_lb_constant(&lb, cira_lb_i64(&lb), 0));
  t->b.at = tick;
  cira_llvm_cond_br(&t->b, more, t->copy, args, values, over, args, values);
  int32_t weights[] = {again_weight, 1};
  cira__attr_set(cira__terminator(tick), "branch_weights",
                 mlirDenseI32ArrayGet(t->b.ctx, 2, weights));
  if (unroll > 1) {
    snprintf(text, sizeof text,
             "#llvm.loop_annotation<unroll = <count = %ld : i32>>",
             (long)unroll);
    cira__attr_set(cira__terminator(tick), "loop_annotation",
                   mlirAttributeParseGet(t->b.ctx, cira__str(text)));
  }
}

MlirBlock cira_twin_first(cira_twin_t *t, int64_t count, int64_t unroll) {
  MlirValue values[arguments_max];
  intptr_t args = mlirBlockGetNumArguments(t->header);
  carry_out(t);
  t->budget = cira_lb_variable(t->loops->function, cira_llvm_int(&t->b, 64));
  MlirBlock enter = make_entry(t, values);
  cira_llvm_store(&t->b,
                  cira_llvm_constant(&t->b, cira_llvm_int(&t->b, 64), count),
                  t->budget);
  cira_llvm_br(&t->b, t->copy, args, values);
  end_entry(t, enter);
  MlirBlock over = block_like(t, t->header, values);
  count_first(t, over, unroll);
  destroy(t);
  return over;
}
