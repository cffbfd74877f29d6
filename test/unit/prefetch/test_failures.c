/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams, batches and hints on bad days: message N of a run fails or is the
 * last, allocation N and all after it fail, each for every N. What is read is
 * right, or the process ends as it says it does: CIRA_EXIT_FAR for a page that
 * cannot come, CIRA_EXIT_MISUSE for a stream without memory. Nothing hangs.
 */
#include "failing.h"
#include "front.h"
#include "place.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "async/thread.h"
#include "cira/prefetch.h"
#include "space/space.h"

#define PAGES 100u
#define WORDS (PAGES * 512u)
#define BYTES (WORDS * 8u)
#define NODES 1500u
#define VERTICES 200u

enum { FINE = 0, WRONG = 1, NO_SPACE = 3, REACHED = 4 };

typedef struct node {
  struct node *next;
  uint64_t value;
  uint64_t pad[6];
} node_t;

static uint64_t *words;
static uint64_t **pointers;
static int32_t *indices;
static node_t *nodes;
static struct {
  int64_t n;
  int64_t *rows;
  uint32_t *neighbours;
} *graph;
static uint32_t *frontier;

#define FACT(fact)                                                             \
  do {                                                                         \
    if (!(fact)) {                                                             \
      printf("test_failures.c:%d: %s\n", __LINE__, #fact);                     \
      fflush(stdout);                                                          \
      _exit(WRONG);                                                            \
    }                                                                          \
  } while (0)

static uint64_t word(uint64_t i) {
  return i * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t pointed(uint64_t i) {
  return i * 2654435761u % WORDS;
}

static void *far_alloc(uint64_t bytes) {
  void *p;
  bytes = cira__align_up(bytes, 4096);
  if (cira_space_alloc(place_space(), bytes, 4096, &p) != CIRA_OK) {
    _exit(NO_SPACE); /* its message failed */
  }
  return p;
}

static void data_make(void) {
  words = far_alloc(BYTES);
  pointers = far_alloc(NODES * sizeof *pointers);
  indices = far_alloc(NODES * sizeof *indices);
  nodes = far_alloc(NODES * sizeof *nodes);
  graph = far_alloc(sizeof *graph);
  graph->n = VERTICES;
  graph->rows = far_alloc((VERTICES + 1) * sizeof *graph->rows);
  graph->neighbours = far_alloc(VERTICES * 60 * sizeof *graph->neighbours);
  frontier = far_alloc(VERTICES * sizeof *frontier);
  for (uint64_t i = 0; i < WORDS; i++) {
    words[i] = word(i);
  }
  for (uint32_t i = 0; i < NODES; i++) { /* 7 and NODES are coprime */
    pointers[i] = &words[pointed(i)];
    indices[i] = (int32_t)pointed(i);
    nodes[i * 7 % NODES] = (node_t){
        .next = i + 1 < NODES ? &nodes[(i + 1) * 7 % NODES] : NULL, .value = i};
  }
  for (uint32_t v = 0; v < VERTICES; v++) {
    graph->rows[v + 1] = graph->rows[v] + v % 60;
    frontier[v] = v * 7 % VERTICES;
  }
  for (uint32_t i = 0; i < graph->rows[VERTICES]; i++) {
    graph->neighbours[i] = i * 2654435761u;
  }
}

static void send_all_home(void) {
  place_send_home(words, BYTES);
  place_send_home(pointers, NODES * sizeof *pointers);
  place_send_home(indices, NODES * sizeof *indices);
  place_send_home(nodes, NODES * sizeof *nodes);
  place_send_home(graph->neighbours, VERTICES * 60 * 4);
  place_send_home(frontier, VERTICES * 4);
}

/* ---- streams --------------------------------------------------------------
 */

static void strided(int64_t stride) {
  int64_t count = (int64_t)WORDS / stride;
  cira_abi_front_t f = {0};
  void *s = cira_abi_stream_strided(words, 0, stride, count, 8, 0);
  for (int64_t k = 0; k < count; k++) {
    FACT(*(uint64_t *)peek(s, &f) == word((uint64_t)(k * stride)));
    advance(s, &f);
  }
  cira_abi_stream_release(s);
  s = cira_abi_stream_strided(words, 0, 1, BYTES / 5000, 5000, 0);
  for (uint64_t k = 0; k < BYTES / 5000; k++) { /* two pages each */
    uint64_t e[625];
    cira_abi_stream_peek(s, e, sizeof e, 0);
    FACT(e[0] == word(k * 625) && e[624] == word(k * 625 + 624));
    cira_abi_stream_advance(s);
  }
  cira_abi_stream_release(s);
}

/* Pointers in an array, or a[b[i]]: addresses in batches. */
static void batches(bool by_index) {
  cira_abi_front_t f = {0};
  void *s = by_index
                ? cira_abi_stream_indexed(words, 8, indices, 4, 0, 1, NODES)
                : cira_abi_stream_strided(pointers, 0, 1, NODES, 8, 8);
  cira_abi_stream_ahead(s, 32);
  for (uint64_t k = 0; k < NODES; k++) {
    FACT(**(uint64_t **)peek(s, &f) == word(pointed(k)));
    advance(s, &f);
  }
  cira_abi_stream_release(s);
}

static void chain(void) {
  for (int round = 0; round < 2; round++) { /* learns, then runs ahead */
    void *s =
        cira_abi_stream_chain(nodes, offsetof(node_t, next), sizeof(node_t));
    for (uint32_t i = 0; i < NODES; i++) {
      node_t e;
      cira_abi_stream_peek(s, &e, sizeof e, 0);
      FACT(e.value == i);
      cira_abi_stream_advance(s);
    }
    cira_abi_stream_release(s);
    place_send_home(nodes, NODES * sizeof *nodes);
  }
}

static void tiles(void) {
  int64_t sizes[2] = {200, 256}, strides[2] = {256, 1}, tile[2] = {16, 100};
  void *s = cira_abi_stream_tiled(words, 8, 2, sizes, strides, tile);
  for (uint64_t r = 0; r < 200; r += 16) {
    for (uint64_t c = 0; c < 256; c += 100) {
      uint64_t first;
      cira_abi_stream_ahead(s, 2);
      cira_abi_stream_peek(s, &first, 8, 0);
      FACT(first == word(r * 256 + c));
      cira_abi_stream_advance(s);
    }
  }
  cira_abi_stream_release(s);
}

static void lists(void) {
  void *s = cira_abi_stream_frontier(graph, frontier, 4, VERTICES, 4);
  cira_abi_stream_ahead(s, 8);
  for (uint32_t k = 0; k < VERTICES; k++) {
    int64_t n = -1;
    const uint32_t *list = cira_abi_adjacency(s, k, &n);
    uint32_t v = k * 7 % VERTICES;
    FACT(n == v % 60);
    for (uint32_t i = 0; i < n; i++) {
      FACT(list[i] == ((uint32_t)graph->rows[v] + i) * 2654435761u);
    }
    cira_abi_stream_advance(s);
  }
  cira_abi_stream_release(s);
}

/* ---- hints ----------------------------------------------------------------
 */

static void hints(void) {
  cira_prefetch_site_t site = {0};
  const void *many[200];
  for (uint64_t i = 0; i < 200; i++) {
    many[i] = i % 9 == 4 ? NULL : &words[pointed(i)];
  }
  cira_prefetch_range(words, BYTES);
  place_send_home(words, BYTES);
  cira_prefetch_batch(many, 200);
  FACT(cira_prefetch_list(nodes, offsetof(node_t, next), sizeof(node_t), 50) <=
       50);
  place_send_home(words, BYTES);
  cira_prefetch_strided(words, 9000, 50, 8);
  for (uint64_t i = 0; i < WORDS; i++) {
    cira_prefetch_adaptive(&site, &words[i], 8, 0);
    FACT(words[i] == word(i));
    cira_prefetch_done(&words[i], 8);
  }
}

static void everything(void) {
  void (*const part[])(void) = {chain, tiles, lists, hints};
  send_all_home();
  strided(1);
  send_all_home();
  strided(600);
  for (int by_index = 0; by_index < 2; by_index++) {
    send_all_home();
    batches(by_index);
  }
  for (uint32_t i = 0; i < sizeof part / sizeof part[0]; i++) {
    send_all_home();
    part[i]();
  }
}

/* ---- the N-th -------------------------------------------------------------
 */

typedef struct {
  const char *kind; /* of message; or the place */
  int64_t n;
} failure_t;

static void over_fault(const void *argument) {
  const failure_t *f = argument;
  char url[64];
  snprintf(url, sizeof url, "fault(host:;%s=%d)", f->kind, (int)f->n);
  if (!place_open_url(url, 64)) {
    _exit(NO_SPACE); /* its message failed */
  }
  data_make();
  everything();
}

static void nth_message(const char *kind) {
  int quiet = 0, ended = 0, survived = 0;
  failure_t f = {.kind = kind, .n = 1};
  for (; f.n < 100000 && quiet < 3; f.n += 1 + f.n / 8) {
    int status = failing_child(over_fault, &f);
    if (status != FINE && status != NO_SPACE && status != CIRA_EXIT_FAR) {
      fail_msg("%s=%d: exit %d", kind, (int)f.n, status);
    }
    ended += status == CIRA_EXIT_FAR;
    survived += status == FINE;
    quiet = status == FINE ? quiet + 1 : 0;
  }
  assert_true(quiet == 3 && survived > 0);
  assert_true(ended > 0 || strcmp(kind, "fail") == 0);
}

static void test_nth_message_fails(void **state) {
  (void)state;
  nth_message("fail");
}

static void test_nth_message_disconnects(void **state) {
  (void)state;
  nth_message("disconnect");
}

static void without_memory(const void *argument) {
  const failure_t *f = argument;
  FACT(place_open_url(f->kind, 64));
  data_make();
  failing_begin(FAILING_MEMORY | FAILING_F_STAYS, f->n);
  everything();
  if (failing_end()) {
    _exit(REACHED);
  }
}

static void test_nth_allocation(void **state) {
  (void)state;
  static const char *const place[] = {"host:", "fault(host:;seed=1)"};
  for (int i = 0; i < 2; i++) {
    int status = -1;
    failure_t f = {.kind = place[i]};
    for (; status != FINE; f.n++) {
      assert_in_range(f.n, 0, 60);
      status = failing_child(without_memory, &f);
      if (status != FINE && status != REACHED && status != CIRA_EXIT_MISUSE) {
        fail_msg("%s: allocation %d: exit %d", f.kind, (int)f.n, status);
      }
    }
    assert_true(f.n > 3);
  }
}

/* ---- profiles -------------------------------------------------------------
 */

static void test_profile(void **state) {
  (void)state;
  char path[] = "/tmp/cira-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(cira_prefetch_profile_save(path), CIRA_OK);
  cira_prefetch_settings_t before = {.size = sizeof before}, after = before;
  assert_int_equal(cira_prefetch_settings_get(&before), CIRA_OK);
  uint64_t fds = failing_fds();
  for (int round = 0; round < 2; round++) {
    bool enough = false;
    for (int64_t n = 0; !enough; n++) {
      assert_in_range(n, 0, 20);
      failing_begin(FAILING_MEMORY, n);
      cira_status_t status = round == 0 ? cira_prefetch_profile_load(path)
                                        : cira_prefetch_profile_save(path);
      enough = !failing_end();
      assert_true(status == CIRA_OK || (status == CIRA_E_NOMEM && !enough));
      assert_int_equal(cira_prefetch_settings_get(&after), CIRA_OK);
      assert_memory_equal(&before, &after, sizeof before);
      assert_int_equal(failing_fds(), fds);
    }
    assert_int_equal(cira_prefetch_profile_load(path), CIRA_OK);
  }
  /* no room on the disk: the old profile stays */
  struct rlimit old;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  void (*heard)(int) = signal(SIGXFSZ, SIG_IGN);
  struct rlimit none = {.rlim_cur = 1, .rlim_max = old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
  cira_status_t full = cira_prefetch_profile_save(path);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  (void)signal(SIGXFSZ, heard);
  assert_int_equal(full, CIRA_E_SYSTEM);
  assert_int_equal(cira_prefetch_profile_load(path), CIRA_OK);
  assert_int_equal(failing_fds(), fds);
  unlink(path);
}

int main(void) {
  char why[256];
  if (cira_space_probe(CIRA_SPACE_SIGBUS, why, sizeof why) != CIRA_OK) {
    printf("skip: %s\n", why);
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nth_message_fails),
      cmocka_unit_test(test_nth_message_disconnects),
      cmocka_unit_test(test_nth_allocation),
      cmocka_unit_test(test_profile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
