/* SPDX-License-Identifier: Apache-2.0
 *
 * Graph kernels that pass over all rows. Verified:
 *   PageRank    again by pushing along the edges instead of pulling
 *   components  by union and find (Tarjan, 1975)
 *   triangles   by marking the neighbours of one vertex after the other
 */
#include "bench.h"

#include <math.h>
#include <string.h>

#define ITERATIONS 4

struct sweeps {
  struct graph graph;
  double *rank;
  double *share;
  uint32_t *label;
  uint64_t triangles;
};

static struct sweeps *graph_setup(struct bench_run *run) {
  struct sweeps *d = bench_alloc(run, 1, sizeof *d);
  run->data = d;
  bench_graph_make(run, run->kernel->variant, &d->graph);
  run->elements = d->graph.edges ? d->graph.edges : 1;
  return d;
}

/* --- PageRank -------------------------------------------------------------
 */

static void pagerank_setup(struct bench_run *run) {
  struct sweeps *d = graph_setup(run);
  run->elements *= ITERATIONS;
  d->rank = bench_alloc(run, run->size, sizeof *d->rank);
  d->share = bench_alloc(run, run->size, sizeof *d->share);
}

static void start_ranks(double *rank, uint64_t n) {
  for (uint64_t v = 0; v < n; v++) {
    rank[v] = 1 / (double)n;
  }
}

static void pagerank_reset(struct bench_run *run) {
  struct sweeps *d = run->data;
  start_ranks(d->rank, run->size);
}

static void pagerank_plain(struct bench_run *run) {
  struct sweeps *d = run->data;
  plain_pagerank(&d->graph, d->rank, d->share, ITERATIONS);
}

static void pagerank_best(struct bench_run *run, unsigned param) {
  struct sweeps *d = run->data;
  best_pagerank(&d->graph, d->rank, d->share, ITERATIONS, param);
}

static uint64_t pagerank_finish(struct bench_run *run) {
  const struct sweeps *d = run->data;
  return bench_checksum(d->rank, run->size * sizeof *d->rank);
}

static const char *pagerank_verify(struct bench_run *run) {
  const struct sweeps *d = run->data;
  const struct graph *g = &d->graph;
  double *rank = bench_alloc(run, run->size, sizeof *rank);
  double *next = bench_alloc(run, run->size, sizeof *next);
  const char *wrong = NULL;
  start_ranks(rank, run->size);
  for (unsigned k = 0; k < ITERATIONS; k++) {
    for (uint32_t v = 0; v < g->vertices; v++) {
      next[v] = 0.15 / g->vertices;
    }
    for (uint32_t u = 0; u < g->vertices; u++) {
      for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
        next[g->neighbour[e]] +=
            0.85 * rank[u] / (double)(g->row[u + 1] - g->row[u]);
      }
    }
    double *swap = rank;
    rank = next;
    next = swap;
  }
  for (uint32_t v = 0; v < g->vertices; v++) {
    if (!(fabs(rank[v] - d->rank[v]) <= 1e-9 * rank[v])) {
      wrong = "a rank differs from the one by pushing";
    }
  }
  bench_free(run, rank);
  bench_free(run, next);
  return wrong;
}

/* --- Connected components -------------------------------------------------
 */

static void components_setup(struct bench_run *run) {
  struct sweeps *d = graph_setup(run);
  d->label = bench_alloc(run, run->size, sizeof *d->label);
}

static void components_reset(struct bench_run *run) {
  struct sweeps *d = run->data;
  memset(d->label, 0xFF, run->size * sizeof *d->label);
}

static void components_plain(struct bench_run *run) {
  struct sweeps *d = run->data;
  plain_components(&d->graph, d->label);
}

static void components_best(struct bench_run *run, unsigned param) {
  struct sweeps *d = run->data;
  best_components(&d->graph, d->label, param);
}

static uint64_t components_finish(struct bench_run *run) {
  const struct sweeps *d = run->data;
  return bench_checksum(d->label, run->size * sizeof *d->label);
}

static uint32_t find(uint32_t *up, uint32_t v) {
  while (up[v] != v) {
    v = up[v] = up[up[v]];
  }
  return v;
}

static const char *components_verify(struct bench_run *run) {
  const struct sweeps *d = run->data;
  const struct graph *g = &d->graph;
  uint32_t *up = bench_alloc(run, run->size, sizeof *up);
  const char *wrong = NULL;
  for (uint32_t v = 0; v < g->vertices; v++) {
    up[v] = v;
  }
  for (uint32_t u = 0; u < g->vertices; u++) {
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint32_t a = find(up, u);
      uint32_t b = find(up, g->neighbour[e]);
      up[a < b ? b : a] = a < b ? a : b; /* the root is the smallest */
    }
  }
  for (uint32_t v = 0; v < g->vertices; v++) {
    if (find(up, v) != d->label[v]) {
      wrong = "a vertex is not labelled with the smallest of its component";
    }
  }
  bench_free(run, up);
  return wrong;
}

/* --- Triangles ------------------------------------------------------------
 */

/* Keeps each edge in the direction of the larger degree, so that the rows of
 * the hubs are short. */
static void direct(struct bench_run *run, struct graph *g) {
  uint64_t out = 0;
  uint32_t n = g->vertices;
  uint64_t *degree = bench_alloc(run, n, sizeof *degree);
  for (uint32_t v = 0; v < n; v++) {
    degree[v] = g->row[v + 1] - g->row[v];
  }
  for (uint32_t u = 0; u < n; u++) {
    uint64_t e = g->row[u];
    g->row[u] = out;
    for (uint64_t last = e + degree[u]; e < last; e++) {
      uint32_t v = g->neighbour[e];
      if (degree[u] < degree[v] || (degree[u] == degree[v] && u < v)) {
        g->neighbour[out++] = v;
      }
    }
  }
  g->row[n] = out;
  memset(g->neighbour + out, 0,
         (g->edges + KERNEL_PAD - out) * sizeof *g->neighbour);
  g->edges = out;
  bench_free(run, degree);
}

static void triangles_setup(struct bench_run *run) {
  struct sweeps *d = graph_setup(run);
  direct(run, &d->graph);
  run->elements = d->graph.edges ? d->graph.edges : 1;
}

static void triangles_reset(struct bench_run *run) {
  struct sweeps *d = run->data;
  d->triangles = UINT64_MAX;
}

static void triangles_plain(struct bench_run *run) {
  struct sweeps *d = run->data;
  d->triangles = plain_triangles(&d->graph);
}

static void triangles_best(struct bench_run *run, unsigned param) {
  struct sweeps *d = run->data;
  d->triangles = best_triangles(&d->graph, param);
}

static uint64_t triangles_finish(struct bench_run *run) {
  return ((const struct sweeps *)run->data)->triangles;
}

static const char *triangles_verify(struct bench_run *run) {
  const struct sweeps *d = run->data;
  const struct graph *g = &d->graph;
  bool *mark = bench_alloc(run, run->size, sizeof *mark);
  uint64_t count = 0;
  for (uint32_t u = 0; u < g->vertices; u++) {
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      mark[g->neighbour[e]] = true;
    }
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint32_t v = g->neighbour[e];
      for (uint64_t f = g->row[v]; f < g->row[v + 1]; f++) {
        count += mark[g->neighbour[f]];
      }
    }
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      mark[g->neighbour[e]] = false;
    }
  }
  bench_free(run, mark);
  return count == d->triangles ? NULL : "marking gives another number";
}

#define SWEEP(NAME, ABOUT, SCALE, VARIANT, PARAM, FAMILY)                      \
  {                                                                            \
      .name = NAME,                                                            \
      .about = ABOUT,                                                          \
      .sized = "vertices",                                                     \
      .element = "edge",                                                       \
      .param = "distance",                                                     \
      .test_size = 1 << 12,                                                    \
      .bench_size = UINT64_C(1) << SCALE,                                      \
      .min_size = 2,                                                           \
      .max_size = UINT64_C(1) << 30,                                           \
      .degree = 16,                                                            \
      .power_of_two = true,                                                    \
      .variant = VARIANT,                                                      \
      .best_param = PARAM,                                                     \
      .sweep = {2, 4, 8, 16, 32, 48, 64, 96, 128, 192},                        \
      .setup = FAMILY##_setup,                                                 \
      .reset = FAMILY##_reset,                                                 \
      .plain = FAMILY##_plain,                                                 \
      .best = FAMILY##_best,                                                   \
      .finish = FAMILY##_finish,                                               \
      .verify = FAMILY##_verify,                                               \
  }

const struct bench_kernel sweeps_kernels[] = {
    SWEEP("pagerank-kron", "PageRank, 4 iterations, Kronecker graph", 22,
          BENCH_KRONECKER, 48, pagerank),
    SWEEP("pagerank-uniform", "PageRank, 4 iterations, uniform graph", 22,
          BENCH_UNIFORM, 96, pagerank),
    SWEEP("cc-kron", "connected components, Kronecker graph", 22,
          BENCH_KRONECKER, 48, components),
    SWEEP("cc-uniform", "connected components, uniform graph", 22,
          BENCH_UNIFORM, 48, components),
    SWEEP("tc-kron", "triangles, Kronecker graph", 18, BENCH_KRONECKER, 8,
          triangles),
    SWEEP("tc-uniform", "triangles, uniform graph", 21, BENCH_UNIFORM, 8,
          triangles),
    {0},
};
