/* SPDX-License-Identifier: Apache-2.0
 *
 * The report as one page that needs nothing else: tables, and plots as inline
 * SVG. It is well-formed XML too. Colours follow the reader's light or dark
 * setting.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cira-prof/report.h"

#define BINS 150u
#define ROWS 48u
#define PLOT_X 70
#define PLOT_W 900
#define LINE_H 170
#define CHUNK_LOG2 21 /* addresses are shown by 2 MiB */

static const char STYLE[] =
    ":root{--fg:#1d2330;--dim:#667085;--bg:#fff;--line:#e3e7ee;--a:#2f6fde;"
    "--b:#d9822b;--c:#8b95a7;--heat:47,111,222}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6e9ef;--dim:#98a2b3;"
    "--bg:#14171d;--line:#2c323d;--a:#6ea0ff;--b:#f0a35e;--c:#7d8797;"
    "--heat:110,160,255}}\n"
    "body{font:14px/1.45 system-ui,sans-serif;color:var(--fg);"
    "background:var(--bg);margin:24px auto;max-width:1010px;padding:0 16px}\n"
    "h1{font-size:20px;margin:0 0 2px}h2{font-size:15px;margin:28px 0 6px}\n"
    "p{margin:2px 0;color:var(--dim)}code{font-family:ui-monospace,monospace;"
    "font-size:12.5px}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}"
    "th{text-align:right;font-weight:600;color:var(--dim)}"
    "td{text-align:right;white-space:nowrap}"
    "th,td{padding:3px 8px;border-bottom:1px solid var(--line)}"
    "th:last-child,td:last-child{text-align:left;white-space:normal}"
    "td p{font-size:12.5px}\n"
    ".numbers{display:flex;flex-wrap:wrap;gap:10px 28px;margin:14px 0}"
    ".numbers b{display:block;font-size:19px;font-weight:600}"
    ".numbers span{color:var(--dim)}\n"
    "svg{width:100%;height:auto;display:block}"
    "svg text{font:11px system-ui,sans-serif;fill:var(--dim)}"
    ".a{fill:var(--a)}.b{fill:var(--b)}.c{fill:var(--c)}"
    ".l{fill:none;stroke:var(--b);stroke-width:1.6}"
    ".g{stroke:var(--line)}.m{stroke:var(--fg);stroke-dasharray:3 3}\n";

/* ---- head -----------------------------------------------------------------
 */

static void number(const char *name, const char *value, FILE *out) {
  fputs("<div><b>", out);
  prof_html_text(value, out);
  fprintf(out, "</b><span>%s</span></div>\n", name);
}

static void write_head(const prof_report_t *r, FILE *out) {
  const prof_model_t *m = r->model;
  const prof_cost_t *c = &r->sites->total;
  char t[32];
  fputs("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" "
        "lang=\"en\">\n<head><meta charset=\"utf-8\"/>"
        "<meta name=\"viewport\" content=\"width=device-width\"/>"
        "<title>Profile: ",
        out);
  prof_html_text(m->file.header->command, out);
  fprintf(out, "</title><style>%s</style></head>\n<body>\n<h1><code>", STYLE);
  prof_html_text(m->file.header->command, out);
  fputs("</code></h1>\n<p>", out);
  for (uint64_t i = 0; i < m->process_count && i < 4; i++) {
    const prof_process_t *p = &m->processes[i];
    if (p->far[0] != '\0') {
      fprintf(out, "%s", i == 0 ? "" : "; ");
      prof_html_text(p->program, out);
      fprintf(out, " (%d): local cache %s, far memory ", p->pid,
              cira__size_text(p->local_bytes, t, sizeof t));
      prof_html_text(p->far, out);
      fprintf(out, ", mode %s", p->mode);
    }
  }
  fputs("</p>\n<p>Sampling: ", out);
  prof_html_text(m->file.header->sampling, out);
  fputs("</p>\n<div class=\"numbers\">\n", out);
  number("recorded", prof_time_text(m->end_ns - m->start_ns, t, sizeof t), out);
  number("waited", prof_time_text(c->wait_ns, t, sizeof t), out);
  snprintf(t, sizeof t, "%" PRIu64, c->faults + c->pins);
  number("waits", t, out);
  number("fetched",
         cira__size_text((c->pages + c->hint_pages) * CIRA_PAGE_BYTES, t,
                         sizeof t),
         out);
  number("accuracy of read-ahead",
         prof_percent_text(prof_accuracy(c), t, sizeof t), out);
  number("coverage", prof_percent_text(prof_coverage(c), t, sizeof t), out);
  number("in time", prof_percent_text(prof_timeliness(c), t, sizeof t), out);
  fputs("</div>\n", out);
}

/* "127k" for 127 thousand, "0.3" below one; returns buf. */
static char *count_text(double x, char *buf, size_t bytes) {
  const char *unit = "";
  static const char *const UNITS[] = {"k", "M", "G"};
  for (size_t i = 0; i < CIRA_COUNT(UNITS) && x >= 1000; i++) {
    x /= 1000;
    unit = UNITS[i];
  }
  snprintf(buf, bytes, x < 10 && x > 0 ? "%.1f%s" : "%.0f%s", x, unit);
  return buf;
}

/* ---- time line ------------------------------------------------------------
 */

static uint32_t bin_of(const prof_model_t *m, uint64_t ns) {
  uint64_t span = m->end_ns - m->start_ns + 1;
  uint64_t at = ns < m->start_ns ? 0 : ns - m->start_ns;
  at = cira__min_u64(at, span - 1);
  uint32_t bin = (uint32_t)((double)at / (double)span * BINS);
  return bin < BINS ? bin : BINS - 1;
}

/* Labels of the axis of time under a plot that ends at y. */
static void time_axis(const prof_model_t *m, int y, FILE *out) {
  for (int i = 0; i <= 4; i++) {
    char t[32];
    uint64_t ns = (m->end_ns - m->start_ns) / 4 * (uint64_t)i;
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
            PLOT_X + PLOT_W * i / 4, y + 15,
            i == 0   ? "start"
            : i == 4 ? "end"
                     : "middle",
            prof_time_text(ns, t, sizeof t));
  }
}

static void write_marks(const prof_model_t *m, int top, int bottom, FILE *out) {
  for (uint64_t i = 0; i < m->mark_count && i < 64; i++) {
    double x = PLOT_X + (double)PLOT_W * bin_of(m, m->marks[i].time_ns) / BINS;
    fprintf(out,
            "<line class=\"m\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
            "<text x=\"%.1f\" y=\"%d\">",
            x, x, top, bottom, x + 3, top + 9);
    prof_html_text(m->marks[i].text, out);
    fputs("</text>\n", out);
  }
}

static void write_time_line(const prof_report_t *r, FILE *out) {
  const prof_model_t *m = r->model;
  double waits[BINS] = {0}, bytes[BINS] = {0}, waits_max = 0, bytes_max = 0;
  for (uint64_t i = 0; i < m->event_count; i++) {
    const prof_event_t *ev = &m->events[i];
    uint32_t b = bin_of(m, ev->e->time_ns);
    waits[b] += ev->e->kind == CIRA_PROFILE_HINT ? 0 : ev->weight;
    bytes[b] += (double)ev->e->pages * ev->weight * CIRA_PAGE_BYTES;
    waits_max = fmax(waits_max, waits[b]);
    bytes_max = fmax(bytes_max, bytes[b]);
  }
  double bin_s = (double)(m->end_ns - m->start_ns + 1) / BINS / 1e9;
  int height = LINE_H, bottom = height + 10;
  char t[32], count[24];
  fprintf(out,
          "<h2>Over time</h2>\n<p><span style=\"color:var(--a)\">bars</span>: "
          "waits, up to %s a second; <span style=\"color:var(--b)\">line"
          "</span>: bytes fetched, up to %s a second</p>\n"
          "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"waits and "
          "bytes over time\">\n",
          count_text(waits_max / bin_s, count, sizeof count),
          cira__size_text((uint64_t)fmin(bytes_max / bin_s, 1e18), t, sizeof t),
          PLOT_X + PLOT_W + 30, bottom + 24);
  for (int i = 0; i <= 4; i++) {
    int y = 10 + height * i / 4;
    fprintf(out,
            "<line class=\"g\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
            "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
            PLOT_X, PLOT_X + PLOT_W, y, y, PLOT_X - 6, y + 4,
            count_text(waits_max / bin_s * (4 - i) / 4, count, sizeof count));
  }
  double w = (double)PLOT_W / BINS;
  for (uint32_t b = 0; b < BINS && waits_max > 0; b++) {
    double h = waits[b] / waits_max * height;
    if (h > 0) {
      fprintf(out,
              "<rect class=\"a\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
              "height=\"%.1f\"/>\n",
              PLOT_X + w * b, bottom - h, w - 1, h);
    }
  }
  if (bytes_max > 0) {
    fputs("<polyline class=\"l\" points=\"", out);
    for (uint32_t b = 0; b < BINS; b++) {
      fprintf(out, "%.1f,%.1f ", PLOT_X + w * (b + 0.5),
              bottom - bytes[b] / bytes_max * height);
    }
    fputs("\"/>\n", out);
  }
  write_marks(m, 10, bottom, out);
  time_axis(m, bottom, out);
  fputs("</svg>\n", out);
}

/* ---- addresses ------------------------------------------------------------
 */

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* The 2 MiB chunks that were touched, in order, each once; NULL: none. */
static uint64_t *chunks_of(const prof_model_t *m, uint64_t *out_n) {
  *out_n = 0;
  uint64_t *chunk =
      m->event_count == 0 ? NULL : calloc(m->event_count, sizeof *chunk);
  if (chunk == NULL) {
    return NULL;
  }
  for (uint64_t i = 0; i < m->event_count; i++) {
    chunk[i] = m->events[i].e->address >> CHUNK_LOG2;
  }
  qsort(chunk, m->event_count, sizeof *chunk, by_value);
  uint64_t n = 0;
  for (uint64_t i = 0; i < m->event_count; i++) {
    if (n == 0 || chunk[n - 1] != chunk[i]) {
      chunk[n++] = chunk[i];
    }
  }
  *out_n = n;
  return chunk;
}

static uint64_t chunk_index(const uint64_t *chunk, uint64_t n, uint64_t value) {
  uint64_t lo = 0, hi = n;
  while (hi - lo > 1) {
    uint64_t mid = lo + (hi - lo) / 2;
    if (chunk[mid] <= value) {
      lo = mid;
    } else {
      hi = mid;
    }
  }
  return lo;
}

static void heat_cells(const prof_model_t *m, const uint64_t *chunk, uint64_t n,
                       uint32_t rows, FILE *out) {
  static double cell[ROWS][BINS];
  memset(cell, 0, sizeof cell);
  double most = 0;
  for (uint64_t i = 0; i < m->event_count; i++) {
    const prof_event_t *ev = &m->events[i];
    if (ev->e->kind == CIRA_PROFILE_HINT) {
      continue;
    }
    uint64_t at = chunk_index(chunk, n, ev->e->address >> CHUNK_LOG2);
    double *c = &cell[at * rows / n][bin_of(m, ev->e->time_ns)];
    *c += ev->weight;
    most = fmax(most, *c);
  }
  double w = (double)PLOT_W / BINS, h = 6;
  for (uint32_t y = 0; y < rows; y++) {
    for (uint32_t x = 0; x < BINS; x++) {
      if (cell[y][x] > 0) {
        fprintf(out,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                "fill=\"rgba(var(--heat),%.2f)\"/>\n",
                PLOT_X + w * x, 10 + h * y, w, h,
                0.15 + 0.85 * log1p(cell[y][x]) / log1p(most));
      }
    }
  }
}

static void write_heat(const prof_report_t *r, FILE *out) {
  const prof_model_t *m = r->model;
  uint64_t n;
  uint64_t *chunk = chunks_of(m, &n);
  if (chunk == NULL || n == 0) {
    free(chunk);
    return;
  }
  uint32_t rows = (uint32_t)cira__min_u64(n, ROWS);
  int bottom = 10 + 6 * (int)rows;
  char t[32];
  fprintf(out,
          "<h2>Where in memory</h2>\n<p>waits by address (downwards, %s that "
          "was touched) and time; darker is more</p>\n<svg viewBox=\"0 0 %d "
          "%d\" role=\"img\" aria-label=\"waits by address and time\">\n",
          cira__size_text(n << CHUNK_LOG2, t, sizeof t), PLOT_X + PLOT_W + 30,
          bottom + 24);
  fprintf(out,
          "<text x=\"0\" y=\"19\">%" PRIx64
          "</text><text x=\"0\" y=\"%d\">%" PRIx64 "</text>\n",
          chunk[0] << CHUNK_LOG2, bottom > 30 ? bottom : 31,
          chunk[n - 1] << CHUNK_LOG2);
  fprintf(out, "<line class=\"g\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n",
          PLOT_X, PLOT_X + PLOT_W, bottom, bottom);
  heat_cells(m, chunk, n, rows, out);
  time_axis(m, bottom, out);
  fputs("</svg>\n", out);
  free(chunk);
}

/* ---- sites ----------------------------------------------------------------
 */

static void write_bars(const prof_report_t *r, FILE *out) {
  const prof_sites_t *s = r->sites;
  uint64_t n = 0, most = 0;
  while (n < s->site_count && n < r->top && n < 12 &&
         s->sites[n].cost.wait_ns > 0) {
    most = cira__max_u64(most, s->sites[n++].cost.wait_ns);
  }
  if (n == 0) {
    return;
  }
  fprintf(out,
          "<h2>Who waited</h2>\n<p><span style=\"color:var(--a)\">for memory "
          "of this machine</span>, <span style=\"color:var(--b)\">for the "
          "network</span>, <span style=\"color:var(--c)\">first touches and "
          "pages under way</span></p>\n<svg viewBox=\"0 0 1000 %d\" "
          "role=\"img\" aria-label=\"waiting time by place\">\n",
          (int)n * 24 + 6);
  for (uint64_t i = 0; i < n; i++) {
    const prof_cost_t *c = &s->sites[i].cost;
    static const struct {
      uint32_t tier;
      char colour;
    } PARTS[] = {{CIRA_PROFILE_TIER_DIRECT, 'a'},
                 {CIRA_PROFILE_TIER_REMOTE, 'b'},
                 {CIRA_PROFILE_TIER_NONE, 'c'}};
    char name[560], t[32];
    double x = 430;
    int y = (int)i * 24 + 4;
    prof_site_name(&s->sites[i], name, sizeof name);
    name[68] = '\0'; /* what has room before the bars */
    fprintf(out, "<text x=\"424\" y=\"%d\" text-anchor=\"end\">", y + 13);
    prof_html_text(name, out);
    fputs("</text>", out);
    for (size_t k = 0; k < CIRA_COUNT(PARTS); k++) {
      double w = (double)c->wait_tier_ns[PARTS[k].tier] / (double)most * 480;
      if (w > 0) {
        fprintf(out,
                "<rect class=\"%c\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
                "height=\"17\"/>",
                PARTS[k].colour, x, y, w);
        x += w;
      }
    }
    fprintf(out, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", x + 6, y + 13,
            prof_time_text(c->wait_ns, t, sizeof t));
  }
  fputs("</svg>\n", out);
}

static void cell(const char *value, FILE *out) {
  fputs("<td>", out);
  prof_html_text(value, out);
  fputs("</td>", out);
}

static void write_site(const prof_report_t *r, const prof_site_t *site,
                       FILE *out) {
  const prof_cost_t *c = &site->cost;
  char t[560], advice[320];
  uint64_t waits = c->faults + c->pins;
  fputs("<tr>", out);
  cell(prof_time_text(c->wait_ns + c->hint_ns, t, sizeof t), out);
  snprintf(t, sizeof t, "%" PRIu64, waits);
  cell(t, out);
  cell(waits == 0 ? "-" : prof_time_text(c->wait_ns / waits, t, sizeof t), out);
  cell(waits == 0 ? "-"
                  : prof_time_text(prof_wait_quantile(c, 0.99), t, sizeof t),
       out);
  cell(cira__size_text((c->pages + c->hint_pages) * CIRA_PAGE_BYTES, t,
                       sizeof t),
       out);
  cell(prof_percent_text(prof_accuracy(c), t, sizeof t), out);
  cell(prof_percent_text(prof_coverage(c), t, sizeof t), out);
  cell(prof_percent_text(prof_timeliness(c), t, sizeof t), out);
  cell(prof_pattern_name(site->pattern), out);
  fputs("<td><code>", out);
  prof_html_text(prof_site_name(site, t, sizeof t), out);
  fputs("</code><p>", out);
  prof_html_text(prof_advice(r->sites, r->model, site, advice, sizeof advice),
                 out);
  fputs("</p></td></tr>\n", out);
}

static void write_sites(const prof_report_t *r, FILE *out) {
  fputs("<h2>Places</h2>\n<div class=\"scroll\"><table><thead><tr>"
        "<th>wait</th><th>waits</th><th>mean</th><th>p99</th><th>fetched</th>"
        "<th>accuracy</th><th>coverage</th><th>in time</th><th>order</th>"
        "<th>where, and what would help</th></tr></thead><tbody>\n",
        out);
  for (uint64_t i = 0; i < r->sites->site_count && i < r->top; i++) {
    const prof_cost_t *c = &r->sites->sites[i].cost;
    if (c->faults + c->pins + c->hints != 0) {
      write_site(r, &r->sites->sites[i], out);
    }
  }
  fputs("</tbody></table></div>\n", out);
}

static void write_streams(const prof_report_t *r, FILE *out) {
  if (r->sites->stream_count == 0) {
    return;
  }
  fputs("<h2>Streams</h2>\n<div class=\"scroll\"><table><thead><tr>"
        "<th>wait</th><th>streams</th><th>elements</th><th>refills</th>"
        "<th>requests</th><th>used</th><th>late</th><th>kind</th>"
        "<th>where</th></tr></thead><tbody>\n",
        out);
  for (uint64_t i = 0; i < r->sites->stream_count && i < r->top; i++) {
    const prof_stream_site_t *s = &r->sites->streams[i];
    const uint64_t NUMBERS[] = {s->streams, s->walked, s->refills,
                                s->asked,   s->used,   s->late};
    char t[256];
    fputs("<tr>", out);
    cell(prof_time_text(s->wait_ns, t, sizeof t), out);
    for (size_t k = 0; k < CIRA_COUNT(NUMBERS); k++) {
      snprintf(t, sizeof t, "%" PRIu64, NUMBERS[k]);
      cell(t, out);
    }
    cell(prof_stream_name(s->kind), out);
    fputs("<td><code>", out);
    prof_html_text(prof_place_name(&s->place, t, sizeof t), out);
    fputs("</code></td></tr>\n", out);
  }
  fputs("</tbody></table></div>\n", out);
}

static void write_calls(const prof_report_t *r, FILE *out) {
  if (r->sites->call_count == 0) {
    return;
  }
  fputs("<h2>Requests</h2>\n<div class=\"scroll\"><table><thead><tr>"
        "<th>wait</th><th>waits</th><th>accesses</th><th>bytes</th>"
        "<th>coverage</th><th>in time</th><th>call</th><th>where</th>"
        "</tr></thead><tbody>\n",
        out);
  for (uint64_t i = 0; i < r->sites->call_count && i < r->top; i++) {
    const prof_call_site_t *c = &r->sites->calls[i];
    const uint64_t NUMBERS[] = {c->waits, c->accesses, c->bytes};
    const double RATIOS[] = {prof_call_coverage(c), prof_call_timeliness(c)};
    char t[256];
    fputs("<tr>", out);
    cell(prof_time_text(c->wait_ns, t, sizeof t), out);
    for (size_t k = 0; k < CIRA_COUNT(NUMBERS); k++) {
      snprintf(t, sizeof t, "%" PRIu64, NUMBERS[k]);
      cell(t, out);
    }
    for (size_t k = 0; k < CIRA_COUNT(RATIOS); k++) {
      cell(prof_percent_text(RATIOS[k], t, sizeof t), out);
    }
    cell(prof_call_name(c->kind), out);
    fputs("<td><code>", out);
    prof_html_text(prof_place_name(&c->place, t, sizeof t), out);
    fputs("</code></td></tr>\n", out);
  }
  fputs("</tbody></table></div>\n", out);
}

void prof_html_write(const prof_report_t *r, FILE *out) {
  write_head(r, out);
  write_time_line(r, out);
  write_heat(r, out);
  write_bars(r, out);
  write_sites(r, out);
  write_calls(r, out);
  write_streams(r, out);
  fputs("</body>\n</html>\n", out);
}
