/* SPDX-License-Identifier: Apache-2.0
 *
 * Offload: jobs for a device that works on memory beside the program.
 *   helper      a thread on another core of this machine
 *   server      the memory server that keeps this process's far memory, if it
 *               runs kernels (cira/kernel.h); server:URL another one
 * A device is opened as a ring of jobs; it takes them in order and answers each
 * in a completion line, a cache line of the caller's that it writes once. What
 * a device can do is in its bits; every job is a hint except for calls.
 *
 * Beside it: arrays of edges with fields known by name, as graph code walks
 * them, and what address memory has on the bus.
 * Reading order: devices, jobs, edges, addresses.
 */
#ifndef CIRA_OFFLOAD_H
#define CIRA_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "cira/call.h"
#include "cira/status.h"
#include "cira/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- devices ------------------------------------------------------------ */

typedef struct cira_offload cira_offload_t;

/* What a device can do, and the kinds of jobs. */
#define CIRA_OFFLOAD_INSTALL 1u /* bring bytes near: to a cache level */
#define CIRA_OFFLOAD_CHAIN 2u   /* bring the nodes of a list near */
#define CIRA_OFFLOAD_STREAM 4u  /* bring elements at a fixed step near */
#define CIRA_OFFLOAD_CALL 8u    /* run a function */

#define CIRA_OFFLOAD_DEPTH_MAX 4096u
#define CIRA_OFFLOAD_ANY_CORE 0u

typedef struct {
  uint32_t size;  /* of this struct */
  uint32_t depth; /* jobs in the ring, a power of two; 0: 64 */
  uint32_t core;  /* helper: which thread, from 1; 0: any */
  uint32_t reserved;
  const char *token_file; /* server:URL: its secret; NULL: none */
} cira_offload_options_t;

/* Returns options with every default filled in.
 * Threads: any. */
CIRA_API cira_offload_options_t cira_offload_options_default(void);

/* Opens a device.
 *   device  "helper", "server" or "server:URL".
 *   opt     NULL: the defaults.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, a name that no device has, an
 *   options struct of a foreign size or a depth that is no power of two;
 *   CIRA_E_RANGE above CIRA_OFFLOAD_DEPTH_MAX; CIRA_E_NOMEM; CIRA_E_SYSTEM; for
 *   servers as cira_call_server.
 * Threads: any; one thread at a time uses it then. Not in a forked child. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_offload_open(const char *device, const cira_offload_options_t *opt,
                  cira_offload_t **out);

/* Waits for its jobs and closes it. NULL is allowed.
 * Threads: the one that uses it. */
CIRA_API void cira_offload_close(cira_offload_t *o);

/* Returns the CIRA_OFFLOAD_* bits of what it can do; 0 for NULL.
 * Threads: any. */
CIRA_API uint32_t cira_offload_can(const cira_offload_t *o);

/* ---- jobs --------------------------------------------------------------- */

typedef struct {
  uint32_t kind;  /* one CIRA_OFFLOAD_* */
  uint32_t level; /* INSTALL: cache level 1 to 3; of the helper's core: level 3
                     is what it shares with others. 0: only the page */
  const void *address;  /* INSTALL: bytes; CHAIN: the first node; STREAM: the
                           first element */
  uint64_t bytes;       /* of all of them, of a node, of an element */
  int64_t step;         /* CHAIN: offset of the next pointer in a node; STREAM:
                           bytes from element to element */
  uint64_t count;       /* CHAIN: nodes at most; STREAM: elements */
  uint64_t deadline_ns; /* not begun by then: CIRA_E_DEADLINE; 0: none */
  /* CALL: */
  uint64_t (*function)(void *argument); /* helper */
  const char *kernel;                   /* server */
  const void *args; /* helper: the argument; server: args_bytes by value */
  void *result;     /* server: result_max bytes */
  const cira_call_range_t *range; /* server: far memory that it is about */
  uint32_t args_bytes, result_max, range_count, reserved;
} cira_offload_job_t;

/* One cache line that the device writes when the job has ended. */
typedef struct {
  __attribute__((aligned(64))) cira_waitable_t ready;
  uint64_t value; /* INSTALL: bytes; CHAIN: nodes; STREAM: elements that were
                     asked for; CALL: what the function returned (helper) or
                     bytes of the result (server) */
  cira_status_t status; /* CIRA_PENDING until then */
  char reason[28];      /* of a failure; the whole is in the log */
} cira_offload_line_t;

/* Puts a job into the ring.
 *   job   copied; what it points to stays until the job has ended.
 *   line  the caller's until the job has ended; not one of a pending job.
 * Returns CIRA_OK; CIRA_AGAIN when the ring is full; CIRA_E_INVALID for NULL or
 *   a job that makes no sense; CIRA_E_UNSUPPORTED for a kind that the device
 *   cannot do, or inside of a function that runs on the helper; CIRA_E_SYSTEM
 *   when no helper thread can be started. The line is untouched then.
 * Threads: the one that uses the device. Cost: about 20 ns while it is busy,
 *   waking a thread otherwise. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_offload_submit(cira_offload_t *o, const cira_offload_job_t *job,
                    cira_offload_line_t *line);

/* Has the job ended? What it wrote is visible after true. NULL has not.
 * Returns whether it has.
 * Threads: any. Cost: a load. */
static inline bool cira_offload_done(const cira_offload_line_t *line) {
  return line && cira_waitable_ready(&line->ready);
}

/* Waits until it has ended; in a task others run meanwhile.
 * Returns how it ended: CIRA_OK; CIRA_E_DEADLINE when its own passed before it
 *   began; for calls to servers as cira_call_wait. CIRA_PENDING when
 *   deadline_ns passed first: it goes on. CIRA_E_CANCELLED in a task that was
 *   told to stop: it goes on. CIRA_E_INVALID for NULL.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_offload_wait(cira_offload_line_t *line, uint64_t deadline_ns);

/* Submits a job, waiting for room, and waits for its end.
 *   out_value  may be NULL.
 * Returns as cira_offload_submit and cira_offload_wait.
 * Threads: the one that uses the device. */
CIRA_API CIRA_MUST_USE cira_status_t cira_offload_run(
    cira_offload_t *o, const cira_offload_job_t *job, uint64_t *out_value);

/* ---- edges -------------------------------------------------------------- */

#define CIRA_OFFLOAD_FIELD_MAX 32u

/* A field of an edge that points to a node. */
typedef struct {
  const char *name; /* 1 to 31 bytes */
  uint32_t offset_bytes;
  uint32_t node_bytes;
} cira_offload_field_t;

typedef struct cira_offload_edges cira_offload_edges_t;

/* Describes an array of edges.
 *   edges  count elements of edge_bytes; stays the caller's.
 *   field  copied, with the names.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, no or too many fields, a name that
 *   is empty, too long or there twice; CIRA_E_RANGE for a field outside of the
 *   edge, or an array that leaves the address space; CIRA_E_NOMEM.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_offload_edges_create(void *edges, uint64_t count, uint32_t edge_bytes,
                          const cira_offload_field_t *field,
                          uint32_t field_count, cira_offload_edges_t **out);

/* Frees the description, not the edges. NULL is allowed.
 * Threads: caller-serialised. */
CIRA_API void cira_offload_edges_destroy(cira_offload_edges_t *edges);

/* The edge at an index, present for plain loads; asks for the one `distance`
 * further on, and what lies between.
 * Returns CIRA_OK; CIRA_E_RANGE beyond the array; CIRA_E_INVALID for NULL.
 * Threads: any. Cost: a few ns where it is here. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_offload_load_edge(const cira_offload_edges_t *edges, uint64_t index,
                       uint64_t distance, void **out_edge);

/* The node that a field of an edge points to, present for plain loads; asks for
 * the nodes of the next `distance` edges in one batch.
 *   out_node  NULL when the field is.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or a field that no one described;
 *   CIRA_E_RANGE for an edge that is not in the array.
 * Threads: any. Cost: as cira_offload_load_edge, and a look for the name. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_offload_load_node(const cira_offload_edges_t *edges, void *edge,
                       const char *field, uint64_t distance, void **out_node);

/* Says that an edge is done with: a page whose last edge this is may go.
 * Returns CIRA_OK; CIRA_E_RANGE beyond the array; CIRA_E_INVALID for NULL.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_offload_evict_edge(const cira_offload_edges_t *edges, uint64_t index);

/* ---- addresses ---------------------------------------------------------- */

typedef enum {
  CIRA_ADDRESS_PHYSICAL = 1, /* of the frame that holds the byte now; it may be
                                another one after the page has moved */
  CIRA_ADDRESS_BUS = 2, /* stands for the byte as long as it is allocated: far:
                           bit 62 and its offset in the far range, which is its
                           offset at home; near: bit 63 and its address */
} cira_address_kind_t;

/* The address of a byte beside the program's own: physical where the kernel
 * tells (/proc/self/pagemap needs CAP_SYS_ADMIN) and a frame holds it now, else
 * one of the bus. Never a mixture: *out_kind says which.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL.
 * Threads: any. Cost: a system call. */
CIRA_API CIRA_MUST_USE cira_status_t cira_offload_physical_address(
    const void *p, uint64_t *out_address, cira_address_kind_t *out_kind);

#ifdef __cplusplus
}
#endif
#endif
