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
#ifndef CIRA_ASYNC_H
#define CIRA_ASYNC_H

#include "async/thread.h"
#include "space/far.h"

#define CIRA_ASYNC_SLOTS 256u

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
void cira_async_store(void *p, const void *from, int64_t bytes);
/* Orders the stores of this thread before what follows. */
void cira_async_fence(void);
/* A fence, and writes that are queued go out to their home. What plain stores
 * left in pages of the local cache stays there until it is evicted: nobody but
 * this process can look at its home. */
void cira_async_release(void);

#endif
