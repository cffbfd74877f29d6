/* SPDX-License-Identifier: Apache-2.0
 *
 * Owning the page table by mprotect and SIGSEGV: the fall-back where
 * userfaultfd is not allowed. The pages live in a memfd that is mapped twice:
 * the program's view, whose protection says what is present, and a second view
 * through which the pager fills and reads pages, so that no thread sees half a
 * page. Every change of protection can split a mapping; the kernel's limit on
 * mappings (vm.max_map_count) bounds the local cache in this mode.
 */
#include "space/space_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static cira_status_t segv_probe(void) {
  int fd = memfd_create("cira-probe", MFD_CLOEXEC);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_UNSUPPORTED, errno, "memfd_create fails");
  }
  close(fd);
  return CIRA_OK;
}

static uint64_t map_count_max(void) {
  char text[32] = {0};
  int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (read(fd, text, sizeof text - 1) < 0) {
      text[0] = 0;
    }
    close(fd);
  }
  uint64_t count = strtoull(text, NULL, 10);
  return count > 8192 ? count : 65530;
}

/* Each page can cost two mappings; some are left to the program. */
static void budget_bound(cira_space_t *s) {
  uint64_t limit = (map_count_max() - 4096) / 2;
  if (s->local_pages > limit) {
    CIRA_LOG(CIRA_LOG_WARN,
             "in sigsegv mode the local cache is limited to %lu pages by "
             "vm.max_map_count; raise it by sysctl, or allow userfaultfd",
             (unsigned long)limit);
    atomic_fetch_sub(&s->free_pages, (int64_t)(s->local_pages - limit));
    s->local_pages = limit;
  }
}

/* Maps a fresh memfd in both views. */
static cira_status_t views_map(cira_space_t *s, bool fixed) {
  s->view_fd = memfd_create("cira-cache", MFD_CLOEXEC);
  if (s->view_fd < 0 || ftruncate(s->view_fd, (off_t)s->bytes) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "no memfd of %lu bytes for the local cache",
                            (unsigned long)s->bytes);
  }
  void *want = (void *)(uintptr_t)s->base;
  int place = fixed ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  void *p = mmap(want, s->bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE | place,
                 s->view_fd, 0);
  s->view = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_NORESERVE, s->view_fd, 0);
  if (p != want || s->view == MAP_FAILED) {
    return cira__fail_errno(CIRA_E_BUSY, errno,
                            "the far range at 0x%lx (%lu bytes) cannot be "
                            "mapped twice",
                            (unsigned long)s->base, (unsigned long)s->bytes);
  }
  return CIRA_OK;
}

static cira_status_t segv_init(cira_space_t *s) {
  budget_bound(s);
  return views_map(s, false);
}

static void segv_fini(cira_space_t *s) {
  munmap((void *)(uintptr_t)s->base, s->bytes);
  munmap(s->view, s->bytes);
  close(s->view_fd);
}

static void protect(cira_space_t *s, uint64_t page, uint64_t n, int prot) {
  if (mprotect(page_addr(s, page), n << CIRA_PAGE_LOG2, prot) != 0) {
    cira__die("cannot protect far pages at %p: errno %d%s",
              (void *)page_addr(s, page), errno,
              errno == ENOMEM ? " (vm.max_map_count is used up)" : "");
  }
}

static cira_status_t segv_open(cira_space_t *s, uint64_t page, uint64_t n,
                               bool native) {
  if (native) {
    protect(s, page, n, PROT_READ | PROT_WRITE);
  }
  return CIRA_OK;
}

/* Pages with memory behind them are present; memfd holes are not. */
static void segv_manage(cira_space_t *s, uint64_t chunk, uint64_t *present) {
  off_t at = (off_t)(chunk * CHUNK_BYTES), end = at + (off_t)CHUNK_BYTES;
  protect(s, chunk * CHUNK_PAGES, CHUNK_PAGES, PROT_NONE);
  while (at < end) {
    off_t data = lseek(s->view_fd, at, SEEK_DATA);
    if (data < 0 || data >= end) {
      break;
    }
    off_t hole = lseek(s->view_fd, data, SEEK_HOLE);
    hole = hole < 0 || hole > end ? end : hole;
    uint64_t first = (uint64_t)data >> CIRA_PAGE_LOG2;
    uint64_t n = (uint64_t)(hole - data) >> CIRA_PAGE_LOG2;
    protect(s, first, n, PROT_READ | PROT_WRITE);
    for (uint64_t i = first - chunk * CHUNK_PAGES; n > 0; i++, n--) {
      present[i >> 6] |= UINT64_C(1) << (i & 63);
    }
    at = hole;
  }
}

static void segv_install(cira_space_t *s, uint64_t page, uint64_t n,
                         const uint8_t *src, bool clean) {
  memcpy(s->view + (page << CIRA_PAGE_LOG2), src, n << CIRA_PAGE_LOG2);
  protect(s, page, n, clean ? PROT_READ : PROT_READ | PROT_WRITE);
}

static void segv_make_writable(cira_space_t *s, uint64_t page) {
  protect(s, page, 1, PROT_READ | PROT_WRITE);
}

static void segv_take(cira_space_t *s, taken_t *t) {
  for (uint32_t at = 0, n;
       (n = set_next_run(&t->set, &t->quiet, t->n, &at)) > 0; at += n) {
    protect(s, t->first + at, n, PROT_NONE);
    for (uint32_t i = at; i < at + n; i++) {
      t->content[i] = s->view + ((t->first + i) << CIRA_PAGE_LOG2);
    }
  }
}

static void punch(cira_space_t *s, uint64_t page, uint64_t n) {
  if (fallocate(s->view_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                (off_t)(page << CIRA_PAGE_LOG2),
                (off_t)(n << CIRA_PAGE_LOG2)) != 0) {
    cira__die("cannot free cached far pages: errno %d", errno);
  }
}

static void segv_drop(cira_space_t *s, taken_t *t) {
  for (uint32_t at = 0, n;
       (n = set_next_run(&t->set, &t->quiet, t->n, &at)) > 0; at += n) {
    punch(s, t->first + at, n);
  }
}

static void segv_forget(cira_space_t *s, uint64_t page, uint64_t n) {
  if (atomic_load(&s->chunk_state[page / CHUNK_PAGES]) != CHUNK_NATIVE) {
    protect(s, page, n, PROT_NONE);
  }
  punch(s, page, n);
}

/* fork_prepare has sent everything home but what system calls of the parent
 * hold; of that the child takes a copy. */
static cira_status_t segv_fork_child(cira_space_t *s) {
  uint8_t *old = s->view;
  int old_fd = s->view_fd;
  cira_status_t status = views_map(s, true);
  uint64_t top = atomic_load(&s->top_page);
  for (uint64_t page = 0; page < top && status == CIRA_OK; page++) {
    if (atomic_load(&s->chunk_resident[page / CHUNK_PAGES]) == 0) {
      page |= CHUNK_PAGES - 1;
    } else if (state_of(atomic_load(&s->words[page])) == PAGE_MAPPED) {
      segv_install(s, page, 1, old + (page << CIRA_PAGE_LOG2), false);
    }
  }
  munmap(old, s->bytes);
  close(old_fd);
  return status;
}

const map_ops_t cira__map_sigsegv = {
    .size = sizeof(map_ops_t),
    .name = "sigsegv",
    .signo = SIGSEGV,
    .tracks_dirty = true,
    .shares_fork = false,
    .probe = segv_probe,
    .init = segv_init,
    .fini = segv_fini,
    .open = segv_open,
    .manage = segv_manage,
    .install = segv_install,
    .make_writable = segv_make_writable,
    .take = segv_take,
    .drop = segv_drop,
    .forget = segv_forget,
    .fork_child = segv_fork_child,
};
