/* SPDX-License-Identifier: Apache-2.0
 *
 * See options.h.
 */
#include "cira-graph/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/fabric.h"
#include "space/space.h"

static const char HELP[] =
    "Usage: cira-graph COMMAND [OPTION]... FILE\n"
    "  or:  cira-graph COMMAND [OPTION]... --generate=RECIPE\n"
    "Run a graph algorithm on a graph in local or far memory.\n"
    "\n"
    "FILE is a list of edges (FROM TO [WEIGHT] per line, SNAP's files too), a\n"
    "MatrixMarket coordinate matrix (.mtx), a DIMACS shortest path problem\n"
    "(.gr, .sp), or a binary graph (.cgr) that --convert has written.\n"
    "\n"
    "Commands:\n"
    "  bfs     breadth-first search from --source\n"
    "  sssp    shortest paths from --source; weights must not be negative\n"
    "  pr      PageRank\n"
    "  cc      connected components, whatever the direction of edges\n"
    "  bc      betweenness centrality, summed over the sources\n"
    "  tc      number of triangles; implies --symmetrise --simple\n"
    "  info    only read or make the graph\n"
    "\n"
    "Graph:\n"
    "  -g, --generate=RECIPE   kronecker:SCALE,DEGREE (skewed, 2^SCALE\n"
    "                          vertices), uniform:SCALE,DEGREE or\n"
    "                          grid:WIDTHxHEIGHT; made symmetric and simple\n"
    "                          unless --as-is is given\n"
    "      --as-is             leave generated edges as they are\n"
    "      --seed=N            of generator and random weights; default 1\n"
    "      --format=FORMAT     edges, mtx, dimacs or binary; default: by\n"
    "                          content, then by suffix\n"
    "      --symmetrise        add the reverse of each edge\n"
    "      --simple            drop self loops; of parallel edges keep the\n"
    "                          lightest\n"
    "      --compact           number the vertices that occur 0, 1, 2 ...\n"
    "      --weights=WHICH     keep, drop, or random:MAX (1 to MAX); default\n"
    "                          keep, for sssp on a generated graph random:255\n"
    "      --convert=OUT       write the graph to OUT in the format of its\n"
    "                          suffix: .cgr .el .wel .mtx .gr\n"
    "\n"
    "Run:\n"
    "  -s, --source=N          vertex to start from; for bc it may be\n"
    "                          repeated; default the first with edges\n"
    "  -t, --threads=N         default one per CPU\n"
    "      --delta=N           width of the buckets of sssp\n"
    "      --rounds=N          most rounds of pr; default 100\n"
    "      --tolerance=X       where pr stops; default 1e-4\n"
    "      --trials=N          run N times and tell the median; default 1\n"
    "      --look-ahead=N      vertices of the queue, 1 to 32; default 8\n"
    "  -v, --verify            prove the result by serial code of another\n"
    "                          kind\n"
    "\n"
    "Memory:\n"
    "  -f, --far=URL           put the graph into far memory, as for cira-run\n"
    "                          (CIRA_FAR); for shm: a server is started for\n"
    "                          the time where none runs\n"
    "  -l, --local=SIZE        size of the local cache (CIRA_LOCAL); default\n"
    "                          half of the memory\n"
    "      --plain             only page: read nothing at home and ask for\n"
    "                          nothing ahead, to compare\n"
    "      --token-file=FILE   secret that the memory server asks for\n"
    "                          (CIRA_TOKEN_FILE)\n"
    "\n"
    "  -j, --json              write JSON\n"
    "  -h, --help              print this text and exit\n"
    "  -V, --version           print the version and exit\n"
    "\n"
    "Exit status:\n"
    "0 on success; 1 when something failed or --verify found the result "
    "wrong;\n"
    "2 for a wrong option or a graph that is not right.\n"
    "\n"
    "Examples:\n"
    "  cira-graph bfs --generate kronecker:20,16 --verify\n"
    "  cira-graph info --convert road.cgr USA-road-d.NY.gr\n"
    "  cira-graph sssp --far shm: --local 64M --source 7 road.cgr\n";

enum {
  O_AS_IS = 256,
  O_SEED,
  O_FORMAT,
  O_SYMMETRISE,
  O_SIMPLE,
  O_COMPACT,
  O_WEIGHTS,
  O_CONVERT,
  O_DELTA,
  O_ROUNDS,
  O_TOLERANCE,
  O_TRIALS,
  O_LOOK_AHEAD,
  O_PLAIN,
  O_TOKEN_FILE,
};

static const struct option LONG_OPTIONS[] = {
    {"generate", required_argument, NULL, 'g'},
    {"as-is", no_argument, NULL, O_AS_IS},
    {"seed", required_argument, NULL, O_SEED},
    {"format", required_argument, NULL, O_FORMAT},
    {"symmetrise", no_argument, NULL, O_SYMMETRISE},
    {"symmetrize", no_argument, NULL, O_SYMMETRISE},
    {"simple", no_argument, NULL, O_SIMPLE},
    {"compact", no_argument, NULL, O_COMPACT},
    {"weights", required_argument, NULL, O_WEIGHTS},
    {"convert", required_argument, NULL, O_CONVERT},
    {"source", required_argument, NULL, 's'},
    {"threads", required_argument, NULL, 't'},
    {"delta", required_argument, NULL, O_DELTA},
    {"rounds", required_argument, NULL, O_ROUNDS},
    {"tolerance", required_argument, NULL, O_TOLERANCE},
    {"trials", required_argument, NULL, O_TRIALS},
    {"look-ahead", required_argument, NULL, O_LOOK_AHEAD},
    {"verify", no_argument, NULL, 'v'},
    {"far", required_argument, NULL, 'f'},
    {"local", required_argument, NULL, 'l'},
    {"plain", no_argument, NULL, O_PLAIN},
    {"token-file", required_argument, NULL, O_TOKEN_FILE},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static _Noreturn void usage(const char *words, const char *what) {
  fprintf(stderr, "cira-graph: %s%s\n", words, what);
  fputs("Try 'cira-graph --help' for the options.\n", stderr);
  exit(GRAPH_EXIT_USAGE);
}

static void must(cira_status_t status) {
  if (status != CIRA_OK) {
    usage(cira_status_detail(), "");
  }
}

static uint64_t number(const char *what, uint64_t least, uint64_t most) {
  uint64_t x = 0;
  must(cira__parse_u64(optarg, what, most, &x));
  if (x < least) {
    char words[96];
    snprintf(words, sizeof words, "%s: give at least %llu, not ", what,
             (unsigned long long)least);
    usage(words, optarg);
  }
  return x;
}

static cira_graph_format_t format_named(const char *name) {
  static const char *const names[] = {"edges", "mtx", "dimacs", "binary"};
  for (size_t i = 0; i < CIRA_COUNT(names); i++) {
    if (strcmp(name, names[i]) == 0) {
      return (cira_graph_format_t)(i + 1);
    }
  }
  usage("--format takes edges, mtx, dimacs or binary, not ", name);
}

static void weights_set(graph_options_t *o) {
  o->weights_given = true;
  if (strcmp(optarg, "keep") == 0) {
    o->graph.weights = CIRA_GRAPH_WEIGHTS_KEEP;
  } else if (strcmp(optarg, "drop") == 0) {
    o->graph.weights = CIRA_GRAPH_WEIGHTS_DROP;
  } else if (strncmp(optarg, "random:", 7) == 0) {
    o->graph.weights = CIRA_GRAPH_WEIGHTS_RANDOM;
    optarg += 7;
    o->graph.weight_max =
        (uint32_t)number("--weights=random:MAX", 1, INT32_MAX);
  } else {
    usage("--weights takes keep, drop or random:MAX, not ", optarg);
  }
}

static void tolerance_set(graph_options_t *o) {
  char *end;
  o->tolerance = strtod(optarg, &end);
  if (end == optarg || *end != 0 || !(o->tolerance > 0)) {
    usage("--tolerance takes a number above 0, not ", optarg);
  }
}

static void graph_option(int c, graph_options_t *o) {
  switch (c) {
  case 'g':
    o->recipe = optarg;
    break;
  case O_AS_IS:
    o->as_is = true;
    break;
  case O_SEED:
    o->graph.seed = number("--seed", 1, UINT64_MAX);
    break;
  case O_FORMAT:
    o->graph.format = format_named(optarg);
    break;
  case O_SYMMETRISE:
    o->graph.symmetrise = true;
    break;
  case O_SIMPLE:
    o->graph.deduplicate = o->graph.drop_self_loops = true;
    break;
  case O_COMPACT:
    o->graph.compact = true;
    break;
  case O_WEIGHTS:
    weights_set(o);
    break;
  case O_CONVERT:
    o->convert = optarg;
    break;
  case 'h':
    fputs(HELP, stdout);
    exit(0);
  case 'V':
    puts("cira-graph " CIRA_VERSION);
    exit(0);
  default:
    fputs("Try 'cira-graph --help' for the options.\n", stderr);
    exit(GRAPH_EXIT_USAGE);
  }
}

static void run_option(int c, graph_options_t *o) {
  switch (c) {
  case 's':
    if (o->source_count == GRAPH_SOURCES_MAX) {
      usage("at most 1024 sources can be given", "");
    }
    o->sources[o->source_count++] =
        (uint32_t)number("--source", 0, CIRA_GRAPH_VERTICES_MAX - 1);
    break;
  case 't':
    o->run.threads = (uint32_t)number("--threads", 1, CIRA_GRAPH_THREADS_MAX);
    o->graph.threads = o->run.threads;
    break;
  case O_DELTA:
    o->delta = number("--delta", 1, 1u << 31);
    break;
  case O_ROUNDS:
    o->rounds = number("--rounds", 1, UINT32_MAX);
    break;
  case O_TOLERANCE:
    tolerance_set(o);
    break;
  case O_TRIALS:
    o->trials = number("--trials", 1, 1000);
    break;
  case O_LOOK_AHEAD:
    o->run.look_ahead = (uint32_t)number("--look-ahead", 1, 32);
    break;
  case 'v':
    o->verify = true;
    break;
  case 'f':
    o->far_url = optarg;
    break;
  case 'l':
    must(cira__parse_size(optarg, "--local", &o->local_bytes));
    break;
  case O_PLAIN:
    o->run.flags |= CIRA_GRAPH_F_PLAIN;
    break;
  case O_TOKEN_FILE:
    o->token_file = optarg;
    break;
  case 'j':
    o->json = true;
    break;
  default:
    graph_option(c, o);
  }
}

static void command_set(graph_options_t *o, const char *name) {
  static const char *const names[] = {"info", "bfs", "sssp", "pr",
                                      "cc",   "bc",  "tc"};
  for (size_t i = 0; i < CIRA_COUNT(names); i++) {
    if (strcmp(name, names[i]) == 0) {
      o->command = (graph_command_t)i;
      o->command_name = names[i];
      return;
    }
  }
  usage("the command must be bfs, sssp, pr, cc, bc, tc or info, not ", name);
}

static void environment(graph_options_t *o) {
  const char *local = getenv("CIRA_LOCAL");
  const char *preload = getenv("LD_PRELOAD");
  if (preload != NULL && strstr(preload, "libcira-preload") != NULL) {
    return; /* below cira-run all of our heap is far, and they are its own */
  }
  if (o->far_url == NULL) {
    o->far_url = getenv("CIRA_FAR");
  }
  if (o->token_file == NULL) {
    o->token_file = getenv("CIRA_TOKEN_FILE");
  }
  if (o->local_bytes == 0 && local != NULL) {
    must(cira__parse_size(local, "CIRA_LOCAL", &o->local_bytes));
  }
}

static void check(graph_options_t *o) {
  bool walks = o->command == GRAPH_BFS || o->command == GRAPH_SSSP;
  if ((o->file == NULL) == (o->recipe == NULL)) {
    usage("give one FILE, or --generate", "");
  }
  if (o->source_count > 0 && !walks && o->command != GRAPH_BC) {
    usage("--source is for bfs, sssp and bc, not for ", o->command_name);
  }
  if (o->source_count > 1 && walks) {
    usage("several sources are for bc, not for ", o->command_name);
  }
  if (o->far_url != NULL) {
    must(cira_fabric_url_check(o->far_url));
    o->graph.place = CIRA_GRAPH_FAR;
  } else if (o->local_bytes != 0 || (o->run.flags & CIRA_GRAPH_F_PLAIN) != 0) {
    usage("--local and --plain are for graphs in far memory; add --far", "");
  }
  if (o->local_bytes != 0 && o->local_bytes < CIRA_SPACE_LOCAL_MIN) {
    usage("--local: the local cache has at least 256K", "");
  }
  if ((o->recipe != NULL && !o->as_is) || o->command == GRAPH_TC) {
    o->graph.symmetrise = o->graph.deduplicate = o->graph.drop_self_loops =
        true;
  }
  if (o->command == GRAPH_SSSP && o->recipe != NULL && !o->weights_given) {
    o->graph.weights = CIRA_GRAPH_WEIGHTS_RANDOM;
  } else if (o->command != GRAPH_SSSP && o->convert == NULL &&
             !o->weights_given) {
    o->graph.weights = CIRA_GRAPH_WEIGHTS_DROP; /* nobody looks at them */
  }
  o->graph.in_edges = o->command == GRAPH_BFS || o->command == GRAPH_PR;
}

void graph_options_parse(int argc, char **argv, graph_options_t *o) {
  int c;
  memset(o, 0, sizeof *o);
  cira_graph_options_default(&o->graph);
  cira_graph_run_default(&o->run);
  o->rounds = 100;
  o->tolerance = 1e-4;
  o->trials = 1;
  while ((c = getopt_long(argc, argv, "g:s:t:vf:l:jhV", LONG_OPTIONS, NULL)) !=
         -1) {
    run_option(c, o);
  }
  if (optind == argc) {
    usage("a command is missing: bfs, sssp, pr, cc, bc, tc or info", "");
  }
  command_set(o, argv[optind++]);
  if (optind < argc) {
    o->file = argv[optind++];
  }
  if (optind < argc) {
    usage("unexpected argument ", argv[optind]);
  }
  environment(o);
  check(o);
}
