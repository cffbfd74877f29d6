/* SPDX-License-Identifier: Apache-2.0
 *
 * The callee's side: takes submissions off the ring, runs them, completes them.
 * A function reads its arguments where they lie in the ring and writes its
 * result into the completion that will be sent, so nothing is copied here
 * unless this side had to sleep for the message.
 */
#include "call/internal.h"

#include "base/sys.h"

#include <linux/futex.h>
#include <string.h>

#define RUN_MAX 64u /* submissions looked at together */
#define BULK_LOOK_EVERY                                                        \
  64u /* calls in bulk between looks at the cancel word                        \
       */

typedef struct {
  cira__call_view_t view;
  cira_call_table_t *table;
  uint32_t depth, args_max, result_max;
  uint64_t deadline_ns; /* of the call that runs, or CIRA_FOREVER */
  cira_status_t status; /* why it ends */
} server_t;

static bool cancelled(const cira__call_view_t *v, uint32_t id) {
  /* relaxed: hints, see internal.h */
  return __atomic_load_n(&v->cancel[cira__call_place(id)], __ATOMIC_RELAXED) ==
             id ||
         __atomic_load_n(&v->link->stop, __ATOMIC_RELAXED) != 0;
}

bool cira_call_cancelled(const cira_call_frame_t *frame) {
  const server_t *s = frame ? frame->server : NULL;
  return s && cancelled(&s->view, frame->id);
}

uint64_t cira__call_frame_deadline(const cira_call_frame_t *frame) {
  return ((const server_t *)frame->server)->deadline_ns;
}

cira_status_t cira_call_resolve(const cira_call_frame_t *frame,
                                const cira_call_far_t *far, void **out) {
  if (!frame || !far || !out || !frame->server) {
    return cira__fail(CIRA_E_INVALID,
                      "call_resolve: the frame, handle or out is NULL");
  }
  const cira_call_table_t *t = ((const server_t *)frame->server)->table;
  if (far->window >= CIRA_CALL_WINDOW_MAX || !t->window[far->window].at ||
      !cira__range_ok(far->offset, far->bytes, t->window[far->window].bytes)) {
    return cira__fail(CIRA_E_RANGE,
                      "call_resolve: no %llu bytes at %llu of window %u",
                      (unsigned long long)far->bytes,
                      (unsigned long long)far->offset, far->window);
  }
  *out = t->window[far->window].at + far->offset;
  return CIRA_OK;
}

/* ---- one call ----------------------------------------------------------- */

static cira_status_t run_find(server_t *s) {
  char name[CIRA_CALL_NAME_MAX + 1];
  memcpy(name, s->view.link->name, sizeof(name));
  name[CIRA_CALL_NAME_MAX] = 0;
  return cira__call_table_find(s->table, name, &s->view.link->found);
}

/* All calls of a batch by one function that takes arrays. */
static cira_status_t run_array(const cira__call_entry_t *e,
                               cira_call_frame_t *frame, uint32_t count) {
  frame->count = count;
  frame->done = 0;
  cira_status_t status = e->function(frame);
  if (status == CIRA_OK && frame->result_bytes != frame->result_max) {
    status = cira__fail(CIRA_E_RANGE, "'%s' wrote results of %u bytes, not %u",
                        e->name, frame->result_bytes, frame->result_max);
    frame->done = 0;
  } else if (status == CIRA_OK) {
    frame->done = count;
  }
  if (frame->done > count) {
    frame->done = count;
  }
  return status;
}

/* The calls of one place for bulk, until one fails. */
static cira_status_t run_bulk(server_t *s, const cira__call_entry_t *e,
                              uint32_t number, cira_call_frame_t *frame) {
  cira__call_bulk_t b = s->view.descriptor[number];
  bool fits;
  uint32_t room = s->view.link->bulk_bytes;
  uint64_t results = cira__call_bulk_results(&b, room, &fits);
  if (!fits) {
    return cira__fail(CIRA_E_PROTOCOL, "calls in bulk outside of their place");
  }
  uint8_t *at = s->view.bulk + (uint64_t)number * room;
  const uint8_t *args = at;
  uint8_t *result = at + results;
  cira_status_t status = CIRA_OK;
  uint32_t i = 0;
  frame->args_bytes = b.args_bytes;
  frame->result_max = b.result_bytes;
  if (e->array) {
    frame->args = args;
    frame->result = result;
    status = run_array(e, frame, b.count);
    s->view.descriptor[number].done = frame->done;
    frame->result_bytes = 0;
    return status;
  }
  for (; i < b.count; i++) {
    if (i % BULK_LOOK_EVERY == 0 && cancelled(&s->view, frame->id)) {
      status = CIRA_E_CANCELLED;
      break;
    }
    frame->args = args;
    frame->result = result;
    frame->result_bytes = 0;
    status = e->function(frame);
    if (CIRA_UNLIKELY(status != CIRA_OK)) {
      break;
    }
    if (CIRA_UNLIKELY(frame->result_bytes != b.result_bytes)) {
      status =
          cira__fail(CIRA_E_RANGE, "'%s' wrote a result of %u bytes, not %u",
                     e->name, frame->result_bytes, b.result_bytes);
      break;
    }
    args += b.args_bytes;
    result += b.result_bytes;
  }
  s->view.descriptor[number].done = i;
  frame->result_bytes = 0;
  return status;
}

static cira_status_t run_function(server_t *s, const cira__call_submission_t *m,
                                  cira_call_frame_t *frame) {
  uint32_t number = m->function & CIRA__CALL_FUNCTION_MASK;
  uint32_t place = cira__call_place(m->id);
  if (cancelled(&s->view, m->id)) {
    return CIRA_E_CANCELLED;
  }
  s->deadline_ns = CIRA_FOREVER;
  if ((m->function & CIRA__CALL_F_DEADLINE) != 0) {
    s->deadline_ns = s->view.deadline_ns[place];
    if (cira__now_ns() >= s->deadline_ns) {
      return CIRA_E_DEADLINE;
    }
  }
  if (number == CIRA__CALL_FIND) {
    return run_find(s);
  }
  const cira__call_entry_t *e = cira__call_entry(s->table, number);
  if (!e) {
    return cira__fail(CIRA_E_INVALID,
                      "the callee has no function %u; numbers come from "
                      "cira_call_find",
                      number);
  }
  frame->context = e->context;
  if ((m->function & CIRA__CALL_F_BULK) != 0) {
    return run_bulk(s, e, m->args_bytes, frame);
  }
  cira_status_t status = e->function(frame);
  if (CIRA_UNLIKELY(frame->result_bytes > frame->result_max)) {
    status = cira__fail(CIRA_E_RANGE,
                        "'%s' says it wrote %u bytes where %u have room",
                        e->name, frame->result_bytes, frame->result_max);
  }
  return status;
}

/* Carries a failure back: its status, fit for the wire, and the detail. */
static CIRA_COLD int16_t failure(server_t *s, uint32_t id,
                                 cira_status_t status) {
  const char *detail = cira_status_detail();
  if (status > 0 || status < INT16_MIN) {
    (void)cira__fail(CIRA_E_PROTOCOL,
                     "the function returned %d, which is no "
                     "status from -32768 to 0",
                     status);
    status = CIRA_E_PROTOCOL;
  }
  (void)cira__format(s->view.detail +
                         (size_t)cira__call_place(id) * CIRA__CALL_DETAIL_BYTES,
                     CIRA__CALL_DETAIL_BYTES, "%s", detail);
  (void)cira__fail(status, "%s", ""); /* the next one says its own */
  return (int16_t)status;
}

/* Runs one submission and sends its completion. Returns false when the caller
 * has sent what no caller may. */
static bool serve_one(server_t *s, const uint8_t *message) {
  cira__call_submission_t m;
  cira_channel_run_t run;
  memcpy(&m, message, sizeof(m));
  bool bulk = (m.function & CIRA__CALL_F_BULK) != 0;
  uint32_t limit = bulk ? CIRA_CALL_BULK_PLACES - 1 : s->args_max;
  if (CIRA_UNLIKELY(
          cira__call_place(m.id) >= s->depth || m.args_bytes > limit ||
          cira_channel_reserve(s->view.completions, 1, &run) != CIRA_OK)) {
    s->status =
        cira__fail(CIRA_E_PROTOCOL,
                   "call_serve: the caller sent call %x with %u bytes "
                   "of arguments; more calls or bytes than the link has",
                   m.id, m.args_bytes);
    return false;
  }
  uint8_t *answer = run.first;
  cira_call_frame_t frame = {.args = message + sizeof(m),
                             .args_bytes = m.args_bytes,
                             .result = answer + sizeof(cira__call_completion_t),
                             .result_max = s->result_max,
                             .id = m.id,
                             .count = 1,
                             .server = s};
  cira_status_t status = run_function(s, &m, &frame);
  cira__call_completion_t c = {.id = m.id};
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    c.status = failure(s, m.id, status);
  } else {
    c.result_bytes = (uint16_t)frame.result_bytes;
  }
  memcpy(answer, &c, sizeof(c));
  (void)cira_channel_commit(s->view.completions, &run, 1);
  return true;
}

/* ---- serving ------------------------------------------------------------ */

/* Serves until something ends it; the reason is in s->status. */
static void serve_loop(server_t *s, uint8_t *buffer, uint64_t deadline_ns) {
  cira_channel_t *ring = s->view.submissions;
  for (;;) {
    cira_channel_run_t run;
    if (deadline_ns != CIRA_FOREVER && cira__now_ns() >= deadline_ns) {
      s->status = CIRA_E_DEADLINE;
      return;
    }
    cira_status_t status = cira_channel_peek(ring, RUN_MAX, &run);
    if (status == CIRA_OK) {
      for (uint32_t i = 0; i < run.count; i++) {
        if (!serve_one(s, (const uint8_t *)run.first +
                              (size_t)i * run.stride_bytes)) {
          return;
        }
      }
      status = cira_channel_release(ring, &run, run.count);
    } else if (status == CIRA_AGAIN) {
      status = cira_channel_receive(ring, buffer, deadline_ns);
      if (status == CIRA_OK && !serve_one(s, buffer)) {
        return;
      }
    }
    if (status != CIRA_OK) {
      s->status = status == CIRA_E_CLOSED ? CIRA_OK : status;
      return;
    }
  }
}

static void serving_set(cira__call_link_t *l, uint32_t to) {
  /* pairs with: the acquire load in child_wait (start.c) */
  __atomic_store_n(&l->serving, to, __ATOMIC_RELEASE);
  (void)CIRA__SYS(SYS_futex, &l->serving, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

static cira_status_t join_both(const cira__call_view_t *v) {
  if ((v->link->flags & CIRA_CALL_F_SHARED) == 0) {
    return CIRA_OK;
  }
  cira_status_t status =
      cira_channel_join(v->submissions, CIRA_CHANNEL_RECEIVER);
  return status == CIRA_OK
             ? cira_channel_join(v->completions, CIRA_CHANNEL_SENDER)
             : status;
}

cira_status_t cira__call_serve(void *memory, uint64_t bytes,
                               cira_call_table_t *table, uint8_t *buffer,
                               uint64_t deadline_ns) {
  server_t s = {.table = table};
  cira_status_t status = cira__call_view(memory, bytes, "call_serve", &s.view);
  if (status != CIRA_OK) {
    return status;
  }
  cira__call_link_t *l = s.view.link;
  uint8_t *own = NULL;
  if (!buffer) {
    buffer = own = cira__call_memory(s.view.submissions->message_bytes);
  }
  if (!buffer) {
    return cira__fail(CIRA_E_NOMEM, "call_serve: no memory");
  }
  uint32_t nobody = 0;
  /* relaxed: only one can win, and the rings order the rest */
  if (!__atomic_compare_exchange_n(&l->serving, &nobody, 3, false,
                                   __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    cira__call_memory_free(own);
    return cira__fail(CIRA_E_BUSY,
                      "call_serve: the link is served or was served before");
  }
  s.depth = l->depth;
  s.args_max = l->args_max;
  s.result_max = l->result_max;
  s.status = join_both(&s.view);
  if (s.status == CIRA_OK) {
    serving_set(l, 1);
    (void)cira__fail(CIRA_OK, "%s", ""); /* what was before is not ours */
    serve_loop(&s, buffer, deadline_ns);
  }
  (void)cira_channel_close(s.view.completions);
  serving_set(l, 2);
  cira__call_memory_free(own);
  return s.status;
}

cira_status_t cira_call_serve(void *memory, uint64_t bytes,
                              cira_call_table_t *table, uint64_t deadline_ns) {
  return table ? cira__call_serve(memory, bytes, table, NULL, deadline_ns)
               : cira__fail(CIRA_E_INVALID, "call_serve: the table is NULL");
}
