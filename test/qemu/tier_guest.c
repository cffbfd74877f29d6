/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiers on the hardware that a virtual machine has: a NUMA node without
 * processors, a CXL expander as a DAX device, and the same as a node. run.py
 * starts it in the guest, once for each state of the expander:
 *   tier-guest bare | device | node
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cira/tier.h"

#define MIB (UINT64_C(1) << 20)
#define BYTES (4 * MIB)
#define WORDS (BYTES / 8)
#define STEP 509u

static cira_tier_info_t tiers[CIRA_TIER_MAX];
static uint32_t tier_count;

static void tiers_read(void) {
  assert_int_equal(cira_tier_list(tiers, CIRA_TIER_MAX, &tier_count), CIRA_OK);
  for (uint32_t i = 0; i < tier_count; i++) {
    printf("  %-16s usable %d memory-only %d cxl %d node %d %llu MiB %u ns %u "
           "MB/s distance %u: %s\n",
           tiers[i].name, tiers[i].usable, tiers[i].memory_only, tiers[i].cxl,
           tiers[i].node, (unsigned long long)tiers[i].bytes >> 20,
           tiers[i].read_latency_ns, tiers[i].read_mb_per_s, tiers[i].distance,
           tiers[i].note);
  }
}

static const cira_tier_info_t *tier(const char *name) {
  for (uint32_t i = 0; i < tier_count; i++) {
    if (strcmp(tiers[i].name, name) == 0) {
      return &tiers[i];
    }
  }
  fail_msg("there is no %s", name);
  return NULL;
}

/* The expander's node: it has no processors and is known to be CXL. */
static const cira_tier_info_t *expander(void) {
  for (uint32_t i = 0; i < tier_count; i++) {
    if (tiers[i].kind == CIRA_TIER_NODE && tiers[i].cxl) {
      return &tiers[i];
    }
  }
  fail_msg("no node is known to be behind CXL");
  return NULL;
}

static void *block(uint64_t bytes, const char *place, uint32_t flags) {
  cira_tier_options_t o;
  void *p = NULL;
  cira_tier_options_default(&o);
  o.place = place;
  o.flags = flags;
  cira_status_t status = cira_tier_alloc(bytes, &o, &p);
  if (status != CIRA_OK) {
    fail_msg("%s: %s", place, cira_status_detail());
  }
  return p;
}

static uint64_t bytes_in(const void *p, uint32_t id) {
  cira_tier_block_t q;
  assert_int_equal(cira_tier_query(p, &q), CIRA_OK);
  return q.tier_bytes[id];
}

static void set(void *p, uint64_t bytes, uint32_t id) {
  cira_status_t status = cira_tier_set(p, bytes, id, 0);
  if (status != CIRA_OK) {
    fail_msg("to %s: %s", tiers[id].name, cira_status_detail());
  }
}

/* ---- moving under threads ----------------------------------------------- */

static _Atomic uint64_t *words;
static _Atomic bool stop;
static _Atomic uint64_t wrong, added, looks;

static void *read_all(void *unused) {
  (void)unused;
  do {
    for (uint64_t i = 0; i < WORDS; i += STEP) {
      wrong += atomic_load_explicit(&words[i], memory_order_relaxed) >> 32 != i;
    }
    looks++;
  } while (!stop);
  return NULL;
}

static void *write_all(void *unused) {
  uint64_t n = 0;
  (void)unused;
  do {
    for (uint64_t i = 0; i < WORDS; i += STEP, n++) {
      atomic_fetch_add_explicit(&words[i], 1, memory_order_relaxed);
    }
  } while (!stop);
  added += n;
  return NULL;
}

/* There and back, with a reader and a writer at work. */
static void commute(uint32_t there) {
  pthread_t reader, writer;
  words = block(BYTES, "local", 0);
  for (uint64_t i = 0; i < WORDS; i++) {
    words[i] = i << 32;
  }
  stop = false;
  wrong = added = looks = 0;
  assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
  assert_int_equal(pthread_create(&writer, NULL, write_all, NULL), 0);
  for (int i = 0; i < 3; i++) {
    set((void *)words, 0, there);
    assert_int_equal(bytes_in((void *)words, there), BYTES);
    uint64_t seen = looks;
    while (looks < seen + 2) {
      sched_yield();
    }
    set((void *)words, 0, CIRA_TIER_LOCAL_ID);
    assert_int_equal(bytes_in((void *)words, CIRA_TIER_LOCAL_ID), BYTES);
  }
  stop = true;
  pthread_join(reader, NULL);
  pthread_join(writer, NULL);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < WORDS; i++) {
    assert_int_equal(words[i] >> 32, i);
    sum += words[i] & UINT32_MAX;
  }
  assert_int_equal(sum, added);
  assert_int_equal(wrong, 0);
  assert_int_equal(cira_tier_free((void *)words), CIRA_OK);
}

/* ---- a node without processors ------------------------------------------ */

static void test_bare(void **state) {
  (void)state;
  tiers_read();
  const cira_tier_info_t *t = tier("node:1");
  assert_true(t->usable && t->memory_only && !t->cxl);
  assert_int_equal(t->node, 1);
  assert_int_equal(t->distance, 30);
  assert_int_equal(t->read_latency_ns, 250);
  assert_int_equal(t->read_mb_per_s, 10240);
  assert_true(t->bytes > 128 * MIB && t->bytes <= 256 * MIB);
  t = tier("local");
  assert_int_equal(t->node, 0);
  assert_int_equal(t->read_latency_ns, 100);
  t = tier("cxl:mem0"); /* nobody has made a region yet */
  assert_true(t->cxl && !t->usable);
  assert_non_null(strstr(t->note, "create-region"));
  void *p = NULL;
  cira_tier_options_t o;
  cira_tier_options_default(&o);
  o.place = "cxl:mem0";
  assert_int_equal(cira_tier_alloc(1, &o, &p), CIRA_E_UNSUPPORTED);
  assert_non_null(strstr(cira_status_detail(), "create-region"));
}

static void test_node(void **state) {
  (void)state;
  tiers_read();
  uint32_t node = tier("node:1")->id;
  uint8_t *p = block(BYTES, "node:1", 0);
  memset(p, 1, BYTES);
  assert_int_equal(bytes_in(p, node), BYTES);
  set(p, 2 * MIB, CIRA_TIER_LOCAL_ID);
  assert_int_equal(bytes_in(p, node), BYTES - 2 * MIB);
  assert_int_equal(bytes_in(p, CIRA_TIER_LOCAL_ID), 2 * MIB);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  p = block(BYTES, "interleave", CIRA_TIER_F_SMALL);
  memset(p, 1, BYTES);
  uint64_t there = bytes_in(p, node);
  assert_true(there >= BYTES / 4 && there <= BYTES * 3 / 4);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  p = block(BYTES, "first-touch", 0);
  memset(p, 1, BYTES);
  assert_int_equal(bytes_in(p, CIRA_TIER_LOCAL_ID), BYTES);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  commute(node);
}

/* More than the node has: said at once, and nobody is killed. */
static void test_node_full(void **state) {
  (void)state;
  tiers_read();
  cira_tier_options_t o;
  void *p = NULL;
  cira_tier_options_default(&o);
  o.place = "node:1";
  assert_int_equal(cira_tier_alloc(600 * MIB, &o, &p), CIRA_E_NOMEM);
  assert_non_null(strstr(cira_status_detail(), "node:1"));
  assert_null(p);
  /* Moving there when it is nearly full: said, and nothing is lost. */
  uint64_t most = tier("node:1")->free_bytes - 16 * MIB;
  uint8_t *large = block(most, "node:1", 0);
  uint8_t *more = block(64 * MIB, "local", CIRA_TIER_F_SMALL);
  memset(large, 1, most);
  memset(more, 2, 64 * MIB);
  cira_status_t status = cira_tier_set(more, 0, tier("node:1")->id, 0);
  printf("  full: %s\n", cira_status_detail());
  assert_int_equal(status, CIRA_E_NOMEM);
  for (uint64_t i = 0; i < 64 * MIB; i += 64) {
    assert_int_equal(more[i], 2);
  }
  assert_int_equal(cira_tier_free(large), CIRA_OK);
  set(more, 0, tier("node:1")->id);
  set(more, 0, CIRA_TIER_LOCAL_ID);
  assert_int_equal(cira_tier_free(more), CIRA_OK);
}

/* What is used stays local, the rest goes to the node and comes back when it
 * is used. */
static void test_balance(void **state) {
  (void)state;
  tiers_read();
  uint32_t node = tier("node:1")->id;
  cira_tier_balance_options_t o;
  cira_tier_balanced_t r;
  cira_tier_balance_options_default(&o);
  o.local_bytes = 10 * MIB;
  uint8_t *p = block(32 * MIB, "hot-local", CIRA_TIER_F_SMALL);
  memset(p, 1, 32 * MIB);
  for (int round = 0; round < 10; round++) {
    uint64_t hot = round < 5 ? 0 : 16 * MIB;
    for (uint64_t i = 0; i < 8 * MIB; i += 4096) {
      p[hot + i]++;
    }
    assert_int_equal(cira_tier_balance(&o, &r), CIRA_OK);
    assert_true(r.local_bytes <= 10 * MIB);
    if (round == 4 || round == 9) {
      cira_tier_block_t q;
      assert_int_equal(cira_tier_query(p + hot, &q), CIRA_OK);
      assert_int_equal(q.tier, CIRA_TIER_LOCAL_ID);
      assert_int_equal(cira_tier_query(p + 30 * MIB, &q), CIRA_OK);
      assert_int_equal(q.tier, node);
      assert_true(q.tier_bytes[node] >= 20 * MIB);
    }
  }
  for (uint64_t i = 0; i < 32 * MIB; i += 4096) {
    bool early = i < 8 * MIB, late = i >= 16 * MIB && i < 24 * MIB;
    assert_int_equal(p[i], early || late ? 6 : 1);
  }
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

/* ---- the expander as a device ------------------------------------------- */

static const char DAX[] = "dax:/dev/dax0.0";

static void test_device(void **state) {
  (void)state;
  tiers_read();
  const cira_tier_info_t *t = tier(DAX);
  assert_true(t->usable && t->cxl && t->shared_fork);
  assert_true(t->bytes >= 128 * MIB);
  for (uint32_t i = 0; i < tier_count; i++) {
    assert_int_not_equal(tiers[i].kind, CIRA_TIER_DEVICE);
  }
  uint8_t *p = block(BYTES, DAX, 0);
  uint8_t *second = block(BYTES, DAX, 0);
  memset(p, 1, BYTES);
  memset(second, 2, BYTES);
  assert_int_equal(p[0] + p[BYTES - 1], 2);
  assert_int_equal(second[0] + second[BYTES - 1], 4);
  assert_int_equal(bytes_in(p, t->id), BYTES);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  p = block(BYTES, DAX, 0); /* where the first one was */
  assert_int_equal(p[0] | p[BYTES - 1], 0);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  assert_int_equal(cira_tier_free(second), CIRA_OK);
  cira_tier_options_t o;
  void *none = NULL;
  cira_tier_options_default(&o);
  o.place = DAX;
  assert_int_equal(cira_tier_alloc(t->bytes + 1, &o, &none), CIRA_E_NOMEM);
  assert_null(none);
  commute(t->id);
}

/* Bytes stay on the device; parts that belong to a block are not mapped. */
static void test_device_map(void **state) {
  (void)state;
  tiers_read();
  uint32_t id = tier(DAX)->id;
  uint64_t size = tier(DAX)->bytes;
  uint8_t *p = NULL, *q = NULL;
  assert_int_equal(cira_tier_map(id, 8 * MIB, BYTES, (void **)&p), CIRA_OK);
  memset(p, 0x5a, BYTES);
  assert_int_equal(cira_tier_map(id, 10 * MIB, 2 * MIB, (void **)&q),
                   CIRA_E_BUSY);
  assert_int_equal(cira_tier_map(id, size, 2 * MIB, (void **)&q), CIRA_E_RANGE);
  assert_int_equal(
      cira_tier_map(id, UINT64_MAX - 2 * MIB + 1, 2 * MIB, (void **)&q),
      CIRA_E_RANGE);
  set(p, 0, CIRA_TIER_LOCAL_ID); /* a copy from here on */
  memset(p, 1, BYTES);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  assert_int_equal(cira_tier_map(id, 8 * MIB, BYTES, (void **)&p), CIRA_OK);
  assert_int_equal(p[0] + p[BYTES - 1], 2 * 0x5a);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

/* Another process cannot allocate where this one does; a child shares. */
static void test_device_fork(void **state) {
  (void)state;
  tiers_read();
  uint8_t *p = block(BYTES, DAX, 0);
  memset(p, 1, BYTES);
  pid_t pid = fork();
  if (pid == 0) {
    cira_tier_options_t o;
    void *other = NULL;
    cira_tier_options_default(&o);
    o.place = DAX;
    bool ok = cira_tier_alloc(BYTES, &o, &other) == CIRA_E_BUSY;
    p[5] = 7; /* the parent sees it */
    ok = ok && cira_tier_set(p, 0, CIRA_TIER_LOCAL_ID, 0) == CIRA_OK &&
         p[5] == 7 && p[BYTES - 1] == 1;
    p[6] = 8; /* and this not */
    ok = ok && cira_tier_free(p) == CIRA_OK;
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(p[5], 7);
  assert_int_equal(p[6], 1);
  set(p, 0, CIRA_TIER_LOCAL_ID);
  assert_int_equal(p[5], 7);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
}

/* ---- the expander as a node --------------------------------------------- */

static void test_expander(void **state) {
  (void)state;
  tiers_read();
  const cira_tier_info_t *t = expander();
  assert_true(t->usable && t->memory_only);
  for (uint32_t i = 0; i < tier_count; i++) {
    assert_true(tiers[i].kind != CIRA_TIER_DAX || !tiers[i].usable);
  }
  uint8_t *p = block(BYTES, t->name, 0);
  memset(p, 1, BYTES);
  assert_int_equal(bytes_in(p, t->id), BYTES);
  set(p, 0, tier("node:1")->id); /* from one memory-only node to another */
  assert_int_equal(bytes_in(p, t->id), 0);
  assert_int_equal(cira_tier_free(p), CIRA_OK);
  commute(t->id);
}

int main(int argc, char **argv) {
  const char *stage = argc > 1 ? argv[1] : "";
  const struct CMUnitTest bare[] = {
      cmocka_unit_test(test_bare), cmocka_unit_test(test_node),
      cmocka_unit_test(test_node_full), cmocka_unit_test(test_balance)};
  const struct CMUnitTest device[] = {cmocka_unit_test(test_device),
                                      cmocka_unit_test(test_device_map),
                                      cmocka_unit_test(test_device_fork)};
  const struct CMUnitTest node[] = {cmocka_unit_test(test_expander)};
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (strcmp(stage, "bare") == 0) {
    return cmocka_run_group_tests(bare, NULL, NULL);
  }
  if (strcmp(stage, "device") == 0) {
    return cmocka_run_group_tests(device, NULL, NULL);
  }
  if (strcmp(stage, "node") == 0) {
    return cmocka_run_group_tests(node, NULL, NULL);
  }
  fprintf(stderr, "usage: tier-guest bare|device|node\n");
  return 2;
}
