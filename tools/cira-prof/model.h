/* SPDX-License-Identifier: Apache-2.0
 *
 * model: a profile in memory: what the file says, in the order of time, with
 * the processes that it is about. Nothing is interpreted here.
 * Threads: one.
 * Reading order of the tool: this file, symbols.h (addresses to lines), sites.h
 * (what each line cost), then what is made of it: text.c, json.c, html.c,
 * trace.c, diff.c; main.c.
 */
#ifndef CIRA_PROF_MODEL_H
#define CIRA_PROF_MODEL_H

#include "profile/file.h"

/* Code of a process: where in which file. */
typedef struct {
  uint64_t lo, hi, offset;
  char *path;
} prof_map_t;

typedef struct {
  int32_t pid, parent;
  bool forked;
  char program[64];
  char far[256];
  char mode[16];
  uint64_t local_bytes;
  uint64_t first_ns; /* when its first block was taken */
  prof_map_t *maps;
  uint32_t map_count, map_room;
} prof_process_t;

typedef struct {
  const cira_profile_event_t *e;
  int32_t tid;
  uint32_t process; /* index */
  uint32_t weight;
} prof_event_t;

typedef struct {
  const cira_profile_stream_t *s;
  int32_t tid;
  uint32_t process;
} prof_stream_t;

typedef struct {
  const cira_profile_sample_t *s;
  uint32_t process;
} prof_sample_t;

typedef struct {
  const cira_profile_calls_t *c;
  uint32_t process;
} prof_calls_t;

typedef struct {
  uint64_t time_ns;
  int32_t tid;
  uint32_t process;
  char text[208];
} prof_mark_t;

typedef struct {
  cira_profile_file_t file;
  prof_process_t *processes;
  prof_event_t *events; /* in order of time */
  prof_stream_t *streams;
  prof_sample_t *samples;
  prof_calls_t *calls;
  prof_mark_t *marks;
  uint64_t process_count, event_count, stream_count, sample_count, call_count,
      mark_count;
  uint64_t start_ns, end_ns; /* of the time line */
} prof_model_t;

/* Reads a file. Returns CIRA_OK; what cira_profile_file_open says;
 * CIRA_E_NOMEM. Ends with prof_model_free. */
CIRA_MUST_USE cira_status_t prof_model_read(const char *path,
                                            prof_model_t *out);
/* The same of a file that is open; takes it over, also when it fails. */
CIRA_MUST_USE cira_status_t prof_model_build(cira_profile_file_t file,
                                             prof_model_t *out);
void prof_model_free(prof_model_t *m);

/* The mapping of a process that holds an address, or NULL. */
const prof_map_t *prof_map_find(const prof_process_t *p, uint64_t ip);

/* Pages that an event brought ahead of need. */
static inline uint32_t prof_event_ahead(const cira_profile_event_t *e) {
  if (e->kind == CIRA_PROFILE_HINT) {
    return e->pages;
  }
  bool wanted = (e->flags & (CIRA_PROFILE_F_LATE | CIRA_PROFILE_F_ZERO)) == 0 &&
                e->pages > 0;
  return e->pages - (wanted ? 1 : 0);
}

#endif
