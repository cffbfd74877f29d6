/* SPDX-License-Identifier: Apache-2.0
 *
 * measure: the machine model. Each tier's latency is the median of dependent
 * single accesses, its bandwidth what one thread streams; the cost of
 * signalling another core is half of a ping-pong over one cache line.
 */
#include <numa.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cira-info/info.h"
#include "fabric/fabric.h"

#define LOCAL_BYTES (UINT64_C(512) << 20) /* 512 MiB, beyond any cache here */
#define FAR_BYTES (UINT64_C(64) << 20)    /* 64 MiB */
#define CHASE_STEPS 1000000u
#define FAR_READS 4000u   /* for latency */
#define FAR_STREAM 32768u /* pages, for bandwidth: 128 MiB */
#define FAR_OUTSTANDING 64u
#define PING_ROUNDS 200000u

static int compare_u64(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void put_real(json_t *o, const char *key, double value) {
  json_object_set_new(o, key, json_real(value));
}

/* ---- local memory ------------------------------------------------------- */

/* One cycle through all lines in random order (Sattolo). */
static void link_lines(uint64_t *words, uint64_t lines) {
  uint64_t state = 7;
  for (uint64_t i = 0; i < lines; i++) {
    words[i * 8] = i;
  }
  for (uint64_t i = lines - 1; i > 0; i--) {
    uint64_t j = next_random(&state) % i;
    uint64_t t = words[i * 8];
    words[i * 8] = words[j * 8];
    words[j * 8] = t;
  }
}

static double chase_ns(const uint64_t *words, uint64_t steps) {
  uint64_t at = 0;
  uint64_t began = cira__now_ns();
  for (uint64_t i = 0; i < steps; i++) {
    at = words[at * 8];
  }
  uint64_t ns = cira__now_ns() - began;
  __asm__ volatile("" : : "r"(at));
  return (double)ns / (double)steps;
}

static double stream_rate(const uint64_t *words, uint64_t bytes) {
  uint64_t best_ns = UINT64_MAX;
  for (int round = 0; round < 3; round++) {
    uint64_t sum[4] = {0};
    uint64_t began = cira__now_ns();
    for (uint64_t i = 0; i < bytes / 8; i += 4) {
      sum[0] += words[i];
      sum[1] += words[i + 1];
      sum[2] += words[i + 2];
      sum[3] += words[i + 3];
    }
    uint64_t ns = cira__now_ns() - began;
    __asm__ volatile("" : : "r"(sum[0] + sum[1] + sum[2] + sum[3]));
    best_ns = cira__min_u64(best_ns, ns);
  }
  return (double)bytes * 1e9 / (double)best_ns;
}

/* A tier that this processor reaches by loads. */
static void measure_memory(uint64_t *words, uint64_t bytes, json_t *o) {
  madvise(words, bytes, MADV_HUGEPAGE); /* leave TLB misses out where it can */
  link_lines(words, bytes / CIRA_LINE_BYTES);
  put_real(o, "latency_ns", chase_ns(words, CHASE_STEPS));
  put_real(o, "bandwidth_bytes_per_s", stream_rate(words, bytes));
}

static cira_status_t measure_nodes(json_t *tiers) {
  bool numa = numa_available() >= 0;
  int last = numa ? numa_max_node() : 0;
  for (int n = 0; n <= last; n++) {
    long long free_bytes = 0;
    if (numa && numa_node_size64(n, &free_bytes) <= 0) {
      continue;
    }
    uint64_t bytes = LOCAL_BYTES;
    if (numa && (uint64_t)free_bytes < 2 * bytes) {
      bytes = cira__align_down((uint64_t)free_bytes / 2, 1u << 21);
    }
    if (bytes < (1u << 21)) {
      continue;
    }
    uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (words == MAP_FAILED) {
      return cira__fail(CIRA_E_NOMEM, "no memory to measure node %d", n);
    }
    if (numa) {
      numa_tonode_memory(words, bytes, n);
    }
    json_t *o = json_object();
    char name[32];
    cira__format(name, sizeof name, "node%d", n);
    json_object_set_new(o, "tier", json_string(name));
    json_object_set_new(o, "kind", json_string(n == 0 ? "local" : "numa"));
    measure_memory(words, bytes, o);
    munmap(words, bytes);
    json_array_append_new(tiers, o);
  }
  return CIRA_OK;
}

/* Latency by cache level: the same chase over half of each cache. */
static void measure_caches(json_t *caches) {
  size_t i;
  json_t *c;
  json_array_foreach(caches, i, c) {
    uint64_t size =
        (uint64_t)json_integer_value(json_object_get(c, "size_bytes"));
    uint64_t bytes =
        cira__min_u64(cira__align_up(size / 2, CIRA_PAGE_BYTES), LOCAL_BYTES);
    uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (words == MAP_FAILED) {
      continue;
    }
    madvise(words, bytes, MADV_HUGEPAGE);
    link_lines(words, bytes / CIRA_LINE_BYTES);
    chase_ns(words, bytes / CIRA_LINE_BYTES); /* bring it in */
    put_real(c, "latency_ns", chase_ns(words, CHASE_STEPS));
    munmap(words, bytes);
  }
}

/* ---- signalling --------------------------------------------------------- */

typedef struct {
  _Alignas(64) _Atomic uint32_t turn; /* even: ours, odd: the other's */
} ping_t;

static void *pong(void *p) {
  ping_t *ping = p;
  for (uint32_t i = 0; i < PING_ROUNDS; i++) {
    /* pairs with: the release in sync_ns */
    while (atomic_load_explicit(&ping->turn, memory_order_acquire) !=
           2 * i + 1) {
      cira__cpu_relax();
    }
    atomic_store_explicit(&ping->turn, 2 * i + 2, memory_order_release);
  }
  return NULL;
}

/* Half of a round trip of one cache line between two threads; 0 with one CPU,
 * where it would measure the scheduler. */
static double sync_ns(void) {
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
    return 0;
  }
  ping_t ping = {0};
  pthread_t other;
  if (pthread_create(&other, NULL, pong, &ping) != 0) {
    return 0;
  }
  uint64_t began = cira__now_ns();
  for (uint32_t i = 0; i < PING_ROUNDS; i++) {
    atomic_store_explicit(&ping.turn, 2 * i + 1, memory_order_release);
    /* pairs with: the release in pong */
    while (atomic_load_explicit(&ping.turn, memory_order_acquire) !=
           2 * i + 2) {
      cira__cpu_relax();
    }
  }
  uint64_t ns = cira__now_ns() - began;
  pthread_join(other, NULL);
  return (double)ns / PING_ROUNDS / 2;
}

/* ---- far places --------------------------------------------------------- */

static cira_status_t far_fill(cira_fabric_t *f, cira_region_t region,
                              uint8_t *buf) {
  memset(buf, 0x5a, 1u << 20);
  for (uint64_t at = 0; at < FAR_BYTES; at += 1u << 20) {
    cira_status_t status = cira_fabric_write(f, region, at, buf, 1u << 20);
    if (status != CIRA_OK) {
      return status;
    }
  }
  return CIRA_OK;
}

static cira_status_t far_latency(cira_fabric_t *f, cira_region_t region,
                                 uint8_t *buf, json_t *o) {
  uint64_t *sample = calloc(FAR_READS, sizeof *sample);
  if (sample == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for samples");
  }
  uint64_t state = 3;
  cira_status_t status = CIRA_OK;
  for (uint32_t i = 0; i < FAR_READS && status == CIRA_OK; i++) {
    uint64_t page = next_random(&state) % (FAR_BYTES / CIRA_PAGE_BYTES);
    uint64_t began = cira__now_ns();
    status = cira_fabric_read(f, region, page * CIRA_PAGE_BYTES, buf,
                              CIRA_PAGE_BYTES);
    sample[i] = cira__now_ns() - began;
  }
  if (status == CIRA_OK) {
    qsort(sample, FAR_READS, sizeof *sample, compare_u64);
    put_real(o, "latency_ns", (double)sample[FAR_READS / 2]);
    put_real(o, "latency_p99_ns", (double)sample[FAR_READS * 99 / 100]);
  }
  free(sample);
  return status;
}

/* Keeps FAR_OUTSTANDING reads of a page each in flight. */
static cira_status_t far_stream(cira_fabric_t *f, cira_region_t region,
                                uint8_t *buf, json_t *o) {
  cira_fabric_op_t ops[FAR_OUTSTANDING];
  uint64_t began = cira__now_ns();
  for (uint32_t i = 0; i < FAR_STREAM + FAR_OUTSTANDING; i++) {
    uint32_t slot = i % FAR_OUTSTANDING;
    if (i >= FAR_OUTSTANDING) {
      cira_status_t status = cira_fabric_wait(f, &ops[slot]);
      if (status != CIRA_OK) {
        return status;
      }
    }
    if (i >= FAR_STREAM) {
      continue;
    }
    uint64_t page = i % (FAR_BYTES / CIRA_PAGE_BYTES);
    cira_status_t status;
    while ((status = f->ops->post_read(f, region, page * CIRA_PAGE_BYTES,
                                       buf + (uint64_t)slot * CIRA_PAGE_BYTES,
                                       CIRA_PAGE_BYTES, 0, &ops[slot])) ==
           CIRA_AGAIN) {
      f->ops->poll(f);
    }
    if (status < 0) {
      return status;
    }
  }
  uint64_t ns = cira__now_ns() - began;
  put_real(o, "bandwidth_bytes_per_s",
           (double)FAR_STREAM * CIRA_PAGE_BYTES * 1e9 / (double)ns);
  put_real(o, "page_reads_per_s", (double)FAR_STREAM * 1e9 / (double)ns);
  return CIRA_OK;
}

static cira_status_t measure_far(const char *url, const char *token_file,
                                 json_t *tiers) {
  cira_fabric_options_t opt;
  cira_fabric_options_default(&opt);
  opt.token_file = token_file;
  cira_fabric_t *f = NULL;
  cira_region_t region;
  cira_status_t status = cira_fabric_connect(url, &opt, &f);
  if (status != CIRA_OK) {
    return status;
  }
  uint8_t *buf = malloc(1u << 20);
  json_t *o = json_object();
  json_object_set_new(o, "tier", json_string(url));
  json_object_set_new(o, "kind", json_string("far"));
  if (buf == NULL) {
    status = cira__fail(CIRA_E_NOMEM, "no memory for a buffer");
    goto done;
  }
  status = f->ops->region_open(f, FAR_BYTES, &region);
  if (status != CIRA_OK) {
    goto done;
  }
  status = f->ops->region_commit(f, region, (int64_t)FAR_BYTES);
  if (status == CIRA_OK) {
    status = far_fill(f, region, buf);
  }
  if (status == CIRA_OK) {
    status = far_latency(f, region, buf, o);
  }
  if (status == CIRA_OK) {
    status = far_stream(f, region, buf, o);
  }
  f->ops->region_close(f, region);
  if (status == CIRA_OK) {
    json_array_append(tiers, o);
  }
done:
  json_decref(o);
  free(buf);
  cira_fabric_close(f);
  return status;
}

cira_status_t info_measure(const char *const *urls, size_t url_count,
                           const char *token_file, json_t **out) {
  json_t *model = json_object();
  json_t *tiers = json_array();
  json_t *caches = info_caches();
  json_object_set_new(model, "version", json_integer(1));
  json_object_set_new(model, "caches", caches);
  json_object_set_new(model, "tiers", tiers);
  measure_caches(caches);
  cira_status_t status = measure_nodes(tiers);
  for (size_t i = 0; i < url_count && status == CIRA_OK; i++) {
    status = measure_far(urls[i], token_file, tiers);
  }
  if (status != CIRA_OK) {
    json_decref(model);
    return status;
  }
  put_real(model, "sync_ns", sync_ns());
  *out = model;
  return CIRA_OK;
}
