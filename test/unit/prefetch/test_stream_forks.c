/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams across forks: they live on in parent and child, whatever becomes of
 * the homes; and a child waits for none of the threads that it does not have:
 * test-stream_forks PLACE.
 */
#include "../../conformance/tsan.h"
#include "front.h"
#include "place.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space/space.h"

/* Its deadlock detector knows too few locks for a heap's at once. */
TSAN_OPTIONS_OF_TEST("die_after_fork=0:detect_deadlocks=0");

#define PAGES 600u
#define BYTES (PAGES * 4096u)
#define WORDS ((int64_t)BYTES / 8)
#define COLUMNS 500

static uint64_t *words;

static uint64_t word(int64_t i) {
  return (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(void) {
  words = place_alloc(BYTES);
  for (int64_t i = 0; i < WORDS; i++) {
    words[i] = word(i);
  }
  place_send_home(words, BYTES);
}

static pid_t far_fork(void) {
  if (place_space() == NULL) {
    return fork();
  }
  assert_int_equal(cira_space_fork_prepare(place_space()), CIRA_OK);
  pid_t pid = fork();
  if (pid == 0) {
    if (cira_space_fork_child(place_space()) != CIRA_OK ||
        cira_space_fork_finish(place_space()) != CIRA_OK) {
      _exit(9);
    }
  } else {
    cira_space_fork_parent(place_space(), pid > 0);
  }
  return pid;
}

static void child_ended_well(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

/* ---- streams and requests of the thread that forks ------------------------
 */

static int rest_wrong(void *s, cira_abi_front_t *f, int64_t k, int64_t end) {
  for (; k < end; k++) {
    if (*(uint64_t *)peek(s, f) != word(k)) {
      return 1;
    }
    advance(s, f);
  }
  return 0;
}

static void test_fork(void **state) {
  (void)state;
  fill();
  uint8_t *other = place_alloc(200 * 4096);
  cira_abi_front_t f = {0};
  int64_t at = 0;
  void *s = cira_abi_stream_strided(words, 0, 1, WORDS, 8, 0);
  for (int round = 0; round < 12; round++) {
    assert_int_equal(rest_wrong(s, &f, at, at + 5000), 0);
    at += 5000;
    int64_t ticket = cira_abi_load_begin(&words[WORDS - 1], 8);
    pid_t pid = far_fork();
    uint64_t got = 0;
    if (ticket != 0) {
      cira_abi_load_end(ticket, &got);
    } else {
      got = words[WORDS - 1];
    }
    int wrong = got != word(WORDS - 1);
    if (pid == 0) {
      wrong += rest_wrong(s, &f, at, WORDS);
      cira_abi_stream_release(s);
      _exit(wrong);
    }
    assert_int_equal(wrong, 0);
    memset(other, round, 200 * 4096); /* pages come and go */
    place_send_home(other, 200 * 4096);
    child_ended_well(pid);
  }
  assert_int_equal(rest_wrong(s, &f, at, WORDS), 0);
  cira_abi_stream_release(s);
}

/* ---- other threads, and helpers -------------------------------------------
 */

typedef struct node {
  uint64_t value;
  struct node *next;
  uint64_t pad;
} node_t;

static node_t node[64];
static _Atomic bool stop;

/* Makes and ends streams, of a list that has a table. */
static void *stream_maker(void *unused) {
  (void)unused;
  do {
    cira_abi_front_t f = {0};
    void *s = cira_abi_stream_chain(node, offsetof(node_t, next), sizeof *node);
    for (size_t i = 0; i < CIRA_COUNT(node); i++) {
      (void)peek(s, &f);
      chain_advance(s, &f, offsetof(node_t, next));
    }
    cira_abi_stream_release(s);
  } while (!atomic_load(&stop));
  return NULL;
}

static int maker_begin(pthread_t *t) {
  if (place_space() != NULL) {
    cira_space_thread_add(place_space());
  }
  return pthread_create(t, NULL, stream_maker, NULL);
}

static void maker_end(pthread_t t) {
  atomic_store(&stop, true);
  pthread_join(t, NULL);
  if (place_space() != NULL) {
    cira_space_thread_remove(place_space());
  }
}

static void ahead_on_helper(void *arg) {
  cira_abi_stream_ahead(*(void **)arg, 3);
}

static int child_of_threads(void *s) {
  alarm(60);
  uint64_t first;
  cira_abi_stream_peek(s, &first, 8, 0);
  cira_abi_stream_release(s);
  pthread_t maker; /* it gets a record that a thread of the parent had */
  if (maker_begin(&maker) != 0) {
    return 2;
  }
  maker_end(maker);
  void *none = NULL;
  cira_abi_offload_begin(-1, (void *)ahead_on_helper, &none, sizeof none);
  cira_abi_barrier();
  return first != word(0);
}

/* A helper runs ahead of a stream, and another thread makes and ends others. */
static void test_fork_of_threads(void **state) {
  (void)state;
  fill();
  for (size_t i = 0; i + 1 < CIRA_COUNT(node); i++) {
    node[i].next = &node[i + 1];
  }
  int64_t sizes[2] = {WORDS / COLUMNS, COLUMNS}, strides[2] = {COLUMNS, 1};
  int64_t tiles[2] = {32, 90};
  pthread_t maker;
  atomic_store(&stop, false);
  assert_int_equal(maker_begin(&maker), 0);
  for (int round = 0; round < 8; round++) {
    void *s = cira_abi_stream_tiled(words, 8, 2, sizes, strides, tiles);
    cira_abi_offload_begin(-1, (void *)ahead_on_helper, &s, sizeof s);
    for (int i = 0; i < round * 40; i++) {
      sched_yield();
    }
    pid_t pid = far_fork();
    if (pid == 0) {
      _exit(child_of_threads(s));
    }
    child_ended_well(pid);
    cira_abi_stream_release(s);
    cira_abi_barrier();
  }
  maker_end(maker);
}

PLACE_TEST(test_fork)
PLACE_TEST(test_fork_of_threads)

int main(int argc, char **argv) {
  if (!place_choose(argc == 2 ? argv[1] : "none")) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      PLACE_UNIT(test_fork),
      PLACE_UNIT(test_fork_of_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
