/* SPDX-License-Identifier: Apache-2.0
 *
 * locks: mutexes, conditions, semaphores and barriers that lie in far memory.
 * Waiting hands their address to the kernel, and the C library aborts when that
 * page is not here. So: try in user mode first, and only a call that will wait
 * pins the object's pages for its time. Waking needs no page (private futexes
 * go by address). Objects in near memory go straight through.
 * Threads: any.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#include "heap/preload/shim.h"

#define MUTEX_PRIO_INHERIT 0x20 /* kernel-managed word, see mutex kind bits */

/* Deadlines go to the kernel by the caller's pointer: give it a near one. */
#define NEAR_TIME(name, from)                                                  \
  struct timespec name##_copy;                                                 \
  const struct timespec *name = (from);                                        \
  if (shim_far(name)) {                                                        \
    name##_copy = *(from);                                                     \
    name = &name##_copy;                                                       \
  }

/* ---- mutexes ------------------------------------------------------------ */

SHIM_SLOT(pthread_mutex_lock);
SHIM_SLOT(pthread_mutex_trylock);
SHIM_SLOT(pthread_mutex_unlock);
SHIM_SLOT(pthread_mutex_timedlock);
SHIM_SLOT(pthread_mutex_clocklock);

static bool mutex_in_kernel(const pthread_mutex_t *m) {
  return (m->__data.__kind & MUTEX_PRIO_INHERIT) != 0;
}

/* Result of a trylock in user mode; EBUSY when the kernel may be needed. */
static int mutex_try(pthread_mutex_t *m) {
  return mutex_in_kernel(m) ? EBUSY : REAL(pthread_mutex_trylock)(m);
}

CIRA_COLD static int mutex_lock_far(pthread_mutex_t *m) {
  int error = mutex_try(m);
  if (error != EBUSY) {
    return error;
  }
  shim_area_t areas[] = {INOUT(m, sizeof(*m))};
  SHIM_GUARD(areas);
  error = REAL(pthread_mutex_lock)(areas[0].home);
  return error;
}

SHIM_EXPORT int pthread_mutex_lock(pthread_mutex_t *m) {
  return shim_far(m) ? mutex_lock_far(m) : REAL(pthread_mutex_lock)(m);
}

SHIM_EXPORT int pthread_mutex_trylock(pthread_mutex_t *m) {
  if (!shim_far(m) || !mutex_in_kernel(m)) {
    return REAL(pthread_mutex_trylock)(m);
  }
  shim_area_t areas[] = {INOUT(m, sizeof(*m))};
  SHIM_GUARD(areas);
  int error = REAL(pthread_mutex_trylock)(areas[0].home);
  return error;
}

SHIM_EXPORT int pthread_mutex_unlock(pthread_mutex_t *m) {
  if (!shim_far(m) || !mutex_in_kernel(m)) {
    return REAL(pthread_mutex_unlock)(m);
  }
  shim_area_t areas[] = {INOUT(m, sizeof(*m))};
  SHIM_GUARD(areas);
  int error = REAL(pthread_mutex_unlock)(areas[0].home);
  return error;
}

/* Objects shared between threads cannot be stood in for by a copy: `home` is
 * the real one. Without room to pin, the wait may fail; it cannot go wrong. */
#define LOCK_TIMED(name, type, try_call, params, args)                         \
  SHIM_EXPORT int name params {                                                \
    NEAR_TIME(at, until);                                                      \
    if (CIRA_LIKELY(!(shim_far(object) | SHIM_FAR_STACK()))) {                 \
      return REAL(name) args;                                                  \
    }                                                                          \
    int error = (try_call);                                                    \
    if (error != EBUSY) {                                                      \
      return error;                                                            \
    }                                                                          \
    type *pinned = object;                                                     \
    shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};                    \
    SHIM_GUARD(areas);                                                         \
    error = REAL(name) args;                                                   \
    return error;                                                              \
  }

LOCK_TIMED(pthread_mutex_timedlock, pthread_mutex_t, mutex_try(object),
           (pthread_mutex_t *restrict object,
            const struct timespec *restrict until),
           (object, at))
LOCK_TIMED(pthread_mutex_clocklock, pthread_mutex_t, mutex_try(object),
           (pthread_mutex_t *restrict object, clockid_t clock,
            const struct timespec *restrict until),
           (object, clock, at))

/* ---- read-write locks --------------------------------------------------- */

SHIM_SLOT(pthread_rwlock_rdlock);
SHIM_SLOT(pthread_rwlock_wrlock);
SHIM_SLOT(pthread_rwlock_timedrdlock);
SHIM_SLOT(pthread_rwlock_timedwrlock);
SHIM_SLOT(pthread_rwlock_clockrdlock);
SHIM_SLOT(pthread_rwlock_clockwrlock);

#define LOCK_RW(name, try_call)                                                \
  SHIM_EXPORT int name(pthread_rwlock_t *l) {                                  \
    if (!shim_far(l)) {                                                        \
      return REAL(name)(l);                                                    \
    }                                                                          \
    int error = try_call(l);                                                   \
    if (error != EBUSY) {                                                      \
      return error;                                                            \
    }                                                                          \
    pthread_rwlock_t *pinned = l;                                              \
    shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};                    \
    SHIM_GUARD(areas);                                                         \
    error = REAL(name)(l);                                                     \
    return error;                                                              \
  }

LOCK_RW(pthread_rwlock_rdlock, pthread_rwlock_tryrdlock)
LOCK_RW(pthread_rwlock_wrlock, pthread_rwlock_trywrlock)

#define RW_TIMED_PARAMS                                                        \
  (pthread_rwlock_t *restrict object, const struct timespec *restrict until)
#define RW_CLOCK_PARAMS                                                        \
  (pthread_rwlock_t *restrict object, clockid_t clock,                         \
   const struct timespec *restrict until)
LOCK_TIMED(pthread_rwlock_timedrdlock, pthread_rwlock_t,
           pthread_rwlock_tryrdlock(object), RW_TIMED_PARAMS, (object, at))
LOCK_TIMED(pthread_rwlock_timedwrlock, pthread_rwlock_t,
           pthread_rwlock_trywrlock(object), RW_TIMED_PARAMS, (object, at))
LOCK_TIMED(pthread_rwlock_clockrdlock, pthread_rwlock_t,
           pthread_rwlock_tryrdlock(object), RW_CLOCK_PARAMS,
           (object, clock, at))
LOCK_TIMED(pthread_rwlock_clockwrlock, pthread_rwlock_t,
           pthread_rwlock_trywrlock(object), RW_CLOCK_PARAMS,
           (object, clock, at))

/* ---- condition variables ------------------------------------------------ */

SHIM_SLOT(pthread_cond_wait);
SHIM_SLOT(pthread_cond_timedwait);
SHIM_SLOT(pthread_cond_clockwait);

/* Nearly always waits, and takes the mutex again at the end: pin both. */
#define COND_WAIT(name, params, args, time)                                    \
  SHIM_EXPORT int name params {                                                \
    time;                                                                      \
    if (CIRA_LIKELY(!(shim_far(c) | shim_far(m) | SHIM_FAR_STACK()))) {        \
      return REAL(name) args;                                                  \
    }                                                                          \
    pthread_cond_t *pinned_c = c;                                              \
    pthread_mutex_t *pinned_m = m;                                             \
    shim_area_t areas[] = {INOUT(pinned_c, sizeof(*pinned_c)),                 \
                           INOUT(pinned_m, sizeof(*pinned_m))};                \
    SHIM_GUARD(areas);                                                         \
    int error = REAL(name) args;                                               \
    return error;                                                              \
  }

COND_WAIT(pthread_cond_wait,
          (pthread_cond_t *restrict c, pthread_mutex_t *restrict m), (c, m), )
COND_WAIT(pthread_cond_timedwait,
          (pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
           const struct timespec *restrict until),
          (c, m, at), NEAR_TIME(at, until))
COND_WAIT(pthread_cond_clockwait,
          (pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
           clockid_t clock, const struct timespec *restrict until),
          (c, m, clock, at), NEAR_TIME(at, until))

/* ---- semaphores, barriers, once ----------------------------------------- */

SHIM_SLOT(sem_wait);
SHIM_SLOT(sem_timedwait);
SHIM_SLOT(sem_clockwait);

#define SEM_WAIT(name, params, args, time)                                     \
  SHIM_EXPORT int name params {                                                \
    time;                                                                      \
    if (CIRA_LIKELY(!(shim_far(s) | SHIM_FAR_STACK()))) {                      \
      return REAL(name) args;                                                  \
    }                                                                          \
    int saved = errno;                                                         \
    if (sem_trywait(s) == 0) {                                                 \
      return 0;                                                                \
    }                                                                          \
    errno = saved;                                                             \
    sem_t *pinned = s;                                                         \
    shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};                    \
    SHIM_GUARD(areas);                                                         \
    int result = REAL(name) args;                                              \
    return result;                                                             \
  }

SEM_WAIT(sem_wait, (sem_t * s), (s), )
SEM_WAIT(sem_timedwait,
         (sem_t *restrict s, const struct timespec *restrict until), (s, at),
         NEAR_TIME(at, until))
SEM_WAIT(sem_clockwait,
         (sem_t *restrict s, clockid_t clock,
          const struct timespec *restrict until),
         (s, clock, at), NEAR_TIME(at, until))

/* A semaphore shared between processes is woken through its page. */
SHIM_SLOT(sem_post);
SHIM_EXPORT int sem_post(sem_t *s) {
  if (CIRA_LIKELY(!shim_far(s))) {
    return REAL(sem_post)(s);
  }
  sem_t *pinned = s;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  int result = REAL(sem_post)(s);
  return result;
}

SHIM_SLOT(pthread_barrier_wait);
SHIM_EXPORT int pthread_barrier_wait(pthread_barrier_t *b) {
  if (CIRA_LIKELY(!(shim_far(b) | SHIM_FAR_STACK()))) {
    return REAL(pthread_barrier_wait)(b);
  }
  pthread_barrier_t *pinned = b;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  int result = REAL(pthread_barrier_wait)(b);
  return result;
}

SHIM_SLOT(pthread_barrier_destroy);
SHIM_EXPORT int pthread_barrier_destroy(pthread_barrier_t *b) {
  if (CIRA_LIKELY(!shim_far(b))) {
    return REAL(pthread_barrier_destroy)(b);
  }
  pthread_barrier_t *pinned = b;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  int result = REAL(pthread_barrier_destroy)(b);
  return result;
}

SHIM_SLOT(pthread_cond_destroy);
SHIM_EXPORT int pthread_cond_destroy(pthread_cond_t *c) {
  if (CIRA_LIKELY(!shim_far(c))) {
    return REAL(pthread_cond_destroy)(c);
  }
  pthread_cond_t *pinned = c;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  int result = REAL(pthread_cond_destroy)(c);
  return result;
}

#define ONCE_DONE 2 /* of the C library's once control */

SHIM_SLOT(pthread_once);
SHIM_EXPORT int pthread_once(pthread_once_t *control, void (*routine)(void)) {
  if (CIRA_LIKELY(!shim_far(control)) ||
      __atomic_load_n(control, __ATOMIC_ACQUIRE) == ONCE_DONE) {
    return REAL(pthread_once)(control, routine);
  }
  pthread_once_t *pinned = control;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  int result = REAL(pthread_once)(control, routine);
  return result;
}

SHIM_SLOT(call_once);
SHIM_EXPORT void call_once(once_flag *flag, void (*routine)(void)) {
  if (CIRA_LIKELY(!shim_far(flag))) {
    REAL(call_once)(flag, routine);
    return;
  }
  once_flag *pinned = flag;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  REAL(call_once)(flag, routine);
}

/* ---- C11 ---------------------------------------------------------------- */

SHIM_SLOT(mtx_lock);
SHIM_EXPORT int mtx_lock(mtx_t *m) {
  if (CIRA_LIKELY(!shim_far(m))) {
    return REAL(mtx_lock)(m);
  }
  int result = mtx_trylock(m);
  if (result != thrd_busy) {
    return result;
  }
  mtx_t *pinned = m;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  result = REAL(mtx_lock)(m);
  return result;
}

SHIM_SLOT(mtx_timedlock);
SHIM_EXPORT int mtx_timedlock(mtx_t *restrict m,
                              const struct timespec *restrict until) {
  NEAR_TIME(at, until);
  if (CIRA_LIKELY(!(shim_far(m) | SHIM_FAR_STACK()))) {
    return REAL(mtx_timedlock)(m, at);
  }
  mtx_t *pinned = m;
  shim_area_t areas[] = {INOUT(pinned, sizeof(*pinned))};
  SHIM_GUARD(areas);
  int result = REAL(mtx_timedlock)(m, at);
  return result;
}

#define CND_WAIT(name, params, args, time)                                     \
  SHIM_EXPORT int name params {                                                \
    time;                                                                      \
    if (CIRA_LIKELY(!(shim_far(c) | shim_far(m) | SHIM_FAR_STACK()))) {        \
      return REAL(name) args;                                                  \
    }                                                                          \
    cnd_t *pinned_c = c;                                                       \
    mtx_t *pinned_m = m;                                                       \
    shim_area_t areas[] = {INOUT(pinned_c, sizeof(*pinned_c)),                 \
                           INOUT(pinned_m, sizeof(*pinned_m))};                \
    SHIM_GUARD(areas);                                                         \
    int result = REAL(name) args;                                              \
    return result;                                                             \
  }

SHIM_SLOT(cnd_wait);
CND_WAIT(cnd_wait, (cnd_t * c, mtx_t *m), (c, m), )
SHIM_SLOT(cnd_timedwait);
CND_WAIT(cnd_timedwait,
         (cnd_t *restrict c, mtx_t *restrict m,
          const struct timespec *restrict until),
         (c, m, at), NEAR_TIME(at, until))
