/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad days, made by the fault hook over a place in this process and over a
 * server: every one ends in the right status, none in wrong bytes or a hang.
 */
#include "servers.h"

#include "base/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REGION_BYTES (1u << 20)

static memd_t memd;
static const char *inner[2];

static cira_fabric_t *open_fault(const char *place, const char *options) {
  char url[300];
  cira_fabric_t *f;
  snprintf(url, sizeof(url), "fault(%s;%s)", place, options);
  MUST(cira_fabric_connect(url, NULL, &f));
  return f;
}

/* Reads and writes with a deadline of their own. */
static cira_status_t read_within(cira_fabric_t *f, cira_region_t r,
                                 uint64_t offset, void *dst, uint64_t bytes,
                                 uint64_t ns) {
  cira_fabric_op_t op = {0};
  cira_status_t s =
      f->ops->post_read(f, r, offset, dst, bytes, cira__now_ns() + ns, &op);
  return s == CIRA_OK ? cira_fabric_wait(f, &op) : s;
}

static cira_status_t write_within(cira_fabric_t *f, cira_region_t r,
                                  uint64_t offset, const void *src,
                                  uint64_t bytes, uint64_t ns) {
  cira_fabric_op_t op = {0};
  cira_fabric_seg_t seg = {.offset = offset, .src = src, .bytes = bytes};
  cira_status_t s = f->ops->post_write(f, r, &seg, 1, cira__now_ns() + ns, &op);
  return s == CIRA_OK ? cira_fabric_wait(f, &op) : s;
}

static void test_drop(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    cira_region_t r;
    uint8_t buf[64];
    cira_fabric_t *f = open_fault(inner[i], "drop=1");
    MUST(f->ops->region_open(f, REGION_BYTES, &r));
    memset(buf, 0xaa, sizeof(buf));
    uint64_t start = cira__now_ns();
    assert_int_equal(read_within(f, r, 0, buf, 64, 20000000), CIRA_E_DEADLINE);
    assert_true(cira__now_ns() - start >= 20000000);
    assert_int_equal(buf[0], 0xaa);
    assert_int_equal(write_within(f, r, 0, buf, 64, 20000000), CIRA_E_DEADLINE);
    cira_fabric_close(f);
  }
}

/* Some are lost, the others are right. */
static void test_drop_some(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    cira_region_t r;
    unsigned lost = 0;
    cira_fabric_t *f = open_fault(inner[i], "drop=0.2;seed=11");
    MUST(f->ops->region_open(f, REGION_BYTES, &r));
    for (uint64_t k = 0; k < 60; k++) {
      uint64_t back = 0;
      if (write_within(f, r, k * 8, &k, 8, 20000000) != CIRA_OK ||
          read_within(f, r, k * 8, &back, 8, 20000000) != CIRA_OK) {
        lost++;
      } else {
        assert_int_equal(back, k);
      }
    }
    assert_true(lost > 5); /* the others were right */
    cira_fabric_close(f);
  }
}

static void test_delay(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    cira_region_t r;
    uint64_t value = 0;
    cira_fabric_t *f = open_fault(inner[i], "delay=8ms");
    MUST(f->ops->region_open(f, REGION_BYTES, &r));
    uint64_t start = cira__now_ns();
    MUST(cira_fabric_read(f, r, 8, &value, 8));
    assert_true(cira__now_ns() - start >= 8000000);
    /* Ten at once are late together, not one after the other: each is done
     * after its own delay. */
    cira_fabric_op_t op[10] = {0};
    uint64_t to[10];
    for (unsigned k = 0; k < 10; k++) {
      MUST(f->ops->post_read(f, r, k * 8, &to[k], 8, 0, &op[k]));
      assert_int_equal(op[k].status, CIRA_PENDING);
    }
    for (unsigned k = 0; k < 10; k++) {
      MUST(cira_fabric_wait(f, &op[k]));
    }
    /* Later than its deadline is a deadline. */
    MUST(f->ops->post_read(f, r, 0, &to[0], 8, cira__now_ns() + 1000000,
                           &op[0]));
    assert_int_equal(cira_fabric_wait(f, &op[0]), CIRA_E_DEADLINE);
    cira_fabric_close(f);
  }
}

static void test_short(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    cira_region_t r;
    uint8_t buf[512];
    cira_fabric_t *f = open_fault(inner[i], "short=1");
    MUST(f->ops->region_open(f, REGION_BYTES, &r));
    MUST(cira_fabric_write(f, r, 0, "whole", 6));
    assert_int_equal(cira_fabric_read(f, r, 0, buf, sizeof(buf)),
                     CIRA_E_PROTOCOL);
    assert_non_null(strstr(cira_status_detail(), "256 of 512"));
    cira_fabric_close(f);
  }
}

/* A held read is overtaken by a write elsewhere but not by one of its bytes. */
static void test_reorder(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    cira_region_t r;
    uint64_t one = 1;
    uint64_t two = 2;
    uint64_t got = 0;
    cira_fabric_op_t read = {0};
    cira_fabric_op_t far = {0};
    cira_fabric_op_t near = {0};
    cira_fabric_t *f = open_fault(inner[i], "reorder=1");
    MUST(f->ops->region_open(f, REGION_BYTES, &r));
    MUST(cira_fabric_write(f, r, 4096, &one, 8));
    cira_fabric_seg_t elsewhere = {.offset = 0, .src = &two, .bytes = 8};
    cira_fabric_seg_t here = {.offset = 4100, .src = &two, .bytes = 8};
    MUST(f->ops->post_read(f, r, 4096, &got, 8, 0, &read));
    MUST(f->ops->post_write(f, r, &elsewhere, 1, 0, &far));
    assert_int_equal(read.status, CIRA_PENDING);
    MUST(f->ops->post_write(f, r, &here, 1, 0, &near));
    MUST(cira_fabric_wait(f, &near));
    MUST(cira_fabric_wait(f, &read));
    MUST(cira_fabric_wait(f, &far));
    assert_int_equal(got, 1);
    cira_fabric_close(f);
  }
}

/* Every kind of message once. Returns the number of calls that failed, and the
 * first status. Bytes are checked where both calls went well. */
static unsigned scenario(cira_fabric_t *f, cira_status_t *out_first) {
  const cira_fabric_ops_t *o = f->ops;
  cira_region_t r = 0;
  cira_ticket_t ticket = {0};
  cira_region_t second = 0;
  uint32_t refs = 0;
  uint64_t back = 0;
  uint64_t value = 0x1234;
  cira_fabric_op_t op = {0};
  cira_status_t s[10];
  s[0] = o->region_open(f, REGION_BYTES, &r);
  s[1] = o->region_ticket(f, r, &ticket);
  s[2] = o->region_attach(f, &ticket, &second, NULL);
  s[3] = o->region_commit(f, r, 4096);
  s[4] = o->region_refs(f, r, &refs);
  s[5] = o->region_hold(f, r, 1);
  s[6] = cira_fabric_write(f, r, 64, &value, 8);
  s[7] = cira_fabric_read(f, r, 64, &back, 8);
  if (s[6] == CIRA_OK && s[7] == CIRA_OK) {
    assert_int_equal(back, value);
  }
  s[8] = o->post_atomic(f, r, CIRA_FABRIC_ADD, 128, 1, 0, 0, &op);
  s[8] = s[8] == CIRA_OK ? cira_fabric_wait(f, &op) : s[8];
  s[9] = o->post_discard(f, r, 0, 4096, 0, &op);
  s[9] = s[9] == CIRA_OK ? cira_fabric_wait(f, &op) : s[9];
  o->region_close(f, r);
  unsigned failed = 0;
  *out_first = CIRA_OK;
  for (unsigned i = 0; i < CIRA_COUNT(s); i++) {
    if (s[i] != CIRA_OK && failed++ == 0) {
      *out_first = s[i];
    }
  }
  return failed;
}
#define SCENARIO_MESSAGES 10u /* the eleventh, close, returns nothing */

static void test_nth_fails(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    for (unsigned n = 1; n <= SCENARIO_MESSAGES + 2; n++) {
      char options[64];
      cira_status_t first;
      snprintf(options, sizeof(options), "fail=%u;status=quota", n);
      cira_fabric_t *f = open_fault(inner[i], options);
      unsigned failed = scenario(f, &first);
      if (n <= SCENARIO_MESSAGES) {
        assert_int_equal(first, CIRA_E_QUOTA);
        assert_true(failed >= 1);
      } else {
        assert_int_equal(failed, 0);
      }
      cira_fabric_close(f);
    }
  }
}

static void test_nth_disconnects(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    for (unsigned n = 1; n <= SCENARIO_MESSAGES + 2; n++) {
      char options[64];
      cira_status_t first;
      snprintf(options, sizeof(options), "disconnect=%u", n);
      cira_fabric_t *f = open_fault(inner[i], options);
      unsigned failed = scenario(f, &first);
      if (n <= SCENARIO_MESSAGES) {
        assert_int_equal(first, CIRA_E_DISCONNECTED);
        assert_int_equal(failed, SCENARIO_MESSAGES - n + 1);
        assert_int_equal(f->ops->poll(f), CIRA_E_DISCONNECTED);
      } else {
        assert_int_equal(failed, 0);
      }
      cira_fabric_close(f);
    }
  }
}

/* What is under way when the connection goes ends with it. */
static void test_disconnect_pending(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    cira_region_t r;
    cira_fabric_op_t op[5] = {0};
    uint64_t to[5];
    cira_fabric_t *f = open_fault(inner[i], "disconnect=6;delay=1s");
    MUST(f->ops->region_open(f, REGION_BYTES, &r));
    for (unsigned k = 0; k < 4; k++) {
      MUST(f->ops->post_read(f, r, 0, &to[k], 8, 0, &op[k]));
    }
    assert_int_equal(f->ops->post_read(f, r, 0, &to[4], 8, 0, &op[4]),
                     CIRA_E_DISCONNECTED);
    for (unsigned k = 0; k < 5; k++) {
      assert_int_equal(op[k].status, CIRA_E_DISCONNECTED);
    }
    cira_fabric_close(f);
  }
}

static int servers_up(void **state) {
  (void)state;
  memd_start(&memd, "64m", NULL);
  inner[0] = "host:";
  inner[1] = memd.tcp_url;
  return 0;
}

static int servers_down(void **state) {
  (void)state;
  memd_stop(&memd);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_drop),
      cmocka_unit_test(test_drop_some),
      cmocka_unit_test(test_delay),
      cmocka_unit_test(test_short),
      cmocka_unit_test(test_reorder),
      cmocka_unit_test(test_nth_fails),
      cmocka_unit_test(test_nth_disconnects),
      cmocka_unit_test(test_disconnect_pending),
  };
  return cmocka_run_group_tests(tests, servers_up, servers_down) ? 1 : 0;
}
