/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash joins with chains of about 1, 2, 4 and 8 tuples (the variant): both
 * sides have `size` tuples, each probe matches one. Verified without a table:
 * the payload of each key is known.
 */
#include "bench.h"

struct join {
  struct hash_table table;
  uint64_t *probe;
  uint64_t result;
};

static uint64_t payload_of(uint64_t key) {
  return bench_mix(key + 1);
}

static void setup(struct bench_run *run) {
  struct join *d = bench_alloc(run, 1, sizeof *d);
  uint64_t state = run->seed;
  uint64_t n = run->size;
  run->data = d;
  run->elements = n;
  d->table.buckets = (n + run->kernel->variant - 1) / run->kernel->variant;
  d->table.bucket = bench_alloc(run, d->table.buckets, sizeof(struct tuple *));
  struct tuple *tuple = bench_alloc(run, n, sizeof *tuple);
  uint32_t *key = bench_alloc(run, n, sizeof *key);
  bench_permutation(key, n, &state);
  for (uint64_t i = 0; i < n; i++) {
    struct tuple **at = &d->table.bucket[join_bucket(&d->table, key[i])];
    tuple[i] =
        (struct tuple){*at, join_hash(key[i]), key[i], payload_of(key[i])};
    *at = &tuple[i];
  }
  bench_free(run, key);
  d->probe = bench_alloc(run, n, sizeof *d->probe);
  for (uint64_t i = 0; i < n; i++) {
    d->probe[i] = bench_below(&state, n);
  }
}

static void reset(struct bench_run *run) {
  struct join *d = run->data;
  d->result = 0;
}

static void plain(struct bench_run *run) {
  struct join *d = run->data;
  d->result = plain_join_probe(&d->table, d->probe, run->size);
}

static void best_staged(struct bench_run *run, unsigned param) {
  struct join *d = run->data;
  d->result = best_join_staged(&d->table, d->probe, run->size,
                               run->kernel->variant, param);
}

static void best_interleaved(struct bench_run *run, unsigned param) {
  struct join *d = run->data;
  d->result = best_join_interleaved(&d->table, d->probe, run->size, param);
}

static uint64_t finish(struct bench_run *run) {
  return ((const struct join *)run->data)->result;
}

static const char *verify(struct bench_run *run) {
  const struct join *d = run->data;
  uint64_t sum = 0;
  for (uint64_t i = 0; i < run->size; i++) {
    sum += payload_of(d->probe[i]);
  }
  return sum == d->result ? NULL : "the sum of the payloads is wrong";
}

#define JOIN(CHAIN, PARAM_NAME, PARAM, BEST, ...)                              \
  {                                                                            \
      .name = "join-" #CHAIN,                                                  \
      .about = "hash join probe, chains of " #CHAIN,                           \
      .sized = "tuples on either side",                                        \
      .element = "probe",                                                      \
      .param = PARAM_NAME,                                                     \
      .test_size = 15013,                                                      \
      .bench_size = 12800000,                                                  \
      .min_size = 1,                                                           \
      .max_size = UINT64_C(1) << 31,                                           \
      .variant = CHAIN,                                                        \
      .best_param = PARAM,                                                     \
      .sweep = {__VA_ARGS__},                                                  \
      .setup = setup,                                                          \
      .reset = reset,                                                          \
      .plain = plain,                                                          \
      .best = BEST,                                                            \
      .finish = finish,                                                        \
      .verify = verify,                                                        \
  }

const struct bench_kernel join_kernels[] = {
    JOIN(1, "distance", 64, best_staged, 4, 8, 16, 32, 48, 64, 96, 128),
    JOIN(2, "distance", 32, best_staged, 4, 8, 16, 24, 32, 48, 64, 96),
    JOIN(4, "width", 128, best_interleaved, 8, 16, 32, 64, 96, 128, 192),
    JOIN(8, "width", 128, best_interleaved, 8, 16, 32, 64, 96, 128, 192),
    {0},
};
