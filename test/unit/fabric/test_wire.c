/* SPDX-License-Identifier: Apache-2.0
 *
 * The tcp client against a server that we play ourselves over a socket pair:
 * answers in pieces, late, short, wrong, out of turn.
 */
#include "base/sys.h"
#include "fabric/internal.h"
#include "fabric/tcp_proto.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
  cira_fabric_t *f;
  cira_region_t region;
  int peer;
} pair_t;

static void reply(const pair_t *p, uint8_t op, uint32_t id,
                  cira_status_t status, uint32_t region, uint64_t length) {
  cira__wire_reply_t r = {.version = CIRA__PROTO_VERSION,
                          .op = op,
                          .id = id,
                          .status = status,
                          .region = region,
                          .length = length};
  assert_int_equal(send(p->peer, &r, sizeof(r), 0), sizeof(r));
}

static int setup(void **state) {
  pair_t *p = calloc(1, sizeof(*p));
  int fd[2];
  cira_fabric_options_t opt;
  cira_fabric_options_default(&opt);
  opt.deadline_ns = 2000000000;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
  (void)fcntl(fd[0], F_SETFL, O_NONBLOCK);
  assert_int_equal(cira__tcp_adopt(fd[0], "tcp://fake:1", &opt, &p->f),
                   CIRA_OK);
  p->peer = fd[1];
  reply(p, CIRA__OP_OPEN, 0, CIRA_OK, 7, 0); /* it may come early */
  assert_int_equal(p->f->ops->region_open(p->f, 1 << 20, &p->region), CIRA_OK);
  *state = p;
  return 0;
}

static int teardown(void **state) {
  pair_t *p = *state;
  cira_fabric_close(p->f);
  (void)close(p->peer);
  free(p);
  return 0;
}

static void test_in_pieces(void **state) {
  pair_t *p = *state;
  uint8_t stream[64 + 5] = {0};
  uint8_t got[5] = {0};
  cira_fabric_op_t op[2] = {0};
  cira__wire_reply_t r = {
      .version = 1, .op = CIRA__OP_READ, .id = 1, .length = 5};
  memcpy(stream, &r, 32);
  memcpy(stream + 32, "12345", 5);
  r = (cira__wire_reply_t){
      .version = 1, .op = CIRA__OP_ATOMIC, .id = 2, .result = 99};
  memcpy(stream + 37, &r, 32);
  assert_int_equal(p->f->ops->post_read(p->f, p->region, 0, got, 5, 0, &op[0]),
                   CIRA_OK);
  assert_int_equal(p->f->ops->post_atomic(p->f, p->region, CIRA_FABRIC_ADD, 0,
                                          1, 0, 0, &op[1]),
                   CIRA_OK);
  for (unsigned i = 0; i < sizeof(stream); i++) {
    assert_int_equal(op[0].status, i < 37 ? CIRA_PENDING : CIRA_OK);
    assert_int_equal(op[1].status, CIRA_PENDING);
    assert_int_equal(send(p->peer, stream + i, 1, 0), 1);
    assert_true(p->f->ops->poll(p->f) >= 0);
  }
  assert_int_equal(op[1].status, CIRA_OK);
  assert_int_equal(op[1].result, 99);
  assert_memory_equal(got, "12345", 5);
}

/* The requests that go out are those of the protocol. */
static void test_requests(void **state) {
  pair_t *p = *state;
  uint8_t bytes[1000];
  cira__request_t r;
  uint64_t need;
  const char *why = NULL;
  static cira_fabric_op_t op[2]; /* pending until teardown closes */
  cira_fabric_seg_t seg[2] = {{.offset = 3, .src = "abc", .bytes = 3},
                              {.offset = 9, .src = "de", .bytes = 2}};
  assert_int_equal(p->f->ops->post_write(p->f, p->region, seg, 2, 0, &op[0]),
                   CIRA_OK);
  assert_int_equal(
      p->f->ops->post_discard(p->f, p->region, 4096, 8192, 0, &op[1]), CIRA_OK);
  assert_int_equal(p->f->ops->poll(p->f), 0);
  ssize_t n = recv(p->peer, bytes, sizeof(bytes), 0);
  assert_int_equal(n, 32 + 32 + 32 + 5 + 32); /* both in one send */
  assert_int_equal(cira__request_parse(bytes, (uint64_t)n, &r, &need, &why),
                   32);
  assert_int_equal(r.header.op, CIRA__OP_OPEN);
  assert_int_equal(
      cira__request_parse(bytes + 32, (uint64_t)n - 32, &r, &need, &why), 69);
  assert_int_equal(r.header.op, CIRA__OP_WRITE);
  assert_int_equal(r.header.region, 7);
  assert_int_equal(cira__request_seg(&r, 1).offset, 9);
  assert_memory_equal(r.data, "abcde", 5);
  assert_int_equal(
      cira__request_parse(bytes + 101, (uint64_t)n - 101, &r, &need, &why), 32);
  assert_int_equal(r.header.op, CIRA__OP_DISCARD);
  assert_int_equal(r.header.length, 8192);
}

/* An answer after the deadline is drained and the next one is right. */
static void test_late(void **state) {
  pair_t *p = *state;
  static uint8_t body[200000]; /* more than the drain buffer */
  static uint8_t got[200000];
  uint8_t next[4] = {0};
  cira_fabric_op_t late = {0};
  cira_fabric_op_t op = {0};
  memset(body, 7, sizeof(body));
  memset(got, 1, sizeof(got));
  assert_int_equal(p->f->ops->post_read(p->f, p->region, 0, got, sizeof(got),
                                        cira__now_ns() + 1000, &late),
                   CIRA_OK);
  assert_int_equal(cira_fabric_wait(p->f, &late), CIRA_E_DEADLINE);
  assert_int_equal(p->f->ops->post_read(p->f, p->region, 0, next, 4, 0, &op),
                   CIRA_OK);
  reply(p, CIRA__OP_READ, 1, CIRA_OK, 0, sizeof(body));
  for (unsigned at = 0; at < sizeof(body); at += 20000) {
    assert_int_equal(send(p->peer, body + at, 20000, 0), 20000);
    assert_true(p->f->ops->poll(p->f) >= 0);
  }
  reply(p, CIRA__OP_READ, 2, CIRA_OK, 0, 4);
  assert_int_equal(send(p->peer, "next", 4, 0), 4);
  assert_int_equal(cira_fabric_wait(p->f, &op), CIRA_OK);
  assert_memory_equal(next, "next", 4);
  for (unsigned i = 0; i < sizeof(got); i++) {
    assert_int_equal(got[i], 1);
  }
}

/* A failed read has its body of zeros; the connection goes on. */
static void test_refused(void **state) {
  pair_t *p = *state;
  uint8_t got[8];
  cira_fabric_op_t op = {0};
  assert_int_equal(p->f->ops->post_read(p->f, p->region, 0, got, 8, 0, &op),
                   CIRA_OK);
  reply(p, CIRA__OP_READ, 1, CIRA_E_INVALID, 0, 8);
  assert_int_equal(send(p->peer, "\0\0\0\0\0\0\0\0", 8, 0), 8);
  assert_int_equal(cira_fabric_wait(p->f, &op), CIRA_E_INVALID);
  assert_int_equal(p->f->ops->poll(p->f), 0);
}

static void wrong(pair_t *p, uint8_t op_code, uint32_t id, cira_status_t status,
                  uint64_t length) {
  uint8_t got[2][8];
  cira_fabric_op_t op[2] = {0};
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(
        p->f->ops->post_read(p->f, p->region, 0, got[i], 8, 0, &op[i]),
        CIRA_OK);
  }
  reply(p, op_code, id, status, 0, length);
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(cira_fabric_wait(p->f, &op[i]), CIRA_E_PROTOCOL);
  }
  assert_non_null(strstr(cira_status_detail(), "tcp://fake:1"));
  assert_int_equal(p->f->ops->poll(p->f), CIRA_E_PROTOCOL);
  assert_int_equal(p->f->ops->post_read(p->f, p->region, 0, got[0], 8, 0, op),
                   CIRA_E_PROTOCOL);
}

static void test_short_answer(void **state) {
  wrong(*state, CIRA__OP_READ, 1, CIRA_OK, 4);
}
static void test_long_answer(void **state) {
  wrong(*state, CIRA__OP_READ, 1, CIRA_OK, 9);
}
static void test_wrong_id(void **state) {
  wrong(*state, CIRA__OP_READ, 2, CIRA_OK, 8);
}
static void test_wrong_op(void **state) {
  wrong(*state, CIRA__OP_WRITE, 1, CIRA_OK, 8);
}
static void test_wrong_status(void **state) {
  wrong(*state, CIRA__OP_READ, 1, 5, 8);
}

static void test_end_in_the_middle(void **state) {
  pair_t *p = *state;
  uint8_t got[8];
  cira_fabric_op_t op = {0};
  assert_int_equal(p->f->ops->post_read(p->f, p->region, 0, got, 8, 0, &op),
                   CIRA_OK);
  reply(p, CIRA__OP_READ, 1, CIRA_OK, 0, 8);
  assert_int_equal(send(p->peer, "1234", 4, 0), 4);
  (void)shutdown(p->peer, SHUT_RDWR);
  assert_int_equal(cira_fabric_wait(p->f, &op), CIRA_E_DISCONNECTED);
}

/* A server that reads nothing: posts end in CIRA_AGAIN, not in a hang, and go
 * on when it reads. */
static void test_send_blocked(void **state) {
  pair_t *p = *state;
  static uint8_t page[65536];
  static uint8_t sink[1 << 20];
  enum { OPS = 255 };
  static cira_fabric_op_t op[OPS];
  unsigned posted = 0;
  cira_status_t s = CIRA_OK;
  cira_fabric_seg_t seg = {.offset = 0, .src = page, .bytes = sizeof(page)};
  while (posted < OPS && s == CIRA_OK) {
    s = p->f->ops->post_write(p->f, p->region, &seg, 1, 0, &op[posted]);
    posted += s == CIRA_OK;
  }
  assert_int_equal(s, CIRA_AGAIN);
  assert_true(posted > 4);
  uint64_t got = 0;
  uint64_t want = 32 + posted * (32 + 16 + sizeof(page));
  while (got < want) {
    assert_true(p->f->ops->poll(p->f) >= 0);
    ssize_t n = recv(p->peer, sink, sizeof(sink), MSG_DONTWAIT);
    got += n > 0 ? (uint64_t)n : 0;
  }
  for (uint32_t i = 0; i < posted; i++) {
    reply(p, CIRA__OP_WRITE, i + 1, CIRA_OK, 0, 0);
    assert_int_equal(cira_fabric_wait(p->f, &op[i]), CIRA_OK);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_in_pieces),    TEST(test_requests),
      TEST(test_late),         TEST(test_refused),
      TEST(test_short_answer), TEST(test_long_answer),
      TEST(test_wrong_id),     TEST(test_wrong_op),
      TEST(test_wrong_status), TEST(test_end_in_the_middle),
      TEST(test_send_blocked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
