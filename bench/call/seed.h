/* SPDX-License-Identifier: Apache-2.0
 *
 * The program that is measured and tested: two arrays of N random numbers
 * below N, and calls that each add up A[B[k]] .. A[B[k + 3]]. The sum of M / 4
 * calls is known for two M, because the arrays come from the C library's rand
 * without a seed, A[i] and B[i] in turn.
 */
#ifndef CIRA_BENCH_CALL_SEED_H
#define CIRA_BENCH_CALL_SEED_H

#include <stdint.h>
#include <stdlib.h>

#define SEED_N 100000000u
#define SEED_M 10000000u /* 2,500,000 calls */
#define SEED_SUM 193843754
#define SEED_M_SHORT 1000000u /* 250,000 calls */
#define SEED_SUM_SHORT (-1520289353)
#define SEED_CALLS(m) ((m) / 4)
#define SEED_AHEAD 32u /* calls, of loops that prefetch */

/* Fills A, and B as far as `b_count`, in the order that the sums want. */
static inline void seed_fill(int32_t *a, int32_t *b, uint32_t b_count) {
  for (uint32_t i = 0; i < SEED_N; i++) {
    a[i] = (int32_t)((uint32_t)rand() % SEED_N);
    int32_t second = (int32_t)((uint32_t)rand() % SEED_N);
    if (i < b_count) {
      b[i] = second;
    }
  }
}

static inline int32_t seed_remote(uint32_t k, const int32_t *a,
                                  const int32_t *b) {
  return (int32_t)((uint32_t)a[b[k]] + (uint32_t)a[b[k + 1]] +
                   (uint32_t)a[b[k + 2]] + (uint32_t)a[b[k + 3]]);
}

#endif
