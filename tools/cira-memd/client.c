/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection. Bytes come into rx, requests are parsed where they lie and
 * applied at once, answers queue in tx and leave in one sendmsg for many.
 * Answers to reads are sent from the region itself; a request that would
 * change such bytes first makes the client's own answers leave.
 */
#include "server.h"

#include "base/sys.h"
#include "fabric/direct.h"
#include "fabric/link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#define RECEIVE_BYTES (256u << 10) /* 256 KiB: stays in the L2 cache */
#define FLUSH_COUNT 64u            /* answers per sendmsg */

static const uint8_t zeros[CIRA_FABRIC_OP_MAX_BYTES];

client_t *client_create(server_t *s, int fd, bool local, const char *peer) {
  client_t *c = cira__pages_alloc(sizeof(*c));
  if (!c) {
    return NULL;
  }
  c->rx = cira__pages_alloc(CLIENT_RX_BYTES);
  if (!c->rx) {
    cira__pages_free(c, sizeof(*c));
    return NULL;
  }
  c->source = (source_t){.kind = SOURCE_CLIENT, .fd = fd};
  c->server = s;
  c->local = local;
  c->number = ++s->clients_seen;
  c->since_ns = cira__now_ns();
  cira__format(c->peer, sizeof(c->peer), "%s", peer);
  return c;
}

void client_free(client_t *c) {
  cira__pages_free(c->rx, CLIENT_RX_BYTES);
  cira__pages_free(c, sizeof(*c));
}

/* The client leaves the tables now; its memory goes after this round of
 * events, which may still name it. */
void client_end(client_t *c, const char *why, bool loud) {
  server_t *s = c->server;
  if (c->dead) {
    return;
  }
  c->dead = true;
  if (loud) {
    s->clients_garbage++;
  }
  CIRA_LOG(loud ? CIRA_LOG_WARN : CIRA_LOG_INFO,
           "memd: client %u (%s): %s; closed", c->number, c->peer, why);
  for (; c->tx_head != c->tx_tail; c->tx_head++) {
    free(c->tx[c->tx_head % TX_MAX].owned);
  }
  store_leave(s, c);
  s->sessions -= c->session;
  (void)close(c->source.fd);
  client_t *last = s->client[--s->client_count];
  s->client[c->index] = last;
  last->index = c->index;
  c->next_dead = s->dead;
  s->dead = c;
}

/* ---- answers ------------------------------------------------------------ */

static uint32_t tx_count(const client_t *c) {
  return c->tx_tail - c->tx_head;
}

/* Queues the answer to `r`; there is room (client_apply checks). A body that
 * the protocol promises and nobody gives is zeros. */
static answer_t *answer(client_t *c, const cira__request_t *r,
                        cira_status_t status) {
  answer_t *a = &c->tx[c->tx_tail++ % TX_MAX];
  a->header = (cira__wire_reply_t){
      .version = CIRA__PROTO_VERSION,
      .op = r->header.op,
      .id = r->header.id,
      .status = status,
      .length = cira__reply_body_bytes(r->header.op, r->header.length)};
  a->body = zeros;
  a->body_bytes = a->header.length;
  a->region = NULL;
  a->owned = NULL;
  a->fd = -1;
  if (status != CIRA_OK) {
    c->counters.errors++;
    c->server->counters.errors++;
  }
  return a;
}

static void answer_small(answer_t *a, const uint8_t bytes[32]) {
  memcpy(a->small, bytes, sizeof(a->small));
  a->body = a->small;
}

/* Builds the vector of the next answers. One that passes a descriptor goes
 * alone, so that the descriptor arrives with its own answer. */
static uint32_t gather(client_t *c, struct iovec *iov) {
  uint32_t n = 0;
  uint64_t skip = c->tx_sent;
  for (uint32_t i = 0; i < FLUSH_COUNT && i < tx_count(c); i++) {
    answer_t *a = &c->tx[(c->tx_head + i) % TX_MAX];
    if (a->fd >= 0 && i > 0) {
      break;
    }
    if (skip < CIRA__REPLY_BYTES) {
      iov[n++] = (struct iovec){(uint8_t *)&a->header + skip,
                                CIRA__REPLY_BYTES - skip};
      skip = CIRA__REPLY_BYTES;
    }
    if (a->body_bytes > skip - CIRA__REPLY_BYTES) {
      uint64_t done = skip - CIRA__REPLY_BYTES;
      iov[n++] = (struct iovec){(void *)(a->body + done), a->body_bytes - done};
    }
    skip = 0;
    if (a->fd >= 0) {
      break;
    }
  }
  return n;
}

static void sent(client_t *c, uint64_t bytes) {
  bytes += c->tx_sent;
  while (c->tx_head != c->tx_tail) {
    answer_t *a = &c->tx[c->tx_head % TX_MAX];
    uint64_t whole = CIRA__REPLY_BYTES + a->body_bytes;
    if (bytes < whole) {
      break;
    }
    bytes -= whole;
    free(a->owned);
    c->tx_head++;
  }
  c->tx_sent = bytes;
}

/* Sends what the socket takes. False when the client is gone. */
static bool flush(client_t *c) {
  while (tx_count(c)) {
    struct iovec iov[2 * FLUSH_COUNT];
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = gather(c, iov)};
    answer_t *first = &c->tx[c->tx_head % TX_MAX];
    if (first->fd >= 0 && c->tx_sent == 0) {
      msg.msg_control = control.bytes;
      msg.msg_controllen = sizeof(control.bytes);
      struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
      h->cmsg_level = SOL_SOCKET;
      h->cmsg_type = SCM_RIGHTS;
      h->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(h), &first->fd, sizeof(int));
    }
    long n = cira__sys_sendmsg(c->source.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == -EAGAIN || n == -EINTR) {
      return true;
    }
    if (n < 0) {
      client_end(c, "went away", false);
      return false;
    }
    sent(c, (uint64_t)n);
  }
  return true;
}

/* True when an answer that has not left yet points into these bytes. */
static bool in_flight(const client_t *c, const region_t *r, uint64_t offset,
                      uint64_t bytes) {
  const uint8_t *from = r->at + offset;
  for (uint32_t i = c->tx_head; i != c->tx_tail; i++) {
    const answer_t *a = &c->tx[i % TX_MAX];
    if (a->region == r && a->body < from + bytes &&
        from < a->body + a->body_bytes) {
      return true;
    }
  }
  return false;
}

/* ---- requests ----------------------------------------------------------- */

static attachment_t *attachment_of(client_t *c, uint32_t number) {
  return number - 1 < CIRA__REGIONS_MAX && c->attachment[number - 1].region
             ? &c->attachment[number - 1]
             : NULL;
}

static bool conflicts(client_t *c, const cira__request_t *r) {
  if (r->header.op == CIRA__OP_KERNELS) {
    return tx_count(c) != 0; /* another process answers from then on */
  }
  attachment_t *a = attachment_of(c, r->header.region);
  if (!a || tx_count(c) == 0) {
    return false;
  }
  switch (r->header.op) {
  case CIRA__OP_WRITE:
    for (uint32_t i = 0; i < r->header.count; i++) {
      cira__wire_seg_t seg = cira__request_seg(r, i);
      if (cira__range_ok(seg.offset, seg.bytes, a->region->bytes) &&
          in_flight(c, a->region, seg.offset, seg.bytes)) {
        return true;
      }
    }
    return false;
  case CIRA__OP_ATOMIC:
    return cira__range_ok(r->header.offset, 8, a->region->bytes) &&
           in_flight(c, a->region, r->header.offset, 8);
  case CIRA__OP_DISCARD:
    return cira__range_ok(r->header.offset, r->header.length,
                          a->region->bytes) &&
           in_flight(c, a->region, r->header.offset, r->header.length);
  case CIRA__OP_CLOSE:
  case CIRA__OP_HOLD: /* may end the region */
    return in_flight(c, a->region, 0, a->region->bytes);
  default:
    return false;
  }
}

static void apply_read(client_t *c, attachment_t *a, const cira__request_t *r) {
  uint64_t offset = r->header.offset;
  uint64_t bytes = r->header.length;
  if (!cira__range_ok(offset, bytes, a->region->bytes)) {
    answer(c, r, CIRA_E_RANGE);
    return;
  }
  answer_t *reply = answer(c, r, CIRA_OK);
  reply->body = a->region->at + offset;
  reply->region = a->region;
  c->counters.reads++;
  c->counters.read_bytes += bytes;
  c->server->counters.reads++;
  c->server->counters.read_bytes += bytes;
}

static void apply_write(client_t *c, attachment_t *a,
                        const cira__request_t *r) {
  for (uint32_t i = 0; i < r->header.count; i++) {
    cira__wire_seg_t seg = cira__request_seg(r, i);
    if (!cira__range_ok(seg.offset, seg.bytes, a->region->bytes)) {
      answer(c, r, CIRA_E_RANGE); /* all or nothing */
      return;
    }
  }
  const uint8_t *from = r->data;
  for (uint32_t i = 0; i < r->header.count; i++) {
    cira__wire_seg_t seg = cira__request_seg(r, i);
    memcpy(a->region->at + seg.offset, from, seg.bytes);
    from += seg.bytes;
  }
  c->counters.writes++;
  c->counters.written_bytes += r->data_bytes;
  c->server->counters.writes++;
  c->server->counters.written_bytes += r->data_bytes;
  answer(c, r, CIRA_OK);
}

static void apply_atomic(client_t *c, attachment_t *a,
                         const cira__request_t *r) {
  if (!cira__range_ok(r->header.offset, 8, a->region->bytes)) {
    answer(c, r, CIRA_E_RANGE);
    return;
  }
  c->counters.atomics++;
  c->server->counters.atomics++;
  answer(c, r, CIRA_OK)->header.result = cira__memory_atomic(
      a->region->at + r->header.offset, (cira_fabric_atomic_t)r->header.flags,
      r->atomic.operand, r->atomic.compare);
}

static void apply_discard(client_t *c, attachment_t *a,
                          const cira__request_t *r) {
  if (!cira__range_ok(r->header.offset, r->header.length, a->region->bytes)) {
    answer(c, r, CIRA_E_RANGE);
    return;
  }
  c->counters.discards++;
  c->server->counters.discards++;
  answer(
      c, r,
      cira__memory_discard(a->region->at, r->header.offset, r->header.length));
}

/* Requests about a region of this client. */
static void apply_region(client_t *c, const cira__request_t *r) {
  server_t *s = c->server;
  attachment_t *a = attachment_of(c, r->header.region);
  if (!a || (!a->attached && r->header.op != CIRA__OP_HOLD)) {
    answer(c, r, CIRA_E_INVALID);
    return;
  }
  switch (r->header.op) {
  case CIRA__OP_READ:
    apply_read(c, a, r);
    break;
  case CIRA__OP_WRITE:
    apply_write(c, a, r);
    break;
  case CIRA__OP_ATOMIC:
    apply_atomic(c, a, r);
    break;
  case CIRA__OP_DISCARD:
    apply_discard(c, a, r);
    break;
  case CIRA__OP_TICKET:
    answer_small(answer(c, r, CIRA_OK), a->region->ticket.bytes);
    break;
  case CIRA__OP_REFS:
    answer(c, r, CIRA_OK)->header.result =
        (uint64_t)a->region->attachments + a->region->holds;
    break;
  case CIRA__OP_HOLD:
    answer(c, r, store_hold(a, (int64_t)r->header.offset));
    if (!a->attached) { /* the last hold of a closed region may have gone */
      store_detach(s, c, a);
    }
    break;
  case CIRA__OP_CLOSE:
    store_detach(s, c, a);
    answer(c, r, CIRA_OK);
    break;
  case CIRA__OP_COMMIT: {
    bool client;
    cira_status_t status =
        store_commit(s, c, a, (int64_t)r->header.offset, &client);
    answer(c, r, status)->header.flags = client ? CIRA__COMMIT_F_CLIENT : 0;
    break;
  }
  default:
    break;
  }
}

static void apply_open(client_t *c, const cira__request_t *r) {
  uint32_t number = 0;
  cira_status_t status =
      r->header.op == CIRA__OP_OPEN
          ? store_open(c->server, c, r->header.length, &number)
          : store_attach(c->server, c, r->data, &number);
  answer_t *a = answer(c, r, status);
  if (status == CIRA_OK) {
    region_t *region = c->attachment[number - 1].region;
    a->header.region = number;
    a->header.result = region->bytes;
    a->fd = c->descriptors ? region->fd : -1;
  }
}

static void apply_stats(client_t *c, const cira__request_t *r) {
  char *text = stats_json(c->server);
  answer_t *a = answer(c, r, text ? CIRA_OK : CIRA_E_NOMEM);
  if (text) {
    a->owned = text;
    a->body = (const uint8_t *)text;
    a->body_bytes = a->header.length = strlen(text);
  }
}

/* Until the handshake is over nothing else is answered. Returns false when
 * the client must go. */
static bool apply_handshake(client_t *c, const cira__request_t *r) {
  server_t *s = c->server;
  if (c->state == CLIENT_NEW && r->header.op == CIRA__OP_HELLO) {
    memcpy(c->nonce_theirs, r->data, CIRA__AUTH_BYTES);
    cira__auth_nonce(c->nonce_ours);
    c->descriptors = r->header.flags & CIRA__HELLO_F_DESCRIPTORS;
    cira_status_t status =
        c->descriptors && !c->local ? CIRA_E_UNSUPPORTED : CIRA_OK;
    answer_t *a = answer(c, r, status);
    a->header.result = s->size_bytes;
    a->header.flags =
        (uint16_t)((s->token ? CIRA__HELLO_F_TOKEN : 0) |
                   (s->kernels_count ? CIRA__HELLO_F_KERNELS : 0));
    answer_small(a, c->nonce_ours);
    c->state = s->token ? CLIENT_CHALLENGED : CLIENT_READY;
    c->closing = status != CIRA_OK;
    return true;
  }
  if (c->state == CLIENT_CHALLENGED && r->header.op == CIRA__OP_PROOF) {
    uint8_t proof[CIRA__AUTH_BYTES];
    cira__auth_proof(s->key, CIRA__AUTH_CLIENT, c->nonce_theirs, c->nonce_ours,
                     proof);
    if (!cira__auth_equal(proof, r->data)) {
      CIRA_LOG(CIRA_LOG_WARN, "memd: client %u (%s): wrong token; closed",
               c->number, c->peer);
      answer(c, r, CIRA_E_AUTH);
      c->closing = true;
      return true;
    }
    cira__auth_proof(s->key, CIRA__AUTH_SERVER, c->nonce_theirs, c->nonce_ours,
                     proof);
    answer_small(answer(c, r, CIRA_OK), proof);
    c->state = CLIENT_READY;
    return true;
  }
  return false;
}

/* Hands the connection to a session of kernels, which is the client from now
 * on. */
static void apply_kernels(client_t *c, const cira__request_t *r) {
  server_t *s = c->server;
  int control = -1;
  cira_status_t status = CIRA_OK;
  if (s->kernels_count == 0 || c->session) {
    status = CIRA_E_UNSUPPORTED;
  } else if (s->sessions >= SESSIONS_MAX) {
    status = CIRA_E_QUOTA;
  } else {
    status = kernels_session_start(s->kernels, s->kernels_count, c->source.fd,
                                   r->header.id, &control);
  }
  if (status != CIRA_OK) {
    if (status == CIRA_E_SYSTEM) {
      CIRA_LOG(CIRA_LOG_WARN, "memd: %s", cira_status_detail());
    }
    answer(c, r, status);
    return;
  }
  loop_unwatch(c);
  (void)close(c->source.fd);
  c->source.fd = control;
  c->session = c->local = c->descriptors = true;
  s->sessions++;
  s->sessions_seen++;
  if (loop_watch(s, &c->source, EPOLLIN) != CIRA_OK) {
    c->closing = true;
  }
  c->watching = EPOLLIN;
}

/* What only a session takes. False for what has no answer. */
static bool apply_for_session(client_t *c, const cira__request_t *r) {
  answer_t *a;
  switch (r->header.op) {
  case CIRA__OP_FIND:
    answer(c, r, CIRA_E_UNSUPPORTED);
    return true;
  case CIRA__OP_CALL:
    a = answer(c, r, CIRA_E_UNSUPPORTED);
    a->body_bytes = a->header.length = cira__call_reply_bytes(&r->call);
    return true;
  default:
    return false;
  }
}

static bool apply(client_t *c, const cira__request_t *r) {
  if (c->state != CLIENT_READY) {
    return apply_handshake(c, r);
  }
  switch (r->header.op) {
  case CIRA__OP_HELLO:
  case CIRA__OP_PROOF:
    return false; /* once is enough */
  case CIRA__OP_OPEN:
  case CIRA__OP_ATTACH:
    apply_open(c, r);
    return true;
  case CIRA__OP_STATS:
    apply_stats(c, r);
    return true;
  case CIRA__OP_KERNELS:
    if (c->rx_tail - c->rx_head != CIRA__REQUEST_BYTES) {
      return false; /* what follows would be lost */
    }
    apply_kernels(c, r);
    return true;
  case CIRA__OP_FIND:
  case CIRA__OP_CALL:
  case CIRA__OP_CANCEL:
    return apply_for_session(c, r);
  default:
    apply_region(c, r);
    return true;
  }
}

/* Applies the requests that are complete in rx. False when the client ended.
 * Stops when its answers have to leave first. */
static bool apply_all(client_t *c, uint64_t *out_need) {
  *out_need = CIRA__REQUEST_BYTES;
  c->stalled = false;
  while (!c->closing && c->rx_head != c->rx_tail) {
    cira__request_t r;
    const char *why = NULL;
    int64_t n = cira__request_parse(c->rx + c->rx_head, c->rx_tail - c->rx_head,
                                    &r, out_need, &why);
    if (n == 0) {
      break;
    }
    if (n < 0) {
      client_end(c, why, true);
      return false;
    }
    if (tx_count(c) == TX_MAX || conflicts(c, &r)) {
      if (!flush(c)) {
        return false;
      }
      if (tx_count(c) == TX_MAX || conflicts(c, &r)) {
        c->stalled = true;
        break;
      }
    }
    if (!apply(c, &r)) {
      client_end(c, "sent a request out of turn", true);
      return false;
    }
    c->rx_head += (uint64_t)n;
  }
  return true;
}

/* Makes room for a request of `need` bytes at the front of rx. */
static void rx_compact(client_t *c, uint64_t need) {
  if (c->rx_head == c->rx_tail) {
    c->rx_head = c->rx_tail = 0;
  } else if (CLIENT_RX_BYTES - c->rx_head < need) {
    memmove(c->rx, c->rx + c->rx_head, c->rx_tail - c->rx_head);
    c->rx_tail -= c->rx_head;
    c->rx_head = 0;
  }
}

bool client_serve(client_t *c) {
  uint64_t need;
  if (c->dead || (c->stalled && !flush(c)) || !apply_all(c, &need)) {
    return true;
  }
  bool work = false;
  if (!c->stalled && !c->closing) {
    rx_compact(c, need);
    uint64_t room = CLIENT_RX_BYTES - c->rx_tail;
    long n = cira__sys_recv(c->source.fd, c->rx + c->rx_tail,
                            cira__min_u64(room, RECEIVE_BYTES), MSG_DONTWAIT);
    if (n == 0) {
      client_end(c, "left", false);
      return true;
    }
    if (n < 0 && n != -EAGAIN && n != -EINTR) {
      client_end(c, "went away", false);
      return true;
    }
    if (n > 0) {
      work = true;
      c->rx_tail += (uint64_t)n;
      if (!apply_all(c, &need)) {
        return true;
      }
    }
  }
  if (!flush(c)) {
    return true;
  }
  if (c->closing && tx_count(c) == 0) {
    client_end(c, "refused", false);
    return true;
  }
  loop_rewatch(c, (c->stalled || c->closing ? 0 : EPOLLIN) |
                      (tx_count(c) || c->stalled ? EPOLLOUT : 0));
  return work;
}
