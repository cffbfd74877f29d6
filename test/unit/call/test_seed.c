/* SPDX-License-Identifier: Apache-2.0
 *
 * The program of bench/call with its known sums, through a thread one by one,
 * in batches, and through a process. Only what its calls read is kept: all of
 * A, the front of B.
 */
#include "functions.h"
#include "seed.h"
#include "seed_run.h"

#include <stdio.h>

#define FEW 2000u

static int32_t *a;
static int32_t *b;

static cira_status_t fn_remote(cira_call_frame_t *f) {
  *(int32_t *)f->result = seed_remote(*(const uint32_t *)f->args, a, b);
  f->result_bytes = 4;
  return CIRA_OK;
}

static int32_t run_one_by_one(cira_call_client_t *c, uint32_t calls) {
  uint32_t remote = find(c, "remote");
  uint32_t sum = 0;
  for (uint32_t k = 0; k < calls; k++) {
    int32_t result;
    assert_int_equal(
        cira_call_run(c, remote, &k, 4, &result, 4, CIRA_FOREVER, NULL),
        CIRA_OK);
    sum += (uint32_t)result;
  }
  return (int32_t)sum;
}

static void test_sums(void **state) {
  (void)state;
  cira_call_table_t *t = table_make();
  assert_int_equal(cira_call_table_add(t, "remote", fn_remote, NULL), CIRA_OK);
  cira_call_client_t *thread = start(t, NULL, false);
  cira_call_client_t *process = start(t, NULL, true);
  uint32_t s = SEED_CALLS(SEED_M_SHORT);
  uint32_t l = SEED_CALLS(SEED_M);
  uint32_t few = 0; /* with one call in flight a busy machine is slow */
  for (uint32_t k = 0; k < FEW; k++) {
    few += (uint32_t)seed_remote(k, a, b);
  }
  assert_int_equal(run_one_by_one(thread, FEW), (int32_t)few);
  assert_int_equal(seed_run(thread, s, 1, NULL, 0), SEED_SUM_SHORT);
  assert_int_equal(seed_run(thread, l, 0, NULL, 0), SEED_SUM);
  assert_int_equal(seed_run(process, l, 1024, NULL, 0), SEED_SUM);
  cira_call_destroy(thread);
  cira_call_destroy(process);
  cira_call_table_destroy(t);
}

int main(void) {
  const uint32_t b_count = SEED_CALLS(SEED_M) + 3;
#ifdef CIRA_SANITIZED
  printf("skipped: 400 MB of numbers take too long with a sanitizer\n");
  return 77;
#endif
  a = malloc(4ull * SEED_N);
  b = malloc(4ull * b_count);
  if (!a || !b) {
    printf("skipped: no 400 MB of memory\n");
    return 77;
  }
  seed_fill(a, b, b_count);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  free(a);
  free(b);
  return failed;
}
