// SPDX-License-Identifier: Apache-2.0
// Arrays of variable length and alloca, in scopes inside loops.
#include <alloca.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) static long work(int n) {
  long total = 0;
  for (int k = 1; k < n; k++) {
    int a[k], b[k * 2];
    char *text = alloca((size_t)k + 1);
    memset(text, 'a' + k % 26, (size_t)k);
    text[k] = 0;
    for (int i = 0; i < k; i++) {
      a[i] = (i * 5 + k) % k;
      b[2 * i] = a[i] ^ k;
      b[2 * i + 1] = i;
    }
    for (int i = 0; i < k; i++) {
      if (b[a[i]] & 1) {
        total += b[2 * a[i]] + text[a[i]];
      }
    }
    total += (long)strlen(text) + (long)sizeof a;
  }
  return total;
}

int main(void) {
  printf("%ld %ld\n", work(40), work(7));
  return 0;
}
