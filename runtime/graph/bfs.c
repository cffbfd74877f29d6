/* SPDX-License-Identifier: Apache-2.0
 *
 * Breadth-first search: a vertex is claimed by whoever reaches it first; large
 * frontiers are pulled, where a vertex stops at its first parent.
 */
#include <string.h>

#include "graph/engine.h"

#define PULL_TILE 1024u /* vertices */
#define PULL_AHEAD 32u  /* vertices whose lists are asked for */

CIRA__INLINE bool push_list(void *c, cira_graph_worker_t *w,
                            const cira_graph_list_t *l, bool shared) {
  uint32_t *parent = c;
  for (uint64_t i = 0; i < l->count; i++) {
    uint32_t u = l->neighbours[i];
    if (cira__claim(&parent[u], CIRA_GRAPH_NONE, l->vertex, shared)) {
      cira__activate(w, u);
    }
  }
  return true;
}

CIRA__INLINE bool push_alone(void *c, cira_graph_worker_t *w,
                             const cira_graph_list_t *l) {
  return push_list(c, w, l, false);
}

CIRA__INLINE bool push_shared(void *c, cira_graph_worker_t *w,
                              const cira_graph_list_t *l) {
  return push_list(c, w, l, true);
}

static void push_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint32_t *parent = e->context;
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    if (e->threads == 1) {
      cira__push(e, w, &e->graph->out, e->queue, lo, hi, parent, 4, NULL,
                 push_alone, NULL, parent);
    } else {
      cira__push(e, w, &e->graph->out, e->queue, lo, hi, parent, 4, NULL,
                 push_shared, NULL, parent);
    }
  }
}

CIRA__INLINE bool pull_wanted(void *c, cira_graph_worker_t *w, uint32_t v) {
  const uint32_t *parent = c;
  (void)w;
  return parent[v] == CIRA_GRAPH_NONE;
}

CIRA__INLINE bool pull_list(void *c, cira_graph_worker_t *w,
                            const cira_graph_list_t *l) {
  uint32_t *parent = c;
  for (uint64_t i = 0; i < l->count; i++) {
    uint32_t u = l->neighbours[i];
    if (cira__bit(l->active, u)) {
      parent[l->vertex] = u; /* nobody else looks at it in this round */
      cira__activate(w, l->vertex);
      return false;
    }
  }
  return true;
}

/* Vertices lo..hi whose rows and lists can be read in one piece: the plain
 * loop, which keeps all it needs in registers. Returns false when they cannot.
 */
CIRA__INLINE bool pull_tile(cira__engine_t *e, cira_graph_worker_t *w,
                            uint64_t lo, uint64_t hi, cira__span_t *rows,
                            cira__span_t *lists) {
  const cira__csr_t *in = &e->graph->in;
  const uint64_t *active = e->active;
  uint32_t *parent = e->context;
  uint64_t first = cira__span_row(e, in, lo, rows);
  if (rows->hi <= hi + PULL_AHEAD) {
    return false;
  }
  const uint64_t *row = (const uint64_t *)cira__span_zero(rows, 8);
  if (first < row[hi] && first - lists->lo >= lists->hi - lists->lo) {
    cira__span_open(e, in->neighbours, 4, first, e->graph->edges, lists);
  }
  if (row[hi] > lists->hi) {
    return false;
  }
  const uint32_t *u = (const uint32_t *)cira__span_zero(lists, 4);
  uint64_t edges = 0;
  for (uint64_t v = lo; v < hi; v++) {
    if (parent[v] != CIRA_GRAPH_NONE) {
      continue;
    }
    uint64_t from = row[v], to = row[v + 1];
    edges += to - from;
    /* Lists are left early and skipped: no stride for the hardware. */
    __builtin_prefetch(&u[row[v + PULL_AHEAD]]);
    for (uint64_t i = from; i < to; i++) {
      if (cira__bit(active, u[i])) {
        parent[v] = u[i]; /* nobody else looks at it in this round */
        cira__activate(w, (uint32_t)v);
        break;
      }
    }
  }
  w->edges += edges;
  return true;
}

static void pull_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint64_t lo, end;
  while (cira__take(e, &lo, &end)) {
    cira__span_t rows = {0}, lists = {0};
    for (uint64_t hi; lo < end; lo = hi) {
      hi = cira__min_u64(lo + PULL_TILE, end);
      if (!pull_tile(e, w, lo, hi, &rows, &lists)) {
        cira__dense(e, w, &e->graph->in, lo, hi, pull_wanted, pull_list, NULL,
                    e->context);
      }
    }
  }
}

cira_status_t cira_graph_bfs(const cira_graph_t *g, uint32_t source,
                             const cira_graph_run_t *run,
                             uint32_t *out_parent) {
  cira__engine_t e;
  cira_status_t status = cira__vertex_check(g, source, "source");
  if (status == CIRA_OK) {
    status = cira__engine_open(g, run, out_parent, &e);
  }
  if (status == CIRA_OK) {
    memset(out_parent, 255, (uint64_t)g->n * 4); /* CIRA_GRAPH_NONE */
    out_parent[source] = source;
    cira__rounds_t how = {.push = push_step,
                          .pull = g->in.rows != NULL ? pull_step : NULL,
                          .what = "searching, rounds"};
    status = cira__rounds(&e, &how, &source, 1, NULL);
    cira__engine_close(&e);
  }
  return status;
}
