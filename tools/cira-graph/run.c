/* SPDX-License-Identifier: Apache-2.0
 *
 * See run.h.
 */
#include "cira-graph/run.h"

#include <stdlib.h>
#include <string.h>

#include "cira-graph/verify.h"

typedef struct {
  const graph_options_t *o;
  const cira_graph_t *g;
  uint64_t n;
  void *state;
  uint32_t sources[GRAPH_SOURCES_MAX];
  uint64_t source_count;
  uint32_t rounds;
  uint64_t triangles;
} work_t;

static cira_status_t algorithm(work_t *w) {
  const graph_options_t *o = w->o;
  switch (o->command) {
  case GRAPH_BFS:
    return cira_graph_bfs(w->g, w->sources[0], &o->run, w->state);
  case GRAPH_SSSP:
    return cira_graph_sssp(w->g, w->sources[0], (uint32_t)o->delta, &o->run,
                           w->state);
  case GRAPH_PR:
    return cira_graph_pagerank(w->g, 0, o->tolerance, (uint32_t)o->rounds,
                               &o->run, w->state, &w->rounds);
  case GRAPH_CC:
    return cira_graph_components(w->g, &o->run, w->state);
  case GRAPH_BC:
    return cira_graph_betweenness(w->g, w->sources, w->source_count, &o->run,
                                  w->state);
  case GRAPH_TC:
    return cira_graph_triangles(w->g, &o->run, &w->triangles);
  default:
    return CIRA_OK;
  }
}

static bool proof(const work_t *w, verify_why_t *why) {
  switch (w->o->command) {
  case GRAPH_BFS:
    return verify_bfs(w->g, w->sources[0], w->state, why);
  case GRAPH_SSSP:
    return verify_sssp(w->g, w->sources[0], w->state, why);
  case GRAPH_PR:
    return verify_pagerank(w->g, 0.85, w->rounds, w->state, why);
  case GRAPH_CC:
    return verify_components(w->g, w->state, why);
  case GRAPH_BC:
    return verify_betweenness(w->g, w->sources, w->source_count, w->state, why);
  case GRAPH_TC:
    return verify_triangles(w->g, w->triangles, why);
  default:
    return true;
  }
}

/* ---- figures -------------------------------------------------------------
 */

static void put(json_t *out, const char *name, uint64_t value) {
  json_object_set_new(out, name, json_integer((json_int_t)value));
}

static void describe_walk(const work_t *w, json_t *out) {
  const uint32_t *state = w->state;
  uint64_t reached = 0, farthest = 0;
  for (uint64_t v = 0; v < w->n; v++) {
    reached += state[v] != CIRA_GRAPH_NONE;
    farthest = state[v] != CIRA_GRAPH_NONE && state[v] > farthest ? state[v]
                                                                  : farthest;
  }
  put(out, "source", w->sources[0]);
  put(out, "reached", reached);
  if (w->o->command == GRAPH_SSSP) {
    put(out, "largest_distance", farthest);
  }
}

static void describe_components(const work_t *w, json_t *out) {
  const uint32_t *component = w->state;
  uint32_t *size = calloc(w->n, sizeof *size);
  uint64_t components = 0, largest = 0;
  for (uint64_t v = 0; v < w->n; v++) {
    components += component[v] == v;
    if (size != NULL) {
      uint32_t s = ++size[component[v]];
      largest = s > largest ? s : largest;
    }
  }
  put(out, "components", components);
  if (size != NULL) {
    put(out, "largest_component", largest);
  }
  free(size);
}

static void describe_scores(const work_t *w, json_t *out) {
  bool rank = w->o->command == GRAPH_PR;
  double best = -1;
  uint64_t at = 0;
  for (uint64_t v = 0; v < w->n; v++) {
    double x = rank ? (double)((const float *)w->state)[v]
                    : ((const double *)w->state)[v];
    at = x > best ? v : at;
    best = x > best ? x : best;
  }
  if (rank) {
    put(out, "rounds", w->rounds);
  } else {
    put(out, "sources", w->source_count);
  }
  put(out, "highest_vertex", at);
  json_object_set_new(out, "highest_score", json_real(best));
}

static void describe(const work_t *w, json_t *out) {
  switch (w->o->command) {
  case GRAPH_BFS:
  case GRAPH_SSSP:
    describe_walk(w, out);
    break;
  case GRAPH_CC:
    describe_components(w, out);
    break;
  case GRAPH_PR:
  case GRAPH_BC:
    describe_scores(w, out);
    break;
  default:
    put(out, "triangles", w->triangles);
  }
}

/* ---- run -----------------------------------------------------------------
 */

static cira_status_t sources_choose(work_t *w) {
  memcpy(w->sources, w->o->sources, sizeof w->sources);
  w->source_count = w->o->source_count;
  for (uint64_t v = 0; w->source_count == 0 && v < w->n; v++) {
    uint64_t degree;
    (void)cira_graph_out(w->g, (uint32_t)v, &degree, NULL);
    if (degree > 0 || v + 1 == w->n) {
      w->sources[w->source_count++] = (uint32_t)v;
    }
  }
  return CIRA_OK;
}

static int time_order(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static cira_status_t trials(work_t *w, json_t *out) {
  uint64_t times[1000], edges, n = w->o->trials;
  cira_status_t status = CIRA_OK;
  cira_graph_info_t info;
  cira_graph_info(w->g, &info);
  edges = info.edges;
  for (uint64_t i = 0; status == CIRA_OK && i < n; i++) {
    uint64_t start = cira__now_ns();
    status = algorithm(w);
    times[i] = cira__now_ns() - start;
  }
  if (status == CIRA_OK) {
    qsort(times, n, sizeof *times, time_order);
    double seconds = (double)times[n / 2] * 1e-9;
    json_object_set_new(out, "run_s", json_real(seconds));
    json_object_set_new(out, "edges_per_s", json_real((double)edges / seconds));
  }
  return status;
}

cira_status_t graph_run(const graph_options_t *o, const cira_graph_t *g,
                        json_t *out) {
  cira_graph_info_t info;
  cira_graph_info(g, &info);
  work_t w = {.o = o, .g = g, .n = info.vertices};
  if (o->command == GRAPH_INFO) {
    return CIRA_OK;
  }
  w.state = cira_graph_state_alloc(g, w.n * 8, o->run.flags);
  if (w.state == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for the result");
  }
  cira_status_t status = sources_choose(&w);
  if (status == CIRA_OK) {
    status = trials(&w, out);
  }
  if (status == CIRA_OK) {
    describe(&w, out);
  }
  if (status == CIRA_OK && o->verify) {
    verify_why_t why;
    bool right = proof(&w, &why);
    json_object_set_new(out, "verified", json_boolean(right));
    status = right ? CIRA_OK
                   : cira__fail(CIRA_E_PROTOCOL, "the result is wrong: %s",
                                why.text);
  }
  cira_graph_state_free(w.state);
  return status;
}
