/* SPDX-License-Identifier: Apache-2.0
 *
 * What a profile is told of the pager's work: each thread notes what happens
 * while it handles one fault, pin or hint, and records it at the end.
 */
#include "space/far.h"
#include "space/space_internal.h"

__thread watch_t cira__watch;
static __thread cira_far_tally_t tally;

void cira__watch_read(uint32_t asked, uint32_t waited, uint32_t late) {
  tally.asked += asked;
  tally.waited += waited;
  tally.late += late;
}

cira_far_tally_t cira_far_tally(void) {
  return tally;
}

uint64_t cira__watch_start(void) {
  cira__watch = (watch_t){0};
  return cira__now_ns();
}

void cira__watch_fault(uint64_t t0, const void *address, const void *ucontext,
                       bool write) {
  uint64_t stack = cira__profile_interrupted_stack(ucontext);
  if (stack != 0 && !cira_space_contains((const void *)(uintptr_t)stack)) {
    cira__watch.caller = cira__profile_interrupted_caller(ucontext);
  }
  cira__watch_end(t0, CIRA_PROFILE_FAULT, address,
                  cira__profile_interrupted(ucontext), write);
}

void cira__watch_end(uint64_t t0, uint8_t kind, const void *address,
                     uint64_t ip, bool write) {
  const watch_t *w = &cira__watch;
  if (kind != CIRA_PROFILE_FAULT && w->pages == 0 && w->flags == 0) {
    return; /* everything was here */
  }
  uint64_t ns = cira__now_ns() - t0;
  cira_profile_event_t e = {
      .time_ns = t0,
      .address = (uint64_t)(uintptr_t)address,
      .ip = ip != 0 || kind == CIRA_PROFILE_FAULT ? ip : cira__profile_caller(),
      .caller = w->caller,
      .wait_ns = (uint32_t)cira__min_u64(ns, UINT32_MAX),
      .pages = w->pages,
      .hits = w->hits,
      .kind = kind,
      .flags = w->flags | (write ? CIRA_PROFILE_F_WRITE : 0),
      .tier = w->tier,
  };
  cira__profile_event(&e);
}
