/* SPDX-License-Identifier: Apache-2.0
 *
 * The callee of bench-call: a shared object whose functions are looked up by
 * name. `bind` is told by handles where the arrays are, `remote` gets k.
 * One link at a time binds; the arrays are read only.
 */
#include "cira/call.h"
#include "seed.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

static const int32_t *a;
static const int32_t *b;

CIRA_CALL_KERNEL(bind) {
  const cira_call_far_t *far = frame->args;
  void *at[2];
  if (frame->args_bytes != 2 * sizeof(*far)) {
    return CIRA_E_INVALID;
  }
  for (int i = 0; i < 2; i++) {
    cira_status_t status = cira_call_resolve(frame, &far[i], &at[i]);
    if (status != CIRA_OK) {
      return status;
    }
  }
  a = at[0];
  b = at[1];
  return CIRA_OK;
}

CIRA_CALL_KERNEL_ARRAY(remote_array) {
  const uint32_t *k = frame->args;
  int32_t *result = frame->result;
  uint32_t count = frame->count; /* results may alias the frame */
  for (uint32_t i = 0; i < count; i++) {
    result[i] = seed_remote(k[i], a, b);
  }
  frame->result_bytes = sizeof(int32_t);
  return CIRA_OK;
}

/* A function that sees all its calls can ask for what the later ones need. */
CIRA_CALL_KERNEL_ARRAY(remote_array_ahead) {
  const uint32_t *k = frame->args;
  int32_t *result = frame->result;
  uint32_t count = frame->count;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t later = i + SEED_AHEAD < count ? i + SEED_AHEAD : count - 1;
    __builtin_prefetch(&a[b[k[later] + 3]], 0, 3);
    result[i] = seed_remote(k[i], a, b);
  }
  frame->result_bytes = sizeof(int32_t);
  return CIRA_OK;
}

CIRA_CALL_KERNEL(remote) {
  *(int32_t *)frame->result = seed_remote(*(const uint32_t *)frame->args, a, b);
  frame->result_bytes = sizeof(int32_t);
  return CIRA_OK;
}

/* Puts the serving thread onto one CPU. */
CIRA_CALL_KERNEL(pin) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(*(const uint32_t *)frame->args, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0 ? CIRA_OK : CIRA_E_SYSTEM;
}

/* CPU time of the serving thread in nanoseconds. */
CIRA_CALL_KERNEL(cpu_time) {
  struct timespec t;
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  *(uint64_t *)frame->result =
      (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
  frame->result_bytes = sizeof(uint64_t);
  return CIRA_OK;
}
