/* SPDX-License-Identifier: Apache-2.0
 * ends HOW: programs that end badly; the status must be that of the plain run.
 * The messages of the C library and of cira differ, so nothing is printed. */
#include <signal.h>
#include <unistd.h>

#include "common.h"

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  char *p = fresh(1000);
  if (strcmp(how, "null") == 0) {
    *(volatile char *)(uintptr_t)8 = 1;
  } else if (strcmp(how, "wild") == 0) {
    *(volatile char *)(uintptr_t)0x123456789000 = 1;
  } else if (strcmp(how, "noncanonical") == 0) {
    *(volatile char *)(uintptr_t)0xdead000000000000 = 1;
  } else if (strcmp(how, "double-free") == 0) {
    free(p);
    free(p); /* the C library aborts */
  } else if (strcmp(how, "abort") == 0) {
    abort();
  } else if (strcmp(how, "kill") == 0) {
    kill(getpid(), SIGKILL);
  } else if (strcmp(how, "exit") == 0) {
    exit(17);
  } else if (strcmp(how, "overflow") == 0) {
    char *volatile at = p; /* recursion without end */
    char big[100000];
    memset(big, *at, sizeof(big));
    char *again[] = {argv[0], "overflow", big, NULL};
    return main(2, again) + big[5];
  }
  return 3;
}
