/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads under way. A slot belongs to the thread that begins loads in it; who
 * ends the load takes it by one compare and swap of the ticket and gives it
 * back by storing 0.
 */
#include "async/async.h"

#include <string.h>
#include <sys/mman.h>

#define INLINE_BYTES 64u
#define PROBES 16u   /* slots looked at before the table counts as full */
#define BATCH 64     /* loads handed over at once */
#define PIECES_MAX 2 /* a load of at most a page touches two */
#define TICKET_ENDING 1
#define SLOT_BITS 8
#define THREAD_BITS 12
#define TICKET_BITS (SLOT_BITS + THREAD_BITS)

typedef struct cira__request {
  _Atomic int64_t ticket; /* 0 free, TICKET_ENDING, or the one it has */
  const void *p;
  uint32_t bytes;
  uint32_t pieces; /* requests under way; 0: read at p when it ends */
  cira_far_read_t read[PIECES_MAX];
  uint8_t *side; /* for more than INLINE_BYTES; kept */
  uint8_t data[INLINE_BYTES];
} request_t;

static void slots_create(cira_thread_t *t) {
  void *p =
      mmap(NULL, CIRA_ASYNC_SLOTS * sizeof(request_t), PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    cira__misuse("no local memory for the requests of a thread; give the "
                 "process more");
  }
  t->slots = p;
}

/* A free slot with a fresh ticket, or NULL. */
static request_t *slot_take(cira_thread_t *t, int64_t *out_ticket) {
  if (CIRA_UNLIKELY(t->slots == NULL)) {
    slots_create(t);
  }
  for (uint32_t i = 0; i < PROBES; i++) {
    uint32_t at = t->next_slot++ % CIRA_ASYNC_SLOTS;
    request_t *r = &t->slots[at];
    if (atomic_load_explicit(&r->ticket, memory_order_acquire) == 0) {
      uint64_t ticket =
          ++t->generation << TICKET_BITS | (uint64_t)t->index << SLOT_BITS | at;
      *out_ticket = (int64_t)(ticket & INT64_MAX);
      return r;
    }
  }
  return NULL;
}

static void slot_open(request_t *r, int64_t ticket) {
  atomic_store_explicit(&r->ticket, ticket, memory_order_release);
}

/* Where a request's bytes arrive; NULL when there is no memory. */
static uint8_t *slot_buffer(request_t *r) {
  if (r->bytes <= INLINE_BYTES) {
    return r->data;
  }
  if (r->side == NULL) {
    void *p = mmap(NULL, CIRA_PAGE_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    r->side = p == MAP_FAILED ? NULL : p;
  }
  return r->side;
}

static void lines_prefetch(const uint8_t *at, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes && i < 4 * CIRA_LINE_BYTES;
       i += CIRA_LINE_BYTES) {
    __builtin_prefetch(at + i);
  }
}

#define WARM_REQUEST 2u /* a round trip takes about what a fault takes */

enum { HERE, AT_END, REQUEST };

/* How a load is best done. */
static int load_kind(cira_thread_t *t, const void *p, int64_t bytes) {
  if (bytes <= 0) {
    return HERE;
  }
  const uint8_t *at = cira_far_at(p);
  if (at == NULL) {
    bool request = bytes <= (int64_t)CIRA_PAGE_BYTES &&
                   (cira__checked || !cira__page_is_warm(t, p, WARM_REQUEST));
    return request ? REQUEST : HERE;
  }
  lines_prefetch(at, (uint32_t)cira__min_u64((uint64_t)bytes, 4096));
  if (bytes > UINT32_MAX) {
    return HERE;
  }
  bool at_home = at != p && !cira__page_is_warm(t, p, WARM_REQUEST);
  return at_home || cira__checked ? AT_END : HERE;
}

/* Splits a load at the page border. False when there is no buffer. */
static bool pieces_make(request_t *r) {
  uint8_t *to = slot_buffer(r);
  if (to == NULL) {
    return false;
  }
  uint32_t in_page =
      CIRA_PAGE_BYTES - ((uint32_t)(uintptr_t)r->p & (CIRA_PAGE_BYTES - 1));
  uint32_t first = r->bytes < in_page ? r->bytes : in_page;
  r->read[0] = (cira_far_read_t){.from = r->p, .to = to, .bytes = first};
  r->pieces = 1;
  if (first < r->bytes) {
    r->read[1] = (cira_far_read_t){.from = (const uint8_t *)r->p + first,
                                   .to = to + first,
                                   .bytes = r->bytes - first};
    r->pieces = 2;
  }
  return true;
}

/* Fills a slot; adds what is to be posted to `reads`. */
static int64_t load_prepare(cira_thread_t *t, const void *p, int64_t bytes,
                            request_t **out, cira_far_read_t **reads,
                            uint32_t *count) {
  int kind = load_kind(t, p, bytes);
  int64_t ticket;
  request_t *r;
  *out = NULL;
  if (kind == HERE || (r = slot_take(t, &ticket)) == NULL) {
    return 0;
  }
  r->p = p;
  r->bytes = (uint32_t)bytes;
  r->pieces = 0;
  if (kind == REQUEST && pieces_make(r)) {
    for (uint32_t i = 0; i < r->pieces; i++) {
      reads[(*count)++] = &r->read[i];
    }
  }
  *out = r;
  return ticket;
}

int64_t cira_async_load_begin(const void *p, int64_t bytes) {
  cira_far_read_t *reads[PIECES_MAX];
  uint32_t count = 0;
  request_t *r;
  int64_t ticket = load_prepare(cira_thread(), p, bytes, &r, reads, &count);
  if (r != NULL) {
    if (count > 0) {
      cira_far_read_begin(reads, count);
    }
    slot_open(r, ticket);
  }
  return ticket;
}

static void batch_begin(const void *const *addresses, const int64_t *bytes,
                        uint32_t n, int64_t *out_tickets) {
  cira_thread_t *t = cira_thread();
  cira_far_read_t *reads[BATCH * PIECES_MAX];
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    request_t *r;
    out_tickets[i] = load_prepare(t, addresses[i], bytes[i], &r, reads, &count);
    if (r != NULL) {
      /* Known to nobody until the batch returns. Not free any more, so that
       * the next of the batch takes another slot. */
      slot_open(r, out_tickets[i]);
    }
  }
  if (count > 0) {
    cira_far_read_begin(reads, count);
  }
}

void cira_async_load_begin_batch(const void *const *addresses,
                                 const int64_t *bytes, int64_t count,
                                 int64_t *out_tickets) {
  for (int64_t i = 0; i < count; i += BATCH) {
    int64_t n = count - i < BATCH ? count - i : BATCH;
    batch_begin(addresses + i, bytes + i, (uint32_t)n, out_tickets + i);
  }
}

CIRA_COLD static _Noreturn void not_mine(int64_t ticket, int64_t found) {
  if (ticket <= 0 || ticket >> TICKET_BITS == 0) {
    cira__misuse("await: %lld is no future under way; await only what "
                 "load_async or peek_stream gave",
                 (long long)ticket);
  }
  cira__misuse("await: the future %llx was awaited before (its slot %s); a "
               "future is awaited exactly once: keep the value",
               (long long)ticket, found == 0 ? "is free" : "is used again");
}

void cira_async_load_end(int64_t ticket, void *to) {
  cira_thread_t *t = cira_thread_at((uint32_t)(ticket >> SLOT_BITS) &
                                    ((1u << THREAD_BITS) - 1));
  if (ticket <= 0 || t == NULL || t->slots == NULL) {
    not_mine(ticket, 0);
  }
  request_t *r = &t->slots[ticket & ((1 << SLOT_BITS) - 1)];
  int64_t found = ticket;
  if (!atomic_compare_exchange_strong(&r->ticket, &found, TICKET_ENDING)) {
    not_mine(ticket, found);
  }
  if (r->pieces == 0) {
    cira_far_copy(to, r->p, r->bytes);
  } else {
    for (uint32_t i = 0; i < r->pieces; i++) {
      cira_far_read_wait(&r->read[i]);
    }
    memcpy(to, r->read[0].to, r->bytes);
  }
  atomic_store_explicit(&r->ticket, 0, memory_order_release);
}
