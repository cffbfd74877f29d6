/* SPDX-License-Identifier: Apache-2.0
 *
 * Random graphs in compressed rows. Kronecker graphs by R-MAT (Chakrabarti,
 * Zhan, Faloutsos, SDM'04) with the probabilities of Graph500 (.57 .19 .19
 * .05), vertices renamed at random; uniform graphs by random pairs.
 *
 * Rows are sorted without a sort: the transposition of any row order appends
 * to each row in ascending order, and an undirected graph is its own
 * transposition.
 */
#include "bench.h"

#include <string.h>

struct pair {
  uint32_t u;
  uint32_t v;
};

static struct pair kronecker_edge(unsigned scale, uint64_t *state) {
  const uint64_t a = UINT64_C(37356);       /* .57 of 2^16 */
  const uint64_t ab = UINT64_C(49808);      /* .76 */
  const uint64_t abc = UINT64_C(62259) + 1; /* .95 */
  struct pair p = {0, 0};
  uint64_t bits = 0;
  for (unsigned i = 0; i < scale; i++) {
    if (i % 4 == 0) {
      bits = bench_random(state);
    }
    uint64_t r = bits & 0xFFFF;
    bits >>= 16;
    p.u = p.u << 1 | (r >= ab);
    p.v = p.v << 1 | ((r >= a && r < ab) || r >= abc);
  }
  return p;
}

static struct pair *random_pairs(struct bench_run *run, enum bench_graph kind,
                                 uint64_t count) {
  uint64_t state = run->seed;
  uint32_t n = (uint32_t)run->size;
  struct pair *pairs = bench_alloc(run, count, sizeof *pairs);
  if (kind == BENCH_UNIFORM) {
    for (uint64_t i = 0; i < count; i++) {
      pairs[i].u = (uint32_t)bench_below(&state, n);
      pairs[i].v = (uint32_t)bench_below(&state, n);
    }
    return pairs;
  }
  uint32_t *name = bench_alloc(run, n, sizeof *name);
  bench_permutation(name, n, &state);
  unsigned scale = (unsigned)__builtin_ctzll(run->size);
  for (uint64_t i = 0; i < count; i++) {
    struct pair p = kronecker_edge(scale, &state);
    pairs[i] = (struct pair){name[p.u], name[p.v]};
  }
  bench_free(run, name);
  return pairs;
}

/* Turns counts in row[v + 1] into the first place of each row in row[v]. */
static void prefix_sum(uint64_t *row, uint32_t n) {
  for (uint32_t v = 0; v < n; v++) {
    row[v + 1] += row[v];
  }
}

/* After the rows are filled with row[v]++, puts the first places back. */
static void shift_back(uint64_t *row, uint32_t n) {
  memmove(row + 1, row, n * sizeof *row);
  row[0] = 0;
}

static uint32_t *unsorted_rows(struct bench_run *run, const struct pair *pairs,
                               uint64_t count, uint64_t *row) {
  uint32_t n = (uint32_t)run->size;
  for (uint64_t i = 0; i < count; i++) {
    if (pairs[i].u != pairs[i].v) {
      row[pairs[i].u + 1]++;
      row[pairs[i].v + 1]++;
    }
  }
  prefix_sum(row, n);
  uint32_t *out = bench_alloc(run, row[n], sizeof *out);
  for (uint64_t i = 0; i < count; i++) {
    if (pairs[i].u != pairs[i].v) {
      out[row[pairs[i].u]++] = pairs[i].v;
      out[row[pairs[i].v]++] = pairs[i].u;
    }
  }
  shift_back(row, n);
  return out;
}

/* Equal neighbours are side by side: keeps one of each. */
static void remove_doubles(struct graph *g) {
  uint64_t out = 0;
  uint64_t first = 0;
  for (uint32_t v = 0; v < g->vertices; v++) {
    uint64_t last = g->row[v + 1];
    for (uint64_t e = first; e < last; e++) {
      if (e == first || g->neighbour[e] != g->neighbour[e - 1]) {
        g->neighbour[out++] = g->neighbour[e];
      }
    }
    first = last;
    g->row[v + 1] = out;
  }
  memset(g->neighbour + out, 0,
         (g->edges + KERNEL_PAD - out) * sizeof *g->neighbour);
  g->edges = out;
}

void bench_graph_make(struct bench_run *run, enum bench_graph kind,
                      struct graph *out) {
  uint32_t n = (uint32_t)run->size;
  uint64_t count = run->size * run->degree;
  struct pair *pairs = random_pairs(run, kind, count);
  out->vertices = n;
  out->row = bench_alloc(run, (uint64_t)n + 1, sizeof *out->row);
  uint32_t *unsorted = unsorted_rows(run, pairs, count, out->row);
  bench_free(run, pairs);
  out->edges = out->row[n];
  out->neighbour =
      bench_alloc(run, out->edges + KERNEL_PAD, sizeof *out->neighbour);
  uint64_t *fill = bench_alloc(run, n, sizeof *fill);
  memcpy(fill, out->row, n * sizeof *fill);
  for (uint32_t u = 0; u < n; u++) {
    for (uint64_t e = out->row[u]; e < out->row[u + 1]; e++) {
      out->neighbour[fill[unsorted[e]]++] = u;
    }
  }
  bench_free(run, fill);
  bench_free(run, unsorted);
  remove_doubles(out);
}

uint32_t bench_graph_source(const struct graph *g, uint64_t *state) {
  uint32_t hub = 0;
  for (uint32_t v = 0; v < g->vertices; v++) {
    if (g->row[v + 1] - g->row[v] > g->row[hub + 1] - g->row[hub]) {
      hub = v;
    }
  }
  uint64_t degree = g->row[hub + 1] - g->row[hub];
  /* A neighbour of the hub is in the large component. */
  return degree ? g->neighbour[g->row[hub] + bench_below(state, degree)] : hub;
}
