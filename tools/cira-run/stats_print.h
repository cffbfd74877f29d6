/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_print: makes the shared counters file of a run (its layout is in
 * heap/preload/stats_file.h) and turns it into a table or into JSON.
 * Used by cira-run at the end of a run and by cira-info on a file.
 * Threads: caller-serialised.
 */
#ifndef CIRA_RUN_STATS_PRINT_H
#define CIRA_RUN_STATS_PRINT_H

#include <stdio.h>

#include "base/base.h"

typedef struct {
  char path[256];   /* the shared file; empty = none */
  int fd;           /* holds its lock: the run is alive */
  const char *file; /* where the result goes; NULL = standard error */
  FILE *out;
  bool json;
} run_stats_t;

/* Makes the shared file and opens the destination, so that a bad name is found
 * before the program runs. Removes the files of runs that were killed, once
 * their programs are gone too.
 *   file     destination, NULL = standard error; kept, not copied.
 *   format   "json" or "table"; NULL = JSON for a file, a table otherwise.
 * Returns CIRA_OK; CIRA_E_SYSTEM with a detail. */
CIRA_MUST_USE cira_status_t run_stats_open(run_stats_t *s, const char *file,
                                           const char *format);
/* Writes the result and removes the shared file. */
void run_stats_write(run_stats_t *s);
/* Removes the shared file without a result. */
void run_stats_drop(run_stats_t *s);

/* Prints the counters file at `path`, of a run that may still be going on.
 * Returns CIRA_OK; CIRA_E_SYSTEM or CIRA_E_INVALID with a detail. */
CIRA_MUST_USE cira_status_t run_stats_print(const char *path, bool json,
                                            FILE *out);

#endif
