/* SPDX-License-Identifier: Apache-2.0
 *
 * irregular: what the families of kernels share: the table entry, memory of
 * one prepared run, random numbers and graphs.
 *
 * A run goes setup, then any number of (reset, plain or best, finish, verify),
 * then bench_fini. Only plain and best are timed. Same size, degree and seed
 * give the same data everywhere. Out of memory ends the program with one line
 * (bench_alloc): a benchmark has nothing else to do. Single-threaded.
 * Read kernels.h next, then families/.
 */
#ifndef IRREGULAR_BENCH_H
#define IRREGULAR_BENCH_H

#include "kernels.h"

#define BENCH_SWEEP_MAX 16

enum bench_pages {
  BENCH_PAGES_SYSTEM, /* as malloc and the kernel have them */
  BENCH_PAGES_HUGE,   /* madvise(MADV_HUGEPAGE) */
  BENCH_PAGES_SMALL,  /* madvise(MADV_NOHUGEPAGE) */
};

struct bench_kernel;
struct bench_block;

struct bench_run {
  const struct bench_kernel *kernel;
  uint64_t size;
  uint32_t degree;
  uint64_t seed;
  enum bench_pages pages;
  uint64_t elements; /* set by setup or finish: what a time is divided by */
  void *data;        /* the family's */
  struct bench_block *blocks;
};

struct bench_kernel {
  const char *name;
  const char *about;
  const char *sized; /* what size counts */
  const char *element;
  const char *param; /* what the parameter of the best variant is */
  uint64_t test_size;
  uint64_t bench_size;
  uint64_t min_size;
  uint64_t max_size;
  uint32_t degree;   /* default; 0: the kernel has none */
  bool power_of_two; /* sizes are */
  unsigned variant;  /* meaning up to the family */
  unsigned best_param;
  uint16_t sweep[BENCH_SWEEP_MAX]; /* ends with 0 */

  void (*setup)(struct bench_run *run);
  void (*reset)(struct bench_run *run);
  void (*plain)(struct bench_run *run);
  void (*best)(struct bench_run *run, unsigned param);
  uint64_t (*finish)(struct bench_run *run); /* checksum of the result */
  /* Checks the result by other means; may destroy it, not the input. Returns
   * NULL when right, else what is wrong. */
  const char *(*verify)(struct bench_run *run);
  void (*teardown)(struct bench_run *run); /* may be NULL */
};

/* All kernels, in families; the last family is NULL, the last kernel of a
 * family has no name. */
extern const struct bench_kernel *const bench_families[];

const struct bench_kernel *bench_find(const char *name);

/* Zeroed memory that lives until bench_fini; large blocks begin at 2 MiB. */
void *bench_alloc(struct bench_run *run, uint64_t count, size_t bytes);
/* Frees one block early. */
void bench_free(struct bench_run *run, void *memory);
void bench_fini(struct bench_run *run);

/* splitmix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number
 * Generators, OOPSLA'14. */
static inline uint64_t bench_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
  return x ^ (x >> 31);
}

static inline uint64_t bench_random(uint64_t *state) {
  return bench_mix(*state += UINT64_C(0x9E3779B97F4A7C15));
}

/* Uniform in 0 .. n - 1. */
static inline uint64_t bench_below(uint64_t *state, uint64_t n) {
  return (uint64_t)(((unsigned __int128)bench_random(state) * n) >> 64);
}

/* The numbers 0 to n - 1 in random order. */
void bench_permutation(uint32_t *out, uint64_t n, uint64_t *state);

/* Order matters: a[0] a[1] and a[1] a[0] give different sums. */
uint64_t bench_checksum(const void *data, uint64_t bytes);

enum bench_graph {
  BENCH_KRONECKER, /* Graph500: a few vertices have most of the edges */
  BENCH_UNIFORM,   /* Erdős–Rényi */
};

/* An undirected graph (each edge both ways) of run->size vertices and about
 * size * degree edges; no loops, no double edges, rows sorted. */
void bench_graph_make(struct bench_run *run, enum bench_graph kind,
                      struct graph *out);
/* A vertex that is not alone. */
uint32_t bench_graph_source(const struct graph *g, uint64_t *state);

#endif
