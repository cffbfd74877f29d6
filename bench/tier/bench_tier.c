/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-tier: how fast a block moves between the tiers of this machine while
 * threads read it (and, in a second table, also write it). Every word has its
 * number and is checked by the readers all the time and completely at the end.
 * Beside it, what a plain copy into memory that is present costs. Repetitions
 * are interleaved; what is reported is the median, with the least and the most.
 *
 *   bench-tier [--json FILE] [--repeat N] [--size BYTES] [--readers N]
 */
#include "base/base.h"
#include "cira/tier.h"

#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#define REPEAT_MAX 101
#define READERS_MAX 16
#define CASES_MAX 64
#define WORD_STEP 8u /* a word per line is looked at */

static struct {
  const char *json_file;
  int repeat, readers;
  uint64_t bytes;
} settings = {.repeat = 7, .readers = 1, .bytes = UINT64_C(256) << 20};

static struct {
  _Atomic uint64_t *p;
  _Atomic bool stop;
  _Atomic uint64_t wrong, read_bytes, stall_ns_max;
} run;

typedef struct {
  char name[96];
  uint32_t from, to; /* tiers */
  uint32_t from_flags, to_flags;
  bool writer;
  bool copy; /* not a move: a plain memcpy */
  double gb_s[REPEAT_MAX];
} case_t;

static case_t cases[CASES_MAX];
static uint32_t case_count;

static void check(cira_status_t status, const char *what) {
  if (status != CIRA_OK) {
    fprintf(stderr, "bench-tier: %s: %s\n", what, cira_status_detail());
    exit(1);
  }
}

static uint64_t word_of(uint64_t i) {
  return i * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* The writer adds to words that readers do not look at. */
static void *write_all(void *unused) {
  (void)unused;
  uint64_t words = settings.bytes / 8;
  while (!atomic_load_explicit(&run.stop, memory_order_relaxed)) {
    for (uint64_t i = 1; i < words; i += 512 * WORD_STEP) {
      uint64_t t0 = cira__now_ns();
      atomic_fetch_add_explicit(&run.p[i], 1, memory_order_relaxed);
      uint64_t ns = cira__now_ns() - t0;
      if (ns > atomic_load_explicit(&run.stall_ns_max, memory_order_relaxed)) {
        atomic_store(&run.stall_ns_max, ns);
      }
    }
  }
  return NULL;
}

static void *read_all(void *unused) {
  (void)unused;
  uint64_t words = settings.bytes / 8, wrong = 0, looked = 0;
  do {
    for (uint64_t i = 0; i < words; i += WORD_STEP) {
      wrong +=
          atomic_load_explicit(&run.p[i], memory_order_relaxed) != word_of(i);
      looked += WORD_STEP * 8;
      if ((i & 0xffff) == 0 &&
          atomic_load_explicit(&run.stop, memory_order_relaxed)) {
        break;
      }
    }
  } while (!atomic_load(&run.stop));
  atomic_fetch_add(&run.wrong, wrong);
  atomic_fetch_add(&run.read_bytes, looked);
  return NULL;
}

static double plain_copy(const case_t *c) {
  uint64_t huge = CIRA_TIER_CHUNK_BYTES;
  uint8_t *raw = mmap(NULL, settings.bytes + huge, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint8_t *from = (uint8_t *)(uintptr_t)run.p;
  if (raw == MAP_FAILED) {
    return 0;
  }
  uint8_t *to = (uint8_t *)(uintptr_t)cira__align_up((uintptr_t)raw, huge);
  madvise(to, settings.bytes,
          (c->to_flags & CIRA_TIER_F_HUGE) != 0 ? MADV_HUGEPAGE
                                                : MADV_NOHUGEPAGE);
  memset(to, 1, settings.bytes);
  uint64_t t0 = cira__now_ns();
  memcpy(to, from, settings.bytes);
  uint64_t ns = cira__now_ns() - t0;
  munmap(raw, settings.bytes + huge);
  return (double)settings.bytes / (double)ns;
}

static double once(const case_t *c) {
  cira_tier_options_t o;
  pthread_t thread[READERS_MAX + 1];
  void *p;
  int threads = 0;
  cira_tier_options_default(&o);
  o.flags = c->from_flags;
  check(cira_tier_alloc(settings.bytes, &o, &p), "allocating");
  run.p = p;
  for (uint64_t i = 0; i < settings.bytes / 8; i++) {
    atomic_store_explicit(&run.p[i], word_of(i), memory_order_relaxed);
  }
  if (c->from != CIRA_TIER_LOCAL_ID) {
    check(cira_tier_set(p, 0, c->from, 0), "moving to where it begins");
  }
  atomic_store(&run.stop, false);
  for (; threads < settings.readers && !c->copy; threads++) {
    if (pthread_create(&thread[threads], NULL, read_all, NULL) != 0) {
      exit(1);
    }
  }
  if (c->writer && pthread_create(&thread[threads++], NULL, write_all, NULL)) {
    exit(1);
  }
  double result;
  if (c->copy) {
    result = plain_copy(c);
  } else {
    uint64_t t0 = cira__now_ns();
    check(cira_tier_set(p, 0, c->to, c->to_flags), c->name);
    result = (double)settings.bytes / (double)(cira__now_ns() - t0);
  }
  atomic_store(&run.stop, true);
  for (int i = 0; i < threads; i++) {
    pthread_join(thread[i], NULL);
  }
  for (uint64_t i = 0; i < settings.bytes / 8; i += WORD_STEP) {
    if (atomic_load_explicit(&run.p[i], memory_order_relaxed) != word_of(i)) {
      atomic_fetch_add(&run.wrong, 1);
    }
  }
  check(cira_tier_free(p), "freeing");
  return result;
}

static void add(const char *name, uint32_t from, uint32_t from_flags,
                uint32_t to, uint32_t to_flags, bool writer, bool copy) {
  if (case_count < CASES_MAX) {
    case_t *c = &cases[case_count++];
    *c = (case_t){.from = from,
                  .to = to,
                  .from_flags = from_flags,
                  .to_flags = to_flags,
                  .writer = writer,
                  .copy = copy};
    snprintf(c->name, sizeof c->name, "%s%s", name,
             writer ? ", and a writer" : "");
  }
}

static void cases_make(void) {
  enum { HUGE = CIRA_TIER_F_HUGE, SMALL = CIRA_TIER_F_SMALL };
  cira_tier_info_t t[CIRA_TIER_MAX];
  uint32_t n;
  check(cira_tier_list(t, CIRA_TIER_MAX, &n), "listing tiers");
  add("memcpy, huge pages", 0, HUGE, 0, HUGE, false, true);
  add("memcpy, small pages", 0, SMALL, 0, SMALL, false, true);
  for (int writer = 0; writer < 2; writer++) {
    add("local, small pages to huge", 0, SMALL, 0, HUGE, writer, false);
    add("local, huge pages to huge", 0, HUGE, 0, HUGE, writer, false);
    add("local, huge pages to small", 0, HUGE, 0, SMALL, writer, false);
    for (uint32_t i = 1; i < n; i++) {
      char name[128];
      if (!t[i].usable || t[i].kind == CIRA_TIER_FAR ||
          t[i].bytes / 2 < (t[i].bytes ? settings.bytes : 0)) {
        continue;
      }
      snprintf(name, sizeof name, "local to %s", t[i].name);
      add(name, 0, 0, i, 0, writer, false);
      snprintf(name, sizeof name, "%s to local", t[i].name);
      add(name, i, 0, 0, 0, writer, false);
    }
  }
}

/* ---- running ------------------------------------------------------------ */

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void arguments(int argc, char **argv) {
  static const struct option OPTIONS[] = {
      {"json", required_argument, NULL, 'j'},
      {"repeat", required_argument, NULL, 'r'},
      {"size", required_argument, NULL, 's'},
      {"readers", required_argument, NULL, 'n'},
      {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
    uint64_t n = 0;
    cira_status_t status = CIRA_OK;
    switch (c) {
    case 'j':
      settings.json_file = optarg;
      continue;
    case 's':
      status = cira__parse_size(optarg, "--size", &settings.bytes);
      break;
    case 'r':
      status = cira__parse_u64(optarg, "--repeat", REPEAT_MAX, &n);
      settings.repeat = (int)n;
      break;
    case 'n':
      status = cira__parse_u64(optarg, "--readers", READERS_MAX, &n);
      settings.readers = (int)n;
      break;
    default:
      exit(2);
    }
    check(status, "option");
  }
  if (settings.repeat == 0 || settings.bytes < CIRA_TIER_CHUNK_BYTES ||
      optind != argc) {
    fprintf(stderr, "usage: bench-tier [--json FILE] [--repeat N] [--size "
                    "BYTES, 2M or more] [--readers N]\n");
    exit(2);
  }
}

int main(int argc, char **argv) {
  struct utsname u;
  arguments(argc, argv);
  cases_make();
  for (int r = 0; r < settings.repeat; r++) {
    for (uint32_t i = 0; i < case_count; i++) {
      cases[i].gb_s[r] = once(&cases[i]);
    }
  }
  uname(&u);
  json_t *root = json_pack(
      "{s:s, s:s, s:I, s:i, s:i, s:I, s:I}", "bench", "tier", "kernel",
      u.release, "bytes", (json_int_t)settings.bytes, "repeat", settings.repeat,
      "readers", settings.readers, "wrong_reads", (json_int_t)run.wrong,
      "write_stall_max_ns", (json_int_t)run.stall_ns_max);
  json_t *results = json_array();
  printf("%-44s %8s %8s %8s   GB/s\n", "", "median", "least", "most");
  for (uint32_t i = 0; i < case_count; i++) {
    double *v = cases[i].gb_s;
    size_t n = (size_t)settings.repeat;
    qsort(v, n, sizeof *v, by_size);
    printf("%-44s %8.2f %8.2f %8.2f\n", cases[i].name, v[n / 2], v[0],
           v[n - 1]);
    json_array_append_new(results,
                          json_pack("{s:s, s:f, s:f, s:f}", "what",
                                    cases[i].name, "gb_per_s", v[n / 2],
                                    "least", v[0], "most", v[n - 1]));
  }
  json_object_set_new(root, "results", results);
  printf("wrong reads: %llu, longest wait of a write: %.2f ms\n",
         (unsigned long long)run.wrong, (double)run.stall_ns_max / 1e6);
  if (settings.json_file != NULL &&
      json_dump_file(root, settings.json_file, JSON_INDENT(2)) != 0) {
    fprintf(stderr, "bench-tier: cannot write '%s'\n", settings.json_file);
    return 1;
  }
  json_decref(root);
  return run.wrong != 0;
}
