/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of the thread sanitizer that a test program needs, whatever the
 * environment says of others; nothing in other builds. Once per program, at
 * file scope: TSAN_OPTIONS_OF_TEST("name=value");
 */
#ifndef CIRA_TEST_TSAN_H
#define CIRA_TEST_TSAN_H

#define TSAN_OPTIONS_OF_TEST(text) _Static_assert(sizeof(text) > 1, text)

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef TSAN_OPTIONS_OF_TEST
#define TSAN_OPTIONS_OF_TEST(text)                                             \
  const char *__tsan_default_options(void);                                    \
  const char *__tsan_default_options(void) {                                   \
    return text;                                                               \
  }                                                                            \
  _Static_assert(sizeof(text) > 1, text)
#endif
#endif

#endif
