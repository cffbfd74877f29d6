/* SPDX-License-Identifier: Apache-2.0
 *
 * space: the far address range of a process. A far pointer is an ordinary
 * pointer into [base, base + bytes); whoever touches a page that is not here
 * faults, and the pager fetches it (design D1, D2, D4).
 *
 * Invariant: each page is in exactly one place that counts: nowhere (reads as
 * zero), at home on the fabric, or mapped here (then home may be stale).
 * resident pages + pages reserved by native chunks <= local budget, always.
 *
 * Threads: any number; every entry is safe from several threads. Entries marked
 * signal-safe may run in handlers; the fault entry runs in the thread that
 * faulted, on its alternate stack, with all signals blocked.
 * Reading order: this file, space_internal.h (page words, chunks), pager.c
 * (miss, eviction), map_uffd.c, map_thread.c, map_sigsegv.c (ways to own the
 * page table), delta.c (what changed), fork.c.
 */
#ifndef CIRA_SPACE_H
#define CIRA_SPACE_H

#include <signal.h>
#include <stddef.h>

#include "base/base.h"
#include "fabric/fabric.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CIRA_SPACE_BASE UINT64_C(0x590000000000) /* its shadow is elsewhere */
#endif
#endif
#ifndef CIRA_SPACE_BASE
#define CIRA_SPACE_BASE UINT64_C(0x200000000000)
#endif
#define CIRA_SPACE_BYTES_MAX (UINT64_C(16) << 40) /* 16 TiB */
#define CIRA_SPACE_LOCAL_MIN (UINT64_C(64) << 12) /* 64 pages, 256 KiB */

typedef struct cira_space cira_space_t;

/* How the page table is owned; AUTO probes in this order. */
typedef enum {
  CIRA_SPACE_AUTO = 0,
  CIRA_SPACE_SIGBUS = 1,  /* userfaultfd, fault handled in its own thread */
  CIRA_SPACE_THREAD = 2,  /* userfaultfd, a handler thread */
  CIRA_SPACE_SIGSEGV = 3, /* mprotect and SIGSEGV, two views of a memfd */
} cira_space_mode_t;

typedef struct {
  uint32_t size; /* sizeof(cira_space_options_t) */
  cira_space_mode_t mode;
  uint64_t range_bytes;     /* size of the far range; 0 = 1 TiB */
  uint64_t local_bytes;     /* local cache; 0 = half of the physical memory */
  uint32_t granule_bytes;   /* unit of dirty deltas, 64..4096; 0 = 64 */
  uint32_t lanes;           /* connections; 0 = 1 direct, else cpus / 2, 1..4 */
  uint64_t deadline_ns;     /* of any far access; 0 = 10 s */
  uint32_t readahead_pages; /* largest sequential fetch; 0 = 64 at first, as
                               the controller likes then */
  bool readahead_fixed;     /* no controller */
  const char *control_trace; /* file for what the controller saw; NULL: none */
  bool no_huge_pages;
  const char *url;        /* NULL = "host:" */
  const char *token_file; /* NULL = none */
} cira_space_options_t;

/* One counter block; lives in shared memory when CIRA_STATS asks for it, so
 * that it survives the process. All counts are since creation. */
typedef struct {
  uint64_t faults;          /* demand faults handled */
  uint64_t faults_zero;     /* of these: first touches of fresh memory */
  uint64_t pages_in;        /* pages read from home, demand and ahead */
  uint64_t pages_ahead;     /* of these: read ahead by the detector */
  uint64_t pages_ahead_hit; /* of these: found in use at eviction or fault */
  uint64_t pages_out;       /* pages written back (at least one granule) */
  uint64_t pages_dropped;   /* clean pages evicted without a write */
  uint64_t bytes_in;
  uint64_t bytes_out;      /* dirty granules sent home */
  uint64_t bytes_dirty;    /* bytes of the pages that were dirty */
  uint64_t wait_ns;        /* time threads waited in faults */
  uint64_t fabric_wait_ns; /* of this: for the fabric */
  uint64_t evict_ns;       /* time spent evicting */
  uint64_t evictions;      /* eviction batches */
  uint64_t second_chances; /* pages spared by the clock */
  uint64_t refaults;       /* pages fetched again soon after eviction */
  uint64_t pins;           /* pages pinned for system calls */
  uint64_t resident_pages; /* now */
  uint64_t resident_pages_peak;
  uint64_t far_bytes; /* committed now */
  uint64_t far_bytes_peak;
  uint64_t near_bytes; /* heap placed locally now (CIRA_NEAR_MAX) */
  uint64_t near_bytes_peak;
  uint64_t local_bytes;  /* the budget */
  uint64_t native_pages; /* pages in chunks the kernel fills itself */
  uint64_t forks;
  uint64_t discards;         /* pages given back to the server */
  uint64_t pages_ahead_late; /* read ahead, and waited for all the same */
  uint64_t window_changes;   /* by the controller of read-ahead */
  uint64_t window_pages;     /* largest sequential fetch now */
  uint64_t depth_changes;    /* of streams, by their controllers */
  uint64_t depth_batches;    /* that a stream settled on last */
  uint64_t pages_passed;     /* evicted since a stream had passed them */
} cira_space_stats_t;

void cira_space_options_default(cira_space_options_t *opt);

/* Reserves the far range and connects to its home.
 * Returns CIRA_OK; CIRA_E_INVALID (options), CIRA_E_BUSY when the range is
 *   taken in this process, CIRA_E_UNSUPPORTED when no mode works here, or what
 *   the fabric said.
 * Threads: any; not signal-safe. One space per process at the default base. */
CIRA_MUST_USE cira_status_t cira_space_create(const cira_space_options_t *opt,
                                              cira_space_t **out);
void cira_space_destroy(cira_space_t *s);

/* Takes addresses from the range; nothing is committed and a touch is an error
 * of the program until cira_space_commit.
 *   bytes   multiple of 4 KiB; align power of two.
 * Returns CIRA_OK; CIRA_E_NOMEM when the range is used up.
 * Threads: any; not signal-safe. */
CIRA_MUST_USE cira_status_t cira_space_reserve(cira_space_t *s, uint64_t bytes,
                                               uint64_t align, void **out);
/* Makes [p, p+bytes) usable; it reads as zero.
 * Returns CIRA_OK; CIRA_E_QUOTA when the server has no room. */
CIRA_MUST_USE cira_status_t cira_space_commit(cira_space_t *s, void *p,
                                              uint64_t bytes);
/* Both in one. */
CIRA_MUST_USE cira_status_t cira_space_alloc(cira_space_t *s, uint64_t bytes,
                                             uint64_t align, void **out);
/* Gives the bytes of [p, p+bytes) back (content is lost), and returns them to
 * the quota; commit takes them again. Threads: any; not signal-safe. */
void cira_space_decommit(cira_space_t *s, void *p, uint64_t bytes);
/* Content is lost and reads as zero; stays committed. */
void cira_space_discard(cira_space_t *s, void *p, uint64_t bytes);

/* The one space of the process (the preload shim's); NULL before create. */
extern cira_space_t *cira__space;
extern uint64_t cira__space_lo, cira__space_hi; /* its bounds, 0 before */

/* Makes the space of another copy of this code in this process (the preload
 * library's) the one that this copy works on, too; NULL ends that. The other
 * copy stays its owner: it handles faults, forks and the end. Both must have
 * the same cira_space_layout. One thread. */
void cira_space_adopt(cira_space_t *s);
/* A number that differs when the structs of a space do. */
uint64_t cira_space_layout(void);

/* True when p points into the far range. One compare; signal-safe. */
static inline bool cira_space_contains(const void *p) {
  return (uint64_t)(uintptr_t)p - cira__space_lo <
         cira__space_hi - cira__space_lo;
}

#define CIRA_PIN_READ 1u
#define CIRA_PIN_WRITE 2u
/* Makes the pages of [p, p+bytes) present and keeps them so until unpinned, so
 * that the kernel can use them as a system-call buffer. Pages outside of the
 * range are ignored. Pins nest.
 * Returns the number of bytes from p that are pinned: all of them, or less when
 *   the local cache is too small to hold them all at once (at least one page;
 *   at most a quarter of the cache is pinned per call).
 * Threads: any; signal-safe. */
uint64_t cira_space_pin(cira_space_t *s, const void *p, uint64_t bytes,
                        uint32_t flags);
/* Undoes one pin of exactly the bytes that pin returned. */
void cira_space_unpin(cira_space_t *s, const void *p, uint64_t bytes);

/* Hints; never fail, never block for long. Threads: any. */
void cira_space_prefetch(cira_space_t *s, const void *p, uint64_t bytes);
void cira_space_evict_hint(cira_space_t *s, const void *p, uint64_t bytes);
/* [p, p+bytes) has been passed by a stream: the whole pages of it go first, but
 * not before room is needed. No system call. */
void cira_space_passed(cira_space_t *s, const void *p, uint64_t bytes);

/* ---- work at home -------------------------------------------------------- */

#define CIRA_SPACE_LEND_MAX 16u

/* Memory that somebody works on where it is at home. */
typedef struct {
  void *at;
  uint64_t bytes; /* > 0 */
  bool write;     /* he may change it */
} cira_space_lend_t;

/* Brings what is dirty home and drops the copies here; pages of ranges with
 * `write` are not to be had until cira_space_return: a touch waits.
 * Returns CIRA_OK: it must be returned; CIRA_E_RANGE for what is not allocated
 *   far memory, or more than CIRA_SPACE_LEND_MAX; CIRA_E_BUSY while a system
 *   call uses a page.
 * Threads: any that is counted (cira_space_thread_add); not signal-safe. */
CIRA_MUST_USE cira_status_t cira_space_lend(cira_space_t *s,
                                            const cira_space_lend_t *range,
                                            uint32_t count);
/* The same ranges: what is at home now is their content. */
void cira_space_return(cira_space_t *s, const cira_space_lend_t *range,
                       uint32_t count);

/* How somebody else reaches the home. */
typedef struct {
  cira_ticket_t ticket;
  uint64_t base, bytes; /* address of the region's first byte; its size */
  uint32_t serial;      /* another one: another region */
} cira_space_home_t;

/* Returns CIRA_OK; CIRA_E_UNSUPPORTED when no memory server keeps it, or what
 *   the fabric says (a stripe has no ticket). Threads: any; not signal-safe. */
CIRA_MUST_USE cira_status_t cira_space_home(cira_space_t *s,
                                            cira_space_home_t *out);
uint32_t cira_space_home_serial(const cira_space_t *s);
const char *cira_space_url(const cira_space_t *s);
const char *cira_space_token_file(const cira_space_t *s); /* NULL: none */

/* The window of the controller of read-ahead, in pages; setting it starts from
 * there and keeps its bounds. Threads: any; not signal-safe. */
uint32_t cira_space_window(const cira_space_t *s);
void cira_space_window_set(cira_space_t *s, uint32_t pages);

/* For the statistics: a stream keeps another number of batches ahead. */
void cira_space_depth_changed(cira_space_t *s, uint32_t batches);

/* Resolves the fault of a signal handler.
 * Returns true when the address is ours and the access can be retried; false
 *   when the fault belongs to the program (a wild pointer, its own SIGBUS).
 * Runs with all signals blocked. Signal-safe. */
bool cira_space_fault(cira_space_t *s, int signo, const siginfo_t *info,
                      void *ucontext);
/* The signal that the mode in use takes: SIGBUS, SIGSEGV, or 0 (thread). */
int cira_space_signal(const cira_space_t *s);
const char *cira_space_mode_name(const cira_space_t *s);

/* Counts the threads of the program: with one thread pages can be taken without
 * guarding against concurrent writes. Called before the new thread can run, and
 * when it is gone. Threads: any. */
void cira_space_thread_add(cira_space_t *s);
void cira_space_thread_remove(cira_space_t *s);

/* Around fork(2). prepare quiesces the pager and freezes the home, so that
 * parent and child each keep a right view; afterwards exactly one of parent
 * and child runs in each process. child reconnects to the server.
 * prepare returns CIRA_OK or why the process cannot be forked now (then fork
 * must not happen). Threads: the forking thread; not signal-safe. */
CIRA_MUST_USE cira_status_t cira_space_fork_prepare(cira_space_t *s);
void cira_space_fork_parent(cira_space_t *s, bool forked);
CIRA_MUST_USE cira_status_t cira_space_fork_child(cira_space_t *s);
/* In the child, as soon as malloc works again and before far memory is
 * touched: starts the handler thread where the mode has one. None of the other
 * fork entries calls malloc, so they can run while an allocator's locks are
 * held for the fork. */
CIRA_MUST_USE cira_status_t cira_space_fork_finish(cira_space_t *s);

/* True while the space starts a thread of its own, which the preload shim must
 * not treat as one of the program's. */
extern _Thread_local bool cira__space_own_thread;

/* Current counters. Threads: any; signal-safe; not a consistent snapshot. */
const cira_space_stats_t *cira_space_stats(const cira_space_t *s);
/* Moves the counters into caller-owned (shared) memory, zeroed by the caller.
 */
void cira_space_stats_move(cira_space_t *s, cira_space_stats_t *where);

/* One line on what the machine offers for each mode, for cira-info:
 * fills `out` with "ok", or the reason why not. Threads: any. */
cira_status_t cira_space_probe(cira_space_mode_t mode, char *out,
                               size_t out_bytes);

#endif
