/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel between two threads: one sends numbers in batches, the other adds
 * them up until the channel is closed and empty.
 *   cc two_threads.c -lcira
 */
#include <cira/channel.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define BATCH 32

static void *add_up(void *argument) {
  cira_channel_t *channel = argument;
  uint64_t sum = 0;
  uint64_t got[BATCH];
  uint32_t n;
  /* waits for the first message of each batch; CIRA_E_CLOSED ends the loop */
  while (cira_channel_receive_batch(channel, got, BATCH, CIRA_FOREVER, &n) ==
         CIRA_OK) {
    for (uint32_t i = 0; i < n; i++) {
      sum += got[i];
    }
  }
  printf("sum %" PRIu64 "\n", sum);
  return NULL;
}

int main(void) {
  cira_channel_options_t options = cira_channel_options_default();
  cira_channel_t *channel;
  pthread_t receiver;
  options.message_bytes = sizeof(uint64_t);
  options.capacity_count = 1024;
  if (cira_channel_create(&options, &channel) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  if (pthread_create(&receiver, NULL, add_up, channel) != 0) {
    return 1;
  }
  for (uint64_t i = 0; i < 1000000 / BATCH; i++) {
    uint64_t batch[BATCH];
    uint32_t sent;
    for (uint32_t k = 0; k < BATCH; k++) {
      batch[k] = i * BATCH + k + 1;
    }
    if (cira_channel_send_batch(channel, batch, BATCH, CIRA_FOREVER, &sent) !=
        CIRA_OK) {
      fprintf(stderr, "%s\n", cira_status_detail());
      return 1;
    }
  }
  (void)cira_channel_close(channel);
  (void)pthread_join(receiver, NULL);
  cira_channel_destroy(channel);
  return 0;
}
