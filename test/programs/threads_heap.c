/* SPDX-License-Identifier: Apache-2.0
 * Threads that each own a block, rewrite it again and again and check it, while
 * others allocate and free: no content may get lost or mixed up. */
#include <pthread.h>

#include "common.h"

#define THREADS 4
#define WORDS (96u << 10) /* 768 KiB each */
#define ROUNDS 6

static uint64_t bad[THREADS];

static void *worker(void *arg) {
  size_t me = (size_t)arg;
  uint64_t *block = malloc(WORDS * sizeof(uint64_t));
  void *small[64] = {0};
  uint64_t seed = me * 7919 + 1;
  for (uint64_t i = 0; i < WORDS; i++) {
    block[i] = (i << 8) ^ me;
  }
  for (uint64_t round = 1; round <= ROUNDS; round++) {
    for (uint64_t k = 0; k < WORDS; k++) {
      uint64_t i = (k * 4099) % WORDS; /* every word once, out of order */
      if (block[i] != ((((round - 1) << 40) + (i << 8)) ^ me)) {
        bad[me]++;
      }
      block[i] = ((round << 40) + (i << 8)) ^ me;
      if (k % 512 == 0) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (seed >> 33) % 64;
        free(small[at]);
        small[at] = malloc((seed >> 40) % 9000 + 1);
        memset(small[at], (int)me, 1);
      }
    }
  }
  for (int i = 0; i < 64; i++) {
    free(small[i]);
  }
  free(block);
  return NULL;
}

int main(void) {
  pthread_t t[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    pthread_create(&t[i], NULL, worker, (void *)i);
  }
  for (size_t i = 0; i < THREADS; i++) {
    pthread_join(t[i], NULL);
    printf("thread %zu: %llu bad words\n", i, (unsigned long long)bad[i]);
  }
  return 0;
}
