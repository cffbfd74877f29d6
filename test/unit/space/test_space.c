/* SPDX-License-Identifier: Apache-2.0
 *
 * The space against a shadow copy: whatever is written far reads back, with a
 * cache much smaller than the data, one thread or several, across fork, pins
 * and discards. Run once per paging mode and kind of home:
 *   test-space sigbus|thread|sigsegv URL
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space/far.h"
#include "space/space.h"

#define PAGE 4096u

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

static cira_space_mode_t mode;
static const char *url;
static cira_space_t *space;

static uint64_t rng_state;
static uint64_t rng(void) { /* xorshift64*, fixed seed per test */
  rng_state ^= rng_state >> 12;
  rng_state ^= rng_state << 25;
  rng_state ^= rng_state >> 27;
  return rng_state * UINT64_C(2685821657736338717);
}

static void on_fault(int signo, siginfo_t *info, void *context) {
  if (!cira_space_fault(space, signo, info, context)) {
    signal(signo, SIG_DFL); /* the retry ends the process as it should */
  }
}

static void alt_stack(void) {
  stack_t ss = {.ss_size = 128u << 10};
  ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(ss.ss_sp != MAP_FAILED);
  assert_int_equal(sigaltstack(&ss, NULL), 0);
}

static void open_space(uint64_t local_pages) {
  cira_space_options_t opt;
  cira_space_options_default(&opt);
  opt.mode = mode;
  opt.url = url;
  opt.local_bytes = local_pages * 5000u; /* pays for baselines too */
  opt.range_bytes = UINT64_C(4) << 30;
  cira_status_t status = cira_space_create(&opt, &space);
  if (status != CIRA_OK) {
    print_error("create: %s\n", cira_status_detail());
  }
  assert_int_equal(status, CIRA_OK);
  rng_state = 88172645463325252u;
  int signo = cira_space_signal(space);
  if (signo != 0) {
    struct sigaction sa = {.sa_sigaction = on_fault,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&sa.sa_mask);
    assert_int_equal(sigaction(signo, &sa, NULL), 0);
    alt_stack();
  }
}

static void close_space(void) {
  cira_space_destroy(space);
  space = NULL;
}

/* The handler thread counts while we look. */
#define COUNT(name)                                                            \
  __atomic_load_n(&cira_space_stats(space)->name, __ATOMIC_RELAXED)

static void *far(uint64_t pages) {
  void *p = NULL;
  assert_int_equal(cira_space_alloc(space, pages * PAGE, PAGE, &p), CIRA_OK);
  return p;
}

/* A hint passes over pages that the handler thread is just installing. */
static void send_home(void *p, uint64_t pages) {
  for (int i = 0; i < 20; i++) {
    cira_space_evict_hint(space, p, pages * PAGE);
    if (mode != CIRA_SPACE_THREAD) {
      return;
    }
    usleep(500);
  }
}

/* ---- one thread --------------------------------------------------------- */

static void test_round_trip(void **state) {
  (void)state;
  open_space(100);
  uint64_t n = 2000u * PAGE / 8;
  uint64_t *a = far(2000);
  for (uint64_t i = 0; i < n; i++) {
    assert_int_equal(a[i], 0);
    a[i] = i * 0x9e3779b97f4a7c15u;
  }
  for (int round = 0; round < 2; round++) {
    for (uint64_t i = 0; i < n; i++) {
      assert_int_equal(a[i], i * 0x9e3779b97f4a7c15u);
    }
  }
  assert_true(COUNT(resident_pages) <= 128);
  assert_true(COUNT(pages_in) >= 2 * 1900);
  assert_true(COUNT(pages_ahead) > COUNT(pages_in) / 2); /* it was sequential */
  close_space();
}

static void test_random_against_shadow(void **state) {
  (void)state;
  open_space(64);
  uint64_t bytes = 600u * PAGE;
  uint8_t *a = far(600), *shadow = calloc(1, bytes);
  for (int i = 0; i < 60000; i++) {
    uint64_t at = rng() % (bytes - 64), len = 1 + rng() % 64;
    switch (rng() % 4) {
    case 0:
    case 1:
      assert_memory_equal(a + at, shadow + at, len);
      break;
    case 2:
      memset(a + at, (int)(i & 0xff), len);
      memset(shadow + at, (int)(i & 0xff), len);
      break;
    default:
      a[at]++;
      shadow[at]++;
    }
  }
  assert_memory_equal(a, shadow, bytes);
  free(shadow);
  close_space();
}

static void test_descending(void **state) {
  (void)state;
  open_space(128);
  uint64_t pages = 1500;
  uint32_t *a = far(pages);
  for (uint64_t i = 0; i < pages * 1024; i++) {
    a[i] = (uint32_t)i;
  }
  uint64_t before = COUNT(faults);
  for (uint64_t i = pages * 1024; i-- > 0;) {
    assert_int_equal(a[i], (uint32_t)i);
  }
  assert_true(COUNT(faults) - before < pages / 2);
  close_space();
}

/* One changed word per page: only its granule may travel. */
static void test_dirty_granules(void **state) {
  (void)state;
  open_space(200);
  uint64_t pages = 1000;
  uint8_t *a = far(pages);
  memset(a, 0x5a, pages * PAGE);
  send_home(a, pages);
  uint64_t out = COUNT(bytes_out);
  for (uint64_t p = 0; p < pages; p++) {
    *(uint64_t *)(void *)(a + p * PAGE + 64 * (p % 64)) = p;
  }
  send_home(a, pages);
  out = COUNT(bytes_out) - out;
  assert_int_equal(out, pages * 64);
  for (uint64_t p = 0; p < pages; p++) {
    assert_int_equal(*(uint64_t *)(void *)(a + p * PAGE + 64 * (p % 64)), p);
    assert_int_equal(a[p * PAGE + 64 * (p % 64) + 8], 0x5a);
  }
  /* Rewritten with the same bytes: nothing travels. */
  send_home(a, pages);
  out = COUNT(bytes_out);
  for (uint64_t p = 0; p < pages; p++) {
    ((volatile uint8_t *)a)[p * PAGE + 2048 + 1] = a[p * PAGE + 2048 + 1];
  }
  send_home(a, pages);
  assert_int_equal(COUNT(bytes_out), out);
  close_space();
}

/* With room for whole chunks the kernel fills pages; when the room is used up
 * these chunks become managed and nothing is lost. */
static void test_native_then_managed(void **state) {
  (void)state;
  open_space(3 * 512);
  uint64_t pages = 5000, n = pages * 512;
  uint64_t *a = far(pages);
  assert_true(COUNT(native_pages) >= 512);
  for (uint64_t i = 0; i < n; i += 61) {
    a[i] = i + 1;
  }
  for (uint64_t i = 0; i < n; i++) {
    assert_int_equal(a[i], i % 61 == 0 ? i + 1 : 0);
  }
  assert_true(COUNT(resident_pages) <= 4 * 512);
  close_space();
}

/* What the kernel has swapped out (where the machine has a swap area) is not
 * what was never touched: not where a chunk becomes managed, and not where
 * pages go home. */
static void test_swapped(void **state) {
  (void)state;
  open_space(3 * 512);
  uint64_t pages = 5000, n = pages * 512, first = 1024 * 512, v;
  uint64_t *a = far(pages);
  for (uint64_t i = 0; i < first; i += 61) {
    a[i] = i + 1;
  }
  assert_int_equal(madvise(a, 1024 * PAGE, MADV_PAGEOUT), 0);
  for (uint64_t i = (first / 61 + 1) * 61; i < n; i += 61) {
    a[i] = i + 1;
  }
  for (uint64_t i = 0; i < n; i += 61) { /* by the pages' words */
    cira_far_copy(&v, &a[i], sizeof v);
    assert_int_equal(v, i + 1);
  }
  for (int round = 0; round < 2; round++) {
    for (uint64_t i = 0; i < n; i++) {
      assert_int_equal(a[i], i % 61 == 0 ? i + 1 : 0);
    }
    assert_int_equal(madvise(a, pages * PAGE, MADV_PAGEOUT), 0);
    send_home(a + first, pages - 1024);
  }
  close_space();
}

static void test_discard(void **state) {
  (void)state;
  open_space(100);
  uint8_t *a = far(400);
  memset(a, 7, 400u * PAGE);
  cira_space_discard(space, a + 100 * PAGE, 200 * PAGE);
  for (uint64_t i = 0; i < 400u * PAGE; i += 97) {
    int want = i >= 100 * PAGE && i < 300 * PAGE ? 0 : 7;
    assert_int_equal(a[i], want);
  }
  uint64_t far_bytes = COUNT(far_bytes);
  cira_space_decommit(space, a + 100 * PAGE, 200 * PAGE);
  assert_int_equal(COUNT(far_bytes), far_bytes - 200 * PAGE);
  assert_int_equal(cira_space_commit(space, a + 100 * PAGE, 200 * PAGE),
                   CIRA_OK);
  for (uint64_t i = 100 * PAGE; i < 300u * PAGE; i += 97) {
    assert_int_equal(a[i], 0);
  }
  assert_int_equal(a[99 * PAGE], 7);
  close_space();
}

static void test_pin(void **state) {
  (void)state;
  open_space(400);
  uint8_t *a = far(1000);
  memset(a, 1, 1000u * PAGE);
  int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  for (int round = 0; round < 200; round++) {
    uint8_t *p = a + rng() % (990 * PAGE);
    uint64_t len = 1 + rng() % (5 * PAGE);
    uint64_t got = cira_space_pin(space, p, len, CIRA_PIN_WRITE);
    assert_int_equal(got, len);
    memset(a + (rng() % 995) * PAGE, 1, PAGE); /* others come and go */
    assert_int_equal(read(fd, p, len), (ssize_t)len);
    cira_space_unpin(space, p, len);
    for (uint64_t i = 0; i < len; i++) {
      assert_int_equal(p[i], 0);
    }
  }
  close(fd);
  /* More than the cache holds: a part is granted. */
  uint64_t got = cira_space_pin(space, a, 1000u * PAGE, CIRA_PIN_READ);
  assert_true(got >= PAGE && got < 1000u * PAGE);
  cira_space_unpin(space, a, got);
  close_space();
}

static void test_hints(void **state) {
  (void)state;
  open_space(800);
  uint64_t *a = far(300);
  for (uint64_t p = 0; p < 300; p++) {
    a[p * 512] = p + 1;
  }
  send_home(a, 300);
  /* A huge page of the kernel may have filled the chunk around them. */
  assert_true(COUNT(resident_pages) <= 512 - 300);
  cira_space_prefetch(space, a, 150u * PAGE);
  uint64_t faults = COUNT(faults);
  for (uint64_t p = 0; p < 150; p++) {
    assert_int_equal(a[p * 512], p + 1);
  }
  assert_int_equal(COUNT(faults), faults);
  assert_int_equal(a[299 * 512], 300);
  close_space();
}

#define HOT 200u

/* Passes through `pages` pages of a, and looks at those of hot in between, far
 * apart; returns how many faults these looks took. */
static uint64_t pass_beside(uint64_t *a, uint64_t pages, uint64_t *hot,
                            bool says) {
  uint64_t missed = 0;
  for (uint64_t p = 0; p < pages; p++) {
    assert_int_equal(a[p * 512], p + 1);
    if (says) {
      cira_space_passed(space, a + p * 512, PAGE);
    }
    uint64_t before = COUNT(faults);
    for (uint64_t h = 0; h < HOT && p % 400 == 399; h++) {
      uint64_t at = h * 77 % HOT; /* not a stream */
      assert_int_equal(hot[at * 512], at + 7);
    }
    missed += COUNT(faults) - before;
  }
  return missed;
}

/* What a stream has passed goes first, and leaves what is used beside it. */
static void test_passed(void **state) {
  (void)state;
  open_space(400);
  uint64_t *a = far(2000), *hot = far(HOT);
  for (uint64_t p = 0; p < 2000; p++) {
    a[p * 512] = p + 1;
    hot[p % HOT * 512] = p % HOT + 7;
  }
  cira_space_evict_hint(space, a, 2000u * PAGE);
  uint64_t without = pass_beside(a, 2000, hot, false);
  assert_int_equal(COUNT(pages_passed), 0);
  (void)pass_beside(a, 500, hot, true); /* they are all here now */
  uint64_t with = pass_beside(a, 2000, hot, true);
  print_message("faults beside a stream: %lu, %lu\n", without, with);
  assert_true(COUNT(pages_passed) > 1000);
  assert_true(with * 4 <= without);
  for (uint64_t p = 0; p < 2000; p++) { /* down, and across ends of pages */
    assert_int_equal(a[(1999 - p) * 512], 2000 - p);
    cira_space_passed(space, (uint8_t *)a + (1999 - p) * PAGE - 8, PAGE + 16);
  }
  cira_space_passed(space, a, 0);
  cira_space_passed(space, &without, 1u << 20);
  cira_space_passed(NULL, a, PAGE);
  close_space();
}

/* ---- several threads ---------------------------------------------------- */

#define THREADS 4
#define SLOTS 40000u

typedef struct {
  uint64_t *a;
  unsigned id;
} worker_t;

/* Each thread owns every fourth word of every page: neighbours on one page are
 * written by different threads while the page comes and goes. */
static void *worker(void *arg) {
  worker_t *w = arg;
  alt_stack();
  uint64_t x = 1234567u + w->id;
  for (int i = 0; i < 60000; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    uint64_t slot = (x >> 33) % SLOTS;
    w->a[slot * THREADS + w->id]++;
  }
  return NULL;
}

static void test_threads_share_pages(void **state) {
  (void)state;
  open_space(64);
  uint64_t *a = far((SLOTS * THREADS * 8 + PAGE - 1) / PAGE);
  pthread_t t[THREADS];
  worker_t w[THREADS];
  for (unsigned i = 0; i < THREADS; i++) {
    w[i] = (worker_t){a, i};
    cira_space_thread_add(space);
    assert_int_equal(pthread_create(&t[i], NULL, worker, &w[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join(t[i], NULL);
    cira_space_thread_remove(space);
  }
  for (unsigned id = 0; id < THREADS; id++) {
    uint64_t total = 0;
    for (uint64_t s = 0; s < SLOTS; s++) {
      total += a[s * THREADS + id];
    }
    assert_int_equal(total, 60000);
  }
  close_space();
}

/* A cache large enough for frames to circulate through the pool: scans with
 * islands of hot pages in between, by one thread and then by several. */
#define SCAN_PAGES 9000u

static void *scanner(void *arg) {
  worker_t *w = arg;
  uint64_t x = 99u + w->id;
  uintptr_t bad = 0;
  alt_stack();
  for (int round = 1; round <= 3; round++) {
    for (uint64_t p = 0; p < SCAN_PAGES; p++) {
      uint64_t *word = &w->a[p * 512 + (p % 100) * 4 + w->id];
      bad += *word != (uint64_t)(round - 1);
      *word = (uint64_t)round;
      if (p % 3 == 0) { /* a hot page, every now and then */
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint64_t hot = (x >> 33) % 600 * 15;
        w->a[hot * 512 + 504 + w->id]++;
      }
    }
  }
  return (void *)bad;
}

static void test_frames_circulate(void **state) {
  (void)state;
  open_space(5000);
  uint64_t *a = far(SCAN_PAGES);
  worker_t w[THREADS];
  pthread_t t[THREADS];
  w[0] = (worker_t){a, 0};
  assert_null(scanner(&w[0]));
  for (unsigned i = 1; i < THREADS; i++) {
    w[i] = (worker_t){a, i};
    cira_space_thread_add(space);
    assert_int_equal(pthread_create(&t[i], NULL, scanner, &w[i]), 0);
  }
  for (unsigned i = 1; i < THREADS; i++) {
    void *bad = NULL;
    pthread_join(t[i], &bad);
    assert_null(bad);
    cira_space_thread_remove(space);
  }
  for (unsigned id = 0; id < THREADS; id++) {
    uint64_t hot = 0;
    for (uint64_t p = 0; p < SCAN_PAGES; p++) {
      assert_int_equal(a[p * 512 + (p % 100) * 4 + id], 3);
      hot += a[p * 512 + 504 + id];
    }
    assert_int_equal(hot, 3 * ((SCAN_PAGES + 2) / 3));
  }
  close_space();
}

/* Windows with long runs, single pages and gaps, taken while there are several
 * threads: some pages go into blocks, those around them aside. */
static void test_mixed_windows(void **state) {
  (void)state;
  enum { PAGES = 1024 };
  static uint64_t want[PAGES];
  open_space(5000);
  uint64_t *a = far(PAGES), *b = far(PAGES), sum_of_b = 0;
  for (uint64_t p = 0; p < PAGES; p++) {
    b[p * 512] = 1;
  }
  cira_space_thread_add(space); /* as if */
  memset(want, 0, sizeof want);
  for (uint64_t round = 1; round <= 12; round++) {
    uint64_t touched = 0;
    send_home(b, PAGES); /* a stream leaves blocks that can be filled */
    for (uint64_t p = 0; p < PAGES; p++) {
      sum_of_b += b[p * 512];
    }
    for (uint64_t k = 0; k < PAGES; k++) {
      uint64_t p = k * 389 % PAGES; /* no stream */
      uint64_t x = (p / 4 * 2654435761u + round * 40503u) >> 7;
      bool run = x % 4 == 0, alone = p % 4 == 1 && x % 4 == 1;
      assert_true(round == 1 || !(run || alone) || a[p * 512 + 7] == want[p]);
      if (run || alone) {
        a[p * 512 + 7] = want[p] = round * PAGES + p;
        touched++;
      }
    }
    assert_true(touched > 0);
    send_home(a, PAGES);
  }
  assert_int_equal(sum_of_b, 12 * PAGES);
  for (uint64_t p = 0; p < PAGES; p++) {
    assert_int_equal(a[p * 512 + 7], want[p]);
  }
  cira_space_thread_remove(space);
  close_space();
}

/* ---- fork --------------------------------------------------------------- */

static uint64_t sum(const uint64_t *a, uint64_t n) {
  uint64_t s = 0;
  for (uint64_t i = 0; i < n; i++) {
    s = s * 31 + a[i];
  }
  return s;
}

static pid_t far_fork(void) {
  assert_int_equal(cira_space_fork_prepare(space), CIRA_OK);
  pid_t pid = fork();
  if (pid == 0) {
    if (cira_space_fork_child(space) != CIRA_OK ||
        cira_space_fork_finish(space) != CIRA_OK) {
      _exit(9);
    }
  } else {
    cira_space_fork_parent(space, pid > 0);
  }
  return pid;
}

static int wait_for(pid_t pid) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_fork_keeps_both_views(void **state) {
  (void)state;
  open_space(100);
  uint64_t pages = 700, n = pages * 512;
  uint64_t *a = far(pages);
  for (uint64_t i = 0; i < n; i++) {
    a[i] = i;
  }
  uint64_t before = sum(a, n);
  for (int generation = 0; generation < 12; generation++) {
    pid_t pid = far_fork();
    if (pid == 0) {
      if (sum(a, n) != before) {
        _exit(1); /* the parent's later writes must not show */
      }
      for (uint64_t i = 0; i < n; i += 3) {
        a[i] += 1000;
      }
      uint64_t mine = sum(a, n);
      pid_t grandchild = far_fork();
      if (grandchild == 0) {
        a[5] = 1;
        _exit(sum(a + 512, n - 512) == 0 ? 3 : 0);
      }
      if (wait_for(grandchild) != 0) {
        _exit(4);
      }
      _exit(sum(a, n) == mine ? 0 : 2);
    }
    for (uint64_t i = 0; i < n; i += 7) {
      a[i] ^= (uint64_t)generation + 1;
    }
    uint64_t mine = sum(a, n);
    assert_int_equal(wait_for(pid), 0);
    assert_int_equal(sum(a, n), mine);
    before = mine;
  }
  close_space();
}

/* ---- errors ------------------------------------------------------------- */

static void refused(cira_space_options_t *opt, cira_status_t want) {
  cira_space_t *s = NULL;
  assert_int_equal(cira_space_create(opt, &s), want);
  assert_null(s);
  assert_true(cira_status_detail()[0] != 0);
}

static void test_bad_options(void **state) {
  (void)state;
  cira_space_options_t opt;
  cira_space_options_default(&opt);
  opt.url = "nonsense:";
  refused(&opt, CIRA_E_INVALID);
  cira_space_options_default(&opt);
  opt.local_bytes = PAGE;
  refused(&opt, CIRA_E_INVALID);
  cira_space_options_default(&opt);
  opt.granule_bytes = 100;
  refused(&opt, CIRA_E_INVALID);
  cira_space_options_default(&opt);
  opt.lanes = 99;
  refused(&opt, CIRA_E_INVALID);
  cira_space_options_default(&opt);
  opt.range_bytes = UINT64_C(32) << 40;
  refused(&opt, CIRA_E_INVALID);
  open_space(64);
  cira_space_options_default(&opt);
  refused(&opt, CIRA_E_BUSY);
  void *p = NULL;
  assert_int_equal(cira_space_alloc(space, UINT64_C(8) << 30, PAGE, &p),
                   CIRA_E_NOMEM);
  assert_int_equal(cira_space_alloc(space, 100, PAGE, &p), CIRA_E_INVALID);
  close_space();
}

/* A pointer that was never handed out stays an error of the program. */
static void test_wild_pointer(void **state) {
  (void)state;
  open_space(64);
  uint8_t *a = far(10);
  a[0] = 1;
  pid_t pid = fork();
  if (pid == 0) {
    if (mode != CIRA_SPACE_SIGSEGV) {
      signal(SIGSEGV, SIG_DFL); /* cmocka has one of its own */
    }
    ((volatile uint8_t *)a)[64u << 20] = 1;
    _exit(0);
  }
  assert_int_equal(wait_for(pid), 128 + SIGSEGV);
  close_space();
}

/* ---- every message may be the one that fails ----------------------------- */

/* Exit status of a run whose N-th message fails. */
static int run_with_failure(const char *kind, int n) {
  char far_url[64];
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0) {
    return wait_for(pid);
  }
  snprintf(far_url, sizeof far_url, "fault(host:;%s=%d)", kind, n);
  url = far_url;
  if (freopen("/dev/null", "w", stderr) == NULL) {
    _exit(8);
  }
  cira_space_options_t opt;
  cira_space_options_default(&opt);
  opt.mode = mode;
  opt.url = url;
  opt.lanes = 2;
  opt.local_bytes = 64 * 5000u;
  opt.range_bytes = UINT64_C(1) << 30;
  if (cira_space_create(&opt, &space) != CIRA_OK) {
    _exit(cira_status_detail()[0] != 0 ? 3 : 4);
  }
  struct sigaction sa = {.sa_sigaction = on_fault,
                         .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(cira_space_signal(space), &sa, NULL);
  stack_t ss = {.ss_size = 128u << 10, .ss_sp = malloc(128u << 10)};
  sigaltstack(&ss, NULL);
  void *p;
  if (cira_space_alloc(space, 300u * PAGE, PAGE, &p) != CIRA_OK) {
    _exit(3);
  }
  uint64_t *a = p;
  for (int round = 1; round <= 3; round++) {
    for (uint64_t i = 0; i < 300u * 512; i += 8) {
      if (a[i] != (round == 1 ? 0 : i + (uint64_t)round - 1)) {
        _exit(1); /* a wrong byte */
      }
      a[i] = i + (uint64_t)round;
    }
  }
  cira_space_discard(space, a, 100u * PAGE);
  _exit(a[0] == 0 && a[200 * 512] == 200 * 512 + 3 ? 0 : 1);
}

static void nth_failure(const char *kind) {
  int n = 1, quiet = 0;
  for (; n < 3000 && quiet < 20; n += n < 40 ? 1 : 7) {
    int status = run_with_failure(kind, n);
    quiet = status == 0 ? quiet + 1 : 0;
    if (status != 0 && status != 3 && status != CIRA_EXIT_FAR) {
      print_error("%s=%d: exit %d\n", kind, n, status);
    }
    assert_true(status == 0 || status == 3 || status == CIRA_EXIT_FAR);
  }
  assert_true(quiet >= 20 && n > 60); /* the run was survived at last */
}

static void test_nth_message_fails(void **state) {
  (void)state;
  nth_failure("fail");
}

static void test_nth_message_disconnects(void **state) {
  (void)state;
  nth_failure("disconnect");
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: test-space sigbus|thread|sigsegv URL\n");
    return 2;
  }
  mode = strcmp(argv[1], "sigbus") == 0   ? CIRA_SPACE_SIGBUS
         : strcmp(argv[1], "thread") == 0 ? CIRA_SPACE_THREAD
                                          : CIRA_SPACE_SIGSEGV;
  url = argv[2];
  if (TSAN && mode == CIRA_SPACE_THREAD) {
    printf("skip: the handler thread reads pages that the kernel has "
           "write-protected for it; the thread sanitizer cannot see that and "
           "calls each of them a race\n");
    return 77;
  }
  char why[256];
  if (cira_space_probe(mode, why, sizeof why) != CIRA_OK) {
    printf("skip: mode %s is not possible here: %s\n", argv[1], why);
    return 77;
  }
  if (strcmp(url, "nth") == 0) {
    const struct CMUnitTest nth[] = {
        cmocka_unit_test(test_nth_message_fails),
        cmocka_unit_test(test_nth_message_disconnects),
    };
    return cmocka_run_group_tests(nth, NULL, NULL);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_random_against_shadow),
      cmocka_unit_test(test_descending),
      cmocka_unit_test(test_dirty_granules),
      cmocka_unit_test(test_native_then_managed),
      cmocka_unit_test(test_swapped),
      cmocka_unit_test(test_discard),
      cmocka_unit_test(test_pin),
      cmocka_unit_test(test_hints),
      cmocka_unit_test(test_passed),
      cmocka_unit_test(test_threads_share_pages),
      cmocka_unit_test(test_frames_circulate),
      cmocka_unit_test(test_mixed_windows),
      cmocka_unit_test(test_fork_keeps_both_views),
      cmocka_unit_test(test_bad_options),
      cmocka_unit_test(test_wild_pointer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
