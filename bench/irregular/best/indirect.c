/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefetches at a distance (Mowry, Lam, Gupta, Design and Evaluation of a
 * Compiler Algorithm for Prefetching, ASPLOS'92), staggered where an index
 * is itself reached through an index.
 */
#include "ahead.h"

static size_t until(size_t n, size_t distance) {
  return n > distance ? n - distance : 0;
}

uint64_t best_indirect_sum(const uint64_t *value, const uint32_t *index,
                           size_t n, size_t distance) {
  uint64_t sum = 0;
  size_t i = 0;
  for (size_t end = until(n, distance); i < end; i++) {
    fetch(&value[index[i + distance]]);
    sum += value[index[i]];
  }
  for (; i < n; i++) {
    sum += value[index[i]];
  }
  return sum;
}

uint64_t best_indirect_two(const uint64_t *value, const uint32_t *map,
                           const uint32_t *index, size_t n, size_t distance) {
  uint64_t sum = 0;
  size_t i = 0;
  for (size_t end = until(n, 2 * distance); i < end; i++) {
    fetch(&map[index[i + 2 * distance]]);
    fetch(&value[map[index[i + distance]]]);
    sum += value[map[index[i]]];
  }
  for (; i < n; i++) {
    sum += value[map[index[i]]];
  }
  return sum;
}

size_t best_indirect_select(const uint64_t *value, const uint32_t *index,
                            size_t n, uint32_t *out, size_t distance) {
  size_t count = 0;
  size_t i = 0;
  for (size_t end = until(n, distance); i < end; i++) {
    fetch(&value[index[i + distance]]);
    if (value[index[i]] & 1) {
      out[count++] = index[i];
    }
  }
  for (; i < n; i++) {
    if (value[index[i]] & 1) {
      out[count++] = index[i];
    }
  }
  return count;
}
