/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests under way, see request.h. A lane's slots are guarded by the lane's
 * lock. They form a list in the order posted; the fabric completes mostly in
 * that order, so a reap looks at the front of it.
 *
 * Why a touch never installs old bytes: what changes a page's home is posted
 * on the page's lane by whoever holds its word (BUSY). Such a post marks the
 * touches of the page as stale (home.c). The touch is installed by taking the
 * word HOME -> BUSY with the lane locked: if that succeeds and the mark is not
 * set, no change was posted after our read, and none can be before the page is
 * published.
 */
#include "space/request.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "space/space_internal.h"

#define SLOTS 160u /* per lane; the fabric takes 256, the pager needs some */
#define NONE UINT16_MAX

typedef struct {
  cira_far_read_t read; /* first: op, from, to, bytes, lane, generation */
  cira_request_t request;
  uint16_t next;
  uint16_t touch; /* index into lane->touch, NONE */
} slot_t;

typedef struct {
  slot_t slot[SLOTS];
  uint16_t free, head, tail; /* lists through next */
  bool made;
  _Atomic uint32_t listed; /* slots in the list; a hint without the lock */
  uint8_t *frames;         /* TOUCHES pages */
} table_t;

static table_t table[LANES_MAX];
static _Atomic uint32_t pending;
static struct {
  cira_lock_t lock;
  int fd; /* an epoll of all lanes, + 1 */
  uint32_t generation;
  const cira_space_t *space;
} watch;

/* ---- slots: lane locked -------------------------------------------------- */

static void table_make(table_t *t) {
  for (uint16_t i = 0; i < SLOTS; i++) {
    t->slot[i].next = i + 1 < SLOTS ? (uint16_t)(i + 1) : NONE;
  }
  t->free = 0;
  t->head = t->tail = NONE;
  t->made = true;
}

static slot_t *slot_take(table_t *t) {
  if (CIRA_UNLIKELY(!t->made)) {
    table_make(t);
  }
  if (t->free == NONE) {
    return NULL;
  }
  slot_t *slot = &t->slot[t->free];
  t->free = slot->next;
  slot->next = NONE;
  slot->touch = NONE;
  return slot;
}

static void slot_give(table_t *t, slot_t *slot) {
  slot->next = t->free;
  t->free = (uint16_t)(slot - t->slot);
}

void cira__requests_reset(void) {
  for (uint32_t i = 0; i < LANES_MAX; i++) {
    table[i].made = false;
    atomic_store(&table[i].listed, 0);
  }
  atomic_store(&pending, 0);
}

static void slot_append(table_t *t, slot_t *slot) {
  uint16_t at = (uint16_t)(slot - t->slot);
  if (t->tail == NONE) {
    t->head = at;
  } else {
    t->slot[t->tail].next = at;
  }
  t->tail = at;
  (void)atomic_fetch_add_explicit(&t->listed, 1, memory_order_relaxed);
  (void)atomic_fetch_add_explicit(&pending, 1, memory_order_relaxed);
}

/* A frame for a touch of `page`; NONE when all are in use, or there are none:
 * no memory. */
static uint16_t touch_take(table_t *t, lane_t *lane, uint64_t page) {
  if (t->frames == NULL) {
    t->frames = cira__map_table(TOUCHES * CIRA_PAGE_BYTES);
    if (t->frames == NULL) {
      return NONE;
    }
  }
  for (uint16_t i = 0; i < TOUCHES; i++) {
    if (!lane->touch[i].used) {
      lane->touch[i].page = page;
      lane->touch[i].used = true;
      lane->touch[i].stale = false;
      lane->touches++;
      return i;
    }
  }
  return NONE;
}

static void touch_give(lane_t *lane, uint16_t at) {
  lane->touch[at].used = false;
  lane->touches--;
}

/* ---- posting: lane locked ------------------------------------------------ */

static cira_post_t post_read(cira_space_t *s, lane_t *lane, uint32_t word,
                             const cira_request_t *r) {
  table_t *t = &table[lane->index];
  slot_t *slot = slot_take(t);
  if (slot == NULL) {
    return CIRA_POST_FULL;
  }
  slot->request = *r;
  slot->read =
      (cira_far_read_t){.from = r->far, .to = r->to, .bytes = r->bytes};
  if (r->kind == CIRA_REQUEST_TOUCH) {
    uint64_t page = page_of(s, r->far);
    slot->touch = touch_take(t, lane, page);
    if (slot->touch == NONE) {
      slot_give(t, slot); /* without frames it stays the hint that it is */
      return t->frames != NULL ? CIRA_POST_FULL : CIRA_POST_DONE;
    }
    slot->read.from = page_addr(s, page);
    slot->read.to = t->frames + (uint64_t)slot->touch * CIRA_PAGE_BYTES;
    slot->read.bytes = CIRA_PAGE_BYTES;
  }
  cira__far_post_read(s, lane, region_of(word), &slot->read);
  if (slot->touch != NONE) {
    STAT_SUB(s, bytes_in, CIRA_PAGE_BYTES); /* counted when it arrives */
  }
  slot_append(t, slot);
  return CIRA_POST_SENT;
}

static const cira_fabric_atomic_t ATOMIC[] = {
    [CIRA_REQUEST_ADD] = CIRA_FABRIC_ADD,
    [CIRA_REQUEST_SWAP] = CIRA_FABRIC_SWAP,
    [CIRA_REQUEST_CAS] = CIRA_FABRIC_CAS,
};

/* The page is held (BUSY); its home is about to change. */
static void post_atomic(cira_space_t *s, lane_t *lane, uint32_t word,
                        slot_t *slot) {
  const cira_request_t *r = &slot->request;
  cira_fabric_t *f = lane->fabric;
  uint64_t offset = (uint64_t)(uintptr_t)r->far - s->base;
  cira_status_t status;
  cira__home_changes(lane, offset >> CIRA_PAGE_LOG2);
  while (
      (status = f->ops->post_atomic(
           f, s->regions[region_of(word)].handle[lane->index], ATOMIC[r->kind],
           offset, r->operand, r->compare, 0, &slot->read.op)) == CIRA_AGAIN) {
    cira__home_poke(s, lane);
  }
  if (status != CIRA_OK) {
    cira__home_lost(s, status);
  }
  slot->read.state = CIRA_FAR_READ_POSTED;
  slot->read.lane = lane->index;
  slot->read.generation = s->generation;
  lane->reads_pending++;
  lane->reads_unsent++;
}

static cira_post_t begin_atomic(cira_space_t *s, lane_t *lane, uint32_t w,
                                const cira_request_t *r) {
  uint64_t page = page_of(s, r->far);
  if (s->regions[region_of(w)].frozen) {
    return CIRA_POST_PLAIN; /* a relative still reads it: copied by a fault */
  }
  table_t *t = &table[lane->index];
  slot_t *slot = slot_take(t);
  if (slot == NULL) {
    return CIRA_POST_FULL;
  }
  if (!atomic_compare_exchange_strong(&s->words[page], &w,
                                      (w & ~W_STATE) | PAGE_BUSY)) {
    slot_give(t, slot);
    return CIRA_POST_PLAIN;
  }
  slot->request = *r;
  slot->read = (cira_far_read_t){.from = r->far};
  post_atomic(s, lane, w, slot);
  slot_append(t, slot);
  cira__word_publish(s, page, w, false);
  return CIRA_POST_SENT;
}

/* A child of a fork has the parent's slots, and none of the answers. */
static bool inherited(const cira_space_t *s, const slot_t *slot) {
  return slot->read.generation != s->generation;
}

/* Lane locked. */
static cira_post_t post_locked(cira_space_t *s, lane_t *lane,
                               const cira_request_t *r) {
  uint32_t w = cira_far_word((uint64_t)(uintptr_t)r->far - s->base);
  switch (state_of(w)) {
  case PAGE_HOME:
    return r->kind == CIRA_REQUEST_READ || r->kind == CIRA_REQUEST_TOUCH
               ? post_read(s, lane, w, r)
               : begin_atomic(s, lane, w, r);
  case PAGE_EMPTY:
    if (r->kind != CIRA_REQUEST_READ) {
      return CIRA_POST_PLAIN;
    }
    memset(r->to, 0, r->bytes);
    return CIRA_POST_DONE;
  case PAGE_MAPPED:
    return r->kind == CIRA_REQUEST_TOUCH ? CIRA_POST_DONE : CIRA_POST_PLAIN;
  default:
    return CIRA_POST_PLAIN;
  }
}

void cira_request_post(const cira_request_t *r, uint32_t n, cira_post_t *out) {
  cira_space_t *s = cira__far.space;
  lane_t *held = NULL;
  cira_post_t post = CIRA_POST_DONE;
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  for (uint32_t i = 0; i < n; i++) {
    if (post == CIRA_POST_FULL) {
      out[i] = CIRA_POST_FULL;
      continue;
    }
    uint64_t offset = (uint64_t)(uintptr_t)r[i].far - s->base;
    held = cira__far_lane_take(s, held, lane_of(s, offset >> CIRA_PAGE_LOG2));
    out[i] = post = post_locked(s, held, &r[i]);
  }
  (void)cira__far_lane_take(s, held, NULL);
  cira__pager_leave(s);
  cira__signals_restore(saved);
}

/* ---- reaping ------------------------------------------------------------- */

/* Takes complete slots off the lane's list. Lane locked. Slots of touches stay
 * taken until touch_install. */
static uint32_t lane_reap(cira_space_t *s, lane_t *lane, slot_t **out,
                          uint32_t max) {
  table_t *t = &table[lane->index];
  uint32_t n = 0;
  uint16_t before = NONE;
  for (uint16_t at = t->made ? t->head : NONE; at != NONE && n < max;) {
    slot_t *slot = &t->slot[at];
    uint16_t next = slot->next;
    bool lost = inherited(s, slot);
    if (lost || slot->read.op.status != CIRA_PENDING) {
      if (before == NONE) {
        t->head = next;
      } else {
        t->slot[before].next = next;
      }
      if (t->tail == at) {
        t->tail = before;
      }
      lane->reads_pending -= !lost;
      (void)atomic_fetch_sub_explicit(&t->listed, 1, memory_order_relaxed);
      (void)atomic_fetch_sub_explicit(&pending, 1, memory_order_relaxed);
      out[n++] = slot;
    } else {
      before = at;
    }
    at = next;
  }
  return n;
}

/* Puts an arrived page into the page table if it is still what is at home. */
static void touch_install(cira_space_t *s, lane_t *lane, slot_t *slot) {
  table_t *t = &table[lane->index];
  uint64_t page = page_of(s, slot->read.from);
  bool room = cira__try_reserve(s, 1);
  if (!room) {
    cira__evict(s, 1, false, NULL);
    room = cira__try_reserve(s, 1);
  }
  cira__lock(&lane->lock);
  uint32_t w = atomic_load_explicit(&s->words[page], memory_order_acquire);
  bool ours = room && !lane->touch[slot->touch].stale &&
              state_of(w) == PAGE_HOME &&
              atomic_compare_exchange_strong(&s->words[page], &w,
                                             (w & ~W_STATE) | PAGE_BUSY);
  cira__unlock(&lane->lock);
  if (ours) {
    cira__pages_arrive(s, page, 1,
                       t->frames + (uint64_t)slot->touch * CIRA_PAGE_BYTES);
  } else if (room) {
    cira__release(s, 1);
  }
}

static void hand_back(cira_space_t *s, lane_t *lane, slot_t *const *slots,
                      uint32_t n, cira_reaped_t *out) {
  for (uint32_t i = 0; i < n; i++) {
    slot_t *slot = slots[i];
    bool lost = inherited(s, slot);
    if (slot->touch != NONE && !lost && slot->read.op.status == CIRA_OK) {
      touch_install(s, lane, slot);
    }
    out[i] = (cira_reaped_t){.owner = slot->request.owner,
                             .value = slot->read.op.result,
                             .status = slot->read.op.status,
                             .lost = lost,
                             .request = slot->request};
  }
  cira__lock(&lane->lock);
  for (uint32_t i = 0; i < n; i++) {
    if (slots[i]->touch != NONE && !inherited(s, slots[i])) {
      touch_give(lane, slots[i]->touch);
    }
    slot_give(&table[lane->index], slots[i]);
  }
  cira__unlock(&lane->lock);
}

uint32_t cira_request_reap(cira_reaped_t *out) {
  cira_space_t *s = cira__far.space;
  if (s == NULL || atomic_load_explicit(&pending, memory_order_relaxed) == 0) {
    return 0;
  }
  slot_t *slots[CIRA_REAP_MAX];
  uint32_t n = 0;
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  for (uint32_t i = 0; i < LANES_MAX && n < CIRA_REAP_MAX; i++) {
    lane_t *lane = &s->lanes[i];
    if (atomic_load_explicit(&table[i].listed, memory_order_relaxed) == 0 ||
        !cira__trylock(&lane->lock)) {
      continue; /* who holds it looks at it himself */
    }
    uint32_t got = lane_reap(s, lane, slots, CIRA_REAP_MAX - n);
    if (got == 0 && lane->fabric != NULL) {
      int32_t done = lane->fabric->ops->poll(lane->fabric);
      lane->reads_unsent = 0;
      if (done < 0) {
        CIRA_LOG(CIRA_LOG_DEBUG, "far requests fail: %s",
                 cira_status_name(done)); /* each with its status */
      }
      got = lane_reap(s, lane, slots, CIRA_REAP_MAX - n);
    }
    cira__unlock(&lane->lock);
    hand_back(s, lane, slots, got, out + n);
    n += got;
  }
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return n;
}

uint32_t cira_request_pending(void) {
  return atomic_load_explicit(&pending, memory_order_relaxed);
}

/* An epoll of the lanes' descriptors, made again after a fork. */
int cira_request_fd(void) {
  cira_space_t *s = cira__far.space;
  if (s == NULL || s->direct) {
    return -1;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s); /* no fork meanwhile: a child finds the lock free */
  cira__lock(&watch.lock);
  if (watch.fd == 0 || watch.space != s || watch.generation != s->generation) {
    if (watch.fd > 0) {
      (void)close(watch.fd - 1);
    }
    int fd = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; fd >= 0 && i < s->lane_count; i++) {
      struct epoll_event event = {.events = EPOLLIN};
      int lane = s->lanes[i].fabric->ops->wait_fd(s->lanes[i].fabric);
      if (lane >= 0) {
        (void)epoll_ctl(fd, EPOLL_CTL_ADD, lane, &event);
      }
    }
    watch.fd = fd + 1;
    watch.space = s;
    watch.generation = s->generation;
  }
  int fd = watch.fd - 1;
  cira__unlock(&watch.lock);
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return fd;
}

/* ---- atomics without a request ------------------------------------------- */

/* Not seen by the thread sanitizer, which would fault with a lock of its own
 * held when the page is not here. */
__attribute__((disable_sanitizer_instrumentation)) static uint64_t
memory_atomic(void *at, const cira_request_t *r) {
  _Atomic uint64_t *word = at;
  uint64_t old = r->compare;
  switch (r->kind) {
  case CIRA_REQUEST_ADD:
    return atomic_fetch_add(word, r->operand);
  case CIRA_REQUEST_SWAP:
    return atomic_exchange(word, r->operand);
  default:
    atomic_compare_exchange_strong(word, &old, r->operand);
    return old;
  }
}

uint64_t cira_far_atomic_plain(const cira_request_t *r) {
  return memory_atomic(r->far, r);
}

bool cira_far_atomic(const cira_request_t *r, uint64_t *out_old) {
  cira_space_t *s = cira__far.space;
  uint64_t offset = (uint64_t)(uintptr_t)r->far - s->base;
  uint32_t w = cira_far_word(offset);
  if (state_of(w) == PAGE_MAPPED || state_of(w) == PAGE_EMPTY) {
    *out_old = memory_atomic(r->far, r); /* EMPTY: a fault of zeros */
    return true;
  }
  if (state_of(w) != PAGE_HOME || !s->direct) {
    return false;
  }
  uint64_t page = offset >> CIRA_PAGE_LOG2;
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  w = atomic_load_explicit(&s->words[page], memory_order_relaxed);
  bool ours = state_of(w) == PAGE_HOME && !s->regions[region_of(w)].frozen &&
              atomic_compare_exchange_strong(&s->words[page], &w,
                                             (w & ~W_STATE) | PAGE_BUSY);
  if (ours) {
    *out_old = memory_atomic(home_direct(s, region_of(w), page) +
                                 (offset & (CIRA_PAGE_BYTES - 1)),
                             r);
    cira__word_publish(s, page, w, false);
  }
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return ours;
}
