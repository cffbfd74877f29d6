/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the suite share: the place under test.
 */
#ifndef CIRA_TEST_SUITE_H
#define CIRA_TEST_SUITE_H

#include "servers.h"

#define REGION_BYTES (8ull << 20) /* 8 MiB */

typedef struct {
  const char *url;
  cira_fabric_t *f;
  cira_region_t region;
} place_t;

void test_model(void **state);

#endif
