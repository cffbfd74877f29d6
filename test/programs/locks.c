/* SPDX-License-Identifier: Apache-2.0
 * Every kind of lock in far memory, fought over by threads that also touch more
 * memory than the cache holds. */
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#define THREADS 4
#define ROUNDS 60

typedef struct {
  pthread_mutex_t plain, recursive, inherit, checked;
  char gap1[8000];
  pthread_rwlock_t rw;
  char gap2[8000];
  sem_t sem, shared_sem;
  pthread_barrier_t barrier;
  char gap3[8000];
  pthread_cond_t cond;
  pthread_mutex_t cond_mutex;
  long turn;
  char gap4[8000];
  mtx_t mtx;
  cnd_t cnd;
  long mtx_turn;
  pthread_once_t once;
  long counts[8];
} shared_t;

static shared_t *s;
static long onces;

static void once(void) {
  usleep(2000);
  onces++;
}

static struct timespec soon(clockid_t clock, long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static void touch(volatile unsigned char *p) {
  for (size_t i = 0; i < (128u << 10); i += 1024) {
    p[i]++;
  }
}

static void *worker(void *arg) {
  long me = (long)arg;
  unsigned char *mine = malloc(128 << 10);
  memset(mine, 1, 128 << 10);
  pthread_once(&s->once, once);
  for (int i = 0; i < ROUNDS; i++) {
    pthread_mutex_lock(&s->plain);
    touch(mine);
    s->counts[0]++;
    pthread_mutex_unlock(&s->plain);
    pthread_mutex_lock(&s->recursive);
    pthread_mutex_lock(&s->recursive);
    s->counts[1]++;
    pthread_mutex_unlock(&s->recursive);
    pthread_mutex_unlock(&s->recursive);
    pthread_mutex_lock(&s->inherit);
    touch(mine);
    s->counts[2]++;
    pthread_mutex_unlock(&s->inherit);
    pthread_rwlock_rdlock(&s->rw);
    long seen = s->counts[3];
    pthread_rwlock_unlock(&s->rw);
    pthread_rwlock_wrlock(&s->rw);
    touch(mine);
    s->counts[3] += 1 + (seen < 0);
    pthread_rwlock_unlock(&s->rw);
    sem_wait(&s->sem);
    s->counts[4]++;
    touch(mine);
    sem_post(&s->sem);
    sem_wait(&s->shared_sem);
    s->counts[5]++;
    sem_post(&s->shared_sem);
    if (i % 10 == 0) {
      pthread_barrier_wait(&s->barrier);
    }
    pthread_mutex_lock(&s->cond_mutex);
    while (s->turn % THREADS != me) {
      pthread_cond_wait(&s->cond, &s->cond_mutex);
    }
    s->turn++;
    touch(mine);
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->cond_mutex);
    mtx_lock(&s->mtx);
    while (s->mtx_turn % THREADS != me) {
      cnd_wait(&s->cnd, &s->mtx);
    }
    s->mtx_turn++;
    touch(mine);
    cnd_broadcast(&s->cnd);
    mtx_unlock(&s->mtx);
  }
  free(mine);
  return NULL;
}

static int c11(void *arg) {
  return (int)(long)arg * 3;
}

static void timeouts(void) {
  struct timespec *t = malloc(sizeof(*t));
  pthread_mutex_lock(&s->checked);
  printf("relock %s\n", strerror(pthread_mutex_lock(&s->checked)));
  pthread_mutex_unlock(&s->checked);
  printf("unlock %s\n", strerror(pthread_mutex_unlock(&s->checked)));
  push_out();
  pthread_mutex_lock(&s->cond_mutex);
  *t = soon(CLOCK_REALTIME, 5);
  push_out();
  printf("cond %s\n",
         strerror(pthread_cond_timedwait(&s->cond, &s->cond_mutex, t)));
  *t = soon(CLOCK_MONOTONIC, 5);
  push_out();
  printf("cond clock %s\n", strerror(pthread_cond_clockwait(
                                &s->cond, &s->cond_mutex, CLOCK_MONOTONIC, t)));
  pthread_mutex_unlock(&s->cond_mutex);
  sem_t *none = malloc(sizeof(*none));
  sem_init(none, 0, 0);
  *t = soon(CLOCK_REALTIME, 5);
  push_out();
  say("sem_timedwait", sem_timedwait(none, t));
  say("sem_trywait", sem_trywait(none));
  pthread_rwlock_rdlock(&s->rw);
  *t = soon(CLOCK_REALTIME, 5);
  push_out();
  printf("wrlock %s\n", strerror(pthread_rwlock_timedwrlock(&s->rw, t)));
  pthread_rwlock_unlock(&s->rw);
}

static pthread_key_t key;
static void key_end(void *p) {
  unsigned char *c = p;
  printf("destructor sees %llu\n", (unsigned long long)checksum(c, 9000) >> 40);
  free(c);
}

static void *ends_by_exit(void *arg) {
  pthread_setspecific(key, fresh(9000));
  char *result = far_string("result");
  (void)arg;
  pthread_exit(result);
}

static void *is_cancelled(void *arg) {
  int *p = arg;
  char *buf = fresh(100);
  pthread_setspecific(key, fresh(9000));
  push_out();
  (void)!read(p[0], buf, 100); /* for ever */
  return NULL;
}

static void endings(void) {
  pthread_t t;
  void *result;
  pthread_key_create(&key, key_end);
  pthread_create(&t, NULL, ends_by_exit, NULL);
  pthread_join(t, &result);
  puts(result);
  int *p = malloc(2 * sizeof(int));
  say("pipe", pipe(p));
  pthread_create(&t, NULL, is_cancelled, p);
  usleep(30000);
  pthread_cancel(t);
  pthread_join(t, &result);
  say("cancelled", result == PTHREAD_CANCELED);
  thrd_t c;
  int value = 0;
  thrd_create(&c, c11, (void *)14);
  thrd_join(c, &value);
  say("thrd", value);
  pthread_attr_t *attr = malloc(sizeof(*attr));
  pthread_attr_init(attr);
  pthread_attr_setdetachstate(attr, PTHREAD_CREATE_DETACHED);
  for (int i = 0; i < 50; i++) {
    push_out();
    pthread_t *where = malloc(sizeof(*where));
    say("detached",
        pthread_create(where, attr,
                       worker == NULL ? NULL : (void *(*)(void *))c11, NULL));
    usleep(100);
  }
}

int main(void) {
  pthread_t t[THREADS];
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  s = calloc(1, sizeof(*s));
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutex_init(&s->plain, NULL);
  pthread_mutex_init(&s->cond_mutex, NULL);
  pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&s->recursive, &a);
  pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&s->checked, &a);
  pthread_mutexattr_settype(&a, PTHREAD_MUTEX_NORMAL);
  pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
  pthread_mutex_init(&s->inherit, &a);
  pthread_rwlock_init(&s->rw, NULL);
  pthread_cond_init(&s->cond, NULL);
  pthread_barrier_init(&s->barrier, NULL, THREADS);
  sem_init(&s->sem, 0, 1);
  sem_init(&s->shared_sem, 1, 1);
  mtx_init(&s->mtx, mtx_plain);
  cnd_init(&s->cnd);
  for (long i = 0; i < THREADS; i++) {
    pthread_create(&t[i], NULL, worker, (void *)i);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(t[i], NULL);
  }
  for (int i = 0; i < 6; i++) {
    say("count", s->counts[i]);
  }
  say("turn", s->turn);
  say("mtx turn", s->mtx_turn);
  say("once", onces);
  timeouts();
  endings();
  return 0;
}
