/* SPDX-License-Identifier: Apache-2.0
 * Sizes of types in memory and places of struct fields, by the natural
 * layout of 64-bit targets (what clang and LLVM use on x86-64 and AArch64
 * Linux). Pure functions of the type. */
#ifndef CIRA_COMPILER_ANALYSIS_LAYOUT_H
#define CIRA_COMPILER_ANALYSIS_LAYOUT_H

#include "cira-c/IR.h"

#include <stdint.h>

/* Size and alignment of a value in an array, bytes. False if the type has no
 * known size (an opaque struct, a scalable vector) or one of 2^40 and more. */
bool cira_layout_size(MlirType type, int64_t *out_size_bytes,
                      int64_t *out_align_bytes);

/* Offset of field `field` of an LLVM struct, or of element `field` of an LLVM
 * array or vector, bytes; its type is `*out_type`. False if there is none. */
bool cira_layout_field(MlirType type, int64_t field, int64_t *out_offset_bytes,
                       MlirType *out_type);

#endif /* CIRA_COMPILER_ANALYSIS_LAYOUT_H */
