/* SPDX-License-Identifier: Apache-2.0
 *
 * helpers: what a program may call besides the C library, and the one function
 * that MLIR's own lowering calls (memref.copy).
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cira-jit/jit.h"

uint64_t jit_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void print_i64(int64_t number) {
  printf("%" PRId64 "\n", number);
}

static void print_f64(double number) {
  printf("%.17g\n", number);
}

/* A memref without its rank in the type, as MLIR lowers it. */
typedef struct unranked {
  int64_t rank;
  struct {
    char *allocated;
    char *aligned;
    int64_t offset;
    int64_t numbers[]; /* sizes, then strides */
  } *descriptor;
} unranked_t;

static void copy_dimension(int64_t element_bytes, int64_t rank, int64_t at,
                           const int64_t *sizes, const int64_t *from_strides,
                           const int64_t *to_strides, const char *from,
                           char *to) {
  if (at == rank) {
    memcpy(to, from, (size_t)element_bytes);
    return;
  }
  for (int64_t i = 0; i < sizes[at]; i++) {
    copy_dimension(element_bytes, rank, at + 1, sizes, from_strides, to_strides,
                   from + i * from_strides[at] * element_bytes,
                   to + i * to_strides[at] * element_bytes);
  }
}

/* memref.copy of memrefs that are not both contiguous. */
static void memref_copy(int64_t element_bytes, const unranked_t *from,
                        const unranked_t *to) {
  int64_t rank = from->rank;
  const int64_t *sizes = from->descriptor->numbers;
  copy_dimension(
      element_bytes, rank, 0, sizes, sizes + rank,
      to->descriptor->numbers + rank,
      from->descriptor->aligned + from->descriptor->offset * element_bytes,
      to->descriptor->aligned + to->descriptor->offset * element_bytes);
}

const jit_symbol_t jit_helpers[] = {
    {"cira_now_ns", (void *)jit_now_ns},
    {"cira_print_i64", (void *)print_i64},
    {"cira_print_f64", (void *)print_f64},
    {"memrefCopy", (void *)memref_copy},
    {NULL, NULL},
};
