/* SPDX-License-Identifier: Apache-2.0
 *
 * cira-memd: one thread that serves regions of memory to many clients.
 *
 *   store    regions, who is attached, what is committed.     store.c
 *   client   one connection: receive, parse, apply, answer.   client.c
 *   listener a socket that takes connections.                 listen.c
 *   loop     spins while there is work, sleeps when not.      loop.c
 *   kernels  processes that run functions beside the data.    kernels.h
 *   stats    figures as JSON, and the table of --stats.       stats.c
 *
 * Invariants: requests of a client are applied in order; the answer to a read
 * is sent straight from the region, so nothing may change those bytes before
 * it left (client.c stalls the client instead). A client never makes others
 * wait: its answers are bounded by TX_MAX, beyond that its requests are not
 * read. Threads: one.
 */
#ifndef CIRA_MEMD_SERVER_H
#define CIRA_MEMD_SERVER_H

#include "base/base.h"
#include "fabric/auth.h"
#include "fabric/internal.h"
#include "fabric/tcp_proto.h"
#include "fabric/url.h"
#include "kernels.h"

#define TX_MAX 1024u /* answers that wait for one client */
#define CLIENTS_MAX 1024u
#define LISTENERS_MAX 8u
#define SESSIONS_MAX 64u /* each is two processes */
#define CLIENT_RX_BYTES (CIRA__REQUEST_MAX_BYTES + (256u << 10))

typedef struct region {
  struct region *next;
  cira_ticket_t ticket;
  uint8_t *at;
  uint64_t bytes;
  int fd;
  uint32_t number;      /* for people, in --stats */
  uint32_t attachments; /* over all clients */
  uint32_t holds;
  uint64_t committed_bytes;
  uint64_t orphan_bytes; /* of it: committed by clients that went */
} region_t;

/* One region in one client's table. Free when region is NULL. */
typedef struct {
  region_t *region;
  bool attached; /* false: closed, kept for its holds */
  uint32_t holds;
  uint64_t committed_bytes;
} attachment_t;

typedef struct {
  uint64_t reads;
  uint64_t writes;
  uint64_t atomics;
  uint64_t discards;
  uint64_t read_bytes;
  uint64_t written_bytes;
  uint64_t errors; /* requests that were refused */
} counters_t;

/* An answer that is waiting to be sent. */
typedef struct {
  cira__wire_reply_t header;
  const uint8_t *body;
  uint64_t body_bytes;
  const region_t *region; /* READ: whose bytes `body` points into */
  void *owned;            /* freed once sent */
  int fd;                 /* passed along, -1 = none */
  uint8_t small[32];
} answer_t;

/* What epoll watches; first member of whatever it is. */
typedef enum {
  SOURCE_LISTENER,
  SOURCE_CLIENT,
  SOURCE_SIGNAL,
  SOURCE_LIFELINE,
} source_kind_t;

typedef struct {
  source_kind_t kind;
  int fd;
} source_t;

typedef enum { CLIENT_NEW, CLIENT_CHALLENGED, CLIENT_READY } client_state_t;

typedef struct server server_t;

typedef struct client {
  source_t source;
  server_t *server;
  struct client *next_dead;
  uint32_t index;  /* in server->client */
  uint32_t number; /* for people */
  client_state_t state;
  bool local;       /* Unix socket: descriptors can be passed */
  bool descriptors; /* and the client wants them */
  bool stalled;     /* waits until its answers have left */
  bool closing;     /* ends when its answers have left */
  bool session;     /* a session of kernels speaks for it */
  bool dead;
  uint32_t watching; /* epoll events */
  char peer[80];
  uint8_t nonce_theirs[CIRA__AUTH_BYTES];
  uint8_t nonce_ours[CIRA__AUTH_BYTES];
  uint64_t since_ns;
  uint64_t active_ns;
  uint64_t silent_ns; /* without a handshake while we listened */
  uint64_t committed_bytes;
  counters_t counters;
  attachment_t attachment[CIRA__REGIONS_MAX]; /* [number - 1] */
  uint8_t *rx;
  uint64_t rx_head;
  uint64_t rx_tail;
  uint32_t tx_head; /* free-running, TX_MAX is a power of two */
  uint32_t tx_tail;
  uint64_t tx_sent; /* bytes of the first answer that have left */
  answer_t tx[TX_MAX];
} client_t;

typedef struct {
  source_t source;
  char url[CIRA__URL_BYTES + 80];
  char path[CIRA__URL_PATH_BYTES]; /* Unix: to be removed at the end */
  uint64_t inode;
} listener_t;

struct server {
  /* settings */
  uint64_t size_bytes;
  uint64_t quota_bytes; /* of one client */
  uint64_t spin_ns;
  bool poll; /* never sleep */
  bool token;
  uint8_t key[CIRA__AUTH_BYTES];
  const char *kernels[LIBRARIES_MAX]; /* paths */
  uint32_t kernels_count;
  /* state */
  int epoll_fd;
  bool stop;
  bool lifeline_ended; /* --until-eof: the reader is gone */
  source_t signals;
  source_t lifeline; /* fd -1 = none */
  listener_t listener[LISTENERS_MAX];
  uint32_t listener_count;
  client_t *client[CLIENTS_MAX];
  uint32_t client_count;
  client_t *dead;
  uint32_t clients_seen;
  uint32_t sessions; /* of kernels */
  uint32_t sessions_seen;
  region_t *regions;
  uint32_t regions_seen;
  uint64_t committed_bytes;
  uint64_t since_ns;
  uint64_t active_ns;
  uint64_t looked_ns; /* for late handshakes */
  counters_t counters;
  uint64_t clients_garbage; /* closed for what they sent */
};

/* ---- store.c ---- */
cira_status_t store_open(server_t *s, client_t *c, uint64_t bytes,
                         uint32_t *out_number);
cira_status_t store_attach(server_t *s, client_t *c, const uint8_t *ticket,
                           uint32_t *out_number);
cira_status_t store_hold(attachment_t *a, int64_t delta);
void store_detach(server_t *s, client_t *c, attachment_t *a);
void store_leave(server_t *s, client_t *c); /* the client is going */
/* *out_client tells whose room was too small. */
cira_status_t store_commit(server_t *s, client_t *c, attachment_t *a,
                           int64_t delta, bool *out_client);
uint64_t store_resident_bytes(const region_t *r);

/* ---- client.c ---- */
client_t *client_create(server_t *s, int fd, bool local, const char *peer);
/* Receives, applies, answers, without blocking; true when there was work. */
bool client_serve(client_t *c);
void client_end(client_t *c, const char *why, bool loud);
void client_free(client_t *c);

/* ---- listen.c ---- */
cira_status_t listener_open(server_t *s, const char *url);
void listener_accept(server_t *s, listener_t *l);
void listeners_close(server_t *s);

/* ---- loop.c ---- */
cira_status_t loop_init(server_t *s, int lifeline_fd);
cira_status_t loop_watch(server_t *s, source_t *source, uint32_t events);
void loop_rewatch(client_t *c, uint32_t events);
void loop_unwatch(client_t *c);
void loop_run(server_t *s);
void loop_fini(server_t *s);

/* ---- stats.c ---- */
/* The figures as JSON text; malloc'ed, NULL when there is no memory. */
char *stats_json(const server_t *s);
/* The other side: asks the server at `url` and prints. Returns an exit code. */
int stats_show(const char *url, const char *token_file, bool json);

#endif
