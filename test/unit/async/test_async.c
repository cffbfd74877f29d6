/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads and stores under way, against a shadow copy: test-async PLACE.
 */
#include "place.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async/async.h"

#define PAGES 500u
#define BYTES (PAGES * 4096u)

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

/* A load as compiled code does it. */
static void load(void *to, const uint8_t *p, uint64_t bytes) {
  int64_t ticket = cira_abi_load_begin((void *)(uintptr_t)p, (int64_t)bytes);
  if (ticket == 0) {
    memcpy(to, p, bytes);
  } else {
    cira_abi_load_end(ticket, to);
  }
}

static void test_loads(void **state) {
  (void)state;
  fill();
  uint8_t got[5000];
  for (int i = 0; i < 4000; i++) {
    uint64_t bytes = 1 + place_random() % (i % 50 == 0 ? 4999 : 100);
    uint64_t at = place_random() % (BYTES - bytes);
    load(got, data + at, bytes);
    assert_memory_equal(got, shadow + at, bytes);
    if (i % 300 == 0) {
      place_send_home(data, BYTES);
    }
  }
  free(shadow);
}

/* Many at once, ended in another order; more than there are slots. */
static void test_many_under_way(void **state) {
  (void)state;
  fill();
  enum { N = 400 };
  int64_t ticket[N];
  uint64_t at[N];
  for (int round = 0; round < 10; round++) {
    place_send_home(data, BYTES);
    for (int i = 0; i < N; i++) {
      at[i] = place_random() % (BYTES - 8);
      ticket[i] = cira_abi_load_begin(data + at[i], 8);
    }
    for (int i = N - 1; i >= 0; i--) {
      uint64_t got = 0;
      if (ticket[i] == 0) {
        memcpy(&got, data + at[i], 8);
      } else {
        cira_abi_load_end(ticket[i], &got);
      }
      assert_memory_equal(&got, shadow + at[i], 8);
    }
  }
  free(shadow);
}

static void test_batch(void **state) {
  (void)state;
  fill();
  enum { N = 150 };
  void *p[N];
  int64_t bytes[N], ticket[N];
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < N; i++) {
      bytes[i] = 1 + (int64_t)(place_random() % 90);
      p[i] = data + place_random() % (BYTES - 100);
    }
    cira_abi_load_begin_batch(p, bytes, N, ticket);
    for (int i = 0; i < N; i++) {
      uint8_t got[100];
      if (ticket[i] == 0) {
        memcpy(got, p[i], (size_t)bytes[i]);
      } else {
        cira_abi_load_end(ticket[i], got);
      }
      assert_memory_equal(got, shadow + ((uint8_t *)p[i] - data),
                          (size_t)bytes[i]);
    }
    place_send_home(data, BYTES);
  }
  free(shadow);
}

static void test_fresh_memory_is_zero(void **state) {
  (void)state;
  uint8_t *fresh = place_alloc(300 * 4096), got[64], zero[64] = {0};
  for (int i = 0; i < 300; i++) {
    load(got, fresh + i * 4096 + 4064, 64 < 4096 - 4064 ? 64 : 32);
    assert_memory_equal(got, zero, 32);
  }
}

static void test_stores(void **state) {
  (void)state;
  fill();
  for (int i = 0; i < 5000; i++) {
    uint8_t value[200];
    uint64_t bytes = 1 + place_random() % 199;
    uint64_t at = place_random() % (BYTES - bytes);
    memset(value, i, bytes);
    memcpy(shadow + at, value, bytes);
    if (i % 7 == 0) {
      cira_abi_token_wait(
          cira_abi_store_begin_token(data + at, value, (int64_t)bytes));
    } else {
      cira_abi_store_begin(data + at, value, (int64_t)bytes);
    }
    if (i % 100 == 0) {
      cira_abi_fence();
      uint8_t got[200];
      load(got, data + at, bytes);
      assert_memory_equal(got, value, bytes);
    }
    if (i % 1000 == 500) {
      cira_abi_release();
      place_send_home(data, BYTES);
    }
  }
  cira_abi_release();
  assert_memory_equal(data, shadow, BYTES);
  free(shadow);
}

/* A future may be awaited by another thread. */
static void *await_all(void *arg) {
  int64_t *ticket = arg;
  place_thread_enter();
  for (int i = 0; i < 100; i++) {
    if (ticket[i] != 0) {
      uint64_t got;
      cira_abi_load_end(ticket[i], &got);
      if (memcmp(&got, shadow + 5000u * (unsigned)i, 8) != 0) {
        return arg;
      }
    }
  }
  return NULL;
}

static void test_other_thread_awaits(void **state) {
  (void)state;
  fill();
  int64_t ticket[100];
  for (int i = 0; i < 100; i++) {
    ticket[i] = cira_abi_load_begin(data + 5000u * (unsigned)i, 8);
  }
  pthread_t t;
  void *bad;
  if (place_space() != NULL) {
    cira_space_thread_add(place_space());
  }
  assert_int_equal(pthread_create(&t, NULL, await_all, ticket), 0);
  pthread_join(t, &bad);
  if (place_space() != NULL) {
    cira_space_thread_remove(place_space());
  }
  assert_null(bad);
  free(shadow);
}

/* Threads that load while others bring pages in and send them home. */
static void *loader(void *arg) {
  uint64_t x = (uintptr_t)arg;
  place_thread_enter();
  for (int i = 0; i < 5000; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    uint64_t at = (x >> 20) % (BYTES - 16), got[2];
    if (i % 4 == 0) {
      memcpy(got, data + at, 16);
    } else {
      load(got, data + at, 16);
    }
    if (memcmp(got, shadow + at, 16) != 0) {
      return data;
    }
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  fill();
  pthread_t t[3];
  for (uintptr_t i = 0; i < 3; i++) {
    if (place_space() != NULL) {
      cira_space_thread_add(place_space());
    }
    assert_int_equal(pthread_create(&t[i], NULL, loader, (void *)(i + 1)), 0);
  }
  for (int i = 0; i < 3; i++) {
    void *bad;
    pthread_join(t[i], &bad);
    assert_null(bad);
    if (place_space() != NULL) {
      cira_space_thread_remove(place_space());
    }
  }
  free(shadow);
}

static void test_checked(void **state) {
  (void)state;
  fill();
  cira_abi_check(true);
  for (int i = 0; i < 100; i++) {
    uint64_t at = place_random() % (BYTES - 8), got;
    int64_t ticket = cira_abi_load_begin(data + at, 8);
    assert_true(ticket > 0);
    cira_abi_load_end(ticket, &got);
    assert_memory_equal(&got, shadow + at, 8);
  }
  cira_abi_check(false);
  free(shadow);
}

static void await_twice(void) {
  uint64_t local = 7, got;
  cira_abi_check(true);
  int64_t ticket = cira_abi_load_begin(&local, 8);
  cira_abi_load_end(ticket, &got);
  cira_abi_load_end(ticket, &got);
}

static void await_nothing(void) {
  uint64_t got;
  cira_abi_load_end(12345, &got);
}

static void test_misuse(void **state) {
  (void)state;
  if (!place_is_far()) {
    place_misuse(await_twice, "was awaited before");
    place_misuse(await_nothing, "is no future under way");
  }
}

PLACE_TEST(test_loads)
PLACE_TEST(test_many_under_way)
PLACE_TEST(test_batch)
PLACE_TEST(test_fresh_memory_is_zero)
PLACE_TEST(test_stores)
PLACE_TEST(test_other_thread_awaits)
PLACE_TEST(test_threads)
PLACE_TEST(test_checked)
PLACE_TEST(test_misuse)

int main(int argc, char **argv) {
  if (!place_choose(argc == 2 ? argv[1] : "none")) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      PLACE_UNIT(test_loads),   PLACE_UNIT(test_many_under_way),
      PLACE_UNIT(test_batch),   PLACE_UNIT(test_fresh_memory_is_zero),
      PLACE_UNIT(test_stores),  PLACE_UNIT(test_other_thread_awaits),
      PLACE_UNIT(test_threads), PLACE_UNIT(test_checked),
      PLACE_UNIT(test_misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
