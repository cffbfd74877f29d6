/* SPDX-License-Identifier: Apache-2.0
 *
 * The report as text, and how numbers and strings are written in all of them.
 */
#include <inttypes.h>

#include "cira-prof/report.h"

char *prof_time_text(uint64_t ns, char *buf, size_t bytes) {
  static const struct {
    uint64_t unit;
    const char *name;
  } UNITS[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
  size_t i = 0;
  while (i < CIRA_COUNT(UNITS) - 1 && ns < UNITS[i].unit) {
    i++;
  }
  double x = (double)ns / (double)UNITS[i].unit;
  snprintf(buf, bytes, x < 10 && UNITS[i].unit > 1 ? "%.2f %s" : "%.0f %s", x,
           UNITS[i].name);
  return buf;
}

char *prof_percent_text(double percent, char *buf, size_t bytes) {
  if (percent < 0) {
    snprintf(buf, bytes, "-");
  } else {
    snprintf(buf, bytes, "%.0f%%", percent);
  }
  return buf;
}

void prof_json_string(const char *text, FILE *out) {
  fputc('"', out);
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      fprintf(out, "\\%c", c);
    } else if (c < ' ' || c >= 0x7f) {
      fprintf(out, "\\u%04x", c); /* bytes above 127 as Latin-1 */
    } else {
      fputc(c, out);
    }
  }
  fputc('"', out);
}

void prof_html_text(const char *text, FILE *out) {
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'' ||
        c >= 0x7f) {
      fprintf(out, "&#%u;", c);
    } else {
      fputc(c < ' ' ? ' ' : c, out);
    }
  }
}

/* ---- the report -----------------------------------------------------------
 */

static void write_run(const prof_report_t *r, FILE *out) {
  const prof_model_t *m = r->model;
  const cira_profile_header_t *h = m->file.header;
  char a[32], b[32];
  fprintf(out, "%s: %s\n", r->path, h->command);
  fprintf(out, "recorded %s, %" PRIu64 " process%s%s\n",
          prof_time_text(m->end_ns - m->start_ns, a, sizeof a),
          m->process_count, m->process_count == 1 ? "" : "es",
          h->complete != 0 ? "" : "; the recording was not ended properly");
  for (uint64_t i = 0; i < m->process_count && i < 8; i++) {
    const prof_process_t *p = &m->processes[i];
    fprintf(out, "  %d %s%s", p->pid, p->program, p->forked ? " (forked)" : "");
    if (p->far[0] != '\0') {
      fprintf(out, ": far %s, local %s, mode %s", p->far,
              cira__size_text(p->local_bytes, b, sizeof b), p->mode);
    }
    fputc('\n', out);
  }
  fprintf(out, "sampling: %s\n", h->sampling[0] != '\0' ? h->sampling : "none");
  if (h->lost != 0) {
    fprintf(out, "recording ended early: the disk was full or the file out of "
                 "reach\n");
  }
  if (r->sites->newer_files != 0) {
    fprintf(out,
            "%u of the program's files were built after the run: lines may be "
            "wrong\n",
            r->sites->newer_files);
  }
}

static void write_total(const prof_report_t *r, FILE *out) {
  const prof_cost_t *c = &r->sites->total;
  char a[32], b[32], d[32];
  fprintf(out,
          "\nwaited %s in %" PRIu64 " faults and %" PRIu64
          " system calls; %" PRIu64 " first touches, %" PRIu64
          " pages that came back\n",
          prof_time_text(c->wait_ns, a, sizeof a), c->faults, c->pins, c->zero,
          c->again);
  fprintf(out, "fetched %s, %s of it ahead of need",
          cira__size_text((c->pages + c->hint_pages) * CIRA_PAGE_BYTES, a,
                          sizeof a),
          cira__size_text(c->ahead * CIRA_PAGE_BYTES, b, sizeof b));
  fprintf(out, "; accuracy %s",
          prof_percent_text(prof_accuracy(c), a, sizeof a));
  fprintf(out, ", coverage %s, in time %s\n",
          prof_percent_text(prof_coverage(c), b, sizeof b),
          prof_percent_text(prof_timeliness(c), d, sizeof d));
}

/* For which tier most of the waiting was. */
static const char *site_tier(const prof_cost_t *c) {
  uint32_t most = 0;
  for (uint32_t i = 1; i < PROF_TIERS; i++) {
    if (c->wait_tier_ns[i] > c->wait_tier_ns[most]) {
      most = i;
    }
  }
  return prof_tier_name(most);
}

static void write_site(const prof_report_t *r, const prof_site_t *site,
                       FILE *out) {
  const prof_cost_t *c = &site->cost;
  char name[560], advice[320], t[32], mean[32], p99[32], acc[8], cov[8], tim[8];
  uint64_t waits = c->faults + c->pins;
  uint64_t ns = c->wait_ns + c->hint_ns;
  uint64_t all = r->sites->total.wait_ns + r->sites->total.hint_ns;
  fprintf(
      out, "%9s %4.0f%% %9" PRIu64 " %8s %8s %-7s %-9s %4s %4s %4s  %s\n",
      prof_time_text(ns, t, sizeof t),
      all == 0 ? 0 : 100.0 * (double)ns / (double)all, waits,
      waits == 0 ? "-" : prof_time_text(c->wait_ns / waits, mean, sizeof mean),
      waits == 0 ? "-"
                 : prof_time_text(prof_wait_quantile(c, 0.99), p99, sizeof p99),
      site_tier(c), prof_pattern_name(site->pattern),
      prof_percent_text(prof_accuracy(c), acc, sizeof acc),
      prof_percent_text(prof_coverage(c), cov, sizeof cov),
      prof_percent_text(prof_timeliness(c), tim, sizeof tim),
      prof_site_name(site, name, sizeof name));
  fprintf(out, "          %s\n",
          prof_advice(r->sites, r->model, site, advice, sizeof advice));
}

static void write_streams(const prof_report_t *r, FILE *out) {
  if (r->sites->stream_count == 0) {
    return;
  }
  fprintf(out, "\n%9s %8s %12s %10s %9s %5s %5s  %-8s %s\n", "wait", "streams",
          "elements", "refills", "requests", "used", "late", "kind", "where");
  for (uint64_t i = 0; i < r->sites->stream_count && i < r->top; i++) {
    const prof_stream_site_t *s = &r->sites->streams[i];
    char t[32], used[8], late[8], name[256];
    double u = s->asked == 0 ? -1 : 100.0 * (double)s->used / (double)s->asked;
    double l = s->used == 0 ? -1 : 100.0 * (double)s->late / (double)s->used;
    fprintf(out,
            "%9s %8" PRIu64 " %12" PRIu64 " %10" PRIu64 " %9" PRIu64
            " %5s %5s  %-8s %s\n",
            prof_time_text(s->wait_ns, t, sizeof t), s->streams, s->walked,
            s->refills, s->asked, prof_percent_text(u, used, sizeof used),
            prof_percent_text(l, late, sizeof late), prof_stream_name(s->kind),
            prof_place_name(&s->place, name, sizeof name));
  }
}

/* Mean of one wait; "-" without any. */
static const char *mean_text(uint64_t ns, uint64_t waits, char *t, size_t n) {
  return waits == 0 ? "-" : prof_time_text(ns / waits, t, n);
}

static void write_calls(const prof_report_t *r, FILE *out) {
  if (r->sites->call_count == 0) {
    return;
  }
  fprintf(out, "\n%9s %9s %12s %14s %8s %4s %4s  %-11s %s\n", "wait", "waits",
          "accesses", "bytes", "mean", "cov.", "time", "call", "where");
  for (uint64_t i = 0; i < r->sites->call_count && i < r->top; i++) {
    const prof_call_site_t *c = &r->sites->calls[i];
    char t[32], mean[32], cov[8], tim[8], name[256];
    fprintf(
        out,
        "%9s %9" PRIu64 " %12" PRIu64 " %14" PRIu64 " %8s %4s %4s  %-11s %s\n",
        prof_time_text(c->wait_ns, t, sizeof t), c->waits, c->accesses,
        c->bytes, mean_text(c->wait_ns, c->waits, mean, sizeof mean),
        prof_percent_text(prof_call_coverage(c), cov, sizeof cov),
        prof_percent_text(prof_call_timeliness(c), tim, sizeof tim),
        prof_call_name(c->kind), prof_place_name(&c->place, name, sizeof name));
  }
}

static void write_samples(const prof_report_t *r, FILE *out) {
  static const char *const NAMES[] = {"", "cache misses", "cycles",
                                      "page faults"};
  for (uint32_t kind = 1; kind < PROF_SAMPLE_KINDS; kind++) {
    uint64_t all = r->sites->total.samples[kind];
    if (all == 0) {
      continue;
    }
    fprintf(out, "\nsampled %s (of all memory, about %" PRIu64 "):\n",
            NAMES[kind], all);
    uint64_t least = UINT64_MAX; /* the next ones in falling order */
    for (uint32_t shown = 0; shown < 5; shown++) {
      const prof_site_t *best = NULL;
      for (uint64_t i = 0; i < r->sites->site_count; i++) {
        const prof_site_t *s = &r->sites->sites[i];
        if (s->cost.samples[kind] != 0 && s->cost.samples[kind] < least &&
            (best == NULL ||
             s->cost.samples[kind] > best->cost.samples[kind])) {
          best = s;
        }
      }
      if (best == NULL) {
        break;
      }
      char name[560];
      least = best->cost.samples[kind];
      fprintf(out, "  %4.0f%%  %s\n", 100.0 * (double)least / (double)all,
              prof_site_name(best, name, sizeof name));
    }
  }
}

void prof_text_write(const prof_report_t *r, FILE *out) {
  write_run(r, out);
  write_total(r, out);
  fprintf(out, "\n%9s %5s %9s %8s %8s %-7s %-9s %4s %4s %4s  %s\n", "wait",
          "share", "faults", "mean", "p99", "for", "order", "acc.", "cov.",
          "time", "where / what would help");
  uint32_t shown = 0;
  for (uint64_t i = 0; i < r->sites->site_count && shown < r->top; i++) {
    const prof_site_t *site = &r->sites->sites[i];
    if (site->cost.faults + site->cost.pins + site->cost.hints != 0) {
      write_site(r, site, out);
      shown++;
    }
  }
  if (shown == 0) {
    fprintf(out, "nothing waited for far memory\n");
  }
  write_calls(r, out);
  write_streams(r, out);
  write_samples(r, out);
}
