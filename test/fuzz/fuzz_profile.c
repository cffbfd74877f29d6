/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target for profiles. Whatever the bytes are: they are refused with
 * one line, or every report can be written from them.
 * A corpus in files of whole profiles would be large, so the input is short: a
 * header's fields as they are, then for each block its header and its payload,
 * which are spread to the places that they have in a file. Inputs that begin
 * with '!' are taken as files byte by byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cira-prof/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Addresses without files. */
struct prof_symbols {
  prof_place_t place[16];
};
static const char *const FUNCTIONS[] = {"main", "a<b>&\"c\"", "\xff\x01", ""};

prof_symbols_t *prof_symbols_new(const prof_model_t *m) {
  (void)m;
  return calloc(1, sizeof(prof_symbols_t));
}
void prof_symbols_free(prof_symbols_t *s) {
  free(s);
}
const prof_place_t *prof_symbols_at(prof_symbols_t *s, uint32_t process,
                                    uint64_t ip, bool is_return) {
  prof_place_t *p = &s->place[(ip + process + is_return) % 16];
  *p = (prof_place_t){.module = "m",
                      .function = FUNCTIONS[ip % 4],
                      .file = ip % 3 == 0 ? NULL : "f.c",
                      .line = (uint32_t)(ip % 5)};
  return p;
}
uint32_t prof_symbols_newer(const prof_symbols_t *s) {
  (void)s;
  return 0;
}

#define HEAD 56u  /* the header's numbers */
#define BLOCK 32u /* a block header's numbers */
#define BLOCKS 4u

/* Spreads the input over a file's layout. Returns the file's size. */
static uint64_t spread(const uint8_t *data, size_t bytes, uint8_t *file) {
  cira_profile_header_t *h = (void *)file;
  size_t n = bytes < HEAD ? bytes : HEAD;
  memcpy(file, data, n);
  data += n;
  bytes -= n;
  h->magic = CIRA_PROFILE_MAGIC;
  h->version = CIRA_PROFILE_VERSION;
  h->header_bytes = CIRA_PROFILE_HEADER_BYTES;
  h->block_bytes = CIRA_PROFILE_BLOCK_BYTES;
  uint64_t blocks = 0;
  while (bytes > BLOCK && blocks < BLOCKS) {
    uint8_t *at =
        file + CIRA_PROFILE_HEADER_BYTES + blocks++ * CIRA_PROFILE_BLOCK_BYTES;
    cira_profile_block_t *b = (void *)at;
    memcpy(b, data, BLOCK);
    b->magic = CIRA_PROFILE_BLOCK_MAGIC;
    data += BLOCK;
    bytes -= BLOCK;
    size_t used = b->used_bytes % (CIRA_PROFILE_PAYLOAD_BYTES + 2);
    b->used_bytes = (uint32_t)used;
    used = used < bytes ? used : bytes;
    memcpy(b + 1, data,
           used < CIRA_PROFILE_PAYLOAD_BYTES ? used
                                             : CIRA_PROFILE_PAYLOAD_BYTES);
    data += used;
    bytes -= used;
  }
  h->block_count = blocks;
  return CIRA_PROFILE_HEADER_BYTES + blocks * CIRA_PROFILE_BLOCK_BYTES;
}

static void write_all(prof_model_t *m) {
  prof_sites_t sites;
  if (prof_sites_build(m, &sites) != CIRA_OK) {
    return;
  }
  FILE *out = fopen("/dev/null", "we");
  prof_report_t r = {"profile", m, &sites, 20};
  if (out != NULL) {
    prof_text_write(&r, out);
    prof_json_write(&r, out);
    prof_html_write(&r, out);
    prof_trace_write(m, sites.symbols, 0, out);
    prof_diff_write(&r, &r, out);
    fclose(out);
  }
  prof_sites_free(&sites);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  uint64_t room =
      CIRA_PROFILE_HEADER_BYTES + BLOCKS * (uint64_t)CIRA_PROFILE_BLOCK_BYTES;
  bool raw = bytes > 0 && data[0] == '!';
  uint64_t size = raw ? bytes - 1 : 0;
  /* Exactly as large as the file, so that a read past it is seen. */
  uint8_t *file = calloc(1, raw ? (size > 0 ? size : 1) : room);
  if (file == NULL) {
    return 0;
  }
  if (raw) {
    memcpy(file, data + 1, size);
  } else {
    size = spread(data, bytes, file);
  }
  cira_profile_file_t f;
  prof_model_t m;
  if (cira_profile_file_take(file, size, "input", &f) == CIRA_OK &&
      prof_model_build(f, &m) == CIRA_OK) {
    write_all(&m);
    prof_model_free(&m);
  } else if (cira_status_detail()[0] == '\0' ||
             strchr(cira_status_detail(), '\n') != NULL) {
    abort();
  }
  free(file);
  return 0;
}
