/* SPDX-License-Identifier: Apache-2.0
 *
 * A library of kernels: functions that a memory server runs where the data is.
 *   cc -shared -fPIC sums.c -o sums.so
 *   cira-memd --listen unix:/tmp/far.sock --size 1g --kernels ./sums.so
 */
#include <string.h>

#include "cira/kernel.h"

/* The sum of the 64-bit words of the range. */
static cira_status_t sum(cira_kernel_call_t *call) {
  if (call->range_count != 1 || call->result_max < 8) {
    return call->fail(call, CIRA_E_INVALID,
                      "sum: one range, 8 bytes of result");
  }
  const uint64_t *words = call->range[0].at;
  uint64_t total = 0;
  for (uint64_t i = 0; i < call->range[0].bytes / 8; i++) {
    if (i % 1048576 == 0 && call->stop(call)) {
      return CIRA_E_CANCELLED;
    }
    total += words[i];
  }
  memcpy(call->result, &total, 8);
  call->result_bytes = 8;
  return CIRA_OK;
}

typedef struct node {
  struct node *next;
  uint64_t value;
} node_t;

/* The sum over a list: one call instead of one miss per node. Pointers in far
 * memory are addresses of the caller. */
static cira_status_t sum_list(cira_kernel_call_t *call) {
  uint64_t address;
  uint64_t total = 0;
  memcpy(&address, call->args, 8);
  while (address != 0) {
    const node_t *node = call->resolve(call, address, sizeof *node);
    if (node == NULL) {
      return call->fail(call, CIRA_E_RANGE, "sum_list: a node out of range");
    }
    total += node->value;
    address = (uint64_t)(uintptr_t)node->next;
  }
  memcpy(call->result, &total, 8);
  call->result_bytes = 8;
  return CIRA_OK;
}

CIRA_KERNEL_LIBRARY({"sum", sum, 0, 0}, {"sum_list", sum_list, 0, 0});
