/* SPDX-License-Identifier: Apache-2.0
 *
 * cira/far.h: a process that starts far memory itself, and the same program
 * under the preload library (it runs itself again for that).
 */
#include "cira/far.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space/space.h"

#include "../../conformance/tsan.h"

#define MIB (UINT64_C(1) << 20)

static cira_far_options_t small(void) {
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = "host:";
  opt.local_bytes = MIB;
  opt.far_bytes = 1u << 30;
  return opt;
}

static void start(void) {
  cira_far_options_t opt = small();
  if (cira_far_start(&opt) != CIRA_OK) {
    fail_msg("%s", cira_status_detail());
  }
}

static void test_blocks(void **state) {
  (void)state;
  for (int round = 0; round < 3; round++) { /* may be started again */
    start();
    assert_true(cira_far_started());
    assert_int_equal(cira_far_start(NULL), CIRA_E_BUSY);
    uint64_t n = 8 * MIB / 8; /* eight times the cache */
    uint64_t *far = cira_far_alloc(n * 8, 4096);
    assert_non_null(far);
    assert_int_equal((uintptr_t)far % 4096, 0);
    assert_true(cira_far_contains(far) && cira_far_contains(far + n - 1));
    assert_true(cira_far_usable_size(far) >= n * 8);
    for (uint64_t i = 0; i < n; i++) {
      assert_int_equal(far[i], 0);
      far[i] = i * 3;
    }
    for (uint64_t i = 0; i < n; i++) {
      assert_int_equal(far[i], i * 3);
    }
    cira_far_stats_t stats = {.size = sizeof stats};
    assert_int_equal(cira_far_stats(&stats), CIRA_OK);
    assert_int_equal(stats.shared_run, 0);
    assert_true(stats.pages_out > 1000 && stats.pages_in > 1000);
    assert_true(stats.resident_pages_peak * 4096 <= stats.local_bytes);
    assert_true(stats.far_bytes >= n * 8);
    void *small_block = cira_far_alloc(0, 0);
    assert_non_null(small_block);
    assert_true(cira_far_contains(small_block));
    assert_int_equal(cira_far_free(small_block), CIRA_OK);
    assert_int_equal(cira_far_free(NULL), CIRA_OK);
    if (round < 2) { /* the last round leaves it: stop drops what is there */
      assert_int_equal(cira_far_free(far), CIRA_OK);
    }
    void *local = malloc(100000);
    assert_false(cira_far_contains(local));
    assert_int_equal(cira_far_free(local), CIRA_E_INVALID);
    assert_int_equal(cira_far_usable_size(local), 0);
    free(local);
    assert_int_equal(cira_far_stop(), CIRA_OK);
    assert_int_equal(cira_far_stop(), CIRA_E_CLOSED);
  }
}

static void test_bad_input(void **state) {
  (void)state;
  cira_far_stats_t stats = {.size = sizeof stats, .faults = 77};
  assert_false(cira_far_started());
  assert_null(cira_far_alloc(10, 0));
  assert_int_equal(cira_far_stats(&stats), CIRA_E_CLOSED);
  assert_int_equal(stats.faults, 77);
  assert_string_equal(cira_far_mode(), "");
  cira_far_options_t opt = small();
  opt.size = 3;
  assert_int_equal(cira_far_start(&opt), CIRA_E_INVALID);
  opt = small();
  opt.local_bytes = 4096;
  assert_int_equal(cira_far_start(&opt), CIRA_E_INVALID);
  opt = small();
  opt.far_bytes = UINT64_MAX;
  assert_int_equal(cira_far_start(&opt), CIRA_E_INVALID);
  opt = small();
  opt.helper_threads = 1000;
  assert_int_equal(cira_far_start(&opt), CIRA_E_INVALID);
  opt = small();
  opt.far_url = "nonsense:";
  assert_int_equal(cira_far_start(&opt), CIRA_E_INVALID);
  opt = small();
  opt.far_url = "tcp://127.0.0.1:1";
  assert_int_equal(cira_far_start(&opt), CIRA_E_UNREACHABLE);
  setenv("CIRA_LOCAL", "twelve", 1);
  assert_int_equal(cira_far_start(NULL), CIRA_E_INVALID);
  assert_non_null(strstr(cira_status_detail(), "CIRA_LOCAL=twelve"));
  unsetenv("CIRA_LOCAL");
  assert_false(cira_far_started());
  start();
  assert_null(cira_far_alloc(10, 3));
  assert_null(cira_far_alloc(10, UINT64_C(1) << 40));
  assert_null(cira_far_alloc(UINT64_MAX, 0));
  assert_null(cira_far_alloc(UINT64_C(1) << 40, 0)); /* more than the range */
  assert_int_equal(cira_far_stats(NULL), CIRA_E_INVALID);
  stats.size = 4;
  assert_int_equal(cira_far_stats(&stats), CIRA_E_INVALID);
  assert_int_equal(cira_far_stop(), CIRA_OK);
}

static void test_environment(void **state) {
  (void)state;
  setenv("CIRA_FAR", "host:", 1);
  setenv("CIRA_LOCAL", "3m", 1);
  assert_int_equal(cira_far_start(NULL), CIRA_OK);
  cira_far_stats_t stats = {.size = sizeof stats};
  assert_int_equal(cira_far_stats(&stats), CIRA_OK);
  assert_in_range(stats.local_bytes, 2 * MIB, 3 * MIB);
  assert_int_equal(cira_far_stop(), CIRA_OK);
  unsetenv("CIRA_FAR");
  unsetenv("CIRA_LOCAL");
}

/* A system call on pages that are not here. */
static void test_pin(void **state) {
  (void)state;
  start();
  char *far = cira_far_alloc(64 * 4096, 4096);
  memset(far, 'x', 64 * 4096);
  cira_space_evict_hint(cira__space, far, 64 * 4096);
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  assert_true(cira_far_pin(far, 4096, false) == 4096);
  assert_int_equal(write(pipes[1], far, 4096), 4096);
  cira_far_unpin(far, 4096);
  cira_space_evict_hint(cira__space, far, 64 * 4096);
  assert_true(cira_far_pin(far + 8192, 4096, true) == 4096);
  assert_int_equal(read(pipes[0], far + 8192, 100), 100);
  cira_far_unpin(far + 8192, 4096);
  assert_int_equal(far[8192], 'x');
  close(pipes[0]);
  close(pipes[1]);
  assert_int_equal(cira_far_stop(), CIRA_OK);
}

static void *churn(void *arg) {
  uint64_t x = (uintptr_t)arg | 1;
  if (cira_far_thread_init() != CIRA_OK) {
    return "no stack";
  }
  uint8_t *block[50] = {NULL};
  for (int i = 0; i < 4000; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    uint32_t at = (uint32_t)(x >> 33) % 50;
    if (block[at] != NULL && block[at][0] != (uint8_t)at) {
      return "wrong";
    }
    if (cira_far_free(block[at]) != CIRA_OK) {
      return "free";
    }
    block[at] = cira_far_alloc((x >> 45) % 20000, 0);
    if (block[at] == NULL || block[at][0] != 0) {
      return "no block";
    }
    block[at][0] = (uint8_t)at;
  }
  for (int i = 0; i < 50; i++) {
    cira_far_free(block[i]);
  }
  return NULL;
}

/* Around a fork jemalloc takes all of its locks, more than the sanitizer's
 * search for deadlocks can follow; races it finds all the same. */
TSAN_OPTIONS_OF_TEST("detect_deadlocks=0");

/* Both processes keep their view, while other threads allocate. */
static void test_fork(void **state) {
  (void)state;
  start();
  enum { N = 4 * 1024 * 1024 / 8 };
  uint64_t *far = cira_far_alloc(N * 8, 4096);
  for (uint64_t i = 0; i < N; i++) {
    far[i] = i;
  }
  pthread_t t[2];
  for (uintptr_t i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i * 99)), 0);
  }
  for (int round = 0; round < 3; round++) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      int bad = 0;
      for (uint64_t i = 0; i < N; i++) {
        bad += far[i] != i + (uint64_t)round;
        far[i] = 5;
      }
      uint8_t *more = cira_far_alloc(100000, 0);
      bad += more == NULL || more[99999] != 0;
      _exit(bad == 0 ? 0 : 1);
    }
    for (uint64_t i = 0; i < N; i++) {
      far[i]++;
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (uint64_t i = 0; i < N; i += 101) {
      assert_int_equal(far[i], i + (uint64_t)round + 1);
    }
  }
  for (int i = 0; i < 2; i++) {
    void *what;
    pthread_join(t[i], &what);
    if (what != NULL) {
      fail_msg("%s", (char *)what);
    }
  }
  assert_int_equal(cira_far_stop(), CIRA_OK);
}

static volatile sig_atomic_t caught;
static sigjmp_buf back;
static void on_signal(int signo) {
  caught++;
  siglongjmp(back, signo);
}

/* A fault that is not ours goes to the handler of before, every time. */
static void test_foreign_fault(void **state) {
  (void)state;
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_NODEFER}, bus;
  assert_int_equal(sigaction(SIGBUS, &sa, &bus), 0);
  start();
  if (strcmp(cira_far_mode(), "sigbus") == 0) {
    for (int i = 0; i < 3; i++) {
      if (sigsetjmp(back, 1) == 0) {
        raise(SIGBUS);
      }
    }
    assert_int_equal(caught, 3);
    char *far = cira_far_alloc(4 * MIB, 0);
    memset(far, 1, 4 * MIB); /* ours are still ours */
  }
  assert_int_equal(cira_far_stop(), CIRA_OK);
  assert_int_equal(sigaction(SIGBUS, &bus, NULL), 0);
}

/* ---- under the preload library ------------------------------------------- */

#define NEED(x)                                                                \
  if (!(x)) {                                                                  \
    fprintf(stderr, "line %d: %s: %s\n", __LINE__, #x, cira_status_detail());  \
    return 1;                                                                  \
  }

static int inside(void) {
  for (int round = 0; round < 2; round++) {
    NEED(cira_far_start(NULL) == CIRA_OK);
    cira_far_stats_t stats = {.size = sizeof stats};
    NEED(cira_far_stats(&stats) == CIRA_OK);
    NEED(stats.shared_run == 1);
    char *malloced = malloc(100000);
    NEED(cira_far_contains(malloced)); /* one space for both */
    uint64_t n = 4 * MIB / 8, *far = cira_far_alloc(n * 8, 4096);
    NEED(far != NULL && cira_far_contains(far));
    NEED(cira_far_usable_size(far) >= n * 8);
    for (uint64_t i = 0; i < n; i++) {
      far[i] = i;
    }
    pid_t pid = fork();
    for (uint64_t i = 0; i < n; i++) {
      NEED(far[i] == i);
    }
    if (pid == 0) {
      _exit(0);
    }
    int status;
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
    NEED(cira_far_pin(far, 4096, true) == 4096);
    cira_far_unpin(far, 4096);
    NEED(cira_far_stats(&stats) == CIRA_OK && stats.pages_out > 100);
    NEED(cira_far_free(far) == CIRA_OK);
    NEED(cira_far_free(malloced) == CIRA_OK);
    pthread_t t;
    void *what;
    NEED(pthread_create(&t, NULL, churn, NULL) == 0);
    pthread_join(t, &what);
    NEED(what == NULL);
    NEED(cira_far_stop() == CIRA_OK);
  }
  return 0;
}

static void test_under_preload(void **state) {
  (void)state;
#ifdef CIRA_PRELOAD
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    setenv("LD_PRELOAD", CIRA_PRELOAD, 1);
    setenv("CIRA_FAR", "host:", 1);
    setenv("CIRA_LOCAL", "2m", 1);
    alarm(60);
    execl("/proc/self/exe", "unit-far", "inside", (char *)NULL);
    _exit(127);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
#else
  skip(); /* the preload library is not built with sanitizers */
#endif
}

int main(int argc, char **argv) {
  char why[256];
  if (argc == 2 && strcmp(argv[1], "inside") == 0) {
    return inside();
  }
  if (cira_space_probe(CIRA_SPACE_SIGBUS, why, sizeof why) != CIRA_OK) {
    fprintf(stderr, "skipped: %s\n", why);
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_bad_input),
      cmocka_unit_test(test_environment),
      cmocka_unit_test(test_pin),
      cmocka_unit_test(test_fork),
      cmocka_unit_test(test_foreign_fault),
      cmocka_unit_test(test_under_preload),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
