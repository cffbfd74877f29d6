// SPDX-License-Identifier: Apache-2.0
// Inline assembly in loops: outputs, clobbers, memory, flags; module assembly.
#include <stdint.h>
#include <stdio.h>

__asm__(".text\n.globl from_assembly\n.type from_assembly,@function\n"
        "from_assembly:\n lea 7(%rdi), %rax\n ret\n");
long from_assembly(long);

static uint64_t rotate(uint64_t x) {
  __asm__("rol $13, %0" : "+r"(x) : : "cc");
  return x;
}

static uint32_t low(const uint32_t *p) {
  uint32_t out;
  __asm__ volatile("mov %1, %0" : "=r"(out) : "m"(*p) : "memory");
  return out;
}

static int carry(uint64_t a, uint64_t b) {
  int c;
  __asm__("add %2, %1" : "=@ccc"(c), "+r"(a) : "r"(b));
  return c;
}

int main(void) {
  uint32_t table[16], index[16];
  uint64_t h = 1;
  int carries = 0;
  for (int i = 0; i < 16; i++) {
    table[i] = (uint32_t)(i * 2654435761u);
    index[i] = (uint32_t)(i * 7) % 16;
  }
  for (int i = 0; i < 16; i++) {
    h = rotate(h ^ low(&table[index[i]]));
    carries += carry(h, ~(uint64_t)table[i] << 32);
  }
  printf("%llx %d %ld\n", (unsigned long long)h, carries, from_assembly(35));
  return 0;
}
