/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of tiers on any machine: allocation, bad input, moves between the
 * backings that are always there (small pages, huge pages, a memory file),
 * where bytes are, placement, and what a machine with one node says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tier/tier_internal.h"

#define MIB (UINT64_C(1) << 20)
#define DETAIL(text) assert_non_null(strstr(cira_status_detail(), text))

static uint32_t tier(const char *name) {
  uint32_t id = UINT32_MAX;
  assert_int_equal(cira_tier_find(name, &id), CIRA_OK);
  return id;
}

static void *block(uint64_t bytes, const char *place, uint32_t flags) {
  cira_tier_options_t o;
  void *p = NULL;
  cira_tier_options_default(&o);
  o.place = place;
  o.flags = flags;
  assert_int_equal(cira_tier_alloc(bytes, &o, &p), CIRA_OK);
  assert_non_null(p);
  return p;
}

static void fill(uint64_t *p, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) {
    p[i] = i * UINT64_C(0x9e3779b97f4a7c15);
  }
}

static void check(const uint64_t *p, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) {
    if (p[i] != i * UINT64_C(0x9e3779b97f4a7c15)) {
      fail_msg("word %llu is wrong", (unsigned long long)i);
    }
  }
}

static void test_list(void **state) {
  (void)state;
  cira_tier_info_t t[CIRA_TIER_MAX];
  uint32_t n = 0, again = 0;
  assert_int_equal(cira_tier_list(NULL, 0, &n), CIRA_OK);
  assert_true(n >= 3 && n <= CIRA_TIER_MAX);
  assert_int_equal(cira_tier_list(t, CIRA_TIER_MAX, &again), CIRA_OK);
  assert_int_equal(n, again);
  assert_string_equal(t[0].name, "local");
  assert_true(t[0].usable && t[0].bytes > 0);
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(t[i].id, i);
    assert_int_equal(tier(t[i].name), i);
    assert_true(t[i].usable || t[i].note[0] != '\0');
  }
  assert_int_equal(cira_tier_list(t, 1, &again), CIRA_OK);
  assert_int_equal(n, again);
  assert_int_equal(cira_tier_refresh(), CIRA_OK);
  assert_false(t[tier("far")].usable);
}

static void test_bad_input(void **state) {
  (void)state;
  uint32_t id = 7;
  void *p = &id;
  cira_tier_options_t o;
  cira_tier_block_t q;
  assert_int_equal(cira_tier_list(NULL, 0, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_tier_list(NULL, 3, &id), CIRA_E_INVALID);
  assert_int_equal(cira_tier_find(NULL, &id), CIRA_E_INVALID);
  assert_int_equal(cira_tier_find("local", NULL), CIRA_E_INVALID);
  assert_int_equal(cira_tier_find("", &id), CIRA_E_INVALID);
  assert_int_equal(cira_tier_find("node:", &id), CIRA_E_INVALID);
  assert_int_equal(cira_tier_find("node:999", &id), CIRA_E_UNSUPPORTED);
  DETAIL("node:999");
  assert_int_equal(cira_tier_find("dax:/dev/dax9.9", &id), CIRA_E_UNSUPPORTED);
  assert_int_equal(id, 7);

  assert_int_equal(cira_tier_alloc(1, NULL, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_tier_alloc(0, NULL, &p), CIRA_E_INVALID);
  assert_int_equal(cira_tier_alloc(UINT64_MAX, NULL, &p), CIRA_E_RANGE);
  assert_int_equal(cira_tier_alloc((UINT64_C(1) << 40) + 1, NULL, &p),
                   CIRA_E_RANGE);
  void *half = NULL; /* addresses run out */
  assert_int_equal(cira_tier_alloc(UINT64_C(600) << 30, NULL, &half), CIRA_OK);
  assert_int_equal(cira_tier_alloc(UINT64_C(600) << 30, NULL, &p),
                   CIRA_E_NOMEM);
  assert_int_equal(cira_tier_free(half), CIRA_OK);
  static const uint64_t ALIGN[] = {3, 4097, UINT64_C(1) << 31, UINT64_MAX};
  for (size_t i = 0; i < CIRA_COUNT(ALIGN); i++) {
    cira_tier_options_default(&o);
    o.align_bytes = ALIGN[i];
    assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_INVALID);
    DETAIL("power of two");
  }
  cira_tier_options_default(&o);
  o.flags = 0x100;
  assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_INVALID);
  o.flags = CIRA_TIER_F_HUGE | CIRA_TIER_F_SMALL;
  assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_INVALID);
  o.flags = CIRA_TIER_F_FAR;
  assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_UNSUPPORTED);
  DETAIL("far");
  o.flags = 0;
  o.place = "far";
  assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_UNSUPPORTED);
  o.place = "nowhere";
  assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_INVALID);
  DETAIL("nowhere");
  o.place = "node:77";
  assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_UNSUPPORTED);
  assert_ptr_equal(p, &id);

  assert_int_equal(cira_tier_free(NULL), CIRA_OK);
  assert_int_equal(cira_tier_free(&id), CIRA_E_INVALID);
  assert_int_equal(cira_tier_query(NULL, &q), CIRA_E_INVALID);
  assert_int_equal(cira_tier_query(&id, &q), CIRA_E_INVALID);
  assert_int_equal(cira_tier_set(NULL, 0, 0, 0), CIRA_E_INVALID);
  assert_int_equal(cira_tier_set(&id, 0, 0, 0), CIRA_E_INVALID);
  assert_int_equal(cira_tier_map(0, 0, CIRA_TIER_CHUNK_BYTES, NULL),
                   CIRA_E_INVALID);
  assert_int_equal(cira_tier_map(0, 0, 0, &p), CIRA_E_INVALID);
  assert_int_equal(cira_tier_map(0, 4096, CIRA_TIER_CHUNK_BYTES, &p),
                   CIRA_E_INVALID);
  assert_int_equal(cira_tier_map(0, 0, CIRA_TIER_CHUNK_BYTES, &p),
                   CIRA_E_UNSUPPORTED);
  assert_int_equal(cira_tier_map(99, 0, CIRA_TIER_CHUNK_BYTES, &p),
                   CIRA_E_INVALID);
  cira_tier_options_default(NULL);
  cira_tier_balance_options_default(NULL);
}

static void test_bad_block(void **state) {
  (void)state;
  uint8_t *p = block(3 * MIB, NULL, 0);
  cira_tier_block_t q;
  assert_int_equal(cira_tier_query(p, NULL), CIRA_E_INVALID);
  assert_int_equal(cira_tier_free(p + 1), CIRA_E_INVALID);
  assert_int_equal(cira_tier_free(p + 2 * MIB), CIRA_E_INVALID);
  assert_int_equal(cira_tier_set(p, 0, CIRA_TIER_MAX + 1, 0), CIRA_E_INVALID);
  assert_int_equal(cira_tier_set(p, UINT64_MAX, 0, 0), CIRA_E_RANGE);
  assert_int_equal(cira_tier_set(p + MIB, 4 * MIB, 0, 0), CIRA_E_RANGE);
  assert_int_equal(cira_tier_set(p, 0, 0, 0x40), CIRA_E_INVALID);
  assert_int_equal(cira_tier_set(p, 0, 0, CIRA_TIER_F_HUGE | CIRA_TIER_F_SMALL),
                   CIRA_E_INVALID);
  assert_int_equal(cira_tier_set(p, 0, tier("far"), 0), CIRA_E_UNSUPPORTED);
  assert_int_equal(cira_tier_set(p, 0, tier("memfd"), CIRA_TIER_F_HUGE),
                   CIRA_E_UNSUPPORTED);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  assert_int_equal(cira_tier_free(p), CIRA_E_INVALID);
  assert_int_equal(cira_tier_query(p, &q), CIRA_E_INVALID);
  assert_int_equal(cira_tier_set(p, 0, 0, 0), CIRA_E_INVALID);
}

static void test_alloc(void **state) {
  (void)state;
  static const uint64_t SIZE[] = {1, 4096, 4097, 2 * MIB, 2 * MIB + 1, 9 * MIB};
  for (size_t i = 0; i < CIRA_COUNT(SIZE); i++) {
    for (uint64_t align = 1; align <= UINT64_C(1) << 30; align <<= 10) {
      cira_tier_options_t o;
      uint8_t *p;
      cira_tier_options_default(&o);
      o.align_bytes = align;
      assert_int_equal(cira_tier_alloc(SIZE[i], &o, (void **)&p), CIRA_OK);
      assert_int_equal((uintptr_t)p % align, 0);
      assert_int_equal(p[0] | p[SIZE[i] - 1], 0);
      p[0] = p[SIZE[i] - 1] = 1;
      assert_int_equal(cira_tier_free(p), CIRA_OK);
    }
  }
  /* Freed memory comes back zeroed, and blocks do not overlap. */
  uint8_t *p[64];
  for (int i = 0; i < 64; i++) {
    p[i] = block(5 * MIB, NULL, 0);
    assert_int_equal(p[i][MIB], 0);
    memset(p[i], i + 1, MIB + 1);
  }
  for (int i = 0; i < 64; i++) {
    assert_int_equal(p[i][0], i + 1);
    assert_int_equal(p[i][MIB], i + 1);
    assert_int_equal(cira_tier_free(p[i]), CIRA_OK);
  }
}

static uint64_t bytes_in(const void *p, const char *name) {
  cira_tier_block_t q;
  assert_int_equal(cira_tier_query(p, &q), CIRA_OK);
  return q.tier_bytes[tier(name)];
}

/* Bytes in local memory or on nodes. */
static uint64_t bytes_near(const void *p) {
  cira_tier_block_t q;
  cira_tier_info_t t[CIRA_TIER_MAX];
  uint32_t n;
  uint64_t sum = 0;
  assert_int_equal(cira_tier_query(p, &q), CIRA_OK);
  assert_int_equal(cira_tier_list(t, CIRA_TIER_MAX, &n), CIRA_OK);
  for (uint32_t i = 0; i < n; i++) {
    sum += t[i].kind <= CIRA_TIER_NODE ? q.tier_bytes[i] : 0;
  }
  return sum;
}

/* Of the mappings that [p, p + bytes) reaches into. */
static uint64_t huge_bytes(const void *p, uint64_t bytes) {
  uintptr_t lo, hi, first = (uintptr_t)p;
  uint64_t kib, sum = 0;
  bool inside = false;
  char line[512];
  FILE *f = fopen("/proc/self/smaps", "re");
  assert_non_null(f);
  while (fgets(line, sizeof line, f)) {
    if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2) {
      inside = lo < first + bytes && hi > first;
    } else if (inside && sscanf(line, "AnonHugePages: %lu", &kib) == 1) {
      sum += kib << 10;
    }
  }
  fclose(f);
  return sum;
}

/* Large blocks of memory that is no file lie in huge pages unless they are not
 * to; nodes of CXL memory are such memory. */
static void test_huge_pages(void **state) {
  (void)state;
  char mode[64] = "";
  FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
  if (!f || !fgets(mode, sizeof mode, f) || strstr(mode, "[never]")) {
    print_message("skipped: this machine gives no huge pages\n");
    skip();
  }
  fclose(f);
  cira_tier_info_t t[CIRA_TIER_MAX];
  uint32_t count;
  const uint64_t bytes = 16 * MIB;
  assert_int_equal(cira_tier_list(t, CIRA_TIER_MAX, &count), CIRA_OK);
  for (uint32_t i = 0; i < count; i++) {
    if (t[i].kind > CIRA_TIER_NODE) {
      continue;
    }
    for (int small = 0; small < 2; small++) {
      void *p = block(bytes, t[i].name, small ? CIRA_TIER_F_SMALL : 0);
      memset(p, 1, bytes);
      assert_int_equal(huge_bytes(p, bytes) > 0, !small);
      assert_int_equal(cira_tier_free(p), CIRA_OK);
    }
  }
}

static void test_moves(void **state) {
  (void)state;
  static const struct {
    const char *tier;
    uint32_t flags;
  } MOVE[] = {{"memfd", 0}, {"local", 0}, {"local", CIRA_TIER_F_HUGE},
              {"memfd", 0}, {"memfd", 0}, {"local", CIRA_TIER_F_SMALL},
              {"local", 0}};
  const uint64_t bytes = 7 * MIB, words = bytes / 8;
  for (int by_signal = 0; by_signal < 2; by_signal++) {
    cira__guard_by_signal(by_signal);
    for (int begin = 0; begin < 2; begin++) {
      uint64_t *p = block(bytes, begin ? "memfd" : "local", 0);
      fill(p, words);
      for (size_t i = 0; i < CIRA_COUNT(MOVE); i++) {
        uint32_t to = tier(MOVE[i].tier);
        cira_tier_block_t q;
        assert_int_equal(cira_tier_set(p + 1, 0, to, MOVE[i].flags), CIRA_OK);
        check(p, words);
        assert_int_equal(cira_tier_query(p + words - 1, &q), CIRA_OK);
        assert_ptr_equal(q.base, p);
        assert_int_equal(q.bytes, bytes);
        assert_int_equal(q.tier, to);
        assert_int_equal(q.moving, 0);
        /* the tail of the last chunk may have memory as well */
        assert_true(q.touched_bytes >= bytes && q.touched_bytes <= 8 * MIB);
        uint64_t there = to == 0 ? bytes_near(p) : bytes_in(p, MOVE[i].tier);
        assert_int_equal(there, q.touched_bytes);
        p[i] = i * UINT64_C(0x9e3779b97f4a7c15); /* still writable */
      }
      assert_int_equal(cira_tier_free(p), CIRA_OK);
    }
  }
  cira__guard_by_signal(false);
}

static void test_parts(void **state) {
  (void)state;
  const uint64_t bytes = 16 * MIB;
  uint32_t file = tier("memfd");
  uint64_t *p = block(bytes, "local", CIRA_TIER_F_SMALL);
  uint8_t *at = (uint8_t *)p;
  fill(p, bytes / 8);
  assert_int_equal(cira_tier_set(at + 5 * MIB, 1, file, 0), CIRA_OK);
  assert_int_equal(bytes_in(p, "memfd"), 2 * MIB);
  assert_int_equal(cira_tier_set(at + 8 * MIB - 1, 2, file, 0), CIRA_OK);
  assert_int_equal(bytes_in(p, "memfd"), 6 * MIB);
  assert_int_equal(cira_tier_set(at + 6 * MIB, 2 * MIB, 0, 0), CIRA_OK);
  assert_int_equal(bytes_in(p, "memfd"), 4 * MIB);
  check(p, bytes / 8);
  assert_int_equal(cira_tier_set(p, bytes, file, 0), CIRA_OK);
  assert_int_equal(bytes_in(p, "memfd"), bytes);
  check(p, bytes / 8);
  assert_int_equal(cira_tier_set(p, bytes, 0, 0), CIRA_OK);
  assert_int_equal(bytes_in(p, "memfd"), 0);
  check(p, bytes / 8);
  /* Accounts: what is used of a tier. */
  cira_tier_info_t t[CIRA_TIER_MAX];
  uint32_t n;
  assert_int_equal(cira_tier_list(t, CIRA_TIER_MAX, &n), CIRA_OK);
  assert_int_equal(t[0].used_bytes, bytes);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  assert_int_equal(cira_tier_list(t, CIRA_TIER_MAX, &n), CIRA_OK);
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(t[i].used_bytes, 0);
  }
}

/* What was never touched has no memory anywhere, also after moves. */
static void test_sparse(void **state) {
  (void)state;
  uint8_t *p = block(64 * MIB, "local", CIRA_TIER_F_SMALL);
  cira_tier_block_t q;
  p[3 * MIB] = 1;
  p[40 * MIB] = 2;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(cira_tier_set(p, 0, tier("memfd"), 0), CIRA_OK);
    assert_int_equal(cira_tier_query(p, &q), CIRA_OK);
    assert_int_equal(q.touched_bytes, i == 0 ? 8192 : q.touched_bytes);
    assert_int_equal(cira_tier_set(p, 0, 0, CIRA_TIER_F_SMALL), CIRA_OK);
    assert_int_equal(p[3 * MIB], 1);
    assert_int_equal(p[40 * MIB], 2);
    assert_int_equal(p[20 * MIB], 0);
  }
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

/* Pages in swap (where the machine has a swap area) move like others. */
static void test_swapped(void **state) {
  (void)state;
  uint64_t words = 4 * MIB / 8, *p = block(4 * MIB, "local", CIRA_TIER_F_SMALL);
  fill(p, words);
  for (int round = 0; round < 2; round++) {
    (void)madvise(p, 4 * MIB, MADV_PAGEOUT); /* Linux 5.4 */
    assert_int_equal(cira_tier_set(p, 0, round == 0 ? tier("memfd") : 0, 0),
                     CIRA_OK);
    check(p, words);
  }
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

static void test_place(void **state) {
  (void)state;
  static const char *const GOOD[] = {"first-touch", "local", "interleave",
                                     "hot-local", "memfd"};
  for (size_t i = 0; i < CIRA_COUNT(GOOD); i++) {
    setenv("CIRA_PLACE", GOOD[i], 1);
    uint8_t *p = NULL;
    assert_int_equal(cira_tier_alloc(3 * MIB, NULL, (void **)&p), CIRA_OK);
    memset(p, 1, 3 * MIB);
    assert_true(bytes_near(p) + bytes_in(p, "memfd") >= 3 * MIB);
    assert_int_equal(bytes_in(p, "memfd") > 0, i == 4);
    assert_int_equal(cira_tier_free(p), CIRA_OK);
  }
  static const char *const BAD[] = {"", "first_touch", "Local", "node:x",
                                    "hot"};
  for (size_t i = 0; i < CIRA_COUNT(BAD); i++) {
    void *p = NULL;
    setenv("CIRA_PLACE", BAD[i], 1);
    assert_int_equal(cira_tier_alloc(1, NULL, &p), CIRA_E_INVALID);
    DETAIL("CIRA_PLACE=");
    DETAIL("first-touch");
    assert_null(p);
  }
  void *p = NULL;
  setenv("CIRA_PLACE", "node:99", 1);
  assert_int_equal(cira_tier_alloc(1, NULL, &p), CIRA_E_UNSUPPORTED);
  DETAIL("CIRA_PLACE=node:99");
  unsetenv("CIRA_PLACE");
}

static void test_balance(void **state) {
  (void)state;
  cira_tier_balanced_t r;
  cira_tier_balance_options_t o;
  assert_int_equal(cira_tier_balance(NULL, NULL), CIRA_OK);
  assert_int_equal(cira_tier_balance(NULL, &r), CIRA_OK);
  assert_int_equal(r.blocks, 0);
  assert_non_null(strstr(r.note, "hot-local"));
  uint8_t *stay = block(4 * MIB, "hot-local", CIRA_TIER_F_STAY);
  uint8_t *p = block(64 * MIB, "hot-local", CIRA_TIER_F_SMALL);
  memset(p, 1, 64 * MIB);
  memset(stay, 1, 4 * MIB);
  assert_int_equal(cira_tier_balance(NULL, &r), CIRA_OK);
  assert_int_equal(r.blocks, 1);
  assert_int_equal(r.bytes, 64 * MIB);
  assert_int_equal(cira_tier_balance(NULL, &r), CIRA_OK);
  for (uint64_t i = 0; i < 8 * MIB; i += 4096) {
    p[i]++;
  }
  assert_int_equal(cira_tier_balance(NULL, &r), CIRA_OK);
  assert_true(r.used_bytes >= 8 * MIB && r.used_bytes <= 16 * MIB);
  cira_tier_balance_options_default(&o);
  o.local_bytes = 16 * MIB;
  assert_int_equal(cira_tier_balance(&o, &r), CIRA_OK);
  if (r.note[0] != '\0') { /* one kind of memory */
    assert_non_null(strstr(r.note, "no node without processors"));
    assert_int_equal(r.promoted_bytes + r.demoted_bytes, 0);
  }
  assert_int_equal(cira_tier_balance_start(NULL, 0), CIRA_E_INVALID);
  assert_int_equal(cira_tier_balance_start(&o, 10000000), CIRA_OK);
  assert_int_equal(cira_tier_balance_start(NULL, 10000000), CIRA_E_BUSY);
  cira_tier_balance_stop();
  cira_tier_balance_stop();
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  assert_int_equal(cira_tier_free(stay), CIRA_OK);
}

/* After a fork memory of nodes is copied on write and that of files is shared;
 * either side can go on moving. */
static void test_fork(void **state) {
  (void)state;
  uint64_t words = 6 * MIB / 8;
  uint64_t *near = block(6 * MIB, "local", 0);
  uint64_t *file = block(6 * MIB, "memfd", 0);
  fill(near, words);
  fill(file, words);
  pid_t pid = fork();
  if (pid == 0) {
    bool ok = near[5] == 5 * UINT64_C(0x9e3779b97f4a7c15);
    near[0] = 1;
    ok = ok && cira_tier_set(near, 0, tier("memfd"), 0) == CIRA_OK &&
         cira_tier_set(file, 0, 0, 0) == CIRA_OK;
    file[0] = 1; /* not shared any more */
    ok = ok && cira_tier_set(file, 0, tier("memfd"), 0) == CIRA_OK &&
         near[1] == UINT64_C(0x9e3779b97f4a7c15) &&
         file[words - 1] == (words - 1) * UINT64_C(0x9e3779b97f4a7c15);
    ok = ok && cira_tier_balance_start(NULL, 1000000000) == CIRA_OK;
    cira_tier_balance_stop();
    ok = ok && cira_tier_free(near) == CIRA_OK &&
         cira_tier_free(file) == CIRA_OK;
    _exit(ok ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  check(near, words);
  check(file, words);
  assert_int_equal(cira_tier_set(file, 2 * MIB, 0, 0), CIRA_OK);
  assert_int_equal(cira_tier_set(file, 0, tier("memfd"), 0), CIRA_OK);
  check(file, words);
  assert_int_equal(cira_tier_free(near), CIRA_OK);
  assert_int_equal(cira_tier_free(file), CIRA_OK);
}

int main(void) {
  unsetenv("CIRA_PLACE");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_list),       cmocka_unit_test(test_bad_input),
      cmocka_unit_test(test_bad_block),  cmocka_unit_test(test_alloc),
      cmocka_unit_test(test_moves),      cmocka_unit_test(test_parts),
      cmocka_unit_test(test_sparse),     cmocka_unit_test(test_place),
      cmocka_unit_test(test_balance),    cmocka_unit_test(test_fork),
      cmocka_unit_test(test_huge_pages), cmocka_unit_test(test_swapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
