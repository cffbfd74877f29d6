/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages that a stream has passed: whoever passes through memory says what lies
 * behind it, and when room is needed these pages go before the clock takes any
 * other. Saying so costs no system call, and nothing if there is room: the
 * pages stay until then.
 *
 * What was said is a run of pages, in order; neighbours are one run. A run that
 * is older than a round of the clock says nothing any more: the pages may have
 * found another use. Nor do pages that came back again and again go (credit).
 *
 * Threads: any. The lock is only tried: the fault of a signal handler may come
 * in the middle, and a run that is lost leaves its pages to the clock.
 */
#include "space/space_internal.h"

/* The run that ends or begins where this one begins or ends; or none. */
static passed_run_t *neighbour(cira_space_t *s, uint64_t first, uint64_t end) {
  for (uint32_t i = 0; i < s->passed.count; i++) {
    passed_run_t *run = &s->passed.run[i];
    if (run->end == first || run->first == end) {
      return run;
    }
  }
  return NULL;
}

static void forget_first(cira_space_t *s) {
  s->passed.count--;
  for (uint32_t i = 0; i < s->passed.count; i++) {
    s->passed.run[i] = s->passed.run[i + 1];
  }
}

void cira__passed_add(cira_space_t *s, uint64_t page, uint64_t n) {
  uint32_t epoch = atomic_load_explicit(&s->epoch, memory_order_relaxed);
  if (n == 0 || !cira__trylock(&s->passed.lock)) {
    return;
  }
  passed_run_t *run = neighbour(s, page, page + n);
  if (run == NULL) {
    if (s->passed.count == PASSED_RUNS) {
      forget_first(s);
    }
    run = &s->passed.run[s->passed.count++];
    *run = (passed_run_t){.first = page, .end = page};
  }
  run->down = page < run->first;
  run->first = cira__min_u64(run->first, page);
  run->end = cira__max_u64(run->end, page + n);
  run->epoch = epoch;
  cira__unlock(&s->passed.lock);
}

/* The pages of the oldest run that were passed first, of one window of the
 * clock; false: there are none. */
static bool take(cira_space_t *s, uint64_t *out_page, uint32_t *out_n) {
  uint32_t epoch = atomic_load_explicit(&s->epoch, memory_order_relaxed);
  bool found = false;
  if (!cira__trylock(&s->passed.lock)) {
    return false;
  }
  while (!found && s->passed.count > 0) {
    passed_run_t *run = &s->passed.run[0];
    found = run->first < run->end && epoch - run->epoch <= 1;
    if (!found) {
      forget_first(s);
    } else if (run->down) {
      uint64_t low = (run->end - 1) / WINDOW_PAGES * WINDOW_PAGES;
      *out_page = cira__max_u64(low, run->first);
      *out_n = (uint32_t)(run->end - *out_page);
      run->end = *out_page;
    } else {
      uint64_t high = (run->first / WINDOW_PAGES + 1) * WINDOW_PAGES;
      *out_page = run->first;
      *out_n = (uint32_t)(cira__min_u64(high, run->end) - run->first);
      run->first += *out_n;
    }
  }
  cira__unlock(&s->passed.lock);
  return found;
}

void cira__passed_evict(cira_space_t *s, int64_t target, lane_t *held) {
  uint64_t page;
  uint32_t n;
  while (atomic_load(&s->free_pages) < target && take(s, &page, &n)) {
    uint64_t chunk = page / CHUNK_PAGES;
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_NATIVE) {
      cira__chunk_manage(s, chunk);
    }
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_MANAGED) {
      uint32_t gone = cira__evict_window(s, page, n, false, held);
      STAT_ADD(s, pages_passed, gone);
    }
  }
}

void cira_space_passed(cira_space_t *s, const void *p, uint64_t bytes) {
  if (s == NULL || !cira_space_contains(p)) {
    return;
  }
  uint64_t in_page = (uint64_t)(uintptr_t)p & (CIRA_PAGE_BYTES - 1);
  uint64_t first = page_of(s, p) + (in_page != 0);
  uint64_t skipped = (CIRA_PAGE_BYTES - in_page) & (CIRA_PAGE_BYTES - 1);
  uint64_t whole = bytes > skipped ? (bytes - skipped) >> CIRA_PAGE_LOG2 : 0;
  uint64_t top = atomic_load_explicit(&s->top_page, memory_order_relaxed);
  if (first < top) {
    cira__passed_add(s, first, cira__min_u64(whole, top - first));
  }
}
