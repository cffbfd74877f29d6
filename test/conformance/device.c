/* SPDX-License-Identifier: Apache-2.0
 *
 * What every offload device must do, whatever it is: fabric-device NAME, with
 * NAME "helper", "server" or "server:". Each runs with far memory at a memory
 * server that has kernels; a server is named by URL in the last case. What a
 * device cannot do it must say.
 */
#include "servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cira/coro.h"
#include "cira/far.h"
#include "cira/offload.h"

#define NODES 3000u
#define SECOND UINT64_C(1000000000)

typedef struct node {
  struct node *next;
  uint64_t value;
  uint64_t pad[30];
} node_t; /* 256 bytes: 16 in a page */

static memd_t memd;
static cira_offload_t *device;
static node_t *nodes;
static uint32_t can;

static uint64_t add_one(void *argument) {
  (*(uint64_t *)argument)++;
  return *(uint64_t *)argument;
}

/* A call that the device can do: n -> n * n, or n -> n + 1. */
static cira_offload_job_t call_job(uint64_t *arg, uint64_t *result) {
  cira_offload_job_t job = {.kind = CIRA_OFFLOAD_CALL, .args = arg};
  if ((can & CIRA_OFFLOAD_INSTALL) != 0) { /* a helper */
    job.function = add_one;
  } else {
    job.kernel = "square";
    job.args_bytes = 8;
    job.result = result;
    job.result_max = 8;
  }
  return job;
}

static cira_offload_job_t chain_job(uint64_t count) {
  return (cira_offload_job_t){.kind = CIRA_OFFLOAD_CHAIN,
                              .address = nodes,
                              .bytes = sizeof(node_t),
                              .step = offsetof(node_t, next),
                              .count = count};
}

static void list_make(void) {
  for (uint32_t i = 0; i < NODES; i++) { /* 7919 and NODES are coprime */
    uint32_t at = (uint32_t)((uint64_t)i * 7919 % NODES);
    uint32_t next = (uint32_t)((uint64_t)(i + 1) * 7919 % NODES);
    nodes[at] =
        (node_t){.next = i + 1 < NODES ? &nodes[next] : NULL, .value = i};
  }
}

/* Everything goes home: the cache is smaller than what is touched here. */
static void cache_empty(void) {
  uint64_t bytes = 8u << 20;
  uint8_t *other = cira_far_alloc(bytes, 4096);
  assert_non_null(other);
  for (uint64_t i = 0; i < bytes; i += 4096) {
    other[i] = 1;
  }
  MUST(cira_far_free(other));
}

static cira_far_stats_t stats(void) {
  cira_far_stats_t s = {.size = sizeof(s)};
  MUST(cira_far_stats(&s));
  return s;
}

/* ---- cases -------------------------------------------------------------- */

static void case_call(void) {
  uint64_t arg = 6;
  uint64_t result = 0;
  uint64_t value = 0;
  cira_offload_job_t job = call_job(&arg, &result);
  MUST(cira_offload_run(device, &job, &value));
  if (job.function) {
    assert_int_equal(value, 7);
    assert_int_equal(arg, 7);
  } else {
    assert_int_equal(value, 8);
    assert_int_equal(result, 36);
  }
}

/* More jobs than places; order; each line once. */
static void case_ring(void) {
  enum { N = 500 };
  static cira_offload_line_t line[N];
  static uint64_t arg[N];
  static uint64_t result[N];
  uint32_t full = 0;
  for (uint32_t i = 0; i < N; i++) {
    arg[i] = i;
    cira_offload_job_t job = call_job(&arg[i], &result[i]);
    cira_status_t status;
    while ((status = cira_offload_submit(device, &job, &line[i])) ==
           CIRA_AGAIN) {
      full++;
      assert_true(i >= 8);
      MUST(cira_offload_wait(&line[i - 8], CIRA_FOREVER));
    }
    MUST(status);
  }
  (void)full;
  for (uint32_t i = N; i-- > 0;) {
    MUST(cira_offload_wait(&line[i], CIRA_FOREVER));
    assert_true(cira_offload_done(&line[i]));
    assert_int_equal(line[i].status, CIRA_OK);
    assert_true(arg[i] == i + 1 || result[i] == (uint64_t)i * i);
  }
}

/* The list is here afterwards: walking it takes hardly a fault. */
static void case_chain(void) {
  uint64_t value = 0;
  uint64_t sum = 0;
  list_make();
  cache_empty();
  cira_offload_job_t job = chain_job(NODES + 10);
  uint64_t faults = stats().faults;
  uint64_t in = stats().pages_in;
  if ((can & CIRA_OFFLOAD_CHAIN) == 0) {
    assert_int_equal(cira_offload_run(device, &job, &value),
                     CIRA_E_UNSUPPORTED);
    return;
  }
  for (int i = 0; i < 3; i++) { /* as far as an eighth of the cache, each */
    MUST(cira_offload_run(device, &job, &value));
    assert_true(value >= 60 && value <= NODES);
  }
  assert_true(stats().pages_in > in);
  job.count = 17;
  MUST(cira_offload_run(device, &job, &value));
  assert_int_equal(value, 17);
  faults = stats().faults - faults;
  assert_true(faults < 100); /* the device does not fetch by faulting */
  for (node_t *n = nodes; n; n = n->next) {
    sum += n->value;
  }
  assert_int_equal(sum, (uint64_t)NODES * (NODES - 1) / 2);
}

static void case_stream_and_install(void) {
  uint64_t value = 0;
  cira_offload_job_t stream = {.kind = CIRA_OFFLOAD_STREAM,
                               .address = nodes,
                               .bytes = 8,
                               .step = sizeof(node_t),
                               .count = 100};
  cira_offload_job_t install = {.kind = CIRA_OFFLOAD_INSTALL,
                                .address = &nodes[5],
                                .bytes = 64,
                                .level = 3};
  cache_empty();
  uint64_t in = stats().pages_in;
  if ((can & CIRA_OFFLOAD_STREAM) == 0) {
    assert_int_equal(cira_offload_run(device, &stream, NULL),
                     CIRA_E_UNSUPPORTED);
  } else {
    MUST(cira_offload_run(device, &stream, &value));
    assert_int_equal(value, 100);
    assert_true(stats().pages_in >= in + 6); /* 7 pages, some may be here */
    uint64_t faults = stats().faults;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 100; i++) {
      sum += nodes[i].value;
    }
    assert_true(sum > 0 && stats().faults - faults <= 1);
  }
  if ((can & CIRA_OFFLOAD_INSTALL) == 0) {
    assert_int_equal(cira_offload_run(device, &install, NULL),
                     CIRA_E_UNSUPPORTED);
    return;
  }
  cache_empty();
  for (uint32_t level = 0; level <= 3; level++) {
    install.level = level;
    MUST(cira_offload_run(device, &install, &value));
    assert_int_equal(value, 64);
  }
  uint64_t faults = stats().faults;
  assert_true(nodes[5].value < NODES);
  assert_int_equal(stats().faults, faults);
  uint64_t near = 3;
  install.address = &near;
  install.bytes = 8;
  MUST(cira_offload_run(device, &install, &value));
}

static void case_deadline(void) {
  uint64_t arg = 1;
  uint64_t result = 5;
  uint64_t value = 9;
  cira_offload_job_t job = call_job(&arg, &result);
  job.deadline_ns = 1;
  assert_int_equal(cira_offload_run(device, &job, &value), CIRA_E_DEADLINE);
  assert_int_equal(value, 9);
  assert_int_equal(arg, 1);
  assert_int_equal(result, 5);
  cira_offload_line_t none = {.status = CIRA_PENDING};
  assert_int_equal(cira_offload_wait(&none, cira__now_ns() + SECOND / 50),
                   CIRA_PENDING);
  assert_false(cira_offload_done(&none));
  case_call();
}

static void case_bad(void) {
  uint64_t arg = 1;
  uint64_t result;
  cira_offload_line_t line;
  cira_offload_job_t good = call_job(&arg, &result);
  cira_offload_job_t none = {0};
  cira_offload_job_t both = {
      .kind = CIRA_OFFLOAD_CALL, .function = add_one, .kernel = "square"};
  cira_offload_job_t two = {.kind = 3, .address = nodes, .bytes = 8};
  cira_offload_job_t link = chain_job(5);
  cira_offload_job_t empty = chain_job(0);
  link.step = sizeof(node_t) - 7;
  const cira_offload_job_t *bad[] = {&none, &both, &two, &link, &empty};
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    assert_int_equal(cira_offload_submit(device, bad[i], &line),
                     CIRA_E_INVALID);
  }
  assert_int_equal(cira_offload_submit(NULL, &good, &line), CIRA_E_INVALID);
  assert_int_equal(cira_offload_submit(device, NULL, &line), CIRA_E_INVALID);
  assert_int_equal(cira_offload_submit(device, &good, NULL), CIRA_E_INVALID);
  assert_int_equal(
      cira_offload_submit(device, &good, (void *)((char *)&line + 8)),
      CIRA_E_INVALID);
  assert_int_equal(cira_offload_wait(NULL, CIRA_FOREVER), CIRA_E_INVALID);
  cira_offload_job_t foreign = {.kind = CIRA_OFFLOAD_CALL, .args = &arg};
  if (good.function) {
    foreign.kernel = "square";
  } else {
    foreign.function = add_one;
  }
  assert_int_equal(cira_offload_submit(device, &foreign, &line),
                   CIRA_E_UNSUPPORTED);
  /* the head of a list that is nowhere: nothing to bring, or an error */
  cira_offload_job_t wild = chain_job(5);
  wild.address = (const void *)UINT64_C(0x10);
  uint64_t value = 0;
  cira_status_t status = cira_offload_run(device, &wild, &value);
  assert_true(status == CIRA_OK ? value <= 1 : status == CIRA_E_RANGE);
  case_call();
}

/* A kernel that fails or dies is the job's end, not the device's. */
static void case_failing_call(void) {
  if ((can & CIRA_OFFLOAD_INSTALL) != 0) {
    return; /* a function on a helper has no status, and dies with us */
  }
  cira_offload_job_t job = {.kind = CIRA_OFFLOAD_CALL, .kernel = "refuse"};
  assert_int_equal(cira_offload_run(device, &job, NULL), -1234);
  job.kernel = "crash";
  assert_int_equal(cira_offload_run(device, &job, NULL), CIRA_E_DISCONNECTED);
  job.kernel = "nobody";
  assert_int_equal(cira_offload_run(device, &job, NULL), CIRA_E_INVALID);
  cira_call_range_t range = {nodes, sizeof(node_t) * NODES, CIRA_CALL_READ, 0};
  uint64_t head = (uint64_t)(uintptr_t)nodes;
  struct {
    uint64_t head, offset, bytes, count;
  } walk = {head, 0, sizeof(node_t), 4};
  uint64_t found[8] = {0};
  job = (cira_offload_job_t){.kind = CIRA_OFFLOAD_CALL,
                             .kernel = "cira.chain",
                             .args = &walk,
                             .args_bytes = sizeof(walk),
                             .result = found,
                             .result_max = sizeof(found),
                             .range = &range,
                             .range_count = 1};
  uint64_t value = 0;
  list_make();
  MUST(cira_offload_run(device, &job, &value));
  assert_int_equal(value, 40);
  assert_int_equal(found[0], head);
  assert_int_equal(found[1], (uint64_t)(uintptr_t)nodes[0].next);
  case_call();
}

/* Tasks wait for their jobs side by side. */
static int64_t task(void *argument) {
  uint64_t *sum = argument;
  uint64_t arg = 2;
  uint64_t result;
  cira_offload_job_t job = call_job(&arg, &result);
  for (int i = 0; i < 20; i++) {
    arg = 2;
    MUST(cira_offload_run(device, &job, NULL));
    (*sum)++;
  }
  return 0;
}

static void case_tasks(void) {
  uint64_t sum = 0;
  cira_sched_t *sched;
  MUST(cira_sched_create(NULL, &sched));
  for (int i = 0; i < 4; i++) {
    MUST(cira_sched_spawn(sched, task, &sum, CIRA_TASK_F_DETACHED, 0, NULL));
  }
  MUST(cira_sched_run(sched));
  MUST(cira_sched_destroy(sched));
  assert_int_equal(sum, 80);
}

/* Closed with jobs under way: they end first. */
static void case_close(const char *name) {
  static cira_offload_line_t line[4];
  uint64_t arg[4] = {1, 1, 1, 1};
  uint64_t result[4];
  cira_offload_t *second;
  MUST(cira_offload_open(name, NULL, &second));
  for (int i = 0; i < 4; i++) {
    cira_offload_job_t job = call_job(&arg[i], &result[i]);
    MUST(cira_offload_submit(second, &job, &line[i]));
  }
  cira_offload_close(second);
  for (int i = 0; i < 4; i++) {
    assert_true(cira_offload_done(&line[i]));
    assert_int_equal(line[i].status, CIRA_OK);
  }
  cira_offload_close(NULL);
  assert_int_equal(cira_offload_can(NULL), 0);
}

static void case_bad_open(void) {
  cira_offload_options_t opt = cira_offload_options_default();
  cira_offload_t *none = NULL;
  const char *names[] = {"",         "gpu",          "helperx",
                         "helper:1", "server:host:", "server:nonsense"};
  for (size_t i = 0; i < CIRA_COUNT(names); i++) {
    cira_status_t status = cira_offload_open(names[i], NULL, &none);
    assert_true(status == CIRA_E_INVALID || status == CIRA_E_UNSUPPORTED);
  }
  assert_int_equal(cira_offload_open(NULL, NULL, &none), CIRA_E_INVALID);
  assert_int_equal(cira_offload_open("helper", NULL, NULL), CIRA_E_INVALID);
  opt.depth = 3;
  assert_int_equal(cira_offload_open("helper", &opt, &none), CIRA_E_INVALID);
  opt.depth = 2 * CIRA_OFFLOAD_DEPTH_MAX;
  assert_int_equal(cira_offload_open("helper", &opt, &none), CIRA_E_RANGE);
  opt = cira_offload_options_default();
  opt.core = 1000;
  assert_int_equal(cira_offload_open("helper", &opt, &none), CIRA_E_RANGE);
  opt.size = 4;
  assert_int_equal(cira_offload_open("helper", &opt, &none), CIRA_E_INVALID);
  assert_null(none);
}

static const char *device_name;

static void test_device(void **state) {
  (void)state;
  char name[200];
  cira_far_options_t far = cira_far_options_default();
  far.far_url = memd.shm_url;
  far.local_bytes = 2u << 20;
  MUST(cira_far_start(&far)); /* in the test: its faults are ours, not cmocka's
                               */
  nodes = cira_far_alloc(NODES * sizeof(node_t), 4096);
  assert_non_null(nodes);
  (void)snprintf(name, sizeof(name), "%s%s", device_name,
                 strcmp(device_name, "server:") == 0 ? memd.tcp_url : "");
  cira_offload_options_t opt = cira_offload_options_default();
  opt.depth = 16;
  MUST(cira_offload_open(name, &opt, &device));
  can = cira_offload_can(device);
  assert_true((can & CIRA_OFFLOAD_CALL) != 0);
  case_call();
  case_ring();
  case_chain();
  case_stream_and_install();
  case_deadline();
  case_bad();
  case_failing_call();
  case_tasks();
  case_close(name);
  case_bad_open();
  cira_offload_close(device);
  MUST(cira_far_free(nodes));
  MUST(cira_far_stop());
}

int main(int argc, char **argv) {
  device_name = argc > 1 ? argv[1] : "helper";
  const char *extra[] = {"--kernels", UNIT_KERNELS, NULL};
  memd_start(&memd, "256m", extra);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_device)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  memd_stop(&memd);
  return failed;
}
