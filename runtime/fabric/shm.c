/* SPDX-License-Identifier: Apache-2.0
 *
 * shm: a server on this machine whose regions are memory files passed over its
 * Unix socket and mapped here. Data moves by plain copies and atomics, without
 * a system call; the socket carries only what concerns the life of regions.
 * A server that died leaves its memory readable, but it counts as gone: poll
 * looks at the socket about once per millisecond.
 */
#include "base/sys.h"
#include "fabric/direct.h"
#include "fabric/link.h"

#include <string.h>
#include <sys/mman.h>

#define LIVENESS_NS 1000000u /* 1 ms */

typedef struct {
  cira__direct_t direct; /* region[].tag = the server's number */
  int fd;
  uint64_t looked_ns;
} shm_t;

static cira_status_t call(shm_t *s, cira__wire_request_t *request,
                          const void *body, uint64_t body_bytes,
                          cira__wire_reply_t *out, void *reply,
                          uint64_t reply_bytes, int *out_fd) {
  cira_fabric_t *f = &s->direct.base;
  if (s->direct.broken != CIRA_OK) {
    return cira__fail(s->direct.broken, "%s: the server is gone", f->url);
  }
  cira__link_t link = {.fd = s->fd,
                       .url = f->url,
                       .deadline_ns = cira__now_ns() + f->opt.deadline_ns};
  cira_status_t status = cira__link_call(&link, request, body, body_bytes, out,
                                         reply, reply_bytes, out_fd);
  if (status != CIRA_OK) {
    /* A late reply would be taken for the next one's: the link is over. */
    s->direct.broken = CIRA_E_DISCONNECTED;
    return status;
  }
  return out->status == CIRA_OK ? CIRA_OK : cira__link_refused(f->url, out);
}

static cira_status_t shm_connect(const char *url,
                                 const cira_fabric_options_t *opt,
                                 cira_fabric_t **out) {
  shm_t *s = cira__pages_alloc(sizeof(*s));
  if (!s) {
    return CIRA_E_NOMEM;
  }
  cira__fabric_init(&s->direct.base, &cira__shm_ops, cira__shm_ops.flags, url,
                    opt);
  cira_status_t status =
      cira__link_open(s->direct.base.url, opt->token_file, true,
                      cira__now_ns() + opt->deadline_ns, &s->fd);
  if (status != CIRA_OK) {
    cira__pages_free(s, sizeof(*s));
    return status;
  }
  *out = &s->direct.base;
  return CIRA_OK;
}

static void region_unmap(cira__direct_region_t *r) {
  (void)munmap(r->at, cira__align_up(r->bytes, CIRA_PAGE_BYTES));
  *r = (cira__direct_region_t){0};
}

static void shm_close(cira_fabric_t *f) {
  shm_t *s = (shm_t *)f;
  for (uint32_t i = 0; i < CIRA__REGIONS_MAX; i++) {
    if (s->direct.region[i].at) {
      region_unmap(&s->direct.region[i]);
    }
  }
  (void)cira__sys_close(s->fd);
  cira__pages_free(s, sizeof(*s));
}

static void remote_close(shm_t *s, uint32_t number) {
  cira__wire_reply_t reply;
  cira__wire_request_t request = {.op = CIRA__OP_CLOSE, .region = number};
  (void)call(s, &request, NULL, 0, &reply, NULL, 0, NULL);
}

/* Maps the descriptor that came with a reply and gives it an id. */
static cira_status_t region_enter(shm_t *s, int fd, uint32_t number,
                                  uint64_t bytes, cira_region_t *out) {
  cira_fabric_t *f = &s->direct.base;
  if (fd < 0) {
    return cira__fail(CIRA_E_PROTOCOL, "%s: the server sent no descriptor",
                      f->url);
  }
  cira_region_t id = cira__direct_id(&s->direct);
  uint8_t *at = id ? cira__memory_map(fd, bytes) : NULL;
  (void)cira__sys_close(fd);
  if (!at) {
    remote_close(s, number);
    return CIRA_E_NOMEM;
  }
  s->direct.region[id - 1] =
      (cira__direct_region_t){.at = at, .bytes = bytes, .tag = number};
  *out = id;
  return CIRA_OK;
}

static cira_status_t shm_region_open(cira_fabric_t *f, uint64_t bytes,
                                     cira_region_t *out) {
  shm_t *s = (shm_t *)f;
  int fd = -1;
  cira__wire_reply_t reply;
  cira__wire_request_t request = {.op = CIRA__OP_OPEN, .length = bytes};
  cira_status_t status = call(s, &request, NULL, 0, &reply, NULL, 0, &fd);
  return status == CIRA_OK ? region_enter(s, fd, reply.region, bytes, out)
                           : status;
}

static cira_status_t shm_region_attach(cira_fabric_t *f,
                                       const cira_ticket_t *ticket,
                                       cira_region_t *out,
                                       uint64_t *out_bytes) {
  shm_t *s = (shm_t *)f;
  int fd = -1;
  cira__wire_reply_t reply;
  cira__wire_request_t request = {.op = CIRA__OP_ATTACH,
                                  .length = sizeof(*ticket)};
  cira_status_t status =
      call(s, &request, ticket, sizeof(*ticket), &reply, NULL, 0, &fd);
  if (status == CIRA_OK) {
    status = region_enter(s, fd, reply.region, reply.result, out);
  }
  if (status == CIRA_OK && out_bytes) {
    *out_bytes = reply.result;
  }
  return status;
}

/* A request about a region that answers with at most a number. */
static cira_status_t region_call(cira_fabric_t *f, uint8_t op,
                                 cira_region_t region, int64_t delta,
                                 cira__wire_reply_t *out, void *reply,
                                 uint64_t reply_bytes) {
  cira__direct_region_t *r = cira__direct_region(f, region);
  if (!r) {
    return CIRA_E_INVALID;
  }
  cira__wire_request_t request = {
      .op = op, .region = r->tag, .offset = (uint64_t)delta};
  return call((shm_t *)f, &request, NULL, 0, out, reply, reply_bytes, NULL);
}

static cira_status_t shm_region_ticket(cira_fabric_t *f, cira_region_t region,
                                       cira_ticket_t *out) {
  cira__wire_reply_t reply;
  cira_ticket_t ticket;
  cira_status_t status = region_call(f, CIRA__OP_TICKET, region, 0, &reply,
                                     &ticket, sizeof(ticket));
  if (status == CIRA_OK) {
    *out = ticket;
  }
  return status;
}

static cira_status_t shm_region_refs(cira_fabric_t *f, cira_region_t region,
                                     uint32_t *out) {
  cira__wire_reply_t reply;
  cira_status_t status =
      region_call(f, CIRA__OP_REFS, region, 0, &reply, NULL, 0);
  if (status == CIRA_OK) {
    *out = (uint32_t)reply.result;
  }
  return status;
}

static cira_status_t shm_region_hold(cira_fabric_t *f, cira_region_t region,
                                     int32_t delta) {
  cira__wire_reply_t reply;
  return region_call(f, CIRA__OP_HOLD, region, delta, &reply, NULL, 0);
}

static void shm_region_close(cira_fabric_t *f, cira_region_t region) {
  cira__direct_region_t *r = cira__direct_region(f, region);
  if (r) {
    uint32_t number = r->tag;
    region_unmap(r);
    remote_close((shm_t *)f, number);
  }
}

static cira_status_t shm_region_commit(cira_fabric_t *f, cira_region_t region,
                                       int64_t bytes) {
  cira__wire_reply_t reply;
  return region_call(f, CIRA__OP_COMMIT, region, bytes, &reply, NULL, 0);
}

static int32_t shm_poll(cira_fabric_t *f) {
  shm_t *s = (shm_t *)f;
  uint64_t now_ns = cira__now_ns();
  if (s->direct.broken == CIRA_OK && now_ns - s->looked_ns >= LIVENESS_NS) {
    s->looked_ns = now_ns;
    if (cira__link_gone(s->fd)) {
      s->direct.broken = cira__link_broken(f->url, 0);
    }
  }
  if (s->direct.broken != CIRA_OK) {
    return s->direct.broken;
  }
  int32_t n = s->direct.completed;
  s->direct.completed = 0;
  return n;
}

/* Readable when the server goes away, which is all that poll waits for. */
static int shm_wait_fd(cira_fabric_t *f) {
  return ((shm_t *)f)->fd;
}

const cira_fabric_ops_t cira__shm_ops = {
    .size = sizeof(cira_fabric_ops_t),
    .flags = CIRA_FABRIC_F_DIRECT | CIRA_FABRIC_F_REMOTE,
    .scheme = "shm",
    .connect = shm_connect,
    .close = shm_close,
    .region_open = shm_region_open,
    .region_attach = shm_region_attach,
    .region_ticket = shm_region_ticket,
    .region_refs = shm_region_refs,
    .region_hold = shm_region_hold,
    .region_close = shm_region_close,
    .region_commit = shm_region_commit,
    .region_map = cira__direct_map,
    .post_read = cira__direct_read,
    .post_write = cira__direct_write,
    .post_atomic = cira__direct_atomic,
    .post_discard = cira__direct_discard,
    .poll = shm_poll,
    .wait_fd = shm_wait_fd,
};
