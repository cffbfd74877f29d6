/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for descriptors: by the worker's io_uring where it has one, else by
 * its epoll; outside of tasks by poll.
 */
#include "coroutine/internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- descriptors -------------------------------------------------------- */

/* On the stack of the task that waits. The worker that polls writes it, and
 * unparking the task is the last it does with it. */
typedef struct {
  cira_coro_t *co;
  int32_t result; /* events; from a ring also a negative errno */
  uint32_t fired;
} fd_wait_t;

static bool fired(const fd_wait_t *wait) {
  /* pairs with: the release store in fire */
  return __atomic_load_n(&wait->fired, __ATOMIC_ACQUIRE) != 0;
}

static void fire(fd_wait_t *wait, int32_t result) {
  cira_coro_t *co = wait->co;
  wait->result = result;
  /* pairs with: fired; the last access to *wait */
  __atomic_store_n(&wait->fired, 1, __ATOMIC_RELEASE);
  co->parker.unpark(&co->parker);
}

#define POLL_EVENTS (POLLIN | POLLOUT | POLLPRI | POLLRDHUP)
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT &&
                   EPOLLPRI == POLLPRI && EPOLLERR == POLLERR &&
                   EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP,
               "events are passed through");

static cira_status_t fd_wait_thread(int fd, uint32_t events,
                                    uint64_t deadline_ns, uint32_t *out) {
  struct pollfd p = {.fd = fd, .events = (short)events};
  for (;;) {
    uint64_t now = cira__now_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec ts = {.tv_sec = (time_t)(left / 1000000000u),
                          .tv_nsec = (long)(left % 1000000000u)};
    int n = ppoll(&p, 1, deadline_ns == CIRA_FOREVER ? NULL : &ts, NULL);
    if (n < 0 && errno != EINTR) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno, "coro_wait_fd: poll");
    }
    if (n > 0 && (p.revents & POLLNVAL) != 0) {
      return cira__fail(CIRA_E_INVALID, "coro_wait_fd: %d is no descriptor",
                        fd);
    }
    if (n > 0 && out) {
      *out = (uint32_t)(unsigned short)p.revents;
    }
    if (n >= 0) {
      return n > 0 ? CIRA_OK : CIRA_E_DEADLINE;
    }
  }
}

static cira_status_t fd_add_refuse(int fd, int error) {
  switch (error) {
  case EEXIST:
    return cira__fail(CIRA_E_BUSY,
                      "coro_wait_fd: another task waits for descriptor %d", fd);
  case EPERM:
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "coro_wait_fd: descriptor %d cannot be polled", fd);
  case EBADF:
    return cira__fail(CIRA_E_INVALID, "coro_wait_fd: %d is no descriptor", fd);
  default:
    return cira__fail_errno(CIRA_E_SYSTEM, error, "coro_wait_fd: epoll_ctl");
  }
}

static cira_status_t park_until_fired(fd_wait_t *wait, uint64_t deadline_ns) {
  cira_status_t status = CIRA_OK;
  while (status == CIRA_OK && !fired(wait)) {
    status = wait->co->parker.park(&wait->co->parker, deadline_ns);
  }
  return status;
}

static cira_status_t fd_wait_epoll(cira__worker_t *w, fd_wait_t *wait, int fd,
                                   uint32_t events, uint64_t deadline_ns) {
  struct epoll_event event = {.events = events | EPOLLONESHOT,
                              .data.ptr = wait};
  if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
    return fd_add_refuse(fd, errno);
  }
  cira_status_t status = park_until_fired(wait, deadline_ns);
  (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
  return status;
}

/* The ring hands every wait back, also one that was cancelled; until then it
 * must stay where it is. */
static void fd_wait_cancel(cira__worker_t *w, fd_wait_t *wait) {
  cira__ring_cancel(&w->ring, wait);
  while (!fired(wait)) {
    if (cira__coro_thread()->worker == w) {
      cira__worker_poll(w, 1000000);
    } else {
      cira_coro_yield(); /* its own worker will see it */
    }
  }
}

static cira_status_t fd_wait_ring(cira__worker_t *w, fd_wait_t *wait, int fd,
                                  uint32_t events, uint64_t deadline_ns) {
  struct stat st;
  if (fstat(fd, &st) < 0) {
    return fd_add_refuse(fd, errno);
  }
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
    return fd_add_refuse(fd, EPERM); /* as epoll says */
  }
  cira__ring_add(&w->ring, fd, events, wait);
  cira_status_t status = park_until_fired(wait, deadline_ns);
  if (!fired(wait)) {
    fd_wait_cancel(w, wait);
  }
  if (wait->result >= 0) {
    return CIRA_OK;
  }
  wait->fired = 0;
  return wait->result == -ECANCELED && status != CIRA_OK
             ? status
             : fd_add_refuse(fd, -wait->result);
}

cira_status_t cira_coro_wait_fd(int fd, uint32_t events, uint64_t deadline_ns,
                                uint32_t *out) {
  if ((events & ~(uint32_t)POLL_EVENTS) != 0) {
    return cira__fail(CIRA_E_INVALID, "coro_wait_fd: unknown events %x",
                      events);
  }
  if (fd < 0) {
    return fd_add_refuse(fd, EBADF);
  }
  cira_coro_t *co = cira__task_now();
  if (!co) {
    return fd_wait_thread(fd, events, deadline_ns, out);
  }
  /* the worker may change while we wait; it is this one's to leave */
  cira__worker_t *w = cira__coro_thread()->worker;
  fd_wait_t wait = {.co = co};
  (void)atomic_fetch_add_explicit(&w->fd_waiters, 1, memory_order_relaxed);
  cira_status_t status = w->ring.fd != 0
                             ? fd_wait_ring(w, &wait, fd, events, deadline_ns)
                             : fd_wait_epoll(w, &wait, fd, events, deadline_ns);
  (void)atomic_fetch_sub_explicit(&w->fd_waiters, 1, memory_order_relaxed);
  if (wait.fired == 0) {
    return status;
  }
  if (out) {
    *out = (uint32_t)wait.result;
  }
  return CIRA_OK;
}

static void ring_happened(void *user, int32_t result) {
  if (user == NULL) { /* the worker's own: somebody kicked it */
    uint64_t count;
    (void)!read(cira__coro_thread()->worker->event_fd, &count, sizeof(count));
  } else {
    fire(user, result);
  }
}

void cira__worker_poll(cira__worker_t *w, int64_t timeout_ns) {
  if (w->ring.fd != 0) {
    cira__ring_poll(&w->ring, timeout_ns, ring_happened);
    return;
  }
  struct epoll_event events[64];
  struct timespec ts = {.tv_sec = timeout_ns / 1000000000,
                        .tv_nsec = timeout_ns % 1000000000};
  int n = (int)syscall(SYS_epoll_pwait2, w->epoll_fd, events,
                       (int)CIRA_COUNT(events), timeout_ns < 0 ? NULL : &ts,
                       NULL, 0);
  if (n < 0 && errno == ENOSYS) { /* before Linux 5.11: milliseconds */
    int64_t ms = (timeout_ns + 999999) / 1000000;
    n = epoll_wait(w->epoll_fd, events, (int)CIRA_COUNT(events),
                   timeout_ns < 0   ? -1
                   : ms > INT32_MAX ? INT32_MAX
                                    : (int)ms);
  }
  for (int i = 0; i < n; i++) {
    fd_wait_t *wait = events[i].data.ptr;
    if (!wait) { /* the worker's own: somebody kicked it */
      uint64_t count;
      (void)!read(w->event_fd, &count, sizeof(count));
      continue;
    }
    fire(wait, (int32_t)events[i].events);
  }
}
