/* SPDX-License-Identifier: Apache-2.0
 *
 * Two nested coroutines for backtrace_test.py, which looks at the stack from
 * `innermost`. Prints 42.
 */
#include "cira/coro.h"

#include <stdio.h>

static cira_coro_pool_t *pool;
int innermost(int x);
__attribute__((noinline)) int innermost(int x) {
  __asm__ volatile("" : "+r"(x));
  return x + 1;
}

static void inner_coroutine(void *argument) {
  *(int *)argument = innermost(41);
  cira_coro_yield();
}

static void outer_coroutine(void *argument) {
  cira_coro_t *co;
  if (cira_coro_create(pool, inner_coroutine, argument, &co) != CIRA_OK ||
      cira_coro_resume(co) != CIRA_PENDING ||
      cira_coro_destroy(co) != CIRA_OK) {
    *(int *)argument = -1;
  }
}

int main(void) {
  cira_coro_t *co;
  int result = 0;
  if (cira_coro_pool_create(NULL, &pool) != CIRA_OK ||
      cira_coro_create(pool, outer_coroutine, &result, &co) != CIRA_OK ||
      cira_coro_resume(co) != CIRA_OK) {
    return 1;
  }
  printf("%d\n", result);
  cira_coro_pool_destroy(pool);
  return result != 42;
}
