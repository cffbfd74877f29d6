/* SPDX-License-Identifier: Apache-2.0
 *
 * What a profile is told of requests: each call site counts its accesses as
 * they begin, and the waits for them as they end. A request carries its site
 * from its begin to its await (`site`: the address, and the kind above it).
 * Threads: any, as the calls themselves.
 */
#include "async/future.h"

#define KIND_SHIFT 56u

void cira__async_noted(cira_async_t *a, uint32_t kind, uint64_t began,
                       const void *ip, uint64_t pieces, uint64_t bytes,
                       bool here) {
  uint64_t at = (uint64_t)(uintptr_t)ip;
  a->site = at | (uint64_t)kind << KIND_SHIFT;
  cira_profile_calls_t c = {.ip = at,
                            .kind = kind,
                            .accesses = pieces,
                            .bytes = bytes,
                            .here = here ? pieces : 0};
  /* What is done in reach was waited for, unless it was here; its end writes
   * nothing that the caller does not order. */
  if (!here && cira__far.direct && async_state(a) == ASYNC_FINISHED) {
    c.waits = 1;
    c.wait_ns = cira__now_ns() - began;
  }
  cira__profile_calls(&c);
}

void cira__async_waited(const cira_async_t *a, uint64_t began) {
  if (a->site == 0) {
    return; /* begun before recording was */
  }
  cira_profile_calls_t c = {.ip = a->site & ((UINT64_C(1) << KIND_SHIFT) - 1),
                            .kind = (uint32_t)(a->site >> KIND_SHIFT),
                            .waits = 1,
                            .wait_ns = cira__now_ns() - began,
                            .failed = cira_waitable_ready(&a->done) &&
                                      a->status != CIRA_OK};
  cira__profile_calls(&c);
}
