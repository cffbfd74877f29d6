// SPDX-License-Identifier: Apache-2.0
// Wide, narrow and odd types: __int128, long double, _Complex, bit fields,
// packed and aligned structs, _BitInt, _Bool loads, half precision, vectors.
#include <complex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct __attribute__((packed)) packed {
  char c;
  int i;
  short s;
};
struct bits {
  unsigned a : 3, b : 7;
  int c : 11;
  bool d : 1;
};
struct __attribute__((aligned(64))) line {
  int v;
};
union both {
  double d;
  uint64_t u;
};
typedef int four __attribute__((vector_size(16)));

int main(void) {
  unsigned __int128 wide = 1;
  long double ld = 1;
  double complex z = 1;
  _BitInt(37) odd = 1;
  _Float16 half = 1;
  struct packed p[8];
  struct bits b = {0};
  struct line l[4] = {{0}};
  four v = {1, 2, 3, 4};
  bool flags[32];
  for (int i = 0; i < 32; i++) {
    wide = wide * 0x123456789abcdefull + (unsigned)i;
    ld = ld * 1.5L + i;
    z = z * (0.5 + 0.5 * I) + i;
    odd = odd * 5 + i;
    half = half / 2 + (_Float16)i;
    p[i & 7] = (struct packed){(char)i, i * 1000, (short)(i * 99)};
    b.a += (unsigned)i;
    b.b ^= (unsigned)(i * 3);
    b.c -= i * 7;
    b.d ^= i & 1;
    l[p[i & 7].i & 3].v += i;
    v = v * v + (four){i, 1, 2, 3};
    flags[i] = b.d | (i % 3 == 0);
  }
  int set = 0;
  for (int i = 0; i < 32; i++) {
    set += flags[(i * 7) & 31] ? p[i & 7].s : -1;
  }
  union both u = {.d = creal(z)};
  printf("%llx %llx %.10Lg %g %g %lld %g %u %u %d %d %d %d %d %llx\n",
         (unsigned long long)(wide >> 64), (unsigned long long)wide, ld,
         creal(z), cimag(z), (long long)odd, (double)half, b.a, b.b, b.c, b.d,
         l[1].v, v[0] ^ v[1] ^ v[2] ^ v[3], set, (unsigned long long)u.u);
  return 0;
}
