/* SPDX-License-Identifier: Apache-2.0
 *
 * Components by linking trees (Sutton, Ben-Nun, Barak: Afforest, 2018): the
 * first neighbours of each vertex already join most of a large component; then
 * vertices of the largest one need not look at their other edges.
 * Invariant: component[v] <= v, so the root of a tree is its smallest vertex.
 */
#include <stdlib.h>

#include "graph/engine.h"

#define FIRST 2u /* neighbours that every vertex looks at */
#define SAMPLE 1024u

typedef struct {
  uint32_t *component;
  uint32_t largest; /* CIRA_GRAPH_NONE: nobody is left out */
} trees_t;

CIRA__INLINE uint32_t load(const uint32_t *p) {
  return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void link_trees(uint32_t *component, uint32_t u, uint32_t v) {
  uint32_t a = load(&component[u]), b = load(&component[v]);
  while (a != b) {
    uint32_t high = a > b ? a : b, low = a > b ? b : a;
    uint32_t above = load(&component[high]);
    if (above == low ||
        (above == high && cira__claim(&component[high], high, low, true))) {
      return;
    }
    a = load(&component[load(&component[high])]);
    b = load(&component[low]);
  }
}

CIRA__INLINE bool first_list(void *c, cira_graph_worker_t *w,
                             const cira_graph_list_t *l) {
  trees_t *t = c;
  (void)w;
  for (uint64_t i = 0; i < l->count && i < FIRST; i++) {
    link_trees(t->component, l->vertex, l->neighbours[i]);
  }
  return false;
}

CIRA__INLINE bool other_list(void *c, cira_graph_worker_t *w,
                             const cira_graph_list_t *l) {
  trees_t *t = c;
  (void)w;
  for (uint64_t i = 0; i < l->count; i++) {
    link_trees(t->component, l->vertex, l->neighbours[i]);
  }
  return true;
}

CIRA__INLINE bool is_outside(void *c, cira_graph_worker_t *w, uint32_t v) {
  const trees_t *t = c;
  (void)w;
  return load(&t->component[v]) != t->largest;
}

static void first_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__dense(e, w, &e->graph->out, lo, hi, NULL, first_list, NULL,
                e->context);
  }
}

static void other_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__dense(e, w, &e->graph->out, lo, hi, is_outside, other_list, NULL,
                e->context);
  }
}

static void compress_step(cira__engine_t *e, cira_graph_worker_t *w) {
  uint32_t *component = ((trees_t *)e->context)->component;
  uint64_t lo, hi;
  (void)w;
  while (cira__take(e, &lo, &hi)) {
    for (uint64_t v = lo; v < hi; v++) {
      uint32_t a = load(&component[v]), b;
      while (a != (b = load(&component[a]))) {
        __atomic_store_n(&component[v], b, __ATOMIC_RELAXED);
        a = b;
      }
    }
  }
}

static int number_order(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* The most frequent component of a sample. */
static uint32_t largest_of(const uint32_t *component, uint64_t n) {
  uint32_t sample[SAMPLE], best = 0, best_run = 0, run = 0;
  for (uint32_t i = 0; i < SAMPLE; i++) {
    sample[i] = component[cira__mix64(i) % n];
  }
  qsort(sample, SAMPLE, sizeof *sample, number_order);
  for (uint32_t i = 0; i < SAMPLE; i++) {
    run = i > 0 && sample[i] == sample[i - 1] ? run + 1 : 1;
    if (run > best_run) {
      best = sample[i];
      best_run = run;
    }
  }
  return best;
}

cira_status_t cira_graph_components(const cira_graph_t *g,
                                    const cira_graph_run_t *run,
                                    uint32_t *out_component) {
  cira__engine_t e;
  trees_t t = {.component = out_component, .largest = CIRA_GRAPH_NONE};
  uint64_t n = (uint64_t)g->n;
  cira_status_t status = cira__engine_open(g, run, &t, &e);
  if (status != CIRA_OK) {
    return status;
  }
  for (uint64_t v = 0; v < n; v++) {
    out_component[v] = (uint32_t)v;
  }
  static const cira__step_fn steps[] = {first_step, compress_step, other_step,
                                        compress_step};
  for (size_t i = 0; status == CIRA_OK && i < CIRA_COUNT(steps); i++) {
    /* An edge into the largest component may be known to its tail alone. */
    if (steps[i] == other_step && g->symmetric) {
      t.largest = largest_of(out_component, n);
    }
    cira__engine_progress(&e, "joining, steps", i, CIRA_COUNT(steps));
    status = cira__engine_step(&e, steps[i], NULL, n, g->edges + n, NULL, 0);
  }
  cira__engine_close(&e);
  return status;
}
