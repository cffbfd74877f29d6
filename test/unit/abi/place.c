/* SPDX-License-Identifier: Apache-2.0
 *
 * Places of test data, see place.h.
 */
#include "place.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../conformance/servers.h"
#include "async/thread.h"

static const struct {
  const char *name, *url;
  uint64_t pages;
} places[] = {
    {"none", NULL, 0},
    {"host", "host:", 3000},
    {"tiny", "host:", 64},
    {"fault", "fault(host:;seed=1)", 100},
    {"late", "fault(host:;delay=20us;reorder=0.2;seed=3)", 300},
    {"shm", NULL, 200},
    {"tcp", NULL, 200},
};
static size_t place;
static memd_t server;
static cira_space_t *space;
static uint64_t random_state;
static void *blocks[64];
static unsigned block_count;

bool place_choose(const char *name) {
  char why[256];
  for (place = 0; place < sizeof places / sizeof places[0]; place++) {
    if (strcmp(places[place].name, name) == 0) {
      return strcmp(name, "none") == 0 ||
             cira_space_probe(CIRA_SPACE_SIGBUS, why, sizeof why) == CIRA_OK;
    }
  }
  fprintf(stderr, "place %s: use none host tiny fault late shm tcp\n", name);
  exit(2);
}

const char *place_name(void) {
  return places[place].name;
}

bool place_is_far(void) {
  return place != 0;
}

cira_space_t *place_space(void) {
  return space;
}

uint64_t place_random(void) { /* xorshift64* */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * UINT64_C(2685821657736338717);
}

static void on_fault(int signo, siginfo_t *info, void *context) {
  if (!cira_space_fault(space, signo, info, context)) {
    signal(signo, SIG_DFL);
  }
}

void place_thread_enter(void) {
  stack_t ss = {.ss_size = 128u << 10}, had;
  if (sigaltstack(NULL, &had) == 0 && (had.ss_flags & SS_DISABLE) == 0) {
    return;
  }
  ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ss.ss_sp == MAP_FAILED || sigaltstack(&ss, NULL) != 0) {
    abort();
  }
}

static const char *url_now(void) {
  const char *name = places[place].name;
  if (strcmp(name, "shm") != 0 && strcmp(name, "tcp") != 0) {
    return places[place].url;
  }
  if (server.pid == 0) {
    memd_start(&server, "256m", NULL);
  }
  return strcmp(name, "shm") == 0 ? server.shm_url : server.tcp_url;
}

bool place_open_url(const char *url, uint64_t local_pages) {
  random_state = 88172645463325252u;
  block_count = 0;
  cira_space_options_t opt;
  cira_space_options_default(&opt);
  opt.mode = CIRA_SPACE_SIGBUS;
  opt.url = url;
  opt.lanes = 2;
  opt.local_bytes = local_pages * 5000u; /* pays for baselines too */
  opt.range_bytes = UINT64_C(1) << 30;
  if (cira_space_create(&opt, &space) != CIRA_OK) {
    return false;
  }
  struct sigaction sa = {.sa_sigaction = on_fault,
                         .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&sa.sa_mask);
  assert_int_equal(sigaction(cira_space_signal(space), &sa, NULL), 0);
  place_thread_enter();
  cira_abi_init(space);
  return true;
}

void place_open_pages(uint64_t local_pages) {
  if (!place_is_far()) {
    random_state = 88172645463325252u;
    block_count = 0;
    cira_abi_init(NULL);
  } else if (!place_open_url(url_now(), local_pages)) {
    fail_msg("create: %s", cira_status_detail());
  }
}

void place_open(void) {
  if (space != NULL) {
    place_close(); /* the test before failed */
  }
  place_open_pages(places[place].pages);
}

void place_close(void) {
  cira_abi_fini();
  for (unsigned i = 0; i < block_count; i++) {
    free(blocks[i]);
  }
  block_count = 0;
  if (space != NULL) {
    cira_space_destroy(space);
    space = NULL;
  }
  if (server.pid != 0) {
    memd_stop(&server);
  }
}

void *place_alloc(uint64_t bytes) {
  void *p = NULL;
  bytes = (bytes + 4095) & ~UINT64_C(4095);
  if (space != NULL) {
    if (cira_space_alloc(space, bytes, 4096, &p) != CIRA_OK) {
      fail_msg("alloc: %s", cira_status_detail());
    }
    return p;
  }
  assert_true(block_count < 64);
  p = aligned_alloc(4096, bytes);
  assert_non_null(p);
  memset(p, 0, bytes);
  blocks[block_count++] = p;
  return p;
}

void place_send_home(const void *p, uint64_t bytes) {
  if (space != NULL) {
    cira_space_evict_hint(space, p, bytes);
  }
}

static void *nothing(void *arg) {
  return arg;
}

/* A sanitizer has a thread of its own, from the first thread of a process on.
 */
static void strangers_start(void) {
  pthread_t t;
  if (TSAN && pthread_create(&t, NULL, nothing, NULL) == 0) {
    pthread_join(t, NULL);
    usleep(10000); /* until /proc has forgotten it */
  }
}

void place_misuse(void (*act)(void), const char *words) {
  int fd[2];
  fflush(NULL);
  assert_int_equal(pipe(fd), 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(fd[1], 2);
    strangers_start();
    cira_thread_baseline();
    alarm(20); /* a hang is a failure as well */
    act();
    _exit(0);
  }
  close(fd[1]);
  char text[1024];
  size_t have = 0;
  for (ssize_t n; have < sizeof text - 1 &&
                  (n = read(fd[0], text + have, sizeof text - 1 - have)) > 0;) {
    have += (size_t)n;
  }
  text[have] = 0;
  close(fd[0]);
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 125 ||
      strstr(text, words) == NULL) {
    fail_msg("status %x, wanted exit 125 and \"%s\", got: %s", status, words,
             text);
  }
  const char *line_end = strchr(text, '\n');
  assert_true(line_end != NULL && line_end[1] == 0); /* one line */
}
