/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/layout.h"

#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

enum { pointer_bytes = 8, max_depth = 32 };
static const int64_t too_large = (int64_t)1 << 40;

static bool size_in(MlirType type, int depth, int64_t *out_size,
                    int64_t *out_align);

static int64_t round_up(int64_t value, int64_t align) {
  return (value + align - 1) / align * align;
}

/* Walks the fields up to `stop` (all: -1); `*out_offset` is where it begins,
 * or the end. */
static bool walk_fields(MlirType type, int depth, int64_t stop,
                        int64_t *out_offset, int64_t *out_align) {
  if (mlirLLVMStructTypeIsOpaque(type)) {
    return false;
  }
  bool packed = mlirLLVMStructTypeIsPacked(type);
  intptr_t count = mlirLLVMStructTypeGetNumElementTypes(type);
  int64_t offset = 0, align = 1;
  for (intptr_t i = 0; i < count; i++) {
    int64_t field_size, field_align;
    if (!size_in(mlirLLVMStructTypeGetElementType(type, i), depth + 1,
                 &field_size, &field_align)) {
      return false;
    }
    if (!packed) {
      offset = round_up(offset, field_align);
      align = field_align > align ? field_align : align;
    }
    if (i == stop) {
      break;
    }
    offset += field_size;
    if (offset >= too_large) {
      return false;
    }
  }
  *out_offset = stop < 0 ? round_up(offset, align) : offset;
  *out_align = align;
  return true;
}

static int64_t power_of_two_at_least(int64_t value) {
  int64_t power = 1;
  while (power < value) {
    power *= 2;
  }
  return power;
}

static bool scalar_bits(MlirType type, int64_t *out_bits) {
  if (mlirTypeIsAInteger(type)) {
    *out_bits = mlirIntegerTypeGetWidth(type);
  } else if (mlirTypeIsAF16(type) || mlirTypeIsABF16(type)) {
    *out_bits = 16;
  } else if (mlirTypeIsAF32(type)) {
    *out_bits = 32;
  } else if (mlirTypeIsAF64(type)) {
    *out_bits = 64;
  } else if (mlirTypeIsAIndex(type) || mlirTypeIsALLVMPointerType(type) ||
             ciraTypeIsAHandle(type)) {
    *out_bits = pointer_bytes * 8;
  } else {
    return false;
  }
  return true;
}

static bool vector_size(MlirType type, int depth, int64_t *out_size,
                        int64_t *out_align) {
  int64_t size, align;
  if (mlirVectorTypeIsScalable(type) ||
      !size_in(mlirShapedTypeGetElementType(type), depth + 1, &size, &align)) {
    return false;
  }
  for (int64_t i = 0; i < mlirShapedTypeGetRank(type); i++) {
    if (__builtin_mul_overflow(size, mlirShapedTypeGetDimSize(type, i),
                               &size) ||
        size >= too_large) {
      return false;
    }
  }
  *out_size = *out_align = power_of_two_at_least(size);
  return true;
}

static bool size_in(MlirType type, int depth, int64_t *out_size,
                    int64_t *out_align) {
  int64_t bits;
  uint64_t count;
  MlirType element;
  if (depth > max_depth) {
    return false;
  }
  if (scalar_bits(type, &bits)) {
    int64_t size = power_of_two_at_least((bits + 7) / 8);
    *out_align = size > 16 ? 16 : size;
    *out_size = size;
    return true;
  }
  if (mlirTypeIsALLVMStructType(type)) {
    return walk_fields(type, depth, -1, out_size, out_align);
  }
  if (ciraTypeIsALLVMArray(type, &count, &element)) {
    return size_in(element, depth + 1, out_size, out_align) &&
           count < (uint64_t)too_large &&
           !__builtin_mul_overflow(*out_size, (int64_t)count, out_size) &&
           *out_size < too_large;
  }
  return mlirTypeIsAVector(type) &&
         vector_size(type, depth, out_size, out_align);
}

bool cira_layout_size(MlirType type, int64_t *out_size_bytes,
                      int64_t *out_align_bytes) {
  int64_t size, align;
  if (!size_in(type, 0, &size, &align) || size >= too_large) {
    return false;
  }
  *out_size_bytes = size;
  *out_align_bytes = align;
  return true;
}

bool cira_layout_field(MlirType type, int64_t field, int64_t *out_offset_bytes,
                       MlirType *out_type) {
  int64_t offset, align, size;
  uint64_t count;
  MlirType element;
  if (field < 0) {
    return false;
  }
  if (mlirTypeIsALLVMStructType(type)) {
    if (mlirLLVMStructTypeIsOpaque(type) ||
        field >= mlirLLVMStructTypeGetNumElementTypes(type) ||
        !walk_fields(type, 0, field, &offset, &align)) {
      return false;
    }
    *out_offset_bytes = offset;
    *out_type = mlirLLVMStructTypeGetElementType(type, field);
    return true;
  }
  if (ciraTypeIsALLVMArray(type, &count, &element)) {
    if ((uint64_t)field >= count) {
      return false;
    }
  } else if (mlirTypeIsAVector(type) && mlirShapedTypeGetRank(type) == 1) {
    element = mlirShapedTypeGetElementType(type);
  } else {
    return false;
  }
  if (!cira_layout_size(element, &size, &align) ||
      __builtin_mul_overflow(size, field, &offset)) {
    return false;
  }
  *out_offset_bytes = offset;
  *out_type = element;
  return true;
}
