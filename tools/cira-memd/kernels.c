/* SPDX-License-Identifier: Apache-2.0
 *
 * Libraries of kernels: loading and checking them, trying that in a child, and
 * starting sessions. See kernels.h.
 */
#include "kernels.h"

#include "base/sys.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* ---- libraries ---------------------------------------------------------- */

static cira_status_t kernel_check(const kernels_t *k, const char *path,
                                  const cira_kernel_t *kernel, uint32_t index) {
  size_t n = kernel->name ? strnlen(kernel->name, CIRA_KERNEL_NAME_MAX + 1) : 0;
  if (n == 0 || n > CIRA_KERNEL_NAME_MAX || !kernel->function ||
      (kernel->flags & ~CIRA_KERNEL_F_ARRAY) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "--kernels %s: kernel %u has no name of 1 to %u bytes, "
                      "no function, or unknown flags",
                      path, index, CIRA_KERNEL_NAME_MAX);
  }
  for (uint32_t i = 0; i < k->count; i++) {
    if (strcmp(k->kernel[i]->name, kernel->name) == 0) {
      return cira__fail(CIRA_E_INVALID,
                        "--kernels %s: there is a kernel '%s' already", path,
                        kernel->name);
    }
  }
  return k->count < CIRA_KERNEL_COUNT_MAX
             ? CIRA_OK
             : cira__fail(CIRA_E_INVALID, "--kernels %s: more than %u kernels",
                          path, CIRA_KERNEL_COUNT_MAX);
}

static cira_status_t library_load(kernels_t *k, uint32_t index,
                                  const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    return cira__fail(CIRA_E_INVALID, "--kernels: cannot load %s: %s", path,
                      why ? why : "no reason given");
  }
  k->library[index] = library;
  const cira_kernel_library_t *l = dlsym(library, CIRA_KERNEL_SYMBOL);
  if (!l) {
    return cira__fail(CIRA_E_INVALID,
                      "--kernels %s: it has no table of kernels; name them in "
                      "it with CIRA_KERNEL_LIBRARY of cira/kernel.h",
                      path);
  }
  if (l->abi != CIRA_KERNEL_ABI) {
    return cira__fail(CIRA_E_INVALID,
                      "--kernels %s: its table is of version %u, this server "
                      "knows version %u; compile it against this cira",
                      path, l->abi, CIRA_KERNEL_ABI);
  }
  for (uint32_t i = 0; i < l->count; i++) {
    cira_status_t status = kernel_check(k, path, &l->kernel[i], i);
    if (status != CIRA_OK) {
      return status;
    }
    k->kernel[k->count++] = &l->kernel[i];
  }
  return CIRA_OK;
}

cira_status_t kernels_load(kernels_t *k, const char *const *path,
                           uint32_t count) {
  *k = (kernels_t){.path = path, .path_count = count, .count = 1};
  k->kernel[0] = &kernel_chain;
  cira_status_t status = CIRA_OK;
  for (uint32_t i = 0; i < count && status == CIRA_OK; i++) {
    status = library_load(k, i, path[i]);
  }
  return status;
}

cira_status_t kernels_probe(const char *const *path, uint32_t count) {
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC) < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "no pipe");
  }
  (void)signal(SIGCHLD, SIG_DFL); /* whatever we inherited: we wait */
  pid_t child = fork();
  if (child == 0) {
    static kernels_t kernels;
    cira_status_t status = kernels_load(&kernels, path, count);
    if (status != CIRA_OK) {
      const char *detail = cira_status_detail();
      (void)cira__sys_write(pipes[1], detail, strlen(detail));
    }
    _exit(status == CIRA_OK ? 0 : 1);
  }
  (void)close(pipes[1]);
  char detail[500];
  size_t have = 0;
  for (long n; have < sizeof(detail) - 1 &&
               (n = cira__sys_read(pipes[0], detail + have,
                                   sizeof(detail) - 1 - have)) > 0;) {
    have += (size_t)n;
  }
  detail[have] = 0;
  (void)close(pipes[0]);
  int how = 0;
  while (child > 0 && waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  if (child < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "cannot fork");
  }
  if (WIFSIGNALED(how)) {
    return cira__fail(CIRA_E_INVALID,
                      "--kernels: loading the libraries ended in signal %d",
                      WTERMSIG(how));
  }
  return WEXITSTATUS(how) == 0
             ? CIRA_OK
             : cira__fail(CIRA_E_INVALID, "%s",
                          have ? detail
                               : "--kernels: a library ends the "
                                 "process when it is loaded");
}

/* ---- sessions ----------------------------------------------------------- */

static cira_status_t session_spawn(const char *const *path, uint32_t count,
                                   int fd, uint32_t id, int control) {
  char number[16];
  const char *argv[2 * LIBRARIES_MAX + 4] = {"cira-memd", "--kernel-session",
                                             number};
  uint32_t n = 3;
  (void)cira__format(number, sizeof(number), "%u", id);
  for (uint32_t i = 0; i < count; i++) {
    argv[n++] = "--kernels";
    argv[n++] = path[i];
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  (void)posix_spawn_file_actions_init(&actions);
  (void)posix_spawnattr_init(&attr);
  (void)posix_spawn_file_actions_adddup2(&actions, fd, SESSION_FD);
  (void)posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
  (void)posix_spawn_file_actions_addclosefrom_np(&actions, CONTROL_FD + 1);
  (void)posix_spawnattr_setsigmask(&attr, &none);
  (void)posix_spawnattr_setsigdefault(&attr, &all);
  (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
                                            POSIX_SPAWN_SETSIGDEF);
  pid_t pid;
  int error = posix_spawn(&pid, "/proc/self/exe", &actions, &attr,
                          (char *const *)argv, environ);
  (void)posix_spawn_file_actions_destroy(&actions);
  (void)posix_spawnattr_destroy(&attr);
  return error ? cira__fail_errno(CIRA_E_SYSTEM, error,
                                  "cannot start a session for kernels")
               : CIRA_OK;
}

cira_status_t kernels_session_start(const char *const *path, uint32_t count,
                                    int fd, uint32_t id, int *out_control) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) <
      0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "no socket");
  }
  /* above the numbers that the session will see them under */
  int from = fcntl(fd, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
  int control = fcntl(pair[1], F_DUPFD_CLOEXEC, CONTROL_FD + 1);
  cira_status_t status =
      from < 0 || control < 0
          ? cira__fail_errno(CIRA_E_SYSTEM, errno, "no descriptor")
          : session_spawn(path, count, from, id, control);
  if (from >= 0) {
    (void)close(from);
  }
  if (control >= 0) {
    (void)close(control);
  }
  (void)close(pair[1]);
  if (status != CIRA_OK) {
    (void)close(pair[0]);
    return status;
  }
  *out_control = pair[0];
  return CIRA_OK;
}
