/* SPDX-License-Identifier: Apache-2.0
 *
 * child: runs a program as if the shell had started it itself: the same process
 * group and terminal, signals passed on, stops and continues followed, its
 * exit status handed out.
 * Threads: the only thread of cira-run.
 */
#ifndef CIRA_RUN_CHILD_H
#define CIRA_RUN_CHILD_H

/* Starts `path` with `argv` and waits for its end.
 *   out_status   the wait status; written when 0 is returned. The signals that
 *     were passed on stay blocked then: an interrupt that ended the program
 * must not end cira-run before it has tidied up. Returns 0, or the errno with
 * which the program could not be started. */
int run_child(const char *path, char *const argv[], int *out_status);

/* Ends cira-run as the program ended: the same exit status, or death by the
 * same signal. */
_Noreturn void run_exit_as(int status);

#endif
