/* SPDX-License-Identifier: Apache-2.0
 *
 * Two ways to hide the misses of a probe: prefetching at staggered distances
 * (Chen, Ailamaki, Gibbons, Mowry, Improving Hash Join Performance through
 * Prefetching, ICDE'04), which repeats the walk up to each stage and so pays
 * for short chains only, and several probes in flight (Kocberber, Falsafi,
 * Grot, Asynchronous Memory Access Chaining, VLDB'15).
 */
#include "ahead.h"

static inline const struct tuple *first(const struct hash_table *table,
                                        uint64_t key) {
  return table->bucket[join_bucket(table, key)];
}

static inline uint64_t walk(const struct tuple *t, uint64_t key) {
  uint64_t sum = 0;
  for (; t; t = t->next) {
    sum += t->key == key ? t->payload : 0;
  }
  return sum;
}

uint64_t best_join_staged(const struct hash_table *table, const uint64_t *probe,
                          size_t n, size_t chain, size_t distance) {
  size_t stages = chain > 1 ? 3 : 2;
  size_t end = n > stages * distance ? n - stages * distance : 0;
  uint64_t sum = 0;
  size_t i = 0;
  for (; i < end; i++) {
    size_t ahead = i + stages * distance;
    fetch(&table->bucket[join_bucket(table, probe[ahead])]);
    ahead -= distance;
    fetch(first(table, probe[ahead]));
    if (chain > 1) {
      const struct tuple *t = first(table, probe[ahead - distance]);
      fetch(t ? t->next : NULL);
    }
    sum += walk(first(table, probe[i]), probe[i]);
  }
  for (; i < n; i++) {
    sum += walk(first(table, probe[i]), probe[i]);
  }
  return sum;
}

struct walker {
  const struct tuple *t;
  uint64_t key;
};

/* The next probe with a chain; its bucket was fetched `width` probes ago.
 * Returns false at the end. */
static inline bool begin(struct walker *w, const struct hash_table *table,
                         const uint64_t *probe, size_t n, size_t *next,
                         size_t width) {
  while (*next < n) {
    size_t i = (*next)++;
    if (i + width < n) {
      fetch(&table->bucket[join_bucket(table, probe[i + width])]);
    }
    w->key = probe[i];
    w->t = first(table, w->key);
    if (w->t) {
      fetch(w->t);
      return true;
    }
  }
  return false;
}

uint64_t best_join_interleaved(const struct hash_table *table,
                               const uint64_t *probe, size_t n, size_t width) {
  struct walker walker[KERNEL_PARAM_MAX];
  size_t ahead = width;
  size_t next = 0;
  uint64_t sum = 0;
  size_t busy = 0;
  while (busy < width && begin(&walker[busy], table, probe, n, &next, ahead)) {
    busy++;
  }
  while (busy) {
    for (size_t k = 0; k < busy; k++) {
      struct walker *w = &walker[k];
      sum += w->t->key == w->key ? w->t->payload : 0;
      w->t = w->t->next;
      if (w->t) {
        fetch(w->t);
      } else if (!begin(w, table, probe, n, &next, ahead)) {
        *w = walker[--busy];
        k--; /* the one that moved here has its turn */
      }
    }
  }
  return sum;
}
