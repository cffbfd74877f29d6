/* SPDX-License-Identifier: Apache-2.0
 *
 * entry: how the runtime inside a program finds the runtime inside the preload
 * library, when cira-run started the program. Two copies of the code are loaded
 * then, but there is one space and one heap: those of the preload library. It
 * exports one table, CIRA_HEAP_ENTRY; the program's copy looks it up, checks
 * that both are of one build, and uses what it names instead of making its own.
 * Pager, signals, forks and threads stay the business of the preload library.
 */
#ifndef CIRA_HEAP_ENTRY_H
#define CIRA_HEAP_ENTRY_H

#include "heap/heap.h"

#define CIRA_HEAP_ENTRY "cira_preload_entry"
#define CIRA_HEAP_ENTRY_VERSION 1u

typedef struct {
  uint32_t size; /* sizeof(cira_heap_entry_t) */
  uint32_t version;
  uint64_t (*layout)(void); /* cira_space_layout of the preload library */
  cira_space_t **space;
  /* Threads: any, also on stacks in far memory. */
  void *(*far_alloc)(size_t bytes, size_t align);
  void (*far_free)(void *p);
  size_t (*usable)(const void *p);
} cira_heap_entry_t;

/* The table of this process's preload library; NULL without one. */
const cira_heap_entry_t *cira_heap_entry(void);
/* Far memory is that of `entry` from now on; undone by cira_heap_stop.
 * Returns CIRA_OK; CIRA_E_UNSUPPORTED when it is of another build. */
CIRA_MUST_USE cira_status_t cira_heap_adopt(const cira_heap_entry_t *entry);

#endif
