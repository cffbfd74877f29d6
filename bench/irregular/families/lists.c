/* SPDX-License-Identifier: Apache-2.0
 *
 * Linked lists whose nodes lie in random order. Verified by summing the nodes
 * in the order of memory.
 *
 * list-repeated times the second and later walks of one list; the first one,
 * on which jump pointers are built, belongs to the setup.
 */
#include "bench.h"

#define WALKS 2

struct lists {
  struct list_node *node;
  struct list_node **head;
  uint64_t lists;
  const struct list_node **order;
  uint64_t result;
};

static uint64_t limit_of(unsigned walk) {
  return UINT64_C(1) << (62 - walk);
}

/* Cuts the nodes in their random order into `lists` lists. */
static void link_lists(struct bench_run *run, uint64_t lists) {
  struct lists *d = bench_alloc(run, 1, sizeof *d);
  uint64_t state = run->seed;
  uint64_t n = run->size;
  uint32_t *place = bench_alloc(run, n, sizeof *place);
  run->data = d;
  d->lists = lists;
  d->node = bench_alloc(run, n, sizeof *d->node);
  d->head = bench_alloc(run, lists, sizeof *d->head);
  bench_permutation(place, n, &state);
  for (uint64_t i = 0; i < n; i++) {
    struct list_node *node = &d->node[place[i]];
    bool last = i + 1 == n || (i + 1) * lists / n != i * lists / n;
    node->next = last ? NULL : &d->node[place[i + 1]];
    node->value = bench_random(&state);
    if (i == 0 || i * lists / n != (i - 1) * lists / n) {
      d->head[i * lists / n] = node;
    }
  }
  bench_free(run, place);
}

/* --- One list, walked again ----------------------------------------------- */

static void repeated_setup(struct bench_run *run) {
  link_lists(run, 1);
  struct lists *d = run->data;
  d->order = bench_alloc(run, run->size, sizeof *d->order);
  run->elements = WALKS * run->size;
  d->result = plain_list_sum(d->head[0], 0);
  d->result -= best_list_record(d->head[0], 0, d->order);
}

static void repeated_reset(struct bench_run *run) {
  struct lists *d = run->data;
  d->result = 0;
}

static void repeated_plain(struct bench_run *run) {
  struct lists *d = run->data;
  for (unsigned walk = 0; walk < WALKS; walk++) {
    d->result += plain_list_sum(d->head[0], limit_of(walk));
  }
}

static void repeated_best(struct bench_run *run, unsigned param) {
  struct lists *d = run->data;
  for (unsigned walk = 0; walk < WALKS; walk++) {
    d->result +=
        best_list_sum(d->head[0], limit_of(walk), d->order, run->size, param);
  }
}

static const char *repeated_verify(struct bench_run *run) {
  const struct lists *d = run->data;
  uint64_t sum = 0;
  for (uint64_t i = 0; i < run->size; i++) {
    for (unsigned walk = 0; walk < WALKS; walk++) {
      sum += d->node[i].value >= limit_of(walk) ? d->node[i].value : 0;
    }
  }
  return sum == d->result ? NULL : "the sum differs from the one by place";
}

/* --- Many lists ----------------------------------------------------------- */

static void many_setup(struct bench_run *run) {
  uint64_t length = run->kernel->variant;
  uint64_t lists = length ? run->size / length : 32;
  link_lists(run, lists ? lists : 1);
  run->elements = run->size;
}

static void many_reset(struct bench_run *run) {
  struct lists *d = run->data;
  d->result = 0;
}

static void many_plain(struct bench_run *run) {
  struct lists *d = run->data;
  d->result = plain_lists_sum(d->head, d->lists);
}

static void many_best(struct bench_run *run, unsigned param) {
  struct lists *d = run->data;
  d->result = best_lists_sum(d->head, d->lists, param);
}

static const char *many_verify(struct bench_run *run) {
  const struct lists *d = run->data;
  uint64_t sum = 0;
  for (uint64_t i = 0; i < run->size; i++) {
    sum += d->node[i].value;
  }
  return sum == d->result ? NULL : "the sum differs from the one by place";
}

static uint64_t finish(struct bench_run *run) {
  return ((const struct lists *)run->data)->result;
}

#define MANY(NAME, ABOUT, LENGTH, PARAM, ...)                                  \
  {                                                                            \
      .name = NAME,                                                            \
      .about = ABOUT,                                                          \
      .sized = "nodes of 64 bytes",                                            \
      .element = "node",                                                       \
      .param = "width",                                                        \
      .test_size = 12345,                                                      \
      .bench_size = UINT64_C(1) << 23,                                         \
      .min_size = 32,                                                          \
      .max_size = UINT64_C(1) << 31,                                           \
      .variant = LENGTH,                                                       \
      .best_param = PARAM,                                                     \
      .sweep = {__VA_ARGS__},                                                  \
      .setup = many_setup,                                                     \
      .reset = many_reset,                                                     \
      .plain = many_plain,                                                     \
      .best = many_best,                                                       \
      .finish = finish,                                                        \
      .verify = many_verify,                                                   \
  }

const struct bench_kernel lists_kernels[] = {
    {.name = "list-repeated",
     .about = "one list, from its second walk on",
     .sized = "nodes of 64 bytes",
     .element = "node",
     .param = "jump",
     .test_size = 12345,
     .bench_size = UINT64_C(1) << 23,
     .min_size = 1,
     .max_size = UINT64_C(1) << 31,
     .best_param = 128,
     .sweep = {8, 16, 32, 64, 96, 128, 192, 256},
     .setup = repeated_setup,
     .reset = repeated_reset,
     .plain = repeated_plain,
     .best = repeated_best,
     .finish = finish,
     .verify = repeated_verify},
    MANY("lists-8", "many lists of 8 nodes", 8, 64, 8, 16, 32, 64, 96, 128),
    MANY("lists-100", "many lists of 100 nodes", 100, 64, 8, 16, 32, 64, 96,
         128),
    MANY("lists-long", "32 long lists", 0, 32, 2, 4, 8, 16, 24, 32),
    {0},
};
