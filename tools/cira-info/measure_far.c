/* SPDX-License-Identifier: Apache-2.0
 *
 * measure_far: how far away a memory server is. The latency is what a program
 * waits for a page that is not here: a touch of far memory through the pager,
 * fault included. The bandwidth and the requests that a place bears are those
 * of page reads without the pager, as streams make them.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cira-info/measure.h"
#include "cira-run/server.h"
#include "fabric/fabric.h"
#include "space/space.h"

#define SERVER_SIZE "256m"
#define CONNECT_NS UINT64_C(2000000000)   /* 2 s */
#define REGION_BYTES (UINT64_C(32) << 20) /* 32 MiB */
#define REGION_PAGES (REGION_BYTES / CIRA_PAGE_BYTES)
#define DEPTH_MAX 256u /* requests in flight */
#define DEPTH_DEFAULT 64u
#define STREAM_PAGES 4096u                 /* 16 MiB in one trial */
#define STREAM_LIMIT_NS UINT64_C(50000000) /* 50 ms: far and slow places */
#define TRIALS 5
#define SPACE_PAGES 6144u                     /* 24 MiB */
#define SPACE_LOCAL_BYTES (UINT64_C(4) << 20) /* 4 MiB */
#define WARM_TOUCHES 2048u
#define TOUCHES 2048u
#define TOUCH_LIMIT_NS UINT64_C(1000000000) /* 1 s */
#define ENOUGH 0.9 /* of the best rate: more requests gain nothing */

/* ---- page misses -------------------------------------------------------- */

static cira_space_t *space;

static void on_fault(int signo, siginfo_t *info, void *context) {
  if (!cira_space_fault(space, signo, info, context)) {
    signal(signo, SIG_DFL); /* not ours: the retry ends the process */
  }
}

/* Touches each page once, in random order and none of those that the filling
 * left here, and takes the time of each touch. Returns how many. */
static size_t touch_pages(const volatile uint8_t *at, double *sample) {
  static uint32_t order[WARM_TOUCHES + TOUCHES];
  uint64_t random = 3;
  for (uint32_t i = 0; i < CIRA_COUNT(order); i++) {
    order[i] = i;
  }
  for (uint32_t i = CIRA_COUNT(order) - 1; i > 0; i--) {
    uint32_t j = (uint32_t)(info__random(&random) % (i + 1));
    uint32_t t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  /* Evicts what the filling left: those pages have to be sent home first. */
  for (uint32_t i = 0; i < WARM_TOUCHES; i++) {
    (void)at[(uint64_t)order[i] * CIRA_PAGE_BYTES];
  }
  size_t count = 0;
  uint64_t until = cira__now_ns() + TOUCH_LIMIT_NS;
  for (uint64_t now = 0; count < TOUCHES && now < until;) {
    const volatile uint8_t *p =
        at + (uint64_t)order[WARM_TOUCHES + count] * CIRA_PAGE_BYTES;
    uint64_t began = cira__now_ns();
    (void)*p;
    now = cira__now_ns();
    sample[count++] = (double)(now - began);
  }
  return count;
}

static cira_status_t measure_misses(json_t *o) {
  static double sample[TOUCHES];
  void *p = NULL;
  uint64_t bytes = (uint64_t)SPACE_PAGES * CIRA_PAGE_BYTES;
  int signo = cira_space_signal(space);
  if (signo != 0) {
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigfillset(&sa.sa_mask);
    sigaction(signo, &sa, NULL);
  }
  cira_status_t status = cira_space_alloc(space, bytes, CIRA_PAGE_BYTES, &p);
  if (status != CIRA_OK) {
    return status;
  }
  for (uint64_t i = 0; i < SPACE_PAGES; i++) {
    memset((char *)p + i * CIRA_PAGE_BYTES, (int)(i % 251) + 1,
           CIRA_PAGE_BYTES);
  }
  size_t count = touch_pages(p, sample);
  info__put_real(o, "page_miss_ns", info__median(sample, count));
  info__put_real(o, "page_miss_p99_ns", sample[count * 99 / 100]);
  info__put_text(o, "faults", cira_space_mode_name(space));
  return CIRA_OK;
}

/* The latency of the model. Not having any way to own the page table here is
 * no failure: then there are no misses either. */
static cira_status_t miss_latency(const char *url, const char *token_file,
                                  json_t *o) {
  cira_space_options_t opt;
  cira_space_options_default(&opt);
  opt.url = url;
  opt.token_file = token_file;
  opt.range_bytes = UINT64_C(1) << 30; /* 1 GiB */
  opt.local_bytes = SPACE_LOCAL_BYTES;
  cira_status_t status = cira_space_create(&opt, &space);
  if (status == CIRA_E_UNSUPPORTED) {
    info__put_text(o, "page_miss", cira_status_detail());
    return CIRA_OK;
  }
  if (status != CIRA_OK) {
    return status;
  }
  /* Only this thread: those of the pager go where there is room. */
  cpu_set_t before;
  cpu_set_t one;
  bool pinned = sched_getaffinity(0, sizeof before, &before) == 0;
  CPU_ZERO(&one);
  CPU_SET((size_t)sched_getcpu(), &one);
  pinned = pinned && sched_setaffinity(0, sizeof one, &one) == 0;
  status = measure_misses(o);
  if (pinned) {
    sched_setaffinity(0, sizeof before, &before);
  }
  int signo = cira_space_signal(space);
  cira_space_destroy(space);
  if (signo != 0) {
    signal(signo, SIG_DFL);
  }
  return status;
}

/* ---- page reads without the pager --------------------------------------- */

typedef struct {
  cira_fabric_t *fabric;
  cira_region_t region;
  uint8_t *buf; /* DEPTH_MAX pages */
  uint64_t next_page;
} place_t;

static cira_status_t post_page(place_t *p, uint32_t slot,
                               cira_fabric_op_t *op) {
  uint64_t page = p->next_page++ % REGION_PAGES;
  cira_status_t status;
  while ((status = p->fabric->ops->post_read(
              p->fabric, p->region, page * CIRA_PAGE_BYTES,
              p->buf + (uint64_t)slot * CIRA_PAGE_BYTES, CIRA_PAGE_BYTES, 0,
              op)) == CIRA_AGAIN) {
    p->fabric->ops->poll(p->fabric);
  }
  return status < 0 ? status : CIRA_OK;
}

/* Keeps `depth` reads of a page each in flight; the time per page. */
static cira_status_t read_pages(place_t *p, uint32_t depth, double *out_ns) {
  cira_fabric_op_t ops[DEPTH_MAX];
  uint64_t began = cira__now_ns();
  uint32_t wanted = STREAM_PAGES;
  uint32_t posted = 0;
  uint32_t done = 0;
  cira_status_t status = CIRA_OK;
  while (done < wanted && status == CIRA_OK) {
    if (posted < wanted && posted - done < depth) {
      status = post_page(p, posted % depth, &ops[posted % depth]);
      posted++;
      continue;
    }
    status = cira_fabric_wait(p->fabric, &ops[done % depth]);
    done++;
    if (done % 64 == 0 && cira__now_ns() - began > STREAM_LIMIT_NS) {
      wanted = posted;
    }
  }
  *out_ns = (double)(cira__now_ns() - began) / done;
  return status;
}

static cira_status_t read_median(place_t *p, uint32_t depth, double *out_ns) {
  double sample[TRIALS];
  for (size_t i = 0; i < TRIALS; i++) {
    cira_status_t status = read_pages(p, depth, &sample[i]);
    if (status != CIRA_OK) {
      return status;
    }
  }
  *out_ns = info__median(sample, TRIALS);
  return CIRA_OK;
}

/* The rate, and how few requests in flight are enough for it. Where pages are
 * read directly a request is a copy that ends at once: none is in flight. */
static cira_status_t measure_reads(place_t *p, json_t *o) {
  double ns[16];
  size_t count = 0;
  bool direct = (p->fabric->flags & CIRA_FABRIC_F_DIRECT) != 0;
  double best_ns = 0;
  for (uint32_t depth = direct ? DEPTH_DEFAULT : 1; depth <= DEPTH_MAX;
       depth *= 2) {
    cira_status_t status = read_median(p, depth, &ns[count]);
    if (status != CIRA_OK) {
      return status;
    }
    best_ns = count == 0 || ns[count] < best_ns ? ns[count] : best_ns;
    count++;
    if (direct) {
      break;
    }
  }
  if (!direct) {
    info__put_real(o, "page_read_ns", ns[0]);
  }
  info__put_real(o, "bandwidth_bytes_per_s", CIRA_PAGE_BYTES * 1e9 / best_ns);
  for (size_t i = 0; i < count && !direct; i++) {
    if (best_ns / ns[i] >= ENOUGH) {
      info__put_real(o, "pages_in_flight", (double)(UINT64_C(1) << i));
      break;
    }
  }
  return CIRA_OK;
}

static cira_status_t read_rate(const char *url, const char *token_file,
                               json_t *o) {
  cira_fabric_options_t opt;
  cira_fabric_options_default(&opt);
  opt.token_file = token_file;
  place_t p = {0};
  cira_status_t status = cira_fabric_connect(url, &opt, &p.fabric);
  if (status != CIRA_OK) {
    return status;
  }
  p.buf = malloc((size_t)DEPTH_MAX * CIRA_PAGE_BYTES);
  if (p.buf == NULL) {
    status = cira__fail(CIRA_E_NOMEM, "no memory for a buffer");
    goto err_connect;
  }
  memset(p.buf, 0x5a, (size_t)DEPTH_MAX * CIRA_PAGE_BYTES);
  status = p.fabric->ops->region_open(p.fabric, REGION_BYTES, &p.region);
  if (status != CIRA_OK) {
    goto err_connect;
  }
  status =
      p.fabric->ops->region_commit(p.fabric, p.region, (int64_t)REGION_BYTES);
  for (uint64_t at = 0; at < REGION_BYTES && status == CIRA_OK;
       at += DEPTH_MAX * CIRA_PAGE_BYTES) {
    status = cira_fabric_write(p.fabric, p.region, at, p.buf,
                               DEPTH_MAX * CIRA_PAGE_BYTES);
  }
  if (status == CIRA_OK) {
    status = measure_reads(&p, o);
  }
  p.fabric->ops->region_close(p.fabric, p.region);
err_connect:
  free(p.buf);
  cira_fabric_close(p.fabric);
  return status;
}

/* ---- places ------------------------------------------------------------- */

static cira_status_t measure_place(const char *name, const char *url,
                                   const char *token_file, json_t *list) {
  json_t *o = json_object();
  info__put_text(o, "place", name);
  cira_status_t status = miss_latency(url, token_file, o);
  if (status == CIRA_OK) {
    status = read_rate(url, token_file, o);
  }
  if (status == CIRA_OK) {
    json_array_append(list, o);
  }
  json_decref(o);
  return status;
}

/* Measures the plain shm:, at a server started for the time if there is none.
 * When the place is `only_default` and no server can be had, host: stands in
 * for it: the same bytes without another process. */
static cira_status_t measure_shm(const info_measure_options_t *o,
                                 bool only_default, json_t *list) {
  cira_fabric_options_t opt;
  cira_fabric_t *f = NULL;
  run_server_t server = {0};
  cira_fabric_options_default(&opt);
  opt.token_file = o->token_file;
  opt.deadline_ns = CONNECT_NS;
  cira_status_t status = cira_fabric_connect("shm:", &opt, &f);
  if (status == CIRA_OK) {
    cira_fabric_close(f);
    return measure_place("shm:", "shm:", o->token_file, list);
  }
  if (status != CIRA_E_UNREACHABLE) {
    return status; /* a server that refuses us, not one that is missing */
  }
  status = run_server_start(o->bindir, SERVER_SIZE, o->token_file, &server);
  if (status == CIRA_OK) {
    status = measure_place("shm: (server started for the measurement)",
                           server.url, o->token_file, list);
    run_server_stop(&server);
  } else if (only_default) {
    status = measure_place("host: (no server for shm: can be started)",
                           "host:", NULL, list);
  }
  return status;
}

static void model_of_place(const json_t *place, info_model_t *m) {
  m->value[INFO_FAR_LATENCY] =
      json_number_value(json_object_get(place, "page_miss_ns"));
  m->value[INFO_FAR_RATE] =
      json_number_value(json_object_get(place, "bandwidth_bytes_per_s")) / 1e6;
  m->value[INFO_PAGES] =
      json_number_value(json_object_get(place, "pages_in_flight"));
  m->left_out[INFO_FAR_LATENCY] = "no way to own the page table here";
  m->left_out[INFO_PAGES] =
      "the place is read directly: a request is a copy that ends at once";
}

cira_status_t info__measure_far(const info_measure_options_t *o,
                                info_model_t *m, json_t *report) {
  json_t *places = json_array();
  json_object_set_new(report, "places", places);
  const char *url = getenv("CIRA_FAR");
  bool chosen = o->url_count > 0 || (url != NULL && url[0] != '\0');
  const char *const *urls = o->url_count > 0 ? o->urls : &url;
  size_t count = o->url_count > 0 ? o->url_count : 1;
  if (!chosen) {
    url = "shm:";
  }
  cira_status_t status = CIRA_OK;
  for (size_t i = 0; i < count && status == CIRA_OK; i++) {
    status = cira_fabric_url_check(urls[i]);
    if (status == CIRA_OK) {
      status = strcmp(urls[i], "shm:") == 0
                   ? measure_shm(o, !chosen, places)
                   : measure_place(urls[i], urls[i], o->token_file, places);
    }
  }
  if (status == CIRA_OK) {
    model_of_place(json_array_get(places, 0), m);
  }
  return status;
}
