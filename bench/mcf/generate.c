/* SPDX-License-Identifier: Apache-2.0
 *
 * A generator in the manner of NETGEN (Klingman, Napier, Stutz 1974). A
 * skeleton guarantees that a flow exists: each source heads a chain of
 * transshipment nodes, and the end of the chain is joined to sinks, with bounds
 * that let the source's supply through. Random arcs fill up to the number
 * asked for, as many from one node as from another, grouped by their tail. A
 * share of the skeleton has the highest cost, so that the best flow leaves it.
 * Invariant: the same recipe gives the same network on every machine; nothing
 * but integer arithmetic and the generator of random numbers below is used.
 */
#include "mcf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The instances, with heap and time as in README.md. */
static const struct mcf_recipe recipes[] = {
    {.name = "test",
     .seed = 20240601,
     .nodes = 20000,
     .sources = 600,
     .sinks = 600,
     .arcs = 200000,
     .cost_min = 1,
     .cost_max = 10000,
     .supply = 600000,
     .bound_min = 10,
     .bound_max = 1000,
     .percent_dear = 30,
     .percent_bounded = 100},
    {.name = "train",
     .seed = 20240602,
     .nodes = 30000,
     .sources = 1000,
     .sinks = 1000,
     .arcs = 3000000,
     .cost_min = 1,
     .cost_max = 10000,
     .supply = 1000000,
     .bound_min = 10,
     .bound_max = 1000,
     .percent_dear = 30,
     .percent_bounded = 100},
    {.name = "ref",
     .seed = 20240603,
     .nodes = 100000,
     .sources = 3000,
     .sinks = 3000,
     .arcs = 20000000,
     .cost_min = 1,
     .cost_max = 10000,
     .supply = 3000000,
     .bound_min = 10,
     .bound_max = 1000,
     .percent_dear = 30,
     .percent_bounded = 100},
};

const struct mcf_recipe *mcf_recipe_find(const char *name) {
  for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
    if (strcmp(recipes[i].name, name) == 0) {
      return &recipes[i];
    }
  }
  return NULL;
}

struct maker {
  const struct mcf_recipe *recipe;
  struct mcf_network *net;
  struct mcf_error *error;
  uint64_t random;
  int64_t *supply;    /* by node number */
  int64_t *chain_end; /* by source: the last node of its chain so far */
  int64_t *order;     /* transshipment nodes in random order */
};

/* Splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t random_bits(struct maker *maker) {
  uint64_t x = maker->random += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* From low to high, both included. */
static int64_t random_range(struct maker *maker, int64_t low, int64_t high) {
  uint64_t span = (uint64_t)(high - low) + 1;
  return low + (int64_t)(((unsigned __int128)random_bits(maker) * span) >> 64);
}

static bool random_percent(struct maker *maker, int64_t percent) {
  return random_range(maker, 0, 99) < percent;
}

static int64_t random_bound(struct maker *maker, int64_t at_least) {
  const struct mcf_recipe *r = maker->recipe;
  if (!random_percent(maker, r->percent_bounded)) {
    return r->supply;
  }
  int64_t bound = random_range(maker, r->bound_min, r->bound_max);
  return bound < at_least ? at_least : bound;
}

static int64_t first_sink(const struct mcf_recipe *r) {
  return r->nodes - r->sinks + 1;
}

/* Each source is joined to its share of all sinks, so that every sink is
 * reached, and to this many at random. */
#define EXTRA_SINKS 2

static int64_t sinks_of_source(const struct mcf_recipe *r, int64_t source) {
  int64_t share = (r->sinks - (source - 1) % r->sinks - 1) / r->sources + 1;
  return (r->sources >= r->sinks ? 1 : share) + EXTRA_SINKS;
}

static int64_t skeleton_arcs(const struct mcf_recipe *r) {
  int64_t arcs = r->nodes - r->sources - r->sinks;
  for (int64_t s = 1; s <= r->sources; s++) {
    arcs += sinks_of_source(r, s);
  }
  return arcs;
}

static int recipe_check(const struct mcf_recipe *r, struct mcf_error *error) {
  if (r->sources < 1 || r->sinks < 1 || r->nodes > MCF_NODES_MAX ||
      r->sources > MCF_NODES_MAX || r->sinks > MCF_NODES_MAX ||
      r->sources + r->sinks > r->nodes) {
    return mcf_fail(error, MCF_E_INPUT,
                    "%" PRId64 " sources and %" PRId64 " sinks of %" PRId64
                    " nodes: at least one of each, and not more than the nodes",
                    r->sources, r->sinks, r->nodes);
  }
  if (r->supply < r->sources || r->supply > MCF_FLOW_LIMIT / 4) {
    return mcf_fail(error, MCF_E_INPUT,
                    "supply %" PRId64
                    ": must be at least the number of sources (%" PRId64
                    ") and at most 2^59",
                    r->supply, r->sources);
  }
  if (r->cost_min > r->cost_max || r->cost_min < -(INT64_MAX >> 8) ||
      r->cost_max > INT64_MAX >> 8) {
    return mcf_fail(error, MCF_E_INPUT,
                    "costs %" PRId64 " to %" PRId64
                    ": the range is empty or too large",
                    r->cost_min, r->cost_max);
  }
  if (r->bound_min < 0 || r->bound_min > r->bound_max ||
      r->bound_max > MCF_FLOW_LIMIT) {
    return mcf_fail(error, MCF_E_INPUT,
                    "bounds %" PRId64 " to %" PRId64
                    ": must be 0 or more, and not empty",
                    r->bound_min, r->bound_max);
  }
  if (r->percent_dear < 0 || r->percent_dear > 100 || r->percent_bounded < 0 ||
      r->percent_bounded > 100) {
    return mcf_fail(error, MCF_E_INPUT, "a percentage must be 0 to 100");
  }
  int64_t least = skeleton_arcs(r);
  if (r->arcs < least) {
    return mcf_fail(error, MCF_E_INPUT,
                    "%" PRId64 " arcs: %" PRId64
                    " are needed to make the problem feasible",
                    r->arcs, least);
  }
  return MCF_OK;
}

static int skeleton_arc(struct maker *maker, int64_t tail, int64_t head,
                        int64_t least_bound) {
  const struct mcf_recipe *r = maker->recipe;
  int64_t cost = random_percent(maker, r->percent_dear)
                     ? r->cost_max
                     : random_range(maker, r->cost_min, r->cost_max);
  return mcf_network_add_arc(maker->net, tail, head, 0,
                             random_bound(maker, least_bound), cost,
                             maker->error);
}

/* One unit for each source, the rest at random. */
static void share_supply(struct maker *maker) {
  const struct mcf_recipe *r = maker->recipe;
  int64_t rest = r->supply;
  for (int64_t s = 1; s <= r->sources; s++) {
    int64_t left = r->sources - s; /* sources that still need one unit */
    int64_t most = 2 * (rest / (left + 1));
    most = most > rest - left ? rest - left : most;
    maker->supply[s] = left == 0 ? rest : random_range(maker, 1, most);
    rest -= maker->supply[s];
  }
}

/* Transshipment nodes join the chains: most of them in turn, the others to a
 * random chain, so that chains differ in length. */
static int make_chains(struct maker *maker) {
  const struct mcf_recipe *r = maker->recipe;
  int64_t count = r->nodes - r->sources - r->sinks;
  for (int64_t i = 0; i < count; i++) {
    int64_t j = random_range(maker, 0, i);
    maker->order[i] = maker->order[j];
    maker->order[j] = r->sources + 1 + i;
  }
  for (int64_t s = 1; s <= r->sources; s++) {
    maker->chain_end[s] = s;
  }
  for (int64_t i = 0; i < count; i++) {
    int64_t source = i < count / 10 * 6 ? i % r->sources + 1
                                        : random_range(maker, 1, r->sources);
    int result = skeleton_arc(maker, maker->chain_end[source], maker->order[i],
                              maker->supply[source]);
    if (result) {
      return result;
    }
    maker->chain_end[source] = maker->order[i];
  }
  return MCF_OK;
}

static int join_sinks(struct maker *maker) {
  const struct mcf_recipe *r = maker->recipe;
  for (int64_t s = 1; s <= r->sources; s++) {
    int64_t count = sinks_of_source(r, s);
    int64_t rest = maker->supply[s];
    for (int64_t i = 0; i < count; i++) {
      int64_t sink = i < count - EXTRA_SINKS
                         ? first_sink(r) + (s - 1 + i * r->sources) % r->sinks
                         : random_range(maker, first_sink(r), r->nodes);
      int64_t part = i == count - 1 ? rest : random_range(maker, 0, rest);
      int result = skeleton_arc(maker, maker->chain_end[s], sink, part);
      if (result) {
        return result;
      }
      maker->supply[sink] -= part;
      rest -= part;
    }
  }
  return MCF_OK;
}

/* From every node but the sinks, to every node but the sources. */
static int fill_up(struct maker *maker) {
  const struct mcf_recipe *r = maker->recipe;
  int64_t rest = r->arcs - maker->net->arc_count;
  for (int64_t tail = 1; tail < first_sink(r); tail++) {
    int64_t left = first_sink(r) - tail;
    int64_t share = rest / left;
    int64_t count =
        left == 1 ? rest
                  : random_range(maker, share / 2, share + (share + 1) / 2);
    count = count > rest ? rest : count;
    for (int64_t i = 0; i < count; i++) {
      int64_t head = random_range(maker, r->sources + 1, r->nodes);
      if (head == tail) {
        head = r->nodes; /* a sink, so not this node */
      }
      int64_t cost = random_range(maker, r->cost_min, r->cost_max);
      int result =
          mcf_network_add_arc(maker->net, tail, head, 0, random_bound(maker, 0),
                              cost, maker->error);
      if (result) {
        return result;
      }
    }
    rest -= count;
  }
  return MCF_OK;
}

static int make_all(struct maker *maker) {
  int result;
  share_supply(maker);
  if ((result = make_chains(maker)) || (result = join_sinks(maker)) ||
      (result = fill_up(maker))) {
    return result;
  }
  for (int64_t i = 1; i <= maker->recipe->nodes; i++) {
    if (maker->supply[i] != 0 &&
        (result = mcf_network_set_supply(maker->net, i, maker->supply[i],
                                         maker->error))) {
      return result;
    }
  }
  return mcf_network_check(maker->net, maker->error);
}

int mcf_generate(const struct mcf_recipe *recipe, struct mcf_network *out_net,
                 struct mcf_error *error) {
  struct mcf_network net;
  int result = recipe_check(recipe, error);
  if (result ||
      (result = mcf_network_init(&net, recipe->nodes, recipe->arcs, error))) {
    return result;
  }
  size_t room = (size_t)recipe->nodes + 1;
  struct maker maker = {
      .recipe = recipe,
      .net = &net,
      .error = error,
      .random = recipe->seed,
      .supply = calloc(room, sizeof(int64_t)),
      .chain_end = calloc(room, sizeof(int64_t)),
      .order = calloc(room, sizeof(int64_t)),
  };
  result = maker.supply && maker.chain_end && maker.order
               ? make_all(&maker)
               : mcf_fail(error, MCF_E_FAILED, "out of memory");
  free(maker.supply);
  free(maker.chain_end);
  free(maker.order);
  if (result) {
    mcf_network_fini(&net);
    return result;
  }
  *out_net = net;
  return MCF_OK;
}
