/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens: a table of counters. Odd: created, not signalled; even: free. A token
 * is (counter << 16 | index), so whoever holds an old one finds another counter
 * there, and that means signalled.
 */
#include "offload/offload.h"

#define TOKENS_LOG2 16
#define TOKENS (1u << TOKENS_LOG2)
#define PROBES 4096u

static _Atomic uint64_t table[TOKENS]; /* 512 KiB, touched as used */
static _Atomic uint32_t next_index;

int64_t cira_token_create(void) {
  cira_thread();
  for (uint32_t i = 0; i < PROBES; i++) {
    uint32_t index =
        atomic_fetch_add_explicit(&next_index, 1, memory_order_relaxed) %
        TOKENS;
    uint64_t value = atomic_load_explicit(&table[index], memory_order_relaxed);
    if ((value & 1) == 0 &&
        atomic_compare_exchange_strong(&table[index], &value, value + 1)) {
      return (int64_t)((value + 1) << TOKENS_LOG2 | index);
    }
  }
  cira__misuse("sync_token_create: %u tokens were made and never signalled; "
               "signal each token, or make fewer",
               TOKENS);
}

static uint64_t value_of(int64_t token) {
  return (uint64_t)token >> TOKENS_LOG2;
}

static _Atomic uint64_t *place_of(int64_t token) {
  return &table[token & (TOKENS - 1)];
}

static void check(int64_t token, const char *op) {
  if (token <= 0 || (value_of(token) & 1) == 0) {
    cira__misuse("%s: %llx is no token; make one with sync_token_create", op,
                 (long long)token);
  }
}

void cira_token_signal(int64_t token) {
  cira_thread();
  check(token, "sync_token_signal");
  uint64_t value = value_of(token);
  if (!atomic_compare_exchange_strong(place_of(token), &value, value + 1)) {
    cira__misuse("sync_token_signal: token %llx was signalled before; a token "
                 "is signalled once: make a new one",
                 (long long)token);
  }
  cira__engine_wake();
}

static bool signalled(const void *arg) {
  int64_t token = *(const int64_t *)arg;
  return atomic_load(place_of(token)) != value_of(token);
}

void cira_token_wait(int64_t token) {
  cira_thread();
  check(token, "sync_token_wait");
  if (!signalled(&token)) {
    cira__engine_wait(signalled, &token, "sync_token_wait");
  }
}
