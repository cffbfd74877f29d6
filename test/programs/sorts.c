/* SPDX-License-Identifier: Apache-2.0
 * qsort, bsearch, string functions and realloc over arrays beyond the cache. */
#include "common.h"

#define N 120000

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

int main(void) {
  uint64_t *v = malloc(N * sizeof(*v));
  uint64_t seed = 1;
  for (size_t i = 0; i < N; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    v[i] = seed >> 20;
  }
  qsort(v, N, sizeof(*v), by_value);
  int sorted = 1;
  for (size_t i = 1; i < N; i++) {
    sorted &= v[i - 1] <= v[i];
  }
  uint64_t key = v[777];
  uint64_t *found = bsearch(&key, v, N, sizeof(*v), by_value);
  printf("%d %d\n", sorted, found != NULL && *found == key);
  char *text = NULL;
  size_t room = 0;
  size_t n = 0;
  for (int i = 0; i < 60000; i++) {
    char piece[32];
    size_t m = (size_t)snprintf(piece, sizeof(piece), "%d,", i * 17);
    if (n + m + 1 > room) {
      room = room * 3 / 2 + 100;
      text = realloc(text, room);
    }
    memcpy(text + n, piece, m + 1);
    n += m;
  }
  printf("%zu %llu\n", strlen(text), (unsigned long long)checksum(text, n));
  printf("%ld\n", (long)(strstr(text, ",1019983,") - text));
  long total = 0;
  for (char *p = strtok(text, ","); p != NULL; p = strtok(NULL, ",")) {
    total += atol(p);
  }
  printf("%ld\n", total);
  unsigned char *zero = calloc(700, 1000);
  size_t bad = 0;
  for (size_t i = 0; i < 700000; i++) {
    bad += zero[i] != 0;
    zero[i] = 1;
  }
  free(zero);
  zero = calloc(700, 1000); /* the same memory again, most likely */
  for (size_t i = 0; i < 700000; i++) {
    bad += zero[i] != 0;
  }
  printf("%zu\n", bad);
  return 0;
}
