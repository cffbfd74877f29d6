/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of places: what is taken, what is refused and with which words.
 */
#include "fabric/fabric.h"
#include "fabric/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static cira_status_t parse(const char *text, cira__url_t *out) {
  return cira__url_parse(text, strlen(text), out);
}

static void test_leaves(void **state) {
  (void)state;
  cira__url_t u;
  assert_int_equal(parse("host:", &u), CIRA_OK);
  assert_int_equal(u.kind, CIRA__URL_HOST);
  assert_int_equal(parse("shm:", &u), CIRA_OK);
  assert_string_equal(u.path, "");
  assert_int_equal(parse("shm:/a/b:c", &u), CIRA_OK);
  assert_string_equal(u.path, "/a/b:c");
  assert_int_equal(parse("unix:rel", &u), CIRA_OK);
  assert_int_equal(u.kind, CIRA__URL_UNIX);
  assert_int_equal(parse("tcp://h.example:70", &u), CIRA_OK);
  assert_string_equal(u.host, "h.example");
  assert_int_equal(u.port, 70);
  assert_int_equal(parse("tcp://:0", &u), CIRA_OK);
  assert_string_equal(u.host, "");
  assert_int_equal(parse("tcp://[::1]:65535", &u), CIRA_OK);
  assert_string_equal(u.host, "::1");
}

static void test_compositions(void **state) {
  (void)state;
  cira__url_t u;
  char child[CIRA__URL_BYTES];
  assert_int_equal(parse("tcp://a:1,fault(host:,shm:;drop=0.5),unix:/x", &u),
                   CIRA_OK);
  assert_int_equal(u.kind, CIRA__URL_STRIPE);
  assert_int_equal(u.child_count, 3);
  cira__url_child(&u, 1, child);
  assert_string_equal(child, "fault(host:,shm:;drop=0.5)");
  assert_int_equal(parse(child, &u), CIRA_OK);
  assert_int_equal(u.kind, CIRA__URL_FAULT);
  assert_int_equal(u.fault.drop_ppm, 500000);
  assert_int_equal(
      parse("fault(host:;drop=0.000001;reorder=1;short=0.25;delay=5ms;"
            "disconnect=3;fail=9;status=deadline;seed=77)",
            &u),
      CIRA_OK);
  assert_int_equal(u.fault.drop_ppm, 1);
  assert_int_equal(u.fault.reorder_ppm, 1000000);
  assert_int_equal(u.fault.short_ppm, 250000);
  assert_int_equal(u.fault.delay_ns, 5000000);
  assert_int_equal(u.fault.disconnect_at, 3);
  assert_int_equal(u.fault.fail_at, 9);
  assert_int_equal(u.fault.fail_status, CIRA_E_DEADLINE);
  assert_int_equal(u.fault.seed, 77);
  assert_int_equal(parse("trace(trace(host:);file=/tmp/x)", &u), CIRA_OK);
  assert_string_equal(u.path, "/tmp/x");
}

static void test_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "hos:",
      "host",
      "host:x",
      ",",
      "host:,",
      "unix:",
      "tcp://",
      "tcp://h",
      "tcp://h:",
      "tcp://h:x",
      "tcp://h:65536",
      "tcp://h:1/path",
      "tcp://[::1:5",
      "tcp:h:1",
      "trace()",
      "trace(host:",
      "trace(host:))",
      "trace(host:;file)",
      "trace(host:;drop=1)",
      "trace(host:;file=)",
      "fault(host:;drop=2)",
      "fault(host:;drop=-1)",
      "fault(host:;drop=)",
      "fault(host:;fail=x)",
      "fault(host:;status=great)",
      "fault(host:;bogus=1)",
      "fault(host:;delay=soon)",
      "fault(nowhere;drop=1)",
      "a,b,c",
      "trace(trace(trace(trace(trace(trace(trace(trace(host:))))))))",
      "host:,host:,host:,host:,host:,host:,host:,host:,host:,host:,host:,"
      "host:,host:,host:,host:,host:,host:",
      "unix:/123456789012345678901234567890123456789012345678901234567890123456"
      "78901234567890123456789012345678901234567890",
  };
  cira__url_t u;
  for (unsigned i = 0; i < CIRA_COUNT(bad); i++) {
    cira__fail(CIRA_OK, "%s", "");
    assert_int_equal(parse(bad[i], &u), CIRA_E_INVALID);
    assert_true(strlen(cira_status_detail()) > 10);
  }
  char longer[600];
  memset(longer, 'x', sizeof(longer));
  assert_int_equal(cira__url_parse(longer, sizeof(longer), &u), CIRA_E_INVALID);
  assert_int_equal(cira_fabric_url_check(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_fabric_url_check(""), CIRA_E_INVALID);
  assert_int_equal(cira__url_parse("unix:\0x", 7, &u), CIRA_E_INVALID);
}

static void test_later(void **state) {
  (void)state;
  static const char *const later[] = {"mirror(host:,host:)", "ofi://x",
                                      "numa:1", "dax:/dev/dax0.0",
                                      "trace(ofi://x)"};
  for (unsigned i = 0; i < CIRA_COUNT(later); i++) {
    assert_int_equal(cira_fabric_url_check(later[i]), CIRA_E_UNSUPPORTED);
    assert_non_null(
        strstr(cira_status_detail(), "not available in this version"));
  }
}

static void test_shm_path(void **state) {
  (void)state;
  char path[CIRA__URL_PATH_BYTES];
  (void)setenv("CIRA_FAR_SOCKET", "/a/b", 1);
  assert_int_equal(cira__url_shm_path(path, sizeof(path)), CIRA_OK);
  assert_string_equal(path, "/a/b");
  (void)unsetenv("CIRA_FAR_SOCKET");
  (void)setenv("XDG_RUNTIME_DIR", "/run/user/5", 1);
  assert_int_equal(cira__url_shm_path(path, sizeof(path)), CIRA_OK);
  assert_string_equal(path, "/run/user/5/cira-memd.sock");
  (void)unsetenv("XDG_RUNTIME_DIR");
  assert_int_equal(cira__url_shm_path(path, sizeof(path)), CIRA_OK);
  assert_non_null(strstr(path, "/tmp/cira-memd-"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_leaves),   cmocka_unit_test(test_compositions),
      cmocka_unit_test(test_refused),  cmocka_unit_test(test_later),
      cmocka_unit_test(test_shm_path),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
