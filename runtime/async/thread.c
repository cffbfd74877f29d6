/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of threads, see thread.h. Records that were given back are used again
 * (with their requests and generations, so old tickets stay old).
 */
#include "async/thread.h"

#include "base/sys.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOOKS_MAX 4u

_Thread_local cira_thread_t *cira__this_thread;
_Atomic uint32_t cira__pressure;
_Atomic uint32_t cira__ahead_turn, cira__ahead_sleepers;
bool cira__checked;
static uint32_t baseline; /* strangers that do not count */

static struct {
  pthread_mutex_t lock;
  pthread_once_t once;
  pthread_key_t key;
  _Atomic(cira_thread_t *) record[CIRA_THREADS_MAX];
  uint32_t made;
  uint32_t idle[CIRA_THREADS_MAX]; /* stack of records without a thread */
  uint32_t idle_count;
  _Atomic uint32_t live;
  void (*hook[HOOKS_MAX])(void);
  uint32_t hooks;
} threads = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

void cira__misuse(const char *fmt, ...) {
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  cira__vformat(text, sizeof text, fmt, ap);
  va_end(ap);
  cira__log(CIRA_LOG_ERROR, "%s", text);
  _exit(CIRA_EXIT_MISUSE);
}

void cira__ahead_wake_all(void) {
  atomic_fetch_add(&cira__ahead_turn, 1);
  (void)cira__sys_futex(&cira__ahead_turn, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

static void thread_end(void *record) {
  cira_thread_t *t = record;
  pthread_mutex_lock(&threads.lock);
  threads.idle[threads.idle_count++] = t->index;
  atomic_fetch_sub(&threads.live, 1);
  pthread_mutex_unlock(&threads.lock);
  cira__this_thread = NULL;
  for (uint32_t i = 0; i < threads.hooks; i++) {
    threads.hook[i]();
  }
}

/* Only the forking thread lives on in a child: all other records are free. */
static void child_alone(void) {
  pthread_mutex_init(&threads.lock, NULL);
  threads.idle_count = 0;
  for (uint32_t i = 0; i < threads.made; i++) {
    cira_thread_t *t = atomic_load(&threads.record[i]);
    if (t != NULL && t != cira__this_thread) { /* NULL: it was being made */
      atomic_store(&t->jobs, 0);
      threads.idle[threads.idle_count++] = i;
    }
  }
  atomic_store(&threads.live, cira__this_thread != NULL);
  atomic_store(&cira__pressure, 0);
  atomic_store(&cira__ahead_sleepers, 0);
  baseline = 0;
}

static void once(void) {
  pthread_key_create(&threads.key, thread_end);
  pthread_atfork(NULL, NULL, child_alone);
}

static cira_thread_t *record_take(void) {
  if (threads.idle_count > 0) {
    uint32_t index = threads.idle[--threads.idle_count];
    return atomic_load(&threads.record[index]);
  }
  if (threads.made == CIRA_THREADS_MAX) {
    cira__misuse("more than %u threads run compiled code at once; use fewer",
                 CIRA_THREADS_MAX);
  }
  void *p = mmap(NULL, sizeof(cira_thread_t), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    cira__misuse("no local memory for the record of a thread; give the "
                 "process more");
  }
  cira_thread_t *t = p;
  t->index = threads.made++;
  atomic_store_explicit(&threads.record[t->index], t, memory_order_release);
  return t;
}

cira_thread_t *cira__thread_new(void) {
  pthread_once(&threads.once, once);
  pthread_mutex_lock(&threads.lock);
  cira_thread_t *t = record_take();
  t->on_device = false; /* jobs stays: the last owner's may still run */
  atomic_fetch_add(&threads.live, 1);
  pthread_mutex_unlock(&threads.lock);
  pthread_setspecific(threads.key, t);
  cira__this_thread = t;
  return t;
}

cira_thread_t *cira_thread_at(uint32_t index) {
  return index < CIRA_THREADS_MAX ? atomic_load_explicit(&threads.record[index],
                                                         memory_order_acquire)
                                  : NULL;
}

uint32_t cira_thread_count(void) {
  return atomic_load(&threads.live);
}

/* Threads of the process, as /proc counts them; 0 when it does not say. */
static uint32_t tasks(void) {
  struct stat st;
  return stat("/proc/self/task", &st) == 0 && st.st_nlink > 2
             ? (uint32_t)st.st_nlink - 2
             : 0;
}

uint32_t cira_thread_strangers(uint32_t known) {
  uint32_t all = tasks(), others = known + baseline;
  return all > others ? all - others : 0;
}

void cira_thread_baseline(void) {
  baseline = 0;
  baseline = cira_thread_strangers(cira_thread_count());
}

void cira_thread_on_exit(void (*hook)(void)) {
  pthread_mutex_lock(&threads.lock);
  if (threads.hooks < HOOKS_MAX) {
    threads.hook[threads.hooks++] = hook;
  }
  pthread_mutex_unlock(&threads.lock);
}

/* Before main, so that the first call is checked already. */
__attribute__((constructor)) static void check_from_environment(void) {
  const char *text = getenv("CIRA_CHECK");
  cira__checked = text != NULL && *text != 0 && strcmp(text, "0") != 0;
}
