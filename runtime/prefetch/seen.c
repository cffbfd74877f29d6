/* SPDX-License-Identifier: Apache-2.0
 *
 * What a profile is told of a stream: while it is recorded, each call that may
 * wait is timed, and the requests sent and waited for in it are counted.
 */
#include "prefetch/stream_internal.h"

#define ADD(field, x) __atomic_fetch_add(&(field), (x), __ATOMIC_RELAXED)

void cira__stream_seen_begin(cira_stream_t *s) {
  s->seen = (cira_profile_stream_t){.start_ns = cira__now_ns(),
                                    .ip = cira__profile_caller()};
}

stream_look_t cira__stream_look_begin(void) {
  return (stream_look_t){.t0 = cira__now_ns(), .reads = cira_far_tally()};
}

void cira__stream_look_end(cira_stream_t *s, const stream_look_t *look,
                           int64_t given) {
  cira_far_tally_t now = cira_far_tally();
  ADD(s->seen.wait_ns, cira__now_ns() - look->t0);
  ADD(s->seen.refills, 1);
  ADD(s->seen.asked, now.asked - look->reads.asked);
  ADD(s->seen.used, now.waited - look->reads.waited);
  ADD(s->seen.late, now.late - look->reads.late);
  if (s->kind == CHAIN) {
    ADD(s->seen.walked, (uint64_t)(given > 0 ? given : 0));
  }
}

void cira__stream_seen_end(cira_stream_t *s) {
  cira_profile_stream_t *p = &s->seen;
  const void *first;
  p->end_ns = cira__now_ns();
  p->kind = (uint32_t)s->kind;
  p->count = (uint64_t)s->count;
  p->walked = s->kind == CHAIN ? p->walked : (uint64_t)s->next;
  switch (s->kind) {
  case CHAIN:
    first = s->chain.head;
    p->element_bytes = s->chain.node_bytes;
    break;
  case TILED:
  case FRONTIER:
    first = s->kind == TILED ? s->tiled.base : s->frontier.vertices;
    p->element_bytes =
        (uint32_t)(s->kind == TILED ? s->tiled.element_bytes
                                    : s->frontier.neighbour_bytes);
    p->walked = cira__max_u64(
        p->walked,
        (uint64_t)atomic_load_explicit(&s->position, memory_order_relaxed));
    break;
  case POINTERS:
    first = s->pointers.index_bytes != 0 ? s->pointers.base : s->source.first;
    p->element_bytes = s->pointers.target_bytes;
    break;
  default:
    first = s->source.first;
    p->element_bytes = s->source.bytes;
  }
  p->address = (uint64_t)(uintptr_t)first;
  if (cira__profile_on()) {
    cira__profile_stream(p);
  }
}
