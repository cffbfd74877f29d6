/* SPDX-License-Identifier: Apache-2.0
 *
 * far: reading and writing far bytes without a fault ("framed" access, design
 * D3), for code that knows that an address may be far: requests, streams,
 * hints.
 *
 * Where the bytes of a far page can be read, by its word:
 *   native chunk, MAPPED, BUSY, LOADING  at its own address (a plain access)
 *   HOME, fabric in reach (shm:, host:)  at home + offset: plain loads
 *   HOME, fabric behind requests (tcp:)  by a request for just these bytes
 *   EMPTY                                zeros
 * Home content is current as long as the word says HOME, and the caller
 * promises that nobody writes the bytes while he reads them (or that he takes
 * the old value for as good as the new one).
 *
 * An address at home stays readable only until its region is unmapped, which a
 * fork may do: so whoever keeps one beyond a call holds the homes
 * (cira_far_hold), and short readers enter and leave.
 * Threads: any. Not to be called from signal handlers.
 */
#ifndef CIRA_SPACE_FAR_H
#define CIRA_SPACE_FAR_H

#include <string.h>

#include "fabric/fabric.h"
#include "space/space.h"

/* What translation needs of the space, in one place. bytes is 0 without one. */
typedef struct {
  uint64_t base, bytes;
  const _Atomic uint32_t *words;
  const _Atomic uint8_t *chunk_state;
  const uint8_t *regions; /* where region r's direct address is kept: */
  uint64_t region_stride; /* ... at regions + r * stride */
  const uint8_t *zeros;   /* CIRA_FAR_ZERO_PAGES pages */
  cira_space_t *space;
  uint32_t life; /* counts the spaces of this process */
  bool direct;
} cira_far_t;
extern cira_far_t cira__far;

#define CIRA_FAR_ZERO_PAGES 256u
#define CIRA_FAR_CHUNK_LOG2 21
/* As in space_internal.h, which asserts that they are the same. */
enum {
  CIRA_FAR_EMPTY = 0,
  CIRA_FAR_HOME = 1,
  CIRA_FAR_MAPPED = 3,
  CIRA_FAR_STATE = 7,
  CIRA_FAR_REGION_SHIFT = 9,
  CIRA_FAR_REGION_MASK = 0x7f,
  CIRA_FAR_MANAGED = 3,
};

/* Turns framed access on for a space, or off again with NULL. One thread. */
void cira_far_init(cira_space_t *s);

static inline bool cira_far_is_far(const void *p) {
  return (uint64_t)(uintptr_t)p - cira__far.base < cira__far.bytes;
}

/* True when pages of the space may be away; false as long as the kernel fills
 * all of them itself (then no address needs translation). */
bool cira_far_any_managed(void);

/* The page word of a far address; MAPPED when the kernel fills the chunk. */
static inline uint32_t cira_far_word(uint64_t offset) {
  if (atomic_load_explicit(
          &cira__far.chunk_state[offset >> CIRA_FAR_CHUNK_LOG2],
          memory_order_acquire) != CIRA_FAR_MANAGED) {
    return CIRA_FAR_MAPPED;
  }
  return atomic_load_explicit(&cira__far.words[offset >> CIRA_PAGE_LOG2],
                              memory_order_acquire); /* pairs with: publish */
}

static inline const uint8_t *cira_far_home(uint32_t word, uint64_t offset) {
  uint32_t region = word >> CIRA_FAR_REGION_SHIFT & CIRA_FAR_REGION_MASK;
  const uint8_t *const *direct =
      (const uint8_t *const *)(const void *)(cira__far.regions +
                                             region * cira__far.region_stride);
  return *direct + offset;
}

/* Where the bytes of p can be read by plain loads, up to the end of its page:
 * p itself, its home, or zeros. NULL: only by a request. */
static inline const uint8_t *cira_far_at(const void *p) {
  uint64_t offset = (uint64_t)(uintptr_t)p - cira__far.base;
  if (offset >= cira__far.bytes) {
    return p;
  }
  uint32_t w = cira_far_word(offset);
  switch (w & CIRA_FAR_STATE) {
  case CIRA_FAR_HOME:
    return cira__far.direct ? cira_far_home(w, offset) : NULL;
  case CIRA_FAR_EMPTY:
    return cira__far.zeros + (offset & (CIRA_PAGE_BYTES - 1));
  default:
    return p;
  }
}

/* True when a plain access to p would not wait for its home. A hint. */
static inline bool cira_far_is_here(const void *p) {
  uint64_t offset = (uint64_t)(uintptr_t)p - cira__far.base;
  return offset >= cira__far.bytes ||
         (cira_far_word(offset) & CIRA_FAR_STATE) == CIRA_FAR_MAPPED;
}

/* Addresses [lo, hi) that can be read at address + delta. */
typedef struct {
  uint64_t lo, hi, delta;
} cira_far_run_t;

/* The run around p: its page, and up to pages_max - 1 further pages behind it
 * (step >= 0) or before it (step < 0) that continue it; without limit outside
 * of the far range. Returns false when p can only be read by a request. */
bool cira_far_run(const void *p, int64_t step, uint32_t pages_max,
                  cira_far_run_t *out);

/* Short readers of home addresses; between them nothing may fault. */
void cira_far_enter(void);
void cira_far_leave(void);
/* Keeps what is at home readable under its address, also across a fork. */
void cira_far_hold(void);
void cira_far_unhold(void);

/* Copies `bytes` from p, wherever they are; by requests where need be. */
void cira_far_copy(void *to, const void *p, uint64_t bytes);

/* ---- requests (fabrics that are not direct) ------------------------------ */

typedef enum {
  CIRA_FAR_READ_DONE = 0,
  CIRA_FAR_READ_POSTED = 1,
  CIRA_FAR_READ_PLAIN = 2, /* is here, or somebody else fetches it */
} cira_far_read_state_t;

/* One read of bytes within one page; caller-owned, until it is done. */
typedef struct cira_far_read {
  cira_fabric_op_t op;
  const void *from;
  void *to; /* local memory */
  uint32_t bytes;
  uint32_t lane;
  uint32_t generation; /* of the process: a fork loses what is under way */
  cira_far_read_state_t state;
} cira_far_read_t;

/* Begins n reads (from, to, bytes filled in) in one go. */
void cira_far_read_begin(cira_far_read_t *const *reads, uint32_t n);
/* Waits for one; `to` has the bytes. Any order, any thread (one per read). */
void cira_far_read_wait(cira_far_read_t *read);

/* Reads of this thread, counted while a profile is recorded: sent, waited for,
 * and of these not there yet when they were wanted. */
typedef struct {
  uint64_t asked, waited, late;
} cira_far_tally_t;
cira_far_tally_t cira_far_tally(void);

/* ---- writing ------------------------------------------------------------- */

/* Writes bytes (within one page, from local memory) to their home without
 * fetching the page; later accesses of any thread see them.
 * Returns false when only a plain store can do it. */
bool cira_far_write(void *p, const void *from, uint32_t bytes);

/* Pushes out writes that are queued. */
void cira_far_push(void);

/* ---- pages --------------------------------------------------------------- */

/* Fetches the pages of n addresses, all under way at once; a hint. Pages that
 * are here, that never were, or for which there is no room are skipped. */
void cira_space_prefetch_many(cira_space_t *s, const void *const *addresses,
                              uint32_t n);

/* Zeroed memory that is local in any case (requests arrive in it); NULL when
 * there is none. Whole pages; a system call each. */
void *cira_far_local_alloc(uint64_t bytes);
void cira_far_local_free(void *p, uint64_t bytes);

/* Takes n pages out of the local budget for frames / gives them back. */
bool cira_far_frames_take(uint64_t pages);
void cira_far_frames_give(uint64_t pages);
/* True when a plain access to a far address is allowed at all. */
bool cira_far_is_usable(const void *p);
/* The local budget in pages; 0 without a space. */
uint64_t cira_far_local_pages(void);

#endif
