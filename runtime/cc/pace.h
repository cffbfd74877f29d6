/* SPDX-License-Identifier: Apache-2.0
 * What walks of lists take, with a table of their order and without (jump.c).
 * A walk without one is timed in stretches, each as long as all nodes before:
 * if it waits for its nodes in both halves of one (an interrupt may be in one
 * of them), a table is worth writing. A walk along a table races against what
 * the same walk took without: most of 16 blocks have to be faster, by a
 * sixteenth. A table that has been faster for long may be slower for as long
 * (up to 256 times 16 blocks): processors drop prefetches for milliseconds at a
 * time. What it takes without is measured anew at times, in the midst of
 * the list, since lists come into the caches and leave them. Invariant: times
 * are only compared. A block that an interrupt was in is one of 16. Threading:
 * each of these belongs to a thread. */
#ifndef CIRA_CC_PACE_H
#define CIRA_CC_PACE_H

#include "cc/cc.h"

#include <stdbool.h>

/* The unit test has a clock of its own. */
#ifdef CIRA_PACE_TICKS
uint64_t CIRA_PACE_TICKS(void);
#endif

enum {
  cira__pace_longest = 1 << 20,
  cira__pace_blocks = 16,    /* of a race */
  cira__pace_margin = 16,    /* it must be faster by so much of a part */
  cira__pace_credit = 256,   /* races that may be lost after as many won */
  cira__pace_again = 1 << 10 /* blocks, then the walk without is timed anew */
};

/* A walk that has no table. */
typedef struct cira__pace {
  const void *site; /* NULL: none */
  uint64_t start;
  uint64_t least; /* ticks of the half that is done; 0: none is */
  uint32_t nodes; /* of half of the stretch */
} cira__pace_t;

/* Walks along a table. */
typedef struct cira__pace_race {
  uint64_t plain;          /* ticks of a block without the table; 0: unknown */
  uint64_t last;           /* when the block began; 0: it is not timed */
  uint32_t blocks, faster; /* in all; of these 16 */
  uint32_t credit;         /* races that may be lost */
} cira__pace_race_t;

enum { cira__pace_open, cira__pace_faster, cira__pace_slower };

/* 0: there is no clock. */
static inline uint64_t cira__pace_ticks(void) {
#if defined(CIRA_PACE_TICKS)
  return CIRA_PACE_TICKS();
#elif defined(__x86_64__)
  return __builtin_readcyclecounter();
#elif defined(__aarch64__)
  uint64_t now;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
  return now;
#else
  return 0;
#endif
}

/* Ticks in 512 nodes that each take 13 ns or so: less than a node from memory,
 * more than one from the second-level cache. The counters of x86 run at 2 to 4
 * GHz. */
static inline uint64_t cira__pace_slow(void) {
#if defined(__aarch64__) && !defined(CIRA_PACE_TICKS)
  uint64_t hertz;
  __asm__("mrs %0, cntfrq_el0" : "=r"(hertz));
  return 1 + hertz / 150000;
#else
  return 512 * 32;
#endif
}

/* Another half of a stretch. Returns its nodes. */
static inline uint32_t cira__pace_on(cira__pace_t *p) {
  p->start = cira__pace_ticks();
  return p->nodes;
}

/* The walk has come to node `nodes`, an even number. Returns after how many it
 * is to come back. */
static inline uint32_t cira__pace_start(cira__pace_t *p, const void *site,
                                        uint32_t nodes) {
  *p = (cira__pace_t){.site = site, .nodes = nodes / 2};
  return cira__pace_on(p);
}

/* And once a stretch has ended. */
static inline uint32_t cira__pace_next(cira__pace_t *p) {
  p->least = 0;
  p->nodes = p->nodes < cira__pace_longest ? 2 * p->nodes : p->nodes;
  return cira__pace_on(p);
}

/* It has come back: after the first half only? */
static inline bool cira__pace_half(cira__pace_t *p) {
  uint64_t ticks = cira__pace_ticks() - p->start;
  bool is_first = !p->least;
  p->least = is_first || ticks < p->least ? ticks + !ticks : p->least;
  return is_first;
}

/* The stretch has ended: did it wait, in both halves? `*out_plain`: ticks of a
 * block. */
static inline bool cira__pace_is_slow(const cira__pace_t *p,
                                      uint64_t *out_plain) {
  *out_plain = p->least * cira__jump_block / p->nodes;
  return *out_plain * 512 / cira__jump_block >= cira__pace_slow();
}

/* A block begins. */
static inline void cira__pace_begin(cira__pace_race_t *r) {
  r->last = r->plain ? cira__pace_ticks() : 0;
}

/* A block has ended, and the next one begins. */
static inline int cira__pace_add(cira__pace_race_t *r) {
  if (!r->last) {
    return cira__pace_open;
  }
  uint64_t now = cira__pace_ticks();
  uint64_t ticks = now - r->last;
  r->last = now;
  r->faster += ticks + ticks / cira__pace_margin < r->plain;
  if (++r->blocks % cira__pace_blocks) {
    return cira__pace_open;
  }
  bool is_faster = 2 * r->faster > cira__pace_blocks;
  r->faster = 0;
  if (is_faster) {
    r->credit += r->credit < cira__pace_credit;
    return cira__pace_faster;
  }
  if (r->credit) {
    r->credit--;
    return cira__pace_open;
  }
  return cira__pace_slower;
}

/* Is it time to walk a block without the table? */
static inline bool cira__pace_wants_plain(const cira__pace_race_t *r) {
  return r->last && (r->blocks == cira__pace_blocks ||
                     (r->blocks && r->blocks % cira__pace_again == 0));
}

#endif /* CIRA_CC_PACE_H */
