/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/driver.h"

#include "driver/args.h"
#include "driver/link.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where clang 19 and the plug-in are: set by CMake. The plug-in's place is
 * relative to the folder of this program. */
static const char clang_path[] = CIRA_CLANG;
static const char clangxx_path[] = CIRA_CLANG "++";
static const char plugin_path[] = CIRA_PLUGIN;
static const char archive_path[] = CIRA_ARCHIVE;

static const char help[] =
    "cira-cc and cira-c++ compile C and C++ as clang 19 does, and change loops "
    "that wait\nfor memory so that they wait less. They take all options of "
    "clang, and these:\n"
    "  -fno-cira              plain clang; -fcira turns cira on again\n"
    "  -fcira=LIST            the named changes instead of prefetch alone, "
    "comma-\n"
    "                         separated: prefetch, lookahead, interleave, "
    "jump,\n"
    "                         huge; or all of these; or none, as -fno-cira. "
    "All "
    "but\n"
    "                         prefetch are for data that outgrow the caches, "
    "and\n"
    "                         lose within. Or far: for programs that run "
    "under\n"
    "                         cira-run with more data than --local\n"
    "  -mcira-machine=FILE    the machine to compile for, as written by\n"
    "                         cira-info --measure=FILE; default: built-in\n"
    "                         figures. Without it, what cira-info --measure\n"
    "                         --save has written, unless SOURCE_DATE_EPOCH is "
    "set\n"
    "  --cira-emit=STAGE      print the functions that are changed instead of\n"
    "                         compiling, to the -o FILE or the standard "
    "output:\n"
    "                         mlir (as taken over), cira (as changed) or llvm\n"
    "                         (as given back)\n"
    "  -Rpass=cira, -Rpass-missed=cira\n"
    "                         say which loops were changed, and why others "
    "were not\n"
    "  --help, --version      this and clang's own help; both versions\n";

typedef struct drive {
  const char *name; /* for messages */
  const char *clang;
  cira_args_t args; /* for clang: items[0] is its name */
  bool on;
  const char *passes;  /* NULL: all */
  bool passes_chosen;  /* by -fcira=LIST */
  const char *machine; /* NULL: the default model */
  bool chosen;         /* by -mcira-machine */
  const char *emit;    /* NULL: compile */
  const char *output;  /* of -o, if emitting */
  cira_link_t link;
  bool version, help;
  bool own; /* one of ours was seen */
} drive_t;

/* If `arg` is `option`VALUE: VALUE. */
static const char *value_of(const char *arg, const char *option) {
  size_t length = strlen(option);
  return strncmp(arg, option, length) == 0 ? arg + length : NULL;
}

static bool refuse(const drive_t *d, const char *what, const char *which,
                   const char *remedy) {
  fprintf(stderr, "%s: error: %s '%s'; %s\n", d->name, what, which, remedy);
  return false;
}

/* What -fcira= can name: the changes that the plug-in knows by the same names
 * (bridge/clang/Clang.cpp), and all or none, which stand alone. */
static const char *const change_names[] = {
    "prefetch", "lookahead", "interleave", "jump",
    "huge",     "far",       "all",        "none"};
enum {
  change_count = sizeof change_names / sizeof *change_names,
  change_first_alone = change_count - 2
};

/* "prefetch, ... or none", for messages. */
static const char *all_changes(void) {
  const char *text = change_names[0];
  for (size_t i = 1; i < change_count; i++) {
    text = cira__args_format("%s, %s", text, change_names[i]);
  }
  return cira__args_format("there are: %s", text);
}

static bool is_change(const char *name, size_t length) {
  for (size_t i = 0; i < change_count; i++) {
    if (strlen(change_names[i]) == length &&
        strncmp(change_names[i], name, length) == 0) {
      return true;
    }
  }
  return false;
}

static bool take_passes(drive_t *d, const char *list) {
  const char *option = cira__args_format("-fcira=%s", list);
  const char *alone = NULL;
  size_t count = 0;
  for (const char *at = list; *at || at == list;) {
    size_t length = strcspn(at, ",");
    if (!is_change(at, length)) {
      return refuse(d, "unknown value in", option, all_changes());
    }
    for (size_t i = change_first_alone; i < change_count; i++) {
      if (strlen(change_names[i]) == length &&
          strncmp(change_names[i], at, length) == 0) {
        alone = change_names[i];
      }
    }
    count++;
    at += length;
    if (*at && !*++at) {
      return refuse(d, "a name is missing at the end of", option,
                    all_changes());
    }
  }
  if (alone && count > 1) {
    return refuse(d, cira__args_format("%s and other names in", alone), option,
                  cira__args_format("write -fcira=%s alone", alone));
  }
  d->on = !alone || strcmp(alone, "none") != 0;
  d->passes = alone ? NULL : list;
  d->passes_chosen = true;
  return true;
}

/* A model must be readable JSON here and now; what its fields may be is
 * checked where they are used, by the dialect. */
static bool take_machine(drive_t *d, const char *path) {
  json_error_t error;
  struct stat st;
  d->chosen = true;
  d->machine = NULL;
  if (strcmp(path, "default") == 0) {
    return true;
  }
  FILE *file = *path ? fopen(path, "r") : NULL;
  if (!file) {
    return refuse(d, "cannot open machine model", path,
                  *path ? strerror(errno)
                        : "write -mcira-machine=FILE, with a file of "
                          "cira-info --measure=FILE");
  }
  d->machine = path;
  if (fstat(fileno(file), &st) == 0 && !S_ISREG(st.st_mode)) {
    fclose(file); /* a pipe can be read once only: by the plug-in */
    return true;
  }
  json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
  fclose(file);
  if (!json_is_object(root)) {
    const char *where =
        root ? "not an object"
             : cira__args_format("line %d: %s", error.line, error.text);
    json_decref(root);
    return refuse(
        d, "no machine model in", path,
        cira__args_format("%s; cira-info --measure=FILE writes one", where));
  }
  json_decref(root);
  return true;
}

/* Without -mcira-machine: this machine's own model, the user's before the
 * system's, if it was measured. Not for builds that are to be the same
 * everywhere, which say so by SOURCE_DATE_EPOCH. */
static bool find_machine(drive_t *d) {
  const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  const char *places[] = {NULL, "/etc/cira/machine.json"};
  if (d->chosen || !d->on || getenv("SOURCE_DATE_EPOCH")) {
    return true;
  }
  if (config && config[0] == '/') {
    places[0] = cira__args_format("%s/cira/machine.json", config);
  } else if (home && home[0] == '/') {
    places[0] = cira__args_format("%s/.config/cira/machine.json", home);
  }
  for (size_t i = 0; i < 2; i++) {
    if (places[i] && access(places[i], F_OK) == 0) {
      return take_machine(d, places[i]);
    }
  }
  return true;
}

static bool take_stage(drive_t *d, const char *stage) {
  d->emit = stage;
  if (strcmp(stage, "cira") != 0 && strcmp(stage, "mlir") != 0 &&
      strcmp(stage, "llvm") != 0) {
    return refuse(d, "unknown value in",
                  cira__args_format("--cira-emit=%s", stage),
                  "there are: mlir, cira, llvm");
  }
  return true;
}

/* Is it ours? Takes it then; `*good` is false after a message. */
static bool take_own(drive_t *d, const char *arg, bool *good) {
  const char *value;
  *good = true;
  if (strcmp(arg, "-fno-cira") == 0) {
    d->on = false;
  } else if (strcmp(arg, "-fcira") == 0) {
    d->on = true;
  } else if ((value = value_of(arg, "-fcira="))) {
    *good = take_passes(d, value);
  } else if ((value = value_of(arg, "-mcira-machine="))) {
    *good = take_machine(d, value);
  } else if ((value = value_of(arg, "--cira-emit="))) {
    *good = take_stage(d, value);
  } else {
    return false;
  }
  d->own = true;
  return true;
}

/* Splits the command line into ours and clang's. */
static bool sort_out(drive_t *d, const cira_args_t *all, bool emitting) {
  for (size_t i = 0; i < all->count; i++) {
    const char *arg = all->items[i];
    bool good;
    if (strcmp(arg, "--") == 0) {
      for (; i < all->count; i++) {
        cira__args_add(&d->args, all->items[i]);
      }
      return true;
    }
    if (take_own(d, arg, &good)) {
      if (!good) {
        return false;
      }
      continue;
    }
    if (emitting && strncmp(arg, "-o", 2) == 0 &&
        (arg[2] || i + 1 < all->count)) {
      d->output = arg[2] ? arg + 2 : all->items[++i];
      continue;
    }
    d->version |= strcmp(arg, "--version") == 0;
    d->help |= strcmp(arg, "--help") == 0 || strcmp(arg, "-help") == 0;
    cira__args_add(&d->args, arg);
    if (cira__link_takes_next(arg) && i + 1 < all->count) {
      cira__args_add(&d->args, all->items[++i]);
    }
  }
  return true;
}

/* A part of cira beside this program: at `place` when installed, in the build
 * tree in ../lib. NULL and a message if it is not there. */
static const char *find_part(const drive_t *d, const char *what,
                             const char *place) {
  char self[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) {
    refuse(d, "cannot read", "/proc/self/exe", "is /proc mounted?");
    return NULL;
  }
  self[length] = '\0';
  *strrchr(self, '/') = '\0';
  for (int i = 0; i < 2; i++) {
    const char *path =
        i ? cira__args_format("%s/../lib%s", self, strrchr(place, '/'))
          : cira__args_format("%s/%s", self, place);
    char real[PATH_MAX];
    if (realpath(path, real)) {
      return cira__args_format("%s", real);
    }
  }
  refuse(d, what, cira__args_format("%s/%s", self, place),
         "reinstall cira, or compile with -fno-cira");
  return NULL;
}

static void add_cc1(cira_args_t *args, const char *option) {
  cira__args_add(args, "-Xclang");
  cira__args_add(args, option);
}

static void add_plugin_option(cira_args_t *args, const char *option) {
  add_cc1(args, "-mllvm");
  add_cc1(args, option);
}

/* Is the change among those that were asked for? */
static bool wants(const drive_t *d, const char *change) {
  size_t length = strlen(change);
  for (const char *at = d->passes; at; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, change, length) == 0 &&
        (!at[length] || at[length] == ',')) {
      return true;
    }
  }
  return !d->passes && strcmp(change, "far") != 0;
}

/* The changes for the plug-in; NULL: all. Those that need the archive are left
 * out where it cannot be linked. */
static const char *passes_of(const drive_t *d) {
  const char *text = "none";
  if (!d->link.stands) {
    return d->passes;
  }
  for (size_t i = 0; i < change_first_alone; i++) {
    const char *name = change_names[i];
    if (strcmp(name, "jump") != 0 && wants(d, name)) {
      text = cira__args_format("%s,%s", text, name);
    }
  }
  return text;
}

/* What makes clang link the archive, behind the user's inputs, unless a list
 * without jump says that there is nothing to link it for: of these, only
 * those with a symbol that the archive defines bring it in, so that other
 * programs stay as clang links them. */
static bool add_archive(drive_t *d) {
  if (!d->link.links || d->link.stands || d->emit ||
      (d->passes_chosen && !wants(d, "jump"))) {
    return true;
  }
  const char *archive = find_part(d, "no archive", archive_path);
  if (!archive) {
    return false;
  }
  if (!d->link.dashes) {
    cira__args_add(&d->args, "-Xlinker");
  } else if (d->link.language) {
    return true; /* it would be taken for a source */
  }
  cira__args_add(&d->args, archive);
  return true;
}

/* What makes clang load the plug-in and tells it our options. Goes to the
 * compiler proper only (-Xclang): links see nothing of it. */
static bool add_plugin(drive_t *d) {
  const char *plugin = find_part(d, "no plug-in", plugin_path);
  if (!plugin) {
    return false;
  }
  cira__args_add(&d->args, "--start-no-unused-arguments");
  /* Twice: -load makes the options below known, -fpass-plugin hooks into the
   * pipeline. It is loaded once. */
  add_cc1(&d->args, "-load");
  add_cc1(&d->args, plugin);
  add_cc1(&d->args, cira__args_format("-fpass-plugin=%s", plugin));
  const char *passes = passes_of(d);
  if (passes) {
    add_plugin_option(&d->args, cira__args_format("-cira-passes=%s", passes));
  }
  if (d->machine) {
    add_plugin_option(&d->args,
                      cira__args_format("-cira-machine=%s", d->machine));
  }
  if (d->emit) {
    const char *file = d->output ? d->output : "-";
    add_plugin_option(&d->args, cira__args_format("-cira-emit=%s", d->emit));
    add_plugin_option(&d->args, cira__args_format("-cira-emit-file=%s", file));
  }
  cira__args_add(&d->args, "--end-no-unused-arguments");
  return true;
}

/* --cira-emit: compile into nothing; the plug-in appends to the output. */
static bool prepare_emit(drive_t *d) {
  if (!d->on) {
    return refuse(d, "nothing to print for", "--cira-emit",
                  "leave out -fno-cira");
  }
  if (d->output && strcmp(d->output, "-") != 0) {
    int fd = open(d->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
      return refuse(d, "cannot write", d->output, strerror(errno));
    }
    close(fd);
  }
  cira__args_add(&d->args, "-S");
  cira__args_add(&d->args, "-o");
  cira__args_add(&d->args, "/dev/null");
  return true;
}

static int start(drive_t *d) {
  fflush(stdout);
  execv(d->clang, (char *const *)d->args.items);
  fprintf(stderr,
          "%s: error: cannot run %s: %s; install the package clang-19\n",
          d->name, d->clang, strerror(errno));
  return 1;
}

/* clang's version, then ours: programs look for clang's in the first line. */
static int print_version(drive_t *d) {
  pid_t pid = fork();
  if (pid == 0) {
    _exit(start(d));
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) < 0) {
    fprintf(stderr, "%s: error: cannot start %s: %s\n", d->name, d->clang,
            strerror(errno));
    return 1;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    printf("cira version %s\n", CIRA_VERSION);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The command line with response files read; `*in_files` says whether one of
 * ours was in such a file, so that it has to be written anew. */
static cira_args_t expand(int argc, char **argv, bool *in_files) {
  cira_args_t all = {0};
  for (int i = 1; i < argc; i++) {
    size_t first = all.count;
    cira__args_add_expanded(&all, argv[i], 0);
    for (size_t j = first; j < all.count && argv[i][0] == '@'; j++) {
      const char *arg = all.items[j];
      *in_files |= value_of(arg, "-fcira") || strcmp(arg, "-fno-cira") == 0 ||
                   value_of(arg, "-mcira-machine=") ||
                   value_of(arg, "--cira-emit=");
    }
  }
  return all;
}

int cira__drive(const char *name, int argc, char **argv) {
  size_t length = strlen(name);
  bool cxx = length >= 2 && strcmp(name + length - 2, "++") == 0;
  drive_t d = {.name = cxx ? "cira-c++" : "cira-cc",
               .clang = cxx ? clangxx_path : clang_path,
               .on = true,
               .passes = "prefetch"};
  cira__args_add(&d.args, d.clang);
  if (argc > 1 && strncmp(argv[1], "-cc1", 4) == 0) {
    for (int i = 1; i < argc; i++) { /* clang calling itself */
      cira__args_add(&d.args, argv[i]);
    }
    return start(&d);
  }
  bool in_files = false;
  cira_args_t all = expand(argc, argv, &in_files);
  d.link = cira__link_of(&all);
  if (!in_files) { /* clang reads its response files itself */
    all = (cira_args_t){0};
    for (int i = 1; i < argc; i++) {
      cira__args_add(&all, argv[i]);
    }
  }
  bool emitting = false;
  for (size_t i = 0; i < all.count; i++) {
    emitting |= value_of(all.items[i], "--cira-emit=") != NULL;
  }
  if (!sort_out(&d, &all, emitting) || !find_machine(&d)) {
    return 1;
  }
  /* clang's words come last in items[0..]; the plug-in's go in front, so that
   * a "--" of the user ends only the user's options. */
  cira_args_t user = d.args;
  d.args = (cira_args_t){0};
  cira__args_add(&d.args, d.clang);
  if ((d.on && !add_plugin(&d)) || (d.emit && !prepare_emit(&d))) {
    return 1;
  }
  if (d.on && d.link.links && d.link.whole && !d.link.stands) {
    cira__args_add(&d.args, "-Wl,-u,cira_cc_jump");
  }
  size_t first = d.args.count;
  for (size_t i = 1; i < user.count; i++) {
    cira__args_add(&d.args, user.items[i]);
  }
  if (d.on && !add_archive(&d)) {
    return 1;
  }
  if (d.help) {
    printf("%s\nclang's own:\n\n", help);
  }
  if (in_files) {
    const char *file = cira__args_to_response(&d.args, first);
    if (!file) {
      refuse(&d, "cannot keep the", "response file", strerror(errno));
      return 1;
    }
    d.args.count = first;
    cira__args_add(&d.args, file);
  }
  return d.version ? print_version(&d) : start(&d);
}
