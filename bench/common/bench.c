/* SPDX-License-Identifier: Apache-2.0
 *
 * Options, table and JSON of the benches (bench.h).
 */
#include "bench.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define OPTIONS_MAX 16u
#define COUNT_MAX (1u << 30)

static bench_settings_t *settings;
static json_t *root;
static json_t *results;
static bool headed;

_Noreturn void bench_die(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", settings->program, what,
          cira_status_detail());
  exit(1);
}

void bench_check(cira_status_t status, const char *what) {
  if (CIRA_UNLIKELY(status < 0)) {
    bench_die(what);
  }
}

void bench_pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
}

bool bench_wants(const char *name) {
  const char *at = settings->only;
  while (at && *at) {
    size_t n = strcspn(at, ",");
    if (n > 0 && memmem(name, strlen(name), at, n)) {
      return true;
    }
    at += n + (at[n] == ',');
  }
  return !settings->only;
}

const char *bench_memd_path(void) {
  return settings->memd;
}

/* ---- options ------------------------------------------------------------ */

static uint64_t number(const char *name, uint64_t least, uint64_t most) {
  uint64_t n = 0;
  if (cira__parse_u64(optarg, name, most, &n) != CIRA_OK) {
    fprintf(stderr, "%s: %s\n", settings->program, cira_status_detail());
    exit(2);
  }
  return n < least ? least : n;
}

static void help_line(const char *option, const char *what) {
  printf("  %-18s %s\n", option, what);
}

static void help_number(const char *name, const char *what, uint64_t least,
                        uint64_t most, uint64_t now) {
  char option[40];
  (void)snprintf(option, sizeof(option), "--%s N", name);
  printf("  %-18s %s: %llu to %llu (%llu)\n", option, what,
         (unsigned long long)least, (unsigned long long)most,
         (unsigned long long)now);
}

_Noreturn static void help(const bench_option_t *more, uint32_t more_count) {
  printf("Usage: %s [OPTION...]\n%s\n\n", settings->program, settings->about);
  help_line("--json FILE", "write machine and results there too");
  help_number("repeat", "repetitions of each measurement", 1, BENCH_REPEAT_MAX,
              settings->repeat);
  if (settings->count) {
    help_number("count", settings->counts, settings->count_least, COUNT_MAX,
                settings->count);
  }
  for (uint32_t i = 0; i < more_count; i++) {
    help_number(more[i].name, more[i].what, more[i].least, more[i].most,
                *more[i].value);
  }
  help_line("--only TEXT,...", "only what has one of these in its name");
  help_line("--memd PATH", "the memory server to start, where one is needed");
  help_line("--help", "this text");
  printf("\nRows show the median, least and most of the repetitions.\n"
         "Exit status: 0 done, 1 a measurement failed, 2 a wrong option.\n");
  exit(0);
}

static void options_parse(int argc, char **argv, const bench_option_t *more,
                          uint32_t more_count) {
  struct option options[OPTIONS_MAX] = {
      {"json", required_argument, NULL, 'j'},
      {"repeat", required_argument, NULL, 'r'},
      {"only", required_argument, NULL, 'o'},
      {"memd", required_argument, NULL, 'm'},
      {"help", no_argument, NULL, 'h'},
      {settings->count ? "count" : "repeat", required_argument, NULL,
       settings->count ? 'c' : 'r'}};
  uint32_t known = 6;
  for (uint32_t i = 0; i < more_count && known < OPTIONS_MAX - 1; i++) {
    options[known++] = (struct option){.name = more[i].name,
                                       .has_arg = required_argument,
                                       .val = 256 + (int)i};
  }
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
    case 'j':
      settings->json_file = optarg;
      break;
    case 'o':
      settings->only = optarg;
      break;
    case 'm':
      settings->memd = optarg;
      break;
    case 'r':
      settings->repeat = (uint32_t)number("--repeat", 1, BENCH_REPEAT_MAX);
      break;
    case 'c':
      settings->count = number("--count", settings->count_least, COUNT_MAX);
      break;
    case 'h':
      help(more, more_count);
    case '?':
      fprintf(stderr, "%s: see --help\n", settings->program);
      exit(2);
    default:
      *more[c - 256].value =
          number(more[c - 256].name, more[c - 256].least, more[c - 256].most);
    }
  }
  if (optind != argc) {
    fprintf(stderr, "%s: '%s' is no option; see --help\n", settings->program,
            argv[optind]);
    exit(2);
  }
}

/* ---- JSON and table ----------------------------------------------------- */

static void machine_put(void) {
  struct utsname u = {0};
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

void bench_begin(int argc, char **argv, bench_settings_t *s,
                 const bench_option_t *more, uint32_t more_count) {
  settings = s;
  options_parse(argc, argv, more, more_count);
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  root = json_object();
  results = json_array();
  machine_put();
  json_object_set_new(root, "repeat", json_integer(s->repeat));
  if (s->count) {
    json_object_set_new(root, "count", json_integer((json_int_t)s->count));
  }
  json_object_set(root, "results", results);
}

json_t *bench_root(void) {
  return root;
}

void bench_result(json_t *result) {
  json_array_append_new(results, result);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(double *v, uint32_t count) {
  qsort(v, count, sizeof(*v), ascending);
  return v[count / 2];
}

void bench_row(const char *place, const char *what, double *v, uint32_t count) {
  if (!headed) {
    printf("%-36s %12s %12s %12s\n", "what", "median", "least", "most");
    headed = true;
  }
  double median = bench_median(v, count);
  char name[80];
  (void)snprintf(name, sizeof(name), "%s%s%s", place ? place : "",
                 place ? " " : "", what);
  printf("%-36s %12.2f %12.2f %12.2f\n", name, median, v[0], v[count - 1]);
  json_t *result = json_pack("{s:s, s:f, s:f, s:f}", "what", what, "median",
                             median, "least", v[0], "most", v[count - 1]);
  if (place) {
    json_object_set_new(result, "place", json_string(place));
  }
  bench_result(result);
}

void bench_end(void) {
  if (settings->json_file &&
      json_dump_file(root, settings->json_file, JSON_INDENT(2)) < 0) {
    fprintf(stderr, "%s: cannot write '%s'\n", settings->program,
            settings->json_file);
    exit(1);
  }
  json_decref(results);
  json_decref(root);
}
