/* SPDX-License-Identifier: Apache-2.0
 *
 * One client of kernels, see kernels.h: takes requests off the connection one
 * after the other, blocking. While a kernel runs it only looks for a CANCEL,
 * for the client's end and for the deadline.
 * Invariant: what a region number means is what the server (through the socket
 * pair) means by it; a range is inside of its region or its call is refused.
 */
#include "kernels.h"

#include "base/sys.h"
#include "fabric/link.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define CONTROL_NS UINT64_C(10000000000) /* 10 s for the server to answer */
#define SEND_NS UINT64_C(10000000000)    /* 10 s for the client to read */
#define SLICE_NS 2000000u  /* 2 ms between looks at the connection */
#define GRACE_NS 50000000u /* 50 ms for a kernel to stop by itself */
#define REPLY_WHOLE_BYTES 2048u
#define RX_BYTES (CIRA__REQUEST_MAX_BYTES + 4096u)

typedef struct {
  uint8_t *at; /* NULL: none */
  uint64_t bytes;
  uint64_t address; /* where the client has it, 0: nowhere */
} mapped_t;

typedef struct {
  kernels_t kernels;
  runner_t runner;
  mapped_t region[CIRA__REGIONS_MAX]; /* [the server's number - 1] */
  uint8_t *rx;
  uint64_t head, tail;
  bool gone; /* the client */
} session_t;

/* ---- the connection ----------------------------------------------------- */

/* Takes in what has come; with `wait_ns` waits for something. */
static void receive(session_t *s, int64_t wait_ns) {
  struct pollfd fd = {.fd = SESSION_FD, .events = POLLIN};
  if (s->head == s->tail) {
    s->head = s->tail = 0;
  } else if (s->head > 0) {
    memmove(s->rx, s->rx + s->head, s->tail - s->head);
    s->tail -= s->head;
    s->head = 0;
  }
  if (s->tail == RX_BYTES || cira__sys_poll(&fd, 1, wait_ns) <= 0) {
    return;
  }
  long n = cira__sys_recv(SESSION_FD, s->rx + s->tail, RX_BYTES - s->tail,
                          MSG_DONTWAIT);
  if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) {
    s->gone = true;
  }
  s->tail += n > 0 ? (uint64_t)n : 0;
}

/* The next request in rx. Returns its bytes, 0: not there yet. */
static int64_t next(session_t *s, cira__request_t *out) {
  uint64_t need = 0;
  const char *why = NULL;
  int64_t n = s->head == s->tail
                  ? 0
                  : cira__request_parse(s->rx + s->head, s->tail - s->head, out,
                                        &need, &why);
  if (n < 0) {
    CIRA_LOG(CIRA_LOG_WARN, "memd: a client of kernels sent %s; closed", why);
    s->gone = true;
    return 0;
  }
  return n;
}

/* In one piece when it is small: the client wakes up once, for all of it. */
static void reply(session_t *s, const cira__request_t *r, cira_status_t status,
                  uint64_t result, uint32_t region, const void *body,
                  uint64_t body_bytes, const void *more, uint64_t more_bytes) {
  uint8_t all[REPLY_WHOLE_BYTES];
  cira__wire_reply_t h = {.version = CIRA__PROTO_VERSION,
                          .op = r->header.op,
                          .id = r->header.id,
                          .status = status,
                          .region = region,
                          .result = result,
                          .length = body_bytes + more_bytes};
  cira__link_t link = {SESSION_FD, "client", cira__now_ns() + SEND_NS};
  if (h.length <= sizeof(all) - sizeof(h)) {
    memcpy(all, &h, sizeof(h));
    if (body_bytes) {
      memcpy(all + sizeof(h), body, body_bytes);
    }
    if (more_bytes) {
      memcpy(all + sizeof(h) + body_bytes, more, more_bytes);
    }
    s->gone =
        s->gone || cira__link_send(&link, all, sizeof(h) + h.length) != CIRA_OK;
    return;
  }
  if (cira__link_send(&link, &h, sizeof(h)) != CIRA_OK ||
      (body_bytes && cira__link_send(&link, body, body_bytes) != CIRA_OK) ||
      (more_bytes && cira__link_send(&link, more, more_bytes) != CIRA_OK)) {
    s->gone = true;
  }
}

/* ---- regions ------------------------------------------------------------ */

/* Maps a region where the client has it, so that pointers in it mean the same
 * here, or else anywhere. */
static uint8_t *region_map(int fd, uint64_t bytes, uint64_t address) {
  void *at = MAP_FAILED;
  if (address && address % CIRA_PAGE_BYTES == 0) {
    at = mmap((void *)(uintptr_t)address,
              cira__align_up(bytes, CIRA_PAGE_BYTES), PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
  }
  if (at == MAP_FAILED) {
    at = mmap(NULL, cira__align_up(bytes, CIRA_PAGE_BYTES),
              PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  }
  return at == MAP_FAILED ? NULL : at;
}

/* A request to the server as its client. */
static cira_status_t control(cira__wire_request_t *h, const void *body,
                             uint64_t body_bytes, cira__wire_reply_t *out,
                             int *out_fd) {
  cira__link_t link = {CONTROL_FD, "server", cira__now_ns() + CONTROL_NS};
  cira_status_t status =
      cira__link_call(&link, h, body, body_bytes, out, NULL, 0, out_fd);
  return status == CIRA_OK ? out->status : status;
}

static void region_close(session_t *s, uint32_t number) {
  cira__wire_reply_t answer;
  cira__wire_request_t h = {.op = CIRA__OP_CLOSE, .region = number};
  mapped_t *m = &s->region[number - 1];
  if (m->at) {
    (void)munmap(m->at, cira__align_up(m->bytes, CIRA_PAGE_BYTES));
    *m = (mapped_t){0};
  }
  (void)control(&h, NULL, 0, &answer, NULL);
}

static void apply_attach(session_t *s, const cira__request_t *r) {
  int fd = -1;
  cira__wire_reply_t answer = {0};
  cira__wire_request_t h = {.op = CIRA__OP_ATTACH, .length = 32};
  cira_status_t status = control(&h, r->data, 32, &answer, &fd);
  if (status == CIRA_OK && (fd < 0 || answer.region - 1 >= CIRA__REGIONS_MAX)) {
    status = CIRA_E_PROTOCOL;
  }
  if (status == CIRA_OK) {
    runner_end(&s->runner); /* the next one sees it */
    uint8_t *at = region_map(fd, answer.result, r->header.offset);
    s->region[answer.region - 1] =
        (mapped_t){at, answer.result, r->header.offset};
    if (!at) {
      region_close(s, answer.region);
      status = CIRA_E_NOMEM;
    }
  }
  if (fd >= 0) {
    (void)close(fd);
  }
  reply(s, r, status, answer.result, answer.region, NULL, 0, NULL, 0);
}

static void apply_close(session_t *s, const cira__request_t *r) {
  uint32_t number = r->header.region;
  bool known = number - 1 < CIRA__REGIONS_MAX && s->region[number - 1].at;
  if (known) {
    runner_end(&s->runner);
    region_close(s, number);
  }
  reply(s, r, known ? CIRA_OK : CIRA_E_INVALID, 0, 0, NULL, 0, NULL, 0);
}

static void apply_find(session_t *s, const cira__request_t *r) {
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    const char *name = s->kernels.kernel[i]->name;
    if (strlen(name) == r->data_bytes &&
        memcmp(name, r->data, r->data_bytes) == 0) {
      reply(s, r, CIRA_OK, i + 1, 0, NULL, 0, NULL, 0);
      return;
    }
  }
  reply(s, r, CIRA_E_INVALID, 0, 0, NULL, 0, NULL, 0);
}

/* ---- calls -------------------------------------------------------------- */

static cira_status_t ranges_fill(const session_t *s, const cira__request_t *r,
                                 exchange_t *x) {
  x->range_count = r->header.count;
  for (uint32_t i = 0; i < x->range_count; i++) {
    cira__wire_range_t w = cira__request_range(r, i);
    const mapped_t *m =
        w.region - 1 < CIRA__REGIONS_MAX ? &s->region[w.region - 1] : NULL;
    if (!m || !m->at || !cira__range_ok(w.offset, w.bytes, m->bytes)) {
      (void)cira__format(x->detail, sizeof(x->detail),
                         "range %u is not inside of a region of this client",
                         i);
      return CIRA_E_RANGE;
    }
    x->range[i] = (cira_kernel_range_t){
        .at = m->at + w.offset,
        .bytes = w.bytes,
        .address = m->address ? m->address + w.offset : 0,
        .access = w.access & (CIRA_KERNEL_READ | CIRA_KERNEL_WRITE)};
  }
  return CIRA_OK;
}

/* Did the client ask to stop this call? */
static bool cancel_came(session_t *s, uint32_t id) {
  cira__request_t r;
  receive(s, 0);
  int64_t n = next(s, &r);
  if (n > 0 && r.header.op == CIRA__OP_CANCEL) {
    s->head += (uint64_t)n;
    return r.header.id == id;
  }
  return false;
}

/* Waits until the call has ended; stops it at its deadline, when the client
 * cancels or has gone, and kills the runner when that does not help. */
static cira_status_t call_await(session_t *s, cira_call_t *call, uint32_t id) {
  exchange_t *x = s->runner.exchange;
  uint64_t kill_ns = CIRA_FOREVER;
  cira_status_t why = CIRA_OK;
  for (;;) {
    uint64_t now_ns = cira__now_ns();
    uint64_t until_ns = cira__min_u64(now_ns + SLICE_NS, x->deadline_ns);
    (void)cira_call_wait(s->runner.client, call,
                         cira__max_u64(until_ns, now_ns + 100000));
    if (call->status != CIRA_PENDING) {
      return call->status;
    }
    bool cancelled = cancel_came(s, id) || s->gone;
    now_ns = cira__now_ns();
    if (why == CIRA_OK && (cancelled || now_ns >= x->deadline_ns)) {
      why = cancelled ? CIRA_E_CANCELLED : CIRA_E_DEADLINE;
      (void)cira_call_cancel(s->runner.client, call);
      /* who is cancelled may take until his deadline */
      kill_ns = cancelled && !s->gone ? x->deadline_ns : now_ns;
      kill_ns =
          kill_ns < CIRA_FOREVER - GRACE_NS ? kill_ns + GRACE_NS : CIRA_FOREVER;
    }
    if (s->gone) {
      kill_ns = cira__min_u64(kill_ns, now_ns + GRACE_NS);
    }
    if (now_ns >= kill_ns) {
      runner_end(&s->runner);
      (void)cira__format(x->detail, sizeof(x->detail),
                         "'%s' did not stop at its deadline and was killed",
                         s->kernels.kernel[x->kernel]->name);
      return why;
    }
  }
}

/* The runner died: what of, and it is to be started again. */
static void crashed(session_t *s, const char *how) {
  exchange_t *x = s->runner.exchange;
  (void)cira__format(x->detail, sizeof(x->detail), "'%s' crashed: %s",
                     s->kernels.kernel[x->kernel]->name, how);
  CIRA_LOG(CIRA_LOG_WARN, "memd: kernel %s", x->detail);
  runner_end(&s->runner);
}

static cira_status_t call_run(session_t *s, const cira__request_t *r) {
  exchange_t *x = s->runner.exchange;
  x->done = x->result_bytes = 0;
  x->detail[0] = 0;
  x->kernel = r->call.function - 1;
  x->count = r->call.count;
  x->args_bytes = r->call.args_bytes;
  x->result_max = r->call.result_bytes;
  x->deadline_ns = CIRA_FOREVER;
  if (r->header.offset &&
      !cira__add_ok(cira__now_ns(), r->header.offset, &x->deadline_ns)) {
    x->deadline_ns = CIRA_FOREVER;
  }
  if (x->kernel >= s->kernels.count) {
    (void)cira__format(x->detail, sizeof(x->detail),
                       "the server has no kernel %u", r->call.function);
    return CIRA_E_INVALID;
  }
  cira_status_t status = ranges_fill(s, r, x);
  if (status == CIRA_OK) {
    status = runner_ensure(&s->runner);
    if (status != CIRA_OK) {
      (void)cira__format(x->detail, sizeof(x->detail), "%s",
                         cira_status_detail());
      runner_end(&s->runner);
    }
  }
  if (status != CIRA_OK) {
    return status;
  }
  memcpy(x->args, r->data, r->data_bytes);
  memset(x->result, 0, (uint64_t)x->count * x->result_max);
  cira_call_t call = {0};
  cira_call_request_t request = {0};
  status =
      cira_call_submit(s->runner.client, s->runner.function, &request, &call);
  if (status == CIRA_OK) {
    status = call_await(s, &call, r->header.id);
  }
  if (status == CIRA_E_DISCONNECTED && s->runner.client &&
      cira_call_poll(s->runner.client, NULL) != CIRA_OK) {
    crashed(s, call.detail);
  }
  return status;
}

static void apply_call(session_t *s, const cira__request_t *r) {
  const exchange_t *x = s->runner.exchange;
  cira_status_t status = call_run(s, r);
  cira__wire_called_t called = {.done = x->done,
                                .result_bytes = x->result_bytes};
  if (x->done > r->call.count || x->result_bytes > r->call.result_bytes) {
    called.done = called.result_bytes = 0; /* the runner wrote nonsense there */
  }
  memcpy(called.detail, x->detail, sizeof(called.detail));
  called.detail[sizeof(called.detail) - 1] = 0;
  reply(s, r, status, 0, 0, &called, sizeof(called), x->result,
        (uint64_t)r->call.count * r->call.result_bytes);
}

/* ---- life --------------------------------------------------------------- */

static void apply(session_t *s, const cira__request_t *r) {
  switch (r->header.op) {
  case CIRA__OP_ATTACH:
    apply_attach(s, r);
    break;
  case CIRA__OP_CLOSE:
    apply_close(s, r);
    break;
  case CIRA__OP_FIND:
    apply_find(s, r);
    break;
  case CIRA__OP_CALL:
    apply_call(s, r);
    break;
  case CIRA__OP_CANCEL: /* it came after the call's end */
    break;
  default:
    CIRA_LOG(CIRA_LOG_WARN, "memd: a client of kernels sent a request that a "
                            "session does not take; closed");
    s->gone = true;
  }
}

static bool is_socket(int fd) {
  int type;
  socklen_t n = sizeof(type);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
}

int session_main(uint32_t id, const char *const *path, uint32_t count) {
  static session_t session;
  session_t *s = &session;
  if (!is_socket(SESSION_FD) || !is_socket(CONTROL_FD)) {
    (void)fprintf(stderr, "cira-memd: --kernel-session is how a server starts "
                          "its own helpers, not for users\n");
    return 2;
  }
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* goes with the server */
  (void)prctl(PR_SET_NAME, "cira-session");
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGINT, SIG_IGN); /* of the terminal: the server's to decide */
  cira_status_t status = kernels_load(&s->kernels, path, count);
  if (status == CIRA_OK) {
    status = runner_init(&s->runner, &s->kernels);
  }
  s->rx = cira__pages_alloc(RX_BYTES);
  cira__request_t hello = {.header = {.op = CIRA__OP_KERNELS, .id = id}};
  reply(s, &hello, status != CIRA_OK || s->rx ? status : CIRA_E_NOMEM,
        s->kernels.count, 0, NULL, 0, NULL, 0);
  if (status != CIRA_OK || !s->rx) {
    CIRA_LOG(CIRA_LOG_ERROR, "memd: %s", cira_status_detail());
    return 1;
  }
  while (!s->gone) {
    cira__request_t r;
    int64_t n = next(s, &r);
    if (n == 0 && !s->gone) {
      receive(s, -1);
    } else if (n > 0) {
      s->head += (uint64_t)n;
      apply(s, &r);
    }
  }
  runner_end(&s->runner);
  return 0;
}
