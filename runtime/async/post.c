/* SPDX-License-Identifier: Apache-2.0
 *
 * How requests get their pieces posted. All go through one line, first come,
 * first served; whoever serves it turns requests into pieces, some at a time,
 * and posts them in one go. A request that comes while nothing is under way is
 * posted at once; others wait until there are a few, or until somebody polls
 * (each hand-over to the fabric costs system calls). What finds no slot stays
 * at the head of the line.
 * `part` and `offset` of a request in the line say where its next piece begins;
 * only who has taken it out of the line touches them.
 */
#include "async/future.h"

#include <string.h>

#define BATCH 64u          /* pieces that are posted in one go */
#define GATHER_MAX 8u      /* requests in the line before they are posted ... */
#define GATHER_LED_MAX 64u /* ... when somebody polls anyway */

static struct {
  cira_lock_t lock;
  cira_async_t *first, **last;
  _Atomic uint32_t count;
} line;

typedef struct {
  uint32_t n;
  cira_request_t request[BATCH];
  cira_post_t post[BATCH];
  struct {
    uint32_t part;
    uint64_t offset; /* where the piece begins */
    bool last;       /* of its request */
  } at[BATCH];
} batch_t;

/* ---- the line ------------------------------------------------------------ */

static void line_append(cira_async_t *a) {
  cira__lock(&line.lock);
  a->next = NULL;
  if (line.first == NULL) {
    line.last = &line.first;
  }
  *line.last = a;
  line.last = &a->next;
  (void)atomic_fetch_add_explicit(&line.count, 1, memory_order_relaxed);
  cira__unlock(&line.lock);
}

static void line_return(cira_async_t *a) {
  cira__lock(&line.lock);
  a->next = line.first;
  if (line.first == NULL) {
    line.last = &a->next;
  }
  line.first = a;
  (void)atomic_fetch_add_explicit(&line.count, 1, memory_order_relaxed);
  cira__unlock(&line.lock);
}

static cira_async_t *line_take(void) {
  if (atomic_load_explicit(&line.count, memory_order_relaxed) == 0) {
    return NULL;
  }
  cira__lock(&line.lock);
  cira_async_t *a = line.first;
  if (a != NULL) {
    line.first = a->next;
    a->next = NULL;
    (void)atomic_fetch_sub_explicit(&line.count, 1, memory_order_relaxed);
  }
  cira__unlock(&line.lock);
  return a;
}

bool cira__async_is_busy(void) {
  return atomic_load(&line.count) != 0 || cira_request_pending() != 0;
}

/* ---- pieces -------------------------------------------------------------- */

cira_request_t cira__async_atomic(const cira_async_t *a) {
  return (cira_request_t){.kind = (cira_request_kind_t)a->count,
                          .bytes = 8,
                          .far = a->u.word.at,
                          .operand = a->u.word.operand,
                          .compare = a->u.word.compare,
                          .owner = (void *)(uintptr_t)a};
}

static bool cancelled(const cira_async_t *a) {
  return (async_kind(a) & ASYNC_CANCELLED) != 0;
}

/* Makes the next piece of a request (which has one), up to the end of its page.
 * Returns false when it was copied on the spot. */
static bool next_piece(cira_async_t *a, cira_request_t *out, bool *out_last) {
  if ((async_kind(a) & ASYNC_KIND) == ASYNC_ATOMIC) {
    *out = cira__async_atomic(a);
    *out_last = true;
    return true;
  }
  const cira_async_piece_t *p = &a->pieces[a->part];
  uint8_t *far = (uint8_t *)p->far + a->offset;
  bool touch = (async_kind(a) & ASYNC_KIND) == ASYNC_TOUCH; /* no buffer */
  uint8_t *to = touch ? NULL : (uint8_t *)p->local + a->offset;
  uint64_t in_page =
      CIRA_PAGE_BYTES - ((uint64_t)(uintptr_t)far & (CIRA_PAGE_BYTES - 1));
  uint32_t n = (uint32_t)cira__min_u64(p->bytes - a->offset, in_page);
  a->offset += n;
  if (a->offset == p->bytes) {
    a->offset = 0;
    a->part++;
  }
  *out_last = a->part == a->count;
  if (!touch && (cira_far_is_far(to) || cira_far_at(far) != NULL)) {
    cira_far_copy(to, far, n);
    return false;
  }
  *out =
      (cira_request_t){.kind = touch ? CIRA_REQUEST_TOUCH : CIRA_REQUEST_READ,
                       .bytes = n,
                       .far = far,
                       .to = to,
                       .owner = a};
  return true;
}

/* A piece that was not sent: what it needs else. */
static void unsent(const cira_request_t *r, cira_post_t post) {
  cira_async_t *a = r->owner;
  (void)__atomic_fetch_sub(&a->left, 1, __ATOMIC_RELAXED); /* not the last */
  if (post == CIRA_POST_PLAIN && r->kind == CIRA_REQUEST_READ) {
    memcpy(r->to, r->far, r->bytes);
  } else if (post == CIRA_POST_PLAIN && r->kind != CIRA_REQUEST_TOUCH) {
    a->value = cira_far_atomic_plain(r);
  }
}

/* Posts a batch. Returns false when slots ran out; then what is left has gone
 * back to the line, and `current`, whose pieces were being made, with it. */
static bool batch_post(batch_t *b, const cira_async_t *current,
                       bool *out_current_back) {
  *out_current_back = false;
  if (b->n == 0) {
    return true;
  }
  for (uint32_t i = 0; i < b->n; i++) {
    /* counted before: it may be complete before post returns */
    cira_async_t *a = b->request[i].owner;
    (void)__atomic_fetch_add(&a->left, 1, __ATOMIC_RELAXED);
  }
  cira_request_post(b->request, b->n, b->post);
  uint32_t sent = 0;
  for (; sent < b->n && b->post[sent] != CIRA_POST_FULL; sent++) {
    cira_async_t *a = b->request[sent].owner;
    if (b->post[sent] != CIRA_POST_SENT) {
      unsent(&b->request[sent], b->post[sent]);
    }
    if (b->at[sent].last) {
      cira__async_done(a, 1);
    }
  }
  uint32_t i = b->n;
  bool all = sent == b->n;
  b->n = 0;
  while (i > sent) { /* from the last to the first, so the line keeps order */
    i--;
    cira_async_t *a = b->request[i].owner;
    unsent(&b->request[i], CIRA_POST_FULL);
    a->part = b->at[i].part;
    a->offset = b->at[i].offset;
    if (i == sent || b->request[i - 1].owner != a) {
      *out_current_back |= a == current;
      line_return(a);
    }
  }
  return all;
}

/* Makes pieces of one request and posts full batches. Returns false when slots
 * ran out (the request is in the line again). */
static bool feed(batch_t *b, cira_async_t *a) {
  bool atomic = (async_kind(a) & ASYNC_KIND) == ASYNC_ATOMIC;
  bool last = false, back;
  if (cancelled(a)) {
    cira__async_done(a, 1);
    return true;
  }
  while (!last) {
    if (b->n == BATCH && !batch_post(b, a, &back)) {
      if (!back) {
        line_return(a);
      }
      return false;
    }
    uint32_t part = a->part;
    uint64_t offset = a->offset;
    bool post = next_piece(a, &b->request[b->n], &last);
    if (post) {
      b->at[b->n].part = atomic ? 0 : part;
      b->at[b->n].offset = offset;
      b->at[b->n++].last = last;
    } else if (last && b->n > 0 && b->request[b->n - 1].owner == a) {
      b->at[b->n - 1].last = true; /* nothing is left but what waits here */
    } else if (last) {
      cira__async_done(a, 1);
    }
  }
  return true;
}

void cira__async_serve(void) {
  batch_t b;
  b.n = 0;
  bool back;
  for (cira_async_t *a; (a = line_take()) != NULL;) {
    if (!feed(&b, a)) {
      break;
    }
  }
  (void)batch_post(&b, NULL, &back);
}

void cira__async_post(cira_async_t *a) {
  line_append(a);
  uint32_t most = cira__async_is_led() ? GATHER_LED_MAX : GATHER_MAX;
  if (cira_request_pending() == 0 ||
      atomic_load_explicit(&line.count, memory_order_relaxed) >= most) {
    cira__async_serve();
  }
}
