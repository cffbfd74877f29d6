/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for requests of cira/async.h. Somebody has to poll the fabric: of all
 * who wait, one at a time does (it leads), and the others are parked until
 * their request is done or it is their turn to lead. A leader that finds
 * nothing lets other tasks run, and after some time waits for the fabric's
 * descriptor.
 * No wake-up is lost: a request is finished by whoever reaped it, also if he
 * waits for another one; who stops leading wakes the next in line; who joins
 * the line looks at the lead once more afterwards. What the pager of another
 * thread takes from the fabric on the way is seen by the leader within LOOK_NS,
 * and while a leader lets others compute, those in line look for themselves.
 */
#include "async/future.h"

#include <poll.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <time.h>

#define SPIN_NS 50000u        /* a leader polls before it sleeps */
#define LOOK_NS 1000000u      /* and then looks again at least so often */
#define IMPATIENT_NS 2000000u /* other threads look themselves after this */

static struct {
  _Atomic uintptr_t led; /* by a thread: it polls, or waits for the fd; or 0 */
  cira_waitlist_t followers;
} engine;

/* A number of this thread. Never inlined: a task may go on on another one. */
__attribute__((noinline)) static uintptr_t thread_id(void) {
  static _Thread_local char mine;
  return (uintptr_t)&mine;
}

bool cira__async_is_led(void) {
  return atomic_load_explicit(&engine.led, memory_order_relaxed) != 0;
}

/* ---- progress ------------------------------------------------------------ */

static void piece_done(const cira_reaped_t *got) {
  cira_async_t *a = got->owner;
  const cira_request_t *r = &got->request;
  if (CIRA_UNLIKELY(got->lost)) {
    if (r->kind == CIRA_REQUEST_READ) {
      memcpy(r->to, r->far, r->bytes);
    } else if (r->kind != CIRA_REQUEST_TOUCH) {
      cira__async_fail(a, CIRA_E_DISCONNECTED);
    }
  } else if (CIRA_UNLIKELY(got->status != CIRA_OK)) {
    cira__async_fail(a, got->status);
  } else if (r->kind != CIRA_REQUEST_READ && r->kind != CIRA_REQUEST_TOUCH) {
    a->value = got->value;
  }
  cira__async_done(a, 1);
}

uint32_t cira__async_progress(void) {
  cira_reaped_t got[CIRA_REAP_MAX];
  cira__async_serve();
  uint32_t n = cira_request_reap(got);
  for (uint32_t i = 0; i < n; i++) {
    piece_done(&got[i]);
  }
  return n;
}

/* ---- ending -------------------------------------------------------------- */

CIRA_COLD static cira_status_t not_under_way(const cira_async_t *a,
                                             const char *call) {
  if (a == NULL) {
    return cira__fail(CIRA_E_INVALID, "async_%s: the request is NULL", call);
  }
  if (async_state(a) == ASYNC_IDLE) {
    return cira__fail(
        CIRA_E_CLOSED,
        "async_%s: the request is not under way; what it gave was "
        "taken before, or it was never begun",
        call);
  }
  return cira__fail(CIRA_E_INVALID,
                    "async_%s: that is no request; zero it before its first "
                    "use",
                    call);
}

/* It is done: gives its result and frees it for the next use. */
static cira_status_t take(cira_async_t *a, uint64_t *out_value) {
  cira_status_t status = a->status;
  if (out_value != NULL && status == CIRA_OK) {
    *out_value = a->value;
  }
  __atomic_store_n(&a->state, ASYNC_IDLE, __ATOMIC_RELEASE);
  return status;
}

/* What await and poll end with. A request that somebody else's await has ended
 * meanwhile (it is for one) is closed for this one. */
static cira_status_t outcome(cira_async_t *a, uint64_t *out_value,
                             const char *call) {
  if (CIRA_UNLIKELY(async_state(a) == ASYNC_IDLE)) {
    return not_under_way(a, call);
  }
  return cira_waitable_ready(&a->done) ? take(a, out_value) : CIRA_PENDING;
}

/* COPY -> FLYING. Returns false when another thread was faster: settle, cancel,
 * or this. A process of one thread need not wait for the lines of others, as a
 * locked instruction does. */
static inline bool copy_claim(cira_async_t *a) {
  uint32_t copy = ASYNC_COPY;
  if (__libc_single_threaded) {
    bool mine = a->state == ASYNC_COPY;
    a->state = mine ? ASYNC_FLYING : a->state;
    return mine;
  }
  return __atomic_compare_exchange_n(&a->state, &copy, ASYNC_FLYING, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Ends a COPY request. Returns false when somebody else looks at it. */
static bool take_copy(cira_async_t *a, uint64_t *out_value,
                      cira_status_t *out_status) {
  if (!copy_claim(a)) {
    while (async_state(a) == ASYNC_FLYING) {
      cira__cpu_relax(); /* another thread copies it at this moment */
    }
    return false;
  }
  cira__async_copy(a);
  *out_status = take(a, out_value);
  return true;
}

static bool known(const cira_async_t *a) {
  uint32_t state = a != NULL ? async_state(a) : ASYNC_IDLE;
  return state == ASYNC_COPY || state == ASYNC_FLYING ||
         state == ASYNC_FINISHED;
}

cira_status_t cira_async_poll(cira_async_t *a, uint64_t *out_value) {
  if (CIRA_UNLIKELY(!known(a))) {
    return not_under_way(a, "poll");
  }
  cira_status_t status;
  if (async_state(a) == ASYNC_COPY && take_copy(a, out_value, &status)) {
    return status;
  }
  if (!cira_waitable_ready(&a->done)) {
    (void)cira__async_progress();
  }
  return outcome(a, out_value, "poll");
}

/* ---- waiting ------------------------------------------------------------- */

/* Sleeps until the fabric may have something, `until` at the latest. */
static cira_status_t sleep_on_fabric(cira_parker_t *parker, uint64_t until) {
  int fd = cira_request_fd();
  if (fd < 0) {
    return parker->park(parker, until);
  }
  if (parker->wait_fd != NULL) {
    cira_status_t status = parker->wait_fd(parker, fd, POLLIN, until);
    return status == CIRA_E_BUSY ? parker->park(parker, until) : status;
  }
  uint64_t now = cira__now_ns();
  struct pollfd p = {.fd = fd, .events = POLLIN};
  struct timespec ts = {.tv_nsec = (long)(until > now ? until - now : 0)};
  (void)ppoll(&p, 1, &ts, NULL); /* until is less than a second away */
  return CIRA_OK;
}

/* Who was woken to lead, or leads no more, lets the next one. */
static void lead_on(void) {
  atomic_thread_fence(memory_order_seq_cst);
  if (__atomic_load_n(&engine.followers.count, __ATOMIC_RELAXED) != 0) {
    (void)cira_waitlist_wake(&engine.followers, 1);
  }
}

/* One turn of leading: *idle_since is when nothing came first, 0: it did. */
static cira_status_t lead(cira_parker_t *parker, const cira_async_t *a,
                          uint64_t deadline_ns, uint64_t *idle_since) {
  if (cira__async_progress() > 0) {
    *idle_since = 0;
  }
  if (cira_waitable_ready(&a->done)) {
    return CIRA_OK;
  }
  if (*idle_since != 0) {
    uint64_t now = cira__now_ns();
    if (now - *idle_since > SPIN_NS) {
      cira_status_t status =
          sleep_on_fabric(parker, cira__min_u64(deadline_ns, now + LOOK_NS));
      return status == CIRA_E_DEADLINE ? CIRA_OK : status;
    }
  } else {
    *idle_since = cira__now_ns();
  }
  if (parker->yield != NULL) {
    parker->yield(parker); /* still leading: the others need not look */
  } else {
    cira__cpu_relax();
  }
  return CIRA_OK;
}

/* Parks until the request is done or somebody has to lead. */
static cira_status_t follow(cira_parker_t *parker, const cira_async_t *a,
                            uint64_t deadline_ns) {
  cira_waiter_t turn = {.parker = parker};
  cira_waitlist_add(&engine.followers, &turn);
  atomic_thread_fence(memory_order_seq_cst); /* pairs with: stop_leading */
  cira_status_t status = CIRA_OK;
  uintptr_t leader = atomic_load(&engine.led);
  if (!cira_waitable_ready(&a->done) && leader != 0) {
    /* who shares the leader's thread has its turns when the leader has */
    uint64_t until =
        leader == thread_id() ? CIRA_FOREVER : cira__now_ns() + IMPATIENT_NS;
    status = parker->park(parker, cira__min_u64(deadline_ns, until));
    if (status == CIRA_E_DEADLINE) {
      (void)cira__async_progress(); /* the leader may have other things to do */
      status = CIRA_OK;
    }
  }
  if (cira_waitlist_remove(&engine.followers, &turn) &&
      (status != CIRA_OK || cira_waitable_ready(&a->done))) {
    lead_on();
  }
  return status;
}

static void stop_leading(void) {
  atomic_store(&engine.led, 0); /* sequentially consistent: see follow */
  lead_on();
}

static cira_status_t wait_done(cira_async_t *a, uint64_t deadline_ns) {
  cira_parker_t *parker = cira_parker_self();
  cira_waiter_t waiter = {.parker = parker};
  if (!cira_waitable_add(&a->done, &waiter)) {
    return CIRA_OK;
  }
  cira_status_t status = CIRA_OK;
  uint64_t idle_since = 0;
  bool led = false;
  while (status == CIRA_OK && !cira_waitable_ready(&a->done) &&
         async_state(a) != ASYNC_IDLE) {
    uintptr_t nobody = 0;
    if (!led &&
        atomic_compare_exchange_strong(&engine.led, &nobody, thread_id())) {
      led = true;
      if (parker->yield != NULL) {
        parker->yield(parker); /* others may have requests to send with ours */
      }
    }
    status = led ? lead(parker, a, deadline_ns, &idle_since)
                 : follow(parker, a, deadline_ns);
    if (deadline_ns != CIRA_FOREVER && status == CIRA_OK &&
        cira__now_ns() >= deadline_ns) {
      status = CIRA_E_DEADLINE;
    }
  }
  cira_waitable_remove(&a->done, &waiter);
  if (led) {
    stop_leading();
  }
  return cira_waitable_ready(&a->done) ? CIRA_OK : status;
}

/* Of a request that is not to be copied. */
static __attribute__((noinline)) cira_status_t await_any(cira_async_t *a,
                                                         uint64_t deadline_ns,
                                                         uint64_t *out_value) {
  if (CIRA_UNLIKELY(!known(a))) {
    return not_under_way(a, "await");
  }
  if (async_state(a) == ASYNC_IDLE || cira_waitable_ready(&a->done)) {
    return outcome(a, out_value, "await");
  }
  if (deadline_ns == CIRA_NO_WAIT) {
    (void)cira__async_progress();
  } else {
    uint64_t began = async_watch();
    cira_status_t status = wait_done(a, deadline_ns);
    if (CIRA_UNLIKELY(began != 0)) {
      cira__async_waited(a, began);
    }
    switch (status) {
    case CIRA_OK:
    case CIRA_E_DEADLINE:
      break;
    default:
      return cira__fail(CIRA_E_BUSY, "async_await: this task was told to stop");
    }
  }
  return outcome(a, out_value, "await");
}

cira_status_t cira_async_await(cira_async_t *a, uint64_t deadline_ns,
                               uint64_t *out_value) {
  if (CIRA_LIKELY(a != NULL && async_state(a) == ASYNC_COPY)) {
    cira_parker_t *parker = cira__parker_now; /* a thread's has no yield */
    if (parker != NULL && parker->yield != NULL &&
        deadline_ns != CIRA_NO_WAIT) {
      parker->yield(parker); /* its lines are on their way into the cache */
    }
    cira_status_t status;
    if (take_copy(a, out_value, &status)) {
      return status;
    }
  }
  return await_any(a, deadline_ns, out_value);
}
