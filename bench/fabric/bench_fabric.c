/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-fabric: how far away each back end is. Per back end: latency of one
 * read of 4 KiB and of 64 B, of a scatter write of 64 lines and of an atomic,
 * and reads per second with 1, 8 and 64 of them outstanding. Starts its own
 * polling cira-memd on another CPU where there is one. Back ends are
 * interleaved, one repetition of each in turn, so that a busy neighbour hits
 * all of them; what is reported is the median, with the least and the most.
 *
 *   bench-fabric [--json FILE] [--repeat N] [--count N] [--memd PATH]
 *                [--only SCHEME,...]
 */
#include "bench.h"
#include "fabric/fabric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGION_BYTES (64ull << 20) /* 64 MiB */
#define DEPTH_MAX 64
#define LINES 64

typedef struct {
  const char *scheme; /* as people say it */
  const char *url;
  cira_fabric_t *f;
  cira_region_t region;
} place_t;

typedef struct {
  place_t *place;
  uint64_t count; /* operations per repetition */
  uint64_t seed;
  uint8_t *buffer; /* DEPTH_MAX pages */
} run_t;

/* One measurement: nanoseconds per operation. */
typedef double (*measure_fn_t)(run_t *run, uint32_t argument);

/* xorshift64*: the same chain of offsets in every run. */
static uint64_t next_offset(run_t *run, uint64_t unit) {
  run->seed ^= run->seed >> 12;
  run->seed ^= run->seed << 25;
  run->seed ^= run->seed >> 27;
  return run->seed * 2685821657736338717ull % (REGION_BYTES / unit) * unit;
}

/* Reads of `bytes`, one at a time. */
static double measure_read(run_t *run, uint32_t bytes) {
  cira_fabric_t *f = run->place->f;
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < run->count; i++) {
    cira_fabric_op_t op;
    bench_check(f->ops->post_read(f, run->place->region, next_offset(run, 4096),
                                  run->buffer, bytes, 0, &op),
                "read");
    bench_check(cira_fabric_wait(f, &op), "read");
  }
  return (double)(cira__now_ns() - start) / (double)run->count;
}

/* Reads of 4 KiB with `depth` of them outstanding. */
static double measure_depth(run_t *run, uint32_t depth) {
  cira_fabric_t *f = run->place->f;
  cira_fabric_op_t op[DEPTH_MAX];
  uint64_t count = run->count * (depth > 1 ? 4 : 1);
  uint64_t posted = 0;
  uint64_t done = 0;
  uint64_t start = cira__now_ns();
  for (uint32_t i = 0; i < depth; i++) {
    op[i].status = CIRA_OK;
  }
  while (done < count) {
    for (uint32_t i = 0; i < depth; i++) {
      if (op[i].status == CIRA_PENDING) {
        continue;
      }
      bench_check(op[i].status, "read");
      done += posted >= depth;
      bench_check(f->ops->post_read(f, run->place->region,
                                    next_offset(run, 4096),
                                    run->buffer + i * 4096, 4096, 0, &op[i]),
                  "read");
      posted++;
    }
    if (f->ops->poll(f) < 0) {
      bench_die("poll");
    }
  }
  uint64_t took = cira__now_ns() - start;
  for (uint32_t i = 0; i < depth; i++) {
    bench_check(cira_fabric_wait(f, &op[i]), "read");
  }
  return (double)took / (double)count;
}

/* One write of LINES lines of 64 B, scattered over a page each. */
static double measure_scatter(run_t *run, uint32_t lines) {
  cira_fabric_t *f = run->place->f;
  uint64_t count = run->count / 2;
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < count; i++) {
    cira_fabric_seg_t seg[LINES];
    cira_fabric_op_t op;
    for (uint32_t k = 0; k < lines; k++) {
      seg[k] = (cira_fabric_seg_t){.offset = next_offset(run, 64),
                                   .src = run->buffer + k * 64,
                                   .bytes = 64};
    }
    bench_check(f->ops->post_write(f, run->place->region, seg, lines, 0, &op),
                "write");
    bench_check(cira_fabric_wait(f, &op), "write");
  }
  return (double)(cira__now_ns() - start) / (double)count;
}

static double measure_atomic(run_t *run, uint32_t unused) {
  (void)unused;
  cira_fabric_t *f = run->place->f;
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < run->count; i++) {
    cira_fabric_op_t op;
    bench_check(f->ops->post_atomic(f, run->place->region, CIRA_FABRIC_ADD,
                                    next_offset(run, 4096), 1, 0, 0, &op),
                "atomic");
    bench_check(cira_fabric_wait(f, &op), "atomic");
  }
  return (double)(cira__now_ns() - start) / (double)run->count;
}

static const struct {
  const char *name;
  measure_fn_t fn;
  uint32_t argument;
  bool rate; /* print operations per second */
} measures[] = {
    {"read_4k_ns", measure_read, 4096, false},
    {"read_64b_ns", measure_read, 64, false},
    {"scatter_write_64x64_ns", measure_scatter, LINES, false},
    {"atomic_ns", measure_atomic, 0, false},
    {"reads_4k_per_s_depth1", measure_depth, 1, true},
    {"reads_4k_per_s_depth8", measure_depth, 8, true},
    {"reads_4k_per_s_depth64", measure_depth, 64, true},
};

/* ---- places -------------------------------------------------------------- */

static void place_open(place_t *p) {
  static uint8_t page[4096];
  bench_check(cira_fabric_connect(p->url, NULL, &p->f), p->scheme);
  bench_check(p->f->ops->region_open(p->f, REGION_BYTES, &p->region), "region");
  bench_check(p->f->ops->region_commit(p->f, p->region, (int64_t)REGION_BYTES),
              "commit");
  for (uint64_t at = 0; at < REGION_BYTES; at += sizeof(page)) {
    memset(page, (int)(at >> 12) | 1, sizeof(page));
    bench_check(cira_fabric_write(p->f, p->region, at, page, sizeof(page)),
                "fill");
  }
}

/* The bytes that come are the bytes that were written. */
static void place_verify(place_t *p, uint8_t *buffer) {
  for (uint64_t at = 0; at < REGION_BYTES; at += REGION_BYTES / 64) {
    bench_check(cira_fabric_read(p->f, p->region, at, buffer, 4096), "verify");
    uint8_t want = (uint8_t)((at >> 12) | 1);
    if (buffer[0] != want || memcmp(buffer, buffer + 1, 4095) != 0) {
      fprintf(stderr, "bench-fabric: %s: wrong bytes at %llu\n", p->scheme,
              (unsigned long long)at);
      exit(1);
    }
  }
}

static void report(const bench_settings_t *s, place_t *places, uint32_t count,
                   double (*samples)[CIRA_COUNT(measures)][BENCH_REPEAT_MAX]) {
  for (uint32_t p = 0; p < count; p++) {
    for (uint32_t m = 0; places[p].f && m < CIRA_COUNT(measures); m++) {
      double *v = samples[p][m];
      for (uint32_t i = 0; measures[m].rate && i < s->repeat; i++) {
        v[i] = 1e9 / v[i];
      }
      bench_row(places[p].scheme, measures[m].name, v, s->repeat);
    }
  }
}

int main(int argc, char **argv) {
  bench_memd_t memd;
  place_t places[] = {{.scheme = "host", .url = "host:"},
                      {.scheme = "shm", .url = memd.shm_url},
                      {.scheme = "unix", .url = memd.unix_url},
                      {.scheme = "tcp", .url = memd.tcp_url}};
  static double samples[CIRA_COUNT(places)][CIRA_COUNT(measures)]
                       [BENCH_REPEAT_MAX];
  bench_settings_t s = {
      .program = "bench-fabric",
      .about = "How far away each back end is: latencies in nanoseconds, reads "
               "a\nsecond with 1, 8 and 64 outstanding.",
      .counts = "requests of a repetition",
      .repeat = 7,
      .count = 20000,
      .count_least = 2};
  bench_begin(argc, argv, &s, NULL, 0);
  bench_memd_start(&memd, true, NULL);
  bench_pin(0);
  uint8_t *buffer = aligned_alloc(4096, DEPTH_MAX * 4096);
  if (!buffer) {
    bench_die("no memory");
  }
  memset(buffer, 0, DEPTH_MAX * 4096);
  for (uint32_t p = 0; p < CIRA_COUNT(places); p++) {
    if (bench_wants(places[p].scheme)) {
      place_open(&places[p]);
      place_verify(&places[p], buffer);
    }
  }
  for (uint32_t i = 0; i <= s.repeat; i++) { /* round 0 warms up */
    for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
      for (uint32_t p = 0; p < CIRA_COUNT(places); p++) {
        if (!places[p].f) {
          continue;
        }
        run_t run = {.place = &places[p],
                     .count = s.count,
                     .seed = 88172645463325252ull,
                     .buffer = buffer};
        double ns = measures[m].fn(&run, measures[m].argument);
        if (i) {
          samples[p][m][i - 1] = ns;
        }
      }
    }
  }
  report(&s, places, CIRA_COUNT(places), samples);
  for (uint32_t p = 0; p < CIRA_COUNT(places); p++) {
    cira_fabric_close(places[p].f);
  }
  free(buffer);
  bench_memd_stop(&memd);
  bench_end();
  return 0;
}
