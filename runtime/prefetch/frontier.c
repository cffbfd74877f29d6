/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbour lists of a set of vertices. Vertex, row and list are three loads
 * that depend on each other; so each look at a list asks for the list of a
 * vertex further on and for the row of one further still. Nothing is kept
 * between two looks, so threads may look in any order.
 */
#include "prefetch/stream_internal.h"

#define DISTANCE 8
#define PAGES 128u

static int64_t vertex_at(const frontier_t *f, int64_t position) {
  const uint8_t *p = f->vertices + position * f->vertex_bytes;
  int64_t v = 0;
  const uint8_t *at = cira_far_at(p);
  at = at != NULL ? at : p;
  switch (f->vertex_bytes) {
  case 1:
    v = *at;
    break;
  case 2:
    v = *(const uint16_t *)(const void *)at;
    break;
  case 4:
    v = *(const uint32_t *)(const void *)at;
    break;
  default:
    v = *(const int64_t *)(const void *)at;
  }
  return v >= 0 && v < f->vertex_count ? v : -1;
}

static int64_t row_at(const frontier_t *f, int64_t vertex) {
  const uint8_t *p = f->rows + vertex * 8;
  const uint8_t *at = cira_far_at(p);
  return *(const int64_t *)(const void *)(at != NULL ? at : p);
}

/* The bytes of a vertex's list. */
static const uint8_t *list_of(const frontier_t *f, int64_t vertex,
                              uint64_t *out_bytes) {
  int64_t from = row_at(f, vertex), to = row_at(f, vertex + 1);
  *out_bytes = to > from ? (uint64_t)((to - from) * f->neighbour_bytes) : 0;
  return f->neighbours + from * f->neighbour_bytes;
}

static void row_prefetch(const frontier_t *f, int64_t position) {
  int64_t v = vertex_at(f, position);
  if (v >= 0) {
    const uint8_t *at = cira_far_at(f->rows + v * 8);
    if (at != NULL) {
      lines_prefetch(at, 16);
    }
  }
}

static void list_prefetch(const frontier_t *f, int64_t position) {
  int64_t v = vertex_at(f, position);
  if (v >= 0) {
    uint64_t bytes;
    const uint8_t *list = list_of(f, v, &bytes);
    const uint8_t *at = bytes > 0 ? cira_far_at(list) : NULL;
    if (at != NULL) {
      lines_prefetch(at, bytes);
    }
  }
}

/* Over requests: the pages of the lists [from, to), all at once. */
static void lists_fetch(const frontier_t *f, int64_t from, int64_t to) {
  const void *address[PAGES];
  uint32_t n = 0;
  for (int64_t i = from; i < to; i++) {
    int64_t v = vertex_at(f, i);
    uint64_t bytes = 0;
    const uint8_t *list = v >= 0 ? list_of(f, v, &bytes) : NULL;
    for (uint64_t at = 0; at < bytes && n < PAGES; at += CIRA_PAGE_BYTES) {
      if (!cira_far_is_here(list + at)) {
        address[n++] = list + at;
      }
    }
    if (bytes > 0 && n < PAGES && !cira_far_is_here(list + bytes - 1)) {
      address[n++] = list + bytes - 1;
    }
  }
  cira_space_prefetch_many(cira__far.space, address, n);
}

static bool by_request(void) {
  return !cira__far.direct && cira_far_any_managed();
}

/* Where a list can be read in one piece. */
static const uint8_t *list_place(const uint8_t *list, uint64_t bytes) {
  cira_far_run_t run;
  if (!cira_far_is_far(list) || bytes == 0) {
    return list;
  }
  if (cira_far_run(list, 1, 1 + (uint32_t)(bytes / CIRA_PAGE_BYTES + 1),
                   &run) &&
      (uint64_t)(uintptr_t)list + bytes <= run.hi) {
    return (const uint8_t *)(uintptr_t)((uint64_t)(uintptr_t)list + run.delta);
  }
  cira_space_prefetch(cira__far.space, list, bytes);
  return list;
}

const uint8_t *cira__frontier_list(cira_stream_t *s, int64_t position,
                                   int64_t *out_count) {
  const frontier_t *f = &s->frontier;
  int64_t window = atomic_load_explicit(&s->window, memory_order_relaxed);
  int64_t d = window > 0 && window < 64 ? window : DISTANCE;
  if (by_request()) {
    int64_t asked = atomic_load_explicit(&s->asked, memory_order_relaxed);
    if (position + d / 2 >= asked) {
      (void)cira__frontier_ahead(s, position, d);
    }
  } else {
    if (position + 2 * d < s->count) {
      row_prefetch(f, position + 2 * d);
    }
    if (position + d < s->count) {
      list_prefetch(f, position + d);
    }
  }
  int64_t v = vertex_at(f, position);
  if (v < 0) {
    cira__misuse("peek_adjacency: the frontier names a vertex that the graph "
                 "of %lld vertices has not, at position %lld",
                 (long long)f->vertex_count, (long long)position);
  }
  uint64_t bytes;
  const uint8_t *list = list_of(f, v, &bytes);
  *out_count = (int64_t)(bytes / (uint64_t)f->neighbour_bytes);
  return list_place(list, bytes);
}

bool cira__frontier_ahead(cira_stream_t *s, int64_t position,
                          int64_t distance) {
  const frontier_t *f = &s->frontier;
  int64_t end = position + distance;
  end = end < s->count ? end : s->count;
  int64_t asked = atomic_load(&s->asked);
  int64_t from = asked > position ? asked : position;
  if (from < end && atomic_compare_exchange_strong(&s->asked, &asked, end)) {
    if (by_request()) {
      lists_fetch(f, from, end);
    } else {
      for (int64_t i = from; i < end; i++) {
        list_prefetch(f, i);
      }
    }
  }
  return end < s->count;
}
