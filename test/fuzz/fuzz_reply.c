/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of the wire: a connection with requests of every kind
 * under way gets any bytes as its answers, in two pieces. Every op must end,
 * and nothing outside of a destination may change.
 */
#include "base/sys.h"
#include "fabric/internal.h"
#include "fabric/tcp_proto.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
  if (!ok) {
    abort();
  }
}

/* A connection with one region, and the other end of it. */
static cira_fabric_t *connection(int *out_peer, cira_region_t *out_region) {
  int fd[2];
  cira_fabric_t *f;
  cira_fabric_options_t opt;
  cira__wire_reply_t opened = {
      .version = CIRA__PROTO_VERSION, .op = CIRA__OP_OPEN, .region = 1};
  cira_fabric_options_default(&opt);
  opt.inflight_max = 8;
  require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
  require(cira__tcp_adopt(fd[0], "tcp://fuzz:1", &opt, &f) == CIRA_OK);
  require(send(fd[1], &opened, sizeof(opened), 0) == sizeof(opened));
  require(f->ops->region_open(f, 1 << 16, out_region) == CIRA_OK);
  *out_peer = fd[1];
  return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int peer;
  cira_region_t region;
  uint8_t buf[64 + 16];
  cira_fabric_op_t op[5];
  memset(op, 0, sizeof(op));
  memset(buf, 0x5a, sizeof(buf));
  cira_fabric_t *f = connection(&peer, &region);
  cira_fabric_seg_t seg = {.offset = 0, .src = "abcd", .bytes = 4};
  require(f->ops->post_read(f, region, 0, buf + 8, 16, 0, &op[0]) == CIRA_OK);
  require(f->ops->post_write(f, region, &seg, 1, 0, &op[1]) == CIRA_OK);
  require(f->ops->post_atomic(f, region, CIRA_FABRIC_ADD, 8, 1, 0, 0, &op[2]) ==
          CIRA_OK);
  require(f->ops->post_read(f, region, 0, buf + 24, 40, 0, &op[3]) == CIRA_OK);
  require(f->ops->post_discard(f, region, 0, 4096, 0, &op[4]) == CIRA_OK);
  size_t first = size / 2;
  (void)!send(peer, data, first, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)f->ops->poll(f);
  (void)!send(peer, data + first, size - first, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)f->ops->poll(f);
  (void)close(peer);
  int32_t n = 0;
  for (unsigned i = 0; i < 100000 && n >= 0; i++) {
    n = f->ops->poll(f);
  }
  for (unsigned i = 0; i < CIRA_COUNT(op); i++) {
    require(op[i].status != CIRA_PENDING || n >= 0);
  }
  for (unsigned i = 0; i < 8; i++) {
    require(buf[i] == 0x5a && buf[64 + 8 + i] == 0x5a);
  }
  cira_fabric_close(f);
  for (unsigned i = 0; i < CIRA_COUNT(op); i++) {
    require(op[i].status != CIRA_PENDING);
  }
  return 0;
}
