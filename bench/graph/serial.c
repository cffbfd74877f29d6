/* SPDX-License-Identifier: Apache-2.0
 *
 * See serial.h.
 */
#include "serial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NONE UINT32_MAX
#define HUGE_BYTES (2u << 20)

void *serial_alloc(uint64_t bytes, bool huge) {
  void *p = huge ? aligned_alloc(HUGE_BYTES,
                                 (bytes + HUGE_BYTES) / HUGE_BYTES * HUGE_BYTES)
                 : malloc(bytes + 1);
  if (p == NULL) {
    fputs("bench-graph: no memory\n", stderr);
    exit(1);
  }
  if (huge) {
    madvise(p, bytes, MADV_HUGEPAGE);
  }
  return p;
}

/* ---- search --------------------------------------------------------------
 * A vertex that was not reached holds minus its degree (at least one), so that
 * reaching it tells how many edges the next frontier has. */

typedef struct {
  const serial_graph_t *g;
  int32_t *parent;
  uint32_t *queue;
  uint64_t head, tail;
  uint64_t *front, *next;
} bfs_t;

static uint64_t top_down(bfs_t *b) {
  const serial_graph_t *g = b->g;
  uint64_t scout = 0, end = b->tail;
  for (; b->head < end; b->head++) {
    uint32_t u = b->queue[b->head];
    for (uint64_t i = g->rows[u]; i < g->rows[u + 1]; i++) {
      uint32_t v = g->neighbours[i];
      int32_t now = b->parent[v];
      if (now < 0) {
        b->parent[v] = (int32_t)u;
        b->queue[b->tail++] = v;
        scout += (uint64_t)-now;
      }
    }
  }
  return scout;
}

static uint64_t bottom_up(bfs_t *b) {
  const serial_graph_t *g = b->g;
  uint64_t awake = 0;
  memset(b->next, 0, (g->n + 63) / 64 * 8);
  for (uint64_t v = 0; v < g->n; v++) {
    if (b->parent[v] >= 0) {
      continue;
    }
    for (uint64_t i = g->rows[v]; i < g->rows[v + 1]; i++) {
      uint32_t u = g->neighbours[i];
      if ((b->front[u / 64] >> (u % 64) & 1) != 0) {
        b->parent[v] = (int32_t)u;
        awake++;
        b->next[v / 64] |= UINT64_C(1) << (v % 64);
        break;
      }
    }
  }
  return awake;
}

static void queue_to_bits(bfs_t *b) {
  memset(b->front, 0, (b->g->n + 63) / 64 * 8);
  for (uint64_t i = b->head; i < b->tail; i++) {
    b->front[b->queue[i] / 64] |= UINT64_C(1) << (b->queue[i] % 64);
  }
}

static void bits_to_queue(bfs_t *b) {
  b->head = b->tail = 0;
  for (uint64_t w = 0; w < (b->g->n + 63) / 64; w++) {
    for (uint64_t bits = b->front[w]; bits != 0; bits &= bits - 1) {
      b->queue[b->tail++] =
          (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits));
    }
  }
}

static void bottom_up_rounds(bfs_t *b) {
  uint64_t awake = b->tail - b->head, before;
  queue_to_bits(b);
  do {
    before = awake;
    awake = bottom_up(b);
    uint64_t *t = b->front;
    b->front = b->next;
    b->next = t;
  } while (awake >= before || awake > b->g->n / 18);
  bits_to_queue(b);
}

void serial_bfs(const serial_graph_t *g, uint32_t source, uint32_t *parent) {
  uint64_t words = (g->n + 63) / 64, unseen = g->m;
  bfs_t b = {.g = g,
             .parent = (int32_t *)parent,
             .queue = serial_alloc(g->n * 4, g->huge),
             .front = serial_alloc(words * 8, g->huge),
             .next = serial_alloc(words * 8, g->huge)};
  for (uint64_t v = 0; v < g->n; v++) {
    uint64_t degree = g->rows[v + 1] - g->rows[v];
    b.parent[v] = degree != 0 ? -(int32_t)degree : -1;
  }
  b.parent[source] = (int32_t)source;
  b.queue[b.tail++] = source;
  uint64_t scout = g->rows[source + 1] - g->rows[source];
  while (b.head < b.tail) {
    if (scout > unseen / 15) {
      bottom_up_rounds(&b);
      scout = 1;
    } else {
      unseen -= scout < unseen ? scout : unseen;
      scout = top_down(&b);
    }
  }
  for (uint64_t v = 0; v < g->n; v++) {
    parent[v] = b.parent[v] < 0 ? NONE : (uint32_t)b.parent[v];
  }
  free(b.queue);
  free(b.front);
  free(b.next);
}

/* ---- shortest paths ------------------------------------------------------
 */

typedef struct {
  uint32_t *vertex;
  uint64_t count, room;
} bin_t;

static void bin_add(bin_t **bins, uint64_t *bin_count, uint64_t at,
                    uint32_t v) {
  if (at >= *bin_count) {
    *bins = realloc(*bins, (at + 1) * sizeof **bins);
    memset(*bins + *bin_count, 0, (at + 1 - *bin_count) * sizeof **bins);
    *bin_count = at + 1;
  }
  bin_t *b = &(*bins)[at];
  if (b->count == b->room) {
    b->room = b->room * 2 + 16;
    b->vertex = realloc(b->vertex, b->room * sizeof *b->vertex);
  }
  b->vertex[b->count++] = v;
}

void serial_sssp(const serial_graph_t *g, uint32_t source, uint32_t delta,
                 uint32_t *distance) {
  bin_t *bins = NULL, front = {0};
  uint64_t bin_count = 0;
  for (uint64_t v = 0; v < g->n; v++) {
    distance[v] = NONE;
  }
  distance[source] = 0;
  bin_add(&bins, &bin_count, 0, source);
  for (uint64_t now = 0; now < bin_count; now++) {
    while (bins[now].count > 0) {
      bin_t t = front;
      front = bins[now];
      bins[now] = t;
      bins[now].count = 0;
      for (uint64_t k = 0; k < front.count; k++) {
        uint32_t u = front.vertex[k];
        if (distance[u] < delta * now) {
          continue;
        }
        for (uint64_t i = g->rows[u]; i < g->rows[u + 1]; i++) {
          serial_edge_t e = g->edges[i];
          uint32_t d = distance[u] + (uint32_t)e.weight;
          if (d < distance[e.to]) {
            distance[e.to] = d;
            bin_add(&bins, &bin_count, d / delta, e.to);
          }
        }
      }
    }
  }
  for (uint64_t i = 0; i < bin_count; i++) {
    free(bins[i].vertex);
  }
  free(bins);
  free(front.vertex);
}

/* ---- PageRank ------------------------------------------------------------
 */

uint32_t serial_pagerank(const serial_graph_t *g, double tolerance,
                         uint32_t rounds_max, float *score) {
  float *given = serial_alloc(g->n * 4, g->huge);
  float base = 0.15f / (float)g->n;
  double change = 2;
  uint32_t round = 0;
  for (uint64_t v = 0; v < g->n; v++) {
    score[v] = 1.0f / (float)g->n;
  }
  for (; round < rounds_max && change >= tolerance; round++) {
    change = 0;
    for (uint64_t v = 0; v < g->n; v++) {
      given[v] = score[v] / (float)(g->rows[v + 1] - g->rows[v]);
    }
    for (uint64_t v = 0; v < g->n; v++) {
      float sum = 0;
      for (uint64_t i = g->rows[v]; i < g->rows[v + 1]; i++) {
        sum += given[g->neighbours[i]];
      }
      float was = score[v];
      score[v] = base + 0.85f * sum;
      change += fabsf(score[v] - was);
    }
  }
  free(given);
  return round;
}
