/* SPDX-License-Identifier: Apache-2.0
 *
 * The home of the pages: connections (lanes), regions, and the requests on
 * them. A page always uses the lane of its chunk, and a lane applies requests
 * in order; so a read posted after the write-back of the same page sees it, and
 * nobody waits for write-backs.
 *
 * Regions form a stack. Normally there is one. A fork freezes those that exist,
 * since parent and child both read them, and each side writes into a new one of
 * its own; when the relatives are gone a frozen region is written again.
 *
 * A home that is lost cannot be replaced: the process ends with a message that
 * names the server, before any wrong byte can be seen.
 */
#include "space/space_internal.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn void cira__home_lost(cira_space_t *s, cira_status_t status) {
  const char *detail = cira_status_detail();
  cira__die("memory server %s is lost (%s)%s%s; the program cannot go on "
            "without its far memory: restart the server, then the program",
            s->url, cira_status_name(status), *detail ? ": " : "", detail);
}

/* ---- regions ------------------------------------------------------------ */

cira_status_t cira__home_region_new(cira_space_t *s) {
  uint32_t r = 0;
  while (r < REGIONS_MAX && s->regions[r].used) {
    r++;
  }
  if (r == REGIONS_MAX) {
    return cira__fail(CIRA_E_BUSY,
                      "%u generations of forked processes share this memory; "
                      "no more can be told apart until some have ended",
                      REGIONS_MAX);
  }
  region_t *region = &s->regions[r];
  cira_fabric_t *first = s->lanes[0].fabric;
  memset(region, 0, sizeof *region);
  cira_status_t status =
      first->ops->region_open(first, s->bytes, &region->handle[0]);
  if (status != CIRA_OK) {
    return status;
  }
  cira_ticket_t ticket;
  if (s->lane_count > 1) {
    status = first->ops->region_ticket(first, region->handle[0], &ticket);
  }
  uint32_t lane = 1;
  for (; lane < s->lane_count && status == CIRA_OK; lane++) {
    cira_fabric_t *f = s->lanes[lane].fabric;
    uint64_t bytes;
    status = f->ops->region_attach(f, &ticket, &region->handle[lane], &bytes);
  }
  if (status == CIRA_OK && s->direct) {
    status = first->ops->region_map(first, region->handle[0], &region->direct);
  }
  if (status != CIRA_OK) {
    for (uint32_t i = 0; i + 1 < lane; i++) {
      cira_fabric_t *f = s->lanes[i].fabric;
      f->ops->region_close(f, region->handle[i]);
    }
    return status;
  }
  region->used = true;
  s->current_region = r;
  s->region_serial++;
  return CIRA_OK;
}

/* ---- lanes -------------------------------------------------------------- */

cira_status_t cira__home_lane_open(cira_space_t *s, uint32_t index) {
  lane_t *lane = &s->lanes[index];
  cira_fabric_options_t opt;
  cira_fabric_options_default(&opt);
  opt.deadline_ns = s->opt.deadline_ns;
  opt.token_file = s->opt.token_file;
  lane->index = index;
  return cira_fabric_connect(s->url, &opt, &lane->fabric);
}

static cira_status_t lane_buffers(lane_t *lane) {
  lane->bounce = cira__map_table(READAHEAD_MAX * CIRA_PAGE_BYTES);
  lane->ahead.buf = cira__map_table(READAHEAD_MAX * CIRA_PAGE_BYTES);
  if (lane->bounce == NULL || lane->ahead.buf == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for the buffers of a lane");
  }
  return CIRA_OK;
}

static void lane_close(lane_t *lane) {
  if (lane->fabric != NULL) {
    cira_fabric_close(lane->fabric);
  }
  cira__unmap_table(lane->bounce, READAHEAD_MAX * CIRA_PAGE_BYTES);
  cira__unmap_table(lane->ahead.buf, READAHEAD_MAX * CIRA_PAGE_BYTES);
  memset(lane, 0, sizeof *lane);
}

static uint32_t lanes_wanted(const cira_space_t *s) {
  if (s->opt.lanes != 0) {
    return s->opt.lanes;
  }
  /* A miss over several connections costs half as much again as over one (the
   * server looks at each); they pay when many threads miss at once. */
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  return (uint32_t)cira__max_u64(
      1, cira__min_u64(cpus > 0 ? (uint64_t)cpus / 2 : 1, 4));
}

cira_status_t cira__home_open(cira_space_t *s) {
  s->lanes = cira__map_table(LANES_MAX * sizeof *s->lanes);
  if (s->lanes == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for the lanes");
  }
  cira_status_t status = cira__home_lane_open(s, 0);
  if (status != CIRA_OK) {
    goto err;
  }
  s->lane_count = 1;
  s->direct = (s->lanes[0].fabric->flags & CIRA_FABRIC_F_DIRECT) != 0;
  if (!s->direct) {
    uint32_t wanted = lanes_wanted(s);
    status = lane_buffers(&s->lanes[0]);
    while (status == CIRA_OK && s->lane_count < wanted) {
      status = cira__home_lane_open(s, s->lane_count);
      if (status == CIRA_OK) {
        status = lane_buffers(&s->lanes[s->lane_count++]);
      }
    }
  }
  if (status == CIRA_OK) {
    status = cira__home_region_new(s);
  }
  if (status == CIRA_OK) {
    return CIRA_OK;
  }
err:
  cira__home_close(s);
  return status;
}

void cira__home_close(cira_space_t *s) {
  if (s->lanes == NULL) {
    return;
  }
  for (uint32_t i = 0; i < LANES_MAX; i++) {
    lane_close(&s->lanes[i]);
  }
  cira__unmap_table(s->lanes, LANES_MAX * sizeof *s->lanes);
  s->lanes = NULL;
  s->lane_count = 0;
}

void cira__home_poke(cira_space_t *s, lane_t *lane) {
  if (s->direct && !cira__trylock(&lane->lock)) {
    return;
  }
  int32_t done = lane->fabric->ops->poll(lane->fabric);
  if (done < 0) {
    cira__home_lost(s, done);
  }
  if (s->direct) {
    cira__unlock(&lane->lock);
  }
}

void cira__home_wait(cira_space_t *s, lane_t *lane, cira_fabric_op_t *op) {
  cira_status_t status = cira_fabric_wait(lane->fabric, op);
  if (status != CIRA_OK) {
    cira__home_lost(s, status);
  }
}

/* A free entry for a write or discard; reaps finished ones, waits if all are
 * under way. */
static cira_fabric_op_t *lane_op(cira_space_t *s, lane_t *lane) {
  while (lane->op_head != lane->op_tail) {
    cira_fabric_op_t *oldest = &lane->ops[lane->op_head % LANE_OPS];
    if (oldest->status == CIRA_PENDING) {
      if (lane->op_tail - lane->op_head < LANE_OPS) {
        break;
      }
      cira__home_wait(s, lane, oldest);
    }
    if (oldest->status != CIRA_OK) {
      cira__home_lost(s, oldest->status);
    }
    lane->op_head++;
  }
  return &lane->ops[lane->op_tail++ % LANE_OPS];
}

static void lane_lock(lane_t *lane, const lane_t *held) {
  if (lane != held) {
    cira__lock(&lane->lock);
  }
}

static void lane_unlock(lane_t *lane, const lane_t *held) {
  if (lane != held) {
    cira__unlock(&lane->lock);
  }
}

void cira__home_drain(cira_space_t *s) {
  for (uint32_t i = 0; i < s->lane_count; i++) {
    lane_t *lane = &s->lanes[i];
    cira__lock(&lane->lock);
    if (!s->direct) {
      cira__ahead_complete(s, lane);
      while (lane->op_head != lane->op_tail) {
        cira__home_wait(s, lane, &lane->ops[lane->op_head % LANE_OPS]);
        lane->op_head++;
      }
    }
    cira__unlock(&lane->lock);
  }
}

/* ---- reading ------------------------------------------------------------ */

cira_status_t cira__home_post_read(cira_space_t *s, lane_t *lane,
                                   uint32_t region, uint64_t page, uint32_t n,
                                   void *dst, cira_fabric_op_t *op) {
  cira_fabric_t *f = lane->fabric;
  uint64_t offset = page << CIRA_PAGE_LOG2;
  uint64_t bytes = (uint64_t)n << CIRA_PAGE_LOG2;
  for (;;) {
    cira_status_t status = f->ops->post_read(
        f, s->regions[region].handle[lane->index], offset, dst, bytes, 0, op);
    if (status != CIRA_AGAIN) {
      return status;
    }
    cira__home_poke(s, lane);
  }
}

void cira__home_read(cira_space_t *s, uint32_t region, uint64_t page,
                     uint32_t n, void *dst, lane_t *held) {
  const uint8_t *direct = home_direct(s, region, page);
  if (direct != NULL) {
    memcpy(dst, direct, (uint64_t)n << CIRA_PAGE_LOG2);
    return;
  }
  lane_t *lane = lane_of(s, page);
  cira_fabric_op_t op;
  lane_lock(lane, held);
  cira_status_t status =
      cira__home_post_read(s, lane, region, page, n, dst, &op);
  if (status != CIRA_OK) {
    cira__home_lost(s, status);
  }
  cira__home_wait(s, lane, &op);
  lane_unlock(lane, held);
}

/* ---- writing ------------------------------------------------------------ */

static void post_segs(cira_space_t *s, uint32_t region, uint64_t page,
                      const cira_fabric_seg_t *segs, uint32_t count,
                      lane_t *held) {
  lane_t *lane = lane_of(s, page);
  lane_lock(lane, held);
  cira__home_changes(lane, page);
  cira_fabric_op_t *op = lane_op(s, lane);
  cira_status_t status;
  while ((status = lane->fabric->ops->post_write(
              lane->fabric, s->regions[region].handle[lane->index], segs, count,
              0, op)) == CIRA_AGAIN) {
    cira__home_poke(s, lane);
  }
  if (status != CIRA_OK) {
    cira__home_lost(s, status);
  }
  lane_unlock(lane, held);
}

/* Sends the given runs of a page to `region`. */
static void write_runs(cira_space_t *s, uint32_t region, uint64_t page,
                       const uint8_t *content, const uint32_t *offset,
                       const uint32_t *bytes, uint32_t runs, lane_t *held) {
  uint8_t *direct = home_direct(s, region, page);
  uint64_t total = 0;
  if (direct != NULL) {
    for (uint32_t i = 0; i < runs; i++) {
      memcpy(direct + offset[i], content + offset[i], bytes[i]);
      total += bytes[i];
    }
  } else {
    cira_fabric_seg_t segs[LINES_MAX];
    for (uint32_t i = 0; i < runs; i++) {
      segs[i] = (cira_fabric_seg_t){(page << CIRA_PAGE_LOG2) + offset[i],
                                    content + offset[i], bytes[i]};
      total += bytes[i];
    }
    post_segs(s, region, page, segs, runs, held);
  }
  STAT_ADD(s, pages_out, 1);
  STAT_ADD(s, bytes_out, total);
}

void cira__home_write_bytes(cira_space_t *s, uint32_t region, uint64_t page,
                            uint32_t offset, const void *from, uint32_t bytes) {
  uint8_t *direct = home_direct(s, region, page);
  if (direct != NULL) {
    memcpy(direct + offset, from, bytes);
  } else {
    cira_fabric_seg_t seg = {(page << CIRA_PAGE_LOG2) + offset, from, bytes};
    post_segs(s, region, page, &seg, 1, NULL);
  }
  STAT_ADD(s, bytes_out, bytes);
}

void cira__home_write_whole(cira_space_t *s, uint32_t region, uint64_t page,
                            const uint8_t *content, lane_t *held) {
  uint32_t offset = 0, bytes = CIRA_PAGE_BYTES;
  write_runs(s, region, page, content, &offset, &bytes, 1, held);
}

uint32_t cira__home_write(cira_space_t *s, uint64_t page, uint32_t word,
                          const uint8_t *content, lane_t *held) {
  uint32_t offset[LINES_MAX], bytes[LINES_MAX];
  uint32_t region = region_of(word);
  bool backed = (word & W_BACKED) != 0;
  const uint8_t *home = backed ? home_direct(s, region, page) : NULL;
  uint32_t runs =
      cira__delta_runs(s, page, backed, content, home, offset, bytes);
  if (runs == 0) { /* written, but with what was there before */
    STAT_ADD(s, pages_dropped, 1);
    return word & (W_BACKED | W_REGION);
  }
  STAT_ADD(s, bytes_dirty, CIRA_PAGE_BYTES);
  if (!backed) {
    region = s->current_region; /* where an absent page reads as zero */
  } else if (s->regions[region].frozen) {
    cira__home_write_whole(s, s->current_region, page, content, held);
    return W_BACKED | s->current_region << W_REGION_SHIFT;
  }
  write_runs(s, region, page, content, offset, bytes, runs, held);
  return W_BACKED | region << W_REGION_SHIFT;
}

void cira__home_discard(cira_space_t *s, uint32_t region, uint64_t page,
                        uint64_t n) {
  STAT_ADD(s, discards, n);
  if (s->regions[region].frozen) {
    return; /* a relative may still read it */
  }
  lane_t *lane = lane_of(s, page);
  cira__lock(&lane->lock);
  for (uint64_t i = 0; CIRA_UNLIKELY(lane->touches != 0) && i < n; i++) {
    cira__home_changes(lane, page + i);
  }
  cira_fabric_op_t *op = lane_op(s, lane);
  cira_status_t status;
  while ((status = lane->fabric->ops->post_discard(
              lane->fabric, s->regions[region].handle[lane->index],
              page << CIRA_PAGE_LOG2, n << CIRA_PAGE_LOG2, 0, op)) ==
         CIRA_AGAIN) {
    cira__home_poke(s, lane);
  }
  if (status != CIRA_OK) {
    cira__home_lost(s, status);
  }
  if (!s->direct) {
    cira__home_poke(s, lane);
  }
  cira__unlock(&lane->lock);
}
