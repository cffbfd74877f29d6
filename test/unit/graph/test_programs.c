/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs of one's own through cira/graph.h: vertices, edges, and misuse.
 */
#include "test_graph.h"

#include <stdatomic.h>

/* ---- labels: the smallest number spreads until nothing changes ------------
 */

typedef struct {
  uint32_t *label;
  uint32_t *queued; /* the round in which a vertex was activated last */
  uint32_t round;
  uint64_t rounds_max;
} labels_t;

static void lower(labels_t *c, cira_graph_worker_t *w, uint32_t u,
                  uint32_t label) {
  uint32_t old = __atomic_load_n(&c->label[u], __ATOMIC_RELAXED);
  while (label < old) {
    if (__atomic_compare_exchange_n(&c->label[u], &old, label, true,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      if (__atomic_exchange_n(&c->queued[u], c->round, __ATOMIC_RELAXED) !=
          c->round) {
        cira_graph_activate(w, u);
      }
      return;
    }
  }
}

static bool label_push(void *context, cira_graph_worker_t *w,
                       const cira_graph_list_t *l) {
  labels_t *c = context;
  uint32_t mine = __atomic_load_n(&c->label[l->vertex], __ATOMIC_RELAXED);
  assert_null(l->active);
  for (uint64_t i = 0; i < l->count; i++) {
    lower(c, w, l->neighbours[i], mine);
  }
  return true;
}

static bool label_pull(void *context, cira_graph_worker_t *w,
                       const cira_graph_list_t *l) {
  labels_t *c = context;
  for (uint64_t i = 0; i < l->count; i++) {
    uint32_t u = l->neighbours[i];
    if ((l->active[u / 64] >> (u % 64) & 1) != 0) {
      lower(c, w, l->vertex, __atomic_load_n(&c->label[u], __ATOMIC_RELAXED));
    }
  }
  return true;
}

static bool label_round(void *context, uint64_t round, uint64_t active) {
  labels_t *c = context;
  (void)active;
  c->round++;
  return c->rounds_max == 0 || round < c->rounds_max;
}

/* push, pull, or both; the labels are then those of the components. */
static void labels_check(const cira_graph_t *g, uint64_t n, bool push,
                         bool pull, uint32_t threads) {
  labels_t c = {cira_graph_state_alloc(g, n * 4, 0),
                cira_graph_state_alloc(g, n * 4, 0), 1, 0};
  uint32_t *right = cira_graph_state_alloc(g, n * 4, 0);
  cira_graph_program_t p = {.size = sizeof p,
                            .context = &c,
                            .state = c.label,
                            .state_bytes = 4,
                            .push = push ? label_push : NULL,
                            .pull = pull ? label_pull : NULL,
                            .round = label_round};
  cira_graph_run_t run;
  uint64_t rounds = 0;
  cira_graph_run_default(&run);
  run.threads = threads;
  for (uint32_t v = 0; v < n; v++) {
    c.label[v] = v;
  }
  MUST(cira_graph_program_run(g, &p, NULL, 0, &run, &rounds));
  assert_true(rounds > 1);
  MUST(cira_graph_components(g, &run, right));
  assert_memory_equal(c.label, right, n * 4);
  cira_graph_state_free(c.label);
  cira_graph_state_free(c.queued);
  cira_graph_state_free(right);
}

static void test_vertex_program(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  cira_graph_info_t info;
  test_options(&o);
  static const char *const recipes[] = {"uniform:11,2", "grid:40x40",
                                        "kronecker:11,8"};
  for (size_t r = 0; r < CIRA_COUNT(recipes); r++) {
    cira_graph_t *g = test_generate(recipes[r], &o);
    cira_graph_info(g, &info);
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
      labels_check(g, info.vertices, true, false, threads);
      labels_check(g, info.vertices, false, true, threads);
      labels_check(g, info.vertices, true, true, threads);
    }
    cira_graph_destroy(g);
  }
}

/* ---- begin, end, parts of lists ------------------------------------------
 */

typedef struct {
  _Atomic uint64_t edges, ends;
  _Atomic uint64_t weight;
} sums_t;

static bool odd_begin(void *context, cira_graph_worker_t *w, uint32_t v) {
  (void)context;
  assert_true(cira_graph_worker_index(w) < 2);
  return v % 2 == 1;
}

static bool sum_list(void *context, cira_graph_worker_t *w,
                     const cira_graph_list_t *l) {
  sums_t *s = context;
  (void)w;
  assert_true(l->vertex % 2 == 1 && l->count <= l->readable);
  for (uint64_t i = 0; i < l->count; i++) {
    s->weight += (uint64_t)l->weights[i];
  }
  s->edges += l->count;
  return true;
}

static void sum_end(void *context, cira_graph_worker_t *w, uint32_t v) {
  sums_t *s = context;
  (void)w;
  (void)v;
  s->ends++;
}

static void test_lists(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  cira_graph_info_t info;
  cira_graph_run_t run;
  test_options(&o);
  cira_graph_run_default(&run);
  run.threads = 2;
  cira_graph_t *g = test_generate("kronecker:10,40", &o); /* long lists */
  cira_graph_info(g, &info);
  uint64_t edges = 0, weight = 0, rounds;
  for (uint32_t v = 1; v < info.vertices; v += 2) {
    uint64_t n;
    const int32_t *w;
    (void)cira_graph_out(g, v, &n, &w);
    edges += n;
    for (uint64_t i = 0; i < n; i++) {
      weight += (uint64_t)w[i];
    }
  }
  for (int pull = 0; pull < 2; pull++) {
    sums_t s = {0};
    cira_graph_program_t p = {.size = sizeof p,
                              .context = &s,
                              .begin = odd_begin,
                              .push = pull ? NULL : sum_list,
                              .pull = pull ? sum_list : NULL,
                              .end = sum_end};
    MUST(cira_graph_program_run(g, &p, NULL, 0, &run, &rounds));
    assert_int_equal(rounds, 1);
    assert_int_equal(s.edges, edges);
    assert_int_equal(s.weight, weight);
    assert_int_equal(s.ends, info.vertices / 2);
  }
  cira_graph_destroy(g);
}

/* ---- edges ---------------------------------------------------------------
 */

typedef struct {
  uint32_t *in_degree;
  _Atomic uint64_t edges;
} degrees_t;

static void count_edges(void *context, cira_graph_worker_t *w, uint64_t count,
                        const uint32_t *from, const uint32_t *to,
                        const int32_t *weights) {
  degrees_t *d = context;
  (void)w;
  assert_null(weights);
  for (uint64_t i = 0; i < count; i++) {
    assert_true(from[i] < 2048);
    __atomic_fetch_add(&d->in_degree[to[i]], 1, __ATOMIC_RELAXED);
  }
  d->edges += count;
}

static void test_edge_program(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  cira_graph_edges_t *e;
  cira_graph_t *g;
  cira_graph_run_t run;
  cira_graph_options_default(&o);
  o.place = test_place;
  o.in_edges = true;
  MUST(cira_graph_generate("kronecker:11,30", &o, &e));
  MUST(cira_graph_build(e, &o, &g));
  degrees_t d = {.in_degree = cira_graph_state_alloc(g, 2048 * 4, 0)};
  cira_graph_edge_program_t p = {sizeof p, &d, count_edges};
  cira_graph_run_default(&run);
  run.threads = 3;
  MUST(cira_graph_edges_run(e, &p, &run));
  assert_int_equal(d.edges, cira_graph_edges_count(e));
  for (uint32_t v = 0; v < 2048; v++) {
    uint64_t n;
    (void)cira_graph_in(g, v, &n, NULL);
    assert_int_equal(n, d.in_degree[v]);
  }
  cira_graph_state_free(d.in_degree);
  cira_graph_edges_destroy(e);
  cira_graph_destroy(g);
}

/* ---- misuse --------------------------------------------------------------
 */

static bool activate_all(void *context, cira_graph_worker_t *w,
                         const cira_graph_list_t *l) {
  (void)context;
  for (uint64_t i = 0; i < l->count; i++) {
    cira_graph_activate(w, l->neighbours[i]);
  }
  return true;
}

static void test_misuse(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  cira_graph_options_default(&o);
  o.place = test_place;
  cira_graph_t *g = test_generate("uniform:8,8", &o);
  cira_graph_program_t p = {.size = sizeof p, .push = activate_all};
  REFUSED(cira_graph_program_run(g, &p, NULL, 0, NULL, NULL), CIRA_E_RANGE,
          "activates each once");
  REFUSED(cira_graph_program_run(g, &p, &(uint32_t){256}, 1, NULL, NULL),
          CIRA_E_RANGE, "vertex 256");
  p.state = &p;
  REFUSED(cira_graph_program_run(g, &p, NULL, 0, NULL, NULL), CIRA_E_INVALID,
          "state_bytes");
  p = (cira_graph_program_t){.size = sizeof p, .pull = activate_all};
  REFUSED(cira_graph_program_run(g, &p, NULL, 0, NULL, NULL), CIRA_E_INVALID,
          "in_edges");
  p.pull = NULL;
  REFUSED(cira_graph_program_run(g, &p, NULL, 0, NULL, NULL), CIRA_E_INVALID,
          "neither push nor pull");
  cira_graph_destroy(g);
  cira_graph_destroy(NULL);
  cira_graph_edges_destroy(NULL);
  cira_graph_state_free(NULL);
}

const struct CMUnitTest test_programs[] = {
    cmocka_unit_test(test_vertex_program),
    cmocka_unit_test(test_lists),
    cmocka_unit_test(test_edge_program),
    cmocka_unit_test(test_misuse),
};
const size_t test_program_count = CIRA_COUNT(test_programs);
