/* SPDX-License-Identifier: Apache-2.0
 *
 * What every place has to do, whatever it is made of. The argument names the
 * place with letters for the servers that are started: S shm, X unix, T and U
 * tcp of two servers. Every test gets a fresh connection and region.
 */
#include "suite.h"

#include "base/sys.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static memd_t memd[2];
static char place_url[256];
static bool uses_server;

static int setup(void **state) {
  place_t *p = calloc(1, sizeof(*p));
  p->url = place_url;
  MUST(cira_fabric_connect(p->url, NULL, &p->f));
  MUST(p->f->ops->region_open(p->f, REGION_BYTES, &p->region));
  *state = p;
  return 0;
}

static int teardown(void **state) {
  place_t *p = *state;
  cira_fabric_close(p->f);
  free(p);
  return 0;
}

static void pattern(uint8_t *to, uint64_t bytes, uint32_t seed) {
  for (uint64_t i = 0; i < bytes; i++) {
    seed = seed * 1664525u + 1013904223u;
    to[i] = (uint8_t)(seed >> 24);
  }
}

static void test_zero_at_birth(void **state) {
  place_t *p = *state;
  uint8_t buf[4096];
  memset(buf, 1, sizeof(buf));
  MUST(cira_fabric_read(p->f, p->region, REGION_BYTES - 4096, buf, 4096));
  for (unsigned i = 0; i < sizeof(buf); i++) {
    assert_int_equal(buf[i], 0);
  }
}

static void test_round_trip(void **state) {
  static const struct {
    uint64_t offset;
    uint64_t bytes;
  } cases[] = {
      {0, 1},           {4095, 2},     {65535, 2},    {65536, 65536},
      {123457, 200001}, {1, 1u << 20}, {8, 3u << 20}, {REGION_BYTES - 1, 1}};
  place_t *p = *state;
  uint8_t *out = malloc(3u << 20);
  uint8_t *in = malloc((3u << 20) + 2);
  for (unsigned i = 0; i < CIRA_COUNT(cases); i++) {
    uint64_t n = cases[i].bytes;
    pattern(out, n, i + 1);
    memset(in, 0xee, n + 2);
    MUST(cira_fabric_write(p->f, p->region, cases[i].offset, out, n));
    MUST(cira_fabric_read(p->f, p->region, cases[i].offset, in + 1, n));
    assert_memory_equal(in + 1, out, n);
    assert_int_equal(in[0], 0xee); /* nothing beside it */
    assert_int_equal(in[n + 1], 0xee);
  }
  free(out);
  free(in);
}

static void test_scatter(void **state) {
  place_t *p = *state;
  cira_fabric_seg_t seg[300];
  uint8_t src[300][64];
  uint8_t back[64];
  cira_fabric_op_t op = {0};
  pattern(src[0], sizeof(src), 5);
  for (unsigned i = 0; i < 300; i++) {
    seg[i] = (cira_fabric_seg_t){.offset = i * 20011ull, /* crosses units */
                                 .src = src[i],
                                 .bytes = 1 + i % 64};
  }
  MUST(p->f->ops->post_write(p->f, p->region, seg, 300, 0, &op));
  memset(src[299], 0, 64); /* sources are ours again at once */
  MUST(cira_fabric_wait(p->f, &op));
  pattern(src[0], sizeof(src), 5);
  for (unsigned i = 0; i < 300; i++) {
    MUST(cira_fabric_read(p->f, p->region, seg[i].offset, back, 64));
    assert_memory_equal(back, src[i], seg[i].bytes);
    for (uint64_t k = seg[i].bytes; k < 64; k++) {
      assert_int_equal(back[k], 0);
    }
  }
}

/* Reads and writes of one page, none waited for: each read sees the writes
 * posted before it and none posted after. */
static void test_order(void **state) {
  enum { ROUNDS = 40 };
  place_t *p = *state;
  static uint64_t got[ROUNDS][512];
  cira_fabric_op_t reads[ROUNDS] = {0};
  cira_fabric_op_t writes[ROUNDS] = {0};
  for (uint64_t i = 0; i < ROUNDS; i++) {
    uint64_t page[512];
    for (unsigned k = 0; k < 512; k++) {
      page[k] = i + 1;
    }
    cira_fabric_seg_t seg = {
        .offset = 65536 - 2048, .src = page, .bytes = 4096};
    MUST(p->f->ops->post_write(p->f, p->region, &seg, 1, 0, &writes[i]));
    MUST(p->f->ops->post_read(p->f, p->region, seg.offset, got[i], 4096, 0,
                              &reads[i]));
  }
  for (uint64_t i = 0; i < ROUNDS; i++) {
    MUST(cira_fabric_wait(p->f, &writes[i]));
    MUST(cira_fabric_wait(p->f, &reads[i]));
    for (unsigned k = 0; k < 512; k++) {
      assert_int_equal(got[i][k], i + 1);
    }
  }
}

static uint64_t atomic_op(cira_fabric_t *f, cira_region_t region,
                          cira_fabric_atomic_t kind, uint64_t offset,
                          uint64_t operand, uint64_t compare) {
  cira_fabric_op_t op = {0};
  MUST(f->ops->post_atomic(f, region, kind, offset, operand, compare, 0, &op));
  MUST(cira_fabric_wait(f, &op));
  return op.result;
}

static void test_atomics(void **state) {
  place_t *p = *state;
  uint64_t at = 70000 / 8 * 8;
  uint64_t value;
  cira_fabric_op_t op = {0};
  assert_int_equal(atomic_op(p->f, p->region, CIRA_FABRIC_ADD, at, 5, 0), 0);
  assert_int_equal(atomic_op(p->f, p->region, CIRA_FABRIC_ADD, at, 7, 0), 5);
  assert_int_equal(atomic_op(p->f, p->region, CIRA_FABRIC_SWAP, at, 9, 0), 12);
  assert_int_equal(atomic_op(p->f, p->region, CIRA_FABRIC_CAS, at, 1, 8), 9);
  assert_int_equal(atomic_op(p->f, p->region, CIRA_FABRIC_CAS, at, 1, 9), 9);
  MUST(cira_fabric_read(p->f, p->region, at, &value, 8));
  assert_int_equal(value, 1);
  assert_int_equal(
      p->f->ops->post_atomic(p->f, p->region, CIRA_FABRIC_ADD, 4, 1, 0, 0, &op),
      CIRA_E_INVALID);
}

typedef struct {
  cira_ticket_t ticket;
  cira_status_t status;
} adder_t;

static void *adder(void *argument) {
  adder_t *a = argument;
  cira_fabric_t *f;
  cira_region_t region;
  a->status = cira_fabric_connect(place_url, NULL, &f);
  if (a->status == CIRA_OK) {
    a->status = f->ops->region_attach(f, &a->ticket, &region, NULL);
    for (unsigned i = 0; i < 200 && a->status == CIRA_OK; i++) {
      cira_fabric_op_t op = {0};
      a->status =
          f->ops->post_atomic(f, region, CIRA_FABRIC_ADD, 4096, 1, 0, 0, &op);
      a->status = a->status == CIRA_OK ? cira_fabric_wait(f, &op) : a->status;
    }
    cira_fabric_close(f);
  }
  return NULL;
}

static void test_atomics_of_many(void **state) {
  place_t *p = *state;
  pthread_t thread[4];
  adder_t a[4] = {0};
  for (unsigned i = 0; i < 4; i++) {
    MUST(p->f->ops->region_ticket(p->f, p->region, &a[i].ticket));
    assert_int_equal(pthread_create(&thread[i], NULL, adder, &a[i]), 0);
  }
  for (unsigned i = 0; i < 4; i++) {
    (void)pthread_join(thread[i], NULL);
    assert_int_equal(a[i].status, CIRA_OK);
  }
  assert_int_equal(atomic_op(p->f, p->region, CIRA_FABRIC_ADD, 4096, 0, 0),
                   800);
}

static void test_discard(void **state) {
  place_t *p = *state;
  enum { N = 400000 };
  uint8_t *buf = malloc(N);
  cira_fabric_op_t op = {0};
  memset(buf, 7, N);
  MUST(cira_fabric_write(p->f, p->region, 1000, buf, N));
  MUST(p->f->ops->post_discard(p->f, p->region, 1500, 300000, 0, &op));
  MUST(cira_fabric_wait(p->f, &op));
  MUST(cira_fabric_read(p->f, p->region, 1000, buf, N));
  for (unsigned i = 0; i < N; i++) {
    assert_int_equal(buf[i], i >= 500 && i < 300500 ? 0 : 7);
  }
  free(buf);
}

/* A wrong read is refused when posted, or, where a hook holds it back, when it
 * completes. */
#define OUTCOME(post)                                                          \
  ((post) == CIRA_OK ? cira_fabric_wait(p->f, &op) : op.status)

static void test_limits(void **state) {
  place_t *p = *state;
  const cira_fabric_ops_t *o = p->f->ops;
  uint8_t *buf = calloc(1, 2u << 20);
  cira_fabric_op_t op = {0};
  cira_fabric_seg_t seg = {.offset = REGION_BYTES - 3, .src = buf, .bytes = 4};
  cira_fabric_seg_t big = {.offset = 0, .src = buf, .bytes = (1u << 20) + 1};
  assert_int_equal(
      OUTCOME(o->post_read(p->f, p->region, REGION_BYTES - 7, buf, 8, 0, &op)),
      CIRA_E_RANGE);
  assert_int_equal(
      OUTCOME(o->post_read(p->f, p->region, UINT64_MAX, buf, 8, 0, &op)),
      CIRA_E_RANGE);
  assert_int_equal(
      OUTCOME(o->post_read(p->f, p->region, 0, buf, (1u << 20) + 1, 0, &op)),
      CIRA_E_RANGE);
  assert_int_equal(o->post_write(p->f, p->region, &seg, 1, 0, &op),
                   CIRA_E_RANGE);
  assert_int_equal(o->post_write(p->f, p->region, &big, 1, 0, &op),
                   CIRA_E_RANGE);
  assert_int_equal(o->post_atomic(p->f, p->region, CIRA_FABRIC_ADD,
                                  REGION_BYTES, 1, 0, 0, &op),
                   CIRA_E_RANGE);
  assert_int_equal(o->post_discard(p->f, p->region, 1, REGION_BYTES, 0, &op),
                   CIRA_E_RANGE);
  assert_int_equal(OUTCOME(o->post_read(p->f, 0, 0, buf, 8, 0, &op)),
                   CIRA_E_INVALID);
  assert_int_equal(OUTCOME(o->post_read(p->f, 63, 0, buf, 8, 0, &op)),
                   CIRA_E_INVALID);
  assert_true(strlen(cira_status_detail()) > 0);
  MUST(o->post_read(p->f, p->region, REGION_BYTES, buf, 0, 0, &op));
  MUST(cira_fabric_wait(p->f, &op));
  MUST(o->post_write(p->f, p->region, NULL, 0, 0, &op));
  MUST(cira_fabric_wait(p->f, &op));
  free(buf);
}

/* More posts than fit: CIRA_AGAIN, and after a poll it goes on. */
static void test_backpressure(void **state) {
  (void)state;
  enum { OPS = 200 };
  static uint8_t buf[OPS][4096];
  cira_fabric_options_t opt = {.size = sizeof(opt), .inflight_max = 8};
  cira_fabric_op_t op[OPS] = {0};
  cira_fabric_t *f;
  cira_region_t region;
  unsigned again = 0;
  MUST(cira_fabric_connect(place_url, &opt, &f));
  MUST(f->ops->region_open(f, REGION_BYTES, &region));
  for (unsigned i = 0; i < OPS; i++) {
    cira_status_t s;
    while ((s = f->ops->post_read(f, region, i * 4096ull, buf[i], 4096, 0,
                                  &op[i])) == CIRA_AGAIN) {
      again++;
      assert_true(f->ops->poll(f) >= 0);
    }
    MUST(s);
  }
  for (unsigned i = 0; i < OPS; i++) {
    MUST(cira_fabric_wait(f, &op[i]));
  }
  (void)again;
  cira_fabric_close(f);
}

static uint32_t refs_of(cira_fabric_t *f, cira_region_t region) {
  uint32_t refs = 0;
  MUST(f->ops->region_refs(f, region, &refs));
  return refs;
}

static void test_life_of_region(void **state) {
  place_t *p = *state;
  cira_fabric_t *g;
  cira_region_t other;
  cira_ticket_t ticket;
  uint64_t bytes = 0;
  char text[4] = "abc";
  MUST(cira_fabric_connect(place_url, NULL, &g));
  MUST(p->f->ops->region_ticket(p->f, p->region, &ticket));
  assert_int_equal(refs_of(p->f, p->region), 1);
  MUST(g->ops->region_attach(g, &ticket, &other, &bytes));
  assert_int_equal(bytes, REGION_BYTES);
  assert_int_equal(refs_of(p->f, p->region), 2);
  MUST(cira_fabric_write(p->f, p->region, 99, text, 4));
  p->f->ops->region_close(p->f, p->region);
  assert_int_equal(refs_of(g, other), 1);
  memset(text, 0, 4);
  MUST(cira_fabric_read(g, other, 99, text, 4));
  assert_string_equal(text, "abc");
  /* A hold keeps it, and lapses with the connection that took it. */
  MUST(g->ops->region_hold(g, other, 1));
  assert_int_equal(refs_of(g, other), 2);
  g->ops->region_close(g, other);
  MUST(p->f->ops->region_attach(p->f, &ticket, &p->region, NULL));
  MUST(cira_fabric_read(p->f, p->region, 99, text, 4));
  assert_string_equal(text, "abc");
  p->f->ops->region_close(p->f, p->region);
  cira_fabric_close(g);
  /* The server may take a moment to see that g is gone. */
  cira_status_t s = CIRA_OK;
  for (unsigned i = 0; i < 1000 && s == CIRA_OK; i++) {
    s = p->f->ops->region_attach(p->f, &ticket, &other, NULL);
    if (s == CIRA_OK) {
      p->f->ops->region_close(p->f, other);
      (void)usleep(1000);
    }
  }
  assert_int_equal(s, CIRA_E_INVALID);
  ticket.bytes[3] ^= 1;
  assert_int_equal(p->f->ops->region_attach(p->f, &ticket, &other, NULL),
                   CIRA_E_INVALID);
}

static void test_regions_are_apart(void **state) {
  place_t *p = *state;
  cira_region_t many[100];
  unsigned n = 0;
  cira_status_t s;
  uint64_t value;
  while ((s = p->f->ops->region_open(p->f, 200000, &many[n])) == CIRA_OK) {
    value = n;
    MUST(cira_fabric_write(p->f, many[n], 99992, &value, 8));
    assert_true(++n < 100);
  }
  assert_int_equal(s, CIRA_E_NOMEM);
  for (unsigned i = 0; i < n; i++) {
    MUST(cira_fabric_read(p->f, many[i], 99992, &value, 8));
    assert_int_equal(value, i);
    p->f->ops->region_close(p->f, many[i]);
  }
  MUST(p->f->ops->region_open(p->f, 200000, &many[0]));
  MUST(cira_fabric_read(p->f, many[0], 99992, &value, 8));
  assert_int_equal(value, 0);
  assert_int_equal(p->f->ops->region_open(p->f, 0, &many[0]), CIRA_E_INVALID);
}

static void test_commit(void **state) {
  place_t *p = *state;
  const cira_fabric_ops_t *o = p->f->ops;
  MUST(o->region_commit(p->f, p->region, 1000001));
  MUST(o->region_commit(p->f, p->region, -1000000));
  MUST(o->region_commit(p->f, p->region, -1));
  assert_int_equal(o->region_commit(p->f, p->region, -1), CIRA_E_INVALID);
  if (uses_server) { /* 64 MiB each */
    MUST(o->region_commit(p->f, p->region, 60 << 20));
    assert_int_equal(o->region_commit(p->f, p->region, 100 << 20),
                     CIRA_E_QUOTA);
    assert_non_null(strstr(cira_status_detail(), "--size"));
    MUST(o->region_commit(p->f, p->region, -(60 << 20)));
  }
}

static void test_map(void **state) {
  place_t *p = *state;
  uint8_t *at = NULL;
  cira_status_t s = p->f->ops->region_map(p->f, p->region, &at);
  if (!(p->f->flags & CIRA_FABRIC_F_DIRECT)) {
    assert_int_equal(s, CIRA_E_UNSUPPORTED);
    return;
  }
  MUST(s);
  MUST(cira_fabric_write(p->f, p->region, 4242, "direct", 7));
  assert_string_equal((char *)at + 4242, "direct");
}

static int child_of_fork(const cira_ticket_t *ticket) {
  cira_fabric_t *f;
  cira_region_t region;
  char text[8] = "";
  uint32_t refs = 0;
  if (cira_fabric_connect(place_url, NULL, &f) != CIRA_OK) {
    return 1;
  }
  if (f->ops->region_attach(f, ticket, &region, NULL) != CIRA_OK) {
    return 2;
  }
  if (cira_fabric_read(f, region, 12, text, 7) != CIRA_OK ||
      strcmp(text, "parent") != 0) {
    return 3;
  }
  if (f->ops->region_refs(f, region, &refs) != CIRA_OK || refs != 2) {
    return 4;
  }
  if (cira_fabric_write(f, region, 12, "child.", 7) != CIRA_OK) {
    return 5;
  }
  cira_fabric_close(f);
  return 0;
}

static void test_fork(void **state) {
  place_t *p = *state;
  cira_ticket_t ticket;
  char text[8] = "";
  int code = -1;
  MUST(p->f->ops->region_ticket(p->f, p->region, &ticket));
  MUST(cira_fabric_write(p->f, p->region, 12, "parent", 7));
  pid_t pid = fork();
  if (pid == 0) {
    _exit(child_of_fork(&ticket));
  }
  assert_int_equal(waitpid(pid, &code, 0), pid);
  assert_int_equal(code, 0);
  MUST(cira_fabric_read(p->f, p->region, 12, text, 7));
  assert_string_equal(text, "child.");
  for (unsigned i = 0; i < 1000 && refs_of(p->f, p->region) != 1; i++) {
    (void)usleep(1000);
  }
  assert_int_equal(refs_of(p->f, p->region), 1);
}

/* "fault(S,T)" with the URLs of the servers put in. */
static void place_expand(const char *pattern_text) {
  size_t n = 0;
  for (const char *c = pattern_text; *c && n < sizeof(place_url) - 130; c++) {
    const char *url = *c == 'S'   ? memd[0].shm_url
                      : *c == 'X' ? memd[0].unix_url
                      : *c == 'T' ? memd[0].tcp_url
                      : *c == 'U' ? memd[1].tcp_url
                                  : NULL;
    if (url) {
      n += (size_t)snprintf(place_url + n, sizeof(place_url) - n, "%s", url);
    } else {
      place_url[n++] = *c == '!' ? ';' : *c; /* CMake splits at ; */
    }
  }
  uses_server = strpbrk(pattern_text, "SXTU") && !strstr(pattern_text, "host:");
}

static int servers_up(void **state) {
  const char *pattern_text = *state;
  memd_start(&memd[0], "64m", NULL);
  memd_start(&memd[1], "64m", NULL);
  place_expand(pattern_text);
  return 0;
}

static int servers_down(void **state) {
  (void)state;
  assert_int_equal(memd_figure(&memd[0], "clients_garbage"), 0);
  memd_stop(&memd[0]);
  memd_stop(&memd[1]);
  return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static char *argument;
static int group_setup(void **state) {
  *state = argument;
  return servers_up(state);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      TEST(test_zero_at_birth),
      TEST(test_round_trip),
      TEST(test_scatter),
      TEST(test_order),
      TEST(test_atomics),
      TEST(test_atomics_of_many),
      TEST(test_discard),
      TEST(test_limits),
      TEST(test_backpressure),
      TEST(test_life_of_region),
      TEST(test_regions_are_apart),
      TEST(test_commit),
      TEST(test_map),
      TEST(test_fork),
      TEST(test_model),
  };
  if (argc != 2) {
    fprintf(stderr, "usage: %s PLACE (host:, S, T, X, T,U, trace(T), ...)\n",
            argv[0]);
    return 2;
  }
  argument = argv[1];
  if (strstr(argv[1], "trace(")) { /* a line per op is for people */
    (void)!freopen("/dev/null", "w", stderr);
  }
  return cmocka_run_group_tests_name(argv[1], tests, group_setup, servers_down)
             ? 1
             : 0;
}
