/* SPDX-License-Identifier: Apache-2.0
 *
 * info: the parts of cira-info. Each part fills a JSON object; main.c prints
 * the whole as text or as JSON. Names end in their unit (_bytes, _ns,
 * _bytes_per_s), and the text is made from the names.
 * Threads: one, but for measure.c, which starts a second to measure signalling.
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
json_t *info_server(const char *token_file);

/* Measured: the machine model that the cost model reads.
 *   urls   far places to measure, `url_count` of them.
 * Returns CIRA_OK; what the fabric said when a place does not answer. */
CIRA_MUST_USE cira_status_t info_measure(const char *const *urls,
                                         size_t url_count,
                                         const char *token_file, json_t **out);

#endif
