/* SPDX-License-Identifier: Apache-2.0
 *
 * What the hooks share, see hook.h.
 */
#include "fabric/hook.h"

#include <string.h>

cira_status_t cira__hook_create(const char *url,
                                const cira_fabric_options_t *opt,
                                const cira_fabric_ops_t *ops,
                                uint64_t hook_bytes, cira__url_t *out_url,
                                cira__hook_t **out) {
  char inner[CIRA__URL_BYTES];
  cira_status_t s = cira__url_parse(url, strlen(url), out_url);
  if (s != CIRA_OK) {
    return s;
  }
  cira__url_child(out_url, 0, inner);
  uint64_t head = cira__align_up(hook_bytes, 64);
  uint64_t total = head + opt->inflight_max * sizeof(cira__hook_op_t);
  cira__hook_t *h = cira__pages_alloc(total);
  if (!h) {
    return CIRA_E_NOMEM;
  }
  s = cira_fabric_connect(inner, opt, &h->child);
  if (s != CIRA_OK) {
    cira__pages_free(h, total);
    return s;
  }
  cira__fabric_init(&h->base, ops,
                    h->child->flags & ~(uint32_t)CIRA_FABRIC_F_DIRECT, url,
                    opt);
  h->total_bytes = total;
  h->active_tail = &h->active;
  cira__hook_op_t *pool = (cira__hook_op_t *)((uint8_t *)h + head);
  for (uint32_t i = 0; i < opt->inflight_max; i++) {
    pool[i].next = h->free;
    h->free = &pool[i];
  }
  *out = h;
  return CIRA_OK;
}

void cira__hook_destroy(cira__hook_t *h) {
  (void)cira__hook_broke(h, CIRA_E_CLOSED);
  cira_fabric_close(h->child); /* may still name our op records */
  cira__pages_free(h, h->total_bytes);
}

cira__hook_op_t *cira__hook_take(cira__hook_t *h, cira__hook_kind_t kind,
                                 cira_region_t region, uint64_t offset,
                                 uint64_t bytes, uint64_t deadline_ns,
                                 cira_fabric_op_t *user,
                                 cira_status_t *out_status) {
  cira__hook_op_t *o = h->free;
  if (h->broken != CIRA_OK) {
    *out_status =
        cira__fail(h->broken, "%s: the connection is over", h->base.url);
    return NULL;
  }
  if (!o) {
    *out_status = CIRA_AGAIN;
    return NULL;
  }
  h->free = o->next;
  uint64_t now_ns = cira__now_ns();
  *o = (cira__hook_op_t){.user = user,
                         .kind = kind,
                         .region = region,
                         .offset = offset,
                         .bytes = bytes,
                         .posted_ns = now_ns,
                         .deadline_ns = deadline_ns
                                            ? deadline_ns
                                            : now_ns + h->base.opt.deadline_ns};
  return o;
}

void cira__hook_give_back(cira__hook_t *h, cira__hook_op_t *o) {
  o->next = h->free;
  h->free = o;
}

void cira__hook_activate(cira__hook_t *h, cira__hook_op_t *o) {
  o->user->deadline_ns = o->deadline_ns;
  o->user->status = CIRA_PENDING;
  o->next = NULL;
  *h->active_tail = o;
  h->active_tail = &o->next;
}

void cira__hook_finish(cira__hook_t *h, cira__hook_op_t **link,
                       cira_status_t status) {
  cira__hook_op_t *o = *link;
  cira_fabric_op_t *user = o->user;
  *link = o->next;
  if (h->active_tail == &o->next) {
    h->active_tail = link;
  }
  user->result = o->op.result;
  cira__hook_give_back(h, o);
  h->completed++;
  cira__op_complete(user, status);
}

/* The records are not used again: the child may still write to them. */
cira_status_t cira__hook_broke(cira__hook_t *h, cira_status_t status) {
  h->broken = status;
  for (cira__hook_op_t *o = h->active; o; o = o->next) {
    h->completed++;
    cira__op_complete(o->user, status);
  }
  h->active = NULL;
  h->active_tail = &h->active;
  return status;
}

static cira_fabric_t *child_of(cira_fabric_t *f) {
  return ((cira__hook_t *)f)->child;
}

cira_status_t cira__hook_region_open(cira_fabric_t *f, uint64_t bytes,
                                     cira_region_t *out) {
  return child_of(f)->ops->region_open(child_of(f), bytes, out);
}

cira_status_t cira__hook_region_attach(cira_fabric_t *f,
                                       const cira_ticket_t *ticket,
                                       cira_region_t *out,
                                       uint64_t *out_bytes) {
  return child_of(f)->ops->region_attach(child_of(f), ticket, out, out_bytes);
}

cira_status_t cira__hook_region_ticket(cira_fabric_t *f, cira_region_t region,
                                       cira_ticket_t *out) {
  return child_of(f)->ops->region_ticket(child_of(f), region, out);
}

cira_status_t cira__hook_region_refs(cira_fabric_t *f, cira_region_t region,
                                     uint32_t *out) {
  return child_of(f)->ops->region_refs(child_of(f), region, out);
}

cira_status_t cira__hook_region_hold(cira_fabric_t *f, cira_region_t region,
                                     int32_t delta) {
  return child_of(f)->ops->region_hold(child_of(f), region, delta);
}

void cira__hook_region_close(cira_fabric_t *f, cira_region_t region) {
  child_of(f)->ops->region_close(child_of(f), region);
}

cira_status_t cira__hook_region_commit(cira_fabric_t *f, cira_region_t region,
                                       int64_t bytes) {
  return child_of(f)->ops->region_commit(child_of(f), region, bytes);
}

cira_status_t cira__hook_region_map(cira_fabric_t *f, cira_region_t region,
                                    uint8_t **out) {
  (void)region;
  (void)out;
  return cira__fail(CIRA_E_UNSUPPORTED,
                    "%s: a hook has to see every access; it cannot be mapped",
                    f->url);
}
