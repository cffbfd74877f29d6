/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-call: what a remote call costs. One program (seed.h) with its calls
 * made inline, by a thread that sleeps or spins on one shared slot, and through
 * links: one by one, with many in flight, in batches, from coroutines, to a
 * thread and to a process. The loop is timed apart from filling the arrays;
 * every measure's sum is checked. One repetition of each in turn, medians.
 * Run it under cira-run to have the arrays in far memory.
 *
 *   bench-call [--json FILE] [--repeat N] [--only TEXT] [--idle-ms N]
 *              [--calls N]   fewer, for short repetitions on a busy machine
 */
#include "base/base.h"
#include "cira/call.h"
#include "cira/coro.h"
#include "seed.h"

#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define REPEAT_MAX 101
#define SLOW_CALLS 10000u /* of those that sleep */
#define PREFETCH_AHEAD 32u

static int32_t *a;
static int32_t *b;
static int cpus;
static cira_call_table_t *table;

static _Noreturn void die(const char *what) {
  fprintf(stderr, "bench-call: %s: %s\n", what, cira_status_detail());
  exit(1);
}

static void check(cira_status_t status, const char *what) {
  if (status != CIRA_OK) {
    die(what);
  }
}

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu % cpus, &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
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
    __builtin_prefetch(&a[b[k + 3 + PREFETCH_AHEAD]], 0, 3);
    c += (uint32_t)seed_remote(k, a, b);
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
    die("no thread");
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
  uint32_t remote, remote_array, cpu_time;
} peer_t;

static uint32_t find(cira_call_client_t *client, const char *name) {
  uint32_t function = 0;
  check(cira_call_find(client, name, CIRA_FOREVER, &function), name);
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
  check(process ? cira_call_process(table, &o, &p.client)
                : cira_call_thread(table, &o, &p.client),
        "cannot start the callee");
  check(cira_call_run(p.client, find(p.client, "pin"), &cpu, 4, NULL, 0,
                      CIRA_FOREVER, NULL),
        "pin");
  check(cira_call_many(p.client, find(p.client, "bind"), &bind, &count),
        "bind");
  p.remote = find(p.client, "remote");
  p.remote_array = find(p.client, "remote_array");
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
      check(cira_call_wait(p->client, &call[i], CIRA_FOREVER), "wait");
      c += (uint32_t)result[i];
    }
    if (k < calls) {
      r.args = &k;
      r.result = &result[i];
      check(cira_call_submit(p->client, p->remote, &r, &call[i]), "submit");
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
    check(cira_call_many(p->client, function, &many, &done), "many");
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
    check(cira_call_run(t->p->client, t->p->remote, &k, 4, &result, 4,
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
  check(cira_sched_create(NULL, &sched), "sched");
  for (uint32_t i = 0; i < depth; i++) {
    check(cira_sched_spawn(sched, task_main, &t, CIRA_TASK_F_DETACHED, 0, NULL),
          "spawn");
  }
  check(cira_sched_run(sched), "sched_run");
  check(cira_sched_destroy(sched), "sched_destroy");
  return (int32_t)t.sum;
}

/* ---- measures ----------------------------------------------------------- */

typedef enum { INLINE, PREFETCH, SLEEP, SPIN, RING, MANY, ARRAY, TASKS } how_t;

static const struct measure {
  const char *name;
  how_t how;
  uint32_t size; /* depth or batch */
  bool process;
} measures[] = {
    {"inline", INLINE, 0, false},
    {"inline, prefetch", PREFETCH, 0, false},
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
  case TASKS:
    return run_tasks(p, calls, m->size);
  }
  return 0;
}

/* CPU time of the callee so far. */
static uint64_t callee_time(const peer_t *p) {
  uint64_t ns = 0;
  check(cira_call_run(p->client, p->cpu_time, NULL, 0, &ns, 8, CIRA_FOREVER,
                      NULL),
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

static int ascending(const void *x, const void *y) {
  double d = *(const double *)x - *(const double *)y;
  return d < 0 ? -1 : d > 0;
}

static double median(double *v, uint32_t n) {
  qsort(v, n, sizeof(*v), ascending);
  return v[n / 2];
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
    check(cira_call_run(p.client, p.remote, &k, 4, &result, 4, CIRA_FOREVER,
                        NULL),
          "run");
    wake_ns[i] = (double)(cira__now_ns() - begin);
  }
  cira_call_destroy(p.client);
  double percent = (double)(after - before) / (10000.0 * idle_ms);
  double wake = median(wake_ns, CIRA_COUNT(wake_ns));
  printf("idle callee: %.3f %% of a CPU; a call that wakes it: %.1f us\n",
         percent, wake / 1000);
  return json_pack("{s:f, s:f}", "cpu_percent", percent, "wake_ns", wake);
}

typedef struct {
  const char *json_file;
  const char *only;
  uint32_t repeat;
  uint32_t idle_ms;
  uint32_t calls;
} settings_t;

static void settings_parse(int argc, char **argv, settings_t *s) {
  static const struct option options[] = {
      {"json", required_argument, NULL, 'j'},
      {"repeat", required_argument, NULL, 'r'},
      {"only", required_argument, NULL, 'o'},
      {"idle-ms", required_argument, NULL, 'i'},
      {"calls", required_argument, NULL, 'c'},
      {0}};
  uint64_t n = 0;
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
    case 'i':
      check(cira__parse_u64(optarg, "--idle-ms", 100000, &n), "--idle-ms");
      s->idle_ms = n ? (uint32_t)n : 1;
      break;
    case 'c':
      check(cira__parse_u64(optarg, "--calls", SEED_CALLS(SEED_M), &n),
            "--calls");
      s->calls = n < 1000 ? 1000 : (uint32_t)n;
      break;
    default:
      exit(2);
    }
  }
}

static void arrays_make(void) {
  /* malloc, so that cira-run can put them into far memory; what follows the
   * arrays is read by the prefetching loop only */
  a = malloc(4ull * SEED_N);
  b = malloc(4ull * SEED_N);
  if (!a || !b) {
    die("no memory for the arrays");
  }
  seed_fill(a, b, SEED_N);
  check(cira_call_table_create(&table), "table");
  check(cira_call_table_load(table, BENCH_REMOTE), "load");
  check(cira_call_table_window(table, 0, a, 4ull * SEED_N), "window");
  check(cira_call_table_window(table, 1, b, 4ull * SEED_N), "window");
}

int main(int argc, char **argv) {
  static double samples[CIRA_COUNT(measures)][REPEAT_MAX];
  static double cpu[CIRA_COUNT(measures)][REPEAT_MAX];
  static double callee[CIRA_COUNT(measures)][REPEAT_MAX];
  settings_t s = {.repeat = 5, .idle_ms = 2000, .calls = SEED_CALLS(SEED_M)};
  settings_parse(argc, argv, &s);
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
  pin(0);
  uint64_t begin = cira__now_ns();
  arrays_make();
  double fill_s = 1e-9 * (double)(cira__now_ns() - begin);
  printf("fill %.2f s\n", fill_s);
  for (uint32_t r = 0; r < s.repeat; r++) {
    for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
      if (!s.only || strstr(measures[m].name, s.only)) {
        samples[m][r] =
            measure(&measures[m], s.calls, &cpu[m][r], &callee[m][r]);
      }
    }
  }
  json_t *root = json_pack("{s:f, s:i, s:i}", "fill_s", fill_s, "repeat",
                           (int)s.repeat, "cpus", cpus);
  json_t *results = json_array();
  double local_s = 0;
  printf("%-26s %10s %10s %10s %10s %10s %12s\n", "ns a call", "median",
         "least", "most", "callee CPU", "CPU s", "program");
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    if (s.only && !strstr(measures[m].name, s.only)) {
      continue;
    }
    double ns = median(samples[m], s.repeat);
    double cpu_s = median(cpu[m], s.repeat);
    double callee_ns = median(callee[m], s.repeat);
    double whole_s = fill_s + 1e-9 * ns * SEED_CALLS(SEED_M);
    local_s = m == 0 ? whole_s : local_s;
    printf("%-26s %10.1f %10.1f %10.1f %10.1f %10.3f", measures[m].name, ns,
           samples[m][0], samples[m][s.repeat - 1], callee_ns, cpu_s);
    if (local_s > 0) {
      printf(" %10.2f x", whole_s / local_s);
    }
    printf("\n");
    json_array_append_new(results,
                          json_pack("{s:s, s:f, s:f, s:f, s:f, s:f}", "what",
                                    measures[m].name, "median", ns, "least",
                                    samples[m][0], "most",
                                    samples[m][s.repeat - 1], "cpu_s", cpu_s));
  }
  json_object_set_new(root, "results", results);
  if (!s.only || strstr("idle", s.only)) {
    json_object_set_new(root, "idle", measure_idle(s.idle_ms));
  }
  cira_call_table_destroy(table);
  if (s.json_file && json_dump_file(root, s.json_file, JSON_INDENT(2)) < 0) {
    fprintf(stderr, "bench-call: cannot write '%s'\n", s.json_file);
    return 1;
  }
  json_decref(root);
  return 0;
}
