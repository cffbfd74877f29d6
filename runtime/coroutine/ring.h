/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: descriptors of a worker through io_uring, by the bare system calls:
 * three of them and two mappings are all that is needed, so no library is.
 * Waits are queued in memory and go to the kernel together, with the next look
 * at what has happened; epoll takes two calls a wait.
 * Threads: waits are added and cancelled by any thread (a lock), what has
 * happened is taken by the worker alone.
 */
#ifndef CIRA_COROUTINE_RING_H
#define CIRA_COROUTINE_RING_H

#include "base/base.h"

typedef struct {
  int fd; /* + 1; 0: there is no ring */
  uint32_t *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
  uint32_t sq_mask, cq_mask;
  void *sqes, *cqes; /* struct io_uring_sqe, struct io_uring_cqe */
  void *map;
  size_t map_bytes, sqes_bytes;
  int event_fd;
  cira_lock_t lock;
  _Atomic uint32_t queued; /* guarded by lock; read without it as a hint */
} cira__ring_t;

/* Makes a ring that also watches `event_fd`.
 * Returns CIRA_OK; CIRA_E_UNSUPPORTED with the reason when this kernel, or who
 *   limits this process, has no io_uring that can do it. */
CIRA_MUST_USE cira_status_t cira__ring_open(cira__ring_t *r, int event_fd);
void cira__ring_close(cira__ring_t *r);

/* Queues a wait for events (poll(2)) of fd; `user` is handed back once. */
void cira__ring_add(cira__ring_t *r, int fd, uint32_t events, void *user);
/* Ends the wait of `user` early; it is handed back all the same. */
void cira__ring_cancel(cira__ring_t *r, void *user);

/* Hands back what has happened, waiting for it up to timeout_ns (below 0: for
 * ever; 0: not at all). result: events, or a negative errno; the event_fd is
 * user NULL. */
void cira__ring_poll(cira__ring_t *r, int64_t timeout_ns,
                     void (*happened)(void *user, int32_t result));

#endif
