/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to a memory server. The client's link is served by a thread of this
 * process (server.c); the functions of its table are stand-ins that carry the
 * calls of a message over a connection of their own, wait, and hand the results
 * on. Everything above the table (rings, places, deadlines, tasks, batches) is
 * the same as for a callee next door.
 *
 * Ranges of far memory are lent to the server for the time of a call
 * (space.h): so its kernels and this process never hold different bytes for
 * the same address.
 *
 * Threads: the session belongs to the serving thread once that runs; before
 * and after, to who makes and ends it.
 * Invariant: one request is under way, except for CANCEL, which has no reply.
 * A connection on which a reply stayed away is never used again.
 */
#include "call/internal.h"

#include "base/sys.h"
#include "fabric/internal.h"
#include "fabric/link.h"
#include "space/space.h"

#include <string.h>

#define CONTROL_NS UINT64_C(10000000000) /* 10 s for what should take none */
#define GRACE_NS UINT64_C(2000000000)    /* 2 s for an answer that is overdue */
#define SPIN_NS 20000u                   /* then sleep: kernels take longer */
#define SLICE_NS 10000000                /* 10 ms between looks at cancelling */
#define FIXED_MAX 8u
#define RESULT_MAX (CIRA_FABRIC_OP_MAX_BYTES - sizeof(cira__wire_called_t))
#define HEAD_MAX                                                               \
  (CIRA__REQUEST_BYTES + sizeof(cira__wire_call_t) +                           \
   CIRA_CALL_RANGE_MAX * sizeof(cira__wire_range_t))
#define BUFFER_BYTES (HEAD_MAX + CIRA_FABRIC_OP_MAX_BYTES)

_Static_assert(CIRA_CALL_RANGE_MAX == CIRA__CALL_RANGES_MAX, "the same");
_Static_assert(CIRA_CALL_RANGE_MAX <= CIRA_SPACE_LEND_MAX, "lent at once");
_Static_assert(CIRA_CALL_NAME_MAX == CIRA__CALL_NAME_BYTES_MAX, "the same");

typedef struct {
  cira__call_session_t *session;
  uint32_t number; /* the server's */
} function_t;

/* Memory that the server knows by one of its regions. */
typedef struct {
  uint32_t region; /* 0: none */
  uint64_t address, bytes;
} known_t;

struct cira__call_session {
  int fd;
  bool broken;
  uint32_t id;
  cira_call_table_t *table;
  cira_call_client_t *client;
  cira_space_t *space; /* NULL: none */
  uint32_t home_serial;
  known_t home; /* the space */
  known_t fixed[FIXED_MAX];
  uint32_t fixed_count;
  uint32_t function_count;
  function_t function[CIRA_CALL_FUNCTION_MAX];
  uint8_t *out; /* BUFFER_BYTES */
  uint8_t *in;  /* CIRA_FABRIC_OP_MAX_BYTES */
  char url[256];
};

/* ---- requests ----------------------------------------------------------- */

static cira_status_t broke(cira__call_session_t *s, cira_status_t status) {
  s->broken = true;
  return status;
}

/* Asks the server to stop what it runs for us. */
static void cancel_send(const cira__call_session_t *s, uint32_t id) {
  cira__wire_request_t request = {
      .version = CIRA__PROTO_VERSION, .op = CIRA__OP_CANCEL, .id = id};
  cira__link_t link = {s->fd, s->url, cira__now_ns() + CONTROL_NS};
  (void)cira__link_send(&link, &request, sizeof(request)); /* shows in recv */
}

static bool readable(const cira__call_session_t *s, int64_t wait_ns) {
  struct pollfd fd = {.fd = s->fd, .events = POLLIN};
  return cira__sys_poll(&fd, 1, wait_ns) > 0;
}

/* Until the reply begins to come in. A frame: of the call, which may be given
 * up. */
static cira_status_t reply_await(cira__call_session_t *s, uint32_t id,
                                 const cira_call_frame_t *frame,
                                 uint64_t deadline_ns) {
  uint64_t spin_until_ns = cira__now_ns() + SPIN_NS;
  bool asked = false;
  for (;;) {
    uint64_t now_ns = cira__now_ns();
    if (readable(s, now_ns < spin_until_ns ? 0 : SLICE_NS)) {
      return CIRA_OK;
    }
    if (now_ns >= deadline_ns) {
      return broke(s, cira__fail(CIRA_E_DISCONNECTED,
                                 "%s: the server does not answer", s->url));
    }
    if (frame && cira_call_cancelled(frame)) {
      /* relaxed: a hint */
      if (__atomic_load_n(&s->client->view.link->stop, __ATOMIC_RELAXED)) {
        return broke(s, CIRA_E_CANCELLED); /* the server notices that we go */
      }
      if (!asked) {
        cancel_send(s, id);
      }
      asked = true;
    }
  }
}

/* Sends what lies in s->out (header and `body_bytes` behind it) and receives
 * the reply with `reply_bytes` into s->in. Returns CIRA_OK when one came,
 * whatever its status. */
static cira_status_t talk(cira__call_session_t *s, cira__wire_request_t *h,
                          uint64_t body_bytes, uint64_t reply_bytes,
                          const cira_call_frame_t *frame, uint64_t deadline_ns,
                          cira__wire_reply_t *out) {
  uint8_t head[CIRA__REPLY_BYTES];
  const char *why = NULL;
  if (s->broken) {
    return cira__fail(CIRA_E_DISCONNECTED,
                      "%s: the connection is over; make a new client", s->url);
  }
  h->version = CIRA__PROTO_VERSION;
  h->id = ++s->id;
  memcpy(s->out, h, CIRA__REQUEST_BYTES);
  cira__link_t link = {s->fd, s->url, cira__now_ns() + CONTROL_NS};
  cira_status_t status =
      cira__link_send(&link, s->out, CIRA__REQUEST_BYTES + body_bytes);
  if (status == CIRA_OK) {
    status = reply_await(s, h->id, frame, deadline_ns);
    link.deadline_ns = cira__now_ns() + CONTROL_NS;
  }
  if (status == CIRA_OK) {
    status = cira__link_recv(&link, head, sizeof(head), NULL);
  }
  if (status == CIRA_OK) {
    status = cira__reply_parse(head, h->op, h->id, reply_bytes, out, &why);
    if (status != CIRA_OK) {
      (void)cira__fail(status, "%s: the server sent %s", s->url, why);
    }
  }
  if (status == CIRA_OK && reply_bytes) {
    status = cira__link_recv(&link, s->in, reply_bytes, NULL);
  }
  return status == CIRA_OK ? CIRA_OK : broke(s, status);
}

static cira_status_t attach(cira__call_session_t *s, const uint8_t ticket[32],
                            uint64_t address, known_t *out) {
  cira__wire_reply_t reply;
  cira__wire_request_t h = {
      .op = CIRA__OP_ATTACH, .offset = address, .length = 32};
  memcpy(s->out + CIRA__REQUEST_BYTES, ticket, 32);
  cira_status_t status =
      talk(s, &h, 32, 0, NULL, cira__now_ns() + CONTROL_NS, &reply);
  if (status != CIRA_OK) {
    return status;
  }
  if (reply.status == CIRA_E_INVALID) {
    return cira__fail(CIRA_E_RANGE,
                      "%s: this server does not keep the memory that the call "
                      "names",
                      s->url);
  }
  if (reply.status != CIRA_OK) {
    return cira__link_refused(s->url, &reply);
  }
  *out = (known_t){reply.region, address, reply.result};
  return CIRA_OK;
}

cira_status_t cira__call_session_region(cira_call_client_t *client,
                                        const uint8_t ticket[32],
                                        uint64_t address) {
  cira__call_session_t *s = client->session;
  if (s->fixed_count == FIXED_MAX) {
    return cira__fail(CIRA_E_QUOTA, "call: more than %u regions", FIXED_MAX);
  }
  cira_status_t status = attach(s, ticket, address, &s->fixed[s->fixed_count]);
  s->fixed_count += status == CIRA_OK;
  return status;
}

/* ---- ranges ------------------------------------------------------------- */

/* The server must know the region that the space writes to now; a fork begins
 * another one. */
static cira_status_t home_attach(cira__call_session_t *s) {
  cira_space_home_t home;
  if (s->home.region && s->home_serial == cira_space_home_serial(s->space)) {
    return CIRA_OK;
  }
  cira_status_t status = cira_space_home(s->space, &home);
  if (status == CIRA_OK) {
    status = attach(s, home.ticket.bytes, home.base, &s->home);
    s->home_serial = home.serial;
  }
  return status;
}

static bool inside(const known_t *k, const cira_call_range_t *r) {
  return k->region && (uintptr_t)r->at >= k->address &&
         cira__range_ok((uintptr_t)r->at - k->address, r->bytes, k->bytes);
}

/* Says in the server's words what a range is; far memory is to be lent. */
static cira_status_t range_translate(const cira__call_session_t *s,
                                     const cira_call_range_t *r,
                                     cira__wire_range_t *out,
                                     cira_space_lend_t *lend, uint32_t *lent) {
  const known_t *k = inside(&s->home, r) ? &s->home : NULL;
  for (uint32_t i = 0; i < s->fixed_count && !k; i++) {
    k = inside(&s->fixed[i], r) ? &s->fixed[i] : NULL;
  }
  if (!k) {
    return cira__fail(CIRA_E_RANGE,
                      "call: %llu bytes at %p are not in far memory that %s "
                      "keeps",
                      (unsigned long long)r->bytes, r->at, s->url);
  }
  *out = (cira__wire_range_t){.region = k->region,
                              .access = r->access,
                              .offset = (uintptr_t)r->at - k->address,
                              .bytes = r->bytes};
  if (k == &s->home && (r->access & CIRA_CALL_AT_HOME) == 0) {
    lend[(*lent)++] = (cira_space_lend_t){r->at, r->bytes,
                                          (r->access & CIRA_CALL_WRITE) != 0};
  }
  return CIRA_OK;
}

/* Puts the ranges behind the call in s->out and lends them. */
static cira_status_t ranges_lend(cira__call_session_t *s,
                                 const cira__call_ranges_t *ranges,
                                 cira_space_lend_t *lend, uint32_t *lent) {
  uint8_t *at = s->out + CIRA__REQUEST_BYTES + sizeof(cira__wire_call_t);
  cira_status_t status = CIRA_OK;
  *lent = 0;
  for (uint32_t i = 0; i < ranges->count && status == CIRA_OK; i++) {
    cira__wire_range_t wire;
    if (s->space && cira_space_contains(ranges->range[i].at)) {
      status = home_attach(s);
    }
    if (status == CIRA_OK) {
      status = range_translate(s, &ranges->range[i], &wire, lend, lent);
    }
    if (status == CIRA_OK) {
      memcpy(at, &wire, sizeof(wire));
      at += sizeof(wire);
    }
  }
  return status == CIRA_OK && *lent ? cira_space_lend(s->space, lend, *lent)
                                    : status;
}

/* ---- calls -------------------------------------------------------------- */

/* Some calls of a frame, from number `first` on, in one message. Adds those
 * that succeeded to frame->done. */
static cira_status_t call_some(function_t *f, cira_call_frame_t *frame,
                               uint32_t range_count, uint32_t first,
                               uint32_t count) {
  cira__call_session_t *s = f->session;
  cira__wire_call_t call = {.version = CIRA__CALL_WIRE_VERSION,
                            .function = f->number,
                            .count = count,
                            .args_bytes = frame->args_bytes,
                            .result_bytes = frame->result_max};
  uint64_t head = sizeof(call) + range_count * sizeof(cira__wire_range_t);
  uint64_t args = (uint64_t)count * frame->args_bytes;
  uint64_t deadline_ns = cira__call_frame_deadline(frame);
  uint64_t now_ns = cira__now_ns();
  cira__wire_request_t h = {
      .op = CIRA__OP_CALL, .count = range_count, .length = head + args};
  if (deadline_ns != CIRA_FOREVER) {
    if (now_ns >= deadline_ns) {
      return CIRA_E_DEADLINE;
    }
    h.offset = deadline_ns - now_ns;
    deadline_ns = deadline_ns < UINT64_MAX - GRACE_NS ? deadline_ns + GRACE_NS
                                                      : CIRA_FOREVER;
  }
  uint8_t *body = s->out + CIRA__REQUEST_BYTES;
  memcpy(body, &call, sizeof(call));
  if (args) {
    memcpy(body + head,
           (const uint8_t *)frame->args + (uint64_t)first * frame->args_bytes,
           args);
  }
  cira__wire_reply_t reply;
  cira__wire_called_t called;
  cira_status_t status = talk(s, &h, head + args, cira__call_reply_bytes(&call),
                              frame, deadline_ns, &reply);
  if (status != CIRA_OK) {
    return status;
  }
  memcpy(&called, s->in, sizeof(called));
  if (called.done > count || called.result_bytes > frame->result_max) {
    return broke(s, cira__fail(CIRA_E_PROTOCOL,
                               "%s: the server says that a kernel did more "
                               "than it was asked",
                               s->url));
  }
  uint64_t results = (uint64_t)called.done * frame->result_max;
  if (results) {
    memcpy((uint8_t *)frame->result + (uint64_t)first * frame->result_max,
           s->in + sizeof(called), results);
  }
  frame->done += called.done;
  frame->result_bytes = called.result_bytes;
  called.detail[sizeof(called.detail) - 1] = 0;
  return reply.status == CIRA_OK
             ? CIRA_OK
             : cira__fail(reply.status, "%s", called.detail);
}

/* Stands for a kernel in the table of the link. */
static cira_status_t stand_in(cira_call_frame_t *frame) {
  function_t *f = frame->context;
  cira__call_session_t *s = f->session;
  cira_space_lend_t lend[CIRA_CALL_RANGE_MAX];
  uint32_t lent = 0;
  const cira__call_ranges_t *ranges =
      &s->client->ranges[cira__call_place(frame->id)];
  uint64_t most = cira__min_u64(
      frame->args_bytes ? CIRA_FABRIC_OP_MAX_BYTES / frame->args_bytes
                        : UINT32_MAX,
      frame->result_max ? RESULT_MAX / frame->result_max : UINT32_MAX);
  if (most == 0) {
    return cira__fail(CIRA_E_RANGE,
                      "call: a result of %u bytes is more than a message "
                      "carries, %u",
                      frame->result_max, (uint32_t)RESULT_MAX);
  }
  cira_status_t status = ranges_lend(s, ranges, lend, &lent);
  if (status != CIRA_OK) {
    return status;
  }
  for (uint32_t first = 0; first < frame->count && status == CIRA_OK;) {
    uint32_t n = (uint32_t)cira__min_u64(frame->count - first, most);
    status = call_some(f, frame, ranges->count, first, n);
    first += n;
  }
  if (lent) {
    cira_space_return(s->space, lend, lent);
  }
  return status;
}

/* The table asks for a name that it does not have. */
static cira_status_t resolve(void *self, const char *name,
                             cira_call_fn_t *out_function, void **out_context) {
  cira__call_session_t *s = self;
  cira__wire_reply_t reply;
  cira__wire_request_t h = {.op = CIRA__OP_FIND, .length = strlen(name)};
  if (s->function_count == CIRA_CALL_FUNCTION_MAX) {
    return CIRA_E_INVALID;
  }
  memcpy(s->out + CIRA__REQUEST_BYTES, name, h.length);
  cira_status_t status =
      talk(s, &h, h.length, 0, NULL, cira__now_ns() + CONTROL_NS, &reply);
  if (status != CIRA_OK) {
    return status;
  }
  if (reply.status != CIRA_OK) {
    return reply.status;
  }
  function_t *f = &s->function[s->function_count++];
  *f = (function_t){s, (uint32_t)reply.result};
  *out_function = stand_in;
  *out_context = f;
  return CIRA_OK;
}

/* ---- life --------------------------------------------------------------- */

void cira__call_session_end(cira__call_session_t *s) {
  if (s->space) {
    cira_space_thread_remove(s->space);
  }
  if (s->fd >= 0) {
    (void)cira__sys_close(s->fd);
  }
  cira_call_table_destroy(s->table);
  cira__call_memory_free(s->out);
  cira__call_memory_free(s->in);
  cira__call_memory_free(s);
}

cira_status_t cira__call_session_join(cira__call_session_t *s,
                                      cira_call_client_t *c) {
  s->client = c;
  c->session = s;
  return CIRA_OK;
}

static cira_status_t url_check(const char *url) {
  cira__url_t parsed;
  cira_status_t status = cira__url_parse(url, strlen(url), &parsed);
  if (status == CIRA_OK && parsed.kind != CIRA__URL_SHM &&
      parsed.kind != CIRA__URL_UNIX && parsed.kind != CIRA__URL_TCP) {
    status = cira__fail(CIRA_E_UNSUPPORTED,
                        "%s: kernels run at one memory server; give its shm:, "
                        "unix: or tcp: URL",
                        url);
  }
  return status;
}

/* Connects, and lets the server hand the connection to its kernels. */
static cira_status_t dial(cira__call_session_t *s, const char *token_file,
                          uint64_t deadline_ns) {
  uint32_t offer = 0;
  uint64_t latest_ns = cira__now_ns() + CONTROL_NS;
  deadline_ns = cira__min_u64(deadline_ns, latest_ns);
  cira_status_t status = cira__link_open_offer(s->url, token_file, false,
                                               deadline_ns, &s->fd, &offer);
  if (status != CIRA_OK) {
    s->fd = -1;
    return status;
  }
  if ((offer & CIRA__HELLO_F_KERNELS) == 0) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "%s: the server runs no kernels; start it with "
                      "--kernels LIB.so",
                      s->url);
  }
  cira__wire_reply_t reply;
  cira__wire_request_t h = {.op = CIRA__OP_KERNELS};
  status = talk(s, &h, 0, 0, NULL, deadline_ns, &reply);
  if (status == CIRA_OK && reply.status == CIRA_E_QUOTA) {
    status = cira__fail(CIRA_E_QUOTA,
                        "%s: the server runs kernels for as many clients as it "
                        "can",
                        s->url);
  } else if (status == CIRA_OK && reply.status != CIRA_OK) {
    status = cira__link_refused(s->url, &reply);
  }
  return status;
}

static cira_status_t session_create(const char *url, const char *token_file,
                                    uint64_t deadline_ns,
                                    cira__call_session_t **out) {
  cira__call_session_t *s = cira__call_memory(sizeof(*s));
  if (!s) {
    return cira__fail(CIRA_E_NOMEM, "call_server: no memory");
  }
  s->fd = -1;
  (void)cira__format(s->url, sizeof(s->url), "%s", url);
  s->out = cira__call_memory(BUFFER_BYTES);
  s->in = cira__call_memory(CIRA_FABRIC_OP_MAX_BYTES);
  cira_status_t status = cira_call_table_create(&s->table);
  if (status == CIRA_OK && (!s->out || !s->in)) {
    status = cira__fail(CIRA_E_NOMEM, "call_server: no memory");
  }
  if (status == CIRA_OK) {
    status = dial(s, token_file, deadline_ns);
  }
  if (status != CIRA_OK) {
    cira__call_session_end(s);
    return status;
  }
  s->table->resolver = resolve;
  s->table->resolver_self = s;
  s->space = cira__space;
  if (s->space) {
    cira_space_thread_add(s->space); /* it moves pages beside the program */
  }
  *out = s;
  return CIRA_OK;
}

cira_status_t cira_call_server(const char *url, const char *token_file,
                               const cira_call_options_t *opt,
                               uint64_t deadline_ns, cira_call_client_t **out) {
  cira__call_session_t *s;
  if (!out) {
    return cira__fail(CIRA_E_INVALID, "call_server: out is NULL");
  }
  if (!url && !cira__space) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "call_server: this process has no far memory whose "
                      "server could be meant; give a URL");
  }
  if (!url) {
    url = cira_space_url(cira__space);
    token_file = cira_space_token_file(cira__space);
  }
  cira_status_t status = url_check(url);
  if (status == CIRA_OK) {
    status = session_create(url, token_file, deadline_ns, &s);
  }
  if (status != CIRA_OK) {
    return status;
  }
  status = cira__call_thread(s->table, opt, s, out);
  if (status != CIRA_OK) {
    cira__call_session_end(s);
  }
  return status;
}
