/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames that circulate. Asking the kernel for a page, filling it and giving it
 * back costs about 1.1 us; moving a run of neighbouring pages between two
 * places of the address space costs 0.06 us a page. So runs of pages leave the
 * range into blocks of this pool, and their frames serve the next runs that
 * arrive: they are filled in the block and moved into the range in one step.
 *
 * Invariant: of a block's BLOCK_PAGES pages exactly [lo, hi) have frames. A
 * block is hollow (lo == hi: pages can be moved in from page 0 on), full (some
 * frames: can be filled), or with the thread that took it.
 *
 * Threads: any; one short lock. The pool is part of the local budget.
 */
#include "space/space_internal.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* A pool pays when runs are long; small caches do without. */
uint32_t cira__pool_blocks(uint64_t local_pages) {
  uint64_t blocks = local_pages / 16 / BLOCK_PAGES;
  return blocks < 4 ? 0 : (uint32_t)cira__min_u64(blocks, POOL_MAX);
}

void cira__pool_init(cira_space_t *s, uint8_t *area, uint32_t blocks) {
  s->pool.area = area;
  s->pool.hollow_count = 0;
  s->pool.full_count = 0;
  for (uint32_t i = 0; i < blocks; i++) {
    s->pool.lo[i] = s->pool.hi[i] = 0;
    s->pool.hollow[s->pool.hollow_count++] = (uint8_t)i;
  }
}

static uint32_t index_of(const cira_space_t *s, const uint8_t *p) {
  return (uint32_t)((uint64_t)(p - s->pool.area) / BLOCK_BYTES);
}

static uint8_t *page_at(const cira_space_t *s, uint32_t block, uint32_t page) {
  return s->pool.area + block * BLOCK_BYTES + (uint64_t)page * CIRA_PAGE_BYTES;
}

static void push(cira_space_t *s, uint32_t block, uint32_t lo, uint32_t hi) {
  cira__lock(&s->pool.lock);
  s->pool.lo[block] = (uint8_t)(lo < hi ? lo : 0);
  s->pool.hi[block] = (uint8_t)(lo < hi ? hi : 0);
  if (lo < hi) {
    s->pool.full[s->pool.full_count++] = (uint8_t)block;
  } else {
    s->pool.hollow[s->pool.hollow_count++] = (uint8_t)block;
  }
  cira__unlock(&s->pool.lock);
}

uint8_t *cira__pool_take_hollow(cira_space_t *s) {
  uint8_t *block = NULL;
  cira__lock(&s->pool.lock);
  if (s->pool.hollow_count > 0) {
    block = page_at(s, s->pool.hollow[--s->pool.hollow_count], 0);
  }
  cira__unlock(&s->pool.lock);
  return block;
}

void cira__pool_give(cira_space_t *s, uint8_t *block, uint32_t pages) {
  push(s, index_of(s, block), 0, pages);
}

void cira__pool_empty(cira_space_t *s, uint8_t *block) {
  madvise(block, BLOCK_BYTES, MADV_DONTNEED);
  push(s, index_of(s, block), 0, 0);
}

/* Refused by kernels before 5.14: then each page faults on its own. */
void cira__pool_populate(uint8_t *p, uint32_t n) {
  madvise(p, (uint64_t)n << CIRA_PAGE_LOG2, MADV_POPULATE_WRITE);
}

uint8_t *cira__pool_frames(cira_space_t *s, uint32_t n) {
  if (n < POOL_RUN_MIN || n > BLOCK_PAGES) {
    return NULL;
  }
  uint32_t block = UINT32_MAX;
  cira__lock(&s->pool.lock);
  if (s->pool.full_count > 0) {
    block = s->pool.full[--s->pool.full_count];
  } else if (s->pool.hollow_count > 0) {
    block = s->pool.hollow[--s->pool.hollow_count];
  }
  cira__unlock(&s->pool.lock);
  if (block == UINT32_MAX) {
    return NULL;
  }
  uint32_t lo = s->pool.lo[block], hi = s->pool.hi[block];
  uint32_t start = lo + n <= BLOCK_PAGES ? lo : BLOCK_PAGES - n;
  if (start < lo) {
    cira__pool_populate(page_at(s, block, start), lo - start);
  }
  if (hi < start + n) {
    cira__pool_populate(page_at(s, block, hi), start + n - hi);
  }
  return page_at(s, block, start);
}

void cira__pool_frames_done(cira_space_t *s, uint8_t *frames, uint32_t n,
                            bool moved) {
  uint32_t block = index_of(s, frames);
  if (!moved) { /* some frames stayed: nobody knows which */
    cira__pool_empty(s, page_at(s, block, 0));
    return;
  }
  uint32_t start =
      (uint32_t)((uint64_t)(frames - page_at(s, block, 0)) >> CIRA_PAGE_LOG2);
  push(s, block, start + n, s->pool.hi[block]);
}
