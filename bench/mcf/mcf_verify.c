/* SPDX-License-Identifier: Apache-2.0
 *
 * mcf-verify: checks a solution, by whatever program, against its problem.
 * Exit: 0 feasible and optimal, 1 not, 2 files that cannot be read.
 */
#include "mcf.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char usage[] =
    "Usage: mcf-verify PROBLEM SOLUTION\n"
    "Proves that SOLUTION is a feasible flow of least cost for PROBLEM; both "
    "are\nin the DIMACS min-cost format.\n"
    "\n"
    "Exit status: 0 optimal; 1 not feasible, not optimal, or a wrong "
    "objective;\n2 bad input.\n";

static int verify_files(const char *problem, const char *solution,
                        struct mcf_network *net, struct mcf_error *error) {
  int64_t objective;
  FILE *file = fopen(problem, "r");
  if (!file) {
    return mcf_fail(error, MCF_E_INPUT, "%.200s: cannot open: %s", problem,
                    strerror(errno));
  }
  int result = mcf_read_problem(file, problem, NULL, net, error);
  fclose(file);
  if (result) {
    return result;
  }
  file = fopen(solution, "r");
  if (!file) {
    return mcf_fail(error, MCF_E_INPUT, "%.200s: cannot open: %s", solution,
                    strerror(errno));
  }
  result = mcf_read_solution(file, solution, net, &objective, error);
  fclose(file);
  if (result || (result = mcf_verify(net, objective, error))) {
    return result;
  }
  printf("objective  %" PRId64 "\nverified   feasible and optimal\n",
         objective);
  return MCF_OK;
}

int main(int argc, char **argv) {
  struct mcf_network net = {0};
  struct mcf_error error;
  if (argc == 2 && strcmp(argv[1], "--help") == 0) {
    fputs(usage, stdout);
    return MCF_OK;
  }
  if (argc != 3) {
    fputs("mcf-verify: give PROBLEM and SOLUTION; see mcf-verify --help\n",
          stderr);
    return MCF_E_INPUT;
  }
  int result = verify_files(argv[1], argv[2], &net, &error);
  mcf_network_fini(&net);
  if (result) {
    fprintf(stderr, "mcf-verify: %s\n", error.text);
  }
  return result;
}
