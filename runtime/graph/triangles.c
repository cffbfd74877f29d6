/* SPDX-License-Identifier: Apache-2.0
 *
 * Triangles. Each edge is kept at its end of lower degree only, so that lists
 * become short (at most the root of twice the edges). Then a triangle is found
 * once: at its first vertex, whose list is marked in a bit set; the lists of
 * those in it are a queue, and their marked entries are triangles.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/engine.h"

typedef struct {
  const uint32_t *degree;
  cira_graph_t *lower; /* what is built */
} lower_t;

typedef struct {
  uint64_t *marks;
  uint32_t *list;
  uint64_t count, triangles;
} marker_t;

/* ---- edges at their lower end --------------------------------------------
 */

CIRA__INLINE bool is_lower(const uint32_t *degree, uint32_t v, uint32_t u) {
  return degree[v] < degree[u] || (degree[v] == degree[u] && v < u);
}

static void degree_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint32_t *degree = (uint32_t *)(uintptr_t)((lower_t *)e->context)->degree;
  cira__span_t rows = {0};
  uint64_t lo, hi;
  (void)w;
  while (cira__take(e, &lo, &hi)) {
    for (uint64_t v = lo; v < hi; v++) {
      degree[v] = (uint32_t)(cira__span_row(e, &e->graph->out, v + 1, &rows) -
                             cira__span_row(e, &e->graph->out, v, &rows));
    }
  }
}

CIRA__INLINE bool count_list(void *c, cira_graph_worker_t *w,
                             const cira_graph_list_t *l) {
  const lower_t *b = c;
  (void)w;
  uint64_t count = 0;
  for (uint64_t i = 0; i < l->count; i++) {
    count += is_lower(b->degree, l->vertex, l->neighbours[i]);
  }
  b->lower->out.rows[l->vertex + 1] += count;
  return true;
}

static void count_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__dense(e, w, &e->graph->out, lo, hi, NULL, count_list, NULL,
                e->context);
  }
}

typedef struct {
  const lower_t *b;
  uint64_t at; /* of the list that is written */
  uint32_t vertex;
} filler_t;

CIRA__INLINE bool fill_list(void *c, cira_graph_worker_t *w,
                            const cira_graph_list_t *l) {
  filler_t *f = c;
  uint32_t *out = f->b->lower->out.neighbours;
  (void)w;
  if (f->vertex != l->vertex) {
    f->vertex = l->vertex;
    f->at = f->b->lower->out.rows[l->vertex];
  }
  for (uint64_t i = 0; i < l->count; i++) {
    if (is_lower(f->b->degree, l->vertex, l->neighbours[i])) {
      out[f->at++] = l->neighbours[i];
    }
  }
  return true;
}

static void fill_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint64_t lo, hi;
  filler_t f = {.b = e->context, .vertex = CIRA_GRAPH_NONE};
  while (cira__take(e, &lo, &hi)) {
    cira__dense(e, w, &e->graph->out, lo, hi, NULL, fill_list, NULL, &f);
  }
}

static cira_status_t lower_build(const cira_graph_t *g,
                                 const cira_graph_run_t *run,
                                 cira_graph_t *lower) {
  cira__engine_t e;
  lower_t b = {.lower = lower};
  uint64_t n = (uint64_t)g->n;
  uint32_t *degree = NULL;
  cira_status_t status = cira__engine_open(g, run, &b, &e);
  if (status != CIRA_OK) {
    return status;
  }
  lower->n = g->n;
  lower->place = g->place;
  if ((status = cira__state(&e, n * 4, &degree)) == CIRA_OK &&
      (status = cira__csr_alloc(g->place, n, UINT64_MAX, false, lower->block,
                                &lower->out)) == CIRA_OK) {
    memset(lower->out.rows, 0, (n + 1) * 8);
    b.degree = degree;
    status = cira__engine_step(&e, degree_step, NULL, n, n, NULL, 0);
  }
  if (status == CIRA_OK) {
    status = cira__engine_step(&e, count_step, NULL, n, g->edges, NULL, 0);
  }
  for (uint64_t v = 0; status == CIRA_OK && v < n; v++) {
    lower->degree_max =
        cira__max_u64(lower->degree_max, lower->out.rows[v + 1]);
    lower->out.rows[v + 1] += lower->out.rows[v];
  }
  if (status == CIRA_OK) {
    lower->edges = lower->out.rows[n];
    status = cira__csr_alloc(g->place, n, lower->edges, false, lower->block,
                             &lower->out);
  }
  if (status == CIRA_OK) {
    status = cira__engine_step(&e, fill_step, NULL, n, g->edges, NULL, 0);
  }
  cira__state_free(&e, degree);
  cira__engine_close(&e);
  return status;
}

/* ---- counting ------------------------------------------------------------
 */

CIRA__INLINE bool mark_list(void *c, cira_graph_worker_t *w,
                            const cira_graph_list_t *l) {
  marker_t *m = c;
  (void)w;
  for (uint64_t i = 0; i < l->count; i++) {
    uint32_t u = l->neighbours[i];
    m->marks[u / 64] |= UINT64_C(1) << (u % 64);
    m->list[m->count++] = u;
  }
  return true;
}

CIRA__INLINE bool meet_list(void *c, cira_graph_worker_t *w,
                            const cira_graph_list_t *l) {
  marker_t *m = c;
  uint64_t met = 0;
  (void)w;
  for (uint64_t i = 0; i < l->count; i++) {
    met += cira__bit(m->marks, l->neighbours[i]);
  }
  m->triangles += met;
  return true;
}

CIRA__INLINE void meet_all(void *c, cira_graph_worker_t *w, uint32_t v) {
  marker_t *m = c;
  cira__engine_t *e = w->engine;
  (void)v;
  if (m->count > 1) {
    cira__push(e, w, &e->graph->out, m->list, 0, m->count, NULL, 0, NULL,
               meet_list, NULL, m);
  }
  for (uint64_t i = 0; i < m->count; i++) {
    m->marks[m->list[i] / 64] = 0;
  }
  m->count = 0;
}

static void meet_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__dense(e, w, &e->graph->out, lo, hi, NULL, mark_list, meet_all,
                w->local);
  }
}

static cira_status_t meet_run(cira__engine_t *e, uint64_t *out_triangles) {
  uint64_t n = (uint64_t)e->graph->n, sum = 0;
  marker_t *m = calloc(e->threads, sizeof *m);
  cira_status_t status =
      m != NULL ? CIRA_OK : cira__graph_no_memory("marks", sizeof *m);
  for (uint32_t i = 0; status == CIRA_OK && i < e->threads; i++) {
    e->workers[i].local = &m[i];
    status = cira__state(e, (n + 63) / 64 * 8, &m[i].marks);
    if (status == CIRA_OK) {
      status = cira__state(e, e->graph->degree_max * 4 + 4, &m[i].list);
    }
  }
  if (status == CIRA_OK) {
    cira__engine_progress(e, "counting", 0, 0);
    status = cira__engine_step(e, meet_step, NULL, n, e->graph->edges, NULL, 0);
  }
  for (uint32_t i = 0; m != NULL && i < e->threads; i++) {
    sum += m[i].triangles;
    cira__state_free(e, m[i].marks);
    cira__state_free(e, m[i].list);
  }
  free(m);
  if (status == CIRA_OK) {
    *out_triangles = sum;
  }
  return status;
}

cira_status_t cira_graph_triangles(const cira_graph_t *g,
                                   const cira_graph_run_t *run,
                                   uint64_t *out_triangles) {
  cira__engine_t e;
  if (!g->symmetric || !g->simple || !g->loop_free) {
    return cira__fail(CIRA_E_INVALID,
                      "triangles are counted in graphs that are symmetric, "
                      "without parallel edges and self loops; build this one "
                      "with symmetrise, deduplicate and drop_self_loops");
  }
  cira_graph_t *lower = calloc(1, sizeof *lower);
  if (lower == NULL) {
    return cira__graph_no_memory("a graph", sizeof *lower);
  }
  cira_status_t status = lower_build(g, run, lower);
  if (status == CIRA_OK) {
    status = cira__engine_open(lower, run, NULL, &e);
  }
  if (status == CIRA_OK) {
    status = meet_run(&e, out_triangles);
    cira__engine_close(&e);
  }
  cira_graph_destroy(lower);
  return status;
}
