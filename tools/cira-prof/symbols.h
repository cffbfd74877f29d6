/* SPDX-License-Identifier: Apache-2.0
 *
 * symbols: which function and source line the code at an address belongs to, by
 * the DWARF and symbol tables of the files as they are now (also Debian's
 * separate debug files). An address in an inlined function is that function's.
 * Threads: one.
 */
#ifndef CIRA_PROF_SYMBOLS_H
#define CIRA_PROF_SYMBOLS_H

#include "cira-prof/model.h"

typedef struct {
  const char *module;   /* base name of the file; never NULL */
  const char *function; /* never NULL */
  const char *file;     /* base name; NULL: no line is known */
  uint32_t line;
} prof_place_t;

typedef struct prof_symbols prof_symbols_t;

/* Returns NULL without memory. Ends with prof_symbols_free. */
prof_symbols_t *prof_symbols_new(const prof_model_t *m);
void prof_symbols_free(prof_symbols_t *s);
/* The place of an address of a process; returns a pointer that stays good. A
 * return address is looked up one byte before. */
const prof_place_t *prof_symbols_at(prof_symbols_t *s, uint32_t process,
                                    uint64_t ip, bool is_return);
/* How many of the files that were looked at are newer than the profile. */
uint32_t prof_symbols_newer(const prof_symbols_t *s);

#endif
