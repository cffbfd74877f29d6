/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-graph: BFS, SSSP and PageRank of the graph runtime
 *   on local memory, one thread, against serial code (serial.h), with 4 KiB
 *   pages as malloc gives them and with huge pages;
 *   in far memory, against the same graph code that only pages.
 * Variants take turns; each value is the median of the trials. All results are
 * verified once. The local cache of the far part is a percentage of what graph
 * and states take.
 * Usage: bench-graph [--recipe R] [--trials N] [--far URL] [--percent P]
 *                    [--threads N] [--json FILE]
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/runtime.h"
#include "base/base.h"
#include "cira-graph/verify.h"
#include "cira/graph.h"
#include "serial.h"

#define TRIALS_MAX 100u
#define DELTA 16u
#define ROUNDS 10u
#define TOLERANCE 1e-9 /* so that each variant does all rounds */

typedef struct {
  const char *recipe, *far_url, *json;
  uint64_t trials, percent;
  uint32_t threads;
} options_t;

typedef enum { BFS, SSSP, PR, ALGORITHMS } algorithm_t;
static const char *const names[] = {"bfs", "sssp", "pr"};

typedef struct {
  const char *name;
  const cira_graph_t *graph; /* NULL: serial */
  const serial_graph_t *serial;
  cira_graph_run_t run;
  void *state;
  double seconds[ALGORITHMS][TRIALS_MAX];
} variant_t;

static void must(cira_status_t status) {
  if (status != CIRA_OK) {
    fprintf(stderr, "bench-graph: %s\n", cira_status_detail());
    exit(1);
  }
}

/* ---- graphs --------------------------------------------------------------
 */

static cira_graph_t *graph_make(const options_t *o, cira_graph_place_t place) {
  cira_graph_options_t opt;
  cira_graph_edges_t *edges;
  cira_graph_t *g;
  cira_graph_options_default(&opt);
  opt.symmetrise = opt.deduplicate = opt.drop_self_loops = true;
  opt.weights = CIRA_GRAPH_WEIGHTS_RANDOM;
  must(cira_graph_generate(o->recipe, &opt, &edges));
  opt.place = place;
  must(cira_graph_build(edges, &opt, &g));
  cira_graph_edges_destroy(edges);
  return g;
}

static void serial_copy(const cira_graph_t *g, bool huge, serial_graph_t *s) {
  cira_graph_info_t info;
  cira_graph_info(g, &info);
  s->n = info.vertices;
  s->m = info.edges;
  s->huge = huge;
  s->rows = serial_alloc((s->n + 1) * 8, huge);
  s->neighbours = serial_alloc(s->m * 4, huge);
  s->edges = serial_alloc(s->m * sizeof *s->edges, huge);
  s->rows[0] = 0;
  for (uint64_t v = 0; v < s->n; v++) {
    uint64_t count;
    const int32_t *w;
    const uint32_t *list = cira_graph_out(g, (uint32_t)v, &count, &w);
    for (uint64_t i = 0; i < count; i++) {
      s->neighbours[s->rows[v] + i] = list[i];
      s->edges[s->rows[v] + i] = (serial_edge_t){list[i], w[i]};
    }
    s->rows[v + 1] = s->rows[v] + count;
  }
}

static void serial_free(serial_graph_t *s) {
  free(s->rows);
  free(s->neighbours);
  free(s->edges);
}

/* ---- trials --------------------------------------------------------------
 */

/* With one thread on local memory nothing waits: the time on the CPU is the
 * time it takes, whoever else is on this machine. */
static double now_s(bool on_cpu) {
  struct timespec t;
  clock_gettime(on_cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run_once(const variant_t *v, algorithm_t a, uint32_t source) {
  uint32_t rounds;
  if (v->graph == NULL) {
    switch (a) {
    case BFS:
      serial_bfs(v->serial, source, v->state);
      break;
    case SSSP:
      serial_sssp(v->serial, source, DELTA, v->state);
      break;
    default:
      serial_pagerank(v->serial, TOLERANCE, ROUNDS, v->state);
    }
    return;
  }
  switch (a) {
  case BFS:
    must(cira_graph_bfs(v->graph, source, &v->run, v->state));
    break;
  case SSSP:
    must(cira_graph_sssp(v->graph, source, DELTA, &v->run, v->state));
    break;
  default:
    must(cira_graph_pagerank(v->graph, 0, TOLERANCE, ROUNDS, &v->run, v->state,
                             &rounds));
  }
}

static void verify(const variant_t *v, const cira_graph_t *g, algorithm_t a,
                   uint32_t source) {
  verify_why_t why;
  bool ok = a == BFS    ? verify_bfs(g, source, v->state, &why)
            : a == SSSP ? verify_sssp(g, source, v->state, &why)
            : v->graph != NULL
                ? verify_pagerank(g, 0.85, ROUNDS, v->state, &why)
                : true; /* drops what idle vertices have, as GAP does */
  if (!ok) {
    fprintf(stderr, "bench-graph: %s %s: %s\n", v->name, names[a], why.text);
    exit(1);
  }
}

static uint32_t source_choose(const cira_graph_t *g, uint64_t n, uint64_t i) {
  uint64_t count = 0, v;
  do {
    v = (i++ * UINT64_C(0x9e3779b97f4a7c15) >> 20) % n;
    (void)cira_graph_out(g, (uint32_t)v, &count, NULL);
  } while (count == 0);
  return (uint32_t)v;
}

static int value_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void trials_run(const options_t *o, variant_t *variants, size_t count,
                       const cira_graph_t *g, json_t *out) {
  cira_graph_info_t info;
  cira_graph_info(g, &info);
  bool on_cpu = o->threads == 1 && info.place == CIRA_GRAPH_LOCAL;
  for (algorithm_t a = BFS; a < ALGORITHMS; a++) {
    for (uint64_t t = 0; t <= o->trials; t++) {
      uint32_t source = source_choose(g, info.vertices, t * 64 + 1);
      for (size_t i = 0; i < count; i++) {
        double start = now_s(on_cpu);
        run_once(&variants[i], a, source);
        double seconds = now_s(on_cpu) - start;
        if (t == 0) {
          verify(&variants[i], g, a, source); /* the warm-up */
        } else {
          variants[i].seconds[a][t - 1] = seconds;
        }
      }
    }
    double first = 0;
    for (size_t i = 0; i < count; i++) {
      double *s = variants[i].seconds[a];
      qsort(s, o->trials, sizeof *s, value_order);
      double median = s[o->trials / 2];
      first = i == 0 ? median : first;
      printf("%-6s %-22s %10.6f s  min %10.6f  %8.1f Medges/s  %6.2fx\n",
             names[a], variants[i].name, median, s[0],
             (double)info.edges / median * 1e-6, first / median);
      json_array_append_new(out, json_pack("{s:s,s:s,s:s,s:f,s:f,s:f}", "graph",
                                           o->recipe, "algorithm", names[a],
                                           "variant", variants[i].name,
                                           "median_s", median, "min_s", s[0],
                                           "ratio", first / median));
    }
  }
}

/* ---- parts ---------------------------------------------------------------
 */

static uint64_t local_part(const options_t *o, json_t *out) {
  static variant_t v[3];
  serial_graph_t small = {0}, huge = {0};
  cira_graph_info_t info;
  cira_graph_t *g = graph_make(o, CIRA_GRAPH_LOCAL);
  cira_graph_info(g, &info);
  printf("%s: %llu vertices, %llu edges, %llu MiB\n", o->recipe,
         (unsigned long long)info.vertices, (unsigned long long)info.edges,
         (unsigned long long)(info.bytes >> 20));
  serial_copy(g, false, &small);
  serial_copy(g, true, &huge);
  v[0] = (variant_t){.name = "serial", .serial = &small};
  v[1] = (variant_t){.name = "serial, huge pages", .serial = &huge};
  v[2] = (variant_t){.name = "graph runtime", .graph = g};
  cira_graph_run_default(&v[2].run);
  v[2].run.threads = o->threads;
  v[0].state = serial_alloc(info.vertices * 4, false);
  v[1].state = serial_alloc(info.vertices * 4, true);
  v[2].state = cira_graph_state_alloc(g, info.vertices * 4, 0);
  trials_run(o, v, CIRA_COUNT(v), g, out);
  free(v[0].state);
  free(v[1].state);
  cira_graph_state_free(v[2].state);
  serial_free(&small);
  serial_free(&huge);
  cira_graph_destroy(g);
  return info.bytes + info.vertices * 16; /* result, queues, shares */
}

static void far_part(const options_t *o, uint64_t bytes, json_t *out) {
  static variant_t v[2];
  cira_abi_process_t p;
  cira_graph_info_t info;
  cira_abi_process_default(&p);
  p.far_url = o->far_url;
  p.local_bytes = bytes * o->percent / 100;
  must(cira_abi_process_start(&p));
  cira_graph_t *g = graph_make(o, CIRA_GRAPH_FAR);
  cira_graph_info(g, &info);
  printf("%s, %llu%% local (%llu MiB)\n", o->far_url,
         (unsigned long long)o->percent,
         (unsigned long long)(p.local_bytes >> 20));
  v[0] = (variant_t){.name = "far, paging", .graph = g};
  v[1] = (variant_t){.name = "far, graph runtime", .graph = g};
  for (size_t i = 0; i < CIRA_COUNT(v); i++) {
    cira_graph_run_default(&v[i].run);
    v[i].run.threads = o->threads;
    v[i].run.flags = i == 0 ? CIRA_GRAPH_F_PLAIN : 0;
    v[i].state = cira_graph_state_alloc(g, info.vertices * 4, v[i].run.flags);
  }
  trials_run(o, v, CIRA_COUNT(v), g, out);
  for (size_t i = 0; i < CIRA_COUNT(v); i++) {
    cira_graph_state_free(v[i].state);
  }
  cira_graph_destroy(g);
  cira_abi_process_stop();
}

static uint64_t number(const char *what, uint64_t most) {
  uint64_t x;
  must(cira__parse_u64(optarg, what, most, &x));
  return x;
}

int main(int argc, char **argv) {
  static const struct option longs[] = {
      {"recipe", required_argument, NULL, 'r'},
      {"trials", required_argument, NULL, 't'},
      {"far", required_argument, NULL, 'f'},
      {"percent", required_argument, NULL, 'p'},
      {"threads", required_argument, NULL, 'n'},
      {"json", required_argument, NULL, 'j'},
      {0},
  };
  options_t o = {
      .recipe = "kronecker:20,16", .trials = 5, .percent = 25, .threads = 1};
  int c;
  while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    switch (c) {
    case 'r':
      o.recipe = optarg;
      break;
    case 't':
      o.trials = number("--trials", TRIALS_MAX);
      break;
    case 'f':
      o.far_url = optarg;
      break;
    case 'p':
      o.percent = number("--percent", 100);
      break;
    case 'n':
      o.threads = (uint32_t)number("--threads", CIRA_GRAPH_THREADS_MAX);
      break;
    case 'j':
      o.json = optarg;
      break;
    default:
      return 2;
    }
  }
  if (optind < argc || o.trials == 0 || o.percent == 0) {
    fputs("usage: bench-graph [--recipe R] [--trials N] [--far URL]"
          " [--percent P] [--threads N] [--json FILE]\n",
          stderr);
    return 2;
  }
  json_t *out = json_array();
  uint64_t bytes = local_part(&o, out);
  if (o.far_url != NULL) {
    far_part(&o, bytes, out);
  }
  int failed = o.json != NULL ? json_dump_file(out, o.json, JSON_INDENT(1)) : 0;
  json_decref(out);
  return failed == 0 ? 0 : 1;
}
