/* SPDX-License-Identifier: Apache-2.0
 *
 * server: see server.h. The server gets two descriptors: the reading end of a
 * pipe whose end of file tells it that cira-run is gone, and the writing end
 * of one on which it says that it serves.
 */
#include "cira-run/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 10000
#define STOP_TIMEOUT_MS 2000

/* A name nobody else has: in the user's run-time directory, else in /tmp. */
static void choose_socket(run_server_t *s) {
  const char *dir = getenv("XDG_RUNTIME_DIR");
  /* sun_path holds 108 bytes; the name below needs 40. */
  if (dir == NULL || dir[0] != '/' || strlen(dir) > 64 ||
      access(dir, W_OK | X_OK) != 0) {
    dir = "/tmp";
  }
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
    random = cira__now_ns();
  }
  snprintf(s->socket, sizeof s->socket, "%s/cira-run-%d-%016llx", dir,
           (int)getpid(), (unsigned long long)random);
  snprintf(s->url, sizeof s->url, "shm:%s", s->socket);
}

/* What the server may promise by default: nearly all memory that is available
 * now, since far memory on this machine is memory of this machine. */
static void default_size(char *text, size_t bytes) {
  char line[128];
  unsigned long long available_kib = 0;
  FILE *f = fopen("/proc/meminfo", "re");
  while (f != NULL && fgets(line, sizeof line, f) != NULL &&
         sscanf(line, "MemAvailable: %llu", &available_kib) != 1) {
  }
  if (f != NULL) {
    fclose(f);
  }
  if (available_kib == 0) {
    available_kib = (unsigned long long)sysconf(_SC_AVPHYS_PAGES) *
                    (CIRA_PAGE_BYTES / 1024);
  }
  snprintf(text, bytes, "%lluk", available_kib / 16 * 15);
}

static _Noreturn void server_exec(const char *memd, const run_server_t *s,
                                  const char *size, const char *token,
                                  int eof_fd, int ready_fd) {
  char eof_text[16];
  char ready_text[16];
  snprintf(eof_text, sizeof eof_text, "%d", eof_fd);
  snprintf(ready_text, sizeof ready_text, "%d", ready_fd);
  const char *argv[16];
  int n = 0;
  argv[n++] = "cira-memd";
  argv[n++] = "--listen";
  argv[n++] = s->url;
  argv[n++] = "--until-eof";
  argv[n++] = eof_text;
  argv[n++] = "--daemonize-ready-fd";
  argv[n++] = ready_text;
  argv[n++] = "--size";
  argv[n++] = size;
  if (token != NULL) {
    argv[n++] = "--token-file";
    argv[n++] = token;
  }
  argv[n] = NULL;
  /* Its own session: an interrupt from the terminal is for the program; the
   * server has to outlive it to the last write-back. */
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) {
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
  }
  fcntl(eof_fd, F_SETFD, 0);
  fcntl(ready_fd, F_SETFD, 0);
  unsetenv("LD_PRELOAD");
  execv(memd, (char *const *)argv);
  _exit(127);
}

/* Waits until there is something to read, for at most `timeout_ms`. */
static bool wait_readable(int fd, uint64_t timeout_ms) {
  uint64_t until = cira__now_ns() + timeout_ms * UINT64_C(1000000);
  for (;;) {
    uint64_t now = cira__now_ns();
    int left_ms = now >= until ? 0 : (int)((until - now) / 1000000);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, left_ms);
    if (n >= 0 || errno != EINTR) {
      return n > 0;
    }
  }
}

/* Waits for the first byte of the ready pipe; its end of file means that the
 * server is dead. */
static bool wait_ready(int fd) {
  char byte;
  ssize_t got = -1;
  if (wait_readable(fd, READY_TIMEOUT_MS)) {
    do {
      got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
  }
  return got == 1;
}

cira_status_t run_server_start(const char *bindir, const char *size,
                               const char *token, run_server_t *out) {
  run_server_t s = {.life_fd = -1};
  char memd[4096];
  snprintf(memd, sizeof memd, "%s/cira-memd", bindir);
  if (access(memd, X_OK) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "no memory server runs and %s cannot be started; "
                            "install cira-memd beside cira-run or name a "
                            "server with --far",
                            memd);
  }
  choose_socket(&s);
  char memory[24];
  if (size == NULL) {
    default_size(memory, sizeof memory);
    size = memory;
  }
  int life[2];
  int ready[2];
  if (pipe2(life, O_CLOEXEC) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "cannot make a pipe");
  }
  if (pipe2(ready, O_CLOEXEC) != 0) {
    int error = errno;
    close(life[0]);
    close(life[1]);
    return cira__fail_errno(CIRA_E_SYSTEM, error, "cannot make a pipe");
  }
  s.pid = fork();
  if (s.pid == 0) {
    server_exec(memd, &s, size, token, life[0], ready[1]);
  }
  int error = errno;
  close(life[0]);
  close(ready[1]);
  s.life_fd = life[1];
  if (s.pid < 0) {
    close(ready[0]);
    close(life[1]);
    return cira__fail_errno(CIRA_E_SYSTEM, error,
                            "cannot start a memory server");
  }
  bool ok = wait_ready(ready[0]);
  close(ready[0]);
  if (!ok) {
    kill(s.pid, SIGKILL);
    run_server_stop(&s);
    return cira__fail(CIRA_E_SYSTEM,
                      "the memory server %s did not start on %s; see its "
                      "message above",
                      memd, s.url);
  }
  *out = s;
  return CIRA_OK;
}

void run_server_stop(run_server_t *s) {
  if (s->pid <= 0) {
    return;
  }
  close(s->life_fd);
  int fd = pidfd_open(s->pid, 0);
  bool ended = fd >= 0 ? wait_readable(fd, STOP_TIMEOUT_MS) : errno == ESRCH;
  if (fd >= 0) {
    close(fd);
  }
  if (ended) {
    waitpid(s->pid, NULL, WNOHANG);
    unlink(s->socket); /* a killed server leaves it behind */
  } /* else a program in the background still uses it */
  s->pid = 0;
}
