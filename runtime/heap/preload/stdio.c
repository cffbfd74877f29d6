/* SPDX-License-Identifier: Apache-2.0
 *
 * stdio: a stream's own buffer is near, by the heap's caller rule. But what is
 * longer than the buffer goes from the caller's memory to write(2) directly,
 * and large reads the other way. Those calls are done here in pieces that are
 * pinned, under the stream's lock, so that they stay one operation.
 *
 * printf hands a %s argument on the same way; when a format has strings, the
 * text is made in near memory first and then written as one block. Buffers that
 * the program sets itself (setvbuf) are replaced by near ones of that size.
 * Threads: any.
 */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1 /* no inline definitions of what is defined here */
#endif
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "heap/preload/shim.h"

#undef fread_unlocked
#undef fwrite_unlocked

#define TEXT_BYTES 2048u /* of a printf, on the stack */

SHIM_SLOT(fread_unlocked);
SHIM_SLOT(fwrite_unlocked);
SHIM_SLOT(fread);
SHIM_SLOT(fwrite);

/* ---- blocks ------------------------------------------------------------- */

static size_t block_piece(char *p, size_t n, FILE *f, bool writing) {
  uint64_t got = n;
  bool far = cira_space_contains(p);
  if (far) {
    got = shim_pin(p, n, writing ? CIRA_PIN_READ : CIRA_PIN_WRITE);
  }
  shim_guard_t guard __attribute__((cleanup(shim_leave)));
  shim_enter(&guard, NULL, 0, __builtin_frame_address(0));
  size_t done = writing ? REAL(fwrite_unlocked)(p, 1, got, f)
                        : REAL(fread_unlocked)(p, 1, got, f);
  if (far) {
    int saved = errno;
    shim_unpin(p, got);
    errno = saved;
  }
  return done < got ? done : got;
}

/* Bytes moved, with the stream locked by the caller or by `lock`. */
CIRA_COLD static size_t block_move(void *p, size_t n, FILE *f, bool writing,
                                   bool lock) {
  size_t done = 0;
  if (lock) {
    flockfile(f);
  }
  while (done < n) {
    size_t r = block_piece((char *)p + done, n - done, f, writing);
    done += r;
    if (r == 0 || ferror_unlocked(f) || feof_unlocked(f)) {
      break;
    }
  }
  if (lock) {
    funlockfile(f);
  }
  return done;
}

#define BLOCK(name, pointer, writing, lock)                                    \
  SHIM_EXPORT size_t name(pointer restrict p, size_t size, size_t count,       \
                          FILE *restrict f) {                                  \
    size_t bytes;                                                              \
    if (CIRA_LIKELY(!(shim_far(p) | SHIM_FAR_STACK())) || size == 0 ||         \
        __builtin_mul_overflow(size, count, &bytes)) {                         \
      return REAL(name)(p, size, count, f);                                    \
    }                                                                          \
    return block_move((void *)(uintptr_t)p, bytes, f, writing, lock) / size;   \
  }
BLOCK(fread, void *, false, true)
BLOCK(fread_unlocked, void *, false, false)
BLOCK(fwrite, const void *, true, true)
BLOCK(fwrite_unlocked, const void *, true, false)

void __chk_fail(void) __attribute__((noreturn));
size_t __fread_chk(void *p, size_t room, size_t size, size_t count, FILE *f);
size_t __fread_unlocked_chk(void *p, size_t room, size_t size, size_t count,
                            FILE *f);
#define BLOCK_CHECKED(name, plain)                                             \
  SHIM_EXPORT size_t name(void *p, size_t room, size_t size, size_t count,     \
                          FILE *f) {                                           \
    size_t bytes;                                                              \
    if (__builtin_mul_overflow(size, count, &bytes) || bytes > room) {         \
      __chk_fail();                                                            \
    }                                                                          \
    return plain(p, size, count, f);                                           \
  }
BLOCK_CHECKED(__fread_chk, fread)
BLOCK_CHECKED(__fread_unlocked_chk, fread_unlocked)

/* ---- strings ------------------------------------------------------------ */

SHIM_SLOT(fputs);
SHIM_SLOT(fputs_unlocked);
SHIM_SLOT(puts);

SHIM_EXPORT int fputs(const char *restrict s, FILE *restrict f) {
  if (CIRA_LIKELY(!(shim_far(s) | SHIM_FAR_STACK()))) {
    return REAL(fputs)(s, f);
  }
  size_t n = strlen(s);
  return block_move((void *)(uintptr_t)s, n, f, true, true) == n ? 1 : EOF;
}

SHIM_EXPORT int fputs_unlocked(const char *restrict s, FILE *restrict f) {
  if (CIRA_LIKELY(!(shim_far(s) | SHIM_FAR_STACK()))) {
    return REAL(fputs_unlocked)(s, f);
  }
  size_t n = strlen(s);
  return block_move((void *)(uintptr_t)s, n, f, true, false) == n ? 1 : EOF;
}

SHIM_EXPORT int puts(const char *s) {
  if (CIRA_LIKELY(!(shim_far(s) | SHIM_FAR_STACK()))) {
    return REAL(puts)(s);
  }
  size_t n = strlen(s);
  int result = EOF;
  flockfile(stdout);
  if (block_move((void *)(uintptr_t)s, n, stdout, true, false) == n &&
      putc_unlocked('\n', stdout) != EOF) {
    result = n < INT_MAX ? (int)n + 1 : INT_MAX;
  }
  funlockfile(stdout);
  return result;
}

/* ---- printf ------------------------------------------------------------- */

SHIM_SLOT(vfprintf);
SHIM_SLOT(vdprintf);

/* True when the format may print a string of the caller's. */
static bool has_strings(const char *format) {
  for (const char *p = format; *p != '\0'; p++) {
    if (*p != '%') {
      continue;
    }
    p++;
    while (*p != '\0' && strchr("0123456789 +-#'I.*$hlLqjzt", *p) != NULL) {
      p++;
    }
    if (*p == 's' || *p == 'S') {
      return true;
    }
    if (*p == '\0') {
      break;
    }
  }
  return false;
}

/* The text in near memory: `stack` when it fits, a mapping otherwise. */
static char *text_make(char *stack, uint64_t *mapped, int *length,
                       const char *format, va_list ap) {
  va_list again;
  va_copy(again, ap);
  *mapped = 0;
  *length = vsnprintf(stack, TEXT_BYTES, format, ap);
  char *text = stack;
  if (*length >= 0 && (unsigned)*length >= TEXT_BYTES) {
    *mapped = (uint64_t)*length + 1;
    text = shim_near_map(*mapped);
    if (text == NULL) {
      *length = -1;
      *mapped = 0;
      errno = ENOMEM;
    } else {
      int second = vsnprintf(text, *mapped, format, again);
      *length = second < *length ? second : *length;
    }
  }
  va_end(again);
  return text;
}

CIRA_COLD static int print_text(FILE *f, int fd, const char *format,
                                va_list ap) {
  char stack[TEXT_BYTES];
  uint64_t mapped;
  int length;
  char *text = text_make(stack, &mapped, &length, format, ap);
  if (length > 0) {
    size_t done = 0;
    if (f != NULL) {
      done = fwrite(text, 1, (size_t)length, f);
    } else {
      while (done < (size_t)length) {
        ssize_t r = write(fd, text + done, (size_t)length - done);
        if (r < 0) {
          break;
        }
        done += (size_t)r;
      }
    }
    if (done < (size_t)length) {
      length = -1;
    }
  }
  if (mapped > 0) {
    int saved = errno;
    shim_near_unmap(text, mapped);
    errno = saved;
  }
  return length;
}

/* A wide stream, or an error set before: the C library knows what to say. */
static int print_stream(FILE *f, const char *format, va_list ap) {
  if (cira__space == NULL || (!has_strings(format) && !SHIM_FAR_STACK()) ||
      fwide(f, 0) > 0) {
    return REAL(vfprintf)(f, format, ap);
  }
  return print_text(f, -1, format, ap);
}

static int print_descriptor(int fd, const char *format, va_list ap) {
  if (cira__space == NULL || (!has_strings(format) && !SHIM_FAR_STACK())) {
    return REAL(vdprintf)(fd, format, ap);
  }
  return print_text(NULL, fd, format, ap);
}

#define VARIABLE(call)                                                         \
  va_list ap;                                                                  \
  va_start(ap, format);                                                        \
  int result = call;                                                           \
  va_end(ap);                                                                  \
  return result

SHIM_EXPORT int vfprintf(FILE *restrict f, const char *restrict format,
                         va_list ap) {
  return print_stream(f, format, ap);
}
SHIM_EXPORT int vprintf(const char *restrict format, va_list ap) {
  return print_stream(stdout, format, ap);
}
SHIM_EXPORT int vdprintf(int fd, const char *restrict format, va_list ap) {
  return print_descriptor(fd, format, ap);
}
SHIM_EXPORT int fprintf(FILE *restrict f, const char *restrict format, ...) {
  VARIABLE(print_stream(f, format, ap));
}
SHIM_EXPORT int printf(const char *restrict format, ...) {
  VARIABLE(print_stream(stdout, format, ap));
}
SHIM_EXPORT int dprintf(int fd, const char *restrict format, ...) {
  VARIABLE(print_descriptor(fd, format, ap));
}

/* Fortified programs: the same, and %n in writable memory stays refused. */
int __vfprintf_chk(FILE *f, int flag, const char *format, va_list ap);
int __vprintf_chk(int flag, const char *format, va_list ap);
int __vdprintf_chk(int fd, int flag, const char *format, va_list ap);
int __fprintf_chk(FILE *f, int flag, const char *format, ...);
int __printf_chk(int flag, const char *format, ...);
int __dprintf_chk(int fd, int flag, const char *format, ...);
SHIM_SLOT(__vfprintf_chk);
SHIM_SLOT(__vdprintf_chk);

static int print_stream_checked(FILE *f, int flag, const char *format,
                                va_list ap) {
  if (strstr(format, "%n") == NULL && has_strings(format)) {
    return print_stream(f, format, ap);
  }
  return REAL(__vfprintf_chk)(f, flag, format, ap);
}
static int print_descriptor_checked(int fd, int flag, const char *format,
                                    va_list ap) {
  if (strstr(format, "%n") == NULL && has_strings(format)) {
    return print_descriptor(fd, format, ap);
  }
  return REAL(__vdprintf_chk)(fd, flag, format, ap);
}
SHIM_EXPORT int __vfprintf_chk(FILE *f, int flag, const char *format,
                               va_list ap) {
  return print_stream_checked(f, flag, format, ap);
}
SHIM_EXPORT int __vprintf_chk(int flag, const char *format, va_list ap) {
  return print_stream_checked(stdout, flag, format, ap);
}
SHIM_EXPORT int __vdprintf_chk(int fd, int flag, const char *format,
                               va_list ap) {
  return print_descriptor_checked(fd, flag, format, ap);
}
SHIM_EXPORT int __fprintf_chk(FILE *f, int flag, const char *format, ...) {
  VARIABLE(print_stream_checked(f, flag, format, ap));
}
SHIM_EXPORT int __printf_chk(int flag, const char *format, ...) {
  VARIABLE(print_stream_checked(stdout, flag, format, ap));
}
SHIM_EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...) {
  VARIABLE(print_descriptor_checked(fd, flag, format, ap));
}

/* ---- buffers that the program sets -------------------------------------- */

/* Near buffers standing in for far ones; the newest first. They live until the
 * stream is closed or gets another buffer. */
typedef struct standin {
  struct standin *next;
  FILE *stream;
  uint64_t bytes;
} standin_t;

static cira_lock_t standins_lock;
static standin_t *standins;

/* In a forked child: a thread of the parent may have had the lock; the list is
 * whole at any time. */
void shim_stdio_child(void) {
  memset(&standins_lock, 0, sizeof standins_lock);
}

static void standin_drop(FILE *f) {
  uint64_t blocked = cira__signals_block();
  cira__lock(&standins_lock);
  standin_t *found = NULL;
  for (standin_t **at = &standins; *at != NULL; at = &(*at)->next) {
    if ((*at)->stream == f) {
      found = *at;
      *at = found->next;
      break;
    }
  }
  cira__unlock(&standins_lock);
  cira__signals_restore(blocked);
  if (found != NULL) {
    shim_near_unmap(found, found->bytes);
  }
}

static char *standin_make(FILE *f, uint64_t bytes) {
  uint64_t all = bytes + 64;
  standin_t *s = shim_near_map(all);
  if (s == NULL) {
    return NULL;
  }
  s->stream = f;
  s->bytes = all;
  uint64_t blocked = cira__signals_block();
  cira__lock(&standins_lock);
  s->next = standins;
  standins = s;
  cira__unlock(&standins_lock);
  cira__signals_restore(blocked);
  return (char *)s + 64;
}

SHIM_SLOT(setvbuf);
SHIM_EXPORT int setvbuf(FILE *restrict f, char *restrict buf, int mode,
                        size_t bytes) {
  if (!shim_far(buf) || mode == _IONBF) {
    return REAL(setvbuf)(f, buf, mode, bytes);
  }
  standin_drop(f);
  char *near = standin_make(f, bytes);
  return REAL(setvbuf)(f, near, mode, near == NULL ? 0 : bytes);
}

SHIM_EXPORT void setbuf(FILE *restrict f, char *restrict buf) {
  setvbuf(f, buf, buf != NULL ? _IOFBF : _IONBF, BUFSIZ);
}

SHIM_EXPORT void setbuffer(FILE *restrict f, char *restrict buf, size_t bytes) {
  setvbuf(f, buf, buf != NULL ? _IOFBF : _IONBF, bytes);
}

SHIM_SLOT(fclose);
SHIM_EXPORT int fclose(FILE *f) {
  if (CIRA_LIKELY(standins == NULL)) {
    return REAL(fclose)(f);
  }
  /* Flush while the buffer is there; take it away when nobody uses it. */
  int result = REAL(fclose)(f);
  int saved = errno;
  standin_drop(f);
  errno = saved;
  return result;
}
