/* SPDX-License-Identifier: Apache-2.0
 *
 * A coroutine by hand: a generator of Fibonacci numbers that gives way in the
 * middle of its loop.
 *   cc generator.c -lcira
 */
#include <cira/coro.h>

#include <inttypes.h>
#include <stdio.h>

static void fibonacci(void *argument) {
  uint64_t *out = argument;
  uint64_t a = 0;
  uint64_t b = 1;
  while (a < 1000) {
    *out = a;
    cira_coro_yield();
    uint64_t next = a + b;
    a = b;
    b = next;
  }
}

int main(void) {
  cira_coro_pool_t *pool;
  cira_coro_t *numbers;
  uint64_t value;
  if (cira_coro_pool_create(NULL, &pool) != CIRA_OK ||
      cira_coro_create(pool, fibonacci, &value, &numbers) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  while (cira_coro_resume(numbers) == CIRA_PENDING) {
    printf("%" PRIu64 "\n", value);
  }
  (void)cira_coro_destroy(numbers);
  cira_coro_pool_destroy(pool);
  return 0;
}
