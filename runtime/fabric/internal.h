/* SPDX-License-Identifier: Apache-2.0
 *
 * What the back ends share: their tables, limits, memory that does not come
 * from malloc (the heap above us may live on this very connection), and
 * descriptors out of the way of programs that close low numbers.
 */
#ifndef CIRA_FABRIC_INTERNAL_H
#define CIRA_FABRIC_INTERNAL_H

#include "fabric/fabric.h"

#define CIRA__REGIONS_MAX 64u /* per connection; ids are 1..64, 0 is never */
#define CIRA__INFLIGHT_DEFAULT 256u
#define CIRA__INFLIGHT_MAX 16384u

extern const cira_fabric_ops_t cira__host_ops;
extern const cira_fabric_ops_t cira__shm_ops;
extern const cira_fabric_ops_t cira__tcp_ops;  /* tcp: */
extern const cira_fabric_ops_t cira__unix_ops; /* unix: */
extern const cira_fabric_ops_t cira__stripe_ops;
extern const cira_fabric_ops_t cira__trace_ops;
extern const cira_fabric_ops_t cira__fault_ops;

/* A tcp connection over a socket that is already past the handshake; takes the
 * socket over on success. For tests and fuzzers that play the server. */
cira_status_t cira__tcp_adopt(int fd, const char *url,
                              const cira_fabric_options_t *opt,
                              cira_fabric_t **out);

/* Zeroed pages straight from the kernel; NULL with a detail when there are
 * none. Freed with the same size. */
void *cira__pages_alloc(size_t bytes);
void cira__pages_free(void *at, size_t bytes);

/* Moves a descriptor to a number of 600 or more where the limits allow it, and
 * makes it close on exec. Returns the descriptor to use. */
int cira__fd_move_high(int fd);

/* Fills the common head of a connection. */
void cira__fabric_init(cira_fabric_t *f, const cira_fabric_ops_t *ops,
                       uint32_t flags, const char *url,
                       const cira_fabric_options_t *opt);

/* Absolute deadline of an op: as given, or the connection's default. */
static inline uint64_t cira__deadline(const cira_fabric_t *f,
                                      uint64_t deadline_ns) {
  return deadline_ns ? deadline_ns : cira__now_ns() + f->opt.deadline_ns;
}

/* Marks an op complete. The status is last: a signal handler that looks at
 * the op in between sees it pending. */
static inline void cira__op_complete(cira_fabric_op_t *op,
                                     cira_status_t status) {
  atomic_signal_fence(memory_order_release);
  op->status = status;
}

/* An op that never got anywhere: status for both the caller and the op. */
static inline cira_status_t cira__op_refuse(cira_fabric_op_t *op,
                                            cira_status_t status) {
  op->status = status;
  return status;
}

/* Checks the pieces of a scatter write against the limits and the region.
 * Returns CIRA_OK and the sum of the bytes, or a status with a detail. */
cira_status_t cira__segs_check(const cira_fabric_t *f, uint64_t region_bytes,
                               const cira_fabric_seg_t *segs, uint32_t count,
                               uint64_t *out_bytes);

/* The same for one range. `what` is "read", "atomic", ... */
cira_status_t cira__range_check(const cira_fabric_t *f, const char *what,
                                uint64_t region_bytes, uint64_t offset,
                                uint64_t bytes);

CIRA_COLD cira_status_t cira__fail_region(const cira_fabric_t *f,
                                          cira_region_t region);

#endif
