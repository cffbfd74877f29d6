/* SPDX-License-Identifier: Apache-2.0
 *
 * irregular: the data of the kernels and their hot loops. Each loop exists
 * twice: plain_x (plain/, as anybody would write it, no hints) and best_x
 * (best/, as well as we can write it by hand, with a distance or width as the
 * last argument). Both give the same result, bit for bit. plain/ includes
 * this header only, so that it can be compiled by any compiler alone.
 *
 * Index arrays of graphs and matrices are readable KERNEL_PAD entries past
 * their end (zeros), so that best_x can look ahead without a test.
 * Single-threaded; nothing here allocates but bucket_push.
 */
#ifndef IRREGULAR_KERNELS_H
#define IRREGULAR_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define KERNEL_PAD 2048       /* entries; more than twice KERNEL_PARAM_MAX */
#define KERNEL_PARAM_MAX 1024 /* largest distance or width */

/* ---- Arrays --------------------------------------------------------------
 */

/* Sum of value[index[i]]. */
uint64_t plain_indirect_sum(const uint64_t *value, const uint32_t *index,
                            size_t n);
uint64_t best_indirect_sum(const uint64_t *value, const uint32_t *index,
                           size_t n, size_t distance);

/* Sum of value[map[index[i]]]. */
uint64_t plain_indirect_two(const uint64_t *value, const uint32_t *map,
                            const uint32_t *index, size_t n);
uint64_t best_indirect_two(const uint64_t *value, const uint32_t *map,
                           const uint32_t *index, size_t n, size_t distance);

/* Copies the index[i] whose value is odd to `out`; returns their number. */
size_t plain_indirect_select(const uint64_t *value, const uint32_t *index,
                             size_t n, uint32_t *out);
size_t best_indirect_select(const uint64_t *value, const uint32_t *index,
                            size_t n, uint32_t *out, size_t distance);

/* Counts how often each key occurs. */
void plain_histogram(uint32_t *count, const uint32_t *key, size_t n);
void best_histogram(uint32_t *count, const uint32_t *key, size_t n,
                    size_t distance);

/* The next number of the shift register of HPCC RandomAccess: x^64+x^2+x+1. */
static inline uint64_t gups_next(uint64_t r) {
  return (r << 1) ^ ((int64_t)r < 0 ? 7 : 0);
}

/* Random updates of a table of mask + 1 words, from one generator. */
void plain_gups(uint64_t *table, uint64_t mask, uint64_t start, size_t updates);
void best_gups(uint64_t *table, uint64_t mask, uint64_t start, size_t updates,
               size_t distance);

/* The same from GUPS_STREAMS generators in turn, `rounds` updates each. */
#define GUPS_STREAMS 128
void plain_gups_streams(uint64_t *table, uint64_t mask, uint64_t *stream,
                        size_t rounds);
void best_gups_streams(uint64_t *table, uint64_t mask, uint64_t *stream,
                       size_t rounds, size_t distance);

/* rank[i] becomes the place of key[i] (< keys) in the sorted order, equal
 * keys in their order in the input; `count` has keys + 1 entries. */
void plain_sort_rank(const uint32_t *key, size_t n, uint32_t *count,
                     size_t keys, uint32_t *rank);
void best_sort_rank(const uint32_t *key, size_t n, uint32_t *count, size_t keys,
                    uint32_t *rank, size_t distance);

void plain_triad(double *a, const double *b, const double *c, double scale,
                 size_t n);
void best_triad(double *a, const double *b, const double *c, double scale,
                size_t n, size_t distance);

/* ---- Hash join ------------------------------------------------------------
 */

struct tuple {
  struct tuple *next;
  uint64_t hash;
  uint64_t key;
  uint64_t payload;
};

struct hash_table {
  struct tuple **bucket;
  uint64_t buckets; /* < 2^32 */
};

/* Knuth's multiplicative hash. */
static inline uint64_t join_hash(uint64_t key) {
  return key * UINT64_C(0x9E3779B97F4A7C15);
}

static inline size_t join_bucket(const struct hash_table *t, uint64_t key) {
  return (size_t)(((join_hash(key) >> 32) * t->buckets) >> 32);
}

/* Sum of the payloads of all tuples that match a key of `probe`. */
uint64_t plain_join_probe(const struct hash_table *table, const uint64_t *probe,
                          size_t n);
/* For chains of one and two tuples: prefetches at staggered distances. */
uint64_t best_join_staged(const struct hash_table *table, const uint64_t *probe,
                          size_t n, size_t chain, size_t distance);
/* For longer chains: `width` probes in flight. */
uint64_t best_join_interleaved(const struct hash_table *table,
                               const uint64_t *probe, size_t n, size_t width);

/* ---- Lists ----------------------------------------------------------------
 */

struct list_node {
  struct list_node *next;
  uint64_t value;
  uint64_t other[6]; /* the rest of a record: a node is a cache line */
};

/* Sum of the values of at least `limit`. */
uint64_t plain_list_sum(const struct list_node *head, uint64_t limit);
/* Writes the nodes in their order to `order`; returns the sum as well. */
uint64_t best_list_record(const struct list_node *head, uint64_t limit,
                          const struct list_node **order);
/* `order` only says what to prefetch: `distance` nodes ahead. */
uint64_t best_list_sum(const struct list_node *head, uint64_t limit,
                       const struct list_node **order, size_t n,
                       size_t distance);

/* Sum of all values of all lists. */
uint64_t plain_lists_sum(struct list_node *const *head, size_t lists);
uint64_t best_lists_sum(struct list_node *const *head, size_t lists,
                        size_t width);

/* ---- Trees and searches ---------------------------------------------------
 */

struct tree_node {
  uint64_t key;
  uint64_t value;
  struct tree_node *left;
  struct tree_node *right;
};

/* Sum of the values of those keys that are in the tree. */
uint64_t plain_tree_search(const struct tree_node *root, const uint64_t *key,
                           size_t n);
uint64_t best_tree_search(const struct tree_node *root, const uint64_t *key,
                          size_t n, size_t width);

#define BTREE_KEYS 15

struct btree_node {
  uint32_t count;
  uint32_t leaf;
  uint64_t key[BTREE_KEYS];
  struct btree_node *child[BTREE_KEYS + 1];
  uint64_t value[BTREE_KEYS];
  uint64_t unused; /* six cache lines */
};

uint64_t plain_btree_search(const struct btree_node *root, const uint64_t *key,
                            size_t n);
uint64_t best_btree_search(const struct btree_node *root, const uint64_t *key,
                           size_t n, size_t width);

/* place[i] becomes the number of elements of `sorted` below key[i]. */
void plain_binary_search(const uint64_t *sorted, size_t length,
                         const uint64_t *key, size_t n, uint32_t *place);
void best_binary_search(const uint64_t *sorted, size_t length,
                        const uint64_t *key, size_t n, uint32_t *place,
                        size_t width);

/* ---- Graphs ---------------------------------------------------------------
 */

/* Neighbours of v: neighbour[row[v]] to neighbour[row[v + 1] - 1], sorted. */
struct graph {
  uint32_t vertices;
  uint64_t edges; /* entries of neighbour */
  uint64_t *row;
  uint32_t *neighbour;
};

void plain_pagerank(const struct graph *g, double *rank, double *share,
                    unsigned iterations);
void best_pagerank(const struct graph *g, double *rank, double *share,
                   unsigned iterations, size_t distance);

/* parent[v] is -1 at the start but for the source, its own parent. Returns
 * the number of vertices reached; `queue` holds all vertices. */
uint32_t plain_bfs(const struct graph *g, uint32_t source, int32_t *parent,
                   uint32_t *queue);
uint32_t best_bfs(const struct graph *g, uint32_t source, int32_t *parent,
                  uint32_t *queue, size_t distance);

/* Switches between top-down and bottom-up; the bitmaps hold all vertices. */
struct bfs_space {
  int32_t *parent;
  uint32_t *queue;
  uint64_t *front;
  uint64_t *next;
};
uint32_t plain_bfs_switching(const struct graph *g, uint32_t source,
                             struct bfs_space *s);
uint32_t best_bfs_switching(const struct graph *g, uint32_t source,
                            struct bfs_space *s, size_t distance);

struct weighted_edge {
  uint32_t to;
  uint32_t weight; /* 1 to SSSP_WEIGHT_MAX */
};

struct weighted_graph {
  uint32_t vertices;
  uint64_t edges;
  uint64_t *row;
  struct weighted_edge *edge;
};

#define SSSP_WEIGHT_MAX 255
#define SSSP_DELTA 16
#define SSSP_BUCKETS                                                           \
  32 /* a ring, longer than SSSP_WEIGHT_MAX / SSSP_DELTA + 1 */
#define SSSP_FAR UINT32_MAX

struct bucket {
  uint32_t *vertex;
  size_t count;
  size_t capacity;
};

/* Returns false when out of memory. */
static inline bool bucket_push(struct bucket *b, uint32_t vertex) {
  if (b->count == b->capacity) {
    size_t capacity = b->capacity ? 2 * b->capacity : 1024;
    uint32_t *grown = realloc(b->vertex, capacity * sizeof *grown);
    if (!grown) {
      return false;
    }
    b->vertex = grown;
    b->capacity = capacity;
  }
  b->vertex[b->count++] = vertex;
  return true;
}

/* distance[v] is SSSP_FAR at the start, 0 for the source. The buckets are
 * empty before and after. Returns false when out of memory. */
bool plain_sssp(const struct weighted_graph *g, uint32_t source,
                uint32_t *distance, struct bucket *bucket);
bool best_sssp(const struct weighted_graph *g, uint32_t source,
               uint32_t *distance, struct bucket *bucket, size_t ahead);

/* label[v] becomes the smallest vertex of the component of v. */
void plain_components(const struct graph *g, uint32_t *label);
void best_components(const struct graph *g, uint32_t *label, size_t distance);

struct centrality_space {
  int32_t *depth; /* -1 at the start */
  double *paths;  /* 0 at the start */
  double *dependency;
  uint32_t *order;
};
/* Adds what paths from `source` give to the score of each vertex. */
void plain_centrality(const struct graph *g, uint32_t source,
                      struct centrality_space *s, double *score);
void best_centrality(const struct graph *g, uint32_t source,
                     struct centrality_space *s, double *score,
                     size_t distance);

/* Triangles of a graph whose edges are directed without cycles. */
uint64_t plain_triangles(const struct graph *g);
uint64_t best_triangles(const struct graph *g, size_t distance);

/* ---- Conjugate gradient ---------------------------------------------------
 */

struct matrix { /* symmetric, positive definite */
  uint32_t rows;
  uint64_t *row;
  uint32_t *column;
  double *value;
};

struct cg_space {
  const double *b;
  double *x; /* result */
  double *r;
  double *p;
  double *q;
};

/* Returns the square of the norm of the residual. */
double plain_cg(const struct matrix *a, struct cg_space *s,
                unsigned iterations);
double best_cg(const struct matrix *a, struct cg_space *s, unsigned iterations,
               size_t distance);

#endif
