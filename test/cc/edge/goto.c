// SPDX-License-Identifier: Apache-2.0
// A small interpreter by computed goto, and asm goto.
#include <stdio.h>

static long run(const unsigned char *code, long x) {
  static void *const to[] = {&&add, &&mul, &&jump, &&end};
  long steps = 0;
  const unsigned char *at = code;
#define NEXT goto *to[*at++]
  NEXT;
add:
  x += *at++;
  steps++;
  NEXT;
mul:
  x *= *at++;
  steps++;
  NEXT;
jump:
  if (x < 1000) {
    at = code;
  }
  NEXT;
end:
  return x * 100 + steps;
}

static int odd(int x) {
  __asm__ goto("test $1, %0\n jnz %l1" : : "r"(x) : "cc" : yes);
  return 0;
yes:
  return 1;
}

int main(void) {
  static const unsigned char code[] = {0, 3, 1, 2, 0, 1, 2, 3};
  int count = 0;
  for (int i = 0; i < 50; i++) {
    count += odd(i * 3);
  }
  printf("%ld %d\n", run(code, 5), count);
  return 0;
}
