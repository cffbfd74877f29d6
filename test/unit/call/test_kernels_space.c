/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels that work on the far memory of this process: what was dirty here they
 * see, what they wrote is seen here, bytes beside their ranges are safe, and
 * who touches a range meanwhile waits.
 *   unit-call-kernels-space sigbus|thread|sigsegv shm|tcp
 */
#include "cira/call.h"
#include "space/space.h"

#include "../../conformance/servers.h"
#include "../../conformance/tsan.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS (1u << 20) /* 8 MiB, the cache holds 2 */
#define SECOND UINT64_C(1000000000)

static memd_t memd;
static cira_space_t *space;
static cira_call_client_t *client;
static uint64_t *data;

static void on_fault(int signo, siginfo_t *info, void *context) {
  if (!cira_space_fault(space, signo, info, context)) {
    (void)signal(signo, SIG_DFL);
  }
}

static void alt_stack(void) {
  stack_t ss = {.ss_size = 128u << 10};
  ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(ss.ss_sp != MAP_FAILED);
  assert_int_equal(sigaltstack(&ss, NULL), 0);
}

/* Faults are ours, not those of the test library, which takes them before each
 * test. */
static void begin(void **state) {
  (void)state;
  if (cira_space_signal(space)) {
    struct sigaction sa = {.sa_sigaction = on_fault,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&sa.sa_mask);
    (void)sigaction(cira_space_signal(space), &sa, NULL);
  }
}

static uint32_t find(const char *name) {
  uint32_t number = 0;
  MUST(cira_call_find(client, name, CIRA_FOREVER, &number));
  return number;
}

static cira_status_t call_on(const char *name, uint64_t arg, uint64_t *result,
                             const cira_call_range_t *range, uint32_t count) {
  cira_call_t call = {0};
  cira_call_request_t r = {.args = &arg,
                           .args_bytes = 8,
                           .result = result,
                           .result_max = result ? 8 : 0,
                           .range = range,
                           .range_count = count,
                           .wait_ns = CIRA_FOREVER};
  cira_status_t status = cira_call_submit(client, find(name), &r, &call);
  return status == CIRA_OK ? cira_call_wait(client, &call, CIRA_FOREVER)
                           : status;
}

static cira_call_range_t part(uint64_t first, uint64_t count, uint32_t access) {
  return (cira_call_range_t){data + first, count * 8, access, 0};
}

static uint64_t local_sum(uint64_t first, uint64_t count) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    sum += data[first + i];
  }
  return sum;
}

static void fill(void) {
  for (uint64_t i = 0; i < WORDS; i++) {
    data[i] = i * 2654435761u;
  }
}

static void test_sees_dirty(void **state) {
  begin(state);
  uint64_t result = 0;
  fill();
  uint64_t want = local_sum(0, WORDS);
  for (uint32_t round = 0; round < 5; round++) {
    cira_call_range_t all = part(0, WORDS, CIRA_CALL_READ);
    MUST(call_on("sum", 0, &result, &all, 1));
    assert_int_equal(result, want);
    for (uint64_t i = round; i < WORDS; i += 1000) {
      data[i] += 7;
      want += 7;
    }
  }
}

/* Ranges that begin and end within pages; the neighbours change here before,
 * meanwhile and after. */
static void test_writes_come_back(void **state) {
  begin(state);
  fill();
  for (uint64_t first = 100; first < WORDS - 40000; first += 99991) {
    uint64_t count = 1 + first % 30011;
    uint64_t before = data[first - 1];
    uint64_t want = local_sum(first, count) * 5;
    cira_call_range_t r = part(first, count, CIRA_CALL_READ | CIRA_CALL_WRITE);
    data[first - 1] = before + 1;
    MUST(call_on("scale", 5, NULL, &r, 1));
    assert_int_equal(data[first - 1], before + 1);
    assert_int_equal(data[first + count], (first + count) * 2654435761u);
    assert_int_equal(local_sum(first, count), want);
  }
}

/* Memory that was never touched is at home nowhere, until a kernel writes. */
static void test_fresh_memory(void **state) {
  begin(state);
  void *p;
  uint64_t result = 1;
  MUST(cira_space_alloc(space, 1 << 20, 4096, &p));
  uint64_t *fresh = p;
  cira_call_range_t r = {p, 1 << 20, CIRA_CALL_WRITE, 0};
  MUST(call_on("sum", 0, &result, &r, 1));
  assert_int_equal(result, 0);
  assert_int_equal(fresh[5000], 0);
  cira_call_range_t half = {p, 1 << 19, CIRA_CALL_WRITE, 0};
  assert_int_equal(call_on("crash", 0, NULL, &half, 1), CIRA_E_DISCONNECTED);
  assert_int_equal(fresh[0], 0x7777777777777777u);
  assert_int_equal(fresh[(1 << 18) / 8], 0);
  fresh[1] = 4; /* and it is ordinary memory again */
  assert_int_equal(fresh[1], 4);
  cira_space_decommit(space, p, 1 << 20);
}

/* Lists in far memory, followed at home by the addresses they have here. */
static void test_pointers(void **state) {
  begin(state);
  uint64_t n = 20000;
  uint64_t result = 0;
  for (uint64_t i = 0; i < n; i++) { /* a permutation: 7919 and n are coprime */
    uint64_t at = i * 7919 % n;
    uint64_t next = (i + 1) * 7919 % n;
    data[2 * at] = i + 1 < n ? (uint64_t)(uintptr_t)&data[2 * next] : 0;
    data[2 * at + 1] = i;
  }
  cira_call_range_t r = part(0, 2 * n, CIRA_CALL_READ);
  MUST(call_on("chase", (uint64_t)(uintptr_t)data, &result, &r, 1));
  assert_int_equal(result, n * (n - 1) / 2);
}

typedef struct {
  uint64_t count;
  _Atomic bool stop;
} toucher_t;

static void *touch(void *arg) {
  toucher_t *t = arg;
  alt_stack();
  while (!atomic_load(&t->stop)) {
    for (uint64_t i = 1; i < WORDS; i += 512) { /* beside the ranges */
      data[i]++;
      t->count++;
    }
  }
  return NULL;
}

/* Another thread writes into the same pages all the time, to other words. */
static void test_beside_a_thread(void **state) {
  begin(state);
  toucher_t t = {0};
  pthread_t thread;
  memset(data, 0, WORDS * 8ull);
  cira_space_thread_add(space);
  assert_int_equal(pthread_create(&thread, NULL, touch, &t), 0);
  for (uint64_t i = 0; i < WORDS; i += 512) {
    data[i] = 1;
  }
  for (int round = 0; round < 20; round++) {
    cira_call_range_t r[CIRA_CALL_RANGE_MAX];
    for (uint32_t i = 0; i < CIRA_CALL_RANGE_MAX; i++) {
      r[i] = part((uint64_t)i * 512, 1, CIRA_CALL_READ | CIRA_CALL_WRITE);
    }
    for (uint32_t i = 0; i < CIRA_CALL_RANGE_MAX; i++) {
      MUST(call_on("scale", 3, NULL, &r[i], 1));
    }
    uint64_t sum = 0;
    MUST(call_on("sum", 0, &sum, r, CIRA_CALL_RANGE_MAX));
    uint64_t want = CIRA_CALL_RANGE_MAX;
    for (int i = 0; i <= round; i++) {
      want *= 3;
    }
    assert_int_equal(sum, want);
  }
  atomic_store(&t.stop, true);
  assert_int_equal(pthread_join(thread, NULL), 0);
  cira_space_thread_remove(space);
  uint64_t counted = 0;
  for (uint64_t i = 1; i < WORDS; i += 512) {
    counted += data[i];
  }
  assert_int_equal(counted, t.count);
  for (uint64_t i = 0; i < WORDS; i += 512) {
    assert_int_equal(data[i], i / 512 < CIRA_CALL_RANGE_MAX ? 3486784401u : 1);
  }
}

static void test_bad(void **state) {
  begin(state);
  uint64_t result = 3;
  uint64_t here = 0;
  void *p;
  MUST(cira_space_reserve(space, 4 << 20, 2 << 20, &p));
  cira_call_range_t bad[] = {
      {&here, 8, CIRA_CALL_READ, 0},
      {p, 4 << 20, CIRA_CALL_WRITE, 0},
      {data, UINT64_C(1) << 50, CIRA_CALL_READ, 0},
  };
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    assert_int_equal(call_on("sum", 0, &result, &bad[i], 1), CIRA_E_RANGE);
  }
  assert_int_equal(result, 3);
  /* overlapping ranges are one */
  cira_call_range_t twice[2] = {part(0, 600, CIRA_CALL_WRITE),
                                part(300, 600, CIRA_CALL_WRITE)};
  memset(data, 0, 8192);
  data[0] = data[400] = 1;
  MUST(call_on("sum", 0, &result, twice, 2));
  assert_int_equal(result, 3);
  /* a system call has the page */
  assert_int_equal(cira_space_pin(space, data, 8, CIRA_PIN_WRITE), 8);
  assert_int_equal(call_on("sum", 0, &result, twice, 1), CIRA_E_BUSY);
  cira_space_unpin(space, data, 8);
  MUST(call_on("sum", 0, &result, twice, 1));
  assert_int_equal(result, 2);
}

/* The child of a process with threads starts one, in mode thread. */
TSAN_OPTIONS_OF_TEST("die_after_fork=0");

/* After a fork the parent writes into another region; the child dies. */
static void test_fork(void **state) {
  begin(state);
  fill();
  uint64_t want = local_sum(0, WORDS);
  uint64_t result = 0;
  MUST(cira_space_fork_prepare(space));
  pid_t child = fork();
  if (child == 0) {
    bool ok = cira_space_fork_child(space) == CIRA_OK &&
              cira_space_fork_finish(space) == CIRA_OK;
    _exit(ok && data[1] == 2654435761u ? 0 : 1);
  }
  cira_space_fork_parent(space, true);
  cira_call_range_t all = part(0, WORDS, CIRA_CALL_READ);
  MUST(call_on("sum", 0, &result, &all, 1));
  assert_int_equal(result, want);
  cira_call_range_t some = part(1000, 5000, CIRA_CALL_WRITE);
  want += local_sum(1000, 5000);
  MUST(call_on("scale", 2, NULL, &some, 1));
  assert_int_equal(local_sum(0, WORDS), want);
  int how;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_int_equal(how, 0);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "sigbus";
  const char *extra[] = {"--kernels", UNIT_KERNELS, NULL};
  memd_start(&memd, "256m", extra);
  cira_space_options_t opt;
  cira_space_options_default(&opt);
  opt.mode = strcmp(mode, "thread") == 0    ? CIRA_SPACE_THREAD
             : strcmp(mode, "sigsegv") == 0 ? CIRA_SPACE_SIGSEGV
                                            : CIRA_SPACE_SIGBUS;
  opt.local_bytes = 2u << 20;
  opt.url =
      argc > 2 && strcmp(argv[2], "tcp") == 0 ? memd.tcp_url : memd.shm_url;
  if (cira_space_create(&opt, &space) != CIRA_OK) {
    printf("skipped: %s\n", cira_status_detail());
    memd_stop(&memd);
    return 77;
  }
  alt_stack();
  void *p;
  MUST(cira_space_alloc(space, WORDS * 8ull, 4096, &p));
  data = p;
  MUST(cira_call_server(NULL, NULL, NULL, CIRA_FOREVER, &client));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sees_dirty),
      cmocka_unit_test(test_writes_come_back),
      cmocka_unit_test(test_fresh_memory),
      cmocka_unit_test(test_pointers),
      cmocka_unit_test(test_beside_a_thread),
      cmocka_unit_test(test_bad),
      cmocka_unit_test(test_fork),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  cira_call_destroy(client);
  cira_space_destroy(space);
  memd_stop(&memd);
  return failed;
}
