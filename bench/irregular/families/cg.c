/* SPDX-License-Identifier: Apache-2.0
 *
 * Conjugate gradient on the Laplacian of a random graph plus the identity,
 * with random weights. Verified by the residual of the solution, with the
 * product by columns instead of rows.
 *
 * cg-class-c has the shape of class C of the NAS benchmark CG: 150000 rows,
 * 240 entries in each; its vector fits a large cache.
 */
#include "bench.h"

#include <math.h>

#define ITERATIONS 10

struct cg {
  struct matrix a;
  struct cg_space space;
  double *b;
  double rho;
};

/* Symmetric: the same for u, v and v, u. */
static double weight(uint32_t u, uint32_t v) {
  uint64_t pair = u < v ? (uint64_t)u << 32 | v : (uint64_t)v << 32 | u;
  return 0.5 + (double)(bench_mix(pair) >> 12) * 0x1p-52;
}

static void setup(struct bench_run *run) {
  struct cg *d = bench_alloc(run, 1, sizeof *d);
  struct graph g;
  uint64_t state = run->seed;
  run->data = d;
  bench_graph_make(run, BENCH_UNIFORM, &g);
  uint64_t n = run->size;
  uint64_t entries = g.edges + n;
  struct matrix *a = &d->a;
  a->rows = (uint32_t)n;
  a->row = bench_alloc(run, n + 1, sizeof *a->row);
  a->column = bench_alloc(run, entries + KERNEL_PAD, sizeof *a->column);
  a->value = bench_alloc(run, entries, sizeof *a->value);
  uint64_t out = 0;
  for (uint32_t u = 0; u < n; u++) {
    double sum = 1;
    for (uint64_t e = g.row[u]; e < g.row[u + 1]; e++) {
      a->column[out] = g.neighbour[e];
      a->value[out] = -weight(u, g.neighbour[e]);
      sum -= a->value[out++];
    }
    a->column[out] = u;
    a->value[out++] = sum;
    a->row[u + 1] = out;
  }
  bench_free(run, g.row);
  bench_free(run, g.neighbour);
  d->space.b = d->b = bench_alloc(run, n, sizeof(double));
  d->space.x = bench_alloc(run, n, sizeof(double));
  d->space.r = bench_alloc(run, n, sizeof(double));
  d->space.p = bench_alloc(run, n, sizeof(double));
  d->space.q = bench_alloc(run, n, sizeof(double));
  for (uint64_t i = 0; i < n; i++) {
    d->b[i] = (double)(bench_random(&state) >> 11) * 0x1p-53;
  }
  run->elements = ITERATIONS * entries;
}

static void reset(struct bench_run *run) {
  struct cg *d = run->data;
  for (uint64_t i = 0; i < run->size; i++) {
    d->space.x[i] = 0;
  }
  d->rho = -1;
}

static void plain(struct bench_run *run) {
  struct cg *d = run->data;
  d->rho = plain_cg(&d->a, &d->space, ITERATIONS);
}

static void best(struct bench_run *run, unsigned param) {
  struct cg *d = run->data;
  d->rho = best_cg(&d->a, &d->space, ITERATIONS, param);
}

static uint64_t finish(struct bench_run *run) {
  const struct cg *d = run->data;
  return bench_checksum(d->space.x, run->size * sizeof(double));
}

static const char *verify(struct bench_run *run) {
  const struct cg *d = run->data;
  double *residual = bench_alloc(run, run->size, sizeof *residual);
  for (uint64_t i = 0; i < run->size; i++) {
    residual[i] += d->b[i];
    for (uint64_t e = d->a.row[i]; e < d->a.row[i + 1]; e++) {
      residual[d->a.column[e]] -= d->a.value[e] * d->space.x[i];
    }
  }
  double left = 0;
  double start = 0;
  for (uint64_t i = 0; i < run->size; i++) {
    left += residual[i] * residual[i];
    start += d->b[i] * d->b[i];
  }
  bench_free(run, residual);
  if (!(d->rho >= 0) ||
      !(fabs(sqrt(left) - sqrt(d->rho)) <= 1e-9 * sqrt(start))) {
    return "the solution's residual is not the one computed";
  }
  return left < 0.25 * start ? NULL : "the residual did not shrink";
}

#define CG(NAME, ABOUT, SIZE, DEGREE, PARAM)                                   \
  {                                                                            \
      .name = NAME,                                                            \
      .about = ABOUT,                                                          \
      .sized = "rows",                                                         \
      .element = "entry",                                                      \
      .param = "distance",                                                     \
      .test_size = 2000,                                                       \
      .bench_size = SIZE,                                                      \
      .min_size = 64,                                                          \
      .max_size = UINT64_C(1) << 30,                                           \
      .degree = DEGREE,                                                        \
      .best_param = PARAM,                                                     \
      .sweep = {8, 16, 32, 48, 64, 96, 128, 192},                              \
      .setup = setup,                                                          \
      .reset = reset,                                                          \
      .plain = plain,                                                          \
      .best = best,                                                            \
      .finish = finish,                                                        \
      .verify = verify,                                                        \
  }

const struct bench_kernel cg_kernels[] = {
    CG("cg", "conjugate gradient, 10 iterations", UINT64_C(1) << 22, 8, 64),
    CG("cg-class-c", "the same in the shape of NAS class C", 150000, 120, 64),
    {0},
};
