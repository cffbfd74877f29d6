/* SPDX-License-Identifier: Apache-2.0
 *
 * A shared object with functions for callees, found by name. Uses nothing of
 * the runtime but the header.
 */
#include "cira/call.h"

CIRA_CALL_KERNEL_ARRAY(thrice) {
  for (uint32_t i = 0; i < frame->count; i++) {
    ((uint64_t *)frame->result)[i] = 3 * ((const uint64_t *)frame->args)[i];
  }
  frame->result_bytes = sizeof(uint64_t);
  return CIRA_OK;
}

CIRA_CALL_KERNEL(twice) {
  *(uint64_t *)frame->result = 2 * *(const uint64_t *)frame->args;
  frame->result_bytes = sizeof(uint64_t);
  return CIRA_OK;
}
