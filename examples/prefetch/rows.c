/* SPDX-License-Identifier: Apache-2.0
 *
 * A table in far memory, read in two ways that the pager cannot foresee: rows
 * picked by a list of numbers, asked for 64 at a time so that their pages
 * travel together; and every eleventh row, through a site that finds out by
 * itself how far ahead to ask.
 *   cc rows.c -lcira
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cira/far.h"
#include "cira/prefetch.h"

#define ROWS 40000u
#define PICKED 8000u
#define BATCH 64u

typedef struct {
  uint64_t value;
  char rest[1016];
} row_t;

static uint32_t picked[PICKED];

static void need(int ok) {
  if (!ok) {
    fprintf(stderr, "%s\n", cira_status_detail());
    exit(1);
  }
}

/* While one batch is summed up, nothing of it is waited for. */
static uint64_t sum_picked(const row_t *table) {
  uint64_t sum = 0;
  for (uint32_t at = 0; at < PICKED; at += BATCH) {
    const void *rows[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
      rows[i] = &table[picked[at + i]];
    }
    cira_prefetch_batch(rows, BATCH);
    for (uint32_t i = 0; i < BATCH; i++) {
      sum += table[picked[at + i]].value;
    }
  }
  return sum;
}

static uint64_t sum_strided(const row_t *table) {
  const uint32_t step = 11;
  cira_prefetch_site_t site = {0};
  uint64_t sum = 0;
  for (uint32_t i = 0; i < ROWS; i += step) {
    cira_prefetch_adaptive(&site, &table[i], step * sizeof *table, 0);
    sum += table[i].value;
  }
  fprintf(stderr, "the site asked %llu pages ahead at last\n",
          (unsigned long long)site.distance);
  return sum;
}

int main(void) {
  cira_far_options_t opt = cira_far_options_default();
  opt.local_bytes = 4u << 20;
  need(cira_far_start(&opt) == CIRA_OK);
  row_t *table = cira_far_alloc(ROWS * sizeof *table, 4096);
  need(table != NULL);
  for (uint32_t i = 0; i < ROWS; i++) {
    table[i].value = i;
  }
  for (uint32_t i = 0; i < PICKED; i++) {
    picked[i] = (uint32_t)(i * UINT64_C(2654435761) % ROWS);
  }
  printf("picked rows: %llu\n", (unsigned long long)sum_picked(table));
  printf("every eleventh: %llu\n", (unsigned long long)sum_strided(table));
  cira_far_stats_t stats = {.size = sizeof stats};
  need(cira_far_stats(&stats) == CIRA_OK);
  fprintf(stderr, "waited %llu ms\n",
          (unsigned long long)stats.wait_ns / 1000000);
  need(cira_far_free(table) == CIRA_OK);
  return cira_far_stop() == CIRA_OK ? 0 : 1;
}
