/* SPDX-License-Identifier: Apache-2.0
 *
 * Building, and each algorithm against serial code on each generator, with one
 * and several threads, where the argument says: none (local memory), host
 * (far, in reach), fault (far, behind requests).
 */
#include "test_graph.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/runtime.h"
#include "cira-graph/verify.h"

cira_graph_place_t test_place;
char test_folder[64];

static const char *const recipes[] = {"kronecker:12,12", "uniform:12,8",
                                      "grid:97x53", "uniform:10,1"};
static const uint32_t thread_counts[] = {1, 3};

static struct sigaction fault_handler; /* the space's */

void test_begin(void **state) {
  (void)state;
  if (test_place == CIRA_GRAPH_FAR) { /* cmocka has put its own over it */
    assert_int_equal(sigaction(SIGBUS, &fault_handler, NULL), 0);
  }
}

void test_options(cira_graph_options_t *o) {
  cira_graph_options_default(o);
  o->place = test_place;
  o->symmetrise = o->deduplicate = o->drop_self_loops = true;
  o->weights = CIRA_GRAPH_WEIGHTS_RANDOM;
  o->threads = 2;
}

cira_graph_t *test_generate(const char *recipe, const cira_graph_options_t *o) {
  cira_graph_edges_t *edges;
  cira_graph_t *g;
  MUST(cira_graph_generate(recipe, o, &edges));
  MUST(cira_graph_build(edges, o, &g));
  cira_graph_edges_destroy(edges);
  return g;
}

cira_graph_t *test_build(uint64_t vertices, uint64_t count,
                         const uint32_t *from, const uint32_t *to,
                         const int32_t *weights,
                         const cira_graph_options_t *o) {
  cira_graph_edges_t *edges;
  cira_graph_t *g;
  MUST(cira_graph_edges_create(test_place, vertices, weights != NULL, &edges));
  MUST(cira_graph_edges_append(edges, count, from, to, weights));
  MUST(cira_graph_build(edges, o, &g));
  cira_graph_edges_destroy(edges);
  return g;
}

static uint64_t vertices_of(const cira_graph_t *g) {
  cira_graph_info_t info;
  cira_graph_info(g, &info);
  return info.vertices;
}

void test_graph_equal(const cira_graph_t *a, const cira_graph_t *b) {
  uint64_t n = vertices_of(a);
  assert_int_equal(n, vertices_of(b));
  for (uint32_t v = 0; v < n; v++) {
    uint64_t na, nb;
    const int32_t *wa, *wb;
    const uint32_t *la = cira_graph_out(a, v, &na, &wa);
    const uint32_t *lb = cira_graph_out(b, v, &nb, &wb);
    assert_int_equal(na, nb);
    assert_memory_equal(la, lb, na * 4);
    assert_int_equal(wa == NULL, wb == NULL);
    if (wa != NULL) {
      assert_memory_equal(wa, wb, na * 4);
    }
  }
}

/* ---- building ------------------------------------------------------------
 */

static void test_build_options(void **state) {
  test_begin(state);
  static const uint32_t from[] = {0, 0, 0, 2, 1, 1}, to[] = {1, 1, 0, 0, 2, 2};
  static const int32_t weights[] = {7, 3, 9, 5, -1, 4};
  cira_graph_options_t o;
  cira_graph_info_t info;
  uint64_t n;
  const int32_t *w;
  cira_graph_options_default(&o);
  o.place = test_place;
  cira_graph_t *g = test_build(4, 6, from, to, weights, &o);
  cira_graph_info(g, &info);
  assert_true(info.vertices == 4 && info.edges == 6 && info.degree_max == 3);
  assert_true(!info.symmetric && !info.simple && !info.loop_free);
  assert_true(info.weight_min == -1 && info.weight_max == 9 && !info.in_edges);
  const uint32_t *list = cira_graph_out(g, 0, &n, &w);
  assert_true(n == 3 && list[0] == 0 && list[1] == 1 && list[2] == 1);
  assert_true(w[0] == 9 && w[1] == 3 && w[2] == 7);
  assert_null(cira_graph_in(g, 0, &n, &w));
  assert_true(n == 0 && w == NULL);
  cira_graph_destroy(g);

  o.deduplicate = o.drop_self_loops = o.in_edges = true;
  g = test_build(4, 6, from, to, weights, &o);
  cira_graph_info(g, &info);
  assert_true(info.edges == 3 && info.simple && info.loop_free &&
              info.in_edges);
  list = cira_graph_in(g, 2, &n, &w);
  assert_true(n == 1 && list[0] == 1 && w[0] == -1);
  cira_graph_destroy(g);

  o.symmetrise = true;
  o.weights = CIRA_GRAPH_WEIGHTS_DROP;
  g = test_build(4, 6, from, to, weights, &o);
  cira_graph_info(g, &info);
  assert_true(info.edges == 6 && info.symmetric && !info.weighted);
  list = cira_graph_out(g, 1, &n, &w);
  assert_true(n == 2 && list[0] == 0 && list[1] == 2 && w == NULL);
  cira_graph_out(g, 3, &n, NULL);
  assert_int_equal(n, 0);
  cira_graph_destroy(g);
}

/* The reverse of each edge is there with the same weight; lists rise. */
static void test_build_symmetric(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  for (size_t r = 0; r < CIRA_COUNT(recipes); r++) {
    cira_graph_t *g = test_generate(recipes[r], &o);
    uint64_t n = vertices_of(g), count, other;
    const int32_t *w, *x;
    for (uint32_t v = 0; v < n; v++) {
      const uint32_t *list = cira_graph_out(g, v, &count, &w);
      for (uint64_t i = 0; i < count; i++) {
        assert_true(list[i] != v && (i == 0 || list[i - 1] < list[i]));
        const uint32_t *back = cira_graph_out(g, list[i], &other, &x);
        uint64_t k = 0;
        while (k < other && back[k] != v) {
          k++;
        }
        assert_true(k < other && x[k] == w[i] && w[i] >= 1 && w[i] <= 255);
      }
    }
    cira_graph_destroy(g);
  }
}

static void test_build_refused(void **state) {
  test_begin(state);
  cira_graph_edges_t *e;
  cira_graph_t *g;
  uint32_t a[] = {0, 5}, b[] = {1, 2};
  cira_graph_options_t o;
  test_options(&o);
  REFUSED(cira_graph_edges_create(test_place, UINT64_C(1) << 33, false, &e),
          CIRA_E_RANGE, "at most 4294967294");
  MUST(cira_graph_edges_create(test_place, 5, true, &e));
  REFUSED(cira_graph_edges_append(e, 2, a, b, (int32_t[]){1, 2}), CIRA_E_RANGE,
          "vertex 5; vertices are 0 to 4");
  REFUSED(cira_graph_edges_append(e, 1, a, b, NULL), CIRA_E_INVALID, "weights");
  assert_int_equal(cira_graph_edges_count(e), 0);
  cira_graph_edges_destroy(e);
  MUST(cira_graph_edges_create(test_place, 0, false, &e));
  REFUSED(cira_graph_edges_append(e, 1, (uint32_t[]){UINT32_MAX}, b, NULL),
          CIRA_E_RANGE, "4294967293");
  REFUSED(cira_graph_build(e, &o, &g), CIRA_E_INVALID, "without vertices");
  cira_graph_edges_destroy(e);
  static const char *const wrong[] = {
      "",       "kronecker:", "kronecker:4", "uniform:3,2x",
      "grid:0", "ring:5",     "grid:-1x5",   "uniform:+3,4"};
  for (size_t i = 0; i < CIRA_COUNT(wrong); i++) {
    REFUSED(cira_graph_generate(wrong[i], &o, &e), CIRA_E_INVALID, "no recipe");
  }
  static const char *const large[] = {"kronecker:32,1", "uniform:5,0",
                                      "grid:0x5", "grid:100000x100000",
                                      "uniform:5,99999999999999999"};
  for (size_t i = 0; i < CIRA_COUNT(large); i++) {
    REFUSED(cira_graph_generate(large[i], &o, &e), CIRA_E_RANGE, "too large");
  }
  if (test_place == CIRA_GRAPH_LOCAL) {
    o.place = CIRA_GRAPH_FAR;
    REFUSED(cira_graph_generate("grid:3x3", &o, &e), CIRA_E_UNSUPPORTED,
            "no far memory");
  }
}

/* ---- algorithms ----------------------------------------------------------
 */

static void *state_of(const cira_graph_t *g, uint64_t bytes, uint32_t flags) {
  void *p = cira_graph_state_alloc(g, vertices_of(g) * bytes, flags);
  assert_non_null(p);
  return p;
}

#define PROVED(x)                                                              \
  do {                                                                         \
    verify_why_t why;                                                          \
    bool right_ = (x);                                                         \
    if (!right_) {                                                             \
      fail_msg("%s", why.text);                                                \
    }                                                                          \
  } while (0)

static void walks(const cira_graph_t *g, const cira_graph_run_t *run) {
  uint32_t *result = state_of(g, 4, run->flags);
  uint32_t n = (uint32_t)vertices_of(g);
  for (uint32_t source = 0; source < n; source += n / 3) {
    MUST(cira_graph_bfs(g, source, run, result));
    PROVED(verify_bfs(g, source, result, &why));
    MUST(cira_graph_sssp(g, source, source == 0 ? 0 : source, run, result));
    PROVED(verify_sssp(g, source, result, &why));
  }
  MUST(cira_graph_components(g, run, result));
  PROVED(verify_components(g, result, &why));
  cira_graph_state_free(result);
}

static void scores(const cira_graph_t *g, const cira_graph_run_t *run) {
  float *rank = state_of(g, 4, run->flags);
  double *between = state_of(g, 8, run->flags);
  uint32_t rounds = 0, n = (uint32_t)vertices_of(g);
  uint32_t sources[] = {0, n / 2, n - 1, 0};
  MUST(cira_graph_pagerank(g, 0, 1e-6, 40, run, rank, &rounds));
  assert_true(rounds > 1 && rounds <= 40);
  PROVED(verify_pagerank(g, 0.85, rounds, rank, &why));
  MUST(cira_graph_betweenness(g, sources, 4, run, between));
  PROVED(verify_betweenness(g, sources, 4, between, &why));
  cira_graph_state_free(rank);
  cira_graph_state_free(between);
}

static void all_runs(const cira_graph_t *g,
                     void (*what)(const cira_graph_t *g,
                                  const cira_graph_run_t *run)) {
  for (size_t t = 0; t < CIRA_COUNT(thread_counts); t++) {
    cira_graph_run_t run;
    cira_graph_run_default(&run);
    run.threads = thread_counts[t];
    what(g, &run);
    run.look_ahead = t == 0 ? 1 : 32;
    run.flags = CIRA_GRAPH_F_PLAIN;
    what(g, &run);
  }
}

static void test_walks(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  for (size_t r = 0; r < CIRA_COUNT(recipes); r++) {
    cira_graph_t *g = test_generate(recipes[r], &o);
    all_runs(g, walks);
    cira_graph_destroy(g);
  }
}

static void test_scores(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  for (size_t r = 0; r < CIRA_COUNT(recipes); r++) {
    cira_graph_t *g = test_generate(recipes[r], &o);
    all_runs(g, scores);
    cira_graph_destroy(g);
  }
}

/* Directed, with parallel edges and self loops. */
static void test_directed(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  cira_graph_options_default(&o);
  o.place = test_place;
  o.weights = CIRA_GRAPH_WEIGHTS_RANDOM;
  o.in_edges = true;
  for (size_t r = 0; r < CIRA_COUNT(recipes); r++) {
    cira_graph_t *g = test_generate(recipes[r], &o);
    all_runs(g, walks);
    all_runs(g, scores);
    cira_graph_destroy(g);
  }
}

static void triangles(const cira_graph_t *g, const cira_graph_run_t *run) {
  uint64_t found = UINT64_MAX;
  MUST(cira_graph_triangles(g, run, &found));
  PROVED(verify_triangles(g, found, &why));
}

static void test_triangles(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  o.weights = CIRA_GRAPH_WEIGHTS_DROP;
  for (size_t r = 0; r < CIRA_COUNT(recipes); r++) {
    cira_graph_t *g = test_generate(recipes[r], &o);
    all_runs(g, triangles);
    cira_graph_destroy(g);
  }
  static const uint32_t from[] = {0, 0, 0, 1, 1, 2}, to[] = {1, 2, 3, 2, 3, 3};
  cira_graph_t *g = test_build(4, 6, from, to, NULL, &o);
  uint64_t found;
  MUST(cira_graph_triangles(g, NULL, &found));
  assert_int_equal(found, 4);
  cira_graph_destroy(g);
}

static void test_small(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  cira_graph_t *g = test_generate("grid:1x1", &o); /* no edge at all */
  all_runs(g, triangles);
  uint32_t one = 7;
  float score = 7;
  double between = 7;
  MUST(cira_graph_bfs(g, 0, NULL, &one));
  assert_int_equal(one, 0);
  MUST(cira_graph_sssp(g, 0, 0, NULL, &one));
  assert_int_equal(one, 0);
  MUST(cira_graph_components(g, NULL, &one));
  assert_int_equal(one, 0);
  MUST(cira_graph_pagerank(g, 0, 0, 5, NULL, &score, NULL));
  assert_true(score > 0.999f && score < 1.001f);
  MUST(cira_graph_betweenness(g, &(uint32_t){0}, 1, NULL, &between));
  assert_true(between == 0);
  cira_graph_destroy(g);
}

static void test_refused(void **state) {
  test_begin(state);
  static const uint32_t from[] = {0, 1}, to[] = {1, 2};
  static const int32_t negative[] = {1, -2}, heavy[] = {INT32_MAX, INT32_MAX};
  cira_graph_options_t o;
  uint32_t result[4];
  float score[4];
  double between[4];
  uint64_t found;
  cira_graph_options_default(&o);
  o.place = test_place;
  cira_graph_t *g = test_build(3, 2, from, to, negative, &o);
  REFUSED(cira_graph_bfs(g, 3, NULL, result), CIRA_E_RANGE,
          "source 3: the vertices are 0 to 2");
  REFUSED(cira_graph_sssp(g, 9, 0, NULL, result), CIRA_E_RANGE, "source 9");
  REFUSED(cira_graph_sssp(g, 0, 0, NULL, result), CIRA_E_INVALID, "weight -2");
  REFUSED(cira_graph_betweenness(g, &(uint32_t){5}, 1, NULL, between),
          CIRA_E_RANGE, "source 5");
  REFUSED(cira_graph_pagerank(g, 0, 0, 5, NULL, score, NULL), CIRA_E_INVALID,
          "in_edges");
  REFUSED(cira_graph_pagerank(g, 1, 0, 5, NULL, score, NULL), CIRA_E_INVALID,
          "between 0 and 1");
  REFUSED(cira_graph_triangles(g, NULL, &found), CIRA_E_INVALID, "symmetrise");
  cira_graph_destroy(g);

  /* 2 * (2^31 - 1) is the largest distance there is. */
  g = test_build(3, 2, from, to, heavy, &o);
  MUST(cira_graph_sssp(g, 0, 0, NULL, result));
  assert_true(result[2] == 2u * INT32_MAX);
  cira_graph_destroy(g);
  static const uint32_t from3[] = {0, 1, 2}, to3[] = {1, 2, 3};
  static const int32_t heavy3[] = {INT32_MAX, INT32_MAX, 1};
  g = test_build(4, 3, from3, to3, heavy3, &o);
  REFUSED(cira_graph_sssp(g, 0, 0, NULL, result), CIRA_E_RANGE,
          "distance of vertex 3");
  cira_graph_destroy(g);
}

/* ---- main ----------------------------------------------------------------
 */

static bool place_start(const char *name) {
  char why[256];
  cira_abi_process_t p;
  cira_abi_process_default(&p);
  p.local_bytes = 600u << 10;
  p.range_bytes = UINT64_C(1) << 32;
  if (strcmp(name, "none") == 0) {
    return true;
  }
  if (strcmp(name, "host") != 0 && strcmp(name, "fault") != 0) {
    fprintf(stderr, "place %s: use none, host or fault\n", name);
    exit(2);
  }
  if (cira_space_probe(CIRA_SPACE_SIGBUS, why, sizeof why) != CIRA_OK) {
    return false;
  }
  p.far_url = strcmp(name, "host") == 0 ? "host:" : "fault(host:;seed=1)";
  test_place = CIRA_GRAPH_FAR;
  if (cira_abi_process_start(&p) != CIRA_OK) {
    fprintf(stderr, "%s: %s\n", p.far_url, cira_status_detail());
    exit(1);
  }
  return sigaction(SIGBUS, NULL, &fault_handler) == 0;
}

int main(int argc, char **argv) {
  static const struct CMUnitTest own[] = {
      cmocka_unit_test(test_build_options),
      cmocka_unit_test(test_build_symmetric),
      cmocka_unit_test(test_build_refused),
      cmocka_unit_test(test_walks),
      cmocka_unit_test(test_scores),
      cmocka_unit_test(test_directed),
      cmocka_unit_test(test_triangles),
      cmocka_unit_test(test_small),
      cmocka_unit_test(test_refused),
  };
  static struct CMUnitTest all[64];
  if (!place_start(argc > 1 ? argv[1] : "none")) {
    return 77;
  }
  size_t n = CIRA_COUNT(own);
  memcpy(all, own, sizeof own);
  memcpy(all + n, test_files, test_file_count * sizeof *all);
  n += test_file_count;
  memcpy(all + n, test_programs, test_program_count * sizeof *all);
  n += test_program_count;
  memcpy(all + n, test_memory, test_memory_count * sizeof *all);
  n += test_memory_count;
  snprintf(test_folder, sizeof test_folder, "/tmp/cira-graph-XXXXXX");
  if (mkdtemp(test_folder) == NULL) {
    perror(test_folder);
    return 1;
  }
  int failed = _cmocka_run_group_tests("graph", all, n, NULL, NULL);
  rmdir(test_folder);
  if (test_place == CIRA_GRAPH_FAR) {
    cira_abi_process_stop();
  }
  return failed != 0;
}
