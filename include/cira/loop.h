/* SPDX-License-Identifier: Apache-2.0
 *
 * What loops call that cira-cc -fcira=far has compiled: they find far bytes
 * without a fault, where the home of a page is memory of this machine. A page
 * that is away is read where it is; it comes here only if it is worth that.
 * Objects name these functions weakly: in a process without far memory the old
 * loops run.
 *
 *   view   how an address becomes one that can be read: one look at a word per
 *          access, done by the loop itself.
 *   put    a store to a page that may be away.
 *   walk   arrays that a loop passes through: blocks of many pages in which
 *          each array is read and written at a fixed distance from its
 *          addresses, so that the loop over a block is as it was. What must
 *          come here is asked for by the block, and what lies behind it is the
 *          first to go.
 *
 * The promises of who calls: between begin and end nothing waits for another
 * thread, or forks; while a block is walked nothing is allocated or freed; and
 * nobody else writes what is read or written (C's rules).
 * Reading order: as above. docs/how-loops-are-changed.md shows a loop.
 */
#ifndef CIRA_LOOP_H
#define CIRA_LOOP_H

#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes at p are to be read at p + delta if the word of its page says that
 * it is away when that is looked at, else at p:
 *   (words[min((p - base) / 4096, pages)] & mask) == match
 * Compiled loops know this layout. */
typedef struct {
  uint64_t base, pages;
  const uint32_t *words; /* change at any time: read atomically, to acquire */
  uint64_t delta;
  uint32_t mask, match;
  uint64_t away;  /* the loop counts pages that were away when accessed, */
  uint32_t *seen; /* but for those it finds at seen[page & seen_mask] and, if
                     not, notes there */
  uint64_t seen_mask;
  uint64_t again; /* it counts those it finds there; one in 64 is accessed at p,
                     which brings the page here */
  int64_t left;   /* counted down by the loop, by 1 for an iteration and by 1
                     for each of an inner loop of known length; one that finds 0
                     or less in front of an iteration ends, and begins anew */
  uint64_t work;  /* set before it begins: iterations, if not counted; or 0 */
  uint64_t timed; /* set before it begins: 0, or flags below; then 1: the end
                     must be told */
  uint64_t reserved[3]; /* the runtime's */
} cira_loop_view_t;

#define CIRA_LOOP_NEAR UINT32_C(2)  /* there is a version for this answer */
#define CIRA_LOOP_DEALS UINT32_C(4) /* the loop counts `left` down */

/* Begins a loop, or its next iterations.
 *   view  the caller's, `work` and `timed` set; filled in if the answer is 1,
 *         `left` and `timed` otherwise, too.
 * Returns 1 to find far bytes where they are; CIRA_LOOP_NEAR, if that was in
 *   `timed`, to do so for walks only, all others being plain accesses, as
 *   1 otherwise; 0 for plain accesses: all far
 *   pages are here, their home cannot be read in place, or the loop (known by
 *   where it calls from) was faster so when it last ran, or is to be tried.
 *   cira_loop_end must follow unless `timed` is 0.
 * Threads: any; loops may nest. Cost: some 50 ns. */
CIRA_API uint32_t cira_loop_begin(cira_loop_view_t *view);

/* Ends a loop, or what cira_loop_begin has dealt out, where `timed` is 1.
 *   view  what it has filled in.
 * Threads: as begin. */
CIRA_API void cira_loop_end(const cira_loop_view_t *view);

/* Stores the low bytes of a value at p, whether its page is here or away; one
 * that is stored to often is brought here.
 *   bytes  1, 2, 4 or 8; p is a multiple of it.
 * Threads: any. Cost: 0.3 us if the page is away; a fault in 1 of 64. */
CIRA_API void cira_loop_put(void *p, uint64_t value, uint32_t bytes);

#define CIRA_LOOP_WALKS_MAX 16u
/* Flags of an array: its elements are written (or read, too); they are accessed
 * under their own addresses, and this only says what comes, and what is over.
 */
#define CIRA_LOOP_WRITES UINT32_C(1)
#define CIRA_LOOP_PASSES UINT32_C(2)

/* One array of a loop. Compiled loops know this layout. */
typedef struct {
  uint64_t at;    /* address of the next element; goes on by itself */
  int64_t stride; /* to the one after it, bytes; not 0 */
  uint32_t bytes; /* of an element, 1 to 8; `at` is a multiple of it */
  uint32_t flags;
  uint64_t delta; /* out: the block's elements are at address + delta */
} cira_loop_walk_t;

/* Ends the block before, if any, and begins the next. Until then pages of the
 * block that are written stay away, other threads that touch them wait, and
 * signals too. Pages that a long stream has passed here go first when room is
 * needed.
 *   walks  n of them, 1 to CIRA_LOOP_WALKS_MAX: all that the loop accesses, if
 *          some have CIRA_LOOP_WRITES.
 *   left   iterations that remain, more than 0.
 * Returns how many of these the block has, at least 1.
 * Threads: any, between begin and end. Cost: 0.1 us, and some nanoseconds a
 * page. */
CIRA_API uint64_t cira_loop_walk(cira_loop_walk_t *walks, uint32_t n,
                                 uint64_t left);

/* Ends the last block.
 * Threads: as cira_loop_walk. */
CIRA_API void cira_loop_walk_end(void);

#ifdef __cplusplus
}
#endif
#endif
