/* SPDX-License-Identifier: Apache-2.0
 *
 * The N-th allocation fails, for every N: each call says that there is no
 * memory, and nothing leaks (the address sanitizer looks). The linker puts
 * these functions in front of the C library's, for our own code.
 */
#include "test_graph.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic int64_t left = -1; /* allocations until one fails; < 0: never */

static bool fails(void) {
  return atomic_load(&left) >= 0 && atomic_fetch_sub(&left, 1) == 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

void *__wrap_malloc(size_t bytes) {
  return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
  return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *p, size_t bytes) {
  return fails() ? NULL : __real_realloc(p, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes) {
  return fails() ? NULL : __real_aligned_alloc(align, bytes);
}

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
    cira_status_t status = CIRA_E_NOMEM;
    int64_t n = 0;
    for (; status != CIRA_OK; n++) {
      atomic_store(&left, n);
      status = work(&o);
      atomic_store(&left, -1);
      if (status != CIRA_OK) {
        assert_int_equal(status, CIRA_E_NOMEM);
        assert_non_null(strstr(cira_status_detail(), "no memory"));
      }
      assert_true(n < 2000);
    }
    assert_true(n > 30);
    unlink(path);
  }
}

const struct CMUnitTest test_memory[] = {cmocka_unit_test(test_no_memory)};
const size_t test_memory_count = CIRA_COUNT(test_memory);
