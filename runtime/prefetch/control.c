/* SPDX-License-Identifier: Apache-2.0
 *
 * What programs say about memory that they will use (cira/prefetch.h), and what
 * the controllers have settled on. Each site has a controller of its own, as
 * the pager has one and each stream (space/control.h); what a stream settled on
 * is where the next one starts.
 */
#include "prefetch/profile.h"
#include "prefetch/stream_internal.h"

#include <string.h>

#define BATCHES_DEFAULT 6u /* about 100 elements */
#define PAGES 64u          /* addresses handed over at once */
#define SITE_PAGES 16u     /* how far a site asks at first */
#define SITE_MIN 4u
#define SITE_MAX 256u
#define SITE_STEP 64u             /* pages between two looks */
#define NEAR_LINES 8u             /* ahead in near memory, when nobody says */
#define REACH (UINT64_C(1) << 40) /* 1 TiB: further is no distance */

_Static_assert(CIRA__PREFETCH_BATCHES_MAX == BATCHES - 2, "as batch.c can");

/* ---- hints -------------------------------------------------------------- */

void cira_prefetch_range(const void *p, uint64_t bytes) {
  if (bytes > 0) {
    cira_prefetch_array(p, 1, 1, (int64_t)cira__min_u64(bytes, INT64_MAX));
  }
}

void cira_prefetch_strided(const void *base, int64_t stride_bytes,
                           uint64_t count, uint64_t element_bytes) {
  cira_prefetch_array(base, stride_bytes,
                      (int64_t)cira__min_u64(count, INT64_MAX),
                      (int64_t)cira__min_u64(element_bytes, INT64_MAX));
}

void cira_prefetch_batch(const void *const *addresses, uint64_t count) {
  const void *away[PAGES];
  uint32_t n = 0;
  uint64_t most = cira_far_local_pages() / 8;
  for (uint64_t i = 0; addresses != NULL && i < count; i++) {
    const void *p = addresses[i];
    if (p == NULL) {
      continue;
    }
    if (!cira_far_is_far(p) || cira_far_is_here(p)) {
      __builtin_prefetch(p);
      continue;
    }
    if (!cira_far_is_usable(p) || most == 0) {
      continue;
    }
    most--;
    away[n++] = p;
    if (n == PAGES) {
      cira_space_prefetch_many(cira__far.space, away, n);
      n = 0;
    }
  }
  cira_space_prefetch_many(cira__far.space, away, n);
}

uint64_t cira_prefetch_list(const void *first, uint64_t next_offset,
                            uint64_t node_bytes, uint64_t count) {
  if (node_bytes < sizeof(void *) || node_bytes > INT32_MAX ||
      next_offset > node_bytes - sizeof(void *)) {
    return 0;
  }
  return cira_prefetch_nodes((const void *)&first, (int64_t)next_offset,
                             (int64_t)cira__min_u64(count, INT64_MAX),
                             (int64_t)node_bytes);
}

void cira_prefetch_done(const void *p, uint64_t bytes) {
  cira_prefetch_done_with(p, (int64_t)cira__min_u64(bytes, INT64_MAX));
}

/* ---- sites -------------------------------------------------------------- */

typedef struct {
  cira_prefetch_site_t *seen;
  cira_control_t control;
  cira_control_input_t count; /* since the last look */
  uint64_t at_ns;             /* of it */
  int64_t stride;
} site_t;
_Static_assert(sizeof(site_t) <= sizeof(((cira_prefetch_site_t *)0)->reserved),
               "what we keep in a caller's site");

static site_t *site_of(cira_prefetch_site_t *s) {
  site_t *own = (site_t *)(void *)s->reserved;
  if (own->control.max == 0) {
    uint64_t room = cira_far_local_pages() / 16;
    cira_control_init(
        &own->control, SITE_PAGES, SITE_MIN,
        (uint32_t)cira__min_u64(SITE_MAX, cira__max_u64(room, SITE_MIN)));
    own->at_ns = cira__now_ns();
    s->distance = own->control.window;
  }
  return own;
}

/* The walk came to a page; was what we asked for of use? */
static void site_count(cira_prefetch_site_t *s, site_t *own, const void *p,
                       bool was_asked) {
  s->pages++;
  if (was_asked && cira_far_is_here(p)) {
    own->count.used++;
  } else if (was_asked) {
    own->count.refaults++; /* it came too early */
    s->gone++;
  }
  if (s->pages % SITE_STEP != 0) {
    return;
  }
  uint64_t now_ns = cira__now_ns();
  own->count.interval_ns = now_ns - own->at_ns;
  uint32_t before = own->control.window;
  (void)cira_control_step(&own->control, &own->count);
  s->changes += own->control.window != before;
  s->distance = own->control.window;
  own->count = (cira_control_input_t){0};
  own->at_ns = now_ns;
}

/* Asks for what lies between what was asked for and `bytes` ahead. */
static void site_ask(cira_prefetch_site_t *s, site_t *own, uint64_t at,
                     uint64_t bytes) {
  bool up = own->stride > 0;
  uint64_t step = up ? (uint64_t)own->stride : 0 - (uint64_t)own->stride;
  uint64_t had = up ? s->asked - at : at - s->asked;
  uint64_t more = bytes - had;
  uint64_t pages = more / CIRA_PAGE_BYTES + 1;
  uint64_t t0 = cira__now_ns();
  if (step <= CIRA_PAGE_BYTES / 4) { /* every page on the way */
    uint64_t low = up ? s->asked : s->asked - cira__min_u64(more, s->asked);
    cira_prefetch_range((const void *)(uintptr_t)low, more);
  } else {
    pages = more / step + 1;
    cira_prefetch_strided((const void *)(uintptr_t)s->asked, own->stride, pages,
                          1);
    more = pages * step;
  }
  uint64_t spent_ns = cira__now_ns() - t0;
  s->wait_ns += spent_ns;
  own->count.stall_ns += spent_ns;
  own->count.ahead += pages;
  own->count.fetched += pages;
  s->asked = up ? s->asked + more : s->asked - cira__min_u64(more, s->asked);
}

void cira_prefetch_adaptive(cira_prefetch_site_t *s, const void *address,
                            int64_t stride_bytes, uint64_t distance) {
  uint64_t at = (uint64_t)(uintptr_t)address;
  if (s == NULL || stride_bytes == 0 || stride_bytes == INT64_MIN) {
    return;
  }
  uint64_t step =
      stride_bytes > 0 ? (uint64_t)stride_bytes : (uint64_t)-stride_bytes;
  if (!cira_far_any_managed() || !cira_far_is_far(address)) {
    uint64_t ahead;
    if (distance == 0) {
      distance = NEAR_LINES * CIRA_LINE_BYTES / step + 1;
    }
    if (cira__mul_ok(distance, step, &ahead)) {
      __builtin_prefetch((
          const void *)(uintptr_t)(stride_bytes > 0 ? at + ahead : at - ahead));
    }
    return;
  }
  if (at >> CIRA_PAGE_LOG2 == s->page && s->asked != 0) {
    return;
  }
  site_t *own = site_of(s);
  bool up = stride_bytes > 0;
  bool was_asked = s->asked != 0 && own->stride == stride_bytes &&
                   (up ? at < s->asked : at > s->asked) &&
                   (up ? s->asked - at : at - s->asked) <= REACH;
  s->page = at >> CIRA_PAGE_LOG2;
  own->stride = stride_bytes;
  if (!was_asked) { /* the beginning, or a jump */
    s->asked = at;
  }
  site_count(s, own, address, was_asked);
  uint64_t bytes = (uint64_t)own->control.window * CIRA_PAGE_BYTES;
  if (step > CIRA_PAGE_BYTES) { /* a page for each element */
    bytes = cira__mul_ok(own->control.window, step, &bytes) ? bytes : REACH;
  }
  if (distance != 0) {
    bytes = cira__mul_ok(distance, step, &bytes) ? bytes : REACH;
  }
  bytes = cira__min_u64(bytes, REACH);
  uint64_t had = up ? s->asked - at : at - s->asked;
  if (had <= bytes / 2) {
    site_ask(s, own, at, bytes);
  }
}

/* ---- what the controllers have settled on ------------------------------- */

_Atomic uint32_t cira__batches_start = BATCHES_DEFAULT;

cira_status_t cira_prefetch_settings_get(cira_prefetch_settings_t *out) {
  if (out == NULL || out->size != sizeof(*out)) {
    return cira__fail(CIRA_E_INVALID,
                      "prefetch_settings_get: out is NULL, or out->size is not "
                      "that of the struct");
  }
  *out = (cira_prefetch_settings_t){
      .size = sizeof(*out),
      .window_pages = cira__space != NULL ? cira_space_window(cira__space) : 64,
      .batches = atomic_load(&cira__batches_start)};
  return CIRA_OK;
}

cira_status_t cira_prefetch_settings_set(const cira_prefetch_settings_t *s) {
  if (s == NULL || s->size != sizeof(*s)) {
    return cira__fail(CIRA_E_INVALID,
                      "prefetch_settings_set: settings is NULL, or its size is "
                      "not that of the struct");
  }
  if (s->window_pages > CIRA__PREFETCH_WINDOW_MAX ||
      s->batches > CIRA__PREFETCH_BATCHES_MAX) {
    return cira__fail(CIRA_E_RANGE,
                      "prefetch_settings_set: %u pages, %u batches; at most %u "
                      "and %u",
                      s->window_pages, s->batches, CIRA__PREFETCH_WINDOW_MAX,
                      CIRA__PREFETCH_BATCHES_MAX);
  }
  if (s->window_pages != 0 && cira__space != NULL) {
    cira_space_window_set(cira__space, s->window_pages);
  }
  if (s->batches != 0) {
    atomic_store(&cira__batches_start, s->batches);
  }
  return CIRA_OK;
}
