/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring for one sender and one receiver (layout: cira/channel.h). Only the
 * sender writes tx and the blocks, only the receiver writes rx.
 * Invariant: rx.pos <= rx.stop <= tx.pos <= tx.stop <= tx.limit <= rx.pos +
 * capacity. A side that has used up its block goes to the next one when it
 * needs it, not before.
 * Why the words of former laps do no harm: a word is the count of messages sent
 * when it was written, so one of a former lap is at most the receiver's own
 * count and reads as "nothing new"; one of a later lap (the sender is ahead and
 * has entered this block again) is cut to the block's end, and all messages up
 * to there were published before it.
 */
#include "channel/internal.h"

#define BURST (UINT64_C(1) << 63) /* in the words of who stood */
/* Stands still after a burst (internal.h). `stood` holds the pos of the last
 * stand, with the burst's verdict in bit 63. */
static void slip(const cira_channel_t *c, uint64_t *stood, uint64_t pos) {
  uint64_t last = *stood & ~BURST;
  if (pos != last) {
    *stood = pos - last >= CIRA__CHANNEL_BURST ? pos | BURST : pos;
  }
  if (*stood & BURST) {
    cira__channel_stand(c);
  }
}

static CIRA_COLD cira_status_t bytes_refuse(const cira_channel_t *c,
                                            size_t bytes, const char *call) {
  return cira__fail(CIRA_E_INVALID,
                    "%s: the channel has messages of %u bytes, not %zu, or is "
                    "not SPSC",
                    call, c->message_bytes, bytes);
}

cira_status_t cira__spsc_room(cira_channel_t *c, size_t bytes, uint64_t pos,
                              uint64_t block) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "send");
  }
  if (c->inline_bytes != bytes) {
    return bytes_refuse(c, bytes, "spsc_try_send");
  }
  if (__atomic_load_n(&c->closed, __ATOMIC_RELAXED)) {
    return CIRA_E_CLOSED;
  }
  /* relaxed: only for cira_channel_count; a cursor has not told it yet */
  __atomic_store_n(&c->tx.pos, pos, __ATOMIC_RELAXED);
  /* pairs with: the release store of rx.pos; acquire, so that our writes of the
   * slots come after the receiver's reads of them */
  uint64_t limit =
      __atomic_load_n(&c->rx.pos, __ATOMIC_ACQUIRE) + c->capacity_count;
  if (limit - pos <= c->heel_count) {
    slip(c, &c->tx_stood, pos);
    limit = __atomic_load_n(&c->rx.pos, __ATOMIC_ACQUIRE) + c->capacity_count;
  }
  c->tx.limit = limit;
  if (limit == pos) {
    return CIRA_AGAIN;
  }
  /* the lines that the last room ended before */
  for (uint64_t at = c->block_bytes, n = c->per_block;
       at < c->own_bytes && n < limit - pos; at += c->block_bytes) {
    cira__spsc_claim(cira__spsc_ahead(c, block, at));
    n += c->per_block;
  }
  return CIRA_OK;
}

cira_status_t cira__spsc_ready(cira_channel_t *c, size_t bytes, uint64_t pos,
                               uint64_t block) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "receive");
  }
  if (c->inline_bytes != bytes) {
    return bytes_refuse(c, bytes, "spsc_try_receive");
  }
  /* pairs with: the release store in cira_channel_close */
  if (!__atomic_load_n(&c->closed, __ATOMIC_ACQUIRE)) {
    slip(c, &c->rx_stood, pos);
    return CIRA_AGAIN;
  }
  /* Once more: what was sent before the close is visible now.
   * pairs with: the release stores of the sender */
  uint64_t sent = __atomic_load_n(cira__spsc_word(c, block), __ATOMIC_ACQUIRE);
  if (sent <= pos) {
    return CIRA_E_CLOSED;
  }
  c->rx.limit = sent;
  return CIRA_OK;
}

uint64_t cira__spsc_backlog(const cira_channel_t *c, uint64_t pos,
                            uint64_t block, uint64_t sent) {
  if (pos - (c->rx_stood & ~BURST) < 2 * (uint64_t)c->per_block) {
    return sent; /* an exchange of single messages, perhaps */
  }
  /* pairs with: the release store in cira__spsc_sender_next */
  uint64_t told = __atomic_load_n(&c->tx_told, __ATOMIC_ACQUIRE);
  if ((int64_t)(told - pos) <= (int64_t)c->heel_count) {
    cira__channel_stand(c);
    told = __atomic_load_n(&c->tx_told, __ATOMIC_ACQUIRE);
  }
  told = cira__max_u64(told, sent);
  for (uint64_t at = c->block_bytes, n = c->per_block;
       at < c->ahead_bytes && n < told - pos; at += c->block_bytes) {
    __builtin_prefetch(cira__spsc_ahead(c, block, at), 0, 3);
    n += c->per_block;
  }
  return told;
}

cira_status_t cira__spsc_reserve(cira_channel_t *c, uint32_t want,
                                 cira_channel_run_t *out) {
  if (c->tx.pos == c->tx.stop ||
      __atomic_load_n(&c->closed, __ATOMIC_RELAXED)) {
    cira_status_t status = cira__spsc_sender_next(c, &c->tx, c->inline_bytes);
    if (status != CIRA_OK) {
      return status;
    }
  }
  *out = (cira_channel_run_t){
      .first = cira__channel_data(c) + c->tx.at,
      .count = (uint32_t)cira__min_u64(c->tx.stop - c->tx.pos, want),
      .stride_bytes = c->message_bytes,
      .ticket = c->tx.pos};
  return CIRA_OK;
}

void cira__spsc_commit(cira_channel_t *c, uint32_t count) {
  uint64_t pos = c->tx.pos + count;
  /* pairs with: the acquire loads in cira__spsc_receiver_look and _ready */
  __atomic_store_n(cira__spsc_word(c, c->tx.block), pos, __ATOMIC_RELEASE);
  __atomic_store_n(&c->tx.pos, pos, __ATOMIC_RELAXED);
  c->tx.at += (uint64_t)count * c->message_bytes;
}

cira_status_t cira__spsc_peek(cira_channel_t *c, uint32_t want,
                              cira_channel_run_t *out) {
  if (c->rx.pos == c->rx.stop) {
    cira_status_t status = cira__spsc_receiver_next(c, &c->rx, c->inline_bytes);
    if (status != CIRA_OK) {
      return status;
    }
  }
  *out = (cira_channel_run_t){
      .first = cira__channel_data(c) + c->rx.at,
      .count = (uint32_t)cira__min_u64(c->rx.stop - c->rx.pos, want),
      .stride_bytes = c->message_bytes,
      .ticket = c->rx.pos};
  return CIRA_OK;
}

void cira__spsc_release(cira_channel_t *c, uint32_t count) {
  c->rx.at += (uint64_t)count * c->message_bytes;
  /* pairs with: the acquire load in cira__spsc_room; release, so that our reads
   * of the slots are over when the sender writes them again */
  __atomic_store_n(&c->rx.pos, c->rx.pos + count, __ATOMIC_RELEASE);
}
