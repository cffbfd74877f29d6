/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks: where they lie in the arena, how they come and go, where their bytes
 * are. The arena is reserved once and never given back, so that an address in
 * it is ours for good: a move may replace what is mapped there, and nobody
 * else's mapping can slip in between.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "space/space.h"
#include "tier/tier_internal.h"

#define T cira__tiers
#define ARENA_BYTES_MAX (UINT64_C(1) << 40) /* 1 TiB of addresses */
#define ARENA_BYTES_MIN (UINT64_C(1) << 32) /* 4 GiB */
#define ALIGN_MAX (UINT64_C(1) << 30)       /* 1 GiB */

typedef _Atomic(cira__block_t *) unit_t;

static struct {
  uint8_t *base;
  uint64_t units;
  unit_t *unit;        /* block of each unit, NULL = free */
  uint64_t top;        /* units from here on were never taken */
  uint64_t cursor;     /* where the last search ended */
  cira__block_t **far; /* live blocks of the far space */
  uint32_t far_count, far_room;
  pthread_cond_t idle; /* a block has lost its last user */
} arena = {.idle = PTHREAD_COND_INITIALIZER};

/* ---- arena -------------------------------------------------------------- */

cira_status_t cira__arena_make(void) {
  if (arena.base != NULL) {
    return CIRA_OK;
  }
  uint64_t bytes = ARENA_BYTES_MAX;
  uint8_t *p = MAP_FAILED;
  for (; bytes >= ARENA_BYTES_MIN && p == MAP_FAILED; bytes /= 2) {
    p = mmap(NULL, bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) {
      break;
    }
  }
  if (p == MAP_FAILED) {
    return cira__fail_errno(CIRA_E_NOMEM, errno,
                            "no 4 GiB of addresses for blocks of tiers; raise "
                            "the limit (ulimit -v)");
  }
  uint8_t *base =
      (uint8_t *)(uintptr_t)cira__align_up((uintptr_t)p, CHUNK_BYTES);
  uint64_t units = (bytes - (uint64_t)(base - p)) / CHUNK_BYTES;
  unit_t *unit = mmap(NULL, units * sizeof *unit, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (unit == MAP_FAILED) {
    munmap(p, bytes);
    return cira__fail_errno(CIRA_E_NOMEM, errno, "no memory for the arena");
  }
  arena.base = base;
  arena.units = units;
  arena.unit = unit;
  return CIRA_OK;
}

bool cira__arena_has(const void *p) {
  return (uint64_t)((uintptr_t)p - (uintptr_t)arena.base) <
         arena.units * CHUNK_BYTES;
}

static unit_t *unit_of(const void *p) {
  return &arena.unit[((uintptr_t)p - (uintptr_t)arena.base) / CHUNK_BYTES];
}

bool cira__arena_live(const void *p) {
  return cira__arena_has(p) &&
         atomic_load_explicit(unit_of(p), memory_order_acquire) != NULL;
}

static bool units_free(uint64_t at, uint64_t n, uint64_t *out_next) {
  for (uint64_t i = 0; i < n; i++) {
    if (atomic_load_explicit(&arena.unit[at + i], memory_order_relaxed) !=
        NULL) {
      *out_next = at + i + 1;
      return false;
    }
  }
  return true;
}

/* n free units, aligned; UINT64_MAX when there are none. */
static uint64_t units_find(uint64_t n, uint64_t align) {
  uint64_t step = cira__max_u64(align / CHUNK_BYTES, 1);
  uint64_t shift = (uintptr_t)arena.base / CHUNK_BYTES; /* aligns addresses */
  for (int round = 0; round < 2; round++) {
    uint64_t at = round == 0 ? arena.cursor : 0, next = 0;
    for (;; at = next) {
      at = cira__align_up(at + shift, step) - shift;
      if (at + n > arena.units) {
        break;
      }
      if (units_free(at, n, &next)) {
        arena.cursor = at + n;
        arena.top = cira__max_u64(arena.top, at + n);
        return at;
      }
    }
  }
  return UINT64_MAX;
}

static cira_status_t units_take(cira__block_t *b, uint64_t align) {
  uint64_t n = b->chunks, at = units_find(n, align);
  if (at == UINT64_MAX) {
    char size[32];
    return cira__fail(CIRA_E_NOMEM,
                      "no addresses for a block of %s; free blocks first",
                      cira__size_text(b->bytes, size, sizeof size));
  }
  b->base = arena.base + at * CHUNK_BYTES;
  for (uint64_t i = 0; i < n; i++) {
    atomic_store_explicit(&arena.unit[at + i], b, memory_order_release);
  }
  return CIRA_OK;
}

static void units_give(cira__block_t *b) {
  for (uint32_t i = 0; i < b->chunks; i++) {
    atomic_store_explicit(unit_of(b->base + i * CHUNK_BYTES), NULL,
                          memory_order_release);
  }
}

/* ---- our own tables ----------------------------------------------------- */

void *cira__local_get(uint64_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p != MAP_FAILED ? p : NULL;
}

void cira__local_put(void *p, uint64_t bytes) {
  if (p != NULL) {
    munmap(p, bytes);
  }
}

/* ---- the list of blocks ------------------------------------------------- */

cira__block_t *cira__block_of(const void *p) {
  if (cira__arena_has(p)) {
    return atomic_load_explicit(unit_of(p), memory_order_acquire);
  }
  for (uint32_t i = 0; i < arena.far_count; i++) {
    cira__block_t *b = arena.far[i];
    if ((uintptr_t)p - (uintptr_t)b->base < b->span_bytes) {
      return b;
    }
  }
  return NULL;
}

static cira_status_t far_add(cira__block_t *b) {
  if (arena.far_count == arena.far_room) {
    uint32_t room = arena.far_room != 0 ? arena.far_room * 2 : 512;
    cira__block_t **more = cira__local_get(room * sizeof(*more));
    if (more == NULL) {
      return cira__fail(CIRA_E_NOMEM, "no memory for the list of blocks");
    }
    if (arena.far_count > 0) {
      memcpy(more, arena.far, arena.far_count * sizeof(*more));
    }
    cira__local_put(arena.far, arena.far_room * sizeof(*more));
    arena.far = more;
    arena.far_room = room;
  }
  arena.far[arena.far_count++] = b;
  return CIRA_OK;
}

static void far_remove(const cira__block_t *b) {
  for (uint32_t i = 0; i < arena.far_count; i++) {
    if (arena.far[i] == b) {
      arena.far[i] = arena.far[--arena.far_count];
      return;
    }
  }
}

static cira_status_t no_block(const char *what, const void *p) {
  return cira__fail(CIRA_E_INVALID,
                    "%s: %p is in no live block of a tier; give a pointer "
                    "that cira_tier_alloc or cira_tier_map gave",
                    what, p);
}

cira__block_t *cira__block_use(const void *p) {
  if (p == NULL) {
    (void)no_block("cira_tier", p);
    return NULL;
  }
  pthread_mutex_lock(&T.table);
  cira__block_t *b = cira__block_of(p);
  if (b == NULL || b->closing) {
    (void)no_block("cira_tier", p);
    b = NULL;
  } else {
    b->users++;
  }
  pthread_mutex_unlock(&T.table);
  return b;
}

void cira__block_leave(cira__block_t *b) {
  pthread_mutex_lock(&T.table);
  if (--b->users == 0) {
    pthread_cond_broadcast(&arena.idle);
  }
  pthread_mutex_unlock(&T.table);
}

typedef void (*block_fn_t)(cira__block_t *b, void *context);

/* Calls each for every live block, with `table` held. */
static void each_block(block_fn_t each, void *context) {
  for (uint64_t i = 0; i < arena.top;) {
    cira__block_t *b =
        atomic_load_explicit(&arena.unit[i], memory_order_relaxed);
    if (b != NULL) {
      each(b, context);
    }
    i += b != NULL ? b->chunks : 1;
  }
  for (uint32_t i = 0; i < arena.far_count; i++) {
    each(arena.far[i], context);
  }
}

typedef struct {
  cira__block_t **out;
  uint32_t count, max;
} collect_t;

static void collect(cira__block_t *b, void *context) {
  collect_t *c = context;
  if (c->count < c->max && !b->closing && b->balanced) {
    b->users++;
    c->out[c->count++] = b;
  }
}

uint32_t cira__blocks_use(cira__block_t **out, uint32_t max) {
  collect_t c = {.out = out, .max = max};
  pthread_mutex_lock(&T.table);
  each_block(collect, &c);
  pthread_mutex_unlock(&T.table);
  return c.count;
}

static void count_balanced(cira__block_t *b, void *context) {
  *(uint32_t *)context += b->balanced;
}

uint32_t cira__blocks_count(void) {
  uint32_t n = 0;
  pthread_mutex_lock(&T.table);
  each_block(count_balanced, &n);
  pthread_mutex_unlock(&T.table);
  return n;
}

/* ---- fork --------------------------------------------------------------- */

static void block_forked(cira__block_t *b, void *context) {
  const bool *child = context;
  b->stale_fd = b->fd >= 0; /* parent and child share what is in it */
  if (!*child) {
    return;
  }
  b->users = 0; /* those threads are not here */
  b->closing = false;
  if (b->stage != NULL) {
    munmap(b->stage, (size_t)(b->stage_end - b->stage));
    b->stage = b->stage_end = NULL;
  }
  memset(b->dax_offset, 0, sizeof b->dax_offset); /* the parent's */
  if (b->far) {
    cira__far_forked(b);
  }
}

void cira__blocks_forked(bool child) {
  each_block(block_forked, &child);
  if (child) { /* those who waited are not here, but it counts them */
    arena.idle = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
  }
  for (uint32_t i = 0; i < T.count && child; i++) {
    if (T.tier[i].fd >= 0) {
      close(T.tier[i].fd); /* the mappings keep the parent's lock alive */
      T.tier[i].fd = -1;
    }
    T.tier[i].exclusive = false;
    T.tier[i].extent_count = 0;
  }
}

/* ---- allocating --------------------------------------------------------- */

void cira_tier_options_default(cira_tier_options_t *opt) {
  if (opt != NULL) {
    *opt = (cira_tier_options_t){.size = (uint32_t)sizeof *opt};
  }
}

static cira_status_t options_read(uint64_t bytes,
                                  const cira_tier_options_t *given,
                                  cira_tier_options_t *opt) {
  cira_tier_options_default(opt);
  if (given != NULL) {
    memcpy(opt, given, cira__min_u64(given->size, sizeof *opt));
  }
  opt->align_bytes = opt->align_bytes != 0 ? opt->align_bytes : CIRA_PAGE_BYTES;
  if (bytes == 0) {
    return cira__fail(CIRA_E_INVALID, "cira_tier_alloc: zero bytes; ask for "
                                      "one at least");
  }
  if ((opt->align_bytes & (opt->align_bytes - 1)) != 0 ||
      opt->align_bytes > ALIGN_MAX) {
    return cira__fail(CIRA_E_INVALID,
                      "cira_tier_alloc: alignment %llu; use a power of two up "
                      "to 1 GiB",
                      (unsigned long long)opt->align_bytes);
  }
  uint32_t pages = CIRA_TIER_F_HUGE | CIRA_TIER_F_SMALL;
  if ((opt->flags & ~(pages | CIRA_TIER_F_FAR | CIRA_TIER_F_STAY)) != 0 ||
      (opt->flags & pages) == pages) {
    return cira__fail(CIRA_E_INVALID,
                      "cira_tier_alloc: flags 0x%x; use CIRA_TIER_F_*, and "
                      "one of HUGE and SMALL at most",
                      opt->flags);
  }
  if (bytes > ARENA_BYTES_MAX) {
    return cira__fail(CIRA_E_RANGE,
                      "cira_tier_alloc: %llu bytes; a block has at most 1 TiB",
                      (unsigned long long)bytes);
  }
  return CIRA_OK;
}

static cira__block_t *block_new(uint64_t bytes, uint64_t span) {
  uint64_t chunks = (span + CHUNK_BYTES - 1) / CHUNK_BYTES;
  cira__block_t *b = cira__local_get(sizeof *b + chunks);
  if (b == NULL) {
    (void)cira__fail(CIRA_E_NOMEM, "no memory for the tables of a block");
    return NULL;
  }
  b->bytes = bytes;
  b->span_bytes = span;
  b->chunks = (uint32_t)chunks;
  b->fd = -1;
  return b;
}

void cira__chunk_account(cira__block_t *b, uint32_t chunk, uint32_t tier) {
  uint64_t bytes = chunk_bytes(b, chunk);
  T.tier[b->tier[chunk]].used -= bytes;
  T.tier[tier].used += bytes;
  b->tier[chunk] = (uint8_t)tier;
}

static void block_delete(cira__block_t *b) {
  cira__local_put(b, sizeof *b + b->chunks);
}

static void account_all(cira__block_t *b, uint32_t tier) {
  memset(b->tier, (int)tier, b->chunks);
  T.tier[tier].used += b->span_bytes;
}

/* There is no room for what was never touched either. */
static cira_status_t room_check(const cira__tier_t *t, uint64_t bytes) {
  uint64_t room =
      t->info.kind == CIRA_TIER_NODE ? t->info.free_bytes : t->info.bytes;
  if (t->info.kind == CIRA_TIER_FAR || t->info.bytes == 0 || bytes <= room) {
    return CIRA_OK;
  }
  char need[32], has[32];
  return cira__fail(CIRA_E_NOMEM,
                    "%s has %s, a block of %s does not fit; take another tier "
                    "or free memory there",
                    t->info.name, cira__size_text(room, has, sizeof has),
                    cira__size_text(bytes, need, sizeof need));
}

static cira_status_t arena_block(cira__block_t *b, uint32_t tier,
                                 const cira_tier_options_t *opt,
                                 cira__place_t place) {
  cira_status_t status = cira__backing_prepare(b, tier);
  if (status != CIRA_OK) {
    return status;
  }
  pthread_mutex_lock(&T.table);
  status = units_take(b, opt->align_bytes);
  pthread_mutex_unlock(&T.table);
  if (status == CIRA_OK) {
    status = cira__backing_map(b, tier, b->base, 0, b->span_bytes, opt->flags);
  }
  if (status == CIRA_OK && place == PLACE_INTERLEAVE) {
    status = cira__policy_interleave(b->base, b->span_bytes);
  }
  if (status == CIRA_OK && cira__backing_of(tier) == BACKING_DAX) {
    memset(b->base, 0, b->span_bytes); /* what others left there */
    b->dax_chunks[tier] = b->chunks;
  }
  return status;
}

static void reserve_again(cira__block_t *b) {
  if (mmap(b->base, b->span_bytes, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
           0) == MAP_FAILED) {
    /* Too many mappings: the next block there replaces this one. */
    (void)madvise(b->base, b->span_bytes, MADV_DONTNEED);
  }
}

/* Undoes what was done so far. */
static void block_undo(cira__block_t *b) {
  pthread_mutex_lock(&T.table);
  if (b->base != NULL && !b->far) {
    reserve_again(b);
    units_give(b);
  }
  cira__backing_close(b);
  pthread_mutex_unlock(&T.table);
  block_delete(b);
}

static cira_status_t far_block(cira__block_t *b, uint32_t tier,
                               const cira_tier_options_t *opt) {
  b->far = true;
  cira_status_t status = cira__far_alloc(b->bytes, opt->align_bytes, b);
  if (status != CIRA_OK) {
    return status;
  }
  pthread_mutex_lock(&T.table);
  status = far_add(b);
  uint32_t far = cira__tier_of_kind(CIRA_TIER_FAR);
  if (status == CIRA_OK) {
    account_all(b, far);
  }
  pthread_mutex_unlock(&T.table);
  if (status != CIRA_OK) {
    cira__far_free(b);
    return status;
  }
  if (tier != far) {
    status = cira_tier_set(b->base, 0, tier, 0);
    if (status != CIRA_OK) {
      pthread_mutex_lock(&T.table);
      far_remove(b);
      for (uint32_t i = 0; i < b->chunks; i++) {
        T.tier[b->tier[i]].used -= chunk_bytes(b, i);
      }
      pthread_mutex_unlock(&T.table);
      cira__far_free(b);
    }
  }
  return status;
}

/* The tier in which a block begins, and whether it is one of the far space. */
static cira_status_t begin_in(cira__place_t place, uint64_t bytes,
                              const cira_tier_options_t *opt, uint32_t *tier,
                              bool *far) {
  pthread_mutex_lock(&T.table);
  cira__tier_t *t = &T.tier[*tier];
  *far = (opt->flags & CIRA_TIER_F_FAR) != 0 || t->info.kind == CIRA_TIER_FAR;
  cira_status_t status = cira__tier_usable(t);
  if (status == CIRA_OK && *far) {
    uint32_t home = cira__tier_of_kind(CIRA_TIER_FAR);
    status = cira__tier_usable(&T.tier[home]);
    if (status == CIRA_OK &&
        (t->info.kind == CIRA_TIER_DAX || t->info.kind == CIRA_TIER_FILE)) {
      status = cira__fail(CIRA_E_UNSUPPORTED,
                          "a block of the far space cannot be in %s; leave "
                          "CIRA_TIER_F_FAR out",
                          t->info.name);
    }
    if (place == PLACE_FIRST_TOUCH || place == PLACE_HOT_LOCAL ||
        place == PLACE_INTERLEAVE) {
      *tier = home; /* here as far as the local cache allows */
    }
  }
  if (status == CIRA_OK && place == PLACE_TIER) {
    status = room_check(t, bytes);
  }
  pthread_mutex_unlock(&T.table);
  return status;
}

cira_status_t cira_tier_alloc(uint64_t bytes, const cira_tier_options_t *given,
                              void **out) {
  cira_tier_options_t opt;
  cira__place_t place = PLACE_FIRST_TOUCH;
  uint32_t tier = CIRA_TIER_LOCAL_ID;
  bool far = false;
  if (out == NULL) {
    return cira__fail(CIRA_E_INVALID,
                      "cira_tier_alloc: no place for the block");
  }
  cira_status_t status = options_read(bytes, given, &opt);
  status = status == CIRA_OK ? cira__tier_ready() : status;
  status =
      status == CIRA_OK ? cira__place_parse(opt.place, &place, &tier) : status;
  if (status == CIRA_OK && place == PLACE_TIER) {
    status = cira_tier_refresh(); /* how much is free there */
  }
  status =
      status == CIRA_OK ? begin_in(place, bytes, &opt, &tier, &far) : status;
  if (status != CIRA_OK) {
    return status;
  }
  uint64_t unit = far ? CIRA_PAGE_BYTES : CHUNK_BYTES;
  cira__block_t *b = block_new(bytes, cira__align_up(bytes, unit));
  if (b == NULL) {
    return CIRA_E_NOMEM;
  }
  b->flags = opt.flags;
  if (far) {
    status = far_block(b, tier, &opt);
  } else {
    status = arena_block(b, tier, &opt, place);
  }
  if (status != CIRA_OK) {
    block_undo(b);
    return status;
  }
  pthread_mutex_lock(&T.table);
  if (!far) {
    account_all(b, tier);
  }
  b->balanced = place == PLACE_HOT_LOCAL && (opt.flags & CIRA_TIER_F_STAY) == 0;
  pthread_mutex_unlock(&T.table);
  *out = b->base;
  return CIRA_OK;
}

cira_status_t cira_tier_map(uint32_t tier, uint64_t offset, uint64_t bytes,
                            void **out) {
  if (out == NULL || bytes == 0 || (bytes | offset) % CHUNK_BYTES != 0) {
    return cira__fail(CIRA_E_INVALID,
                      out == NULL ? "cira_tier_map: no place for the address"
                                  : "cira_tier_map: offset and bytes must be "
                                    "multiples of 2 MiB, and not zero bytes");
  }
  cira_status_t status = cira_tier_refresh();
  if (status != CIRA_OK) {
    return status;
  }
  cira__block_t *b = NULL;
  uint64_t got;
  pthread_mutex_lock(&T.table);
  cira__tier_t *t = cira__tier_get(tier);
  status = t == NULL ? CIRA_E_INVALID : CIRA_OK;
  if (status == CIRA_OK && t->info.kind != CIRA_TIER_DAX) {
    status =
        cira__fail(CIRA_E_UNSUPPORTED,
                   "%s has no content to map; use a dax: tier", t->info.name);
  }
  status = status == CIRA_OK ? cira__tier_usable(t) : status;
  if (status == CIRA_OK && !cira__range_ok(offset, bytes, t->dax_size)) {
    status = cira__fail(CIRA_E_RANGE,
                        "%s ends after %llu bytes; bytes %llu to %llu are not "
                        "there",
                        t->info.name, (unsigned long long)t->dax_size,
                        (unsigned long long)offset,
                        (unsigned long long)(offset + bytes));
  }
  if (status == CIRA_OK && (b = block_new(bytes, bytes)) == NULL) {
    status = CIRA_E_NOMEM;
  }
  status = status == CIRA_OK ? cira__dax_open(t, false) : status;
  if (status == CIRA_OK) {
    status = cira__dax_take(t, offset, bytes, &got);
    if (status == CIRA_OK) {
      b->dax_offset[tier] = offset + 1;
      b->dax_chunks[tier] = b->chunks;
      b->dax_kept = true;
      status = units_take(b, 0);
    } else if (t->extent_count == 0) {
      cira__dax_give(t, UINT64_MAX);
    }
  }
  pthread_mutex_unlock(&T.table);
  if (status == CIRA_OK) {
    status = cira__backing_map(b, tier, b->base, 0, bytes, 0);
  }
  if (status != CIRA_OK) {
    if (b != NULL) {
      block_undo(b);
    }
    return status;
  }
  pthread_mutex_lock(&T.table);
  account_all(b, tier);
  pthread_mutex_unlock(&T.table);
  *out = b->base;
  return CIRA_OK;
}

cira_status_t cira_tier_free(void *p) {
  if (p == NULL) {
    return CIRA_OK;
  }
  pthread_mutex_lock(&T.table);
  cira__block_t *b = cira__block_of(p);
  if (b == NULL || b->closing || b->base != p) {
    pthread_mutex_unlock(&T.table);
    return no_block("cira_tier_free", p);
  }
  b->closing = true;
  while (b->users != 0) {
    pthread_cond_wait(&arena.idle, &T.table);
  }
  for (uint32_t i = 0; i < b->chunks; i++) {
    T.tier[b->tier[i]].used -= chunk_bytes(b, i);
  }
  if (b->far) {
    far_remove(b);
  } else {
    reserve_again(b);
    units_give(b);
  }
  cira__backing_close(b);
  pthread_mutex_unlock(&T.table);
  if (b->far) {
    cira__far_free(b);
  }
  block_delete(b);
  return CIRA_OK;
}

/* ---- asking ------------------------------------------------------------- */

cira_status_t cira__block_range(const cira__block_t *b, const void *p,
                                uint64_t bytes, uint32_t *first,
                                uint32_t *last) {
  uint64_t at = (uint64_t)((const uint8_t *)p - b->base);
  if (bytes == 0) {
    *first = 0;
    *last = b->chunks;
    return CIRA_OK;
  }
  if (!cira__range_ok(at, bytes, b->span_bytes)) {
    return cira__fail(CIRA_E_RANGE,
                      "%llu bytes at %p reach beyond the block, which has %llu "
                      "at %p",
                      (unsigned long long)bytes, p,
                      (unsigned long long)b->bytes, (void *)b->base);
  }
  *first = (uint32_t)(at / CHUNK_BYTES);
  *last = (uint32_t)((at + bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);
  return CIRA_OK;
}

/* Pages of a memory file that have memory, mapped here or not. */
static uint64_t file_bytes(const uint8_t *at, uint64_t bytes) {
  uint8_t in[CHUNK_PAGES];
  uint64_t n = 0;
  if (mincore((void *)(uintptr_t)at, bytes, in) != 0) {
    return 0;
  }
  for (uint64_t i = 0; i < bytes / CIRA_PAGE_BYTES; i++) {
    n += in[i] & 1;
  }
  return n * CIRA_PAGE_BYTES;
}

cira_status_t cira_tier_query(const void *p, cira_tier_block_t *out) {
  if (out == NULL) {
    return cira__fail(CIRA_E_INVALID,
                      "cira_tier_query: no place for the answer");
  }
  cira__block_t *b = cira__block_use(p);
  if (b == NULL) {
    return CIRA_E_INVALID;
  }
  cira_tier_block_t r = {.base = b->base, .bytes = b->bytes};
  uint64_t at = (uint64_t)((const uint8_t *)p - b->base);
  pthread_mutex_lock(&T.table);
  r.tier = b->tier[at / CHUNK_BYTES];
  r.moving = b->users - 1;
  pthread_mutex_unlock(&T.table);
  if (b->far) {
    cira__far_count(b, r.tier_bytes);
  }
  for (uint32_t i = 0; i < b->chunks && !b->far; i++) {
    const uint8_t *chunk = b->base + i * CHUNK_BYTES;
    pthread_mutex_lock(&T.move); /* no chunk on its way is looked at */
    uint32_t tier = b->tier[i];
    switch (cira__backing_of(tier)) {
    case BACKING_ANON:
      cira__pages_count(chunk, CHUNK_BYTES, r.tier_bytes);
      break;
    case BACKING_FILE:
      r.tier_bytes[tier] += file_bytes(chunk, CHUNK_BYTES);
      break;
    case BACKING_DAX:
      r.tier_bytes[tier] += CHUNK_BYTES;
      break;
    }
    pthread_mutex_unlock(&T.move);
  }
  for (uint32_t i = 0; i < CIRA_TIER_MAX; i++) {
    r.touched_bytes += r.tier_bytes[i];
  }
  cira__block_leave(b);
  *out = r;
  return CIRA_OK;
}
