/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-coroutine: what switching costs. Resume and yield, creation and end,
 * beside Boost.Context (fcontext) and ucontext; tasks that yield, join and pass
 * messages; and how long and how much memory a million live tasks take.
 * Measurements are interleaved, one repetition of each in turn; what is
 * reported is the median, with the least and the most.
 *
 *   bench-coroutine [--json FILE] [--repeat N] [--count N] [--million N]
 *                   [--only TEXT]
 */
#include "bench.h"
#include "cira/channel.h"
#include "cira/coro.h"

#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES (64u << 10) /* 64 KiB */

/* ---- resume and yield --------------------------------------------------- */

static void yields(void *argument) {
  volatile uint64_t *steps = argument;
  for (;;) {
    *steps = *steps + 1;
    cira_coro_yield();
  }
}

static double measure_pair(uint64_t count) {
  static cira_coro_pool_t *pool;
  cira_coro_t *co;
  volatile uint64_t steps = 0;
  if (!pool) {
    bench_check(cira_coro_pool_create(NULL, &pool), "pool");
  }
  bench_check(cira_coro_create(pool, yields, (void *)&steps, &co), "create");
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < count; i++) {
    (void)!cira_coro_resume(co);
  }
  uint64_t took = cira__now_ns() - start;
  if (steps != count) {
    bench_die("a yield was lost");
  }
  bench_check(cira_coro_destroy(co), "destroy");
  return (double)took / (double)count;
}

/* The C interface of Boost.Context's assembly, as in its fcontext.hpp. */
typedef struct {
  void *context, *data;
} transfer_t;
extern transfer_t jump_fcontext(void *to, void *data);
extern void *make_fcontext(void *top, size_t bytes, void (*fn)(transfer_t));

static void boost_yields(transfer_t from) {
  volatile uint64_t *steps = from.data;
  for (;;) {
    *steps = *steps + 1;
    from = jump_fcontext(from.context, NULL);
  }
}

static double measure_boost_pair(uint64_t count) {
  static uint8_t stack[STACK_BYTES] __attribute__((aligned(64)));
  volatile uint64_t steps = 0;
  void *context =
      make_fcontext(stack + sizeof(stack), sizeof(stack), boost_yields);
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < count; i++) {
    context = jump_fcontext(context, (void *)&steps).context;
  }
  uint64_t took = cira__now_ns() - start;
  if (steps != count) {
    bench_die("a jump was lost");
  }
  return (double)took / (double)count;
}

static ucontext_t uc_main;
static ucontext_t uc_coro;
static volatile uint64_t uc_steps;

static void uc_yields(void) {
  for (;;) {
    uc_steps = uc_steps + 1;
    (void)swapcontext(&uc_coro, &uc_main);
  }
}

static double measure_ucontext_pair(uint64_t count) {
  static uint8_t stack[STACK_BYTES] __attribute__((aligned(64)));
  count /= 16;
  uc_steps = 0;
  (void)getcontext(&uc_coro);
  uc_coro.uc_stack.ss_sp = stack;
  uc_coro.uc_stack.ss_size = sizeof(stack);
  makecontext(&uc_coro, uc_yields, 0);
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < count; i++) {
    (void)swapcontext(&uc_main, &uc_coro);
  }
  uint64_t took = cira__now_ns() - start;
  if (uc_steps != count) {
    bench_die("a swap was lost");
  }
  return (double)took / (double)count;
}

/* ---- creation ----------------------------------------------------------- */

static void nothing(void *argument) {
  (void)argument;
}

static double create(uint64_t count, bool run) {
  static cira_coro_pool_t *pool;
  if (!pool) {
    bench_check(cira_coro_pool_create(NULL, &pool), "pool");
  }
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < count; i++) {
    cira_coro_t *co;
    bench_check(cira_coro_create(pool, nothing, NULL, &co), "create");
    if (run) {
      bench_check(cira_coro_resume(co), "resume");
    }
    bench_check(cira_coro_destroy(co), "destroy");
  }
  return (double)(cira__now_ns() - start) / (double)count;
}

static double measure_create(uint64_t count) {
  return create(count, false);
}

static double measure_create_run(uint64_t count) {
  return create(count, true);
}

/* ---- tasks -------------------------------------------------------------- */

typedef struct {
  cira_sched_t *s;
  uint64_t count;
  cira_channel_t *there, *back;
} work_t;

static int64_t task_yields(void *argument) {
  for (uint64_t i = 0; i < ((work_t *)argument)->count; i++) {
    cira_coro_yield();
  }
  return 0;
}

static int64_t task_nothing(void *argument) {
  (void)argument;
  return 1;
}

static int64_t task_joins(void *argument) {
  work_t *w = argument;
  for (uint64_t i = 0; i < w->count; i++) {
    cira_task_t t;
    bench_check(cira_sched_spawn(w->s, task_nothing, NULL, 0, 0, &t), "spawn");
    bench_check(cira_task_join(t, CIRA_FOREVER, NULL), "join");
  }
  return 0;
}

static int64_t task_pings(void *argument) {
  work_t *w = argument;
  for (uint64_t i = 0; i < w->count; i++) {
    uint64_t got;
    bench_check(cira_channel_send(w->there, &i, CIRA_FOREVER), "send");
    bench_check(cira_channel_receive(w->back, &got, CIRA_FOREVER), "receive");
    if (got != i) {
      bench_die("another message");
    }
  }
  return 0;
}

static int64_t task_pongs(void *argument) {
  work_t *w = argument;
  for (uint64_t i = 0; i < w->count; i++) {
    uint64_t got;
    bench_check(cira_channel_receive(w->there, &got, CIRA_FOREVER), "receive");
    bench_check(cira_channel_send(w->back, &got, CIRA_FOREVER), "send");
  }
  return 0;
}

static double tasks(uint64_t count, cira_task_fn_t a, cira_task_fn_t b,
                    uint64_t per) {
  work_t w = {.count = count};
  cira_channel_options_t fenced = cira_channel_options_default();
  fenced.flags = CIRA_CHANNEL_F_FENCED; /* they wait nearly every time */
  bench_check(cira_sched_create(NULL, &w.s), "scheduler");
  bench_check(cira_channel_create(&fenced, &w.there), "channel");
  bench_check(cira_channel_create(&fenced, &w.back), "channel");
  bench_check(cira_sched_spawn(w.s, a, &w, CIRA_TASK_F_DETACHED, 0, NULL),
              "spawn");
  if (b) {
    bench_check(cira_sched_spawn(w.s, b, &w, CIRA_TASK_F_DETACHED, 0, NULL),
                "spawn");
  }
  uint64_t start = cira__now_ns();
  bench_check(cira_sched_run(w.s), "run");
  uint64_t took = cira__now_ns() - start;
  bench_check(cira_sched_destroy(w.s), "destroy");
  cira_channel_destroy(w.there);
  cira_channel_destroy(w.back);
  return (double)took / (double)(count * per);
}

static double measure_task_yield(uint64_t count) {
  return tasks(count / 4, task_yields, task_yields, 2);
}

static double measure_task_join(uint64_t count) {
  return tasks(count / 8, task_joins, NULL, 1);
}

static double measure_task_ping(uint64_t count) {
  return tasks(count / 16, task_pings, task_pongs, 1);
}

static const struct {
  const char *name;
  double (*fn)(uint64_t count);
} measures[] = {
    {"resume_yield_pair_ns", measure_pair},
    {"boost_fcontext_pair_ns", measure_boost_pair},
    {"ucontext_pair_ns", measure_ucontext_pair},
    {"create_destroy_ns", measure_create},
    {"create_run_destroy_ns", measure_create_run},
    {"task_yield_ns", measure_task_yield},
    {"task_spawn_join_ns", measure_task_join},
    {"task_ping_pong_ns", measure_task_ping},
};

/* ---- a million ---------------------------------------------------------- */

static int64_t waits(void *argument) {
  return cira_waitable_wait(argument, CIRA_FOREVER);
}

static int64_t wakes(void *argument) {
  return cira_waitable_set(argument);
}

/* Field of /proc/self/status in bytes. */
static uint64_t memory_of(const char *field) {
  char line[200];
  unsigned long long kib = 0;
  FILE *f = fopen("/proc/self/status", "re");
  while (f && fgets(line, sizeof(line), f)) {
    if (strncmp(line, field, strlen(field)) == 0) {
      (void)sscanf(line + strlen(field), ": %llu", &kib);
    }
  }
  if (f) {
    (void)fclose(f);
  }
  return kib << 10;
}

static void million(uint64_t count) {
  cira_sched_t *s;
  cira_waitable_t gate = {0};
  bench_check(cira_sched_create(NULL, &s), "scheduler");
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < count; i++) {
    bench_check(
        cira_sched_spawn(s, waits, &gate, CIRA_TASK_F_DETACHED, 0, NULL),
        "spawn");
  }
  /* last in the queue: all others wait by then */
  bench_check(cira_sched_spawn(s, wakes, &gate, CIRA_TASK_F_DETACHED, 0, NULL),
              "spawn");
  bench_check(cira_sched_run(s), "run");
  double took = (double)(cira__now_ns() - start) / 1e9;
  uint64_t resident = memory_of("VmHWM");
  uint64_t tables = memory_of("VmPTE");
  if (cira_sched_stats(s).live != 0) {
    bench_die("not all have ended");
  }
  bench_check(cira_sched_destroy(s), "destroy");
  printf("%llu live tasks: %.2f s, %.2f GiB resident, %.2f GiB page tables\n",
         (unsigned long long)count, took, (double)resident / (1u << 30),
         (double)tables / (1u << 30));
  json_object_set_new(bench_root(), "live",
                      json_pack("{s:I, s:f, s:I, s:I}", "tasks",
                                (json_int_t)count, "seconds", took,
                                "resident_bytes", (json_int_t)resident,
                                "page_table_bytes", (json_int_t)tables));
}

int main(int argc, char **argv) {
  static double samples[CIRA_COUNT(measures)][BENCH_REPEAT_MAX];
  bench_settings_t s = {.program = "bench-coroutine",
                        .about = "What switching costs, in nanoseconds, beside "
                                 "Boost.Context and ucontext; and\n"
                                 "what a million live tasks take.",
                        .counts = "switches of a repetition",
                        .repeat = 7,
                        .count = 4u << 20,
                        .count_least = 1024};
  uint64_t live = 1000000;
  const bench_option_t more[] = {
      {"million", &live, 0, 1u << 26, "tasks alive at once"}};
  bench_begin(argc, argv, &s, more, CIRA_COUNT(more));
  bench_pin(0);
  for (uint32_t i = 0; i <= s.repeat; i++) { /* round 0 warms up */
    for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
      if (bench_wants(measures[m].name)) {
        double ns = measures[m].fn(i == 0 ? s.count / 4 : s.count);
        samples[m][i == 0 ? 0 : i - 1] = ns;
      }
    }
  }
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    if (bench_wants(measures[m].name)) {
      bench_row(NULL, measures[m].name, samples[m], s.repeat);
    }
  }
  if (live && !s.only) {
    million(live);
  }
  bench_end();
  return 0;
}
