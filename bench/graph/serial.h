/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: what a careful C program does on one core, after the GAP benchmark
 * suite's algorithms (Beamer, Asanovic, Patterson 2015): direction-optimising
 * search, delta stepping with weights beside the neighbours, pulled PageRank.
 * Knows nothing of cira. Ordinary memory; huge pages on request.
 */
#ifndef BENCH_GRAPH_SERIAL_H
#define BENCH_GRAPH_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint32_t to;
  int32_t weight;
} serial_edge_t;

typedef struct {
  uint64_t n, m;
  uint64_t *rows;
  uint32_t *neighbours;
  serial_edge_t *edges; /* the same with weights */
  bool huge;            /* of states as well */
} serial_graph_t;

void *serial_alloc(uint64_t bytes, bool huge);

/* Undirected graphs only. */
void serial_bfs(const serial_graph_t *g, uint32_t source, uint32_t *parent);
void serial_sssp(const serial_graph_t *g, uint32_t source, uint32_t delta,
                 uint32_t *distance);
uint32_t serial_pagerank(const serial_graph_t *g, double tolerance,
                         uint32_t rounds_max, float *score);

#endif
