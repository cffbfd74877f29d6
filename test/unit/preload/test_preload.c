/* SPDX-License-Identifier: Apache-2.0
 *
 * The preload library from outside: what it says to bad settings, which
 * descriptors it hides, and how processes fill the shared counters file. What
 * programs do under it is compared in test/differential.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heap/preload/stats_file.h"

/* Runs a shell command with settings; returns its status, and what it wrote to
 * both outputs in text. */
static int run(const char *settings, const char *command, char *text,
               size_t room) {
  char line[4096];
  snprintf(line, sizeof(line), "env -u CIRA_LOG %s LD_PRELOAD=%s %s 2>&1",
           settings, CIRA_PRELOAD, command);
  FILE *f = popen(line, "r");
  assert_non_null(f);
  size_t n = fread(text, 1, room - 1, f);
  text[n] = '\0';
  int status = pclose(f);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void bad_settings(void **state) {
  (void)state;
  static const char *const bad[] = {
      "CIRA_LOCAL=12parsecs",
      "CIRA_LOCAL=100k",
      "CIRA_FAR_SIZE=0",
      "CIRA_NEAR_MAX=-1",
      "CIRA_DEADLINE=0",
      "CIRA_MODE=magic",
      "CIRA_GRANULE=100",
      "CIRA_LANES=0",
      "CIRA_READAHEAD=many",
      "CIRA_HUGE=perhaps",
      "CIRA_LOG=loud",
      "CIRA_ONSTACK=2",
      "CIRA_TOKEN_FILE=/no/such/file",
      "CIRA_FAR=",
  };
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    char text[2000];
    int status = run(bad[i], "/bin/true", text, sizeof(text));
    if (status != 2 || strstr(text, bad[i]) == NULL) {
      print_error("%s: status %d, text: %s\n", bad[i], status, text);
    }
    assert_int_equal(status, 2);
    assert_non_null(strstr(text, bad[i]));
  }
}

static void no_server(void **state) {
  (void)state;
  char text[2000];
  assert_int_equal(
      run("CIRA_FAR=tcp://127.0.0.1:1", "/bin/echo ran", text, sizeof(text)),
      CIRA_EXIT_FAR);
  assert_non_null(strstr(text, "127.0.0.1"));
  assert_null(strstr(text, "ran\n"));
}

static void unknown_setting(void **state) {
  (void)state;
  char text[2000];
  assert_int_equal(run("CIRA_LOACL=1g", "/bin/echo ran", text, sizeof(text)),
                   0);
  assert_non_null(strstr(text, "CIRA_LOACL=1g"));
  assert_non_null(strstr(text, "ran\n"));
}

/* Programs find 3 free, and closing everything leaves the pager alone. */
static void descriptors(void **state) {
  (void)state;
  char text[2000];
  int status =
      run("CIRA_LOCAL=256k",
          "/usr/bin/python3 -S -c '"
          "import os\n"
          "print(os.open(\"/dev/null\", 0))\n"
          "os.closerange(3, 5000)\n"
          "for fd in range(3, 2000):\n"
          "  try: os.close(fd)\n"
          "  except OSError: pass\n"
          "print(sum(bytearray(3000000)), len(str(list(range(99999)))))\n"
          "' ",
          text, sizeof(text));
  assert_int_equal(status, 0);
  assert_string_equal(text, "3\n0 688883\n");
}

static cira_stats_file_t *stats_make(const char *path, uint32_t slots) {
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  size_t bytes = cira_stats_file_bytes(slots);
  assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
  cira_stats_file_t *f =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  assert_true(f != MAP_FAILED);
  close(fd);
  f->magic = CIRA_STATS_MAGIC;
  f->version = CIRA_STATS_VERSION;
  f->slot_bytes = sizeof(cira_stats_slot_t);
  f->slot_count = slots;
  f->stats_bytes = sizeof(cira_space_stats_t);
  return f;
}

static const cira_stats_slot_t *slot_of(const cira_stats_file_t *f,
                                        const char *program, uint32_t fork) {
  for (uint32_t i = 0; i < f->slot_count; i++) {
    if (strcmp(f->slots[i].program, program) == 0 &&
        f->slots[i].by_fork == fork) {
      return &f->slots[i];
    }
  }
  return NULL;
}

static void counters(void **state) {
  (void)state;
  char path[] = "/tmp/cira-stats-XXXXXX";
  char settings[200];
  char text[2000];
  close(mkstemp(path));
  cira_stats_file_t *f = stats_make(path, 16);
  snprintf(settings, sizeof(settings), "CIRA_STATS=%s CIRA_LOCAL=256k", path);
  /* sh forks a subshell, which ends with 3; then it becomes program-ends. */
  assert_int_equal(run(settings,
                       "sh -c '(exit 3); exec " CIRA_PROGRAMS
                       "/program-ends exit'",
                       text, sizeof(text)),
                   17);
  const cira_stats_slot_t *shell = slot_of(f, "sh", 0);
  const cira_stats_slot_t *subshell = slot_of(f, "sh", 1);
  const cira_stats_slot_t *ends = slot_of(f, "program-ends", 0);
  assert_non_null(shell);
  assert_non_null(subshell);
  assert_non_null(ends);
  assert_int_equal(shell->state, CIRA_STATS_REPLACED);
  assert_int_equal(subshell->state, CIRA_STATS_EXITED);
  assert_int_equal(subshell->parent_pid, shell->pid);
  assert_int_equal(WEXITSTATUS(subshell->exit_status), 3);
  assert_int_equal(ends->pid, shell->pid);
  assert_int_equal(ends->state, CIRA_STATS_EXITED);
  assert_int_equal(ends->exit_known, 1);
  assert_int_equal(WEXITSTATUS(ends->exit_status), 17);
  assert_true(ends->stats.faults > 0);
  assert_true(ends->stats.pages_out > 0);
  assert_true(ends->end_ns > ends->start_ns);

  /* Killed: stays running, with its counters. */
  run(settings, CIRA_PROGRAMS "/program-ends kill", text, sizeof(text));
  const cira_stats_slot_t *killed = &f->slots[f->claimed_count - 1];
  assert_int_equal(killed->state, CIRA_STATS_RUNNING);
  assert_true(killed->stats.faults > 0);
  unlink(path);
}

static void counters_full(void **state) {
  (void)state;
  char path[] = "/tmp/cira-stats-XXXXXX";
  char settings[200];
  char text[2000];
  close(mkstemp(path));
  cira_stats_file_t *f = stats_make(path, 1);
  snprintf(settings, sizeof(settings), "CIRA_STATS=%s", path);
  assert_int_equal(
      run(settings, "sh -c '(exit 3); (exit 4); exit 5'", text, sizeof(text)),
      5);
  assert_int_equal(f->claimed_count, 3);
  assert_int_equal(WEXITSTATUS(f->slots[0].exit_status), 5);
  unlink(path);
  /* A file that is none costs the counters, not the run. */
  snprintf(settings, sizeof(settings), "CIRA_STATS=/etc/hostname");
  assert_int_equal(run(settings, "/bin/true", text, sizeof(text)), 0);
  assert_non_null(strstr(text, "/etc/hostname"));
}

int main(void) {
  /* Whoever started us may have left descriptors open. */
  for (int fd = 3; fd < 256; fd++) {
    close(fd);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_settings),    cmocka_unit_test(no_server),
      cmocka_unit_test(unknown_setting), cmocka_unit_test(descriptors),
      cmocka_unit_test(counters),        cmocka_unit_test(counters_full),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
