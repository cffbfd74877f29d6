/* SPDX-License-Identifier: Apache-2.0
 *
 * A program whose waits are known: it goes through 16 MiB in order, and then
 * touches them in an order that nobody can read ahead.
 *   hot [fork|crash]
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (UINT64_C(16) << 20)
#define TOUCHES 8000

static __attribute__((noinline)) uint64_t in_order(const uint8_t *p) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < BYTES; i += 64) {
    sum += p[i];
  }
  return sum;
}

static __attribute__((noinline)) uint64_t scattered(const uint8_t *p) {
  uint64_t x = 88172645463325252u;
  uint64_t sum = 0;
  for (int i = 0; i < TOUCHES; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    sum += p[x % BYTES]; /* the hot line */
  }
  return sum;
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  uint8_t *p = malloc(BYTES);
  if (p == NULL) {
    return 1;
  }
  memset(p, 1, BYTES);
  if (strcmp(way, "fork") == 0) {
    pid_t pid = fork();
    if (pid == 0) {
      _exit(scattered(p) == 0);
    }
    (void)waitpid(pid, NULL, 0);
  }
  uint64_t sum = in_order(p) + scattered(p);
  printf("%llu\n", (unsigned long long)sum);
  if (strcmp(way, "crash") == 0) {
    fflush(NULL);
    raise(SIGKILL);
  }
  free(p);
  return 0;
}
