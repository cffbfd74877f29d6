/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of the program of bench/call in batches, wherever "remote" runs;
 * their sum. Include cmocka and its headers before.
 */
#ifndef CIRA_TEST_SEED_RUN_H
#define CIRA_TEST_SEED_RUN_H

#include <stdlib.h>

#include "cira/call.h"

static inline int32_t seed_run(cira_call_client_t *c, uint32_t calls,
                               uint32_t batch, const cira_call_range_t *range,
                               uint32_t range_count) {
  uint32_t *k = malloc(4ull * calls);
  int32_t *result = malloc(4ull * calls);
  uint64_t done = 0;
  uint32_t remote, sum = 0;
  assert_true(k && result);
  assert_int_equal(cira_call_find(c, "remote", CIRA_FOREVER, &remote), CIRA_OK);
  for (uint32_t i = 0; i < calls; i++) {
    k[i] = i;
  }
  cira_call_many_t m = {.args = k,
                        .results = result,
                        .count = calls,
                        .args_bytes = 4,
                        .result_bytes = 4,
                        .batch = batch,
                        .range = range,
                        .range_count = range_count};
  assert_int_equal(cira_call_many(c, remote, &m, &done), CIRA_OK);
  assert_int_equal(done, calls);
  for (uint32_t i = 0; i < calls; i++) {
    sum += (uint32_t)result[i];
  }
  free(k);
  free(result);
  return (int32_t)sum;
}

#endif
