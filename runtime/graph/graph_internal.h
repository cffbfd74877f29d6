/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of graph share: the arrays of edges and graphs, and the
 * memory they lie in.
 * Invariant: arrays of a graph begin at a page, so that the neighbours and the
 * weights of an edge lie at the same place of their pages.
 * Reading order: cira/graph.h, this file, memory.c, edges.c, generate.c, text.c
 * (and the readers), build.c, binary.c; then engine.h.
 */
#ifndef CIRA_GRAPH_INTERNAL_H
#define CIRA_GRAPH_INTERNAL_H

#include <stdio.h>

#include "base/base.h"
#include "cira/graph.h"

/* Page-aligned memory of either place. */
typedef struct {
  void *p;
  void *raw; /* what is freed */
  uint64_t bytes;
  cira_graph_place_t place;
} cira__block_t;

/* Zeroed only when far. CIRA_E_UNSUPPORTED without far memory. */
cira_status_t cira__block_alloc(cira_graph_place_t place, uint64_t bytes,
                                const char *what, cira__block_t *out);
void cira__block_free(cira__block_t *b);
/* The same bytes in a larger block. */
cira_status_t cira__block_grow(cira__block_t *b, uint64_t used_bytes,
                               uint64_t bytes, const char *what);
cira_status_t cira__graph_no_memory(const char *what, uint64_t bytes);
/* Work arrays of earlier runs, for the next one: fresh memory costs the kernel
 * more to clear than a search of a million vertices takes. Local graphs only;
 * runs may go on side by side. */
enum { CIRA__SPARES = 4 };
typedef struct {
  void *_Atomic block[CIRA__SPARES];
} cira__spare_t;

/* cira_graph_state_alloc; zeroed or not. */
void *cira__state_alloc(const cira_graph_t *graph, uint64_t bytes,
                        uint32_t flags, bool zeroed);
/* The same for what a run itself needs, kept for later runs. */
void *cira__scratch_alloc(const cira_graph_t *graph, uint64_t bytes,
                          uint32_t flags, bool zeroed);
void cira__scratch_free(const cira_graph_t *graph, void *scratch);

struct cira_graph_edges {
  uint64_t count, room;
  uint64_t vertices;
  bool vertices_fixed; /* else one more than the largest number */
  bool weighted;
  bool symmetric; /* made of a symmetric file: both directions are there */
  cira_graph_place_t place;
  cira__block_t from, to, weight;
};

cira_status_t cira__edges_reserve(cira_graph_edges_t *e, uint64_t count);
/* Numbers the vertices that occur 0, 1, 2 ... in their order. */
cira_status_t cira__edges_compact(cira_graph_edges_t *e);

typedef struct {
  uint64_t *rows; /* vertices + 1 offsets into: */
  uint32_t *neighbours;
  int32_t *weights; /* NULL: none */
} cira__csr_t;

struct cira_graph {
  int64_t n;       /* with the two pointers that follow: what frontier */
  cira__csr_t out; /* streams of compiled code read */
  cira__csr_t in;  /* out itself when symmetric; NULLs when not known */
  uint64_t edges;
  uint64_t degree_max;
  int32_t weight_min, weight_max;
  cira_graph_place_t place;
  bool symmetric, simple, loop_free;
  cira__block_t block[6]; /* rows, neighbours, weights: out, in */
  cira__spare_t *spare;   /* NULL: nothing is kept between runs */
};

/* A graph without arrays; NULL: no memory. */
struct cira_graph *cira__graph_new(void);

void cira__options_fill(const cira_graph_options_t *given,
                        cira_graph_options_t *out);
static inline void cira__progress(const cira_graph_options_t *o,
                                  const char *what, uint64_t done,
                                  uint64_t total) {
  if (o->progress != NULL) {
    o->progress(o->progress_context, what, done, total);
  }
}
uint32_t cira__threads_wanted(uint32_t asked);

/* A well mixed function of its argument (splitmix64's last steps). */
static inline uint64_t cira__mix64(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

/* build.c: sizes and properties of a graph whose arrays are filled. */
void cira__graph_measure(cira_graph_t *g);
/* Arrays of one direction in blocks[0..2]. */
cira_status_t cira__csr_alloc(cira_graph_place_t place, uint64_t n, uint64_t m,
                              bool weighted, cira__block_t *blocks,
                              cira__csr_t *out);

/* ---- files (text.c, formats) --------------------------------------------- */

typedef struct {
  FILE *file;
  const char *name;
  const cira_graph_options_t *options;
  uint64_t line_number;
  char *line; /* without its end */
  size_t line_room;
  char *at; /* first character not yet taken */
  uint64_t bytes_done, bytes_total;
  cira_graph_edges_t *edges;
  /* edges on their way to the list */
  uint32_t held;
  uint32_t from[1024], to[1024];
  int32_t weight[1024];
} cira__reader_t;

/* "FILE:LINE: " and the words; remedies are part of the words. */
cira_status_t cira__reader_fail(const cira__reader_t *r, cira_status_t status,
                                const char *words);
/* Takes a line; CIRA_OK, CIRA_PENDING at the end of the file, or an error. */
cira_status_t cira__reader_line(cira__reader_t *r);
/* True when nothing but blanks is left of the line. */
bool cira__reader_at_end(cira__reader_t *r);
/* An integer in lo..hi named `what`; errors quote what is there instead. */
cira_status_t cira__reader_int(cira__reader_t *r, const char *what, int64_t lo,
                               int64_t hi, int64_t *out);
/* A number that must be a whole one within 32 bits ("2", "-3", "4.0e1"). */
cira_status_t cira__reader_weight(cira__reader_t *r, int32_t *out);
/* Refuses what is left of the line. */
cira_status_t cira__reader_finish(cira__reader_t *r);
/* Creates the list. declared: what the file says, 0 when it does not. */
cira_status_t cira__reader_open_edges(cira__reader_t *r, uint64_t vertices,
                                      uint64_t declared, bool weighted);
cira_status_t cira__reader_edge(cira__reader_t *r, uint32_t from, uint32_t to,
                                int32_t weight);
cira_status_t cira__reader_flush(cira__reader_t *r);

cira_status_t cira__read_edges(cira__reader_t *r);         /* format_edges.c */
cira_status_t cira__read_matrix_market(cira__reader_t *r); /* format_mtx.c */
cira_status_t cira__read_dimacs(cira__reader_t *r);        /* format_dimacs.c */
/* Reads an open text file; `name` is for messages. */
cira_status_t cira__edges_read_file(FILE *f, const char *name,
                                    cira_graph_format_t format,
                                    const cira_graph_options_t *o,
                                    cira_graph_edges_t **out);
/* What a file is, by its first bytes and its name. */
cira_graph_format_t cira__format_of(FILE *f, const char *path);
cira_graph_format_t cira__format_by_suffix(const char *path);

/* binary.c */
cira_status_t cira__binary_read(FILE *f, const char *name,
                                const cira_graph_options_t *o,
                                cira_graph_t **out);
cira_status_t cira__binary_write(FILE *f, const char *name,
                                 const cira_graph_t *g);

#endif
