/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_file: the shared file in which the processes of one run keep their
 * counters, so that whoever started them can read the counters live and after
 * any of them died, also by SIGKILL.
 *
 * cira-run creates the file (header filled, slots zero) and names it in
 * CIRA_STATS; each process with the preload shim maps it and claims one slot:
 * the first program, children by fork, programs started by exec (the image
 * that execed leaves its slot behind as CIRA_STATS_REPLACED). Both sides use
 * the same layout on the same machine; it is pinned by assertions below.
 *
 *   field                              written by        when
 *   header                             creator           before any claim
 *   state FREE -> CLAIMED (CAS)        process           at its start
 *   everything else of the slot        process           after the claim
 *   state CLAIMED -> RUNNING           process           slot is filled
 *   stats                              process           all the time
 *   state RUNNING -> EXITED/REPLACED   process           _exit, exit or exec
 *   exit_status, exit_known, state     parent or creator after wait, optional
 *
 * A slot in RUNNING whose pid is gone belongs to a killed process. Slots are
 * never reused; claimed_count may exceed slot_count: then processes ran
 * without a slot, and the reader should say so.
 */
#ifndef CIRA_PRELOAD_STATS_FILE_H
#define CIRA_PRELOAD_STATS_FILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "space/space.h"

#define CIRA_STATS_MAGIC UINT64_C(0x3153544154534943) /* "CISTATS1" */
#define CIRA_STATS_VERSION 1u
#define CIRA_STATS_NAME_BYTES 64u
#define CIRA_STATS_MODE_BYTES 16u
#define CIRA_STATS_HEADER_BYTES 4096u
#define CIRA_STATS_SLOT_BYTES 512u
#define CIRA_STATS_SLOTS_DEFAULT 1024u

enum {
  CIRA_STATS_FREE = 0,
  CIRA_STATS_CLAIMED = 1,  /* being filled; not readable yet */
  CIRA_STATS_RUNNING = 2,  /* counters are live */
  CIRA_STATS_EXITED = 3,   /* ended by exit or _exit */
  CIRA_STATS_REPLACED = 4, /* ended by exec; the next image has its own slot */
};

typedef struct {
  _Atomic uint32_t
      state;           /* CIRA_STATS_*; release by writer, acquire by reader */
  uint32_t exit_known; /* 1 when exit_status is valid */
  int32_t exit_status; /* as from waitpid(2), or status << 8 by the process */
  int32_t pid;
  int32_t parent_pid;
  uint32_t by_fork;  /* 1: claimed by a forked child, 0: by a started program */
  uint64_t start_ns; /* CLOCK_MONOTONIC */
  uint64_t end_ns;   /* 0 while it runs or when it was killed */
  char program[CIRA_STATS_NAME_BYTES]; /* base name, always terminated */
  char mode[CIRA_STATS_MODE_BYTES];    /* cira_space_mode_name */
  cira_space_stats_t stats;
  uint8_t reserved[CIRA_STATS_SLOT_BYTES - 120 - sizeof(cira_space_stats_t)];
} cira_stats_slot_t;

typedef struct {
  uint64_t magic;
  uint32_t version;
  uint32_t slot_bytes; /* sizeof(cira_stats_slot_t) of the creator */
  uint32_t slot_count;
  uint32_t stats_bytes; /* sizeof(cira_space_stats_t) of the creator */
  _Atomic uint32_t claimed_count; /* claims tried, also failed ones */
  uint32_t reserved32;
  uint8_t reserved[CIRA_STATS_HEADER_BYTES - 32];
  cira_stats_slot_t slots[]; /* slot_count of them */
} cira_stats_file_t;

_Static_assert(sizeof(cira_stats_slot_t) == CIRA_STATS_SLOT_BYTES, "pinned");
_Static_assert(offsetof(cira_stats_slot_t, start_ns) == 24, "pinned");
_Static_assert(offsetof(cira_stats_slot_t, program) == 40, "pinned");
_Static_assert(offsetof(cira_stats_slot_t, mode) == 104, "pinned");
_Static_assert(offsetof(cira_stats_slot_t, stats) == 120, "pinned");
_Static_assert(offsetof(cira_stats_file_t, claimed_count) == 24, "pinned");
_Static_assert(offsetof(cira_stats_file_t, slots) == CIRA_STATS_HEADER_BYTES,
               "pinned");

/* Bytes of a file with `slots` slots. */
static inline size_t cira_stats_file_bytes(uint32_t slots) {
  return CIRA_STATS_HEADER_BYTES + (size_t)slots * CIRA_STATS_SLOT_BYTES;
}

#endif
