/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels in one thread: sizes, bad input, order, wrap-around, runs, close and
 * drain, failing allocation. Threads and processes: test_channel_stress.c.
 */
#include "failing.h"

#include "base/base.h"
#include "cira/channel.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t sizes[] = {1, 3, 4, 8, 12, 16, 28, 29, 56, 57, 64, 200};
static const uint32_t capacities[] = {1, 2, 4, 8, 64, 1024};

static cira_channel_options_t options(uint32_t kind, uint32_t bytes,
                                      uint32_t capacity) {
  cira_channel_options_t o = cira_channel_options_default();
  o.kind = kind;
  o.message_bytes = bytes;
  o.capacity_count = capacity;
  return o;
}

static void fill(uint8_t *msg, uint32_t bytes, uint64_t number) {
  for (uint32_t i = 0; i < bytes; i++) {
    msg[i] = (uint8_t)(number * 31 + i * 7 + (number >> 8));
  }
}

static void verify(const uint8_t *msg, uint32_t bytes, uint64_t number) {
  uint8_t want[256];
  fill(want, bytes, number);
  assert_memory_equal(msg, want, bytes);
}

/* Every kind, size and capacity: fills to the brim, drains, several laps out of
 * step, single and batch. */
static void order_and_limits(void **state) {
  (void)state;
  for (uint32_t kind = 0; kind < 2; kind++) {
    for (uint32_t s = 0; s < CIRA_COUNT(sizes); s++) {
      for (uint32_t k = 0; k < CIRA_COUNT(capacities); k++) {
        uint32_t bytes = sizes[s];
        uint32_t capacity = capacities[k];
        cira_channel_options_t o = options(kind, bytes, capacity);
        cira_channel_t *c;
        static uint8_t batch[1024 * 256];
        uint8_t msg[256];
        uint64_t sent = 0;
        uint64_t received = 0;
        assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
        for (uint32_t lap = 0; lap < 20; lap++) {
          uint32_t n;
          while (true) {
            fill(msg, bytes, sent);
            cira_status_t status = cira_channel_try_send(c, msg);
            if (status == CIRA_AGAIN) {
              break;
            }
            assert_int_equal(status, CIRA_OK);
            sent++;
          }
          assert_int_equal(sent - received, capacity);
          assert_int_equal(cira_channel_count(c), capacity);
          assert_int_equal(cira_channel_send(c, msg, CIRA_NO_WAIT),
                           CIRA_E_DEADLINE);
          for (uint32_t i = 0; i < capacity / 2 + lap % 2; i++) {
            assert_int_equal(cira_channel_try_receive(c, msg), CIRA_OK);
            verify(msg, bytes, received++);
          }
          for (uint32_t i = 0; i < capacity; i++) {
            fill(batch + (size_t)i * bytes, bytes, sent + i);
          }
          cira_status_t status =
              cira_channel_send_batch(c, batch, capacity, CIRA_NO_WAIT, &n);
          assert_int_equal(status, n == capacity ? CIRA_OK : CIRA_E_DEADLINE);
          sent += n;
          assert_int_equal(sent - received, capacity);
          status =
              cira_channel_receive_batch(c, batch, capacity, CIRA_NO_WAIT, &n);
          assert_int_equal(status, CIRA_OK);
          for (uint32_t i = 0; i < n; i++) {
            verify(batch + (size_t)i * bytes, bytes, received++);
          }
        }
        while (received < sent) {
          assert_int_equal(cira_channel_try_receive(c, msg), CIRA_OK);
          verify(msg, bytes, received++);
        }
        assert_int_equal(cira_channel_try_receive(c, msg), CIRA_AGAIN);
        assert_int_equal(cira_channel_receive(c, msg, CIRA_NO_WAIT),
                         CIRA_E_DEADLINE);
        cira_channel_destroy(c);
      }
    }
  }
}

static void runs(void **state) {
  (void)state;
  for (uint32_t kind = 0; kind < 2; kind++) {
    cira_channel_options_t o = options(kind, 8, 64);
    cira_channel_t *c;
    cira_channel_run_t run;
    cira_channel_run_t again;
    uint64_t next = 0;
    uint64_t due = 0;
    assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
    for (uint32_t lap = 0; lap < 200; lap++) {
      assert_int_equal(cira_channel_reserve(c, 1 + lap % 9, &run), CIRA_OK);
      assert_true(run.count >= 1 && run.count <= 1 + lap % 9);
      for (uint32_t i = 0; i < run.count; i++) {
        uint64_t value = next + i;
        memcpy((uint8_t *)run.first + i * run.stride_bytes, &value, 8);
      }
      uint32_t part = run.count;
      if (kind == CIRA_CHANNEL_SPSC) {
        assert_int_equal(cira_channel_reserve(c, 1 + lap % 9, &again), CIRA_OK);
        assert_memory_equal(&again, &run, sizeof(run));
        part = run.count > 1 ? run.count - 1 : 1;
      } else {
        assert_int_equal(cira_channel_commit(c, &run, run.count + 1),
                         CIRA_E_INVALID);
      }
      assert_int_equal(cira_channel_commit(c, &run, 0), CIRA_E_INVALID);
      assert_int_equal(cira_channel_commit(c, NULL, 1), CIRA_E_INVALID);
      assert_int_equal(cira_channel_commit(c, &run, part), CIRA_OK);
      if (kind == CIRA_CHANNEL_SPSC) {
        assert_int_equal(cira_channel_commit(c, &run, part), CIRA_E_INVALID);
      }
      next += part;
      while (cira_channel_peek(c, 3, &run) == CIRA_OK) {
        for (uint32_t i = 0; i < run.count; i++) {
          uint64_t value;
          memcpy(&value, (uint8_t *)run.first + i * run.stride_bytes, 8);
          assert_int_equal(value, due + i);
        }
        part = kind == CIRA_CHANNEL_SPSC ? 1 : run.count;
        assert_int_equal(cira_channel_release(c, &run, part), CIRA_OK);
        due += part;
      }
      assert_int_equal(due, next);
    }
    assert_int_equal(cira_channel_reserve(c, 0, &run), CIRA_E_INVALID);
    assert_int_equal(cira_channel_peek(c, 0, &run), CIRA_E_INVALID);
    assert_int_equal(cira_channel_release(c, NULL, 1), CIRA_E_INVALID);
    cira_channel_destroy(c);
  }
}

static void close_and_drain(void **state) {
  (void)state;
  for (uint32_t kind = 0; kind < 2; kind++) {
    cira_channel_options_t o = options(kind, 8, 8);
    cira_channel_t *c;
    uint64_t v = 7;
    uint32_t n = 99;
    cira_channel_run_t run;
    assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
    assert_int_equal(cira_channel_try_send(c, &v), CIRA_OK);
    assert_int_equal(cira_channel_try_send(c, &v), CIRA_OK);
    assert_int_equal(cira_channel_close(c), CIRA_OK);
    assert_int_equal(cira_channel_close(c), CIRA_OK);
    assert_int_equal(cira_channel_count(c), 2);
    assert_int_equal(cira_channel_try_send(c, &v), CIRA_E_CLOSED);
    assert_int_equal(cira_channel_send(c, &v, CIRA_FOREVER), CIRA_E_CLOSED);
    assert_int_equal(cira_channel_send_batch(c, &v, 1, CIRA_FOREVER, &n),
                     CIRA_E_CLOSED);
    assert_int_equal(n, 0);
    assert_int_equal(cira_channel_reserve(c, 1, &run), CIRA_E_CLOSED);
    v = 0;
    assert_int_equal(cira_channel_receive(c, &v, CIRA_FOREVER), CIRA_OK);
    assert_int_equal(v, 7);
    assert_int_equal(cira_channel_try_receive(c, &v), CIRA_OK);
    assert_int_equal(cira_channel_try_receive(c, &v), CIRA_E_CLOSED);
    assert_int_equal(cira_channel_receive(c, &v, CIRA_FOREVER), CIRA_E_CLOSED);
    assert_int_equal(cira_channel_receive_batch(c, &v, 1, CIRA_FOREVER, &n),
                     CIRA_E_CLOSED);
    assert_int_equal(cira_channel_peek(c, 1, &run), CIRA_E_CLOSED);
    cira_channel_destroy(c);
  }
}

static void bad_options(void **state) {
  (void)state;
  cira_channel_t *c = (cira_channel_t *)(uintptr_t)1;
  uint64_t bytes = 42;
  static const struct {
    uint32_t kind, wait, flags, message_bytes, capacity;
    cira_status_t want;
  } cases[] = {
      {2, 0, 0, 8, 8, CIRA_E_INVALID},
      {0, 3, 0, 8, 8, CIRA_E_INVALID},
      {0, 0, 8, 8, 8, CIRA_E_INVALID},
      {0, 0, 0, 8, 3, CIRA_E_INVALID},
      {1, 0, 0, 8, 1000, CIRA_E_INVALID},
      {0, 0, 0, CIRA_CHANNEL_MESSAGE_MAX + 1, 8, CIRA_E_RANGE},
      {0, 0, 0, UINT32_MAX, 1u << 31, CIRA_E_RANGE},
      {0, 0, 0, 8, 1u << 31, CIRA_E_RANGE},
      {0, 0, CIRA_CHANNEL_F_SHARED, 8, 8, CIRA_E_UNSUPPORTED},
  };
  for (uint32_t i = 0; i < CIRA_COUNT(cases); i++) {
    cira_channel_options_t o = cira_channel_options_default();
    o.kind = cases[i].kind;
    o.wait = cases[i].wait;
    o.flags = cases[i].flags;
    o.message_bytes = cases[i].message_bytes;
    o.capacity_count = cases[i].capacity;
    assert_int_equal(cira_channel_create(&o, &c), cases[i].want);
    assert_ptr_equal(c, (void *)1); /* outputs are left alone */
    assert_true(strlen(cira_status_detail()) > 10);
  }
  cira_channel_options_t o = cira_channel_options_default();
  o.size = 4;
  assert_int_equal(cira_channel_bytes(&o, &bytes), CIRA_E_INVALID);
  assert_int_equal(bytes, 42);
  assert_int_equal(cira_channel_bytes(NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_channel_bytes(NULL, &bytes), CIRA_OK);
  assert_true(bytes > 1024 * 8 && bytes % CIRA_CHANNEL_ALIGN == 0);
  o = cira_channel_options_default(); /* zero: the field's default */
  o.message_bytes = 0;
  o.capacity_count = 0;
  uint64_t same;
  assert_int_equal(cira_channel_bytes(&o, &same), CIRA_OK);
  assert_int_equal(same, bytes);
}

static void bad_memory(void **state) {
  (void)state;
  cira_channel_t *c = NULL;
  uint64_t bytes;
  assert_int_equal(cira_channel_bytes(NULL, &bytes), CIRA_OK);
  uint8_t *memory = aligned_alloc(CIRA_CHANNEL_ALIGN, bytes);
  assert_non_null(memory);
  memset(memory, 0x5a, bytes);
  assert_int_equal(cira_channel_init(NULL, bytes, NULL, &c), CIRA_E_INVALID);
  assert_int_equal(cira_channel_init(memory, bytes, NULL, NULL),
                   CIRA_E_INVALID);
  assert_int_equal(cira_channel_init(memory + 8, bytes, NULL, &c),
                   CIRA_E_INVALID);
  assert_int_equal(cira_channel_init(memory, bytes - 1, NULL, &c),
                   CIRA_E_RANGE);
  assert_int_equal(cira_channel_attach(memory, bytes, 0, &c), CIRA_E_PROTOCOL);
  assert_int_equal(cira_channel_attach(memory, 100, 0, &c), CIRA_E_RANGE);
  assert_int_equal(cira_channel_try_send((cira_channel_t *)memory, &bytes),
                   CIRA_E_INVALID);
  assert_null(c);
  assert_int_equal(cira_channel_init(memory, bytes, NULL, &c), CIRA_OK);
  cira_channel_t *d = NULL;
  assert_int_equal(cira_channel_attach(memory, bytes - 1, 8, &d), CIRA_E_RANGE);
  assert_int_equal(cira_channel_attach(memory, bytes, 16, &d), CIRA_E_PROTOCOL);
  assert_int_equal(cira_channel_attach(memory, bytes, 8, &d), CIRA_OK);
  assert_ptr_equal(c, d);
  c->capacity_count++; /* damage */
  d = NULL;
  assert_int_equal(cira_channel_attach(memory, bytes, 8, &d), CIRA_E_PROTOCOL);
  c->capacity_count--;
  assert_int_equal(cira_channel_join(c, CIRA_CHANNEL_SENDER),
                   CIRA_E_UNSUPPORTED);
  cira_channel_fini(c);
  assert_int_equal(cira_channel_attach(memory, bytes, 8, &d), CIRA_E_CLOSED);
  assert_int_equal(cira_channel_try_send(c, &bytes), CIRA_E_CLOSED);
  assert_int_equal(cira_spsc_try_send(c, &bytes, 8), CIRA_E_CLOSED);
  assert_null(d);
  free(memory);
}

static void bad_arguments(void **state) {
  (void)state;
  cira_channel_t *c;
  uint64_t v = 0;
  uint32_t n = 5;
  assert_int_equal(cira_channel_try_send(NULL, &v), CIRA_E_INVALID);
  assert_int_equal(cira_channel_send(NULL, &v, 0), CIRA_E_INVALID);
  assert_int_equal(cira_channel_try_receive(NULL, &v), CIRA_E_INVALID);
  assert_int_equal(cira_channel_receive(NULL, &v, 0), CIRA_E_INVALID);
  assert_int_equal(cira_channel_close(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_channel_join(NULL, CIRA_CHANNEL_SENDER),
                   CIRA_E_INVALID);
  assert_int_equal(cira_channel_count(NULL), 0);
  cira_channel_destroy(NULL);
  cira_channel_options_t o = options(CIRA_CHANNEL_MPMC, 8, 8);
  assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
  assert_int_equal(cira_channel_try_send(c, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_channel_receive(c, NULL, 0), CIRA_E_INVALID);
  assert_int_equal(cira_channel_send_batch(c, NULL, 1, 0, &n), CIRA_E_INVALID);
  assert_int_equal(cira_channel_send_batch(c, &v, 0, 0, &n), CIRA_E_INVALID);
  assert_int_equal(cira_channel_send_batch(c, &v, 1, 0, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_channel_receive_batch(c, &v, 0, 0, &n), CIRA_E_INVALID);
  assert_int_equal(n, 5);
  /* the inline forms are for SPSC and the right size only */
  assert_int_equal(cira_spsc_try_send(c, &v, 8), CIRA_E_INVALID);
  assert_int_equal(cira_spsc_try_receive(c, &v, 8), CIRA_E_INVALID);
  cira_channel_destroy(c);
  assert_int_equal(cira_channel_create(NULL, &c), CIRA_OK);
  assert_int_equal(cira_spsc_try_send(c, &v, 4), CIRA_E_INVALID);
  assert_int_equal(cira_spsc_try_receive(c, &v, 4), CIRA_E_INVALID);
  cira_channel_destroy(c);
}

static void failing_allocation(void **state) {
  (void)state;
  cira_channel_t *c = NULL;
  failing_begin(FAILING_MALLOC, 0);
  assert_int_equal(cira_channel_create(NULL, &c), CIRA_E_NOMEM);
  assert_true(failing_end());
  assert_null(c);
  assert_int_equal(cira_channel_create(NULL, &c), CIRA_OK);
  cira_channel_destroy(c);
}

static void timed(void **state) {
  (void)state;
  for (uint32_t wait = 0; wait < 3; wait++) {
    cira_channel_options_t o = options(CIRA_CHANNEL_SPSC, 8, 1);
    o.wait = wait;
    cira_channel_t *c;
    uint64_t v = 1;
    assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
    uint64_t until = cira__now_ns() + 2000000;
    assert_int_equal(cira_channel_receive(c, &v, until), CIRA_E_DEADLINE);
    assert_true(cira__now_ns() >= until);
    assert_int_equal(cira_channel_send(c, &v, until), CIRA_OK);
    until = cira__now_ns() + 2000000;
    assert_int_equal(cira_channel_send(c, &v, until), CIRA_E_DEADLINE);
    assert_true(cira__now_ns() >= until);
    cira_channel_destroy(c);
  }
}

/* ---- cursors ------------------------------------------------------------- */

/* Sends or receives up to 5 by one of the forms; how many. */
static uint32_t some_out(cira_channel_t *c, uint64_t number, uint32_t how) {
  uint64_t msg[5];
  uint32_t n = 0, count = 1 + how % 5;
  for (uint32_t i = 0; i < 5; i++) {
    msg[i] = number + i;
  }
  if (how / 5 % 3 == 0) {
    return cira_spsc_try_send(c, msg, 8) == CIRA_OK;
  }
  if (how / 5 % 3 == 1) {
    cira_spsc_cursor_t tx = cira_spsc_sender_open(c, 8);
    while (n < count && cira_spsc_sender_send(&tx, &msg[n], 8) == CIRA_OK) {
      n++;
    }
    cira_spsc_sender_close(&tx);
    return n;
  }
  (void)!cira_channel_send_batch(c, msg, count, CIRA_NO_WAIT, &n);
  return n;
}

static uint32_t some_in(cira_channel_t *c, uint64_t number, uint32_t how) {
  uint64_t msg[5];
  uint32_t n = 0, count = 1 + how % 5;
  if (how / 5 % 3 == 0) {
    n = cira_spsc_try_receive(c, msg, 8) == CIRA_OK;
  } else if (how / 5 % 3 == 1) {
    cira_spsc_cursor_t rx = cira_spsc_receiver_open(c, 8);
    while (n < count &&
           cira_spsc_receiver_receive(&rx, &msg[n], 8) == CIRA_OK) {
      n++;
    }
    cira_spsc_receiver_close(&rx);
  } else {
    (void)!cira_channel_receive_batch(c, msg, count, CIRA_NO_WAIT, &n);
  }
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(msg[i], number + i);
  }
  return n;
}

static void cursors(void **state) {
  (void)state;
  for (uint32_t k = 0; k < CIRA_COUNT(capacities); k++) {
    cira_channel_options_t o = options(CIRA_CHANNEL_SPSC, 8, capacities[k]);
    cira_channel_t *c;
    uint64_t sent = 0, received = 0, x = 88172645463325252ull;
    assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
    for (int i = 0; i < 30000; i++) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      if (x >> 40 & 1) {
        sent += some_out(c, sent, (uint32_t)(x >> 41) & 0xff);
      } else {
        received += some_in(c, received, (uint32_t)(x >> 41) & 0xff);
      }
      assert_in_range(sent - received, 0, capacities[k]);
      assert_int_equal(cira_channel_count(c), sent - received);
    }
    uint64_t msg = 7, out[8];
    uint32_t n = 99;
    cira_channel_close(c);
    cira_spsc_cursor_t tx = cira_spsc_sender_open(c, 8);
    assert_int_equal(cira_spsc_sender_send(&tx, &msg, 8), CIRA_E_CLOSED);
    assert_int_equal(cira_spsc_sender_send_batch(&tx, &msg, 1, 8, &n),
                     CIRA_E_CLOSED);
    cira_spsc_sender_close(&tx);
    cira_spsc_cursor_t rx = cira_spsc_receiver_open(c, 8);
    while (cira_spsc_receiver_receive_batch(&rx, out, 8, 8, &n) == CIRA_OK) {
      for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(out[i], received++);
      }
    }
    assert_int_equal(received, sent);
    assert_int_equal(cira_spsc_receiver_receive(&rx, out, 8), CIRA_E_CLOSED);
    cira_spsc_receiver_close(&rx);
    cira_channel_destroy(c);
  }
}

static void cursors_refused(void **state) {
  (void)state;
  for (uint32_t kind = 0; kind < 2; kind++) {
    cira_channel_options_t o = options(kind, 16, 8);
    cira_channel_t *c;
    uint64_t msg[2] = {1, 2};
    uint32_t n = 77;
    assert_int_equal(cira_channel_create(&o, &c), CIRA_OK);
    assert_int_equal(cira_channel_try_send(c, msg), CIRA_OK);
    cira_spsc_cursor_t tx = cira_spsc_sender_open(c, 8);
    assert_int_equal(cira_spsc_sender_send(&tx, msg, 8), CIRA_E_INVALID);
    assert_int_equal(cira_spsc_sender_send_batch(&tx, msg, 2, 8, &n),
                     CIRA_E_INVALID);
    cira_spsc_sender_close(&tx);
    cira_spsc_cursor_t rx = cira_spsc_receiver_open(c, 8);
    assert_int_equal(cira_spsc_receiver_receive(&rx, msg, 8), CIRA_E_INVALID);
    assert_int_equal(cira_spsc_receiver_receive_batch(&rx, msg, 2, 8, &n),
                     CIRA_E_INVALID);
    cira_spsc_receiver_close(&rx);
    assert_int_equal(n, 77);
    assert_int_equal(msg[0], 1);
    msg[0] = 0; /* the channel is as it was */
    assert_int_equal(cira_channel_try_receive(c, msg), CIRA_OK);
    assert_int_equal(msg[0], 1);
    cira_channel_destroy(c);
  }
}

/* Bursts between two threads: long enough that both sides come to the other's
 * heels, ask how far it is and go on without looking at each block. */
#define PASSED 30000u
#define WORDS_MAX 8u

typedef struct {
  cira_channel_t *c;
  uint32_t words; /* of a message */
} burst_t;

static void *burst_sender(void *arg) {
  const burst_t *b = arg;
  size_t bytes = b->words * 8;
  cira_spsc_cursor_t tx = cira_spsc_sender_open(b->c, bytes);
  uint64_t msg[32 * WORDS_MAX];
  for (uint64_t i = 0; i < PASSED;) {
    uint32_t n = 1, count = (uint32_t)(i % 32) + 1;
    count = PASSED - i < count ? (uint32_t)(PASSED - i) : count;
    for (uint32_t k = 0; k < count * b->words; k++) {
      msg[k] = i + k / b->words + ((uint64_t)(k % b->words) << 32);
    }
    cira_status_t status =
        i / 1000 % 2 == 0
            ? cira_spsc_sender_send(&tx, msg, bytes)
            : cira_spsc_sender_send_batch(&tx, msg, count, bytes, &n);
    if (status == CIRA_OK) {
      i += n;
    } else {
      (void)sched_yield();
    }
  }
  cira_spsc_sender_close(&tx);
  return NULL;
}

static void burst(burst_t *b) {
  size_t bytes = b->words * 8;
  pthread_t t;
  uint64_t msg[32 * WORDS_MAX];
  uint64_t wrong = 0;
  assert_int_equal(pthread_create(&t, NULL, burst_sender, b), 0);
  cira_spsc_cursor_t rx = cira_spsc_receiver_open(b->c, bytes);
  for (uint64_t i = 0; i < PASSED;) {
    uint32_t n = 1;
    cira_status_t status =
        i / 700 % 2 == 0
            ? cira_spsc_receiver_receive(&rx, msg, bytes)
            : cira_spsc_receiver_receive_batch(&rx, msg, 32, bytes, &n);
    if (status != CIRA_OK) {
      (void)sched_yield();
      continue;
    }
    for (uint32_t k = 0; k < n * b->words; k++) {
      wrong += msg[k] != i + k / b->words + ((uint64_t)(k % b->words) << 32);
    }
    i += n;
  }
  pthread_join(t, NULL);
  assert_int_equal(wrong, 0); /* and nothing more than was sent */
  assert_int_equal(cira_spsc_receiver_receive(&rx, msg, bytes), CIRA_AGAIN);
  cira_spsc_receiver_close(&rx);
  assert_int_equal(cira_channel_count(b->c), 0);
}

static void cursor_threads(void **state) {
  (void)state;
  static const burst_t cases[] = {{NULL, 1}, {NULL, 3}, {NULL, 7}, {NULL, 8}};
  static const uint32_t rooms[] = {16, 256, 8192};
  for (uint32_t k = 0; k < CIRA_COUNT(cases) * CIRA_COUNT(rooms); k++) {
    burst_t b = cases[k % CIRA_COUNT(cases)];
    cira_channel_options_t o =
        options(CIRA_CHANNEL_SPSC, b.words * 8, rooms[k / CIRA_COUNT(cases)]);
    assert_int_equal(cira_channel_create(&o, &b.c), CIRA_OK);
    burst(&b);
    cira_channel_destroy(b.c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(order_and_limits),
      cmocka_unit_test(runs),
      cmocka_unit_test(close_and_drain),
      cmocka_unit_test(bad_options),
      cmocka_unit_test(bad_memory),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(failing_allocation),
      cmocka_unit_test(timed),
      cmocka_unit_test(cursors),
      cmocka_unit_test(cursors_refused),
      cmocka_unit_test(cursor_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
