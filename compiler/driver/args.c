/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/args.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { depth_max = 16 };

static void *grow(void *old, size_t bytes) {
  void *block = realloc(old, bytes);
  if (!block) {
    fprintf(stderr, "cira-cc: error: out of memory for the command line\n");
    exit(1);
  }
  return block;
}

const char *cira__args_format(const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text;
  int length = vasprintf(&text, format, args);
  va_end(args);
  if (length < 0) {
    grow(NULL, SIZE_MAX); /* ends the process */
  }
  return text;
}

void cira__args_add(cira_args_t *args, const char *item) {
  if (args->count + 1 >= args->room) {
    args->room = args->room ? 2 * args->room : 64;
    args->items = grow(args->items, args->room * sizeof *args->items);
  }
  args->items[args->count++] = item;
  args->items[args->count] = NULL;
}

/* The bytes of a regular file, NUL-terminated; NULL if it cannot be read or
 * holds a NUL itself (UTF-16, which clang reads and we leave to it). */
static char *read_whole(const char *path) {
  FILE *file = fopen(path, "r");
  struct stat st;
  if (!file) {
    return NULL;
  }
  if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) {
    fclose(file);
    return NULL;
  }
  size_t size = (size_t)st.st_size;
  char *text = grow(NULL, size + 1);
  size_t got = fread(text, 1, size, file);
  fclose(file);
  text[got] = '\0';
  if (strlen(text) != got) {
    free(text);
    return NULL;
  }
  return text;
}

/* Cuts the next argument out of `*from`, in place; NULL at the end. */
static char *next_token(char **from) {
  char *in = *from;
  while (isspace((unsigned char)*in)) {
    in++;
  }
  if (!*in) {
    return NULL;
  }
  char *token = in;
  char *out = in;
  char quote = 0;
  for (; *in && (quote || !isspace((unsigned char)*in)); in++) {
    if (quote && *in == quote) {
      quote = 0;
    } else if (!quote && (*in == '"' || *in == '\'')) {
      quote = *in;
    } else {
      if (*in == '\\' && quote != '\'' && in[1]) {
        in++;
      }
      *out++ = *in;
    }
  }
  *from = *in ? in + 1 : in;
  *out = '\0';
  return token;
}

void cira__args_add_expanded(cira_args_t *args, const char *item, int depth) {
  char *text =
      item[0] == '@' && depth < depth_max ? read_whole(item + 1) : NULL;
  if (!text) {
    cira__args_add(args, item);
    return;
  }
  char *token;
  while ((token = next_token(&text))) {
    cira__args_add_expanded(args, token, depth + 1);
  }
}

const char *cira__args_to_response(const cira_args_t *args, size_t first) {
  int fd = memfd_create("cira-cc", 0); /* kept over exec */
  FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "w");
  if (!file) {
    return NULL;
  }
  for (size_t i = first; i < args->count; i++) {
    fputc('"', file);
    for (const char *c = args->items[i]; *c; c++) {
      if (*c == '"' || *c == '\\') {
        fputc('\\', file);
      }
      fputc(*c, file);
    }
    fputs("\"\n", file);
  }
  if (fclose(file) != 0) {
    return NULL;
  }
  return cira__args_format("@/proc/self/fd/%d", fd);
}
