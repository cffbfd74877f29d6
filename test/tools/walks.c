/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled code's streams by hand: the elements of an array by indices without
 * order, through a stream.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cira/abi.h"
#include "cira/far.h"

#define ELEMENTS 100000
#define WALK 20000

int main(void) {
  uint64_t sum = 0;
  if (cira_far_start(NULL) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  uint64_t *array = cira_far_alloc(ELEMENTS * sizeof *array * 8, 4096);
  static int32_t index[WALK];
  if (array == NULL) {
    return 1;
  }
  for (uint64_t i = 0; i < ELEMENTS; i++) {
    array[i * 8] = i; /* a line each */
  }
  for (uint64_t i = 0; i < WALK; i++) {
    index[i] = (int32_t)(i * 7919 % ELEMENTS);
  }
  void *stream = cira_abi_stream_indexed(array, 64, index, 4, 0, 1, WALK);
  cira_abi_front_t front = {0};
  for (uint64_t i = 0; i < WALK; i++) {
    if (front.left == 0) {
      cira_abi_stream_refill(stream, &front);
    }
    uint64_t value = **(uint64_t **)(void *)front.data;
    if (value != i * 7919 % ELEMENTS) {
      return 2;
    }
    sum += value;
    front.data += front.step;
    front.left--;
  }
  cira_abi_stream_release(stream);
  printf("%llu\n", (unsigned long long)sum);
  return 0;
}
