/* SPDX-License-Identifier: Apache-2.0
 *
 * profile: recording a run into a profile (docs/profiling.md): makes the file,
 * tells the program's processes by CIRA_PROFILE, samples them meanwhile.
 */
#ifndef CIRA_RUN_PROFILE_H
#define CIRA_RUN_PROFILE_H

#include "profile/sample.h"

typedef struct {
  cira_profile_sampler_t *sampler;
} run_profile_t;

/* Begins. `words` is the command line, up to NULL. */
CIRA_MUST_USE cira_status_t run_profile_open(run_profile_t *p, const char *path,
                                             char *const words[]);
/* The program and all that it started have ended. */
void run_profile_close(run_profile_t *p);

#endif
