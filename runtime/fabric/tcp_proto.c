/* SPDX-License-Identifier: Apache-2.0
 *
 * The two parsers of the wire, pure functions that the fuzzers drive. Frames
 * lie unaligned in the receive buffer, hence memcpy.
 */
#include "fabric/tcp_proto.h"

#include <string.h>

static int64_t bad(const char *why, const char **out_why) {
  *out_why = why;
  return -1;
}

/* Bytes after the header, or -1. */
static int64_t body_bytes(const cira__wire_request_t *h, const char **out_why) {
  switch (h->op) {
  case CIRA__OP_HELLO:
    if (h->offset != CIRA__PROTO_MAGIC) {
      return bad("no cira client", out_why);
    }
    __attribute__((fallthrough));
  case CIRA__OP_PROOF:
  case CIRA__OP_ATTACH:
    return h->length == 32 ? 32 : bad("a body that is not 32 bytes", out_why);
  case CIRA__OP_TICKET:
  case CIRA__OP_REFS:
  case CIRA__OP_HOLD:
  case CIRA__OP_CLOSE:
  case CIRA__OP_COMMIT:
  case CIRA__OP_STATS:
  case CIRA__OP_KERNELS:
  case CIRA__OP_CANCEL:
    return h->length == 0 ? 0 : bad("a body where none belongs", out_why);
  case CIRA__OP_OPEN:
  case CIRA__OP_DISCARD:
    return 0;
  case CIRA__OP_READ:
    return h->length <= CIRA_FABRIC_OP_MAX_BYTES
               ? 0
               : bad("a read that is too long", out_why);
  case CIRA__OP_ATOMIC:
    return h->length == sizeof(cira__wire_atomic_t) &&
                   h->flags <= CIRA_FABRIC_CAS && h->offset % 8 == 0
               ? (int64_t)h->length
               : bad("an atomic of no known form", out_why);
  case CIRA__OP_WRITE: {
    uint64_t table = (uint64_t)h->count * sizeof(cira__wire_seg_t);
    if (h->count > CIRA_FABRIC_SEG_MAX_COUNT || h->length < table ||
        h->length - table > CIRA_FABRIC_OP_MAX_BYTES) {
      return bad("a write that is too long", out_why);
    }
    return (int64_t)h->length;
  }
  case CIRA__OP_FIND:
    return h->length >= 1 && h->length <= CIRA__CALL_NAME_BYTES_MAX
               ? (int64_t)h->length
               : bad("a name that has not 1 to 63 bytes", out_why);
  case CIRA__OP_CALL: {
    uint64_t head = sizeof(cira__wire_call_t) +
                    (uint64_t)h->count * sizeof(cira__wire_range_t);
    if (h->count > CIRA__CALL_RANGES_MAX || h->length < head ||
        h->length - head > CIRA_FABRIC_OP_MAX_BYTES) {
      return bad("a call that is too long", out_why);
    }
    return (int64_t)h->length;
  }
  default:
    return bad("an unknown request", out_why);
  }
}

/* The segments of a write add up to its data. */
static bool segs_add_up(const cira__request_t *r) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < r->header.count; i++) {
    cira__wire_seg_t seg = cira__request_seg(r, i);
    if (seg.bytes > CIRA_FABRIC_OP_MAX_BYTES) {
      return false;
    }
    sum += seg.bytes; /* at most 4096 * 1 MiB */
  }
  return sum == r->data_bytes;
}

/* Takes a call apart. Products are below 2^64: 32 bits times 32 bits. */
static const char *call_parse(cira__request_t *r) {
  uint64_t head =
      sizeof(r->call) + (uint64_t)r->header.count * sizeof(cira__wire_range_t);
  memcpy(&r->call, r->data, sizeof(r->call));
  r->ranges = r->data + sizeof(r->call);
  r->data += head;
  r->data_bytes -= head;
  if (r->call.version != CIRA__CALL_WIRE_VERSION) {
    return "a call of another version";
  }
  if (r->call.count == 0 ||
      (uint64_t)r->call.count * r->call.args_bytes != r->data_bytes) {
    return "a call whose arguments do not add up";
  }
  uint64_t room = CIRA_FABRIC_OP_MAX_BYTES - sizeof(cira__wire_called_t);
  return (uint64_t)r->call.count * r->call.result_bytes > room
             ? "a call with results that are too long"
             : NULL;
}

int64_t cira__request_parse(const uint8_t *bytes, uint64_t have,
                            cira__request_t *out, uint64_t *out_need,
                            const char **out_why) {
  /* Garbage shows in the first bytes: do not wait for a whole header. */
  if (have >= 1 && bytes[0] != CIRA__PROTO_VERSION) {
    return bad("another version of the protocol, or no cira client", out_why);
  }
  if (have < CIRA__REQUEST_BYTES) {
    *out_need = CIRA__REQUEST_BYTES;
    return 0;
  }
  memcpy(&out->header, bytes, sizeof(out->header));
  int64_t body = body_bytes(&out->header, out_why);
  if (body < 0) {
    return -1;
  }
  uint64_t total = CIRA__REQUEST_BYTES + (uint64_t)body;
  if (have < total) {
    *out_need = total;
    return 0;
  }
  out->segs = NULL;
  out->ranges = NULL;
  out->data = bytes + CIRA__REQUEST_BYTES;
  out->data_bytes = (uint64_t)body;
  if (out->header.op == CIRA__OP_WRITE) {
    uint64_t table = (uint64_t)out->header.count * sizeof(cira__wire_seg_t);
    out->segs = out->data;
    out->data += table;
    out->data_bytes -= table;
    if (!segs_add_up(out)) {
      return bad("a write whose pieces do not add up", out_why);
    }
  } else if (out->header.op == CIRA__OP_CALL) {
    const char *why = call_parse(out);
    if (why) {
      return bad(why, out_why);
    }
  } else if (out->header.op == CIRA__OP_ATOMIC) {
    memcpy(&out->atomic, out->data, sizeof(out->atomic));
  }
  return (int64_t)total;
}

uint64_t cira__reply_body_bytes(uint8_t op, uint64_t length) {
  switch (op) {
  case CIRA__OP_HELLO:
  case CIRA__OP_PROOF:
  case CIRA__OP_TICKET:
    return 32;
  case CIRA__OP_READ:
    return length;
  default:
    return 0;
  }
}

cira_status_t cira__reply_parse(const uint8_t bytes[CIRA__REPLY_BYTES],
                                uint8_t op, uint32_t id, uint64_t body,
                                cira__wire_reply_t *out, const char **out_why) {
  memcpy(out, bytes, sizeof(*out));
  const char *why = NULL;
  if (out->version != CIRA__PROTO_VERSION) {
    why = "another version of the protocol, or no cira-memd";
  } else if (out->op != op || out->id != id) {
    why = "an answer to something else";
  } else if (body == UINT64_MAX ? out->length > CIRA__PROTO_STATS_MAX_BYTES
                                : out->length != body) {
    why = "an answer of the wrong size";
  } else if (out->status > 0 ||
             /* a kernel has statuses of its own */
             out->status < (op == CIRA__OP_CALL ? INT16_MIN : CIRA_E_QUOTA)) {
    why = "an answer with an unknown status";
  }
  if (why) {
    *out_why = why;
    return CIRA_E_PROTOCOL;
  }
  return CIRA_OK;
}
