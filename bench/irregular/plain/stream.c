/* SPDX-License-Identifier: Apache-2.0
 *
 * The triad of McCalpin, Memory Bandwidth and Machine Balance in Current High
 * Performance Computers, 1995: regular, for comparison.
 */
#include "kernels.h"

void plain_triad(double *a, const double *b, const double *c, double scale,
                 size_t n) {
  for (size_t i = 0; i < n; i++) {
    a[i] = b[i] + scale * c[i];
  }
}
