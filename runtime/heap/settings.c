/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of environment variables, see settings.h. A setter returns NULL,
 * or what to write instead of the value.
 */
#include "heap/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef const char *setter_t(cira_settings_t *s, const char *name,
                             const char *value);

static bool parse_size(const char *name, const char *value, uint64_t min,
                       uint64_t max, uint64_t *out) {
  return cira__parse_size(value, name, out) == CIRA_OK && *out >= min &&
         *out <= max;
}

static bool parse_count(const char *name, const char *value, uint64_t min,
                        uint64_t max, uint32_t *out) {
  uint64_t n = 0;
  bool ok = cira__parse_u64(value, name, max, &n) == CIRA_OK && n >= min;
  *out = (uint32_t)n;
  return ok;
}

static bool parse_name(const char *value, const char *const *names,
                       uint32_t count, uint32_t *out) {
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(value, names[i]) == 0) {
      *out = i;
      return true;
    }
  }
  return false;
}

static const char *set_far(cira_settings_t *s, const char *name,
                           const char *value) {
  (void)name;
  s->space.url = value;
  return value[0] != 0 ? NULL
                       : "empty; name a place such as host:, shm: or "
                         "tcp://127.0.0.1:7470, or unset it";
}

static const char *set_local(cira_settings_t *s, const char *name,
                             const char *value) {
  return parse_size(name, value, CIRA_SPACE_LOCAL_MIN, CIRA_SPACE_BYTES_MAX,
                    &s->space.local_bytes)
             ? NULL
             : "not a size of at least 256K for the local cache; use e.g. "
               "512M or 2G";
}

static const char *set_range(cira_settings_t *s, const char *name,
                             const char *value) {
  return parse_size(name, value, UINT64_C(1) << 21, CIRA_SPACE_BYTES_MAX,
                    &s->space.range_bytes)
             ? NULL
             : "not a size between 2M and 16T for the far range; use e.g. 64G";
}

static const char *set_near(cira_settings_t *s, const char *name,
                            const char *value) {
  return parse_size(name, value, 0, UINT64_C(1) << 40, &s->heap.near_max_bytes)
             ? NULL
             : "not a block size; use e.g. 256 (0 places all blocks far)";
}

static const char *set_granule(cira_settings_t *s, const char *name,
                               const char *value) {
  uint64_t bytes = 0;
  if (!parse_size(name, value, CIRA_LINE_BYTES, CIRA_PAGE_BYTES, &bytes) ||
      (bytes & (bytes - 1)) != 0) {
    return "not a power of two from 64 to 4096 bytes; the default is 64";
  }
  s->space.granule_bytes = (uint32_t)bytes;
  return NULL;
}

static const char *set_lanes(cira_settings_t *s, const char *name,
                             const char *value) {
  return parse_count(name, value, 1, 8, &s->space.lanes)
             ? NULL
             : "not a number of connections from 1 to 8";
}

static const char *set_readahead(cira_settings_t *s, const char *name,
                                 const char *value) {
  return parse_count(name, value, 1, 256, &s->space.readahead_pages)
             ? NULL
             : "not a number of pages from 1 (no read-ahead) to 256";
}

static const char *set_prefetch(cira_settings_t *s, const char *name,
                                const char *value) {
  static const char *const names[] = {"adaptive", "fixed"};
  uint32_t fixed = 0;
  (void)name;
  bool ok = parse_name(value, names, CIRA_COUNT(names), &fixed);
  s->space.readahead_fixed = fixed != 0;
  return ok ? NULL : "neither adaptive nor fixed";
}

static const char *set_trace(cira_settings_t *s, const char *name,
                             const char *value) {
  (void)name;
  s->space.control_trace = value;
  return NULL;
}

static const char *set_deadline(cira_settings_t *s, const char *name,
                                const char *value) {
  uint64_t ns = 0;
  bool ok = cira__parse_duration(value, name, &ns) == CIRA_OK && ns != 0;
  s->space.deadline_ns = ns;
  return ok ? NULL : "not a duration above zero; use e.g. 10s or 500ms";
}

static const char *set_token(cira_settings_t *s, const char *name,
                             const char *value) {
  (void)name;
  s->space.token_file = value;
  return access(value, R_OK) == 0
             ? NULL
             : "the token file cannot be read; check path and rights";
}

static const char *set_mode(cira_settings_t *s, const char *name,
                            const char *value) {
  static const char *const names[] = {"auto", "sigbus", "thread", "sigsegv"};
  uint32_t mode = 0;
  (void)name;
  bool ok = parse_name(value, names, CIRA_COUNT(names), &mode);
  s->space.mode = (cira_space_mode_t)mode;
  return ok ? NULL : "not one of auto, sigbus, thread, sigsegv";
}

static const char *const SWITCH[] = {"off", "on"};

static const char *set_huge(cira_settings_t *s, const char *name,
                            const char *value) {
  uint32_t on = 0;
  (void)name;
  bool ok = parse_name(value, SWITCH, CIRA_COUNT(SWITCH), &on);
  s->space.no_huge_pages = on == 0;
  return ok ? NULL : "neither on nor off";
}

static const char *set_onstack(cira_settings_t *s, const char *name,
                               const char *value) {
  uint32_t on = 0;
  (void)name;
  bool ok = parse_name(value, SWITCH, CIRA_COUNT(SWITCH), &on);
  s->onstack = on != 0;
  return ok ? NULL : "neither on nor off";
}

static const char *set_log(cira_settings_t *s, const char *name,
                           const char *value) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  uint32_t level = CIRA_LOG_WARN;
  (void)s;
  (void)name;
  bool ok = parse_name(value, names, CIRA_COUNT(names), &level);
  cira__log_level = (cira_log_level_t)level;
  return ok ? NULL : "not one of error, warn, info, debug";
}

static const char *set_stats(cira_settings_t *s, const char *name,
                             const char *value) {
  (void)name;
  s->stats = value;
  return NULL;
}

/* Read by other parts of cira; here only known. */
static const char *set_other(cira_settings_t *s, const char *name,
                             const char *value) {
  (void)s;
  (void)name;
  (void)value;
  return NULL;
}

static const struct {
  const char *name;
  setter_t *set;
} variables[] = {
    {"CIRA_LOG", set_log}, /* first: the others may log */
    {"CIRA_FAR", set_far},           {"CIRA_FAR_SIZE", set_range},
    {"CIRA_LOCAL", set_local},       {"CIRA_NEAR_MAX", set_near},
    {"CIRA_DEADLINE", set_deadline}, {"CIRA_TOKEN_FILE", set_token},
    {"CIRA_MODE", set_mode},         {"CIRA_GRANULE", set_granule},
    {"CIRA_LANES", set_lanes},       {"CIRA_READAHEAD", set_readahead},
    {"CIRA_HUGE", set_huge},         {"CIRA_STATS", set_stats},
    {"CIRA_ONSTACK", set_onstack},   {"CIRA_FAR_SOCKET", set_other},
    {"CIRA_CHECK", set_other},       {"CIRA_HELPERS", set_other},
    {"CIRA_PLACE", set_other},       {"CIRA_PROFILE", set_other},
    {"CIRA_PREFETCH", set_prefetch}, {"CIRA_PREFETCH_TRACE", set_trace},
};

static void warn_unknown(void) {
  for (char **e = environ; e != NULL && *e != NULL; e++) {
    if (strncmp(*e, "CIRA_", 5) != 0) {
      continue;
    }
    size_t length = strcspn(*e, "=");
    bool known = false;
    for (size_t i = 0; i < CIRA_COUNT(variables) && !known; i++) {
      known = strlen(variables[i].name) == length &&
              strncmp(*e, variables[i].name, length) == 0;
    }
    if (!known) {
      cira__log(CIRA_LOG_WARN,
                "%s: the runtime knows no such variable and ignores it; see "
                "docs/environment.md",
                *e);
    }
  }
}

void cira_settings_default(cira_settings_t *out) {
  memset(out, 0, sizeof *out);
  cira_space_options_default(&out->space);
  out->heap.size = (uint32_t)sizeof out->heap;
  out->onstack = true;
}

cira_status_t cira_settings_read(cira_settings_t *out, uint32_t flags) {
  for (size_t i = 0; i < CIRA_COUNT(variables); i++) {
    const char *name = variables[i].name;
    const char *value = getenv(name);
    const char *remedy =
        value != NULL ? variables[i].set(out, name, value) : NULL;
    if (remedy != NULL) {
      return cira__fail(CIRA_E_INVALID, "%s=%s: %s", name, value, remedy);
    }
  }
  if ((flags & CIRA_SETTINGS_F_WARN) != 0) {
    warn_unknown();
  }
  return CIRA_OK;
}
