// SPDX-License-Identifier: Apache-2.0
// setjmp and longjmp out of and into loops; volatile locals keep their values.
#include <setjmp.h>
#include <stdio.h>

static jmp_buf here;

__attribute__((noinline)) static void leave(int i) {
  if (i % 3 == 2) {
    longjmp(here, i);
  }
}

int main(void) {
  volatile int round = 0;
  volatile long sum = 0;
  int index[8] = {5, 3, 7, 1, 0, 2, 6, 4};
  int from = setjmp(here);
  sum += from;
  for (int i = from ? from + 1 : 0; i < 20; i++) {
    sum += index[index[i & 7]];
    round++;
    leave(i);
  }
  printf("%d %ld\n", round, sum);
  return 0;
}
