/* SPDX-License-Identifier: Apache-2.0
 * cira-check-tokens: finds waits that never end. Each block with its offload
 * regions is played through: the host and every region that it has started are
 * walkers that go on until they stand before a wait whose token nobody has
 * signalled. When none can go on and one still waits, it waits for ever.
 *
 * A token counts only if all its uses are in sight: signals and waits directly
 * in the block or directly in an offload region of it. A wait for any other
 * token is taken to end. So no correct program is refused. */
#include "analysis/ir.h"
#include "passes/pass.h"

#include "mlir-c/Diagnostics.h"

enum { walkers_max = 64, tokens_max = 64 };

typedef struct walker {
  MlirOperation at; /* null: done */
  intptr_t joins;   /* walker that must be done before it goes on; -1: none */
} walker_t;

typedef struct play {
  MlirBlock block;
  walker_t walkers[walkers_max]; /* 0 is the host */
  intptr_t walker_count;
  MlirValue signalled[tokens_max];
  intptr_t signalled_count;
  bool too_large; /* then nothing is said */
} play_t;

static bool is_offload(MlirOperation op) {
  return ciraOperationHasName(op, "cira.offload");
}

/* Directly in the block, or directly in an offload region of it? */
static bool in_sight(const play_t *play, MlirOperation op) {
  if (mlirBlockEqual(mlirOperationGetBlock(op), play->block)) {
    return true;
  }
  MlirOperation parent = mlirOperationGetParentOperation(op);
  return is_offload(parent) &&
         mlirBlockEqual(mlirOperationGetBlock(parent), play->block);
}

static bool is_known(const play_t *play, MlirValue token) {
  MlirOperation maker;
  if (!cira__def_is(token, "cira.sync_token_create", &maker) ||
      !mlirBlockEqual(mlirOperationGetBlock(maker), play->block)) {
    return false;
  }
  MlirOpOperand use = mlirValueGetFirstUse(token);
  for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if ((!ciraOperationHasName(user, "cira.sync_token_wait") &&
         !ciraOperationHasName(user, "cira.sync_token_signal")) ||
        !in_sight(play, user)) {
      return false;
    }
  }
  return true;
}

static bool is_signalled(const play_t *play, MlirValue token) {
  for (intptr_t i = 0; i < play->signalled_count; i++) {
    if (mlirValueEqual(play->signalled[i], token)) {
      return true;
    }
  }
  return false;
}

static void start_region(play_t *play, walker_t *host, MlirOperation op) {
  if (play->walker_count == walkers_max) {
    play->too_large = true;
    return;
  }
  walker_t *region = &play->walkers[play->walker_count];
  *region = (walker_t){.at = mlirBlockGetFirstOperation(mlirRegionGetFirstBlock(
                           mlirOperationGetRegion(op, 0))),
                       .joins = -1};
  if (mlirOperationGetNumResults(op) > 0) {
    host->joins = play->walker_count; /* the host waits for the results */
  }
  play->walker_count++;
}

static bool all_regions_done(const play_t *play) {
  for (intptr_t i = 1; i < play->walker_count; i++) {
    if (!mlirOperationIsNull(play->walkers[i].at)) {
      return false;
    }
  }
  return true;
}

/* May the walker go past the op it stands before? */
static bool may_pass(const play_t *play, const walker_t *walker) {
  if (walker->joins >= 0 &&
      !mlirOperationIsNull(play->walkers[walker->joins].at)) {
    return false;
  }
  if (ciraOperationHasName(walker->at, "cira.sync_token_wait")) {
    MlirValue token = mlirOperationGetOperand(walker->at, 0);
    return !is_known(play, token) || is_signalled(play, token);
  }
  return !ciraOperationHasName(walker->at, "cira.barrier") ||
         all_regions_done(play);
}

/* Goes on as far as it can; true if that was at least one op. */
static bool go_on(play_t *play, walker_t *walker) {
  bool moved = false;
  while (!mlirOperationIsNull(walker->at) && may_pass(play, walker)) {
    MlirOperation op = walker->at;
    walker->joins = -1;
    if (ciraOperationHasName(op, "cira.sync_token_signal")) {
      if (play->signalled_count == tokens_max) {
        play->too_large = true;
        return false;
      }
      play->signalled[play->signalled_count++] = mlirOperationGetOperand(op, 0);
    } else if (is_offload(op)) {
      start_region(play, walker, op);
    }
    walker->at = mlirOperationGetNextInBlock(op);
    moved = true;
  }
  return moved;
}

/* Plays one block; false if a wait never ends. */
static bool check_block(MlirBlock block) {
  play_t play = {.block = block, .walker_count = 1};
  play.walkers[0] =
      (walker_t){.at = mlirBlockGetFirstOperation(block), .joins = -1};
  bool moved = true;
  while (moved && !play.too_large) {
    moved = false;
    for (intptr_t i = 0; i < play.walker_count; i++) {
      moved |= go_on(&play, &play.walkers[i]);
    }
  }
  bool sound = true;
  for (intptr_t i = 0; i < play.walker_count && !play.too_large; i++) {
    MlirOperation at = play.walkers[i].at;
    if (!mlirOperationIsNull(at) &&
        ciraOperationHasName(at, "cira.sync_token_wait")) {
      mlirEmitError(mlirOperationGetLocation(at),
                    "cira-check-tokens: this wait never ends: its signal "
                    "waits, in turn, for something behind this wait; signal "
                    "before waiting on one side");
      sound = false;
    }
  }
  return sound;
}

static MlirWalkResult visit(MlirOperation op, void *user) {
  bool *sound = user;
  for (intptr_t r = 0; r < mlirOperationGetNumRegions(op); r++) {
    MlirBlock block = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, r));
    for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
      if (!is_offload(op) && !check_block(block)) {
        *sound = false;
      }
    }
  }
  return MlirWalkResultAdvance;
}

bool cira__run_CiraCheckTokens(MlirOperation op) {
  bool sound = true;
  mlirOperationWalk(op, visit, &sound, MlirWalkPreOrder);
  return sound;
}
