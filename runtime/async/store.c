/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores that do not fetch the page they go to. See async.h.
 */
#include "async/async.h"

#include <string.h>

#define WARM_REQUESTS 8u /* writes are posted and not waited for */

void cira__async_store(void *p, const void *from, int64_t bytes) {
  uint8_t *to = p;
  const uint8_t *src = from;
  cira_thread_t *t = cira_thread();
  while (bytes > 0) {
    uint64_t in_page =
        CIRA_PAGE_BYTES - ((uint64_t)(uintptr_t)to & (CIRA_PAGE_BYTES - 1));
    uint32_t n = (uint32_t)cira__min_u64((uint64_t)bytes, in_page);
    if (!cira_far_is_far(to) || cira_far_is_here(to) ||
        cira__page_is_warm(t, to, WARM_REQUESTS) ||
        !cira_far_write(to, src, n)) {
      memcpy(to, src, n);
    }
    to += n;
    src += n;
    bytes -= n;
  }
}

void cira_async_fence(void) {
  atomic_thread_fence(memory_order_seq_cst);
}

void cira_async_release(void) {
  cira_async_fence();
  cira_far_push();
}
