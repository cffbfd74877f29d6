/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests without threads or tasks: begin several, do something else, take
 * the results. A batch, an atomic counter in far memory, the first of two, and
 * a function that is called when all is done.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cira/async.h"
#include "cira/far.h"

#define ROWS 1000u
#define ROW_BYTES 8192u

static void need(cira_status_t status) {
  if (status != CIRA_OK) {
    fprintf(stderr, "%s: %s\n", cira_status_name(status), cira_status_detail());
    exit(1);
  }
}

static void when_done(void *argument, cira_status_t status, uint64_t value) {
  (void)value;
  printf("%s: %s\n", (const char *)argument, cira_status_name(status));
}

int main(void) {
  cira_far_options_t opt = cira_far_options_default();
  opt.local_bytes = 1u << 20;
  need(cira_far_start(&opt));
  uint8_t *table = cira_far_alloc((uint64_t)ROWS * ROW_BYTES, 4096);
  uint64_t *counter = cira_far_alloc(sizeof *counter, 0);
  if (table == NULL || counter == NULL) {
    need(CIRA_E_NOMEM);
  }
  for (uint64_t i = 0; i < ROWS; i++) {
    *(uint64_t *)(void *)(table + i * ROW_BYTES) = i * i;
  }

  /* the head of every tenth row: one request, no page comes here for it */
  uint64_t head[ROWS / 10], sum = 0;
  cira_async_piece_t piece[ROWS / 10];
  for (uint64_t i = 0; i < ROWS / 10; i++) {
    piece[i] = (cira_async_piece_t){.far = table + 10 * i * ROW_BYTES,
                                    .local = &head[i],
                                    .bytes = sizeof head[i]};
  }
  cira_async_t heads = {0}, count = {0}, both = {0}, first = {0}, second = {0},
               one = {0};
  need(cira_async_gather(&heads, piece, ROWS / 10));
  need(cira_async_fetch_add(&count, counter, 5));
  cira_async_t *parts[] = {&heads, &count};
  need(cira_async_when_all(&both, parts, 2));
  need(cira_async_then(&both, when_done, "batch and counter"));
  /* ... something else meanwhile ... */
  need(cira_async_await(&both, CIRA_FOREVER, NULL));
  for (uint64_t i = 0; i < ROWS / 10; i++) {
    sum += head[i];
  }
  uint64_t before = 99;
  need(cira_async_await(&heads, CIRA_NO_WAIT, NULL)); /* done: no wait */
  need(cira_async_await(&count, CIRA_NO_WAIT, &before));
  printf("sum %llu, counter was %llu\n", (unsigned long long)sum,
         (unsigned long long)before);

  /* whichever comes first */
  cira_async_t *two[] = {&first, &second};
  uint64_t which, value;
  need(cira_async_load(&first, table + 7 * ROW_BYTES, NULL, 8));
  need(cira_async_load(&second, table + 7 * ROW_BYTES, NULL, 8));
  need(cira_async_when_any(&one, two, 2));
  need(cira_async_await(&one, CIRA_FOREVER, &which));
  need(cira_async_await(two[which], CIRA_FOREVER, &value));
  need(cira_async_await(two[1 - which], CIRA_FOREVER, NULL));
  printf("row 7: %llu\n", (unsigned long long)value);
  return cira_far_stop() == CIRA_OK ? 0 : 1;
}
