/* SPDX-License-Identifier: Apache-2.0
 *
 * Edges to rows. The edges are first spread over partitions of the vertices, so
 * that whatever jumps about does so within one partition, in local memory; far
 * memory is read and written in order.
 *   spread   edges -> keys (and weights), partition by partition
 *   sort     a partition: its lists, sorted, back into its keys as
 *            neighbour << 32 | weight; degrees into rows
 *   copy     after the sums of rows are known: keys -> neighbours, weights
 * Threads: partitions are sorted and copied by several.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"
#include "graph/pool.h"
#include "space/far.h"

#define PARTS_MAX 1024u
#define PART_EDGES (UINT64_C(1) << 19) /* wanted: 4 MiB of keys */
#define SORT_SMALL 40u

typedef struct {
  const cira_graph_edges_t *edges;
  const cira_graph_options_t *o;
  uint64_t n, total;
  bool reverse, both, weighted;
  uint32_t parts, shift; /* part of v: v >> shift */
  uint64_t start[PARTS_MAX + 1];
  uint64_t kept[PARTS_MAX]; /* edges of a part that stay */
  cira__block_t keys, weights;
  uint64_t *rows;
  cira__csr_t csr;
  bool deduplicate;
  _Atomic uint32_t next;
  _Atomic uint64_t longest;
  _Atomic bool duplicates, loops, no_memory;
} builder_t;

/* ---- spread --------------------------------------------------------------
 */

static void parts_choose(builder_t *b) {
  uint64_t most = PARTS_MAX, wanted = b->total / PART_EDGES + 1;
  if (b->keys.place == CIRA_GRAPH_FAR || b->edges->place == CIRA_GRAPH_FAR) {
    most = cira__min_u64(most, cira_far_local_pages() / 8 + 1);
  }
  wanted = cira__min_u64(wanted, most);
  b->shift = 0;
  while ((b->n - 1) >> b->shift >= wanted) {
    b->shift++;
  }
  b->parts = (uint32_t)((b->n - 1) >> b->shift) + 1;
}

static int32_t weight_random(const builder_t *b, uint32_t u, uint32_t v) {
  uint64_t pair = u < v ? (uint64_t)u << 32 | v : (uint64_t)v << 32 | u;
  return (int32_t)(1 + cira__mix64(pair ^ cira__mix64(b->o->seed)) %
                           b->o->weight_max);
}

static void counts(builder_t *b) {
  const uint32_t *from = b->edges->from.p, *to = b->edges->to.p;
  uint64_t count[PARTS_MAX] = {0};
  for (uint64_t i = 0; i < b->edges->count; i++) {
    uint32_t u = b->reverse ? to[i] : from[i], v = b->reverse ? from[i] : to[i];
    if (u == v && b->o->drop_self_loops) {
      continue;
    }
    count[u >> b->shift]++;
    if (b->both && u != v) {
      count[v >> b->shift]++;
    }
  }
  b->start[0] = 0;
  for (uint32_t i = 0; i < b->parts; i++) {
    b->start[i + 1] = b->start[i] + count[i];
  }
  b->total = b->start[b->parts];
}

static void spread(builder_t *b) {
  const uint32_t *from = b->edges->from.p, *to = b->edges->to.p;
  const int32_t *given = b->edges->weighted ? b->edges->weight.p : NULL;
  bool random = b->o->weights == CIRA_GRAPH_WEIGHTS_RANDOM;
  uint64_t *keys = b->keys.p, at[PARTS_MAX];
  int32_t *weights = b->weights.p;
  memcpy(at, b->start, b->parts * sizeof *at);
  for (uint64_t i = 0; i < b->edges->count; i++) {
    uint32_t u = b->reverse ? to[i] : from[i], v = b->reverse ? from[i] : to[i];
    if (u == v && b->o->drop_self_loops) {
      continue;
    }
    uint64_t k = at[u >> b->shift]++;
    keys[k] = (uint64_t)u << 32 | v;
    int32_t w = 0;
    if (b->weighted) {
      w = random ? weight_random(b, u, v) : given[i];
      weights[k] = w;
    }
    if (b->both && u != v) {
      k = at[v >> b->shift]++;
      keys[k] = (uint64_t)v << 32 | u;
      if (b->weighted) {
        weights[k] = w;
      }
    }
    if (i % (1u << 20) == 0) {
      cira__progress(b->o, "sorting edges", i, 2 * b->edges->count);
    }
  }
}

/* ---- sort ----------------------------------------------------------------
 */

static void sort_small(uint64_t *a, uint64_t n) {
  for (uint64_t i = 1; i < n; i++) {
    uint64_t x = a[i], k = i;
    for (; k > 0 && a[k - 1] > x; k--) {
      a[k] = a[k - 1];
    }
    a[k] = x;
  }
}

/* By bytes, from the lowest; those in which all agree are skipped. */
static void sort_radix(uint64_t *a, uint64_t n, uint64_t *spare) {
  uint64_t differ = 0, *from = a, *to = spare;
  for (uint64_t i = 1; i < n; i++) {
    differ |= a[i] ^ a[0];
  }
  for (uint32_t shift = 0; shift < 64; shift += 8) {
    if ((differ >> shift & 255) == 0) {
      continue;
    }
    uint64_t at[256] = {0}, sum = 0;
    for (uint64_t i = 0; i < n; i++) {
      at[from[i] >> shift & 255]++;
    }
    for (uint32_t d = 0; d < 256; d++) {
      uint64_t c = at[d];
      at[d] = sum;
      sum += c;
    }
    for (uint64_t i = 0; i < n; i++) {
      to[at[from[i] >> shift & 255]++] = from[i];
    }
    uint64_t *t = from;
    from = to;
    to = t;
  }
  if (from != a) {
    memcpy(a, from, n * sizeof *a);
  }
}

static void sort_list(uint64_t *a, uint64_t n, uint64_t *spare) {
  if (n <= SORT_SMALL) {
    sort_small(a, n);
  } else {
    sort_radix(a, n, spare);
  }
}

/* Weights are compared as signed numbers. */
static inline uint64_t entry(uint32_t neighbour, int32_t weight) {
  return (uint64_t)neighbour << 32 | ((uint32_t)weight ^ 0x80000000u);
}

/* Finishes a sorted list at `list`, appends it to `out`; returns its length. */
static uint64_t list_finish(builder_t *b, uint32_t v, const uint64_t *list,
                            uint64_t n, uint64_t *out) {
  uint64_t kept = 0;
  bool twice = false, loop = false;
  for (uint64_t i = 0; i < n; i++) {
    bool same = i > 0 && list[i] >> 32 == list[i - 1] >> 32;
    loop = loop || list[i] >> 32 == v;
    twice = twice || same;
    if (!same || !b->deduplicate) {
      out[kept++] = list[i];
    }
  }
  if (twice && !b->deduplicate) {
    atomic_store_explicit(&b->duplicates, true, memory_order_relaxed);
  }
  if (loop) {
    atomic_store_explicit(&b->loops, true, memory_order_relaxed);
  }
  return kept;
}

static void part_sort(builder_t *b, uint32_t part) {
  uint64_t *keys = (uint64_t *)b->keys.p + b->start[part];
  const int32_t *weights =
      b->weighted ? (int32_t *)b->weights.p + b->start[part] : NULL;
  uint64_t n = b->start[part + 1] - b->start[part];
  uint64_t first = (uint64_t)part << b->shift;
  uint64_t vertices = cira__min_u64(b->n - first, UINT64_C(1) << b->shift);
  uint64_t *at = calloc(vertices + 1, sizeof *at);
  uint64_t *lists = malloc(2 * n * sizeof *lists + 1);
  if (at == NULL || lists == NULL) {
    atomic_store(&b->no_memory, true);
    goto out;
  }
  for (uint64_t i = 0; i < n; i++) {
    at[(keys[i] >> 32) - first]++;
  }
  uint64_t sum = 0, done = 0, kept = 0, longest = 0, *spare = lists + n;
  for (uint64_t v = 0; v < vertices; v++) {
    uint64_t c = at[v];
    at[v] = sum;
    sum += c;
  }
  for (uint64_t i = 0; i < n; i++) {
    lists[at[(keys[i] >> 32) - first]++] =
        entry((uint32_t)keys[i], weights != NULL ? weights[i] : 0);
  }
  for (uint64_t v = 0; v < vertices; v++) { /* at[v]: the end of v's list */
    sort_list(lists + done, at[v] - done, spare);
    uint64_t degree = list_finish(b, (uint32_t)(first + v), lists + done,
                                  at[v] - done, keys + kept);
    b->rows[first + v + 1] = degree;
    longest = cira__max_u64(longest, degree);
    kept += degree;
    done = at[v];
  }
  b->kept[part] = kept;
  uint64_t seen = atomic_load(&b->longest);
  while (longest > seen &&
         !atomic_compare_exchange_weak(&b->longest, &seen, longest)) {
  }
out:
  free(at);
  free(lists);
}

static void part_copy(builder_t *b, uint32_t part) {
  const uint64_t *keys = (const uint64_t *)b->keys.p + b->start[part];
  uint64_t at = b->rows[(uint64_t)part << b->shift];
  for (uint64_t i = 0; i < b->kept[part]; i++) {
    b->csr.neighbours[at + i] = (uint32_t)(keys[i] >> 32);
  }
  for (uint64_t i = 0; b->csr.weights != NULL && i < b->kept[part]; i++) {
    b->csr.weights[at + i] = (int32_t)((uint32_t)keys[i] ^ 0x80000000u);
  }
}

static void sort_job(void *argument, uint32_t worker) {
  builder_t *b = argument;
  uint32_t part;
  while ((part = atomic_fetch_add(&b->next, 1)) < b->parts) {
    part_sort(b, part);
    if (worker == 0) {
      cira__progress(b->o, "sorting edges", b->parts + part, 2u * b->parts);
    }
  }
}

static void copy_job(void *argument, uint32_t worker) {
  builder_t *b = argument;
  uint32_t part;
  (void)worker;
  while ((part = atomic_fetch_add(&b->next, 1)) < b->parts) {
    part_copy(b, part);
  }
}

/* ---- graphs --------------------------------------------------------------
 */

cira_status_t cira__csr_alloc(cira_graph_place_t place, uint64_t n, uint64_t m,
                              bool weighted, cira__block_t *blocks,
                              cira__csr_t *out) {
  cira_status_t status = CIRA_OK;
  if (blocks[0].p == NULL) {
    status = cira__block_alloc(place, (n + 1) * 8, "rows", &blocks[0]);
  }
  if (status == CIRA_OK && m != UINT64_MAX) {
    status = cira__block_alloc(place, m * 4, "neighbours", &blocks[1]);
  }
  if (status == CIRA_OK && m != UINT64_MAX && weighted) {
    status = cira__block_alloc(place, m * 4, "weights", &blocks[2]);
  }
  *out = (cira__csr_t){blocks[0].p, blocks[1].p, blocks[2].p};
  return status;
}

/* One direction: rows and lists of g->block[at...]. */
static cira_status_t direction_build(builder_t *b, cira__pool_t *pool,
                                     cira_graph_t *g, cira__block_t *blocks) {
  cira_graph_place_t place = g->place;
  b->keys.place = place;
  b->total = b->edges->count << b->both;
  parts_choose(b);
  counts(b);
  cira_status_t status =
      cira__csr_alloc(place, b->n, UINT64_MAX, false, blocks, &b->csr);
  if (status == CIRA_OK) {
    status = cira__block_alloc(place, b->total * 8, "sorting edges", &b->keys);
  }
  if (status == CIRA_OK && b->weighted) {
    status =
        cira__block_alloc(place, b->total * 4, "sorting weights", &b->weights);
  }
  if (status == CIRA_OK) {
    b->rows = b->csr.rows;
    b->rows[0] = 0;
    spread(b);
    b->next = 0;
    cira__pool_run(pool, sort_job, b);
    if (b->no_memory) {
      status = cira__graph_no_memory("sorting edges", b->total * 16 / b->parts);
    }
  }
  if (status == CIRA_OK) {
    for (uint64_t v = 0; v < b->n; v++) {
      b->rows[v + 1] += b->rows[v];
    }
    status = cira__csr_alloc(place, b->n, b->rows[b->n], b->weighted, blocks,
                             &b->csr);
  }
  if (status == CIRA_OK) {
    b->next = 0;
    cira__pool_run(pool, copy_job, b);
  }
  cira__block_free(&b->keys);
  cira__block_free(&b->weights);
  return status;
}

static cira_status_t fill(const cira_graph_edges_t *edges,
                          const cira_graph_options_t *o, cira__pool_t *pool,
                          builder_t *b, cira_graph_t *g) {
  b->edges = edges;
  b->o = o;
  b->n = edges->vertices;
  b->both = o->symmetrise && !edges->symmetric;
  b->deduplicate = o->deduplicate;
  b->weighted = o->weights == CIRA_GRAPH_WEIGHTS_RANDOM ||
                (o->weights == CIRA_GRAPH_WEIGHTS_KEEP && edges->weighted);
  g->n = (int64_t)edges->vertices;
  g->place = o->place;
  g->symmetric = o->symmetrise || edges->symmetric;
  cira_status_t status = direction_build(b, pool, g, g->block);
  if (status != CIRA_OK) {
    return status;
  }
  g->out = b->csr;
  g->edges = g->out.rows[g->n];
  g->degree_max = b->longest;
  g->simple = !b->duplicates;
  g->loop_free = !b->loops;
  if (g->symmetric) {
    g->in = g->out;
  } else if (o->in_edges) {
    b->reverse = true;
    status = direction_build(b, pool, g, g->block + 3);
    g->in = b->csr;
  }
  return status;
}

void cira__graph_measure(cira_graph_t *g) {
  g->weight_min = g->weight_max = 0;
  for (uint64_t i = 0; g->out.weights != NULL && i < g->edges; i++) {
    int32_t w = g->out.weights[i];
    g->weight_min = i == 0 || w < g->weight_min ? w : g->weight_min;
    g->weight_max = i == 0 || w > g->weight_max ? w : g->weight_max;
  }
}

cira_status_t cira_graph_build(const cira_graph_edges_t *edges,
                               const cira_graph_options_t *opt,
                               cira_graph_t **out) {
  cira_graph_options_t o;
  cira__options_fill(opt, &o);
  if (edges->vertices == 0) {
    return cira__fail(CIRA_E_INVALID,
                      "a graph without vertices; append edges first");
  }
  cira__pool_t *pool = NULL;
  builder_t *b = calloc(1, sizeof *b);
  cira_graph_t *g = cira__graph_new();
  cira_status_t status =
      b == NULL || g == NULL
          ? cira__graph_no_memory("a graph", sizeof *b)
          : cira__pool_create(cira__threads_wanted(o.threads), &pool);
  if (status == CIRA_OK) {
    status = fill(edges, &o, pool, b, g);
  }
  cira__pool_destroy(pool);
  free(b);
  if (status != CIRA_OK) {
    cira_graph_destroy(g);
    return status;
  }
  cira__graph_measure(g);
  *out = g;
  return CIRA_OK;
}

void cira_graph_destroy(cira_graph_t *g) {
  if (g != NULL) {
    for (size_t i = 0; i < CIRA_COUNT(g->block); i++) {
      cira__block_free(&g->block[i]);
    }
    for (uint32_t i = 0; g->spare != NULL && i < CIRA__SPARES; i++) {
      cira_graph_state_free(atomic_load(&g->spare->block[i]));
    }
    free(g);
  }
}

void cira_graph_info(const cira_graph_t *g, cira_graph_info_t *out) {
  *out = (cira_graph_info_t){
      .vertices = (uint64_t)g->n,
      .edges = g->edges,
      .degree_max = g->degree_max,
      .weight_min = g->weight_min,
      .weight_max = g->weight_max,
      .place = g->place,
      .weighted = g->out.weights != NULL,
      .symmetric = g->symmetric,
      .simple = g->simple,
      .loop_free = g->loop_free,
      .in_edges = g->in.rows != NULL,
  };
  for (size_t i = 0; i < CIRA_COUNT(g->block); i++) {
    out->bytes += g->block[i].p != NULL ? g->block[i].bytes : 0;
  }
}

static const uint32_t *list_of(const cira__csr_t *csr, uint32_t v,
                               uint64_t *count, const int32_t **weights) {
  if (csr->rows == NULL) {
    *count = 0;
    if (weights != NULL) {
      *weights = NULL;
    }
    return NULL;
  }
  uint64_t from = csr->rows[v];
  *count = csr->rows[v + 1] - from;
  if (weights != NULL) {
    *weights = csr->weights != NULL ? csr->weights + from : NULL;
  }
  return csr->neighbours + from;
}

const uint32_t *cira_graph_out(const cira_graph_t *g, uint32_t vertex,
                               uint64_t *count, const int32_t **weights) {
  return list_of(&g->out, vertex, count, weights);
}

const uint32_t *cira_graph_in(const cira_graph_t *g, uint32_t vertex,
                              uint64_t *count, const int32_t **weights) {
  return list_of(&g->in, vertex, count, weights);
}
