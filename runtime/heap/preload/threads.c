/* SPDX-License-Identifier: Apache-2.0
 *
 * threads: every thread of the program gets an alternate signal stack (faults
 * of a thread whose stack is far are handled there), a far arena, and is
 * counted by the pager. Stacks that the program puts into far memory stay
 * pinned at their top, where the C library keeps the thread's descriptor, its
 * TLS and the rseq area: the kernel writes those whenever it likes.
 *
 * A record per thread lies in the same mapping as its alternate stack:
 *
 *   | guard | alternate stack, 256 KiB | guard | near stack, 128 KiB | record |
 *
 * The near stack is for runtime code called from a far one (shim.h).
 *
 * A thread's memory can be touched until its very last instruction, by other
 * keys' destructors and by the kernel. So nothing is undone by the thread
 * itself: it is marked as ending, and whoever starts or joins a thread later
 * reaps the records whose kernel thread is gone.
 *
 * Threads: any. The list lock is held with signals blocked.
 */
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "heap/heap.h"
#include "heap/preload/shim.h"

#define ALT_BYTES (UINT64_C(256) << 10)  /* 256 KiB */
#define NEAR_BYTES (UINT64_C(128) << 10) /* 128 KiB */
#define RECORD_BYTES (ALT_BYTES + NEAR_BYTES + 3 * CIRA_PAGE_BYTES)
#define SPARE_MAX 64u

typedef struct record {
  struct record *next;
  void *(*start)(void *);
  int (*start_c11)(void *);
  void *argument;
  _Atomic pid_t tid; /* 0 before it runs */
  _Atomic bool ending;
  uint32_t rounds; /* of its key's destructor */
  pthread_t handle;
  const void *pinned; /* top of a far stack */
  uint64_t pinned_bytes;
} record_t;

static cira_lock_t records_lock;
static record_t *records; /* of threads that live or end */
static record_t *spares;
static uint32_t spare_count;
static pthread_key_t record_key;
static bool threads_ready;

static char *record_map(record_t *r) {
  return (char *)r - (RECORD_BYTES - CIRA_PAGE_BYTES);
}

static void record_stacks_install(record_t *r) {
  shim_altstack_install(record_map(r) + CIRA_PAGE_BYTES, ALT_BYTES);
  shim_near_stack_install(r); /* grows down from the record */
}

static record_t *record_new(void) {
  uint64_t blocked = cira__signals_block();
  cira__lock(&records_lock);
  record_t *r = spares;
  if (r != NULL) {
    spares = r->next;
    spare_count--;
  }
  cira__unlock(&records_lock);
  cira__signals_restore(blocked);
  if (r == NULL) {
    char *map = shim_near_map(RECORD_BYTES);
    if (map == NULL) {
      return NULL;
    }
    mprotect(map, CIRA_PAGE_BYTES, PROT_NONE);
    mprotect(map + CIRA_PAGE_BYTES + ALT_BYTES, CIRA_PAGE_BYTES, PROT_NONE);
    r = (record_t *)(void *)(map + RECORD_BYTES - CIRA_PAGE_BYTES);
  }
  memset(r, 0, sizeof(*r));
  return r;
}

static void record_list(record_t *r) {
  uint64_t blocked = cira__signals_block();
  cira__lock(&records_lock);
  r->next = records;
  records = r;
  cira__unlock(&records_lock);
  cira__signals_restore(blocked);
}

/* Undoes everything of a thread that is gone; r is not listed any more. */
static void record_retire(record_t *r) {
  if (r->pinned_bytes > 0) {
    shim_unpin(r->pinned, r->pinned_bytes);
  }
  cira_space_thread_remove(cira__space);
  uint64_t blocked = cira__signals_block();
  cira__lock(&records_lock);
  bool keep = spare_count < SPARE_MAX;
  if (keep) {
    r->next = spares;
    spares = r;
    spare_count++;
  }
  cira__unlock(&records_lock);
  cira__signals_restore(blocked);
  if (!keep) {
    shim_near_unmap(record_map(r), RECORD_BYTES);
  }
}

static bool record_gone(const record_t *r, pthread_t joined, bool any_joined) {
  if (any_joined && pthread_equal(r->handle, joined)) {
    return atomic_load(&r->tid) != 0;
  }
  return atomic_load(&r->ending) &&
         syscall(SYS_tgkill, getpid(), atomic_load(&r->tid), 0) != 0;
}

/* Retires the records of threads that ended: the one just joined, and those
 * that the kernel does not know any more. */
static void records_reap(pthread_t joined, bool any_joined) {
  record_t *gone = NULL;
  uint64_t blocked = cira__signals_block();
  cira__lock(&records_lock);
  for (record_t **at = &records; *at != NULL;) {
    record_t *r = *at;
    if (record_gone(r, joined, any_joined)) {
      *at = r->next;
      r->next = gone;
      gone = r;
    } else {
      at = &r->next;
    }
  }
  cira__unlock(&records_lock);
  cira__signals_restore(blocked);
  while (gone != NULL) {
    record_t *next = gone->next;
    record_retire(gone);
    gone = next;
  }
}

/* ---- life of a thread --------------------------------------------------- */

static void thread_begin(record_t *r) {
  record_stacks_install(r);
  atomic_store(&r->tid, (pid_t)syscall(SYS_gettid));
  pthread_setspecific(record_key, r);
  shim_near_call((void *)(uintptr_t)cira_heap_thread_start, 0, 0, 0, 0);
}

/* Runs in each round of key destructors; the last round is the end, so that
 * other keys' destructors still find the heap as it was. */
static void thread_end(void *value) {
  record_t *r = value;
  r->rounds++;
  if (r->rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
    pthread_setspecific(record_key, r);
    return;
  }
  shim_near_call((void *)(uintptr_t)cira_heap_thread_exit, 0, 0, 0, 0);
  atomic_store(&r->ending, true);
}

static void *thread_main(void *argument) {
  record_t *r = argument;
  thread_begin(r);
  return r->start(r->argument);
}

static int thread_main_c11(void *argument) {
  record_t *r = argument;
  thread_begin(r);
  return r->start_c11(r->argument);
}

/* ---- far stacks --------------------------------------------------------- */

size_t __pthread_get_minstack(const pthread_attr_t *attr);

/* Pins what the C library and the kernel keep at the top of a far stack. */
static bool stack_top_pin(record_t *r, const pthread_attr_t *attr) {
  void *stack = NULL;
  size_t bytes = 0;
  if (attr == NULL || pthread_attr_getstack(attr, &stack, &bytes) != 0 ||
      bytes == 0) {
    return true;
  }
  const char *top = (const char *)stack + bytes;
  if (!cira_space_contains(top - 1)) {
    return true;
  }
  /* Static TLS and the descriptor fit into what the C library adds to the
   * smallest stack; one page more for the first frames. */
  uint64_t need =
      __pthread_get_minstack(attr) - PTHREAD_STACK_MIN + 2 * CIRA_PAGE_BYTES;
  if (need > bytes) {
    need = bytes;
  }
  uint64_t got = shim_pin(top - need, need, CIRA_PIN_READ | CIRA_PIN_WRITE);
  r->pinned = top - need;
  r->pinned_bytes = got;
  return got == need;
}

/* ---- starting ----------------------------------------------------------- */

static void start_undo(record_t *r) {
  uint64_t blocked = cira__signals_block();
  cira__lock(&records_lock);
  for (record_t **at = &records; *at != NULL; at = &(*at)->next) {
    if (*at == r) {
      *at = r->next;
      break;
    }
  }
  cira__unlock(&records_lock);
  cira__signals_restore(blocked);
  record_retire(r);
}

static record_t *start_prepare_near(void) {
  records_reap(0, false);
  record_t *r = record_new();
  if (r != NULL) {
    record_list(r);
    cira_space_thread_add(cira__space);
  }
  return r;
}

/* Locks are held with signals blocked: not on a far stack. */
static record_t *start_prepare(void) {
  return (record_t *)shim_near_call((void *)(uintptr_t)start_prepare_near, 0, 0,
                                    0, 0);
}

SHIM_SLOT(pthread_create);
SHIM_EXPORT int pthread_create(pthread_t *restrict out,
                               const pthread_attr_t *restrict attr,
                               void *(*start)(void *),
                               void *restrict argument) {
  if (!threads_ready || shim_is_own_code(__builtin_return_address(0))) {
    return REAL(pthread_create)(out, attr, start, argument);
  }
  record_t *r = start_prepare();
  if (r == NULL) {
    return EAGAIN;
  }
  r->start = start;
  r->argument = argument;
  /* The C library reads the attributes with all signals blocked, and so does
   * it write the handle: neither may fault then. */
  pthread_attr_t near_attr;
  if (attr != NULL) {
    memcpy(&near_attr, attr, sizeof(near_attr));
  }
  int error = EAGAIN;
  if (stack_top_pin(r, attr)) {
    pthread_t *where = out;
    shim_area_t areas[] = {OUT(where, sizeof(*where))};
    SHIM_GUARD(areas);
    error = REAL(pthread_create)(where, attr != NULL ? &near_attr : NULL,
                                 thread_main, r);
    if (error == 0) {
      /* A detached thread may be gone already, but not its record: it is
       * reaped by others only with a tid that the kernel has forgotten. */
      r->handle = *where;
    }
  }
  if (error != 0) {
    shim_near_call((void *)(uintptr_t)start_undo, SHIM_WORD(r), 0, 0, 0);
  }
  return error;
}

SHIM_SLOT(thrd_create);
SHIM_EXPORT int thrd_create(thrd_t *out, thrd_start_t start, void *argument) {
  if (!threads_ready) {
    return REAL(thrd_create)(out, start, argument);
  }
  record_t *r = start_prepare();
  if (r == NULL) {
    return thrd_nomem;
  }
  r->start_c11 = start;
  r->argument = argument;
  thrd_t *where = out;
  shim_area_t areas[] = {OUT(where, sizeof(*where))};
  SHIM_GUARD(areas);
  int result = REAL(thrd_create)(where, thread_main_c11, r);
  if (result == thrd_success) {
    r->handle = *where;
  } else {
    shim_near_call((void *)(uintptr_t)start_undo, SHIM_WORD(r), 0, 0, 0);
  }
  return result;
}

/* ---- joining ------------------------------------------------------------ */

static int joined(int error, pthread_t thread) {
  if (error == 0 && threads_ready) {
    shim_near_call((void *)(uintptr_t)records_reap, thread, true, 0, 0);
  }
  return error;
}

SHIM_SLOT(pthread_join);
SHIM_EXPORT int pthread_join(pthread_t thread, void **result) {
  void *value = NULL;
  int error = joined(REAL(pthread_join)(thread, &value), thread);
  if (error == 0 && result != NULL) {
    *result = value;
  }
  return error;
}

SHIM_SLOT(pthread_tryjoin_np);
SHIM_EXPORT int pthread_tryjoin_np(pthread_t thread, void **result) {
  return joined(REAL(pthread_tryjoin_np)(thread, result), thread);
}

SHIM_SLOT(pthread_timedjoin_np);
SHIM_EXPORT int pthread_timedjoin_np(pthread_t thread, void **result,
                                     const struct timespec *until) {
  const struct timespec *at = until;
  shim_area_t areas[] = {IN(at, at != NULL ? sizeof(*at) : 0)};
  SHIM_GUARD(areas);
  return joined(REAL(pthread_timedjoin_np)(thread, result, at), thread);
}

SHIM_SLOT(pthread_clockjoin_np);
SHIM_EXPORT int pthread_clockjoin_np(pthread_t thread, void **result,
                                     clockid_t clock,
                                     const struct timespec *until) {
  const struct timespec *at = until;
  shim_area_t areas[] = {IN(at, at != NULL ? sizeof(*at) : 0)};
  SHIM_GUARD(areas);
  return joined(REAL(pthread_clockjoin_np)(thread, result, clock, at), thread);
}

SHIM_SLOT(thrd_join);
SHIM_EXPORT int thrd_join(thrd_t thread, int *result) {
  int error = REAL(thrd_join)(thread, result);
  joined(error == thrd_success ? 0 : EINVAL, thread);
  return error;
}

/* ---- the process -------------------------------------------------------- */

void shim_threads_count_hidden(void) {
  if (threads_ready) {
    cira_space_thread_add(cira__space);
  }
}

void shim_threads_init(void) {
  record_t *r = record_new();
  if (r == NULL || pthread_key_create(&record_key, thread_end) != 0) {
    cira__log(CIRA_LOG_ERROR, "no memory for the signal stack of the first "
                              "thread; raise the limit on memory");
    _exit(CIRA_EXIT_FAR);
  }
  record_stacks_install(r);
  threads_ready = true;
}

/* Only the forking thread is left: the others' records are dropped with their
 * pins (the pager's child starts without any), their stacks are reused. */
void shim_threads_child(void) {
  record_t *self = pthread_getspecific(record_key);
  record_t *r = records;
  records = NULL;
  memset(&records_lock, 0, sizeof(records_lock));
  while (r != NULL) {
    record_t *next = r->next;
    if (r == self) {
      r->next = NULL;
      records = r;
      atomic_store(&r->tid, (pid_t)syscall(SYS_gettid));
      if (r->pinned_bytes > 0) {
        r->pinned_bytes = shim_pin(r->pinned, r->pinned_bytes,
                                   CIRA_PIN_READ | CIRA_PIN_WRITE);
      }
    } else {
      r->next = spares;
      spares = r;
      spare_count++;
    }
    r = next;
  }
}
