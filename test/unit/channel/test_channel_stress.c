/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels between threads and processes: nothing lost, nothing doubled, order
 * kept per sender, no wake-up lost with tiny rings and sleeping sides, close
 * under load, a peer that is killed. Counts are small enough for the thread
 * sanitizer; a lost wake-up shows as a deadline of a minute.
 */
#include "base/base.h"
#include "cira/channel.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS 60000000000ull
#define THREADS_MAX 4

typedef struct {
  cira_channel_t *c;
  uint64_t count; /* per sender */
  uint32_t index;
  uint32_t mode; /* 0 single, 1 batch, 2 runs, 3 try */
  uint64_t sum, got, wrong;
} side_t;

static uint64_t patience(void) {
  return cira__now_ns() + PATIENCE_NS;
}

static void *send_all(void *argument) {
  side_t *s = argument;
  uint64_t i = 0;
  while (i < s->count) {
    uint64_t batch[5];
    uint32_t n = 0;
    cira_status_t status = CIRA_OK;
    for (uint32_t k = 0; k < 5; k++) {
      batch[k] = ((uint64_t)s->index << 48) + i + k + 1;
    }
    cira_channel_run_t run;
    if (s->mode == 1) {
      uint32_t want = s->count - i < 5 ? (uint32_t)(s->count - i) : 5;
      status = cira_channel_send_batch(s->c, batch, want, patience(), &n);
    } else if (s->mode == 2 &&
               cira_channel_reserve(s->c, s->count - i < 3 ? 1 : 3, &run) ==
                   CIRA_OK) {
      for (uint32_t k = 0; k < run.count; k++) {
        memcpy((uint8_t *)run.first + k * run.stride_bytes, &batch[k], 8);
      }
      status = cira_channel_commit(s->c, &run, run.count);
      n = run.count;
    } else {
      status = cira_channel_send(s->c, batch, patience());
      n = 1;
    }
    if (status != CIRA_OK) {
      s->wrong++;
      break;
    }
    i += n;
  }
  return NULL;
}

static void *receive_all(void *argument) {
  side_t *s = argument;
  uint64_t last[THREADS_MAX] = {0};
  for (;;) {
    uint64_t batch[5] = {0};
    uint32_t n = 1;
    cira_status_t status;
    cira_channel_run_t run;
    if (s->mode == 1) {
      status = cira_channel_receive_batch(s->c, batch, 5, patience(), &n);
    } else if (s->mode == 2 && cira_channel_peek(s->c, 5, &run) == CIRA_OK) {
      for (uint32_t k = 0; k < run.count; k++) {
        memcpy(&batch[k], (uint8_t *)run.first + k * run.stride_bytes, 8);
      }
      n = run.count;
      status = cira_channel_release(s->c, &run, n);
    } else {
      status = cira_channel_receive(s->c, batch, patience());
    }
    if (status != CIRA_OK) {
      s->wrong += status != CIRA_E_CLOSED;
      return NULL;
    }
    for (uint32_t k = 0; k < n; k++) {
      uint64_t from = batch[k] >> 48;
      uint64_t number = batch[k] & 0xffffffffffffull;
      s->wrong += from >= THREADS_MAX || number <= last[from];
      last[from] = number;
      s->sum += batch[k];
      s->got++;
    }
  }
}

static void exchange(uint32_t kind, uint32_t senders, uint32_t receivers,
                     uint32_t capacity, uint32_t wait, uint32_t flags,
                     uint32_t mode, uint64_t count) {
  cira_channel_options_t o = cira_channel_options_default();
  pthread_t ids[2 * THREADS_MAX];
  side_t sides[2 * THREADS_MAX] = {0};
  o.kind = kind;
  o.wait = wait;
  o.flags = flags;
  o.capacity_count = capacity;
  o.spin_count = 50;
  uint64_t bytes;
  cira_channel_t *c;
  assert_int_equal(cira_channel_bytes(&o, &bytes), CIRA_OK);
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  assert_int_equal(cira_channel_init(memory, bytes, &o, &c), CIRA_OK);
  for (uint32_t i = 0; i < senders + receivers; i++) {
    bool sends = i < senders;
    sides[i] = (side_t){
        .c = c, .count = count, .index = sends ? i : i - senders, .mode = mode};
    assert_int_equal(pthread_create(&ids[i], NULL,
                                    sends ? send_all : receive_all, &sides[i]),
                     0);
  }
  uint64_t want = 0;
  uint64_t sum = 0;
  uint64_t got = 0;
  for (uint32_t i = 0; i < senders; i++) {
    pthread_join(ids[i], NULL);
    want += ((uint64_t)i << 48) * count + count * (count + 1) / 2;
  }
  assert_int_equal(cira_channel_close(c), CIRA_OK);
  for (uint32_t i = 0; i < senders + receivers; i++) {
    if (i >= senders) {
      pthread_join(ids[i], NULL);
    }
    assert_int_equal(sides[i].wrong, 0);
    sum += sides[i].sum;
    got += sides[i].got;
  }
  assert_int_equal(got, senders * count);
  assert_int_equal(sum, want);
  cira_channel_fini(c);
  (void)munmap(memory, bytes);
}

static void spsc_threads(void **state) {
  (void)state;
  static const uint32_t capacities[] = {1, 2, 8, 256};
  for (uint32_t k = 0; k < CIRA_COUNT(capacities); k++) {
    for (uint32_t mode = 0; mode < 3; mode++) {
      for (uint32_t wait = 0; wait < 3; wait++) {
        exchange(CIRA_CHANNEL_SPSC, 1, 1, capacities[k], wait, 0, mode,
                 wait == CIRA_CHANNEL_SPIN ? 100
                 : capacities[k] < 8       ? 1000
                                           : 20000);
      }
    }
  }
}

static void mpmc_threads(void **state) {
  (void)state;
  static const uint32_t capacities[] = {1, 2, 8, 256};
  for (uint32_t k = 0; k < CIRA_COUNT(capacities); k++) {
    for (uint32_t mode = 0; mode < 3; mode++) {
      for (uint32_t wait = 0; wait < 3; wait++) {
        exchange(CIRA_CHANNEL_MPMC, 2, 2, capacities[k], wait, 0, mode,
                 wait == CIRA_CHANNEL_SPIN ? 50
                 : capacities[k] < 8       ? 1000
                                           : 5000);
      }
    }
  }
  exchange(CIRA_CHANNEL_MPMC, 1, 4, 2, CIRA_CHANNEL_SLEEP, 0, 0, 2000);
  exchange(CIRA_CHANNEL_MPMC, 4, 1, 2, CIRA_CHANNEL_SLEEP, 0, 0, 1000);
}

/* Both ways of making sleepers safe, and the futex between processes' threads.
 * Tiny rings and no spinning: nearly every message needs a wake-up. */
static void wakeups(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags < 4; flags++) {
    exchange(CIRA_CHANNEL_SPSC, 1, 1, 1, CIRA_CHANNEL_SLEEP, flags, 0, 2000);
    exchange(CIRA_CHANNEL_MPMC, 2, 2, 2, CIRA_CHANNEL_SLEEP, flags, 0, 1000);
    exchange(CIRA_CHANNEL_MPMC, 3, 3, 4, CIRA_CHANNEL_ADAPTIVE, flags, 1, 2000);
  }
}

/* Waits that end by their deadline must not swallow others' wake-ups. */
static void *receive_impatient(void *argument) {
  side_t *s = argument;
  uint64_t v;
  uint64_t begun = cira__now_ns();
  for (;;) {
    cira_status_t status =
        cira_channel_receive(s->c, &v, cira__now_ns() + 20000);
    if (status == CIRA_OK) {
      s->got++;
      s->sum += v;
    } else if (status == CIRA_E_CLOSED) {
      return NULL;
    } else {
      s->wrong +=
          status != CIRA_E_DEADLINE || cira__now_ns() - begun > PATIENCE_NS;
    }
  }
}

static void deadlines_and_wakeups(void **state) {
  (void)state;
  for (uint32_t kind = 0; kind < 2; kind++) {
    cira_channel_options_t o = cira_channel_options_default();
    cira_channel_t *c;
    pthread_t ids[3];
    o.kind = kind;
    o.wait = CIRA_CHANNEL_SLEEP;
    o.capacity_count = 4;
    assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
    side_t send = {.c = c, .count = 5000};
    side_t receive[2] = {{.c = c}, {.c = c}};
    uint32_t receivers = kind == CIRA_CHANNEL_MPMC ? 2 : 1;
    pthread_create(&ids[0], NULL, send_all, &send);
    /* one impatient, one patient */
    pthread_create(&ids[1], NULL, receive_impatient, &receive[0]);
    if (receivers == 2) {
      pthread_create(&ids[2], NULL, receive_all, &receive[1]);
    }
    pthread_join(ids[0], NULL);
    assert_int_equal(cira_channel_close(c), CIRA_OK);
    for (uint32_t i = 0; i < receivers; i++) {
      pthread_join(ids[1 + i], NULL);
    }
    assert_int_equal(send.wrong + receive[0].wrong + receive[1].wrong, 0);
    assert_int_equal(receive[0].got + receive[1].got, 5000);
    cira_channel_destroy(c);
  }
}

/* Closed while senders and receivers are under way: every send that said OK is
 * received. */
static void *send_until_closed(void *argument) {
  side_t *s = argument;
  for (uint64_t i = 1;; i++) {
    cira_status_t status = cira_channel_send(s->c, &i, patience());
    if (status != CIRA_OK) {
      s->wrong += status != CIRA_E_CLOSED;
      return NULL;
    }
    s->got++;
    s->sum += i;
  }
}

static void close_under_load(void **state) {
  (void)state;
  for (uint32_t round = 0; round < 60; round++) {
    cira_channel_options_t o = cira_channel_options_default();
    cira_channel_t *c;
    pthread_t ids[4];
    o.kind = CIRA_CHANNEL_MPMC;
    o.capacity_count = 1u << (round % 7);
    assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
    side_t sides[4] = {{.c = c}, {.c = c}, {.c = c}, {.c = c}};
    for (uint32_t i = 0; i < 4; i++) {
      pthread_create(&ids[i], NULL, i < 2 ? send_until_closed : receive_all,
                     &sides[i]);
    }
    for (uint32_t i = 0; i < round * 3; i++) {
      (void)sched_yield();
    }
    assert_int_equal(cira_channel_close(c), CIRA_OK);
    for (uint32_t i = 0; i < 4; i++) {
      pthread_join(ids[i], NULL);
    }
    /* order per sender cannot be told here: both send the same numbers */
    assert_int_equal(sides[0].got + sides[1].got, sides[2].got + sides[3].got);
    assert_int_equal(sides[0].sum + sides[1].sum, sides[2].sum + sides[3].sum);
    cira_channel_destroy(c);
  }
}

/* ---- processes ---------------------------------------------------------- */

static cira_channel_t *shared_channel(uint32_t kind, uint32_t capacity,
                                      void **second) {
  cira_channel_options_t o = cira_channel_options_default();
  o.kind = kind;
  o.flags = CIRA_CHANNEL_F_SHARED;
  o.capacity_count = capacity;
  uint64_t bytes;
  cira_channel_t *c;
  assert_int_equal(cira_channel_bytes(&o, &bytes), CIRA_OK);
  int fd = memfd_create("channel", MFD_CLOEXEC);
  assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
  void *a = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  void *b = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  assert_true(a != MAP_FAILED && b != MAP_FAILED && a != b);
  (void)close(fd);
  assert_int_equal(cira_channel_init(a, bytes, &o, &c), CIRA_OK);
  *second = b;
  return c;
}

/* A child sends through its own mapping, at another address. */
static void processes(void **state) {
  (void)state;
  for (uint32_t kind = 0; kind < 2; kind++) {
    void *second;
    cira_channel_t *c = shared_channel(kind, 16, &second);
    uint64_t bytes = c->total_bytes;
    pid_t pid = fork();
    if (pid == 0) {
      cira_channel_t *mine;
      if (cira_channel_attach(second, bytes, 8, &mine) != CIRA_OK) {
        _exit(1);
      }
      (void)munmap(c, bytes);
      for (uint64_t i = 0; i < 20000; i++) {
        if (cira_channel_send(mine, &i, patience()) != CIRA_OK) {
          _exit(2);
        }
      }
      _exit(cira_channel_close(mine) == CIRA_OK ? 0 : 3);
    }
    uint64_t v = 0;
    uint64_t due = 0;
    cira_status_t status;
    while ((status = cira_channel_receive(c, &v, patience())) == CIRA_OK) {
      assert_int_equal(v, due++);
    }
    assert_int_equal(status, CIRA_E_CLOSED);
    assert_int_equal(due, 20000);
    int result;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_int_equal(result, 0);
    (void)munmap(second, bytes);
    (void)munmap(c, bytes);
  }
}

/* The other side is killed in the middle. Without join: the deadline. With
 * join: disconnected, after everything that was sent. */
static void killed_peer(void **state) {
  (void)state;
  for (uint32_t variant = 0; variant < 4; variant++) {
    bool child_sends = (variant & 1) != 0;
    bool joined = (variant & 2) != 0;
    void *second;
    cira_channel_t *c = shared_channel(CIRA_CHANNEL_SPSC, 64, &second);
    pid_t pid = fork();
    if (pid == 0) {
      if (joined && cira_channel_join(c, child_sends ? CIRA_CHANNEL_SENDER
                                                     : CIRA_CHANNEL_RECEIVER) !=
                        CIRA_OK) {
        _exit(1);
      }
      for (uint64_t i = 0; i < (child_sends ? 40 : 1); i++) {
        uint64_t v = i;
        cira_status_t status = child_sends
                                   ? cira_channel_send(c, &v, CIRA_FOREVER)
                                   : cira_channel_receive(c, &v, CIRA_FOREVER);
        if (status != CIRA_OK) {
          _exit(2);
        }
      }
      for (;;) {
        (void)pause();
      }
    }
    uint64_t v = 0;
    uint64_t moved = 0;
    if (!child_sends) {
      assert_int_equal(cira_channel_send(c, &v, CIRA_FOREVER), CIRA_OK);
      while (cira_channel_count(c) != 0) {
        (void)sched_yield(); /* until the child has received one */
      }
    } else {
      while (cira_channel_count(c) != 40) {
        (void)sched_yield();
      }
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    cira_status_t status = CIRA_OK;
    while (status == CIRA_OK) {
      uint64_t until = joined ? patience() : cira__now_ns() + 5000000;
      status = child_sends ? cira_channel_receive(c, &v, until)
                           : cira_channel_send(c, &v, until);
      assert_true(status != CIRA_OK || !child_sends || v == moved);
      moved += status == CIRA_OK;
    }
    assert_int_equal(moved, child_sends ? 40 : 64);
    assert_int_equal(status, joined ? CIRA_E_DISCONNECTED : CIRA_E_DEADLINE);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    uint64_t bytes = c->total_bytes;
    (void)munmap(second, bytes);
    (void)munmap(c, bytes);
  }
}

/* Waits until the first thread of this process is a zombie, and a little for
 * the other side to look; then sends. */
static void *outlive(void *argument) {
  cira_channel_t *c = argument;
  const struct timespec pause = {.tv_nsec = 1000000};
  char text[64] = "";
  for (int i = 0; i < 60000 && !strstr(text, ") Z "); i++) {
    (void)nanosleep(&pause, NULL);
    FILE *f = fopen("/proc/self/stat", "re");
    text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = 0;
    (void)(f && fclose(f));
  }
  (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
  uint64_t v = 7;
  _exit(cira_channel_send(c, &v, patience()) == CIRA_OK ? 0 : 2);
}

/* A process lives as long as any of its threads: that its first has ended does
 * not make it a dead peer. */
static void first_thread_ends(void **state) {
  (void)state;
  void *second;
  cira_channel_t *c = shared_channel(CIRA_CHANNEL_SPSC, 64, &second);
  pid_t pid = fork();
  if (pid == 0) {
    pthread_t t;
    if (cira_channel_join(c, CIRA_CHANNEL_SENDER) != CIRA_OK ||
        pthread_create(&t, NULL, outlive, c) != 0) {
      _exit(1);
    }
    pthread_exit(NULL);
  }
  uint64_t v = 0;
  assert_int_equal(cira_channel_receive(c, &v, patience()), CIRA_OK);
  assert_int_equal(v, 7);
  int how;
  assert_int_equal(waitpid(pid, &how, 0), pid);
  assert_int_equal(how, 0);
  assert_int_equal(cira_channel_receive(c, &v, patience()),
                   CIRA_E_DISCONNECTED);
  uint64_t bytes = c->total_bytes;
  (void)munmap(second, bytes);
  (void)munmap(c, bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(spsc_threads),
      cmocka_unit_test(mpmc_threads),
      cmocka_unit_test(wakeups),
      cmocka_unit_test(deadlines_and_wakeups),
      cmocka_unit_test(close_under_load),
      cmocka_unit_test(processes),
      cmocka_unit_test(killed_peer),
      cmocka_unit_test(first_thread_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
