/* SPDX-License-Identifier: Apache-2.0
 *
 * Indirect sums and selections. Verified by counting how often each place is
 * named, then one pass in order; the selection by a merge with its input.
 */
#include "bench.h"

enum { SUM, TWO, SELECT };

struct indirect {
  uint64_t *value;
  uint32_t *map;
  uint32_t *index;
  uint32_t *out;
  uint64_t result;
};

static void setup(struct bench_run *run) {
  struct indirect *d = bench_alloc(run, 1, sizeof *d);
  uint64_t state = run->seed;
  uint64_t n = run->size;
  run->data = d;
  run->elements = n;
  d->value = bench_alloc(run, n, sizeof *d->value);
  d->index = bench_alloc(run, n, sizeof *d->index);
  for (uint64_t i = 0; i < n; i++) {
    d->value[i] = bench_random(&state);
    d->index[i] = (uint32_t)bench_below(&state, n);
  }
  if (run->kernel->variant == TWO) {
    d->map = bench_alloc(run, n, sizeof *d->map);
    bench_permutation(d->map, n, &state);
  } else if (run->kernel->variant == SELECT) {
    d->out = bench_alloc(run, n, sizeof *d->out);
  }
}

static void reset(struct bench_run *run) {
  struct indirect *d = run->data;
  d->result = 0;
}

static void plain(struct bench_run *run) {
  struct indirect *d = run->data;
  switch (run->kernel->variant) {
  case SUM:
    d->result = plain_indirect_sum(d->value, d->index, run->size);
    break;
  case TWO:
    d->result = plain_indirect_two(d->value, d->map, d->index, run->size);
    break;
  default:
    d->result = plain_indirect_select(d->value, d->index, run->size, d->out);
  }
}

static void best(struct bench_run *run, unsigned param) {
  struct indirect *d = run->data;
  switch (run->kernel->variant) {
  case SUM:
    d->result = best_indirect_sum(d->value, d->index, run->size, param);
    break;
  case TWO:
    d->result = best_indirect_two(d->value, d->map, d->index, run->size, param);
    break;
  default:
    d->result =
        best_indirect_select(d->value, d->index, run->size, d->out, param);
  }
}

static uint64_t finish(struct bench_run *run) {
  const struct indirect *d = run->data;
  return run->kernel->variant == SELECT
             ? bench_checksum(d->out, d->result * sizeof *d->out)
             : d->result;
}

static const char *verify_selection(const struct indirect *d, uint64_t n) {
  uint64_t taken = 0;
  if (d->result > n) {
    return "more selected than there are";
  }
  for (uint64_t i = 0; i < n; i++) {
    bool odd = d->value[d->index[i]] & 1;
    if (odd && (taken == d->result || d->out[taken++] != d->index[i])) {
      return "an odd value is missing from the selection";
    }
  }
  return taken == d->result ? NULL : "the selection is too long";
}

static const char *verify(struct bench_run *run) {
  const struct indirect *d = run->data;
  uint64_t n = run->size;
  if (run->kernel->variant == SELECT) {
    return verify_selection(d, n);
  }
  uint32_t *named = bench_alloc(run, n, sizeof *named);
  for (uint64_t i = 0; i < n; i++) {
    named[d->index[i]]++;
  }
  uint64_t sum = 0;
  for (uint64_t i = 0; i < n; i++) {
    sum += named[i] * d->value[d->map ? d->map[i] : i];
  }
  bench_free(run, named);
  return sum == d->result ? NULL : "the sum differs from the one by counts";
}

#define INDIRECT(NAME, ABOUT, VARIANT, PARAM)                                  \
  {                                                                            \
      .name = NAME,                                                            \
      .about = ABOUT,                                                          \
      .sized = "values of 8 bytes",                                            \
      .element = "element",                                                    \
      .param = "distance",                                                     \
      .test_size = 20011,                                                      \
      .bench_size = UINT64_C(1) << 26,                                         \
      .min_size = 1,                                                           \
      .max_size = UINT64_C(1) << 31,                                           \
      .variant = VARIANT,                                                      \
      .best_param = PARAM,                                                     \
      .sweep = {4, 8, 16, 32, 48, 64, 96, 128, 192, 256},                      \
      .setup = setup,                                                          \
      .reset = reset,                                                          \
      .plain = plain,                                                          \
      .best = best,                                                            \
      .finish = finish,                                                        \
      .verify = verify,                                                        \
  }

const struct bench_kernel indirect_kernels[] = {
    INDIRECT("indirect-sum", "sum of a[b[i]]", SUM, 96),
    INDIRECT("indirect-two", "sum of a[m[b[i]]]", TWO, 48),
    INDIRECT("indirect-branchy", "if (a[b[i]] & 1) copy b[i]", SELECT, 96),
    {0},
};
