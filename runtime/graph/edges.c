/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of edges: three arrays that grow.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

#define ROOM_FIRST 1024u
#define EDGES_MAX (UINT64_C(1) << 48)

cira_status_t cira_graph_edges_create(cira_graph_place_t place,
                                      uint64_t vertices, bool weighted,
                                      cira_graph_edges_t **out) {
  if (vertices > CIRA_GRAPH_VERTICES_MAX) {
    return cira__fail(CIRA_E_RANGE, "%llu vertices: a graph has at most %u",
                      (unsigned long long)vertices, CIRA_GRAPH_VERTICES_MAX);
  }
  cira_graph_edges_t *e = calloc(1, sizeof *e);
  if (e == NULL) {
    return cira__graph_no_memory("a list of edges", sizeof *e);
  }
  e->place = place;
  e->vertices = vertices;
  e->vertices_fixed = vertices != 0;
  e->weighted = weighted;
  cira_status_t status = cira__edges_reserve(e, ROOM_FIRST);
  if (status != CIRA_OK) {
    cira_graph_edges_destroy(e);
    return status;
  }
  *out = e;
  return CIRA_OK;
}

void cira_graph_edges_destroy(cira_graph_edges_t *e) {
  if (e != NULL) {
    cira__block_free(&e->from);
    cira__block_free(&e->to);
    cira__block_free(&e->weight);
    free(e);
  }
}

static cira_status_t column_reserve(cira_graph_edges_t *e, cira__block_t *b,
                                    uint64_t room) {
  static const char what[] = "the list of edges";
  if (b->p == NULL) {
    return cira__block_alloc(e->place, room * 4, what, b);
  }
  return b->bytes >= room * 4
             ? CIRA_OK
             : cira__block_grow(b, e->count * 4, room * 4, what);
}

cira_status_t cira__edges_reserve(cira_graph_edges_t *e, uint64_t count) {
  if (count > EDGES_MAX) {
    return cira__fail(CIRA_E_RANGE, "%llu edges: a list has at most %llu",
                      (unsigned long long)count, (unsigned long long)EDGES_MAX);
  }
  if (count <= e->room) {
    return CIRA_OK;
  }
  cira_status_t status = column_reserve(e, &e->from, count);
  if (status == CIRA_OK) {
    status = column_reserve(e, &e->to, count);
  }
  if (status == CIRA_OK && e->weighted) {
    status = column_reserve(e, &e->weight, count);
  }
  if (status == CIRA_OK) {
    e->room = count;
  }
  return status;
}

cira_status_t cira_graph_edges_append(cira_graph_edges_t *e, uint64_t count,
                                      const uint32_t *from, const uint32_t *to,
                                      const int32_t *weight) {
  uint32_t largest = 0;
  if (count == 0) {
    return CIRA_OK;
  }
  if (e->weighted && weight == NULL) {
    return cira__fail(CIRA_E_INVALID,
                      "edges without weights for a list that has them; pass "
                      "the weights, or create the list without");
  }
  for (uint64_t i = 0; i < count; i++) {
    uint32_t l = from[i] > to[i] ? from[i] : to[i];
    largest = l > largest ? l : largest;
  }
  uint64_t limit = e->vertices_fixed ? e->vertices : CIRA_GRAPH_VERTICES_MAX;
  if (largest >= limit) {
    return cira__fail(CIRA_E_RANGE,
                      "an edge names vertex %u; vertices are 0 to %llu",
                      largest, (unsigned long long)limit - 1);
  }
  uint64_t total;
  if (!cira__add_ok(e->count, count, &total)) {
    total = UINT64_MAX; /* refused by reserve */
  }
  if (total > e->room) {
    cira_status_t status =
        cira__edges_reserve(e, cira__max_u64(total, e->room * 2));
    if (status != CIRA_OK) {
      return status;
    }
  }
  memcpy((uint32_t *)e->from.p + e->count, from, count * 4);
  memcpy((uint32_t *)e->to.p + e->count, to, count * 4);
  if (e->weighted) {
    memcpy((int32_t *)e->weight.p + e->count, weight, count * 4);
  }
  e->count = total;
  if (!e->vertices_fixed && largest >= e->vertices) {
    e->vertices = (uint64_t)largest + 1;
  }
  return CIRA_OK;
}

uint64_t cira_graph_edges_count(const cira_graph_edges_t *e) {
  return e->count;
}

uint64_t cira_graph_edges_vertices(const cira_graph_edges_t *e) {
  return e->vertices;
}

/* ---- compact -------------------------------------------------------------
 */

static int number_order(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t number_find(const uint32_t *sorted, uint64_t n, uint32_t x) {
  uint64_t lo = 0;
  while (n > 1) {
    uint64_t half = n / 2;
    lo += sorted[lo + half] <= x ? half : 0;
    n -= half;
  }
  return (uint32_t)lo;
}

cira_status_t cira__edges_compact(cira_graph_edges_t *e) {
  uint64_t n = e->count * 2, kept = 0;
  uint32_t *numbers = malloc(n * 4 + 4);
  if (numbers == NULL) {
    return cira__graph_no_memory("numbering the vertices", n * 4);
  }
  memcpy(numbers, e->from.p, e->count * 4);
  memcpy(numbers + e->count, e->to.p, e->count * 4);
  qsort(numbers, n, 4, number_order);
  for (uint64_t i = 0; i < n; i++) {
    if (i == 0 || numbers[i] != numbers[kept - 1]) {
      numbers[kept++] = numbers[i];
    }
  }
  uint32_t *from = e->from.p, *to = e->to.p;
  for (uint64_t i = 0; i < e->count; i++) {
    from[i] = number_find(numbers, kept, from[i]);
    to[i] = number_find(numbers, kept, to[i]);
  }
  e->vertices = kept;
  free(numbers);
  return CIRA_OK;
}
