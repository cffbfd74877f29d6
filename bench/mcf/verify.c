/* SPDX-License-Identifier: Apache-2.0
 *
 * The verifier. It trusts nothing that the solver left but arc->flow, and calls
 * no code of it. Feasible: each flow is within its bounds and each node passes
 * on what it gets plus its supply. Optimal: there are potentials with which
 * every arc below its upper bound has reduced cost >= 0 and every arc above its
 * lower bound has reduced cost <= 0 (complementary slackness). Such potentials
 * are the lengths of shortest paths in the residual network; Bellman and Ford's
 * method finds them, or a cycle along which the cost can still fall.
 * Threads: any; the network is only read.
 */
#include "mcf.h"

#include <inttypes.h>
#include <stdlib.h>

/* Room for listed arcs; those that find none are met in the next round. */
#define LIST_PER_NODE 4

struct verifier {
  const struct mcf_network *net;
  struct mcf_error *error;
  int64_t *value; /* by node: first its balance, then its distance */
  int64_t *from;  /* by node: where its shortest path comes from, 0: start */
  int64_t *mark;  /* by node: walk that met it last */
  const struct mcf_arc **list; /* arcs that shortened paths */
  int64_t list_count;
  int64_t list_room;
  int64_t floor; /* no path without a cycle is shorter */
  int64_t below; /* node with a path that is, 0: none */
};

static int64_t tail_of(const struct verifier *v, const struct mcf_arc *arc) {
  return arc->tail - v->net->nodes;
}

static int64_t head_of(const struct verifier *v, const struct mcf_arc *arc) {
  return arc->head - v->net->nodes;
}

static int bounds_verify(const struct verifier *v) {
  for (int64_t i = 0; i < v->net->arc_count; i++) {
    const struct mcf_arc *arc = &v->net->arcs[i];
    if (arc->flow < arc->lower || arc->flow > arc->upper) {
      return mcf_fail(v->error, MCF_E_FAILED,
                      "not feasible: flow %" PRId64 " from %" PRId64
                      " to %" PRId64 " (arc %" PRId64 ") is not within %" PRId64
                      " to %" PRId64,
                      arc->flow, tail_of(v, arc), head_of(v, arc), i + 1,
                      arc->lower, arc->upper);
    }
  }
  return MCF_OK;
}

static int balance_verify(const struct verifier *v) {
  for (int64_t i = 1; i <= v->net->node_count; i++) {
    v->value[i] = v->net->nodes[i].supply;
  }
  for (int64_t i = 0; i < v->net->arc_count; i++) {
    const struct mcf_arc *arc = &v->net->arcs[i];
    int64_t *out = &v->value[tail_of(v, arc)];
    int64_t *in = &v->value[head_of(v, arc)];
    if (__builtin_sub_overflow(*out, arc->flow, out) ||
        __builtin_add_overflow(*in, arc->flow, in)) {
      return mcf_fail(v->error, MCF_E_FAILED,
                      "not feasible: the flow through node %" PRId64
                      " or %" PRId64 " does not fit 64 bits",
                      tail_of(v, arc), head_of(v, arc));
    }
  }
  for (int64_t i = 1; i <= v->net->node_count; i++) {
    if (v->value[i] != 0) {
      return mcf_fail(v->error, MCF_E_FAILED,
                      "not feasible: node %" PRId64 " keeps %" PRId64
                      " units that it should pass on",
                      i, v->value[i]);
    }
  }
  return MCF_OK;
}

static int cost_verify(const struct verifier *v, int64_t objective) {
  int64_t sum = 0;
  for (int64_t i = 0; i < v->net->arc_count; i++) {
    const struct mcf_arc *arc = &v->net->arcs[i];
    int64_t product;
    if (__builtin_mul_overflow(arc->flow, arc->cost, &product) ||
        __builtin_add_overflow(sum, product, &sum)) {
      return mcf_fail(v->error, MCF_E_FAILED,
                      "wrong objective: the cost does not fit 64 bits");
    }
  }
  if (sum != objective) {
    return mcf_fail(v->error, MCF_E_FAILED,
                    "wrong objective: %" PRId64 " claimed, but the flow costs "
                    "%" PRId64,
                    objective, sum);
  }
  return MCF_OK;
}

/* Shortens the path to `head` by going over `tail`, if that is shorter. */
static inline bool relax(struct verifier *v, int64_t tail, int64_t head,
                         int64_t cost) {
  int64_t value = v->value[tail] + cost;
  if (value >= v->value[head]) {
    return false;
  }
  if (value < v->floor) {
    v->below = head; /* and never further, which could overflow */
    return true;
  }
  v->value[head] = value;
  v->from[head] = tail;
  return true;
}

static bool relax_arc(struct verifier *v, const struct mcf_arc *arc) {
  int64_t tail = tail_of(v, arc), head = head_of(v, arc);
  bool changed = false;
  if (arc->flow < arc->upper) {
    changed |= relax(v, tail, head, arc->cost);
  }
  if (arc->flow > arc->lower) {
    changed |= relax(v, head, tail, -arc->cost);
  }
  return changed;
}

/* Looks at every arc once, and lists those that shorten a path. */
static bool relax_all(struct verifier *v) {
  bool changed = false;
  for (int64_t i = 0; i < v->net->arc_count; i++) {
    const struct mcf_arc *arc = &v->net->arcs[i];
    if (relax_arc(v, arc)) {
      changed = true;
      if (v->list_count < v->list_room) {
        v->list[v->list_count++] = arc;
      }
    }
  }
  return changed;
}

/* Looks at the listed arcs; from the last to the first in every other round,
 * which shortens paths against their order sooner (Yen 1970). */
static bool relax_listed(struct verifier *v, bool backwards) {
  int64_t count = v->list_count;
  bool changed = false;
  for (int64_t i = 0; i < count; i++) {
    changed |= relax_arc(v, v->list[backwards ? count - 1 - i : i]);
  }
  return changed;
}

/* A path that comes back to itself is a cycle of negative length. Returns a
 * node on one, 0 when there is none. */
static int64_t cycle_find(const struct verifier *v) {
  for (int64_t i = 1; i <= v->net->node_count; i++) {
    v->mark[i] = 0;
  }
  for (int64_t i = 1; i <= v->net->node_count; i++) {
    int64_t node = i;
    while (node != 0 && v->mark[node] == 0) {
      v->mark[node] = i;
      node = v->from[node];
    }
    if (node != 0 && v->mark[node] == i) {
      return node;
    }
  }
  return 0;
}

static int distances_find(struct verifier *v) {
  for (int64_t i = 1; i <= v->net->node_count; i++) {
    v->value[i] = 0;
    v->from[i] = 0;
  }
  v->floor = -v->net->node_count * v->net->cost_max;

  /* Few arcs of a large network are on shortest paths: between two looks at
   * all arcs, look at those that were until they change nothing more. With a
   * negative cycle values fall until paths close or pass the floor. */
  while (relax_all(v)) {
    bool backwards = false;
    do {
      int64_t node = v->below ? v->below : cycle_find(v);
      if (node != 0) {
        return mcf_fail(v->error, MCF_E_FAILED,
                        "not optimal: flow along a cycle with a path to node "
                        "%" PRId64 " would lower the cost",
                        node);
      }
      backwards = !backwards;
    } while (relax_listed(v, backwards));
  }
  return MCF_OK;
}

static int slackness_verify(const struct verifier *v) {
  for (int64_t i = 0; i < v->net->arc_count; i++) {
    const struct mcf_arc *arc = &v->net->arcs[i];
    int64_t reduced =
        arc->cost + v->value[tail_of(v, arc)] - v->value[head_of(v, arc)];
    if ((reduced < 0 && arc->flow != arc->upper) ||
        (reduced > 0 && arc->flow != arc->lower)) {
      return mcf_fail(v->error, MCF_E_FAILED,
                      "not optimal: the arc from %" PRId64 " to %" PRId64
                      " has reduced cost %" PRId64 " and flow %" PRId64,
                      tail_of(v, arc), head_of(v, arc), reduced, arc->flow);
    }
  }
  return MCF_OK;
}

int mcf_verify(const struct mcf_network *net, int64_t objective,
               struct mcf_error *error) {
  size_t room = (size_t)net->node_count + 1;
  struct verifier v = {
      .net = net,
      .error = error,
      .value = calloc(room, sizeof(int64_t)),
      .from = calloc(room, sizeof(int64_t)),
      .mark = calloc(room, sizeof(int64_t)),
      .list = calloc(LIST_PER_NODE * room, sizeof(struct mcf_arc *)),
      .list_room = LIST_PER_NODE * (int64_t)room,
  };
  int result = MCF_E_FAILED;
  if (!v.value || !v.from || !v.mark || !v.list) {
    mcf_fail(error, MCF_E_FAILED, "out of memory");
  } else if (!bounds_verify(&v) && !balance_verify(&v) &&
             !cost_verify(&v, objective) && !distances_find(&v) &&
             !slackness_verify(&v)) {
    result = MCF_OK;
  }
  free(v.value);
  free(v.from);
  free(v.mark);
  free(v.list);
  return result;
}
