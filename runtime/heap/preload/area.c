/* SPDX-License-Identifier: Apache-2.0
 *
 * area: makes memory present and pinned for the time of one call, and finds
 * the functions that the wrappers stand before. See shim.h.
 * Threads: any; signal-safe, except shim_resolve.
 */
#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "heap/preload/shim.h"

/* What the C library may use of a far stack below the wrapper. */
#define STACK_WINDOW_BYTES (4u * CIRA_PAGE_BYTES) /* 16 KiB */

static __thread shim_guard_t *guard_top;

/* ---- the wrapped functions ---------------------------------------------- */

extern const shim_real_t __start_shim_real[]
    __attribute__((visibility("hidden")));
extern const shim_real_t __stop_shim_real[]
    __attribute__((visibility("hidden")));

void *shim_resolve(const char *name, void **slot) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) {
    cira__die("this C library has no function %s, which the program calls; "
              "run the program without cira-run",
              name);
  }
  __atomic_store_n(slot, found, __ATOMIC_RELAXED);
  return found;
}

void shim_resolve_all(void) {
  for (const shim_real_t *r = __start_shim_real; r < __stop_shim_real; r++) {
    if (*r->slot == NULL) {
      /* A function that is missing here matters only if it is called. */
      void *found = dlsym(RTLD_NEXT, r->name);
      __atomic_store_n(r->slot, found, __ATOMIC_RELAXED);
    }
  }
}

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

bool shim_is_own_code(const void *address) {
  const char *a = address;
  return a >= __ehdr_start && a < etext;
}

/* ---- near memory -------------------------------------------------------- */

void *shim_near_map(uint64_t bytes) {
  long p = syscall(SYS_mmap, NULL, cira__align_up(bytes, CIRA_PAGE_BYTES),
                   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
  return p == -1 ? NULL : (void *)(uintptr_t)p;
}

void shim_near_unmap(void *p, uint64_t bytes) {
  if (p != NULL) {
    syscall(SYS_munmap, p, cira__align_up(bytes, CIRA_PAGE_BYTES));
  }
}

uint64_t shim_string_bytes(const char *s, uint64_t max) {
  const volatile char *c = s;
  uint64_t n = 0;
  while (n < max && c[n] != '\0') {
    n++;
  }
  return n;
}

/* ---- near stacks -------------------------------------------------------- */

static __thread void *near_stack_top;
static __thread bool near_stack_busy;

void shim_near_stack_install(void *top) {
  near_stack_top = top;
}

#if defined(__x86_64__)
uint64_t shim__switch_call(void *function, uint64_t a, uint64_t b, uint64_t c,
                           uint64_t d, void *top);
__asm__(".text\n"
        ".type shim__switch_call,@function\n"
        "shim__switch_call:\n"
        "  .cfi_startproc\n"
        "  push %rbp\n"
        "  .cfi_def_cfa_offset 16\n"
        "  .cfi_offset %rbp, -16\n"
        "  mov %rsp, %rbp\n"
        "  .cfi_def_cfa_register %rbp\n"
        "  mov %r9, %rsp\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  mov %rdx, %rsi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %rcx\n"
        "  call *%rax\n"
        "  mov %rbp, %rsp\n"
        "  pop %rbp\n"
        "  .cfi_def_cfa %rsp, 8\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size shim__switch_call, . - shim__switch_call\n");
#endif

uint64_t shim_near_call(void *function, uint64_t a, uint64_t b, uint64_t c,
                        uint64_t d) {
#if defined(__x86_64__)
  /* Busy: a handler that interrupted such a call moved on to a far stack. */
  if (near_stack_top != NULL && !near_stack_busy) {
    near_stack_busy = true;
    uint64_t result = shim__switch_call(function, a, b, c, d, near_stack_top);
    near_stack_busy = false;
    return result;
  }
#endif
  return ((uint64_t (*)(uint64_t, uint64_t, uint64_t, uint64_t))function)(a, b,
                                                                          c, d);
}

/* ---- guards ------------------------------------------------------------- */

static void area_bounce(shim_area_t *a) {
  a->copy = shim_near_map(a->bytes);
  if (a->copy == NULL) {
    return; /* the kernel will answer EFAULT, which is the truth */
  }
  if (a->how & SHIM_A_IN) {
    memcpy(a->copy, a->home, a->bytes);
  }
  *a->slot = a->copy;
}

static void area_pin(shim_area_t *a) {
  a->pinned = 0;
  a->copy = NULL;
  a->home = *a->slot;
  if (!cira_space_contains(a->home)) {
    return;
  }
  if (a->how & SHIM_A_STRING) {
    uint64_t n = shim_string_bytes(a->home, SHIM_STRING_MAX - 1);
    a->bytes = n + 1;
  }
  if (a->bytes == 0) {
    return;
  }
  uint32_t flags = (a->how & SHIM_A_IN ? CIRA_PIN_READ : 0) |
                   (a->how & SHIM_A_OUT ? CIRA_PIN_WRITE : 0);
  uint64_t got = shim_pin(a->home, a->bytes, flags);
  if (got < a->bytes) {
    if (got > 0) {
      shim_unpin(a->home, got);
    }
    /* What the kernel leaves alone in an output must keep its content. */
    a->how |= SHIM_A_IN;
    area_bounce(a);
    return;
  }
  a->pinned = got;
}

static void area_unpin(shim_area_t *a) {
  if (a->pinned > 0) {
    shim_unpin(a->home, a->pinned);
    a->pinned = 0;
  }
  if (a->copy != NULL) {
    if (a->how & SHIM_A_OUT) {
      memcpy(a->home, a->copy, a->bytes);
    }
    shim_near_unmap(a->copy, a->bytes);
    a->copy = NULL;
    *a->slot = a->home;
  }
}

static void stack_pin(shim_guard_t *g, uint64_t frame) {
  uint64_t top = cira__align_down(frame, CIRA_PAGE_BYTES) + CIRA_PAGE_BYTES;
  uint64_t bytes = STACK_WINDOW_BYTES + CIRA_PAGE_BYTES;
  /* A small stack may end inside the window: take what is there. */
  while (bytes >= CIRA_PAGE_BYTES) {
    const void *lo = (const void *)(uintptr_t)(top - bytes);
    if (cira_space_contains(lo)) {
      uint64_t got = shim_pin(lo, bytes, CIRA_PIN_READ | CIRA_PIN_WRITE);
      if (got == bytes) {
        g->stack_lo = top - bytes;
        g->stack_bytes = bytes;
        return;
      }
      if (got > 0) {
        shim_unpin(lo, got);
      }
    }
    bytes -= CIRA_PAGE_BYTES;
  }
}

void shim_enter(shim_guard_t *g, shim_area_t *areas, uint32_t count,
                const void *frame) {
  int saved = errno;
  g->areas = areas;
  g->count = count;
  g->stack_lo = 0;
  g->stack_bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    area_pin(&areas[i]);
  }
  if (shim_far(frame)) {
    stack_pin(g, (uint64_t)(uintptr_t)frame);
  }
  g->up = guard_top;
  guard_top = g;
  errno = saved;
}

static void guard_undo(shim_guard_t *g) {
  if (g->stack_bytes > 0) {
    shim_unpin((const void *)(uintptr_t)g->stack_lo, g->stack_bytes);
    g->stack_bytes = 0;
  }
  for (uint32_t i = g->count; i > 0; i--) {
    area_unpin(&g->areas[i - 1]);
  }
  g->count = 0;
}

void shim_leave(shim_guard_t *g) {
  int saved = errno;
  /* In a chain of calls the innermost ends first; a coroutine library that
   * switches inside of a callback may end them in another order. */
  shim_guard_t **at = &guard_top;
  while (*at != NULL && *at != g) {
    at = &(*at)->up;
  }
  if (*at == g) {
    *at = g->up;
  }
  guard_undo(g);
  errno = saved;
}

void shim_guards_abandon(const void *target) {
  /* Stacks grow down: what lies below the target is left for good. A handler's
   * alternate stack is left when the target lies elsewhere. */
  bool target_alt = shim_on_altstack(target);
  while (guard_top != NULL && (shim_on_altstack(guard_top) != target_alt
                                   ? !target_alt
                                   : (const void *)guard_top < target)) {
    shim_guard_t *g = guard_top;
    guard_top = g->up;
    guard_undo(g);
  }
}

void shim_guards_forget(void) {
  for (shim_guard_t *g = guard_top; g != NULL; g = g->up) {
    g->stack_bytes = 0;
    for (uint32_t i = 0; i < g->count; i++) {
      g->areas[i].pinned = 0;
    }
  }
}

void shim_guard_unlink(shim_guard_t *g) {
  if (guard_top == g) {
    guard_top = g->up;
  }
}
