/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire between a client and cira-memd, the same over TCP and Unix sockets.
 * A request is a header of 32 bytes and a body whose size follows from it; a
 * reply likewise. Everything is little-endian. The server answers the requests
 * of one connection strictly in order, and the body of a reply has the size
 * that the request lets expect, also when the request failed (then zeros):
 * so a client can receive a whole batch of replies straight into place.
 *
 *   op       request: region offset length     body        reply: body, fields
 *   HELLO    -       magic  32                 nonce       nonce; result=size
 *   PROOF    -       -      32                 proof       proof
 *   OPEN     -       -      bytes of region    -           region
 *   ATTACH   -       -      32                 ticket      region, result=bytes
 *   TICKET   region  -      0                  -           ticket
 *   REFS     region  -      0                  -           result=refs
 *   HOLD     region  delta  0                  -           -
 *   CLOSE    region  -      0                  -           -
 *   COMMIT   region  delta  0                  -           -
 *   STATS    -       -      0                  -           JSON text
 *   READ     region  offset bytes              -           the bytes
 *   WRITE    region  -      body (count segs)  segs, data  -
 *   ATOMIC   region  offset 16 (flags = kind)  operands    result=old value
 *   DISCARD  region  offset bytes              -           -
 *
 * A server with kernels (cira/kernel.h) says so in its answer to HELLO. KERNELS
 * hands the connection over to a process that runs them; from then on it takes
 * ATTACH (offset = where the client has the region, 0: nowhere), CLOSE, and
 *
 *   KERNELS  -       -      0                  -           result=how many
 *   FIND     -       -      1..63              name        result=number
 *   CALL     -       ns     body (count        call,       called, results
 *                           ranges)            ranges, args
 *   CANCEL   -       -      0                  -           (no reply)
 *
 * CALL's offset is how long it may run, in nanoseconds from its arrival (0: for
 * ever). CANCEL asks the call that runs to stop; its id is that call's.
 *
 * The client writes every field of a request, the server every field of a
 * reply; unused fields are zero.
 */
#ifndef CIRA_FABRIC_TCP_PROTO_H
#define CIRA_FABRIC_TCP_PROTO_H

#include "fabric/fabric.h"

#define CIRA__PROTO_VERSION 1u
#define CIRA__PROTO_MAGIC 0x31646d656d617269ull /* "iramemd1" */
#define CIRA__PROTO_NONCE_BYTES 32u
#define CIRA__PROTO_STATS_MAX_BYTES (16u << 20) /* 16 MiB */

enum {
  CIRA__OP_HELLO = 1,
  CIRA__OP_PROOF = 2,
  CIRA__OP_OPEN = 3,
  CIRA__OP_ATTACH = 4,
  CIRA__OP_TICKET = 5,
  CIRA__OP_REFS = 6,
  CIRA__OP_HOLD = 7,
  CIRA__OP_CLOSE = 8,
  CIRA__OP_COMMIT = 9,
  CIRA__OP_STATS = 10,
  CIRA__OP_READ = 16,
  CIRA__OP_WRITE = 17,
  CIRA__OP_ATOMIC = 18,
  CIRA__OP_DISCARD = 19,
  CIRA__OP_KERNELS = 20,
  CIRA__OP_FIND = 21,
  CIRA__OP_CALL = 22,
  CIRA__OP_CANCEL = 23,
};

/* flags */
#define CIRA__HELLO_F_DESCRIPTORS                                              \
  1u                             /* request: pass regions as descriptors       \
                                  */
#define CIRA__HELLO_F_TOKEN 1u   /* reply: prove that you know the token */
#define CIRA__HELLO_F_KERNELS 2u /* reply: KERNELS is understood */
#define CIRA__COMMIT_F_CLIENT 1u /* reply: the client's quota is full */

typedef struct {
  uint8_t version;
  uint8_t op;
  uint16_t flags;
  uint32_t id;
  uint32_t region;
  uint32_t count;
  uint64_t offset;
  uint64_t length;
} cira__wire_request_t;

typedef struct {
  uint8_t version;
  uint8_t op;
  uint16_t flags;
  uint32_t id;
  int32_t status;
  uint32_t region;
  uint64_t result;
  uint64_t length;
} cira__wire_reply_t;

typedef struct {
  uint64_t offset;
  uint64_t bytes;
} cira__wire_seg_t;

typedef struct {
  uint64_t operand;
  uint64_t compare;
} cira__wire_atomic_t;

/* The body of CALL: this, the ranges, count times args_bytes. */
#define CIRA__CALL_WIRE_VERSION 1u
#define CIRA__CALL_RANGES_MAX 16u
#define CIRA__CALL_NAME_BYTES_MAX 63u
typedef struct {
  uint32_t version;
  uint32_t function;
  uint32_t count; /* of calls, at least 1 */
  uint32_t args_bytes;
  uint32_t result_bytes; /* room for each result */
  uint32_t reserved;
} cira__wire_call_t;

typedef struct {
  uint32_t region;
  uint32_t access; /* as in cira/kernel.h */
  uint64_t offset;
  uint64_t bytes;
} cira__wire_range_t;

/* The body of its reply: this, then count times result_bytes, whatever became
 * of the call. */
typedef struct {
  uint32_t done; /* calls that succeeded */
  uint32_t result_bytes;
  char detail[120];
} cira__wire_called_t;

_Static_assert(sizeof(cira__wire_call_t) == 24, "wire layout");
_Static_assert(sizeof(cira__wire_range_t) == 24, "wire layout");
_Static_assert(sizeof(cira__wire_called_t) == 128, "wire layout");
_Static_assert(sizeof(cira__wire_request_t) == 32, "wire layout");
_Static_assert(offsetof(cira__wire_request_t, op) == 1, "wire layout");
_Static_assert(offsetof(cira__wire_request_t, flags) == 2, "wire layout");
_Static_assert(offsetof(cira__wire_request_t, id) == 4, "wire layout");
_Static_assert(offsetof(cira__wire_request_t, region) == 8, "wire layout");
_Static_assert(offsetof(cira__wire_request_t, count) == 12, "wire layout");
_Static_assert(offsetof(cira__wire_request_t, offset) == 16, "wire layout");
_Static_assert(offsetof(cira__wire_request_t, length) == 24, "wire layout");
_Static_assert(sizeof(cira__wire_reply_t) == 32, "wire layout");
_Static_assert(offsetof(cira__wire_reply_t, op) == 1, "wire layout");
_Static_assert(offsetof(cira__wire_reply_t, flags) == 2, "wire layout");
_Static_assert(offsetof(cira__wire_reply_t, id) == 4, "wire layout");
_Static_assert(offsetof(cira__wire_reply_t, status) == 8, "wire layout");
_Static_assert(offsetof(cira__wire_reply_t, region) == 12, "wire layout");
_Static_assert(offsetof(cira__wire_reply_t, result) == 16, "wire layout");
_Static_assert(offsetof(cira__wire_reply_t, length) == 24, "wire layout");
_Static_assert(sizeof(cira__wire_seg_t) == 16, "wire layout");
_Static_assert(sizeof(cira__wire_atomic_t) == 16, "wire layout");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a big-endian port has to swap in tcp_proto.c");

#define CIRA__REQUEST_BYTES 32u
#define CIRA__REPLY_BYTES 32u
/* The largest request there is: a full scatter write. */
#define CIRA__REQUEST_MAX_BYTES                                                \
  (CIRA__REQUEST_BYTES + CIRA_FABRIC_SEG_MAX_COUNT * 16u +                     \
   CIRA_FABRIC_OP_MAX_BYTES)

/* A request taken apart; pointers go into the parsed bytes. */
typedef struct {
  cira__wire_request_t header;
  const uint8_t *segs; /* WRITE: header.count of cira__wire_seg_t, unaligned */
  const uint8_t *data; /* WRITE: the bytes; HELLO, PROOF, ATTACH: 32 bytes;
                          FIND: the name */
  uint64_t data_bytes;
  cira__wire_atomic_t atomic;
  cira__wire_call_t call; /* CALL; data: its args */
  const uint8_t *ranges;  /* CALL: header.count of them, unaligned */
} cira__request_t;

static inline cira__wire_seg_t cira__request_seg(const cira__request_t *r,
                                                 uint32_t index) {
  cira__wire_seg_t seg;
  __builtin_memcpy(&seg, r->segs + (size_t)index * sizeof(seg), sizeof(seg));
  return seg;
}

static inline cira__wire_range_t cira__request_range(const cira__request_t *r,
                                                     uint32_t index) {
  cira__wire_range_t range;
  __builtin_memcpy(&range, r->ranges + (size_t)index * sizeof(range),
                   sizeof(range));
  return range;
}

/* Parses one request from the front of `bytes`. Pure: no state, no side
 * effects; every field that has a limit is within it on success.
 * Returns the bytes of the whole request (> 0); 0 when more bytes are needed
 *   (then *out_need is how many in total, as far as known); -1 when no client
 *   of this version sends that, with the reason in *out_why. */
int64_t cira__request_parse(const uint8_t *bytes, uint64_t have,
                            cira__request_t *out, uint64_t *out_need,
                            const char **out_why);

/* Bytes of the body that follow the reply to `op` (not STATS, CALL). */
uint64_t cira__reply_body_bytes(uint8_t op, uint64_t length);

/* The same for CALL. Its parser keeps it below CIRA_FABRIC_OP_MAX_BYTES. */
static inline uint64_t cira__call_reply_bytes(const cira__wire_call_t *c) {
  return sizeof(cira__wire_called_t) + (uint64_t)c->count * c->result_bytes;
}

/* Parses the header of a reply and checks that it answers request (op, id)
 * with a body of `body_bytes` (UINT64_MAX: any up to the limit of STATS).
 * Returns CIRA_OK, or CIRA_E_PROTOCOL with the reason in *out_why. Pure. */
cira_status_t cira__reply_parse(const uint8_t bytes[CIRA__REPLY_BYTES],
                                uint8_t op, uint32_t id, uint64_t body_bytes,
                                cira__wire_reply_t *out, const char **out_why);

#endif
