/* SPDX-License-Identifier: Apache-2.0
 *
 * See engine.h: life of an engine, steps, and the requests for far pages.
 */
#include "graph/engine.h"

#include <stdlib.h>
#include <string.h>

#define RUN_PAGES 64u
#define FETCH_PAGES 128u

/* ---- life ----------------------------------------------------------------
 */

void cira_graph_run_default(cira_graph_run_t *run) {
  memset(run, 0, sizeof *run);
  run->size = (uint32_t)sizeof *run;
}

static cira__reading_t reading_of(const cira_graph_t *g, uint32_t flags) {
  if (g->place == CIRA_GRAPH_LOCAL || (flags & CIRA_GRAPH_F_PLAIN) != 0 ||
      cira__far.space == NULL) {
    return CIRA__PLAIN;
  }
  return cira__far.direct ? CIRA__DIRECT : CIRA__REQUEST;
}

cira_status_t cira__engine_open(const cira_graph_t *g,
                                const cira_graph_run_t *run, void *context,
                                cira__engine_t *e) {
  memset(e, 0, sizeof *e);
  cira_graph_run_default(&e->run);
  if (run != NULL) {
    memcpy(&e->run, run, cira__min_u64(run->size, sizeof e->run));
  }
  e->graph = g;
  e->context = context;
  e->reading = reading_of(g, e->run.flags);
  e->ahead = e->run.look_ahead == 0 ? 8 : e->run.look_ahead;
  e->ahead = cira__min_u64(e->ahead, CIRA__AHEAD_MAX);
  e->threads = cira__threads_wanted(e->run.threads);
  e->workers = aligned_alloc(128, e->threads * sizeof *e->workers);
  if (e->workers == NULL) {
    return cira__graph_no_memory("threads", e->threads * sizeof *e->workers);
  }
  for (uint32_t i = 0; i < e->threads; i++) {
    memset(&e->workers[i], 0, sizeof e->workers[i]);
    e->workers[i].engine = e;
    e->workers[i].index = i;
  }
  cira_status_t status = cira__pool_create(e->threads, &e->pool);
  if (status != CIRA_OK) {
    free(e->workers);
    e->workers = NULL;
  } else if (e->reading == CIRA__DIRECT) {
    cira_far_hold();
  }
  return status;
}

void cira__engine_close(cira__engine_t *e) {
  if (e->workers != NULL) {
    if (e->reading == CIRA__DIRECT) {
      cira_far_unhold();
    }
    cira__pool_destroy(e->pool);
    free(e->workers);
  }
}

static cira_status_t state(const cira__engine_t *e, uint64_t bytes, bool zeroed,
                           void *out) {
  void *p = cira__scratch_alloc(e->graph, bytes, e->run.flags, zeroed);
  memcpy(out, &p, sizeof p);
  return p != NULL ? CIRA_OK
                   : cira__graph_no_memory("the states of vertices", bytes);
}

cira_status_t cira__state(const cira__engine_t *e, uint64_t bytes, void *out) {
  return state(e, bytes, true, out);
}

cira_status_t cira__state_raw(const cira__engine_t *e, uint64_t bytes,
                              void *out) {
  return state(e, bytes, false, out);
}

cira_status_t cira__vertex_check(const cira_graph_t *g, uint64_t vertex,
                                 const char *what) {
  return vertex < (uint64_t)g->n
             ? CIRA_OK
             : cira__fail(CIRA_E_RANGE, "%s %llu: the vertices are 0 to %llu",
                          what, (unsigned long long)vertex,
                          (unsigned long long)g->n - 1);
}

void cira__engine_progress(const cira__engine_t *e, const char *what,
                           uint64_t done, uint64_t total) {
  if (e->run.progress != NULL) {
    e->run.progress(e->run.progress_context, what, done, total);
  }
}

/* ---- steps ---------------------------------------------------------------
 */

void cira__worker_flush(cira_graph_worker_t *w) {
  cira__engine_t *e = w->engine;
  uint64_t at =
      atomic_fetch_add_explicit(&e->next_count, w->held, memory_order_relaxed);
  if (cira__range_ok(at, w->held, e->next_room)) {
    memcpy(e->next + at, w->buffer, w->held * sizeof *w->buffer);
  } else {
    atomic_store(&e->failed, CIRA_E_RANGE);
  }
  w->held = 0;
}

typedef struct {
  cira__engine_t *e;
  cira__step_fn fn;
} step_t;

static void step_job(void *argument, uint32_t worker) {
  step_t *s = argument;
  cira_graph_worker_t *w = &s->e->workers[worker];
  s->fn(s->e, w);
  if (w->held > 0) {
    cira__worker_flush(w);
  }
}

/* Parts: small enough to be shared evenly, large enough that looking ahead
 * does not start anew all the time. */
static uint64_t chunk_of(const cira__engine_t *e, uint64_t count) {
  if (e->threads == 1) {
    return count + 1;
  }
  uint64_t part = count / (e->threads * 8u) + 1;
  return cira__min_u64(cira__max_u64(part, 64), 4096);
}

cira_status_t cira__engine_step(cira__engine_t *e, cira__step_fn fn,
                                const uint32_t *queue, uint64_t count,
                                uint64_t work, uint32_t *next,
                                uint64_t next_room) {
  step_t s = {e, fn};
  e->queue = queue;
  e->count = count;
  e->chunk = chunk_of(e, count);
  e->next = next;
  e->next_room = next_room;
  atomic_store_explicit(&e->taken, 0, memory_order_relaxed);
  atomic_store_explicit(&e->next_count, 0, memory_order_relaxed);
  for (uint32_t i = 0; i < e->threads; i++) {
    e->workers[i].edges = 0;
  }
  if (work < CIRA__SMALL) {
    step_job(&s, 0);
  } else {
    cira__pool_run(e->pool, step_job, &s);
  }
  int32_t failed = atomic_load(&e->failed);
  if (failed == CIRA_E_RANGE) {
    return cira__fail(failed, "a round activated more vertices than the graph "
                              "has; a program activates each once");
  }
  return failed == CIRA_OK ? CIRA_OK
                           : cira__graph_no_memory("queues of vertices", 0);
}

uint64_t cira__engine_edges(const cira__engine_t *e) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < e->threads; i++) {
    sum += e->workers[i].edges;
  }
  return sum;
}

uint64_t cira__engine_degrees(cira__engine_t *e, const uint32_t *queue,
                              uint64_t count) {
  const cira__csr_t *csr = &e->graph->out;
  bool direct = e->reading == CIRA__DIRECT;
  uint64_t sum = 0;
  if (e->reading == CIRA__REQUEST) { /* not worth a trip for each row */
    return e->graph->edges / (uint64_t)e->graph->n * count;
  }
  for (uint64_t i = 0; i < count; i++) {
    uint64_t from, to;
    if (i + 16 < count) {
      __builtin_prefetch(cira__at(csr->rows + queue[i + 16], direct));
    }
    cira__row(csr, queue[i], direct, &from, &to);
    sum += to - from;
  }
  return sum;
}

/* ---- far pages -----------------------------------------------------------
 */

typedef struct {
  const void *page[FETCH_PAGES];
  uint32_t count, most;
} wish_t;

static void wish(wish_t *w, const void *from, uint64_t bytes) {
  const uint8_t *p = (const uint8_t *)(uintptr_t)cira__align_down(
      (uintptr_t)from, CIRA_PAGE_BYTES);
  for (; bytes > 0 && p < (const uint8_t *)from + bytes && w->count < w->most;
       p += CIRA_PAGE_BYTES) {
    if (!cira_far_is_here(p) && (w->count == 0 || w->page[w->count - 1] != p)) {
      w->page[w->count++] = p;
    }
  }
}

void cira__engine_fetch(cira__engine_t *e, const cira__csr_t *csr,
                        const uint32_t *queue, uint64_t count) {
  wish_t w = {.most = (uint32_t)cira__min_u64(
                  FETCH_PAGES, cira_far_local_pages() / (8u * e->threads))};
  for (uint64_t i = 0; i < count; i++) {
    wish(&w, csr->rows + queue[i], 16);
  }
  cira_space_prefetch_many(cira__far.space, w.page, w.count);
  w.count = 0;
  for (uint64_t i = 0; i < count && w.count < w.most; i++) {
    uint64_t from, to;
    cira__row(csr, queue[i], false, &from, &to);
    wish(&w, csr->neighbours + from, (to - from) * 4);
    if (csr->weights != NULL) {
      wish(&w, csr->weights + from, (to - from) * 4);
    }
  }
  cira_space_prefetch_many(cira__far.space, w.page, w.count);
}

void cira__span_open(const cira__engine_t *e, const void *array,
                     uint32_t element_bytes, uint64_t i, uint64_t count,
                     cira__span_t *out) {
  const uint8_t *p = (const uint8_t *)array + i * element_bytes;
  uint64_t first = (uintptr_t)array, last = first + count * element_bytes;
  uint64_t lo = first, hi = last, delta = 0;
  cira_far_run_t run;
  if (e->reading == CIRA__DIRECT && cira_far_run(p, 1, RUN_PAGES, &run)) {
    lo = cira__max_u64(first, run.lo);
    hi = cira__min_u64(last, run.hi);
    delta = run.delta;
  } else if (e->reading == CIRA__REQUEST) {
    uint64_t pages =
        cira__min_u64(RUN_PAGES, cira__max_u64(1, cira_far_local_pages() /
                                                      (16u * e->threads)));
    lo = cira__max_u64(first, cira__align_down((uintptr_t)p, CIRA_PAGE_BYTES));
    hi = cira__min_u64(last, lo + pages * CIRA_PAGE_BYTES);
    cira_space_prefetch(cira__far.space, p, hi - (uintptr_t)p);
  }
  out->lo = (lo - first) / element_bytes;
  out->hi = (hi - first) / element_bytes;
  out->p = (const uint8_t *)(uintptr_t)(lo + delta);
}
