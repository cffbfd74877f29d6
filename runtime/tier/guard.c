/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard: holds writers of one chunk back while it is copied and exchanged.
 *
 * Where the kernel can (anonymous memory and memory files), by userfaultfd
 * write protection: a writer sleeps in its fault, also one in a system call
 * when the process may handle those. Devices cannot be registered: there the
 * chunk is made read-only, and a handler of SIGSEGV lets the writer wait. The
 * handler passes on what is not ours.
 *
 * Readers never wait, but for pages without memory on kernels before 6.4.
 * Only one range is guarded at a time (the caller holds `move`).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "tier/tier_internal.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
/* Debian 12's headers are older than the kernels it may run on. */
#define FEATURE_WP_SHMEM (UINT64_C(1) << 12)
#define FEATURE_WP_UNPOPULATED (UINT64_C(1) << 13)
#define FRUITLESS_MAX 1000u /* faults at one address before we give up */

static struct {
  int fd; /* userfaultfd; -1 not opened, -2 not to be had */
  uint64_t features;
  bool registered;  /* the range is guarded by it */
  bool only_signal; /* for tests */
  struct sigaction before;
  _Atomic uintptr_t lo, hi; /* guarded by the handler; hi == 0: nothing */
  _Atomic uint32_t turns;   /* ranges guarded so far */
} guard = {.fd = -1};

/* ---- userfaultfd -------------------------------------------------------- */

static int uffd_new(int flags) {
  return (int)CIRA__SYS(SYS_userfaultfd, flags | O_CLOEXEC, 0, 0, 0, 0, 0);
}

static int uffd_open(uint64_t features, uint64_t *out_features) {
  int fd = uffd_new(0); /* faults of the kernel as well, where permitted */
  fd = fd >= 0 ? fd : uffd_new(UFFD_USER_MODE_ONLY);
  struct uffdio_api api = {.api = UFFD_API, .features = features};
  if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) != 0) {
    cira__sys_close(fd);
    fd = -1;
  }
  *out_features = api.features;
  return fd;
}

static bool uffd_ready(void) {
  if (guard.fd == -1) {
    uint64_t has = 0, got;
    guard.fd = -2;
    int probe = uffd_open(0, &has);
    if (probe >= 0) {
      cira__sys_close(probe);
    }
    has &= UFFD_FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_SHMEM |
           FEATURE_WP_UNPOPULATED;
    if (probe >= 0 && (has & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0) {
      int fd = uffd_open(has, &got);
      guard.fd = fd >= 0 ? fd : -2;
      guard.features = has;
    }
  }
  return guard.fd >= 0;
}

static bool uffd_begin(uint8_t *at, uint64_t bytes, cira__backing_t backing) {
  if (guard.only_signal || backing == BACKING_DAX || !uffd_ready() ||
      (backing == BACKING_FILE && (guard.features & FEATURE_WP_SHMEM) == 0)) {
    return false;
  }
  /* Pages without memory: markers in the page table keep writers off; without
   * them whoever touches such a page has to wait. */
  bool markers =
      backing == BACKING_FILE || (guard.features & FEATURE_WP_UNPOPULATED) != 0;
  if (!markers && !cira__present_known()) {
    return false; /* we could not leave these pages out ourselves */
  }
  struct uffdio_range range = {.start = (uintptr_t)at, .len = bytes};
  struct uffdio_register reg = {
      .range = range,
      .mode = UFFDIO_REGISTER_MODE_WP |
              (markers ? 0 : UFFDIO_REGISTER_MODE_MISSING)};
  if (ioctl(guard.fd, UFFDIO_REGISTER, &reg) != 0) {
    return false; /* the program has registered it itself, for instance */
  }
  struct uffdio_writeprotect wp = {.range = range,
                                   .mode = UFFDIO_WRITEPROTECT_MODE_WP};
  int rc;
  do {
    rc = ioctl(guard.fd, UFFDIO_WRITEPROTECT, &wp);
  } while (rc != 0 && errno == EAGAIN);
  if (rc != 0) {
    (void)ioctl(guard.fd, UFFDIO_UNREGISTER, &range);
    return false;
  }
  return true;
}

static void uffd_end(uint8_t *at, uint64_t bytes, bool restore) {
  struct uffdio_range range = {.start = (uintptr_t)at, .len = bytes};
  if (restore) {
    struct uffdio_writeprotect off = {.range = range};
    (void)ioctl(guard.fd, UFFDIO_WRITEPROTECT, &off);
    (void)ioctl(guard.fd, UFFDIO_UNREGISTER, &range);
  }
  (void)ioctl(guard.fd, UFFDIO_WAKE, &range);
}

/* ---- the signal --------------------------------------------------------- */

static __thread bool passing __attribute__((tls_model("initial-exec")));

static void pass_on(int signo, siginfo_t *info, void *context) {
  const struct sigaction *b = &guard.before;
  bool has_info = (b->sa_flags & SA_SIGINFO) != 0;
  if (passing || b->sa_handler == SIG_DFL || b->sa_handler == SIG_IGN) {
    /* Nobody's (or two handlers that pass on to each other): the fault comes
     * again and ends the process, as it should. */
    signal(signo, SIG_DFL);
    return;
  }
  passing = true;
  if (has_info) {
    b->sa_sigaction(signo, info, context);
  } else {
    b->sa_handler(signo);
  }
  passing = false;
}

static __thread uintptr_t last_fault __attribute__((tls_model("initial-exec")));
static __thread uint32_t fruitless __attribute__((tls_model("initial-exec")));
static __thread uint32_t last_turn __attribute__((tls_model("initial-exec")));

/* A writer of a guarded range waits for the exchange and tries again. The range
 * may be done by now: so any fault in a live block is tried again, until that
 * has led nowhere many times. */
static void on_fault(int signo, siginfo_t *info, void *context) {
  int saved = errno;
  uintptr_t at = (uintptr_t)info->si_addr;
  if (info->si_code <= 0 || !cira__arena_live(info->si_addr)) {
    pass_on(signo, info, context);
    errno = saved;
    return;
  }
  /* pairs with: signal_begin, signal_end */
  uint32_t turn = atomic_load_explicit(&guard.turns, memory_order_acquire);
  if (at != last_fault || turn != last_turn) {
    last_fault = at;
    last_turn = turn;
    fruitless = 0;
  }
  bool waited = false;
  while (at >= atomic_load_explicit(&guard.lo, memory_order_acquire) &&
         at < atomic_load_explicit(&guard.hi, memory_order_acquire)) {
    struct timespec pause = {.tv_nsec = 20000}; /* a chunk takes 1 ms */
    CIRA__SYS(SYS_nanosleep, &pause, 0, 0, 0, 0, 0);
    waited = true;
  }
  if (!waited && ++fruitless > FRUITLESS_MAX) {
    fruitless = 0;
    pass_on(signo, info, context); /* not our doing */
  }
  errno = saved;
}

/* The program may have taken the signal since the last time. */
static cira_status_t handler_install(void) {
  struct sigaction now, sa = {.sa_sigaction = on_fault,
                              .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigemptyset(&sa.sa_mask);
  if (sigaction(SIGSEGV, NULL, &now) == 0 &&
      ((now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != on_fault)) {
    guard.before = now;
    if (sigaction(SIGSEGV, &sa, NULL) != 0) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno,
                              "no handler for writers of a chunk that moves");
    }
  }
  return CIRA_OK;
}

static cira_status_t signal_begin(uint8_t *at, uint64_t bytes) {
  cira_status_t status = handler_install();
  if (status != CIRA_OK) {
    return status;
  }
  atomic_fetch_add_explicit(&guard.turns, 1, memory_order_release);
  atomic_store_explicit(&guard.lo, (uintptr_t)at, memory_order_release);
  atomic_store_explicit(&guard.hi, (uintptr_t)at + bytes,
                        memory_order_release); /* pairs with: on_fault */
  if (mprotect(at, bytes, PROT_READ) != 0) {
    int error = errno;
    atomic_store_explicit(&guard.hi, 0, memory_order_release);
    return cira__fail_errno(error == ENOMEM ? CIRA_E_NOMEM : CIRA_E_SYSTEM,
                            error, "a chunk cannot be protected");
  }
  return CIRA_OK;
}

/* ---- both --------------------------------------------------------------- */

cira_status_t cira__guard_begin(uint8_t *at, uint64_t bytes,
                                cira__backing_t backing) {
  guard.registered = uffd_begin(at, bytes, backing);
  return guard.registered ? CIRA_OK : signal_begin(at, bytes);
}

void cira__guard_end(uint8_t *at, uint64_t bytes, bool restore) {
  if (guard.registered) {
    uffd_end(at, bytes, restore);
    guard.registered = false;
    return;
  }
  if (restore && mprotect(at, bytes, PROT_READ | PROT_WRITE) != 0) {
    cira__die("a chunk at %p stays read-only: no memory for its mapping",
              (void *)at);
  }
  atomic_store_explicit(&guard.hi, 0, memory_order_release);
}

void cira__guard_forked(void) {
  if (guard.fd >= 0) { /* it works on the parent's memory */
    cira__sys_close(guard.fd);
  }
  guard.fd = -1;
  guard.registered = false;
}

void cira__guard_by_signal(bool on) {
  guard.only_signal = on;
}
