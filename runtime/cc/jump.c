/* SPDX-License-Identifier: Apache-2.0
 * Jump pointers for lists: a walk writes down the nodes it comes to, later
 * walks of the list prefetch along that order some nodes ahead.
 *
 * A table is a row of chunks of 256 KiB; a cursor tells by its address which
 * entry it stands behind. Every 256 nodes the entry of the node that the walk
 * is at is compared: a list that was changed in a few places is found again
 * nearby, and a table that is wrong too often is dropped.
 *
 * A table is only written where the walk waits for its nodes, and goes again if
 * walks along it are not faster: what a walk is given to do between two calls
 * is timed, with and without a table (pace.h).
 *
 * Invariant: what a cursor may point to is readable forever. Chunks are never
 * unmapped; when a table goes, their memory is given back (they read as zero)
 * and any thread may use them again. A cursor of a walk that was forgotten, or
 * that goes on in another thread, so does no harm: whatever it says is checked,
 * and only ever prefetched.
 *
 * Threading: tables belong to a thread and go with it; the pool of chunks has
 * a lock that nobody waits for. A signal handler that comes while its thread is
 * in here gets no table. Reading order: pool, tables, threads, a walk. */
#include "cc/cc.h"
#include "cc/pace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define HIDDEN __attribute__((visibility("hidden")))

enum {
  block = cira__jump_block,
  block_bytes = cira__jump_block_bytes,
  chunk_bytes = 256 << 10, /* with one block for its head */
  chunk_entries = chunk_bytes / 8 - block,
  chunks_at_once = 16, /* mapped together: 4 MiB */
  memory_part = 32,    /* of physical memory for all tables */
  tables_max = 16,     /* per thread */
  threads_max = 1024,
  first_search = 4 * block, /* entries that may be the first node */
  near_search = block,      /* a node is looked for so far around */
  misses_max = 4,           /* in a row, and the table goes */
  wasted_free = 3,          /* tables that nobody used */
  wasted_max = 16 + wasted_free,
  tries_free = 3, /* walks that turned out not to wait */
  tries_max = 4 + tries_free,
  lost_max = 16, /* tables that made walks no faster */
  sites = 256,
  paces = 8,
  distance_max = 240
};

typedef struct chunk {
  struct chunk *next, *prev;
  struct table *table; /* NULL: free */
  uint64_t first;      /* number of its first entry */
  char pad[block_bytes - 3 * sizeof(void *) - sizeof(uint64_t)];
  void *entry[chunk_entries];
} chunk_t;
_Static_assert(sizeof(chunk_t) == chunk_bytes, "a chunk is all of its memory");

typedef struct table {
  chunk_t *first, *last; /* NULL: no table */
  uint64_t count;        /* entries */
  uint64_t used;         /* by the thread's clock */
  uint64_t nodes_min;
  const void *site; /* where it was written */
  uint32_t misses;  /* in a row */
  uint32_t resyncs; /* since it was written */
  cira__pace_race_t race;
  struct thread *thread;
} table_t;

/* Some nodes in the midst of a table are walked without it, to be timed. */
typedef struct sample {
  table_t *table; /* NULL: none */
  chunk_t *from;  /* of the table, in front of the number */
  uint64_t number, start;
} sample_t;

typedef struct thread {
  struct thread *next; /* in the list of free ones */
  volatile uint32_t busy;
  uint64_t clock;
  table_t *writing;    /* the table that a walk writes now; NULL: none */
  table_t *tail;       /* the table whose end a walk has come near; or NULL */
  const void *probing; /* the site that looks again after a block; or NULL */
  sample_t sample;
  uint32_t fixed, turn;      /* for tests, see cc.h */
  cira__pace_t paces[paces]; /* of walks that count, by site */
  table_t tables[tables_max];
} thread_t;

/* What cira_jump_step returns when it returns no cursor. */
#define WRITE 1u           /* called again at the next node */
#define LOOK_AGAIN 256u    /* nodes */
#define NOTHING UINT32_MAX /* nodes: never */

/* A site that writes tables nobody uses pauses, longer each time. */
typedef struct site {
  _Atomic uint32_t skip, wasted, tries, lost;
} site_t;

static struct {
  atomic_flag lock;        /* of whoever takes from the two lists */
  _Atomic(chunk_t *) free; /* put in front by anybody */
  _Atomic(thread_t *) free_threads;
  uint32_t threads;
  uint64_t chunks, chunks_max; /* mapped; 0 max: not known yet */
  _Atomic uint32_t key_state;  /* 0 none, 1 being made, 2 there, 3 never */
  pthread_key_t key;
  _Atomic uint32_t tables; /* of all threads */
  site_t sites[sites];
} all = {.lock = ATOMIC_FLAG_INIT};

/* ---- pool -----------------------------------------------------------------
 */

static bool try_lock(void) {
  return !atomic_flag_test_and_set_explicit(&all.lock, memory_order_acquire);
}

static void unlock(void) {
  atomic_flag_clear_explicit(&all.lock, memory_order_release);
}

static uint64_t chunks_allowed(void) {
  struct sysinfo info;
  uint64_t bytes = 1ull << 30;
  if (sysinfo(&info) == 0) {
    bytes = (uint64_t)info.totalram * info.mem_unit;
  }
  return 1 + bytes / memory_part / chunk_bytes;
}

/* Puts a chunk in front of the free ones; anybody may. */
static void chunk_put(chunk_t *chunk) {
  chunk_t *head = atomic_load_explicit(&all.free, memory_order_relaxed);
  do {
    chunk->next = head;
  } while (!atomic_compare_exchange_weak_explicit(
      &all.free, &head, chunk, memory_order_release, memory_order_relaxed));
}

/* Takes the first free one; lock held, so nobody takes it and puts it back
 * in between. */
static chunk_t *chunk_take(void) {
  chunk_t *head = atomic_load_explicit(&all.free, memory_order_acquire);
  while (head && !atomic_compare_exchange_weak_explicit(
                     &all.free, &head, head->next, memory_order_acquire,
                     memory_order_acquire)) {
  }
  return head;
}

/* More chunks, one behind the other and aligned; lock held. */
static void map_chunks(void) {
  size_t bytes = (size_t)(chunks_at_once + 1) * chunk_bytes;
  char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    all.chunks_max = all.chunks; /* and never again */
    return;
  }
  char *aligned = (char *)(((uintptr_t)at + chunk_bytes - 1) &
                           ~(uintptr_t)(chunk_bytes - 1));
  /* A walk that writes few entries should not clear a huge page. */
  (void)madvise(at, bytes, MADV_NOHUGEPAGE);
  for (int i = chunks_at_once - 1; i >= 0; i--) {
    chunk_put((chunk_t *)(void *)(aligned + (size_t)i * chunk_bytes));
  }
  all.chunks += chunks_at_once;
}

/* A chunk of zeroes; NULL: none is to be had now. */
static chunk_t *chunk_get(void) {
  if (!try_lock()) {
    return NULL;
  }
  if (!all.chunks_max) {
    all.chunks_max = chunks_allowed();
  }
  chunk_t *chunk = chunk_take();
  if (!chunk && all.chunks + chunks_at_once <= all.chunks_max) {
    map_chunks();
    chunk = chunk_take();
  }
  unlock();
  if (chunk) {
    chunk->next = NULL;
  }
  return chunk;
}

/* Gives a row of chunks back, and their memory. */
static void chunks_put(chunk_t *chunk) {
  while (chunk) {
    chunk_t *next = chunk->next;
    chunk->table = NULL;
    (void)madvise(chunk, chunk_bytes, MADV_DONTNEED);
    chunk_put(chunk);
    chunk = next;
  }
}

/* ---- tables ---------------------------------------------------------------
 */

static void table_drop(table_t *t) {
  thread_t *thread = t->thread;
  if (!t->first) {
    return;
  }
  chunk_t *first = t->first;
  *t = (table_t){.thread = thread};
  thread->writing = thread->writing == t ? NULL : thread->writing;
  thread->tail = thread->tail == t ? NULL : thread->tail;
  if (thread->sample.table == t) {
    thread->sample.table = NULL;
  }
  atomic_fetch_sub_explicit(&all.tables, 1, memory_order_relaxed);
  chunks_put(first);
}

static bool table_append(table_t *t, const void *node) {
  chunk_t *last = t->last;
  uint64_t at = last ? t->count - last->first : 0;
  if (!last || at == chunk_entries) {
    chunk_t *more = chunk_get();
    if (!more) {
      return false;
    }
    if (last) {
      (void)madvise(more, chunk_bytes, MADV_POPULATE_WRITE);
      last->next = more;
    } else {
      t->first = more;
      atomic_fetch_add_explicit(&all.tables, 1, memory_order_relaxed);
    }
    more->prev = last;
    more->table = t;
    more->first = t->count;
    t->last = last = more;
    at = 0;
  }
  last->entry[at] = (void *)(uintptr_t)node;
  t->count++;
  return true;
}

/* Entry `number`, which the table has, seen from a chunk of it. */
static void **entry_at(chunk_t *from, uint64_t number) {
  while (number < from->first) {
    from = from->prev;
  }
  while (number >= from->first + chunk_entries) {
    from = from->next;
  }
  return &from->entry[number - from->first];
}

/* The number of the entry with this node, in [begin, end), the nearest to
 * `near`; UINT64_MAX: none. */
static uint64_t table_find(const table_t *t, chunk_t *from, const void *node,
                           uint64_t begin, uint64_t end, uint64_t near) {
  uint64_t found = UINT64_MAX, least = UINT64_MAX;
  end = end < t->count ? end : t->count;
  for (uint64_t i = begin; i < end; i++) {
    uint64_t away = i < near ? near - i : i - near;
    if (*entry_at(from, i) == node && away < least) {
      found = i;
      least = away;
    }
  }
  return found;
}

/* ---- threads --------------------------------------------------------------
 */

/* Older C libraries have these in another library, which may not be there. */
#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 34)
#pragma weak pthread_key_create
#pragma weak pthread_key_delete
#pragma weak pthread_getspecific
#pragma weak pthread_setspecific
#define HAS_KEYS (pthread_key_create != NULL)
#else
#define HAS_KEYS true
#endif

/* Keys from here on make glibc allocate memory, which may not be done here: the
 * list may be malloc's own. */
enum { key_end = 32 };

static void thread_end(void *data) {
  thread_t *thread = data;
  for (int i = 0; i < tables_max; i++) {
    table_drop(&thread->tables[i]);
  }
  thread_t *head =
      atomic_load_explicit(&all.free_threads, memory_order_relaxed);
  do {
    thread->next = head;
  } while (!atomic_compare_exchange_weak_explicit(&all.free_threads, &head,
                                                  thread, memory_order_release,
                                                  memory_order_relaxed));
}

static bool key_make(void) {
  uint32_t none = 0;
  if (!HAS_KEYS) {
    return false;
  }
  if (!atomic_compare_exchange_strong(&all.key_state, &none, 1)) {
    return none == 2;
  }
  uint32_t state = 3;
  if (pthread_key_create(&all.key, thread_end) == 0) {
    state = all.key < key_end ? 2 : 3;
    if (state == 3) {
      pthread_key_delete(all.key);
    }
  }
  atomic_store(&all.key_state, state);
  return state == 2;
}

/* A shared object may be unloaded, or the program ends: no thread may call us
 * any more, and cursors read zeroes. */
__attribute__((destructor)) static void unload(void) {
  if (atomic_exchange(&all.key_state, 3) != 2) {
    return;
  }
  thread_t *thread = pthread_getspecific(all.key);
  pthread_key_delete(all.key);
  if (thread) {
    thread_end(thread);
  }
}

static thread_t *thread_get(void) {
  if (atomic_load_explicit(&all.key_state, memory_order_acquire) != 2) {
    return NULL;
  }
  return pthread_getspecific(all.key);
}

static thread_t *thread_make(void) {
  thread_t *thread = NULL;
  if ((atomic_load_explicit(&all.key_state, memory_order_acquire) != 2 &&
       !key_make()) ||
      !try_lock()) {
    return NULL;
  }
  thread = atomic_load_explicit(&all.free_threads, memory_order_acquire);
  while (thread && !atomic_compare_exchange_weak_explicit(
                       &all.free_threads, &thread, thread->next,
                       memory_order_acquire, memory_order_acquire)) {
  }
  if (thread) {
    /* used before */
  } else if (all.threads < threads_max) {
    void *at = mmap(NULL, sizeof *thread, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    thread = at == MAP_FAILED ? NULL : at;
    all.threads += thread != NULL;
  }
  unlock();
  if (!thread) {
    return NULL;
  }
  *thread = (thread_t){.clock = 0};
  for (int i = 0; i < tables_max; i++) {
    thread->tables[i].thread = thread;
  }
  if (pthread_setspecific(all.key, thread) != 0) {
    return NULL; /* keeps a page */
  }
  return thread;
}

/* ---- a walk ---------------------------------------------------------------
 */

static site_t *site_of(const void *site) {
  return &all.sites[((uintptr_t)site * 0x9e3779b97f4a7c15ull) >> 56];
}

/* One more of a kind that is in vain: after `free` of them, walks of the site
 * are let go, twice as many each time. */
static void pause_after(site_t *site, _Atomic uint32_t *kind, uint32_t free,
                        uint32_t most) {
  uint32_t count = atomic_load_explicit(kind, memory_order_relaxed);
  count += count < most;
  atomic_store_explicit(kind, count, memory_order_relaxed);
  if (count > free) {
    atomic_store_explicit(&site->skip, 1u << (count - free),
                          memory_order_relaxed);
  }
}

/* The cursor for the node after the `number`-th entry, `distance` ahead. */
static uint64_t cursor_ahead(chunk_t *from, uint64_t number,
                             uint64_t distance) {
  table_t *t = from->table;
  uint64_t next = number + 1 + distance;
  if (next < t->count) {
    return (uintptr_t)entry_at(from, next);
  }
  /* Called again at the first node that the table does not have. */
  t->thread->tail = t;
  return t->count - number;
}

/* The same, and nothing of what lies ahead has been asked for. */
static uint64_t along(chunk_t *from, uint64_t number, uint64_t distance) {
  uint64_t end = from->table->count;
  end = end < number + 1 + distance ? end : number + 1 + distance;
  for (uint64_t i = number + 1; i < end; i++) {
    __builtin_prefetch(*entry_at(from, i), 0, 2);
  }
  return cursor_ahead(from, number, distance);
}

/* Begins to prefetch along `t`: the walk is at its `number`-th entry. */
static uint64_t play(table_t *t, uint64_t number, uint64_t distance) {
  site_t *site = site_of(t->site);
  t->used = ++t->thread->clock;
  atomic_store_explicit(&site->wasted, 0, memory_order_relaxed);
  atomic_store_explicit(&site->tries, 0, memory_order_relaxed);
  atomic_store_explicit(&site->skip, 0, memory_order_relaxed);
  cira__pace_begin(&t->race);
  return along(t->first, number, distance);
}

/* What was being written is as long as it will be. */
static void finish_writing(thread_t *thread) {
  table_t *t = thread->writing;
  thread->writing = NULL;
  if (t && t->count < t->nodes_min) {
    table_drop(t);
  }
}

static uint64_t write_on(thread_t *thread, const void *node,
                         uint64_t distance) {
  table_t *t = thread->writing;
  if (t->first && t->first->entry[0] == node) { /* a ring */
    finish_writing(thread);
    return t->first ? play(t, 0, distance) : NOTHING;
  }
  if (!table_append(t, node)) {
    finish_writing(thread);
    return NOTHING;
  }
  return WRITE;
}

/* `plain`: what a block of nodes takes without a table; 0: unknown. */
static uint64_t write_new(thread_t *thread, const void *node, const void *from,
                          uint64_t distance, uint64_t nodes_min,
                          uint64_t plain) {
  table_t *oldest = NULL;
  site_t *site = site_of(from);
  for (int i = 0; i < tables_max; i++) {
    table_t *t = &thread->tables[i];
    if (!oldest ||
        (t->first ? t->used : 0) < (oldest->first ? oldest->used : 0)) {
      oldest = t;
    }
  }
  table_drop(oldest);
  *oldest = (table_t){.thread = thread,
                      .site = from,
                      .used = ++thread->clock,
                      .race.plain = plain,
                      .nodes_min = nodes_min};
  atomic_store_explicit(&site->tries, 0, memory_order_relaxed);
  pause_after(site, &site->wasted, wasted_free, wasted_max);
  thread->writing = oldest;
  return write_on(thread, node, distance);
}

/* The table with this node among its first ones, and where; NULL: none. */
static table_t *find_table(thread_t *thread, const void *node, const void *site,
                           uint64_t *out_number) {
  for (int i = 0; i < tables_max; i++) {
    table_t *t = &thread->tables[i];
    if (t->first && t->first->entry[0] == node) {
      *out_number = 0;
      return t;
    }
  }
  for (int i = 0; i < tables_max; i++) {
    table_t *t = &thread->tables[i];
    if (t->first && t->site == site) {
      *out_number = table_find(t, t->first, node, 0, first_search, 0);
      if (*out_number != UINT64_MAX) {
        return t;
      }
    }
  }
  return NULL;
}

static bool has_table_of(const thread_t *thread, const void *site) {
  for (int i = 0; i < tables_max; i++) {
    if (thread->tables[i].first && thread->tables[i].site == site) {
      return true;
    }
  }
  return false;
}

static cira__pace_t *pace_of(thread_t *thread, const void *site) {
  return &thread->paces[((uintptr_t)site * 0x9e3779b97f4a7c15ull) >> 61];
}
_Static_assert(paces == 8, "three bits");

/* A walk without a table: does it wait for its nodes? The next ones say. It has
 * come to its 256th node, or its 512th: to places where it comes each time. */
static uint64_t consider(thread_t *thread, const void *from, bool again) {
  site_t *site = site_of(from);
  pause_after(site, &site->tries, tries_free, tries_max);
  return cira__pace_start(pace_of(thread, from), from,
                          again ? block + LOOK_AGAIN : block);
}

/* The walk has come to its 256th node, or 256 later if it looks again. */
static uint64_t begin(thread_t *thread, const void *node, const void *from,
                      uint64_t distance, uint64_t nodes_min, bool again) {
  uint64_t number;
  site_t *site = site_of(from);
  finish_writing(thread);
  thread->tail = NULL;
  thread->probing = NULL;
  thread->sample.table = NULL;
  table_t *t = find_table(thread, node, from, &number);
  if (t && t->nodes_min == UINT64_MAX) { /* changed too much since */
    uint64_t plain = t->race.plain;
    table_drop(t);
    return write_new(thread, node, from, distance, nodes_min, plain);
  }
  if (t) {
    return play(t, number, distance);
  }
  uint32_t skip = atomic_load_explicit(&site->skip, memory_order_relaxed);
  if (skip && !thread->fixed) {
    atomic_store_explicit(&site->skip, skip - 1, memory_order_relaxed);
    return NOTHING;
  }
  if (!again && has_table_of(thread, from)) {
    thread->probing = from; /* something may have been put in front */
    return LOOK_AGAIN;
  }
  return thread->fixed || !cira__pace_ticks()
             ? write_new(thread, node, from, distance, nodes_min, 0)
             : consider(thread, from, again);
}

/* The next `distance` nodes have been asked for; those behind them are timed.
 */
static uint64_t sample_begin(table_t *t, chunk_t *from, uint64_t number,
                             uint64_t distance) {
  t->thread->sample =
      (sample_t){.table = t, .from = from, .number = number + distance};
  return distance;
}

static uint64_t cursor_found(table_t *t, chunk_t *from, const void *node,
                             uint64_t number, uint64_t distance);

static uint64_t sample_on(thread_t *thread, const void *node,
                          uint64_t distance) {
  sample_t *s = &thread->sample;
  table_t *t = s->table;
  if (!s->start && !thread->fixed) {
    s->start = cira__pace_ticks();
    s->number += block;
    return block;
  }
  if (s->start) {
    t->race.plain = cira__pace_ticks() - s->start;
  }
  s->table = NULL;
  cira__pace_begin(&t->race);
  if (s->number >= t->count) {
    return NOTHING;
  }
  return *entry_at(s->from, s->number) == node
             ? along(s->from, s->number, distance)
             : cursor_found(t, s->from, node, s->number, distance);
}

/* A walk has counted what it was told to count. */
static uint64_t rest(thread_t *thread, const void *node, const void *from,
                     uint64_t distance, uint64_t nodes_min) {
  if (thread->probing == from) {
    return begin(thread, node, from, distance, nodes_min, true);
  }
  if (thread->sample.table && thread->sample.table->site == from) {
    return sample_on(thread, node, distance);
  }
  table_t *t = thread->tail;
  thread->tail = NULL;
  if (t && !thread->writing && t->site == from) { /* the list has grown */
    thread->writing = t;
    return write_on(thread, node, distance);
  }
  cira__pace_t *pace = pace_of(thread, from);
  if (pace->site != from) {
    return NOTHING;
  }
  uint64_t plain, number;
  if (cira__pace_half(pace)) {
    return cira__pace_on(pace);
  }
  t = find_table(thread, node, from, &number);
  if (t) { /* the table begins where the walk was slow */
    return play(t, number, distance);
  }
  if (!cira__pace_is_slow(pace, &plain)) {
    return cira__pace_next(pace);
  }
  pace->site = NULL;
  return write_new(thread, node, from, distance, nodes_min, plain);
}

/* The cursor has left the table: the list ends soon, or begins again, or has
 * grown. */
static uint64_t past_end(table_t *t, const void *node, uint64_t number,
                         const void *from, uint64_t distance) {
  if (number < t->count) {
    t->thread->tail = t;
    return t->count - number;
  }
  uint64_t again = table_find(t, t->first, node, 0, 2 * block, 0);
  if (again != UINT64_MAX) {
    return cursor_ahead(t->first, again, distance);
  }
  if (t->thread->writing || t->site != from) {
    return NOTHING;
  }
  /* The few nodes in between stay unknown: the next walk finds its way. */
  t->thread->writing = t;
  return write_on(t->thread, node, distance);
}

/* The walk is not where the table says: it is looked for nearby. */
static uint64_t cursor_found(table_t *t, chunk_t *from, const void *node,
                             uint64_t number, uint64_t distance) {
  uint64_t begins = number > near_search ? number - near_search : 0;
  uint64_t found =
      table_find(t, from, node, begins, number + near_search, number);
  if (found == UINT64_MAX) {
    if (++t->misses > misses_max) {
      table_drop(t);
      return NOTHING;
    }
    return cursor_ahead(from, number, distance);
  }
  t->misses = 0;
  /* Nodes that the table has not are waited for in each walk: a quarter of a
   * per cent of them, and it is time for a new one. */
  if (found != number && ++t->resyncs > 16 + t->count / 400) {
    t->nodes_min = UINT64_MAX;
  }
  return cursor_ahead(from, found, distance);
}

/* A block of the table has been walked along: was it worth it? */
static bool is_lost(table_t *t) {
  if (t->thread->fixed) {
    return false;
  }
  site_t *site = site_of(t->site);
  switch (cira__pace_add(&t->race)) {
  case cira__pace_faster:
    atomic_store_explicit(&site->lost, 0, memory_order_relaxed);
    return false;
  case cira__pace_slower:
    table_drop(t);
    pause_after(site, &site->lost, 0, lost_max);
    return true;
  default:
    return false;
  }
}

/* The cursor is in a table: is the walk still where the table says? */
static uint64_t check(thread_t *thread, const void *node, void *const *cursor,
                      const void *from, uint64_t distance) {
  uintptr_t address = (uintptr_t)(cursor - 1) & ~(uintptr_t)(chunk_bytes - 1);
  chunk_t *chunk = (chunk_t *)address;
  table_t *t = chunk->table;
  if (!t || t->thread != thread) {
    return NOTHING;
  }
  uint64_t ahead = chunk->first + (uint64_t)(cursor - 1 - chunk->entry);
  uint64_t number = ahead > distance ? ahead - distance : 0;
  if (ahead >= t->count) {
    return past_end(t, node, number, from, distance);
  }
  if (t->site == from && is_lost(t)) {
    return NOTHING;
  }
  if (*entry_at(chunk, number) != node) {
    return cursor_found(t, chunk, node, number, distance);
  }
  t->misses = 0;
  if (t->site == from && (thread->fixed == cira__jump_fixed_alternate
                              ? ++thread->turn % 3 == 0
                              : cira__pace_wants_plain(&t->race))) {
    return sample_begin(t, chunk, number, distance);
  }
  return cursor_ahead(chunk, number, distance);
}

static uint64_t step(thread_t *thread, const void *node, void *const *cursor,
                     const void *from, uint64_t distance, uint64_t nodes_min) {
  if ((uintptr_t)cursor == WRITE) {
    return thread->writing && thread->writing->site == from
               ? write_on(thread, node, distance)
               : NOTHING;
  }
  if (!cursor) {
    return begin(thread, node, from, distance, nodes_min, false);
  }
  if ((uintptr_t)cursor <= UINT32_MAX) {
    return rest(thread, node, from, distance, nodes_min);
  }
  return check(thread, node, cursor, from, distance);
}

/* A common symbol of compiled code, which makes linkers take this file out of
 * the archive; see Giveback.cpp. */
HIDDEN extern char cira_cc_jump;
HIDDEN char cira_cc_jump = 1;

HIDDEN CIRA_CC_CALL uint64_t cira_jump_step(const void *node,
                                            void *const *cursor,
                                            uint64_t distance,
                                            uint64_t nodes_min) {
  const void *from = __builtin_return_address(0);
  site_t *site = site_of(from);
  if (distance >> cira__jump_fixed_shift == cira__jump_fixed_old) {
    return NOTHING;
  }
  thread_t *thread = NULL;
  if (cursor || atomic_load_explicit(&all.tables, memory_order_relaxed)) {
    thread = thread_get();
  }
  if (!thread && !cursor) {
    uint32_t skip = atomic_load_explicit(&site->skip, memory_order_relaxed);
    if (skip && !(distance >> cira__jump_fixed_shift)) {
      atomic_store_explicit(&site->skip, skip - 1, memory_order_relaxed);
      return NOTHING;
    }
    thread = thread_get();
    thread = thread ? thread : thread_make();
  }
  if (!thread || !node || thread->busy) {
    return NOTHING;
  }
  thread->busy = 1;
  thread->fixed = (uint32_t)(distance >> cira__jump_fixed_shift);
  distance &= (1u << cira__jump_fixed_shift) - 1;
  distance = distance < 1              ? 1
             : distance > distance_max ? distance_max
                                       : distance;
  uint64_t next = step(thread, node, cursor, from, distance, nodes_min);
  thread->busy = 0;
  return next;
}
