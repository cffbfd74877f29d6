/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-call: what a remote call costs. One program (seed.h) with its calls
 * made inline, by a thread that sleeps or spins on one shared slot, and through
 * links: one by one, with many in flight, in batches, from coroutines, to a
 * thread and to a process. The loop is timed apart from filling the arrays;
 * every measure's sum is checked. One repetition of each in turn, medians.
 * Run it under cira-run to have the arrays in far memory.
 *
 *   bench-call [--json FILE] [--repeat N] [--only TEXT,...] [--idle-ms N]
 *              [--calls N]   fewer, for short repetitions on a busy machine
 */
#include "bench.h"
#include "cira/call.h"
#include "cira/coro.h"
#include "seed.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLOW_CALLS 10000u /* of those that sleep */

static int32_t *a;
static int32_t *b;
static int cpus;
static cira_call_table_t *table;

static void pin(int cpu) {
  bench_pin(cpu % cpus);
}

/* ---- without links ------------------------------------------------------ */

__attribute__((noinline)) static int32_t run_inline(uint32_t calls) {
  uint32_t c = 0;
  for (uint32_t k = 0; k < calls; k++) {
    c += (uint32_t)seed_remote(k, a, b);
  }
  return (int32_t)c;
}

/* As a compiler with prefetch would write it: the next line that a window
 * needs is asked for some calls ahead. */
__attribute__((noinline)) static int32_t run_prefetch(uint32_t calls) {
  uint32_t c = 0;
  for (uint32_t k = 0; k < calls; k++) {
    __builtin_prefetch(&a[b[k + 3 + SEED_AHEAD]], 0, 3);
    c += (uint32_t)seed_remote(k, a, b);
  }
  return (int32_t)c;
}

/* What remote_array does, without a link: windows come as numbers in an array,
 * and the compiler cannot know that they overlap. */
__attribute__((noinline)) static void
local_array(const uint32_t *k, int32_t *result, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    result[i] = seed_remote(k[i], a, b);
  }
}

static int32_t run_local(uint32_t calls, uint32_t batch) {
  static uint32_t k[1024];
  static int32_t result[1024];
  uint32_t c = 0;
  for (uint32_t begin = 0; begin < calls; begin += batch) {
    uint32_t n = calls - begin < batch ? calls - begin : batch;
    for (uint32_t i = 0; i < n; i++) {
      k[i] = begin + i;
    }
    local_array(k, result, n);
    for (uint32_t i = 0; i < n; i++) {
      c += (uint32_t)result[i];
    }
  }
  return (int32_t)c;
}

typedef struct {
  _Alignas(128) _Atomic uint32_t valid; /* 0 free, 1 asked, 2 answered, 3 end */
  uint32_t k;
  int32_t result;
  bool sleeps;
} slot_t;

static void slot_pause(const slot_t *s) {
  if (s->sleeps) {
    (void)usleep(1);
  }
}

static void *slot_main(void *argument) {
  slot_t *s = argument;
  pin(1);
  for (;;) {
    uint32_t valid = atomic_load_explicit(&s->valid, memory_order_acquire);
    if (valid == 1) {
      s->result = seed_remote(s->k, a, b);
      atomic_store_explicit(&s->valid, 2, memory_order_release);
    } else if (valid == 3) {
      return NULL;
    } else {
      slot_pause(s);
    }
  }
}

/* One shared slot, both sides poll it, one call in flight. */
static int32_t run_slot(uint32_t calls, bool sleeps) {
  slot_t s = {.sleeps = sleeps};
  pthread_t thread;
  uint32_t c = 0;
  if (pthread_create(&thread, NULL, slot_main, &s)) {
    bench_die("no thread");
  }
  for (uint32_t k = 0; k < calls; k++) {
    s.k = k;
    atomic_store_explicit(&s.valid, 1, memory_order_release);
    while (atomic_load_explicit(&s.valid, memory_order_acquire) != 2) {
      slot_pause(&s);
    }
    c += (uint32_t)s.result;
  }
  atomic_store_explicit(&s.valid, 3, memory_order_release);
  (void)pthread_join(thread, NULL);
  return (int32_t)c;
}

/* ---- with links --------------------------------------------------------- */

typedef struct {
  cira_call_client_t *client;
  uint32_t remote, remote_array, remote_array_ahead, cpu_time;
} peer_t;

static uint32_t find(cira_call_client_t *client, const char *name) {
  uint32_t function = 0;
  bench_check(cira_call_find(client, name, CIRA_FOREVER, &function), name);
  return function;
}

static peer_t peer_start(bool process) {
  peer_t p;
  cira_call_options_t o = cira_call_options_default();
  o.args_max = o.result_max = 8; /* three calls to a cache line */
  cira_call_far_t far[2] = {{.window = 0, .bytes = 4ull * SEED_N},
                            {.window = 1, .bytes = 4ull * SEED_N}};
  cira_call_many_t bind = {.args = far, .args_bytes = sizeof(far), .count = 1};
  uint32_t cpu = (uint32_t)(1 % cpus);
  uint64_t count;
  bench_check(process ? cira_call_process(table, &o, &p.client)
                      : cira_call_thread(table, &o, &p.client),
              "cannot start the callee");
  bench_check(cira_call_run(p.client, find(p.client, "pin"), &cpu, 4, NULL, 0,
                            CIRA_FOREVER, NULL),
              "pin");
  bench_check(cira_call_many(p.client, find(p.client, "bind"), &bind, &count),
              "bind");
  p.remote = find(p.client, "remote");
  p.remote_array = find(p.client, "remote_array");
  p.remote_array_ahead = find(p.client, "remote_array_ahead");
  p.cpu_time = find(p.client, "cpu_time");
  return p;
}

/* `depth` calls in flight, each with a doorbell of its own. */
static int32_t run_ring(const peer_t *p, uint32_t calls, uint32_t depth) {
  static cira_call_t call[CIRA_CALL_DEPTH_MAX];
  static int32_t result[CIRA_CALL_DEPTH_MAX];
  uint32_t c = 0;
  cira_call_request_t r = {.args_bytes = 4, .result_max = 4};
  for (uint32_t k = 0; k < calls + depth; k++) {
    uint32_t i = k % depth;
    if (k >= depth) {
      bench_check(cira_call_wait(p->client, &call[i], CIRA_FOREVER), "wait");
      c += (uint32_t)result[i];
    }
    if (k < calls) {
      r.args = &k;
      r.result = &result[i];
      bench_check(cira_call_submit(p->client, p->remote, &r, &call[i]),
                  "submit");
    }
  }
  return (int32_t)c;
}

static int32_t run_many(const peer_t *p, uint32_t function, uint32_t calls,
                        uint32_t batch) {
  static uint32_t k[16384];
  static int32_t result[16384];
  uint32_t c = 0;
  for (uint32_t begin = 0; begin < calls; begin += CIRA_COUNT(k)) {
    uint32_t n = calls - begin < CIRA_COUNT(k) ? calls - begin : CIRA_COUNT(k);
    uint64_t done;
    for (uint32_t i = 0; i < n; i++) {
      k[i] = begin + i;
    }
    cira_call_many_t many = {.args = k,
                             .results = result,
                             .count = n,
                             .args_bytes = 4,
                             .result_bytes = 4,
                             .batch = batch};
    bench_check(cira_call_many(p->client, function, &many, &done), "many");
    for (uint32_t i = 0; i < n; i++) {
      c += (uint32_t)result[i];
    }
  }
  return (int32_t)c;
}

typedef struct {
  const peer_t *p;
  uint32_t next, calls, sum;
} tasks_t;

static int64_t task_main(void *argument) {
  tasks_t *t = argument;
  while (t->next < t->calls) {
    uint32_t k = t->next++;
    int32_t result;
    bench_check(cira_call_run(t->p->client, t->p->remote, &k, 4, &result, 4,
                              CIRA_FOREVER, NULL),
                "run");
    t->sum += (uint32_t)result;
  }
  return 0;
}

/* `depth` coroutines, each waits for its call. */
static int32_t run_tasks(const peer_t *p, uint32_t calls, uint32_t depth) {
  cira_sched_t *sched;
  tasks_t t = {.p = p, .calls = calls};
  bench_check(cira_sched_create(NULL, &sched), "sched");
  for (uint32_t i = 0; i < depth; i++) {
    bench_check(
        cira_sched_spawn(sched, task_main, &t, CIRA_TASK_F_DETACHED, 0, NULL),
        "spawn");
  }
  bench_check(cira_sched_run(sched), "sched_run");
  bench_check(cira_sched_destroy(sched), "sched_destroy");
  return (int32_t)t.sum;
}

/* ---- measures ----------------------------------------------------------- */

typedef enum {
  INLINE,
  PREFETCH,
  LOCAL,
  SLEEP,
  SPIN,
  RING, /* this one and those below have a link */
  MANY,
  ARRAY,
  AHEAD,
  TASKS,
} how_t;

static const struct measure {
  const char *name;
  how_t how;
  uint32_t size; /* depth or batch */
  bool process;
} measures[] = {
    {"inline", INLINE, 0, false},
    {"inline, prefetch", PREFETCH, 0, false},
    {"inline, arrays of 128", LOCAL, 128, false},
    {"inline, arrays of 1024", LOCAL, 1024, false},
    {"usleep(1), one slot", SLEEP, 0, false},
    {"spinning, one slot", SPIN, 0, false},
    {"ring, depth 1", RING, 1, false},
    {"ring, depth 4", RING, 4, false},
    {"ring, depth 16", RING, 16, false},
    {"ring, depth 64", RING, 64, false},
    {"ring, depth 256", RING, 256, false},
    {"batches of 1", MANY, 1, false},
    {"batches of 8", MANY, 8, false},
    {"batches of 32", MANY, 32, false},
    {"batches of 128", MANY, 128, false},
    {"batches of 1024", MANY, 1024, false},
    {"arrays of 128", ARRAY, 128, false},
    {"arrays of 1024", ARRAY, 1024, false},
    {"arrays of 128, prefetch", AHEAD, 128, false},
    {"arrays of 1024, prefetch", AHEAD, 1024, false},
    {"coroutines, depth 16", TASKS, 16, false},
    {"coroutines, depth 256", TASKS, 256, false},
    {"process, ring, depth 1", RING, 1, true},
    {"process, ring, depth 256", RING, 256, true},
    {"process, batches of 1024", MANY, 1024, true},
    {"process, arrays of 1024", ARRAY, 1024, true},
};

static double cpu_seconds(void) {
  struct rusage r;
  (void)getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static int32_t run(const struct measure *m, const peer_t *p, uint32_t calls) {
  switch (m->how) {
  case INLINE:
    return run_inline(calls);
  case PREFETCH:
    return run_prefetch(calls);
  case LOCAL:
    return run_local(calls, m->size);
  case SLEEP:
    return run_slot(calls, true);
  case SPIN:
    return run_slot(calls, false);
  case RING:
    return run_ring(p, calls, m->size);
  case MANY:
    return run_many(p, p->remote, calls, m->size);
  case ARRAY:
    return run_many(p, p->remote_array, calls, m->size);
  case AHEAD:
    return run_many(p, p->remote_array_ahead, calls, m->size);
  case TASKS:
    return run_tasks(p, calls, m->size);
  }
  return 0;
}

/* CPU time of the callee so far. */
static uint64_t callee_time(const peer_t *p) {
  uint64_t ns = 0;
  bench_check(cira_call_run(p->client, p->cpu_time, NULL, 0, &ns, 8,
                            CIRA_FOREVER, NULL),
              "cpu_time");
  return ns;
}

static void sum_check(const struct measure *m, int32_t sum, int32_t expect) {
  if (sum != expect) {
    fprintf(stderr, "bench-call: %s: sum %d, not %d\n", m->name, sum, expect);
    exit(1);
  }
}

/* Nanoseconds a call; checks the sum. */
static double measure(const struct measure *m, uint32_t calls,
                      double *out_cpu_s, double *out_callee_ns) {
  calls = m->how == SLEEP && calls > SLOW_CALLS ? SLOW_CALLS : calls;
  bool linked = m->how >= RING;
  peer_t p = {0};
  if (linked) {
    p = peer_start(m->process);
    if (calls == SEED_CALLS(SEED_M)) { /* the other known sum, and warm-up */
      sum_check(m, run(m, &p, SEED_CALLS(SEED_M_SHORT)), SEED_SUM_SHORT);
    } else {
      (void)run(m, &p, 500);
    }
  }
  int32_t expect = calls == SEED_CALLS(SEED_M) ? SEED_SUM : run_inline(calls);
  uint64_t callee_ns = linked ? callee_time(&p) : 0;
  double cpu_s = cpu_seconds();
  uint64_t begin = cira__now_ns();
  int32_t sum = run(m, &p, calls);
  uint64_t took = cira__now_ns() - begin;
  *out_cpu_s = cpu_seconds() - cpu_s;
  sum_check(m, sum, expect);
  callee_ns = linked ? callee_time(&p) - callee_ns : 0;
  *out_callee_ns = (double)callee_ns / calls;
  cira_call_destroy(p.client);
  return (double)took / calls;
}

/* What an idle callee burns, and how long a call to it takes. */
static json_t *measure_idle(uint32_t idle_ms) {
  double wake_ns[21];
  uint32_t k = 0;
  int32_t result;
  peer_t p = peer_start(false);
  uint64_t before = callee_time(&p);
  (void)usleep(idle_ms * 1000);
  uint64_t after = callee_time(&p);
  for (uint32_t i = 0; i < CIRA_COUNT(wake_ns); i++) {
    (void)usleep(5000);
    uint64_t begin = cira__now_ns();
    bench_check(cira_call_run(p.client, p.remote, &k, 4, &result, 4,
                              CIRA_FOREVER, NULL),
                "run");
    wake_ns[i] = (double)(cira__now_ns() - begin);
  }
  cira_call_destroy(p.client);
  double percent = (double)(after - before) / (10000.0 * idle_ms);
  double wake = bench_median(wake_ns, CIRA_COUNT(wake_ns));
  printf("idle callee: %.3f %% of a CPU; a call that wakes it: %.1f us\n",
         percent, wake / 1000);
  return json_pack("{s:f, s:f}", "cpu_percent", percent, "wake_ns", wake);
}

static void arrays_make(void) {
  /* malloc, so that cira-run can put them into far memory; what follows the
   * arrays is read by the prefetching loop only */
  a = malloc(4ull * SEED_N);
  b = malloc(4ull * SEED_N);
  if (!a || !b) {
    bench_die("no memory for the arrays");
  }
  seed_fill(a, b, SEED_N);
  bench_check(cira_call_table_create(&table), "table");
  bench_check(cira_call_table_load(table, BENCH_REMOTE), "load");
  bench_check(cira_call_table_window(table, 0, a, 4ull * SEED_N), "window");
  bench_check(cira_call_table_window(table, 1, b, 4ull * SEED_N), "window");
}

static void header_print(void) {
  printf("%-26s %10s %10s %10s %10s %10s %12s\n", "ns a call", "median",
         "least", "most", "callee CPU", "CPU s", "program");
}

typedef struct {
  double ns[BENCH_REPEAT_MAX];
  double cpu_s[BENCH_REPEAT_MAX];
  double callee_ns[BENCH_REPEAT_MAX];
} samples_t;

/* Whole programs are compared with the first measure, the inline loop. */
static void report(const struct measure *m, samples_t *v, uint32_t repeat,
                   double fill_s, double *local_s) {
  double ns = bench_median(v->ns, repeat);
  double cpu_s = bench_median(v->cpu_s, repeat);
  double callee_ns = bench_median(v->callee_ns, repeat);
  double whole_s = fill_s + 1e-9 * ns * SEED_CALLS(SEED_M);
  *local_s = m == measures ? whole_s : *local_s;
  printf("%-26s %10.1f %10.1f %10.1f %10.1f %10.3f", m->name, ns, v->ns[0],
         v->ns[repeat - 1], callee_ns, cpu_s);
  if (*local_s > 0) {
    printf(" %10.2f x", whole_s / *local_s);
  }
  printf("\n");
  bench_result(json_pack("{s:s, s:f, s:f, s:f, s:f, s:f}", "what", m->name,
                         "median", ns, "least", v->ns[0], "most",
                         v->ns[repeat - 1], "cpu_s", cpu_s, "callee_ns",
                         callee_ns));
}

int main(int argc, char **argv) {
  static samples_t samples[CIRA_COUNT(measures)];
  bench_settings_t s = {.program = "bench-call",
                        .about = "What a remote call costs, in nanoseconds, "
                                 "beside the same calls inline and by\n"
                                 "threads that share a slot.",
                        .repeat = 5};
  uint64_t idle_ms = 2000;
  uint64_t calls = SEED_CALLS(SEED_M);
  const bench_option_t more[] = {
      {"idle-ms", &idle_ms, 1, 100000, "milliseconds of the idle measures"},
      {"calls", &calls, 1000, SEED_CALLS(SEED_M), "calls of a repetition"},
  };
  bench_begin(argc, argv, &s, more, CIRA_COUNT(more));
  cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
  pin(0);
  uint64_t begin = cira__now_ns();
  arrays_make();
  double fill_s = 1e-9 * (double)(cira__now_ns() - begin);
  double local_s = 0;
  printf("fill %.2f s\n", fill_s);
  json_object_set_new(bench_root(), "fill_s", json_real(fill_s));
  for (uint32_t r = 0; r < s.repeat; r++) {
    for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
      if (bench_wants(measures[m].name)) {
        samples_t *v = &samples[m];
        v->ns[r] = measure(&measures[m], (uint32_t)calls, &v->cpu_s[r],
                           &v->callee_ns[r]);
      }
    }
  }
  header_print();
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    if (bench_wants(measures[m].name)) {
      report(&measures[m], &samples[m], s.repeat, fill_s, &local_s);
    }
  }
  if (bench_wants("idle")) {
    json_object_set_new(bench_root(), "idle", measure_idle((uint32_t)idle_ms));
  }
  cira_call_table_destroy(table);
  bench_end();
  return 0;
}
