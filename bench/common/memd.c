/* SPDX-License-Identifier: Apache-2.0
 *
 * A memory server for one bench (bench.h). It is told to end when the pipe of
 * which we hold one end closes, so it goes however we end.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 24u

static _Noreturn void memd_exec(const char *dir, bool polls,
                                const char *const *args, int life, int ready) {
  char listen[80], life_text[16], ready_text[16], self[400], path[420];
  const char *memd = bench_memd_path();
  const char *argv[ARGS_MAX] = {NULL};
  uint32_t n = 0;
  ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  self[length > 0 ? length : 0] = 0;
  char *slash = strrchr(self, '/');
  (void)snprintf(path, sizeof(path), "%.*s/cira-memd",
                 slash ? (int)(slash - self) : 0, self);
  (void)snprintf(listen, sizeof(listen), "shm:%s/memd.sock", dir);
  (void)snprintf(life_text, sizeof(life_text), "%d", life);
  (void)snprintf(ready_text, sizeof(ready_text), "%d", ready);
  const char *const fixed[] = {memd ? memd : path,
                               "--listen",
                               listen,
                               "--listen",
                               "tcp://127.0.0.1:0",
                               "--size",
                               "1g",
                               "--until-eof",
                               life_text,
                               "--daemonize-ready-fd",
                               ready_text};
  for (uint32_t i = 0; i < CIRA_COUNT(fixed); i++) {
    argv[n++] = fixed[i];
  }
  if (polls && sysconf(_SC_NPROCESSORS_ONLN) > 1) {
    argv[n++] = "--poll";
    bench_pin(1);
  } else if (polls) {
    argv[n++] = "--spin";
    argv[n++] = "0";
  }
  for (; args && *args && n < ARGS_MAX - 1; args++) {
    argv[n++] = *args;
  }
  (void)execv(argv[0], (char *const *)argv);
  perror(argv[0]);
  _exit(127);
}

void bench_memd_start(bench_memd_t *m, bool polls, const char *const *args) {
  int life[2];
  int ready[2];
  char line[400];
  *m = (bench_memd_t){.dir = "/tmp/cira-bench-XXXXXX"};
  if (!mkdtemp(m->dir) || pipe(life) < 0 || pipe(ready) < 0) {
    perror("bench: a place for cira-memd");
    exit(1);
  }
  m->pid = fork();
  if (m->pid == 0) {
    (void)close(life[1]);
    (void)close(ready[0]);
    memd_exec(m->dir, polls, args, life[0], ready[1]);
  }
  (void)close(life[0]);
  (void)close(ready[1]);
  m->life = life[1];
  FILE *lines = fdopen(ready[0], "r");
  while (lines && fgets(line, sizeof(line), lines)) {
    line[strcspn(line, "\n")] = 0;
    const char *url = line + strlen("ready ");
    if (strncmp(url, "shm:", 4) == 0) {
      (void)snprintf(m->shm_url, sizeof(m->shm_url), "%s", url);
      (void)snprintf(m->unix_url, sizeof(m->unix_url), "unix:%s", url + 4);
    } else if (strncmp(url, "tcp:", 4) == 0) {
      (void)snprintf(m->tcp_url, sizeof(m->tcp_url), "%s", url);
    }
  }
  if (lines) {
    (void)fclose(lines);
  }
  if (!m->shm_url[0] || !m->tcp_url[0]) {
    fprintf(stderr, "bench: cira-memd did not start\n");
    exit(1);
  }
}

void bench_memd_stop(bench_memd_t *m) {
  (void)close(m->life);
  (void)waitpid(m->pid, NULL, 0);
  (void)rmdir(m->dir);
}
