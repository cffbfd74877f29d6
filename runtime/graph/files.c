/* SPDX-License-Identifier: Apache-2.0
 *
 * Graphs from and to files of any format.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/graph_internal.h"

/* ---- reading -------------------------------------------------------------
 */

/* The edges of a graph as a list, to build another of them. */
static cira_status_t edges_of(const cira_graph_t *g, cira_graph_place_t place,
                              cira_graph_edges_t **out) {
  cira_graph_edges_t *e;
  cira_status_t status = cira_graph_edges_create(place, (uint64_t)g->n,
                                                 g->out.weights != NULL, &e);
  if (status != CIRA_OK) {
    return status;
  }
  status = cira__edges_reserve(e, g->edges);
  for (uint64_t v = 0; status == CIRA_OK && v < (uint64_t)g->n; v++) {
    for (uint64_t i = g->out.rows[v]; i < g->out.rows[v + 1]; i++) {
      ((uint32_t *)e->from.p)[i] = (uint32_t)v;
    }
  }
  if (status != CIRA_OK) {
    cira_graph_edges_destroy(e);
    return status;
  }
  memcpy(e->to.p, g->out.neighbours, g->edges * 4);
  if (e->weighted) {
    memcpy(e->weight.p, g->out.weights, g->edges * 4);
  }
  e->count = g->edges;
  e->symmetric = g->symmetric;
  *out = e;
  return CIRA_OK;
}

static bool is_as_asked(const cira_graph_t *g, const cira_graph_options_t *o) {
  bool weights_ok =
      o->weights == CIRA_GRAPH_WEIGHTS_KEEP ||
      (o->weights == CIRA_GRAPH_WEIGHTS_DROP && g->out.weights == NULL);
  return weights_ok && (g->symmetric || !o->symmetrise) &&
         (g->simple || !o->deduplicate) &&
         (g->loop_free || !o->drop_self_loops) &&
         (g->in.rows != NULL || g->symmetric || !o->in_edges) && !o->compact;
}

static cira_status_t read_binary(FILE *f, const char *path,
                                 const cira_graph_options_t *o,
                                 cira_graph_t **out) {
  cira_graph_t *g;
  cira_graph_edges_t *e = NULL;
  cira_status_t status = cira__binary_read(f, path, o, &g);
  if (status != CIRA_OK || is_as_asked(g, o)) {
    *out = status == CIRA_OK ? g : *out;
    return status;
  }
  status = edges_of(g, o->place, &e);
  cira_graph_destroy(g);
  if (status == CIRA_OK && o->compact) {
    status = cira__edges_compact(e);
  }
  if (status == CIRA_OK) { /* refused when compact left no vertex */
    status = cira_graph_build(e, o, out);
  }
  cira_graph_edges_destroy(e);
  return status;
}

cira_status_t cira_graph_read(const char *path, const cira_graph_options_t *opt,
                              cira_graph_t **out) {
  cira_graph_options_t o;
  cira_graph_edges_t *e = NULL;
  cira__options_fill(opt, &o);
  FILE *f = fopen(path, "re");
  if (f == NULL) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be read", path);
  }
  cira_graph_format_t format =
      o.format != CIRA_GRAPH_FORMAT_AUTO ? o.format : cira__format_of(f, path);
  cira_status_t status;
  if (fseeko(f, 0, SEEK_SET) != 0) {
    status = cira__fail(CIRA_E_INVALID,
                        "%s: not a regular file; copy it to disk", path);
  } else if (format == CIRA_GRAPH_FORMAT_BINARY) {
    status = read_binary(f, path, &o, out);
  } else {
    status = cira__edges_read_file(f, path, format, &o, &e);
  }
  fclose(f);
  if (status == CIRA_OK && e != NULL) {
    status = cira_graph_build(e, &o, out);
  }
  cira_graph_edges_destroy(e);
  return status;
}

/* ---- writing -------------------------------------------------------------
 */

static void write_head(FILE *f, const cira_graph_t *g,
                       cira_graph_format_t format) {
  unsigned long long n = (unsigned long long)g->n, m = g->edges;
  if (format == CIRA_GRAPH_FORMAT_MATRIX_MARKET) {
    fprintf(f,
            "%%%%MatrixMarket matrix coordinate %s general\n%llu %llu %llu\n",
            g->out.weights != NULL ? "integer" : "pattern", n, n, m);
  } else if (format == CIRA_GRAPH_FORMAT_DIMACS) {
    fprintf(f, "p sp %llu %llu\n", n, m);
  } else {
    fprintf(f, "# %llu vertices, %llu edges\n", n, m);
  }
}

static void write_edge(FILE *f, cira_graph_format_t format, uint64_t from,
                       uint64_t to, const int32_t *weight) {
  bool arc = format == CIRA_GRAPH_FORMAT_DIMACS;
  unsigned first = format == CIRA_GRAPH_FORMAT_EDGES ? 0 : 1;
  fprintf(f, "%s%llu %llu", arc ? "a " : "", (unsigned long long)from + first,
          (unsigned long long)to + first);
  if (weight != NULL || arc) {
    fprintf(f, " %d", weight != NULL ? *weight : 1);
  }
  fputc('\n', f);
}

static cira_status_t write_text(FILE *f, const char *path,
                                const cira_graph_t *g,
                                cira_graph_format_t format) {
  write_head(f, g, format);
  for (uint64_t v = 0; v < (uint64_t)g->n && !ferror(f); v++) {
    for (uint64_t i = g->out.rows[v]; i < g->out.rows[v + 1]; i++) {
      write_edge(f, format, v, g->out.neighbours[i],
                 g->out.weights != NULL ? &g->out.weights[i] : NULL);
    }
  }
  return ferror(f) ? cira__fail_errno(CIRA_E_SYSTEM, errno,
                                      "%s cannot be written", path)
                   : CIRA_OK;
}

/* A name beside the file; the file itself when it is none of the regular. */
static bool name_beside(const char *path, char *out, size_t bytes) {
  struct stat st;
  if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
    return (size_t)snprintf(out, bytes, "%s", path) < bytes;
  }
  return (size_t)snprintf(out, bytes, "%s.%ld.part", path, (long)getpid()) <
         bytes;
}

cira_status_t cira_graph_write(const cira_graph_t *g, const char *path,
                               cira_graph_format_t format) {
  char part[4096];
  if (format == CIRA_GRAPH_FORMAT_AUTO) {
    format = cira__format_by_suffix(path);
  }
  if (format == CIRA_GRAPH_FORMAT_AUTO || format > CIRA_GRAPH_FORMAT_BINARY) {
    return cira__fail(CIRA_E_INVALID,
                      "%s: the suffix names no format; use .cgr, .el, .wel, "
                      ".mtx or .gr",
                      path);
  }
  if (!name_beside(path, part, sizeof part)) {
    return cira__fail(CIRA_E_INVALID, "the name %s is too long", path);
  }
  FILE *f = fopen(part, "we");
  if (f == NULL) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be written", path);
  }
  cira_status_t status = format == CIRA_GRAPH_FORMAT_BINARY
                             ? cira__binary_write(f, path, g)
                             : write_text(f, path, g, format);
  if (fclose(f) != 0 && status == CIRA_OK) {
    status =
        cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be written", path);
  }
  if (strcmp(part, path) != 0) {
    if (status == CIRA_OK && rename(part, path) != 0) {
      status =
          cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be written", path);
    }
    if (status != CIRA_OK) {
      unlink(part);
    }
  }
  return status;
}
