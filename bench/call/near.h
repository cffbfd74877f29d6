/* SPDX-License-Identifier: Apache-2.0
 *
 * What bench-near and its kernels share: the loop and the node of the list.
 */
#ifndef CIRA_BENCH_CALL_NEAR_H
#define CIRA_BENCH_CALL_NEAR_H

#include <stdint.h>

#define NEAR_WORD 8u /* bytes */

typedef struct near_node {
  struct near_node *next;
  uint64_t value;
} near_node_t;

static inline uint64_t near_sum(const uint64_t *words, uint64_t count) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < count; i++) {
    total += words[i];
  }
  return total;
}

#endif
