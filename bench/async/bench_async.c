/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-async: what cira/async.h costs on top of the fabric under it. One load
 * and its await beside one read of the fabric, and 64 coroutines that load
 * beside 64 reads outstanding, over shm: and tcp:, with the same sizes at the
 * same random offsets: the begin of a page, or any line (deep64_line). The
 * first lines of all pages fit a cache of 2 MiB, any lines do not. Starts its
 * own polling cira-memd on another CPU where there is one. Each pair is
 * interleaved; what is reported is the median of each and of their ratios.
 *
 *   bench-async [--json FILE] [--repeat N] [--count N] [--memd PATH]
 *               [--only TEXT]   such as "shm deep"
 */
#include "bench.h"
#include "cira/async.h"
#include "cira/coro.h"
#include "cira/far.h"
#include "fabric/fabric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGION_BYTES (128ull << 20) /* 128 MiB: past the last-level cache */
#define DEPTH 64
#define LOCAL_BYTES (4u << 20)

typedef struct {
  const char *scheme;
  const char *url;
  cira_fabric_t *fabric;
  cira_region_t region;
  uint8_t *far;
} place_t;

typedef struct {
  place_t *place;
  uint64_t count, seed;
  uint32_t bytes;
  uint64_t step;   /* offsets are multiples of it */
  uint8_t *buffer; /* DEPTH pages */
} run_t;

static uint64_t next_offset(uint64_t *seed, uint64_t step) {
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  uint64_t random = *seed * 2685821657736338717ull;
  return random % REGION_BYTES & ~(step - 1);
}

/* ---- one at a time: where the next one is depends on what came ----------- */

static double raw_one(run_t *run) {
  cira_fabric_t *f = run->place->fabric;
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < run->count; i++) {
    cira_fabric_op_t op;
    bench_check(f->ops->post_read(f, run->place->region,
                                  next_offset(&run->seed, run->step),
                                  run->buffer, run->bytes, 0, &op),
                "read");
    bench_check(cira_fabric_wait(f, &op), "read");
    run->seed += *run->buffer;
  }
  return (double)(cira__now_ns() - start) / (double)run->count;
}

static double async_one(run_t *run) {
  cira_async_t a = {0};
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < run->count; i++) {
    bench_check(cira_async_load(
                    &a, run->place->far + next_offset(&run->seed, run->step),
                    run->buffer, run->bytes),
                "load");
    bench_check(cira_async_await(&a, CIRA_FOREVER, NULL), "await");
    run->seed += *run->buffer;
  }
  return (double)(cira__now_ns() - start) / (double)run->count;
}

/* ---- 64 at a time -------------------------------------------------------- */

static double raw_deep(run_t *run) {
  cira_fabric_t *f = run->place->fabric;
  cira_fabric_op_t op[DEPTH];
  uint64_t posted = 0, done = 0, start = cira__now_ns();
  for (uint32_t i = 0; i < DEPTH; i++) {
    op[i].status = CIRA_OK;
  }
  while (done < run->count) {
    for (uint32_t i = 0; i < DEPTH; i++) {
      if (op[i].status == CIRA_PENDING) {
        continue;
      }
      bench_check(op[i].status, "read");
      done += posted >= DEPTH;
      bench_check(f->ops->post_read(
                      f, run->place->region, next_offset(&run->seed, run->step),
                      run->buffer + i * 4096, run->bytes, 0, &op[i]),
                  "read");
      posted++;
    }
    bench_check(f->ops->poll(f), "poll");
  }
  uint64_t took = cira__now_ns() - start;
  for (uint32_t i = 0; i < DEPTH; i++) {
    bench_check(cira_fabric_wait(f, &op[i]), "read");
  }
  return (double)took / (double)run->count;
}

typedef struct {
  run_t *run;
  uint8_t *buffer;
  uint64_t seed, count;
} task_t;

static int64_t task_run(void *argument) {
  task_t *t = argument;
  cira_async_t a = {0};
  for (uint64_t i = 0; i < t->count; i++) {
    bench_check(cira_async_load(&a,
                                t->run->place->far +
                                    next_offset(&t->seed, t->run->step),
                                t->buffer, t->run->bytes),
                "load");
    bench_check(cira_async_await(&a, CIRA_FOREVER, NULL), "await");
  }
  return 0;
}

static double async_deep(run_t *run) {
  static cira_sched_t *sched;
  task_t task[DEPTH];
  if (sched == NULL) {
    bench_check(cira_sched_create(NULL, &sched), "scheduler");
  }
  for (uint32_t i = 0; i < DEPTH; i++) {
    task[i] = (task_t){.run = run,
                       .buffer = run->buffer + i * 4096,
                       .seed = run->seed + i * 7919,
                       .count = run->count / DEPTH};
    bench_check(cira_sched_spawn(sched, task_run, &task[i],
                                 CIRA_TASK_F_DETACHED, 0, NULL),
                "spawn");
  }
  uint64_t start = cira__now_ns();
  bench_check(cira_sched_run(sched), "run");
  return (double)(cira__now_ns() - start) /
         (double)(run->count / DEPTH * DEPTH);
}

static const struct {
  const char *name;
  double (*raw)(run_t *run);
  double (*async)(run_t *run);
  uint32_t bytes, step;
} measures[] = {
    {"one_64b_ns", raw_one, async_one, 64, 4096},
    {"one_4k_ns", raw_one, async_one, 4096, 4096},
    {"deep64_64b_ns", raw_deep, async_deep, 64, 4096},
    {"deep64_line_ns", raw_deep, async_deep, 64, 64},
    {"deep64_4k_ns", raw_deep, async_deep, 4096, 4096},
};

/* ---- places -------------------------------------------------------------- */

static void place_open(place_t *p) {
  static uint8_t page[4096];
  bench_check(cira_fabric_connect(p->url, NULL, &p->fabric), p->scheme);
  bench_check(p->fabric->ops->region_open(p->fabric, REGION_BYTES, &p->region),
              "region");
  bench_check(p->fabric->ops->region_commit(p->fabric, p->region,
                                            (int64_t)REGION_BYTES),
              "commit");
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = p->url;
  opt.local_bytes = LOCAL_BYTES;
  bench_check(cira_far_start(&opt), "far memory");
  p->far = cira_far_alloc(REGION_BYTES, 4096);
  if (p->far == NULL) {
    bench_die("far memory");
  }
  for (uint64_t at = 0; at < REGION_BYTES; at += sizeof page) {
    memset(page, (int)(at >> 12) | 1, sizeof page);
    bench_check(cira_fabric_write(p->fabric, p->region, at, page, sizeof page),
                "fill");
    memcpy(p->far + at, page, sizeof page);
  }
}

/* The bytes that come are the bytes that were written. */
static void place_verify(const place_t *p, uint8_t *buffer) {
  cira_async_t a = {0};
  for (uint64_t at = 0; at < REGION_BYTES; at += 4096 * 61) {
    bench_check(cira_async_load(&a, p->far + at, buffer, 4096), "verify");
    bench_check(cira_async_await(&a, CIRA_FOREVER, NULL), "verify");
    uint8_t want = (uint8_t)((at >> 12) | 1);
    if (buffer[0] != want || memcmp(buffer, buffer + 1, 4095) != 0) {
      fprintf(stderr, "bench-async: %s: wrong bytes at %llu\n", p->scheme,
              (unsigned long long)at);
      exit(1);
    }
  }
}

/* ---- reporting ----------------------------------------------------------- */

static void place_measure(place_t *p, const bench_settings_t *s,
                          uint8_t *buffer) {
  uint32_t repeat = s->repeat;
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    char name[64];
    snprintf(name, sizeof name, "%s %s", p->scheme, measures[m].name);
    if (!bench_wants(name)) {
      continue;
    }
    double raw[BENCH_REPEAT_MAX], async[BENCH_REPEAT_MAX],
        ratio[BENCH_REPEAT_MAX];
    for (uint32_t i = 0; i <= repeat; i++) { /* round 0 warms up */
      run_t run = {.place = p,
                   .count = s->count,
                   .seed = 88172645463325252ull + i,
                   .bytes = measures[m].bytes,
                   .step = measures[m].step,
                   .buffer = buffer};
      run_t other = run;
      uint32_t at = i == 0 ? 0 : i - 1;
      raw[at] = measures[m].raw(&run);
      async[at] = measures[m].async(&other);
      ratio[at] = async[at] / raw[at];
    }
    double r = bench_median(raw, repeat), a = bench_median(async, repeat),
           q = bench_median(ratio, repeat);
    printf("%-5s %-16s fabric %9.1f  async %9.1f  ratio %5.2f\n", p->scheme,
           measures[m].name, r, a, q);
    bench_result(json_pack("{s:s, s:s, s:f, s:f, s:f}", "place", p->scheme,
                           "what", measures[m].name, "fabric", r, "async", a,
                           "ratio", q));
  }
}

int main(int argc, char **argv) {
  bench_memd_t memd;
  place_t places[] = {{.scheme = "shm", .url = memd.shm_url},
                      {.scheme = "tcp", .url = memd.tcp_url}};
  bench_settings_t s = {.program = "bench-async",
                        .about = "What cira/async.h costs on top of the fabric "
                                 "under it, in nanoseconds a load,\n"
                                 "over shm: and tcp:.",
                        .counts = "loads of a repetition",
                        .repeat = 9,
                        .count = 20000,
                        .count_least = DEPTH};
  bench_begin(argc, argv, &s, NULL, 0);
  bench_memd_start(&memd, true, NULL);
  bench_pin(0);
  uint8_t *buffer = aligned_alloc(4096, DEPTH * 4096);
  if (buffer == NULL) {
    bench_die("no memory");
  }
  memset(buffer, 0, DEPTH * 4096);
  for (uint32_t p = 0; p < CIRA_COUNT(places); p++) {
    place_open(&places[p]);
    place_verify(&places[p], buffer);
    place_measure(&places[p], &s, buffer);
    cira_fabric_close(places[p].fabric);
    bench_check(cira_far_stop(), "stop");
  }
  free(buffer);
  bench_memd_stop(&memd);
  bench_end();
  return 0;
}
