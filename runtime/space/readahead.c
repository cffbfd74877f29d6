/* SPDX-License-Identifier: Apache-2.0
 *
 * The pager's side of the controller (control.h): counts, bounds, statistics,
 * the trace of a run. A step is made by the thread whose fault is due for it;
 * everything here may run in a signal handler.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/sys.h"
#include "fabric/internal.h"
#include "space/space_internal.h"

#define STEP_FAULTS 128u /* between two looks */
#define WINDOW_DEFAULT 64u
#define WINDOW_MIN 4u
/* Longer runs leave the pool of frames (BLOCK_PAGES) and are copied by the
 * kernel: with 128 pages a walk over tcp: took 1.6 times as long as with 64. */
#define WINDOW_MAX BLOCK_PAGES

void cira__readahead_init(cira_space_t *s) {
  uint32_t given = s->opt.readahead_pages;
  uint64_t room = cira__max_u64(1, s->local_pages / 8);
  uint64_t max = cira__min_u64(given ? given : WINDOW_MAX, room);
  uint64_t window = cira__min_u64(given ? given : WINDOW_DEFAULT, room);
  uint64_t min =
      s->opt.readahead_fixed ? window : cira__min_u64(WINDOW_MIN, window);
  cira_control_init(&s->control, (uint32_t)window, (uint32_t)min,
                    (uint32_t)(s->opt.readahead_fixed ? window : max));
  atomic_store(&s->readahead_pages, s->control.window);
  s->stats->window_pages = s->control.window;
  s->controlled.trace_fd = -1;
  if (s->opt.control_trace) {
    int fd = open(s->opt.control_trace,
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
      CIRA_LOG(CIRA_LOG_WARN,
               "CIRA_PREFETCH_TRACE=%s: cannot be written (errno %d); there "
               "is no trace",
               s->opt.control_trace, errno);
    }
    s->controlled.trace_fd = fd < 0 ? fd : cira__fd_move_high(fd);
  }
}

void cira__readahead_fini(cira_space_t *s) {
  if (s->controlled.trace_fd >= 0) {
    (void)close(s->controlled.trace_fd);
    s->controlled.trace_fd = -1;
  }
}

/* What a trace says of a step: the input, the window before it and after it,
 * and why (control.h). Read by test/unit/prefetch/test_control.c. */
static void trace(const cira_space_t *s, const cira_control_input_t *in,
                  uint32_t before, cira_control_change_t change) {
  char line[256];
  size_t n = cira__format(
      line, sizeof(line),
      "ahead %llu used %llu fetched %llu refaults %llu stall_ns %llu "
      "interval_ns %llu window %u next %u change %d\n",
      (unsigned long long)in->ahead, (unsigned long long)in->used,
      (unsigned long long)in->fetched, (unsigned long long)in->refaults,
      (unsigned long long)in->stall_ns, (unsigned long long)in->interval_ns,
      before, s->control.window, (int)change);
  (void)cira__sys_write(s->controlled.trace_fd, line, n);
}

/* The change of a counter; one that was reset (a fork) begins again. */
static uint64_t since(uint64_t now, uint64_t before) {
  return now >= before ? now - before : now;
}

/* stream_lock is held. */
static void step(cira_space_t *s, uint64_t now_ns) {
  const cira_control_input_t *b = &s->controlled.before;
  cira_control_input_t now = {
      .ahead = atomic_load_explicit(&s->controlled.ahead, memory_order_relaxed),
      .used = atomic_load_explicit(&s->controlled.used, memory_order_relaxed),
      .fetched = __atomic_load_n(&s->stats->pages_in, __ATOMIC_RELAXED),
      .refaults = __atomic_load_n(&s->stats->refaults, __ATOMIC_RELAXED),
      .stall_ns = __atomic_load_n(&s->stats->wait_ns, __ATOMIC_RELAXED)};
  cira_control_input_t in = {.ahead = since(now.ahead, b->ahead),
                             .used = since(now.used, b->used),
                             .fetched = since(now.fetched, b->fetched),
                             .refaults = since(now.refaults, b->refaults),
                             .stall_ns = since(now.stall_ns, b->stall_ns),
                             .interval_ns = now_ns - s->controlled.at_ns};
  bool first = s->controlled.at_ns == 0;
  s->controlled.before = now;
  s->controlled.at_ns = now_ns;
  if (first) {
    return;
  }
  uint32_t before = s->control.window;
  cira_control_change_t change = cira_control_step(&s->control, &in);
  if (s->control.window != before) {
    atomic_store_explicit(&s->readahead_pages, s->control.window,
                          memory_order_relaxed);
    STAT_ADD(s, window_changes, 1);
    __atomic_store_n(&s->stats->window_pages, s->control.window,
                     __ATOMIC_RELAXED);
  }
  if (CIRA_UNLIKELY(s->controlled.trace_fd >= 0)) {
    trace(s, &in, before, change);
  }
}

void cira__readahead_fault(cira_space_t *s, uint64_t now_ns) {
  uint32_t count =
      atomic_fetch_add_explicit(&s->controlled.faults, 1, memory_order_relaxed);
  if (CIRA_LIKELY((count + 1) % STEP_FAULTS != 0) || s->opt.readahead_fixed ||
      !cira__trylock(&s->stream_lock)) {
    return;
  }
  step(s, now_ns);
  cira__unlock(&s->stream_lock);
}

uint32_t cira_space_window(const cira_space_t *s) {
  return atomic_load_explicit(&s->readahead_pages, memory_order_relaxed);
}

void cira_space_window_set(cira_space_t *s, uint32_t pages) {
  uint64_t saved = cira__signals_block();
  cira__lock(&s->stream_lock);
  cira_control_init(&s->control, pages, s->control.min, s->control.max);
  atomic_store(&s->readahead_pages, s->control.window);
  __atomic_store_n(&s->stats->window_pages, s->control.window,
                   __ATOMIC_RELAXED);
  cira__unlock(&s->stream_lock);
  cira__signals_restore(saved);
}

void cira_space_depth_changed(cira_space_t *s, uint32_t batches) {
  if (s != NULL) {
    STAT_ADD(s, depth_changes, 1);
    __atomic_store_n(&s->stats->depth_batches, batches, __ATOMIC_RELAXED);
  }
}
