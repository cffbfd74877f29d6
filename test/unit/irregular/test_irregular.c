/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel at small sizes: the verifier accepts the plain result and
 * refuses the one of a loop that did not run; the best variant gives the same
 * checksum with any parameter, also beyond the size of the data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "bench.h"

static const char *name_of(const struct bench_run *run, const char *text) {
  static char message[256];
  snprintf(message, sizeof message, "%s, size %llu: %s", run->kernel->name,
           (unsigned long long)run->size, text ? text : "no error");
  return message;
}

static void check_verified(struct bench_run *run) {
  const char *wrong = run->kernel->verify(run);
  if (wrong) {
    fail_msg("%s", name_of(run, wrong));
  }
}

static void check_kernel(const struct bench_kernel *k, uint64_t size,
                         bool refuses) {
  static const unsigned params[] = {1, 2, 7, 64, 255, KERNEL_PARAM_MAX};
  struct bench_run run = {
      .kernel = k, .size = size, .degree = k->degree, .seed = 42};
  if (run.degree > 8) {
    run.degree = 8;
  }
  k->setup(&run);
  k->reset(&run);
  k->finish(&run);
  if (refuses && !k->verify(&run)) {
    fail_msg("%s", name_of(&run, "an empty result was accepted"));
  }
  k->reset(&run);
  k->plain(&run);
  uint64_t expected = k->finish(&run);
  check_verified(&run);
  for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
    k->reset(&run);
    k->best(&run, params[i]);
    if (k->finish(&run) != expected) {
      fail_msg("%s", name_of(&run, "best and plain differ"));
    }
    check_verified(&run);
  }
  bench_fini(&run);
}

static void every_kernel(uint64_t (*size_of)(const struct bench_kernel *),
                         bool refuses) {
  for (size_t f = 0; bench_families[f]; f++) {
    for (const struct bench_kernel *k = bench_families[f]; k->name; k++) {
      check_kernel(k, size_of(k), refuses);
    }
  }
}

static uint64_t test_size(const struct bench_kernel *k) {
  return k->power_of_two ? k->test_size / 4 : k->test_size / 8 + 1;
}

static uint64_t least_size(const struct bench_kernel *k) {
  return k->min_size;
}

/* Between the two: loops with little more than one round of look-ahead. */
static uint64_t few_size(const struct bench_kernel *k) {
  uint64_t size = k->power_of_two ? 128 : 101;
  return size < k->min_size ? k->min_size : size;
}

static void test_small(void **state) {
  (void)state;
  every_kernel(test_size, true);
}

static void test_few(void **state) {
  (void)state;
  every_kernel(few_size, true);
}

/* One element may have no result to refuse: a search that finds nothing. */
static void test_least(void **state) {
  (void)state;
  every_kernel(least_size, false);
}

static void test_graphs(void **state) {
  (void)state;
  for (int kind = BENCH_KRONECKER; kind <= BENCH_UNIFORM; kind++) {
    struct bench_kernel kernel = {.name = "graph"};
    struct bench_run run = {
        .kernel = &kernel, .size = 512, .degree = 6, .seed = 7};
    struct graph g;
    bench_graph_make(&run, kind, &g);
    assert_int_equal(g.vertices, 512);
    assert_int_equal(g.row[512], g.edges);
    uint64_t hub = 0;
    for (uint32_t u = 0; u < g.vertices; u++) {
      hub = g.row[u + 1] - g.row[u] > hub ? g.row[u + 1] - g.row[u] : hub;
      for (uint64_t e = g.row[u]; e < g.row[u + 1]; e++) {
        uint32_t v = g.neighbour[e];
        assert_true(v < g.vertices && v != u);
        assert_true(e == g.row[u] || g.neighbour[e - 1] < v);
        bool back = false;
        for (uint64_t f = g.row[v]; f < g.row[v + 1]; f++) {
          back |= g.neighbour[f] == u;
        }
        assert_true(back);
      }
    }
    /* Kronecker graphs have hubs, uniform ones do not. */
    assert_true(kind == BENCH_KRONECKER ? hub > 48 : hub < 48);
    assert_true(g.edges > 512 * 6 && g.edges <= 2 * 512 * 6);
    bench_fini(&run);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_graphs),
      cmocka_unit_test(test_small),
      cmocka_unit_test(test_few),
      cmocka_unit_test(test_least),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
