/* SPDX-License-Identifier: Apache-2.0
 *
 * sample: what the processor and the kernel know about a program, by
 * perf_event: cache misses with addresses where the machine has such an event,
 * else where cycles go, and page faults with addresses (also of memory that is
 * not far). Probed, and said in the profile.
 * Events are opened in the process that will start the program, for it and all
 * that it starts, and count from the first exec on. A thread moves the samples
 * into the profile that this process has created (profile.h).
 * Threads: one.
 */
#ifndef CIRA_PROFILE_SAMPLE_H
#define CIRA_PROFILE_SAMPLE_H

#include "profile/profile.h"

typedef struct cira_profile_sampler cira_profile_sampler_t;

/* Opens what this machine has and starts the thread; says in the profile what
 * it is.
 * Returns CIRA_OK, also when nothing can be sampled (*out is NULL then);
 * CIRA_E_SYSTEM, CIRA_E_NOMEM. */
CIRA_MUST_USE cira_status_t
cira_profile_sampler_start(cira_profile_sampler_t **out);
/* Takes the last samples and ends the thread; NULL is allowed. */
void cira_profile_sampler_stop(cira_profile_sampler_t *s);

#endif
