/* SPDX-License-Identifier: Apache-2.0
 *
 * Adds up an array and a list in far memory at the memory server that keeps
 * them. The kernels are in sums.c:
 *   cira-memd --listen unix:/tmp/far.sock --size 1g --kernels ./sums.so
 *   near_data unix:/tmp/far.sock
 */
#include <stdio.h>
#include <stdlib.h>

#include "cira/call.h"
#include "cira/far.h"

#define WORDS (4u << 20) /* 32 MiB; 4 MiB of it are here at a time */
#define NODES 100000u

typedef struct node {
  struct node *next;
  uint64_t value;
} node_t;

static void need(int ok) {
  if (!ok) {
    fprintf(stderr, "near_data: %s\n", cira_status_detail());
    exit(1);
  }
}

/* Calls a kernel on `bytes` bytes of far memory. */
static uint64_t call(cira_call_client_t *client, const char *name,
                     uint64_t argument, void *at, uint64_t bytes) {
  uint32_t kernel;
  uint64_t result = 0;
  cira_call_t c = {0};
  cira_call_range_t range = {at, bytes, CIRA_CALL_READ, 0};
  cira_call_request_t request = {.args = &argument,
                                 .args_bytes = 8,
                                 .result = &result,
                                 .result_max = 8,
                                 .range = &range,
                                 .range_count = 1};
  need(cira_call_find(client, name, CIRA_FOREVER, &kernel) == CIRA_OK);
  need(cira_call_submit(client, kernel, &request, &c) == CIRA_OK);
  need(cira_call_wait(client, &c, CIRA_FOREVER) == CIRA_OK);
  return result;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr,
            "usage: near_data URL (of a cira-memd --kernels sums.so)\n");
    return 2;
  }
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = argv[1];
  opt.local_bytes = 4u << 20;
  need(cira_far_start(&opt) == CIRA_OK);
  uint64_t *words = cira_far_alloc(WORDS * sizeof *words, 4096);
  node_t *nodes = cira_far_alloc(NODES * sizeof *nodes, 4096);
  need(words != NULL && nodes != NULL);
  for (uint64_t i = 0; i < WORDS; i++) {
    words[i] = i;
  }
  for (uint64_t i = 0; i < NODES; i++) { /* a list that jumps about */
    uint64_t here = i * 7919 % NODES, next = (i + 1) * 7919 % NODES;
    nodes[here] =
        (node_t){.next = i + 1 < NODES ? &nodes[next] : NULL, .value = i};
  }

  cira_call_client_t *client; /* NULL: the server that keeps our memory */
  need(cira_call_server(NULL, NULL, NULL, CIRA_FOREVER, &client) == CIRA_OK);
  uint64_t sum = call(client, "sum", 0, words, WORDS * sizeof *words);
  uint64_t list = call(client, "sum_list", (uint64_t)(uintptr_t)nodes, nodes,
                       NODES * sizeof *nodes);
  printf("array %llu\nlist %llu\n", (unsigned long long)sum,
         (unsigned long long)list);

  cira_call_destroy(client);
  need(cira_far_free(nodes) == CIRA_OK && cira_far_free(words) == CIRA_OK);
  return cira_far_stop() == CIRA_OK ? 0 : 1;
}
