// SPDX-License-Identifier: Apache-2.0
// Floating point: rounding modes with FENV_ACCESS, NaN payloads, signed zeros,
// fast-math flags in one function only.
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static double strict(const double *a, int n, int mode) {
#ifndef __FAST_MATH__
#pragma STDC FENV_ACCESS ON
#endif
  int old = fegetround();
  fesetround(mode);
  double s = 0;
  for (int i = 0; i < n; i++) {
    s += a[i] / 3;
  }
  fesetround(old);
  return s;
}

static double fast(const double *a, const int *b, int n) {
#pragma clang fp reassociate(on) contract(fast)
  double s = 0;
  for (int i = 0; i < n; i++) {
    s += a[b[i]] * a[i];
  }
  return s;
}

int main(void) {
  double a[16], nan;
  int b[16];
  uint64_t u = 0x7ff8000000000123;
  memcpy(&nan, &u, sizeof nan);
  for (int i = 0; i < 16; i++) {
    a[i] = i * 1.25 + 1;
    b[i] = (i * 5) & 15;
  }
  for (int i = 0; i < 16; i++) {
    if (a[b[i]] > 18) {
      a[i] = -0.0 * a[i];
    }
  }
  nan = a[0] > -1e300 ? -nan : nan;
  memcpy(&u, &nan, sizeof u);
  printf("%a %a %a %d %llx\n", strict(a, 16, FE_UPWARD),
         strict(a, 16, FE_DOWNWARD), fast(a, b, 16), !!signbit(a[15]),
         (unsigned long long)u);
  return 0;
}
