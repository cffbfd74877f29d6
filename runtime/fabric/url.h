/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of places, checked as a whole before anything connects:
 *
 *   list := url { "," url }                 several = stripe
 *   url  := "host:" | "shm:" [PATH] | "unix:" PATH
 *         | "tcp://" [HOST | "[" V6 "]"] ":" PORT
 *         | "trace(" list { ";" option } ")" | "fault(" list { ";" option } ")"
 *
 * Later versions add "mirror(", "ofi://", "numa:" and "dax:"; today these are
 * recognised and refused with CIRA_E_UNSUPPORTED.
 */
#ifndef CIRA_FABRIC_URL_H
#define CIRA_FABRIC_URL_H

#include "base/base.h"

#define CIRA__URL_BYTES 256u       /* with terminator */
#define CIRA__URL_CHILDREN_MAX 16u /* servers of one stripe */
#define CIRA__URL_DEPTH_MAX 8u
#define CIRA__URL_PATH_BYTES 108u /* sun_path */

typedef enum {
  CIRA__URL_HOST,
  CIRA__URL_SHM,
  CIRA__URL_UNIX,
  CIRA__URL_TCP,
  CIRA__URL_STRIPE,
  CIRA__URL_TRACE,
  CIRA__URL_FAULT,
} cira__url_kind_t;

typedef struct {
  const char *text; /* into the parsed URL, not terminated */
  size_t length;
} cira__slice_t;

/* Probabilities are in parts per million; zero = never. */
typedef struct {
  uint32_t drop_ppm;
  uint32_t reorder_ppm;
  uint32_t short_ppm;
  uint64_t delay_ns;
  uint64_t disconnect_at; /* message number, from 1; 0 = never */
  uint64_t fail_at;
  cira_status_t fail_status;
  uint64_t seed;
} cira__url_fault_t;

typedef struct {
  cira__url_kind_t kind;
  char path[CIRA__URL_PATH_BYTES]; /* shm, unix; trace: file= */
  char host[128];                  /* tcp; "" = loopback */
  uint16_t port;
  cira__slice_t child[CIRA__URL_CHILDREN_MAX]; /* stripe; hooks: child[0] */
  uint32_t child_count;
  cira__url_fault_t fault;
} cira__url_t;

/* Parses and checks `text` with everything inside of it.
 * Returns CIRA_OK; CIRA_E_INVALID or CIRA_E_UNSUPPORTED with a detail.
 * Threads: any. Pure: looks at nothing but the text. */
cira_status_t cira__url_parse(const char *text, size_t length,
                              cira__url_t *out);

/* Copies a child's URL out as a string (buf of CIRA__URL_BYTES). */
void cira__url_child(const cira__url_t *url, uint32_t index, char *buf);

/* Where "shm:" without a path is: CIRA_FAR_SOCKET, or
 * $XDG_RUNTIME_DIR/cira-memd.sock, or /tmp/cira-memd-<uid>.sock.
 * Returns CIRA_E_INVALID when that is too long for a socket. */
cira_status_t cira__url_shm_path(char *buf, size_t bytes);

#endif
