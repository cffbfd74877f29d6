/* SPDX-License-Identifier: Apache-2.0
 *
 * cira/offload.h on bad days: the N-th call that needs memory or a thread fails
 * while a device is opened and while it works; the N-th message of far memory
 * fails under a helper, the N-th message to a server under its jobs; each time
 * for every N. A job ends with the right result or with a status that is
 * documented and its outputs untouched; far memory stays whole, nothing is
 * left behind, and the next device works.
 */
#include "failing.h"
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../conformance/servers.h"
#include "cira/channel.h"
#include "cira/far.h"
#include "cira/offload.h"
#include "cira/prefetch.h"
#include "fabric/link.h"
#include "offload/offload.h"

#define NODES 400u
#define UNTOUCHED 77u

typedef struct node {
  struct node *next;
  uint64_t value;
  uint64_t pad[126];
} node_t; /* 1 KiB: four in a page */

typedef struct {
  node_t *node;
  uint64_t weight;
} edge_t;

/* ---- the N-th message to a server -----------------------------------------
 */

cira_status_t __real_cira__link_send(const cira__link_t *link,
                                     const void *bytes, uint64_t count);
cira_status_t __real_cira__link_recv(const cira__link_t *link, void *bytes,
                                     uint64_t count, int *out_fd);
cira_status_t __wrap_cira__link_send(const cira__link_t *link,
                                     const void *bytes, uint64_t count);
cira_status_t __wrap_cira__link_recv(const cira__link_t *link, void *bytes,
                                     uint64_t count, int *out_fd);

cira_status_t __wrap_cira__link_send(const cira__link_t *link,
                                     const void *bytes, uint64_t count) {
  return failing_now(FAILING_OTHER, EPIPE)
             ? cira__link_broken(link->url, EPIPE)
             : __real_cira__link_send(link, bytes, count);
}

cira_status_t __wrap_cira__link_recv(const cira__link_t *link, void *bytes,
                                     uint64_t count, int *out_fd) {
  return failing_now(FAILING_OTHER, ECONNRESET)
             ? cira__link_broken(link->url, ECONNRESET)
             : __real_cira__link_recv(link, bytes, count, out_fd);
}

/* ---- a run of everything --------------------------------------------------
 */

enum { FINE = 0, WRONG = 1, NO_SPACE = 3, SOME_FAILED = 4 };

static memd_t memd;
static node_t *nodes;
static edge_t *edges;
static uint64_t values[NODES]; /* what the nodes hold */
static uint32_t failed;
static void (*send_home)(const void *p, uint64_t bytes);

#define FACT(fact)                                                             \
  do {                                                                         \
    if (!(fact)) {                                                             \
      printf("test_failures.c:%d: %s: %s\n", __LINE__, #fact,                  \
             cira_status_detail());                                            \
      fflush(stdout);                                                          \
      _exit(WRONG);                                                            \
    }                                                                          \
  } while (0)

static bool is_documented(cira_status_t status) {
  return status == CIRA_E_DISCONNECTED || status == CIRA_E_SYSTEM ||
         status == CIRA_E_NOMEM;
}

/* Runs a job; true when it succeeded. */
static bool done(cira_offload_t *device, const cira_offload_job_t *job,
                 uint64_t *out_value) {
  *out_value = UNTOUCHED;
  cira_status_t status = cira_offload_run(device, job, out_value);
  FACT(status == CIRA_OK || (is_documented(status) && *out_value == UNTOUCHED));
  failed += status != CIRA_OK;
  return status == CIRA_OK;
}

static uint64_t add_one(void *argument) {
  return ++*(uint64_t *)argument;
}

static void calls(cira_offload_t *device) {
  bool helper = (cira_offload_can(device) & CIRA_OFFLOAD_INSTALL) != 0;
  for (uint64_t i = 0; i < 4; i++) {
    uint64_t arg = i, result = UNTOUCHED, value;
    cira_offload_job_t job = {.kind = CIRA_OFFLOAD_CALL, .args = &arg};
    if (helper) {
      job.function = add_one;
      FACT(done(device, &job, &value) && value == i + 1 && arg == i + 1);
      continue;
    }
    job.kernel = "square";
    job.args_bytes = job.result_max = 8;
    job.result = &result;
    if (done(device, &job, &value)) {
      FACT(value == 8 && result == i * i);
    } else {
      FACT(result == UNTOUCHED);
    }
  }
}

/* A kernel works on what this process lends: done, or not done, or (when only
 * the answer was lost) either of the two; never half of it. */
static void ranges(cira_offload_t *device) {
  if ((cira_offload_can(device) & CIRA_OFFLOAD_INSTALL) != 0) {
    return;
  }
  uint64_t by = 3, value, *word = &nodes[9].pad[0];
  uint64_t was = *word;
  cira_call_range_t range = {word, 3 * 8, CIRA_CALL_WRITE | CIRA_CALL_READ, 0};
  cira_offload_job_t job = {.kind = CIRA_OFFLOAD_CALL,
                            .kernel = "scale",
                            .args = &by,
                            .args_bytes = 8,
                            .range = &range,
                            .range_count = 1};
  send_home(nodes, NODES * sizeof *nodes);
  bool ok = done(device, &job, &value);
  FACT(word[0] == was * 3 || (!ok && word[0] == was));
  FACT(word[1] == word[0] + 1 || word[1] == was + 1 || word[1] == was * 3 + 3);
  for (int i = 0; i < 3; i++) {
    word[i] = was + (uint64_t)i; /* it is ours again, and as before */
  }
}

static void brings(cira_offload_t *device) {
  uint64_t value;
  uint32_t can = cira_offload_can(device);
  cira_offload_job_t chain = {.kind = CIRA_OFFLOAD_CHAIN,
                              .address = nodes,
                              .bytes = sizeof(node_t),
                              .step = offsetof(node_t, next),
                              .count = NODES};
  cira_offload_job_t stream = {.kind = CIRA_OFFLOAD_STREAM,
                               .address = nodes,
                               .bytes = 8,
                               .step = 3 * sizeof(node_t),
                               .count = 100};
  cira_offload_job_t install = {.kind = CIRA_OFFLOAD_INSTALL,
                                .address = &nodes[11],
                                .bytes = 9000,
                                .level = 2};
  send_home(nodes, NODES * sizeof *nodes);
  FACT(!done(device, &chain, &value) || value <= NODES);
  if ((can & CIRA_OFFLOAD_STREAM) != 0) {
    send_home(nodes, NODES * sizeof *nodes);
    FACT(done(device, &stream, &value) && value == 100); /* a hint */
    send_home(nodes, NODES * sizeof *nodes);
    FACT(done(device, &install, &value) && value == 9000);
  }
}

/* Many jobs under way when it happens: each line is written once. */
static void ring(cira_offload_t *device) {
  enum { N = 12 };
  static cira_offload_line_t line[N];
  cira_offload_job_t job = {.kind = CIRA_OFFLOAD_CHAIN,
                            .address = nodes,
                            .bytes = sizeof(node_t),
                            .step = offsetof(node_t, next),
                            .count = 5};
  for (uint32_t i = 0; i < N; i++) {
    FACT(cira_offload_submit(device, &job, &line[i]) == CIRA_OK);
  }
  for (uint32_t i = 0; i < N; i++) {
    cira_status_t status = cira_offload_wait(&line[i], CIRA_FOREVER);
    FACT(status == line[i].status && cira_offload_done(&line[i]));
    FACT(status == CIRA_OK || is_documented(status));
    FACT((status == CIRA_OK) == (line[i].reason[0] == 0));
    failed += status != CIRA_OK;
  }
}

static void walk_edges(void) {
  static const cira_offload_field_t field = {"node", offsetof(edge_t, node),
                                             sizeof(node_t)};
  cira_offload_edges_t *e = NULL;
  cira_status_t status =
      cira_offload_edges_create(edges, NODES, sizeof(edge_t), &field, 1, &e);
  if (status != CIRA_OK) {
    FACT(status == CIRA_E_NOMEM && e == NULL);
    failed++;
    return;
  }
  send_home(nodes, NODES * sizeof *nodes);
  send_home(edges, NODES * sizeof *edges);
  for (uint64_t i = 0; i < NODES; i += 7) {
    void *edge, *node;
    FACT(cira_offload_load_edge(e, i, 8, &edge) == CIRA_OK);
    FACT(edge == &edges[i]);
    FACT(cira_offload_load_node(e, edge, "node", 8, &node) == CIRA_OK);
    FACT(((node_t *)node)->value == values[NODES - 1 - i]);
    FACT(cira_offload_evict_edge(e, i) == CIRA_OK);
  }
  cira_offload_edges_destroy(e);
}

static void everything(cira_offload_t *device) {
  calls(device);
  ranges(device);
  brings(device);
  ring(device);
  walk_edges();
  calls(device);
}

static void data_make(void *at) {
  nodes = at;
  edges = (edge_t *)(void *)(nodes + NODES);
  for (uint32_t i = 0; i < NODES; i++) { /* 7 and NODES are coprime */
    values[i] = i * UINT64_C(2654435761);
    nodes[i] = (node_t){.next = i == 57 ? NULL : &nodes[(i + 7) % NODES],
                        .value = values[i],
                        .pad = {i, i + 1, i + 2}};
    edges[i] = (edge_t){&nodes[NODES - 1 - i], i};
  }
}

#define DATA_BYTES (NODES * (sizeof(node_t) + sizeof(edge_t)))

static void data_check(void) {
  for (uint32_t i = 0; i < NODES; i++) {
    FACT(nodes[i].value == values[i] && nodes[i].pad[1] == i + 1);
    FACT(edges[i].weight == i && edges[i].node == &nodes[NODES - 1 - i]);
  }
}

/* ---- far memory at a server -----------------------------------------------
 */

static cira_offload_t *far_begin(const char *name) {
  cira_offload_t *device;
  cira_far_options_t far = cira_far_options_default();
  far.far_url = memd.shm_url;
  far.local_bytes = 1u << 20;
  FACT(cira_far_start(&far) == CIRA_OK);
  void *at = cira_far_alloc(DATA_BYTES, 4096);
  FACT(at != NULL);
  data_make(at);
  uint8_t *other = cira_far_alloc(2u << 20, 4096); /* more than fits here */
  FACT(other != NULL);
  for (uint64_t i = 0; i < 2u << 20; i += 4096) {
    other[i] = 1;
  }
  send_home = cira_prefetch_done;
  FACT(cira_offload_open(name, NULL, &device) == CIRA_OK);
  return device;
}

typedef struct {
  const char *device;
  unsigned what;
  int64_t n;
} failure_t;

/* From the N-th on all calls fail, or the N-th message. */
static void at_server(const void *argument) {
  const failure_t *f = argument;
  cira_offload_t *device = far_begin(f->device);
  calls(device); /* what begins with the first job is there */
  failing_begin(f->what, f->n);
  everything(device);
  bool reached = failing_end();
  data_check();
  cira_offload_close(device);
  uint32_t before = failed;
  FACT(cira_offload_open(f->device, NULL, &device) == CIRA_OK);
  calls(device);
  ranges(device);
  cira_offload_close(device);
  data_check();
  FACT(failed == before);
  cira_offload_stop();
  FACT(cira_far_stop() == CIRA_OK); /* nothing is lent, nothing on its way */
  _exit(!reached ? FINE : SOME_FAILED);
}

/* 10: messages come in threes, a request and the two parts of its answer. */
static int64_t at_server_each(const char *device, unsigned what, int64_t most) {
  for (int64_t n = 0; n < most; n += n < 9 ? 1 : 10) {
    failure_t f = {.device = device, .what = what, .n = n};
    int status = failing_child(at_server, &f);
    if (status == FINE) {
      return n;
    }
    if (status != SOME_FAILED) {
      fail_msg("%s: N = %d: exit %d", device, (int)n, status);
    }
  }
  fail_msg("%s: not survived", device);
  return 0;
}

static void test_nth_message_to_server(void **state) {
  (void)state;
  assert_true(at_server_each("server", FAILING_OTHER, 400) > 40);
}

static void test_nth_allocation(void **state) {
  (void)state;
  unsigned what = FAILING_MEMORY | FAILING_FILES | FAILING_F_STAYS;
  (void)at_server_each("server", what, 40);
  (void)at_server_each("helper", what, 40);
}

/* ---- far memory that fails -------------------------------------------------
 */

static void over_fault(const void *argument) {
  const failure_t *f = argument;
  cira_offload_t *device;
  void *at;
  char url[64];
  snprintf(url, sizeof url, "fault(host:;%s=%d)", f->device, (int)f->n);
  if (!place_open_url(url, 64) ||
      cira_space_alloc(place_space(), DATA_BYTES, 4096, &at) != CIRA_OK) {
    _exit(NO_SPACE); /* its message failed */
  }
  send_home = place_send_home;
  data_make(at);
  FACT(cira_offload_open("helper", NULL, &device) == CIRA_OK);
  everything(device);
  data_check();
  cira_offload_close(device);
  FACT(failed == 0); /* to bring something is a hint */
  _exit(FINE);
}

static void nth_message(const char *kind) {
  int quiet = 0, ended = 0;
  failure_t f = {.device = kind, .n = 1};
  for (; f.n < 6000 && quiet < 5; f.n += f.n < 30 ? 1 : f.n / 8) {
    int status = failing_child(over_fault, &f);
    /* a page that cannot come ends the process, and nothing else does */
    if (status != FINE && status != NO_SPACE && status != CIRA_EXIT_FAR) {
      fail_msg("%s=%d: exit %d", kind, (int)f.n, status);
    }
    ended += status != FINE;
    quiet = status == FINE ? quiet + 1 : 0;
  }
  assert_true(ended > 0);
}

static void test_nth_message_of_far_memory(void **state) {
  (void)state;
  nth_message("fail");
  nth_message("disconnect");
}

/* ---- opening, and the first job -------------------------------------------
 */

static void opens(const char *name) {
  uint64_t fds = 0, maps = 0;
  bool enough = false;
  int64_t n = 0;
  for (; !enough; n++) {
    assert_in_range(n, 0, 100);
    cira_offload_t *const none = (void *)&n;
    cira_offload_t *device = none;
    failing_begin(FAILING_ALL, n);
    cira_status_t status = cira_offload_open(name, NULL, &device);
    enough = !failing_end();
    if (status == CIRA_OK) {
      calls(device);
      cira_offload_close(device);
    } else {
      assert_false(enough);
      if (!is_documented(status)) {
        fail_msg("%s: N = %d: %s (%s)", name, (int)n, cira_status_name(status),
                 cira_status_detail());
      }
      assert_string_not_equal(cira_status_detail(), "");
      assert_ptr_equal(device, none);
    }
    cira_offload_stop();
    fds = n == 0 ? failing_fds() : fds;
    maps = n == 0 ? failing_maps() : maps;
    assert_int_equal(failing_fds(), fds);
  }
  assert_int_equal(failed, 0);
#ifdef CIRA_SANITIZED
  (void)maps; /* sanitizers map things as they like */
#else
  /* merged and split mappings differ a little, leaks would be one each */
  assert_true(failing_maps() < maps + (uint64_t)n / 2 + 4);
#endif
}

static void test_open(void **state) {
  (void)state;
  char url[200];
  snprintf(url, sizeof url, "server:%s", memd.shm_url);
  opens("helper");
  opens(url);
}

/* Without a thread there is no helper: each job says so, until there is one. */
static void test_no_helper(void **state) {
  (void)state;
  cira_offload_t *device;
  cira_offload_line_t line, same;
  uint64_t arg = 3, value = UNTOUCHED;
  cira_offload_job_t job = {
      .kind = CIRA_OFFLOAD_CALL, .function = add_one, .args = &arg};
  cira_offload_stop();
  assert_int_equal(cira_offload_open("helper", NULL, &device), CIRA_OK);
  memset(&line, 0x5a, sizeof line);
  memcpy(&same, &line, sizeof line);
  failing_begin(FAILING_THREADS | FAILING_F_STAYS, 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(cira_offload_submit(device, &job, &line), CIRA_E_SYSTEM);
    assert_memory_equal(&line, &same, sizeof line);
    assert_int_equal(cira_offload_run(device, &job, &value), CIRA_E_SYSTEM);
    assert_non_null(strstr(cira_status_detail(), "no helper thread"));
  }
  assert_true(failing_end());
  assert_int_equal(arg, 3);
  assert_int_equal(value, UNTOUCHED);
  assert_int_equal(cira_offload_submit(device, &job, &line), CIRA_OK);
  assert_int_equal(cira_offload_wait(&line, CIRA_FOREVER), CIRA_OK);
  assert_int_equal(arg, 4);
  cira_offload_close(device);
  cira_offload_stop();
}

/* What failed left nothing at the server, either. It notices by itself when a
 * client has gone. */
static void test_server_is_empty(void **state) {
  (void)state;
  uint64_t until_ns = cira__now_ns() + UINT64_C(30000000000);
  while (memd_figure(&memd, "regions") != 0 && cira__now_ns() < until_ns) {
    usleep(10000);
  }
  assert_int_equal(memd_figure(&memd, "regions"), 0);
}

int main(void) {
  char why[256];
  if (cira_space_probe(CIRA_SPACE_SIGBUS, why, sizeof why) != CIRA_OK) {
    printf("skip: %s\n", why);
    return 77;
  }
  cira_channel_t *once; /* a process with threads registers slowly for them */
  MUST(cira_channel_create(NULL, &once));
  cira_channel_destroy(once);
  const char *extra[] = {"--kernels", UNIT_KERNELS, NULL};
  memd_start(&memd, "4g", extra); /* clients leave it when it notices */
  const struct CMUnitTest tests[] = {
      /* first: they fork while there is one thread */
      cmocka_unit_test(test_nth_message_to_server),
      cmocka_unit_test(test_nth_allocation),
      cmocka_unit_test(test_nth_message_of_far_memory),
      cmocka_unit_test(test_open),
      cmocka_unit_test(test_no_helper),
      cmocka_unit_test(test_server_is_empty),
  };
  int wrong = cmocka_run_group_tests(tests, NULL, NULL);
  memd_stop(&memd);
  return wrong;
}
