/* SPDX-License-Identifier: Apache-2.0
 *
 * verify: proves results of graph algorithms by serial code that shares
 * nothing with them: other algorithms, plain loops over cira_graph_out.
 * Each function returns true, or false with one line in `why`.
 * Threads: any.
 */
#ifndef CIRA_GRAPH_VERIFY_H
#define CIRA_GRAPH_VERIFY_H

#include <stddef.h>

#include "cira/graph.h"

typedef struct {
  char text[256];
} verify_why_t;

bool verify_bfs(const cira_graph_t *g, uint32_t source, const uint32_t *parent,
                verify_why_t *why);
bool verify_sssp(const cira_graph_t *g, uint32_t source,
                 const uint32_t *distance, verify_why_t *why);
bool verify_pagerank(const cira_graph_t *g, double damping, uint32_t rounds,
                     const float *score, verify_why_t *why);
bool verify_components(const cira_graph_t *g, const uint32_t *component,
                       verify_why_t *why);
bool verify_betweenness(const cira_graph_t *g, const uint32_t *sources,
                        uint64_t count, const double *score, verify_why_t *why);
bool verify_triangles(const cira_graph_t *g, uint64_t triangles,
                      verify_why_t *why);

#endif
