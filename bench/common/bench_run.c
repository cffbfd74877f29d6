/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-run: runs one program and writes how long it took, how it ended and its
 * peak resident memory. A large driver cannot measure that itself: the peak of
 * a child includes what its parent had when it forked.
 * Usage: bench-run RESULT-FILE PROGRAM [ARGUMENT]...
 * The result is one line: seconds wait-status peak-KiB.
 */
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fputs("usage: bench-run RESULT-FILE PROGRAM [ARGUMENT]...\n", stderr);
    return 2;
  }
  pid_t pid;
  int status;
  struct rusage usage;
  double began = now_s();
  int error = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
  if (error != 0) {
    fprintf(stderr, "bench-run: %s: %s\n", argv[2], strerror(error));
    return 127;
  }
  if (wait4(pid, &status, 0, &usage) != pid) {
    perror("bench-run: wait4");
    return 1;
  }
  double seconds = now_s() - began;
  FILE *f = fopen(argv[1], "we");
  if (f == NULL ||
      fprintf(f, "%.6f %d %ld\n", seconds, status, usage.ru_maxrss) < 0 ||
      fclose(f) != 0) {
    perror(argv[1]);
    return 1;
  }
  return 0;
}
