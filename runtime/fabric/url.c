/* SPDX-License-Identifier: Apache-2.0
 *
 * Recursive descent over slices of one string; depth and number of children
 * are bounded. Reads only the text, so a fuzzer can drive it.
 */
#include "fabric/url.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cira_status_t list_parse(cira__slice_t in, unsigned depth,
                                cira__url_t *out);

/* A slice as a string for messages; long ones are cut. */
typedef struct {
  char text[96];
} shown_t;

static const char *show(cira__slice_t s, shown_t *buf) {
  size_t n =
      s.length < sizeof(buf->text) - 1 ? s.length : sizeof(buf->text) - 1;
  memcpy(buf->text, s.text, n);
  buf->text[n] = 0;
  return buf->text;
}
#define SHOW(s) show((s), &(shown_t){{0}})

static bool has_prefix(cira__slice_t s, const char *prefix) {
  size_t n = strlen(prefix);
  return s.length >= n && memcmp(s.text, prefix, n) == 0;
}

static cira__slice_t after(cira__slice_t s, size_t n) {
  return (cira__slice_t){s.text + n, s.length - n};
}

static bool copy_text(cira__slice_t s, char *buf, size_t bytes) {
  if (s.length >= bytes || memchr(s.text, 0, s.length)) {
    return false;
  }
  memcpy(buf, s.text, s.length);
  buf[s.length] = 0;
  return true;
}

/* Cuts off everything up to the next `separator` outside of brackets. Returns
 * false when brackets do not match. */
static bool cut(cira__slice_t *rest, char separator, cira__slice_t *piece) {
  size_t depth = 0;
  size_t i = 0;
  for (; i < rest->length; i++) {
    char c = rest->text[i];
    if (c == '(') {
      depth++;
    } else if (c == ')') {
      if (depth-- == 0) {
        return false;
      }
    } else if (c == separator && depth == 0) {
      break;
    }
  }
  *piece = (cira__slice_t){rest->text, i};
  bool more = i < rest->length;
  *rest = more ? after(*rest, i + 1) : (cira__slice_t){NULL, 0};
  return depth == 0;
}

/* ---- leaves ------------------------------------------------------------- */

static cira_status_t path_parse(cira__slice_t whole, cira__slice_t path,
                                cira__url_kind_t kind, cira__url_t *out) {
  out->kind = kind;
  if (kind == CIRA__URL_UNIX && path.length == 0) {
    return cira__fail(CIRA_E_INVALID,
                      "'unix:' needs the path of a socket, as in "
                      "unix:/tmp/cira.sock");
  }
  if (!copy_text(path, out->path, sizeof(out->path))) {
    return cira__fail(CIRA_E_INVALID,
                      "'%s': the path of a socket has at most %u bytes",
                      SHOW(whole), CIRA__URL_PATH_BYTES - 1);
  }
  return CIRA_OK;
}

static cira_status_t tcp_parse(cira__slice_t whole, cira__url_t *out) {
  cira__slice_t rest = after(whole, strlen("tcp://"));
  cira__slice_t host;
  size_t i = 0;
  if (rest.length && rest.text[0] == '[') {
    const char *end = memchr(rest.text, ']', rest.length);
    if (!end) {
      return cira__fail(CIRA_E_INVALID, "'%s': ']' is missing", SHOW(whole));
    }
    host = (cira__slice_t){rest.text + 1, (size_t)(end - rest.text) - 1};
    i = (size_t)(end - rest.text) + 1;
  } else {
    while (i < rest.length && rest.text[i] != ':' && rest.text[i] != '/') {
      i++;
    }
    host = (cira__slice_t){rest.text, i};
  }
  char digits[8];
  uint64_t port;
  if (i >= rest.length || rest.text[i] != ':' ||
      !copy_text(after(rest, i + 1), digits, sizeof(digits)) ||
      cira__parse_u64(digits, "port", 65535, &port) != CIRA_OK) {
    return cira__fail(CIRA_E_INVALID,
                      "'%s': a TCP place is tcp://HOST:PORT, with a port from "
                      "0 to 65535 and IPv6 addresses in [ ]",
                      SHOW(whole));
  }
  if (!copy_text(host, out->host, sizeof(out->host))) {
    return cira__fail(CIRA_E_INVALID, "'%s': the host name is too long",
                      SHOW(whole));
  }
  out->kind = CIRA__URL_TCP;
  out->port = (uint16_t)port;
  return CIRA_OK;
}

/* ---- hooks -------------------------------------------------------------- */

/* "0.01" -> 10000; false unless it is from 0 to 1. */
static bool probability_parse(const char *text, uint32_t *out_ppm) {
  uint64_t value = 0;
  uint64_t scale = 0; /* 0 = before the point */
  if (!*text) {
    return false;
  }
  for (; *text; text++) {
    if (*text == '.' && !scale) {
      scale = 1;
    } else if (*text >= '0' && *text <= '9' && value < 1000000000u) {
      if (scale >= 1000000u) {
        continue; /* below one in a million */
      }
      value = value * 10 + (uint64_t)(*text - '0');
      scale *= 10;
    } else {
      return false;
    }
  }
  scale = scale ? scale : 1;
  if (value > scale) {
    return false;
  }
  *out_ppm = (uint32_t)(value * (1000000u / scale));
  return true;
}

static bool status_parse(const char *text, cira_status_t *out) {
  for (cira_status_t s = CIRA_E_QUOTA; s < 0; s++) {
    if (strcmp(cira_status_name(s), text) == 0) {
      *out = s;
      return true;
    }
  }
  return false;
}

static cira_status_t fault_option(const char *name, const char *value,
                                  cira__url_fault_t *f) {
  struct {
    const char *name;
    uint32_t *ppm;
  } chances[] = {{"drop", &f->drop_ppm},
                 {"reorder", &f->reorder_ppm},
                 {"short", &f->short_ppm}};
  struct {
    const char *name;
    uint64_t *number;
  } numbers[] = {{"disconnect", &f->disconnect_at},
                 {"fail", &f->fail_at},
                 {"seed", &f->seed}};
  for (unsigned i = 0; i < CIRA_COUNT(chances); i++) {
    if (strcmp(name, chances[i].name) == 0) {
      return probability_parse(value, chances[i].ppm)
                 ? CIRA_OK
                 : cira__fail(CIRA_E_INVALID,
                              "fault: %s=%s is not a probability from 0 to 1",
                              name, value);
    }
  }
  for (unsigned i = 0; i < CIRA_COUNT(numbers); i++) {
    if (strcmp(name, numbers[i].name) == 0) {
      return cira__parse_u64(value, name, UINT64_MAX, numbers[i].number);
    }
  }
  if (strcmp(name, "delay") == 0) {
    return cira__parse_duration(value, "fault: delay", &f->delay_ns);
  }
  if (strcmp(name, "status") == 0) {
    return status_parse(value, &f->fail_status)
               ? CIRA_OK
               : cira__fail(CIRA_E_INVALID,
                            "fault: status=%s is not the name of an error",
                            value);
  }
  return cira__fail(CIRA_E_INVALID,
                    "fault: '%s' is not an option; use drop, delay, reorder, "
                    "short, disconnect, fail, status or seed",
                    name);
}

static cira_status_t option_parse(cira__slice_t option, cira__url_t *out) {
  char text[128];
  if (!copy_text(option, text, sizeof(text)) || !strchr(text, '=')) {
    return cira__fail(CIRA_E_INVALID, "'%s': an option of a hook is name=value",
                      SHOW(option));
  }
  char *value = strchr(text, '=');
  *value++ = 0;
  if (out->kind == CIRA__URL_FAULT) {
    return fault_option(text, value, &out->fault);
  }
  if (strcmp(text, "file") != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "trace: '%s' is not an option; use file=PATH", text);
  }
  size_t n = strlen(value);
  if (n == 0 || n >= sizeof(out->path)) {
    return cira__fail(CIRA_E_INVALID,
                      "trace: file= needs a path of 1 to %u bytes",
                      CIRA__URL_PATH_BYTES - 1);
  }
  memcpy(out->path, value, n + 1);
  return CIRA_OK;
}

static cira_status_t hook_parse(cira__slice_t whole, size_t name_length,
                                cira__url_kind_t kind, unsigned depth,
                                cira__url_t *out) {
  if (whole.text[whole.length - 1] != ')') {
    return cira__fail(CIRA_E_INVALID, "'%s': ')' is missing at the end",
                      SHOW(whole));
  }
  cira__slice_t rest = {whole.text + name_length,
                        whole.length - name_length - 1};
  cira__slice_t inner;
  if (!cut(&rest, ';', &inner)) {
    return cira__fail(CIRA_E_INVALID, "'%s': brackets do not match",
                      SHOW(whole));
  }
  cira__url_t ignored;
  cira_status_t status = list_parse(inner, depth + 1, &ignored);
  if (status != CIRA_OK) {
    return status;
  }
  out->kind = kind;
  out->child[0] = inner;
  out->child_count = 1;
  out->fault.fail_status = CIRA_E_SYSTEM;
  while (rest.text) {
    cira__slice_t option;
    if (!cut(&rest, ';', &option)) {
      return cira__fail(CIRA_E_INVALID, "'%s': brackets do not match",
                        SHOW(whole));
    }
    status = option_parse(option, out);
    if (status != CIRA_OK) {
      return status;
    }
  }
  return CIRA_OK;
}

/* ---- the grammar -------------------------------------------------------- */

static cira_status_t one_parse(cira__slice_t s, unsigned depth,
                               cira__url_t *out) {
  static const char *const later[] = {"mirror(", "ofi://", "numa:", "dax:"};
  memset(out, 0, sizeof(*out));
  if (s.length == strlen("host:") && has_prefix(s, "host:")) {
    out->kind = CIRA__URL_HOST;
    return CIRA_OK;
  }
  if (has_prefix(s, "shm:")) {
    return path_parse(s, after(s, 4), CIRA__URL_SHM, out);
  }
  if (has_prefix(s, "unix:")) {
    return path_parse(s, after(s, 5), CIRA__URL_UNIX, out);
  }
  if (has_prefix(s, "tcp://")) {
    return tcp_parse(s, out);
  }
  if (has_prefix(s, "trace(")) {
    return hook_parse(s, 6, CIRA__URL_TRACE, depth, out);
  }
  if (has_prefix(s, "fault(")) {
    return hook_parse(s, 6, CIRA__URL_FAULT, depth, out);
  }
  for (unsigned i = 0; i < CIRA_COUNT(later); i++) {
    if (has_prefix(s, later[i])) {
      return cira__fail(CIRA_E_UNSUPPORTED,
                        "'%s' is not available in this version; use host:, "
                        "shm:, unix:PATH or tcp://HOST:PORT",
                        SHOW(s));
    }
  }
  return cira__fail(CIRA_E_INVALID,
                    "'%s' is not a place; use host:, shm:, shm:PATH, "
                    "unix:PATH or tcp://HOST:PORT, several with commas",
                    SHOW(s));
}

static cira_status_t list_parse(cira__slice_t in, unsigned depth,
                                cira__url_t *out) {
  if (depth >= CIRA__URL_DEPTH_MAX) {
    return cira__fail(CIRA_E_INVALID, "'%s': more than %u hooks in each other",
                      SHOW(in), CIRA__URL_DEPTH_MAX - 1);
  }
  cira__slice_t children[CIRA__URL_CHILDREN_MAX];
  uint32_t count = 0;
  cira__slice_t rest = in;
  do {
    cira__slice_t piece;
    if (!cut(&rest, ',', &piece)) {
      return cira__fail(CIRA_E_INVALID, "'%s': brackets do not match",
                        SHOW(in));
    }
    if (count == CIRA__URL_CHILDREN_MAX) {
      return cira__fail(CIRA_E_INVALID, "'%s': a stripe has at most %u servers",
                        SHOW(in), CIRA__URL_CHILDREN_MAX);
    }
    cira_status_t status = one_parse(piece, depth, out);
    if (status != CIRA_OK) {
      return status;
    }
    children[count++] = piece;
  } while (rest.text);
  if (count > 1) {
    memset(out, 0, sizeof(*out));
    out->kind = CIRA__URL_STRIPE;
    memcpy(out->child, children, count * sizeof(children[0]));
    out->child_count = count;
  }
  return CIRA_OK;
}

cira_status_t cira__url_parse(const char *text, size_t length,
                              cira__url_t *out) {
  if (!text || length == 0) {
    return cira__fail(CIRA_E_INVALID,
                      "the URL of the far memory is empty; use host:, shm:, "
                      "unix:PATH or tcp://HOST:PORT");
  }
  if (length >= CIRA__URL_BYTES) {
    return cira__fail(CIRA_E_INVALID, "the URL has %zu bytes, at most %u fit",
                      length, CIRA__URL_BYTES - 1);
  }
  return list_parse((cira__slice_t){text, length}, 0, out);
}

void cira__url_child(const cira__url_t *url, uint32_t index, char *buf) {
  cira__slice_t s = url->child[index]; /* shorter than the whole: fits */
  memcpy(buf, s.text, s.length);
  buf[s.length] = 0;
}

cira_status_t cira__url_shm_path(char *buf, size_t bytes) {
  const char *given = getenv("CIRA_FAR_SOCKET");
  const char *run = getenv("XDG_RUNTIME_DIR");
  size_t n;
  char text[512];
  if (given && *given) {
    n = cira__format(text, sizeof(text), "%s", given);
  } else if (run && *run) {
    n = cira__format(text, sizeof(text), "%s/cira-memd.sock", run);
  } else {
    n = cira__format(text, sizeof(text), "/tmp/cira-memd-%u.sock",
                     (unsigned)getuid());
  }
  if (n >= bytes || n >= CIRA__URL_PATH_BYTES) {
    return cira__fail(CIRA_E_INVALID,
                      "the socket path '%s' is longer than %u bytes; set "
                      "CIRA_FAR_SOCKET to a shorter one",
                      text, CIRA__URL_PATH_BYTES - 1);
  }
  memcpy(buf, text, n + 1);
  return CIRA_OK;
}
