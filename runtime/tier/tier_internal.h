/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the tier module share: the table of tiers, blocks and their
 * chunks, the guard that holds writers back.
 *
 * All blocks but those of the far space lie in one reserved range of addresses,
 * the arena, cut into units of 2 MiB: unit -> block is one load, so that also a
 * signal handler can ask. A chunk is one unit of a block. Its backing is what
 * is mapped at its address: anonymous memory (any node), the block's memory
 * file, or its extent of a DAX device.
 *
 * Locks: move -> table. `move` is held while one chunk changes its backing or
 * its tier, `table` guards the tiers, the arena and the list of blocks. A block
 * with users > 0 stays; free waits for them. fork takes both, so a child never
 * sees a chunk on its way. Holders of these two never touch memory that may be
 * far (malloc's, the caller's), since fork may hold the pager still; chunks of
 * far blocks have a lock of their own, which a child makes anew (far.c).
 * Reading order: this file, discover.c, tiers.c, block.c, backing.c, guard.c,
 * move.c, far.c, balance.c.
 */
#ifndef CIRA_TIER_INTERNAL_H
#define CIRA_TIER_INTERNAL_H

#include <pthread.h>

#include "base/base.h"
#include "cira/tier.h"

#define CHUNK_BYTES CIRA_TIER_CHUNK_BYTES
#define CHUNK_PAGES (CHUNK_BYTES / CIRA_PAGE_BYTES)
#define NODES_MAX 1024u /* bits of a node mask */
#define ZONES_MAX 64u   /* of a block, for balancing */

/* ---- tiers -------------------------------------------------------------- */

typedef struct {
  uint64_t offset, bytes;
} cira__extent_t;

typedef struct {
  cira_tier_info_t info;
  bool seen;               /* by the scan under way */
  uint64_t used;           /* bytes of blocks */
  uint64_t dax_size;       /* of the device */
  int fd;                  /* of the device while blocks are there, -1 */
  bool exclusive;          /* the lock on it */
  cira__extent_t *extents; /* taken, by offset */
  uint32_t extent_count, extent_room;
} cira__tier_t;

/* What a scan of the kernel's tables finds. */
typedef struct {
  cira_tier_info_t tier[CIRA_TIER_MAX];
  uint32_t count;
  uint64_t cpu_nodes[NODES_MAX / 64];    /* nodes of the local tier */
  uint64_t memory_nodes[NODES_MAX / 64]; /* all nodes with memory */
  uint32_t memory_node_count;
} cira__scan_t;

/* Reads nodes, DAX devices and CXL expanders below `root` ("" = this machine).
 * Malformed or missing tables give fewer tiers, never an error, but for a
 * machine without any node (CIRA_E_SYSTEM). */
cira_status_t cira__tier_scan(const char *root, cira__scan_t *out);

extern struct cira__tiers {
  pthread_mutex_t table, move;
  bool ready;
  cira__tier_t tier[CIRA_TIER_MAX];
  _Atomic uint32_t count; /* read without lock; grows under `table` */
  uint64_t cpu_nodes[NODES_MAX / 64], memory_nodes[NODES_MAX / 64];
  uint32_t memory_node_count;
} cira__tiers;

static inline bool node_has(const uint64_t *mask, uint32_t node) {
  return node < NODES_MAX && (mask[node >> 6] >> (node & 63) & 1) != 0;
}
static inline void node_add(uint64_t *mask, uint32_t node) {
  mask[node >> 6] |= UINT64_C(1) << (node & 63);
}

/* Scans once, makes the arena, takes care of fork. Without locks. */
cira_status_t cira__tier_ready(void);
cira_status_t cira__arena_make(void);
/* Tier by number, with `table` held; NULL and a detail when there is none. */
cira__tier_t *cira__tier_get(uint32_t id);
/* CIRA_OK when blocks can be there; otherwise why not. */
cira_status_t cira__tier_usable(const cira__tier_t *t);
/* The tier that counts bytes on a node. */
uint32_t cira__tier_of_node(uint32_t node);
/* Number of the far tier / the memory file's. */
uint32_t cira__tier_of_kind(cira_tier_kind_t kind);

/* Zeroed local memory for our own tables: fork handlers touch them, when far
 * memory cannot be touched, so they cannot come from malloc. NULL: none. */
void *cira__local_get(uint64_t bytes);
void cira__local_put(void *p, uint64_t bytes);

/* ---- blocks ------------------------------------------------------------- */

typedef struct cira__block {
  uint8_t *base;
  uint64_t bytes;      /* as asked for */
  uint64_t span_bytes; /* whole chunks; for far blocks whole pages */
  uint32_t chunks;
  uint32_t flags; /* CIRA_TIER_F_* */
  bool far;       /* in the far space */
  bool balanced;  /* hot-local */
  void *raw;      /* far: what the heap gave */
  int fd;         /* of the memory file, -1 */
  bool stale_fd;  /* shared with a forked relative: read only */
  uint64_t dax_offset[CIRA_TIER_MAX]; /* extent by tier + 1; 0 = none */
  uint32_t dax_chunks[CIRA_TIER_MAX]; /* chunks in it */
  bool dax_kept;  /* made by map: the extent stays until free */
  uint32_t users; /* calls at work on it; guarded by table */
  bool closing;   /* free waits */
  /* the staging area of the move under way; guarded by move */
  uint8_t *stage, *stage_end;
  /* balancing; guarded by the step's own lock */
  uint32_t zone_chunks, zones;
  uint8_t heat[ZONES_MAX];
  uint8_t tier[]; /* by chunk */
} cira__block_t;

/* The live block that holds p, or NULL; with `table` held. */
cira__block_t *cira__block_of(const void *p);
/* Finds the block of p and keeps it alive; NULL and a detail otherwise. */
cira__block_t *cira__block_use(const void *p);
void cira__block_leave(cira__block_t *b);
/* Blocks that are balanced, kept alive: up to max; returns how many. */
uint32_t cira__blocks_use(cira__block_t **out, uint32_t max);
uint32_t cira__blocks_count(void);
/* After a fork, with `table` and `move` held. */
void cira__blocks_forked(bool child);

/* True for an address in the arena. Signal-safe. */
bool cira__arena_has(const void *p);
/* True when a live block is there. Signal-safe. */
bool cira__arena_live(const void *p);

static inline uint64_t chunk_bytes(const cira__block_t *b, uint32_t chunk) {
  return cira__min_u64(CHUNK_BYTES, b->span_bytes - chunk * CHUNK_BYTES);
}

/* Chunks [first, last) of a range; bytes 0 = all. */
cira_status_t cira__block_range(const cira__block_t *b, const void *p,
                                uint64_t bytes, uint32_t *first,
                                uint32_t *last);

/* Puts a chunk on another tier's account; with `table` held. */
void cira__chunk_account(cira__block_t *b, uint32_t chunk, uint32_t tier);

/* ---- backing ------------------------------------------------------------ */

typedef enum { BACKING_ANON, BACKING_FILE, BACKING_DAX } cira__backing_t;
cira__backing_t cira__backing_of(uint32_t tier);

/* Maps a part of a block as it is in a tier at `at` (fixed). */
cira_status_t cira__backing_map(cira__block_t *b, uint32_t tier, uint8_t *at,
                                uint32_t first_chunk, uint64_t bytes,
                                uint32_t flags);
/* Sees to it that the block has a file / an extent there. */
cira_status_t cira__backing_prepare(cira__block_t *b, uint32_t tier);
/* A chunk has left a tier: its memory there can go. */
void cira__backing_drop(cira__block_t *b, uint32_t tier, uint32_t chunk);
/* All that a block has; with `table` held. */
void cira__backing_close(cira__block_t *b);
/* Takes [offset, offset + bytes) of a device; offset UINT64_MAX: anywhere.
 * With `table` held. */
cira_status_t cira__dax_take(cira__tier_t *t, uint64_t offset, uint64_t bytes,
                             uint64_t *out_offset);
void cira__dax_give(cira__tier_t *t, uint64_t offset);
cira_status_t cira__dax_open(cira__tier_t *t, bool exclusive);

/* The kernel's policy for new pages of a range, and with `move` also for those
 * that are there. */
cira_status_t cira__policy_set(void *at, uint64_t bytes, uint32_t tier,
                               bool move);
cira_status_t cira__policy_interleave(void *at, uint64_t bytes);
/* Counts the pages of a range by the tier of their node (tier_bytes has
 * CIRA_TIER_MAX elements); pages without memory are not counted. */
void cira__pages_count(const void *at, uint64_t bytes, uint64_t *tier_bytes);

/* ---- guard -------------------------------------------------------------- */

/* Holds writers of [at, at + bytes) back until guard_end; readers go on. One
 * at a time, with `move` held. */
cira_status_t cira__guard_begin(uint8_t *at, uint64_t bytes,
                                cira__backing_t backing);
/* The range was replaced (or, with `restore`, is to be as before). */
void cira__guard_end(uint8_t *at, uint64_t bytes, bool restore);
/* In a forked child. */
void cira__guard_forked(void);
/* For tests: never userfaultfd. */
void cira__guard_by_signal(bool on);

/* ---- moving ------------------------------------------------------------- */

/* Moves chunks of a block that is in use by the caller. */
cira_status_t cira__move(cira__block_t *b, uint32_t first, uint32_t last,
                         uint32_t tier, uint32_t flags);
/* Calls run(context, offset, bytes) for each run of pages of a chunk that have
 * memory; once for all of it when the kernel does not tell. */
typedef cira_status_t (*cira__run_fn)(void *context, uint64_t offset,
                                      uint64_t bytes);
cira_status_t cira__present_runs(const uint8_t *at, uint64_t bytes,
                                 cira__run_fn run, void *context);
void cira__present_forked(void);
bool cira__present_known(void);

/* ---- far blocks --------------------------------------------------------- */

bool cira__far_usable(void);
cira_status_t cira__far_alloc(uint64_t bytes, uint64_t align, cira__block_t *b);
void cira__far_free(cira__block_t *b);
/* Moves one chunk between held (local, nodes) and far. */
cira_status_t cira__far_move(cira__block_t *b, uint32_t chunk, uint32_t tier);
void cira__far_count(const cira__block_t *b, uint64_t *tier_bytes);
/* Heat 0..255 of chunks [first, last) that are not held. */
uint32_t cira__far_heat(const cira__block_t *b, uint32_t first, uint32_t last);
uint64_t cira__far_hold_limit_bytes(void);
/* In a forked child: the pager's pins are gone. */
void cira__far_forked(cira__block_t *b);
void cira__hold_forked(void);

/* ---- balance ------------------------------------------------------------ */

void cira__balance_forked(void);

/* Placement as text. */
typedef enum {
  PLACE_TIER,
  PLACE_FIRST_TOUCH,
  PLACE_LOCAL,
  PLACE_INTERLEAVE,
  PLACE_HOT_LOCAL,
} cira__place_t;
/* text NULL: CIRA_PLACE. */
cira_status_t cira__place_parse(const char *text, cira__place_t *out,
                                uint32_t *out_tier);

#endif
