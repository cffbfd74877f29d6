/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory, random orders and checksums; see bench.h.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES (UINT64_C(1) << 21) /* 2 MiB */

struct bench_block {
  struct bench_block *next;
  void *memory;
};

extern const struct bench_kernel indirect_kernels[], update_kernels[],
    join_kernels[], lists_kernels[], trees_kernels[], frontier_kernels[],
    sweeps_kernels[], cg_kernels[], stream_kernels[];

const struct bench_kernel *const bench_families[] = {
    indirect_kernels, update_kernels,
    join_kernels,     lists_kernels,
    trees_kernels,    frontier_kernels,
    sweeps_kernels,   cg_kernels,
    stream_kernels,   NULL,
};

const struct bench_kernel *bench_find(const char *name) {
  for (size_t f = 0; bench_families[f]; f++) {
    for (const struct bench_kernel *k = bench_families[f]; k->name; k++) {
      if (strcmp(k->name, name) == 0) {
        return k;
      }
    }
  }
  return NULL;
}

static void no_memory(uint64_t count, size_t bytes) {
  fprintf(stderr,
          "%s: no memory for %" PRIu64 " x %zu bytes: choose a smaller "
          "--size, --scale or --degree\n",
          program_invocation_short_name, count, bytes);
  exit(1);
}

void *bench_alloc(struct bench_run *run, uint64_t count, size_t bytes) {
  uint64_t total;
  if (__builtin_mul_overflow(count, bytes, &total) ||
      total > UINT64_MAX - HUGE_BYTES) {
    no_memory(count, bytes);
  }
  bool large = total >= HUGE_BYTES;
  uint64_t align = large ? HUGE_BYTES : 64;
  total = (total + align - 1) / align * align + (total ? 0 : align);
  struct bench_block *block = malloc(sizeof *block);
  void *memory = aligned_alloc(align, total);
  if (!block || !memory) {
    no_memory(count, bytes);
  }
  if (large && run->pages != BENCH_PAGES_SYSTEM) {
    /* Only advice: what came of it is reported beside the times. */
    (void)madvise(memory, total,
                  run->pages == BENCH_PAGES_HUGE ? MADV_HUGEPAGE
                                                 : MADV_NOHUGEPAGE);
  }
  memset(memory, 0, total);
  *block = (struct bench_block){run->blocks, memory};
  run->blocks = block;
  return memory;
}

void bench_free(struct bench_run *run, void *memory) {
  for (struct bench_block **at = &run->blocks; *at; at = &(*at)->next) {
    if ((*at)->memory == memory) {
      struct bench_block *block = *at;
      *at = block->next;
      free(block->memory);
      free(block);
      return;
    }
  }
}

void bench_fini(struct bench_run *run) {
  if (run->kernel->teardown) {
    run->kernel->teardown(run);
  }
  while (run->blocks) {
    bench_free(run, run->blocks->memory);
  }
}

void bench_permutation(uint32_t *out, uint64_t n, uint64_t *state) {
  for (uint64_t i = 0; i < n; i++) {
    out[i] = (uint32_t)i;
  }
  for (uint64_t i = n; i > 1; i--) {
    uint64_t j = bench_below(state, i);
    uint32_t swap = out[i - 1];
    out[i - 1] = out[j];
    out[j] = swap;
  }
}

uint64_t bench_checksum(const void *data, uint64_t bytes) {
  const unsigned char *at = data;
  uint64_t sum = bytes;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    sum ^= sum >> 32;
  }
  for (; bytes; bytes--, at++) {
    sum = (sum ^ *at) * UINT64_C(0x100000001B3);
  }
  return bench_mix(sum);
}
