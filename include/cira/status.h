/* SPDX-License-Identifier: Apache-2.0
 *
 * One status type for the whole of cira. Zero is success, positive values are
 * progress (not failures), negative values are errors, grouped by the largest
 * thing that is broken: the call, the object, the link, the node.
 * Outputs of a function are written only when it returns CIRA_OK.
 */
#ifndef CIRA_STATUS_H
#define CIRA_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CIRA_API __attribute__((visibility("default")))
#define CIRA_MUST_USE __attribute__((warn_unused_result))

typedef int32_t cira_status_t;

enum {
  CIRA_OK = 0,
  CIRA_AGAIN = 1,   /* no room now; retry after progress was made */
  CIRA_PENDING = 2, /* started, not finished */

  /* the call is wrong; the same call will fail again */
  CIRA_E_INVALID = -1,     /* an argument makes no sense */
  CIRA_E_RANGE = -2,       /* offset or size outside of the object */
  CIRA_E_UNSUPPORTED = -3, /* this back end or machine cannot do it */
  CIRA_E_NOMEM = -4,       /* local memory is exhausted */
  CIRA_E_SYSTEM = -5,      /* a system call failed; the detail names errno */

  /* the object is in the wrong state */
  CIRA_E_CLOSED = -10,    /* used after close */
  CIRA_E_BUSY = -11,      /* in use by somebody else */
  CIRA_E_CANCELLED = -12, /* the caller was told to stop */

  /* the link is broken; other links may work */
  CIRA_E_DEADLINE = -20,     /* no answer before the deadline */
  CIRA_E_DISCONNECTED = -21, /* the peer is gone */
  CIRA_E_PROTOCOL = -22,     /* the peer sent what no peer should */

  /* the node refuses or is not there */
  CIRA_E_UNREACHABLE = -30, /* nobody listens at the URL */
  CIRA_E_AUTH = -31,        /* the token is missing or wrong */
  CIRA_E_QUOTA = -32,       /* the far memory is exhausted */
};

/* Short lower-case name of a status, such as "deadline".
 * Returns a static string, never NULL ("unknown" for foreign values).
 * Threads: any; signal-safe. */
CIRA_API const char *cira_status_name(cira_status_t status);

/* What the first detector of this thread's last error had to say: one line
 * that names what, where and the remedy.
 * Returns a per-thread string, "" when there is none; valid until the next
 *   failing call of this thread.
 * Threads: any; signal-safe. */
CIRA_API const char *cira_status_detail(void);

#ifdef __cplusplus
}
#endif
#endif
