/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes, durations and numbers as people write them. Exact integer arithmetic:
 * a fraction is kept as a numerator over a power of ten.
 */
#include "base/base.h"

#include <string.h>

typedef struct {
  uint64_t whole;
  uint64_t fraction; /* in units of 1 / scale */
  uint64_t scale;    /* power of ten */
} decimal_t;

/* Reads "12", "1.5"; returns the rest, NULL when there is no number or it does
 * not fit. Digits after the ninth of a fraction are dropped. */
static const char *decimal_read(const char *p, decimal_t *out) {
  *out = (decimal_t){.scale = 1};
  if (*p < '0' || *p > '9') {
    return NULL;
  }
  for (; *p >= '0' && *p <= '9'; p++) {
    if (!cira__mul_ok(out->whole, 10, &out->whole) ||
        !cira__add_ok(out->whole, (uint64_t)(*p - '0'), &out->whole)) {
      return NULL;
    }
  }
  if (*p != '.') {
    return p;
  }
  p++;
  if (*p < '0' || *p > '9') {
    return NULL;
  }
  for (; *p >= '0' && *p <= '9'; p++) {
    if (out->scale < 1000000000u) {
      out->scale *= 10;
      out->fraction = out->fraction * 10 + (uint64_t)(*p - '0');
    }
  }
  return p;
}

/* value * unit, false on overflow. */
static bool decimal_scale(const decimal_t *d, uint64_t unit, uint64_t *out) {
  uint64_t whole;
  unsigned __int128 part = (unsigned __int128)d->fraction * unit / d->scale;
  return cira__mul_ok(d->whole, unit, &whole) &&
         cira__add_ok(whole, (uint64_t)part, out);
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_word(const char *text, const char *word) {
  for (; *text && *word; text++, word++) {
    if (lower(*text) != *word) {
      return false;
    }
  }
  return *text == *word;
}

cira_status_t cira__parse_size(const char *text, const char *what,
                               uint64_t *out_bytes) {
  static const char units[] = "kmgt";
  decimal_t d;
  const char *p = text ? decimal_read(text, &d) : NULL;
  unsigned shift = 0;
  uint64_t bytes;
  if (p) {
    p += *p == ' ';
    const char *unit = *p ? strchr(units, lower(*p)) : NULL;
    if (unit) {
      shift = 10 * (unsigned)(unit - units + 1);
      p++;
    }
    bool rest_ok = !*p || same_word(p, "b") || (shift && same_word(p, "ib"));
    if (rest_ok && decimal_scale(&d, 1ull << shift, &bytes)) {
      *out_bytes = bytes;
      return CIRA_OK;
    }
  }
  return cira__fail(CIRA_E_INVALID,
                    "%s: '%s' is not a size; write a number with k, m, g or t, "
                    "such as 512m or 1.5GiB",
                    what, text ? text : "");
}

cira_status_t cira__parse_duration(const char *text, const char *what,
                                   uint64_t *out_ns) {
  static const struct {
    const char *name;
    uint64_t ns;
  } units[] = {{"", 1000000000u}, {"s", 1000000000u}, {"ms", 1000000u},
               {"us", 1000u},     {"ns", 1u},         {"min", 60000000000u}};
  decimal_t d;
  const char *p = text ? decimal_read(text, &d) : NULL;
  for (unsigned i = 0; p && i < CIRA_COUNT(units); i++) {
    uint64_t ns;
    if (same_word(p, units[i].name) && decimal_scale(&d, units[i].ns, &ns)) {
      *out_ns = ns;
      return CIRA_OK;
    }
  }
  return cira__fail(CIRA_E_INVALID,
                    "%s: '%s' is not a duration; write a number with s, ms or "
                    "us, such as 10s or 250ms",
                    what, text ? text : "");
}

cira_status_t cira__parse_u64(const char *text, const char *what, uint64_t max,
                              uint64_t *out) {
  decimal_t d;
  const char *p = text ? decimal_read(text, &d) : NULL;
  if (!p || *p || d.scale != 1 || d.whole > max) {
    return cira__fail(CIRA_E_INVALID,
                      "%s: '%s' is not a whole number from 0 to %llu", what,
                      text ? text : "", (unsigned long long)max);
  }
  *out = d.whole;
  return CIRA_OK;
}

char *cira__size_text(uint64_t bytes, char *buf, size_t buf_bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  unsigned unit = 0;
  uint64_t one = 1;
  while (unit + 1 < CIRA_COUNT(units) && bytes / one >= 1024) {
    one <<= 10;
    unit++;
  }
  /* One decimal, rounded, as long as it says something; 10 and more do
   * without it, except where it is exact. */
  uint64_t whole = bytes / one;
  uint64_t tenths = ((bytes % one) * 10 + one / 2) / one;
  if (tenths == 10) {
    whole++;
    tenths = 0;
  }
  if (tenths) {
    cira__format(buf, buf_bytes, "%llu.%llu %s", (unsigned long long)whole,
                 (unsigned long long)tenths, units[unit]);
  } else {
    cira__format(buf, buf_bytes, "%llu %s", (unsigned long long)whole,
                 units[unit]);
  }
  return buf;
}
