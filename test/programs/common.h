/* SPDX-License-Identifier: Apache-2.0
 *
 * What the small programs share. Each runs plain and under the preload library
 * with a tiny cache; its output and status must be the same in both. So they
 * print results, never addresses or times.
 *
 * push_out() makes sure that what was allocated before is not in a small cache:
 * it writes and reads more than any cache the tests use.
 */
#ifndef CIRA_TEST_PROGRAMS_COMMON_H
#define CIRA_TEST_PROGRAMS_COMMON_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUSH_BYTES ((size_t)1 << 20) /* four times the smallest cache */

static inline void push_out(void) {
  static volatile unsigned char *heap;
  if (heap == NULL) {
    heap = malloc(PUSH_BYTES);
  }
  for (size_t i = 0; i < PUSH_BYTES; i += 512) {
    heap[i] = (unsigned char)(heap[i] + 1);
  }
}

/* Memory of the heap with content, pushed out of the cache. */
static inline void *fresh(size_t bytes) {
  unsigned char *p = malloc(bytes);
  for (size_t i = 0; i < bytes; i++) {
    p[i] = (unsigned char)(i * 31 + bytes);
  }
  push_out();
  return p;
}

static inline uint64_t checksum(const void *p, size_t bytes) {
  const unsigned char *c = p;
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < bytes; i++) {
    h = (h ^ c[i]) * 1099511628211u;
  }
  return h;
}

/* One line per step: name, result, errno when it failed. */
static inline void say(const char *name, long result) {
  int error = errno;
  printf("%s: %ld%s%s\n", name, result, result < 0 ? " " : "",
         result < 0 ? strerror(error) : "");
}

/* String in the heap, pushed out. */
static inline char *far_string(const char *s) {
  char *copy = malloc(strlen(s) + 1);
  strcpy(copy, s);
  push_out();
  return copy;
}

#endif
