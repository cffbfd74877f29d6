/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of a profile file that prefetching reads and writes: a section of
 * lines "name = number" behind a line [cira-prefetch]. It ends at the next line
 * that begins with [. Empty lines and lines that begin with # say nothing. Who
 * writes other sections into the same file takes the text of this one from
 * cira__prefetch_profile_text.
 *
 *   [cira-prefetch]
 *   version = 1
 *   window_pages = 64     largest sequential fetch of the pager
 *   batches = 6           that streams of pointers keep ahead
 *
 * version comes first. A name that this version does not know is an error; a
 * name that is missing leaves its setting as it is.
 * Threads: any; pure.
 */
#ifndef CIRA_PREFETCH_PROFILE_H
#define CIRA_PREFETCH_PROFILE_H

#include "base/base.h"
#include "cira/prefetch.h"

#define CIRA__PREFETCH_PROFILE_VERSION 1u
#define CIRA__PREFETCH_WINDOW_MAX 256u
#define CIRA__PREFETCH_BATCHES_MAX 14u

/* Takes a text (of `bytes`, no terminator needed) apart; `name` is for
 * messages. Returns CIRA_OK; CIRA_E_INVALID with file and line in the detail.
 */
cira_status_t cira__prefetch_profile_parse(const char *text, size_t bytes,
                                           const char *name,
                                           cira_prefetch_settings_t *out);
/* The section as text; returns its length. buf: 200 bytes are enough. */
size_t cira__prefetch_profile_text(const cira_prefetch_settings_t *settings,
                                   char *buf, size_t bytes);

#endif
