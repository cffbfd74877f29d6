/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of an array. Compiled code reads a tile by plain loads, so its pages
 * are brought into the page table, many at once; tiles are asked for once each,
 * by whoever runs ahead.
 */
#include "prefetch/stream_internal.h"

#define PAGES 256u /* asked for in one go */

/* The tile's number in each dimension. */
static void tile_place(const tiled_t *t, int64_t tile, int64_t *out) {
  for (int64_t d = t->rank - 1; d >= 0; d--) {
    out[d] = tile % t->per_dim[d];
    tile /= t->per_dim[d];
  }
}

const uint8_t *cira__tiled_origin(const cira_stream_t *s, int64_t tile) {
  const tiled_t *t = &s->tiled;
  int64_t place[RANK_MAX], offset = 0;
  tile_place(t, tile, place);
  for (int64_t d = 0; d < t->rank; d++) {
    offset += place[d] * t->tiles[d] * t->strides[d];
  }
  return t->base + offset * t->element_bytes;
}

typedef struct {
  const void *address[PAGES];
  uint32_t n;
  uint64_t last;
} pages_t;

static void pages_flush(pages_t *p) {
  cira_space_prefetch_many(cira__far.space, p->address, p->n);
  p->n = 0;
}

/* The pages of [at, at + bytes) that are away. */
static void pages_add(pages_t *p, const uint8_t *at, uint64_t bytes) {
  uint64_t page = (uint64_t)(uintptr_t)at >> CIRA_PAGE_LOG2;
  uint64_t end = ((uint64_t)(uintptr_t)at + bytes - 1) >> CIRA_PAGE_LOG2;
  for (; page <= end; page++) {
    const void *address = (const void *)(uintptr_t)(page << CIRA_PAGE_LOG2);
    if (page == p->last || cira_far_is_here(address)) {
      continue;
    }
    p->last = page;
    p->address[p->n++] = address;
    if (p->n == PAGES) {
      pages_flush(p);
    }
  }
}

/* All rows of a tile; the last dimension is a row when it is dense. */
static void tile_pages(const tiled_t *t, const uint8_t *origin, int64_t tile,
                       pages_t *out) {
  int64_t place[RANK_MAX], size[RANK_MAX], at[RANK_MAX] = {0};
  tile_place(t, tile, place);
  for (int64_t d = 0; d < t->rank; d++) {
    int64_t left = t->sizes[d] - place[d] * t->tiles[d];
    size[d] = left < t->tiles[d] ? left : t->tiles[d];
  }
  int64_t last = t->rank - 1;
  bool dense = t->strides[last] == 1;
  uint64_t bytes = (uint64_t)t->element_bytes;
  if (dense) {
    bytes *= (uint64_t)size[last];
    size[last] = 1;
  }
  for (;;) {
    int64_t offset = 0;
    for (int64_t d = 0; d < t->rank; d++) {
      offset += at[d] * t->strides[d];
    }
    pages_add(out, origin + offset * t->element_bytes, bytes);
    int64_t d = last;
    while (d >= 0 && ++at[d] == size[d]) {
      at[d--] = 0;
    }
    if (d < 0) {
      return;
    }
  }
}

bool cira__tiled_ahead(cira_stream_t *s, int64_t position, int64_t distance) {
  int64_t end = position + distance;
  end = end < s->count ? end : s->count;
  pages_t pages = {.last = UINT64_MAX};
  while (cira_far_any_managed()) {
    int64_t tile = atomic_load(&s->asked);
    tile = tile > position ? tile : position;
    if (tile >= end) {
      break;
    }
    int64_t seen = atomic_load(&s->asked);
    if (seen <= tile &&
        atomic_compare_exchange_strong(&s->asked, &seen, tile + 1)) {
      tile_pages(&s->tiled, cira__tiled_origin(s, tile), tile, &pages);
    }
  }
  if (pages.n > 0) {
    pages_flush(&pages);
  }
  return end < s->count;
}
