/* SPDX-License-Identifier: Apache-2.0
 *
 * Shortest paths by delta stepping (Meyer, Sanders 2003): vertices wait in
 * buckets by distance; the nearest bucket is relaxed until it stays empty. Each
 * worker has buckets of its own, in a ring: no distance lies further ahead than
 * the largest weight. A bucket's entries may be out of date, which their
 * vertex's distance tells.
 * The bucket's width is a power of two.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/engine.h"

#define RING_MAX (1u << 16)
#define FUSE 1000u /* a small bucket of its own a worker relaxes at once */

typedef struct {
  uint32_t *vertex;
  uint64_t count, room;
} bucket_t;

typedef struct {
  uint32_t *distance;
  uint32_t shift; /* log2 of the width */
  uint64_t ring;  /* buckets of a worker, a power of two */
  uint64_t now;   /* the bucket that is relaxed */
  _Atomic bool overflow, no_memory;
  bucket_t *buckets; /* workers * ring */
  bucket_t frontier;
  bucket_t *fused; /* of each worker */
} sssp_t;

static bool bucket_room(bucket_t *b, uint64_t room) {
  if (room <= b->room) {
    return true;
  }
  room = cira__max_u64(room, cira__max_u64(64, b->room * 2));
  uint32_t *larger = realloc(b->vertex, room * sizeof *larger);
  if (larger == NULL) {
    return false;
  }
  b->vertex = larger;
  b->room = room;
  return true;
}

CIRA__INLINE void bucket_add(sssp_t *s, bucket_t *b, uint32_t v) {
  if (CIRA_UNLIKELY(b->count == b->room) && !bucket_room(b, b->count + 1)) {
    atomic_store_explicit(&s->no_memory, true, memory_order_relaxed);
    return;
  }
  b->vertex[b->count++] = v;
}

CIRA__INLINE bool is_due(void *c, cira_graph_worker_t *w, uint32_t v) {
  const sssp_t *s = c;
  (void)w;
  return __atomic_load_n(&s->distance[v], __ATOMIC_RELAXED) >> s->shift ==
         s->now;
}

CIRA__INLINE bool relax_list(void *c, cira_graph_worker_t *w,
                             const cira_graph_list_t *l, bool shared) {
  sssp_t *s = c;
  bucket_t *mine = w->local;
  uint64_t base = __atomic_load_n(&s->distance[l->vertex], __ATOMIC_RELAXED);
  for (uint64_t i = 0; i < l->count; i++) {
    uint32_t *p = &s->distance[l->neighbours[i]];
    uint64_t d = base + (l->weights != NULL ? (uint32_t)l->weights[i] : 1);
    uint32_t old = __atomic_load_n(p, __ATOMIC_RELAXED);
    if (CIRA_UNLIKELY(d >= CIRA_GRAPH_NONE)) {
      atomic_store_explicit(&s->overflow, true, memory_order_relaxed);
      continue;
    }
    while (d < old) {
      if (!shared) {
        *p = (uint32_t)d;
      } else if (!__atomic_compare_exchange_n(p, &old, (uint32_t)d, true,
                                              __ATOMIC_RELAXED,
                                              __ATOMIC_RELAXED)) {
        continue;
      }
      bucket_add(s, &mine[(d >> s->shift) & (s->ring - 1)], l->neighbours[i]);
      break;
    }
  }
  return true;
}

CIRA__INLINE bool relax_alone(void *c, cira_graph_worker_t *w,
                              const cira_graph_list_t *l) {
  return relax_list(c, w, l, false);
}

CIRA__INLINE bool relax_shared(void *c, cira_graph_worker_t *w,
                               const cira_graph_list_t *l) {
  return relax_list(c, w, l, true);
}

static void relax_part(cira__engine_t *e, cira_graph_worker_t *w,
                       const uint32_t *queue, uint64_t lo, uint64_t hi) {
  sssp_t *s = e->context;
  if (e->threads == 1) {
    cira__push(e, w, &e->graph->out, queue, lo, hi, s->distance, 4, is_due,
               relax_alone, NULL, s);
  } else {
    cira__push(e, w, &e->graph->out, queue, lo, hi, s->distance, 4, is_due,
               relax_shared, NULL, s);
  }
}

static void relax_step(cira__engine_t *e, cira_graph_worker_t *w) {
  sssp_t *s = e->context;
  bucket_t *mine = s->buckets + w->index * s->ring;
  bucket_t *due = &mine[s->now & (s->ring - 1)], *fused = &s->fused[w->index];
  uint64_t lo, hi;
  w->local = mine;
  while (cira__take(e, &lo, &hi)) {
    relax_part(e, w, e->queue, lo, hi);
  }
  while (due->count > 0 && due->count < FUSE) {
    bucket_t t = *fused;
    *fused = *due;
    *due = t;
    due->count = 0;
    relax_part(e, w, fused->vertex, 0, fused->count);
  }
}

/* Moves what all workers have in the nearest bucket into the frontier.
 * Returns false when all buckets are empty, or there is no memory. */
static bool frontier_next(cira__engine_t *e, sssp_t *s) {
  for (uint64_t k = 0; k < s->ring; k++, s->now++) {
    uint64_t slot = s->now & (s->ring - 1), total = 0;
    for (uint32_t i = 0; i < e->threads; i++) {
      total += s->buckets[i * s->ring + slot].count;
    }
    if (total == 0) {
      continue;
    }
    s->frontier.count = 0;
    if (e->threads == 1) {
      bucket_t t = s->frontier;
      s->frontier = s->buckets[slot];
      s->buckets[slot] = t;
      return true;
    }
    if (!bucket_room(&s->frontier, total)) {
      s->no_memory = true;
      return false;
    }
    for (uint32_t i = 0; i < e->threads; i++) {
      bucket_t *b = &s->buckets[i * s->ring + slot];
      if (b->count > 0) {
        memcpy(s->frontier.vertex + s->frontier.count, b->vertex,
               b->count * sizeof *b->vertex);
        s->frontier.count += b->count;
        b->count = 0;
      }
    }
    return true;
  }
  return false;
}

/* A path that was too long for 32 bits matters only when there is no other. */
static cira_status_t check_overflow(const cira_graph_t *g, const sssp_t *s) {
  for (uint64_t v = 0; s->overflow && v < (uint64_t)g->n; v++) {
    uint64_t count;
    const uint32_t *u = cira_graph_out(g, (uint32_t)v, &count, NULL);
    for (uint64_t i = 0; s->distance[v] != CIRA_GRAPH_NONE && i < count; i++) {
      if (s->distance[u[i]] == CIRA_GRAPH_NONE) {
        return cira__fail(CIRA_E_RANGE,
                          "the distance of vertex %u is beyond 2^32 - 2; scale "
                          "the weights down",
                          u[i]);
      }
    }
  }
  return CIRA_OK;
}

static void widths_choose(const cira_graph_t *g, uint32_t delta, sssp_t *s) {
  uint64_t heaviest = g->out.weights != NULL ? (uint64_t)g->weight_max : 1;
  uint64_t wanted = delta;
  if (delta == 0) { /* about one edge of a vertex stays within its bucket */
    wanted = 2 * heaviest * (uint64_t)g->n / (g->edges + 1);
  }
  s->shift = 0;
  while (s->shift < 31 && (UINT64_C(1) << s->shift) < wanted) {
    s->shift++;
  }
  while ((heaviest >> s->shift) + 2 > RING_MAX) {
    s->shift++;
  }
  s->ring = 2;
  while (s->ring < (heaviest >> s->shift) + 2) {
    s->ring *= 2;
  }
}

static cira_status_t sssp_run(cira__engine_t *e, sssp_t *s, uint32_t source) {
  cira_status_t status = CIRA_OK;
  s->buckets = calloc(e->threads * s->ring, sizeof *s->buckets);
  s->fused = calloc(e->threads, sizeof *s->fused);
  if (s->buckets == NULL || s->fused == NULL) {
    return cira__graph_no_memory("buckets",
                                 e->threads * s->ring * sizeof *s->buckets);
  }
  s->distance[source] = 0;
  bucket_add(s, &s->buckets[0], source);
  while (status == CIRA_OK && frontier_next(e, s)) {
    status =
        cira__engine_step(e, relax_step, s->frontier.vertex, s->frontier.count,
                          s->frontier.count * 16, NULL, 0);
    cira__engine_progress(e, "relaxing, buckets", s->now, 0);
  }
  if (status == CIRA_OK && s->no_memory) {
    status = cira__graph_no_memory("buckets", s->frontier.count * 4);
  }
  return status;
}

cira_status_t cira_graph_sssp(const cira_graph_t *g, uint32_t source,
                              uint32_t delta, const cira_graph_run_t *run,
                              uint32_t *out_distance) {
  cira__engine_t e;
  sssp_t s = {.distance = out_distance};
  cira_status_t status = cira__vertex_check(g, source, "source");
  if (status == CIRA_OK && g->out.weights != NULL && g->weight_min < 0) {
    status = cira__fail(CIRA_E_INVALID,
                        "the lightest edge has weight %d: shortest paths need "
                        "weights that are not negative; drop or change them",
                        g->weight_min);
  }
  if (status == CIRA_OK) {
    status = cira__engine_open(g, run, &s, &e);
  }
  if (status != CIRA_OK) {
    return status;
  }
  memset(out_distance, 255, (uint64_t)g->n * 4); /* CIRA_GRAPH_NONE */
  widths_choose(g, delta, &s);
  status = sssp_run(&e, &s, source);
  if (status == CIRA_OK) {
    status = check_overflow(g, &s);
  }
  for (uint64_t i = 0; s.buckets != NULL && i < e.threads * s.ring; i++) {
    free(s.buckets[i].vertex);
  }
  for (uint64_t i = 0; s.fused != NULL && i < e.threads; i++) {
    free(s.fused[i].vertex);
  }
  free(s.frontier.vertex);
  free(s.buckets);
  free(s.fused);
  cira__engine_close(&e);
  return status;
}
