/* SPDX-License-Identifier: Apache-2.0
 * Tables of lists: walk() does what a compiled loop does and counts how many
 * nodes were asked for before the walk came to them. */
#include "cc/cc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum {
  many = 100000,
  distance = 20,
  always = distance | cira__jump_fixed_changed << cira__jump_fixed_shift,
  never = distance | cira__jump_fixed_old << cira__jump_fixed_shift,
  by_turns = distance | cira__jump_fixed_alternate << cira__jump_fixed_shift
};

typedef struct node {
  struct node *next;
  uint64_t asked; /* in which walk it was prefetched last */
} node_t;

typedef struct walked {
  uint64_t nodes;
  uint64_t right; /* prefetched before */
} walked_t;

static _Thread_local uint64_t walk_number;
static _Thread_local void *const *seen; /* the last cursor into a table */

/* What a node takes without a table and with one. */
static _Thread_local uint64_t now = 1, plain_ticks, table_ticks;
uint64_t jump_test_now(void);

uint64_t jump_test_now(void) {
  return now;
}

/* Entries of a table of a list that is gone may not be written to here, as a
 * prefetch may; lists of these tests lie in one array. */
typedef struct pool {
  node_t *nodes;
  size_t count;
} pool_t;

static void ask(const pool_t *pool, void *entry) {
  node_t *node = entry;
  if (node >= pool->nodes && node < pool->nodes + pool->count) {
    node->asked = walk_number;
  }
}

__attribute__((noinline)) static walked_t walk_by(const pool_t *pool,
                                                  node_t *head,
                                                  uint64_t nodes_min,
                                                  uint64_t stop, uint64_t how) {
  walked_t w = {0};
  uint64_t left = cira__jump_block;
  void *const *cursor = NULL;
  bool fast = false;
  walk_number++;
  for (node_t *n = head; n && w.nodes < stop;) {
    w.nodes++;
    w.right += n->asked == walk_number;
    n = n->next;
    now += fast ? table_ticks : plain_ticks;
    if (fast) {
      ask(pool, *cursor++);
    }
    if (fast ? (uintptr_t)cursor % cira__jump_block_bytes == 0 : !--left) {
      left = cira_jump_step(n, cursor, how, nodes_min);
      cursor = (void *const *)left;
      fast = left > UINT32_MAX;
      seen = fast ? cursor : seen;
    }
  }
  return w;
}

static walked_t walk_for(const pool_t *pool, node_t *head, uint64_t nodes_min,
                         uint64_t stop) {
  return walk_by(pool, head, nodes_min, stop, always);
}

/* By the clock. */
static walked_t walk_timed(const pool_t *pool, node_t *head, uint64_t plain,
                           uint64_t with_table) {
  plain_ticks = plain;
  table_ticks = with_table;
  return walk_by(pool, head, 1000, UINT64_MAX, distance);
}

static walked_t walk(const pool_t *pool, node_t *head, uint64_t nodes_min) {
  return walk_for(pool, head, nodes_min, UINT64_MAX);
}

/* A list over all nodes but `spare`, in any order; sets `*head`. */
static pool_t make(size_t count, size_t spare, node_t **head) {
  pool_t pool = {.count = count};
  pool.nodes = mmap(NULL, count * sizeof(node_t), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(pool.nodes, MAP_FAILED);
  size_t used = count - spare;
  size_t step = 0x9e3779b1u % used | 1;
  while (used % step == 0 || step % 2 == 0 || used % 2 == 0) {
    if (used % 2 == 0) {
      used--;
      continue;
    }
    step += 2;
  }
  size_t at = 0;
  *head = &pool.nodes[0];
  for (size_t i = 1; i < used; i++) {
    size_t next = (at + step) % used;
    if (next == 0) {
      break;
    }
    pool.nodes[at].next = &pool.nodes[next];
    at = next;
  }
  return pool;
}

/* Addresses are not used again: a table of another test's list may be left. */
static void drop(const pool_t *pool) {
  (void)madvise(pool->nodes, pool->count * sizeof(node_t), MADV_DONTNEED);
}

/* What a walk along a good table misses: the nodes that are counted at first
 * (twice, if the same place has tables of other lists) and what is prefetched
 * when it begins. */
enum { missed_max = 2 * cira__jump_block + distance + 4 };

static void test_second_walk(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  walked_t first = walk(&pool, head, 1000);
  assert_true(first.nodes > 90000);
  assert_int_equal(first.right, 0);
  for (int i = 0; i < 3; i++) {
    walked_t next = walk(&pool, head, 1000);
    assert_int_equal(next.nodes, first.nodes);
    assert_true(next.right + missed_max >= next.nodes);
  }
  drop(&pool);
}

static void test_short_lists_have_none(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(5000, 0, &head);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(walk(&pool, head, 6000).right, 0);
  }
  drop(&pool);
}

static void test_few_changes(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 100, &head);
  walk(&pool, head, 1000);
  size_t spare = many - 100;
  for (int round = 0; round < 4; round++) {
    node_t *at = head;
    for (int i = 0; i < 10; i++) { /* ten more, anywhere */
      node_t *more = &pool.nodes[spare++];
      for (int k = 0; k < 7000; k++) {
        at = at->next;
      }
      more->next = at->next;
      at->next = more;
    }
    node_t *front = &pool.nodes[spare++]; /* and one in front */
    front->next = head;
    head = front;
    head->next->next = head->next->next->next; /* and one taken out */
    walked_t w = walk(&pool, head, 1000);
    assert_true(w.right * 100 >= w.nodes * 95);
  }
  drop(&pool);
}

static void test_another_order(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  walk(&pool, head, 1000);
  node_t *last = NULL, *keep = head;
  for (int i = 0; i < 2000; i++) { /* the first ones stay */
    keep = keep->next;
  }
  for (node_t *n = keep->next, *next; n;
       n = next) { /* the others turn around */
    next = n->next;
    n->next = last;
    last = n;
  }
  keep->next = last;
  walked_t w = walk(&pool, head, 1000);
  assert_true(w.right < w.nodes / 10); /* dropped soon */
  walk(&pool, head, 1000);
  w = walk(&pool, head, 1000);
  assert_true(w.right + missed_max >= w.nodes);
  drop(&pool);
}

static void test_ring(void **state) {
  (void)state;
  node_t *head, *last;
  pool_t pool = make(many, 0, &head);
  uint64_t nodes = 1;
  for (last = head; last->next; last = last->next) {
    nodes++;
  }
  last->next = head;
  walked_t w = walk_for(&pool, head, 1000, 5 * nodes);
  assert_true(w.right * 100 > w.nodes * 75);
  drop(&pool);
}

static void test_growing_list(void **state) {
  (void)state;
  node_t *head, *rest;
  pool_t pool = make(many, 0, &head);
  rest = head;
  for (int i = 0; i < 50000; i++) {
    rest = rest->next;
  }
  node_t *cut = rest->next;
  rest->next = NULL;
  walk(&pool, head, 1000);
  walk(&pool, head, 1000);
  rest->next = cut;
  walk(&pool, head, 1000);
  walked_t w = walk(&pool, head, 1000);
  /* A few were not written down where the old end was. */
  assert_true(w.right + missed_max + cira__jump_block >= w.nodes);
  drop(&pool);
}

/* A walk inside of a walk of the same list. */
static void test_nested(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(20001, 0, &head);
  for (int round = 0; round < 3; round++) {
    for (node_t *n = head; n; n = n->next) {
      if ((uintptr_t)n % 4096 == 0) {
        walk(&pool, head, 1000);
      }
    }
  }
  walked_t w = walk(&pool, head, 1000);
  assert_true(w.right + missed_max >= w.nodes);
  drop(&pool);
}

/* More lists than tables. */
static void test_many_lists(void **state) {
  (void)state;
  enum { lists = 40 };
  node_t *head[lists];
  pool_t pool[lists];
  for (int i = 0; i < lists; i++) {
    pool[i] = make(3001, 0, &head[i]);
  }
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < lists; i++) {
      assert_true(walk(&pool[i], head[i], 1000).nodes > 2000);
    }
  }
  for (int i = 0; i < lists; i++) {
    drop(&pool[i]);
  }
}

static void *thread_main(void *unused) {
  node_t *head;
  pool_t pool = make(30001, 0, &head);
  (void)unused;
  walk(&pool, head, 1000);
  walked_t w = walk(&pool, head, 1000);
  drop(&pool);
  return (void *)(w.right * 2 > w.nodes ? (uintptr_t)1 : 0);
}

static void test_threads(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    pthread_t thread[4];
    uintptr_t good = 0;
    for (int i = 0; i < 4; i++) {
      assert_int_equal(pthread_create(&thread[i], NULL, thread_main, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
      void *result;
      pthread_join(thread[i], &result);
      good += (uintptr_t)result;
    }
    /* One that finds the pool taken goes without. */
    assert_true(good >= 1 || round < 19);
  }
}

/* Cursors of other walks, other threads and of tables that are gone. */
static void *use_cursor(void *cursor) {
  node_t node = {0};
  uint64_t next = cira_jump_step(&node, cursor, distance, 10);
  return (void *)(uintptr_t)(next <= UINT32_MAX);
}

static void test_foreign_cursors(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  walk(&pool, head, 1000);
  walk_for(&pool, head, 1000, 5000);
  uintptr_t left = (uintptr_t)seen;
  assert_true(left > UINT32_MAX);
  pthread_t thread;
  void *result;
  pthread_create(&thread, NULL, use_cursor, (void *)(uintptr_t)(left + 8));
  pthread_join(thread, &result);
  assert_non_null(result);
  for (uint64_t k = 1; k < 200; k++) { /* not where the walk is */
    node_t node = {0};
    (void)cira_jump_step(&node, (void *const *)(uintptr_t)(left + 2048 * k),
                         distance, 1000);
  }
  assert_int_equal(cira_jump_step(NULL, NULL, 0, 0), UINT32_MAX);
  drop(&pool);
}

/* ---- by the clock ---------------------------------------------------------
 */

/* Nodes that are not prefetched since the walk is timed. */
enum { timed_max = 8 * cira__jump_block };

static void test_slow_list_is_prefetched(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  assert_int_equal(walk_timed(&pool, head, 300, 30).right, 0);
  for (int i = 0; i < 12; i++) {
    walked_t w = walk_timed(&pool, head, 300, 30);
    assert_true(w.right + missed_max + timed_max >= w.nodes);
  }
  drop(&pool);
}

/* What comes into the caches later is walked as it is then, and what leaves
 * them is prefetched again. */
static void test_list_comes_and_goes(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  walked_t w = walk_timed(&pool, head, 300, 30);
  w = walk_timed(&pool, head, 300, 30);
  assert_true(w.right > 0);
  for (int i = 0; i < 8; i++) {
    w = walk_timed(&pool, head, 10, 12);
  }
  assert_int_equal(w.right, 0);
  for (int i = 0; i < 200; i++) {
    w = walk_timed(&pool, head, 300, 30);
  }
  assert_true(w.right + missed_max + timed_max >= w.nodes);
  drop(&pool);
}

/* A table that was worth it for long outlives that it is not for a while, and
 * goes if that lasts. */
static void test_troubles_pass(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  for (int i = 0; i < 8; i++) {
    (void)walk_timed(&pool, head, 300, 30);
  }
  for (int i = 0; i < 4; i++) {
    walked_t w = walk_timed(&pool, head, 300, 300);
    assert_true(w.right + missed_max + timed_max >= w.nodes);
  }
  uint64_t right = 0;
  for (int i = 0; i < 16; i++) {
    right = walk_timed(&pool, head, 300, 300).right;
  }
  assert_int_equal(right, 0);
  drop(&pool);
}

static void test_fast_list_has_none(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(walk_timed(&pool, head, 10, 1).right, 0);
  }
  drop(&pool);
}

/* Slow, and as slow with a table: it computes. */
static void test_no_gain(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  uint64_t right = 0;
  for (int i = 0; i < 100; i++) {
    walked_t w = walk_timed(&pool, head, 100, 97);
    assert_true(w.right < 20 * cira__jump_block);
    right += w.right;
  }
  assert_true(right < 100 * cira__jump_block);
  drop(&pool);
}

/* The first nodes are in the cache, the others are not. */
static void test_slow_behind(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  uint64_t right = 0;
  plain_ticks = 5;
  table_ticks = 20;
  for (int round = 0; round < 100; round++) {
    uint64_t nodes = 0, left = cira__jump_block;
    void *const *cursor = NULL;
    for (node_t *n = head; n; n = n->next) {
      bool fast = left > UINT32_MAX;
      now += nodes++ < 10000 ? 5u : fast ? 20u : 300u;
      if (fast) {
        right++;
        cursor++;
      }
      if (fast ? (uintptr_t)cursor % cira__jump_block_bytes == 0 : !--left) {
        left = cira_jump_step(n, cursor, distance, 1000);
        cursor = (void *const *)left;
      }
    }
  }
  assert_true(right > many);
  drop(&pool);
}

static void test_fixed(void **state) {
  (void)state;
  node_t *head;
  pool_t pool = make(many, 0, &head);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(walk_by(&pool, head, 1000, UINT64_MAX, never).right, 0);
  }
  uint64_t right = 0;
  for (int i = 0; i < 10; i++) {
    walked_t w = walk_by(&pool, head, 1000, UINT64_MAX, by_turns);
    assert_true(w.right + missed_max < w.nodes);
    right += w.right;
  }
  assert_true(right > many);
  drop(&pool);
}

int main(void) {
  /* All walks come from one place, which pauses longer and longer when its
   * tables are of no use: the tests in which they are not come last. */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_list_is_prefetched),
      cmocka_unit_test(test_slow_behind),
      cmocka_unit_test(test_list_comes_and_goes),
      cmocka_unit_test(test_troubles_pass),
      cmocka_unit_test(test_fixed),
      cmocka_unit_test(test_second_walk),
      cmocka_unit_test(test_few_changes),
      cmocka_unit_test(test_another_order),
      cmocka_unit_test(test_ring),
      cmocka_unit_test(test_growing_list),
      cmocka_unit_test(test_nested),
      cmocka_unit_test(test_foreign_cursors),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_many_lists),
      cmocka_unit_test(test_short_lists_have_none),
      cmocka_unit_test(test_fast_list_has_none),
      cmocka_unit_test(test_no_gain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
