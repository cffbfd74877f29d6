/* SPDX-License-Identifier: Apache-2.0
 *
 * Stacks: mapped in slabs of 16 MiB (or one stack, if that is larger), carved
 * one by one, reused last in first out, unmapped with the pool only; so a stale
 * pointer to a control block can always be looked at.
 *
 * Guards. A mapping per guard page would end at half of vm.max_map_count, about
 * 32,000 stacks. MADV_GUARD_INSTALL (Linux 6.13) marks a page without splitting
 * the mapping: used for every stack where it works. Elsewhere the first
 * GUARD_MAPS_MAX stacks of the process get a real guard page, and later ones
 * share their slab's: between them a canary, which is the line just below the
 * stack (the top of its neighbour), is checked when the coroutine stops or
 * ends. Huge pages are refused: a stack must not take 2 MiB for its first page.
 */
#include "coroutine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef CIRA__ASAN
#include <sanitizer/asan_interface.h>
#endif
#ifdef CIRA__TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define SLAB_BYTES (16u << 20) /* 16 MiB */
#define GUARD_MAPS_MAX 8192
#define CANARY_BYTES 64u
#define CANARY 0x79726e6163726f63ull

typedef struct cira__slab {
  struct cira__slab *next;
  void *at;
  size_t bytes;
} slab_t;

static _Atomic int32_t guard_maps;

cira_coro_options_t cira_coro_options_default(void) {
#if defined(CIRA__ASAN) || defined(CIRA__TSAN)
  uint64_t stack_bytes = 256u << 10; /* 256 KiB */
#else
  uint64_t stack_bytes = 64u << 10; /* 64 KiB */
#endif
  return (cira_coro_options_t){.size = sizeof(cira_coro_options_t),
                               .stack_bytes = stack_bytes};
}

/* Does this kernel have guard pages without mappings? */
static bool guard_pages_work(void) {
  void *page = mmap(NULL, CIRA_PAGE_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return false;
  }
  bool works = madvise(page, CIRA_PAGE_BYTES, MADV_GUARD_INSTALL) == 0;
  (void)munmap(page, CIRA_PAGE_BYTES);
  return works;
}

cira_status_t cira__stacks_init(cira_coro_pool_t *pool,
                                const cira_coro_options_t *opt) {
  cira_coro_options_t o = cira_coro_options_default();
  if (opt && opt->size != sizeof(*opt)) {
    return cira__fail(CIRA_E_INVALID,
                      "coroutine options: size is %u, not %zu; begin with "
                      "cira_coro_options_default",
                      opt->size, sizeof(*opt));
  }
  if (opt) {
    o.guard = opt->guard;
    o.count_max = opt->count_max;
    o.stack_bytes = opt->stack_bytes ? opt->stack_bytes : o.stack_bytes;
  }
  if (o.guard > CIRA_CORO_GUARD_CANARY) {
    return cira__fail(CIRA_E_INVALID, "coroutine options: unknown guard %u",
                      o.guard);
  }
  if (o.stack_bytes < CIRA_CORO_STACK_MIN ||
      o.stack_bytes > CIRA_CORO_STACK_MAX) {
    return cira__fail(CIRA_E_RANGE,
                      "coroutine options: a stack of %llu bytes; from %u to %u",
                      (unsigned long long)o.stack_bytes, CIRA_CORO_STACK_MIN,
                      CIRA_CORO_STACK_MAX);
  }
  bool pages = o.guard <= CIRA_CORO_GUARD_PAGE && guard_pages_work();
  if (o.guard == CIRA_CORO_GUARD_PAGE && !pages) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "coroutine options: this kernel has no guard pages "
                      "without mappings (Linux 6.13); use another guard");
  }
  if (o.guard == CIRA_CORO_GUARD_BEST) {
    o.guard = pages ? CIRA_CORO_GUARD_PAGE : CIRA_CORO_GUARD_MAP;
  }
  memset(pool, 0, sizeof(*pool));
  pool->guard = o.guard;
  pool->count_max = o.count_max ? o.count_max : UINT64_MAX;
  pool->stack_bytes = CIRA_CORO_STACK_MIN;
  while (pool->stack_bytes < o.stack_bytes) {
    pool->stack_bytes *= 2;
  }
  return CIRA_OK;
}

void cira__stacks_fini(cira_coro_pool_t *pool) {
  int64_t used = atomic_load_explicit(&pool->used, memory_order_relaxed) -
                 atomic_load_explicit(&pool->returned, memory_order_relaxed);
  if (used != 0) {
    CIRA_LOG(CIRA_LOG_WARN,
             "coroutine pool: unmapped under %lld coroutines that have not "
             "been destroyed",
             (long long)used);
  }
  (void)atomic_fetch_sub_explicit(&guard_maps, pool->guard_maps,
                                  memory_order_relaxed);
  while (pool->slabs) {
    slab_t *slab = pool->slabs;
    pool->slabs = slab->next;
    (void)munmap(slab->at, slab->bytes);
    free(slab);
  }
}

cira_status_t cira_coro_pool_create(const cira_coro_options_t *opt,
                                    cira_coro_pool_t **out) {
  cira_coro_pool_t made;
  if (!out) {
    return cira__fail(CIRA_E_INVALID, "coro_pool_create: out is NULL");
  }
  cira_status_t status = cira__stacks_init(&made, opt);
  if (status != CIRA_OK) {
    return status;
  }
  cira_coro_pool_t *pool = malloc(sizeof(*pool));
  if (!pool) {
    return cira__fail(CIRA_E_NOMEM, "coro_pool_create: no memory");
  }
  memcpy(pool, &made, sizeof(made));
  *out = pool;
  return CIRA_OK;
}

void cira_coro_pool_destroy(cira_coro_pool_t *pool) {
  if (pool) {
    cira__stacks_fini(pool);
    free(pool);
  }
}

/* ---- carving ------------------------------------------------------------ */

static cira_status_t slab_map(cira_coro_pool_t *pool) {
  uint64_t bytes = cira__max_u64(SLAB_BYTES, pool->stack_bytes);
  slab_t *slab = malloc(sizeof(*slab));
  if (!slab) {
    return cira__fail(CIRA_E_NOMEM, "coroutine stacks: no memory");
  }
  void *at =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (at == MAP_FAILED) {
    free(slab);
    return cira__fail_errno(CIRA_E_NOMEM, errno,
                            "coroutine stacks: cannot map %llu bytes",
                            (unsigned long long)bytes);
  }
  (void)madvise(at, bytes, MADV_NOHUGEPAGE);
  if (pool->guard > CIRA_CORO_GUARD_PAGE &&
      mprotect(at, CIRA_PAGE_BYTES, PROT_NONE) < 0) {
    int error = errno;
    (void)munmap(at, bytes);
    free(slab);
    return cira__fail_errno(CIRA_E_NOMEM, error,
                            "coroutine stacks: no guard page; raise "
                            "vm.max_map_count or use larger slabs");
  }
  *slab = (slab_t){.next = pool->slabs, .at = at, .bytes = bytes};
  pool->slabs = slab;
  pool->carve = at;
  pool->carve_end = pool->carve + bytes;
  return CIRA_OK;
}

/* Guards the stack at `base`. Returns false when it needs a canary. */
static bool guard_install(cira_coro_pool_t *pool, uint8_t *base) {
  if (pool->guard == CIRA_CORO_GUARD_PAGE &&
      madvise(base, CIRA_PAGE_BYTES, MADV_GUARD_INSTALL) == 0) {
    return true;
  }
  if (base == pool->slabs->at && pool->guard > CIRA_CORO_GUARD_PAGE) {
    return true; /* the slab's own */
  }
  if (pool->guard == CIRA_CORO_GUARD_CANARY ||
      /* relaxed: a count */
      atomic_load_explicit(&guard_maps, memory_order_relaxed) >=
          GUARD_MAPS_MAX ||
      mprotect(base, CIRA_PAGE_BYTES, PROT_NONE) < 0) {
    return false;
  }
  (void)atomic_fetch_add_explicit(&guard_maps, 1, memory_order_relaxed);
  pool->guard_maps++;
  return true;
}

static cira_status_t stack_carve(cira_coro_pool_t *pool, cira_coro_t **out) {
  if (pool->count >= pool->count_max) {
    return cira__fail(CIRA_E_QUOTA,
                      "coroutines: count_max, %llu stacks, are in use",
                      (unsigned long long)pool->count_max);
  }
  if (pool->carve == pool->carve_end) {
    cira_status_t status = slab_map(pool);
    if (status != CIRA_OK) {
      return status;
    }
  }
  uint8_t *base = pool->carve;
  uint8_t *end = base + pool->stack_bytes;
  bool guarded = guard_install(pool, base);
  uint64_t colour = pool->count % 8 * 128;
  uint64_t block = cira__align_up(sizeof(cira_coro_t), 64);
  cira_coro_t *co =
      (cira_coro_t *)(void *)(end - CANARY_BYTES - colour - block);
  memset(co, 0, sizeof(*co));
  co->magic = CIRA__CORO_MAGIC;
  co->pool = pool;
  co->base = base;
  co->canary = !guarded;
  co->id = 1;
  uint64_t canary = CANARY ^ (uintptr_t)end;
  memcpy(end - sizeof(canary), &canary, sizeof(canary));
  pool->carve = end;
  pool->count++;
  *out = co;
  return CIRA_OK;
}

void cira__coro_check_canary(const cira_coro_t *co) {
  uint64_t canary;
  if (co->canary) {
    memcpy(&canary, co->base - sizeof(canary), sizeof(canary));
    if (canary != (CANARY ^ (uintptr_t)co->base)) {
      cira__die("coroutine %p has run over the end of its stack of %llu bytes; "
                "make stack_bytes larger",
                (const void *)co, (unsigned long long)co->pool->stack_bytes);
    }
  }
}

/* ---- taking and giving -------------------------------------------------- */

static CIRA_COLD cira_status_t take_slow(cira_coro_pool_t *pool,
                                         cira_coro_t **out) {
  /* pairs with: the release swap in cira__stacks_give_remote */
  pool->free =
      atomic_exchange_explicit(&pool->freed, NULL, memory_order_acquire);
  if (!pool->free) {
    return stack_carve(pool, out);
  }
  *out = pool->free;
  pool->free = (*out)->next;
  return CIRA_OK;
}

cira_status_t cira__stacks_take(cira_coro_pool_t *pool, cira_coro_t **out) {
  cira_coro_t *co = pool->free;
  if (CIRA_LIKELY(co != NULL)) {
    pool->free = co->next;
  } else {
    cira_status_t status = take_slow(pool, &co);
    if (status != CIRA_OK) {
      return status;
    }
  }
#ifdef CIRA__ASAN
  co->ctx.bottom = co->base + CIRA_PAGE_BYTES;
  co->ctx.bytes = (size_t)((uint8_t *)co - co->base) - CIRA_PAGE_BYTES;
  co->ctx.fake_stack = NULL;
  __asan_unpoison_memory_region(co->ctx.bottom, co->ctx.bytes);
#endif
#ifdef CIRA__TSAN
  co->ctx.fiber = __tsan_create_fiber(0);
#endif
  cira__switch_init(co, (void *)((uintptr_t)co & ~(uintptr_t)15));
  co->state = CIRA__CORO_STOPPED;
  /* relaxed: a count for the warning, written by one thread at a time */
  atomic_store_explicit(
      &pool->used, atomic_load_explicit(&pool->used, memory_order_relaxed) + 1,
      memory_order_relaxed);
  *out = co;
  return CIRA_OK;
}

static void retire(cira_coro_t *co) {
#ifdef CIRA__TSAN
  __tsan_destroy_fiber(co->ctx.fiber);
  co->ctx.fiber = NULL;
#endif
  co->state = CIRA__CORO_FREE;
  /* relaxed: stale handles only compare it */
  __atomic_store_n(&co->id, co->id + 1, __ATOMIC_RELAXED);
}

void cira__stacks_give(cira_coro_t *co) {
  cira_coro_pool_t *pool = co->pool;
  retire(co);
  co->next = pool->free;
  pool->free = co;
  atomic_store_explicit(
      &pool->used, atomic_load_explicit(&pool->used, memory_order_relaxed) - 1,
      memory_order_relaxed);
}

void cira__stacks_give_remote(cira_coro_t *co) {
  cira_coro_pool_t *pool = co->pool;
  retire(co);
  (void)atomic_fetch_add_explicit(&pool->returned, 1, memory_order_relaxed);
  co->next = atomic_load_explicit(&pool->freed, memory_order_relaxed);
  /* pairs with: the acquire exchange in take_slow */
  while (!atomic_compare_exchange_weak_explicit(&pool->freed, &co->next, co,
                                                memory_order_release,
                                                memory_order_relaxed)) {
  }
}
