/* SPDX-License-Identifier: Apache-2.0
 *
 * pool: fork and join. The caller is worker 0; the others sleep in a futex
 * between jobs. A pool belongs to the thread that made it.
 */
#ifndef CIRA_GRAPH_POOL_H
#define CIRA_GRAPH_POOL_H

#include "base/base.h"

typedef struct cira__pool cira__pool_t;

/* threads >= 1, the caller included. */
cira_status_t cira__pool_create(uint32_t threads, cira__pool_t **out);
void cira__pool_destroy(cira__pool_t *p);
uint32_t cira__pool_threads(const cira__pool_t *p);
/* Runs fn(argument, worker) on each worker; returns when all have ended. */
void cira__pool_run(cira__pool_t *p,
                    void (*fn)(void *argument, uint32_t worker),
                    void *argument);

#endif
