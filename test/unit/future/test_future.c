/* SPDX-License-Identifier: Apache-2.0
 *
 * cira/async.h against a shadow copy: test-future PLACE. What is asked for is
 * sent home again and again, so that requests meet pages in every state.
 */
#include "place.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cira/async.h"
#include "cira/coro.h"
#include "profile/profile.h"

#define PAGES 500u
#define BYTES (PAGES * 4096u)
#define OK(x) assert_int_equal((x), CIRA_OK)

static uint8_t *data, *shadow;

static void fill(void) {
  data = place_alloc(BYTES);
  shadow = malloc(BYTES);
  for (uint32_t i = 0; i < BYTES; i++) {
    shadow[i] = (uint8_t)(place_random() >> 56);
  }
  memcpy(data, shadow, BYTES);
  place_send_home(data, BYTES);
}

static void await_ok(cira_async_t *a) {
  uint64_t value = 1;
  OK(cira_async_await(a, CIRA_FOREVER, &value));
}

static void test_loads(void **state) {
  (void)state;
  fill();
  cira_async_t a = {0};
  uint8_t *got = malloc(70000);
  for (int i = 0; i < 1500; i++) {
    uint64_t bytes = 1 + place_random() % (i % 50 == 0 ? 69999 : 300);
    uint64_t at = place_random() % (BYTES - bytes);
    OK(cira_async_load(&a, data + at, got, bytes));
    await_ok(&a);
    assert_memory_equal(got, shadow + at, bytes);
    if (i % 100 == 0) {
      place_send_home(data, BYTES);
    }
    if (i % 7 == 0) { /* bring some pages here by a plain access */
      assert_int_equal(data[at], shadow[at]);
    }
  }
  for (uint64_t n = 1; n <= 8; n++) { /* small values */
    uint64_t value = 0, want = 0;
    memcpy(&want, shadow + 4090 + n, n);
    OK(cira_async_load(&a, data + 4090 + n, NULL, n));
    OK(cira_async_await(&a, CIRA_FOREVER, &value));
    assert_int_equal(value, want);
  }
  free(got);
  free(shadow);
}

/* More at once than there are slots, ended in another order. */
static void test_many_under_way(void **state) {
  (void)state;
  fill();
  enum { N = 1000 };
  cira_async_t *a = calloc(N, sizeof *a);
  uint64_t *got = calloc(N, 8), at[N];
  for (int round = 0; round < 5; round++) {
    place_send_home(data, BYTES);
    for (int i = 0; i < N; i++) {
      at[i] = place_random() % (BYTES - 8);
      OK(cira_async_load(&a[i], data + at[i], &got[i], 8));
    }
    for (int k = 0; k < N; k++) {
      int i = (k * 7) % N;
      await_ok(&a[i]);
      assert_memory_equal(&got[i], shadow + at[i], 8);
    }
  }
  free(got);
  free(a);
  free(shadow);
}

static void test_batches(void **state) {
  (void)state;
  fill();
  enum { N = 700 };
  cira_async_piece_t *p = calloc(N, sizeof *p);
  uint8_t *buffer = malloc(N * 600);
  cira_async_t a = {0};
  for (int round = 0; round < 6; round++) {
    for (int i = 0; i < N; i++) {
      p[i] = (cira_async_piece_t){.far = data + place_random() % (BYTES - 600),
                                  .local = buffer + i * 600,
                                  .bytes = 1 + place_random() % 600};
    }
    OK(cira_async_gather(&a, p, N));
    await_ok(&a);
    for (int i = 0; i < N; i++) {
      assert_memory_equal(p[i].local, shadow + ((uint8_t *)p[i].far - data),
                          p[i].bytes);
    }
    for (int i = 0; i < N; i++) { /* and back, changed, in order */
      memset(p[i].local, i + round, p[i].bytes);
      memcpy(shadow + ((uint8_t *)p[i].far - data), p[i].local, p[i].bytes);
    }
    OK(cira_async_scatter(&a, p, N));
    await_ok(&a);
    if (round % 2 == 0) {
      place_send_home(data, BYTES);
    }
  }
  assert_memory_equal(data, shadow, BYTES);
  free(p);
  free(buffer);
  free(shadow);
}

/* Stores, plain stores and loads of the same bytes follow each other. */
static void test_coherence(void **state) {
  (void)state;
  fill();
  cira_async_t a = {0};
  for (int i = 0; i < 3000; i++) {
    uint8_t value[200], got[200];
    uint64_t bytes = 1 + place_random() % 199;
    uint64_t at = place_random() % (BYTES - bytes);
    memset(value, i, bytes);
    memcpy(shadow + at, value, bytes);
    if (i % 3 == 0) {
      memcpy(data + at, value, bytes); /* in the local cache only */
    } else {
      OK(cira_async_store(&a, data + at, value, bytes));
      memset(value, 0xee, bytes); /* was taken */
      await_ok(&a);
    }
    uint64_t from = at < 50 ? 0 : at - 50;
    if (i % 2 == 0) {
      OK(cira_async_load(&a, data + from, got, 150));
      await_ok(&a);
      assert_memory_equal(got, shadow + from, 150);
    } else {
      assert_memory_equal(data + at, shadow + at, bytes);
    }
    if (i % 500 == 250) {
      place_send_home(data, BYTES);
    }
  }
  assert_memory_equal(data, shadow, BYTES);
  free(shadow);
}

static void test_atomics(void **state) {
  (void)state;
  fill();
  uint64_t *word = (uint64_t *)(void *)data, *want = (uint64_t *)(void *)shadow;
  cira_async_t a = {0};
  for (int i = 0; i < 2400; i++) {
    uint64_t at = place_random() % (BYTES / 8), old = 0, x = place_random();
    switch (i % 4) {
    case 0:
      OK(cira_async_fetch_add(&a, word + at, x));
      OK(cira_async_await(&a, CIRA_FOREVER, &old));
      assert_true(old == want[at]);
      want[at] += x;
      break;
    case 1:
      OK(cira_async_swap(&a, word + at, x));
      OK(cira_async_await(&a, CIRA_FOREVER, &old));
      assert_true(old == want[at]);
      want[at] = x;
      break;
    case 2:
      OK(cira_async_compare_swap(&a, word + at, want[at] + i % 8 / 4, x));
      OK(cira_async_await(&a, CIRA_FOREVER, &old));
      assert_true(old == want[at]);
      want[at] = i % 8 / 4 == 0 ? x : old;
      break;
    default:
      assert_true(word[at] == want[at]);
      word[at] = want[at] = x;
    }
    if (i % 200 == 0) {
      place_send_home(data, BYTES);
    }
  }
  assert_memory_equal(data, shadow, BYTES);
  free(shadow);
}

/* See memory_atomic in space/request.c. */
__attribute__((disable_sanitizer_instrumentation)) static void
add_plainly(uint64_t *word) {
  (void)__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
}

#define THREADS 3
static void *adder(void *arg) {
  uint64_t *word = arg, sum = 0;
  cira_async_t a[8] = {{0}};
  place_thread_enter();
  for (int i = 0; i < 400; i++) {
    for (int k = 0; k < 8; k++) {
      if (cira_async_fetch_add(&a[k], word + (i * 8 + k) % 64 * 512, 1) !=
          CIRA_OK) {
        return "begin";
      }
    }
    if (i % 16 == 0) {
      place_send_home(word, 64 * 4096);
    }
    if (i % 5 == 0) { /* the same words, by plain atomics */
      add_plainly(word + i % 64 * 512);
      sum++;
    }
    for (int k = 0; k < 8; k++) {
      if (cira_async_await(&a[k], CIRA_FOREVER, NULL) != CIRA_OK) {
        return "await";
      }
      sum++;
    }
  }
  return (void *)(uintptr_t)sum;
}

static void threads_run(void *(*run)(void *), void *arg, void **out) {
  pthread_t t[THREADS];
  for (int i = 0; i < THREADS; i++) {
    cira_space_thread_add(place_space());
    assert_int_equal(pthread_create(&t[i], NULL, run, arg), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(t[i], &out[i]);
    cira_space_thread_remove(place_space());
  }
}

static void test_atomic_threads(void **state) {
  (void)state;
  uint64_t *word = place_alloc(64 * 4096), sum = 0, want = 0;
  void *each[THREADS];
  threads_run(adder, word, each);
  for (int i = 0; i < THREADS; i++) {
    assert_true((uintptr_t)each[i] < 100000); /* a count, not a complaint */
    want += (uintptr_t)each[i];
  }
  for (int i = 0; i < 64; i++) {
    sum += word[i * 512];
  }
  assert_int_equal(sum, want);
}

static void *loader(void *arg) {
  cira_async_t a[4] = {{0}};
  uint64_t x = (uintptr_t)&a, got[4][2], at[4];
  (void)arg;
  place_thread_enter();
  for (int i = 0; i < 800; i++) {
    for (int k = 0; k < 4; k++) {
      x = x * 6364136223846793005u + 1442695040888963407u;
      at[k] = (x >> 20) % (BYTES - 16);
      if (k == 3 && i % 4 == 0) {
        if (cira_async_touch(&a[k], data + at[k], 8000) != CIRA_OK &&
            at[k] < BYTES - 8000) {
          return "touch";
        }
      }
      if (!(k == 3 && i % 4 == 0) &&
          cira_async_load(&a[k], data + at[k], got[k], 16) != CIRA_OK) {
        return "load";
      }
    }
    if (i % 50 == 0) {
      place_send_home(data, BYTES);
    }
    for (int k = 0; k < 4; k++) {
      bool touched = k == 3 && i % 4 == 0;
      if (cira_async_await(&a[k], CIRA_FOREVER, NULL) != CIRA_OK && !touched) {
        return "await";
      }
      if (memcmp(touched ? (void *)(data + at[k]) : got[k], shadow + at[k],
                 16) != 0) {
        return "wrong";
      }
    }
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  fill();
  void *what[THREADS];
  threads_run(loader, NULL, what);
  for (int i = 0; i < THREADS; i++) {
    if (what[i] != NULL) {
      fail_msg("%s", (char *)what[i]);
    }
  }
  free(shadow);
}

/* Writers and readers of the touched pages: what is installed is never old. */
static void test_touch(void **state) {
  (void)state;
  fill();
  cira_async_t a[16] = {{0}}, store = {0};
  for (int round = 0; round < 150; round++) {
    uint64_t at[16];
    place_send_home(data, BYTES);
    for (int k = 0; k < 16; k++) {
      at[k] = place_random() % (BYTES - 9000);
      OK(cira_async_touch(&a[k], data + at[k], 1 + place_random() % 9000));
    }
    for (int k = 0; k < 16; k += 2) { /* change them on the way */
      uint8_t value[8] = {(uint8_t)round, (uint8_t)k, 3, 4, 5, 6, 7, 8};
      memcpy(shadow + at[k], value, 8);
      if (k % 4 == 0) {
        OK(cira_async_store(&store, data + at[k], value, 8));
        await_ok(&store);
      } else {
        memcpy(data + at[k], value, 8);
        place_send_home(data + at[k], 4096);
      }
    }
    for (int k = 0; k < 16; k++) {
      await_ok(&a[k]);
      assert_memory_equal(data + at[k], shadow + at[k], 100);
    }
  }
  free(shadow);
}

/* ---- combinations -------------------------------------------------------- */

typedef struct {
  int calls;
  cira_status_t status;
  uint64_t value;
} called_t;

static void note(void *argument, cira_status_t status, uint64_t value) {
  called_t *c = argument;
  c->calls++;
  c->status = status;
  c->value = value;
}

static void test_combinations(void **state) {
  (void)state;
  fill();
  enum { N = 24 };
  cira_async_t part[N] = {{0}}, all[3] = {{0}}, top = {0}, any = {0};
  cira_async_t *p[N], *alls[3] = {&all[0], &all[1], &all[2]};
  uint64_t got[N];
  for (int round = 0; round < 50; round++) {
    called_t called = {0}, each[N] = {{0}};
    place_send_home(data, BYTES);
    for (int i = 0; i < N; i++) {
      p[i] = &part[i];
      OK(cira_async_load(p[i], data + i * 20000 + round, &got[i], 8));
      OK(cira_async_then(p[i], note, &each[i]));
    }
    for (int i = 0; i < 3; i++) {
      OK(cira_async_when_all(&all[i], p + i * 8, 8));
    }
    OK(cira_async_when_all(&top, alls, 3));
    OK(cira_async_then(&top, note, &called));
    assert_int_equal(cira_async_then(&top, note, &called), CIRA_E_BUSY);
    OK(cira_async_await(&top, CIRA_FOREVER, NULL));
    assert_int_equal(called.calls, 1);
    for (int i = 0; i < 3; i++) {
      OK(cira_async_poll(&all[i], NULL));
    }
    for (int i = 0; i < N; i++) {
      assert_int_equal(each[i].calls, 1);
      assert_memory_equal(&got[i], shadow + i * 20000 + round, 8);
      OK(cira_async_poll(p[i], NULL)); /* takes no time */
    }
    /* the first of several; the rest goes on */
    uint64_t first = 99;
    place_send_home(data, BYTES);
    for (int i = 0; i < 5; i++) {
      OK(cira_async_load(p[i], data + i * 30000, &got[i], 8));
    }
    OK(cira_async_when_any(&any, p, 5));
    OK(cira_async_await(&any, CIRA_FOREVER, &first));
    assert_true(first < 5);
    OK(cira_async_poll(p[first], NULL));
    for (uint64_t i = 0; i < 5; i++) {
      if (i != first) {
        await_ok(p[i]);
      }
      assert_memory_equal(&got[i], shadow + i * 30000, 8);
    }
  }
  free(shadow);
}

static void test_cancel(void **state) {
  (void)state;
  fill();
  enum { N = 400 };
  cira_async_t *a = calloc(N, sizeof *a), all = {0};
  cira_async_t *p[N];
  uint64_t *got = calloc(N, 8);
  for (int i = 0; i < N; i++) {
    p[i] = &a[i];
    OK(cira_async_load(p[i], data + i * 5000, &got[i], 8));
  }
  OK(cira_async_when_all(&all, p, N));
  for (int i = 0; i < N; i += 3) {
    OK(cira_async_cancel(p[i]));
  }
  OK(cira_async_cancel(&all));
  cira_status_t status = cira_async_await(&all, CIRA_FOREVER, NULL);
  assert_true(status == CIRA_E_CANCELLED || status == CIRA_OK);
  for (int i = 0; i < N; i++) {
    status = cira_async_await(p[i], CIRA_FOREVER, NULL);
    assert_true(status == CIRA_OK ||
                (status == CIRA_E_CANCELLED && i % 3 == 0));
    if (status == CIRA_OK) {
      assert_memory_equal(&got[i], shadow + i * 5000, 8);
    }
  }
  OK(cira_async_load(p[0], data, &got[0], 8)); /* may be used again */
  await_ok(p[0]);
  OK(cira_async_load(p[0], data, &got[0], 8));
  OK(cira_async_cancel(p[0]));
  status = cira_async_await(p[0], CIRA_FOREVER, NULL);
  assert_true(status == CIRA_OK || status == CIRA_E_CANCELLED);
  assert_int_equal(cira_async_cancel(p[0]), CIRA_E_CLOSED);
  free(got);
  free(a);
  free(shadow);
}

/* ---- tasks --------------------------------------------------------------- */

static uint64_t right;

static int64_t walker(void *arg) {
  uint64_t x = (uintptr_t)arg * 7919 + 1, got;
  cira_async_t a = {0};
  for (int i = 0; i < 60; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    uint64_t at = (x >> 20) % (BYTES - 16);
    if (i % 8 == 7) {
      OK(cira_async_touch(&a, data + at, 8));
      await_ok(&a);
      memcpy(&got, data + at, 8);
    } else {
      OK(cira_async_load(&a, data + at, &got, 8));
      await_ok(&a);
    }
    (void)__atomic_fetch_add(&right, memcmp(&got, shadow + at, 8) == 0,
                             __ATOMIC_RELAXED);
    if (i % 20 == 0) {
      place_send_home(data, BYTES);
    }
  }
  return 0;
}

static void tasks_run(uint32_t threads) {
  cira_sched_options_t opt = cira_sched_options_default();
  cira_sched_t *sched;
  opt.thread_count = threads;
  opt.stacks.stack_bytes = 256u << 10; /* faults are handled there, too */
  OK(cira_sched_create(&opt, &sched));
  right = 0;
  for (uintptr_t i = 0; i < 100; i++) {
    OK(cira_sched_spawn(sched, walker, (void *)i, CIRA_TASK_F_DETACHED, 0,
                        NULL));
  }
  OK(cira_sched_run(sched));
  assert_int_equal(right, 100 * 60);
  OK(cira_sched_destroy(sched));
}

static void test_tasks(void **state) {
  (void)state;
  fill();
  tasks_run(1);
  cira_space_thread_add(place_space());
  cira_space_thread_add(place_space());
  tasks_run(3);
  cira_space_thread_remove(place_space());
  cira_space_thread_remove(place_space());
  free(shadow);
}

/* Two tasks await one request: it ends for one of them. */
typedef struct {
  cira_async_t *a;
  cira_status_t status[2];
  uint64_t value[2];
  uint32_t count;
} both_t;

static int64_t awaits_it(void *arg) {
  both_t *b = arg;
  uint32_t i = b->count++;
  b->status[i] = cira_async_await(b->a, CIRA_FOREVER, &b->value[i]);
  return 0;
}

static int64_t begins_it(void *arg) {
  both_t *b = arg; /* in a task: in reach it is copied by whoever looks first */
  OK(cira_async_load(b->a, data + 123456, NULL, 8));
  return 0;
}

static void test_double_await(void **state) {
  (void)state;
  fill();
  cira_sched_t *sched;
  uint64_t want;
  memcpy(&want, shadow + 123456, 8);
  OK(cira_sched_create(NULL, &sched));
  for (int round = 0; round < 20; round++) {
    cira_async_t a = {0};
    both_t b = {.a = &a, .value = {5, 5}};
    place_send_home(data, BYTES);
    OK(cira_sched_spawn(sched, begins_it, &b, CIRA_TASK_F_DETACHED, 0, NULL));
    OK(cira_sched_spawn(sched, awaits_it, &b, CIRA_TASK_F_DETACHED, 0, NULL));
    OK(cira_sched_spawn(sched, awaits_it, &b, CIRA_TASK_F_DETACHED, 0, NULL));
    OK(cira_sched_run(sched));
    int first = b.status[0] == CIRA_OK ? 0 : 1;
    assert_int_equal(b.status[first], CIRA_OK);
    assert_true(b.value[first] == want);
    assert_int_equal(b.status[!first], CIRA_E_CLOSED);
    assert_int_equal(b.value[!first], 5);
  }
  OK(cira_sched_destroy(sched));
  free(shadow);
}

/* A task that is told to stop leaves its request under way. */
static int64_t stubborn(void *arg) {
  cira_async_t *a = arg;
  cira_status_t status = CIRA_E_BUSY;
  for (int i = 0; i < 1000000 && status == CIRA_E_BUSY; i++) {
    status = cira_async_await(a, CIRA_FOREVER, NULL);
    cira_coro_yield();
  }
  return status == CIRA_OK ? 1 : 0;
}

static void test_task_cancel(void **state) {
  (void)state;
  fill();
  cira_sched_t *sched;
  cira_task_t task;
  cira_async_t a = {0};
  uint64_t got;
  int64_t result;
  OK(cira_sched_create(NULL, &sched));
  OK(cira_async_load(&a, data + 77777, &got, 8));
  OK(cira_sched_spawn(sched, stubborn, &a, 0, 0, &task));
  OK(cira_task_cancel(task));
  OK(cira_sched_run(sched));
  OK(cira_task_join(task, CIRA_FOREVER, &result));
  if (result == 0) { /* still under way: anybody may await it */
    await_ok(&a);
  }
  assert_memory_equal(&got, shadow + 77777, 8);
  OK(cira_sched_destroy(sched));
  free(shadow);
}

/* ---- profiles ------------------------------------------------------------ */

static void site_add(cira_profile_calls_t *sum, const cira_profile_calls_t *c) {
  sum->ip = c->ip;
  sum->accesses += c->accesses;
  sum->bytes += c->bytes;
  sum->here += c->here;
  sum->waits += c->waits;
  sum->wait_ns += c->wait_ns;
}

/* What a file says about each kind of call; each kind has one site here. */
static uint32_t profile_read(const char *path, cira_profile_calls_t *sum) {
  cira_profile_file_t f;
  uint32_t sites = 0;
  OK(cira_profile_file_open(path, &f));
  for (uint64_t i = 0; i < f.blocks; i++) {
    cira_profile_view_t v;
    if (cira_profile_file_block(&f, i, &v) != CIRA_OK ||
        v.kind != CIRA_PROFILE_CALLS) {
      continue;
    }
    const cira_profile_calls_t *c = v.records;
    for (uint32_t k = 0; k < v.count; k++) {
      assert_in_range(c[k].kind, 1, CIRA_PROFILE_COMBINE);
      site_add(&sum[c[k].kind], &c[k]);
      sites++;
    }
  }
  cira_profile_file_close(&f);
  return sites;
}

static void test_profile(void **state) {
  (void)state;
  char path[64];
  uint8_t got[64];
  uint64_t value = 1;
  cira_async_t a = {0}, part = {0};
  cira_async_t *parts[1] = {&part};
  cira_profile_calls_t sum[8] = {{0}};
  snprintf(path, sizeof path, "/tmp/cira-future-%d", (int)getpid());
  fill();
  place_send_home(data, BYTES);
  OK(cira_profile_start(path));
  for (uint32_t i = 0; i < 300; i++) {
    OK(cira_async_load(&a, data + i % 100 * 8192, got, 64));
    await_ok(&a);
  }
  for (uint32_t i = 0; i < 20; i++) {
    cira_async_piece_t p[3] = {
        {data, got, 8}, {data + 9000, got + 8, 8}, {data + 5000, got + 16, 4}};
    OK(cira_async_gather(&a, p, 3));
    await_ok(&a);
    OK(cira_async_scatter(&a, p, 3));
    await_ok(&a);
    OK(cira_async_store(&a, data + i * 4096, got, 10));
    await_ok(&a);
    OK(cira_async_fetch_add(&a, (uint64_t *)(void *)data, 1));
    await_ok(&a);
    OK(cira_async_touch(&part, data + i * 16384, 100));
    OK(cira_async_when_any(&a, parts, 1));
    OK(cira_async_await(&a, CIRA_FOREVER, &value));
    await_ok(&part);
  }
  assert_int_equal(cira_async_load(&a, NULL, got, 8), CIRA_E_INVALID);
  OK(cira_profile_stop());
  OK(cira_async_load(&a, data, got, 64)); /* not recorded any more */
  await_ok(&a);
  assert_int_equal(profile_read(path, sum), 7);
  static const struct {
    uint64_t accesses, bytes;
  } want[8] = {{0, 0},    {300, 300 * 64}, {60, 400},  {20, 200},
               {60, 400}, {20, 160},       {20, 2000}, {20, 0}};
  for (uint32_t i = 1; i < 8; i++) {
    assert_int_equal(sum[i].accesses, want[i].accesses);
    assert_int_equal(sum[i].bytes, want[i].bytes);
    assert_true(sum[i].here <= sum[i].accesses);
    assert_true(sum[i].waits <= sum[i].accesses);
    assert_true((sum[i].wait_ns == 0) == (sum[i].waits == 0));
    assert_true(sum[i].ip != 0);
  }
  /* what was not here was waited for, but for what was found on its way */
  cira_profile_calls_t *loads = &sum[CIRA_PROFILE_LOAD];
  assert_in_range(loads->waits + loads->here, 1, 300);
  unlink(path);
  free(shadow);
}

/* ---- bad input ----------------------------------------------------------- */

static void test_bad_input(void **state) {
  (void)state;
  fill();
  cira_async_t a = {0}, b = {0}, garbage;
  uint64_t buffer[2] = {11, 22}, value = 33;
  uint8_t *end = data + (UINT64_C(1) << 30);
  memset(&garbage, 0x5a, sizeof garbage);
  assert_int_equal(cira_async_load(NULL, data, buffer, 8), CIRA_E_INVALID);
  assert_int_equal(cira_async_load(&a, NULL, buffer, 8), CIRA_E_INVALID);
  assert_int_equal(cira_async_load(&a, data, buffer, 0), CIRA_E_INVALID);
  assert_int_equal(cira_async_load(&a, data, NULL, 9), CIRA_E_INVALID);
  assert_int_equal(cira_async_load(&garbage, data, buffer, 8), CIRA_E_INVALID);
  assert_int_equal(cira_async_load(&a, buffer, buffer, 8), CIRA_E_RANGE);
  assert_int_equal(cira_async_load(&a, end, buffer, 8), CIRA_E_RANGE);
  assert_int_equal(cira_async_load(&a, data, buffer, UINT64_MAX), CIRA_E_RANGE);
  assert_int_equal(cira_async_load(&a, data, buffer, UINT64_C(1) << 29),
                   CIRA_E_RANGE); /* not allocated that far */
  assert_int_equal(cira_async_store(&a, data, NULL, 8), CIRA_E_INVALID);
  assert_int_equal(cira_async_store(&a, buffer, buffer, 8), CIRA_E_RANGE);
  assert_int_equal(cira_async_gather(&a, NULL, 1), CIRA_E_INVALID);
  cira_async_piece_t p[2] = {{data, buffer, 8}, {data, NULL, 8}};
  assert_int_equal(cira_async_gather(&a, p, 0), CIRA_E_INVALID);
  assert_int_equal(cira_async_gather(&a, p, UINT64_C(1) << 40), CIRA_E_INVALID);
  assert_int_equal(cira_async_gather(&a, p, 2), CIRA_E_INVALID);
  assert_int_equal(cira_async_scatter(&a, p, 2), CIRA_E_INVALID);
  p[1] = (cira_async_piece_t){buffer, buffer, 8};
  assert_int_equal(cira_async_scatter(&a, p, 2), CIRA_E_RANGE);
  assert_memory_equal(data, shadow, 64); /* nothing was stored */
  assert_int_equal(cira_async_fetch_add(&a, (uint64_t *)(void *)(data + 4), 1),
                   CIRA_E_INVALID);
  assert_int_equal(cira_async_swap(&a, NULL, 1), CIRA_E_INVALID);
  assert_int_equal(cira_async_compare_swap(&a, buffer, 1, 2), CIRA_E_RANGE);
  assert_int_equal(cira_async_touch(&a, data, 0), CIRA_E_INVALID);
  assert_int_equal(cira_async_touch(&a, buffer, 8), CIRA_E_RANGE);
  assert_int_equal(cira_async_await(NULL, 0, &value), CIRA_E_INVALID);
  assert_int_equal(cira_async_await(&a, 0, &value), CIRA_E_CLOSED);
  assert_int_equal(cira_async_await(&garbage, 0, &value), CIRA_E_INVALID);
  assert_int_equal(cira_async_poll(&a, &value), CIRA_E_CLOSED);
  assert_int_equal(cira_async_poll(&garbage, &value), CIRA_E_INVALID);
  assert_int_equal(cira_async_cancel(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_async_cancel(&garbage), CIRA_E_INVALID);
  assert_int_equal(cira_async_then(&a, note, NULL), CIRA_E_CLOSED);
  assert_int_equal(cira_async_then(&a, NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(buffer[0], 11);
  assert_int_equal(buffer[1], 22);
  assert_int_equal(value, 33);

  cira_async_t *parts[2] = {&a, &a}, *self[1] = {&b};
  assert_int_equal(cira_async_when_all(&b, NULL, 1), CIRA_E_INVALID);
  assert_int_equal(cira_async_when_all(&b, parts, 0), CIRA_E_INVALID);
  assert_int_equal(cira_async_when_all(&b, parts, 1),
                   CIRA_E_INVALID); /* idle */
  assert_int_equal(cira_async_when_all(&b, self, 1), CIRA_E_INVALID);
  OK(cira_async_load(&a, data, buffer, 8));
  assert_int_equal(cira_async_load(&a, data, buffer, 8), CIRA_E_BUSY);
  assert_int_equal(cira_async_store(&a, data, buffer, 8), CIRA_E_BUSY);
  assert_int_equal(cira_async_when_any(&b, parts, 2), CIRA_E_BUSY); /* twice */
  OK(cira_async_when_any(&b, parts, 1));
  self[0] = &b; /* a ring: its own part cannot contain it */
  assert_int_equal(cira_async_when_all(&a, self, 1), CIRA_E_BUSY);
  OK(cira_async_await(&b, CIRA_FOREVER, &value));
  assert_int_equal(value, 0);
  await_ok(&a);
  assert_int_equal(cira_async_await(&a, CIRA_FOREVER, &value), CIRA_E_CLOSED);
  assert_memory_equal(buffer, shadow, 8);
  free(shadow);
}

static void test_closed(void **state) {
  (void)state;
  cira_async_t a = {0};
  uint64_t got;
  assert_int_equal(cira_async_load(&a, &got, &got, 8), CIRA_E_CLOSED);
  assert_int_equal(cira_async_touch(&a, &got, 8), CIRA_E_CLOSED);
}

PLACE_TEST(test_loads)
PLACE_TEST(test_many_under_way)
PLACE_TEST(test_batches)
PLACE_TEST(test_coherence)
PLACE_TEST(test_atomics)
PLACE_TEST(test_atomic_threads)
PLACE_TEST(test_threads)
PLACE_TEST(test_touch)
PLACE_TEST(test_combinations)
PLACE_TEST(test_cancel)
PLACE_TEST(test_tasks)
PLACE_TEST(test_task_cancel)
PLACE_TEST(test_double_await)
PLACE_TEST(test_profile)
PLACE_TEST(test_bad_input)

int main(int argc, char **argv) {
  if (!place_choose(argc == 2 ? argv[1] : "host")) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_closed),   PLACE_UNIT(test_loads),
      PLACE_UNIT(test_many_under_way), PLACE_UNIT(test_batches),
      PLACE_UNIT(test_coherence),      PLACE_UNIT(test_atomics),
      PLACE_UNIT(test_atomic_threads), PLACE_UNIT(test_threads),
      PLACE_UNIT(test_touch),          PLACE_UNIT(test_combinations),
      PLACE_UNIT(test_cancel),         PLACE_UNIT(test_tasks),
      PLACE_UNIT(test_profile),        PLACE_UNIT(test_double_await),
      PLACE_UNIT(test_task_cancel),    PLACE_UNIT(test_bad_input),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
