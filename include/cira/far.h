/* SPDX-License-Identifier: Apache-2.0
 *
 * Far memory for programs that ask for it: start it, allocate in it, use what
 * you got as ordinary memory. A far pointer is an ordinary pointer; a touch of
 * a page that is not here fetches it, and changed bytes go home when their page
 * is evicted. malloc stays local: far is what cira_far_alloc gives. (Programs
 * that were not written for this get all of their heap far by cira-run.)
 * Started by cira-run, a process has its far memory already: cira_far_start
 * then uses that, with the settings of the run.
 *
 * What to mind when far memory was started by this header (not by cira-run):
 *   - The kernel cannot fetch a page: a system call that is given far memory
 *     may fail with EFAULT. Pin the bytes first (cira_far_pin).
 *   - Faults are signals (SIGBUS, or SIGSEGV where the kernel is old). Do not
 *     block them; install handlers of your own before cira_far_start: they get
 *     what is not ours.
 *   - A fork copies nothing and both processes keep a right view. Handlers of
 *     pthread_atfork must not touch far memory.
 * When the place is lost (server killed, cut off for longer than the deadline)
 * the bytes are gone: the process ends with exit status 74 and one line.
 */
#ifndef CIRA_FAR_H
#define CIRA_FAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A zero or NULL is what the environment says (docs/environment.md), else the
 * default. */
typedef struct {
  uint32_t size;           /* of this struct */
  uint32_t helper_threads; /* CIRA_HELPERS; 1 or 2 by default; at most 64 */
  const char *far_url;     /* CIRA_FAR; "host:" by default */
  const char *token_file;  /* CIRA_TOKEN_FILE; none by default */
  uint64_t local_bytes;    /* CIRA_LOCAL; half of the physical memory; local
                              cache, 256 KiB or more */
  uint64_t far_bytes;      /* CIRA_FAR_SIZE; 1 TiB; addresses, not memory */
  uint64_t deadline_ns;    /* CIRA_DEADLINE; 10 s; of any far access */
} cira_far_options_t;

/* Returns options that leave everything to the environment and the defaults.
 * Threads: any. */
CIRA_API cira_far_options_t cira_far_options_default(void);

/* Gives this process far memory; under cira-run, uses the run's.
 *   opt  NULL: the defaults; strings need not outlive the call. Under cira-run
 *        only helper_threads counts.
 * Returns CIRA_OK; CIRA_E_BUSY when it has been started, or its addresses
 * cannot be had (something is mapped there, ulimit -v); CIRA_E_INVALID for an
 *   options struct of a foreign size, a value or a variable that makes no
 *   sense (the detail names it); CIRA_E_UNSUPPORTED when this kernel cannot
 *   page, or under a cira-run of another build; CIRA_E_UNREACHABLE,
 *   CIRA_E_AUTH, CIRA_E_DEADLINE, CIRA_E_QUOTA as the place says;
 *   CIRA_E_NOMEM, CIRA_E_SYSTEM.
 * Threads: any; best early, before others run. Cost: milliseconds. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_far_start(const cira_far_options_t *opt);

/* Ends far memory: all far pointers are dead. It may be started again. Under
 * cira-run only this library's use of it ends. Nothing of it may be in use:
 * channels or graphs in far memory, offloaded work.
 * Returns CIRA_OK; CIRA_E_CLOSED when it was not started; CIRA_E_BUSY while
 *   requests of cira/async.h are on their way (then nothing has happened).
 * Threads: caller-serialised. */
CIRA_API cira_status_t cira_far_stop(void);

/* Returns whether far memory is there (started, and not stopped).
 * Threads: any. */
CIRA_API bool cira_far_started(void);

/* Zeroed far memory.
 *   bytes  0 counts as 1.
 *   align  a power of two up to 1 GiB; 0: 16. Blocks that are to be migrated,
 *          pinned or read ahead as a whole are best aligned to 4096.
 * Returns the block, for cira_far_free (under cira-run also free); NULL with a
 *   detail when far memory was not started, there is no room, or align makes
 *   no sense.
 * Threads: any. Cost: as malloc; no far page is touched. */
CIRA_API void *cira_far_alloc(uint64_t bytes, uint64_t align);

/* Gives a block back; its home memory is free for others. NULL is allowed.
 * Returns CIRA_OK; CIRA_E_INVALID for a pointer that is not far; CIRA_E_CLOSED
 *   when far memory was stopped. A block that is freed twice in a row ends the
 *   process, as with malloc.
 * Threads: any. */
CIRA_API cira_status_t cira_far_free(void *p);

/* Returns how many bytes of a block may be used, at least those asked for; 0
 *   for NULL and for what is not far.
 * Threads: any. */
CIRA_API uint64_t cira_far_usable_size(const void *p);

/* Returns whether an address lies in the far range.
 * Threads: any; signal-safe. Cost: a compare. */
CIRA_API bool cira_far_contains(const void *p);

/* Makes bytes present and keeps them so, for system calls. Pins nest. What is
 * not far is ignored.
 *   write  the bytes will be written.
 * Returns how many bytes from p are pinned: all, or fewer when the local cache
 *   has no room for all of them at once (at least a page).
 * Threads: any; signal-safe. */
CIRA_API uint64_t cira_far_pin(const void *p, uint64_t bytes, bool write);

/* Undoes one pin of the bytes that cira_far_pin returned.
 * Threads: any; signal-safe. */
CIRA_API void cira_far_unpin(const void *p, uint64_t bytes);

/* Gives the calling thread a stack of its own for faults (128 KiB, until the
 * thread ends), unless it has an alternate signal stack. For threads that touch
 * far memory on small stacks: those that run coroutines. The thread that called
 * cira_far_start has one.
 * Returns CIRA_OK; CIRA_E_SYSTEM.
 * Threads: any, for itself. */
CIRA_API CIRA_MUST_USE cira_status_t cira_far_thread_init(void);

/* Counters since the start, and what is so now. */
typedef struct {
  uint32_t size;                /* of this struct, set by the caller */
  uint32_t shared_run;          /* 1: the far memory of a cira-run */
  uint64_t faults;              /* touches that had to wait for a page */
  uint64_t faults_zero;         /* of these: first touches of fresh memory */
  uint64_t pages_in;            /* pages read from home, on demand and ahead */
  uint64_t pages_ahead;         /* of these: read ahead */
  uint64_t pages_ahead_hit;     /* of these: used */
  uint64_t pages_out;           /* pages written back */
  uint64_t pages_dropped;       /* clean pages evicted */
  uint64_t bytes_in, bytes_out; /* from home, and to it */
  uint64_t wait_ns;             /* time threads waited in faults */
  uint64_t fabric_wait_ns;      /* of this: for the place */
  uint64_t evict_ns;            /* time spent evicting */
  uint64_t refaults;            /* pages fetched again soon after eviction */
  uint64_t resident_pages;      /* now, of 4 KiB */
  uint64_t resident_pages_peak;
  uint64_t native_pages;   /* now, in chunks that the kernel fills itself */
  uint64_t local_bytes;    /* the size of the local cache */
  uint64_t far_bytes;      /* allocated now */
  uint64_t far_bytes_peak; /* most ever */
  uint64_t forks;
  uint64_t pages_ahead_late; /* read ahead, and waited for all the same */
  uint64_t window_changes;   /* by the controller of read-ahead */
  uint64_t window_pages;     /* now: pages of the largest sequential fetch */
  uint64_t depth_changes;    /* of streams, by their controllers */
  uint64_t depth_batches;    /* that a stream settled on last */
  uint64_t pages_passed;     /* evicted since a stream had passed them */
} cira_far_stats_t;

/* Reads the counters while everything goes on.
 *   out  out->size says how much of it is filled in.
 * Returns CIRA_OK; CIRA_E_CLOSED when far memory is not started;
 *   CIRA_E_INVALID for NULL or a size below 8.
 * Threads: any; signal-safe. Not a consistent snapshot. Cost: a copy. */
CIRA_API CIRA_MUST_USE cira_status_t cira_far_stats(cira_far_stats_t *out);

/* How missing pages come: "sigbus", "thread" or "sigsegv"; see cira-info.
 * Returns a static string; "" when far memory is not started.
 * Threads: any. */
CIRA_API const char *cira_far_mode(void);

#ifdef __cplusplus
}
#endif
#endif
