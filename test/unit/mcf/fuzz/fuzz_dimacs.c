/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target for the DIMACS readers. The input is a problem, then, after
 * a line of dashes, a solution for it. Whatever is accepted must survive
 * writing and reading, solving when it is small, and the verifier; a solution
 * that the solver calls optimal must be verified.
 */
#include "mcf.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct mcf_limits limits = {.nodes = 1000, .arcs = 1000};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
  if (!condition) {
    abort();
  }
}

static void check_round_trip(const struct mcf_network *net) {
  struct mcf_network copy;
  struct mcf_error error;
  char *text;
  size_t bytes;
  FILE *file = open_memstream(&text, &bytes);
  require(file && mcf_write_problem(file, net, &error) == MCF_OK);
  fclose(file);
  file = fmemopen(text, bytes, "r");
  require(mcf_read_problem(file, "copy", &limits, &copy, &error) == MCF_OK);
  fclose(file);
  require(
      copy.node_count == net->node_count && copy.arc_count == net->arc_count &&
      copy.bound_total == net->bound_total &&
      copy.supply_total == net->supply_total && copy.cost_max == net->cost_max);
  mcf_network_fini(&copy);
  free(text);
}

static void check_solution(struct mcf_network *net, const char *text,
                           size_t bytes) {
  struct mcf_error error;
  int64_t objective;
  FILE *file = fmemopen((void *)text, bytes, "r");
  if (!file) {
    return;
  }
  int result = mcf_read_solution(file, "solution", net, &objective, &error);
  fclose(file);
  if (result == MCF_OK) {
    (void)mcf_verify(net, objective, &error);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char dashes[] = "\n---\n";
  struct mcf_network net;
  struct mcf_error error;
  struct mcf_stats stats;
  if (bytes == 0) {
    return 0;
  }
  const char *text = (const char *)data;
  const char *cut = memmem(text, bytes, dashes, sizeof dashes - 1);
  size_t problem_bytes = cut ? (size_t)(cut - text) + 1 : bytes;
  FILE *file = fmemopen((void *)text, problem_bytes, "r");
  require(file != NULL);
  int result = mcf_read_problem(file, "problem", &limits, &net, &error);
  fclose(file);
  if (result) {
    require(strlen(error.text) > 0 && !strchr(error.text, '\n'));
    return 0;
  }
  check_round_trip(&net);
  if (mcf_solve(&net, NULL, &stats, &error) == MCF_OK) {
    require(mcf_tree_check(&net) == NULL);
    require(mcf_verify(&net, stats.objective, &error) == MCF_OK);
  }
  if (cut) {
    const char *solution = cut + sizeof dashes - 1;
    check_solution(&net, solution, (size_t)(text + bytes - solution));
  }
  mcf_network_fini(&net);
  return 0;
}
