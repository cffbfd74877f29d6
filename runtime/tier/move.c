/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving. Between nodes the kernel migrates the pages of anonymous memory. Any
 * other change of backing goes chunk by chunk: a staging area gets what is to
 * be there, writers of the chunk are held back (guard.c), the content is
 * copied, and one mremap puts the copy in the chunk's place. A reader sees the
 * old pages before and the new ones after, never anything else.
 *
 * The staging area is one mapping as long as what moves, at a fixed distance
 * from it, so that chunks which have moved are one mapping again. Chunks leave
 * it from its beginning: what is behind the last one is all that is left of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "tier/tier_internal.h"

#define T cira__tiers
#define RUN_POPULATE 4u /* pages; shorter runs are filled by faults */
#define PAGES_FLAGS (CIRA_TIER_F_HUGE | CIRA_TIER_F_SMALL)
#define MIGRATE_TRIES 4

/* ---- which pages have memory -------------------------------------------- */

static int pagemap_fd = -1; /* guarded by move */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_UFFD_WP (UINT64_C(1) << 57)

bool cira__present_known(void) {
  if (pagemap_fd == -1) {
    pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    pagemap_fd = pagemap_fd >= 0 ? pagemap_fd : -2;
  }
  return pagemap_fd >= 0;
}

void cira__present_forked(void) {
  if (pagemap_fd >= 0) {
    cira__sys_close(pagemap_fd); /* the parent's page table */
  }
  pagemap_fd = -1;
}

/* Threads of the program may read and, until they are held back, have written
 * these bytes; the exchange orders that, in a way that sanitizers cannot see.
 */
#define UNSEEN __attribute__((no_sanitize("thread", "address")))

UNSEEN static bool is_zero(const uint8_t *page) {
  const volatile uint64_t *word = (const volatile uint64_t *)(const void *)page;
  for (size_t i = 0; i < CIRA_PAGE_BYTES / sizeof *word; i++) {
    if (word[i] != 0) {
      return false;
    }
  }
  return true;
}

/* A page that is swapped out and one that was never touched but has a marker
 * of the guard look the same: reading tells them apart. */
static bool has_memory(uint64_t entry, const uint8_t *page) {
  return (entry & PAGEMAP_PRESENT) != 0 ||
         ((entry & PAGEMAP_SWAPPED) != 0 &&
          ((entry & PAGEMAP_UFFD_WP) == 0 || !is_zero(page)));
}

cira_status_t cira__present_runs(const uint8_t *at, uint64_t bytes,
                                 cira__run_fn run, void *context) {
  uint64_t entry[CHUNK_PAGES], pages = bytes / CIRA_PAGE_BYTES;
  off_t where = (off_t)((uintptr_t)at / CIRA_PAGE_BYTES * sizeof *entry);
  size_t want = pages * sizeof *entry;
  if (!cira__present_known() || pages > CHUNK_PAGES ||
      CIRA__SYS(SYS_pread64, pagemap_fd, entry, want, where, 0, 0) !=
          (long)want) {
    return run(context, 0, bytes);
  }
  for (uint64_t i = 0; i < pages;) {
    uint64_t first = i;
    while (i < pages && has_memory(entry[i], at + i * CIRA_PAGE_BYTES)) {
      i++;
    }
    if (i > first) {
      cira_status_t status =
          run(context, first * CIRA_PAGE_BYTES, (i - first) * CIRA_PAGE_BYTES);
      if (status != CIRA_OK) {
        return status;
      }
    }
    i += i == first;
  }
  return CIRA_OK;
}

/* ---- copying ------------------------------------------------------------ */

UNSEEN static void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) {
#if defined(__x86_64__)
  __asm__ volatile("rep movsb"
                   : "+D"(to), "+S"(from), "+c"(bytes)
                   :
                   : "memory");
#else
  for (uint64_t i = 0; i < bytes / sizeof(uint64_t); i++) {
    ((volatile uint64_t *)(void *)to)[i] =
        ((const volatile uint64_t *)(const void *)from)[i];
  }
#endif
}

typedef struct {
  uint8_t *to; /* the staging chunk */
  const uint8_t *from;
  int fd; /* of a memory file, else -1 */
  uint64_t fd_offset;
  uint64_t done; /* DAX: zeros up to here */
  bool zeros;
} copy_t;

static cira_status_t no_room(int error) {
  return cira__fail_errno(error == ENOMEM || error == ENOSPC || error == EFAULT
                              ? CIRA_E_NOMEM
                              : CIRA_E_SYSTEM,
                          error, "a chunk cannot move: no memory for its copy");
}

static cira_status_t copy_run(void *context, uint64_t offset, uint64_t bytes) {
  copy_t *c = context;
  if (c->fd >= 0) { /* straight into the file's pages, none is cleared before */
    while (bytes > 0) {
      long n = CIRA__SYS(SYS_pwrite64, c->fd, c->from + offset, bytes,
                         c->fd_offset + offset, 0, 0);
      if (n <= 0) {
        return no_room(n == 0 ? ENOSPC : (int)-n);
      }
      offset += (uint64_t)n;
      bytes -= (uint64_t)n;
    }
    return CIRA_OK;
  }
  if (c->zeros && offset > c->done) {
    memset(c->to + c->done, 0, offset - c->done);
  }
  c->done = offset + bytes;
  if (!c->zeros && bytes >= RUN_POPULATE * CIRA_PAGE_BYTES) {
    long rc = cira__sys_madvise(c->to + offset, bytes, MADV_POPULATE_WRITE);
    if (rc == -ENOMEM || rc == -EFAULT) {
      return no_room(ENOMEM);
    } /* else: an older kernel; the copy faults */
  }
  copy(c->to + offset, c->from + offset, bytes);
  return CIRA_OK;
}

static cira_status_t copy_chunk(cira__block_t *b, uint32_t chunk, uint32_t tier,
                                uint8_t *stage) {
  cira__backing_t to = cira__backing_of(tier);
  const uint8_t *from = b->base + chunk * CHUNK_BYTES;
  copy_t c = {.to = stage,
              .from = from,
              .fd = to == BACKING_FILE ? b->fd : -1,
              .fd_offset = chunk * CHUNK_BYTES,
              .zeros = to == BACKING_DAX};
  cira_status_t status;
  if (cira__backing_of(b->tier[chunk]) == BACKING_ANON) {
    status = cira__present_runs(from, CHUNK_BYTES, copy_run, &c);
  } else {
    status = copy_run(&c, 0, CHUNK_BYTES);
  }
  if (status == CIRA_OK && c.zeros && c.done < CHUNK_BYTES) {
    memset(stage + c.done, 0, CHUNK_BYTES - c.done);
  }
  return status;
}

/* ---- exchanging --------------------------------------------------------- */

static cira_status_t stage_make(cira__block_t *b, uint32_t first, uint32_t last,
                                uint32_t tier, uint32_t flags) {
  uint64_t bytes = (last - first) * CHUNK_BYTES;
  uint8_t *p = mmap(NULL, bytes + CHUNK_BYTES, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    return cira__fail_errno(CIRA_E_NOMEM, errno, "no addresses for a move");
  }
  uint8_t *stage =
      (uint8_t *)(uintptr_t)cira__align_up((uintptr_t)p, CHUNK_BYTES);
  if (stage > p) {
    munmap(p, (size_t)(stage - p));
  }
  uint8_t *end = p + bytes + CHUNK_BYTES;
  if (end > stage + bytes) {
    munmap(stage + bytes, (size_t)(end - stage) - bytes);
  }
  cira_status_t status = cira__backing_map(b, tier, stage, first, bytes, flags);
  if (status != CIRA_OK) {
    munmap(stage, bytes);
    return status;
  }
  b->stage = stage;
  b->stage_end = stage + bytes;
  return CIRA_OK;
}

static void stage_end(cira__block_t *b) {
  if (b->stage != NULL && b->stage < b->stage_end) {
    munmap(b->stage, (size_t)(b->stage_end - b->stage));
  }
  b->stage = b->stage_end = NULL;
}

/* The first chunk of the staging area is not needed. */
static void stage_skip(cira__block_t *b) {
  munmap(b->stage, CHUNK_BYTES);
  b->stage += CHUNK_BYTES;
}

static void account(cira__block_t *b, uint32_t chunk, uint32_t tier) {
  pthread_mutex_lock(&T.table);
  cira__chunk_account(b, chunk, tier);
  if (cira__backing_of(tier) == BACKING_DAX) {
    b->dax_chunks[tier]++;
  }
  pthread_mutex_unlock(&T.table);
}

/* Copies one chunk and exchanges it; with `move` held. */
static cira_status_t exchange(cira__block_t *b, uint32_t chunk, uint32_t tier) {
  uint8_t *at = b->base + chunk * CHUNK_BYTES;
  uint32_t from = b->tier[chunk];
  cira_status_t status =
      cira__guard_begin(at, CHUNK_BYTES, cira__backing_of(from));
  if (status != CIRA_OK) {
    return status;
  }
  status = copy_chunk(b, chunk, tier, b->stage);
  if (status == CIRA_OK &&
      mremap(b->stage, CHUNK_BYTES, CHUNK_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
             at) == MAP_FAILED) {
    status = no_room(errno);
  }
  cira__guard_end(at, CHUNK_BYTES, status != CIRA_OK);
  if (status == CIRA_OK) {
    b->stage += CHUNK_BYTES;
    account(b, chunk, tier);
    cira__backing_drop(b, from, chunk);
  }
  return status;
}

static bool is_closing(const cira__block_t *b) {
  pthread_mutex_lock(&T.table);
  bool closing = b->closing;
  pthread_mutex_unlock(&T.table);
  return closing;
}

static cira_status_t cancelled(void) {
  return cira__fail(CIRA_E_CANCELLED, "the block is freed while it moves");
}

/* Chunks [first, last) change their backing (or, with HUGE or SMALL, their
 * pages). The staging area belongs to one call at a time. */
static cira_status_t swap(cira__block_t *b, uint32_t first, uint32_t last,
                          uint32_t tier, uint32_t flags) {
  pthread_mutex_lock(&T.move); /* no fork between a new file and its mapping */
  cira_status_t status =
      b->stage == NULL
          ? cira__backing_prepare(b, tier)
          : cira__fail(CIRA_E_BUSY, "another thread moves this block");
  if (status == CIRA_OK) {
    status = stage_make(b, first, last, tier, flags);
  }
  pthread_mutex_unlock(&T.move);
  if (status != CIRA_OK) {
    return status;
  }
  for (uint32_t i = first; i < last && status == CIRA_OK; i++) {
    if (is_closing(b)) {
      status = cancelled();
      break;
    }
    pthread_mutex_lock(&T.move);
    if (b->tier[i] == tier && (flags & PAGES_FLAGS) == 0) {
      stage_skip(b);
    } else {
      status = exchange(b, i, tier);
    }
    pthread_mutex_unlock(&T.move);
  }
  pthread_mutex_lock(&T.move);
  stage_end(b);
  pthread_mutex_unlock(&T.move);
  return status;
}

/* ---- migration by the kernel -------------------------------------------- */

/* Bytes of a chunk that are elsewhere than in the tier. */
static uint64_t elsewhere(const uint8_t *at, uint64_t bytes, uint32_t tier) {
  uint64_t in[CIRA_TIER_MAX] = {0}, sum = 0;
  cira__pages_count(at, bytes, in);
  for (uint32_t i = 0; i < CIRA_TIER_MAX; i++) {
    /* Any node with processors will do as local memory. */
    bool there = i == tier || (tier == CIRA_TIER_LOCAL_ID &&
                               T.tier[i].info.kind == CIRA_TIER_NODE &&
                               !T.tier[i].info.memory_only);
    sum += there ? 0 : in[i];
  }
  return sum;
}

static cira_status_t migrate(cira__block_t *b, uint32_t chunk, uint32_t tier) {
  uint8_t *at = b->base + chunk * CHUNK_BYTES;
  uint64_t left = 0;
  for (int i = 0; i < MIGRATE_TRIES; i++) {
    cira_status_t status = cira__policy_set(at, CHUNK_BYTES, tier, true);
    if (status != CIRA_OK) {
      return status;
    }
    left = T.memory_node_count > 1 ? elsewhere(at, CHUNK_BYTES, tier) : 0;
    if (left == 0) {
      account(b, chunk, tier);
      return CIRA_OK;
    }
    sched_yield(); /* pages that a thread is busy with */
  }
  char size[32];
  return cira__fail(CIRA_E_BUSY,
                    "%s at %p did not move to %s: its node is full, or the "
                    "pages are held by a device or shared with another "
                    "process",
                    cira__size_text(left, size, sizeof size), (void *)at,
                    T.tier[tier].info.name);
}

/* ---- all ---------------------------------------------------------------- */

/* True when the kernel can migrate the pages of a chunk to the tier. */
static bool by_kernel(const cira__block_t *b, uint32_t chunk, uint32_t tier,
                      uint32_t flags) {
  pthread_mutex_lock(&T.move);
  bool anon = cira__backing_of(b->tier[chunk]) == BACKING_ANON;
  pthread_mutex_unlock(&T.move);
  return anon && (flags & PAGES_FLAGS) == 0 &&
         cira__backing_of(tier) == BACKING_ANON;
}

cira_status_t cira__move(cira__block_t *b, uint32_t first, uint32_t last,
                         uint32_t tier, uint32_t flags) {
  cira_status_t status = CIRA_OK;
  uint32_t i = first;
  while (i < last && status == CIRA_OK) {
    if (is_closing(b)) {
      return cancelled();
    }
    if (b->far) {
      status = cira__far_move(b, i, tier);
      i++;
      continue;
    }
    if (by_kernel(b, i, tier, flags)) {
      pthread_mutex_lock(&T.move);
      status = migrate(b, i, tier);
      pthread_mutex_unlock(&T.move);
      i++;
      continue;
    }
    uint32_t end = i + 1; /* chunks that change their backing together */
    while (end < last && !by_kernel(b, end, tier, flags)) {
      end++;
    }
    status = swap(b, i, end, tier, flags);
    i = end;
  }
  return status;
}

/* Pages that did not move: because there is no room for them? */
static cira_status_t busy_or_full(uint32_t tier) {
  char why[256];
  snprintf(why, sizeof why, "%s", cira_status_detail());
  bool full = false;
  if (cira_tier_refresh() == CIRA_OK) {
    pthread_mutex_lock(&T.table);
    full = T.tier[tier].info.kind == CIRA_TIER_NODE &&
           T.tier[tier].info.free_bytes < 8 * CHUNK_BYTES;
    pthread_mutex_unlock(&T.table);
  }
  return cira__fail(full ? CIRA_E_NOMEM : CIRA_E_BUSY, "%s", why);
}

cira_status_t cira_tier_set(void *p, uint64_t bytes, uint32_t tier,
                            uint32_t flags) {
  if ((flags & ~PAGES_FLAGS) != 0 || flags == PAGES_FLAGS) {
    return cira__fail(CIRA_E_INVALID,
                      "cira_tier_set: flags 0x%x; use CIRA_TIER_F_HUGE or "
                      "CIRA_TIER_F_SMALL, or none",
                      flags);
  }
  cira__block_t *b = cira__block_use(p);
  if (b == NULL) {
    return CIRA_E_INVALID;
  }
  uint32_t first = 0, last = 0;
  pthread_mutex_lock(&T.table);
  cira__tier_t *t = cira__tier_get(tier);
  cira_status_t status = t == NULL ? CIRA_E_INVALID : cira__tier_usable(t);
  uint32_t kind = t == NULL ? 0 : t->info.kind;
  if (status == CIRA_OK && b->far &&
      (kind == CIRA_TIER_DAX || kind == CIRA_TIER_FILE)) {
    status = cira__fail(CIRA_E_UNSUPPORTED,
                        "a block of the far space cannot be in %s; allocate "
                        "it without CIRA_TIER_F_FAR",
                        t->info.name);
  } else if (status == CIRA_OK && !b->far && kind == CIRA_TIER_FAR) {
    status = cira__fail(CIRA_E_UNSUPPORTED,
                        "this block is outside of the far space and cannot "
                        "become far; allocate it with CIRA_TIER_F_FAR");
  } else if (status == CIRA_OK && flags != 0 &&
             (b->far || cira__backing_of(tier) != BACKING_ANON)) {
    status = cira__fail(CIRA_E_UNSUPPORTED,
                        "the size of pages can be chosen in local memory and "
                        "on nodes only");
  }
  pthread_mutex_unlock(&T.table);
  if (status == CIRA_OK) {
    status = cira__block_range(b, p, bytes, &first, &last);
  }
  if (status == CIRA_OK) {
    status = cira__move(b, first, last, tier, flags);
  }
  cira__block_leave(b);
  return status == CIRA_E_BUSY ? busy_or_full(tier) : status;
}
