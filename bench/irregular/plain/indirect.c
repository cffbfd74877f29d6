/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums and selections through index arrays.
 */
#include "kernels.h"

uint64_t plain_indirect_sum(const uint64_t *value, const uint32_t *index,
                            size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += value[index[i]];
  }
  return sum;
}

uint64_t plain_indirect_two(const uint64_t *value, const uint32_t *map,
                            const uint32_t *index, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += value[map[index[i]]];
  }
  return sum;
}

size_t plain_indirect_select(const uint64_t *value, const uint32_t *index,
                             size_t n, uint32_t *out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    if (value[index[i]] & 1) {
      out[count++] = index[i];
    }
  }
  return count;
}
