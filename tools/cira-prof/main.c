/* SPDX-License-Identifier: Apache-2.0
 *
 * cira-prof: records a run (by cira-run) and says which source lines waited for
 * far memory. Exit status: 0; 1 when a profile cannot be read or a report not
 * written; 2 for wrong use; of `record`, that of cira-run.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cira-prof/report.h"

#define EXIT_USAGE 2

static const char HELP[] =
    "Usage: cira-prof record [-o FILE] [OPTION OF cira-run]... PROGRAM "
    "[ARGUMENT]...\n"
    "  or:  cira-prof report [OPTION]... FILE\n"
    "  or:  cira-prof trace [-o OUT] [--least=TIME] FILE\n"
    "  or:  cira-prof diff [--top=N] A B\n"
    "Say which lines of a program waited for far memory, and what would help.\n"
    "\n"
    "record runs PROGRAM by cira-run and records it into FILE, default\n"
    "cira.prof; cira-run --profile=FILE does the same. report shows what was\n"
    "recorded, the longest waits first. trace writes a time line for\n"
    "chrome://tracing and Perfetto. diff compares two runs.\n"
    "\n"
    "Options:\n"
    "      --json              report: write JSON instead of text\n"
    "      --html=OUT          report: write a page with plots to OUT\n"
    "  -o, --output=OUT        write to OUT instead of standard output\n"
    "  -n, --top=N             show N places, default 20\n"
    "      --least=TIME        trace: leave out waits shorter than TIME\n"
    "  -h, --help              print this text and exit\n"
    "  -V, --version           print the version and exit\n"
    "\n"
    "TIME is a number with an optional unit us, ms or s. Lines are known of\n"
    "programs that were built with -g.\n"
    "\n"
    "Exit status:\n"
    "0; 1 when a profile cannot be read or a report cannot be written; 2 for\n"
    "wrong use. record ends as the program ended.\n"
    "\n"
    "Examples:\n"
    "  cira-prof record --local 64M ./program\n"
    "  cira-prof report cira.prof\n"
    "  cira-prof report --html=report.html cira.prof\n"
    "  cira-prof trace -o trace.json cira.prof\n";

typedef struct {
  bool json;
  const char *html;
  const char *output;
  uint32_t top;
  uint64_t least_ns;
} options_t;

static _Noreturn CIRA_PRINTF(2, 3) void fail(int status, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fputs("cira-prof: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  exit(status);
}

static void need(cira_status_t status, int exit_status) {
  if (status != CIRA_OK) {
    fail(exit_status, "%s", cira_status_detail());
  }
}

/* ---- record ---------------------------------------------------------------
 */

/* Becomes cira-run, which lies beside this program. */
static _Noreturn void record(int argc, char **argv) {
  const char *file = "cira.prof";
  int at = 1; /* behind "record" */
  if (at < argc && strncmp(argv[at], "-o", 2) == 0) {
    if (argv[at][2] == '\0' && at + 1 == argc) {
      fail(EXIT_USAGE, "-o names no file; give one, or leave it out for "
                       "cira.prof");
    }
    file = argv[at][2] != '\0' ? argv[at] + 2 : argv[++at];
    at++;
  }
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
  if (n <= 0) {
    fail(1, "cannot find where cira-prof is installed: %s", strerror(errno));
  }
  path[n] = '\0';
  strcpy(strrchr(path, '/') + 1, "cira-run");
  char **words = calloc((size_t)argc + 3, sizeof *words);
  char *profile = NULL;
  if (words == NULL || asprintf(&profile, "--profile=%s", file) < 0) {
    fail(1, "out of memory");
  }
  int count = 0;
  words[count++] = path;
  words[count++] = profile;
  for (; at < argc; at++) {
    words[count++] = argv[at];
  }
  execv(path, words);
  fail(1, "%s cannot be started: %s; install cira again", path,
       strerror(errno));
}

/* ---- reading --------------------------------------------------------------
 */

static FILE *output_open(const char *path) {
  FILE *out = path == NULL ? stdout : fopen(path, "we");
  if (out == NULL) {
    fail(1, "%s cannot be written: %s", path, strerror(errno));
  }
  return out;
}

static void output_close(FILE *out, const char *path) {
  bool bad = ferror(out) != 0;
  bad |= (out == stdout ? fflush(out) : fclose(out)) != 0;
  if (bad) {
    fail(1, "%s cannot be written: %s", path != NULL ? path : "standard output",
         strerror(errno));
  }
}

static void load(const char *path, prof_model_t *m, prof_sites_t *s) {
  need(prof_model_read(path, m), 1);
  need(prof_sites_build(m, s), 1);
}

static void report(const options_t *o, const char *path) {
  prof_model_t model;
  prof_sites_t sites;
  load(path, &model, &sites);
  prof_report_t r = {path, &model, &sites, o->top};
  if (o->html != NULL) {
    FILE *page = output_open(o->html);
    prof_html_write(&r, page);
    output_close(page, o->html);
  }
  if (o->html == NULL || o->json || o->output != NULL) {
    FILE *out = output_open(o->output);
    (o->json ? prof_json_write : prof_text_write)(&r, out);
    output_close(out, o->output);
  }
  prof_sites_free(&sites);
  prof_model_free(&model);
}

static void trace(const options_t *o, const char *path) {
  prof_model_t model;
  need(prof_model_read(path, &model), 1);
  prof_symbols_t *symbols = prof_symbols_new(&model);
  if (symbols == NULL) {
    fail(1, "out of memory");
  }
  FILE *out = output_open(o->output);
  prof_trace_write(&model, symbols, o->least_ns, out);
  output_close(out, o->output);
  prof_symbols_free(symbols);
  prof_model_free(&model);
}

static void diff(const options_t *o, char *const paths[2]) {
  prof_model_t model[2];
  prof_sites_t sites[2];
  prof_report_t r[2];
  for (int i = 0; i < 2; i++) {
    load(paths[i], &model[i], &sites[i]);
    r[i] = (prof_report_t){paths[i], &model[i], &sites[i], o->top};
  }
  FILE *out = output_open(o->output);
  prof_diff_write(&r[0], &r[1], out);
  output_close(out, o->output);
  for (int i = 0; i < 2; i++) {
    prof_sites_free(&sites[i]);
    prof_model_free(&model[i]);
  }
}

/* ---- options --------------------------------------------------------------
 */

enum { OPT_JSON = 256, OPT_HTML, OPT_LEAST };
static const struct option LONG_OPTIONS[] = {
    {"json", no_argument, NULL, OPT_JSON},
    {"html", required_argument, NULL, OPT_HTML},
    {"output", required_argument, NULL, 'o'},
    {"top", required_argument, NULL, 'n'},
    {"least", required_argument, NULL, OPT_LEAST},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static options_t parse(int argc, char **argv) {
  options_t o = {.top = 20};
  uint64_t n = 0;
  int c;
  while ((c = getopt_long(argc, argv, "o:n:hV", LONG_OPTIONS, NULL)) != -1) {
    switch (c) {
    case OPT_JSON:
      o.json = true;
      break;
    case OPT_HTML:
      o.html = optarg;
      break;
    case OPT_LEAST:
      need(cira__parse_duration(optarg, "--least", &o.least_ns), EXIT_USAGE);
      break;
    case 'o':
      o.output = optarg;
      break;
    case 'n':
      need(cira__parse_u64(optarg, "--top", 1000000, &n), EXIT_USAGE);
      o.top = (uint32_t)n;
      break;
    case 'h':
      fputs(HELP, stdout);
      exit(0);
    case 'V':
      puts("cira-prof " CIRA_VERSION);
      exit(0);
    default:
      fputs("Try 'cira-prof --help' for the options.\n", stderr);
      exit(EXIT_USAGE);
    }
  }
  return o;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int files;
  } COMMANDS[] = {{"report", 1}, {"trace", 1}, {"diff", 2}};
  if (argc > 1 && strcmp(argv[1], "record") == 0) {
    record(argc - 1, argv + 1);
  }
  options_t o = parse(argc, argv);
  if (optind == argc) {
    fail(EXIT_USAGE, "no command; give record, report, trace or diff (see "
                     "cira-prof --help)");
  }
  const char *name = argv[optind++];
  for (size_t i = 0; i < CIRA_COUNT(COMMANDS); i++) {
    if (strcmp(name, COMMANDS[i].name) != 0) {
      continue;
    }
    if (argc - optind != COMMANDS[i].files) {
      fail(EXIT_USAGE, "%s takes %d profile%s, and %d %s given", name,
           COMMANDS[i].files, COMMANDS[i].files == 1 ? "" : "s", argc - optind,
           argc - optind == 1 ? "is" : "are");
    }
    if (i == 0) {
      report(&o, argv[optind]);
    } else if (i == 1) {
      trace(&o, argv[optind]);
    } else {
      diff(&o, argv + optind);
    }
    return 0;
  }
  fail(EXIT_USAGE, "there is no command %s; give record, report, trace or diff",
       name);
}
