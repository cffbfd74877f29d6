/* SPDX-License-Identifier: Apache-2.0
 *
 * Many calls of one function: their arguments go into a place for bulk, one
 * message rings for all of them, their results come back the same way. Several
 * places are under way at once, so the callee never waits for us. All copies
 * are through the link, so that a batch that is given up can still be running
 * while the caller's arrays are gone.
 */
#include "call/internal.h"

#include <string.h>

typedef struct {
  cira_call_client_t *client;
  const cira_call_many_t *m;
  uint32_t function;
  uint32_t batch, depth;
  uint64_t next;       /* first call that was not submitted */
  uint64_t done;       /* calls whose results were taken */
  uint64_t head, tail; /* batches, free-running */
  cira_call_t call[CIRA_CALL_BULK_PLACES];
  uint8_t place[CIRA_CALL_BULK_PLACES];
} many_t;

static cira_call_t *call_of(many_t *w, uint64_t number) {
  return &w->call[number % CIRA_CALL_BULK_PLACES];
}

/* How many calls fit into a place, 0 when not even one does. */
static uint32_t batch_fit(const cira_call_client_t *c,
                          const cira_call_many_t *m) {
  uint64_t room = c->view.link->bulk_bytes;
  uint64_t each = (uint64_t)m->args_bytes + m->result_bytes;
  uint64_t most = each ? (room > 63 ? room - 63 : 0) / each : UINT32_MAX;
  if (m->batch && m->batch < most) {
    most = m->batch;
  }
  return (uint32_t)cira__min_u64(most, UINT32_MAX);
}

static cira_status_t batch_submit(many_t *w) {
  cira_call_client_t *c = w->client;
  if (c->free_count == 0 || c->bulk_free == 0) {
    cira_status_t status = cira__call_until(
        c, NULL, true, w->m->deadline_ns ? w->m->deadline_ns : CIRA_FOREVER);
    if (status != CIRA_OK) {
      return status;
    }
  }
  uint32_t place = (uint32_t)__builtin_ctz(c->bulk_free);
  c->bulk_free &= (uint16_t)~(1u << place);
  cira__call_bulk_t *b = &c->view.descriptor[place];
  *b = (cira__call_bulk_t){
      .count = (uint32_t)cira__min_u64(w->batch, w->m->count - w->next),
      .args_bytes = w->m->args_bytes,
      .result_bytes = w->m->result_bytes};
  if (b->args_bytes) {
    memcpy(c->view.bulk + (uint64_t)place * c->view.link->bulk_bytes,
           (const uint8_t *)w->m->args + w->next * b->args_bytes,
           (uint64_t)b->count * b->args_bytes);
  }
  cira_call_t *call = call_of(w, w->tail);
  call->result = NULL;
  call->result_max = 0;
  call->detail[0] = 0;
  call->deadline_ns = w->m->deadline_ns ? w->m->deadline_ns : CIRA_FOREVER;
  w->place[w->tail % CIRA_CALL_BULK_PLACES] = (uint8_t)place;
  w->next += b->count;
  w->tail++;
  c->stats.submitted += b->count;
  cira__call_ranges_put(c, w->m->range, w->m->range_count);
  cira__call_send(c, w->function, NULL, 0, place + 1, 0, call);
  return c->broken;
}

/* Waits for the oldest batch and takes its results. */
static cira_status_t batch_collect(many_t *w) {
  cira_call_client_t *c = w->client;
  cira_call_t *call = call_of(w, w->head);
  uint32_t place = w->place[w->head % CIRA_CALL_BULK_PLACES];
  uint32_t number = cira__call_place(call->id);
  uint32_t id = call->id;
  cira_status_t status = cira_call_wait(c, call, CIRA_FOREVER);
  if (call->status == CIRA_PENDING) {
    return status; /* this task was told to stop; the batch still runs */
  }
  w->head++;
  if (c->broken != CIRA_OK ||
      (c->place[number].taken && c->place[number].id == id)) {
    return status; /* given up: the place is the callee's */
  }
  cira__call_bulk_t b = c->view.descriptor[place];
  bool fits;
  uint64_t results =
      cira__call_bulk_results(&b, c->view.link->bulk_bytes, &fits);
  if (!fits || b.done > b.count || b.result_bytes != w->m->result_bytes) {
    cira__call_broke(c, CIRA_E_PROTOCOL);
    return cira__fail(CIRA_E_PROTOCOL,
                      "call_many: the callee has damaged the link");
  }
  if (b.result_bytes && b.done) {
    memcpy((uint8_t *)w->m->results + w->done * b.result_bytes,
           c->view.bulk + (uint64_t)place * c->view.link->bulk_bytes + results,
           (uint64_t)b.done * b.result_bytes);
  }
  c->bulk_free |= (uint16_t)(1u << place);
  w->done += b.done;
  c->stats.completed += b.done;
  return status;
}

/* Gives up the oldest batch. If it still runs, its place for bulk is free when
 * its completion comes. */
static void batch_drop(many_t *w) {
  cira_call_t *call = call_of(w, w->head);
  if (call->status == CIRA_PENDING) {
    cira__call_abandon(w->client, call, CIRA_E_CANCELLED);
  } else {
    w->client->bulk_free |=
        (uint16_t)(1u << w->place[w->head % CIRA_CALL_BULK_PLACES]);
  }
}

static cira_status_t many_check(cira_call_client_t *c, uint32_t function,
                                const cira_call_many_t *m) {
  cira_status_t status = cira__call_ready(c, "call_many");
  if (status != CIRA_OK) {
    return status;
  }
  if (!m || function - 1 >= CIRA_CALL_FUNCTION_MAX ||
      (m->count &&
       ((m->args_bytes && !m->args) || (m->result_bytes && !m->results)))) {
    return cira__fail(CIRA_E_INVALID,
                      "call_many: the arrays are NULL, or function %u is "
                      "unknown",
                      function);
  }
  if (m->range_count != 0) {
    status = cira__call_ranges_check(c, m->range, m->range_count);
    if (status != CIRA_OK) {
      return status;
    }
  }
  if (batch_fit(c, m) == 0) {
    return cira__fail(CIRA_E_RANGE,
                      "call_many: a call with %u bytes of arguments and %u of "
                      "result does not fit into bulk_bytes, %u",
                      m->args_bytes, m->result_bytes, c->view.link->bulk_bytes);
  }
  return CIRA_OK;
}

cira_status_t cira_call_many(cira_call_client_t *c, uint32_t function,
                             const cira_call_many_t *m, uint64_t *out_count) {
  if (out_count) {
    *out_count = 0;
  }
  cira_status_t status = many_check(c, function, m);
  if (status != CIRA_OK) {
    return status;
  }
  many_t w = {.client = c,
              .m = m,
              .function = function,
              .batch = batch_fit(c, m),
              .depth = m->depth ? m->depth : CIRA_CALL_BULK_PLACES};
  for (uint32_t i = 0; i < CIRA_CALL_BULK_PLACES; i++) {
    w.call[i].id = UINT32_MAX;
  }
  if (w.depth > CIRA_CALL_BULK_PLACES) {
    w.depth = CIRA_CALL_BULK_PLACES;
  }
  while (status == CIRA_OK && w.done < m->count) {
    while (status == CIRA_OK && w.next < m->count &&
           w.tail - w.head < w.depth &&
           (w.tail == w.head || (c->free_count > 0 && c->bulk_free != 0))) {
      status = batch_submit(&w);
    }
    if (status == CIRA_OK) {
      status = batch_collect(&w);
    }
  }
  for (; w.head != w.tail; w.head++) { /* after a failure */
    batch_drop(&w);
  }
  if (out_count) {
    *out_count = w.done;
  }
  return status;
}
