/* SPDX-License-Identifier: Apache-2.0
 * Short forms of what every analysis and pass does with MLIR's C API: names,
 * attributes, remarks with figures, building ops. No state, no policy.
 * Threading: as the IR they are given. */
#ifndef CIRA_COMPILER_ANALYSIS_IR_H
#define CIRA_COMPILER_ANALYSIS_IR_H

#include "cira-c/IR.h"

#include <stdarg.h>
#include <stdint.h>

/* A NUL-terminated string as MLIR takes it. */
static inline MlirStringRef cira__str(const char *text) {
  return mlirStringRefCreateFromCString(text);
}

/* The op that computes `value`; null (ptr is NULL) for a block argument. */
static inline MlirOperation cira__def(MlirValue value) {
  return mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value)
                                     : (MlirOperation){NULL};
}

/* Is `value` computed by an op of this name? Writes the op then. */
bool cira__def_is(MlirValue value, const char *name, MlirOperation *out_op);

/* Remark "<pass>: <text>" at `op`, formatted as printf does. */
void cira__remark(MlirOperation op, const char *pass, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets or drops a discardable attribute. */
void cira__attr_set(MlirOperation op, const char *name, MlirAttribute value);
void cira__attr_drop(MlirOperation op, const char *name);
/* Null attribute if the op has none of this name. */
MlirAttribute cira__attr_get(MlirOperation op, const char *name);

/* What a new op is made of; zero fields are left out. At most 8 operands,
 * results and attributes each. */
typedef struct cira_op_spec {
  const char *name; /* "arith.addi" */
  MlirLocation loc;
  intptr_t operand_count;
  MlirValue operands[8];
  intptr_t result_count;
  MlirType results[8];
  intptr_t attr_count;
  MlirNamedAttribute attrs[8];
} cira_op_spec_t;

/* Creates the op in front of `before`. */
MlirOperation cira__build(const cira_op_spec_t *spec, MlirOperation before);

/* A constant of type index in front of `before`. */
MlirValue cira__build_index(MlirOperation before, int64_t number);

/* `lhs OP rhs` on index values in front of `before`; `name` is an arith op. */
MlirValue cira__build_binary(MlirOperation before, const char *name,
                             MlirValue lhs, MlirValue rhs);

#endif /* CIRA_COMPILER_ANALYSIS_IR_H */
