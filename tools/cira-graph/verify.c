/* SPDX-License-Identifier: Apache-2.0
 *
 * See verify.h. Search by a queue, shortest paths by Dijkstra with a heap,
 * PageRank by pushing in double, components by union-find, betweenness by lists
 * of predecessors, triangles by merging sorted lists.
 */
#include "cira-graph/verify.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NONE CIRA_GRAPH_NONE

__attribute__((format(printf, 2, 3))) static bool wrong(verify_why_t *why,
                                                        const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why->text, sizeof why->text, fmt, ap);
  va_end(ap);
  return false;
}

static uint64_t vertices_of(const cira_graph_t *g) {
  cira_graph_info_t info;
  cira_graph_info(g, &info);
  return info.vertices;
}

static void *array(uint64_t count, size_t bytes) {
  void *p = calloc(count + 1, bytes);
  if (p == NULL) {
    fputs("cira-graph: no memory to verify the result\n", stderr);
    exit(1);
  }
  return p;
}

static bool has_edge(const cira_graph_t *g, uint32_t from, uint32_t to) {
  uint64_t n;
  const uint32_t *list = cira_graph_out(g, from, &n, NULL);
  for (uint64_t i = 0; i < n; i++) {
    if (list[i] == to) {
      return true;
    }
  }
  return false;
}

/* ---- search --------------------------------------------------------------
 */

static uint32_t *depths(const cira_graph_t *g, uint64_t n, uint32_t source) {
  uint32_t *depth = array(n, 4), *queue = array(n, 4);
  for (uint64_t v = 0; v < n; v++) {
    depth[v] = NONE;
  }
  uint64_t head = 0, tail = 0;
  depth[source] = 0;
  queue[tail++] = source;
  while (head < tail) {
    uint32_t v = queue[head++];
    uint64_t count;
    const uint32_t *list = cira_graph_out(g, v, &count, NULL);
    for (uint64_t i = 0; i < count; i++) {
      if (depth[list[i]] == NONE) {
        depth[list[i]] = depth[v] + 1;
        queue[tail++] = list[i];
      }
    }
  }
  free(queue);
  return depth;
}

bool verify_bfs(const cira_graph_t *g, uint32_t source, const uint32_t *parent,
                verify_why_t *why) {
  uint64_t n = vertices_of(g);
  uint32_t *depth = depths(g, n, source);
  bool ok = parent[source] == source ||
            wrong(why, "the source %u is not its own parent", source);
  for (uint64_t v = 0; ok && v < n; v++) {
    uint32_t p = parent[v];
    if (v == source) {
      continue;
    }
    if ((p == NONE) != (depth[v] == NONE)) {
      ok = wrong(why, "vertex %llu is %s", (unsigned long long)v,
                 p == NONE ? "not reached, but can be"
                           : "reached, but cannot be");
    } else if (p != NONE && (p >= n || depth[v] != depth[p] + 1)) {
      ok = wrong(why, "vertex %llu is not one step behind its parent %u",
                 (unsigned long long)v, p);
    } else if (p != NONE && !has_edge(g, p, (uint32_t)v)) {
      ok =
          wrong(why, "no edge leads from %u to %llu", p, (unsigned long long)v);
    }
  }
  free(depth);
  return ok;
}

/* ---- shortest paths ------------------------------------------------------
 */

typedef struct {
  uint64_t distance;
  uint32_t vertex;
} item_t;
typedef struct {
  item_t *item;
  uint64_t count, room;
} heap_t;

static void heap_push(heap_t *h, item_t x) {
  if (h->count == h->room) {
    h->room = h->room * 2 + 64;
    h->item = realloc(h->item, h->room * sizeof *h->item);
    if (h->item == NULL) {
      fputs("cira-graph: no memory to verify the result\n", stderr);
      exit(1);
    }
  }
  uint64_t i = h->count++;
  for (; i > 0 && h->item[(i - 1) / 2].distance > x.distance; i = (i - 1) / 2) {
    h->item[i] = h->item[(i - 1) / 2];
  }
  h->item[i] = x;
}

static item_t heap_pop(heap_t *h) {
  item_t top = h->item[0], x = h->item[--h->count];
  uint64_t i = 0;
  for (uint64_t child; (child = 2 * i + 1) < h->count; i = child) {
    if (child + 1 < h->count &&
        h->item[child + 1].distance < h->item[child].distance) {
      child++;
    }
    if (h->item[child].distance >= x.distance) {
      break;
    }
    h->item[i] = h->item[child];
  }
  h->item[i] = x;
  return top;
}

bool verify_sssp(const cira_graph_t *g, uint32_t source,
                 const uint32_t *distance, verify_why_t *why) {
  uint64_t n = vertices_of(g);
  uint64_t *right = array(n, 8);
  heap_t h = {0};
  for (uint64_t v = 0; v < n; v++) {
    right[v] = UINT64_MAX;
  }
  right[source] = 0;
  heap_push(&h, (item_t){0, source});
  while (h.count > 0) {
    item_t x = heap_pop(&h);
    uint64_t count;
    const int32_t *w;
    const uint32_t *list = cira_graph_out(g, x.vertex, &count, &w);
    for (uint64_t i = 0; x.distance == right[x.vertex] && i < count; i++) {
      uint64_t d = x.distance + (w != NULL ? (uint64_t)w[i] : 1);
      if (d < right[list[i]]) {
        right[list[i]] = d;
        heap_push(&h, (item_t){d, list[i]});
      }
    }
  }
  bool ok = true;
  for (uint64_t v = 0; ok && v < n; v++) {
    uint64_t got = distance[v] == NONE ? UINT64_MAX : distance[v];
    if (got != right[v]) {
      ok = wrong(why, "the distance of vertex %llu is %lld instead of %lld",
                 (unsigned long long)v, (long long)got, (long long)right[v]);
    }
  }
  free(right);
  free(h.item);
  return ok;
}

/* ---- PageRank ------------------------------------------------------------
 */

bool verify_pagerank(const cira_graph_t *g, double damping, uint32_t rounds,
                     const float *score, verify_why_t *why) {
  uint64_t n = vertices_of(g);
  double *now = array(n, 8), *next = array(n, 8), total = 0, off = 0;
  for (uint64_t v = 0; v < n; v++) {
    now[v] = 1.0 / (double)n;
  }
  for (uint32_t round = 0; round < rounds; round++) {
    double idle = 0;
    for (uint64_t v = 0; v < n; v++) {
      next[v] = 0;
    }
    for (uint64_t v = 0; v < n; v++) {
      uint64_t count;
      const uint32_t *list = cira_graph_out(g, (uint32_t)v, &count, NULL);
      idle += count == 0 ? now[v] : 0;
      for (uint64_t i = 0; i < count; i++) {
        next[list[i]] += now[v] / (double)count;
      }
    }
    for (uint64_t v = 0; v < n; v++) {
      next[v] =
          (1 - damping) / (double)n + damping * (next[v] + idle / (double)n);
    }
    double *t = now;
    now = next;
    next = t;
  }
  for (uint64_t v = 0; v < n; v++) {
    total += (double)score[v];
    off += fabs((double)score[v] - now[v]);
  }
  free(now);
  free(next);
  if (fabs(total - 1) > 1e-3) {
    return wrong(why, "the scores add up to %g instead of 1", total);
  }
  return off < 1e-4 ||
         wrong(why, "the scores are off by %g in sum after %u rounds", off,
               rounds);
}

/* ---- components ----------------------------------------------------------
 */

static uint32_t root(uint32_t *up, uint32_t v) {
  while (up[v] != v) {
    up[v] = up[up[v]];
    v = up[v];
  }
  return v;
}

bool verify_components(const cira_graph_t *g, const uint32_t *component,
                       verify_why_t *why) {
  uint64_t n = vertices_of(g);
  uint32_t *up = array(n, 4);
  bool ok = true;
  for (uint64_t v = 0; v < n; v++) {
    up[v] = (uint32_t)v;
  }
  for (uint64_t v = 0; v < n; v++) {
    uint64_t count;
    const uint32_t *list = cira_graph_out(g, (uint32_t)v, &count, NULL);
    for (uint64_t i = 0; i < count; i++) {
      uint32_t a = root(up, (uint32_t)v), b = root(up, list[i]);
      up[a > b ? a : b] = a > b ? b : a;
    }
  }
  for (uint64_t v = 0; ok && v < n; v++) {
    if (component[v] != root(up, (uint32_t)v)) {
      ok = wrong(why, "vertex %llu is in component %u instead of %u",
                 (unsigned long long)v, component[v], root(up, (uint32_t)v));
    }
  }
  free(up);
  return ok;
}

/* ---- betweenness ---------------------------------------------------------
 */

typedef struct {
  double *paths, *dependency, *score;
  uint32_t *depth, *order;
} brandes_t;

static void brandes_source(const cira_graph_t *g, uint64_t n, uint32_t source,
                           brandes_t *b) {
  uint64_t head = 0, tail = 0, count;
  for (uint64_t v = 0; v < n; v++) {
    b->paths[v] = b->dependency[v] = 0;
    b->depth[v] = NONE;
  }
  b->paths[source] = 1;
  b->depth[source] = 0;
  b->order[tail++] = source;
  while (head < tail) {
    uint32_t v = b->order[head++];
    const uint32_t *list = cira_graph_out(g, v, &count, NULL);
    for (uint64_t i = 0; i < count; i++) {
      uint32_t u = list[i];
      if (b->depth[u] == NONE) {
        b->depth[u] = b->depth[v] + 1;
        b->order[tail++] = u;
      }
      b->paths[u] += b->depth[u] == b->depth[v] + 1 ? b->paths[v] : 0;
    }
  }
  while (tail-- > 0) {
    uint32_t v = b->order[tail];
    const uint32_t *list = cira_graph_out(g, v, &count, NULL);
    for (uint64_t i = 0; i < count; i++) {
      uint32_t u = list[i];
      if (b->depth[u] == b->depth[v] + 1) {
        b->dependency[v] += b->paths[v] / b->paths[u] * (1 + b->dependency[u]);
      }
    }
    b->score[v] += v != source ? b->dependency[v] : 0;
  }
}

bool verify_betweenness(const cira_graph_t *g, const uint32_t *sources,
                        uint64_t count, const double *score,
                        verify_why_t *why) {
  uint64_t n = vertices_of(g);
  brandes_t b = {array(n, 8), array(n, 8), array(n, 8), array(n, 4),
                 array(n, 4)};
  bool ok = true;
  for (uint64_t i = 0; i < count; i++) {
    brandes_source(g, n, sources[i], &b);
  }
  for (uint64_t v = 0; ok && v < n; v++) {
    if (!(fabs(score[v] - b.score[v]) <= 1e-9 + 1e-6 * b.score[v])) {
      ok = wrong(why, "the score of vertex %llu is %g instead of %g",
                 (unsigned long long)v, score[v], b.score[v]);
    }
  }
  free(b.paths);
  free(b.dependency);
  free(b.score);
  free(b.depth);
  free(b.order);
  return ok;
}

/* ---- triangles -----------------------------------------------------------
 */

bool verify_triangles(const cira_graph_t *g, uint64_t triangles,
                      verify_why_t *why) {
  uint64_t n = vertices_of(g), right = 0;
  for (uint64_t v = 0; v < n; v++) {
    uint64_t count, other;
    const uint32_t *list = cira_graph_out(g, (uint32_t)v, &count, NULL);
    for (uint64_t i = 0; i < count && list[i] < v; i++) {
      const uint32_t *a = list, *b = cira_graph_out(g, list[i], &other, NULL);
      const uint32_t *a_end = list + i, *b_end = b + other;
      while (a < a_end && b < b_end) { /* w < u < v */
        right += *a == *b;
        uint32_t x = *a, y = *b;
        a += x <= y;
        b += y <= x;
      }
    }
  }
  return triangles == right ||
         wrong(why, "%llu triangles instead of %llu",
               (unsigned long long)triangles, (unsigned long long)right);
}
