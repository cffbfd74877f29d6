/* SPDX-License-Identifier: Apache-2.0
 *
 * Recording: blocks of the file, one writer each. A thread keeps the block that
 * it fills; text of a process goes to blocks that its threads share under a
 * lock. When the disk is full recording ends, with one line, and the program
 * goes on.
 */
#include "profile/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/sys.h"

_Atomic bool cira__profile_active;

static struct {
  cira_profile_header_t *header; /* NULL: no file */
  char path[PATH_MAX];           /* absolute */
  /* 1; wiped to 0 in a forked child (NULL: the kernel cannot) */
  _Atomic uint32_t *alive;
  _Atomic uint32_t generation; /* blocks of earlier ones are a parent's */
  cira_lock_t lock;            /* of what follows; signals are blocked */
  cira_profile_block_t *text[CIRA_PROFILE_KINDS];
  char notes[1024]; /* repeated by children */
  uint32_t notes_bytes;
} rec;

/* What this thread fills: events or samples, and streams. */
typedef struct {
  cira_profile_block_t *block;
  uint32_t generation;
} hand_t;
static __thread hand_t hand_events, hand_streams, hand_samples;
static __thread uint32_t turn;

/* The records of calls that this thread goes on counting in; their blocks stay
 * mapped. */
#define CALLS 512u      /* a page of them; a power of two */
#define CALLS_PROBES 8u /* then the oldest place is given to the newcomer */
static __thread struct {
  cira_profile_calls_t **slot;
  cira_profile_block_t *block;
  uint32_t generation;
} calls;

/* ---- blocks ---------------------------------------------------------------
 */

/* ThreadSanitizer follows mappings through libc: an address that is mapped
 * again seems to be shared with whoever had it before. */
static void *shared_map(long fd, uint64_t at, uint64_t bytes) {
#ifdef CIRA__SYS_BY_LIBC
  void *p =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, (off_t)at);
  return p == MAP_FAILED ? NULL : p;
#else
  long p =
      CIRA__SYS(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
  return p < 0 && p > -4096 ? NULL : (void *)p;
#endif
}

static void shared_unmap(void *p, uint64_t bytes) {
#ifdef CIRA__SYS_BY_LIBC
  munmap(p, bytes);
#else
  CIRA__SYS(SYS_munmap, p, bytes, 0, 0, 0, 0);
#endif
}

/* Makes room, so that a store can never meet a full disk. */
static bool block_room(long fd, uint64_t at) {
  static const uint8_t zeros[4096];
  long got =
      CIRA__SYS(SYS_fallocate, fd, 0, at, CIRA_PROFILE_BLOCK_BYTES, 0, 0);
  if (got != -EOPNOTSUPP && got != -ENOSYS) {
    return got == 0;
  }
  for (uint64_t i = 0; i < CIRA_PROFILE_BLOCK_BYTES; i += sizeof zeros) {
    if (CIRA__SYS(SYS_pwrite64, fd, zeros, sizeof zeros, at + i, 0, 0) !=
        (long)sizeof zeros) {
      return false;
    }
  }
  return true;
}

CIRA_COLD static void give_up(void) {
  atomic_fetch_add_explicit(&rec.header->lost, 1, memory_order_relaxed);
  if (atomic_exchange(&cira__profile_active, false)) {
    cira__log(CIRA_LOG_WARN,
              "the profile %s cannot grow (disk full, or out of reach): "
              "recording ends here, the program goes on",
              rec.path);
  }
}

static cira_profile_block_t *block_take(uint16_t kind, uint16_t record_bytes) {
  uint64_t i = atomic_fetch_add_explicit(&rec.header->block_count, 1,
                                         memory_order_relaxed);
  uint64_t at = CIRA_PROFILE_HEADER_BYTES + i * CIRA_PROFILE_BLOCK_BYTES;
  long fd =
      CIRA__SYS(SYS_openat, AT_FDCWD, rec.path, O_RDWR | O_CLOEXEC, 0, 0, 0);
  cira_profile_block_t *b = NULL;
  if (fd >= 0) {
    b = block_room(fd, at) ? shared_map(fd, at, CIRA_PROFILE_BLOCK_BYTES)
                           : NULL;
    cira__sys_close((int)fd);
  }
  if (b == NULL) {
    give_up();
    return NULL;
  }
  uint64_t step =
      cira__min_u64(i / CIRA_PROFILE_STEP_BLOCKS, CIRA_PROFILE_WEIGHT_LOG2_MAX);
  b->kind = kind;
  b->record_bytes = record_bytes;
  b->weight = kind == CIRA_PROFILE_EVENTS ? 1u << step : 1;
  b->pid = (int32_t)CIRA__SYS(SYS_getpid, 0, 0, 0, 0, 0, 0);
  b->tid = (int32_t)CIRA__SYS(SYS_gettid, 0, 0, 0, 0, 0, 0);
  b->start_ns = cira__now_ns();
  b->magic = CIRA_PROFILE_BLOCK_MAGIC;
  return b;
}

static void block_leave(cira_profile_block_t *b) {
  if (b != NULL) {
    shared_unmap(b, CIRA_PROFILE_BLOCK_BYTES);
  }
}

static void record_commit(cira_profile_block_t *b, const void *record,
                          uint32_t bytes) {
  uint32_t used = atomic_load_explicit(&b->used_bytes, memory_order_relaxed);
  memcpy((uint8_t *)(b + 1) + used, record, bytes);
  /* pairs with: cira_profile_file_block */
  atomic_store_explicit(&b->used_bytes, used + bytes, memory_order_release);
}

/* ---- processes ------------------------------------------------------------
 */

static void process_begin(const char *cause) {
  char text[512], name[64] = "";
  long fd = CIRA__SYS(SYS_openat, AT_FDCWD, "/proc/self/comm",
                      O_RDONLY | O_CLOEXEC, 0, 0, 0);
  if (fd >= 0) {
    long n = cira__sys_read((int)fd, name, sizeof name - 1);
    name[n > 0 ? n - 1 : 0] = '\0'; /* without the newline */
    cira__sys_close((int)fd);
  }
  size_t n =
      cira__format(text, sizeof text, "program %s\ncause %s\nparent %d\n", name,
                   cause, (int)CIRA__SYS(SYS_getppid, 0, 0, 0, 0, 0, 0));
  cira__profile_text(CIRA_PROFILE_PROCESS, text, (uint32_t)n);
}

/* In a forked child, which has one thread: its parent's blocks are mapped here
 * too, and are not to be written. */
CIRA_COLD static void forked(void) {
  atomic_store(rec.alive, 1);
  atomic_fetch_add(&rec.generation, 1);
  memset(rec.text, 0, sizeof rec.text);
  atomic_store(&rec.lock.word, 0); /* a thread of the parent may have had it */
  cira__profile_maps_reset();
  process_begin("fork");
  cira__profile_text(CIRA_PROFILE_PROCESS, rec.notes, rec.notes_bytes);
}

static inline void look_for_fork(void) {
  if (CIRA_UNLIKELY(rec.alive != NULL &&
                    atomic_load_explicit(rec.alive, memory_order_relaxed) ==
                        0)) {
    forked();
  }
}

void cira__profile_text(uint16_t kind, const char *text, uint32_t bytes) {
  if (bytes == 0 || bytes > CIRA_PROFILE_PAYLOAD_BYTES) {
    return;
  }
  cira__lock(&rec.lock);
  cira_profile_block_t *b = rec.text[kind];
  if (b == NULL ||
      atomic_load_explicit(&b->used_bytes, memory_order_relaxed) + bytes >
          CIRA_PROFILE_PAYLOAD_BYTES) {
    block_leave(b);
    b = rec.text[kind] = block_take(kind, 1);
  }
  if (b != NULL) {
    record_commit(b, text, bytes);
  }
  cira__unlock(&rec.lock);
}

/* ---- records --------------------------------------------------------------
 */

/* The block of this thread with room for a record; NULL: none can be had. */
static cira_profile_block_t *hand_block(hand_t *h, uint16_t kind,
                                        uint16_t bytes) {
  uint32_t now = atomic_load_explicit(&rec.generation, memory_order_relaxed);
  if (CIRA_UNLIKELY(h->generation != now)) {
    *h = (hand_t){.generation = now}; /* of the parent, or of another file */
  }
  cira_profile_block_t *b = h->block;
  if (CIRA_UNLIKELY(b == NULL ||
                    atomic_load_explicit(&b->used_bytes, memory_order_relaxed) +
                            bytes >
                        CIRA_PROFILE_PAYLOAD_BYTES)) {
    block_leave(b);
    b = h->block = block_take(kind, bytes);
  }
  return b;
}

void cira__profile_event(const cira_profile_event_t *e) {
  look_for_fork();
  cira_profile_block_t *b =
      hand_block(&hand_events, CIRA_PROFILE_EVENTS, sizeof *e);
  if (b == NULL || (turn++ & (b->weight - 1)) != 0) {
    return;
  }
  cira__profile_maps_note(e->ip);
  record_commit(b, e, sizeof *e);
}

void cira__profile_stream(const cira_profile_stream_t *s) {
  uint64_t saved = cira__signals_block();
  look_for_fork();
  cira_profile_block_t *b =
      hand_block(&hand_streams, CIRA_PROFILE_STREAMS, sizeof *s);
  if (b != NULL) {
    cira__profile_maps_note(s->ip);
    record_commit(b, s, sizeof *s);
  }
  cira__signals_restore(saved);
}

/* The record of (ip, kind): found, or a new one. NULL: none can be had. */
static cira_profile_calls_t *calls_record(uint64_t ip, uint32_t kind) {
  uint64_t hash = (ip ^ (uint64_t)kind << 56) * UINT64_C(0x9e3779b97f4a7c15);
  uint32_t at = (uint32_t)(hash >> 32), i = 0;
  for (; i < CALLS_PROBES; i++) {
    cira_profile_calls_t *r = calls.slot[(at + i) % CALLS];
    if (r != NULL && r->ip == ip && r->kind == kind) {
      return r;
    }
    if (r == NULL) {
      break;
    }
  }
  cira_profile_block_t *b = calls.block;
  uint64_t used =
      b == NULL ? 0
                : atomic_load_explicit(&b->used_bytes, memory_order_relaxed);
  if (b == NULL ||
      used + sizeof(cira_profile_calls_t) > CIRA_PROFILE_PAYLOAD_BYTES) {
    b = calls.block =
        block_take(CIRA_PROFILE_CALLS, sizeof(cira_profile_calls_t));
    used = 0;
  }
  if (b == NULL) {
    return NULL;
  }
  const cira_profile_calls_t fresh = {.ip = ip, .kind = kind};
  cira_profile_calls_t *r = (void *)((uint8_t *)(b + 1) + used);
  cira__profile_maps_note(ip);
  record_commit(b, &fresh, sizeof fresh);
  calls.slot[(at + i % CALLS_PROBES) % CALLS] = r;
  return r;
}

void cira__profile_calls(const cira_profile_calls_t *c) {
  uint64_t saved = cira__signals_block();
  look_for_fork();
  uint32_t now = atomic_load_explicit(&rec.generation, memory_order_relaxed);
  if (calls.slot == NULL) {
    long p =
        CIRA__SYS(SYS_mmap, 0, CALLS * sizeof *calls.slot,
                  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    calls.slot = p < 0 && p > -4096 ? NULL : (void *)p;
  }
  if (calls.slot != NULL && calls.generation != now) {
    memset(calls.slot, 0, CALLS * sizeof *calls.slot); /* another's, or old */
    calls.block = NULL;
    calls.generation = now;
  }
  cira_profile_calls_t *r =
      calls.slot != NULL ? calls_record(c->ip, c->kind) : NULL;
  if (r != NULL) {
    r->accesses += c->accesses;
    r->bytes += c->bytes;
    r->here += c->here;
    r->waits += c->waits;
    r->wait_ns += c->wait_ns;
    r->wait_max_ns = cira__max_u64(r->wait_max_ns, c->wait_ns);
    r->failed += c->failed;
  }
  cira__signals_restore(saved);
}

void cira_profile_sample(const cira_profile_sample_t *sample) {
  cira_profile_block_t *b =
      hand_block(&hand_samples, CIRA_PROFILE_SAMPLES, sizeof *sample);
  if (b != NULL) {
    record_commit(b, sample, sizeof *sample);
  }
}

void cira__profile_note(const char *fmt, ...) {
  va_list ap;
  uint64_t saved = cira__signals_block();
  look_for_fork();
  char *at = rec.notes + rec.notes_bytes;
  va_start(ap, fmt);
  size_t n = cira__vformat(at, sizeof rec.notes - rec.notes_bytes, fmt, ap);
  va_end(ap);
  rec.notes_bytes += (uint32_t)n;
  cira__profile_text(CIRA_PROFILE_PROCESS, at, (uint32_t)n);
  cira__signals_restore(saved);
}

bool cira_profile_active(void) {
  return atomic_load_explicit(&cira__profile_active, memory_order_relaxed);
}

void cira_profile_mark(const char *text) {
  char line[256];
  if (!cira_profile_active() || text == NULL) {
    return;
  }
  uint64_t saved = cira__signals_block();
  look_for_fork();
  size_t n =
      cira__format(line, 48, "%llu %d ", (unsigned long long)cira__now_ns(),
                   (int)CIRA__SYS(SYS_gettid, 0, 0, 0, 0, 0, 0));
  for (size_t i = 0; text[i] != '\0' && i < 200; i++) {
    line[n++] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
  }
  line[n++] = '\n';
  cira__profile_text(CIRA_PROFILE_MARKS, line, (uint32_t)n);
  cira__signals_restore(saved);
}

/* ---- files ----------------------------------------------------------------
 */

static cira_status_t path_take(const char *path) {
  char cwd[PATH_MAX] = "";
  if (path[0] != '/' &&
      CIRA__SYS(SYS_getcwd, cwd, sizeof cwd, 0, 0, 0, 0) < 0) {
    cwd[0] = '\0';
  }
  if (strlen(cwd) + strlen(path) + 2 > sizeof rec.path) {
    return cira__fail(CIRA_E_INVALID,
                      "the path of the profile is longer than %d bytes; give "
                      "a shorter one",
                      PATH_MAX);
  }
  cira__format(rec.path, sizeof rec.path, cwd[0] != '\0' ? "%s/%s" : "%s%s",
               cwd, path);
  return CIRA_OK;
}

static void header_leave(void) {
  if (rec.header != NULL) {
    shared_unmap(rec.header, CIRA_PROFILE_HEADER_BYTES);
    rec.header = NULL;
  }
}

cira_status_t cira_profile_create(const char *path, const char *command) {
  static const cira_profile_header_t empty;
  cira_status_t status = path_take(path);
  if (status != CIRA_OK) {
    return status;
  }
  long fd = CIRA__SYS(SYS_openat, AT_FDCWD, rec.path,
                      O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666, 0, 0);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, (int)-fd,
                            "the profile %s cannot be written", path);
  }
  long got = cira__sys_write((int)fd, &empty, sizeof empty);
  void *p = got == (long)sizeof empty
                ? shared_map(fd, 0, CIRA_PROFILE_HEADER_BYTES)
                : NULL;
  cira__sys_close((int)fd);
  if (p == NULL) {
    return cira__fail_errno(CIRA_E_SYSTEM, got < 0 ? (int)-got : ENOSPC,
                            "the profile %s cannot be written", path);
  }
  header_leave();
  atomic_fetch_add(&rec.generation, 1); /* blocks of another file */
  cira__profile_maps_reset();           /* they are to be written there, too */
  memset(rec.text, 0, sizeof rec.text);
  rec.header = p;
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  rec.header->version = CIRA_PROFILE_VERSION;
  rec.header->header_bytes = CIRA_PROFILE_HEADER_BYTES;
  rec.header->block_bytes = CIRA_PROFILE_BLOCK_BYTES;
  rec.header->start_ns = cira__now_ns();
  rec.header->start_unix_ns =
      (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
  cira__format(rec.header->command, sizeof rec.header->command, "%s", command);
  rec.header->magic = CIRA_PROFILE_MAGIC;
  return CIRA_OK;
}

void cira_profile_sampling_set(const char *what) {
  cira__format(rec.header->sampling, sizeof rec.header->sampling, "%s", what);
}

static void alive_make(void) {
  if (rec.alive != NULL) {
    return;
  }
  long p = CIRA__SYS(SYS_mmap, 0, CIRA_PAGE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p < 0 && p > -4096) {
    return;
  }
  if (cira__sys_madvise((void *)p, CIRA_PAGE_BYTES, MADV_WIPEONFORK) == 0) {
    rec.alive = (_Atomic uint32_t *)p;
    atomic_store(rec.alive, 1);
  }
}

cira_status_t cira_profile_attach(const char *path) {
  cira_status_t status = path_take(path);
  if (status != CIRA_OK) {
    return status;
  }
  long fd =
      CIRA__SYS(SYS_openat, AT_FDCWD, rec.path, O_RDWR | O_CLOEXEC, 0, 0, 0);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, (int)-fd,
                            "the profile %s cannot be written", path);
  }
  uint64_t magic = 0;
  cira_profile_header_t *h = NULL;
  if (cira__sys_read((int)fd, &magic, sizeof magic) == (long)sizeof magic &&
      magic == CIRA_PROFILE_MAGIC) {
    h = shared_map(fd, 0, CIRA_PROFILE_HEADER_BYTES);
  }
  cira__sys_close((int)fd);
  if (h == NULL || h->version != CIRA_PROFILE_VERSION ||
      h->block_bytes != CIRA_PROFILE_BLOCK_BYTES) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s is no profile of this version (cira-run "
                      "--profile=FILE makes it)",
                      path);
  }
  header_leave();
  rec.header = h;
  alive_make();
  cira__profile_own_find();
  uint64_t saved = cira__signals_block();
  process_begin("start");
  cira__profile_maps_note(0);
  cira__signals_restore(saved);
  atomic_store(&cira__profile_active, rec.alive != NULL);
  return rec.alive != NULL
             ? CIRA_OK
             : cira__fail(CIRA_E_UNSUPPORTED,
                          "recording needs MADV_WIPEONFORK (Linux 4.14)");
}

void cira_profile_complete(void) {
  long fd =
      CIRA__SYS(SYS_openat, AT_FDCWD, rec.path, O_RDWR | O_CLOEXEC, 0, 0, 0);
  if (rec.header == NULL || fd < 0) {
    return;
  }
  uint64_t blocks = atomic_load(&rec.header->block_count);
  uint64_t bytes =
      CIRA_PROFILE_HEADER_BYTES + blocks * CIRA_PROFILE_BLOCK_BYTES;
  /* Who was killed while it took its block, or had no room for it. */
  if (CIRA__SYS(SYS_ftruncate, fd, bytes, 0, 0, 0, 0) == 0) {
    atomic_store(&rec.header->complete, 1);
  }
  cira__sys_close((int)fd);
}

/* Here, and not beside cira_profile_start, so that it is part of every program
 * that can record anything. */
__attribute__((constructor(101))) static void profile_join(void) {
  const char *path = getenv("CIRA_PROFILE");
  if (path == NULL || path[0] == '\0') {
    return;
  }
  if (cira_profile_attach(path) != CIRA_OK) {
    cira__log(CIRA_LOG_WARN, "CIRA_PROFILE: %s; running without a profile",
              cira_status_detail());
  }
}
