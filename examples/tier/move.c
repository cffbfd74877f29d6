/* SPDX-License-Identifier: Apache-2.0
 *
 * A block of memory moves between the tiers of this machine while a thread
 * reads it. On a machine with one node it moves to a memory file and back.
 *   cc move.c -lcira
 */
#include <cira/tier.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT (UINT64_C(4) << 20) /* 32 MiB of numbers */

static uint64_t *numbers;
static _Atomic int stop, wrong;

static void check(cira_status_t status) {
  if (status != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    exit(1);
  }
}

static void *read_all(void *argument) {
  (void)argument;
  do {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
      sum += numbers[i];
    }
    wrong += sum != COUNT * (COUNT - 1) / 2;
  } while (!stop);
  return NULL;
}

int main(void) {
  cira_tier_info_t tier[CIRA_TIER_MAX];
  cira_tier_options_t options;
  pthread_t reader;
  uint32_t count, moves = 0;

  check(cira_tier_list(tier, CIRA_TIER_MAX, &count));
  cira_tier_options_default(&options);
  options.place = "local";
  check(cira_tier_alloc(COUNT * sizeof *numbers, &options, (void **)&numbers));
  for (uint64_t i = 0; i < COUNT; i++) {
    numbers[i] = i;
  }
  if (pthread_create(&reader, NULL, read_all, NULL) != 0) {
    return 1;
  }
  for (uint32_t i = 0; i < count; i++) {
    cira_tier_block_t block;
    if (!tier[i].usable || tier[i].kind == CIRA_TIER_FAR ||
        tier[i].kind == CIRA_TIER_LOCAL) {
      printf("%-16s %s\n", tier[i].name, tier[i].note);
      continue;
    }
    check(cira_tier_set(numbers, 0, tier[i].id, 0));
    check(cira_tier_query(numbers, &block));
    printf("%-16s has %" PRIu64 " MiB of the numbers\n", tier[i].name,
           block.tier_bytes[i] >> 20);
    check(cira_tier_set(numbers, 0, CIRA_TIER_LOCAL_ID, 0));
    moves++;
  }
  stop = 1;
  pthread_join(reader, NULL);
  printf("moved away and back: %" PRIu32 " times, wrong sums: %d\n", moves,
         wrong);
  check(cira_tier_free(numbers));
  return wrong != 0;
}
