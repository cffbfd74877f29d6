/* SPDX-License-Identifier: Apache-2.0
 *
 * Owning the page table by userfaultfd with faults as SIGBUS in the thread that
 * took them (design D4), and what it shares with the handler-thread mode.
 *
 * Dirty pages: pages are installed write-protected with asynchronous write
 * tracking, so that a first write costs no signal; PAGEMAP_SCAN tells which
 * were written.
 * Taking pages away: a run without gaps is moved into a block of the pool.
 * Scattered pages are read in place and dropped while there is one thread,
 * since nobody can write behind the pager's back then; with several,
 * UFFDIO_MOVE carries them to a side area in one step that cannot lose a write.
 * There the delta decides what is dirty: a write between scan and move would be
 * missed.
 */
#include "space/map_uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- shared by both modes ----------------------------------------------- */

cira_status_t cira__uffd_open(uint64_t features, int *out_fd) {
  int fd = (int)syscall(SYS_userfaultfd,
                        O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_UNSUPPORTED, errno,
                            "userfaultfd is refused; containers often forbid "
                            "it (a seccomp profile that allows it helps)");
  }
  struct uffdio_api api = {.api = UFFD_API, .features = features};
  if (ioctl(fd, UFFDIO_API, &api) != 0) {
    int error = errno;
    close(fd);
    return cira__fail_errno(CIRA_E_UNSUPPORTED, error,
                            "this kernel's userfaultfd lacks features 0x%lx",
                            (unsigned long)features);
  }
  *out_fd = fd;
  return CIRA_OK;
}

cira_status_t cira__uffd_reserve(cira_space_t *s) {
  void *want = (void *)(uintptr_t)s->base;
  void *p = mmap(
      want, s->bytes, PROT_NONE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (p != want) {
    int error = p == MAP_FAILED ? errno : EEXIST;
    if (p != MAP_FAILED) {
      munmap(p, s->bytes);
    }
    return cira__fail_errno(CIRA_E_BUSY, error,
                            "the far range at 0x%lx (%lu bytes) cannot be "
                            "reserved; something else is mapped there, or the "
                            "address space is limited (ulimit -v)",
                            (unsigned long)s->base, (unsigned long)s->bytes);
  }
  return CIRA_OK;
}

cira_status_t cira__uffd_register(cira_space_t *s, const void *p,
                                  uint64_t bytes) {
  struct uffdio_register reg = {.range = {(uint64_t)(uintptr_t)p, bytes},
                                .mode = UFFDIO_REGISTER_MODE_MISSING |
                                        UFFDIO_REGISTER_MODE_WP};
  if (ioctl(s->uffd, UFFDIO_REGISTER, &reg) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "userfaultfd refuses %lu bytes at %p",
                            (unsigned long)bytes, (void *)(uintptr_t)p);
  }
  return CIRA_OK;
}

cira_status_t cira__uffd_chunk_open(cira_space_t *s, uint64_t page, uint64_t n,
                                    bool native) {
  void *p = page_addr(s, page);
  uint64_t bytes = n << CIRA_PAGE_LOG2;
  if (mprotect(p, bytes, PROT_READ | PROT_WRITE) != 0) {
    return cira__fail_errno(CIRA_E_NOMEM, errno,
                            "far range at %p cannot be opened", p);
  }
  return native ? CIRA_OK : cira__uffd_register(s, p, bytes);
}

void cira__uffd_install(cira_space_t *s, uint64_t page, uint64_t n,
                        const uint8_t *src, bool clean) {
  uint64_t done = 0, bytes = n << CIRA_PAGE_LOG2;
  uint8_t *dst = page_addr(s, page);
  while (done < bytes) {
    struct uffdio_copy copy = {
        .dst = (uint64_t)(uintptr_t)dst + done,
        .src = (uint64_t)(uintptr_t)src + done,
        .len = bytes - done,
        .mode = clean ? UFFDIO_COPY_MODE_WP : 0,
    };
    if (ioctl(s->uffd, UFFDIO_COPY, &copy) == 0) {
      return;
    }
    if (copy.copy > 0) {
      done += (uint64_t)copy.copy;
    } else if (errno == EEXIST) {
      done += CIRA_PAGE_BYTES; /* present already: keep what is there */
    } else if (errno != EAGAIN && errno != EINTR) {
      cira__die("cannot place a far page at %p: errno %d (%s)",
                (void *)(dst + done), errno,
                errno == ENOMEM ? "out of memory" : "unexpected");
    }
  }
}

void cira__uffd_forget(cira_space_t *s, uint64_t page, uint64_t n) {
  if (madvise(page_addr(s, page), n << CIRA_PAGE_LOG2, MADV_DONTNEED) != 0) {
    cira__die("cannot drop far pages at %p: errno %d (locked by mlock?)",
              (void *)page_addr(s, page), errno);
  }
}

void cira__uffd_split(cira_space_t *s, uint64_t chunk) {
  if (!s->opt.no_huge_pages) {
    /* Advice on a part of a huge page splits it (mm/madvise.c). */
    madvise(page_addr(s, chunk * CHUNK_PAGES), CIRA_PAGE_BYTES, MADV_COLD);
  }
}

/* Registers every run of managed chunks anew. */
cira_status_t cira__uffd_again(cira_space_t *s, uint64_t features) {
  close(s->uffd);
  cira_status_t status = cira__uffd_open(features, &s->uffd);
  uint64_t chunks =
      cira__align_up(atomic_load(&s->top_page), CHUNK_PAGES) / CHUNK_PAGES;
  for (uint64_t c = 0; c < chunks && status == CIRA_OK;) {
    if (atomic_load(&s->chunk_state[c]) != CHUNK_MANAGED) {
      c++;
      continue;
    }
    uint64_t end = c + 1;
    while (end < chunks && atomic_load(&s->chunk_state[end]) == CHUNK_MANAGED) {
      end++;
    }
    status = cira__uffd_register(s, page_addr(s, c * CHUNK_PAGES),
                                 (end - c) * CHUNK_BYTES);
    c = end;
  }
  return status;
}

/* ---- SIGBUS mode -------------------------------------------------------- */

#define SIGBUS_FEATURES                                                        \
  (CIRA_UFFD_FEATURE_SIGBUS | CIRA_UFFD_FEATURE_WP_ASYNC |                     \
   CIRA_UFFD_FEATURE_MOVE)
#define SCAN_REGIONS 64

static int pagemap_open(void) {
  return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

cira_status_t cira__pagemap_open(cira_space_t *s) {
  if (s->pagemap_fd >= 0) {
    close(s->pagemap_fd);
  }
  s->pagemap_fd = pagemap_open();
  return s->pagemap_fd >= 0
             ? CIRA_OK
             : cira__fail_errno(CIRA_E_UNSUPPORTED, errno,
                                "/proc/self/pagemap cannot be opened");
}

/* Advice on several ranges of oneself at once is possible since Linux 6.13. */
static int pidfd_self(void) {
  return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static cira_status_t sigbus_probe(void) {
  int fd;
  cira_status_t status = cira__uffd_open(SIGBUS_FEATURES, &fd);
  if (status != CIRA_OK) {
    return status;
  }
  close(fd);
  fd = pagemap_open();
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_UNSUPPORTED, errno,
                            "/proc/self/pagemap cannot be opened");
  }
  uint8_t page;
  struct cira_page_region region;
  struct cira_pm_scan_arg arg = {
      .size = sizeof arg,
      .start = (uint64_t)(uintptr_t)&page & ~(uint64_t)(CIRA_PAGE_BYTES - 1),
      .vec = (uint64_t)(uintptr_t)&region,
      .vec_len = 1,
      .category_mask = CIRA_PAGE_IS_PRESENT,
      .return_mask = CIRA_PAGE_IS_PRESENT,
  };
  arg.end = arg.start + CIRA_PAGE_BYTES;
  long found = ioctl(fd, CIRA_PAGEMAP_SCAN, &arg);
  int error = errno;
  close(fd);
  if (found < 0) {
    return cira__fail_errno(CIRA_E_UNSUPPORTED, error,
                            "this kernel has no PAGEMAP_SCAN (Linux 6.7)");
  }
  return CIRA_OK;
}

#define SIDE_BYTES ((uint64_t)WINDOW_PAGES * CIRA_PAGE_BYTES)

/* Areas that pages are moved to and from. Missing pages in them are the
 * kernel's business; registration only makes them targets of a move. */
static cira_status_t area_register(cira_space_t *s, void *p, uint64_t bytes) {
  struct uffdio_register reg = {.range = {(uint64_t)(uintptr_t)p, bytes},
                                .mode = UFFDIO_REGISTER_MODE_WP};
  if (ioctl(s->uffd, UFFDIO_REGISTER, &reg) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "userfaultfd refuses the pager's own areas");
  }
  return CIRA_OK;
}

static cira_status_t areas_create(cira_space_t *s) {
  uint32_t blocks = cira__pool_blocks(s->local_pages);
  uint64_t bytes = SIDE_BYTES + blocks * BLOCK_BYTES;
  s->side = cira__map_table(bytes);
  if (s->side == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for the pager's own areas");
  }
  madvise(s->side, bytes, MADV_NOHUGEPAGE);
  s->side_bytes = bytes;
  cira__pool_init(s, s->side + SIDE_BYTES, blocks);
  s->local_pages -= blocks * BLOCK_PAGES;
  atomic_fetch_sub(&s->free_pages, (int64_t)blocks * BLOCK_PAGES);
  return area_register(s, s->side, bytes);
}

static cira_status_t sigbus_init(cira_space_t *s) {
  cira_status_t status = cira__uffd_open(SIGBUS_FEATURES, &s->uffd);
  if (status != CIRA_OK) {
    return status;
  }
  s->pidfd = pidfd_self();
  status = cira__pagemap_open(s);
  if (status != CIRA_OK) {
    goto err_uffd;
  }
  status = cira__uffd_reserve(s);
  if (status != CIRA_OK) {
    goto err_pagemap;
  }
  status = areas_create(s);
  if (status == CIRA_OK) {
    return CIRA_OK;
  }
  munmap((void *)(uintptr_t)s->base, s->bytes);
err_pagemap:
  close(s->pagemap_fd);
err_uffd:
  close(s->pidfd);
  close(s->uffd);
  return status;
}

static void sigbus_fini(cira_space_t *s) {
  munmap((void *)(uintptr_t)s->base, s->bytes);
  cira__unmap_table(s->side, s->side_bytes);
  close(s->pagemap_fd);
  close(s->pidfd);
  close(s->uffd);
}

/* Pages of [page, page+n) with content, in memory or in swap, that have the
 * category too (0: any), as bits counted from `page`. */
static void scan(cira_space_t *s, uint64_t page, uint64_t n, uint64_t category,
                 uint64_t *bits) {
  struct cira_page_region found[SCAN_REGIONS];
  uint64_t base = (uint64_t)(uintptr_t)page_addr(s, page);
  struct cira_pm_scan_arg arg = {
      .size = sizeof arg,
      .start = base,
      .end = base + (n << CIRA_PAGE_LOG2),
      .vec = (uint64_t)(uintptr_t)found,
      .vec_len = SCAN_REGIONS,
      .category_mask = category,
      .category_anyof_mask = CIRA_PAGE_IS_PRESENT | CIRA_PAGE_IS_SWAPPED,
      .return_mask = category | CIRA_PAGE_IS_PRESENT,
  };
  while (arg.start < arg.end) {
    long count = ioctl(s->pagemap_fd, CIRA_PAGEMAP_SCAN, &arg);
    if (count < 0) {
      cira__die("PAGEMAP_SCAN fails: errno %d", errno);
    }
    for (long r = 0; r < count; r++) {
      uint64_t i = (found[r].start - base) >> CIRA_PAGE_LOG2;
      uint64_t end = (found[r].end - base) >> CIRA_PAGE_LOG2;
      for (; i < end; i++) {
        bits[i >> 6] |= UINT64_C(1) << (i & 63);
      }
    }
    arg.start = arg.walk_end;
  }
}

static void sigbus_manage(cira_space_t *s, uint64_t chunk, uint64_t *present) {
  if (cira__uffd_register(s, page_addr(s, chunk * CHUNK_PAGES), CHUNK_BYTES) !=
      CIRA_OK) {
    cira__die("%s", cira_status_detail());
  }
  cira__uffd_split(s, chunk);
  scan(s, chunk * CHUNK_PAGES, CHUNK_PAGES, 0, present);
}

/* A move that ends with EAGAIN may have moved pages of its last batch without
 * saying so (seen on Linux 6.18). The target is empty before, so EEXIST on the
 * next try means that the page is there already. */

/* Not seen by the thread sanitizer: the program may access the word meanwhile,
 * and will not notice. */
__attribute__((disable_sanitizer_instrumentation)) static void
write_same(uint8_t *page) {
  /* Not an `or` with zero: compilers turn that into a load. */
  uint32_t *word = (uint32_t *)(void *)page, same = *(volatile uint32_t *)word;
  while (!__atomic_compare_exchange_n(word, &same, same, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

/* Moves one page that the batch could not: memory that a forked relative still
 * shares is made our own first by a write that changes nothing. */
static bool move_one(cira_space_t *s, uint64_t first, uint32_t i) {
  uint8_t *page = page_addr(s, first + i);
  for (int attempt = 0; attempt < 3; attempt++) {
    struct cira_uffdio_move move = {
        .dst = (uint64_t)(uintptr_t)(s->side + (uint64_t)i * CIRA_PAGE_BYTES),
        .src = (uint64_t)(uintptr_t)page,
        .len = CIRA_PAGE_BYTES};
    if (ioctl(s->uffd, CIRA_UFFDIO_MOVE, &move) == 0) {
      return true;
    }
    if (errno == EEXIST) {
      return true;
    }
    if (errno == ENOENT) {
      return false;
    }
    write_same(page);
  }
  return false; /* pinned by the kernel (direct I/O): stays where it is */
}

/* Moves a run of the window, gaps included, to the side area. What gaps are is
 * said by `rest`, the pages that are still to be taken: a gap may also be a
 * page of t->set that is in a block already, and has its content there. */
static void move_aside(cira_space_t *s, taken_t *t, const page_set_t *rest,
                       uint32_t from, uint32_t n) {
  uint64_t at = (uint64_t)from << CIRA_PAGE_LOG2;
  uint64_t end = (uint64_t)(from + n) << CIRA_PAGE_LOG2;
  while (at < end) {
    struct cira_uffdio_move move = {
        .dst = (uint64_t)(uintptr_t)s->side + at,
        .src = (uint64_t)(uintptr_t)page_addr(s, t->first) + at,
        .len = end - at,
        .mode = CIRA_UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES};
    if (ioctl(s->uffd, CIRA_UFFDIO_MOVE, &move) == 0) {
      break;
    }
    if (move.move > 0) {
      at += (uint64_t)move.move;
      continue;
    }
    if (errno == EAGAIN || errno == EINTR) {
      continue;
    }
    uint32_t i = (uint32_t)(at >> CIRA_PAGE_LOG2);
    if (errno != EEXIST && set_has(rest, i) && !move_one(s, t->first, i)) {
      set_remove(&t->set, i);
    }
    at += CIRA_PAGE_BYTES;
  }
  t->any_aside = true;
  for (uint32_t i = from; i < from + n; i++) {
    if (set_has(rest, i) && set_has(&t->set, i)) {
      t->content[i] = s->side + ((uint64_t)i << CIRA_PAGE_LOG2);
    }
  }
}

/* Moves a whole run, or what the kernel moves of it; returns the pages moved.
 */
static uint64_t move_pages(cira_space_t *s, uint8_t *dst, uint8_t *src,
                           uint64_t n) {
  uint64_t at = 0, bytes = n << CIRA_PAGE_LOG2;
  while (at < bytes) {
    struct cira_uffdio_move move = {.dst = (uint64_t)(uintptr_t)dst + at,
                                    .src = (uint64_t)(uintptr_t)src + at,
                                    .len = bytes - at};
    if (ioctl(s->uffd, CIRA_UFFDIO_MOVE, &move) == 0) {
      return n;
    }
    if (move.move > 0) {
      at += (uint64_t)move.move;
    } else if (errno == EEXIST) {
      at += CIRA_PAGE_BYTES; /* moved before an EAGAIN */
    } else if (errno != EAGAIN && errno != EINTR) {
      break;
    }
  }
  return at >> CIRA_PAGE_LOG2;
}

static bool sigbus_install_block(cira_space_t *s, uint64_t page, uint64_t n,
                                 uint8_t *frames, bool clean) {
  uint64_t moved = move_pages(s, page_addr(s, page), frames, n);
  if (moved < n) { /* frames that a forked relative shares cannot be moved */
    cira__uffd_install(s, page + moved, n - moved,
                       frames + (moved << CIRA_PAGE_LOG2), clean);
  }
  if (clean && moved > 0 && single_threaded(s)) {
    /* With several threads a write could come first; there nobody asks which
     * pages were written. */
    struct uffdio_writeprotect wp = {
        .range = {(uint64_t)(uintptr_t)page_addr(s, page),
                  moved << CIRA_PAGE_LOG2},
        .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    ioctl(s->uffd, UFFDIO_WRITEPROTECT, &wp); /* unprotected = dirty: safe */
  }
  return moved == n;
}

/* Moves a run without gaps into blocks of the pool, behind what is there
 * already; returns how many of its pages went. */
static uint32_t take_into_blocks(cira_space_t *s, taken_t *t, uint32_t at,
                                 uint32_t n) {
  uint32_t done = 0;
  while (done < n) {
    uint32_t b = t->block_count;
    if (b == 0 || t->block_pages[b - 1] == BLOCK_PAGES) {
      uint8_t *fresh = cira__pool_take_hollow(s);
      if (fresh == NULL) {
        break;
      }
      t->block[b] = fresh;
      t->block_pages[b] = 0;
      t->block_count = ++b;
    }
    uint32_t used = t->block_pages[b - 1];
    uint32_t part = (uint32_t)cira__min_u64(n - done, BLOCK_PAGES - used);
    uint8_t *to = t->block[b - 1] + (uint64_t)used * CIRA_PAGE_BYTES;
    uint32_t moved =
        (uint32_t)move_pages(s, to, page_addr(s, t->first + at + done), part);
    for (uint32_t i = 0; i < moved; i++) {
      t->content[at + done + i] = to + ((uint64_t)i << CIRA_PAGE_LOG2);
    }
    t->block_pages[b - 1] = (uint8_t)(used + moved);
    done += moved;
    if (moved < part) {
      break; /* the other ways go page by page */
    }
  }
  return done;
}

static void sigbus_take(cira_space_t *s, taken_t *t) {
  bool alone = single_threaded(s);
  page_set_t rest = t->set;
  if (alone) {
    scan(s, t->first, t->n, CIRA_PAGE_IS_WRITTEN, t->dirty.bits);
  } else {
    t->dirty = t->set;
  }
  for (uint32_t at = 0, n; (n = set_next_run(&t->set, NULL, t->n, &at)) > 0;
       at += n) {
    uint32_t went = n < POOL_RUN_MIN ? 0 : take_into_blocks(s, t, at, n);
    for (uint32_t i = at; i < at + went; i++) {
      set_remove(&rest, i);
      set_add(&t->quiet, i);
    }
  }
  for (uint32_t at = 0, n;
       !alone && (n = set_next_run(&rest, &t->quiet, t->n, &at)) > 0; at += n) {
    move_aside(s, t, &rest, at, n);
  }
  for (uint32_t i = 0; alone && i < t->n; i++) {
    if (set_has(&rest, i)) {
      t->content[i] = page_addr(s, t->first + i);
      set_add(&t->in_place, i);
    }
  }
}

/* Many ranges in one call; the kernel then flushes the TLB once. */
static void forget_ranges(cira_space_t *s, struct iovec *range,
                          uint32_t count) {
  if (s->pidfd >= 0 && count > 1) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
      bytes += range[i].iov_len;
    }
    if (syscall(SYS_process_madvise, s->pidfd, range, count, MADV_DONTNEED,
                0) == (long)bytes) {
      return;
    }
  }
  for (uint32_t i = 0; i < count; i++) {
    cira__uffd_forget(s, page_of(s, range[i].iov_base),
                      range[i].iov_len >> CIRA_PAGE_LOG2);
  }
}

static void sigbus_drop(cira_space_t *s, taken_t *t) {
  struct iovec range[WINDOW_PAGES / 2];
  uint32_t count = 0;
  for (uint32_t at = 0, n;
       (n = set_next_run(&t->in_place, &t->quiet, t->n, &at)) > 0; at += n) {
    range[count++] = (struct iovec){page_addr(s, t->first + at),
                                    (size_t)n << CIRA_PAGE_LOG2};
  }
  forget_ranges(s, range, count);
  if (t->any_aside) {
    madvise(s->side, SIDE_BYTES, MADV_DONTNEED);
  }
  for (uint32_t i = 0; i < t->block_count; i++) {
    cira__pool_give(s, t->block[i], t->block_pages[i]);
  }
}

static cira_status_t sigbus_fork_child(cira_space_t *s) {
  close(s->pidfd);
  s->pidfd = pidfd_self();
  cira_status_t status = cira__pagemap_open(s);
  status = status == CIRA_OK ? cira__uffd_again(s, SIGBUS_FEATURES) : status;
  if (status != CIRA_OK) {
    return status;
  }
  return area_register(s, s->side, s->side_bytes);
}

const map_ops_t cira__map_sigbus = {
    .size = sizeof(map_ops_t),
    .name = "sigbus",
    .signo = SIGBUS,
    .tracks_dirty = false,
    .shares_fork = true,
    .probe = sigbus_probe,
    .init = sigbus_init,
    .fini = sigbus_fini,
    .open = cira__uffd_chunk_open,
    .manage = sigbus_manage,
    .install = cira__uffd_install,
    .install_block = sigbus_install_block,
    .take = sigbus_take,
    .drop = sigbus_drop,
    .forget = cira__uffd_forget,
    .fork_child = sigbus_fork_child,
};
