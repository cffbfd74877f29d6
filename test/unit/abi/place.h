/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the data of a test lies: in local memory, in a space with a large or a
 * tiny cache over memory in reach, over requests, or at a memory server that
 * the test starts. One test program runs in each of them:
 *   none host tiny fault shm tcp
 */
#ifndef CIRA_TEST_PLACE_H
#define CIRA_TEST_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "abi/runtime.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

/* Names the place; false when the machine cannot page (skip). */
bool place_choose(const char *name);
const char *place_name(void);
bool place_is_far(void);
/* Around a test (within it: cmocka has fault handlers of its own). */
void place_open(void);
void place_close(void);
#define PLACE_TEST(test)                                                       \
  static void test##_in_place(void **state) {                                  \
    place_open();                                                              \
    test(state);                                                               \
    place_close();                                                             \
  }
#define PLACE_UNIT(test) cmocka_unit_test(test##_in_place)
/* A space with this many local pages instead of the place's own number. */
void place_open_pages(uint64_t local_pages);
/* A space anywhere. Returns false when it cannot be made. */
bool place_open_url(const char *url, uint64_t local_pages);
/* Zeroed memory of the place, page aligned; gone with place_close. */
void *place_alloc(uint64_t bytes);
/* Sends all of it home, as far as it can. */
void place_send_home(const void *p, uint64_t bytes);
cira_space_t *place_space(void);
/* A stack for the fault handler of a thread the test has started. */
void place_thread_enter(void);

uint64_t place_random(void); /* fixed seed from place_open on */

/* Runs act in a child and compares how it ends: exit code 125 and one line
 * that contains `words`. Local memory only. */
void place_misuse(void (*act)(void), const char *words);

#endif
