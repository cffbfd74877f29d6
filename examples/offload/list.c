/* SPDX-License-Identifier: Apache-2.0
 *
 * A list in far memory whose nodes a device brings near while the program does
 * something else. The device is a helper thread, or with
 *   list server
 * the memory server (CIRA_FAR=unix:PATH of a cira-memd with --kernels), which
 * follows the list where it is and answers once for a thousand nodes.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "cira/far.h"
#include "cira/offload.h"

#define NODES 50000u

typedef struct node {
  struct node *next;
  uint64_t value;
  char name[112];
} node_t;

static void need(int ok) {
  if (!ok) {
    fprintf(stderr, "list: %s\n", cira_status_detail());
    exit(1);
  }
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "helper";
  cira_far_options_t opt = cira_far_options_default();
  opt.local_bytes = 4u << 20;
  need(cira_far_start(&opt) == CIRA_OK);
  node_t *nodes = cira_far_alloc(NODES * sizeof *nodes, 4096);
  need(nodes != NULL);
  for (uint64_t i = 0; i < NODES; i++) { /* a list that jumps about */
    uint64_t here = i * 7919 % NODES, next = (i + 1) * 7919 % NODES;
    nodes[here] =
        (node_t){.next = i + 1 < NODES ? &nodes[next] : NULL, .value = i};
  }

  cira_offload_t *device;
  need(cira_offload_open(name, NULL, &device) == CIRA_OK);
  cira_offload_line_t line; /* a cache line that the device writes */
  cira_offload_job_t job = {.kind = CIRA_OFFLOAD_CHAIN,
                            .address = nodes,
                            .bytes = sizeof *nodes,
                            .step = offsetof(node_t, next),
                            .count = 100};
  need(cira_offload_submit(device, &job, &line) == CIRA_OK);
  /* ... */
  need(cira_offload_wait(&line, CIRA_FOREVER) == CIRA_OK);
  printf("%llu nodes brought near\n", (unsigned long long)line.value);

  uint64_t sum = 0, seen = 0;
  for (node_t *n = nodes; n != NULL; n = n->next) {
    if (++seen % 100 == 0 && n->next != NULL) { /* the next hundred */
      job.address = n->next;
      need(cira_offload_run(device, &job, NULL) == CIRA_OK);
    }
    sum += n->value;
  }
  printf("sum %llu\n", (unsigned long long)sum);
  cira_offload_close(device);
  need(cira_far_free(nodes) == CIRA_OK);
  return cira_far_stop() == CIRA_OK ? 0 : 1;
}
