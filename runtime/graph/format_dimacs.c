/* SPDX-License-Identifier: Apache-2.0
 *
 * The shortest path problems of the ninth DIMACS implementation challenge:
 *   c comment
 *   p sp VERTICES ARCS       once, before the arcs
 *   a FROM TO WEIGHT         exactly ARCS times; vertices from 1
 */
#include <string.h>

#include "graph/graph_internal.h"

static cira_status_t problem_read(cira__reader_t *r, uint64_t *out_arcs) {
  int64_t n, m;
  cira_status_t status;
  if (r->edges != NULL) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "a second p line; a file has one problem");
  }
  (void)cira__reader_at_end(r);
  if (strncmp(r->at, "sp", 2) != 0 || (r->at[2] != ' ' && r->at[2] != '\t')) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "not a shortest path problem; the line must be "
                             "'p sp VERTICES ARCS'");
  }
  r->at += 2;
  if ((status = cira__reader_int(r, "the number of vertices", 1,
                                 CIRA_GRAPH_VERTICES_MAX, &n)) != CIRA_OK ||
      (status = cira__reader_int(r, "the number of arcs", 0, INT64_C(1) << 47,
                                 &m)) != CIRA_OK ||
      (status = cira__reader_finish(r)) != CIRA_OK) {
    return status;
  }
  *out_arcs = (uint64_t)m;
  return cira__reader_open_edges(r, (uint64_t)n, (uint64_t)m, true);
}

static cira_status_t arc_read(cira__reader_t *r) {
  int64_t from, to;
  int32_t weight;
  cira_status_t status;
  if (r->edges == NULL) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "an arc before the line 'p sp VERTICES ARCS'; "
                             "put that first");
  }
  int64_t n = (int64_t)r->edges->vertices;
  if ((status = cira__reader_int(r, "the tail", 1, n, &from)) != CIRA_OK ||
      (status = cira__reader_int(r, "the head", 1, n, &to)) != CIRA_OK ||
      (status = cira__reader_weight(r, &weight)) != CIRA_OK ||
      (status = cira__reader_finish(r)) != CIRA_OK) {
    return status;
  }
  return cira__reader_edge(r, (uint32_t)(from - 1), (uint32_t)(to - 1), weight);
}

cira_status_t cira__read_dimacs(cira__reader_t *r) {
  uint64_t arcs = 0, seen = 0;
  cira_status_t status;
  char text[160];
  while ((status = cira__reader_line(r)) == CIRA_OK) {
    if (cira__reader_at_end(r) || *r->at == 'c') {
      continue;
    }
    char kind = *r->at++;
    if (kind == 'p' && (*r->at == ' ' || *r->at == '\t')) {
      status = problem_read(r, &arcs);
    } else if (kind == 'a' && (*r->at == ' ' || *r->at == '\t')) {
      seen++;
      status = seen > arcs && r->edges != NULL
                   ? cira__reader_fail(r, CIRA_E_INVALID,
                                       "more arcs than the p line declares; "
                                       "correct it")
                   : arc_read(r);
    } else {
      status = cira__reader_fail(r, CIRA_E_INVALID,
                                 "a line must begin with c, p or a and a "
                                 "blank; correct it");
    }
    if (status != CIRA_OK) {
      return status;
    }
  }
  if (status != CIRA_PENDING) {
    return status;
  }
  if (r->edges == NULL) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the line 'p sp VERTICES ARCS' is missing; this "
                             "is no shortest path problem");
  }
  if (seen < arcs) {
    cira__format(text, sizeof text,
                 "the file ends after %llu of %llu arcs; it was cut",
                 (unsigned long long)seen, (unsigned long long)arcs);
    return cira__reader_fail(r, CIRA_E_INVALID, text);
  }
  return CIRA_OK;
}
