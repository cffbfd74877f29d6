/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-channel: what a message costs between two CPUs. Rings of cira beside
 * those of Concurrency Kit, and the bare hardware: the round trip of a cache
 * line, and lines that stream from one CPU to the other (line_stream, as
 * nanoseconds a message when a line carries seven of them): no ring can be
 * faster. Measurements are interleaved, one repetition of each in turn, so that
 * a busy neighbour hits all of them; what is reported is the median, with the
 * least and the most; rows with times_ck are the quotients of each round. Every
 * message carries its number and is checked. Rows with _16k have room for 16384
 * messages, the others for 1024.
 *
 *   bench-channel [--json FILE] [--repeat N] [--count N] [--only TEXT,...]
 */
#include "bench.h"
#include "cira/channel.h"

#include <ck_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL 1024u
#define LARGE 16384u
#define BATCH 32u
#define WORDS 7u         /* of a line, beside its number */
#define ROUND_LINES 147u /* as many as a small ring has */

typedef struct {
  _Alignas(64) _Atomic uint64_t number;
  uint64_t word[WORDS];
} line_t;

typedef struct {
  uint64_t count; /* messages per sender */
  uint32_t senders, receivers;
  cira_channel_t *there, *back;
  ck_ring_t ck;
  ck_ring_buffer_t *ck_buffer;
  pthread_barrier_t start;
  _Atomic uint64_t begun_ns, ended_ns; /* earliest, latest */
  _Atomic uint64_t received, sum;      /* MPMC */
  line_t *lines;
  uint32_t line_count;                  /* a power of two for streams */
  _Alignas(128) _Atomic uint64_t taken; /* lines of a stream */
  uint8_t pad[120];
} run_t;

typedef void (*body_fn_t)(run_t *run, uint32_t index);

static void expect(uint64_t got, uint64_t want) {
  if (CIRA_UNLIKELY(got != want)) {
    fprintf(stderr, "bench-channel: message %llu where %llu was due\n",
            (unsigned long long)got, (unsigned long long)want);
    exit(1);
  }
}

/* Between tries that failed: the same for all rings. */
static void back_off(uint32_t *turn) {
  if (++*turn % 64 == 0) {
    (void)sched_yield();
  } else {
    cira__cpu_relax();
  }
}

/* ---- bodies of senders and receivers ------------------------------------ */

/* How far lines lie apart depends on their addresses, so a round trip is the
 * mean over as many lines as a ring has, seven times each, as a ring uses them.
 * Looks without a pause would keep the line from the other side. */
static _Atomic uint64_t *round_line(const run_t *run, uint32_t *at) {
  *at = *at + 1 == ROUND_LINES * WORDS ? 0 : *at + 1;
  return &run->lines[*at / WORDS].number;
}

static void line_await(_Atomic uint64_t *line, uint64_t number) {
  while (atomic_load_explicit(line, memory_order_acquire) != number) {
    cira__cpu_relax();
  }
}

static void line_ping(run_t *run, uint32_t index) {
  (void)index;
  uint32_t at = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    _Atomic uint64_t *line = round_line(run, &at);
    atomic_store_explicit(line, 2 * i + 1, memory_order_release);
    line_await(line, 2 * i + 2);
  }
}

static void line_pong(run_t *run, uint32_t index) {
  (void)index;
  uint32_t at = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    _Atomic uint64_t *line = round_line(run, &at);
    line_await(line, 2 * i + 1);
    atomic_store_explicit(line, 2 * i + 2, memory_order_release);
  }
}

#define STREAM_AHEAD 16u
#define STREAM_PAUSES 32

static void stream_stand(void) {
  for (int i = 0; i < STREAM_PAUSES; i++) {
    cira__cpu_relax();
  }
}

/* Whole lines in order, each with its number: nothing that a ring needs beside
 * that, such as publishing each message, closing or sleeping. */
static void stream_send(run_t *run, uint32_t index) {
  (void)index;
  uint64_t mask = run->line_count - 1;
  uint64_t room = run->line_count;
  for (uint64_t i = 0; i < run->count / WORDS; i++) {
    while (i == room) {
      room = atomic_load_explicit(&run->taken, memory_order_acquire) +
             run->line_count;
      if (i == room) {
        stream_stand();
      }
    }
    line_t *line = &run->lines[i & mask];
    if (room - i > STREAM_AHEAD) {
#if defined(__x86_64__) /* the builtin would prefetch for reading */
      __asm__ volatile("prefetchw %0"
                       :
                       : "m"(run->lines[(i + STREAM_AHEAD) & mask]));
#else
      __builtin_prefetch(&run->lines[(i + STREAM_AHEAD) & mask], 1, 3);
#endif
    }
    for (uint32_t k = 0; k < WORDS; k++) {
      line->word[k] = i + k;
    }
    atomic_store_explicit(&line->number, i + 1, memory_order_release);
  }
}

static void stream_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t mask = run->line_count - 1;
  bool behind = false;
  for (uint64_t i = 0; i < run->count / WORDS; i++) {
    line_t *line = &run->lines[i & mask];
    if (behind) {
      __builtin_prefetch(&run->lines[(i + STREAM_AHEAD) & mask], 0, 3);
    }
    behind = true;
    while (atomic_load_explicit(&line->number, memory_order_acquire) != i + 1) {
      stream_stand();
      behind = false;
    }
    uint64_t sum = 0;
    for (uint32_t k = 0; k < WORDS; k++) {
      sum += line->word[k];
    }
    expect(sum, WORDS * i + WORDS * (WORDS - 1) / 2);
    if (i % 16 == 15) {
      atomic_store_explicit(&run->taken, i + 1, memory_order_release);
    }
  }
}

static void inline_send(run_t *run, uint32_t index) {
  (void)index;
  uint32_t turn = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    while (cira_spsc_try_send(run->there, &i, 8) != CIRA_OK) {
      back_off(&turn);
    }
  }
}

static void inline_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t got = 0;
  uint32_t turn = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    while (cira_spsc_try_receive(run->there, &got, 8) != CIRA_OK) {
      back_off(&turn);
    }
    expect(got, i);
  }
}

static void cursor_send(run_t *run, uint32_t index) {
  (void)index;
  uint32_t turn = 0;
  cira_spsc_cursor_t tx = cira_spsc_sender_open(run->there, 8);
  for (uint64_t i = 0; i < run->count; i++) {
    while (cira_spsc_sender_send(&tx, &i, 8) != CIRA_OK) {
      back_off(&turn);
    }
  }
  cira_spsc_sender_close(&tx);
}

static void cursor_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t got = 0;
  uint32_t turn = 0;
  cira_spsc_cursor_t rx = cira_spsc_receiver_open(run->there, 8);
  for (uint64_t i = 0; i < run->count; i++) {
    while (cira_spsc_receiver_receive(&rx, &got, 8) != CIRA_OK) {
      back_off(&turn);
    }
    expect(got, i);
  }
  cira_spsc_receiver_close(&rx);
}

static void cursor_batch_send(run_t *run, uint32_t index) {
  (void)index;
  uint64_t batch[BATCH];
  uint32_t turn = 0, sent;
  cira_spsc_cursor_t tx = cira_spsc_sender_open(run->there, 8);
  for (uint64_t i = 0; i < run->count; i += BATCH) {
    for (uint32_t k = 0; k < BATCH; k++) {
      batch[k] = i + k;
    }
    for (uint32_t at = 0; at < BATCH; at += sent) {
      while (cira_spsc_sender_send_batch(&tx, batch + at, BATCH - at, 8,
                                         &sent) != CIRA_OK) {
        back_off(&turn);
      }
    }
  }
  cira_spsc_sender_close(&tx);
}

static void cursor_batch_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t batch[BATCH];
  uint32_t turn = 0, got;
  cira_spsc_cursor_t rx = cira_spsc_receiver_open(run->there, 8);
  for (uint64_t i = 0; i < run->count; i += got) {
    while (cira_spsc_receiver_receive_batch(&rx, batch, BATCH, 8, &got) !=
           CIRA_OK) {
      back_off(&turn);
    }
    for (uint32_t k = 0; k < got; k++) {
      expect(batch[k], i + k);
    }
  }
  cira_spsc_receiver_close(&rx);
}

static void call_send(run_t *run, uint32_t index) {
  (void)index;
  for (uint64_t i = 0; i < run->count; i++) {
    bench_check(cira_channel_send(run->there, &i, CIRA_FOREVER), "send");
  }
}

static void call_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t got = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    bench_check(cira_channel_receive(run->there, &got, CIRA_FOREVER),
                "receive");
    expect(got, i);
  }
}

static void batch_send(run_t *run, uint32_t index) {
  (void)index;
  uint64_t batch[BATCH];
  uint32_t sent;
  for (uint64_t i = 0; i < run->count; i += BATCH) {
    for (uint32_t k = 0; k < BATCH; k++) {
      batch[k] = i + k;
    }
    bench_check(
        cira_channel_send_batch(run->there, batch, BATCH, CIRA_FOREVER, &sent),
        "send_batch");
  }
}

static void batch_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t batch[BATCH];
  uint32_t got;
  for (uint64_t i = 0; i < run->count; i += got) {
    bench_check(cira_channel_receive_batch(run->there, batch, BATCH,
                                           CIRA_FOREVER, &got),
                "receive_batch");
    for (uint32_t k = 0; k < got; k++) {
      expect(batch[k], i + k);
    }
  }
}

static void ping(run_t *run, uint32_t index) {
  (void)index;
  uint64_t got = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    bench_check(cira_channel_send(run->there, &i, CIRA_FOREVER), "send");
    bench_check(cira_channel_receive(run->back, &got, CIRA_FOREVER), "receive");
    expect(got, i);
  }
}

static void pong(run_t *run, uint32_t index) {
  (void)index;
  uint64_t got = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    bench_check(cira_channel_receive(run->there, &got, CIRA_FOREVER),
                "receive");
    bench_check(cira_channel_send(run->back, &got, CIRA_FOREVER), "send");
  }
}

static void mpmc_send(run_t *run, uint32_t index) {
  uint32_t turn = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    uint64_t message = ((uint64_t)index << 40) + i + 1;
    while (cira_channel_try_send(run->there, &message) != CIRA_OK) {
      back_off(&turn);
    }
  }
}

typedef bool (*take_t)(run_t *run, uint64_t *out_message);

/* One of several receivers; `take` is known where this is inlined. */
static inline __attribute__((always_inline)) void receive_share(run_t *run,
                                                                take_t take) {
  uint64_t total = run->count * run->senders;
  uint64_t sum = 0;
  uint64_t message;
  uint32_t turn = 0;
  while (atomic_load_explicit(&run->received, memory_order_relaxed) < total) {
    uint64_t n = 0;
    while (take(run, &message)) {
      sum += message;
      n++;
      if (n % 64 == 0) {
        break;
      }
    }
    if (n == 0) {
      back_off(&turn);
    } else {
      (void)atomic_fetch_add(&run->received, n);
    }
  }
  (void)atomic_fetch_add(&run->sum, sum);
}

static inline bool mpmc_take(run_t *run, uint64_t *out_message) {
  return cira_channel_try_receive(run->there, out_message) == CIRA_OK;
}

static void mpmc_receive(run_t *run, uint32_t index) {
  (void)index;
  receive_share(run, mpmc_take);
}

static void ck_spsc_send(run_t *run, uint32_t index) {
  (void)index;
  uint32_t turn = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    while (!ck_ring_enqueue_spsc(&run->ck, run->ck_buffer,
                                 (void *)(uintptr_t)(i + 1))) {
      back_off(&turn);
    }
  }
}

static void ck_spsc_receive(run_t *run, uint32_t index) {
  (void)index;
  uint32_t turn = 0;
  void *got = NULL;
  for (uint64_t i = 0; i < run->count; i++) {
    while (!ck_ring_dequeue_spsc(&run->ck, run->ck_buffer, &got)) {
      back_off(&turn);
    }
    expect((uintptr_t)got, i + 1);
  }
}

static void ck_mpmc_send(run_t *run, uint32_t index) {
  uint32_t turn = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    uint64_t message = ((uint64_t)index << 40) + i + 1;
    while (!ck_ring_enqueue_mpmc(&run->ck, run->ck_buffer,
                                 (void *)(uintptr_t)message)) {
      back_off(&turn);
    }
  }
}

static inline bool ck_mpmc_take(run_t *run, uint64_t *out_message) {
  void *got;
  bool is = ck_ring_dequeue_mpmc(&run->ck, run->ck_buffer, &got);
  *out_message = is ? (uintptr_t)got : 0;
  return is;
}

static void ck_mpmc_receive(run_t *run, uint32_t index) {
  (void)index;
  receive_share(run, ck_mpmc_take);
}

/* ---- measurements ------------------------------------------------------- */

static const struct {
  const char *name;
  body_fn_t send, receive;
  uint32_t each; /* senders, and as many receivers */
  uint32_t kind;
  uint32_t divide; /* of the count, for slow ones */
  uint32_t room;   /* messages */
} measures[] = {
    {"line_round_trip_ns", line_ping, line_pong, 1, 0, 16, SMALL},
    {"line_stream_ns", stream_send, stream_receive, 1, 0, 1, SMALL},
    {"line_stream_16k_ns", stream_send, stream_receive, 1, 0, 1, LARGE},
    {"spsc_8b_inline_ns", inline_send, inline_receive, 1, 0, 1, SMALL},
    {"spsc_8b_inline_16k_ns", inline_send, inline_receive, 1, 0, 1, LARGE},
    {"spsc_8b_cursor_ns", cursor_send, cursor_receive, 1, 0, 1, SMALL},
    {"spsc_8b_cursor_16k_ns", cursor_send, cursor_receive, 1, 0, 1, LARGE},
    {"spsc_8b_cursor_batch32_ns", cursor_batch_send, cursor_batch_receive, 1, 0,
     1, SMALL},
    {"spsc_8b_cursor_batch32_16k_ns", cursor_batch_send, cursor_batch_receive,
     1, 0, 1, LARGE},
    {"spsc_8b_call_ns", call_send, call_receive, 1, 0, 1, SMALL},
    {"spsc_8b_call_16k_ns", call_send, call_receive, 1, 0, 1, LARGE},
    {"spsc_8b_batch32_ns", batch_send, batch_receive, 1, 0, 1, SMALL},
    {"spsc_8b_batch32_16k_ns", batch_send, batch_receive, 1, 0, 1, LARGE},
    {"ck_spsc_8b_ns", ck_spsc_send, ck_spsc_receive, 1, 0, 1, SMALL},
    {"ck_spsc_8b_16k_ns", ck_spsc_send, ck_spsc_receive, 1, 0, 1, LARGE},
    {"ping_pong_ns", ping, pong, 1, 0, 16, SMALL},
    {"mpmc_8b_2x2_ns", mpmc_send, mpmc_receive, 2, CIRA_CHANNEL_MPMC, 4, SMALL},
    {"mpmc_8b_batch32_1x1_ns", batch_send, batch_receive, 1, CIRA_CHANNEL_MPMC,
     1, SMALL},
    {"ck_mpmc_8b_2x2_ns", ck_mpmc_send, ck_mpmc_receive, 2, 0, 4, SMALL},
};

typedef struct {
  run_t *run;
  body_fn_t body;
  uint32_t index;
  int cpu;
} thread_t;

static void *thread_main(void *argument) {
  thread_t *t = argument;
  bench_pin(t->cpu);
  (void)pthread_barrier_wait(&t->run->start);
  uint64_t now = cira__now_ns();
  uint64_t seen = 0;
  (void)atomic_compare_exchange_strong(&t->run->begun_ns, &seen, now);
  t->body(t->run, t->index);
  now = cira__now_ns();
  seen = atomic_load(&t->run->ended_ns);
  while (seen < now &&
         !atomic_compare_exchange_weak(&t->run->ended_ns, &seen, now)) {
  }
  return NULL;
}

static double measure(uint32_t m, uint64_t count, int cpus) {
  static run_t run;
  thread_t threads[4];
  pthread_t ids[4];
  uint32_t n = measures[m].each;
  memset(&run, 0, sizeof(run));
  run.count = count / measures[m].divide / BATCH * BATCH;
  run.senders = run.receivers = n;
  cira_channel_options_t opt = cira_channel_options_default();
  opt.kind = measures[m].kind;
  opt.capacity_count = measures[m].room;
  bench_check(cira_channel_create(&opt, &run.there), "create");
  bench_check(cira_channel_create(&opt, &run.back), "create");
  run.ck_buffer = calloc(measures[m].room, sizeof(*run.ck_buffer));
  run.line_count = measures[m].room / 8; /* the power of two next to /7 */
  size_t lines_bytes = (size_t)measures[m].room * sizeof(line_t) / 4;
  run.lines = aligned_alloc(128, lines_bytes);
  if (!run.ck_buffer || !run.lines) {
    bench_die("no memory");
  }
  memset(run.lines, 0, lines_bytes);
  ck_ring_init(&run.ck, measures[m].room);
  (void)pthread_barrier_init(&run.start, NULL, 2 * n);
  for (uint32_t i = 0; i < 2 * n; i++) {
    threads[i] =
        (thread_t){.run = &run,
                   .body = i < n ? measures[m].send : measures[m].receive,
                   .index = i % n,
                   /* one sender and one receiver on each CPU */
                   .cpu = (int)((i % n + i / n) % (uint32_t)cpus)};
    if (pthread_create(&ids[i], NULL, thread_main, &threads[i]) != 0) {
      bench_die("pthread_create");
    }
  }
  for (uint32_t i = 0; i < 2 * n; i++) {
    (void)pthread_join(ids[i], NULL);
  }
  if (n > 1) {
    uint64_t want = n * (run.count * (run.count + 1) / 2) +
                    (run.count << 40) * (n * (n - 1) / 2);
    expect(atomic_load(&run.sum), want);
  }
  (void)pthread_barrier_destroy(&run.start);
  cira_channel_destroy(run.there);
  cira_channel_destroy(run.back);
  free(run.lines);
  free(run.ck_buffer);
  return (double)(atomic_load(&run.ended_ns) - atomic_load(&run.begun_ns)) /
         (double)(run.count * n);
}

static double samples[CIRA_COUNT(measures)][BENCH_REPEAT_MAX];

static const double *samples_of(const char *name) {
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    if (strcmp(measures[m].name, name) == 0) {
      return bench_wants(name) ? samples[m] : NULL;
    }
  }
  return NULL;
}

/* How many times faster than its peer, round by round: what disturbs a round
 * disturbs both. */
static void row_times(const char *what, const char *peer, const char *ours,
                      uint32_t repeat) {
  double times[BENCH_REPEAT_MAX];
  const double *p = samples_of(peer);
  const double *o = samples_of(ours);
  if (p && o) {
    for (uint32_t i = 0; i < repeat; i++) {
      times[i] = p[i] / o[i];
    }
    bench_row(NULL, what, times, repeat);
  }
}

int main(int argc, char **argv) {
  bench_settings_t s = {.program = "bench-channel",
                        .about = "What a message between two CPUs costs, in "
                                 "nanoseconds, beside the rings of\n"
                                 "Concurrency Kit and the bare hardware.",
                        .counts = "messages of a repetition",
                        .repeat = 7,
                        .count = 4u << 20,
                        .count_least = 16384};
  bench_begin(argc, argv, &s, NULL, 0);
  int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (cpus < 2) {
    fprintf(stderr, "bench-channel: one CPU only: the figures are those of "
                    "thread switches\n");
  }
  for (uint32_t i = 0; i <= s.repeat; i++) { /* round 0 warms up */
    for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
      if (bench_wants(measures[m].name)) {
        double ns = measure(m, i == 0 ? s.count / 4 : s.count, cpus);
        samples[m][i == 0 ? 0 : i - 1] = ns;
      }
    }
  }
  /* before the rows of the samples, which sort them */
  row_times("spsc_8b_16k_times_ck", "ck_spsc_8b_16k_ns",
            "spsc_8b_cursor_16k_ns", s.repeat);
  row_times("mpmc_8b_2x2_times_ck", "ck_mpmc_8b_2x2_ns", "mpmc_8b_2x2_ns",
            s.repeat);
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    if (bench_wants(measures[m].name)) {
      bench_row(NULL, measures[m].name, samples[m], s.repeat);
    }
  }
  bench_end();
  return 0;
}
