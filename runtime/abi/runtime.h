/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tool that runs compiled code needs of the runtime: to connect it with
 * a space, to find its functions by name, and the whole of it in one call.
 */
#ifndef CIRA_ABI_RUNTIME_H
#define CIRA_ABI_RUNTIME_H

#include "cira/abi.h"
#include "cira/status.h"
#include "space/space.h"

/* Connects the functions of cira/abi.def with a space (NULL: none, all memory
 * is local): fills cira_abi_range. Before compiled code runs; one thread. */
void cira_abi_init(cira_space_t *s);
/* Ends the helpers and lets go of the space, which must still live; no stream
 * and no request may be under way. */
void cira_abi_fini(void);

/* Each load is a ticket from now on (CIRA_CHECK=1). */
void cira_abi_check(bool on);

/* The functions of cira/abi.def by name, and cira_abi_range; ends with a NULL
 * name. Threads: any. */
typedef struct {
  const char *name;
  void *address;
} cira_abi_symbol_t;
const cira_abi_symbol_t *cira_abi_symbols(void);

/* How a process is set up by cira_abi_process_start. */
typedef struct {
  uint32_t size;          /* sizeof(cira_abi_process_t) */
  const char *far_url;    /* NULL: no far memory */
  const char *token_file; /* NULL: none */
  uint64_t local_bytes;   /* 0: half of the physical memory */
  uint64_t range_bytes;   /* 0: 1 TiB */
  uint32_t helpers;       /* 0: CIRA_HELPERS or as many as pay */
  bool checked;
  cira_space_mode_t mode;            /* 0: what works here */
  uint64_t deadline_ns;              /* of any far access; 0: 10 s */
  const cira_space_options_t *space; /* not NULL: these, with their url */
} cira_abi_process_t;
void cira_abi_process_default(cira_abi_process_t *p);

/* Makes the space, takes the signal of its faults (what is not ours goes to
 * whoever had it before), gives cira_abi_alloc far memory, starts nothing else.
 * Once per process, in its first thread.
 * Returns CIRA_OK, or why not, with a detail. */
CIRA_MUST_USE cira_status_t cira_abi_process_start(const cira_abi_process_t *p);
/* The space that start made; NULL without far memory. */
cira_space_t *cira_abi_process_space(void);
/* Gives the calling thread a stack of its own for the handler of faults, unless
 * it has one; it goes when the thread ends. */
CIRA_MUST_USE cira_status_t cira_abi_thread_stack(void);
/* Ends the helpers, destroys the space; far pointers are dead afterwards. */
void cira_abi_process_stop(void);

#endif
