/* SPDX-License-Identifier: Apache-2.0
 *
 * A vertex program of one's own: the widest way from vertex 0 to every other,
 * the width of a way being that of its narrowest edge. The graph lies in far
 * memory (CIRA_FAR says where; beside the program by default); the runtime asks
 * ahead for rows, lists and the widths of neighbours.
 *   cc widest.c -lcira
 */
#include <stdio.h>
#include <stdlib.h>

#include "cira/far.h"
#include "cira/graph.h"

typedef struct {
  uint32_t *width; /* by vertex: of the best way known */
  uint64_t *round; /* by vertex: the last round that it was put into */
  uint64_t now;
} widest_t;

static void need(cira_status_t status) {
  if (status != CIRA_OK) {
    fprintf(stderr, "%s: %s\n", cira_status_name(status), cira_status_detail());
    exit(1);
  }
}

static uint32_t smaller(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

/* Several threads may meet at a neighbour: the width only grows, and who is
 * first in this round puts the vertex into the next. */
static bool push(void *context, cira_graph_worker_t *worker,
                 const cira_graph_list_t *list) {
  widest_t *w = context;
  uint32_t mine = __atomic_load_n(&w->width[list->vertex], __ATOMIC_RELAXED);
  for (uint64_t i = 0; i < list->count; i++) {
    uint32_t v = list->neighbours[i];
    uint32_t by_me = smaller(mine, (uint32_t)list->weights[i]);
    uint32_t old = __atomic_load_n(&w->width[v], __ATOMIC_RELAXED);
    bool wider = false;
    while (old < by_me && !wider) {
      wider = __atomic_compare_exchange_n(&w->width[v], &old, by_me, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    if (wider &&
        __atomic_exchange_n(&w->round[v], w->now, __ATOMIC_RELAXED) != w->now) {
      cira_graph_activate(worker, v);
    }
  }
  return true;
}

static bool next_round(void *context, uint64_t round, uint64_t active) {
  widest_t *w = context;
  w->now = round + 1;
  return active > 0;
}

int main(void) {
  cira_far_options_t far = cira_far_options_default();
  far.local_bytes = 2u << 20;
  need(cira_far_start(&far));
  cira_graph_options_t opt;
  cira_graph_options_default(&opt);
  opt.place = CIRA_GRAPH_FAR;
  opt.symmetrise = opt.deduplicate = opt.drop_self_loops = true;
  opt.weights = CIRA_GRAPH_WEIGHTS_RANDOM;
  opt.weight_max = 1000;
  cira_graph_edges_t *edges;
  cira_graph_t *graph;
  need(cira_graph_generate("uniform:14,8", &opt, &edges));
  need(cira_graph_build(edges, &opt, &graph));
  cira_graph_edges_destroy(edges);

  cira_graph_info_t info;
  cira_graph_info(graph, &info);
  widest_t w = {
      .width = cira_graph_state_alloc(graph, info.vertices * 4, 0),
      .round = cira_graph_state_alloc(graph, info.vertices * 8, 0),
      .now = 1,
  };
  need(w.width && w.round ? CIRA_OK : CIRA_E_NOMEM);
  const uint32_t source = 0;
  w.width[source] = UINT32_MAX;
  const cira_graph_program_t program = {
      .size = sizeof program,
      .context = &w,
      .state = w.width,
      .state_bytes = sizeof *w.width,
      .push = push,
      .round = next_round,
  };
  cira_graph_run_t run;
  cira_graph_run_default(&run);
  uint64_t rounds;
  need(cira_graph_program_run(graph, &program, &source, 1, &run, &rounds));
  uint64_t reached = 0, sum = 0;
  for (uint64_t v = 1; v < info.vertices; v++) {
    reached += w.width[v] != 0;
    sum += w.width[v];
  }
  printf("%llu vertices reached, widths add up to %llu\n",
         (unsigned long long)reached, (unsigned long long)sum);
  cira_graph_state_free(w.width);
  cira_graph_state_free(w.round);
  cira_graph_destroy(graph);
  return cira_far_stop() == CIRA_OK ? 0 : 1;
}
