/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefetching by the program's own word: ranges, elements at a fixed step, many
 * addresses at once, lists; and sites, which look at how a walk goes and decide
 * by themselves how far ahead to ask. For near memory a prefetch asks for cache
 * lines, for far memory for pages.
 *
 * The pager reads ahead of sequential walks without being asked. How far, its
 * controller decides from what became of what it fetched; a run can leave that
 * in a profile from which the next one starts.
 *
 * All of it is a hint: a bad address does no harm, and nothing here can fail in
 * a way that matters, except for files.
 * Reading order: hints, sites, the controller, profiles.
 */
#ifndef CIRA_PREFETCH_H
#define CIRA_PREFETCH_H

#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- hints -------------------------------------------------------------- */

/* Asks for [p, p + bytes); far memory: at most an eighth of the local cache.
 * Threads: any. Cost where all is here: a look at each page. */
CIRA_API void cira_prefetch_range(const void *p, uint64_t bytes);

/* Asks for `count` elements of `element_bytes`, `stride_bytes` apart (it may be
 * negative).
 * Threads: any. */
CIRA_API void cira_prefetch_strided(const void *base, int64_t stride_bytes,
                                    uint64_t count, uint64_t element_bytes);

/* Asks for the bytes at many addresses; their pages travel together. NULLs are
 * skipped.
 * Threads: any. Cost: one wait for all of them. */
CIRA_API void cira_prefetch_batch(const void *const *addresses, uint64_t count);

/* Follows a list and asks for its nodes: each has a pointer to the next at
 * `next_offset`.
 * Returns how many nodes it saw.
 * Threads: any. Cost: a round trip for each node that is away. */
CIRA_API uint64_t cira_prefetch_list(const void *first, uint64_t next_offset,
                                     uint64_t node_bytes, uint64_t count);

/* Says that bytes are done with: pages whose last bytes these are may go.
 * Threads: any. */
CIRA_API void cira_prefetch_done(const void *p, uint64_t bytes);

/* ---- sites -------------------------------------------------------------- */

/* A place in a program that walks memory. The caller's, zeroed before first
 * use; one thread uses it. The fields are for looking at. */
typedef struct {
  uint64_t page;        /* where the walk is */
  uint64_t asked;       /* up to where it asked, an address; 0: nothing yet */
  uint64_t distance;    /* pages ahead, now */
  uint64_t changes;     /* of the distance */
  uint64_t pages, gone; /* that the walk came to, and found gone again */
  uint64_t wait_ns;     /* spent asking */
  uint64_t reserved[24];
} cira_prefetch_site_t;

/* Called at each element of a walk with a fixed step: keeps what lies ahead on
 * its way, in pieces. It asks further ahead while waiting takes much of the
 * time, and less far when pages are gone again before the walk arrives.
 *   address   of the element that is used now.
 *   distance  in elements; 0: as far as it thinks best.
 * Threads: one per site. Cost: a few ns within a page. */
CIRA_API void cira_prefetch_adaptive(cira_prefetch_site_t *site,
                                     const void *address, int64_t stride_bytes,
                                     uint64_t distance);

/* ---- the controller ----------------------------------------------------- */

typedef struct {
  uint32_t size;         /* of this struct, set by the caller */
  uint32_t window_pages; /* largest sequential fetch of the pager, 1 to 256 */
  uint32_t batches;      /* of 16 elements that streams of pointers keep ahead,
                            1 to 14 */
  uint32_t reserved;
} cira_prefetch_settings_t;

/* What the controllers have settled on.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or a foreign size.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_prefetch_settings_get(cira_prefetch_settings_t *out);

/* Lets them start from there; a zero field stays as it is.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or a foreign size; CIRA_E_RANGE.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_prefetch_settings_set(const cira_prefetch_settings_t *settings);

/* ---- profiles ----------------------------------------------------------- */

/* Takes the settings that an earlier run left in a file: its section
 * [cira-prefetch]; other sections are left alone.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, a file that cannot be read, has no
 *   such section, one of another version or a line that makes no sense: then
 *   nothing is changed, and the detail names file and line; CIRA_E_NOMEM.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_prefetch_profile_load(const char *path);

/* Writes the settings of this run to a file, which is replaced when the new one
 * is whole; what cannot be written leaves the old one as it was.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL; CIRA_E_SYSTEM.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_prefetch_profile_save(const char *path);

#ifdef __cplusplus
}
#endif
#endif
