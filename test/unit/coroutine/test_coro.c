/* SPDX-License-Identifier: Apache-2.0
 *
 * Coroutines by hand, the pool and its guards, and bad input. Built twice: with
 * the assembly switch and with ucontext. Tasks: test_task.c.
 */
#include "failing.h"

#include "base/base.h"
#include "cira/coro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
  uint64_t steps, done;
  double x;
} count_t;

static void counts(void *argument) {
  count_t *c = argument;
  double local = c->x;
  for (uint64_t i = 0; i < 5; i++) {
    c->steps++;
    local = local * 1.5 + (double)i;
    cira_coro_yield();
  }
  c->x = local;
  c->done = 1;
}

static void resume_and_yield(void **state) {
  (void)state;
  cira_coro_pool_t *pool;
  cira_coro_t *co[100];
  count_t c[100];
  assert_int_equal(cira_coro_pool_create(NULL, &pool), CIRA_OK);
  for (uint32_t round = 0; round < 3; round++) {
    memset(c, 0, sizeof(c));
    for (uint32_t i = 0; i < 100; i++) {
      c[i].x = i;
      assert_int_equal(cira_coro_create(pool, counts, &c[i], &co[i]), CIRA_OK);
    }
    for (uint32_t step = 1; step <= 5; step++) {
      for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(cira_coro_resume(co[i]), CIRA_PENDING);
        assert_int_equal(c[i].steps, step);
        assert_null(cira_coro_self());
      }
    }
    for (uint32_t i = 0; i < 100; i++) {
      double want = i;
      for (uint32_t k = 0; k < 5; k++) {
        want = want * 1.5 + k;
      }
      assert_int_equal(cira_coro_resume(co[i]), CIRA_OK);
      assert_true(c[i].done == 1 && c[i].x == want);
      assert_int_equal(cira_coro_resume(co[i]), CIRA_E_CLOSED);
      assert_int_equal(cira_coro_destroy(co[i]), CIRA_OK);
      assert_int_equal(cira_coro_destroy(co[i]), CIRA_E_INVALID);
    }
  }
  cira_coro_yield(); /* outside: nothing */
  cira_coro_pool_destroy(pool);
}

typedef struct {
  cira_coro_pool_t *pool;
  cira_coro_t *self, *outer;
  uint32_t depth, seen;
} nest_t;

static void nests(void *argument) {
  nest_t *n = argument;
  nest_t inner = {.pool = n->pool, .outer = n->self, .depth = n->depth + 1};
  assert_ptr_equal(cira_coro_self(), n->self);
  assert_int_equal(cira_coro_resume(n->self), CIRA_E_BUSY);
  assert_int_equal(cira_coro_destroy(n->self), CIRA_E_BUSY);
  if (n->outer) {
    assert_int_equal(cira_coro_resume(n->outer), CIRA_E_BUSY);
  }
  if (n->depth < 20) {
    assert_int_equal(cira_coro_create(n->pool, nests, &inner, &inner.self),
                     CIRA_OK);
    assert_int_equal(cira_coro_resume(inner.self), CIRA_PENDING);
    assert_ptr_equal(cira_coro_self(), n->self);
    cira_coro_yield();
    assert_int_equal(cira_coro_resume(inner.self), CIRA_OK);
    assert_int_equal(cira_coro_destroy(inner.self), CIRA_OK);
    n->seen = inner.seen + 1;
  } else {
    cira_coro_yield();
    n->seen = 1;
  }
}

static void nested(void **state) {
  (void)state;
  nest_t n = {0};
  assert_int_equal(cira_coro_pool_create(NULL, &n.pool), CIRA_OK);
  assert_int_equal(cira_coro_create(n.pool, nests, &n, &n.self), CIRA_OK);
  assert_int_equal(cira_coro_resume(n.self), CIRA_PENDING);
  assert_int_equal(cira_coro_resume(n.self), CIRA_OK);
  assert_int_equal(n.seen, 21);
  assert_int_equal(cira_coro_destroy(n.self), CIRA_OK);
  cira_coro_pool_destroy(n.pool);
}

static void nothing(void *argument) {
  (void)argument;
}

static void bad_input(void **state) {
  (void)state;
  cira_coro_pool_t *pool = NULL;
  cira_coro_t *co = NULL;
  cira_coro_options_t o = cira_coro_options_default();
  static uint64_t foreign[512];
  assert_int_equal(cira_coro_pool_create(NULL, NULL), CIRA_E_INVALID);
  o.size = 3;
  assert_int_equal(cira_coro_pool_create(&o, &pool), CIRA_E_INVALID);
  o = cira_coro_options_default();
  o.guard = 9;
  assert_int_equal(cira_coro_pool_create(&o, &pool), CIRA_E_INVALID);
  o.guard = 0;
  o.stack_bytes = 100;
  assert_int_equal(cira_coro_pool_create(&o, &pool), CIRA_E_RANGE);
  o.stack_bytes = UINT64_MAX;
  assert_int_equal(cira_coro_pool_create(&o, &pool), CIRA_E_RANGE);
  assert_null(pool);
  o = cira_coro_options_default();
  o.count_max = 2;
  assert_int_equal(cira_coro_pool_create(&o, &pool), CIRA_OK);
  assert_int_equal(cira_coro_create(NULL, nothing, NULL, &co), CIRA_E_INVALID);
  assert_int_equal(cira_coro_create(pool, NULL, NULL, &co), CIRA_E_INVALID);
  assert_int_equal(cira_coro_create(pool, nothing, NULL, NULL), CIRA_E_INVALID);
  cira_coro_t *two[2];
  assert_int_equal(cira_coro_create(pool, nothing, NULL, &two[0]), CIRA_OK);
  assert_int_equal(cira_coro_create(pool, nothing, NULL, &two[1]), CIRA_OK);
  assert_int_equal(cira_coro_create(pool, nothing, NULL, &co), CIRA_E_QUOTA);
  assert_null(co);
  assert_int_equal(cira_coro_resume(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_coro_resume((cira_coro_t *)(void *)foreign),
                   CIRA_E_INVALID);
  assert_int_equal(cira_coro_destroy((cira_coro_t *)(void *)foreign),
                   CIRA_E_INVALID);
  assert_int_equal(cira_coro_destroy(NULL), CIRA_OK);
  assert_int_equal(cira_coro_destroy(two[0]), CIRA_OK); /* never ran */
  assert_int_equal(cira_coro_resume(two[0]), CIRA_E_INVALID);
  assert_int_equal(cira_coro_destroy(two[1]), CIRA_OK);
  cira_coro_pool_destroy(pool);
  cira_coro_pool_destroy(NULL);
}

/* Every allocation fails once; the pool stays usable. */
static void failing_allocation(void **state) {
  (void)state;
  cira_coro_pool_t *pool = NULL;
  cira_coro_options_t o = cira_coro_options_default();
  o.guard = CIRA_CORO_GUARD_CANARY;
  failing_begin(FAILING_MEMORY, 0);
  assert_int_equal(cira_coro_pool_create(&o, &pool), CIRA_E_NOMEM);
  assert_null(pool);
  assert_true(failing_end());
  assert_int_equal(cira_coro_pool_create(&o, &pool), CIRA_OK);
  for (int n = 0; n < 2; n++) {
    cira_coro_t *co = NULL;
    failing_begin(FAILING_MEMORY, n);
    assert_int_equal(cira_coro_create(pool, nothing, NULL, &co), CIRA_E_NOMEM);
    assert_null(co);
    assert_true(failing_end());
  }
  cira_coro_t *co;
  assert_int_equal(cira_coro_create(pool, nothing, NULL, &co), CIRA_OK);
  assert_int_equal(cira_coro_resume(co), CIRA_OK);
  assert_int_equal(cira_coro_destroy(co), CIRA_OK);
  cira_coro_pool_destroy(pool);
}

#if !defined(CIRA_SANITIZED)
static uint8_t *volatile keep;
static __attribute__((noinline)) uint32_t dive(uint32_t depth) {
  uint8_t frame[1024];
  memset(frame, (int)depth, sizeof(frame));
  keep = frame;
  return depth == 0 ? frame[7] : dive(depth - 1) + frame[depth % 1024];
}

static void dives(void *argument) {
  (void)dive(*(uint32_t *)argument);
  cira_coro_yield();
}

static int overflow(cira_coro_guard_t guard) {
  pid_t pid = fork();
  if (pid == 0) {
    cira_coro_pool_t *pool;
    cira_coro_options_t o = cira_coro_options_default();
    cira_coro_t *co[3];
    uint32_t little = 4;
    uint32_t depth;
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)close(2);
    o.guard = guard;
    o.stack_bytes = 32 << 10;
    if (cira_coro_pool_create(&o, &pool) != CIRA_OK) {
      _exit(77);
    }
    /* a few frames fit; then just over the end, into the neighbour */
    depth = guard == CIRA_CORO_GUARD_CANARY ? 31 : 40;
    for (uint32_t i = 0; i < 3; i++) {
      if (cira_coro_create(pool, dives, i == 2 ? &depth : &little, &co[i]) !=
          CIRA_OK) {
        _exit(2);
      }
    }
    if (cira_coro_resume(co[0]) != CIRA_PENDING ||
        cira_coro_resume(co[0]) != CIRA_OK) {
      _exit(3);
    }
    (void)!cira_coro_resume(co[2]);
    _exit(0);
  }
  int status = -1;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}
#endif

static void guards(void **state) {
  (void)state;
#if defined(CIRA_SANITIZED)
  skip(); /* frames are larger there, and the sanitizers see it first */
#else
  int status = overflow(CIRA_CORO_GUARD_PAGE);
  if (!(WIFEXITED(status) && WEXITSTATUS(status) == 77)) {
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  }
  status = overflow(CIRA_CORO_GUARD_MAP);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  status = overflow(CIRA_CORO_GUARD_CANARY);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CIRA_EXIT_FAR);
#endif
}

/* More stacks than there could be mappings, whatever the guard. */
static void many_stacks(void **state) {
  (void)state;
#if defined(CIRA_SANITIZED)
  skip(); /* the thread sanitizer has 8000 fibres */
#else
  enum { N = 40000 };
  static cira_coro_t *co[N];
  static count_t c;
  for (uint32_t guard = 0; guard <= CIRA_CORO_GUARD_CANARY; guard++) {
    cira_coro_pool_t *pool;
    cira_coro_options_t o = cira_coro_options_default();
    o.guard = guard;
    cira_status_t status = cira_coro_pool_create(&o, &pool);
    if (status == CIRA_E_UNSUPPORTED && guard == CIRA_CORO_GUARD_PAGE) {
      continue;
    }
    assert_int_equal(status, CIRA_OK);
    for (uint32_t i = 0; i < N; i++) {
      assert_int_equal(cira_coro_create(pool, counts, &c, &co[i]), CIRA_OK);
      assert_int_equal(cira_coro_resume(co[i]), CIRA_PENDING);
    }
    for (uint32_t i = 0; i < N; i++) {
      assert_int_equal(cira_coro_resume(co[i]), CIRA_PENDING);
      assert_int_equal(cira_coro_destroy(co[i]), CIRA_OK);
    }
    cira_coro_pool_destroy(pool);
  }
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resume_and_yield), cmocka_unit_test(nested),
      cmocka_unit_test(bad_input),        cmocka_unit_test(failing_allocation),
      cmocka_unit_test(guards),           cmocka_unit_test(many_stacks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
