/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of graphs and of the states of programs. Large local blocks ask for
 * huge pages: on irregular accesses that is worth as much as prefetching.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "graph/graph_internal.h"
#include "heap/heap.h"
#include "space/far.h"

#define HUGE_BYTES (UINT64_C(2) << 20) /* 2 MiB */

cira_status_t cira__graph_no_memory(const char *what, uint64_t bytes) {
  char size[32];
  return cira__fail(CIRA_E_NOMEM,
                    "no memory for %s (%s); use far memory, more of it, or a "
                    "smaller graph",
                    what, cira__size_text(bytes, size, sizeof size));
}

static void *local_alloc(uint64_t bytes) {
  uint64_t align = bytes >= 2 * HUGE_BYTES ? HUGE_BYTES : CIRA_PAGE_BYTES;
  if (bytes > PTRDIFF_MAX - align) {
    return NULL;
  }
  void *p = aligned_alloc(align, cira__align_up(bytes, align));
  if (p != NULL && align == HUGE_BYTES && !cira_space_contains(p)) {
    (void)madvise(p, bytes, MADV_HUGEPAGE); /* a hint: may be refused */
  }
  return p;
}

cira_status_t cira__block_alloc(cira_graph_place_t place, uint64_t bytes,
                                const char *what, cira__block_t *out) {
  bytes += bytes == 0;
  *out = (cira__block_t){.bytes = bytes, .place = place};
  if (place == CIRA_GRAPH_LOCAL) {
    out->raw = out->p = local_alloc(bytes);
    return out->p != NULL ? CIRA_OK : cira__graph_no_memory(what, bytes);
  }
  if (place != CIRA_GRAPH_FAR) {
    return cira__fail(CIRA_E_INVALID, "place %d: use local (0) or far (1)",
                      (int)place);
  }
  if (!cira_heap_far_ready()) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "%s cannot be far: this process has no far memory; start "
                      "it with a far place, or use local memory",
                      what);
  }
  if (bytes > PTRDIFF_MAX - CIRA_PAGE_BYTES) {
    return cira__graph_no_memory(what, bytes);
  }
  out->raw = cira_heap_far_alloc(bytes + CIRA_PAGE_BYTES - 1);
  out->p =
      (void *)(uintptr_t)cira__align_up((uintptr_t)out->raw, CIRA_PAGE_BYTES);
  return out->raw != NULL ? CIRA_OK : cira__graph_no_memory(what, bytes);
}

void cira__block_free(cira__block_t *b) {
  if (b->place == CIRA_GRAPH_FAR) {
    cira_heap_far_free(b->raw);
  } else {
    free(b->raw);
  }
  *b = (cira__block_t){0};
}

cira_status_t cira__block_grow(cira__block_t *b, uint64_t used_bytes,
                               uint64_t bytes, const char *what) {
  cira__block_t larger;
  cira_status_t status = cira__block_alloc(b->place, bytes, what, &larger);
  if (status == CIRA_OK) {
    memcpy(larger.p, b->p, used_bytes);
    cira__block_free(b);
    *b = larger;
  }
  return status;
}

/* ---- states --------------------------------------------------------------
 */

typedef enum { STATE_LOCAL, STATE_CHARGED, STATE_FAR } state_kind_t;
typedef struct {
  void *raw;
  uint64_t bytes;
  state_kind_t kind;
} state_head_t; /* in the line before the state */
_Static_assert(sizeof(state_head_t) <= CIRA_LINE_BYTES, "fits its line");

static _Atomic uint64_t charged_pages; /* of all states */

/* Local memory out of the budget of the local cache; at most half of it. */
static void *charged_alloc(uint64_t bytes) {
  uint64_t pages = bytes / CIRA_PAGE_BYTES;
  uint64_t most = cira_far_local_pages() / 2;
  if (atomic_fetch_add(&charged_pages, pages) + pages > most ||
      pages > UINT32_MAX || !cira_far_frames_take(pages)) {
    atomic_fetch_sub(&charged_pages, pages);
    return NULL;
  }
  void *p = cira_far_local_alloc(bytes);
  if (p == NULL) {
    cira_far_frames_give(pages);
    atomic_fetch_sub(&charged_pages, pages);
  } else if (bytes >= 2 * HUGE_BYTES) {
    (void)madvise(p, bytes, MADV_HUGEPAGE);
  }
  return p;
}

/* A block of an earlier run that is large enough, and not much too large. */
static void *spare_take(const cira_graph_t *g, uint64_t bytes) {
  for (uint32_t i = 0; g->spare != NULL && i < CIRA__SPARES; i++) {
    void *p = atomic_exchange(&g->spare->block[i], NULL);
    if (p == NULL) {
      continue;
    }
    uint64_t has =
        ((state_head_t *)(void *)((uint8_t *)p - CIRA_LINE_BYTES))->bytes;
    if (has >= bytes && has / 2 <= bytes) {
      return p;
    }
    void *empty = NULL;
    if (!atomic_compare_exchange_strong(&g->spare->block[i], &empty, p)) {
      cira_graph_state_free(p);
    }
  }
  return NULL;
}

void cira__scratch_free(const cira_graph_t *graph, void *scratch) {
  bool local =
      scratch != NULL &&
      ((state_head_t *)(void *)((uint8_t *)scratch - CIRA_LINE_BYTES))->kind ==
          STATE_LOCAL;
  for (uint32_t i = 0; local && graph->spare != NULL && i < CIRA__SPARES; i++) {
    void *empty = NULL;
    if (atomic_compare_exchange_strong(&graph->spare->block[i], &empty,
                                       scratch)) {
      return;
    }
  }
  cira_graph_state_free(scratch);
}

void *cira__scratch_alloc(const cira_graph_t *graph, uint64_t bytes,
                          uint32_t flags, bool zeroed) {
  if (bytes > PTRDIFF_MAX - 2 * HUGE_BYTES) {
    return NULL;
  }
  void *p = spare_take(
      graph, cira__align_up(bytes + 2 * CIRA_LINE_BYTES, CIRA_PAGE_BYTES));
  if (p == NULL) {
    return cira__state_alloc(graph, bytes, flags, zeroed);
  }
  if (zeroed) {
    memset(p, 0, bytes);
  }
  return p;
}

typedef struct {
  struct cira_graph graph;
  cira__spare_t spare; /* written during runs, for which a graph is const */
} with_spare_t;

struct cira_graph *cira__graph_new(void) {
  with_spare_t *w = calloc(1, sizeof *w);
  if (w == NULL) {
    return NULL;
  }
  w->graph.spare = &w->spare;
  return &w->graph;
}

/* Not aligned: what calloc has fresh from the kernel need not be zeroed. */
static void *local_state(uint64_t bytes, bool zeroed) {
  void *raw = zeroed ? calloc(1, bytes) : malloc(bytes);
  if (raw != NULL && bytes >= 2 * HUGE_BYTES && !cira_space_contains(raw)) {
    uintptr_t first = cira__align_up((uintptr_t)raw, CIRA_PAGE_BYTES);
    uintptr_t last = cira__align_down((uintptr_t)raw + bytes, CIRA_PAGE_BYTES);
    (void)madvise((void *)first, last - first, MADV_HUGEPAGE);
  }
  return raw;
}

void *cira__state_alloc(const cira_graph_t *graph, uint64_t bytes,
                        uint32_t flags, bool zeroed) {
  if (bytes > PTRDIFF_MAX - 2 * HUGE_BYTES) {
    return NULL;
  }
  /* A line for the head, and one to align. */
  bytes = cira__align_up(bytes + 2 * CIRA_LINE_BYTES, CIRA_PAGE_BYTES);
  state_kind_t kind = STATE_LOCAL;
  void *raw = NULL;
  if (graph->place == CIRA_GRAPH_FAR) {
    kind = STATE_CHARGED;
    raw = (flags & CIRA_GRAPH_F_PLAIN) == 0 ? charged_alloc(bytes) : NULL;
    if (raw == NULL) {
      kind = STATE_FAR;
      raw = cira_heap_far_alloc(bytes);
    }
  } else {
    raw = local_state(bytes, zeroed);
  }
  if (raw == NULL) {
    return NULL;
  }
  uint8_t *p =
      (uint8_t *)(uintptr_t)cira__align_up((uintptr_t)raw, CIRA_LINE_BYTES) +
      CIRA_LINE_BYTES;
  *(state_head_t *)(void *)(p - CIRA_LINE_BYTES) =
      (state_head_t){.raw = raw, .bytes = bytes, .kind = kind};
  return p;
}

void *cira_graph_state_alloc(const cira_graph_t *graph, uint64_t bytes,
                             uint32_t flags) {
  return cira__state_alloc(graph, bytes, flags, true);
}

void cira_graph_state_free(void *state) {
  if (state == NULL) {
    return;
  }
  state_head_t h =
      *(state_head_t *)(void *)((uint8_t *)state - CIRA_LINE_BYTES);
  if (h.kind == STATE_FAR) {
    cira_heap_far_free(h.raw);
  } else if (h.kind == STATE_LOCAL) {
    free(h.raw);
  } else {
    cira_far_local_free(h.raw, h.bytes);
    cira_far_frames_give(h.bytes / CIRA_PAGE_BYTES);
    atomic_fetch_sub(&charged_pages, h.bytes / CIRA_PAGE_BYTES);
  }
}

/* ---- options -------------------------------------------------------------
 */

void cira_graph_options_default(cira_graph_options_t *opt) {
  memset(opt, 0, sizeof *opt);
  opt->size = (uint32_t)sizeof *opt;
}

void cira__options_fill(const cira_graph_options_t *given,
                        cira_graph_options_t *out) {
  cira_graph_options_default(out);
  if (given != NULL) {
    memcpy(out, given, cira__min_u64(given->size, sizeof *out));
    out->size = (uint32_t)sizeof *out;
  }
  out->weight_max = out->weight_max != 0 ? out->weight_max : 255;
  out->weight_max = out->weight_max < INT32_MAX ? out->weight_max : INT32_MAX;
  out->seed = out->seed != 0 ? out->seed : 1;
  if (out->vertices_max == 0 || out->vertices_max > CIRA_GRAPH_VERTICES_MAX) {
    out->vertices_max = CIRA_GRAPH_VERTICES_MAX;
  }
  out->edges_max = out->edges_max != 0 ? out->edges_max : UINT64_MAX >> 8;
}

uint32_t cira__threads_wanted(uint32_t asked) {
  if (asked == 0) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    asked = cpus > 0 ? (uint32_t)cpus : 1;
  }
  return asked < CIRA_GRAPH_THREADS_MAX ? asked : CIRA_GRAPH_THREADS_MAX;
}
