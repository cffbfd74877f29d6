// SPDX-License-Identifier: Apache-2.0
// Aliases, ifuncs, weak symbols, constructors, sections, visibility.
#include <stdio.h>

static int table[16];
extern int also[16] __attribute__((alias("table")));
int twice(int x) {
  return 2 * x;
}
int doubled(int) __attribute__((alias("twice")));
static int plain(int x) {
  return x + 1;
}
static int (*choose(void))(int) {
  return plain;
}
int chosen(int) __attribute__((ifunc("choose")));
extern int missing(int) __attribute__((weak));
int placed __attribute__((section("my_section"))) = 4;
__attribute__((weak, noinline)) int replaceable(int x) {
  return x * 3;
}

__attribute__((constructor)) static void begin(void) {
  for (int i = 0; i < 16; i++) {
    table[i] = (i * 11) % 16;
  }
}
__attribute__((destructor)) static void end(void) {
  long sum = 0;
  for (int i = 0; i < 16; i++) {
    sum = sum * 5 + also[table[i]];
  }
  printf("end %ld\n", sum);
}

int main(void) {
  long sum = 0;
  for (int i = 0; i < 64; i++) {
    sum += doubled(also[i & 15]) + chosen(i) + replaceable(table[also[i & 15]]);
    if (missing) {
      sum += missing(i);
    }
    placed += (int)sum & 3;
  }
  printf("%ld %d\n", sum, placed);
  return 0;
}
