/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap on a space with a small cache: blocks keep their content, the
 * allocator's own work touches no far page, memory goes back, the end of far
 * memory is ENOMEM, and misuse is noticed. One space for the whole program.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/heap.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

#define NEAR_MAX 48u
#define RANGE_BYTES (UINT64_C(2) << 30)

static cira_space_t *space;

static void on_fault(int signo, siginfo_t *info, void *context) {
  if (!cira_space_fault(space, signo, info, context)) {
    signal(signo, SIG_DFL);
  }
}

static void alt_stack(void) {
  stack_t ss = {.ss_size = 128u << 10};
  ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ss.ss_sp == MAP_FAILED || sigaltstack(&ss, NULL) != 0) {
    abort();
  }
}

static unsigned far_arena;

/* cmocka puts signal handlers of its own before each test, and its own memory
 * must stay near: the thread's arena is far only within a test. */
static void use_arena(unsigned arena) {
  mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
  mallctl("thread.arena", NULL, NULL, &arena, sizeof arena);
}

static void arm(void) {
  use_arena(far_arena);
  int signo = cira_space_signal(space);
  if (signo != 0) {
    struct sigaction sa = {.sa_sigaction = on_fault,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&sa.sa_mask);
    sigaction(signo, &sa, NULL);
  }
}

/* As a program would call: the caller is not the C library. */
static void *get(size_t bytes) {
  return cira_heap_malloc(bytes, (void *)(uintptr_t)get);
}

static void purge(void) {
  mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
  mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* all arenas */
}

static void test_placement(void **state) {
  (void)state;
  arm();
  void *small = get(NEAR_MAX), *big = get(NEAR_MAX + 1), *huge = get(5 << 20);
  assert_false(cira_space_contains(small));
  assert_true(cira_space_contains(big));
  assert_true(cira_space_contains(huge));
  /* What the C library allocates for itself is near: it is handed to the
   * kernel behind everybody's back. */
  void *system = cira_heap_malloc(4096, (void *)(uintptr_t)memcpy);
  assert_true(cira_heap_usable(system) >= 4096);
  assert_true(cira_heap_usable(big) >= NEAR_MAX + 1);
  assert_int_equal(cira_heap_usable(NULL), 0);
  cira_heap_free(small);
  cira_heap_free(big);
  cira_heap_free(huge);
  cira_heap_free(system);
  cira_heap_free(NULL);
  use_arena(0);
}

static void test_realloc_moves_between(void **state) {
  (void)state;
  arm();
  char *p = get(32);
  memset(p, 'n', 32);
  p = cira_heap_realloc(p, 3000, p);
  assert_true(cira_space_contains(p));
  for (int i = 0; i < 32; i++) {
    assert_int_equal(p[i], 'n');
  }
  memset(p, 'f', 3000);
  p = cira_heap_realloc(p, 3 << 20, p);
  for (int i = 0; i < 3000; i++) {
    assert_int_equal(p[i], 'f');
  }
  assert_null(cira_heap_realloc(p, 0, p)); /* as free, like glibc */
  use_arena(0);
}

static void test_calloc_and_alignment(void **state) {
  (void)state;
  arm();
  for (size_t bytes = 16; bytes <= 4u << 20; bytes *= 2) {
    unsigned char *p = cira_heap_calloc(bytes / 16, 16, get);
    for (size_t i = 0; i < bytes; i += 61) {
      assert_int_equal(p[i], 0);
    }
    memset(p, 0xee, bytes); /* dirty for whoever gets it next */
    cira_heap_free(p);
  }
  for (size_t align = 16; align <= 1u << 21; align *= 2) {
    void *p = cira_heap_aligned(align, 100, get);
    assert_int_equal((uintptr_t)p % align, 0);
    cira_heap_free(p);
  }
  errno = 0;
  assert_null(cira_heap_calloc(SIZE_MAX / 2, 3, get));
  assert_int_equal(errno, ENOMEM);
  errno = 0;
  assert_null(get(SIZE_MAX - 100));
  assert_int_equal(errno, ENOMEM);
  use_arena(0);
}

/* With every far page away, malloc and free must not bring one back. */
static void test_bookkeeping_is_local(void **state) {
  (void)state;
  arm();
  enum { COUNT = 20000 };
  static void *block[COUNT];
  for (int i = 0; i < COUNT; i++) {
    block[i] = get(64 + (size_t)i % 700);
    memset(block[i], i, 64);
  }
  cira_space_evict_hint(space, (void *)(uintptr_t)CIRA_SPACE_BASE, RANGE_BYTES);
  uint64_t faults = cira_space_stats(space)->faults;
  for (int i = 0; i < COUNT; i += 2) {
    cira_heap_free(block[i]);
  }
  for (int i = 0; i < COUNT; i += 2) {
    block[i] = get(64 + (size_t)i % 700);
  }
  for (int i = 0; i < COUNT; i++) {
    cira_heap_free(block[i]);
  }
  assert_int_equal(cira_space_stats(space)->faults, faults);
  use_arena(0);
}

static void test_memory_goes_back(void **state) {
  (void)state;
  arm();
  purge();
  uint64_t before = cira_space_stats(space)->far_bytes;
  void *p = get(100u << 20);
  memset(p, 1, 100u << 20);
  assert_true(cira_space_stats(space)->far_bytes >= before + (100u << 20));
  cira_heap_free(p);
  purge();
  assert_true(cira_space_stats(space)->far_bytes <= before + (4u << 20));
  use_arena(0);
}

static void test_out_of_memory(void **state) {
  (void)state;
  arm();
  enum { STEP = 64 << 20, COUNT = 64 };
  void *block[COUNT];
  int got = 0;
  while (got < COUNT && (block[got] = get(STEP)) != NULL) {
    *(char *)block[got++] = 1;
  }
  assert_true(got > 8 && got < COUNT);
  assert_int_equal(errno, ENOMEM);
  void *still = get(100); /* small requests may live on what is there */
  cira_heap_free(still);
  while (got > 0) {
    cira_heap_free(block[--got]);
  }
  purge();
  void *again = get(STEP);
  assert_non_null(again);
  cira_heap_free(again);
  use_arena(0);
}

/* ---- many threads ------------------------------------------------------- */

#define LIVE 300

static void fill(unsigned char *p, size_t bytes, unsigned seed) {
  for (size_t i = 0; i < bytes; i += 37) {
    p[i] = (unsigned char)(seed + i);
  }
}

static int check(const unsigned char *p, size_t bytes, unsigned seed) {
  for (size_t i = 0; i < bytes; i += 37) {
    if (p[i] != (unsigned char)(seed + i)) {
      return 0;
    }
  }
  return 1;
}

static void *churn(void *arg) {
  unsigned char *block[LIVE] = {0};
  size_t bytes[LIVE] = {0};
  unsigned x = (unsigned)(uintptr_t)arg * 2654435761u + 1;
  uintptr_t bad = 0;
  alt_stack();
  cira_heap_thread_start();
  for (int i = 0; i < 30000; i++) {
    x = x * 1664525u + 1013904223u;
    unsigned at = (x >> 8) % LIVE;
    size_t want = (x >> 20) % 100 == 0 ? 200000 : 8 + (x >> 12) % 900;
    if (block[at] != NULL) {
      bad += !check(block[at], bytes[at], at);
    }
    switch (x >> 30) {
    case 0:
      cira_heap_free(block[at]);
      block[at] = NULL;
      bytes[at] = 0;
      break;
    case 1:
      block[at] = cira_heap_realloc(block[at], want, churn);
      if (block[at] == NULL) {
        return (void *)1;
      }
      bad += !check(block[at], bytes[at] < want ? bytes[at] : want, at);
      bytes[at] = want;
      fill(block[at], want, at);
      break;
    default:
      cira_heap_free(block[at]);
      block[at] = cira_heap_malloc(want, (void *)(uintptr_t)churn);
      if (block[at] == NULL) {
        return (void *)1;
      }
      bytes[at] = want;
      fill(block[at], want, at);
    }
  }
  for (int i = 0; i < LIVE; i++) {
    bad += block[i] != NULL && !check(block[i], bytes[i], (unsigned)i);
    cira_heap_free(block[i]);
  }
  cira_heap_thread_exit();
  return (void *)bad;
}

static void test_threads(void **state) {
  (void)state;
  arm();
  enum { THREADS = 8 };
  pthread_t t[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) {
    cira_space_thread_add(space);
    assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)i), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    void *bad = NULL;
    pthread_join(t[i], &bad);
    cira_space_thread_remove(space);
    assert_null(bad);
  }
  use_arena(0);
}

/* ---- misuse ------------------------------------------------------------- */

#if !TSAN
static int ends_with(void (*act)(void)) {
  assert_int_equal(cira_space_fork_prepare(space), CIRA_OK);
  pid_t pid = fork();
  if (pid == 0) {
    if (cira_space_fork_child(space) != CIRA_OK ||
        cira_space_fork_finish(space) != CIRA_OK) {
      _exit(9);
    }
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    if (freopen("/dev/null", "w", stderr) == NULL) {
      _exit(8);
    }
    act();
    _exit(0);
  }
  cira_space_fork_parent(space, pid > 0);
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void free_twice(void) {
  void *p = get(100);
  cira_heap_free(p);
  cira_heap_free(p);
}

static void free_inside(void) {
  cira_heap_free((char *)get(100) + 3);
}

static void test_misuse_is_noticed(void **state) {
  (void)state;
  arm();
  assert_int_equal(ends_with(free_twice), SIGABRT);
  assert_int_equal(ends_with(free_inside), SIGABRT);
  use_arena(0);
}
#endif

int main(void) {
  cira_space_options_t opt;
  cira_heap_options_t heap = {.size = sizeof heap, .near_max_bytes = NEAR_MAX};
  cira_space_options_default(&opt);
  opt.local_bytes = 2u << 20;
  opt.range_bytes = RANGE_BYTES;
  if (cira_space_create(&opt, &space) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  alt_stack();
  if (cira_heap_init(space, &heap) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  size_t bytes = sizeof far_arena;
  mallctl("thread.arena", &far_arena, &bytes, NULL, 0);
  use_arena(0);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_placement),
      cmocka_unit_test(test_realloc_moves_between),
      cmocka_unit_test(test_calloc_and_alignment),
      cmocka_unit_test(test_bookkeeping_is_local),
      cmocka_unit_test(test_memory_goes_back),
      cmocka_unit_test(test_threads),
#if !TSAN /* its runtime can deadlock in a child that aborts */
      cmocka_unit_test(test_misuse_is_noticed),
#endif
      cmocka_unit_test(test_out_of_memory), /* last: uses the range up */
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
