// SPDX-License-Identifier: Apache-2.0
// Switches: many cases with one target, ranges, values that meet, in loops.
#include <stdio.h>

__attribute__((noinline)) static int kind(const unsigned char *s, int n,
                                          const int *weight) {
  int state = 0, out = 0;
  for (int i = 0; i < n; i++) {
    int v;
    switch (s[i]) {
    case 'a' ... 'f':
      v = 1;
      break;
    case '0':
    case '2':
    case '4':
    case '6':
    case '8':
      v = 2;
      break;
    case '1':
    case '3':
      v = state;
      break;
    case 'x':
      v = weight[s[i + 1] & 7];
      break;
    case 'y':
      state = 3;
      continue;
    case 'z':
      return out * 1000 + i;
    default:
      v = state > 2 ? 7 : out;
      break;
    }
    switch (state) {
    case 0:
      state = v > 3;
      break;
    case 1:
      state = 2 + (weight[v & 7] & 1);
      break;
    default:
      state = (state + v) % 5;
      break;
    }
    out = out * 3 + v + state;
  }
  return out;
}

int main(void) {
  int weight[8] = {3, 1, 4, 1, 5, 9, 2, 6};
  static const unsigned char text[] = "abc0123x7yq8x2--9ff1y3x5??2468xaz!";
  for (int n = 0; n < 34; n++) {
    printf("%d ", kind(text, n, weight));
  }
  printf("\n");
  return 0;
}
