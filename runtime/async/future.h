/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of cira/async.h share.
 *
 *   IDLE -> COPY      in reach: the bytes are copied by whoever looks first
 *   IDLE -> FLYING    pieces are posted, or parts are awaited
 *   COPY, FLYING -> FINISHED   status and value are set, fn may be running
 *   FINISHED, `done` set       awaited: -> IDLE
 *
 * `left` of a FLYING request counts its posted pieces, and one for whoever
 * posts more; who takes it to 0 finishes the request. The links lock guards
 * state FLYING -> FINISHED, fn, parent, and `left` of combinations.
 * Reading order: future.c (begin), post.c (the line), finish.c (end,
 * combinations), await.c.
 */
#ifndef CIRA_ASYNC_FUTURE_H
#define CIRA_ASYNC_FUTURE_H

#include "base/base.h"
#include "cira/async.h"
#include "profile/profile.h"
#include "space/request.h"

enum {
  ASYNC_IDLE = 0,
  ASYNC_COPY = 0x0a51c001,
  ASYNC_FLYING = 0x0a51c002,
  ASYNC_FINISHED = 0x0a51c003,
};

enum {
  ASYNC_LOAD = 1,
  ASYNC_ATOMIC = 2, /* u.word; the low bits of the request kind in `count` */
  ASYNC_TOUCH = 3,
  ASYNC_DONE = 4, /* was done when it began */
  ASYNC_ALL = 5,
  ASYNC_ANY = 6,
  ASYNC_KIND = 7,
  ASYNC_CANCELLED = 8, /* or'ed */
  ASYNC_CALLED = 16,   /* or'ed: then came late and called its function */
};

static inline uint32_t async_state(const cira_async_t *a) {
  return __atomic_load_n(&a->state, __ATOMIC_ACQUIRE);
}
static inline uint32_t async_kind(const cira_async_t *a) {
  return __atomic_load_n(&a->kind, __ATOMIC_RELAXED);
}

/* ---- profiles (calls.c): only while one is recorded ---- */

/* When a call began; 0: nothing is recorded. */
static inline uint64_t async_watch(void) {
  return cira__profile_on() ? cira__now_ns() : 0;
}
/* A request of `pieces` has begun, at `began`, for code at ip; far is its first
 * byte. */
void cira__async_noted(cira_async_t *a, uint32_t kind, uint64_t began,
                       const void *ip, uint64_t pieces, uint64_t bytes,
                       bool here);
/* Somebody has waited for it since `began`. */
void cira__async_waited(const cira_async_t *a, uint64_t began);

/* Puts a FLYING request, whose `left` counts this, into the line of those that
 * are to be posted / posts for those in the line. */
void cira__async_post(cira_async_t *a);
void cira__async_serve(void);
/* Whether somebody polls. A hint. */
bool cira__async_is_led(void);
/* What an atomic asks for. */
cira_request_t cira__async_atomic(const cira_async_t *a);
/* Copies what a COPY request asks for, whose `part` is the life of the space
 * that it began in; without that space it fails. */
void cira__async_copy(cira_async_t *a);
/* Whether requests are in the line or at the fabric. */
bool cira__async_is_busy(void);

/* Takes n off `left`; the last one finishes the request. */
void cira__async_done(cira_async_t *a, uint32_t n);
/* Notes a failure of a piece; the first one counts. */
void cira__async_fail(cira_async_t *a, cira_status_t status);
/* FLYING -> FINISHED, its fn, those who wait, and combinations above it. */
void cira__async_finish(cira_async_t *a);

/* Reaps, and posts for those in line. Returns how many pieces came. */
uint32_t cira__async_progress(void);

#endif
