/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting on a channel, and waking those who wait.
 *
 * No wake-up is lost: a sleeper (1) announces itself, (2) runs a barrier, (3)
 * tries once more, (4) sleeps. The other side (a) publishes, (b) looks for
 * announcements. If (b) misses (1), then the barrier (membarrier: a full fence
 * on every running thread of the registered processes; or fences on both sides)
 * lies after (a) of that thread, so (3) sees what was published.
 * Threads and coroutines of one process are on the wait list of their side; a
 * waker takes them off it one per message. Those of several processes cannot
 * share a list: they count themselves in rx_waiting and sleep on rx_turn. A
 * waker takes one from the count, raises the turn, then wakes one; a sleeper
 * reads the turn before it announces itself, so that a raise in between ends
 * its sleep at once. Nobody takes back an announcement (the waker may already
 * have taken it, and the count would go below the number of sleepers): one too
 * many costs one system call, one too few a wake-up.
 */
#include "base/sys.h"
#include "channel/internal.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define SPIN_MIN 32
#define SLICE_NS 100000000u  /* 100 ms: how often the peer is looked at */
#define POLL_MIN_NS 20000u   /* 20 us: coroutines on shared channels */
#define POLL_MAX_NS 1000000u /* 1 ms */

/* ---- the barrier -------------------------------------------------------- */

static long membarrier_call(int command) {
  return CIRA__SYS(SYS_membarrier, command, 0, 0, 0, 0, 0);
}

bool cira__channel_barrier_register(bool shared) {
  return membarrier_call(shared
                             ? MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
                             : MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

/* Returns false when sleeping without a limit would not be safe. */
static bool barrier(const cira_channel_t *c) {
  if (c->fenced) {
    /* pairs with: the fence in cira__channel_wake */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return true;
  }
  bool shared = (c->flags & CIRA_CHANNEL_F_SHARED) != 0;
  int command = shared ? MEMBARRIER_CMD_GLOBAL_EXPEDITED
                       : MEMBARRIER_CMD_PRIVATE_EXPEDITED;
  /* pairs with: the signal fence in cira__channel_signal */
  return membarrier_call(command) == 0 ||
         (cira__channel_barrier_register(shared) &&
          membarrier_call(command) == 0);
}

/* ---- waking ------------------------------------------------------------- */

/* Takes up to `count` from the announcements. */
static uint32_t announcements_take(uint32_t *waiting, uint32_t count) {
  /* relaxed: the order against publication is the barrier's */
  uint32_t there = __atomic_load_n(waiting, __ATOMIC_RELAXED);
  uint32_t take;
  do {
    take = there & ~CIRA__CHANNEL_FENCED;
    take = take < count ? take : count;
  } while (take > 0 &&
           !__atomic_compare_exchange_n(waiting, &there, there - take, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return take;
}

void cira__channel_wake(cira_channel_t *c, cira_channel_side_t side,
                        uint32_t count) {
  bool rx = side == CIRA_CHANNEL_RECEIVER;
  uint32_t *waiting = rx ? &c->rx_waiting : &c->tx_waiting;
  if (c->fenced) {
    /* pairs with: the fence in barrier */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(waiting, __ATOMIC_RELAXED) == CIRA__CHANNEL_FENCED) {
      return;
    }
  }
  /* Receivers that close has woken sleep again when a sender had a ticket and
   * was not done. Its message is one, but whoever does not get it has to learn
   * that it was the last: nobody else will wake him.
   * pairs with: the release add in channel_wait_announce: who announced himself
   * again had seen close. */
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  if (rx && c->kind == CIRA_CHANNEL_MPMC &&
      __atomic_load_n(&c->closed, __ATOMIC_RELAXED) != 0) {
    count = UINT32_MAX;
  }
  if ((c->flags & CIRA_CHANNEL_F_SHARED) == 0) {
    uint32_t woken = cira_waitlist_wake(rx ? &c->rx_list : &c->tx_list, count);
    (void)__atomic_fetch_sub(waiting, woken, __ATOMIC_RELAXED);
    return;
  }
  uint32_t *turn = rx ? &c->rx_turn : &c->tx_turn;
  uint32_t take = announcements_take(waiting, count);
  if (take > 0) {
    /* pairs with: the acquire load in channel_wait_announce */
    (void)__atomic_fetch_add(turn, 1, __ATOMIC_RELEASE);
    (void)CIRA__SYS(SYS_futex, turn, FUTEX_WAKE,
                    count == UINT32_MAX ? INT32_MAX : take, 0, 0, 0);
  }
}

/* ---- peers -------------------------------------------------------------- */

uint64_t cira__channel_process_start(uint32_t pid, bool *out_dead) {
  char path[40];
  char text[600];
  (void)cira__format(path, sizeof(path), "/proc/%u/stat", pid);
  *out_dead = true;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  ssize_t n = read(fd, text, sizeof(text) - 1);
  (void)close(fd);
  text[n > 0 ? n : 0] = 0;
  char *at = strrchr(text, ')'); /* the name may hold anything */
  if (!at || at[1] != ' ' || !at[2]) {
    return 0;
  }
  char state = at[2];
  uint64_t threads = 0;
  uint64_t start = 0;
  for (int field = 3; field <= 22 && at; field++) {
    at = strchr(at + 1, ' '); /* now in front of the field */
    if (at && field == 20) {
      threads = strtoull(at, NULL, 10);
    } else if (at && field == 22) {
      start = strtoull(at, NULL, 10);
    }
  }
  /* A first thread that has ended says nothing of the process while others
   * live: they may use the channel, and until they are gone no parent can ask
   * what the process died of. */
  *out_dead = state == 'X' || (state == 'Z' && threads <= 1);
  return start;
}

bool cira__channel_peer_dead(uint32_t pid, uint64_t start) {
  bool dead;
  return cira__channel_process_start(pid, &dead) != start || dead;
}

static cira_status_t channel_peer_check(const cira__channel_wait_t *w) {
  cira_channel_t *c = w->c;
  int other = w->side == CIRA_CHANNEL_RECEIVER ? CIRA_CHANNEL_SENDER
                                               : CIRA_CHANNEL_RECEIVER;
  /* pairs with: the release store in cira_channel_join */
  uint32_t pid = __atomic_load_n(&c->peer[other].pid, __ATOMIC_ACQUIRE);
  if (pid != 0 && cira__channel_peer_dead(pid, c->peer[other].start)) {
    return cira__fail(CIRA_E_DISCONNECTED,
                      "channel: process %u, the other side, is gone", pid);
  }
  return CIRA_OK;
}

/* ---- waiting ------------------------------------------------------------ */

static uint32_t *spin_of(cira__channel_wait_t *w) {
  return w->side == CIRA_CHANNEL_RECEIVER ? &w->c->rx_spin : &w->c->tx_spin;
}

void cira__channel_wait_begin(cira__channel_wait_t *w, cira_channel_t *c,
                              cira_channel_side_t side, uint64_t deadline_ns) {
  static uint32_t cpus;
  uint32_t known = __atomic_load_n(&cpus, __ATOMIC_RELAXED);
  if (known == 0) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    known = n > 0 ? (uint32_t)n : 1;
    __atomic_store_n(&cpus, known, __ATOMIC_RELAXED);
  }
  *w = (cira__channel_wait_t){.c = c, .side = side, .deadline_ns = deadline_ns};
  w->waiter.parker = cira_parker_self();
  if (w->waiter.parker->is_task || known == 1) {
    w->limit = 0;
  } else if (c->wait == CIRA_CHANNEL_ADAPTIVE) {
    w->limit = __atomic_load_n(spin_of(w), __ATOMIC_RELAXED);
  } else {
    w->limit = c->wait == CIRA_CHANNEL_SPIN ? UINT32_MAX : 0;
  }
  if ((c->flags & CIRA_CHANNEL_F_SHARED) != 0) {
    w->slice_ns = w->waiter.parker->is_task ? POLL_MIN_NS : SLICE_NS;
  }
  w->phase = CIRA__WAIT_SPIN;
}

/* True while spinning is not over. */
static bool channel_wait_spin(cira__channel_wait_t *w, cira_status_t *status) {
  if (w->turns >= w->limit) {
    return false;
  }
  w->turns++;
  cira__cpu_relax();
  if (w->turns % 256 == 0 && w->deadline_ns != CIRA_FOREVER &&
      cira__now_ns() >= w->deadline_ns) {
    *status = CIRA_E_DEADLINE;
  }
  if (w->limit == UINT32_MAX && w->turns == 1u << 10) {
    w->turns = 0; /* CIRA_CHANNEL_SPIN on a shared core */
    (void)sched_yield();
    if (*status == CIRA_OK && w->slice_ns) {
      *status = channel_peer_check(w);
    }
  }
  return true;
}

static void channel_wait_announce(cira__channel_wait_t *w) {
  cira_channel_t *c = w->c;
  bool rx = w->side == CIRA_CHANNEL_RECEIVER;
  uint32_t *waiting = rx ? &c->rx_waiting : &c->tx_waiting;
  if ((c->flags & CIRA_CHANNEL_F_SHARED) != 0) {
    if (w->waiter.parker->is_task) {
      return; /* polls: no other process can make a coroutine runnable */
    }
    /* pairs with: the release raise in cira__channel_wake */
    w->turn = __atomic_load_n(rx ? &c->rx_turn : &c->tx_turn, __ATOMIC_ACQUIRE);
  }
  /* pairs with: the load in cira__channel_signal, where the barrier orders it
   * before the next try; release, for the fence in cira__channel_wake. Before
   * the list: whoever is listed is counted, else
   * a waker that takes a later one off would hide an earlier sleeper. */
  (void)__atomic_fetch_add(waiting, 1, __ATOMIC_RELEASE);
  if ((c->flags & CIRA_CHANNEL_F_SHARED) == 0) {
    cira_waitlist_add(rx ? &c->rx_list : &c->tx_list, &w->waiter);
  }
  if (!barrier(c) && w->slice_ns == 0) {
    w->slice_ns = POLL_MAX_NS;
  }
}

static bool listed(const cira__channel_wait_t *w) {
  return (w->c->flags & CIRA_CHANNEL_F_SHARED) == 0 &&
         w->phase == CIRA__WAIT_SLEEP;
}

/* Leaves the list; remembers whether a waker had chosen us. */
static void channel_wait_leave(cira__channel_wait_t *w) {
  cira_channel_t *c = w->c;
  bool rx = w->side == CIRA_CHANNEL_RECEIVER;
  bool chosen =
      cira_waitlist_remove(rx ? &c->rx_list : &c->tx_list, &w->waiter);
  if (!chosen) { /* else the waker has counted us off */
    (void)__atomic_fetch_sub(rx ? &c->rx_waiting : &c->tx_waiting, 1,
                             __ATOMIC_RELAXED);
  }
  w->chosen |= chosen;
  w->phase = CIRA__WAIT_ANNOUNCE;
}

static long futex_sleep(cira__channel_wait_t *w, uint64_t until_ns) {
  cira_channel_t *c = w->c;
  uint32_t *turn = w->side == CIRA_CHANNEL_RECEIVER ? &c->rx_turn : &c->tx_turn;
  struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                           .tv_nsec = (long)(until_ns % 1000000000u)};
  return CIRA__SYS(SYS_futex, turn, FUTEX_WAIT_BITSET, w->turn, &until, NULL,
                   FUTEX_BITSET_MATCH_ANY);
}

static cira_status_t channel_wait_sleep(cira__channel_wait_t *w) {
  cira_parker_t *parker = w->waiter.parker;
  if (w->slice_ns == 0) {
    cira_status_t status = parker->park(parker, w->deadline_ns);
    /* Off the list in any case: a wake-up was for us, or we go to its end. */
    channel_wait_leave(w);
    return status;
  }
  cira_status_t status = channel_peer_check(w);
  uint64_t now = cira__now_ns();
  if (status != CIRA_OK || now >= w->deadline_ns) {
    return status != CIRA_OK ? status : CIRA_E_DEADLINE;
  }
  uint64_t until = cira__min_u64(now + w->slice_ns, w->deadline_ns);
  bool shared = (w->c->flags & CIRA_CHANNEL_F_SHARED) != 0;
  if (shared && !parker->is_task) {
    if (futex_sleep(w, until) != -ETIMEDOUT) {
      w->phase = CIRA__WAIT_ANNOUNCE;
    } /* else the turn stands, and so does our announcement */
    return CIRA_OK;
  }
  status = parker->park(parker, until);
  if (!shared) {
    channel_wait_leave(w);
  } else {
    w->slice_ns = cira__min_u64(w->slice_ns * 2, POLL_MAX_NS);
  }
  return status == CIRA_E_DEADLINE ? CIRA_OK : status;
}

cira_status_t cira__channel_wait_step(cira__channel_wait_t *w) {
  cira_status_t status = CIRA_OK;
  switch (w->phase) {
  case CIRA__WAIT_SPIN:
    if (channel_wait_spin(w, &status)) {
      return status;
    }
    __attribute__((fallthrough));
  case CIRA__WAIT_ANNOUNCE:
    channel_wait_announce(w);
    w->phase = CIRA__WAIT_SLEEP;
    return CIRA_OK;
  case CIRA__WAIT_SLEEP:
    return channel_wait_sleep(w);
  }
  return status;
}

void cira__channel_wait_end(cira__channel_wait_t *w, bool success) {
  cira_channel_t *c = w->c;
  bool slept = w->phase != CIRA__WAIT_SPIN;
  if (listed(w)) {
    channel_wait_leave(w);
  }
  /* Pass the wake-up on when we were chosen and did not use it; and when there
   * is more: the waker of a later message may have chosen somebody who saw the
   * ring stand still at a ticket that was not published yet. */
  if ((w->chosen && !success) || (slept && c->kind == CIRA_CHANNEL_MPMC &&
                                  cira__mpmc_available(c, w->side))) {
    cira__channel_wake(c, w->side, 1);
  }
  if (c->wait == CIRA_CHANNEL_ADAPTIVE && w->limit > 0) {
    /* relaxed: a hint; twice as long next time if it was enough, half if not */
    uint32_t next = slept ? w->limit / 2 : w->limit * 2;
    next = next < SPIN_MIN ? SPIN_MIN : next;
    next = next > c->spin_count ? c->spin_count : next;
    if (next != w->limit) {
      __atomic_store_n(spin_of(w), next, __ATOMIC_RELAXED);
    }
  }
}
