/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of the far space: held and sent home while threads use them, limits,
 * balance by the pager's heat, fork.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cira/far.h"
#include "tier/tier_internal.h"

#include "../../conformance/tsan.h"

#define MIB (UINT64_C(1) << 20)
#define LOCAL_BYTES (16 * MIB)

static uint32_t far_tier;
static struct sigaction fault_handler;

/* cmocka takes the signals of faults for each test. */
static void take_signal(void) {
  assert_int_equal(sigaction(SIGBUS, &fault_handler, NULL), 0);
}

static void *block(uint64_t bytes, const char *place, uint32_t flags) {
  cira_tier_options_t o;
  void *p = NULL;
  cira_tier_options_default(&o);
  o.place = place;
  o.flags = flags;
  cira_status_t status = cira_tier_alloc(bytes, &o, &p);
  if (status != CIRA_OK) {
    fail_msg("%s", cira_status_detail());
  }
  return p;
}

static void count(const void *p, uint64_t *near, uint64_t *far) {
  cira_tier_block_t q;
  assert_int_equal(cira_tier_query(p, &q), CIRA_OK);
  *far = q.tier_bytes[far_tier];
  *near = q.touched_bytes - *far;
}

static void test_hold(void **state) {
  (void)state;
  take_signal();
  uint64_t near, far;
  uint32_t file;
  uint8_t *p = block(5 * MIB, "far", 0);
  memset(p, 3, 5 * MIB);
  assert_int_equal(cira_tier_set(p, 0, far_tier, 0), CIRA_OK);
  count(p, &near, &far);
  assert_int_equal(near, 0);
  assert_int_equal(far, 5 * MIB);
  assert_int_equal(cira_tier_set(p, 0, CIRA_TIER_LOCAL_ID, 0), CIRA_OK);
  count(p, &near, &far);
  assert_int_equal(far, 0);
  assert_int_equal(near, 5 * MIB);
  /* Others come and go; what is held stays. */
  uint8_t *other = block(40 * MIB, NULL, CIRA_TIER_F_FAR);
  for (int i = 0; i < 2; i++) {
    memset(other, i, 40 * MIB);
  }
  count(p, &near, &far);
  assert_int_equal(far, 0);
  assert_int_equal(cira_tier_set(p, 2 * MIB, far_tier, 0), CIRA_OK);
  count(p, &near, &far);
  assert_int_equal(far, 2 * MIB);
  for (uint64_t i = 0; i < 5 * MIB; i++) {
    assert_int_equal(p[i], 3);
  }
  /* At most half of the local cache is held. */
  assert_int_equal(cira_tier_set(other, 0, CIRA_TIER_LOCAL_ID, 0),
                   CIRA_E_NOMEM);
  assert_non_null(strstr(cira_status_detail(), "CIRA_LOCAL"));
  assert_int_equal(cira_tier_find("memfd", &file), CIRA_OK);
  assert_int_equal(cira_tier_set(p, 0, file, 0), CIRA_E_UNSUPPORTED);
  assert_int_equal(cira_tier_set(p, 0, 0, CIRA_TIER_F_HUGE),
                   CIRA_E_UNSUPPORTED);
  uint8_t *plain = block(MIB, NULL, 0); /* its addresses are not the pager's */
  plain[0] = 1;
  assert_int_equal(cira_tier_set(plain, 0, far_tier, 0), CIRA_E_UNSUPPORTED);
  assert_non_null(strstr(cira_status_detail(), "CIRA_TIER_F_FAR"));
  assert_int_equal(plain[0], 1);
  assert_int_equal(cira_tier_free(plain), CIRA_OK);
  assert_int_equal(cira_tier_free(other), CIRA_OK);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  assert_int_equal(cira_tier_free(p), CIRA_E_INVALID);
  /* What they held is free again. */
  p = block(6 * MIB, "local", CIRA_TIER_F_FAR);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  cira_tier_options_t o;
  void *none = NULL;
  cira_tier_options_default(&o);
  o.place = "local";
  o.flags = CIRA_TIER_F_FAR;
  assert_int_equal(cira_tier_alloc(9 * MIB, &o, &none), CIRA_E_NOMEM);
  assert_null(none);
  p = block(6 * MIB, "local", CIRA_TIER_F_FAR);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

/* Far blocks can be held on any node of the machine. */
static void test_nodes(void **state) {
  (void)state;
  take_signal();
  cira_tier_info_t t[CIRA_TIER_MAX];
  uint32_t n;
  uint8_t *p = block(4 * MIB, "far", 0);
  memset(p, 9, 4 * MIB);
  assert_int_equal(cira_tier_list(t, CIRA_TIER_MAX, &n), CIRA_OK);
  assert_true(t[far_tier].usable);
  for (uint32_t i = 0; i < n; i++) {
    cira_tier_block_t q;
    if (t[i].kind > CIRA_TIER_NODE || !t[i].usable) {
      continue;
    }
    if (cira_tier_set(p, 0, i, 0) != CIRA_OK) {
      fail_msg("%s: %s", t[i].name, cira_status_detail());
    }
    assert_int_equal(cira_tier_query(p, &q), CIRA_OK);
    assert_int_equal(q.tier_bytes[i], 4 * MIB);
    assert_int_equal(cira_tier_set(p, 0, far_tier, 0), CIRA_OK);
    assert_int_equal(cira_tier_query(p, &q), CIRA_OK);
    assert_int_equal(q.tier_bytes[far_tier], 4 * MIB);
  }
  for (uint64_t i = 0; i < 4 * MIB; i++) {
    assert_int_equal(p[i], 9);
  }
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

static _Atomic bool stop;
static _Atomic uint64_t wrong;
static _Atomic uint64_t *words;

static void *use(void *argument) {
  uint64_t added = 0;
  do {
    for (uint64_t i = 0; i < 4 * MIB / 8; i += 509, added++) {
      uint64_t v =
          atomic_fetch_add_explicit(&words[i], 1, memory_order_relaxed);
      if (v >> 32 != i) {
        atomic_fetch_add(&wrong, 1);
      }
    }
  } while (!atomic_load(&stop));
  *(uint64_t *)argument = added;
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  take_signal();
  pthread_t thread[2];
  uint64_t added[2], sum = 0;
  words = block(4 * MIB, "far", 0);
  for (uint64_t i = 0; i < 4 * MIB / 8; i += 509) {
    atomic_store(&words[i], i << 32);
  }
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&thread[i], NULL, use, &added[i]), 0);
  }
  for (int i = 0; i < 25; i++) {
    assert_int_equal(cira_tier_set((void *)words, 0, CIRA_TIER_LOCAL_ID, 0),
                     CIRA_OK);
    assert_int_equal(cira_tier_set((void *)words, 0, far_tier, 0), CIRA_OK);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < 2; i++) {
    pthread_join(thread[i], NULL);
    sum += added[i];
  }
  assert_int_equal(atomic_load(&wrong), 0);
  for (uint64_t i = 0; i < 4 * MIB / 8; i += 509) {
    sum -= atomic_load(&words[i]) & UINT32_MAX;
  }
  assert_int_equal(sum, 0);
  assert_int_equal(cira_tier_free((void *)words), CIRA_OK);
}

static void *commute(void *argument) {
  do {
    if (cira_tier_set(argument, 0, CIRA_TIER_LOCAL_ID, 0) != CIRA_OK ||
        cira_tier_set(argument, 0, far_tier, 0) != CIRA_OK) {
      atomic_fetch_add(&wrong, 1);
    }
  } while (!atomic_load(&stop));
  return NULL;
}

/* Around a fork jemalloc takes all of its locks, more than the sanitizer's
 * search for deadlocks can follow; races it finds all the same. */
TSAN_OPTIONS_OF_TEST("detect_deadlocks=0");

/* A process forks while chunks come and go: nobody waits for ever, the child
 * has the content, holds nothing and can hold. */
static void test_fork(void **state) {
  (void)state;
  take_signal();
  pthread_t mover;
  uint8_t *p = block(4 * MIB, "far", 0);
  memset(p, 6, 4 * MIB);
  atomic_store(&stop, false);
  assert_int_equal(pthread_create(&mover, NULL, commute, p), 0);
  for (int i = 0; i < 8; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      bool ok = cira_tier_set(p, 0, CIRA_TIER_LOCAL_ID, 0) == CIRA_OK &&
                cira_tier_set(p, 0, far_tier, 0) == CIRA_OK;
      for (uint64_t k = 0; k < 4 * MIB; k += 64) {
        ok = ok && p[k] == 6;
      }
      _exit(ok && cira_tier_free(p) == CIRA_OK ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
  }
  atomic_store(&stop, true);
  pthread_join(mover, NULL);
  assert_int_equal(atomic_load(&wrong), 0);
  assert_int_equal(p[MIB], 6);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

/* A small part of a large block is used again and again: it is held. */
static void test_balance(void **state) {
  (void)state;
  take_signal();
  cira_tier_balanced_t r;
  cira_tier_block_t q;
  uint8_t *p = block(64 * MIB, "hot-local", CIRA_TIER_F_FAR);
  uint64_t promoted = 0;
  memset(p, 1, 64 * MIB);
  for (int round = 0; round < 12; round++) {
    for (uint64_t cold = 8 * MIB; cold < 64 * MIB; cold += 4096) {
      p[cold]++;
      p[4 * MIB + cold * 12345 % (4 * MIB)]++; /* hot */
    }
    assert_int_equal(cira_tier_balance(NULL, &r), CIRA_OK);
    assert_int_equal(r.blocks, 1);
    promoted += r.promoted_bytes;
  }
  assert_true(promoted > 0);
  assert_true(r.local_bytes > 0 && r.local_bytes <= LOCAL_BYTES / 2);
  assert_int_equal(cira_tier_query(p + 5 * MIB, &q), CIRA_OK);
  assert_int_equal(q.tier, CIRA_TIER_LOCAL_ID);
  /* A smaller limit sends it away. */
  cira_tier_balance_options_t o;
  cira_tier_balance_options_default(&o);
  o.local_bytes = 2 * MIB;
  assert_int_equal(cira_tier_balance(&o, &r), CIRA_OK);
  assert_true(r.local_bytes <= 2 * MIB && r.demoted_bytes > 0);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

/* unit-tier-far [TEST TO LEAVE OUT]: in an emulated machine for instance. */
int main(int argc, char **argv) {
  if (argc > 1) {
    cmocka_set_skip_filter(argv[1]);
  }
  /* Before far memory is there: what is known of the tiers changes. */
  if (cira_tier_find("far", &far_tier) != CIRA_OK) {
    return 1;
  }
  cira_far_options_t o = cira_far_options_default();
  o.far_url = "host:";
  o.local_bytes = LOCAL_BYTES;
  o.far_bytes = UINT64_C(1) << 30;
  if (cira_far_start(&o) != CIRA_OK) {
    printf("skipped: %s\n", cira_status_detail());
    return 77;
  }
  sigaction(SIGBUS, NULL, &fault_handler);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hold),    cmocka_unit_test(test_nodes),
      cmocka_unit_test(test_threads), cmocka_unit_test(test_fork),
      cmocka_unit_test(test_balance),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
