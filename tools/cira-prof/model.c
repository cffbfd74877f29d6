/* SPDX-License-Identifier: Apache-2.0
 *
 * See model.h. Text in a profile comes from processes and paths: it is cut,
 * control characters become spaces, and numbers that make no sense become 0.
 */
#include "cira-prof/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 65536u

static cira_status_t no_memory(void) {
  return cira__fail(CIRA_E_NOMEM, "not enough memory for this profile");
}

/* Room for one more in an array that doubles. */
static void *grown(void *array, uint64_t count, size_t bytes) {
  if (count != 0 && (count & (count - 1)) != 0) {
    return array;
  }
  uint64_t room = count == 0 ? 1 : count * 2;
  return reallocarray(array, room, bytes);
}

#define PUSH(array, count, value)                                              \
  ({                                                                           \
    void *more = grown((array), (count), sizeof *(array));                     \
    if (more != NULL) {                                                        \
      (array) = more;                                                          \
      (array)[(count)++] = (value);                                            \
    }                                                                          \
    more != NULL;                                                              \
  })

static void clean(char *text) {
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7f) {
      *text = ' ';
    }
  }
}

/* ---- processes ------------------------------------------------------------
 */

/* Index of a process, which is made when it is new; UINT32_MAX: no memory. */
static uint32_t process_of(prof_model_t *m, int32_t pid, uint64_t ns) {
  for (uint64_t i = m->process_count; i-- > 0;) {
    if (m->processes[i].pid == pid) {
      prof_process_t *p = &m->processes[i];
      p->first_ns = cira__min_u64(p->first_ns, ns);
      return (uint32_t)i;
    }
  }
  prof_process_t fresh = {.pid = pid, .first_ns = ns};
  snprintf(fresh.program, sizeof fresh.program, "pid %d", pid);
  if (m->process_count == PROCESSES_MAX ||
      !PUSH(m->processes, m->process_count, fresh)) {
    return UINT32_MAX;
  }
  return (uint32_t)(m->process_count - 1);
}

static void process_line(prof_process_t *p, const char *key,
                         const char *value) {
  if (strcmp(key, "program") == 0) {
    snprintf(p->program, sizeof p->program, "%s", value);
  } else if (strcmp(key, "far") == 0) {
    snprintf(p->far, sizeof p->far, "%s", value);
  } else if (strcmp(key, "mode") == 0) {
    snprintf(p->mode, sizeof p->mode, "%s", value);
  } else if (strcmp(key, "cause") == 0) {
    p->forked = strcmp(value, "fork") == 0;
  } else if (strcmp(key, "parent") == 0) {
    p->parent = (int32_t)strtol(value, NULL, 10);
  } else if (strcmp(key, "local_bytes") == 0) {
    p->local_bytes = strtoull(value, NULL, 10);
  }
}

/* "lo-hi perms offset dev inode path" */
static bool map_line(prof_process_t *p, const char *line) {
  prof_map_t map = {0};
  char path[4096] = "[anonymous]";
  if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095[^\n]",
             &map.lo, &map.hi, &map.offset, path) < 3 ||
      map.lo >= map.hi) {
    return true; /* not ours to repair */
  }
  map.path = strdup(path);
  uint64_t count = p->map_count;
  bool ok = map.path != NULL && PUSH(p->maps, count, map);
  p->map_count = (uint32_t)count;
  if (!ok) {
    free(map.path);
  }
  return ok;
}

const prof_map_t *prof_map_find(const prof_process_t *p, uint64_t ip) {
  for (uint32_t i = p->map_count; i-- > 0;) { /* later ones replace */
    if (ip >= p->maps[i].lo && ip < p->maps[i].hi) {
      return &p->maps[i];
    }
  }
  return NULL;
}

static bool mark_line(prof_model_t *m, uint32_t process, const char *line) {
  prof_mark_t mark = {.process = process};
  int at = 0;
  if (sscanf(line, "%" SCNu64 " %" SCNd32 " %n", &mark.time_ns, &mark.tid,
             &at) < 2) {
    return true;
  }
  snprintf(mark.text, sizeof mark.text, "%s", line + at);
  return PUSH(m->marks, m->mark_count, mark);
}

/* ---- blocks ---------------------------------------------------------------
 */

static bool take_text(prof_model_t *m, const cira_profile_view_t *v,
                      uint32_t process) {
  char line[4608];
  const char *text = v->records;
  for (uint32_t at = 0; at < v->count;) {
    const char *end = memchr(text + at, '\n', v->count - at);
    uint32_t n = end != NULL ? (uint32_t)(end - text) - at : v->count - at;
    snprintf(line, sizeof line, "%.*s", (int)n, text + at);
    clean(line);
    at += n + 1;
    prof_process_t *p = &m->processes[process];
    bool ok = true;
    if (v->kind == CIRA_PROFILE_MAPS) {
      ok = map_line(p, line);
    } else if (v->kind == CIRA_PROFILE_MARKS) {
      ok = mark_line(m, process, line);
    } else {
      char *value = strchr(line, ' ');
      if (value != NULL) {
        *value = '\0';
        process_line(p, line, value + 1);
      }
    }
    if (!ok) {
      return false;
    }
  }
  return true;
}

static bool take_records(prof_model_t *m, const cira_profile_view_t *v,
                         uint32_t process) {
  for (uint32_t i = 0; i < v->count; i++) {
    bool ok;
    if (v->kind == CIRA_PROFILE_EVENTS) {
      prof_event_t e = {(const cira_profile_event_t *)v->records + i, v->tid,
                        process, v->weight};
      ok = PUSH(m->events, m->event_count, e);
    } else if (v->kind == CIRA_PROFILE_STREAMS) {
      prof_stream_t s = {(const cira_profile_stream_t *)v->records + i, v->tid,
                         process};
      ok = PUSH(m->streams, m->stream_count, s);
    } else if (v->kind == CIRA_PROFILE_CALLS) {
      prof_calls_t c = {(const cira_profile_calls_t *)v->records + i, process};
      ok = PUSH(m->calls, m->call_count, c);
    } else {
      const cira_profile_sample_t *s =
          (const cira_profile_sample_t *)v->records + i;
      uint32_t whose = process_of(m, s->pid, s->time_ns);
      prof_sample_t sample = {s, whose};
      ok = whose != UINT32_MAX && PUSH(m->samples, m->sample_count, sample);
    }
    if (!ok) {
      return false;
    }
  }
  return true;
}

static int by_time(const void *a, const void *b) {
  uint64_t x = ((const prof_event_t *)a)->e->time_ns;
  uint64_t y = ((const prof_event_t *)b)->e->time_ns;
  return x < y ? -1 : x > y;
}

#define LONGEST_NS (UINT64_C(1) << 55) /* more than a year */

/* The time line: from the start of the recording to its last event. Moments
 * that lie before the start count as the start. */
static void time_line(prof_model_t *m) {
  m->start_ns = m->end_ns = m->file.header->start_ns;
  for (uint64_t i = 0; i < m->event_count; i++) {
    const cira_profile_event_t *e = m->events[i].e;
    uint64_t end;
    if (cira__add_ok(e->time_ns, e->wait_ns, &end) && end > m->end_ns) {
      m->end_ns = end;
    }
  }
  for (uint64_t i = 0; i < m->stream_count; i++) {
    m->end_ns = cira__max_u64(m->end_ns, m->streams[i].s->end_ns);
  }
  for (uint64_t i = 0; i < m->sample_count; i++) {
    m->end_ns = cira__max_u64(m->end_ns, m->samples[i].s->time_ns);
  }
  if (m->end_ns - m->start_ns > LONGEST_NS || m->start_ns > INT64_MAX) {
    m->start_ns = cira__min_u64(m->start_ns, INT64_MAX);
    m->end_ns = m->start_ns + LONGEST_NS;
  }
}

cira_status_t prof_model_build(cira_profile_file_t file, prof_model_t *out) {
  prof_model_t *m = out;
  *m = (prof_model_t){.file = file};
  cira_status_t status = CIRA_OK;
  for (uint64_t i = 0; i < file.blocks; i++) {
    cira_profile_view_t v;
    status = cira_profile_file_block(&file, i, &v);
    if (status == CIRA_AGAIN) {
      status = CIRA_OK;
      continue;
    }
    if (status != CIRA_OK) {
      break;
    }
    bool foreign = v.kind == CIRA_PROFILE_SAMPLES; /* they say whose */
    uint32_t process = foreign ? 0 : process_of(m, v.pid, v.start_ns);
    bool text = v.kind == CIRA_PROFILE_PROCESS || v.kind == CIRA_PROFILE_MAPS ||
                v.kind == CIRA_PROFILE_MARKS;
    if (process == UINT32_MAX ||
        !(text ? take_text(m, &v, process) : take_records(m, &v, process))) {
      status = no_memory();
      break;
    }
  }
  if (status != CIRA_OK) {
    prof_model_free(m);
    return status;
  }
  if (m->event_count > 0) {
    qsort(m->events, m->event_count, sizeof *m->events, by_time);
  }
  time_line(m);
  return CIRA_OK;
}

cira_status_t prof_model_read(const char *path, prof_model_t *out) {
  cira_profile_file_t file;
  cira_status_t status = cira_profile_file_open(path, &file);
  return status == CIRA_OK ? prof_model_build(file, out) : status;
}

void prof_model_free(prof_model_t *m) {
  for (uint64_t i = 0; i < m->process_count; i++) {
    for (uint32_t j = 0; j < m->processes[i].map_count; j++) {
      free(m->processes[i].maps[j].path);
    }
    free(m->processes[i].maps);
  }
  free(m->processes);
  free(m->events);
  free(m->streams);
  free(m->samples);
  free(m->calls);
  free(m->marks);
  cira_profile_file_close(&m->file);
  *m = (prof_model_t){0};
}
