/* SPDX-License-Identifier: Apache-2.0
 *
 * The client side of partition.sh: works on a bad network, then waits for one
 * that is cut. Talks to the script by lines: "working", "cut me" (waits for a
 * line), and ends with exit code 0 when everything was as it has to be.
 */
#include "base/sys.h"
#include "fabric/fabric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const char *what, cira_status_t status) {
  fprintf(stderr, "partition: %s: %s: %s\n", what, cira_status_name(status),
          cira_status_detail());
  exit(1);
}

/* Writes and reads pages that differ; every byte must come back. */
static void work(cira_fabric_t *f, cira_region_t r) {
  static uint64_t page[512];
  static uint64_t back[512];
  for (uint64_t i = 0; i < 300; i++) {
    for (unsigned k = 0; k < 512; k++) {
      page[k] = i * 512 + k;
    }
    cira_status_t s = cira_fabric_write(f, r, i * 4096, page, 4096);
    s = s == CIRA_OK ? cira_fabric_read(f, r, i * 4096, back, 4096) : s;
    if (s != CIRA_OK) {
      die("work", s);
    }
    if (memcmp(page, back, sizeof(page)) != 0) {
      die("wrong bytes", CIRA_OK);
    }
  }
}

int main(int argc, char **argv) {
  cira_fabric_t *f;
  cira_region_t r;
  uint8_t buf[64];
  char line[16];
  cira_fabric_options_t opt = {.size = sizeof(opt),
                               .deadline_ns = 20000000000u};
  if (argc != 2) {
    return 2;
  }
  cira_status_t s = cira_fabric_connect(argv[1], &opt, &f);
  s = s == CIRA_OK ? f->ops->region_open(f, 2 << 20, &r) : s;
  if (s != CIRA_OK) {
    die("connect", s);
  }
  puts("working");
  (void)fflush(stdout);
  work(f, r);
  puts("cut me");
  (void)fflush(stdout);
  if (!fgets(line, sizeof(line), stdin)) {
    return 2;
  }
  cira_fabric_op_t op = {0};
  uint64_t start = cira__now_ns();
  s = f->ops->post_read(f, r, 0, buf, sizeof(buf), start + 1000000000u, &op);
  s = s == CIRA_OK ? cira_fabric_wait(f, &op) : s;
  uint64_t took_ms = (cira__now_ns() - start) / 1000000;
  printf("after the cut: %s after %llu ms\n", cira_status_name(s),
         (unsigned long long)took_ms);
  cira_fabric_close(f);
  return s == CIRA_E_DEADLINE && took_ms >= 1000 ? 0 : 1;
}
