/* SPDX-License-Identifier: Apache-2.0
 *
 * The triad with stores that do not read their line first, and prefetches a
 * number of lines ahead. The stores must be whole vectors: by single words
 * they are slower than ordinary ones.
 */
#include "ahead.h"

#include <string.h>

#define DOUBLES (AHEAD_LINE / sizeof(double))

typedef double pair __attribute__((vector_size(16)));

static inline pair load(const double *p) {
  pair v;
  memcpy(&v, p, sizeof v);
  return v;
}

void best_triad(double *a, const double *b, const double *c, double scale,
                size_t n, size_t distance) {
  size_t i = 0;
  for (; i < n && (uintptr_t)&a[i] % sizeof(pair); i++) {
    a[i] = b[i] + scale * c[i];
  }
  for (; i + DOUBLES <= n; i += DOUBLES) {
    size_t far = i + distance * DOUBLES; /* beyond the end it does no harm */
    fetch(&b[far]);
    fetch(&c[far]);
    for (size_t k = i; k < i + DOUBLES; k += 2) {
      __builtin_nontemporal_store(load(&b[k]) + scale * load(&c[k]),
                                  (pair *)&a[k]);
    }
  }
  for (; i < n; i++) {
    a[i] = b[i] + scale * c[i];
  }
}
