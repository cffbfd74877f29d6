/* SPDX-License-Identifier: Apache-2.0
 *
 * Helpers, their queues, and every wait. One lock for all of it: a region is
 * worth microseconds, a hand-over costs a fraction of one. Whoever waits first
 * spins for a while, then sleeps under the lock, counted.
 */
#include "offload/offload.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "space/far.h"

#define JOBS 256u
#define INLINE_BYTES 192u
#define SPIN_NS 20000u
#define ALT_STACK_BYTES (128u << 10)
#define QUEUE_ANY CIRA_HELPERS_MAX

typedef struct job {
  struct job *next;
  void (*function)(void *);
  void *arguments;
  cira_thread_t *owner; /* of cira_offload_begin */
  _Atomic bool done;
  bool pooled; /* not on a caller's stack */
  _Alignas(16) uint8_t data[INLINE_BYTES];
} job_t;

typedef struct {
  job_t *head, *tail;
} queue_t;

/* Who sleeps, and until what. */
typedef struct waiter {
  struct waiter *next;
  bool (*done)(const void *);
  const void *arg;
} waiter_t;

static struct {
  pthread_mutex_t lock;
  pthread_cond_t work, change;
  uint32_t wanted, helpers; /* helpers: threads that run */
  bool stop;
  _Atomic bool started; /* written with the lock held */
  bool idle[CIRA_HELPERS_MAX];
  uint32_t idle_count;
  waiter_t *waiters;
  _Atomic uint32_t waiting; /* how many */
  _Atomic uint32_t queued;
  queue_t queue[CIRA_HELPERS_MAX + 1];
  job_t *free;
  job_t pool[JOBS];
  pthread_t thread[CIRA_HELPERS_MAX];
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .work = PTHREAD_COND_INITIALIZER,
            .change = PTHREAD_COND_INITIALIZER};
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

/* ---- waiting ------------------------------------------------------------- */

static bool any_runnable(void) {
  if (engine.idle_count > 0 && engine.queue[QUEUE_ANY].head != NULL) {
    return true;
  }
  for (uint32_t i = 0; i < engine.helpers; i++) {
    if (engine.idle[i] && engine.queue[i].head != NULL) {
      return true;
    }
  }
  return false;
}

/* Nobody is left who could change anything. Lock held. */
static bool all_wait(void) {
  uint32_t known = cira_thread_count();
  if (atomic_load(&engine.waiting) + engine.idle_count < known ||
      any_runnable()) {
    return false;
  }
  for (const waiter_t *w = engine.waiters; w != NULL; w = w->next) {
    if (w->done(w->arg)) {
      return false; /* it is about to wake up */
    }
  }
  return cira_thread_strangers(known) == 0;
}

CIRA_COLD static _Noreturn void stuck(const char *what) {
  uint32_t queued = atomic_load(&engine.queued);
  if (queued > 0) { /* one of them may be the one that signals */
    cira__misuse("%s: nobody is left who could signal: all %u threads of the "
                 "program wait, and regions that find no helper thread: %u; "
                 "signal each token before or beside its wait, or give more "
                 "helpers with --helpers or CIRA_HELPERS",
                 what, cira_thread_count(), queued);
  }
  cira__misuse("%s: nobody is left who could signal: all %u threads of the "
               "program wait and no region can run; signal each token before "
               "or beside its wait",
               what, cira_thread_count());
}

static void thread_ended(void) {
  pthread_mutex_lock(&engine.lock);
  if (atomic_load(&engine.waiting) > 0 && all_wait()) {
    stuck("a wait of another thread");
  }
  pthread_mutex_unlock(&engine.lock);
}

static void child_alone(void) {
  pthread_mutex_init(&engine.lock, NULL);
  pthread_cond_init(&engine.work, NULL);
  pthread_cond_init(&engine.change, NULL);
  engine.stop = false;
  atomic_store(&engine.started, false);
  engine.helpers = engine.idle_count = 0;
  atomic_store(&engine.waiting, 0);
  atomic_store(&engine.queued, 0);
  memset(engine.idle, 0, sizeof engine.idle);
  memset(engine.queue, 0, sizeof engine.queue);
  engine.waiters = NULL;
  engine.free = NULL;
  for (uint32_t i = 0; i < JOBS; i++) {
    engine.pool[i].next = engine.free;
    engine.free = &engine.pool[i];
  }
  if (cira__this_thread != NULL) {
    atomic_store(&cira__this_thread->jobs, 0);
  }
}

static void once(void) {
  child_alone();
  cira_thread_on_exit(thread_ended);
  pthread_atfork(NULL, NULL, child_alone);
}

static bool spin(bool (*done)(const void *), const void *arg) {
  uint64_t until = cira__now_ns() + SPIN_NS;
  do {
    for (int i = 0; i < 64; i++) {
      if (done(arg)) {
        return true;
      }
      cira__cpu_relax();
    }
  } while (cira__now_ns() < until);
  return false;
}

/* Sleeps until done(arg). Lock held. */
static void sleep_until(bool (*done)(const void *), const void *arg,
                        const char *what) {
  waiter_t me = {.next = engine.waiters, .done = done, .arg = arg};
  engine.waiters = &me;
  atomic_fetch_add(&engine.waiting, 1); /* pairs with: engine_wake */
  while (!done(arg)) {
    if (all_wait()) {
      stuck(what);
    }
    /* Not for ever: a thread that never calls us may end unseen. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_cond_timedwait(&engine.change, &engine.lock, &until);
  }
  atomic_fetch_sub(&engine.waiting, 1);
  waiter_t **at = &engine.waiters;
  while (*at != &me) {
    at = &(*at)->next;
  }
  *at = me.next;
}

void cira__engine_wait(bool (*done)(const void *), const void *arg,
                       const char *what) {
  pthread_once(&engine_once, once);
  cira__pressure_raise();
  if (!spin(done, arg)) {
    pthread_mutex_lock(&engine.lock);
    sleep_until(done, arg, what);
    pthread_mutex_unlock(&engine.lock);
  }
  atomic_fetch_sub(&cira__pressure, 1);
}

void cira__engine_wake(void) {
  if (atomic_load(&engine.waiting) > 0) {
    pthread_mutex_lock(&engine.lock);
    pthread_cond_broadcast(&engine.change);
    pthread_mutex_unlock(&engine.lock);
  }
}

/* ---- helpers ------------------------------------------------------------- */

static job_t *queue_pop(uint32_t index) {
  queue_t *q = &engine.queue[index];
  job_t *job = q->head;
  if (job != NULL) {
    q->head = job->next;
    atomic_fetch_sub(&engine.queued, 1);
    atomic_fetch_sub(&cira__pressure, 1);
  }
  return job;
}

/* The next job for helper `me`; NULL when the engine stops. */
static job_t *job_next(uint32_t me) {
  uint64_t until = cira__now_ns() + SPIN_NS;
  while (atomic_load(&engine.queued) == 0 && cira__now_ns() < until) {
    cira__cpu_relax();
  }
  pthread_mutex_lock(&engine.lock);
  job_t *job;
  while ((job = queue_pop(me)) == NULL &&
         (job = queue_pop(QUEUE_ANY)) == NULL && !engine.stop) {
    engine.idle[me] = true;
    engine.idle_count++;
    if (atomic_load(&engine.waiting) > 0) {
      pthread_cond_broadcast(&engine.change); /* they look who is left */
    }
    pthread_cond_wait(&engine.work, &engine.lock);
    engine.idle[me] = false;
    engine.idle_count--;
  }
  pthread_mutex_unlock(&engine.lock);
  return job;
}

static void job_run(job_t *job) {
  job->function(job->arguments);
  cira_thread_t *owner = job->owner;
  if (job->pooled) {
    if (job->arguments != job->data) {
      free(job->arguments);
    }
    pthread_mutex_lock(&engine.lock);
    job->next = engine.free;
    engine.free = job;
    pthread_mutex_unlock(&engine.lock);
    atomic_fetch_sub(&owner->jobs, 1);
  } else {
    atomic_store(&job->done, true); /* the caller's stack: gone from here on */
  }
  cira__engine_wake();
}

static void *helper_main(void *arg) {
  uint32_t me = (uint32_t)(uintptr_t)arg;
  stack_t ss = {.ss_size = ALT_STACK_BYTES};
  ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ss.ss_sp != MAP_FAILED) {
    sigaltstack(&ss, NULL); /* without it faults are handled on our stack */
  }
  cira_thread()->on_device = true;
  pthread_mutex_lock(&engine.lock);
  engine.helpers++;
  pthread_cond_broadcast(&engine.change);
  pthread_mutex_unlock(&engine.lock);
  job_t *job;
  while ((job = job_next(me)) != NULL) {
    job_run(job);
  }
  if (ss.ss_sp != MAP_FAILED) {
    ss.ss_flags = SS_DISABLE;
    sigaltstack(&ss, NULL);
    munmap(ss.ss_sp, ALT_STACK_BYTES);
  }
  return NULL;
}

/* Signals of the program are the program's: helpers take only their own. */
static int helper_create(uint32_t index) {
  sigset_t all, old;
  sigfillset(&all);
  static const int own[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
  for (size_t i = 0; i < CIRA_COUNT(own); i++) {
    sigdelset(&all, own[i]);
  }
  pthread_sigmask(SIG_SETMASK, &all, &old);
  if (cira__far.space != NULL) {
    cira_space_thread_add(cira__far.space);
  }
  int error = pthread_create(&engine.thread[index], NULL, helper_main,
                             (void *)(uintptr_t)index);
  if (error != 0 && cira__far.space != NULL) {
    cira_space_thread_remove(cira__far.space);
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return error;
}

static uint32_t helpers_default(void) {
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  return cpus >= 3 ? 2 : 1;
}

static uint32_t helpers_wanted(void) {
  if (engine.wanted != 0) {
    return engine.wanted;
  }
  const char *text = getenv("CIRA_HELPERS");
  uint64_t n = 0;
  if (text != NULL && *text != 0) {
    if (cira__parse_u64(text, "CIRA_HELPERS", CIRA_HELPERS_MAX, &n) !=
            CIRA_OK ||
        n == 0) {
      cira__misuse("CIRA_HELPERS=%s: give a number of helper threads from 1 to "
                   "%u",
                   text, CIRA_HELPERS_MAX);
    }
    return (uint32_t)n;
  }
  return helpers_default();
}

/* Starts the helpers and waits until they are there: as many as the system
 * gives, at least one. Returns CIRA_OK or CIRA_E_SYSTEM. Lock held. */
static cira_status_t engine_start(void) {
  uint32_t n = helpers_wanted();
  for (uint32_t i = 0; i < n; i++) {
    int error = helper_create(i);
    if (error != 0 && i == 0) {
      return cira__fail_errno(CIRA_E_SYSTEM, error,
                              "offload: no helper thread can be started; raise "
                              "the limit of processes");
    }
    if (error != 0) {
      n = i;
    }
  }
  while (engine.helpers < n) {
    pthread_cond_wait(&engine.change, &engine.lock);
  }
  atomic_store(&engine.started, true);
  return CIRA_OK;
}

cira_status_t cira_offload_start(void) {
  if (CIRA_LIKELY(
          atomic_load_explicit(&engine.started, memory_order_acquire))) {
    return CIRA_OK;
  }
  pthread_once(&engine_once, once);
  pthread_mutex_lock(&engine.lock);
  cira_status_t status =
      atomic_load(&engine.started) ? CIRA_OK : engine_start();
  pthread_mutex_unlock(&engine.lock);
  return status;
}

cira_status_t cira_offload_configure(uint32_t helpers) {
  if (helpers > CIRA_HELPERS_MAX) {
    return cira__fail(CIRA_E_INVALID, "%u helper threads: at most %u", helpers,
                      CIRA_HELPERS_MAX);
  }
  engine.wanted = helpers;
  return CIRA_OK;
}

void cira_offload_stop(void) {
  pthread_once(&engine_once, once);
  pthread_mutex_lock(&engine.lock);
  uint32_t n = atomic_load(&engine.started) ? engine.helpers : 0;
  engine.stop = true;
  pthread_cond_broadcast(&engine.work);
  pthread_mutex_unlock(&engine.lock);
  cira__pressure_raise(); /* who runs ahead stops */
  for (uint32_t i = 0; i < n; i++) {
    pthread_join(engine.thread[i], NULL);
    if (cira__far.space != NULL) {
      cira_space_thread_remove(cira__far.space);
    }
  }
  atomic_fetch_sub(&cira__pressure, 1);
  pthread_mutex_lock(&engine.lock);
  engine.stop = false;
  atomic_store(&engine.started, false);
  engine.helpers = 0;
  pthread_mutex_unlock(&engine.lock);
}

/* ---- regions ------------------------------------------------------------- */

static void not_on_device(const char *what) {
  if (cira_thread()->on_device) {
    cira__misuse("%s inside of an offload region: a device cannot %s; do it on "
                 "the host",
                 what, *what == 'b' ? "wait for itself" : "offload in turn");
  }
}

static bool job_free(const void *unused) {
  (void)unused;
  return engine.free != NULL; /* only asked with the lock held */
}

/* A free job; lock held. When all are taken, waits for one to end. */
static job_t *job_take(void) {
  if (!job_free(NULL)) {
    cira__pressure_raise();
    sleep_until(job_free, NULL, "offload");
    atomic_fetch_sub(&cira__pressure, 1);
  }
  job_t *job = engine.free;
  engine.free = job->next;
  return job;
}

/* Lock held. */
static void job_queue(job_t *job, int32_t core) {
  queue_t *q =
      &engine.queue[core < 0 ? QUEUE_ANY : (uint32_t)core % engine.helpers];
  job->next = NULL;
  if (q->head == NULL) {
    q->head = job;
  } else {
    q->tail->next = job;
  }
  q->tail = job;
  cira__pressure_raise();
  atomic_fetch_add(&engine.queued, 1);
  pthread_cond_broadcast(&engine.work);
}

static void engine_lock(void) {
  pthread_once(&engine_once, once);
  pthread_mutex_lock(&engine.lock);
  if (CIRA_UNLIKELY(!atomic_load(&engine.started)) &&
      engine_start() != CIRA_OK) {
    cira__misuse("%s", cira_status_detail());
  }
}

void cira_offload_begin(int32_t core, void (*function)(void *),
                        const void *arguments, uint64_t bytes) {
  not_on_device("offload");
  cira_thread_t *me = cira_thread();
  void *big = bytes > INLINE_BYTES ? malloc(bytes) : NULL;
  if (bytes > INLINE_BYTES && big == NULL) {
    cira__misuse("offload: no local memory for %llu bytes of arguments",
                 (unsigned long long)bytes);
  }
  engine_lock();
  job_t *job = job_take();
  job->function = function;
  job->arguments = big != NULL ? big : job->data;
  job->owner = me;
  job->pooled = true;
  if (bytes > 0) {
    memcpy(job->arguments, arguments, bytes);
  }
  atomic_fetch_add(&me->jobs, 1);
  job_queue(job, core);
  pthread_mutex_unlock(&engine.lock);
}

static bool job_done(const void *arg) {
  return atomic_load(&((const job_t *)arg)->done);
}

void cira_offload_call(int32_t core, void (*function)(void *),
                       void *arguments) {
  not_on_device("offload");
  job_t job = {.function = function, .arguments = arguments};
  engine_lock();
  job_queue(&job, core);
  pthread_mutex_unlock(&engine.lock);
  cira__engine_wait(job_done, &job, "offload");
}

static bool jobs_done(const void *arg) {
  return atomic_load(&((const cira_thread_t *)arg)->jobs) == 0;
}

void cira_offload_barrier(void) {
  not_on_device("barrier");
  cira_thread_t *me = cira_thread();
  if (!jobs_done(me)) {
    cira__engine_wait(jobs_done, me, "barrier");
  }
}
