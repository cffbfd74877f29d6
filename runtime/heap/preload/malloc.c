/* SPDX-License-Identifier: Apache-2.0
 *
 * malloc: the names under which programs and libraries allocate, handed to the
 * heap together with the caller's address. C++ operators are here too, so that
 * C++ programs need nothing of libstdc++ that is not already loaded: its
 * new-handler and bad_alloc are looked up only when memory has run out.
 * Threads: any.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "heap/entry.h"
#include "heap/heap.h"
#include "heap/preload/shim.h"

#define CALLER __builtin_return_address(0)

/* The heap, called on a near stack. */
#define ON_NEAR(function, a, b, c)                                             \
  shim_near_call((void *)(uintptr_t)(function), SHIM_WORD(a), SHIM_WORD(b),    \
                 SHIM_WORD(c), 0)

static inline void *heap_malloc(size_t bytes, const void *caller) {
  return SHIM_FAR_STACK() ? (void *)ON_NEAR(cira_heap_malloc, bytes, caller, 0)
                          : cira_heap_malloc(bytes, caller);
}

static inline void *heap_calloc(size_t count, size_t bytes,
                                const void *caller) {
  return SHIM_FAR_STACK()
             ? (void *)ON_NEAR(cira_heap_calloc, count, bytes, caller)
             : cira_heap_calloc(count, bytes, caller);
}

static inline void *heap_realloc(void *p, size_t bytes, const void *caller) {
  return SHIM_FAR_STACK() ? (void *)ON_NEAR(cira_heap_realloc, p, bytes, caller)
                          : cira_heap_realloc(p, bytes, caller);
}

static inline void *heap_aligned(size_t align, size_t bytes,
                                 const void *caller) {
  return SHIM_FAR_STACK()
             ? (void *)ON_NEAR(cira_heap_aligned, align, bytes, caller)
             : cira_heap_aligned(align, bytes, caller);
}

static inline void heap_free(void *p) {
  if (SHIM_FAR_STACK()) {
    (void)ON_NEAR(cira_heap_free, p, 0, 0);
  } else {
    cira_heap_free(p);
  }
}

/* ---- C ------------------------------------------------------------------ */

SHIM_EXPORT void *malloc(size_t bytes) {
  return heap_malloc(bytes, CALLER);
}

SHIM_EXPORT void *calloc(size_t count, size_t bytes) {
  return heap_calloc(count, bytes, CALLER);
}

SHIM_EXPORT void *realloc(void *p, size_t bytes) {
  return heap_realloc(p, bytes, CALLER);
}

SHIM_EXPORT void *reallocarray(void *p, size_t count, size_t bytes) {
  size_t total;
  if (__builtin_mul_overflow(count, bytes, &total)) {
    errno = ENOMEM;
    return NULL;
  }
  return heap_realloc(p, total, CALLER);
}

SHIM_EXPORT void free(void *p) {
  heap_free(p);
}

void cfree(void *p);
SHIM_EXPORT void cfree(void *p) {
  heap_free(p);
}

static bool power_of_two(size_t x) {
  return x != 0 && (x & (x - 1)) == 0;
}

SHIM_EXPORT int posix_memalign(void **out, size_t align, size_t bytes) {
  if (!power_of_two(align) || align % sizeof(void *) != 0) {
    return EINVAL;
  }
  int saved = errno; /* reports by its result, not by errno */
  void *p = heap_aligned(align, bytes, CALLER);
  errno = saved;
  if (p == NULL) {
    return ENOMEM;
  }
  *out = p;
  return 0;
}

SHIM_EXPORT void *aligned_alloc(size_t align, size_t bytes) {
  if (!power_of_two(align)) {
    errno = EINVAL;
    return NULL;
  }
  return heap_aligned(align, bytes, CALLER);
}

SHIM_EXPORT void *memalign(size_t align, size_t bytes) {
  size_t power = sizeof(void *);
  while (power < align && power != 0) {
    power <<= 1; /* as the C library: round odd alignments up */
  }
  if (power == 0) {
    errno = EINVAL;
    return NULL;
  }
  return heap_aligned(power, bytes, CALLER);
}

SHIM_EXPORT void *valloc(size_t bytes) {
  return heap_aligned(CIRA_PAGE_BYTES, bytes, CALLER);
}

SHIM_EXPORT void *pvalloc(size_t bytes) {
  if (bytes > SIZE_MAX - CIRA_PAGE_BYTES) {
    errno = ENOMEM;
    return NULL;
  }
  return heap_aligned(CIRA_PAGE_BYTES, cira__align_up(bytes, CIRA_PAGE_BYTES),
                      CALLER);
}

SHIM_EXPORT size_t malloc_usable_size(void *p) {
  return p == NULL ? 0 : cira_heap_usable(p);
}

/* The C library would allocate these itself, that is near, for the program. */

static char *string_copy(const char *s, size_t length, const void *caller) {
  char *copy = heap_malloc(length + 1, caller);
  if (copy != NULL) {
    memcpy(copy, s, length);
    copy[length] = '\0';
  }
  return copy;
}

#undef strdup
#undef strndup
SHIM_EXPORT char *strdup(const char *s) {
  return string_copy(s, strlen(s), CALLER);
}

SHIM_EXPORT char *strndup(const char *s, size_t max) {
  return string_copy(s, strnlen(s, max), CALLER);
}

char *__strdup(const char *s);
SHIM_EXPORT char *__strdup(const char *s) {
  return string_copy(s, strlen(s), CALLER);
}

char *__strndup(const char *s, size_t max);
SHIM_EXPORT char *__strndup(const char *s, size_t max) {
  return string_copy(s, strnlen(s, max), CALLER);
}

SHIM_EXPORT wchar_t *wcsdup(const wchar_t *s) {
  size_t bytes = (wcslen(s) + 1) * sizeof(wchar_t);
  wchar_t *copy = heap_malloc(bytes, CALLER);
  return copy == NULL ? NULL : memcpy(copy, s, bytes);
}

/* ---- C++ ---------------------------------------------------------------- */

typedef void (*new_handler_t)(void);

/* A function of the C++ library, NULL in a program without it. */
static void *cxx_symbol(const char *name) {
  void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void *found = library == NULL ? NULL : dlsym(library, name);
  if (library != NULL) {
    dlclose(library);
  }
  return found;
}

static new_handler_t cxx_new_handler(void) {
  /* The mangled name of std::get_new_handler(). */
  new_handler_t (*get)(void) =
      (new_handler_t(*)(void))cxx_symbol("_ZSt15get_new_handlerv");
  return get == NULL ? NULL : get();
}

/* What the standard asks of a failing operator new: call the handler until it
 * frees memory or throws, throw bad_alloc when there is none. */
CIRA_COLD static void *new_failed(size_t align, size_t bytes,
                                  const void *caller) {
  for (;;) {
    new_handler_t handler = cxx_new_handler();
    if (handler == NULL) {
      void (*raise_bad_alloc)(void) =
          (void (*)(void))cxx_symbol("_ZSt17__throw_bad_allocv");
      if (raise_bad_alloc != NULL) {
        raise_bad_alloc();
      }
      cira__log(CIRA_LOG_ERROR, "operator new: out of far memory");
      abort();
    }
    handler();
    void *p = align == 0 ? heap_malloc(bytes, caller)
                         : heap_aligned(align, bytes, caller);
    if (p != NULL) {
      return p;
    }
  }
}

/* The nothrow forms must swallow what a handler throws, which C cannot: the
 * C++ library's own form can, and it comes back here for the memory. */
CIRA_COLD static void *new_failed_nothrow(const char *name, size_t bytes,
                                          size_t align, const void *tag) {
  if (cxx_new_handler() == NULL) {
    return NULL;
  }
  void *theirs = cxx_symbol(name);
  if (theirs == NULL) {
    return NULL;
  }
  if (align == 0) {
    return ((void *(*)(size_t, const void *))theirs)(bytes, tag);
  }
  return ((void *(*)(size_t, size_t, const void *))theirs)(bytes, align, tag);
}

#define NEW(name)                                                              \
  void *name(size_t bytes);                                                    \
  SHIM_EXPORT void *name(size_t bytes) {                                       \
    void *p = heap_malloc(bytes, CALLER);                                      \
    return CIRA_LIKELY(p != NULL) ? p : new_failed(0, bytes, CALLER);          \
  }
#define NEW_NOTHROW(name)                                                      \
  void *name(size_t bytes, const void *tag);                                   \
  SHIM_EXPORT void *name(size_t bytes, const void *tag) {                      \
    void *p = heap_malloc(bytes, CALLER);                                      \
    return CIRA_LIKELY(p != NULL) ? p                                          \
                                  : new_failed_nothrow(#name, bytes, 0, tag);  \
  }
#define NEW_ALIGNED(name)                                                      \
  void *name(size_t bytes, size_t align);                                      \
  SHIM_EXPORT void *name(size_t bytes, size_t align) {                         \
    void *p = heap_aligned(align, bytes, CALLER);                              \
    return CIRA_LIKELY(p != NULL) ? p : new_failed(align, bytes, CALLER);      \
  }
#define NEW_ALIGNED_NOTHROW(name)                                              \
  void *name(size_t bytes, size_t align, const void *tag);                     \
  SHIM_EXPORT void *name(size_t bytes, size_t align, const void *tag) {        \
    void *p = heap_aligned(align, bytes, CALLER);                              \
    return CIRA_LIKELY(p != NULL)                                              \
               ? p                                                             \
               : new_failed_nothrow(#name, bytes, align, tag);                 \
  }
#define DELETE(name, ...)                                                      \
  void name(void *p, ##__VA_ARGS__);                                           \
  SHIM_EXPORT void name(void *p, ##__VA_ARGS__) {                              \
    heap_free(p);                                                              \
  }

NEW(_Znwm) /* new */
NEW(_Znam) /* new[] */
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-parameter"
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
DELETE(_ZdlPv) /* delete, plain, nothrow, sized, aligned; then delete[] */
DELETE(_ZdlPvRKSt9nothrow_t, const void *tag)
DELETE(_ZdlPvm, size_t bytes)
DELETE(_ZdlPvSt11align_val_t, size_t align)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, size_t align, const void *tag)
DELETE(_ZdlPvmSt11align_val_t, size_t bytes, size_t align)
DELETE(_ZdaPv)
DELETE(_ZdaPvRKSt9nothrow_t, const void *tag)
DELETE(_ZdaPvm, size_t bytes)
DELETE(_ZdaPvSt11align_val_t, size_t align)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, size_t align, const void *tag)
DELETE(_ZdaPvmSt11align_val_t, size_t bytes, size_t align)
#pragma clang diagnostic pop

/* ---- for a runtime that the program has inside --------------------------- */

static void *entry_far_alloc(size_t bytes, size_t align) {
  return SHIM_FAR_STACK()
             ? (void *)ON_NEAR(cira_heap_far_aligned, align, bytes, 0)
             : cira_heap_far_aligned(align, bytes);
}

static void entry_far_free(void *p) {
  if (SHIM_FAR_STACK()) {
    (void)ON_NEAR(cira_heap_far_free, p, 0, 0);
  } else {
    cira_heap_far_free(p);
  }
}

extern const cira_heap_entry_t cira_preload_entry;
SHIM_EXPORT const cira_heap_entry_t cira_preload_entry = {
    .size = sizeof(cira_heap_entry_t),
    .version = CIRA_HEAP_ENTRY_VERSION,
    .layout = cira_space_layout,
    .space = &cira__space,
    .far_alloc = entry_far_alloc,
    .far_free = entry_far_free,
    .usable = cira_heap_usable,
};
