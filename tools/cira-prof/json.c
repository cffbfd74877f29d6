/* SPDX-License-Identifier: Apache-2.0
 *
 * The report as JSON; the fields are named in docs/profiling.md.
 */
#include <jansson.h>

#include "cira-prof/report.h"

static json_t *number(uint64_t x) {
  return json_integer((json_int_t)cira__min_u64(x, INT64_MAX));
}

static json_t *text(const char *s) {
  json_t *j = json_string(s);
  if (j == NULL) { /* not UTF-8: what can be shown of it */
    char clean[256];
    size_t n = 0;
    for (; *s != '\0' && n < sizeof clean - 1; s++) {
      clean[n++] = (unsigned char)*s < 0x7f ? *s : '?';
    }
    clean[n] = '\0';
    j = json_string(clean);
  }
  return j;
}

static json_t *ratio(double percent) {
  return percent < 0 ? json_null() : json_real(percent / 100);
}

static void put(json_t *o, const char *key, json_t *value) {
  json_object_set_new(o, key, value);
}

typedef struct {
  const char *name;
  uint64_t value;
} field_t;

static void put_numbers(json_t *o, const field_t *field, size_t count) {
  for (size_t i = 0; i < count; i++) {
    put(o, field[i].name, number(field[i].value));
  }
}

static void put_place(json_t *o, const prof_place_t *p) {
  put(o, "function", text(p->function));
  put(o, "module", text(p->module));
  put(o, "file", p->file != NULL ? text(p->file) : json_null());
  put(o, "line", p->file != NULL ? number(p->line) : json_null());
}

static void put_cost(json_t *o, const prof_cost_t *c) {
  const field_t fields[] = {
      {"wait_ns", c->wait_ns},
      {"wait_max_ns", c->wait_max_ns},
      {"wait_p50_ns", prof_wait_quantile(c, 0.5)},
      {"wait_p99_ns", prof_wait_quantile(c, 0.99)},
      {"wait_memory_ns", c->wait_tier_ns[CIRA_PROFILE_TIER_DIRECT]},
      {"wait_network_ns", c->wait_tier_ns[CIRA_PROFILE_TIER_REMOTE]},
      {"wait_none_ns", c->wait_tier_ns[CIRA_PROFILE_TIER_NONE]},
      {"faults", c->faults},
      {"faults_zero", c->zero},
      {"faults_write", c->writes},
      {"faults_late", c->late},
      {"faults_busy", c->busy},
      {"faults_again", c->again},
      {"system_calls", c->pins},
      {"pages", c->pages},
      {"bytes", c->pages * CIRA_PAGE_BYTES},
      {"pages_ahead", c->ahead},
      {"pages_ahead_used", c->hits},
      {"hints", c->hints},
      {"hint_pages", c->hint_pages},
      {"hint_ns", c->hint_ns},
      {"sampled_cache_misses", c->samples[1]},
      {"sampled_cycles", c->samples[2]},
      {"sampled_page_faults", c->samples[3]},
  };
  put_numbers(o, fields, CIRA_COUNT(fields));
  put(o, "accuracy", ratio(prof_accuracy(c)));
  put(o, "coverage", ratio(prof_coverage(c)));
  put(o, "timeliness", ratio(prof_timeliness(c)));
}

static json_t *site_json(const prof_report_t *r, const prof_site_t *site) {
  json_t *o = json_object();
  char advice[320];
  put_place(o, &site->place);
  if (site->caller != NULL) {
    json_t *caller = json_object();
    put_place(caller, site->caller);
    put(o, "caller", caller);
  }
  put_cost(o, &site->cost);
  put(o, "order", text(prof_pattern_name(site->pattern)));
  if (site->pattern == PROF_STRIDED) {
    put(o, "stride_bytes", json_integer(site->stride_bytes));
  }
  put(o, "address_first", number(site->lo <= site->hi ? site->lo : 0));
  put(o, "address_last", number(site->hi));
  put(o, "advice",
      text(prof_advice(r->sites, r->model, site, advice, sizeof advice)));
  return o;
}

static json_t *stream_json(const prof_stream_site_t *s) {
  json_t *o = json_object();
  const field_t fields[] = {
      {"streams", s->streams},          {"elements", s->walked},
      {"elements_announced", s->count}, {"bytes", s->bytes},
      {"refills", s->refills},          {"requests", s->asked},
      {"requests_used", s->used},       {"requests_late", s->late},
      {"wait_ns", s->wait_ns},
  };
  put_place(o, &s->place);
  put(o, "kind", text(prof_stream_name(s->kind)));
  put_numbers(o, fields, CIRA_COUNT(fields));
  return o;
}

static json_t *call_json(const prof_call_site_t *c) {
  json_t *o = json_object();
  const field_t fields[] = {
      {"accesses", c->accesses}, {"accesses_here", c->here},
      {"bytes", c->bytes},       {"waits", c->waits},
      {"wait_ns", c->wait_ns},   {"wait_max_ns", c->wait_max_ns},
      {"failed", c->failed},
  };
  put_place(o, &c->place);
  put(o, "call", text(prof_call_name(c->kind)));
  put_numbers(o, fields, CIRA_COUNT(fields));
  put(o, "coverage", ratio(prof_call_coverage(c)));
  put(o, "timeliness", ratio(prof_call_timeliness(c)));
  return o;
}

static json_t *process_json(const prof_process_t *p) {
  json_t *o = json_object();
  put(o, "pid", json_integer(p->pid));
  put(o, "parent", json_integer(p->parent));
  put(o, "program", text(p->program));
  put(o, "forked", json_boolean(p->forked));
  put(o, "far", text(p->far));
  put(o, "mode", text(p->mode));
  put(o, "local_bytes", number(p->local_bytes));
  return o;
}

void prof_json_write(const prof_report_t *r, FILE *out) {
  const prof_model_t *m = r->model;
  json_t *o = json_object(), *list = json_array();
  put(o, "command", text(m->file.header->command));
  put(o, "sampling", text(m->file.header->sampling));
  put(o, "complete", json_boolean(m->file.header->complete != 0));
  put(o, "start_unix_ns", number(m->file.header->start_unix_ns));
  put(o, "duration_ns", number(m->end_ns - m->start_ns));
  put(o, "distinct_pages", number(r->sites->distinct_pages));
  for (uint64_t i = 0; i < m->process_count; i++) {
    json_array_append_new(list, process_json(&m->processes[i]));
  }
  put(o, "processes", list);
  json_t *total = json_object();
  put_cost(total, &r->sites->total);
  put(o, "total", total);
  list = json_array();
  for (uint64_t i = 0; i < r->sites->site_count && i < r->top; i++) {
    json_array_append_new(list, site_json(r, &r->sites->sites[i]));
  }
  put(o, "sites", list);
  list = json_array();
  for (uint64_t i = 0; i < r->sites->stream_count && i < r->top; i++) {
    json_array_append_new(list, stream_json(&r->sites->streams[i]));
  }
  put(o, "streams", list);
  list = json_array();
  for (uint64_t i = 0; i < r->sites->call_count && i < r->top; i++) {
    json_array_append_new(list, call_json(&r->sites->calls[i]));
  }
  put(o, "requests", list);
  json_dumpf(o, out, JSON_INDENT(2));
  fputc('\n', out);
  json_decref(o);
}
