/* SPDX-License-Identifier: Apache-2.0
 *
 * init: reads the environment, creates the space and the heap, before main and
 * before any other thread. After that the program's memory is far.
 *
 * Invariant: a value that makes no sense ends the process before it did
 * anything, with one line that names variable, value and remedy (exit 2).
 * Threads: the constructor runs alone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "heap/heap.h"
#include "heap/preload/shim.h"
#include "heap/settings.h"

#define EXIT_USAGE 2
#define FD_FLOOR_MAX 512 /* our descriptors live at and above this */
#define FD_SPAN 256      /* and below this many more */

bool shim_ready;
bool shim_onstack = true;

/* ---- descriptors -------------------------------------------------------- */

/* Programs expect 3 to be the first free descriptor, and some close all they
 * find. So ours are moved out of the way, and close() leaves them alone. */
static int fd_floor = FD_FLOOR_MAX;
static uint64_t fd_ours[FD_SPAN / 64];
static uint64_t fd_before[FD_SPAN / 64];
static int fd_fill[FD_FLOOR_MAX];
static int fd_fill_count;

bool shim_fd_is_ours(int fd) {
  unsigned at = (unsigned)fd - (unsigned)fd_floor;
  return at < FD_SPAN && ((fd_ours[at / 64] >> (at % 64)) & 1) != 0;
}

static void fds_high_open(uint64_t *set) {
  memset(set, 0, sizeof(fd_ours));
  for (int i = 0; i < FD_SPAN; i++) {
    if (fcntl(fd_floor + i, F_GETFD) >= 0) {
      set[i / 64] |= UINT64_C(1) << (i % 64);
    }
  }
}

void shim_fds_reserve_low(void) {
  struct rlimit limit;
  fd_fill_count = 0;
  if (!shim_ready && getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
      limit.rlim_cur < 2 * FD_FLOOR_MAX) {
    fd_floor = (int)(limit.rlim_cur / 2);
  }
  fds_high_open(fd_before);
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int fd = null;
  while (fd >= 0 && fd < fd_floor && fd_fill_count < FD_FLOOR_MAX) {
    fd_fill[fd_fill_count++] = fd;
    fd = fcntl(null, F_DUPFD_CLOEXEC, 0);
  }
  if (fd >= fd_floor) {
    close(fd);
  }
}

void shim_fds_adopt(void) {
  uint64_t now[FD_SPAN / 64];
  for (int i = 0; i < fd_fill_count; i++) {
    close(fd_fill[i]);
  }
  fd_fill_count = 0;
  fds_high_open(now);
  for (size_t i = 0; i < CIRA_COUNT(now); i++) {
    fd_ours[i] = now[i] & (fd_ours[i] | ~fd_before[i]);
  }
}

/* ---- start -------------------------------------------------------------- */

static _Noreturn void cannot_start(const char *what, cira_status_t status) {
  cira__log(CIRA_LOG_ERROR, "%s: %s (%s); the program was not started", what,
            cira_status_detail(), cira_status_name(status));
  _exit(CIRA_EXIT_FAR);
}

__attribute__((constructor)) static void shim_start(void) {
  int saved = errno;
  cira_settings_t settings;
  shim_resolve_all();
  cira_settings_default(&settings);
  if (cira_settings_read(&settings, CIRA_SETTINGS_F_WARN) != CIRA_OK) {
    cira__log(CIRA_LOG_ERROR, "%s", cira_status_detail());
    _exit(EXIT_USAGE);
  }
  shim_onstack = settings.onstack;

  shim_fds_reserve_low();
  cira_space_t *space = NULL;
  cira_status_t status = cira_space_create(&settings.space, &space);
  if (status != CIRA_OK) {
    cannot_start("cannot reach the far memory", status);
  }
  shim_fds_adopt();
  shim_signals_init();
  shim_threads_init();
  shim_fork_init();
  if (settings.stats != NULL && settings.stats[0] != '\0') {
    shim_stats_open(settings.stats);
  }
  status = cira_heap_init(space, &settings.heap);
  if (status != CIRA_OK) {
    cannot_start("cannot set the heap up", status);
  }
  cira_heap_thread_start();
  shim_ready = true;
  CIRA_LOG(CIRA_LOG_INFO, "far memory at %s, mode %s",
           settings.space.url != NULL ? settings.space.url : "host:",
           cira_space_mode_name(space));
  errno = saved;
}
