/* SPDX-License-Identifier: Apache-2.0
 *
 * See symbols.h. Each file is opened once (libdwfl, offline); each address is
 * looked up once and kept in a hash table.
 */
#include "cira-prof/symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct module {
  struct module *next;
  const char *path; /* the model's */
  Dwfl *dwfl;       /* NULL: no such file */
  Dwfl_Module *mod;
} module_t;

typedef struct entry {
  struct entry *next;
  uint32_t process;
  uint64_t ip;
  prof_place_t place;
} entry_t;

#define BUCKETS 4096u
struct prof_symbols {
  const prof_model_t *model;
  module_t *modules;
  entry_t *bucket[BUCKETS];
  uint32_t newer;
};

static char *debug_path; /* libdwfl's default */
static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_path,
};

prof_symbols_t *prof_symbols_new(const prof_model_t *m) {
  prof_symbols_t *s = calloc(1, sizeof *s);
  if (s != NULL) {
    s->model = m;
  }
  return s;
}

void prof_symbols_free(prof_symbols_t *s) {
  if (s == NULL) {
    return;
  }
  for (uint32_t i = 0; i < BUCKETS; i++) {
    for (entry_t *e = s->bucket[i], *next; e != NULL; e = next) {
      next = e->next;
      free((void *)(uintptr_t)e->place.function);
      free((void *)(uintptr_t)e->place.file);
      free((void *)(uintptr_t)e->place.module);
      free(e);
    }
  }
  for (module_t *m = s->modules, *next; m != NULL; m = next) {
    next = m->next;
    dwfl_end(m->dwfl);
    free(m);
  }
  free(s);
}

uint32_t prof_symbols_newer(const prof_symbols_t *s) {
  return s->newer;
}

/* ---- files ----------------------------------------------------------------
 */

static module_t *module_open(prof_symbols_t *s, const char *path) {
  for (module_t *m = s->modules; m != NULL; m = m->next) {
    if (strcmp(m->path, path) == 0) {
      return m;
    }
  }
  module_t *m = calloc(1, sizeof *m);
  if (m == NULL) {
    return NULL;
  }
  m->path = path;
  m->next = s->modules;
  s->modules = m;
  struct stat st;
  if (path[0] != '/' || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
    return m;
  }
  if ((uint64_t)st.st_mtim.tv_sec >
      s->model->file.header->start_unix_ns / 1000000000u) {
    s->newer++;
  }
  m->dwfl = dwfl_begin(&callbacks);
  if (m->dwfl != NULL) {
    m->mod = dwfl_report_offline(m->dwfl, path, path, -1);
    dwfl_report_end(m->dwfl, NULL, NULL);
  }
  return m;
}

/* The address in the file's own numbering of what lies at a file offset. */
static bool address_of(module_t *m, uint64_t offset, Dwarf_Addr *out) {
  Dwarf_Addr bias;
  Elf *elf = m->mod != NULL ? dwfl_module_getelf(m->mod, &bias) : NULL;
  size_t n = 0;
  if (elf == NULL || elf_getphdrnum(elf, &n) != 0) {
    return false;
  }
  for (size_t i = 0; i < n; i++) {
    GElf_Phdr p;
    if (gelf_getphdr(elf, (int)i, &p) != NULL && p.p_type == PT_LOAD &&
        offset - p.p_offset < p.p_filesz) {
      *out = p.p_vaddr + (offset - p.p_offset) + bias;
      return true;
    }
  }
  return false;
}

/* ---- lines ----------------------------------------------------------------
 */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* The unit of code at an address: by the table of ranges where the compiler has
 * made one (clang does not), else by asking each unit. */
static Dwarf_Die *unit_of(const module_t *m, Dwarf_Addr at, Dwarf_Addr *bias) {
  Dwarf_Die *unit = dwfl_module_addrdie(m->mod, at, bias);
  if (unit != NULL) {
    return unit;
  }
  while ((unit = dwfl_module_nextcu(m->mod, unit, bias)) != NULL) {
    if (dwarf_haspc(unit, at - *bias) == 1) {
      return unit;
    }
  }
  return NULL;
}

/* The innermost function at an address, inlined ones included. */
static const char *function_in(Dwarf_Die *unit, Dwarf_Addr at) {
  Dwarf_Die *scopes = NULL;
  int n = dwarf_getscopes(unit, at, &scopes);
  const char *name = NULL;
  for (int i = 0; i < n && name == NULL; i++) {
    int tag = dwarf_tag(&scopes[i]);
    if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram) {
      Dwarf_Attribute attribute;
      name = dwarf_formstring(
          dwarf_attr_integrate(&scopes[i], DW_AT_name, &attribute));
    }
  }
  free(scopes);
  return name;
}

static void look_up(prof_symbols_t *s, const prof_process_t *p, uint64_t ip,
                    prof_place_t *out) {
  const prof_map_t *map = prof_map_find(p, ip);
  char name[64];
  snprintf(name, sizeof name, "0x%" PRIx64, ip);
  if (map == NULL) {
    out->module = strdup(ip == 0 ? "(unknown)" : "(unmapped)");
    out->function = strdup(ip == 0 ? "(unknown)" : name);
    return;
  }
  out->module = strdup(base_name(map->path));
  uint64_t offset = ip - map->lo + map->offset;
  Dwarf_Addr at;
  module_t *m = module_open(s, map->path);
  if (m == NULL || !address_of(m, offset, &at)) {
    out->function = strdup(name);
    return;
  }
  Dwarf_Addr bias;
  Dwarf_Die *unit = unit_of(m, at, &bias);
  const char *function = unit != NULL ? function_in(unit, at - bias) : NULL;
  if (function == NULL) {
    function = dwfl_module_addrname(m->mod, at);
  }
  snprintf(name, sizeof name, "+0x%" PRIx64, offset);
  out->function = strdup(function != NULL ? function : name);
  Dwarf_Line *line = unit != NULL ? dwarf_getsrc_die(unit, at - bias) : NULL;
  const char *file = line != NULL ? dwarf_linesrc(line, NULL, NULL) : NULL;
  int number = 0;
  if (file != NULL && dwarf_lineno(line, &number) == 0 && number > 0) {
    out->file = strdup(base_name(file));
    out->line = (uint32_t)number;
  }
}

const prof_place_t *prof_symbols_at(prof_symbols_t *s, uint32_t process,
                                    uint64_t ip, bool is_return) {
  static const prof_place_t lost = {.module = "?", .function = "?"};
  if (is_return && ip != 0) {
    ip--;
  }
  uint64_t hash = (ip ^ (uint64_t)process << 40) * UINT64_C(0x9e3779b97f4a7c15);
  entry_t **bucket = &s->bucket[hash >> 52];
  for (entry_t *e = *bucket; e != NULL; e = e->next) {
    if (e->ip == ip && e->process == process) {
      return &e->place;
    }
  }
  entry_t *e = calloc(1, sizeof *e);
  if (e == NULL) {
    return &lost;
  }
  *e = (entry_t){.next = *bucket, .process = process, .ip = ip};
  look_up(s, &s->model->processes[process], ip, &e->place);
  if (e->place.module == NULL || e->place.function == NULL) {
    free(e);
    return &lost;
  }
  *bucket = e;
  return &e->place;
}
