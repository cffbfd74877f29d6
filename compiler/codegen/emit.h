/* SPDX-License-Identifier: Apache-2.0
 * Building ops of the LLVM dialect from C: constants, memory, branches, calls
 * of the runtime. A cira_emit_t is a place in a block; everything is put there,
 * in order. Values keep their types apart: an op of the dialect sees
 * !cira.handle, what is emitted here sees !llvm.ptr, and a cast stands in
 * between until cira-finish-llvm has converted all types.
 * Invariant: a branch is an scf.if, so that code may be put into the body of
 * any structured loop.
 * Threading: one emitter per module at a time.
 * Reading order: this file, array.h (arrays of the program), lower.h (ops). */
#ifndef CIRA_COMPILER_CODEGEN_EMIT_H
#define CIRA_COMPILER_CODEGEN_EMIT_H

#include "cira-c/IR.h"
#include "cira-c/Lowering.h"

#include <stdbool.h>
#include <stdint.h>

enum { cira_emit_operands_max = 64, cira_emit_scratch_classes = 32 };

/* A function of cira/abi.def, by its place in the list. */
typedef enum cira_abi_function {
#define CIRA_ABI(result, name, arguments, effects, meaning) CIRA_FN_##name,
#include "cira/abi.def"
#undef CIRA_ABI
  CIRA_FN_COUNT
} cira_abi_function_t;

struct cira_inline;
enum { cira_inline_max = 8 };

typedef struct cira_emit {
  MlirContext ctx;
  CiraTypeConverter types;
  bool checked; /* cira.checked: no inlined check may hide an error */

  MlirOperation module; /* declarations go here */
  bool declared[CIRA_FN_COUNT];
  bool range_declared;
  const struct cira_inline *inlines[cira_inline_max]; /* made there already */
  int inline_count;

  MlirOperation function; /* stack slots go to its first block */
  MlirValue scratch[cira_emit_scratch_classes]; /* by log2 of the size */

  MlirLocation loc;
  MlirBlock block;
  MlirOperation before; /* null: at the end of the block */

  MlirType ptr, i1, i8, i32, i64, index;
} cira_emit_t;

/* An emitter for everything inside `root`; cira_emit_fini frees what it holds.
 * Declares nothing yet. */
void cira_emit_init(cira_emit_t *e, MlirOperation root);
void cira_emit_fini(cira_emit_t *e);

/* Goes to the place in front of `op`, and to the function and module around
 * it. False, with an error at `op`, if there is no function around it. */
bool cira_emit_at(cira_emit_t *e, MlirOperation op);

/* ---- types ---------------------------------------------------------------
 */

/* The LLVM type of a value of type `type`; null, with an error at `op`, if it
 * has none. */
MlirType cira_emit_type(cira_emit_t *e, MlirOperation op, MlirType type);

/* Size in memory, bytes, of a value of type `type` (of any dialect). False,
 * with an error at `op`, if it has none. */
bool cira_emit_size(cira_emit_t *e, MlirOperation op, MlirType type,
                    int64_t *out_bytes);

/* `value` under another type that lowers to the same LLVM type. */
MlirValue cira_emit_cast(cira_emit_t *e, MlirValue value, MlirType type);

/* Operand `i` of `op` as an LLVM value. */
MlirValue cira_emit_operand(cira_emit_t *e, MlirOperation op, intptr_t i);

/* Lets every use of result `i` of `op` use the LLVM value instead. */
void cira_emit_result(cira_emit_t *e, MlirOperation op, intptr_t i,
                      MlirValue value);

/* ---- values ---------------------------------------------------------------
 */

typedef enum cira_compare { /* LLVM's own numbers */
                            CIRA_CMP_EQ = 0,
                            CIRA_CMP_NE = 1,
                            CIRA_CMP_SGT = 4,
                            CIRA_CMP_ULT = 6
} cira_compare_t;

MlirValue cira_emit_int(cira_emit_t *e, MlirType type, int64_t number);
MlirValue cira_emit_i64(cira_emit_t *e, int64_t number);
MlirValue cira_emit_i32(cira_emit_t *e, int64_t number);
MlirValue cira_emit_undef(cira_emit_t *e, MlirType type);
MlirValue cira_emit_null(cira_emit_t *e);
/* `name` is an op of the LLVM dialect on two values of one type. */
MlirValue cira_emit_binary(cira_emit_t *e, const char *name, MlirValue a,
                           MlirValue b);
/* a * number, without an op where number is 1. */
MlirValue cira_emit_scale(cira_emit_t *e, MlirValue a, int64_t number);
MlirValue cira_emit_compare(cira_emit_t *e, cira_compare_t how, MlirValue a,
                            MlirValue b);
/* `name` converts: llvm.ptrtoint and the like. */
MlirValue cira_emit_convert(cira_emit_t *e, const char *name, MlirValue a,
                            MlirType to);
MlirValue cira_emit_extract(cira_emit_t *e, MlirValue aggregate, int64_t at,
                            MlirType type);
MlirValue cira_emit_insert(cira_emit_t *e, MlirValue aggregate, MlirValue part,
                           int64_t at);

/* ---- memory ---------------------------------------------------------------
 */

/* The pointer `bytes` further. */
MlirValue cira_emit_add(cira_emit_t *e, MlirValue pointer, MlirValue bytes);
MlirValue cira_emit_add_const(cira_emit_t *e, MlirValue pointer, int64_t bytes);

/* A value of the LLVM type `type` at `pointer`. Structs and small arrays go
 * field by field, so that LLVM keeps the fields apart. `align_bytes` 0: as the
 * type asks. */
MlirValue cira_emit_load(cira_emit_t *e, MlirValue pointer, MlirType type,
                         int64_t align_bytes);
void cira_emit_store(cira_emit_t *e, MlirValue value, MlirValue pointer,
                     MlirType type, int64_t align_bytes);

/* A stack slot of `bytes` bytes of this function, for good. */
MlirValue cira_emit_slot(cira_emit_t *e, int64_t bytes);
/* One that the next cira_emit_scratch of that size may take again: for what is
 * written, passed on and read back at once. */
MlirValue cira_emit_scratch(cira_emit_t *e, int64_t bytes);

/* The line of `pointer` into cache level 1, 2 or 3. */
void cira_emit_prefetch(cira_emit_t *e, MlirValue pointer, int level);

/* ---- branches -------------------------------------------------------------
 * cira_if_t f = cira_emit_if(e, condition);
 *   ...                        emits what runs if it holds
 * cira_emit_else(e, &f, n, values);
 *   ...                        and otherwise
 * cira_emit_end(e, &f, n, values, results);
 */
typedef struct cira_if {
  MlirValue condition;
  MlirBlock outer;
  MlirOperation before;
  MlirBlock arms[2];
} cira_if_t;

cira_if_t cira_emit_if(cira_emit_t *e, MlirValue condition);
void cira_emit_else(cira_emit_t *e, cira_if_t *f, intptr_t count,
                    const MlirValue *values);
void cira_emit_end(cira_emit_t *e, cira_if_t *f, intptr_t count,
                   const MlirValue *values, MlirValue *out_results);

/* ---- the runtime ----------------------------------------------------------
 */

/* Calls a function of cira/abi.def with LLVM values; null if it gives
 * nothing. */
MlirValue cira_emit_call(cira_emit_t *e, cira_abi_function_t function,
                         const MlirValue *arguments);

/* i1: are the bytes at `pointer` most likely here? Inlined, from the table
 * that cira/abi.h describes; a hint. */
MlirValue cira_emit_is_here(cira_emit_t *e, MlirValue pointer);

/* ---- inlined functions ----------------------------------------------------
 * Code that many ops need stands once in the module, as an internal function
 * that LLVM always inlines: the IR in between stays small.
 */
typedef struct cira_inline {
  const char *name;      /* "cira_inline_..." */
  char result;           /* p: ptr, l: i64, b: i1, v: nothing */
  const char *arguments; /* the same letters */
  /* Emits the body; gives its result. */
  MlirValue (*build)(cira_emit_t *e, const MlirValue *arguments);
} cira_inline_t;

/* Calls it, and makes it if the module has it not yet. */
MlirValue cira_emit_inline(cira_emit_t *e, const cira_inline_t *function,
                           const MlirValue *arguments);

/* ---- anything else --------------------------------------------------------
 */

/* An op of any name at this place; attributes as MLIR text, parsed. */
typedef struct cira_emit_attr {
  const char *name;
  MlirAttribute value;
} cira_emit_attr_t;

MlirOperation cira_emit_op(cira_emit_t *e, const char *name,
                           intptr_t operand_count, const MlirValue *operands,
                           intptr_t result_count, const MlirType *results,
                           intptr_t attr_count, const cira_emit_attr_t *attrs,
                           intptr_t region_count);

/* Error "<op> <text>" at `op`. Always false. */
bool cira_emit_error(MlirOperation op, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* CIRA_COMPILER_CODEGEN_EMIT_H */
