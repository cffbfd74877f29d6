/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of a space: options, tables, the range, and who may use which part of
 * it (alloc, commit, decommit, discard). The pager itself is in pager.c.
 */
#include "space/space_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

cira_space_t *cira__space;
uint64_t cira__space_lo, cira__space_hi;

/* One space per process can live at the fixed base; it needs no malloc. */
static cira_space_t the_space;

void *cira__map_table(uint64_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

void cira__unmap_table(void *p, uint64_t bytes) {
  if (p != NULL) {
    munmap(p, bytes);
  }
}

void cira_space_options_default(cira_space_options_t *opt) {
  memset(opt, 0, sizeof *opt);
  opt->size = (uint32_t)sizeof *opt;
}

static uint64_t physical_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES);
  return pages > 0 ? (uint64_t)pages << CIRA_PAGE_LOG2 : UINT64_C(1) << 30;
}

static cira_status_t options_fill(cira_space_t *s,
                                  const cira_space_options_t *given) {
  cira_space_options_default(&s->opt);
  if (given != NULL) {
    size_t known = cira__min_u64(given->size, sizeof s->opt);
    memcpy(&s->opt, given, known);
  }
  cira_space_options_t *o = &s->opt;
  const char *url = o->url != NULL ? o->url : "host:";
  if (strlen(url) >= sizeof s->url) {
    return cira__fail(CIRA_E_INVALID, "far URL is longer than %zu characters",
                      sizeof s->url - 1);
  }
  strcpy(s->url, url);
  o->url = s->url;
  if (o->token_file != NULL) {
    if (strlen(o->token_file) >= sizeof s->token_file) {
      return cira__fail(CIRA_E_INVALID, "path of the token file is too long");
    }
    strcpy(s->token_file, o->token_file);
    o->token_file = s->token_file;
  }
  if (o->range_bytes == 0) {
    o->range_bytes = UINT64_C(1) << 40; /* 1 TiB */
  }
  o->range_bytes = cira__align_up(o->range_bytes, CHUNK_BYTES);
  if (o->range_bytes > CIRA_SPACE_BYTES_MAX) {
    return cira__fail(CIRA_E_INVALID,
                      "far range of %lu bytes is larger than 16 TiB",
                      (unsigned long)o->range_bytes);
  }
  if (o->local_bytes == 0) {
    o->local_bytes = cira__align_down(physical_bytes() / 2, CIRA_PAGE_BYTES);
  }
  if (o->local_bytes < CIRA_SPACE_LOCAL_MIN) {
    return cira__fail(CIRA_E_INVALID,
                      "local cache of %lu bytes is below the minimum of %lu "
                      "bytes (64 pages); give more with --local or CIRA_LOCAL",
                      (unsigned long)o->local_bytes,
                      (unsigned long)CIRA_SPACE_LOCAL_MIN);
  }
  if (o->granule_bytes == 0) {
    o->granule_bytes = CIRA_LINE_BYTES;
  }
  if (o->granule_bytes < CIRA_LINE_BYTES ||
      o->granule_bytes > CIRA_PAGE_BYTES ||
      (o->granule_bytes & (o->granule_bytes - 1)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "granule of %u bytes: must be a power of two from 64 to "
                      "4096",
                      o->granule_bytes);
  }
  if (o->deadline_ns == 0) {
    o->deadline_ns = UINT64_C(10000000000); /* 10 s */
  }
  if (o->lanes > LANES_MAX) {
    return cira__fail(CIRA_E_INVALID, "%u lanes: at most %u are possible",
                      o->lanes, LANES_MAX);
  }
  if (o->readahead_pages > READAHEAD_MAX) {
    return cira__fail(CIRA_E_INVALID,
                      "read-ahead of %u pages: at most %u are possible",
                      o->readahead_pages, READAHEAD_MAX);
  }
  return CIRA_OK;
}

static void budget_init(cira_space_t *s) {
  uint64_t page_cost = CIRA_PAGE_BYTES;
  if (!s->direct) {
    page_cost += s->granules * sizeof(uint64_t); /* baselines are local too */
  }
  s->local_pages = s->opt.local_bytes / page_cost;
  atomic_store(&s->free_pages, (int64_t)s->local_pages);
  uint64_t batch = s->local_pages / 32;
  s->batch_pages =
      (uint32_t)cira__min_u64(cira__max_u64(batch, 4), WINDOW_PAGES / 2);
  cira__readahead_init(s);
  s->low_pages = (int64_t)cira__max_u64(2, cira__min_u64(s->batch_pages, 64));
  s->stats->local_bytes = s->opt.local_bytes;
}

static const map_ops_t *mode_table(cira_space_mode_t mode) {
  switch (mode) {
  case CIRA_SPACE_SIGBUS:
    return &cira__map_sigbus;
  case CIRA_SPACE_THREAD:
    return &cira__map_thread;
  case CIRA_SPACE_SIGSEGV:
    return &cira__map_sigsegv;
  default:
    return NULL;
  }
}

/* Takes the mode asked for, or the first that the machine can do. */
static cira_status_t mode_choose(cira_space_t *s) {
  static const cira_space_mode_t order[] = {
      CIRA_SPACE_SIGBUS, CIRA_SPACE_THREAD, CIRA_SPACE_SIGSEGV};
  if (s->opt.mode != CIRA_SPACE_AUTO) {
    s->map = mode_table(s->opt.mode);
    if (s->map == NULL) {
      return cira__fail(CIRA_E_INVALID, "unknown paging mode %d",
                        (int)s->opt.mode);
    }
    return s->map->probe();
  }
  cira_status_t status = CIRA_E_UNSUPPORTED;
  for (size_t i = 0; i < CIRA_COUNT(order); i++) {
    s->map = mode_table(order[i]);
    status = s->map->probe();
    if (status == CIRA_OK) {
      return CIRA_OK;
    }
    CIRA_LOG(CIRA_LOG_INFO, "paging mode %s is not possible: %s", s->map->name,
             cira_status_detail());
  }
  return status;
}

static cira_status_t tables_create(cira_space_t *s) {
  uint64_t chunks = s->bytes >> CHUNK_LOG2;
  /* One more, never written: what lies outside is never at home (loop.h). */
  s->words = cira__map_table((s->pages + 1) * sizeof *s->words);
  s->chunk_state = cira__map_table(chunks * sizeof *s->chunk_state);
  s->chunk_resident = cira__map_table(chunks * sizeof *s->chunk_resident);
  s->chunk_committed = cira__map_table(chunks * sizeof *s->chunk_committed);
  s->zeros = cira__map_table(READAHEAD_MAX * CIRA_PAGE_BYTES);
  if (s->words == NULL || s->chunk_state == NULL || s->chunk_resident == NULL ||
      s->chunk_committed == NULL || s->zeros == NULL) {
    return cira__fail_errno(CIRA_E_NOMEM, errno,
                            "no address space for the page tables of a far "
                            "range of %lu bytes; give a smaller one with "
                            "--far-size",
                            (unsigned long)s->bytes);
  }
  return CIRA_OK;
}

static void tables_destroy(cira_space_t *s) {
  uint64_t chunks = s->bytes >> CHUNK_LOG2;
  cira__unmap_table(s->words, (s->pages + 1) * sizeof *s->words);
  cira__unmap_table(s->chunk_state, chunks * sizeof *s->chunk_state);
  cira__unmap_table(s->chunk_resident, chunks * sizeof *s->chunk_resident);
  cira__unmap_table(s->chunk_committed, chunks * sizeof *s->chunk_committed);
  cira__unmap_table(s->zeros, READAHEAD_MAX * CIRA_PAGE_BYTES);
}

cira_status_t cira_space_create(const cira_space_options_t *opt,
                                cira_space_t **out) {
  cira_space_t *s = &the_space;
  if (cira__space != NULL) {
    return cira__fail(CIRA_E_BUSY, "this process has a far space already");
  }
  memset(s, 0, sizeof *s);
  s->uffd = s->pagemap_fd = s->pidfd = s->view_fd = s->handler_stop_fd = -1;
  s->fork_pipe[0] = s->fork_pipe[1] = -1;
  s->stats = &s->own_stats;
  atomic_store(&s->threads, 1);
  cira_status_t status = options_fill(s, opt);
  if (status != CIRA_OK) {
    return status;
  }
  s->base = CIRA_SPACE_BASE;
  s->bytes = s->opt.range_bytes;
  s->pages = s->bytes >> CIRA_PAGE_LOG2;
  s->granule_log2 = (uint32_t)__builtin_ctz(s->opt.granule_bytes);
  s->granules = CIRA_PAGE_BYTES >> s->granule_log2;

  status = mode_choose(s);
  if (status != CIRA_OK) {
    return status;
  }
  status = cira__home_open(s);
  if (status != CIRA_OK) {
    return status;
  }
  budget_init(s);
  status = tables_create(s);
  if (status != CIRA_OK) {
    goto err_tables;
  }
  status = cira__delta_init(s);
  if (status != CIRA_OK) {
    goto err_tables;
  }
  status = s->map->init(s);
  if (status != CIRA_OK) {
    goto err_tables;
  }
  cira__space = s;
  cira__space_lo = s->base;
  cira__space_hi = s->base + s->bytes;
  *out = s;
  if (cira__profile_on()) {
    cira__profile_note("far %s\nmode %s\nlocal_bytes %llu\n", s->url,
                       s->map->name, (unsigned long long)s->opt.local_bytes);
  }
  return CIRA_OK;

err_tables:
  tables_destroy(s);
  cira__home_close(s);
  return status;
}

void cira_space_adopt(cira_space_t *s) {
  cira__space = s;
  cira__space_lo = s != NULL ? s->base : 0;
  cira__space_hi = s != NULL ? s->base + s->bytes : 0;
}

uint64_t cira_space_layout(void) {
  return (uint64_t)sizeof(cira_space_t) << 32 | sizeof(lane_t) << 20 |
         sizeof(cira_fabric_ops_t) << 10 | sizeof(map_ops_t);
}

void cira_space_destroy(cira_space_t *s) {
  if (s == NULL) {
    return;
  }
  cira__space = NULL;
  cira__space_lo = cira__space_hi = 0;
  s->map->fini(s);
  cira__readahead_fini(s);
  cira__home_close(s);
  tables_destroy(s);
  if (!s->direct) {
    cira__unmap_table(s->slot_of, s->pages * sizeof *s->slot_of);
    cira__unmap_table(s->slot_hash, (uint64_t)s->slot_count * s->granules *
                                        sizeof *s->slot_hash);
    cira__unmap_table(s->slot_free,
                      (uint64_t)s->slot_count * sizeof *s->slot_free);
  }
}

/* ---- who may use what --------------------------------------------------- */

#define QUOTA_STEP (UINT64_C(16) << 20) /* ask the server 16 MiB at a time */

/* Reserves room at the server for `bytes` more; alloc_lock held. */
static cira_status_t quota_take(cira_space_t *s, uint64_t bytes) {
  uint64_t want = s->committed_bytes + bytes;
  if (want > s->quota_bytes) {
    lane_t *lane = &s->lanes[0];
    const cira_fabric_ops_t *ops = lane->fabric->ops;
    cira_region_t handle = s->regions[s->quota_region].handle[0];
    uint64_t step = cira__align_up(want - s->quota_bytes, QUOTA_STEP);
    cira__lock(&lane->lock);
    cira_status_t status =
        ops->region_commit(lane->fabric, handle, (int64_t)step);
    if (status == CIRA_E_QUOTA && step > want - s->quota_bytes) {
      step = want - s->quota_bytes;
      status = ops->region_commit(lane->fabric, handle, (int64_t)step);
    }
    cira__unlock(&lane->lock);
    if (status == CIRA_E_DISCONNECTED || status == CIRA_E_DEADLINE) {
      cira__home_lost(s, status);
    }
    if (status != CIRA_OK) {
      return status;
    }
    s->quota_bytes += step;
  }
  s->committed_bytes = want;
  s->stats->far_bytes = want;
  if (want > s->stats->far_bytes_peak) {
    s->stats->far_bytes_peak = want;
  }
  return CIRA_OK;
}

static void quota_return(cira_space_t *s, uint64_t bytes) {
  s->committed_bytes -= bytes;
  s->stats->far_bytes = s->committed_bytes;
  uint64_t keep = cira__align_up(s->committed_bytes, QUOTA_STEP) + QUOTA_STEP;
  keep = cira__max_u64(keep, s->quota_inherited);
  if (s->quota_bytes > keep) {
    lane_t *lane = &s->lanes[0];
    cira__lock(&lane->lock);
    if (lane->fabric->ops->region_commit(
            lane->fabric, s->regions[s->quota_region].handle[0],
            -(int64_t)(s->quota_bytes - keep)) == CIRA_OK) {
      s->quota_bytes = keep;
    }
    cira__unlock(&lane->lock);
  }
}

/* Opens one chunk for use: native while the budget has room for all of it.
 *   whole   it is part of one large block: huge pages pay. A chunk that fills
 *           up piece by piece would clear 2 MiB for its first piece. */
static cira_status_t chunk_open(cira_space_t *s, uint64_t chunk, bool whole) {
  bool native = cira__try_reserve(s, CHUNK_PAGES + (uint64_t)s->low_pages);
  if (native) {
    cira__release(s, (uint64_t)s->low_pages);
  }
  cira_status_t status =
      s->map->open(s, chunk * CHUNK_PAGES, CHUNK_PAGES, native);
  if (status != CIRA_OK) {
    if (native) {
      cira__release(s, CHUNK_PAGES);
    }
    return status;
  }
  if (native) {
    STAT_ADD(s, native_pages, CHUNK_PAGES);
    if (whole && !s->opt.no_huge_pages && s->uffd >= 0) {
      /* Refusal only costs speed. */
      madvise(page_addr(s, chunk * CHUNK_PAGES), CHUNK_BYTES, MADV_HUGEPAGE);
    }
  }
  if (!native) {
    atomic_store_explicit(&s->any_managed, true, memory_order_release);
  }
  atomic_store_explicit(&s->chunk_state[chunk],
                        native ? CHUNK_NATIVE : CHUNK_MANAGED,
                        memory_order_release); /* pairs with: pager fault */
  return CIRA_OK;
}

/* Adds pages to their chunks; opens chunks on the way. alloc_lock held. */
static cira_status_t chunks_commit(cira_space_t *s, uint64_t page, uint64_t n) {
  uint64_t done = 0;
  while (done < n) {
    uint64_t chunk = (page + done) / CHUNK_PAGES;
    uint64_t in_chunk =
        cira__min_u64(n - done, CHUNK_PAGES - (page + done) % CHUNK_PAGES);
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_UNUSED) {
      cira_status_t status = chunk_open(s, chunk, in_chunk == CHUNK_PAGES);
      if (status != CIRA_OK) {
        return status; /* what is open stays open, unused and harmless */
      }
    }
    atomic_fetch_add(&s->chunk_committed[chunk], (uint16_t)in_chunk);
    done += in_chunk;
  }
  return CIRA_OK;
}

cira_status_t cira_space_reserve(cira_space_t *s, uint64_t bytes,
                                 uint64_t align, void **out) {
  if (bytes == 0 || bytes % CIRA_PAGE_BYTES != 0 ||
      (align & (align - 1)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "far allocation of %lu bytes aligned to %lu",
                      (unsigned long)bytes, (unsigned long)align);
  }
  uint64_t step = cira__max_u64(align >> CIRA_PAGE_LOG2, 1);
  uint64_t n = bytes >> CIRA_PAGE_LOG2, page;
  uint64_t top = atomic_load(&s->top_page);
  do {
    page = cira__align_up(top, step);
    if (!cira__range_ok(page, n, s->pages)) {
      return cira__fail(CIRA_E_NOMEM,
                        "far range of %lu bytes is used up; give more with "
                        "--far-size or CIRA_FAR_SIZE",
                        (unsigned long)s->bytes);
    }
  } while (!atomic_compare_exchange_weak(&s->top_page, &top, page + n));
  *out = page_addr(s, page);
  return CIRA_OK;
}

cira_status_t cira_space_alloc(cira_space_t *s, uint64_t bytes, uint64_t align,
                               void **out) {
  void *p;
  cira_status_t status = cira_space_reserve(s, bytes, align, &p);
  if (status == CIRA_OK) {
    status = cira_space_commit(s, p, bytes);
  }
  if (status == CIRA_OK) {
    *out = p;
  }
  return status;
}

cira_status_t cira_space_commit(cira_space_t *s, void *p, uint64_t bytes) {
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  cira__lock(&s->alloc_lock);
  cira_status_t status = quota_take(s, bytes);
  if (status == CIRA_OK) {
    status = chunks_commit(s, page_of(s, p), bytes >> CIRA_PAGE_LOG2);
    if (status != CIRA_OK) {
      quota_return(s, bytes);
    }
  }
  cira__unlock(&s->alloc_lock);
  cira__pager_leave(s);
  cira__signals_restore(saved);
  return status;
}

/* Makes a page ours, whatever it is doing; returns its word from before. */
static uint32_t page_claim(cira_space_t *s, uint64_t page) {
  uint32_t w = atomic_load(&s->words[page]);
  for (;;) {
    switch (state_of(w)) {
    case PAGE_EMPTY:
      return w;
    case PAGE_BUSY:
      cira__word_wait(s, page, w);
      w = atomic_load(&s->words[page]);
      break;
    case PAGE_LOADING: {
      lane_t *lane = lane_of(s, page);
      cira__lock(&lane->lock);
      cira__ahead_complete(s, lane);
      cira__unlock(&lane->lock);
      w = atomic_load(&s->words[page]);
      break;
    }
    default:
      if (atomic_compare_exchange_weak(&s->words[page], &w,
                                       (w & ~W_STATE) | PAGE_BUSY)) {
        return w;
      }
    }
  }
}

/* Empties pages of one managed chunk: all are claimed, then unmapped by one
 * call, then their homes are discarded run by run. */
static void pages_discard(cira_space_t *s, uint64_t page, uint64_t n) {
  uint32_t old[CHUNK_PAGES];
  uint64_t mapped = 0;
  for (uint64_t i = 0; i < n; i++) {
    old[i] = page_claim(s, page + i);
    mapped += state_of(old[i]) == PAGE_MAPPED;
  }
  if (mapped > 0) {
    s->map->forget(s, page, n);
  }
  for (uint64_t i = 0; i < n;) {
    if (state_of(old[i]) == PAGE_EMPTY || (old[i] & W_BACKED) == 0) {
      i++;
      continue;
    }
    uint64_t end = i + 1;
    while (end < n && state_of(old[end]) != PAGE_EMPTY &&
           (old[end] & W_BACKED) != 0 &&
           region_of(old[end]) == region_of(old[i])) {
      end++;
    }
    cira__home_discard(s, region_of(old[i]), page + i, end - i);
    i = end;
  }
  for (uint64_t i = 0; i < n; i++) {
    if (state_of(old[i]) == PAGE_MAPPED) {
      cira__delta_forget(s, page + i);
    }
    if (state_of(old[i]) != PAGE_EMPTY) {
      cira__word_publish(s, page + i, PAGE_EMPTY, false);
    }
  }
  if (mapped > 0) {
    atomic_fetch_sub(&s->chunk_resident[page / CHUNK_PAGES], (uint16_t)mapped);
    STAT_SUB(s, resident_pages, mapped);
    cira__release(s, mapped);
  }
}

/* Gives a chunk without committed pages back to nobody. alloc_lock held. */
static void chunk_close(cira_space_t *s, uint64_t chunk) {
  cira__lock(&s->evict_lock);
  if (atomic_load(&s->chunk_state[chunk]) == CHUNK_NATIVE) {
    s->map->forget(s, chunk * CHUNK_PAGES, CHUNK_PAGES);
    atomic_store(&s->chunk_state[chunk], CHUNK_UNUSED);
    STAT_SUB(s, native_pages, CHUNK_PAGES);
    cira__release(s, CHUNK_PAGES);
  }
  cira__unlock(&s->evict_lock);
}

static void discard_locked(cira_space_t *s, uint64_t page, uint64_t n,
                           bool decommit) {
  while (n > 0) {
    uint64_t chunk = page / CHUNK_PAGES;
    uint64_t here = cira__min_u64(n, CHUNK_PAGES - page % CHUNK_PAGES);
    uint16_t left = atomic_load(&s->chunk_committed[chunk]);
    if (decommit) {
      left = (uint16_t)(left - here);
      atomic_store(&s->chunk_committed[chunk], left);
    }
    if (atomic_load(&s->chunk_state[chunk]) == CHUNK_NATIVE) {
      if (left == 0) {
        chunk_close(s, chunk);
      } else {
        /* The clock may turn the chunk meanwhile: not while we hold evict. */
        cira__lock(&s->evict_lock);
        bool native = atomic_load(&s->chunk_state[chunk]) == CHUNK_NATIVE;
        if (native) {
          s->map->forget(s, page, here);
        }
        cira__unlock(&s->evict_lock);
        if (!native) {
          pages_discard(s, page, here);
        }
      }
    } else {
      pages_discard(s, page, here);
    }
    page += here;
    n -= here;
  }
}

static void give_back(cira_space_t *s, void *p, uint64_t bytes, bool decommit) {
  uint64_t saved = cira__signals_block();
  cira__pager_enter(s);
  cira__lock(&s->alloc_lock);
  discard_locked(s, page_of(s, p), bytes >> CIRA_PAGE_LOG2, decommit);
  if (decommit) {
    quota_return(s, bytes);
  }
  cira__unlock(&s->alloc_lock);
  cira__pager_leave(s);
  cira__signals_restore(saved);
}

void cira_space_decommit(cira_space_t *s, void *p, uint64_t bytes) {
  give_back(s, p, bytes, true);
}

void cira_space_discard(cira_space_t *s, void *p, uint64_t bytes) {
  give_back(s, p, bytes, false);
}

/* ---- small things ------------------------------------------------------- */

int cira_space_signal(const cira_space_t *s) {
  return s->map->signo;
}

const char *cira_space_mode_name(const cira_space_t *s) {
  return s->map->name;
}

void cira_space_thread_add(cira_space_t *s) {
  atomic_fetch_add(&s->threads, 1);
}

void cira_space_thread_remove(cira_space_t *s) {
  atomic_fetch_sub(&s->threads, 1);
}

const cira_space_stats_t *cira_space_stats(const cira_space_t *s) {
  return s->stats;
}

void cira_space_stats_move(cira_space_t *s, cira_space_stats_t *where) {
  memcpy(where, s->stats, sizeof *where);
  s->stats = where;
}
