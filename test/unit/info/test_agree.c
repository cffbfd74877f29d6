/* SPDX-License-Identifier: Apache-2.0
 *
 * When two measurements of cira-info --measure agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cira-info/measure.h"

static info_model_t quiet(void) {
  info_model_t m = {0};
  for (size_t i = 0; i < INFO_FIGURE_COUNT; i++) {
    m.value[i] = 100 + (double)i;
  }
  m.value[INFO_CXL_LATENCY] = m.value[INFO_CXL_RATE] = 0; /* there is none */
  return m;
}

static void test_agree(void **state) {
  (void)state;
  info_model_t a = quiet(), b = quiet();
  info_figure_t worst = INFO_PAGES;
  assert_true(info__models_agree(&a, &b, &worst));
  b.value[INFO_LOCAL_LATENCY] *= 1.2;
  b.value[INFO_FAR_LATENCY] *= 1.5;
  b.value[INFO_SYNC] /= 2.4;
  assert_true(info__models_agree(&a, &b, &worst));
  assert_true(info__models_agree(&b, &a, &worst));
  b.value[INFO_PAGES] *= 8; /* powers of two: not compared */
  assert_true(info__models_agree(&a, &b, &worst));
  assert_int_equal(worst, INFO_PAGES); /* untouched */
}

static void test_disagree(void **state) {
  (void)state;
  info_model_t a = quiet(), b = quiet();
  info_figure_t worst = INFO_PAGES;
  b.value[INFO_FAR_LATENCY] *= 1.7;
  b.value[INFO_LOCAL_LATENCY] *= 10; /* a processor that others have, too */
  assert_false(info__models_agree(&a, &b, &worst));
  assert_int_equal(worst, INFO_LOCAL_LATENCY);
  assert_false(info__models_agree(&b, &a, &worst));
  assert_int_equal(worst, INFO_LOCAL_LATENCY);
  b = quiet();
  b.value[INFO_LOCAL_RATE] /= 1.5;
  assert_false(info__models_agree(&a, &b, &worst));
  assert_int_equal(worst, INFO_LOCAL_RATE);
  assert_string_equal(info__figure_name(worst), "local_bytes_per_us");
  b = quiet();
  b.value[INFO_SYNC] = 0; /* once only one processor could be had */
  assert_false(info__models_agree(&a, &b, &worst));
  assert_int_equal(worst, INFO_SYNC);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_agree),
      cmocka_unit_test(test_disagree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
