/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of far share: fork handlers of a process that made its space
 * itself.
 */
#ifndef CIRA_FAR_INTERNAL_H
#define CIRA_FAR_INTERNAL_H

#include "space/space.h"

/* Forks keep both views of `s` right from now on; NULL: there is none. */
cira_status_t cira__far_fork_watch(cira_space_t *s);

#endif
