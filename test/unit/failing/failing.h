/* SPDX-License-Identifier: Apache-2.0
 *
 * The N-th call that needs memory, a thread or a file fails. A test that links
 * cira_failing has these functions in front of the C library's, for its own
 * code and the runtime's (the linker's --wrap); what the C library and the
 * sanitizers call inside of themselves is not counted.
 * Threads: any; failing_begin and failing_end while no other one asks. A child
 * of fork goes on without failures.
 */
#ifndef CIRA_TEST_FAILING_H
#define CIRA_TEST_FAILING_H

#include <stdbool.h>
#include <stdint.h>

/* Which calls are counted. */
#define FAILING_MALLOC 1u  /* malloc, calloc, realloc, aligned_alloc */
#define FAILING_MMAP 2u    /* mmap */
#define FAILING_FILES 4u   /* memfd_create, ftruncate */
#define FAILING_THREADS 8u /* pthread_create */
#define FAILING_FORKS 16u  /* fork */
#define FAILING_OTHER 32u  /* what the test wraps itself, by failing_now */
#define FAILING_MEMORY (FAILING_MALLOC | FAILING_MMAP)
#define FAILING_ALL 63u
#define FAILING_F_STAYS 256u /* that call and all after it; else that one */
#define FAILING_F_MINE 512u  /* only calls of this thread */

/* From now on: call number n of these (0: the first) fails. */
void failing_begin(unsigned what, int64_t n);
/* All calls work again. Returns whether one has failed. */
bool failing_end(void);
/* How many were counted since failing_begin, those that failed included. */
uint64_t failing_asked(void);
/* For wrappers of a test's own: counts one; does it fail? Sets errno if so. */
bool failing_now(unsigned kind, int error);

/* Runs something in a child, which has 60 s and says nothing on stderr.
 * Returns its exit status (0 when `run` returns), or 1000 + the signal that
 * ended it. */
int failing_child(void (*run)(const void *argument), const void *argument);

/* What a leak would show in: open descriptors, mappings. */
uint64_t failing_fds(void);
uint64_t failing_maps(void);

#endif
