/* SPDX-License-Identifier: Apache-2.0
 *
 * Searches with several in flight (AMAC, VLDB'15); in a sorted array all take
 * the same steps, so a group goes down together (Psaropoulos et al.,
 * Interleaving with Coroutines, VLDB'17).
 */
#include "ahead.h"

struct searcher {
  const void *node;
  uint64_t key;
};

uint64_t best_tree_search(const struct tree_node *root, const uint64_t *key,
                          size_t n, size_t width) {
  struct searcher searcher[KERNEL_PARAM_MAX];
  uint64_t sum = 0;
  size_t next = 0;
  size_t busy = 0;
  for (; root && busy < width && next < n; busy++) {
    searcher[busy] = (struct searcher){root, key[next++]};
  }
  while (busy) {
    for (size_t k = 0; k < busy; k++) {
      struct searcher *s = &searcher[k];
      const struct tree_node *t = s->node;
      const struct tree_node *down = s->key < t->key ? t->left : t->right;
      if (t->key != s->key && down) {
        fetch(down);
        s->node = down;
        continue;
      }
      sum += t->key == s->key ? t->value : 0;
      if (next < n) {
        *s = (struct searcher){root, key[next++]};
      } else {
        *s = searcher[--busy];
        k--; /* the one that moved here has its turn */
      }
    }
  }
  return sum;
}

/* Number of keys below `key`, without a branch that misses. */
static inline uint32_t below(const struct btree_node *t, uint64_t key) {
  uint32_t k = 0;
  for (uint32_t i = 0; i < t->count; i++) {
    k += t->key[i] < key;
  }
  return k;
}

static inline void fetch_node(const struct btree_node *t) {
  for (size_t line = 0; line < 4 * AHEAD_LINE; line += AHEAD_LINE) {
    fetch((const char *)t + line); /* keys and children */
  }
}

uint64_t best_btree_search(const struct btree_node *root, const uint64_t *key,
                           size_t n, size_t width) {
  struct searcher searcher[KERNEL_PARAM_MAX];
  uint64_t sum = 0;
  size_t next = 0;
  size_t busy = 0;
  for (; root && busy < width && next < n; busy++) {
    searcher[busy] = (struct searcher){root, key[next++]};
  }
  while (busy) {
    for (size_t i = 0; i < busy; i++) {
      struct searcher *s = &searcher[i];
      const struct btree_node *t = s->node;
      uint32_t k = below(t, s->key);
      bool found = k < t->count && t->key[k] == s->key;
      if (!found && !t->leaf) {
        s->node = t->child[k];
        fetch_node(s->node);
        continue;
      }
      sum += found ? t->value[k] : 0;
      if (next < n) {
        *s = (struct searcher){root, key[next++]};
      } else {
        *s = searcher[--busy];
        i--; /* the one that moved here has its turn */
      }
    }
  }
  return sum;
}

void best_binary_search(const uint64_t *sorted, size_t length,
                        const uint64_t *key, size_t n, uint32_t *place,
                        size_t width) {
  const uint64_t *base[KERNEL_PARAM_MAX];
  for (size_t i = 0; i < n; i += width) {
    size_t group = n - i < width ? n - i : width;
    for (size_t k = 0; k < group; k++) {
      base[k] = sorted;
    }
    size_t left = length;
    while (left > 1) {
      size_t half = left / 2;
      left -= half;
      for (size_t k = 0; k < group; k++) {
        base[k] += base[k][half - 1] < key[i + k] ? half : 0;
        fetch(&base[k][left / 2 ? left / 2 - 1 : 0]);
      }
    }
    for (size_t k = 0; k < group; k++) {
      size_t at = (size_t)(base[k] - sorted);
      place[i + k] = (uint32_t)(at + (length && *base[k] < key[i + k]));
    }
  }
}
