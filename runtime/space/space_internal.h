/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the space share: the page word, chunks, lanes, the table of
 * functions by which a mode owns the page table.
 *
 * Page word (32 bits, one per page of the range):
 *
 *    31          20 19    16 15       9 8      7    5 4       3        2    0
 *   +--------------+--------+----------+------+------+-------+--------+-------+
 *   | pins / epoch | credit |  region  | wait | heat | dirty | backed | state |
 *   +--------------+--------+----------+------+------+-------+--------+-------+
 *
 *   EMPTY    reads as zero; nothing at home.
 *   HOME     content is at home in `region`; the upper bits are the clock's
 *            epoch of the eviction, by which a quick return is recognised.
 *            Each quick return adds heat, and heat buys credit: rounds of the
 *            clock that the page is spared.
 *   BUSY     owned by one thread that installs, takes or discards it.
 *   LOADING  a read ahead is under way on the page's lane; whoever needs the
 *            page locks that lane and completes it.
 *   MAPPED   in the page table. `backed`: home has the content of the last
 *            write-back (the baseline); otherwise the baseline is zero.
 *
 * BUSY -> x is done by the owner only; everything else by compare and swap.
 *
 * Chunks (2 MiB) decide who fills missing pages:
 *   UNUSED   not handed out; not accessible above `top`.
 *   NATIVE   the kernel fills it (also with huge pages); the whole chunk is
 *            charged to the local budget. No fault costs anything here.
 *   MANAGED  missing pages come to us. A chunk becomes managed when the budget
 *            is used up and the clock arrives at it, and stays so.
 *
 * Lock order: gate (as reader) -> alloc -> evict -> lane -> slots. A thread
 * that holds a lane only tries `evict`. Holders have all signals blocked.
 */
#ifndef CIRA_SPACE_INTERNAL_H
#define CIRA_SPACE_INTERNAL_H

#include <pthread.h>

#include "fabric/fabric.h"
#include "profile/profile.h"
#include "space/control.h"
#include "space/space.h"

#define CHUNK_LOG2 21
#define CHUNK_BYTES (UINT64_C(1) << CHUNK_LOG2)           /* 2 MiB */
#define CHUNK_PAGES (1u << (CHUNK_LOG2 - CIRA_PAGE_LOG2)) /* 512 */
#define WINDOW_PAGES 256u /* of one clock step; divides CHUNK_PAGES */
#define LANES_MAX 8u
#define REGIONS_MAX 64u
#define LANE_OPS 128u      /* writes and discards in flight per lane */
#define READAHEAD_MAX 256u /* pages */
#define BLOCK_PAGES 64u    /* of the frame pool */
#define BLOCK_BYTES ((uint64_t)BLOCK_PAGES * CIRA_PAGE_BYTES)
#define TOUCHES 64u     /* pages on their way into the page table, per lane */
#define POOL_MAX 32u    /* blocks, 8 MiB */
#define POOL_RUN_MIN 4u /* shorter runs are copied by the kernel */
#define LINES_MAX 64u   /* granules of a page */

enum {
  PAGE_EMPTY = 0,
  PAGE_HOME = 1,
  PAGE_BUSY = 2,
  PAGE_MAPPED = 3,
  PAGE_LOADING = 4,
};
#define W_STATE 0x7u
#define W_BACKED (1u << 3)
#define W_DIRTY (1u << 4)
#define W_HEAT_SHIFT 5
#define W_HEAT (7u << W_HEAT_SHIFT)
#define W_WAITERS (1u << 8)
#define W_REGION_SHIFT 9
#define W_REGION (0x7fu << W_REGION_SHIFT)
#define W_CREDIT_SHIFT 16
#define W_CREDIT (15u << W_CREDIT_SHIFT)
#define W_CREDIT_ONE (1u << W_CREDIT_SHIFT)
#define W_PIN_SHIFT 20
#define W_PIN_ONE (1u << W_PIN_SHIFT)
#define W_PINS (0xfffu << W_PIN_SHIFT)
#define EPOCH_MASK 0xfffu

enum {
  CHUNK_UNUSED = 0,
  CHUNK_NATIVE = 1,
  CHUNK_TURNING = 2,
  CHUNK_MANAGED = 3
};

typedef _Atomic uint32_t word_t;

struct cira_far_read;

/* A set of pages of one clock window. */
typedef struct {
  uint64_t bits[WINDOW_PAGES / 64];
} page_set_t;
static inline bool set_has(const page_set_t *set, uint32_t i) {
  return (set->bits[i >> 6] >> (i & 63)) & 1;
}
static inline void set_add(page_set_t *set, uint32_t i) {
  set->bits[i >> 6] |= UINT64_C(1) << (i & 63);
}
static inline void set_remove(page_set_t *set, uint32_t i) {
  set->bits[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}

/* Pages of one clock window on their way out. */
typedef struct {
  uint64_t first;
  uint32_t n;
  page_set_t set, quiet, dirty;
  const uint8_t *content[WINDOW_PAGES];
  /* how they were taken, for drop */
  page_set_t in_place; /* still in the page table */
  bool any_aside;      /* something is in the side area */
  uint8_t *block[WINDOW_PAGES / POOL_RUN_MIN];
  uint8_t block_pages[WINDOW_PAGES / POOL_RUN_MIN];
  uint32_t block_count;
} taken_t;

/* The next run of `set` at or after *at: begins and ends with pages of the set,
 * and has only pages of `quiet` in between. Returns its length, 0 at the end.
 */
static inline uint32_t set_next_run(const page_set_t *set,
                                    const page_set_t *quiet, uint32_t n,
                                    uint32_t *at) {
  uint32_t i = *at;
  while (i < n && !set_has(set, i)) {
    i++;
  }
  *at = i;
  uint32_t last = i;
  for (uint32_t end = i; end < n; end++) {
    if (set_has(set, end)) {
      last = end + 1;
    } else if (quiet == NULL || !set_has(quiet, end)) {
      break;
    }
  }
  return last - i;
}

/* Way to own the page table of the range. All calls may run in a signal
 * handler except init, fini, fork_*. Page numbers count from the base. */
typedef struct {
  uint32_t size;
  const char *name;
  int signo;         /* the signal that carries faults; 0 = none */
  bool tracks_dirty; /* W_DIRTY tells; else take() tells */
  bool shares_fork;  /* mapped pages survive fork copy-on-write */
  cira_status_t (*probe)(void);
  cira_status_t (*init)(cira_space_t *s);
  void (*fini)(cira_space_t *s);
  /* Makes [page, page+n) accessible: native = the kernel fills it. */
  cira_status_t (*open)(cira_space_t *s, uint64_t page, uint64_t n,
                        bool native);
  /* native -> managed for one chunk; adds the pages found present to `present`
   * (CHUNK_PAGES bits). From the call on missing pages fault. */
  void (*manage)(cira_space_t *s, uint64_t chunk, uint64_t *present);
  /* Puts n pages of content into the table, atomically for the program.
   * clean: later writes must be noticed. */
  void (*install)(cira_space_t *s, uint64_t page, uint64_t n,
                  const uint8_t *src, bool clean);
  /* The same from a block of the pool, whose frames become the pages; returns
   * false when the frames stayed in the block (the pages are there all the
   * same). NULL: this mode has no pool. */
  bool (*install_block)(cira_space_t *s, uint64_t page, uint64_t n,
                        uint8_t *frames, bool clean);
  /* Makes a present page writable after a write fault (tracks_dirty only). */
  void (*make_writable)(cira_space_t *s, uint64_t page);
  /* Takes the pages of t->set away from the program, so that the content of
   * page i is stable at t->content[i]; fills t->dirty with the pages that may
   * have been written since install. Pages that cannot be taken now are removed
   * from t->set. Ranges may be handled at once only if all their pages are in
   * t->set or t->quiet (absent, and cannot appear). */
  void (*take)(cira_space_t *s, taken_t *t);
  /* Forgets what take took. */
  void (*drop)(cira_space_t *s, taken_t *t);
  /* Removes whatever is present in [page, page+n). */
  void (*forget)(cira_space_t *s, uint64_t page, uint64_t n);
  /* Wakes threads that the kernel holds back for these pages; may be NULL. */
  void (*wake)(cira_space_t *s, uint64_t page, uint64_t n);
  cira_status_t (*fork_child)(cira_space_t *s);
  cira_status_t (*fork_finish)(cira_space_t *s); /* may be NULL */
} map_ops_t;

extern const map_ops_t cira__map_sigbus, cira__map_thread, cira__map_sigsegv;

/* What one fetch brings: runs of neighbouring pages, with pages that are here
 * already in between. */
#define RUNS_MAX 16u
typedef struct {
  uint32_t region, count, total;
  uint64_t next; /* the page behind the last run */
  struct {
    uint64_t first;
    uint32_t n;
  } run[RUNS_MAX];
} span_t;

/* A connection to the home, with what is under way on it. */
typedef struct {
  cira_lock_t lock;
  cira_fabric_t *fabric;
  uint32_t index;
  /* writes and discards posted and not yet known to be done */
  cira_fabric_op_t ops[LANE_OPS];
  uint32_t op_head, op_tail;
  /* reads of far.c: not known to be done / of these, perhaps not sent yet */
  uint32_t reads_pending, reads_unsent;
  /* pages that requests bring (request.c); stale: home has changed since */
  uint32_t touches;
  struct {
    uint64_t page;
    bool used, stale;
  } touch[TOUCHES];
  uint8_t *bounce; /* READAHEAD_MAX pages for demand reads without a block */
  /* one read ahead */
  struct {
    bool active;
    span_t span;
    cira_fabric_op_t op[RUNS_MAX];
    uint8_t *buf;   /* where reads go when the pool has no block */
    uint8_t *block; /* a block of the pool, or NULL */
  } ahead;
} lane_t;

typedef struct {
  bool used;
  bool frozen; /* shared with a forked relative: never written */
  bool held;   /* kept alive for a child that is being forked */
  uint8_t *direct;
  cira_region_t handle[LANES_MAX];
  cira_ticket_t ticket; /* of the last fork_prepare */
} region_t;

#define STREAMS 16u
typedef struct {
  uint64_t next; /* page whose fault would continue the stream */
  uint32_t window;
  uint32_t ahead; /* pages of the last fetch beyond the one asked for */
  int32_t step;   /* +1 or -1 */
  uint32_t age;
} stream_t;

/* Pages that a stream has passed (passed.c). */
#define PASSED_RUNS 32u
typedef struct {
  uint64_t first, end;
  uint32_t epoch; /* of the clock, when it grew last */
  bool down;      /* the stream goes to lower addresses */
} passed_run_t;

#define GUARDS 64u

struct cira_space {
  uint64_t base, bytes, pages; /* the range */
  const map_ops_t *map;
  cira_space_options_t opt;
  char url[256];
  char token_file[256];

  word_t *words;                     /* pages */
  _Atomic uint8_t *chunk_state;      /* chunks */
  _Atomic uint16_t *chunk_resident;  /* pages mapped or loading, by chunk */
  _Atomic uint16_t *chunk_committed; /* pages committed, by chunk */

  /* allocation; guarded by alloc_lock */
  cira_lock_t alloc_lock;
  _Atomic uint64_t top_page; /* everything at or above was never handed out */
  uint64_t quota_bytes;      /* reserved at the server */
  uint64_t quota_inherited;  /* of these: by the parent, before the fork */
  uint32_t quota_region;     /* the region that carries our reservation */
  uint64_t committed_bytes;

  /* budget */
  uint64_t local_pages;
  _Atomic int64_t free_pages;
  int64_t low_pages;    /* evict ahead of need below this */
  uint32_t batch_pages; /* freed at a time */
  _Atomic uint32_t readahead_pages;

  /* clock; guarded by evict_lock */
  cira_lock_t evict_lock;
  uint64_t hand_page;
  taken_t taken;
  _Atomic uint32_t epoch;
  struct {
    cira_lock_t lock; /* only tried */
    uint32_t count;
    passed_run_t run[PASSED_RUNS]; /* the oldest first */
  } passed;

  /* fork gate: faults are readers, fork is the writer */
  _Atomic uint32_t active;
  _Atomic uint32_t gate;
  _Atomic uint32_t threads; /* of the program */

  /* framed access (far.c) */
  _Atomic bool any_managed; /* pages may be away */
  _Atomic uint32_t holds;   /* readers that keep addresses at home */
  uint32_t generation;      /* counts the forks behind this process */
  struct {
    _Atomic uint32_t readers; /* of home addresses, under way */
    _Atomic uint32_t taken;   /* 1: one thread's own, but for the last */
    uint32_t pad[14];
  } guards[GUARDS]; /* a line for each; here, since copies of this code share
                     * a space */

  /* home */
  lane_t *lanes;
  uint32_t lane_count;
  bool direct;
  region_t regions[REGIONS_MAX];
  uint32_t current_region;
  uint32_t region_serial; /* counts the regions that became current */

  /* baselines: hashes of the granules of mapped, backed pages */
  uint32_t granule_log2, granules; /* per page */
  uint32_t *slot_of;               /* page -> slot + 1 */
  uint64_t *slot_hash;             /* slot * granules */
  uint32_t *slot_free;             /* stack */
  uint32_t slot_free_count, slot_count;
  cira_lock_t slot_lock;
  uint64_t hash_key[16];

  /* page tables */
  int uffd, pagemap_fd;
  int pidfd;      /* of this process, for process_madvise; -1: one by one */
  uint8_t *zeros; /* READAHEAD_MAX pages that read as zero */
  uint8_t *side;  /* where scattered pages are moved; guarded by evict_lock */
  uint64_t side_bytes;
  struct {
    cira_lock_t lock;
    uint8_t *area;
    uint32_t hollow_count, full_count;
    uint8_t hollow[POOL_MAX], full[POOL_MAX];
    uint8_t lo[POOL_MAX], hi[POOL_MAX];
  } pool;
  uint8_t *view; /* second view (sigsegv) */
  int view_fd;
  pthread_t handler;
  int handler_stop_fd;

  /* the controller of read-ahead; guarded by stream_lock, but for the counts */
  cira_control_t control;
  struct {
    _Atomic uint64_t ahead, used; /* pages of recognised walks */
    _Atomic uint32_t faults;
    cira_control_input_t before; /* counts at the last step */
    uint64_t at_ns;
    int trace_fd; /* -1: none */
  } controlled;
  stream_t streams[STREAMS];
  cira_lock_t stream_lock;
  uint32_t stream_clock;

  cira_space_stats_t *stats;
  cira_space_stats_t own_stats;
  int fork_pipe[2];
  uint64_t fork_mask;
  uint32_t fork_current;
};

#define STAT_ADD(s, field, x)                                                  \
  __atomic_fetch_add(&(s)->stats->field, (uint64_t)(x), __ATOMIC_RELAXED)
#define STAT_SUB(s, field, x)                                                  \
  __atomic_fetch_sub(&(s)->stats->field, (uint64_t)(x), __ATOMIC_RELAXED)

static inline uint8_t *page_addr(const cira_space_t *s, uint64_t page) {
  return (uint8_t *)(uintptr_t)(s->base + (page << CIRA_PAGE_LOG2));
}
static inline uint64_t page_of(const cira_space_t *s, const void *p) {
  return ((uint64_t)(uintptr_t)p - s->base) >> CIRA_PAGE_LOG2;
}
static inline uint32_t state_of(uint32_t word) {
  return word & W_STATE;
}
static inline uint32_t region_of(uint32_t word) {
  return (word & W_REGION) >> W_REGION_SHIFT;
}
static inline lane_t *lane_of(cira_space_t *s, uint64_t page) {
  return &s->lanes[(page / CHUNK_PAGES) % s->lane_count];
}
/* The program may write to a taken page only if it has another thread. */
static inline bool single_threaded(const cira_space_t *s) {
  return atomic_load_explicit(&s->threads, memory_order_relaxed) <= 1;
}

/* watch.c: what this thread's fault, pin or hint has done so far; only kept
 * while a profile is recorded. */
typedef struct {
  uint64_t caller;
  uint32_t pages, hits;
  uint8_t flags, tier;
} watch_t;
extern __thread watch_t cira__watch;
CIRA_COLD uint64_t cira__watch_start(void);
/* Returns when it began; 0: nobody wants to know. */
static inline uint64_t watch_begin(void) {
  return cira__profile_on() ? cira__watch_start() : 0;
}
CIRA_COLD void cira__watch_end(uint64_t t0, uint8_t kind, const void *address,
                               uint64_t ip, bool write);
/* Counts reads of far.c (cira_far_tally). */
CIRA_COLD void cira__watch_read(uint32_t asked, uint32_t waited, uint32_t late);
/* A fault that interrupted the program there. */
CIRA_COLD void cira__watch_fault(uint64_t t0, const void *address,
                                 const void *ucontext, bool write);
/* Records it. ip 0: of a pin or hint, whoever called the runtime. */
static inline void watch_end(uint64_t t0, uint8_t kind, const void *address,
                             uint64_t ip, bool write) {
  if (CIRA_UNLIKELY(t0 != 0)) {
    cira__watch_end(t0, kind, address, ip, write);
  }
}
static inline void watch_pages(const cira_space_t *s, uint32_t pages) {
  if (cira__profile_on()) {
    cira__watch.pages += pages;
    cira__watch.tier =
        s->direct ? CIRA_PROFILE_TIER_DIRECT : CIRA_PROFILE_TIER_REMOTE;
  }
}
static inline void watch_hits(uint32_t hits, uint8_t flags) {
  if (cira__profile_on()) {
    cira__watch.hits += hits;
    cira__watch.flags |= flags;
  }
}

/* pager.c */
bool cira__pager_fault(cira_space_t *s, uint64_t page, bool write);
void cira__pager_enter(cira_space_t *s);
void cira__pager_leave(cira_space_t *s);
/* Leaves BUSY: publishes the new word (pins of the old one are kept when
 * keep_pins) and wakes whoever waits. */
void cira__word_publish(cira_space_t *s, uint64_t page, uint32_t word,
                        bool keep_pins);
void cira__word_wait(cira_space_t *s, uint64_t page, uint32_t seen);
/* Installs n neighbours that are claimed, paid for and lie in `frames`. */
void cira__pages_arrive(cira_space_t *s, uint64_t page, uint32_t n,
                        uint8_t *frames);
/* Completes the read ahead of a locked lane, if any. */
void cira__ahead_complete(cira_space_t *s, lane_t *lane);

/* readahead.c */
void cira__readahead_init(cira_space_t *s);
void cira__readahead_fini(cira_space_t *s);
/* Counts a fault; now and then lets the controller decide. */
void cira__readahead_fault(cira_space_t *s, uint64_t now_ns);

/* evict.c */
/* Frees at least `want` pages when `block`, else tries once. `held` is the lane
 * that the caller has locked, or NULL; with a held lane never blocks. */
void cira__evict(cira_space_t *s, uint64_t want, bool block, lane_t *held);
void cira__reserve(cira_space_t *s, uint64_t n);
bool cira__try_reserve(cira_space_t *s, uint64_t n);
void cira__release(cira_space_t *s, uint64_t n);
void cira__evict_all(cira_space_t *s);
/* Takes the chosen pages of one window out; returns how many. */
uint32_t cira__evict_window(cira_space_t *s, uint64_t first, uint32_t n,
                            bool forced, lane_t *held);
void cira__chunk_manage(cira_space_t *s, uint64_t chunk);

/* passed.c */
/* A stream has passed n pages. Cost: a look at PASSED_RUNS runs. */
void cira__passed_add(cira_space_t *s, uint64_t page, uint64_t n);
/* Evicts such pages, those passed first first, until `target` are free or none
 * is left. evict_lock is held; `held` as of cira__evict. */
void cira__passed_evict(cira_space_t *s, int64_t target, lane_t *held);

/* home.c */
cira_status_t cira__home_open(cira_space_t *s);
void cira__home_close(cira_space_t *s);
cira_status_t cira__home_lane_open(cira_space_t *s, uint32_t index);
/* Opens a fresh region and makes it the one that is written. */
cira_status_t cira__home_region_new(cira_space_t *s);
/* To be called with the lane locked whenever something is posted that changes
 * the home of a page: what was read before is old. */
static inline void cira__home_changes(lane_t *lane, uint64_t page) {
  for (uint32_t i = 0; CIRA_UNLIKELY(lane->touches != 0) && i < TOUCHES; i++) {
    lane->touch[i].stale |= lane->touch[i].used && lane->touch[i].page == page;
  }
}
/* Address of a page's home, or NULL when the fabric is not direct. */
static inline uint8_t *home_direct(const cira_space_t *s, uint32_t region,
                                   uint64_t page) {
  uint8_t *d = s->regions[region].direct;
  return d != NULL ? d + (page << CIRA_PAGE_LOG2) : NULL;
}
cira_status_t cira__home_post_read(cira_space_t *s, lane_t *lane,
                                   uint32_t region, uint64_t page, uint32_t n,
                                   void *dst, cira_fabric_op_t *op);
/* Waits for `op` on a locked lane; ends the process when the home is lost. */
void cira__home_wait(cira_space_t *s, lane_t *lane, cira_fabric_op_t *op);
/* Reads n pages of one region into dst. Locks the lane unless held. */
void cira__home_read(cira_space_t *s, uint32_t region, uint64_t page,
                     uint32_t n, void *dst, lane_t *held);
/* Sends what changed of a page; returns its new word without state and pins
 * (backed, region), or W_BACKED clear when it is all zero and never was home.
 */
uint32_t cira__home_write(cira_space_t *s, uint64_t page, uint32_t word,
                          const uint8_t *content, lane_t *held);
void cira__home_write_whole(cira_space_t *s, uint32_t region, uint64_t page,
                            const uint8_t *content, lane_t *held);
/* Writes bytes within one page, which the caller owns (BUSY). */
void cira__home_write_bytes(cira_space_t *s, uint32_t region, uint64_t page,
                            uint32_t offset, const void *from, uint32_t bytes);
void cira__home_discard(cira_space_t *s, uint32_t region, uint64_t page,
                        uint64_t n);
/* Pushes queued requests out and notices a dead server; cheap. */
void cira__home_poke(cira_space_t *s, lane_t *lane);
void cira__home_drain(cira_space_t *s);
CIRA_COLD _Noreturn void cira__home_lost(cira_space_t *s, cira_status_t status);

/* delta.c */
cira_status_t cira__delta_init(cira_space_t *s);
/* Remembers what the home has of a page that is being installed. */
void cira__delta_remember(cira_space_t *s, uint64_t page,
                          const uint8_t *content);
void cira__delta_forget(cira_space_t *s, uint64_t page);
/* Finds the changed runs of a page against its baseline:
 *   home  the home's bytes when they can be read directly, else NULL.
 * Fills out_offset/out_bytes (LINES_MAX entries); returns how many runs. */
uint32_t cira__delta_runs(cira_space_t *s, uint64_t page, bool backed,
                          const uint8_t *content, const uint8_t *home,
                          uint32_t *out_offset, uint32_t *out_bytes);
bool cira__is_zero(const uint8_t *p, uint64_t bytes);

/* pool.c */
uint32_t cira__pool_blocks(uint64_t local_pages);
void cira__pool_init(cira_space_t *s, uint8_t *area, uint32_t blocks);
/* A block without frames, or NULL; goes back by give (pages [0, pages) have
 * frames now) or by empty (whatever has a frame loses it). */
uint8_t *cira__pool_take_hollow(cira_space_t *s);
void cira__pool_give(cira_space_t *s, uint8_t *block, uint32_t pages);
void cira__pool_empty(cira_space_t *s, uint8_t *block);
void cira__pool_populate(uint8_t *p, uint32_t n);
/* n pages with frames, to be filled and moved; NULL when all are in use.
 * done: they were moved away, all of them if `moved`. */
uint8_t *cira__pool_frames(cira_space_t *s, uint32_t n);
void cira__pool_frames_done(cira_space_t *s, uint8_t *frames, uint32_t n,
                            bool moved);

/* far.c */
/* Posts a read on a locked lane. */
void cira__far_post_read(cira_space_t *s, lane_t *lane, uint32_t region,
                         struct cira_far_read *r);
/* Leaves one locked lane (and sends what was posted when that pays) for
 * another; either may be NULL. Returns `wanted`. */
lane_t *cira__far_lane_take(cira_space_t *s, lane_t *held, lane_t *wanted);
/* Waits until nobody is between cira_far_enter and _leave; the gate is shut. */
void cira__far_quiesce(cira_space_t *s);
/* Forgets all requests: the space is new. */
void cira__requests_reset(void);
/* In a forked child: readers, buffers and requests were the parent's. */
void cira__far_child(cira_space_t *s);

/* loop.c */
/* 1 while pages are lent to a loop of this thread: it is inside the gate. */
extern __thread uint32_t cira__lending;
/* Is the page lent to this thread? */
bool cira__loop_has(uint64_t page);

/* space.c */
void *cira__map_table(uint64_t bytes);
void cira__unmap_table(void *p, uint64_t bytes);
#endif
