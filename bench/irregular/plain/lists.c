/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks along linked lists.
 */
#include "kernels.h"

uint64_t plain_list_sum(const struct list_node *head, uint64_t limit) {
  uint64_t sum = 0;
  for (const struct list_node *n = head; n; n = n->next) {
    if (n->value >= limit) {
      sum += n->value;
    }
  }
  return sum;
}

uint64_t plain_lists_sum(struct list_node *const *head, size_t lists) {
  uint64_t sum = 0;
  for (size_t i = 0; i < lists; i++) {
    for (const struct list_node *n = head[i]; n; n = n->next) {
      sum += n->value;
    }
  }
  return sum;
}
