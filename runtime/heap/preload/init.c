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

#define EXIT_USAGE 2
#define FD_FLOOR_MAX 512 /* our descriptors live at and above this */
#define FD_SPAN 256      /* and below this many more */

bool shim_ready;
bool shim_onstack = true;

typedef struct {
  cira_space_options_t space;
  cira_heap_options_t heap;
  const char *stats;
} settings_t;

/* ---- environment -------------------------------------------------------- */

static _Noreturn void refuse(const char *name, const char *value,
                             const char *remedy) {
  cira__log(CIRA_LOG_ERROR, "%s=%s: %s", name, value, remedy);
  _exit(EXIT_USAGE);
}

static void set_far(settings_t *s, const char *name, const char *value) {
  if (value[0] == '\0') {
    refuse(name, value,
           "empty; name a place such as host:, shm: or "
           "tcp://127.0.0.1:7470, or unset it");
  }
  s->space.url = value;
}

static uint64_t parse_size(const char *name, const char *value, uint64_t min,
                           uint64_t max, const char *remedy) {
  uint64_t bytes = 0;
  if (cira__parse_size(value, name, &bytes) != CIRA_OK || bytes < min ||
      bytes > max) {
    refuse(name, value, remedy);
  }
  return bytes;
}

static void set_local(settings_t *s, const char *name, const char *value) {
  s->space.local_bytes = parse_size(
      name, value, CIRA_SPACE_LOCAL_MIN, CIRA_SPACE_BYTES_MAX,
      "not a size of at least 256K for the local cache; use e.g. 512M or 2G");
}

static void set_range(settings_t *s, const char *name, const char *value) {
  s->space.range_bytes = parse_size(
      name, value, UINT64_C(1) << 21, CIRA_SPACE_BYTES_MAX,
      "not a size between 2M and 16T for the far range; use e.g. 64G");
}

static void set_near(settings_t *s, const char *name, const char *value) {
  s->heap.near_max_bytes =
      parse_size(name, value, 0, UINT64_C(1) << 40,
                 "not a block size; use e.g. 256 (0 places all blocks far)");
}

static void set_granule(settings_t *s, const char *name, const char *value) {
  uint64_t bytes =
      parse_size(name, value, CIRA_LINE_BYTES, CIRA_PAGE_BYTES,
                 "not a power of two from 64 to 4096 bytes; the default is 64");
  if ((bytes & (bytes - 1)) != 0) {
    refuse(name, value,
           "not a power of two from 64 to 4096 bytes; the default is 64");
  }
  s->space.granule_bytes = (uint32_t)bytes;
}

static uint32_t parse_count(const char *name, const char *value, uint64_t min,
                            uint64_t max, const char *remedy) {
  uint64_t n = 0;
  if (cira__parse_u64(value, name, max, &n) != CIRA_OK || n < min) {
    refuse(name, value, remedy);
  }
  return (uint32_t)n;
}

static void set_lanes(settings_t *s, const char *name, const char *value) {
  s->space.lanes =
      parse_count(name, value, 1, 8, "not a number of connections from 1 to 8");
}

static void set_readahead(settings_t *s, const char *name, const char *value) {
  s->space.readahead_pages =
      parse_count(name, value, 1, 256,
                  "not a number of pages from 1 (no read-ahead) to 256");
}

static void set_deadline(settings_t *s, const char *name, const char *value) {
  uint64_t ns = 0;
  if (cira__parse_duration(value, name, &ns) != CIRA_OK || ns == 0) {
    refuse(name, value, "not a duration above zero; use e.g. 10s or 500ms");
  }
  s->space.deadline_ns = ns;
}

static void set_token(settings_t *s, const char *name, const char *value) {
  if (access(value, R_OK) != 0) {
    refuse(name, value, "the token file cannot be read; check path and rights");
  }
  s->space.token_file = value;
}

static void set_mode(settings_t *s, const char *name, const char *value) {
  static const char *const names[] = {"auto", "sigbus", "thread", "sigsegv"};
  for (size_t i = 0; i < CIRA_COUNT(names); i++) {
    if (strcmp(value, names[i]) == 0) {
      s->space.mode = (cira_space_mode_t)i;
      return;
    }
  }
  refuse(name, value, "not one of auto, sigbus, thread, sigsegv");
}

static bool parse_switch(const char *name, const char *value) {
  if (strcmp(value, "on") == 0) {
    return true;
  }
  if (strcmp(value, "off") != 0) {
    refuse(name, value, "neither on nor off");
  }
  return false;
}

static void set_huge(settings_t *s, const char *name, const char *value) {
  s->space.no_huge_pages = !parse_switch(name, value);
}

static void set_onstack(settings_t *s, const char *name, const char *value) {
  (void)s;
  shim_onstack = parse_switch(name, value);
}

static void set_log(settings_t *s, const char *name, const char *value) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  (void)s;
  for (size_t i = 0; i < CIRA_COUNT(names); i++) {
    if (strcmp(value, names[i]) == 0) {
      cira__log_level = (cira_log_level_t)i;
      return;
    }
  }
  refuse(name, value, "not one of error, warn, info, debug");
}

static void set_stats(settings_t *s, const char *name, const char *value) {
  (void)name;
  s->stats = value;
}

/* Read by other parts of cira; here only known. */
static void set_other(settings_t *s, const char *name, const char *value) {
  (void)s;
  (void)name;
  (void)value;
}

static const struct {
  const char *name;
  void (*set)(settings_t *s, const char *name, const char *value);
} variables[] = {
    {"CIRA_LOG", set_log}, /* first: the others may log */
    {"CIRA_FAR", set_far},           {"CIRA_FAR_SIZE", set_range},
    {"CIRA_LOCAL", set_local},       {"CIRA_NEAR_MAX", set_near},
    {"CIRA_DEADLINE", set_deadline}, {"CIRA_TOKEN_FILE", set_token},
    {"CIRA_MODE", set_mode},         {"CIRA_GRANULE", set_granule},
    {"CIRA_LANES", set_lanes},       {"CIRA_READAHEAD", set_readahead},
    {"CIRA_HUGE", set_huge},         {"CIRA_STATS", set_stats},
    {"CIRA_ONSTACK", set_onstack},   {"CIRA_FAR_SOCKET", set_other},
    {"CIRA_CHECK", set_other},       {"CIRA_HELPERS", set_other},
};

static void warn_unknown(void) {
  for (char **e = environ; e != NULL && *e != NULL; e++) {
    if (strncmp(*e, "CIRA_", 5) != 0) {
      continue;
    }
    size_t length = strcspn(*e, "=");
    bool known = false;
    for (size_t i = 0; i < CIRA_COUNT(variables) && !known; i++) {
      known = strlen(variables[i].name) == length &&
              strncmp(*e, variables[i].name, length) == 0;
    }
    if (!known) {
      cira__log(CIRA_LOG_WARN,
                "%s: the runtime knows no such variable and ignores it; see "
                "docs/environment.md",
                *e);
    }
  }
}

static void read_environment(settings_t *s) {
  cira_space_options_default(&s->space);
  s->heap = (cira_heap_options_t){.size = sizeof(s->heap)};
  for (size_t i = 0; i < CIRA_COUNT(variables); i++) {
    const char *value = getenv(variables[i].name);
    if (value != NULL) {
      variables[i].set(s, variables[i].name, value);
    }
  }
  warn_unknown();
}

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
  settings_t settings = {0};
  shim_resolve_all();
  read_environment(&settings);

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
