/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation or thread N fails, for every N: each call says so, its outputs are
 * untouched, nothing leaks (the address sanitizer looks), and what could be
 * made is whole: lists of edges from pieces and from files, graphs built from
 * them in several ways, runs over them.
 */
#include "failing.h"
#include "test_graph.h"

#include <stdio.h>
#include <unistd.h>

static char path[128];

static cira_status_t make(const cira_graph_options_t *o, cira_graph_t **out) {
  cira_graph_edges_t *e;
  cira_status_t status = cira_graph_generate("uniform:6,40", o, &e);
  if (status == CIRA_OK) {
    status = cira_graph_build(e, o, out);
    cira_graph_edges_destroy(e);
  }
  return status;
}

static cira_status_t work(const cira_graph_options_t *o) {
  cira_graph_t *g, *copy = NULL;
  cira_graph_run_t run;
  uint32_t walk[64], source = 0;
  float rank[64];
  double between[64];
  uint64_t triangles;
  cira_graph_run_default(&run);
  run.threads = 2;
  cira_status_t status = make(o, &g);
  if (status != CIRA_OK) {
    return status;
  }
  if ((status = cira_graph_write(g, path, CIRA_GRAPH_FORMAT_AUTO)) == CIRA_OK &&
      (status = cira_graph_read(path, o, &copy)) == CIRA_OK &&
      (status = cira_graph_bfs(g, 0, &run, walk)) == CIRA_OK &&
      (status = cira_graph_sssp(g, 0, 0, &run, walk)) == CIRA_OK &&
      (status = cira_graph_components(g, &run, walk)) == CIRA_OK &&
      (status = cira_graph_pagerank(g, 0, 0, 5, &run, rank, NULL)) == CIRA_OK &&
      (status = cira_graph_betweenness(g, &source, 1, &run, between)) ==
          CIRA_OK) {
    status = cira_graph_triangles(g, &run, &triangles);
  }
  cira_graph_destroy(copy);
  cira_graph_destroy(g);
  return status;
}

static cira_graph_t *made;   /* by the job, if it makes a graph */
static cira_graph_t *wanted; /* the same, made without failures */

static void made_check(void) {
  if (made != NULL && wanted == NULL) {
    wanted = made; /* the first one */
  } else if (made != NULL) {
    test_graph_equal(made, wanted);
    cira_graph_destroy(made);
  }
  made = NULL;
}

/* Works with call N failing, for every N, until none is left. */
static void each(cira_status_t (*job)(const cira_graph_options_t *),
                 const cira_graph_options_t *o, int64_t least) {
  bool enough = false;
  int64_t n = 0;
  MUST(job(o));
  made_check();
  for (; !enough; n++) {
    assert_in_range(n, 0, 2000);
    failing_begin(FAILING_MEMORY | FAILING_THREADS, n);
    cira_status_t status = job(o);
    enough = !failing_end();
    if (status == CIRA_E_SYSTEM) {
      assert_non_null(strstr(cira_status_detail(), "cannot be started"));
    } else if (status != CIRA_OK) { /* OK: a hint that is not taken, or none */
      assert_int_equal(status, CIRA_E_NOMEM);
      assert_non_null(strstr(cira_status_detail(), "no memory"));
    }
    assert_true(status == CIRA_OK || !enough);
    made_check();
  }
  assert_true(n > least);
  cira_graph_destroy(wanted);
  wanted = NULL;
}

static void test_no_memory(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  if (test_place != CIRA_GRAPH_LOCAL) {
    return; /* the space itself is tested elsewhere */
  }
  for (int text = 0; text < 2; text++) {
    snprintf(path, sizeof path, "%s/memory.%s", test_folder,
             text ? "wel" : "cgr");
    each(work, &o, 30);
    unlink(path);
  }
}

/* ---- building -------------------------------------------------------------
 */

/* A list in pieces: what was refused is not in it, what was appended stays. */
static cira_status_t pieces(const cira_graph_options_t *o,
                            cira_graph_edges_t **out) {
  enum { PIECE = 700, PIECES = 5 };
  static uint32_t from[PIECE], to[PIECE];
  static int32_t weights[PIECE];
  cira_graph_edges_t *const none = (void *)&from;
  cira_graph_edges_t *e = none;
  cira_status_t status = cira_graph_edges_create(o->place, 0, true, &e);
  if (status != CIRA_OK) {
    assert_ptr_equal(e, none);
    return status;
  }
  for (uint32_t k = 0; k < PIECES && status == CIRA_OK; k++) {
    for (uint32_t i = 0; i < PIECE; i++) {
      from[i] = (i * 7 + k) % 90;
      to[i] = i * i % 90;
      weights[i] = (int32_t)(i + k);
    }
    status = cira_graph_edges_append(e, PIECE, from, to, weights);
    uint64_t count = (k + (status == CIRA_OK)) * (uint64_t)PIECE;
    assert_int_equal(cira_graph_edges_count(e), count);
  }
  if (status != CIRA_OK) {
    cira_graph_edges_destroy(e);
    return status;
  }
  *out = e;
  return CIRA_OK;
}

static cira_status_t build(const cira_graph_options_t *o) {
  cira_graph_edges_t *e;
  cira_graph_t *const none = (void *)&e;
  cira_graph_t *g = none;
  cira_status_t status = pieces(o, &e);
  if (status != CIRA_OK) {
    return status;
  }
  status = cira_graph_build(e, o, &g);
  cira_graph_edges_destroy(e);
  if (status != CIRA_OK) {
    assert_ptr_equal(g, none);
    return status;
  }
  made = g;
  return CIRA_OK;
}

/* Each format, with its numbers as they are and made dense. */
static cira_status_t read_edges(const cira_graph_options_t *o) {
  cira_graph_edges_t *const none = (void *)&path;
  cira_graph_edges_t *e = none;
  cira_status_t status = cira_graph_edges_read(path, o, &e);
  if (status != CIRA_OK) {
    assert_ptr_equal(e, none);
    return status;
  }
  assert_true(cira_graph_edges_count(e) > 100);
  cira_graph_edges_destroy(e);
  return CIRA_OK;
}

static void test_building(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  if (test_place != CIRA_GRAPH_LOCAL) {
    return;
  }
  for (uint32_t way = 0; way < 8; way++) {
    o.symmetrise = (way & 1) != 0;
    o.deduplicate = o.drop_self_loops = (way & 2) != 0;
    o.in_edges = (way & 4) != 0;
    o.weights = way % 3 == 0 ? CIRA_GRAPH_WEIGHTS_DROP : 0;
    each(build, &o, 8);
  }
  static const struct {
    const char *suffix;
    cira_graph_format_t format;
  } file[] = {{"wel", CIRA_GRAPH_FORMAT_EDGES},
              {"mtx", CIRA_GRAPH_FORMAT_MATRIX_MARKET},
              {"gr", CIRA_GRAPH_FORMAT_DIMACS}};
  test_options(&o);
  cira_graph_t *g = test_generate("uniform:7,30", &o);
  cira_graph_options_default(&o);
  for (size_t i = 0; i < CIRA_COUNT(file); i++) {
    snprintf(path, sizeof path, "%s/building.%s", test_folder, file[i].suffix);
    MUST(cira_graph_write(g, path, file[i].format));
    for (int compact = 0; compact < 2; compact++) {
      o.compact = compact != 0;
      each(read_edges, &o, 3);
    }
    unlink(path);
  }
  cira_graph_destroy(g);
}

const struct CMUnitTest test_memory[] = {cmocka_unit_test(test_no_memory),
                                         cmocka_unit_test(test_building)};
const size_t test_memory_count = CIRA_COUNT(test_memory);
