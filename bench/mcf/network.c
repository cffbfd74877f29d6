/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a network. Every number that enters passes through here, so this is
 * the place where overflow is ruled out:
 *   |potential| <= big-M + n * C and big-M = n * C + 1, for the largest |cost|
 *   C, hence |reduced cost| < 8 * (n + 2) * C; cost_limit keeps that in range.
 *   |flow| <= supplies + finite bounds < 2 * MCF_FLOW_LIMIT.
 * Threads: the network belongs to the caller.
 */
#include "mcf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

int mcf_fail(struct mcf_error *error, int result, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(error->text, sizeof error->text, format, args);
  va_end(args);
  return result;
}

int mcf_network_init(struct mcf_network *net, int64_t nodes, int64_t arcs,
                     struct mcf_error *error) {
  if (nodes < 1 || nodes > MCF_NODES_MAX) {
    return mcf_fail(error, MCF_E_INPUT,
                    "%" PRId64 " nodes: must be 1 to %" PRId64, nodes,
                    MCF_NODES_MAX);
  }
  if (arcs < 0 || arcs > MCF_ARCS_MAX) {
    return mcf_fail(error, MCF_E_INPUT,
                    "%" PRId64 " arcs: must be 0 to %" PRId64, arcs,
                    MCF_ARCS_MAX);
  }

  *net = (struct mcf_network){
      .node_count = nodes,
      .arc_capacity = arcs,
      .cost_limit = INT64_MAX / 8 / (nodes + 2),
  };
  /* The limits above keep these products far from 64 bits. */
  size_t node_bytes = (size_t)(nodes + 1) * sizeof *net->nodes;
  size_t arc_bytes = (size_t)(arcs + nodes) * sizeof *net->arcs;
  net->nodes = malloc(node_bytes);
  net->arcs = malloc(arc_bytes);
  if (!net->nodes || !net->arcs) {
    mcf_network_fini(net);
    return mcf_fail(error, MCF_E_FAILED,
                    "out of memory: %" PRId64 " nodes and %" PRId64
                    " arcs need %zu MiB",
                    nodes, arcs, (node_bytes + arc_bytes) >> 20);
  }
  for (int64_t i = 0; i <= nodes; i++) {
    net->nodes[i] = (struct mcf_node){0};
  }
  return MCF_OK;
}

void mcf_network_fini(struct mcf_network *net) {
  free(net->nodes);
  free(net->arcs);
  *net = (struct mcf_network){0};
}

static int node_check(const struct mcf_network *net, const char *what,
                      int64_t node, struct mcf_error *error) {
  if (node < 1 || node > net->node_count) {
    return mcf_fail(error, MCF_E_INPUT,
                    "%s %" PRId64 " out of range: must be 1 to %" PRId64, what,
                    node, net->node_count);
  }
  return MCF_OK;
}

int mcf_network_set_supply(struct mcf_network *net, int64_t node,
                           int64_t supply, struct mcf_error *error) {
  if (node_check(net, "node", node, error)) {
    return MCF_E_INPUT;
  }
  if (net->nodes[node].supply != 0) {
    return mcf_fail(error, MCF_E_INPUT, "node %" PRId64 " has a supply already",
                    node);
  }
  if (supply < -MCF_FLOW_LIMIT || supply > MCF_FLOW_LIMIT ||
      (supply < 0 ? -supply : supply) > MCF_FLOW_LIMIT - net->supply_total) {
    return mcf_fail(error, MCF_E_INPUT,
                    "supply %" PRId64
                    " makes the supplies add up to more than 2^61: scale them "
                    "down",
                    supply);
  }
  net->nodes[node].supply = supply;
  net->supply_balance += supply;
  net->supply_total += supply < 0 ? -supply : supply;
  return MCF_OK;
}

static int bounds_check(const struct mcf_network *net, int64_t lower,
                        int64_t upper, struct mcf_error *error) {
  if (lower < 0) {
    return mcf_fail(error, MCF_E_INPUT,
                    "negative lower bound %" PRId64 ": must be 0 or more",
                    lower);
  }
  if (upper < 0) {
    return mcf_fail(error, MCF_E_INPUT,
                    "negative capacity %" PRId64
                    ": must be 0 or more (no limit is %" PRId64 ")",
                    upper, MCF_UNLIMITED);
  }
  if (lower > upper) {
    return mcf_fail(error, MCF_E_INPUT,
                    "lower bound %" PRId64 " exceeds the capacity %" PRId64,
                    lower, upper);
  }
  int64_t bound = upper == MCF_UNLIMITED ? lower : upper;
  if (bound > MCF_FLOW_LIMIT - net->bound_total) {
    return mcf_fail(error, MCF_E_INPUT,
                    "bound %" PRId64
                    " makes the bounds add up to more than 2^61: scale them "
                    "down, or write %" PRId64 " for no limit",
                    bound, MCF_UNLIMITED);
  }
  return MCF_OK;
}

int mcf_network_add_arc(struct mcf_network *net, int64_t tail, int64_t head,
                        int64_t lower, int64_t upper, int64_t cost,
                        struct mcf_error *error) {
  if (net->arc_count == net->arc_capacity) {
    return mcf_fail(error, MCF_E_INPUT,
                    "more than the %" PRId64 " arcs announced",
                    net->arc_capacity);
  }
  if (node_check(net, "tail", tail, error) ||
      node_check(net, "head", head, error) ||
      bounds_check(net, lower, upper, error)) {
    return MCF_E_INPUT;
  }
  if (cost < -net->cost_limit || cost > net->cost_limit) {
    return mcf_fail(error, MCF_E_INPUT,
                    "cost %" PRId64 " could overflow 64 bits: with %" PRId64
                    " nodes it must be within +-%" PRId64,
                    cost, net->node_count, net->cost_limit);
  }

  net->bound_total += upper == MCF_UNLIMITED ? lower : upper;
  int64_t size = cost < 0 ? -cost : cost;
  net->cost_max = size > net->cost_max ? size : net->cost_max;
  net->arcs[net->arc_count++] = (struct mcf_arc){
      .tail = &net->nodes[tail],
      .head = &net->nodes[head],
      .cost = cost,
      .lower = lower,
      .upper = upper,
      .flow = lower,
  };
  return MCF_OK;
}

int mcf_network_check(const struct mcf_network *net, struct mcf_error *error) {
  if (net->arc_count != net->arc_capacity) {
    return mcf_fail(error, MCF_E_INPUT,
                    "%" PRId64 " arcs announced, but only %" PRId64 " given",
                    net->arc_capacity, net->arc_count);
  }
  if (net->supply_balance != 0) {
    return mcf_fail(error, MCF_E_INPUT,
                    "unbalanced: supplies minus demands is %" PRId64
                    ", must be 0",
                    net->supply_balance);
  }
  return MCF_OK;
}

int64_t mcf_node_number(const struct mcf_network *net,
                        const struct mcf_node *node) {
  return node - net->nodes;
}

int64_t mcf_network_bytes(const struct mcf_network *net) {
  return (net->node_count + 1) * (int64_t)sizeof *net->nodes +
         (net->arc_capacity + net->node_count) * (int64_t)sizeof *net->arcs;
}

int mcf_network_objective(const struct mcf_network *net, int64_t *out_objective,
                          struct mcf_error *error) {
  int64_t sum = 0;
  for (int64_t i = 0; i < net->arc_count; i++) {
    const struct mcf_arc *arc = &net->arcs[i];
    int64_t product;
    if (__builtin_mul_overflow(arc->cost, arc->flow, &product) ||
        __builtin_add_overflow(sum, product, &sum)) {
      return mcf_fail(error, MCF_E_INPUT,
                      "the objective does not fit 64 bits (arc %" PRId64
                      ": flow %" PRId64 ", cost %" PRId64 "): scale costs down",
                      i + 1, arc->flow, arc->cost);
    }
  }
  *out_objective = sum;
  return MCF_OK;
}
