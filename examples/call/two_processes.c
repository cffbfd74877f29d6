/* SPDX-License-Identifier: Apache-2.0
 *
 * A function that runs in a process of its own, called one by one and over an
 * array. With cira_call_thread instead of cira_call_process it runs on a
 * thread.
 */
#include "cira/call.h"

#include <stdio.h>

static cira_status_t square(cira_call_frame_t *frame) {
  uint64_t n = *(const uint64_t *)frame->args;
  *(uint64_t *)frame->result = n * n;
  frame->result_bytes = sizeof(uint64_t);
  return CIRA_OK;
}

int main(void) {
  cira_call_table_t *table;
  cira_call_client_t *client;
  uint32_t function;
  uint64_t in[100];
  uint64_t out[100];
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 100; i++) {
    in[i] = i + 1;
  }
  cira_call_many_t many = {.args = in,
                           .results = out,
                           .count = 100,
                           .args_bytes = 8,
                           .result_bytes = 8};
  if (cira_call_table_create(&table) != CIRA_OK ||
      cira_call_table_add(table, "square", square, NULL) != CIRA_OK ||
      cira_call_process(table, NULL, &client) != CIRA_OK ||
      cira_call_find(client, "square", CIRA_FOREVER, &function) != CIRA_OK ||
      cira_call_run(client, function, &in[11], 8, &sum, 8, CIRA_FOREVER,
                    NULL) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  printf("12 squared: %llu\n", (unsigned long long)sum);
  if (cira_call_many(client, function, &many, NULL) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  sum = 0;
  for (int i = 0; i < 100; i++) {
    sum += out[i];
  }
  printf("1 to 100, squared and added: %llu\n", (unsigned long long)sum);
  cira_call_destroy(client);
  cira_call_table_destroy(table);
  return 0;
}
