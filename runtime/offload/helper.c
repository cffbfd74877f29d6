/* SPDX-License-Identifier: Apache-2.0
 *
 * The device that every machine has: another core. A ring that has work takes a
 * helper of the engine (offload.h) until it is empty; what it brings near is in
 * the page table, and in the caches that the cores share.
 */
#include "offload/device.h"
#include "offload/offload.h"
#include "prefetch/stream.h"
#include "space/far.h"

static cira_status_t helper_open(cira_offload_t *o, const char *place,
                                 const cira_offload_options_t *opt) {
  (void)o;
  if (place) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_open: the device 'helper' has no place '%s'",
                      place);
  }
  if (opt->core > CIRA_HELPERS_MAX) {
    return cira__fail(CIRA_E_RANGE,
                      "offload_open: helper %u; there are at most %u",
                      opt->core, CIRA_HELPERS_MAX);
  }
  return CIRA_OK;
}

static void helper_close(cira_offload_t *o) {
  (void)o;
}

/* The helpers start with the first job, and again in a forked child. */
static cira_status_t helper_ready(cira_offload_t *o) {
  (void)o;
  return cira_offload_start();
}

static void drain(void *argument) {
  cira__device_drain(*(cira_offload_t **)argument);
}

static void helper_begin(cira_offload_t *o) {
  cira_offload_begin((int32_t)o->core - 1, drain, (const void *)&o, sizeof(o));
}

static uint64_t install(const cira_offload_job_t *job) {
  const uint8_t *p = job->address;
  uint64_t bytes = job->bytes;
  if (cira_far_is_far(p)) {
    bytes = cira__min_u64(bytes, cira_far_local_pages() / 8 * CIRA_PAGE_BYTES);
    cira_space_prefetch(cira__far.space, p, bytes);
  }
  for (uint64_t i = 0; job->level > 0 && i < bytes; i += CIRA_LINE_BYTES) {
    if (!cira_far_is_far(p + i) || cira_far_is_here(p + i)) {
      cira_prefetch_line(p + i, (int32_t)job->level);
    }
  }
  return bytes;
}

static cira_status_t helper_run(cira_offload_t *o,
                                const cira_offload_job_t *job,
                                uint64_t *out_value) {
  (void)o;
  switch (job->kind) {
  case CIRA_OFFLOAD_INSTALL:
    *out_value = install(job);
    return CIRA_OK;
  case CIRA_OFFLOAD_CHAIN: {
    const void *head = job->address;
    *out_value = cira_prefetch_nodes(
        (const void *)&head, job->step,
        (int64_t)cira__min_u64(job->count, INT64_MAX), (int64_t)job->bytes);
    return CIRA_OK;
  }
  case CIRA_OFFLOAD_STREAM:
    cira_prefetch_array(job->address, job->step, (int64_t)job->count,
                        (int64_t)job->bytes);
    *out_value = job->count;
    return CIRA_OK;
  default:
    *out_value = job->function((void *)(uintptr_t)job->args);
    return CIRA_OK;
  }
}

const cira_device_ops_t cira__device_helper = {
    .size = sizeof(cira_device_ops_t),
    .can = CIRA_OFFLOAD_INSTALL | CIRA_OFFLOAD_CHAIN | CIRA_OFFLOAD_STREAM |
           CIRA_OFFLOAD_CALL,
    .name = "helper",
    .open = helper_open,
    .close = helper_close,
    .ready = helper_ready,
    .begin = helper_begin,
    .run = helper_run,
};
