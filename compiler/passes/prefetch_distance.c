/* SPDX-License-Identifier: Apache-2.0
 * cira-prefetch-distance: how many iterations ahead a loop's data must be
 * asked for, so that it is there when its iteration comes. Two distances (D8
 * of the design): lines into the cache, pages from the fabric. Reads the
 * annotations of cira-recognize, writes cira.distance. */
#include "analysis/access.h"
#include "analysis/cost.h"
#include "analysis/ir.h"
#include "passes/pass.h"

static const char pass_name[] = "cira-prefetch-distance";

/* The first access of the loop itself that has the loop's pattern. */
typedef struct search {
  MlirOperation loop;
  MlirAttribute pattern;
  MlirOperation found;
} search_t;

static MlirWalkResult find_access(MlirOperation op, void *user) {
  search_t *search = user;
  cira_loop_t around;
  MlirAttribute access = cira__attr_get(op, "cira.access");
  if (!mlirAttributeIsNull(access) &&
      mlirAttributeEqual(access, search->pattern) &&
      cira_loop_around(op, &around) &&
      mlirOperationEqual(around.op, search->loop)) {
    search->found = op;
    return MlirWalkResultInterrupt;
  }
  return MlirWalkResultAdvance;
}

/* The tier of the data; far if the IR does not say. */
static CiraTier tier_of(MlirOperation loop, MlirAttribute pattern,
                        bool *out_known) {
  search_t search = {.loop = loop, .pattern = pattern};
  mlirOperationWalk(loop, find_access, &search, MlirWalkPreOrder);
  cira_access_t access;
  CiraTier tier = CiraTierFar;
  *out_known = !mlirOperationIsNull(search.found) &&
               cira_access_get(search.found, &access) &&
               cira_access_tier(access.base, &tier);
  return tier;
}

typedef struct distances {
  int64_t lines, pages;
  int64_t iteration_ns;
  int64_t line_ns, page_ns;
  bool bounded; /* by what may be in flight */
} distances_t;

static int64_t distance(int64_t latency_ns, int64_t iteration_ns,
                        int64_t in_flight, int64_t per_unit, bool *bounded) {
  int64_t wanted = cira_cost_max(1, cira_cost_ceil(latency_ns, iteration_ns));
  int64_t most;
  if (__builtin_mul_overflow(in_flight, per_unit, &most) || wanted <= most) {
    return wanted;
  }
  *bounded = true;
  return most;
}

static distances_t compute(const CiraMachine *m, CiraTier tier,
                           MlirAttribute pattern, int64_t ops) {
  int64_t stride = ciraAccessAttrGetStrideBytes(pattern);
  bool strided = ciraAccessAttrGetPattern(pattern) == CiraPatternStrided ||
                 ciraAccessAttrGetPattern(pattern) == CiraPatternFrontier;
  uint64_t step = stride < 0 ? -(uint64_t)stride : (uint64_t)stride;
  int64_t unit = tier == CiraTierFar ? m->page_bytes : m->line_bytes;
  int64_t moved =
      strided && step < (uint64_t)unit ? (int64_t)step : unit; /* bytes */
  distances_t d = {0};
  if (__builtin_mul_overflow(ops, m->op_ns, &d.iteration_ns)) {
    d.iteration_ns = INT64_MAX;
  }
  if (m->tier_bytes_per_us[tier] > 0) {
    int64_t transfer_ns =
        cira_cost_ceil(moved * 1000, m->tier_bytes_per_us[tier]);
    d.iteration_ns = cira_cost_max(d.iteration_ns, transfer_ns);
  }
  d.page_ns = m->tier_latency_ns[tier];
  d.line_ns = m->tier_latency_ns[tier == CiraTierFar ? CiraTierLocal : tier];
  int64_t per_line =
      strided ? cira_cost_max(1, m->line_bytes / cira_cost_max(1, moved)) : 1;
  int64_t per_page =
      strided ? cira_cost_max(1, m->page_bytes / cira_cost_max(1, moved)) : 1;
  d.lines = distance(d.line_ns, d.iteration_ns, m->lines_in_flight, per_line,
                     &d.bounded);
  d.pages = distance(d.page_ns, d.iteration_ns, m->pages_in_flight, per_page,
                     &d.bounded);
  return d;
}

static MlirWalkResult annotate(MlirOperation op, void *unused) {
  static const char *const tier_names[] = {"local", "cxl", "remote_cxl", "far"};
  cira_loop_t loop;
  (void)unused;
  cira__attr_drop(op, "cira.distance");
  if (!cira_loop_get(op, &loop)) {
    return MlirWalkResultAdvance;
  }
  MlirAttribute pattern = cira__attr_get(op, "cira.pattern");
  if (mlirAttributeIsNull(pattern)) {
    cira__remark(op, pass_name,
                 "missed: the loop has no cira.pattern; run cira-recognize "
                 "first");
    return MlirWalkResultAdvance;
  }
  if (ciraAccessAttrGetPattern(pattern) == CiraPatternNone) {
    MlirStringRef reason = ciraAccessAttrGetReason(pattern);
    cira__remark(op, pass_name, "missed: no pattern: %.*s", (int)reason.length,
                 reason.data);
    return MlirWalkResultAdvance;
  }
  bool known;
  CiraTier tier = tier_of(op, pattern, &known);
  CiraMachine machine = cira_cost_machine(op);
  distances_t d =
      compute(&machine, tier, pattern, cira_cost_iteration_ops(&loop));
  cira__attr_set(op, "cira.distance",
                 ciraDistanceAttrGet(mlirOperationGetContext(op), d.lines,
                                     d.pages, d.iteration_ns, d.page_ns));
  cira__remark(op, pass_name,
               "%ld iterations ahead for lines (%ld ns), %ld for pages (%ld "
               "ns), at %ld ns per iteration; tier %s%s%s",
               (long)d.lines, (long)d.line_ns, (long)d.pages, (long)d.page_ns,
               (long)d.iteration_ns, tier_names[tier],
               known ? "" : " (assumed, the code does not say)",
               d.bounded ? "; bounded by what may be in flight" : "");
  return MlirWalkResultAdvance;
}

bool cira__run_CiraPrefetchDistance(MlirOperation op) {
  mlirOperationWalk(op, annotate, NULL, MlirWalkPreOrder);
  return true;
}
