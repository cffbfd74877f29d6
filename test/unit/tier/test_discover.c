/* SPDX-License-Identifier: Apache-2.0
 *
 * Discovery on kernel tables that the test writes: a machine with two sockets
 * and a memory-only node, DAX devices bound and unbound, CXL expanders with and
 * without a region, a kernel without NUMA, and tables that make no sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tier/tier_internal.h"

static char root[64];

static void folders(const char *path) {
  char part[512];
  for (const char *p = strchr(path + 1, '/'); p != NULL;
       p = strchr(p + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
    mkdir(part, 0755);
  }
}

CIRA_PRINTF(2, 3)
static void put(const char *text, const char *fmt, ...) {
  char path[512], rest[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(rest, sizeof rest, fmt, ap);
  va_end(ap);
  snprintf(path, sizeof path, "%s%s", root, rest);
  folders(path);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void put_link(const char *to, const char *at) {
  char path[512], real[512];
  snprintf(path, sizeof path, "%s%s", root, at);
  snprintf(real, sizeof real, "%s%s/", root, to);
  folders(path);
  folders(real);
  real[strlen(real) - 1] = '\0';
  assert_int_equal(symlink(real, path), 0);
}

static void node(uint32_t n, uint64_t mib, const char *distance) {
  char text[256];
  snprintf(text, sizeof text,
           "\nNode %u MemTotal:       %llu kB\nNode %u MemFree:        %llu "
           "kB\nNode %u Inactive(file):        4 kB\n",
           n, (unsigned long long)mib * 1024, n, (unsigned long long)mib * 512,
           n);
  put(text, "/sys/devices/system/node/node%u/meminfo", n);
  put(distance, "/sys/devices/system/node/node%u/distance", n);
}

static int setup(void **state) {
  (void)state;
  snprintf(root, sizeof root, "/tmp/cira-tier-XXXXXX");
  return mkdtemp(root) != NULL ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

static const cira_tier_info_t *named(const cira__scan_t *s, const char *name) {
  for (uint32_t i = 0; i < s->count; i++) {
    if (strcmp(s->tier[i].name, name) == 0) {
      return &s->tier[i];
    }
  }
  return NULL;
}

static void test_two_sockets(void **state) {
  (void)state;
  cira__scan_t s;
  put("0-1,3\n", "/sys/devices/system/node/has_memory");
  put("0-1\n", "/sys/devices/system/node/has_cpu");
  node(0, 1024, "10 21 17\n");
  node(1, 2048, "21 10 28\n");
  node(3, 4096, "17 28 10\n");
  put("250\n",
      "/sys/devices/system/node/node3/access0/initiators/read_latency");
  put("12800\n",
      "/sys/devices/system/node/node3/access0/initiators/read_bandwidth");
  put("0-1\n", "/sys/devices/virtual/memory_tiering/memory_tier4/nodelist");
  put("3\n", "/sys/devices/virtual/memory_tiering/memory_tier22/nodelist");
  assert_int_equal(cira__tier_scan(root, &s), CIRA_OK);
  assert_int_equal(s.count, 4);
  assert_int_equal(s.memory_node_count, 3);
  const cira_tier_info_t *t = named(&s, "local");
  assert_int_equal(t->bytes, UINT64_C(3) << 30);
  assert_int_equal(t->node, -1);
  assert_int_equal(t->memory_tier, 4);
  t = named(&s, "node:1");
  assert_false(t->memory_only);
  assert_int_equal(t->distance, 10);
  t = named(&s, "node:3");
  assert_true(t->memory_only && t->usable);
  assert_int_equal(t->node, 3);
  assert_int_equal(t->bytes, UINT64_C(4) << 30);
  assert_int_equal(t->free_bytes, (UINT64_C(2) << 30) + 4096);
  assert_int_equal(t->distance, 17); /* from node 0, the nearer one */
  assert_int_equal(t->read_latency_ns, 250);
  assert_int_equal(t->read_mb_per_s, 12800);
  assert_int_equal(t->memory_tier, 22);
}

static void test_dax(void **state) {
  (void)state;
  cira__scan_t s;
  put("0,1\n", "/sys/devices/system/node/has_memory");
  put("0\n", "/sys/devices/system/node/has_cpu");
  node(0, 1024, "10 20\n");
  node(1, 128, "20 10\n");
  static const char CXL_DAX[] =
      "/sys/devices/root0/decoder0.0/region0/dax_region0/dax0.0";
  put_link(CXL_DAX, "/sys/bus/dax/devices/dax0.0");
  put("134217728\n", "%s/size", CXL_DAX);
  put("1\n", "%s/target_node", CXL_DAX);
  put_link("/sys/bus/dax/drivers/kmem",
           "/sys/devices/root0/decoder0.0/region0/dax_region0/dax0.0/driver");
  for (int i = 1; i <= 4; i++) {
    put(i == 4 ? "0\n" : "268435456\n", "/sys/bus/dax/devices/dax%d.0/size", i);
    put(i == 2 ? "1073741824\n" : "2097152\n",
        "/sys/bus/dax/devices/dax%d.0/align", i);
    put("-1\n", "/sys/bus/dax/devices/dax%d.0/target_node", i);
  }
  put_link("/sys/bus/dax/drivers/device_dax",
           "/sys/bus/dax/devices/dax1.0/driver");
  put_link("/sys/bus/dax/drivers/device_dax",
           "/sys/bus/dax/devices/dax2.0/driver");
  put("", "/dev/dax1.0");
  put("", "/dev/dax2.0");
  assert_int_equal(cira__tier_scan(root, &s), CIRA_OK);
  const cira_tier_info_t *t = named(&s, "node:1");
  assert_true(t->cxl && t->memory_only);
  assert_non_null(strstr(t->note, "dax0.0"));
  assert_null(named(&s, "dax:/dev/dax0.0"));
  t = named(&s, "dax:/dev/dax1.0");
  assert_true(t->usable && t->shared_fork && !t->cxl);
  assert_int_equal(t->node, -1);
  assert_int_equal(t->bytes, UINT64_C(256) << 20);
  t = named(&s, "dax:/dev/dax2.0");
  assert_false(t->usable);
  assert_non_null(strstr(t->note, "alignment"));
  t = named(&s, "dax:/dev/dax3.0");
  assert_false(t->usable);
  assert_non_null(strstr(t->note, "driver"));
  assert_null(named(&s, "dax:/dev/dax4.0")); /* a seed */
}

static void test_cxl(void **state) {
  (void)state;
  cira__scan_t s;
  put("0\n", "/sys/devices/system/node/has_memory");
  put("0\n", "/sys/devices/system/node/has_cpu");
  node(0, 1024, "10\n");
  put_link("/sys/devices/pci0/mem0", "/sys/bus/cxl/devices/mem0");
  put_link("/sys/devices/pci0/mem1", "/sys/bus/cxl/devices/mem1");
  put("0x0\n", "/sys/devices/pci0/mem0/ram/size");
  put("0x10000000\n", "/sys/devices/pci0/mem0/pmem/size");
  put("0x20000000\n", "/sys/devices/pci0/mem1/ram/size");
  put("decoder2.0\n", "/sys/bus/cxl/devices/region0/target0");
  put_link("/sys/devices/root0/port1/endpoint2/decoder2.0",
           "/sys/bus/cxl/devices/decoder2.0");
  put_link("/sys/devices/pci0/mem1",
           "/sys/devices/root0/port1/endpoint2/uport");
  assert_int_equal(cira__tier_scan(root, &s), CIRA_OK);
  const cira_tier_info_t *t = named(&s, "cxl:mem0");
  assert_non_null(t);
  assert_true(t->cxl && !t->usable);
  assert_int_equal(t->bytes, UINT64_C(256) << 20);
  assert_non_null(strstr(t->note, "create-region"));
  assert_null(named(&s, "cxl:mem1")); /* is in a region */
  assert_non_null(strstr(named(&s, "local")->note, "one NUMA node"));
}

static void test_no_numa(void **state) {
  (void)state;
  cira__scan_t s;
  assert_int_equal(cira__tier_scan(root, &s), CIRA_OK);
  assert_int_equal(s.count, 1);
  assert_true(s.tier[0].usable && s.tier[0].note[0] != '\0');
  assert_int_equal(s.memory_node_count, 1);
  assert_true(node_has(s.memory_nodes, 0));
  assert_int_equal(cira__tier_scan("/no/such/root", &s), CIRA_E_SYSTEM);
}

/* Whatever the files say: no crash, and the local tier is there. */
static void test_nonsense(void **state) {
  (void)state;
  static const char *const LIST[] = {
      "",     "x",      "0-",       "-1",     "5000",          "3-1",
      "0,,1", "0-9999", "\xff\xfe", "0 1\n2", "99999999999999"};
  static const char *const NUMBER[] = {
      "", "-1", "abc", "99999999999999999999999", "0x", "1 2", "\n"};
  cira__scan_t s;
  for (size_t i = 0; i < CIRA_COUNT(LIST); i++) {
    for (size_t k = 0; k < CIRA_COUNT(NUMBER); k++) {
      put(LIST[i], "/sys/devices/system/node/has_memory");
      put("0\n", "/sys/devices/system/node/has_cpu");
      put(NUMBER[k], "/sys/devices/system/node/node0/meminfo");
      put(LIST[i], "/sys/devices/system/node/node0/distance");
      put(NUMBER[k],
          "/sys/devices/system/node/node0/access0/initiators/read_latency");
      put(LIST[i], "/sys/devices/virtual/memory_tiering/memory_tier4/nodelist");
      put(NUMBER[k], "/sys/bus/dax/devices/dax0.0/size");
      put(NUMBER[k], "/sys/bus/dax/devices/dax0.0/align");
      put(NUMBER[k], "/sys/bus/cxl/devices/mem0/ram/size");
      put(k % 2 ? "../../x\n" : "\n", "/sys/bus/cxl/devices/region0/target0");
      assert_int_equal(cira__tier_scan(root, &s), CIRA_OK);
      assert_true(s.count >= 1 && s.count <= CIRA_TIER_MAX);
      assert_string_equal(s.tier[0].name, "local");
    }
  }
}

static void test_many(void **state) {
  (void)state;
  cira__scan_t s;
  put("0-200\n", "/sys/devices/system/node/has_memory");
  put("0\n", "/sys/devices/system/node/has_cpu");
  for (uint32_t n = 0; n < 100; n++) {
    put("4194304\n", "/sys/bus/dax/devices/dax%u.0/size", n);
  }
  assert_int_equal(cira__tier_scan(root, &s), CIRA_OK);
  assert_int_equal(s.count, CIRA_TIER_MAX);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_two_sockets), TEST(test_dax),      TEST(test_cxl),
      TEST(test_no_numa),     TEST(test_nonsense), TEST(test_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
