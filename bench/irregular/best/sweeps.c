/* SPDX-License-Identifier: Apache-2.0
 *
 * All rows in order: the edges of the graph are one array, so the look-ahead
 * goes across the ends of the rows.
 */
#include "ahead.h"

void best_pagerank(const struct graph *g, double *rank, double *share,
                   unsigned iterations, size_t distance) {
  const double damping = 0.85;
  const double base = (1 - damping) / g->vertices;
  const uint64_t *row = g->row;
  const uint32_t *neighbour = g->neighbour;
  for (unsigned k = 0; k < iterations; k++) {
    for (uint32_t v = 0; v < g->vertices; v++) {
      uint64_t degree = row[v + 1] - row[v];
      share[v] = degree ? rank[v] / (double)degree : 0;
    }
    for (uint32_t v = 0; v < g->vertices; v++) {
      double sum = 0;
      for (uint64_t e = row[v]; e < row[v + 1]; e++) {
        fetch(&share[neighbour[e + distance]]);
        sum += share[neighbour[e]];
      }
      rank[v] = base + damping * sum;
    }
  }
}

void best_components(const struct graph *g, uint32_t *label, size_t distance) {
  const uint32_t *neighbour = g->neighbour;
  for (uint32_t v = 0; v < g->vertices; v++) {
    label[v] = v;
  }
  bool changed;
  do {
    changed = false;
    for (uint32_t u = 0; u < g->vertices; u++) {
      for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
        fetch(&label[neighbour[e + distance]]); /* roots are few */
        uint32_t root = label[neighbour[e]];
        if (label[u] < root && root == label[root]) {
          label[root] = label[u];
          changed = true;
        }
      }
    }
    for (uint32_t v = 0; v < g->vertices; v++) {
      if (v + distance < g->vertices) {
        fetch(&label[label[v + distance]]);
      }
      while (label[v] != label[label[v]]) {
        label[v] = label[label[v]];
      }
    }
  } while (changed);
}

static inline uint64_t common(const uint32_t *a, const uint32_t *a_end,
                              const uint32_t *b, const uint32_t *b_end) {
  uint64_t count = 0;
  while (a < a_end && b < b_end) {
    if (*a < *b) {
      a++;
    } else if (*b < *a) {
      b++;
    } else {
      count++;
      a++;
      b++;
    }
  }
  return count;
}

uint64_t best_triangles(const struct graph *g, size_t distance) {
  const uint64_t *row = g->row;
  const uint32_t *neighbour = g->neighbour;
  uint64_t count = 0;
  for (uint32_t u = 0; u < g->vertices; u++) {
    for (uint64_t e = row[u]; e < row[u + 1]; e++) {
      fetch(&row[neighbour[e + 2 * distance]]);
      const uint32_t *far = neighbour + row[neighbour[e + distance]];
      fetch(far);
      fetch(far + AHEAD_LINE / sizeof *far);
      uint32_t v = neighbour[e];
      count += common(neighbour + row[u], neighbour + row[u + 1],
                      neighbour + row[v], neighbour + row[v + 1]);
    }
  }
  return count;
}
