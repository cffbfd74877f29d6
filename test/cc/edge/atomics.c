// SPDX-License-Identifier: Apache-2.0
// Atomic accesses of all orders in loops, and fences.
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

static atomic_uint counts[16];
static _Atomic(uint64_t) total;
static _Atomic(double) real;

int main(void) {
  uint8_t keys[64];
  for (int i = 0; i < 64; i++) {
    keys[i] = (uint8_t)(i * i % 16);
  }
  for (int i = 0; i < 64; i++) {
    atomic_fetch_add_explicit(&counts[keys[i]], 1, memory_order_relaxed);
  }
  for (int i = 0; i < 64; i++) {
    uint64_t old = atomic_load_explicit(&total, memory_order_acquire);
    while (!atomic_compare_exchange_weak_explicit(
        &total, &old, old * 3 + atomic_load(&counts[keys[i]]),
        memory_order_acq_rel, memory_order_relaxed)) {
    }
    atomic_thread_fence(memory_order_seq_cst);
    atomic_fetch_xor(&counts[keys[63 - i]], 5);
    real = real + 0.5;
  }
  unsigned out = 0;
  for (int i = 0; i < 16; i++) {
    out = out * 31 + atomic_exchange(&counts[i], 0);
  }
  printf("%u %llu %.1f\n", out, (unsigned long long)total, real);
  return 0;
}
