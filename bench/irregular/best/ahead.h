/* SPDX-License-Identifier: Apache-2.0
 *
 * What the hand-written loops share: prefetches, and looking ahead in a queue
 * of vertices. Prefetching from the queue, not along the rows, is what pays:
 * a row is too short to look far ahead in (Ainsworth, Jones, Graph
 * Prefetching Using Data Structure Knowledge, ICS'16, in software).
 */
#ifndef IRREGULAR_BEST_AHEAD_H
#define IRREGULAR_BEST_AHEAD_H

#include "kernels.h"

#define AHEAD_LINE 64
#define AHEAD_ROW 64 /* edges of one row whose states are fetched at once */

/* 2: into the second-level cache, 3: into the first one too. Where first-level
 * fill buffers are few, 2 keeps more lines in flight. */
#ifndef AHEAD_LOCALITY
#define AHEAD_LOCALITY 2
#endif

static inline void fetch(const void *p) {
  __builtin_prefetch(p, 0, AHEAD_LOCALITY);
}

static inline void fetch_write(const void *p) {
  __builtin_prefetch(p, 1, AHEAD_LOCALITY);
}

/* A graph whose edges have edge_bytes each and begin with the neighbour's
 * number, and an array with state_bytes for each vertex. The sizes are
 * constants where this is inlined. */
struct ahead {
  const uint64_t *row;
  const char *edge;
  size_t edge_bytes;
  const char *state;
  size_t state_bytes;
};

static inline void ahead_state(const struct ahead *a, uint64_t e) {
  uint32_t v = *(const uint32_t *)(a->edge + e * a->edge_bytes);
  fetch(a->state + v * a->state_bytes);
}

/* Before queue[i] of `end` entries is handled: the bounds of the row three
 * distances ahead, its first edges two ahead, its states one ahead. */
static inline void ahead_queue(const struct ahead *a, const uint32_t *queue,
                               size_t i, size_t end, size_t distance) {
  if (i + 3 * distance < end) {
    fetch(&a->row[queue[i + 3 * distance]]);
  }
  if (i + 2 * distance < end) {
    const char *edge =
        a->edge + a->row[queue[i + 2 * distance]] * a->edge_bytes;
    for (size_t line = 0; line < 16 * a->edge_bytes; line += AHEAD_LINE) {
      fetch(edge + line);
    }
  }
  if (i + distance < end) {
    uint32_t u = queue[i + distance];
    uint64_t last = a->row[u + 1];
    if (last - a->row[u] > AHEAD_ROW) {
      last = a->row[u] + AHEAD_ROW;
    }
    for (uint64_t e = a->row[u]; e < last; e++) {
      ahead_state(a, e);
    }
  }
}

/* Within a long row, what ahead_queue has left out. */
static inline void ahead_row(const struct ahead *a, uint64_t e, uint64_t end) {
  if (e + AHEAD_ROW < end) {
    ahead_state(a, e + AHEAD_ROW);
  }
}

#endif
