/* SPDX-License-Identifier: Apache-2.0
 *
 * stats: this process's slot in the shared counters file (stats_file.h).
 * A file that cannot be used costs the counters, not the run: one warning.
 * Threads: open and child run alone; exit and replaced are signal-safe.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap/preload/shim.h"
#include "heap/preload/stats_file.h"

static cira_stats_file_t *stats_file;
static cira_stats_slot_t *stats_slot;
static cira_space_stats_t stats_private; /* of a process without a slot */

static bool file_fits(const cira_stats_file_t *f, uint64_t bytes) {
  return f->magic == CIRA_STATS_MAGIC && f->version == CIRA_STATS_VERSION &&
         f->slot_bytes == sizeof(cira_stats_slot_t) &&
         f->stats_bytes == sizeof(cira_space_stats_t) &&
         cira_stats_file_bytes(f->slot_count) <= bytes;
}

static cira_stats_slot_t *slot_claim(cira_stats_file_t *f) {
  uint32_t at =
      atomic_fetch_add_explicit(&f->claimed_count, 1, memory_order_relaxed);
  if (at >= f->slot_count) {
    return NULL;
  }
  uint32_t expect = CIRA_STATS_FREE;
  cira_stats_slot_t *slot = &f->slots[at];
  return atomic_compare_exchange_strong(&slot->state, &expect,
                                        CIRA_STATS_CLAIMED)
             ? slot
             : NULL;
}

static void slot_fill(cira_stats_slot_t *slot, bool by_fork) {
  const char *name = program_invocation_short_name;
  slot->pid = getpid();
  slot->parent_pid = getppid();
  slot->by_fork = by_fork;
  slot->start_ns = cira__now_ns();
  size_t n = strnlen(name, sizeof(slot->program) - 1);
  memcpy(slot->program, name, n);
  const char *mode = cira_space_mode_name(cira__space);
  n = strnlen(mode, sizeof(slot->mode) - 1);
  memcpy(slot->mode, mode, n);
  cira_space_stats_move(cira__space, &slot->stats);
  /* pairs with: the reader's acquire of state */
  atomic_store_explicit(&slot->state, CIRA_STATS_RUNNING, memory_order_release);
}

static void stats_at_exit(int status, void *unused) {
  (void)unused;
  shim_stats_exit(status);
}

void shim_stats_open(const char *path) {
  struct stat st;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0 ||
      (uint64_t)st.st_size < CIRA_STATS_HEADER_BYTES) {
    cira__log(CIRA_LOG_WARN,
              "CIRA_STATS=%s: no counters file (cira-run creates it); running "
              "without counters",
              path);
    if (fd >= 0) {
      close(fd);
    }
    return;
  }
  void *p =
      mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (p == MAP_FAILED || !file_fits(p, (uint64_t)st.st_size)) {
    cira__log(CIRA_LOG_WARN,
              "CIRA_STATS=%s: not a counters file of this version; running "
              "without counters",
              path);
    if (p != MAP_FAILED) {
      munmap(p, (size_t)st.st_size);
    }
    return;
  }
  stats_file = p;
  stats_slot = slot_claim(stats_file);
  if (stats_slot != NULL) {
    slot_fill(stats_slot, false);
    on_exit(stats_at_exit, NULL);
  }
}

void shim_stats_child(void) {
  if (stats_file == NULL) {
    return;
  }
  bool registered = stats_slot != NULL;
  stats_slot = slot_claim(stats_file);
  if (stats_slot == NULL) {
    /* Never count into the parent's slot. */
    memset(&stats_private, 0, sizeof(stats_private));
    cira_space_stats_move(cira__space, &stats_private);
    return;
  }
  slot_fill(stats_slot, true);
  if (!registered) {
    on_exit(stats_at_exit, NULL);
  }
}

/* A vfork child shares the parent's slot: its end is not the parent's. */
static bool slot_is_mine(void) {
  return stats_slot != NULL && stats_slot->pid == getpid();
}

void shim_stats_exit(int status) {
  if (slot_is_mine()) {
    stats_slot->exit_status = (status & 0xff) << 8;
    stats_slot->exit_known = 1;
    stats_slot->end_ns = cira__now_ns();
    atomic_store_explicit(&stats_slot->state, CIRA_STATS_EXITED,
                          memory_order_release);
  }
}

void shim_stats_replaced(bool replaced) {
  if (slot_is_mine()) {
    stats_slot->end_ns = replaced ? cira__now_ns() : 0;
    atomic_store_explicit(&stats_slot->state,
                          replaced ? CIRA_STATS_REPLACED : CIRA_STATS_RUNNING,
                          memory_order_release);
  }
}
