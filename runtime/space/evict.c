/* SPDX-License-Identifier: Apache-2.0
 *
 * The local budget and the clock. Pages are freed ahead of need, many at a
 * time: the hand walks the range in address order, so that one clock step is
 * one window of neighbouring pages, and the kernel work of a step (what was
 * written, unmapping) is a few calls for the whole window.
 *
 * The hardware's accessed bits are out of reach of a user-space pager. Second
 * chances go to what the pager can see: pages that come back within a round of
 * the clock, the more the oftener they do. What a stream has passed goes before
 * all others (passed.c).
 *
 * One thread evicts at a time (evict_lock).
 */
#include "space/space_internal.h"

#include <sched.h>
#include <string.h>

/* ---- budget ------------------------------------------------------------- */

bool cira__try_reserve(cira_space_t *s, uint64_t n) {
  int64_t free = atomic_load(&s->free_pages);
  do {
    if (free < (int64_t)n) {
      return false;
    }
  } while (
      !atomic_compare_exchange_weak(&s->free_pages, &free, free - (int64_t)n));
  return true;
}

void cira__release(cira_space_t *s, uint64_t n) {
  atomic_fetch_add(&s->free_pages, (int64_t)n);
}

void cira__reserve(cira_space_t *s, uint64_t n) {
  if (CIRA_LIKELY(cira__try_reserve(s, n))) {
    return;
  }
  uint64_t until = cira__now_ns() + s->opt.deadline_ns;
  do {
    cira__evict(s, n, true, NULL);
    if (cira__try_reserve(s, n)) {
      return;
    }
    sched_yield();
  } while (cira__now_ns() < until);
  cira__die("the local cache of %lu bytes is too small: for %lu s all of its "
            "pages have been in use by system calls; give more with --local "
            "or CIRA_LOCAL",
            (unsigned long)s->opt.local_bytes,
            (unsigned long)(s->opt.deadline_ns / 1000000000u));
}

/* ---- one clock step ----------------------------------------------------- */

/* Chooses victims. With several threads absent pages are claimed as well (the
 * holes), so that none appears in the middle of a run while it is taken. */
static uint32_t claim(cira_space_t *s, taken_t *t, uint32_t *old, bool forced,
                      page_set_t *holes) {
  bool alone = single_threaded(s);
  uint32_t count = 0;
  for (uint32_t i = 0; i < t->n; i++) {
    word_t *word = &s->words[t->first + i];
    uint32_t w = atomic_load_explicit(word, memory_order_relaxed);
    uint32_t state = state_of(w);
    bool absent = state == PAGE_EMPTY || state == PAGE_HOME;
    if (absent && alone) {
      set_add(&t->quiet, i);
    } else if (absent || (state == PAGE_MAPPED && (w & W_PINS) == 0)) {
      if (!absent && (w & W_CREDIT) != 0 && !forced) {
        if (atomic_compare_exchange_strong(word, &w, w - W_CREDIT_ONE)) {
          STAT_ADD(s, second_chances, 1);
        }
        continue;
      }
      if (!atomic_compare_exchange_strong(word, &w,
                                          (w & ~W_STATE) | PAGE_BUSY)) {
        continue;
      }
      old[i] = w;
      if (absent) {
        set_add(&t->quiet, i);
        set_add(holes, i);
      } else {
        set_add(&t->set, i);
        count++;
      }
    }
  }
  return count;
}

static void put_back(cira_space_t *s, uint64_t page, uint32_t old) {
  cira__word_publish(s, page, old, state_of(old) != PAGE_HOME);
}

/* Writes back what changed; `word` becomes what the page is afterwards. */
static void write_back(cira_space_t *s, const taken_t *t, uint32_t *word,
                       lane_t *held) {
  uint32_t epoch = atomic_load_explicit(&s->epoch, memory_order_relaxed);
  for (uint32_t i = 0; i < t->n; i++) {
    if (!set_has(&t->set, i)) {
      continue;
    }
    uint64_t page = t->first + i;
    uint32_t keep = word[i] & (W_BACKED | W_REGION);
    if (set_has(&t->dirty, i) || (word[i] & W_DIRTY) != 0) {
      keep = cira__home_write(s, page, word[i], t->content[i], held);
    } else {
      STAT_ADD(s, pages_dropped, 1);
    }
    cira__delta_forget(s, page);
    word[i] = (keep & W_BACKED) != 0 ? PAGE_HOME | keep | (word[i] & W_HEAT) |
                                           (epoch << W_PIN_SHIFT)
                                     : PAGE_EMPTY;
  }
}

uint32_t cira__evict_window(cira_space_t *s, uint64_t first, uint32_t n,
                            bool forced, lane_t *held) {
  taken_t *t = &s->taken; /* evict_lock is held */
  uint32_t old[WINDOW_PAGES];
  page_set_t holes = {{0}};
  t->first = first;
  t->n = n;
  t->block_count = 0;
  memset(&t->set, 0, sizeof t->set);
  memset(&t->quiet, 0, sizeof t->quiet);
  memset(&t->dirty, 0, sizeof t->dirty);
  memset(&t->in_place, 0, sizeof t->in_place);
  t->any_aside = false;
  uint32_t freed = 0;
  if (claim(s, t, old, forced, &holes) > 0) {
    page_set_t wanted = t->set;
    s->map->take(s, t);
    write_back(s, t, old, held);
    s->map->drop(s, t);
    for (uint32_t i = 0; i < n; i++) {
      if (set_has(&t->set, i)) {
        cira__word_publish(s, first + i, old[i], false);
        freed++;
      } else if (set_has(&wanted, i)) {
        put_back(s, first + i, old[i]);
      }
    }
  }
  for (uint32_t i = 0; i < n; i++) {
    if (set_has(&holes, i)) {
      put_back(s, first + i, old[i]);
    }
  }
  if (s->map->wake != NULL) {
    s->map->wake(s, first, n);
  }
  if (freed > 0) {
    atomic_fetch_sub(&s->chunk_resident[first / CHUNK_PAGES], (uint16_t)freed);
    STAT_SUB(s, resident_pages, freed);
    cira__release(s, freed);
  }
  return freed;
}

/* ---- native chunks ------------------------------------------------------ */

/* From here on missing pages of the chunk come to us; what the kernel has
 * filled so far counts as dirty, the rest of the charge is returned. */
void cira__chunk_manage(cira_space_t *s, uint64_t chunk) {
  uint64_t present[CHUNK_PAGES / 64] = {0};
  uint64_t first = chunk * CHUNK_PAGES;
  uint32_t count = 0;
  atomic_store_explicit(&s->any_managed, true, memory_order_release);
  atomic_store(&s->chunk_state[chunk], CHUNK_TURNING);
  s->map->manage(s, chunk, present);
  for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
    if ((present[i >> 6] >> (i & 63)) & 1) {
      cira__word_publish(s, first + i, PAGE_MAPPED | W_DIRTY, true);
      count++;
    }
  }
  atomic_fetch_add(&s->chunk_resident[chunk], (uint16_t)count);
  STAT_ADD(s, resident_pages, count);
  STAT_SUB(s, native_pages, CHUNK_PAGES);
  atomic_store_explicit(&s->chunk_state[chunk], CHUNK_MANAGED,
                        memory_order_release);
  cira__release(s, CHUNK_PAGES - count);
}

/* ---- the clock ---------------------------------------------------------- */

static void hand_wrap(cira_space_t *s) {
  s->hand_page = 0;
  atomic_fetch_add(&s->epoch, 1);
}

static void sweep(cira_space_t *s, int64_t target, lane_t *held) {
  uint64_t top = cira__align_up(atomic_load(&s->top_page), CHUNK_PAGES);
  uint32_t wraps = 0;
  while (atomic_load(&s->free_pages) < target) {
    if (s->hand_page >= top) {
      hand_wrap(s);
      if (++wraps > 17) { /* each credit has been used up: all is pinned */
        return;
      }
    }
    uint64_t chunk = s->hand_page / CHUNK_PAGES;
    uint8_t kind = atomic_load(&s->chunk_state[chunk]);
    if (kind == CHUNK_NATIVE) {
      cira__chunk_manage(s, chunk);
      continue;
    }
    if (kind != CHUNK_MANAGED || atomic_load(&s->chunk_resident[chunk]) == 0) {
      s->hand_page = (chunk + 1) * CHUNK_PAGES;
      continue;
    }
    cira__evict_window(s, s->hand_page, WINDOW_PAGES, false, held);
    s->hand_page += WINDOW_PAGES;
  }
}

void cira__evict(cira_space_t *s, uint64_t want, bool block, lane_t *held) {
  if (block) {
    cira__lock(&s->evict_lock);
  } else if (!cira__trylock(&s->evict_lock)) {
    return;
  }
  int64_t target = (int64_t)want + s->low_pages;
  int64_t batch = (int64_t)s->batch_pages;
  target = target > batch ? target : batch;
  if (target > (int64_t)s->local_pages) {
    target = (int64_t)s->local_pages;
  }
  if (atomic_load(&s->free_pages) < target) {
    uint64_t t0 = cira__now_ns();
    cira__passed_evict(s, target, held);
    sweep(s, target, held);
    STAT_ADD(s, evictions, 1);
    STAT_ADD(s, evict_ns, cira__now_ns() - t0);
  }
  cira__unlock(&s->evict_lock);
}

/* Empties the cache: every page home, every chunk managed. */
void cira__evict_all(cira_space_t *s) {
  cira__lock(&s->evict_lock);
  uint64_t top = cira__align_up(atomic_load(&s->top_page), CHUNK_PAGES);
  for (uint64_t page = 0; page < top; page += WINDOW_PAGES) {
    uint64_t chunk = page / CHUNK_PAGES;
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_NATIVE) {
      cira__chunk_manage(s, chunk);
    }
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_MANAGED) {
      cira__evict_window(s, page, WINDOW_PAGES, true, NULL);
    }
  }
  cira__unlock(&s->evict_lock);
}
