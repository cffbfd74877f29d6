/* SPDX-License-Identifier: Apache-2.0
 *
 * Sixteen tasks walk sixteen lists in far memory on one thread. Each reads its
 * next node by a request and awaits it; meanwhile the others go on. Written the
 * plain way (node = node->next) the same walks would wait for one node after
 * the other.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cira/async.h"
#include "cira/coro.h"
#include "cira/far.h"

#define LISTS 16u
#define NODES 200u

typedef struct node {
  struct node *next;
  uint64_t value;
  char rest[2000]; /* so that each lies in a page of its own, nearly */
} node_t;

static uint64_t total;

static void need(cira_status_t status) {
  if (status != CIRA_OK) {
    fprintf(stderr, "%s: %s\n", cira_status_name(status), cira_status_detail());
    exit(1);
  }
}

static int64_t walk(void *head) {
  cira_async_t request = {0};
  struct {
    node_t *next;
    uint64_t value;
  } here; /* the first bytes of a node are enough */
  for (node_t *at = head; at != NULL; at = here.next) {
    need(cira_async_load(&request, at, &here, sizeof here));
    need(cira_async_await(&request, CIRA_FOREVER, NULL));
    total += here.value;
  }
  return 0;
}

int main(void) {
  cira_far_options_t opt = cira_far_options_default();
  opt.local_bytes = 1u << 20;
  need(cira_far_start(&opt));
  node_t *node = cira_far_alloc(sizeof(node_t) * LISTS * NODES, 4096);
  if (node == NULL) {
    need(CIRA_E_NOMEM);
  }
  /* list l: nodes l, l + 37 L, ... : every next one is far away */
  for (uint64_t k = 0; k < LISTS * NODES; k++) {
    uint64_t l = k % LISTS, i = k / LISTS;
    node_t *at = &node[i * 37 % NODES * LISTS + l];
    at->next = i + 1 < NODES ? &node[(i + 1) * 37 % NODES * LISTS + l] : NULL;
    at->value = i;
  }
  cira_sched_t *sched;
  need(cira_sched_create(NULL, &sched));
  for (uint32_t l = 0; l < LISTS; l++) {
    need(
        cira_sched_spawn(sched, walk, &node[l], CIRA_TASK_F_DETACHED, 0, NULL));
  }
  need(cira_sched_run(sched));
  need(cira_sched_destroy(sched));
  printf("total %llu\n", (unsigned long long)total);
  return cira_far_stop() == CIRA_OK ? 0 : 1;
}
