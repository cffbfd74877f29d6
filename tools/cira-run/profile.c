/* SPDX-License-Identifier: Apache-2.0
 *
 * See profile.h.
 */
#include "cira-run/profile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cira_status_t run_profile_open(run_profile_t *p, const char *path,
                               char *const words[]) {
  char command[1000];
  char real[PATH_MAX];
  size_t n = 0;
  command[0] = '\0';
  for (size_t i = 0; words[i] != NULL && n < sizeof command - 2; i++) {
    int got = snprintf(command + n, sizeof command - n, i == 0 ? "%s" : " %s",
                       words[i]);
    n += got > 0 ? (size_t)got : 0;
  }
  cira_status_t status = cira_profile_create(path, command);
  if (status != CIRA_OK) {
    return status;
  }
  if (realpath(path, real) == NULL || setenv("CIRA_PROFILE", real, 1) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "the profile %s cannot be found again", path);
  }
  return cira_profile_sampler_start(&p->sampler);
}

void run_profile_close(run_profile_t *p) {
  cira_profile_sampler_stop(p->sampler);
  cira_profile_complete();
}
