/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the command on a graph: the trials, the proof, and what came out.
 */
#ifndef CIRA_GRAPH_RUN_H
#define CIRA_GRAPH_RUN_H

#include <jansson.h>

#include "cira-graph/options.h"

/* Fills `out` with figures; the unit of a value is the end of its name.
 * Returns CIRA_OK; what the algorithm says; or CIRA_E_PROTOCOL when the result
 * was proved wrong. */
cira_status_t graph_run(const graph_options_t *o, const cira_graph_t *g,
                        json_t *out);

#endif
