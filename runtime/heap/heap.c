/* SPDX-License-Identifier: Apache-2.0
 *
 * jemalloc on a space. Far arenas get addresses from the space and commit them
 * piece by piece through extent hooks; their metadata stays in jemalloc's own
 * local memory (metadata_use_hooks = false). Each thread's default arena is a
 * far one, so the common path is jemalloc's own thread cache. Near blocks come
 * from one ordinary arena through a second cache of the thread.
 *
 * jemalloc does not notice a block that is freed twice, where the C library
 * would abort; a small table of the last frees of each thread does.
 *
 * Locks: jemalloc calls the hooks with its locks held; the hooks call only the
 * space, which never calls back.
 */
#include "heap/heap.h"

#include <dlfcn.h>
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap/entry.h"

#define FAR_ARENAS_MAX 16u
#define SYSTEM_NEAR_MAX (64u << 10) /* 64 KiB: stdio and directory buffers */
#define RANGES_MAX 16u
#define RECENT 256u /* power of two; 2 KiB per thread */
#define HUGE_BYTES (UINT64_C(2) << 20)

/* What jemalloc 5.3's experimental.arenas_create_ext takes. */
typedef struct {
  extent_hooks_t *extent_hooks;
  bool metadata_use_hooks;
} arena_config_t;

static struct {
  cira_space_t *space; /* NULL: everything is near */
  uint64_t near_max_bytes;
  unsigned far_arena[FAR_ARENAS_MAX];
  unsigned far_arena_count;
  unsigned near_arena;
  _Atomic unsigned next_arena;
  /* code whose own blocks go to the kernel behind the shim's back */
  struct {
    uintptr_t lo, hi;
  } system[RANGES_MAX];
  unsigned system_count;
  uintptr_t system_lo, system_hi; /* around all of them */
  uint64_t early_bytes;           /* near blocks of before init */
  /* far on request */
  pthread_rwlock_t on_request; /* held by whoever takes or gives a block */
  _Atomic uint32_t life;       /* counts init and stop */
  const cira_heap_entry_t *adopted;
} heap = {.on_request = PTHREAD_RWLOCK_INITIALIZER};

static __thread int near_tcache_flag; /* 0 = not made yet */
static __thread int far_tcache_flag;  /* the same, of far blocks on request */
static __thread unsigned far_turn;    /* arena of far blocks on request + 1 */
static __thread uint32_t far_life;    /* heap.life of these two */
static __thread bool thread_far;      /* this thread's default arena is far */
static __thread void *recent[RECENT];

/* ---- extent hooks ------------------------------------------------------- */

/* False for arenas of a space that was destroyed: what jemalloc still gives
 * back to them is nowhere. */
static bool arena_lives(unsigned arena) {
  for (unsigned i = 0; heap.space != NULL && i < heap.far_arena_count; i++) {
    if (heap.far_arena[i] == arena) {
      return true;
    }
  }
  return false;
}

static void *hook_alloc(extent_hooks_t *hooks, void *new_addr, size_t size,
                        size_t alignment, bool *zero, bool *commit,
                        unsigned arena) {
  (void)hooks;
  void *p;
  if (new_addr != NULL || /* a certain place cannot be promised */
      !arena_lives(arena) ||
      cira_space_reserve(heap.space, size, alignment, &p) != CIRA_OK) {
    return NULL;
  }
  if (*commit && cira_space_commit(heap.space, p, size) != CIRA_OK) {
    return NULL;
  }
  *zero = true;
  return p;
}

static bool hook_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
                        bool committed, unsigned arena) {
  (void)hooks;
  (void)addr;
  (void)size;
  (void)committed;
  (void)arena;
  return true; /* addresses are plenty: keep them, decommitted */
}

static bool hook_commit(extent_hooks_t *hooks, void *addr, size_t size,
                        size_t offset, size_t length, unsigned arena) {
  (void)hooks;
  (void)size;
  return !arena_lives(arena) ||
         cira_space_commit(heap.space, (char *)addr + offset, length) !=
             CIRA_OK;
}

static bool hook_decommit(extent_hooks_t *hooks, void *addr, size_t size,
                          size_t offset, size_t length, unsigned arena) {
  (void)hooks;
  (void)size;
  if (arena_lives(arena)) {
    cira_space_decommit(heap.space, (char *)addr + offset, length);
  }
  return false;
}

static bool hook_purge(extent_hooks_t *hooks, void *addr, size_t size,
                       size_t offset, size_t length, unsigned arena) {
  (void)hooks;
  (void)size;
  if (arena_lives(arena)) {
    cira_space_discard(heap.space, (char *)addr + offset, length);
  }
  return false;
}

static bool hook_split(extent_hooks_t *hooks, void *addr, size_t size,
                       size_t size_a, size_t size_b, bool committed,
                       unsigned arena) {
  (void)hooks;
  (void)addr;
  (void)size;
  (void)size_a;
  (void)size_b;
  (void)committed;
  (void)arena;
  return false;
}

static bool hook_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
                       void *addr_b, size_t size_b, bool committed,
                       unsigned arena) {
  (void)hooks;
  (void)addr_a;
  (void)size_a;
  (void)addr_b;
  (void)size_b;
  (void)committed;
  (void)arena;
  return false;
}

static extent_hooks_t hooks_far = {
    .alloc = hook_alloc,
    .dalloc = hook_dalloc,
    .commit = hook_commit,
    .decommit = hook_decommit,
    .purge_forced = hook_purge,
    .split = hook_split,
    .merge = hook_merge,
};

/* Flag of this thread's cache of near blocks; none when jemalloc has no more
 * (some four thousand threads). */
static int tcache_flags(int *flag) {
  if (CIRA_UNLIKELY(*flag == 0)) {
    unsigned index;
    size_t bytes = sizeof index;
    *flag = mallctl("tcache.create", &index, &bytes, NULL, 0) == 0
                ? MALLOCX_TCACHE(index)
                : MALLOCX_TCACHE_NONE;
  }
  return *flag;
}

static int near_flags(void) {
  return tcache_flags(&near_tcache_flag);
}

/* ---- far or near -------------------------------------------------------- */

static bool is_system(const void *caller) {
  uintptr_t pc = (uintptr_t)caller;
  if (pc - heap.system_lo >= heap.system_hi - heap.system_lo) {
    return false;
  }
  for (unsigned i = 0; i < heap.system_count; i++) {
    if (pc - heap.system[i].lo < heap.system[i].hi - heap.system[i].lo) {
      return true;
    }
  }
  return false;
}

static inline bool is_near(size_t bytes, const void *caller) {
  return bytes <= heap.near_max_bytes || heap.space == NULL ||
         (bytes <= SYSTEM_NEAR_MAX && is_system(caller));
}

static void near_count(int64_t bytes) {
  if (heap.space == NULL) {
    __atomic_fetch_add(&heap.early_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
    return;
  }
  cira_space_stats_t *stats =
      (cira_space_stats_t *)cira_space_stats(heap.space);
  uint64_t now =
      __atomic_add_fetch(&stats->near_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
  if (bytes > 0 &&
      now > __atomic_load_n(&stats->near_bytes_peak, __ATOMIC_RELAXED)) {
    __atomic_store_n(&stats->near_bytes_peak, now, __ATOMIC_RELAXED);
  }
}

static void *near_alloc(size_t bytes, int flags) {
  if (heap.space != NULL) {
    flags |= near_flags() | (int)MALLOCX_ARENA(heap.near_arena);
  }
  void *p = mallocx(bytes, flags);
  if (p != NULL) {
    near_count((int64_t)sallocx(p, 0));
    if (bytes >= HUGE_BYTES) {
      uintptr_t lo = cira__align_up((uintptr_t)p, HUGE_BYTES);
      uintptr_t hi = cira__align_down((uintptr_t)p + bytes, HUGE_BYTES);
      if (hi > lo) {
        madvise((void *)lo, hi - lo, MADV_HUGEPAGE);
      }
    }
  }
  return p;
}

/* ---- setting up --------------------------------------------------------- */

/* Remembers the code of the C library, the loader and the OpenMP runtimes:
 * what they allocate for themselves they hand to the kernel (buffers, futexes)
 * by calls that no shim sees. */
static int note_system_code(struct dl_phdr_info *info, size_t size,
                            void *unused) {
  static const char *const names[] = {"/libc.so",   "/libc-",
                                      "/ld-linux",  "/libgomp.so",
                                      "/libomp.so", "/libpthread"};
  (void)size;
  (void)unused;
  bool known = false;
  for (size_t i = 0; i < CIRA_COUNT(names) && info->dlpi_name != NULL; i++) {
    known = known || strstr(info->dlpi_name, names[i]) != NULL;
  }
  for (int i = 0; known && i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
    if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) != 0 &&
        heap.system_count < RANGES_MAX) {
      uintptr_t lo = info->dlpi_addr + ph->p_vaddr;
      heap.system[heap.system_count].lo = lo;
      heap.system[heap.system_count++].hi = lo + ph->p_memsz;
      heap.system_lo = cira__min_u64(heap.system_lo, lo);
      heap.system_hi = cira__max_u64(heap.system_hi, lo + ph->p_memsz);
    }
  }
  return 0;
}

static cira_status_t arena_create(unsigned *out) {
  arena_config_t config = {&hooks_far, false};
  size_t bytes = sizeof *out;
  int error = mallctl("experimental.arenas_create_ext", out, &bytes, &config,
                      sizeof config);
  if (error != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, error,
                            "jemalloc makes no arena for far memory");
  }
  return CIRA_OK;
}

cira_status_t cira_heap_init(cira_space_t *s, const cira_heap_options_t *opt) {
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  uint64_t arenas =
      cira__min_u64(FAR_ARENAS_MAX, cpus > 0 ? 2 * (uint64_t)cpus : 2);
  for (unsigned i = 0; i < arenas; i++) {
    cira_status_t status = arena_create(&heap.far_arena[i]);
    if (status != CIRA_OK) {
      return status;
    }
  }
  size_t bytes = sizeof heap.near_arena;
  int error = mallctl("arenas.create", &heap.near_arena, &bytes, NULL, 0);
  if (error != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, error,
                            "jemalloc makes no arena for near memory");
  }
  heap.far_arena_count = (unsigned)arenas;
  heap.near_max_bytes = opt != NULL ? opt->near_max_bytes : 0;
  heap.system_count = 0;
  heap.system_lo = UINTPTR_MAX;
  heap.system_hi = 0;
  dl_iterate_phdr(note_system_code, NULL);
  atomic_fetch_add(&heap.life, 1);
  heap.space = s;
  near_count((int64_t)heap.early_bytes);
  if (opt == NULL || opt->size < sizeof *opt || !opt->on_request) {
    cira_heap_thread_start();
  }
  return CIRA_OK;
}

void cira_heap_thread_start(void) {
  if (heap.space == NULL || thread_far) {
    return;
  }
  unsigned turn = atomic_fetch_add(&heap.next_arena, 1);
  unsigned arena = heap.far_arena[turn % heap.far_arena_count];
  /* Near blocks that the cache already holds must not be handed out as far. */
  mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
  thread_far = mallctl("thread.arena", NULL, NULL, &arena, sizeof arena) == 0;
}

static void tcache_end(int *flag) {
  if (*flag > 0 && *flag != MALLOCX_TCACHE_NONE) {
    unsigned index = (unsigned)(*flag >> 8) - 2;
    mallctl("tcache.destroy", NULL, NULL, &index, sizeof index);
  }
  *flag = 0;
}

void cira_heap_thread_exit(void) {
  tcache_end(&near_tcache_flag);
  pthread_rwlock_rdlock(&heap.on_request);
  if (far_life == atomic_load(&heap.life)) { /* else its blocks are dead */
    tcache_end(&far_tcache_flag);
  }
  pthread_rwlock_unlock(&heap.on_request);
}

/* ---- freed twice -------------------------------------------------------- */

static inline void **recent_slot(const void *p) {
  uint64_t h = (uint64_t)(uintptr_t)p * UINT64_C(0x9e3779b97f4a7c15);
  return &recent[h >> 56];
}
_Static_assert(RECENT == 256, "recent_slot takes the upper 8 bits");

CIRA_COLD static _Noreturn void broken(const char *what, const void *p) {
  cira__log(CIRA_LOG_ERROR, "free(%p): %s", (void *)(uintptr_t)p, what);
  abort();
}

static inline void note_free(void *p) {
  void **slot = recent_slot(p);
  if (CIRA_UNLIKELY(*slot == p)) {
    broken("double free detected", p);
  }
  if (CIRA_UNLIKELY(((uintptr_t)p & 7) != 0)) {
    broken("invalid pointer", p);
  }
  *slot = p;
}

static inline void *note_alloc(void *p) {
  if (CIRA_UNLIKELY(p == NULL)) {
    errno = ENOMEM;
    return NULL;
  }
  void **slot = recent_slot(p);
  if (*slot == p) {
    *slot = NULL;
  }
  return p;
}

/* ---- the family --------------------------------------------------------- */

static inline void *alloc(size_t bytes, int flags, const void *caller) {
  bytes += bytes == 0;
  if (CIRA_UNLIKELY(bytes > PTRDIFF_MAX)) {
    errno = ENOMEM;
    return NULL;
  }
  return note_alloc(CIRA_UNLIKELY(is_near(bytes, caller))
                        ? near_alloc(bytes, flags)
                        : mallocx(bytes, flags));
}

void *cira_heap_malloc(size_t bytes, const void *caller) {
  return alloc(bytes, 0, caller);
}

void *cira_heap_calloc(size_t count, size_t bytes, const void *caller) {
  uint64_t total;
  if (!cira__mul_ok(count, bytes, &total)) {
    errno = ENOMEM;
    return NULL;
  }
  return alloc(total, MALLOCX_ZERO, caller);
}

void *cira_heap_aligned(size_t align, size_t bytes, const void *caller) {
  return alloc(bytes, (int)MALLOCX_ALIGN(align), caller);
}

/* A block of ordinary memory while far memory is on: it has its own cache. */
static inline bool block_is_near(const void *p) {
  return !cira_space_contains(p);
}

void cira_heap_free(void *p) {
  if (p == NULL) {
    return;
  }
  note_free(p);
  if (CIRA_UNLIKELY(block_is_near(p))) {
    near_count(-(int64_t)sallocx(p, 0));
    dallocx(p, heap.space != NULL ? near_flags() : 0);
  } else {
    dallocx(p, 0);
  }
}

void *cira_heap_realloc(void *p, size_t bytes, const void *caller) {
  if (p == NULL) {
    return cira_heap_malloc(bytes, caller);
  }
  if (bytes == 0) {
    cira_heap_free(p);
    return NULL;
  }
  if (bytes > PTRDIFF_MAX) {
    errno = ENOMEM;
    return NULL;
  }
  if (CIRA_LIKELY(!block_is_near(p))) {
    void *moved = rallocx(p, bytes, 0);
    if (moved == NULL) {
      errno = ENOMEM;
    } else if (moved != p) {
      note_free(p);
      note_alloc(moved);
    }
    return moved;
  }
  size_t old = sallocx(p, 0);
  if (bytes <= old && bytes >= old / 2) {
    return p;
  }
  void *moved = cira_heap_malloc(bytes, caller);
  if (moved != NULL) {
    memcpy(moved, p, old < bytes ? old : bytes);
    cira_heap_free(p);
  }
  return moved;
}

size_t cira_heap_usable(const void *p) {
  return p == NULL ? 0 : sallocx(p, 0);
}

/* ---- far on request ------------------------------------------------------ */

void cira_heap_stop(void) {
  pthread_rwlock_wrlock(&heap.on_request);
  if (heap.adopted != NULL) {
    cira_space_adopt(NULL);
  }
  heap.space = NULL;
  heap.adopted = NULL;
  atomic_fetch_add(&heap.life, 1);
  pthread_rwlock_unlock(&heap.on_request);
}

bool cira_heap_far_ready(void) {
  return heap.space != NULL;
}

/* This thread's cache and arena of far blocks, made when first needed. */
static int far_flags(void) {
  uint32_t life = atomic_load(&heap.life);
  if (CIRA_UNLIKELY(far_turn == 0 || far_life != life)) {
    far_tcache_flag = 0; /* what the old one has is dead */
    far_life = life;
    far_turn = atomic_fetch_add(&heap.next_arena, 1) % heap.far_arena_count + 1;
  }
  return tcache_flags(&far_tcache_flag);
}

void *cira_heap_far_aligned(size_t align, size_t bytes) {
  if (heap.space == NULL || bytes > PTRDIFF_MAX || align > PTRDIFF_MAX) {
    return NULL;
  }
  if (heap.adopted != NULL) {
    return heap.adopted->far_alloc(bytes, align);
  }
  pthread_rwlock_rdlock(&heap.on_request);
  int flags = far_flags() | MALLOCX_ZERO | (int)MALLOCX_ALIGN(align) |
              (int)MALLOCX_ARENA(heap.far_arena[far_turn - 1]);
  void *p = note_alloc(mallocx(bytes + (bytes == 0), flags));
  pthread_rwlock_unlock(&heap.on_request);
  return p;
}

void *cira_heap_far_alloc(size_t bytes) {
  return cira_heap_far_aligned(16, bytes);
}

void cira_heap_far_free(void *p) {
  if (p == NULL) {
    return;
  }
  if (heap.adopted != NULL) {
    heap.adopted->far_free(p);
    return;
  }
  pthread_rwlock_rdlock(&heap.on_request);
  note_free(p);
  dallocx(p, heap.space != NULL ? far_flags() : MALLOCX_TCACHE_NONE);
  pthread_rwlock_unlock(&heap.on_request);
}

size_t cira_heap_far_usable(const void *p) {
  return heap.adopted != NULL ? heap.adopted->usable(p) : cira_heap_usable(p);
}

void cira_heap_fork_prepare(void) {
  pthread_rwlock_wrlock(&heap.on_request);
}

void cira_heap_fork_parent(void) {
  pthread_rwlock_unlock(&heap.on_request);
}

/* Made anew: threads that waited for it are not here. */
void cira_heap_fork_child(void) {
  pthread_rwlock_init(&heap.on_request, NULL);
}

/* ---- under the preload library ------------------------------------------- */

const cira_heap_entry_t *cira_heap_entry(void) {
  return dlsym(RTLD_DEFAULT, CIRA_HEAP_ENTRY);
}

cira_status_t cira_heap_adopt(const cira_heap_entry_t *entry) {
  if (entry->size != sizeof *entry ||
      entry->version != CIRA_HEAP_ENTRY_VERSION ||
      entry->layout() != cira_space_layout()) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "the program and the preload library of cira-run are of "
                      "different builds of cira; link it with the installed "
                      "one");
  }
  if (*entry->space == NULL) {
    return cira__fail(CIRA_E_CLOSED,
                      "the preload library has no far memory yet; start far "
                      "memory in main or later");
  }
  pthread_rwlock_wrlock(&heap.on_request);
  cira_space_adopt(*entry->space);
  heap.adopted = entry;
  heap.space = *entry->space;
  pthread_rwlock_unlock(&heap.on_request);
  return CIRA_OK;
}
