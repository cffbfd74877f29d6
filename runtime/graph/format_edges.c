/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of edges as text: "FROM TO [WEIGHT]" per line, separated by blanks or
 * tabs, vertices from 0. Lines that begin with # or % are comments: so SNAP's
 * files are lists of edges. The first edge says whether there are weights.
 */
#include "graph/graph_internal.h"

cira_status_t cira__read_edges(cira__reader_t *r) {
  cira_status_t status;
  bool weighted = false;
  while ((status = cira__reader_line(r)) == CIRA_OK) {
    int64_t from, to;
    int32_t weight = 0;
    if (cira__reader_at_end(r) || *r->at == '#' || *r->at == '%') {
      continue;
    }
    int64_t most = CIRA_GRAPH_VERTICES_MAX - 1;
    if ((status = cira__reader_int(r, "the first vertex", 0, most, &from)) !=
            CIRA_OK ||
        (status = cira__reader_int(r, "the second vertex", 0, most, &to)) !=
            CIRA_OK) {
      return status;
    }
    if (r->edges == NULL) {
      weighted = !cira__reader_at_end(r);
      status = cira__reader_open_edges(r, 0, 0, weighted);
    }
    if (status == CIRA_OK && weighted) {
      status = cira__reader_weight(r, &weight);
    }
    if (status == CIRA_OK) {
      status = cira__reader_finish(r);
    }
    if (status == CIRA_OK) {
      status = cira__reader_edge(r, (uint32_t)from, (uint32_t)to, weight);
    }
    if (status != CIRA_OK) {
      return status;
    }
  }
  if (status == CIRA_PENDING && r->edges == NULL) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the file has no edge; write one per line as "
                             "FROM TO [WEIGHT]");
  }
  return status == CIRA_PENDING ? CIRA_OK : status;
}
