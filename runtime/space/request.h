/* SPDX-License-Identifier: Apache-2.0
 *
 * request: far bytes that are on their way while their owner does something
 * else. For fabrics behind requests (tcp:); in reach, far.h needs none of it.
 *
 * A request lies in a slot of its lane's table (nothing is allocated) and names
 * an owner. cira_request_reap polls the lanes and hands back what is complete,
 * with no lock held and signals as they were, so owners may touch far memory.
 * Kinds:
 *   READ    bytes within one page into local memory.
 *   atomics on 8 bytes of a page at home: posted while the page is held and
 *           let go at once, since a later read of the page follows it on the
 *           same lane.
 *   TOUCH   a page into a frame, and from there into the page table, unless
 *           it was written, fetched or given back in between (then it is
 *           complete all the same: whoever did that had it here).
 * Threads: any. Not to be called from signal handlers.
 */
#ifndef CIRA_SPACE_REQUEST_H
#define CIRA_SPACE_REQUEST_H

#include "space/far.h"

typedef enum {
  CIRA_REQUEST_READ = 0,
  CIRA_REQUEST_ADD = 1,
  CIRA_REQUEST_SWAP = 2,
  CIRA_REQUEST_CAS = 3,
  CIRA_REQUEST_TOUCH = 4,
} cira_request_kind_t;

typedef enum {
  CIRA_POST_SENT = 0,  /* the owner is handed back by a reap */
  CIRA_POST_DONE = 1,  /* nothing was to be asked: zeros, or it is here */
  CIRA_POST_PLAIN = 2, /* a plain access is right: here, or coming */
  CIRA_POST_FULL = 3,  /* all slots are taken: after the next reap */
} cira_post_t;

typedef struct {
  cira_request_kind_t kind;
  uint32_t bytes; /* READ: within one page */
  void *far;
  void *to; /* READ: local memory */
  uint64_t operand, compare;
  void *owner;
} cira_request_t;

/* Begins n in one go, in order. Stops at the first that finds no slot, whose
 * result, and that of all behind it, is CIRA_POST_FULL. A fabric that refuses
 * ends the process, as a fault would. */
void cira_request_post(const cira_request_t *r, uint32_t n, cira_post_t *out);

typedef struct {
  void *owner;
  uint64_t value; /* atomics: what was there before */
  cira_status_t status;
  bool lost; /* this is a forked child: the parent has the answer */
  cira_request_t request;
} cira_reaped_t;

#define CIRA_REAP_MAX 64u
/* Polls lanes with requests under way; returns how many of them are complete
 * now, at most CIRA_REAP_MAX. */
uint32_t cira_request_reap(cira_reaped_t *out);
/* How many are under way. A hint. */
uint32_t cira_request_pending(void);
/* Becomes readable when a reap may have something; -1: poll. */
int cira_request_fd(void);

/* An atomic on bytes that are here or in reach.
 * Returns false when only a request, or the page's fault, can do it. */
bool cira_far_atomic(const cira_request_t *r, uint64_t *out_old);
/* The same on the page in the page table, which a fault brings. */
uint64_t cira_far_atomic_plain(const cira_request_t *r);

#endif
