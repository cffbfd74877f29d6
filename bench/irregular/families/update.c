/* SPDX-License-Identifier: Apache-2.0
 *
 * Random updates. Verified by taking every update back: counts return to
 * zero, exclusive or undoes itself; ranks must put the keys in order.
 */
#include "bench.h"

#include <math.h>
#include <string.h>

enum { UNIFORM, SKEWED, ONE_STREAM, STREAMS, RANK };

struct update {
  uint32_t *key;
  uint64_t keys; /* number of keys in `key` */
  uint32_t *count;
  uint64_t counts;
  uint32_t *rank;
  uint64_t *table;
  uint64_t stream[GUPS_STREAMS];
};

/* --- Histogram ------------------------------------------------------------ */

static void histogram_setup(struct bench_run *run) {
  struct update *d = bench_alloc(run, 1, sizeof *d);
  uint64_t state = run->seed;
  run->data = d;
  d->counts = run->size;
  run->elements = d->keys = run->size > 1 ? run->size / 2 : 1;
  d->count = bench_alloc(run, d->counts, sizeof *d->count);
  d->key = bench_alloc(run, d->keys, sizeof *d->key);
  double bits = log2((double)run->size);
  for (uint64_t i = 0; i < d->keys; i++) {
    if (run->kernel->variant == UNIFORM) {
      d->key[i] = (uint32_t)bench_below(&state, run->size);
    } else {
      /* Log-uniform, that is Zipf with exponent 1; an odd factor scatters the
       * frequent keys over the table. */
      double u = (double)(bench_random(&state) >> 11) * 0x1p-53;
      uint64_t rank = (uint64_t)exp2(u * bits) - 1;
      d->key[i] = (uint32_t)(rank * 0x9E3779B1u & (run->size - 1));
    }
  }
}

static void histogram_reset(struct bench_run *run) {
  struct update *d = run->data;
  memset(d->count, 0, d->counts * sizeof *d->count);
}

static void histogram_plain(struct bench_run *run) {
  struct update *d = run->data;
  plain_histogram(d->count, d->key, d->keys);
}

static void histogram_best(struct bench_run *run, unsigned param) {
  struct update *d = run->data;
  best_histogram(d->count, d->key, d->keys, param);
}

static uint64_t histogram_finish(struct bench_run *run) {
  const struct update *d = run->data;
  return bench_checksum(d->count, d->counts * sizeof *d->count);
}

static const char *histogram_verify(struct bench_run *run) {
  struct update *d = run->data;
  for (uint64_t i = 0; i < d->keys; i++) {
    if (d->count[d->key[i]]-- == 0) {
      return "a key was counted too rarely";
    }
  }
  for (uint64_t k = 0; k < d->counts; k++) {
    if (d->count[k]) {
      return "a key was counted too often";
    }
  }
  return NULL;
}

/* --- GUPS ----------------------------------------------------------------- */

static void gups_setup(struct bench_run *run) {
  struct update *d = bench_alloc(run, 1, sizeof *d);
  run->data = d;
  run->elements = 2 * run->size;
  d->table = bench_alloc(run, run->size, sizeof *d->table);
}

static void gups_reset(struct bench_run *run) {
  struct update *d = run->data;
  uint64_t state = run->seed;
  for (uint64_t i = 0; i < run->size; i++) {
    d->table[i] = i;
  }
  for (size_t j = 0; j < GUPS_STREAMS; j++) {
    d->stream[j] = bench_random(&state) | 1; /* zero would stay zero */
  }
}

static void gups_plain(struct bench_run *run) {
  struct update *d = run->data;
  if (run->kernel->variant == ONE_STREAM) {
    plain_gups(d->table, run->size - 1, d->stream[0], run->elements);
  } else {
    plain_gups_streams(d->table, run->size - 1, d->stream,
                       run->elements / GUPS_STREAMS);
  }
}

static void gups_best(struct bench_run *run, unsigned param) {
  struct update *d = run->data;
  if (run->kernel->variant == ONE_STREAM) {
    best_gups(d->table, run->size - 1, d->stream[0], run->elements, param);
  } else {
    best_gups_streams(d->table, run->size - 1, d->stream,
                      run->elements / GUPS_STREAMS, param);
  }
}

static uint64_t gups_finish(struct bench_run *run) {
  const struct update *d = run->data;
  return bench_checksum(d->table, run->size * sizeof *d->table);
}

static const char *gups_verify(struct bench_run *run) {
  struct update *d = run->data;
  uint64_t streams = run->kernel->variant == ONE_STREAM ? 1 : GUPS_STREAMS;
  uint64_t state = run->seed;
  /* One stream to its end after the other: order does not matter. */
  for (uint64_t j = 0; j < streams; j++) {
    uint64_t r = bench_random(&state) | 1;
    for (uint64_t i = 0; i < run->elements / streams; i++) {
      r = r >> 63 ? r << 1 ^ 7 : r << 1;
      d->table[r % run->size] ^= r;
    }
  }
  for (uint64_t i = 0; i < run->size; i++) {
    if (d->table[i] != i) {
      return "the updates taken back do not give the table of the start";
    }
  }
  return NULL;
}

/* --- Integer sort --------------------------------------------------------- */

static void rank_setup(struct bench_run *run) {
  struct update *d = bench_alloc(run, 1, sizeof *d);
  uint64_t state = run->seed;
  run->data = d;
  run->elements = d->keys = run->size;
  d->counts = run->size / 16 ? run->size / 16 : 1; /* as all classes of IS */
  d->key = bench_alloc(run, d->keys, sizeof *d->key);
  d->rank = bench_alloc(run, d->keys, sizeof *d->rank);
  d->count = bench_alloc(run, d->counts + 1, sizeof *d->count);
  for (uint64_t i = 0; i < d->keys; i++) {
    uint64_t sum = 0; /* of four numbers: nearly a bell curve */
    for (int k = 0; k < 4; k++) {
      sum += bench_below(&state, d->counts);
    }
    d->key[i] = (uint32_t)(sum / 4);
  }
}

static void rank_reset(struct bench_run *run) {
  struct update *d = run->data;
  memset(d->rank, 0xFF, d->keys * sizeof *d->rank);
}

static void rank_plain(struct bench_run *run) {
  struct update *d = run->data;
  plain_sort_rank(d->key, d->keys, d->count, d->counts, d->rank);
}

static void rank_best(struct bench_run *run, unsigned param) {
  struct update *d = run->data;
  best_sort_rank(d->key, d->keys, d->count, d->counts, d->rank, param);
}

static uint64_t rank_finish(struct bench_run *run) {
  const struct update *d = run->data;
  return bench_checksum(d->rank, d->keys * sizeof *d->rank);
}

static const char *rank_verify(struct bench_run *run) {
  struct update *d = run->data;
  uint32_t *from = bench_alloc(run, d->keys, sizeof *from);
  const char *wrong = NULL;
  memset(from, 0xFF, d->keys * sizeof *from);
  for (uint64_t i = 0; i < d->keys && !wrong; i++) {
    if (d->rank[i] >= d->keys || from[d->rank[i]] != UINT32_MAX) {
      wrong = "two keys have the same rank";
    } else {
      from[d->rank[i]] = (uint32_t)i;
    }
  }
  for (uint64_t r = 1; r < d->keys && !wrong; r++) {
    uint32_t a = from[r - 1];
    uint32_t b = from[r];
    if (d->key[a] > d->key[b] || (d->key[a] == d->key[b] && a > b)) {
      wrong = "the ranks are not in the order of the keys";
    }
  }
  bench_free(run, from);
  return wrong;
}

#define HISTOGRAM(NAME, ABOUT, VARIANT)                                        \
  {                                                                            \
      .name = NAME,                                                            \
      .about = ABOUT,                                                          \
      .sized = "counters of 4 bytes",                                          \
      .element = "key",                                                        \
      .param = "distance",                                                     \
      .test_size = 1 << 15,                                                    \
      .bench_size = UINT64_C(1) << 27,                                         \
      .min_size = 1,                                                           \
      .max_size = UINT64_C(1) << 31,                                           \
      .power_of_two = true,                                                    \
      .variant = VARIANT,                                                      \
      .best_param = 128,                                                       \
      .sweep = {8, 16, 32, 64, 96, 128, 192, 256},                             \
      .setup = histogram_setup,                                                \
      .reset = histogram_reset,                                                \
      .plain = histogram_plain,                                                \
      .best = histogram_best,                                                  \
      .finish = histogram_finish,                                              \
      .verify = histogram_verify,                                              \
  }

#define GUPS(NAME, ABOUT, VARIANT, PARAM)                                      \
  {                                                                            \
      .name = NAME,                                                            \
      .about = ABOUT,                                                          \
      .sized = "words of the table",                                           \
      .element = "update",                                                     \
      .param = "distance",                                                     \
      .test_size = 1 << 14,                                                    \
      .bench_size = UINT64_C(1) << 26,                                         \
      .min_size = GUPS_STREAMS,                                                \
      .max_size = UINT64_C(1) << 32,                                           \
      .power_of_two = true,                                                    \
      .variant = VARIANT,                                                      \
      .best_param = PARAM,                                                     \
      .sweep = {8, 16, 32, 64, 96, 128, 192, 256},                             \
      .setup = gups_setup,                                                     \
      .reset = gups_reset,                                                     \
      .plain = gups_plain,                                                     \
      .best = gups_best,                                                       \
      .finish = gups_finish,                                                   \
      .verify = gups_verify,                                                   \
  }

const struct bench_kernel update_kernels[] = {
    HISTOGRAM("histogram-uniform", "count[key[i]]++, any key as likely",
              UNIFORM),
    HISTOGRAM("histogram-skewed", "count[key[i]]++, Zipf keys", SKEWED),
    GUPS("gups", "table[r & mask] ^= r, one generator", ONE_STREAM, 128),
    GUPS("gups-128", "the same, 128 generators in turn", STREAMS, 96),
    {.name = "integer-sort",
     .about = "ranks of keys by counting (NAS IS; 134217728 is class C)",
     .sized = "keys",
     .element = "key",
     .param = "distance",
     .test_size = 40000,
     .bench_size = UINT64_C(1) << 27,
     .min_size = 1,
     .max_size = UINT64_C(1) << 31,
     .variant = RANK,
     .best_param = 64,
     .sweep = {8, 16, 32, 64, 96, 128, 192, 256},
     .setup = rank_setup,
     .reset = rank_reset,
     .plain = rank_plain,
     .best = rank_best,
     .finish = rank_finish,
     .verify = rank_verify},
    {0},
};
