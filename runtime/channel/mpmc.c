/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring for many senders and receivers: a slot has a turn word, 2 * ticket
 * when it is free for the sender with that ticket, 2 * ticket + 1 when it holds
 * that ticket's message. Tickets are given out by compare-and-swap, a run of
 * them at once for batches; only the ticket's holder changes the turn.
 * tx.pos carries the closed bit in bit 63, so that no ticket is given out after
 * close and a receiver knows when the last one has been received. (At 1e9
 * messages a second bit 62 is reached after 146 years.)
 * Who loses a swap stands still for a while (internal.h), and so does who finds
 * nothing after a burst: the winner then takes one ticket after the other with
 * its lines in its own cache, where threads that take turns would transfer two
 * lines for each message.
 * A holder that stops between claim and publication stops the slot, and with it
 * the receivers once they come there.
 */
#include "channel/internal.h"

#define CLOSED (UINT64_C(1) << 63)

static uint64_t *turn_of(const cira_channel_t *c, uint64_t ticket) {
  uint64_t index = ticket & (c->capacity_count - 1);
  return (uint64_t *)(void *)(cira__channel_data(c) + index * c->block_bytes);
}

/* Of `want` slots from `ticket` on, how many in a row have this phase (0 free,
 * 1 filled); not beyond the end of the ring, so that a run is one piece. */
static uint32_t run_length(const cira_channel_t *c, uint64_t ticket,
                           uint32_t want, uint64_t phase) {
  uint64_t to_end = c->capacity_count - (ticket & (c->capacity_count - 1));
  uint32_t most = (uint32_t)cira__min_u64(want, to_end);
  uint32_t n = 1;
  /* pairs with: the release stores in cira__mpmc_commit and _release. That the
   * slot stays so until the swap below succeeds is because only the holder of
   * its ticket may change it. */
  while (n < most &&
         __atomic_load_n(turn_of(c, ticket + n), __ATOMIC_ACQUIRE) ==
             2 * (ticket + n) + phase) {
    n++;
  }
  return n;
}

/* Of a side that has found nothing to do at `pos`: stands still if that was
 * after a burst, once, so that those who wait come to their sleep. Any thread
 * of the side writes `stood`; what one overwrites is a hint. */
static void slip(const cira_channel_t *c, uint64_t *stood, uint64_t pos) {
  uint64_t distance = pos - __atomic_load_n(stood, __ATOMIC_RELAXED);
  if (distance != 0) {
    __atomic_store_n(stood, pos, __ATOMIC_RELAXED);
  }
  if (distance >= CIRA__CHANNEL_BURST) {
    cira__channel_stand(c);
  }
}

static void run_put(const cira_channel_t *c, uint64_t ticket, uint32_t count,
                    cira_channel_run_t *out) {
  *out = (cira_channel_run_t){.first = (uint8_t *)turn_of(c, ticket) +
                                       CIRA__CHANNEL_WORD,
                              .count = count,
                              .stride_bytes = c->block_bytes,
                              .ticket = ticket};
}

cira_status_t cira__mpmc_reserve(cira_channel_t *c, uint32_t want,
                                 cira_channel_run_t *out) {
  /* relaxed: a hint that the swap checks */
  uint64_t pos = __atomic_load_n(&c->tx.pos, __ATOMIC_RELAXED);
  for (;;) {
    if (pos & CLOSED) {
      return CIRA_E_CLOSED;
    }
    /* pairs with: the release store in cira__mpmc_release; acquire, so that our
     * writes of the slot come after the receiver's reads of it */
    uint64_t turn = __atomic_load_n(turn_of(c, pos), __ATOMIC_ACQUIRE);
    int64_t ahead = (int64_t)(turn - 2 * pos);
    if (ahead == 0) {
      uint32_t n = want == 1 ? 1 : run_length(c, pos, want, 0);
      /* relaxed: the turn words carry the order; this only gives out tickets */
      if (__atomic_compare_exchange_n(&c->tx.pos, &pos, pos + n, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        run_put(c, pos, n, out);
        return CIRA_OK;
      }
      cira__channel_stand(c);
      pos = __atomic_load_n(&c->tx.pos, __ATOMIC_RELAXED);
      continue;
    }
    uint64_t now = __atomic_load_n(&c->tx.pos, __ATOMIC_RELAXED);
    if (ahead < 0 && now == pos) {
      slip(c, &c->tx_stood, pos);
      return CIRA_AGAIN;
    }
    pos = now;
  }
}

void cira__mpmc_commit(cira_channel_t *c, const cira_channel_run_t *run) {
  for (uint32_t i = 0; i < run->count; i++) {
    uint64_t ticket = run->ticket + i;
    /* pairs with: the acquire loads in cira__mpmc_peek and run_length */
    __atomic_store_n(turn_of(c, ticket), 2 * ticket + 1, __ATOMIC_RELEASE);
  }
}

cira_status_t cira__mpmc_peek(cira_channel_t *c, uint32_t want,
                              cira_channel_run_t *out) {
  uint64_t pos = __atomic_load_n(&c->rx.pos, __ATOMIC_RELAXED);
  for (;;) {
    /* pairs with: the release store in cira__mpmc_commit */
    uint64_t turn = __atomic_load_n(turn_of(c, pos), __ATOMIC_ACQUIRE);
    int64_t ahead = (int64_t)(turn - (2 * pos + 1));
    if (ahead == 0) {
      uint32_t n = want == 1 ? 1 : run_length(c, pos, want, 1);
      /* relaxed: as in cira__mpmc_reserve */
      if (__atomic_compare_exchange_n(&c->rx.pos, &pos, pos + n, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        run_put(c, pos, n, out);
        return CIRA_OK;
      }
      cira__channel_stand(c);
      pos = __atomic_load_n(&c->rx.pos, __ATOMIC_RELAXED);
      continue;
    }
    uint64_t now = __atomic_load_n(&c->rx.pos, __ATOMIC_RELAXED);
    if (ahead < 0 && now == pos) {
      /* Empty, or the next sender has its ticket and is not done. Closed is
       * final only in the first case: no ticket at or after pos was given out
       * and none ever will be. Relaxed: one variable tells both. */
      uint64_t sent = __atomic_load_n(&c->tx.pos, __ATOMIC_RELAXED);
      if (sent == (pos | CLOSED)) {
        return CIRA_E_CLOSED;
      }
      slip(c, &c->rx_stood, pos);
      return CIRA_AGAIN;
    }
    pos = now;
  }
}

void cira__mpmc_release(cira_channel_t *c, const cira_channel_run_t *run) {
  for (uint32_t i = 0; i < run->count; i++) {
    uint64_t ticket = run->ticket + i;
    /* pairs with: the acquire loads in cira__mpmc_reserve and run_length */
    __atomic_store_n(turn_of(c, ticket), 2 * (ticket + c->capacity_count),
                     __ATOMIC_RELEASE);
  }
}

bool cira__mpmc_available(const cira_channel_t *c, cira_channel_side_t side) {
  bool rx = side == CIRA_CHANNEL_RECEIVER;
  uint64_t pos =
      __atomic_load_n(rx ? &c->rx.pos : &c->tx.pos, __ATOMIC_RELAXED);
  /* acquire: as in reserve and peek */
  return (pos & CLOSED) == 0 &&
         __atomic_load_n(turn_of(c, pos), __ATOMIC_ACQUIRE) ==
             2 * pos + (rx ? 1 : 0);
}

void cira__mpmc_close(cira_channel_t *c) {
  /* relaxed: later tickets are refused by the variable itself */
  (void)__atomic_fetch_or(&c->tx.pos, CLOSED, __ATOMIC_RELAXED);
}
