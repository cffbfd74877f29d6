/* SPDX-License-Identifier: Apache-2.0
 *
 * Graph kernels that pass over all rows in order: PageRank (Brin, Page, The
 * Anatomy of a Large-Scale Hypertextual Web Search Engine, 1998), connected
 * components (Shiloach, Vishkin, An O(log n) Parallel Connectivity Algorithm,
 * 1982) and triangles (Schank, Wagner, Finding, Counting and Listing All
 * Triangles in Large Graphs, 2005).
 */
#include "kernels.h"

void plain_pagerank(const struct graph *g, double *rank, double *share,
                    unsigned iterations) {
  const double damping = 0.85;
  const double base = (1 - damping) / g->vertices;
  for (unsigned k = 0; k < iterations; k++) {
    for (uint32_t v = 0; v < g->vertices; v++) {
      uint64_t degree = g->row[v + 1] - g->row[v];
      share[v] = degree ? rank[v] / (double)degree : 0;
    }
    for (uint32_t v = 0; v < g->vertices; v++) {
      double sum = 0;
      for (uint64_t e = g->row[v]; e < g->row[v + 1]; e++) {
        sum += share[g->neighbour[e]];
      }
      rank[v] = base + damping * sum;
    }
  }
}

void plain_components(const struct graph *g, uint32_t *label) {
  for (uint32_t v = 0; v < g->vertices; v++) {
    label[v] = v;
  }
  bool changed;
  do {
    changed = false;
    for (uint32_t u = 0; u < g->vertices; u++) {
      for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
        uint32_t root = label[g->neighbour[e]];
        if (label[u] < root && root == label[root]) {
          label[root] = label[u];
          changed = true;
        }
      }
    }
    for (uint32_t v = 0; v < g->vertices; v++) {
      while (label[v] != label[label[v]]) {
        label[v] = label[label[v]];
      }
    }
  } while (changed);
}

static uint64_t common(const uint32_t *a, const uint32_t *a_end,
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

uint64_t plain_triangles(const struct graph *g) {
  uint64_t count = 0;
  for (uint32_t u = 0; u < g->vertices; u++) {
    const uint32_t *first = g->neighbour + g->row[u];
    const uint32_t *last = g->neighbour + g->row[u + 1];
    for (const uint32_t *v = first; v < last; v++) {
      count += common(first, last, g->neighbour + g->row[*v],
                      g->neighbour + g->row[*v + 1]);
    }
  }
  return count;
}
