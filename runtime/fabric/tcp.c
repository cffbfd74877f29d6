/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp and unix: many requests per send, many replies per receive.
 *
 * Posts are framed into a send buffer that leaves at poll (or when it is big).
 * The server answers in order, so the requests under way are a ring and we
 * know what the next bytes are: the receive vector is built from the ring, and
 * the bytes of reads land in their destinations without a copy. An op whose
 * deadline passed is completed and its place in the ring forgets where the
 * bytes should go; they are drained into a scratch buffer when they come.
 *
 * Invariants: id of ring place i is i (free-running); live + abandoned =
 * tail - head; head_have < size of the head's reply.
 * Threads: caller-serialised; post and poll are signal-safe, all memory is
 * taken at connect.
 */
#include "base/sys.h"
#include "fabric/internal.h"
#include "fabric/link.h"

#include <string.h>
#include <sys/epoll.h>

#define TX_BYTES (2 * CIRA__REQUEST_MAX_BYTES)
#define TX_PUSH_BYTES (64u << 10)  /* 64 KiB: send without waiting for poll */
#define DRAIN_BYTES (64u << 10)    /* 64 KiB: where late replies go */
#define RECEIVE_IOV 128u           /* 64 replies to reads */
#define RECEIVE_IOV_FIRST 8u       /* after a poll that found nothing */
#define RECEIVE_BYTES (512u << 10) /* 512 KiB per call */
#define LIVENESS_NS 1000000u       /* 1 ms between looks at an idle socket */

/* One request under way. */
typedef struct {
  cira_fabric_op_t *op; /* NULL = abandoned */
  uint8_t *dst;         /* of the body; NULL = drain it */
  uint64_t body_bytes;
  uint8_t code;
  cira__wire_reply_t reply;
} place_t;

typedef struct {
  uint32_t number; /* the server's; 0 = free */
  uint64_t bytes;
} tcp_region_t;

typedef struct {
  cira_fabric_t base;
  int fd;
  int epoll_fd;
  bool send_blocked; /* epoll also looks for room to send */
  bool burst;        /* what was asked for last came, and all of it */
  cira_status_t broken;
  int32_t completed; /* since the last poll */
  uint32_t live;
  uint32_t head; /* free-running */
  uint32_t tail;
  uint32_t mask;
  uint64_t head_have;   /* bytes of the head's reply that have come */
  uint64_t deadline_ns; /* no op under way is overdue before that */
  uint64_t looked_ns;
  uint64_t tx_head;
  uint64_t tx_tail;
  tcp_region_t region[CIRA__REGIONS_MAX];
  uint64_t total_bytes; /* of this allocation */
  place_t *place;
  uint8_t *tx;
  uint8_t *drain;
} tcp_t;

static place_t *place_of(tcp_t *t, uint32_t index) {
  return &t->place[index & t->mask];
}

static void complete(tcp_t *t, place_t *p, cira_status_t status) {
  cira_fabric_op_t *op = p->op;
  if (op) {
    p->op = NULL;
    t->live--;
    t->completed++;
    cira__op_complete(op, status);
  }
}

/* The end of the connection: everything pending ends with `status`. */
static CIRA_COLD cira_status_t broke(tcp_t *t, cira_status_t status) {
  t->broken = status;
  for (; t->head != t->tail; t->head++) {
    complete(t, place_of(t, t->head), status);
  }
  t->tx_head = t->tx_tail = 0;
  return status;
}

/* ---- sending ------------------------------------------------------------ */

static void watch_send(tcp_t *t, bool blocked) {
  if (t->send_blocked == blocked) {
    return;
  }
  struct epoll_event e = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0)};
  (void)CIRA__SYS(SYS_epoll_ctl, t->epoll_fd, EPOLL_CTL_MOD, t->fd, &e, 0, 0);
  t->send_blocked = blocked;
}

static cira_status_t push(tcp_t *t) {
  while (t->tx_head != t->tx_tail) {
    long n = cira__sys_send(t->fd, t->tx + t->tx_head, t->tx_tail - t->tx_head,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == -EAGAIN || n == -EINTR) {
      watch_send(t, true);
      return CIRA_OK;
    }
    if (n < 0) {
      return broke(t, cira__link_broken(t->base.url, (int)-n));
    }
    t->tx_head += (uint64_t)n;
  }
  t->tx_head = t->tx_tail = 0;
  watch_send(t, false);
  return CIRA_OK;
}

/* Makes `bytes` of contiguous room at tx_tail, without blocking. */
static cira_status_t room_make(tcp_t *t, uint64_t bytes) {
  if (CIRA_LIKELY(TX_BYTES - t->tx_tail >= bytes)) {
    return CIRA_OK;
  }
  cira_status_t s = push(t);
  if (s != CIRA_OK) {
    return s;
  }
  if (TX_BYTES - t->tx_tail < bytes && t->tx_head) {
    memmove(t->tx, t->tx + t->tx_head, t->tx_tail - t->tx_head);
    t->tx_tail -= t->tx_head;
    t->tx_head = 0;
  }
  return TX_BYTES - t->tx_tail >= bytes ? CIRA_OK : CIRA_AGAIN;
}

/* Room for one more request of `bytes`, or the reason why there is none. */
static cira_status_t post_room(tcp_t *t, uint64_t bytes) {
  if (CIRA_UNLIKELY(t->broken != CIRA_OK)) {
    return cira__fail(t->broken, "%s: the connection is over", t->base.url);
  }
  if (CIRA_UNLIKELY(t->live >= t->base.opt.inflight_max)) {
    return CIRA_AGAIN;
  }
  if (CIRA_UNLIKELY(t->tail - t->head > t->mask)) {
    /* Full of requests whose deadlines have passed: nobody is there. */
    return broke(t, cira__fail(CIRA_E_DISCONNECTED,
                               "%s: the server has not answered %u requests "
                               "within their deadlines",
                               t->base.url, t->tail - t->head - t->live));
  }
  return room_make(t, bytes);
}

/* Frames a request whose room was checked; the body goes behind it. Returns
 * where. */
static uint8_t *post_frame(tcp_t *t, cira__wire_request_t *request,
                           uint64_t body_bytes, void *dst, uint64_t reply_bytes,
                           uint64_t deadline_ns, cira_fabric_op_t *op) {
  request->version = CIRA__PROTO_VERSION;
  request->id = t->tail;
  uint8_t *at = t->tx + t->tx_tail;
  memcpy(at, request, CIRA__REQUEST_BYTES);
  t->tx_tail += CIRA__REQUEST_BYTES + body_bytes;
  op->deadline_ns = cira__deadline(&t->base, deadline_ns);
  op->id = t->tail;
  op->status = CIRA_PENDING;
  *place_of(t, t->tail) = (place_t){
      .op = op, .dst = dst, .body_bytes = reply_bytes, .code = request->op};
  if (t->live++ == 0 || op->deadline_ns < t->deadline_ns) {
    t->deadline_ns = op->deadline_ns;
  }
  t->tail++;
  return at + CIRA__REQUEST_BYTES;
}

static void post_done(tcp_t *t) {
  if (t->tx_tail - t->tx_head >= TX_PUSH_BYTES && !t->send_blocked) {
    (void)push(t); /* what breaks here shows in the op's status */
  }
}

/* ---- receiving ---------------------------------------------------------- */

/* The vector of the bytes that come next, of at most `most` pieces. Returns its
 * length; *out_bytes is what it takes in. */
static uint32_t expect(tcp_t *t, struct iovec *iov, uint32_t most,
                       uint64_t *out_bytes) {
  uint32_t n = 0;
  uint64_t sum = 0;
  uint64_t skip = t->head_have;
  for (uint32_t i = t->head;
       i != t->tail && n + 2 <= most && sum < RECEIVE_BYTES; i++) {
    place_t *p = place_of(t, i);
    if (skip < CIRA__REPLY_BYTES) {
      iov[n++] =
          (struct iovec){(uint8_t *)&p->reply + skip, CIRA__REPLY_BYTES - skip};
      sum += CIRA__REPLY_BYTES - skip;
      skip = CIRA__REPLY_BYTES;
    }
    uint64_t done = skip - CIRA__REPLY_BYTES;
    uint64_t left = p->body_bytes - done;
    skip = 0;
    if (left == 0) {
      continue;
    }
    if (p->dst) {
      iov[n++] = (struct iovec){p->dst + done, left};
      sum += left;
      continue;
    }
    uint64_t piece = cira__min_u64(left, DRAIN_BYTES);
    iov[n++] = (struct iovec){t->drain, piece};
    sum += piece;
    if (piece < left) {
      break; /* the rest next time */
    }
  }
  *out_bytes = sum;
  return n;
}

/* Completes the ops whose replies are in. `bytes` came. */
static cira_status_t arrived(tcp_t *t, uint64_t bytes) {
  bytes += t->head_have;
  while (t->head != t->tail) {
    place_t *p = place_of(t, t->head);
    if (bytes < CIRA__REPLY_BYTES) {
      break;
    }
    const char *why = NULL;
    cira__wire_reply_t reply;
    cira_status_t s = cira__reply_parse((const uint8_t *)&p->reply, p->code,
                                        t->head, p->body_bytes, &reply, &why);
    if (CIRA_UNLIKELY(s != CIRA_OK)) {
      return broke(t,
                   cira__fail(s, "%s: the server sent %s", t->base.url, why));
    }
    if (bytes < CIRA__REPLY_BYTES + p->body_bytes) {
      break;
    }
    bytes -= CIRA__REPLY_BYTES + p->body_bytes;
    if (p->op) {
      if (CIRA_UNLIKELY(reply.status != CIRA_OK)) {
        cira__link_refused(t->base.url, &reply);
      }
      p->op->result = reply.result;
      p->op->backend[0] = (void *)(uintptr_t)reply.region;
      complete(t, p, reply.status);
    }
    t->head++;
  }
  t->head_have = bytes;
  return CIRA_OK;
}

/* Who spins polls in vain most of the time: while nothing comes, the vector is
 * short, which neither we nor the kernel need long for. */
static cira_status_t receive(tcp_t *t) {
  while (t->head != t->tail) {
    struct iovec iov[RECEIVE_IOV];
    uint64_t want;
    struct msghdr msg = {.msg_iov = iov};
    msg.msg_iovlen =
        expect(t, iov, t->burst ? RECEIVE_IOV : RECEIVE_IOV_FIRST, &want);
    long n = cira__sys_recvmsg(t->fd, &msg, MSG_DONTWAIT);
    if (n == -EAGAIN || n == -EINTR) {
      t->burst = false;
      return CIRA_OK;
    }
    if (n <= 0) {
      return broke(t, cira__link_broken(t->base.url, (int)-n));
    }
    cira_status_t s = arrived(t, (uint64_t)n);
    if (s != CIRA_OK || (uint64_t)n < want) {
      return s;
    }
    t->burst = true;
  }
  return CIRA_OK;
}

static CIRA_COLD void overdue(tcp_t *t, uint64_t now_ns) {
  uint64_t next_ns = UINT64_MAX;
  for (uint32_t i = t->head; i != t->tail; i++) {
    place_t *p = place_of(t, i);
    if (!p->op) {
      continue;
    }
    if (p->op->deadline_ns <= now_ns) {
      p->dst = NULL;
      cira__fail(CIRA_E_DEADLINE, "%s: no answer within the deadline",
                 t->base.url);
      complete(t, p, CIRA_E_DEADLINE);
    } else {
      next_ns = cira__min_u64(next_ns, p->op->deadline_ns);
    }
  }
  t->deadline_ns = next_ns;
}

static int32_t tcp_poll(cira_fabric_t *f) {
  tcp_t *t = (tcp_t *)f;
  if (CIRA_UNLIKELY(t->broken != CIRA_OK)) {
    return t->broken;
  }
  if ((t->tx_head != t->tx_tail && push(t) != CIRA_OK) ||
      receive(t) != CIRA_OK) {
    return t->broken;
  }
  uint64_t now_ns = cira__now_ns();
  if (t->live) {
    if (CIRA_UNLIKELY(now_ns >= t->deadline_ns)) {
      overdue(t, now_ns);
    }
  } else if (t->head == t->tail && now_ns - t->looked_ns >= LIVENESS_NS) {
    t->looked_ns = now_ns;
    if (cira__link_gone(t->fd)) {
      return broke(t, cira__link_broken(f->url, 0));
    }
  }
  int32_t n = t->completed;
  t->completed = 0;
  return n;
}

static int tcp_wait_fd(cira_fabric_t *f) {
  return ((tcp_t *)f)->epoll_fd;
}

/* ---- the data path ------------------------------------------------------ */

static inline tcp_region_t *region_of(tcp_t *t, cira_region_t id) {
  if (CIRA_UNLIKELY(id - 1 >= CIRA__REGIONS_MAX || !t->region[id - 1].number)) {
    cira__fail_region(&t->base, id);
    return NULL;
  }
  return &t->region[id - 1];
}

static cira_status_t tcp_post_read(cira_fabric_t *f, cira_region_t region,
                                   uint64_t offset, void *dst, uint64_t bytes,
                                   uint64_t deadline_ns, cira_fabric_op_t *op) {
  tcp_t *t = (tcp_t *)f;
  tcp_region_t *r = region_of(t, region);
  cira_status_t s = r ? cira__range_check(f, "read", r->bytes, offset, bytes)
                      : CIRA_E_INVALID;
  if (CIRA_UNLIKELY(s == CIRA_OK && bytes > CIRA_FABRIC_OP_MAX_BYTES)) {
    s = cira__fail(CIRA_E_RANGE, "%s: a read of %llu bytes; split it at %u",
                   f->url, (unsigned long long)bytes, CIRA_FABRIC_OP_MAX_BYTES);
  }
  s = s == CIRA_OK ? post_room(t, CIRA__REQUEST_BYTES) : s;
  if (CIRA_UNLIKELY(s != CIRA_OK)) {
    return cira__op_refuse(op, s);
  }
  cira__wire_request_t request = {.op = CIRA__OP_READ,
                                  .region = r->number,
                                  .offset = offset,
                                  .length = bytes};
  (void)post_frame(t, &request, 0, dst, bytes, deadline_ns, op);
  post_done(t);
  return CIRA_OK;
}

static cira_status_t tcp_post_write(cira_fabric_t *f, cira_region_t region,
                                    const cira_fabric_seg_t *segs,
                                    uint32_t seg_count, uint64_t deadline_ns,
                                    cira_fabric_op_t *op) {
  tcp_t *t = (tcp_t *)f;
  tcp_region_t *r = region_of(t, region);
  uint64_t sum = 0;
  cira_status_t s =
      r ? cira__segs_check(f, r->bytes, segs, seg_count, &sum) : CIRA_E_INVALID;
  uint64_t body = seg_count * sizeof(cira__wire_seg_t) + sum;
  s = s == CIRA_OK ? post_room(t, CIRA__REQUEST_BYTES + body) : s;
  if (CIRA_UNLIKELY(s != CIRA_OK)) {
    return cira__op_refuse(op, s);
  }
  cira__wire_request_t request = {.op = CIRA__OP_WRITE,
                                  .region = r->number,
                                  .count = seg_count,
                                  .length = body};
  uint8_t *at = post_frame(t, &request, body, NULL, 0, deadline_ns, op);
  uint8_t *data = at + seg_count * sizeof(cira__wire_seg_t);
  for (uint32_t i = 0; i < seg_count; i++) {
    cira__wire_seg_t seg = {.offset = segs[i].offset, .bytes = segs[i].bytes};
    memcpy(at, &seg, sizeof(seg));
    memcpy(data, segs[i].src, segs[i].bytes);
    at += sizeof(seg);
    data += segs[i].bytes;
  }
  post_done(t);
  return CIRA_OK;
}

static cira_status_t tcp_post_atomic(cira_fabric_t *f, cira_region_t region,
                                     cira_fabric_atomic_t kind, uint64_t offset,
                                     uint64_t operand, uint64_t compare,
                                     uint64_t deadline_ns,
                                     cira_fabric_op_t *op) {
  tcp_t *t = (tcp_t *)f;
  tcp_region_t *r = region_of(t, region);
  cira__wire_atomic_t operands = {.operand = operand, .compare = compare};
  cira_status_t s =
      r ? cira__range_check(f, "atomic", r->bytes, offset, 8) : CIRA_E_INVALID;
  if (CIRA_UNLIKELY(s == CIRA_OK && (offset % 8 || kind > CIRA_FABRIC_CAS))) {
    s = cira__fail(CIRA_E_INVALID,
                   "%s: atomic of kind %u at %llu; offsets are multiples of 8",
                   f->url, (unsigned)kind, (unsigned long long)offset);
  }
  s = s == CIRA_OK ? post_room(t, CIRA__REQUEST_BYTES + sizeof(operands)) : s;
  if (CIRA_UNLIKELY(s != CIRA_OK)) {
    return cira__op_refuse(op, s);
  }
  cira__wire_request_t request = {.op = CIRA__OP_ATOMIC,
                                  .flags = (uint16_t)kind,
                                  .region = r->number,
                                  .offset = offset,
                                  .length = sizeof(operands)};
  memcpy(post_frame(t, &request, sizeof(operands), NULL, 0, deadline_ns, op),
         &operands, sizeof(operands));
  post_done(t);
  return CIRA_OK;
}

static cira_status_t tcp_post_discard(cira_fabric_t *f, cira_region_t region,
                                      uint64_t offset, uint64_t bytes,
                                      uint64_t deadline_ns,
                                      cira_fabric_op_t *op) {
  tcp_t *t = (tcp_t *)f;
  tcp_region_t *r = region_of(t, region);
  cira_status_t s = r ? cira__range_check(f, "discard", r->bytes, offset, bytes)
                      : CIRA_E_INVALID;
  s = s == CIRA_OK ? post_room(t, CIRA__REQUEST_BYTES) : s;
  if (CIRA_UNLIKELY(s != CIRA_OK)) {
    return cira__op_refuse(op, s);
  }
  cira__wire_request_t request = {.op = CIRA__OP_DISCARD,
                                  .region = r->number,
                                  .offset = offset,
                                  .length = bytes};
  (void)post_frame(t, &request, 0, NULL, 0, deadline_ns, op);
  post_done(t);
  return CIRA_OK;
}

/* ---- the control path --------------------------------------------------- */

/* One request and its answer, in line with the data requests before it. */
static cira_status_t control(tcp_t *t, cira__wire_request_t *request,
                             const void *body, uint64_t body_bytes, void *reply,
                             uint64_t reply_bytes, cira_fabric_op_t *op) {
  uint64_t deadline_ns = cira__deadline(&t->base, 0);
  cira_status_t s;
  *op = (cira_fabric_op_t){0};
  while ((s = post_room(t, CIRA__REQUEST_BYTES + body_bytes)) == CIRA_AGAIN) {
    int32_t n = tcp_poll(&t->base);
    if (n < 0) {
      return n;
    }
    if (cira__now_ns() > deadline_ns) {
      return cira__fail(CIRA_E_DEADLINE,
                        "%s: no room for a request within the deadline",
                        t->base.url);
    }
  }
  if (s != CIRA_OK) {
    return s;
  }
  uint8_t *at =
      post_frame(t, request, body_bytes, reply, reply_bytes, deadline_ns, op);
  if (body_bytes) {
    memcpy(at, body, body_bytes);
  }
  return cira_fabric_wait(&t->base, op);
}

static cira_status_t region_enter(tcp_t *t, const cira_fabric_op_t *op,
                                  uint64_t bytes, cira_region_t *out) {
  uint32_t number = (uint32_t)(uintptr_t)op->backend[0];
  for (uint32_t i = 0; i < CIRA__REGIONS_MAX; i++) {
    if (!t->region[i].number) {
      t->region[i] = (tcp_region_t){.number = number, .bytes = bytes};
      *out = i + 1;
      return CIRA_OK;
    }
  }
  return cira__fail(CIRA_E_NOMEM, "%s: more than %u regions on one connection",
                    t->base.url, CIRA__REGIONS_MAX);
}

static cira_status_t tcp_region_open(cira_fabric_t *f, uint64_t bytes,
                                     cira_region_t *out) {
  cira_fabric_op_t op;
  cira__wire_request_t request = {.op = CIRA__OP_OPEN, .length = bytes};
  cira_status_t s = control((tcp_t *)f, &request, NULL, 0, NULL, 0, &op);
  return s == CIRA_OK ? region_enter((tcp_t *)f, &op, bytes, out) : s;
}

static cira_status_t tcp_region_attach(cira_fabric_t *f,
                                       const cira_ticket_t *ticket,
                                       cira_region_t *out,
                                       uint64_t *out_bytes) {
  cira_fabric_op_t op;
  cira__wire_request_t request = {.op = CIRA__OP_ATTACH,
                                  .length = sizeof(*ticket)};
  cira_status_t s =
      control((tcp_t *)f, &request, ticket, sizeof(*ticket), NULL, 0, &op);
  s = s == CIRA_OK ? region_enter((tcp_t *)f, &op, op.result, out) : s;
  if (s == CIRA_OK && out_bytes) {
    *out_bytes = op.result;
  }
  return s;
}

static cira_status_t region_control(cira_fabric_t *f, uint8_t code,
                                    cira_region_t region, int64_t delta,
                                    void *reply, uint64_t reply_bytes,
                                    cira_fabric_op_t *op) {
  tcp_region_t *r = region_of((tcp_t *)f, region);
  if (!r) {
    return CIRA_E_INVALID;
  }
  cira__wire_request_t request = {
      .op = code, .region = r->number, .offset = (uint64_t)delta};
  return control((tcp_t *)f, &request, NULL, 0, reply, reply_bytes, op);
}

static cira_status_t tcp_region_ticket(cira_fabric_t *f, cira_region_t region,
                                       cira_ticket_t *out) {
  cira_fabric_op_t op;
  cira_ticket_t ticket;
  cira_status_t s = region_control(f, CIRA__OP_TICKET, region, 0, &ticket,
                                   sizeof(ticket), &op);
  if (s == CIRA_OK) {
    *out = ticket;
  }
  return s;
}

static cira_status_t tcp_region_refs(cira_fabric_t *f, cira_region_t region,
                                     uint32_t *out) {
  cira_fabric_op_t op;
  cira_status_t s = region_control(f, CIRA__OP_REFS, region, 0, NULL, 0, &op);
  if (s == CIRA_OK) {
    *out = (uint32_t)op.result;
  }
  return s;
}

static cira_status_t tcp_region_hold(cira_fabric_t *f, cira_region_t region,
                                     int32_t delta) {
  cira_fabric_op_t op;
  return region_control(f, CIRA__OP_HOLD, region, delta, NULL, 0, &op);
}

static void tcp_region_close(cira_fabric_t *f, cira_region_t region) {
  cira_fabric_op_t op;
  tcp_t *t = (tcp_t *)f;
  if (region_of(t, region)) {
    (void)region_control(f, CIRA__OP_CLOSE, region, 0, NULL, 0, &op);
    t->region[region - 1] = (tcp_region_t){0};
  }
}

static cira_status_t tcp_region_commit(cira_fabric_t *f, cira_region_t region,
                                       int64_t bytes) {
  cira_fabric_op_t op;
  return region_control(f, CIRA__OP_COMMIT, region, bytes, NULL, 0, &op);
}

static cira_status_t tcp_region_map(cira_fabric_t *f, cira_region_t region,
                                    uint8_t **out) {
  (void)region;
  (void)out;
  return cira__fail(CIRA_E_UNSUPPORTED, "%s: its memory cannot be mapped",
                    f->url);
}

/* ---- life --------------------------------------------------------------- */

static uint32_t power_of_two(uint32_t at_least) {
  uint32_t n = 1;
  while (n < at_least) {
    n <<= 1;
  }
  return n;
}

/* Takes over a socket that is past the handshake. */
static cira_status_t tcp_create(int fd, const char *url,
                                const cira_fabric_ops_t *ops,
                                const cira_fabric_options_t *opt,
                                cira_fabric_t **out) {
  /* Twice the ops: as many again may be waiting for late replies. */
  uint32_t places = power_of_two(2 * opt->inflight_max);
  uint64_t head = cira__align_up(sizeof(tcp_t), CIRA_PAGE_BYTES);
  uint64_t ring = cira__align_up(places * sizeof(place_t), CIRA_PAGE_BYTES);
  uint64_t total = head + ring + TX_BYTES + DRAIN_BYTES;
  tcp_t *t = cira__pages_alloc(total);
  if (!t) {
    return CIRA_E_NOMEM;
  }
  cira__fabric_init(&t->base, ops, ops->flags, url, opt);
  t->total_bytes = total;
  t->mask = places - 1;
  t->place = (place_t *)((uint8_t *)t + head);
  t->drain = (uint8_t *)t + head + ring;
  t->tx = t->drain + DRAIN_BYTES;
  t->fd = fd;
  t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN};
  if (t->epoll_fd < 0 || epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
    cira_status_t s =
        cira__fail_errno(CIRA_E_SYSTEM, errno, "%s: no epoll", t->base.url);
    if (t->epoll_fd >= 0) {
      (void)cira__sys_close(t->epoll_fd);
    }
    cira__pages_free(t, total);
    return s;
  }
  t->epoll_fd = cira__fd_move_high(t->epoll_fd);
  *out = &t->base;
  return CIRA_OK;
}

cira_status_t cira__tcp_adopt(int fd, const char *url,
                              const cira_fabric_options_t *opt,
                              cira_fabric_t **out) {
  return tcp_create(fd, url, &cira__tcp_ops, opt, out);
}

static cira_status_t connect_as(const cira_fabric_ops_t *ops, const char *url,
                                const cira_fabric_options_t *opt,
                                cira_fabric_t **out) {
  int fd;
  cira_status_t s = cira__link_open(url, opt->token_file, false,
                                    cira__now_ns() + opt->deadline_ns, &fd);
  if (s != CIRA_OK) {
    return s;
  }
  s = tcp_create(fd, url, ops, opt, out);
  if (s != CIRA_OK) {
    (void)cira__sys_close(fd);
  }
  return s;
}

static cira_status_t tcp_connect(const char *url,
                                 const cira_fabric_options_t *opt,
                                 cira_fabric_t **out) {
  return connect_as(&cira__tcp_ops, url, opt, out);
}

static cira_status_t unix_connect(const char *url,
                                  const cira_fabric_options_t *opt,
                                  cira_fabric_t **out) {
  return connect_as(&cira__unix_ops, url, opt, out);
}

static void tcp_close(cira_fabric_t *f) {
  tcp_t *t = (tcp_t *)f;
  if (t->live) {
    (void)broke(t, CIRA_E_CLOSED);
  }
  (void)cira__sys_close(t->epoll_fd);
  (void)cira__sys_close(t->fd);
  cira__pages_free(t, t->total_bytes);
}

#define TCP_OPS(name, connector)                                               \
  {                                                                            \
      .size = sizeof(cira_fabric_ops_t),                                       \
      .flags = CIRA_FABRIC_F_REMOTE,                                           \
      .scheme = name,                                                          \
      .connect = connector,                                                    \
      .close = tcp_close,                                                      \
      .region_open = tcp_region_open,                                          \
      .region_attach = tcp_region_attach,                                      \
      .region_ticket = tcp_region_ticket,                                      \
      .region_refs = tcp_region_refs,                                          \
      .region_hold = tcp_region_hold,                                          \
      .region_close = tcp_region_close,                                        \
      .region_commit = tcp_region_commit,                                      \
      .region_map = tcp_region_map,                                            \
      .post_read = tcp_post_read,                                              \
      .post_write = tcp_post_write,                                            \
      .post_atomic = tcp_post_atomic,                                          \
      .post_discard = tcp_post_discard,                                        \
      .poll = tcp_poll,                                                        \
      .wait_fd = tcp_wait_fd,                                                  \
  }

const cira_fabric_ops_t cira__tcp_ops = TCP_OPS("tcp", tcp_connect);
const cira_fabric_ops_t cira__unix_ops = TCP_OPS("unix", unix_connect);
