/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys are looked up in a hash table with chains. Each step of a chain waits
 * for the one before, but the lookups are independent of each other (`restrict`
 * says that the results overlap nothing): cira-cc keeps many under way.
 *   cira-cc -O3 -fcira=all -Rpass=cira probe.c && ./a.out 20000000
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct entry {
  uint64_t key, value;
  const struct entry *next;
} entry_t;

static size_t bucket(uint64_t key, size_t mask) {
  return key * UINT64_C(0x9e3779b97f4a7c15) >> 20 & mask;
}

static void probe(const entry_t *const *heads, size_t mask,
                  const uint64_t *keys, size_t n, uint64_t *restrict out) {
  for (size_t i = 0; i < n; i++) {
    const entry_t *e = heads[bucket(keys[i], mask)];
    while (e && e->key != keys[i]) {
      e = e->next;
    }
    out[i] = e ? e->value : 0;
  }
}

int main(int argc, char **argv) {
  size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 300000;
  size_t buckets = 1;
  n = n < 1 || n > UINT32_MAX ? 1 : n;
  while (buckets < n / 4) {
    buckets *= 2;
  }
  const entry_t **heads = calloc(buckets, sizeof *heads);
  entry_t *entries = malloc(n * sizeof *entries);
  uint64_t *keys = malloc(n * sizeof *keys), *out = malloc(n * sizeof *out);
  if (!heads || !entries || !keys || !out) {
    return 1;
  }
  for (size_t i = 0; i < n; i++) {
    size_t at = bucket(3 * i, buckets - 1);
    entries[i] = (entry_t){.key = 3 * i, .value = i, .next = heads[at]};
    heads[at] = &entries[i];
    keys[i] = i * UINT64_C(2654435761) % n * 2; /* every third is there */
  }
  probe(heads, buckets - 1, keys, n, out);
  uint64_t found = 0, sum = 0;
  for (size_t i = 0; i < n; i++) {
    found += out[i] != 0;
    sum += out[i];
  }
  printf("%llu of %zu found, sum %llu\n", (unsigned long long)found, n,
         (unsigned long long)sum);
  free(heads);
  free(entries);
  free(keys);
  free(out);
  return 0;
}
