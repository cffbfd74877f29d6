/* SPDX-License-Identifier: Apache-2.0
 *
 * Minimum-cost flow: find the cheapest flow that moves the supplies of a
 * directed network to its demands within the bounds of its arcs.
 *
 * A network is two blocks of memory, one of nodes and one of arcs, that point
 * into each other. The simplex method keeps its basis, a spanning tree, in the
 * nodes. What the user gave (supply, tail, head, lower, upper, cost) is never
 * changed by the solver; what it finds is in arc->flow.
 * Invariant: sizes are limited when supplies and arcs are added, so that no
 * flow, potential or reduced cost can overflow 64 bits later.
 * Threads: a network belongs to one thread at a time; no global state.
 * Read: network.c, dimacs.c or generate.c, simplex.c, pricing.c, verify.c.
 */
#ifndef MCF_H
#define MCF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Upper bound of an arc without one. In files it is this number too. */
#define MCF_UNLIMITED INT64_MAX

/* Supplies together, and bounds together, stay below this; their sum and
 * difference then fit 64 bits. */
#define MCF_FLOW_LIMIT ((int64_t)1 << 61)

#define MCF_NODES_MAX ((int64_t)1 << 30)
#define MCF_ARCS_MAX ((int64_t)1 << 40)

/* Results; the programs exit with them. */
enum mcf_result {
  MCF_OK = 0,
  MCF_E_FAILED = 1,     /* memory, I/O, or a solution that is wrong */
  MCF_E_INPUT = 2,      /* the input or the usage is not valid */
  MCF_E_NO_OPTIMUM = 3, /* infeasible or unbounded */
};

/* What went wrong, in one line without a line feed. */
struct mcf_error {
  char text[512];
};

enum mcf_arc_state {
  MCF_AT_UPPER = -1,
  MCF_SETTLED = 0, /* in the tree, or lower == upper: never priced */
  MCF_AT_LOWER = 1,
};

struct mcf_arc {
  struct mcf_node *tail;
  struct mcf_node *head;
  int64_t cost;  /* per unit of flow */
  int64_t lower; /* 0 <= lower <= upper */
  int64_t upper; /* or MCF_UNLIMITED */
  int64_t flow;  /* current unless the arc is in the tree; see node->flow */
  int32_t state; /* enum mcf_arc_state */
};

struct mcf_node {
  int64_t potential;
  struct mcf_node *thread; /* next in pre-order; behind the last the root */
  struct mcf_node *pred;   /* parent in the tree; NULL for the root */
  struct mcf_node *child;  /* first child */
  struct mcf_node *right;  /* next sibling; NULL for the last */
  struct mcf_node *left;   /* previous sibling; of the first, the last */
  struct mcf_arc *basic;   /* tree arc between this node and pred */
  int64_t flow;            /* on that arc */
  int64_t supply;          /* > 0 source, < 0 sink */
  int32_t size;            /* nodes in the subtree, with this one */
  int32_t up;              /* 1: basic leads to pred, 0: it comes from there */
};

struct mcf_network {
  struct mcf_node *nodes; /* [0] is the root, [1..node_count] are the user's */
  struct mcf_arc *arcs;   /* the user's, then one artificial arc per node */
  int64_t node_count;
  int64_t arc_count; /* the user's arcs so far */
  int64_t arc_capacity;
  int64_t cost_limit;     /* |cost| allowed for this number of nodes */
  int64_t cost_max;       /* largest |cost| so far */
  int64_t supply_balance; /* sum of the supplies */
  int64_t supply_total;   /* sum of their absolute values */
  int64_t bound_total;    /* sum of the finite upper bounds */
};

/* ---- network.c ---- */

/* Makes a network of `nodes` nodes without supply and room for `arcs` arcs.
 * Returns MCF_OK; MCF_E_INPUT for counts out of range; MCF_E_FAILED when the
 * memory is exhausted. The caller ends it with mcf_network_fini(). */
int mcf_network_init(struct mcf_network *net, int64_t nodes, int64_t arcs,
                     struct mcf_error *error);

/* Frees what the network owns. Does nothing to a zeroed one. */
void mcf_network_fini(struct mcf_network *net);

/* Sets the supply (demand when negative) of a node; at most once per node.
 * Returns MCF_OK or MCF_E_INPUT, then nothing is changed. */
int mcf_network_set_supply(struct mcf_network *net, int64_t node,
                           int64_t supply, struct mcf_error *error);

/* Adds an arc. Parallel arcs and loops are allowed.
 * Returns MCF_OK or MCF_E_INPUT, then nothing is changed. */
int mcf_network_add_arc(struct mcf_network *net, int64_t tail, int64_t head,
                        int64_t lower, int64_t upper, int64_t cost,
                        struct mcf_error *error);

/* Checks what only holds for a complete network: all arcs there, supplies and
 * demands equal. Returns MCF_OK or MCF_E_INPUT. */
int mcf_network_check(const struct mcf_network *net, struct mcf_error *error);

/* The number of a node as in the input: 1 to node_count. */
int64_t mcf_node_number(const struct mcf_network *net,
                        const struct mcf_node *node);

/* Bytes that the network holds on the heap. */
int64_t mcf_network_bytes(const struct mcf_network *net);

/* The cost of arc->flow over all arcs.
 * Returns MCF_OK; MCF_E_INPUT when it does not fit 64 bits. */
int mcf_network_objective(const struct mcf_network *net, int64_t *out_objective,
                          struct mcf_error *error);

/* Writes the printf-like text to `error` and returns `result`. */
int mcf_fail(struct mcf_error *error, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- dimacs.c ---- */

/* Refuses files that announce more than this; NULL means no more than
 * MCF_NODES_MAX and MCF_ARCS_MAX. */
struct mcf_limits {
  int64_t nodes;
  int64_t arcs;
};

/* Reads a problem in the DIMACS min-cost format. `name` is used in messages.
 * Returns MCF_OK and a network that the caller ends; MCF_E_INPUT with
 * "name:line: what"; MCF_E_FAILED for memory and read errors. */
int mcf_read_problem(FILE *file, const char *name,
                     const struct mcf_limits *limits,
                     struct mcf_network *out_net, struct mcf_error *error);

/* Writes the problem; reading it gives an equal network.
 * Returns MCF_OK or MCF_E_FAILED. */
int mcf_write_problem(FILE *file, const struct mcf_network *net,
                      struct mcf_error *error);

/* Writes the solution in arc->flow: an "s" line with the objective, then an
 * "f" line for every arc that has flow. Returns MCF_OK or MCF_E_FAILED. */
int mcf_write_solution(FILE *file, const struct mcf_network *net,
                       int64_t objective, struct mcf_error *error);

/* Reads a solution for `net` into arc->flow. The format cannot tell parallel
 * arcs apart: their flow is added up and shared out, lower bounds first, then
 * the cheapest arcs first.
 * Returns as mcf_read_problem(); flow between nodes without an arc is bad
 * input, flow over the bounds is left for the verifier to find. */
int mcf_read_solution(FILE *file, const char *name, struct mcf_network *net,
                      int64_t *out_objective, struct mcf_error *error);

/* ---- pricing.c ---- */

enum mcf_grouping {
  MCF_BLOCKS,      /* a group is consecutive arcs */
  MCF_INTERLEAVED, /* a group is every k-th arc */
};

/* A field that is 0 means its default. */
struct mcf_options {
  int64_t group_size; /* arcs per group; default 2 * sqrt(arcs) */
  int64_t candidates; /* arcs kept from one pivot to the next; default 50 */
  enum mcf_grouping grouping;
  /* Called after each pivot, for tests; must not change the network. */
  void (*observe)(const struct mcf_network *net, void *data);
  void *observe_data;
};

struct mcf_candidate {
  struct mcf_arc *arc;
  int64_t gain; /* cost saved per unit of flow, > 0 */
};

struct mcf_pricing {
  struct mcf_arc *arcs;
  int64_t arc_count;
  int64_t group_size;
  int64_t group_count;
  int64_t next_group;
  enum mcf_grouping grouping;
  struct mcf_candidate *list;
  int64_t list_count;
  int64_t list_keep;
  int64_t list_enough; /* look at no further group with this many */
  int64_t arcs_priced; /* for statistics */
};

/* Prepares the pricing of `count` arcs. Returns MCF_OK or MCF_E_FAILED. */
int mcf_pricing_init(struct mcf_pricing *pricing, struct mcf_arc *arcs,
                     int64_t count, const struct mcf_options *options,
                     struct mcf_error *error);

void mcf_pricing_fini(struct mcf_pricing *pricing);

/* Returns an arc that violates optimality, NULL when there is none.
 * Cost: one group as long as violating arcs abound; all when there is none. */
struct mcf_arc *mcf_pricing_next(struct mcf_pricing *pricing);

/* ---- simplex.c ---- */

struct mcf_stats {
  int64_t objective;
  int64_t pivots;
  int64_t degenerate; /* pivots that moved no flow */
  int64_t flips;      /* pivots that moved an arc from bound to bound */
  int64_t arcs_priced;
  int64_t nodes_climbed; /* steps along cycles */
  int64_t nodes_shifted; /* potentials changed */
};

/* Solves the network by the primal simplex method; the flow is in arc->flow.
 * `options` may be NULL. Returns MCF_OK and the statistics; MCF_E_NO_OPTIMUM
 * when no flow meets the supplies or the cost has no bound; MCF_E_INPUT when
 * the objective does not fit 64 bits; MCF_E_FAILED without memory. */
int mcf_solve(struct mcf_network *net, const struct mcf_options *options,
              struct mcf_stats *out_stats, struct mcf_error *error);

/* Checks the tree of a network that was given to mcf_solve(): links, thread,
 * sizes, potentials, bounds, and that it is strongly feasible. May be called
 * between pivots too, see mcf_options.
 * Returns NULL or what is wrong. Cost: linear. */
const char *mcf_tree_check(const struct mcf_network *net);

/* ---- generate.c ---- */

struct mcf_recipe {
  const char *name;
  uint64_t seed;
  int64_t nodes;
  int64_t sources; /* the first nodes */
  int64_t sinks;   /* the last nodes; those between only pass flow on */
  int64_t arcs;
  int64_t cost_min;
  int64_t cost_max;
  int64_t supply;          /* of all sources together */
  int64_t bound_min;       /* range of the upper bounds */
  int64_t bound_max;       /* of arcs that have one */
  int64_t percent_dear;    /* skeleton arcs that have cost_max */
  int64_t percent_bounded; /* arcs that have a bound */
};

/* The instance with that name (test, train, ref), NULL when there is none. */
const struct mcf_recipe *mcf_recipe_find(const char *name);

/* Makes the network that the recipe describes: feasible, and the same on every
 * machine. Returns MCF_OK and a network that the caller ends, MCF_E_INPUT when
 * the numbers contradict each other, MCF_E_FAILED without memory. */
int mcf_generate(const struct mcf_recipe *recipe, struct mcf_network *out_net,
                 struct mcf_error *error);

/* ---- verify.c ---- */

/* Proves that arc->flow is a feasible flow of least cost `objective`, from the
 * problem and the flow alone: it computes potentials of its own and checks
 * complementary slackness. Returns MCF_OK; MCF_E_FAILED and the first thing
 * that is wrong. */
int mcf_verify(const struct mcf_network *net, int64_t objective,
               struct mcf_error *error);

#endif
