/* SPDX-License-Identifier: Apache-2.0
 *
 * The primal network simplex method (Ahuja, Magnanti, Orlin, "Network Flows",
 * chapter 11). The basis is a spanning tree of all nodes and an artificial
 * root, linked by pred, child and sibling pointers, and by a thread through all
 * nodes (Bradley, Brown, Graves 1977): a subtree is its top and the next size-1
 * nodes of the thread. Each node holds the tree arc to its parent, the flow on
 * it, and the size of its subtree, by which the apex of a cycle is found
 * without walking to the root.
 * Invariant between pivots: for a tree arc, cost - potential(tail) +
 * potential(head) is 0; other arcs are at a bound; the thread is the pre-order
 * of the child and sibling pointers; and the tree is strongly feasible: every
 * tree arc has room for more flow towards the root, which rules out cycling
 * (Cunningham 1976). mcf_tree_check() checks all of it.
 * Threads: the network belongs to the caller.
 */
#include "mcf.h"

#include <inttypes.h>

struct pivot {
  struct mcf_arc *entering;
  struct mcf_node *first;  /* flow moves from here through entering... */
  struct mcf_node *second; /* ...to here, and back over the apex */
  struct mcf_node *apex;
  struct mcf_node *leaving; /* its tree arc leaves; NULL: no change of basis */
  bool leaving_on_first;
  int64_t amount;
};

/* ---- the tree ---- */

/* Makes `node` the first child of `pred`. */
static void tree_attach(struct mcf_node *node, struct mcf_node *pred) {
  struct mcf_node *first = pred->child;
  node->pred = pred;
  node->right = first;
  node->left = node;
  if (first) {
    node->left = first->left;
    first->left = node;
  }
  pred->child = node;
}

static void tree_detach(struct mcf_node *node) {
  struct mcf_node *pred = node->pred;
  if (pred->child == node) {
    pred->child = node->right;
  } else {
    node->left->right = node->right;
  }
  if (node->right) {
    node->right->left = node->left;
  } else if (pred->child) {
    pred->child->left = node->left;
  }
}

/* The last node of a subtree in the order of the thread. */
static struct mcf_node *subtree_last(struct mcf_node *node) {
  while (node->child) {
    node = node->child->left;
  }
  return node;
}

/* How much more flow the tree arc of `node` can take towards the parent. */
static inline int64_t room_up(const struct mcf_node *node) {
  const struct mcf_arc *arc = node->basic;
  if (!node->up) {
    return node->flow - arc->lower;
  }
  return arc->upper == MCF_UNLIMITED ? MCF_UNLIMITED : arc->upper - node->flow;
}

/* The same away from the parent. */
static inline int64_t room_down(const struct mcf_node *node) {
  const struct mcf_arc *arc = node->basic;
  if (node->up) {
    return node->flow - arc->lower;
  }
  return arc->upper == MCF_UNLIMITED ? MCF_UNLIMITED : arc->upper - node->flow;
}

/* Starts with the tree in which an artificial arc joins each node to the root.
 * It carries the node's supply after all arcs took their lower bounds. Its cost
 * is so high that no optimal flow uses it if any flow does without. */
static void tree_start(struct mcf_network *net) {
  struct mcf_node *root = &net->nodes[0];
  int64_t big_cost = net->node_count * net->cost_max + 1;

  *root = (struct mcf_node){
      .size = (int32_t)(net->node_count + 1),
      .thread = root,
  };
  for (int64_t i = 1; i <= net->node_count; i++) {
    net->nodes[i].flow = net->nodes[i].supply;
  }
  for (int64_t i = 0; i < net->arc_count; i++) {
    struct mcf_arc *arc = &net->arcs[i];
    arc->flow = arc->lower;
    arc->state = arc->lower == arc->upper ? MCF_SETTLED : MCF_AT_LOWER;
    if (arc->lower > 0) {
      arc->tail->flow -= arc->lower;
      arc->head->flow += arc->lower;
    }
  }
  /* Backwards, since a node is attached as the first child. */
  for (int64_t i = net->node_count; i >= 1; i--) {
    struct mcf_node *node = &net->nodes[i];
    struct mcf_arc *arc = &net->arcs[net->arc_capacity + i - 1];
    node->up = node->flow >= 0;
    node->flow = node->up ? node->flow : -node->flow;
    node->potential = node->up ? big_cost : -big_cost;
    node->size = 1;
    node->child = NULL;
    node->basic = arc;
    *arc = (struct mcf_arc){
        .tail = node->up ? node : root,
        .head = node->up ? root : node,
        .cost = big_cost,
        .upper = MCF_UNLIMITED,
        .state = MCF_SETTLED,
    };
    tree_attach(node, root);
    node->thread = root->thread;
    root->thread = node;
  }
}

/* ---- one pivot ---- */

/* Walks both ways up from the entering arc to the apex, and finds how much flow
 * can go round and which arc blocks. Of several that block, the one met last
 * from the apex in the direction of the flow leaves: that keeps the tree
 * strongly feasible. Returns the number of steps. */
static int64_t cycle_find(struct pivot *pivot, struct mcf_arc *entering) {
  bool forward = entering->state == MCF_AT_LOWER;
  struct mcf_node *first = forward ? entering->tail : entering->head;
  struct mcf_node *second = forward ? entering->head : entering->tail;
  int64_t room_first = MCF_UNLIMITED, room_second = MCF_UNLIMITED;
  struct mcf_node *block_first = NULL, *block_second = NULL;
  int64_t steps = 0;

  pivot->entering = entering;
  pivot->first = first;
  pivot->second = second;
  while (first != second) {
    /* The smaller subtree cannot hold the other node. */
    if (first->size < second->size) {
      int64_t room = room_down(first);
      if (room < room_first) {
        room_first = room;
        block_first = first;
      }
      first = first->pred;
    } else {
      int64_t room = room_up(second);
      if (room <= room_second && room != MCF_UNLIMITED) {
        room_second = room;
        block_second = second;
      }
      second = second->pred;
    }
    steps++;
  }
  pivot->apex = first;

  pivot->amount = entering->upper == MCF_UNLIMITED
                      ? MCF_UNLIMITED
                      : entering->upper - entering->lower;
  pivot->leaving = NULL;
  if (block_first && room_first < pivot->amount) {
    pivot->amount = room_first;
    pivot->leaving = block_first;
    pivot->leaving_on_first = true;
  }
  if (block_second && room_second <= pivot->amount) {
    pivot->amount = room_second;
    pivot->leaving = block_second;
    pivot->leaving_on_first = false;
  }
  return steps;
}

static void cycle_augment(const struct pivot *pivot) {
  int64_t amount = pivot->amount;
  for (struct mcf_node *n = pivot->first; n != pivot->apex; n = n->pred) {
    n->flow += n->up ? -amount : amount;
  }
  for (struct mcf_node *n = pivot->second; n != pivot->apex; n = n->pred) {
    n->flow += n->up ? amount : -amount;
  }
}

/* Cuts the subtree of `top` out of the thread and puts it, still in its old
 * order, behind `pred`, which is outside. Returns what comes behind it. */
static struct mcf_node *thread_move(struct mcf_node *top,
                                    struct mcf_node *pred) {
  struct mcf_node *last = subtree_last(top);
  struct mcf_node *before =
      top->pred->child == top ? top->pred : subtree_last(top->left);
  before->thread = last->thread;
  last->thread = pred->thread;
  pred->thread = top;
  return last->thread;
}

/* Adds `amount` to the potentials of `count` nodes from `node` on, stepping
 * over the part of the thread from `part` up to `behind`. Returns the last one.
 */
static struct mcf_node *thread_shift(struct mcf_node *node, int32_t count,
                                     struct mcf_node *part,
                                     struct mcf_node *behind, int64_t amount) {
  node->potential += amount;
  while (--count > 0) {
    if (node->thread == part) {
      node->thread = behind;
    }
    node = node->thread;
    node->potential += amount;
  }
  return node;
}

/* Cuts the tree at the leaving arc and hangs the part below it, turned over so
 * that its end of the entering arc is on top, to the other end. Adds `shift` to
 * the potentials of that part. */
static void tree_rehang(const struct pivot *pivot, int64_t entering_flow,
                        int64_t shift) {
  struct mcf_node *top = pivot->leaving;
  struct mcf_node *node =
      pivot->leaving_on_first ? pivot->first : pivot->second;
  struct mcf_node *pred =
      pivot->leaving_on_first ? pivot->second : pivot->first;
  int32_t moved = top->size;

  for (struct mcf_node *n = top->pred; n != pivot->apex; n = n->pred) {
    n->size -= moved;
  }
  for (struct mcf_node *n = pred; n != pivot->apex; n = n->pred) {
    n->size += moved;
  }

  /* Upwards from the entering arc, each node gives its tree arc to its parent,
   * which becomes its first child. So these nodes come first in the thread; the
   * rests of their subtrees follow, that of the last one first. */
  struct mcf_arc *arc = pivot->entering;
  int64_t flow = entering_flow;
  int32_t up = arc->tail == node;
  int32_t below = 0; /* former size of the subtree that we come from */
  struct mcf_node *from = NULL;   /* its top */
  struct mcf_node *behind = NULL; /* what followed it in the thread */
  struct mcf_node *rests = thread_move(top, pred);
  for (;;) {
    struct mcf_node old = *node;
    struct mcf_node *last =
        thread_shift(node, old.size - below, from, behind, shift);
    behind = last->thread == from ? behind : last->thread;
    last->thread = rests;
    rests = node->thread;
    pred->thread = node;

    tree_detach(node);
    tree_attach(node, pred);
    node->basic = arc;
    node->flow = flow;
    node->up = up;
    node->size = moved - below;
    if (node == top) {
      return;
    }
    below = old.size;
    arc = old.basic;
    flow = old.flow;
    up = !old.up;
    from = pred = node;
    node = old.pred;
  }
}

static void pivot_apply(const struct pivot *pivot, struct mcf_stats *stats) {
  struct mcf_arc *entering = pivot->entering;
  bool forward = entering->state == MCF_AT_LOWER;

  if (pivot->amount > 0) {
    cycle_augment(pivot);
  } else {
    stats->degenerate++;
  }
  int64_t flow =
      forward ? entering->flow + pivot->amount : entering->flow - pivot->amount;
  if (!pivot->leaving) {
    entering->flow = flow;
    entering->state = forward ? MCF_AT_UPPER : MCF_AT_LOWER;
    stats->flips++;
    return;
  }

  struct mcf_arc *leaving = pivot->leaving->basic;
  leaving->flow = pivot->leaving->flow;
  leaving->state =
      leaving->flow == leaving->lower ? MCF_AT_LOWER : MCF_AT_UPPER;
  entering->state = MCF_SETTLED;

  /* The potentials of the part that moves make the reduced cost 0. */
  int64_t reduced =
      entering->cost - entering->tail->potential + entering->head->potential;
  bool tail_moves = pivot->leaving_on_first == forward;
  stats->nodes_shifted += pivot->leaving->size;
  tree_rehang(pivot, flow, tail_moves ? reduced : -reduced);
}

/* ---- the method ---- */

static int unbounded(const struct mcf_network *net, const struct mcf_arc *arc,
                     struct mcf_error *error) {
  return mcf_fail(error, MCF_E_NO_OPTIMUM,
                  "unbounded: a cycle of negative cost and no capacity limit "
                  "goes through the arc from %" PRId64 " to %" PRId64,
                  mcf_node_number(net, arc->tail),
                  mcf_node_number(net, arc->head));
}

/* Moves the flow of the tree from the nodes to the arcs. */
static int tree_finish(struct mcf_network *net, struct mcf_error *error) {
  int64_t missing = 0, example = 0;
  for (int64_t i = 1; i <= net->node_count; i++) {
    struct mcf_node *node = &net->nodes[i];
    node->basic->flow = node->flow;
  }
  for (int64_t i = 1; i <= net->node_count; i++) {
    int64_t flow = net->arcs[net->arc_capacity + i - 1].flow;
    if (flow > 0) {
      missing += flow;
      example = example ? example : i;
    }
  }
  if (missing > 0) {
    return mcf_fail(error, MCF_E_NO_OPTIMUM,
                    "infeasible: %" PRId64
                    " units of supply and as many of demand cannot meet within "
                    "the bounds, for example at node %" PRId64,
                    missing / 2, example);
  }
  return MCF_OK;
}

int mcf_solve(struct mcf_network *net, const struct mcf_options *options,
              struct mcf_stats *out_stats, struct mcf_error *error) {
  struct mcf_options defaults = {0};
  struct mcf_stats stats = {0};
  struct mcf_pricing pricing;
  struct mcf_arc *entering;
  struct pivot pivot;

  int result = mcf_pricing_init(&pricing, net->arcs, net->arc_count,
                                options ? options : &defaults, error);
  if (result) {
    return result;
  }
  tree_start(net);
  while ((entering = mcf_pricing_next(&pricing)) != NULL) {
    stats.nodes_climbed += cycle_find(&pivot, entering);
    if (pivot.amount == MCF_UNLIMITED) {
      result = unbounded(net, entering, error);
      break;
    }
    pivot_apply(&pivot, &stats);
    stats.pivots++;
    if (options && options->observe) {
      options->observe(net, options->observe_data);
    }
  }
  stats.arcs_priced = pricing.arcs_priced;
  mcf_pricing_fini(&pricing);
  if (result || (result = tree_finish(net, error)) ||
      (result = mcf_network_objective(net, &stats.objective, error))) {
    return result;
  }
  *out_stats = stats;
  return MCF_OK;
}

/* ---- the invariant ---- */

static const char *siblings_check(const struct mcf_node *node) {
  const struct mcf_node *first = node->pred->child, *left = node->left;
  if (!first || !left || left->pred != node->pred) {
    return "a child is not linked to its parent";
  }
  if (left->right != (node == first ? NULL : node) ||
      (node->right && node->right->left != node)) {
    return "siblings are not linked to each other";
  }
  return NULL;
}

static const char *node_check(const struct mcf_node *node) {
  const struct mcf_arc *arc = node->basic;
  const char *wrong = siblings_check(node);
  if (wrong) {
    return wrong;
  }
  if (arc->tail != (node->up ? node : node->pred) ||
      arc->head != (node->up ? node->pred : node)) {
    return "a tree arc does not join its node to the parent";
  }
  if (arc->state != MCF_SETTLED) {
    return "a tree arc is priced";
  }
  if (node->flow < arc->lower || node->flow > arc->upper) {
    return "a tree arc is out of its bounds";
  }
  if (room_up(node) <= 0) {
    return "the tree is not strongly feasible";
  }
  if (arc->cost - arc->tail->potential + arc->head->potential != 0) {
    return "the reduced cost of a tree arc is not 0";
  }
  return NULL;
}

/* Compares the thread with the child and sibling pointers, which are known to
 * be a tree of all nodes. */
static const char *thread_check(const struct mcf_network *net) {
  const struct mcf_node *root = &net->nodes[0], *node = root;
  for (int64_t i = 0; i <= net->node_count; i++) {
    const struct mcf_node *next = node->child, *up = node;
    while (!next && up != root) {
      next = up->right;
      up = up->pred;
    }
    next = next ? next : root;
    if (node->thread != next) {
      return "the thread is not the pre-order of the tree";
    }
    node = next;
  }
  return NULL;
}

const char *mcf_tree_check(const struct mcf_network *net) {
  int64_t children = 0;
  if (net->nodes[0].pred || net->nodes[0].size != net->node_count + 1) {
    return "the root does not span the tree";
  }
  for (int64_t i = 0; i <= net->node_count; i++) {
    const struct mcf_node *node = &net->nodes[i];
    int64_t size = 1;
    for (const struct mcf_node *c = node->child; c; c = c->right) {
      if (c->pred != node || ++children > net->node_count) {
        return "a node is a child of several";
      }
      size += c->size;
    }
    if (size != node->size) {
      return "a subtree has not the size it should have";
    }
    const char *wrong = i > 0 ? node_check(node) : NULL;
    if (wrong) {
      return wrong;
    }
  }
  const char *wrong = thread_check(net);
  if (wrong) {
    return wrong;
  }
  for (int64_t i = 0; i < net->arc_count; i++) {
    const struct mcf_arc *arc = &net->arcs[i];
    if ((arc->state == MCF_AT_LOWER && arc->flow != arc->lower) ||
        (arc->state == MCF_AT_UPPER && arc->flow != arc->upper)) {
      return "an arc is not at its bound";
    }
  }
  return NULL;
}
