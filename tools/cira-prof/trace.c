/* SPDX-License-Identifier: Apache-2.0
 *
 * A profile as a trace that chrome://tracing and Perfetto show: waits as slices
 * of their threads, streams as slices that may overlap, marks as instants, and
 * a counter of bytes fetched. Times are microseconds from the start.
 */
#include <inttypes.h>

#include "cira-prof/report.h"

static bool first; /* of the array's elements; one trace at a time */

static void begin(FILE *out) {
  fputs(first ? "\n" : ",\n", out);
  first = false;
}

static double us(const prof_model_t *m, uint64_t ns) {
  return ns < m->start_ns ? 0 : (double)(ns - m->start_ns) / 1000;
}

static void process_names(const prof_model_t *m, FILE *out) {
  for (uint64_t i = 0; i < m->process_count; i++) {
    begin(out);
    fprintf(out,
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"tid\":0,"
            "\"args\":{\"name\":",
            m->processes[i].pid);
    prof_json_string(m->processes[i].program, out);
    fputs("}}", out);
  }
}

static void event_write(const prof_model_t *m, prof_symbols_t *symbols,
                        const prof_event_t *ev, FILE *out) {
  static const char *const KINDS[] = {"", "fault", "system call", "hint"};
  const cira_profile_event_t *e = ev->e;
  char name[256];
  const prof_place_t *place = prof_symbols_at(symbols, ev->process, e->ip,
                                              e->kind != CIRA_PROFILE_FAULT);
  begin(out);
  fprintf(out, "{\"ph\":\"X\",\"cat\":\"%s\",\"name\":",
          e->kind < CIRA_COUNT(KINDS) ? KINDS[e->kind] : "");
  prof_json_string(prof_place_name(place, name, sizeof name), out);
  fprintf(out,
          ",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{"
          "\"address\":\"0x%" PRIx64 "\",\"pages\":%u,\"tier\":\"%s\","
          "\"write\":%s,\"fresh\":%s,\"late\":%s,\"weight\":%u}}",
          m->processes[ev->process].pid, ev->tid, us(m, e->time_ns),
          (double)e->wait_ns / 1000, e->address, e->pages,
          prof_tier_name(e->tier),
          (e->flags & CIRA_PROFILE_F_WRITE) != 0 ? "true" : "false",
          (e->flags & CIRA_PROFILE_F_ZERO) != 0 ? "true" : "false",
          (e->flags & CIRA_PROFILE_F_LATE) != 0 ? "true" : "false", ev->weight);
}

static void stream_write(const prof_model_t *m, prof_symbols_t *symbols,
                         uint64_t id, FILE *out) {
  const prof_stream_t *st = &m->streams[id];
  char name[256], title[300];
  const prof_place_t *place =
      prof_symbols_at(symbols, st->process, st->s->ip, true);
  snprintf(title, sizeof title, "%s stream: %s", prof_stream_name(st->s->kind),
           prof_place_name(place, name, sizeof name));
  for (int end = 0; end < 2; end++) {
    begin(out);
    fprintf(out, "{\"ph\":\"%c\",\"cat\":\"stream\",\"name\":", "be"[end]);
    prof_json_string(title, out);
    fprintf(out, ",\"pid\":%d,\"tid\":%d,\"id\":%" PRIu64 ",\"ts\":%.3f",
            m->processes[st->process].pid, st->tid, id,
            us(m, end == 0 ? st->s->start_ns : st->s->end_ns));
    if (end == 0) {
      fprintf(out,
              ",\"args\":{\"elements\":%" PRIu64 ",\"requests\":%" PRIu64
              ",\"wait_us\":%.3f}",
              st->s->walked, st->s->asked, (double)st->s->wait_ns / 1000);
    }
    fputc('}', out);
  }
}

/* Bytes fetched so far, at most a thousand points of a process. */
static void counters_write(const prof_model_t *m, FILE *out) {
  for (uint64_t p = 0; p < m->process_count; p++) {
    uint64_t bytes = 0, step = (m->end_ns - m->start_ns) / 1000 + 1;
    uint64_t next = m->start_ns;
    for (uint64_t i = 0; i < m->event_count; i++) {
      const prof_event_t *ev = &m->events[i];
      if (ev->process != p) {
        continue;
      }
      bytes += (uint64_t)ev->e->pages * ev->weight * CIRA_PAGE_BYTES;
      if (ev->e->time_ns >= next) {
        next = ev->e->time_ns + step;
        begin(out);
        fprintf(out,
                "{\"ph\":\"C\",\"name\":\"fetched\",\"pid\":%d,\"tid\":0,"
                "\"ts\":%.3f,\"args\":{\"MiB\":%.3f}}",
                m->processes[p].pid, us(m, ev->e->time_ns),
                (double)bytes / (1 << 20));
      }
    }
  }
}

void prof_trace_write(const prof_model_t *m, prof_symbols_t *symbols,
                      uint64_t least_ns, FILE *out) {
  first = true;
  fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"command\":", out);
  prof_json_string(m->file.header->command, out);
  fputs("},\"traceEvents\":[", out);
  process_names(m, out);
  for (uint64_t i = 0; i < m->event_count; i++) {
    if (m->events[i].e->wait_ns >= least_ns) {
      event_write(m, symbols, &m->events[i], out);
    }
  }
  for (uint64_t i = 0; i < m->stream_count; i++) {
    stream_write(m, symbols, i, out);
  }
  for (uint64_t i = 0; i < m->mark_count; i++) {
    const prof_mark_t *mark = &m->marks[i];
    begin(out);
    fputs("{\"ph\":\"i\",\"s\":\"p\",\"cat\":\"mark\",\"name\":", out);
    prof_json_string(mark->text, out);
    fprintf(out, ",\"pid\":%d,\"tid\":%d,\"ts\":%.3f}",
            m->processes[mark->process].pid, mark->tid, us(m, mark->time_ns));
  }
  counters_write(m, out);
  fputs("\n]}\n", out);
}
