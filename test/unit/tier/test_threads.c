/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks move while threads read and write them. Each word has its own number
 * in the upper half and a count in the lower: a reader must see the right
 * number and never a smaller count than before; at the end no increment may be
 * missing. Writers are held back by userfaultfd, and by the signal. A block is
 * freed under a move, and the process forks in the middle of one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tier/tier_internal.h"

#define MIB (UINT64_C(1) << 20)
#define BYTES (6 * MIB)
#define WORDS (BYTES / 8)
#define STEP 1021u /* words between looks: a few to a page */
#define READERS 2
#define WRITERS 2

static struct {
  _Atomic uint64_t *p;
  _Atomic bool stop;
  _Atomic uint64_t wrong, added, looks;
  uint64_t seen[READERS][WORDS / STEP + 1];
} run;

static uint32_t tier(const char *name) {
  uint32_t id = UINT32_MAX;
  assert_int_equal(cira_tier_find(name, &id), CIRA_OK);
  return id;
}

static void *read_all(void *argument) {
  uint64_t *seen = argument;
  do {
    for (uint64_t i = 0, k = 0; i < WORDS; i += STEP, k++) {
      uint64_t v = atomic_load_explicit(&run.p[i], memory_order_relaxed);
      if (v >> 32 != i || (v & UINT32_MAX) < seen[k]) {
        atomic_fetch_add(&run.wrong, 1);
      }
      seen[k] = v & UINT32_MAX;
    }
    atomic_fetch_add(&run.looks, 1);
  } while (!atomic_load(&run.stop));
  return NULL;
}

static void *write_all(void *argument) {
  (void)argument;
  uint64_t added = 0;
  do { /* both writers add to all words */
    for (uint64_t i = 0; i < WORDS; i += STEP, added++) {
      atomic_fetch_add_explicit(&run.p[i], 1, memory_order_relaxed);
    }
  } while (!atomic_load(&run.stop));
  atomic_fetch_add(&run.added, added);
  return NULL;
}

static void begin(pthread_t *thread) {
  void *p = NULL;
  assert_int_equal(cira_tier_alloc(BYTES, NULL, &p), CIRA_OK);
  run.p = p;
  for (uint64_t i = 0; i < WORDS; i += STEP) {
    atomic_store(&run.p[i], i << 32);
  }
  atomic_store(&run.stop, false);
  atomic_store(&run.added, 0);
  atomic_store(&run.looks, 0);
  memset(run.seen, 0, sizeof run.seen);
  for (int i = 0; i < READERS; i++) {
    assert_int_equal(pthread_create(&thread[i], NULL, read_all, run.seen[i]),
                     0);
  }
  for (int i = 0; i < WRITERS; i++) {
    assert_int_equal(
        pthread_create(&thread[READERS + i], NULL, write_all, NULL), 0);
  }
}

static void end(pthread_t *thread) {
  atomic_store(&run.stop, true);
  for (int i = 0; i < READERS + WRITERS; i++) {
    pthread_join(thread[i], NULL);
  }
  uint64_t sum = 0;
  for (uint64_t i = 0; i < WORDS; i += STEP) {
    sum += atomic_load(&run.p[i]) & UINT32_MAX;
  }
  assert_int_equal(atomic_load(&run.wrong), 0);
  assert_int_equal(sum, atomic_load(&run.added));
  assert_int_equal(cira_tier_free((void *)run.p), CIRA_OK);
}

static const struct {
  const char *tier;
  uint32_t flags;
} ROUND[] = {{"memfd", 0},
             {"local", CIRA_TIER_F_SMALL},
             {"local", CIRA_TIER_F_HUGE},
             {"memfd", 0},
             {"local", 0}};

static void migrate(bool by_signal) {
  pthread_t thread[READERS + WRITERS];
  uint64_t looks = 0;
  cira__guard_by_signal(by_signal);
  begin(thread);
  for (int round = 0; round < 4 || looks < 4; round++) {
    for (size_t i = 0; i < CIRA_COUNT(ROUND); i++) {
      assert_int_equal(
          cira_tier_set((void *)run.p, 0, tier(ROUND[i].tier), ROUND[i].flags),
          CIRA_OK);
    }
    looks = atomic_load(&run.looks);
    sched_yield();
  }
  end(thread);
  cira__guard_by_signal(false);
}

static void test_userfaultfd(void **state) {
  (void)state;
  migrate(false);
}

static void test_signal(void **state) {
  (void)state;
  migrate(true);
}

/* ---- several movers, and free ------------------------------------------- */

static void *move_about(void *argument) {
  (void)argument;
  uint32_t file = tier("memfd");
  while (!atomic_load(&run.stop)) {
    for (uint32_t to = 0; to < 2; to++) {
      cira_status_t status =
          cira_tier_set((void *)run.p, 0, to != 0 ? file : 0, 0);
      if (status != CIRA_OK && status != CIRA_E_BUSY) {
        atomic_fetch_add(&run.wrong, 1);
      }
    }
  }
  return NULL;
}

static void test_movers(void **state) {
  (void)state;
  pthread_t thread[READERS + WRITERS], mover[2];
  begin(thread);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&mover[i], NULL, move_about, NULL), 0);
  }
  while (atomic_load(&run.looks) < 10) {
    sched_yield();
  }
  atomic_store(&run.stop, true);
  for (int i = 0; i < 2; i++) {
    pthread_join(mover[i], NULL);
  }
  end(thread);
}

static void *move_until_freed(void *argument) {
  uint32_t file = tier("memfd"), to = file;
  cira_status_t status;
  do {
    status = cira_tier_set(argument, 0, to, 0);
    to = to == file ? 0 : file;
  } while (status == CIRA_OK);
  if (status != CIRA_E_CANCELLED && status != CIRA_E_INVALID) {
    atomic_fetch_add(&run.wrong, 1);
  }
  return NULL;
}

static void test_free_under_move(void **state) {
  (void)state;
  for (int i = 0; i < 12; i++) {
    pthread_t mover;
    uint8_t *p;
    assert_int_equal(cira_tier_alloc(BYTES, NULL, (void **)&p), CIRA_OK);
    memset(p, 1, BYTES);
    assert_int_equal(pthread_create(&mover, NULL, move_until_freed, p), 0);
    for (int k = 0; k < i * 50; k++) {
      sched_yield();
    }
    assert_int_equal(cira_tier_free(p), CIRA_OK);
    pthread_join(mover, NULL);
  }
  assert_int_equal(atomic_load(&run.wrong), 0);
}

/* ---- fork --------------------------------------------------------------- */

/* The child has the whole block, whatever part of it was on its way, can write
 * it and can move it. */
static int child(void) {
  for (uint64_t i = 0; i < WORDS; i += STEP) {
    if (atomic_load(&run.p[i]) >> 32 != i) {
      return 1;
    }
    atomic_fetch_add(&run.p[i], 0);
  }
  if (cira_tier_set((void *)run.p, 0, tier("memfd"), 0) != CIRA_OK ||
      cira_tier_set((void *)run.p, 0, 0, 0) != CIRA_OK) {
    return 2;
  }
  for (uint64_t i = 0; i < WORDS; i += STEP) {
    if (atomic_load(&run.p[i]) >> 32 != i) {
      return 3;
    }
  }
  return cira_tier_free((void *)run.p) == CIRA_OK ? 0 : 4;
}

static void test_fork_under_move(void **state) {
  (void)state;
  pthread_t thread[READERS + WRITERS], mover;
  begin(thread);
  assert_int_equal(pthread_create(&mover, NULL, move_about, NULL), 0);
  for (int i = 0; i < 5; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      _exit(child());
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
  }
  atomic_store(&run.stop, true);
  pthread_join(mover, NULL);
  end(thread);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_userfaultfd),
      cmocka_unit_test(test_signal),
      cmocka_unit_test(test_movers),
      cmocka_unit_test(test_free_under_move),
      cmocka_unit_test(test_fork_under_move),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
