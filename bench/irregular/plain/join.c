/* SPDX-License-Identifier: Apache-2.0
 *
 * The probe of a hash join with chained buckets (Kitsuregawa, Tanaka,
 * Moto-Oka, Application of Hash to Data Base Machine, 1983; the in-memory
 * form of Balkesen et al., ICDE'13). Keys of the build side may repeat, so
 * the whole chain is walked.
 */
#include "kernels.h"

uint64_t plain_join_probe(const struct hash_table *table, const uint64_t *probe,
                          size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    const struct tuple *t = table->bucket[join_bucket(table, probe[i])];
    for (; t; t = t->next) {
      if (t->key == probe[i]) {
        sum += t->payload;
      }
    }
  }
  return sum;
}
