/* SPDX-License-Identifier: Apache-2.0
 *
 * program: finds the program that a user named and says before it starts
 * whether its heap can be moved: the loader must accept a preloaded library,
 * so the program has to be dynamically linked against glibc, for this
 * processor, and must not run with raised rights.
 * Threads: caller-serialised.
 */
#ifndef CIRA_RUN_PROGRAM_H
#define CIRA_RUN_PROGRAM_H

#include <stddef.h>

#define RUN_EXIT_SELF 125      /* cira-run itself failed, as env(1) does it */
#define RUN_EXIT_CANNOT 126    /* found, but cannot be run */
#define RUN_EXIT_NOT_FOUND 127 /* not found */

/* Resolves `name` as execvp does and checks the file, or the interpreter of a
 * script.
 *   path   buffer of `path_bytes`; receives the file to execute.
 *   why    buffer of `why_bytes`; receives one line: what is wrong and what to
 *          do about it.
 * Returns 0, RUN_EXIT_CANNOT or RUN_EXIT_NOT_FOUND. Threads: any. */
int run_program_check(const char *name, char *path, size_t path_bytes,
                      char *why, size_t why_bytes);

#endif
