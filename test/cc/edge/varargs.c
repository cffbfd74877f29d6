// SPDX-License-Identifier: Apache-2.0
// Variable arguments of all classes, also structs by value, in loops.
#include <stdarg.h>
#include <stdio.h>

struct small {
  int a, b;
};
struct big {
  long a[5];
};
struct mixed {
  double d;
  int i;
};

static long sum(int n, ...) {
  va_list list, again;
  long total = 0;
  va_start(list, n);
  va_copy(again, list);
  for (int i = 0; i < n; i++) {
    struct small s = va_arg(list, struct small);
    struct big b = va_arg(list, struct big);
    struct mixed m = va_arg(list, struct mixed);
    total += s.a * 3 + s.b + b.a[i % 5] + (long)m.d + m.i;
    total += (long)va_arg(list, double) + va_arg(list, int);
  }
  for (int i = 0; i < n; i++) {
    total ^= va_arg(again, struct small).b;
    (void)va_arg(again, struct big);
    (void)va_arg(again, struct mixed);
    (void)va_arg(again, double);
    (void)va_arg(again, int);
  }
  va_end(again);
  va_end(list);
  return total;
}

int main(void) {
  long (*indirect)(int, ...) = sum;
  __asm__ volatile("" : "+r"(indirect));
  for (int i = 0; i < 5; i++) {
    struct small s = {i, i * 2};
    struct big b = {{1, i, 3, i * i, 5}};
    struct mixed m = {i + 0.5, -i};
    printf("%ld %ld\n", sum(2, s, b, m, 1.5, (char)i, s, b, m, 2.5, (short)-i),
           indirect(1, s, b, m, 3.5, i));
  }
  return 0;
}
