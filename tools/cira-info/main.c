/* SPDX-License-Identifier: Apache-2.0
 *
 * cira-info: what this machine offers to cira, and with --measure how far away
 * each place is. The text is made from the same tree as the JSON: the unit of a
 * value is the end of its name.
 * Threads: one.
 * Reading order: this file, gather.c, measure.h.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cira-info/info.h"
#include "cira-run/stats_print.h"
#include "fabric/fabric.h"

#define URL_MAX_COUNT 16

static const char HELP[] =
    "Usage: cira-info [OPTION]...\n"
    "Show what this machine offers for far memory, and measure it.\n"
    "\n"
    "Without options: kernel and memory, the ways in which cira can own the\n"
    "page table here and the one it would choose, huge pages, memory\n"
    "cgroup, caches, NUMA nodes (those without processors are marked: CXL\n"
    "expanders look like this), the tiers that programs can place memory in\n"
    "(CIRA_PLACE, cira/tier.h), and whether the default memory server\n"
    "answers.\n"
    "\n"
    "Options:\n"
    "  -m, --measure[=FILE]    measure caches, memory, far places and the\n"
    "                          cost of handing work to another core, and\n"
    "                          write the machine model that the compiler\n"
    "                          reads (cira-opt --cira-machine=FILE) to\n"
    "                          FILE; with --json, print it. What cannot\n"
    "                          be measured here is left out of it, and\n"
    "                          the text says why. It is measured until\n"
    "                          two measurements agree, four times at most\n"
    "  -1, --once              with --measure: believe the first one\n"
    "  -S, --save              with --measure: write the model where cira-cc\n"
    "                          looks for it, "
    "$XDG_CONFIG_HOME/cira/machine.json\n"
    "                          (~/.config/cira/machine.json)\n"
    "  -f, --far=URL           a far place to measure, as for cira-run; may\n"
    "                          be repeated, the first is the model's.\n"
    "                          Default: CIRA_FAR, else shm:, with a\n"
    "                          server for the time where none runs\n"
    "  -t, --token-file=FILE   secret that the memory servers ask for\n"
    "                          (CIRA_TOKEN_FILE)\n"
    "  -s, --stats=FILE        print the counters file FILE (CIRA_STATS) of\n"
    "                          a run that may still be going on, and\n"
    "                          nothing else\n"
    "  -j, --json              write JSON\n"
    "  -h, --help              print this text and exit\n"
    "  -V, --version           print the version and exit\n"
    "\n"
    "Exit status:\n"
    "0 on success; 1 when something asked for could not be measured or\n"
    "read, or measurements disagree; 2 for a wrong option.\n"
    "\n"
    "Examples:\n"
    "  cira-info\n"
    "  cira-info --measure --far shm: --far tcp://10.0.0.2:7077\n"
    "  cira-info --measure=machine.json\n"
    "  cira-opt --cira-machine=machine.json --cira-default loop.mlir\n";

static const struct option LONG_OPTIONS[] = {
    {"measure", optional_argument, NULL, 'm'},
    {"save", no_argument, NULL, 'S'},
    {"once", no_argument, NULL, '1'},
    {"far", required_argument, NULL, 'f'},
    {"token-file", required_argument, NULL, 't'},
    {"stats", required_argument, NULL, 's'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* ---- text --------------------------------------------------------------- */

static bool cut_suffix(char *name, const char *suffix) {
  size_t n = strlen(name);
  size_t m = strlen(suffix);
  if (n <= m || strcmp(name + n - m, suffix) != 0) {
    return false;
  }
  name[n - m] = '\0';
  return true;
}

/* One "name   value" line; the unit comes from the name. */
static void print_value(const char *key, const json_t *v) {
  char name[64];
  char text[512];
  char size[24];
  snprintf(name, sizeof name, "%s", key);
  double x = json_number_value(v);
  if (json_is_string(v)) {
    snprintf(text, sizeof text, "%s", json_string_value(v));
  } else if (json_is_array(v)) {
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(v) && n < sizeof text; i++) {
      n +=
          (size_t)snprintf(text + n, sizeof text - n, "%s%s", i == 0 ? "" : " ",
                           json_string_value(json_array_get(v, i)));
    }
  } else if (cut_suffix(name, "_bytes_per_s")) {
    snprintf(text, sizeof text, "%.2f GB/s", x / 1e9);
  } else if (cut_suffix(name, "_bytes_per_us")) {
    snprintf(text, sizeof text, "%.2f GB/s", x / 1e3);
  } else if (cut_suffix(name, "_bytes")) {
    snprintf(text, sizeof text, "%s",
             cira__size_text((uint64_t)x, size, sizeof size));
  } else if (cut_suffix(name, "_ns")) {
    snprintf(text, sizeof text, "%.1f ns", x);
  } else {
    snprintf(text, sizeof text, "%.0f", x);
  }
  for (char *p = name; *p != '\0'; p++) {
    *p = *p == '_' ? ' ' : *p;
  }
  printf("  %-26s %s\n", name, text[0] != '\0' ? text : "-");
}

static void print_section(const char *title, const json_t *part) {
  const char *key;
  json_t *v;
  printf("%s\n", title);
  if (json_is_array(part)) {
    for (size_t i = 0; i < json_array_size(part); i++) {
      json_object_foreach(json_array_get(part, i), key, v) {
        print_value(key, v);
      }
      if (i + 1 < json_array_size(part)) {
        putchar('\n');
      }
    }
    if (json_array_size(part) == 0) {
      puts("  not visible here");
    }
    return;
  }
  json_object_foreach((json_t *)part, key, v) {
    if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
      print_section(key, v);
    } else {
      print_value(key, v);
    }
  }
}

static void print_all(json_t *all, bool as_json) {
  if (as_json) {
    json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    return;
  }
  const char *key;
  json_t *v;
  json_object_foreach(all, key, v) {
    char title[64];
    snprintf(title, sizeof title, "%s", key);
    for (char *p = title; *p != '\0'; p++) {
      *p = *p == '_' ? ' ' : *p;
    }
    print_section(title, v);
  }
}

/* ---- main --------------------------------------------------------------- */

typedef struct {
  bool measure;
  bool save;
  bool once;
  bool json;
  const char *model_file; /* NULL = none */
  const char *stats;
  const char *token_file;
  const char *urls[URL_MAX_COUNT];
  size_t url_count;
} options_t;

static void parse_options(int argc, char **argv, options_t *o) {
  int c;
  while ((c = getopt_long(argc, argv, "m::S1f:t:s:jhV", LONG_OPTIONS, NULL)) !=
         -1) {
    switch (c) {
    case 'm':
      o->measure = true;
      o->model_file = optarg;
      break;
    case 'S':
      o->save = true;
      break;
    case '1':
      o->once = true;
      break;
    case 'f':
      if (o->url_count == URL_MAX_COUNT) {
        fputs("cira-info: at most 16 places can be measured at once\n", stderr);
        exit(2);
      }
      if (cira_fabric_url_check(optarg) != CIRA_OK) {
        fprintf(stderr, "cira-info: %s\n", cira_status_detail());
        exit(2);
      }
      o->urls[o->url_count++] = optarg;
      break;
    case 't':
      o->token_file = optarg;
      break;
    case 's':
      o->stats = optarg;
      break;
    case 'j':
      o->json = true;
      break;
    case 'h':
      fputs(HELP, stdout);
      exit(0);
    case 'V':
      puts("cira-info " CIRA_VERSION);
      exit(0);
    default:
      fputs("Try 'cira-info --help' for the options.\n", stderr);
      exit(2);
    }
  }
  if (optind < argc) {
    fprintf(stderr,
            "cira-info: unexpected argument %s\n"
            "Try 'cira-info --help' for the options.\n",
            argv[optind]);
    exit(2);
  }
  if (o->save && (!o->measure || o->model_file != NULL)) {
    fputs("cira-info: --save says where --measure writes; add --measure, "
          "without a file\n",
          stderr);
    exit(2);
  }
  if (o->once && !o->measure) {
    fputs("cira-info: --once is about --measure; add that\n", stderr);
    exit(2);
  }
  if (o->url_count != 0 && !o->measure) {
    fputs("cira-info: --far names what --measure measures; add --measure\n",
          stderr);
    exit(2);
  }
}

/* The folder of this binary, where cira-memd lies as well. */
static void own_folder(char *dir, size_t bytes) {
  ssize_t n = readlink("/proc/self/exe", dir, bytes - 1);
  dir[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(dir, '/');
  if (slash != NULL) {
    *slash = '\0';
  }
}

static cira_status_t cannot_write(const char *path) {
  return cira__fail_errno(CIRA_E_SYSTEM, errno,
                          "--measure=%s cannot be written", path);
}

static cira_status_t write_model(const json_t *model, const char *path) {
  FILE *file = fopen(path, "we");
  if (file == NULL) {
    return cannot_write(path);
  }
  bool ok = json_dumpf(model, file, JSON_INDENT(1)) == 0;
  ok = fputc('\n', file) != EOF && ok;
  ok = fclose(file) == 0 && ok;
  return ok ? CIRA_OK : cannot_write(path);
}

/* Where cira-cc looks (compiler/driver/driver.c); makes the folders. NULL:
 * the environment names none. Later calls overwrite the text. */
static const char *default_model_file(void) {
  static char path[4096];
  const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  const char *tail = "/cira/machine.json";
  int n = -1;
  if (config != NULL && config[0] == '/') {
    n = snprintf(path, sizeof path, "%s%s", config, tail);
  } else if (home != NULL && home[0] == '/') {
    n = snprintf(path, sizeof path, "%s/.config%s", home, tail);
  }
  if (n < 0 || (size_t)n >= sizeof path) {
    return NULL;
  }
  for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
    *slash = '\0';
    (void)mkdir(path, 0777); /* what fails, fails when the file is opened */
    *slash = '/';
  }
  return path;
}

/* A file that cannot be written is found before the measurement, and one that
 * is there keeps its model when the measurement fails. */
static cira_status_t measure(const options_t *o, json_t **out) {
  char bindir[4096];
  own_folder(bindir, sizeof bindir);
  info_measure_options_t options = {
      .urls = o->urls,
      .url_count = o->url_count,
      .token_file =
          o->token_file != NULL ? o->token_file : getenv("CIRA_TOKEN_FILE"),
      .bindir = bindir,
      .once = o->once};
  const char *path = o->save ? default_model_file() : o->model_file;
  if (o->save && path == NULL) {
    return cira__fail(CIRA_E_INVALID,
                      "--save has no place to write to: set XDG_CONFIG_HOME "
                      "or HOME");
  }
  bool fresh = path != NULL && access(path, F_OK) != 0;
  FILE *probe = path != NULL ? fopen(path, "ae") : NULL;
  if (path != NULL && probe == NULL) {
    return cannot_write(path);
  }
  if (probe != NULL) {
    fclose(probe);
  }
  json_t *all = NULL;
  cira_status_t status = info_measure(&options, &all);
  json_t *model = json_object_get(all, "machine_model");
  if (status == CIRA_OK && path != NULL) {
    status = write_model(model, path);
    if (status == CIRA_OK && o->save) {
      fprintf(stderr, "cira-info: wrote %s\n", path);
    }
  } else if (fresh) {
    unlink(path);
  }
  if (status == CIRA_OK) {
    *out = json_incref(o->json ? model : all);
  }
  json_decref(all);
  return status;
}

int main(int argc, char **argv) {
  options_t o = {0};
  parse_options(argc, argv, &o);
  cira_status_t status = CIRA_OK;
  json_t *all = NULL;
  if (o.stats != NULL) {
    status = run_stats_print(o.stats, o.json, stdout);
  } else if (o.measure) {
    status = measure(&o, &all);
  } else {
    all = json_object();
    json_object_set_new(all, "machine", info_machine());
    json_object_set_new(all, "paging", info_paging());
    json_object_set_new(all, "huge_pages", info_huge_pages());
    json_object_set_new(all, "cgroup", info_cgroup());
    json_object_set_new(all, "caches", info_caches());
    json_object_set_new(all, "nodes", info_nodes());
    json_object_set_new(all, "tiers", info_tiers());
    json_object_set_new(all, "default_server", info_server(o.token_file));
  }
  if (status != CIRA_OK) {
    fprintf(stderr, "cira-info: %s\n", cira_status_detail());
    return 1;
  }
  if (all != NULL) {
    print_all(all, o.json);
    json_decref(all);
  }
  return 0;
}
