/* SPDX-License-Identifier: Apache-2.0
 *
 * The program of bench/call at the memory server's side: its arrays lie there,
 * its calls go there in batches. Both known sums.
 */
#include "call/internal.h"
#include "fabric/fabric.h"
#include "seed.h"
#include "space/space.h"

#include "../../conformance/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "seed_run.h"

#define REGION CIRA_SPACE_BASE /* where programs may be, also with TSan */
#define A_BYTES (4ull * SEED_N)
#define B_COUNT (SEED_CALLS(SEED_M) + 3)
#define FEW 200u

static int32_t *a; /* the region, mapped here to be filled */

static cira_call_range_t ranges[2] = {
    {(void *)REGION, A_BYTES, CIRA_CALL_READ, 0},
    {(void *)(REGION + A_BYTES), 4ull * B_COUNT, CIRA_CALL_READ, 0}};

static int32_t run_one_by_one(cira_call_client_t *c, uint32_t remote) {
  uint32_t sum = 0;
  for (uint32_t k = 0; k < FEW; k++) {
    int32_t result = 0;
    cira_call_t call = {0};
    cira_call_request_t r = {.args = &k,
                             .args_bytes = 4,
                             .result = &result,
                             .result_max = 4,
                             .range = ranges,
                             .range_count = 2};
    MUST(cira_call_submit(c, remote, &r, &call));
    MUST(cira_call_wait(c, &call, CIRA_FOREVER));
    sum += (uint32_t)result;
  }
  return (int32_t)sum;
}

static void test_sums(void **state) {
  const memd_t *m = *state;
  const char *urls[] = {m->shm_url, m->tcp_url};
  cira_fabric_t *f;
  cira_region_t region;
  cira_ticket_t ticket;
  uint8_t *at;
  MUST(cira_fabric_connect(m->shm_url, NULL, &f));
  MUST(f->ops->region_open(f, A_BYTES + 4ull * B_COUNT, &region));
  MUST(f->ops->region_map(f, region, &at));
  MUST(f->ops->region_ticket(f, region, &ticket));
  a = (int32_t *)(void *)at;
  int32_t *b = (int32_t *)(void *)(at + A_BYTES);
  seed_fill(a, b, B_COUNT);
  uint32_t few = 0;
  for (uint32_t k = 0; k < FEW; k++) {
    few += (uint32_t)seed_remote(k, a, b);
  }
  for (size_t i = 0; i < CIRA_COUNT(urls); i++) {
    cira_call_client_t *c;
    uint32_t remote;
    MUST(cira_call_server(urls[i], NULL, NULL, CIRA_FOREVER, &c));
    MUST(cira__call_session_region(c, ticket.bytes, REGION));
    MUST(cira_call_find(c, "remote", CIRA_FOREVER, &remote));
    assert_int_equal(run_one_by_one(c, remote), (int32_t)few);
    assert_int_equal(seed_run(c, SEED_CALLS(SEED_M_SHORT), 0, ranges, 2),
                     SEED_SUM_SHORT);
    assert_int_equal(seed_run(c, SEED_CALLS(SEED_M), 0, ranges, 2), SEED_SUM);
    cira_call_destroy(c);
  }
  cira_fabric_close(f);
}

int main(void) {
#ifdef CIRA_SANITIZED
  printf("skipped: 400 MB of numbers take too long with a sanitizer\n");
  return 77;
#endif
  static memd_t memd;
  const char *extra[] = {"--kernels", UNIT_KERNELS, NULL};
  memd_start(&memd, "1g", extra);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(test_sums, &memd)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  memd_stop(&memd);
  return failed;
}
