/* SPDX-License-Identifier: Apache-2.0
 *
 * The process that runs kernels, see kernels.h. It is forked from the session,
 * so it sees the regions that the session has mapped.
 */
#include "kernels.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- what kernels may call ---------------------------------------------- */

/* What a kernel's call points to by `server`. */
typedef struct {
  const cira_call_frame_t *frame;
  exchange_t *exchange;
} context_t;

static bool kernel_stop(const cira_kernel_call_t *call) {
  const context_t *c = call->server;
  return cira_call_cancelled(c->frame) ||
         (c->exchange->deadline_ns != CIRA_FOREVER &&
          cira__now_ns() >= c->exchange->deadline_ns);
}

static void *kernel_resolve(const cira_kernel_call_t *call, uint64_t address,
                            uint64_t bytes) {
  for (uint32_t i = 0; i < call->range_count; i++) {
    const cira_kernel_range_t *r = &call->range[i];
    if (address >= r->address &&
        cira__range_ok(address - r->address, bytes, r->bytes)) {
      return (uint8_t *)r->at + (address - r->address);
    }
  }
  return NULL;
}

static cira_status_t kernel_fail(const cira_kernel_call_t *call,
                                 cira_status_t status, const char *text) {
  const context_t *c = call->server;
  (void)cira__format(c->exchange->detail, sizeof(c->exchange->detail), "%s",
                     text ? text : "");
  return status;
}

/* ---- the kernel that every server has ----------------------------------- */

static cira_status_t chain(cira_kernel_call_t *call) {
  cira_kernel_chain_t a;
  if (call->args_bytes != sizeof(a)) {
    return call->fail(call, CIRA_E_INVALID, "chain: arguments of another size");
  }
  memcpy(&a, call->args, sizeof(a));
  uint64_t *to = call->result;
  uint64_t room = call->result_max / sizeof(*to);
  if (room < 2 || a.node_bytes < 8 || a.offset_bytes > a.node_bytes - 8) {
    return call->fail(call, CIRA_E_INVALID, "chain: no room, or no pointer");
  }
  uint64_t n = 0;
  uint64_t most = cira__min_u64(a.count, room - 1);
  while (a.head && n < most) {
    const uint8_t *node = call->resolve(call, a.head, a.node_bytes);
    if (!node) {
      a.head = 0;
      break;
    }
    to[n++] = a.head;
    memcpy(&a.head, node + a.offset_bytes, sizeof(a.head));
  }
  to[n] = a.head;
  call->result_bytes = (uint32_t)((n + 1) * sizeof(*to));
  return CIRA_OK;
}

const cira_kernel_t kernel_chain = {CIRA_KERNEL_CHAIN, chain, 0, 0};

/* ---- one call ----------------------------------------------------------- */

/* A status that a kernel may return, and results of a size that fits. */
static cira_status_t kernel_judge(const cira_kernel_t *kernel,
                                  const cira_kernel_call_t *call,
                                  cira_status_t status, exchange_t *x) {
  if (status > 0 || status < INT16_MIN) {
    (void)cira__format(x->detail, sizeof(x->detail),
                       "'%s' returned %d, which is no status", kernel->name,
                       status);
    return CIRA_E_PROTOCOL;
  }
  if (status == CIRA_OK && call->result_bytes > call->result_max) {
    (void)cira__format(x->detail, sizeof(x->detail),
                       "'%s' says it wrote %u bytes where %u have room",
                       kernel->name, call->result_bytes, call->result_max);
    return CIRA_E_RANGE;
  }
  if (status != CIRA_OK && !x->detail[0]) {
    (void)cira__format(x->detail, sizeof(x->detail), "'%s' failed: %s",
                       kernel->name, cira_status_name(status));
  }
  return status;
}

static cira_status_t run_each(const cira_kernel_t *kernel,
                              cira_kernel_call_t *call, exchange_t *x) {
  for (uint32_t i = 0; i < x->count; i++) {
    call->args = x->args + (uint64_t)i * x->args_bytes;
    call->result = x->result + (uint64_t)i * x->result_max;
    call->result_bytes = 0;
    cira_status_t status =
        kernel_judge(kernel, call, kernel->function(call), x);
    if (status != CIRA_OK) {
      return status;
    }
    if (i > 0 && call->result_bytes != x->result_bytes) {
      (void)cira__format(x->detail, sizeof(x->detail),
                         "'%s' wrote results of %u and of %u bytes",
                         kernel->name, x->result_bytes, call->result_bytes);
      return CIRA_E_RANGE;
    }
    x->result_bytes = call->result_bytes;
    x->done = i + 1;
  }
  return CIRA_OK;
}

static cira_status_t run_array(const cira_kernel_t *kernel,
                               cira_kernel_call_t *call, exchange_t *x) {
  call->count = x->count;
  cira_status_t status = kernel_judge(kernel, call, kernel->function(call), x);
  x->result_bytes =
      (uint32_t)cira__min_u64(call->result_bytes, call->result_max);
  x->done = status == CIRA_OK ? x->count
                              : (uint32_t)cira__min_u64(call->done, x->count);
  return status;
}

/* Dies with the session, also in the middle of a kernel; has nothing to say to
 * client or server; leaves no core files in the server's folder. */
static void runner_begin(void) {
  static bool begun;
  if (!begun) {
    struct rlimit none = {0};
    begun = true;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "cira-kernels");
    (void)close(SESSION_FD);
    (void)close(CONTROL_FD);
    (void)setrlimit(RLIMIT_CORE, &none);
  }
}

static cira_status_t run(cira_call_frame_t *frame) {
  runner_t *r = frame->context;
  exchange_t *x = r->exchange;
  context_t context = {frame, x};
  cira_kernel_call_t call = {.size = sizeof(call),
                             .count = 1,
                             .args = x->args,
                             .result = x->result,
                             .args_bytes = x->args_bytes,
                             .result_max = x->result_max,
                             .range_count = x->range_count,
                             .range = x->range,
                             .stop = kernel_stop,
                             .resolve = kernel_resolve,
                             .fail = kernel_fail,
                             .server = &context};
  runner_begin();
  const cira_kernel_t *kernel = r->kernels->kernel[x->kernel];
  return (kernel->flags & CIRA_KERNEL_F_ARRAY) != 0
             ? run_array(kernel, &call, x)
             : run_each(kernel, &call, x);
}

/* ---- life --------------------------------------------------------------- */

cira_status_t runner_init(runner_t *r, const kernels_t *kernels) {
  *r = (runner_t){.kernels = kernels};
  void *at = mmap(NULL, sizeof(*r->exchange), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    return cira__fail_errno(CIRA_E_NOMEM, errno, "no memory for an exchange");
  }
  r->exchange = at;
  cira_status_t status = cira_call_table_create(&r->table);
  return status == CIRA_OK ? cira_call_table_add(r->table, "run", run, r)
                           : status;
}

cira_status_t runner_ensure(runner_t *r) {
  if (r->client) {
    return CIRA_OK;
  }
  cira_call_options_t opt = cira_call_options_default();
  opt.depth = 2; /* one at a time */
  cira_call_client_t *client;
  cira_status_t status = cira_call_process(r->table, &opt, &client);
  if (status == CIRA_OK) {
    r->client = client;
    status = cira_call_find(client, "run", CIRA_FOREVER, &r->function);
  }
  return status;
}

void runner_end(runner_t *r) {
  if (r->client) {
    uint32_t pid = cira_call_stats(r->client).pid;
    /* While its link stands it was not waited for, so the number is its own. */
    if (cira_call_poll(r->client, NULL) == CIRA_OK && pid) {
      (void)kill((pid_t)pid, SIGKILL); /* closing would let it end the call */
    }
    cira_call_destroy(r->client);
    r->client = NULL;
  }
}
