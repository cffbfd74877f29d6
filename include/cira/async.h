/* SPDX-License-Identifier: Apache-2.0
 *
 * Accesses to far memory that begin now and end later: loads, stores, batches,
 * 64-bit atomics, and combinations of them. For programs that know that bytes
 * may be far and have something else to do meanwhile; an ordinary access of the
 * same pointer is always right, too.
 *
 * A request is an object of the caller (all zero before its first use); it
 * costs no allocation. It is begun by one of the functions below, is under way
 * until it is done, and is free for the next use when await or poll has said so
 * (or wherever it ends with an error of the call). It must stay where it is
 * while it is under way.
 *
 * What it sees: a load gives what the bytes are at some moment between its
 * begin and its end: the newest that any thread of this process wrote, also if
 * so far they are only in the local cache. A store is visible to all of the
 * process, through any pointer, before its function returns. An atomic is
 * atomic against other atomics of this header and against __atomic operations
 * on the same address. Loads and stores fetch no page into the cache: bytes
 * that are used often are better touched (cira_async_touch) and then accessed
 * by their pointers.
 *
 * Who waits: await lets other coroutines run inside a task (cira/coro.h), and
 * blocks the thread elsewhere. Requests make progress when somebody awaits,
 * polls or begins one, on any thread.
 * Reading order: request, begin, end, combinations.
 */
#ifndef CIRA_ASYNC_H
#define CIRA_ASYNC_H

#include <stdint.h>

#include "cira/status.h"
#include "cira/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- request ------------------------------------------------------------- */

typedef struct cira_async cira_async_t;

/* One piece of a batch. */
typedef struct {
  void *far;      /* in far memory */
  void *local;    /* a buffer; best not far: a far one is copied plainly */
  uint64_t bytes; /* above 0 */
} cira_async_piece_t;

/* Called once when a request is done, by the thread that finds out: inside any
 * begin, await or poll of any thread, on its stack, with no lock held, before
 * those who wait for the request go on. May begin requests; must not wait. */
typedef void (*cira_async_fn_t)(void *argument, cira_status_t status,
                                uint64_t value);

/* The fields are private. */
struct cira_async {
  uint32_t state, kind;
  cira_status_t status;
  uint32_t left, count, part;
  uint64_t value;
  cira_waitable_t done;
  union {
    cira_async_piece_t one;
    struct {
      void *at;
      uint64_t operand, compare;
    } word;
  } u;
  const cira_async_piece_t *pieces;
  cira_async_t *const *parts;
  uint64_t offset; /* in piece number `part` */
  cira_async_t *parent, *next;
  cira_async_fn_t fn;
  void *argument;
  uint64_t site; /* while a profile is recorded: who began it */
};

/* ---- begin -----------------------------------------------------------------
 * Each of these returns CIRA_OK when the request is under way (it may be done
 * already). Otherwise nothing has happened:
 *   CIRA_E_INVALID  NULL, zero bytes or count, a bad pointer or alignment
 *   CIRA_E_RANGE    bytes that are not (all) in far memory that was allocated,
 *                   or that wrap around
 *   CIRA_E_BUSY     the request is under way
 *   CIRA_E_CLOSED   there is no far memory (cira_far_start)
 *   CIRA_E_UNSUPPORTED  the caller's stack is in far memory
 */

/* Loads bytes into a buffer.
 *   to  NULL: at most 8 bytes, as the value that await gives (the lowest
 *       address in the lowest byte, zeros above).
 * Returns as above.
 * Threads: any, one per request. Cost: no allocation; a few ns where bytes are
 * in reach (shm:, host:), a share of a message elsewhere. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_load(cira_async_t *request,
                                                     const void *from, void *to,
                                                     uint64_t bytes);

/* Stores bytes; `from` may be reused when the call returns. The page is not
 * fetched; where it is here, the store goes there.
 * Returns as above.
 * Threads: any, one per request. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_store(cira_async_t *request,
                                                      void *to,
                                                      const void *from,
                                                      uint64_t bytes);

/* Many loads as one request, all under way at once (over a network: as many as
 * there are slots, some hundred, the rest as those end). Done when all are.
 *   pieces  must stay until it is done; at most 2^32 - 1.
 * Returns as above; nothing is begun if any piece is refused.
 * Threads: any, one per request. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_gather(
    cira_async_t *request, const cira_async_piece_t *pieces, uint64_t count);

/* Many stores as one request, in order; buffers may be reused on return.
 * Returns as above; nothing is stored if any piece is refused.
 * Threads: any, one per request. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_scatter(
    cira_async_t *request, const cira_async_piece_t *pieces, uint64_t count);

/* Adds to, replaces, or compares and replaces the 8 bytes at `at` (aligned to
 * 8). The value of the request is what was there before; compare_swap has
 * stored iff that equals `expected`. Takes effect once, at home where the page
 * is not here. Sequentially consistent.
 * Returns as above.
 * Threads: any, one per request. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_fetch_add(cira_async_t *request,
                                                          uint64_t *at,
                                                          uint64_t operand);
/* See cira_async_fetch_add.
 * Returns as above.
 * Threads: as there. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_swap(cira_async_t *request,
                                                     uint64_t *at,
                                                     uint64_t desired);
/* See cira_async_fetch_add.
 * Returns as above.
 * Threads: as there. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_compare_swap(
    cira_async_t *request, uint64_t *at, uint64_t expected, uint64_t desired);

/* Brings the pages of [p, p + bytes) into the local cache, so that ordinary
 * accesses find them there: a coroutine awaits this instead of faulting. A
 * hint: a page may be evicted again before it is used (then it faults), and
 * more pages than fit are not all brought.
 * Returns as above.
 * Threads: any, one per request. Cost: what fetching the pages costs, all at
 * once. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_touch(cira_async_t *request,
                                                      const void *p,
                                                      uint64_t bytes);

/* ---- end ----------------------------------------------------------------- */

/* Looks whether a request is done, making progress by the way.
 *   out_value  loads without buffer, atomics: the value; when_any: which part
 *              (from 0); else 0. May be NULL. Written on CIRA_OK.
 * Returns CIRA_PENDING while it is under way. Else it has ended, with CIRA_OK;
 *   CIRA_E_CANCELLED after cira_async_cancel; CIRA_E_DEADLINE or
 *   CIRA_E_DISCONNECTED as the place said (buffers may be partly written), or,
 *   for an atomic, in a forked child whose parent has the answer;
 *   CIRA_E_CLOSED when it was begun before cira_far_stop.
 *   CIRA_E_CLOSED also when it is not under way (it has ended before, or in an
 *   await of somebody else meanwhile);
 *   CIRA_E_INVALID for NULL and for what is no request.
 * Threads: any; the end of one request is seen by one caller. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_poll(cira_async_t *request,
                                                     uint64_t *out_value);

/* Waits for a request.
 *   deadline_ns  CIRA_NO_WAIT, CIRA_FOREVER or a point of CLOCK_MONOTONIC.
 * Returns as cira_async_poll. It is still under way, and may be awaited again,
 *   after CIRA_PENDING: the deadline passed (also a task's own); and after
 *   CIRA_E_BUSY: this task was told to stop (cira_task_cancel).
 * Threads: any; the end of one request is seen by one caller. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_await(cira_async_t *request,
                                                      uint64_t deadline_ns,
                                                      uint64_t *out_value);

/* Gives a request up. What was not sent will not be; what is on its way cannot
 * be called back, so buffers stay in use until the request is done. Parts of a
 * combination go on by themselves; an atomic or store that was sent takes
 * effect. It must still be awaited: it ends with CIRA_E_CANCELLED, or with
 * CIRA_OK when it was done before.
 * Returns CIRA_OK; CIRA_E_CLOSED when it is not under way; CIRA_E_INVALID.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_cancel(cira_async_t *request);

/* ---- combinations -------------------------------------------------------- */

/* A request that is done when all parts are: with CIRA_OK, or with the status
 * of the first part that failed. Parts are not ended by it: each is still to be
 * awaited, which then takes no time. A part may itself be a combination.
 *   parts  requests under way, each part of one combination at a time; the
 *          array and the parts must stay until it is done.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, zero count, a part that is not
 *   under way or is `all` itself (so combinations cannot form a cycle);
 *   CIRA_E_BUSY when `all` is under way or a part belongs to another
 *   combination (or comes twice). On error nothing has changed.
 * Threads: any, one per request. Cost: a lock, a few ns a part. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_when_all(
    cira_async_t *all, cira_async_t *const *parts, uint32_t count);

/* A request that is done when one part is; its value says which, its status is
 * that part's. The others go on.
 * Returns as cira_async_when_all.
 * Threads: as there. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_when_any(
    cira_async_t *any, cira_async_t *const *parts, uint32_t count);

/* Has fn called when the request is done (at once by the caller if it is); see
 * cira_async_fn_t. One per request and use. The request is still to be awaited,
 * but its fn does not wait for that.
 * Returns CIRA_OK; CIRA_E_BUSY when it has one; CIRA_E_CLOSED when it is not
 *   under way; CIRA_E_INVALID for NULL.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_async_then(cira_async_t *request,
                                                     cira_async_fn_t fn,
                                                     void *argument);

#ifdef __cplusplus
}
#endif
#endif
