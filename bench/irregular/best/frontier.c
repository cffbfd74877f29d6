/* SPDX-License-Identifier: Apache-2.0
 *
 * Graph kernels that follow a queue, with look-ahead in the queue (ahead.h).
 */
#include "ahead.h"

#include <string.h>

uint32_t best_bfs(const struct graph *g, uint32_t source, int32_t *parent,
                  uint32_t *queue, size_t distance) {
  const struct ahead a = {g->row, (const char *)g->neighbour,
                          sizeof *g->neighbour, (const char *)parent,
                          sizeof *parent};
  uint32_t head = 0;
  uint32_t tail = 0;
  queue[tail++] = source;
  while (head < tail) {
    ahead_queue(&a, queue, head, tail, distance);
    uint32_t u = queue[head++];
    uint64_t end = g->row[u + 1];
    for (uint64_t e = g->row[u]; e < end; e++) {
      ahead_row(&a, e, end);
      uint32_t v = g->neighbour[e];
      if (parent[v] < 0) {
        parent[v] = (int32_t)u;
        queue[tail++] = v;
      }
    }
  }
  return tail;
}

static uint32_t top_down(const struct graph *g, struct bfs_space *s,
                         uint32_t head, uint32_t tail, uint64_t *edges,
                         size_t distance) {
  const struct ahead a = {g->row, (const char *)g->neighbour,
                          sizeof *g->neighbour, (const char *)s->parent,
                          sizeof *s->parent};
  int32_t *parent = s->parent;
  uint32_t *queue = s->queue;
  uint32_t end = tail;
  for (uint32_t i = head; i < tail; i++) {
    ahead_queue(&a, queue, i, tail, distance);
    uint32_t u = queue[i];
    uint64_t last = g->row[u + 1];
    for (uint64_t e = g->row[u]; e < last; e++) {
      ahead_row(&a, e, last);
      uint32_t v = g->neighbour[e];
      if (parent[v] < 0) {
        parent[v] = (int32_t)u;
        queue[end++] = v;
        fetch(&g->row[v]); /* for the degrees, below */
      }
    }
  }
  *edges = 0;
  for (uint32_t i = tail; i < end; i++) {
    *edges += g->row[queue[i] + 1] - g->row[queue[i]];
  }
  return end;
}

static uint32_t bottom_up(const struct graph *g, struct bfs_space *s,
                          size_t distance) {
  const uint64_t *row = g->row;
  const uint32_t *neighbour = g->neighbour;
  const uint64_t *front = s->front;
  int32_t *parent = s->parent;
  uint32_t found = 0;
  memset(s->next, 0, ((size_t)g->vertices + 63) / 64 * sizeof *s->next);
  for (uint32_t v = 0; v < g->vertices; v++) {
    /* Also for those that are found already: a test would be guessed wrong as
     * often as the next one. The bitmap fits the caches. */
    if (v + distance < g->vertices) {
      fetch(&neighbour[row[v + distance]]);
    }
    if (parent[v] >= 0) {
      continue;
    }
    for (uint64_t e = row[v]; e < row[v + 1]; e++) {
      uint32_t u = neighbour[e];
      if (front[u / 64] >> u % 64 & 1) {
        parent[v] = (int32_t)u;
        s->next[v / 64] |= UINT64_C(1) << v % 64;
        found++;
        break;
      }
    }
  }
  return found;
}

uint32_t best_bfs_switching(const struct graph *g, uint32_t source,
                            struct bfs_space *s, size_t distance) {
  const uint64_t alpha = 15;
  const uint32_t beta = 18;
  uint32_t head = 0;
  uint32_t tail = 1;
  uint32_t reached = 1;
  uint64_t unexplored = g->edges;
  uint64_t edges = g->row[source + 1] - g->row[source];
  s->queue[0] = source;
  while (head < tail) {
    if (edges <= unexplored / alpha) {
      unexplored -= edges;
      uint32_t end = top_down(g, s, head, tail, &edges, distance);
      head = tail;
      tail = end;
      reached += tail - head;
      continue;
    }
    memset(s->front, 0, ((size_t)g->vertices + 63) / 64 * sizeof *s->front);
    for (uint32_t i = head; i < tail; i++) {
      s->front[s->queue[i] / 64] |= UINT64_C(1) << s->queue[i] % 64;
    }
    uint32_t awake = tail - head;
    uint32_t before;
    do {
      before = awake;
      awake = bottom_up(g, s, distance);
      reached += awake;
      uint64_t *swap = s->front;
      s->front = s->next;
      s->next = swap;
    } while (awake >= before || awake > g->vertices / beta);
    head = tail = 0;
    for (uint32_t w = 0; w < (g->vertices + 63) / 64; w++) {
      for (uint64_t bits = s->front[w]; bits; bits &= bits - 1) {
        s->queue[tail++] = w * 64 + (uint32_t)__builtin_ctzll(bits);
      }
    }
    edges = 0;
  }
  return reached;
}

bool best_sssp(const struct weighted_graph *g, uint32_t source,
               uint32_t *distance, struct bucket *bucket, size_t ahead) {
  const struct ahead a = {g->row, (const char *)g->edge, sizeof *g->edge,
                          (const char *)distance, sizeof *distance};
  bool ok = bucket_push(&bucket[0], source);
  uint32_t empty = 0;
  for (uint32_t level = 0; ok && empty < SSSP_BUCKETS; level++) {
    struct bucket *b = &bucket[level % SSSP_BUCKETS];
    empty = b->count ? 0 : empty + 1;
    for (size_t i = 0; i < b->count; i++) {
      ahead_queue(&a, b->vertex, i, b->count, ahead);
      if (i + 3 * ahead < b->count) {
        fetch(&distance[b->vertex[i + 3 * ahead]]);
      }
      uint32_t u = b->vertex[i];
      uint32_t near = distance[u];
      if (near / SSSP_DELTA < level) {
        continue;
      }
      uint64_t end = g->row[u + 1];
      for (uint64_t e = g->row[u]; e < end; e++) {
        ahead_row(&a, e, end);
        uint32_t v = g->edge[e].to;
        uint32_t through = near + g->edge[e].weight;
        if (through < distance[v]) {
          distance[v] = through;
          ok &= bucket_push(&bucket[through / SSSP_DELTA % SSSP_BUCKETS], v);
        }
      }
    }
    b->count = 0;
  }
  return ok;
}

/* From the last vertex to the first: what a vertex passes on is complete. */
static void dependencies(const struct graph *g, uint32_t source, uint32_t tail,
                         struct centrality_space *s, double *score,
                         size_t distance) {
  const int32_t *depth = s->depth;
  for (uint32_t i = tail; i-- > 0;) {
    if (i >= 3 * distance) {
      fetch(&g->row[s->order[i - 3 * distance]]);
    }
    if (i >= 2 * distance) {
      const uint32_t *n = g->neighbour + g->row[s->order[i - 2 * distance]];
      fetch(n);
      fetch(n + AHEAD_LINE / sizeof *n);
    }
    if (i >= distance) {
      uint32_t u = s->order[i - distance];
      uint64_t last = g->row[u + 1];
      last = last - g->row[u] > AHEAD_ROW ? g->row[u] + AHEAD_ROW : last;
      for (uint64_t e = g->row[u]; e < last; e++) {
        fetch(&depth[g->neighbour[e]]);
      }
    }
    uint32_t u = s->order[i];
    uint64_t end = g->row[u + 1];
    double paths = s->paths[u];
    double sum = 0;
    for (uint64_t e = g->row[u]; e < end; e++) {
      if (e + AHEAD_ROW < end) {
        fetch(&depth[g->neighbour[e + AHEAD_ROW]]);
      }
      uint32_t v = g->neighbour[e];
      if (depth[v] == depth[u] + 1) {
        sum += paths / s->paths[v] * (1 + s->dependency[v]);
      }
    }
    s->dependency[u] = sum;
    if (u != source) {
      score[u] += sum;
    }
  }
}

void best_centrality(const struct graph *g, uint32_t source,
                     struct centrality_space *s, double *score,
                     size_t distance) {
  int32_t *depth = s->depth;
  const struct ahead a = {g->row, (const char *)g->neighbour,
                          sizeof *g->neighbour, (const char *)depth,
                          sizeof *depth};
  uint32_t tail = 1;
  s->order[0] = source;
  depth[source] = 0;
  s->paths[source] = 1;
  for (uint32_t head = 0; head < tail; head++) {
    ahead_queue(&a, s->order, head, tail, distance);
    uint32_t u = s->order[head];
    uint64_t end = g->row[u + 1];
    int32_t below = depth[u] + 1;
    double paths = s->paths[u];
    for (uint64_t e = g->row[u]; e < end; e++) {
      ahead_row(&a, e, end);
      uint32_t v = g->neighbour[e];
      if (depth[v] < 0) {
        depth[v] = below;
        s->order[tail++] = v;
      }
      if (depth[v] == below) {
        s->paths[v] += paths;
      }
    }
  }
  dependencies(g, source, tail, s, score, distance);
}
