/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's parser: any bytes, taken as a stream of requests. What it
 * accepts must keep the promises of tcp_proto.h.
 */
#include "fabric/tcp_proto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
  if (!ok) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t at = 0;
  volatile uint8_t sink = 0;
  while (at < size) {
    cira__request_t r;
    uint64_t need = 0;
    const char *why = NULL;
    int64_t n = cira__request_parse(data + at, size - at, &r, &need, &why);
    if (n < 0) {
      require(why != NULL);
      return 0;
    }
    if (n == 0) {
      require(need > size - at && need <= CIRA__REQUEST_MAX_BYTES);
      return 0;
    }
    require((uint64_t)n <= size - at);
    require(r.data + r.data_bytes == data + at + n ||
            r.header.op == CIRA__OP_ATOMIC);
    if (r.header.op == CIRA__OP_WRITE) {
      uint64_t sum = 0;
      for (uint32_t i = 0; i < r.header.count; i++) {
        sum += cira__request_seg(&r, i).bytes;
      }
      require(sum == r.data_bytes);
    }
    if (r.header.op == CIRA__OP_CALL) {
      require(r.header.count <= CIRA__CALL_RANGES_MAX && r.call.count > 0);
      require((uint64_t)r.call.count * r.call.args_bytes == r.data_bytes);
      require(cira__call_reply_bytes(&r.call) <= CIRA_FABRIC_OP_MAX_BYTES);
      for (uint32_t i = 0; i < r.header.count; i++) {
        sink ^= (uint8_t)cira__request_range(&r, i).region;
      }
    }
    for (uint64_t i = 0; i < r.data_bytes; i++) {
      sink ^= r.data[i];
    }
    require(cira__reply_body_bytes(r.header.op, r.header.length) <=
            CIRA_FABRIC_OP_MAX_BYTES);
    at += (uint64_t)n;
  }
  return 0;
}
