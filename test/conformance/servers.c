/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting and ending servers, see servers.h.
 */
#include "servers.h"

#include "base/sys.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

void must(cira_status_t status, const char *what, int line) {
  if (status != CIRA_OK) {
    fail_msg("line %d: %s: %s: %s", line, what, cira_status_name(status),
             cira_status_detail());
  }
}

static void exec_memd(const memd_t *m, const char *size,
                      const char *const *extra, int life, int ready) {
  char life_text[16];
  char ready_text[16];
  const char *argv[32] = {
      CIRA_MEMD, "--listen", m->shm_url,    "--listen", "tcp://:0",
      "--size",  size,       "--until-eof", life_text,  "--daemonize-ready-fd",
      ready_text};
  unsigned n = 11;
  for (; extra && *extra && n < 31; extra++) {
    argv[n++] = *extra;
  }
  snprintf(life_text, sizeof(life_text), "%d", life);
  snprintf(ready_text, sizeof(ready_text), "%d", ready);
  execv(CIRA_MEMD, (char *const *)argv);
  perror(CIRA_MEMD);
  _exit(127);
}

void memd_start(memd_t *m, const char *size, const char *const *extra) {
  int life[2];
  int ready[2];
  char text[512] = "";
  size_t have = 0;
  memset(m, 0, sizeof(*m));
  strcpy(m->dir, "/tmp/cira-test-XXXXXX");
  assert_non_null(mkdtemp(m->dir));
  snprintf(m->shm_url, sizeof(m->shm_url), "shm:%s/s", m->dir);
  snprintf(m->unix_url, sizeof(m->unix_url), "unix:%s/s", m->dir);
  assert_int_equal(pipe2(life, O_CLOEXEC), 0);
  assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
  m->pid = fork();
  assert_true(m->pid >= 0);
  if (m->pid == 0) {
    (void)fcntl(life[0], F_SETFD, 0);
    (void)fcntl(ready[1], F_SETFD, 0);
    exec_memd(m, size, extra, life[0], ready[1]);
  }
  (void)close(life[0]);
  (void)close(ready[1]);
  m->life_fd = life[1];
  for (ssize_t n;
       have < sizeof(text) - 1 &&
       (n = read(ready[0], text + have, sizeof(text) - 1 - have)) > 0;) {
    have += (size_t)n;
  }
  (void)close(ready[0]);
  char *tcp = strstr(text, "ready tcp:");
  assert_non_null(tcp);
  assert_int_equal(sscanf(tcp, "ready %119s", m->tcp_url), 1);
}

void memd_kill(memd_t *m, int signal_number) {
  int code;
  if (m->pid) {
    (void)kill(m->pid, signal_number);
    (void)waitpid(m->pid, &code, 0);
    m->pid = 0;
  }
}

void memd_stop(memd_t *m) {
  if (m->pid) {
    int code = 0;
    (void)kill(m->pid, SIGCONT);
    (void)kill(m->pid, SIGTERM);
    (void)waitpid(m->pid, &code, 0);
    m->pid = 0;
    assert_int_equal(code, 0); /* sanitizers speak up here */
  }
  (void)close(m->life_fd);
  (void)unlink(m->shm_url + strlen("shm:"));
  (void)rmdir(m->dir);
}

long memd_figure(const memd_t *m, const char *name) {
  char command[400];
  snprintf(command, sizeof(command), "%s --stats %s --json", CIRA_MEMD,
           m->unix_url);
  FILE *f = popen(command, "r");
  assert_non_null(f);
  json_t *root = json_loadf(f, 0, NULL);
  (void)pclose(f);
  assert_non_null(root);
  json_t *value = json_object_get(root, name);
  long result = json_is_array(value) ? (long)json_array_size(value)
                                     : (long)json_integer_value(value);
  json_decref(root);
  return result;
}
