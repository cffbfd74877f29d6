/* SPDX-License-Identifier: Apache-2.0
 *
 * options: see options.h.
 */
#include "cira-jit/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cira-jit/jit.h"

static const char HELP[] =
    "Usage: cira-jit [OPTION]... FILE.mlir [ARGUMENT]...\n"
    "Compile an MLIR file with the cira dialect and run it.\n"
    "\n"
    "cira-run FILE.mlir calls this program: it starts a memory server where\n"
    "none runs and sets the environment. The arrays of the program "
    "(memref.alloc,\n"
    "cira.alloc) live in far memory; the compiler's own memory does not.\n"
    "ARGUMENTs are integers and floats, as the entry function takes them; its\n"
    "results are printed, one per line.\n"
    "\n"
    "Options:\n"
    "      --entry=NAME        function to run; default main\n"
    "      --pipeline=STAGES   passes to run before the lowering; default\n"
    "                          cira-default, see cira-opt --print-pipeline\n"
    "      --no-cira-opt       lower the file as it is written\n"
    "  -O0, -O1, -O2, -O3      how hard LLVM tries; default -O3\n"
    "      --check             inline nothing of the runtime: it then sees "
    "and\n"
    "                          refuses each future that is awaited twice and\n"
    "                          each stream that is used after its release\n"
    "      --cira-machine=FILE the machine model that passes reckon with,\n"
    "                          JSON, as cira-info --measure writes it\n"
    "      --remarks           print what each pass decided, and why\n"
    "      --time              print how long compiling and each run took, as\n"
    "                          JSON on standard error\n"
    "      --repeat=N          run N times; print the last results\n"
    "      --emit=WHAT         do not run: write mlir (the LLVM dialect), "
    "llvm\n"
    "                          (optimised LLVM IR), asm or obj\n"
    "  -o, --output=FILE       where to write it; default standard output\n"
    "  -h, --help              print this text and exit\n"
    "  -V, --version           print the version and exit\n"
    "\n"
    "Environment (the options of cira-run set it): CIRA_FAR, CIRA_LOCAL,\n"
    "CIRA_FAR_SIZE, CIRA_TOKEN_FILE, CIRA_DEADLINE, CIRA_MODE,\n"
    "CIRA_HELPERS, CIRA_LOG.\n"
    "\n"
    "A file may declare and call, besides the C library:\n"
    "  func.func private @cira_now_ns() -> i64       a clock, ns\n"
    "  func.func private @cira_print_i64(i64)        a line of output\n"
    "  func.func private @cira_print_f64(f64)\n"
    "\n"
    "Exit status: 0 when the program ran, 1 when the file is wrong, 125 when\n"
    "cira-jit or the runtime failed.\n";

typedef enum {
  ENTRY,
  PIPELINE,
  NO_OPT,
  CHECK,
  MACHINE,
  REMARKS,
  TIME,
  REPEAT,
  EMIT,
  OUTPUT,
  HELP_TEXT,
  VERSION
} id_t_;

static const struct {
  const char *name;
  char letter;
  bool has_value;
  id_t_ id;
} TABLE[] = {
    {"entry", 0, true, ENTRY},          {"pipeline", 0, true, PIPELINE},
    {"no-cira-opt", 0, false, NO_OPT},  {"check", 0, false, CHECK},
    {"remarks", 0, false, REMARKS},     {"time", 0, false, TIME},
    {"repeat", 0, true, REPEAT},        {"emit", 0, true, EMIT},
    {"cira-machine", 0, true, MACHINE}, {"output", 'o', true, OUTPUT},
    {"help", 'h', false, HELP_TEXT},    {"version", 'V', false, VERSION},
};
enum { TABLE_COUNT = sizeof TABLE / sizeof TABLE[0] };

static _Noreturn void refuse(const char *what, const char *value,
                             const char *remedy) {
  fprintf(stderr, "cira-jit: %s %s; %s\n", what, value, remedy);
  exit(JIT_EXIT_SELF);
}

static int number(const char *text, const char *option, int most) {
  char *end;
  errno = 0;
  long n = strtol(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || n < 1 || n > most) {
    fprintf(stderr, "cira-jit: %s %s; give a whole number from 1 to %d\n",
            option, text, most);
    exit(JIT_EXIT_SELF);
  }
  return (int)n;
}

static jit_emit_t emit_kind(const char *text) {
  static const char *const names[] = {"mlir", "llvm", "asm", "obj"};
  for (int i = 0; i < 4; i++) {
    if (strcmp(text, names[i]) == 0) {
      return (jit_emit_t)(JIT_EMIT_MLIR + i);
    }
  }
  refuse("--emit", text, "it is none of mlir, llvm, asm, obj");
}

static void apply(jit_options_t *o, id_t_ id, const char *value) {
  switch (id) {
  case ENTRY:
    o->entry = value;
    break;
  case PIPELINE:
    o->pipeline = value;
    break;
  case NO_OPT:
    o->pipeline = "";
    break;
  case CHECK:
    o->check = true;
    break;
  case MACHINE:
    o->machine = value;
    break;
  case REMARKS:
    o->remarks = true;
    break;
  case TIME:
    o->time = true;
    break;
  case REPEAT:
    o->repeat_count = number(value, "--repeat", 1000000);
    break;
  case EMIT:
    o->emit = emit_kind(value);
    break;
  case OUTPUT:
    o->output = value;
    break;
  case HELP_TEXT:
    fputs(HELP, stdout);
    exit(0);
  case VERSION:
    puts("cira-jit " CIRA_VERSION);
    exit(0);
  }
}

/* "-5", "-.5", "-inf": a number, not an option. */
static bool is_number(const char *text) {
  char *end;
  strtod(text, &end);
  return end != text && *end == '\0';
}

/* One option at argv[*at]; moves *at to its last word. */
static void read_option(int argc, char **argv, int *at, jit_options_t *o) {
  const char *text = argv[*at];
  bool is_long = text[1] == '-';
  const char *name = text + (is_long ? 2 : 1);
  size_t length = is_long ? strcspn(name, "=") : 1;
  if (!is_long && name[0] == 'O') {
    if (name[1] < '0' || name[1] > '3' || name[2] != '\0') {
      refuse("there is no level", text, "use -O0, -O1, -O2 or -O3");
    }
    o->opt_level = name[1] - '0';
    return;
  }
  for (size_t i = 0; i < TABLE_COUNT; i++) {
    if (is_long ? strlen(TABLE[i].name) != length ||
                      strncmp(TABLE[i].name, name, length) != 0
                : TABLE[i].letter != name[0]) {
      continue;
    }
    const char *value = name[length] == '\0' ? NULL : name + length + is_long;
    if (!TABLE[i].has_value) {
      if (value != NULL) {
        refuse("no value belongs to", text, "leave it out");
      }
    } else if (value == NULL) {
      if (*at + 1 == argc) {
        refuse("a value is missing after", text, "see --help");
      }
      value = argv[++*at];
    }
    apply(o, TABLE[i].id, value);
    return;
  }
  refuse("no such option:", text, "see --help");
}

void jit_options_parse(int argc, char **argv, jit_options_t *out) {
  *out = (jit_options_t){.entry = "main", .opt_level = 3, .repeat_count = 1};
  char **kept = argv + 1; /* arguments move to the front */
  int kept_count = 0;
  bool options = true;
  for (int i = 1; i < argc; i++) {
    char *text = argv[i];
    if (options && strcmp(text, "--") == 0) {
      options = false;
    } else if (options && text[0] == '-' && text[1] != '\0' &&
               !is_number(text)) {
      read_option(argc, argv, &i, out);
    } else if (out->file == NULL) {
      out->file = text;
    } else {
      kept[kept_count++] = text;
    }
  }
  out->arguments = kept;
  out->argument_count = kept_count;
  if (out->file == NULL) {
    fputs("cira-jit: no file named\n"
          "Try 'cira-jit --help' for the options.\n",
          stderr);
    exit(JIT_EXIT_SELF);
  }
  if (out->output != NULL && out->emit == JIT_EMIT_NONE) {
    refuse("--output", out->output,
           "results go to standard output: leave it out, or add --emit");
  }
}
