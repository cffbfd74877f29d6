/* SPDX-License-Identifier: Apache-2.0
 *
 * stats: see stats.h; the file's layout and who writes what is in
 * heap/preload/stats_file.h.
 */
#include "cira-jit/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap/preload/stats_file.h"

static cira_stats_slot_t *slot;
static cira_space_stats_t last; /* the counters' home after the slot closes */

static cira_stats_file_t *map_file(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  struct stat st;
  void *p = MAP_FAILED;
  if (fd >= 0 && fstat(fd, &st) == 0 &&
      (size_t)st.st_size >= CIRA_STATS_HEADER_BYTES) {
    p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
             0);
  }
  if (fd >= 0) {
    close(fd);
  }
  cira_stats_file_t *f = p;
  if (p == MAP_FAILED || f->magic != CIRA_STATS_MAGIC ||
      f->version != CIRA_STATS_VERSION ||
      f->slot_bytes != sizeof(cira_stats_slot_t) ||
      cira_stats_file_bytes(f->slot_count) > (size_t)st.st_size) {
    fprintf(stderr,
            "cira-jit: no statistics: %s is no counters file of this "
            "version\n",
            path);
    return NULL;
  }
  return f;
}

void jit_stats_open(cira_space_t *space, const char *program) {
  const char *path = getenv("CIRA_STATS");
  if (space == NULL || path == NULL || path[0] == '\0') {
    return;
  }
  cira_stats_file_t *f = map_file(path);
  if (f == NULL) {
    return;
  }
  uint32_t at =
      atomic_fetch_add_explicit(&f->claimed_count, 1, memory_order_relaxed);
  uint32_t expected = CIRA_STATS_FREE;
  if (at >= f->slot_count ||
      !atomic_compare_exchange_strong(&f->slots[at].state, &expected,
                                      CIRA_STATS_CLAIMED)) {
    return; /* the reader says that processes ran without a slot */
  }
  slot = &f->slots[at];
  const char *base = strrchr(program, '/');
  slot->pid = getpid();
  slot->parent_pid = getppid();
  slot->start_ns = cira__now_ns();
  snprintf(slot->program, sizeof slot->program, "%s",
           base == NULL ? program : base + 1);
  snprintf(slot->mode, sizeof slot->mode, "%s", cira_space_mode_name(space));
  cira_space_stats_move(space, &slot->stats);
  /* pairs with: the reader's acquire of the state */
  atomic_store_explicit(&slot->state, CIRA_STATS_RUNNING, memory_order_release);
}

void jit_stats_close(cira_space_t *space) {
  if (slot == NULL) {
    return;
  }
  cira_space_stats_move(space, &last);
  slot->end_ns = cira__now_ns();
  slot->exit_known = 1;
  atomic_store_explicit(&slot->state, CIRA_STATS_EXITED, memory_order_release);
}
