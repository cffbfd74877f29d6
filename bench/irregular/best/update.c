/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefetches for writing at a distance. GUPS has no index array to look ahead
 * in: the numbers wait in a ring while their words are fetched.
 */
#include "ahead.h"

#include <string.h>

static size_t until(size_t n, size_t distance) {
  return n > distance ? n - distance : 0;
}

void best_histogram(uint32_t *count, const uint32_t *key, size_t n,
                    size_t distance) {
  size_t i = 0;
  for (size_t end = until(n, distance); i < end; i++) {
    fetch_write(&count[key[i + distance]]);
    count[key[i]]++;
  }
  for (; i < n; i++) {
    count[key[i]]++;
  }
}

struct ring {
  uint64_t waiting[KERNEL_PARAM_MAX];
  size_t at;
};

/* Zeros wait at the start: x ^ 0 changes nothing. */
static inline void ring_update(struct ring *ring, size_t length,
                               uint64_t *table, uint64_t mask, uint64_t r) {
  fetch_write(&table[r & mask]);
  uint64_t ready = ring->waiting[ring->at];
  ring->waiting[ring->at] = r;
  ring->at = ring->at + 1 == length ? 0 : ring->at + 1;
  table[ready & mask] ^= ready;
}

static void ring_flush(struct ring *ring, size_t length, uint64_t *table,
                       uint64_t mask) {
  for (size_t i = 0; i < length; i++) {
    table[ring->waiting[i] & mask] ^= ring->waiting[i];
  }
}

void best_gups(uint64_t *table, uint64_t mask, uint64_t start, size_t updates,
               size_t distance) {
  struct ring ring = {0};
  uint64_t r = start;
  for (size_t i = 0; i < updates; i++) {
    r = gups_next(r);
    ring_update(&ring, distance, table, mask, r);
  }
  ring_flush(&ring, distance, table, mask);
}

void best_gups_streams(uint64_t *table, uint64_t mask, uint64_t *stream,
                       size_t rounds, size_t distance) {
  struct ring ring = {0};
  for (size_t i = 0; i < rounds; i++) {
    for (size_t j = 0; j < GUPS_STREAMS; j++) {
      stream[j] = gups_next(stream[j]);
      ring_update(&ring, distance, table, mask, stream[j]);
    }
  }
  ring_flush(&ring, distance, table, mask);
}

void best_sort_rank(const uint32_t *key, size_t n, uint32_t *count, size_t keys,
                    uint32_t *rank, size_t distance) {
  size_t end = until(n, distance);
  size_t i;
  memset(count, 0, (keys + 1) * sizeof *count);
  for (i = 0; i < end; i++) {
    fetch_write(&count[key[i + distance] + 1]);
    count[key[i] + 1]++;
  }
  for (; i < n; i++) {
    count[key[i] + 1]++;
  }
  for (size_t k = 0; k < keys; k++) {
    count[k + 1] += count[k];
  }
  for (i = 0; i < end; i++) {
    fetch_write(&count[key[i + distance]]);
    rank[i] = count[key[i]]++;
  }
  for (; i < n; i++) {
    rank[i] = count[key[i]]++;
  }
}
