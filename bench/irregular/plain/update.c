/* SPDX-License-Identifier: Apache-2.0
 *
 * Random updates of tables: histogram, GUPS (Luszczek et al., The HPC
 * Challenge (HPCC) Benchmark Suite, SC'06) and the ranking of the NAS
 * benchmark IS (Bailey et al., The NAS Parallel Benchmarks, RNR-94-007).
 */
#include "kernels.h"

#include <string.h>

void plain_histogram(uint32_t *count, const uint32_t *key, size_t n) {
  for (size_t i = 0; i < n; i++) {
    count[key[i]]++;
  }
}

void plain_gups(uint64_t *table, uint64_t mask, uint64_t start,
                size_t updates) {
  uint64_t r = start;
  for (size_t i = 0; i < updates; i++) {
    r = gups_next(r);
    table[r & mask] ^= r;
  }
}

void plain_gups_streams(uint64_t *table, uint64_t mask, uint64_t *stream,
                        size_t rounds) {
  for (size_t i = 0; i < rounds; i++) {
    for (size_t j = 0; j < GUPS_STREAMS; j++) {
      stream[j] = gups_next(stream[j]);
      table[stream[j] & mask] ^= stream[j];
    }
  }
}

void plain_sort_rank(const uint32_t *key, size_t n, uint32_t *count,
                     size_t keys, uint32_t *rank) {
  memset(count, 0, (keys + 1) * sizeof *count);
  for (size_t i = 0; i < n; i++) {
    count[key[i] + 1]++;
  }
  for (size_t k = 0; k < keys; k++) {
    count[k + 1] += count[k];
  }
  for (size_t i = 0; i < n; i++) {
    rank[i] = count[key[i]]++;
  }
}
