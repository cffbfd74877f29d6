// SPDX-License-Identifier: Apache-2.0
// Thread-local variables of each model, in loops and from threads.
#include <pthread.h>
#include <stdio.h>

static __thread long mine = 3;
__thread int table[32];
__thread long initial __attribute__((tls_model("initial-exec"))) = 5;

static void *work(void *arg) {
  long k = (long)arg;
  for (int i = 0; i < 32; i++) {
    table[i] = (int)(i * k % 32);
  }
  for (int i = 0; i < 32; i++) {
    mine += table[table[i]] + initial;
    initial = mine % 11;
  }
  return (void *)mine;
}

int main(void) {
  for (long k = 1; k < 5; k++) {
    pthread_t thread;
    void *out;
    if (pthread_create(&thread, NULL, work, (void *)k) ||
        pthread_join(thread, &out)) {
      return 1;
    }
    printf("%ld ", (long)out);
  }
  printf("%ld\n", (long)work((void *)7));
  return 0;
}
