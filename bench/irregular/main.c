/* SPDX-License-Identifier: Apache-2.0
 *
 * irregular: runs the kernels of bench.h. The same source is linked with
 * plain loops from different compilers (irregular-clang, irregular-cira), so
 * what differs between the programs is only those loops.
 *
 * Every result is compared with the first one; --verify also proves the first
 * of each variant. --serve lets a driver interleave the runs of several
 * programs without preparing the data again.
 * Exit: 0 done, 1 wrong result or no memory, 2 bad input.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TRIALS_MAX 99

static const char usage[] =
    "Usage: %s --list\n"
    "       %s --kernel NAME [OPTION]...\n"
    "Runs kernels with irregular memory accesses, written plainly and as well\n"
    "as possible by hand, and prints the time per element.\n"
    "\n"
    "  --list            the kernels with their sizes\n"
    "  --kernel NAME     the kernel to run; all: one after the other\n"
    "  --variant WHICH   plain, best or both (both)\n"
    "  --preset WHICH    size: test, some KiB; bench, past the caches (test)\n"
    "  --size N          size instead, e.g. 12800000 or 64m (see --list)\n"
    "  --scale S         the same as --size 2^S\n"
    "  --degree D        edges per vertex (16)\n"
    "  --param N         distance or width of the best variant (see --list)\n"
    "  --sweep           the best variant with a list of parameters\n"
    "  --trials N        repetitions, interleaved; medians are shown (1)\n"
    "  --cpu-time        processor time instead of elapsed time, for a busy\n"
    "                    machine\n"
    "  --huge-pages      ask for 2 MiB pages\n"
    "  --small-pages     refuse them\n"
    "  --seed N          for the data (1)\n"
    "  --verify          check results by other means\n"
    "  --json            one JSON object per kernel\n"
    "  --serve           prepare, then run what standard input says, line by\n"
    "                    line: plain, best, best N, verify; answers in JSON\n"
    "  --help            show this help\n"
    "\n"
    "Exit status: 0 done; 1 wrong result or no memory; 2 bad input.\n";

struct options {
  const char *kernel;
  uint64_t size; /* 0: from the preset */
  uint32_t degree;
  uint64_t seed;
  unsigned param;
  unsigned trials;
  enum bench_pages pages;
  bool bench_preset;
  bool plain;
  bool best;
  bool sweep;
  bool verify;
  bool json;
  bool serve;
  bool list;
  clockid_t clock;
};

/* One variant with one parameter, over all trials. */
struct series {
  bool best;
  unsigned param;
  double ns[TRIALS_MAX]; /* per element */
};

__attribute__((format(printf, 2, 3), noreturn)) static void
die(int status, const char *format, ...) {
  va_list args;
  fflush(stdout);
  fprintf(stderr, "%s: ", program_invocation_short_name);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(status);
}

/* ---- Options --------------------------------------------------------------
 */

/* A number from `low` to `high`, with an optional k, m or g (powers of 1024)
 * when `sized`. */
static uint64_t number(const char *option, const char *text, uint64_t low,
                       uint64_t high, bool sized) {
  char *end;
  errno = 0;
  uint64_t value = strtoull(text, &end, 10);
  unsigned shift = 0;
  if (sized && *end) {
    const char *units = "kmg";
    const char *unit = strchr(units, *end | 0x20);
    if (unit) {
      shift = 10 * (unsigned)(unit - units + 1);
      end++;
    }
  }
  bool fits = value <= UINT64_MAX >> shift;
  if (errno || end == text || *text < '0' || *text > '9' || *end || !fits ||
      value << shift < low || value << shift > high) {
    die(2, "%s %.100s: must be a whole number from %" PRIu64 " to %" PRIu64,
        option, text, low, high);
  }
  return value << shift;
}

static void choose_variant(struct options *o, const char *text) {
  o->plain = strcmp(text, "best") != 0;
  o->best = strcmp(text, "plain") != 0;
  if (o->plain && o->best && strcmp(text, "both") != 0) {
    die(2, "--variant %.100s: must be plain, best or both", text);
  }
}

static void choose_preset(struct options *o, const char *text) {
  o->bench_preset = strcmp(text, "bench") == 0;
  if (!o->bench_preset && strcmp(text, "test") != 0) {
    die(2, "--preset %.100s: must be test or bench", text);
  }
}

static void choose_pages(struct options *o, enum bench_pages pages) {
  if (o->pages != BENCH_PAGES_SYSTEM && o->pages != pages) {
    die(2, "--huge-pages and --small-pages exclude each other");
  }
  o->pages = pages;
}

static void parse_one(struct options *o, int c) {
  switch (c) {
  case 'l':
    o->list = true;
    break;
  case 'k':
    o->kernel = optarg;
    break;
  case 'v':
    choose_variant(o, optarg);
    break;
  case 'e':
    choose_preset(o, optarg);
    break;
  case 'n':
    o->size = number("--size", optarg, 1, UINT64_C(1) << 40, true);
    break;
  case 's':
    o->size = UINT64_C(1) << number("--scale", optarg, 0, 40, false);
    break;
  case 'd':
    o->degree = (uint32_t)number("--degree", optarg, 1, 4096, false);
    break;
  case 'p':
    o->param = (unsigned)number("--param", optarg, 1, KERNEL_PARAM_MAX, false);
    break;
  case 'w':
    o->sweep = true;
    break;
  case 't':
    o->trials = (unsigned)number("--trials", optarg, 1, TRIALS_MAX, false);
    break;
  case 'c':
    o->clock = CLOCK_PROCESS_CPUTIME_ID;
    break;
  case 'H':
    choose_pages(o, BENCH_PAGES_HUGE);
    break;
  case 'S':
    choose_pages(o, BENCH_PAGES_SMALL);
    break;
  case 'r':
    o->seed = number("--seed", optarg, 0, UINT64_MAX, false);
    break;
  case 'V':
    o->verify = true;
    break;
  case 'j':
    o->json = true;
    break;
  case 'i':
    o->serve = true;
    break;
  case 'h':
    printf(usage, program_invocation_short_name, program_invocation_short_name);
    exit(0);
  default: /* getopt has said what is wrong */
    exit(2);
  }
}

static void parse(struct options *o, int argc, char **argv) {
  static const struct option longs[] = {
      {"list", no_argument, NULL, 'l'},
      {"kernel", required_argument, NULL, 'k'},
      {"variant", required_argument, NULL, 'v'},
      {"preset", required_argument, NULL, 'e'},
      {"size", required_argument, NULL, 'n'},
      {"scale", required_argument, NULL, 's'},
      {"degree", required_argument, NULL, 'd'},
      {"param", required_argument, NULL, 'p'},
      {"sweep", no_argument, NULL, 'w'},
      {"trials", required_argument, NULL, 't'},
      {"cpu-time", no_argument, NULL, 'c'},
      {"huge-pages", no_argument, NULL, 'H'},
      {"small-pages", no_argument, NULL, 'S'},
      {"seed", required_argument, NULL, 'r'},
      {"verify", no_argument, NULL, 'V'},
      {"json", no_argument, NULL, 'j'},
      {"serve", no_argument, NULL, 'i'},
      {"help", no_argument, NULL, 'h'},
      {0},
  };
  int c;
  while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    parse_one(o, c);
  }
  if (optind < argc) {
    die(2, "%.100s: unexpected argument; see --help", argv[optind]);
  }
  if (!o->list && !o->kernel) {
    die(2, "give --kernel NAME or --list; see --help");
  }
  if (o->sweep && (o->param || !o->best)) {
    die(2, "--sweep runs the best variant with its own list of parameters: "
           "leave out --param and --variant plain");
  }
  if (o->serve && o->kernel && strcmp(o->kernel, "all") == 0) {
    die(2, "--serve prepares one kernel: name it instead of all");
  }
}

static void list_kernels(bool json) {
  for (size_t f = 0; bench_families[f]; f++) {
    for (const struct bench_kernel *k = bench_families[f]; k->name; k++) {
      if (json) {
        printf("{\"kernel\":\"%s\",\"about\":\"%s\",\"size_is\":\"%s\","
               "\"test_size\":%" PRIu64 ",\"bench_size\":%" PRIu64
               ",\"degree\":%" PRIu32 ",\"param_is\":\"%s\",\"param\":%u}\n",
               k->name, k->about, k->sized, k->test_size, k->bench_size,
               k->degree, k->param, k->best_param);
      } else {
        printf("%-18s %-48s %10" PRIu64 " %s; best: %s %u\n", k->name, k->about,
               k->bench_size, k->sized, k->param, k->best_param);
      }
    }
  }
}

/* ---- Runs -----------------------------------------------------------------
 */

static const char *pages_name(enum bench_pages pages) {
  return pages == BENCH_PAGES_HUGE    ? "huge"
         : pages == BENCH_PAGES_SMALL ? "small"
                                      : "system";
}

/* What of this process lies in huge pages; -1 where the kernel does not say. */
static int64_t huge_kib(void) {
  FILE *f = fopen("/proc/self/smaps_rollup", "r");
  int64_t kib = -1;
  char line[256];
  while (f && fgets(line, sizeof line, f)) {
    if (sscanf(line, "AnonHugePages: %" SCNd64, &kib) == 1) {
      break;
    }
  }
  if (f) {
    fclose(f);
  }
  return kib;
}

/* What has been allocated and not been freed, by the C library's own heap. */
static size_t heap_bytes(void) {
  struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

static void prepare(struct bench_run *run, const struct bench_kernel *kernel,
                    const struct options *o) {
  uint64_t size = o->size           ? o->size
                  : o->bench_preset ? kernel->bench_size
                                    : kernel->test_size;
  if (size < kernel->min_size || size > kernel->max_size ||
      (kernel->power_of_two && (size & (size - 1)))) {
    die(2, "%s: size %" PRIu64 ": must be %s from %" PRIu64 " to %" PRIu64,
        kernel->name, size,
        kernel->power_of_two ? "a power of two" : "a whole number",
        kernel->min_size, kernel->max_size);
  }
  if (o->degree && !kernel->degree) {
    die(2, "%s: --degree is for graphs and matrices", kernel->name);
  }
  *run = (struct bench_run){
      .kernel = kernel,
      .size = size,
      .degree = o->degree ? o->degree : kernel->degree,
      .seed = o->seed,
      .pages = o->pages,
  };
  kernel->setup(run);
}

static double now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Returns ns per element; the checksum of the result in *checksum. */
static double measure(struct bench_run *run, clockid_t clock, bool best,
                      unsigned param, uint64_t *checksum) {
  const struct bench_kernel *k = run->kernel;
  k->reset(run);
  double start = now_ns(clock);
  if (best) {
    k->best(run, param);
  } else {
    k->plain(run);
  }
  double ns = now_ns(clock) - start;
  *checksum = k->finish(run);
  return ns / (double)run->elements;
}

static void must_verify(struct bench_run *run, const char *variant) {
  const char *wrong = run->kernel->verify(run);
  if (wrong) {
    die(1, "%s, %s: wrong result: %s", run->kernel->name, variant, wrong);
  }
}

static size_t plan(const struct bench_kernel *k, const struct options *o,
                   struct series *series) {
  size_t n = 0;
  if (o->plain) {
    series[n++] = (struct series){0};
  }
  if (o->best && !o->sweep) {
    series[n++] = (struct series){.best = true,
                                  .param = o->param ? o->param : k->best_param};
  }
  for (size_t i = 0; o->sweep && k->sweep[i]; i++) {
    series[n++] = (struct series){.best = true, .param = k->sweep[i]};
  }
  return n;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_text(const struct bench_run *run, const struct series *s,
                       size_t n, const struct options *o, uint64_t checksum) {
  const struct bench_kernel *k = run->kernel;
  size_t middle = o->trials / 2;
  printf("%s: %" PRIu64 " %s", k->name, run->size, k->sized);
  if (run->degree) {
    printf(", degree %" PRIu32, run->degree);
  }
  printf(", %s pages, checksum %016" PRIx64 "%s\n", pages_name(run->pages),
         checksum, o->verify ? ", verified" : "");
  for (size_t i = 0; i < n; i++) {
    char variant[32] = "plain";
    if (s[i].best) {
      snprintf(variant, sizeof variant, "best, %s %u", k->param, s[i].param);
    }
    printf("  %-20s %9.3f ns/%s  (%.3f to %.3f)", variant, s[i].ns[middle],
           k->element, s[i].ns[0], s[i].ns[o->trials - 1]);
    if (s[i].best && !s[0].best) {
      printf("  %.2fx", s[0].ns[middle] / s[i].ns[middle]);
    }
    putchar('\n');
  }
}

static void print_json(const struct bench_run *run, const struct series *s,
                       size_t n, const struct options *o, uint64_t checksum) {
  const struct bench_kernel *k = run->kernel;
  printf("{\"kernel\":\"%s\",\"size\":%" PRIu64 ",\"degree\":%" PRIu32
         ",\"seed\":%" PRIu64 ",\"pages\":\"%s\",\"huge_kib\":%" PRId64
         ",\"element\":\"%s\",\"elements\":%" PRIu64
         ",\"checksum\":\"%016" PRIx64 "\",\"verified\":%s,\"results\":[",
         k->name, run->size, run->degree, run->seed, pages_name(run->pages),
         huge_kib(), k->element, run->elements, checksum,
         o->verify ? "true" : "false");
  for (size_t i = 0; i < n; i++) {
    printf("%s{\"variant\":\"%s\",\"param\":%u,\"trials\":%u,"
           "\"median_ns\":%.4f,\"min_ns\":%.4f,\"max_ns\":%.4f}",
           i ? "," : "", s[i].best ? "best" : "plain", s[i].param, o->trials,
           s[i].ns[o->trials / 2], s[i].ns[0], s[i].ns[o->trials - 1]);
  }
  puts("]}");
}

static void run_kernel(const struct bench_kernel *kernel,
                       const struct options *o) {
  struct series series[BENCH_SWEEP_MAX + 2];
  size_t n = plan(kernel, o, series);
  struct bench_run run;
  uint64_t expected = 0;
  prepare(&run, kernel, o);
  for (unsigned t = 0; t < o->trials; t++) {
    for (size_t i = 0; i < n; i++) {
      const char *variant = series[i].best ? "best" : "plain";
      uint64_t checksum;
      series[i].ns[t] =
          measure(&run, o->clock, series[i].best, series[i].param, &checksum);
      if (o->verify && t == 0) {
        must_verify(&run, variant);
      }
      if (t == 0 && i == 0) {
        expected = checksum;
      } else if (checksum != expected) {
        die(1, "%s, %s: checksum %016" PRIx64 ", expected %016" PRIx64,
            kernel->name, variant, checksum, expected);
      }
    }
  }
  for (size_t i = 0; i < n; i++) {
    qsort(series[i].ns, o->trials, sizeof(double), ascending);
  }
  (o->json ? print_json : print_text)(&run, series, n, o, expected);
  fflush(stdout);
  bench_fini(&run);
}

/* ---- Serve ----------------------------------------------------------------
 */

static void serve_run(struct bench_run *run, clockid_t clock, bool best,
                      unsigned param) {
  uint64_t checksum;
  double ns = measure(run, clock, best, param, &checksum);
  printf("{\"variant\":\"%s\",\"param\":%u,\"ns\":%.4f,\"elements\":%" PRIu64
         ",\"checksum\":\"%016" PRIx64 "\"}\n",
         best ? "best" : "plain", best ? param : 0, ns, run->elements,
         checksum);
}

static void serve(const struct bench_kernel *kernel, const struct options *o) {
  struct bench_run run;
  char line[64];
  bool fresh = false; /* a result is there to be verified */
  prepare(&run, kernel, o);
  printf("{\"kernel\":\"%s\",\"size\":%" PRIu64 ",\"degree\":%" PRIu32
         ",\"element\":\"%s\",\"pages\":\"%s\",\"huge_kib\":%" PRId64
         ",\"heap_bytes\":%zu,\"param\":%u,\"sweep\":[",
         kernel->name, run.size, run.degree, kernel->element,
         pages_name(run.pages), huge_kib(), heap_bytes(), kernel->best_param);
  for (size_t i = 0; kernel->sweep[i]; i++) {
    printf("%s%u", i ? "," : "", kernel->sweep[i]);
  }
  puts("]}");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "plain") == 0) {
      serve_run(&run, o->clock, false, 0);
      fresh = true;
    } else if (strcmp(line, "best") == 0) {
      serve_run(&run, o->clock, true, o->param ? o->param : kernel->best_param);
      fresh = true;
    } else if (strncmp(line, "best ", 5) == 0) {
      serve_run(&run, o->clock, true,
                (unsigned)number("best", line + 5, 1, KERNEL_PARAM_MAX, false));
      fresh = true;
    } else if (strcmp(line, "verify") == 0 && fresh) {
      must_verify(&run, "last run");
      puts("{\"verified\":true}");
      fresh = false; /* verifying may have used the result up */
    } else {
      die(2, "%.60s: must be plain, best, best N, or verify after one of them",
          line);
    }
    fflush(stdout);
  }
  bench_fini(&run);
}

int main(int argc, char **argv) {
  struct options o = {.seed = 1,
                      .trials = 1,
                      .plain = true,
                      .best = true,
                      .clock = CLOCK_MONOTONIC};
  parse(&o, argc, argv);
  if (o.list) {
    list_kernels(o.json);
    return 0;
  }
  if (strcmp(o.kernel, "all") == 0) {
    for (size_t f = 0; bench_families[f]; f++) {
      for (const struct bench_kernel *k = bench_families[f]; k->name; k++) {
        run_kernel(k, &o);
      }
    }
    return 0;
  }
  const struct bench_kernel *kernel = bench_find(o.kernel);
  if (!kernel) {
    die(2, "--kernel %.100s: no such kernel; --list names them", o.kernel);
  }
  (o.serve ? serve : run_kernel)(kernel, &o);
  return 0;
}
