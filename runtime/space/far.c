/* SPDX-License-Identifier: Apache-2.0
 *
 * Framed access, see far.h. Locks: a lane's lock and BUSY words are held with
 * signals blocked and inside the fork gate, never while far memory is touched
 * plainly. Readers of home addresses only count themselves (guards), which a
 * fork waits for before it unmaps anything.
 */
#include "space/far.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "space/space_internal.h"

_Static_assert(PAGE_EMPTY == CIRA_FAR_EMPTY && PAGE_HOME == CIRA_FAR_HOME &&
                   PAGE_MAPPED == CIRA_FAR_MAPPED &&
                   W_STATE == CIRA_FAR_STATE &&
                   W_REGION_SHIFT == CIRA_FAR_REGION_SHIFT &&
                   W_REGION >> W_REGION_SHIFT == CIRA_FAR_REGION_MASK &&
                   CHUNK_MANAGED == CIRA_FAR_MANAGED &&
                   CHUNK_LOG2 == CIRA_FAR_CHUNK_LOG2 &&
                   READAHEAD_MAX == CIRA_FAR_ZERO_PAGES,
               "far.h repeats what inlined translation needs");

cira_far_t cira__far;

static void guards_init(void);

void cira_far_init(cira_space_t *s) {
  if (s == NULL) {
    memset(&cira__far, 0, sizeof cira__far);
    return;
  }
  cira__requests_reset();
  guards_init();
  cira__far.words = s->words;
  cira__far.chunk_state = s->chunk_state;
  cira__far.regions = (const uint8_t *)s->regions + offsetof(region_t, direct);
  cira__far.region_stride = sizeof(region_t);
  cira__far.zeros = s->zeros;
  cira__far.space = s;
  cira__far.direct = s->direct;
  cira__far.base = s->base;
  cira__far.bytes = s->bytes;
}

bool cira_far_any_managed(void) {
  const cira_space_t *s = cira__far.space;
  return s != NULL &&
         atomic_load_explicit(&s->any_managed, memory_order_acquire);
}

/* ---- guards --------------------------------------------------------------
 * A thread counts itself as a reader in a line of its own, so that plain stores
 * will do where the kernel has membarrier: the fork then pays for the fence of
 * all threads. Threads beyond the number of lines share the last one. */

static bool fences_elsewhere; /* membarrier works */
static pthread_key_t guard_key;
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static _Thread_local uint32_t my_guard = UINT32_MAX;
/* Of the space that has the line; initial-exec: one load. */
static _Thread_local
    __attribute__((tls_model("initial-exec"))) uint32_t my_life;
/* The count in the line, if plain stores will do. */
static _Thread_local
    __attribute__((tls_model("initial-exec"))) _Atomic uint32_t *my_readers;

static long barrier_of_all(int command) {
  return syscall(SYS_membarrier, command, 0, 0);
}

static void guard_end(void *at) {
  cira_space_t *s = cira__far.space;
  uint32_t mine = (uint32_t)(uintptr_t)at - 1;
  my_guard = UINT32_MAX;
  my_readers = NULL;
  if (s != NULL && my_life == cira__far.life) {
    atomic_store_explicit(&s->guards[mine].taken, 0, memory_order_release);
  }
}

static void guard_setup(void) {
  (void)pthread_key_create(&guard_key, guard_end);
}

/* A line for this thread, if there is one. */
CIRA_COLD static void guard_take(cira_space_t *s) {
  pthread_once(&guard_once, guard_setup);
  my_guard = GUARDS - 1;
  my_readers = NULL;
  for (uint32_t i = 0; i < GUARDS - 1; i++) {
    uint32_t none = 0;
    if (atomic_compare_exchange_strong(&s->guards[i].taken, &none, 1)) {
      my_guard = i;
      (void)pthread_setspecific(guard_key, (void *)(uintptr_t)(i + 1));
      my_readers = fences_elsewhere ? &s->guards[i].readers : NULL;
      break;
    }
  }
}

static void guards_init(void) {
  static _Atomic uint32_t lives;
  fences_elsewhere =
      barrier_of_all(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
  cira__far.life = atomic_fetch_add(&lives, 1) + 1;
}

static inline bool guard_is_plain(void) {
  return fences_elsewhere && my_guard < GUARDS - 1;
}

/* cira_far_enter where it takes plain stores and no waiting; false: not so. */
static inline bool enter_plainly(void) {
  _Atomic uint32_t *readers = my_readers;
  if (CIRA_UNLIKELY(readers == NULL || my_life != cira__far.life)) {
    return false;
  }
  uint32_t count = atomic_load_explicit(readers, memory_order_relaxed);
  atomic_store_explicit(readers, count + 1, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst); /* pairs with: quiesce */
  if (CIRA_LIKELY(atomic_load(&cira__far.space->gate) == 0)) {
    return true;
  }
  atomic_store_explicit(readers, count, memory_order_release);
  return false;
}

static inline void leave_plainly(void) {
  uint32_t count = atomic_load_explicit(my_readers, memory_order_relaxed);
  atomic_store_explicit(my_readers, count - 1, memory_order_release);
}

void cira_far_enter(void) {
  cira_space_t *s = cira__far.space;
  if (CIRA_UNLIKELY(s == NULL)) {
    return; /* nothing that could go */
  }
  if (CIRA_UNLIKELY(my_guard == UINT32_MAX || my_life != cira__far.life)) {
    my_life = cira__far.life;
    guard_take(s);
  }
  _Atomic uint32_t *readers = &s->guards[my_guard].readers;
  for (;;) {
    if (CIRA_LIKELY(guard_is_plain())) {
      atomic_store_explicit(
          readers, atomic_load_explicit(readers, memory_order_relaxed) + 1,
          memory_order_relaxed);
      atomic_signal_fence(memory_order_seq_cst); /* pairs with: quiesce */
    } else {
      atomic_fetch_add(readers, 1); /* pairs with: quiesce */
    }
    if (CIRA_LIKELY(atomic_load(&s->gate) == 0)) {
      return;
    }
    cira_far_leave();
    sched_yield(); /* another thread forks */
  }
}

void cira_far_leave(void) {
  cira_space_t *s = cira__far.space;
  if (CIRA_UNLIKELY(s == NULL)) {
    return;
  }
  _Atomic uint32_t *readers = &s->guards[my_guard].readers;
  if (CIRA_LIKELY(guard_is_plain())) {
    atomic_store_explicit(
        readers, atomic_load_explicit(readers, memory_order_relaxed) - 1,
        memory_order_release);
  } else {
    atomic_fetch_sub_explicit(readers, 1, memory_order_release);
  }
}

/* The gate is shut: who counts himself after the fence sees that, and who did
 * before is seen by us. */
void cira__far_quiesce(cira_space_t *s) {
  if (barrier_of_all(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 &&
      errno == EPERM) { /* nobody in this process is plain; or a forked child */
    (void)barrier_of_all(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    (void)barrier_of_all(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  }
  for (uint32_t i = 0; i < GUARDS; i++) {
    while (atomic_load(&s->guards[i].readers) != 0) {
      sched_yield();
    }
  }
}

void cira_far_hold(void) {
  if (cira__far.space != NULL) {
    cira_far_enter();
    atomic_fetch_add(&cira__far.space->holds, 1);
    cira_far_leave();
  }
}

void cira_far_unhold(void) {
  if (cira__far.space != NULL) {
    atomic_fetch_sub(&cira__far.space->holds, 1);
  }
}

/* ---- translation --------------------------------------------------------- */

/* True when `word` continues a run of pages like `first`. */
static bool continues(uint32_t first, uint32_t word) {
  uint32_t state = state_of(first);
  if (state == PAGE_HOME) {
    return state_of(word) == PAGE_HOME && region_of(word) == region_of(first);
  }
  if (state == PAGE_EMPTY) {
    return state_of(word) == PAGE_EMPTY;
  }
  return state_of(word) != PAGE_HOME && state_of(word) != PAGE_EMPTY;
}

static void run_outside(uint64_t at, cira_far_run_t *out) {
  bool below = at < cira__far.base;
  out->lo = below ? 0 : cira__far.base + cira__far.bytes;
  out->hi = below && cira__far.bytes != 0 ? cira__far.base : UINT64_MAX;
  out->delta = 0;
}

bool cira_far_run(const void *p, int64_t step, uint32_t pages_max,
                  cira_far_run_t *out) {
  uint64_t at = (uint64_t)(uintptr_t)p;
  uint64_t offset = at - cira__far.base;
  if (offset >= cira__far.bytes) {
    run_outside(at, out);
    return true;
  }
  uint32_t w = cira_far_word(offset);
  uint32_t state = state_of(w);
  if (state == PAGE_HOME && !cira__far.direct) {
    return false;
  }
  uint64_t page = offset >> CIRA_PAGE_LOG2;
  uint64_t lo = page, hi = page + 1;
  uint64_t limit = cira__min_u64(pages_max, CIRA_FAR_ZERO_PAGES);
  uint64_t pages = cira__far.bytes >> CIRA_PAGE_LOG2;
  while (hi - lo < limit) {
    uint64_t next = step >= 0 ? hi : lo - 1;
    if (next >= pages || !continues(w, cira_far_word(next << CIRA_PAGE_LOG2))) {
      break;
    }
    step >= 0 ? hi++ : lo--;
  }
  out->lo = cira__far.base + (lo << CIRA_PAGE_LOG2);
  out->hi = cira__far.base + (hi << CIRA_PAGE_LOG2);
  out->delta = 0;
  if (state == PAGE_HOME) {
    out->delta = (uint64_t)(uintptr_t)cira_far_home(w, 0) - cira__far.base;
  } else if (state == PAGE_EMPTY) {
    out->delta = (uint64_t)(uintptr_t)cira__far.zeros - out->lo;
  }
  return true;
}

/* ---- reading ------------------------------------------------------------- */

#define UNSENT_MAX 8u

/* Sends what was posted: at once when nothing is on its way, else eight
 * together (1.4 us of CPU time for a load over tcp:, 6 us when each is sent
 * alone); whoever waits sends the rest. */
static void lane_send(cira_space_t *s, lane_t *lane) {
  if (lane->reads_pending == lane->reads_unsent ||
      lane->reads_unsent >= UNSENT_MAX) {
    cira__home_poke(s, lane);
    lane->reads_unsent = 0;
  }
}

/* Leaves one lane for another; either may be NULL. */
lane_t *cira__far_lane_take(cira_space_t *s, lane_t *held, lane_t *wanted) {
  if (held != wanted) {
    if (held != NULL) {
      lane_send(s, held);
      cira__unlock(&held->lock);
    }
    if (wanted != NULL) {
      cira__lock(&wanted->lock);
    }
  }
  return wanted;
}

void cira__far_post_read(cira_space_t *s, lane_t *lane, uint32_t region,
                         cira_far_read_t *r) {
  cira_fabric_t *f = lane->fabric;
  uint64_t offset = (uint64_t)(uintptr_t)r->from - s->base;
  cira_status_t status;
  while ((status = f->ops->post_read(f, s->regions[region].handle[lane->index],
                                     offset, r->to, r->bytes, 0, &r->op)) ==
         CIRA_AGAIN) {
    int32_t done = f->ops->poll(f);
    if (done < 0) {
      cira__home_lost(s, done);
    }
  }
  if (status != CIRA_OK) {
    cira__home_lost(s, status);
  }
  r->state = CIRA_FAR_READ_POSTED;
  r->lane = lane->index;
  r->generation = s->generation;
  lane->reads_pending++;
  lane->reads_unsent++;
  STAT_ADD(s, bytes_in, r->bytes);
}

void cira_far_read_begin(cira_far_read_t *const *reads, uint32_t n) {
  cira_space_t *s = cira__far.space;
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  lane_t *held = NULL;
  for (uint32_t turn = 0; turn < s->lane_count; turn++) {
    for (uint32_t i = 0; i < n; i++) {
      cira_far_read_t *r = reads[i];
      uint64_t offset = (uint64_t)(uintptr_t)r->from - s->base;
      if (offset >= s->bytes) {
        r->state = CIRA_FAR_READ_PLAIN;
        continue;
      }
      lane_t *lane = lane_of(s, offset >> CIRA_PAGE_LOG2);
      if (lane->index != turn) {
        continue;
      }
      uint32_t w = cira_far_word(offset);
      if (state_of(w) == PAGE_HOME) {
        held = cira__far_lane_take(s, held, lane);
        cira__far_post_read(s, lane, region_of(w), r);
        if (cira__profile_on()) {
          cira__watch_read(1, 0, 0);
        }
      } else if (state_of(w) == PAGE_EMPTY) {
        memset(r->to, 0, r->bytes);
        r->state = CIRA_FAR_READ_DONE;
      } else {
        r->state = CIRA_FAR_READ_PLAIN;
      }
    }
  }
  cira__far_lane_take(s, held, NULL);
  cira__pager_leave(s);
  cira__signals_restore(saved);
}

#define PATIENCE_NS 50000u /* polling before sleeping with the lane held */

static void posted_wait(cira_space_t *s, cira_far_read_t *r) {
  lane_t *lane = &s->lanes[r->lane];
  uint64_t until = 0;
  cira_status_t status;
  for (;;) {
    cira__lock(&lane->lock);
    if (r->op.status == CIRA_PENDING) {
      int32_t done = lane->fabric->ops->poll(lane->fabric);
      if (done < 0) {
        cira__home_lost(s, done);
      }
      lane->reads_unsent = 0;
    }
    uint64_t now = cira__now_ns();
    if (until == 0) {
      until = now + PATIENCE_NS;
      if (cira__profile_on()) {
        cira__watch_read(0, 1, r->op.status == CIRA_PENDING);
      }
    }
    if (r->op.status == CIRA_PENDING && now >= until) {
      cira__home_wait(s, lane, &r->op);
    }
    status = r->op.status;
    lane->reads_pending -= status != CIRA_PENDING;
    cira__unlock(&lane->lock);
    if (status != CIRA_PENDING) {
      break;
    }
    cira__cpu_relax();
  }
  if (status != CIRA_OK) {
    cira__home_lost(s, status);
  }
}

void cira_far_read_wait(cira_far_read_t *r) {
  cira_space_t *s = cira__far.space;
  if (r->state == CIRA_FAR_READ_POSTED) {
    uint64_t saved = cira__signals_block();
    cira__pager_enter(s);
    bool lost = r->generation != s->generation; /* we are a forked child */
    if (!lost) {
      posted_wait(s, r);
    }
    cira__pager_leave(s);
    cira__signals_restore(saved);
    r->state = lost ? CIRA_FAR_READ_PLAIN : CIRA_FAR_READ_DONE;
  }
  if (r->state == CIRA_FAR_READ_PLAIN) {
    memcpy(r->to, r->from, r->bytes);
    r->state = CIRA_FAR_READ_DONE;
  }
}

/* A piece within one page. `to` is local memory. */
static inline void copy_piece(void *to, const void *p, uint32_t bytes) {
  bool plainly = enter_plainly();
  if (!plainly) {
    cira_far_enter();
  }
  const uint8_t *at = cira_far_at(p);
  if (at != NULL && at != p) {
    if (bytes == CIRA_LINE_BYTES) { /* the common one: moves, not a call */
      memcpy(to, at, CIRA_LINE_BYTES);
    } else {
      memcpy(to, at, bytes);
    }
  }
  if (plainly) {
    leave_plainly();
  } else {
    cira_far_leave();
  }
  if (at == p) {
    memcpy(to, p, bytes);
  } else if (at == NULL) {
    cira_far_read_t read = {.from = p, .to = to, .bytes = bytes};
    cira_far_read_t *reads[1] = {&read};
    cira_far_read_begin(reads, 1);
    cira_far_read_wait(&read);
  }
}

static __attribute__((noinline)) void copy_any(void *to, const void *p,
                                               uint64_t bytes) {
  if (!cira_far_is_far(p) || cira_far_is_far(to)) {
    memcpy(to, p, bytes); /* a far target may fault: plain on both sides */
    return;
  }
  while (bytes > 0) {
    uint64_t in_page =
        CIRA_PAGE_BYTES - ((uint64_t)(uintptr_t)p & (CIRA_PAGE_BYTES - 1));
    uint32_t n = (uint32_t)cira__min_u64(bytes, in_page);
    copy_piece(to, p, n);
    to = (uint8_t *)to + n;
    p = (const uint8_t *)p + n;
    bytes -= n;
  }
}

void cira_far_copy(void *to, const void *p, uint64_t bytes) {
  uint64_t in_page = (uint64_t)(uintptr_t)p & (CIRA_PAGE_BYTES - 1);
  if (CIRA_LIKELY(cira_far_is_far(p) && !cira_far_is_far(to) &&
                  bytes <= CIRA_PAGE_BYTES - in_page)) {
    copy_piece(to, p, (uint32_t)bytes);
  } else {
    copy_any(to, p, bytes);
  }
}

/* ---- writing ------------------------------------------------------------- */

bool cira_far_write(void *p, const void *from, uint32_t bytes) {
  cira_space_t *s = cira__far.space;
  if (!cira_far_is_far(p) || cira_far_is_far(from)) {
    return false;
  }
  uint64_t offset = (uint64_t)(uintptr_t)p - s->base;
  uint64_t page = offset >> CIRA_PAGE_LOG2;
  if (state_of(cira_far_word(offset)) != PAGE_HOME) {
    return false;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  uint32_t w = atomic_load_explicit(&s->words[page], memory_order_relaxed);
  bool done = false;
  if (state_of(w) == PAGE_HOME && !s->regions[region_of(w)].frozen &&
      atomic_compare_exchange_strong(&s->words[page], &w,
                                     (w & ~W_STATE) | PAGE_BUSY)) {
    uint32_t in_page = (uint32_t)(offset & (CIRA_PAGE_BYTES - 1));
    cira__home_write_bytes(s, region_of(w), page, in_page, from, bytes);
    cira__word_publish(s, page, w, false);
    done = true;
  }
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return done;
}

void cira_far_push(void) {
  cira_space_t *s = cira__far.space;
  if (s == NULL || s->direct) {
    return;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  for (uint32_t i = 0; i < s->lane_count; i++) {
    cira__lock(&s->lanes[i].lock);
    cira__home_poke(s, &s->lanes[i]);
    cira__unlock(&s->lanes[i].lock);
  }
  cira__pager_leave(s);
  cira__signals_restore(saved);
}

/* ---- many pages at once -------------------------------------------------- */

#define MANY 64u
#define MANY_BUFFERS 2u
typedef struct {
  uint64_t page;
  uint32_t word;
} claimed_t;

/* Where requested pages arrive before they are installed. */
static struct {
  cira_lock_t lock;
  uint8_t *pages;
} many_buffer[MANY_BUFFERS];

static void unclaim(cira_space_t *s, const claimed_t *c, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    cira__word_publish(s, c[i].page, c[i].word, false);
  }
}

/* Claims those of n pages that are at home, in order of their address. */
static uint32_t claim_home(cira_space_t *s, const void *const *addresses,
                           uint32_t n, claimed_t *out) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t offset = (uint64_t)(uintptr_t)addresses[i] - s->base;
    if (offset >= s->bytes) {
      continue;
    }
    uint64_t page = offset >> CIRA_PAGE_LOG2;
    uint32_t w = cira_far_word(offset);
    if (state_of(w) != PAGE_HOME ||
        !atomic_compare_exchange_strong(&s->words[page], &w,
                                        (w & ~W_STATE) | PAGE_BUSY)) {
      continue;
    }
    uint32_t at = count++;
    for (; at > 0 && out[at - 1].page > page; at--) {
      out[at] = out[at - 1];
    }
    out[at] = (claimed_t){page, w};
  }
  return count;
}

/* Length of the run of neighbours of one region and chunk at c[0]. */
static uint32_t neighbours(const claimed_t *c, uint32_t n) {
  uint32_t run = 1;
  while (run < n && c[run].page == c[0].page + run &&
         c[run].page % CHUNK_PAGES != 0 &&
         region_of(c[run].word) == region_of(c[0].word)) {
    run++;
  }
  return run;
}

static void many_direct(cira_space_t *s, const claimed_t *c, uint32_t n) {
  for (uint32_t i = 0, run; i < n; i += run) {
    run = neighbours(c + i, n - i);
    cira__pages_arrive(s, c[i].page, run,
                       home_direct(s, region_of(c[i].word), c[i].page));
  }
}

static void many_remote(cira_space_t *s, const claimed_t *c, uint32_t n,
                        uint8_t *buffer) {
  cira_far_read_t read[MANY];
  lane_t *held = NULL;
  for (uint32_t turn = 0; turn < s->lane_count; turn++) {
    for (uint32_t i = 0, run; i < n; i += run) {
      run = neighbours(c + i, n - i);
      lane_t *lane = lane_of(s, c[i].page);
      if (lane->index == turn) {
        held = cira__far_lane_take(s, held, lane);
        read[i].from = page_addr(s, c[i].page);
        read[i].to = buffer + (uint64_t)i * CIRA_PAGE_BYTES;
        read[i].bytes = run * CIRA_PAGE_BYTES;
        cira__far_post_read(s, lane, region_of(c[i].word), &read[i]);
      }
    }
  }
  cira__far_lane_take(s, held, NULL);
  for (uint32_t i = 0, run; i < n; i += run) {
    run = neighbours(c + i, n - i);
    posted_wait(s, &read[i]);
    STAT_SUB(s, bytes_in, read[i].bytes); /* pages_arrive counts them */
    cira__pages_arrive(s, c[i].page, run, read[i].to);
  }
}

static uint8_t *buffer_take(uint32_t *out_index) {
  for (uint32_t i = 0; i < MANY_BUFFERS; i++) {
    if (cira__trylock(&many_buffer[i].lock)) {
      if (many_buffer[i].pages == NULL) {
        many_buffer[i].pages = cira__map_table(MANY * CIRA_PAGE_BYTES);
      }
      if (many_buffer[i].pages != NULL) {
        *out_index = i;
        return many_buffer[i].pages;
      }
      cira__unlock(&many_buffer[i].lock);
    }
  }
  return NULL;
}

static bool room_for(cira_space_t *s, uint32_t n) {
  if (cira__try_reserve(s, n)) {
    return true;
  }
  cira__evict(s, n, false, NULL);
  return cira__try_reserve(s, n);
}

static void prefetch_batch(cira_space_t *s, const void *const *addresses,
                           uint32_t n) {
  claimed_t claimed[MANY];
  uint32_t buffer = 0;
  uint8_t *pages = NULL;
  if (!s->direct && (pages = buffer_take(&buffer)) == NULL) {
    return; /* others are at it; a hint may be dropped */
  }
  uint32_t count = claim_home(s, addresses, n, claimed);
  if (count > 0 && !room_for(s, count)) {
    unclaim(s, claimed, count);
  } else if (count > 0 && s->direct) {
    many_direct(s, claimed, count);
  } else if (count > 0) {
    many_remote(s, claimed, count, pages);
  }
  if (pages != NULL) {
    cira__unlock(&many_buffer[buffer].lock);
  }
}

void cira_space_prefetch_many(cira_space_t *s, const void *const *addresses,
                              uint32_t n) {
  if (s == NULL || n == 0) {
    return;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  uint64_t watched = watch_begin();
  uint32_t most = (uint32_t)cira__min_u64(
      MANY, cira__max_u64(1, s->local_pages / 8)); /* at a time */
  for (uint32_t i = 0; i < n; i += most) {
    prefetch_batch(s, addresses + i, (uint32_t)cira__min_u64(most, n - i));
  }
  cira__pager_leave(s);
  watch_end(watched, CIRA_PROFILE_HINT, addresses[0], 0, false);
  cira__signals_restore(saved);
}

/* ---- frames -------------------------------------------------------------- */

bool cira_far_frames_take(uint64_t pages) {
  cira_space_t *s = cira__far.space;
  if (s == NULL || pages == 0) {
    return s == NULL;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  bool got = room_for(s, (uint32_t)pages);
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return got;
}

void cira_far_frames_give(uint64_t pages) {
  if (cira__far.space != NULL) {
    cira__release(cira__far.space, pages);
  }
}

void *cira_far_local_alloc(uint64_t bytes) {
  return cira__map_table(cira__align_up(bytes, CIRA_PAGE_BYTES));
}

void cira_far_local_free(void *p, uint64_t bytes) {
  cira__unmap_table(p, cira__align_up(bytes, CIRA_PAGE_BYTES));
}

bool cira_far_is_usable(const void *p) {
  const cira_space_t *s = cira__far.space;
  uint64_t page = ((uint64_t)(uintptr_t)p - cira__far.base) >> CIRA_PAGE_LOG2;
  return cira_far_is_far(p) && page < atomic_load(&s->top_page) &&
         atomic_load(&s->chunk_state[page / CHUNK_PAGES]) != CHUNK_UNUSED;
}

uint64_t cira_far_local_pages(void) {
  return cira__far.space != NULL ? cira__far.space->local_pages : 0;
}

void cira__far_child(cira_space_t *s) {
  for (uint32_t i = 0; i < GUARDS; i++) {
    atomic_store(&s->guards[i].readers, 0); /* lines stay with their owners */
  }
  for (uint32_t i = 0; i < MANY_BUFFERS; i++) {
    memset(&many_buffer[i].lock, 0, sizeof many_buffer[i].lock);
  }
  s->generation++;
}
