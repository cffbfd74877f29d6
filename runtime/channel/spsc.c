/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring for one sender and one receiver (layout: cira/channel.h). Only the
 * sender writes tx and the blocks, only the receiver writes rx.
 * Invariant: rx.pos <= rx.ready <= tx.pos <= tx.limit <= rx.pos + capacity.
 * Why the words of former laps do no harm: a word is the count of messages sent
 * when it was written, so one of a former lap is at most the receiver's own
 * count and reads as "nothing new"; one of a later lap (the sender is ahead and
 * has entered this block again) is cut to the block's end, and all messages up
 * to there were published before it.
 */
#include "channel/internal.h"

static uint64_t *word_of(const cira_channel_t *c, uint64_t block) {
  return (uint64_t *)(void *)(cira__channel_data(c) + block);
}

#define SLIP_PAUSES 32
#define SLIP_BURST 2u
/* A side that runs at the other's heels makes every message cost a transfer of
 * a cache line (50-150 ns) instead of a share of one, and each look at the
 * other's line stops the other as long. So who stands still after a burst lets
 * the other get ahead for about a microsecond before it looks again; who
 * exchanges single messages does not wait. `stood` holds the pos of the last
 * stand, with the burst's verdict in bit 63. */
static void slip(uint64_t *stood, uint64_t pos) {
  uint64_t burst = UINT64_C(1) << 63;
  uint64_t last = *stood & ~burst;
  if (pos != last) {
    *stood = pos - last >= SLIP_BURST ? pos | burst : pos;
  }
  if (*stood & burst) {
    for (int i = 0; i < SLIP_PAUSES; i++) {
      cira__cpu_relax();
    }
  }
}

cira_status_t cira__spsc_room(cira_channel_t *c, size_t bytes) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "send");
  }
  if (c->inline_bytes != bytes) {
    return cira__fail(CIRA_E_INVALID,
                      "spsc_try_send: the channel has messages of %u bytes, "
                      "not %zu, or is not SPSC",
                      c->message_bytes, bytes);
  }
  if (__atomic_load_n(&c->closed, __ATOMIC_RELAXED)) {
    return CIRA_E_CLOSED;
  }
  if (c->tx.pos != c->tx.limit) {
    return CIRA_OK;
  }
  /* pairs with: the release store of rx.pos; acquire, so that our writes of the
   * slots come after the receiver's reads of them */
  uint64_t head = __atomic_load_n(&c->rx.pos, __ATOMIC_ACQUIRE);
  uint64_t limit = head + c->capacity_count;
  if (limit == c->tx.pos) {
    slip(&c->tx.stood, c->tx.pos);
    return CIRA_AGAIN;
  }
  c->tx.limit = limit;
  return CIRA_OK;
}

cira_status_t cira__spsc_ready(cira_channel_t *c, size_t bytes) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "receive");
  }
  if (c->inline_bytes != bytes) {
    return cira__fail(CIRA_E_INVALID,
                      "spsc_try_receive: the channel has messages of %u bytes, "
                      "not %zu, or is not SPSC",
                      c->message_bytes, bytes);
  }
  uint64_t pos = c->rx.pos;
  if (pos != c->rx.ready) {
    return CIRA_OK;
  }
  const uint64_t *word = word_of(c, c->rx.block);
  /* pairs with: the release stores in cira_spsc_try_send and spsc_commit */
  uint64_t sent = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  if (sent <= pos) {
    /* pairs with: the release store in cira_channel_close */
    if (!__atomic_load_n(&c->closed, __ATOMIC_ACQUIRE)) {
      slip(&c->rx.stood, pos);
      return CIRA_AGAIN;
    }
    /* once more: what was sent before the close is visible now */
    sent = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (sent <= pos) {
      return CIRA_E_CLOSED;
    }
  }
  c->rx.behind = sent >= c->rx.end && c->rx.offset == CIRA__CHANNEL_WORD;
  c->rx.ready = cira__min_u64(sent, c->rx.end);
  return CIRA_OK;
}

cira_status_t cira__spsc_reserve(cira_channel_t *c, uint32_t want,
                                 cira_channel_run_t *out) {
  cira_status_t status = cira__spsc_room(c, c->inline_bytes);
  if (status != CIRA_OK) {
    return status;
  }
  uint64_t pos = c->tx.pos;
  uint64_t run = cira__min_u64(c->tx.end, c->tx.limit) - pos;
  *out = (cira_channel_run_t){.first = cira__channel_data(c) + c->tx.block +
                                       c->tx.offset,
                              .count = (uint32_t)cira__min_u64(run, want),
                              .stride_bytes = c->message_bytes,
                              .ticket = pos};
  return CIRA_OK;
}

void cira__spsc_commit(cira_channel_t *c, uint32_t count) {
  uint64_t pos = c->tx.pos + count;
  uint64_t *word = word_of(c, c->tx.block);
  /* pairs with: the acquire load in cira__spsc_ready */
  __atomic_store_n(word, pos, __ATOMIC_RELEASE);
  __atomic_store_n(&c->tx.pos, pos, __ATOMIC_RELAXED);
  if (pos == c->tx.end) {
    c->tx.offset = CIRA__CHANNEL_WORD;
    cira__spsc_advance(c, &c->tx.block, &c->tx.end);
    cira__spsc_claim(c);
  } else {
    c->tx.offset += (uint64_t)count * c->message_bytes;
  }
}

cira_status_t cira__spsc_peek(cira_channel_t *c, uint32_t want,
                              cira_channel_run_t *out) {
  cira_status_t status = cira__spsc_ready(c, c->inline_bytes);
  if (status != CIRA_OK) {
    return status;
  }
  uint64_t pos = c->rx.pos;
  *out = (cira_channel_run_t){
      .first = cira__channel_data(c) + c->rx.block + c->rx.offset,
      .count = (uint32_t)cira__min_u64(c->rx.ready - pos, want),
      .stride_bytes = c->message_bytes,
      .ticket = pos};
  return CIRA_OK;
}

void cira__spsc_release(cira_channel_t *c, uint32_t count) {
  uint64_t pos = c->rx.pos + count;
  if (pos == c->rx.end) {
    c->rx.offset = CIRA__CHANNEL_WORD;
    cira__spsc_advance(c, &c->rx.block, &c->rx.end);
    cira__spsc_prefetch(c);
  } else {
    c->rx.offset += (uint64_t)count * c->message_bytes;
  }
  /* pairs with: the acquire load in cira__spsc_room; release, so that our reads
   * of the slots are over when the sender writes them again */
  __atomic_store_n(&c->rx.pos, pos, __ATOMIC_RELEASE);
}
