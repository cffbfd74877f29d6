/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket to a server before and beside the fast path: dialling, the
 * handshake, and one blocking request with its reply. Used by tcp, unix and
 * shm, and by tools that ask a server something.
 * Threads: caller-serialised; blocking, bounded by a deadline.
 */
#ifndef CIRA_FABRIC_LINK_H
#define CIRA_FABRIC_LINK_H

#include "fabric/tcp_proto.h"
#include "fabric/url.h"

/* Who talks to whom until when; messages name `url`. */
typedef struct {
  int fd;
  const char *url;
  uint64_t deadline_ns;
} cira__link_t;

/* Connects a non-blocking socket to a tcp, unix or shm place and does the
 * handshake; with `descriptors`, asks for regions as descriptors.
 * Returns CIRA_OK, CIRA_E_UNREACHABLE, _AUTH, _DEADLINE, _PROTOCOL, _INVALID.
 */
cira_status_t cira__link_open(const char *url, const char *token_file,
                              bool descriptors, uint64_t deadline_ns,
                              int *out_fd);

/* The same; also tells what the server offers (CIRA__HELLO_F_*). */
cira_status_t cira__link_open_offer(const char *url, const char *token_file,
                                    bool descriptors, uint64_t deadline_ns,
                                    int *out_fd, uint32_t *out_offer);

/* Sends `request` with its body and receives the reply with its body of
 * `reply_bytes`; fills in version and id 0.
 *   out_fd   NULL, or where a descriptor that came along goes (-1 if none).
 * Returns CIRA_OK when a reply came (its status may be an error), or what
 *   broke the link. */
cira_status_t cira__link_call(const cira__link_t *link,
                              cira__wire_request_t *request, const void *body,
                              uint64_t body_bytes, cira__wire_reply_t *out,
                              void *reply, uint64_t reply_bytes, int *out_fd);

/* The blocking pieces of it. */
cira_status_t cira__link_send(const cira__link_t *link, const void *bytes,
                              uint64_t count);
cira_status_t cira__link_recv(const cira__link_t *link, void *bytes,
                              uint64_t count, int *out_fd);

/* A detail for a reply with an error status; returns that status. */
CIRA_COLD cira_status_t cira__link_refused(const char *url,
                                           const cira__wire_reply_t *reply);

/* A detail for a link that broke: errno > 0, or 0 = the peer closed it. */
CIRA_COLD cira_status_t cira__link_broken(const char *url, int error);

/* Big buffers, no delay, keep-alive. Both sides use it. */
void cira__link_tune(int fd);

/* True when the peer has gone; never blocks, consumes nothing. */
bool cira__link_gone(int fd);

#endif
