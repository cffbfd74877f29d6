/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending and receiving, for both kinds: every operation is made of runs
 * (internal.h); a blocking one is its try form in a loop around
 * cira__channel_wait_step. Fast paths allocate nothing and call the kernel only
 * when the other side sleeps.
 */
#include "channel/internal.h"

static cira_status_t argument_refuse(const char *call) {
  return cira__fail(CIRA_E_INVALID,
                    "channel_%s: a buffer or output is NULL, or the count is 0",
                    call);
}

static cira_status_t run_reserve(cira_channel_t *c, uint32_t want,
                                 cira_channel_run_t *run) {
  return c->kind == CIRA_CHANNEL_SPSC ? cira__spsc_reserve(c, want, run)
                                      : cira__mpmc_reserve(c, want, run);
}

static void run_commit(cira_channel_t *c, const cira_channel_run_t *run) {
  if (c->kind == CIRA_CHANNEL_SPSC) {
    cira__spsc_commit(c, run->count);
  } else {
    cira__mpmc_commit(c, run);
  }
  cira__channel_signal(c, CIRA_CHANNEL_RECEIVER, run->count);
}

static cira_status_t run_peek(cira_channel_t *c, uint32_t want,
                              cira_channel_run_t *run) {
  return c->kind == CIRA_CHANNEL_SPSC ? cira__spsc_peek(c, want, run)
                                      : cira__mpmc_peek(c, want, run);
}

static void run_release(cira_channel_t *c, const cira_channel_run_t *run) {
  if (c->kind == CIRA_CHANNEL_SPSC) {
    cira__spsc_release(c, run->count);
  } else {
    cira__mpmc_release(c, run);
  }
  cira__channel_signal(c, CIRA_CHANNEL_SENDER, run->count);
}

/* Copies between messages that lie one after the other and a run. The common
 * sizes are spelled out, so that they become moves instead of calls. */
static void run_fill(const cira_channel_run_t *run, const uint8_t *from,
                     uint32_t bytes) {
  uint8_t *to = run->first;
  if (run->stride_bytes == bytes) {
    if (run->count * bytes == 56) { /* a full line */
      memcpy(to, from, 56);
    } else {
      memcpy(to, from, (size_t)run->count * bytes);
    }
    return;
  }
  for (uint32_t i = 0; i < run->count; i++) {
    if (bytes == 8) {
      memcpy(to + (size_t)i * run->stride_bytes, from + (size_t)i * 8, 8);
    } else {
      memcpy(to + (size_t)i * run->stride_bytes, from + (size_t)i * bytes,
             bytes);
    }
  }
}

static void run_copy(const cira_channel_run_t *run, uint8_t *to,
                     uint32_t bytes) {
  const uint8_t *from = run->first;
  if (run->stride_bytes == bytes) {
    if (run->count * bytes == 56) {
      memcpy(to, from, 56);
    } else {
      memcpy(to, from, (size_t)run->count * bytes);
    }
    return;
  }
  for (uint32_t i = 0; i < run->count; i++) {
    if (bytes == 8) {
      memcpy(to + (size_t)i * 8, from + (size_t)i * run->stride_bytes, 8);
    } else {
      memcpy(to + (size_t)i * bytes, from + (size_t)i * run->stride_bytes,
             bytes);
    }
  }
}

/* ---- single messages ---------------------------------------------------- */

/* The common case, in the entry points themselves: a message of 8 bytes, and
 * room (a message) in the block that we are in. */
static inline __attribute__((always_inline)) bool send_fast(cira_channel_t *c,
                                                            const void *msg) {
  if (CIRA_UNLIKELY(!cira__channel_live(c) || !msg || c->inline_bytes != 8 ||
                    c->tx.pos == c->tx.stop ||
                    __atomic_load_n(&c->closed, __ATOMIC_RELAXED))) {
    return false;
  }
  cira__spsc_put(c, &c->tx, msg, 8);
  return true;
}

static inline __attribute__((always_inline)) bool
receive_fast(cira_channel_t *c, void *out) {
  if (CIRA_UNLIKELY(!cira__channel_live(c) || !out || c->inline_bytes != 8 ||
                    c->rx.pos == c->rx.stop)) {
    return false;
  }
  cira__spsc_take(c, &c->rx, out, 8);
  return true;
}

static cira_status_t try_send(cira_channel_t *c, const void *msg) {
  if (c->inline_bytes == 8) {
    return cira_spsc_try_send(c, msg, 8);
  }
  cira_channel_run_t run;
  cira_status_t status = run_reserve(c, 1, &run);
  if (status == CIRA_OK) {
    if (c->message_bytes == 8) {
      memcpy(run.first, msg, 8);
    } else {
      memcpy(run.first, msg, c->message_bytes);
    }
    run_commit(c, &run);
  }
  return status;
}

static cira_status_t try_receive(cira_channel_t *c, void *out) {
  if (c->inline_bytes == 8) {
    return cira_spsc_try_receive(c, out, 8);
  }
  cira_channel_run_t run;
  cira_status_t status = run_peek(c, 1, &run);
  if (status == CIRA_OK) {
    if (c->message_bytes == 8) {
      memcpy(out, run.first, 8);
    } else {
      memcpy(out, run.first, c->message_bytes);
    }
    run_release(c, &run);
  }
  return status;
}

static __attribute__((noinline)) cira_status_t
try_send_checked(cira_channel_t *c, const void *msg) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "try_send");
  }
  return msg ? try_send(c, msg) : argument_refuse("try_send");
}

static __attribute__((noinline)) cira_status_t
try_receive_checked(cira_channel_t *c, void *out) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "try_receive");
  }
  return out ? try_receive(c, out) : argument_refuse("try_receive");
}

cira_status_t cira_channel_try_send(cira_channel_t *c, const void *msg) {
  return send_fast(c, msg) ? CIRA_OK : try_send_checked(c, msg);
}

cira_status_t cira_channel_try_receive(cira_channel_t *c, void *out) {
  return receive_fast(c, out) ? CIRA_OK : try_receive_checked(c, out);
}

/* Tries before a wait is set up at all; the other side's answer is often only a
 * cache line away. With a pause in between: looks without one keep the line
 * from the other side, which is about to write it. Not in tasks, which have
 * better things to do. */
#define EAGER_TRIES 16
static bool eager(const cira_channel_t *c) {
  return c->wait != CIRA_CHANNEL_SLEEP && !cira_parker_self()->is_task;
}

static __attribute__((noinline)) cira_status_t send_wait(cira_channel_t *c,
                                                         const void *msg,
                                                         uint64_t deadline_ns) {
  cira__channel_wait_t w;
  cira_status_t status = try_send_checked(c, msg);
  if (status != CIRA_AGAIN) {
    return status;
  }
  if (deadline_ns == CIRA_NO_WAIT) {
    return CIRA_E_DEADLINE;
  }
  for (int i = eager(c) ? EAGER_TRIES : 0; i > 0; i--) {
    cira__cpu_relax();
    status = try_send(c, msg);
    if (status != CIRA_AGAIN) {
      return status;
    }
  }
  cira__channel_wait_begin(&w, c, CIRA_CHANNEL_SENDER, deadline_ns);
  for (;;) {
    cira_status_t waited = cira__channel_wait_step(&w);
    status = try_send(c, msg);
    if (status != CIRA_AGAIN || waited != CIRA_OK) {
      cira__channel_wait_end(&w, status == CIRA_OK);
      return status != CIRA_AGAIN ? status : waited;
    }
  }
}

static __attribute__((noinline)) cira_status_t
receive_wait(cira_channel_t *c, void *out, uint64_t deadline_ns) {
  cira__channel_wait_t w;
  cira_status_t status = try_receive_checked(c, out);
  if (status != CIRA_AGAIN) {
    return status;
  }
  if (deadline_ns == CIRA_NO_WAIT) {
    return CIRA_E_DEADLINE;
  }
  for (int i = eager(c) ? EAGER_TRIES : 0; i > 0; i--) {
    cira__cpu_relax();
    status = try_receive(c, out);
    if (status != CIRA_AGAIN) {
      return status;
    }
  }
  cira__channel_wait_begin(&w, c, CIRA_CHANNEL_RECEIVER, deadline_ns);
  for (;;) {
    cira_status_t waited = cira__channel_wait_step(&w);
    status = try_receive(c, out);
    if (status != CIRA_AGAIN || waited != CIRA_OK) {
      cira__channel_wait_end(&w, status == CIRA_OK);
      return status != CIRA_AGAIN ? status : waited;
    }
  }
}

cira_status_t cira_channel_send(cira_channel_t *c, const void *msg,
                                uint64_t deadline_ns) {
  return send_fast(c, msg) ? CIRA_OK : send_wait(c, msg, deadline_ns);
}

cira_status_t cira_channel_receive(cira_channel_t *c, void *out,
                                   uint64_t deadline_ns) {
  return receive_fast(c, out) ? CIRA_OK : receive_wait(c, out, deadline_ns);
}

/* ---- batches ------------------------------------------------------------ */

/* The two for SPSC channels of 8-byte messages. */
static cira_status_t batch_send_words(cira_channel_t *c, const uint8_t *from,
                                      uint32_t count, uint32_t *sent) {
  cira_spsc_cursor_t tx = cira_spsc_sender_open(c, 8);
  cira_status_t status = CIRA_OK;
  while (*sent < count && status == CIRA_OK) {
    uint32_t n = 0;
    status = cira_spsc_sender_send_batch(&tx, from + (size_t)*sent * 8,
                                         count - *sent, 8, &n);
    *sent += n;
  }
  cira_spsc_sender_close(&tx);
  return status;
}

static cira_status_t batch_receive_words(cira_channel_t *c, uint8_t *to,
                                         uint32_t count, uint32_t *received) {
  cira_spsc_cursor_t rx = cira_spsc_receiver_open(c, 8);
  *received = 0;
  cira_status_t status =
      cira_spsc_receiver_receive_batch(&rx, to, count, 8, received);
  cira_spsc_receiver_close(&rx);
  return status;
}

/* Sends what there is room for. CIRA_OK when that was all. */
static cira_status_t batch_send_some(cira_channel_t *c, const uint8_t *from,
                                     uint32_t count, uint32_t *sent) {
  if (c->inline_bytes == 8) {
    return batch_send_words(c, from, count, sent);
  }
  cira_status_t status = CIRA_OK;
  uint32_t before = *sent;
  while (*sent < count && status == CIRA_OK) {
    cira_channel_run_t run;
    status = run_reserve(c, count - *sent, &run);
    if (status == CIRA_OK) {
      run_fill(&run, from + (size_t)*sent * c->message_bytes, c->message_bytes);
      if (c->kind == CIRA_CHANNEL_SPSC) {
        cira__spsc_commit(c, run.count);
      } else {
        cira__mpmc_commit(c, &run);
      }
      *sent += run.count;
    }
  }
  if (*sent != before) {
    cira__channel_signal(c, CIRA_CHANNEL_RECEIVER, *sent - before);
  }
  return status;
}

/* Receives what there is, up to count. CIRA_OK when that was something. */
static cira_status_t batch_receive_some(cira_channel_t *c, uint8_t *to,
                                        uint32_t count, uint32_t *received) {
  if (c->inline_bytes == 8) {
    return batch_receive_words(c, to, count, received);
  }
  cira_status_t status = CIRA_OK;
  uint32_t got = 0;
  while (got < count && status == CIRA_OK) {
    cira_channel_run_t run;
    status = run_peek(c, count - got, &run);
    if (status == CIRA_OK) {
      run_copy(&run, to + (size_t)got * c->message_bytes, c->message_bytes);
      if (c->kind == CIRA_CHANNEL_SPSC) {
        cira__spsc_release(c, run.count);
      } else {
        cira__mpmc_release(c, &run);
      }
      got += run.count;
    }
  }
  *received = got;
  if (got > 0) {
    cira__channel_signal(c, CIRA_CHANNEL_SENDER, got);
    return CIRA_OK;
  }
  return status;
}

cira_status_t cira_channel_send_batch(cira_channel_t *c, const void *msgs,
                                      uint32_t count, uint64_t deadline_ns,
                                      uint32_t *out_count) {
  if (CIRA_UNLIKELY(!cira__channel_live(c))) {
    return cira__channel_refuse(c, "send_batch");
  }
  if (!msgs || !out_count || count == 0) {
    return argument_refuse("send_batch");
  }
  uint32_t sent = 0;
  cira_status_t status = batch_send_some(c, msgs, count, &sent);
  if (status == CIRA_AGAIN && deadline_ns != CIRA_NO_WAIT) {
    cira__channel_wait_t w;
    cira_status_t waited = CIRA_OK;
    cira__channel_wait_begin(&w, c, CIRA_CHANNEL_SENDER, deadline_ns);
    while (status == CIRA_AGAIN && waited == CIRA_OK) {
      uint32_t before = sent;
      waited = cira__channel_wait_step(&w);
      status = batch_send_some(c, msgs, count, &sent);
      if (sent != before && status == CIRA_AGAIN) { /* a new wait */
        cira__channel_wait_end(&w, true);
        cira__channel_wait_begin(&w, c, CIRA_CHANNEL_SENDER, deadline_ns);
      }
    }
    cira__channel_wait_end(&w, status == CIRA_OK);
    status = status == CIRA_AGAIN ? waited : status;
  }
  *out_count = sent;
  return status == CIRA_AGAIN ? CIRA_E_DEADLINE : status;
}

cira_status_t cira_channel_receive_batch(cira_channel_t *c, void *out,
                                         uint32_t count, uint64_t deadline_ns,
                                         uint32_t *out_count) {
  if (CIRA_UNLIKELY(!cira__channel_live(c))) {
    return cira__channel_refuse(c, "receive_batch");
  }
  if (!out || !out_count || count == 0) {
    return argument_refuse("receive_batch");
  }
  uint32_t got = 0;
  cira_status_t status = batch_receive_some(c, out, count, &got);
  if (status == CIRA_AGAIN && deadline_ns != CIRA_NO_WAIT) {
    cira__channel_wait_t w;
    cira_status_t waited = CIRA_OK;
    cira__channel_wait_begin(&w, c, CIRA_CHANNEL_RECEIVER, deadline_ns);
    while (status == CIRA_AGAIN && waited == CIRA_OK) {
      waited = cira__channel_wait_step(&w);
      status = batch_receive_some(c, out, count, &got);
    }
    cira__channel_wait_end(&w, status == CIRA_OK);
    status = status == CIRA_AGAIN ? waited : status;
  }
  *out_count = got;
  return status == CIRA_AGAIN ? CIRA_E_DEADLINE : status;
}

/* ---- runs --------------------------------------------------------------- */

cira_status_t cira_channel_reserve(cira_channel_t *c, uint32_t want,
                                   cira_channel_run_t *out) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "reserve");
  }
  return want && out ? run_reserve(c, want, out) : argument_refuse("reserve");
}

cira_status_t cira_channel_peek(cira_channel_t *c, uint32_t want,
                                cira_channel_run_t *out) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "peek");
  }
  return want && out ? run_peek(c, want, out) : argument_refuse("peek");
}

/* Is `run` one that the channel gave out and did not get back? */
static bool run_valid(const cira_channel_t *c, const cira_channel_run_t *run,
                      uint32_t count, const uint64_t *pos) {
  if (!run || count == 0 || count > run->count) {
    return false;
  }
  return c->kind == CIRA_CHANNEL_SPSC ? run->ticket == *pos
                                      : count == run->count;
}

cira_status_t cira_channel_commit(cira_channel_t *c,
                                  const cira_channel_run_t *run,
                                  uint32_t count) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "commit");
  }
  if (!run_valid(c, run, count, &c->tx.pos)) {
    return cira__fail(CIRA_E_INVALID, "channel_commit: not the run that was "
                                      "reserved, or not a right part of it");
  }
  cira_channel_run_t part = *run;
  part.count = count;
  run_commit(c, &part);
  return CIRA_OK;
}

cira_status_t cira_channel_release(cira_channel_t *c,
                                   const cira_channel_run_t *run,
                                   uint32_t count) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "release");
  }
  if (!run_valid(c, run, count, &c->rx.pos)) {
    return cira__fail(CIRA_E_INVALID, "channel_release: not the run that was "
                                      "peeked, or not a right part of it");
  }
  cira_channel_run_t part = *run;
  part.count = count;
  run_release(c, &part);
  return CIRA_OK;
}
