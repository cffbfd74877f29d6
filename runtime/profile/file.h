/* SPDX-License-Identifier: Apache-2.0
 *
 * file: the layout of a profile (docs/profile-format.md), and its reader.
 *
 * A header and blocks of one size. Whoever records takes the next block by an
 * atomic add on the header, which all processes map, makes room for it in the
 * file, maps it and fills it: one block has one writer. `used` is stored last
 * (release), so a reader sees whole records at any time, also after a kill.
 *
 *   field                      written by             when
 *   header but the two below   creator                before anybody records
 *   block_count, lost          everybody (atomic)     a block is taken / not
 * had complete                   creator                everybody is done block
 * header               owner of the block     when it is taken used owner after
 * each record
 *
 * Numbers are little-endian. The reader trusts nothing that it reads.
 * Threads: reading a file, one thread.
 */
#ifndef CIRA_PROFILE_FILE_H
#define CIRA_PROFILE_FILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

#define CIRA_PROFILE_MAGIC UINT64_C(0x31464f5250415243) /* "CRAPROF1" */
#define CIRA_PROFILE_VERSION 1u
#define CIRA_PROFILE_HEADER_BYTES 4096u
#define CIRA_PROFILE_BLOCK_BYTES 16384u
#define CIRA_PROFILE_BLOCK_HEADER_BYTES 64u
#define CIRA_PROFILE_BLOCK_MAGIC 0x4b425043u /* "CPBK" */
#define CIRA_PROFILE_PAYLOAD_BYTES                                             \
  (CIRA_PROFILE_BLOCK_BYTES - CIRA_PROFILE_BLOCK_HEADER_BYTES)
/* After each so many blocks (64 MiB) only every second of the events recorded
 * so far is recorded: weights of blocks are powers of two. */
#define CIRA_PROFILE_STEP_BLOCKS 4096u
#define CIRA_PROFILE_WEIGHT_LOG2_MAX 16u

typedef struct {
  uint64_t magic;
  uint32_t version, header_bytes, block_bytes;
  _Atomic uint32_t complete;
  uint64_t start_ns;      /* CLOCK_MONOTONIC, the zero of the time line */
  uint64_t start_unix_ns; /* the same moment by CLOCK_REALTIME */
  _Atomic uint64_t block_count;
  _Atomic uint64_t lost; /* blocks that could not be had: disk full, chroot */
  char command[1024];    /* what was run, terminated */
  char sampling[256];    /* what was sampled, or why nothing was; terminated */
  uint8_t reserved[CIRA_PROFILE_HEADER_BYTES - 1336];
} cira_profile_header_t;

/* Kinds of blocks. */
enum {
  CIRA_PROFILE_FREE = 0,    /* taken and never filled */
  CIRA_PROFILE_EVENTS = 1,  /* cira_profile_event_t */
  CIRA_PROFILE_STREAMS = 2, /* cira_profile_stream_t */
  CIRA_PROFILE_SAMPLES = 3, /* cira_profile_sample_t */
  CIRA_PROFILE_PROCESS = 4, /* text: "key value" lines about the process */
  CIRA_PROFILE_MAPS = 5,    /* text: executable lines of /proc/PID/maps */
  CIRA_PROFILE_MARKS = 6,   /* text: "TIME-NS TID text" lines */
  CIRA_PROFILE_CALLS = 7,   /* cira_profile_calls_t */
  CIRA_PROFILE_KINDS = 8,
};

typedef struct {
  uint32_t magic;
  uint16_t kind, record_bytes; /* of text: 1 */
  _Atomic uint32_t used_bytes; /* of the payload */
  uint32_t weight;             /* each event stands for so many */
  int32_t pid, tid;
  uint64_t start_ns; /* when the block was taken */
  uint8_t reserved[CIRA_PROFILE_BLOCK_HEADER_BYTES - 32];
} cira_profile_block_t;

/* Kinds of events. */
enum {
  CIRA_PROFILE_FAULT = 1, /* a load or store waited */
  CIRA_PROFILE_PIN = 2,   /* a system call's buffer was made present */
  CIRA_PROFILE_HINT = 3,  /* pages were asked for ahead of need */
};
/* Flags of events. */
#define CIRA_PROFILE_F_WRITE 1u /* by a store (where the processor says so) */
#define CIRA_PROFILE_F_ZERO 2u  /* fresh memory: nothing to fetch */
#define CIRA_PROFILE_F_LATE                                                    \
  4u                           /* had been asked for, and was still under way  \
                                */
#define CIRA_PROFILE_F_BUSY 8u /* another thread was fetching it */
/* For which tier was waited. */
enum {
  CIRA_PROFILE_TIER_NONE = 0,   /* fresh memory, or fetched by another thread */
  CIRA_PROFILE_TIER_DIRECT = 1, /* a home that is memory of this machine */
  CIRA_PROFILE_TIER_REMOTE = 2, /* a home behind requests */
};

typedef struct {
  uint64_t time_ns; /* CLOCK_MONOTONIC, when it began */
  uint64_t address; /* that was touched, or the first asked for */
  uint64_t ip;     /* of the access, or where the call returns to; 0: unknown */
  uint64_t caller; /* who called that code, when it is a library's; or 0 */
  uint32_t wait_ns; /* UINT32_MAX: that long or longer */
  uint32_t pages;   /* brought, the one that was touched included */
  uint32_t hits;    /* pages read ahead before, which this shows to be used */
  uint8_t kind, flags, tier, reserved;
} cira_profile_event_t;

/* A stream that ended. */
typedef struct {
  uint64_t start_ns, end_ns;
  uint64_t ip;      /* where it was made */
  uint64_t address; /* its first element, or head */
  uint64_t count;   /* elements that it has; chains: 0 */
  uint64_t walked;  /* elements that the program came to, as far as is known */
  uint64_t refills; /* calls of the runtime for more */
  uint64_t asked;   /* requests sent ahead of the walk */
  uint64_t used;    /* of these: their bytes were walked over */
  uint64_t late;    /* of these: still under way when they were wanted */
  uint64_t wait_ns; /* the program waited for it */
  uint32_t element_bytes;
  uint32_t kind; /* strided, pointers, chain, tiled, frontier: 0 to 4 */
} cira_profile_stream_t;

/* What the accesses that one call of cira/async.h makes have come to so far, on
 * one thread. Its owner goes on counting in it, so what was counted before a
 * kill is there. */
typedef struct {
  uint64_t ip;       /* where the call returns to */
  uint64_t accesses; /* pieces of a batch count each */
  uint64_t bytes;
  uint64_t here;  /* of the accesses: their first byte needed nobody */
  uint64_t waits; /* somebody waited for the end of one */
  uint64_t wait_ns, wait_max_ns;
  uint32_t kind;   /* see below */
  uint32_t failed; /* requests that ended with an error */
} cira_profile_calls_t;
/* Kinds of calls. */
enum {
  CIRA_PROFILE_LOAD = 1,
  CIRA_PROFILE_GATHER = 2,
  CIRA_PROFILE_STORE = 3,
  CIRA_PROFILE_SCATTER = 4,
  CIRA_PROFILE_ATOMIC = 5,
  CIRA_PROFILE_TOUCH = 6,
  CIRA_PROFILE_COMBINE = 7, /* when_all, when_any: only waiting */
};

/* A sample of perf_event. */
typedef struct {
  uint64_t time_ns; /* CLOCK_MONOTONIC */
  uint64_t address; /* 0: not known */
  uint64_t ip;
  int32_t pid, tid;
  uint32_t weight; /* events that it stands for */
  uint32_t event;  /* 1: cache misses, 2: cycles, 3: page faults */
} cira_profile_sample_t;

_Static_assert(sizeof(cira_profile_header_t) == CIRA_PROFILE_HEADER_BYTES,
               "pinned");
_Static_assert(offsetof(cira_profile_header_t, command) == 56, "pinned");
_Static_assert(sizeof(cira_profile_block_t) == CIRA_PROFILE_BLOCK_HEADER_BYTES,
               "pinned");
_Static_assert(sizeof(cira_profile_event_t) == 48, "pinned");
_Static_assert(sizeof(cira_profile_stream_t) == 96, "pinned");
_Static_assert(sizeof(cira_profile_sample_t) == 40, "pinned");
_Static_assert(sizeof(cira_profile_calls_t) == 64, "pinned");

/* ---- reading (read.c) ---------------------------------------------------- */

typedef struct {
  const uint8_t *bytes;
  uint64_t size;
  const cira_profile_header_t *header;
  uint64_t blocks; /* that are in the file */
  void *mapped;    /* to be unmapped, or NULL */
} cira_profile_file_t;

/* One block, checked. */
typedef struct {
  uint16_t kind;
  uint32_t weight;
  int32_t pid, tid;
  uint64_t start_ns;
  const void *records; /* aligned to 8; text is not terminated */
  uint32_t count;      /* records; bytes of text */
} cira_profile_view_t;

/* Maps a file and checks its header.
 * Returns CIRA_OK; CIRA_E_SYSTEM when it cannot be read; CIRA_E_PROTOCOL when
 * it is no profile, is cut off or is of another version. The detail names the
 * file. Ends with cira_profile_file_close. */
CIRA_MUST_USE cira_status_t cira_profile_file_open(const char *path,
                                                   cira_profile_file_t *out);
/* The same of bytes in memory, aligned to 8; `name` is for the detail. */
CIRA_MUST_USE cira_status_t cira_profile_file_take(const void *bytes,
                                                   uint64_t size,
                                                   const char *name,
                                                   cira_profile_file_t *out);
void cira_profile_file_close(cira_profile_file_t *file);

/* Block i < blocks. Returns CIRA_OK; CIRA_AGAIN for one that was never filled;
 * CIRA_E_PROTOCOL for one that no writer leaves behind. */
CIRA_MUST_USE cira_status_t cira_profile_file_block(
    const cira_profile_file_t *file, uint64_t i, cira_profile_view_t *out);

#endif
