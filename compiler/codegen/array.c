/* SPDX-License-Identifier: Apache-2.0 */
#include "codegen/array.h"

#include "analysis/ir.h"

#include "mlir-c/AffineMap.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

enum { at_allocated, at_aligned, at_offset, at_sizes, at_strides };

MlirType cira_array_element(MlirType type) {
  if (ciraTypeIsAHandle(type)) {
    return ciraHandleTypeGetElementType(type);
  }
  return ciraTypeIsARemoteMemRef(type)
             ? ciraRemoteMemRefTypeGetElementType(type)
             : mlirShapedTypeGetElementType(type);
}

static bool is_row_major(MlirType type) {
  if (ciraTypeIsARemoteMemRef(type)) {
    return mlirAttributeIsNull(ciraRemoteMemRefTypeGetLayout(type));
  }
  return mlirAffineMapIsIdentity(mlirMemRefTypeGetAffineMap(type));
}

bool cira_array_get(cira_emit_t *e, MlirOperation op, intptr_t i,
                    cira_array_t *out_array) {
  MlirValue value = mlirOperationGetOperand(op, i);
  MlirType type = mlirValueGetType(value);
  cira_array_t a = {
      .element = cira_array_element(type), .rank = 1, .row_major = true};
  if (mlirTypeIsNull(cira_emit_type(e, op, type)) ||
      !cira_emit_size(e, op, a.element, &a.element_bytes)) {
    return false;
  }
  MlirValue lowered = cira_emit_operand(e, op, i);
  if (ciraTypeIsAHandle(type)) {
    a.base = lowered;
  } else {
    a.descriptor = lowered;
    a.row_major = is_row_major(type);
    a.rank = ciraTypeIsARemoteMemRef(type) ? ciraRemoteMemRefTypeGetRank(type)
                                           : mlirShapedTypeGetRank(type);
    a.base = cira_emit_extract(e, lowered, at_aligned, e->ptr);
    if (!a.row_major) {
      MlirValue offset = cira_emit_extract(e, lowered, at_offset, e->i64);
      a.base =
          cira_emit_add(e, a.base, cira_emit_scale(e, offset, a.element_bytes));
    }
  }
  *out_array = a;
  return true;
}

static MlirValue number_of(cira_emit_t *e, const cira_array_t *a, int64_t at,
                           intptr_t i) {
  MlirType numbers = mlirLLVMArrayTypeGet(e->i64, (unsigned)a->rank);
  return cira_emit_extract(e, cira_emit_extract(e, a->descriptor, at, numbers),
                           i, e->i64);
}

MlirValue cira_array_size(cira_emit_t *e, const cira_array_t *a, intptr_t i) {
  return number_of(e, a, at_sizes, i);
}

MlirValue cira_array_stride(cira_emit_t *e, const cira_array_t *a, intptr_t i) {
  return number_of(e, a, at_strides, i);
}

MlirValue cira_array_steps(cira_emit_t *e, const cira_array_t *a,
                           MlirValue number) {
  return a->row_major ? number
                      : cira_emit_binary(e, "llvm.mul", number,
                                         cira_array_stride(e, a, 0));
}

MlirValue cira_array_describe(cira_emit_t *e, MlirType type,
                              MlirValue allocated, MlirValue aligned,
                              intptr_t rank, const MlirValue *sizes,
                              const MlirValue *strides) {
  MlirValue d = cira_emit_undef(e, type);
  d = cira_emit_insert(e, d, allocated, at_allocated);
  d = cira_emit_insert(e, d, aligned, at_aligned);
  d = cira_emit_insert(e, d, cira_emit_i64(e, 0), at_offset);
  if (rank == 0) {
    return d;
  }
  MlirType numbers = mlirLLVMArrayTypeGet(e->i64, (unsigned)rank);
  MlirValue all_sizes = cira_emit_undef(e, numbers);
  MlirValue all_strides = cira_emit_undef(e, numbers);
  for (intptr_t i = 0; i < rank; i++) {
    all_sizes = cira_emit_insert(e, all_sizes, sizes[i], i);
    all_strides = cira_emit_insert(e, all_strides, strides[i], i);
  }
  d = cira_emit_insert(e, d, all_sizes, at_sizes);
  return cira_emit_insert(e, d, all_strides, at_strides);
}

MlirValue cira_array_allocated(cira_emit_t *e, MlirValue descriptor) {
  return cira_emit_extract(e, descriptor, at_allocated, e->ptr);
}
