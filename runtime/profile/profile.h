/* SPDX-License-Identifier: Apache-2.0
 *
 * profile: recording what the runtime waited for. Off, it costs one load and
 * branch at each place that records, all of which are slow paths anyway. On, a
 * record is a copy of 48 bytes into a page of the profile that is mapped
 * (file.h); each 340 records the thread takes a new block (open, fallocate,
 * mmap, close: some 10 us).
 *
 * A process that is started with CIRA_PROFILE in its environment joins that
 * file before main. A forked child notices (its page of `alive` is wiped by the
 * kernel) and goes on in blocks of its own. All of it works by system calls
 * without libc, so that the preload shim is not in the way.
 *
 * Threads: any. Signal-safe: everything here but create, attach and complete.
 * Reading order: file.h, this file, record.c, maps.c, start.c, sample.h,
 * read.c.
 */
#ifndef CIRA_PROFILE_PROFILE_H
#define CIRA_PROFILE_PROFILE_H

#include <signal.h>

#include "cira/profile.h"
#include "profile/file.h"

extern _Atomic bool cira__profile_active;

/* True when events are wanted. */
static inline bool cira__profile_on(void) {
  return CIRA_UNLIKELY(
      atomic_load_explicit(&cira__profile_active, memory_order_relaxed));
}

/* Records one event of this thread. Signals of the thread are blocked. */
CIRA_COLD void cira__profile_event(const cira_profile_event_t *e);
/* Records a stream that ended. */
CIRA_COLD void cira__profile_stream(const cira_profile_stream_t *s);
/* Adds to what the calls at c->ip of c->kind have cost on this thread. */
CIRA_COLD void cira__profile_calls(const cira_profile_calls_t *c);
/* Adds "key value" lines about this process; forked children repeat what was
 * said before the fork. */
CIRA_COLD void cira__profile_note(const char *fmt, ...) CIRA_PRINTF(1, 2);
/* The innermost return address outside of the library (or program) that holds
 * the runtime: who called it. In a program that holds it itself, the caller of
 * the calling function. */
uint64_t cira__profile_caller(void);
/* Where a signal interrupted the thread; 0 where that is not known. */
uint64_t cira__profile_interrupted(const void *ucontext);

/* Who called the code that was interrupted, when that is a library's function
 * without a frame (memcpy and its kind); 0 when that is not certain. The stack
 * is readable. */
uint64_t cira__profile_interrupted_caller(const void *ucontext);
/* Its stack pointer. */
uint64_t cira__profile_interrupted_stack(const void *ucontext);

/* ---- files ----------------------------------------------------------------
 */

/* Makes a new profile at `path` (what was there is gone) with what is said
 * about the run, and holds it for samples. Nothing is recorded of the calling
 * process until it attaches.
 * Returns CIRA_OK; CIRA_E_INVALID for a path that is too long; CIRA_E_SYSTEM.
 */
CIRA_MUST_USE cira_status_t cira_profile_create(const char *path,
                                                const char *command);
/* Says what is sampled; once, after create. */
void cira_profile_sampling_set(const char *what);
/* Records this process into the profile at `path`. Returns CIRA_OK;
 * CIRA_E_SYSTEM, CIRA_E_PROTOCOL when there is none. */
CIRA_MUST_USE cira_status_t cira_profile_attach(const char *path);
/* Nobody records any more: the file is whole. */
void cira_profile_complete(void);
/* Records a sample, in the process that created the file. */
void cira_profile_sample(const cira_profile_sample_t *sample);

/* ---- between the files of the module --------------------------------------
 */

/* Appends whole lines to the process's block of a kind of text; cut when they
 * are longer than a block. */
void cira__profile_text(uint16_t kind, const char *text, uint32_t bytes);
/* The module's map knows `ip`, or has been read again (maps.c). */
void cira__profile_maps_note(uint64_t ip);
void cira__profile_maps_reset(void);
/* True for addresses of the library that holds this code. */
bool cira__profile_is_own(uint64_t ip);
void cira__profile_own_find(void);

#endif
