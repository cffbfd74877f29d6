/* SPDX-License-Identifier: Apache-2.0
 *
 * A memory server as a device: it runs kernels, and follows lists where they
 * are at home, so that their nodes can be fetched all at once. A thread of our
 * own waits for its answers.
 */
#include "offload/device.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "cira/kernel.h"
#include "fabric/internal.h"
#include "space/far.h"

#define KERNELS_MAX 64u    /* whose numbers are remembered */
#define RESULT_BYTES 8192u /* of a call by value; nodes of a trip: */
#define CHAIN_NODES (RESULT_BYTES / sizeof(uint64_t) - 1)

typedef struct {
  cira_offload_t *device;
  cira_call_client_t *client;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t work;
  bool wanted, stop; /* under lock */
  uint32_t count;
  struct {
    char name[CIRA_CALL_NAME_MAX + 1];
    uint32_t number;
  } kernel[KERNELS_MAX];
} server_t;

/* ---- the thread --------------------------------------------------------- */

static void *server_main(void *argument) {
  server_t *s = argument;
  (void)pthread_mutex_lock(&s->lock);
  for (;;) {
    while (!s->wanted && !s->stop) {
      (void)pthread_cond_wait(&s->work, &s->lock);
    }
    if (!s->wanted) {
      break;
    }
    s->wanted = false;
    (void)pthread_mutex_unlock(&s->lock);
    cira__device_drain(s->device);
    (void)pthread_mutex_lock(&s->lock);
  }
  (void)pthread_mutex_unlock(&s->lock);
  return NULL;
}

/* Its thread waits from open to close. */
static cira_status_t server_ready(cira_offload_t *o) {
  (void)o;
  return CIRA_OK;
}

static void server_begin(cira_offload_t *o) {
  server_t *s = o->own;
  (void)pthread_mutex_lock(&s->lock);
  s->wanted = true;
  (void)pthread_cond_signal(&s->work);
  (void)pthread_mutex_unlock(&s->lock);
}

/* Signals are the program's, except those of our own faults. */
static int thread_start(server_t *s) {
  static const int own[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (size_t i = 0; i < CIRA_COUNT(own); i++) {
    sigdelset(&all, own[i]);
  }
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  if (cira__space) {
    cira_space_thread_add(cira__space); /* it writes results */
  }
  int error = pthread_create(&s->thread, NULL, server_main, s);
  if (error && cira__space) {
    cira_space_thread_remove(cira__space);
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

static cira_status_t server_open(cira_offload_t *o, const char *place,
                                 const cira_offload_options_t *opt) {
  cira_call_options_t call = cira_call_options_default();
  call.depth = 4;
  call.args_max = call.result_max = RESULT_BYTES;
  server_t *s = cira__pages_alloc(sizeof(*s));
  if (!s) {
    return CIRA_E_NOMEM;
  }
  s->device = o;
  cira_status_t status = cira_call_server(place, place ? opt->token_file : NULL,
                                          &call, CIRA_FOREVER, &s->client);
  if (status != CIRA_OK) {
    cira__pages_free(s, sizeof(*s));
    return status;
  }
  (void)pthread_mutex_init(&s->lock, NULL);
  (void)pthread_cond_init(&s->work, NULL);
  int error = thread_start(s);
  if (error) {
    cira_call_destroy(s->client);
    cira__pages_free(s, sizeof(*s));
    return cira__fail_errno(CIRA_E_SYSTEM, error, "offload_open: no thread");
  }
  o->own = s;
  return CIRA_OK;
}

static void server_close(cira_offload_t *o) {
  server_t *s = o->own;
  (void)pthread_mutex_lock(&s->lock);
  s->stop = true;
  (void)pthread_cond_signal(&s->work);
  (void)pthread_mutex_unlock(&s->lock);
  (void)pthread_join(s->thread, NULL);
  if (cira__space) {
    cira_space_thread_remove(cira__space);
  }
  cira_call_destroy(s->client);
  cira__pages_free(s, sizeof(*s));
}

/* ---- jobs --------------------------------------------------------------- */

static cira_status_t kernel_find(server_t *s, const char *name,
                                 uint64_t deadline_ns, uint32_t *out) {
  for (uint32_t i = 0; i < s->count; i++) {
    if (strcmp(s->kernel[i].name, name) == 0) {
      *out = s->kernel[i].number;
      return CIRA_OK;
    }
  }
  cira_status_t status = cira_call_find(s->client, name, deadline_ns, out);
  if (status == CIRA_OK && s->count < KERNELS_MAX) {
    (void)cira__format(s->kernel[s->count].name, sizeof(s->kernel[0].name),
                       "%s", name);
    s->kernel[s->count++].number = *out;
  }
  return status;
}

static cira_status_t call_kernel(server_t *s, const char *kernel,
                                 const cira_call_request_t *request,
                                 uint32_t *out_bytes) {
  uint32_t number;
  cira_call_t call = {0};
  uint64_t deadline_ns =
      request->deadline_ns ? request->deadline_ns : CIRA_FOREVER;
  cira_status_t status = kernel_find(s, kernel, deadline_ns, &number);
  if (status == CIRA_OK) {
    status = cira_call_submit(s->client, number, request, &call);
  }
  if (status == CIRA_OK) {
    status = cira_call_wait(s->client, &call, CIRA_FOREVER);
    *out_bytes = call.result_bytes;
  }
  return status;
}

static cira_status_t run_call(server_t *s, const cira_offload_job_t *job,
                              uint64_t *out_value) {
  uint32_t bytes = 0;
  cira_call_request_t request = {.args = job->args,
                                 .args_bytes = job->args_bytes,
                                 .result = job->result,
                                 .result_max = job->result_max,
                                 .range = job->range,
                                 .range_count = job->range_count,
                                 .deadline_ns = job->deadline_ns,
                                 .wait_ns = CIRA_FOREVER};
  cira_status_t status = call_kernel(s, job->kernel, &request, &bytes);
  *out_value = bytes;
  return status;
}

/* The server walks, on what is at home (this is a hint: what is dirty here
 * stays here), and says which nodes it met; they are fetched together. */
static cira_status_t run_chain(server_t *s, const cira_offload_job_t *job,
                               uint64_t *out_value) {
  if (!cira_far_is_far(job->address)) {
    return cira__fail(CIRA_E_RANGE,
                      "the list at %p is not in far memory; use 'helper'",
                      job->address);
  }
  static const uint32_t access = CIRA_CALL_READ | CIRA_CALL_AT_HOME;
  cira_call_range_t all = {(void *)(uintptr_t)cira__far.base, cira__far.bytes,
                           access, 0};
  cira_kernel_chain_t args = {(uintptr_t)job->address, (uint64_t)job->step,
                              job->bytes, 0};
  uint64_t most = cira__min_u64(job->count, cira_far_local_pages() / 8);
  uint64_t found[CHAIN_NODES + 1]; /* nodes, then where it goes on */
  while (args.head && *out_value < most) {
    uint32_t bytes = 0;
    args.count = cira__min_u64(most - *out_value, CHAIN_NODES);
    cira_call_request_t request = {.args = &args,
                                   .args_bytes = sizeof(args),
                                   .result = found,
                                   .result_max = sizeof(found),
                                   .range = &all,
                                   .range_count = 1,
                                   .deadline_ns = job->deadline_ns,
                                   .wait_ns = CIRA_FOREVER};
    cira_status_t status = call_kernel(s, CIRA_KERNEL_CHAIN, &request, &bytes);
    if (status != CIRA_OK) {
      return status;
    }
    uint32_t n = bytes / (uint32_t)sizeof(found[0]);
    if (n < 2) {
      break;
    }
    const void *address[CHAIN_NODES];
    for (uint32_t i = 0; i < n - 1; i++) {
      address[i] = (const void *)(uintptr_t)found[i];
    }
    cira_space_prefetch_many(cira__far.space, address, n - 1);
    *out_value += n - 1;
    args.head = found[n - 1];
  }
  return CIRA_OK;
}

static cira_status_t server_run(cira_offload_t *o,
                                const cira_offload_job_t *job,
                                uint64_t *out_value) {
  return job->kind == CIRA_OFFLOAD_CHAIN ? run_chain(o->own, job, out_value)
                                         : run_call(o->own, job, out_value);
}

const cira_device_ops_t cira__device_server = {
    .size = sizeof(cira_device_ops_t),
    .can = CIRA_OFFLOAD_CHAIN | CIRA_OFFLOAD_CALL,
    .name = "server",
    .open = server_open,
    .close = server_close,
    .ready = server_ready,
    .begin = server_begin,
    .run = server_run,
};
