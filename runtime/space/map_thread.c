/* SPDX-License-Identifier: Apache-2.0
 *
 * Owning the page table by userfaultfd with a handler thread: the fall-back for
 * kernels without asynchronous write tracking or UFFDIO_MOVE (before 6.8). The
 * faulting thread sleeps in the kernel until the handler has installed the
 * page; the first write to a clean page is a message too, by which dirty pages
 * are known. Correct everywhere from Linux 5.7 on, but each miss costs two
 * thread switches.
 */
#include "base/sys.h"
#include "space/map_uffd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREAD_FEATURES UFFD_FEATURE_PAGEFAULT_FLAG_WP
#define MESSAGES 16
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)

_Thread_local bool cira__space_own_thread;

static cira_status_t thread_probe(void) {
  int fd;
  cira_status_t status = cira__uffd_open(THREAD_FEATURES, &fd);
  if (status == CIRA_OK) {
    close(fd);
  }
  return status;
}

static void wake(cira_space_t *s, uint64_t page, uint64_t n) {
  struct uffdio_range range = {(uint64_t)(uintptr_t)page_addr(s, page),
                               n << CIRA_PAGE_LOG2};
  ioctl(s->uffd, UFFDIO_WAKE, &range);
}

static void protect(cira_space_t *s, uint64_t page, uint64_t n, bool on) {
  struct uffdio_writeprotect wp = {
      .range = {(uint64_t)(uintptr_t)page_addr(s, page), n << CIRA_PAGE_LOG2},
      .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
  while (ioctl(s->uffd, UFFDIO_WRITEPROTECT, &wp) != 0) {
    if (errno != EAGAIN && errno != EINTR) {
      cira__die("cannot write-protect far pages at %p: errno %d",
                (void *)page_addr(s, page), errno);
    }
  }
}

static void handle(cira_space_t *s, const struct uffd_msg *msg) {
  if (msg->event != UFFD_EVENT_PAGEFAULT) {
    return;
  }
  uint64_t page = page_of(s, (void *)(uintptr_t)msg->arg.pagefault.address);
  bool write = (msg->arg.pagefault.flags &
                (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP)) != 0;
  uint64_t t0 = cira__now_ns(), watched = watch_begin();
  cira__pager_enter(s);
  cira__pager_fault(s, page, write);
  wake(s, page, 1);
  if (s->direct) {
    cira__home_poke(s, &s->lanes[0]);
  }
  if (atomic_load(&s->free_pages) < s->low_pages) {
    cira__evict(s, s->batch_pages, false, NULL);
  }
  cira__pager_leave(s);
  STAT_ADD(s, faults, 1);
  STAT_ADD(s, wait_ns, cira__now_ns() - t0);
  /* Who faulted is not known here. */
  watch_end(watched, CIRA_PROFILE_FAULT, page_addr(s, page), 0, write);
}

static void *handler_main(void *arg) {
  cira_space_t *s = arg;
  struct pollfd fds[2] = {{.fd = s->uffd, .events = POLLIN},
                          {.fd = s->handler_stop_fd, .events = POLLIN}};
  struct uffd_msg messages[MESSAGES];
  for (;;) {
    poll(fds, 2, -1);
    if (fds[1].revents != 0) {
      return NULL;
    }
    ssize_t got = read(s->uffd, messages, sizeof messages);
    for (ssize_t i = 0; i < got / (ssize_t)sizeof messages[0]; i++) {
      handle(s, &messages[i]);
    }
  }
}

static cira_status_t handler_start(cira_space_t *s) {
  s->handler_stop_fd = eventfd(0, EFD_CLOEXEC);
  if (s->handler_stop_fd < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "no descriptor to end the fault handler thread");
  }
  uint64_t saved = cira__signals_block();
  cira__space_own_thread = true; /* the preload shim leaves it alone */
  int error = pthread_create(&s->handler, NULL, handler_main, s);
  cira__space_own_thread = false;
  cira__signals_restore(saved);
  if (error != 0) {
    close(s->handler_stop_fd);
    return cira__fail_errno(CIRA_E_SYSTEM, error,
                            "the fault handler thread cannot be started");
  }
  return CIRA_OK;
}

static cira_status_t thread_init(cira_space_t *s) {
  cira_status_t status = cira__uffd_open(THREAD_FEATURES, &s->uffd);
  if (status != CIRA_OK) {
    return status;
  }
  status = cira__pagemap_open(s);
  if (status != CIRA_OK) {
    goto err_uffd;
  }
  status = cira__uffd_reserve(s);
  if (status != CIRA_OK) {
    goto err_pagemap;
  }
  status = handler_start(s);
  if (status == CIRA_OK) {
    return CIRA_OK;
  }
  munmap((void *)(uintptr_t)s->base, s->bytes);
err_pagemap:
  close(s->pagemap_fd);
err_uffd:
  close(s->uffd);
  return status;
}

static void thread_fini(cira_space_t *s) {
  uint64_t one = 1;
  if (write(s->handler_stop_fd, &one, sizeof one) == (ssize_t)sizeof one) {
    pthread_join(s->handler, NULL);
  }
  close(s->handler_stop_fd);
  munmap((void *)(uintptr_t)s->base, s->bytes);
  close(s->pagemap_fd);
  close(s->uffd);
}

/* Without PAGEMAP_SCAN presence is read from /proc/self/pagemap entries, which
 * tell what is in swap from what was never touched; mincore does not. */
static void thread_manage(cira_space_t *s, uint64_t chunk, uint64_t *present) {
  uint8_t *p = page_addr(s, chunk * CHUNK_PAGES);
  uint64_t entry[CHUNK_PAGES];
  if (cira__uffd_register(s, p, CHUNK_BYTES) != CIRA_OK) {
    cira__die("%s", cira_status_detail());
  }
  cira__uffd_split(s, chunk);
  off_t at = (off_t)((uintptr_t)p / CIRA_PAGE_BYTES * sizeof entry[0]);
  long got =
      CIRA__SYS(SYS_pread64, s->pagemap_fd, entry, sizeof entry, at, 0, 0);
  if (got != (long)sizeof entry) {
    cira__die("/proc/self/pagemap cannot be read: result %ld", got);
  }
  for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
    if ((entry[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) != 0) {
      present[i >> 6] |= UINT64_C(1) << (i & 63);
    }
  }
}

static void thread_make_writable(cira_space_t *s, uint64_t page) {
  protect(s, page, 1, false);
}

/* Write-protected pages cannot change: writers wait in the kernel. W_DIRTY
 * tells what they wrote before. */
static void thread_take(cira_space_t *s, taken_t *t) {
  for (uint32_t at = 0, n;
       (n = set_next_run(&t->set, &t->quiet, t->n, &at)) > 0; at += n) {
    protect(s, t->first + at, n, true);
    for (uint32_t i = at; i < at + n; i++) {
      t->content[i] = page_addr(s, t->first + i);
    }
  }
}

static void thread_drop(cira_space_t *s, taken_t *t) {
  for (uint32_t at = 0, n;
       (n = set_next_run(&t->set, &t->quiet, t->n, &at)) > 0; at += n) {
    cira__uffd_forget(s, t->first + at, n);
  }
}

static cira_status_t thread_fork_child(cira_space_t *s) {
  cira_status_t status = cira__pagemap_open(s);
  return status == CIRA_OK ? cira__uffd_again(s, THREAD_FEATURES) : status;
}

static cira_status_t thread_fork_finish(cira_space_t *s) {
  close(s->handler_stop_fd);
  return handler_start(s);
}

const map_ops_t cira__map_thread = {
    .size = sizeof(map_ops_t),
    .name = "thread",
    .signo = 0,
    .tracks_dirty = true,
    .shares_fork = false,
    .probe = thread_probe,
    .init = thread_init,
    .fini = thread_fini,
    .open = cira__uffd_chunk_open,
    .manage = thread_manage,
    .install = cira__uffd_install,
    .make_writable = thread_make_writable,
    .take = thread_take,
    .drop = thread_drop,
    .forget = cira__uffd_forget,
    .wake = wake,
    .fork_child = thread_fork_child,
    .fork_finish = thread_fork_finish,
};
