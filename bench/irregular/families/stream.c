/* SPDX-License-Identifier: Apache-2.0
 *
 * STREAM triad, on small whole numbers, so that results are exact and known.
 */
#include "bench.h"

struct stream {
  double *a;
  double *b;
  double *c;
};

static void setup(struct bench_run *run) {
  struct stream *d = bench_alloc(run, 1, sizeof *d);
  run->data = d;
  run->elements = run->size;
  d->a = bench_alloc(run, run->size, sizeof *d->a);
  d->b = bench_alloc(run, run->size, sizeof *d->b);
  d->c = bench_alloc(run, run->size, sizeof *d->c);
  for (uint64_t i = 0; i < run->size; i++) {
    d->b[i] = (double)(i % 1021);
    d->c[i] = (double)(i % 4093);
  }
}

static void reset(struct bench_run *run) {
  struct stream *d = run->data;
  for (uint64_t i = 0; i < run->size; i++) {
    d->a[i] = -1;
  }
}

static void plain(struct bench_run *run) {
  struct stream *d = run->data;
  plain_triad(d->a, d->b, d->c, 3, run->size);
}

static void best(struct bench_run *run, unsigned param) {
  struct stream *d = run->data;
  best_triad(d->a, d->b, d->c, 3, run->size, param);
}

static uint64_t finish(struct bench_run *run) {
  const struct stream *d = run->data;
  return bench_checksum(d->a, run->size * sizeof *d->a);
}

static const char *verify(struct bench_run *run) {
  const struct stream *d = run->data;
  for (uint64_t i = 0; i < run->size; i++) {
    if ((int64_t)d->a[i] != (int64_t)(i % 1021 + 3 * (i % 4093))) {
      return "an element of the sum is wrong";
    }
  }
  return NULL;
}

const struct bench_kernel stream_kernels[] = {
    {.name = "stream-triad",
     .about = "a[i] = b[i] + 3 c[i]",
     .sized = "elements of each array",
     .element = "element",
     .param = "distance",
     .test_size = 10007,
     .bench_size = UINT64_C(1) << 25,
     .min_size = 1,
     .max_size = UINT64_C(1) << 32,
     .best_param = 32,
     .sweep = {1, 2, 4, 8, 16, 32, 64},
     .setup = setup,
     .reset = reset,
     .plain = plain,
     .best = best,
     .finish = finish,
     .verify = verify},
    {0},
};
