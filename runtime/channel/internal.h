/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share: checks of a handle, the state of one
 * call that waits, and the two kinds' operations on runs. A run is a piece of
 * the ring that one call owns: claimed, filled (or read), then published.
 * Reading order: channel.c (life), spsc.c, mpmc.c, wait.c, ops.c.
 */
#ifndef CIRA_CHANNEL_INTERNAL_H
#define CIRA_CHANNEL_INTERNAL_H

#include "base/base.h"
#include "cira/channel.h"

#define CIRA__CHANNEL_MAGIC 0x6c6e6e6168637263ull /* "crchannl" */
#define CIRA__CHANNEL_DEAD 0x64616564636e6863ull  /* after fini */
#define CIRA__CHANNEL_VERSION 2u
#define CIRA__CHANNEL_WORD 8u /* bytes before the messages of a block */

static inline bool cira__channel_live(const cira_channel_t *c) {
  return CIRA_LIKELY(c && c->magic == CIRA__CHANNEL_MAGIC);
}
CIRA_COLD cira_status_t cira__channel_refuse(const cira_channel_t *c,
                                             const char *call);

/* A side that runs at another's heels makes every message cost a transfer of a
 * cache line (50-150 ns) instead of a share of one, and each look at the
 * other's line stops the other as long. So who stands still after a burst lets
 * the other get ahead for about a microsecond before it looks again; who
 * exchanges single messages does not wait. */
#define CIRA__CHANNEL_BURST 2u /* messages: a burst */
static inline void cira__channel_stand(const cira_channel_t *c) {
  for (uint32_t i = 0; i < c->stand_count; i++) {
    cira__cpu_relax();
  }
}

/* ---- runs ---- */

/* Each returns CIRA_OK with 1 <= out->count <= want, CIRA_AGAIN or
 * CIRA_E_CLOSED, and never waits. */
cira_status_t cira__spsc_reserve(cira_channel_t *c, uint32_t want,
                                 cira_channel_run_t *out);
cira_status_t cira__spsc_peek(cira_channel_t *c, uint32_t want,
                              cira_channel_run_t *out);
cira_status_t cira__mpmc_reserve(cira_channel_t *c, uint32_t want,
                                 cira_channel_run_t *out);
cira_status_t cira__mpmc_peek(cira_channel_t *c, uint32_t want,
                              cira_channel_run_t *out);
/* Publish `count` messages of a run, or give back its slots. No wake-up. */
void cira__spsc_commit(cira_channel_t *c, uint32_t count);
void cira__spsc_release(cira_channel_t *c, uint32_t count);
void cira__mpmc_commit(cira_channel_t *c, const cira_channel_run_t *run);
void cira__mpmc_release(cira_channel_t *c, const cira_channel_run_t *run);
/* Would a reserve (peek) succeed now? */
bool cira__mpmc_available(const cira_channel_t *c, cira_channel_side_t side);
/* No ticket is given out after this. */
void cira__mpmc_close(cira_channel_t *c);

/* ---- waiting ---- */

typedef struct {
  cira_channel_t *c;
  cira_channel_side_t side;
  uint64_t deadline_ns;
  uint32_t turns, limit; /* of spinning */
  uint32_t turn;         /* the futex word when we announced ourselves */
  bool chosen;           /* by a waker, at least once */
  uint64_t slice_ns;     /* longest sleep; 0: until the deadline */
  enum { CIRA__WAIT_SPIN, CIRA__WAIT_ANNOUNCE, CIRA__WAIT_SLEEP } phase;
  cira_waiter_t waiter;
} cira__channel_wait_t;

/* One call's waiting: begin, then step before each further try, then end.
 * step returns CIRA_OK: try again; else the call ends with that status if its
 * last try fails. */
void cira__channel_wait_begin(cira__channel_wait_t *w, cira_channel_t *c,
                              cira_channel_side_t side, uint64_t deadline_ns);
cira_status_t cira__channel_wait_step(cira__channel_wait_t *w);
void cira__channel_wait_end(cira__channel_wait_t *w, bool success);

/* Makes this process able to run the barrier of sleepers. */
bool cira__channel_barrier_register(bool shared);
/* Is that process gone, or a zombie whose threads have all ended? */
bool cira__channel_peer_dead(uint32_t pid, uint64_t start);
/* When a process started (field 22 of /proc/PID/stat), and whether it has
 * ended. Returns 0 when there is no such process. */
uint64_t cira__channel_process_start(uint32_t pid, bool *out_dead);

#endif
