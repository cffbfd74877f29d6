/* SPDX-License-Identifier: Apache-2.0
 *
 * Lending pages to who works on them at home (kernels of a memory server).
 * Before: what is dirty goes home and the copies here are dropped. Pages that
 * may be written there stay BUSY until they are returned, so whoever touches
 * one waits; nothing here can be taken for the newer content meanwhile, also
 * not by an eviction that compares with what is at home. Afterwards their
 * content is what is at home, whatever it was before.
 *
 * Invariant: claims of one call are made in ascending order of pages, over
 * merged ranges, so two lenders never wait for each other in a circle. The gate
 * is held from lend to return: a fork waits for the pages.
 */
#include "space/space_internal.h"

#include <sched.h>
#include <string.h>

#define LEND_TRIES_NS UINT64_C(1000000000) /* 1 s for a pin to go */

typedef struct {
  uint64_t first, end;
} run_t;

/* Pages of the ranges that are lent for writing (or, with `all`, of each), in
 * order, without overlaps. */
static uint32_t merge(const cira_space_t *s, const cira_space_lend_t *range,
                      uint32_t count, bool all, run_t *out) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (!all && !range[i].write) {
      continue;
    }
    const uint8_t *p = range[i].at;
    run_t r = {page_of(s, p), page_of(s, p + range[i].bytes - 1) + 1};
    uint32_t k = n++;
    for (; k > 0 && out[k - 1].first > r.first; k--) {
      out[k] = out[k - 1];
    }
    out[k] = r;
  }
  uint32_t merged = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (merged > 0 && out[i].first <= out[merged - 1].end) {
      out[merged - 1].end = cira__max_u64(out[merged - 1].end, out[i].end);
    } else {
      out[merged++] = out[i];
    }
  }
  return merged;
}

static cira_status_t range_check(cira_space_t *s, const cira_space_lend_t *r) {
  uint64_t top = atomic_load(&s->top_page);
  uint64_t offset = (uint64_t)(uintptr_t)r->at - s->base;
  bool ok = r->bytes > 0 && cira_space_contains(r->at) &&
            cira__range_ok(offset, r->bytes, top << CIRA_PAGE_LOG2);
  for (uint64_t chunk = offset >> CHUNK_LOG2;
       ok && chunk <= (offset + r->bytes - 1) >> CHUNK_LOG2; chunk++) {
    ok = atomic_load(&s->chunk_state[chunk]) != CHUNK_UNUSED;
  }
  return ok ? CIRA_OK
            : cira__fail(CIRA_E_RANGE,
                         "%llu bytes at %p are not allocated far memory",
                         (unsigned long long)r->bytes, r->at);
}

static void evict_run(cira_space_t *s, run_t run) {
  cira__lock(&s->evict_lock);
  while (run.first < run.end) {
    uint64_t chunk = run.first / CHUNK_PAGES;
    uint64_t here = cira__min_u64(run.end - run.first,
                                  WINDOW_PAGES - run.first % WINDOW_PAGES);
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_NATIVE) {
      cira__chunk_manage(s, chunk);
    }
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_MANAGED &&
        atomic_load(&s->chunk_resident[chunk]) != 0) {
      cira__evict_window(s, run.first, (uint32_t)here, true, NULL);
    }
    run.first += here;
  }
  cira__unlock(&s->evict_lock);
}

/* What was at home before a fork is in a region that is shared with a relative,
 * or was; who works at home works in ours. The page is claimed. */
static void page_move(cira_space_t *s, uint64_t page, uint32_t word) {
  uint8_t content[CIRA_PAGE_BYTES];
  uint32_t region = s->current_region;
  cira__home_read(s, region_of(word), page, 1, content, NULL);
  cira__home_write_whole(s, region, page, content, NULL);
  word = (word & ~(W_REGION | W_WAITERS)) | region << W_REGION_SHIFT;
  cira__word_publish(s, page, word, false);
}

/* Brings one page home, whatever it is doing, and with `claim` makes it ours.
 */
static cira_status_t page_settle(cira_space_t *s, uint64_t page, bool claim,
                                 uint64_t deadline_ns) {
  for (;;) {
    uint32_t w = atomic_load(&s->words[page]);
    uint32_t state = state_of(w);
    bool home = state == PAGE_HOME ||
                (state == PAGE_EMPTY && (w & W_PINS) == 0); /* else pinned */
    if (state == PAGE_HOME && region_of(w) != s->current_region) {
      if (atomic_compare_exchange_strong(&s->words[page], &w,
                                         (w & ~W_STATE) | PAGE_BUSY)) {
        page_move(s, page, w);
      }
      continue;
    }
    if (home &&
        (!claim || atomic_compare_exchange_strong(
                       &s->words[page], &w, (w & ~W_STATE) | PAGE_BUSY))) {
      return CIRA_OK;
    }
    if (home) {
      continue;
    }
    if (state == PAGE_BUSY) {
      cira__word_wait(s, page, w); /* perhaps lent by somebody else */
      continue;
    }
    if (state == PAGE_LOADING) {
      lane_t *lane = lane_of(s, page);
      cira__lock(&lane->lock);
      cira__ahead_complete(s, lane);
      cira__unlock(&lane->lock);
      continue;
    }
    if ((w & W_PINS) != 0 && cira__now_ns() >= deadline_ns) {
      return cira__fail(CIRA_E_BUSY,
                        "a system call uses the far page at %p; call when it "
                        "has returned",
                        (void *)page_addr(s, page));
    }
    evict_run(s, (run_t){page, page + 1});
    sched_yield();
  }
}

/* Undoes claims: the pages are as they were. */
static void unclaim(cira_space_t *s, uint64_t first, uint64_t end) {
  for (uint64_t page = first; page < end; page++) {
    uint32_t w = atomic_load(&s->words[page]);
    uint32_t state = (w & W_BACKED) != 0 ? PAGE_HOME : PAGE_EMPTY;
    cira__word_publish(s, page, (w & ~W_STATE) | state, false);
  }
}

static cira_status_t claim_runs(cira_space_t *s, const run_t *run,
                                uint32_t count) {
  uint64_t deadline_ns = cira__now_ns() + LEND_TRIES_NS;
  for (uint32_t i = 0; i < count; i++) {
    for (uint64_t page = run[i].first; page < run[i].end; page++) {
      cira_status_t status = page_settle(s, page, true, deadline_ns);
      if (status != CIRA_OK) {
        unclaim(s, run[i].first, page);
        while (i-- > 0) {
          unclaim(s, run[i].first, run[i].end);
        }
        return status;
      }
    }
  }
  return CIRA_OK;
}

static cira_status_t lend(cira_space_t *s, const cira_space_lend_t *range,
                          uint32_t count) {
  run_t run[CIRA_SPACE_LEND_MAX];
  cira_status_t status = CIRA_OK;
  for (uint32_t i = 0; i < count && status == CIRA_OK; i++) {
    status = range_check(s, &range[i]);
  }
  if (status != CIRA_OK) {
    return status;
  }
  uint32_t runs = merge(s, range, count, true, run);
  uint64_t deadline_ns = cira__now_ns() + LEND_TRIES_NS;
  for (uint32_t i = 0; i < runs; i++) {
    evict_run(s, run[i]);
    for (uint64_t page = run[i].first; page < run[i].end && status == CIRA_OK;
         page++) {
      status = page_settle(s, page, false, deadline_ns);
    }
  }
  if (status == CIRA_OK) {
    runs = merge(s, range, count, false, run);
    status = claim_runs(s, run, runs);
  }
  if (status == CIRA_OK) {
    cira__home_drain(s); /* other connections see what this one wrote */
  }
  return status;
}

cira_status_t cira_space_lend(cira_space_t *s, const cira_space_lend_t *range,
                              uint32_t count) {
  if (count > CIRA_SPACE_LEND_MAX) {
    return cira__fail(CIRA_E_RANGE, "%u ranges of far memory; at most %u",
                      count, CIRA_SPACE_LEND_MAX);
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  cira_status_t status = lend(s, range, count);
  if (status != CIRA_OK) {
    cira__pager_leave(s);
  }
  cira__signals_restore(saved);
  return status;
}

void cira_space_return(cira_space_t *s, const cira_space_lend_t *range,
                       uint32_t count) {
  run_t run[CIRA_SPACE_LEND_MAX];
  uint64_t saved = cira__signals_block();
  uint32_t runs = merge(s, range, count, false, run);
  uint32_t word = PAGE_HOME | W_BACKED | s->current_region << W_REGION_SHIFT;
  for (uint32_t i = 0; i < runs; i++) {
    for (uint64_t page = run[i].first; page < run[i].end; page++) {
      cira__word_publish(s, page, word, false);
    }
    if (s->map->wake != NULL) {
      s->map->wake(s, run[i].first, run[i].end - run[i].first);
    }
  }
  cira__pager_leave(s);
  cira__signals_restore(saved);
}

cira_status_t cira_space_home(cira_space_t *s, cira_space_home_t *out) {
  if ((s->lanes[0].fabric->flags & CIRA_FABRIC_F_REMOTE) == 0) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "far memory is at %s, which is no memory server", s->url);
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  lane_t *lane = &s->lanes[0];
  cira__lock(&lane->lock);
  cira_status_t status = lane->fabric->ops->region_ticket(
      lane->fabric, s->regions[s->current_region].handle[0], &out->ticket);
  out->base = s->base;
  out->bytes = s->bytes;
  out->serial = s->region_serial;
  cira__unlock(&lane->lock);
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return status;
}

uint32_t cira_space_home_serial(const cira_space_t *s) {
  return s->region_serial;
}

const char *cira_space_url(const cira_space_t *s) {
  return s->url;
}

const char *cira_space_token_file(const cira_space_t *s) {
  return s->opt.token_file;
}
