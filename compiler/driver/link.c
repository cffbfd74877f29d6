/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/link.h"

#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
static const char own_arch[] = "x86_64";
#elif defined(__aarch64__)
static const char own_arch[] = "aarch64";
#elif defined(__riscv)
static const char own_arch[] = "riscv64";
#else
static const char own_arch[] = "?";
#endif

static bool is_one_of(const char *arg, const char *const *list) {
  for (; *list; list++) {
    if (strcmp(arg, *list) == 0) {
      return true;
    }
  }
  return false;
}

bool cira__link_takes_next(const char *arg) {
  static const char *const options[] = {
      "-o",
      "-x",
      "-I",
      "-D",
      "-U",
      "-L",
      "-l",
      "-T",
      "-u",
      "-z",
      "-e",
      "-h",
      "-A",
      "-F",
      "-B",
      "-MF",
      "-MT",
      "-MQ",
      "-MJ",
      "-include",
      "-imacros",
      "-include-pch",
      "-isystem",
      "-iquote",
      "-idirafter",
      "-iprefix",
      "-iwithprefix",
      "-iwithprefixbefore",
      "-isysroot",
      "--sysroot",
      "-target",
      "-arch",
      "-rpath",
      "-Xclang",
      "-Xlinker",
      "-Xassembler",
      "-Xpreprocessor",
      "-Xanalyzer",
      "-mllvm",
      "-Xopenmp-target",
      "-Xarch_host",
      "-Xarch_device",
      "-framework",
      "-working-directory",
      "-resource-dir",
      "-ivfsoverlay",
      "-dumpbase",
      "-dumpdir",
      "-gcc-toolchain",
      "--param",
      "-config",
      "--config",
  };
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    if (strcmp(arg, options[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* A triple of the machine that cira was built for? */
static bool is_own_target(const char *triple) {
  size_t length = strlen(own_arch);
  return strncmp(triple, own_arch, length) == 0 && triple[length] == '-' &&
         strstr(triple, "linux");
}

/* Ends before the link, or links into an object again. */
static bool stops(const char *arg) {
  static const char *const list[] = {"-c",          "-S",
                                     "-E",          "-M",
                                     "-MM",         "--compile",
                                     "--assemble",  "--preprocess",
                                     "-r",          "-Wl,-r",
                                     "--analyze",   "-fsyntax-only",
                                     "-emit-ast",   "--precompile",
                                     "-Wl,-i",      "-Wl,--relocatable",
                                     "-verify-pch", "--relocatable",
                                     NULL};
  return is_one_of(arg, list);
}

/* Has no C library, or none of ours. */
static bool stands(const char *arg, const char *next) {
  static const char *const list[] = {"-nostdlib",
                                     "-nodefaultlibs",
                                     "-nolibc",
                                     "-ffreestanding",
                                     "-mkernel",
                                     "-m32",
                                     "-m16",
                                     "-mx32",
                                     "--no-standard-libraries",
                                     NULL};
  if (is_one_of(arg, list)) {
    return true;
  }
  if (strcmp(arg, "-target") == 0) {
    return next && !is_own_target(next);
  }
  return strncmp(arg, "--target=", 9) == 0 && !is_own_target(arg + 9);
}

/* An input that is compiled into a precompiled header. */
static bool is_header(const char *path) {
  static const char *const list[] = {".h",   ".H",   ".hh",  ".hp",
                                     ".hpp", ".hxx", ".h++", NULL};
  const char *dot = strrchr(path, '.');
  return dot && is_one_of(dot, list);
}

/* One that takes nothing from an archive for a common symbol: not GNU ld. */
static bool is_other_linker(const char *arg) {
  return strncmp(arg, "-fuse-ld=", 9) == 0 && strcmp(arg + 9, "bfd") != 0 &&
         strcmp(arg + 9, "ld") != 0;
}

cira_link_t cira__link_of(const cira_args_t *args) {
  bool inputs = false, stopped = false;
  cira_link_t link = {0};
  for (size_t i = 0; i < args->count; i++) {
    const char *arg = args->items[i];
    const char *next = i + 1 < args->count ? args->items[i + 1] : NULL;
    if (link.dashes || arg[0] != '-' || !arg[1]) {
      inputs |= arg[0] == '-' || access(arg, F_OK) == 0;
      stopped |= is_header(arg);
      continue;
    }
    link.dashes = strcmp(arg, "--") == 0;
    if (strncmp(arg, "-x", 2) == 0) {
      link.language = true;
      stopped |= strstr(arg[2] || !next ? arg : next, "header") != NULL;
    }
    link.whole |= strncmp(arg, "-flto", 5) == 0 || is_other_linker(arg);
    stopped |= stops(arg) || (strcmp(arg, "-Xlinker") == 0 && next &&
                              strcmp(next, "-r") == 0);
    link.stands |= stands(arg, next);
    i += cira__link_takes_next(arg) && next;
  }
  link.links = inputs && !stopped;
  return link;
}
