/* SPDX-License-Identifier: Apache-2.0
 *
 * A list walked again: jump pointers kept beside it (Roth, Sohi, Effective
 * Jump-Pointer Prefetching for Linked Data Structures, ISCA'99; Luk, Mowry,
 * ASPLOS'96). Many lists: several in flight (AMAC, VLDB'15).
 */
#include "ahead.h"

uint64_t best_list_record(const struct list_node *head, uint64_t limit,
                          const struct list_node **order) {
  uint64_t sum = 0;
  size_t i = 0;
  for (const struct list_node *n = head; n; n = n->next) {
    order[i++] = n;
    sum += n->value >= limit ? n->value : 0;
  }
  return sum;
}

uint64_t best_list_sum(const struct list_node *head, uint64_t limit,
                       const struct list_node **order, size_t n,
                       size_t distance) {
  uint64_t sum = 0;
  size_t i = distance;
  for (const struct list_node *p = head; p; p = p->next, i++) {
    if (i < n) {
      fetch(order[i]);
    }
    sum += p->value >= limit ? p->value : 0;
  }
  return sum;
}

static inline const struct list_node *begin(struct list_node *const *head,
                                            size_t lists, size_t *next) {
  while (*next < lists) {
    const struct list_node *n = head[(*next)++];
    if (n) {
      fetch(n);
      return n;
    }
  }
  return NULL;
}

uint64_t best_lists_sum(struct list_node *const *head, size_t lists,
                        size_t width) {
  const struct list_node *at[KERNEL_PARAM_MAX];
  uint64_t sum = 0;
  size_t next = 0;
  size_t busy = 0;
  while (busy < width && (at[busy] = begin(head, lists, &next))) {
    busy++;
  }
  while (busy) {
    for (size_t k = 0; k < busy; k++) {
      sum += at[k]->value;
      at[k] = at[k]->next;
      if (at[k]) {
        fetch(at[k]);
      } else if (!(at[k] = begin(head, lists, &next))) {
        at[k--] = at[--busy]; /* the one that moved here has its turn */
      }
    }
  }
  return sum;
}
