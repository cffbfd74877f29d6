/* SPDX-License-Identifier: Apache-2.0
 *
 * PageRank by pulling: a vertex adds up what its in-neighbours give to each of
 * their edges. What it gives itself goes to a second array, so that a round
 * sees only the one before, whatever the order of vertices.
 */
#include <math.h>
#include <unistd.h>

#include "graph/engine.h"

#define AHEAD 64u /* edges */
#define TILE 512u /* vertices whose sums stay in the cache */
#define CACHE_BYTES                                                            \
  (1u << 20) /* of a core, where the machine does not tell                     \
              */

typedef struct {
  float *score;
  float *share; /* 1 / out-degree; 0: no outgoing edges */
  const float *given;
  float *giving;
  float base, damping;
  bool ahead; /* the array is too large for the core's own caches */
} rank_t;

typedef struct {
  const rank_t *rank;
  float sum;
  double change, idle; /* of this worker, in this round */
} rank_worker_t;

/* share[]: degrees are read from the rows alone. */
static void share_step(cira__engine_t *e, cira_graph_worker_t *w) {
  rank_t *r = e->context;
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    cira__span_t rows = {0};
    for (uint64_t v = lo; v < hi; v++) {
      uint64_t degree = cira__span_row(e, &e->graph->out, v + 1, &rows) -
                        cira__span_row(e, &e->graph->out, v, &rows);
      r->share[v] = degree > 0 ? 1.0f / (float)degree : 0;
    }
  }
  (void)w;
}

CIRA__INLINE bool gather(void *c, cira_graph_worker_t *w,
                         const cira_graph_list_t *l) {
  rank_worker_t *me = c;
  float sum = 0;
  (void)w;
  for (uint64_t i = 0; i < l->count; i++) {
    sum += me->rank->given[l->neighbours[i]];
  }
  me->sum += sum;
  return true;
}

CIRA__INLINE void keep(void *c, cira_graph_worker_t *w, uint32_t v) {
  rank_worker_t *me = c;
  (void)w;
  me->rank->giving[v] = me->sum; /* until apply turns it into what v gives */
  me->sum = 0;
}

/* Sums of n vertices to scores. Sums may be taken in any order, so that all of
 * it is vectorised. */
__attribute__((noinline)) static void
apply(uint64_t n, float base, float damping, float *restrict score,
      float *restrict giving, const float *restrict share, rank_worker_t *me) {
#ifdef __clang__
#pragma clang fp reassociate(on)
#endif
  float change = 0, idle = 0;
  for (uint64_t v = 0; v < n; v++) {
    float x = base + damping * giving[v];
    change += fabsf(x - score[v]);
    idle += share[v] == 0 ? x : 0;
    score[v] = x;
    giving[v] = x * share[v];
  }
  me->change += (double)change;
  me->idle += (double)idle;
}

/* Vertices lo..hi whose rows and lists can be read in one piece: the plain
 * loop. Returns false when they cannot. */
CIRA__INLINE bool gather_tile(cira__engine_t *e, const rank_t *r, uint64_t lo,
                              uint64_t hi, bool ahead, cira__span_t *rows,
                              cira__span_t *lists) {
  const cira__csr_t *in = &e->graph->in;
  uint64_t at = cira__span_row(e, in, lo, rows);
  if (rows->hi <= hi) {
    return false;
  }
  const uint64_t *row = (const uint64_t *)cira__span_zero(rows, 8);
  if (at < row[hi] && at - lists->lo >= lists->hi - lists->lo) {
    cira__span_open(e, in->neighbours, 4, at, e->graph->edges, lists);
  }
  uint64_t safe = ahead ? AHEAD : 0;
  if (row[hi] + safe > lists->hi) {
    return false;
  }
  const uint32_t *u = (const uint32_t *)cira__span_zero(lists, 4);
  const float *given = r->given;
  float *giving = r->giving;
  for (uint64_t v = lo; v < hi; v++) {
    float a = 0, b = 0;
    uint64_t to = row[v + 1];
    for (; at + 2 <= to; at += 2) {
      if (ahead) {
        __builtin_prefetch(&given[u[at + AHEAD]]);
        __builtin_prefetch(&given[u[at + 1 + AHEAD]]);
      }
      a += given[u[at]];
      b += given[u[at + 1]];
    }
    if (at < to) {
      a += given[u[at++]];
    }
    giving[v] = a + b;
  }
  return true;
}

CIRA__INLINE void rank_part(cira__engine_t *e, cira_graph_worker_t *w,
                            uint64_t lo, uint64_t end, bool ahead,
                            rank_worker_t *me) {
  const rank_t *r = me->rank;
  cira__span_t rows = {0}, lists = {0};
  for (uint64_t hi; lo < end; lo = hi) {
    hi = cira__min_u64(lo + TILE, end);
    if (!gather_tile(e, r, lo, hi, ahead, &rows, &lists)) {
      cira__dense(e, w, &e->graph->in, lo, hi, NULL, gather, keep, me);
    }
    apply(hi - lo, r->base, r->damping, r->score + lo, r->giving + lo,
          r->share + lo, me);
  }
}

static void rank_step(cira__engine_t *e, cira_graph_worker_t *w) {
  rank_worker_t me = *(rank_worker_t *)w->local; /* not shared while we work */
  uint64_t lo, hi;
  while (cira__take(e, &lo, &hi)) {
    if (me.rank->ahead) {
      rank_part(e, w, lo, hi, true, &me);
    } else {
      rank_part(e, w, lo, hi, false, &me);
    }
  }
  *(rank_worker_t *)w->local = me;
}

/* The first scores; returns how much of them lies with idle vertices. */
static double rank_begin(const cira_graph_t *g, rank_t *r, float *given) {
  uint64_t n = (uint64_t)g->n, idle = 0;
  float first = 1.0f / (float)n;
  for (uint64_t v = 0; v < n; v++) {
    r->score[v] = first;
    given[v] = first * r->share[v];
    idle += r->share[v] == 0;
  }
  return (double)idle / (double)n;
}

static cira_status_t rank_rounds(cira__engine_t *e, rank_t *r, float *arrays[2],
                                 double tolerance, uint32_t rounds_max,
                                 uint32_t *out_rounds) {
  uint64_t n = (uint64_t)e->graph->n;
  rank_worker_t state[CIRA_GRAPH_THREADS_MAX];
  double idle = rank_begin(e->graph, r, arrays[0]), change = 2;
  cira_status_t status = CIRA_OK;
  uint32_t round = 0;
  for (; status == CIRA_OK && round < rounds_max && change >= tolerance;
       round++) {
    double damping = (double)r->damping;
    r->given = arrays[round % 2];
    r->giving = arrays[(round + 1) % 2];
    r->base = (float)((1 - damping) / (double)n + damping * idle / (double)n);
    for (uint32_t i = 0; i < e->threads; i++) {
      state[i] = (rank_worker_t){.rank = r};
      e->workers[i].local = &state[i];
    }
    status =
        cira__engine_step(e, rank_step, NULL, n, e->graph->edges + n, NULL, 0);
    change = idle = 0;
    for (uint32_t i = 0; i < e->threads; i++) {
      change += state[i].change;
      idle += state[i].idle;
    }
    cira__engine_progress(e, "ranking, rounds", round + 1, rounds_max);
  }
  *out_rounds = round;
  return status;
}

cira_status_t cira_graph_pagerank(const cira_graph_t *g, double damping,
                                  double tolerance, uint32_t rounds_max,
                                  const cira_graph_run_t *run, float *out_score,
                                  uint32_t *out_rounds) {
  cira__engine_t e;
  rank_t r = {.score = out_score};
  float *arrays[2] = {NULL, NULL};
  uint64_t n = (uint64_t)g->n;
  uint32_t rounds = 0;
  damping = damping == 0 ? 0.85 : damping;
  tolerance = tolerance == 0 ? 1e-4 : tolerance;
  if (!(damping > 0 && damping < 1) || !(tolerance > 0)) {
    return cira__fail(CIRA_E_INVALID,
                      "PageRank takes a damping between 0 and 1 and a "
                      "tolerance above 0");
  }
  if (g->in.rows == NULL) {
    return cira__fail(CIRA_E_INVALID,
                      "PageRank reads incoming edges, which this graph does "
                      "not know; build it with in_edges");
  }
  cira_status_t status = cira__engine_open(g, run, &r, &e);
  if (status != CIRA_OK) {
    return status;
  }
  r.damping = (float)damping;
  long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  r.ahead = n * 4 > (uint64_t)(cache > 0 ? cache : CACHE_BYTES);
  if ((status = cira__state_raw(&e, n * 4, &arrays[0])) == CIRA_OK &&
      (status = cira__state_raw(&e, n * 4, &arrays[1])) == CIRA_OK &&
      (status = cira__state_raw(&e, n * 4, &r.share)) == CIRA_OK &&
      (status = cira__engine_step(&e, share_step, NULL, n, n, NULL, 0)) ==
          CIRA_OK) {
    status = rank_rounds(&e, &r, arrays, tolerance, rounds_max, &rounds);
  }
  cira__state_free(&e, arrays[0]);
  cira__state_free(&e, arrays[1]);
  cira__state_free(&e, r.share);
  cira__engine_close(&e);
  if (status == CIRA_OK && out_rounds != NULL) {
    *out_rounds = rounds;
  }
  return status;
}
