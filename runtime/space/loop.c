/* SPDX-License-Identifier: Apache-2.0
 *
 * cira/loop.h: loops that reach far bytes where they are. Reading needs no
 * more than far.h says: what is at home is current, and the bytes that a loop
 * reads nobody writes meanwhile. A page that is written at home is BUSY while
 * it is: for one store (put), or for a block of a loop (walk: "lent to the
 * loop").
 *
 * Invariant: a page that is lent to a thread is never touched by that thread
 * under its own address: each walk that comes to it is told its home, whatever
 * it does there. While pages are lent the thread is inside the fork gate and
 * has its signals blocked but for those of its own faults; these pass the gate
 * (cira__lending), since the fork waits for us.
 *
 * Threads: any. The state of a block is its thread's.
 */
#include "cira/loop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/sys.h"
#include "space/loop_turn.h"
#include "space/space_internal.h"

#define BLOCK_PAGES_MAX 64u /* of one array, of one block */
#define PROMOTE 64u         /* a store in so many brings its page here */

_Static_assert(offsetof(cira_loop_view_t, pages) == 8 &&
                   offsetof(cira_loop_view_t, words) == 16 &&
                   offsetof(cira_loop_view_t, delta) == 24 &&
                   offsetof(cira_loop_view_t, mask) == 32 &&
                   offsetof(cira_loop_view_t, match) == 36 &&
                   offsetof(cira_loop_view_t, away) == 40 &&
                   offsetof(cira_loop_view_t, seen) == 48 &&
                   offsetof(cira_loop_view_t, seen_mask) == 56 &&
                   offsetof(cira_loop_view_t, again) == 64 &&
                   offsetof(cira_loop_view_t, left) == 72 &&
                   offsetof(cira_loop_view_t, work) == 80 &&
                   offsetof(cira_loop_view_t, timed) == 88 &&
                   sizeof(cira_loop_view_t) == 120,
               "compiled loops know the layout");
_Static_assert(offsetof(cira_loop_walk_t, stride) == 8 &&
                   offsetof(cira_loop_walk_t, bytes) == 16 &&
                   offsetof(cira_loop_walk_t, flags) == 20 &&
                   offsetof(cira_loop_walk_t, delta) == 24 &&
                   sizeof(cira_loop_walk_t) == 32,
               "compiled loops know the layout");

/* Pages, by number. */
typedef struct {
  uint64_t first, end;
} pages_t;

/* What this thread's block has taken. */
static __thread struct {
  uint32_t lent_count;
  uint32_t plain_count; /* written under their own addresses */
  uint64_t mask;        /* of signals, before */
  uint64_t away;        /* bytes that were walked at home, in this loop */
  pages_t lent[CIRA_LOOP_WALKS_MAX];
  pages_t plain[CIRA_LOOP_WALKS_MAX];
} block;
__thread uint32_t cira__lending;

/* The stream that this thread's walks are: the block at work. */
static __thread struct {
  const cira_loop_walk_t *walks;
  uint64_t at;    /* where the first walk goes on */
  uint64_t k;     /* iterations */
  uint64_t bytes; /* walked since it began */
} stream;

/* ---- loops ----------------------------------------------------------------
 */

#define SITES 128u
#define AWAY_NS                                                                \
  UINT64_C(2500) /* what a page away would have cost as a fault                \
                  */
#define AWAY_BYTES (CIRA_PAGE_BYTES / 2) /* and so many that were walked */
#define SOON_ITERATIONS 65536u           /* even if each of them faults */
#define FILL_PAGE_NS UINT64_C(8000)      /* to bring it, and push one out */

static __thread cira__loop_site_t site[SITES];
static __thread uint64_t wait_before; /* of faults, when a loop began last */

void cira__loops_forget(void) {
  memset(site, 0, sizeof site);
}

/* Pages that loops found away a short while ago, of several loops and threads:
 * a lost note is one more page counted. */
#define SEEN_TABLES 8u
#define SEEN_PAGES UINT64_C(8192)
static uint32_t seen[SEEN_TABLES][SEEN_PAGES];

/* As many as would be kept here, so that a page which comes up again later
 * than that counts again. */
static uint64_t seen_mask(const cira_space_t *s) {
  uint64_t pages = SEEN_PAGES;
  while (pages > s->local_pages / 2 && pages > 16) {
    pages /= 2;
  }
  return pages - 1;
}

static uint32_t site_of(uintptr_t loop) {
  return (uint32_t)((loop * UINT64_C(0x9E3779B97F4A7C15)) >> 56) % SITES;
}

/* Fills in what looking up needs; false: it cannot be done. */
static bool view_fill(cira_space_t *s, uintptr_t loop, cira_loop_view_t *view) {
  cira__pager_enter(s); /* a fork has ended, or has yet to begin */
  uint32_t region = s->current_region;
  const uint8_t *home = s->regions[region].direct;
  if (home != NULL) {
    atomic_fetch_add(&s->holds, 1);
    *view = (cira_loop_view_t){
        .base = s->base,
        .pages = s->pages,
        .words = (const uint32_t *)s->words,
        .delta = (uint64_t)(uintptr_t)home - s->base,
        .mask = W_STATE | W_REGION,
        .match = PAGE_HOME | region << W_REGION_SHIFT,
        .seen = seen[loop / 16 % SEEN_TABLES],
        .seen_mask = seen_mask(s),
        .work = view->work,
    };
    block.away = 0;
  }
  cira__pager_leave(s);
  return home != NULL;
}

/* The time, for differences. Faults that are handled where they happen are the
 * thread's own work; so a busy machine does not disturb long runs. */
static uint64_t now(const cira_space_t *s, bool own) {
  struct timespec t;
  if (!own || s->map->signo == 0 ||
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0) {
    return cira__now_ns();
  }
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What the end must know of a turn: in reserved[1], above it the site. */
enum {
  TURN_FINDS = 1,
  TURN_LONG = 2,
  TURN_VIEW = 4,  /* holds homes */
  TURN_TIMED = 8, /* otherwise the end is not told but for that */
  TURN_BITS = 4
};

static uint64_t waited(const cira_space_t *s) {
  return __atomic_load_n(&s->stats->wait_ns, __ATOMIC_RELAXED);
}

uint32_t cira_loop_begin(cira_loop_view_t *view) {
  cira_space_t *s = cira__space;
  uintptr_t loop = (uintptr_t)__builtin_return_address(0);
  uint32_t at = site_of(loop);
  bool near = (view->timed & CIRA_LOOP_NEAR) != 0;
  bool soon = (view->timed & CIRA_LOOP_DEALS) != 0 ||
              (view->work != 0 && view->work < SOON_ITERATIONS);
  view->left = INT64_MAX;
  view->timed = 0;
  if (s == NULL || !s->direct ||
      !atomic_load_explicit(&s->any_managed, memory_order_acquire)) {
    return 0;
  }
  cira__loop_turn_t turn = cira__loop_turn(&site[at], loop, near && soon);
  bool viewed = (turn.finds || near) && view_fill(s, loop, view);
  if (viewed ? false : turn.finds || !turn.timed) {
    return 0;
  }
  view->left = turn.timed ? turn.left : INT64_MAX;
  view->timed = 1;
  view->reserved[0] = (uint64_t)turn.left;
  view->reserved[1] = (uint64_t)at << TURN_BITS |
                      (turn.finds ? TURN_FINDS : 0) |
                      (turn.is_long ? TURN_LONG : 0) |
                      (viewed ? TURN_VIEW : 0) | (turn.timed ? TURN_TIMED : 0);
  view->reserved[2] = turn.timed ? now(s, turn.is_long) : 0;
  wait_before = waited(s);
  return turn.finds ? 1 : viewed ? CIRA_LOOP_NEAR : 0;
}

void cira_loop_end(const cira_loop_view_t *view) {
  cira_space_t *s = cira__space;
  uint32_t at = (uint32_t)(view->reserved[1] >> TURN_BITS) % SITES;
  uint64_t turn = view->reserved[1];
  bool finds = (turn & TURN_FINDS) != 0;
  if (s == NULL) {
    return;
  }
  if ((turn & TURN_VIEW) != 0) {
    atomic_fetch_sub(&s->holds, 1);
  }
  if ((turn & TURN_TIMED) == 0) {
    return;
  }
  cira__loop_run_t run = {
      .ns = now(s, (turn & TURN_LONG) != 0) - view->reserved[2],
      .work = view->reserved[0] - (uint64_t)view->left + view->work,
      .cut = view->left <= 0,
      .wait_ns = waited(s) - wait_before,
      .trial_ns = s->local_pages * FILL_PAGE_NS,
  };
  if (finds) {
    run.away_ns = (view->away + block.away / AWAY_BYTES) * AWAY_NS;
    block.away = 0;
  }
  cira__loop_ran(&site[at], finds, run);
}

/* ---- claims ---------------------------------------------------------------
 */

/* Makes a page at home ours. Inside the gate. */
static bool page_claim(cira_space_t *s, uint64_t page) {
  if (page >= s->pages ||
      atomic_load_explicit(&s->chunk_state[page / CHUNK_PAGES],
                           memory_order_acquire) != CHUNK_MANAGED) {
    return false;
  }
  uint32_t w = atomic_load_explicit(&s->words[page], memory_order_relaxed);
  return state_of(w) == PAGE_HOME && region_of(w) == s->current_region &&
         !s->regions[s->current_region].frozen &&
         atomic_compare_exchange_strong(&s->words[page], &w,
                                        (w & ~W_STATE) | PAGE_BUSY);
}

static void page_return(cira_space_t *s, uint64_t page) {
  uint32_t w = atomic_load_explicit(&s->words[page], memory_order_relaxed);
  cira__word_publish(s, page, (w & ~W_STATE) | PAGE_HOME, false);
  if (s->map->wake != NULL) {
    s->map->wake(s, page, 1);
  }
}

static bool has(const pages_t *set, uint32_t count, uint64_t page) {
  for (uint32_t i = 0; i < count; i++) {
    if (page >= set[i].first && page < set[i].end) {
      return true;
    }
  }
  return false;
}

bool cira__loop_has(uint64_t page) {
  return has(block.lent, block.lent_count, page);
}

/* ---- put ------------------------------------------------------------------
 */

static void copy_value(void *to, uint64_t value, uint32_t bytes) {
  uint8_t narrow = (uint8_t)value;
  uint16_t half = (uint16_t)value;
  uint32_t word = (uint32_t)value;
  switch (bytes) {
  case 1:
    memcpy(to, &narrow, sizeof narrow);
    break;
  case 2:
    memcpy(to, &half, sizeof half);
    break;
  case 4:
    memcpy(to, &word, sizeof word);
    break;
  default:
    memcpy(to, &value, sizeof value);
  }
}

/* Is this one of the stores that bring their page here? */
static bool is_to_stay(void) {
  static __thread uint32_t stores;
  return ++stores % PROMOTE == 0;
}

static bool put_home(cira_space_t *s, void *p, uint64_t value, uint32_t bytes) {
  uint64_t page = page_of(s, p);
  uint64_t in_page = (uint64_t)(uintptr_t)p & (CIRA_PAGE_BYTES - 1);
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  bool done = page_claim(s, page);
  if (done) {
    copy_value(home_direct(s, s->current_region, page) + in_page, value, bytes);
    page_return(s, page);
  }
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return done;
}

void cira_loop_put(void *p, uint64_t value, uint32_t bytes) {
  cira_space_t *s = cira__space;
  if (s == NULL || !s->direct || !cira_space_contains(p) || is_to_stay() ||
      !put_home(s, p, value, bytes)) {
    copy_value(p, value, bytes);
  }
}

/* ---- walks ----------------------------------------------------------------
 */

/* The signals by which a thread learns what it did itself. */
static uint64_t faults_mask(void) {
  static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  uint64_t mask = 0;
  for (size_t i = 0; i < CIRA_COUNT(own); i++) {
    mask |= UINT64_C(1) << (own[i] - 1);
  }
  return mask;
}

static void lending_begin(cira_space_t *s) {
  uint64_t blocked = ~faults_mask();
  (void)cira__sys_sigprocmask(SIG_BLOCK, &blocked, &block.mask);
  cira__pager_enter(s);
  cira__lending = 1;
}

static void lending_end(cira_space_t *s) {
  for (uint32_t i = 0; i < block.lent_count; i++) {
    for (uint64_t p = block.lent[i].first; p < block.lent[i].end; p++) {
      page_return(s, p);
    }
  }
  block.lent_count = block.plain_count = 0;
  if (cira__lending != 0) {
    cira__lending = 0;
    cira__pager_leave(s);
    (void)cira__sys_sigprocmask(SIG_SETMASK, &block.mask, NULL);
  }
}

static uint64_t magnitude(int64_t stride) {
  return stride < 0 ? -(uint64_t)stride : (uint64_t)stride;
}

/* How many of k elements begin in `pages`, the first of which does. */
static uint64_t count_within(const cira_space_t *s, const cira_loop_walk_t *w,
                             pages_t pages, uint64_t k) {
  uint64_t low = s->base + (pages.first << CIRA_PAGE_LOG2);
  uint64_t high = s->base + (pages.end << CIRA_PAGE_LOG2);
  uint64_t room = w->stride > 0 ? high - 1 - w->at : w->at - low;
  return cira__min_u64(k, room / magnitude(w->stride) + 1);
}

/* How a page is to be accessed in this block. */
typedef enum { PLAIN, HOME } way_t;

/* out_lent: it has become ours by this call. */
static way_t way_to_write(cira_space_t *s, uint64_t page, bool *out_lent) {
  bool ours = has(block.lent, block.lent_count, page);
  *out_lent = !ours && cira__lending != 0 &&
              !has(block.plain, block.plain_count, page) && page_claim(s, page);
  return ours || *out_lent ? HOME : PLAIN;
}

static way_t way_to_read(const cira_space_t *s, uint64_t page) {
  if (has(block.lent, block.lent_count, page)) {
    return HOME;
  }
  if (page >= s->pages || has(block.plain, block.plain_count, page) ||
      atomic_load_explicit(&s->chunk_state[page / CHUNK_PAGES],
                           memory_order_acquire) != CHUNK_MANAGED) {
    return PLAIN;
  }
  uint32_t w = atomic_load_explicit(&s->words[page], memory_order_acquire);
  return state_of(w) == PAGE_HOME && region_of(w) == s->current_region ? HOME
                                                                       : PLAIN;
}

static void extend(pages_t *pages, uint64_t page) {
  pages->first = cira__min_u64(pages->first, page);
  pages->end = cira__max_u64(pages->end, page + 1);
}

static void add(pages_t *set, uint32_t *count, pages_t pages) {
  if (pages.first < pages.end) {
    set[(*count)++] = pages;
  }
}

/* The pages of k elements, the first one first. */
static void pages_of_walk(const cira_space_t *s, const cira_loop_walk_t *w,
                          uint64_t k, uint64_t *out_first, uint64_t *out_last) {
  uint64_t last = w->at + (k - 1) * (uint64_t)w->stride;
  *out_first = (w->at - s->base) >> CIRA_PAGE_LOG2;
  *out_last = (last - s->base) >> CIRA_PAGE_LOG2;
}

static bool is_far(const cira_loop_walk_t *w) {
  return cira_space_contains((const void *)(uintptr_t)w->at);
}

static void set_delta(const cira_space_t *s, cira_loop_walk_t *w, way_t way) {
  const uint8_t *home = s->regions[s->current_region].direct;
  w->delta = way == HOME ? (uint64_t)(uintptr_t)home - s->base : 0;
}

/* How far a walk goes on in the way of its first page: returns how many of k
 * elements that are. */
static uint64_t run_to_read(const cira_space_t *s, cira_loop_walk_t *w,
                            uint64_t k) {
  uint64_t at, last;
  pages_of_walk(s, w, k, &at, &last);
  pages_t run = {at, at + 1};
  way_t way = way_to_read(s, at);
  while (at != last) {
    at = w->stride > 0 ? at + 1 : at - 1;
    if (way_to_read(s, at) != way) {
      break;
    }
    extend(&run, at);
  }
  set_delta(s, w, way);
  return count_within(s, w, run, k);
}

/* The same, and takes what it can. Pages that another walk has taken end a run
 * of our own, so that this is one range. */
static uint64_t run_to_write(cira_space_t *s, cira_loop_walk_t *w, uint64_t k) {
  uint64_t at, last;
  bool ours, lent;
  pages_of_walk(s, w, k, &at, &last);
  pages_t run = {at, at + 1};
  way_t way = way_to_write(s, at, &ours);
  while (at != last) {
    at = w->stride > 0 ? at + 1 : at - 1;
    way_t here = way_to_write(s, at, &lent);
    if (lent && !ours) {
      page_return(s, at);
    }
    if (here != way || lent != ours) {
      break;
    }
    extend(&run, at);
  }
  if (ours) {
    add(block.lent, &block.lent_count, run);
  } else if (way == PLAIN) {
    add(block.plain, &block.plain_count, run);
  }
  set_delta(s, w, way);
  return count_within(s, w, run, k);
}

/* The walks that write, or the others; returns how many of k iterations they
 * go on in one way. */
static uint64_t runs_of(cira_space_t *s, cira_loop_walk_t *walks, uint32_t n,
                        uint32_t writes, uint64_t k) {
  for (uint32_t i = 0; i < n; i++) {
    if ((walks[i].flags & CIRA_LOOP_WRITES) != writes) {
      continue;
    }
    walks[i].delta = 0;
    if (is_far(&walks[i]) && (walks[i].flags & CIRA_LOOP_PASSES) ==
                                 0) { /* all of an object is, or nothing */
      k = writes ? run_to_write(s, &walks[i], k) : run_to_read(s, &walks[i], k);
    }
  }
  return k;
}

/* What is lent comes first: reading follows that. */
static uint64_t block_set(cira_space_t *s, cira_loop_walk_t *walks, uint32_t n,
                          uint64_t k) {
  k = runs_of(s, walks, n, CIRA_LOOP_WRITES, k);
  return runs_of(s, walks, n, 0, k);
}

/* Would this thread, which holds pages, wait for one that another holds? Looked
 * at when all are taken: of two threads that might wait for each other, one
 * sees it. */
static bool might_wait(const cira_space_t *s, const cira_loop_walk_t *walks,
                       uint32_t n, uint64_t k) {
  for (uint32_t i = 0; i < n; i++) {
    uint64_t first, last;
    if (walks[i].delta != 0 || !is_far(&walks[i])) {
      continue;
    }
    pages_of_walk(s, &walks[i], k, &first, &last);
    for (uint64_t at = cira__min_u64(first, last);
         at <= cira__max_u64(first, last); at++) {
      if (state_of(atomic_load(&s->words[at])) == PAGE_BUSY) {
        return true;
      }
    }
  }
  return false;
}

/* ---- streams --------------------------------------------------------------
 */

/* The bytes of the k elements in front of w->at. */
static uint64_t bytes_behind(const cira_loop_walk_t *w, uint64_t k,
                             uint64_t *out_low) {
  uint64_t bytes = k * magnitude(w->stride);
  *out_low = w->stride > 0 ? w->at - bytes : w->at + magnitude(w->stride);
  return bytes;
}

/* The last block is over: what the loop has passed of it, under its own
 * addresses, may go. Not so what it began with, if that has room: loops that
 * come again find it here. */
static void leave_behind(cira_space_t *s, const cira_loop_walk_t *walks,
                         uint32_t n) {
  if (stream.walks != walks || stream.at != walks[0].at) {
    stream.bytes = 0; /* another one */
    return;
  }
  if (stream.bytes < s->local_pages * CIRA_PAGE_BYTES / 2) {
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    uint64_t low, bytes = bytes_behind(&walks[i], stream.k, &low);
    uint64_t in_page = low & (CIRA_PAGE_BYTES - 1);
    if (walks[i].delta != 0) {
      continue;
    }
    if (walks[i].stride > 0) { /* its page, too, is behind now */
      low -= in_page;
      bytes += in_page;
    } else {
      bytes += -(low + bytes) & (CIRA_PAGE_BYTES - 1);
    }
    cira_space_passed(s, (const void *)(uintptr_t)low, bytes);
  }
}

/* A block of k iterations begins: counts it, and brings what will be accessed
 * under its own address. */
static void go_ahead(cira_space_t *s, cira_loop_walk_t *walks, uint32_t n,
                     uint64_t k) {
  for (uint32_t i = 0; i < n; i++) {
    uint64_t low, bytes;
    walks[i].at += k * (uint64_t)walks[i].stride;
    bytes = bytes_behind(&walks[i], k, &low);
    block.away += walks[i].delta != 0 ? bytes : 0;
    stream.bytes += bytes;
    if ((walks[i].flags & CIRA_LOOP_PASSES) != 0) {
      cira_space_prefetch(s, (const void *)(uintptr_t)low, bytes);
    }
  }
  stream.walks = walks;
  stream.at = walks[0].at;
  stream.k = k;
}

uint64_t cira_loop_walk(cira_loop_walk_t *walks, uint32_t n, uint64_t left) {
  cira_space_t *s = cira__space;
  uint64_t most = left;
  bool writes = false;
  if (s == NULL) { /* ended meanwhile, which is against the rules */
    return left;
  }
  lending_end(s);
  leave_behind(s, walks, n);
  for (uint32_t i = 0; i < n; i++) {
    uint64_t pages = BLOCK_PAGES_MAX << CIRA_PAGE_LOG2;
    writes |= (walks[i].flags & CIRA_LOOP_WRITES) != 0;
    most = cira__min_u64(most, pages / magnitude(walks[i].stride) + 1);
  }
  cira__pager_enter(s); /* regions stay what they are */
  if (writes && s->map->signo != 0) {
    lending_begin(s);
  }
  uint64_t k = block_set(s, walks, n, most);
  if (block.lent_count > 0 && might_wait(s, walks, n, k)) {
    lending_end(s);
    k = block_set(s, walks, n, most);
  }
  if (block.lent_count == 0) {
    lending_end(s);
  }
  cira__pager_leave(s);
  go_ahead(s, walks, n, k);
  return k;
}

void cira_loop_walk_end(void) {
  if (cira__space != NULL) {
    lending_end(cira__space);
  }
}
