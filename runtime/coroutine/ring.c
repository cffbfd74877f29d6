/* SPDX-License-Identifier: Apache-2.0
 *
 * io_uring for the descriptors of a worker, see ring.h.
 */
#include "coroutine/ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQ_ENTRIES 64u
#define CQ_ENTRIES 1024u /* what does not fit waits in the kernel */
#define IGNORED 1u       /* user data of cancellations themselves */

static long enter(const cira__ring_t *r, uint32_t submit, uint32_t wait,
                  uint32_t flags, const void *arg, size_t bytes) {
  return syscall(SYS_io_uring_enter, r->fd - 1, submit, wait, flags, arg,
                 bytes);
}

/* ---- life ---------------------------------------------------------------- */

static void maps_note(cira__ring_t *r, const struct io_uring_params *p) {
  uint8_t *map = r->map;
  uint32_t *array = (uint32_t *)(void *)(map + p->sq_off.array);
  r->sq_head = (uint32_t *)(void *)(map + p->sq_off.head);
  r->sq_tail = (uint32_t *)(void *)(map + p->sq_off.tail);
  r->sq_flags = (uint32_t *)(void *)(map + p->sq_off.flags);
  r->cq_head = (uint32_t *)(void *)(map + p->cq_off.head);
  r->cq_tail = (uint32_t *)(void *)(map + p->cq_off.tail);
  r->cqes = map + p->cq_off.cqes;
  r->sq_mask = p->sq_entries - 1;
  r->cq_mask = p->cq_entries - 1;
  for (uint32_t i = 0; i < p->sq_entries; i++) {
    array[i] = i;
  }
}

static cira_status_t maps_make(cira__ring_t *r,
                               const struct io_uring_params *p) {
  size_t sq = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
  size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
  r->map_bytes = sq > cq ? sq : cq;
  r->sqes_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
  r->map = mmap(NULL, r->map_bytes, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_POPULATE, r->fd - 1, IORING_OFF_SQ_RING);
  r->sqes = mmap(NULL, r->sqes_bytes, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_POPULATE, r->fd - 1, IORING_OFF_SQES);
  if (r->map == MAP_FAILED || r->sqes == MAP_FAILED) {
    return cira__fail_errno(CIRA_E_UNSUPPORTED, errno, "io_uring: mmap");
  }
  maps_note(r, p);
  return CIRA_OK;
}

/* Room for one more; hands the queue to the kernel when it is full. Lock held.
 */
static struct io_uring_sqe *sqe_next(cira__ring_t *r) {
  uint32_t tail = *r->sq_tail; /* only we write it, under the lock */
  /* pairs with: the kernel's release of what it has taken */
  while (tail - __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE) > r->sq_mask) {
    (void)enter(r, r->sq_mask + 1, 0, 0, NULL, 0);
    atomic_store_explicit(&r->queued, 0, memory_order_relaxed);
  }
  struct io_uring_sqe *sqe =
      (struct io_uring_sqe *)r->sqes + (tail & r->sq_mask);
  memset(sqe, 0, sizeof *sqe);
  return sqe;
}

/* Lock held. */
static void sqe_done(cira__ring_t *r) {
  /* pairs with: the kernel's acquire of the tail */
  __atomic_store_n(r->sq_tail, *r->sq_tail + 1, __ATOMIC_RELEASE);
  (void)atomic_fetch_add_explicit(&r->queued, 1, memory_order_relaxed);
}

static void submit(cira__ring_t *r) {
  cira__lock(&r->lock);
  uint32_t n = atomic_exchange_explicit(&r->queued, 0, memory_order_relaxed);
  if (n > 0) {
    (void)enter(r, n, 0, 0, NULL, 0);
  }
  cira__unlock(&r->lock);
}

static void watch_event_fd(cira__ring_t *r) {
  cira__lock(&r->lock);
  struct io_uring_sqe *sqe = sqe_next(r);
  sqe->opcode = IORING_OP_POLL_ADD;
  sqe->fd = r->event_fd;
  sqe->len = IORING_POLL_ADD_MULTI;
  sqe->poll32_events = POLLIN;
  sqe_done(r);
  cira__unlock(&r->lock);
}

cira_status_t cira__ring_open(cira__ring_t *r, int event_fd) {
  struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                              .cq_entries = CQ_ENTRIES};
  const uint32_t needed =
      IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
  memset(r, 0, sizeof *r);
  long fd = syscall(SYS_io_uring_setup, SQ_ENTRIES, &p);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_UNSUPPORTED, errno, "io_uring_setup");
  }
  r->fd = (int)fd + 1;
  r->event_fd = event_fd;
  cira_status_t status = CIRA_OK;
  if ((p.features & needed) != needed) {
    status = cira__fail(CIRA_E_UNSUPPORTED,
                        "io_uring: this kernel's is too old (features %x)",
                        p.features);
  }
  if (status == CIRA_OK) {
    status = maps_make(r, &p);
  }
  if (status != CIRA_OK) {
    cira__ring_close(r);
    return status;
  }
  /* Repeated polling came last of what we need: a refusal is seen at once. */
  watch_event_fd(r);
  submit(r);
  if (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) != *r->cq_head) {
    cira__ring_close(r);
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "io_uring: this kernel's has no repeated polling");
  }
  return CIRA_OK;
}

void cira__ring_close(cira__ring_t *r) {
  if (r->fd == 0) {
    return;
  }
  if (r->map != NULL && r->map != MAP_FAILED) {
    (void)munmap(r->map, r->map_bytes);
  }
  if (r->sqes != NULL && r->sqes != MAP_FAILED) {
    (void)munmap(r->sqes, r->sqes_bytes);
  }
  (void)close(r->fd - 1);
  r->fd = 0;
}

/* ---- waits --------------------------------------------------------------- */

void cira__ring_add(cira__ring_t *r, int fd, uint32_t events, void *user) {
  cira__lock(&r->lock);
  struct io_uring_sqe *sqe = sqe_next(r);
  sqe->opcode = IORING_OP_POLL_ADD;
  sqe->fd = fd;
  sqe->poll32_events = events;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  sqe->poll32_events = events << 16 | events >> 16;
#endif
  sqe->user_data = (uint64_t)(uintptr_t)user;
  sqe_done(r);
  cira__unlock(&r->lock);
}

void cira__ring_cancel(cira__ring_t *r, void *user) {
  cira__lock(&r->lock);
  struct io_uring_sqe *sqe = sqe_next(r);
  sqe->opcode = IORING_OP_ASYNC_CANCEL;
  sqe->fd = -1;
  sqe->addr = (uint64_t)(uintptr_t)user;
  sqe->user_data = IGNORED;
  sqe_done(r);
  cira__unlock(&r->lock);
  submit(r);
}

/* ---- what has happened --------------------------------------------------- */

static void reap(cira__ring_t *r, void (*happened)(void *, int32_t)) {
  uint32_t head = *r->cq_head; /* only we write it */
  /* pairs with: the kernel's release of the entries */
  while (head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)) {
    struct io_uring_cqe cqe =
        ((struct io_uring_cqe *)r->cqes)[head & r->cq_mask];
    head++;
    /* pairs with: the kernel's acquire; the entry may be written again */
    __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    if (cqe.user_data == 0 && (cqe.flags & IORING_CQE_F_MORE) == 0) {
      watch_event_fd(r);
    }
    if (cqe.user_data != IGNORED) {
      happened((void *)(uintptr_t)cqe.user_data, cqe.res);
    }
  }
}

void cira__ring_poll(cira__ring_t *r, int64_t timeout_ns,
                     void (*happened)(void *, int32_t)) {
  bool some = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) != *r->cq_head;
  bool more = (__atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) &
               (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
  if (atomic_load_explicit(&r->queued, memory_order_relaxed) > 0) {
    submit(r);
  }
  if (timeout_ns != 0 && !some) {
    struct __kernel_timespec ts = {.tv_sec = timeout_ns / 1000000000,
                                   .tv_nsec = timeout_ns % 1000000000};
    struct io_uring_getevents_arg arg = {
        .ts = timeout_ns > 0 ? (uint64_t)(uintptr_t)&ts : 0};
    (void)enter(r, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg,
                sizeof arg);
  } else if (more) {
    (void)enter(r, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
  }
  reap(r, happened);
}
