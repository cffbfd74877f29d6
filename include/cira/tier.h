/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory by tier: where the bytes of a block lie, and moving them while the
 * program uses them.
 *
 *   tier    a place for memory: local DRAM, another NUMA node (CXL expanders
 *           appear as nodes without processors), a DAX device, a memory file,
 *           the far space
 *   block   memory of a tier, an ordinary pointer; its address never changes
 *   chunk   2 MiB of a block; the unit that moves between tiers
 *
 * Invariant: whatever moves, a load returns what was stored last. While a chunk
 * moves, readers go on and writers wait for it (about a millisecond).
 *
 * Blocks are for data worth placing: each takes a system call and at least
 * 2 MiB of addresses. On a machine with a single node every call works; what
 * there is nothing to do for says so in a note.
 *
 * Not kept by a move: what the kernel knows by physical page (buffers that are
 * registered with a device, futexes shared between processes).
 * Reading order: tiers, blocks, moving, balance. docs/memory-tiers.md
 */
#ifndef CIRA_TIER_H
#define CIRA_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CIRA_TIER_MAX 64u                         /* tiers of a machine */
#define CIRA_TIER_CHUNK_BYTES (UINT64_C(2) << 20) /* 2 MiB */
#define CIRA_TIER_LOCAL_ID 0u                     /* always there */

/* ---- tiers -------------------------------------------------------------- */

typedef enum {
  CIRA_TIER_LOCAL = 0,  /* DRAM of the nodes that have processors */
  CIRA_TIER_NODE = 1,   /* one NUMA node: memory only, or of one socket */
  CIRA_TIER_DAX = 2,    /* a device /dev/daxX.Y, mapped */
  CIRA_TIER_FILE = 3,   /* a memory file (memfd) of this process */
  CIRA_TIER_FAR = 4,    /* the far space of this process */
  CIRA_TIER_DEVICE = 5, /* a CXL expander that gives no memory yet */
} cira_tier_kind_t;

typedef struct {
  uint32_t id;   /* what the other calls take; stays until the process ends */
  uint32_t kind; /* cira_tier_kind_t */
  char name[64]; /* "local", "node:1", "dax:/dev/dax0.0", "memfd", "far",
                    "cxl:mem0" */
  int32_t node;  /* NUMA node of the memory, -1 = none or several */
  bool usable;   /* blocks can be there now; else the note says why not */
  bool memory_only;    /* a node without processors */
  bool cxl;            /* known to be behind CXL */
  bool shared_fork;    /* children of fork share the bytes instead of copying */
  uint64_t bytes;      /* capacity; 0 = not known */
  uint64_t free_bytes; /* about; 0 = none or not known */
  uint64_t used_bytes; /* of blocks of this process, touched or not */
  uint32_t distance;   /* from the nearest processors, 10 = local;
                          0 = not known */
  uint32_t read_latency_ns; /* of the firmware's table; 0 = not known */
  uint32_t read_mb_per_s;   /* likewise */
  uint32_t memory_tier;     /* the kernel's rank, lower is faster; 0 = none */
  char note[160];           /* what else there is to say; "" = nothing */
} cira_tier_info_t;

/* Lists the tiers of this machine, the local one first.
 *   out         max elements; NULL with max 0 to count
 *   out_count   how many there are, also when max is smaller
 * Returns CIRA_OK; CIRA_E_INVALID for a missing argument; CIRA_E_SYSTEM when
 *   the kernel's tables cannot be read; CIRA_E_NOMEM.
 * Threads: any. Cost: some small files are read each time. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_list(cira_tier_info_t *out,
                                                    uint32_t max,
                                                    uint32_t *out_count);

/* Finds a tier by its name.
 * Returns CIRA_OK; CIRA_E_INVALID for what is no tier's name;
 * CIRA_E_UNSUPPORTED for one that this machine has not. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_find(const char *name,
                                                    uint32_t *out_id);

/* Reads the machine's tables again (a node or device has come or gone). Tiers
 * keep their numbers; what is gone is not usable any more.
 * Returns as cira_tier_list. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_refresh(void);

/* ---- blocks ------------------------------------------------------------- */

#define CIRA_TIER_F_HUGE 1u  /* huge pages, where the kernel gives them */
#define CIRA_TIER_F_SMALL 2u /* small pages only */
#define CIRA_TIER_F_FAR 4u   /* in the far space, so that it can be far later */
#define CIRA_TIER_F_STAY 8u  /* cira_tier_balance leaves it where it is */

typedef struct {
  uint32_t size;        /* sizeof(cira_tier_options_t) */
  uint32_t flags;       /* CIRA_TIER_F_*; neither HUGE nor SMALL: huge pages
                           from 2 MiB on */
  const char *place;    /* a tier's name or a placement (see below); NULL: as
                           CIRA_PLACE says, else first-touch */
  uint64_t align_bytes; /* power of two up to 1 GiB; 0 = 4 KiB */
} cira_tier_options_t;
/* Fills in the defaults. Threads: any. */
CIRA_API void cira_tier_options_default(cira_tier_options_t *opt);

/* Placements, for `place` and the environment variable CIRA_PLACE:
 *   first-touch   each page on the node whose processor touches it first
 *   local         likewise, and cira_tier_balance leaves it there
 *   interleave    page by page over all nodes with memory
 *   hot-local     first touch; cira_tier_balance keeps what is used in local
 *                 memory and moves the rest to the slowest node or, with
 *                 CIRA_TIER_F_FAR, far away
 *   far           in the far space
 *   NAME          the tier of that name */

/* Allocates a zeroed block.
 *   bytes   > 0
 *   opt     NULL = defaults
 * Returns CIRA_OK; CIRA_E_INVALID for zero bytes, an alignment that is none, a
 *   place that is none; CIRA_E_RANGE for more than addresses allow;
 *   CIRA_E_UNSUPPORTED for a tier that is not here or not usable; CIRA_E_NOMEM
 *   when the tier has no room; CIRA_E_SYSTEM when there is no descriptor;
 *   CIRA_E_BUSY when another process has the device.
 * Threads: any. Ends with cira_tier_free. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_tier_alloc(uint64_t bytes, const cira_tier_options_t *opt, void **out);

/* Maps a part of a DAX device with the content that is there.
 *   offset_bytes, bytes   multiples of 2 MiB
 * The block can be moved like any other; its writes reach the device while it
 * is there, and stay there when it is moved away.
 * Returns CIRA_OK; CIRA_E_INVALID (alignment); CIRA_E_RANGE (beyond the
 * device); CIRA_E_UNSUPPORTED for a tier that is no DAX device; CIRA_E_BUSY
 * when the part belongs to a block or another process allocates there;
 * CIRA_E_SYSTEM. Threads: any. Ends with cira_tier_free. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_map(uint32_t tier,
                                                   uint64_t offset_bytes,
                                                   uint64_t bytes, void **out);

/* Frees a block; NULL is allowed. A move of it that is under way is stopped.
 * Returns CIRA_OK; CIRA_E_INVALID for a pointer that is not the beginning of a
 *   live block (nothing is done). Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_free(void *p);

typedef struct {
  void *base;             /* of the block */
  uint64_t bytes;         /* as asked for */
  uint32_t tier;          /* of the byte at p: where it belongs */
  uint32_t moving;        /* calls that move parts of it now */
  uint64_t touched_bytes; /* have memory somewhere */
  uint64_t
      tier_bytes[CIRA_TIER_MAX]; /* of these: where, by tier; a node that
                                    is no tier of its own counts as local */
} cira_tier_block_t;

/* Tells where the bytes of a block are now; p may point anywhere into it.
 * Returns CIRA_OK; CIRA_E_INVALID for a pointer into no live block.
 * Threads: any. Cost: the kernel looks at every page, about 0.1 us each. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_query(const void *p,
                                                     cira_tier_block_t *out);

/* ---- moving ------------------------------------------------------------- */

/* Moves [p, p + bytes) into a tier while threads use it.
 *   bytes   0 = the whole block that p points into; otherwise whole chunks
 *           move: those that the range touches
 *   flags   CIRA_TIER_F_HUGE or CIRA_TIER_F_SMALL: change the pages as well
 * Between local memory and nodes the kernel moves the pages. To and from
 * devices and files chunks are copied behind a write protection and then
 * exchanged. Blocks of the far space move between far, local (held there; at
 * most half of the local cache) and nodes; other blocks cannot become far.
 * A system call of another thread that writes into the chunk that moves fails
 * with EFAULT if the process may not handle faults of the kernel
 * (vm.unprivileged_userfaultfd, CAP_SYS_PTRACE), or if it comes from a device.
 * Returns CIRA_OK when all bytes are there; CIRA_E_INVALID for a foreign
 *   pointer or a tier that is none; CIRA_E_RANGE beyond the block;
 *   CIRA_E_UNSUPPORTED; CIRA_E_NOMEM when there is no room and CIRA_E_SYSTEM
 *   when there is no descriptor (what has moved stays moved); CIRA_E_BUSY when
 *   pages are held by a device or shared with another process;
 *   CIRA_E_CANCELLED when the block is freed meanwhile.
 * Threads: any; one chunk moves at a time. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_set(void *p, uint64_t bytes,
                                                   uint32_t tier,
                                                   uint32_t flags);

/* ---- balance ------------------------------------------------------------ */

typedef struct {
  uint32_t size;           /* sizeof(cira_tier_balance_options_t) */
  uint64_t local_bytes;    /* what hot-local blocks may have in local memory;
                              0 = as much as leaves an eighth of it free, and
                              half of the local cache for far blocks */
  uint64_t move_bytes_max; /* per step; 0 = 256 MiB */
} cira_tier_balance_options_t;
/* Fills in the defaults. Threads: any. */
CIRA_API void
cira_tier_balance_options_default(cira_tier_balance_options_t *opt);

typedef struct {
  uint64_t blocks;         /* that are balanced */
  uint64_t bytes;          /* of these */
  uint64_t used_bytes;     /* in zones that were used since the last step */
  uint64_t local_bytes;    /* in local memory, afterwards */
  uint64_t promoted_bytes; /* moved to local memory by this step */
  uint64_t demoted_bytes;  /* moved away by this step */
  char note[160];          /* why nothing was done; "" = nothing to say */
} cira_tier_balanced_t;

/* One step for the blocks placed hot-local: reads what was used since the last
 * step (the accessed bits of the page table, by zones of a block; for far
 * blocks the pager's own count of quick returns), then moves the coldest zones
 * out of local memory while they are over the limit, and hotter ones in.
 *   opt   NULL = defaults;   out   NULL, or what was done
 * Returns CIRA_OK, also when there is nothing to do; CIRA_E_SYSTEM when the
 *   kernel does not tell accesses; what cira_tier_set says, but for pages that
 *   are busy. Threads: any; one step at a time.
 * Cost: the kernel walks the page table of the process. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_balance(
    const cira_tier_balance_options_t *opt, cira_tier_balanced_t *out);

/* Starts a thread that makes a step every interval_ns (at least 10 ms).
 * Returns CIRA_OK; CIRA_E_INVALID (interval); CIRA_E_BUSY when it runs already;
 *   CIRA_E_SYSTEM when no thread can be started.
 * Threads: any. A forked child has none. */
CIRA_API CIRA_MUST_USE cira_status_t cira_tier_balance_start(
    const cira_tier_balance_options_t *opt, uint64_t interval_ns);
/* Ends it and waits for it; nothing when there is none. Threads: any. */
CIRA_API void cira_tier_balance_stop(void);

#ifdef __cplusplus
}
#endif
#endif
