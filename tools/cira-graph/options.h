/* SPDX-License-Identifier: Apache-2.0
 *
 * What cira-graph was asked for. Wrong options end the program with status 2.
 */
#ifndef CIRA_GRAPH_OPTIONS_H
#define CIRA_GRAPH_OPTIONS_H

#include "base/base.h"
#include "cira/graph.h"

#define GRAPH_EXIT_FAILED 1
#define GRAPH_EXIT_USAGE 2
#define GRAPH_SOURCES_MAX 1024u

typedef enum {
  GRAPH_INFO,
  GRAPH_BFS,
  GRAPH_SSSP,
  GRAPH_PR,
  GRAPH_CC,
  GRAPH_BC,
  GRAPH_TC,
} graph_command_t;

typedef struct {
  graph_command_t command;
  const char *command_name;
  const char *file;   /* NULL: */
  const char *recipe; /* of a generator */
  const char *convert;
  const char *far_url; /* NULL: all is local */
  const char *token_file;
  uint64_t local_bytes;
  cira_graph_options_t graph;
  cira_graph_run_t run;
  uint32_t sources[GRAPH_SOURCES_MAX];
  uint64_t source_count;
  uint64_t delta, rounds, trials;
  double tolerance;
  bool as_is, weights_given, verify, json;
} graph_options_t;

void graph_options_parse(int argc, char **argv, graph_options_t *o);

#endif
