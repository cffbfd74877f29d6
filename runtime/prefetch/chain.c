/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains: node by node where the order is random, run by run where nodes follow
 * each other at a constant step (then compiled code walks to the end of the run
 * without a call, comparing each link with the guess). A run grows over more
 * pages each time it was used up.
 *
 * Where a node can be read comes from the jump table if the order is known,
 * else from translation. Over requests an unknown node is read in place: the
 * fault fetches its page; runs of some pages are read in frames.
 */
#include "prefetch/stream_internal.h"

#define STEP_MAX 1024 /* bytes between neighbours that count as a run */
#define JUMP_WINDOW 96
#define FOLLOW_PAGES 4u /* pages of a run before frames pay */
#define NEXT_PAGE_LINES 16u

static const jump_entry_t *jump_to(cira_stream_t *s, const uint8_t *p) {
  int64_t window = atomic_load_explicit(&s->window, memory_order_relaxed);
  window = window > JUMP_WINDOW ? window : JUMP_WINDOW;
  return cira__jump_at(&s->chain.jump, p, s->chain.node_bytes, window);
}

/* A node across two pages that do not lie together. */
static uint8_t *node_gather(chain_t *c, const uint8_t *p) {
  cira__scratch_must(&c->bounce, c->node_bytes);
  cira_far_copy(c->bounce.p, p, c->node_bytes);
  return c->bounce.p;
}

/* A single node, on which nothing follows at a known step. */
static uint8_t *node_place(chain_t *c, const uint8_t *p) {
  if (!cira_far_is_far(p)) {
    return (uint8_t *)(uintptr_t)p;
  }
  const uint8_t *at = cira_far_at(p);
  uint32_t in_page = (uint32_t)(uintptr_t)p & (CIRA_PAGE_BYTES - 1);
  if (CIRA_LIKELY(in_page + c->node_bytes <= CIRA_PAGE_BYTES)) {
    return (uint8_t *)(uintptr_t)(at != NULL ? at : p);
  }
  if (at == p) {
    return (uint8_t *)(uintptr_t)p;
  }
  cira_far_run_t run;
  if (cira_far_run(p, 1, 2 + c->node_bytes / CIRA_PAGE_BYTES, &run) &&
      (uint64_t)(uintptr_t)p + c->node_bytes <= run.hi) {
    return (uint8_t *)(uintptr_t)((uint64_t)(uintptr_t)p + run.delta);
  }
  return node_gather(c, p);
}

static void run_find(chain_t *c, const uint8_t *p) {
  if (!cira_far_run(p, 1, c->run_pages, &c->run)) {
    c->run.lo = (uint64_t)(uintptr_t)p & ~(uint64_t)(CIRA_PAGE_BYTES - 1);
    c->run.hi = c->run.lo + CIRA_PAGE_BYTES; /* read in place */
    c->run.delta = 0;
  }
}

/* Over requests: nodes that have followed each other for some pages are read
 * like an array, in frames, a ring of pages ahead. What lies
 * behind the end of the run is fetched in vain and never used. */
static bool front_pages(chain_t *c, cira_abi_front_t *f, const uint8_t *p,
                        int64_t step) {
  source_t *src = &c->pages;
  int64_t k = c->pages_open ? (p - src->first) / src->step : -1;
  if (c->pages_open && (step != src->step || k < 0 || k >= src->count ||
                        p != src->first + k * step)) {
    cira__source_close(src);
    c->pages_open = false;
  }
  if (!c->pages_open) {
    if (c->run_pages < FOLLOW_PAGES || cira_far_is_here(p)) {
      return false;
    }
    uint64_t bytes = 16ull * c->run_pages * CIRA_PAGE_BYTES;
    cira__source_open(src, p, step, (int64_t)(bytes / (uint64_t)step),
                      c->node_bytes);
    c->pages_open = true;
    k = 0;
  }
  const uint8_t *data;
  f->left = cira__source_at(src, k, &data);
  f->data = (uint8_t *)(uintptr_t)data;
  f->step = step;
  return true;
}

/* Places the front on p with as many nodes behind it as the run holds. */
static void front_run(chain_t *c, cira_abi_front_t *f, const uint8_t *p,
                      int64_t step) {
  if (!cira__far.direct && cira_far_is_far(p) && front_pages(c, f, p, step)) {
    return;
  }
  uint64_t at = (uint64_t)(uintptr_t)p, end = at + c->node_bytes;
  if (at < c->run.lo || end > c->run.hi) {
    run_find(c, p);
  }
  if (end > c->run.hi) {
    f->data = node_place(c, p);
    f->step = step;
    f->left = 1;
    return;
  }
  /* A page at a time, and the lines of the next one are asked for meanwhile:
   * the core's own prefetcher stops at the end of a page. */
  uint64_t stop =
      cira__min_u64(c->run.hi, cira__align_up(end, CIRA_PAGE_BYTES));
  f->data = (uint8_t *)(uintptr_t)(at + c->run.delta);
  f->step = step;
  f->left = (int64_t)((stop - end) / (uint64_t)step) + 1;
  if (stop < c->run.hi) {
    const uint8_t *next = (const uint8_t *)(uintptr_t)(stop + c->run.delta);
    for (uint32_t i = 0; i < NEXT_PAGE_LINES; i++) {
      __builtin_prefetch(next + i * CIRA_LINE_BYTES);
    }
  }
}

/* The front goes to node p. */
static void go_to(cira_stream_t *s, cira_abi_front_t *f, const uint8_t *p) {
  chain_t *c = &s->chain;
  int64_t step = p - c->previous;
  bool follows = c->previous != NULL && step > 0 && step <= STEP_MAX;
  const jump_entry_t *jump = jump_to(s, p);
  f->cur = (uint8_t *)(uintptr_t)p;
  c->first = p;
  if (jump != NULL && jump->count == 1 && jump->data != NULL) {
    f->data = (uint8_t *)(uintptr_t)jump->data;
    f->step = 0;
    f->left = 1;
  } else if (follows) {
    front_run(c, f, p, step);
  } else {
    f->data = node_place(c, p);
    f->step = 0;
    f->left = 1;
  }
}

static void pages_close(chain_t *c) {
  if (c->pages_open) {
    cira__source_close(&c->pages);
    c->pages_open = false;
  }
}

static void end_here(cira_stream_t *s, cira_abi_front_t *f) {
  chain_t *c = &s->chain;
  pages_close(c);
  if (!c->ended) {
    c->ended = true;
    cira__jump_close(&c->jump, true);
  }
  /* A link read here is NULL, whatever the caller does next. */
  cira__scratch_must(&c->bounce, c->node_bytes);
  memset(c->bounce.p, 0, c->node_bytes);
  *f = (cira_abi_front_t){.data = c->bounce.p};
}

void cira__chain_refill(cira_stream_t *s, cira_abi_front_t *front) {
  chain_t *c = &s->chain;
  if (!c->started) {
    c->started = true;
    if (c->head != NULL) {
      go_to(s, front, c->head);
      return;
    }
    end_here(s, front);
  }
  cira__misuse("peek_stream: past the end of the chain stream %p; stop at the "
               "null link",
               (const void *)s);
}

void cira__chain_skip(cira_stream_t *s, cira_abi_front_t *front) {
  chain_t *c = &s->chain;
  if (c->started) {
    return; /* at the end */
  }
  c->started = true;
  if (c->head == NULL) {
    end_here(s, front);
    return;
  }
  go_to(s, front, c->head);
  cira__chain_next(
      s, front,
      *(const void *const *)(const void *)(front->data + c->link_offset));
}

void cira__chain_next(cira_stream_t *s, cira_abi_front_t *front,
                      const void *next) {
  chain_t *c = &s->chain;
  if (c->ended) {
    return;
  }
  if (!c->started) {
    cira__chain_skip(s, front);
    return;
  }
  const jump_entry_t *known =
      jump_follow(&c->jump, next, c->node_bytes, JUMP_WINDOW);
  if (CIRA_LIKELY(known != NULL)) {
    c->previous = front->cur;
    c->first = next;
    *front = (cira_abi_front_t){.data = (uint8_t *)(uintptr_t)known->data,
                                .cur = (uint8_t *)(uintptr_t)next,
                                .left = 1};
    return;
  }
  /* What compiled code has walked over since the last call. */
  const uint8_t *p = next, *cur = front->cur;
  uint64_t walked = 1;
  if (front->step > 0) {
    walked += (uint64_t)(cur - c->first) / (uint64_t)front->step;
  }
  cira__jump_note(&c->jump, c->first, front->step, walked);
  if (p == NULL) {
    end_here(s, front);
    return;
  }
  bool used_up = front->left == 1 && front->step > 0 && p == cur + front->step;
  c->run_pages =
      used_up ? (uint32_t)cira__min_u64(c->run_pages * 2ull, RUN_PAGES) : 1;
  c->previous = cur;
  go_to(s, front, p);
}

void cira__chain_close(cira_stream_t *s) {
  chain_t *c = &s->chain;
  pages_close(c);
  if (!c->ended) {
    c->ended = true;
    cira__jump_close(&c->jump, false);
  }
}
