/* SPDX-License-Identifier: Apache-2.0
 *
 * exec: programs are started from near copies. The kernel reads path, arguments
 * and environment all at once, which can be more than the cache holds, and the
 * child of posix_spawn or vfork runs in our address space with all signals
 * blocked, where a fault would kill it.
 *
 * The copy of a thread lives in a block that the thread keeps: a vfork child
 * that execs has the thread-local storage of its parent, so its block is used
 * again instead of being lost.
 * Threads: any; signal-safe.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wordexp.h>

#include "heap/preload/shim.h"

/* ---- near copies -------------------------------------------------------- */

static __thread shim_near_t kept;

typedef struct {
  char *at;
  uint64_t room;
} cursor_t;

/* One block of at least `bytes` of the calling thread; NULL without memory. */
static char *kept_block(uint64_t bytes) {
  if (kept.bytes < bytes) {
    shim_near_unmap(kept.memory, kept.bytes);
    bytes = cira__align_up(bytes, 16 * CIRA_PAGE_BYTES);
    kept.memory = shim_near_map(bytes);
    kept.bytes = kept.memory == NULL ? 0 : bytes;
  }
  return kept.memory;
}

static uint64_t string_room(const char *s) {
  return shim_far(s) ? shim_string_bytes(s, UINT64_MAX) + 1 : 0;
}

static uint64_t vector_room(char *const *v) {
  uint64_t bytes = 0;
  bool far = shim_far(v);
  size_t n = 0;
  if (v == NULL) {
    return 0;
  }
  for (; v[n] != NULL; n++) {
    bytes += string_room(v[n]);
    far = far || shim_far(v[n]);
  }
  return far ? bytes + (n + 1) * sizeof(char *) + sizeof(char *) : 0;
}

static const char *string_near(cursor_t *c, const char *s) {
  if (!shim_far(s)) {
    return s;
  }
  uint64_t n = shim_string_bytes(s, UINT64_MAX) + 1;
  if (n > c->room) {
    return s; /* changed under our hands by another thread */
  }
  char *copy = c->at;
  memcpy(copy, s, n);
  c->at += n;
  c->room -= n;
  return copy;
}

static char *const *vector_near(cursor_t *c, char *const *v) {
  if (vector_room(v) == 0) {
    return v;
  }
  size_t n = 0;
  while (v[n] != NULL) {
    n++;
  }
  uint64_t skew = -(uint64_t)(uintptr_t)c->at & (sizeof(char *) - 1);
  uint64_t bytes = (n + 1) * sizeof(char *);
  if (skew + bytes > c->room) {
    return v;
  }
  char **copy = (char **)(void *)(c->at + skew);
  c->at += skew + bytes;
  c->room -= skew + bytes;
  for (size_t i = 0; i < n; i++) {
    copy[i] = (char *)(uintptr_t)string_near(c, v[i]);
  }
  copy[n] = NULL;
  return copy;
}

/* Replaces what is far of a start by near copies. */
static bool start_near(const char **path, char *const **argv,
                       char *const **envp) {
  uint64_t bytes =
      string_room(*path) + vector_room(*argv) + (envp ? vector_room(*envp) : 0);
  if (bytes == 0) {
    return true;
  }
  cursor_t c = {kept_block(bytes), bytes};
  if (c.at == NULL) {
    errno = ENOMEM;
    return false;
  }
  *path = string_near(&c, *path);
  *argv = vector_near(&c, *argv);
  if (envp != NULL) {
    *envp = vector_near(&c, *envp);
  }
  return true;
}

const char *shim_near_string(shim_near_t *n, const char *s) {
  *n = (shim_near_t){NULL, string_room(s)};
  if (n->bytes == 0) {
    return s;
  }
  n->memory = shim_near_map(n->bytes);
  if (n->memory == NULL) {
    return s;
  }
  memcpy(n->memory, s, n->bytes);
  return n->memory;
}

/* The environment as the C library's own starters will pass it on: what is far
 * of it is replaced for good, which a program cannot tell from a setenv. */
static void environment_near(void) {
  uint64_t bytes = vector_room(environ);
  if (bytes == 0) {
    return;
  }
  cursor_t c = {shim_near_map(bytes), bytes};
  if (c.at != NULL) {
    environ = (char **)(uintptr_t)vector_near(&c, environ);
  }
}

/* ---- exec --------------------------------------------------------------- */

SHIM_SLOT(execve);
SHIM_SLOT(execvpe);
SHIM_SLOT(execveat);
SHIM_SLOT(fexecve);

#define EXEC(call)                                                             \
  if (!start_near(&path, &argv, &envp)) {                                      \
    return -1;                                                                 \
  }                                                                            \
  SHIM_GUARD_STACK();                                                          \
  shim_guard_unlink(&guard);                                                   \
  shim_stats_replaced(true);                                                   \
  int result = (call);                                                         \
  int saved = errno;                                                           \
  shim_stats_replaced(false);                                                  \
  errno = saved;                                                               \
  return result

SHIM_EXPORT int execve(const char *path, char *const argv[],
                       char *const envp[]) {
  EXEC(REAL(execve)(path, argv, envp));
}

SHIM_EXPORT int execv(const char *path, char *const argv[]) {
  return execve(path, argv, environ);
}

SHIM_EXPORT int execvpe(const char *path, char *const argv[],
                        char *const envp[]) {
  EXEC(REAL(execvpe)(path, argv, envp));
}

SHIM_EXPORT int execvp(const char *path, char *const argv[]) {
  return execvpe(path, argv, environ);
}

SHIM_EXPORT int execveat(int dir, const char *path, char *const argv[],
                         char *const envp[], int flags) {
  EXEC(REAL(execveat)(dir, path, argv, envp, flags));
}

SHIM_EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
  const char *path = NULL;
  EXEC(REAL(fexecve)(fd, argv, envp));
}

static size_t arguments_count(va_list ap) {
  size_t n = 1;
  while (va_arg(ap, char *) != NULL) {
    n++;
  }
  return n;
}

static void arguments_fill(char **argv, const char *first, va_list ap) {
  size_t n = 0;
  argv[n++] = (char *)(uintptr_t)first;
  while ((argv[n++] = va_arg(ap, char *)) != NULL) {
  }
}

/* argv[] on the stack, from the variable arguments. */
#define ARGUMENTS(argv, first, ap)                                             \
  va_list ap;                                                                  \
  va_start(ap, first);                                                         \
  size_t argument_count = first == NULL ? 0 : arguments_count(ap);             \
  va_end(ap);                                                                  \
  char **argv = alloca((argument_count + 1) * sizeof(char *));                 \
  va_start(ap, first);                                                         \
  argv[0] = NULL;                                                              \
  if (first != NULL) {                                                         \
    arguments_fill(argv, first, ap);                                           \
  }

SHIM_EXPORT int execl(const char *path, const char *first, ...) {
  ARGUMENTS(argv, first, ap)
  va_end(ap);
  return execve(path, argv, environ);
}

SHIM_EXPORT int execlp(const char *path, const char *first, ...) {
  ARGUMENTS(argv, first, ap)
  va_end(ap);
  return execvpe(path, argv, environ);
}

SHIM_EXPORT int execle(const char *path, const char *first, ...) {
  ARGUMENTS(argv, first, ap)
  char *const *envp = va_arg(ap, char *const *);
  va_end(ap);
  return execve(path, argv, envp);
}

/* ---- spawn -------------------------------------------------------------- */

SHIM_SLOT(posix_spawn);
SHIM_SLOT(posix_spawnp);

/* The lists behind the two opaque objects belong to the C library and are near
 * by the heap's caller rule; the objects themselves may be far. */
#define SPAWN(name)                                                            \
  SHIM_EXPORT int name(pid_t *restrict pid, const char *restrict path,         \
                       const posix_spawn_file_actions_t *actions,              \
                       const posix_spawnattr_t *restrict attr,                 \
                       char *const argv[restrict],                             \
                       char *const envp[restrict]) {                           \
    const char *near_path = path;                                              \
    char *const *near_argv = argv;                                             \
    char *const *near_envp = envp;                                             \
    int saved = errno;                                                         \
    if (!start_near(&near_path, &near_argv, &near_envp)) {                     \
      errno = saved;                                                           \
      return ENOMEM;                                                           \
    }                                                                          \
    pid_t *where = pid;                                                        \
    shim_area_t areas[] = {                                                    \
        OUT(where, where ? sizeof(*where) : 0),                                \
        IN(actions, actions ? sizeof(*actions) : 0),                           \
        IN(attr, attr ? sizeof(*attr) : 0),                                    \
    };                                                                         \
    SHIM_GUARD(areas);                                                         \
    int error =                                                                \
        REAL(name)(where, near_path, actions, attr, near_argv, near_envp);     \
    return error;                                                              \
  }

SPAWN(posix_spawn)
SPAWN(posix_spawnp)

SHIM_SLOT(system);
SHIM_EXPORT int system(const char *command) {
  shim_near_t near;
  environment_near();
  SHIM_GUARD_STACK();
  int result = REAL(system)(shim_near_string(&near, command));
  int saved = errno;
  shim_near_unmap(near.memory, near.bytes);
  errno = saved;
  return result;
}

SHIM_SLOT(popen);
SHIM_EXPORT FILE *popen(const char *command, const char *mode) {
  shim_near_t near;
  environment_near();
  SHIM_GUARD_STACK();
  FILE *result = REAL(popen)(shim_near_string(&near, command), mode);
  int saved = errno;
  shim_near_unmap(near.memory, near.bytes);
  errno = saved;
  return result;
}

SHIM_SLOT(wordexp);
SHIM_EXPORT int wordexp(const char *restrict words, wordexp_t *restrict out,
                        int flags) {
  shim_near_t near;
  environment_near();
  SHIM_GUARD_STACK();
  int result = REAL(wordexp)(shim_near_string(&near, words), out, flags);
  shim_near_unmap(near.memory, near.bytes);
  return result;
}

/* ---- shared objects ----------------------------------------------------- */

/* The loader finds the caller, whose search path counts, by the return address:
 * so this ends in a jump. The name is needed only until the file is open, and
 * lives in the thread's block. */
SHIM_SLOT(dlopen);
SHIM_EXPORT void *dlopen(const char *name, int flags) {
  if (CIRA_UNLIKELY(shim_far(name))) {
    uint64_t bytes = string_room(name);
    cursor_t c = {kept_block(bytes), bytes};
    if (c.at != NULL) {
      name = string_near(&c, name);
    }
  }
  __typeof__(&dlopen) next = REAL(dlopen);
  __attribute__((musttail)) return next(name, flags);
}
