/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_print: see stats_print.h. One list of counters (COUNTERS) says how each
 * is named and added up over the processes of a run.
 */
#include "cira-run/stats_print.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap/preload/stats_file.h"

#define FILE_PREFIX "cira-stats-"

typedef enum { SUM, MAX } fold_t;

#define C(field, fold) {#field, offsetof(cira_space_stats_t, field), fold}
static const struct {
  const char *name;
  size_t offset;
  fold_t fold; /* over processes: levels and peaks are not added up */
} COUNTERS[] = {
    C(faults, SUM),
    C(faults_zero, SUM),
    C(pages_in, SUM),
    C(pages_ahead, SUM),
    C(pages_ahead_hit, SUM),
    C(pages_out, SUM),
    C(pages_dropped, SUM),
    C(bytes_in, SUM),
    C(bytes_out, SUM),
    C(bytes_dirty, SUM),
    C(wait_ns, SUM),
    C(fabric_wait_ns, SUM),
    C(evict_ns, SUM),
    C(evictions, SUM),
    C(second_chances, SUM),
    C(refaults, SUM),
    C(pins, SUM),
    C(resident_pages, MAX),
    C(resident_pages_peak, MAX),
    C(far_bytes, MAX),
    C(far_bytes_peak, MAX),
    C(near_bytes, MAX),
    C(near_bytes_peak, MAX),
    C(local_bytes, MAX),
    C(native_pages, MAX),
    C(forks, SUM),
    C(discards, SUM),
    C(pages_ahead_late, SUM),
    C(window_changes, SUM),
    C(window_pages, MAX),
    C(depth_changes, SUM),
    C(depth_batches, MAX),
    C(pages_passed, SUM),
};
#undef C

static uint64_t *counter(cira_space_stats_t *s, size_t i) {
  return (uint64_t *)((char *)s + COUNTERS[i].offset);
}

static void fold(cira_space_stats_t *total, const cira_space_stats_t *one) {
  for (size_t i = 0; i < CIRA_COUNT(COUNTERS); i++) {
    uint64_t *t = counter(total, i);
    uint64_t v = *counter((cira_space_stats_t *)one, i);
    *t = COUNTERS[i].fold == SUM ? *t + v : cira__max_u64(*t, v);
  }
}

/* ---- derived numbers ---------------------------------------------------- */

/* Of the uses of pages that the pager can see, the share that found the page
 * here: uses seen by the clock and pages read ahead in time, against misses.
 * The processor's hits in between are invisible, so this is a lower bound. */
static double hit_estimate(const cira_space_stats_t *s) {
  double hits = (double)s->second_chances + (double)s->pages_ahead_hit;
  double misses = (double)s->faults - (double)s->faults_zero;
  if (misses < 0) {
    misses = 0;
  }
  return hits + misses == 0 ? 1.0 : hits / (hits + misses);
}

static double ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 0.0 : (double)a / (double)b;
}

/* Most memory the heap took here. Chunks that the kernel fills itself are not
 * counted page by page: a heap that never met its budget was here as a whole.
 */
static uint64_t here_bytes_peak(const cira_space_stats_t *s) {
  uint64_t bytes =
      s->evictions == 0
          ? s->far_bytes_peak
          : (s->resident_pages_peak + s->native_pages) * CIRA_PAGE_BYTES;
  return s->local_bytes != 0 ? cira__min_u64(bytes, s->local_bytes) : bytes;
}

/* ---- reading ------------------------------------------------------------ */

/* Maps a counters file for reading; NULL when it is none of this version. */
static const cira_stats_file_t *map_open_file(int fd, size_t *bytes) {
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
      (size_t)st.st_size < CIRA_STATS_HEADER_BYTES) {
    return NULL;
  }
  *bytes = (size_t)st.st_size;
  void *p = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) {
    return NULL;
  }
  const cira_stats_file_t *f = p;
  if (f->magic == CIRA_STATS_MAGIC && f->version == CIRA_STATS_VERSION &&
      f->slot_bytes == sizeof(cira_stats_slot_t) &&
      f->slot_count <=
          (*bytes - CIRA_STATS_HEADER_BYTES) / CIRA_STATS_SLOT_BYTES) {
    return f;
  }
  munmap(p, *bytes);
  return NULL;
}

static const cira_stats_file_t *map_file(const char *path, size_t *bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    cira__fail_errno(CIRA_E_SYSTEM, errno, "cannot open the counters file %s",
                     path);
    return NULL;
  }
  const cira_stats_file_t *f = map_open_file(fd, bytes);
  close(fd);
  if (f == NULL) {
    cira__fail(CIRA_E_INVALID,
               "%s is not a counters file of this version of cira; give the "
               "file that CIRA_STATS names",
               path);
  }
  return f;
}

/* A process that has ended and that nobody has waited for yet. */
static bool is_zombie(int32_t pid) {
  char name[32];
  char text[256] = "";
  snprintf(name, sizeof name, "/proc/%d/stat", pid);
  FILE *f = fopen(name, "re");
  if (f == NULL) {
    return false;
  }
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  const char *end_of_command = strrchr(text, ')');
  return end_of_command != NULL && strncmp(end_of_command, ") Z", 3) == 0;
}

static bool lives(const cira_stats_slot_t *s) {
  return (kill(s->pid, 0) == 0 || errno == EPERM) && !is_zombie(s->pid);
}

static const char *ending(const cira_stats_slot_t *s, uint32_t state) {
  switch (state) {
  case CIRA_STATS_EXITED:
    return "exited";
  case CIRA_STATS_REPLACED:
    return "replaced";
  default:
    return lives(s) ? "running" : "killed";
  }
}

static double seconds(const cira_stats_slot_t *s) {
  return s->end_ns > s->start_ns ? (double)(s->end_ns - s->start_ns) / 1e9
                                 : 0.0;
}

/* ---- JSON --------------------------------------------------------------- */

static json_t *json_counters(cira_space_stats_t s) {
  json_t *o = json_object();
  for (size_t i = 0; i < CIRA_COUNT(COUNTERS); i++) {
    json_object_set_new(o, COUNTERS[i].name,
                        json_integer((json_int_t)*counter(&s, i)));
  }
  json_object_set_new(o, "here_bytes_peak",
                      json_integer((json_int_t)here_bytes_peak(&s)));
  json_object_set_new(o, "hit_estimate", json_real(hit_estimate(&s)));
  json_object_set_new(o, "written_to_dirty",
                      json_real(ratio(s.bytes_out, s.bytes_dirty)));
  return o;
}

static json_t *json_process(const cira_stats_slot_t *s, uint32_t state) {
  json_t *o = json_counters(s->stats);
  json_object_set_new(o, "pid", json_integer(s->pid));
  json_object_set_new(o, "parent_pid", json_integer(s->parent_pid));
  json_object_set_new(
      o, "program",
      json_stringn_nocheck(s->program, strnlen(s->program, sizeof s->program)));
  json_object_set_new(
      o, "mode",
      json_stringn_nocheck(s->mode, strnlen(s->mode, sizeof s->mode)));
  json_object_set_new(o, "ending", json_string(ending(s, state)));
  json_object_set_new(o, "by_fork", json_boolean(s->by_fork));
  json_object_set_new(o, "seconds", json_real(seconds(s)));
  if (s->exit_known) {
    json_object_set_new(o, "wait_status", json_integer(s->exit_status));
  }
  return o;
}

/* ---- table -------------------------------------------------------------- */

static const char *size_text(uint64_t bytes) {
  static char ring[8][24];
  static unsigned at;
  char *buf = ring[at++ % 8];
  return cira__size_text(bytes, buf, sizeof ring[0]);
}

static void table_row(FILE *out, const char *name, const char *pid,
                      const cira_space_stats_t *s) {
  fprintf(out, "%-15.15s %8s %10llu %10llu %10llu %9.3f %6.1f%% %10s %10s\n",
          name, pid, (unsigned long long)s->faults,
          (unsigned long long)s->pages_in, (unsigned long long)s->pages_out,
          (double)s->wait_ns / 1e9, 100.0 * hit_estimate(s),
          size_text(here_bytes_peak(s)), size_text(s->far_bytes_peak));
}

static void table_total(FILE *out, const cira_space_stats_t *t) {
  fprintf(out, "local cache %s, peak %s here, %s far, %s near by choice\n",
          size_text(t->local_bytes), size_text(here_bytes_peak(t)),
          size_text(t->far_bytes_peak), size_text(t->near_bytes_peak));
  fprintf(out,
          "fetched %s (%llu pages ahead of need, %.0f%% of them used), sent "
          "home %s of %s in dirty pages (%.1f%%)\n",
          size_text(t->bytes_in), (unsigned long long)t->pages_ahead,
          100.0 * ratio(t->pages_ahead_hit, t->pages_ahead),
          size_text(t->bytes_out), size_text(t->bytes_dirty),
          100.0 * ratio(t->bytes_out, t->bytes_dirty));
  fprintf(out,
          "waited %.3f s in faults, %.3f s of it for the fabric; evicting took "
          "%.3f s\n",
          (double)t->wait_ns / 1e9, (double)t->fabric_wait_ns / 1e9,
          (double)t->evict_ns / 1e9);
}

static void table_head(FILE *out) {
  fprintf(out, "%-15s %8s %10s %10s %10s %9s %7s %10s %10s\n", "program", "pid",
          "faults", "pages in", "pages out", "wait s", "hits>=", "peak here",
          "peak far");
}

cira_status_t run_stats_print(const char *path, bool as_json, FILE *out) {
  size_t bytes = 0;
  const cira_stats_file_t *f = map_file(path, &bytes);
  if (f == NULL) {
    return CIRA_E_INVALID;
  }
  cira_space_stats_t total = {0};
  json_t *list = json_array();
  unsigned shown = 0;
  if (!as_json) {
    table_head(out);
  }
  for (uint32_t i = 0; i < f->slot_count; i++) {
    const cira_stats_slot_t *s = &f->slots[i];
    /* pairs with the process's release of the filled slot */
    uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    if (state == CIRA_STATS_FREE || state == CIRA_STATS_CLAIMED) {
      continue;
    }
    fold(&total, &s->stats);
    shown++;
    if (as_json) {
      json_array_append_new(list, json_process(s, state));
      continue;
    }
    char pid[16];
    snprintf(pid, sizeof pid, "%d", s->pid);
    table_row(out, s->program, pid, &s->stats);
  }
  uint32_t claimed =
      atomic_load_explicit(&f->claimed_count, memory_order_relaxed);
  uint32_t without = claimed > f->slot_count ? claimed - f->slot_count : 0;
  if (as_json) {
    json_t *o = json_object();
    json_object_set_new(o, "version", json_integer(1));
    json_object_set_new(o, "processes", json_incref(list));
    json_object_set_new(o, "processes_without_slot", json_integer(without));
    json_object_set_new(o, "total", json_counters(total));
    json_dumpf(o, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    fputc('\n', out);
    json_decref(o);
  } else {
    if (shown != 1) {
      table_row(out, "total", "", &total);
    }
    table_total(out, &total);
    if (without != 0) {
      fprintf(out, "%u more processes ran without a row\n", without);
    }
  }
  json_decref(list);
  munmap((void *)f, bytes);
  return CIRA_OK;
}

/* ---- life of the shared file -------------------------------------------- */

/* Does a process of the run still live? It may start further programs, which
 * look for the file. */
static bool has_processes(const cira_stats_file_t *f) {
  for (uint32_t i = 0; i < f->slot_count; i++) {
    const cira_stats_slot_t *s = &f->slots[i];
    /* pairs with the process's release of the filled slot */
    uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    if (state != CIRA_STATS_FREE && state != CIRA_STATS_EXITED && s->pid > 0 &&
        lives(s)) {
      return true;
    }
  }
  return false;
}

/* A file of ours whose cira-run was killed (its lock is free) and whose
 * programs have all ended. What is not a whole counters file is not ours. */
static bool is_left_behind(int fd) {
  struct stat st;
  size_t bytes = 0;
  if (fstat(fd, &st) != 0 || st.st_uid != geteuid() ||
      flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return false;
  }
  const cira_stats_file_t *f = map_open_file(fd, &bytes);
  bool left = f != NULL && !has_processes(f);
  if (f != NULL) {
    munmap((void *)f, bytes);
  }
  return left;
}

static void sweep(const char *folder) {
  DIR *dir = opendir(folder);
  const struct dirent *e;
  while (dir != NULL && (e = readdir(dir)) != NULL) {
    if (strncmp(e->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) != 0) {
      continue;
    }
    int fd = openat(dirfd(dir), e->d_name,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
      if (is_left_behind(fd)) {
        unlinkat(dirfd(dir), e->d_name, 0);
      }
      close(fd);
    }
  }
  if (dir != NULL) {
    closedir(dir);
  }
}

/* The file is locked before it is a counters file, so that no sweep takes a
 * new one for a leftover; the lock ends with this process, however it ends. */
static cira_status_t make_file(run_stats_t *s) {
  const char *const folders[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp"};
  s->fd = -1;
  for (size_t i = 0; i < CIRA_COUNT(folders) && s->fd < 0; i++) {
    if (folders[i] == NULL || folders[i][0] != '/' ||
        strlen(folders[i]) > sizeof s->path / 2) {
      continue;
    }
    sweep(folders[i]);
    snprintf(s->path, sizeof s->path, "%s/" FILE_PREFIX "XXXXXX", folders[i]);
    s->fd = mkostemp(s->path, O_CLOEXEC);
  }
  if (s->fd < 0) {
    s->path[0] = '\0';
  }
  struct {
    uint64_t magic;
    uint32_t version, slot_bytes, slot_count, stats_bytes;
  } head = {CIRA_STATS_MAGIC, CIRA_STATS_VERSION, sizeof(cira_stats_slot_t),
            CIRA_STATS_SLOTS_DEFAULT, sizeof(cira_space_stats_t)};
  _Static_assert(offsetof(cira_stats_file_t, stats_bytes) == 20, "as pinned");
  size_t bytes = cira_stats_file_bytes(CIRA_STATS_SLOTS_DEFAULT);
  if (s->fd >= 0 && flock(s->fd, LOCK_EX) == 0 &&
      ftruncate(s->fd, (off_t)bytes) == 0 &&
      pwrite(s->fd, &head, sizeof head, 0) == (ssize_t)sizeof head) {
    return CIRA_OK;
  }
  cira_status_t status = cira__fail_errno(
      CIRA_E_SYSTEM, errno, "--stats needs a file in /dev/shm or /tmp");
  run_stats_drop(s);
  return status;
}

cira_status_t run_stats_open(run_stats_t *s, const char *file,
                             const char *format) {
  *s = (run_stats_t){.file = file, .out = stderr};
  s->json = format != NULL ? strcmp(format, "json") == 0 : file != NULL;
  if (file != NULL) {
    s->out = fopen(file, "we");
    if (s->out == NULL) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno,
                              "--stats=%s cannot be written", file);
    }
  }
  return make_file(s);
}

void run_stats_write(run_stats_t *s) {
  if (s->path[0] == '\0') {
    return;
  }
  if (run_stats_print(s->path, s->json, s->out) != CIRA_OK) {
    fprintf(stderr, "cira-run: no statistics: %s\n", cira_status_detail());
  }
  if (s->file != NULL && fclose(s->out) != 0) {
    fprintf(stderr, "cira-run: --stats=%s could not be written: %s\n", s->file,
            strerror(errno));
  }
  run_stats_drop(s);
}

void run_stats_drop(run_stats_t *s) {
  if (s->path[0] != '\0') {
    unlink(s->path);
    s->path[0] = '\0';
    close(s->fd);
  }
}
