/* SPDX-License-Identifier: Apache-2.0
 * cira-place: in which tier an array goes that cira.alloc leaves open. The
 * farthest tier in which no access has to wait: an access with a pattern is
 * asked for cira.distance pages ahead, so it does not wait if distance times
 * the time of an iteration reaches the tier's latency. Arrays that fit into
 * the last-level cache stay local; no larger ones do, nor those of a size that
 * is not known: local memory may be too small for them, and a page of theirs
 * that is in use stays here anyway. Arrays whose accesses are not all in sight
 * are left to the runtime. Reads the annotations of cira-recognize and
 * cira-prefetch-distance. */
#include "analysis/access.h"
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "analysis/layout.h"
#include "passes/pass.h"

static const char pass_name[] = "cira-place";
enum { max_depth = 16 };

static const char *const tier_names[] = {"local", "cxl", "remote_cxl", "far"};

typedef struct uses {
  int64_t cover_ns; /* what the worst access hides; INT64_MAX: all */
  intptr_t accesses;
  bool escapes;
} uses_t;

/* What an access hides by being asked for ahead, ns. Outside of loops it waits
 * once, which does not count. */
static int64_t cover_of(const cira_access_t *access) {
  cira_loop_t loop;
  if (!cira_loop_around(access->op, &loop)) {
    return INT64_MAX;
  }
  MlirAttribute pattern = cira__attr_get(access->op, "cira.access");
  MlirAttribute distance = cira__attr_get(loop.op, "cira.distance");
  int64_t cover;
  if (mlirAttributeIsNull(pattern) || mlirAttributeIsNull(distance) ||
      ciraAccessAttrGetPattern(pattern) == CiraPatternNone) {
    return 0;
  }
  return __builtin_mul_overflow(ciraDistanceAttrGetPages(distance),
                                ciraDistanceAttrGetIterationNs(distance),
                                &cover)
             ? INT64_MAX
             : cover;
}

static bool is_address_op(MlirOperation op) {
  return ciraOperationHasName(op, "cira.handle_offset") ||
         ciraOperationHasName(op, "cira.handle_field") ||
         ciraOperationHasName(op, "cira.handle_cast") ||
         ciraOperationHasName(op, "cira.handle_view") ||
         ciraOperationHasName(op, "memref.cast");
}

static void follow(MlirValue value, int depth, uses_t *uses) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  for (; !mlirOpOperandIsNull(use) && !uses->escapes;
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    cira_access_t access;
    if (cira_access_get(user, &access) && mlirValueEqual(access.base, value) &&
        !(access.is_store &&
          mlirValueEqual(mlirOperationGetOperand(user, 0), value))) {
      uses->accesses++;
      uses->cover_ns = cira_cost_min(uses->cover_ns, cover_of(&access));
    } else if (is_address_op(user) && depth < max_depth) {
      MlirValue result = mlirOperationGetResult(user, 0);
      if (ciraTypeIsALLVMPointer(mlirValueGetType(result))) {
        uses->escapes = true;
      } else {
        follow(result, depth + 1, uses);
      }
    } else if (!ciraOperationHasName(user, "cira.dealloc") &&
               !ciraOperationHasName(user, "cira.handle_is_null")) {
      uses->escapes = true;
    }
  }
}

static bool fits_into_cache(MlirOperation alloc, const CiraMachine *m) {
  int64_t count, size, align, bytes;
  MlirType type = mlirValueGetType(mlirOperationGetResult(alloc, 0));
  return ciraValueGetConstant(mlirOperationGetOperand(alloc, 0), &count) &&
         cira_layout_size(ciraHandleTypeGetElementType(type), &size, &align) &&
         !__builtin_mul_overflow(count, size, &bytes) && bytes <= m->llc_bytes;
}

static void place(MlirOperation alloc, CiraTier tier) {
  mlirOperationSetAttributeByName(
      alloc, cira__str("tier"),
      ciraTierAttrGet(mlirOperationGetContext(alloc), tier));
}

static MlirWalkResult visit(MlirOperation op, void *unused) {
  (void)unused;
  if (!ciraOperationHasName(op, "cira.alloc") ||
      !mlirAttributeIsNull(
          mlirOperationGetAttributeByName(op, cira__str("tier"))) ||
      !ciraTypeIsAHandle(mlirValueGetType(mlirOperationGetResult(op, 0)))) {
    return MlirWalkResultAdvance;
  }
  CiraMachine m = cira_cost_machine(op);
  if (fits_into_cache(op, &m)) {
    place(op, CiraTierLocal);
    cira__remark(op, pass_name,
                 "local: fits into the last-level cache (%ld "
                 "bytes)",
                 (long)m.llc_bytes);
    return MlirWalkResultAdvance;
  }
  uses_t uses = {.cover_ns = INT64_MAX};
  follow(mlirOperationGetResult(op, 0), 0, &uses);
  if (uses.escapes) {
    cira__remark(op, pass_name,
                 "missed: not all accesses are in sight; the runtime decides");
    return MlirWalkResultAdvance;
  }
  int tier = CiraTierFar;
  while (tier > CiraTierLocal && m.tier_latency_ns[tier] > uses.cover_ns) {
    tier--;
  }
  if (tier == CiraTierLocal) {
    cira__remark(op, pass_name,
                 "missed: of %ld accesses the worst is asked for %ld ns ahead, "
                 "no tier hides so little, and the array may not fit into "
                 "local memory; the runtime decides",
                 (long)uses.accesses, (long)uses.cover_ns);
    return MlirWalkResultAdvance;
  }
  place(op, (CiraTier)tier);
  if (uses.cover_ns == INT64_MAX) {
    cira__remark(op, pass_name, "%s: no access in a loop waits",
                 tier_names[tier]);
  } else {
    cira__remark(op, pass_name,
                 "%s (%ld ns): of %ld accesses the worst is asked for %ld ns "
                 "ahead",
                 tier_names[tier], (long)m.tier_latency_ns[tier],
                 (long)uses.accesses, (long)uses.cover_ns);
  }
  return MlirWalkResultAdvance;
}

bool cira__run_CiraPlace(MlirOperation op) {
  mlirOperationWalk(op, visit, NULL, MlirWalkPreOrder);
  return true;
}
