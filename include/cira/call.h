/* SPDX-License-Identifier: Apache-2.0
 *
 * Remote calls: a caller runs functions that it knows by name on another thread
 * or in another process.
 *
 * The callee fills a table (names, functions, memory that handles may mean) and
 * serves a link. A link is a block of memory with a submission ring, a
 * completion ring and a place for calls in bulk; it holds no pointers, so each
 * process may map it where it likes. A call is numbered, takes one of the
 * link's places from submission to completion, and ends exactly once: with what
 * the function returned, or with why it did not run. Calls run one after the
 * other, in the order of submission. Whoever waits spins first and then sleeps;
 * in a task (cira/coro.h) others run meanwhile.
 *
 * Arguments and results travel by value in the rings; larger data stays where
 * it is and travels as a handle (cira_call_far_t), which the callee checks
 * against the memory that its table knows.
 *
 * The callee may also be a memory server that runs kernels beside the data
 * (cira/kernel.h, cira_call_server): then far memory is named as ranges.
 *
 * A callee process that dies ends all its calls with CIRA_E_DISCONNECTED. A
 * function that crashes on a thread of this process takes the process along.
 * Processes that share a link trust each other: it is checked when it is taken
 * up, and every message again.
 *
 * Reading order: the callee's side, links, the caller's side.
 */
#ifndef CIRA_CALL_H
#define CIRA_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "cira/status.h"
#include "cira/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the callee's side: functions --------------------------------------- */

#define CIRA_CALL_NAME_MAX 63u       /* bytes of a name */
#define CIRA_CALL_WINDOW_MAX 16u     /* windows of a table */
#define CIRA_CALL_BYTES_MAX 32768u   /* of arguments or result, by value */
#define CIRA_CALL_DEPTH_MAX 4096u    /* calls in flight on a link */
#define CIRA_CALL_FUNCTION_MAX 1024u /* functions of a table */
#define CIRA_CALL_RANGE_MAX 16u      /* ranges of a call to a memory server */

/* Bytes in a window of the callee's table. */
typedef struct {
  uint32_t window;
  uint32_t reserved;
  uint64_t offset;
  uint64_t bytes;
} cira_call_far_t;

/* What a function gets. Valid until it returns. */
typedef struct cira_call_frame {
  const void *args; /* aligned to 8; in calls in bulk as the caller's array */
  void *result;     /* room for result_max bytes, aligned likewise */
  uint32_t args_bytes;
  uint32_t result_max;
  uint32_t result_bytes; /* the function says how many it wrote; 0 before */
  uint32_t id;
  uint32_t count; /* of calls at once, for functions that take arrays; else 1 */
  uint32_t done;  /* such a function that fails says how many succeeded */
  void *context;  /* as given to cira_call_table_add */
  const void *server;
} cira_call_frame_t;

/* Returns CIRA_OK, or a negative status of its own (down to -32768), which
 * reaches the caller with the detail that it left in cira_status_detail. */
typedef cira_status_t (*cira_call_fn_t)(cira_call_frame_t *frame);

/* Begins the definition of a function that cira_call_table_load finds as
 * "name". */
#ifdef __cplusplus
#define CIRA_CALL_KERNEL(name)                                                 \
  extern "C" CIRA_API cira_status_t cira_kernel_##name(                        \
      cira_call_frame_t *frame);                                               \
  cira_status_t cira_kernel_##name(cira_call_frame_t *frame)
#else
#define CIRA_CALL_KERNEL(name)                                                 \
  CIRA_API cira_status_t cira_kernel_##name(cira_call_frame_t *frame);         \
  cira_status_t cira_kernel_##name(cira_call_frame_t *frame)
#endif

/* The same for a function that takes arrays: it gets the calls of a batch at
 * once, `count` arguments of args_bytes each and room for as many results of
 * result_max each, and makes the loop itself; a single call is an array of one.
 */
#ifdef __cplusplus
#define CIRA_CALL_KERNEL_ARRAY(name)                                           \
  extern "C" CIRA_API cira_status_t cira_array_kernel_##name(                  \
      cira_call_frame_t *frame);                                               \
  cira_status_t cira_array_kernel_##name(cira_call_frame_t *frame)
#else
#define CIRA_CALL_KERNEL_ARRAY(name)                                           \
  CIRA_API cira_status_t cira_array_kernel_##name(cira_call_frame_t *frame);   \
  cira_status_t cira_array_kernel_##name(cira_call_frame_t *frame)
#endif

typedef struct cira_call_table cira_call_table_t;

/* Makes an empty table.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL; CIRA_E_NOMEM.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_table_create(cira_call_table_t **out);

/* Frees it and unloads its libraries. Nobody may serve with it any more. NULL
 * is allowed.
 * Threads: caller-serialised. */
CIRA_API void cira_call_table_destroy(cira_call_table_t *table);

/* Makes a function callable.
 *   name     1 to CIRA_CALL_NAME_MAX bytes; copied.
 *   context  handed to the function; may be NULL.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, a bad name or one that is taken;
 *   CIRA_E_QUOTA above CIRA_CALL_FUNCTION_MAX; CIRA_E_NOMEM.
 * Threads: caller-serialised, before anybody serves with the table. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_table_add(cira_call_table_t *table, const char *name,
                    cira_call_fn_t function, void *context);

/* The same for a function that takes arrays, see CIRA_CALL_KERNEL_ARRAY.
 * Returns as cira_call_table_add.
 * Threads: as cira_call_table_add. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_table_add_array(cira_call_table_t *table, const char *name,
                          cira_call_fn_t function, void *context);

/* Makes the functions of a shared object callable that were defined with
 * CIRA_CALL_KERNEL or CIRA_CALL_KERNEL_ARRAY; they are looked up when a caller
 * asks for them. path  as for dlopen(3). Returns CIRA_OK; CIRA_E_INVALID for
 * NULL or what cannot be loaded, with the loader's reason; CIRA_E_QUOTA above
 * 16 libraries. Threads: as cira_call_table_add. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_table_load(cira_call_table_t *table, const char *path);

/* Says which memory handles with this window number mean; memory NULL takes it
 * back. The memory is the caller's and may be far (a far pointer, a mapped
 * region).
 * Returns CIRA_OK; CIRA_E_INVALID for NULL; CIRA_E_RANGE for a number of
 *   CIRA_CALL_WINDOW_MAX or more, or bytes that leave the address space.
 * Threads: as cira_call_table_add. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_table_window(
    cira_call_table_t *table, uint32_t window, void *memory, uint64_t bytes);

/* The memory that a handle means, for the running function.
 * Returns CIRA_OK; CIRA_E_RANGE for an unknown window or bytes outside of it;
 *   CIRA_E_INVALID for NULL.
 * Threads: the one that runs the function. Cost: a few loads. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_resolve(
    const cira_call_frame_t *frame, const cira_call_far_t *far, void **out);

/* Tells a function that takes long whether its caller has given up: cancelled
 * it, let its deadline pass, or closed the link.
 * Returns false for NULL.
 * Threads: as cira_call_resolve. Cost: two loads. */
CIRA_API bool cira_call_cancelled(const cira_call_frame_t *frame);

/* ---- links -------------------------------------------------------------- */

#define CIRA_CALL_F_SHARED 1u /* the two sides are in different processes */

typedef struct {
  uint32_t size; /* of this struct */
  uint32_t flags;
  uint32_t wait;       /* cira_channel_wait_t of cira/channel.h */
  uint32_t spin_count; /* as of channels; 0: 2000 */
  uint32_t depth;      /* calls in flight, a power of two; 0: 256 */
  uint32_t args_max;   /* bytes by value; 0: 48 */
  uint32_t result_max; /* bytes by value; 0: 48 */
  uint32_t bulk_bytes; /* of each of 16 places for calls in bulk; 0: 16 KiB */
} cira_call_options_t;

#define CIRA_CALL_BULK_PLACES 16u
#define CIRA_CALL_BULK_MAX (1u << 20)
#define CIRA_CALL_ALIGN 128u /* of the memory of a link */

/* Returns options with every default filled in. Small args_max and result_max
 * (8 and 8) put several calls into one cache line.
 * Threads: any. */
CIRA_API cira_call_options_t cira_call_options_default(void);

/* How much memory a link takes.
 *   opt  NULL: the defaults.
 * Returns CIRA_OK; CIRA_E_INVALID for an options struct of a foreign size,
 *   unknown flags or wait, a depth that is no power of two; CIRA_E_RANGE for
 *   sizes above their maximum.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_link_bytes(const cira_call_options_t *opt, uint64_t *out_bytes);

/* Makes a link in the caller's memory, once, before either side takes it up.
 *   memory  aligned to CIRA_CALL_ALIGN; with CIRA_CALL_F_SHARED inside a shared
 *           mapping. It stays until neither side uses the link.
 * Returns CIRA_OK; as cira_call_link_bytes; CIRA_E_INVALID for NULL or
 *   misaligned memory; CIRA_E_RANGE when bytes is too small.
 * Threads: caller-serialised. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_link_init(
    void *memory, uint64_t bytes, const cira_call_options_t *opt);

/* Takes up the callee's side and runs calls on this thread until the caller
 * closes the link or dies, or the deadline passes (looked at between calls).
 * What was submitted before a close is completed first. A link is served once.
 * Returns CIRA_OK when it was closed; CIRA_E_DEADLINE; CIRA_E_DISCONNECTED when
 *   the caller's process is gone; CIRA_E_BUSY when somebody serves it or has
 *   served it; CIRA_E_PROTOCOL when there is no link or the caller broke the
 *   protocol; CIRA_E_RANGE when the mapping is shorter than the link;
 *   CIRA_E_INVALID for NULL or misaligned memory; CIRA_E_NOMEM;
 *   CIRA_E_CANCELLED in a task that was told to stop.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_serve(void *memory,
                                                     uint64_t bytes,
                                                     cira_call_table_t *table,
                                                     uint64_t deadline_ns);

/* ---- the caller's side: life -------------------------------------------- */

/* One thread uses a client at a time, or the tasks of a scheduler that runs on
 * one thread; each task may wait for calls of its own. */
typedef struct cira_call_client cira_call_client_t;

/* Takes up the caller's side of a link that somebody serves, or will.
 * Returns CIRA_OK; as cira_call_serve for bad memory; CIRA_E_BUSY when it has a
 *   caller.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_attach(void *memory,
                                                      uint64_t bytes,
                                                      cira_call_client_t **out);

/* Makes a link and starts a thread that serves it.
 *   table  must outlive the client; NULL is CIRA_E_INVALID.
 *   opt    NULL: the defaults.
 * Returns CIRA_OK; as cira_call_link_init; CIRA_E_UNSUPPORTED with
 *   CIRA_CALL_F_SHARED; CIRA_E_NOMEM; CIRA_E_SYSTEM when there is no thread.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_thread(cira_call_table_t *table, const cira_call_options_t *opt,
                 cira_call_client_t **out);

/* Makes a link and forks a process that serves it. It sees this process as it
 * is now: memory mapped as shared stays common, everything else is a copy. It
 * runs the functions on its only thread; with other threads here they should
 * not depend on locks that those may hold. It keeps copies of open descriptors
 * and ends when the client is closed or this process ends.
 * Returns as cira_call_thread, CIRA_E_SYSTEM when it cannot fork;
 *   CIRA_E_DISCONNECTED when the child ended at once. CIRA_CALL_F_SHARED is
 *   implied.
 * Threads: any. Cost: a fork. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_process(cira_call_table_t *table, const cira_call_options_t *opt,
                  cira_call_client_t **out);

/* Connects to a memory server that runs kernels (cira-memd --kernels) and
 * starts a thread that carries calls there, one after the other; batches of
 * cira_call_many travel together. Functions are the server's kernels; ranges of
 * a request name far memory of this process that is at home there.
 *   url         of one server; NULL: the one that keeps this process's far
 *               memory, with its token.
 *   token_file  the server's secret; NULL: none.
 *   opt         NULL: the defaults.
 * A call whose kernel crashes, or is killed after its deadline, ends with
 * CIRA_E_DISCONNECTED or CIRA_E_DEADLINE and a detail; later calls run in a new
 * process. When the server or the connection is lost every call ends with
 * CIRA_E_DISCONNECTED.
 * Returns CIRA_OK; as cira_call_thread; CIRA_E_INVALID for a bad URL;
 *   CIRA_E_UNSUPPORTED when there is no server, or it runs no kernels;
 *   CIRA_E_UNREACHABLE; CIRA_E_AUTH; CIRA_E_QUOTA when it runs kernels for too
 *   many already; CIRA_E_DEADLINE.
 * Threads: any. Cost: a connection, a process at the server. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_server(
    const char *url, const char *token_file, const cira_call_options_t *opt,
    uint64_t deadline_ns, cira_call_client_t **out);

/* Ends a link: calls that have not begun do not run, pending ones end with
 * CIRA_E_CANCELLED or what they came to, and every later use of the client is
 * CIRA_E_CLOSED. Waits for a thread or process that was started with it. Any
 * number of times.
 * Returns CIRA_OK; CIRA_E_DEADLINE when a thread still runs a function then
 *   (close again later); a process is killed then, which is CIRA_OK;
 *   CIRA_E_INVALID for NULL; CIRA_E_BUSY while a task waits on it.
 * Threads: the one that uses the client. */
CIRA_API cira_status_t cira_call_close(cira_call_client_t *client,
                                       uint64_t deadline_ns);

/* Closes it without a deadline if need be, and frees it. NULL is allowed.
 * Threads: the one that uses the client. */
CIRA_API void cira_call_destroy(cira_call_client_t *client);

/* ---- the caller's side: calls ------------------------------------------- */

/* Asks the callee for a function.
 *   out_function  its number on this link.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, a bad name or one that the callee
 *   does not know; CIRA_E_BUSY while another task asks; as cira_call_run.
 * Threads: the one that uses the client. Cost: a call. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_find(cira_call_client_t *client,
                                                    const char *name,
                                                    uint64_t deadline_ns,
                                                    uint32_t *out_function);

/* One call; the caller's memory, from submission until status is not
 * CIRA_PENDING any more. Zero it before its first use. */
typedef struct cira_call {
  cira_status_t status;  /* CIRA_PENDING, then how it ended */
  uint32_t result_bytes; /* how many the function wrote */
  uint32_t id;
  uint32_t reserved;
  void *result;
  uint32_t result_max;
  uint32_t waited; /* a task waits for it */
  uint64_t deadline_ns;
  cira_call_client_t *client;
  cira_parker_t *parker; /* of who waits */
  char detail[96];       /* of the callee's error */
} cira_call_t;

#define CIRA_CALL_READ 1u  /* the function reads the range */
#define CIRA_CALL_WRITE 2u /* it may also write it */
#define CIRA_CALL_AT_HOME                                                      \
  4u /* with CIRA_CALL_READ: as it is at home; what is dirty here stays here   \
      */

/* Far memory that a call to a memory server is about. Before the call what is
 * dirty in it goes home. A range that is written belongs to the kernel until
 * the call has ended there: who touches it here waits, and then sees what the
 * kernel wrote. (Whole pages wait, so bytes beside it are safe.) After an error
 * its content is what the kernel had written until then. */
typedef struct {
  void *at;
  uint64_t bytes;
  uint32_t access;
  uint32_t reserved;
} cira_call_range_t;

/* Rings the doorbell later: with a submission without this flag, when a cache
 * line is full, or at cira_call_flush and every wait and poll. */
#define CIRA_CALL_F_MORE 1u

typedef struct {
  const void *args; /* NULL: none */
  void *result;     /* NULL: not wanted */
  uint32_t args_bytes;
  uint32_t result_max;  /* room at result; a longer result is CIRA_E_RANGE */
  uint64_t deadline_ns; /* of the call, 0 or CIRA_FOREVER: none */
  uint64_t wait_ns; /* deadline of waiting for a place; CIRA_NO_WAIT is usual */
  uint32_t flags;
  uint32_t range_count;           /* at most CIRA_CALL_RANGE_MAX */
  const cira_call_range_t *range; /* memory servers only; copied */
} cira_call_request_t;

/* Submits a call; the arguments are copied before it returns.
 *   call  written from now on; not NULL.
 * Returns CIRA_OK when it is on its way; else nothing was submitted: CIRA_AGAIN
 *   when every place is taken and wait_ns is CIRA_NO_WAIT; CIRA_E_DEADLINE;
 *   CIRA_E_INVALID for NULL, an unknown function or flags; CIRA_E_RANGE for
 *   arguments above args_max; CIRA_E_BUSY for a call that is pending;
 *   CIRA_E_CLOSED; CIRA_E_DISCONNECTED; CIRA_E_CANCELLED in a task that was
 *   told to stop.
 * Threads: the one that uses the client. Cost: about 10 ns. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_submit(cira_call_client_t *client, uint32_t function,
                 const cira_call_request_t *request, cira_call_t *call);

/* Rings the doorbell for what was submitted with CIRA_CALL_F_MORE.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL; CIRA_E_CLOSED.
 * Threads: the one that uses the client. */
CIRA_API cira_status_t cira_call_flush(cira_call_client_t *client);

/* Takes in what has completed, without waiting.
 *   out_count  how many calls ended; may be NULL.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL; CIRA_E_CLOSED; what broke the link.
 * Threads: the one that uses the client. */
CIRA_API cira_status_t cira_call_poll(cira_call_client_t *client,
                                      uint32_t *out_count);

/* Waits until a call has ended. At the call's own deadline it ends with
 * CIRA_E_DEADLINE: its result is not written any more, and it does not run if
 * it has not begun.
 *   deadline_ns  of this wait; a call that is still pending then stays so.
 * Returns how the call ended, any number of times; CIRA_E_DEADLINE or
 *   CIRA_E_CANCELLED (a task that was told to stop) with call->status still
 *   CIRA_PENDING; CIRA_E_INVALID for NULL or a call of another client;
 *   CIRA_E_BUSY when another task waits for it.
 * Threads: the one that uses the client. */
CIRA_API CIRA_MUST_USE cira_status_t cira_call_wait(cira_call_client_t *client,
                                                    cira_call_t *call,
                                                    uint64_t deadline_ns);

/* Asks the callee not to run a call, or to stop it (cira_call_cancelled). It
 * ends as always: with CIRA_E_CANCELLED, or as it would have if it is too late.
 * Returns CIRA_OK; CIRA_E_CLOSED when it has ended; CIRA_E_INVALID for NULL or
 *   a call of another client.
 * Threads: the one that uses the client. Cost: a store. */
CIRA_API cira_status_t cira_call_cancel(cira_call_client_t *client,
                                        cira_call_t *call);

/* Submits a call and waits for it.
 *   deadline_ns      of the call and of waiting for a place.
 *   out_result_bytes may be NULL.
 * Returns as cira_call_submit and cira_call_wait; after any error `result` is
 *   as it was.
 * Threads: the one that uses the client. Cost: two round trips of a cache line.
 */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_run(cira_call_client_t *client, uint32_t function, const void *args,
              uint32_t args_bytes, void *result, uint32_t result_max,
              uint64_t deadline_ns, uint32_t *out_result_bytes);

/* Many calls of one function over arrays. */
typedef struct {
  const void *args; /* count times args_bytes; NULL if args_bytes is 0 */
  void *results;    /* count times result_bytes; NULL if that is 0 */
  uint64_t count;
  uint32_t args_bytes;
  uint32_t result_bytes; /* that every call must write */
  uint32_t batch;        /* calls per doorbell; 0: as many as fit */
  uint32_t depth;        /* doorbells in flight; 0: CIRA_CALL_BULK_PLACES */
  uint64_t deadline_ns;  /* of the whole; 0 or CIRA_FOREVER: none */
  const cira_call_range_t *range; /* of each batch; memory servers only */
  uint32_t range_count;
  uint32_t reserved;
} cira_call_many_t;

/* Runs them, in order, several batches in flight, and waits for all. It stops
 * at the first call that fails.
 *   out_count  how many succeeded, also on errors; their results are written
 *              and no others. May be NULL.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or an unknown function;
 *   CIRA_E_RANGE when one call does not fit into bulk_bytes, or wrote a result
 *   of another size; as cira_call_run.
 * Threads: the one that uses the client; while a task waits in it others may
 *   use the client. Cost: a few ns a call. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_call_many(cira_call_client_t *client, uint32_t function,
               const cira_call_many_t *many, uint64_t *out_count);

typedef struct {
  uint64_t submitted; /* calls, each of a bulk counted */
  uint64_t completed;
  uint64_t failed;    /* of them */
  uint64_t abandoned; /* ended here by a deadline, before the callee */
  uint64_t doorbells; /* publications */
  uint32_t in_flight; /* places taken */
  uint32_t pid;       /* of a process started with the client, else 0 */
} cira_call_stats_t;

/* Figures of a client; also of a closed one.
 * Returns zeros for NULL.
 * Threads: the one that uses the client. */
CIRA_API cira_call_stats_t cira_call_stats(const cira_call_client_t *client);

#ifdef __cplusplus
}
#endif
#endif
