/* SPDX-License-Identifier: Apache-2.0
 *
 * A hook wraps a connection and sees every op before and after. What hooks
 * have in common: the child, a pool of op records (the child gets our op, the
 * caller's is completed by us), and control calls that pass through. A hook
 * never offers region_map, so that every access comes by.
 * Threads: caller-serialised; take and finish are signal-safe.
 */
#ifndef CIRA_FABRIC_HOOK_H
#define CIRA_FABRIC_HOOK_H

#include "fabric/internal.h"
#include "fabric/url.h"

typedef enum {
  CIRA__HOOK_READ,
  CIRA__HOOK_WRITE,
  CIRA__HOOK_ATOMIC,
  CIRA__HOOK_DISCARD,
} cira__hook_kind_t;

typedef struct cira__hook_op {
  cira_fabric_op_t op; /* at the child */
  cira_fabric_op_t *user;
  struct cira__hook_op *next; /* active (oldest first) or free */
  cira__hook_kind_t kind;
  cira_region_t region;
  uint64_t offset;
  uint64_t bytes;
  uint64_t posted_ns;
  uint64_t deadline_ns;
  /* used by fault */
  void *dst;
  uint64_t release_ns; /* not complete before that */
  uint8_t state;
  bool is_short;
} cira__hook_op_t;

typedef struct {
  cira_fabric_t base;
  cira_fabric_t *child;
  cira_status_t broken;
  int32_t completed;
  cira__hook_op_t *free;
  cira__hook_op_t *active;
  cira__hook_op_t **active_tail;
  uint64_t total_bytes;
} cira__hook_t;

/* Makes a hook of `hook_bytes` (a cira__hook_t and what follows it) around the
 * inner URL of `url`; *out_url is the parsed whole. */
cira_status_t cira__hook_create(const char *url,
                                const cira_fabric_options_t *opt,
                                const cira_fabric_ops_t *ops,
                                uint64_t hook_bytes, cira__url_t *out_url,
                                cira__hook_t **out);
/* Completes what is pending, closes the child, frees the hook. */
void cira__hook_destroy(cira__hook_t *h);

/* A record for the caller's op, not yet active; NULL with *out_status =
 * CIRA_AGAIN or what broke the hook. */
cira__hook_op_t *cira__hook_take(cira__hook_t *h, cira__hook_kind_t kind,
                                 cira_region_t region, uint64_t offset,
                                 uint64_t bytes, uint64_t deadline_ns,
                                 cira_fabric_op_t *user,
                                 cira_status_t *out_status);
/* Puts it back: the op was refused. */
void cira__hook_give_back(cira__hook_t *h, cira__hook_op_t *o);
/* Appends it to the active ones; the caller's op is pending from now on. */
void cira__hook_activate(cira__hook_t *h, cira__hook_op_t *o);
/* Takes the one at `link` out of the active list and completes its op. */
void cira__hook_finish(cira__hook_t *h, cira__hook_op_t **link,
                       cira_status_t status);
/* The end: completes every active op with `status`. */
CIRA_COLD cira_status_t cira__hook_broke(cira__hook_t *h, cira_status_t status);

/* Control calls that pass through. */
cira_status_t cira__hook_region_open(cira_fabric_t *f, uint64_t bytes,
                                     cira_region_t *out);
cira_status_t cira__hook_region_attach(cira_fabric_t *f,
                                       const cira_ticket_t *ticket,
                                       cira_region_t *out, uint64_t *out_bytes);
cira_status_t cira__hook_region_ticket(cira_fabric_t *f, cira_region_t region,
                                       cira_ticket_t *out);
cira_status_t cira__hook_region_refs(cira_fabric_t *f, cira_region_t region,
                                     uint32_t *out);
cira_status_t cira__hook_region_hold(cira_fabric_t *f, cira_region_t region,
                                     int32_t delta);
void cira__hook_region_close(cira_fabric_t *f, cira_region_t region);
cira_status_t cira__hook_region_commit(cira_fabric_t *f, cira_region_t region,
                                       int64_t bytes);
cira_status_t cira__hook_region_map(cira_fabric_t *f, cira_region_t region,
                                    uint8_t **out);

#endif
