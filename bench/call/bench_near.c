/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-near: what it is worth to run a function at the memory server
 * (cira/call.h, cira-memd --kernels) instead of bringing the data here. A call
 * that does nothing, alone and in batches; the sum of an array of 64 MiB and of
 * a list with a node in each of 20,000 pages, each by a loop here that pages
 * through 8 MiB of local cache and by one call; over shm: and tcp:. Loop and
 * call are interleaved; every sum is checked; medians.
 *
 *   bench-near [--json FILE] [--repeat N] [--count N] [--only TEXT,...]
 *              [--memd PATH]    --count: calls in batches
 */
#include "bench.h"
#include "cira/call.h"
#include "cira/far.h"
#include "near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_BYTES (8u << 20)
#define WORDS (8u << 20) /* 64 MiB */
#define NODES 20000u
#define STEP 7919u /* pages, prime to NODES: the list jumps about */
#define PAGE 4096u
#define ALONE 50u /* calls one by one in a repetition */

typedef struct {
  const char *scheme;
  cira_call_client_t *client;
  uint64_t *words;
  uint8_t *pages;
  near_node_t *head;
} place_t;

static void expect(uint64_t got, uint64_t want) {
  if (got != want) {
    fprintf(stderr, "bench-near: sum %llu, not %llu\n", (unsigned long long)got,
            (unsigned long long)want);
    exit(1);
  }
}

static uint32_t find(const place_t *p, const char *name) {
  uint32_t function = 0;
  bench_check(cira_call_find(p->client, name, CIRA_FOREVER, &function), name);
  return function;
}

static uint64_t call(const place_t *p, uint32_t function, uint64_t argument,
                     void *at, uint64_t bytes) {
  uint64_t result = 0;
  cira_call_t c = {0};
  cira_call_range_t range = {
      .at = at, .bytes = bytes, .access = CIRA_CALL_READ};
  cira_call_request_t request = {.args = &argument,
                                 .args_bytes = sizeof(argument),
                                 .result = &result,
                                 .result_max = sizeof(result),
                                 .range = at ? &range : NULL,
                                 .range_count = at ? 1 : 0};
  bench_check(cira_call_submit(p->client, function, &request, &c), "submit");
  bench_check(cira_call_wait(p->client, &c, CIRA_FOREVER), "wait");
  return result;
}

/* ---- measures: nanoseconds ---------------------------------------------- */

static double alone(const place_t *p) {
  uint32_t function = find(p, "nothing");
  uint64_t begin = cira__now_ns();
  for (uint32_t i = 0; i < ALONE; i++) {
    expect(call(p, function, i, NULL, 0), 1);
  }
  return (double)(cira__now_ns() - begin) / ALONE;
}

static double batched(const place_t *p, uint64_t count) {
  uint64_t *args = calloc(count, sizeof(*args));
  uint64_t *results = calloc(count, sizeof(*results));
  uint64_t done = 0;
  cira_call_many_t many = {.args = args,
                           .results = results,
                           .count = count,
                           .args_bytes = sizeof(*args),
                           .result_bytes = sizeof(*results)};
  if (!args || !results) {
    bench_die("no memory");
  }
  uint32_t function = find(p, "nothing");
  uint64_t begin = cira__now_ns();
  bench_check(cira_call_many(p->client, function, &many, &done), "many");
  uint64_t took = cira__now_ns() - begin;
  expect(near_sum(results, count), count);
  free(args);
  free(results);
  return (double)took / (double)count;
}

static uint64_t list_here(const near_node_t *node) {
  uint64_t total = 0;
  for (; node; node = node->next) {
    total += node->value;
  }
  return total;
}

static double sum_of(const place_t *p, bool near) {
  uint32_t function = find(p, "sum");
  uint64_t begin = cira__now_ns();
  uint64_t total =
      near ? call(p, function, 0, p->words, (uint64_t)WORDS * NEAR_WORD)
           : near_sum(p->words, WORDS);
  uint64_t took = cira__now_ns() - begin;
  expect(total, (uint64_t)WORDS * (WORDS - 1) / 2);
  return (double)took;
}

static double list_of(const place_t *p, bool near) {
  uint32_t function = find(p, "list");
  uint64_t begin = cira__now_ns();
  uint64_t total = near ? call(p, function, (uint64_t)(uintptr_t)p->head,
                               p->pages, (uint64_t)NODES * PAGE)
                        : list_here(p->head);
  uint64_t took = cira__now_ns() - begin;
  expect(total, (uint64_t)NODES * (NODES - 1) / 2);
  return (double)took;
}

/* ---- places ------------------------------------------------------------- */

static void place_open(place_t *p, const char *url) {
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = url;
  opt.local_bytes = LOCAL_BYTES;
  bench_check(cira_far_start(&opt), "far memory");
  p->words = cira_far_alloc((uint64_t)WORDS * NEAR_WORD, PAGE);
  p->pages = cira_far_alloc((uint64_t)NODES * PAGE, PAGE);
  if (!p->words || !p->pages) {
    bench_die("far memory");
  }
  for (uint64_t i = 0; i < WORDS; i++) {
    p->words[i] = i;
  }
  for (uint64_t i = 0; i < NODES; i++) {
    uint64_t here = i * STEP % NODES;
    uint64_t next = (i + 1) * STEP % NODES;
    near_node_t *node = (near_node_t *)(void *)(p->pages + here * PAGE);
    node->value = i;
    node->next =
        i + 1 < NODES ? (near_node_t *)(void *)(p->pages + next * PAGE) : NULL;
  }
  p->head = (near_node_t *)(void *)p->pages;
  bench_check(cira_call_server(NULL, NULL, NULL, CIRA_FOREVER, &p->client),
              "the server's kernels");
}

static void place_close(place_t *p) {
  cira_call_destroy(p->client);
  bench_check(cira_far_free(p->pages), "free");
  bench_check(cira_far_free(p->words), "free");
  bench_check(cira_far_stop(), "stop");
}

/* A loop here and a call there, and how much of the loop's time it takes. */
static void pair_measure(const place_t *p, const char *name, uint32_t repeat,
                         double (*fn)(const place_t *p, bool near)) {
  double here[BENCH_REPEAT_MAX], near[BENCH_REPEAT_MAX],
      ratio[BENCH_REPEAT_MAX];
  char text[64];
  if (!bench_wants(name)) {
    return;
  }
  for (uint32_t i = 0; i <= repeat; i++) { /* round 0 warms up */
    uint32_t at = i == 0 ? 0 : i - 1;
    here[at] = fn(p, false);
    near[at] = fn(p, true);
    ratio[at] = near[at] / here[at];
  }
  (void)snprintf(text, sizeof(text), "%s_loop_ns", name);
  bench_row(p->scheme, text, here, repeat);
  (void)snprintf(text, sizeof(text), "%s_call_ns", name);
  bench_row(p->scheme, text, near, repeat);
  (void)snprintf(text, sizeof(text), "%s_call_of_loop", name);
  bench_row(p->scheme, text, ratio, repeat);
}

static void place_measure(const place_t *p, const bench_settings_t *s) {
  double one[BENCH_REPEAT_MAX];
  double many[BENCH_REPEAT_MAX];
  if (bench_wants("nothing")) {
    for (uint32_t i = 0; i <= s->repeat; i++) {
      one[i == 0 ? 0 : i - 1] = alone(p);
      many[i == 0 ? 0 : i - 1] = batched(p, s->count);
    }
    bench_row(p->scheme, "nothing_alone_ns", one, s->repeat);
    bench_row(p->scheme, "nothing_many_ns", many, s->repeat);
  }
  pair_measure(p, "array", s->repeat, sum_of);
  pair_measure(p, "list", s->repeat, list_of);
}

int main(int argc, char **argv) {
  static const char *const kernels[] = {"--kernels", BENCH_NEAR_KERNELS, NULL};
  bench_settings_t s = {
      .program = "bench-near",
      .about =
          "What it is worth to run a function at the memory server instead "
          "of\nbringing the data here, in nanoseconds, over shm: and tcp:.",
      .counts = "calls in batches",
      .repeat = 5,
      .count = 1u << 20,
      .count_least = 1024};
  bench_memd_t memd;
  bench_begin(argc, argv, &s, NULL, 0);
  bench_memd_start(&memd, false, kernels);
  place_t places[] = {{.scheme = "shm"}, {.scheme = "tcp"}};
  for (uint32_t i = 0; i < CIRA_COUNT(places); i++) {
    place_open(&places[i], i == 0 ? memd.shm_url : memd.tcp_url);
    place_measure(&places[i], &s);
    place_close(&places[i]);
  }
  bench_memd_stop(&memd);
  bench_end();
  return 0;
}
