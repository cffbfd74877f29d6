/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-channel: what a message costs between two CPUs. Rings of cira beside
 * those of Concurrency Kit, and the bare hardware: the round trip of one cache
 * line. Measurements are interleaved, one repetition of each in turn, so that a
 * busy neighbour hits all of them; what is reported is the median, with the
 * least and the most. Every message carries its number and is checked.
 *
 *   bench-channel [--json FILE] [--repeat N] [--count N] [--only TEXT]
 */
#include "base/base.h"
#include "cira/channel.h"

#include <ck_ring.h>
#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CAPACITY 1024u
#define BATCH 32u
#define REPEAT_MAX 101

typedef struct {
  uint64_t count; /* messages per sender */
  uint32_t senders, receivers;
  cira_channel_t *there, *back;
  ck_ring_t ck;
  ck_ring_buffer_t *ck_buffer;
  pthread_barrier_t start;
  _Atomic uint64_t begun_ns, ended_ns; /* earliest, latest */
  _Atomic uint64_t received, sum;      /* MPMC */
  _Alignas(128) _Atomic uint64_t line;
  uint8_t pad[120];
} run_t;

typedef void (*body_fn_t)(run_t *run, uint32_t index);

static _Noreturn void die(const char *what) {
  fprintf(stderr, "bench-channel: %s: %s\n", what, cira_status_detail());
  exit(1);
}

static void check(cira_status_t status, const char *what) {
  if (status != CIRA_OK) {
    die(what);
  }
}

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

static void line_ping(run_t *run, uint32_t index) {
  (void)index;
  for (uint64_t i = 0; i < run->count; i++) {
    atomic_store_explicit(&run->line, 2 * i + 1, memory_order_release);
    while (atomic_load_explicit(&run->line, memory_order_acquire) !=
           2 * i + 2) {
    }
  }
}

static void line_pong(run_t *run, uint32_t index) {
  (void)index;
  for (uint64_t i = 0; i < run->count; i++) {
    while (atomic_load_explicit(&run->line, memory_order_acquire) !=
           2 * i + 1) {
    }
    atomic_store_explicit(&run->line, 2 * i + 2, memory_order_release);
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
    check(cira_channel_send(run->there, &i, CIRA_FOREVER), "send");
  }
}

static void call_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t got = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    check(cira_channel_receive(run->there, &got, CIRA_FOREVER), "receive");
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
    check(
        cira_channel_send_batch(run->there, batch, BATCH, CIRA_FOREVER, &sent),
        "send_batch");
  }
}

static void batch_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t batch[BATCH];
  uint32_t got;
  for (uint64_t i = 0; i < run->count; i += got) {
    check(cira_channel_receive_batch(run->there, batch, BATCH, CIRA_FOREVER,
                                     &got),
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
    check(cira_channel_send(run->there, &i, CIRA_FOREVER), "send");
    check(cira_channel_receive(run->back, &got, CIRA_FOREVER), "receive");
    expect(got, i);
  }
}

static void pong(run_t *run, uint32_t index) {
  (void)index;
  uint64_t got = 0;
  for (uint64_t i = 0; i < run->count; i++) {
    check(cira_channel_receive(run->there, &got, CIRA_FOREVER), "receive");
    check(cira_channel_send(run->back, &got, CIRA_FOREVER), "send");
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

static void mpmc_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t total = run->count * run->senders;
  uint64_t sum = 0;
  uint64_t message;
  uint32_t turn = 0;
  while (atomic_load_explicit(&run->received, memory_order_relaxed) < total) {
    uint64_t n = 0;
    while (cira_channel_try_receive(run->there, &message) == CIRA_OK) {
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

static void ck_mpmc_receive(run_t *run, uint32_t index) {
  (void)index;
  uint64_t total = run->count * run->senders;
  uint64_t sum = 0;
  uint32_t turn = 0;
  while (atomic_load_explicit(&run->received, memory_order_relaxed) < total) {
    uint64_t n = 0;
    void *got;
    while (ck_ring_dequeue_mpmc(&run->ck, run->ck_buffer, &got)) {
      sum += (uintptr_t)got;
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

/* ---- measurements ------------------------------------------------------- */

static const struct {
  const char *name;
  body_fn_t send, receive;
  uint32_t each; /* senders, and as many receivers */
  uint32_t kind;
  uint32_t divide; /* of the count, for slow ones */
} measures[] = {
    {"line_round_trip_ns", line_ping, line_pong, 1, 0, 16},
    {"spsc_8b_inline_ns", inline_send, inline_receive, 1, 0, 1},
    {"spsc_8b_cursor_ns", cursor_send, cursor_receive, 1, 0, 1},
    {"spsc_8b_cursor_batch32_ns", cursor_batch_send, cursor_batch_receive, 1, 0,
     1},
    {"spsc_8b_call_ns", call_send, call_receive, 1, 0, 1},
    {"spsc_8b_batch32_ns", batch_send, batch_receive, 1, 0, 1},
    {"ck_spsc_8b_ns", ck_spsc_send, ck_spsc_receive, 1, 0, 1},
    {"ping_pong_ns", ping, pong, 1, 0, 16},
    {"mpmc_8b_2x2_ns", mpmc_send, mpmc_receive, 2, CIRA_CHANNEL_MPMC, 4},
    {"mpmc_8b_batch32_1x1_ns", batch_send, batch_receive, 1, CIRA_CHANNEL_MPMC,
     1},
    {"ck_mpmc_8b_2x2_ns", ck_mpmc_send, ck_mpmc_receive, 2, 0, 4},
};

typedef struct {
  run_t *run;
  body_fn_t body;
  uint32_t index;
  int cpu;
} thread_t;

static void *thread_main(void *argument) {
  thread_t *t = argument;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(t->cpu, &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
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
  opt.capacity_count = CAPACITY;
  check(cira_channel_create(&opt, &run.there), "create");
  check(cira_channel_create(&opt, &run.back), "create");
  run.ck_buffer = calloc(CAPACITY, sizeof(*run.ck_buffer));
  if (!run.ck_buffer) {
    die("no memory");
  }
  ck_ring_init(&run.ck, CAPACITY);
  (void)pthread_barrier_init(&run.start, NULL, 2 * n);
  for (uint32_t i = 0; i < 2 * n; i++) {
    threads[i] =
        (thread_t){.run = &run,
                   .body = i < n ? measures[m].send : measures[m].receive,
                   .index = i % n,
                   /* one sender and one receiver on each CPU */
                   .cpu = (int)((i % n + i / n) % (uint32_t)cpus)};
    if (pthread_create(&ids[i], NULL, thread_main, &threads[i]) != 0) {
      die("pthread_create");
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
  free(run.ck_buffer);
  return (double)(atomic_load(&run.ended_ns) - atomic_load(&run.begun_ns)) /
         (double)(run.count * n);
}

/* ---- reporting ---------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static void machine_put(json_t *root) {
  struct utsname u;
  char model[200] = "?";
  char line[300];
  FILE *f = fopen("/proc/cpuinfo", "re");
  while (f && fgets(line, sizeof(line), f)) {
    if (sscanf(line, "model name : %199[^\n]", model) == 1) {
      break;
    }
  }
  if (f) {
    (void)fclose(f);
  }
  (void)uname(&u);
  json_object_set_new(root, "cpu", json_string(model));
  json_object_set_new(root, "cpus",
                      json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
  json_object_set_new(root, "kernel", json_string(u.release));
}

typedef struct {
  const char *json_file;
  const char *only;
  uint32_t repeat;
  uint64_t count;
} settings_t;

static void settings_parse(int argc, char **argv, settings_t *s) {
  static const struct option options[] = {
      {"json", required_argument, NULL, 'j'},
      {"repeat", required_argument, NULL, 'r'},
      {"count", required_argument, NULL, 'c'},
      {"only", required_argument, NULL, 'o'},
      {0}};
  uint64_t n;
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
    case 'j':
      s->json_file = optarg;
      break;
    case 'o':
      s->only = optarg;
      break;
    case 'r':
      check(cira__parse_u64(optarg, "--repeat", REPEAT_MAX, &n), "--repeat");
      s->repeat = n ? (uint32_t)n : 1;
      break;
    case 'c':
      check(cira__parse_u64(optarg, "--count", 1u << 30, &s->count), "--count");
      s->count = s->count < 16384 ? 16384 : s->count;
      break;
    default:
      exit(2);
    }
  }
}

int main(int argc, char **argv) {
  static double samples[CIRA_COUNT(measures)][REPEAT_MAX];
  settings_t s = {.repeat = 7, .count = 4u << 20};
  settings_parse(argc, argv, &s);
  int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (cpus < 2) {
    fprintf(stderr, "bench-channel: one CPU only: the figures are those of "
                    "thread switches\n");
  }
  for (uint32_t i = 0; i <= s.repeat; i++) { /* round 0 warms up */
    for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
      if (!s.only || strstr(measures[m].name, s.only)) {
        double ns = measure(m, i == 0 ? s.count / 4 : s.count, cpus);
        samples[m][i == 0 ? 0 : i - 1] = ns;
      }
    }
  }
  json_t *root = json_object();
  json_t *results = json_array();
  machine_put(root);
  json_object_set_new(root, "repeat", json_integer(s.repeat));
  json_object_set_new(root, "count", json_integer((json_int_t)s.count));
  printf("%-26s %10s %10s %10s\n", "what", "median", "least", "most");
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    double *v = samples[m];
    if (s.only && !strstr(measures[m].name, s.only)) {
      continue;
    }
    qsort(v, s.repeat, sizeof(*v), ascending);
    printf("%-26s %10.2f %10.2f %10.2f\n", measures[m].name, v[s.repeat / 2],
           v[0], v[s.repeat - 1]);
    json_array_append_new(results,
                          json_pack("{s:s, s:f, s:f, s:f}", "what",
                                    measures[m].name, "median", v[s.repeat / 2],
                                    "least", v[0], "most", v[s.repeat - 1]));
  }
  json_object_set_new(root, "results", results);
  if (s.json_file && json_dump_file(root, s.json_file, JSON_INDENT(2)) < 0) {
    fprintf(stderr, "bench-channel: cannot write '%s'\n", s.json_file);
    return 1;
  }
  json_decref(root);
  return 0;
}
