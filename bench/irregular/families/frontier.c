/* SPDX-License-Identifier: Apache-2.0
 *
 * Graph kernels that follow a queue. Times are per edge of the vertices
 * reached, each edge counted from both ends (direction-optimising search
 * looks at fewer). Verified:
 *   search      the parents form a tree of edges, and no edge joins vertices
 *               more than a level apart (the rules of Graph500)
 *   paths       no edge can shorten a distance, and each distance is the sum
 *               of another and an edge: together that proves them
 *   centrality  depths, paths and dependencies again level by level, pulled
 *               from the edges; their sum equals the sum of depth - 1
 */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOP_DOWN = 0, SWITCHING = 2 }; /* + enum bench_graph */

struct frontier {
  struct graph graph;
  struct weighted_graph weighted;
  struct bucket bucket[SSSP_BUCKETS];
  uint32_t *distance;
  struct bfs_space bfs;
  struct centrality_space centrality;
  double *score;
  uint32_t source;
  uint32_t reached;
};

static struct frontier *graph_setup(struct bench_run *run) {
  struct frontier *d = bench_alloc(run, 1, sizeof *d);
  uint64_t state = run->seed;
  run->data = d;
  bench_graph_make(run, run->kernel->variant % 2, &d->graph);
  d->source = bench_graph_source(&d->graph, &state);
  return d;
}

static uint64_t degree(const struct graph *g, uint32_t v) {
  return g->row[v + 1] - g->row[v];
}

/* --- Breadth-first search -------------------------------------------------
 */

static void bfs_setup(struct bench_run *run) {
  struct frontier *d = graph_setup(run);
  uint64_t words = (run->size + 63) / 64;
  d->bfs.parent = bench_alloc(run, run->size, sizeof *d->bfs.parent);
  d->bfs.queue = bench_alloc(run, run->size, sizeof *d->bfs.queue);
  d->bfs.front = bench_alloc(run, words, sizeof *d->bfs.front);
  d->bfs.next = bench_alloc(run, words, sizeof *d->bfs.next);
}

static void bfs_reset(struct bench_run *run) {
  struct frontier *d = run->data;
  memset(d->bfs.parent, 0xFF, run->size * sizeof *d->bfs.parent); /* -1 */
  d->bfs.parent[d->source] = (int32_t)d->source;
  d->reached = 0;
}

static void bfs_plain(struct bench_run *run) {
  struct frontier *d = run->data;
  d->reached =
      run->kernel->variant < SWITCHING
          ? plain_bfs(&d->graph, d->source, d->bfs.parent, d->bfs.queue)
          : plain_bfs_switching(&d->graph, d->source, &d->bfs);
}

static void bfs_best(struct bench_run *run, unsigned param) {
  struct frontier *d = run->data;
  d->reached =
      run->kernel->variant < SWITCHING
          ? best_bfs(&d->graph, d->source, d->bfs.parent, d->bfs.queue, param)
          : best_bfs_switching(&d->graph, d->source, &d->bfs, param);
}

static uint64_t bfs_finish(struct bench_run *run) {
  const struct frontier *d = run->data;
  uint64_t edges = 0;
  for (uint32_t v = 0; v < d->graph.vertices; v++) {
    edges += d->bfs.parent[v] >= 0 ? degree(&d->graph, v) : 0;
  }
  run->elements = edges ? edges : 1;
  return bench_checksum(d->bfs.parent, run->size * sizeof *d->bfs.parent) +
         d->reached;
}

static bool has_edge(const struct graph *g, uint32_t u, uint32_t v) {
  uint64_t low = g->row[u];
  uint64_t high = g->row[u + 1];
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (g->neighbour[middle] == v) {
      return true;
    }
    if (g->neighbour[middle] < v) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return false;
}

/* Levels by following the parents to a vertex whose level is known; -1 where
 * there is no parent. Returns false on a cycle. */
static bool levels_from_parents(const struct frontier *d, int32_t *level) {
  uint32_t n = d->graph.vertices;
  memset(level, 0xFF, n * sizeof *level);
  level[d->source] = 0;
  for (uint32_t v = 0; v < n; v++) {
    uint32_t steps = 0;
    uint32_t u = v;
    while (level[u] < 0 && d->bfs.parent[u] >= 0) {
      if (++steps > n || (uint32_t)d->bfs.parent[u] >= n) {
        return false;
      }
      u = (uint32_t)d->bfs.parent[u];
    }
    if (level[u] < 0) {
      if (steps) {
        return false; /* ends at a vertex that was not reached */
      }
      continue;
    }
    int32_t at = level[u] + (int32_t)steps;
    for (u = v; level[u] < 0; u = (uint32_t)d->bfs.parent[u]) {
      level[u] = at--;
    }
  }
  return true;
}

static const char *check_levels(const struct frontier *d,
                                const int32_t *level) {
  const struct graph *g = &d->graph;
  uint32_t reached = 0;
  for (uint32_t u = 0; u < g->vertices; u++) {
    reached += level[u] >= 0;
    if (level[u] > 0 && !has_edge(g, (uint32_t)d->bfs.parent[u], u)) {
      return "a vertex has no edge to its parent";
    }
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      int32_t other = level[g->neighbour[e]];
      if ((level[u] < 0) != (other < 0)) {
        return "an edge leads out of what was reached";
      }
      if (level[u] > other + 1) {
        return "an edge joins vertices more than a level apart";
      }
    }
  }
  return reached == d->reached ? NULL : "the number of vertices is wrong";
}

static const char *bfs_verify(struct bench_run *run) {
  const struct frontier *d = run->data;
  int32_t *level = bench_alloc(run, run->size, sizeof *level);
  const char *wrong = levels_from_parents(d, level)
                          ? check_levels(d, level)
                          : "the parents are not a tree from the source";
  bench_free(run, level);
  return wrong;
}

/* --- Shortest paths -------------------------------------------------------
 */

static void sssp_setup(struct bench_run *run) {
  struct frontier *d = graph_setup(run);
  struct weighted_graph *w = &d->weighted;
  struct graph *g = &d->graph;
  w->vertices = g->vertices;
  w->edges = g->edges;
  w->row = g->row;
  w->edge = bench_alloc(run, g->edges + KERNEL_PAD, sizeof *w->edge);
  for (uint32_t u = 0; u < g->vertices; u++) {
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint32_t v = g->neighbour[e];
      uint64_t pair = u < v ? (uint64_t)u << 32 | v : (uint64_t)v << 32 | u;
      w->edge[e].to = v;
      w->edge[e].weight =
          1 + (uint32_t)(bench_mix(pair ^ run->seed) % SSSP_WEIGHT_MAX);
    }
  }
  bench_free(run, g->neighbour);
  g->neighbour = NULL;
  d->distance = bench_alloc(run, run->size, sizeof *d->distance);
}

static void sssp_reset(struct bench_run *run) {
  struct frontier *d = run->data;
  memset(d->distance, 0xFF, run->size * sizeof *d->distance); /* SSSP_FAR */
  d->distance[d->source] = 0;
}

static void must_fit(bool ok) {
  if (!ok) {
    fprintf(stderr, "%s: no memory for the buckets: choose a smaller --scale\n",
            program_invocation_short_name);
    exit(1);
  }
}

static void sssp_plain(struct bench_run *run) {
  struct frontier *d = run->data;
  must_fit(plain_sssp(&d->weighted, d->source, d->distance, d->bucket));
}

static void sssp_best(struct bench_run *run, unsigned param) {
  struct frontier *d = run->data;
  must_fit(best_sssp(&d->weighted, d->source, d->distance, d->bucket, param));
}

static uint64_t sssp_finish(struct bench_run *run) {
  struct frontier *d = run->data;
  uint64_t edges = 0;
  for (uint32_t v = 0; v < d->graph.vertices; v++) {
    edges += d->distance[v] != SSSP_FAR ? degree(&d->graph, v) : 0;
  }
  run->elements = edges ? edges : 1;
  return bench_checksum(d->distance, run->size * sizeof *d->distance);
}

static const char *sssp_verify(struct bench_run *run) {
  const struct frontier *d = run->data;
  const struct weighted_graph *g = &d->weighted;
  if (d->distance[d->source] != 0) {
    return "the source is not at distance 0";
  }
  for (uint32_t u = 0; u < g->vertices; u++) {
    bool exact = u == d->source || d->distance[u] == SSSP_FAR;
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint64_t other = d->distance[g->edge[e].to];
      if (other != SSSP_FAR && other + g->edge[e].weight < d->distance[u]) {
        return "an edge makes a path shorter";
      }
      exact |= other + g->edge[e].weight == d->distance[u];
    }
    if (!exact) {
      return "a distance belongs to no path";
    }
  }
  return NULL;
}

/* --- Betweenness centrality -----------------------------------------------
 */

static void centrality_setup(struct bench_run *run) {
  struct frontier *d = graph_setup(run);
  struct centrality_space *s = &d->centrality;
  s->depth = bench_alloc(run, run->size, sizeof *s->depth);
  s->paths = bench_alloc(run, run->size, sizeof *s->paths);
  s->dependency = bench_alloc(run, run->size, sizeof *s->dependency);
  s->order = bench_alloc(run, run->size, sizeof *s->order);
  d->score = bench_alloc(run, run->size, sizeof *d->score);
}

static void centrality_reset(struct bench_run *run) {
  struct frontier *d = run->data;
  memset(d->centrality.depth, 0xFF, run->size * sizeof(int32_t)); /* -1 */
  memset(d->centrality.paths, 0, run->size * sizeof(double));
  memset(d->centrality.dependency, 0, run->size * sizeof(double));
  memset(d->score, 0, run->size * sizeof *d->score);
}

static void centrality_plain(struct bench_run *run) {
  struct frontier *d = run->data;
  plain_centrality(&d->graph, d->source, &d->centrality, d->score);
}

static void centrality_best(struct bench_run *run, unsigned param) {
  struct frontier *d = run->data;
  best_centrality(&d->graph, d->source, &d->centrality, d->score, param);
}

static uint64_t centrality_finish(struct bench_run *run) {
  const struct frontier *d = run->data;
  uint64_t edges = 0;
  for (uint32_t v = 0; v < d->graph.vertices; v++) {
    edges += d->centrality.depth[v] >= 0 ? degree(&d->graph, v) : 0;
  }
  run->elements = edges ? 2 * edges : 1; /* there and back */
  return bench_checksum(d->score, run->size * sizeof *d->score);
}

static bool close_to(double a, double b) {
  return fabs(a - b) <= 1e-6 * (fabs(a) + fabs(b)) + 1e-9;
}

/* Depths by relaxing all edges until nothing changes. */
static int32_t relax_depths(const struct graph *g, uint32_t source,
                            int32_t *depth) {
  int32_t level = 0;
  bool changed = true;
  memset(depth, 0xFF, g->vertices * sizeof *depth);
  depth[source] = 0;
  for (; changed; level++) {
    changed = false;
    for (uint32_t v = 0; v < g->vertices; v++) {
      for (uint64_t e = g->row[v]; depth[v] < 0 && e < g->row[v + 1]; e++) {
        if (depth[g->neighbour[e]] == level) {
          depth[v] = level + 1;
          changed = true;
        }
      }
    }
  }
  return level;
}

/* Paths to, and dependencies on, the vertices of one level, each pulled. */
static const char *check_vertex(const struct frontier *d, uint32_t v,
                                double *sum) {
  const struct graph *g = &d->graph;
  const struct centrality_space *s = &d->centrality;
  double paths = v == d->source;
  double dependency = 0;
  for (uint64_t e = g->row[v]; e < g->row[v + 1]; e++) {
    uint32_t u = g->neighbour[e];
    if (s->depth[u] == s->depth[v] - 1) {
      paths += s->paths[u];
    } else if (s->depth[u] == s->depth[v] + 1) {
      dependency += (1 + s->dependency[u]) / s->paths[u];
    }
  }
  if (!close_to(paths, s->paths[v])) {
    return "the number of shortest paths to a vertex is wrong";
  }
  dependency = v == d->source ? 0 : dependency * paths;
  if (!close_to(dependency, d->score[v])) {
    return "the score of a vertex is not the sum over its successors";
  }
  *sum += d->score[v] - (v == d->source ? 0 : s->depth[v] - 1);
  return NULL;
}

static const char *centrality_verify(struct bench_run *run) {
  const struct frontier *d = run->data;
  const struct graph *g = &d->graph;
  int32_t *depth = bench_alloc(run, run->size, sizeof *depth);
  const char *wrong = NULL;
  double sum = 0;
  relax_depths(g, d->source, depth);
  for (uint32_t v = 0; v < g->vertices && !wrong; v++) {
    if (depth[v] != d->centrality.depth[v]) {
      wrong = "a vertex is at the wrong depth";
    } else if (depth[v] >= 0) {
      wrong = check_vertex(d, v, &sum);
    }
  }
  /* Every shortest path of length k has k - 1 vertices inside. */
  if (!wrong && fabs(sum) > 1e-6 * (double)run->size) {
    wrong = "the scores do not add up to the inner vertices of all paths";
  }
  bench_free(run, depth);
  return wrong;
}

static void sssp_teardown(struct bench_run *run) {
  struct frontier *d = run->data;
  for (size_t i = 0; i < SSSP_BUCKETS; i++) {
    free(d->bucket[i].vertex);
  }
}

#define FRONTIER(NAME, ABOUT, SCALE, VARIANT, PARAM, FAMILY)                   \
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
      .sweep = {1, 2, 4, 8, 12, 16, 24, 32, 48, 64},                           \
      .setup = FAMILY##_setup,                                                 \
      .reset = FAMILY##_reset,                                                 \
      .plain = FAMILY##_plain,                                                 \
      .best = FAMILY##_best,                                                   \
      .finish = FAMILY##_finish,                                               \
      .verify = FAMILY##_verify,                                               \
      .teardown = FAMILY##_teardown,                                           \
  }

#define bfs_teardown NULL
#define centrality_teardown NULL

const struct bench_kernel frontier_kernels[] = {
    FRONTIER("bfs-kron", "breadth-first search, Kronecker graph", 22,
             TOP_DOWN + BENCH_KRONECKER, 4, bfs),
    FRONTIER("bfs-uniform", "breadth-first search, uniform graph", 22,
             TOP_DOWN + BENCH_UNIFORM, 8, bfs),
    FRONTIER("bfs-do-kron", "direction-optimising search, Kronecker", 22,
             SWITCHING + BENCH_KRONECKER, 32, bfs),
    FRONTIER("bfs-do-uniform", "direction-optimising search, uniform", 22,
             SWITCHING + BENCH_UNIFORM, 8, bfs),
    FRONTIER("sssp-kron", "shortest paths, delta stepping, Kronecker", 22,
             BENCH_KRONECKER, 8, sssp),
    FRONTIER("sssp-uniform", "shortest paths, delta stepping, uniform", 22,
             BENCH_UNIFORM, 8, sssp),
    FRONTIER("bc-kron", "betweenness centrality, one source, Kronecker", 21,
             BENCH_KRONECKER, 8, centrality),
    FRONTIER("bc-uniform", "betweenness centrality, one source, uniform", 21,
             BENCH_UNIFORM, 8, centrality),
    {0},
};
