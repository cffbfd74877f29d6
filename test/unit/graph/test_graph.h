/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the graph tests: where graphs are put, and how they are made.
 */
#ifndef CIRA_TEST_GRAPH_H
#define CIRA_TEST_GRAPH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "cira/graph.h"

extern cira_graph_place_t test_place;
extern char test_folder[64]; /* removed at the end */

#define MUST(x)                                                                \
  do {                                                                         \
    cira_status_t status_ = (x);                                               \
    if (status_ != CIRA_OK) {                                                  \
      fail_msg("%s: %s (%s)", #x, cira_status_name(status_),                   \
               cira_status_detail());                                          \
    }                                                                          \
  } while (0)
/* Refused with this status, and words in the detail. */
#define REFUSED(x, status, words)                                              \
  do {                                                                         \
    assert_int_equal((x), (status));                                           \
    if (strstr(cira_status_detail(), (words)) == NULL) {                       \
      fail_msg("no \"%s\" in: %s", (words), cira_status_detail());             \
    }                                                                          \
  } while (0)

/* Each test begins with it. */
void test_begin(void **state);
/* Options for a graph in the place of this run: symmetric and simple, random
 * weights. */
void test_options(cira_graph_options_t *o);
cira_graph_t *test_generate(const char *recipe, const cira_graph_options_t *o);
/* From pairs (and weights, or NULL). */
cira_graph_t *test_build(uint64_t vertices, uint64_t count,
                         const uint32_t *from, const uint32_t *to,
                         const int32_t *weights, const cira_graph_options_t *o);
void test_graph_equal(const cira_graph_t *a, const cira_graph_t *b);

extern const struct CMUnitTest test_files[];
extern const size_t test_file_count;
extern const struct CMUnitTest test_programs[];
extern const size_t test_program_count;
extern const struct CMUnitTest test_memory[];
extern const size_t test_memory_count;

#endif
