/* SPDX-License-Identifier: Apache-2.0
 *
 * Searches in a binary tree, in a B-tree (Bayer, McCreight, Organization and
 * Maintenance of Large Ordered Indices, 1972) and in a sorted array.
 */
#include "kernels.h"

uint64_t plain_tree_search(const struct tree_node *root, const uint64_t *key,
                           size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    const struct tree_node *t = root;
    while (t && t->key != key[i]) {
      t = key[i] < t->key ? t->left : t->right;
    }
    if (t) {
      sum += t->value;
    }
  }
  return sum;
}

uint64_t plain_btree_search(const struct btree_node *root, const uint64_t *key,
                            size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    const struct btree_node *t = root;
    while (t) {
      uint32_t k = 0;
      while (k < t->count && t->key[k] < key[i]) {
        k++;
      }
      if (k < t->count && t->key[k] == key[i]) {
        sum += t->value[k];
        break;
      }
      t = t->leaf ? NULL : t->child[k];
    }
  }
  return sum;
}

void plain_binary_search(const uint64_t *sorted, size_t length,
                         const uint64_t *key, size_t n, uint32_t *place) {
  for (size_t i = 0; i < n; i++) {
    size_t low = 0;
    size_t high = length;
    while (low < high) {
      size_t middle = low + (high - low) / 2;
      if (sorted[middle] < key[i]) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    place[i] = (uint32_t)low;
  }
}
