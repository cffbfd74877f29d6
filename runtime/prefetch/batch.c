/* SPDX-License-Identifier: Apache-2.0
 *
 * Pointers in an array, and a[b[i]]: the front walks a batch of addresses that
 * are translated already. Several batches ahead of it are translated and their
 * lines asked for (their bytes, over requests). Batches are small, so that the
 * program's work overlaps with what is under way: a burst of 64 lines and then
 * 64 uses do not overlap (1.9x the time of plain loads when all is local).
 */
#include "prefetch/stream_internal.h"

#define DEPTH_MIN 2u
#define DEPTH_STEP 64u /* elements between two looks at the depth */

#define IN_PLACE 1024 /* elements, before it is looked again */

void cira__pointers_open(cira_stream_t *s, uint32_t target_bytes) {
  pointers_t *p = &s->pointers;
  p->target_bytes = target_bytes;
  p->head = p->tail = 0;
  cira_control_init(&p->depth, atomic_load(&cira__batches_start), DEPTH_MIN,
                    BATCHES - 2);
  p->depth_seen = (cira_control_input_t){0};
  p->depth_ns = 0;
}

static cira_far_read_t *read_of(pointers_t *p, uint32_t b, uint32_t i,
                                uint32_t piece) {
  cira_far_read_t *reads = (cira_far_read_t *)(void *)p->reads.p;
  return &reads[(b * BATCH + i) * 2 + piece];
}

static uint8_t *buffer_of(pointers_t *p, uint32_t b, uint32_t i) {
  return p->buffers.p + (uint64_t)(b * BATCH + i) * p->target_bytes;
}

/* ---- where an element is --------------------------------------------------
 */

static int64_t index_at(const uint8_t *p, uint32_t bytes) {
  switch (bytes) {
  case 1:
    return *(const int8_t *)p;
  case 2:
    return *(const int16_t *)(const void *)p;
  case 4:
    return *(const int32_t *)(const void *)p;
  default:
    return *(const int64_t *)(const void *)p;
  }
}

/* Fills in the addresses of a batch from the array, run by run. */
static void addresses_load(cira_stream_t *s, batch_t *b) {
  pointers_t *p = &s->pointers;
  int64_t step = s->source.step;
  for (uint32_t i = 0; i < b->count;) {
    const uint8_t *data;
    int64_t run = cira__source_at(&s->source, b->first + i, &data);
    uint32_t end = (uint32_t)cira__min_u64(b->count, i + (uint64_t)run);
    if (p->index_bytes == 0) {
      for (; i < end; i++, data += step) {
        b->address[i] = *(const uint8_t *const *)(const void *)data;
      }
    } else {
      for (; i < end; i++, data += step) {
        b->address[i] = p->base + index_at(data, p->index_bytes) * p->scale;
      }
    }
  }
}

/* Translates one address; NULL when its bytes have to be put together. */
static inline const uint8_t *place(const uint8_t *address, uint32_t bytes) {
  const uint8_t *at = cira_far_at(address);
  uint32_t in_page = (uint32_t)(uintptr_t)address & (CIRA_PAGE_BYTES - 1);
  if (CIRA_LIKELY(in_page + bytes <= CIRA_PAGE_BYTES)) {
    return at;
  }
  /* Across a border: fine when the next page lies right behind it. */
  if (at == NULL || !cira_far_is_far(address) ||
      bytes > CIRA_PAGE_BYTES) { /* larger ones are read in place */
    return bytes > CIRA_PAGE_BYTES ? address : at;
  }
  const uint8_t *end = cira_far_at(address + bytes - 1);
  return end != NULL && end == at + bytes - 1 ? at : NULL;
}

/* Asks for the bytes of those entries that nothing else reaches. */
static void requests_begin(cira_stream_t *s, uint32_t index) {
  pointers_t *p = &s->pointers;
  batch_t *b = &p->batch[index];
  cira_far_read_t *reads[BATCH * 2];
  uint32_t count = 0;
  for (uint32_t i = 0; i < b->count; i++) {
    b->posted[i] = false;
    if (b->at[i] != NULL || cira__far.direct) {
      continue;
    }
    uint32_t room = CIRA_PAGE_BYTES - ((uint32_t)(uintptr_t)b->address[i] &
                                       (CIRA_PAGE_BYTES - 1));
    uint32_t first = p->target_bytes < room ? p->target_bytes : room;
    uint8_t *to = buffer_of(p, index, i);
    cira_far_read_t *r = read_of(p, index, i, 0);
    r[0] = (cira_far_read_t){.from = b->address[i], .to = to, .bytes = first};
    r[1] = (cira_far_read_t){.from = b->address[i] + first,
                             .to = to + first,
                             .bytes = p->target_bytes - first};
    reads[count++] = &r[0];
    if (r[1].bytes > 0) {
      reads[count++] = &r[1];
    }
    b->posted[i] = true;
  }
  if (count > 0) {
    cira_far_read_begin(reads, count);
  }
}

static void batch_make(cira_stream_t *s, uint32_t index, int64_t first) {
  pointers_t *p = &s->pointers;
  batch_t *b = &p->batch[index];
  b->first = first;
  b->count = (uint32_t)cira__min_u64(BATCH, (uint64_t)(s->count - first));
  b->unready = 0;
  addresses_load(s, b);
  if (!cira_far_any_managed()) {
    for (uint32_t i = 0; i < b->count; i++) {
      b->at[i] = b->address[i];
      lines_prefetch(b->at[i], p->target_bytes);
    }
    return;
  }
  for (uint32_t i = 0; i < b->count; i++) {
    b->at[i] = place(b->address[i], p->target_bytes);
    if (CIRA_LIKELY(b->at[i] != NULL)) {
      lines_prefetch(b->at[i], p->target_bytes);
    } else {
      b->unready++;
    }
  }
  if (b->unready > 0) {
    cira__scratch_must(&p->buffers, 1ull * BATCHES * BATCH * p->target_bytes);
    cira__scratch_must(&p->reads,
                       2ull * BATCHES * BATCH * sizeof(cira_far_read_t));
    requests_begin(s, index);
  }
}

static void requests_wait(pointers_t *p, uint32_t index, uint32_t i) {
  cira_far_read_wait(read_of(p, index, i, 0));
  if (read_of(p, index, i, 1)->bytes > 0) {
    cira_far_read_wait(read_of(p, index, i, 1));
  }
}

/* Gives every entry a place. */
static void batch_settle(pointers_t *p, uint32_t index) {
  batch_t *b = &p->batch[index];
  for (uint32_t i = 0; b->unready > 0 && i < b->count; i++) {
    if (b->at[i] != NULL) {
      continue;
    }
    uint8_t *to = buffer_of(p, index, i);
    if (b->posted[i]) {
      requests_wait(p, index, i);
    } else {
      cira_far_copy(to, b->address[i], p->target_bytes);
    }
    b->at[i] = to;
    b->unready--;
  }
}

/* ---- the front ------------------------------------------------------------
 */

static batch_t *batch_at(pointers_t *p, uint64_t i) {
  return &p->batch[i % BATCHES];
}

/* How many batches are kept ahead: what was asked for, and what the controller
 * finds right. */
static uint64_t ahead_of(const cira_stream_t *s) {
  int64_t window = atomic_load_explicit(&s->window, memory_order_relaxed);
  uint64_t want = ((uint64_t)window + BATCH - 1) / BATCH;
  if (s->pointers.target_bytes > CIRA_PAGE_BYTES / 4) {
    return 2;
  }
  uint64_t depth = s->pointers.depth.window;
  return want < depth ? depth : cira__min_u64(want, BATCHES - 2);
}

/* A batch that travelled was used (or dropped); time was spent waiting. Now and
 * then the controller decides how many to keep ahead. */
static void depth_count(pointers_t *p, const batch_t *b, bool used,
                        uint64_t from_ns, uint64_t now_ns) {
  cira_control_input_t *seen = &p->depth_seen;
  seen->ahead += b->count;
  seen->fetched += b->count;
  seen->used += used ? b->count : 0;
  seen->stall_ns += now_ns - from_ns;
  if (p->depth_ns == 0) {
    p->depth_ns = now_ns;
    *seen = (cira_control_input_t){0};
  }
  if (seen->ahead < DEPTH_STEP) {
    return;
  }
  seen->interval_ns = now_ns - p->depth_ns;
  uint32_t before = p->depth.window;
  (void)cira_control_step(&p->depth, seen);
  if (p->depth.window != before) {
    atomic_store_explicit(&cira__batches_start, p->depth.window,
                          memory_order_relaxed);
    cira_space_depth_changed(cira__far.space, p->depth.window);
  }
  *seen = (cira_control_input_t){0};
  p->depth_ns = now_ns;
}

/* Gives every entry a place, and looks how long that took. */
static void batch_take(pointers_t *p, uint32_t index, bool used) {
  batch_t *b = &p->batch[index];
  if (CIRA_LIKELY(b->unready == 0)) {
    return;
  }
  uint64_t from_ns = cira__now_ns();
  batch_settle(p, index);
  depth_count(p, b, used, from_ns, cira__now_ns());
}

/* Drops batches until element k is in the oldest; makes the one it is in. */
static batch_t *batch_with(cira_stream_t *s, int64_t k) {
  pointers_t *p = &s->pointers;
  while (p->tail < p->head) {
    batch_t *b = batch_at(p, p->tail);
    if (k >= b->first && k < b->first + b->count) {
      return b;
    }
    batch_take(p, (uint32_t)(p->tail++ % BATCHES), false);
  }
  batch_make(s, (uint32_t)(p->head++ % BATCHES), k);
  return batch_at(p, p->tail);
}

/* Nothing was ever sent away: the front walks the program's own array, at the
 * price of a plain loop. */
static bool refill_in_place(cira_stream_t *s, cira_abi_front_t *front) {
  pointers_t *p = &s->pointers;
  p->in_place =
      p->index_bytes == 0 && p->tail == p->head && !cira_far_any_managed();
  if (p->in_place) {
    const uint8_t *data;
    int64_t n = cira__source_at(&s->source, s->next, &data);
    front->data = (uint8_t *)(uintptr_t)data;
    front->step = s->source.step;
    front->left = n < IN_PLACE ? n : IN_PLACE;
    s->next += front->left;
  }
  return p->in_place;
}

void cira__pointers_refill(cira_stream_t *s, cira_abi_front_t *front) {
  pointers_t *p = &s->pointers;
  int64_t k = s->next;
  if (refill_in_place(s, front)) {
    return;
  }
  batch_t *b = batch_with(s, k);
  uint64_t ahead = ahead_of(s);
  while (p->head - p->tail <= ahead) {
    const batch_t *last = batch_at(p, p->head - 1);
    int64_t end = last->first + last->count;
    if (end >= s->count) {
      break;
    }
    batch_make(s, (uint32_t)(p->head++ % BATCHES), end);
  }
  batch_take(p, (uint32_t)(p->tail % BATCHES), true);
  front->data = (uint8_t *)(void *)&b->at[k - b->first];
  front->step = sizeof b->at[0];
  front->left = b->first + b->count - k;
  s->next = b->first + b->count;
}

const void *cira__pointers_value(const cira_stream_t *s,
                                 const cira_abi_front_t *front) {
  const pointers_t *p = &s->pointers;
  if (p->in_place) {
    return *(const void *const *)(const void *)front->data;
  }
  const batch_t *b = &p->batch[p->tail % BATCHES];
  return b->address[(const uint8_t *const *)(const void *)front->data - b->at];
}

void cira__pointers_close(cira_stream_t *s) {
  pointers_t *p = &s->pointers;
  for (; p->tail < p->head; p->tail++) {
    batch_settle(p, (uint32_t)(p->tail % BATCHES));
  }
}
