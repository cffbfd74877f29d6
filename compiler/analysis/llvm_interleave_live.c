/* SPDX-License-Identifier: Apache-2.0
 * The pieces of the early part, what lives across the cuts between them, and
 * its place in the slot (llvm_interleave.h). */
#include "analysis/llvm_interleave_parts.h"

#include "analysis/ir.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#include <string.h>

enum { slot_bytes_max = 256 };

/* ---- pieces, and what lives across cuts -----------------------------------
 */

typedef struct live {
  uint64_t used[cira_il_pieces_max][cira_il_words]; /* before it is made */
  uint64_t made[cira_il_pieces_max][cira_il_words];
  uint64_t in[cira_il_pieces_max][cira_il_words];
} live_t;

static int wait_at(const cira_il_plan_t *p, MlirOperation op) {
  for (int i = 0; i < p->chain.count; i++) {
    if (mlirOperationEqual(p->chain.waits[i].load, op)) {
      return i;
    }
  }
  return -1;
}

static void cut(cira_il_plan_t *p) {
  for (int b = 0; b < p->nest.count; b++) {
    if (!p->in_early[b]) {
      continue;
    }
    MlirBlock block = p->nest.blocks[b];
    MlirOperation op = mlirBlockGetFirstOperation(block);
    cira_il_piece_t piece = {.block = b, .first = op, .wait = -1};
    for (intptr_t i = 0; i < mlirBlockGetNumArguments(block); i++) {
      cira_il_find(p, mlirBlockGetArgument(block, i))->piece = p->piece_count;
    }
    for (; !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
      int wait = wait_at(p, op);
      if (wait >= 0) {
        piece.stop = op;
        p->pieces[p->piece_count++] = piece;
        piece = (cira_il_piece_t){.block = b, .first = op, .wait = wait};
        p->resume[wait] = p->piece_count;
      }
      for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++) {
        cira_il_find(p, mlirOperationGetResult(op, i))->piece = p->piece_count;
      }
    }
    p->pieces[p->piece_count++] = piece;
  }
}

static void use(cira_il_plan_t *p, live_t *l, int piece, MlirValue value) {
  cira_il_value_t *v = cira_il_find(p, value);
  int argument = cira_il_argument(p, value);
  if (argument >= 0 && !mlirOperationIsNull(p->sum_op[argument])) {
    return; /* begins with a constant */
  }
  if (v && v->early && v->piece != piece) {
    int at = (int)(v - p->values);
    l->used[piece][at / 64] |= UINT64_C(1) << (at % 64);
  }
}

bool cira_il_is_needed(cira_il_plan_t *plan, MlirBlock to, intptr_t index) {
  cira_il_value_t *v = cira_il_find(plan, mlirBlockGetArgument(to, index));
  return v && v->early;
}

static void use_end(cira_il_plan_t *p, live_t *l, int piece,
                    MlirOperation end) {
  int block = p->pieces[piece].block;
  if (mlirOperationGetNumSuccessors(end) > 1) {
    use(p, l, piece, mlirOperationGetOperand(end, 0));
  }
  for (intptr_t way = 0; way < mlirOperationGetNumSuccessors(end); way++) {
    MlirBlock to = mlirOperationGetSuccessor(end, way);
    int edge = cira_il_edge_find(p, block, way);
    for (intptr_t i = 0; i < mlirBlockGetNumArguments(to); i++) {
      bool needed = edge < 0 ? cira_il_is_needed(p, to, i)
                             : p->entries[p->edges[edge].entry].args[i].kind !=
                                   cira_il_late;
      if (needed) {
        use(p, l, piece, cira__edge_value(end, way, i));
      }
    }
  }
}

static void fill_uses(cira_il_plan_t *p, live_t *l) {
  for (int i = 0; i < p->piece_count; i++) {
    const cira_il_piece_t *piece = &p->pieces[i];
    MlirOperation op = piece->first;
    for (; !mlirOperationIsNull(op) && !mlirOperationEqual(op, piece->stop);
         op = mlirOperationGetNextInBlock(op)) {
      if (cira__il_is_branch(op)) {
        use_end(p, l, i, op);
      } else if (cira__il_is_early(p, op)) {
        for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
          use(p, l, i, mlirOperationGetOperand(op, k));
        }
      }
    }
    if (!mlirOperationIsNull(piece->stop)) {
      use(p, l, i, p->chain.waits[wait_at(p, piece->stop)].object);
    }
  }
  for (int i = 0; i < p->value_count; i++) {
    int piece = p->values[i].piece;
    l->made[piece][i / 64] |= UINT64_C(1) << (i % 64);
  }
}

static int first_piece(const cira_il_plan_t *p, int block) {
  int at = 0;
  while (p->pieces[at].block != block) {
    at++;
  }
  return at;
}

/* in = used + (in of what follows - made) */
static bool flow(const cira_il_plan_t *p, live_t *l, int piece, int next) {
  bool changed = false;
  (void)p;
  for (int w = 0; w < cira_il_words; w++) {
    uint64_t in = l->in[piece][w] | l->used[piece][w] |
                  (next >= 0 ? l->in[next][w] & ~l->made[piece][w] : 0);
    changed |= in != l->in[piece][w];
    l->in[piece][w] = in;
  }
  return changed;
}

static void solve(const cira_il_plan_t *p, live_t *l) {
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = p->piece_count - 1; i >= 0; i--) {
      const cira_il_piece_t *piece = &p->pieces[i];
      changed |= flow(p, l, i, mlirOperationIsNull(piece->stop) ? -1 : i + 1);
      MlirOperation end = cira__terminator(p->nest.blocks[piece->block]);
      for (intptr_t k = 0; mlirOperationIsNull(piece->stop) &&
                           k < mlirOperationGetNumSuccessors(end);
           k++) {
        int to = cira_nest_index(&p->nest, mlirOperationGetSuccessor(end, k));
        if (to > 0 && p->in_early[to]) {
          changed |= flow(p, l, i, first_piece(p, to));
        }
      }
    }
  }
}

/* Is the value easily had from others that cross cuts too? */
static bool is_cheap(cira_il_plan_t *p, MlirValue value) {
  MlirOperation op = cira__def(value);
  if (mlirOperationIsNull(op) || !cira_il_is_harmless(op) ||
      cira__il_sum_of(p, value) >= 0) {
    return false;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); i++) {
    cira_il_value_t *v = cira_il_find(p, mlirOperationGetOperand(op, i));
    if (v && !v->crosses) {
      return false;
    }
  }
  return true;
}

static void find_crossing(cira_il_plan_t *p, live_t *l) {
  cut(p);
  fill_uses(p, l);
  solve(p, l);
  for (int i = 0; i < p->value_count; i++) {
    for (int k = 0; k < p->piece_count; k++) {
      p->values[i].crosses |=
          p->pieces[k].wait >= 0 && (l->in[k][i / 64] >> (i % 64) & 1);
    }
  }
  for (int i = 0; i < p->value_count; i++) {
    cira_il_value_t *v = &p->values[i];
    v->computed = v->crosses && is_cheap(p, v->value);
  }
}

/* ---- slots ----------------------------------------------------------------
 */

/* Gives room to what has `bytes`: larger ones come first, so all are aligned.
 */
static void give_room(cira_il_plan_t *p, int64_t bytes) {
  for (int i = 0; i < p->value_count; i++) {
    cira_il_value_t *v = &p->values[i];
    if (((v->crosses && !v->computed) || v->kept) &&
        cira_il_bytes(mlirValueGetType(v->value)) == bytes) {
      v->slot = p->slot_bytes;
      p->slot_bytes += bytes;
    }
  }
  for (int i = 0; i < p->entry_count; i++) {
    for (int k = 0; k < p->entries[i].arg_count; k++) {
      cira_il_arg_t *arg = &p->entries[i].args[k];
      if (arg->kind != cira_il_late &&
          cira_il_bytes(mlirValueGetType(arg->value)) == bytes) {
        arg->slot = p->slot_bytes;
        p->slot_bytes += bytes;
      }
    }
  }
}

static bool is_keepable(cira_il_plan_t *p, MlirValue value) {
  return cira_il_bytes(mlirValueGetType(value)) ||
         cira__il_fail(p,
                       "a value lives across a wait whose kind cannot be kept");
}

static bool give_rooms(cira_il_plan_t *p) {
  for (int i = 0; i < p->value_count; i++) {
    const cira_il_value_t *v = &p->values[i];
    if (((v->crosses && !v->computed) || v->kept) &&
        !is_keepable(p, v->value)) {
      return false;
    }
  }
  for (int i = 0; i < p->entry_count; i++) {
    for (int k = 0; k < p->entries[i].arg_count; k++) {
      if (p->entries[i].args[k].kind != cira_il_late &&
          !is_keepable(p, p->entries[i].args[k].value)) {
        return false;
      }
    }
  }
  give_room(p, 8);
  give_room(p, 4);
  p->code_slot = p->slot_bytes;
  p->slot_bytes += 4;
  give_room(p, 2);
  give_room(p, 1);
  p->slot_bytes = (p->slot_bytes + 7) / 8 * 8;
  return p->slot_bytes <= slot_bytes_max ||
         cira__il_fail(p, "too much lives across a wait");
}

bool cira__il_lay_out(cira_il_plan_t *p) {
  static _Thread_local live_t live; /* too large for the stack */
  memset(&live, 0, sizeof live);
  find_crossing(p, &live);
  return give_rooms(p);
}
