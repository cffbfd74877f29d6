/* SPDX-License-Identifier: Apache-2.0
 *
 * The pager: what happens when a page is touched that is not here. One page or
 * a run of them is claimed (BUSY), frames are reserved, the content is fetched
 * from home or made of zeros, and the page table entry appears at once with the
 * whole content: no thread ever sees half a page.
 *
 * Runs in the thread that faulted, inside a signal handler with all signals
 * blocked, or in threads that pin pages with signals blocked by the entry.
 */
#include "space/space_internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- waiting ------------------------------------------------------------ */

static void futex_wait(word_t *word, uint32_t seen, uint64_t ns) {
  struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u),
                        .tv_nsec = (long)(ns % 1000000000u)};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &ts, NULL, 0);
}

static void futex_wake(word_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#define SPINS 100

void cira__word_wait(cira_space_t *s, uint64_t page, uint32_t seen) {
  word_t *word = &s->words[page];
  for (int i = 0; i < SPINS; i++) {
    cira__cpu_relax();
    if (atomic_load_explicit(word, memory_order_relaxed) != seen) {
      return;
    }
  }
  if ((seen & W_WAITERS) == 0) {
    uint32_t with = seen | W_WAITERS;
    if (!atomic_compare_exchange_strong(word, &seen, with)) {
      return;
    }
    seen = with;
  }
  futex_wait(word, seen, 1000000); /* woken by publish; 1 ms bounds a loss */
}

void cira__word_publish(cira_space_t *s, uint64_t page, uint32_t word,
                        bool keep_pins) {
  uint32_t old = atomic_load_explicit(&s->words[page], memory_order_relaxed);
  uint32_t next;
  do {
    next = keep_pins ? (word & ~W_PINS) | (old & W_PINS) : word;
    next &= ~W_WAITERS;
  } while (!atomic_compare_exchange_weak_explicit(
      &s->words[page], &old, next, memory_order_release,
      memory_order_relaxed)); /* pairs with: loads in fault and pin */
  if (CIRA_UNLIKELY(old & W_WAITERS)) {
    futex_wake(&s->words[page]);
  }
}

/* The gate: any number of faults, or one fork. */
void cira__pager_enter(cira_space_t *s) {
  for (;;) {
    atomic_fetch_add(&s->active, 1);
    uint32_t gate = atomic_load(&s->gate);
    if (CIRA_LIKELY(gate == 0) || cira__lending != 0) {
      return;
    }
    atomic_fetch_sub(&s->active, 1);
    futex_wait(&s->gate, gate, 1000000);
  }
}

void cira__pager_leave(cira_space_t *s) {
  atomic_fetch_sub(&s->active, 1);
}

/* ---- sequential detector ------------------------------------------------ */

/* Streams that have proved themselves outlive random faults in between. */
static uint32_t stream_worth(const stream_t *t) {
  return t->age + (t->window > 1 ? t->window * 32 : 0);
}

/* How many pages to fetch at `page`, and in which direction (*step). Pages that
 * continue a stream double its window. */
static uint32_t stream_window(cira_space_t *s, uint64_t page, int32_t *step,
                              bool *grown) {
  *step = 1;
  *grown = false;
  if (s->readahead_pages <= 1) {
    return 1;
  }
  cira__lock(&s->stream_lock);
  uint32_t now = ++s->stream_clock;
  stream_t *oldest = &s->streams[0];
  for (uint32_t i = 0; i < STREAMS; i++) {
    stream_t *t = &s->streams[i];
    bool up = page == t->next;
    bool down = t->window == 1 && page + 2 == t->next;
    if (t->step < 0) {
      up = false;
      down = page == t->next;
    }
    if (t->window != 0 && (up || down)) {
      STAT_ADD(s, pages_ahead_hit, t->ahead);
      watch_hits(t->ahead, 0);
      atomic_fetch_add_explicit(&s->controlled.used, t->ahead,
                                memory_order_relaxed);
      t->ahead = 0;
      t->step = up ? 1 : -1;
      t->window = (uint32_t)cira__min_u64(t->window * 2, s->readahead_pages);
      t->age = now;
      uint32_t window = t->window;
      *step = t->step;
      *grown = true;
      t->next = up ? page + window : page - window;
      cira__unlock(&s->stream_lock);
      return window;
    }
    if (stream_worth(t) < stream_worth(oldest)) {
      oldest = t;
    }
  }
  *oldest = (stream_t){.next = page + 1, .window = 1, .step = 1, .age = now};
  cira__unlock(&s->stream_lock);
  return 1;
}

/* Tells the stream how far it really came (a window can be cut short), beyond
 * pages that are here already; returns the page that would continue it. */
static uint64_t stream_moved(cira_space_t *s, uint64_t expected, uint64_t next,
                             int32_t step, uint32_t ahead) {
  uint64_t top = atomic_load_explicit(&s->top_page, memory_order_relaxed);
  for (uint32_t i = 0; i < READAHEAD_MAX && next < top; i++) {
    uint32_t w = atomic_load_explicit(&s->words[next], memory_order_relaxed);
    if (state_of(w) != PAGE_MAPPED) {
      break;
    }
    next += (uint64_t)(int64_t)step;
  }
  cira__lock(&s->stream_lock);
  for (uint32_t i = 0; i < STREAMS; i++) {
    if (s->streams[i].window != 0 && s->streams[i].next == expected) {
      s->streams[i].next = next;
      s->streams[i].ahead = ahead;
    }
  }
  cira__unlock(&s->stream_lock);
  return next;
}

/* ---- claiming ----------------------------------------------------------- */

/* Claims up to n pages from `page` on, upwards or downwards, that are in the
 * state of `like` (and region, when at home); the page itself is claimed
 * already. Returns the first page of the run and its length by out_n. */
static uint64_t claim_run(cira_space_t *s, uint64_t page, uint32_t like,
                          uint32_t n, int32_t step, uint32_t *out_n) {
  uint64_t chunk = page / CHUNK_PAGES, at = page;
  uint64_t top = atomic_load_explicit(&s->top_page, memory_order_relaxed);
  uint32_t got = 1;
  uint32_t mask = W_STATE | W_BACKED | W_REGION;
  while (got < n) {
    uint64_t next = at + (uint64_t)(int64_t)step;
    if (next / CHUNK_PAGES != chunk || next >= top) {
      break;
    }
    uint32_t w = atomic_load_explicit(&s->words[next], memory_order_relaxed);
    if ((w & mask) != (like & mask) ||
        (state_of(w) == PAGE_EMPTY && (w & W_PINS) != 0) ||
        !atomic_compare_exchange_strong(&s->words[next], &w,
                                        (w & ~W_STATE) | PAGE_BUSY)) {
      break;
    }
    at = next;
    got++;
  }
  *out_n = got;
  return step > 0 ? page : at;
}

static void count_in(cira_space_t *s, uint64_t page, uint32_t n) {
  atomic_fetch_add(&s->chunk_resident[page / CHUNK_PAGES], (uint16_t)n);
  uint64_t now = STAT_ADD(s, resident_pages, n) + n;
  if (now > __atomic_load_n(&s->stats->resident_pages_peak, __ATOMIC_RELAXED)) {
    __atomic_store_n(&s->stats->resident_pages_peak, now, __ATOMIC_RELAXED);
  }
}

/* Word of a page that has just arrived. A page that was gone for less than a
 * round of the clock, and is not merely the next of a stream, is hot: the more
 * often that happens, the more rounds it is spared. */
static uint32_t arrived(cira_space_t *s, uint32_t old, bool demanded) {
  static const uint8_t credit[8] = {0, 1, 2, 4, 8, 12, 15, 15};
  uint32_t w = PAGE_MAPPED | (old & (W_BACKED | W_REGION));
  if (demanded) {
    uint32_t gone = (atomic_load_explicit(&s->epoch, memory_order_relaxed) -
                     (old >> W_PIN_SHIFT)) &
                    EPOCH_MASK;
    if (gone <= 1) {
      uint32_t heat = (old & W_HEAT) >> W_HEAT_SHIFT;
      heat += heat < 7;
      STAT_ADD(s, refaults, 1);
      w |= heat << W_HEAT_SHIFT | (uint32_t)credit[heat] << W_CREDIT_SHIFT;
    }
  } else {
    w |= old & W_HEAT; /* fetched along with others: says nothing new */
  }
  return w;
}

/* ---- fetching ----------------------------------------------------------- */

/* Fresh memory: zeros, not write-tracked since it will be written. */
static void fill_zero(cira_space_t *s, uint64_t page, uint32_t old,
                      uint32_t window, int32_t step, uint32_t *out_n) {
  uint32_t n = 1;
  uint64_t first = claim_run(s, page, old, window, step, &n);
  cira__reserve(s, n);
  count_in(s, first, n);
  uint8_t *block =
      n >= POOL_RUN_MIN && n <= BLOCK_PAGES ? cira__pool_take_hollow(s) : NULL;
  if (block != NULL) { /* frames that the kernel has just cleared */
    cira__pool_populate(block, n);
    if (s->map->install_block(s, first, n, block, false)) {
      cira__pool_give(s, block, 0);
    } else {
      cira__pool_empty(s, block);
    }
  } else {
    s->map->install(s, first, n, s->zeros, false);
  }
  for (uint32_t i = 0; i < n; i++) {
    cira__word_publish(s, first + i, PAGE_MAPPED | W_DIRTY, true);
  }
  STAT_ADD(s, faults_zero, 1);
  watch_hits(0, CIRA_PROFILE_F_ZERO);
  *out_n = n;
}

/* Claims what one fetch is to bring, beginning with a page that is claimed
 * already. A stream steps over pages that are here. */
static void span_claim(cira_space_t *s, span_t *span, uint64_t page,
                       uint32_t old, uint32_t window, int32_t step,
                       bool stream) {
  uint64_t end = (page / CHUNK_PAGES + 1) * CHUNK_PAGES;
  uint64_t top = atomic_load_explicit(&s->top_page, memory_order_relaxed);
  end = cira__min_u64(end, top);
  span->region = region_of(old);
  span->count = 1;
  span->run[0].first = claim_run(s, page, old, window, step, &span->run[0].n);
  span->total = span->run[0].n;
  span->next = step > 0 ? page + span->total : page - span->total;
  if (!stream || step < 0) {
    return;
  }
  uint64_t at = span->next;
  while (at < end && span->total < window && span->count < RUNS_MAX) {
    uint32_t w = atomic_load_explicit(&s->words[at], memory_order_relaxed);
    if (state_of(w) == PAGE_MAPPED) {
      at++;
      continue;
    }
    if (state_of(w) != PAGE_HOME || region_of(w) != span->region ||
        !atomic_compare_exchange_strong(&s->words[at], &w,
                                        (w & ~W_STATE) | PAGE_BUSY)) {
      break;
    }
    uint32_t n;
    claim_run(s, at, w, window - span->total, 1, &n);
    span->run[span->count].first = at;
    span->run[span->count++].n = n;
    span->total += n;
    at += n;
    span->next = at;
  }
}

/* Lets go of claimed pages without fetching them. */
static void span_unclaim(cira_space_t *s, const span_t *span) {
  for (uint32_t r = 0; r < span->count; r++) {
    for (uint32_t i = 0; i < span->run[r].n; i++) {
      uint64_t page = span->run[r].first + i;
      uint32_t w = atomic_load(&s->words[page]);
      cira__word_publish(s, page, (w & ~W_STATE) | PAGE_HOME, false);
    }
  }
}

static void span_count(cira_space_t *s, const span_t *span, uint32_t demanded) {
  count_in(s, span->run[0].first, span->total);
  STAT_ADD(s, pages_in, span->total);
  watch_pages(s, span->total);
  STAT_ADD(s, pages_ahead, span->total - demanded);
  STAT_ADD(s, bytes_in, (uint64_t)span->total * CIRA_PAGE_BYTES);
}

/* Puts the pages of a span, which lie one behind the other in `frames` (a block
 * of the pool if `block`), into the page table. `wanted` was asked for. */
static void span_install(cira_space_t *s, const span_t *span, uint64_t wanted,
                         uint8_t *frames, bool block) {
  bool moved = true;
  for (uint32_t r = 0; r < span->count; r++) {
    uint64_t first = span->run[r].first;
    uint32_t n = span->run[r].n;
    for (uint32_t i = 0; i < n; i++) {
      cira__delta_remember(s, first + i,
                           frames + (uint64_t)i * CIRA_PAGE_BYTES);
    }
    if (block) {
      moved &= s->map->install_block(s, first, n, frames, true);
    } else {
      s->map->install(s, first, n, frames, true);
    }
    for (uint32_t i = 0; i < n; i++) {
      uint32_t w =
          atomic_load_explicit(&s->words[first + i], memory_order_relaxed);
      cira__word_publish(s, first + i, arrived(s, w, first + i == wanted),
                         false);
    }
    frames += (uint64_t)n * CIRA_PAGE_BYTES;
  }
  if (block) {
    cira__pool_frames_done(s, frames - (uint64_t)span->total * CIRA_PAGE_BYTES,
                           span->total, moved);
  }
}

/* Home is memory of this machine: long runs are copied into a block, single
 * pages by the kernel straight from home. */
static void fetch_direct(cira_space_t *s, const span_t *span, uint64_t wanted) {
  uint8_t *block = cira__pool_frames(s, span->total);
  if (block == NULL) {
    for (uint32_t r = 0; r < span->count; r++) {
      span_t one = {.count = 1, .total = span->run[r].n};
      one.run[0].first = span->run[r].first;
      one.run[0].n = span->run[r].n;
      span_install(s, &one, wanted,
                   home_direct(s, span->region, span->run[r].first), false);
    }
    return;
  }
  uint8_t *to = block;
  for (uint32_t r = 0; r < span->count; r++) {
    uint64_t bytes = (uint64_t)span->run[r].n << CIRA_PAGE_LOG2;
    memcpy(to, home_direct(s, span->region, span->run[r].first), bytes);
    to += bytes;
  }
  span_install(s, span, wanted, block, true);
}

/* Posts the reads of a span, one behind the other into `dst`. */
static void span_post(cira_space_t *s, lane_t *lane, const span_t *span,
                      uint8_t *dst, cira_fabric_op_t *ops) {
  for (uint32_t r = 0; r < span->count; r++) {
    cira_status_t status =
        cira__home_post_read(s, lane, span->region, span->run[r].first,
                             span->run[r].n, dst, &ops[r]);
    if (status != CIRA_OK) {
      cira__home_lost(s, status);
    }
    dst += (uint64_t)span->run[r].n << CIRA_PAGE_LOG2;
  }
  cira__home_poke(s, lane); /* out they go */
}

static void span_wait(cira_space_t *s, lane_t *lane, const span_t *span,
                      cira_fabric_op_t *ops) {
  for (uint32_t r = 0; r < span->count; r++) {
    cira__home_wait(s, lane, &ops[r]);
  }
}

void cira__pages_arrive(cira_space_t *s, uint64_t page, uint32_t n,
                        uint8_t *frames) {
  span_t span = {.count = 1, .total = n};
  span.run[0].first = page;
  span.run[0].n = n;
  span_count(s, &span, 0);
  span_install(s, &span, UINT64_MAX, frames, false);
}

void cira__ahead_complete(cira_space_t *s, lane_t *lane) {
  if (!lane->ahead.active) {
    return;
  }
  bool block = lane->ahead.block != NULL;
  span_wait(s, lane, &lane->ahead.span, lane->ahead.op);
  lane->ahead.active = false;
  span_install(s, &lane->ahead.span, UINT64_MAX,
               block ? lane->ahead.block : lane->ahead.buf, block);
}

static void fetch_remote(cira_space_t *s, const span_t *span, uint64_t wanted) {
  lane_t *lane = lane_of(s, span->run[0].first);
  cira_fabric_op_t ops[RUNS_MAX];
  uint64_t t0 = cira__now_ns();
  cira__lock(&lane->lock);
  uint8_t *block = cira__pool_frames(s, span->total);
  uint8_t *frames = block != NULL ? block : lane->bounce;
  span_post(s, lane, span, frames, ops);
  if (atomic_load_explicit(&s->free_pages, memory_order_relaxed) <
      s->low_pages) {
    cira__evict(s, s->batch_pages, false, lane); /* while the read travels */
  }
  span_wait(s, lane, span, ops);
  STAT_ADD(s, fabric_wait_ns, cira__now_ns() - t0);
  span_install(s, span, wanted, frames, block != NULL);
  cira__unlock(&lane->lock);
}

/* Asks for the window behind the one that has just been delivered, so that it
 * travels while the program uses this one. */
static void read_ahead(cira_space_t *s, uint64_t page, uint32_t window) {
  if (page >= atomic_load_explicit(&s->top_page, memory_order_relaxed) ||
      atomic_load_explicit(&s->chunk_state[page / CHUNK_PAGES],
                           memory_order_acquire) != CHUNK_MANAGED) {
    return;
  }
  lane_t *lane = lane_of(s, page);
  if (!cira__trylock(&lane->lock)) {
    return;
  }
  span_t *span = &lane->ahead.span;
  uint32_t w = atomic_load_explicit(&s->words[page], memory_order_relaxed);
  if (lane->ahead.active || state_of(w) != PAGE_HOME ||
      !atomic_compare_exchange_strong(&s->words[page], &w,
                                      (w & ~W_STATE) | PAGE_BUSY)) {
    cira__unlock(&lane->lock);
    return;
  }
  span_claim(s, span, page, w, window, 1, true);
  if (!cira__try_reserve(s, span->total)) {
    span_unclaim(s, span);
    cira__unlock(&lane->lock);
    return;
  }
  span_count(s, span, 0);
  lane->ahead.block = cira__pool_frames(s, span->total);
  span_post(s, lane, span,
            lane->ahead.block != NULL ? lane->ahead.block : lane->ahead.buf,
            lane->ahead.op);
  lane->ahead.active = true;
  atomic_fetch_add_explicit(&s->controlled.ahead, span->total,
                            memory_order_relaxed);
  for (uint32_t r = 0; r < span->count; r++) {
    for (uint32_t i = 0; i < span->run[r].n; i++) {
      uint64_t p = span->run[r].first + i;
      uint32_t busy = atomic_load(&s->words[p]);
      cira__word_publish(s, p, (busy & ~W_STATE) | PAGE_LOADING, false);
    }
  }
  cira__unlock(&lane->lock);
}

/* Fetches a page that is claimed by us (its word before was `old`), with what
 * is to come along. */
static void fill_home(cira_space_t *s, uint64_t page, uint32_t old,
                      uint32_t window, int32_t step, bool stream,
                      span_t *span) {
  span_claim(s, span, page, old, window, step, stream);
  cira__reserve(s, span->total);
  span_count(s, span, 1);
  uint64_t wanted = stream ? UINT64_MAX : page;
  if (s->direct) {
    fetch_direct(s, span, wanted);
  } else {
    fetch_remote(s, span, wanted);
  }
}

/* ---- the fault ---------------------------------------------------------- */

static void fill(cira_space_t *s, uint64_t page, uint32_t old) {
  int32_t step;
  bool grown;
  uint32_t window = stream_window(s, page, &step, &grown);
  uint64_t expected = step > 0 ? page + window : page - window;
  span_t span;
  if (state_of(old) == PAGE_EMPTY) {
    fill_zero(s, page, old, window, step, &span.total);
    span.next = step > 0 ? page + span.total : page - span.total;
    stream_moved(s, expected, span.next, step, 0);
    return;
  }
  fill_home(s, page, old, window, step, grown, &span);
  atomic_fetch_add_explicit(&s->controlled.ahead, span.total - 1,
                            memory_order_relaxed);
  uint64_t next = stream_moved(s, expected, span.next, step, span.total - 1);
  if (!s->direct && grown && step > 0) {
    read_ahead(s, next, window);
  }
}

/* A read ahead holds the page: deliver it, and keep the stream flowing. */
static void deliver(cira_space_t *s, uint64_t page) {
  lane_t *lane = lane_of(s, page);
  uint64_t t0 = cira__now_ns();
  uint64_t next = UINT64_MAX;
  uint32_t n = 0;
  cira__lock(&lane->lock);
  const span_t *span = &lane->ahead.span;
  if (lane->ahead.active) {
    if (page == span->run[0].first) {
      next = span->next;
      n = span->total;
    }
    cira__ahead_complete(s, lane);
  }
  cira__unlock(&lane->lock);
  STAT_ADD(s, fabric_wait_ns, cira__now_ns() - t0);
  if (n > 0) {
    STAT_ADD(s, pages_ahead_hit, n);
    watch_hits(n, CIRA_PROFILE_F_LATE);
    STAT_ADD(s, pages_ahead_late, n);
    atomic_fetch_add_explicit(&s->controlled.used, n, memory_order_relaxed);
    uint32_t window = (uint32_t)cira__min_u64(n * 2, s->readahead_pages);
    next = stream_moved(s, page, next, 1, 0);
    if (atomic_load(&s->free_pages) < (int64_t)window) {
      cira__evict(s, window, false, NULL);
    }
    read_ahead(s, next, window);
  }
}

/* True once the page is there, and writable if `write` says so. */
bool cira__pager_fault(cira_space_t *s, uint64_t page, bool write) {
  uint64_t chunk = page / CHUNK_PAGES;
  for (;;) {
    uint8_t kind =
        atomic_load_explicit(&s->chunk_state[chunk], memory_order_acquire);
    if (kind == CHUNK_UNUSED) {
      return false;
    }
    if (kind == CHUNK_NATIVE) {
      return true; /* the kernel fills it */
    }
    if (kind == CHUNK_TURNING) {
      sched_yield();
      continue;
    }
    uint32_t w = atomic_load_explicit(&s->words[page], memory_order_acquire);
    switch (state_of(w)) {
    case PAGE_MAPPED:
      if (s->map->tracks_dirty && write && (w & W_DIRTY) == 0) {
        if (!atomic_compare_exchange_strong(&s->words[page], &w,
                                            (w & ~W_STATE) | PAGE_BUSY)) {
          continue;
        }
        s->map->make_writable(s, page);
        cira__word_publish(s, page, w | W_DIRTY, true);
      }
      return true;
    case PAGE_BUSY:
      if (CIRA_UNLIKELY(cira__lending != 0 && cira__loop_has(page))) {
        cira__die("a handler of SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP "
                  "uses far memory at %p that the loop it interrupts writes; "
                  "compile this file without -fcira=far",
                  (void *)page_addr(s, page));
      }
      watch_hits(0, CIRA_PROFILE_F_BUSY);
      cira__word_wait(s, page, w);
      continue;
    case PAGE_LOADING:
      deliver(s, page);
      continue;
    default:
      if (atomic_compare_exchange_strong(&s->words[page], &w,
                                         (w & ~W_STATE) | PAGE_BUSY)) {
        fill(s, page, w);
        if (s->map->tracks_dirty && write && state_of(w) == PAGE_HOME) {
          continue; /* arrived read-only */
        }
        return true;
      }
    }
  }
}

/* The page table says missing, the page word says mapped: somebody dropped the
 * page behind our back (a raw madvise). The content is lost to the program by
 * its own doing: it reads as zero, as it would without us. */
static __thread uint64_t last_fault_page = UINT64_MAX;
static __thread uint32_t same_faults;

static void mend(cira_space_t *s, uint64_t page) {
  if (s->uffd < 0) {
    return; /* the content lives in the second view and is still there */
  }
  uint32_t w = atomic_load(&s->words[page]);
  if (state_of(w) == PAGE_MAPPED &&
      atomic_compare_exchange_strong(&s->words[page], &w,
                                     (w & ~W_STATE) | PAGE_BUSY)) {
    s->map->install(s, page, 1, s->zeros, false);
    cira__word_publish(s, page, w | W_DIRTY, true);
  }
}

static bool is_write(const void *ucontext) {
#if defined(__x86_64__)
  const ucontext_t *uc = ucontext;
  return (uc->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
  (void)ucontext;
  return true; /* unknown: treating a read as a write is only slower */
#endif
}

bool cira_space_fault(cira_space_t *s, int signo, const siginfo_t *info,
                      void *ucontext) {
  if (s == NULL || signo != s->map->signo || info->si_code <= 0 ||
      !cira_space_contains(info->si_addr)) {
    return false;
  }
#ifdef BUS_MCEERR_AR
  if (signo == SIGBUS &&
      (info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO)) {
    return false;
  }
#endif
  uint64_t page = page_of(s, info->si_addr);
  if (page >= atomic_load(&s->top_page)) {
    return false;
  }
  int saved_errno = errno;
  uint64_t t0 = cira__now_ns();
  uint64_t watched = watch_begin();
  cira__pager_enter(s);
  if (page != last_fault_page) {
    last_fault_page = page;
    same_faults = 0;
  } else if (++same_faults >= 8) {
    mend(s, page);
    same_faults = 0;
  }
  bool ours = cira__pager_fault(s, page, is_write(ucontext));
  if (ours && s->direct) {
    cira__home_poke(s, &s->lanes[0]);
    if (atomic_load_explicit(&s->free_pages, memory_order_relaxed) <
        s->low_pages) {
      cira__evict(s, s->batch_pages, false, NULL);
    }
  }
  cira__pager_leave(s);
  if (ours) {
    uint64_t now_ns = cira__now_ns();
    STAT_ADD(s, faults, 1);
    STAT_ADD(s, wait_ns, now_ns - t0);
    if (CIRA_UNLIKELY(watched != 0)) {
      cira__watch_fault(watched, info->si_addr, ucontext, is_write(ucontext));
    }
    cira__readahead_fault(s, now_ns);
  }
  errno = saved_errno;
  return ours;
}

/* ---- pins and hints ----------------------------------------------------- */

/* Pins one page; false when the program may not use it at all. */
static bool pin_page(cira_space_t *s, uint64_t page, bool write) {
  for (;;) {
    uint8_t kind = atomic_load(&s->chunk_state[page / CHUNK_PAGES]);
    uint32_t w = atomic_load(&s->words[page]);
    if ((w & W_PINS) == W_PINS) {
      sched_yield(); /* 4,095 pins on one page: wait for one to go */
      continue;
    }
    if (kind == CHUNK_NATIVE) {
      if (state_of(w) == PAGE_EMPTY &&
          atomic_compare_exchange_strong(&s->words[page], &w, w + W_PIN_ONE)) {
        /* Present from here on, also if the chunk turns managed meanwhile. */
        (void)*(volatile uint8_t *)page_addr(s, page);
        return true;
      }
      continue;
    }
    if (!cira__pager_fault(s, page, write)) {
      return false;
    }
    w = atomic_load(&s->words[page]);
    if (state_of(w) == PAGE_MAPPED &&
        atomic_compare_exchange_strong(&s->words[page], &w, w + W_PIN_ONE)) {
      return true;
    }
  }
}

static void unpin_pages(cira_space_t *s, uint64_t page, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) {
    atomic_fetch_sub(&s->words[page + i], W_PIN_ONE);
  }
}

uint64_t cira_space_pin(cira_space_t *s, const void *p, uint64_t bytes,
                        uint32_t flags) {
  if (s == NULL || bytes == 0 || !cira_space_contains(p)) {
    return bytes;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  uint64_t offset = (uint64_t)(uintptr_t)p & (CIRA_PAGE_BYTES - 1);
  uint64_t first = page_of(s, p);
  uint64_t n = (offset + bytes + CIRA_PAGE_BYTES - 1) >> CIRA_PAGE_LOG2;
  uint64_t limit = cira__max_u64(1, s->local_pages / 4);
  n = cira__min_u64(cira__min_u64(n, limit), s->pages - first);
  uint64_t got = 0;
  uint64_t watched = watch_begin();
  while (got < n && pin_page(s, first + got, (flags & CIRA_PIN_WRITE) != 0)) {
    got++;
  }
  STAT_ADD(s, pins, got);
  cira__pager_leave(s);
  watch_end(watched, CIRA_PROFILE_PIN, p, 0, (flags & CIRA_PIN_WRITE) != 0);
  cira__signals_restore(saved);
  if (got == 0) {
    return 0;
  }
  return cira__min_u64(bytes, (got << CIRA_PAGE_LOG2) - offset);
}

void cira_space_unpin(cira_space_t *s, const void *p, uint64_t bytes) {
  if (s == NULL || bytes == 0 || !cira_space_contains(p)) {
    return;
  }
  uint64_t offset = (uint64_t)(uintptr_t)p & (CIRA_PAGE_BYTES - 1);
  unpin_pages(s, page_of(s, p),
              (offset + bytes + CIRA_PAGE_BYTES - 1) >> CIRA_PAGE_LOG2);
}

/* Cuts [p, p+bytes) to the part of the range that is handed out. */
static uint64_t hint_pages(cira_space_t *s, const void *p, uint64_t bytes,
                           uint64_t *out_n) {
  *out_n = 0;
  if (s == NULL || bytes == 0 || !cira_space_contains(p)) {
    return 0;
  }
  uint64_t first = page_of(s, p), top = atomic_load(&s->top_page);
  uint64_t last =
      page_of(s, (const uint8_t *)p + cira__min_u64(bytes - 1, s->bytes - 1)) +
      1;
  last = cira__min_u64(last, top);
  *out_n = last > first ? last - first : 0;
  return first;
}

void cira_space_prefetch(cira_space_t *s, const void *p, uint64_t bytes) {
  uint64_t n, page = hint_pages(s, p, bytes, &n);
  if (n == 0) {
    return;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  n = cira__min_u64(n, s->local_pages / 4);
  uint64_t watched = watch_begin();
  for (uint64_t i = 0; i < n; i++) {
    if (atomic_load(&s->chunk_state[(page + i) / CHUNK_PAGES]) !=
        CHUNK_MANAGED) {
      continue;
    }
    uint32_t w = atomic_load(&s->words[page + i]);
    if (state_of(w) != PAGE_HOME ||
        !atomic_compare_exchange_strong(&s->words[page + i], &w,
                                        (w & ~W_STATE) | PAGE_BUSY)) {
      continue;
    }
    span_t span;
    fill_home(s, page + i, w,
              (uint32_t)cira__min_u64(n - i, s->readahead_pages), 1, true,
              &span);
    STAT_ADD(s, pages_ahead, 1);
    i = span.next - 1 - page;
  }
  cira__pager_leave(s);
  watch_end(watched, CIRA_PROFILE_HINT, p, 0, false);
  cira__signals_restore(saved);
}

void cira_space_evict_hint(cira_space_t *s, const void *p, uint64_t bytes) {
  uint64_t n, page = hint_pages(s, p, bytes, &n);
  if (n == 0) {
    return;
  }
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  cira__lock(&s->evict_lock);
  uint64_t end = page + n;
  while (page < end) {
    uint64_t chunk = page / CHUNK_PAGES;
    uint64_t here =
        cira__min_u64(end - page, WINDOW_PAGES - page % WINDOW_PAGES);
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_NATIVE) {
      cira__chunk_manage(s, chunk);
    }
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_MANAGED) {
      cira__evict_window(s, page, (uint32_t)here, true, NULL);
    }
    page += here;
  }
  cira__unlock(&s->evict_lock);
  cira__pager_leave(s);
  cira__signals_restore(saved);
}
