/* SPDX-License-Identifier: Apache-2.0
 *
 * Stream objects and what all kinds have in common. Objects are never unmapped,
 * and are used again only after many others, so that a use after release meets
 * a dead object and is noticed.
 */
#include "prefetch/stream_internal.h"

#include "base/sys.h"

#include <linux/futex.h>
#include <sched.h>

#define LIVE UINT32_C(0x63697261) /* "cira" */
#define DEAD UINT32_C(0x64656164)
#define SLAB 32u
#define IDLE_YIELDS 200u
#define QUARANTINE 32u /* dead objects before the oldest lives again */

typedef struct slab {
  struct slab *next;
  cira_stream_t stream[SLAB];
} slab_t;

static struct {
  pthread_mutex_t lock;
  cira_stream_t *oldest, *newest;
  uint32_t count;
  _Atomic(slab_t *) slabs; /* all objects, dead and alive */
} dead = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool cira__scratch_room(scratch_t *scratch, uint64_t bytes) {
  if (scratch->bytes >= bytes) {
    return true;
  }
  bytes = cira__align_up(bytes, CIRA_PAGE_BYTES);
  uint8_t *p = cira_far_local_alloc(bytes);
  if (p == NULL) {
    return false;
  }
  cira_far_local_free(scratch->p, scratch->bytes);
  scratch->p = p;
  scratch->bytes = bytes;
  return true;
}

void cira__scratch_must(scratch_t *scratch, uint64_t bytes) {
  if (!cira__scratch_room(scratch, bytes)) {
    cira__misuse("no local memory for a stream (%llu bytes); give the process "
                 "more",
                 (unsigned long long)bytes);
  }
}

/* ---- objects --------------------------------------------------------------
 */

/* Lock held. */
static void dead_push(cira_stream_t *s) {
  s->next_free = NULL;
  if (dead.oldest == NULL) {
    dead.oldest = s;
  } else {
    dead.newest->next_free = s;
  }
  dead.newest = s;
  dead.count++;
}

bool cira__forked_lock(pthread_mutex_t *lock) {
  if (pthread_mutex_trylock(lock) == 0) {
    pthread_mutex_unlock(lock);
    return false;
  }
  pthread_mutex_init(lock, NULL);
  return true;
}

/* In a forked child: helpers that ran ahead and other threads are not here. */
static void child_alone(void) {
  if (cira__forked_lock(&dead.lock)) { /* what was in the list stays unused */
    dead.oldest = dead.newest = NULL;
    dead.count = 0;
  }
  for (slab_t *slab = atomic_load(&dead.slabs); slab; slab = slab->next) {
    for (uint32_t i = 0; i < SLAB; i++) {
      atomic_store(&slab->stream[i].users, 0);
      (void)cira__forked_lock(&slab->stream[i].lock);
    }
  }
  cira__jumps_forked();
}

/* Lock held. */
static void slab_add(void) {
  slab_t *slab = cira_far_local_alloc(sizeof *slab);
  if (slab == NULL) {
    cira__misuse("no local memory for streams; give the process more");
  }
  for (uint32_t i = 0; i < SLAB; i++) {
    pthread_mutex_init(&slab->stream[i].lock, NULL);
    dead_push(&slab->stream[i]);
  }
  slab->next = atomic_load(&dead.slabs);
  if (slab->next == NULL) {
    pthread_atfork(NULL, NULL, child_alone);
  }
  atomic_store(&dead.slabs, slab); /* pairs with: child_alone */
}

static cira_stream_t *stream_new(stream_kind_t kind, int64_t count) {
  cira_thread();
  pthread_mutex_lock(&dead.lock);
  if (dead.count <= QUARANTINE) {
    slab_add();
  }
  cira_stream_t *s = dead.oldest;
  dead.oldest = s->next_free;
  dead.count--;
  pthread_mutex_unlock(&dead.lock);
  s->kind = kind;
  s->front = (cira_abi_front_t){0};
  s->count = count > 0 ? count : 0;
  s->next = 0;
  atomic_store(&s->position, 0);
  atomic_store(&s->window, 0);
  atomic_store(&s->asked, 0);
  cira_far_hold();
  s->seen.start_ns = 0;
  if (cira__profile_on()) {
    cira__stream_seen_begin(s);
  }
  return s;
}

static cira_stream_t *stream_live(cira_stream_t *s) {
  atomic_store_explicit(&s->magic, LIVE, memory_order_release);
  return s;
}

CIRA_COLD static _Noreturn void not_live(const cira_stream_t *s,
                                         const char *op) {
  cira__misuse("%s: the stream %p %s; %s", op, (const void *)s,
               s != NULL && atomic_load(&s->magic) == DEAD
                   ? "was released before"
                   : "is none",
               "use a stream only between its creation and its release");
}

static inline void check(const cira_stream_t *s, const char *op) {
  if (CIRA_UNLIKELY(s == NULL ||
                    atomic_load_explicit(&s->magic, memory_order_acquire) !=
                        LIVE)) {
    not_live(s, op);
  }
}

void cira_stream_release(cira_stream_t *s) {
  uint32_t live = LIVE;
  if (s == NULL || !atomic_compare_exchange_strong(&s->magic, &live, DEAD)) {
    not_live(s, "stream_release");
  }
  cira__ahead_wake();
  while (atomic_load(&s->users) != 0) {
    sched_yield(); /* they look at the magic between two steps */
  }
  pthread_mutex_lock(&s->lock);
  if (stream_is_seen(s)) {
    cira__stream_seen_end(s);
  }
  if (s->kind == CHAIN) {
    cira__chain_close(s);
  } else if (s->kind == POINTERS) {
    cira__pointers_close(s);
  }
  if (s->kind == STRIDED || s->kind == POINTERS) {
    cira__source_close(&s->source);
  }
  pthread_mutex_unlock(&s->lock);
  cira_far_unhold();
  pthread_mutex_lock(&dead.lock);
  dead_push(s);
  pthread_mutex_unlock(&dead.lock);
}

/* ---- makers ---------------------------------------------------------------
 */

static void check_bytes(const char *op, const char *what, int64_t bytes) {
  if (bytes <= 0 || bytes > INT32_MAX) {
    cira__misuse("%s: %s of %lld bytes; give its size, up to 2 GiB", op, what,
                 (long long)bytes);
  }
}

cira_stream_t *cira_stream_strided(const void *base, int64_t start,
                                   int64_t stride, int64_t count,
                                   int64_t element_bytes,
                                   int64_t target_bytes) {
  check_bytes("stream_create_strided", "elements", element_bytes);
  cira_stream_t *s = stream_new(target_bytes > 0 ? POINTERS : STRIDED, count);
  cira__source_open(&s->source, (const uint8_t *)base + start * element_bytes,
                    stride * element_bytes, s->count, (uint32_t)element_bytes);
  if (target_bytes > 0) {
    check_bytes("stream_create_strided", "targets", target_bytes);
    s->pointers.index_bytes = 0;
    cira__pointers_open(s, (uint32_t)target_bytes);
  }
  return stream_live(s);
}

cira_stream_t *cira_stream_indexed(const void *base, int64_t element_bytes,
                                   const void *indices, int32_t index_bytes,
                                   int64_t start, int64_t stride,
                                   int64_t count) {
  check_bytes("stream_create_indexed", "elements", element_bytes);
  if (index_bytes != 1 && index_bytes != 2 && index_bytes != 4 &&
      index_bytes != 8) {
    cira__misuse("stream_create_indexed: indices of %d bytes; they have 1, 2, "
                 "4 or 8",
                 index_bytes);
  }
  cira_stream_t *s = stream_new(POINTERS, count);
  cira__source_open(&s->source, (const uint8_t *)indices + start * index_bytes,
                    stride * index_bytes, s->count, (uint32_t)index_bytes);
  s->pointers.base = base;
  s->pointers.scale = element_bytes;
  s->pointers.index_bytes = (uint32_t)index_bytes;
  cira__pointers_open(s, (uint32_t)element_bytes);
  return stream_live(s);
}

cira_stream_t *cira_stream_chain(const void *head, int64_t link_offset,
                                 int64_t node_bytes) {
  check_bytes("stream_create_indirect", "nodes", node_bytes);
  if (link_offset < 0 || link_offset + 8 > INT32_MAX) {
    cira__misuse("stream_create_indirect: a link %lld bytes into the node",
                 (long long)link_offset);
  }
  cira_stream_t *s = stream_new(CHAIN, 0);
  chain_t *c = &s->chain;
  c->head = head;
  c->previous = NULL;
  c->link_offset = link_offset;
  c->node_bytes =
      (uint32_t)(node_bytes > link_offset + 8 ? node_bytes : link_offset + 8);
  c->started = c->ended = false;
  c->run_pages = 1;
  c->run = (cira_far_run_t){0};
  c->pages_open = false;
  cira__jump_open(&c->jump, head, link_offset, c->node_bytes);
  return stream_live(s);
}

cira_stream_t *cira_stream_tiled(const void *base, int64_t element_bytes,
                                 int64_t rank, const int64_t *sizes,
                                 const int64_t *strides, const int64_t *tiles) {
  check_bytes("stream_create_tiled", "elements", element_bytes);
  if (rank < 1 || rank > RANK_MAX) {
    cira__misuse("stream_create_tiled: an array of rank %lld; 1 to %d are "
                 "possible",
                 (long long)rank, RANK_MAX);
  }
  int64_t count = 1;
  cira_stream_t *s = stream_new(TILED, 0);
  tiled_t *t = &s->tiled;
  t->base = base;
  t->element_bytes = element_bytes;
  t->rank = rank;
  for (int64_t d = 0; d < rank; d++) {
    if (tiles[d] <= 0) {
      cira__misuse("stream_create_tiled: a tile of %lld elements in dimension "
                   "%lld; tiles have at least one",
                   (long long)tiles[d], (long long)d);
    }
    t->sizes[d] = sizes[d];
    t->strides[d] = strides[d];
    t->tiles[d] = tiles[d];
    t->per_dim[d] = sizes[d] <= 0 ? 0 : (sizes[d] - 1) / tiles[d] + 1;
    count *= t->per_dim[d];
  }
  s->count = count;
  return stream_live(s);
}

cira_stream_t *cira_stream_frontier(const void *graph, const void *vertices,
                                    int32_t vertex_bytes, int64_t count,
                                    int64_t neighbour_bytes) {
  check_bytes("stream_create_frontier", "neighbours", neighbour_bytes);
  if (vertex_bytes != 1 && vertex_bytes != 2 && vertex_bytes != 4 &&
      vertex_bytes != 8) {
    cira__misuse("stream_create_frontier: vertex numbers of %d bytes; they "
                 "have 1, 2, 4 or 8",
                 vertex_bytes);
  }
  struct {
    int64_t n;
    const uint8_t *rows, *neighbours;
  } g;
  cira_far_copy(&g, graph, sizeof g);
  cira_stream_t *s = stream_new(FRONTIER, count);
  s->frontier = (frontier_t){.vertex_count = g.n,
                             .rows = g.rows,
                             .neighbours = g.neighbours,
                             .vertices = vertices,
                             .vertex_bytes = (uint32_t)vertex_bytes,
                             .neighbour_bytes = neighbour_bytes};
  return stream_live(s);
}

/* ---- fronts ---------------------------------------------------------------
 */

static void moved_to(cira_stream_t *s, int64_t position) {
  if (s->kind == TILED || s->kind == FRONTIER) {
    atomic_store(&s->position, position); /* pairs with: ahead_sleep */
    cira__ahead_wake();
  } else {
    atomic_store_explicit(&s->position, position, memory_order_relaxed);
  }
}

static void tile_refill(cira_stream_t *s, cira_abi_front_t *front) {
  const uint8_t *origin = cira__tiled_origin(s, s->next);
  uint64_t bytes = (uint64_t)s->tiled.element_bytes;
  cira__scratch_must(&s->bounce, bytes);
  cira_far_copy(s->bounce.p, origin, bytes);
  *front = (cira_abi_front_t){.data = s->bounce.p, .left = 1};
  s->next++;
}

static void list_refill(cira_stream_t *s, cira_abi_front_t *front) {
  int64_t n;
  const void *list = cira_stream_adjacency(s, s->next, &n);
  *front = (cira_abi_front_t){.data = (uint8_t *)(uintptr_t)list, .left = 1};
  s->next++;
}

static void refill(cira_stream_t *s, cira_abi_front_t *front) {
  if (s->kind == CHAIN) {
    cira__chain_refill(s, front);
    return;
  }
  if (s->next >= s->count) {
    cira__misuse("peek_stream: past the end of the stream %p, which has %lld "
                 "elements; look at each element at most",
                 (const void *)s, (long long)s->count);
  }
  moved_to(s, s->next);
  const uint8_t *data;
  switch (s->kind) {
  case STRIDED:
    front->left = cira__source_at(&s->source, s->next, &data);
    front->data = (uint8_t *)(uintptr_t)data;
    front->step = s->source.step;
    s->next += front->left;
    break;
  case POINTERS:
    cira__pointers_refill(s, front);
    break;
  case TILED:
    tile_refill(s, front);
    break;
  default:
    list_refill(s, front);
  }
}

/* The same, timed. */
CIRA_COLD static void refill_seen(cira_stream_t *s, cira_abi_front_t *front) {
  stream_look_t look = cira__stream_look_begin();
  refill(s, front);
  cira__stream_look_end(s, &look, front->left);
}

CIRA_COLD static void chain_next_seen(cira_stream_t *s, cira_abi_front_t *front,
                                      const void *next) {
  stream_look_t look = cira__stream_look_begin();
  cira__chain_next(s, front, next);
  cira__stream_look_end(s, &look, front->left);
}

static void chain_next(cira_stream_t *s, cira_abi_front_t *front,
                       const void *next) {
  if (stream_is_seen(s)) {
    chain_next_seen(s, front, next);
  } else {
    cira__chain_next(s, front, next);
  }
}

static void skip(cira_stream_t *s, cira_abi_front_t *front) {
  if (s->kind == CHAIN) {
    cira__chain_skip(s, front);
  } else if (s->next < s->count) {
    s->next++;
    moved_to(s, s->next);
  }
}

void cira_stream_refill(cira_stream_t *s, cira_abi_front_t *front) {
  check(s, "peek_stream");
  if (stream_is_seen(s)) {
    refill_seen(s, front);
  } else {
    refill(s, front);
  }
}

void cira_stream_skip(cira_stream_t *s, cira_abi_front_t *front) {
  check(s, "advance_stream");
  skip(s, front);
}

void cira_stream_chain_next(cira_stream_t *s, cira_abi_front_t *front,
                            const void *next) {
  check(s, "advance_stream");
  if (CIRA_UNLIKELY(s->kind != CHAIN)) {
    cira__misuse("advance_stream: the stream %p is no chain", (const void *)s);
  }
  chain_next(s, front, next);
}

static int64_t element_bytes(const cira_stream_t *s, bool target) {
  switch (s->kind) {
  case STRIDED:
    return s->source.bytes;
  case POINTERS:
    return target || s->pointers.index_bytes != 0 ? s->pointers.target_bytes
                                                  : 8;
  case CHAIN:
    return s->chain.node_bytes;
  case TILED:
    return s->tiled.element_bytes;
  default:
    return s->frontier.neighbour_bytes;
  }
}

void cira_stream_peek(cira_stream_t *s, void *to, int64_t bytes, bool target) {
  check(s, "peek_stream");
  if (bytes > element_bytes(s, target)) {
    cira__misuse("peek_stream: %lld bytes of the stream %p, whose elements "
                 "have %lld",
                 (long long)bytes, (const void *)s,
                 (long long)element_bytes(s, target));
  }
  pthread_mutex_lock(&s->lock);
  if (s->front.left == 0) {
    (stream_is_seen(s) ? refill_seen : refill)(s, &s->front);
  }
  const void *from = s->front.data;
  const void *value;
  if (s->kind == POINTERS && (target || s->pointers.index_bytes != 0)) {
    from = *(const void *const *)from;
  } else if (s->kind == POINTERS) {
    value = cira__pointers_value(s, &s->front);
    from = &value;
  }
  memcpy(to, from, (size_t)bytes);
  pthread_mutex_unlock(&s->lock);
}

void cira_stream_advance(cira_stream_t *s) {
  check(s, "advance_stream");
  pthread_mutex_lock(&s->lock);
  cira_abi_front_t *f = &s->front;
  if (f->left == 0) {
    skip(s, f);
  } else if (s->kind == CHAIN) {
    const uint8_t *next =
        *(const uint8_t *const *)(const void *)(f->data + s->chain.link_offset);
    if (next == f->cur + f->step && f->left > 1) {
      f->cur += f->step;
      f->data += f->step;
      f->left--;
    } else {
      chain_next(s, f, next);
    }
  } else {
    f->data += f->step;
    f->left--;
    if (f->left == 0) {
      moved_to(s, s->next);
    }
  }
  pthread_mutex_unlock(&s->lock);
}

/* ---- running ahead --------------------------------------------------------
 */

/* One step of tiles or lists; true when more may be asked for later. */
static bool ahead_step(cira_stream_t *s, int64_t distance) {
  int64_t position = atomic_load_explicit(&s->position, memory_order_relaxed);
  return s->kind == TILED ? cira__tiled_ahead(s, position, distance)
                          : cira__frontier_ahead(s, position, distance);
}

/* Until something changes that ahead_loop looks at. */
static void ahead_sleep(cira_stream_t *s, int64_t seen) {
  uint32_t turn = atomic_load(&cira__ahead_turn);
  atomic_fetch_add(&cira__ahead_sleepers, 1); /* pairs with: cira__ahead_wake */
  if (atomic_load(&s->magic) == LIVE && atomic_load(&s->position) == seen &&
      atomic_load(&cira__pressure) == 0) {
    (void)cira__sys_futex(&cira__ahead_turn, FUTEX_WAIT_PRIVATE, turn);
  }
  atomic_fetch_sub(&cira__ahead_sleepers, 1);
}

/* On a helper: until the stream ends, or somebody waits (he may wait for us),
 * or another region wants the helper. */
static void ahead_loop(cira_stream_t *s, int64_t distance) {
  int64_t seen = -1;
  uint32_t idle = 0;
  while (atomic_load(&s->magic) == LIVE) {
    int64_t position = atomic_load(&s->position);
    if (position != seen && !ahead_step(s, distance)) {
      return;
    }
    if (atomic_load(&cira__pressure) != 0) {
      return;
    }
    idle = position == seen ? idle + 1 : 0;
    seen = position;
    if (idle < IDLE_YIELDS) {
      sched_yield();
    } else {
      ahead_sleep(s, seen); /* a slow walker */
    }
  }
}

void cira_stream_ahead(cira_stream_t *s, int64_t distance) {
  bool device = cira_thread()->on_device;
  if (!device) {
    check(s, "prefetch of a stream");
  } else if (s == NULL) {
    return;
  }
  atomic_fetch_add(&s->users, 1); /* pairs with: release */
  if (atomic_load(&s->magic) == LIVE && distance > 0) {
    /* A region may come late: then the stream is gone and nothing is lost. */
    atomic_store_explicit(&s->window, distance, memory_order_relaxed);
    if (s->kind == TILED || s->kind == FRONTIER) {
      if (device) {
        ahead_loop(s, distance);
      } else {
        (void)ahead_step(s, distance);
      }
    }
  }
  atomic_fetch_sub(&s->users, 1);
}

const void *cira_stream_adjacency(cira_stream_t *s, int64_t position,
                                  int64_t *out_count) {
  check(s, "peek_adjacency");
  if (s->kind != FRONTIER || position < 0 || position >= s->count) {
    cira__misuse("peek_adjacency: position %lld of the stream %p, which has "
                 "%lld vertices",
                 (long long)position, (const void *)s,
                 (long long)(s->kind == FRONTIER ? s->count : 0));
  }
  int64_t seen = atomic_load_explicit(&s->position, memory_order_relaxed);
  while (position > seen) {
    if (atomic_compare_exchange_weak(&s->position, &seen, position)) {
      cira__ahead_wake();
      break;
    }
  }
  if (!stream_is_seen(s)) {
    return cira__frontier_list(s, position, out_count);
  }
  stream_look_t look = cira__stream_look_begin();
  const void *list = cira__frontier_list(s, position, out_count);
  cira__stream_look_end(s, &look, 0);
  return list;
}
