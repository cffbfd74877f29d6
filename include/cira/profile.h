/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles: a file that says which code waited for far memory, for how long,
 * and what was read ahead for it. `cira-run --profile FILE` records a whole
 * run; with these functions a program records itself, or marks in a profile
 * what it is about. `cira-prof report FILE` reads it (docs/profiling.md).
 *
 * Recording writes into pages of the file that are mapped into the process, so
 * nothing is lost when the process is killed. Several processes write to one
 * file: children go on in the file of their parent.
 */
#ifndef CIRA_PROFILE_H
#define CIRA_PROFILE_H

#include <stdbool.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Begins to record this process into a new file; what was at the path is gone.
 *   path   NULL: what CIRA_PROFILE names.
 * Returns CIRA_OK; CIRA_E_BUSY when a profile is recorded already, also by
 *   cira-run --profile; CIRA_E_INVALID without a path; CIRA_E_SYSTEM when the
 *   file cannot be written.
 * Threads: any. Cost: some 0.1 us per fault from now on, of 4 or more. */
CIRA_API CIRA_MUST_USE cira_status_t cira_profile_start(const char *path);

/* Ends what cira_profile_start began and completes the file. A profile that
 * cira-run records goes on.
 * Returns CIRA_OK; CIRA_E_CLOSED when none was begun here.
 * Threads: any. */
CIRA_API cira_status_t cira_profile_stop(void);

/* Returns whether this process is being recorded, by whomever.
 * Threads: any; signal-safe. Cost: a load. */
CIRA_API bool cira_profile_active(void);

/* Puts a mark on the time line: a phase of the program begins. Nothing happens
 * when no profile is recorded.
 *   text   one line; what is longer than 200 bytes is cut.
 * Threads: any; signal-safe. */
CIRA_API void cira_profile_mark(const char *text);

#ifdef __cplusplus
}
#endif
#endif
