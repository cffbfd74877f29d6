/* SPDX-License-Identifier: Apache-2.0
 *
 * context: sigsetjmp, siglongjmp and ucontext on far memory. The C library lets
 * the kernel read and write the signal mask inside the buffer, so that page has
 * to be here; the functions that return twice get a jump in front instead of a
 * frame around. Long jumps also undo the pins of calls that they leave.
 *
 * Touching makes a page present but does not keep it: with other threads
 * evicting at that very moment the kernel can still miss it (swapcontext then
 * tries again; for getcontext and sigsetjmp the window is a few instructions).
 * Threads: any; signal-safe.
 */
#include <setjmp.h>
#include <ucontext.h>

#include "heap/preload/shim.h"

/* Makes [p, p+bytes) present by reading and writing it as the program would. */
static void touch(const void *p, uint64_t bytes) {
  if (shim_far(p)) {
    uint64_t got = shim_pin(p, bytes, CIRA_PIN_READ | CIRA_PIN_WRITE);
    shim_unpin(p, got);
  }
}

/* ---- jumps -------------------------------------------------------------- */

/* Where the stack pointer will be after a jump to env: the C library keeps it
 * mangled with the thread's pointer guard. */
static const void *jump_target(const struct __jmp_buf_tag *env) {
#if defined(__x86_64__)
  uint64_t guard;
  __asm__("mov %%fs:0x30, %0" : "=r"(guard));
  uint64_t v = (uint64_t)env->__jmpbuf[6]; /* JB_RSP */
  v = (v >> 17) | (v << 47);
  return (const void *)(uintptr_t)(v ^ guard);
#else
  (void)env;
  return NULL; /* unknown: abandons nothing */
#endif
}

static void jump_prepare(const struct __jmp_buf_tag *env) {
  int saved = errno;
  touch(env, sizeof(*env));
  shim_guards_abandon(jump_target(env));
  errno = saved;
}

#define JUMP(name)                                                             \
  void name(struct __jmp_buf_tag *env, int value)                              \
      __attribute__((__noreturn__));                                           \
  SHIM_SLOT(name);                                                             \
  SHIM_EXPORT void name(struct __jmp_buf_tag *env, int value) {                \
    jump_prepare(env);                                                         \
    REAL(name)(env, value);                                                    \
    __builtin_unreachable();                                                   \
  }

JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)

/* ---- functions that return twice ---------------------------------------- */

/* Called from the jumps below, with the buffer and the function's slot. */
void *shim__twice_enter(const void *buffer, uint64_t bytes, void **slot,
                        const char *name);
void *shim__twice_enter(const void *buffer, uint64_t bytes, void **slot,
                        const char *name) {
  int saved = errno;
  if (*slot == NULL) {
    shim_resolve(name, slot);
  }
  touch(buffer, bytes);
  errno = saved;
  return *slot;
}

#if defined(__x86_64__)
/* Near buffer and known function: one compare and a jump. Otherwise calls
 * shim__twice_enter with the caller's registers saved (the stack is kept
 * 16-byte aligned), then jumps: the real function sees its caller's frame. */
#define TWICE(name, bytes)                                                     \
  static void *real_##name;                                                    \
  static const shim_real_t real_entry_##name                                   \
      __attribute__((section("shim_real"), used)) = {#name, &real_##name};     \
  static const char twice_name_##name[] __attribute__((used)) = #name;         \
  __asm__(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n"   \
          "  endbr64\n"                                                        \
          "  mov cira__space_lo(%rip), %rax\n"                                 \
          "  mov cira__space_hi(%rip), %rcx\n"                                 \
          "  mov %rdi, %rdx\n"                                                 \
          "  sub %rax, %rdx\n"                                                 \
          "  sub %rax, %rcx\n"                                                 \
          "  cmp %rcx, %rdx\n"                                                 \
          "  jb 1f\n"                                                          \
          "  mov real_" #name "(%rip), %rax\n"                                 \
          "  test %rax, %rax\n"                                                \
          "  jz 1f\n"                                                          \
          "  jmp *%rax\n"                                                      \
          "1: push %rdi\n"                                                     \
          "  push %rsi\n"                                                      \
          "  sub $8, %rsp\n"                                                   \
          "  mov $" #bytes ", %esi\n"                                          \
          "  lea real_" #name "(%rip), %rdx\n"                                 \
          "  lea twice_name_" #name "(%rip), %rcx\n"                           \
          "  call shim__twice_enter\n"                                         \
          "  add $8, %rsp\n"                                                   \
          "  pop %rsi\n"                                                       \
          "  pop %rdi\n"                                                       \
          "  jmp *%rax\n"                                                      \
          ".size " #name ", . - " #name "\n")

_Static_assert(sizeof(struct __jmp_buf_tag) == 200, "said to TWICE below");
_Static_assert(sizeof(ucontext_t) == 968, "said to TWICE below");
TWICE(__sigsetjmp, 200);
TWICE(setjmp, 200);
TWICE(getcontext, 968);
#endif

/* ---- contexts ----------------------------------------------------------- */

/* A context's mask is given to the kernel as it is. */
static void context_prepare(ucontext_t *to) {
  if (shim_signal != 0 && sigismember(&to->uc_sigmask, shim_signal) == 1) {
    sigset_t mine;
    shim_mask_to_kernel(&mine, &to->uc_sigmask);
    to->uc_sigmask = mine;
  }
  touch(to, sizeof(*to));
}

SHIM_SLOT(swapcontext);
SHIM_EXPORT int swapcontext(ucontext_t *restrict from,
                            const ucontext_t *restrict to) {
  int result;
  int saved = errno;
  do {
    errno = saved;
    context_prepare((ucontext_t *)(uintptr_t)to);
    touch(from, sizeof(*from));
    result = REAL(swapcontext)(from, to);
  } while (result == -1 && errno == EFAULT && (shim_far(from) || shim_far(to)));
  return result;
}

SHIM_SLOT(setcontext);
SHIM_EXPORT int setcontext(const ucontext_t *to) {
  int result;
  do {
    context_prepare((ucontext_t *)(uintptr_t)to);
    result = REAL(setcontext)(to);
  } while (result == -1 && errno == EFAULT && shim_far(to));
  return result;
}
