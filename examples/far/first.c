/* SPDX-License-Identifier: Apache-2.0
 *
 * An array of 64 MiB with a local cache of 4 MiB, in far memory that the
 * program starts itself. Run alone, its far bytes are beside its cache in the
 * same process (host:); CIRA_FAR=shm: or CIRA_FAR=tcp://HOST:PORT takes them to
 * a cira-memd, and under cira-run the run's settings hold.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cira/far.h"

static void need(int ok) {
  if (!ok) {
    fprintf(stderr, "%s\n", cira_status_detail());
    exit(1);
  }
}

int main(void) {
  cira_far_options_t opt = cira_far_options_default();
  opt.local_bytes = 4u << 20;
  need(cira_far_start(&opt) == CIRA_OK);

  uint64_t n = (64u << 20) / sizeof(uint64_t), sum = 0;
  uint64_t *array = cira_far_alloc(n * sizeof *array, 4096);
  need(array != NULL);
  for (uint64_t i = 0; i < n; i++) {
    array[i] = i; /* an ordinary pointer: pages come and go by themselves */
  }
  for (uint64_t i = 0; i < n; i++) {
    sum += array[i];
  }
  cira_far_stats_t stats = {.size = sizeof stats};
  need(cira_far_stats(&stats) == CIRA_OK);
  printf("sum %llu\n", (unsigned long long)sum);
  fprintf(stderr, "pages in %llu, out %llu, waited %llu ms\n",
          (unsigned long long)stats.pages_in,
          (unsigned long long)stats.pages_out,
          (unsigned long long)stats.wait_ns / 1000000);
  need(cira_far_free(array) == CIRA_OK);
  return cira_far_stop() == CIRA_OK ? 0 : 1;
}
