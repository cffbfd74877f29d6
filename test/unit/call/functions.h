/* SPDX-License-Identifier: Apache-2.0
 *
 * What the callees of the tests can do, and how a test starts one. Words that
 * both sides look at (`shared`) lie in a shared mapping, so the same tests run
 * with a thread and with a process.
 */
#ifndef CIRA_TEST_CALL_FUNCTIONS_H
#define CIRA_TEST_CALL_FUNCTIONS_H

#include "base/base.h"
#include "cira/call.h"
#include "cira/channel.h"
#include "cira/coro.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
  _Atomic uint32_t gate; /* hold waits until it is 1 */
  _Atomic uint32_t held; /* how many have come to hold */
  _Atomic uint32_t ran;  /* calls of count */
  uint64_t words[64];    /* a window */
} shared_t;

static shared_t *shared;

static cira_status_t fn_echo(cira_call_frame_t *f) {
  memcpy(f->result, f->args, f->args_bytes);
  f->result_bytes = f->args_bytes;
  return CIRA_OK;
}

static cira_status_t fn_add1(cira_call_frame_t *f) {
  *(uint64_t *)f->result = *(const uint64_t *)f->args + 1;
  f->result_bytes = 8;
  return CIRA_OK;
}

/* Fails with the status it is given. */
static cira_status_t fn_fail(cira_call_frame_t *f) {
  int32_t status = *(const int32_t *)f->args;
  return status == CIRA_E_QUOTA ? cira__fail(status, "no more pears") : status;
}

static cira_status_t fn_hold(cira_call_frame_t *f) {
  atomic_fetch_add(&shared->held, 1);
  while (atomic_load(&shared->gate) == 0) {
    if (cira_call_cancelled(f)) {
      return CIRA_E_CANCELLED;
    }
    (void)sched_yield();
  }
  return CIRA_OK;
}

/* The same, and looks at nothing else. */
static cira_status_t fn_deaf(cira_call_frame_t *f) {
  (void)f;
  atomic_fetch_add(&shared->held, 1);
  while (atomic_load(&shared->gate) == 0) {
    (void)sched_yield();
  }
  return CIRA_OK;
}

static cira_status_t fn_count(cira_call_frame_t *f) {
  (void)f;
  atomic_fetch_add(&shared->ran, 1);
  return CIRA_OK;
}

static cira_status_t fn_sum(cira_call_frame_t *f) {
  void *at;
  cira_status_t status = cira_call_resolve(f, f->args, &at);
  uint64_t sum = 0;
  if (status == CIRA_OK) {
    const cira_call_far_t *far = f->args;
    for (uint64_t i = 0; i < far->bytes / 8; i++) {
      sum += ((uint64_t *)at)[i];
    }
    *(uint64_t *)f->result = sum;
    f->result_bytes = 8;
  }
  return status;
}

static cira_status_t fn_liar(cira_call_frame_t *f) {
  f->result_bytes = f->result_max + 1;
  return CIRA_OK;
}

/* 8 bytes, but not for every argument. */
static cira_status_t fn_odd(cira_call_frame_t *f) {
  uint64_t n = *(const uint64_t *)f->args;
  *(uint64_t *)f->result = n;
  f->result_bytes = n == 700 ? 4 : 8;
  return n == 900 ? CIRA_E_RANGE : CIRA_OK;
}

static cira_status_t fn_crash(cira_call_frame_t *f) {
  (void)f;
  (void)signal(SIGSEGV, SIG_DFL);
  (void)raise(SIGSEGV);
  return CIRA_OK;
}

static cira_status_t fn_context(cira_call_frame_t *f) {
  return f->context == &shared ? CIRA_OK : CIRA_E_INVALID;
}

static inline cira_call_table_t *table_make(void) {
  static const struct {
    const char *name;
    cira_call_fn_t function;
  } functions[] = {
      {"echo", fn_echo},   {"add1", fn_add1},      {"fail", fn_fail},
      {"hold", fn_hold},   {"deaf", fn_deaf},      {"count", fn_count},
      {"sum", fn_sum},     {"liar", fn_liar},      {"odd", fn_odd},
      {"crash", fn_crash}, {"context", fn_context}};
  cira_call_table_t *t;
  assert_int_equal(cira_call_table_create(&t), CIRA_OK);
  for (size_t i = 0; i < CIRA_COUNT(functions); i++) {
    assert_int_equal(cira_call_table_add(t, functions[i].name,
                                         functions[i].function, &shared),
                     CIRA_OK);
  }
  if (!shared) {
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
  }
  memset(shared, 0, sizeof(*shared));
  assert_int_equal(
      cira_call_table_window(t, 3, shared->words, sizeof(shared->words)),
      CIRA_OK);
  return t;
}

static inline cira_call_client_t *
start(cira_call_table_t *t, const cira_call_options_t *o, bool process) {
  cira_call_client_t *c = NULL;
  assert_int_equal(process ? cira_call_process(t, o, &c)
                           : cira_call_thread(t, o, &c),
                   CIRA_OK);
  return c;
}

static inline uint32_t find(cira_call_client_t *c, const char *name) {
  uint32_t function = 0;
  assert_int_equal(cira_call_find(c, name, CIRA_FOREVER, &function), CIRA_OK);
  assert_int_not_equal(function, 0);
  return function;
}

static inline uint64_t in_ms(uint64_t ms) {
  return cira__now_ns() + ms * 1000000u;
}

#endif
