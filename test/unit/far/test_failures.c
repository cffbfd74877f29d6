/* SPDX-License-Identifier: Apache-2.0
 *
 * The N-th call that needs the kernel fails while far memory starts, for every
 * N: cira_far_start says so, nothing is left behind, and the next one works.
 */
#include "cira/far.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "failing.h"
#include "space/space.h"

static void use(void) {
  uint64_t n = (UINT64_C(4) << 20) / 8;
  uint64_t *p = cira_far_alloc(n * 8, 0);
  assert_non_null(p);
  for (uint64_t i = 0; i < n; i += 64) {
    p[i] = i;
  }
  for (uint64_t i = 0; i < n; i += 64) {
    assert_int_equal(p[i], i);
  }
  assert_int_equal(cira_far_free(p), CIRA_OK);
}

static void starts(const char *url) {
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = url;
  opt.local_bytes = UINT64_C(1) << 20;
  opt.far_bytes = UINT64_C(1) << 30;
  assert_int_equal(cira_far_start(&opt), CIRA_OK); /* what is made once */
  assert_int_equal(cira_far_stop(), CIRA_OK);
  uint64_t maps = 0, fds = failing_fds();
  bool enough = false;
  int n = 0;
  for (; !enough; n++) {
    assert_in_range(n, 0, 200);
    failing_begin(FAILING_MMAP | FAILING_FILES | FAILING_THREADS, n);
    cira_status_t status = cira_far_start(&opt);
    enough = !failing_end();
    if (status == CIRA_OK) { /* it can do without, or it needed no more */
      use();
      assert_int_equal(cira_far_stop(), CIRA_OK);
    } else {
      assert_true(status == CIRA_E_NOMEM || status == CIRA_E_SYSTEM ||
                  status == CIRA_E_BUSY);
      assert_string_not_equal(cira_status_detail(), "");
      assert_false(cira_far_started());
      assert_null(cira_far_alloc(10, 0));
    }
    assert_int_equal(failing_fds(), fds);
    maps = n == 0 ? failing_maps() : maps;
  }
  assert_true(n > 5);
#ifdef CIRA_SANITIZED
  (void)maps; /* sanitizers map things as they like */
#else
  /* merged and split mappings differ a little, leaks would be one each */
  assert_true(failing_maps() < maps + (uint64_t)n / 2 + 4);
#endif
}

static void test_starts(void **state) {
  (void)state;
  starts("host:");
  starts("fault(host:;seed=1)"); /* as over a network */
}

int main(void) {
  char why[256];
  if (cira_space_probe(CIRA_SPACE_SIGBUS, why, sizeof why) != CIRA_OK) {
    printf("skip: %s\n", why);
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_starts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
