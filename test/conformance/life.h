/* SPDX-License-Identifier: Apache-2.0
 *
 * What life.c and life_clients.c share.
 */
#ifndef CIRA_TEST_LIFE_H
#define CIRA_TEST_LIFE_H

#include "servers.h"

#define LIFE_REGION_BYTES (8u << 20)

/* Connects and opens a region, or fails the test. */
cira_fabric_t *life_open(const char *url, uint64_t deadline_ns,
                         cira_region_t *out);
/* A plain socket to the server's Unix address. */
int life_socket(const memd_t *m);
/* Waits up to 5 s until a figure of the server has a value. */
void life_await(const memd_t *m, const char *figure, long value);

void test_kill_client(void **state);
void test_garbage(void **state);
void test_truncated(void **state);
void test_slow_reader(void **state);
void test_many_clients(void **state);

#endif
