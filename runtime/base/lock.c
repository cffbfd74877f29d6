/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock that signal handlers may take, and the signal mask by direct system
 * call. Three-state futex mutex: 0 free, 1 held, 2 held with (maybe) sleepers.
 */
#include "base/base.h"
#include "base/sys.h"

#include <linux/futex.h>

#define SPINS 128 /* about 5 us of pause before sleeping */

bool cira__trylock(cira_lock_t *lock) {
  uint32_t free = 0;
  return atomic_compare_exchange_strong_explicit(
      &lock->word, &free, 1, memory_order_acquire, memory_order_relaxed);
}

void cira__lock(cira_lock_t *lock) {
  for (unsigned i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
        cira__trylock(lock)) {
      return;
    }
    cira__cpu_relax();
  }
  /* From here on the word says 2 while we hold it: there may be others asleep
   * that we do not know of. */
  while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0) {
    (void)cira__sys_futex(&lock->word, FUTEX_WAIT_PRIVATE, 2);
  }
}

void cira__unlock(cira_lock_t *lock) {
  if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2) {
    (void)cira__sys_futex(&lock->word, FUTEX_WAKE_PRIVATE, 1);
  }
}

uint64_t cira__signals_block(void) {
  uint64_t all = ~0ull;
  uint64_t saved = 0;
  (void)cira__sys_sigprocmask(SIG_SETMASK, &all, &saved);
  return saved;
}

void cira__signals_restore(uint64_t saved) {
  (void)cira__sys_sigprocmask(SIG_SETMASK, &saved, NULL);
}
