/* SPDX-License-Identifier: Apache-2.0
 *
 * Generators. Each edge is a function of the seed and its own number alone, so
 * a recipe and a seed give the same graph everywhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

#define SCALE_MAX 31u
#define BLOCK 4096u

typedef struct {
  enum { KRONECKER, UNIFORM, GRID } kind;
  uint64_t a, b; /* scale, degree; or width, height */
  uint64_t vertices, edges;
} recipe_t;

static bool pair(const char *text, char between, uint64_t *a, uint64_t *b) {
  char *end;
  if (*text < '0' || *text > '9') {
    return false;
  }
  errno = 0;
  *a = strtoull(text, &end, 10);
  if (errno != 0 || *end != between || end[1] < '0' || end[1] > '9') {
    return false;
  }
  *b = strtoull(end + 1, &end, 10);
  return errno == 0 && *end == 0;
}

static cira_status_t recipe_parse(const char *text, recipe_t *r) {
  bool ok = false;
  if (strncmp(text, "kronecker:", 10) == 0) {
    r->kind = KRONECKER;
    ok = pair(text + 10, ',', &r->a, &r->b);
  } else if (strncmp(text, "uniform:", 8) == 0) {
    r->kind = UNIFORM;
    ok = pair(text + 8, ',', &r->a, &r->b);
  } else if (strncmp(text, "grid:", 5) == 0) {
    r->kind = GRID;
    ok = pair(text + 5, 'x', &r->a, &r->b);
  }
  if (!ok) {
    return cira__fail(CIRA_E_INVALID,
                      "'%s' is no recipe for a graph; use "
                      "kronecker:SCALE,DEGREE, uniform:SCALE,DEGREE or "
                      "grid:WIDTHxHEIGHT",
                      text);
  }
  if (r->kind == GRID) {
    ok = r->a > 0 && r->b > 0 && cira__mul_ok(r->a, r->b, &r->vertices) &&
         r->vertices <= CIRA_GRAPH_VERTICES_MAX;
    r->edges = ok ? (r->a - 1) * r->b + r->a * (r->b - 1) : 0;
  } else {
    ok = r->a <= SCALE_MAX && r->b > 0 && r->b <= 65536;
    r->vertices = ok ? UINT64_C(1) << r->a : 0;
    r->edges = r->vertices * r->b;
  }
  return ok ? CIRA_OK
            : cira__fail(CIRA_E_RANGE,
                         "'%s' is too large or empty; scales are 0 to %u, "
                         "degrees 1 to 65536, grids have 1 to %u vertices",
                         text, SCALE_MAX, CIRA_GRAPH_VERTICES_MAX);
}

/* One to one on numbers of `bits` bits: hides what bits an edge was made of. */
static uint32_t number_mix(uint64_t x, uint64_t bits, uint64_t seed) {
  uint64_t mask = (UINT64_C(1) << bits) - 1;
  uint64_t half = bits / 2 + 1;
  x = (x * (cira__mix64(seed) | 1)) & mask;
  x ^= x >> half;
  x = (x * (cira__mix64(seed + 1) | 1) + cira__mix64(seed + 2)) & mask;
  x ^= x >> half;
  return (uint32_t)x;
}

/* Quadrants of Graph500: .57 .19 .19 .05, as 32-bit fractions. */
#define QUADRANT_A UINT64_C(2448131359)   /* .57 */
#define QUADRANT_AB UINT64_C(3264175145)  /* .76 */
#define QUADRANT_ABC UINT64_C(4080218931) /* .95 */

static void kronecker_edge(const recipe_t *r, uint64_t seed, uint64_t i,
                           uint32_t *from, uint32_t *to) {
  uint64_t u = 0, v = 0;
  uint64_t state = cira__mix64(seed ^ cira__mix64(i));
  for (uint64_t level = 0; level < r->a; level++) {
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = cira__mix64(state) >> 32;
    uint64_t row = x >= QUADRANT_AB,
             column = (x >= QUADRANT_A && x < QUADRANT_AB) || x >= QUADRANT_ABC;
    u = u << 1 | row;
    v = v << 1 | column;
  }
  *from = number_mix(u, r->a, seed);
  *to = number_mix(v, r->a, seed);
}

static void uniform_edge(const recipe_t *r, uint64_t seed, uint64_t i,
                         uint32_t *from, uint32_t *to) {
  uint64_t x = cira__mix64(cira__mix64(seed) ^ i);
  uint64_t mask = r->vertices - 1;
  *from = (uint32_t)(x & mask);
  *to = (uint32_t)(x >> 32 & mask);
}

/* Row by row: the edges to the right of a row, then those downwards. */
static void grid_edge(const recipe_t *r, uint64_t i, uint32_t *from,
                      uint32_t *to) {
  uint64_t per_row = 2 * r->a - 1;
  uint64_t y = i / per_row, x = i % per_row;
  bool right = y + 1 == r->b || x < r->a - 1;
  x -= right ? 0 : r->a - 1;
  uint64_t u = y * r->a + x;
  *from = (uint32_t)u;
  *to = (uint32_t)(right ? u + 1 : u + r->a);
}

static void edge(const recipe_t *r, uint64_t seed, uint64_t i, uint32_t *from,
                 uint32_t *to) {
  switch (r->kind) {
  case KRONECKER:
    kronecker_edge(r, seed, i, from, to);
    break;
  case UNIFORM:
    uniform_edge(r, seed, i, from, to);
    break;
  default:
    grid_edge(r, i, from, to);
  }
}

cira_status_t cira_graph_generate(const char *recipe,
                                  const cira_graph_options_t *opt,
                                  cira_graph_edges_t **out) {
  cira_graph_options_t o;
  recipe_t r = {0};
  cira_graph_edges_t *e = NULL;
  cira__options_fill(opt, &o);
  cira_status_t status = recipe_parse(recipe, &r);
  if (status == CIRA_OK) {
    status = cira_graph_edges_create(o.place, r.vertices, false, &e);
  }
  if (status == CIRA_OK) {
    status = cira__edges_reserve(e, r.edges);
  }
  for (uint64_t i = 0; status == CIRA_OK && i < r.edges; i += BLOCK) {
    uint32_t from[BLOCK], to[BLOCK];
    uint64_t n = cira__min_u64(BLOCK, r.edges - i);
    for (uint64_t k = 0; k < n; k++) {
      edge(&r, o.seed, i + k, &from[k], &to[k]);
    }
    status = cira_graph_edges_append(e, n, from, to, NULL);
    if (i % (BLOCK * 256) == 0) {
      cira__progress(&o, "generating", i, r.edges);
    }
  }
  if (status != CIRA_OK) {
    cira_graph_edges_destroy(e);
    return status;
  }
  *out = e;
  return CIRA_OK;
}
