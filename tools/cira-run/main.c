/* SPDX-License-Identifier: Apache-2.0
 *
 * cira-run: runs a program that was never recompiled with its heap in far
 * memory. Checks everything that can be checked before the program starts, sets
 * the environment that the preload library reads, starts a memory server where
 * none runs, and tidies up afterwards.
 * Threads: one.
 * Reading order: this file, program.c (can it be run), mlir.c (a file for
 * cira-jit instead), server.c (a private memory server), child.c (running it),
 * profile.c (recording it), stats_print.c (the table at the end).
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "cira-run/child.h"
#include "cira-run/mlir.h"
#include "cira-run/profile.h"
#include "cira-run/program.h"
#include "cira-run/server.h"
#include "cira-run/stats_print.h"
#include "fabric/fabric.h"
#include "space/space.h"

typedef struct {
  const char *local;
  const char *far_url;
  const char *far_size;
  const char *near_max;
  const char *deadline;
  const char *token_file;
  const char *mode;
  const char *log;
  const char *helpers;
  const char *profile; /* NULL = none */
  run_mlir_t jit;
  bool stats;
  const char *stats_file; /* NULL = standard error */
  const char *stats_format;
} options_t;

static const char HELP[] =
    "Usage: cira-run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "  or:  cira-run [OPTION]... FILE.mlir [OPTION]... [ARGUMENT]...\n"
    "Run a program that was never recompiled with its heap in far memory, or\n"
    "compile an MLIR file and run it with its arrays there.\n"
    "\n"
    "The heap of PROGRAM, and of every program that it starts, lives at a\n"
    "memory server; a cache of --local bytes stays here. Pages come when\n"
    "they are touched and only changed bytes go back. The program sees\n"
    "ordinary pointers; it must be dynamically linked.\n"
    "\n"
    "Options:\n"
    "  -l, --local=SIZE        size of the local cache (CIRA_LOCAL), at\n"
    "                          least 256K; default half of the memory\n"
    "  -f, --far=URL           where far bytes live (CIRA_FAR); default\n"
    "                          shm:\n"
    "  -s, --far-size=SIZE     size of the far range (CIRA_FAR_SIZE),\n"
    "                          default 1T, and of the memory server that\n"
    "                          cira-run starts, default what is available\n"
    "  -n, --near-max=SIZE     heap blocks up to this size stay local\n"
    "                          (CIRA_NEAR_MAX); default none\n"
    "  -d, --deadline=TIME     how long a far access may take before the\n"
    "                          program is ended with an error\n"
    "                          (CIRA_DEADLINE); default 10s\n"
    "  -t, --token-file=FILE   secret that the memory server asks for\n"
    "                          (CIRA_TOKEN_FILE)\n"
    "  -m, --mode=MODE         how the page table is owned (CIRA_MODE):\n"
    "                          auto, sigbus, thread or sigsegv; default\n"
    "                          auto, see cira-info\n"
    "  -S, --stats[=FILE]      at the end, write what paging cost: a table\n"
    "                          on standard error, or JSON to FILE\n"
    "      --stats-format=FMT  json or table, whatever the destination\n"
    "  -p, --profile=FILE      record which code waited for far memory, and\n"
    "                          for how long; read it with cira-prof\n"
    "      --log=LEVEL         error, warn, info or debug (CIRA_LOG);\n"
    "                          default warn\n"
    "      --helpers=N         threads that run offloaded work\n"
    "                          (CIRA_HELPERS); default one per spare\n"
    "                          processor, at most 2\n"
    "  -h, --help              print this text and exit\n"
    "  -V, --version           print the version and exit\n"
    "\n"
    "Options for FILE.mlir, see cira-jit --help: --entry=NAME,\n"
    "--pipeline=STAGES, --no-cira-opt, --check, --cira-machine=FILE,\n"
    "-O0 to -O3, --remarks, --time, --repeat=N, --emit=WHAT,\n"
    "-o, --output=FILE.\n"
    "\n"
    "SIZE is a number with an optional unit k, m, g or t (powers of 1024),\n"
    "such as 256M or 1.5GiB. TIME is a number with an optional unit us, ms\n"
    "or s. Options win over the environment variables in parentheses.\n"
    "\n"
    "Far memory URLs:\n"
    "  shm:              the memory server of this machine; when none runs,\n"
    "                    cira-run starts one and it ends with the run\n"
    "  shm:PATH          a server of this machine on the socket PATH\n"
    "  tcp://HOST:PORT   a memory server on another machine\n"
    "  unix:PATH         the same protocol over a local socket\n"
    "  host:             memory of the process itself beside its cache\n"
    "  URL,URL,...       striped over several places\n"
    "\n"
    "Exit status:\n"
    "The exit status is that of PROGRAM, and a PROGRAM that died of a signal\n"
    "makes cira-run die of the same. 74 means that far memory was lost (the\n"
    "message names the server), 125 that cira-run failed, 126 that PROGRAM\n"
    "cannot be run this way, 127 that it was not found.\n"
    "\n"
    "Examples:\n"
    "  cira-run --local 64M --stats sqlite3 big.db\n"
    "  cira-run --local 1G --far tcp://10.0.0.2:7077 ./solver input\n"
    "  cira-run --local 256M --stats=stats.json python3 job.py\n"
    "  cira-run --local 16M list.mlir --entry walk 4194304\n";

enum { OPT_STATS_FORMAT = 256, OPT_LOG, OPT_HELPERS, OPT_JIT };

static const struct option LONG_OPTIONS[] = {
    {"local", required_argument, NULL, 'l'},
    {"far", required_argument, NULL, 'f'},
    {"far-size", required_argument, NULL, 's'},
    {"near-max", required_argument, NULL, 'n'},
    {"deadline", required_argument, NULL, 'd'},
    {"token-file", required_argument, NULL, 't'},
    {"mode", required_argument, NULL, 'm'},
    {"stats", optional_argument, NULL, 'S'},
    {"stats-format", required_argument, NULL, OPT_STATS_FORMAT},
    {"profile", required_argument, NULL, 'p'},
    {"log", required_argument, NULL, OPT_LOG},
    {"helpers", required_argument, NULL, OPT_HELPERS},
    {"entry", required_argument, NULL, OPT_JIT},
    {"pipeline", required_argument, NULL, OPT_JIT},
    {"no-cira-opt", no_argument, NULL, OPT_JIT},
    {"check", no_argument, NULL, OPT_JIT},
    {"cira-machine", required_argument, NULL, OPT_JIT},
    {"remarks", no_argument, NULL, OPT_JIT},
    {"time", no_argument, NULL, OPT_JIT},
    {"repeat", required_argument, NULL, OPT_JIT},
    {"emit", required_argument, NULL, OPT_JIT},
    {"output", required_argument, NULL, OPT_JIT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static _Noreturn CIRA_PRINTF(2, 3) void fail(int exit_status, const char *fmt,
                                             ...) {
  va_list ap;
  va_start(ap, fmt);
  fputs("cira-run: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  exit(exit_status);
}

/* ---- options ------------------------------------------------------------ */

/* An option that belongs to cira-jit: "-O2", "--entry" and its value. */
static void keep_for_jit(options_t *o, const char *dashes, const char *name,
                         const char *value) {
  char *word = NULL;
  if (asprintf(&word, "%s%s", dashes, name) < 0) {
    fail(RUN_EXIT_SELF, "out of memory");
  }
  if (!run_mlir_add(&o->jit, word, value)) {
    fail(RUN_EXIT_SELF,
         "more than %d words of options for the compiler; give "
         "each option once",
         RUN_MLIR_OPTIONS_MAX);
  }
}

static int parse_options(int argc, char **argv, options_t *o) {
  int c;
  int index = 0;
  /* "+": everything after PROGRAM belongs to PROGRAM. */
  while ((c = getopt_long(argc, argv, "+l:f:s:n:d:t:m:S::p:O:o:hV",
                          LONG_OPTIONS, &index)) != -1) {
    switch (c) {
    case 'l':
      o->local = optarg;
      break;
    case 'f':
      o->far_url = optarg;
      break;
    case 's':
      o->far_size = optarg;
      break;
    case 'n':
      o->near_max = optarg;
      break;
    case 'd':
      o->deadline = optarg;
      break;
    case 't':
      o->token_file = optarg;
      break;
    case 'm':
      o->mode = optarg;
      break;
    case 'S':
      o->stats = true;
      o->stats_file = optarg;
      break;
    case OPT_STATS_FORMAT:
      o->stats_format = optarg;
      o->stats = true;
      break;
    case 'p':
      o->profile = optarg;
      break;
    case OPT_LOG:
      o->log = optarg;
      break;
    case OPT_HELPERS:
      o->helpers = optarg;
      break;
    case OPT_JIT:
      keep_for_jit(o, "--", LONG_OPTIONS[index].name, optarg);
      break;
    case 'O':
      if (strlen(optarg) != 1 || optarg[0] < '0' || optarg[0] > '3') {
        fail(RUN_EXIT_SELF, "there is no level -O%s; use -O0, -O1, -O2 or -O3",
             optarg);
      }
      keep_for_jit(o, "-O", optarg, NULL);
      break;
    case 'o':
      keep_for_jit(o, "--", "output", optarg);
      break;
    case 'h':
      fputs(HELP, stdout);
      exit(0);
    case 'V':
      puts("cira-run " CIRA_VERSION);
      exit(0);
    default:
      fputs("Try 'cira-run --help' for the options.\n", stderr);
      exit(RUN_EXIT_SELF);
    }
  }
  return optind;
}

static void need(cira_status_t status) {
  if (status != CIRA_OK) {
    fail(RUN_EXIT_SELF, "%s", cira_status_detail());
  }
}

static void need_one_of(const char *value, const char *what,
                        const char *const *names) {
  for (size_t i = 0; value != NULL && names[i] != NULL; i++) {
    if (strcmp(value, names[i]) == 0) {
      return;
    }
  }
  if (value == NULL) {
    return;
  }
  char list[128] = "";
  for (size_t i = 0; names[i] != NULL; i++) {
    size_t n = strlen(list);
    snprintf(list + n, sizeof list - n, "%s%s", i == 0 ? "" : ", ", names[i]);
  }
  fail(RUN_EXIT_SELF, "%s \"%s\" is none of: %s", what, value, list);
}

/* Refuses what the preload library would refuse later, with the name of the
 * option instead of that of the variable. */
static void check_options(const options_t *o) {
  static const char *const MODES[] = {"auto", "sigbus", "thread", "sigsegv",
                                      NULL};
  static const char *const LEVELS[] = {"error", "warn", "info", "debug", NULL};
  static const char *const FORMATS[] = {"json", "table", NULL};
  uint64_t n;
  if (o->local != NULL) {
    need(cira__parse_size(o->local, "--local", &n));
    if (n < CIRA_SPACE_LOCAL_MIN) {
      fail(RUN_EXIT_SELF,
           "--local %s is below the smallest cache of 256K (64 pages); give a "
           "larger one",
           o->local);
    }
  }
  if (o->far_size != NULL) {
    need(cira__parse_size(o->far_size, "--far-size", &n));
    if (n < CIRA_SPACE_LOCAL_MIN || n > CIRA_SPACE_BYTES_MAX) {
      fail(RUN_EXIT_SELF, "--far-size %s is not between 256K and 16T",
           o->far_size);
    }
  }
  if (o->near_max != NULL) {
    need(cira__parse_size(o->near_max, "--near-max", &n));
  }
  if (o->deadline != NULL) {
    need(cira__parse_duration(o->deadline, "--deadline", &n));
    if (n == 0) {
      fail(RUN_EXIT_SELF, "--deadline 0 leaves no time for any access; give "
                          "for example 10s");
    }
  }
  if (o->token_file != NULL && access(o->token_file, R_OK) != 0) {
    fail(RUN_EXIT_SELF, "--token-file %s cannot be read: %s", o->token_file,
         strerror(errno));
  }
  need_one_of(o->mode, "--mode", MODES);
  need_one_of(o->log, "--log", LEVELS);
  need_one_of(o->stats_format, "--stats-format", FORMATS);
}

static void env_set(const char *name, const char *value) {
  if (value != NULL && setenv(name, value, 1) != 0) {
    fail(RUN_EXIT_SELF, "cannot set %s: %s", name, strerror(errno));
  }
}

/* ---- places ------------------------------------------------------------- */

/* The folder of this binary: cira-memd lies beside it, the library near it. */
static void own_folder(char *dir, size_t bytes) {
  ssize_t n = readlink("/proc/self/exe", dir, bytes - 1);
  if (n <= 0) {
    fail(RUN_EXIT_SELF, "cannot find where cira-run is installed: %s",
         strerror(errno));
  }
  dir[n] = '\0';
  *strrchr(dir, '/') = '\0';
}

/* Puts our library in front of what is preloaded already. */
static void preload_library(const char *bindir) {
  static const char *const PLACES[] = {"../" CIRA_LIBDIR "/cira", "../lib/cira",
                                       "../lib"};
  char path[PATH_MAX + 64];
  char real[PATH_MAX];
  for (size_t i = 0; i < CIRA_COUNT(PLACES); i++) {
    snprintf(path, sizeof path, "%s/%s/libcira-preload.so", bindir, PLACES[i]);
    if (realpath(path, real) == NULL) {
      continue;
    }
    if (strpbrk(real, ": ") != NULL) {
      fail(RUN_EXIT_SELF,
           "%s cannot be preloaded: the loader takes colons and spaces for "
           "separators; move cira to another folder",
           real);
    }
    const char *before = getenv("LD_PRELOAD");
    char *all = NULL;
    if (before == NULL || before[0] == '\0') {
      env_set("LD_PRELOAD", real);
      return;
    }
    if (asprintf(&all, "%s:%s", real, before) < 0) {
      fail(RUN_EXIT_SELF, "out of memory");
    }
    env_set("LD_PRELOAD", all);
    free(all);
    return;
  }
  fail(RUN_EXIT_SELF,
       "libcira-preload.so is neither in %s/../" CIRA_LIBDIR
       "/cira nor in %s/../lib; install cira again",
       bindir, bindir);
}

/* ---- far memory --------------------------------------------------------- */

/* Makes sure that somebody answers at the place of `o`; for plain shm: starts a
 * private server when nobody does. */
static void reach_far(const options_t *o, const char *bindir,
                      run_server_t *server) {
  const char *url = o->far_url != NULL ? o->far_url : getenv("CIRA_FAR");
  const char *token =
      o->token_file != NULL ? o->token_file : getenv("CIRA_TOKEN_FILE");
  if (url == NULL || url[0] == '\0') {
    url = "shm:";
  }
  need(cira_fabric_url_check(url));
  if (strcmp(url, "shm:") != 0) {
    env_set("CIRA_FAR", url);
    return; /* the library connects, and says what is wrong */
  }
  cira_fabric_options_t opt;
  cira_fabric_options_default(&opt);
  opt.token_file = token;
  cira_fabric_t *f = NULL;
  cira_status_t status = cira_fabric_connect(url, &opt, &f);
  if (status == CIRA_OK) {
    cira_fabric_close(f);
    env_set("CIRA_FAR", url);
    return;
  }
  if (status != CIRA_E_UNREACHABLE) {
    need(status); /* a server that refuses us, not one that is missing */
  }
  need(run_server_start(bindir, o->far_size, token, server));
  env_set("CIRA_FAR", server->url);
}

/* What is to be executed, and how: the program itself with our library in
 * front of it, or cira-jit with the file. */
static char **command(const options_t *o, const char *bindir, char **argv,
                      size_t argc, char *path, size_t path_bytes) {
  if (!run_mlir_is(argv[0])) {
    char why[2 * PATH_MAX];
    if (o->jit.count != 0) {
      fail(RUN_EXIT_SELF,
           "%s is an option for a FILE.mlir, and %s is none; "
           "leave it out",
           o->jit.words[0], argv[0]);
    }
    int refused = run_program_check(argv[0], path, path_bytes, why, sizeof why);
    if (refused != 0) {
      fail(refused, "%s", why);
    }
    preload_library(bindir);
    return argv;
  }
  if (access(argv[0], R_OK) != 0) {
    fail(errno == ENOENT ? RUN_EXIT_NOT_FOUND : RUN_EXIT_CANNOT,
         "%s cannot be read: %s; check the path", argv[0], strerror(errno));
  }
  if (o->near_max != NULL) {
    fail(RUN_EXIT_SELF,
         "--near-max is about malloc, and %s allocates by memref.alloc and "
         "cira.alloc; leave it out, or write tier(local)",
         argv[0]);
  }
  snprintf(path, path_bytes, "%s/cira-jit", bindir);
  if (access(path, X_OK) != 0) {
    fail(RUN_EXIT_CANNOT,
         "%s compiles .mlir files and is missing; install "
         "cira with its compiler",
         path);
  }
  char **words = run_mlir_argv(&o->jit, argv, argc);
  if (words == NULL) {
    fail(RUN_EXIT_SELF, "out of memory");
  }
  return words;
}

int main(int argc, char **argv) {
  options_t o = {0};
  int at = parse_options(argc, argv, &o);
  if (at == argc) {
    fputs("cira-run: no program named\n"
          "Try 'cira-run --help' for the options.\n",
          stderr);
    return RUN_EXIT_SELF;
  }
  check_options(&o);
  char path[PATH_MAX];
  char bindir[PATH_MAX - 16];
  own_folder(bindir, sizeof bindir);
  char **words =
      command(&o, bindir, argv + at, (size_t)(argc - at), path, sizeof path);
  env_set("CIRA_LOCAL", o.local);
  env_set("CIRA_FAR_SIZE", o.far_size);
  env_set("CIRA_NEAR_MAX", o.near_max);
  env_set("CIRA_DEADLINE", o.deadline);
  env_set("CIRA_TOKEN_FILE", o.token_file);
  env_set("CIRA_MODE", o.mode);
  env_set("CIRA_LOG", o.log);
  env_set("CIRA_HELPERS", o.helpers);

  run_server_t server = {0};
  reach_far(&o, bindir, &server);
  run_stats_t stats = {0};
  if (o.stats) {
    need(run_stats_open(&stats, o.stats_file, o.stats_format));
    env_set("CIRA_STATS", stats.path);
  }
  run_profile_t profile = {0};
  if (o.profile != NULL) {
    need(run_profile_open(&profile, o.profile, argv + at));
  }

  int status = 0;
  int error = run_child(path, words, &status);
  if (o.profile != NULL) {
    run_profile_close(&profile);
  }
  run_server_stop(&server);
  if (error != 0) {
    run_stats_drop(&stats);
    fail(error == ENOENT ? RUN_EXIT_NOT_FOUND : RUN_EXIT_CANNOT,
         "%s cannot be started: %s", path, strerror(error));
  }
  if (o.stats) {
    run_stats_write(&stats);
  }
  run_exit_as(status);
}
