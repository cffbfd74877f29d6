/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that die, send garbage, stop in the middle, never read, or are many:
 * the server goes on, and the others do not notice.
 */
#include "life.h"

#include "base/sys.h"
#include "fabric/tcp_proto.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Writes and reads for ever. */
static void busy_client(const char *url) {
  static uint8_t buf[65536];
  cira_fabric_t *f;
  cira_region_t r;
  if (cira_fabric_connect(url, NULL, &f) != CIRA_OK ||
      f->ops->region_open(f, LIFE_REGION_BYTES, &r) != CIRA_OK ||
      f->ops->region_commit(f, r, 1 << 20) != CIRA_OK) {
    _exit(1);
  }
  for (;;) {
    if (cira_fabric_write(f, r, 77, buf, sizeof(buf)) != CIRA_OK ||
        cira_fabric_read(f, r, 4096, buf, sizeof(buf)) != CIRA_OK) {
      _exit(2);
    }
  }
}

void test_kill_client(void **state) {
  memd_t *m = *state;
  const char *urls[] = {m->tcp_url, m->unix_url, m->shm_url};
  cira_region_t r;
  cira_fabric_t *f = life_open(m->tcp_url, 0, &r);
  for (unsigned i = 0; i < 6; i++) {
    int code = 0;
    pid_t pid = fork();
    if (pid == 0) {
      busy_client(urls[i % 3]);
    }
    (void)usleep(10000 + i * 3000);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &code, 0);
    assert_true(WIFSIGNALED(code));
    MUST(cira_fabric_write(f, r, 0, &i, sizeof(i)));
  }
  life_await(m, "regions", 1); /* theirs are gone, ours is there */
  life_await(m, "committed_bytes", 0);
  cira_fabric_close(f);
  life_await(m, "regions", 0);
}

/* The server has closed this socket; true also when it says so first. */
static bool closed_by_server(int fd) {
  char sink[4096];
  struct timeval limit = {.tv_sec = 5};
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  for (;;) {
    ssize_t n = recv(fd, sink, sizeof(sink), 0);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
      return true;
    }
    if (n < 0) {
      return false;
    }
  }
}

static void send_hello(int fd) {
  cira__wire_request_t hello = {.version = CIRA__PROTO_VERSION,
                                .op = CIRA__OP_HELLO,
                                .offset = CIRA__PROTO_MAGIC,
                                .length = 32};
  uint8_t frame[64] = {0};
  memcpy(frame, &hello, sizeof(hello));
  assert_int_equal(send(fd, frame, 64, 0), 64);
}

void test_garbage(void **state) {
  memd_t *m = *state;
  cira_region_t r;
  cira_fabric_t *f = life_open(m->tcp_url, 0, &r);
  uint32_t seed = 12345;
  for (unsigned i = 0; i < 60; i++) {
    uint8_t junk[700];
    for (unsigned k = 0; k < sizeof(junk); k++) {
      seed = seed * 1664525u + 1013904223u;
      junk[k] = (uint8_t)(seed >> 24);
    }
    int fd = life_socket(m);
    if (i % 3) {
      send_hello(fd);
      junk[0] = CIRA__PROTO_VERSION;
    }
    if (i % 3 == 2) { /* known requests with wild fields */
      static const uint8_t ops[] = {
          CIRA__OP_OPEN, CIRA__OP_CLOSE, CIRA__OP_REFS,   CIRA__OP_HOLD,
          CIRA__OP_READ, CIRA__OP_WRITE, CIRA__OP_COMMIT, CIRA__OP_DISCARD};
      for (unsigned k = 0; k + 32 <= sizeof(junk); k += 32) {
        junk[k] = CIRA__PROTO_VERSION;
        junk[k + 1] = ops[(i + k / 32) % CIRA_COUNT(ops)];
      }
    }
    (void)send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    assert_true(closed_by_server(fd));
    (void)close(fd);
    MUST(cira_fabric_write(f, r, 0, &i, sizeof(i)));
  }
  int fd = life_socket(m);
  assert_int_equal(send(fd, "GET / HTTP/1.1\r\n", 16, 0), 16);
  assert_true(closed_by_server(fd));
  (void)close(fd);
  assert_true(memd_figure(m, "clients_garbage") >= 20);
  cira_fabric_close(f);
  life_await(m, "regions", 0);
}

/* A write that stops at any byte is never applied. */
void test_truncated(void **state) {
  memd_t *m = *state;
  cira_region_t r;
  cira_ticket_t ticket;
  cira_fabric_t *f = life_open(m->tcp_url, 0, &r);
  MUST(f->ops->region_ticket(f, r, &ticket));
  uint8_t stream[64 + 64 + 32 + 16 + 8] = {0};
  cira__wire_request_t attach = {
      .version = CIRA__PROTO_VERSION, .op = CIRA__OP_ATTACH, .length = 32};
  cira__wire_request_t write = {.version = CIRA__PROTO_VERSION,
                                .op = CIRA__OP_WRITE,
                                .region = 1,
                                .count = 1,
                                .length = 24};
  cira__wire_seg_t seg = {.offset = 0, .bytes = 8};
  memcpy(stream + 64, &attach, 32);
  memcpy(stream + 96, &ticket, 32);
  memcpy(stream + 128, &write, 32);
  memcpy(stream + 160, &seg, 16);
  memset(stream + 176, 0xff, 8);
  for (unsigned n = 0; n <= sizeof(stream); n++) {
    int fd = life_socket(m);
    if (n >= 64) {
      send_hello(fd);
      assert_int_equal(send(fd, stream + 64, n - 64, 0), n - 64);
    }
    (void)shutdown(fd, SHUT_WR);
    assert_true(closed_by_server(fd));
    (void)close(fd);
    uint64_t value = 1;
    MUST(cira_fabric_read(f, r, 0, &value, 8));
    assert_int_equal(value, n == sizeof(stream) ? UINT64_MAX : 0);
  }
  cira_fabric_close(f);
}

/* Asks for much more than it takes: the server stops reading from it and
 * serves the others. */
void test_slow_reader(void **state) {
  memd_t *m = *state;
  cira_region_t r;
  cira_fabric_t *f = life_open(m->tcp_url, 0, &r);
  cira_ticket_t ticket;
  MUST(f->ops->region_ticket(f, r, &ticket));
  int fd = life_socket(m);
  send_hello(fd);
  cira__wire_request_t attach = {
      .version = CIRA__PROTO_VERSION, .op = CIRA__OP_ATTACH, .length = 32};
  assert_int_equal(send(fd, &attach, 32, 0), 32);
  assert_int_equal(send(fd, &ticket, 32, 0), 32);
  cira__wire_request_t read = {.version = CIRA__PROTO_VERSION,
                               .op = CIRA__OP_READ,
                               .region = 1,
                               .length = CIRA_FABRIC_OP_MAX_BYTES};
  unsigned asked = 0;
  struct timeval patience = {.tv_usec = 300000};
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  for (; asked < 2000000; asked++) { /* until the server takes no more */
    if (send(fd, &read, 32, MSG_NOSIGNAL) != 32) {
      break;
    }
  }
  assert_true(asked > 1000 && asked < 2000000);
  for (uint64_t i = 0; i < 200; i++) {
    uint64_t back = 0;
    MUST(cira_fabric_write(f, r, 4096, &i, 8));
    MUST(cira_fabric_read(f, r, 4096, &back, 8));
    assert_int_equal(back, i);
  }
  (void)close(fd);
  cira_fabric_close(f);
  life_await(m, "regions", 0);
}

typedef struct {
  const char *url;
  uint64_t number;
  cira_status_t status;
  bool wrong;
} one_of_many_t;

static void *one_of_many(void *argument) {
  one_of_many_t *c = argument;
  cira_fabric_t *f;
  cira_region_t r;
  c->status = cira_fabric_connect(c->url, NULL, &f);
  if (c->status != CIRA_OK) {
    return NULL;
  }
  c->status = f->ops->region_open(f, 1 << 20, &r);
  for (uint64_t i = 0; i < 50 && c->status == CIRA_OK; i++) {
    uint64_t value = c->number * 1000 + i;
    uint64_t back = 0;
    c->status = cira_fabric_write(f, r, i * 5000, &value, 8);
    if (c->status == CIRA_OK) {
      c->status = cira_fabric_read(f, r, i * 5000, &back, 8);
    }
    c->wrong |= back != value;
  }
  cira_fabric_close(f);
  return NULL;
}

void test_many_clients(void **state) {
  enum { MANY = 48 };
  memd_t *m = *state;
  const char *urls[] = {m->tcp_url, m->unix_url, m->shm_url};
  pthread_t thread[MANY];
  one_of_many_t c[MANY] = {0};
  for (unsigned i = 0; i < MANY; i++) {
    c[i] = (one_of_many_t){.url = urls[i % 3], .number = i + 1};
    assert_int_equal(pthread_create(&thread[i], NULL, one_of_many, &c[i]), 0);
  }
  for (unsigned i = 0; i < MANY; i++) {
    (void)pthread_join(thread[i], NULL);
    assert_int_equal(c[i].status, CIRA_OK);
    assert_false(c[i].wrong);
  }
  life_await(m, "regions", 0);
}
