/* SPDX-License-Identifier: Apache-2.0
 *
 * The minimum-cost-flow solver against two other ways to the optimum that share
 * nothing with it: trying all flows of tiny networks, and successive shortest
 * paths on small ones; the tree is checked after every pivot. Then the files,
 * the generator, and a verifier that must refuse what is not optimal. Seeds are
 * fixed.
 */
#include "mcf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 7;

static int64_t dice(int64_t low, int64_t high) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return low + (int64_t)((seed >> 33) % (uint64_t)(high - low + 1));
}

static int read_text(const char *text, struct mcf_network *net,
                     struct mcf_error *error) {
  FILE *file = fmemopen((void *)text, strlen(text), "r");
  assert_non_null(file);
  int result = mcf_read_problem(file, "t.min", NULL, net, error);
  fclose(file);
  return result;
}

/* The node that follows in a pre-order of the tree; the root follows the last.
 */
static const struct mcf_node *preorder_next(const struct mcf_node *node) {
  if (node->child) {
    return node->child;
  }
  while (node->pred && !node->right) {
    node = node->pred;
  }
  return node->pred ? node->right : node;
}

/* After each pivot the thread must visit every node once, in the order of the
 * child and sibling pointers, and the subtree of each node must be that node
 * and the next size-1. */
static void thread_check(const struct mcf_network *net) {
  static int64_t place[4096];
  const struct mcf_node *root = net->nodes, *node = root;
  int64_t count = net->node_count + 1;
  assert_in_range(count, 1, sizeof place / sizeof *place);
  memset(place, -1, (size_t)count * sizeof *place);
  for (int64_t i = 0; i < count; i++) {
    assert_true(place[node - root] == -1);
    place[node - root] = i;
    assert_ptr_equal(node->thread, preorder_next(node));
    node = node->thread;
  }
  assert_ptr_equal(node, root);
  assert_int_equal(root->size, count);
  for (int64_t i = 1; i < count; i++) {
    node = &root[i];
    const struct mcf_node *pred = node->pred;
    assert_true(place[i] > place[pred - root]);
    assert_true(place[i] + node->size <= place[pred - root] + pred->size);
  }
}

static void observe(const struct mcf_network *net, void *data) {
  int64_t *pivots = data;
  const char *wrong = mcf_tree_check(net);
  assert_string_equal(wrong ? wrong : "", "");
  thread_check(net);
  ++*pivots;
}

/* Solves and checks everything that must hold whatever the network is, the tree
 * after every pivot. */
static int solve(struct mcf_network *net, const struct mcf_options *options,
                 int64_t *out_objective) {
  struct mcf_stats stats = {0};
  struct mcf_error error = {{0}};
  int64_t pivots = 0;
  struct mcf_options watched = options ? *options : (struct mcf_options){0};
  watched.observe = observe;
  watched.observe_data = &pivots;
  int result = mcf_solve(net, &watched, &stats, &error);
  const char *wrong = mcf_tree_check(net);
  assert_string_equal(wrong ? wrong : "", "");
  thread_check(net);
  if (result == MCF_OK) {
    int verified = mcf_verify(net, stats.objective, &error);
    if (verified) {
      fail_msg("%s", error.text);
    }
    assert_int_equal(pivots, stats.pivots);
    *out_objective = stats.objective;
  } else {
    assert_int_equal(result, MCF_E_NO_OPTIMUM);
    assert_non_null(strstr(error.text, "infeasible"));
  }
  return result;
}

/* ---- other ways to the optimum ---- */

/* Tries all flows of the arcs from `i` on. `cost` is that of the others. */
static void try_all(struct mcf_network *net, int64_t i, int64_t cost,
                    int64_t *balance, int64_t *best) {
  if (i == net->arc_count) {
    for (int64_t n = 1; n <= net->node_count; n++) {
      if (balance[n] != 0) {
        return;
      }
    }
    *best = cost < *best ? cost : *best;
    return;
  }
  const struct mcf_arc *arc = &net->arcs[i];
  int64_t tail = arc->tail - net->nodes, head = arc->head - net->nodes;
  for (int64_t flow = arc->lower; flow <= arc->upper; flow++) {
    balance[tail] -= flow;
    balance[head] += flow;
    try_all(net, i + 1, cost + flow * arc->cost, balance, best);
    balance[tail] += flow;
    balance[head] -= flow;
  }
}

static int64_t brute_force(struct mcf_network *net) {
  int64_t balance[16], best = INT64_MAX;
  for (int64_t n = 1; n <= net->node_count; n++) {
    balance[n] = net->nodes[n].supply;
  }
  try_all(net, 0, 0, balance, &best);
  return best;
}

enum { PATH_NODES = 64, PATH_ARCS = 512 };

struct paths {
  int64_t n, m;
  int64_t tail[PATH_ARCS], head[PATH_ARCS], cost[PATH_ARCS];
  int64_t flow[PATH_ARCS], lower[PATH_ARCS], upper[PATH_ARCS];
  int64_t excess[PATH_NODES];
};

/* Sends flow along a shortest residual path from any node with excess to any
 * with need. Returns false when there is no such path. */
static bool paths_augment(struct paths *p) {
  int64_t distance[PATH_NODES], via[PATH_NODES];
  for (int64_t i = 1; i <= p->n; i++) {
    distance[i] = p->excess[i] > 0 ? 0 : INT64_MAX / 2;
    via[i] = -1;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (int64_t e = 0; e < 2 * p->m; e++) {
      int64_t a = e / 2, back = e % 2;
      int64_t from = back ? p->head[a] : p->tail[a];
      int64_t to = back ? p->tail[a] : p->head[a];
      int64_t cost = back ? -p->cost[a] : p->cost[a];
      int64_t room = back ? p->flow[a] - p->lower[a] : p->upper[a] - p->flow[a];
      if (room > 0 && distance[from] < INT64_MAX / 2 &&
          distance[from] + cost < distance[to]) {
        distance[to] = distance[from] + cost;
        via[to] = e;
        changed = true;
      }
    }
  }
  int64_t end = 0;
  for (int64_t i = 1; i <= p->n; i++) {
    if (p->excess[i] < 0 && distance[i] < INT64_MAX / 2 &&
        (end == 0 || distance[i] < distance[end])) {
      end = i;
    }
  }
  if (end == 0) {
    return false;
  }
  int64_t at = end;
  while (via[at] >= 0) { /* one unit at a time: simple and slow */
    int64_t e = via[at];
    p->flow[e / 2] += e % 2 ? -1 : 1;
    at = e % 2 ? p->head[e / 2] : p->tail[e / 2];
  }
  p->excess[at]--;
  p->excess[end]++;
  return true;
}

/* The optimum, INT64_MAX when infeasible. Arcs of negative cost start full, so
 * that no residual cycle is negative. */
static int64_t shortest_paths(const struct mcf_network *net) {
  static struct paths p;
  p = (struct paths){.n = net->node_count, .m = net->arc_count};
  for (int64_t i = 1; i <= p.n; i++) {
    p.excess[i] = net->nodes[i].supply;
  }
  for (int64_t a = 0; a < p.m; a++) {
    const struct mcf_arc *arc = &net->arcs[a];
    p.tail[a] = arc->tail - net->nodes;
    p.head[a] = arc->head - net->nodes;
    p.cost[a] = arc->cost;
    p.lower[a] = arc->lower;
    p.upper[a] = arc->upper == MCF_UNLIMITED ? 1000000 : arc->upper;
    p.flow[a] = p.cost[a] < 0 ? p.upper[a] : p.lower[a];
    p.excess[p.tail[a]] -= p.flow[a];
    p.excess[p.head[a]] += p.flow[a];
  }
  while (paths_augment(&p)) {
  }
  int64_t sum = 0;
  for (int64_t i = 1; i <= p.n; i++) {
    if (p.excess[i] != 0) {
      return INT64_MAX;
    }
  }
  for (int64_t a = 0; a < p.m; a++) {
    sum += p.cost[a] * p.flow[a];
  }
  return sum;
}

/* ---- random networks ---- */

struct shape {
  int64_t nodes, arcs, supply, bound, cost_min, cost_max;
  bool unlimited; /* some arcs of cost >= 0 have no bound */
};

static void random_network(struct mcf_network *net, const struct shape *s) {
  struct mcf_error error;
  int64_t supply[PATH_NODES] = {0};
  assert_int_equal(mcf_network_init(net, s->nodes, s->arcs, &error), MCF_OK);
  for (int64_t i = 0; i < s->supply; i++) {
    supply[dice(1, s->nodes)]++;
    supply[dice(1, s->nodes)]--;
  }
  for (int64_t i = 1; i <= s->nodes; i++) {
    assert_int_equal(mcf_network_set_supply(net, i, supply[i], &error), MCF_OK);
  }
  for (int64_t a = 0; a < s->arcs; a++) {
    int64_t cost = dice(s->cost_min, s->cost_max);
    int64_t upper = dice(0, s->bound);
    int64_t lower = dice(0, 3) == 0 ? dice(0, upper) : 0;
    if (s->unlimited && cost >= 0 && dice(0, 3) == 0) {
      upper = MCF_UNLIMITED;
    }
    assert_int_equal(mcf_network_add_arc(net, dice(1, s->nodes),
                                         dice(1, s->nodes), lower, upper, cost,
                                         &error),
                     MCF_OK);
  }
  assert_int_equal(mcf_network_check(net, &error), MCF_OK);
}

static const struct mcf_options variants[] = {
    {0},
    {.group_size = 1, .candidates = 1},
    {.group_size = 7, .candidates = 3, .grouping = MCF_INTERLEAVED},
    {.group_size = 1000, .candidates = 1000},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static void check_optimum(struct mcf_network *net, int64_t expected,
                          int *feasible) {
  for (int v = 0; v < VARIANTS; v++) {
    int64_t objective = INT64_MAX;
    int result = solve(net, &variants[v], &objective);
    assert_int_equal(result, expected == INT64_MAX ? MCF_E_NO_OPTIMUM : MCF_OK);
    assert_true(objective == expected);
  }
  *feasible += expected != INT64_MAX;
}

static void test_brute_force(void **state) {
  (void)state;
  int feasible = 0;
  for (int i = 0; i < 1500; i++) {
    struct mcf_network net;
    struct shape shape = {.nodes = dice(1, 5),
                          .arcs = dice(0, 8),
                          .supply = dice(0, 2),
                          .bound = 3,
                          .cost_min = -5,
                          .cost_max = 9};
    random_network(&net, &shape);
    check_optimum(&net, brute_force(&net), &feasible);
    mcf_network_fini(&net);
  }
  assert_in_range(feasible, 200, 1400); /* both kinds were met */
}

static void test_shortest_paths(void **state) {
  (void)state;
  int feasible = 0;
  for (int i = 0; i < 300; i++) {
    struct mcf_network net;
    struct shape shape = {.nodes = dice(2, 40),
                          .arcs = dice(40, 300),
                          .supply = dice(0, 30),
                          .bound = dice(1, 15),
                          .cost_min = dice(0, 1) ? 0 : -20,
                          .cost_max = dice(0, 1) ? 3 : 100,
                          .unlimited = dice(0, 1)};
    random_network(&net, &shape);
    check_optimum(&net, shortest_paths(&net), &feasible);
    mcf_network_fini(&net);
  }
  assert_in_range(feasible, 50, 295);
}

static void test_known(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t objective;
  } known[] = {
      {"p min 1 0\n", 0},
      {"c two ways, the cheap one is narrow\n"
       "p min 4 5\nn 1 4\nn 4 -4\n"
       "a 1 2 0 4 2\na 1 3 0 2 2\na 2 3 0 2 1\na 2 4 0 3 3\na 3 4 0 5 1\n",
       14},
      {"p min 2 3\nn 1 5\nn 2 -5\n"
       "a 1 2 0 2 1\na 1 2 1 9 4\na 1 2 0 1 2\n",
       12},
      {"c a loop and a cycle of negative cost are filled\n"
       "p min 2 3\na 1 1 0 3 -2\na 1 2 0 4 -5\na 2 1 0 9 1\n",
       -22},
      {"c lower bounds force a dear way\n"
       "p min 3 3\nn 1 2\nn 3 -2\na 1 3 0 9 1\na 1 2 1 9 5\na 2 3 0 9 5\n",
       11},
      {"c no limit\np min 2 1\nn 1 1000000000000\nn 2 -1000000000000\n"
       "a 1 2 0 9223372036854775807 3\n",
       3000000000000},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    struct mcf_network net;
    struct mcf_error error;
    int64_t objective;
    assert_int_equal(read_text(known[i].text, &net, &error), MCF_OK);
    assert_int_equal(solve(&net, NULL, &objective), MCF_OK);
    assert_true(objective == known[i].objective);
    mcf_network_fini(&net);
  }
}

static void test_no_optimum(void **state) {
  (void)state;
  static const struct {
    const char *text;
    const char *message;
    int result;
  } cases[] = {
      {"p min 2 2\na 1 2 0 9223372036854775807 1\n"
       "a 2 1 0 9223372036854775807 -2\n",
       "unbounded", MCF_E_NO_OPTIMUM},
      {"p min 1 1\na 1 1 0 9223372036854775807 -1\n", "unbounded",
       MCF_E_NO_OPTIMUM},
      {"p min 2 1\nn 1 5\nn 2 -5\na 1 2 0 4 1\n", "1 units of supply",
       MCF_E_NO_OPTIMUM},
      {"p min 2 1\nn 1 5\nn 2 -5\na 2 1 0 9 1\n", "infeasible",
       MCF_E_NO_OPTIMUM},
      {"p min 2 1\nn 1 1152921504606846976\nn 2 -1152921504606846976\n"
       "a 1 2 0 9223372036854775807 100\n",
       "objective does not fit", MCF_E_INPUT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct mcf_network net;
    struct mcf_error error;
    struct mcf_stats stats;
    assert_int_equal(read_text(cases[i].text, &net, &error), MCF_OK);
    assert_int_equal(mcf_solve(&net, NULL, &stats, &error), cases[i].result);
    if (!strstr(error.text, cases[i].message)) {
      fail_msg("'%s' lacks '%s'", error.text, cases[i].message);
    }
    mcf_network_fini(&net);
  }
}

/* The largest numbers that are accepted must not overflow on the way; the
 * sanitizer build would stop at it. */
static void test_limits(void **state) {
  (void)state;
  struct mcf_network net;
  struct mcf_error error;
  struct mcf_stats stats;
  assert_int_equal(mcf_network_init(&net, 3, 4, &error), MCF_OK);
  int64_t cost = net.cost_limit;
  assert_int_equal(mcf_network_add_arc(&net, 1, 2, 0, 1, cost, &error), 0);
  assert_int_equal(mcf_network_add_arc(&net, 2, 3, 0, 1, -cost, &error), 0);
  assert_int_equal(mcf_network_add_arc(&net, 3, 1, 0, 2, -cost, &error), 0);
  assert_int_equal(
      mcf_network_add_arc(&net, 1, 3, 0, MCF_UNLIMITED, cost, &error), 0);
  assert_int_equal(mcf_network_set_supply(&net, 1, 1, &error), 0);
  assert_int_equal(mcf_network_set_supply(&net, 3, -1, &error), 0);
  assert_int_equal(mcf_solve(&net, NULL, &stats, &error), MCF_OK);
  assert_int_equal(mcf_verify(&net, stats.objective, &error), MCF_OK);
  /* One unit over 2; what goes back from 3 to 1 pays for its own way. */
  assert_true(stats.objective == 0);
  mcf_network_fini(&net);
}

/* ---- files ---- */

static void test_parse_errors(void **state) {
  (void)state;
  static const struct {
    const char *text;
    const char *message;
  } cases[] = {
      {"c nothing\n", "t.min:1: the p line"},
      {"a 1 2 0 1 1\n", "t.min:1: the p line"},
      {"p max 2 1\n", "t.min:1: not a minimum-cost-flow problem"},
      {"p min\n", "t.min:1: number of nodes is missing"},
      {"p min 2\n", "t.min:1: number of arcs is missing"},
      {"p min 0 0\n", "t.min:1: 0 nodes"},
      {"p min 2 -1\n", "t.min:1: -1 arcs"},
      {"p min 9999999999999 1\n", "t.min:1: 9999999999999 nodes"},
      {"p min 2 1 7\n", "t.min:1: more fields"},
      {"p min 2 0\n\nc\np min 2 0\n", "t.min:4: a second p line"},
      {"p min 2 0\nx 1\n", "t.min:2: unknown line"},
      {"p min 2 0\nnode 1 1\n", "t.min:2: a line starts with"},
      {"p min 2 0\nn 3 1\n", "t.min:2: node 3 out of range"},
      {"p min 2 0\nn 0 1\n", "t.min:2: node 0 out of range"},
      {"p min 2 0\nn 1 1\nn 1 -1\n", "t.min:3: node 1 has a supply already"},
      {"p min 2 0\nn 1 1x\n", "t.min:2: supply: '1x' is not an integer"},
      {"p min 2 0\nn 1 1.5\n", "t.min:2: supply: '1.5' is not an integer"},
      {"p min 2 0\nn 1 99999999999999999999\n",
       "t.min:2: supply does not fit 64 bits"},
      {"p min 2 0\nn 1 -9223372036854775808\n", "more than 2^61"},
      {"p min 2 0\nn 1 5\nn 2 -4\n", "t.min:3: unbalanced"},
      {"p min 2 1\na 1 3 0 1 1\n", "t.min:2: head 3 out of range"},
      {"p min 2 1\na -1 2 0 1 1\n", "t.min:2: tail -1 out of range"},
      {"p min 2 1\na 1 2 0 -1 1\n", "t.min:2: negative capacity -1"},
      {"p min 2 1\na 1 2 -1 1 1\n", "t.min:2: negative lower bound -1"},
      {"p min 2 1\na 1 2 3 2 1\n", "t.min:2: lower bound 3 exceeds"},
      {"p min 2 1\na 1 2 0 1\n", "t.min:2: cost is missing"},
      {"p min 2 1\na 1 2 0 1 9223372036854775807\n", "overflow 64 bits"},
      {"p min 2 1\na 1 2 0 1 -9223372036854775808\n", "overflow 64 bits"},
      {"p min 2 1\na 1 2 0 9223372036854775806 1\n", "t.min:2: bound"},
      {"p min 2 1\na 1 2 0 1 1\na 1 2 0 1 1\n", "t.min:3: more than the 1"},
      {"p min 2 2\na 1 2 0 1 1\n", "t.min:2: 2 arcs announced, but only 1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct mcf_network net;
    struct mcf_error error = {{0}};
    assert_int_equal(read_text(cases[i].text, &net, &error), MCF_E_INPUT);
    if (!strstr(error.text, cases[i].message)) {
      fail_msg("'%s' lacks '%s'", error.text, cases[i].message);
    }
  }
}

static void test_parse_nul(void **state) {
  (void)state;
  char text[] = "p min 2 0\nn 1\0 1\n";
  struct mcf_network net;
  struct mcf_error error;
  FILE *file = fmemopen(text, sizeof text - 1, "r");
  assert_int_equal(mcf_read_problem(file, "t.min", NULL, &net, &error),
                   MCF_E_INPUT);
  assert_non_null(strstr(error.text, "t.min:2: a NUL byte"));
  fclose(file);
}

/* The text of a problem; the caller frees it. */
static char *problem_text(const struct mcf_network *net) {
  struct mcf_error error;
  char *text;
  size_t bytes;
  FILE *file = open_memstream(&text, &bytes);
  assert_int_equal(mcf_write_problem(file, net, &error), MCF_OK);
  fclose(file);
  return text;
}

static void test_round_trip(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    struct mcf_network net, copy;
    struct mcf_error error;
    struct mcf_stats stats, again;
    struct shape shape = {.nodes = 20,
                          .arcs = 120,
                          .supply = 10,
                          .bound = 12,
                          .cost_min = -3,
                          .cost_max = 30,
                          .unlimited = true};
    random_network(&net, &shape);
    char *text = problem_text(&net);
    assert_int_equal(read_text(text, &copy, &error), MCF_OK);
    char *text_again = problem_text(&copy);
    assert_string_equal(text, text_again);
    free(text_again);

    int result = mcf_solve(&net, NULL, &stats, &error);
    assert_int_equal(mcf_solve(&copy, NULL, &again, &error), result);
    if (result == MCF_OK) {
      char *solution;
      size_t bytes;
      int64_t objective;
      FILE *file = open_memstream(&solution, &bytes);
      assert_int_equal(mcf_write_solution(file, &net, stats.objective, &error),
                       MCF_OK);
      fclose(file);
      assert_memory_equal(&stats, &again, sizeof stats);
      for (int64_t a = 0; a < copy.arc_count; a++) {
        copy.arcs[a].flow = -1;
      }
      file = fmemopen(solution, bytes, "r");
      assert_int_equal(
          mcf_read_solution(file, "t.sol", &copy, &objective, &error), MCF_OK);
      fclose(file);
      assert_true(objective == stats.objective);
      assert_int_equal(mcf_verify(&copy, objective, &error), MCF_OK);
      free(solution);
    }
    free(text);
    mcf_network_fini(&net);
    mcf_network_fini(&copy);
  }
}

static void test_solution_errors(void **state) {
  (void)state;
  static const struct {
    const char *text;
    const char *message; /* NULL: read, and verified */
    int result;
  } cases[] = {
      {"s 12\nf 1 2 5\n", NULL, MCF_OK},
      {"c\ns 12\nf 1 2 2\nf 1 2 1\nf 1 2 2\n", NULL, MCF_OK},
      {"f 1 2 5\n", "t.sol:1: the s line is missing", MCF_E_INPUT},
      {"s 12\ns 12\n", "t.sol:2: a second s line", MCF_E_INPUT},
      {"s 12\nf 2 1 5\n", "t.sol:2: flow between two nodes", MCF_E_INPUT},
      {"s 12\nf 1 1 5\n", "t.sol:2: flow between two nodes", MCF_E_INPUT},
      {"s 12\nf 1 3 5\n", "t.sol:2: node out of range", MCF_E_INPUT},
      {"s 12\nf 1 2 -5\n", "t.sol:2: flow must be", MCF_E_INPUT},
      {"s 12\nf 1 2\n", "t.sol:2: flow is missing", MCF_E_INPUT},
      {"s 12\ng 1 2 3\n", "t.sol:2: unknown line", MCF_E_INPUT},
      {"s 12\nf 1 2 4\n", "not feasible: node", MCF_E_FAILED},
      {"s 12\nf 1 2 99\n", "not feasible: flow", MCF_E_FAILED},
      {"s 13\nf 1 2 5\n", "wrong objective: 13", MCF_E_FAILED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct mcf_network net;
    struct mcf_error error = {{0}};
    int64_t objective;
    assert_int_equal(read_text("p min 2 3\nn 1 5\nn 2 -5\na 1 2 0 2 1\n"
                               "a 1 2 1 9 4\na 1 2 0 1 2\n",
                               &net, &error),
                     MCF_OK);
    FILE *file = fmemopen((void *)cases[i].text, strlen(cases[i].text), "r");
    int result = mcf_read_solution(file, "t.sol", &net, &objective, &error);
    fclose(file);
    if (result == MCF_OK) {
      result = mcf_verify(&net, objective, &error);
    }
    assert_int_equal(result, cases[i].result);
    if (cases[i].message && !strstr(error.text, cases[i].message)) {
      fail_msg("'%s' lacks '%s'", error.text, cases[i].message);
    }
    mcf_network_fini(&net);
  }
}

/* ---- generator ---- */

static struct mcf_recipe small_recipe(void) {
  struct mcf_recipe recipe = *mcf_recipe_find("test");
  recipe.nodes = 300;
  recipe.sources = 20;
  recipe.sinks = 30;
  recipe.arcs = 2000;
  recipe.supply = 5000;
  return recipe;
}

static void test_generate(void **state) {
  (void)state;
  static const int64_t shapes[][2] = {{20, 30}, {30, 20}, {1, 1},
                                      {1, 40},  {40, 1},  {150, 150}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    struct mcf_recipe recipe = small_recipe();
    struct mcf_network net;
    struct mcf_error error;
    int64_t objective;
    recipe.seed += i;
    recipe.sources = shapes[i][0];
    recipe.sinks = shapes[i][1];
    recipe.percent_bounded = i % 2 ? 100 : 60;
    assert_int_equal(mcf_generate(&recipe, &net, &error), MCF_OK);
    assert_int_equal(net.arc_count, recipe.arcs);
    assert_true(net.supply_total == 2 * recipe.supply);
    assert_int_equal(solve(&net, NULL, &objective), MCF_OK);
    mcf_network_fini(&net);
  }
}

/* The same text on every machine: FNV-1a of the file. */
static void test_generate_same(void **state) {
  (void)state;
  struct mcf_recipe recipe = small_recipe();
  struct mcf_network net;
  struct mcf_error error;
  uint64_t hash = 0xcbf29ce484222325u;
  assert_int_equal(mcf_generate(&recipe, &net, &error), MCF_OK);
  char *text = problem_text(&net);
  for (const char *c = text; *c; c++) {
    hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
  }
  assert_int_equal(hash, 0x8e2fed88a3ab4624u);
  free(text);
  mcf_network_fini(&net);
}

static void test_generate_errors(void **state) {
  (void)state;
  static const struct {
    size_t field;
    int64_t value;
    const char *message;
  } cases[] = {
      {offsetof(struct mcf_recipe, nodes), 49, "sources"},
      {offsetof(struct mcf_recipe, sources), 0, "sources"},
      {offsetof(struct mcf_recipe, sinks), INT64_MAX, "sinks"},
      {offsetof(struct mcf_recipe, nodes), INT64_MAX, "nodes"},
      {offsetof(struct mcf_recipe, arcs), 300, "are needed"},
      {offsetof(struct mcf_recipe, arcs), INT64_MAX, "arcs"},
      {offsetof(struct mcf_recipe, supply), 19, "supply 19"},
      {offsetof(struct mcf_recipe, supply), INT64_MAX, "supply"},
      {offsetof(struct mcf_recipe, cost_min), 10001, "costs"},
      {offsetof(struct mcf_recipe, cost_max), INT64_MAX, "costs"},
      {offsetof(struct mcf_recipe, bound_min), -1, "bounds"},
      {offsetof(struct mcf_recipe, percent_dear), 101, "percentage"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct mcf_recipe recipe = small_recipe();
    struct mcf_network net;
    struct mcf_error error = {{0}};
    memcpy((char *)&recipe + cases[i].field, &cases[i].value, 8);
    assert_int_equal(mcf_generate(&recipe, &net, &error), MCF_E_INPUT);
    if (!strstr(error.text, cases[i].message)) {
      fail_msg("'%s' lacks '%s'", error.text, cases[i].message);
    }
  }
  assert_null(mcf_recipe_find("none"));
}

/* ---- the tree ---- */

/* The check of the tree must see every link that is wrong. */
static void test_tree_corrupted(void **state) {
  (void)state;
  static const size_t links[] = {
      offsetof(struct mcf_node, thread), offsetof(struct mcf_node, pred),
      offsetof(struct mcf_node, child), offsetof(struct mcf_node, right),
      offsetof(struct mcf_node, left)};
  struct mcf_recipe recipe = small_recipe();
  struct mcf_network net;
  struct mcf_error error;
  int64_t objective;
  assert_int_equal(mcf_generate(&recipe, &net, &error), MCF_OK);
  assert_int_equal(solve(&net, NULL, &objective), MCF_OK);
  for (int64_t i = 1; i <= net.node_count; i++) {
    struct mcf_node intact = net.nodes[i];
    for (size_t k = 0; k < sizeof links / sizeof *links; k++) {
      struct mcf_node *other = &net.nodes[dice(1, net.node_count)];
      char *link = (char *)&net.nodes[i] + links[k];
      if (memcmp(link, &other, sizeof other) != 0) {
        memcpy(link, &other, sizeof other);
        assert_non_null(mcf_tree_check(&net));
        net.nodes[i] = intact;
      }
    }
    net.nodes[i].size++;
    assert_non_null(mcf_tree_check(&net));
    net.nodes[i] = intact;
  }
  assert_null(mcf_tree_check(&net));
  struct mcf_node *a = net.nodes[0].thread, *b = a->thread;
  net.nodes[0].thread = b; /* still a ring of all nodes */
  a->thread = b->thread;
  b->thread = a;
  assert_string_equal(mcf_tree_check(&net),
                      "the thread is not the pre-order of the tree");
  mcf_network_fini(&net);
}

/* The way to the optimum is part of the output. Neither the order of siblings
 * nor the thread has a say in it. */
static void test_pivots(void **state) {
  (void)state;
  struct mcf_recipe recipe = small_recipe();
  struct mcf_network net;
  struct mcf_error error;
  struct mcf_stats stats;
  assert_int_equal(mcf_generate(&recipe, &net, &error), MCF_OK);
  assert_int_equal(mcf_solve(&net, NULL, &stats, &error), MCF_OK);
  assert_int_equal(stats.objective, 34713243);
  assert_int_equal(stats.pivots, 584);
  assert_int_equal(stats.degenerate, 444);
  assert_int_equal(stats.nodes_climbed, 5670);
  assert_int_equal(stats.nodes_shifted, 7131);
  mcf_network_fini(&net);
}

/* ---- verifier ---- */

static void verify_fails(const struct mcf_network *net, int64_t objective,
                         const char *message) {
  struct mcf_error error = {{0}};
  assert_int_equal(mcf_verify(net, objective, &error), MCF_E_FAILED);
  if (!strstr(error.text, message)) {
    fail_msg("'%s' lacks '%s'", error.text, message);
  }
}

static void test_verify_corrupted(void **state) {
  (void)state;
  struct mcf_recipe recipe = small_recipe();
  struct mcf_network net;
  struct mcf_error error;
  int64_t objective;
  assert_int_equal(mcf_generate(&recipe, &net, &error), MCF_OK);
  assert_int_equal(solve(&net, NULL, &objective), MCF_OK);
  verify_fails(&net, objective + 1, "wrong objective");

  for (int64_t a = 0; a < net.arc_count; a++) {
    struct mcf_arc *arc = &net.arcs[a];
    int64_t flow = arc->flow;
    arc->flow = flow + 1;
    verify_fails(&net, objective + arc->cost, "not feasible");
    arc->flow = arc->lower - 1;
    verify_fails(&net, objective, "not feasible: flow");
    arc->flow = flow;
  }
  assert_int_equal(mcf_verify(&net, objective, &error), MCF_OK);
  mcf_network_fini(&net);
}

/* Feasible flows that are not the cheapest: those of the same network with
 * other costs. */
static void test_verify_not_optimal(void **state) {
  (void)state;
  int refused = 0;
  for (int i = 0; i < 40; i++) {
    struct mcf_recipe recipe = small_recipe();
    struct mcf_network net;
    struct mcf_error error;
    struct mcf_stats stats;
    int64_t cost[2000], best, other;
    recipe.seed = (uint64_t)i;
    assert_int_equal(mcf_generate(&recipe, &net, &error), MCF_OK);
    assert_int_equal(solve(&net, NULL, &best), MCF_OK);
    for (int64_t a = 0; a < net.arc_count; a++) {
      cost[a] = net.arcs[a].cost;
    }
    for (int k = 0; k < 3; k++) { /* few costs change, so the flow hardly */
      net.arcs[dice(0, net.arc_count - 1)].cost = 0;
    }
    assert_int_equal(mcf_solve(&net, NULL, &stats, &error), MCF_OK);
    for (int64_t a = 0; a < net.arc_count; a++) {
      net.arcs[a].cost = cost[a];
    }
    assert_int_equal(mcf_network_objective(&net, &other, &error), MCF_OK);
    assert_true(other >= best);
    if (other > best) {
      verify_fails(&net, other, "not optimal");
      refused++;
    } else {
      assert_int_equal(mcf_verify(&net, other, &error), MCF_OK);
    }
    mcf_network_fini(&net);
  }
  assert_in_range(refused, 3, 40);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),
      cmocka_unit_test(test_brute_force),
      cmocka_unit_test(test_shortest_paths),
      cmocka_unit_test(test_no_optimum),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_parse_errors),
      cmocka_unit_test(test_parse_nul),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_solution_errors),
      cmocka_unit_test(test_generate),
      cmocka_unit_test(test_generate_same),
      cmocka_unit_test(test_generate_errors),
      cmocka_unit_test(test_tree_corrupted),
      cmocka_unit_test(test_pivots),
      cmocka_unit_test(test_verify_corrupted),
      cmocka_unit_test(test_verify_not_optimal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
