/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk of seed 3 over edges in near and in far memory, by field names;
 * addresses; what does not fit together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cira/far.h"
#include "cira/offload.h"

typedef struct {
  uint64_t potential;
  uint8_t pad[120];
} node_t;

typedef struct {
  node_t *from, *to;
  int64_t cost;
} edge_t;

#define NODES 20000u
#define EDGES 60000u

static const cira_offload_field_t fields[] = {
    {"from", offsetof(edge_t, from), sizeof(node_t)},
    {"to", offsetof(edge_t, to), sizeof(node_t)}};

/* Every edge updates its target; a distance only ever changes when bytes come.
 */
static void walk(edge_t *edge, node_t *node, uint64_t distance) {
  cira_offload_edges_t *e;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < NODES; i++) {
    node[i].potential = i;
  }
  for (uint32_t i = 0; i < EDGES; i++) {
    edge[i] = (edge_t){.from = &node[i * 7ull % NODES],
                       .to = i % 10 ? &node[i * 13ull % NODES] : NULL,
                       .cost = i};
  }
  assert_int_equal(
      cira_offload_edges_create(edge, EDGES, sizeof(edge_t), fields, 2, &e),
      CIRA_OK);
  for (uint64_t i = 0; i < EDGES; i++) {
    void *at;
    void *from;
    void *to;
    assert_int_equal(cira_offload_load_edge(e, i, distance, &at), CIRA_OK);
    assert_ptr_equal(at, &edge[i]);
    assert_int_equal(cira_offload_load_node(e, at, "from", distance, &from),
                     CIRA_OK);
    assert_int_equal(cira_offload_load_node(e, at, "to", distance, &to),
                     CIRA_OK);
    assert_ptr_equal(from, ((edge_t *)at)->from);
    assert_ptr_equal(to, ((edge_t *)at)->to);
    sum += ((node_t *)from)->potential;
    assert_int_equal(cira_offload_evict_edge(e, i), CIRA_OK);
  }
  uint64_t want = 0;
  for (uint64_t i = 0; i < EDGES; i++) {
    want += i * 7 % NODES;
  }
  assert_int_equal(sum, want);
  cira_offload_edges_destroy(e);
}

static void address_of(const void *p, uint64_t bus, bool far) {
  uint64_t address = 0;
  cira_address_kind_t kind = (cira_address_kind_t)0;
  assert_int_equal(cira_offload_physical_address(p, &address, &kind), CIRA_OK);
  if (kind == CIRA_ADDRESS_BUS) {
    assert_int_equal(address, bus);
  } else {
    assert_int_equal(kind, CIRA_ADDRESS_PHYSICAL);
    assert_int_equal(address % 4096, (uintptr_t)p % 4096);
    assert_true(address >> 56 == 0);
  }
  (void)far;
}

static void test_walk(void **state) {
  (void)state;
  edge_t *edge = malloc(EDGES * sizeof(*edge));
  node_t *node = malloc(NODES * sizeof(*node));
  assert_true(edge && node);
  walk(edge, node, 16);
  address_of(&node[3], (uint64_t)(uintptr_t)&node[3] | UINT64_C(1) << 63,
             false);
  free(edge);
  free(node);
  cira_far_options_t far = cira_far_options_default();
  far.far_url = "host:";
  far.local_bytes = 1u << 20;
  assert_int_equal(cira_far_start(&far), CIRA_OK);
  edge = cira_far_alloc(EDGES * sizeof(*edge), 4096);
  node = cira_far_alloc(NODES * sizeof(*node), 4096);
  assert_true(edge && node);
  walk(edge, node, 0);
  walk(edge, node, 16);
  walk(edge, node, UINT64_MAX);
  uint64_t first = 0;
  cira_address_kind_t kind;
  for (uint32_t i = 0; i < NODES; i += 999) { /* some here, some away */
    assert_int_equal(cira_offload_physical_address(&node[i], &first, &kind),
                     CIRA_OK);
    if (kind == CIRA_ADDRESS_BUS) {
      assert_true(first >> 62 == 1);
      uint64_t offset = first & ~(UINT64_C(1) << 62);
      uint64_t base = (uint64_t)(uintptr_t)&node[i] - offset;
      address_of(&node[i],
                 ((uint64_t)(uintptr_t)&node[i] - base) | UINT64_C(1) << 62,
                 true);
    }
  }
  assert_int_equal(cira_far_free(edge), CIRA_OK);
  assert_int_equal(cira_far_free(node), CIRA_OK);
  assert_int_equal(cira_far_stop(), CIRA_OK);
}

static void test_bad(void **state) {
  (void)state;
  edge_t edge[4] = {0};
  cira_offload_edges_t *e = NULL;
  void *out = edge;
  struct {
    cira_offload_field_t field[2];
    cira_status_t status;
  } bad[] = {
      {{{NULL, 0, 8}, {"b", 8, 8}}, CIRA_E_INVALID},
      {{{"", 0, 8}, {"b", 8, 8}}, CIRA_E_INVALID},
      {{{"a", 0, 8}, {"a", 8, 8}}, CIRA_E_INVALID},
      {{{"a234567890123456789012345678901x", 0, 8}, {"b", 8, 8}},
       CIRA_E_INVALID},
      {{{"a", 0, 0}, {"b", 8, 8}}, CIRA_E_RANGE},
      {{{"a", 17, 8}, {"b", 8, 8}}, CIRA_E_RANGE},
      {{{"a", UINT32_MAX, 8}, {"b", 8, 8}}, CIRA_E_RANGE},
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(
        cira_offload_edges_create(edge, 4, sizeof(edge_t), bad[i].field, 2, &e),
        bad[i].status);
  }
  assert_int_equal(
      cira_offload_edges_create(NULL, 4, sizeof(edge_t), fields, 2, &e),
      CIRA_E_INVALID);
  assert_int_equal(
      cira_offload_edges_create(edge, 0, sizeof(edge_t), fields, 2, &e),
      CIRA_E_INVALID);
  assert_int_equal(
      cira_offload_edges_create(edge, 4, sizeof(edge_t), fields, 33, &e),
      CIRA_E_INVALID);
  assert_int_equal(cira_offload_edges_create(edge, UINT64_MAX / 8,
                                             sizeof(edge_t), fields, 2, &e),
                   CIRA_E_RANGE);
  assert_null(e);
  assert_int_equal(
      cira_offload_edges_create(edge, 4, sizeof(edge_t), fields, 2, &e),
      CIRA_OK);
  assert_int_equal(cira_offload_load_edge(e, 4, 0, &out), CIRA_E_RANGE);
  assert_int_equal(cira_offload_load_edge(NULL, 0, 0, &out), CIRA_E_INVALID);
  assert_int_equal(cira_offload_load_edge(e, 0, 0, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_offload_load_node(e, edge, "weight", 0, &out),
                   CIRA_E_INVALID);
  assert_int_equal(cira_offload_load_node(e, &edge[4], "to", 0, &out),
                   CIRA_E_RANGE);
  assert_int_equal(cira_offload_load_node(e, &edge[0].to, "to", 0, &out),
                   CIRA_E_RANGE);
  assert_int_equal(cira_offload_evict_edge(e, 4), CIRA_E_RANGE);
  assert_ptr_equal(out, edge);
  uint64_t address;
  cira_address_kind_t kind;
  assert_int_equal(cira_offload_physical_address(NULL, &address, &kind),
                   CIRA_E_INVALID);
  cira_offload_edges_destroy(e);
  cira_offload_edges_destroy(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad),
                                     cmocka_unit_test(test_walk)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
