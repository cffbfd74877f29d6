/* SPDX-License-Identifier: Apache-2.0
 *
 * Betweenness (Brandes 2001): per source a search that counts shortest paths,
 * level by level in one array, then the levels backwards: a vertex adds up what
 * its successors, the neighbours one level on, pass on to it.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/engine.h"

/* What both ways look at of a neighbour, in half a line. */
typedef struct {
  double paths;
  double part; /* (1 + dependency) / paths, when its level is done */
  uint32_t level;
} node_t;

typedef struct {
  node_t *node;
  double *score;
  uint32_t *order;
  uint64_t *starts; /* of levels in order */
  uint64_t levels, levels_room;
  uint32_t level; /* that of the neighbours that count */
  uint32_t source;
} between_t;

static void add_double(double *p, double x) {
  uint64_t *bits = (uint64_t *)(void *)p, old, sum;
  old = __atomic_load_n(bits, __ATOMIC_RELAXED);
  do {
    double d;
    memcpy(&d, &old, sizeof d);
    d += x;
    memcpy(&sum, &d, sizeof sum);
  } while (!__atomic_compare_exchange_n(bits, &old, sum, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
}

CIRA__INLINE bool search_list(void *c, cira_graph_worker_t *w,
                              const cira_graph_list_t *l, bool shared) {
  between_t *b = c;
  double paths = b->node[l->vertex].paths; /* done since the last level */
  for (uint64_t i = 0; i < l->count; i++) {
    uint32_t u = l->neighbours[i];
    node_t *node = &b->node[u];
    if (cira__claim(&node->level, CIRA_GRAPH_NONE, b->level, shared)) {
      cira__activate(w, u);
    }
    if (__atomic_load_n(&node->level, __ATOMIC_RELAXED) != b->level) {
      continue;
    }
    if (shared) {
      add_double(&node->paths, paths);
    } else {
      node->paths += paths;
    }
  }
  return true;
}

CIRA__INLINE bool search_alone(void *c, cira_graph_worker_t *w,
                               const cira_graph_list_t *l) {
  return search_list(c, w, l, false);
}

CIRA__INLINE bool search_shared(void *c, cira_graph_worker_t *w,
                                const cira_graph_list_t *l) {
  return search_list(c, w, l, true);
}

static void search_step(cira__engine_t *e, cira_graph_worker_t *w) {
  between_t *b = e->context;
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    if (e->threads == 1) {
      cira__push(e, w, &e->graph->out, e->queue, lo, hi, b->node,
                 sizeof *b->node, NULL, search_alone, NULL, b);
    } else {
      cira__push(e, w, &e->graph->out, e->queue, lo, hi, b->node,
                 sizeof *b->node, NULL, search_shared, NULL, b);
    }
  }
}

/* Backwards: part holds the sum until the end of the list. */
CIRA__INLINE bool back_list(void *c, cira_graph_worker_t *w,
                            const cira_graph_list_t *l) {
  between_t *b = c;
  double sum = 0;
  (void)w;
  for (uint64_t i = 0; i < l->count; i++) {
    const node_t *node = &b->node[l->neighbours[i]];
    if (node->level == b->level) {
      sum += node->part;
    }
  }
  b->node[l->vertex].part += sum;
  return true;
}

CIRA__INLINE void back_end(void *c, cira_graph_worker_t *w, uint32_t v) {
  between_t *b = c;
  node_t *node = &b->node[v];
  double dependency = node->part * node->paths;
  (void)w;
  node->part = (1 + dependency) / node->paths;
  if (v != b->source) {
    b->score[v] += dependency;
  }
}

static void back_step(cira__engine_t *e, cira_graph_worker_t *w) {
  between_t *b = e->context;
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__push(e, w, &e->graph->out, e->queue, lo, hi, b->node, sizeof *b->node,
               NULL, back_list, back_end, b);
  }
}

static bool level_note(between_t *b, uint64_t start) {
  if (b->levels == b->levels_room) {
    uint64_t room = cira__max_u64(256, b->levels_room * 2);
    uint64_t *larger = realloc(b->starts, room * sizeof *larger);
    if (larger == NULL) {
      return false;
    }
    b->starts = larger;
    b->levels_room = room;
  }
  b->starts[b->levels++] = start;
  return true;
}

static cira_status_t one_source(cira__engine_t *e, between_t *b) {
  uint64_t n = (uint64_t)e->graph->n, from = 0, to = 1;
  cira_status_t status = CIRA_OK;
  for (uint64_t v = 0; v < n; v++) {
    b->node[v] = (node_t){.level = CIRA_GRAPH_NONE};
  }
  b->node[b->source] = (node_t){.paths = 1, .level = 0};
  b->order[0] = b->source;
  b->levels = 0;
  for (b->level = 1; status == CIRA_OK && from < to; b->level++) {
    if (!level_note(b, from)) {
      return cira__graph_no_memory("levels", b->levels * 8);
    }
    status = cira__engine_step(e, search_step, b->order + from, to - from,
                               (to - from) * 16, b->order + to, n - to);
    from = to;
    to += atomic_load(&e->next_count);
  }
  uint64_t end = to;
  for (uint64_t level = b->levels; status == CIRA_OK && level-- > 0;) {
    b->level = (uint32_t)level + 1;
    status = cira__engine_step(e, back_step, b->order + b->starts[level],
                               end - b->starts[level],
                               (end - b->starts[level]) * 16, NULL, 0);
    end = b->starts[level];
  }
  return status;
}

cira_status_t cira_graph_betweenness(const cira_graph_t *g,
                                     const uint32_t *sources, uint64_t count,
                                     const cira_graph_run_t *run,
                                     double *out_score) {
  cira__engine_t e;
  between_t b = {.score = out_score};
  uint64_t n = (uint64_t)g->n;
  cira_status_t status = CIRA_OK;
  for (uint64_t i = 0; status == CIRA_OK && i < count; i++) {
    status = cira__vertex_check(g, sources[i], "source");
  }
  if (status == CIRA_OK) {
    status = cira__engine_open(g, run, &b, &e);
  }
  if (status != CIRA_OK) {
    return status;
  }
  for (uint64_t v = 0; v < n; v++) {
    out_score[v] = 0;
  }
  if ((status = cira__state_raw(&e, n * sizeof *b.node, &b.node)) == CIRA_OK) {
    status = cira__state_raw(&e, n * sizeof *b.order, &b.order);
  }
  for (uint64_t i = 0; status == CIRA_OK && i < count; i++) {
    b.source = sources[i];
    status = one_source(&e, &b);
    cira__engine_progress(&e, "sources", i + 1, count);
  }
  free(b.starts);
  cira__state_free(&e, b.node);
  cira__state_free(&e, b.order);
  cira__engine_close(&e);
  return status;
}
