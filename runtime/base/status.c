/* SPDX-License-Identifier: Apache-2.0
 *
 * Status names and the per-thread detail of the last error. The detail lives
 * in static thread-local storage (initial-exec), so that reading and writing
 * it never allocates, also in a thread whose first act is a page fault.
 */
#include "base/base.h"

#include <string.h>

static __thread char tls_detail[256] __attribute__((tls_model("initial-exec")));

const char *cira_status_name(cira_status_t status) {
  switch (status) {
  case CIRA_OK:
    return "ok";
  case CIRA_AGAIN:
    return "again";
  case CIRA_PENDING:
    return "pending";
  case CIRA_E_INVALID:
    return "invalid";
  case CIRA_E_RANGE:
    return "range";
  case CIRA_E_UNSUPPORTED:
    return "unsupported";
  case CIRA_E_NOMEM:
    return "no memory";
  case CIRA_E_SYSTEM:
    return "system";
  case CIRA_E_CLOSED:
    return "closed";
  case CIRA_E_BUSY:
    return "busy";
  case CIRA_E_CANCELLED:
    return "cancelled";
  case CIRA_E_DEADLINE:
    return "deadline";
  case CIRA_E_DISCONNECTED:
    return "disconnected";
  case CIRA_E_PROTOCOL:
    return "protocol";
  case CIRA_E_UNREACHABLE:
    return "unreachable";
  case CIRA_E_AUTH:
    return "auth";
  case CIRA_E_QUOTA:
    return "quota";
  default:
    return "unknown";
  }
}

const char *cira_status_detail(void) {
  return tls_detail;
}

/* The arguments may point into the old detail, hence the copy on the stack. */
static void detail_set(const char *text, size_t length) {
  memcpy(tls_detail, text, length);
  tls_detail[length] = 0;
}

cira_status_t cira__fail(cira_status_t status, const char *fmt, ...) {
  char text[sizeof(tls_detail)];
  va_list ap;
  va_start(ap, fmt);
  size_t n = cira__vformat(text, sizeof(text), fmt, ap);
  va_end(ap);
  detail_set(text, n);
  return status;
}

cira_status_t cira__fail_errno(cira_status_t status, int error, const char *fmt,
                               ...) {
  char text[sizeof(tls_detail)];
  va_list ap;
  va_start(ap, fmt);
  size_t n = cira__vformat(text, sizeof(text), fmt, ap);
  va_end(ap);
  /* strerrordesc_np reads a constant table: no locale, no allocation. */
  const char *what = strerrordesc_np(error);
  n += cira__format(text + n, sizeof(text) - n, ": %s (errno %d)",
                    what ? what : "unknown error", error);
  detail_set(text, n);
  return status;
}
