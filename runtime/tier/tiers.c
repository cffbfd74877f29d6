/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of tiers: what a scan finds gets a number that stays, beside the
 * two that every process may have, a memory file and the far space. Set up by
 * the first call that needs it. fork happens between moves, never within one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tier/tier_internal.h"

struct cira__tiers cira__tiers = {.table = PTHREAD_MUTEX_INITIALIZER,
                                  .move = PTHREAD_MUTEX_INITIALIZER};
#define T cira__tiers

/* ---- scanning ----------------------------------------------------------- */

static cira__tier_t *tier_named(const char *name) {
  for (uint32_t i = 0; i < T.count; i++) {
    if (strcmp(T.tier[i].info.name, name) == 0) {
      return &T.tier[i];
    }
  }
  return NULL;
}

static void tier_note(const cira_tier_info_t *info) {
  cira__tier_t *t = tier_named(info->name);
  if (t == NULL) {
    if (T.count == CIRA_TIER_MAX) {
      return;
    }
    uint32_t id = T.count;
    t = &T.tier[id];
    *t = (cira__tier_t){.fd = -1, .info = *info};
    t->info.id = id;
    T.count = id + 1; /* pairs with: those who look without lock */
  }
  /* Kind, name and node of a tier never change: they are read without lock. */
  cira_tier_info_t *had = &t->info;
  had->usable = info->usable;
  had->cxl = info->cxl;
  had->bytes = info->bytes;
  had->free_bytes = info->free_bytes;
  had->distance = info->distance;
  had->read_latency_ns = info->read_latency_ns;
  had->read_mb_per_s = info->read_mb_per_s;
  had->memory_tier = info->memory_tier;
  memcpy(had->note, info->note, sizeof had->note);
  t->dax_size = info->kind == CIRA_TIER_DAX ? info->bytes : 0;
  t->seen = true;
}

/* Nodes rarely come and go, and policies read them without lock. */
static void nodes_note(const cira__scan_t *scan) {
  if (memcmp(T.memory_nodes, scan->memory_nodes, sizeof T.memory_nodes) != 0 ||
      memcmp(T.cpu_nodes, scan->cpu_nodes, sizeof T.cpu_nodes) != 0) {
    memcpy(T.memory_nodes, scan->memory_nodes, sizeof T.memory_nodes);
    memcpy(T.cpu_nodes, scan->cpu_nodes, sizeof T.cpu_nodes);
    T.memory_node_count = scan->memory_node_count;
  }
}

static void own_tiers(void) {
  cira_tier_info_t file = {.kind = CIRA_TIER_FILE,
                           .name = "memfd",
                           .node = -1,
                           .usable = true,
                           .shared_fork = true,
                           .distance = 10};
  tier_note(&file);
  cira_tier_info_t far = {.kind = CIRA_TIER_FAR,
                          .name = "far",
                          .node = -1,
                          .usable = cira__far_usable()};
  if (!far.usable) {
    snprintf(far.note, sizeof far.note,
             "this process has no far memory; start it with cira-run or "
             "cira_far_start");
  }
  tier_note(&far);
}

static uint64_t extents_bytes(const cira__tier_t *t) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < t->extent_count; i++) {
    sum += t->extents[i].bytes;
  }
  return sum;
}

/* Takes over what a scan has found, with `table` held. */
static void scan_note(const cira__scan_t *scan) {
  nodes_note(scan);
  for (uint32_t i = 0; i < T.count; i++) {
    T.tier[i].seen = false;
  }
  for (uint32_t i = 0; i < scan->count; i++) {
    tier_note(&scan->tier[i]);
  }
  own_tiers();
  for (uint32_t i = 0; i < T.count; i++) {
    cira__tier_t *t = &T.tier[i];
    t->info.used_bytes = t->used;
    if (!t->seen) {
      t->info.usable = false;
      t->info.free_bytes = 0;
      snprintf(t->info.note, sizeof t->info.note, "it has gone");
    } else if (t->info.kind == CIRA_TIER_DAX) {
      t->info.free_bytes = t->info.bytes - extents_bytes(t);
    }
  }
}

/* ---- setting up --------------------------------------------------------- */

static void fork_prepare(void) {
  pthread_mutex_lock(&T.move);
  pthread_mutex_lock(&T.table);
}

static void fork_parent(void) {
  cira__blocks_forked(false);
  pthread_mutex_unlock(&T.table);
  pthread_mutex_unlock(&T.move);
}

static void fork_child(void) {
  cira__guard_forked();
  cira__present_forked();
  cira__balance_forked();
  cira__hold_forked();
  cira__blocks_forked(true);
  pthread_mutex_unlock(&T.table);
  pthread_mutex_unlock(&T.move);
}

static bool is_ready(void) {
  pthread_mutex_lock(&T.table);
  bool ready = T.ready;
  pthread_mutex_unlock(&T.table);
  return ready;
}

cira_status_t cira__tier_ready(void) {
  return is_ready() ? CIRA_OK : cira_tier_refresh();
}

/* With `table` held and the table filled. */
static cira_status_t set_up(void) {
  cira_status_t status = CIRA_OK;
  if (!T.ready) {
    status = cira__arena_make();
    if (status == CIRA_OK &&
        pthread_atfork(fork_prepare, fork_parent, fork_child) != 0) {
      status = cira__fail(CIRA_E_NOMEM, "no memory for the tables of tiers");
    }
    T.ready = status == CIRA_OK;
  }
  return status;
}

/* Reading the kernel's files allocates, and what malloc gives may be far: so
 * that happens without lock. fork takes the locks while the pager stands
 * still, and a holder that faulted would never let go. */
cira_status_t cira_tier_refresh(void) {
  cira__scan_t scan;
  cira_status_t status = cira__tier_scan("", &scan);
  if (status == CIRA_OK) {
    pthread_mutex_lock(&T.table);
    scan_note(&scan);
    status = set_up();
    pthread_mutex_unlock(&T.table);
  }
  return status;
}

/* ---- asking ------------------------------------------------------------- */

cira__tier_t *cira__tier_get(uint32_t id) {
  if (id >= T.count) {
    (void)cira__fail(CIRA_E_INVALID,
                     "tier %u: there are %u; ask cira_tier_list", id, T.count);
    return NULL;
  }
  return &T.tier[id];
}

cira_status_t cira__tier_usable(const cira__tier_t *t) {
  /* The far space may have been started after the scan. */
  if (t->info.usable || (t->info.kind == CIRA_TIER_FAR && cira__far_usable())) {
    return CIRA_OK;
  }
  return cira__fail(CIRA_E_UNSUPPORTED, "%s cannot be used: %s", t->info.name,
                    t->info.note);
}

uint32_t cira__tier_of_node(uint32_t node) {
  for (uint32_t i = 0; i < T.count; i++) {
    if (T.tier[i].info.kind == CIRA_TIER_NODE &&
        (uint32_t)T.tier[i].info.node == node) {
      return i;
    }
  }
  return CIRA_TIER_LOCAL_ID;
}

uint32_t cira__tier_of_kind(cira_tier_kind_t kind) {
  for (uint32_t i = 0; i < T.count; i++) {
    if (T.tier[i].info.kind == (uint32_t)kind) {
      return i;
    }
  }
  return CIRA_TIER_LOCAL_ID;
}

cira_status_t cira_tier_list(cira_tier_info_t *out, uint32_t max,
                             uint32_t *out_count) {
  if (out_count == NULL || (out == NULL && max != 0)) {
    return cira__fail(CIRA_E_INVALID, "cira_tier_list: give a place for the %s",
                      out_count == NULL ? "count" : "tiers");
  }
  cira_status_t status = cira_tier_refresh();
  if (status != CIRA_OK) {
    return status;
  }
  cira_tier_info_t all[CIRA_TIER_MAX]; /* out may be far, see refresh */
  pthread_mutex_lock(&T.table);
  uint32_t count = T.count;
  for (uint32_t i = 0; i < count; i++) {
    all[i] = T.tier[i].info;
  }
  pthread_mutex_unlock(&T.table);
  for (uint32_t i = 0; i < count && i < max; i++) {
    out[i] = all[i];
  }
  *out_count = count;
  return CIRA_OK;
}

static cira_status_t not_here(const char *name) {
  static const char *const PREFIX[] = {"node:", "dax:/dev/dax", "cxl:mem"};
  for (size_t i = 0; i < CIRA_COUNT(PREFIX); i++) {
    size_t n = strlen(PREFIX[i]);
    if (strncmp(name, PREFIX[i], n) == 0 && name[n] >= '0' && name[n] <= '9') {
      return cira__fail(CIRA_E_UNSUPPORTED,
                        "this machine has no %s; cira-info lists its tiers",
                        name);
    }
  }
  return cira__fail(CIRA_E_INVALID,
                    "'%s' is no tier; use local, node:N, dax:/dev/daxX.Y, "
                    "memfd or far (cira-info lists those of this machine)",
                    name);
}

cira_status_t cira_tier_find(const char *name, uint32_t *out_id) {
  if (name == NULL || out_id == NULL) {
    return cira__fail(CIRA_E_INVALID, "cira_tier_find: %s is missing",
                      name == NULL ? "the name" : "the place for the number");
  }
  cira_status_t status = cira__tier_ready();
  if (status != CIRA_OK) {
    return status;
  }
  char near[sizeof T.tier[0].info.name]; /* the name may be far, see refresh */
  if (snprintf(near, sizeof near, "%s", name) >= (int)sizeof near) {
    return not_here(name);
  }
  pthread_mutex_lock(&T.table);
  cira__tier_t *t = tier_named(near);
  uint32_t id = t != NULL ? t->info.id : 0;
  pthread_mutex_unlock(&T.table);
  if (t == NULL) {
    return not_here(name);
  }
  *out_id = id;
  return CIRA_OK;
}
