/* SPDX-License-Identifier: Apache-2.0
 *
 * The first context of a coroutine, and the portable switch by ucontext for
 * processors without a switch_*.S (about 300 ns: it saves the signal mask by a
 * system call).
 */
#include "coroutine/internal.h"

#include <string.h>

#ifndef CIRA_CORO_UCONTEXT

void cira__coro_entry(void);

_Static_assert(offsetof(cira_coro_t, link) == 0, "read by cira__coro_entry");
_Static_assert(offsetof(cira__context_t, sp) == 0, "read by cira__coro_entry");

void cira__switch_init(cira_coro_t *co, void *top) {
  uint64_t *at = top;
#if defined(__x86_64__)
  at -= 7; /* r15 r14 r13 r12 rbx rbp, where to go on */
  memset(at, 0, 6 * sizeof(*at));
  at[3] = (uintptr_t)co;
  at[6] = (uintptr_t)cira__coro_entry;
#elif defined(__aarch64__)
  at -= 20;
  memset(at, 0, 20 * sizeof(*at));
  at[0] = (uintptr_t)co;                /* x19 */
  at[11] = (uintptr_t)cira__coro_entry; /* x30 */
#elif defined(__riscv) && __riscv_xlen == 64
  at -= 26;
  memset(at, 0, 26 * sizeof(*at));
  at[0] = (uintptr_t)cira__coro_entry; /* ra */
  at[2] = (uintptr_t)co;               /* s1 */
#else
#error                                                                         \
    "cira: no switch for this processor; configure with CIRA_CORO_SWITCH=ucontext"
#endif
  co->ctx.sp = at;
}

#else

int64_t cira__switch(cira__context_t *from, cira__context_t *to,
                     int64_t value) {
  to->value = value;
  (void)swapcontext(&from->ucontext, &to->ucontext);
  return from->value;
}

/* makecontext passes ints only. */
static void entry(uint32_t low, uint32_t high) {
  cira__coro_main((cira_coro_t *)(uintptr_t)((uint64_t)high << 32 | low));
}

void cira__switch_init(cira_coro_t *co, void *top) {
  uint8_t *low = co->base + CIRA_PAGE_BYTES;
  (void)getcontext(&co->ctx.ucontext);
  co->ctx.ucontext.uc_stack.ss_sp = low;
  co->ctx.ucontext.uc_stack.ss_size = (size_t)((uint8_t *)top - low);
  co->ctx.ucontext.uc_link = NULL;
  makecontext(&co->ctx.ucontext, (void (*)(void))entry, 2,
              (uint32_t)(uintptr_t)co, (uint32_t)((uintptr_t)co >> 32));
  co->ctx.sp = top;
}

#endif
