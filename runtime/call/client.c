/* SPDX-License-Identifier: Apache-2.0
 *
 * The caller's side: places, submissions, completions, waiting.
 * One reader of completions at a time: whoever waits first "drives", that is,
 * sleeps in the completion ring and ends the calls of others, too; tasks that
 * wait meanwhile park and are woken when something of theirs may have changed.
 * A driver that leaves wakes the next waiter, so somebody always drives.
 * A call that is abandoned keeps its place until its completion came, so the
 * number of places bounds what a slow callee has in its ring.
 */
#include "call/internal.h"

#include <stdlib.h>
#include <string.h>

#define TASK_TRIES                                                             \
  500u /* looks at the ring before a task sleeps, about 2 us                   \
        */

cira_status_t cira__call_ready(const cira_call_client_t *c, const char *call) {
  if (CIRA_UNLIKELY(!c)) {
    return cira__fail(CIRA_E_INVALID, "%s: the client is NULL", call);
  }
  if (CIRA_UNLIKELY(c->closed)) {
    return cira__fail(CIRA_E_CLOSED, "%s: used after cira_call_close", call);
  }
  if (CIRA_UNLIKELY(c->broken != CIRA_OK)) {
    return cira__fail(c->broken, "%s: the callee is gone; make a new link",
                      call);
  }
  return CIRA_OK;
}

bool cira__call_pending(const cira_call_client_t *c, const cira_call_t *call) {
  uint32_t place = cira__call_place(call->id);
  return place < c->view.link->depth && c->place[place].call == call &&
         c->place[place].id == call->id;
}

/* ---- submitting --------------------------------------------------------- */

static void doorbell(cira_call_client_t *c) {
  if (c->filled) {
    (void)cira_channel_commit(c->view.submissions, &c->run, c->filled);
    c->filled = 0;
    c->run.count = 0;
    c->stats.doorbells++;
  }
}

void cira__call_send(cira_call_client_t *c, uint32_t function, const void *args,
                     uint32_t args_bytes, uint32_t bulk, uint32_t flags,
                     cira_call_t *call) {
  uint32_t place = c->free_place[--c->free_count];
  cira__call_place_t *p = &c->place[place];
  p->id += CIRA_CALL_DEPTH_MAX; /* taken once more */
  if (CIRA_UNLIKELY(p->id == 0)) {
    p->id = CIRA_CALL_DEPTH_MAX; /* around; a cancel word of 0 means nobody */
  }
  p->taken = true;
  p->call = call;
  p->bulk = (uint8_t)bulk;
  p->find = false;
  call->id = p->id;
  call->client = c;
  call->parker = NULL;
  call->waited = 0;
  call->status = CIRA_PENDING;
  cira__call_submission_t m = {.id = p->id,
                               .function = (uint16_t)function,
                               .args_bytes = (uint16_t)args_bytes};
  if (bulk) {
    m.function |= CIRA__CALL_F_BULK;
    m.args_bytes = (uint16_t)(bulk - 1);
  }
  if (call->deadline_ns != CIRA_FOREVER) {
    m.function |= CIRA__CALL_F_DEADLINE;
    c->view.deadline_ns[place] = call->deadline_ns;
  }
  uint32_t *cancel = &c->view.cancel[place];
  if (CIRA_UNLIKELY(*cancel != 0)) { /* of an older call, written by us */
    __atomic_store_n(cancel, 0, __ATOMIC_RELAXED);
  }
  if (c->run.count == 0) {
    /* there is room: see the invariant in internal.h */
    cira_status_t status =
        cira_channel_reserve(c->view.submissions, UINT32_MAX, &c->run);
    if (CIRA_UNLIKELY(status != CIRA_OK)) {
      c->run.count = 0;
      cira__call_broke(c, cira__fail(CIRA_E_PROTOCOL,
                                     "call: the link has no room for a call "
                                     "that has a place; it is damaged"));
      return;
    }
  }
  uint8_t *to =
      (uint8_t *)c->run.first + (size_t)c->filled * c->run.stride_bytes;
  memcpy(to, &m, sizeof(m));
  if (args_bytes == 8) { /* usual, and a move instead of a call */
    memcpy(to + sizeof(m), args, 8);
  } else if (args_bytes && !bulk) {
    memcpy(to + sizeof(m), args, args_bytes);
  }
  c->filled++;
  c->stats.in_flight++;
  if ((flags & CIRA_CALL_F_MORE) == 0 || c->filled == c->run.count) {
    doorbell(c);
  }
}

static cira_status_t submit_refuse(const cira_call_client_t *c,
                                   const cira_call_request_t *r,
                                   uint32_t function, const cira_call_t *call) {
  if (!r || !call || (r->args_bytes && !r->args) ||
      (r->result_max && !r->result) || (r->flags & ~CIRA_CALL_F_MORE) != 0 ||
      function == CIRA__CALL_FIND || function > CIRA_CALL_FUNCTION_MAX) {
    return cira__fail(CIRA_E_INVALID,
                      "call_submit: the request, call, arguments or result is "
                      "NULL, or function %u or a flag is unknown",
                      function);
  }
  if (r->args_bytes > c->view.link->args_max) {
    return cira__fail(CIRA_E_RANGE,
                      "call_submit: %u bytes of arguments, the link takes %u; "
                      "pass a handle, or make the link with a larger args_max",
                      r->args_bytes, c->view.link->args_max);
  }
  return cira__fail(CIRA_E_BUSY, "call_submit: the call is pending");
}

CIRA_COLD cira_status_t cira__call_ranges_check(const cira_call_client_t *c,
                                                const cira_call_range_t *range,
                                                uint32_t count) {
  if (!c->session) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "call: ranges are for calls to a memory server; other "
                      "callees know memory by cira_call_table_window");
  }
  if (count > CIRA_CALL_RANGE_MAX || !range) {
    return cira__fail(count > CIRA_CALL_RANGE_MAX ? CIRA_E_RANGE
                                                  : CIRA_E_INVALID,
                      "call: %u ranges, at most %u, or they are NULL", count,
                      CIRA_CALL_RANGE_MAX);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!range[i].at || range[i].bytes == 0 ||
        (range[i].access != CIRA_CALL_READ &&
         range[i].access != CIRA_CALL_WRITE &&
         range[i].access != (CIRA_CALL_READ | CIRA_CALL_AT_HOME) &&
         range[i].access != (CIRA_CALL_READ | CIRA_CALL_WRITE))) {
      return cira__fail(CIRA_E_INVALID,
                        "call: range %u is empty, or its access %u is neither "
                        "CIRA_CALL_READ nor CIRA_CALL_WRITE",
                        i, range[i].access);
    }
  }
  return CIRA_OK;
}

cira_status_t cira_call_submit(cira_call_client_t *c, uint32_t function,
                               const cira_call_request_t *r,
                               cira_call_t *call) {
  cira_status_t status = cira__call_ready(c, "call_submit");
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return status;
  }
  if (CIRA_UNLIKELY(!r || !call || (r->args_bytes && !r->args) ||
                    (r->result_max && !r->result) ||
                    (r->flags & ~CIRA_CALL_F_MORE) != 0 ||
                    function - 1 >= CIRA_CALL_FUNCTION_MAX ||
                    r->args_bytes > c->view.link->args_max ||
                    cira__call_pending(c, call))) {
    return submit_refuse(c, r, function, call);
  }
  if (CIRA_UNLIKELY(c->free_count == 0)) {
    status = cira__call_until(c, NULL, false, r->wait_ns);
    if (status != CIRA_OK) {
      return status == CIRA_E_DEADLINE && r->wait_ns == CIRA_NO_WAIT
                 ? CIRA_AGAIN
                 : status;
    }
  }
  if (CIRA_UNLIKELY(r->range_count != 0)) {
    status = cira__call_ranges_check(c, r->range, r->range_count);
    if (status != CIRA_OK) {
      return status;
    }
  }
  cira__call_ranges_put(c, r->range, r->range_count);
  call->result = r->result;
  call->result_max = r->result_max;
  call->result_bytes = 0;
  call->detail[0] = 0;
  call->deadline_ns = r->deadline_ns ? r->deadline_ns : CIRA_FOREVER;
  c->stats.submitted++;
  cira__call_send(c, function, r->args, r->args_bytes, 0, r->flags, call);
  return c->broken;
}

cira_status_t cira_call_flush(cira_call_client_t *c) {
  cira_status_t status = cira__call_ready(c, "call_flush");
  if (status == CIRA_OK) {
    doorbell(c);
  }
  return status;
}

/* ---- completing --------------------------------------------------------- */

static void wake(const cira__call_waiter_t *w) {
  w->parker->unpark(w->parker);
}

/* Places have become free. */
static void wake_for_place(const cira_call_client_t *c) {
  if (CIRA_LIKELY(c->for_place == 0)) {
    return;
  }
  for (const cira__call_waiter_t *w = c->waiters; w; w = w->next) {
    if (w->for_place) {
      wake(w);
    }
  }
}

static void call_end(cira_call_client_t *c, cira_call_t *call,
                     cira_status_t status) {
  call->status = status;
  c->stats.failed += status != CIRA_OK;
  if (call->parker) {
    call->parker->unpark(call->parker);
  }
}

/* A completion with a failure: its detail, and what it means here. */
static CIRA_COLD void call_fail(cira_call_client_t *c, cira_call_t *call,
                                cira_status_t status) {
  const char *detail = c->view.detail + (size_t)cira__call_place(call->id) *
                                            CIRA__CALL_DETAIL_BYTES;
  memcpy(call->detail, detail, sizeof(call->detail));
  call->detail[sizeof(call->detail) - 1] = 0;
  call_end(c, call, status);
}

/* Takes one completion in. Returns false when no callee may send it. */
static bool complete(cira_call_client_t *c, const uint8_t *message) {
  cira__call_completion_t m;
  memcpy(&m, message, sizeof(m));
  uint32_t place = cira__call_place(m.id);
  const cira__call_link_t *l = c->view.link;
  if (CIRA_UNLIKELY(place >= l->depth || !c->place[place].taken ||
                    c->place[place].id != m.id || m.status > 0 ||
                    m.result_bytes > l->result_max)) {
    return false;
  }
  cira__call_place_t *p = &c->place[place];
  cira_call_t *call = p->call;
  p->taken = false;
  p->call = NULL;
  c->stats.completed += p->bulk == 0; /* in bulk: see many.c */
  c->free_place[c->free_count++] = (uint16_t)place;
  c->stats.in_flight--;
  if (!call) { /* abandoned */
    c->finding = c->finding && !p->find;
    if (p->bulk) { /* else its results are still to be taken */
      c->bulk_free |= (uint16_t)(1u << (p->bulk - 1));
    }
    return true;
  }
  if (CIRA_UNLIKELY(m.status != CIRA_OK)) {
    call_fail(c, call, m.status);
  } else if (CIRA_UNLIKELY(call->result && m.result_bytes > call->result_max)) {
    (void)cira__format(call->detail, sizeof(call->detail),
                       "the result has %u bytes, room is for %u",
                       m.result_bytes, call->result_max);
    call_end(c, call, CIRA_E_RANGE);
  } else {
    const uint8_t *result = message + sizeof(m);
    call->result_bytes = m.result_bytes;
    if (call->result && m.result_bytes == 8) {
      memcpy(call->result, result, 8);
    } else if (call->result && m.result_bytes) {
      memcpy(call->result, result, m.result_bytes);
    }
    call_end(c, call, CIRA_OK);
  }
  return true;
}

void cira__call_broke(cira_call_client_t *c, cira_status_t status) {
  if (c->broken == CIRA_OK) {
    c->broken = status;
  }
  for (uint32_t i = 0; i < c->view.link->depth; i++) {
    cira_call_t *call = c->place[i].call;
    c->place[i].call = NULL;
    if (call) {
      (void)cira__format(
          call->detail, sizeof(call->detail), "%s",
          status == CIRA_E_CANCELLED      ? "the caller closed the link"
          : status == CIRA_E_DISCONNECTED ? cira_status_detail()
                                          : "the callee is gone");
      call_end(c, call, status);
    }
  }
  for (const cira__call_waiter_t *w = c->waiters; w; w = w->next) {
    wake(w);
  }
}

static cira_status_t refuse_completion(cira_call_client_t *c) {
  cira__call_broke(c, CIRA_E_PROTOCOL);
  return cira__fail(CIRA_E_PROTOCOL,
                    "call: the callee completed a call that is not pending");
}

/* What the ring of completions says when it says no more. */
static CIRA_COLD cira_status_t ring_ended(cira_call_client_t *c,
                                          cira_status_t status) {
  if (status == CIRA_E_CLOSED || status == CIRA_E_DISCONNECTED) {
    status = cira__fail(CIRA_E_DISCONNECTED,
                        "call: the callee has stopped serving, or died");
    cira__call_child_gone(c);
  }
  cira__call_broke(c, status);
  return status;
}

cira_status_t cira__call_drain(cira_call_client_t *c, uint32_t *out_count) {
  *out_count = 0;
  for (;;) {
    cira_channel_run_t run;
    cira_status_t status =
        cira_channel_peek(c->view.completions, UINT32_MAX, &run);
    if (status != CIRA_OK) {
      return status == CIRA_AGAIN ? CIRA_OK : ring_ended(c, status);
    }
    for (uint32_t i = 0; i < run.count; i++) {
      if (!complete(c, (const uint8_t *)run.first +
                           (size_t)i * run.stride_bytes)) {
        return refuse_completion(c);
      }
    }
    *out_count += run.count;
    (void)cira_channel_release(c->view.completions, &run, run.count);
    wake_for_place(c);
  }
}

cira_status_t cira_call_poll(cira_call_client_t *c, uint32_t *out_count) {
  uint32_t count = 0;
  cira_status_t status = cira__call_ready(c, "call_poll");
  if (status == CIRA_OK) {
    doorbell(c);
    /* with a driver, completions are its */
    status = c->driving ? CIRA_OK : cira__call_drain(c, &count);
  }
  if (out_count) {
    *out_count = count;
  }
  return status;
}

/* ---- waiting ------------------------------------------------------------ */

static bool come_true(const cira_call_client_t *c, const cira_call_t *call,
                      bool bulk) {
  if (call) {
    return call->status != CIRA_PENDING;
  }
  return c->free_count > 0 && (!bulk || c->bulk_free != 0);
}

cira_status_t cira__call_drive(cira_call_client_t *c, uint64_t deadline_ns) {
  c->driving = true;
  cira_status_t status =
      cira_channel_receive(c->view.completions, c->buffer, deadline_ns);
  c->driving = false;
  if (status == CIRA_OK) {
    if (!complete(c, c->buffer)) {
      return refuse_completion(c);
    }
    wake_for_place(c);
    return CIRA_OK;
  }
  return status == CIRA_E_DEADLINE || status == CIRA_E_CANCELLED
             ? status
             : ring_ended(c, status);
}

/* Parks beside a driver. */
static cira_status_t stand_by(cira_call_client_t *c, cira_call_t *call,
                              uint64_t deadline_ns) {
  cira__call_waiter_t w = {.parker = cira_parker_self(),
                           .next = c->waiters,
                           .link = &c->waiters,
                           .for_place = call == NULL};
  if (w.next) {
    w.next->link = &w.next;
  }
  c->waiters = &w;
  c->for_place += w.for_place;
  if (call) {
    call->parker = w.parker;
  }
  cira_status_t status = w.parker->park(w.parker, deadline_ns);
  if (call) {
    call->parker = NULL;
  }
  c->for_place -= w.for_place;
  *w.link = w.next;
  if (w.next) {
    w.next->link = w.link;
  }
  return status;
}

cira_status_t cira__call_until(cira_call_client_t *c, cira_call_t *call,
                               bool bulk, uint64_t deadline_ns) {
  cira_status_t status = CIRA_OK;
  /* Channels do not spin for tasks; but a sleep here and a wake-up there for
   * each completion take far longer than a round trip. */
  bool spins = cira_parker_self()->is_task &&
               c->view.completions->wait != CIRA_CHANNEL_SLEEP;
  uint32_t tries = spins ? TASK_TRIES : 1;
  doorbell(c);
  c->waiting++;
  while (!come_true(c, call, bulk) && status == CIRA_OK) {
    uint32_t count = 0;
    if (c->broken != CIRA_OK) {
      status = c->broken;
    } else if (c->driving) {
      status = deadline_ns == CIRA_NO_WAIT ? CIRA_E_DEADLINE
                                           : stand_by(c, call, deadline_ns);
    } else {
      for (uint32_t i = tries; status == CIRA_OK && count == 0 && i > 0; i--) {
        status = cira__call_drain(c, &count);
      }
      if (status == CIRA_OK && count == 0) {
        status = cira__call_drive(c, deadline_ns);
      }
    }
  }
  c->waiting--;
  if (!c->driving && c->waiters) {
    wake(c->waiters); /* somebody has to drive */
  }
  return come_true(c, call, bulk) ? CIRA_OK : status;
}

void cira__call_abandon(cira_call_client_t *c, cira_call_t *call,
                        cira_status_t status) {
  uint32_t place = cira__call_place(call->id);
  if (cira__call_pending(c, call)) {
    c->place[place].call = NULL;
    /* relaxed: a hint */
    __atomic_store_n(&c->view.cancel[place], call->id, __ATOMIC_RELAXED);
    c->stats.abandoned++;
    call_end(c, call, status);
  }
}

/* Says how a call ended. */
static cira_status_t outcome(const cira_call_t *call) {
  if (CIRA_UNLIKELY(call->status != CIRA_OK)) {
    (void)cira__fail(call->status, "call %x: %s%s", call->id,
                     call->detail[0] ? "" : cira_status_name(call->status),
                     call->detail);
  }
  return call->status;
}

cira_status_t cira_call_wait(cira_call_client_t *c, cira_call_t *call,
                             uint64_t deadline_ns) {
  if (CIRA_UNLIKELY(!c || !call || call->client != c)) {
    return cira__fail(CIRA_E_INVALID,
                      "call_wait: the client or call is NULL, or the call was "
                      "not submitted to this client");
  }
  if (call->status != CIRA_PENDING) {
    return outcome(call);
  }
  if (CIRA_UNLIKELY(call->waited)) {
    return cira__fail(CIRA_E_BUSY, "call_wait: another task waits for it");
  }
  call->waited = 1;
  cira_status_t status = cira__call_until(
      c, call, false, cira__min_u64(deadline_ns, call->deadline_ns));
  call->waited = 0;
  if (CIRA_UNLIKELY(status == CIRA_E_DEADLINE &&
                    call->deadline_ns <= deadline_ns)) {
    cira__call_abandon(c, call, CIRA_E_DEADLINE);
  }
  return call->status != CIRA_PENDING ? outcome(call) : status;
}

cira_status_t cira_call_cancel(cira_call_client_t *c, cira_call_t *call) {
  if (!c || !call || call->client != c) {
    return cira__fail(CIRA_E_INVALID,
                      "call_cancel: the client or call is NULL, or the call "
                      "was not submitted to this client");
  }
  if (call->status != CIRA_PENDING) {
    return cira__fail(CIRA_E_CLOSED, "call_cancel: the call has ended");
  }
  doorbell(c); /* it ends by its completion, so it has to go there */
  /* relaxed: a hint */
  __atomic_store_n(&c->view.cancel[cira__call_place(call->id)], call->id,
                   __ATOMIC_RELAXED);
  return CIRA_OK;
}

/* In a call's own field 0 means none; here it means now. */
static uint64_t call_deadline(uint64_t deadline_ns) {
  return deadline_ns == CIRA_NO_WAIT ? 1 : deadline_ns;
}

cira_status_t cira_call_run(cira_call_client_t *c, uint32_t function,
                            const void *args, uint32_t args_bytes, void *result,
                            uint32_t result_max, uint64_t deadline_ns,
                            uint32_t *out_result_bytes) {
  cira_call_t call;
  call.id = UINT32_MAX; /* of no place, whatever the stack held before */
  cira_call_request_t request = {.args = args,
                                 .args_bytes = args_bytes,
                                 .result = result,
                                 .result_max = result_max,
                                 .deadline_ns = call_deadline(deadline_ns),
                                 .wait_ns = deadline_ns};
  cira_status_t status = cira_call_submit(c, function, &request, &call);
  if (status != CIRA_OK) {
    return status;
  }
  status = cira_call_wait(c, &call, CIRA_FOREVER);
  if (CIRA_UNLIKELY(call.status == CIRA_PENDING)) {
    cira__call_abandon(c, &call, status); /* this task was told to stop */
  }
  if (status == CIRA_OK && out_result_bytes) {
    *out_result_bytes = call.result_bytes;
  }
  return status;
}

cira_status_t cira_call_find(cira_call_client_t *c, const char *name,
                             uint64_t deadline_ns, uint32_t *out_function) {
  cira_status_t status = cira__call_ready(c, "call_find");
  if (status != CIRA_OK) {
    return status;
  }
  if (!out_function || !cira__call_name_ok(name)) {
    return cira__fail(CIRA_E_INVALID,
                      "call_find: out is NULL, or the name has not 1 to %u "
                      "bytes",
                      CIRA_CALL_NAME_MAX);
  }
  if (c->finding) {
    return cira__fail(CIRA_E_BUSY, "call_find: another search is under way");
  }
  c->finding = true; /* the name in the link is ours */
  cira_call_t call = {.id = UINT32_MAX,
                      .deadline_ns = call_deadline(deadline_ns)};
  status = cira__call_until(c, NULL, false, deadline_ns);
  if (status == CIRA_OK) {
    memcpy(c->view.link->name, name, strlen(name) + 1);
    cira__call_ranges_put(c, NULL, 0);
    c->stats.submitted++;
    cira__call_send(c, CIRA__CALL_FIND, NULL, 0, 0, 0, &call);
    uint32_t place = cira__call_place(call.id);
    status = cira_call_wait(c, &call, CIRA_FOREVER);
    if (call.status == CIRA_PENDING) {
      cira__call_abandon(c, &call, status);
    }
    if (c->place[place].taken && c->place[place].id == call.id) {
      c->place[place].find = true; /* the name is free when it is */
      return status;
    }
  }
  c->finding = false;
  if (status == CIRA_OK) {
    *out_function = c->view.link->found;
  }
  return status;
}

cira_call_stats_t cira_call_stats(const cira_call_client_t *c) {
  cira_call_stats_t none = {0};
  return c ? c->stats : none;
}
