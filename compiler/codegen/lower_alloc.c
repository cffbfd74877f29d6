/* SPDX-License-Identifier: Apache-2.0
 * Allocation: arrays behind handles, remote_memrefs, and the program's own
 * memrefs, which live in the far heap as well. */
#include "codegen/array.h"
#include "codegen/lower.h"

#include "analysis/ir.h"
#include "cira/abi.h"

#include "mlir-c/AffineMap.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

enum { runtime_align_bytes = 16 }; /* of cira_abi_alloc */

/* a * b, or too much for any heap: the runtime refuses that with a message. */
static MlirValue product(cira_emit_t *e, MlirValue a, MlirValue b) {
  MlirType fields[2] = {e->i64, e->i1};
  MlirType pair = mlirLLVMStructTypeLiteralGet(e->ctx, 2, fields, false);
  MlirValue both[2] = {a, b};
  MlirValue result =
      mlirOperationGetResult(cira_emit_op(e, "llvm.intr.umul.with.overflow", 2,
                                          both, 1, &pair, 0, NULL, 0),
                             0);
  MlirValue choice[3] = {cira_emit_extract(e, result, 1, e->i1),
                         cira_emit_i64(e, INT64_MAX),
                         cira_emit_extract(e, result, 0, e->i64)};
  return mlirOperationGetResult(
      cira_emit_op(e, "llvm.select", 3, choice, 1, &e->i64, 0, NULL, 0), 0);
}

static MlirValue allocate(cira_emit_t *e, MlirValue bytes, int tier) {
  MlirValue arguments[2] = {bytes, cira_emit_i32(e, tier)};
  return cira_emit_call(e, CIRA_FN_cira_abi_alloc, arguments);
}

static void deallocate(cira_emit_t *e, MlirValue pointer) {
  cira_emit_call(e, CIRA_FN_cira_abi_dealloc, &pointer);
}

/* Static sizes from `shape`, dynamic ones from the operands of `op`, in
 * order. */
static void all_sizes(cira_emit_t *e, MlirOperation op, intptr_t rank,
                      const int64_t *shape, MlirValue *out_sizes) {
  intptr_t operand = 0;
  for (intptr_t i = 0; i < rank; i++) {
    out_sizes[i] = mlirShapedTypeIsDynamicSize(shape[i])
                       ? cira_emit_operand(e, op, operand++)
                       : cira_emit_i64(e, shape[i]);
  }
}

/* Row-major: writes the strides, returns the number of elements. */
static MlirValue row_major(cira_emit_t *e, intptr_t rank,
                           const MlirValue *sizes, MlirValue *out_strides) {
  MlirValue count = cira_emit_i64(e, 1);
  for (intptr_t i = rank - 1; i >= 0; i--) {
    out_strides[i] = count;
    count = i == rank - 1 ? sizes[i] : product(e, count, sizes[i]);
  }
  return count;
}

/* strided<[...], offset: o>: elements up to the last one that it reaches. */
static bool strided(cira_emit_t *e, MlirOperation op, MlirAttribute layout,
                    intptr_t rank, const MlirValue *sizes,
                    MlirValue *out_strides, int64_t *out_offset,
                    MlirValue *out_count) {
  if (!mlirAttributeIsAStridedLayout(layout)) {
    return cira_emit_error(op, "cannot be lowered: the layout is no "
                               "strided<...>; write it as one");
  }
  int64_t offset = mlirStridedLayoutAttrGetOffset(layout);
  if (mlirShapedTypeIsDynamicStrideOrOffset(offset) || offset < 0) {
    return cira_emit_error(op, "cannot be lowered: the offset is not known; "
                               "allocate with constant strides and offset");
  }
  MlirValue count = cira_emit_i64(e, offset + 1);
  for (intptr_t i = 0; i < rank; i++) {
    int64_t stride = mlirStridedLayoutAttrGetStride(layout, i);
    if (mlirShapedTypeIsDynamicStrideOrOffset(stride) || stride < 0) {
      return cira_emit_error(op,
                             "cannot be lowered: stride %ld is not known "
                             "or negative; allocate with constant strides",
                             (long)i);
    }
    out_strides[i] = cira_emit_i64(e, stride);
    MlirValue last =
        cira_emit_binary(e, "llvm.sub", sizes[i], cira_emit_i64(e, 1));
    count = cira_emit_binary(e, "llvm.add", count,
                             product(e, last, out_strides[i]));
  }
  *out_offset = offset;
  *out_count = count;
  return true;
}

static bool alloc_remote(cira_emit_t *e, MlirOperation op, MlirType type) {
  int64_t shape[cira_array_rank_max], bytes, offset = 0;
  MlirValue sizes[cira_array_rank_max], strides[cira_array_rank_max], count;
  intptr_t rank = ciraRemoteMemRefTypeGetRank(type);
  MlirType lowered = cira_emit_type(e, op, type);
  if (rank > cira_array_rank_max) {
    return cira_emit_error(op, "cannot be lowered: rank %ld is above %d",
                           (long)rank, cira_array_rank_max);
  }
  if (mlirTypeIsNull(lowered) ||
      !cira_emit_size(e, op, ciraRemoteMemRefTypeGetElementType(type),
                      &bytes)) {
    return false;
  }
  for (intptr_t i = 0; i < rank; i++) {
    shape[i] = ciraRemoteMemRefTypeGetDimSize(type, i);
  }
  all_sizes(e, op, rank, shape, sizes);
  MlirAttribute layout = ciraRemoteMemRefTypeGetLayout(type);
  if (mlirAttributeIsNull(layout)) {
    count = row_major(e, rank, sizes, strides);
  } else if (!strided(e, op, layout, rank, sizes, strides, &offset, &count)) {
    return false;
  }
  MlirValue base = allocate(e, product(e, count, cira_emit_i64(e, bytes)),
                            (int)ciraRemoteMemRefTypeGetTier(type));
  MlirValue array =
      cira_array_describe(e, lowered, base, base, rank, sizes, strides);
  if (offset != 0) {
    array = cira_emit_insert(e, array, cira_emit_i64(e, offset), 2);
  }
  cira_emit_result(e, op, 0, array);
  return true;
}

bool cira_lower_alloc(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type = mlirValueGetType(mlirOperationGetResult(op, 0));
  int64_t bytes;
  if (ciraTypeIsARemoteMemRef(type)) {
    return alloc_remote(e, op, type);
  }
  if (!cira_emit_size(e, op, ciraHandleTypeGetElementType(type), &bytes)) {
    return false;
  }
  MlirAttribute tier = mlirOperationGetAttributeByName(op, cira__str("tier"));
  MlirValue size =
      product(e, cira_emit_operand(e, op, 0), cira_emit_i64(e, bytes));
  cira_emit_result(e, op, 0,
                   allocate(e, size,
                            mlirAttributeIsNull(tier)
                                ? CIRA_ABI_TIER_ANY
                                : (int)ciraTierAttrGetValue(tier)));
  return true;
}

bool cira_lower_dealloc(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type = mlirValueGetType(mlirOperationGetOperand(op, 0));
  if (mlirTypeIsNull(cira_emit_type(e, op, type))) {
    return false;
  }
  MlirValue array = cira_emit_operand(e, op, 0);
  deallocate(e, ciraTypeIsARemoteMemRef(type) ? cira_array_allocated(e, array)
                                              : array);
  return true;
}

/* ---- memrefs --------------------------------------------------------------
 */

/* The next address that is a multiple of `align`. */
static MlirValue aligned(cira_emit_t *e, MlirValue pointer, int64_t align) {
  MlirValue address = cira_emit_convert(e, "llvm.ptrtoint", pointer, e->i64);
  MlirValue missing = cira_emit_binary(
      e, "llvm.and",
      cira_emit_binary(e, "llvm.sub", cira_emit_i64(e, 0), address),
      cira_emit_i64(e, align - 1));
  return cira_emit_add(e, pointer, missing);
}

bool cira_lower_memref_alloc(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type = mlirValueGetType(mlirOperationGetResult(op, 0));
  MlirType lowered = cira_emit_type(e, op, type);
  int64_t shape[cira_array_rank_max], bytes;
  intptr_t rank = mlirShapedTypeGetRank(type), dynamic = 0;
  if (mlirTypeIsNull(lowered) || rank > cira_array_rank_max ||
      !cira_emit_size(e, op, mlirShapedTypeGetElementType(type), &bytes)) {
    return false;
  }
  for (intptr_t i = 0; i < rank; i++) {
    shape[i] = mlirShapedTypeIsDynamicDim(type, i)
                   ? mlirShapedTypeGetDynamicSize()
                   : mlirShapedTypeGetDimSize(type, i);
    dynamic += mlirShapedTypeIsDynamicDim(type, i);
  }
  if (dynamic != mlirOperationGetNumOperands(op) ||
      !mlirAffineMapIsIdentity(mlirMemRefTypeGetAffineMap(type))) {
    return cira_emit_error(op, "cannot be lowered: its layout is not "
                               "row-major; allocate row-major and cast");
  }
  MlirValue sizes[cira_array_rank_max], strides[cira_array_rank_max];
  all_sizes(e, op, rank, shape, sizes);
  MlirValue size =
      product(e, row_major(e, rank, sizes, strides), cira_emit_i64(e, bytes));
  MlirAttribute wish =
      mlirOperationGetAttributeByName(op, cira__str("alignment"));
  int64_t align =
      mlirAttributeIsNull(wish) ? 1 : mlirIntegerAttrGetValueInt(wish);
  MlirValue base, start;
  if (align > runtime_align_bytes) {
    size = cira_emit_binary(e, "llvm.add", size, cira_emit_i64(e, align));
    base = allocate(e, size, CIRA_ABI_TIER_ANY);
    start = aligned(e, base, align);
  } else {
    base = start = allocate(e, size, CIRA_ABI_TIER_ANY);
  }
  cira_emit_result(
      e, op, 0,
      cira_array_describe(e, lowered, base, start, rank, sizes, strides));
  return true;
}

bool cira_lower_memref_dealloc(cira_lowering_t *l, MlirOperation op) {
  cira_emit_t *e = &l->e;
  MlirType type = mlirValueGetType(mlirOperationGetOperand(op, 0));
  if (!mlirTypeIsAMemRef(type)) {
    return cira_emit_error(op, "cannot be lowered for a memref without a "
                               "rank; cast it to its rank first");
  }
  if (mlirTypeIsNull(cira_emit_type(e, op, type))) {
    return false;
  }
  deallocate(e, cira_array_allocated(e, cira_emit_operand(e, op, 0)));
  return true;
}
