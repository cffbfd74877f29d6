/* SPDX-License-Identifier: Apache-2.0
 *
 * fabric: where far bytes live. One ops table; every back end (host, shm, tcp
 * and unix), every composition (stripe) and every hook (trace, fault) fills
 * it, and one conformance suite runs against all of them.
 *
 *   connection  a path to one memory server (or to several, for a stripe).
 *   region      a sparse range of far bytes [0, bytes) on that server, zero
 *               at birth; named on a connection by a small number.
 *   ticket      a secret by which another connection (a second lane of this
 *               process, a forked child) attaches to the same region. A region
 *               lives until its last attachment is closed or disconnected.
 *   op          caller-owned state of one request; must outlive its
 *               completion. status is CIRA_PENDING until it completes.
 *
 * Order: requests of one connection are applied in the order posted, so a read
 * posted after a write of the same bytes sees it. Nothing orders two
 * connections except completion.
 * Threads: a connection is caller-serialised. post_* and poll are signal-safe
 * and never allocate; everything else is neither.
 * Reading order: this file, fabric.c, url.h, direct.h, host.c, tcp_proto.h,
 * auth.h, link.h, shm.c, tcp.c, stripe.c, hook.h, hook_trace.c, hook_fault.c.
 */
#ifndef CIRA_FABRIC_H
#define CIRA_FABRIC_H

#include "base/base.h"

typedef struct cira_fabric cira_fabric_t;
typedef uint32_t cira_region_t;

typedef struct {
  uint8_t bytes[32];
} cira_ticket_t;

typedef struct cira_fabric_op {
  /* results, valid once status != CIRA_PENDING */
  cira_status_t status;
  uint64_t result; /* atomics: the value before the operation */
  /* set by post_*, owned by the back end until completion */
  uint64_t deadline_ns; /* absolute, cira__now_ns clock */
  uint64_t id;
  void *dst;
  uint64_t bytes;
  struct cira_fabric_op *next;
  void *backend[4];
} cira_fabric_op_t;

/* One piece of a scatter write: `bytes` bytes from `src` to far `offset`. */
typedef struct {
  uint64_t offset;
  const void *src;
  uint64_t bytes;
} cira_fabric_seg_t;

typedef enum {
  CIRA_FABRIC_ADD = 0,  /* result = old; far += operand */
  CIRA_FABRIC_SWAP = 1, /* result = old; far = operand */
  CIRA_FABRIC_CAS = 2,  /* result = old; if old == compare, far = operand */
} cira_fabric_atomic_t;

/* Most bytes of one op and most segments of one scatter write; more is
 * CIRA_E_RANGE (cira_fabric_read and _write split by themselves). */
#define CIRA_FABRIC_OP_MAX_BYTES (1u << 20) /* 1 MiB */
#define CIRA_FABRIC_SEG_MAX_COUNT 4096u

/* Capability bits, derived from the table and checked at registration. */
#define CIRA_FABRIC_F_DIRECT (1u << 0) /* region_map works: plain loads */
#define CIRA_FABRIC_F_REMOTE (1u << 1) /* bytes survive this process */

typedef struct {
  uint32_t size;          /* sizeof(cira_fabric_options_t) */
  uint32_t inflight_max;  /* ops that may be pending at once; 0 = 256 */
  uint64_t deadline_ns;   /* relative default of every op; 0 = 10 s */
  const char *token_file; /* shared secret; NULL = none */
  uint64_t spin_ns;       /* busy wait before sleeping; 0 = 50 us */
} cira_fabric_options_t;

/* A URL is one place: "host:", "shm:" or "shm:PATH", "unix:PATH",
 * "tcp://HOST:PORT"; several, comma-separated, are striped; a hook wraps any:
 * "trace(URL)", "fault(URL;drop=0.01;seed=7)". */

typedef struct cira_fabric_ops {
  uint32_t size;
  uint32_t flags;
  const char *scheme;

  /* Control path: blocking, bounded by the options' deadline. */
  cira_status_t (*connect)(const char *url, const cira_fabric_options_t *opt,
                           cira_fabric_t **out);
  void (*close)(cira_fabric_t *f);
  /* A new region; bytes is virtual and sparse, nothing is committed. */
  cira_status_t (*region_open)(cira_fabric_t *f, uint64_t bytes,
                               cira_region_t *out);
  cira_status_t (*region_attach)(cira_fabric_t *f, const cira_ticket_t *ticket,
                                 cira_region_t *out, uint64_t *out_bytes);
  cira_status_t (*region_ticket)(cira_fabric_t *f, cira_region_t region,
                                 cira_ticket_t *out);
  /* How many attachments the region has, over all connections, plus pending
   * holds; 1 = only this connection. */
  cira_status_t (*region_refs)(cira_fabric_t *f, cira_region_t region,
                               uint32_t *out);
  /* +1 / -1: keeps the region alive although its attachments go; a hold lapses
   * when the connection that made it closes. */
  cira_status_t (*region_hold)(cira_fabric_t *f, cira_region_t region,
                               int32_t delta);
  void (*region_close)(cira_fabric_t *f, cira_region_t region);
  /* Reserves (+) or returns (-) bytes of the server's capacity and of this
   * client's quota. CIRA_E_QUOTA when there is no room. */
  cira_status_t (*region_commit)(cira_fabric_t *f, cira_region_t region,
                                 int64_t bytes);
  /* Local address of the whole region (CIRA_FABRIC_F_DIRECT only). */
  cira_status_t (*region_map)(cira_fabric_t *f, cira_region_t region,
                              uint8_t **out);

  /* Data path: signal-safe, no allocation. CIRA_AGAIN when inflight_max ops
   * are pending (poll, then retry). deadline_ns absolute, 0 = default. An op
   * may be complete when the call returns (memory in reach, zero bytes). */
  cira_status_t (*post_read)(cira_fabric_t *f, cira_region_t region,
                             uint64_t offset, void *dst, uint64_t bytes,
                             uint64_t deadline_ns, cira_fabric_op_t *op);
  /* The sources are read before the call returns; done = applied at home. */
  cira_status_t (*post_write)(cira_fabric_t *f, cira_region_t region,
                              const cira_fabric_seg_t *segs, uint32_t seg_count,
                              uint64_t deadline_ns, cira_fabric_op_t *op);
  /* 8-byte aligned; sequentially consistent at home. */
  cira_status_t (*post_atomic)(cira_fabric_t *f, cira_region_t region,
                               cira_fabric_atomic_t kind, uint64_t offset,
                               uint64_t operand, uint64_t compare,
                               uint64_t deadline_ns, cira_fabric_op_t *op);
  /* The range reads as zero afterwards and its memory goes back. */
  cira_status_t (*post_discard)(cira_fabric_t *f, cira_region_t region,
                                uint64_t offset, uint64_t bytes,
                                uint64_t deadline_ns, cira_fabric_op_t *op);
  /* Pushes out what is queued and completes what is done or overdue, without
   * blocking. Returns the number of ops completed, or the negative status that
   * broke the connection (then every pending op has completed with it). */
  int32_t (*poll)(cira_fabric_t *f);
  /* A descriptor that becomes readable when poll has something to do; -1 when
   * poll never needs waiting. */
  int (*wait_fd)(cira_fabric_t *f);
} cira_fabric_ops_t;

/* First member of every back end's connection. */
struct cira_fabric {
  const cira_fabric_ops_t *ops;
  uint32_t flags; /* capability bits of this connection */
  cira_fabric_options_t opt;
  char url[256]; /* as given, for messages */
};

/* Fills `opt` with the defaults. Threads: any. */
void cira_fabric_options_default(cira_fabric_options_t *opt);

/* Connects to the place or places of `url`.
 *   opt   NULL = defaults.
 * Returns CIRA_OK; CIRA_E_INVALID for a URL nobody understands,
 *   CIRA_E_UNREACHABLE, CIRA_E_AUTH, CIRA_E_DEADLINE, each with a detail that
 *   names the URL and the remedy.
 * Threads: any; not signal-safe. Ends with cira_fabric_close. */
CIRA_MUST_USE cira_status_t cira_fabric_connect(
    const char *url, const cira_fabric_options_t *opt, cira_fabric_t **out);
void cira_fabric_close(cira_fabric_t *f);

/* Checks the spelling of a URL without connecting. */
CIRA_MUST_USE cira_status_t cira_fabric_url_check(const char *url);

/* Polls, spinning and then sleeping on wait_fd, until `op` is complete.
 * Returns op->status. Signal-safe. */
cira_status_t cira_fabric_wait(cira_fabric_t *f, cira_fabric_op_t *op);

/* Post and wait in one; signal-safe. */
CIRA_MUST_USE cira_status_t cira_fabric_read(cira_fabric_t *f,
                                             cira_region_t region,
                                             uint64_t offset, void *dst,
                                             uint64_t bytes);
CIRA_MUST_USE cira_status_t cira_fabric_write(cira_fabric_t *f,
                                              cira_region_t region,
                                              uint64_t offset, const void *src,
                                              uint64_t bytes);

#endif
