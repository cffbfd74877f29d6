/* SPDX-License-Identifier: Apache-2.0
 *
 * Pointers in an array, and a[b[i]]: the front walks a batch of addresses that
 * are translated already. While one batch is used the next one is translated
 * and its lines are asked for (its bytes, over requests), so an element has
 * between one and two batches of time to arrive.
 */
#include "prefetch/stream_internal.h"

void cira__pointers_open(cira_stream_t *s, uint32_t target_bytes) {
  pointers_t *p = &s->pointers;
  p->target_bytes = target_bytes;
  p->current = 0;
  p->batch[0].first = p->batch[1].first = -1;
  p->batch[0].unready = p->batch[1].unready = 0;
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

/* Lines: few enough that the core overlaps the use of one batch with the
 * misses of the next (64 at once cost 1.9x of plain loads, 16 cost 1.0x).
 * Requests: as many as travel together. */
static uint32_t batch_limit(void) {
  return cira__far.direct || cira__far.bytes == 0 ? BATCH_LINES : BATCH;
}

static void batch_make(cira_stream_t *s, uint32_t index, int64_t first) {
  pointers_t *p = &s->pointers;
  batch_t *b = &p->batch[index];
  b->first = first;
  b->count =
      (uint32_t)cira__min_u64(batch_limit(), (uint64_t)(s->count - first));
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
    cira__scratch_must(&p->buffers, 2ull * BATCH * p->target_bytes);
    cira__scratch_must(&p->reads, 4ull * BATCH * sizeof(cira_far_read_t));
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

static bool covers(const batch_t *b, int64_t k) {
  return b->first >= 0 && k >= b->first && k < b->first + b->count;
}

void cira__pointers_refill(cira_stream_t *s, cira_abi_front_t *front) {
  pointers_t *p = &s->pointers;
  int64_t k = s->next;
  uint32_t now = p->current ^ 1;
  if (!covers(&p->batch[now], k)) {
    batch_settle(p, now); /* what is under way must have arrived */
    batch_make(s, now, k);
  }
  p->current = now;
  batch_t *b = &p->batch[now];
  batch_settle(p, now);
  int64_t end = b->first + b->count;
  if (end < s->count) {
    batch_settle(p, now ^ 1);
    batch_make(s, now ^ 1, end);
  }
  front->data = (uint8_t *)(void *)&b->at[k - b->first];
  front->step = sizeof b->at[0];
  front->left = end - k;
  s->next = end;
}

const void *cira__pointers_value(const cira_stream_t *s,
                                 const cira_abi_front_t *front) {
  const pointers_t *p = &s->pointers;
  const batch_t *b = &p->batch[p->current];
  return b->address[(const uint8_t *const *)(const void *)front->data - b->at];
}

void cira__pointers_close(cira_stream_t *s) {
  batch_settle(&s->pointers, 0);
  batch_settle(&s->pointers, 1);
}
