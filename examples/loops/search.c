/* SPDX-License-Identifier: Apache-2.0
 *
 * Breadth-first search along a queue of vertices. What the queue holds further
 * on names the rows, edges and states that are needed later: cira-cc looks
 * there.
 *   cira-cc -O3 -fcira=all -Rpass=cira search.c && ./a.out 4000000
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { degree = 8 };

static size_t search(const uint32_t *row, const uint32_t *edge,
                     uint32_t *parent, uint32_t *queue) {
  size_t first = 0, end = 0;
  queue[end++] = 0;
  parent[0] = 0;
  while (first < end) {
    uint32_t v = queue[first++];
    for (uint32_t e = row[v]; e < row[v + 1]; e++) {
      if (parent[edge[e]] == UINT32_MAX) {
        parent[edge[e]] = v;
        queue[end++] = edge[e];
      }
    }
  }
  return end;
}

int main(int argc, char **argv) {
  size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
  n = n < 1 || n > UINT32_MAX / degree ? 1 : n;
  uint32_t *row = malloc((n + 1) * sizeof *row);
  uint32_t *edge = malloc(n * degree * sizeof *edge);
  uint32_t *parent = malloc(n * sizeof *parent);
  uint32_t *queue = malloc(n * sizeof *queue);
  if (!row || !edge || !parent || !queue) {
    return 1;
  }
  for (size_t v = 0; v < n; v++) {
    row[v] = (uint32_t)(v * degree);
    parent[v] = UINT32_MAX;
    for (size_t k = 0; k < degree; k++) {
      uint64_t mixed = (v * degree + k) * UINT64_C(0x9e3779b97f4a7c15);
      edge[v * degree + k] = (uint32_t)((mixed >> 24) % n);
    }
  }
  row[n] = (uint32_t)(n * degree);
  printf("%zu of %zu reached\n", search(row, edge, parent, queue), n);
  free(row);
  free(edge);
  free(parent);
  free(queue);
  return 0;
}
