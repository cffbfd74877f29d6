/* SPDX-License-Identifier: Apache-2.0
 *
 * printf for signal handlers: no locale, no allocation, no floats, no widths.
 * What does not fit is cut off; the string always ends.
 */
#include "base/base.h"

typedef struct {
  char *buf;
  size_t room; /* without the terminator */
  size_t used;
} sink_t;

static void put_char(sink_t *s, char c) {
  if (s->used < s->room) {
    s->buf[s->used++] = c;
  }
}

static void put_text(sink_t *s, const char *text) {
  for (text = text ? text : "(null)"; *text; text++) {
    put_char(s, *text);
  }
}

static void put_number(sink_t *s, uint64_t value, unsigned base) {
  char digits[20]; /* 2^64 has 20 decimal digits */
  unsigned n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value);
  while (n) {
    put_char(s, digits[--n]);
  }
}

static void put_signed(sink_t *s, int64_t value) {
  if (value < 0) {
    put_char(s, '-');
  }
  put_number(s, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

/* `wide`: the argument is 64 bits (l, ll, z on the 64-bit targets we have). */
static void put_argument(sink_t *s, char kind, bool wide, va_list *ap) {
  switch (kind) {
  case 's':
    put_text(s, va_arg(*ap, const char *));
    break;
  case 'c':
    put_char(s, (char)va_arg(*ap, int));
    break;
  case 'd':
  case 'i':
    put_signed(s, wide ? va_arg(*ap, int64_t) : va_arg(*ap, int));
    break;
  case 'u':
  case 'x':
    put_number(s, wide ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned),
               kind == 'u' ? 10 : 16);
    break;
  case 'p':
    put_text(s, "0x");
    put_number(s, (uintptr_t)va_arg(*ap, void *), 16);
    break;
  case '%':
    put_char(s, '%');
    break;
  default: /* a conversion we do not have: show it */
    put_char(s, '%');
    put_char(s, kind);
  }
}

size_t cira__vformat(char *buf, size_t bytes, const char *fmt, va_list ap) {
  if (bytes == 0) {
    return 0;
  }
  sink_t s = {.buf = buf, .room = bytes - 1};
  va_list copy;
  va_copy(copy, ap);
  for (const char *p = fmt; *p; p++) {
    if (*p != '%') {
      put_char(&s, *p);
      continue;
    }
    bool wide = false;
    for (p++; *p == 'l' || *p == 'z'; p++) {
      wide = true;
    }
    if (!*p) {
      break;
    }
    put_argument(&s, *p, wide, &copy);
  }
  va_end(copy);
  buf[s.used] = 0;
  return s.used;
}

size_t cira__format(char *buf, size_t bytes, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  size_t n = cira__vformat(buf, bytes, fmt, ap);
  va_end(ap);
  return n;
}
