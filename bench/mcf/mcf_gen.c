/* SPDX-License-Identifier: Apache-2.0
 *
 * mcf-gen: writes a generated problem in the DIMACS min-cost format. Options
 * change single numbers of the recipe that they follow.
 * Exit: 0, 1 failed, 2 numbers that contradict each other.
 */
#include "mcf.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: mcf-gen [OPTION]...\n"
    "Writes a minimum-cost-flow problem in the DIMACS format; the same "
    "options\n"
    "give the same problem on every machine.\n"
    "\n"
    "  --instance NAME      start from test (the default), train or ref\n"
    "  --seed N             seed of the random numbers\n"
    "  --nodes N            nodes, of which --sources N and --sinks N\n"
    "  --arcs N             arcs\n"
    "  --cost-min N         range of the costs:\n"
    "  --cost-max N           both included\n"
    "  --supply N           supply of all sources together\n"
    "  --bound-min N        range of the upper bounds:\n"
    "  --bound-max N          both included\n"
    "  --percent-dear N     arcs of the skeleton that have the highest cost\n"
    "  --percent-bounded N  arcs with an upper bound below the supply\n"
    "  -o, --output FILE    write to FILE, not to standard output\n"
    "  --help               show this help\n"
    "\n"
    "Exit status: 0; 1 failure; 2 bad options.\n";

struct number {
  const char *name;
  size_t offset;
};

#define NUMBER(name, field) {name, offsetof(struct mcf_recipe, field)}

static const struct number numbers[] = {
    NUMBER("seed", seed),
    NUMBER("nodes", nodes),
    NUMBER("sources", sources),
    NUMBER("sinks", sinks),
    NUMBER("arcs", arcs),
    NUMBER("cost-min", cost_min),
    NUMBER("cost-max", cost_max),
    NUMBER("supply", supply),
    NUMBER("bound-min", bound_min),
    NUMBER("bound-max", bound_max),
    NUMBER("percent-dear", percent_dear),
    NUMBER("percent-bounded", percent_bounded),
};
enum { NUMBER_COUNT = sizeof numbers / sizeof *numbers };

/* All fields in the table are 64 bits wide. */
static int64_t *number_field(struct mcf_recipe *recipe, int i) {
  return (int64_t *)(void *)((char *)recipe + numbers[i].offset);
}

static int parse(struct mcf_recipe *recipe, const char **out_name, int argc,
                 char **argv, struct mcf_error *error) {
  enum { OPT_INSTANCE = 1000, OPT_HELP };
  struct option longs[NUMBER_COUNT + 4] = {{0}};
  for (int i = 0; i < NUMBER_COUNT; i++) {
    longs[i] = (struct option){numbers[i].name, required_argument, NULL, i};
  }
  longs[NUMBER_COUNT] =
      (struct option){"instance", required_argument, NULL, OPT_INSTANCE};
  longs[NUMBER_COUNT + 1] =
      (struct option){"output", required_argument, NULL, 'o'};
  longs[NUMBER_COUNT + 2] =
      (struct option){"help", no_argument, NULL, OPT_HELP};

  int c;
  while ((c = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
    if (c >= 0 && c < NUMBER_COUNT) {
      char *end;
      errno = 0;
      *number_field(recipe, c) = strtoll(optarg, &end, 10);
      if (errno || end == optarg || *end) {
        return mcf_fail(error, MCF_E_INPUT, "--%s %.100s: must be an integer",
                        numbers[c].name, optarg);
      }
    } else if (c == OPT_INSTANCE) {
      const struct mcf_recipe *found = mcf_recipe_find(optarg);
      if (!found) {
        return mcf_fail(error, MCF_E_INPUT,
                        "no instance '%.100s': must be test, train or ref",
                        optarg);
      }
      *recipe = *found;
    } else if (c == 'o') {
      *out_name = optarg;
    } else if (c == OPT_HELP) {
      fputs(usage, stdout);
      exit(MCF_OK);
    } else {
      return mcf_fail(error, MCF_E_INPUT, "see mcf-gen --help");
    }
  }
  if (optind < argc) {
    return mcf_fail(error, MCF_E_INPUT,
                    "unexpected '%.100s'; see mcf-gen --help", argv[optind]);
  }
  return MCF_OK;
}

static int write_to(FILE *file, const struct mcf_recipe *recipe,
                    const struct mcf_network *net, struct mcf_error *error) {
  fprintf(file, "c mcf-gen");
  for (int i = 0; i < NUMBER_COUNT; i++) {
    struct mcf_recipe copy = *recipe;
    fprintf(file, " --%s %" PRId64, numbers[i].name, *number_field(&copy, i));
  }
  fprintf(file, "\n");
  return mcf_write_problem(file, net, error);
}

int main(int argc, char **argv) {
  struct mcf_recipe recipe = *mcf_recipe_find("test");
  struct mcf_network net = {0};
  struct mcf_error error;
  const char *name = NULL;
  FILE *file = stdout;

  int result = parse(&recipe, &name, argc, argv, &error);
  if (result || (result = mcf_generate(&recipe, &net, &error))) {
    goto out;
  }
  if (name && !(file = fopen(name, "w"))) {
    result = mcf_fail(&error, MCF_E_FAILED, "%.200s: cannot create: %s", name,
                      strerror(errno));
    goto out;
  }
  result = write_to(file, &recipe, &net, &error);
  if (fclose(file) && !result) {
    result =
        mcf_fail(&error, MCF_E_FAILED, "cannot write: %s", strerror(errno));
  }
out:
  mcf_network_fini(&net);
  if (result) {
    fprintf(stderr, "mcf-gen: %s\n", error.text);
  }
  return result;
}
