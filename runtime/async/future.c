/* SPDX-License-Identifier: Apache-2.0
 *
 * How requests of cira/async.h begin. In reach (shm:, host:) nothing has to be
 * sent: small loads of tasks fetch their lines into the cache and are copied
 * when they are awaited, the rest is done at once. Behind requests, each piece
 * within a page is one request of space/request.h; see post.c.
 */
#include "async/future.h"

#include <string.h>

#define COPY_MAX 256u /* bytes that are prefetched now and copied later */
#define TOUCH_BATCH 64u
#define HERE __builtin_return_address(0) /* in a function of cira/async.h */

/* ---- checks -------------------------------------------------------------- */

CIRA_COLD static cira_status_t refuse(const char *call, const char *why) {
  return cira__fail(CIRA_E_INVALID, "async_%s: %s", call, why);
}

CIRA_COLD static cira_status_t not_idle(const cira_async_t *a,
                                        const char *call) {
  uint32_t state = async_state(a);
  if (state == ASYNC_COPY || state == ASYNC_FLYING || state == ASYNC_FINISHED) {
    return cira__fail(CIRA_E_BUSY,
                      "async_%s: the request is under way; await it first",
                      call);
  }
  return refuse(call, "that is no request; zero it before its first use");
}

CIRA_COLD static cira_status_t no_space(const char *call) {
  return cira__fail(CIRA_E_CLOSED,
                    "async_%s: there is no far memory; call cira_far_start "
                    "first",
                    call);
}

static inline cira_status_t check(const cira_async_t *a, const char *call) {
  if (CIRA_UNLIKELY(a == NULL)) {
    return refuse(call, "the request is NULL");
  }
  if (CIRA_UNLIKELY(async_state(a) != ASYNC_IDLE)) {
    return not_idle(a, call);
  }
  if (CIRA_UNLIKELY(cira__far.bytes == 0)) {
    return no_space(call);
  }
  if (CIRA_UNLIKELY(cira_far_is_far(__builtin_frame_address(0)))) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "async_%s: this stack is in far memory; call it on an "
                      "ordinary one",
                      call);
  }
  return CIRA_OK;
}

CIRA_COLD static cira_status_t not_far(const char *call, const void *p,
                                       uint64_t bytes) {
  return cira__fail(CIRA_E_RANGE,
                    "async_%s: %p and %llu bytes are not in allocated far "
                    "memory",
                    call, p, (unsigned long long)bytes);
}

/* Whether chunks [first, last] of the far range were handed out. */
static inline bool chunks_used(uint64_t first, uint64_t last) {
  while (first <= last && atomic_load_explicit(&cira__far.chunk_state[first],
                                               memory_order_relaxed) != 0) {
    first++;
  }
  return first > last;
}

static inline cira_status_t check_far(const char *call, const void *p,
                                      uint64_t bytes) {
  if (CIRA_UNLIKELY(p == NULL || bytes == 0)) {
    return refuse(call, "a NULL address, or zero bytes");
  }
  uint64_t offset = (uint64_t)(uintptr_t)p - cira__far.base;
  if (CIRA_UNLIKELY(
          !cira__range_ok(offset, bytes, cira__far.bytes) ||
          !chunks_used(offset >> CIRA_FAR_CHUNK_LOG2,
                       (offset + bytes - 1) >> CIRA_FAR_CHUNK_LOG2))) {
    return not_far(call, p, bytes);
  }
  return CIRA_OK;
}

static cira_status_t check_pieces(const cira_async_t *a,
                                  const cira_async_piece_t *pieces,
                                  uint64_t count, const char *call) {
  cira_status_t status = check(a, call);
  if (status != CIRA_OK) {
    return status;
  }
  if (pieces == NULL || count == 0 || count > UINT32_MAX) {
    return refuse(call, "no pieces, or more than 2^32 - 1");
  }
  for (uint64_t i = 0; i < count && status == CIRA_OK; i++) {
    status = check_far(call, pieces[i].far, pieces[i].bytes);
    if (status == CIRA_OK && pieces[i].local == NULL) {
      status = refuse(call, "a buffer is NULL");
    }
  }
  return status;
}

/* ---- beginning ----------------------------------------------------------- */

/* What every begin sets; the request is nobody else's yet. */
static void prepare(cira_async_t *a, uint32_t kind, uint32_t count) {
  a->kind = kind;
  a->status = CIRA_OK;
  a->left = 1;
  a->count = count;
  a->part = 0;
  a->value = 0;
  a->offset = 0;
  a->done = (cira_waitable_t){0};
  a->pieces = &a->u.one;
  a->parent = a->next = NULL;
  a->fn = NULL;
  a->site = 0;
}

static void begin_done(cira_async_t *a) {
  a->kind = ASYNC_DONE;
  a->done.word = 2; /* ready; nobody waits yet */
  __atomic_store_n(&a->state, ASYNC_FINISHED, __ATOMIC_RELEASE);
}

static void begin_flight(cira_async_t *a) {
  __atomic_store_n(&a->state, ASYNC_FLYING, __ATOMIC_RELEASE);
  cira__async_post(a);
}

static inline void lines_prefetch(const uint8_t *at, uint64_t bytes) {
  const uint8_t *end = at + bytes;
  at -= (uintptr_t)at % CIRA_LINE_BYTES;
  do {
    __builtin_prefetch(at);
    at += CIRA_LINE_BYTES;
  } while (at < end);
}

/* A load that is copied when somebody looks; others run meanwhile. */
static inline void begin_copy(cira_async_t *a, const void *from, void *to,
                              uint64_t bytes) {
  const uint8_t *at = cira_far_at(from);
  lines_prefetch(at != NULL ? at : from, bytes);
  a->kind = ASYNC_LOAD;
  a->status = CIRA_OK;
  a->part = cira__far.life;
  a->value = 0;
  a->done = (cira_waitable_t){0};
  a->u.one.far = (void *)(uintptr_t)from;
  a->u.one.local = to != NULL ? to : &a->value;
  a->u.one.bytes = bytes;
  a->parent = NULL;
  a->fn = NULL;
  a->site = 0;
  __atomic_store_n(&a->state, ASYNC_COPY, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) cira_status_t load(cira_async_t *a,
                                                    const void *from, void *to,
                                                    uint64_t bytes) {
  cira_status_t status = check(a, "load");
  if (CIRA_LIKELY(status == CIRA_OK)) {
    status = check_far("load", from, bytes);
  }
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return status;
  }
  if (CIRA_UNLIKELY(to == NULL && bytes > 8)) {
    return refuse("load", "more than 8 bytes need a buffer");
  }
  if (!cira__far.direct) {
    prepare(a, ASYNC_LOAD, 1);
    a->u.one.far = (void *)(uintptr_t)from;
    a->u.one.local = to != NULL ? to : &a->value;
    a->u.one.bytes = bytes;
    begin_flight(a);
  } else if (bytes <= COPY_MAX && cira_parker_self()->is_task) {
    begin_copy(a, from, to, bytes);
  } else {
    a->value = 0;
    cira_far_copy(to != NULL ? to : &a->value, from, bytes);
    a->status = CIRA_OK;
    a->parent = NULL;
    a->fn = NULL;
    a->site = 0;
    begin_done(a);
  }
  return CIRA_OK;
}

/* Whether a load is one of a task, in reach and within a page, that passes
 * every check: most are, and so they take few instructions. */
static inline bool is_plain_load(const cira_async_t *a, const void *from,
                                 const void *to, uint64_t bytes) {
  uint64_t offset = (uint64_t)(uintptr_t)from - cira__far.base;
  uint64_t chunk = offset >> CIRA_FAR_CHUNK_LOG2;
  return a != NULL && to != NULL && async_state(a) == ASYNC_IDLE &&
         cira__far.direct && offset < cira__far.bytes && bytes - 1 < COPY_MAX &&
         (offset & (CIRA_PAGE_BYTES - 1)) + bytes <= CIRA_PAGE_BYTES &&
         chunks_used(chunk, chunk) &&
         !cira_far_is_far(__builtin_frame_address(0)) &&
         cira__parker_now != NULL && cira__parker_now->is_task;
}

cira_status_t cira_async_load(cira_async_t *a, const void *from, void *to,
                              uint64_t bytes) {
  uint64_t began = async_watch();
  if (CIRA_LIKELY(began == 0 && is_plain_load(a, from, to, bytes))) {
    begin_copy(a, from, to, bytes);
    return CIRA_OK;
  }
  bool here = began != 0 && cira_far_is_here(from);
  cira_status_t status = load(a, from, to, bytes);
  if (CIRA_UNLIKELY(began != 0) && status == CIRA_OK) {
    cira__async_noted(a, CIRA_PROFILE_LOAD, began, HERE, 1, bytes, here);
  }
  return status;
}

void cira__async_copy(cira_async_t *a) {
  if (CIRA_UNLIKELY(a->part != cira__far.life)) {
    a->status = cira__fail(CIRA_E_CLOSED,
                           "async_load: the far memory has been stopped since");
    return;
  }
  cira_far_copy(a->u.one.local, a->u.one.far, a->u.one.bytes);
}

static cira_status_t gather(cira_async_t *a, const cira_async_piece_t *pieces,
                            uint64_t count) {
  cira_status_t status = check_pieces(a, pieces, count, "gather");
  if (status != CIRA_OK) {
    return status;
  }
  prepare(a, ASYNC_LOAD, (uint32_t)count);
  a->pieces = pieces;
  if (!cira__far.direct) {
    begin_flight(a);
    return CIRA_OK;
  }
  const uint64_t ahead = 8; /* pieces whose first lines are on their way */
  for (uint64_t i = 0; i < count + ahead; i++) {
    if (i < count) {
      const uint8_t *at = cira_far_at(pieces[i].far);
      uint64_t bytes = cira__min_u64(pieces[i].bytes, COPY_MAX);
      lines_prefetch(at != NULL ? at : pieces[i].far, bytes);
    }
    if (i >= ahead) {
      const cira_async_piece_t *p = &pieces[i - ahead];
      cira_far_copy(p->local, p->far, p->bytes);
    }
  }
  begin_done(a);
  return CIRA_OK;
}

/* Of a batch that was accepted. */
static void batch_noted(cira_async_t *a, uint32_t kind, uint64_t began,
                        const void *ip, const cira_async_piece_t *pieces,
                        uint64_t count, bool here) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < count; i++) {
    bytes += pieces[i].bytes;
  }
  cira__async_noted(a, kind, began, ip, count, bytes, here);
}

static bool all_here(const cira_async_piece_t *pieces, uint64_t count) {
  uint64_t i = 0;
  while (pieces != NULL && i < count && cira_far_is_here(pieces[i].far)) {
    i++;
  }
  return i == count;
}

cira_status_t cira_async_gather(cira_async_t *a,
                                const cira_async_piece_t *pieces,
                                uint64_t count) {
  uint64_t began = async_watch();
  bool here = began != 0 && all_here(pieces, count);
  cira_status_t status = gather(a, pieces, count);
  if (CIRA_UNLIKELY(began != 0) && status == CIRA_OK) {
    batch_noted(a, CIRA_PROFILE_GATHER, began, HERE, pieces, count, here);
  }
  return status;
}

/* ---- stores -------------------------------------------------------------- */

/* To the page where it is here, else to its home. */
static void store(uint8_t *to, const uint8_t *from, uint64_t bytes) {
  while (bytes > 0) {
    uint64_t in_page =
        CIRA_PAGE_BYTES - ((uint64_t)(uintptr_t)to & (CIRA_PAGE_BYTES - 1));
    uint32_t n = (uint32_t)cira__min_u64(bytes, in_page);
    if (cira_far_is_here(to) || !cira_far_write(to, from, n)) {
      memcpy(to, from, n);
    }
    to += n;
    from += n;
    bytes -= n;
  }
}

cira_status_t cira_async_store(cira_async_t *a, void *to, const void *from,
                               uint64_t bytes) {
  cira_async_piece_t one = {
      .far = to, .local = (void *)(uintptr_t)from, .bytes = bytes};
  uint64_t began = async_watch();
  bool here = began != 0 && cira_far_is_here(to);
  cira_status_t status = check_pieces(a, &one, 1, "store");
  if (status != CIRA_OK) {
    return status;
  }
  store(to, from, bytes);
  prepare(a, ASYNC_DONE, 0);
  begin_done(a);
  if (CIRA_UNLIKELY(began != 0)) {
    cira__async_noted(a, CIRA_PROFILE_STORE, began, HERE, 1, bytes, here);
  }
  return CIRA_OK;
}

cira_status_t cira_async_scatter(cira_async_t *a,
                                 const cira_async_piece_t *pieces,
                                 uint64_t count) {
  uint64_t began = async_watch();
  bool here = began != 0 && all_here(pieces, count);
  cira_status_t status = check_pieces(a, pieces, count, "scatter");
  if (status != CIRA_OK) {
    return status;
  }
  for (uint64_t i = 0; i < count; i++) {
    store(pieces[i].far, pieces[i].local, pieces[i].bytes);
  }
  prepare(a, ASYNC_DONE, 0);
  begin_done(a);
  if (CIRA_UNLIKELY(began != 0)) {
    batch_noted(a, CIRA_PROFILE_SCATTER, began, HERE, pieces, count, here);
  }
  return CIRA_OK;
}

/* ---- atomics ------------------------------------------------------------- */

static cira_status_t begin_atomic(cira_async_t *a, cira_request_kind_t kind,
                                  uint64_t *at, uint64_t operand,
                                  uint64_t compare, const char *call,
                                  const void *ip) {
  uint64_t began = async_watch();
  bool here = began != 0 && cira_far_is_here(at);
  cira_status_t status = check(a, call);
  if (status == CIRA_OK) {
    status = check_far(call, at, 8);
  }
  if (status == CIRA_OK && (uintptr_t)at % 8 != 0) {
    status = refuse(call, "the address is not a multiple of 8");
  }
  if (status != CIRA_OK) {
    return status;
  }
  prepare(a, ASYNC_ATOMIC, (uint32_t)kind);
  a->u.word.at = at;
  a->u.word.operand = operand;
  a->u.word.compare = compare;
  cira_request_t r = cira__async_atomic(a);
  if (cira_far_atomic(&r, &a->value)) {
    begin_done(a);
  } else if (cira__far.direct) {
    a->value = cira_far_atomic_plain(&r);
    begin_done(a);
  } else {
    begin_flight(a);
  }
  if (CIRA_UNLIKELY(began != 0)) {
    cira__async_noted(a, CIRA_PROFILE_ATOMIC, began, ip, 1, 8, here);
  }
  return CIRA_OK;
}

cira_status_t cira_async_fetch_add(cira_async_t *a, uint64_t *at,
                                   uint64_t operand) {
  return begin_atomic(a, CIRA_REQUEST_ADD, at, operand, 0, "fetch_add", HERE);
}

cira_status_t cira_async_swap(cira_async_t *a, uint64_t *at, uint64_t desired) {
  return begin_atomic(a, CIRA_REQUEST_SWAP, at, desired, 0, "swap", HERE);
}

cira_status_t cira_async_compare_swap(cira_async_t *a, uint64_t *at,
                                      uint64_t expected, uint64_t desired) {
  return begin_atomic(a, CIRA_REQUEST_CAS, at, desired, expected,
                      "compare_swap", HERE);
}

/* ---- touch --------------------------------------------------------------- */

static void touch_in_reach(const uint8_t *first, const uint8_t *last) {
  while (first <= last) {
    const void *page[TOUCH_BATCH];
    uint32_t n = 0;
    for (; n < TOUCH_BATCH && first <= last; first += CIRA_PAGE_BYTES) {
      page[n++] = first;
    }
    cira_space_prefetch_many(cira__far.space, page, n);
  }
}

cira_status_t cira_async_touch(cira_async_t *a, const void *p, uint64_t bytes) {
  uint64_t began = async_watch();
  bool here = began != 0 && cira_far_is_here(p);
  cira_status_t status = check(a, "touch");
  if (status == CIRA_OK) {
    status = check_far("touch", p, bytes);
  }
  if (status != CIRA_OK) {
    return status;
  }
  prepare(a, ASYNC_TOUCH, 1);
  a->u.one.far = (void *)(uintptr_t)p;
  a->u.one.bytes = bytes;
  if (cira__far.direct) {
    uintptr_t first = (uintptr_t)p & ~(uintptr_t)(CIRA_PAGE_BYTES - 1);
    touch_in_reach((const uint8_t *)first, (const uint8_t *)p + bytes - 1);
    begin_done(a);
  } else {
    begin_flight(a);
  }
  if (CIRA_UNLIKELY(began != 0)) {
    cira__async_noted(a, CIRA_PROFILE_TOUCH, began, HERE, 1, bytes, here);
  }
  return CIRA_OK;
}
