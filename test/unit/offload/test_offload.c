/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions on helpers, tokens, barriers, and the waits that nobody can end:
 * test-offload PLACE.
 */
#include "place.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "offload/offload.h"

typedef struct {
  uint64_t *to;
  uint64_t from, n;
  int64_t wait, signal;
  uint8_t pad[300];
} part_t;

static void add_part(void *arg) {
  part_t *p = arg;
  if (p->wait != 0) {
    cira_abi_token_wait(p->wait);
  }
  for (uint64_t i = 0; i < p->n; i++) {
    p->to[p->from + i] += p->from + i;
  }
  if (p->signal != 0) {
    cira_abi_token_signal(p->signal);
  }
}

static void begin(int32_t core, part_t p) {
  cira_abi_offload_begin(core, (void *)add_part, &p, sizeof p);
}

static void test_barrier(void **state) {
  (void)state;
  enum { N = 200000 };
  uint64_t *a = place_alloc(N * 8);
  for (uint64_t round = 1; round <= 3; round++) {
    for (uint64_t i = 0; i < N; i += 500) { /* more than the ring holds */
      begin((int32_t)(i / 500 % 5) - 1, (part_t){.to = a, .from = i, .n = 500});
    }
    cira_abi_barrier();
    for (uint64_t i = 0; i < N; i++) {
      assert_int_equal(a[i], round * i);
    }
  }
  cira_abi_barrier();
}

static void test_call(void **state) {
  (void)state;
  uint64_t *a = place_alloc(4096);
  for (uint64_t i = 0; i < 300; i++) {
    part_t p = {.to = a, .from = i, .n = 1};
    cira_abi_offload_call((int32_t)(i % 3) - 1, (void *)add_part, &p);
    assert_int_equal(a[i], i);
  }
}

/* A chain of regions, each of which waits for the one before. */
static void test_tokens(void **state) {
  (void)state;
  uint64_t *a = place_alloc(4096);
  for (int round = 0; round < 200; round++) {
    int64_t first = cira_abi_token_create(), last = first;
    for (int i = 0; i < 6; i++) {
      int64_t next = cira_abi_token_create();
      begin(-1,
            (part_t){.to = a, .from = 1, .n = 1, .wait = last, .signal = next});
      last = next;
    }
    cira_abi_token_signal(first);
    cira_abi_token_wait(last);
    cira_abi_token_wait(last); /* signalled stays signalled */
    assert_int_equal(a[1], 6u * (unsigned)(round + 1));
  }
  cira_abi_barrier();
}

static int64_t shared[2];
static void *answers(void *arg) {
  (void)arg;
  place_thread_enter();
  cira_abi_token_wait(shared[0]);
  usleep(30000); /* the other side is asleep by now */
  cira_abi_token_signal(shared[1]);
  return NULL;
}

static void test_thread_answers(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    pthread_t t;
    shared[0] = cira_abi_token_create();
    shared[1] = cira_abi_token_create();
    if (place_space() != NULL) {
      cira_space_thread_add(place_space());
    }
    assert_int_equal(pthread_create(&t, NULL, answers, NULL), 0);
    cira_abi_token_signal(shared[0]);
    cira_abi_token_wait(shared[1]);
    pthread_join(t, NULL);
    if (place_space() != NULL) {
      cira_space_thread_remove(place_space());
    }
  }
}

/* ---- misuse ---------------------------------------------------------------
 */

static void wait_alone(void) {
  cira_abi_token_wait(cira_abi_token_create());
}

static void wait_for_waiting_region(void) {
  uint64_t a[2] = {0};
  begin(-1, (part_t){.to = a, .n = 1, .wait = cira_abi_token_create()});
  cira_abi_barrier();
}

/* Its signal would come from a region that never gets a helper. */
static void region_behind_its_wait(void) {
  uint64_t a[2] = {0};
  int64_t token = cira_abi_token_create();
  if (cira_offload_configure(1) != CIRA_OK) {
    return;
  }
  begin(0, (part_t){.to = a, .n = 1, .wait = token});
  begin(0, (part_t){.to = a, .n = 1, .signal = token});
  cira_abi_barrier();
}

static void signal_twice(void) {
  int64_t token = cira_abi_token_create();
  cira_abi_token_signal(token);
  cira_abi_token_signal(token);
}

static void nested(void *arg) {
  (void)arg;
  cira_abi_offload_call(-1, (void *)nested, NULL);
}

static void offload_nested(void) {
  cira_abi_offload_call(-1, (void *)nested, NULL);
}

static void barrier_inside(void *arg) {
  (void)arg;
  cira_abi_barrier();
}

static void barrier_in_region(void) {
  cira_abi_offload_call(-1, (void *)barrier_inside, NULL);
}

static void strange_token(void) {
  cira_abi_token_wait(0);
}

static void test_misuse(void **state) {
  (void)state;
  if (place_is_far()) {
    return;
  }
  place_misuse(wait_alone, "nobody is left who could signal");
  place_misuse(wait_for_waiting_region, "nobody is left who could signal");
  place_misuse(region_behind_its_wait, "nobody is left who could signal");
  place_misuse(signal_twice, "was signalled before");
  place_misuse(offload_nested, "offload inside of an offload region");
  place_misuse(barrier_in_region, "barrier inside of an offload region");
  place_misuse(strange_token, "is no token");
}

#if !TSAN
/* A child has no helpers of its own until it needs them. */
static void test_fork(void **state) {
  (void)state;
  if (place_is_far()) {
    return; /* far memory and fork: the preload shim's business */
  }
  static uint64_t a[100];
  begin(-1, (part_t){.to = a, .n = 100});
  cira_abi_barrier();
  pid_t pid = fork();
  if (pid == 0) {
    alarm(20);
    begin(-1, (part_t){.to = a, .n = 100});
    cira_abi_barrier();
    _exit(a[7] == 14 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}
#endif

PLACE_TEST(test_misuse)
PLACE_TEST(test_barrier)
PLACE_TEST(test_call)
PLACE_TEST(test_tokens)
PLACE_TEST(test_thread_answers)
#if !TSAN
PLACE_TEST(test_fork)
#endif

int main(int argc, char **argv) {
  if (!place_choose(argc == 2 ? argv[1] : "none")) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      PLACE_UNIT(test_misuse), /* first: forks while there is one thread */
      PLACE_UNIT(test_barrier), PLACE_UNIT(test_call),
      PLACE_UNIT(test_tokens),  PLACE_UNIT(test_thread_answers),
#if !TSAN
      PLACE_UNIT(test_fork),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
