/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the places named by an index array hold an odd number: an indirect
 * access with a branch behind it, where a core cannot look far ahead. cira-cc
 * asks for the lines of later iterations.
 *   cira-cc -O3 -Rpass=cira choose.c && ./a.out 100000000
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static size_t choose(const uint64_t *a, const uint32_t *b, size_t n,
                     uint32_t *out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    if (a[b[i]] & 1) {
      out[count++] = b[i];
    }
  }
  return count;
}

int main(int argc, char **argv) {
  size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
  n = n < 1 || n > UINT32_MAX ? 1 : n;
  uint64_t *a = malloc(n * sizeof *a);
  uint32_t *b = malloc(n * sizeof *b);
  uint32_t *out = malloc(n * sizeof *out);
  if (!a || !b || !out) {
    return 1;
  }
  for (size_t i = 0; i < n; i++) {
    uint64_t mixed = i * UINT64_C(0x9e3779b97f4a7c15);
    a[i] = mixed >> 32;
    b[i] = (uint32_t)((mixed >> 20) % n);
  }
  size_t count = choose(a, b, n, out);
  printf("%zu of %zu are odd", count, n);
  printf(", the last is %u\n", count ? out[count - 1] : 0);
  free(a);
  free(b);
  free(out);
  return 0;
}
