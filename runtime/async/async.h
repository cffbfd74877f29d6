/* SPDX-License-Identifier: Apache-2.0
 *
 * async: loads and stores that begin now and end later.
 *
 * A load is a ticket for a slot of the thread that began it: 256 slots per
 * thread, no allocation per request. Bytes that can be read by plain loads
 * (here, or at home in reach) are asked for by line prefetch and read when the
 * ticket ends; bytes behind requests travel into the slot.
 * Ticket (63 bits): generation << 20 | thread << 8 | slot. It ends exactly
 * once, on any thread; a second end finds another generation and is an error.
 *
 * A store goes straight to the page's home when the page is not here, and is a
 * plain store otherwise. Both have taken effect for every thread of this
 * process when the call returns: over requests, later reads of the page follow
 * the write on the same lane. So a fence only orders.
 * Threads: any. None of it is signal-safe.
 */
#ifndef CIRA_ASYNC_TICKET_H
#define CIRA_ASYNC_TICKET_H

#include "async/thread.h"
#include "space/far.h"

#define CIRA_ASYNC_SLOTS 256u

/* A page that accesses meet again and again is cheaper here: true once it is
 * to be left to a fault, which brings all of it. That is after as many accesses
 * as cost about what the fault costs, so never more than twice the best: a line
 * at a home in reach takes some 0.1 us and a fault 4; over requests it is as
 * the caller says. */
#define CIRA_WARM_DIRECT 32u
static inline bool cira__page_is_warm(cira_thread_t *t, const void *p,
                                      uint32_t requests) {
  uint64_t page = (uint64_t)(uintptr_t)p >> CIRA_PAGE_LOG2;
  cira_warm_t *w = &t->warm[page % CIRA_WARM_PAGES];
  if (w->page != page) {
    *w = (cira_warm_t){.page = page};
  }
  return ++w->count > (cira__far.direct ? CIRA_WARM_DIRECT : requests);
}

/* Begins a load. Returns its ticket, or 0: the bytes are here (or all slots
 * are taken): read them at p. */
int64_t cira_async_load_begin(const void *p, int64_t bytes);
/* The same for count pairs, with one hand-over to the fabric. */
void cira_async_load_begin_batch(const void *const *addresses,
                                 const int64_t *bytes, int64_t count,
                                 int64_t *out_tickets);
/* Waits for a load, writes its bytes to `to` (local memory), ends it. */
void cira_async_load_end(int64_t ticket, void *to);

/* Stores bytes from local memory. */
void cira__async_store(void *p, const void *from, int64_t bytes);
/* Orders the stores of this thread before what follows. */
void cira_async_fence(void);
/* A fence, and writes that are queued go out to their home. What plain stores
 * left in pages of the local cache stays there until it is evicted: nobody but
 * this process can look at its home. */
void cira_async_release(void);

#endif
