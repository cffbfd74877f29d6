/* SPDX-License-Identifier: Apache-2.0
 *
 * fault(URL;options): bad days on demand, the same ones for the same seed.
 *
 *   drop=P        the op never reaches the server: it ends in its deadline
 *   delay=TIME    every op completes that much later (a timer; nobody sleeps)
 *   reorder=P     a read waits until a later op has overtaken it; never one
 *                 that changes its bytes
 *   short=P       a read comes short: CIRA_E_PROTOCOL, never success
 *   disconnect=N  the N-th message and everything after it finds nobody
 *   fail=N        the N-th message fails with status=NAME (default system)
 *   seed=N        of the probabilities
 *
 * Messages are posts and control calls, counted from 1 after connect.
 * Threads: caller-serialised; post and poll are signal-safe.
 */
#include "base/sys.h"
#include "fabric/hook.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

enum {
  POSTED,  /* at the child */
  HELD,    /* a read that waits to be overtaken */
  DROPPED, /* will end in its deadline */
  LATE,    /* done, but nobody knows before release_ns */
  FAILED,  /* the N-th message */
};

typedef struct {
  cira__hook_t hook;
  cira__url_fault_t plan;
  uint64_t random;
  uint64_t messages;
  uint32_t held_count;
  int timer_fd;
  int epoll_fd;
  uint64_t timer_ns; /* what the timer is set to; 0 = off */
} fault_t;

/* True with the given probability; draws only where a fault is wanted, so
 * that one option does not change what another one does. */
static bool chance(fault_t *t, uint32_t ppm) {
  if (ppm == 0) {
    return false;
  }
  t->random ^= t->random >> 12;
  t->random ^= t->random << 25;
  t->random ^= t->random >> 27;
  return (t->random * 2685821657736338717ull >> 32) % 1000000u < ppm;
}

/* Counts a message. Returns CIRA_OK, DISCONNECTED (and it is over), or the
 * status with which this one is to fail. */
static cira_status_t message(fault_t *t) {
  cira__hook_t *h = &t->hook;
  uint64_t number = ++t->messages;
  if (h->broken != CIRA_OK) {
    return cira__fail(h->broken, "%s: the connection is over", h->base.url);
  }
  if (number == t->plan.disconnect_at) {
    cira__fail(CIRA_E_DISCONNECTED, "%s: disconnected at message %llu",
               h->base.url, (unsigned long long)number);
    return cira__hook_broke(h, CIRA_E_DISCONNECTED);
  }
  if (number == t->plan.fail_at) {
    return cira__fail(t->plan.fail_status, "%s: message %llu fails: %s",
                      h->base.url, (unsigned long long)number,
                      cira_status_name(t->plan.fail_status));
  }
  return CIRA_OK;
}

/* ---- time --------------------------------------------------------------- */

/* When an op needs a poll although the child is silent; UINT64_MAX = never. */
static uint64_t wake_ns(const cira__hook_op_t *o) {
  switch (o->state) {
  case DROPPED:
    return o->deadline_ns;
  case LATE:
    return cira__min_u64(o->release_ns, o->deadline_ns);
  case FAILED:
  case HELD:
    return 1; /* at once */
  default:
    return UINT64_MAX;
  }
}

static void timer_set(fault_t *t) {
  uint64_t at_ns = UINT64_MAX;
  for (cira__hook_op_t *o = t->hook.active; o; o = o->next) {
    at_ns = cira__min_u64(at_ns, wake_ns(o));
  }
  at_ns = at_ns == UINT64_MAX ? 0 : at_ns;
  if (at_ns == t->timer_ns) {
    return;
  }
  struct itimerspec when = {
      .it_value = {.tv_sec = (time_t)(at_ns / 1000000000u),
                   .tv_nsec = (long)(at_ns % 1000000000u)}};
  (void)CIRA__SYS(SYS_timerfd_settime, t->timer_fd, TFD_TIMER_ABSTIME, &when, 0,
                  0, 0);
  t->timer_ns = at_ns;
}

/* ---- posting ------------------------------------------------------------ */

static cira_status_t child_read(fault_t *t, cira__hook_op_t *o) {
  cira_fabric_t *child = t->hook.child;
  return child->ops->post_read(child, o->region, o->offset, o->dst,
                               o->is_short ? o->bytes / 2 : o->bytes,
                               o->deadline_ns, &o->op);
}

/* Posts held reads: all of them, or those that touch the range. Returns
 * CIRA_AGAIN when the child has no room for one. */
static cira_status_t held_release(fault_t *t, bool all, cira_region_t region,
                                  uint64_t offset, uint64_t bytes) {
  for (cira__hook_op_t *o = t->hook.active; o && t->held_count; o = o->next) {
    if (o->state != HELD) {
      continue;
    }
    bool touched = o->region == region && o->offset < offset + bytes &&
                   offset < o->offset + o->bytes;
    if (!all && !touched) {
      continue;
    }
    cira_status_t s = child_read(t, o);
    if (s == CIRA_AGAIN) {
      return s;
    }
    if (s != CIRA_OK) {
      o->op.status = s;
    }
    o->state = POSTED;
    t->held_count--;
  }
  return CIRA_OK;
}

/* Takes a record for a post and decides its fate. NULL: refused with *out. */
static cira__hook_op_t *begin(fault_t *t, cira__hook_kind_t kind,
                              cira_region_t region, uint64_t offset,
                              uint64_t bytes, uint64_t deadline_ns,
                              cira_fabric_op_t *op, cira_status_t *out) {
  cira__hook_t *h = &t->hook;
  cira__hook_op_t *o =
      cira__hook_take(h, kind, region, offset, bytes, deadline_ns, op, out);
  if (!o) {
    return NULL;
  }
  cira_status_t s = message(t);
  if (h->broken != CIRA_OK) {
    cira__hook_give_back(h, o);
    *out = s;
    return NULL;
  }
  if (s != CIRA_OK) {
    o->state = FAILED;
  } else if (chance(t, t->plan.drop_ppm)) {
    o->state = DROPPED;
  } else {
    o->state = POSTED;
    o->release_ns = t->plan.delay_ns ? o->posted_ns + t->plan.delay_ns : 0;
  }
  return o;
}

/* Looks at one active op; true when it was completed (and is off the list). */
static bool settle(fault_t *t, cira__hook_op_t **link, uint64_t now_ns) {
  cira__hook_op_t *o = *link;
  if (o->state == POSTED && o->op.status != CIRA_PENDING) {
    if (o->op.status == CIRA_OK && o->is_short) {
      o->op.status = cira__fail(
          CIRA_E_PROTOCOL, "%s: a read came short: %llu of %llu bytes",
          t->hook.base.url, (unsigned long long)(o->bytes / 2),
          (unsigned long long)o->bytes);
    }
    o->state = LATE;
  }
  if (o->state == FAILED) {
    cira__hook_finish(&t->hook, link, t->plan.fail_status);
    return true;
  }
  if (o->state == LATE && o->release_ns <= now_ns &&
      o->release_ns <= o->deadline_ns) {
    cira__hook_finish(&t->hook, link, o->op.status);
    return true;
  }
  if (o->state != POSTED && o->deadline_ns <= now_ns) {
    t->held_count -= o->state == HELD;
    cira__fail(CIRA_E_DEADLINE, "%s: no answer within the deadline",
               t->hook.base.url);
    cira__hook_finish(&t->hook, link, CIRA_E_DEADLINE);
    return true;
  }
  return false;
}

/* The op goes on the list with what the child said, or is refused. */
static cira_status_t end(fault_t *t, cira__hook_op_t *o, cira_status_t s) {
  cira__hook_t *h = &t->hook;
  if (s != CIRA_OK) {
    cira_fabric_op_t *user = o->user;
    t->messages -= s == CIRA_AGAIN; /* the same message comes again */
    cira__hook_give_back(h, o);
    return cira__op_refuse(user, s);
  }
  cira__hook_op_t **link = h->active_tail;
  cira__hook_activate(h, o);
  if (!settle(t, link, cira__now_ns())) {
    timer_set(t);
  }
  return CIRA_OK;
}

static cira_status_t fault_post_read(cira_fabric_t *f, cira_region_t region,
                                     uint64_t offset, void *dst, uint64_t bytes,
                                     uint64_t deadline_ns,
                                     cira_fabric_op_t *op) {
  fault_t *t = (fault_t *)f;
  cira_status_t s = CIRA_OK;
  cira__hook_op_t *o =
      begin(t, CIRA__HOOK_READ, region, offset, bytes, deadline_ns, op, &s);
  if (!o) {
    return cira__op_refuse(op, s);
  }
  o->dst = dst;
  if (o->state == POSTED) {
    o->is_short = bytes && chance(t, t->plan.short_ppm);
    if (chance(t, t->plan.reorder_ppm)) {
      o->state = HELD;
      t->held_count++;
    } else {
      s = child_read(t, o);
    }
  }
  return end(t, o, s);
}

static cira_status_t fault_post_write(cira_fabric_t *f, cira_region_t region,
                                      const cira_fabric_seg_t *segs,
                                      uint32_t seg_count, uint64_t deadline_ns,
                                      cira_fabric_op_t *op) {
  fault_t *t = (fault_t *)f;
  cira_fabric_t *child = t->hook.child;
  cira_status_t s = CIRA_OK;
  cira__hook_op_t *o =
      begin(t, CIRA__HOOK_WRITE, region, seg_count ? segs[0].offset : 0,
            seg_count ? segs[0].bytes : 0, deadline_ns, op, &s);
  if (!o) {
    return cira__op_refuse(op, s);
  }
  if (o->state == POSTED) {
    for (uint32_t i = 0; i < seg_count && s == CIRA_OK; i++) {
      s = held_release(t, false, region, segs[i].offset, segs[i].bytes);
    }
    if (s == CIRA_OK) {
      s = child->ops->post_write(child, region, segs, seg_count, o->deadline_ns,
                                 &o->op);
    }
  }
  return end(t, o, s);
}

static cira_status_t fault_post_atomic(cira_fabric_t *f, cira_region_t region,
                                       cira_fabric_atomic_t kind,
                                       uint64_t offset, uint64_t operand,
                                       uint64_t compare, uint64_t deadline_ns,
                                       cira_fabric_op_t *op) {
  fault_t *t = (fault_t *)f;
  cira_fabric_t *child = t->hook.child;
  cira_status_t s = CIRA_OK;
  cira__hook_op_t *o =
      begin(t, CIRA__HOOK_ATOMIC, region, offset, 8, deadline_ns, op, &s);
  if (!o) {
    return cira__op_refuse(op, s);
  }
  if (o->state == POSTED) {
    s = held_release(t, false, region, offset, 8);
    if (s == CIRA_OK) {
      s = child->ops->post_atomic(child, region, kind, offset, operand, compare,
                                  o->deadline_ns, &o->op);
    }
  }
  return end(t, o, s);
}

static cira_status_t fault_post_discard(cira_fabric_t *f, cira_region_t region,
                                        uint64_t offset, uint64_t bytes,
                                        uint64_t deadline_ns,
                                        cira_fabric_op_t *op) {
  fault_t *t = (fault_t *)f;
  cira_fabric_t *child = t->hook.child;
  cira_status_t s = CIRA_OK;
  cira__hook_op_t *o =
      begin(t, CIRA__HOOK_DISCARD, region, offset, bytes, deadline_ns, op, &s);
  if (!o) {
    return cira__op_refuse(op, s);
  }
  if (o->state == POSTED) {
    s = held_release(t, false, region, offset, bytes);
    if (s == CIRA_OK) {
      s = child->ops->post_discard(child, region, offset, bytes, o->deadline_ns,
                                   &o->op);
    }
  }
  return end(t, o, s);
}

static int32_t fault_poll(cira_fabric_t *f) {
  fault_t *t = (fault_t *)f;
  cira__hook_t *h = &t->hook;
  if (h->broken != CIRA_OK) {
    return h->broken;
  }
  (void)held_release(t, true, 0, 0, 0); /* those without room: next time */
  int32_t n = h->child->ops->poll(h->child);
  uint64_t now_ns = cira__now_ns();
  for (cira__hook_op_t **link = &h->active; *link;) {
    if (!settle(t, link, now_ns)) {
      link = &(*link)->next;
    }
  }
  if (n < 0) {
    return cira__hook_broke(h, n);
  }
  timer_set(t);
  n = h->completed;
  h->completed = 0;
  return n;
}

static int fault_wait_fd(cira_fabric_t *f) {
  return ((fault_t *)f)->epoll_fd;
}

/* ---- control ------------------------------------------------------------ */

/* A control call comes after the reads that were posted before it. */
static cira_status_t control(cira_fabric_t *f) {
  fault_t *t = (fault_t *)f;
  cira_status_t s = message(t);
  while (s == CIRA_OK && (s = held_release(t, true, 0, 0, 0)) == CIRA_AGAIN) {
    int32_t n = t->hook.child->ops->poll(t->hook.child);
    s = n < 0 ? n : CIRA_OK;
  }
  return s;
}

static cira_status_t fault_region_open(cira_fabric_t *f, uint64_t bytes,
                                       cira_region_t *out) {
  cira_status_t s = control(f);
  return s == CIRA_OK ? cira__hook_region_open(f, bytes, out) : s;
}

static cira_status_t fault_region_attach(cira_fabric_t *f,
                                         const cira_ticket_t *ticket,
                                         cira_region_t *out,
                                         uint64_t *out_bytes) {
  cira_status_t s = control(f);
  return s == CIRA_OK ? cira__hook_region_attach(f, ticket, out, out_bytes) : s;
}

static cira_status_t fault_region_ticket(cira_fabric_t *f, cira_region_t region,
                                         cira_ticket_t *out) {
  cira_status_t s = control(f);
  return s == CIRA_OK ? cira__hook_region_ticket(f, region, out) : s;
}

static cira_status_t fault_region_refs(cira_fabric_t *f, cira_region_t region,
                                       uint32_t *out) {
  cira_status_t s = control(f);
  return s == CIRA_OK ? cira__hook_region_refs(f, region, out) : s;
}

static cira_status_t fault_region_hold(cira_fabric_t *f, cira_region_t region,
                                       int32_t delta) {
  cira_status_t s = control(f);
  return s == CIRA_OK ? cira__hook_region_hold(f, region, delta) : s;
}

static void fault_region_close(cira_fabric_t *f, cira_region_t region) {
  if (control(f) == CIRA_OK) {
    cira__hook_region_close(f, region);
  }
}

static cira_status_t fault_region_commit(cira_fabric_t *f, cira_region_t region,
                                         int64_t bytes) {
  cira_status_t s = control(f);
  return s == CIRA_OK ? cira__hook_region_commit(f, region, bytes) : s;
}

/* ---- life --------------------------------------------------------------- */

static void fault_close(cira_fabric_t *f) {
  fault_t *t = (fault_t *)f;
  if (t->timer_fd >= 0) {
    (void)cira__sys_close(t->timer_fd);
  }
  if (t->epoll_fd >= 0) {
    (void)cira__sys_close(t->epoll_fd);
  }
  cira__hook_destroy(&t->hook);
}

static cira_status_t fault_connect(const char *url,
                                   const cira_fabric_options_t *opt,
                                   cira_fabric_t **out) {
  cira__url_t parsed;
  cira__hook_t *h;
  cira_status_t s = cira__hook_create(url, opt, &cira__fault_ops,
                                      sizeof(fault_t), &parsed, &h);
  if (s != CIRA_OK) {
    return s;
  }
  fault_t *t = (fault_t *)h;
  t->plan = parsed.fault;
  t->random = parsed.fault.seed ? parsed.fault.seed : 1;
  t->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN};
  int fd = h->child->ops->wait_fd(h->child);
  if (t->timer_fd < 0 || t->epoll_fd < 0 ||
      epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->timer_fd, &e) < 0 ||
      (fd >= 0 && epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)) {
    s = cira__fail_errno(CIRA_E_SYSTEM, errno, "%s: no timer", url);
    fault_close(&h->base);
    return s;
  }
  *out = &h->base;
  return CIRA_OK;
}

const cira_fabric_ops_t cira__fault_ops = {
    .size = sizeof(cira_fabric_ops_t),
    .flags = CIRA_FABRIC_F_REMOTE,
    .scheme = "fault",
    .connect = fault_connect,
    .close = fault_close,
    .region_open = fault_region_open,
    .region_attach = fault_region_attach,
    .region_ticket = fault_region_ticket,
    .region_refs = fault_region_refs,
    .region_hold = fault_region_hold,
    .region_close = fault_region_close,
    .region_commit = fault_region_commit,
    .region_map = cira__hook_region_map,
    .post_read = fault_post_read,
    .post_write = fault_post_write,
    .post_atomic = fault_post_atomic,
    .post_discard = fault_post_discard,
    .poll = fault_poll,
    .wait_fd = fault_wait_fd,
};
