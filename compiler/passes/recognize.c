/* SPDX-License-Identifier: Apache-2.0
 * cira-recognize: writes the pattern of every access and every loop into the
 * IR. The patterns themselves are found by analysis/access.c; this file walks,
 * annotates and reports. Two walks: accesses first, then loops, which look at
 * the annotations of their own accesses. */
#include "analysis/access.h"
#include "analysis/ir.h"
#include "passes/pass.h"

#include <stdio.h>

static const char pass_name[] = "cira-recognize";

static MlirWalkResult annotate_access(MlirOperation op, void *unused) {
  cira_access_t access;
  cira_loop_t loop;
  (void)unused;
  cira__attr_drop(op, "cira.access");
  if (!cira_access_get(op, &access) || !cira_loop_around(op, &loop)) {
    return MlirWalkResultAdvance;
  }
  cira_access_class_t found;
  cira_access_classify(&access, &loop, &found);
  cira__attr_set(op, "cira.access",
                 ciraAccessAttrGet(mlirOperationGetContext(op), found.pattern,
                                   found.stride_bytes, found.offset_bytes,
                                   found.element_bytes,
                                   cira__str(found.reason)));
  return MlirWalkResultAdvance;
}

/* The costliest access of the loop itself, not of loops inside it. */
typedef struct summary {
  MlirOperation loop;
  MlirAttribute worst;
} summary_t;

static MlirWalkResult summarize(MlirOperation op, void *user) {
  summary_t *summary = user;
  cira_loop_t around;
  MlirAttribute access = cira__attr_get(op, "cira.access");
  if (mlirAttributeIsNull(access) || !cira_loop_around(op, &around) ||
      !mlirOperationEqual(around.op, summary->loop)) {
    return MlirWalkResultAdvance;
  }
  if (mlirAttributeIsNull(summary->worst) ||
      ciraAccessAttrGetPattern(access) >
          ciraAccessAttrGetPattern(summary->worst)) {
    summary->worst = access;
  }
  return MlirWalkResultAdvance;
}

static void report(MlirOperation loop, MlirAttribute pattern) {
  MlirStringRef reason = ciraAccessAttrGetReason(pattern);
  int length = (int)reason.length;
  long stride = (long)ciraAccessAttrGetStrideBytes(pattern);
  long bytes = (long)ciraAccessAttrGetElementBytes(pattern);
  switch (ciraAccessAttrGetPattern(pattern)) {
  case CiraPatternNone:
    cira__remark(loop, pass_name, "missed: no pattern: %.*s", length,
                 reason.data);
    return;
  case CiraPatternStrided:
    cira__remark(loop, pass_name, "strided by %ld bytes, %ld bytes each: %.*s",
                 stride, bytes, length, reason.data);
    return;
  case CiraPatternIndexed:
    cira__remark(loop, pass_name,
                 "indexed, %ld bytes each, indices strided by %ld bytes: %.*s",
                 bytes, stride, length, reason.data);
    return;
  case CiraPatternLinked:
    cira__remark(loop, pass_name, "linked, link at byte %ld of the node: %.*s",
                 (long)ciraAccessAttrGetOffsetBytes(pattern), length,
                 reason.data);
    return;
  case CiraPatternFrontier:
    cira__remark(loop, pass_name, "frontier, %ld bytes each: %.*s", bytes,
                 length, reason.data);
    return;
  }
}

static MlirWalkResult annotate_loop(MlirOperation op, void *unused) {
  cira_loop_t loop;
  (void)unused;
  cira__attr_drop(op, "cira.pattern");
  if (!cira_loop_get(op, &loop)) {
    return MlirWalkResultAdvance;
  }
  summary_t summary = {.loop = op};
  mlirOperationWalk(op, summarize, &summary, MlirWalkPreOrder);
  if (mlirAttributeIsNull(summary.worst)) {
    summary.worst =
        ciraAccessAttrGet(mlirOperationGetContext(op), CiraPatternNone, 0, 0, 0,
                          cira__str("the loop itself touches no memory"));
  }
  cira__attr_set(op, "cira.pattern", summary.worst);
  report(op, summary.worst);
  return MlirWalkResultAdvance;
}

bool cira__run_CiraRecognize(MlirOperation op) {
  mlirOperationWalk(op, annotate_access, NULL, MlirWalkPreOrder);
  mlirOperationWalk(op, annotate_loop, NULL, MlirWalkPreOrder);
  return true;
}
