/* SPDX-License-Identifier: Apache-2.0
 *
 * How compiled code reads a stream: through a front of its own, with plain
 * loads, and by calls when that is used up.
 */
#ifndef CIRA_TEST_FRONT_H
#define CIRA_TEST_FRONT_H

#include "abi/runtime.h"

static inline void *peek(void *s, cira_abi_front_t *f) {
  if (f->left == 0) {
    cira_abi_stream_refill(s, f);
  }
  return f->data;
}

static inline void advance(void *s, cira_abi_front_t *f) {
  if (f->left == 0) {
    cira_abi_stream_skip(s, f);
  } else {
    f->data += f->step;
    f->left--;
  }
}

static inline void chain_advance(void *s, cira_abi_front_t *f, int64_t link) {
  if (f->left == 0) {
    cira_abi_stream_skip(s, f);
    return;
  }
  uint8_t *next = *(uint8_t **)(void *)(f->data + link);
  if (next == f->cur + f->step && f->left > 1) {
    f->cur += f->step;
    f->data += f->step;
    f->left--;
  } else {
    cira_abi_chain_next(s, f, next);
  }
}

#endif
