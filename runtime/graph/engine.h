/* SPDX-License-Identifier: Apache-2.0
 *
 * engine: how a step goes over vertices and their lists. The loops are
 * templates: always inlined into each algorithm with its own functions, and
 * once more into program.c for those of cira/graph.h.
 *
 * cira__push goes over a queue. What a vertex needs are three loads that depend
 * on each other, so each is asked for at another distance in the queue:
 *   2d ahead   its row
 *    d ahead   its list (the row has arrived)
 *    d/2       the states of its first neighbours (the list has arrived)
 * cira__dense goes over a range of vertices in order, and reads lists in long
 * runs.
 *
 * Far lists: DIRECT reads them where they are, at home or here; the pages do
 * not enter the local cache. REQUEST asks for all pages of a block of the queue
 * at once, then reads them in place. PLAIN is for local graphs, and for
 * comparison.
 * Invariant: arrays of the graph are not written during a run.
 */
#ifndef CIRA_GRAPH_ENGINE_H
#define CIRA_GRAPH_ENGINE_H

#include "graph/graph_internal.h"
#include "graph/pool.h"
#include "space/far.h"

#define CIRA__INLINE static inline __attribute__((always_inline))

#define CIRA__BUFFER 1024u /* of a worker, 4 KiB */
#define CIRA__RING 128u    /* power of two, > 2 * look_ahead */
#define CIRA__SLICE 32u    /* neighbours asked for at once */
#define CIRA__AHEAD_MAX 32u
#define CIRA__DENSE_AHEAD 16u /* vertices */
#define CIRA__FETCH_BLOCK 32u /* vertices whose pages are requested at once */
#define CIRA__SMALL 4096u     /* work that one thread does alone */

typedef enum {
  CIRA__PLAIN,
  CIRA__DIRECT,
  CIRA__REQUEST,
} cira__reading_t;

typedef struct cira__engine cira__engine_t;

struct cira_graph_worker {
  cira__engine_t *engine;
  uint32_t index;
  uint32_t held;  /* of buffer */
  uint64_t edges; /* of the lists seen in this step */
  void *local;    /* the algorithm's own */
  uint32_t buffer[CIRA__BUFFER];
} __attribute__((aligned(128)));

struct cira__engine {
  const cira_graph_t *graph;
  cira_graph_run_t run;
  cira__reading_t reading;
  uint64_t ahead;
  uint32_t threads;
  cira__pool_t *pool;
  cira_graph_worker_t *workers;
  /* one step */
  void *context;
  const uint32_t *queue; /* NULL: all vertices */
  uint64_t count, chunk;
  uint32_t *next;
  uint64_t next_room;
  const uint64_t *active; /* when pulling */
  _Atomic uint64_t taken;
  _Atomic uint64_t next_count;
  _Atomic int32_t failed; /* a status */
};

cira_status_t cira__engine_open(const cira_graph_t *g,
                                const cira_graph_run_t *run, void *context,
                                cira__engine_t *out);
void cira__engine_close(cira__engine_t *e);

/* One step: fn on each worker until the work is taken; then next_count is the
 * size of the next frontier. `work` in edges decides whether threads pay. */
typedef void (*cira__step_fn)(cira__engine_t *e, cira_graph_worker_t *w);
cira_status_t cira__engine_step(cira__engine_t *e, cira__step_fn fn,
                                const uint32_t *queue, uint64_t count,
                                uint64_t work, uint32_t *next,
                                uint64_t next_room);
/* Sum of the edges that the workers have seen in the last step. */
uint64_t cira__engine_edges(const cira__engine_t *e);
/* Sum of the out-degrees of a queue. */
uint64_t cira__engine_degrees(cira__engine_t *e, const uint32_t *queue,
                              uint64_t count);
void cira__engine_progress(const cira__engine_t *e, const char *what,
                           uint64_t done, uint64_t total);
cira_status_t cira__vertex_check(const cira_graph_t *g, uint64_t vertex,
                                 const char *what);
/* Work arrays of a run, or CIRA_E_NOMEM; freed by cira__state_free. */
cira_status_t cira__state(const cira__engine_t *e, uint64_t bytes, void *out);
/* The same, with whatever is in it. */
cira_status_t cira__state_raw(const cira__engine_t *e, uint64_t bytes,
                              void *out);
CIRA__INLINE void cira__state_free(const cira__engine_t *e, void *state) {
  cira__scratch_free(e->graph, state);
}

/* The next part of the step's vertices; false: none are left. */
CIRA__INLINE bool cira__take(cira__engine_t *e, uint64_t *lo, uint64_t *hi) {
  uint64_t at =
      atomic_fetch_add_explicit(&e->taken, e->chunk, memory_order_relaxed);
  *lo = at;
  *hi = at + e->chunk < e->count ? at + e->chunk : e->count;
  return at < e->count;
}

void cira__worker_flush(cira_graph_worker_t *w);
CIRA__INLINE void cira__activate(cira_graph_worker_t *w, uint32_t v) {
  w->buffer[w->held++] = v;
  if (CIRA_UNLIKELY(w->held == CIRA__BUFFER)) {
    cira__worker_flush(w);
  }
}

/* ---- reading -------------------------------------------------------------
 */

CIRA__INLINE const void *cira__at(const void *p, bool direct) {
  return direct ? cira_far_at(p) : p;
}

CIRA__INLINE void cira__row(const cira__csr_t *csr, uint32_t v, bool direct,
                            uint64_t *from, uint64_t *to) {
  const uint64_t *p = csr->rows + v;
  const uint64_t *at = cira__at(p, direct);
  *from = at[0];
  if (direct && ((uintptr_t)(p + 1) & (CIRA_PAGE_BYTES - 1)) == 0) {
    *to = *(const uint64_t *)cira__at(p + 1, true);
  } else {
    *to = at[1];
  }
}

/* How many of the entries from `edge` on lie on one page with it. */
CIRA__INLINE uint64_t cira__on_page(uint64_t edge, uint64_t to, bool direct) {
  uint64_t left = 1024 - (edge & 1023); /* lists begin at a page */
  return direct && left < to - edge ? left : to - edge;
}

/* Asks for the pages of lists (and rows) of a part of the queue. */
void cira__engine_fetch(cira__engine_t *e, const cira__csr_t *csr,
                        const uint32_t *queue, uint64_t count);

/* ---- push ----------------------------------------------------------------
 */

typedef struct {
  uint64_t from, to;
  const uint32_t *neighbours; /* where the first page of the list is */
  const int32_t *weights;
} cira__ring_t;

typedef bool (*cira__begin_fn)(void *c, cira_graph_worker_t *w, uint32_t v);
typedef bool (*cira__list_fn)(void *c, cira_graph_worker_t *w,
                              const cira_graph_list_t *l);
typedef void (*cira__end_fn)(void *c, cira_graph_worker_t *w, uint32_t v);

CIRA__INLINE void cira__ask_lines(const void *p, uint64_t bytes) {
  uint64_t lines = (((uintptr_t)p & 63) + bytes + 63) / 64;
  lines = lines < 4 ? lines : 4; /* the rest: when we are there */
  for (uint64_t i = 0; i < lines; i++) {
    __builtin_prefetch((const uint8_t *)p + i * 64);
  }
}

CIRA__INLINE void cira__ask_states(const uint32_t *neighbours, uint64_t count,
                                   const uint8_t *state, uint64_t bytes) {
  count = count < CIRA__SLICE ? count : CIRA__SLICE;
  for (uint64_t i = 0; i < count; i++) {
    __builtin_prefetch(state + neighbours[i] * bytes);
  }
}

CIRA__INLINE void cira__ring_fill(const cira__csr_t *csr, uint32_t v,
                                  bool direct, cira__ring_t *r) {
  cira__row(csr, v, direct, &r->from, &r->to);
  uint64_t n = cira__on_page(r->from, r->to, direct);
  r->neighbours = cira__at(csr->neighbours + r->from, direct && n > 0);
  cira__ask_lines(r->neighbours, n * 4);
  r->weights = NULL;
  if (csr->weights != NULL) {
    r->weights = cira__at(csr->weights + r->from, direct && n > 0);
    cira__ask_lines(r->weights, n * 4);
  }
}

/* The list of a vertex in slices, page by page. */
CIRA__INLINE void cira__list_walk(cira_graph_worker_t *w,
                                  const cira__csr_t *csr, uint32_t v,
                                  const cira__ring_t *r, const uint8_t *state,
                                  uint64_t state_bytes, bool direct,
                                  cira__list_fn list, void *c) {
  cira_graph_list_t l = {
      .neighbours = r->neighbours, .weights = r->weights, .vertex = v};
  for (uint64_t at = r->from; at < r->to;) {
    uint64_t page = cira__on_page(at, r->to, direct);
    if (direct && at != r->from) {
      l.neighbours = cira__at(csr->neighbours + at, true);
      l.weights =
          csr->weights != NULL ? cira__at(csr->weights + at, true) : NULL;
    }
    at += page;
    while (page > 0) {
      l.count = page < CIRA__SLICE ? page : CIRA__SLICE;
      l.readable = page;
      if (state != NULL && page > CIRA__SLICE) {
        cira__ask_states(l.neighbours + CIRA__SLICE, page - CIRA__SLICE, state,
                         state_bytes);
      }
      if (!list(c, w, &l)) {
        return;
      }
      l.neighbours += l.count;
      l.weights = l.weights != NULL ? l.weights + l.count : NULL;
      page -= l.count;
    }
  }
}

CIRA__INLINE void cira__push_part(cira__engine_t *e, cira_graph_worker_t *w,
                                  const cira__csr_t *csr, const uint32_t *queue,
                                  uint64_t lo, uint64_t hi, const void *state,
                                  uint64_t state_bytes, bool direct,
                                  cira__begin_fn begin, cira__list_fn list,
                                  cira__end_fn end, void *c) {
  cira__ring_t ring[CIRA__RING];
  uint64_t d = e->ahead, late = d + d / 2;
  for (uint64_t i = lo; i < hi + 2 * d; i++) {
    if (i < hi) {
      __builtin_prefetch(cira__at(csr->rows + queue[i], direct));
    }
    if (i >= lo + d && i - d < hi) {
      cira__ring_fill(csr, queue[i - d], direct,
                      &ring[(i - d) & (CIRA__RING - 1)]);
    }
    if (state != NULL && i >= lo + late && i - late < hi) {
      const cira__ring_t *r = &ring[(i - late) & (CIRA__RING - 1)];
      cira__ask_states(r->neighbours, cira__on_page(r->from, r->to, direct),
                       state, state_bytes);
    }
    if (i >= lo + 2 * d) {
      uint32_t v = queue[i - 2 * d];
      const cira__ring_t *r = &ring[(i - 2 * d) & (CIRA__RING - 1)];
      if (begin != NULL && !begin(c, w, v)) {
        continue;
      }
      w->edges += r->to - r->from;
      cira__list_walk(w, csr, v, r, state, state_bytes, direct, list, c);
      if (end != NULL) {
        end(c, w, v);
      }
    }
  }
}

/* A part of a queue. `state`: what the list function looks at of each
 * neighbour; NULL: nothing worth asking for. */
CIRA__INLINE void cira__push(cira__engine_t *e, cira_graph_worker_t *w,
                             const cira__csr_t *csr, const uint32_t *queue,
                             uint64_t lo, uint64_t hi, const void *state,
                             uint64_t state_bytes, cira__begin_fn begin,
                             cira__list_fn list, cira__end_fn end, void *c) {
  if (e->reading == CIRA__DIRECT) {
    cira__push_part(e, w, csr, queue, lo, hi, state, state_bytes, true, begin,
                    list, end, c);
    return;
  }
  uint64_t block = e->reading == CIRA__REQUEST ? CIRA__FETCH_BLOCK : hi - lo;
  for (; lo < hi; lo += block) {
    uint64_t to = hi - lo < block ? hi : lo + block;
    if (e->reading == CIRA__REQUEST) {
      cira__engine_fetch(e, csr, queue + lo, to - lo);
    }
    cira__push_part(e, w, csr, queue, lo, to, state, state_bytes, false, begin,
                    list, end, c);
  }
}

/* ---- dense ---------------------------------------------------------------
 */

/* Elements [lo, hi) of an array, readable at p[i - lo]. */
typedef struct {
  uint64_t lo, hi;
  const uint8_t *p;
} cira__span_t;
/* The span around element i of count. */
void cira__span_open(const cira__engine_t *e, const void *array,
                     uint32_t element_bytes, uint64_t i, uint64_t count,
                     cira__span_t *out);

CIRA__INLINE uint64_t cira__span_row(const cira__engine_t *e,
                                     const cira__csr_t *csr, uint64_t v,
                                     cira__span_t *s) {
  if (CIRA_UNLIKELY(v - s->lo >= s->hi - s->lo)) {
    cira__span_open(e, csr->rows, 8, v, (uint64_t)e->graph->n + 1, s);
  }
  return ((const uint64_t *)(const void *)s->p)[v - s->lo];
}

typedef bool (*cira__wanted_fn)(void *c, cira_graph_worker_t *w, uint32_t v);

typedef struct {
  cira__span_t rows, neighbours, weights;
} cira__spans_t;

/* A list that is not within the spans: piece by piece. */
CIRA__INLINE void cira__dense_pieces(cira__engine_t *e, cira_graph_worker_t *w,
                                     const cira__csr_t *csr, uint64_t at,
                                     uint64_t to, cira__spans_t *s,
                                     cira_graph_list_t *l, cira__list_fn list,
                                     void *c) {
  while (at < to) {
    if (at - s->neighbours.lo >= s->neighbours.hi - s->neighbours.lo) {
      cira__span_open(e, csr->neighbours, 4, at, e->graph->edges,
                      &s->neighbours);
    }
    l->neighbours = (const uint32_t *)(const void *)s->neighbours.p +
                    (at - s->neighbours.lo);
    l->readable = s->neighbours.hi - at;
    if (csr->weights != NULL) {
      if (at - s->weights.lo >= s->weights.hi - s->weights.lo) {
        cira__span_open(e, csr->weights, 4, at, e->graph->edges, &s->weights);
      }
      l->weights =
          (const int32_t *)(const void *)s->weights.p + (at - s->weights.lo);
      l->readable = cira__min_u64(l->readable, s->weights.hi - at);
    }
    l->count = cira__min_u64(to - at, l->readable);
    if (!list(c, w, l)) {
      break;
    }
    at += l->count;
  }
}

/* Where element 0 of a span's array would be: only for elements within. */
CIRA__INLINE uintptr_t cira__span_zero(const cira__span_t *s, uint64_t bytes) {
  return (uintptr_t)s->p - s->lo * bytes;
}

/* Vertices lo..hi in order: those that are wanted, and their lists. `end` is
 * called for each wanted vertex. What the common case needs is in locals. */
CIRA__INLINE void cira__dense(cira__engine_t *e, cira_graph_worker_t *w,
                              const cira__csr_t *csr, uint64_t lo, uint64_t hi,
                              cira__wanted_fn wanted, cira__list_fn list,
                              cira__end_fn end, void *c) {
  cira__spans_t s = {0};
  cira_graph_list_t l = {.active = e->active};
  uintptr_t rows = 0, neighbours = 0;
  uint64_t row_hi = 0, list_hi = 0, edges = 0;
  for (uint64_t v = lo; v < hi; v++) {
    uint64_t at, to;
    if (wanted != NULL && !wanted(c, w, (uint32_t)v)) {
      continue;
    }
    if (CIRA_LIKELY(v + 1 < row_hi)) {
      at = ((const uint64_t *)rows)[v];
      to = ((const uint64_t *)rows)[v + 1];
    } else {
      at = cira__span_row(e, csr, v, &s.rows);
      to = cira__span_row(e, csr, v + 1, &s.rows);
      rows = cira__span_zero(&s.rows, 8);
      row_hi = s.rows.hi;
    }
    edges += to - at;
    l.vertex = (uint32_t)v;
    if (wanted != NULL && v + CIRA__DENSE_AHEAD < row_hi) {
      /* Lists are left early and skipped: no stride for the hardware. */
      uint64_t first = ((const uint64_t *)rows)[v + CIRA__DENSE_AHEAD];
      __builtin_prefetch((const void *)(neighbours + first * 4));
    }
    if (CIRA_LIKELY(to <= list_hi)) {
      l.neighbours = (const uint32_t *)(neighbours + at * 4);
      l.count = to - at;
      l.readable = list_hi - at;
      (void)list(c, w, &l);
    } else {
      cira__dense_pieces(e, w, csr, at, to, &s, &l, list, c);
      neighbours = cira__span_zero(&s.neighbours, 4);
      list_hi = csr->weights == NULL ? s.neighbours.hi : 0;
    }
    if (end != NULL) {
      end(c, w, (uint32_t)v);
    }
  }
  w->edges += edges;
}

/* ---- states --------------------------------------------------------------
 */

/* Claims *p for `value` when it still is `free`. Alone, a store does. */
CIRA__INLINE bool cira__claim(uint32_t *p, uint32_t free, uint32_t value,
                              bool shared) {
  if (__atomic_load_n(p, __ATOMIC_RELAXED) != free) {
    return false;
  }
  if (!shared) {
    *p = value;
    return true;
  }
  return __atomic_compare_exchange_n(p, &free, value, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED);
}

CIRA__INLINE bool cira__bit(const uint64_t *bits, uint32_t i) {
  return (bits[i / 64] >> (i % 64) & 1) != 0;
}

/* ---- rounds (program.c) --------------------------------------------------
 */

typedef struct {
  cira__step_fn push, pull; /* NULL: not that way */
  bool (*round)(void *context, uint64_t round, uint64_t active);
  const char *what; /* for progress */
} cira__rounds_t;

/* From a frontier (NULL: all vertices) until nothing is active. */
cira_status_t cira__rounds(cira__engine_t *e, const cira__rounds_t *how,
                           const uint32_t *frontier, uint64_t count,
                           uint64_t *out_rounds);

#endif
