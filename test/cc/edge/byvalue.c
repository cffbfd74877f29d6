// SPDX-License-Identifier: Apache-2.0
// Structs and small integers by value, through direct and indirect calls:
// what MLIR drops (byval, sret, signext, zeroext) decides the result.
#include <stdbool.h>
#include <stdio.h>

struct big {
  long a[7];
};
struct pair {
  double x;
  long n;
};
struct tiny {
  char c[3];
};

__attribute__((noinline)) static struct big turn(struct big b, char by) {
  struct big out;
  for (int i = 0; i < 7; i++) {
    out.a[(i + by + 70) % 7] = b.a[i] + by;
  }
  return out;
}
__attribute__((noinline)) static struct pair mix(struct pair p, struct tiny t,
                                                 bool neg, short s) {
  for (int i = 0; i < 3; i++) {
    p.n += t.c[i] * (neg ? -s : s);
    p.x /= 2;
  }
  return p;
}
__attribute__((noinline)) static int narrow(signed char a, unsigned char b,
                                            short c, unsigned short d, bool e) {
  return a + b * 2 + c * 3 + d * 4 + e * 5;
}

int main(void) {
  struct big (*volatile turn_by)(struct big, char) = turn;
  struct pair (*volatile mix_by)(struct pair, struct tiny, bool, short) = mix;
  int (*volatile narrow_by)(signed char, unsigned char, short, unsigned short,
                            bool) = narrow;
  struct big b = {{1, 2, 3, 4, 5, 6, 7}};
  struct pair p = {1e6, 3};
  long sum = 0;
  for (int i = -20; i < 20; i++) {
    b = i & 1 ? turn(b, (char)i) : turn_by(b, (char)-i);
    struct tiny t = {{(char)i, (char)(i * 7), (char)(i * i)}};
    p = i & 2 ? mix(p, t, i > 0, (short)i)
              : mix_by(p, t, i < 0, (short)(i * i));
    sum += narrow_by((signed char)(i * 9), (unsigned char)(i * 9),
                     (short)(i * 3000), (unsigned short)(i * 3000), i) +
           narrow((signed char)i, (unsigned char)i, (short)i, (unsigned short)i,
                  i == 3);
  }
  for (int i = 0; i < 7; i++) {
    sum = sum * 31 + b.a[i];
  }
  printf("%ld %ld %g\n", sum, p.n, p.x);
  return 0;
}
