/* SPDX-License-Identifier: Apache-2.0
 *
 * Rings of jobs, and which device a name means. See device.h.
 */
#include "offload/device.h"

#include <linux/futex.h>
#include <string.h>

#include "async/thread.h"
#include "base/sys.h"
#include "fabric/internal.h"

#define DEPTH_DEFAULT 64u
#define DRAIN_SPIN_NS 20000u /* 20 us for the next job, then let go */
#define WAIT_SPINS 200u

cira_offload_options_t cira_offload_options_default(void) {
  return (cira_offload_options_t){.size = sizeof(cira_offload_options_t),
                                  .depth = DEPTH_DEFAULT};
}

/* ---- life --------------------------------------------------------------- */

static const cira_device_ops_t *const devices[] = {&cira__device_helper,
                                                   &cira__device_server};

/* The device of a name, and what stands behind its colon. */
static const cira_device_ops_t *device_find(const char *name,
                                            const char **out_place) {
  for (size_t i = 0; i < CIRA_COUNT(devices); i++) {
    size_t n = strlen(devices[i]->name);
    if (strncmp(name, devices[i]->name, n) == 0 &&
        (name[n] == 0 || name[n] == ':')) {
      *out_place = name[n] == ':' ? name + n + 1 : NULL;
      return devices[i];
    }
  }
  return NULL;
}

static cira_status_t options_check(const cira_offload_options_t *opt,
                                   cira_offload_options_t *out) {
  *out = cira_offload_options_default();
  if (!opt) {
    return CIRA_OK;
  }
  if (opt->size != sizeof(*opt)) {
    return cira__fail(CIRA_E_INVALID,
                      "offload options: size is %u, not %zu; begin with "
                      "cira_offload_options_default",
                      opt->size, sizeof(*opt));
  }
  *out = *opt;
  out->depth = opt->depth ? opt->depth : DEPTH_DEFAULT;
  if ((out->depth & (out->depth - 1)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "offload options: depth %u is no power of two",
                      out->depth);
  }
  if (out->depth > CIRA_OFFLOAD_DEPTH_MAX) {
    return cira__fail(CIRA_E_RANGE, "offload options: depth %u is above %u",
                      out->depth, CIRA_OFFLOAD_DEPTH_MAX);
  }
  return CIRA_OK;
}

cira_status_t cira_offload_open(const char *device,
                                const cira_offload_options_t *opt,
                                cira_offload_t **out) {
  cira_offload_options_t o;
  const char *place = NULL;
  if (!device || !out) {
    return cira__fail(CIRA_E_INVALID, "offload_open: device or out is NULL");
  }
  cira_status_t status = options_check(opt, &o);
  if (status != CIRA_OK) {
    return status;
  }
  const cira_device_ops_t *ops = device_find(device, &place);
  if (!ops || ops->size != sizeof(*ops)) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_open: there is no device '%s'; there are "
                      "'helper', 'server' and 'server:URL'",
                      device);
  }
  uint64_t head = cira__align_up(sizeof(cira_offload_t), 128);
  uint64_t total = head + o.depth * sizeof(cira__device_slot_t);
  /* not from malloc, which may give memory in a page that a job lends away */
  cira_offload_t *made = cira__pages_alloc(total);
  if (!made) {
    return CIRA_E_NOMEM;
  }
  made->ops = ops;
  made->depth = o.depth;
  made->core = o.core;
  made->slot = (cira__device_slot_t *)(void *)((uint8_t *)made + head);
  made->total_bytes = total;
  atomic_store(&made->references, 1);
  status = ops->open(made, place, &o);
  if (status != CIRA_OK) {
    cira__pages_free(made, total);
    return status;
  }
  *out = made;
  return CIRA_OK;
}

void cira__device_release(cira_offload_t *o) {
  if (atomic_fetch_sub(&o->references, 1) == 1) {
    cira__pages_free(o, o->total_bytes);
  }
}

/* Sleeps until the drain has taken one more job. */
static void head_wait(cira_offload_t *o, uint32_t head) {
  atomic_store(&o->waiting, true); /* pairs with: cira__device_drain */
  (void)cira__sys_futex(&o->head, FUTEX_WAIT_PRIVATE, head);
}

void cira_offload_close(cira_offload_t *o) {
  if (!o) {
    return;
  }
  uint32_t head;
  while ((head = atomic_load(&o->head)) !=
         atomic_load_explicit(&o->tail, memory_order_relaxed)) {
    head_wait(o, head);
  }
  o->ops->close(o);
  cira__device_release(o);
}

uint32_t cira_offload_can(const cira_offload_t *o) {
  return o ? o->ops->can : 0;
}

/* ---- submitting --------------------------------------------------------- */

static cira_status_t job_check(const cira_offload_t *o,
                               const cira_offload_job_t *job) {
  bool sense = false;
  if (cira_thread()->on_device) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "offload_submit: a job cannot submit jobs in turn");
  }
  switch (job->kind) {
  case CIRA_OFFLOAD_INSTALL:
    sense = job->address && job->bytes && job->level <= 3;
    break;
  case CIRA_OFFLOAD_CHAIN:
    sense = job->address && job->count && job->bytes >= sizeof(void *) &&
            job->bytes <= CIRA_PAGE_BYTES && job->step >= 0 &&
            (uint64_t)job->step <= job->bytes - sizeof(void *);
    break;
  case CIRA_OFFLOAD_STREAM:
    sense = job->address && job->count && job->count <= INT64_MAX &&
            job->bytes && job->bytes <= INT64_MAX;
    break;
  case CIRA_OFFLOAD_CALL:
    sense = (job->function != NULL) != (job->kernel != NULL) &&
            (!job->kernel || ((!job->args_bytes || job->args) &&
                              (!job->result_max || job->result) &&
                              (!job->range_count || job->range)));
    break;
  default:
    break;
  }
  if (!sense) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_submit: kind %u is unknown, or its fields make "
                      "no sense (see cira/offload.h)",
                      job->kind);
  }
  if ((job->kind & o->ops->can) == 0 ||
      (job->function && o->ops == &cira__device_server) ||
      (job->kernel && o->ops == &cira__device_helper)) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "offload_submit: the device '%s' does not do jobs of "
                      "this kind (%u)",
                      o->ops->name, job->kind);
  }
  return CIRA_OK;
}

cira_status_t cira_offload_submit(cira_offload_t *o,
                                  const cira_offload_job_t *job,
                                  cira_offload_line_t *line) {
  if (!o || !job || !line || ((uintptr_t)line & 63) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_submit: the device, job or line is NULL, or the "
                      "line is not aligned to 64");
  }
  cira_status_t status = job_check(o, job);
  if (status != CIRA_OK) {
    return status;
  }
  uint32_t tail = atomic_load_explicit(&o->tail, memory_order_relaxed);
  /* pairs with: the store in cira__device_drain */
  if (tail - atomic_load_explicit(&o->head, memory_order_acquire) == o->depth) {
    return CIRA_AGAIN;
  }
  status = o->ops->ready(o);
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return status;
  }
  memset(line, 0, sizeof(*line));
  line->status = CIRA_PENDING;
  o->slot[tail & (o->depth - 1)] =
      (cira__device_slot_t){.job = *job, .line = line};
  /* sequentially consistent, as the drain's: it sees the job or we its end */
  atomic_store(&o->tail, tail + 1);
  if (!atomic_exchange(&o->draining, true)) {
    atomic_fetch_add(&o->references, 1);
    o->ops->begin(o);
  }
  return CIRA_OK;
}

cira_status_t cira_offload_wait(cira_offload_line_t *line,
                                uint64_t deadline_ns) {
  if (!line) {
    return cira__fail(CIRA_E_INVALID, "offload_wait: the line is NULL");
  }
  for (uint32_t i = 0; i < WAIT_SPINS && !cira_offload_done(line); i++) {
    cira__cpu_relax();
  }
  cira_status_t status = cira_waitable_wait(&line->ready, deadline_ns);
  if (status != CIRA_OK) {
    return status == CIRA_E_DEADLINE ? CIRA_PENDING : status;
  }
  return line->status == CIRA_OK
             ? CIRA_OK
             : cira__fail(line->status, "offload: %s", line->reason);
}

cira_status_t cira_offload_run(cira_offload_t *o, const cira_offload_job_t *job,
                               uint64_t *out_value) {
  cira_offload_line_t line;
  cira_status_t status;
  while ((status = cira_offload_submit(o, job, &line)) == CIRA_AGAIN) {
    uint32_t head = atomic_load(&o->head);
    if (atomic_load(&o->tail) - head == o->depth) {
      head_wait(o, head);
    }
  }
  while (status == CIRA_OK || status == CIRA_PENDING ||
         status == CIRA_E_CANCELLED) {
    if (cira_offload_done(&line)) {
      break;
    }
    /* also when this task is to stop: the line is on its stack */
    status = cira_offload_wait(&line, CIRA_FOREVER);
  }
  if (status != CIRA_OK) {
    return status;
  }
  if (out_value && line.status == CIRA_OK) {
    *out_value = line.value;
  }
  return line.status;
}

/* ---- on the device ------------------------------------------------------ */

static void job_run(cira_offload_t *o, const cira__device_slot_t *slot) {
  cira_offload_line_t *line = slot->line;
  uint64_t value = 0;
  cira_status_t status = CIRA_E_DEADLINE;
  if (slot->job.deadline_ns && cira__now_ns() >= slot->job.deadline_ns) {
    (void)cira__fail(status, "overdue before it began");
  } else {
    status = o->ops->run(o, &slot->job, &value);
  }
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    CIRA_LOG(CIRA_LOG_INFO, "offload: a job failed: %s", cira_status_detail());
    (void)cira__format(line->reason, sizeof(line->reason), "%s",
                       cira_status_detail());
  }
  line->value = value;
  line->status = status;
  (void)cira_waitable_set(&line->ready); /* the line is the caller's again */
}

static bool more_soon(cira_offload_t *o, uint32_t head) {
  uint64_t until_ns = cira__now_ns() + DRAIN_SPIN_NS;
  do {
    for (uint32_t i = 0; i < 64; i++) {
      if (atomic_load(&o->tail) != head) {
        return true;
      }
      cira__cpu_relax();
    }
  } while (cira__now_ns() < until_ns);
  return false;
}

void cira__device_drain(cira_offload_t *o) {
  uint32_t head = atomic_load(&o->head);
  for (;;) {
    /* pairs with: the store in cira_offload_submit */
    while (atomic_load(&o->tail) != head) {
      cira__device_slot_t slot = o->slot[head & (o->depth - 1)];
      job_run(o, &slot);
      atomic_store(&o->head, ++head);
      if (CIRA_UNLIKELY(atomic_load(&o->waiting))) {
        atomic_store(&o->waiting, false);
        (void)cira__sys_futex(&o->head, FUTEX_WAKE_PRIVATE, 1);
      }
    }
    if (more_soon(o, head)) {
      continue;
    }
    atomic_store(&o->draining, false);
    if (atomic_load(&o->tail) == head || atomic_exchange(&o->draining, true)) {
      break;
    }
  }
  cira__device_release(o);
}
