/* SPDX-License-Identifier: Apache-2.0
 *
 * trace(URL[;file=PATH]): one line per op when it completes, with its latency,
 * to standard error or appended to a file; counters when the connection
 * closes. Lines are formatted on the stack and written in one call, so this
 * works inside the fault handler, too.
 */
#include "base/sys.h"
#include "fabric/hook.h"

#include <fcntl.h>

typedef struct {
  uint64_t count;
  uint64_t failed;
  uint64_t bytes;
  uint64_t sum_ns;
  uint64_t most_ns;
} counter_t;

typedef struct {
  cira__hook_t hook;
  int fd;
  counter_t counter[CIRA__HOOK_DISCARD + 1];
} trace_t;

static const char *const kinds[] = {"read", "write", "atomic", "discard"};

static void line(trace_t *t, const char *fmt, ...) CIRA_PRINTF(2, 3);
static void line(trace_t *t, const char *fmt, ...) {
  char text[400];
  va_list ap;
  va_start(ap, fmt);
  size_t n = cira__vformat(text, sizeof(text) - 1, fmt, ap);
  va_end(ap);
  text[n++] = '\n';
  (void)cira__sys_write(t->fd, text, n);
}

/* Completes the op at `link`, counts it and writes its line. */
static void finish(trace_t *t, cira__hook_op_t **link, cira_status_t status) {
  cira__hook_op_t *o = *link;
  counter_t *c = &t->counter[o->kind];
  uint64_t took_ns = cira__now_ns() - o->posted_ns;
  c->count++;
  c->failed += status != CIRA_OK;
  c->bytes += o->bytes;
  c->sum_ns += took_ns;
  c->most_ns = cira__max_u64(c->most_ns, took_ns);
  line(t, "trace: %s region %u offset 0x%llx bytes %llu: %s in %llu ns",
       kinds[o->kind], o->region, (unsigned long long)o->offset,
       (unsigned long long)o->bytes, cira_status_name(status),
       (unsigned long long)took_ns);
  cira__hook_finish(&t->hook, link, status);
}

/* The op was posted at the child with `status`. */
static cira_status_t posted(trace_t *t, cira__hook_op_t *o,
                            cira_status_t status) {
  cira__hook_t *h = &t->hook;
  if (status != CIRA_OK) {
    cira_fabric_op_t *user = o->user;
    if (status != CIRA_AGAIN) {
      line(t, "trace: %s region %u offset 0x%llx bytes %llu: refused: %s",
           kinds[o->kind], o->region, (unsigned long long)o->offset,
           (unsigned long long)o->bytes, cira_status_name(status));
    }
    cira__hook_give_back(h, o);
    return cira__op_refuse(user, status);
  }
  cira__hook_op_t **link = h->active_tail;
  cira__hook_activate(h, o);
  if (o->op.status != CIRA_PENDING) {
    finish(t, link, o->op.status);
  }
  return CIRA_OK;
}

static cira_status_t trace_post_read(cira_fabric_t *f, cira_region_t region,
                                     uint64_t offset, void *dst, uint64_t bytes,
                                     uint64_t deadline_ns,
                                     cira_fabric_op_t *op) {
  trace_t *t = (trace_t *)f;
  cira_fabric_t *child = t->hook.child;
  cira_status_t s;
  cira__hook_op_t *o = cira__hook_take(&t->hook, CIRA__HOOK_READ, region,
                                       offset, bytes, deadline_ns, op, &s);
  return o ? posted(t, o,
                    child->ops->post_read(child, region, offset, dst, bytes,
                                          o->deadline_ns, &o->op))
           : cira__op_refuse(op, s);
}

static cira_status_t trace_post_write(cira_fabric_t *f, cira_region_t region,
                                      const cira_fabric_seg_t *segs,
                                      uint32_t seg_count, uint64_t deadline_ns,
                                      cira_fabric_op_t *op) {
  trace_t *t = (trace_t *)f;
  cira_fabric_t *child = t->hook.child;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < seg_count; i++) {
    sum += segs[i].bytes;
  }
  cira_status_t s;
  cira__hook_op_t *o =
      cira__hook_take(&t->hook, CIRA__HOOK_WRITE, region,
                      seg_count ? segs[0].offset : 0, sum, deadline_ns, op, &s);
  return o ? posted(t, o,
                    child->ops->post_write(child, region, segs, seg_count,
                                           o->deadline_ns, &o->op))
           : cira__op_refuse(op, s);
}

static cira_status_t trace_post_atomic(cira_fabric_t *f, cira_region_t region,
                                       cira_fabric_atomic_t kind,
                                       uint64_t offset, uint64_t operand,
                                       uint64_t compare, uint64_t deadline_ns,
                                       cira_fabric_op_t *op) {
  trace_t *t = (trace_t *)f;
  cira_fabric_t *child = t->hook.child;
  cira_status_t s;
  cira__hook_op_t *o = cira__hook_take(&t->hook, CIRA__HOOK_ATOMIC, region,
                                       offset, 8, deadline_ns, op, &s);
  return o ? posted(t, o,
                    child->ops->post_atomic(child, region, kind, offset,
                                            operand, compare, o->deadline_ns,
                                            &o->op))
           : cira__op_refuse(op, s);
}

static cira_status_t trace_post_discard(cira_fabric_t *f, cira_region_t region,
                                        uint64_t offset, uint64_t bytes,
                                        uint64_t deadline_ns,
                                        cira_fabric_op_t *op) {
  trace_t *t = (trace_t *)f;
  cira_fabric_t *child = t->hook.child;
  cira_status_t s;
  cira__hook_op_t *o = cira__hook_take(&t->hook, CIRA__HOOK_DISCARD, region,
                                       offset, bytes, deadline_ns, op, &s);
  return o ? posted(t, o,
                    child->ops->post_discard(child, region, offset, bytes,
                                             o->deadline_ns, &o->op))
           : cira__op_refuse(op, s);
}

static int32_t trace_poll(cira_fabric_t *f) {
  trace_t *t = (trace_t *)f;
  cira__hook_t *h = &t->hook;
  if (h->broken != CIRA_OK) {
    return h->broken;
  }
  int32_t n = h->child->ops->poll(h->child);
  for (cira__hook_op_t **link = &h->active; *link;) {
    if ((*link)->op.status == CIRA_PENDING) {
      link = &(*link)->next;
    } else {
      finish(t, link, (*link)->op.status);
    }
  }
  if (n < 0) {
    line(t, "trace: %s: broke: %s", f->url, cira_status_detail());
    return cira__hook_broke(h, n);
  }
  n = h->completed;
  h->completed = 0;
  return n;
}

static int trace_wait_fd(cira_fabric_t *f) {
  cira_fabric_t *child = ((cira__hook_t *)f)->child;
  return child->ops->wait_fd(child);
}

static cira_status_t trace_connect(const char *url,
                                   const cira_fabric_options_t *opt,
                                   cira_fabric_t **out) {
  cira__url_t parsed;
  cira__hook_t *h;
  cira_status_t s = cira__hook_create(url, opt, &cira__trace_ops,
                                      sizeof(trace_t), &parsed, &h);
  if (s != CIRA_OK) {
    return s;
  }
  trace_t *t = (trace_t *)h;
  t->fd = STDERR_FILENO;
  if (parsed.path[0]) {
    int fd = open(parsed.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
      s = cira__fail_errno(CIRA_E_SYSTEM, errno, "%s: cannot write '%s'", url,
                           parsed.path);
      cira__hook_destroy(h);
      return s;
    }
    t->fd = cira__fd_move_high(fd);
  }
  *out = &h->base;
  return CIRA_OK;
}

static void trace_close(cira_fabric_t *f) {
  trace_t *t = (trace_t *)f;
  for (unsigned i = 0; i < CIRA_COUNT(kinds); i++) {
    counter_t *c = &t->counter[i];
    if (c->count) {
      line(t,
           "trace: %s: %llu %ss, %llu failed, %llu bytes, mean %llu ns, most "
           "%llu ns",
           f->url, (unsigned long long)c->count, kinds[i],
           (unsigned long long)c->failed, (unsigned long long)c->bytes,
           (unsigned long long)(c->sum_ns / c->count),
           (unsigned long long)c->most_ns);
    }
  }
  if (t->fd != STDERR_FILENO) {
    (void)cira__sys_close(t->fd);
  }
  cira__hook_destroy(&t->hook);
}

const cira_fabric_ops_t cira__trace_ops = {
    .size = sizeof(cira_fabric_ops_t),
    .flags = CIRA_FABRIC_F_REMOTE,
    .scheme = "trace",
    .connect = trace_connect,
    .close = trace_close,
    .region_open = cira__hook_region_open,
    .region_attach = cira__hook_region_attach,
    .region_ticket = cira__hook_region_ticket,
    .region_refs = cira__hook_region_refs,
    .region_hold = cira__hook_region_hold,
    .region_close = cira__hook_region_close,
    .region_commit = cira__hook_region_commit,
    .region_map = cira__hook_region_map,
    .post_read = trace_post_read,
    .post_write = trace_post_write,
    .post_atomic = trace_post_atomic,
    .post_discard = trace_post_discard,
    .poll = trace_poll,
    .wait_fd = trace_wait_fd,
};
