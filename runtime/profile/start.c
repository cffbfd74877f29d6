/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs that record themselves.
 */
#include "profile/profile.h"

#include <stdlib.h>

static cira_lock_t lock;
static bool ours; /* begun by cira_profile_start; under lock */

cira_status_t cira_profile_start(const char *path) {
  if (path == NULL) {
    path = getenv("CIRA_PROFILE");
  }
  if (path == NULL || path[0] == '\0') {
    return cira__fail(CIRA_E_INVALID, "no file for the profile: give a path, "
                                      "or set CIRA_PROFILE");
  }
  uint64_t saved = cira__signals_block();
  cira__lock(&lock);
  cira_status_t status;
  if (cira_profile_active()) {
    status = cira__fail(CIRA_E_BUSY, "a profile is recorded already; end it "
                                     "with cira_profile_stop, or leave it to "
                                     "cira-run");
  } else {
    status = cira_profile_create(path, "(recorded by the program itself)");
  }
  if (status == CIRA_OK) {
    cira_profile_sampling_set("none: cira-run --profile samples");
    status = cira_profile_attach(path);
    ours = status == CIRA_OK;
  }
  cira__unlock(&lock);
  cira__signals_restore(saved);
  return status;
}

cira_status_t cira_profile_stop(void) {
  cira_status_t status = CIRA_OK;
  uint64_t saved = cira__signals_block();
  cira__lock(&lock);
  if (!ours) {
    status = cira__fail(CIRA_E_CLOSED,
                        "cira_profile_start has not begun a profile here");
  } else {
    ours = false;
    atomic_store(&cira__profile_active, false);
    cira_profile_complete();
  }
  cira__unlock(&lock);
  cira__signals_restore(saved);
  return status;
}
