/* SPDX-License-Identifier: Apache-2.0
 *
 * cira/async.h on bad days: message N of a run fails or is the last, for every
 * N; the N-th allocation fails; far memory is stopped under requests. A request
 * ends with the right bytes or with a status that is documented, its outputs
 * untouched; others go on; nobody waits for ever.
 */
#include "failing.h"
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "cira/async.h"
#include "cira/coro.h"
#include "cira/far.h"

#define PAGES 48u
#define BYTES (PAGES * 4096u)
#define OK(x) assert_int_equal((x), CIRA_OK)

/* ---- a run of everything, in a child -------------------------------------
 * It exits with one of these, or as the pager does when it was the pager's
 * message that failed. */
enum { FINE = 0, WRONG = 1, NO_SPACE = 3, SOME_FAILED = 4 };

static uint8_t *data, shadow[BYTES], buffer[64][256];
static uint32_t failed;

static void must(bool fact, int line) {
  if (!fact) {
    printf("test_failures.c:%d: %s\n", line, cira_status_detail());
    fflush(stdout);
    _exit(WRONG);
  }
}
#define MUST(fact) must((fact), __LINE__)

static bool is_documented(cira_status_t status) {
  return status == CIRA_E_DISCONNECTED || status == CIRA_E_DEADLINE ||
         status == CIRA_E_SYSTEM; /* what fault(...;fail=N) says */
}

static cira_status_t end(cira_async_t *a, uint64_t *out_value) {
  uint64_t value = 77;
  cira_status_t status = cira_async_await(a, CIRA_FOREVER, &value);
  MUST(status == CIRA_OK || (is_documented(status) && value == 77));
  failed += status != CIRA_OK;
  if (status == CIRA_OK && out_value != NULL) {
    *out_value = value;
  }
  /* ended is ended */
  value = 78;
  MUST(cira_async_await(a, CIRA_FOREVER, &value) == CIRA_E_CLOSED);
  MUST(cira_async_poll(a, &value) == CIRA_E_CLOSED && value == 78);
  return status;
}

static void loads(void) {
  cira_async_t a[32] = {{0}};
  for (uint32_t i = 0; i < 32; i++) {
    MUST(cira_async_load(&a[i], data + i * 5000, buffer[i], 200) == CIRA_OK);
  }
  for (uint32_t k = 0; k < 32; k++) {
    uint32_t i = k * 7 % 32;
    if (end(&a[i], NULL) == CIRA_OK) {
      MUST(memcmp(buffer[i], shadow + i * 5000, 200) == 0);
    }
  }
}

static void batches(void) {
  cira_async_piece_t p[40];
  cira_async_t a = {0};
  for (uint32_t i = 0; i < 40; i++) {
    p[i] = (cira_async_piece_t){
        .far = data + i * 4700, .local = buffer[i], .bytes = 150};
  }
  if (cira_async_gather(&a, p, 40) == CIRA_OK && end(&a, NULL) == CIRA_OK) {
    for (uint32_t i = 0; i < 40; i++) {
      MUST(memcmp(buffer[i], shadow + i * 4700, 150) == 0);
    }
  }
  for (uint32_t i = 0; i < 40; i++) {
    memset(buffer[i], (int)i + 1, 150);
    memcpy(shadow + i * 4700, buffer[i], 150);
  }
  MUST(cira_async_scatter(&a, p, 40) == CIRA_OK);
  MUST(end(&a, NULL) == CIRA_OK); /* it was done when it began */
}

static void atomics(void) {
  for (uint32_t i = 0; i < 12; i++) {
    cira_async_t a = {0};
    uint64_t *at = (uint64_t *)(void *)(data + i * 8192), was, old = 0, now;
    memcpy(&was, shadow + i * 8192, 8);
    MUST(cira_async_fetch_add(&a, at, 5) == CIRA_OK);
    cira_status_t status = end(&a, &old);
    MUST(status != CIRA_OK || old == was);
    now = *at; /* one that failed has or has not taken effect */
    MUST(now == was + 5 || (status != CIRA_OK && now == was));
    memcpy(shadow + i * 8192, &now, 8);
  }
}

typedef struct {
  uint32_t calls;
  cira_status_t status;
} called_t;

static void note(void *argument, cira_status_t status, uint64_t value) {
  called_t *c = argument;
  (void)value;
  c->calls++;
  c->status = status;
}

static void combinations(void) {
  cira_async_t a[10] = {{0}}, all = {0}, any = {0};
  cira_async_t *p[10];
  called_t each[10] = {{0}}, whole = {0};
  for (uint32_t i = 0; i < 10; i++) {
    p[i] = &a[i];
    MUST(cira_async_load(p[i], data + i * 9000, buffer[i], 100) == CIRA_OK);
    MUST(cira_async_then(p[i], note, &each[i]) == CIRA_OK);
  }
  MUST(cira_async_when_all(&all, p, 8) == CIRA_OK);
  MUST(cira_async_then(&all, note, &whole) == CIRA_OK);
  MUST(cira_async_when_any(&any, p + 8, 2) == CIRA_OK);
  uint32_t before = failed;
  uint64_t first = 99;
  cira_status_t of_all = end(&all, NULL), of_any = end(&any, &first);
  MUST(whole.calls == 1 && whole.status == of_all);
  MUST(of_any != CIRA_OK || first < 2);
  failed = before; /* the parts count */
  for (uint32_t i = 0; i < 10; i++) {
    cira_status_t status = end(p[i], NULL);
    MUST(each[i].calls == 1 && each[i].status == status);
    MUST(i >= 8 || status == CIRA_OK || of_all != CIRA_OK);
    MUST(status != CIRA_OK || memcmp(buffer[i], shadow + i * 9000, 100) == 0);
  }
  MUST(of_all == CIRA_OK || failed > before);
}

static void touches(void) {
  cira_async_t a = {0};
  for (uint32_t i = 0; i < 8; i++) {
    MUST(cira_async_touch(&a, data + i * 20000, 9000) == CIRA_OK);
    (void)end(&a, NULL);
    MUST(memcmp(data + i * 20000, shadow + i * 20000, 9000) == 0);
  }
}

static int64_t task(void *argument) {
  cira_async_t a = {0};
  uint64_t at = (uintptr_t)argument * 7000, got = 0, want;
  MUST(cira_async_load(&a, data + at, NULL, 8) == CIRA_OK);
  memcpy(&want, shadow + at, 8);
  MUST(end(&a, &got) != CIRA_OK || got == want);
  return 0;
}

static void tasks(cira_sched_t *sched) {
  for (uintptr_t i = 0; i < 20; i++) {
    MUST(cira_sched_spawn(sched, task, (void *)i, CIRA_TASK_F_DETACHED, 0,
                          NULL) == CIRA_OK);
  }
  MUST(cira_sched_run(sched) == CIRA_OK);
}

static void data_make(void) {
  void *p;
  if (cira_space_alloc(place_space(), BYTES, 4096, &p) != CIRA_OK) {
    _exit(NO_SPACE); /* its message failed, in a child */
  }
  data = p;
  for (uint32_t i = 0; i < BYTES; i++) {
    shadow[i] = (uint8_t)(i * 2654435761u >> 13);
  }
  memcpy(data, shadow, BYTES);
}

static void everything(cira_sched_t *sched) {
  void (*const part[])(void) = {loads,        batches, atomics,
                                combinations, touches, loads};
  for (uint32_t i = 0; i < sizeof part / sizeof part[0]; i++) {
    place_send_home(data, BYTES);
    part[i]();
  }
  place_send_home(data, BYTES);
  tasks(sched);
}

static cira_sched_t *sched_make(void) {
  cira_sched_t *sched;
  cira_sched_options_t opt = cira_sched_options_default();
  opt.stacks.stack_bytes = 256u << 10; /* faults are handled there, too */
  MUST(cira_sched_create(&opt, &sched) == CIRA_OK);
  return sched;
}

static void run_all(const void *url) {
  if (!place_open_url(url, PAGES * 2)) {
    _exit(NO_SPACE);
  }
  data_make();
  everything(sched_make());
  MUST(memcmp(data, shadow, BYTES) == 0);
  _exit(failed == 0 ? FINE : SOME_FAILED);
}

static void nth_message(const char *kind) {
  int n = 1, quiet = 0, some = 0;
  for (; n < 3000 && quiet < 10; n += n < 20 ? 1 : 5) {
    char url[64];
    snprintf(url, sizeof url, "fault(host:;%s=%d)", kind, n);
    int status = failing_child(run_all, url);
    quiet = status == FINE ? quiet + 1 : 0;
    some += status == SOME_FAILED;
    if (status != FINE && status != NO_SPACE && status != SOME_FAILED &&
        status != CIRA_EXIT_FAR) {
      fail_msg("%s=%d: exit %d", kind, n, status);
    }
  }
  assert_true(quiet >= 10 && n > 60); /* the run was survived at last */
  if (strcmp(kind, "fail") == 0) {
    assert_true(some > 5);
  }
}

static void test_nth_message_fails(void **state) {
  (void)state;
  nth_message("fail");
}

static void test_nth_message_disconnects(void **state) {
  (void)state;
  nth_message("disconnect");
}

/* ---- memory ---------------------------------------------------------------
 */

/* A second run of everything asks for no memory at all. */
static void no_allocations(const char *url) {
  assert_true(place_open_url(url, PAGES * 2));
  data_make();
  cira_sched_t *sched = sched_make();
  everything(sched);
  failing_begin(FAILING_MEMORY, INT64_MAX);
  everything(sched);
  assert_false(failing_end());
  uint64_t n = failing_asked();
  assert_int_equal(failed, 0);
  OK(cira_sched_destroy(sched));
  place_close();
  assert_int_equal(n, 0);
}

static void test_no_allocations(void **state) {
  (void)state;
  no_allocations("host:");
  no_allocations("fault(host:;seed=1)");
}

typedef struct {
  const char *url;
  int64_t n;
} failure_t;

static void without_memory(const void *argument) {
  const failure_t *f = argument;
  MUST(place_open_url(f->url, PAGES * 2));
  data_make();
  cira_sched_t *sched = sched_make();
  tasks(sched); /* has its stacks */
  failing_begin(FAILING_MEMORY | FAILING_F_STAYS, f->n);
  everything(sched);
  bool reached = failing_end();
  MUST(memcmp(data, shadow, BYTES) == 0 && failed == 0);
  _exit(reached ? SOME_FAILED : FINE);
}

/* All allocations from the N-th on fail: the same bytes come, slower. */
static void test_nth_allocation(void **state) {
  (void)state;
  static const char *const url[] = {"host:", "fault(host:;seed=1)"};
  for (int i = 0; i < 2; i++) {
    int status = SOME_FAILED;
    for (failure_t f = {.url = url[i]}; status != FINE; f.n++) {
      status = failing_child(without_memory, &f);
      assert_true(status == FINE || status == SOME_FAILED);
      assert_true(f.n < 20);
    }
  }
}

/* ---- the end of far memory ------------------------------------------------
 */

static int64_t begins(void *argument) {
  cira_async_t *a = argument; /* in a task: copied when it is awaited */
  MUST(cira_async_load(a, data, buffer[0], 64) == CIRA_OK);
  return 0;
}

static void test_stop(void **state) {
  (void)state;
  static const char *const url[] = {"host:", "fault(host:;delay=20ms)"};
  for (int i = 0; i < 2; i++) {
    cira_far_options_t opt = cira_far_options_default();
    opt.far_url = url[i];
    opt.local_bytes = 4u << 20;
    cira_status_t started = cira_far_start(&opt);
    if (started == CIRA_E_UNSUPPORTED) {
      print_message("skipped: far memory: %s\n", cira_status_detail());
      skip();
    }
    assert_int_equal(started, CIRA_OK);
    cira_async_t a = {0}, b = {0}, all = {0};
    cira_async_t *parts[1] = {&a};
    uint64_t value = 5;
    data = cira_far_alloc(16u << 20, 4096);
    assert_non_null(data);
    for (uint32_t at = 0; at < 16u << 20; at += 4096) {
      data[at] = 9; /* the first pages go home by that */
    }
    memset(buffer[0], 3, 64);
    cira_sched_t *sched = sched_make();
    OK(cira_sched_spawn(sched, begins, &a, CIRA_TASK_F_DETACHED, 0, NULL));
    OK(cira_sched_run(sched));
    OK(cira_sched_destroy(sched));
    if (i == 1) { /* on its way: not now */
      assert_int_equal(cira_far_stop(), CIRA_E_BUSY);
      assert_true(cira_far_started());
      OK(cira_async_when_all(&all, parts, 1));
      OK(cira_async_await(&all, CIRA_FOREVER, NULL));
      OK(cira_async_await(&a, CIRA_FOREVER, NULL));
      assert_int_equal(buffer[0][0], 9);
      OK(cira_far_stop());
    } else { /* not begun: it ends without its bytes, also in a next life */
      OK(cira_far_stop());
      OK(cira_far_start(&opt));
      assert_int_equal(cira_async_await(&a, CIRA_FOREVER, &value),
                       CIRA_E_CLOSED);
      assert_int_equal(buffer[0][0], 3);
      assert_int_equal(value, 5);
      assert_int_equal(cira_async_await(&a, 0, &value), CIRA_E_CLOSED);
      OK(cira_far_stop());
    }
    assert_int_equal(cira_async_load(&b, data, buffer[0], 8), CIRA_E_CLOSED);
    assert_int_equal(cira_async_poll(&b, &value), CIRA_E_CLOSED);
  }
}

int main(void) {
  char why[256];
  if (cira_space_probe(CIRA_SPACE_SIGBUS, why, sizeof why) != CIRA_OK) {
    printf("skip: %s\n", why);
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nth_message_fails),
      cmocka_unit_test(test_nth_message_disconnects),
      cmocka_unit_test(test_no_allocations),
      cmocka_unit_test(test_nth_allocation),
      cmocka_unit_test(test_stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
