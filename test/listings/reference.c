/* SPDX-License-Identifier: Apache-2.0
 *
 * The examples in examples/mlir/ once more, in plain C on plain malloc, written
 * from what they are to compute and not from how: what cira-run prints for an
 * example must be what this prints, byte for byte.
 *
 *   reference list N RANDOM | pointers N | bfs N DEGREE | edges N | async N |
 *             matmul
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The congruential sequence that all of them use, modulo a power of two. */
static uint64_t mixed(uint64_t i, uint64_t n) {
  return (i * 1664525 + 1013904223) & (n - 1);
}

static void *get(uint64_t count, size_t bytes) {
  void *p = calloc(count, bytes);
  if (p == NULL) {
    fprintf(stderr, "reference: out of memory\n");
    exit(1);
  }
  return p;
}

static float walk_list(uint64_t n, bool random) {
  float sum = 0;
  uint64_t i = 0;
  do {
    sum += (float)(i % 16);
    i = random ? mixed(i, n) : (i + 1) % n;
  } while (i != 0);
  return sum;
}

static float sum_pointers(uint64_t n) {
  float sum = 0;
  for (uint64_t i = 0; i < n; i++) {
    sum += (float)(mixed(i, n) % 16);
  }
  return sum;
}

static uint32_t neighbour(uint64_t edge, uint64_t n) {
  uint64_t x = edge * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((x * 6364136223846793005u >> 33) & (n - 1));
}

static void bfs(uint64_t n, uint64_t degree) {
  int32_t *distance = get(n, sizeof *distance);
  uint32_t *queue = get(n, sizeof *queue);
  memset(distance, -1, n * sizeof *distance);
  uint64_t head = 0, tail = 0;
  distance[0] = 0;
  queue[tail++] = 0;
  while (head < tail) {
    uint64_t v = queue[head++];
    for (uint64_t k = 0; k < degree; k++) {
      uint32_t to = neighbour(v * degree + k, n);
      if (distance[to] < 0) {
        distance[to] = distance[v] + 1;
        queue[tail++] = to;
      }
    }
  }
  int64_t sum = 0;
  for (uint64_t v = 0; v < n; v++) {
    sum += distance[v] > 0 ? distance[v] * (int64_t)(v + 1) : 0;
  }
  printf("%" PRIu64 "\n%" PRId64 "\n", tail, sum);
  free(queue);
  free(distance);
}

static float edges(uint64_t count) {
  uint64_t n = count / 4;
  uint64_t *value = get(n, sizeof *value);
  for (uint64_t k = 0; k < count; k++) {
    value[mixed(k, n)] += k % 4 + value[k % n] % 8;
  }
  float sum = 0;
  for (uint64_t i = 0; i < n; i++) {
    sum += (float)value[i];
  }
  free(value);
  return sum;
}

static void async(uint64_t n) {
  int64_t *number = get(n, sizeof *number), sum = 0, odd = 0;
  for (uint64_t i = 0; i < n; i++) {
    number[i] = (int64_t)i;
  }
  for (uint64_t i = 0; i < n; i++) {
    uint64_t j = mixed(i, n);
    number[j] = (number[i] + number[j]) ^ (int64_t)(3 * i);
  }
  for (uint64_t i = 0; i < n; i++) {
    sum += number[i];
    odd += number[i] & 1;
  }
  printf("%" PRId64 "\n%" PRId64 "\n", sum, odd);
  free(number);
}

static int64_t matmul(void) {
  int64_t sum = 0;
  for (int64_t i = 0; i < 16; i++) {
    for (int64_t j = 0; j < 1024; j++) {
      int64_t z = 0;
      for (int64_t k = 0; k < 1024; k++) {
        z += (i + k) % 3 * (k * j % 5);
      }
      sum += z * (i + j);
    }
  }
  return sum;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
  uint64_t m = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
  if (strcmp(what, "list") == 0 && n > 0) {
    double sum = walk_list(n, m != 0);
    printf("%.9g\n%.9g\n", sum, sum);
  } else if (strcmp(what, "pointers") == 0 && n > 0) {
    double sum = sum_pointers(n);
    printf("%.9g\n%.9g\n", sum, sum);
  } else if (strcmp(what, "bfs") == 0 && n > 0) {
    bfs(n, m);
  } else if (strcmp(what, "edges") == 0 && n > 3) {
    printf("%.9g\n", (double)edges(n));
  } else if (strcmp(what, "async") == 0 && n > 0) {
    async(n);
  } else if (strcmp(what, "matmul") == 0) {
    printf("%" PRId64 "\n", matmul());
  } else {
    fprintf(stderr, "usage: reference list N RANDOM | pointers N | "
                    "bfs N DEGREE | edges N | async N | matmul\n");
    return 2;
  }
  return 0;
}
