/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory servers for tests: started on private sockets in a temporary folder,
 * ended with the test, also when the test dies (they watch a pipe).
 */
#ifndef CIRA_TEST_SERVERS_H
#define CIRA_TEST_SERVERS_H

#include <sys/types.h>

#include "base/base.h"
#include "fabric/fabric.h"

typedef struct {
  pid_t pid;
  int life_fd;
  char dir[64];
  char shm_url[120];
  char unix_url[120];
  char tcp_url[120];
} memd_t;

/* Starts a server that listens on a Unix socket and on a free port.
 *   extra   further arguments, NULL-terminated list or NULL
 * Fails the test when it does not come up. */
void memd_start(memd_t *m, const char *size, const char *const *extra);
void memd_kill(memd_t *m, int signal_number); /* and wait for it */
void memd_stop(memd_t *m);                    /* ends it if it still runs */

/* One figure of its --stats, such as "regions" (arrays count). */
long memd_figure(const memd_t *m, const char *name);

/* Fails the test with the detail when `status` is not CIRA_OK. */
void must(cira_status_t status, const char *what, int line);
#define MUST(x) must((x), #x, __LINE__)

#endif
