/* SPDX-License-Identifier: Apache-2.0
 *
 * What memory a machine has, from the kernel's tables: NUMA nodes with their
 * distances and the firmware's access classes, DAX devices, CXL expanders.
 * Files are read plainly and below a root that tests can set, which is why no
 * topology library stands in between. Whatever is missing or malformed is left
 * out; a machine without NUMA tables is one node.
 * Threads: any; keeps nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tier/tier_internal.h"

#define TEXT_MAX 4096

typedef struct {
  const char *root;
  cira__scan_t *out;
  uint32_t node, rank; /* of node_rank */
  char memdev[32];     /* of memdev_entry */
  bool in_region;
} scan_t;

/* ---- small files -------------------------------------------------------- */

/* Reads a file below the root; false when there is none. */
CIRA_PRINTF(4, 5)
static bool text_of(const scan_t *s, char *buf, size_t bytes, const char *fmt,
                    ...) {
  char path[PATH_MAX], rest[PATH_MAX - 256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(rest, sizeof rest, fmt, ap);
  va_end(ap);
  snprintf(path, sizeof path, "%.200s%s", s->root, rest);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  size_t n = 0;
  ssize_t got;
  while (n < bytes - 1 && (got = read(fd, buf + n, bytes - 1 - n)) > 0) {
    n += (size_t)got;
  }
  close(fd);
  buf[n] = '\0';
  return n > 0;
}

/* A number (decimal or 0x...) in a file; `none` when it is not one. */
CIRA_PRINTF(3, 4)
static uint64_t number_of(const scan_t *s, uint64_t none, const char *fmt,
                          ...) {
  char path[PATH_MAX - 256], text[64];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(path, sizeof path, fmt, ap);
  va_end(ap);
  if (!text_of(s, text, sizeof text, "%s", path)) {
    return none;
  }
  char *end;
  errno = 0;
  uint64_t value = strtoull(text, &end, 0);
  return errno != 0 || end == text || text[0] == '-' ||
                 (*end != '\0' && *end != '\n')
             ? none
             : value;
}

static uint32_t small_of(uint64_t value) {
  return value > UINT32_MAX ? 0 : (uint32_t)value;
}

/* "0-1,4" -> bits; false for anything else. */
static bool list_parse(const char *text, uint64_t *mask) {
  memset(mask, 0, NODES_MAX / 8);
  const char *p = text;
  while (*p != '\0' && *p != '\n') {
    char *end;
    unsigned long first = strtoul(p, &end, 10), last = first;
    if (end == p) {
      return false;
    }
    p = end;
    if (*p == '-') {
      last = strtoul(p + 1, &end, 10);
      if (end == p + 1) {
        return false;
      }
      p = end;
    }
    if (last >= NODES_MAX || first > last) {
      return false;
    }
    for (unsigned long n = first; n <= last; n++) {
      node_add(mask, (uint32_t)n);
    }
    p += *p == ',';
  }
  return true;
}

/* The entries of a folder that begin with a prefix and go on with a digit, in
 * order of their names; calls `each` for every one. */
typedef void (*entry_fn_t)(scan_t *s, const char *name);
static int by_name(const struct dirent **a, const struct dirent **b) {
  return strverscmp((*a)->d_name, (*b)->d_name);
}
static void each_entry(scan_t *s, const char *folder, const char *prefix,
                       entry_fn_t each) {
  char path[PATH_MAX];
  struct dirent **list;
  snprintf(path, sizeof path, "%.200s%s", s->root, folder);
  int n = scandir(path, &list, NULL, by_name);
  size_t length = strlen(prefix);
  for (int i = 0; i < n; i++) {
    const char *name = list[i]->d_name;
    if (strncmp(name, prefix, length) == 0 && name[length] >= '0' &&
        name[length] <= '9' && strlen(name) < 32) {
      each(s, name);
    }
    free(list[i]);
  }
  if (n >= 0) {
    free(list);
  }
}

/* Where a link below the root leads, without the root; false when nowhere. */
CIRA_PRINTF(3, 4)
static bool link_of(const scan_t *s, char *out, const char *fmt, ...) {
  char path[PATH_MAX], rest[PATH_MAX - 256], real[PATH_MAX];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(rest, sizeof rest, fmt, ap);
  va_end(ap);
  snprintf(path, sizeof path, "%.200s%s", s->root, rest);
  if (realpath(path, real) == NULL) {
    return false;
  }
  snprintf(out, PATH_MAX, "%s", real);
  return true;
}

static cira_tier_info_t *add(scan_t *s, cira_tier_kind_t kind) {
  if (s->out->count == CIRA_TIER_MAX) {
    return NULL;
  }
  cira_tier_info_t *t = &s->out->tier[s->out->count++];
  *t = (cira_tier_info_t){.kind = kind, .node = -1};
  return t;
}

/* ---- nodes -------------------------------------------------------------- */

/* "Node 0 MemTotal:  16384 kB" -> bytes; 0 when it is not there. */
static uint64_t meminfo(const char *text, const char *field) {
  char name[64];
  snprintf(name, sizeof name, " %s:", field);
  const char *p = strstr(text, name);
  if (p == NULL) {
    return 0;
  }
  uint64_t kib = strtoull(p + strlen(name), NULL, 10), bytes;
  return cira__mul_ok(kib, 1024, &bytes) ? bytes : 0;
}

typedef struct {
  uint64_t bytes, free;
  uint32_t distance, latency, bandwidth, rank;
  bool has_cpu;
} node_t;

/* The smallest distance from a node with processors. */
static uint32_t node_distance(scan_t *s, uint32_t node) {
  uint32_t best = 0;
  for (uint32_t from = 0; from < NODES_MAX; from++) {
    char text[TEXT_MAX];
    if (!node_has(s->out->cpu_nodes, from) ||
        !text_of(s, text, sizeof text,
                 "/sys/devices/system/node/node%u/distance", from)) {
      continue;
    }
    char *p = text;
    uint32_t column = 0;
    /* Columns are the nodes that are online, in order. */
    for (uint32_t n = 0; n < node; n++) {
      column +=
          node_has(s->out->memory_nodes, n) || node_has(s->out->cpu_nodes, n);
    }
    uint32_t value = 0;
    for (uint32_t i = 0; i <= column; i++) {
      char *end;
      value = (uint32_t)strtoul(p, &end, 10);
      if (end == p) {
        value = 0;
        break;
      }
      p = end;
    }
    if (value != 0 && (best == 0 || value < best)) {
      best = value;
    }
  }
  return best;
}

static void node_read(scan_t *s, uint32_t node, node_t *out) {
  char text[TEXT_MAX];
  *out = (node_t){.has_cpu = node_has(s->out->cpu_nodes, node)};
  if (text_of(s, text, sizeof text, "/sys/devices/system/node/node%u/meminfo",
              node)) {
    out->bytes = meminfo(text, "MemTotal");
    out->free = meminfo(text, "MemFree") + meminfo(text, "Inactive(file)");
  }
  out->distance = node_distance(s, node);
  static const char INITIATORS[] =
      "/sys/devices/system/node/node%u/access0/initiators/%s";
  out->latency = small_of(number_of(s, 0, INITIATORS, node, "read_latency"));
  out->bandwidth =
      small_of(number_of(s, 0, INITIATORS, node, "read_bandwidth"));
}

static void rank_entry(scan_t *s, const char *name) {
  char text[TEXT_MAX];
  uint64_t mask[NODES_MAX / 64];
  if (text_of(s, text, sizeof text,
              "/sys/devices/virtual/memory_tiering/%s/nodelist", name) &&
      list_parse(text, mask) && node_has(mask, s->node)) {
    s->rank = small_of(strtoull(name + strlen("memory_tier"), NULL, 10));
  }
}

/* The kernel's memory tier of a node; 0 = none. */
static uint32_t node_rank(scan_t *s, uint32_t node) {
  s->node = node;
  s->rank = 0;
  each_entry(s, "/sys/devices/virtual/memory_tiering", "memory_tier",
             rank_entry);
  return s->rank;
}

static void put_node(cira_tier_info_t *t, const node_t *n) {
  t->usable = true;
  t->bytes = n->bytes;
  t->free_bytes = n->free;
  t->distance = n->distance;
  t->read_latency_ns = n->latency;
  t->read_mb_per_s = n->bandwidth;
  t->memory_tier = n->rank;
}

static void nodes_scan(scan_t *s) {
  char text[TEXT_MAX];
  cira__scan_t *o = s->out;
  static const char FOLDER[] = "/sys/devices/system/node/";
  bool known = text_of(s, text, sizeof text, "%shas_memory", FOLDER) &&
               list_parse(text, o->memory_nodes);
  if (known) {
    known = text_of(s, text, sizeof text, "%shas_cpu", FOLDER) &&
            list_parse(text, o->cpu_nodes);
  }
  cira_tier_info_t *local = add(s, CIRA_TIER_LOCAL);
  snprintf(local->name, sizeof local->name, "local");
  local->usable = true;
  local->distance = 10;
  uint32_t cpu_nodes = 0;
  for (uint32_t n = 0; n < NODES_MAX && known; n++) {
    o->memory_node_count += node_has(o->memory_nodes, n);
    cpu_nodes += node_has(o->memory_nodes, n) && node_has(o->cpu_nodes, n);
  }
  if (o->memory_node_count == 0) { /* a kernel without NUMA */
    memset(o->cpu_nodes, 0, sizeof o->cpu_nodes);
    memset(o->memory_nodes, 0, sizeof o->memory_nodes);
    node_add(o->cpu_nodes, 0);
    node_add(o->memory_nodes, 0);
    o->memory_node_count = 1;
    snprintf(local->note, sizeof local->note, "this kernel has no NUMA tables");
    return;
  }
  for (uint32_t n = 0; n < NODES_MAX; n++) {
    node_t node;
    if (!node_has(o->memory_nodes, n)) {
      continue;
    }
    node_read(s, n, &node);
    node.rank = node_rank(s, n);
    if (node.has_cpu) { /* local is all of these together */
      uint64_t bytes = local->bytes + node.bytes;
      uint64_t free = local->free_bytes + node.free;
      put_node(local, &node);
      local->bytes = bytes;
      local->free_bytes = free;
      local->node = cpu_nodes == 1 ? (int32_t)n : -1;
      local->distance = 10;
    }
    if (node.has_cpu && cpu_nodes == 1) {
      continue;
    }
    cira_tier_info_t *t = add(s, CIRA_TIER_NODE);
    if (t == NULL) {
      return;
    }
    put_node(t, &node);
    t->node = (int32_t)n;
    t->memory_only = !node.has_cpu;
    snprintf(t->name, sizeof t->name, "node:%u", n);
  }
  if (o->memory_node_count == 1) {
    snprintf(local->note, sizeof local->note, "this machine has one NUMA node");
  }
}

/* ---- DAX devices -------------------------------------------------------- */

static cira_tier_info_t *node_tier(scan_t *s, uint64_t node) {
  for (uint32_t i = 0; i < s->out->count; i++) {
    cira_tier_info_t *t = &s->out->tier[i];
    if (t->kind == CIRA_TIER_NODE && (uint64_t)t->node == node) {
      return t;
    }
  }
  return NULL;
}

/* Below the root of the CXL bus: volatile memory by a decoder, persistent
 * memory by the bridge to the bus of persistent memory. */
static bool behind_cxl(const char *path) {
  return strstr(path, "/decoder") != NULL || strstr(path, "/ACPI0017") != NULL;
}

static void dax_entry(scan_t *s, const char *name) {
  static const char FOLDER[] = "/sys/bus/dax/devices";
  char path[PATH_MAX], driver[PATH_MAX];
  uint64_t bytes = number_of(s, 0, "%s/%s/size", FOLDER, name);
  uint64_t align = number_of(s, CHUNK_BYTES, "%s/%s/align", FOLDER, name);
  uint64_t node = number_of(s, NODES_MAX, "%s/%s/target_node", FOLDER, name);
  bool cxl = link_of(s, path, "%s/%s", FOLDER, name) && behind_cxl(path);
  bool bound = link_of(s, driver, "%s/%s/driver", FOLDER, name);
  const char *last = bound ? strrchr(driver, '/') : NULL;
  if (bytes == 0) {
    return; /* a seed for devices that are to be made */
  }
  if (last != NULL && strcmp(last, "/kmem") == 0) { /* it is a node */
    cira_tier_info_t *t = node_tier(s, node);
    if (t != NULL) {
      t->cxl |= cxl;
      snprintf(t->note, sizeof t->note, "memory of %s", name);
    }
    return;
  }
  cira_tier_info_t *t = add(s, CIRA_TIER_DAX);
  if (t == NULL) {
    return;
  }
  snprintf(t->name, sizeof t->name, "dax:/dev/%s", name);
  t->node = node < NODES_MAX ? (int32_t)node : -1;
  t->cxl = cxl;
  t->shared_fork = true;
  t->bytes = bytes;
  t->free_bytes = bytes;
  snprintf(path, sizeof path, "%.200s/dev/%s", s->root, name);
  if (last == NULL) {
    snprintf(t->note, sizeof t->note,
             "no driver is bound; write %s to "
             "/sys/bus/dax/drivers/device_dax/bind",
             name);
  } else if (align > CHUNK_BYTES) {
    snprintf(t->note, sizeof t->note,
             "its alignment is %llu; make it again with 2 MiB "
             "(daxctl create-device --align)",
             (unsigned long long)align);
  } else if (access(path, R_OK | W_OK) != 0) {
    snprintf(t->note, sizeof t->note, "/dev/%s cannot be opened: %s", name,
             strerrordesc_np(errno));
  } else {
    t->usable = true;
  }
}

/* ---- CXL expanders ------------------------------------------------------ */

static const char CXL[] = "/sys/bus/cxl/devices";

/* region/targetN names an endpoint's decoder; the endpoint's port is a memdev.
 */
static void region_entry(scan_t *s, const char *region) {
  for (unsigned i = 0; i < 16; i++) {
    char decoder[64], path[PATH_MAX], port[PATH_MAX];
    if (!text_of(s, decoder, sizeof decoder, "%s/%s/target%u", CXL, region,
                 i)) {
      return;
    }
    decoder[strcspn(decoder, "\n")] = '\0';
    if (decoder[0] == '\0' || strchr(decoder, '/') != NULL ||
        !link_of(s, path, "%s/%s", CXL, decoder)) {
      continue;
    }
    char *end = strrchr(path, '/'); /* .../endpoint2/decoder2.0 */
    if (end != NULL) {
      *end = '\0';
    }
    size_t root = strlen(s->root);
    if (strncmp(path, s->root, root) != 0 ||
        !link_of(s, port, "%s/uport", path + root)) {
      continue;
    }
    const char *last = strrchr(port, '/');
    s->in_region |= last != NULL && strcmp(last + 1, s->memdev) == 0;
  }
}

static void memdev_entry(scan_t *s, const char *name) {
  snprintf(s->memdev, sizeof s->memdev, "%s", name);
  s->in_region = false;
  each_entry(s, CXL, "region", region_entry);
  if (s->in_region) {
    return; /* its memory is a node or a DAX device */
  }
  cira_tier_info_t *t = add(s, CIRA_TIER_DEVICE);
  if (t == NULL) {
    return;
  }
  uint64_t ram = number_of(s, 0, "%s/%s/ram/size", CXL, name);
  uint64_t pmem = number_of(s, 0, "%s/%s/pmem/size", CXL, name);
  snprintf(t->name, sizeof t->name, "cxl:%s", name);
  t->cxl = true;
  t->bytes = ram + pmem;
  snprintf(t->note, sizeof t->note,
           "an expander without a region; make one (cxl create-region -m %s "
           "-t %s), and its memory can be used",
           name, ram != 0 ? "ram" : "pmem");
}

/* ---- all ---------------------------------------------------------------- */

cira_status_t cira__tier_scan(const char *root, cira__scan_t *out) {
  scan_t s = {.out = out};
  char real[PATH_MAX];
  s.root = root;
  if (root[0] != '\0') { /* links lead to real paths */
    if (realpath(root, real) == NULL) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be read", root);
    }
    s.root = real;
  }
  memset(out, 0, sizeof *out);
  nodes_scan(&s);
  each_entry(&s, "/sys/bus/dax/devices", "dax", dax_entry);
  each_entry(&s, CXL, "mem", memdev_entry);
  return CIRA_OK;
}
