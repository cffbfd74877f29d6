/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a channel: sizes, init, attach, create, join, close.
 * Invariant: everything in the first two cache lines is constant after init and
 * covered by a checksum, so attach can tell a channel from other bytes.
 */
#include "channel/internal.h"

#include <stdlib.h>
#include <unistd.h>

#define OWN_BLOCKS 24u
#define AHEAD_BLOCKS 16u
#define STAND_PAUSES 32u
#define STAND_BLOCKS 8u
#define STAND_SLOTS 32u
#define HEEL_PARTS 4u

cira_channel_options_t cira_channel_options_default(void) {
  return (cira_channel_options_t){.size = sizeof(cira_channel_options_t),
                                  .kind = CIRA_CHANNEL_SPSC,
                                  .wait = CIRA_CHANNEL_ADAPTIVE,
                                  .message_bytes = 8,
                                  .capacity_count = 1024,
                                  .spin_count = 2000};
}

cira_status_t cira__channel_refuse(const cira_channel_t *c, const char *call) {
  if (!c) {
    return cira__fail(CIRA_E_INVALID, "channel_%s: the channel is NULL", call);
  }
  if (c->magic == CIRA__CHANNEL_DEAD) {
    return cira__fail(CIRA_E_CLOSED, "channel_%s: used after fini", call);
  }
  return cira__fail(CIRA_E_INVALID,
                    "channel_%s: there is no channel at %p (see "
                    "cira_channel_init)",
                    call, (const void *)c);
}

/* Fills in defaults and checks the rest. */
static cira_status_t options_check(const cira_channel_options_t *opt,
                                   cira_channel_options_t *out) {
  cira_channel_options_t o = cira_channel_options_default();
  if (opt) {
    if (opt->size != sizeof(*opt)) {
      return cira__fail(CIRA_E_INVALID,
                        "channel options: size is %u, not %zu; begin with "
                        "cira_channel_options_default",
                        opt->size, sizeof(*opt));
    }
    o.kind = opt->kind;
    o.wait = opt->wait;
    o.flags = opt->flags;
    o.message_bytes = opt->message_bytes ? opt->message_bytes : 8;
    o.capacity_count = opt->capacity_count ? opt->capacity_count : 1024;
    o.spin_count = opt->spin_count ? opt->spin_count : 2000;
  }
  if (o.kind > CIRA_CHANNEL_MPMC || o.wait > CIRA_CHANNEL_SLEEP ||
      (o.flags & ~(CIRA_CHANNEL_F_SHARED | CIRA_CHANNEL_F_FENCED)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "channel options: unknown kind %u, wait %u or flags %x",
                      o.kind, o.wait, o.flags);
  }
  if (o.message_bytes > CIRA_CHANNEL_MESSAGE_MAX ||
      o.capacity_count > CIRA_CHANNEL_CAPACITY_MAX) {
    return cira__fail(CIRA_E_RANGE,
                      "channel options: %u messages of %u bytes; at most %u "
                      "of %u",
                      o.capacity_count, o.message_bytes,
                      CIRA_CHANNEL_CAPACITY_MAX, CIRA_CHANNEL_MESSAGE_MAX);
  }
  if ((o.capacity_count & (o.capacity_count - 1)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "channel options: the capacity %u is no power of two",
                      o.capacity_count);
  }
  *out = o;
  return CIRA_OK;
}

/* The constant part of a channel with these options, all but the checksum. */
static void layout(const cira_channel_options_t *o, cira_channel_t *c) {
  uint64_t blocks;
  *c = (cira_channel_t){.magic = CIRA__CHANNEL_MAGIC,
                        .version = CIRA__CHANNEL_VERSION,
                        .kind = o->kind,
                        .wait = o->wait,
                        .flags = o->flags,
                        .message_bytes = o->message_bytes,
                        .capacity_count = o->capacity_count,
                        .spin_count = o->spin_count};
  if (o->kind == CIRA_CHANNEL_SPSC) {
    uint32_t room = CIRA_LINE_BYTES - CIRA__CHANNEL_WORD;
    c->per_block = o->message_bytes <= room ? room / o->message_bytes : 1;
    c->used_bytes = CIRA__CHANNEL_WORD + c->per_block * o->message_bytes;
    c->block_bytes = (uint32_t)cira__align_up(c->used_bytes, CIRA_LINE_BYTES);
    c->inline_bytes = o->message_bytes;
    blocks = ((uint64_t)o->capacity_count + c->per_block - 1) / c->per_block;
    /* found by measuring; less in small rings, where "ahead" is soon "behind"
     */
    uint32_t own = (uint32_t)cira__min_u64(OWN_BLOCKS, blocks / 3);
    uint32_t ahead = (uint32_t)cira__min_u64(AHEAD_BLOCKS, blocks / 8);
    c->own_bytes = own * c->block_bytes;
    c->own_count = (own + 1) * c->per_block;
    c->ahead_bytes = ahead * c->block_bytes;
    c->ahead_count = (ahead + 1) * c->per_block;
    c->heel_count = o->capacity_count / HEEL_PARTS;
    c->stand_count =
        (uint32_t)cira__min_u64(STAND_PAUSES, blocks / STAND_BLOCKS + 1);
  } else {
    c->per_block = 1;
    c->used_bytes = CIRA__CHANNEL_WORD + o->message_bytes;
    c->block_bytes = (uint32_t)cira__align_up(c->used_bytes, 8);
    blocks = o->capacity_count;
    c->stand_count =
        (uint32_t)cira__min_u64(STAND_PAUSES, blocks / STAND_SLOTS + 1);
  }
  c->data_bytes = blocks * c->block_bytes;
  c->total_bytes =
      cira__align_up(sizeof(*c) + c->data_bytes, CIRA_CHANNEL_ALIGN);
}

/* FNV-1a over what is constant. */
static uint64_t checksum(const cira_channel_t *c) {
  const uint8_t *at = (const uint8_t *)c;
  uint64_t sum = 14695981039346656037ull;
  for (size_t i = 0; i < offsetof(cira_channel_t, checksum); i++) {
    sum = (sum ^ at[i]) * 1099511628211ull;
  }
  return sum;
}

cira_status_t cira_channel_bytes(const cira_channel_options_t *opt,
                                 uint64_t *out_bytes) {
  cira_channel_options_t o;
  cira_channel_t c;
  if (!out_bytes) {
    return cira__fail(CIRA_E_INVALID, "channel_bytes: out_bytes is NULL");
  }
  cira_status_t status = options_check(opt, &o);
  if (status == CIRA_OK) {
    layout(&o, &c);
    *out_bytes = c.total_bytes;
  }
  return status;
}

static cira_status_t memory_check(const void *memory, const void *out,
                                  const char *call) {
  if (!memory || !out || ((uintptr_t)memory & (CIRA_CHANNEL_ALIGN - 1)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "channel_%s: the memory at %p is NULL or not aligned to "
                      "%u, or out is NULL",
                      call, memory, CIRA_CHANNEL_ALIGN);
  }
  return CIRA_OK;
}

cira_status_t cira_channel_init(void *memory, uint64_t bytes,
                                const cira_channel_options_t *opt,
                                cira_channel_t **out) {
  cira_channel_options_t o;
  cira_channel_t made;
  cira_status_t status = memory_check(memory, out, "init");
  if (status != CIRA_OK) {
    return status;
  }
  status = options_check(opt, &o);
  if (status != CIRA_OK) {
    return status;
  }
  layout(&o, &made);
  if (bytes < made.total_bytes) {
    return cira__fail(CIRA_E_RANGE,
                      "channel_init: %llu bytes of memory, %llu needed (see "
                      "cira_channel_bytes)",
                      (unsigned long long)bytes,
                      (unsigned long long)made.total_bytes);
  }
  made.fenced =
      (o.flags & CIRA_CHANNEL_F_FENCED) != 0 ||
      !cira__channel_barrier_register((o.flags & CIRA_CHANNEL_F_SHARED) != 0);
  made.checksum = checksum(&made);
  made.rx_waiting = made.fenced ? CIRA__CHANNEL_FENCED : 0;
  made.tx_waiting = made.rx_waiting;
  made.rx_spin = o.spin_count;
  made.tx_spin = o.spin_count;
  if (o.kind == CIRA_CHANNEL_SPSC) {
    made.tx.limit = o.capacity_count;
    made.tx.at = CIRA__CHANNEL_WORD;
    made.tx.end = made.per_block;
    made.rx.at = CIRA__CHANNEL_WORD;
    made.rx.end = made.per_block;
  }
  cira_channel_t *c = memory;
  made.magic = 0; /* set last: a peer that polls attach sees all or nothing */
  *c = made;
  memset(cira__channel_data(c), 0, made.data_bytes);
  for (uint64_t i = 0; o.kind == CIRA_CHANNEL_MPMC && i < o.capacity_count;
       i++) {
    uint64_t turn = 2 * i;
    memcpy(cira__channel_data(c) + i * made.block_bytes, &turn, sizeof(turn));
  }
  /* pairs with: the acquire load in cira_channel_attach */
  __atomic_store_n(&c->magic, CIRA__CHANNEL_MAGIC, __ATOMIC_RELEASE);
  *out = c;
  return CIRA_OK;
}

cira_status_t cira_channel_attach(void *memory, uint64_t bytes,
                                  uint32_t message_bytes,
                                  cira_channel_t **out) {
  cira_status_t status = memory_check(memory, out, "attach");
  if (status != CIRA_OK) {
    return status;
  }
  cira_channel_t *c = memory;
  if (bytes < sizeof(*c)) {
    return cira__fail(CIRA_E_RANGE,
                      "channel_attach: %llu bytes hold no channel",
                      (unsigned long long)bytes);
  }
  /* pairs with: the release store in cira_channel_init */
  uint64_t magic = __atomic_load_n(&c->magic, __ATOMIC_ACQUIRE);
  if (magic == CIRA__CHANNEL_DEAD) {
    return cira__fail(CIRA_E_CLOSED, "channel_attach: the channel has ended");
  }
  if (magic != CIRA__CHANNEL_MAGIC || c->version != CIRA__CHANNEL_VERSION ||
      c->checksum != checksum(c)) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "channel_attach: no channel of version %u at %p, or a "
                      "damaged one",
                      CIRA__CHANNEL_VERSION, memory);
  }
  if (message_bytes != 0 && message_bytes != c->message_bytes) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "channel_attach: its messages have %u bytes, not %u",
                      c->message_bytes, message_bytes);
  }
  if (bytes < c->total_bytes) {
    return cira__fail(CIRA_E_RANGE,
                      "channel_attach: the mapping has %llu bytes, the channel "
                      "%llu",
                      (unsigned long long)bytes,
                      (unsigned long long)c->total_bytes);
  }
  if (!c->fenced && !cira__channel_barrier_register(
                        (c->flags & CIRA_CHANNEL_F_SHARED) != 0)) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "channel_attach: this process has no membarrier(2); make "
                      "the channel with CIRA_CHANNEL_F_FENCED");
  }
  *out = c;
  return CIRA_OK;
}

cira_status_t cira_channel_create(const cira_channel_options_t *opt,
                                  cira_channel_t **out) {
  uint64_t bytes;
  cira_status_t status = cira_channel_bytes(opt, &bytes);
  if (status != CIRA_OK) {
    return status;
  }
  if (opt && (opt->flags & CIRA_CHANNEL_F_SHARED) != 0) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "channel_create: private memory for a shared channel; "
                      "use cira_channel_init in a shared mapping");
  }
  void *memory = aligned_alloc(CIRA_CHANNEL_ALIGN, bytes);
  if (!memory) {
    return cira__fail(CIRA_E_NOMEM, "channel_create: no memory for %llu bytes",
                      (unsigned long long)bytes);
  }
  status = cira_channel_init(memory, bytes, opt, out);
  if (status != CIRA_OK) {
    free(memory);
  }
  return status;
}

void cira_channel_fini(cira_channel_t *c) {
  if (c && c->magic == CIRA__CHANNEL_MAGIC) {
    c->magic = CIRA__CHANNEL_DEAD;
    c->inline_bytes = 0;
  } else if (c) {
    CIRA_LOG(CIRA_LOG_WARN, "channel_fini: there is no channel at %p",
             (void *)c);
  }
}

void cira_channel_destroy(cira_channel_t *c) {
  if (c) {
    cira_channel_fini(c);
    free(c);
  }
}

cira_status_t cira_channel_close(cira_channel_t *c) {
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "close");
  }
  if (c->kind == CIRA_CHANNEL_MPMC) {
    cira__mpmc_close(c);
  }
  /* pairs with: the acquire load in cira__spsc_ready; release, so that who sees
   * it sees all that was sent before */
  __atomic_store_n(&c->closed, 1, __ATOMIC_RELEASE);
  /* pairs with: the barrier in channel_wait_announce, as after a message. This
   * one is a fence, so no membarrier is relied on. */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  cira__channel_wake(c, CIRA_CHANNEL_RECEIVER, UINT32_MAX);
  cira__channel_wake(c, CIRA_CHANNEL_SENDER, UINT32_MAX);
  return CIRA_OK;
}

uint64_t cira_channel_count(const cira_channel_t *c) {
  if (!cira__channel_live(c)) {
    return 0;
  }
  /* relaxed: a snapshot; rx first, so that it is never ahead of tx */
  uint64_t rx = __atomic_load_n(&c->rx.pos, __ATOMIC_ACQUIRE);
  uint64_t tx =
      __atomic_load_n(&c->tx.pos, __ATOMIC_RELAXED) & ~(UINT64_C(1) << 63);
  return tx - rx > c->capacity_count ? c->capacity_count : tx - rx;
}

cira_status_t cira_channel_join(cira_channel_t *c, cira_channel_side_t side) {
  bool dead;
  if (!cira__channel_live(c)) {
    return cira__channel_refuse(c, "join");
  }
  if (side != CIRA_CHANNEL_SENDER && side != CIRA_CHANNEL_RECEIVER) {
    return cira__fail(CIRA_E_INVALID, "channel_join: unknown side %d",
                      (int)side);
  }
  if (c->kind != CIRA_CHANNEL_SPSC || (c->flags & CIRA_CHANNEL_F_SHARED) == 0) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "channel_join: only shared SPSC channels know their "
                      "peers");
  }
  uint32_t pid = (uint32_t)getpid();
  uint64_t start = cira__channel_process_start(pid, &dead);
  if (start == 0) {
    return cira__fail(CIRA_E_SYSTEM, "channel_join: cannot read "
                                     "/proc/self/stat");
  }
  c->peer[side].start = start;
  /* pairs with: the acquire load in channel_peer_check */
  __atomic_store_n(&c->peer[side].pid, pid, __ATOMIC_RELEASE);
  return CIRA_OK;
}
