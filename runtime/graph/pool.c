/* SPDX-License-Identifier: Apache-2.0
 *
 * See pool.h. A job is published by raising `job`; who finishes last wakes the
 * caller. Both sides spin shortly before they sleep: rounds of a search follow
 * each other within microseconds.
 */
#include "graph/pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "space/far.h"

#define ALT_STACK_BYTES (128u << 10) /* 128 KiB, for the fault handler */
#define SPINS 2000u

struct cira__pool {
  uint32_t threads, started;
  void (*fn)(void *, uint32_t);
  void *argument;
  bool stop;
  _Atomic uint32_t job;     /* pairs with: wait_change in worker_main */
  _Atomic uint32_t running; /* pairs with: wait_change in pool_run */
  _Atomic uint32_t next_index;
  pthread_t *thread;
};

static void wake_all(_Atomic uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Returns the word's value once it is not `old`. */
static uint32_t wait_change(_Atomic uint32_t *word, uint32_t old) {
  uint32_t now = old;
  for (uint32_t i = 0; i < SPINS; i++) {
    now = atomic_load_explicit(word, memory_order_acquire);
    if (now != old) {
      return now;
    }
    cira__cpu_relax();
  }
  while ((now = atomic_load_explicit(word, memory_order_acquire)) == old) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
  }
  return now;
}

static void *worker_main(void *argument) {
  cira__pool_t *p = argument;
  uint32_t index = atomic_fetch_add(&p->next_index, 1), seen = 0;
  stack_t ss = {.ss_size = ALT_STACK_BYTES};
  ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ss.ss_sp != MAP_FAILED) {
    sigaltstack(&ss, NULL); /* without it faults are handled on our stack */
  }
  for (;;) {
    seen = wait_change(&p->job, seen);
    if (p->stop) {
      break;
    }
    p->fn(p->argument, index);
    if (atomic_fetch_sub_explicit(&p->running, 1, memory_order_acq_rel) == 1) {
      wake_all(&p->running);
    }
  }
  if (ss.ss_sp != MAP_FAILED) {
    ss.ss_flags = SS_DISABLE;
    sigaltstack(&ss, NULL);
    munmap(ss.ss_sp, ALT_STACK_BYTES);
  }
  return NULL;
}

/* Signals of the program are the program's: workers take only their own. The
 * shim, where there is one, counts threads itself. */
static int worker_create(cira__pool_t *p, uint32_t i) {
  sigset_t all, old;
  sigfillset(&all);
  static const int own[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
  for (size_t k = 0; k < CIRA_COUNT(own); k++) {
    sigdelset(&all, own[k]);
  }
  pthread_sigmask(SIG_SETMASK, &all, &old);
  if (cira__far.space != NULL) {
    cira_space_thread_add(cira__far.space);
  }
  int error = pthread_create(&p->thread[i], NULL, worker_main, p);
  if (error != 0 && cira__far.space != NULL) {
    cira_space_thread_remove(cira__far.space);
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return error;
}

cira_status_t cira__pool_create(uint32_t threads, cira__pool_t **out) {
  cira__pool_t *p = calloc(1, sizeof *p);
  if (p == NULL || (p->thread = calloc(threads, sizeof *p->thread)) == NULL) {
    free(p);
    return cira__fail(CIRA_E_NOMEM, "no memory for %u threads; use fewer",
                      threads);
  }
  p->threads = threads;
  p->next_index = 1;
  for (uint32_t i = 1; i < threads; i++) {
    int error = worker_create(p, i);
    if (error != 0) {
      cira__pool_destroy(p);
      return cira__fail_errno(CIRA_E_SYSTEM, error,
                              "thread %u of %u cannot be started; use fewer", i,
                              threads);
    }
    p->started++;
  }
  *out = p;
  return CIRA_OK;
}

void cira__pool_destroy(cira__pool_t *p) {
  if (p == NULL) {
    return;
  }
  p->stop = true;
  atomic_fetch_add_explicit(&p->job, 1, memory_order_release);
  wake_all(&p->job);
  for (uint32_t i = 1; i <= p->started; i++) {
    pthread_join(p->thread[i], NULL);
    if (cira__far.space != NULL) {
      cira_space_thread_remove(cira__far.space);
    }
  }
  free(p->thread);
  free(p);
}

uint32_t cira__pool_threads(const cira__pool_t *p) {
  return p->threads;
}

void cira__pool_run(cira__pool_t *p, void (*fn)(void *, uint32_t),
                    void *argument) {
  if (p->threads == 1) {
    fn(argument, 0);
    return;
  }
  p->fn = fn;
  p->argument = argument;
  atomic_store_explicit(&p->running, p->threads, memory_order_relaxed);
  atomic_fetch_add_explicit(&p->job, 1, memory_order_release);
  wake_all(&p->job);
  fn(argument, 0);
  uint32_t left =
      atomic_fetch_sub_explicit(&p->running, 1, memory_order_acq_rel) - 1;
  while (left != 0) {
    left = wait_change(&p->running, left);
  }
}
