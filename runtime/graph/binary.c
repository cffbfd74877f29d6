/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own files (docs/graph-files.md): a header and the arrays of a graph as
 * they lie in memory. What is read is checked completely: sizes before memory
 * is taken, sums, and that the arrays are those of a graph.
 * System calls never see far memory: all goes through a local buffer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "graph files are little-endian");

#define VERSION 1u
#define BUFFER_BYTES (1u << 20) /* 1 MiB */
#define F_WEIGHTED 1u
#define F_SYMMETRIC 2u
#define F_SIMPLE 4u
#define F_LOOP_FREE 8u
#define F_IN_EDGES 16u
#define F_ALL 31u

typedef struct {
  char magic[8];
  uint32_t version, flags;
  uint64_t vertices, edges;
  uint64_t payload_sum;
  uint64_t zero[2];
  uint64_t header_sum; /* of all that is before it */
} header_t;
_Static_assert(sizeof(header_t) == 64, "as documented");

typedef struct {
  FILE *f;
  const char *name;
  uint64_t sum, done, total;
  uint8_t *buffer;
  const cira_graph_options_t *o;
} stream_t;

static uint64_t sum_add(uint64_t sum, const void *bytes, uint64_t n) {
  const uint64_t *w = bytes;
  for (uint64_t i = 0; i < n / 8; i++) {
    sum = (sum ^ w[i]) * UINT64_C(0x9e3779b97f4a7c15);
    sum ^= sum >> 29;
  }
  return sum;
}

/* ---- writing -------------------------------------------------------------
 */

static cira_status_t put(stream_t *s, const void *array, uint64_t bytes,
                         bool really) {
  for (uint64_t at = 0; at < bytes; at += BUFFER_BYTES) {
    uint64_t n = cira__min_u64(bytes - at, BUFFER_BYTES);
    uint64_t padded = cira__align_up(n, 8);
    memset(s->buffer + padded - 8, 0, 8);
    memcpy(s->buffer, (const uint8_t *)array + at, n);
    s->sum = sum_add(s->sum, s->buffer, padded);
    if (really && fwrite(s->buffer, 1, padded, s->f) != padded) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be written",
                              s->name);
    }
  }
  return CIRA_OK;
}

static cira_status_t put_csr(stream_t *s, const cira_graph_t *g,
                             const cira__csr_t *c, bool really) {
  cira_status_t status =
      put(s, c->rows, ((uint64_t)g->n + 1) * sizeof *c->rows, really);
  if (status == CIRA_OK) {
    status = put(s, c->neighbours, g->edges * sizeof *c->neighbours, really);
  }
  if (status == CIRA_OK && c->weights != NULL) {
    status = put(s, c->weights, g->edges * sizeof *c->weights, really);
  }
  return status;
}

static cira_status_t put_all(stream_t *s, const cira_graph_t *g, bool really) {
  cira_status_t status = put_csr(s, g, &g->out, really);
  if (status == CIRA_OK && g->in.rows != NULL && !g->symmetric) {
    status = put_csr(s, g, &g->in, really);
  }
  return status;
}

cira_status_t cira__binary_write(FILE *f, const char *name,
                                 const cira_graph_t *g) {
  stream_t s = {.f = f, .name = name, .buffer = malloc(BUFFER_BYTES)};
  if (s.buffer == NULL) {
    return cira__graph_no_memory("a buffer", BUFFER_BYTES);
  }
  header_t h = {.magic = "CIRAGRPH", .version = VERSION};
  h.flags = (g->out.weights != NULL ? F_WEIGHTED : 0) |
            (g->symmetric ? F_SYMMETRIC : 0) | (g->simple ? F_SIMPLE : 0) |
            (g->loop_free ? F_LOOP_FREE : 0) |
            (g->in.rows != NULL && !g->symmetric ? F_IN_EDGES : 0);
  h.vertices = (uint64_t)g->n;
  h.edges = g->edges;
  cira_status_t status = put_all(&s, g, false); /* only sums */
  h.payload_sum = s.sum;
  h.header_sum = sum_add(0, &h, sizeof h - 8);
  if (status == CIRA_OK && fwrite(&h, sizeof h, 1, f) != 1) {
    status =
        cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be written", name);
  }
  if (status == CIRA_OK) {
    status = put_all(&s, g, true);
  }
  free(s.buffer);
  return status;
}

/* ---- reading -------------------------------------------------------------
 */

static cira_status_t refuse(const char *name, const char *what) {
  return cira__fail(CIRA_E_INVALID, "%s: %s", name, what);
}

static uint64_t csr_bytes(const header_t *h) {
  uint64_t lists = cira__align_up(h->edges * 4, 8);
  return (h->vertices + 1) * 8 + lists * ((h->flags & F_WEIGHTED) != 0 ? 2 : 1);
}

static cira_status_t header_read(stream_t *s, header_t *h) {
  if (fread(h, sizeof *h, 1, s->f) != 1) {
    return refuse(s->name, "the file is shorter than its header; it was cut");
  }
  if (memcmp(h->magic, "CIRAGRPH", 8) != 0) {
    return refuse(s->name, "no binary graph: it does not begin with CIRAGRPH");
  }
  if (h->version != VERSION) {
    return cira__fail(CIRA_E_INVALID,
                      "%s: version %u of the format, this program knows %u; "
                      "convert the graph again",
                      s->name, h->version, VERSION);
  }
  if (h->header_sum != sum_add(0, h, sizeof *h - 8) || h->zero[0] != 0 ||
      h->zero[1] != 0 || (h->flags & ~F_ALL) != 0 ||
      (h->flags & (F_IN_EDGES | F_SYMMETRIC)) == (F_IN_EDGES | F_SYMMETRIC)) {
    return refuse(s->name, "the header is damaged; convert the graph again");
  }
  if (h->vertices == 0 || h->vertices > s->o->vertices_max ||
      h->edges > s->o->edges_max) {
    return cira__fail(CIRA_E_RANGE,
                      "%s: %llu vertices and %llu edges: 1 to %llu and at most "
                      "%llu are allowed here",
                      s->name, (unsigned long long)h->vertices,
                      (unsigned long long)h->edges,
                      (unsigned long long)s->o->vertices_max,
                      (unsigned long long)s->o->edges_max);
  }
  uint64_t want =
      sizeof *h + csr_bytes(h) * ((h->flags & F_IN_EDGES) != 0 ? 2 : 1);
  if (fseeko(s->f, 0, SEEK_END) != 0) {
    return refuse(s->name, "not a regular file; copy it to disk");
  }
  uint64_t have = (uint64_t)ftello(s->f);
  if (have != want) {
    return cira__fail(CIRA_E_INVALID,
                      "%s: %llu bytes instead of %llu; the file was cut or "
                      "has something after its end",
                      s->name, (unsigned long long)have,
                      (unsigned long long)want);
  }
  s->total = want;
  s->done = sizeof *h;
  return fseeko(s->f, (off_t)sizeof *h, SEEK_SET) == 0
             ? CIRA_OK
             : refuse(s->name, "not a regular file; copy it to disk");
}

static cira_status_t get(stream_t *s, void *array, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += BUFFER_BYTES) {
    uint64_t n = cira__min_u64(bytes - at, BUFFER_BYTES);
    uint64_t padded = cira__align_up(n, 8);
    if (fread(s->buffer, 1, padded, s->f) != padded) {
      return refuse(s->name, "the file ended early; it was cut");
    }
    s->sum = sum_add(s->sum, s->buffer, padded);
    memcpy((uint8_t *)array + at, s->buffer, n);
    s->done += padded;
    cira__progress(s->o, "reading", s->done, s->total);
  }
  return CIRA_OK;
}

static cira_status_t get_csr(stream_t *s, const header_t *h, cira_graph_t *g,
                             cira__block_t *blocks, cira__csr_t *c) {
  bool weighted = (h->flags & F_WEIGHTED) != 0;
  cira_status_t status =
      cira__csr_alloc(g->place, h->vertices, h->edges, weighted, blocks, c);
  if (status == CIRA_OK) {
    status = get(s, c->rows, (h->vertices + 1) * 8);
  }
  if (status == CIRA_OK) {
    status = get(s, c->neighbours, h->edges * 4);
  }
  if (status == CIRA_OK && weighted) {
    status = get(s, c->weights, h->edges * 4);
  }
  return status;
}

/* What the lists of a graph add up to, forwards and turned round: equal for a
 * symmetric graph, and crosswise for the two directions of another. */
typedef struct {
  uint64_t forward, backward, longest;
} tally_t;

static const char *csr_check(const header_t *h, const cira__csr_t *c,
                             tally_t *t) {
  if (c->rows[0] != 0 || c->rows[h->vertices] != h->edges) {
    return "the rows do not begin at 0 and end at the number of edges";
  }
  for (uint64_t v = 0; v < h->vertices; v++) {
    uint64_t from = c->rows[v], to = c->rows[v + 1];
    if (to < from || to > h->edges) {
      return "the rows do not rise";
    }
    t->longest = cira__max_u64(t->longest, to - from);
    for (uint64_t i = from; i < to; i++) {
      uint64_t u = c->neighbours[i];
      uint64_t w = c->weights != NULL ? (uint32_t)c->weights[i] : 0;
      w = cira__mix64(w);
      if (u >= h->vertices) {
        return "an edge leads to a vertex that is not there";
      }
      if (i > from && (u < c->neighbours[i - 1] ||
                       (u == c->neighbours[i - 1] && h->flags & F_SIMPLE))) {
        return "a list is not in order";
      }
      if (u == v && (h->flags & F_LOOP_FREE) != 0) {
        return "a self loop in a graph without";
      }
      t->forward += cira__mix64((v << 32 | u) ^ w);
      t->backward += cira__mix64((u << 32 | v) ^ w);
    }
  }
  return NULL;
}

static cira_status_t graph_check(stream_t *s, const header_t *h,
                                 cira_graph_t *g) {
  tally_t out = {0}, in = {0};
  const char *wrong = csr_check(h, &g->out, &out);
  if (wrong == NULL && (h->flags & F_IN_EDGES) != 0) {
    wrong = csr_check(h, &g->in, &in);
    if (wrong == NULL &&
        (in.forward != out.backward || in.backward != out.forward)) {
      wrong = "the incoming edges are not the outgoing ones turned round";
    }
  }
  if (wrong == NULL && g->symmetric && out.forward != out.backward) {
    wrong = "the graph is said to be symmetric and is not";
  }
  if (wrong != NULL) {
    return cira__fail(CIRA_E_INVALID, "%s: %s; convert the graph again",
                      s->name, wrong);
  }
  g->degree_max = out.longest;
  return CIRA_OK;
}

cira_status_t cira__binary_read(FILE *f, const char *name,
                                const cira_graph_options_t *o,
                                cira_graph_t **out) {
  stream_t s = {.f = f, .name = name, .o = o, .buffer = malloc(BUFFER_BYTES)};
  header_t h;
  cira_graph_t *g = cira__graph_new();
  cira_status_t status = s.buffer != NULL && g != NULL
                             ? header_read(&s, &h)
                             : cira__graph_no_memory("a buffer", BUFFER_BYTES);
  if (status == CIRA_OK) {
    g->n = (int64_t)h.vertices;
    g->edges = h.edges;
    g->place = o->place;
    g->symmetric = (h.flags & F_SYMMETRIC) != 0;
    g->simple = (h.flags & F_SIMPLE) != 0;
    g->loop_free = (h.flags & F_LOOP_FREE) != 0;
    status = get_csr(&s, &h, g, g->block, &g->out);
  }
  if (status == CIRA_OK && (h.flags & F_IN_EDGES) != 0) {
    status = get_csr(&s, &h, g, g->block + 3, &g->in);
  }
  if (status == CIRA_OK && s.sum != h.payload_sum) {
    status = refuse(name, "the sum does not fit; the file is damaged");
  }
  if (status == CIRA_OK) {
    status = graph_check(&s, &h, g);
  }
  free(s.buffer);
  if (status != CIRA_OK) {
    cira_graph_destroy(g);
    return status;
  }
  if (g->symmetric) {
    g->in = g->out;
  }
  cira__graph_measure(g);
  *out = g;
  return CIRA_OK;
}
