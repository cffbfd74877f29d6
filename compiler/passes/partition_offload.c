/* SPDX-License-Identifier: Apache-2.0
 * cira-partition-offload: which prefetches run on a device beside the memory.
 * The formula of the design notes, with the figures of #cira.machine:
 *
 *   gain = sum over the accesses of (latency of the tier - a hit)
 *        - (hand-over + what the device is busy)
 *
 * Neighbouring prefetches are handed over together: one hand-over for all. */
#include "analysis/access.h"
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "passes/pass.h"

#include "mlir-c/BuiltinAttributes.h"

static const char pass_name[] = "cira-partition-offload";
enum { run_max = 64 };

typedef struct run {
  MlirOperation ops[run_max];
  intptr_t count;
  int64_t accesses;
  int64_t saved_ns; /* sum of (latency - hit) */
} run_t;

/* Number of the operand that says how many accesses a prefetch makes; -1: it
 * is no prefetch that a device could do. */
static intptr_t count_operand(MlirOperation op) {
  if (ciraOperationHasName(op, "cira.prefetch_chain") ||
      ciraOperationHasName(op, "cira.prefetch_tiles") ||
      ciraOperationHasName(op, "cira.prefetch_adjacency")) {
    return 1;
  }
  if (ciraOperationHasName(op, "cira.prefetch_stream")) {
    return mlirOperationGetNumOperands(op) - 1;
  }
  return ciraOperationHasName(op, "cira.prefetch_indirect") ? 2 : -1;
}

/* The tier of the data: of the array behind the stream, or of the handle. */
static CiraTier tier_of(MlirOperation prefetch) {
  CiraTier tier;
  MlirValue base = mlirOperationGetOperand(prefetch, 0);
  if (ciraTypeIsAStream(mlirValueGetType(base))) {
    MlirOperation maker = cira__def(base);
    if (mlirOperationIsNull(maker) || mlirOperationGetNumOperands(maker) == 0) {
      return CiraTierFar;
    }
    base = mlirOperationGetOperand(maker, 0);
  }
  return cira_access_tier(base, &tier) ? tier : CiraTierFar;
}

/* The device for prefetches: vortex if the machine has one, else its first. */
static MlirStringRef device_of(MlirAttribute machine) {
  MlirStringRef vortex = cira__str("vortex");
  return ciraMachineAttrHasDevice(machine, vortex)
             ? vortex
             : ciraMachineAttrGetDevice(machine, 0);
}

static void offload(const run_t *run, MlirStringRef device) {
  MlirOperation first = run->ops[0];
  MlirContext ctx = mlirOperationGetContext(first);
  MlirLocation loc = mlirOperationGetLocation(first);
  MlirBlock body = mlirBlockCreate(0, NULL, NULL);
  MlirRegion region = mlirRegionCreate();
  mlirRegionAppendOwnedBlock(region, body);
  MlirOperationState yield =
      mlirOperationStateGet(cira__str("cira.yield"), loc);
  MlirOperation end = mlirOperationCreate(&yield);
  mlirBlockAppendOwnedOperation(body, end);
  MlirNamedAttribute name =
      mlirNamedAttributeGet(mlirIdentifierGet(ctx, cira__str("device")),
                            mlirFlatSymbolRefAttrGet(ctx, device));
  MlirOperationState state =
      mlirOperationStateGet(cira__str("cira.offload"), loc);
  mlirOperationStateAddAttributes(&state, 1, &name);
  mlirOperationStateAddOwnedRegions(&state, 1, &region);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(first), first, op);
  for (intptr_t i = 0; i < run->count; i++) {
    mlirOperationMoveBefore(run->ops[i], end);
  }
}

static void finish(run_t *run) {
  if (run->count == 0) {
    return;
  }
  MlirOperation first = run->ops[0];
  MlirAttribute machine = ciraOperationGetMachine(first);
  MlirStringRef device = device_of(machine);
  CiraMachine m = cira_cost_machine(first);
  int64_t busy;
  if (__builtin_mul_overflow(run->accesses, m.device_busy_ns, &busy)) {
    busy = INT64_MAX / 2;
  }
  int64_t cost = m.sync_ns + busy;
  if (device.length == 0) {
    cira__remark(first, pass_name, "missed: the machine has no device");
  } else if (run->saved_ns <= cost) {
    cira__remark(first, pass_name,
                 "missed: gain %ld ns: %ld accesses save %ld ns, hand-over %ld "
                 "ns, device busy %ld ns",
                 (long)(run->saved_ns - cost), (long)run->accesses,
                 (long)run->saved_ns, (long)m.sync_ns, (long)busy);
  } else {
    cira__remark(first, pass_name,
                 "on %.*s: gain %ld ns: %ld accesses save %ld ns, hand-over "
                 "%ld ns, device busy %ld ns",
                 (int)device.length, device.data, (long)(run->saved_ns - cost),
                 (long)run->accesses, (long)run->saved_ns, (long)m.sync_ns,
                 (long)busy);
    offload(run, device);
  }
  *run = (run_t){.count = 0};
}

/* Adds a prefetch to the run, or says why not. */
static void add(run_t *run, MlirOperation op) {
  int64_t count, saved;
  if (!ciraValueGetConstant(mlirOperationGetOperand(op, count_operand(op)),
                            &count)) {
    finish(run);
    cira__remark(op, pass_name,
                 "missed: the number of accesses is not a constant");
    return;
  }
  CiraMachine m = cira_cost_machine(op);
  int64_t each =
      cira_cost_max(0, m.tier_latency_ns[tier_of(op)] - m.llc_latency_ns);
  if (count < 0 || __builtin_mul_overflow(count, each, &saved) ||
      saved > INT64_MAX / (2 * run_max) || count > INT64_MAX / (2 * run_max)) {
    saved = INT64_MAX / (2 * run_max);
    count = cira_cost_min(cira_cost_max(count, 0), saved);
  }
  run->ops[run->count++] = op;
  run->accesses += count;
  run->saved_ns += saved;
  if (run->count == run_max) {
    finish(run);
  }
}

static void partition_block(MlirBlock block) {
  run_t run = {.count = 0};
  MlirOperation op = mlirBlockGetFirstOperation(block);
  while (!mlirOperationIsNull(op)) {
    MlirOperation next = mlirOperationGetNextInBlock(op);
    if (count_operand(op) >= 0) {
      add(&run, op);
    } else {
      finish(&run);
    }
    op = next;
  }
  finish(&run);
}

static MlirWalkResult visit(MlirOperation op, void *unused) {
  (void)unused;
  if (ciraOperationHasName(op, "cira.offload")) {
    return MlirWalkResultSkip; /* is on a device already */
  }
  for (intptr_t r = 0; r < mlirOperationGetNumRegions(op); r++) {
    MlirBlock block = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, r));
    for (; !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
      partition_block(block);
    }
  }
  return MlirWalkResultAdvance;
}

bool cira__run_CiraPartitionOffload(MlirOperation op) {
  mlirOperationWalk(op, visit, NULL, MlirWalkPreOrder);
  return true;
}
