// SPDX-License-Identifier: Apache-2.0
// Large blocks by every function that gives them, errors, errno, and wrappers.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { mib = 1 << 20 };
// The address sanitizer ends a program that asks for more than there can be.
#if __has_feature(address_sanitizer)
enum { refusals = 0 };
#else
enum { refusals = 1 };
#endif
static volatile size_t sizes[] = {0, 100, mib, 4 * mib - 1, 4 * mib, 9 * mib};

__attribute__((noinline)) static void *checked(size_t bytes) {
  void *p = malloc(bytes);
  if (!p) {
    exit(2);
  }
  return p;
}

static unsigned long sum(const unsigned char *p, size_t bytes) {
  unsigned long s = 0;
  for (size_t i = 0; i < bytes; i += 4000) {
    s = s * 31 + p[i];
  }
  return s;
}

static void fill(void *p, size_t bytes, int with) {
  memset(p, with, bytes);
  printf("%lx %d\n", sum(p, bytes), (int)((uintptr_t)p % 8));
}

static void *(*indirect)(size_t) = malloc;

int main(void) {
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t n = sizes[i];
    void *p = checked(n), *q = NULL;
    fill(p, n, 3);
    p = realloc(p, n + 100); // may grow in place
    fill(p, n + 100, 4);
    p = realloc(p, 3 * n + 1);
    printf("%lx\n", sum(p, n));
    fill(p, 3 * n + 1, 5);
    free(p);
    unsigned char *zeros = calloc(n / 16 + 1, 16);
    printf("zeros %lx\n", sum(zeros, n));
    fill(zeros, n, 6);
    free(zeros);
    p = aligned_alloc(4096, n & ~(size_t)4095);
    fill(p, n & ~(size_t)4095, 7);
    free(p);
    p = memalign(1 << 16, n);
    fill(p, n, 8);
    free(p);
    int error = posix_memalign(&q, 64, n);
    fill(q, n, 9);
    free(q);
    p = indirect(n);
    fill(p, n, 10);
    free(p);
    printf("%d\n", error);
  }
  // No block, and errno as the function has left it.
  volatile size_t most = PTRDIFF_MAX, two = 2;
  errno = 0;
  void *p;
  if (refusals) {
    p = malloc(most);
    printf("%d %d\n", p != NULL, errno == ENOMEM);
    errno = 0;
    p = calloc(most, two + 2); // the product does not fit
    printf("%d %d\n", p != NULL, errno == ENOMEM);
  }
  p = checked(5 * mib);
  errno = 0;
  if (refusals) {
    void *grown = realloc(p, most);
    printf("%d %d\n", grown != NULL, errno == ENOMEM);
  }
  void *old = &old;
  int error = refusals ? posix_memalign(&old, 3, 5 * mib) : EINVAL;
  printf("%d %d\n", error == EINVAL, old == (void *)&old);
  if (refusals) {
    error = posix_memalign(&old, 8, most);
    printf("%d\n", error == ENOMEM);
  }
  errno = 7;
  void *kept = malloc((two + 4) * mib);
  printf("%d %d\n", kept != NULL, errno);
  free(kept);
  free(p);
  return 0;
}
