/* SPDX-License-Identifier: Apache-2.0
 *
 * shim: what the files of the preload library share. The library sits between
 * a program and the C library, for two reasons: the program's heap comes from
 * far memory, and the kernel cannot touch a far page that is not here (a system
 * call given one answers EFAULT). So every call that hands memory to the kernel
 * first makes that memory present and pins it.
 *
 * Invariant: a wrapper whose pointers are all near does nothing but compare
 * them with the bounds of the far range and call the C library.
 * Threads: any. Wrappers are as signal-safe and as much cancellation points as
 * what they wrap: no locks, no malloc; pins are undone on unwinding too.
 * Reading order: this file, area.c (pinning), init.c, malloc.c, threads.c,
 * locks.c, signals.c, context.c, fork.c, exec.c, then the tables of calls:
 * io.c, calls_path.c, calls_misc.c, calls_net.c, calls_memory.c, stdio.c,
 * raw.c.
 */
#ifndef CIRA_PRELOAD_SHIM_H
#define CIRA_PRELOAD_SHIM_H

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"
#include "space/space.h"

#define SHIM_EXPORT __attribute__((visibility("default")))

/* ---- the wrapped functions ---------------------------------------------- */

typedef struct {
  const char *name;
  void **slot;
} shim_real_t;

/* Looks a function of the C library up and stores it; ends the process when
 * there is none. All slots are filled by the constructor, so the lookup runs
 * only for calls of libraries that are initialised before this one. */
CIRA_COLD void *shim_resolve(const char *name, void **slot);
void shim_resolve_all(void);

/* Declares real_NAME, the function that this file's NAME stands before. */
#define SHIM_SLOT(name)                                                        \
  static __typeof__(&name) real_##name;                                        \
  static const shim_real_t real_entry_##name __attribute__((                   \
      section("shim_real"), used)) = {#name, (void **)(void *)&real_##name}

#define REAL(name)                                                             \
  (CIRA_LIKELY(real_##name != NULL)                                            \
       ? real_##name                                                           \
       : (__typeof__(&name))shim_resolve(#name,                                \
                                         (void **)(void *)&real_##name))

/* ---- what is far -------------------------------------------------------- */

static inline bool shim_far(const void *p) {
  return CIRA_UNLIKELY(cira_space_contains(p));
}
/* True when the calling function runs on a stack in far memory. */
#define SHIM_FAR_STACK() shim_far(__builtin_frame_address(0))

#define SHIM_FAR_1(a) shim_far((const void *)(uintptr_t)(a))
#define SHIM_FAR_2(a, b) (SHIM_FAR_1(a) | SHIM_FAR_1(b))
#define SHIM_FAR_3(a, ...) (SHIM_FAR_1(a) | SHIM_FAR_2(__VA_ARGS__))
#define SHIM_FAR_4(a, ...) (SHIM_FAR_1(a) | SHIM_FAR_3(__VA_ARGS__))
#define SHIM_FAR_5(a, ...) (SHIM_FAR_1(a) | SHIM_FAR_4(__VA_ARGS__))
#define SHIM_FAR_6(a, ...) (SHIM_FAR_1(a) | SHIM_FAR_5(__VA_ARGS__))
#define SHIM_FAR_7(a, ...) (SHIM_FAR_1(a) | SHIM_FAR_6(__VA_ARGS__))
#define SHIM_FAR_PICK(a, b, c, d, e, f, g, pick, ...) pick
#define SHIM_FAR_ANY(...)                                                      \
  SHIM_FAR_PICK(__VA_ARGS__, SHIM_FAR_7, SHIM_FAR_6, SHIM_FAR_5, SHIM_FAR_4,   \
                SHIM_FAR_3, SHIM_FAR_2, SHIM_FAR_1, )(__VA_ARGS__)

/* ---- runtime code on a near stack --------------------------------------- */

/* The pager works with all signals blocked: it must never run on a far stack,
 * whose next page may be missing. Calls from far stacks switch to a near stack
 * that each thread has for this. Up to four arguments of word size. */
CIRA_COLD uint64_t shim_near_call(void *function, uint64_t a, uint64_t b,
                                  uint64_t c, uint64_t d);
/* Gives the calling thread its near stack, which ends at top. */
void shim_near_stack_install(void *top);

#define SHIM_WORD(x) ((uint64_t)(uintptr_t)(x))
static inline uint64_t shim_pin(const void *p, uint64_t bytes, uint32_t flags) {
  return SHIM_FAR_STACK() ? shim_near_call((void *)(uintptr_t)cira_space_pin,
                                           SHIM_WORD(cira__space), SHIM_WORD(p),
                                           bytes, flags)
                          : cira_space_pin(cira__space, p, bytes, flags);
}

static inline void shim_unpin(const void *p, uint64_t bytes) {
  if (SHIM_FAR_STACK()) {
    (void)shim_near_call((void *)(uintptr_t)cira_space_unpin,
                         SHIM_WORD(cira__space), SHIM_WORD(p), bytes, 0);
  } else {
    cira_space_unpin(cira__space, p, bytes);
  }
}

/* ---- pinned areas ------------------------------------------------------- */

#define SHIM_A_IN 1u     /* the kernel reads it */
#define SHIM_A_OUT 2u    /* the kernel writes it */
#define SHIM_A_STRING 4u /* up to the terminator, at most a path's length */
#define SHIM_STRING_MAX 4097u /* PATH_MAX + 1: longer paths fail anyway */

/* One piece of memory that the kernel will touch. `slot` is the variable that
 * holds its address: when the cache has no room to pin the area, the variable
 * is pointed at a near copy for the time of the call. */
typedef struct {
  void **slot;
  uint64_t bytes;
  uint32_t how;
  uint64_t pinned; /* bytes to unpin; set by shim_enter */
  void *home;      /* where *slot pointed; set by shim_enter */
  void *copy;      /* near stand-in, NULL mostly */
} shim_area_t;

#define SHIM_AREA(ptr, size, mode)                                             \
  {(void **)(uintptr_t)&(ptr), (size), (mode), 0, NULL, NULL}
#define IN(ptr, size) SHIM_AREA(ptr, (uint64_t)(size), SHIM_A_IN)
#define OUT(ptr, size) SHIM_AREA(ptr, (uint64_t)(size), SHIM_A_OUT)
#define INOUT(ptr, size)                                                       \
  SHIM_AREA(ptr, (uint64_t)(size), SHIM_A_IN | SHIM_A_OUT)
#define STR(ptr) SHIM_AREA(ptr, 0, SHIM_A_IN | SHIM_A_STRING)

/* The areas of one call in progress. Guards of a thread form a chain, so that
 * pins of calls that a signal handler left by siglongjmp can be undone. */
typedef struct shim_guard {
  struct shim_guard *up;
  shim_area_t *areas;
  uint32_t count;
  uint64_t stack_lo; /* pinned window of a far stack; 0 = none */
  uint64_t stack_bytes;
} shim_guard_t;

/* Pins what is far of the areas and, on a far stack, the stack below the
 * caller, where the C library keeps what it hands to the kernel itself. */
CIRA_COLD void shim_enter(shim_guard_t *g, shim_area_t *areas, uint32_t count,
                          const void *frame);
/* Undoes it; keeps errno. */
CIRA_COLD void shim_leave(shim_guard_t *g);
/* Takes a guard out of the chain, for calls that may not return in a process
 * whose memory lives on (exec in a vfork child). */
void shim_guard_unlink(shim_guard_t *g);
/* Undoes the guards that a jump to a frame at `target` abandons. */
void shim_guards_abandon(const void *target);
/* Forgets the pins of all guards of this thread: a forked child has none. */
void shim_guards_forget(void);

#define SHIM_GUARD(areas)                                                      \
  shim_guard_t guard __attribute__((cleanup(shim_leave)));                     \
  shim_enter(&guard, areas, (uint32_t)CIRA_COUNT(areas),                       \
             __builtin_frame_address(0))
/* For calls without pointers that may still run on a far stack. */
#define SHIM_GUARD_STACK()                                                     \
  shim_guard_t guard __attribute__((cleanup(shim_leave)));                     \
  shim_enter(&guard, NULL, 0, __builtin_frame_address(0))

/* A whole wrapper: NAME(params) calls the C library's with its areas pinned. */
#define WRAP(ret, name, params, args, ...)                                     \
  SHIM_SLOT(name);                                                             \
  SHIM_EXPORT ret name params {                                                \
    if (CIRA_LIKELY(!(SHIM_FAR_ANY args | SHIM_FAR_STACK()))) {                \
      return REAL(name) args;                                                  \
    }                                                                          \
    shim_area_t areas[] = {__VA_ARGS__};                                       \
    SHIM_GUARD(areas);                                                         \
    ret wrap_result = REAL(name) args;                                         \
    return wrap_result;                                                        \
  }

/* Near memory by mmap, for copies; NULL when there is none. Signal-safe. */
void *shim_near_map(uint64_t bytes);
void shim_near_unmap(void *p, uint64_t bytes);
/* strnlen that may fault far pages in: plain code, not the C library's. */
uint64_t shim_string_bytes(const char *s, uint64_t max);

/* ---- state -------------------------------------------------------------- */

extern bool shim_ready;   /* the space exists and the heap is far */
extern int shim_signal;   /* the pager's signal, 0 in thread mode */
extern bool shim_onstack; /* handlers are forced onto the alternate stack */

/* True for a return address inside this library: the runtime calling. */
bool shim_is_own_code(const void *address);

/* init.c: descriptors of the pager, which programs must not close. */
bool shim_fd_is_ours(int fd);
void shim_fds_reserve_low(void); /* make what is opened next get high numbers */
void shim_fds_adopt(void);       /* everything opened since belongs to us */

/* stats.c */
void shim_stats_open(const char *path);
void shim_stats_child(void);
void shim_stats_exit(int status);
void shim_stats_replaced(bool replaced);

/* threads.c */
void shim_threads_init(void);
void shim_threads_child(void);
/* Counts a thread that the C library starts on its own and never ends. */
void shim_threads_count_hidden(void);

/* signals.c */
void shim_signals_init(void);
void shim_signals_child(void);
void shim_stdio_child(void);
/* Gives the calling thread the alternate stack [base, base + bytes). */
void shim_altstack_install(void *base, uint64_t bytes);
/* True when p lies on the calling thread's alternate stack. */
bool shim_on_altstack(const void *p);
/* The program's mask or set as the kernel may see it, and back. */
void shim_mask_to_kernel(sigset_t *real, const sigset_t *program);
void shim_mask_to_program(sigset_t *mask);
/* Raw 64-bit signal set of the kernel inside a sigset_t. */
#define SHIM_KERNEL_SET_BYTES 8u

/* fork.c */
void shim_fork_init(void);

/* exec.c: near copies of strings and vectors for exec and spawn. */
typedef struct {
  void *memory;
  uint64_t bytes;
} shim_near_t;
const char *shim_near_string(shim_near_t *n, const char *s);

#endif
