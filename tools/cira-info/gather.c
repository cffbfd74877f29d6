/* SPDX-License-Identifier: Apache-2.0
 *
 * gather: what the machine has, from the kernel, hwloc and libnuma. Asks by
 * trying wherever a return code alone would not tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <hwloc.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cira-info/info.h"
#include "fabric/fabric.h"
#include "space/space.h"

static void put(json_t *o, const char *key, const char *value) {
  json_object_set_new(o, key, json_string(value));
}

static void put_u64(json_t *o, const char *key, uint64_t value) {
  json_object_set_new(o, key, json_integer((json_int_t)value));
}

/* First line of a small file; false when it cannot be read. */
static bool file_line(const char *path, char *buf, size_t bytes) {
  FILE *f = fopen(path, "re");
  bool ok = f != NULL && fgets(buf, (int)bytes, f) != NULL;
  if (f != NULL) {
    fclose(f);
  }
  if (ok) {
    buf[strcspn(buf, "\n")] = '\0';
  }
  return ok;
}

/* The value after "name :" in a file of such lines, such as /proc/cpuinfo. */
static bool file_field(const char *path, const char *name, char *buf,
                       size_t bytes) {
  FILE *f = fopen(path, "re");
  if (f == NULL) {
    return false;
  }
  char line[4096];
  bool found = false;
  while (!found && fgets(line, sizeof line, f) != NULL) {
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0) {
      continue;
    }
    const char *p = line + n + strspn(line + n, " \t");
    if (*p == ':') {
      p += 1 + strspn(p + 1, " \t");
      snprintf(buf, bytes, "%.*s", (int)strcspn(p, "\n"), p);
      found = true;
    }
  }
  fclose(f);
  return found;
}

static void put_meminfo(json_t *o, const char *field, const char *key) {
  char text[64];
  if (file_field("/proc/meminfo", field, text, sizeof text)) {
    put_u64(o, key, strtoull(text, NULL, 10) * 1024);
  }
}

json_t *info_machine(void) {
  json_t *o = json_object();
  struct utsname u;
  char text[4096];
  if (uname(&u) == 0) {
    put(o, "kernel", u.release);
    put(o, "architecture", u.machine);
  }
  if (file_field("/proc/cpuinfo", "model name", text, sizeof text)) {
    put(o, "processor", text);
  }
  put_u64(o, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
  if (file_field("/proc/cpuinfo", "flags", text, sizeof text)) {
    put(o, "virtual_machine", strstr(text, "hypervisor") ? "yes" : "no");
  }
  put_meminfo(o, "MemTotal", "memory_bytes");
  put_meminfo(o, "MemAvailable", "available_bytes");
  put_meminfo(o, "SwapTotal", "swap_bytes");
  return o;
}

/* ---- paging ------------------------------------------------------------- */

static const struct {
  uint64_t bit;
  const char *name;
} FEATURES[] = {
    {1u << 0, "pagefault-flag-wp"},
    {1u << 4, "missing-hugetlbfs"},
    {1u << 5, "missing-shmem"},
    {1u << 7, "sigbus"},
    {1u << 8, "thread-id"},
    {1u << 9, "minor-hugetlbfs"},
    {1u << 10, "minor-shmem"},
    {1u << 11, "exact-address"},
    {1u << 12, "wp-hugetlbfs-shmem"},
    {1u << 13, "wp-unpopulated"},
    {1u << 14, "poison"},
    {1u << 15, "wp-async"},
    {1u << 16, "move"},
};

static int userfaultfd_open(int flags) {
  return (int)syscall(SYS_userfaultfd, flags | O_CLOEXEC | O_NONBLOCK);
}

static void put_userfaultfd(json_t *o) {
  char text[64] = "";
  if (file_line("/proc/sys/vm/unprivileged_userfaultfd", text, sizeof text)) {
    put(o, "unprivileged_userfaultfd", text);
  }
  int full = userfaultfd_open(0);
  if (full >= 0) {
    close(full);
  }
  int fd = userfaultfd_open(UFFD_USER_MODE_ONLY);
  put(o, "userfaultfd_user_mode", fd >= 0 ? "ok" : strerror(errno));
  put(o, "userfaultfd_kernel_mode",
      full >= 0 ? "ok" : "not permitted (root or CAP_SYS_PTRACE)");
  put(o, "dev_userfaultfd",
      access("/dev/userfaultfd", F_OK) != 0          ? "absent"
      : access("/dev/userfaultfd", R_OK | W_OK) == 0 ? "ok"
                                                     : "not permitted");
  struct uffdio_api api = {.api = UFFD_API};
  json_t *list = json_array();
  if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0) {
    for (size_t i = 0; i < CIRA_COUNT(FEATURES); i++) {
      if ((api.features & FEATURES[i].bit) != 0) {
        json_array_append_new(list, json_string(FEATURES[i].name));
      }
    }
  }
  if (fd >= 0) {
    close(fd);
  }
  json_object_set_new(o, "userfaultfd_features", list);
}

/* struct pm_scan_arg of linux/fs.h (6.7); Debian 12's headers lack it. */
typedef struct {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} scan_arg_t;

static void put_pagemap_scan(json_t *o) {
  int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    put(o, "pagemap_scan", strerror(errno));
    return;
  }
  struct {
    uint64_t start, end, categories;
  } region;
  char *page = mmap(NULL, CIRA_PAGE_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    put(o, "pagemap_scan", strerror(errno));
    close(fd);
    return;
  }
  page[0] = 1;
  scan_arg_t a = {.size = sizeof a,
                  .start = (uintptr_t)page,
                  .end = (uintptr_t)page + CIRA_PAGE_BYTES,
                  .vec = (uintptr_t)&region,
                  .vec_len = 1,
                  .category_mask = 1u << 3, /* PAGE_IS_PRESENT */
                  .return_mask = 1u << 3};
  int n = ioctl(fd, _IOWR('f', 16, scan_arg_t), &a);
  put(o, "pagemap_scan",
      n == 1  ? "ok"
      : n < 0 ? "not in this kernel (6.7 and later)"
              : "answers wrongly");
  munmap(page, CIRA_PAGE_BYTES);
  close(fd);
}

json_t *info_paging(void) {
  static const struct {
    cira_space_mode_t mode;
    const char *name;
  } MODES[] = {{CIRA_SPACE_SIGBUS, "sigbus"},
               {CIRA_SPACE_THREAD, "thread"},
               {CIRA_SPACE_SIGSEGV, "sigsegv"}};
  json_t *o = json_object();
  const char *chosen = "none: no mode works here";
  for (size_t i = CIRA_COUNT(MODES); i-- > 0;) {
    char why[256] = "";
    char key[32];
    if (cira_space_probe(MODES[i].mode, why, sizeof why) == CIRA_OK) {
      chosen = MODES[i].name;
    }
    snprintf(key, sizeof key, "mode_%s", MODES[i].name);
    put(o, key, why);
  }
  put(o, "mode_chosen", chosen);
  put_userfaultfd(o);
  put_pagemap_scan(o);
  return o;
}

json_t *info_huge_pages(void) {
  json_t *o = json_object();
  static const struct {
    const char *path, *key;
  } FILES[] = {
      {"/sys/kernel/mm/transparent_hugepage/enabled", "transparent"},
      {"/sys/kernel/mm/transparent_hugepage/defrag", "transparent_defrag"},
      {"/sys/kernel/mm/transparent_hugepage/shmem_enabled",
       "transparent_shmem"},
      {"/proc/sys/vm/nr_hugepages", "reserved_pages"},
  };
  char text[256];
  for (size_t i = 0; i < CIRA_COUNT(FILES); i++) {
    put(o, FILES[i].key,
        file_line(FILES[i].path, text, sizeof text) ? text : "absent");
  }
  return o;
}

/* ---- cgroup ------------------------------------------------------------- */

/* The path of this process in the hierarchy with `controller` (version 1), or
 * in the unified one ("" before the second colon). */
static bool cgroup_path(const char *controller, char *out, size_t bytes) {
  FILE *f = fopen("/proc/self/cgroup", "re");
  if (f == NULL) {
    return false;
  }
  char line[4096];
  bool found = false;
  while (!found && fgets(line, sizeof line, f) != NULL) {
    char *names = strchr(line, ':');
    char *path = names != NULL ? strchr(names + 1, ':') : NULL;
    if (path == NULL) {
      continue;
    }
    *path++ = '\0';
    names++;
    found = strcmp(names, controller) == 0;
    if (found) {
      snprintf(out, bytes, "%.*s", (int)strcspn(path, "\n"), path);
    }
  }
  fclose(f);
  return found;
}

static void put_limit(json_t *o, const char *folder, const char *path,
                      const char *file, const char *key) {
  char name[8300];
  char text[64];
  snprintf(name, sizeof name, "%s%s/%s", folder, path, file);
  if (!file_line(name, text, sizeof text)) {
    return;
  }
  uint64_t n = strtoull(text, NULL, 10);
  if (strcmp(text, "max") == 0 || n > UINT64_C(1) << 60) {
    put(o, key, "none");
  } else {
    put_u64(o, key, n);
  }
}

json_t *info_cgroup(void) {
  json_t *o = json_object();
  char path[4096];
  if (cgroup_path("memory", path, sizeof path)) {
    put_u64(o, "version", 1);
    put(o, "path", path);
    put_limit(o, "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes",
              "limit_bytes");
    put_limit(o, "/sys/fs/cgroup/memory", path, "memory.usage_in_bytes",
              "used_bytes");
  } else if (cgroup_path("", path, sizeof path)) {
    put_u64(o, "version", 2);
    put(o, "path", path);
    put_limit(o, "/sys/fs/cgroup", path, "memory.max", "limit_bytes");
    put_limit(o, "/sys/fs/cgroup", path, "memory.current", "used_bytes");
  } else {
    put(o, "version", "none");
  }
  return o;
}

/* ---- caches and nodes --------------------------------------------------- */

json_t *info_caches(void) {
  json_t *list = json_array();
  hwloc_topology_t t;
  if (hwloc_topology_init(&t) != 0) {
    return list;
  }
  if (hwloc_topology_load(t) == 0) {
    static const hwloc_obj_type_t TYPES[] = {
        HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE,
        HWLOC_OBJ_L4CACHE};
    for (size_t i = 0; i < CIRA_COUNT(TYPES); i++) {
      hwloc_obj_t c = hwloc_get_obj_by_type(t, TYPES[i], 0);
      if (c == NULL) {
        continue;
      }
      json_t *o = json_object();
      put_u64(o, "level", c->attr->cache.depth);
      put_u64(o, "size_bytes", c->attr->cache.size);
      put_u64(o, "line_bytes", c->attr->cache.linesize);
      put_u64(o, "shared_by", (uint64_t)hwloc_bitmap_weight(c->cpuset));
      put_u64(o, "count", (uint64_t)hwloc_get_nbobjs_by_type(t, TYPES[i]));
      json_array_append_new(list, o);
    }
  }
  hwloc_topology_destroy(t);
  return list;
}

json_t *info_nodes(void) {
  json_t *list = json_array();
  if (numa_available() < 0) {
    return list;
  }
  struct bitmask *cpus = numa_allocate_cpumask();
  for (int n = 0; n <= numa_max_node(); n++) {
    long long free_bytes = 0;
    long long bytes = numa_node_size64(n, &free_bytes);
    if (bytes < 0) {
      continue;
    }
    json_t *o = json_object();
    put_u64(o, "node", (uint64_t)n);
    put_u64(o, "memory_bytes", (uint64_t)bytes);
    put_u64(o, "free_bytes", (uint64_t)free_bytes);
    unsigned count =
        numa_node_to_cpus(n, cpus) == 0 ? numa_bitmask_weight(cpus) : 0;
    put_u64(o, "processors", count);
    put_u64(o, "distance_from_here",
            (uint64_t)numa_distance(numa_node_of_cpu(0), n));
    put(o, "kind",
        count > 0 ? "processors and memory"
                  : "memory only (CXL, HBM or persistent memory)");
    json_array_append_new(list, o);
  }
  numa_free_cpumask(cpus);
  return list;
}

json_t *info_server(const char *token_file) {
  json_t *o = json_object();
  cira_fabric_options_t opt;
  cira_fabric_options_default(&opt);
  opt.token_file = token_file;
  opt.deadline_ns = UINT64_C(2000000000); /* 2 s */
  cira_fabric_t *f = NULL;
  put(o, "url", "shm:");
  if (cira_fabric_connect("shm:", &opt, &f) == CIRA_OK) {
    put(o, "state", "answers");
    cira_fabric_close(f);
  } else {
    put(o, "state", cira_status_detail());
  }
  return o;
}
