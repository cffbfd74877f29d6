/* SPDX-License-Identifier: Apache-2.0
 *
 * The triad with stores that do not read their line first, and prefetches a
 * number of lines ahead.
 */
#include "ahead.h"

#define DOUBLES (AHEAD_LINE / sizeof(double))

void best_triad(double *a, const double *b, const double *c, double scale,
                size_t n, size_t distance) {
  size_t i = 0;
  for (; i + DOUBLES <= n; i += DOUBLES) {
    size_t far = i + distance * DOUBLES; /* beyond the end it does no harm */
    __builtin_prefetch(&b[far], 0, 0);
    __builtin_prefetch(&c[far], 0, 0);
    for (size_t k = i; k < i + DOUBLES; k++) {
      __builtin_nontemporal_store(b[k] + scale * c[k], &a[k]);
    }
  }
  for (; i < n; i++) {
    a[i] = b[i] + scale * c[i];
  }
}
