/* SPDX-License-Identifier: Apache-2.0
 *
 * What cira-prof makes of events: lines, ratios, orders and advice, from a
 * profile that this program writes about itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cira-prof/report.h"
#include "profile/profile.h"

#define BASE UINT64_C(0x200000000000)

static char path[64];
static int64_t here_line;

/* An address in this function, and the line that it belongs to. */
static __attribute__((noinline)) uint64_t here(void) {
  here_line = __LINE__ + 1;
  return (uint64_t)(uintptr_t)__builtin_extract_return_addr(
      __builtin_return_address(0));
}

static void put(uint64_t ip, uint64_t page, uint32_t wait_ns, uint32_t pages,
                uint32_t hits, uint8_t kind, uint8_t flags, uint8_t tier) {
  cira_profile_event_t e = {.time_ns = cira__now_ns(),
                            .address = BASE + (page << 12),
                            .ip = ip,
                            .wait_ns = wait_ns,
                            .pages = pages,
                            .hits = hits,
                            .kind = kind,
                            .flags = flags,
                            .tier = tier};
  uint64_t saved = cira__signals_block();
  cira__profile_event(&e);
  cira__signals_restore(saved);
}

static prof_model_t model;
static prof_sites_t sites;

static int begin(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/cira-sites-%d", (int)getpid());
  return cira_profile_start(path) == CIRA_OK ? 0 : -1;
}

static void read_back(void) {
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  assert_int_equal(prof_model_read(path, &model), CIRA_OK);
  assert_int_equal(prof_sites_build(&model, &sites), CIRA_OK);
}

static int end(void **state) {
  (void)state;
  (void)cira_profile_stop();
  prof_sites_free(&sites);
  prof_model_free(&model);
  unlink(path);
  return 0;
}

static void test_lines(void **state) {
  (void)state;
  uint64_t ip = (uint64_t)(uintptr_t)&here;
  put(ip, 1, 5000, 1, 0, CIRA_PROFILE_FAULT, CIRA_PROFILE_F_WRITE,
      CIRA_PROFILE_TIER_DIRECT);
  put(0, 2, 9000, 1, 0, CIRA_PROFILE_FAULT, 0, CIRA_PROFILE_TIER_REMOTE);
  put(123, 3, 100, 1, 0, CIRA_PROFILE_FAULT, 0, CIRA_PROFILE_TIER_DIRECT);
  (void)here();
  read_back();
  assert_int_equal(sites.site_count, 3);
  assert_string_equal(sites.sites[0].place.function, "(unknown)");
  const prof_site_t *site = &sites.sites[1];
  assert_string_equal(site->place.function, "here");
  assert_string_equal(site->place.file, "test_sites.c");
  assert_true(llabs((int64_t)site->place.line - here_line) <= 3);
  assert_int_equal(site->cost.wait_ns, 5000);
  assert_int_equal(site->cost.writes, 1);
  assert_string_equal(sites.sites[2].place.module, "(unmapped)");
  assert_int_equal(sites.total.wait_ns, 14100);
  assert_int_equal(sites.total.wait_tier_ns[CIRA_PROFILE_TIER_REMOTE], 9000);
}

/* 100 walks: each faults, brings 8 pages, and finds 7 of the last used. */
static void test_in_order(void **state) {
  (void)state;
  uint64_t ip = (uint64_t)(uintptr_t)&here;
  for (uint64_t i = 0; i < 100; i++) {
    put(ip, i * 8, 4000, 8, i == 0 ? 0 : 7, CIRA_PROFILE_FAULT,
        i % 10 == 9 ? CIRA_PROFILE_F_BUSY : 0, CIRA_PROFILE_TIER_DIRECT);
  }
  read_back();
  const prof_cost_t *c = &sites.sites[0].cost;
  assert_int_equal(sites.sites[0].pattern, PROF_IN_ORDER);
  assert_int_equal(c->pages, 800);
  assert_int_equal(c->ahead, 700);
  assert_int_equal(c->hits, 693);
  assert_float_equal(prof_accuracy(c), 99.0, 0.01);
  assert_float_equal(prof_coverage(c), 100.0 * 693 / 793, 0.01);
  assert_float_equal(prof_timeliness(c), 100.0, 0.01);
  assert_int_equal(c->again, 0);
  assert_in_range(prof_wait_quantile(c, 0.99), 4000, 8192);
}

static void test_late(void **state) {
  (void)state;
  uint64_t ip = (uint64_t)(uintptr_t)&here;
  for (uint64_t i = 0; i < 100; i++) {
    put(ip, i * 4, 50000, 4, 4, CIRA_PROFILE_FAULT, CIRA_PROFILE_F_LATE,
        CIRA_PROFILE_TIER_REMOTE);
  }
  read_back();
  char advice[320];
  const prof_site_t *site = &sites.sites[0];
  assert_float_equal(prof_accuracy(&site->cost), 100.0, 0.01);
  assert_float_equal(prof_timeliness(&site->cost), 75.0, 0.01);
  prof_advice(&sites, &model, site, advice, sizeof advice);
  assert_non_null(strstr(advice, "too late"));
}

static void test_orders(void **state) {
  (void)state;
  uint64_t at = 0;
  for (uint64_t i = 0; i < 200; i++) {
    at = (at * 2862933555777941757u + 3037000493u) % 1000003;
    put(1, at, 4000, 1, 0, CIRA_PROFILE_FAULT, 0, CIRA_PROFILE_TIER_DIRECT);
    put(2, 2000000 + i * 1000, 3000, 1, 0, CIRA_PROFILE_FAULT, 0,
        CIRA_PROFILE_TIER_DIRECT);
    put(0, i % 16, 2000, 1, 0, CIRA_PROFILE_FAULT, 0, CIRA_PROFILE_TIER_DIRECT);
  }
  read_back();
  char advice[320];
  assert_int_equal(sites.sites[0].pattern, PROF_SCATTERED);
  assert_int_equal(sites.sites[1].pattern, PROF_STRIDED);
  assert_int_equal(sites.sites[1].stride_bytes, 1000 * 4096);
  /* 16 pages again and again: a larger cache keeps them. */
  assert_int_equal(sites.sites[2].cost.again, 200 - 16);
  prof_advice(&sites, &model, &sites.sites[2], advice, sizeof advice);
  assert_non_null(strstr(advice, "--local"));
  assert_true(prof_local_wanted(&sites, 0) >= 16 * 4096);
}

static void test_kinds(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 20; i++) {
    put(16, i, 3000, 1, 0, CIRA_PROFILE_FAULT, CIRA_PROFILE_F_ZERO, 0);
    put(32, 100 + i, 2000, 1, 0, CIRA_PROFILE_PIN, 0, CIRA_PROFILE_TIER_DIRECT);
    put(48, 200 + i, 1000, 16, 0, CIRA_PROFILE_HINT, 0,
        CIRA_PROFILE_TIER_DIRECT);
  }
  cira_profile_stream_t s = {.start_ns = 1,
                             .end_ns = 2,
                             .count = 10,
                             .walked = 9,
                             .asked = 8,
                             .used = 6,
                             .late = 3,
                             .wait_ns = 77,
                             .element_bytes = 8,
                             .kind = 2};
  cira__profile_stream(&s);
  cira__profile_stream(&s);
  read_back();
  char advice[320];
  prof_advice(&sites, &model, &sites.sites[0], advice, sizeof advice);
  assert_non_null(strstr(advice, "first touches"));
  prof_advice(&sites, &model, &sites.sites[1], advice, sizeof advice);
  assert_non_null(strstr(advice, "system calls"));
  assert_int_equal(sites.total.hint_pages, 320);
  assert_int_equal(sites.total.faults, 20);
  assert_int_equal(sites.stream_count, 1);
  assert_int_equal(sites.streams[0].streams, 2);
  assert_int_equal(sites.streams[0].walked, 18);
  assert_int_equal(sites.streams[0].late, 6);
  assert_string_equal(prof_stream_name(sites.streams[0].kind), "chain");
}

static void call(uint64_t ip, uint64_t here_count, uint64_t wait_ns) {
  cira_profile_calls_t c = {.ip = ip,
                            .kind = CIRA_PROFILE_LOAD,
                            .accesses = 4,
                            .bytes = 32,
                            .here = here_count,
                            .waits = wait_ns != 0,
                            .wait_ns = wait_ns,
                            .failed = wait_ns == 900};
  cira__profile_calls(&c);
}

/* Every kind of report, one after the other. */
static char *reports(void) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  prof_report_t r = {path, &model, &sites, 20};
  prof_text_write(&r, out);
  prof_html_write(&r, out);
  prof_json_write(&r, out);
  prof_trace_write(&model, sites.symbols, 0, out);
  fclose(out);
  assert_non_null(text);
  return text;
}

/* Sites add up over calls, and over a fork; more of them than are kept at hand
 * cost records, not counts. */
static void test_calls(void **state) {
  (void)state;
  uint64_t ip = (uint64_t)(uintptr_t)&here + 1;
  int status = 1;
  for (uint64_t i = 0; i < 1000; i++) {
    call(ip, 1, i < 300 ? 100 : 0);
    call(4096 + i, 4, 0); /* no code is there */
  }
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    call(ip, 0, 900);
    _exit(0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  call(ip, 4, 0);
  read_back();
  assert_int_equal(sites.call_count, 1001);
  const prof_call_site_t *c = &sites.calls[0], *nowhere = &sites.calls[1];
  assert_string_equal(c->place.function, "here");
  assert_string_equal(prof_call_name(c->kind), "load");
  assert_int_equal(c->accesses, 1002 * 4);
  assert_int_equal(c->bytes, 1002 * 32);
  assert_int_equal(c->here, 1004);
  assert_int_equal(c->waits, 301);
  assert_int_equal(c->wait_ns, 300 * 100 + 900);
  assert_int_equal(c->wait_max_ns, 900);
  assert_int_equal(c->failed, 1);
  assert_float_equal(prof_call_coverage(c), 100.0 * 1004 / 4008, 0.01);
  assert_float_equal(prof_call_timeliness(c), 100.0 * 2703 / 3004, 0.01);
  assert_int_equal(nowhere->accesses, 4);
  assert_float_equal(prof_call_timeliness(nowhere), -1, 0.01);
  char *text = reports();
  assert_non_null(strstr(text, "4008"));
  assert_non_null(strstr(text, "<h2>Requests</h2>"));
  assert_non_null(strstr(text, "\"accesses_here\": 1004"));
  free(text);
}

static void test_empty(void **state) {
  (void)state;
  read_back();
  assert_int_equal(sites.site_count, 0);
  char *text = reports();
  assert_non_null(strstr(text, "nothing waited for far memory"));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_lines, begin, end),
      cmocka_unit_test_setup_teardown(test_in_order, begin, end),
      cmocka_unit_test_setup_teardown(test_late, begin, end),
      cmocka_unit_test_setup_teardown(test_orders, begin, end),
      cmocka_unit_test_setup_teardown(test_kinds, begin, end),
      cmocka_unit_test_setup_teardown(test_calls, begin, end),
      cmocka_unit_test_setup_teardown(test_empty, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
