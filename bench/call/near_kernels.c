/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of bench-near: nothing at all, the sum of an array, the sum over
 * a list whose nodes lie in pages of their own.
 */
#include "near.h"

#include "cira/kernel.h"

#include <string.h>

static cira_status_t result_put(cira_kernel_call_t *call, uint64_t total) {
  memcpy(call->result, &total, sizeof(total));
  call->result_bytes = sizeof(total);
  return CIRA_OK;
}

static cira_status_t nothing(cira_kernel_call_t *call) {
  return result_put(call, 1);
}

static cira_status_t sum(cira_kernel_call_t *call) {
  return result_put(
      call, near_sum(call->range[0].at, call->range[0].bytes / NEAR_WORD));
}

static cira_status_t list(cira_kernel_call_t *call) {
  const uint8_t *base = call->range[0].at;
  uint64_t total = 0;
  uint64_t address;
  memcpy(&address, call->args, sizeof(address));
  while (address) {
    const near_node_t *node =
        (const near_node_t *)(const void *)(base +
                                            (address - call->range[0].address));
    total += node->value;
    address = (uint64_t)(uintptr_t)node->next;
  }
  return result_put(call, total);
}

CIRA_KERNEL_LIBRARY({"nothing", nothing, 0, 0}, {"sum", sum, 0, 0},
                    {"list", list, 0, 0});
