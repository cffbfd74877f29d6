/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames that circulate. Asking the kernel for a page, filling it and giving it
 * back costs about 1.1 us; moving a run of neighbouring pages between two
 * places of the address space costs 0.06 us a page. So runs of pages leave the
 * range into blocks of this pool, and their frames serve the next run that
 * arrives: it is filled in the block and moved into the range in one step.
 *
 * A block is BLOCK_PAGES long and either hollow (no frame behind any of its
 * pages: pages can be moved in) or full (some frames: can be filled and moved
 * out; missing ones the kernel supplies on touch).
 *
 * Threads: any; one short lock. The pool is part of the local budget.
 */
#include "space/space_internal.h"

#include <sys/mman.h>

/* A pool pays when runs are long; small caches do without. */
uint32_t cira__pool_blocks(uint64_t local_pages) {
  uint64_t blocks = local_pages / 32 / BLOCK_PAGES;
  return blocks < 2 ? 0 : (uint32_t)cira__min_u64(blocks, POOL_MAX);
}

void cira__pool_init(cira_space_t *s, uint8_t *area, uint32_t blocks) {
  s->pool.area = area;
  s->pool.hollow_count = 0;
  s->pool.full_count = 0;
  for (uint32_t i = 0; i < blocks; i++) {
    s->pool.hollow[s->pool.hollow_count++] = (uint8_t)i;
  }
}

uint8_t *cira__pool_take(cira_space_t *s, bool hollow) {
  uint8_t *block = NULL;
  cira__lock(&s->pool.lock);
  if (hollow) {
    if (s->pool.hollow_count > 0) {
      block =
          s->pool.area + s->pool.hollow[--s->pool.hollow_count] * BLOCK_BYTES;
    }
  } else if (s->pool.full_count > 0) {
    block = s->pool.area + s->pool.full[--s->pool.full_count] * BLOCK_BYTES;
  }
  cira__unlock(&s->pool.lock);
  return block;
}

void cira__pool_put(cira_space_t *s, uint8_t *block, bool hollow) {
  uint8_t index = (uint8_t)((uint64_t)(block - s->pool.area) / BLOCK_BYTES);
  cira__lock(&s->pool.lock);
  if (hollow) {
    s->pool.hollow[s->pool.hollow_count++] = index;
  } else {
    s->pool.full[s->pool.full_count++] = index;
  }
  cira__unlock(&s->pool.lock);
}

/* A block to fill with n pages: one that has frames, else a hollow one that
 * gets them now; NULL when all are in use. */
uint8_t *cira__pool_take_filled(cira_space_t *s, uint32_t n) {
  if (n < POOL_RUN_MIN || n > BLOCK_PAGES) {
    return NULL;
  }
  uint8_t *block = cira__pool_take(s, false);
  if (block == NULL) {
    block = cira__pool_take(s, true);
    if (block != NULL) {
      cira__pool_populate(block, n);
    }
  }
  return block;
}

void cira__pool_populate(uint8_t *block, uint32_t n) {
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
  /* Refused by kernels before 5.14: then each page faults on its own. */
  madvise(block, (uint64_t)n << CIRA_PAGE_LOG2, MADV_POPULATE_WRITE);
}
