/* SPDX-License-Identifier: Apache-2.0
 *
 * mcf: solves a minimum-cost-flow problem from a DIMACS file or from the table
 * of instances. Standard output holds only what is the same in every run;
 * times go to standard error or to the file of --stats.
 * Exit: 0 optimal, 1 failed or wrong, 2 bad input, 3 infeasible or unbounded.
 */
#include "mcf.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "Usage: mcf [OPTION]... (--instance NAME | FILE)\n"
    "Solves a minimum-cost-flow problem by the primal network simplex method.\n"
    "FILE is in the DIMACS min-cost format; - is standard input.\n"
    "\n"
    "  --instance NAME    generate an instance: test, train or ref\n"
    "  --verify           prove that the solution is feasible and optimal\n"
    "  --stats[=FILE]     write statistics with times as JSON (standard "
    "error)\n"
    "  -o, --output FILE  write the solution in the DIMACS format\n"
    "  --group-size N     arcs in one pricing group (twice the square root\n"
    "                     of the number of arcs)\n"
    "  --candidates N     candidates kept between pivots (50)\n"
    "  --interleave       groups of every k-th arc, not of consecutive arcs\n"
    "  --help             show this help\n"
    "\n"
    "Exit status: 0 optimal; 1 failure or wrong solution; 2 bad input;\n"
    "3 infeasible or unbounded.\n";

struct run {
  const char *instance;
  const char *input;
  const char *output;
  const char *stats_file; /* NULL: standard error */
  bool stats;
  bool verify;
  struct mcf_options options;
  double build_s;
  double solve_s;
  double solve_cpu_s; /* less than solve_s where the program waits */
  double verify_s;
};

static double clock_s(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int positive(const char *option, const char *text, int64_t *out,
                    struct mcf_error *error) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno || end == text || *end || value < 1 || value > MCF_ARCS_MAX) {
    return mcf_fail(error, MCF_E_INPUT,
                    "%s %.100s: must be an integer from 1 to %" PRId64, option,
                    text, MCF_ARCS_MAX);
  }
  *out = value;
  return MCF_OK;
}

static int run_parse(struct run *run, int argc, char **argv,
                     struct mcf_error *error) {
  static const struct option longs[] = {
      {"instance", required_argument, NULL, 'i'},
      {"verify", no_argument, NULL, 'v'},
      {"stats", optional_argument, NULL, 's'},
      {"output", required_argument, NULL, 'o'},
      {"group-size", required_argument, NULL, 'g'},
      {"candidates", required_argument, NULL, 'c'},
      {"interleave", no_argument, NULL, 'l'},
      {"help", no_argument, NULL, 'h'},
      {0},
  };
  int c, result = MCF_OK;
  while ((c = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
    switch (c) {
    case 'i':
      run->instance = optarg;
      break;
    case 'v':
      run->verify = true;
      break;
    case 's':
      run->stats = true;
      run->stats_file = optarg;
      break;
    case 'o':
      run->output = optarg;
      break;
    case 'g':
      result =
          positive("--group-size", optarg, &run->options.group_size, error);
      break;
    case 'c':
      result =
          positive("--candidates", optarg, &run->options.candidates, error);
      break;
    case 'l':
      run->options.grouping = MCF_INTERLEAVED;
      break;
    case 'h':
      fputs(usage, stdout);
      exit(MCF_OK);
    default:
      return mcf_fail(error, MCF_E_INPUT, "see mcf --help");
    }
    if (result) {
      return result;
    }
  }
  if (optind < argc) {
    run->input = argv[optind++];
  }
  if (optind < argc || !run->input == !run->instance) {
    return mcf_fail(error, MCF_E_INPUT,
                    "give one FILE or --instance NAME; see mcf --help");
  }
  return MCF_OK;
}

static int run_build(struct run *run, struct mcf_network *net,
                     struct mcf_error *error) {
  double start = clock_s(CLOCK_MONOTONIC);
  int result;
  if (run->instance) {
    const struct mcf_recipe *recipe = mcf_recipe_find(run->instance);
    if (!recipe) {
      return mcf_fail(error, MCF_E_INPUT,
                      "no instance '%.100s': must be test, train or ref",
                      run->instance);
    }
    result = mcf_generate(recipe, net, error);
  } else if (strcmp(run->input, "-") == 0) {
    result = mcf_read_problem(stdin, "standard input", NULL, net, error);
  } else {
    FILE *file = fopen(run->input, "r");
    if (!file) {
      return mcf_fail(error, MCF_E_INPUT, "%.200s: cannot open: %s", run->input,
                      strerror(errno));
    }
    result = mcf_read_problem(file, run->input, NULL, net, error);
    fclose(file);
  }
  run->build_s = clock_s(CLOCK_MONOTONIC) - start;
  return result;
}

static int write_solution(const char *name, const struct mcf_network *net,
                          int64_t objective, struct mcf_error *error) {
  FILE *file = fopen(name, "w");
  if (!file) {
    return mcf_fail(error, MCF_E_FAILED, "%.200s: cannot create: %s", name,
                    strerror(errno));
  }
  int result = mcf_write_solution(file, net, objective, error);
  if (fclose(file) && !result) {
    result = mcf_fail(error, MCF_E_FAILED, "%.200s: cannot write: %s", name,
                      strerror(errno));
  }
  return result;
}

static int write_stats(const struct run *run, const struct mcf_network *net,
                       const struct mcf_stats *stats, struct mcf_error *error) {
  FILE *file = run->stats_file ? fopen(run->stats_file, "w") : stderr;
  if (!file) {
    return mcf_fail(error, MCF_E_FAILED, "%.200s: cannot create: %s",
                    run->stats_file, strerror(errno));
  }
  fprintf(file,
          "{\"nodes\": %" PRId64 ", \"arcs\": %" PRId64
          ", \"heap_bytes\": %" PRId64 ", \"objective\": %" PRId64
          ", \"pivots\": %" PRId64 ", \"degenerate\": %" PRId64
          ", \"flips\": %" PRId64 ", \"arcs_priced\": %" PRId64
          ", \"nodes_climbed\": %" PRId64 ", \"nodes_shifted\": %" PRId64
          ", \"build_s\": %.3f, \"solve_s\": %.3f, \"solve_cpu_s\": %.3f, "
          "\"verify_s\": %.3f}\n",
          net->node_count, net->arc_count, mcf_network_bytes(net),
          stats->objective, stats->pivots, stats->degenerate, stats->flips,
          stats->arcs_priced, stats->nodes_climbed, stats->nodes_shifted,
          run->build_s, run->solve_s, run->solve_cpu_s, run->verify_s);
  if (run->stats_file && fclose(file)) {
    return mcf_fail(error, MCF_E_FAILED, "%.200s: cannot write: %s",
                    run->stats_file, strerror(errno));
  }
  return MCF_OK;
}

static int run_all(struct run *run, struct mcf_network *net,
                   struct mcf_error *error) {
  struct mcf_stats stats;
  int result = run_build(run, net, error);
  if (result) {
    return result;
  }
  printf("nodes      %" PRId64 "\narcs       %" PRId64 "\n", net->node_count,
         net->arc_count);
  fflush(stdout);

  double start = clock_s(CLOCK_MONOTONIC);
  double start_cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
  result = mcf_solve(net, &run->options, &stats, error);
  run->solve_s = clock_s(CLOCK_MONOTONIC) - start;
  run->solve_cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
  if (result) {
    return result;
  }
  printf("objective  %" PRId64 "\npivots     %" PRId64 " (%" PRId64
         " degenerate, %" PRId64 " from bound to bound)\npriced     %" PRId64
         " arcs\nclimbed    %" PRId64 " nodes\nshifted    %" PRId64
         " potentials\n",
         stats.objective, stats.pivots, stats.degenerate, stats.flips,
         stats.arcs_priced, stats.nodes_climbed, stats.nodes_shifted);

  if (run->verify) {
    start = clock_s(CLOCK_MONOTONIC);
    result = mcf_verify(net, stats.objective, error);
    run->verify_s = clock_s(CLOCK_MONOTONIC) - start;
    if (result) {
      return result;
    }
    printf("verified   feasible and optimal\n");
  }
  if (run->output &&
      (result = write_solution(run->output, net, stats.objective, error))) {
    return result;
  }
  if (run->stats && (result = write_stats(run, net, &stats, error))) {
    return result;
  }
  if (fflush(stdout) || ferror(stdout)) {
    return mcf_fail(error, MCF_E_FAILED, "standard output: cannot write: %s",
                    strerror(errno));
  }
  return MCF_OK;
}

int main(int argc, char **argv) {
  struct run run = {0};
  struct mcf_network net = {0};
  struct mcf_error error;
  int result = run_parse(&run, argc, argv, &error);
  if (result == MCF_OK) {
    result = run_all(&run, &net, &error);
  }
  mcf_network_fini(&net);
  if (result) {
    fflush(stdout);
    fprintf(stderr, "mcf: %s\n", error.text);
  }
  return result;
}
