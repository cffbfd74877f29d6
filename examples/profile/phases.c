/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that records itself and says what it is about. Afterwards
 *   cira-prof report phases.cprof
 * shows which line waited for far memory and for how long, by phase.
 *   cc -g phases.c -lcira && ./a.out phases.cprof
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cira/far.h"
#include "cira/profile.h"

#define COUNT (UINT64_C(1) << 20)

static void need(int ok) {
  if (!ok) {
    fprintf(stderr, "%s\n", cira_status_detail());
    exit(1);
  }
}

int main(int argc, char **argv) {
  char scratch[] = "/tmp/phases.XXXXXX";
  const char *path = argc > 1 ? argv[1] : NULL;
  if (path == NULL) {
    need(mkstemp(scratch) >= 0);
    path = scratch;
  }
  cira_far_options_t opt = cira_far_options_default();
  opt.local_bytes = 2u << 20;
  need(cira_far_start(&opt) == CIRA_OK);
  need(cira_profile_start(path) == CIRA_OK);

  uint64_t *numbers = cira_far_alloc(COUNT * sizeof *numbers, 4096);
  need(numbers != NULL);
  cira_profile_mark("fill");
  for (uint64_t i = 0; i < COUNT; i++) {
    numbers[i] = i;
  }
  uint64_t in_order = 0, jumping = 0;
  cira_profile_mark("in order");
  for (uint64_t i = 0; i < COUNT; i++) {
    in_order += numbers[i];
  }
  cira_profile_mark("jumping");
  for (uint64_t i = 0; i < COUNT; i += 64) {
    jumping += numbers[i * 7919 % COUNT];
  }
  printf("in order %llu, jumping %llu, recorded: %s\n",
         (unsigned long long)in_order, (unsigned long long)jumping,
         cira_profile_active() ? "yes" : "no");

  need(cira_profile_stop() == CIRA_OK);
  need(cira_far_free(numbers) == CIRA_OK);
  need(cira_far_stop() == CIRA_OK);
  return path == scratch && remove(scratch) != 0;
}
