/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of the far space. Where their pages are is the pager's affair; what a
 * tier means here is what the pager may do: a chunk that is far was sent home
 * and comes back as it is used; a chunk that is local, or on a node, is held:
 * its pages are pinned and charged to the local cache, of which the blocks of
 * tiers hold at most half.
 */
#include <string.h>

#include "heap/heap.h"
#include "space/far.h"
#include "tier/tier_internal.h"

#define T cira__tiers
#define W_HEAT_SHIFT 5 /* of a page word, see space_internal.h */

/* Held while one chunk changes, which may wait for the pager; so fork does not
 * wait for it, and a child begins with nothing held. */
static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t held_bytes; /* of all blocks; guarded by hold_lock */

bool cira__far_usable(void) {
  return cira_heap_far_ready() && cira__far.space != NULL;
}

uint64_t cira__far_hold_limit_bytes(void) {
  return cira_far_local_pages() / 2 * CIRA_PAGE_BYTES;
}

cira_status_t cira__far_alloc(uint64_t bytes, uint64_t align,
                              cira__block_t *b) {
  align = cira__max_u64(align, CIRA_PAGE_BYTES);
  b->raw = cira_heap_far_alloc(b->span_bytes + align);
  if (b->raw == NULL) {
    char size[32];
    return cira__fail(CIRA_E_NOMEM,
                      "far memory has no room for a block of %s; give the "
                      "place more (cira-memd --size) or free blocks",
                      cira__size_text(bytes, size, sizeof size));
  }
  b->base = (uint8_t *)(uintptr_t)cira__align_up((uintptr_t)b->raw, align);
  return CIRA_OK;
}

static bool is_held(const cira__block_t *b, uint32_t chunk) {
  return T.tier[b->tier[chunk]].info.kind != CIRA_TIER_FAR;
}

static void release(cira__block_t *b, uint32_t chunk) {
  uint64_t bytes = chunk_bytes(b, chunk);
  cira_space_unpin(cira__far.space, b->base + chunk * CHUNK_BYTES, bytes);
  held_bytes -= bytes;
}

void cira__far_free(cira__block_t *b) {
  if (b->raw == NULL || !cira__far_usable()) {
    return; /* far memory was stopped, and the block went with it */
  }
  pthread_mutex_lock(&hold_lock);
  for (uint32_t i = 0; i < b->chunks; i++) {
    if (is_held(b, i)) {
      release(b, i);
    }
  }
  pthread_mutex_unlock(&hold_lock);
  cira_heap_far_free(b->raw);
  b->raw = NULL;
}

static cira_status_t hold(cira__block_t *b, uint32_t chunk) {
  uint8_t *at = b->base + chunk * CHUNK_BYTES;
  uint64_t bytes = chunk_bytes(b, chunk), done = 0;
  if (held_bytes + bytes > cira__far_hold_limit_bytes()) {
    char limit[32];
    return cira__fail(
        CIRA_E_NOMEM,
        "far blocks that are held local may take half of the "
        "local cache (%s) and no more; raise CIRA_LOCAL or move "
        "others away",
        cira__size_text(cira__far_hold_limit_bytes(), limit, sizeof limit));
  }
  cira_space_prefetch(cira__far.space, at, bytes);
  while (done < bytes) {
    uint64_t got = cira_space_pin(cira__far.space, at + done, bytes - done,
                                  CIRA_PIN_READ | CIRA_PIN_WRITE);
    if (got == 0) {
      cira_space_unpin(cira__far.space, at, done);
      return cira__fail(CIRA_E_NOMEM, "the pages at %p cannot be held",
                        (void *)(at + done));
    }
    done += got;
  }
  held_bytes += bytes;
  return CIRA_OK;
}

static void account(cira__block_t *b, uint32_t chunk, uint32_t tier) {
  pthread_mutex_lock(&T.table);
  cira__chunk_account(b, chunk, tier);
  pthread_mutex_unlock(&T.table);
}

static cira_status_t chunk_move(cira__block_t *b, uint32_t chunk,
                                uint32_t tier) {
  uint8_t *at = b->base + chunk * CHUNK_BYTES;
  uint64_t bytes = chunk_bytes(b, chunk);
  if (!cira__far_usable()) {
    return cira__fail(CIRA_E_CLOSED, "far memory was stopped");
  }
  if (T.tier[tier].info.kind == CIRA_TIER_FAR) {
    if (is_held(b, chunk)) {
      release(b, chunk);
      account(b, chunk, tier);
    }
    cira_space_evict_hint(cira__far.space, at, bytes);
    return CIRA_OK;
  }
  if (!is_held(b, chunk)) {
    cira_status_t status = hold(b, chunk);
    if (status != CIRA_OK) {
      return status;
    }
    account(b, chunk, tier);
  }
  cira_status_t status = cira__policy_set(at, bytes, tier, true);
  if (status == CIRA_OK) {
    account(b, chunk, tier);
  }
  return status;
}

cira_status_t cira__far_move(cira__block_t *b, uint32_t chunk, uint32_t tier) {
  pthread_mutex_lock(&hold_lock);
  cira_status_t status = chunk_move(b, chunk, tier);
  pthread_mutex_unlock(&hold_lock);
  return status;
}

static bool page_word(const uint8_t *p, uint32_t *out) {
  uint64_t offset = (uint64_t)(uintptr_t)p - cira__far.base;
  if (offset >= cira__far.bytes) {
    return false;
  }
  *out = cira_far_word(offset);
  return true;
}

void cira__far_count(const cira__block_t *b, uint64_t *tier_bytes) {
  uint32_t far = cira__tier_of_kind(CIRA_TIER_FAR), w;
  for (uint64_t at = 0; at < b->span_bytes; at += CIRA_PAGE_BYTES) {
    if (page_word(b->base + at, &w) && (w & CIRA_FAR_STATE) == CIRA_FAR_HOME) {
      tier_bytes[far] += CIRA_PAGE_BYTES;
    }
  }
  cira__pages_count(b->base, b->span_bytes, tier_bytes);
}

uint32_t cira__far_heat(const cira__block_t *b, uint32_t first, uint32_t last) {
  uint64_t end = cira__min_u64(last * CHUNK_BYTES, b->span_bytes);
  uint64_t sum = 0, pages = 0;
  for (uint64_t at = first * CHUNK_BYTES; at < end; at += CIRA_PAGE_BYTES) {
    uint32_t w;
    if (page_word(b->base + at, &w)) {
      sum += w >> W_HEAT_SHIFT & 7;
      pages++;
    }
  }
  return pages != 0 ? (uint32_t)(sum * 255 / (pages * 7)) : 0;
}

void cira__far_forked(cira__block_t *b) {
  uint32_t far = cira__tier_of_kind(CIRA_TIER_FAR);
  for (uint32_t i = 0; i < b->chunks; i++) {
    if (is_held(b, i)) {
      cira__chunk_account(b, i, far);
    }
  }
}

void cira__hold_forked(void) {
  hold_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  held_bytes = 0;
}
