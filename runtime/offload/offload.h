/* SPDX-License-Identifier: Apache-2.0
 *
 * offload: helper threads that run regions beside the program (the memory-side
 * core of a machine that has none), tokens between threads, the barrier.
 *
 * Jobs wait in one queue for any helper and one per helper; a job is a function
 * and a copy of its arguments. Invariant: every thread that waits is counted,
 * so a wait that nobody can end is noticed: all threads that ever called the
 * runtime wait or idle, and no job can run. Then the process ends with a
 * message rather than hang.
 * Threads: any. None of it is signal-safe. A forked child starts its own
 * helpers when it needs them; regions of the parent do not run there.
 */
#ifndef CIRA_OFFLOAD_ENGINE_H
#define CIRA_OFFLOAD_ENGINE_H

#include "async/thread.h"

#define CIRA_HELPERS_MAX 64u

/* How many helpers; 0 = CIRA_HELPERS or min(2, cpus - 1), at least 1. Before
 * the first region begins. Returns CIRA_OK, or CIRA_E_INVALID. */
CIRA_MUST_USE cira_status_t cira_offload_configure(uint32_t helpers);
/* Starts the helpers if they do not run. Returns CIRA_OK; CIRA_E_SYSTEM when
 * there can be none. What begins regions does it by itself, and ends the
 * process when it cannot. */
CIRA_MUST_USE cira_status_t cira_offload_start(void);
/* Lets running regions end and joins the helpers. */
void cira_offload_stop(void);

/* Begins function(copy of the arguments); the helper is core modulo helpers,
 * -1: any. */
void cira_offload_begin(int32_t core, void (*function)(void *),
                        const void *arguments, uint64_t bytes);
/* Runs function(arguments) there and waits for it. */
void cira_offload_call(int32_t core, void (*function)(void *), void *arguments);
/* Waits until all regions that this thread began are done. */
void cira_offload_barrier(void);

/* A token is signalled once; waits return at once from then on. Its place in
 * the table is used again afterwards, with another generation. */
int64_t cira_token_create(void);
void cira_token_signal(int64_t token);
void cira_token_wait(int64_t token);

/* ---- between engine.c and token.c ---------------------------------------- */

/* Waits until done(arg); what: for the message when nobody can ever do it. */
void cira__engine_wait(bool (*done)(const void *), const void *arg,
                       const char *what);
/* Wakes the waiters, after something they look at has changed. */
void cira__engine_wake(void);

#endif
