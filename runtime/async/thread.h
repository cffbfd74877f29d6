/* SPDX-License-Identifier: Apache-2.0
 *
 * thread: what the runtime under compiled code keeps per thread, and what ends
 * a process that misuses it. A thread gets its record at its first call and
 * gives it back when it ends; records are never unmapped, so a ticket of a
 * thread that is gone can still be looked at.
 */
#ifndef CIRA_ASYNC_THREAD_H
#define CIRA_ASYNC_THREAD_H

#include "base/base.h"

#define CIRA_THREADS_MAX 4096u
#define CIRA_EXIT_MISUSE 125 /* the program broke a rule of the runtime */

struct cira__request;

/* How often the requests of a thread met a page that was not here. */
#define CIRA_WARM_PAGES 64u
typedef struct {
  uint64_t page; /* address >> 12 */
  uint32_t count;
} cira_warm_t;

typedef struct cira_thread {
  uint32_t index;
  bool on_device;        /* a helper: runs offloaded regions */
  _Atomic uint32_t jobs; /* regions begun by this thread and not done */
  uint32_t next_slot;    /* where to look for a free request */
  uint64_t generation;   /* of the last ticket */
  struct cira__request *slots;
  cira_warm_t warm[CIRA_WARM_PAGES]; /* by the low bits of the page */
} cira_thread_t;

extern _Thread_local cira_thread_t *cira__this_thread;
CIRA_COLD cira_thread_t *cira__thread_new(void);

/* This thread's record. Ends the process when there are too many threads. */
static inline cira_thread_t *cira_thread(void) {
  cira_thread_t *t = cira__this_thread;
  return CIRA_LIKELY(t != NULL) ? t : cira__thread_new();
}
/* The record with this index, or NULL when there never was one. */
cira_thread_t *cira_thread_at(uint32_t index);
/* How many threads have called the runtime and still live. */
uint32_t cira_thread_count(void);

/* Threads of the process that had never called the runtime when `known` threads
 * had (a thread that calls meanwhile must not be missed), without those that
 * lived when cira_thread_baseline was called: who knows what they will do. A
 * system call. */
uint32_t cira_thread_strangers(uint32_t known);
/* Threads that live now and have not called will not run compiled code. */
void cira_thread_baseline(void);

/* Called by each thread that ends, after its record is gone; at most four. */
void cira_thread_on_exit(void (*hook)(void));

/* Somebody waits for another thread, or a region waits for a helper: work
 * that only helps (running ahead of a stream) steps back while it is not 0. */
extern _Atomic uint32_t cira__pressure;

/* Helpers that ran ahead far enough sleep on the turn until a stream moves or
 * ends, or the pressure rises. A sleeper counts itself, then looks again, then
 * sleeps; whoever changes one of these does so first and then looks for
 * sleepers (both sequentially consistent), so no change is slept through. */
extern _Atomic uint32_t cira__ahead_turn, cira__ahead_sleepers;
CIRA_COLD void cira__ahead_wake_all(void);
static inline void cira__ahead_wake(void) {
  if (CIRA_UNLIKELY(atomic_load(&cira__ahead_sleepers) != 0)) {
    cira__ahead_wake_all();
  }
}
static inline void cira__pressure_raise(void) {
  atomic_fetch_add(&cira__pressure, 1);
  cira__ahead_wake();
}

/* CIRA_CHECK=1, or cira-run --check: each load is a ticket, so that a second
 * await is always noticed. */
extern bool cira__checked;

/* One line on standard error that names what, where and the remedy; then the
 * process ends with CIRA_EXIT_MISUSE. */
CIRA_COLD _Noreturn void cira__misuse(const char *fmt, ...) CIRA_PRINTF(1, 2);

#endif
