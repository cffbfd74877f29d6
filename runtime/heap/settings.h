/* SPDX-License-Identifier: Apache-2.0
 *
 * settings: the environment variables of docs/environment.md as options of the
 * space and the heap. One table, for the preload library and for programs that
 * start far memory themselves.
 * Threads: any, while nobody changes the environment.
 */
#ifndef CIRA_SETTINGS_H
#define CIRA_SETTINGS_H

#include "heap/heap.h"

typedef struct {
  cira_space_options_t space; /* url NULL: CIRA_FAR is not set */
  cira_heap_options_t heap;
  const char *stats; /* NULL: none */
  bool onstack;
} cira_settings_t;

void cira_settings_default(cira_settings_t *out);

#define CIRA_SETTINGS_F_WARN 1u /* about CIRA_ variables that nobody knows */

/* Reads the variables that are set into `out`, which keeps the rest. Strings
 * are those of the environment.
 * Returns CIRA_OK; CIRA_E_INVALID with a detail that names variable, value and
 *   remedy. */
CIRA_MUST_USE cira_status_t cira_settings_read(cira_settings_t *out,
                                               uint32_t flags);

#endif
