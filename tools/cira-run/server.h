/* SPDX-License-Identifier: Apache-2.0
 *
 * server: a private memory server for one run. It is a cira-memd on a socket
 * of its own that ends when cira-run has let go of a pipe and the last client
 * is gone, so nothing is left behind even when cira-run is killed.
 * Threads: owner.
 */
#ifndef CIRA_RUN_SERVER_H
#define CIRA_RUN_SERVER_H

#include <sys/types.h>

#include "base/base.h"

typedef struct {
  pid_t pid;        /* 0 = none */
  int life_fd;      /* the server lives while this is open */
  char socket[256]; /* path of its socket */
  char url[264];    /* shm:PATH */
} run_server_t;

/* Starts cira-memd from `bindir` and waits until it serves.
 *   size   capacity as text for --size; NULL = what is available.
 *   token  token file; NULL = none.
 * Returns CIRA_OK; CIRA_E_SYSTEM with a detail otherwise. Threads: owner. */
CIRA_MUST_USE cira_status_t run_server_start(const char *bindir,
                                             const char *size,
                                             const char *token,
                                             run_server_t *out);
/* Lets the server go and waits a moment for its end; it outlives this call
 * only while a client is still connected. Threads: owner. */
void run_server_stop(run_server_t *s);

#endif
