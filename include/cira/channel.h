/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels: bounded lock-free rings of fixed-size messages, for one sender and
 * one receiver (SPSC) or many of each (MPMC), between threads or, in a shared
 * mapping, between processes. A channel is a block of memory that the caller
 * gives; it holds no pointers that a peer follows, so every process may map it
 * where it likes. What is sent before close is received after it.
 *
 * Waiting: calls with a deadline first spin, then sleep in a futex; in a
 * coroutine (cira/coro.h) they run other coroutines instead. A sleeper
 * announces itself and runs membarrier(2), so that the other side's check for
 * sleepers is one plain load; where the kernel has no membarrier, or with
 * CIRA_CHANNEL_F_FENCED, that side pays a fence per message instead.
 *
 * SPSC sides that have caught up with the other in a burst of messages pause
 * for about a microsecond inside the call, also in a try form: it keeps them
 * from running at each other's heels, where every message costs a transfer of a
 * cache line. An exchange of single messages does not pause. MPMC sides pause
 * the same way, and for as long when another thread of their side was faster.
 *
 * Processes that share a channel trust each other: its header is checked once,
 * by cira_channel_attach.
 *
 * Reading order: options, life, single messages, batches, runs (no copy),
 * inline forms. The layout at the end is for the inline forms only.
 */
#ifndef CIRA_CHANNEL_H
#define CIRA_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cira/status.h"
#include "cira/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cira_channel cira_channel_t;

/* ---- options ------------------------------------------------------------ */

typedef enum {
  CIRA_CHANNEL_SPSC = 0, /* one thread sends, one thread receives */
  CIRA_CHANNEL_MPMC = 1, /* any number of each */
} cira_channel_kind_t;

typedef enum {
  CIRA_CHANNEL_ADAPTIVE = 0, /* spin as long as that has helped, then sleep */
  CIRA_CHANNEL_SPIN = 1,     /* never sleep: for a core of one's own */
  CIRA_CHANNEL_SLEEP = 2,    /* sleep at once */
} cira_channel_wait_t;

#define CIRA_CHANNEL_F_SHARED 1u /* used by several processes */
/* Fence per message instead of membarrier per sleep: for channels whose
 * receiver sleeps nearly every time. */
#define CIRA_CHANNEL_F_FENCED 2u

#define CIRA_CHANNEL_MESSAGE_MAX (1u << 20)  /* 1 MiB */
#define CIRA_CHANNEL_CAPACITY_MAX (1u << 30) /* messages */
#define CIRA_CHANNEL_ALIGN 128u              /* of the memory of a channel */

typedef struct {
  uint32_t size; /* of this struct */
  uint32_t kind; /* cira_channel_kind_t */
  uint32_t wait; /* cira_channel_wait_t */
  uint32_t flags;
  uint32_t message_bytes;  /* 1 .. CIRA_CHANNEL_MESSAGE_MAX; 0: 8 */
  uint32_t capacity_count; /* messages, a power of two; 0: 1024 */
  uint32_t spin_count;     /* turns before sleeping; 0: 2000 */
  uint32_t reserved;
} cira_channel_options_t;

/* Returns options with every default filled in.
 * Threads: any. */
CIRA_API cira_channel_options_t cira_channel_options_default(void);

/* ---- life --------------------------------------------------------------- */

/* How much memory a channel takes.
 *   opt        NULL: the defaults.
 *   out_bytes  a multiple of CIRA_CHANNEL_ALIGN.
 * Returns CIRA_OK; CIRA_E_INVALID for a capacity that is no power of two, an
 *   unknown kind, wait or flag, or an options struct of a foreign size;
 *   CIRA_E_RANGE for a message or capacity above its maximum.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_bytes(const cira_channel_options_t *opt, uint64_t *out_bytes);

/* Makes a channel in the caller's memory, which the caller keeps until nobody
 * uses the channel; there is nothing to finish but cira_channel_fini.
 *   memory  aligned to CIRA_CHANNEL_ALIGN; with CIRA_CHANNEL_F_SHARED inside a
 *           shared mapping.
 *   bytes   at least cira_channel_bytes.
 * Returns CIRA_OK; as cira_channel_bytes; CIRA_E_INVALID for NULL or misaligned
 *   memory; CIRA_E_RANGE when bytes is too small.
 * Threads: caller-serialised; the memory is published to others by the caller.
 * Cost: writes all of the memory once. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_init(void *memory, uint64_t bytes,
                  const cira_channel_options_t *opt, cira_channel_t **out);

/* Takes up a channel that another process (or another mapping) has made.
 *   message_bytes  what the caller will send; 0: take what there is.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or misaligned memory;
 *   CIRA_E_PROTOCOL when there is no channel here, or one of another version, a
 *   damaged one or one with other messages; CIRA_E_RANGE when the mapping is
 *   shorter than the channel; CIRA_E_UNSUPPORTED when it relies on membarrier
 *   and this process cannot (make it with CIRA_CHANNEL_F_FENCED);
 *   CIRA_E_CLOSED after cira_channel_fini.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_channel_attach(void *memory,
                                                         uint64_t bytes,
                                                         uint32_t message_bytes,
                                                         cira_channel_t **out);

/* The same as init in memory of its own; not for several processes.
 * Returns as cira_channel_init; CIRA_E_NOMEM; CIRA_E_UNSUPPORTED with
 *   CIRA_CHANNEL_F_SHARED.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_create(const cira_channel_options_t *opt, cira_channel_t **out);

/* Frees what cira_channel_create made; NULL is allowed. Nobody may be in a call
 * on it. Messages left in it are gone.
 * Threads: caller-serialised. */
CIRA_API void cira_channel_destroy(cira_channel_t *channel);

/* Ends a channel in caller's memory: later calls find no channel there. Nobody
 * may be in a call on it.
 * Threads: caller-serialised. */
CIRA_API void cira_channel_fini(cira_channel_t *channel);

/* No more messages: sends fail with CIRA_E_CLOSED from now on, receives go on
 * until the channel is empty and then say CIRA_E_CLOSED; all sleepers wake.
 * Any side may close, any number of times. MPMC: a send that returned CIRA_OK
 * is always received. SPSC closed by somebody else than its sender: a send that
 * overlaps the close may succeed; it is received by a later receive.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or what is no channel.
 * Threads: any. Cost: a fence; system calls when somebody sleeps. */
CIRA_API cira_status_t cira_channel_close(cira_channel_t *channel);

/* How many messages are in it: a snapshot, and exact when nobody uses it.
 * Returns 0 for NULL.
 * Threads: any. */
CIRA_API uint64_t cira_channel_count(const cira_channel_t *channel);

typedef enum {
  CIRA_CHANNEL_SENDER = 0,
  CIRA_CHANNEL_RECEIVER = 1,
} cira_channel_side_t;

/* Says that this process is the one that sends (or receives) on a shared SPSC
 * channel, so that the other side's waits notice its death: they then end with
 * CIRA_E_DISCONNECTED within 100 ms, after everything sent was received. Both
 * processes must see each other in /proc (one pid namespace). Without it a dead
 * peer looks like a slow one: calls with a deadline end with CIRA_E_DEADLINE.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL or an unknown side;
 *   CIRA_E_UNSUPPORTED for channels that are not shared and SPSC; CIRA_E_SYSTEM
 *   when /proc cannot be read.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_join(cira_channel_t *channel, cira_channel_side_t side);

/* ---- single messages ---------------------------------------------------- */

/* Sends a copy of message_bytes from msg, if there is room now.
 * Returns CIRA_OK; CIRA_AGAIN when it is full; CIRA_E_CLOSED; CIRA_E_INVALID
 *   for NULL.
 * Threads: SPSC: the one sender; MPMC: any. Cost: a few ns, no system call
 *   unless a receiver sleeps. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_try_send(cira_channel_t *channel, const void *msg);

/* The same; waits for room.
 *   deadline_ns  CIRA_FOREVER, CIRA_NO_WAIT or a point of CLOCK_MONOTONIC.
 * Returns as try_send, with CIRA_E_DEADLINE for CIRA_AGAIN; CIRA_E_CANCELLED in
 *   a coroutine that was told to stop; CIRA_E_DISCONNECTED (see
 *   cira_channel_join).
 * Threads: as try_send. */
CIRA_API CIRA_MUST_USE cira_status_t cira_channel_send(cira_channel_t *channel,
                                                       const void *msg,
                                                       uint64_t deadline_ns);

/* Receives the oldest message into out, if there is one now.
 * Returns CIRA_OK; CIRA_AGAIN when it is empty; CIRA_E_CLOSED when it is empty
 *   and closed; CIRA_E_INVALID for NULL.
 * Threads: SPSC: the one receiver; MPMC: any. Cost: as try_send. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_try_receive(cira_channel_t *channel, void *out);

/* The same; waits for a message.
 * Returns as try_receive, with CIRA_E_DEADLINE for CIRA_AGAIN, and as
 *   cira_channel_send.
 * Threads: as try_receive. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_receive(cira_channel_t *channel, void *out, uint64_t deadline_ns);

/* ---- batches ------------------------------------------------------------ */

/* Sends `count` messages that lie one after the other; waits for room until the
 * deadline (CIRA_NO_WAIT: sends what there is room for).
 *   out_count  how many were sent; also written on errors after a part.
 * Returns CIRA_OK when all were sent, else why not: as cira_channel_send.
 * Threads: as try_send. MPMC: others' messages may come in between. */
CIRA_API CIRA_MUST_USE cira_status_t cira_channel_send_batch(
    cira_channel_t *channel, const void *msgs, uint32_t count,
    uint64_t deadline_ns, uint32_t *out_count);

/* Receives up to `count` messages; waits for the first one only.
 * Returns CIRA_OK with *out_count >= 1; else as cira_channel_receive.
 * Threads: as try_receive. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_channel_receive_batch(cira_channel_t *channel, void *out, uint32_t count,
                           uint64_t deadline_ns, uint32_t *out_count);

/* ---- runs: in place, without a copy ------------------------------------- */

/* Message slots inside the channel: number i lies at
 * (uint8_t *)first + i * stride_bytes, aligned to 8 if message_bytes is a
 * multiple of 8. */
typedef struct {
  void *first;
  uint32_t count;
  uint32_t stride_bytes;
  uint64_t ticket; /* of the channel */
} cira_channel_run_t;

/* Reserves between 1 and `want` slots to write messages into. SPSC: the slots
 * of one cache line at most (7 messages of 8 bytes); a second reserve without a
 * commit gives the same slots. MPMC: others' later messages wait behind the
 * run, so it must be committed soon.
 * Returns as cira_channel_try_send; CIRA_E_INVALID also for want = 0.
 * Threads: as try_send. */
CIRA_API CIRA_MUST_USE cira_status_t cira_channel_reserve(
    cira_channel_t *channel, uint32_t want, cira_channel_run_t *out);

/* Sends the first `count` messages of a run; SPSC gives the rest back.
 * Returns CIRA_OK; CIRA_E_INVALID for NULL, a run that is not the last one
 *   reserved (SPSC) or a part of a run (MPMC).
 * Threads: as try_send. */
CIRA_API CIRA_MUST_USE cira_status_t cira_channel_commit(
    cira_channel_t *channel, const cira_channel_run_t *run, uint32_t count);

/* Shows between 1 and `want` received messages in place.
 * Returns as cira_channel_try_receive; CIRA_E_INVALID also for want = 0.
 * Threads: as try_receive. */
CIRA_API CIRA_MUST_USE cira_status_t cira_channel_peek(cira_channel_t *channel,
                                                       uint32_t want,
                                                       cira_channel_run_t *out);

/* Gives the first `count` slots of a peeked run back to the senders; SPSC keeps
 * the rest for the next receive.
 * Returns as cira_channel_commit.
 * Threads: as try_receive. */
CIRA_API CIRA_MUST_USE cira_status_t cira_channel_release(
    cira_channel_t *channel, const cira_channel_run_t *run, uint32_t count);

/* ---- layout, for the inline forms only ----------------------------------
 *
 * SPSC data is blocks of whole cache lines: an 8-byte word, then per_block
 * messages. The word is the count of messages ever sent, as of the last one
 * written into this block; so flag and payload travel in one line, a receiver
 * learns of up to per_block messages by one load, and the word of a former lap
 * is smaller than the receiver's own count. The receiver's count `rx.pos` is
 * read by the sender only when its credit is used up, and the sender's count of
 * filled blocks `tx_told` by the receiver only once in a burst.
 *
 * MPMC data is slots of an 8-byte turn and a message (Vyukov's ring): turn =
 * ticket when free for the sender with that ticket, ticket + 1 when filled for
 * the receiver with that ticket.
 *
 *   line      written by
 *   0, 1      init only
 *   gate      whoever sleeps or closes
 *   tx        the sender; MPMC: senders
 *   rx        the receiver; MPMC: receivers
 */
typedef struct {
  uint64_t pos;   /* messages sent (received); MPMC: next ticket, see mpmc.c */
  uint64_t stop;  /* pos up to which this block is known to have room (them) */
  uint64_t at;    /* offset of the next message from the data */
  uint64_t block; /* offset of its block; may be used up: pos == end */
  uint64_t end;   /* pos at the end of the block */
  uint64_t limit; /* pos up to which there is known to be room (are messages) */
} cira__spsc_side_t;

struct cira_channel {
  uint64_t magic;
  uint32_t version, kind;
  uint32_t wait, flags;
  uint32_t message_bytes, capacity_count;
  uint32_t block_bytes; /* SPSC: of a block; MPMC: of a slot */
  uint32_t used_bytes;  /* of a block: the word and its messages */
  uint32_t per_block;   /* messages; MPMC: 1 */
  uint32_t spin_count;
  uint64_t data_bytes; /* of all blocks or slots */
  uint64_t total_bytes;
  uint32_t fenced;       /* no membarrier: fence before each look at sleepers */
  uint32_t inline_bytes; /* message_bytes, 0 when not for the inline forms */
  uint32_t own_bytes;    /* SPSC: how far ahead of its block the sender asks */
  uint32_t own_count;    /* for lines, and how many messages that are */
  uint32_t ahead_bytes;  /* the same of the receiver */
  uint32_t ahead_count;
  uint32_t heel_count;  /* messages: closer than that is at the heels */
  uint32_t stand_count; /* pauses of who is at the other's heels */
  uint64_t checksum;    /* of all above */
  uint8_t pad0[24];

  uint32_t closed;     /* gate */
  uint32_t rx_waiting; /* announcements of sleeping receivers; when fenced, */
  uint32_t tx_waiting; /* with CIRA__CHANNEL_FENCED, so never 0 */
  uint32_t rx_turn;    /* futex words: raised at each wake */
  uint32_t tx_turn;
  uint32_t rx_spin, tx_spin; /* how long spinning has been worth it */
  uint32_t reserved;
  struct {
    uint64_t start; /* of the process, /proc/PID/stat field 22 */
    uint32_t pid;   /* 0: did not join */
    uint32_t reserved;
  } peer[2];
  cira_waitlist_t rx_list, tx_list; /* not in shared channels */
  uint8_t pad1[16];

  cira__spsc_side_t tx;
  uint64_t tx_stood; /* pos where the sender last found little room */
  uint64_t reserved2;
  uint64_t tx_told; /* pos at the end of the last block that was filled */
  uint8_t pad2[56];
  cira__spsc_side_t rx;
  uint64_t rx_stood; /* pos where the receiver last found nothing */
  uint8_t pad3[72];
  /* data: blocks or slots */
};

#ifdef __cplusplus
#define CIRA__CHANNEL_PIN(what) static_assert(what, "read by other processes")
#else
#define CIRA__CHANNEL_PIN(what) _Static_assert(what, "read by other processes")
#endif
CIRA__CHANNEL_PIN(sizeof(cira_channel_t) == 512);
CIRA__CHANNEL_PIN(offsetof(cira_channel_t, closed) == 128);
CIRA__CHANNEL_PIN(offsetof(cira_channel_t, tx) == 256);
CIRA__CHANNEL_PIN(offsetof(cira_channel_t, rx) == 384);
#undef CIRA__CHANNEL_PIN

/* In the words of sleepers. */
#define CIRA__CHANNEL_FENCED (UINT32_C(1) << 31)

/* Slow paths of the inline forms, at `pos` (and `block`): room for one more
 * message, in tx.limit; one more message to read, in rx.limit.
 * Returns as cira_spsc_try_send.
 * Threads: the one sender. */
CIRA_API cira_status_t cira__spsc_room(cira_channel_t *channel, size_t bytes,
                                       uint64_t pos, uint64_t block);
/* Returns as cira_spsc_try_receive.
 * Threads: the one receiver. */
CIRA_API cira_status_t cira__spsc_ready(cira_channel_t *channel, size_t bytes,
                                        uint64_t pos, uint64_t block);
/* How many messages there are, of which more than `sent` at pos are known.
 * Returns the count of messages ever sent.
 * Threads: the one receiver. */
CIRA_API uint64_t cira__spsc_backlog(const cira_channel_t *channel,
                                     uint64_t pos, uint64_t block,
                                     uint64_t sent);
/* Wakes up to `count` who sleep on that side.
 * Threads: any. */
CIRA_API void cira__channel_wake(cira_channel_t *channel,
                                 cira_channel_side_t side, uint32_t count);

static inline uint8_t *cira__channel_data(const cira_channel_t *c) {
  return (uint8_t *)(uintptr_t)(c + 1);
}

static inline uint64_t *cira__spsc_word(const cira_channel_t *c,
                                        uint64_t block) {
  return (uint64_t *)(void *)(cira__channel_data(c) + block);
}

/* Of a channel whose messages have `bytes`; a constant where that is one. */
static inline uint64_t cira__spsc_per_block(const cira_channel_t *c,
                                            size_t bytes) {
  return __builtin_constant_p(bytes) && bytes <= 56 ? 56 / bytes : c->per_block;
}

/* To the next block, when this one is used up. */
static inline void cira__spsc_advance(const cira_channel_t *c,
                                      cira__spsc_side_t *s, size_t bytes) {
  uint64_t next =
      s->block +
      (__builtin_constant_p(bytes) && bytes <= 56 ? 64 : c->block_bytes);
  s->block = next == c->data_bytes ? 0 : next;
  s->at = s->block + sizeof(uint64_t);
  s->end += cira__spsc_per_block(c, bytes);
}

static inline uint8_t *cira__spsc_ahead(const cira_channel_t *c, uint64_t block,
                                        uint64_t distance) {
  uint64_t ahead = block + distance;
  return cira__channel_data(c) +
         (ahead >= c->data_bytes ? ahead - c->data_bytes : ahead);
}

/* Asks for ownership of a line. */
static inline void cira__spsc_claim(uint8_t *line) {
#if defined(__x86_64__)
  /* the builtin gives a read prefetch unless told that the CPU has this; CPUs
   * that do not have it skip it */
  __asm__ volatile("prefetchw %0" : : "m"(*line));
#else
  __builtin_prefetch(line, 1, 3);
#endif
}

/* After messages were published (or slots given back): wakes the other side if
 * it sleeps. The order "publish, then look" against the sleeper's "announce,
 * then look" is made by the sleeper's membarrier; or, where the words are never
 * 0, by the fence in cira__channel_wake. */
static inline void cira__channel_signal(cira_channel_t *c,
                                        cira_channel_side_t side,
                                        uint32_t count) {
  const uint32_t *waiting =
      side == CIRA_CHANNEL_RECEIVER ? &c->rx_waiting : &c->tx_waiting;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  /* pairs with: the announcement in channel_wait_announce */
  if (__builtin_expect(__atomic_load_n(waiting, __ATOMIC_RELAXED) != 0, 0)) {
    cira__channel_wake(c, side, count);
  }
}

/* The sender has filled what it knew of, or the channel was closed or is
 * another: the next piece, s->pos < s->stop. The first store into a line that
 * the receiver has read would wait for its transfer, so lines are asked for
 * ahead of need; not beyond the known room, where the receiver still reads. */
static inline cira_status_t
cira__spsc_sender_next(cira_channel_t *c, cira__spsc_side_t *s, size_t bytes) {
  if (__builtin_expect(s->pos == s->limit || c->inline_bytes != bytes ||
                           __atomic_load_n(&c->closed, __ATOMIC_RELAXED),
                       0)) {
    cira_status_t status = cira__spsc_room(c, bytes, s->pos, s->block);
    if (status != CIRA_OK) {
      return status;
    }
    s->limit = c->tx.limit;
  }
  if (s->pos == s->end) {
    /* pairs with: the acquire load in cira__spsc_backlog */
    __atomic_store_n(&c->tx_told, s->pos, __ATOMIC_RELEASE);
    cira__spsc_advance(c, s, bytes);
    if (s->limit - s->pos > c->own_count) {
      cira__spsc_claim(cira__spsc_ahead(c, s->block, c->own_bytes));
    }
  }
  s->stop = s->limit < s->end ? s->limit : s->end;
  return CIRA_OK;
}

/* The receiver has read what it knew of in this block. Returns whether there is
 * more, then s->pos < s->stop. Who comes to whole blocks one after the other
 * asks how many there are: so it reads no words for a while, and asks for lines
 * ahead of need, but for none that is about to be written. */
static inline int cira__spsc_receiver_look(cira_channel_t *c,
                                           cira__spsc_side_t *s, size_t bytes) {
  if (s->pos == s->end) {
    cira__spsc_advance(c, s, bytes);
  }
  if (s->limit <= s->pos) {
    /* pairs with: the release stores of the sender */
    uint64_t sent =
        __atomic_load_n(cira__spsc_word(c, s->block), __ATOMIC_ACQUIRE);
    if (__builtin_expect(sent <= s->pos, 0)) {
      return 0;
    }
    s->limit = sent;
    if (sent >= s->end && s->end - s->pos == cira__spsc_per_block(c, bytes)) {
      s->limit = cira__spsc_backlog(c, s->pos, s->block, sent);
    }
  }
  if (s->limit - s->pos > c->ahead_count) {
    __builtin_prefetch(cira__spsc_ahead(c, s->block, c->ahead_bytes), 0, 3);
  }
  s->stop = s->limit < s->end ? s->limit : s->end;
  return 1;
}

static inline cira_status_t cira__spsc_receiver_next(cira_channel_t *c,
                                                     cira__spsc_side_t *s,
                                                     size_t bytes) {
  if (__builtin_expect(c->inline_bytes == bytes, 1) &&
      cira__spsc_receiver_look(c, s, bytes)) {
    return CIRA_OK;
  }
  cira_status_t status = cira__spsc_ready(c, bytes, s->pos, s->block);
  if (status == CIRA_OK) {
    s->limit = c->rx.limit;
    s->stop = s->limit < s->end ? s->limit : s->end;
  }
  return status;
}

/* Copies messages that lie one after the other, of at most one block: for words
 * in a line by two moves that may overlap. */
static inline void cira__spsc_copy(uint8_t *to, const uint8_t *from,
                                   uint64_t n_bytes, size_t bytes) {
  if (bytes % 8 != 0 || bytes > 56) {
    memcpy(to, from, n_bytes);
  } else if (n_bytes >= 32) {
    memcpy(to, from, 32);
    memcpy(to + n_bytes - 32, from + n_bytes - 32, 32);
  } else if (n_bytes >= 16) {
    memcpy(to, from, 16);
    memcpy(to + n_bytes - 16, from + n_bytes - 16, 16);
  } else {
    memcpy(to, from, 8);
  }
}

/* Writes one message and publishes it. */
static inline void cira__spsc_put(cira_channel_t *c, cira__spsc_side_t *s,
                                  const void *msg, size_t bytes) {
  memcpy(cira__channel_data(c) + s->at, msg, bytes);
  uint64_t pos = s->pos + 1;
  /* pairs with: the acquire loads in cira__spsc_receiver_look and _ready.
   * Directly after the payload, so that a receiver which polls the line cannot
   * take it away in between. */
  __atomic_store_n(cira__spsc_word(c, s->block), pos, __ATOMIC_RELEASE);
  s->at += bytes;
  /* relaxed: of the channel's own side, for cira_channel_count */
  __atomic_store_n(&s->pos, pos, __ATOMIC_RELAXED);
  cira__channel_signal(c, CIRA_CHANNEL_RECEIVER, 1);
}

/* Reads one message and gives its slot back. */
static inline void cira__spsc_take(cira_channel_t *c, cira__spsc_side_t *s,
                                   void *out, size_t bytes) {
  memcpy(out, cira__channel_data(c) + s->at, bytes);
  uint64_t pos = s->pos + 1;
  s->at += bytes;
  if (s != &c->rx) { /* a cursor */
    s->pos = pos;
  }
  /* pairs with: the acquire load in cira__spsc_room; release, so that our reads
   * of the slot are over when the sender writes it again */
  __atomic_store_n(&c->rx.pos, pos, __ATOMIC_RELEASE);
  cira__channel_signal(c, CIRA_CHANNEL_SENDER, 1);
}

/* ---- inline forms ------------------------------------------------------- */

/* cira_channel_try_send for SPSC, compiled into the caller: `bytes` should be a
 * constant.
 * Returns as cira_channel_try_send; CIRA_E_INVALID when bytes is not the size
 *   of the channel's messages or the channel is not SPSC.
 * Threads: the one sender. Cost: about 2 ns for 8 bytes. */
static inline CIRA_MUST_USE cira_status_t cira_spsc_try_send(cira_channel_t *c,
                                                             const void *msg,
                                                             size_t bytes) {
  if (__builtin_expect(c->tx.pos == c->tx.stop || c->inline_bytes != bytes ||
                           __atomic_load_n(&c->closed, __ATOMIC_RELAXED),
                       0)) {
    cira_status_t status = cira__spsc_sender_next(c, &c->tx, bytes);
    if (status != CIRA_OK) {
      return status;
    }
  }
  cira__spsc_put(c, &c->tx, msg, bytes);
  return CIRA_OK;
}

/* cira_channel_try_receive for SPSC, compiled into the caller.
 * Returns as cira_channel_try_receive; CIRA_E_INVALID as cira_spsc_try_send.
 * Threads: the one receiver. Cost: about 2 ns for 8 bytes. */
static inline CIRA_MUST_USE cira_status_t
cira_spsc_try_receive(cira_channel_t *c, void *out, size_t bytes) {
  if (__builtin_expect(c->rx.pos == c->rx.stop || c->inline_bytes != bytes,
                       0)) {
    cira_status_t status = cira__spsc_receiver_next(c, &c->rx, bytes);
    if (status != CIRA_OK) {
      return status;
    }
  }
  cira__spsc_take(c, &c->rx, out, bytes);
  return CIRA_OK;
}

/* ---- cursors -------------------------------------------------------------
 * The inline forms with the position of their side in a variable of the caller,
 * which the compiler keeps in registers: in a loop a message costs about half.
 * Messages are visible one by one, as ever. From open to close the side uses
 * nothing but the cursor; the other side may use what it likes. */

typedef struct {
  cira_channel_t *channel;
  cira__spsc_side_t side;
} cira_spsc_cursor_t;

/* Takes the sender's side of an SPSC channel.
 *   bytes  of a message, in every call with this cursor; best a constant.
 * Returns the cursor; for a channel of another kind or size of messages one
 *   whose first send says CIRA_E_INVALID.
 * Threads: the one sender. Cost: a few loads. */
static inline cira_spsc_cursor_t cira_spsc_sender_open(cira_channel_t *c,
                                                       size_t bytes) {
  cira_spsc_cursor_t s;
  s.channel = c;
  s.side = c->tx;
  if (c->inline_bytes != bytes) {
    s.side.limit = s.side.stop = s.side.pos; /* the first send asks */
  }
  return s;
}

/* Gives the side back.
 * Threads: the one sender. */
static inline void cira_spsc_sender_close(const cira_spsc_cursor_t *s) {
  cira_channel_t *c = s->channel;
  if (c->inline_bytes == 0) {
    return; /* was never a cursor's */
  }
  c->tx.stop = s->side.stop;
  c->tx.at = s->side.at;
  c->tx.block = s->side.block;
  c->tx.end = s->side.end;
  c->tx.limit = s->side.limit;
  /* relaxed: only for cira_channel_count */
  __atomic_store_n(&c->tx.pos, s->side.pos, __ATOMIC_RELAXED);
}

/* As cira_spsc_try_send.
 * Returns as that.
 * Threads: the one sender. Cost: about 1 ns for 8 bytes. */
static inline CIRA_MUST_USE cira_status_t
cira_spsc_sender_send(cira_spsc_cursor_t *s, const void *msg, size_t bytes) {
  cira_channel_t *c = s->channel;
  if (__builtin_expect(s->side.pos == s->side.stop ||
                           __atomic_load_n(&c->closed, __ATOMIC_RELAXED),
                       0)) {
    cira_status_t status = cira__spsc_sender_next(c, &s->side, bytes);
    if (status != CIRA_OK) {
      return status;
    }
  }
  cira__spsc_put(c, &s->side, msg, bytes);
  return CIRA_OK;
}

/* Sends up to `count` messages that lie one after the other.
 *   out_count  how many were sent, on CIRA_OK at least one.
 * Returns as cira_spsc_try_send.
 * Threads: the one sender. */
static inline CIRA_MUST_USE cira_status_t
cira_spsc_sender_send_batch(cira_spsc_cursor_t *s, const void *msgs,
                            uint32_t count, size_t bytes, uint32_t *out_count) {
  cira_channel_t *c = s->channel;
  const uint8_t *from = (const uint8_t *)msgs;
  uint32_t unsent = count;
  int ask = __atomic_load_n(&c->closed, __ATOMIC_RELAXED) != 0;
  do {
    if (s->side.pos == s->side.stop || ask) {
      if (unsent != count && s->side.pos == s->side.limit) {
        break; /* what was sent is told first */
      }
      cira_status_t status = cira__spsc_sender_next(c, &s->side, bytes);
      if (status != CIRA_OK) {
        return status;
      }
    }
    uint64_t here = s->side.stop - s->side.pos;
    here = here < unsent ? here : unsent;
    cira__spsc_copy(cira__channel_data(c) + s->side.at, from, here * bytes,
                    bytes);
    from += here * bytes;
    s->side.at += here * bytes;
    s->side.pos += here;
    unsent -= (uint32_t)here;
    /* pairs with: the acquire loads in cira__spsc_receiver_look and _ready */
    __atomic_store_n(cira__spsc_word(c, s->side.block), s->side.pos,
                     __ATOMIC_RELEASE);
  } while (unsent > 0);
  cira__channel_signal(c, CIRA_CHANNEL_RECEIVER, count - unsent);
  *out_count = count - unsent;
  return CIRA_OK;
}

/* Takes the receiver's side, as cira_spsc_sender_open.
 * Returns the cursor; for another kind or size one whose first receive says
 *   CIRA_E_INVALID.
 * Threads: the one receiver. */
static inline cira_spsc_cursor_t cira_spsc_receiver_open(cira_channel_t *c,
                                                         size_t bytes) {
  cira_spsc_cursor_t r;
  r.channel = c;
  r.side = c->rx;
  r.side.stop = c->inline_bytes == bytes ? r.side.stop : r.side.pos;
  return r;
}

/* Gives the side back.
 * Threads: the one receiver. */
static inline void cira_spsc_receiver_close(const cira_spsc_cursor_t *r) {
  cira_channel_t *c = r->channel;
  if (c->inline_bytes == 0) {
    return;
  }
  c->rx.stop = r->side.stop;
  c->rx.at = r->side.at;
  c->rx.block = r->side.block;
  c->rx.end = r->side.end;
  c->rx.limit = r->side.limit;
}

/* As cira_spsc_try_receive.
 * Returns as that.
 * Threads: the one receiver. Cost: about 1 ns for 8 bytes. */
static inline CIRA_MUST_USE cira_status_t
cira_spsc_receiver_receive(cira_spsc_cursor_t *r, void *out, size_t bytes) {
  cira_channel_t *c = r->channel;
  if (__builtin_expect(r->side.pos == r->side.stop, 0)) {
    cira_status_t status = cira__spsc_receiver_next(c, &r->side, bytes);
    if (status != CIRA_OK) {
      return status;
    }
  }
  cira__spsc_take(c, &r->side, out, bytes);
  return CIRA_OK;
}

/* Receives up to `count` messages, one after the other.
 *   out_count  how many, on CIRA_OK at least one.
 * Returns as cira_spsc_try_receive.
 * Threads: the one receiver. */
static inline CIRA_MUST_USE cira_status_t cira_spsc_receiver_receive_batch(
    cira_spsc_cursor_t *r, void *out, uint32_t count, size_t bytes,
    uint32_t *out_count) {
  cira_channel_t *c = r->channel;
  uint8_t *to = (uint8_t *)out;
  uint32_t got = 0;
  do {
    if (r->side.pos == r->side.stop) {
      if (got == 0) {
        cira_status_t status = cira__spsc_receiver_next(c, &r->side, bytes);
        if (status != CIRA_OK) {
          return status;
        }
      } else if (!cira__spsc_receiver_look(c, &r->side, bytes)) {
        break;
      }
    }
    uint64_t here = r->side.stop - r->side.pos;
    here = here < count - got ? here : count - got;
    cira__spsc_copy(to, cira__channel_data(c) + r->side.at, here * bytes,
                    bytes);
    to += here * bytes;
    r->side.at += here * bytes;
    r->side.pos += here;
    got += (uint32_t)here;
    /* pairs with: the acquire load in cira__spsc_room */
    __atomic_store_n(&c->rx.pos, r->side.pos, __ATOMIC_RELEASE);
  } while (got < count);
  cira__channel_signal(c, CIRA_CHANNEL_SENDER, got);
  *out_count = got;
  return CIRA_OK;
}

#ifdef __cplusplus
}
#endif
#endif
