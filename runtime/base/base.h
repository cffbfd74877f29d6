/* SPDX-License-Identifier: Apache-2.0
 *
 * What every module needs and nothing that knows about far memory: error
 * details, logging, checked arithmetic, clocks, sizes and environment values
 * as text, a lock that works inside signal handlers.
 * Depends on nothing. Everything here is signal-safe unless said otherwise.
 */
#ifndef CIRA_BASE_H
#define CIRA_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cira/status.h"

#define CIRA_COLD __attribute__((cold, noinline))
#define CIRA_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CIRA_LIKELY(x) __builtin_expect(!!(x), 1)
#define CIRA_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CIRA_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CIRA_PAGE_LOG2 12
#define CIRA_PAGE_BYTES 4096u /* 4 KiB */
#define CIRA_LINE_BYTES 64u

/* ---- error details ------------------------------------------------------ */

/* Records the detail of an error of this thread and returns `status`.
 *   fmt   one line: what is wrong, where, what to do about it.
 * Formats with a small signal-safe formatter: %s %d %u %ld %lu %lld %llu %zu
 *   %x %lx %p %c %% (no widths, no floats).
 * Threads: any; signal-safe. */
CIRA_COLD cira_status_t cira__fail(cira_status_t status, const char *fmt, ...)
    CIRA_PRINTF(2, 3);

/* The same with ": <errno text> (errno N)" appended. */
CIRA_COLD cira_status_t cira__fail_errno(cira_status_t status, int error,
                                         const char *fmt, ...)
    CIRA_PRINTF(3, 4);

/* Formats into `buf` as cira__fail does; always terminates the string.
 * Returns the length written without the terminator. Signal-safe. */
size_t cira__vformat(char *buf, size_t bytes, const char *fmt, va_list ap);
size_t cira__format(char *buf, size_t bytes, const char *fmt, ...)
    CIRA_PRINTF(3, 4);

/* ---- logging ------------------------------------------------------------ */

typedef enum {
  CIRA_LOG_ERROR = 0,
  CIRA_LOG_WARN = 1,
  CIRA_LOG_INFO = 2,
  CIRA_LOG_DEBUG = 3,
} cira_log_level_t;

/* Level from CIRA_LOG (error, warn, info, debug); default warn. */
extern cira_log_level_t cira__log_level;

/* Writes "cira: <text>\n" to standard error in one write(2). Signal-safe. */
CIRA_COLD void cira__log(cira_log_level_t level, const char *fmt, ...)
    CIRA_PRINTF(2, 3);
#define CIRA_LOG(level, ...)                                                   \
  do {                                                                         \
    if (CIRA_UNLIKELY((level) <= cira__log_level)) {                           \
      cira__log((level), __VA_ARGS__);                                         \
    }                                                                          \
  } while (0)

/* Writes "cira: <text>\n" to standard error and ends the process with
 * CIRA_EXIT_FAR by _exit. For states from which no right result can come. */
#define CIRA_EXIT_FAR 74 /* as EX_IOERR of sysexits.h */
CIRA_COLD _Noreturn void cira__die(const char *fmt, ...) CIRA_PRINTF(1, 2);

/* ---- checked arithmetic ------------------------------------------------- */

static inline bool cira__add_ok(uint64_t a, uint64_t b, uint64_t *out) {
  return !__builtin_add_overflow(a, b, out);
}
static inline bool cira__mul_ok(uint64_t a, uint64_t b, uint64_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
/* True when [offset, offset + bytes) lies inside [0, limit). */
static inline bool cira__range_ok(uint64_t offset, uint64_t bytes,
                                  uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}
static inline uint64_t cira__align_up(uint64_t x, uint64_t power_of_two) {
  return (x + power_of_two - 1) & ~(power_of_two - 1);
}
static inline uint64_t cira__align_down(uint64_t x, uint64_t power_of_two) {
  return x & ~(power_of_two - 1);
}
static inline uint64_t cira__min_u64(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}
static inline uint64_t cira__max_u64(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/* ---- clock -------------------------------------------------------------- */

/* CLOCK_MONOTONIC in nanoseconds; about 20 ns (vDSO). Signal-safe. */
uint64_t cira__now_ns(void);

static inline void cira__cpu_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- text --------------------------------------------------------------- */

/* Parses "4096", "64k", "1.5GiB", "2G", "100MB": a decimal number and an
 * optional unit (k m g t, with optional iB or B; powers of 1024 always).
 * Returns CIRA_OK; CIRA_E_INVALID with a detail naming `what` otherwise. */
CIRA_MUST_USE cira_status_t cira__parse_size(const char *text, const char *what,
                                             uint64_t *out_bytes);
/* Parses "10", "10s", "250ms", "50us"; a bare number is seconds. */
CIRA_MUST_USE cira_status_t cira__parse_duration(const char *text,
                                                 const char *what,
                                                 uint64_t *out_ns);
/* Parses a decimal unsigned number up to `max`. */
CIRA_MUST_USE cira_status_t cira__parse_u64(const char *text, const char *what,
                                            uint64_t max, uint64_t *out);
/* "1.5 GiB", "312 KiB", "17 B" into `buf` (>= 24 bytes); returns buf. */
char *cira__size_text(uint64_t bytes, char *buf, size_t buf_bytes);

/* ---- lock --------------------------------------------------------------- */

/* A mutex for code that also runs in signal handlers: spins, then sleeps in
 * the kernel by futex. The holder must have signals blocked (inside a handler
 * that blocks all, or by cira__signals_block), else it can deadlock with a
 * handler on its own thread. Zero is unlocked. */
typedef struct {
  _Atomic uint32_t word; /* 0 free, 1 held, 2 held with sleepers */
} cira_lock_t;
void cira__lock(cira_lock_t *lock);
bool cira__trylock(cira_lock_t *lock);
void cira__unlock(cira_lock_t *lock);

/* Blocks every signal of this thread by a direct system call (the preload
 * shim does not see it); restores what was before. Signal-safe. */
uint64_t cira__signals_block(void);
void cira__signals_restore(uint64_t saved);

/* ---- who runs ------------------------------------------------------------ */

/* What cira_parker_set was given on this thread, or NULL; initial-exec: one
 * load. For functions that do not park: after that a task may be on another
 * thread, and the variable another one (then: cira_parker_self). */
struct cira_parker;
extern _Thread_local __attribute__((
    tls_model("initial-exec"))) struct cira_parker *cira__parker_now;

#endif
