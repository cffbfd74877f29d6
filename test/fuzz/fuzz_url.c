/* SPDX-License-Identifier: Apache-2.0
 *
 * The URL parser: any text. What it accepts can be taken apart again.
 */
#include "fabric/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const char *text, size_t length, bool must_parse) {
  cira__url_t url;
  cira_status_t s = cira__url_parse(text, length, &url);
  if (s != CIRA_OK) {
    if (must_parse || strlen(cira_status_detail()) == 0) {
      abort();
    }
    return;
  }
  for (uint32_t i = 0; i < url.child_count; i++) {
    char child[CIRA__URL_BYTES];
    cira__url_child(&url, i, child);
    walk(child, strlen(child), true);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  /* A copy of exact size, so that reading past the end shows. */
  char *text = malloc(size ? size : 1);
  memcpy(text, data, size);
  walk(text, size, false);
  free(text);
  return 0;
}
