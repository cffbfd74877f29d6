/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounds over frontiers with direction switch, and the programs of
 * cira/graph.h: the engine's loops with functions behind pointers.
 */
#include <string.h>

#include "graph/engine.h"

/* Pull when the frontier has more than a 15th of the edges not yet seen; push
 * again when it shrinks and is below an 18th of the vertices (Beamer, Asanovic,
 * Patterson: Direction-optimizing breadth-first search, 2012). */
#define PULL_EDGES 15u
#define PUSH_VERTICES 18u

/* ---- rounds --------------------------------------------------------------
 */

typedef struct {
  uint32_t *queue[2];
  uint64_t *bits;  /* of the frontier, when pulling */
  uint64_t unseen; /* edges */
  bool pulling;
} rounds_t;

/* Queues hold vertices in pieces of rising order: hits the same words. */
static void bits_set(cira__engine_t *e, uint64_t *bits, const uint32_t *queue,
                     uint64_t count) {
  uint64_t n = (uint64_t)e->graph->n;
  if (queue == NULL) {
    memset(bits, 255, (n + 63) / 64 * 8);
    return;
  }
  memset(bits, 0, (n + 63) / 64 * 8);
  for (uint64_t i = 0; i < count; i++) {
    bits[queue[i] / 64] |= UINT64_C(1) << (queue[i] % 64);
  }
}

/* Decides how the next round goes. Returns the edges it may look at. */
static uint64_t direct_next(cira__engine_t *e, const cira__rounds_t *how,
                            rounds_t *r, const uint32_t *queue, uint64_t count,
                            uint64_t before) {
  uint64_t n = (uint64_t)e->graph->n, edges;
  if (how->push == NULL) {
    r->pulling = true;
    return e->graph->edges;
  }
  if (how->pull == NULL && count >= CIRA__SMALL) {
    return e->graph->edges; /* threads pay */
  }
  edges = queue == NULL || count > n / PUSH_VERTICES
              ? e->graph->edges
              : cira__engine_degrees(e, queue, count);
  if (how->pull == NULL) {
    return edges;
  }
  if (r->pulling) {
    r->pulling = count >= before || count > n / PUSH_VERTICES;
  } else {
    r->pulling = edges > r->unseen / PULL_EDGES && count > n / 4096;
  }
  /* Programs that come back to a vertex start another lap. */
  r->unseen = edges <= r->unseen ? r->unseen - edges : e->graph->edges;
  return r->pulling ? e->graph->edges : edges;
}

static cira_status_t rounds_run(cira__engine_t *e, const cira__rounds_t *how,
                                rounds_t *r, const uint32_t *queue,
                                uint64_t count, uint64_t *out_rounds) {
  uint64_t n = (uint64_t)e->graph->n, before = 0, round = 0;
  cira_status_t status = CIRA_OK;
  while (status == CIRA_OK && count > 0) {
    uint32_t *next = r->queue[round % 2];
    uint64_t work = direct_next(e, how, r, queue, count, before);
    before = count;
    if (r->pulling) {
      bits_set(e, r->bits, queue, count);
      e->active = r->bits;
      status = cira__engine_step(e, how->pull, NULL, n, work, next, n);
      e->active = NULL;
    } else {
      status = cira__engine_step(e, how->push, queue, count, work, next, n);
    }
    queue = next;
    count = atomic_load(&e->next_count);
    round++;
    cira__engine_progress(e, how->what, round, 0);
    if (status == CIRA_OK && how->round != NULL &&
        !how->round(e->context, round, count)) {
      break;
    }
  }
  *out_rounds = round;
  return status;
}

cira_status_t cira__rounds(cira__engine_t *e, const cira__rounds_t *how,
                           const uint32_t *frontier, uint64_t count,
                           uint64_t *out_rounds) {
  rounds_t r = {.unseen = e->graph->edges};
  uint64_t n = (uint64_t)e->graph->n, rounds = 0;
  uint32_t *all = NULL;
  cira_status_t status = CIRA_OK;
  for (uint64_t i = 0; frontier != NULL && i < count; i++) {
    if (frontier[i] >= n) {
      return cira__vertex_check(e->graph, frontier[i], "the frontier's vertex");
    }
  }
  if (frontier != NULL && count > n) {
    return cira__fail(CIRA_E_RANGE,
                      "a frontier of %llu vertices: the graph "
                      "has %llu",
                      (unsigned long long)count, (unsigned long long)n);
  }
  if ((status = cira__state_raw(e, n * 4, &r.queue[0])) == CIRA_OK &&
      (status = cira__state_raw(e, n * 4, &r.queue[1])) == CIRA_OK &&
      how->pull != NULL) {
    status = cira__state_raw(e, (n + 63) / 64 * 8, &r.bits);
  }
  if (status == CIRA_OK && frontier == NULL) {
    count = n;
    if (how->push != NULL) { /* round 0 writes to the other queue */
      all = r.queue[1];
      for (uint64_t i = 0; i < n; i++) {
        all[i] = (uint32_t)i;
      }
    }
    frontier = all;
  }
  if (status == CIRA_OK) {
    status = rounds_run(e, how, &r, frontier, count, &rounds);
  }
  cira__state_free(e, r.queue[0]);
  cira__state_free(e, r.queue[1]);
  cira__state_free(e, r.bits);
  if (status == CIRA_OK && out_rounds != NULL) {
    *out_rounds = rounds;
  }
  return status;
}

/* ---- programs ------------------------------------------------------------
 */

void cira_graph_activate(cira_graph_worker_t *worker, uint32_t vertex) {
  cira__activate(worker, vertex);
}

uint32_t cira_graph_worker_index(const cira_graph_worker_t *worker) {
  return worker->index;
}

static void program_push(cira__engine_t *e, cira_graph_worker_t *w) {
  const cira_graph_program_t *p = e->context;
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__push(e, w, &e->graph->out, e->queue, lo, hi, p->state, p->state_bytes,
               p->begin, p->push, p->end, p->context);
  }
}

static void program_pull(cira__engine_t *e, cira_graph_worker_t *w) {
  const cira_graph_program_t *p = e->context;
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__dense(e, w, &e->graph->in, lo, hi, p->begin, p->pull, p->end,
                p->context);
  }
}

static bool program_round(void *context, uint64_t round, uint64_t active) {
  const cira_graph_program_t *p = context;
  return p->round == NULL || p->round(p->context, round, active);
}

cira_status_t cira_graph_program_run(const cira_graph_t *graph,
                                     const cira_graph_program_t *program,
                                     const uint32_t *frontier, uint64_t count,
                                     const cira_graph_run_t *run,
                                     uint64_t *out_rounds) {
  cira_graph_program_t p = {0};
  cira__engine_t e;
  memcpy(&p, program, cira__min_u64(program->size, sizeof p));
  bool pulls = p.pull != NULL && graph->in.rows != NULL;
  if (p.push == NULL && !pulls) {
    return cira__fail(CIRA_E_INVALID,
                      "the program can %s; build the graph with in_edges, or "
                      "give it a push function",
                      p.pull != NULL ? "only pull, and the graph does not know "
                                       "its incoming edges"
                                     : "neither push nor pull");
  }
  if (p.state != NULL && p.state_bytes == 0) {
    return cira__fail(CIRA_E_INVALID, "a program's state without the size of "
                                      "its elements; set state_bytes");
  }
  cira_status_t status = cira__engine_open(graph, run, &p, &e);
  if (status == CIRA_OK) {
    cira__rounds_t how = {.push = p.push != NULL ? program_push : NULL,
                          .pull = pulls ? program_pull : NULL,
                          .round = program_round,
                          .what = "rounds"};
    status = cira__rounds(&e, &how, frontier, count, out_rounds);
    cira__engine_close(&e);
  }
  return status;
}

/* ---- edges ---------------------------------------------------------------
 */

typedef struct {
  const cira_graph_edges_t *edges;
  const cira_graph_edge_program_t *program;
} edges_run_t;

static void edges_step(cira__engine_t *e, cira_graph_worker_t *w) {
  const edges_run_t *r = e->context;
  const cira_graph_edges_t *l = r->edges;
  cira__span_t from = {0}, to = {0}, weight = {0};
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    while (lo < hi) {
      uint64_t end = hi;
      if (lo - from.lo >= from.hi - from.lo) {
        cira__span_open(e, l->from.p, 4, lo, l->count, &from);
      }
      if (lo - to.lo >= to.hi - to.lo) {
        cira__span_open(e, l->to.p, 4, lo, l->count, &to);
      }
      if (l->weighted && lo - weight.lo >= weight.hi - weight.lo) {
        cira__span_open(e, l->weight.p, 4, lo, l->count, &weight);
      }
      end = cira__min_u64(end, cira__min_u64(from.hi, to.hi));
      end = l->weighted ? cira__min_u64(end, weight.hi) : end;
      r->program->edge(r->program->context, w, end - lo,
                       (const uint32_t *)(const void *)from.p + (lo - from.lo),
                       (const uint32_t *)(const void *)to.p + (lo - to.lo),
                       l->weighted ? (const int32_t *)(const void *)weight.p +
                                         (lo - weight.lo)
                                   : NULL);
      lo = end;
    }
  }
}

cira_status_t cira_graph_edges_run(const cira_graph_edges_t *edges,
                                   const cira_graph_edge_program_t *program,
                                   const cira_graph_run_t *run) {
  cira__engine_t e;
  edges_run_t r = {edges, program};
  /* The engine only asks where the arrays are. */
  cira_graph_t like = {.n = (int64_t)edges->vertices,
                       .edges = edges->count,
                       .place = edges->place};
  cira_status_t status = cira__engine_open(&like, run, &r, &e);
  if (status == CIRA_OK) {
    status = cira__engine_step(&e, edges_step, NULL, edges->count, edges->count,
                               NULL, 0);
    cira__engine_close(&e);
  }
  return status;
}
