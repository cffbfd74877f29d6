/* SPDX-License-Identifier: Apache-2.0
 *
 * Graph kernels that follow a queue: breadth-first search (Moore, The
 * Shortest Path through a Maze, 1959), the same switching direction (Beamer,
 * Asanovic, Patterson, Direction-Optimizing Breadth-First Search, SC'12),
 * shortest paths by delta stepping (Meyer, Sanders, 2003) and betweenness
 * centrality (Brandes, A Faster Algorithm for Betweenness Centrality, 2001).
 */
#include "kernels.h"

#include <string.h>

uint32_t plain_bfs(const struct graph *g, uint32_t source, int32_t *parent,
                   uint32_t *queue) {
  uint32_t head = 0;
  uint32_t tail = 0;
  queue[tail++] = source;
  while (head < tail) {
    uint32_t u = queue[head++];
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint32_t v = g->neighbour[e];
      if (parent[v] < 0) {
        parent[v] = (int32_t)u;
        queue[tail++] = v;
      }
    }
  }
  return tail;
}

/* One level from the queue's entries head to tail; returns the new tail and
 * in *edges the number of edges that leave the new level. */
static uint32_t top_down(const struct graph *g, struct bfs_space *s,
                         uint32_t head, uint32_t tail, uint64_t *edges) {
  uint32_t end = tail;
  *edges = 0;
  for (uint32_t i = head; i < tail; i++) {
    uint32_t u = s->queue[i];
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint32_t v = g->neighbour[e];
      if (s->parent[v] < 0) {
        s->parent[v] = (int32_t)u;
        s->queue[end++] = v;
        *edges += g->row[v + 1] - g->row[v];
      }
    }
  }
  return end;
}

/* One level from the bitmap `front` to `next`; returns the vertices found. */
static uint32_t bottom_up(const struct graph *g, struct bfs_space *s) {
  uint32_t found = 0;
  memset(s->next, 0, ((size_t)g->vertices + 63) / 64 * sizeof *s->next);
  for (uint32_t v = 0; v < g->vertices; v++) {
    if (s->parent[v] >= 0) {
      continue;
    }
    for (uint64_t e = g->row[v]; e < g->row[v + 1]; e++) {
      uint32_t u = g->neighbour[e];
      if (s->front[u / 64] >> u % 64 & 1) {
        s->parent[v] = (int32_t)u;
        s->next[v / 64] |= UINT64_C(1) << v % 64;
        found++;
        break;
      }
    }
  }
  return found;
}

uint32_t plain_bfs_switching(const struct graph *g, uint32_t source,
                             struct bfs_space *s) {
  const uint64_t alpha = 15; /* the values of the paper */
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
      uint32_t end = top_down(g, s, head, tail, &edges);
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
      awake = bottom_up(g, s);
      reached += awake;
      uint64_t *swap = s->front;
      s->front = s->next;
      s->next = swap;
    } while (awake >= before || awake > g->vertices / beta);
    head = tail = 0;
    for (uint32_t v = 0; v < g->vertices; v++) {
      if (s->front[v / 64] >> v % 64 & 1) {
        s->queue[tail++] = v;
      }
    }
    edges = 0; /* few are left: stay top-down */
  }
  return reached;
}

bool plain_sssp(const struct weighted_graph *g, uint32_t source,
                uint32_t *distance, struct bucket *bucket) {
  bool ok = bucket_push(&bucket[0], source);
  uint32_t empty = 0;
  for (uint32_t level = 0; ok && empty < SSSP_BUCKETS; level++) {
    struct bucket *b = &bucket[level % SSSP_BUCKETS];
    empty = b->count ? 0 : empty + 1;
    for (size_t i = 0; i < b->count; i++) {
      uint32_t u = b->vertex[i];
      if (distance[u] / SSSP_DELTA < level) {
        continue; /* settled at an earlier level */
      }
      for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
        uint32_t v = g->edge[e].to;
        uint32_t through = distance[u] + g->edge[e].weight;
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

void plain_centrality(const struct graph *g, uint32_t source,
                      struct centrality_space *s, double *score) {
  uint32_t tail = 1;
  s->order[0] = source;
  s->depth[source] = 0;
  s->paths[source] = 1;
  for (uint32_t head = 0; head < tail; head++) {
    uint32_t u = s->order[head];
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint32_t v = g->neighbour[e];
      if (s->depth[v] < 0) {
        s->depth[v] = s->depth[u] + 1;
        s->order[tail++] = v;
      }
      if (s->depth[v] == s->depth[u] + 1) {
        s->paths[v] += s->paths[u];
      }
    }
  }
  for (uint32_t i = tail; i-- > 0;) {
    uint32_t u = s->order[i];
    double sum = 0;
    for (uint64_t e = g->row[u]; e < g->row[u + 1]; e++) {
      uint32_t v = g->neighbour[e];
      if (s->depth[v] == s->depth[u] + 1) {
        sum += s->paths[u] / s->paths[v] * (1 + s->dependency[v]);
      }
    }
    s->dependency[u] = sum;
    if (u != source) {
      score[u] += sum;
    }
  }
}
