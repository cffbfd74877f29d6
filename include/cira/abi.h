/* SPDX-License-Identifier: Apache-2.0
 *
 * abi.h: what compiled code and the runtime agree on: the functions of abi.def
 * and the structs that inlined code reads. Not for people to call: there are
 * headers with better names for each of these. Layouts are pinned; whoever
 * changes one raises CIRA_ABI_VERSION.
 */
#ifndef CIRA_ABI_H
#define CIRA_ABI_H

#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CIRA_ABI_VERSION 1

/* The tiers of the dialect; -1 leaves the choice to the runtime. */
enum cira_abi_tier {
  CIRA_ABI_TIER_ANY = -1,
  CIRA_ABI_TIER_LOCAL = 0,
  CIRA_ABI_TIER_CXL = 1,
  CIRA_ABI_TIER_REMOTE_CXL = 2,
  CIRA_ABI_TIER_FAR = 3,
};

/* The far range, for the check "is p here?" without a call:
 *   off = p - base;  off >= bytes                     -> not far: here
 *   chunk_state[off >> 21] == CIRA_ABI_CHUNK_NATIVE   -> here
 *   (words[off >> 12] & 7) == CIRA_ABI_PAGE_MAPPED    -> here
 * "Here" is a hint: the page may leave at any moment, and a load then faults
 * and fetches it. Written once, before the first compiled code runs; without a
 * space bytes is 0. */
typedef struct cira_abi_range {
  uint64_t base, bytes;
  const uint32_t *words;
  const uint8_t *chunk_state;
} cira_abi_range_t;
extern CIRA_API cira_abi_range_t cira_abi_range;
#define CIRA_ABI_CHUNK_LOG2 21
#define CIRA_ABI_CHUNK_NATIVE 1
#define CIRA_ABI_PAGE_LOG2 12
#define CIRA_ABI_PAGE_STATE 7
#define CIRA_ABI_PAGE_MAPPED 3

/* Where a stream stands; see abi.def for how it is read and moved. All zero is
 * "not yet at an element": the first peek refills it. */
typedef struct cira_abi_front {
  uint8_t *data; /* where the current element can be read */
  uint8_t *cur;  /* chains: its address in the program's memory */
  int64_t step;  /* bytes from one element to the next; chains: the guess */
  int64_t left;  /* elements readable from here on, this one included */
} cira_abi_front_t;
#ifndef __cplusplus
_Static_assert(sizeof(cira_abi_front_t) == 32, "read by compiled code");
_Static_assert(sizeof(cira_abi_range_t) == 32, "read by compiled code");
#endif

#define PTR void *
#define I64 int64_t
#define I32 int32_t
#define VOID void
#define CIRA_ABI(result, name, arguments, effects, meaning)                    \
  CIRA_API result name arguments;
#include "cira/abi.def"
#undef CIRA_ABI
#undef PTR
#undef I64
#undef I32
#undef VOID

#ifdef __cplusplus
}
#endif
#endif
