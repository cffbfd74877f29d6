/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that has the library's runtime in it, and under cira-run the
 * preload library's too: there is one far memory all the same, and one profile.
 *   one_space alone|run
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cira/far.h>
#include <cira/profile.h>

#define BYTES (UINT64_C(8) << 20)

static void expect(int ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "%s (%s)\n", what, cira_status_detail());
    exit(1);
  }
}

int main(int argc, char **argv) {
  int in_run = argc > 1 && strcmp(argv[1], "run") == 0;
  cira_far_options_t opt = cira_far_options_default();
  opt.local_bytes = 1 << 20;
  expect(cira_far_start(&opt) == CIRA_OK, "start");
  expect(cira_far_start(&opt) == CIRA_E_BUSY, "a second start");
  cira_far_stats_t stats = {.size = sizeof stats};
  uint8_t *near = malloc(BYTES);
  uint8_t *far = cira_far_alloc(BYTES, 0);
  expect(near != NULL && far != NULL, "memory");
  expect(cira_far_contains(far), "far memory is far");
  expect(!cira_far_contains(&stats), "the stack is not");
  expect(cira_far_contains(near) == in_run, "malloc is far in a run only");
  for (uint64_t i = 0; i < BYTES; i += 64) {
    far[i] = (uint8_t)(i >> 6);
    near[i] = (uint8_t)(i >> 7);
  }
  cira_profile_mark("written");
  for (uint64_t i = 0; i < BYTES; i += 64) {
    expect(far[i] == (uint8_t)(i >> 6) && near[i] == (uint8_t)(i >> 7),
           "content");
  }
  expect(cira_far_stats(&stats) == CIRA_OK, "stats");
  expect(stats.shared_run == (uint32_t)in_run, "whose memory it is");
  expect(stats.faults > 0 && stats.pages_in > 0, "faults of one pager");
  expect(cira_profile_active() == in_run, "profile");
  expect(cira_far_free(far) == CIRA_OK, "free");
  free(near);
  expect(cira_far_stop() == CIRA_OK, "stop");
  printf("faults %llu\n", (unsigned long long)stats.faults);
  return 0;
}
