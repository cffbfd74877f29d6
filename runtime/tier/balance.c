/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement, and the step that keeps what is used in local memory.
 *
 * A block is looked at in up to 64 zones of whole chunks. What is used comes
 * from the accessed bits of the page table (/proc/self/clear_refs and the
 * Referenced lines of smaps, which any process may read of itself). They are
 * told by mapping, so neighbouring zones get a flag that keeps their mappings
 * apart: every second one is left out of core dumps. Pages of far blocks that
 * came back soon after they went have the pager's own heat.
 *
 * Heat of a zone: halved by each step, plus what was used of it. The hottest
 * zones belong into local memory as far as the limit goes; a zone that is there
 * has an advantage, so that equals do not change places.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tier/tier_internal.h"

#define T cira__tiers
#define STAY_BONUS 16u   /* heat that a zone in local memory is ahead */
#define PROMOTE_HEAT 16u /* colder zones are not worth a move */
#define MOVE_BYTES (UINT64_C(256) << 20)
#define INTERVAL_MIN_NS UINT64_C(10000000) /* 10 ms */

static pthread_mutex_t step_lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct {
  cira__block_t *b;
  uint32_t zone, heat;
  uint64_t bytes; /* that would move */
  uint64_t used, rss;
  bool local, wanted;
} zone_t;

typedef struct {
  zone_t *zone;
  uint32_t count;
  uint64_t limit;
  uint32_t slow; /* tier of what is cold */
} group_t;

/* ---- placement ---------------------------------------------------------- */

cira_status_t cira__place_parse(const char *text, cira__place_t *out,
                                uint32_t *out_tier) {
  static const struct {
    const char *name;
    cira__place_t place;
  } PLACES[] = {{"first-touch", PLACE_FIRST_TOUCH},
                {"local", PLACE_LOCAL},
                {"interleave", PLACE_INTERLEAVE},
                {"hot-local", PLACE_HOT_LOCAL}};
  const char *environment = text == NULL ? getenv("CIRA_PLACE") : NULL;
  const char *what = text == NULL ? "CIRA_PLACE=" : "place ";
  text = text != NULL ? text : environment;
  if (text == NULL) {
    text = "first-touch";
  }
  for (size_t i = 0; i < CIRA_COUNT(PLACES); i++) {
    if (strcmp(text, PLACES[i].name) == 0) {
      *out = PLACES[i].place;
      *out_tier = CIRA_TIER_LOCAL_ID;
      return CIRA_OK;
    }
  }
  cira_status_t status = cira_tier_find(text, out_tier);
  if (status == CIRA_OK) {
    *out = PLACE_TIER;
    return CIRA_OK;
  }
  if (status == CIRA_E_UNSUPPORTED) {
    return cira__fail(status,
                      "%s%s: this machine has no such tier; cira-info lists "
                      "those that it has",
                      what, text);
  }
  return cira__fail(status,
                    "%s%s: use first-touch, local, interleave, hot-local, far "
                    "or the name of a tier, such as node:1 (cira-info lists "
                    "them)",
                    what, text);
}

/* ---- what is used ------------------------------------------------------- */

static void zones_of(cira__block_t *b) {
  if (b->zones == 0) {
    b->zone_chunks = (b->chunks + ZONES_MAX - 1) / ZONES_MAX;
    b->zones = (b->chunks + b->zone_chunks - 1) / b->zone_chunks;
  }
}

static uint32_t zone_last(const cira__block_t *b, uint32_t zone) {
  uint32_t last = (zone + 1) * b->zone_chunks;
  return last < b->chunks ? last : b->chunks;
}

/* Keeps the mappings of neighbouring zones apart. */
static void zones_part(cira__block_t *b) {
  for (uint32_t z = 0; z < b->zones && b->zones > 1; z++) {
    uint64_t first = z * (uint64_t)b->zone_chunks, last = zone_last(b, z);
    (void)madvise(b->base + first * CHUNK_BYTES, (last - first) * CHUNK_BYTES,
                  z % 2 != 0 ? MADV_DONTDUMP : MADV_DODUMP);
  }
}

/* The zone that holds an address; zones of arena blocks are sorted. */
static zone_t *zone_at(zone_t *zone, uint32_t count, uintptr_t at) {
  for (uint32_t i = 0; i < count; i++) {
    const cira__block_t *b = zone[i].b;
    uintptr_t first =
        (uintptr_t)b->base + zone[i].zone * b->zone_chunks * CHUNK_BYTES;
    uintptr_t last =
        (uintptr_t)b->base + zone_last(b, zone[i].zone) * CHUNK_BYTES;
    if (at >= first && at < last) {
      return &zone[i];
    }
  }
  return NULL;
}

static uint64_t kib_of(const char *line) {
  return strtoull(line + strcspn(line, ":") + 1, NULL, 10) * 1024;
}

static cira_status_t accessed_read(zone_t *zone, uint32_t count) {
  FILE *f = fopen("/proc/self/smaps", "re");
  if (f == NULL) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "/proc/self/smaps cannot be read: the kernel does "
                            "not tell accesses");
  }
  char line[512];
  zone_t *z = NULL;
  while (fgets(line, sizeof line, f) != NULL) {
    char *end;
    uintptr_t at = strtoul(line, &end, 16);
    if (end != line && *end == '-') {
      z = cira__arena_has((const void *)at) ? zone_at(zone, count, at) : NULL;
    } else if (z != NULL && strncmp(line, "Rss:", 4) == 0) {
      z->rss += kib_of(line);
    } else if (z != NULL && strncmp(line, "Referenced:", 11) == 0) {
      z->used += kib_of(line);
    }
  }
  fclose(f);
  return CIRA_OK;
}

static cira_status_t accessed_clear(void) {
  int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write(fd, "1", 1) == 1;
  int error = errno;
  if (fd >= 0) {
    close(fd);
  }
  return done ? CIRA_OK
              : cira__fail_errno(CIRA_E_SYSTEM, error,
                                 "/proc/self/clear_refs cannot be written: "
                                 "the kernel does not tell accesses");
}

/* ---- deciding ----------------------------------------------------------- */

static uint32_t rank(const zone_t *z) {
  return z->heat + (z->local ? STAY_BONUS : 0);
}

static int hotter_first(const void *a, const void *b) {
  const zone_t *x = a, *y = b;
  if (rank(x) != rank(y)) {
    return rank(x) > rank(y) ? -1 : 1;
  }
  return x->b != y->b ? (x->b < y->b ? -1 : 1)
                      : (x->zone > y->zone) - (x->zone < y->zone);
}

static cira_status_t zone_move(zone_t *z, uint32_t tier, uint64_t *moved) {
  cira__block_t *b = z->b;
  cira_status_t status =
      cira__move(b, z->zone * b->zone_chunks, zone_last(b, z->zone), tier, 0);
  if (status == CIRA_E_BUSY || status == CIRA_E_CANCELLED) {
    return CIRA_OK; /* another time, or never */
  }
  if (status == CIRA_OK) {
    z->local = tier == CIRA_TIER_LOCAL_ID;
    *moved += z->bytes;
  }
  return status;
}

static cira_status_t group_balance(group_t *g, uint64_t most,
                                   cira_tier_balanced_t *out) {
  uint64_t local = 0, moved = 0;
  qsort(g->zone, g->count, sizeof *g->zone, hotter_first);
  for (uint32_t i = 0; i < g->count; i++) {
    zone_t *z = &g->zone[i];
    z->wanted =
        local + z->bytes <= g->limit && (z->local || z->heat >= PROMOTE_HEAT);
    local += z->wanted ? z->bytes : 0;
  }
  cira_status_t status = CIRA_OK;
  for (uint32_t i = g->count; i-- > 0 && status == CIRA_OK;) {
    zone_t *z = &g->zone[i];
    if (z->local && !z->wanted && moved + z->bytes <= most) {
      status = zone_move(z, g->slow, &out->demoted_bytes);
      moved += z->bytes;
    }
  }
  for (uint32_t i = 0; i < g->count && status == CIRA_OK; i++) {
    zone_t *z = &g->zone[i];
    if (!z->local && z->wanted && moved + z->bytes <= most) {
      status = zone_move(z, CIRA_TIER_LOCAL_ID, &out->promoted_bytes);
      moved += z->bytes;
      if (status == CIRA_E_NOMEM) {
        status = CIRA_OK; /* demotions fell short this time */
        break;
      }
    }
  }
  for (uint32_t i = 0; i < g->count; i++) {
    out->local_bytes += g->zone[i].local ? g->zone[i].bytes : 0;
  }
  return status;
}

/* The node without processors that is farthest by the kernel's measure. */
static uint32_t slowest_node(void) {
  uint32_t best = CIRA_TIER_LOCAL_ID;
  pthread_mutex_lock(&T.table); /* a scan writes it anew */
  for (uint32_t i = 0; i < T.count; i++) {
    const cira_tier_info_t *t = &T.tier[i].info, *b = &T.tier[best].info;
    if (t->kind != CIRA_TIER_NODE || !t->memory_only || !t->usable) {
      continue;
    }
    if (best == CIRA_TIER_LOCAL_ID || t->memory_tier > b->memory_tier ||
        (t->memory_tier == b->memory_tier && t->distance > b->distance)) {
      best = i;
    }
  }
  pthread_mutex_unlock(&T.table);
  return best;
}

/* How much of these zones local memory can have, by default. */
static uint64_t default_limit(const group_t *g) {
  const cira_tier_info_t *t = &T.tier[CIRA_TIER_LOCAL_ID].info;
  pthread_mutex_lock(&T.table);
  uint64_t here = t->free_bytes, bytes = t->bytes, keep = bytes / 8;
  pthread_mutex_unlock(&T.table);
  for (uint32_t i = 0; i < g->count; i++) {
    here += g->zone[i].local ? g->zone[i].bytes : 0;
  }
  return bytes == 0 ? UINT64_MAX : here > keep ? here - keep : 0;
}

/* ---- a step ------------------------------------------------------------- */

void cira_tier_balance_options_default(cira_tier_balance_options_t *opt) {
  if (opt != NULL) {
    *opt = (cira_tier_balance_options_t){.size = (uint32_t)sizeof *opt};
  }
}

/* Zones of the far blocks, or of the others. */
static uint32_t zones_list(cira__block_t **b, uint32_t blocks, bool far,
                           zone_t *out) {
  uint32_t n = 0;
  pthread_mutex_lock(&T.table); /* others may move them */
  for (uint32_t i = 0; i < blocks; i++) {
    for (uint32_t z = 0; z < b[i]->zones && b[i]->far == far; z++) {
      uint32_t first = z * b[i]->zone_chunks;
      uint64_t end =
          cira__min_u64(zone_last(b[i], z) * CHUNK_BYTES, b[i]->span_bytes);
      out[n++] = (zone_t){.b = b[i],
                          .zone = z,
                          .bytes = end - first * CHUNK_BYTES,
                          .local = b[i]->tier[first] == CIRA_TIER_LOCAL_ID};
    }
  }
  pthread_mutex_unlock(&T.table);
  return n;
}

static cira_status_t heat_pages(group_t *g, cira__block_t **b, uint32_t blocks,
                                cira_tier_balanced_t *out) {
  for (uint32_t i = 0; i < blocks; i++) {
    if (!b[i]->far) {
      zones_part(b[i]);
    }
  }
  cira_status_t status = accessed_read(g->zone, g->count);
  status = status == CIRA_OK ? accessed_clear() : status;
  for (uint32_t i = 0; i < g->count && status == CIRA_OK; i++) {
    zone_t *z = &g->zone[i];
    uint8_t *heat = &z->b->heat[z->zone];
    uint64_t used = z->rss != 0 ? z->used * 127 / z->rss : 0;
    *heat = (uint8_t)(*heat / 2 + cira__min_u64(used, 127));
    z->heat = *heat;
    z->bytes = z->rss;
    out->used_bytes += z->used;
  }
  return status;
}

static void heat_far(group_t *g, cira_tier_balanced_t *out) {
  for (uint32_t i = 0; i < g->count; i++) {
    zone_t *z = &g->zone[i];
    uint8_t *heat = &z->b->heat[z->zone];
    uint32_t first = z->zone * z->b->zone_chunks;
    /* What is held no longer comes back: it cools until others are hotter. */
    *heat = (uint8_t)(z->local ? *heat - *heat / 8
                               : cira__far_heat(z->b, first,
                                                zone_last(z->b, z->zone)));
    z->heat = *heat;
    out->used_bytes += z->heat >= PROMOTE_HEAT ? z->bytes : 0;
  }
}

static cira_status_t step(const cira_tier_balance_options_t *opt,
                          cira__block_t **b, uint32_t blocks, zone_t *zone,
                          cira_tier_balanced_t *out) {
  uint64_t most = opt->move_bytes_max != 0 ? opt->move_bytes_max : MOVE_BYTES;
  group_t near = {.zone = zone, .slow = slowest_node()};
  near.count = zones_list(b, blocks, false, zone);
  cira_status_t status = CIRA_OK;
  if (near.count > 0) {
    status = heat_pages(&near, b, blocks, out);
    near.limit =
        opt->local_bytes != 0 ? opt->local_bytes : default_limit(&near);
    if (near.slow == CIRA_TIER_LOCAL_ID) {
      snprintf(out->note, sizeof out->note,
               "this machine has no node without processors: blocks outside "
               "of the far space stay where they are");
      for (uint32_t i = 0; i < near.count; i++) {
        out->local_bytes += zone[i].bytes;
      }
    } else if (status == CIRA_OK) {
      status = group_balance(&near, most, out);
    }
  }
  group_t far = {.zone = zone, .slow = cira__tier_of_kind(CIRA_TIER_FAR)};
  far.count = zones_list(b, blocks, true, zone);
  if (status == CIRA_OK && far.count > 0 && cira__far_usable()) {
    heat_far(&far, out);
    far.limit = cira__far_hold_limit_bytes();
    if (opt->local_bytes != 0) {
      far.limit = cira__min_u64(far.limit, opt->local_bytes);
    }
    status = group_balance(&far, most, out);
  }
  return status;
}

static cira_status_t balance(const cira_tier_balance_options_t *opt,
                             cira_tier_balanced_t *out) {
  uint32_t max = cira__blocks_count();
  if (max == 0) {
    snprintf(out->note, sizeof out->note, "no block is placed hot-local");
    return CIRA_OK;
  }
  uint64_t list_bytes = max * sizeof(cira__block_t *);
  uint64_t zone_bytes = max * (uint64_t)ZONES_MAX * sizeof(zone_t);
  uint8_t *room = cira__local_get(list_bytes + zone_bytes);
  if (room == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for the lists of a step");
  }
  cira__block_t **b = (cira__block_t **)(void *)(room + zone_bytes);
  uint32_t blocks = cira__blocks_use(b, max);
  for (uint32_t i = 0; i < blocks; i++) {
    zones_of(b[i]);
    out->blocks++;
    out->bytes += b[i]->bytes;
  }
  cira_status_t status = step(opt, b, blocks, (zone_t *)(void *)room, out);
  for (uint32_t i = 0; i < blocks; i++) {
    cira__block_leave(b[i]);
  }
  cira__local_put(room, list_bytes + zone_bytes);
  return status;
}

cira_status_t cira_tier_balance(const cira_tier_balance_options_t *given,
                                cira_tier_balanced_t *out) {
  cira_tier_balance_options_t opt;
  cira_tier_balanced_t done = {0};
  cira_tier_balance_options_default(&opt);
  if (given != NULL) {
    memcpy(&opt, given, cira__min_u64(given->size, sizeof opt));
  }
  cira_status_t status = cira_tier_refresh(); /* how much is free */
  if (status != CIRA_OK) {
    return status;
  }
  pthread_mutex_lock(&step_lock);
  status = balance(&opt, &done);
  pthread_mutex_unlock(&step_lock);
  if (out != NULL && status == CIRA_OK) {
    *out = done;
  }
  return status;
}

/* ---- by itself ---------------------------------------------------------- */

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t thread;
  bool running, ending;
  uint64_t interval_ns;
  cira_tier_balance_options_t opt;
} ticker = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .wake = PTHREAD_COND_INITIALIZER};

static void *tick(void *argument) {
  (void)argument;
  bool warned = false;
  pthread_mutex_lock(&ticker.lock);
  while (!ticker.ending) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + ticker.interval_ns;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    int rc = 0;
    while (rc == 0 && !ticker.ending) {
      rc = pthread_cond_timedwait(&ticker.wake, &ticker.lock, &until);
    }
    if (ticker.ending) {
      break;
    }
    pthread_mutex_unlock(&ticker.lock);
    cira_status_t status = cira_tier_balance(&ticker.opt, NULL);
    if (status != CIRA_OK && !warned) {
      CIRA_LOG(CIRA_LOG_WARN, "balancing tiers: %s", cira_status_detail());
      warned = true;
    }
    pthread_mutex_lock(&ticker.lock);
  }
  pthread_mutex_unlock(&ticker.lock);
  return NULL;
}

cira_status_t cira_tier_balance_start(const cira_tier_balance_options_t *given,
                                      uint64_t interval_ns) {
  if (interval_ns < INTERVAL_MIN_NS) {
    return cira__fail(CIRA_E_INVALID,
                      "an interval of %llu ns; 10 ms is the shortest",
                      (unsigned long long)interval_ns);
  }
  cira_status_t status = cira__tier_ready();
  if (status != CIRA_OK) {
    return status;
  }
  pthread_mutex_lock(&ticker.lock);
  if (ticker.running) {
    status = cira__fail(CIRA_E_BUSY, "tiers are balanced already; stop that "
                                     "first");
  } else {
    cira_tier_balance_options_default(&ticker.opt);
    if (given != NULL) {
      memcpy(&ticker.opt, given, cira__min_u64(given->size, sizeof *given));
    }
    ticker.interval_ns = interval_ns;
    ticker.ending = false;
    int error = pthread_create(&ticker.thread, NULL, tick, NULL);
    ticker.running = error == 0;
    if (error != 0) {
      status =
          cira__fail_errno(CIRA_E_SYSTEM, error, "no thread to balance tiers");
    }
  }
  pthread_mutex_unlock(&ticker.lock);
  return status;
}

void cira_tier_balance_stop(void) {
  pthread_mutex_lock(&ticker.lock);
  bool running = ticker.running && !ticker.ending;
  ticker.ending = running || ticker.ending;
  pthread_cond_signal(&ticker.wake);
  pthread_mutex_unlock(&ticker.lock);
  if (!running) {
    return;
  }
  pthread_join(ticker.thread, NULL);
  pthread_mutex_lock(&ticker.lock);
  ticker.running = ticker.ending = false;
  pthread_mutex_unlock(&ticker.lock);
}

void cira__balance_forked(void) {
  /* The thread is the parent's, and with it what it held. */
  step_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  ticker.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  ticker.wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
  ticker.running = ticker.ending = false;
}
