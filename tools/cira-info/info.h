/* SPDX-License-Identifier: Apache-2.0
 *
 * info: the parts of cira-info. Each part fills a JSON object; main.c prints
 * the whole as text or as JSON. Names end in their unit (_bytes, _ns,
 * _bytes_per_s), and the text is made from the names.
 * Threads: one, but for measure_local.c, which starts a second to hand work to.
 */
#ifndef CIRA_INFO_INFO_H
#define CIRA_INFO_INFO_H

#include <jansson.h>

#include "base/base.h"

/* What the machine has: never fails, says what it could not see. */
json_t *info_machine(void);
json_t *info_paging(void);
json_t *info_huge_pages(void);
json_t *info_cgroup(void);
json_t *info_caches(void);
json_t *info_nodes(void);
json_t *info_tiers(void);
json_t *info_server(const char *token_file);

typedef struct {
  const char *const *urls; /* far places; none: CIRA_FAR, else shm: */
  size_t url_count;
  const char *token_file; /* NULL = none */
  const char *bindir;     /* where cira-memd is */
  bool once;              /* believe the first measurement */
} info_measure_options_t;

/* Measures this machine and the far places; takes seconds.
 *   out   an object: machine_model (what the compiler reads, the fields of
 *         #cira.machine and nothing else), left_out_of_the_model (the others
 *         with the reason), caches, memory, places.
 * Returns CIRA_OK; CIRA_E_BUSY when measurements disagree; what the fabric said
 * when a place does not answer. Where nobody serves shm: a server is started
 * for the time. */
CIRA_MUST_USE cira_status_t info_measure(const info_measure_options_t *o,
                                         json_t **out);

#endif
