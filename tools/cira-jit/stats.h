/* SPDX-License-Identifier: Apache-2.0
 * stats: the counters of the run in the shared file that cira-run --stats made
 * (CIRA_STATS), one slot as for any program.
 * Threads: caller-serialised. */
#ifndef CIRA_JIT_STATS_H
#define CIRA_JIT_STATS_H

#include "space/space.h"

/* Moves the counters of `space` into a slot of the file, with the base name of
 * `program`. Does nothing without CIRA_STATS or a space; a file that cannot be
 * used is one warning. */
void jit_stats_open(cira_space_t *space, const char *program);
/* Closes the slot; the space may be destroyed afterwards. */
void jit_stats_close(cira_space_t *space);

#endif
