/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles of prefetching: see profile.h.
 */
#include "prefetch/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/internal.h"

#define FILE_MAX (UINT64_C(16) << 20) /* 16 MiB: nobody's profile is larger */
#define SECTION "[cira-prefetch]"

typedef struct {
  const char *at, *end;
  uint32_t number; /* of the line, from 1 */
} lines_t;

/* The next line without blanks at both ends; false at the end of the text. */
static bool line_next(lines_t *l, const char **out, size_t *out_bytes) {
  if (l->at >= l->end) {
    return false;
  }
  const char *from = l->at;
  const char *to = memchr(from, '\n', (size_t)(l->end - from));
  to = to ? to : l->end;
  l->at = to < l->end ? to + 1 : to;
  l->number++;
  while (from < to && (*from == ' ' || *from == '\t')) {
    from++;
  }
  while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r')) {
    to--;
  }
  *out = from;
  *out_bytes = (size_t)(to - from);
  return true;
}

/* "name = number", cut into both. */
static bool pair(const char *line, size_t bytes, char *name, size_t room,
                 uint64_t *out) {
  size_t n = 0;
  while (n < bytes && line[n] != ' ' && line[n] != '=' && line[n] != '\t') {
    n++;
  }
  if (n == 0 || n >= room) {
    return false;
  }
  memcpy(name, line, n);
  name[n] = 0;
  while (n < bytes && (line[n] == ' ' || line[n] == '\t')) {
    n++;
  }
  if (n == bytes || line[n++] != '=') {
    return false;
  }
  while (n < bytes && (line[n] == ' ' || line[n] == '\t')) {
    n++;
  }
  uint64_t value = 0;
  if (n == bytes || bytes - n > 10) {
    return false;
  }
  for (; n < bytes; n++) {
    if (line[n] < '0' || line[n] > '9') {
      return false;
    }
    value = value * 10 + (uint64_t)(line[n] - '0');
  }
  *out = value;
  return true;
}

static bool within(uint64_t value, uint64_t max, uint32_t *out) {
  *out = (uint32_t)value;
  return value >= 1 && value <= max;
}

/* One line of the section. Returns NULL, or what is wrong with it. */
static const char *take(const char *line, size_t bytes, bool *versioned,
                        cira_prefetch_settings_t *s) {
  char name[32];
  uint64_t value;
  if (!pair(line, bytes, name, sizeof(name), &value)) {
    return "not 'name = number'";
  }
  if (strcmp(name, "version") == 0) {
    *versioned = true;
    return value == CIRA__PREFETCH_PROFILE_VERSION ? NULL
                                                   : "of another version";
  }
  if (!*versioned) {
    return "version has to come first";
  }
  if (strcmp(name, "window_pages") == 0) {
    return within(value, CIRA__PREFETCH_WINDOW_MAX, &s->window_pages)
               ? NULL
               : "not 1 to 256 pages";
  }
  if (strcmp(name, "batches") == 0) {
    return within(value, CIRA__PREFETCH_BATCHES_MAX, &s->batches)
               ? NULL
               : "not 1 to 14 batches";
  }
  return "a name that this version does not know";
}

cira_status_t cira__prefetch_profile_parse(const char *text, size_t bytes,
                                           const char *name,
                                           cira_prefetch_settings_t *out) {
  lines_t lines = {.at = text, .end = text + bytes};
  cira_prefetch_settings_t s = {.size = sizeof(s)};
  const char *line;
  size_t n;
  bool inside = false;
  bool found = false;
  bool versioned = false;
  while (line_next(&lines, &line, &n)) {
    if (n > 0 && line[0] == '[') {
      inside = n == strlen(SECTION) && memcmp(line, SECTION, n) == 0;
      found = found || inside;
      continue;
    }
    if (!inside || n == 0 || line[0] == '#') {
      continue;
    }
    const char *wrong = take(line, n, &versioned, &s);
    if (wrong) {
      return cira__fail(CIRA_E_INVALID, "%s:%u: %s", name, lines.number, wrong);
    }
  }
  if (!found || !versioned) {
    return cira__fail(CIRA_E_INVALID,
                      "%s: no section " SECTION " with a version; write one "
                      "with cira_prefetch_profile_save",
                      name);
  }
  *out = s;
  return CIRA_OK;
}

size_t cira__prefetch_profile_text(const cira_prefetch_settings_t *s, char *buf,
                                   size_t bytes) {
  return cira__format(buf, bytes,
                      SECTION "\nversion = %u\nwindow_pages = %u\nbatches = "
                              "%u\n",
                      CIRA__PREFETCH_PROFILE_VERSION, s->window_pages,
                      s->batches);
}

/* ---- files -------------------------------------------------------------- */

cira_status_t cira_prefetch_profile_load(const char *path) {
  struct stat st;
  if (!path) {
    return cira__fail(CIRA_E_INVALID, "prefetch_profile_load: path is NULL");
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
    int error = fd < 0 ? errno : EINVAL;
    if (fd >= 0) {
      (void)close(fd);
    }
    return cira__fail_errno(CIRA_E_INVALID, error,
                            "%s: the profile cannot be read", path);
  }
  uint64_t bytes = (uint64_t)st.st_size;
  if (bytes > FILE_MAX) {
    (void)close(fd);
    return cira__fail(CIRA_E_INVALID, "%s: too large for a profile", path);
  }
  char *text = cira__pages_alloc(bytes + 1);
  if (!text) {
    (void)close(fd);
    return CIRA_E_NOMEM;
  }
  ssize_t n = read(fd, text, bytes);
  (void)close(fd);
  cira_prefetch_settings_t settings;
  cira_status_t status =
      n < 0 ? cira__fail_errno(CIRA_E_INVALID, errno,
                               "%s: the profile cannot be read", path)
            : cira__prefetch_profile_parse(text, (size_t)n, path, &settings);
  cira__pages_free(text, bytes + 1);
  return status == CIRA_OK ? cira_prefetch_settings_set(&settings) : status;
}

/* Writes text beside path and takes its place when it is whole: a full disk
 * does not cost what an earlier run left. */
static int profile_replace(const char *path, const char *text, size_t bytes) {
  char part[PATH_MAX];
  if (cira__format(part, sizeof(part), "%s.%d", path, (int)getpid()) >=
      sizeof(part) - 1) {
    return ENAMETOOLONG;
  }
  int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    return errno;
  }
  ssize_t n = write(fd, text, bytes);
  int error = n < 0 ? errno : n < (ssize_t)bytes ? ENOSPC : 0;
  if (close(fd) < 0 && error == 0) {
    error = errno;
  }
  if (error == 0 && rename(part, path) < 0) {
    error = errno;
  }
  if (error) {
    (void)unlink(part);
  }
  return error;
}

cira_status_t cira_prefetch_profile_save(const char *path) {
  char text[256];
  cira_prefetch_settings_t settings = {.size = sizeof(settings)};
  if (!path) {
    return cira__fail(CIRA_E_INVALID, "prefetch_profile_save: path is NULL");
  }
  cira_status_t status = cira_prefetch_settings_get(&settings);
  if (status != CIRA_OK) {
    return status;
  }
  size_t n = cira__prefetch_profile_text(&settings, text, sizeof(text));
  int error = profile_replace(path, text, n);
  return error == 0
             ? CIRA_OK
             : cira__fail_errno(CIRA_E_SYSTEM, error,
                                "%s: the profile cannot be written", path);
}
