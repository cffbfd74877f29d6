/* SPDX-License-Identifier: Apache-2.0
 *
 * heap: the malloc family on a space. jemalloc does the work; its far arenas
 * take extents from the space by extent hooks, and all of its bookkeeping stays
 * in local memory, so that neither malloc nor free touches a far page.
 *
 * Far or near: before cira_heap_init everything is near (ordinary memory).
 * Afterwards blocks are far, except those of at most near_max_bytes and those
 * that the C library asks for itself (stdio buffers, directory streams), which
 * it hands to the kernel behind our back.
 * Threads: any. Not signal-safe, as malloc never is.
 */
#ifndef CIRA_HEAP_H
#define CIRA_HEAP_H

#include <stddef.h>

#include "space/space.h"

typedef struct {
  uint32_t size;           /* sizeof(cira_heap_options_t) */
  uint64_t near_max_bytes; /* blocks up to this size stay local; 0 = none */
  bool on_request; /* malloc stays near; far is what cira_heap_far_* gives */
} cira_heap_options_t;

/* Makes later allocations far. Call once, with one thread running.
 * Returns CIRA_OK, or CIRA_E_SYSTEM when jemalloc refuses a setting. */
CIRA_MUST_USE cira_status_t cira_heap_init(cira_space_t *s,
                                           const cira_heap_options_t *opt);
/* Binds the calling thread to a far arena / gives its caches back. A thread
 * that never calls start allocates near memory. */
void cira_heap_thread_start(void);
void cira_heap_thread_exit(void);

/* As their C namesakes; `caller` is the return address, by which blocks of the
 * C library are told apart. errno is set to ENOMEM on failure. */
void *cira_heap_malloc(size_t bytes, const void *caller);
void *cira_heap_calloc(size_t count, size_t bytes, const void *caller);
void *cira_heap_realloc(void *p, size_t bytes, const void *caller);
void *cira_heap_aligned(size_t align, size_t bytes, const void *caller);
void cira_heap_free(void *p);
size_t cira_heap_usable(const void *p);

/* Zeroed far memory, aligned to 16, whatever the thread's malloc gives; NULL
 * when there is no space or no room. Ends with cira_heap_far_free. */
bool cira_heap_far_ready(void);
/* Before the space goes: nothing is far any more, and its blocks are dead. */
void cira_heap_stop(void);
void *cira_heap_far_alloc(size_t bytes);
/* The same, aligned to a power of two. */
void *cira_heap_far_aligned(size_t align, size_t bytes);
void cira_heap_far_free(void *p);
size_t cira_heap_far_usable(const void *p);
/* Around a fork, outside of the space's own steps: no block is being taken or
 * given back between them, so nobody who holds a lock of jemalloc waits for a
 * pager that is held still. Only where far memory comes on request. */
void cira_heap_fork_prepare(void);
void cira_heap_fork_parent(void);
void cira_heap_fork_child(void);

#endif
