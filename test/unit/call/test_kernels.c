/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to kernels of a memory server, over one kind of connection:
 *   unit-call-kernels shm|unix|tcp
 * Data lies in a region of the server that this test writes through the fabric;
 * the session knows it as memory at a made-up address (REGION).
 */
#include "call/internal.h"
#include "fabric/fabric.h"
#include "space/space.h"

#include "../../conformance/servers.h"
#include "../../conformance/tsan.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS 8192u
#define REGION CIRA_SPACE_BASE /* where programs may be, also with TSan */
#define SECOND UINT64_C(1000000000)

static memd_t memd;
static const char *place;
static cira_fabric_t *fabric;
static cira_region_t region;
static cira_call_client_t *client;

static const char *url_of(const memd_t *m) {
  return strcmp(place, "shm") == 0    ? m->shm_url
         : strcmp(place, "unix") == 0 ? m->unix_url
                                      : m->tcp_url;
}

static uint64_t in(uint64_t ns) {
  return cira__now_ns() + ns;
}

static uint32_t find(const char *name) {
  uint32_t number = 0;
  MUST(cira_call_find(client, name, in(60 * SECOND), &number));
  return number;
}

static cira_call_range_t words_of(uint64_t first, uint64_t count,
                                  uint32_t access) {
  return (cira_call_range_t){.at = (void *)(uintptr_t)(REGION + first * 8),
                             .bytes = count * 8,
                             .access = access};
}

/* One call about some ranges. */
static cira_status_t call_on(const char *name, const void *args,
                             uint32_t args_bytes, void *result,
                             uint32_t result_max,
                             const cira_call_range_t *range, uint32_t count,
                             uint64_t deadline_ns, cira_call_t *call) {
  cira_call_request_t r = {.args = args,
                           .args_bytes = args_bytes,
                           .result = result,
                           .result_max = result_max,
                           .range = range,
                           .range_count = count,
                           .deadline_ns = deadline_ns,
                           .wait_ns = CIRA_FOREVER};
  memset(call, 0, sizeof(*call));
  cira_status_t status = cira_call_submit(client, find(name), &r, call);
  return status == CIRA_OK ? cira_call_wait(client, call, CIRA_FOREVER)
                           : status;
}

static void fill(void) {
  static uint64_t words[WORDS];
  for (uint64_t i = 0; i < WORDS; i++) {
    words[i] = i;
  }
  MUST(cira_fabric_write(fabric, region, 0, words, sizeof(words)));
}

static uint64_t word(uint64_t index) {
  uint64_t value;
  MUST(cira_fabric_read(fabric, region, index * 8, &value, 8));
  return value;
}

/* ---- what works --------------------------------------------------------- */

static void test_values(void **state) {
  (void)state;
  uint64_t n = 12;
  uint64_t result = 0;
  uint32_t bytes = 0;
  MUST(cira_call_run(client, find("square"), &n, 8, &result, 8, CIRA_FOREVER,
                     &bytes));
  assert_int_equal(result, 144);
  assert_int_equal(bytes, 8);
  assert_int_equal(find("square"), find("square"));
}

static void test_ranges(void **state) {
  (void)state;
  cira_call_t call;
  uint64_t result = 0;
  uint64_t by = 3;
  fill();
  cira_call_range_t both[2] = {words_of(0, 100, CIRA_CALL_READ),
                               words_of(1000, 10, CIRA_CALL_READ)};
  MUST(call_on("sum", NULL, 0, &result, 8, both, 2, 0, &call));
  assert_int_equal(result, 99 * 100 / 2 + 10 * 1000 + 45);
  cira_call_range_t part = words_of(50, 20, CIRA_CALL_READ | CIRA_CALL_WRITE);
  MUST(call_on("scale", &by, 8, NULL, 0, &part, 1, 0, &call));
  assert_int_equal(word(49), 49);
  assert_int_equal(word(50), 150);
  assert_int_equal(word(69), 207);
  assert_int_equal(word(70), 70);
}

/* Pointers in the region are addresses of this process. */
static void test_pointers(void **state) {
  (void)state;
  cira_call_t call;
  uint64_t nodes[20];
  uint64_t result = 0;
  for (uint64_t i = 0; i < 10; i++) {
    nodes[2 * i] = i < 9 ? REGION + (i + 1) * 16 : 0;
    nodes[2 * i + 1] = i + 1;
  }
  MUST(cira_fabric_write(fabric, region, 0, nodes, sizeof(nodes)));
  uint64_t from = REGION;
  cira_call_range_t all = words_of(0, 20, CIRA_CALL_READ);
  MUST(call_on("chase", &from, 8, &result, 8, &all, 1, 0, &call));
  assert_int_equal(result, 55);
  cira_call_range_t less = words_of(0, 18, CIRA_CALL_READ);
  assert_int_equal(call_on("chase", &from, 8, &result, 8, &less, 1, 0, &call),
                   CIRA_E_RANGE);
  assert_string_equal(call.detail, "the list leaves the range");
}

static void many(const char *name, uint32_t count, uint32_t batch) {
  uint64_t *n = malloc(8ull * count);
  uint64_t *result = calloc(count, 8);
  uint64_t done = 0;
  assert_true(n && result);
  for (uint32_t i = 0; i < count; i++) {
    n[i] = i * 7 + 1;
  }
  cira_call_many_t m = {.args = n,
                        .results = result,
                        .count = count,
                        .args_bytes = 8,
                        .result_bytes = 8,
                        .batch = batch};
  MUST(cira_call_many(client, find(name), &m, &done));
  assert_int_equal(done, count);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(result[i], n[i] * n[i]);
  }
  free(n);
  free(result);
}

static void test_many(void **state) {
  (void)state;
  many("square", 10000, 0);
  many("squares", 10000, 0);
  many("squares", 300, 1);
}

/* Several calls under way; they run in order. */
static void test_in_flight(void **state) {
  (void)state;
  enum { N = 32 };
  cira_call_t call[N] = {0};
  uint64_t arg[N];
  uint64_t result[N];
  uint32_t square = find("square");
  for (uint32_t i = 0; i < N; i++) {
    arg[i] = i;
    cira_call_request_t r = {.args = &arg[i],
                             .args_bytes = 8,
                             .result = &result[i],
                             .result_max = 8,
                             .wait_ns = CIRA_FOREVER};
    MUST(cira_call_submit(client, square, &r, &call[i]));
  }
  for (uint32_t i = N; i-- > 0;) {
    MUST(cira_call_wait(client, &call[i], CIRA_FOREVER));
    assert_int_equal(result[i], i * i);
  }
}

/* ---- what fails --------------------------------------------------------- */

static void square_works(void) {
  test_values(NULL);
}

static void test_refusals(void **state) {
  (void)state;
  uint32_t number = 77;
  uint64_t word8 = 1;
  cira_call_t call;
  assert_int_equal(cira_call_find(client, "nobody", CIRA_FOREVER, &number),
                   CIRA_E_INVALID);
  assert_int_equal(number, 77);
  assert_int_equal(call_on("refuse", NULL, 0, NULL, 0, NULL, 0, 0, &call),
                   -1234);
  assert_string_equal(call.detail, "not today");
  assert_int_equal(call_on("odd", NULL, 0, NULL, 0, NULL, 0, 0, &call),
                   CIRA_E_PROTOCOL);
  assert_int_equal(call_on("liar", NULL, 0, &word8, 8, NULL, 0, 0, &call),
                   CIRA_E_RANGE);
  assert_int_equal(word8, 1);
  square_works();
}

static void test_bad_ranges(void **state) {
  (void)state;
  cira_call_t call;
  uint64_t result = 5;
  cira_call_range_t one = words_of(0, 4, CIRA_CALL_READ);
  cira_call_range_t many_ranges[CIRA_CALL_RANGE_MAX + 1];
  for (uint32_t i = 0; i <= CIRA_CALL_RANGE_MAX; i++) {
    many_ranges[i] = one;
  }
  assert_int_equal(call_on("sum", NULL, 0, &result, 8, many_ranges,
                           CIRA_CALL_RANGE_MAX + 1, 0, &call),
                   CIRA_E_RANGE);
  MUST(call_on("sum", NULL, 0, &result, 8, many_ranges, CIRA_CALL_RANGE_MAX, 0,
               &call));
  result = 5;
  struct {
    cira_call_range_t range;
    cira_status_t status;
  } bad[] = {
      {{&result, 8, CIRA_CALL_READ, 0}, CIRA_E_RANGE},
      {{NULL, 8, CIRA_CALL_READ, 0}, CIRA_E_INVALID},
      {words_of(0, 0, CIRA_CALL_READ), CIRA_E_INVALID},
      {words_of(0, 1, 0), CIRA_E_INVALID},
      {words_of(0, 1, 4), CIRA_E_INVALID},
      {words_of(WORDS - 1, 2, CIRA_CALL_READ), CIRA_E_RANGE},
      {words_of(0, UINT64_MAX / 8, CIRA_CALL_READ), CIRA_E_RANGE},
      {words_of(WORDS, 1, CIRA_CALL_READ), CIRA_E_RANGE},
  };
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    assert_int_equal(
        call_on("sum", NULL, 0, &result, 8, &bad[i].range, 1, 0, &call),
        bad[i].status);
    assert_int_equal(result, 5);
  }
  assert_int_equal(call_on("sum", NULL, 0, &result, 8, NULL, 1, 0, &call),
                   CIRA_E_INVALID);
  cira_call_many_t m = {
      .count = 1, .range = bad[0].range.at, .range_count = 99};
  assert_int_equal(cira_call_many(client, find("sum"), &m, NULL), CIRA_E_RANGE);
  square_works();
}

/* A kernel dies: its call ends, the data and the server stay. */
static void test_crash(void **state) {
  (void)state;
  cira_call_t call;
  uint64_t result = 1;
  fill();
  cira_call_range_t part = words_of(0, 16, CIRA_CALL_WRITE);
  assert_int_equal(call_on("crash", NULL, 0, &result, 8, &part, 1, 0, &call),
                   CIRA_E_DISCONNECTED);
  assert_non_null(strstr(call.detail, "'crash' crashed"));
  assert_non_null(strstr(call.detail, "signal 6"));
  assert_int_equal(result, 1);
  assert_int_equal(word(7), 0x7777777777777777u); /* what it had written */
  assert_int_equal(word(8), 8);
  square_works();
  assert_int_equal(call_on("leave", NULL, 0, NULL, 0, NULL, 0, 0, &call),
                   CIRA_E_DISCONNECTED);
  assert_non_null(strstr(call.detail, "'leave'"));
  test_ranges(NULL);
  assert_int_equal(memd_figure(&memd, "clients_garbage"), 0);
}

/* A batch stops where its kernel dies. */
static void test_crash_many(void **state) {
  (void)state;
  uint64_t done = 9;
  cira_call_many_t m = {.count = 100};
  assert_int_equal(cira_call_many(client, find("crash"), &m, &done),
                   CIRA_E_DISCONNECTED);
  assert_int_equal(done, 0);
  square_works();
}

static void test_deadline(void **state) {
  (void)state;
  cira_call_t call;
  assert_int_equal(
      call_on("hang", NULL, 0, NULL, 0, NULL, 0, in(SECOND / 10), &call),
      CIRA_E_DEADLINE);
  square_works(); /* waits until the kernel was killed */
  /* one that stops in time may be heard before the caller gives up */
  cira_status_t status =
      call_on("patient", NULL, 0, NULL, 0, NULL, 0, in(SECOND / 10), &call);
  assert_true(status == CIRA_E_DEADLINE || status == CIRA_E_CANCELLED);
  square_works();
}

static void test_cancel(void **state) {
  (void)state;
  cira_call_t call = {0};
  cira_call_request_t r = {.wait_ns = CIRA_FOREVER};
  MUST(cira_call_submit(client, find("patient"), &r, &call));
  assert_int_equal(cira_call_wait(client, &call, in(SECOND / 10)),
                   CIRA_E_DEADLINE);
  assert_int_equal(call.status, CIRA_PENDING);
  MUST(cira_call_cancel(client, &call));
  assert_int_equal(cira_call_wait(client, &call, CIRA_FOREVER),
                   CIRA_E_CANCELLED);
  assert_string_equal(call.detail, "was told to stop");
  square_works();
}

/* ---- lives -------------------------------------------------------------- */

static void test_foreign(void **state) {
  (void)state;
  cira_call_table_t *table;
  cira_call_client_t *thread;
  cira_call_t call = {0};
  cira_call_range_t one = words_of(0, 1, CIRA_CALL_READ);
  cira_call_request_t r = {.range = &one, .range_count = 1};
  MUST(cira_call_table_create(&table));
  MUST(cira_call_thread(table, NULL, &thread));
  assert_int_equal(cira_call_submit(thread, 1, &r, &call), CIRA_E_UNSUPPORTED);
  cira_call_destroy(thread);
  cira_call_table_destroy(table);
  assert_int_equal(
      cira_call_server(url_of(&memd), NULL, NULL, CIRA_FOREVER, NULL),
      CIRA_E_INVALID);
  cira_call_client_t *none = (void *)&call;
  assert_int_equal(cira_call_server(NULL, NULL, NULL, CIRA_FOREVER, &none),
                   CIRA_E_UNSUPPORTED);
  assert_int_equal(cira_call_server("host:", NULL, NULL, CIRA_FOREVER, &none),
                   CIRA_E_UNSUPPORTED);
  assert_int_equal(
      cira_call_server("unix:/nonexistent/x", NULL, NULL, in(SECOND), &none),
      CIRA_E_UNREACHABLE);
  cira_call_options_t bad = cira_call_options_default();
  bad.depth = 3;
  assert_int_equal(
      cira_call_server(url_of(&memd), NULL, &bad, CIRA_FOREVER, &none),
      CIRA_E_INVALID);
  assert_ptr_equal(none, &call);
  uint8_t ticket[32] = {1};
  assert_int_equal(cira__call_session_region(client, ticket, REGION),
                   CIRA_E_RANGE);
}

static void test_without_kernels(void **state) {
  (void)state;
  memd_t plain;
  cira_call_client_t *none = NULL;
  memd_start(&plain, "16m", NULL);
  assert_int_equal(
      cira_call_server(url_of(&plain), NULL, NULL, CIRA_FOREVER, &none),
      CIRA_E_UNSUPPORTED);
  assert_non_null(strstr(cira_status_detail(), "--kernels"));
  memd_stop(&plain);
}

/* The token guards kernels as it guards memory. */
static void test_token(void **state) {
  (void)state;
  memd_t locked;
  char good[] = "/tmp/cira-token-XXXXXX";
  char wrong[] = "/tmp/cira-token-XXXXXX";
  int fd = mkstemp(good);
  int other = mkstemp(wrong);
  assert_true(fd >= 0 && other >= 0);
  assert_int_equal(write(fd, "0123456789abcdef0123456789abcdef", 32), 32);
  assert_int_equal(write(other, "0123456789abcdef0123456789abcdeX", 32), 32);
  (void)close(fd);
  (void)close(other);
  const char *extra[] = {"--token-file", good, "--kernels", UNIT_KERNELS, NULL};
  memd_start(&locked, "16m", extra);
  cira_call_client_t *c = NULL;
  assert_int_equal(
      cira_call_server(url_of(&locked), NULL, NULL, CIRA_FOREVER, &c),
      CIRA_E_AUTH);
  assert_int_equal(
      cira_call_server(url_of(&locked), wrong, NULL, CIRA_FOREVER, &c),
      CIRA_E_AUTH);
  MUST(cira_call_server(url_of(&locked), good, NULL, CIRA_FOREVER, &c));
  cira_call_destroy(c);
  memd_stop(&locked);
  (void)unlink(good);
  (void)unlink(wrong);
}

static void wait_for_figure(const char *name, long value) {
  for (int i = 0; i < 600 && memd_figure(&memd, name) != value; i++) {
    (void)usleep(20000);
  }
  assert_int_equal(memd_figure(&memd, name), value);
}

/* The child of a process with threads starts one. */
TSAN_OPTIONS_OF_TEST("die_after_fork=0");

/* A client that is killed in the middle of a call leaves nothing behind. */
static void test_client_killed(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) {
    cira_call_client_t *c;
    cira_call_t call = {0};
    cira_call_request_t r = {.wait_ns = CIRA_FOREVER};
    uint32_t hang;
    if (cira_call_server(url_of(&memd), NULL, NULL, CIRA_FOREVER, &c) ||
        cira_call_find(c, "hang", CIRA_FOREVER, &hang) ||
        cira_call_submit(c, hang, &r, &call) ||
        cira_call_wait(c, &call, in(SECOND / 5)) != CIRA_E_DEADLINE) {
      _exit(1);
    }
    (void)kill(getpid(), SIGKILL);
  }
  int how;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFSIGNALED(how));
  wait_for_figure("kernel_sessions", 1);
  square_works();
}

/* Closing does not wait for a kernel that never ends. */
static void test_close_running(void **state) {
  (void)state;
  cira_call_client_t *c;
  cira_call_t call = {0};
  cira_call_request_t r = {.wait_ns = CIRA_FOREVER};
  uint32_t hang;
  MUST(cira_call_server(url_of(&memd), NULL, NULL, CIRA_FOREVER, &c));
  MUST(cira_call_find(c, "hang", CIRA_FOREVER, &hang));
  MUST(cira_call_submit(c, hang, &r, &call));
  MUST(cira_call_close(c, CIRA_FOREVER));
  assert_int_equal(call.status, CIRA_E_CANCELLED);
  cira_call_destroy(c);
  wait_for_figure("kernel_sessions", 1);
}

/* The last one: the server goes in the middle of a call. */
static void test_server_killed(void **state) {
  (void)state;
  cira_call_t call = {0};
  cira_call_request_t r = {.wait_ns = CIRA_FOREVER};
  uint32_t hang = find("hang");
  uint32_t square = find("square");
  uint64_t n = 3;
  MUST(cira_call_submit(client, hang, &r, &call));
  assert_int_equal(cira_call_wait(client, &call, in(SECOND / 10)),
                   CIRA_E_DEADLINE);
  memd_kill(&memd, SIGKILL);
  assert_int_equal(cira_call_wait(client, &call, in(60 * SECOND)),
                   CIRA_E_DISCONNECTED);
  assert_int_equal(
      cira_call_run(client, square, &n, 8, &n, 8, CIRA_FOREVER, NULL),
      CIRA_E_DISCONNECTED);
  assert_int_equal(n, 3);
}

static int setup(void **state) {
  (void)state;
  cira_ticket_t ticket;
  const char *extra[] = {"--kernels", UNIT_KERNELS, NULL};
  memd_start(&memd, "64m", extra);
  MUST(cira_fabric_connect(memd.tcp_url, NULL, &fabric));
  MUST(fabric->ops->region_open(fabric, WORDS * 8ull, &region));
  MUST(fabric->ops->region_ticket(fabric, region, &ticket));
  MUST(cira_call_server(url_of(&memd), NULL, NULL, CIRA_FOREVER, &client));
  MUST(cira__call_session_region(client, ticket.bytes, REGION));
  fill();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  cira_call_destroy(client);
  cira_fabric_close(fabric);
  memd_stop(&memd);
  return 0;
}

int main(int argc, char **argv) {
  place = argc > 1 ? argv[1] : "unix";
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_ranges),
      cmocka_unit_test(test_pointers),
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_in_flight),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_bad_ranges),
      cmocka_unit_test(test_crash),
      cmocka_unit_test(test_crash_many),
      cmocka_unit_test(test_deadline),
      cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_foreign),
      cmocka_unit_test(test_without_kernels),
      cmocka_unit_test(test_token),
      cmocka_unit_test(test_client_killed),
      cmocka_unit_test(test_close_running),
      cmocka_unit_test(test_server_killed),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
