/* SPDX-License-Identifier: Apache-2.0
 *
 * MatrixMarket coordinate files: a square matrix is the graph with an edge for
 * each entry. Values are weights; of a symmetric or skew-symmetric file, which
 * has one half, both are made.
 *   %%MatrixMarket matrix coordinate FIELD SYMMETRY
 *   % comments
 *   ROWS COLUMNS ENTRIES
 *   ROW COLUMN [VALUE]        vertices from 1
 */
#include <string.h>
#include <strings.h>

#include "graph/graph_internal.h"

typedef struct {
  bool valued, symmetric, skew;
} banner_t;

static bool word_is(cira__reader_t *r, const char *word) {
  size_t n = strlen(word);
  (void)cira__reader_at_end(r);
  if (strncasecmp(r->at, word, n) != 0 ||
      (r->at[n] != 0 && r->at[n] != ' ' && r->at[n] != '\t')) {
    return false;
  }
  r->at += n;
  return true;
}

static cira_status_t banner_read(cira__reader_t *r, banner_t *b) {
  cira_status_t status = cira__reader_line(r);
  if (status != CIRA_OK && status != CIRA_PENDING) {
    return status;
  }
  if (status == CIRA_PENDING || !word_is(r, "%%MatrixMarket") ||
      !word_is(r, "matrix") || !word_is(r, "coordinate")) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the first line must be '%%MatrixMarket matrix "
                             "coordinate FIELD SYMMETRY'; dense matrices are "
                             "no graphs");
  }
  b->valued = !word_is(r, "pattern");
  if (b->valued && !word_is(r, "integer") && !word_is(r, "real") &&
      !word_is(r, "double")) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the field must be pattern, integer or real; "
                             "convert the matrix");
  }
  b->skew = word_is(r, "skew-symmetric");
  b->symmetric = b->skew || word_is(r, "symmetric");
  if (!b->symmetric && !word_is(r, "general")) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the symmetry must be general, symmetric or "
                             "skew-symmetric; convert the matrix");
  }
  return cira__reader_finish(r);
}

static cira_status_t line_that_counts(cira__reader_t *r) {
  cira_status_t status;
  do {
    status = cira__reader_line(r);
  } while (status == CIRA_OK && (cira__reader_at_end(r) || *r->at == '%'));
  return status;
}

static cira_status_t sizes_read(cira__reader_t *r, const banner_t *b,
                                uint64_t *out_entries) {
  int64_t rows, columns, entries, most = CIRA_GRAPH_VERTICES_MAX;
  cira_status_t status = line_that_counts(r);
  if (status == CIRA_PENDING) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the line ROWS COLUMNS ENTRIES is missing; the "
                             "file was cut");
  }
  if (status != CIRA_OK ||
      (status = cira__reader_int(r, "the number of rows", 0, most, &rows)) !=
          CIRA_OK ||
      (status = cira__reader_int(r, "the number of columns", 0, most,
                                 &columns)) != CIRA_OK ||
      (status = cira__reader_int(r, "the number of entries", 0,
                                 INT64_C(1) << 47, &entries)) != CIRA_OK ||
      (status = cira__reader_finish(r)) != CIRA_OK) {
    return status;
  }
  if (rows != columns || rows == 0) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the matrix must be square and not empty to be a "
                             "graph; give an adjacency matrix");
  }
  *out_entries = (uint64_t)entries;
  status = cira__reader_open_edges(
      r, (uint64_t)rows, (uint64_t)entries << b->symmetric, b->valued);
  if (status == CIRA_OK) {
    r->edges->symmetric = b->symmetric && !(b->skew && r->edges->weighted);
  }
  return status;
}

static cira_status_t entry_read(cira__reader_t *r, const banner_t *b) {
  int64_t row, column, n = (int64_t)r->edges->vertices;
  int32_t weight = 0;
  cira_status_t status;
  if ((status = cira__reader_int(r, "the row", 1, n, &row)) != CIRA_OK ||
      (status = cira__reader_int(r, "the column", 1, n, &column)) != CIRA_OK ||
      (b->valued && (status = cira__reader_weight(r, &weight)) != CIRA_OK) ||
      (status = cira__reader_finish(r)) != CIRA_OK) {
    return status;
  }
  uint32_t from = (uint32_t)(row - 1), to = (uint32_t)(column - 1);
  status = cira__reader_edge(r, from, to, weight);
  if (status == CIRA_OK && b->symmetric && from != to) {
    if (b->skew && weight == INT32_MIN) {
      return cira__reader_fail(r, CIRA_E_RANGE,
                               "the weight has no negative in 32 bits; scale "
                               "the weights, or drop them");
    }
    status = cira__reader_edge(r, to, from, b->skew ? -weight : weight);
  }
  return status;
}

cira_status_t cira__read_matrix_market(cira__reader_t *r) {
  banner_t b = {0};
  uint64_t entries = 0, seen = 0;
  cira_status_t status = banner_read(r, &b);
  if (status == CIRA_OK) {
    status = sizes_read(r, &b, &entries);
  }
  while (status == CIRA_OK && (status = line_that_counts(r)) == CIRA_OK) {
    if (seen++ == entries) {
      return cira__reader_fail(r, CIRA_E_INVALID,
                               "more entries than the file declares; correct "
                               "the line ROWS COLUMNS ENTRIES");
    }
    status = entry_read(r, &b);
  }
  if (status != CIRA_PENDING) {
    return status;
  }
  char text[160];
  if (seen < entries) {
    cira__format(text, sizeof text,
                 "the file ends after %llu of %llu entries; it was cut",
                 (unsigned long long)seen, (unsigned long long)entries);
    return cira__reader_fail(r, CIRA_E_INVALID, text);
  }
  return CIRA_OK;
}
