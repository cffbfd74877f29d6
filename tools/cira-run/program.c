/* SPDX-License-Identifier: Apache-2.0
 *
 * program: see program.h. The checks follow the kernel's own order: find the
 * file, follow #! lines, look at the ELF header, then at the rights that make
 * the loader ignore LD_PRELOAD.
 */
#include "cira-run/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"

#define SCRIPT_DEPTH_MAX 4 /* the kernel's own limit on nested #! lines */
#define PHDR_MAX 128       /* program headers looked at */

typedef struct {
  char *why;
  size_t why_bytes;
} report_t;

static int cannot(const report_t *r, const char *path, const char *text) {
  snprintf(r->why, r->why_bytes, "%s: %s", path, text);
  return RUN_EXIT_CANNOT;
}

/* ---- finding ------------------------------------------------------------ */

static bool is_runnable(const char *path, int *error) {
  struct stat st;
  if (stat(path, &st) != 0) {
    *error = errno;
    return false;
  }
  if (S_ISDIR(st.st_mode)) {
    *error = EISDIR;
    return false;
  }
  if (access(path, X_OK) != 0) {
    *error = errno;
    return false;
  }
  return true;
}

/* One directory of PATH after the other; an empty one is the current. */
static bool search_path(const char *name, char *path, size_t path_bytes,
                        int *error) {
  const char *dirs = getenv("PATH");
  if (dirs == NULL) {
    dirs = "/bin:/usr/bin";
  }
  *error = ENOENT;
  for (;;) {
    size_t len = strcspn(dirs, ":");
    int n = len == 0
                ? snprintf(path, path_bytes, "./%s", name)
                : snprintf(path, path_bytes, "%.*s/%s", (int)len, dirs, name);
    int e = ENAMETOOLONG;
    if (n > 0 && (size_t)n < path_bytes && is_runnable(path, &e)) {
      return true;
    }
    if (e == EACCES) {
      *error = EACCES; /* remembered, as execvp does */
    }
    if (dirs[len] == '\0') {
      return false;
    }
    dirs += len + 1;
  }
}

static int find(const char *name, char *path, size_t path_bytes,
                const report_t *r) {
  int error = 0;
  bool found;
  if (strchr(name, '/') != NULL) {
    int n = snprintf(path, path_bytes, "%s", name);
    found = n > 0 && (size_t)n < path_bytes && is_runnable(path, &error);
    if (n <= 0 || (size_t)n >= path_bytes) {
      error = ENAMETOOLONG;
    }
  } else if (name[0] == '\0') {
    found = false;
    error = ENOENT;
  } else {
    found = search_path(name, path, path_bytes, &error);
  }
  if (found) {
    return 0;
  }
  if (error == ENOENT || error == ENOTDIR) {
    snprintf(r->why, r->why_bytes,
             strchr(name, '/') != NULL
                 ? "%s: no such file; check the path"
                 : "%s: not found in PATH; give its path or install it",
             name);
    return RUN_EXIT_NOT_FOUND;
  }
  if (error == EACCES) {
    return cannot(r, name,
                  "is not executable; give it execute permission (chmod +x) or "
                  "name its interpreter first");
  }
  if (error == EISDIR) {
    return cannot(r, name, "is a directory; name a program");
  }
  return cannot(r, name, strerror(error));
}

/* ---- rights ------------------------------------------------------------- */

/* The loader ignores LD_PRELOAD when a program gains rights at exec. */
static int check_rights(const char *path, const report_t *r) {
  struct stat st;
  struct statvfs fs;
  if (stat(path, &st) != 0) {
    return cannot(r, path, strerror(errno));
  }
  bool honoured = statvfs(path, &fs) != 0 || (fs.f_flag & ST_NOSUID) == 0;
  if (honoured && (st.st_mode & S_ISUID) != 0 && st.st_uid != getuid()) {
    return cannot(r, path,
                  "is setuid, so the loader ignores preloaded libraries; run "
                  "a copy without the setuid bit, or as its owner");
  }
  bool setgid = (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (honoured && setgid && st.st_gid != getgid()) {
    return cannot(r, path,
                  "is setgid, so the loader ignores preloaded libraries; run "
                  "a copy without the setgid bit, or with its group");
  }
  if (honoured && getuid() != 0 &&
      getxattr(path, "security.capability", NULL, 0) > 0) {
    return cannot(r, path,
                  "has file capabilities, so the loader ignores preloaded "
                  "libraries; run a copy of it (cp drops them), or as root");
  }
  return 0;
}

/* ---- ELF ---------------------------------------------------------------- */

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#elif defined(__riscv)
#define NATIVE_MACHINE EM_RISCV
#endif

static const char *machine_name(unsigned machine) {
  switch (machine) {
  case EM_386:
    return "x86 (32 bit)";
  case EM_X86_64:
    return "x86-64";
  case EM_ARM:
    return "ARM (32 bit)";
  case EM_AARCH64:
    return "AArch64";
  case EM_RISCV:
    return "RISC-V";
  case EM_PPC64:
    return "POWER";
  case EM_S390:
    return "s390";
  default:
    return "another processor";
  }
}

static int check_interpreter(int fd, const char *path, const Elf64_Phdr *ph,
                             const report_t *r) {
  char interp[PATH_MAX] = {0};
  size_t bytes =
      ph->p_filesz < sizeof interp - 1 ? ph->p_filesz : sizeof interp - 1;
  if (pread(fd, interp, bytes, (off_t)ph->p_offset) != (ssize_t)bytes) {
    return cannot(r, path,
                  "is a damaged ELF file (its interpreter's name is "
                  "cut off); build or copy it again");
  }
  const char *base = strrchr(interp, '/');
  base = base == NULL ? interp : base + 1;
  if (strncmp(base, "ld-musl", 7) == 0) {
    return cannot(r, path,
                  "is linked against musl, and the heap library needs glibc; "
                  "build it with gcc or clang for glibc");
  }
  if (access(interp, X_OK) != 0) {
    snprintf(r->why, r->why_bytes,
             "%s: its loader %s is missing; install the C library it was "
             "built for",
             path, interp);
    return RUN_EXIT_CANNOT;
  }
  return 0;
}

static int check_elf(int fd, const char *path, const report_t *r) {
  Elf64_Ehdr eh;
  if (pread(fd, &eh, sizeof eh, 0) != (ssize_t)sizeof eh) {
    return cannot(r, path,
                  "is a damaged ELF file (too short); build or copy "
                  "it again");
  }
  /* e_machine lies at the same place in 32 and 64 bit headers. */
  if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != NATIVE_MACHINE) {
    snprintf(r->why, r->why_bytes,
             "%s: is built for %s%s and this cira-run for %s; use the build "
             "for this machine",
             path, machine_name(eh.e_machine),
             eh.e_machine == NATIVE_MACHINE ? " with 32 bit addresses" : "",
             machine_name(NATIVE_MACHINE));
    return RUN_EXIT_CANNOT;
  }
  if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) {
    return cannot(r, path, "is an ELF file but not a program; link it first");
  }
  unsigned count = eh.e_phnum < PHDR_MAX ? eh.e_phnum : PHDR_MAX;
  for (unsigned i = 0; i < count; i++) {
    Elf64_Phdr ph;
    off_t at = (off_t)(eh.e_phoff + (uint64_t)i * eh.e_phentsize);
    if (pread(fd, &ph, sizeof ph, at) != (ssize_t)sizeof ph) {
      return cannot(r, path,
                    "is a damaged ELF file (program headers are cut "
                    "off); build or copy it again");
    }
    if (ph.p_type == PT_INTERP) {
      return check_interpreter(fd, path, &ph, r);
    }
  }
  return cannot(r, path,
                "is statically linked, so no library can be preloaded into "
                "it; link it dynamically (without -static)");
}

/* ---- scripts ------------------------------------------------------------ */

/* The word after "#!"; false when the line names nothing. */
static bool script_interpreter(const char *head, char *out, size_t out_bytes) {
  const char *p = head + 2 + strspn(head + 2, " \t");
  size_t len = strcspn(p, " \t\r\n");
  if (len == 0 || len >= out_bytes) {
    return false;
  }
  memcpy(out, p, len);
  out[len] = '\0';
  return true;
}

static int check_file(const char *path, int depth, const report_t *r) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    /* Executable but not readable: the kernel can run it, we cannot look. */
    return errno == EACCES ? check_rights(path, r)
                           : cannot(r, path, strerror(errno));
  }
  char head[PATH_MAX + 3] = {0};
  ssize_t n = pread(fd, head, sizeof head - 1, 0);
  int status;
  if (n >= 4 && memcmp(head, ELFMAG, SELFMAG) == 0) {
    status = check_elf(fd, path, r);
    if (status == 0) {
      status = check_rights(path, r);
    }
  } else if (n >= 2 && head[0] == '#' && head[1] == '!') {
    char interp[PATH_MAX];
    int error = 0;
    if (depth == SCRIPT_DEPTH_MAX) {
      status = cannot(r, path,
                      "its #! lines lead in a circle; name the "
                      "interpreter first");
    } else if (!script_interpreter(head, interp, sizeof interp)) {
      status = cannot(r, path,
                      "its #! line names no interpreter; name the "
                      "interpreter first");
    } else if (!is_runnable(interp, &error)) {
      snprintf(r->why, r->why_bytes,
               "%s: its interpreter %s cannot be run (%s); install it or name "
               "another interpreter first",
               path, interp, strerror(error));
      status = error == ENOENT ? RUN_EXIT_NOT_FOUND : RUN_EXIT_CANNOT;
    } else {
      status = check_file(interp, depth + 1, r);
    }
  } else {
    status = cannot(r, path,
                    "is neither an ELF program nor a script with a "
                    "#! line; name its interpreter first");
  }
  close(fd);
  return status;
}

int run_program_check(const char *name, char *path, size_t path_bytes,
                      char *why, size_t why_bytes) {
  report_t r = {why, why_bytes};
  why[0] = '\0';
  int status = find(name, path, path_bytes, &r);
  return status != 0 ? status : check_file(path, 0, &r);
}
