// SPDX-License-Identifier: Apache-2.0
// Tail calls, recursion, old-style definitions, attributes on calls, calling
// conventions, functions that do not return.
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static long count(long n, long acc, const int *t) {
  for (int i = 0; i < 4; i++) {
    acc += t[t[i] & 3];
  }
  if (n == 0) {
    return acc;
  }
  __attribute__((musttail)) return count(n - 1, acc, t);
}
__attribute__((noinline, preserve_most)) static long careful(long x) {
  return x * 17 + 3;
}
__attribute__((noinline)) static int old(a, b)
int a;
char b;
{
  int s = 0;
  for (int i = 0; i < a; i++) {
    s += b ^ i;
  }
  return s;
}
static long ack(long m, long n) {
  return m == 0 ? n + 1 : n == 0 ? ack(m - 1, 1) : ack(m - 1, ack(m, n - 1));
}
__attribute__((noreturn, noinline)) static void stop(long code) {
  printf("stop %ld\n", code);
  exit((int)code & 7);
}

int main(void) {
  int t[4] = {2, 0, 3, 1};
  long sum = 0;
  for (int i = 0; i < 30; i++) {
    sum += count(i, i, t) + careful(sum) + old(i, 'x') + ack(2, i & 7);
    if (sum < -1) {
      stop(1);
    }
  }
  stop(sum);
}
