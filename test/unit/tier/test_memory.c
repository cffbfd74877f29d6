/* SPDX-License-Identifier: Apache-2.0
 *
 * The N-th system call that needs memory fails, for every N: each call says so,
 * what has moved stays moved, no byte changes, and nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failing.h"
#include "tier/tier_internal.h"

#define MIB (UINT64_C(1) << 20)
#define BYTES (3 * MIB)

void *__real_mremap(void *old, size_t from, size_t to, int flags, void *at);
int __real_mprotect(void *at, size_t bytes, int prot);
void *__wrap_mremap(void *old, size_t from, size_t to, int flags, void *at);
int __wrap_mprotect(void *at, size_t bytes, int prot);

void *__wrap_mremap(void *old, size_t from, size_t to, int flags, void *at) {
  return failing_now(FAILING_OTHER, ENOMEM)
             ? MAP_FAILED
             : __real_mremap(old, from, to, flags, at);
}

int __wrap_mprotect(void *at, size_t bytes, int prot) {
  /* Taking a protection off again cannot fail half way. */
  return prot == PROT_READ && failing_now(FAILING_OTHER, ENOMEM)
             ? -1
             : __real_mprotect(at, bytes, prot);
}

#define CALLS (FAILING_MMAP | FAILING_FILES | FAILING_OTHER)

static cira_status_t work(uint32_t file, bool *whole) {
  uint8_t *p = NULL;
  cira_tier_balanced_t r;
  cira_tier_options_t o;
  cira_tier_options_default(&o);
  o.place = "hot-local";
  cira_status_t status = cira_tier_alloc(BYTES, &o, (void **)&p);
  if (status != CIRA_OK) {
    return status;
  }
  memset(p, 7, BYTES);
  if ((status = cira_tier_set(p, 0, file, 0)) == CIRA_OK &&
      (status = cira_tier_set(p, 0, 0, CIRA_TIER_F_SMALL)) == CIRA_OK) {
    status = cira_tier_balance(NULL, &r);
  }
  for (uint64_t i = 0; i < BYTES; i += 61) {
    *whole = *whole && p[i] == 7;
    p[i] = 8; /* writable, whatever happened */
  }
  *whole = *whole && cira_tier_free(p) == CIRA_OK;
  return status;
}

static void test_no_memory(void **state) {
  (void)state;
  uint32_t file, count;
  cira_tier_info_t t[CIRA_TIER_MAX];
  assert_int_equal(cira_tier_find("memfd", &file), CIRA_OK);
  for (int by_signal = 0; by_signal < 2; by_signal++) {
    cira__guard_by_signal(by_signal);
    bool whole = true;
    cira_status_t status = CIRA_E_NOMEM;
    int64_t n = 0;
    for (; status != CIRA_OK; n++) {
      failing_begin(CALLS, n);
      status = work(file, &whole);
      bool all = !failing_end(); /* the failure was not reached */
      assert_true(whole);
      assert_true(status == CIRA_OK || status == CIRA_E_NOMEM ||
                  status == CIRA_E_SYSTEM);
      /* Failing to reserve the addresses of a freed block is no error. */
      status = status == CIRA_OK && !all ? CIRA_E_NOMEM : status;
      assert_true(n < 100);
    }
    assert_true(n > 10);
  }
  assert_int_equal(cira_tier_list(t, CIRA_TIER_MAX, &count), CIRA_OK);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(t[i].used_bytes, 0);
  }
}

/* The first call of a process has no memory: the next one may have. */
static void test_first_call(void **state) {
  (void)state;
  uint32_t n = 0;
  failing_begin(CALLS, 0);
  assert_int_equal(cira_tier_list(NULL, 0, &n), CIRA_OK); /* a smaller arena */
  assert_true(failing_end());
  assert_true(n > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_call),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
