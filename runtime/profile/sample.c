/* SPDX-License-Identifier: Apache-2.0
 *
 * See sample.h. Inherited events are counted per processor and share the ring
 * of the event that they come from; samples of all processors are in the order
 * of their rings, not of time.
 */
#include "profile/sample.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"

#define RINGS_MAX 512u
#define RING_PAGES 16u /* a power of two */
#define PAUSE_NS INT64_C(20000000)

enum { SAMPLE_MISSES = 1, SAMPLE_CYCLES = 2, SAMPLE_FAULTS = 3 };

static const struct {
  uint32_t event, type;
  uint64_t config, period;
  uint8_t precise_max; /* levels of precision that are tried */
  const char *name;
} EVENTS[] = {
    {SAMPLE_MISSES, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, 10007, 2,
     "cache misses"},
    {SAMPLE_CYCLES, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 2000003, 0,
     "cycles"},
    {SAMPLE_FAULTS, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 61, 0,
     "page faults"},
};

typedef struct {
  struct perf_event_mmap_page *page;
  uint32_t event, weight;
  int fd;
} ring_t;

struct cira_profile_sampler {
  pthread_t thread;
  _Atomic bool stop;
  uint32_t count;
  ring_t ring[RINGS_MAX];
};

static int event_open(size_t which, int cpu, uint8_t precise) {
  struct perf_event_attr a = {
      .size = sizeof a,
      .type = EVENTS[which].type,
      .config = EVENTS[which].config,
      .sample_period = EVENTS[which].period,
      /* With PERF_SAMPLE_PERIOD the kernel takes every software event. */
      .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
                     PERF_SAMPLE_ADDR,
      .disabled = 1,
      .inherit = 1,
      .enable_on_exec = 1,
      .exclude_kernel = 1,
      .exclude_hv = 1,
      .precise_ip = precise,
      .use_clockid = 1,
      .clockid = CLOCK_MONOTONIC,
      .watermark = 1,
      .wakeup_watermark = RING_PAGES * CIRA_PAGE_BYTES / 4,
  };
  long fd =
      CIRA__SYS(SYS_perf_event_open, &a, 0, cpu, -1, PERF_FLAG_FD_CLOEXEC, 0);
  return (int)fd;
}

static bool ring_add(cira_profile_sampler_t *s, size_t which, int fd) {
  void *p = s->count == RINGS_MAX
                ? MAP_FAILED
                : mmap(NULL, (size_t)(RING_PAGES + 1) * CIRA_PAGE_BYTES,
                       PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) {
    close(fd);
    return false;
  }
  s->ring[s->count++] =
      (ring_t){p, EVENTS[which].event, (uint32_t)EVENTS[which].period, fd};
  return true;
}

/* Opens one event on every processor. Returns 0, or why not. */
static int event_add(cira_profile_sampler_t *s, size_t which) {
  long cpus = sysconf(_SC_NPROCESSORS_CONF);
  int error = ENODEV;
  bool any = false;
  int precise = EVENTS[which].precise_max;
  for (long cpu = 0; cpu < cpus; cpu++) {
    int fd = event_open(which, (int)cpu, (uint8_t)precise);
    while (fd < 0 && precise > 0 && !any) {
      fd = event_open(which, (int)cpu, (uint8_t)--precise);
    }
    if (fd < 0) {
      error = -fd;
    } else if (ring_add(s, which, fd)) {
      any = true;
    } else {
      error = EMFILE;
    }
  }
  return any ? 0 : error;
}

/* ---- moving ---------------------------------------------------------------
 */

typedef struct {
  struct perf_event_header header;
  uint64_t ip;
  uint32_t pid, tid;
  uint64_t time, addr;
} sample_record_t;

static void ring_copy(const ring_t *r, uint64_t at, void *to, uint64_t bytes) {
  const uint8_t *data = (const uint8_t *)r->page + CIRA_PAGE_BYTES;
  uint64_t size = (uint64_t)RING_PAGES * CIRA_PAGE_BYTES;
  uint64_t from = at % size;
  uint64_t first = cira__min_u64(bytes, size - from);
  memcpy(to, data + from, first);
  memcpy((uint8_t *)to + first, data, bytes - first);
}

static void ring_drain(const ring_t *r) {
  uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
  uint64_t tail = r->page->data_tail;
  while (tail < head) {
    sample_record_t record;
    ring_copy(r, tail, &record.header, sizeof record.header);
    if (record.header.size == 0) {
      break;
    }
    if (record.header.type == PERF_RECORD_SAMPLE &&
        record.header.size >= sizeof record) {
      ring_copy(r, tail, &record, sizeof record);
      cira_profile_sample_t out = {.time_ns = record.time,
                                   .address = record.addr,
                                   .ip = record.ip,
                                   .pid = (int32_t)record.pid,
                                   .tid = (int32_t)record.tid,
                                   .weight = r->weight,
                                   .event = r->event};
      cira_profile_sample(&out);
    }
    tail += record.header.size;
  }
  __atomic_store_n(&r->page->data_tail, tail, __ATOMIC_RELEASE);
}

static void *sampler_main(void *argument) {
  cira_profile_sampler_t *s = argument;
  struct pollfd *fds = calloc(s->count, sizeof *fds);
  for (uint32_t i = 0; fds != NULL && i < s->count; i++) {
    fds[i] = (struct pollfd){.fd = s->ring[i].fd, .events = POLLIN};
  }
  for (;;) {
    bool last = atomic_load(&s->stop);
    for (uint32_t i = 0; i < s->count; i++) {
      ring_drain(&s->ring[i]);
    }
    if (last) {
      break;
    }
    (void)cira__sys_poll(fds, fds != NULL ? s->count : 0, PAUSE_NS);
    for (uint32_t i = 0; fds != NULL && i < s->count; i++) {
      if ((fds[i].revents & (POLLHUP | POLLERR)) != 0) {
        fds[i].fd = -1; /* whom it counted is gone */
      }
    }
  }
  free(fds);
  return NULL;
}

/* ---- life -----------------------------------------------------------------
 */

static void rings_close(cira_profile_sampler_t *s) {
  for (uint32_t i = 0; i < s->count; i++) {
    munmap(s->ring[i].page, (size_t)(RING_PAGES + 1) * CIRA_PAGE_BYTES);
    close(s->ring[i].fd);
  }
  free(s);
}

/* Cache misses are best; cycles stand in for them. Page faults always. */
static void events_open(cira_profile_sampler_t *s) {
  char said[256];
  size_t n = 0;
  bool misses = false;
  for (size_t i = 0; i < CIRA_COUNT(EVENTS); i++) {
    if (EVENTS[i].event == SAMPLE_CYCLES && misses) {
      continue;
    }
    int error = event_add(s, i);
    misses |= error == 0 && EVENTS[i].event == SAMPLE_MISSES;
    const char *comma = n == 0 ? "" : "; ";
    if (error == 0) {
      n += cira__format(said + n, sizeof said - n, "%s%s: 1 of %llu", comma,
                        EVENTS[i].name, (unsigned long long)EVENTS[i].period);
    } else {
      n += cira__format(said + n, sizeof said - n, "%s%s: %s", comma,
                        EVENTS[i].name,
                        error == EACCES || error == EPERM
                            ? "not allowed (kernel.perf_event_paranoid)"
                            : "not on this machine");
    }
  }
  cira_profile_sampling_set(said);
}

cira_status_t cira_profile_sampler_start(cira_profile_sampler_t **out) {
  *out = NULL;
  cira_profile_sampler_t *s = calloc(1, sizeof *s);
  if (s == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for sampling");
  }
  events_open(s);
  if (s->count == 0) {
    free(s);
    return CIRA_OK;
  }
  uint64_t saved = cira__signals_block();
  int error = pthread_create(&s->thread, NULL, sampler_main, s);
  cira__signals_restore(saved);
  if (error != 0) {
    rings_close(s);
    return cira__fail_errno(CIRA_E_SYSTEM, error,
                            "the sampling thread cannot be started");
  }
  *out = s;
  return CIRA_OK;
}

void cira_profile_sampler_stop(cira_profile_sampler_t *s) {
  if (s != NULL) {
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    rings_close(s);
  }
}
