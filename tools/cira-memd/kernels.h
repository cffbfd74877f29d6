/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels of a memory server: three kinds of processes.
 *
 *   server   never loads a library. kernels.c: checks them in a child before it
 *            listens, and starts a session for each client that asks.
 *   session  owns the client's connection from then on, one request at a time.
 *            To the server it is that client, over a socket pair, so the
 *            server's accounts (attachments, quota, end) stay as they are.
 *            A fresh program image: it has nobody's memory. session.c
 *   runner   child of a session; runs the kernels and may die of them; the
 *            session starts the next one. runner.c
 *
 * Session and runner share an exchange (arguments, results, what runs) and a
 * link of cira/call.h that rings for it.
 */
#ifndef CIRA_MEMD_KERNELS_H
#define CIRA_MEMD_KERNELS_H

#include "base/base.h"
#include "cira/call.h"
#include "cira/kernel.h"
#include "fabric/internal.h"
#include "fabric/tcp_proto.h"

#define LIBRARIES_MAX 16u
#define SESSION_FD 3 /* the client's connection */
#define CONTROL_FD 4 /* the server */

typedef struct {
  const char *const *path; /* of the libraries */
  uint32_t path_count;
  void *library[LIBRARIES_MAX];
  uint32_t count;
  const cira_kernel_t *kernel[CIRA_KERNEL_COUNT_MAX]; /* [number - 1] */
} kernels_t;

/* ---- kernels.c ---- */

/* Loads libraries and checks their tables.
 * Returns CIRA_OK; CIRA_E_INVALID with a detail that names the library. */
cira_status_t kernels_load(kernels_t *k, const char *const *path,
                           uint32_t count);
/* The same in a child that ends again: a library that misbehaves does not hurt.
 */
cira_status_t kernels_probe(const char *const *path, uint32_t count);
/* Starts a session for the client at `fd`, which answers its request `id`.
 * out_control is the server's end.
 * Returns CIRA_OK; CIRA_E_SYSTEM. */
cira_status_t kernels_session_start(const char *const *path, uint32_t count,
                                    int fd, uint32_t id, int *out_control);

/* ---- session.c ---- */

/* Serves the client at SESSION_FD until it goes. Returns an exit code. */
int session_main(uint32_t id, const char *const *path, uint32_t count);

/* ---- runner.c ---- */

extern const cira_kernel_t kernel_chain; /* of every server */

/* Written by the session before it rings, by the runner before it answers. */
typedef struct {
  /* the call */
  uint32_t kernel; /* number - 1 */
  uint32_t count, args_bytes, result_max;
  uint32_t range_count;
  uint64_t deadline_ns; /* CIRA_FOREVER: none */
  cira_kernel_range_t range[CIRA_KERNEL_RANGE_MAX];
  /* how it ended */
  uint32_t done, result_bytes;
  char detail[sizeof(((cira__wire_called_t *)0)->detail)];
  _Alignas(64) uint8_t args[CIRA_FABRIC_OP_MAX_BYTES];
  _Alignas(64) uint8_t result[CIRA_FABRIC_OP_MAX_BYTES];
} exchange_t;

typedef struct {
  const kernels_t *kernels;
  exchange_t *exchange; /* shared */
  cira_call_table_t *table;
  cira_call_client_t *client; /* NULL: no runner */
  uint32_t function;
} runner_t;

/* Returns CIRA_OK; CIRA_E_NOMEM. */
cira_status_t runner_init(runner_t *r, const kernels_t *kernels);
/* Starts the process when there is none; what is mapped now is what it sees.
 * Returns CIRA_OK, or what cira_call_process says. */
cira_status_t runner_ensure(runner_t *r);
/* Kills it. */
void runner_end(runner_t *r);

#endif
