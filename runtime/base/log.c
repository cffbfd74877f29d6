/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines and the last line of a process that cannot go on. One line is one
 * write(2), so lines of several threads and processes do not mix.
 */
#include "base/base.h"
#include "base/sys.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

cira_log_level_t cira__log_level = CIRA_LOG_WARN;

static void line_write(const char *fmt, va_list ap) {
  char line[512];
  size_t n = cira__format(line, sizeof(line) - 1, "cira: ");
  n += cira__vformat(line + n, sizeof(line) - 1 - n, fmt, ap);
  line[n++] = '\n';
  (void)cira__sys_write(STDERR_FILENO, line, n);
}

void cira__log(cira_log_level_t level, const char *fmt, ...) {
  if (level > cira__log_level) {
    return;
  }
  va_list ap;
  va_start(ap, fmt);
  line_write(fmt, ap);
  va_end(ap);
}

void cira__die(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  line_write(fmt, ap);
  va_end(ap);
  _exit(CIRA_EXIT_FAR);
}

/* Runs before main and before other constructors that might log. */
__attribute__((constructor(101))) static void level_from_environment(void) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  const char *text = getenv("CIRA_LOG");
  if (!text || !*text) {
    return;
  }
  for (unsigned i = 0; i < CIRA_COUNT(names); i++) {
    if (strcmp(text, names[i]) == 0) {
      cira__log_level = (cira_log_level_t)i;
      return;
    }
  }
  cira__log(CIRA_LOG_ERROR,
            "CIRA_LOG=%s is not a level; use error, warn, info or debug", text);
}

uint64_t cira__now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
