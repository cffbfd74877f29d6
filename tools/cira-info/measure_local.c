/* SPDX-License-Identifier: Apache-2.0
 *
 * measure_local: what a load, an operation and a word to another core cost
 * here. Latencies come from chains of dependent loads through all lines in
 * random order, so that neither prefetchers nor overlap help; how many such
 * chains one core runs at once tells how many lines it keeps in flight, and a
 * loop that asks for its lines ahead, how many prefetches. All figures are
 * medians of several trials on one processor.
 */
#include <hwloc.h>
#include <numa.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cira-info/measure.h"

#define TRIALS 9
#define MEMORY_MIN_BYTES (UINT64_C(64) << 20)   /* 64 MiB */
#define MEMORY_MAX_BYTES (UINT64_C(1024) << 20) /* 1 GiB */
#define RATE_BYTES (UINT64_C(128) << 20)        /* streamed in one trial */
#define HUGE_BYTES (UINT64_C(2) << 20)          /* 2 MiB */
#define CHASE_STEPS 200000u
#define LINE_WORDS (CIRA_LINE_BYTES / sizeof(uint64_t))
#define CHAINS_MAX 32u
#define OPS 2000000u
#define HANDOVERS 64u /* in one trial */
#define HANDOVER_TRIALS 301u
#define HANDOVER_LIMIT_NS UINT64_C(500000000) /* 0.5 s on a busy machine */

/* ---- chains of loads ---------------------------------------------------- */

typedef struct {
  uint64_t *words; /* the first word of each line: number of the next line */
  uint64_t lines;
  void *mapping;
  uint64_t mapped_bytes;
  uint64_t random; /* state: where the next trial begins */
} memory_t;

/* One cycle through all lines in random order (Sattolo). */
static void link_lines(memory_t *m) {
  for (uint64_t i = 0; i < m->lines; i++) {
    m->words[i * LINE_WORDS] = i;
  }
  for (uint64_t i = m->lines - 1; i > 0; i--) {
    uint64_t j = info__random(&m->random) % i;
    uint64_t t = m->words[i * LINE_WORDS];
    m->words[i * LINE_WORDS] = m->words[j * LINE_WORDS];
    m->words[j * LINE_WORDS] = t;
  }
}

/* Follows `chains` chains at once; returns the time per line. Inlined with a
 * constant, so that the places are in registers. */
static inline __attribute__((always_inline)) double
chase(memory_t *m, uint64_t steps, unsigned chains) {
  uint64_t at[CHAINS_MAX];
  const uint64_t *words = m->words;
  for (unsigned i = 0; i < chains; i++) {
    at[i] = info__random(&m->random) % m->lines;
  }
  uint64_t began = cira__now_ns();
  for (uint64_t step = 0; step < steps / chains; step++) {
#pragma clang loop unroll(full)
    for (unsigned i = 0; i < chains; i++) {
      at[i] = words[at[i] * LINE_WORDS];
    }
  }
  uint64_t ns = cira__now_ns() - began;
  for (unsigned i = 0; i < chains; i++) {
    __asm__ volatile("" : : "r"(at[i]));
  }
  return (double)ns / (double)(steps / chains * chains);
}

#define CHASE(n)                                                               \
  static double chase_##n(memory_t *m, uint64_t steps) {                       \
    return chase(m, steps, n);                                                 \
  }
CHASE(1)
CHASE(4)
CHASE(8)
CHASE(12)
CHASE(16)
CHASE(24)
CHASE(32)

static double chase_median(memory_t *m,
                           double (*chase_n)(memory_t *m, uint64_t steps)) {
  double sample[TRIALS];
  for (size_t i = 0; i < TRIALS; i++) {
    sample[i] = chase_n(m, CHASE_STEPS);
  }
  return info__median(sample, TRIALS);
}

/* Misses in flight = time of a lone miss / time per line when as many chains
 * run as the core can overlap. */
static double lines_in_flight(memory_t *m, double lone_ns) {
  static double (*const MANY[])(memory_t *, uint64_t) = {
      chase_4, chase_8, chase_12, chase_16, chase_24, chase_32};
  double best_ns = lone_ns;
  for (size_t i = 0; i < CIRA_COUNT(MANY); i++) {
    double ns = chase_median(m, MANY[i]);
    best_ns = ns < best_ns ? ns : best_ns;
  }
  return lone_ns / best_ns;
}

#define AHEAD_MAX 128u

/* Reads random lines, each asked for `ahead` lines before; returns the time per
 * line. `at` has room for CHASE_STEPS + AHEAD_MAX numbers. */
static double fetch(memory_t *m, uint32_t *at, uint32_t ahead) {
  const uint64_t *words = m->words;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < CHASE_STEPS + AHEAD_MAX; i++) {
    at[i] = (uint32_t)(info__random(&m->random) % m->lines);
  }
  uint64_t began = cira__now_ns();
  for (uint32_t i = 0; i < CHASE_STEPS; i++) {
    __builtin_prefetch(&words[at[i + ahead] * LINE_WORDS], 0, 2);
    sum += words[at[i] * LINE_WORDS];
  }
  uint64_t ns = cira__now_ns() - began;
  __asm__ volatile("" : : "r"(sum));
  return (double)ns / CHASE_STEPS;
}

/* The same for prefetches into the second-level cache, which need no buffer of
 * the first one; at least `lines`, which plain loads keep in flight. */
static double prefetches_in_flight(memory_t *m, double lone_ns, double lines) {
  static uint32_t at[CHASE_STEPS + AHEAD_MAX];
  double best_ns = lone_ns / lines;
  for (uint32_t ahead = AHEAD_MAX / 4; ahead <= AHEAD_MAX; ahead *= 2) {
    double sample[TRIALS];
    for (size_t i = 0; i < TRIALS; i++) {
      sample[i] = fetch(m, at, ahead);
    }
    double ns = info__median(sample, TRIALS);
    best_ns = ns < best_ns ? ns : best_ns;
  }
  return lone_ns / best_ns;
}

/* Bytes per second that one core reads in order. */
static double stream_rate(const memory_t *m) {
  double sample[TRIALS];
  uint64_t words = m->lines * LINE_WORDS;
  words = cira__min_u64(words, RATE_BYTES / sizeof(uint64_t));
  for (size_t round = 0; round < TRIALS; round++) {
    uint64_t sum[4] = {0};
    uint64_t began = cira__now_ns();
    for (uint64_t i = 0; i < words; i += 4) {
      sum[0] += m->words[i];
      sum[1] += m->words[i + 1];
      sum[2] += m->words[i + 2];
      sum[3] += m->words[i + 3];
    }
    uint64_t ns = cira__now_ns() - began;
    __asm__ volatile("" : : "r"(sum[0] + sum[1] + sum[2] + sum[3]));
    sample[round] = (double)(words * sizeof(uint64_t)) * 1e9 / (double)ns;
  }
  return info__median(sample, TRIALS);
}

/* Linked lines on node `node`, -1 = wherever; false when there is no room. In
 * huge pages where they can be had, which leaves TLB misses out and does not
 * scatter a small set over the places of a cache. */
static bool memory_open(memory_t *m, uint64_t bytes, int node) {
  uint64_t mapped_bytes = cira__align_up(bytes, HUGE_BYTES) + HUGE_BYTES;
  char *p = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    return false;
  }
  if (node >= 0) {
    numa_tonode_memory(p, mapped_bytes, node);
  }
  madvise(p, mapped_bytes, MADV_HUGEPAGE);
  uint64_t past = (uint64_t)(uintptr_t)p % HUGE_BYTES;
  *m = (memory_t){.words = (uint64_t *)(p + (HUGE_BYTES - past) % HUGE_BYTES),
                  .mapping = p,
                  .mapped_bytes = mapped_bytes,
                  .lines = bytes / CIRA_LINE_BYTES,
                  .random = 7};
  link_lines(m);
  return true;
}

static void memory_close(memory_t *m) {
  munmap(m->mapping, m->mapped_bytes);
}

/* ---- caches ------------------------------------------------------------- */

static uint64_t number_of(const json_t *o, const char *key) {
  return (uint64_t)json_integer_value(json_object_get(o, key));
}

/* The chase over a part of each cache that is larger than the level before and
 * leaves room for others where the cache is shared. The last is the model's. */
static void measure_caches(info_model_t *m, json_t *caches) {
  uint64_t before = 0;
  size_t i;
  json_t *c;
  json_array_foreach(caches, i, c) {
    uint64_t size = number_of(c, "size_bytes");
    uint64_t bytes =
        before == 0 ? size / 2 : cira__min_u64(size / 2, 2 * before);
    memory_t memory;
    bytes = cira__align_up(bytes, CIRA_PAGE_BYTES);
    before = size;
    if (bytes == 0 || !memory_open(&memory, bytes, -1)) {
      continue;
    }
    chase_1(&memory, 2 * memory.lines); /* bring it in */
    double ns = chase_median(&memory, chase_1);
    info__put_real(c, "latency_ns", ns);
    memory_close(&memory);
    m->value[INFO_LLC_LATENCY] = ns;
    m->value[INFO_LLC_BYTES] = (double)size;
    m->value[INFO_LINE_BYTES] = (double)number_of(c, "line_bytes");
  }
  static const char WHY[] = "the caches are not visible here";
  m->left_out[INFO_LLC_LATENCY] = WHY;
  m->left_out[INFO_LLC_BYTES] = WHY;
  m->left_out[INFO_LINE_BYTES] = WHY;
}

/* ---- memory ------------------------------------------------------------- */

/* Far beyond the last cache, and no more than an eighth of what is free. */
static uint64_t memory_bytes(const info_model_t *m, uint64_t free_bytes) {
  uint64_t bytes =
      cira__max_u64(4 * (uint64_t)m->value[INFO_LLC_BYTES], MEMORY_MIN_BYTES);
  bytes = cira__min_u64(bytes, MEMORY_MAX_BYTES);
  return cira__align_down(cira__min_u64(bytes, free_bytes / 8), 1u << 21);
}

/* Which tier of the model a node is: memory without processors is what an
 * expander looks like, the first seen near, the next one remote. */
static info_figure_t tier_of(const info_model_t *m, bool here, bool bare) {
  if (here) {
    return INFO_LOCAL_LATENCY;
  }
  if (bare && m->value[INFO_CXL_LATENCY] == 0) {
    return INFO_CXL_LATENCY;
  }
  return bare && m->value[INFO_REMOTE_CXL_LATENCY] == 0
             ? INFO_REMOTE_CXL_LATENCY
             : INFO_FIGURE_COUNT;
}

static void measure_node(info_model_t *m, const json_t *node, bool here,
                         json_t *list) {
  uint64_t bytes = memory_bytes(m, number_of(node, "free_bytes"));
  int number = (int)number_of(node, "node");
  info_figure_t tier = tier_of(m, here, number_of(node, "processors") == 0);
  memory_t memory;
  if (tier == INFO_FIGURE_COUNT) { /* only shown: many nodes, little time */
    bytes = cira__min_u64(bytes, MEMORY_MIN_BYTES);
  }
  if (bytes < MEMORY_MIN_BYTES / 4 || !memory_open(&memory, bytes, number)) {
    return;
  }
  double ns = chase_median(&memory, chase_1);
  double rate = stream_rate(&memory);
  json_t *o = json_object();
  char name[32];
  cira__format(name, sizeof name, "node%d", number);
  info__put_text(o, "memory", name);
  info__put_text(o, "tier",
                 tier == INFO_LOCAL_LATENCY        ? "local"
                 : tier == INFO_CXL_LATENCY        ? "cxl"
                 : tier == INFO_REMOTE_CXL_LATENCY ? "remote_cxl"
                                                   : "none of the model");
  info__put_real(o, "latency_ns", ns);
  info__put_real(o, "bandwidth_bytes_per_s", rate);
  if (tier != INFO_FIGURE_COUNT) {
    m->value[tier] = ns;
    m->value[INFO_LOCAL_RATE + (tier - INFO_LOCAL_LATENCY)] = rate / 1e6;
  }
  if (here) {
    m->value[INFO_LINES] = lines_in_flight(&memory, ns);
    m->value[INFO_PREFETCHES] =
        prefetches_in_flight(&memory, ns, m->value[INFO_LINES]);
    info__put_real(o, "lines_in_flight", m->value[INFO_LINES]);
    info__put_real(o, "prefetches_in_flight", m->value[INFO_PREFETCHES]);
  }
  memory_close(&memory);
  json_array_append_new(list, o);
}

static void measure_nodes(info_model_t *m, int home, json_t *list) {
  static const char WHY[] = "no memory without processors (CXL expander) here";
  static const char WHY_NOT[] = "too little free memory to leave the caches";
  m->left_out[INFO_CXL_LATENCY] = m->left_out[INFO_CXL_RATE] = WHY;
  m->left_out[INFO_REMOTE_CXL_LATENCY] = m->left_out[INFO_REMOTE_CXL_RATE] =
      WHY;
  m->left_out[INFO_LOCAL_LATENCY] = m->left_out[INFO_LOCAL_RATE] =
      m->left_out[INFO_LINES] = m->left_out[INFO_PREFETCHES] = WHY_NOT;
  json_t *nodes = info_nodes();
  int here = json_array_size(nodes) > 0 ? numa_node_of_cpu(home) : -1;
  size_t i;
  json_t *node;
  if (here < 0) { /* a kernel without NUMA: one memory, all of it local */
    json_array_clear(nodes);
    json_array_append_new(nodes,
                          json_pack("{s:i, s:I, s:i}", "node", -1, "free_bytes",
                                    (json_int_t)sysconf(_SC_AVPHYS_PAGES) *
                                        (json_int_t)CIRA_PAGE_BYTES,
                                    "processors", 1));
  }
  json_array_foreach(nodes, i, node) {
    measure_node(m, node, (int)number_of(node, "node") == here, list);
  }
  json_decref(nodes);
}

/* ---- operations --------------------------------------------------------- */

/* Operations that wait for one another: what an add, a shift or an exclusive
 * or costs where the next one needs its result. */
static double op_ns(void) {
  double sample[TRIALS];
  uint64_t x = 1;
  for (size_t trial = 0; trial < TRIALS; trial++) {
    uint64_t began = cira__now_ns();
    for (uint32_t i = 0; i < OPS / 4; i++) {
      __asm__ volatile("add $3, %0\n\t"
                       "xor $5, %0\n\t"
                       "rol $7, %0\n\t"
                       "sub $9, %0"
                       : "+r"(x)
                       :
                       : "cc");
    }
    sample[trial] = (double)(cira__now_ns() - began) / OPS;
  }
  return info__median(sample, TRIALS);
}

/* ---- handing work to another core --------------------------------------- */

/* One line says what to do, another that it has begun. */
typedef struct desk {
  _Alignas(CIRA_LINE_BYTES) void (*work)(struct desk *);
  _Atomic uint32_t posted;
  _Alignas(CIRA_LINE_BYTES) _Atomic uint32_t begun;
} desk_t;

static void begin(desk_t *d) {
  uint32_t n = atomic_load_explicit(&d->begun, memory_order_relaxed);
  /* pairs with: the acquire in hand_over */
  atomic_store_explicit(&d->begun, n + 1, memory_order_release);
}

static void *helper_main(void *p) {
  desk_t *d = p;
  for (uint32_t seen = 0;; seen++) {
    /* pairs with: the release in hand_over */
    while (atomic_load_explicit(&d->posted, memory_order_acquire) == seen) {
      cira__cpu_relax();
    }
    if (d->work == NULL) {
      return NULL;
    }
    d->work(d);
  }
}

static void hand_over(desk_t *d, void (*work)(desk_t *)) {
  uint32_t n = atomic_load_explicit(&d->posted, memory_order_relaxed) + 1;
  d->work = work;
  /* pairs with: the acquire in helper_main */
  atomic_store_explicit(&d->posted, n, memory_order_release);
  /* pairs with: the release in begin */
  while (work != NULL &&
         atomic_load_explicit(&d->begun, memory_order_acquire) != n) {
    cira__cpu_relax();
  }
}

/* From the moment work is put down to the moment it is seen to have begun on
 * processor `other`; 0 when the second thread cannot be had. */
static double sync_ns(int other) {
  static double sample[HANDOVER_TRIALS];
  desk_t desk = {0};
  pthread_t helper;
  pthread_attr_t attr;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)other, &set);
  pthread_attr_init(&attr);
  pthread_attr_setaffinity_np(&attr, sizeof set, &set);
  int error = pthread_create(&helper, &attr, helper_main, &desk);
  pthread_attr_destroy(&attr);
  if (error != 0) {
    return 0;
  }
  size_t trials = 0;
  uint64_t until = cira__now_ns() + HANDOVER_LIMIT_NS;
  while (trials < HANDOVER_TRIALS) {
    uint64_t began = cira__now_ns();
    for (uint32_t i = 0; i < HANDOVERS; i++) {
      hand_over(&desk, begin);
    }
    uint64_t now = cira__now_ns();
    sample[trials++] = (double)(now - began) / HANDOVERS;
    if (now > until) {
      break;
    }
  }
  hand_over(&desk, NULL);
  pthread_join(helper, NULL);
  return info__median(sample, trials);
}

/* Two processors that we may use, of different cores where hwloc sees any;
 * `*out_other` is -1 when there is only one. */
static void processors(const cpu_set_t *allowed, int *out_home,
                       int *out_other) {
  int home = -1;
  int other = -1;
  bool apart = false;
  hwloc_topology_t t = NULL;
  hwloc_obj_t core = NULL;
  bool loaded = hwloc_topology_init(&t) == 0 && hwloc_topology_load(t) == 0;
  for (int i = 0; i < CPU_SETSIZE && !apart; i++) {
    if (!CPU_ISSET((size_t)i, allowed)) {
      continue;
    }
    hwloc_obj_t pu =
        loaded ? hwloc_get_pu_obj_by_os_index(t, (unsigned)i) : NULL;
    hwloc_obj_t of = pu != NULL
                         ? hwloc_get_ancestor_obj_by_type(t, HWLOC_OBJ_CORE, pu)
                         : NULL;
    if (home < 0) {
      home = i;
      core = of;
    } else if (other < 0 || of != core) {
      other = i;
      apart = of != core;
    }
  }
  if (t != NULL) {
    hwloc_topology_destroy(t);
  }
  *out_home = home;
  *out_other = other;
}

void info__measure_local(info_model_t *m, json_t *report) {
  cpu_set_t before;
  int home = -1;
  int other = -1;
  if (sched_getaffinity(0, sizeof before, &before) == 0) {
    processors(&before, &home, &other);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)home, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  json_t *caches = info_caches();
  json_t *memory = json_array();
  json_object_set_new(report, "caches", caches);
  json_object_set_new(report, "memory", memory);
  measure_caches(m, caches);
  measure_nodes(m, home < 0 ? 0 : home, memory);
  m->value[INFO_OP] = op_ns();
  m->value[INFO_SYNC] = other >= 0 ? sync_ns(other) : 0;
  m->left_out[INFO_SYNC] = "only one processor may be used here";
  if (home >= 0) {
    sched_setaffinity(0, sizeof before, &before);
  }
}
