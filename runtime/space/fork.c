/* SPDX-License-Identifier: Apache-2.0
 *
 * fork(2). Mapped pages are copied on write by the kernel. What lies at home is
 * frozen: parent and child both go on reading it, and each writes into a new
 * region of its own, so neither sees the other's later writes. The child makes
 * its own connections and registers its pages with its own userfaultfd.
 *
 * The parent waits (bounded by the deadline) until the child has attached to
 * the frozen regions or is dead; a fork costs no copy of far data.
 * Modes whose cache the kernel does not copy (shares_fork is false) send all
 * pages home first.
 */
#include "space/space_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define REGIONS_BEFORE_MERGE 8

static void gate_close(cira_space_t *s) {
  uint32_t open = 0;
  while (!atomic_compare_exchange_strong(&s->gate, &open, 1)) {
    open = 0;
    sched_yield(); /* another thread forks */
  }
  while (atomic_load(&s->active) != 0) {
    sched_yield();
  }
  cira__far_quiesce(s);
}

static void gate_open(cira_space_t *s) {
  atomic_store(&s->gate, 0); /* waiters look again within 1 ms */
}

/* ---- regions ------------------------------------------------------------ */

/* A frozen region that nobody else is attached to is ours again. */
static void regions_thaw(cira_space_t *s) {
  cira_fabric_t *f = s->lanes[0].fabric;
  for (uint32_t r = 0; r < REGIONS_MAX; r++) {
    uint32_t refs;
    region_t *region = &s->regions[r];
    if (region->used && region->frozen &&
        f->ops->region_refs(f, region->handle[0], &refs) == CIRA_OK &&
        refs <= s->lane_count) {
      region->frozen = false;
    }
  }
}

static uint32_t regions_used(const cira_space_t *s) {
  uint32_t n = 0;
  for (uint32_t r = 0; r < REGIONS_MAX; r++) {
    n += s->regions[r].used;
  }
  return n;
}

/* Moves every page of an exclusive region into the current one. The gate is
 * closed, so words do not change under us. */
static void region_merge(cira_space_t *s, uint32_t from) {
  static uint8_t page_buf[CIRA_PAGE_BYTES] __attribute__((aligned(64)));
  uint64_t top = atomic_load(&s->top_page);
  for (uint64_t page = 0; page < top; page++) {
    uint32_t w = atomic_load_explicit(&s->words[page], memory_order_relaxed);
    if ((w & W_BACKED) == 0 || region_of(w) != from) {
      continue;
    }
    cira__home_read(s, from, page, 1, page_buf, NULL);
    cira__home_write_whole(s, s->current_region, page, page_buf, NULL);
    atomic_store(&s->words[page],
                 (w & ~W_REGION) | s->current_region << W_REGION_SHIFT);
  }
  cira__home_drain(s);
  for (uint32_t i = 0; i < s->lane_count; i++) {
    cira_fabric_t *f = s->lanes[i].fabric;
    f->ops->region_close(f, s->regions[from].handle[i]);
  }
  s->regions[from].used = false;
}

static void regions_merge(cira_space_t *s) {
  if (atomic_load(&s->holds) != 0) {
    return; /* somebody reads under addresses that would go */
  }
  for (uint32_t r = 0;
       r < REGIONS_MAX && regions_used(s) > REGIONS_BEFORE_MERGE; r++) {
    region_t *region = &s->regions[r];
    if (region->used && !region->frozen && r != s->current_region &&
        r != s->quota_region) {
      region_merge(s, r);
    }
  }
}

static cira_status_t regions_hold(cira_space_t *s, int32_t delta) {
  cira_fabric_t *f = s->lanes[0].fabric;
  cira_status_t status = CIRA_OK;
  for (uint32_t r = 0; r < REGIONS_MAX && status == CIRA_OK; r++) {
    region_t *region = &s->regions[r];
    if (!region->used || (delta < 0 && !region->held)) {
      continue;
    }
    if (delta > 0) {
      status = f->ops->region_ticket(f, region->handle[0], &region->ticket);
    }
    if (status == CIRA_OK) {
      status = f->ops->region_hold(f, region->handle[0], delta);
    }
    region->held = status == CIRA_OK && delta > 0;
  }
  return status;
}

/* ---- before ------------------------------------------------------------- */

static void prepare_undo(cira_space_t *s) {
  (void)regions_hold(s, -1);
  for (uint32_t i = 0; i < 2; i++) {
    if (s->fork_pipe[i] >= 0) {
      close(s->fork_pipe[i]);
      s->fork_pipe[i] = -1;
    }
  }
}

cira_status_t cira_space_fork_prepare(cira_space_t *s) {
  s->fork_mask = cira__signals_block();
  gate_close(s);
  if (!s->map->shares_fork) {
    cira__evict_all(s);
  }
  cira__home_drain(s);
  regions_thaw(s);
  regions_merge(s);
  s->fork_current = s->current_region;
  cira_status_t status = regions_hold(s, +1);
  if (status == CIRA_OK && pipe2(s->fork_pipe, O_CLOEXEC) != 0) {
    status = cira__fail_errno(CIRA_E_SYSTEM, errno, "no pipe for the fork");
  }
  if (status == CIRA_OK) {
    status = cira__home_region_new(s);
  }
  if (status != CIRA_OK) {
    prepare_undo(s);
    gate_open(s);
    cira__signals_restore(s->fork_mask);
    return status;
  }
  STAT_ADD(s, forks, 1);
  return CIRA_OK;
}

/* ---- parent ------------------------------------------------------------- */

/* The child closes its end when it has attached, or by dying. */
static void child_wait(cira_space_t *s) {
  uint64_t until = cira__now_ns() + s->opt.deadline_ns;
  struct pollfd fd = {.fd = s->fork_pipe[0], .events = POLLIN};
  uint64_t now;
  while ((now = cira__now_ns()) < until) {
    if (poll(&fd, 1, (int)((until - now) / 1000000) + 1) > 0) {
      return;
    }
  }
}

void cira_space_fork_parent(cira_space_t *s, bool forked) {
  uint32_t fresh = s->current_region;
  if (forked) {
    close(s->fork_pipe[1]);
    s->fork_pipe[1] = -1;
    child_wait(s);
    for (uint32_t r = 0; r < REGIONS_MAX; r++) {
      if (s->regions[r].used && r != fresh) {
        s->regions[r].frozen = true;
      }
    }
  } else {
    for (uint32_t i = 0; i < s->lane_count; i++) {
      cira_fabric_t *f = s->lanes[i].fabric;
      f->ops->region_close(f, s->regions[fresh].handle[i]);
    }
    s->regions[fresh].used = false;
    s->current_region = s->fork_current;
    s->region_serial++;
  }
  prepare_undo(s);
  gate_open(s);
  cira__signals_restore(s->fork_mask);
}

/* ---- child -------------------------------------------------------------- */

static void locks_reset(cira_space_t *s) {
  memset(&s->alloc_lock, 0, sizeof s->alloc_lock);
  memset(&s->evict_lock, 0, sizeof s->evict_lock);
  memset(&s->passed.lock, 0, sizeof s->passed.lock);
  memset(&s->slot_lock, 0, sizeof s->slot_lock);
  memset(&s->stream_lock, 0, sizeof s->stream_lock);
  memset(&s->pool.lock, 0, sizeof s->pool.lock);
  for (uint32_t i = 0; i < LANES_MAX; i++) {
    memset(&s->lanes[i].lock, 0, sizeof s->lanes[i].lock);
  }
  atomic_store(&s->active, 0);
  atomic_store(&s->threads, 1);
  cira__far_child(s);
}

/* Pins belonged to the parent's other threads; and what is mapped here is not
 * write-protected any more, so it may change unnoticed from now on. */
static void words_reset(cira_space_t *s) {
  uint64_t top = atomic_load(&s->top_page);
  for (uint64_t page = 0; page < top; page++) {
    uint32_t w = atomic_load_explicit(&s->words[page], memory_order_relaxed);
    uint32_t next = w;
    if (state_of(w) != PAGE_HOME) {
      next &= ~W_PINS;
    }
    if (state_of(w) == PAGE_MAPPED && s->map->tracks_dirty) {
      next |= W_DIRTY;
    }
    if (next != w) {
      atomic_store_explicit(&s->words[page], next, memory_order_relaxed);
    }
  }
}

static void counters_fresh(cira_space_t *s) {
  cira_space_stats_t old = *s->stats;
  memset(&s->own_stats, 0, sizeof s->own_stats);
  s->stats = &s->own_stats;
  s->stats->resident_pages = s->stats->resident_pages_peak = old.resident_pages;
  s->stats->far_bytes = s->stats->far_bytes_peak = old.far_bytes;
  s->stats->near_bytes = s->stats->near_bytes_peak = old.near_bytes;
  s->stats->local_bytes = old.local_bytes;
  s->stats->native_pages = old.native_pages;
}

static cira_status_t regions_attach(cira_space_t *s, uint32_t skip) {
  cira_fabric_t *f = s->lanes[0].fabric;
  for (uint32_t r = 0; r < REGIONS_MAX; r++) {
    region_t *region = &s->regions[r];
    if (!region->used || r == skip) {
      continue;
    }
    uint64_t bytes;
    cira_status_t status =
        f->ops->region_attach(f, &region->ticket, &region->handle[0], &bytes);
    if (status == CIRA_OK && s->direct) {
      status = f->ops->region_map(f, region->handle[0], &region->direct);
    }
    if (status != CIRA_OK) {
      return status;
    }
    region->frozen = true;
  }
  return CIRA_OK;
}

/* New connections in place of the parent's, which stay the parent's. */
static cira_status_t home_again(cira_space_t *s) {
  cira_fabric_t *inherited[LANES_MAX];
  uint32_t count = s->lane_count;
  for (uint32_t i = 0; i < count; i++) {
    inherited[i] = s->lanes[i].fabric;
    s->lanes[i].fabric = NULL;
    s->lanes[i].op_head = s->lanes[i].op_tail = 0;
    s->lanes[i].ahead.active = false;
    s->lanes[i].reads_pending = s->lanes[i].reads_unsent = 0;
    s->lanes[i].touches = 0;
    memset(s->lanes[i].touch, 0, sizeof s->lanes[i].touch);
  }
  uint32_t parents_region = s->current_region;
  s->lane_count = 1; /* a child opens one; most forked processes end soon */
  cira_status_t status = cira__home_lane_open(s, 0);
  if (status == CIRA_OK) {
    status = regions_attach(s, parents_region);
  }
  if (status == CIRA_OK) {
    s->regions[parents_region].used = false;
    status = cira__home_region_new(s);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (s->direct && atomic_load(&s->holds) != 0) {
      /* What was mapped stays: streams read it. Only the socket goes, so that
       * the server sees the parent's end. */
      int fd = inherited[i]->ops->wait_fd(inherited[i]);
      if (fd >= 0) {
        close(fd);
      }
    } else {
      cira_fabric_close(inherited[i]);
    }
  }
  return status;
}

cira_status_t cira_space_fork_child(cira_space_t *s) {
  locks_reset(s);
  close(s->fork_pipe[0]);
  s->fork_pipe[0] = -1;
  words_reset(s);
  counters_fresh(s);
  cira_status_t status = home_again(s);
  close(s->fork_pipe[1]); /* the parent goes on */
  s->fork_pipe[1] = -1;
  for (uint32_t r = 0; r < REGIONS_MAX; r++) {
    s->regions[r].held = false;
  }
  s->quota_region = s->current_region;
  s->quota_inherited = s->quota_bytes;
  if (status == CIRA_OK) {
    status = s->map->fork_child(s);
  }
  atomic_store(&s->gate, 0);
  cira__signals_restore(s->fork_mask);
  return status;
}

cira_status_t cira_space_fork_finish(cira_space_t *s) {
  return s->map->fork_finish != NULL ? s->map->fork_finish(s) : CIRA_OK;
}
