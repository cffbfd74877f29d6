/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements at a fixed step. Where bytes can be read in place or at home, runs
 * of pages are handed out without a copy. Over requests, whole pages travel
 * into a ring of frames, in the order in which the elements need them, half a
 * ring ahead of use. An element across a border of runs is put together in a
 * buffer.
 */
#include "prefetch/stream_internal.h"

#define FAR_STEP                                                               \
  1024 /* bytes; further apart, lines are asked for one by one                 \
        */
#define LINE_DISTANCE 24

static inline uint64_t address_of(const source_t *src, int64_t k) {
  return (uint64_t)(uintptr_t)src->first + (uint64_t)(k * src->step);
}

void cira__source_open(source_t *src, const void *first, int64_t step,
                       int64_t count, uint32_t bytes) {
  src->first = first;
  src->step = step;
  src->count = count;
  src->bytes = bytes;
  src->run = (cira_far_run_t){0};
}

/* ---- frames ---------------------------------------------------------------
 */

/* The pages of element k, in the order of the walk. */
static void pages_of(const source_t *src, int64_t k, uint64_t *out_first,
                     uint64_t *out_last) {
  uint64_t at = address_of(src, k);
  uint64_t low = at >> CIRA_PAGE_LOG2;
  uint64_t high = (at + src->bytes - 1) >> CIRA_PAGE_LOG2;
  *out_first = src->step >= 0 ? low : high;
  *out_last = src->step >= 0 ? high : low;
}

/* The page to ask for next; false at the end. */
static bool page_next(const source_t *src, ring_t *ring, uint64_t *out) {
  while (ring->gen_k < src->count) {
    uint64_t first, last;
    pages_of(src, ring->gen_k, &first, &last);
    if (ring->gen_fresh) {
      ring->gen_fresh = false;
      ring->last_page = first;
      *out = first;
      return true;
    }
    bool forward = src->step >= 0;
    if (forward ? last > ring->last_page : last < ring->last_page) {
      uint64_t beside = forward ? ring->last_page + 1 : ring->last_page - 1;
      bool gap = forward ? first > beside : first < beside;
      ring->last_page = gap ? first : beside;
      *out = ring->last_page;
      return true;
    }
    /* This element's pages are asked for; small steps skip many at once. */
    uint64_t step = (uint64_t)(src->step >= 0 ? src->step : -src->step);
    if (step == 0) {
      ring->gen_k = src->count;
      break;
    }
    uint64_t at = address_of(src, ring->gen_k);
    uint64_t border = forward ? (ring->last_page + 1) << CIRA_PAGE_LOG2
                              : ring->last_page << CIRA_PAGE_LOG2;
    uint64_t room = forward ? border - (at + src->bytes) : at - border;
    ring->gen_k += (int64_t)(room / step) + 1;
  }
  return false;
}

static frame_t *frame_at(ring_t *ring, uint32_t i) {
  return &ring->frame[(ring->tail + i) % ring->frames];
}

static uint8_t *frame_memory(ring_t *ring, const frame_t *f) {
  return ring->memory + (uint64_t)(f - ring->frame) * CIRA_PAGE_BYTES;
}

static void ring_fill(const source_t *src, ring_t *ring) {
  cira_far_read_t *reads[RING_FRAMES];
  uint32_t count = 0;
  uint64_t page;
  while (ring->used < ring->frames && page_next(src, ring, &page)) {
    frame_t *f = frame_at(ring, ring->used++);
    f->page = page;
    f->read = (cira_far_read_t){
        .from = (const void *)(uintptr_t)(page << CIRA_PAGE_LOG2),
        .to = frame_memory(ring, f),
        .bytes = CIRA_PAGE_BYTES};
    reads[count++] = &f->read;
  }
  if (count > 0) {
    cira_far_read_begin(reads, count);
  }
}

static void frame_settle(frame_t *f) {
  if (f->read.state == CIRA_FAR_READ_POSTED) {
    cira_far_read_wait(&f->read);
    if (f->read.state != CIRA_FAR_READ_DONE) {
      f->read.state = CIRA_FAR_READ_PLAIN;
    }
  }
}

static void ring_drop(ring_t *ring) {
  frame_settle(frame_at(ring, 0)); /* nothing may arrive in a frame reused */
  ring->tail = (ring->tail + 1) % ring->frames;
  ring->used--;
}

/* Where the bytes of a page of element k are; the page may be any of them. */
static const uint8_t *ring_page(const source_t *src, ring_t *ring, int64_t k,
                                uint64_t page) {
  uint64_t first, last;
  pages_of(src, k, &first, &last);
  while (ring->used > 0 && frame_at(ring, 0)->page != first) {
    ring_drop(ring);
  }
  if (ring->used == 0) { /* a jump: the walk goes on from here */
    ring->gen_k = k;
    ring->gen_fresh = true;
  }
  if (ring->used <= ring->frames / 2) {
    ring_fill(src, ring);
  }
  for (uint32_t i = 0; i < ring->used; i++) {
    frame_t *f = frame_at(ring, i);
    if (f->page == page) {
      frame_settle(f);
      return f->read.state == CIRA_FAR_READ_PLAIN
                 ? (const uint8_t *)(uintptr_t)(page << CIRA_PAGE_LOG2)
                 : frame_memory(ring, f);
    }
  }
  return NULL; /* the element has more pages than the ring frames */
}

/* Frames for a source: as many as its pages need, an eighth of the local
 * budget at most, none when there is no room. */
static void ring_open(source_t *src) {
  if (src->ring == NULL) {
    src->ring = cira_far_local_alloc(sizeof *src->ring);
    if (src->ring == NULL) {
      return;
    }
  }
  ring_t *ring = src->ring;
  uint64_t n = cira__min_u64(RING_FRAMES, cira_far_local_pages() / 8);
  uint64_t span = (uint64_t)(src->step >= 0 ? src->step : -src->step);
  if (span < CIRA_PAGE_BYTES) {
    n = cira__min_u64(n, (uint64_t)src->count * span / CIRA_PAGE_BYTES + 2);
  }
  while (n >= 4 && !cira_far_frames_take(n)) {
    n /= 2;
  }
  ring->frames = 0;
  if (n >= 4) {
    ring->memory = cira_far_local_alloc(n * CIRA_PAGE_BYTES);
    if (ring->memory == NULL) {
      cira_far_frames_give(n);
    } else {
      ring->frames = (uint32_t)n;
    }
  }
  ring->tail = ring->used = 0;
}

void cira__source_close(source_t *src) {
  ring_t *ring = src->ring;
  if (ring == NULL || ring->frames == 0) {
    return;
  }
  while (ring->used > 0) {
    ring_drop(ring);
  }
  cira_far_local_free(ring->memory, (uint64_t)ring->frames * CIRA_PAGE_BYTES);
  cira_far_frames_give(ring->frames);
  ring->frames = 0;
}

/* ---- elements -------------------------------------------------------------
 */

/* The run around the address, over requests: one page of the ring. */
static void run_requested(source_t *src, int64_t k, uint64_t at) {
  if (src->ring == NULL || src->ring->frames == 0) {
    ring_open(src);
  }
  uint64_t page = at >> CIRA_PAGE_LOG2;
  const uint8_t *p = src->ring != NULL && src->ring->frames != 0
                         ? ring_page(src, src->ring, k, page)
                         : NULL;
  src->run.lo = page << CIRA_PAGE_LOG2;
  src->run.hi = (page + 1) << CIRA_PAGE_LOG2;
  src->run.delta = p != NULL ? (uint64_t)(uintptr_t)p - src->run.lo : 0;
}

static void run_find(source_t *src, int64_t k, uint64_t at) {
  /* While a ring is in use all pages come by it, so that it moves on. */
  bool ring = src->ring != NULL && src->ring->used > 0;
  if (!cira_far_is_far((const void *)(uintptr_t)at) ||
      (!ring && cira_far_run((const void *)(uintptr_t)at, src->step, RUN_PAGES,
                             &src->run))) {
    if (!cira_far_is_far((const void *)(uintptr_t)at)) {
      (void)cira_far_run((const void *)(uintptr_t)at, src->step, 1, &src->run);
    }
    return;
  }
  run_requested(src, k, at);
}

/* An element across the border of its run. */
static const uint8_t *element_gather(source_t *src, int64_t k) {
  uint64_t at = address_of(src, k), end = at + src->bytes;
  cira__scratch_must(&src->bounce, src->bytes);
  uint8_t *to = src->bounce.p;
  while (at < end) {
    run_find(src, k, at);
    uint64_t n = cira__min_u64(end, src->run.hi) - at;
    memcpy(to, (const void *)(uintptr_t)(at + src->run.delta), n);
    to += n;
    at += n;
  }
  src->run = (cira_far_run_t){0}; /* of its last part only */
  return src->bounce.p;
}

/* Elements so far apart that each is a line of its own. */
static void line_ahead(const source_t *src, int64_t k) {
  if (k + LINE_DISTANCE < src->count) {
    const uint8_t *at = cira_far_at(
        (const void *)(uintptr_t)address_of(src, k + LINE_DISTANCE));
    if (at != NULL) {
      lines_prefetch(at, src->bytes);
    }
  }
}

int64_t cira__source_at(source_t *src, int64_t k, const uint8_t **out_data) {
  uint64_t at = address_of(src, k);
  bool apart = src->step >= FAR_STEP || src->step <= -FAR_STEP;
  if (apart) {
    line_ahead(src, k);
  }
  if (at < src->run.lo || at + src->bytes > src->run.hi) {
    run_find(src, k, at);
  }
  if (CIRA_UNLIKELY(at + src->bytes > src->run.hi)) {
    *out_data = element_gather(src, k);
    return 1;
  }
  *out_data = (const uint8_t *)(uintptr_t)(at + src->run.delta);
  int64_t left = src->count - k;
  if (apart) {
    return 1;
  }
  if (src->step > 0) {
    uint64_t fit = (src->run.hi - src->bytes - at) / (uint64_t)src->step + 1;
    left = (int64_t)cira__min_u64((uint64_t)left, fit);
  } else if (src->step < 0) {
    uint64_t fit = (at - src->run.lo) / (uint64_t)-src->step + 1;
    left = (int64_t)cira__min_u64((uint64_t)left, fit);
  }
  return left;
}
