/* SPDX-License-Identifier: Apache-2.0
 * OpenMP loops, tasks, critical sections and reductions over far arrays. */
#include <omp.h>

#include "common.h"

#define N 20000

static long fib(int n) {
  long a, b;
  if (n < 12) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
  }
#pragma omp task shared(a)
  a = fib(n - 1);
#pragma omp task shared(b)
  b = fib(n - 2);
#pragma omp taskwait
  return a + b;
}

int main(void) {
  long *a = malloc(N * sizeof(*a));
  long *b = malloc(N * sizeof(*b));
  long sum = 0;
  long in_critical = 0;
  long in_lock = 0; /* two locks guard two counters */
  long f = 0;
  omp_set_num_threads(4);
#pragma omp parallel for schedule(static)
  for (int i = 0; i < N; i++) {
    a[i] = i * 3L;
  }
  for (int round = 0; round < 3; round++) {
#pragma omp parallel for schedule(dynamic, 1000)
    for (int i = 0; i < N; i++) {
      b[i] = a[(i * 4099L) % N] + round;
    }
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < N; i++) {
      sum += b[i];
    }
  }
  omp_lock_t *lock = malloc(sizeof(*lock));
  omp_init_lock(lock);
#pragma omp parallel
  for (int i = 0; i < 50; i++) {
#pragma omp critical
    in_critical++;
    omp_set_lock(lock);
    in_lock++;
    omp_unset_lock(lock);
#pragma omp barrier
  }
#pragma omp parallel
#pragma omp single
  f = fib(18);
  printf("%ld %ld %ld\n", sum, in_critical + in_lock, f);
  return 0;
}
