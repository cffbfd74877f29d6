/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels for the tests of calls to a memory server: honest ones, and some that
 * crash, hang, lie about their results or leave the process.
 */
#include "cira/kernel.h"

#include "seed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cira_status_t done(cira_kernel_call_t *c, const void *result,
                          uint32_t bytes) {
  if (c->result_max < bytes) {
    return c->fail(c, CIRA_E_RANGE, "no room for the result");
  }
  memcpy(c->result, result, bytes);
  c->result_bytes = bytes;
  return CIRA_OK;
}

/* The sum of the 64-bit words of all ranges. */
static cira_status_t sum(cira_kernel_call_t *c) {
  uint64_t total = 0;
  for (uint32_t r = 0; r < c->range_count; r++) {
    const uint64_t *at = c->range[r].at;
    for (uint64_t i = 0; i < c->range[r].bytes / 8; i++) {
      total += at[i];
    }
  }
  return done(c, &total, 8);
}

/* Multiplies the words of range 0 by the argument. */
static cira_status_t scale(cira_kernel_call_t *c) {
  uint64_t by;
  if (c->args_bytes != 8 || c->range_count != 1 ||
      (c->range[0].access & CIRA_KERNEL_WRITE) == 0) {
    return c->fail(c, CIRA_E_INVALID, "scale: a factor, a range to write");
  }
  memcpy(&by, c->args, 8);
  uint64_t *at = c->range[0].at;
  for (uint64_t i = 0; i < c->range[0].bytes / 8; i++) {
    at[i] *= by;
  }
  return CIRA_OK;
}

typedef struct node {
  struct node *next;
  uint64_t value;
} node_t;

/* Follows the list that begins at an address of the caller. */
static cira_status_t chase(cira_kernel_call_t *c) {
  uint64_t at;
  uint64_t total = 0;
  memcpy(&at, c->args, 8);
  while (at) {
    const node_t *n = c->resolve(c, at, sizeof(*n));
    if (!n) {
      return c->fail(c, CIRA_E_RANGE, "the list leaves the range");
    }
    total += n->value;
    at = (uintptr_t)n->next;
  }
  return done(c, &total, 8);
}

static cira_status_t square(cira_kernel_call_t *c) {
  uint64_t n;
  memcpy(&n, c->args, 8);
  n *= n;
  return done(c, &n, 8);
}

static cira_status_t squares(cira_kernel_call_t *c) {
  const uint64_t *n = c->args;
  uint64_t *to = c->result;
  for (uint32_t i = 0; i < c->count; i++) {
    to[i] = n[i] * n[i];
  }
  c->result_bytes = 8;
  return CIRA_OK;
}

/* The seed's program: range 0 is A, range 1 is B. */
static cira_status_t remote(cira_kernel_call_t *c) {
  const uint32_t *k = c->args;
  int32_t *to = c->result;
  for (uint32_t i = 0; i < c->count; i++) {
    to[i] = seed_remote(k[i], c->range[0].at, c->range[1].at);
  }
  c->result_bytes = 4;
  return CIRA_OK;
}

static cira_status_t refuse(cira_kernel_call_t *c) {
  return c->fail(c, -1234, "not today");
}

/* Writes the first half of range 0, then dies. */
static cira_status_t crash(cira_kernel_call_t *c) {
  if (c->range_count) {
    memset(c->range[0].at, 0x77, c->range[0].bytes / 2);
  }
  abort();
}

static cira_status_t leave(cira_kernel_call_t *c) {
  (void)c;
  _exit(3);
}

static cira_status_t hang(cira_kernel_call_t *c) {
  (void)c;
  for (;;) {
    (void)usleep(1000);
  }
}

static cira_status_t patient(cira_kernel_call_t *c) {
  while (!c->stop(c)) {
    (void)usleep(200);
  }
  return c->fail(c, CIRA_E_CANCELLED, "was told to stop");
}

static cira_status_t liar(cira_kernel_call_t *c) {
  c->result_bytes = 1u << 30;
  return CIRA_OK;
}

static cira_status_t odd(cira_kernel_call_t *c) {
  (void)c;
  return 7;
}

CIRA_KERNEL_LIBRARY({"sum", sum, 0, 0}, {"scale", scale, 0, 0},
                    {"chase", chase, 0, 0}, {"square", square, 0, 0},
                    {"squares", squares, CIRA_KERNEL_F_ARRAY, 0},
                    {"remote", remote, CIRA_KERNEL_F_ARRAY, 0},
                    {"refuse", refuse, 0, 0}, {"crash", crash, 0, 0},
                    {"leave", leave, 0, 0}, {"hang", hang, 0, 0},
                    {"patient", patient, 0, 0}, {"liar", liar, 0, 0},
                    {"odd", odd, 0, 0});
