/* SPDX-License-Identifier: Apache-2.0
 *
 * See failing.h.
 */
#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS 1024

static _Atomic unsigned kinds; /* 0: nothing is counted */
static _Atomic int64_t at;
static _Atomic uint64_t asked;
static pthread_t mine;

void failing_begin(unsigned what, int64_t n) {
  atomic_store(&at, n);
  atomic_store(&asked, 0);
  mine = pthread_self();
  atomic_store(&kinds, what);
}

bool failing_end(void) {
  atomic_store(&kinds, 0);
  return atomic_load(&asked) > (uint64_t)atomic_load(&at);
}

uint64_t failing_asked(void) {
  return atomic_load(&asked);
}

bool failing_now(unsigned kind, int error) {
  unsigned what = atomic_load(&kinds);
  if ((what & kind) == 0 ||
      ((what & FAILING_F_MINE) != 0 && !pthread_equal(mine, pthread_self()))) {
    return false;
  }
  uint64_t number = atomic_fetch_add(&asked, 1);
  uint64_t n = (uint64_t)atomic_load(&at);
  if (number != n && (number < n || (what & FAILING_F_STAYS) == 0)) {
    return false;
  }
  errno = error;
  return true;
}

/* ---- in front of the C library ------------------------------------------- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__real_mmap(void *to, size_t n, int prot, int flags, int fd, off_t off);
int __real_memfd_create(const char *name, unsigned flags);
int __real_ftruncate(int fd, off_t bytes);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *argument);
pid_t __real_fork(void);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__wrap_mmap(void *to, size_t n, int prot, int flags, int fd, off_t off);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_ftruncate(int fd, off_t bytes);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *argument);
pid_t __wrap_fork(void);

void *__wrap_malloc(size_t bytes) {
  return failing_now(FAILING_MALLOC, ENOMEM) ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
  return failing_now(FAILING_MALLOC, ENOMEM) ? NULL
                                             : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *p, size_t bytes) {
  return failing_now(FAILING_MALLOC, ENOMEM) ? NULL : __real_realloc(p, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes) {
  return failing_now(FAILING_MALLOC, ENOMEM)
             ? NULL
             : __real_aligned_alloc(align, bytes);
}

void *__wrap_mmap(void *to, size_t n, int prot, int flags, int fd, off_t off) {
  return failing_now(FAILING_MMAP, ENOMEM)
             ? MAP_FAILED
             : __real_mmap(to, n, prot, flags, fd, off);
}

int __wrap_memfd_create(const char *name, unsigned flags) {
  return failing_now(FAILING_FILES, ENFILE) ? -1
                                            : __real_memfd_create(name, flags);
}

int __wrap_ftruncate(int fd, off_t bytes) {
  return failing_now(FAILING_FILES, ENOSPC) ? -1 : __real_ftruncate(fd, bytes);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *argument) {
  return failing_now(FAILING_THREADS, EAGAIN)
             ? EAGAIN
             : __real_pthread_create(thread, attr, fn, argument);
}

pid_t __wrap_fork(void) {
  if (failing_now(FAILING_FORKS, EAGAIN)) {
    return -1;
  }
  pid_t child = __real_fork();
  if (child == 0) {
    atomic_store(&kinds, 0);
  }
  return child;
}

/* ---- children -------------------------------------------------------------
 */

int failing_child(void (*run)(const void *argument), const void *argument) {
  int status = 0;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(60); /* a hang is a failure as well */
    if (freopen("/dev/null", "w", stderr) != NULL) {
      run(argument);
    }
    fflush(stdout);
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid) {
    return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- leaks ----------------------------------------------------------------
 */

uint64_t failing_fds(void) {
  uint64_t n = 0;
  for (int fd = 0; fd < FDS; fd++) {
    n += fcntl(fd, F_GETFD) >= 0;
  }
  return n;
}

uint64_t failing_maps(void) {
  FILE *f = fopen("/proc/self/maps", "re");
  uint64_t lines = 0;
  for (int c; f != NULL && (c = fgetc(f)) != EOF;) {
    lines += c == '\n';
  }
  if (f != NULL) {
    fclose(f);
  }
  return lines;
}
