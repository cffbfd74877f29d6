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
 *                [--only SCHEME]
 */
#include "base/sys.h"
#include "fabric/fabric.h"

#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define REGION_BYTES (64ull << 20) /* 64 MiB */
#define DEPTH_MAX 64
#define REPEAT_MAX 101
#define LINES 64

typedef struct {
  const char *scheme; /* as people say it */
  char url[300];
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

static _Noreturn void die(const char *what) {
  fprintf(stderr, "bench-fabric: %s: %s\n", what, cira_status_detail());
  exit(1);
}

static void check(cira_status_t status, const char *what) {
  if (status != CIRA_OK) {
    die(what);
  }
}

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
    check(f->ops->post_read(f, run->place->region, next_offset(run, 4096),
                            run->buffer, bytes, 0, &op),
          "read");
    check(cira_fabric_wait(f, &op), "read");
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
      check(op[i].status, "read");
      done += posted >= depth;
      check(f->ops->post_read(f, run->place->region, next_offset(run, 4096),
                              run->buffer + i * 4096, 4096, 0, &op[i]),
            "read");
      posted++;
    }
    if (f->ops->poll(f) < 0) {
      die("poll");
    }
  }
  uint64_t took = cira__now_ns() - start;
  for (uint32_t i = 0; i < depth; i++) {
    check(cira_fabric_wait(f, &op[i]), "read");
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
    check(f->ops->post_write(f, run->place->region, seg, lines, 0, &op),
          "write");
    check(cira_fabric_wait(f, &op), "write");
  }
  return (double)(cira__now_ns() - start) / (double)count;
}

static double measure_atomic(run_t *run, uint32_t unused) {
  (void)unused;
  cira_fabric_t *f = run->place->f;
  uint64_t start = cira__now_ns();
  for (uint64_t i = 0; i < run->count; i++) {
    cira_fabric_op_t op;
    check(f->ops->post_atomic(f, run->place->region, CIRA_FABRIC_ADD,
                              next_offset(run, 4096), 1, 0, 0, &op),
          "atomic");
    check(cira_fabric_wait(f, &op), "atomic");
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

/* ---- the server --------------------------------------------------------- */

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
}

/* Starts cira-memd; it ends when our end of `*out_life` closes. */
static pid_t server_start(const char *memd, const char *dir, int cpu,
                          place_t *places, uint32_t count, int *out_life) {
  int life[2];
  int ready[2];
  char path[300];
  if (pipe(life) < 0 || pipe(ready) < 0) {
    perror("bench-fabric: pipe");
    exit(1);
  }
  snprintf(path, sizeof(path), "shm:%s/memd.sock", dir);
  pid_t pid = fork();
  if (pid == 0) {
    char life_text[16];
    char ready_text[16];
    snprintf(life_text, sizeof(life_text), "%d", life[0]);
    snprintf(ready_text, sizeof(ready_text), "%d", ready[1]);
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
  char line[400];
  while (lines && fgets(line, sizeof(line), lines)) {
    line[strcspn(line, "\n")] = 0;
    const char *url = line + strlen("ready ");
    for (uint32_t i = 0; i < count; i++) {
      if (strcmp(places[i].scheme, "unix") == 0 &&
          strncmp(url, "shm:", 4) == 0) {
        snprintf(places[i].url, sizeof(places[i].url), "unix:%s", url + 4);
      } else if (strncmp(url, places[i].scheme, strlen(places[i].scheme)) ==
                 0) {
        snprintf(places[i].url, sizeof(places[i].url), "%s", url);
      }
    }
  }
  *out_life = life[1];
  return pid;
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
  const char *memd;
  const char *only;
  uint32_t repeat;
  uint64_t count;
} settings_t;

static void settings_parse(int argc, char **argv, settings_t *s) {
  static const struct option options[] = {
      {"json", required_argument, NULL, 'j'},
      {"repeat", required_argument, NULL, 'r'},
      {"count", required_argument, NULL, 'c'},
      {"memd", required_argument, NULL, 'm'},
      {"only", required_argument, NULL, 'o'},
      {0}};
  uint64_t n;
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
    case 'j':
      s->json_file = optarg;
      break;
    case 'm':
      s->memd = optarg;
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
      s->count = s->count < 2 ? 2 : s->count;
      break;
    default:
      exit(2);
    }
  }
}

static void place_open(place_t *p) {
  static uint8_t page[4096];
  check(cira_fabric_connect(p->url, NULL, &p->f), p->scheme);
  check(p->f->ops->region_open(p->f, REGION_BYTES, &p->region), "region");
  check(p->f->ops->region_commit(p->f, p->region, (int64_t)REGION_BYTES),
        "commit");
  for (uint64_t at = 0; at < REGION_BYTES; at += sizeof(page)) {
    memset(page, (int)(at >> 12) | 1, sizeof(page));
    check(cira_fabric_write(p->f, p->region, at, page, sizeof(page)), "fill");
  }
}

/* The bytes that come are the bytes that were written. */
static void place_verify(place_t *p, uint8_t *buffer) {
  for (uint64_t at = 0; at < REGION_BYTES; at += REGION_BYTES / 64) {
    check(cira_fabric_read(p->f, p->region, at, buffer, 4096), "verify");
    uint8_t want = (uint8_t)((at >> 12) | 1);
    if (buffer[0] != want || memcmp(buffer, buffer + 1, 4095) != 0) {
      fprintf(stderr, "bench-fabric: %s: wrong bytes at %llu\n", p->scheme,
              (unsigned long long)at);
      exit(1);
    }
  }
}

static void report(const settings_t *s, place_t *places, uint32_t count,
                   double (*samples)[CIRA_COUNT(measures)][REPEAT_MAX]) {
  json_t *root = json_object();
  json_t *results = json_array();
  machine_put(root);
  json_object_set_new(root, "repeat", json_integer(s->repeat));
  json_object_set_new(root, "count", json_integer((json_int_t)s->count));
  printf("%-6s %-24s %12s %12s %12s\n", "place", "what", "median", "least",
         "most");
  for (uint32_t p = 0; p < count; p++) {
    for (uint32_t m = 0; places[p].f && m < CIRA_COUNT(measures); m++) {
      double *v = samples[p][m];
      for (uint32_t i = 0; measures[m].rate && i < s->repeat; i++) {
        v[i] = 1e9 / v[i];
      }
      qsort(v, s->repeat, sizeof(*v), ascending);
      double median = v[s->repeat / 2];
      printf("%-6s %-24s %12.0f %12.0f %12.0f\n", places[p].scheme,
             measures[m].name, median, v[0], v[s->repeat - 1]);
      json_array_append_new(results,
                            json_pack("{s:s, s:s, s:f, s:f, s:f}", "place",
                                      places[p].scheme, "what",
                                      measures[m].name, "median", median,
                                      "least", v[0], "most", v[s->repeat - 1]));
    }
  }
  json_object_set_new(root, "results", results);
  if (s->json_file && json_dump_file(root, s->json_file, JSON_INDENT(2)) < 0) {
    fprintf(stderr, "bench-fabric: cannot write '%s'\n", s->json_file);
    exit(1);
  }
  json_decref(root);
}

int main(int argc, char **argv) {
  place_t places[] = {{.scheme = "host", .url = "host:"},
                      {.scheme = "shm"},
                      {.scheme = "unix"},
                      {.scheme = "tcp"}};
  static double samples[CIRA_COUNT(places)][CIRA_COUNT(measures)][REPEAT_MAX];
  char self[400];
  char memd[420];
  char dir[] = "/tmp/cira-bench-XXXXXX";
  settings_t s = {.repeat = 7, .count = 20000};
  settings_parse(argc, argv, &s);
  ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
  self[n > 0 ? n : 0] = 0;
  char *slash = strrchr(self, '/');
  snprintf(memd, sizeof(memd), "%.*s/cira-memd",
           slash ? (int)(slash - self) : 0, self);
  bool two = sysconf(_SC_NPROCESSORS_ONLN) > 1;
  int life = -1;
  if (!mkdtemp(dir)) {
    perror("bench-fabric: mkdtemp");
    return 1;
  }
  pid_t pid = server_start(s.memd ? s.memd : memd, dir, two ? 1 : -1, places,
                           CIRA_COUNT(places), &life);
  if (two) {
    pin(0);
  }
  uint8_t *buffer = aligned_alloc(4096, DEPTH_MAX * 4096);
  if (!buffer) {
    return 1;
  }
  memset(buffer, 0, DEPTH_MAX * 4096);
  for (uint32_t p = 0; p < CIRA_COUNT(places); p++) {
    if (!s.only || strcmp(s.only, places[p].scheme) == 0) {
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
  (void)close(life);
  (void)waitpid(pid, NULL, 0);
  (void)rmdir(dir);
  return 0;
}
