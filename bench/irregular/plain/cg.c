/* SPDX-License-Identifier: Apache-2.0
 *
 * Conjugate gradient (Hestenes, Stiefel, Methods of Conjugate Gradients for
 * Solving Linear Systems, 1952) on a sparse matrix in rows.
 */
#include "kernels.h"

static void multiply(const struct matrix *a, const double *x, double *y) {
  for (uint32_t i = 0; i < a->rows; i++) {
    double sum = 0;
    for (uint64_t e = a->row[i]; e < a->row[i + 1]; e++) {
      sum += a->value[e] * x[a->column[e]];
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

double plain_cg(const struct matrix *a, struct cg_space *s,
                unsigned iterations) {
  uint32_t n = a->rows;
  for (uint32_t i = 0; i < n; i++) {
    s->x[i] = 0;
    s->r[i] = s->p[i] = s->b[i];
  }
  double rho = dot(s->r, s->r, n);
  for (unsigned k = 0; k < iterations; k++) {
    multiply(a, s->p, s->q);
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
