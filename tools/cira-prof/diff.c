/* SPDX-License-Identifier: Apache-2.0
 *
 * Two runs side by side. Sites are matched by function, file and line, and by
 * function alone where the line has moved; the largest change comes first.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cira-prof/report.h"

typedef struct {
  char name[560];
  uint64_t wait[2], faults[2];
} row_t;

typedef struct {
  row_t *rows;
  uint64_t count;
} table_t;

static row_t *row_of(table_t *t, const char *name) {
  for (uint64_t i = 0; i < t->count; i++) {
    if (strcmp(t->rows[i].name, name) == 0) {
      return &t->rows[i];
    }
  }
  row_t *more = reallocarray(t->rows, t->count + 1, sizeof *more);
  if (more == NULL) {
    return NULL;
  }
  t->rows = more;
  row_t *row = &t->rows[t->count++];
  *row = (row_t){0};
  snprintf(row->name, sizeof row->name, "%s", name);
  return row;
}

/* Whether the other run knows the site; whether at least its function. */
static bool is_known(const prof_sites_t *s, const prof_site_t *site,
                     bool *function) {
  char a[560], b[560];
  prof_site_name(site, a, sizeof a);
  *function = false;
  for (uint64_t i = 0; i < s->site_count; i++) {
    const prof_cost_t *c = &s->sites[i].cost;
    if (c->faults + c->pins == 0) {
      continue;
    }
    if (strcmp(prof_site_name(&s->sites[i], b, sizeof b), a) == 0) {
      return true;
    }
    *function |= strcmp(s->sites[i].place.function, site->place.function) == 0;
  }
  return false;
}

static void add(table_t *t, const prof_report_t *own,
                const prof_report_t *other, int side) {
  for (uint64_t i = 0; i < own->sites->site_count && i < 1000; i++) {
    const prof_site_t *site = &own->sites->sites[i];
    char name[560];
    if (site->cost.faults + site->cost.pins == 0) {
      continue;
    }
    bool function;
    prof_site_name(site, name, sizeof name);
    if (!is_known(other->sites, site, &function) && function) {
      snprintf(name, sizeof name, "%s (other lines)", site->place.function);
    }
    row_t *row = row_of(t, name);
    if (row != NULL) {
      row->wait[side] += site->cost.wait_ns;
      row->faults[side] += site->cost.faults + site->cost.pins;
    }
  }
}

static uint64_t change(const row_t *r) {
  return r->wait[0] > r->wait[1] ? r->wait[0] - r->wait[1]
                                 : r->wait[1] - r->wait[0];
}

static int by_change(const void *a, const void *b) {
  uint64_t x = change(a), y = change(b);
  return x < y ? 1 : x > y ? -1 : 0;
}

static void row_write(const row_t *r, FILE *out) {
  char a[32], b[32], ratio[16] = "-";
  if (r->wait[0] > 0 && r->wait[1] > 0) {
    snprintf(ratio, sizeof ratio, "%.2fx",
             (double)r->wait[1] / (double)r->wait[0]);
  }
  fprintf(out, "%9s %9s %7s %10" PRIu64 " %10" PRIu64 "  %s\n",
          prof_time_text(r->wait[0], a, sizeof a),
          prof_time_text(r->wait[1], b, sizeof b), ratio, r->faults[0],
          r->faults[1], r->name);
}

void prof_diff_write(const prof_report_t *a, const prof_report_t *b,
                     FILE *out) {
  table_t t = {0};
  add(&t, a, b, 0);
  add(&t, b, a, 1);
  fprintf(out, "A %s: %s\nB %s: %s\n\n", a->path,
          a->model->file.header->command, b->path,
          b->model->file.header->command);
  fprintf(out, "%9s %9s %7s %10s %10s  %s\n", "wait A", "wait B", "B / A",
          "faults A", "faults B", "where");
  row_t all = {.name = "all"};
  all.wait[0] = a->sites->total.wait_ns;
  all.wait[1] = b->sites->total.wait_ns;
  all.faults[0] = a->sites->total.faults + a->sites->total.pins;
  all.faults[1] = b->sites->total.faults + b->sites->total.pins;
  row_write(&all, out);
  if (t.count > 0) {
    qsort(t.rows, t.count, sizeof *t.rows, by_change);
  }
  for (uint64_t i = 0; i < t.count && i < a->top; i++) {
    row_write(&t.rows[i], out);
  }
  free(t.rows);
}
