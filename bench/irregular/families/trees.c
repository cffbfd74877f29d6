/* SPDX-License-Identifier: Apache-2.0
 *
 * Searches for random numbers below 2 * size among the even ones: every other
 * search fails. Nodes lie in random order. Verified without a search: whether
 * a number is there, its value and its place follow from it.
 */
#include "bench.h"

struct trees {
  struct tree_node *tree;
  const struct tree_node *root;
  struct btree_node *btree;
  const struct btree_node *btree_root;
  uint64_t *sorted;
  uint64_t *key;
  uint32_t *place;
  uint64_t result;
  /* while a tree is built */
  uint32_t *slot; /* where the next node lies */
  uint64_t used;
};

static uint64_t value_of(uint64_t key) {
  return bench_mix(key + 1);
}

static struct trees *common_setup(struct bench_run *run, uint64_t share) {
  struct trees *d = bench_alloc(run, 1, sizeof *d);
  uint64_t state = run->seed;
  run->data = d;
  run->elements = run->size / share ? run->size / share : 1;
  d->key = bench_alloc(run, run->elements, sizeof *d->key);
  for (uint64_t i = 0; i < run->elements; i++) {
    d->key[i] = bench_below(&state, 2 * run->size);
  }
  return d;
}

static uint32_t *random_slots(struct bench_run *run, uint64_t n) {
  uint64_t state = run->seed + 1;
  uint32_t *slot = bench_alloc(run, n, sizeof *slot);
  bench_permutation(slot, n, &state);
  return slot;
}

static void search_reset(struct bench_run *run) {
  struct trees *d = run->data;
  d->result = 0;
}

static uint64_t search_finish(struct bench_run *run) {
  return ((const struct trees *)run->data)->result;
}

static const char *search_verify(struct bench_run *run) {
  const struct trees *d = run->data;
  uint64_t sum = 0;
  for (uint64_t i = 0; i < run->elements; i++) {
    sum += d->key[i] % 2 == 0 ? value_of(d->key[i]) : 0;
  }
  return sum == d->result ? NULL : "the sum of the values found is wrong";
}

/* --- Binary tree ---------------------------------------------------------- */

/* A balanced tree of the numbers low to high - 1, each doubled. */
static struct tree_node *tree_build(struct trees *d, uint64_t low,
                                    uint64_t high) {
  if (low == high) {
    return NULL;
  }
  uint64_t middle = low + (high - low) / 2;
  struct tree_node *t = &d->tree[d->slot[d->used++]];
  t->key = 2 * middle;
  t->value = value_of(t->key);
  t->left = tree_build(d, low, middle);
  t->right = tree_build(d, middle + 1, high);
  return t;
}

static void tree_setup(struct bench_run *run) {
  struct trees *d = common_setup(run, 16);
  d->tree = bench_alloc(run, run->size, sizeof *d->tree);
  d->slot = random_slots(run, run->size);
  d->root = tree_build(d, 0, run->size);
  bench_free(run, d->slot);
}

static void tree_plain(struct bench_run *run) {
  struct trees *d = run->data;
  d->result = plain_tree_search(d->root, d->key, run->elements);
}

static void tree_best(struct bench_run *run, unsigned param) {
  struct trees *d = run->data;
  d->result = best_tree_search(d->root, d->key, run->elements, param);
}

/* --- B-tree --------------------------------------------------------------- */

#define FILL 11u /* keys in a node of a B-tree in use: about two thirds */

/* Keys that a tree of `height` levels holds at that fill. */
static uint64_t btree_capacity(unsigned height) {
  uint64_t keys = 0;
  while (height--) {
    keys = keys * (FILL + 1) + FILL;
  }
  return keys;
}

/* Children that n keys need under a node at `height` > 1; the keys between
 * them are one fewer. */
static uint64_t btree_children(uint64_t n, unsigned height) {
  uint64_t below = btree_capacity(height - 1) + 1;
  uint64_t children = (n + below) / below;
  return children < 2 ? 2 : children;
}

static uint64_t btree_share(uint64_t n, uint64_t children, uint64_t k) {
  uint64_t keys = n - (children - 1);
  return keys / children + (k < keys % children);
}

static uint64_t btree_nodes(uint64_t n, unsigned height) {
  uint64_t nodes = 1;
  uint64_t children = height > 1 ? btree_children(n, height) : 0;
  for (uint64_t k = 0; k < children; k++) {
    nodes += btree_nodes(btree_share(n, children, k), height - 1);
  }
  return nodes;
}

/* A tree of the numbers from `low`, each doubled. */
static struct btree_node *btree_build(struct trees *d, uint64_t low, uint64_t n,
                                      unsigned height) {
  struct btree_node *t = &d->btree[d->slot[d->used++]];
  uint64_t children = height > 1 ? btree_children(n, height) : 0;
  t->leaf = height == 1;
  t->count = (uint32_t)(children ? children - 1 : n);
  for (uint32_t k = 0; k < children; k++) {
    uint64_t share = btree_share(n, children, k);
    t->child[k] = btree_build(d, low, share, height - 1);
    low += share;
    if (k < t->count) {
      t->key[k] = 2 * low++;
    }
  }
  for (uint32_t k = 0; k < t->count; k++) {
    if (t->leaf) {
      t->key[k] = 2 * (low + k);
    }
    t->value[k] = value_of(t->key[k]);
  }
  return t;
}

static void btree_setup(struct bench_run *run) {
  struct trees *d = common_setup(run, 16);
  unsigned height = 1;
  while (btree_capacity(height) < run->size) {
    height++;
  }
  uint64_t nodes = btree_nodes(run->size, height);
  d->slot = random_slots(run, nodes);
  d->btree = bench_alloc(run, nodes, sizeof *d->btree);
  d->btree_root = btree_build(d, 0, run->size, height);
  bench_free(run, d->slot);
}

static void btree_plain(struct bench_run *run) {
  struct trees *d = run->data;
  d->result = plain_btree_search(d->btree_root, d->key, run->elements);
}

static void btree_best(struct bench_run *run, unsigned param) {
  struct trees *d = run->data;
  d->result = best_btree_search(d->btree_root, d->key, run->elements, param);
}

/* --- Sorted array --------------------------------------------------------- */

static void binary_setup(struct bench_run *run) {
  struct trees *d = common_setup(run, 64);
  d->sorted = bench_alloc(run, run->size, sizeof *d->sorted);
  d->place = bench_alloc(run, run->elements, sizeof *d->place);
  for (uint64_t i = 0; i < run->size; i++) {
    d->sorted[i] = 2 * i;
  }
}

static void binary_reset(struct bench_run *run) {
  struct trees *d = run->data;
  for (uint64_t i = 0; i < run->elements; i++) {
    d->place[i] = UINT32_MAX;
  }
}

static void binary_plain(struct bench_run *run) {
  struct trees *d = run->data;
  plain_binary_search(d->sorted, run->size, d->key, run->elements, d->place);
}

static void binary_best(struct bench_run *run, unsigned param) {
  struct trees *d = run->data;
  best_binary_search(d->sorted, run->size, d->key, run->elements, d->place,
                     param);
}

static uint64_t binary_finish(struct bench_run *run) {
  const struct trees *d = run->data;
  return bench_checksum(d->place, run->elements * sizeof *d->place);
}

static const char *binary_verify(struct bench_run *run) {
  const struct trees *d = run->data;
  for (uint64_t i = 0; i < run->elements; i++) {
    if (d->place[i] != (d->key[i] + 1) / 2) {
      return "a key was found at the wrong place";
    }
  }
  return NULL;
}

const struct bench_kernel trees_kernels[] = {
    {.name = "tree-search",
     .about = "searches in a binary tree",
     .sized = "nodes of 32 bytes",
     .element = "search",
     .param = "width",
     .test_size = 20001,
     .bench_size = UINT64_C(1) << 24,
     .min_size = 1,
     .max_size = UINT64_C(1) << 31,
     .best_param = 128,
     .sweep = {8, 16, 32, 64, 96, 128, 192, 256},
     .setup = tree_setup,
     .reset = search_reset,
     .plain = tree_plain,
     .best = tree_best,
     .finish = search_finish,
     .verify = search_verify},
    {.name = "btree-search",
     .about = "searches in a B-tree of order 16",
     .sized = "keys",
     .element = "search",
     .param = "width",
     .test_size = 20001,
     .bench_size = UINT64_C(1) << 24,
     .min_size = 1,
     .max_size = UINT64_C(1) << 31,
     .best_param = 32,
     .sweep = {4, 8, 12, 16, 24, 32, 48, 64, 96},
     .setup = btree_setup,
     .reset = search_reset,
     .plain = btree_plain,
     .best = btree_best,
     .finish = search_finish,
     .verify = search_verify},
    {.name = "binary-search",
     .about = "binary searches in a sorted array",
     .sized = "words of the array",
     .element = "search",
     .param = "width",
     .test_size = 100003,
     .bench_size = UINT64_C(1) << 26,
     .min_size = 1,
     .max_size = UINT64_C(1) << 31,
     .best_param = 32,
     .sweep = {4, 8, 12, 16, 24, 32, 48, 64, 96},
     .setup = binary_setup,
     .reset = binary_reset,
     .plain = binary_plain,
     .best = binary_best,
     .finish = binary_finish,
     .verify = binary_verify},
    {0},
};
