/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams against plain arrays and lists, larger than the local cache, read as
 * compiled code reads them (a front of its own) and by peek and advance:
 * test-streams PLACE.
 */
#include "front.h"
#include "place.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space/space.h"

#define PAGES 600u
#define BYTES (PAGES * 4096u)

static uint8_t *data, *shadow;

static void fill(void) {
  data = place_alloc(BYTES);
  shadow = malloc(BYTES);
  for (uint32_t i = 0; i < BYTES / 8; i++) {
    ((uint64_t *)(void *)shadow)[i] = place_random();
  }
  memcpy(data, shadow, BYTES);
  place_send_home(data, BYTES);
}

/* ---- strided --------------------------------------------------------------
 */

static void strided(int64_t start, int64_t stride, int64_t count,
                    int64_t bytes) {
  cira_abi_front_t f = {0};
  void *s = cira_abi_stream_strided(data, start, stride, count, bytes, 0);
  for (int64_t k = 0; k < count; k++) {
    if (k % 7 == 3) { /* an element that nobody looks at */
      advance(s, &f);
      continue;
    }
    void *e = peek(s, &f);
    assert_memory_equal(e, shadow + (start + k * stride) * bytes,
                        (size_t)bytes);
    advance(s, &f);
  }
  advance(s, &f); /* past the end: nothing */
  cira_abi_stream_release(s);
  s = cira_abi_stream_strided(data, start, stride, count, bytes, 0);
  uint8_t e[20000];
  for (int64_t k = 0; k < count && k < 3000; k++) {
    cira_abi_stream_peek(s, e, bytes, 0);
    assert_memory_equal(e, shadow + (start + k * stride) * bytes,
                        (size_t)bytes);
    cira_abi_stream_advance(s);
  }
  cira_abi_stream_release(s);
}

static void test_strided(void **state) {
  (void)state;
  fill();
  strided(0, 1, BYTES / 8, 8);
  place_send_home(data, BYTES);
  strided(BYTES / 8 - 1, -1, BYTES / 8, 8);
  place_send_home(data, BYTES / 2);
  strided(5, 1, BYTES / 24 - 10, 24); /* across the borders of pages */
  strided(BYTES / 24 - 1, -1, BYTES / 24 - 10, 24);
  place_send_home(data, BYTES);
  strided(3, 700, BYTES / 8 / 700 - 1, 8); /* a page or more apart */
  strided(BYTES / 8 - 1, -700, BYTES / 8 / 700 - 1, 8);
  strided(1, 61, BYTES / 100 / 61 - 1, 100);
  place_send_home(data, BYTES);
  strided(0, 1, BYTES / 9000, 9000); /* larger than a page */
  strided(7, 0, 100, 8);
  strided(0, 1, 0, 8);
  free(shadow);
}

/* Ended before its end, with requests under way; many of them. */
static void test_early_release(void **state) {
  (void)state;
  fill();
  for (int i = 0; i < 300; i++) {
    cira_abi_front_t f = {0};
    int64_t start = (int64_t)(place_random() % (BYTES / 16));
    void *s = cira_abi_stream_strided(data, start, 1 + i % 40, 1000, 8, 0);
    for (int k = 0; k < i % 10; k++) {
      assert_memory_equal(peek(s, &f), shadow + (start + k * (1 + i % 40)) * 8,
                          8);
      advance(s, &f);
    }
    cira_abi_stream_release(s);
    if (i % 50 == 0) {
      place_send_home(data, BYTES);
    }
  }
  free(shadow);
}

/* ---- pointers, a[b[i]] ----------------------------------------------------
 */

static void pointers(uint8_t **array, int64_t n, int64_t bytes) {
  cira_abi_front_t f = {0};
  void *s = cira_abi_stream_strided(array, 0, 1, n, 8, bytes);
  cira_abi_stream_ahead(s, 32);
  for (int64_t k = 0; k < n; k++) {
    uint8_t *at = data + (uint64_t)k * 2654435761u % (BYTES - 128);
    if (k % 11 != 5) {
      void *e = *(void **)peek(s, &f);
      assert_memory_equal(e, shadow + (at - data), (size_t)bytes);
    }
    advance(s, &f);
  }
  cira_abi_stream_release(s);
  s = cira_abi_stream_strided(array, 0, 1, n, 8, bytes);
  for (int64_t k = 0; k < n && k < 1000; k++) {
    uint8_t *at = data + (uint64_t)k * 2654435761u % (BYTES - 128), *p;
    uint8_t e[128];
    cira_abi_stream_peek(s, e, bytes, 1);
    assert_memory_equal(e, shadow + (at - data), (size_t)bytes);
    cira_abi_stream_peek(s, &p, 8, 0);
    assert_ptr_equal(p, at);
    cira_abi_stream_advance(s);
  }
  cira_abi_stream_release(s); /* early, when there are more */
}

static void test_pointers(void **state) {
  (void)state;
  fill();
  enum { N = 6000 };
  uint8_t **array = place_alloc(N * 8);
  for (uint64_t k = 0; k < N; k++) {
    array[k] = data + k * 2654435761u % (BYTES - 128);
  }
  place_send_home(array, N * 8);
  place_send_home(data, BYTES);
  pointers(array, N, 8);
  pointers(array, N, 100);
  place_send_home(data, BYTES);
  place_send_home(array, N * 8);
  pointers(array, 50, 16);
  pointers(array, 64, 16);
  pointers(array, 65, 16);
  free(shadow);
}

static void indexed(uint32_t index_bytes, int64_t stride) {
  int64_t n = 5000 * stride, elements = index_bytes == 1 ? 127 : 30000;
  uint8_t *index = place_alloc((uint64_t)(n * index_bytes));
  int64_t *plain = malloc((size_t)n * 8);
  for (int64_t i = 0; i < n; i++) {
    plain[i] = (int64_t)(place_random() % (uint64_t)elements) - elements / 2;
    memcpy(index + i * index_bytes, &plain[i], index_bytes);
  }
  place_send_home(index, (uint64_t)(n * index_bytes));
  uint8_t *base = data + 24 * (elements / 2);
  cira_abi_front_t f = {0};
  void *s = cira_abi_stream_indexed(base, 24, index, (int32_t)index_bytes, 1,
                                    stride, 4990);
  for (int64_t k = 0; k < 4990; k++) {
    void *e = *(void **)peek(s, &f);
    assert_memory_equal(e, shadow + (base - data) + plain[1 + k * stride] * 24,
                        24);
    advance(s, &f);
  }
  cira_abi_stream_release(s);
  uint8_t e[24];
  s = cira_abi_stream_indexed(base, 24, index, (int32_t)index_bytes, 0, 1, 200);
  for (int64_t k = 0; k < 200; k++) {
    cira_abi_stream_peek(s, e, 24, (int32_t)(k % 2)); /* the same for both */
    assert_memory_equal(e, shadow + (base - data) + plain[k] * 24, 24);
    cira_abi_stream_advance(s);
  }
  cira_abi_stream_release(s);
  free(plain);
}

static void test_indexed(void **state) {
  (void)state;
  fill();
  for (uint32_t bytes = 1; bytes <= 8; bytes *= 2) {
    indexed(bytes, 1);
    place_send_home(data, BYTES);
    indexed(bytes, 3);
  }
  free(shadow);
}

/* ---- chains ---------------------------------------------------------------
 */

typedef struct node {
  uint64_t value;
  struct node *next;
  uint64_t pad;
} node_t;
#define LINK offsetof(node_t, next)

static node_t *nodes;
static uint32_t *order;

/* n nodes; each `mix`-th is somewhere else than behind the one before. */
static void list_make(uint32_t n, uint32_t mix) {
  nodes = place_alloc(n * sizeof *nodes);
  order = malloc(n * sizeof *order);
  for (uint32_t i = 0; i < n; i++) {
    order[i] = i;
  }
  for (uint32_t i = n - 1; mix > 0 && i > 0; i--) {
    if (i % mix == 0) {
      uint32_t j = (uint32_t)(place_random() % (i + 1)), t = order[i];
      order[i] = order[j];
      order[j] = t;
    }
  }
  for (uint32_t i = 0; i < n; i++) {
    nodes[order[i]].value = i;
    nodes[order[i]].next = i + 1 < n ? &nodes[order[i + 1]] : NULL;
  }
  place_send_home(nodes, n * sizeof *nodes);
}

static void walk(uint32_t n, uint32_t stop) {
  cira_abi_front_t f = {0};
  void *s = cira_abi_stream_chain(&nodes[order[0]], LINK, sizeof(node_t));
  cira_abi_stream_ahead(s, 16);
  uint32_t seen = 0;
  for (; seen < stop; seen++) {
    node_t *e = peek(s, &f);
    assert_int_equal(e->value, seen);
    assert_ptr_equal(f.cur, &nodes[order[seen]]);
    assert_ptr_equal(e->next, seen + 1 < n ? &nodes[order[seen + 1]] : NULL);
    chain_advance(s, &f, LINK);
  }
  if (stop == n) {
    assert_int_equal(f.left, 0);
    assert_null(f.cur);
    chain_advance(s, &f, LINK); /* past the end: nothing */
    assert_int_equal(f.left, 0);
  }
  cira_abi_stream_release(s);
}

static void walk_slowly(uint32_t n) {
  void *s = cira_abi_stream_chain(&nodes[order[0]], LINK, sizeof(node_t));
  for (uint32_t i = 0; i < n; i++) {
    node_t e;
    cira_abi_stream_peek(s, &e, sizeof e, 0);
    assert_int_equal(e.value, i);
    cira_abi_stream_advance(s);
  }
  cira_abi_stream_advance(s);
  cira_abi_stream_release(s);
}

static void chains(uint32_t n, uint32_t mix) {
  list_make(n, mix);
  for (int round = 0; round < 3; round++) {
    walk(n, n);
    place_send_home(nodes, n * sizeof *nodes);
  }
  walk(n, n / 3);
  walk(n, 0);
  walk_slowly(n);
  free(order);
}

static void test_chain_in_order(void **state) {
  (void)state;
  chains(60000, 0);
}

static void test_chain_random(void **state) {
  (void)state;
  chains(60000, 1);
}

static void test_chain_mixed(void **state) {
  (void)state;
  chains(60000, 50);
  chains(1, 0);
  chains(33, 1);
}

/* Learnt from a walk that ended early, then changed here and there, then a lot:
 * what was learnt is a guess. */
static void test_chain_changes(void **state) {
  (void)state;
  const uint32_t n = 20000;
  list_make(n, 1);
  walk(n, n / 2);
  walk(n, n);
  walk(n, n);
  for (int round = 0; round < 3; round++) {
    uint32_t step = round == 0 ? 1000 : round == 1 ? 100 : 2;
    for (uint32_t i = step; i + 1 < n; i += step) { /* swap neighbours */
      uint32_t t = order[i];
      order[i] = order[i + 1];
      order[i + 1] = t;
    }
    for (uint32_t i = 0; i < n; i++) {
      nodes[order[i]].value = i;
      nodes[order[i]].next = i + 1 < n ? &nodes[order[i + 1]] : NULL;
    }
    place_send_home(nodes, n * sizeof *nodes);
    walk(n, n);
    walk(n, n);
    walk(n, n);
  }
  free(order);
}

static void test_chain_empty(void **state) {
  (void)state;
  cira_abi_front_t f = {0};
  void *s = cira_abi_stream_chain(NULL, 8, 16);
  chain_advance(s, &f, 8);
  assert_int_equal(f.left, 0);
  cira_abi_stream_release(s);
}

/* ---- several threads on one stream ----------------------------------------
 */

static void *shared_stream;
static _Atomic uint64_t moves;

static void *mover(void *arg) {
  (void)arg;
  place_thread_enter();
  for (int i = 0; i < 5000; i++) {
    cira_abi_stream_advance(shared_stream);
    atomic_fetch_add(&moves, 1);
  }
  return NULL;
}

static void threads_run(void *(*run)(void *), int n) {
  pthread_t t[4];
  for (intptr_t i = 0; i < n; i++) {
    if (place_space() != NULL) {
      cira_space_thread_add(place_space());
    }
    assert_int_equal(pthread_create(&t[i], NULL, run, (void *)i), 0);
  }
  for (int i = 0; i < n; i++) {
    void *bad;
    pthread_join(t[i], &bad);
    assert_null(bad);
    if (place_space() != NULL) {
      cira_space_thread_remove(place_space());
    }
  }
}

static void test_concurrent_advance(void **state) {
  (void)state;
  fill();
  shared_stream = cira_abi_stream_strided(data, 0, 2, BYTES / 16, 8, 0);
  atomic_store(&moves, 0);
  threads_run(mover, 3);
  uint8_t e[8];
  cira_abi_stream_peek(shared_stream, e, 8, 0);
  assert_memory_equal(e, shadow + atomic_load(&moves) * 16, 8);
  cira_abi_stream_release(shared_stream);
  free(shadow);
}

/* ---- tiles ----------------------------------------------------------------
 */

#define ROWS 300
#define COLUMNS 500

static void tile_check(int64_t r0, int64_t c0, int64_t rows, int64_t columns) {
  const uint64_t *a = (const uint64_t *)(void *)data;
  const uint64_t *b = (const uint64_t *)(void *)shadow;
  for (int64_t r = r0; r < r0 + rows && r < ROWS; r++) {
    for (int64_t c = c0; c < c0 + columns && c < COLUMNS; c++) {
      assert_int_equal(a[r * COLUMNS + c], b[r * COLUMNS + c]);
    }
  }
}

static void ahead_on_helper(void *arg) {
  cira_abi_stream_ahead(*(void **)arg, 3);
}

static void test_tiled(void **state) {
  (void)state;
  fill();
  int64_t sizes[2] = {ROWS, COLUMNS}, strides[2] = {COLUMNS, 1};
  for (int mode = 0; mode < 3; mode++) {
    int64_t tiles[2] = {32, 90 + mode * 300};
    void *s = cira_abi_stream_tiled(data, 8, 2, sizes, strides, tiles);
    cira_abi_front_t f = {0};
    if (mode == 2) {
      cira_abi_offload_begin(-1, (void *)ahead_on_helper, &s, sizeof s);
    }
    for (int64_t r = 0; r < ROWS; r += tiles[0]) {
      for (int64_t c = 0; c < COLUMNS; c += tiles[1]) {
        if (mode == 1) {
          cira_abi_stream_ahead(s, 2);
        }
        uint64_t first;
        if (mode == 0) {
          memcpy(&first, peek(s, &f), 8);
        } else {
          cira_abi_stream_peek(s, &first, 8, 0);
        }
        assert_memory_equal(&first, shadow + (r * COLUMNS + c) * 8, 8);
        tile_check(r, c, tiles[0], tiles[1]);
        mode == 0 ? advance(s, &f) : cira_abi_stream_advance(s);
      }
    }
    cira_abi_stream_release(s);
    cira_abi_barrier();
    place_send_home(data, BYTES);
  }
  free(shadow);
}

/* ---- frontier -------------------------------------------------------------
 */

#define VERTICES 4000
static struct {
  int64_t n;
  int64_t *rows;
  uint32_t *neighbours;
} *graph;
static uint32_t *frontier;
static int64_t plain_rows[VERTICES + 1];
static uint32_t plain_frontier[VERTICES];

static void graph_make(void) {
  graph = place_alloc(sizeof *graph);
  graph->n = VERTICES;
  graph->rows = place_alloc((VERTICES + 1) * 8);
  frontier = place_alloc(VERTICES * 4);
  for (int64_t v = 0; v < VERTICES; v++) {
    plain_rows[v + 1] =
        plain_rows[v] + (int64_t)(place_random() % (v % 100 == 0 ? 3000 : 40));
  }
  memcpy(graph->rows, plain_rows, sizeof plain_rows);
  graph->neighbours = place_alloc((uint64_t)plain_rows[VERTICES] * 4 + 4);
  for (int64_t i = 0; i < plain_rows[VERTICES]; i++) {
    graph->neighbours[i] = (uint32_t)i * 2654435761u;
  }
  for (uint32_t i = 0; i < VERTICES; i++) {
    plain_frontier[i] = (uint32_t)(place_random() % VERTICES);
    frontier[i] = plain_frontier[i];
  }
  uint64_t bytes = (uint64_t)plain_rows[VERTICES] * 4;
  place_send_home(graph->neighbours, bytes);
  place_send_home(frontier, VERTICES * 4);
  place_send_home(graph->rows, (VERTICES + 1) * 8);
  place_send_home(graph, sizeof *graph);
}

static int list_wrong(int64_t position) {
  int64_t n = -1, v = plain_frontier[position];
  const uint32_t *list = cira_abi_adjacency(shared_stream, position, &n);
  if (n != plain_rows[v + 1] - plain_rows[v]) {
    return 1;
  }
  for (int64_t i = 0; i < n; i++) {
    if (list[i] != (uint32_t)(plain_rows[v] + i) * 2654435761u) {
      return 1;
    }
  }
  return 0;
}

static void *looker(void *arg) {
  place_thread_enter();
  for (int64_t i = (intptr_t)arg; i < VERTICES; i += 3) {
    if (list_wrong(i)) {
      return graph;
    }
  }
  return NULL;
}

static void test_frontier(void **state) {
  (void)state;
  graph_make();
  for (int mode = 0; mode < 3; mode++) {
    shared_stream = cira_abi_stream_frontier(graph, frontier, 4, VERTICES, 4);
    if (mode == 1) {
      cira_abi_offload_begin(-1, (void *)ahead_on_helper, &shared_stream,
                             sizeof shared_stream);
    } else {
      cira_abi_stream_ahead(shared_stream, 16);
    }
    if (mode == 2) {
      threads_run(looker, 3);
    } else {
      for (int64_t i = 0; i < VERTICES; i++) {
        assert_int_equal(list_wrong(i), 0);
        cira_abi_stream_advance(shared_stream);
      }
    }
    cira_abi_stream_release(shared_stream);
    cira_abi_barrier();
    place_send_home(graph->neighbours, (uint64_t)plain_rows[VERTICES] * 4);
  }
}

/* ---- hints, edges ---------------------------------------------------------
 */

typedef struct {
  node_t *from, *to;
  uint64_t weight;
} edge_t;

static void test_edges(void **state) {
  (void)state;
  enum { N = 3000 };
  list_make(20000, 1);
  edge_t *edges = place_alloc(N * sizeof *edges);
  for (uint32_t i = 0; i < N; i++) {
    edges[i] = (edge_t){&nodes[order[i]], &nodes[order[N - i]], i};
  }
  place_send_home(edges, N * sizeof *edges);
  place_send_home(nodes, 20000 * sizeof *nodes);
  for (int64_t i = 0; i < N; i++) {
    int64_t d = i % 2 == 0 || i + 12 >= N ? 0 : 12;
    edge_t *e = cira_abi_load_edge(edges, i, N, sizeof *e, d);
    assert_ptr_equal(e, &edges[i]);
    node_t *n =
        cira_abi_load_node(e, offsetof(edge_t, to), sizeof *e, sizeof *n, d);
    assert_ptr_equal(n, &nodes[order[N - i]]);
    assert_int_equal(n->value, N - i);
    cira_abi_evict(e, sizeof *e);
  }
  free(order);
}

static void test_hints(void **state) {
  (void)state;
  fill();
  for (int i = 0; i < 200; i++) {
    uint64_t at = place_random() % (BYTES / 2);
    cira_abi_prefetch_array(data + at, 1 + i * 37, 100, 8);
    cira_abi_prefetch_array(data + BYTES / 2 + at, -1 - i * 50, 100, 8);
    cira_abi_install_line(data + at, i % 4);
    if (i % 20 == 0) {
      cira_abi_evict(data + at, 100000);
    }
  }
  assert_memory_equal(data, shadow, BYTES);
  free(shadow);
  /* Bad addresses do no harm. */
  list_make(1000, 1);
  node_t *head = &nodes[order[0]];
  nodes[order[50]].next = (node_t *)(uintptr_t)0xdead0000dead0000u;
  nodes[order[20]].next = (node_t *)(uintptr_t)12345;
  cira_abi_prefetch_nodes(&head, LINK, 1000, sizeof *head);
  head = (node_t *)(uintptr_t)(CIRA_SPACE_BASE + (UINT64_C(900) << 20));
  cira_abi_prefetch_nodes(&head, LINK, 1000, sizeof *head);
  head = NULL;
  cira_abi_prefetch_nodes(&head, LINK, 1000, sizeof *head);
  cira_abi_prefetch_nodes(NULL, LINK, 1000, sizeof *head);
  cira_abi_install_line(NULL, 1);
  cira_abi_prefetch_array((void *)(uintptr_t)16, 1 << 20, 1 << 20, 64);
  free(order);
}

/* ---- what it is for --------------------------------------------------------
 */

static uint64_t faults(void) {
  return place_space() != NULL ? cira_space_stats(place_space())->faults : 0;
}

/* Data that is away is read without bringing its pages in. */
static void test_no_faults(void **state) {
  (void)state;
  fill();
  enum { N = 5000 };
  uint8_t **array = place_alloc(N * 8);
  int32_t *index = place_alloc(N * 4);
  for (uint64_t k = 0; k < N; k++) {
    array[k] = data + k * 2654435761u % (BYTES - 128);
    index[k] = (int32_t)(k * 2654435761u % (BYTES / 8));
  }
  place_send_home(data, BYTES);
  place_send_home(array, N * 8);
  place_send_home(index, N * 4);
  uint64_t before = faults(), sum = 0;
  for (int kind = 0; kind < 3; kind++) {
    int64_t n = kind == 0 ? BYTES / 8 : N;
    cira_abi_front_t f = {0};
    void *s = kind == 0   ? cira_abi_stream_strided(data, 0, 1, n, 8, 0)
              : kind == 1 ? cira_abi_stream_strided(array, 0, 1, n, 8, 8)
                          : cira_abi_stream_indexed(data, 8, index, 4, 0, 1, n);
    for (int64_t k = 0; k < n; k++) {
      void *e = peek(s, &f);
      sum += *(uint8_t *)(kind == 0 ? e : *(void **)e);
      advance(s, &f);
    }
    cira_abi_stream_release(s);
  }
  assert_true(sum > 0 && faults() - before <= 4);
  free(shadow);
}

/* The second walk of a random list, also over requests. */
static void test_known_chain_has_no_faults(void **state) {
  (void)state;
  const uint32_t n = 30000;
  list_make(n, 1);
  walk(n, n);
  place_send_home(nodes, n * sizeof *nodes);
  uint64_t before = faults();
  walk(n, n);
  /* Over requests the table itself is read in place, ahead. */
  assert_true(faults() - before <= 64);
  if (place_space() != NULL) {
    const cira_space_stats_t *stats = cira_space_stats(place_space());
    assert_true(stats->resident_pages_peak * 4096 <= stats->local_bytes);
  }
  free(order);
}

/* ---- misuse ---------------------------------------------------------------
 */

static uint64_t local[64];

static void peek_after_release(void) {
  cira_abi_front_t f = {0};
  void *s = cira_abi_stream_strided(local, 0, 1, 64, 8, 0);
  cira_abi_stream_release(s);
  cira_abi_stream_refill(s, &f);
}

static void release_twice(void) {
  void *s = cira_abi_stream_chain(local, 8, 16);
  cira_abi_stream_release(s);
  cira_abi_stream_release(s);
}

static void peek_past_end(void) {
  uint64_t got;
  void *s = cira_abi_stream_strided(local, 0, 1, 1, 8, 0);
  cira_abi_stream_advance(s);
  cira_abi_stream_peek(s, &got, 8, 0);
}

static void peek_past_chain(void) {
  uint64_t got[2];
  void *s = cira_abi_stream_chain(local, 8, 16);
  cira_abi_stream_peek(s, got, 16, 0);
  cira_abi_stream_advance(s);
  cira_abi_stream_peek(s, got, 16, 0);
}

static void peek_too_much(void) {
  uint64_t got[2];
  void *s = cira_abi_stream_strided(local, 0, 1, 4, 8, 0);
  cira_abi_stream_peek(s, got, 16, 0);
}

static void bad_index(void) {
  (void)cira_abi_stream_indexed(local, 8, local, 3, 0, 1, 1);
}

static void bad_tile(void) {
  int64_t n[1] = {64}, one[1] = {1}, none[1] = {0};
  (void)cira_abi_stream_tiled(local, 8, 1, n, one, none);
}

static void test_misuse(void **state) {
  (void)state;
  if (place_is_far()) {
    return;
  }
  place_misuse(peek_after_release, "was released before");
  place_misuse(release_twice, "was released before");
  place_misuse(peek_past_end, "past the end");
  place_misuse(peek_past_chain, "past the end");
  place_misuse(peek_too_much, "16 bytes");
  place_misuse(bad_index, "indices of 3 bytes");
  place_misuse(bad_tile, "a tile of 0 elements");
}

PLACE_TEST(test_misuse)
PLACE_TEST(test_strided)
PLACE_TEST(test_early_release)
PLACE_TEST(test_pointers)
PLACE_TEST(test_indexed)
PLACE_TEST(test_chain_in_order)
PLACE_TEST(test_chain_random)
PLACE_TEST(test_chain_mixed)
PLACE_TEST(test_chain_changes)
PLACE_TEST(test_chain_empty)
PLACE_TEST(test_concurrent_advance)
PLACE_TEST(test_tiled)
PLACE_TEST(test_frontier)
PLACE_TEST(test_edges)
PLACE_TEST(test_hints)
PLACE_TEST(test_no_faults)
PLACE_TEST(test_known_chain_has_no_faults)

int main(int argc, char **argv) {
  if (!place_choose(argc == 2 ? argv[1] : "none")) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      PLACE_UNIT(test_misuse),
      PLACE_UNIT(test_strided),
      PLACE_UNIT(test_early_release),
      PLACE_UNIT(test_pointers),
      PLACE_UNIT(test_indexed),
      PLACE_UNIT(test_chain_in_order),
      PLACE_UNIT(test_chain_random),
      PLACE_UNIT(test_chain_mixed),
      PLACE_UNIT(test_chain_changes),
      PLACE_UNIT(test_chain_empty),
      PLACE_UNIT(test_concurrent_advance),
      PLACE_UNIT(test_tiled),
      PLACE_UNIT(test_frontier),
      PLACE_UNIT(test_edges),
      PLACE_UNIT(test_hints),
      PLACE_UNIT(test_no_faults),
      PLACE_UNIT(test_known_chain_has_no_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
