/* SPDX-License-Identifier: Apache-2.0
 *
 * The controller of read-ahead on recorded runs (traces/: bench/pager's loads
 * with CIRA_PREFETCH_TRACE) and in a closed loop with walks of known shape; the
 * profile's parser; the hints and sites of cira/prefetch.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cira/far.h"
#include "cira/prefetch.h"
#include "prefetch/profile.h"
#include "space/control.h"

/* ---- recorded runs ------------------------------------------------------ */

typedef struct {
  uint32_t steps, changes, first, last;
} replay_t;

/* Replays a trace: with the windows of the recorded run, step by step, the
 * decisions are the recorded ones. */
static replay_t replay(const char *name) {
  char path[300];
  char line[400];
  replay_t r = {0};
  cira_control_t c;
  (void)snprintf(path, sizeof(path), "%s/%s", UNIT_TRACES, name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  while (fgets(line, sizeof(line), f)) {
    cira_control_input_t in = {0};
    unsigned window;
    unsigned next;
    int change;
    assert_int_equal(
        sscanf(line,
               "ahead %lu used %lu fetched %lu refaults %lu stall_ns %lu "
               "interval_ns %lu window %u next %u change %d",
               &in.ahead, &in.used, &in.fetched, &in.refaults, &in.stall_ns,
               &in.interval_ns, &window, &next, &change),
        9);
    if (r.steps++ == 0) {
      cira_control_init(&c, window, 4, 64);
      r.first = window;
    }
    assert_int_equal(c.window, window);
    assert_int_equal((int)cira_control_step(&c, &in), change);
    assert_int_equal(c.window, next);
    r.changes += window != next;
  }
  (void)fclose(f);
  r.last = c.window;
  return r;
}

static void test_traces(void **state) {
  (void)state;
  replay_t seq = replay("seq"); /* all of it is used: nothing to change */
  assert_int_equal(seq.changes, 0);
  assert_int_equal(seq.last, 64);
  replay_t dirty = replay("dirty");
  assert_int_equal(dirty.changes, 0);
  replay_t chase = replay("chase"); /* nothing is fetched ahead */
  assert_int_equal(chase.changes, 0);
  replay_t runs = replay("runs"); /* runs of 9 pages */
  assert_true(runs.steps >= 30);
  assert_int_equal(runs.last, 4);
  assert_int_equal(runs.changes, 4);
}

/* ---- closed loop -------------------------------------------------------- */

/* What a walk in runs of `run` pages does with this window; each fault costs
 * 2000 ns and each page 300. */
static cira_control_input_t walk(uint32_t window, uint32_t run) {
  cira_control_input_t in = {0};
  for (uint32_t i = 0; i < 64; i++) {
    uint32_t at = 1; /* the first page of a run is nobody's stream yet */
    uint32_t w = 1;
    in.fetched++;
    in.stall_ns += 2300;
    while (at < run) {
      w = w * 2 < window ? w * 2 : window;
      in.ahead += w - 1;
      in.fetched += w;
      in.used += at + w <= run ? w - 1 : 0;
      in.stall_ns += 2000 + 300u * w;
      at += w;
    }
  }
  in.interval_ns = in.stall_ns + in.stall_ns / 4;
  return in;
}

static uint32_t settle(cira_control_t *c, uint32_t run, uint32_t steps,
                       uint32_t *out_changes) {
  *out_changes = 0;
  for (uint32_t i = 0; i < steps; i++) {
    uint32_t before = c->window;
    cira_control_input_t in = walk(c->window, run);
    cira_control_change_t change = cira_control_step(c, &in);
    assert_int_equal(change != CIRA_CONTROL_HOLD, before != c->window);
    assert_true(c->window >= c->min && c->window <= c->max);
    *out_changes += before != c->window;
  }
  return c->window;
}

static void test_closed_loop(void **state) {
  (void)state;
  cira_control_t c;
  uint32_t changes;
  cira_control_init(&c, 64, 4, 64);
  assert_true(settle(&c, 9, 200, &changes) <= 8);
  assert_true(changes <= 6); /* and no to and fro */
  assert_int_equal(settle(&c, 100000, 200, &changes), 64); /* and back */
  assert_true(changes <= 6);
  for (uint32_t run = 1; run < 3000; run = run * 3 / 2 + 1) {
    cira_control_init(&c, 64, 4, 64);
    (void)settle(&c, run, 300, &changes);
    assert_true(changes <= 20);
    cira_control_input_t fixed = walk(64, run);
    cira_control_input_t now = walk(c.window, run);
    assert_true(now.fetched <= fixed.fetched);
  }
}

static void test_rules(void **state) {
  (void)state;
  cira_control_t c;
  cira_control_init(&c, 0, 0, 0);
  assert_int_equal(c.window, 1);
  cira_control_init(&c, 1000, 4, 64);
  assert_int_equal(c.window, 64);
  cira_control_input_t quiet = {.ahead = 31, .interval_ns = 1};
  assert_int_equal(cira_control_step(&c, &quiet), CIRA_CONTROL_HOLD);
  cira_control_input_t pressed = {.ahead = 100,
                                  .used = 70,
                                  .fetched = 100,
                                  .refaults = 40,
                                  .interval_ns = 1000};
  assert_int_equal(cira_control_step(&c, &pressed), CIRA_CONTROL_PRESSURE);
  assert_int_equal(c.window, 32);
  cira_control_input_t stalled = {.ahead = 100,
                                  .used = 100,
                                  .fetched = 100,
                                  .stall_ns = 900,
                                  .interval_ns = 1000};
  assert_int_equal(cira_control_step(&c, &stalled), CIRA_CONTROL_GROW);
  assert_int_equal(c.window, 64);
  assert_int_equal(cira_control_step(&c, &stalled), CIRA_CONTROL_UNDO);
  assert_int_equal(c.window, 32);
  for (int i = 0; i < 60; i++) { /* not tried again soon */
    assert_int_equal(cira_control_step(&c, &stalled), CIRA_CONTROL_HOLD);
  }
  cira_control_input_t huge = {UINT64_MAX / 128, UINT64_MAX / 128,
                               UINT64_MAX / 128, 0,
                               UINT64_MAX,       UINT64_MAX};
  (void)cira_control_step(&c, &huge);
  assert_true(c.window >= c.min && c.window <= c.max);
}

/* ---- profiles ----------------------------------------------------------- */

static cira_status_t parse(const char *text, cira_prefetch_settings_t *out) {
  return cira__prefetch_profile_parse(text, strlen(text), "p", out);
}

static void test_profile_text(void **state) {
  (void)state;
  cira_prefetch_settings_t s = {.size = 7};
  static const char *const bad[] = {
      "",
      "window_pages = 3\n",
      "[cira-prefetch]\n",
      "[cira-prefetch]\nwindow_pages = 3\n",
      "[cira-prefetch]\nversion = 2\n",
      "[cira-prefetch]\nversion = 1\nwindow_pages = 0\n",
      "[cira-prefetch]\nversion = 1\nwindow_pages = 257\n",
      "[cira-prefetch]\nversion = 1\nbatches = 15\n",
      "[cira-prefetch]\nversion = 1\nbatches = 99999999999\n",
      "[cira-prefetch]\nversion = 1\nbatches = -1\n",
      "[cira-prefetch]\nversion = 1\nbatches =\n",
      "[cira-prefetch]\nversion = 1\nbatches 4\n",
      "[cira-prefetch]\nversion = 1\nbatches = 4x\n",
      "[cira-prefetch]\nversion = 1\ncolour = 4\n",
      "[cira-prefetch]\nversion = 1\n= 4\n"};
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    assert_int_equal(parse(bad[i], &s), CIRA_E_INVALID);
    assert_int_equal(s.size, 7);
  }
  assert_int_equal(parse("# a profile\n[other]\nx = y z\n  [cira-prefetch] \r\n"
                         "\n version=1\n\twindow_pages =  33 \n[more]\n!\n",
                         &s),
                   CIRA_OK);
  assert_int_equal(s.window_pages, 33);
  assert_int_equal(s.batches, 0);
  char text[256];
  s.batches = 9;
  assert_true(cira__prefetch_profile_text(&s, text, sizeof(text)) < 200);
  cira_prefetch_settings_t again;
  assert_int_equal(parse(text, &again), CIRA_OK);
  assert_int_equal(again.window_pages, 33);
  assert_int_equal(again.batches, 9);
  uint64_t seed = 5; /* any bytes: no crash, no half result */
  for (int i = 0; i < 20000; i++) {
    char noise[64];
    size_t n =
        strlen(strcpy(noise, "[cira-prefetch]\nversion = 1\nbatches = "));
    for (; n < sizeof(noise); n++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      noise[n] = "0123456789=\n# [x"[seed >> 60];
    }
    s = (cira_prefetch_settings_t){.size = 7};
    if (cira__prefetch_profile_parse(noise, sizeof(noise), "p", &s) !=
        CIRA_OK) {
      assert_int_equal(s.size, 7);
    } else {
      assert_true(s.batches <= 14 && s.window_pages <= 256);
    }
  }
}

/* ---- in far memory ------------------------------------------------------ */

#define PAGES 4096u
#define PAGE 4096u

static uint8_t *far;

static cira_far_stats_t stats(void) {
  cira_far_stats_t s = {.size = sizeof(s)};
  assert_int_equal(cira_far_stats(&s), CIRA_OK);
  return s;
}

static void touch_all(void) {
  for (uint32_t i = 0; i < PAGES; i++) {
    far[(uint64_t)i * PAGE] = (uint8_t)i;
  }
}

/* Faults of a walk over every page, every `step` pages. */
static uint64_t walk_faults(uint32_t step, bool adaptive, bool down,
                            uint64_t distance) {
  cira_prefetch_site_t site = {0};
  uint64_t faults = stats().faults;
  int64_t stride = (int64_t)step * PAGE * (down ? -1 : 1);
  for (uint32_t k = 0; k < PAGES / step; k++) {
    uint32_t i = down ? PAGES - 1 - k * step : k * step;
    const uint8_t *p = far + (uint64_t)i * PAGE;
    if (adaptive) {
      cira_prefetch_adaptive(&site, p, stride, distance);
    }
    assert_int_equal(*(const volatile uint8_t *)p, (uint8_t)i);
  }
  if (adaptive) {
    assert_true(site.pages > 0 && site.distance >= 4);
  }
  return stats().faults - faults;
}

static void case_sites(void) {
  touch_all();
  uint64_t plain = walk_faults(7, false, false, 0);
  assert_true(plain >= PAGES / 7 / 2);
  assert_true(walk_faults(7, true, false, 0) < plain / 4);
  assert_true(walk_faults(7, true, true, 0) < plain / 4);
  assert_true(walk_faults(7, true, false, 24) < plain / 4);
  assert_true(walk_faults(7, true, false, UINT64_MAX) <= plain * 2);
}

static void case_hints(void) {
  const void *address[200];
  touch_all();
  for (uint32_t i = 0; i < 200; i++) {
    address[i] = i % 5 == 0 ? NULL : far + (uint64_t)(i * 13 % 1000) * PAGE;
  }
  address[3] = (const void *)UINT64_C(0x10);
  cira_prefetch_batch(address, 60);
  uint64_t faults = stats().faults;
  for (uint32_t i = 4; i < 60; i++) {
    if (i % 5 != 0) {
      (void)*(const volatile uint8_t *)address[i];
    }
  }
  assert_true(stats().faults - faults <= 2);
  cira_prefetch_batch(NULL, 9);
  cira_prefetch_range(far, 0);
  cira_prefetch_range(far, UINT64_MAX);
  cira_prefetch_range(NULL, 100);
  cira_prefetch_strided(far, INT64_MIN, UINT64_MAX, 1);
  cira_prefetch_strided(far, 3, 0, 0);
  cira_prefetch_adaptive(NULL, far, 8, 1);
  assert_int_equal(cira_prefetch_list(NULL, 0, 8, 5), 0);
  assert_int_equal(cira_prefetch_list(far, 1, 8, 5), 0);
  cira_prefetch_done(far, UINT64_MAX);
  cira_prefetch_done(NULL, 5);
}

static void case_settings(void) {
  char path[] = "/tmp/cira-profile-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  (void)close(fd);
  cira_prefetch_settings_t s = {.size = sizeof(s)};
  assert_int_equal(cira_prefetch_settings_get(&s), CIRA_OK);
  assert_true(s.window_pages >= 1 && s.batches >= 1);
  cira_prefetch_settings_t set = {
      .size = sizeof(set), .window_pages = 8, .batches = 3};
  assert_int_equal(cira_prefetch_settings_set(&set), CIRA_OK);
  assert_int_equal(stats().window_pages, 8);
  assert_int_equal(cira_prefetch_profile_save(path), CIRA_OK);
  assert_int_equal(cira_prefetch_settings_set(&s), CIRA_OK);
  assert_int_equal(cira_prefetch_profile_load(path), CIRA_OK);
  assert_int_equal(cira_prefetch_settings_get(&s), CIRA_OK);
  assert_int_equal(s.window_pages, 8);
  assert_int_equal(s.batches, 3);
  set.window_pages = 257;
  assert_int_equal(cira_prefetch_settings_set(&set), CIRA_E_RANGE);
  set = (cira_prefetch_settings_t){.size = 4};
  assert_int_equal(cira_prefetch_settings_set(&set), CIRA_E_INVALID);
  assert_int_equal(cira_prefetch_settings_get(&set), CIRA_E_INVALID);
  assert_int_equal(cira_prefetch_profile_load(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_prefetch_profile_load("/nonexistent"), CIRA_E_INVALID);
  assert_int_equal(cira_prefetch_profile_load("/tmp"), CIRA_E_INVALID);
  assert_int_equal(cira_prefetch_profile_save("/nonexistent/x"), CIRA_E_SYSTEM);
  (void)unlink(path);
}

/* Short runs make the pager's window smaller, a long walk larger again. */
static void case_pager(void) {
  cira_prefetch_settings_t s = {.size = sizeof(s), .window_pages = 64};
  touch_all();
  assert_int_equal(cira_prefetch_settings_set(&s), CIRA_OK);
  uint64_t seed = 9;
  uint64_t before = stats().window_changes;
  for (uint32_t i = 0; i < 2500; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t at = (seed >> 33) % (PAGES - 9);
    for (uint64_t k = 0; k < 9; k++) {
      assert_int_equal(*(volatile uint8_t *)(far + (at + k) * PAGE),
                       (uint8_t)(at + k));
    }
  }
  assert_true(stats().window_pages <= 16);
  assert_true(stats().window_changes > before);
}

static void test_far(void **state) {
  (void)state;
  cira_far_options_t opt = cira_far_options_default();
  opt.far_url = "host:";
  opt.local_bytes = 4u << 20;
  assert_int_equal(cira_far_start(&opt), CIRA_OK);
  far = cira_far_alloc((uint64_t)PAGES * PAGE, PAGE);
  assert_non_null(far);
  case_hints();
  case_sites();
  case_settings();
  case_pager();
  assert_int_equal(cira_far_free(far), CIRA_OK);
  assert_int_equal(cira_far_stop(), CIRA_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_traces), cmocka_unit_test(test_closed_loop),
      cmocka_unit_test(test_rules), cmocka_unit_test(test_profile_text),
      cmocka_unit_test(test_far)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
