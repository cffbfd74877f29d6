/* SPDX-License-Identifier: Apache-2.0
 *
 * Text files of edges: lines, numbers, and how refusals are worded. Every
 * refusal names the file and the line, what is wrong and what to do.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "graph/graph_internal.h"

#define TOKEN_MAX 40

cira_status_t cira__reader_fail(const cira__reader_t *r, cira_status_t status,
                                const char *words) {
  return cira__fail(status, "%s:%llu: %s", r->name,
                    (unsigned long long)r->line_number, words);
}

cira_status_t cira__reader_line(cira__reader_t *r) {
  errno = 0;
  ssize_t n = getline(&r->line, &r->line_room, r->file);
  if (n < 0) {
    if (ferror(r->file) || errno == ENOMEM) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be read",
                              r->name);
    }
    return CIRA_PENDING;
  }
  r->line_number++;
  r->at = r->line;
  r->bytes_done += (uint64_t)n;
  if (r->line_number % 65536 == 0) {
    cira__progress(r->options, "reading", r->bytes_done, r->bytes_total);
  }
  if (memchr(r->line, 0, (size_t)n) != NULL) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "a NUL byte: this is no text file; give one of "
                             "the formats of cira-graph(1)");
  }
  while (n > 0 && (r->line[n - 1] == '\n' || r->line[n - 1] == '\r')) {
    r->line[--n] = 0;
  }
  return CIRA_OK;
}

static void skip_blanks(cira__reader_t *r) {
  while (*r->at == ' ' || *r->at == '\t') {
    r->at++;
  }
}

bool cira__reader_at_end(cira__reader_t *r) {
  skip_blanks(r);
  return *r->at == 0;
}

/* The word at the reader, short and printable. */
static const char *word_here(const cira__reader_t *r, char *out) {
  size_t n = strcspn(r->at, " \t");
  n = n < TOKEN_MAX ? n : TOKEN_MAX;
  for (size_t i = 0; i < n; i++) {
    out[i] = isprint((unsigned char)r->at[i]) ? r->at[i] : '?';
  }
  out[n] = 0;
  return out;
}

static bool ends_word(char c) {
  return c == 0 || c == ' ' || c == '\t';
}

cira_status_t cira__reader_int(cira__reader_t *r, const char *what, int64_t lo,
                               int64_t hi, int64_t *out) {
  char word[TOKEN_MAX + 1], text[256];
  skip_blanks(r);
  const char *p = r->at;
  bool negative = *p == '-';
  p += *p == '-' || *p == '+';
  uint64_t x = 0;
  bool ok = *p >= '0' && *p <= '9', fits = true;
  for (; *p >= '0' && *p <= '9'; p++) {
    fits = fits && x <= (UINT64_C(1) << 58);
    x = fits ? x * 10 + (uint64_t)(*p - '0') : x;
  }
  if (*r->at == 0) {
    cira__format(text, sizeof text, "%s is missing; add it", what);
    return cira__reader_fail(r, CIRA_E_INVALID, text);
  }
  if (!ok || !ends_word(*p)) {
    cira__format(text, sizeof text, "%s '%s' is not a whole number; correct it",
                 what, word_here(r, word));
    return cira__reader_fail(r, CIRA_E_INVALID, text);
  }
  int64_t value = negative ? -(int64_t)x : (int64_t)x;
  if (!fits || value < lo || value > hi) {
    cira__format(text, sizeof text,
                 "%s '%s' is outside of %lld to %lld; "
                 "correct it",
                 what, word_here(r, word), (long long)lo, (long long)hi);
    return cira__reader_fail(r, CIRA_E_RANGE, text);
  }
  r->at = (char *)(uintptr_t)p;
  *out = value;
  return CIRA_OK;
}

cira_status_t cira__reader_weight(cira__reader_t *r, int32_t *out) {
  char word[TOKEN_MAX + 1], text[256], *end;
  skip_blanks(r);
  if (*r->at == 0) {
    return cira__reader_fail(r, CIRA_E_INVALID,
                             "the weight is missing; add it, or leave all "
                             "weights out");
  }
  double x = strtod(r->at, &end);
  if (end == r->at || !ends_word(*end)) {
    cira__format(text, sizeof text,
                 "the weight '%s' is not a number; "
                 "correct it",
                 word_here(r, word));
    return cira__reader_fail(r, CIRA_E_INVALID, text);
  }
  if (r->options->weights != CIRA_GRAPH_WEIGHTS_KEEP) {
    x = 0; /* whatever it is, it is not kept */
  }
  if (!(x >= INT32_MIN && x <= INT32_MAX) || x != (double)(int32_t)x) {
    cira__format(text, sizeof text,
                 "the weight '%s' is not a whole number of "
                 "32 bits; scale the weights, or drop them",
                 word_here(r, word));
    return cira__reader_fail(r, CIRA_E_RANGE, text);
  }
  r->at = end;
  *out = (int32_t)x;
  return CIRA_OK;
}

cira_status_t cira__reader_finish(cira__reader_t *r) {
  char word[TOKEN_MAX + 1], text[256];
  if (cira__reader_at_end(r)) {
    return CIRA_OK;
  }
  cira__format(text, sizeof text, "'%s' is one field too many; remove it",
               word_here(r, word));
  return cira__reader_fail(r, CIRA_E_INVALID, text);
}

cira_status_t cira__reader_open_edges(cira__reader_t *r, uint64_t vertices,
                                      uint64_t declared, bool weighted) {
  char text[256];
  if (vertices > r->options->vertices_max || declared > r->options->edges_max) {
    cira__format(text, sizeof text,
                 "%llu vertices and %llu edges: at most "
                 "%llu and %llu are allowed here",
                 (unsigned long long)vertices, (unsigned long long)declared,
                 (unsigned long long)r->options->vertices_max,
                 (unsigned long long)r->options->edges_max);
    return cira__reader_fail(r, CIRA_E_RANGE, text);
  }
  weighted = weighted && r->options->weights == CIRA_GRAPH_WEIGHTS_KEEP;
  cira_status_t status =
      cira_graph_edges_create(r->options->place, vertices, weighted, &r->edges);
  /* What a file declares is believed only as far as its size allows: an edge
   * takes at least four bytes. */
  uint64_t most = r->bytes_total / 4;
  if (status == CIRA_OK && declared > 0 && most > 0) {
    status = cira__edges_reserve(r->edges, cira__min_u64(declared, most));
  }
  return status;
}

cira_status_t cira__reader_flush(cira__reader_t *r) {
  uint32_t n = r->held;
  r->held = 0;
  if (r->edges->count + n > r->options->edges_max) {
    char text[128];
    cira__format(text, sizeof text,
                 "more than %llu edges, which is the limit "
                 "here",
                 (unsigned long long)r->options->edges_max);
    return cira__reader_fail(r, CIRA_E_RANGE, text);
  }
  return cira_graph_edges_append(r->edges, n, r->from, r->to,
                                 r->edges->weighted ? r->weight : NULL);
}

cira_status_t cira__reader_edge(cira__reader_t *r, uint32_t from, uint32_t to,
                                int32_t weight) {
  r->from[r->held] = from;
  r->to[r->held] = to;
  r->weight[r->held] = weight;
  r->held++;
  return r->held == CIRA_COUNT(r->from) ? cira__reader_flush(r) : CIRA_OK;
}

/* ---- which format --------------------------------------------------------
 */

cira_graph_format_t cira__format_by_suffix(const char *path) {
  static const struct {
    const char *suffix;
    cira_graph_format_t format;
  } known[] = {
      {".cgr", CIRA_GRAPH_FORMAT_BINARY},
      {".mtx", CIRA_GRAPH_FORMAT_MATRIX_MARKET},
      {".gr", CIRA_GRAPH_FORMAT_DIMACS},
      {".sp", CIRA_GRAPH_FORMAT_DIMACS},
      {".el", CIRA_GRAPH_FORMAT_EDGES},
      {".wel", CIRA_GRAPH_FORMAT_EDGES},
      {".txt", CIRA_GRAPH_FORMAT_EDGES},
      {".edges", CIRA_GRAPH_FORMAT_EDGES},
      {".snap", CIRA_GRAPH_FORMAT_EDGES},
      {".tsv", CIRA_GRAPH_FORMAT_EDGES},
  };
  const char *slash = strrchr(path, '/');
  const char *dot = strrchr(slash != NULL ? slash : path, '.');
  for (size_t i = 0; dot != NULL && i < CIRA_COUNT(known); i++) {
    if (strcasecmp(dot, known[i].suffix) == 0) {
      return known[i].format;
    }
  }
  return CIRA_GRAPH_FORMAT_AUTO;
}

cira_graph_format_t cira__format_of(FILE *f, const char *path) {
  char first[16] = {0};
  size_t n = fread(first, 1, sizeof first - 1, f);
  rewind(f);
  if (n >= 8 && memcmp(first, "CIRAGRPH", 8) == 0) {
    return CIRA_GRAPH_FORMAT_BINARY;
  }
  if (strncasecmp(first, "%%MatrixMarket", 14) == 0) {
    return CIRA_GRAPH_FORMAT_MATRIX_MARKET;
  }
  if (strncmp(first, "p sp ", 5) == 0) {
    return CIRA_GRAPH_FORMAT_DIMACS;
  }
  cira_graph_format_t format = cira__format_by_suffix(path);
  return format != CIRA_GRAPH_FORMAT_AUTO ? format : CIRA_GRAPH_FORMAT_EDGES;
}

/* ---- reading -------------------------------------------------------------
 */

/* A file of few edges with a huge vertex number would cost memory by that
 * number: most likely the numbers are keys of another system. */
static cira_status_t check_sparse(const cira__reader_t *r) {
  const cira_graph_edges_t *e = r->edges;
  if (e->vertices_fixed || e->vertices <= (1u << 20) ||
      e->vertices / 1024 <= e->count) {
    return CIRA_OK;
  }
  return cira__fail(CIRA_E_RANGE,
                    "%s: vertex numbers up to %llu with only %llu edges; let "
                    "them be numbered anew (--compact)",
                    r->name, (unsigned long long)e->vertices - 1,
                    (unsigned long long)e->count);
}

static cira_status_t read_by_format(cira__reader_t *r,
                                    cira_graph_format_t format) {
  switch (format) {
  case CIRA_GRAPH_FORMAT_EDGES:
    return cira__read_edges(r);
  case CIRA_GRAPH_FORMAT_MATRIX_MARKET:
    return cira__read_matrix_market(r);
  case CIRA_GRAPH_FORMAT_DIMACS:
    return cira__read_dimacs(r);
  default:
    return cira__fail(CIRA_E_INVALID, "%s: format %d is none of text files",
                      r->name, (int)format);
  }
}

cira_status_t cira__edges_read_file(FILE *f, const char *name,
                                    cira_graph_format_t format,
                                    const cira_graph_options_t *o,
                                    cira_graph_edges_t **out) {
  struct stat st = {0};
  cira__reader_t *r = calloc(1, sizeof *r);
  if (r == NULL) {
    return cira__graph_no_memory("a reader", sizeof *r);
  }
  r->file = f;
  r->name = name;
  r->options = o;
  r->at = (char[]){0};
  if (fileno(f) >= 0 && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode)) {
    r->bytes_total = (uint64_t)st.st_size;
  }
  cira_status_t status = read_by_format(r, format);
  if (status == CIRA_OK) {
    status = cira__reader_flush(r);
  }
  if (status == CIRA_OK && o->compact) {
    status = cira__edges_compact(r->edges);
    if (status == CIRA_OK && r->edges->vertices == 0) {
      status = cira__fail(CIRA_E_INVALID,
                          "%s: no edges, so no vertices to number anew; read "
                          "it without --compact",
                          name);
    }
  } else if (status == CIRA_OK) {
    status = check_sparse(r);
  }
  if (status == CIRA_OK && r->edges->vertices > o->vertices_max) {
    status = cira__fail(CIRA_E_RANGE,
                        "%s: %llu vertices: at most %llu are allowed here",
                        name, (unsigned long long)r->edges->vertices,
                        (unsigned long long)o->vertices_max);
  }
  if (status == CIRA_OK) {
    *out = r->edges;
  } else {
    cira_graph_edges_destroy(r->edges);
  }
  free(r->line);
  free(r);
  return status;
}

cira_status_t cira_graph_edges_read(const char *path,
                                    const cira_graph_options_t *opt,
                                    cira_graph_edges_t **out) {
  cira_graph_options_t o;
  cira__options_fill(opt, &o);
  FILE *f = fopen(path, "re");
  if (f == NULL) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be read", path);
  }
  cira_graph_format_t format =
      o.format != CIRA_GRAPH_FORMAT_AUTO ? o.format : cira__format_of(f, path);
  cira_status_t status;
  if (format == CIRA_GRAPH_FORMAT_BINARY) {
    status = cira__fail(CIRA_E_INVALID,
                        "%s: a binary graph is no list of edges; read it as a "
                        "graph",
                        path);
  } else {
    status = cira__edges_read_file(f, path, format, &o, out);
  }
  fclose(f);
  return status;
}
