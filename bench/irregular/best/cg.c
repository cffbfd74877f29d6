/* SPDX-License-Identifier: Apache-2.0
 *
 * Conjugate gradient with the vector prefetched through the columns ahead.
 */
#include "ahead.h"

static void multiply(const struct matrix *a, const double *x, double *y,
                     size_t distance) {
  const uint32_t *column = a->column;
  for (uint32_t i = 0; i < a->rows; i++) {
    double sum = 0;
    for (uint64_t e = a->row[i]; e < a->row[i + 1]; e++) {
      fetch(&x[column[e + distance]]);
      sum += a->value[e] * x[column[e]];
    }
    y[i] = sum;
  }
}

static double dot(const double *x, const double *y, uint32_t n) {
  double sum = 0;
  for (uint32_t i = 0; i < n; i++) {
    sum += x[i] * y[i];
  }
  return sum;
}

double best_cg(const struct matrix *a, struct cg_space *s, unsigned iterations,
               size_t distance) {
  uint32_t n = a->rows;
  for (uint32_t i = 0; i < n; i++) {
    s->x[i] = 0;
    s->r[i] = s->p[i] = s->b[i];
  }
  double rho = dot(s->r, s->r, n);
  for (unsigned k = 0; k < iterations; k++) {
    multiply(a, s->p, s->q, distance);
    double alpha = rho / dot(s->p, s->q, n);
    for (uint32_t i = 0; i < n; i++) {
      s->x[i] += alpha * s->p[i];
      s->r[i] -= alpha * s->q[i];
    }
    double before = rho;
    rho = dot(s->r, s->r, n);
    for (uint32_t i = 0; i < n; i++) {
      s->p[i] = s->r[i] + rho / before * s->p[i];
    }
  }
  return rho;
}
