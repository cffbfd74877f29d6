// SPDX-License-Identifier: Apache-2.0
// Volatile accesses keep their number and order; loops that end by signals.
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t seen;
static volatile int device[4];

static void handle(int number) {
  seen = number;
}

int main(void) {
  int index[16], sum = 0;
  signal(SIGUSR1, handle);
  for (int i = 0; i < 16; i++) {
    index[i] = (i * 7 + 1) & 3;
  }
  for (int i = 0; i < 16; i++) {
    device[index[i]]++;
    if (device[index[15 - i]] & 1) {
      sum += device[0];
    }
  }
  raise(SIGUSR1);
  while (!seen) {
  }
  printf("%d %d\n", sum, seen == SIGUSR1);
  return 0;
}
