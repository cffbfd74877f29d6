/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-async: what cira/async.h costs on top of the fabric under it. One load
 * and its await beside one read of the fabric, and 64 coroutines that load
 * beside 64 reads outstanding, over shm: and tcp:, with the same sizes at the
 * same random offsets. Starts its own polling cira-memd on another CPU where
 * there is one. Each pair is interleaved; what is reported is the median of
 * each and of their ratios.
 *
 *   bench-async [--json FILE] [--repeat N] [--count N] [--memd PATH]
 *               [--only TEXT]   such as "shm deep"
 */
#include "base/base.h"
#include "cira/async.h"
#include "cira/coro.h"
#include "cira/far.h"
#include "fabric/fabric.h"

#include <getopt.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION_BYTES (128ull << 20) /* 128 MiB: past the last-level cache */
#define DEPTH 64
#define REPEAT_MAX 101
#define LOCAL_BYTES (4u << 20)

typedef struct {
  const char *scheme;
  char url[300];
  cira_fabric_t *fabric;
  cira_region_t region;
  uint8_t *far;
} place_t;

typedef struct {
  place_t *place;
  uint64_t count, seed;
  uint32_t bytes;
  uint8_t *buffer; /* DEPTH pages */
} run_t;

static _Noreturn void die(const char *what) {
  fprintf(stderr, "bench-async: %s: %s\n", what, cira_status_detail());
  exit(1);
}

static void check(cira_status_t status, const char *what) {
  if (status < 0) {
    die(what);
  }
}

static uint64_t next_offset(uint64_t *seed) {
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return *seed * 2685821657736338717ull % (REGION_BYTES / 4096) * 4096;
}

/* ---- one at a time: where the next one is depends on what came ----------- */

static double raw_one(run_t *run) {
  cira_fabric_t *f = run->place->fabric;
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < run->count; i++) {
    cira_fabric_op_t op;
    check(f->ops->post_read(f, run->place->region, next_offset(&run->seed),
                            run->buffer, run->bytes, 0, &op),
          "read");
    check(cira_fabric_wait(f, &op), "read");
    run->seed += *run->buffer;
  }
  return (double)(cira__now_ns() - start) / (double)run->count;
}

static double async_one(run_t *run) {
  cira_async_t a = {0};
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < run->count; i++) {
    check(cira_async_load(&a, run->place->far + next_offset(&run->seed),
                          run->buffer, run->bytes),
          "load");
    check(cira_async_await(&a, CIRA_FOREVER, NULL), "await");
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
      check(op[i].status, "read");
      done += posted >= DEPTH;
      check(f->ops->post_read(f, run->place->region, next_offset(&run->seed),
                              run->buffer + i * 4096, run->bytes, 0, &op[i]),
            "read");
      posted++;
    }
    check(f->ops->poll(f), "poll");
  }
  uint64_t took = cira__now_ns() - start;
  for (uint32_t i = 0; i < DEPTH; i++) {
    check(cira_fabric_wait(f, &op[i]), "read");
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
    check(cira_async_load(&a, t->run->place->far + next_offset(&t->seed),
                          t->buffer, t->run->bytes),
          "load");
    check(cira_async_await(&a, CIRA_FOREVER, NULL), "await");
  }
  return 0;
}

static double async_deep(run_t *run) {
  static cira_sched_t *sched;
  task_t task[DEPTH];
  if (sched == NULL) {
    check(cira_sched_create(NULL, &sched), "scheduler");
  }
  for (uint32_t i = 0; i < DEPTH; i++) {
    task[i] = (task_t){.run = run,
                       .buffer = run->buffer + i * 4096,
                       .seed = run->seed + i * 7919,
                       .count = run->count / DEPTH};
    check(cira_sched_spawn(sched, task_run, &task[i], CIRA_TASK_F_DETACHED, 0,
                           NULL),
          "spawn");
  }
  uint64_t start = cira__now_ns();
  check(cira_sched_run(sched), "run");
  return (double)(cira__now_ns() - start) /
         (double)(run->count / DEPTH * DEPTH);
}

static const struct {
  const char *name;
  double (*raw)(run_t *run);
  double (*async)(run_t *run);
  uint32_t bytes;
} measures[] = {
    {"one_64b_ns", raw_one, async_one, 64},
    {"one_4k_ns", raw_one, async_one, 4096},
    {"deep64_64b_ns", raw_deep, async_deep, 64},
    {"deep64_4k_ns", raw_deep, async_deep, 4096},
};

/* ---- places -------------------------------------------------------------- */

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
}

/* Starts cira-memd; it ends when our end of `*out_life` closes. */
static pid_t server_start(const char *memd, const char *dir, int cpu,
                          place_t *places, uint32_t count, int *out_life) {
  int life[2], ready[2];
  char path[300], line[400];
  if (pipe(life) < 0 || pipe(ready) < 0) {
    die("pipe");
  }
  snprintf(path, sizeof path, "shm:%s/memd.sock", dir);
  pid_t pid = fork();
  if (pid == 0) {
    char life_text[16], ready_text[16];
    snprintf(life_text, sizeof life_text, "%d", life[0]);
    snprintf(ready_text, sizeof ready_text, "%d", ready[1]);
    (void)close(life[1]);
    (void)close(ready[0]);
    if (cpu >= 0) {
      pin(cpu);
    }
    const char *const pace[2] = {cpu >= 0 ? "--poll" : "--spin",
                                 cpu >= 0 ? "--poll" : "0"};
    execl(memd, memd, "--listen", path, "--listen", "tcp://127.0.0.1:0",
          "--size", "1g", "--until-eof", life_text, "--daemonize-ready-fd",
          ready_text, pace[0], pace[1], NULL);
    perror(memd);
    _exit(127);
  }
  (void)close(life[0]);
  (void)close(ready[1]);
  FILE *lines = fdopen(ready[0], "r");
  while (lines && fgets(line, sizeof line, lines)) {
    line[strcspn(line, "\n")] = 0;
    const char *url = line + strlen("ready ");
    for (uint32_t i = 0; i < count; i++) {
      if (strncmp(url, places[i].scheme, strlen(places[i].scheme)) == 0) {
        snprintf(places[i].url, sizeof places[i].url, "%s", url);
      }
    }
  }
  *out_life = life[1];
  return pid;
}

static void place_open(place_t *p) {
  static uint8_t page[4096];
  check(cira_fabric_connect(p->url, NULL, &p->fabric), p->scheme);
  check(p->fabric->ops->region_open(p->fabric, REGION_BYTES, &p->region),
        "region");
  check(p->fabric->ops->region_commit(p->fabric, p->region,
                                      (int64_t)REGION_BYTES),
        "commit");
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = p->url;
  opt.local_bytes = LOCAL_BYTES;
  check(cira_far_start(&opt), "far memory");
  p->far = cira_far_alloc(REGION_BYTES, 4096);
  if (p->far == NULL) {
    die("far memory");
  }
  for (uint64_t at = 0; at < REGION_BYTES; at += sizeof page) {
    memset(page, (int)(at >> 12) | 1, sizeof page);
    check(cira_fabric_write(p->fabric, p->region, at, page, sizeof page),
          "fill");
    memcpy(p->far + at, page, sizeof page);
  }
}

/* The bytes that come are the bytes that were written. */
static void place_verify(const place_t *p, uint8_t *buffer) {
  cira_async_t a = {0};
  for (uint64_t at = 0; at < REGION_BYTES; at += 4096 * 61) {
    check(cira_async_load(&a, p->far + at, buffer, 4096), "verify");
    check(cira_async_await(&a, CIRA_FOREVER, NULL), "verify");
    uint8_t want = (uint8_t)((at >> 12) | 1);
    if (buffer[0] != want || memcmp(buffer, buffer + 1, 4095) != 0) {
      fprintf(stderr, "bench-async: %s: wrong bytes at %llu\n", p->scheme,
              (unsigned long long)at);
      exit(1);
    }
  }
}

/* ---- reporting ----------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v, uint32_t n) {
  qsort(v, n, sizeof *v, ascending);
  return v[n / 2];
}

static void place_measure(place_t *p, uint32_t repeat, uint64_t count,
                          uint8_t *buffer, const char *only, json_t *results) {
  for (uint32_t m = 0; m < CIRA_COUNT(measures); m++) {
    char name[64];
    snprintf(name, sizeof name, "%s %s", p->scheme, measures[m].name);
    if (only != NULL && strstr(name, only) == NULL) {
      continue;
    }
    double raw[REPEAT_MAX], async[REPEAT_MAX], ratio[REPEAT_MAX];
    for (uint32_t i = 0; i <= repeat; i++) { /* round 0 warms up */
      run_t run = {.place = p,
                   .count = count,
                   .seed = 88172645463325252ull + i,
                   .bytes = measures[m].bytes,
                   .buffer = buffer};
      run_t other = run;
      uint32_t at = i == 0 ? 0 : i - 1;
      raw[at] = measures[m].raw(&run);
      async[at] = measures[m].async(&other);
      ratio[at] = async[at] / raw[at];
    }
    double r = median(raw, repeat), a = median(async, repeat),
           q = median(ratio, repeat);
    printf("%-5s %-16s fabric %9.1f  async %9.1f  ratio %5.2f\n", p->scheme,
           measures[m].name, r, a, q);
    json_array_append_new(results,
                          json_pack("{s:s, s:s, s:f, s:f, s:f}", "place",
                                    p->scheme, "what", measures[m].name,
                                    "fabric", r, "async", a, "ratio", q));
  }
}

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"json", required_argument, NULL, 'j'},
      {"repeat", required_argument, NULL, 'r'},
      {"count", required_argument, NULL, 'c'},
      {"memd", required_argument, NULL, 'm'},
      {"only", required_argument, NULL, 'o'},
      {0}};
  place_t places[] = {{.scheme = "shm"}, {.scheme = "tcp"}};
  char self[400], memd[420], dir[] = "/tmp/cira-bench-XXXXXX";
  const char *json_file = NULL, *only = NULL;
  uint64_t repeat = 9, count = 20000;
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  self[n > 0 ? n : 0] = 0;
  snprintf(memd, sizeof memd, "%.*s/cira-memd",
           (int)(strrchr(self, '/') - self), self);
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
    case 'j':
      json_file = optarg;
      break;
    case 'm':
      snprintf(memd, sizeof memd, "%s", optarg);
      break;
    case 'o':
      only = optarg;
      break;
    case 'r':
      check(cira__parse_u64(optarg, "--repeat", REPEAT_MAX, &repeat), optarg);
      break;
    case 'c':
      check(cira__parse_u64(optarg, "--count", 1u << 30, &count), optarg);
      break;
    default:
      return 2;
    }
  }
  repeat = repeat == 0 ? 1 : repeat;
  count = count < DEPTH ? DEPTH : count;
  bool two = sysconf(_SC_NPROCESSORS_ONLN) > 1;
  int life = -1;
  if (!mkdtemp(dir)) {
    die("mkdtemp");
  }
  pid_t pid =
      server_start(memd, dir, two ? 1 : -1, places, CIRA_COUNT(places), &life);
  if (two) {
    pin(0);
  }
  uint8_t *buffer = aligned_alloc(4096, DEPTH * 4096);
  json_t *root = json_object(), *results = json_array();
  if (buffer == NULL) {
    die("buffer");
  }
  memset(buffer, 0, DEPTH * 4096);
  for (uint32_t p = 0; p < CIRA_COUNT(places); p++) {
    place_open(&places[p]);
    place_verify(&places[p], buffer);
    place_measure(&places[p], (uint32_t)repeat, count, buffer, only, results);
    cira_fabric_close(places[p].fabric);
    check(cira_far_stop(), "stop");
  }
  json_object_set_new(root, "results", results);
  json_object_set_new(root, "repeat", json_integer((json_int_t)repeat));
  json_object_set_new(root, "count", json_integer((json_int_t)count));
  if (json_file && json_dump_file(root, json_file, JSON_INDENT(2)) < 0) {
    fprintf(stderr, "bench-async: cannot write '%s'\n", json_file);
    return 1;
  }
  json_decref(root);
  free(buffer);
  (void)close(life);
  (void)waitpid(pid, NULL, 0);
  (void)rmdir(dir);
  return 0;
}
