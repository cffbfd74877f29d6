/* SPDX-License-Identifier: Apache-2.0
 *
 * pager-load: an ordinary program with one large heap block and a known way to
 * walk it; pager.py runs it plain, under cira-run and under kernel swap. Knows
 * nothing of cira. Prints one JSON object with the cost per access and a
 * checksum that must not depend on how it was run.
 * Fixed seed; half of each page is random, half is small numbers, so that
 * compressing swap has neither the best nor the worst case.
 * Threads: one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE_BYTES 4096u
#define WORDS (PAGE_BYTES / 8)
#define LINK_WORD 0u /* index of the next page in the chase */
#define MARK_WORD 9u /* the word that `dirty` changes */

typedef struct {
  uint64_t *words;
  uint64_t pages;
  uint64_t accesses;
  uint32_t passes;
  uint64_t seconds;
} load_t;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void fill(load_t *l) {
  uint64_t state = 42;
  for (uint64_t p = 0; p < l->pages; p++) {
    uint64_t *w = l->words + p * WORDS;
    for (uint32_t i = 0; i < WORDS; i++) {
      w[i] = i < WORDS / 2 ? next_random(&state) : p + i;
    }
    w[MARK_WORD] = 0;
  }
}

/* One cycle through all pages in random order (Sattolo), written at the same
 * time as the contents: the order array is freed before the chase. */
static int link_pages(load_t *l) {
  uint32_t *order = malloc(l->pages * sizeof *order);
  if (order == NULL) {
    return -1;
  }
  uint64_t state = 7;
  for (uint64_t i = 0; i < l->pages; i++) {
    order[i] = (uint32_t)i;
  }
  for (uint64_t i = l->pages - 1; i > 0; i--) {
    uint64_t j = next_random(&state) % i;
    uint32_t t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  for (uint64_t i = 0; i < l->pages; i++) {
    l->words[i * WORDS + LINK_WORD] = order[i];
  }
  free(order);
  return 0;
}

static int compare_u32(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a;
  uint32_t y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Every access depends on the one before and goes to another page. */
static int chase(load_t *l) {
  uint32_t *sample = malloc(l->accesses * sizeof *sample);
  if (sample == NULL || link_pages(l) != 0) {
    return -1;
  }
  memset(sample, 1, l->accesses * sizeof *sample);
  uint64_t at = 0;
  uint64_t sum = 0;
  uint64_t warm = l->accesses / 4;
  uint64_t began = now_ns();
  uint64_t before = began;
  for (uint64_t i = 0; i < l->accesses + warm; i++) {
    at = l->words[at * WORDS + LINK_WORD];
    sum += at ^ i;
    uint64_t t = now_ns();
    if (i < warm) {
      began = t;
    } else {
      uint64_t d = t - before;
      sample[i - warm] = d > UINT32_MAX ? UINT32_MAX : (uint32_t)d;
    }
    before = t;
  }
  uint64_t total = before - began;
  qsort(sample, l->accesses, sizeof *sample, compare_u32);
  uint64_t calm = 0;
  uint64_t calm_count = 0; /* without other processes' time slices */
  for (uint64_t i = 0; i < l->accesses && sample[i] <= 500000; i++) {
    calm += sample[i];
    calm_count++;
  }
  printf("{\"mean_ns\": %.1f, \"mean_below_500us_ns\": %.1f, "
         "\"median_ns\": %u, \"p99_ns\": %u, \"checksum\": \"%016" PRIx64
         "\"}\n",
         (double)total / (double)l->accesses,
         (double)calm / (double)(calm_count != 0 ? calm_count : 1),
         sample[l->accesses / 2], sample[l->accesses * 99 / 100], sum);
  free(sample);
  return 0;
}

#define RUN_PAGES 9u

/* Short runs of pages at random places: reading ahead of their ends is waste.
 */
static int runs(load_t *l) {
  uint64_t state = 3;
  uint64_t sum = 0;
  uint64_t count = l->accesses / RUN_PAGES;
  uint64_t began = 0;
  for (uint64_t i = 0; i < count + count / 4; i++) {
    if (i == count / 4) {
      began = now_ns();
    }
    uint64_t p = next_random(&state) % (l->pages - RUN_PAGES);
    for (uint64_t k = 0; k < RUN_PAGES; k++) {
      sum += l->words[(p + k) * WORDS + 1] ^ i;
    }
  }
  printf("{\"mean_ns\": %.1f, \"checksum\": \"%016" PRIx64 "\"}\n",
         (double)(now_ns() - began) / (double)(count * RUN_PAGES), sum);
  return 0;
}

static uint64_t read_all(const load_t *l) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < l->pages * WORDS; i++) {
    sum += l->words[i];
  }
  return sum;
}

static void report_pages(uint64_t ns, uint64_t pages, uint64_t sum) {
  printf("{\"mean_ns\": %.1f, \"checksum\": \"%016" PRIx64 "\"}\n",
         (double)ns / (double)pages, sum);
}

/* Reads the block from start to end, `passes` times. */
static int sequential(load_t *l) {
  uint64_t sum = read_all(l); /* the tail of the filling goes home first */
  uint64_t began = now_ns();
  for (uint32_t k = 0; k < l->passes; k++) {
    sum += read_all(l) * (k + 2);
  }
  report_pages(now_ns() - began, l->pages * l->passes, sum);
  return 0;
}

/* Changes one word of each page, `passes` times, and lets every change be
 * evicted by reading all afterwards. With passes = 0 the same without the
 * changes: the difference of both is what the changes cost. */
static int dirty(load_t *l) {
  uint64_t sum = read_all(l);
  uint64_t spent = 0;
  for (uint32_t k = 0; k < l->passes; k++) {
    uint64_t began = now_ns();
    for (uint64_t p = 0; p < l->pages; p++) {
      l->words[p * WORDS + MARK_WORD] = p ^ (k + 1);
    }
    spent += now_ns() - began;
    sum += read_all(l);
  }
  report_pages(spent, l->pages * (l->passes != 0 ? l->passes : 1), sum);
  return 0;
}

/* Random reads and writes of single words: what a hit costs. */
static int touch(load_t *l) {
  uint64_t state = 5;
  uint64_t sum = 0;
  uint64_t words = l->pages * WORDS;
  uint64_t began = now_ns();
  for (uint64_t i = 0; i < l->accesses; i++) {
    uint64_t r = next_random(&state);
    uint64_t *w = &l->words[(r >> 8) % words];
    sum += *w;
    if ((r & 3) == 0) {
      *w = sum;
    }
  }
  report_pages(now_ns() - began, l->accesses, sum);
  return 0;
}

static int page_wrong(const load_t *l, uint64_t p, uint32_t version) {
  const uint64_t *w = l->words + p * WORDS;
  return w[MARK_WORD] != version || w[WORDS - 1] != p + WORDS - 1 ||
         w[WORDS / 2] != p + WORDS / 2;
}

/* Writes and checks random pages for `seconds` (0 = until it is killed): every
 * page has to hold what was written last. */
static int soak(load_t *l) {
  uint32_t *version = calloc(l->pages, sizeof *version);
  if (version == NULL) {
    return -1;
  }
  uint64_t state = 11;
  uint64_t steps = 0;
  uint64_t wrong = 0;
  uint64_t until = now_ns() + l->seconds * UINT64_C(1000000000);
  while (l->seconds == 0 || now_ns() < until) {
    uint64_t p = next_random(&state) % l->pages;
    wrong += (uint64_t)page_wrong(l, p, version[p]);
    l->words[p * WORDS + MARK_WORD] = ++version[p];
    steps++;
  }
  for (uint64_t p = 0; p < l->pages; p++) {
    wrong += (uint64_t)page_wrong(l, p, version[p]);
  }
  printf("{\"steps\": %" PRIu64 ", \"wrong\": %" PRIu64 "}\n", steps, wrong);
  free(version);
  return 0;
}

static int warm_up(load_t *l) {
  for (uint64_t p = 0; p < l->pages; p++) {
    l->words[p * WORDS] = 1;
  }
  printf("{\"pages\": %" PRIu64 "}\n", l->pages);
  return 0;
}

static const struct {
  const char *name;
  int (*run)(load_t *l);
  int filled;
} MODES[] = {
    {"chase", chase, 1}, {"seq", sequential, 1}, {"dirty", dirty, 1},
    {"touch", touch, 1}, {"warm", warm_up, 0},   {"soak", soak, 1},
    {"runs", runs, 1},
};

static uint64_t number(const char *text) {
  char *end;
  uint64_t n = strtoull(text, &end, 10);
  switch (*end) {
  case 'g':
    n <<= 10; /* fall through */
  case 'm':
    n <<= 10; /* fall through */
  case 'k':
    n <<= 10;
  }
  return n;
}

int main(int argc, char **argv) {
  load_t l = {.pages = 65536, .accesses = 100000, .passes = 2};
  for (int i = 2; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--bytes") == 0) {
      l.pages = number(argv[i + 1]) / PAGE_BYTES;
    } else if (strcmp(argv[i], "--accesses") == 0) {
      l.accesses = number(argv[i + 1]);
    } else if (strcmp(argv[i], "--passes") == 0) {
      l.passes = (uint32_t)number(argv[i + 1]);
    } else if (strcmp(argv[i], "--seconds") == 0) {
      l.seconds = number(argv[i + 1]);
    } else {
      argc = 0;
    }
  }
  size_t mode = 0;
  while (mode < sizeof MODES / sizeof MODES[0] &&
         (argc < 2 || strcmp(argv[1], MODES[mode].name) != 0)) {
    mode++;
  }
  if (mode == sizeof MODES / sizeof MODES[0] || l.pages == 0 ||
      l.pages > UINT32_MAX || l.pages <= RUN_PAGES || l.accesses == 0) {
    fputs("usage: pager-load chase|seq|dirty|touch|warm|soak|runs [--bytes "
          "N[kmg]]"
          " [--accesses N] [--passes N] [--seconds N]\n",
          stderr);
    return 2;
  }
  void *raw = malloc((l.pages + 1) * PAGE_BYTES);
  if (raw == NULL) {
    fprintf(stderr, "pager-load: no memory for %" PRIu64 " pages\n", l.pages);
    return 1;
  }
  l.words = (uint64_t *)(((uintptr_t)raw + PAGE_BYTES - 1) &
                         ~(uintptr_t)(PAGE_BYTES - 1));
  if (MODES[mode].filled) {
    fill(&l);
  }
  int status = MODES[mode].run(&l);
  free(raw);
  if (status != 0) {
    fputs("pager-load: out of memory\n", stderr);
  }
  return status == 0 ? 0 : 1;
}
