/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything of base/base.h: details, formatter, log lines, sizes, durations,
 * lock, signal mask.
 */
#include "base/base.h"
#include "base/sys.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_status(void **state) {
  (void)state;
  assert_string_equal(cira_status_name(CIRA_OK), "ok");
  assert_string_equal(cira_status_name(CIRA_E_DEADLINE), "deadline");
  assert_string_equal(cira_status_name(12345), "unknown");
  assert_int_equal(cira__fail(CIRA_E_RANGE, "at %d of %s", -3, "x"),
                   CIRA_E_RANGE);
  assert_string_equal(cira_status_detail(), "at -3 of x");
  /* The old detail may be part of the new one. */
  cira__fail(CIRA_E_RANGE, "more: %s", cira_status_detail());
  assert_string_equal(cira_status_detail(), "more: at -3 of x");
  cira__fail_errno(CIRA_E_SYSTEM, ENOENT, "open '%s'", "f");
  assert_string_equal(cira_status_detail(),
                      "open 'f': No such file or directory (errno 2)");
}

static void *other_detail(void *argument) {
  (void)argument;
  return strlen(cira_status_detail()) == 0 ? NULL : (void *)1;
}

static void test_detail_is_per_thread(void **state) {
  (void)state;
  pthread_t t;
  void *result = (void *)1;
  cira__fail(CIRA_E_INVALID, "mine");
  assert_int_equal(pthread_create(&t, NULL, other_detail, NULL), 0);
  (void)pthread_join(t, &result);
  assert_null(result);
  assert_string_equal(cira_status_detail(), "mine");
}

static void test_format(void **state) {
  (void)state;
  char ours[200];
  char libc[200];
  const char *none = NULL;
#define SAME(...)                                                              \
  do {                                                                         \
    size_t n = cira__format(ours, sizeof(ours), __VA_ARGS__);                  \
    snprintf(libc, sizeof(libc), __VA_ARGS__);                                 \
    assert_string_equal(ours, libc);                                           \
    assert_int_equal(n, strlen(libc));                                         \
  } while (0)
  SAME("plain");
  SAME("%s|%c|%%|%d|%u|%x", "text", 'c', -2147483647 - 1, 4294967295u, 0xbeefu);
  SAME("%ld %lu %lx %lld %llu %zu", -9223372036854775807l, ~0ul, 0xabcdeful,
       -5ll, 1ull << 63, (size_t)77);
  SAME("%p", (void *)0x1234);
  SAME("%d%s%d", 0, "", 0);
  cira__format(ours, sizeof(ours), "%s", none);
  assert_string_equal(ours, "(null)");
  char tiny[5];
  assert_int_equal(cira__format(tiny, sizeof(tiny), "%s", "too long"), 4);
  assert_string_equal(tiny, "too ");
  assert_int_equal(cira__format(tiny, 1, "x"), 0);
  assert_string_equal(tiny, "");
}

static void test_size(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t bytes;
  } good[] = {{"4096", 4096},      {"64k", 65536},
              {"64K", 65536},      {"1.5GiB", 3ull << 29},
              {"2G", 2ull << 30},  {"100MB", 100u << 20},
              {"3 MiB", 3u << 20}, {"0", 0},
              {"1t", 1ull << 40},  {"17b", 17},
              {"0.5k", 512}};
  static const char *const bad[] = {"",
                                    "k",
                                    "-1",
                                    "1x",
                                    "1.k",
                                    ".5k",
                                    "1kk",
                                    "1 k x",
                                    "9999999999999999999999",
                                    "99999999999999t",
                                    "1iB"};
  uint64_t bytes;
  for (unsigned i = 0; i < CIRA_COUNT(good); i++) {
    assert_int_equal(cira__parse_size(good[i].text, "X", &bytes), CIRA_OK);
    assert_int_equal(bytes, good[i].bytes);
  }
  for (unsigned i = 0; i < CIRA_COUNT(bad); i++) {
    bytes = 42;
    assert_int_equal(cira__parse_size(bad[i], "CIRA_LOCAL", &bytes),
                     CIRA_E_INVALID);
    assert_int_equal(bytes, 42);
    assert_non_null(strstr(cira_status_detail(), "CIRA_LOCAL"));
  }
  assert_int_equal(cira__parse_size(NULL, "X", &bytes), CIRA_E_INVALID);
}

static void test_duration(void **state) {
  (void)state;
  uint64_t ns;
  assert_int_equal(cira__parse_duration("10", "X", &ns), CIRA_OK);
  assert_int_equal(ns, 10000000000u);
  assert_int_equal(cira__parse_duration("250ms", "X", &ns), CIRA_OK);
  assert_int_equal(ns, 250000000u);
  assert_int_equal(cira__parse_duration("1.5us", "X", &ns), CIRA_OK);
  assert_int_equal(ns, 1500u);
  assert_int_equal(cira__parse_duration("1h", "X", &ns), CIRA_E_INVALID);
  assert_int_equal(cira__parse_duration("99999999999999999s", "X", &ns),
                   CIRA_E_INVALID);
}

static void test_u64(void **state) {
  (void)state;
  uint64_t n;
  assert_int_equal(cira__parse_u64("65535", "port", 65535, &n), CIRA_OK);
  assert_int_equal(n, 65535);
  assert_int_equal(cira__parse_u64("65536", "port", 65535, &n), CIRA_E_INVALID);
  assert_int_equal(cira__parse_u64("1.5", "port", 65535, &n), CIRA_E_INVALID);
  assert_int_equal(cira__parse_u64("", "port", 65535, &n), CIRA_E_INVALID);
}

static void test_size_text(void **state) {
  (void)state;
  static const struct {
    uint64_t bytes;
    const char *text;
  } cases[] = {{0, "0 B"},
               {17, "17 B"},
               {1023, "1023 B"},
               {1024, "1 KiB"},
               {1536, "1.5 KiB"},
               {319488, "312 KiB"},
               {3ull << 29, "1.5 GiB"},
               {UINT64_MAX, "16777216 TiB"}};
  char buf[24];
  for (unsigned i = 0; i < CIRA_COUNT(cases); i++) {
    assert_string_equal(cira__size_text(cases[i].bytes, buf, sizeof(buf)),
                        cases[i].text);
  }
}

static void test_arithmetic(void **state) {
  (void)state;
  uint64_t out;
  assert_true(cira__add_ok(1, 2, &out));
  assert_false(cira__add_ok(UINT64_MAX, 1, &out));
  assert_false(cira__mul_ok(1ull << 63, 2, &out));
  assert_true(cira__range_ok(4, 4, 8));
  assert_true(cira__range_ok(8, 0, 8));
  assert_false(cira__range_ok(5, 4, 8));
  assert_false(cira__range_ok(1, UINT64_MAX, 8));
  assert_int_equal(cira__align_up(4097, 4096), 8192);
  assert_int_equal(cira__align_down(4097, 4096), 4096);
}

static cira_lock_t lock;
static uint64_t guarded;

static void *lock_user(void *argument) {
  (void)argument;
  for (unsigned i = 0; i < 20000; i++) {
    cira__lock(&lock);
    guarded++;
    cira__unlock(&lock);
  }
  return NULL;
}

static void test_lock(void **state) {
  (void)state;
  pthread_t t[4];
  assert_true(cira__trylock(&lock));
  assert_false(cira__trylock(&lock));
  cira__unlock(&lock);
  for (unsigned i = 0; i < 4; i++) {
    assert_int_equal(pthread_create(&t[i], NULL, lock_user, NULL), 0);
  }
  for (unsigned i = 0; i < 4; i++) {
    (void)pthread_join(t[i], NULL);
  }
  assert_int_equal(guarded, 80000);
  assert_int_equal(atomic_load(&lock.word), 0);
}

static volatile sig_atomic_t seen;
static void on_signal(int number) {
  seen = number;
}

static void test_signals(void **state) {
  (void)state;
  (void)signal(SIGUSR1, on_signal);
  uint64_t saved = cira__signals_block();
  (void)raise(SIGUSR1);
  assert_int_equal(seen, 0);
  cira__signals_restore(saved);
  for (unsigned i = 0; i < 1000 && !seen; i++) {
    (void)usleep(100); /* sanitizers deliver at the next blocking call */
  }
  assert_int_equal(seen, SIGUSR1);
}

/* What a child that runs `fn` prints to standard error, and how it ends. */
static int child_output(void (*fn)(void), char *buf, size_t bytes) {
  int ends[2];
  int code = -1;
  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  if (pid == 0) {
    (void)dup2(ends[1], STDERR_FILENO);
    fn();
    _exit(0);
  }
  (void)close(ends[1]);
  ssize_t n = read(ends[0], buf, bytes - 1);
  buf[n > 0 ? n : 0] = 0;
  (void)close(ends[0]);
  (void)waitpid(pid, &code, 0);
  return WEXITSTATUS(code);
}

static void dies(void) {
  cira__die("no server at %s", "here");
}

static void logs(void) {
  cira__log_level = CIRA_LOG_WARN;
  CIRA_LOG(CIRA_LOG_DEBUG, "not shown");
  CIRA_LOG(CIRA_LOG_WARN, "shown %d", 1);
}

static void test_log_and_die(void **state) {
  (void)state;
  char text[200];
  assert_int_equal(child_output(dies, text, sizeof(text)), CIRA_EXIT_FAR);
  assert_string_equal(text, "cira: no server at here\n");
  assert_int_equal(child_output(logs, text, sizeof(text)), 0);
  assert_string_equal(text, "cira: shown 1\n");
}

static void test_clock(void **state) {
  (void)state;
  uint64_t a = cira__now_ns();
  uint64_t b = cira__now_ns();
  assert_true(b >= a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_status),
      cmocka_unit_test(test_detail_is_per_thread),
      cmocka_unit_test(test_format),
      cmocka_unit_test(test_size),
      cmocka_unit_test(test_duration),
      cmocka_unit_test(test_u64),
      cmocka_unit_test(test_size_text),
      cmocka_unit_test(test_arithmetic),
      cmocka_unit_test(test_lock),
      cmocka_unit_test(test_signals),
      cmocka_unit_test(test_log_and_die),
      cmocka_unit_test(test_clock),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
