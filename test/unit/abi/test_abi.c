/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of functions is complete; allocation goes where its tier says; a
 * whole process starts and stops: test-abi PLACE.
 */
#include "place.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_symbols(void **state) {
  (void)state;
  static const char *const names[] = {
#define CIRA_ABI(result, name, arguments, effects, meaning) #name,
#include "cira/abi.def"
#undef CIRA_ABI
      "cira_abi_range"};
  const cira_abi_symbol_t *s = cira_abi_symbols();
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++, s++) {
    assert_string_equal(s->name, names[i]);
    assert_non_null(s->address);
  }
  assert_null(s->name);
}

static void test_range(void **state) {
  (void)state;
  uint8_t *p = place_alloc(64 * 4096);
  if (!place_is_far()) {
    assert_int_equal(cira_abi_range.bytes, 0);
    return;
  }
  uint64_t off = (uint64_t)(uintptr_t)p - cira_abi_range.base;
  assert_true(off < cira_abi_range.bytes);
  *p = 1;
  const volatile uint32_t *word = &cira_abi_range.words[off >> 12];
  assert_int_equal(*word & CIRA_ABI_PAGE_STATE, CIRA_ABI_PAGE_MAPPED);
  place_send_home(p, 4096);
  assert_int_not_equal(*word & CIRA_ABI_PAGE_STATE, CIRA_ABI_PAGE_MAPPED);
  cira_abi_install_line(p, 2);
  cira_abi_prefetch_array(p, 4096, 64, 8);
  assert_int_equal(*word & CIRA_ABI_PAGE_STATE, CIRA_ABI_PAGE_MAPPED);
  cira_abi_evict(p, 4095); /* not its last byte */
  assert_int_equal(*word & CIRA_ABI_PAGE_STATE, CIRA_ABI_PAGE_MAPPED);
  cira_abi_evict(p + 4095, 1);
  assert_int_not_equal(*word & CIRA_ABI_PAGE_STATE, CIRA_ABI_PAGE_MAPPED);
  assert_int_equal(*p, 1);
}

/* Without a heap of far memory all tiers are local. */
static void test_alloc_local(void **state) {
  (void)state;
  for (int tier = -1; tier <= 3; tier++) {
    uint8_t *p = cira_abi_alloc(1000, tier);
    assert_int_equal((uintptr_t)p % 16, 0);
    for (int i = 0; i < 1000; i++) {
      assert_int_equal(p[i], 0);
    }
    cira_abi_dealloc(p);
  }
  cira_abi_dealloc(NULL);
}

/* ---- a whole process ------------------------------------------------------
 */

static volatile sig_atomic_t foreign;
static void on_foreign(int signo, siginfo_t *info, void *context) {
  (void)signo;
  (void)info;
  (void)context;
  foreign = 1;
  _exit(42);
}

#define CHECK(x)                                                               \
  do {                                                                         \
    if (!(x)) {                                                                \
      fprintf(stderr, "line %d: %s\n", __LINE__, #x);                          \
      _exit(1);                                                                \
    }                                                                          \
  } while (0)

static void region(void *arg) {
  uint64_t *a = *(uint64_t **)arg;
  for (int i = 0; i < 100000; i++) {
    a[i] += 1;
  }
}

/* Blocks of all sizes come and go on several threads: zeroed, apart, and far.
 */
static void churn(void *arg) {
  enum { LIVE = 200 };
  uint8_t *block[LIVE] = {0};
  uint64_t bytes[LIVE] = {0}, x = *(uint64_t *)arg;
  for (int i = 0; i < 4000; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    uint64_t at = (x >> 33) % LIVE;
    for (uint64_t b = 0; b < bytes[at]; b += 61) {
      CHECK(block[at][b] == (uint8_t)at);
    }
    cira_abi_dealloc(block[at]);
    bytes[at] = (x >> 45) % (i % 100 == 0 ? 300000 : 2000);
    block[at] = cira_abi_alloc((int64_t)bytes[at], CIRA_ABI_TIER_REMOTE_CXL);
    CHECK(cira_space_contains(block[at]));
    CHECK((uintptr_t)block[at] % 16 == 0);
    for (uint64_t b = 0; b < bytes[at]; b += 61) {
      CHECK(block[at][b] == 0);
      block[at][b] = (uint8_t)at;
    }
  }
  for (int i = 0; i < LIVE; i++) {
    cira_abi_dealloc(block[i]);
  }
}

static void process_run(bool bad_access) {
  struct sigaction sa = {.sa_sigaction = on_foreign, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &sa, NULL);
  sigaction(SIGBUS, &sa, NULL);
  cira_abi_process_t p;
  cira_abi_process_default(&p);
  p.far_url = "host:";
  p.local_bytes = 1u << 20;
  p.helpers = 2;
  if (cira_abi_process_start(&p) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    _exit(1);
  }
  uint64_t *far = cira_abi_alloc(8 << 20, CIRA_ABI_TIER_FAR);
  uint64_t *any = cira_abi_alloc(100, CIRA_ABI_TIER_ANY);
  uint64_t *near = cira_abi_alloc(8 << 20, CIRA_ABI_TIER_LOCAL);
  CHECK(cira_space_contains(far) && cira_space_contains(any));
  CHECK(!cira_space_contains(near));
  for (uint64_t i = 0; i < 1 << 20; i++) {
    CHECK(far[i] == 0);
    far[i] = i;
  }
  cira_abi_offload_begin(-1, (void *)region, &far, sizeof far);
  cira_abi_barrier();
  for (uint64_t i = 0; i < 1 << 20; i++) {
    CHECK(far[i] == i + (i < 100000));
  }
  CHECK(cira_space_stats(cira_abi_process_space())->pages_out > 1000);
  for (uint64_t seed = 1; seed <= 4; seed++) {
    cira_abi_offload_begin((int32_t)seed, (void *)churn, &seed, sizeof seed);
  }
  uint64_t mine = 99;
  churn(&mine);
  cira_abi_barrier();
  void *local = malloc(100); /* ordinary memory stays local */
  CHECK(!cira_space_contains(local));
  free(local);
  cira_abi_dealloc(far);
  cira_abi_dealloc(any);
  cira_abi_dealloc(near);
  if (bad_access) {
    *(volatile int *)8 = 1;
  }
  cira_abi_process_stop();
  _exit(0);
}

static int run(bool bad_access) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(60); /* a program of its own: jemalloc forked under the thread
                * sanitizer looks like locks taken twice */
    execl("/proc/self/exe", "test-abi", bad_access ? "process-bad" : "process",
          (char *)NULL);
    _exit(127);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void test_process(void **state) {
  (void)state;
  if (!place_is_far()) {
    assert_int_equal(run(false), 0);
    assert_int_equal(run(true), 42); /* a fault that is not ours */
  }
}

static void bad_tier(void) {
  cira_abi_alloc(100, 9);
}

static void no_room(void) {
  cira_abi_process_t p;
  cira_abi_process_default(&p);
  p.far_url = "host:";
  p.local_bytes = 1u << 20;
  p.range_bytes = 64u << 20;
  if (cira_abi_process_start(&p) == CIRA_OK) {
    cira_abi_alloc(INT64_C(1) << 40, CIRA_ABI_TIER_FAR);
  }
}

static void test_misuse(void **state) {
  (void)state;
  if (!place_is_far()) {
    place_misuse(bad_tier, "tier 9");
    place_misuse(no_room, "no far memory");
  }
}

static void test_bad_process(void **state) {
  (void)state;
  if (place_is_far()) {
    return;
  }
  cira_abi_process_t p;
  cira_abi_process_default(&p);
  p.helpers = 1000;
  assert_int_equal(cira_abi_process_start(&p), CIRA_E_INVALID);
  cira_abi_process_default(&p);
  p.far_url = "nonsense:";
  assert_int_equal(cira_abi_process_start(&p), CIRA_E_INVALID);
}

PLACE_TEST(test_symbols)
PLACE_TEST(test_range)
PLACE_TEST(test_alloc_local)
PLACE_TEST(test_process)
PLACE_TEST(test_misuse)
PLACE_TEST(test_bad_process)

int main(int argc, char **argv) {
  if (argc == 2 && strncmp(argv[1], "process", 7) == 0) {
    process_run(strcmp(argv[1], "process-bad") == 0);
  }
  if (!place_choose(argc == 2 ? argv[1] : "none")) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      PLACE_UNIT(test_symbols),     PLACE_UNIT(test_range),
      PLACE_UNIT(test_alloc_local), PLACE_UNIT(test_process),
      PLACE_UNIT(test_misuse),      PLACE_UNIT(test_bad_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
