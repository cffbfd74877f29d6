/* SPDX-License-Identifier: Apache-2.0
 *
 * Stackful coroutines, in two layers.
 *
 * Coroutines: a function with a stack of its own that gives way in the middle
 * (yield) and is gone on with (resume), by hand, on one thread.
 * Tasks: coroutines that a scheduler resumes. A task that waits (for another
 * task, a channel, a waitable, a point in time, a file descriptor) lets others
 * run; every blocking call of cira/wait.h and cira/channel.h made inside a task
 * does so. A scheduler runs on the thread that calls cira_sched_run, and with
 * more threads the idle ones steal ready tasks from the busy ones.
 *
 * Stacks come from a pool and are reused. Each ends in a guard: a guard page
 * that costs no mapping where the kernel has them (Linux 6.13), else a real
 * guard page for the first few thousand stacks and, beyond what
 * vm.max_map_count allows, a canary that is checked whenever the coroutine
 * stops. Only pages that were touched take memory: one, for small coroutines.
 *
 * Rules inside coroutines: do not keep the address of a thread-local variable
 * (or errno) across a switch in a scheduler with several threads; put the
 * rounding mode back before a switch; do not longjmp out of the coroutine.
 */
#ifndef CIRA_CORO_H
#define CIRA_CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cira/status.h"
#include "cira/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pool of stacks ----------------------------------------------------- */

typedef struct cira_coro_pool cira_coro_pool_t;

typedef enum {
  CIRA_CORO_GUARD_BEST = 0, /* the first of these that works */
  CIRA_CORO_GUARD_PAGE = 1, /* guard pages without a mapping each */
  CIRA_CORO_GUARD_MAP = 2,  /* a mapping each, a few thousand, then canaries */
  CIRA_CORO_GUARD_CANARY = 3, /* a guard page per slab, canaries within */
} cira_coro_guard_t;

#define CIRA_CORO_STACK_MIN (8u << 10)   /* 8 KiB */
#define CIRA_CORO_STACK_MAX (256u << 20) /* 256 MiB */

typedef struct {
  uint32_t size;        /* of this struct */
  uint32_t guard;       /* cira_coro_guard_t */
  uint64_t stack_bytes; /* with guard; 0: 64 KiB (256 KiB with a sanitizer) */
  uint64_t count_max;   /* stacks; 0: as many as there is memory for */
} cira_coro_options_t;

/* Returns options with every default filled in.
 * Threads: any. */
CIRA_API cira_coro_options_t cira_coro_options_default(void);

/* Makes an empty pool; memory is mapped in slabs when it is needed.
 *   opt  NULL: the defaults. stack_bytes is rounded up to a power of two.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, an unknown guard or an options
 *   struct of a foreign size; CIRA_E_RANGE for a stack below
 * CIRA_CORO_STACK_MIN or above CIRA_CORO_STACK_MAX; CIRA_E_UNSUPPORTED for
 * CIRA_CORO_GUARD_PAGE on a kernel without; CIRA_E_NOMEM. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_coro_pool_create(const cira_coro_options_t *opt, cira_coro_pool_t **out);

/* Unmaps all stacks, also those of coroutines that have not ended (they never
 * go on; a warning says how many). NULL is allowed.
 * Threads: caller-serialised. */
CIRA_API void cira_coro_pool_destroy(cira_coro_pool_t *pool);

/* ---- coroutines by hand ------------------------------------------------- */

typedef struct cira_coro cira_coro_t;
typedef void (*cira_coro_fn_t)(void *argument);

/* Makes a coroutine that will call fn(argument) when it is first resumed.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL; CIRA_E_QUOTA above count_max;
 *   CIRA_E_NOMEM when no stack can be mapped.
 * Threads: one at a time per pool. Cost: below 40 ns, when the pool has a free
 * stack, together with destroy. */
CIRA_API CIRA_MUST_USE cira_status_t cira_coro_create(cira_coro_pool_t *pool,
                                                      cira_coro_fn_t fn,
                                                      void *argument,
                                                      cira_coro_t **out);

/* Gives its stack back; also of one that has not ended (its stack is dropped as
 * it is). NULL is allowed.
 * Returns CIRA_OK; CIRA_E_BUSY for one that is running or has resumed another
 *   that runs; CIRA_E_INVALID for what is no coroutine.
 * Threads: as create. */
CIRA_API cira_status_t cira_coro_destroy(cira_coro_t *coro);

/* Goes on with a coroutine until it yields or ends.
 * Returns CIRA_PENDING when it yielded, CIRA_OK when it ended; CIRA_E_CLOSED
 *   when it had ended before; CIRA_E_BUSY when it is running; CIRA_E_INVALID
 * for NULL, for what is no coroutine and for tasks. Threads: any, one at a
 * time. Cost: a few ns with the yield. */
CIRA_API CIRA_MUST_USE cira_status_t cira_coro_resume(cira_coro_t *coro);

/* Gives way: to the resumer of the running coroutine; in a task to other tasks.
 * Outside of coroutines nothing happens.
 * Threads: any. Cost: see cira_coro_resume. */
CIRA_API void cira_coro_yield(void);

/* The running coroutine (of a task: its coroutine).
 * Returns NULL outside of coroutines.
 * Threads: any. */
CIRA_API cira_coro_t *cira_coro_self(void);

/* ---- tasks -------------------------------------------------------------- */

typedef struct cira_sched cira_sched_t;

/* A handle of a task; stale handles are noticed while the scheduler lives. */
typedef struct {
  cira_coro_t *coro;
  uint64_t id;
} cira_task_t;

typedef int64_t (*cira_task_fn_t)(void *argument);

/* How descriptors are waited for. */
typedef enum {
  CIRA_SCHED_BEST = 0,     /* io_uring where a probe finds it working */
  CIRA_SCHED_IO_URING = 1, /* waits go to the kernel together */
  CIRA_SCHED_EPOLL = 2,    /* two system calls a wait */
} cira_sched_poller_t;

typedef struct {
  uint32_t size;         /* of this struct */
  uint32_t thread_count; /* 0: 1, the caller of run; more: they steal */
  uint32_t keep;         /* run returns only after cira_sched_stop */
  uint32_t spin_ns;      /* how long an idle thread looks before it sleeps */
  uint32_t poller;       /* cira_sched_poller_t */
  uint32_t reserved;
  cira_coro_options_t stacks;
} cira_sched_options_t;

/* Returns options with every default filled in.
 * Threads: any. */
CIRA_API cira_sched_options_t cira_sched_options_default(void);

/* Makes a scheduler without tasks.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, an options struct of a foreign size
 *   or an unknown poller; CIRA_E_RANGE above 256 threads; CIRA_E_SYSTEM when
 *   the kernel gives no epoll or event descriptor; CIRA_E_UNSUPPORTED when
 *   io_uring was asked for and cannot be had (the detail says why);
 *   CIRA_E_NOMEM; as cira_coro_pool_create.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_sched_create(const cira_sched_options_t *opt, cira_sched_t **out);

/* Returns how its tasks wait for descriptors: "io_uring" or "epoll" (if any of
 *   its threads does); "" for NULL.
 * Threads: any. */
CIRA_API const char *cira_sched_poller(const cira_sched_t *sched);

/* Frees it, with all tasks that have not ended. Not while it runs: that is
 * CIRA_E_BUSY and frees nothing. NULL is allowed.
 * Returns CIRA_OK; CIRA_E_BUSY.
 * Threads: caller-serialised. */
CIRA_API cira_status_t cira_sched_destroy(cira_sched_t *sched);

#define CIRA_TASK_F_DETACHED 1u /* nobody joins it; it frees itself */

/* Makes a task ready to run fn(argument).
 *   deadline_ns  0 or CIRA_FOREVER: none; else its waits end at that time.
 *   out          may be NULL for detached tasks.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or unknown flags; CIRA_E_QUOTA,
 *   CIRA_E_NOMEM as cira_coro_create.
 * Threads: any; from a task of the scheduler without a lock. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_sched_spawn(cira_sched_t *sched, cira_task_fn_t fn, void *argument,
                 uint32_t flags, uint64_t deadline_ns, cira_task_t *out);

/* Runs tasks on this thread (and the scheduler's others) until none is left, or
 * with `keep` until cira_sched_stop.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL; CIRA_E_BUSY when it runs already or
 *   inside a coroutine; CIRA_E_SYSTEM when a thread cannot be started.
 * Threads: one at a time. */
CIRA_API CIRA_MUST_USE cira_status_t cira_sched_run(cira_sched_t *sched);

/* Lets cira_sched_run return when the tasks that run now stop; the rest stays
 * where it is and goes on in a later run.
 * Threads: any. */
CIRA_API void cira_sched_stop(cira_sched_t *sched);

/* Waits until a task has ended, and frees it.
 *   out_result  what its function returned; may be NULL.
 * Returns CIRA_OK; CIRA_E_DEADLINE or CIRA_E_CANCELLED (the caller was) and the
 *   task stays; CIRA_E_CLOSED when it was joined before or is detached;
 *   CIRA_E_BUSY when somebody else is joining it or it is the caller;
 *   CIRA_E_INVALID for NULL.
 * Threads: any, also outside of tasks. */
CIRA_API CIRA_MUST_USE cira_status_t cira_task_join(cira_task_t task,
                                                    uint64_t deadline_ns,
                                                    int64_t *out_result);

/* Tells a task to stop: its waits, now and later, end with CIRA_E_CANCELLED. It
 * ends when its function returns.
 * Returns CIRA_OK; CIRA_E_CLOSED for a stale handle; CIRA_E_INVALID for NULL.
 * Threads: any. */
CIRA_API cira_status_t cira_task_cancel(cira_task_t task);

/* Returns whether the running task was told to stop; false outside of tasks.
 * Threads: any. */
CIRA_API bool cira_task_cancelled(void);

/* The running task.
 * Returns a handle with coro NULL outside of tasks.
 * Threads: any. */
CIRA_API cira_task_t cira_task_self(void);

/* Waits until a point in time; outside of tasks the thread sleeps.
 * Returns CIRA_OK; CIRA_E_CANCELLED; CIRA_E_DEADLINE when the task's own
 *   deadline is earlier.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_coro_sleep_until(uint64_t point_ns);

/* Waits until a file descriptor is ready, through io_uring or epoll (outside of
 * tasks: poll). One waiter per descriptor and thread at a time.
 *   events  POLLIN, POLLOUT, POLLPRI, POLLRDHUP; also 0.
 *   out     the events that are there, with POLLERR and POLLHUP; may be NULL.
 * Returns CIRA_OK; CIRA_E_DEADLINE; CIRA_E_CANCELLED; CIRA_E_BUSY when another
 *   task waits for it (epoll only: io_uring lets several wait); CIRA_E_INVALID
 * for a bad descriptor or event; CIRA_E_UNSUPPORTED for what cannot be polled
 * (regular files, directories); CIRA_E_SYSTEM. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_coro_wait_fd(int fd, uint32_t events,
                                                       uint64_t deadline_ns,
                                                       uint32_t *out);

typedef struct {
  uint64_t live;    /* tasks that have not ended */
  uint64_t resumed; /* by all threads, so far */
  uint64_t stolen;  /* tasks taken by one thread from another */
} cira_sched_stats_t;

/* A snapshot; exact when it does not run.
 * Returns zeros for NULL.
 * Threads: any. */
CIRA_API cira_sched_stats_t cira_sched_stats(const cira_sched_t *sched);

#ifdef __cplusplus
}
#endif
#endif
