/* SPDX-License-Identifier: Apache-2.0
 * Processes: trees of forks that read and change the same memory, fork with
 * other threads running, exec, spawn, system and popen with far arguments. */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

extern char **environ;
#define BYTES ((size_t)1 << 20)

static int ended(pid_t pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

/* Reads all, changes a part, forks on, checks that nobody else's changes show.
 */
static int tree(unsigned char *p, int depth, int id) {
  uint64_t before = checksum(p, BYTES);
  for (size_t i = (size_t)id; i < BYTES; i += 4001) {
    p[i] = (unsigned char)(p[i] * 3 + id);
  }
  uint64_t mine = checksum(p, BYTES);
  pid_t left = depth > 0 ? fork() : -1;
  if (left == 0) {
    _exit(tree(p, depth - 1, id * 2));
  }
  for (size_t i = 0; i < BYTES; i += 5003) {
    p[i]++;
  }
  uint64_t later = checksum(p, BYTES);
  pid_t right = depth > 0 ? fork() : -1;
  if (right == 0) {
    _exit(tree(p, depth - 1, id * 2 + 1));
  }
  int sum = (int)((mine ^ before ^ later) & 0x1f);
  if (left > 0) {
    sum += WEXITSTATUS(ended(left));
    sum += WEXITSTATUS(ended(right));
  }
  if (checksum(p, BYTES) != later) {
    return 255;
  }
  return sum & 0x7f;
}

static volatile int stop;
static void *busy(void *arg) {
  unsigned char *p = malloc(300 << 10);
  unsigned char round = 0;
  long *bad = arg;
  while (!stop) {
    memset(p, round, 300 << 10);
    for (size_t i = 0; i < (300u << 10); i += 64) {
      *bad += p[i] != round;
    }
    free(malloc(5000));
    round++;
  }
  return NULL;
}

static void from_threads(unsigned char *p) {
  pthread_t t[2];
  long *bad = calloc(2, sizeof(long));
  uint64_t sum = checksum(p, BYTES);
  for (int i = 0; i < 2; i++) {
    pthread_create(&t[i], NULL, busy, &bad[i]);
  }
  for (int i = 0; i < 6; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      _exit(checksum(p, BYTES) == sum ? 5 : 6);
    }
    say("child of threads", WEXITSTATUS(ended(pid)));
  }
  stop = 1;
  pthread_join(t[0], NULL);
  pthread_join(t[1], NULL);
  say("bad", bad[0] + bad[1]);
}

static void starts(void) {
  char **argv = malloc(6 * sizeof(char *));
  char **envp = malloc(4 * sizeof(char *));
  char *big = malloc(100001);
  memset(big, 'y', 100000);
  big[100000] = 0;
  argv[0] = far_string("sh");
  argv[1] = far_string("-c");
  argv[2] = far_string("echo $0 $X ${#1} ${#LD_PRELOAD}; exit 4");
  argv[2][25] = argv[2][25];
  argv[3] = far_string("zero");
  argv[4] = big;
  argv[5] = NULL;
  /* The count of LD_PRELOAD would differ: leave it out. */
  strcpy(argv[2], "echo $0 $X ${#1}; exit 4");
  envp[0] = far_string("X=some value");
  envp[1] = far_string("PATH=/bin:/usr/bin");
  envp[2] = NULL;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    push_out();
    execve(far_string("/bin/sh"), argv, envp);
    _exit(9);
  }
  say("execve", WEXITSTATUS(ended(pid)));
  fflush(stdout);
  pid = vfork();
  if (pid == 0) {
    execve("/bin/sh", argv, envp);
    _exit(9);
  }
  say("vfork", WEXITSTATUS(ended(pid)));
  pid = fork();
  if (pid == 0) {
    execvp(far_string("sh"), argv);
    _exit(9);
  }
  say("execvp", WEXITSTATUS(ended(pid)));
  pid = fork();
  if (pid == 0) {
    execl(far_string("/bin/sh"), far_string("sh"), far_string("-c"),
          far_string("exit 6"), NULL);
    _exit(9);
  }
  say("execl", WEXITSTATUS(ended(pid)));
  say("execve missing", execve(far_string("/no/such"), argv, envp));
  fflush(stdout);
  posix_spawn_file_actions_t *fa = fresh(sizeof(*fa));
  posix_spawnattr_t *attr = fresh(sizeof(*attr));
  posix_spawn_file_actions_init(fa);
  posix_spawnattr_init(attr);
  posix_spawn_file_actions_addopen(fa, 5, far_string("/dev/null"), O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(fa, 1, 6);
  sigset_t *none = fresh(sizeof(*none));
  sigemptyset(none);
  posix_spawnattr_setsigmask(attr, none);
  posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK);
  pid_t *where = fresh(sizeof(*where));
  push_out();
  say("posix_spawn",
      posix_spawn(where, far_string("/bin/sh"), fa, attr, argv, envp));
  say("status", WEXITSTATUS(ended(*where)));
  push_out();
  say("posix_spawnp",
      posix_spawnp(where, far_string("sh"), NULL, NULL, argv, environ));
  say("status", WEXITSTATUS(ended(*where)));
  say("posix_spawn missing",
      posix_spawn(where, far_string("/no/such"), fa, attr, argv, envp));
  putenv(far_string("FAR_VARIABLE=here"));
  fflush(stdout);
  say("system", WEXITSTATUS(system(far_string("echo $FAR_VARIABLE; exit 5"))));
  fflush(stdout);
  FILE *f =
      popen(far_string("echo from popen; cat /dev/null"), far_string("r"));
  char *line = fresh(100);
  say("popen", fgets(line, 100, f) != NULL);
  printf("%s", line);
  say("pclose", pclose(f));
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  unsigned char *p = fresh(BYTES);
  say("tree", tree(p, 2, 1));
  from_threads(p);
  starts();
  return 0;
}
