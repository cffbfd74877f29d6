/* SPDX-License-Identifier: Apache-2.0
 *
 * The callee's table: names, functions, shared objects, windows.
 * Entries are only ever added and their array never moves, so those who serve
 * read it without the lock; the count is published after the entry.
 */
#include "call/internal.h"

#include <dlfcn.h>
#include <string.h>

#define PREFIX "cira_kernel_"
#define ARRAY_PREFIX "cira_array_kernel_"

cira_status_t cira_call_table_create(cira_call_table_t **out) {
  if (!out) {
    return cira__fail(CIRA_E_INVALID, "call_table_create: out is NULL");
  }
  cira_call_table_t *t = cira__call_memory(sizeof(*t));
  cira__call_entry_t *entry =
      t ? cira__call_memory(CIRA_CALL_FUNCTION_MAX * sizeof(*entry)) : NULL;
  if (!entry) {
    cira__call_memory_free(t);
    return cira__fail(CIRA_E_NOMEM, "call_table_create: no memory");
  }
  t->entry = entry;
  (void)pthread_mutex_init(&t->lock, NULL);
  *out = t;
  return CIRA_OK;
}

void cira_call_table_destroy(cira_call_table_t *t) {
  if (!t) {
    return;
  }
  for (uint32_t i = 0; i < t->library_count; i++) {
    (void)dlclose(t->library[i]);
  }
  (void)pthread_mutex_destroy(&t->lock);
  cira__call_memory_free(t->entry);
  cira__call_memory_free(t);
}

bool cira__call_name_ok(const char *name) {
  size_t n = name ? strnlen(name, CIRA_CALL_NAME_MAX + 1) : 0;
  return n > 0 && n <= CIRA_CALL_NAME_MAX;
}

static uint32_t entry_find(const cira_call_table_t *t, const char *name) {
  for (uint32_t i = 0; i < t->count; i++) {
    if (strcmp(t->entry[i].name, name) == 0) {
      return i + 1;
    }
  }
  return 0;
}

/* Under the lock. Returns its number, 0 when the table is full. */
static uint32_t entry_add(cira_call_table_t *t, const char *name,
                          cira_call_fn_t function, void *context, bool array) {
  if (t->count == CIRA_CALL_FUNCTION_MAX) {
    return 0;
  }
  cira__call_entry_t *e = &t->entry[t->count];
  e->function = function;
  e->context = context;
  e->array = array;
  memcpy(e->name, name, strlen(name) + 1);
  /* pairs with: the acquire load in cira__call_entry */
  __atomic_store_n(&t->count, t->count + 1, __ATOMIC_RELEASE);
  return t->count;
}

static cira_status_t table_add(cira_call_table_t *t, const char *name,
                               cira_call_fn_t function, void *context,
                               bool array) {
  if (!t || !function || !cira__call_name_ok(name)) {
    return cira__fail(CIRA_E_INVALID,
                      "call_table_add: the table or function is NULL, or the "
                      "name has not 1 to %u bytes",
                      CIRA_CALL_NAME_MAX);
  }
  cira_status_t status = CIRA_OK;
  (void)pthread_mutex_lock(&t->lock);
  if (entry_find(t, name)) {
    status =
        cira__fail(CIRA_E_INVALID,
                   "call_table_add: there is a function '%s' already", name);
  } else if (!entry_add(t, name, function, context, array)) {
    status = cira__fail(CIRA_E_QUOTA,
                        "call_table_add: '%s' is more than the %u functions "
                        "that a table holds",
                        name, CIRA_CALL_FUNCTION_MAX);
  }
  (void)pthread_mutex_unlock(&t->lock);
  return status;
}

cira_status_t cira_call_table_add(cira_call_table_t *t, const char *name,
                                  cira_call_fn_t function, void *context) {
  return table_add(t, name, function, context, false);
}

cira_status_t cira_call_table_add_array(cira_call_table_t *t, const char *name,
                                        cira_call_fn_t function,
                                        void *context) {
  return table_add(t, name, function, context, true);
}

cira_status_t cira_call_table_load(cira_call_table_t *t, const char *path) {
  if (!t || !path) {
    return cira__fail(CIRA_E_INVALID,
                      "call_table_load: the table or path is NULL");
  }
  if (t->library_count == CIRA__CALL_LIBRARY_MAX) {
    return cira__fail(CIRA_E_QUOTA,
                      "call_table_load: '%s' is more than the %u libraries "
                      "that a table holds",
                      path, CIRA__CALL_LIBRARY_MAX);
  }
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    return cira__fail(CIRA_E_INVALID, "call_table_load: cannot load '%s': %s",
                      path, why ? why : "no reason given");
  }
  t->library[t->library_count++] = library;
  return CIRA_OK;
}

cira_status_t cira_call_table_window(cira_call_table_t *t, uint32_t window,
                                     void *memory, uint64_t bytes) {
  uint64_t end;
  if (!t) {
    return cira__fail(CIRA_E_INVALID, "call_table_window: the table is NULL");
  }
  if (window >= CIRA_CALL_WINDOW_MAX ||
      !cira__add_ok((uintptr_t)memory, bytes, &end)) {
    return cira__fail(CIRA_E_RANGE,
                      "call_table_window: window %u is not below %u, or %llu "
                      "bytes at %p leave the address space",
                      window, CIRA_CALL_WINDOW_MAX, (unsigned long long)bytes,
                      memory);
  }
  t->window[window].at = memory;
  t->window[window].bytes = memory ? bytes : 0;
  return CIRA_OK;
}

/* A name that no library can have as part of a symbol is not looked up: dlsym
 * reads it as a C string and that is all it checks. */
static cira_call_fn_t library_find(const cira_call_table_t *t,
                                   const char *prefix, const char *name) {
  char symbol[sizeof(ARRAY_PREFIX) + CIRA_CALL_NAME_MAX];
  (void)cira__format(symbol, sizeof(symbol), "%s%s", prefix, name);
  for (uint32_t i = 0; i < t->library_count; i++) {
    void *at = dlsym(t->library[i], symbol);
    if (at) {
      cira_call_fn_t function;
      memcpy(&function, &at, sizeof(function)); /* as POSIX wants it */
      return function;
    }
  }
  return NULL;
}

cira_status_t cira__call_table_find(cira_call_table_t *t, const char *name,
                                    uint32_t *out_number) {
  cira_status_t status = CIRA_E_INVALID;
  (void)pthread_mutex_lock(&t->lock);
  uint32_t number = entry_find(t, name);
  if (number == 0) {
    void *context = NULL;
    cira_call_fn_t function = library_find(t, PREFIX, name);
    bool array = function == NULL;
    if (array) {
      function = library_find(t, ARRAY_PREFIX, name);
    }
    if (!function && t->resolver) {
      status = t->resolver(t->resolver_self, name, &function, &context);
      function = status == CIRA_OK ? function : NULL;
    }
    number = function ? entry_add(t, name, function, context, array) : 0;
  }
  (void)pthread_mutex_unlock(&t->lock);
  if (number == 0) {
    return status != CIRA_E_INVALID
               ? status
               : cira__fail(status, "the callee knows no function '%s'", name);
  }
  *out_number = number;
  return CIRA_OK;
}
