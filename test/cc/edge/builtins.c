// SPDX-License-Identifier: Apache-2.0
// Builtins that carry facts (assume, expect, assume_aligned, unreachable,
// exact division, restrict), bit operations, memory functions.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct seven {
  char c[7];
};

__attribute__((noinline)) static uint64_t
facts(const uint32_t *restrict p, uint32_t *restrict out, size_t n) {
  const uint32_t *a = __builtin_assume_aligned(p, 32);
  __builtin_assume(n % 8 == 0);
  uint64_t h = 0;
  for (size_t i = 0; i < n; i++) {
    if (__builtin_expect(a[i] > 100, 0)) {
      h += (uint64_t)__builtin_popcount(a[i]);
    }
    switch (a[i] & 3) {
    case 0:
      h ^= (uint64_t)__builtin_clz(a[i] | 1);
      break;
    case 1:
      h += (uint64_t)__builtin_ctzll(a[i]);
      break;
    case 2:
      h = h << 7 | h >> 57;
      break;
    case 3:
      h ^= __builtin_bswap64(h);
      break;
    default:
      __builtin_unreachable();
    }
    out[a[i] & 63] += (uint32_t)h;
  }
  return h;
}

__attribute__((noinline)) static ptrdiff_t far_apart(struct seven *a,
                                                     struct seven *b) {
  ptrdiff_t sum = 0;
  for (struct seven *p = a; p != b; p++) {
    sum += p - a;
    memcpy(p->c, "abcdef", 7);
    memmove(p->c + 1, p->c, 6);
  }
  return sum + (a == b ? 0 : memcmp(a, b - 1, 7));
}

int main(void) {
  static uint32_t data[64] __attribute__((aligned(32))), out[64];
  struct seven s[9];
  for (int i = 0; i < 64; i++) {
    data[i] = (uint32_t)(i * 2654435761u) % 200;
  }
  uint64_t h = facts(data, out, 64);
  for (int i = 0; i < 64; i++) {
    h = h * 31 + out[i];
  }
  int over;
  long product = 1;
  for (int i = 1; i < 40 && !__builtin_mul_overflow(product, i, &product);
       i++) {
    over = i;
  }
  printf("%llx %td %d %ld\n", (unsigned long long)h, far_apart(s, s + 9), over,
         product);
  return 0;
}
